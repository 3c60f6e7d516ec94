// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(cast)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[0].shape);
  for (int64_t i = 0; i < count; i++) {
    double value = co_load(in[0], desc->in[0].dtype, i);
    if (desc->out[0].dtype == CO_F32)
      ((float *)out[0])[i] = (float)value;
    else if (desc->out[0].dtype == CO_BF16) // from integers and f64 by way of float
      ((co_bf16 *)out[0])[i] = co_bf16_round((float)value);
    else
      ((double *)out[0])[i] = value;
  }
}

#if CO_REF_ONCE
co_status co_infer_cast(co_op_desc *desc) {
  co_dtype to = desc->attr.dtype;
  if (to != CO_F32 && to != CO_F64 && to != CO_BF16)
    return co_fail(CO_ERR_CONFIG, "cast: to f32, f64 or bf16, not to %s", co_dtype_name(to));
  co_set_out(desc, 0, desc->attr.dtype, &desc->in[0].shape);
  return CO_OK;
}
#endif
