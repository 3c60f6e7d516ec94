// SPDX-License-Identifier: Apache-2.0
//
// The shared memory of one running block. Every array lives alone between guards, holds NaNs at
// first, and is aligned no better than its type asks, so that mistakes show.
#ifndef COHORT_TESTS_CUDASIM_SHARED_MEMORY_H
#define COHORT_TESTS_CUDASIM_SHARED_MEMORY_H

#include <cstddef>
#include <vector>

#include "fibre.h"

namespace emu {

class SharedMemory {
public:
  explicit SharedMemory(FreshMemory &fresh) : fresh_(fresh) {
    arrays_.reserve(max_arrays);
  }
  SharedMemory(const SharedMemory &) = delete;
  SharedMemory &operator=(const SharedMemory &) = delete;

  // dynamic_limit: what the kernel has been allowed, 0 if nothing beyond the default.
  void begin_block(size_t dynamic_bytes, size_t dynamic_limit);
  // Checks the guards.
  void end_block();

  void *static_array(const void *key, size_t bytes, size_t alignment, const char *name);
  void *dynamic_array() const {
    return arrays_.front().data;
  }

private:
  struct Array {
    const void *key;
    const char *name;
    char *data;
    size_t bytes;
    void *allocation;
    size_t before; // bytes of guard in front of data
  };
  Array allocate(const void *key, size_t bytes, size_t alignment, const char *name);

  static constexpr size_t max_arrays = 64;
  FreshMemory &fresh_;
  std::vector<Array> arrays_; // the first is the dynamic one; never grows, see emu.cpp
  size_t static_bytes_ = 0;
  size_t dynamic_bytes_ = 0;
  size_t dynamic_limit_ = 0;
};

} // namespace emu

#endif
