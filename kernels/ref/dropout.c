// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "host/core/rng.h"

void CO_REF(dropout)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[0].shape.dim[0], row = co_row_count(&desc->in[0].shape);
  const real *x = in[0];
  const co_step *step = in[1];
  real *y = out[0];
  const float rate = (float)desc->attr.rate;
  const double scale = 1 / (1 - desc->attr.rate);
  const int64_t stride = co_draws_of_row(desc);
  for (int64_t n = 0; n < N; n++)
    for (int64_t i = 0; i < row; i++) {
      const int64_t draw = desc->attr.draws ? i % desc->attr.draws : i;
      uint64_t element = (uint64_t)((step->row_offset + n) * stride + draw);
      uint32_t bits = co_random_bits(step->seed, element, step->step, desc->attr.purpose);
      bool kept = co_uniform_from_bits(bits) >= rate;
      co_put(desc, 0, &y[n * row + i], kept ? (double)x[n * row + i] * scale : 0);
    }
}

#if CO_REF_ONCE
co_status co_infer_dropout(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, CO_MAX_RANK));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  CO_RETURN_IF_FAILED(co_check_step(desc, 1));
  if (!(desc->attr.rate >= 0 && desc->attr.rate < 1))
    return co_fail(CO_ERR_CONFIG, "dropout: rate must be at least 0 and below 1");
  if (desc->attr.max_length) CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, CO_MAX_RANK));
  const co_shape *x = &desc->in[0].shape;
  const int64_t draws = desc->attr.draws, row = co_row_count(x);
  if (draws < 0 || (draws && desc->attr.max_length))
    return co_fail(CO_ERR_INTERNAL, "dropout: %lld draws of a row", (long long)draws);
  if (draws > 1 && (row > 0 ? row % draws : x->dim[x->rank - 1] != draws))
    return co_fail(CO_ERR_CONFIG, "dropout: rows do not part into %lld draws", (long long)draws);
  co_set_out(desc, 0, desc->in[0].dtype, x);
  return CO_OK;
}
#endif
