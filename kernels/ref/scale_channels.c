// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

static int64_t last(const co_shape *shape) {
  return shape->dim[shape->rank - 1];
}

void CO_REF(scale_channels)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[CO_SCALE_CHANNELS_x].shape;
  const int64_t C = last(shape), row = co_row_count(shape), count = co_shape_count(shape);
  const real *x = in[CO_SCALE_CHANNELS_x], *s = in[CO_SCALE_CHANNELS_s]; // (N, …, C), (N, C)
  real *y = out[CO_SCALE_CHANNELS_y];
  for (int64_t i = 0; i < count; i++)
    co_put(desc, CO_SCALE_CHANNELS_y, &y[i], (double)x[i] * (double)s[i / row * C + i % C]);
}

void CO_REF(scale_channels_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[CO_SCALE_CHANNELS_BACKWARD_x].shape;
  const int64_t C = last(shape), row = co_row_count(shape), N = shape->dim[0];
  const real *x = in[CO_SCALE_CHANNELS_BACKWARD_x], *dy = in[CO_SCALE_CHANNELS_BACKWARD_dy];
  real *ds = out[CO_SCALE_CHANNELS_BACKWARD_ds];
  for (int64_t i = 0; i < N * C; i++) {
    double sum = 0;
    for (int64_t at = i / C * row + i % C; at < (i / C + 1) * row; at += C)
      sum += (double)x[at] * (double)dy[at];
    co_put(desc, CO_SCALE_CHANNELS_BACKWARD_ds, &ds[i], sum);
  }
}

#if CO_REF_ONCE
co_status co_infer_scale_channels(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_SCALE_CHANNELS_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_SCALE_CHANNELS_x, 3, CO_MAX_RANK));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_SCALE_CHANNELS_x, CO_SCALE_CHANNELS_x));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_SCALE_CHANNELS_s, CO_SCALE_CHANNELS_x));
  const co_shape s = co_shape_make(2, x->shape.dim[0], last(&x->shape));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_SCALE_CHANNELS_s, &s));
  co_set_out(desc, CO_SCALE_CHANNELS_y, x->dtype, &x->shape);
  return CO_OK;
}

CO_INFER_BACKWARD(scale_channels_backward)
#endif
