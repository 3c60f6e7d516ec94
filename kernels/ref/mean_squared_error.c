// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(mean_squared_error)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[0].shape.dim[0], size = co_row_count(&desc->in[0].shape);
  const real *x = in[0], *target = in[1], *weight = in[2]; // (N, …), (N, …), (N)
  const co_step *step = in[3];
  real *loss = out[0], *dx = out[2]; // (N), (N, …)
  double *sum = out[1];              // (1)
  const double inv_norm = step->inv_norm[desc->attr.output];
  double total = 0;
  for (int64_t n = 0; n < N; n++) {
    double factor = (double)weight[n], squares = 0;
    for (int64_t i = n * size; i < (n + 1) * size; i++) {
      // Rows of weight 0 are missing: their target may be NaN.
      double error = factor == 0 ? 0 : (double)x[i] - (double)target[i];
      squares += error * error;
      co_put(desc, 2, &dx[i], factor * inv_norm * 2 * error / (double)size);
    }
    loss[n] = (real)(squares / (double)size);
    total += factor * (squares / (double)size);
  }
  *sum = (co_accumulates(desc, 1) ? *sum : 0) + total;
}

#if CO_REF_ONCE
co_status co_infer_mean_squared_error(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, CO_MAX_RANK));
  const co_shape rows = co_shape_vector(desc->in[0].shape.dim[0]), one = co_shape_vector(1);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 1, &desc->in[0].shape));
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 0));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 2, &rows));
  CO_RETURN_IF_FAILED(co_check_real(desc, 2, 0));
  CO_RETURN_IF_FAILED(co_check_step(desc, 3));
  if (desc->attr.output < 0 || desc->attr.output >= CO_MAX_LOSSES)
    return co_fail(CO_ERR_CONFIG, "a model has at most %d losses", CO_MAX_LOSSES);
  co_set_out(desc, 0, desc->in[0].dtype, &rows);
  co_set_out(desc, 1, CO_F64, &one);
  co_set_out(desc, 2, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}
#endif
