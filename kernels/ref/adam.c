// SPDX-License-Identifier: Apache-2.0
#include "kernels/bf16.h"
#include "kernels/ref/real.h"

void CO_REF(adam)(const co_op_desc *desc, void *const *in, void *const *out) {
  const real *w = in[0], *g = in[1], *m = in[2], *v = in[3]; // (M), g with narrow (M - L)
  const co_bf16 *narrow = in[CO_ADAM_narrow];                // (L) or NULL
  const int64_t split = desc->in[CO_ADAM_g].shape.dim[0];
  const co_segment *segment = in[4];
  const co_step *step = in[5];
  const double *gate = in[6];
  real *new_w = out[0], *new_m = out[1], *new_v = out[2]; // the memory of w, m and v
  co_bf16 *mirror = out[3];                               // may be NULL
  int64_t segments = co_shape_count(&desc->in[4].shape) / (int64_t)sizeof(co_segment);
  const co_op_attr *attr = &desc->attr;
  if (gate[0] == 0) return;
  for (int64_t s = 0; s < segments; s++) {
    double decay = attr->weight_decay * segment[s].decay;
    double rate = step->learning_rate * segment[s].rate;
    for (int64_t i = segment[s].begin; i < segment[s].begin + segment[s].count; i++) {
      double weight = (double)w[i];
      double gradient = co_clipped(attr, gate[1], co_gradient(g, narrow, split, i));
      if (!attr->decoupled) gradient += decay * weight;
      double first = attr->beta1 * (double)m[i] + (1 - attr->beta1) * gradient;
      double second = attr->beta2 * (double)v[i] + (1 - attr->beta2) * gradient * gradient;
      if (attr->decoupled) weight -= rate * decay * weight;
      weight -= rate * (first * step->bias_correction1) /
                (sqrt(second * step->bias_correction2) + attr->epsilon);
      new_w[i] = (real)weight;
      new_m[i] = (real)first;
      new_v[i] = (real)second;
      if (mirror != NULL) mirror[i] = co_bf16_round((float)new_w[i]);
    }
  }
}

#if CO_REF_ONCE
co_status co_infer_adam(co_op_desc *desc) {
  const co_shape gate = co_shape_vector(2);
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, 1));
  for (int i = CO_ADAM_w; i <= CO_ADAM_v; i++) {
    CO_RETURN_IF_FAILED(co_check_real(desc, i, CO_ADAM_w));
    if (i == CO_ADAM_g)
      CO_RETURN_IF_FAILED(co_check_gradient(desc, CO_ADAM_g, CO_ADAM_narrow));
    else
      CO_RETURN_IF_FAILED(co_check_shape(desc, i, &desc->in[CO_ADAM_w].shape));
  }
  CO_RETURN_IF_FAILED(co_check_segments(desc, 4));
  CO_RETURN_IF_FAILED(co_check_step(desc, 5));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 6, CO_F64));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 6, &gate));
  for (int i = 0; i < 3; i++)
    co_set_out(desc, i, desc->in[0].dtype, &desc->in[0].shape);
  co_set_out(desc, 3, CO_BF16, &desc->in[0].shape);
  return CO_OK;
}
#endif
