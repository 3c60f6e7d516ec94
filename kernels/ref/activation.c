// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

static double value_of(const co_op_attr *attr, double x) {
  switch (attr->function) {
  case CO_FUNCTION_GELU:
    return 0.5 * x * erfc(-x * 0.7071067811865476);
  case CO_FUNCTION_SILU:
    return x / (1 + exp(-x));
  case CO_FUNCTION_ELU:
    return x > 0 ? x : attr->alpha * expm1(x);
  default:
    return x > 0 ? x : attr->alpha * x;
  }
}

static double slope_of(const co_op_attr *attr, double x) {
  switch (attr->function) {
  case CO_FUNCTION_GELU: // 1 / sqrt(2 pi) before the density
    return 0.5 * erfc(-x * 0.7071067811865476) + x * 0.3989422804014327 * exp(-0.5 * x * x);
  case CO_FUNCTION_SILU:
    return (1 + x / (1 + exp(x))) / (1 + exp(-x));
  case CO_FUNCTION_ELU:
    return x > 0 ? 1 : attr->alpha * exp(x);
  default:
    return x > 0 ? 1 : attr->alpha;
  }
}

void CO_REF(activation)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[CO_ACTIVATION_x].shape);
  const real *x = in[CO_ACTIVATION_x];
  real *y = out[CO_ACTIVATION_y];
  for (int64_t i = 0; i < count; i++)
    y[i] = (real)value_of(&desc->attr, (double)x[i]);
}

void CO_REF(activation_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[CO_ACTIVATION_BACKWARD_x].shape);
  const real *x = in[CO_ACTIVATION_BACKWARD_x], *dy = in[CO_ACTIVATION_BACKWARD_dy];
  real *dx = out[CO_ACTIVATION_BACKWARD_dx];
  for (int64_t i = 0; i < count; i++)
    co_put(desc, CO_ACTIVATION_BACKWARD_dx, &dx[i],
           (double)dy[i] * slope_of(&desc->attr, (double)x[i]));
}

#if CO_REF_ONCE
co_status co_infer_activation(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_ACTIVATION_x, CO_ACTIVATION_x));
  if (!(desc->attr.alpha >= 0))
    return co_fail(CO_ERR_CONFIG, "the slope below zero must not be negative");
  co_set_out(desc, CO_ACTIVATION_y, desc->in[CO_ACTIVATION_x].dtype,
             &desc->in[CO_ACTIVATION_x].shape);
  return CO_OK;
}

CO_INFER_BACKWARD(activation_backward)
#endif
