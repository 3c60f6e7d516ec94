// SPDX-License-Identifier: Apache-2.0
//
// The emulated device language against what the CUDA documentation promises. Runs under the
// schedule of the environment unless a test needs a certain one.
#include "kernels/cuda/launch.h"

#include "testing.h"

namespace {

constexpr unsigned full = 0xffffffffu;

// ---- indices

__global__ void count_visits(int *visits) {
  unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  unsigned inside = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  visits[block * threads + inside]++;
}

void test_indices() {
  dim3 grid(3, 2, 2), block(5, 3, 2);
  DeviceArray<int> visits(std::vector<int>(12 * 30, 0));
  CO_LAUNCH(count_visits, grid, block, 0, nullptr, visits.get());
  for (size_t i = 0; i < visits.size(); i++)
    CHECK(visits[i] == 1, "thread %zu ran %d times", i, visits[i]);
}

// ---- warp collectives

__global__ void shuffles(int *y) {
  int lane = threadIdx.x;
  int *mine = y + lane * 6;
  mine[0] = __shfl_xor_sync(full, lane, 5);
  mine[1] = __shfl_down_sync(full, lane, 3);
  mine[2] = __shfl_up_sync(full, lane, 3);
  mine[3] = __shfl_sync(full, lane, 7);
  mine[4] = __shfl_down_sync(full, lane, 3, 8);
  mine[5] = __shfl_sync(full, lane, 2, 8);
}

void test_shuffles() {
  DeviceArray<int> y(32 * 6);
  CO_LAUNCH(shuffles, 1, 32, 0, nullptr, y.get());
  for (int lane = 0; lane < 32; lane++) {
    int want[6] = {lane ^ 5, lane < 29 ? lane + 3 : lane,    lane > 2 ? lane - 3 : lane,
                   7,        lane % 8 < 5 ? lane + 3 : lane, lane / 8 * 8 + 2};
    for (int k = 0; k < 6; k++)
      CHECK(y[lane * 6 + k] == want[k], "shuffle %d, lane %d: %d, wanted %d", k, lane,
            y[lane * 6 + k], want[k]);
  }
}

template <typename T> __global__ void shuffle_type(T *y) {
  T value = static_cast<T>(static_cast<float>(threadIdx.x));
  y[threadIdx.x] = __shfl_xor_sync(full, value, 1);
}

template <typename T> void test_shuffle_type() {
  DeviceArray<T> y(32);
  CO_LAUNCH(shuffle_type<T>, 1, 32, 0, nullptr, y.get());
  for (int lane = 0; lane < 32; lane++)
    CHECK(static_cast<float>(y[lane]) == static_cast<float>(lane ^ 1), "lane %d", lane);
}

__global__ void votes(unsigned *y) {
  unsigned lane = threadIdx.x % 32;
  unsigned *mine = y + threadIdx.x * 4;
  mine[0] = __ballot_sync(full, lane % 3 == 0);
  mine[1] = __any_sync(full, lane == 5);
  mine[2] = __all_sync(full, lane < 31);
  mine[3] = __activemask();
}

// The second warp has 16 lanes only.
void test_votes() {
  DeviceArray<unsigned> y(48 * 4);
  CO_LAUNCH(votes, 1, 48, 0, nullptr, y.get());
  for (unsigned i = 0; i < 48; i++) {
    unsigned lanes = i < 32 ? 32 : 16, third = 0;
    for (unsigned l = 0; l < lanes; l += 3)
      third |= 1u << l;
    CHECK(y[i * 4] == third, "ballot %08x", y[i * 4]);
    CHECK(y[i * 4 + 1] == 1, "any");
    CHECK(y[i * 4 + 2] == (lanes < 32), "all");
    CHECK((y[i * 4 + 3] >> i % 32 & 1) == 1, "active mask %08x", y[i * 4 + 3]);
  }
}

// The halves of a warp work apart, different numbers of times, then together.
__global__ void halves(int *y) {
  int lane = threadIdx.x;
  int value = lane;
  if (lane < 16)
    for (int i = 0; i < 3; i++)
      value += __shfl_xor_sync(0x0000ffffu, value, 1 << i);
  else
    value = __shfl_xor_sync(0xffff0000u, value, 1);
  __syncwarp();
  y[lane] = __shfl_xor_sync(full, value, 16);
}

void test_halves() {
  DeviceArray<int> y(32);
  CO_LAUNCH(halves, 1, 32, 0, nullptr, y.get());
  for (int lane = 0; lane < 32; lane++) {
    int other = lane ^ 16, eight = other / 8 * 8;
    int want = other < 16 ? 8 * eight + 28 : other ^ 1;
    CHECK(y[lane] == want, "lane %d: %d, wanted %d", lane, y[lane], want);
  }
}

__global__ void exchange_by_syncwarp(int *y) {
  CO_SHARED(int, values, 64);
  values[threadIdx.x] = threadIdx.x;
  __syncwarp();
  int neighbour = values[threadIdx.x ^ 1];
  __syncwarp();
  values[threadIdx.x] = neighbour;
  __syncwarp();
  y[threadIdx.x] = values[threadIdx.x ^ 2];
}

void test_syncwarp() {
  DeviceArray<int> y(64);
  CO_LAUNCH(exchange_by_syncwarp, 1, 64, 0, nullptr, y.get());
  for (int i = 0; i < 64; i++)
    CHECK(y[i] == (i ^ 3), "thread %d: %d", i, y[i]);
}

// ---- barriers

__global__ void block_votes(int *y) {
  int i = threadIdx.x;
  int count = __syncthreads_count(i % 3 == 0);
  int any = __syncthreads_or(i == 7);
  int none = __syncthreads_or(i == 1000);
  int all = __syncthreads_and(i >= 0);
  int not_all = __syncthreads_and(i > 0);
  y[i] = count * 16 + any * 8 + none * 4 + all * 2 + not_all;
}

void test_block_votes() {
  DeviceArray<int> y(100);
  CO_LAUNCH(block_votes, 1, 100, 0, nullptr, y.get());
  for (int i = 0; i < 100; i++)
    CHECK(y[i] == 34 * 16 + 8 + 2, "thread %d: %d", i, y[i]);
}

// ---- shared memory

template <typename T, int rows> __global__ void transpose(const T *x, T *y) {
  CO_SHARED_2D(T, tile, rows, rows + 1);
  tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * rows + threadIdx.x];
  __syncthreads();
  y[threadIdx.y * rows + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}

template <typename T> void test_transpose() {
  DeviceArray<T> x(256), y(256);
  for (int i = 0; i < 256; i++)
    x[i] = static_cast<T>(i);
  CO_LAUNCH((transpose<T, 16>), 1, dim3(16, 16), 0, nullptr, x.get(), y.get());
  for (int i = 0; i < 256; i++)
    CHECK(y[i] == static_cast<T>(i % 16 * 16 + i / 16), "element %d", i);
}

__global__ void shared_state(unsigned *y, size_t bytes) {
  CO_SHARED(unsigned char, still, 5);
  CO_DYNAMIC_SHARED(unsigned char, dynamic);
  unsigned sum = 0;
  for (int i = 0; i < 5; i++)
    sum += still[i] == 0xFF;
  for (size_t i = 0; i < bytes; i++)
    sum += dynamic[i] == 0xFF;
  __syncthreads();
  if (threadIdx.x == 0) still[0] = dynamic[0] = 0; // must not be seen by the next block
  y[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

void test_shared_state() {
  size_t bytes = EMU_SHARED_OPT_IN - 5;
  const void *kernel = reinterpret_cast<const void *>(shared_state);
  CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)) == cudaSuccess,
        "opt in");
  CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(EMU_SHARED_OPT_IN + 1)) == cudaErrorInvalidValue,
        "more than a device has");
  DeviceArray<unsigned> y(4);
  CO_LAUNCH(shared_state, 2, 2, bytes, nullptr, y.get(), bytes);
  for (int i = 0; i < 4; i++)
    CHECK(y[i] == bytes + 5, "thread %d saw %u poisoned bytes", i, y[i]);
}

