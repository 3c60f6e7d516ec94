// SPDX-License-Identifier: Apache-2.0
#include "kernels/bf16.h"
#include "kernels/ref/real.h"

void CO_REF(sgd)(const co_op_desc *desc, void *const *in, void *const *out) {
  const real *w = in[0], *g = in[1], *m = in[2]; // (M), g with narrow (M - L); m may be NULL
  const co_bf16 *narrow = in[CO_SGD_narrow];     // (L) or NULL
  const int64_t split = desc->in[CO_SGD_g].shape.dim[0];
  const co_segment *segment = in[3];
  const co_step *step = in[4];
  const double *gate = in[5];
  real *new_w = out[0], *new_m = out[1]; // the memory of w and m
  co_bf16 *mirror = out[2];              // may be NULL
  int64_t segments = co_shape_count(&desc->in[3].shape) / (int64_t)sizeof(co_segment);
  const co_op_attr *attr = &desc->attr;
  if (gate[0] == 0) return;
  for (int64_t s = 0; s < segments; s++) {
    double l2 = attr->weight_decay * segment[s].decay;
    double rate = step->learning_rate * segment[s].rate;
    for (int64_t i = segment[s].begin; i < segment[s].begin + segment[s].count; i++) {
      const double raw = co_gradient(g, narrow, split, i);
      double direction = co_clipped(attr, gate[1], raw) + l2 * (double)w[i];
      if (m != NULL) {
        double momentum = attr->momentum * (double)m[i] + direction;
        new_m[i] = (real)momentum;
        direction = attr->nesterov ? direction + attr->momentum * momentum : momentum;
      }
      new_w[i] = (real)((double)w[i] - rate * direction);
      if (mirror != NULL) mirror[i] = co_bf16_round((float)new_w[i]);
    }
  }
}

#if CO_REF_ONCE
co_status co_infer_sgd(co_op_desc *desc) {
  const co_shape gate = co_shape_vector(2);
  bool momentum = (desc->has_in >> 2 & 1) != 0;
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, 1));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_SGD_w, CO_SGD_w));
  CO_RETURN_IF_FAILED(co_check_gradient(desc, CO_SGD_g, CO_SGD_narrow));
  if (momentum) {
    CO_RETURN_IF_FAILED(co_check_real(desc, CO_SGD_m, CO_SGD_w));
    CO_RETURN_IF_FAILED(co_check_shape(desc, CO_SGD_m, &desc->in[CO_SGD_w].shape));
  }
  CO_RETURN_IF_FAILED(co_check_segments(desc, 3));
  CO_RETURN_IF_FAILED(co_check_step(desc, 4));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 5, CO_F64));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 5, &gate));
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  co_set_out(desc, 1, desc->in[0].dtype, &desc->in[0].shape);
  co_set_out(desc, 2, CO_BF16, &desc->in[0].shape);
  desc->has_out = (momentum ? 3u : 1u) | (desc->has_out & 4u);
  return CO_OK;
}
#endif
