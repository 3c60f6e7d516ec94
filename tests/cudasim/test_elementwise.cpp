// SPDX-License-Identifier: Apache-2.0
// bf16 by itself: lengths that are no multiple of a vector, one rounding at the end, what is not
// finite.
#include <cmath>

#include "call.h"
#include "kernels/bf16.h"

// Launchers of other files that elementwise.cu refers to.
extern "C" cudaError_t co_cuda_copy(const co_cuda_call *) {
  return cudaErrorUnknown;
}

static void test_add(int64_t count, bool accumulate) {
  size_t n = static_cast<size_t>(count);
  DeviceArray<uint16_t> a(n), b(n), y(n);
  DeviceArray<float> before(n);
  for (size_t i = 0; i < n; i++) {
    int k = static_cast<int>(i);
    a[i] = co_bf16_round(256.0f + static_cast<float>(2 * (k % 64)));
    b[i] = co_bf16_round(0.75f * static_cast<float>(k % 7 - 3));
    before[i] = static_cast<float>(k % 3) * 0.5f;
    y[i] = co_bf16_round(before[i]);
  }
  Call call;
  call.input(a, CO_BF16, {count});
  call.input(b, CO_BF16, {count});
  call.output(y, CO_BF16, {count});
  call.desc.accumulate = accumulate ? 1 : 0;
  call.run(co_cuda_add, nullptr);
  for (size_t i = 0; i < n; i++) {
    float sum = co_bf16_widen(a[i]) + co_bf16_widen(b[i]);
    uint16_t wanted = co_bf16_round(accumulate ? before[i] + sum : sum);
    CHECK(y[i] == wanted, "element %zu of %zu is %x instead of %x", i, n, y[i], wanted);
  }
}

static void test_not_finite() {
  const uint16_t values[] = {0x7FFF, 0xFFC1, 0x7F80, 0xFF80, 0x7F7F,
                             0xFF7F, 0x0000, 0x8000, 0x0001};
  const int64_t count = sizeof values / sizeof *values;
  DeviceArray<uint16_t> x(count), y(count), sum(count);
  DeviceArray<float> wide(count);
  for (size_t i = 0; i < count; i++)
    x[i] = values[i];
  Call relu, add;
  relu.input(x, CO_BF16, {count});
  relu.output(y, CO_BF16, {count});
  relu.run(co_cuda_relu, nullptr);
  add.input(x, CO_BF16, {count});
  add.input(x, CO_BF16, {count});
  add.output(sum, CO_BF16, {count});
  add.run(co_cuda_add, nullptr);
  CHECK(co_cuda_widen(wide.get(), x.get(), count, false, nullptr) == cudaSuccess, "widen");
  for (size_t i = 0; i < count; i++) {
    float value = co_bf16_widen(values[i]), twice = value + value;
    float cut = value < 0 ? 0.0f : value; // NaN passes
    CHECK(co_bf16_round(co_bf16_widen(y[i])) == co_bf16_round(cut), "relu of %x is %x", values[i],
          y[i]);
    CHECK(sum[i] == co_bf16_round(twice), "twice %x is %x", values[i], sum[i]);
    CHECK(std::isnan(value) ? std::isnan(wide[i]) : wide[i] == value, "%x is %g", values[i],
          static_cast<double>(wide[i]));
  }
}

int main() {
  for (int64_t count : {1, 3, 4, 7, 1023, 5002}) {
    test_add(count, false);
    test_add(count, true);
  }
  test_not_finite();
  return test_result();
}
