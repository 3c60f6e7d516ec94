// SPDX-License-Identifier: Apache-2.0
//
// The helpers of reduce.cuh: right against plain loops in double, and equal to the bit under every
// schedule.
#include <cmath>

#include "reduce_kernels.h"
#include "testing.h"

static uint64_t random_state = 1;
static double random_value() {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<double>(random_state >> 40) / (1 << 23) - 1;
}

template <typename T> static void test_rows(const char *type, double tolerance) {
  struct {
    int rows, columns;
    dim3 block;
  } cases[] = {{3, 1, {32}}, {2, 31, {64}}, {5, 1000, {256}}, {1, 5000, {1024}}, {2, 300, {16, 6}}};
  const emu_options schedules[] = {
      {EMU_IN_ORDER, 0, 1}, {EMU_RANDOM, 1, 1}, {EMU_WARP_GREEDY, 1, 1}, {EMU_WARP_GREEDY, 2, 2}};
  for (auto &c : cases) {
    size_t rows = static_cast<size_t>(c.rows), columns = static_cast<size_t>(c.columns);
    DeviceArray<T> x(rows * columns), first_sum(rows), first_max(rows);
    for (size_t i = 0; i < x.size(); i++)
      x[i] = static_cast<T>(random_value());
    for (size_t s = 0; s < sizeof schedules / sizeof *schedules; s++) {
      emu_configure(&schedules[s]);
      DeviceArray<T> sum(rows), max(rows);
      cudaError_t status =
          launch_row_statistics(x.get(), sum.get(), max.get(), c.rows, c.columns, c.block, nullptr);
      CHECK(status == cudaSuccess, "status %d", status);
      if (s == 0) {
        memcpy(first_sum.get(), sum.get(), sum.bytes());
        memcpy(first_max.get(), max.get(), max.bytes());
      }
      CHECK(memcmp(first_sum.get(), sum.get(), sum.bytes()) == 0, "%s schedule %zu", type, s);
      CHECK(memcmp(first_max.get(), max.get(), max.bytes()) == 0, "%s schedule %zu", type, s);
    }
    for (size_t r = 0; r < rows; r++) {
      double sum = 0, max = -INFINITY, scale = 0;
      for (size_t i = r * columns; i < (r + 1) * columns; i++) {
        sum += static_cast<double>(x[i]);
        scale += std::fabs(static_cast<double>(x[i]));
        max = std::fmax(max, static_cast<double>(x[i]));
      }
      CHECK(std::fabs(static_cast<double>(first_sum[r]) - sum) <= tolerance * scale,
            "%s row %zu: %g, wanted %g", type, r, static_cast<double>(first_sum[r]), sum);
      CHECK(std::fabs(static_cast<double>(first_max[r]) - max) <= tolerance,
            "%s row %zu: %g, wanted %g", type, r, static_cast<double>(first_max[r]), max);
    }
  }
  emu_configure(nullptr);
}

template <typename T> static void test_four(const char *type) {
  for (int n : {1, 2, 3, 4, 7, 1024, 1030}) {
    size_t size = static_cast<size_t>(n);
    DeviceArray<T> x(size), y(size);
    for (size_t i = 0; i < size; i++)
      x[i] = static_cast<T>(static_cast<float>(static_cast<int>(i % 100) - 50)); // exact everywhere
    launch_twice4(x.get(), y.get(), n, nullptr);
    for (size_t i = 0; i < size; i++)
      CHECK(static_cast<float>(y[i]) == 2 * static_cast<float>(x[i]), "%s n=%d [%zu]", type, n, i);
  }
}

int main() {
  test_rows<float>("float", 1e-6);
  test_rows<double>("double", 1e-14);
  test_four<float>("float");
  test_four<__nv_bfloat16>("bfloat16");
  return test_result();
}
