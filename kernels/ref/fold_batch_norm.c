// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(fold_batch_norm)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[CO_FOLD_BATCH_NORM_w].shape;
  const int64_t count = co_shape_count(shape), O = shape->dim[desc->attr.axis];
  int64_t inner = 1; // elements of w from one feature to the next
  for (int64_t i = desc->attr.axis + 1; i < shape->rank; i++)
    inner *= shape->dim[i];
  const real *w = in[CO_FOLD_BATCH_NORM_w], *b = in[CO_FOLD_BATCH_NORM_b]; // (…, O, …), (O) or NULL
  const real *gamma = in[CO_FOLD_BATCH_NORM_gamma], *beta = in[CO_FOLD_BATCH_NORM_beta];
  const real *mean = in[CO_FOLD_BATCH_NORM_running_mean];
  const real *variance = in[CO_FOLD_BATCH_NORM_running_variance];
  real *kernel = out[CO_FOLD_BATCH_NORM_kernel], *bias = out[CO_FOLD_BATCH_NORM_bias];
  for (int64_t o = 0; o < O; o++) {
    const double scale = (double)gamma[o] / sqrt((double)variance[o] + desc->attr.epsilon);
    const double offset = (b != NULL ? (double)b[o] : 0) - (double)mean[o];
    bias[o] = (real)(offset * scale + (double)beta[o]);
    for (int64_t first = o * inner; first < count; first += O * inner)
      for (int64_t i = first; i < first + inner; i++)
        kernel[i] = (real)((double)w[i] * scale);
  }
}

#if CO_REF_ONCE
co_status co_infer_fold_batch_norm(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, CO_MAX_RANK));
  const co_tensor_desc *w = &desc->in[CO_FOLD_BATCH_NORM_w];
  if (desc->attr.axis < 0 || desc->attr.axis >= w->shape.rank)
    return co_fail(CO_ERR_CONFIG, "fold_batch_norm: the weights have no dimension %lld",
                   (long long)desc->attr.axis);
  const co_shape vector = co_shape_vector(w->shape.dim[desc->attr.axis]);
  for (int i = 1; i <= CO_FOLD_BATCH_NORM_b; i++) {
    if (!(desc->has_in >> i & 1)) continue;
    CO_RETURN_IF_FAILED(co_check_real(desc, i, 0));
    CO_RETURN_IF_FAILED(co_check_shape(desc, i, &vector));
  }
  if (!(desc->attr.epsilon > 0))
    return co_fail(CO_ERR_CONFIG, "fold_batch_norm: epsilon must be positive");
  co_set_out(desc, CO_FOLD_BATCH_NORM_kernel, w->dtype, &w->shape);
  co_set_out(desc, CO_FOLD_BATCH_NORM_bias, w->dtype, &vector);
  return CO_OK;
}
#endif
