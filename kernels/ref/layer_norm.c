// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "kernels/norm.h"

void CO_REF(layer_norm)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_norm_parts parts = co_norm_parts_of(desc);
  const double size = (double)parts.size;
  const real *x = in[CO_LAYER_NORM_x];
  const real *gamma = in[CO_LAYER_NORM_gamma], *beta = in[CO_LAYER_NORM_beta];   // (C); or NULL
  real *means = out[CO_LAYER_NORM_mean], *inverses = out[CO_LAYER_NORM_inverse]; // or NULL
  real *y = out[CO_LAYER_NORM_y];
  for (int64_t p = 0; p < parts.count; p++) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < parts.size; i++)
      sum += (double)x[co_norm_place(&parts, p, i)];
    const double mean = desc->attr.rms ? 0 : sum / size;
    for (int64_t i = 0; i < parts.size; i++) {
      const double off = (double)x[co_norm_place(&parts, p, i)] - mean;
      squares += off * off;
    }
    const double inverse = 1 / sqrt(squares / size + desc->attr.epsilon);
    for (int64_t i = 0; i < parts.size; i++) {
      const int64_t at = co_norm_place(&parts, p, i), c = co_norm_channel(&parts, p, i);
      const double shift = beta ? (double)beta[c] : 0;
      y[at] = (real)((double)gamma[c] * ((double)x[at] - mean) * inverse + shift);
    }
    if (means != NULL) means[p] = (real)mean;
    if (inverses != NULL) inverses[p] = (real)inverse;
  }
}

// With n = (x - mean) inverse and g = gamma dy: dx = inverse (g - mean(g) - n mean(g n)); of root mean
// squares mean and mean(g) are 0.
void CO_REF(layer_norm_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_norm_parts parts = co_norm_parts_of(desc);
  const real *x = in[CO_LAYER_NORM_BACKWARD_x], *gamma = in[CO_LAYER_NORM_BACKWARD_gamma];
  const real *means = in[CO_LAYER_NORM_BACKWARD_mean]; // or NULL
  const real *inverse = in[CO_LAYER_NORM_BACKWARD_inverse];
  const real *dy = in[CO_LAYER_NORM_BACKWARD_dy];
  real *dx = out[CO_LAYER_NORM_BACKWARD_dx];
  real *dgamma = out[CO_LAYER_NORM_BACKWARD_dgamma], *dbeta = out[CO_LAYER_NORM_BACKWARD_dbeta];
  for (int64_t p = 0; p < parts.count; p++) {
    const double mean = means ? (double)means[p] : 0;
    double sum = 0, product = 0;
    for (int64_t i = 0; i < parts.size; i++) {
      const int64_t at = co_norm_place(&parts, p, i);
      const double g = (double)gamma[co_norm_channel(&parts, p, i)] * (double)dy[at];
      sum += desc->attr.rms ? 0 : g;
      product += g * ((double)x[at] - mean) * (double)inverse[p];
    }
    for (int64_t i = 0; i < parts.size; i++) {
      const int64_t at = co_norm_place(&parts, p, i);
      const double g = (double)gamma[co_norm_channel(&parts, p, i)] * (double)dy[at];
      const double normal = ((double)x[at] - mean) * (double)inverse[p];
      const double through = g - (sum + normal * product) / (double)parts.size;
      co_put(desc, CO_LAYER_NORM_BACKWARD_dx, &dx[at], (double)inverse[p] * through);
    }
  }
  for (int64_t c = 0; c < parts.channels; c++) {
    double sum = 0, product = 0;
    for (int64_t at = c; at < parts.count * parts.size; at += parts.channels) {
      const int64_t p = co_norm_part(&parts, at);
      sum += (double)dy[at];
      product +=
          (double)dy[at] * ((double)x[at] - (means ? (double)means[p] : 0)) * (double)inverse[p];
    }
    if (dgamma) co_put(desc, CO_LAYER_NORM_BACKWARD_dgamma, &dgamma[c], product);
    if (dbeta) co_put(desc, CO_LAYER_NORM_BACKWARD_dbeta, &dbeta[c], sum);
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
  if (desc->attr.groups) {
    const int64_t groups = desc->attr.groups, C = vector.dim[0];
    if (groups < 1 || C % groups)
      return co_fail(CO_ERR_CONFIG, "layer_norm: %lld channels do not part into %lld groups",
                     (long long)C, (long long)groups);
    rows = co_shape_make(2, x->shape.dim[0], groups);
  }
  const bool beta = desc->has_in >> CO_LAYER_NORM_beta & 1;
  if (desc->attr.rms ? beta || desc->attr.groups : !beta)
    return co_fail(CO_ERR_CONFIG, desc->attr.rms
                                      ? "layer_norm: root mean squares have no beta and no groups"
                                      : "layer_norm: there is no beta");
  for (int i = CO_LAYER_NORM_gamma; i <= (beta ? CO_LAYER_NORM_beta : CO_LAYER_NORM_gamma); i++) {
    CO_RETURN_IF_FAILED(co_check_real(desc, i, CO_LAYER_NORM_x));
    CO_RETURN_IF_FAILED(co_check_shape(desc, i, &vector));
  }
  if (!(desc->attr.epsilon > 0))
    return co_fail(CO_ERR_CONFIG, "layer_norm: epsilon must be positive");
  co_set_out(desc, CO_LAYER_NORM_y, x->dtype, &x->shape);
  if (!desc->attr.rms) co_set_out(desc, CO_LAYER_NORM_mean, x->dtype, &rows);
  co_set_out(desc, CO_LAYER_NORM_inverse, x->dtype, &rows);
  return CO_OK;
}

CO_INFER_BACKWARD(layer_norm_backward)
#endif
