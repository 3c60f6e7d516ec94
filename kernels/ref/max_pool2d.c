// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

typedef struct sizes {
  int64_t N, H, W, C, P, Q;
} sizes;

static sizes sizes_of(const co_shape *x, const co_shape *y) {
  return (sizes){.N = x->dim[0],
                 .H = x->dim[1],
                 .W = x->dim[2],
                 .C = x->dim[3],
                 .P = y->dim[1],
                 .Q = y->dim[2]};
}

void CO_REF(max_pool2d)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(&desc->in[0].shape, &desc->out[0].shape);
  const int64_t KH = desc->attr.kernel[0], KW = desc->attr.kernel[1];
  const real *x = in[0];    // (N, H, W, C)
  real *y = out[0];         // (N, P, Q, C)
  int32_t *argmax = out[1]; // (N, P, Q, C) or NULL
  for (int64_t n = 0; n < s.N; n++)
    for (int64_t p = 0; p < s.P; p++)
      for (int64_t q = 0; q < s.Q; q++)
        for (int64_t c = 0; c < s.C; c++) {
          real best = 0;
          int64_t winner = -1;
          for (int64_t k = 0; k < KH * KW; k++) {
            int64_t ih = p * desc->attr.stride[0] - desc->attr.pad_begin[0] + k / KW;
            int64_t iw = q * desc->attr.stride[1] - desc->attr.pad_begin[1] + k % KW;
            if (ih < 0 || ih >= s.H || iw < 0 || iw >= s.W) continue;
            real value = x[((n * s.H + ih) * s.W + iw) * s.C + c];
            if (winner >= 0 && !(value > best)) continue;
            best = value;
            winner = k;
          }
          int64_t i = ((n * s.P + p) * s.Q + q) * s.C + c;
          bool relu = desc->attr.activation == CO_ACTIVATION_RELU;
          if (relu && !(best > 0)) winner = -1;
          y[i] = (real)co_activate(desc->attr.activation, (double)best);
          if (argmax != NULL) argmax[i] = (int32_t)winner;
        }
}

void CO_REF(max_pool2d_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(&desc->out[0].shape, &desc->in[0].shape);
  const int64_t KH = desc->attr.kernel[0], KW = desc->attr.kernel[1];
  const real *dy = in[0];        // (N, P, Q, C)
  const int32_t *argmax = in[1]; // (N, P, Q, C)
  real *dx = out[0];             // (N, H, W, C)
  for (int64_t n = 0; n < s.N; n++)
    for (int64_t ih = 0; ih < s.H; ih++)
      for (int64_t iw = 0; iw < s.W; iw++)
        for (int64_t c = 0; c < s.C; c++) {
          double sum = 0; // over the windows this pixel has won
          for (int64_t k = 0; k < KH * KW; k++) {
            int64_t down = ih + desc->attr.pad_begin[0] - k / KW;
            int64_t right = iw + desc->attr.pad_begin[1] - k % KW;
            if (down < 0 || down % desc->attr.stride[0] != 0) continue;
            if (right < 0 || right % desc->attr.stride[1] != 0) continue;
            int64_t p = down / desc->attr.stride[0], q = right / desc->attr.stride[1];
            if (p >= s.P || q >= s.Q) continue;
            int64_t i = ((n * s.P + p) * s.Q + q) * s.C + c;
            if (argmax[i] == k) sum += (double)dy[i];
          }
          co_put(desc, 0, &dx[((n * s.H + ih) * s.W + iw) * s.C + c], sum);
        }
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
