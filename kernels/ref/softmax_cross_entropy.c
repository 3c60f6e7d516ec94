// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(softmax_cross_entropy)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[0].shape.dim[0], K = desc->in[0].shape.dim[1];
  const real *x = in[0], *weight = in[2]; // (N, K), (N)
  const int32_t *target = in[1];          // (N)
  const co_step *step = in[3];
  real *loss = out[0], *dx = out[2];    // (N), (N, K)
  double *sum = out[1], *hits = out[3]; // (1), (2) or NULL
  const double inv_norm = step->inv_norm[desc->attr.output];
  const double smoothing = desc->attr.label_smoothing, even = smoothing / (double)K;
  double total = 0;
  for (int64_t n = 0; n < N; n++) {
    const real *row = &x[n * K];
    double factor = (double)weight[n];
    if (factor == 0) { // missing: neither target nor prediction counts, not even a NaN
      loss[n] = 0;
      for (int64_t k = 0; k < K; k++)
        co_put(desc, 2, &dx[n * K + k], 0);
      continue;
    }
    double largest = (double)row[0], exponentials = 0, logits = 0;
    for (int64_t k = 1; k < K; k++)
      largest = fmax(largest, (double)row[k]);
    for (int64_t k = 0; k < K && smoothing > 0; k++)
      logits += (double)row[k];
    for (int64_t k = 0; k < K; k++)
      exponentials += exp((double)row[k] - largest);
    // Targets are checked by the caller; a wild one gives NaN here rather than a wild read.
    bool known = target[n] >= 0 && target[n] < K;
    double value = known ? log(exponentials) + largest - (1 - smoothing) * (double)row[target[n]] -
                               even * logits
                         : (double)NAN;
    loss[n] = (real)value;
    total += factor * value;
    for (int64_t k = 0; k < K; k++) {
      double probability = exp((double)row[k] - largest) / exponentials;
      double error = probability - (k == target[n] ? 1 - smoothing : 0) - even;
      co_put(desc, 2, &dx[n * K + k], factor * inv_norm * error);
    }
  }
  *sum = (co_accumulates(desc, 1) ? *sum : 0) + total;
  if (hits == NULL) return;
  double found[2] = {0, 0};
  for (int64_t n = 0; n < N; n++) {
    int64_t best = 0;
    for (int64_t k = 1; k < K; k++)
      if (x[n * K + k] > x[n * K + best]) best = k;
    if (best == target[n]) found[0] += (double)weight[n];
    found[1] += (double)weight[n];
  }
  for (int i = 0; i < 2; i++)
    hits[i] = (co_accumulates(desc, 3) ? hits[i] : 0) + found[i];
}

#if CO_REF_ONCE
co_status co_infer_softmax_cross_entropy(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_smoothing(&desc->attr));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, 2));
  const co_shape rows = co_shape_vector(desc->in[0].shape.dim[0]), one = co_shape_vector(1);
  const co_shape two = co_shape_vector(2);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 1, &rows));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 1, CO_I32));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 2, &rows));
  CO_RETURN_IF_FAILED(co_check_real(desc, 2, 0));
  CO_RETURN_IF_FAILED(co_check_step(desc, 3));
  if (desc->attr.output < 0 || desc->attr.output >= CO_MAX_LOSSES)
    return co_fail(CO_ERR_CONFIG, "a model has at most %d losses", CO_MAX_LOSSES);
  co_set_out(desc, 0, desc->in[0].dtype, &rows);
  co_set_out(desc, 1, CO_F64, &one);
  co_set_out(desc, 2, desc->in[0].dtype, &desc->in[0].shape);
  co_set_out(desc, 3, CO_F64, &two);
  return CO_OK;
}
#endif