// ---- atomics

template <typename T> __global__ void add_ones(T *sum) {
  atomicAdd(sum, 1);
}

template <typename T> void test_atomic_add() {
  DeviceArray<T> sum(std::vector<T>(1, T(0)));
  CO_LAUNCH(add_ones<T>, 8, 32, 0, nullptr, sum.get());
  CHECK(static_cast<float>(sum[0]) == 256.0f, "sum %f", static_cast<double>(sum[0]));
}

__global__ void other_atomics(int *y, unsigned *tickets) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicMax(y, i);
  atomicMin(y + 1, i);
  atomicSub(y + 2, 1);
  atomicExch(y + 3, 5);
  atomicCAS(y + 4, i, i + 1000); // exactly one sees its own number
  atomicOr(y + 5, 1 << i % 8);
  atomicInc(tickets, 9);
}

void test_other_atomics() {
  DeviceArray<int> y(std::vector<int>{-1, 1000, 0, 0, 17, 0});
  DeviceArray<unsigned> tickets(std::vector<unsigned>(1, 0));
  CO_LAUNCH(other_atomics, 2, 32, 0, nullptr, y.get(), tickets.get());
  int want[6] = {63, 0, -64, 5, 1017, 255};
  for (int k = 0; k < 6; k++)
    CHECK(y[k] == want[k], "atomic %d: %d, wanted %d", k, y[k], want[k]);
  CHECK(tickets[0] == 4, "tickets %u", tickets[0]); // 64 steps around 0..9
}

