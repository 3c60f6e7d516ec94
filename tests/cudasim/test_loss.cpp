// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "call.h"

// Rows by a thread, a warp and a block; enough of them for several blocks.
static void test_losses(int64_t rows, int64_t K) {
  size_t n = static_cast<size_t>(rows), count = static_cast<size_t>(rows * K);
  DeviceArray<float> x(count), wanted(count), weight(n), loss(n), dx(count), y(count);
  DeviceArray<int32_t> target(n);
  DeviceArray<co_step> step(1);
  DeviceArray<double> sum(1), hits(2);
  fill_integers(x, 1);
  fill_integers(wanted, 2);
  step[0] = co_step{};
  step[0].inv_norm[0] = 1;
  for (size_t i = 0; i < n; i++) {
    target[i] = static_cast<int32_t>(i % static_cast<size_t>(K));
    weight[i] = i % 5 == 0 ? 0.0f : 1.0f;
  }
  Call classes, squares, binary, accuracy, softmax;
  const int64_t step_bytes = sizeof(co_step);
  classes.input(x, CO_F32, {rows, K});
  classes.input(target, CO_I32, {rows});
  squares.input(x, CO_F32, {rows, K});
  squares.input(wanted, CO_F32, {rows, K});
  binary.input(x, CO_F32, {rows, K});
  binary.input(wanted, CO_F32, {rows, K});
  for (Call *call : {&classes, &squares, &binary}) {
    call->input(weight, CO_F32, {rows});
    call->input(step, CO_U8, {step_bytes});
    call->output(loss, CO_F32, {rows});
    call->output(sum, CO_F64, {1});
    call->output(dx, CO_F32, {rows, K});
  }
  classes.run(co_cuda_softmax_cross_entropy, co_cuda_loss_scratch);
  double total = 0;
  for (size_t i = 0; i < n; i++)
    total += static_cast<double>(weight[i]) * static_cast<double>(loss[i]);
  CHECK(std::fabs(sum[0] - total) < 1e-6 * (1 + total), "%g and %g", sum[0], total);
  squares.run(co_cuda_pointwise_loss, co_cuda_loss_scratch);
  total = 0;
  for (size_t i = 0; i < count; i++) {
    double error = static_cast<double>(x[i]) - static_cast<double>(wanted[i]);
    total += static_cast<double>(weight[i / static_cast<size_t>(K)]) * error * error / K;
  }
  CHECK(std::fabs(sum[0] - total) < 1e-5 * (1 + total), "%g and %g", sum[0], total);
  binary.desc.attr.pointwise = CO_POINTWISE_BINARY;
  binary.desc.attr.positive_weight = 1;
  binary.run(co_cuda_pointwise_loss, co_cuda_loss_scratch);
  total = 0;
  for (size_t i = 0; i < count; i++) {
    double z = static_cast<double>(x[i]), t = static_cast<double>(wanted[i]);
    total += static_cast<double>(weight[i / static_cast<size_t>(K)]) *
             (std::log1p(std::exp(z)) - z * t) / K;
  }
  CHECK(std::fabs(sum[0] - total) < 1e-5 * (1 + std::fabs(total)), "%g and %g", sum[0], total);
  accuracy.input(x, CO_F32, {rows, K});
  accuracy.input(target, CO_I32, {rows});
  accuracy.input(weight, CO_F32, {rows});
  accuracy.output(hits, CO_F64, {2});
  accuracy.run(co_cuda_categorical_hits, co_cuda_loss_scratch);
  total = 0;
  for (size_t i = 0; i < n; i++)
    total += static_cast<double>(weight[i]);
  CHECK(hits[1] == total && hits[0] >= 0 && hits[0] <= total, "%g of %g", hits[0], hits[1]);
  DeviceArray<double> beside(2); // the loss's own count
  beside[0] = beside[1] = 3;
  classes.output(beside, CO_F64, {2});
  classes.desc.accumulate = 8;
  classes.run(co_cuda_softmax_cross_entropy, co_cuda_loss_scratch);
  CHECK(beside[0] == hits[0] + 3 && beside[1] == hits[1] + 3, "%g of %g", beside[0], beside[1]);
  softmax.input(x, CO_F32, {rows, K});
  softmax.output(y, CO_F32, {rows, K});
  softmax.run(co_cuda_softmax, nullptr);
  for (size_t r = 0; r < n; r++) {
    double row = 0;
    for (size_t k = 0; k < static_cast<size_t>(K); k++)
      row += static_cast<double>(y[r * static_cast<size_t>(K) + k]);
    CHECK(std::fabs(row - 1) < 1e-4, "row %zu sums to %g", r, row);
  }
}

int main() {
  test_losses(1, 1);
  test_losses(600, 2);
  test_losses(21, 40);
  test_losses(3, 2049);
  return test_result();
}
