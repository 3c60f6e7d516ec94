// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#if CO_REF_ONCE
// Both halves of the cross-entropy by e = exp(-|x|), so that nothing overflows and neither a certain
// hit nor its gradient is a difference of equals: log(1 + exp(x)) = max(x, 0) + log(1 + e).
static double binary(const co_op_attr *attr, double x, double target, double *slope) {
  const double t = target * (1 - attr->label_smoothing) + attr->label_smoothing / 2;
  const double e = exp(-fabs(x)), near = log1p(e), gamma = attr->gamma;
  const double s = (x >= 0 ? 1 : e) / (1 + e), r = (x >= 0 ? e : 1) / (1 + e); // r = 1 - s
  const double miss = (x >= 0 ? 0 : -x) + near, hit = (x >= 0 ? x : 0) + near;
  const double positive = attr->positive_weight * t, negative = 1 - t;
  if (gamma == 0) {
    *slope = negative * s - positive * r;
    return positive * miss + negative * hit;
  }
  const double of_r = pow(r, gamma), of_s = pow(s, gamma);
  *slope = negative * of_s * (gamma * r * hit + s) - positive * of_r * (gamma * s * miss + r);
  return positive * of_r * miss + negative * of_s * hit;
}

double co_pointwise_loss(const co_op_attr *attr, int64_t i, double x, double t, double *slope) {
  const double error = x - t, size = fabs(error), side = error > 0 ? 1 : error < 0 ? -1 : 0;
  double sign, q;
  switch (attr->pointwise) {
  case CO_POINTWISE_SQUARED:
    *slope = 2 * error;
    return error * error;
  case CO_POINTWISE_ABSOLUTE:
    *slope = error == error ? side : error; // NaN passes
    return size;
  case CO_POINTWISE_HUBER:
    *slope = size > attr->delta ? attr->delta * side : error;
    return size > attr->delta ? attr->delta * (size - attr->delta / 2) : error * error / 2;
  case CO_POINTWISE_QUANTILE:
    q = attr->levels[i];
    *slope = error > 0 ? 1 - q : error < 0 ? -q : error;
    return error > 0 ? (1 - q) * error : -q * error;
  case CO_POINTWISE_HINGE:
    sign = 2 * t - 1;
    *slope = sign * x >= 1 ? 0 : -sign;
    return sign * x >= 1 ? 0 : 1 - sign * x;
  case CO_POINTWISE_GIVEN:
    *slope = 1;
    return x;
  default:
    return binary(attr, x, t, slope);
  }
}
#endif

void CO_REF(pointwise_loss)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_POINTWISE_LOSS_x].shape.dim[0];
  const int64_t size = co_row_count(&desc->in[CO_POINTWISE_LOSS_x].shape);
  const int64_t targets = co_row_count(&desc->in[CO_POINTWISE_LOSS_target].shape); // size or 1
  const real *weight = in[CO_POINTWISE_LOSS_weight];                               // (N)
  const co_step *step = in[CO_POINTWISE_LOSS_step];
  real *loss = out[CO_POINTWISE_LOSS_loss];
  double *sum = out[CO_POINTWISE_LOSS_sum]; // (1)
  const double inv_norm = step->inv_norm[desc->attr.output];
  double total = 0;
  for (int64_t n = 0; n < N; n++) {
    const real *x = (const real *)in[CO_POINTWISE_LOSS_x] + n * size;
    const real *target = (const real *)in[CO_POINTWISE_LOSS_target] + n * targets;
    real *dx = (real *)out[CO_POINTWISE_LOSS_dx] + n * size;
    const double factor = (double)weight[n];
    double row = 0;
    for (int64_t i = 0; i < size; i++) {
      double slope = 0;
      if (factor != 0) // else missing: its target may be NaN
        row += co_pointwise_loss(&desc->attr, i, (double)x[i],
                                 (double)target[targets == size ? i : 0], &slope);
      co_put(desc, CO_POINTWISE_LOSS_dx, &dx[i], factor * inv_norm * slope / (double)size);
    }
    loss[n] = (real)(row / (double)size);
    total += factor * (row / (double)size);
  }
  *sum = (co_accumulates(desc, CO_POINTWISE_LOSS_sum) ? *sum : 0) + total;
}

#if CO_REF_ONCE
static co_status check_attributes(const co_op_attr *attr, int64_t size) {
  if (attr->output < 0 || attr->output >= CO_MAX_LOSSES)
    return co_fail(CO_ERR_CONFIG, "a model has at most %d losses", CO_MAX_LOSSES);
  if (attr->pointwise == CO_POINTWISE_HUBER && !(attr->delta > 0))
    return co_fail(CO_ERR_CONFIG, "the Huber loss needs a delta above 0");
  if (attr->pointwise == CO_POINTWISE_QUANTILE && attr->level_count != size)
    return co_fail(CO_ERR_CONFIG, "%lld quantiles need as many predictions, not %lld",
                   (long long)attr->level_count, (long long)size);
  if (attr->pointwise != CO_POINTWISE_BINARY) return CO_OK;
  if (!(attr->positive_weight > 0) || !(attr->gamma >= 0))
    return co_fail(CO_ERR_CONFIG, "positive_weight must be above 0, gamma not below");
  return co_check_smoothing(attr);
}

co_status co_infer_pointwise_loss(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_POINTWISE_LOSS_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_POINTWISE_LOSS_x, 1, CO_MAX_RANK));
  const co_shape rows = co_shape_vector(x->shape.dim[0]), one = co_shape_vector(1);
  const co_shape single = co_shape_make(2, x->shape.dim[0], (int64_t)1);
  bool shared = co_shape_equal(&desc->in[CO_POINTWISE_LOSS_target].shape, &single);
  if (!shared) CO_RETURN_IF_FAILED(co_check_shape(desc, CO_POINTWISE_LOSS_target, &x->shape));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_POINTWISE_LOSS_target, CO_POINTWISE_LOSS_x));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_POINTWISE_LOSS_weight, &rows));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_POINTWISE_LOSS_weight, CO_POINTWISE_LOSS_x));
  CO_RETURN_IF_FAILED(co_check_step(desc, CO_POINTWISE_LOSS_step));
  CO_RETURN_IF_FAILED(check_attributes(&desc->attr, co_row_count(&x->shape)));
  co_set_out(desc, CO_POINTWISE_LOSS_loss, x->dtype, &rows);
  co_set_out(desc, CO_POINTWISE_LOSS_sum, CO_F64, &one);
  co_set_out(desc, CO_POINTWISE_LOSS_dx, x->dtype, &x->shape);
  return CO_OK;
}
#endif
