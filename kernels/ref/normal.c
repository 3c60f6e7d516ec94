// SPDX-License-Identifier: Apache-2.0
// Normal distributions of a bottleneck's numbers: drawn from, and told apart from the standard one.
#include "kernels/ref/real.h"

void CO_REF(sample_normal)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t count = co_shape_count(&desc->in[CO_SAMPLE_NORMAL_mean].shape);
  const real *mean = in[CO_SAMPLE_NORMAL_mean], *noise = in[CO_SAMPLE_NORMAL_noise];
  const real *log_variance = in[CO_SAMPLE_NORMAL_log_variance];
  real *y = out[CO_SAMPLE_NORMAL_y];
  for (int64_t i = 0; i < count; i++)
    y[i] = (real)((double)mean[i] + exp((double)log_variance[i] / 2) * (double)noise[i]);
}

void CO_REF(sample_normal_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t count = co_shape_count(&desc->in[CO_SAMPLE_NORMAL_BACKWARD_dy].shape);
  const real *log_variance = in[CO_SAMPLE_NORMAL_BACKWARD_log_variance];
  const real *noise = in[CO_SAMPLE_NORMAL_BACKWARD_noise], *dy = in[CO_SAMPLE_NORMAL_BACKWARD_dy];
  real *dlog_variance = out[CO_SAMPLE_NORMAL_BACKWARD_dlog_variance];
  for (int64_t i = 0; i < count; i++)
    co_put(desc, CO_SAMPLE_NORMAL_BACKWARD_dlog_variance, &dlog_variance[i],
           (double)dy[i] * (double)noise[i] * exp((double)log_variance[i] / 2) / 2);
}

void CO_REF(kl_normal)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t count = co_shape_count(&desc->in[CO_KL_NORMAL_mean].shape);
  const real *mean = in[CO_KL_NORMAL_mean], *log_variance = in[CO_KL_NORMAL_log_variance];
  real *y = out[CO_KL_NORMAL_y];
  for (int64_t i = 0; i < count; i++) {
    const double m = (double)mean[i], v = (double)log_variance[i];
    y[i] = (real)((m * m + (expm1(v) - v)) / 2);
  }
}

void CO_REF(kl_normal_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t count = co_shape_count(&desc->in[CO_KL_NORMAL_BACKWARD_dy].shape);
  const real *mean = in[CO_KL_NORMAL_BACKWARD_mean], *dy = in[CO_KL_NORMAL_BACKWARD_dy];
  const real *log_variance = in[CO_KL_NORMAL_BACKWARD_log_variance];
  real *dmean = out[CO_KL_NORMAL_BACKWARD_dmean];
  real *dlog_variance = out[CO_KL_NORMAL_BACKWARD_dlog_variance];
  for (int64_t i = 0; i < count; i++) {
    co_put(desc, CO_KL_NORMAL_BACKWARD_dmean, &dmean[i], (double)dy[i] * (double)mean[i]);
    co_put(desc, CO_KL_NORMAL_BACKWARD_dlog_variance, &dlog_variance[i],
           (double)dy[i] * expm1((double)log_variance[i]) / 2);
  }
}

#if CO_REF_ONCE
// All operands are rows of as many numbers as the first.
static co_status infer_alike(co_op_desc *desc, int inputs) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, 2));
  for (int i = 0; i < inputs; i++) {
    CO_RETURN_IF_FAILED(co_check_shape(desc, i, &desc->in[0].shape));
    CO_RETURN_IF_FAILED(co_check_real(desc, i, 0));
  }
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}

co_status co_infer_sample_normal(co_op_desc *desc) {
  return infer_alike(desc, 3);
}

co_status co_infer_kl_normal(co_op_desc *desc) {
  return infer_alike(desc, 2);
}

CO_INFER_BACKWARD(sample_normal_backward)
CO_INFER_BACKWARD(kl_normal_backward)
#endif
