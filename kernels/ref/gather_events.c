// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(gather_events)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->out[0].shape.dim[0], T = desc->out[0].shape.dim[1];
  const size_t event = (size_t)co_row_count(&desc->in[0].shape) * co_dtype_size(desc->in[0].dtype);
  const unsigned char *table = in[0]; // (E, …)
  const int64_t *begin = in[1];       // (N)
  const int32_t *lengths = in[2];     // (N)
  unsigned char *y = out[0];          // (N, T, …)
  for (int64_t n = 0; n < N; n++) {
    size_t events = (size_t)co_clamp_length(lengths[n], T);
    unsigned char *row = y + (size_t)(n * T) * event;
    if (events > 0) memcpy(row, table + (size_t)begin[n] * event, events * event);
    memset(row + events * event, 0, ((size_t)T - events) * event);
  }
}

#if CO_REF_ONCE
co_status co_infer_gather_events(co_op_desc *desc) {
  const co_shape *begin = &desc->in[1].shape, *length = &desc->attr.shape;
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, CO_MAX_RANK - 1));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 1, 1));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 1, CO_I64));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 2, begin));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 2, CO_I32));
  if (length->rank != 1 || length->dim[0] == 0)
    return co_fail(CO_ERR_CONFIG, "gather_events: one length is needed for all rows");
  co_shape y = desc->in[0].shape;
  y.rank++;
  for (int i = y.rank - 1; i > 1; i--)
    y.dim[i] = y.dim[i - 1];
  y.dim[0] = begin->dim[0];
  y.dim[1] = length->dim[0];
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}
#endif
