// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(impute)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[0].shape), C = desc->in[1].shape.dim[0];
  const real *x = in[0], *fill = in[1]; // (N, …, C), (C)
  real *y = out[0], *flags = out[1];    // (N, …, C); flags or NULL
  for (int64_t i = 0; i < count; i++) {
    bool missing = isnan(x[i]);
    y[i] = missing ? fill[i % C] : x[i];
    if (flags) flags[i] = missing ? 1 : 0;
  }
}

#if CO_REF_ONCE
co_status co_infer_impute(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, CO_MAX_RANK));
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 0));
  const co_shape *x = &desc->in[0].shape;
  co_shape vector = co_shape_vector(x->dim[x->rank - 1]);
  if (co_shape_count(&desc->in[1].shape) == 1) vector.dim[0] = 1;
  CO_RETURN_IF_FAILED(co_check_shape(desc, 1, &vector));
  co_set_out(desc, 0, desc->in[0].dtype, x);
  co_set_out(desc, 1, desc->in[0].dtype, x);
  return CO_OK;
}
#endif
