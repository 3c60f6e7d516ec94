// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(arg_max)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_ARG_MAX_x].shape.dim[0], K = desc->in[CO_ARG_MAX_x].shape.dim[1];
  const bool some = desc->has_in >> CO_ARG_MAX_allowed & 1;
  const uint8_t *allowed = in[CO_ARG_MAX_allowed]; // (K)
  const real *x = in[CO_ARG_MAX_x];                // (N, K)
  int32_t *y = out[CO_ARG_MAX_y];                  // (N)
  for (int64_t n = 0; n < N; n++, x += K) {
    int64_t best = -1;
    for (int64_t k = 0; k < K; k++)
      if ((!some || allowed[k]) && (best < 0 || x[k] > x[best])) best = k;
    y[n] = (int32_t)(best < 0 ? 0 : best);
  }
}

#if CO_REF_ONCE
co_status co_infer_arg_max(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_ARG_MAX_x, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_ARG_MAX_x, CO_ARG_MAX_x));
  const co_shape *x = &desc->in[CO_ARG_MAX_x].shape;
  const co_shape rows = co_shape_vector(x->dim[0]), classes = co_shape_vector(x->dim[1]);
  if (desc->has_in >> CO_ARG_MAX_allowed & 1) {
    CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_ARG_MAX_allowed, CO_U8));
    CO_RETURN_IF_FAILED(co_check_shape(desc, CO_ARG_MAX_allowed, &classes));
  }
  co_set_out(desc, CO_ARG_MAX_y, CO_I32, &rows);
  return CO_OK;
}
#endif