// The block that comes last sums what the others left: orders plain memory by fence and atomic.
__global__ void last_block_sum(const int *x, int *partial, unsigned *arrived, int *sum) {
  CO_SHARED(bool, last, 1);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = x[blockIdx.x];
    __threadfence();
    last[0] = atomicInc(arrived, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last[0] && threadIdx.x == 1) {
    *sum = 0;
    for (unsigned b = 0; b < gridDim.x; b++)
      *sum += partial[b];
  }
}

void test_last_block() {
  DeviceArray<int> x(20), partial(20), sum(1);
  DeviceArray<unsigned> arrived(std::vector<unsigned>(1, 0));
  for (int i = 0; i < 20; i++)
    x[i] = i;
  for (int round = 0; round < 2; round++) { // the counter comes back to zero by itself
    CO_LAUNCH(last_block_sum, 20, 32, 0, nullptr, x.get(), partial.get(), arrived.get(), sum.get());
    CHECK(sum[0] == 190, "sum %d", sum[0]);
  }
}

// ---- intrinsics

__global__ void intrinsics(double *y) {
  y[0] = __umulhi(0x80000000u, 6u);
  y[1] = __clz(1);
  y[2] = __brev(1u);
  y[3] = __popc(0xF0F0u);
  y[4] = __ffs(8);
  y[5] = __float_as_uint(1.0f);
  y[6] = __saturatef(-2.0f);
  y[7] = max(3.0f, 4.5) + min(2u, 1u);
  y[8] = rsqrtf(0.25f);
  y[9] = __expf(0.0f);
}

void test_intrinsics() {
  DeviceArray<double> y(10);
  CO_LAUNCH(intrinsics, 1, 1, 0, nullptr, y.get());
  double want[10] = {3, 31, 2147483648.0, 8, 4, 1065353216.0, 0, 5.5, 2, 1};
  for (int k = 0; k < 10; k++)
    CHECK(y[k] == want[k], "intrinsic %d: %f, wanted %f", k, y[k], want[k]);
}

// ---- launches

struct Pack {
  int values[4];
};
__global__ void store_arguments(double *y, float a, size_t b, const Pack pack) {
  y[0] = static_cast<double>(a);
  y[1] = static_cast<double>(b);
  y[2] = pack.values[3];
}

