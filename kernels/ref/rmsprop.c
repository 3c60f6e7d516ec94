// SPDX-License-Identifier: Apache-2.0
#include "kernels/bf16.h"
#include "kernels/ref/real.h"

void CO_REF(rmsprop)(const co_op_desc *desc, void *const *in, void *const *out) {
  const real *w = in[CO_RMSPROP_w], *g = in[CO_RMSPROP_g], *v = in[CO_RMSPROP_v]; // (M)
  const real *m = in[CO_RMSPROP_m];                                               // or NULL
  const co_bf16 *narrow = in[CO_RMSPROP_narrow];                                  // or NULL
  const int64_t split = desc->in[CO_RMSPROP_g].shape.dim[0];
  const co_segment *segment = in[CO_RMSPROP_segments];
  const co_step *step = in[CO_RMSPROP_step];
  const double *gate = in[CO_RMSPROP_gate];
  real *new_w = out[CO_RMSPROP_new_w], *new_v = out[CO_RMSPROP_new_v]; // the memory of w, v and m
  real *new_m = out[CO_RMSPROP_new_m];
  co_bf16 *mirror = out[CO_RMSPROP_mirror]; // may be NULL
  const int64_t segments =
      co_shape_count(&desc->in[CO_RMSPROP_segments].shape) / (int64_t)sizeof(co_segment);
  const co_op_attr *attr = &desc->attr;
  if (gate[0] == 0) return;
  for (int64_t s = 0; s < segments; s++) {
    const double l2 = attr->weight_decay * segment[s].decay;
    const double rate = step->learning_rate * segment[s].rate;
    for (int64_t i = segment[s].begin; i < segment[s].begin + segment[s].count; i++) {
      const double raw = co_gradient(g, narrow, split, i);
      const double gradient = co_clipped(attr, gate[1], raw) + l2 * (double)w[i];
      const double second = attr->beta2 * (double)v[i] + attr->added * gradient * gradient;
      double direction = gradient / (sqrt(second) + attr->epsilon);
      new_v[i] = (real)second;
      if (m != NULL) {
        direction += attr->momentum * (double)m[i];
        new_m[i] = (real)direction;
      }
      new_w[i] = (real)((double)w[i] - rate * direction);
      if (mirror != NULL) mirror[i] = co_bf16_round((float)new_w[i]);
    }
  }
}

#if CO_REF_ONCE
co_status co_infer_rmsprop(co_op_desc *desc) {
  const co_tensor_desc *w = &desc->in[CO_RMSPROP_w];
  const co_shape gate = co_shape_vector(2);
  const bool momentum = (desc->has_in >> CO_RMSPROP_m & 1) != 0;
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_RMSPROP_w, 1, 1));
  for (int i = CO_RMSPROP_w; i <= (momentum ? CO_RMSPROP_m : CO_RMSPROP_v); i++) {
    CO_RETURN_IF_FAILED(co_check_real(desc, i, CO_RMSPROP_w));
    if (i == CO_RMSPROP_g)
      CO_RETURN_IF_FAILED(co_check_gradient(desc, CO_RMSPROP_g, CO_RMSPROP_narrow));
    else
      CO_RETURN_IF_FAILED(co_check_shape(desc, i, &w->shape));
  }
  CO_RETURN_IF_FAILED(co_check_segments(desc, CO_RMSPROP_segments));
  CO_RETURN_IF_FAILED(co_check_step(desc, CO_RMSPROP_step));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_RMSPROP_gate, CO_F64));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_RMSPROP_gate, &gate));
  for (int i = CO_RMSPROP_new_w; i <= CO_RMSPROP_new_m; i++)
    co_set_out(desc, i, w->dtype, &w->shape);
  co_set_out(desc, CO_RMSPROP_mirror, CO_BF16, &w->shape);
  desc->has_out = (momentum ? 7u : 3u) | (desc->has_out & 1u << CO_RMSPROP_mirror);
  return CO_OK;
}
#endif
