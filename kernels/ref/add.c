// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(add)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[0].shape);
  const real *a = in[0], *b = in[1];
  real *y = out[0];
  for (int64_t i = 0; i < count; i++)
    co_put(desc, 0, &y[i], co_activate(desc->attr.activation, (double)a[i] + (double)b[i]));
}

#if CO_REF_ONCE
co_status co_infer_add(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 0));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 1, &desc->in[0].shape));
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}
#endif
