// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(upsample2d)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *xd = desc->in[0].shape.dim, *yd = desc->out[0].shape.dim;
  const int64_t H = xd[1], W = xd[2], C = xd[3], P = yd[1], Q = yd[2];
  const real *x = in[0]; // (N, H, W, C)
  real *y = out[0];      // (N, P, Q, C)
  for (int64_t n = 0; n < xd[0]; n++)
    for (int64_t p = 0; p < P; p++)
      for (int64_t q = 0; q < Q; q++)
        for (int64_t c = 0; c < C; c++) {
          int64_t h = p / desc->attr.stride[0], w = q / desc->attr.stride[1];
          y[((n * P + p) * Q + q) * C + c] = x[((n * H + h) * W + w) * C + c];
        }
}

void CO_REF(upsample2d_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *xd = desc->out[0].shape.dim, *yd = desc->in[0].shape.dim;
  const int64_t H = xd[1], W = xd[2], C = xd[3], P = yd[1], Q = yd[2];
  const int64_t SH = desc->attr.stride[0], SW = desc->attr.stride[1];
  const real *dy = in[0]; // (N, P, Q, C)
  real *dx = out[0];      // (N, H, W, C)
  for (int64_t n = 0; n < xd[0]; n++)
    for (int64_t h = 0; h < H; h++)
      for (int64_t w = 0; w < W; w++)
        for (int64_t c = 0; c < C; c++) {
          double sum = 0;
          for (int64_t k = 0; k < SH * SW; k++) {
            int64_t p = h * SH + k / SW, q = w * SW + k % SW;
            sum += (double)dy[((n * P + p) * Q + q) * C + c];
          }
          co_put(desc, 0, &dx[((n * H + h) * W + w) * C + c], sum);
        }
}

#if CO_REF_ONCE
co_status co_infer_upsample2d(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  const co_shape *x = &desc->in[0].shape;
  const int64_t *factor = desc->attr.stride;
  for (int axis = 0; axis < 2; axis++)
    if (x->dim[1 + axis] < 1 || factor[axis] < 1 || factor[axis] > INT32_MAX / x->dim[1 + axis])
      return co_fail(CO_ERR_CONFIG, "upsample2d: the size of the image is out of range");
  co_shape y = co_shape_make(4, x->dim[0], x->dim[1] * factor[0], x->dim[2] * factor[1], x->dim[3]);
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(upsample2d_backward)
#endif
