// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(reshape)(const co_op_desc *desc, void *const *in, void *const *out) {
  if (!co_accumulates(desc, 0)) { // of any type
    memcpy(out[0], in[0], co_tensor_bytes(&desc->in[0]));
    return;
  }
  int64_t count = co_shape_count(&desc->in[0].shape);
  const real *x = in[0];
  real *y = out[0];
  for (int64_t i = 0; i < count; i++)
    co_put(desc, 0, &y[i], (double)x[i]);
}

#if CO_REF_ONCE
co_status co_infer_reshape(co_op_desc *desc) {
  co_shape y = desc->attr.shape;
  const co_shape *x = &desc->in[0].shape;
  // A symbolic N stands for x's rows, so that an attribute set by a layer fits every plan.
  if (y.rank > 0 && x->rank > 0 && y.dim[0] == CO_DIM_N) y.dim[0] = x->dim[0];
  bool fits = y.rank >= 0 && y.rank <= CO_MAX_RANK;
  if (fits && y.rank > 0 && x->rank > 0 && y.dim[0] == x->dim[0])
    fits = co_row_count(&y) > 0 && co_row_count(&y) == co_row_count(x);
  else
    fits = fits && co_shape_count(&y) > 0 && co_shape_count(&y) == co_shape_count(x);
  if (!fits) {
    char from[128], to[128];
    co_shape_print(x, from, sizeof from);
    co_shape_print(&desc->attr.shape, to, sizeof to);
    return co_fail(CO_ERR_CONFIG, "reshape: %s cannot become %s", from, to);
  }
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}
#endif
