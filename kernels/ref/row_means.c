// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(row_means)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_ROW_MEANS_x].shape.dim[0];
  const int64_t size = co_row_count(&desc->in[CO_ROW_MEANS_x].shape);
  const real *weight = in[CO_ROW_MEANS_weight];
  double *sums = out[CO_ROW_MEANS_sums], totals[2] = {0, 0};
  for (int64_t n = 0; n < N; n++) {
    const real *x = (const real *)in[CO_ROW_MEANS_x] + n * size;
    double row = 0;
    if (weight[n] == 0) continue;
    for (int64_t i = 0; i < size; i++)
      row += (double)x[i];
    totals[0] += (double)weight[n] * (row / (double)size);
    totals[1] += (double)weight[n];
  }
  for (int i = 0; i < 2; i++)
    sums[i] = (co_accumulates(desc, CO_ROW_MEANS_sums) ? sums[i] : 0) + totals[i];
}

#if CO_REF_ONCE
co_status co_infer_row_means(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_ROW_MEANS_x, 1, CO_MAX_RANK));
  const co_shape rows = co_shape_vector(desc->in[CO_ROW_MEANS_x].shape.dim[0]);
  const co_shape two = co_shape_vector(2);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_ROW_MEANS_weight, &rows));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_ROW_MEANS_weight, CO_ROW_MEANS_x));
  co_set_out(desc, CO_ROW_MEANS_sums, CO_F64, &two);
  return CO_OK;
}
#endif
