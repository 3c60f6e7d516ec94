// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(gradient_norm)(const co_op_desc *desc, void *const *in, void *const *out) {
  const real *g = in[0];                               // (M), with narrow (M - L)
  const co_bf16 *narrow = in[CO_GRADIENT_NORM_narrow]; // (L) or NULL
  const int64_t split = desc->in[0].shape.dim[0];
  const co_segment *segment = in[1];
  int64_t segments = co_shape_count(&desc->in[1].shape) / (int64_t)sizeof(co_segment);
  double *sum = out[0];         // (1)
  const double *before = in[2]; // (1) or NULL
  double total = before != NULL ? *before : 0;
  for (int64_t s = 0; s < segments; s++)
    for (int64_t i = segment[s].begin; i < segment[s].begin + segment[s].count; i++)
      total += co_gradient(g, narrow, split, i) * co_gradient(g, narrow, split, i);
  *sum = (co_accumulates(desc, 0) ? *sum : 0) + total;
  double *gate = out[1]; // (2) or NULL
  if (gate == NULL) return;
  const double norm = sqrt(*sum), limit = desc->attr.clip_norm;
  gate[0] = isfinite(*sum) ? 1 : 0;
  gate[1] = limit > 0 && norm > limit ? limit / norm : 1;
}

#if CO_REF_ONCE
co_status co_infer_gradient_norm(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, 1));
  CO_RETURN_IF_FAILED(co_check_gradient(desc, CO_GRADIENT_NORM_g, CO_GRADIENT_NORM_narrow));
  CO_RETURN_IF_FAILED(co_check_segments(desc, 1));
  if (!(desc->attr.clip_norm >= 0))
    return co_fail(CO_ERR_CONFIG, "the norm to clip to must not be negative");
  const co_shape one = co_shape_vector(1), two = co_shape_vector(2);
  if (desc->has_in >> CO_GRADIENT_NORM_before & 1) {
    CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_GRADIENT_NORM_before, CO_F64));
    CO_RETURN_IF_FAILED(co_check_shape(desc, CO_GRADIENT_NORM_before, &one));
  }
  co_set_out(desc, 0, CO_F64, &one);
  co_set_out(desc, 1, CO_F64, &two);
  return CO_OK;
}
#endif
