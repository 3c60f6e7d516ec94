// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(cast)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[0].shape);
  for (int64_t i = 0; i < count; i++) {
    double value = co_load(in[0], desc->in[0].dtype, i);
    if (desc->out[0].dtype == CO_F32)
      ((float *)out[0])[i] = (float)value;
    else
      ((double *)out[0])[i] = value;
  }
}

#if CO_REF_ONCE
co_status co_infer_cast(co_op_desc *desc) {
  if (desc->attr.dtype != CO_F32 && desc->attr.dtype != CO_F64)
    return co_fail(CO_ERR_CONFIG, "cast: to f32 or f64, not to %s",
                   co_dtype_name(desc->attr.dtype));
  if (desc->in[0].dtype > CO_F64)
    return co_fail(CO_ERR_CONFIG, "cast: cannot read %s", co_dtype_name(desc->in[0].dtype));
  co_set_out(desc, 0, desc->attr.dtype, &desc->in[0].shape);
  return CO_OK;
}
#endif
