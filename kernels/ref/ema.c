// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(ema)(const co_op_desc *desc, void *const *in, void *const *out) {
  const real *w = in[0], *ema = in[1]; // (M)
  const co_segment *segment = in[2];
  const co_step *step = in[3];
  const double *gate = in[4];
  real *new_ema = out[0]; // the memory of ema
  int64_t segments = co_shape_count(&desc->in[2].shape) / (int64_t)sizeof(co_segment);
  if (gate[0] == 0) return;
  for (int64_t s = 0; s < segments; s++)
    for (int64_t i = segment[s].begin; i < segment[s].begin + segment[s].count; i++)
      new_ema[i] = (real)((double)ema[i] + step->ema_rate * ((double)w[i] - (double)ema[i]));
}

#if CO_REF_ONCE
co_status co_infer_ema(co_op_desc *desc) {
  const co_shape gate = co_shape_vector(2);
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, 1));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 0));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 1, &desc->in[0].shape));
  CO_RETURN_IF_FAILED(co_check_segments(desc, 2));
  CO_RETURN_IF_FAILED(co_check_step(desc, 3));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 4, CO_F64));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 4, &gate));
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}
#endif
