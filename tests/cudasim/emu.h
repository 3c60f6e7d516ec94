// SPDX-License-Identifier: Apache-2.0
//
// The device language of CUDA for a plain C++17 compiler: what a .cu file sees instead of nvcc's
// built-ins. Types, vector types and half precision come from the real CUDA headers. The scheduler
// that gives these functions their meaning is emu.cpp.
//
// CUDA's own names are taken on purpose, reserved identifiers included.
#ifndef COHORT_TESTS_CUDASIM_EMU_H
#define COHORT_TESTS_CUDASIM_EMU_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <math.h>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "control.h"
#include "fault.h"

namespace emu {

// What device code can ask about itself. The scheduler keeps more about each thread and block.
struct ThreadContext {
  uint3 index;
  unsigned lane;
  unsigned warp;
  bool fenced;             // has called __threadfence: its later atomics order memory
  const void *last_atomic; // the address of its latest atomic operation
};
struct BlockContext {
  dim3 grid;
  dim3 block;
  uint3 index;
};
// __thread and not thread_local: no initialisation check at every use.
extern __thread ThreadContext *thread;
extern __thread BlockContext *block;

// Waits for the whole block; returns how many of its threads passed a true vote.
unsigned barrier(bool vote, const char *file, int line);

enum class WarpOp { sync, shuffle, ballot };
// Waits for the lanes of mask. Returns the value that lane `source` deposited (shuffle), the lanes
// that deposited a non-zero value (ballot), or 0 (sync).
uint64_t warp_exchange(WarpOp op, unsigned mask, uint64_t value, unsigned source, const char *file,
                       int line);
unsigned active_mask();
void fence();

void *shared_array(const void *key, size_t bytes, size_t alignment, const char *name);
void *dynamic_shared();

struct LaunchSite {
  const char *kernel;
  const char *file;
  int line;
};
struct Configuration {
  dim3 grid;
  dim3 block;
  size_t shared_bytes;
  cudaStream_t stream;
};
// The body of a kernel with its arguments, without its type.
struct Closure {
  void *data;
  void (*invoke)(void *data);
  void (*destroy)(void *data);
  std::vector<emu_pointer> pointers; // among the arguments
};
template <typename T> void note_pointer(std::vector<emu_pointer> &list, const T &argument) {
  if constexpr (std::is_pointer_v<T>)
    list.push_back({argument, !std::is_const_v<std::remove_pointer_t<T>>});
}
void submit(const LaunchSite &site, const void *kernel, const Configuration &configuration,
            const Closure &closure);

// CUDA converts arguments to the kernel's parameter types and copies them when the launch is made:
// a deferred call must not see what the caller does to its variables afterwards.
template <typename... Parameters, typename... Arguments>
void launch(const LaunchSite &site, void (*kernel)(Parameters...),
            const Configuration &configuration, Arguments &&...arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments),
                "the launch passes as many arguments as the kernel has parameters");
  struct Body {
    void (*kernel)(Parameters...);
    std::tuple<std::decay_t<Parameters>...> arguments;
  };
  Body *body = new Body{kernel, {std::forward<Arguments>(arguments)...}};
  std::vector<emu_pointer> pointers;
  std::apply([&](const auto &...each) { (note_pointer(pointers, each), ...); }, body->arguments);
  submit(site, reinterpret_cast<const void *>(kernel), configuration,
         {body,
          [](void *data) {
            Body *self = static_cast<Body *>(data);
            std::apply(self->kernel, self->arguments);
          },
          [](void *data) { delete static_cast<Body *>(data); }, std::move(pointers)});
}

// How emu_launch_by_name turns an array of argument addresses into a launch.
using RawLaunch = void (*)(const char *name, const void *kernel, void **arguments,
                           const Configuration &configuration);
bool register_kernel(const void *kernel, RawLaunch launch);

template <typename... Parameters, size_t... Index>
void launch_raw(const char *name, void (*kernel)(Parameters...), void **arguments,
                const Configuration &configuration, std::index_sequence<Index...>) {
  (void)arguments;
  launch({name, "", 0}, kernel, configuration,
         *static_cast<std::decay_t<Parameters> *>(arguments[Index])...);
}
template <typename... Parameters> bool register_typed(void (*kernel)(Parameters...)) {
  return register_kernel(
      reinterpret_cast<const void *>(kernel),
      [](const char *name, const void *address, void **arguments,
         const Configuration &configuration) {
        auto typed =
            reinterpret_cast<void (*)(Parameters...)>(reinterpret_cast<uintptr_t>(address));
        launch_raw(name, typed, arguments, configuration, std::index_sequence_for<Parameters...>());
      });
}

// The kernel is a template argument so that naming it in a launch also registers it.
template <auto kernel> struct Kernel {
  static inline const bool registered = register_typed(kernel);
  template <typename... Arguments>
  static void launch(const LaunchSite &site, const Configuration &configuration,
                     Arguments &&...arguments) {
    (void)registered;
    emu::launch(site, kernel, configuration, std::forward<Arguments>(arguments)...);
  }
};

} // namespace emu

