// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(factorization)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_FACTORIZATION_x].shape.dim[0];
  const int64_t I = desc->in[CO_FACTORIZATION_v].shape.dim[0];
  const int64_t D = desc->in[CO_FACTORIZATION_v].shape.dim[1];
  const real *v = in[CO_FACTORIZATION_v];
  real *y = out[CO_FACTORIZATION_y], *sums = out[CO_FACTORIZATION_sums]; // sums may be NULL
  for (int64_t n = 0; n < N; n++) {
    const real *x = (const real *)in[CO_FACTORIZATION_x] + n * I;
    double pairs = 0;
    for (int64_t d = 0; d < D; d++) {
      double sum = 0, squares = 0;
      for (int64_t i = 0; i < I; i++) {
        const double term = (double)v[i * D + d] * (double)x[i];
        sum += term;
        squares += term * term;
      }
      pairs += (sum * sum - squares) / 2;
      if (sums != NULL) sums[n * D + d] = (real)sum;
    }
    y[n] = (real)pairs;
  }
}

void CO_REF(factorization_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_FACTORIZATION_BACKWARD_x].shape.dim[0];
  const int64_t I = desc->in[CO_FACTORIZATION_BACKWARD_v].shape.dim[0];
  const int64_t D = desc->in[CO_FACTORIZATION_BACKWARD_v].shape.dim[1];
  const real *x = in[CO_FACTORIZATION_BACKWARD_x], *v = in[CO_FACTORIZATION_BACKWARD_v];
  const real *sums = in[CO_FACTORIZATION_BACKWARD_sums], *dy = in[CO_FACTORIZATION_BACKWARD_dy];
  real *dx = out[CO_FACTORIZATION_BACKWARD_dx], *dv = out[CO_FACTORIZATION_BACKWARD_dv];
  for (int64_t n = 0; dx != NULL && n < N; n++)
    for (int64_t i = 0; i < I; i++) {
      double slope = 0;
      for (int64_t d = 0; d < D; d++) {
        const double weight = (double)v[i * D + d];
        slope += weight * ((double)sums[n * D + d] - weight * (double)x[n * I + i]);
      }
      co_put(desc, CO_FACTORIZATION_BACKWARD_dx, &dx[n * I + i], (double)dy[n] * slope);
    }
  for (int64_t i = 0; i < I; i++)
    for (int64_t d = 0; d < D; d++) {
      double slope = 0;
      for (int64_t n = 0; n < N; n++) {
        const double value = (double)x[n * I + i];
        slope += (double)dy[n] * value * ((double)sums[n * D + d] - (double)v[i * D + d] * value);
      }
      co_put(desc, CO_FACTORIZATION_BACKWARD_dv, &dv[i * D + d], slope);
    }
}

#if CO_REF_ONCE
co_status co_infer_factorization(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_FACTORIZATION_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_FACTORIZATION_x, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_FACTORIZATION_v, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_FACTORIZATION_v, CO_FACTORIZATION_x));
  const int64_t D = desc->in[CO_FACTORIZATION_v].shape.dim[1];
  const co_shape v = co_shape_make(2, x->shape.dim[1], D);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_FACTORIZATION_v, &v));
  const co_shape y = co_shape_make(2, x->shape.dim[0], (int64_t)1);
  const co_shape sums = co_shape_make(2, x->shape.dim[0], D);
  co_set_out(desc, CO_FACTORIZATION_y, x->dtype, &y);
  co_set_out(desc, CO_FACTORIZATION_sums, x->dtype, &sums);
  return CO_OK;
}

CO_INFER_BACKWARD(factorization_backward)
#endif
