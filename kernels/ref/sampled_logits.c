// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "kernels/sampling.h"

void CO_REF(sample_classes)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t K = desc->in[CO_SAMPLE_CLASSES_bounds].shape.dim[0];
  const int64_t S = desc->out[CO_SAMPLE_CLASSES_classes].shape.dim[0];
  const int32_t *bounds = in[CO_SAMPLE_CLASSES_bounds];
  int32_t *classes = out[CO_SAMPLE_CLASSES_classes];
  real *shift = out[CO_SAMPLE_CLASSES_shift];
  for (int64_t s = 0; s < S; s++) {
    classes[s] = co_sample_class(in[CO_SAMPLE_CLASSES_step], desc->attr.purpose, bounds, K, s);
    shift[s] = (real)-co_log_expected(bounds, classes[s], S);
  }
}

void CO_REF(sampled_logits)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *x_dim = desc->in[CO_SAMPLED_LOGITS_x].shape.dim, N = x_dim[0], D = x_dim[1];
  const int64_t S = desc->in[CO_SAMPLED_LOGITS_z].shape.dim[1];
  const real *x = in[CO_SAMPLED_LOGITS_x], *own = in[CO_SAMPLED_LOGITS_own];
  const real *z = in[CO_SAMPLED_LOGITS_z], *shift = in[CO_SAMPLED_LOGITS_shift];
  const int32_t *target = in[CO_SAMPLED_LOGITS_target], *classes = in[CO_SAMPLED_LOGITS_classes];
  real *y = out[CO_SAMPLED_LOGITS_y];
  for (int64_t n = 0; n < N; n++) {
    double sum = 0;
    for (int64_t d = 0; d < D; d++)
      sum += (double)x[n * D + d] * (double)own[n * D + d];
    y[n * (1 + S)] = (real)sum;
    for (int64_t s = 0; s < S; s++)
      y[n * (1 + S) + 1 + s] = classes[s] == target[n]
                                   ? (real)CO_NO_LOGIT
                                   : (real)((double)z[n * S + s] + (double)shift[s]);
  }
}

void CO_REF(sampled_logits_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *x_dim = desc->in[CO_SAMPLED_LOGITS_BACKWARD_x].shape.dim;
  const int64_t N = x_dim[0], D = x_dim[1];
  const int64_t S = desc->in[CO_SAMPLED_LOGITS_BACKWARD_classes].shape.dim[0];
  const real *x = in[CO_SAMPLED_LOGITS_BACKWARD_x], *own = in[CO_SAMPLED_LOGITS_BACKWARD_own];
  const real *dy = in[CO_SAMPLED_LOGITS_BACKWARD_dy];
  const int32_t *target = in[CO_SAMPLED_LOGITS_BACKWARD_target];
  const int32_t *classes = in[CO_SAMPLED_LOGITS_BACKWARD_classes];
  real *dx = out[CO_SAMPLED_LOGITS_BACKWARD_dx], *down = out[CO_SAMPLED_LOGITS_BACKWARD_down];
  real *dz = out[CO_SAMPLED_LOGITS_BACKWARD_dz];
  for (int64_t n = 0; n < N; n++) {
    const real *row = dy + n * (1 + S);
    for (int64_t i = n * D; i < (n + 1) * D; i++) {
      co_put(desc, CO_SAMPLED_LOGITS_BACKWARD_dx, &dx[i], (double)row[0] * (double)own[i]);
      co_put(desc, CO_SAMPLED_LOGITS_BACKWARD_down, &down[i], (double)row[0] * (double)x[i]);
    }
    for (int64_t s = 0; s < S; s++)
      co_put(desc, CO_SAMPLED_LOGITS_BACKWARD_dz, &dz[n * S + s],
             classes[s] == target[n] ? 0 : (double)row[1 + s]);
  }
}

#if CO_REF_ONCE
co_status co_infer_sample_classes(co_op_desc *desc) {
  const co_shape *bounds = &desc->in[CO_SAMPLE_CLASSES_bounds].shape, *classes = &desc->attr.shape;
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_SAMPLE_CLASSES_bounds, 1, 1));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_SAMPLE_CLASSES_bounds, CO_I32));
  CO_RETURN_IF_FAILED(co_check_step(desc, CO_SAMPLE_CLASSES_step));
  if (bounds->dim[0] < 1 || classes->rank != 1 || classes->dim[0] < 1)
    return co_fail(CO_ERR_CONFIG, "sample_classes: there must be classes, and some to draw");
  co_set_out(desc, CO_SAMPLE_CLASSES_classes, CO_I32, classes);
  co_set_out(desc, CO_SAMPLE_CLASSES_shift, CO_F32, classes);
  return CO_OK;
}

co_status co_infer_sampled_logits(co_op_desc *desc) {
  const co_shape *x = &desc->in[CO_SAMPLED_LOGITS_x].shape;
  const co_shape *z = &desc->in[CO_SAMPLED_LOGITS_z].shape;
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_SAMPLED_LOGITS_x, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_SAMPLED_LOGITS_z, 2, 2));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_SAMPLED_LOGITS_own, x));
  const co_shape rows = {1, {x->dim[0]}}, drawn = {1, {z->dim[1]}};
  const co_shape products = {2, {x->dim[0], z->dim[1]}}, y = {2, {x->dim[0], 1 + z->dim[1]}};
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_SAMPLED_LOGITS_z, &products));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_SAMPLED_LOGITS_target, &rows));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_SAMPLED_LOGITS_classes, &drawn));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_SAMPLED_LOGITS_shift, &drawn));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_SAMPLED_LOGITS_target, CO_I32));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_SAMPLED_LOGITS_classes, CO_I32));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_SAMPLED_LOGITS_own, CO_SAMPLED_LOGITS_x));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_SAMPLED_LOGITS_z, CO_SAMPLED_LOGITS_x));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_SAMPLED_LOGITS_shift, CO_SAMPLED_LOGITS_x));
  co_set_out(desc, CO_SAMPLED_LOGITS_y, desc->in[CO_SAMPLED_LOGITS_x].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(sampled_logits_backward)
#endif
