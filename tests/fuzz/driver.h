// SPDX-License-Identifier: Apache-2.0
// Stands in for libFuzzer where the compiler has none: a fixed number of mutations of samples, from
// a fixed seed. Arguments: [inputs [seed]], or files to run once each. Built with
// -DFUZZ_WITHOUT_MAIN and -fsanitize=fuzzer only LLVMFuzzerTestOneInput remains.
#ifndef COHORT_TESTS_FUZZ_DRIVER_H
#define COHORT_TESTS_FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Unlike assert() not switched off by NDEBUG.
#define FUZZ_CHECK(condition)                                                                      \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                              \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

// A fresh folder in memory where there is one, as the current one.
static inline void fuzz_enter_folder(char *folder, size_t size) {
  snprintf(folder, size, "%s/cohort_fuzz_XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
  FUZZ_CHECK(mkdtemp(folder) && chdir(folder) == 0);
}

static inline void fuzz_write_file(const char *path, const uint8_t *data, size_t size) {
  FILE *stream = fopen(path, "wb");
  FUZZ_CHECK(stream && fwrite(data, 1, size, stream) == size && fclose(stream) == 0);
}

static inline uint64_t fuzz_random(uint64_t *state) { // splitmix64
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

// Changes `data` (room for `most` bytes) in a few places; returns the new size.
static inline size_t fuzz_mutate(uint8_t *data, size_t size, size_t most, uint64_t *random) {
  static const uint8_t edges[] = {0, 1, 2, 0x7f, 0x80, 0xfe, 0xff};
  for (uint64_t n = fuzz_random(random) % 4 + 1; n > 0; n--) {
    size_t at = size ? fuzz_random(random) % size : 0;
    switch (size ? fuzz_random(random) % 7 : 3) {
    case 0:
      data[at] ^= (uint8_t)(1u << fuzz_random(random) % 8);
      break;
    case 1:
      data[at] = edges[fuzz_random(random) % sizeof edges];
      break;
    case 2:
      data[at] = (uint8_t)fuzz_random(random);
      break;
    case 3: // insert
      if (size < most) {
        memmove(data + at + 1, data + at, size - at);
        data[at] = (uint8_t)fuzz_random(random);
        size++;
      }
      break;
    case 4: // remove
      memmove(data + at, data + at + 1, size - at - 1);
      size--;
      break;
    case 5: // cut, rarely
      if (fuzz_random(random) % 4 == 0) size = at;
      break;
    default: // the headers matter most
      data[at % (size < 32 ? size : 32)] = (uint8_t)fuzz_random(random);
      break;
    }
  }
  return size;
}

#endif
