// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "host/core/rng.h"

void CO_REF(index_dropout)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_INDEX_DROPOUT_x].shape.dim[0];
  const int64_t row = co_row_count(&desc->in[CO_INDEX_DROPOUT_x].shape);
  const int64_t stride = co_draws_of_row(desc);
  const int32_t *x = in[CO_INDEX_DROPOUT_x];
  const co_step *step = in[CO_INDEX_DROPOUT_step];
  const float rate = (float)desc->attr.rate;
  const int64_t first = desc->attr.draws < 0 ? 0 : step->row_offset;
  int32_t *y = out[CO_INDEX_DROPOUT_y];
  for (int64_t n = 0; n < N; n++)
    for (int64_t i = 0; i < row; i++) {
      const uint64_t element = (uint64_t)((first + n) * stride + i);
      const uint32_t bits = co_random_bits(step->seed, element, step->step, desc->attr.purpose);
      y[n * row + i] = co_uniform_from_bits(bits) < rate ? 0 : x[n * row + i];
    }
}

#if CO_REF_ONCE
co_status co_infer_index_dropout(co_op_desc *desc) {
  const int least = desc->attr.max_length ? 2 : 1;
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_INDEX_DROPOUT_x, least, CO_MAX_RANK));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_INDEX_DROPOUT_x, CO_I32));
  CO_RETURN_IF_FAILED(co_check_step(desc, CO_INDEX_DROPOUT_step));
  if (!(desc->attr.rate >= 0 && desc->attr.rate < 1))
    return co_fail(CO_ERR_CONFIG, "index_dropout: rate must be at least 0 and below 1");
  if (desc->attr.draws != 0 && desc->attr.draws != -1)
    return co_fail(CO_ERR_INTERNAL, "index_dropout: draws must be 0 or -1");
  co_set_out(desc, CO_INDEX_DROPOUT_y, CO_I32, &desc->in[CO_INDEX_DROPOUT_x].shape);
  return CO_OK;
}
#endif
