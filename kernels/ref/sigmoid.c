// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(sigmoid)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[CO_SIGMOID_x].shape);
  const real *x = in[CO_SIGMOID_x];
  real *y = out[CO_SIGMOID_y];
  for (int64_t i = 0; i < count; i++)
    y[i] = (real)(1 / (1 + exp(-(double)x[i])));
}

void CO_REF(sigmoid_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[CO_SIGMOID_BACKWARD_y].shape);
  const real *y = in[CO_SIGMOID_BACKWARD_y], *dy = in[CO_SIGMOID_BACKWARD_dy];
  real *dx = out[CO_SIGMOID_BACKWARD_dx];
  for (int64_t i = 0; i < count; i++)
    co_put(desc, CO_SIGMOID_BACKWARD_dx, &dx[i], (double)dy[i] * (double)y[i] * (1 - (double)y[i]));
}

#if CO_REF_ONCE
co_status co_infer_sigmoid(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_SIGMOID_x, CO_SIGMOID_x));
  co_set_out(desc, CO_SIGMOID_y, desc->in[CO_SIGMOID_x].dtype, &desc->in[CO_SIGMOID_x].shape);
  return CO_OK;
}

CO_INFER_BACKWARD(sigmoid_backward)
#endif
