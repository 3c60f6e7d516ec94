// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(relu)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[0].shape);
  const real *x = in[0];
  real *y = out[0];
  for (int64_t i = 0; i < count; i++)
    y[i] = (real)co_activate(CO_ACTIVATION_RELU, (double)x[i]);
}

void CO_REF(relu_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[0].shape);
  const double scale = 1 / (1 - desc->attr.rate);
  const real *y = in[0], *dy = in[1];
  real *dx = out[0];
  for (int64_t i = 0; i < count; i++)
    co_put(desc, 0, &dx[i], y[i] > 0 ? (double)dy[i] * scale : 0);
}

void CO_REF(relu_bias_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[0].shape;
  int64_t O = shape->dim[shape->rank - 1], rows = co_shape_count(shape) / O;
  const double scale = 1 / (1 - desc->attr.rate);
  const real *y = in[0], *dy = in[1];
  real *dx = out[0], *db = out[1]; // as y, (O)
  for (int64_t o = 0; o < O; o++) {
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) {
      double value = y[r * O + o] > 0 ? (double)dy[r * O + o] * scale : 0;
      sum += value;
      co_put(desc, 0, &dx[r * O + o], value);
    }
    co_put(desc, 1, &db[o], sum);
  }
}

#if CO_REF_ONCE
co_status co_infer_relu(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}

CO_INFER_BACKWARD(relu_backward)
CO_INFER_BACKWARD(relu_bias_backward)
#endif
