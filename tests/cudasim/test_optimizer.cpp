// SPDX-License-Identifier: Apache-2.0
#include "call.h"
#include "kernels/bf16.h"

int main() {
  const int64_t n = 5000, split = 4096; // gradients from there on in bf16
  DeviceArray<float> w(n), g(n), m(n), before(n), wide(split);
  DeviceArray<uint16_t> mirror(n), narrow(n - split);
  DeviceArray<co_segment> segments(3);
  DeviceArray<co_step> step(1);
  DeviceArray<double> sum(1), gate(2), begun(1);
  fill_integers(w, 1);
  fill_integers(g, 2);
  fill_integers(m, 3);
  for (size_t i = 0; i < n; i++)
    before[i] = w[i], mirror[i] = 7;
  for (size_t i = 0; i < split; i++)
    wide[i] = g[i];
  for (size_t i = split; i < n; i++)
    narrow[i - split] = co_bf16_round(g[i]);
  begun[0] = 5;
  segments[0] = {3, 10, 1, 0};
  segments[1] = {20, 1100, 2, 0};
  segments[2] = {2047, 2900, 1, 0};
  step[0] = co_step{};
  step[0].learning_rate = 0.5;
  const int64_t bytes = 3 * sizeof(co_segment), step_bytes = sizeof(co_step);
  Call norm, update;
  norm.input(wide, CO_F32, {split});
  norm.input(segments, CO_U8, {bytes});
  norm.input(begun, CO_F64, {1});
  norm.input(narrow, CO_BF16, {n - split});
  norm.output(sum, CO_F64, {1});
  norm.output(gate, CO_F64, {2});
  norm.run(co_cuda_gradient_norm, co_cuda_gradient_norm_scratch);
  update.input(w, CO_F32, {n});
  update.input(wide, CO_F32, {split});
  update.input(m, CO_F32, {n});
  update.input(segments, CO_U8, {bytes});
  update.input(step, CO_U8, {step_bytes});
  update.input(gate, CO_F64, {2});
  update.input(narrow, CO_BF16, {n - split});
  update.output(w, CO_F32, {n});
  update.output(m, CO_F32, {n});
  update.output(mirror, CO_BF16, {n});
  update.run(co_cuda_sgd, nullptr); // momentum 0
  double wanted = begun[0];
  for (size_t i = 0; i < n; i++) {
    float rate = 0;
    for (size_t s = 0; s < 3; s++) {
      size_t begin = static_cast<size_t>(segments[s].begin);
      if (i >= begin && i < begin + static_cast<size_t>(segments[s].count))
        rate = static_cast<float>(segments[s].rate);
    }
    if (rate > 0) wanted += static_cast<double>(g[i]) * static_cast<double>(g[i]);
    uint16_t rounded = co_bf16_round(w[i]);
    CHECK(mirror[i] == (rate > 0 ? rounded : 7), "mirror of element %zu is %x", i, mirror[i]);
    CHECK(w[i] == before[i] - 0.5f * rate * g[i], "element %zu is %g", i,
          static_cast<double>(w[i]));
  }
  CHECK(sum[0] == wanted && gate[0] == 1 && gate[1] == 1, "%g instead of %g", sum[0], wanted);
  return test_result();
}