emu_call *recorded;
void record(void *context, emu_call *call, cudaStream_t) {
  ++*static_cast<int *>(context);
  recorded = call;
}

void test_deferred() {
  DeviceArray<double> y(3);
  int launches = 0, a = 1;
  Pack pack = {{1, 2, 3, 4}};
  emu_set_launch_hook(record, &launches);
  CO_LAUNCH(store_arguments, 1, 1, 0, nullptr, y.get(), a, 7, pack); // int to float and size_t
  emu_set_launch_hook(nullptr, nullptr);
  a = 100;
  pack.values[3] = 100;
  CHECK(launches == 1, "%d launches", launches);
  CHECK(strcmp(emu_call_kernel(recorded), "store_arguments") == 0, "%s", emu_call_kernel(recorded));
  for (int replay = 0; replay < 2; replay++) {
    y[0] = y[1] = y[2] = 0;
    emu_call_run(recorded);
    CHECK(y[0] == 1 && y[1] == 7 && y[2] == 4, "%f %f %f", y[0], y[1], y[2]);
  }
  emu_call_free(recorded);
}

} // namespace

// Outside the unnamed namespace: the dynamic symbol table shows it.
__global__ void named_kernel(int *y, int value) {
  y[blockIdx.x] = value;
}

namespace {

void test_launch_by_name() {
  DeviceArray<int> y(2);
  CO_LAUNCH(named_kernel, 2, 1, 0, nullptr, y.get(), 1);
  int *address = y.get();
  int value = 42;
  void *arguments[] = {&address, &value};
  CHECK(emu_launch_by_name("_Z12named_kernelPii", arguments, dim3(2), dim3(1), 0, nullptr),
        "kernel not found");
  CHECK(y[0] == 42 && y[1] == 42, "%d %d", y[0], y[1]);
  CHECK(!emu_launch_by_name("_Z7no_suchv", arguments, dim3(1), dim3(1), 0, nullptr), "found");
}

// ---- schedules

__global__ void order_of_threads(unsigned *ticket, unsigned *y) {
  y[threadIdx.x] = atomicAdd(ticket, 1);
  __syncthreads();
  y[blockDim.x + threadIdx.x] = atomicAdd(ticket, 1);
}

std::vector<unsigned> order_under(emu_schedule schedule, uint64_t seed) {
  emu_options options = {schedule, seed, 1};
  emu_configure(&options);
  DeviceArray<unsigned> ticket(std::vector<unsigned>(1, 0)), y(256);
  CO_LAUNCH(order_of_threads, 1, 128, 0, nullptr, ticket.get(), y.get());
  emu_configure(nullptr);
  return std::vector<unsigned>(y.get(), y.get() + 256);
}

void test_schedules() {
  std::vector<unsigned> in_order = order_under(EMU_IN_ORDER, 0);
  for (unsigned i = 0; i < 256; i++)
    CHECK(in_order[i] == i, "in order: %u at %u", in_order[i], i);
  CHECK(order_under(EMU_RANDOM, 1) != in_order, "random is in order");
  CHECK(order_under(EMU_RANDOM, 1) != order_under(EMU_RANDOM, 2), "random ignores its seed");
  CHECK(order_under(EMU_WARP_GREEDY, 1) != order_under(EMU_WARP_GREEDY, 2),
        "warp-greedy ignores its seed");
}

} // namespace

int main() {
  test_indices();
  test_shuffles();
  test_shuffle_type<float>();
  test_shuffle_type<double>();
  test_shuffle_type<__half>();
  test_shuffle_type<__nv_bfloat16>();
  test_votes();
  test_halves();
  test_syncwarp();
  test_block_votes();
  test_transpose<float>();
  test_transpose<int>();
  test_shared_state();
  test_atomic_add<int>();
  test_atomic_add<unsigned>();
  test_atomic_add<unsigned long long>();
  test_atomic_add<float>();
  test_atomic_add<double>();
  test_other_atomics();
  test_last_block();
  test_intrinsics();
  test_deferred();
  test_launch_by_name();
  test_schedules();
  return test_result();
}
