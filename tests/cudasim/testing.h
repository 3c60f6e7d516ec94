// SPDX-License-Identifier: Apache-2.0
//
// What a test of emulated kernels needs: device memory that shows overruns, and checks.
#ifndef COHORT_TESTS_CUDASIM_TESTING_H
#define COHORT_TESTS_CUDASIM_TESTING_H

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "control.h"

// n elements as cudaMalloc gives them: aligned to 256 bytes, holding NaNs. Reading or writing
// outside is an error of the address sanitizer; without it, writes next to the array are found when
// it goes.
template <typename T> class DeviceArray {
public:
  explicit DeviceArray(size_t n) : n_(n) {
    void *memory = nullptr;
    if (posix_memalign(&memory, guard_, front_ + bytes() + back_) != 0) abort();
    memory_ = static_cast<unsigned char *>(memory);
    memset(memory_, 0xA5, front_ + bytes() + back_);
    memset(memory_ + front_, 0xFF, bytes());
  }
  explicit DeviceArray(const std::vector<T> &values) : DeviceArray(values.size()) {
    for (size_t i = 0; i < n_; i++)
      get()[i] = values[i];
  }
  DeviceArray(const DeviceArray &) = delete;
  DeviceArray &operator=(const DeviceArray &) = delete;
  ~DeviceArray() {
    for (size_t i = 0; i < front_; i++)
      if (memory_[i] != 0xA5) overrun("before the start of", front_ - i);
    for (size_t i = back_; i-- > 0;)
      if (memory_[front_ + bytes() + i] != 0xA5) overrun("past the end of", i + 1);
    free(memory_);
  }

  T *get() {
    return reinterpret_cast<T *>(memory_ + front_);
  }
  T &operator[](size_t i) {
    return get()[i];
  }
  size_t size() const {
    return n_;
  }
  size_t bytes() const {
    return n_ * sizeof(T);
  }

private:
  [[noreturn]] void overrun(const char *where, size_t distance) const {
    fprintf(stderr, "cudasim: FAULT: write %zu bytes %s a device array of %zu bytes\n", distance,
            where, bytes());
    abort();
  }

  static constexpr size_t guard_ = 256;
#if defined(CO_EMU_ASAN)
  static constexpr size_t front_ = 0;
  static constexpr size_t back_ = 0;
#else
  static constexpr size_t front_ = guard_;
  static constexpr size_t back_ = guard_;
#endif
  size_t n_;
  unsigned char *memory_;
};

inline int &test_failures() {
  static int failures;
  return failures;
}

#define CHECK(condition, ...)                                                                      \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      test_failures()++;                                                                           \
      fprintf(stderr, "%s:%d: check failed: %s; ", __FILE__, __LINE__, #condition);                \
      fprintf(stderr, __VA_ARGS__);                                                                \
      fputc('\n', stderr);                                                                         \
    }                                                                                              \
  } while (0)

// The exit status of a test.
inline int test_result() {
  if (test_failures() > 0) fprintf(stderr, "%d checks failed\n", test_failures());
  return test_failures() > 0;
}

#endif
