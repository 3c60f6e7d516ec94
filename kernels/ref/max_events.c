// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

// Of the largest of a row's events in a channel the first; `length` is above 0.
static int64_t CO_REF(largest)(const real *x, int64_t length, int64_t C) {
  int64_t best = 0;
  for (int64_t t = 1; t < length; t++)
    if (x[t * C] > x[best * C]) best = t;
  return best;
}

void CO_REF(max_events)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_MAX_EVENTS_x].shape.dim, T = dim[1], C = dim[2];
  const real *x = in[CO_MAX_EVENTS_x];
  real *y = out[CO_MAX_EVENTS_y];
  for (int64_t n = 0; n < dim[0]; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_MAX_EVENTS_lengths])[n], T);
    for (int64_t c = 0; c < C; c++) {
      const real *row = x + n * T * C + c;
      y[n * C + c] = length ? row[CO_REF(largest)(row, length, C) * C] : 0;
    }
  }
}

void CO_REF(max_events_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_MAX_EVENTS_BACKWARD_x].shape.dim, T = dim[1], C = dim[2];
  const real *x = in[CO_MAX_EVENTS_BACKWARD_x], *dy = in[CO_MAX_EVENTS_BACKWARD_dy];
  real *dx = out[CO_MAX_EVENTS_BACKWARD_dx];
  for (int64_t n = 0; n < dim[0]; n++) {
    const int64_t length =
        co_clamp_length(((const int32_t *)in[CO_MAX_EVENTS_BACKWARD_lengths])[n], T);
    for (int64_t c = 0; c < C; c++) {
      const int64_t first = n * T * C + c;
      const int64_t best = length ? CO_REF(largest)(x + first, length, C) : -1;
      for (int64_t t = 0; t < T; t++)
        co_put(desc, CO_MAX_EVENTS_BACKWARD_dx, &dx[first + t * C],
               t == best ? (double)dy[n * C + c] : 0);
    }
  }
}

#if CO_REF_ONCE
co_status co_infer_max_events(co_op_desc *desc) {
  const co_shape *x = &desc->in[CO_MAX_EVENTS_x].shape;
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_MAX_EVENTS_x, 3, 3));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_MAX_EVENTS_x, 0));
  const co_shape rows = {1, {x->dim[0]}}, y = {2, {x->dim[0], x->dim[2]}};
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_MAX_EVENTS_lengths, CO_I32));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_MAX_EVENTS_lengths, &rows));
  co_set_out(desc, CO_MAX_EVENTS_y, desc->in[0].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(max_events_backward)
#endif
