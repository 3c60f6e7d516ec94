// SPDX-License-Identifier: Apache-2.0
#include "kernels/distribution.h"
#include "kernels/ref/real.h"

static void take(double *out, const real *x, int64_t count) {
  for (int64_t k = 0; k < count; k++)
    out[k] = (double)x[k];
}

void CO_REF(distribution_loss)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_DISTRIBUTION_LOSS_x].shape.dim[0];
  const int64_t P = desc->in[CO_DISTRIBUTION_LOSS_x].shape.dim[1];
  const real *x = in[CO_DISTRIBUTION_LOSS_x];           // (N, P)
  const real *target = in[CO_DISTRIBUTION_LOSS_target]; // (N, 1)
  const real *weight = in[CO_DISTRIBUTION_LOSS_weight]; // (N)
  const co_step *step = in[CO_DISTRIBUTION_LOSS_step];
  real *loss = out[CO_DISTRIBUTION_LOSS_loss]; // (N)
  real *dx = out[CO_DISTRIBUTION_LOSS_dx];     // (N, P)
  double *sum = out[CO_DISTRIBUTION_LOSS_sum], total = 0;
  for (int64_t n = 0; n < N; n++) {
    const double factor = (double)weight[n], scale = factor * step->inv_norm[desc->attr.output];
    double values[CO_MOST_PARAMETERS], slope[CO_MOST_PARAMETERS] = {0}, value = 0;
    take(values, x + n * P, P);
    if (factor != 0) // else missing: its target may be NaN
      value = co_distribution_loss(desc->attr.distribution, values, (double)target[n], slope);
    for (int64_t k = 0; k < P; k++)
      co_put(desc, CO_DISTRIBUTION_LOSS_dx, &dx[n * P + k], scale * slope[k]);
    loss[n] = (real)value;
    total += factor * value;
  }
  *sum = (co_accumulates(desc, CO_DISTRIBUTION_LOSS_sum) ? *sum : 0) + total;
}

void CO_REF(distribution_mean)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_DISTRIBUTION_MEAN_x].shape.dim[0];
  const int64_t P = desc->in[CO_DISTRIBUTION_MEAN_x].shape.dim[1];
  const real *x = in[CO_DISTRIBUTION_MEAN_x]; // (N, P)
  real *y = out[CO_DISTRIBUTION_MEAN_y];      // (N, 1)
  for (int64_t n = 0; n < N; n++) {
    double values[CO_MOST_PARAMETERS];
    take(values, x + n * P, P);
    y[n] = (real)co_distribution_mean(desc->attr.distribution, values);
  }
}

#if CO_REF_ONCE
static co_status check_parameters(const co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, 2));
  const int64_t have = desc->in[0].shape.dim[1];
  const int wanted = co_distribution_parameters(desc->attr.distribution);
  if (have == wanted) return CO_OK;
  return co_fail(CO_ERR_CONFIG, "the distribution has %d parameters, not %lld", wanted,
                 (long long)have);
}

co_status co_infer_distribution_loss(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(check_parameters(desc));
  const co_tensor_desc *x = &desc->in[CO_DISTRIBUTION_LOSS_x];
  const co_shape rows = co_shape_vector(x->shape.dim[0]), one = co_shape_vector(1);
  const co_shape single = co_shape_make(2, x->shape.dim[0], (int64_t)1);
  if (desc->attr.output < 0 || desc->attr.output >= CO_MAX_LOSSES)
    return co_fail(CO_ERR_CONFIG, "a model has at most %d losses", CO_MAX_LOSSES);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_DISTRIBUTION_LOSS_target, &single));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_DISTRIBUTION_LOSS_target, CO_DISTRIBUTION_LOSS_x));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_DISTRIBUTION_LOSS_weight, &rows));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_DISTRIBUTION_LOSS_weight, CO_DISTRIBUTION_LOSS_x));
  CO_RETURN_IF_FAILED(co_check_step(desc, CO_DISTRIBUTION_LOSS_step));
  co_set_out(desc, CO_DISTRIBUTION_LOSS_loss, x->dtype, &rows);
  co_set_out(desc, CO_DISTRIBUTION_LOSS_sum, CO_F64, &one);
  co_set_out(desc, CO_DISTRIBUTION_LOSS_dx, x->dtype, &x->shape);
  return CO_OK;
}

co_status co_infer_distribution_mean(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(check_parameters(desc));
  const co_tensor_desc *x = &desc->in[CO_DISTRIBUTION_MEAN_x];
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_DISTRIBUTION_MEAN_x, CO_DISTRIBUTION_MEAN_x));
  const co_shape y = co_shape_make(2, x->shape.dim[0], (int64_t)1);
  co_set_out(desc, CO_DISTRIBUTION_MEAN_y, x->dtype, &y);
  return CO_OK;
}
#endif
