// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(multiply)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[CO_MULTIPLY_a].shape);
  const real *a = in[CO_MULTIPLY_a], *b = in[CO_MULTIPLY_b];
  real *y = out[CO_MULTIPLY_y];
  for (int64_t i = 0; i < count; i++)
    co_put(desc, CO_MULTIPLY_y, &y[i], (double)a[i] * (double)b[i]);
}

#if CO_REF_ONCE
co_status co_infer_multiply(co_op_desc *desc) {
  const co_tensor_desc *a = &desc->in[CO_MULTIPLY_a];
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_MULTIPLY_a, CO_MULTIPLY_a));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_MULTIPLY_b, CO_MULTIPLY_a));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_MULTIPLY_b, &a->shape));
  co_set_out(desc, CO_MULTIPLY_y, a->dtype, &a->shape);
  return CO_OK;
}
#endif
