// SPDX-License-Identifier: Apache-2.0
#include "shared_memory.h"

#include <cstdint>
#include <cstdlib>

#include "control.h"
#include "fault.h"
#include "sanitizer.h"

namespace emu {

static constexpr unsigned char poison_byte = 0xFF; // a NaN in every floating-point type
[[maybe_unused]] static constexpr unsigned char guard_byte = 0xA5;
[[maybe_unused]] static constexpr size_t guard_bytes = 64;

// Not memset: the thread sanitizer intercepts that and would take the scheduler for one more thread
// that writes to the array.
static void fill(char *data, size_t bytes, unsigned char value) {
  volatile char *byte = data;
  for (; bytes > 0 && reinterpret_cast<uintptr_t>(byte) % sizeof(uint64_t) != 0; bytes--)
    *byte++ = static_cast<char>(value);
  volatile uint64_t *word = reinterpret_cast<volatile uint64_t *>(byte);
  for (; bytes >= sizeof(uint64_t); bytes -= sizeof(uint64_t))
    *word++ = 0x0101010101010101u * value;
  byte = reinterpret_cast<volatile char *>(word);
  while (bytes-- > 0)
    *byte++ = static_cast<char>(value);
}

SharedMemory::Array SharedMemory::allocate(const void *key, size_t bytes, size_t alignment,
                                           const char *name) {
  // Memory comes aligned to 16. An array of a smaller type is moved off that, as it may lie on the
  // device: reading it as float4 is then seen to be misaligned.
  Array array{key, name, nullptr, bytes, nullptr, alignment < 16 ? size_t{8} : size_t{0}};
#if defined(CO_EMU_ASAN)
  // The sanitizer guards the end of a heap block to the byte, and reports where the block is from.
  array.allocation = malloc(array.before + bytes);
  array.data = static_cast<char *>(array.allocation) + array.before;
  __asan_poison_memory_region(array.allocation, array.before);
#else
  array.before += guard_bytes;
#if defined(CO_EMU_TSAN)
  array.allocation = fresh_.take(array.before + bytes + guard_bytes);
#else
  array.allocation = malloc(array.before + bytes + guard_bytes);
#endif
  array.data = static_cast<char *>(array.allocation) + array.before;
  fill(array.data - array.before, array.before, guard_byte);
  fill(array.data + bytes, guard_bytes, guard_byte);
#endif
  fill(array.data, bytes, poison_byte);
  return array;
}

void SharedMemory::begin_block(size_t dynamic_bytes, size_t dynamic_limit) {
  static_bytes_ = 0;
  dynamic_bytes_ = dynamic_bytes;
  dynamic_limit_ = dynamic_limit;
  arrays_.push_back(allocate(nullptr, dynamic_bytes, 16, "dynamic shared memory"));
}

void *SharedMemory::static_array(const void *key, size_t bytes, size_t alignment,
                                 const char *name) {
  for (size_t i = 1; i < arrays_.size(); i++)
    if (arrays_[i].key == key) return arrays_[i].data;
  if (arrays_.size() == max_arrays) fault("more than %zu shared arrays", max_arrays);
  static_bytes_ += bytes;
  size_t total = static_bytes_ + dynamic_bytes_;
  if (static_bytes_ > EMU_SHARED_DEFAULT)
    fault("static shared memory of %zu bytes with '%s', 48 KiB is the limit", static_bytes_, name);
  if (total > (dynamic_limit_ ? EMU_SHARED_OPT_IN : EMU_SHARED_DEFAULT))
    fault("static and dynamic shared memory of %zu bytes with '%s' exceed the limit of %s", total,
          name, dynamic_limit_ ? "227 KiB" : "48 KiB");
  arrays_.push_back(allocate(key, bytes, alignment, name));
  return arrays_.back().data;
}

void SharedMemory::end_block() {
  for (const Array &array : arrays_) {
#if !defined(CO_EMU_ASAN)
    // From the outside in, to report how far the write went.
    const unsigned char *data = reinterpret_cast<unsigned char *>(array.data);
    for (size_t distance = array.before; distance > 0; distance--)
      if (*(data - distance) != guard_byte)
        fault("write %zu bytes before the start of '%s'", distance, array.name);
    for (size_t distance = guard_bytes; distance > 0; distance--)
      if (data[array.bytes + distance - 1] != guard_byte)
        fault("write %zu bytes past the end of '%s' (%zu bytes)", distance, array.name,
              array.bytes);
#endif
#if !defined(CO_EMU_TSAN)
    free(array.allocation);
#endif
  }
  arrays_.clear();
}

} // namespace emu
