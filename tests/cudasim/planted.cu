// SPDX-License-Identifier: Apache-2.0
//
// One planted mistake per class, each beside its correct form: `planted <case> good` must pass and
// `planted <case> bad` must be caught, by the lane that CMakeLists.txt names. Kept small: a case
// shows what a report looks like (README.md lists them).
#include "kernels/cuda/launch.h"

#include "testing.h"

namespace {

constexpr int n = 64;

// ---- memory

__global__ void copy4(const float *x, float *y, int vectors, int shift) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < vectors)
    reinterpret_cast<float4 *>(y)[i + shift] = reinterpret_cast<const float4 *>(x)[i];
}

void global_overrun(bool bad) {
  DeviceArray<float> x(n), y(n);
  CO_LAUNCH(copy4, 1, 32, 0, nullptr, x.get(), y.get(), n / 4, bad ? 1 : 0);
}

__global__ void fill_dynamic(int count) {
  CO_DYNAMIC_SHARED(float, values);
  for (int i = threadIdx.x; i < count; i += blockDim.x)
    values[i] = 1.0f;
}

void dynamic_overrun(bool bad) {
  CO_LAUNCH(fill_dynamic, 1, 32, n * sizeof(float), nullptr, bad ? n + 1 : n);
}

__global__ void fill_static(int count) {
  CO_SHARED(float, values, n);
  for (int i = threadIdx.x; i < count; i += blockDim.x)
    values[i] = 1.0f;
}

void static_overrun(bool bad) {
  CO_LAUNCH(fill_static, 1, 32, 0, nullptr, bad ? n + 1 : n);
}

