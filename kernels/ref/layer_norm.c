// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(layer_norm)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[CO_LAYER_NORM_x].shape;
  const int64_t C = shape->dim[shape->rank - 1], rows = co_shape_count(shape) / C;
  const real *gamma = in[CO_LAYER_NORM_gamma], *beta = in[CO_LAYER_NORM_beta];   // (C)
  real *means = out[CO_LAYER_NORM_mean], *inverses = out[CO_LAYER_NORM_inverse]; // (rows) or NULL
  for (int64_t r = 0; r < rows; r++) {
    const real *x = (const real *)in[CO_LAYER_NORM_x] + r * C;
    real *y = (real *)out[CO_LAYER_NORM_y] + r * C;
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < C; c++)
      sum += (double)x[c];
    const double mean = sum / (double)C;
    for (int64_t c = 0; c < C; c++)
      squares += ((double)x[c] - mean) * ((double)x[c] - mean);
    const double inverse = 1 / sqrt(squares / (double)C + desc->attr.epsilon);
    for (int64_t c = 0; c < C; c++)
      y[c] = (real)((double)gamma[c] * ((double)x[c] - mean) * inverse + (double)beta[c]);
    if (means != NULL) means[r] = (real)mean;
    if (inverses != NULL) inverses[r] = (real)inverse;
  }
}

// With n = (x - mean) inverse and g = gamma dy: dx = inverse (g - mean(g) - n mean(g n)).
void CO_REF(layer_norm_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[CO_LAYER_NORM_BACKWARD_x].shape;
  const int64_t C = shape->dim[shape->rank - 1], rows = co_shape_count(shape) / C;
  const real *x = in[CO_LAYER_NORM_BACKWARD_x], *gamma = in[CO_LAYER_NORM_BACKWARD_gamma];
  const real *mean = in[CO_LAYER_NORM_BACKWARD_mean], *inverse = in[CO_LAYER_NORM_BACKWARD_inverse];
  const real *dy = in[CO_LAYER_NORM_BACKWARD_dy];
  real *dx = out[CO_LAYER_NORM_BACKWARD_dx];
  real *dgamma = out[CO_LAYER_NORM_BACKWARD_dgamma], *dbeta = out[CO_LAYER_NORM_BACKWARD_dbeta];
  for (int64_t r = 0; r < rows; r++) {
    double sum = 0, product = 0;
    for (int64_t i = r * C; i < (r + 1) * C; i++) {
      const double g = (double)gamma[i - r * C] * (double)dy[i];
      sum += g;
      product += g * ((double)x[i] - (double)mean[r]) * (double)inverse[r];
    }
    for (int64_t i = r * C; i < (r + 1) * C; i++) {
      const double normal = ((double)x[i] - (double)mean[r]) * (double)inverse[r];
      const double through =
          (double)gamma[i - r * C] * (double)dy[i] - (sum + normal * product) / (double)C;
      co_put(desc, CO_LAYER_NORM_BACKWARD_dx, &dx[i], (double)inverse[r] * through);
    }
  }
  for (int64_t c = 0; c < C; c++) {
    double sum = 0, product = 0;
    for (int64_t r = 0; r < rows; r++) {
      sum += (double)dy[r * C + c];
      product +=
          (double)dy[r * C + c] * ((double)x[r * C + c] - (double)mean[r]) * (double)inverse[r];
    }
    co_put(desc, CO_LAYER_NORM_BACKWARD_dgamma, &dgamma[c], product);
    co_put(desc, CO_LAYER_NORM_BACKWARD_dbeta, &dbeta[c], sum);
  }
}

#if CO_REF_ONCE
co_status co_infer_layer_norm(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_LAYER_NORM_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_LAYER_NORM_x, 2, CO_MAX_RANK));
  co_shape rows = x->shape, vector = co_shape_vector(x->shape.dim[x->shape.rank - 1]);
  rows.dim[--rows.rank] = 0;
  if (vector.dim[0] < 1)
    return co_fail(CO_ERR_CONFIG, "layer_norm: the last dimension must be known");
  for (int i = CO_LAYER_NORM_gamma; i <= CO_LAYER_NORM_beta; i++) {
    CO_RETURN_IF_FAILED(co_check_real(desc, i, CO_LAYER_NORM_x));
    CO_RETURN_IF_FAILED(co_check_shape(desc, i, &vector));
  }
  if (!(desc->attr.epsilon > 0))
    return co_fail(CO_ERR_CONFIG, "layer_norm: epsilon must be positive");
  co_set_out(desc, CO_LAYER_NORM_y, x->dtype, &x->shape);
  co_set_out(desc, CO_LAYER_NORM_mean, x->dtype, &rows);
  co_set_out(desc, CO_LAYER_NORM_inverse, x->dtype, &rows);
  return CO_OK;
}

CO_INFER_BACKWARD(layer_norm_backward)
#endif
