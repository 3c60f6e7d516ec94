// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(lookup)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[0].shape), K = desc->in[1].shape.dim[0];
  const int32_t *x = in[0], *map = in[1]; // (N, …), (K)
  int32_t *y = out[0];                    // (N, …)
  for (int64_t i = 0; i < count; i++) {
    int64_t at = (int64_t)x[i] + 1;
    y[i] = map[at >= 0 && at < K ? at : 0];
  }
}

#if CO_REF_ONCE
co_status co_infer_lookup(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, CO_MAX_RANK));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 0, CO_I32));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 1, 1));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 1, CO_I32));
  co_set_out(desc, 0, CO_I32, &desc->in[0].shape);
  return CO_OK;
}
#endif