__global__ void copy_through_shared(const float *x, float *y, bool skip_last) {
  CO_SHARED(float, values, n);
  if (!skip_last || threadIdx.x < n - 1) values[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = values[threadIdx.x];
}

void uninitialised_shared(bool bad) {
  DeviceArray<float> x(std::vector<float>(n, 1.0f)), y(n);
  CO_LAUNCH(copy_through_shared, 1, n, 0, nullptr, x.get(), y.get(), bad);
  for (int i = 0; i < n; i++)
    CHECK(y[i] == 1.0f, "element %d is %f", i, y[i]);
}

void misaligned_vector(bool bad) {
  DeviceArray<float> x(n + 1), y(n);
  CO_LAUNCH(copy4, 1, 32, 0, nullptr, x.get() + (bad ? 1 : 0), y.get(), n / 4, 0);
}

// An array of float has no right to be read as float4; one of float4 has.
template <typename T> __global__ void read_shared4(float4 *y) {
  CO_SHARED(T, values, 4 * n * sizeof(float) / sizeof(T));
  float *single = reinterpret_cast<float *>(values);
  for (int k = 0; k < 4; k++)
    single[4 * threadIdx.x + k] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = reinterpret_cast<float4 *>(single)[n - 1 - threadIdx.x];
}

void misaligned_shared(bool bad) {
  DeviceArray<float4> y(n);
  if (bad)
    CO_LAUNCH(read_shared4<float>, 1, n, 0, nullptr, y.get());
  else
    CO_LAUNCH(read_shared4<float4>, 1, n, 0, nullptr, y.get());
}

// ---- synchronisation

// Two sums over the block, one after the other, through the same shared array.
__global__ void two_sums(float *y, bool read_barrier, bool reuse_barrier) {
  CO_SHARED(float, partial, 2);
  float value = 1.0f;
  for (int round = 0; round < 2; round++) {
    if (reuse_barrier) __syncthreads();
    for (int distance = 16; distance > 0; distance /= 2)
      value += __shfl_xor_sync(0xffffffffu, value, distance);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    if (read_barrier) __syncthreads();
    value = partial[0] + partial[1];
  }
  y[threadIdx.x] = value;
}

void run_two_sums(bool read_barrier, bool reuse_barrier) {
  DeviceArray<float> y(n);
  CO_LAUNCH(two_sums, 1, n, 0, nullptr, y.get(), read_barrier, reuse_barrier);
  for (int i = 0; i < n; i++)
    CHECK(y[i] == 1.0f * n * n, "element %d is %f", i, y[i]);
}

void missing_read_barrier(bool bad) {
  run_two_sums(!bad, true);
}

void missing_reuse_barrier(bool bad) {
  run_two_sums(true, !bad);
}

__global__ void sum_all(const float *x, float *sum, bool atomic) {
  if (atomic)
    atomicAdd(sum, x[threadIdx.x]);
  else
    *sum += x[threadIdx.x];
}

void lost_update(bool bad) {
  DeviceArray<float> x(std::vector<float>(n, 1.0f)), sum(std::vector<float>(1, 0.0f));
  CO_LAUNCH(sum_all, 1, n, 0, nullptr, x.get(), sum.get(), !bad);
}

// Each block with a barrier, lest one block's threads alone be what the sanitizer tells apart.
__global__ void write_by_block(float *y, bool same) {
  __syncthreads();
  if (threadIdx.x == 0) y[same ? 0 : blockIdx.x] = 1.0f;
  __syncthreads();
}

void block_race(bool bad) {
  DeviceArray<float> y(4);
  CO_LAUNCH(write_by_block, 4, 32, 0, nullptr, y.get(), bad);
}

__global__ void barrier_for(int threads) {
  if (static_cast<int>(threadIdx.x) < threads) __syncthreads();
}

void divergent_barrier(bool bad) {
  CO_LAUNCH(barrier_for, 1, n, 0, nullptr, bad ? 16 : n);
}

__global__ void two_barriers(int first) {
  if (static_cast<int>(threadIdx.x) < first)
    __syncthreads();
  else
    __syncthreads();
}

void barriers_apart(bool bad) {
  CO_LAUNCH(two_barriers, 1, n, 0, nullptr, bad ? 32 : 0);
}

__global__ void shuffle_for(int lanes, unsigned mask, float *y) {
  float value = 1.0f;
  if (static_cast<int>(threadIdx.x) < lanes) value = __shfl_xor_sync(mask, value, 1);
  y[threadIdx.x] = value;
}

void partial_shuffle(bool bad) {
  DeviceArray<float> y(32);
  CO_LAUNCH(shuffle_for, 1, 32, 0, nullptr, bad ? 16 : 32, 0xffffffffu, y.get());
}

void lane_outside_mask(bool bad) {
  DeviceArray<float> y(32);
  CO_LAUNCH(shuffle_for, 1, 32, 0, nullptr, bad ? 32 : 16, 0xffffu, y.get());
}

// ---- launches

void block_too_large(bool bad) {
  CO_LAUNCH(fill_static, 1, bad ? 1056 : 1024, 0, nullptr, n);
}

void empty_grid(bool bad) {
  CO_LAUNCH(fill_static, bad ? 0 : 1, 32, 0, nullptr, n);
}

void dynamic_too_large(bool bad) {
  size_t bytes = 100000;
  if (!bad) emu_set_dynamic_shared_limit(reinterpret_cast<const void *>(fill_dynamic), bytes);
  CO_LAUNCH(fill_dynamic, 1, 32, bytes, nullptr, n);
}

const struct {
  const char *name;
  void (*run)(bool bad);
} cases[] = {
    {"global-overrun", global_overrun},
    {"dynamic-overrun", dynamic_overrun},
    {"static-overrun", static_overrun},
    {"uninitialised-shared", uninitialised_shared},
    {"misaligned-vector", misaligned_vector},
    {"misaligned-shared", misaligned_shared},
    {"missing-read-barrier", missing_read_barrier},
    {"missing-reuse-barrier", missing_reuse_barrier},
    {"lost-update", lost_update},
    {"block-race", block_race},
    {"divergent-barrier", divergent_barrier},
    {"barriers-apart", barriers_apart},
    {"partial-shuffle", partial_shuffle},
    {"lane-outside-mask", lane_outside_mask},
    {"block-too-large", block_too_large},
    {"empty-grid", empty_grid},
    {"dynamic-too-large", dynamic_too_large},
};

} // namespace

int main(int argc, char **argv) {
  if (argc == 3)
    for (const auto &c : cases)
      if (strcmp(argv[1], c.name) == 0) {
        c.run(strcmp(argv[2], "bad") == 0);
        return test_result();
      }
  fprintf(stderr, "usage: planted <case> good|bad; the cases:\n");
  for (const auto &c : cases)
    fprintf(stderr, "  %s\n", c.name);
  return 2;
}
