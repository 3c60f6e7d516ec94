// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "call.h"

static void test_channels(int64_t C) {
  const int64_t rows = 601;
  const size_t n = static_cast<size_t>(C);
  DeviceArray<float> x(static_cast<size_t>(rows * C)), gamma(n), beta(n), mean(n), variance(n);
  DeviceArray<float> y(x.size()), batch_mean(n), batch_variance(n), dy(x.size()), dx(x.size());
  DeviceArray<float> dgamma(n), dbeta(n);
  fill_integers(x, 3);
  fill_integers(dy, 4);
  fill_integers(gamma, 5);
  fill_integers(beta, 6);
  fill_integers(mean, 7);
  fill_integers(variance, 8);
  Call forward;
  forward.desc.attr.epsilon = 1e-3;
  forward.desc.attr.momentum = 0.5;
  forward.input(x, CO_F32, {rows, C});
  for (DeviceArray<float> *p : {&gamma, &beta, &mean, &variance})
    forward.input(*p, CO_F32, {C});
  forward.output(y, CO_F32, {rows, C});
  for (DeviceArray<float> *p : {&batch_mean, &batch_variance, &mean, &variance})
    forward.output(*p, CO_F32, {C});
  forward.run(co_cuda_batch_norm, co_cuda_batch_norm_scratch);
  Call backward;
  backward.desc.attr.epsilon = 1e-3;
  backward.input(x, CO_F32, {rows, C});
  for (DeviceArray<float> *p : {&gamma, &batch_mean, &batch_variance})
    backward.input(*p, CO_F32, {C});
  backward.input(dy, CO_F32, {rows, C});
  backward.output(dx, CO_F32, {rows, C});
  backward.output(dgamma, CO_F32, {C});
  backward.output(dbeta, CO_F32, {C});
  backward.run(co_cuda_batch_norm_backward, co_cuda_batch_norm_backward_scratch);
  for (size_t c = 0; c < n; c++) {
    double sum = 0, squares = 0, gradient = 0;
    for (size_t r = 0; r < rows; r++) {
      sum += static_cast<double>(x[r * n + c]);
      squares += static_cast<double>(x[r * n + c]) * static_cast<double>(x[r * n + c]);
      gradient += static_cast<double>(dy[r * n + c]);
    }
    double center = sum / rows, spread = squares / rows - center * center;
    CHECK(std::fabs(static_cast<double>(batch_mean[c]) - center) < 1e-6, "channel %zu", c);
    CHECK(std::fabs(static_cast<double>(batch_variance[c]) - spread) < 1e-5, "channel %zu", c);
    CHECK(static_cast<double>(dbeta[c]) == gradient, "channel %zu", c);
    CHECK(std::isfinite(dgamma[c]) && std::isfinite(dx[c]) && std::isfinite(y[c]), "channel %zu",
          c);
  }
}

int main() {
  test_channels(5);
  test_channels(12); // four a thread
  return test_result();
}
