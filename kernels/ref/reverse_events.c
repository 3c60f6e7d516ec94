// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(reverse_events)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_REVERSE_EVENTS_x].shape.dim, T = dim[1], C = dim[2];
  const int32_t *lengths = in[CO_REVERSE_EVENTS_lengths]; // or NULL
  const real *x = in[CO_REVERSE_EVENTS_x];
  real *y = out[CO_REVERSE_EVENTS_y];
  for (int64_t n = 0; n < dim[0]; n++) {
    const int64_t length = lengths ? co_clamp_length(lengths[n], T) : T;
    for (int64_t t = 0; t < T; t++)
      for (int64_t c = 0; c < C; c++)
        co_put(desc, CO_REVERSE_EVENTS_y, &y[(n * T + t) * C + c],
               t < length ? (double)x[(n * T + length - 1 - t) * C + c] : 0);
  }
}

#if CO_REF_ONCE
co_status co_infer_reverse_events(co_op_desc *desc) {
  const co_shape *x = &desc->in[CO_REVERSE_EVENTS_x].shape;
  const co_shape rows = {1, {x->dim[0]}};
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_REVERSE_EVENTS_x, 3, 3));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_REVERSE_EVENTS_x, CO_REVERSE_EVENTS_x));
  if (desc->has_in >> CO_REVERSE_EVENTS_lengths & 1) {
    CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_REVERSE_EVENTS_lengths, CO_I32));
    CO_RETURN_IF_FAILED(co_check_shape(desc, CO_REVERSE_EVENTS_lengths, &rows));
  }
  co_set_out(desc, CO_REVERSE_EVENTS_y, desc->in[CO_REVERSE_EVENTS_x].dtype, x);
  return CO_OK;
}
#endif
