// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

// Types come from the descriptor, not from `real`: f32 to f64 and back is a cast like any other.
static double load(const void *x, co_dtype dtype, int64_t i) {
  switch (dtype) {
  case CO_U8:
    return (double)((const uint8_t *)x)[i];
  case CO_I32:
    return (double)((const int32_t *)x)[i];
  case CO_I64:
    return (double)((const int64_t *)x)[i];
  case CO_F32:
    return (double)((const float *)x)[i];
  default:
    return ((const double *)x)[i];
  }
}

void CO_REF(cast)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[0].shape);
  for (int64_t i = 0; i < count; i++) {
    double value = load(in[0], desc->in[0].dtype, i);
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
