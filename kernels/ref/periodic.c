// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

static const double turn = 6.283185307179586477;

void CO_REF(periodic)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_PERIODIC_w].shape.dim, C = dim[0], K = dim[1];
  const int64_t N = desc->in[CO_PERIODIC_x].shape.dim[0];
  const real *x = in[CO_PERIODIC_x], *w = in[CO_PERIODIC_w];
  real *y = out[CO_PERIODIC_y];
  for (int64_t i = 0; i < N * C; i++)
    for (int64_t k = 0; k < K; k++) {
      const double v = turn * (double)w[i % C * K + k] * (double)x[i];
      y[2 * i * K + k] = (real)sin(v);
      y[(2 * i + 1) * K + k] = (real)cos(v);
    }
}

void CO_REF(periodic_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_PERIODIC_BACKWARD_w].shape.dim, C = dim[0], K = dim[1];
  const int64_t N = desc->in[CO_PERIODIC_BACKWARD_x].shape.dim[0];
  const real *x = in[CO_PERIODIC_BACKWARD_x], *w = in[CO_PERIODIC_BACKWARD_w];
  const real *dy = in[CO_PERIODIC_BACKWARD_dy];
  real *dx = out[CO_PERIODIC_BACKWARD_dx], *dw = out[CO_PERIODIC_BACKWARD_dw];
  for (int64_t c = 0; c < C; c++)
    for (int64_t k = 0; k < K; k++) {
      double sum = 0;
      for (int64_t n = 0; n < N; n++) {
        const int64_t i = n * C + c;
        const double v = turn * (double)w[c * K + k] * (double)x[i];
        sum += turn * (double)x[i] *
               ((double)dy[2 * i * K + k] * cos(v) - (double)dy[(2 * i + 1) * K + k] * sin(v));
      }
      co_put(desc, CO_PERIODIC_BACKWARD_dw, &dw[c * K + k], sum);
    }
  for (int64_t i = 0; dx != NULL && i < N * C; i++) {
    double sum = 0;
    for (int64_t k = 0; k < K; k++) {
      const double rate = turn * (double)w[i % C * K + k], v = rate * (double)x[i];
      sum += rate * ((double)dy[2 * i * K + k] * cos(v) - (double)dy[(2 * i + 1) * K + k] * sin(v));
    }
    co_put(desc, CO_PERIODIC_BACKWARD_dx, &dx[i], sum);
  }
}

#if CO_REF_ONCE
co_status co_infer_periodic(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_PERIODIC_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_PERIODIC_x, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_PERIODIC_w, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_PERIODIC_w, CO_PERIODIC_x));
  const int64_t K = desc->in[CO_PERIODIC_w].shape.dim[1];
  const co_shape w = co_shape_make(2, x->shape.dim[1], K);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_PERIODIC_w, &w));
  const co_shape y = co_shape_make(3, x->shape.dim[0], x->shape.dim[1], 2 * K);
  co_set_out(desc, CO_PERIODIC_y, x->dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(periodic_backward)
#endif
