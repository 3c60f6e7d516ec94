// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

// How far the k-th neighbour of an event lies behind it.
static int64_t CO_REF(offset)(const co_op_desc *desc, int64_t k) {
  return k * desc->attr.dilation[0] - desc->attr.pad_begin[0];
}

void CO_REF(unfold_events)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_UNFOLD_EVENTS_x].shape.dim, T = dim[1], C = dim[2];
  const int64_t K = desc->attr.kernel[0];
  const real *x = in[CO_UNFOLD_EVENTS_x];
  real *y = out[CO_UNFOLD_EVENTS_y];
  for (int64_t n = 0; n < dim[0]; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_UNFOLD_EVENTS_lengths])[n], T);
    for (int64_t t = 0; t < T; t++)
      for (int64_t k = 0; k < K; k++) {
        const int64_t s = t + CO_REF(offset)(desc, k);
        const bool there = t < length && s >= 0 && s < length;
        for (int64_t c = 0; c < C; c++)
          y[((n * T + t) * K + k) * C + c] = there ? x[(n * T + s) * C + c] : 0;
      }
  }
}

void CO_REF(unfold_events_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->out[CO_UNFOLD_EVENTS_BACKWARD_dx].shape.dim, T = dim[1], C = dim[2];
  const int64_t K = desc->attr.kernel[0];
  const real *dy = in[CO_UNFOLD_EVENTS_BACKWARD_dy];
  real *dx = out[CO_UNFOLD_EVENTS_BACKWARD_dx];
  for (int64_t n = 0; n < dim[0]; n++) {
    const int64_t length =
        co_clamp_length(((const int32_t *)in[CO_UNFOLD_EVENTS_BACKWARD_lengths])[n], T);
    for (int64_t s = 0; s < T; s++)
      for (int64_t c = 0; c < C; c++) {
        double sum = 0;
        for (int64_t k = 0; k < K && s < length; k++) {
          const int64_t t = s - CO_REF(offset)(desc, k);
          if (t >= 0 && t < length) sum += (double)dy[((n * T + t) * K + k) * C + c];
        }
        co_put(desc, CO_UNFOLD_EVENTS_BACKWARD_dx, &dx[(n * T + s) * C + c], sum);
      }
  }
}

#if CO_REF_ONCE
co_status co_infer_unfold_events(co_op_desc *desc) {
  const co_shape *x = &desc->in[CO_UNFOLD_EVENTS_x].shape;
  const co_op_attr *attr = &desc->attr;
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_UNFOLD_EVENTS_x, 3, 3));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_UNFOLD_EVENTS_x, 0));
  if (attr->kernel[0] < 1 || attr->dilation[0] < 1 || attr->pad_begin[0] < 0)
    return co_fail(CO_ERR_INTERNAL,
                   "unfold_events: kernel or dilation below 1, or padding below 0");
  const co_shape rows = {1, {x->dim[0]}},
                 y = {3, {x->dim[0], x->dim[1], attr->kernel[0] * x->dim[2]}};
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_UNFOLD_EVENTS_lengths, CO_I32));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_UNFOLD_EVENTS_lengths, &rows));
  co_set_out(desc, CO_UNFOLD_EVENTS_y, desc->in[0].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(unfold_events_backward)
#endif
