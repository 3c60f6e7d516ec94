// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstring>

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

// The image normalised, masked and pooled, and the gradients, by operations of their own or at once.
struct Pooled {
  DeviceArray<float> y, mean, variance, dx, dgamma, dbeta;
  DeviceArray<uint8_t> argmax;
  Pooled(size_t pixels, size_t windows, size_t C)
      : y(windows * C), mean(C), variance(C), dx(pixels * C), dgamma(C), dbeta(C),
        argmax(windows * C) {}
};

struct Image {
  int64_t N, H, W, C, P, Q, kernel, stride, pad;
  void set(co_op_desc &desc, co_op op, bool relu) const {
    desc.op = op;
    desc.attr.epsilon = 1e-3;
    desc.attr.momentum = 0.5;
    for (int axis = 0; axis < 2; axis++) {
      desc.attr.kernel[axis] = kernel;
      desc.attr.stride[axis] = stride;
      desc.attr.pad_begin[axis] = desc.attr.pad_end[axis] = pad;
    }
    if (relu) desc.attr.activation = CO_ACTIVATION_RELU;
  }
};

static void test_pool(const Image &s, bool relu) {
  const size_t pixels = static_cast<size_t>(s.N * s.H * s.W), C = static_cast<size_t>(s.C);
  const size_t windows = static_cast<size_t>(s.N * s.P * s.Q);
  DeviceArray<float> x(pixels * C), gamma(C), beta(C), dy(windows * C), middle(pixels * C);
  for (size_t i = 0; i < x.size(); i++)
    x[i] = std::sin(static_cast<float>(i) * 1.7f);
  for (size_t i = 0; i < dy.size(); i++)
    dy[i] = std::cos(static_cast<float>(i) * 0.3f);
  for (size_t c = 0; c < C; c++)
    gamma[c] = c % 3 ? 0.7f : -0.3f, beta[c] = 0.2f - 0.1f * static_cast<float>(c);
  Pooled apart(pixels, windows, C), fused(pixels, windows, C);
  for (Pooled *out : {&apart, &fused}) {
    const bool one = out == &fused;
    DeviceArray<float> running_mean(C), running_variance(C);
    fill_integers(running_mean, 1);
    fill_integers(running_variance, 2);
    Call norm, pool, unpool, backward;
    s.set(norm.desc, CO_OP_BATCH_NORM, relu);
    norm.input(x, CO_F32, {s.N, s.H, s.W, s.C});
    for (DeviceArray<float> *p : {&gamma, &beta, &running_mean, &running_variance})
      norm.input(*p, CO_F32, {s.C});
    if (one)
      norm.output(out->y, CO_F32, {s.N, s.P, s.Q, s.C});
    else
      norm.output(middle, CO_F32, {s.N, s.H, s.W, s.C});
    for (DeviceArray<float> *p : {&out->mean, &out->variance, &running_mean, &running_variance})
      norm.output(*p, CO_F32, {s.C});
    if (one) norm.output(out->argmax, CO_I32, {s.N, s.P, s.Q, s.C});
    norm.desc.out[CO_BATCH_NORM_argmax].layout = 1; // bytes
    norm.run(co_cuda_batch_norm, co_cuda_batch_norm_scratch);
    s.set(pool.desc, CO_OP_MAX_POOL2D, relu);
    pool.input(middle, CO_F32, {s.N, s.H, s.W, s.C});
    pool.output(out->y, CO_F32, {s.N, s.P, s.Q, s.C});
    pool.output(out->argmax, CO_I32, {s.N, s.P, s.Q, s.C});
    pool.desc.out[CO_MAX_POOL2D_argmax].layout = 1;
    if (!one) pool.run(co_cuda_max_pool2d, nullptr);
    s.set(unpool.desc, CO_OP_MAX_POOL2D_BACKWARD, false);
    unpool.input(dy, CO_F32, {s.N, s.P, s.Q, s.C});
    unpool.input(out->argmax, CO_I32, {s.N, s.P, s.Q, s.C});
    unpool.desc.in[CO_MAX_POOL2D_BACKWARD_argmax].layout = 1;
    unpool.output(middle, CO_F32, {s.N, s.H, s.W, s.C});
    if (!one) unpool.run(co_cuda_max_pool2d_backward, nullptr);
    s.set(backward.desc, CO_OP_BATCH_NORM_BACKWARD, false);
    backward.input(x, CO_F32, {s.N, s.H, s.W, s.C});
    for (DeviceArray<float> *p : {&gamma, &out->mean, &out->variance})
      backward.input(*p, CO_F32, {s.C});
    if (one) {
      backward.input(dy, CO_F32, {s.N, s.P, s.Q, s.C});
      backward.input(out->argmax, CO_I32, {s.N, s.P, s.Q, s.C});
      backward.desc.in[CO_BATCH_NORM_BACKWARD_argmax].layout = 1;
    } else {
      backward.input(middle, CO_F32, {s.N, s.H, s.W, s.C});
    }
    backward.output(out->dx, CO_F32, {s.N, s.H, s.W, s.C});
    backward.output(out->dgamma, CO_F32, {s.C});
    backward.output(out->dbeta, CO_F32, {s.C});
    backward.run(co_cuda_batch_norm_backward, co_cuda_batch_norm_backward_scratch);
  }
  CHECK(memcmp(apart.y.get(), fused.y.get(), fused.y.bytes()) == 0, "y, C = %zu", C);
  CHECK(memcmp(apart.argmax.get(), fused.argmax.get(), windows * C) == 0, "argmax, C = %zu", C);
  CHECK(memcmp(apart.dx.get(), fused.dx.get(), fused.dx.bytes()) == 0, "dx, C = %zu", C);
  CHECK(memcmp(apart.dgamma.get(), fused.dgamma.get(), fused.dgamma.bytes()) == 0, "dgamma");
  CHECK(memcmp(apart.dbeta.get(), fused.dbeta.get(), fused.dbeta.bytes()) == 0, "dbeta");
}

int main() {
  test_channels(5);
  test_channels(12);                            // four a thread
  test_pool({3, 7, 6, 8, 3, 3, 2, 2, 0}, true); // a rest of one row
  test_pool({2, 7, 6, 5, 4, 3, 3, 2, 1}, true); // windows overlap
  test_pool({2, 6, 6, 4, 3, 3, 2, 2, 0}, false);
  return test_result();
}
