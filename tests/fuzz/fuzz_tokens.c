// SPDX-License-Identifier: Apache-2.0
// Input: a text, as words and as characters. Each is of some bytes, and ends within the text.
#include <stdbool.h>

#include "models/features/text_sequence.h"
#include "tests/fuzz/driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned char *text = malloc(size + 1);
  FUZZ_CHECK(text);
  memcpy(text, data, size);
  text[size] = 0;
  for (int characters = 0; characters <= 1; characters++) {
    const unsigned char *at = text, *before = at;
    for (uint64_t hash; co_next_token(&at, characters, &hash); before = at)
      FUZZ_CHECK(at > before && at <= text + strlen((const char *)text));
  }
  free(text);
  return 0;
}

#ifndef FUZZ_WITHOUT_MAIN
static const char *const samples[] = {"Don't pay £5 now!! 50% off",
                                      "中文，ＦＲＥＥ 🍣 naïve ’s it’s ’",
                                      "\xF0\x9F\x8D \xE4\xB8\xFF\xC3'\xE2\x80\x99"};

int main(int argc, char **argv) {
  uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  long inputs = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
  uint8_t data[128];
  for (long i = 0; i < inputs; i++) {
    const char *sample = samples[fuzz_random(&random) % (sizeof samples / sizeof *samples)];
    size_t size = strlen(sample);
    memcpy(data, sample, size);
    size = fuzz_mutate(data, size, sizeof data, &random);
    LLVMFuzzerTestOneInput(data, size);
  }
  return 0;
}
#endif