// ---- the macros of launch.h

#define CO_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                  \
  emu::Kernel<kernel>::launch({#kernel, __FILE__, __LINE__},                                       \
                              {dim3(grid), dim3(block), static_cast<size_t>(shared_bytes),         \
                               (stream)} __VA_OPT__(, ) __VA_ARGS__)

// The address of a function-local static names the array: every instance of a kernel template and
// every inline function gets its own, and all threads of a block the same one.
#define CO_SHARED_ARRAY_(T, name, extent)                                                          \
  static char name##_key_;                                                                         \
  T(&name)                                                                                         \
  extent = *static_cast<T(*) extent>(                                                              \
      emu::shared_array(&name##_key_, sizeof(T extent), alignof(T), #name))
#define CO_SHARED(T, name, n) CO_SHARED_ARRAY_(T, name, [n])
#define CO_SHARED_2D(T, name, rows, columns) CO_SHARED_ARRAY_(T, name, [rows][columns])
#define CO_DYNAMIC_SHARED(T, name) T *name = static_cast<T *>(emu::dynamic_shared())

// ---- qualifiers and built-in variables

// The headers make it vanish outside nvcc: the array would silently become a local variable.
#undef __shared__
#define __shared__ use_CO_SHARED_instead_of___shared__

#undef __forceinline__
#define __forceinline__ inline
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __grid_constant__
#define __grid_constant__

#define threadIdx (emu::thread->index)
#define blockIdx (emu::block->index)
#define blockDim (emu::block->block)
#define gridDim (emu::block->grid)
#define warpSize 32

// ---- barriers and fences; the default arguments are the place of the call

inline void __syncthreads(const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  emu::barrier(false, file, line);
}
inline int __syncthreads_count(int predicate, const char *file = __builtin_FILE(),
                               int line = __builtin_LINE()) {
  return static_cast<int>(emu::barrier(predicate != 0, file, line));
}
inline int __syncthreads_or(int predicate, const char *file = __builtin_FILE(),
                            int line = __builtin_LINE()) {
  return emu::barrier(predicate != 0, file, line) != 0;
}
inline int __syncthreads_and(int predicate, const char *file = __builtin_FILE(),
                             int line = __builtin_LINE()) {
  return emu::barrier(predicate == 0, file, line) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, const char *file = __builtin_FILE(),
                       int line = __builtin_LINE()) {
  emu::warp_exchange(emu::WarpOp::sync, mask, 0, 0, file, line);
}
inline void __threadfence() {
  emu::fence();
}
inline void __threadfence_block() {
  emu::fence();
}

// ---- warp collectives

namespace emu {

template <typename T>
T shuffle(unsigned mask, T value, unsigned source, const char *file, int line) {
  static_assert(sizeof(T) <= sizeof(uint64_t) && std::is_trivially_copyable<T>::value,
                "shuffles move 2, 4 or 8 bytes");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = warp_exchange(WarpOp::shuffle, mask, bits, source, file, line);
  memcpy(static_cast<void *>(&value), &bits, sizeof value);
  return value;
}
inline unsigned segment_start(int width) {
  return thread->lane & ~(static_cast<unsigned>(width) - 1);
}

} // namespace emu

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize,
              const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  unsigned within = static_cast<unsigned>(source) & (static_cast<unsigned>(width) - 1);
  return emu::shuffle(mask, value, emu::segment_start(width) + within, file, line);
}
// Past the edge of their segment these return the caller's own value.
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                 const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  unsigned lane = emu::thread->lane;
  bool inside = lane >= emu::segment_start(width) + delta;
  return emu::shuffle(mask, value, inside ? lane - delta : lane, file, line);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                   const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  unsigned lane = emu::thread->lane;
  bool inside = lane + delta < emu::segment_start(width) + static_cast<unsigned>(width);
  return emu::shuffle(mask, value, inside ? lane + delta : lane, file, line);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize,
                  const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  unsigned lane = emu::thread->lane;
  unsigned source = lane ^ static_cast<unsigned>(lane_mask);
  bool inside = source < emu::segment_start(width) + static_cast<unsigned>(width);
  return emu::shuffle(mask, value, inside ? source : lane, file, line);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, const char *file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  uint64_t lanes = emu::warp_exchange(emu::WarpOp::ballot, mask, predicate != 0, 0, file, line);
  return static_cast<unsigned>(lanes);
}
inline int __any_sync(unsigned mask, int predicate, const char *file = __builtin_FILE(),
                      int line = __builtin_LINE()) {
  return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, const char *file = __builtin_FILE(),
                      int line = __builtin_LINE()) {
  return __ballot_sync(mask, predicate == 0, file, line) == 0;
}
inline unsigned __activemask() {
  return emu::active_mask();
}

#include "intrinsics.h"

#endif
