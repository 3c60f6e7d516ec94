// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(finite_check)(const co_op_desc *desc, void *const *in, void *const *out) {
  const double *sum = in[0]; // (1)
  double *gate = out[0];     // (2)
  const double norm = sqrt(*sum), limit = desc->attr.clip_norm;
  gate[0] = isfinite(*sum) ? 1 : 0;
  gate[1] = limit > 0 && norm > limit ? limit / norm : 1;
}

#if CO_REF_ONCE
co_status co_infer_finite_check(co_op_desc *desc) {
  const co_shape one = co_shape_vector(1), two = co_shape_vector(2);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 0, &one));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 0, CO_F64));
  if (!(desc->attr.clip_norm >= 0))
    return co_fail(CO_ERR_CONFIG, "the norm to clip to must not be negative");
  co_set_out(desc, 0, CO_F64, &two);
  return CO_OK;
}
#endif
