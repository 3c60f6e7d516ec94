// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(masked_softmax)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[CO_MASKED_SOFTMAX_x].shape;
  const int64_t T = shape->dim[shape->rank - 1], rows = co_shape_count(shape) / T;
  const int32_t *lengths = in[CO_MASKED_SOFTMAX_lengths]; // or NULL
  const real *x = in[CO_MASKED_SOFTMAX_x];
  real *y = out[CO_MASKED_SOFTMAX_y];
  for (int64_t r = 0; r < rows; r++, x += T, y += T) {
    const int64_t n = r / (rows / shape->dim[0]);
    const int64_t length = lengths ? co_clamp_length(lengths[n], T) : T;
    double largest = -INFINITY, sum = 0; // subtracted: exp must not overflow
    for (int64_t t = 0; t < length; t++)
      largest = fmax(largest, (double)x[t]);
    for (int64_t t = 0; t < length; t++)
      sum += exp((double)x[t] - largest);
    for (int64_t t = 0; t < T; t++)
      y[t] = t < length ? (real)(exp((double)x[t] - largest) / sum) : 0;
  }
}

void CO_REF(masked_softmax_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[CO_MASKED_SOFTMAX_BACKWARD_y].shape;
  const int64_t T = shape->dim[shape->rank - 1], rows = co_shape_count(shape) / T;
  const int32_t *lengths = in[CO_MASKED_SOFTMAX_BACKWARD_lengths]; // or NULL
  const real *y = in[CO_MASKED_SOFTMAX_BACKWARD_y], *dy = in[CO_MASKED_SOFTMAX_BACKWARD_dy];
  real *dx = out[CO_MASKED_SOFTMAX_BACKWARD_dx];
  for (int64_t r = 0; r < rows; r++, y += T, dy += T, dx += T) {
    const int64_t n = r / (rows / shape->dim[0]);
    const int64_t length = lengths ? co_clamp_length(lengths[n], T) : T;
    double sum = 0;
    for (int64_t t = 0; t < length; t++)
      sum += (double)y[t] * (double)dy[t];
    for (int64_t t = 0; t < T; t++)
      co_put(desc, CO_MASKED_SOFTMAX_BACKWARD_dx, &dx[t],
             t < length ? (double)y[t] * ((double)dy[t] - sum) : 0);
  }
}

#if CO_REF_ONCE
co_status co_infer_masked_softmax(co_op_desc *desc) {
  const co_shape *x = &desc->in[CO_MASKED_SOFTMAX_x].shape, rows = {1, {x->dim[0]}};
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_MASKED_SOFTMAX_x, 2, CO_MAX_RANK));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_MASKED_SOFTMAX_x, CO_MASKED_SOFTMAX_x));
  if (desc->has_in >> CO_MASKED_SOFTMAX_lengths & 1) {
    CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_MASKED_SOFTMAX_lengths, CO_I32));
    CO_RETURN_IF_FAILED(co_check_shape(desc, CO_MASKED_SOFTMAX_lengths, &rows));
  }
  co_set_out(desc, CO_MASKED_SOFTMAX_y, desc->in[CO_MASKED_SOFTMAX_x].dtype, x);
  return CO_OK;
}

CO_INFER_BACKWARD(masked_softmax_backward)
#endif
