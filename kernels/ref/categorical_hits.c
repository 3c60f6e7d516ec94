// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(categorical_hits)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[0].shape.dim[0], K = desc->in[0].shape.dim[1];
  const real *x = in[0], *weight = in[2]; // (N, K), (N)
  const int32_t *target = in[1];          // (N)
  double *sums = out[0];                  // (2)
  double hits = 0, weights = 0;
  for (int64_t n = 0; n < N; n++) {
    int64_t best = 0;
    for (int64_t k = 1; k < K; k++)
      if (x[n * K + k] > x[n * K + best]) best = k;
    if (best == target[n]) hits += (double)weight[n];
    weights += (double)weight[n];
  }
  sums[0] = (co_accumulates(desc, 0) ? sums[0] : 0) + hits;
  sums[1] = (co_accumulates(desc, 0) ? sums[1] : 0) + weights;
}

#if CO_REF_ONCE
co_status co_infer_categorical_hits(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, 2));
  const co_shape rows = co_shape_vector(desc->in[0].shape.dim[0]), two = co_shape_vector(2);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 1, &rows));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 1, CO_I32));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 2, &rows));
  CO_RETURN_IF_FAILED(co_check_real(desc, 2, 0));
  co_set_out(desc, 0, CO_F64, &two);
  return CO_OK;
}
#endif
