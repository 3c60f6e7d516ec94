// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

// The encoding's k-th number.
static double part_of(double place, int64_t k) {
  if (isnan(place)) return place;
  return fmin(fmax(place - (double)k, 0), 1);
}

void CO_REF(piecewise_dense)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[0].shape.dim[0], C = desc->in[1].shape.dim[0];
  int64_t B = desc->in[1].shape.dim[1], D = desc->in[1].shape.dim[2];
  const real *x = in[0], *w = in[1], *b = in[2]; // (N, C), (C, B, D), (C, D)
  real *y = out[0];                              // (N, C, D)
  for (int64_t n = 0; n < N; n++)
    for (int64_t c = 0; c < C; c++)
      for (int64_t d = 0; d < D; d++) {
        double sum = (double)b[c * D + d];
        for (int64_t k = 0; k < B; k++)
          sum += part_of((double)x[n * C + c], k) * (double)w[(c * B + k) * D + d];
        y[(n * C + c) * D + d] = (real)co_activate(desc->attr.activation, sum);
      }
}

void CO_REF(piecewise_dense_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[0].shape.dim[0], C = desc->in[1].shape.dim[0];
  int64_t B = desc->in[1].shape.dim[1], D = desc->in[1].shape.dim[2];
  const real *x = in[0], *w = in[1], *dy = in[2]; // (N, C), (C, B, D), (N, C, D)
  real *dx = out[0], *dw = out[1], *db = out[2];  // (N, C) or NULL, (C, B, D), (C, D)
  for (int64_t i = 0; dx && i < N * C; i++) {
    double place = (double)x[i], sum = isnan(place) ? place : 0;
    int64_t c = i % C, k = place >= 0 && place < (double)B ? (int64_t)place : -1;
    for (int64_t d = 0; k >= 0 && d < D; d++)
      sum += (double)dy[i * D + d] * (double)w[(c * B + k) * D + d];
    co_put(desc, 0, &dx[i], sum);
  }
  for (int64_t c = 0; c < C; c++)
    for (int64_t d = 0; d < D; d++) {
      double bias = 0;
      for (int64_t n = 0; n < N; n++)
        bias += (double)dy[(n * C + c) * D + d];
      co_put(desc, 2, &db[c * D + d], bias);
      for (int64_t k = 0; k < B; k++) {
        double sum = 0;
        for (int64_t n = 0; n < N; n++)
          sum += part_of((double)x[n * C + c], k) * (double)dy[(n * C + c) * D + d];
        co_put(desc, 1, &dw[(c * B + k) * D + d], sum);
      }
    }
}

#if CO_REF_ONCE
co_status co_infer_piecewise_dense(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 3, 3));
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 0));
  CO_RETURN_IF_FAILED(co_check_real(desc, 2, 0));
  const co_shape *w = &desc->in[1].shape;
  const co_shape x = co_shape_make(2, desc->in[0].shape.dim[0], w->dim[0]);
  const co_shape b = co_shape_make(2, w->dim[0], w->dim[2]);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 0, &x));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 2, &b));
  co_shape y = co_shape_make(3, x.dim[0], w->dim[0], w->dim[2]);
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(piecewise_dense_backward)
#endif
