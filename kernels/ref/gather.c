// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(gather)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[1].shape.dim[0];
  size_t row = (size_t)co_row_count(&desc->in[0].shape) * co_dtype_size(desc->in[0].dtype);
  const unsigned char *table = in[0]; // (R, …)
  const void *index = in[1];          // (N)
  unsigned char *y = out[0];          // (N, …)
  const bool narrow = desc->in[1].dtype == CO_I32;
  for (int64_t n = 0; n < N; n++) {
    const int64_t at = narrow ? ((const int32_t *)index)[n] : ((const int64_t *)index)[n];
    memcpy(y + (size_t)n * row, table + (size_t)at * row, row);
  }
}

#if CO_REF_ONCE
co_status co_infer_gather(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, CO_MAX_RANK));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 1, 1));
  if (desc->in[1].dtype != CO_I32) CO_RETURN_IF_FAILED(co_check_dtype(desc, 1, CO_I64));
  co_shape y = desc->in[0].shape;
  y.dim[0] = desc->in[1].shape.dim[0];
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}
#endif
