// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

// The events of a row that count, and what each counts.
static int64_t first_of(const co_op_desc *desc, int64_t length) {
  return desc->attr.pooling == CO_POOL_LAST && length ? length - 1 : 0;
}

static double share_of(const co_op_desc *desc, int64_t length) {
  return desc->attr.pooling == CO_POOL_MEAN && length ? 1 / (double)length : 1;
}

void CO_REF(pool_events)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_POOL_EVENTS_x].shape.dim, T = dim[1], C = dim[2];
  const real *x = in[CO_POOL_EVENTS_x];
  real *y = out[CO_POOL_EVENTS_y];
  for (int64_t n = 0; n < dim[0]; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_POOL_EVENTS_lengths])[n], T);
    for (int64_t c = 0; c < C; c++) {
      double sum = 0;
      for (int64_t t = first_of(desc, length); t < length; t++)
        sum += (double)x[(n * T + t) * C + c];
      y[n * C + c] = (real)(sum * share_of(desc, length));
    }
  }
}

void CO_REF(pool_events_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->out[CO_POOL_EVENTS_BACKWARD_dx].shape.dim, T = dim[1], C = dim[2];
  const real *dy = in[CO_POOL_EVENTS_BACKWARD_dy];
  real *dx = out[CO_POOL_EVENTS_BACKWARD_dx];
  for (int64_t n = 0; n < dim[0]; n++) {
    const int64_t length =
        co_clamp_length(((const int32_t *)in[CO_POOL_EVENTS_BACKWARD_lengths])[n], T);
    for (int64_t t = 0; t < T; t++)
      for (int64_t c = 0; c < C; c++) {
        bool counts = t >= first_of(desc, length) && t < length;
        co_put(desc, CO_POOL_EVENTS_BACKWARD_dx, &dx[(n * T + t) * C + c],
               counts ? (double)dy[n * C + c] * share_of(desc, length) : 0);
      }
  }
}

#if CO_REF_ONCE
co_status co_infer_pool_events(co_op_desc *desc) {
  const co_shape *x = &desc->in[CO_POOL_EVENTS_x].shape;
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_POOL_EVENTS_x, 3, 3));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_POOL_EVENTS_x, 0));
  const co_shape rows = {1, {x->dim[0]}}, y = {2, {x->dim[0], x->dim[2]}};
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_POOL_EVENTS_lengths, CO_I32));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_POOL_EVENTS_lengths, &rows));
  co_set_out(desc, CO_POOL_EVENTS_y, desc->in[0].dtype, &y);
  return CO_OK;
}

co_status co_infer_pool_events_backward(co_op_desc *desc) {
  const co_shape *dy = &desc->in[CO_POOL_EVENTS_BACKWARD_dy].shape, *length = &desc->attr.shape;
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_POOL_EVENTS_BACKWARD_dy, 2, 2));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_POOL_EVENTS_BACKWARD_lengths, CO_I32));
  const co_shape rows = {1, {dy->dim[0]}};
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_POOL_EVENTS_BACKWARD_lengths, &rows));
  if (length->rank != 1 || length->dim[0] == 0)
    return co_fail(CO_ERR_CONFIG, "pool_events_backward: one length is needed for all rows");
  const co_shape dx = {3, {dy->dim[0], length->dim[0], dy->dim[1]}};
  co_set_out(desc, CO_POOL_EVENTS_BACKWARD_dx, desc->in[CO_POOL_EVENTS_BACKWARD_dy].dtype, &dx);
  return CO_OK;
}
#endif
