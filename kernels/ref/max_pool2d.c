// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/pool.h"

void CO_REF(max_pool2d)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_pool s = co_pool_of(&desc->attr, &desc->in[0].shape, &desc->out[0].shape);
  const bool relu = desc->attr.activation == CO_ACTIVATION_RELU;
  const real *x = in[0];    // (N, H, W, C)
  real *y = out[0];         // (N, P, Q, C)
  int32_t *argmax = out[1]; // (N, P, Q, C) or NULL
  for (int64_t i = 0; i < s.windows * s.C; i++) {
    real best = 0;
    int32_t winner = -1;
    for (int32_t k = 0; k < s.KH * s.KW; k++) {
      const int64_t pixel = co_pool_pixel(&s, i / s.C, k);
      if (pixel < 0) continue;
      const real value = x[pixel * s.C + i % s.C];
      if (winner >= 0 && !(value > best)) continue;
      best = value;
      winner = k;
    }
    if (relu && !(best > 0)) winner = -1;
    y[i] = (real)co_activate(desc->attr.activation, (double)best);
    if (argmax != NULL) argmax[i] = winner;
  }
}

void CO_REF(max_pool2d_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_pool s = co_pool_of(&desc->attr, &desc->out[0].shape, &desc->in[0].shape);
  real *dx = out[0]; // (N, H, W, C)
  for (int64_t i = 0; i < s.pixels * s.C; i++)
    co_put(desc, 0, &dx[i], CO_REF(unpooled)(&s, in[0], in[1], i));
}

#if CO_REF_ONCE
co_status co_infer_max_pool2d(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  const co_shape *x = &desc->in[0].shape;
  int64_t P = 0, Q = 0;
  CO_RETURN_IF_FAILED(co_check_pool(desc, &P, &Q));
  co_shape y = co_shape_make(4, x->dim[0], P, Q, x->dim[3]);
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  co_set_out(desc, 1, CO_I32, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(max_pool2d_backward)
#endif
