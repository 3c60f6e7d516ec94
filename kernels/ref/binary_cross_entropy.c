// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

// With e = exp(-|x|), so that nothing overflows and no certain hit is a difference of equals:
// max(x, 0) - x t is x (1 - t) or -x t, sigmoid(x) - t is ((1 - t) - t e) / (1 + e) or
// ((1 - t) e - t) / (1 + e).
void CO_REF(binary_cross_entropy)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[CO_BINARY_CROSS_ENTROPY_x].shape.dim[0];
  int64_t size = co_row_count(&desc->in[CO_BINARY_CROSS_ENTROPY_x].shape);
  const real *x = in[CO_BINARY_CROSS_ENTROPY_x], *target = in[CO_BINARY_CROSS_ENTROPY_target];
  const real *weight = in[CO_BINARY_CROSS_ENTROPY_weight]; // (N)
  const co_step *step = in[CO_BINARY_CROSS_ENTROPY_step];
  real *loss = out[CO_BINARY_CROSS_ENTROPY_loss], *dx = out[CO_BINARY_CROSS_ENTROPY_dx];
  double *sum = out[CO_BINARY_CROSS_ENTROPY_sum]; // (1)
  const double inv_norm = step->inv_norm[desc->attr.output];
  double total = 0;
  for (int64_t n = 0; n < N; n++) {
    double factor = (double)weight[n], row = 0;
    for (int64_t i = n * size; i < (n + 1) * size; i++) {
      double error = 0;
      if (factor != 0) { // else missing: its target may be NaN
        double logit = (double)x[i], t = (double)target[i], e = exp(-fabs(logit));
        row += (logit >= 0 ? logit * (1 - t) : -logit * t) + log1p(e);
        error = (logit >= 0 ? 1 - t - t * e : (1 - t) * e - t) / (1 + e);
      }
      co_put(desc, CO_BINARY_CROSS_ENTROPY_dx, &dx[i], factor * inv_norm * error / (double)size);
    }
    loss[n] = (real)(row / (double)size);
    total += factor * (row / (double)size);
  }
  *sum = (co_accumulates(desc, CO_BINARY_CROSS_ENTROPY_sum) ? *sum : 0) + total;
}

#if CO_REF_ONCE
co_status co_infer_binary_cross_entropy(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_BINARY_CROSS_ENTROPY_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_BINARY_CROSS_ENTROPY_x, 1, CO_MAX_RANK));
  const co_shape rows = co_shape_vector(x->shape.dim[0]), one = co_shape_vector(1);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_BINARY_CROSS_ENTROPY_target, &x->shape));
  CO_RETURN_IF_FAILED(
      co_check_real(desc, CO_BINARY_CROSS_ENTROPY_target, CO_BINARY_CROSS_ENTROPY_x));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_BINARY_CROSS_ENTROPY_weight, &rows));
  CO_RETURN_IF_FAILED(
      co_check_real(desc, CO_BINARY_CROSS_ENTROPY_weight, CO_BINARY_CROSS_ENTROPY_x));
  CO_RETURN_IF_FAILED(co_check_step(desc, CO_BINARY_CROSS_ENTROPY_step));
  if (desc->attr.output < 0 || desc->attr.output >= CO_MAX_LOSSES)
    return co_fail(CO_ERR_CONFIG, "a model has at most %d losses", CO_MAX_LOSSES);
  co_set_out(desc, CO_BINARY_CROSS_ENTROPY_loss, x->dtype, &rows);
  co_set_out(desc, CO_BINARY_CROSS_ENTROPY_sum, CO_F64, &one);
  co_set_out(desc, CO_BINARY_CROSS_ENTROPY_dx, x->dtype, &x->shape);
  return CO_OK;
}
#endif
