// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "kernels/mix.h"

void CO_REF(mix_rows)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_MIX_ROWS_x].shape.dim;
  const int64_t N = dim[0], H = dim[1], W = dim[2], C = dim[3], size = H * W * C;
  const real *x = in[CO_MIX_ROWS_x];
  real *y = out[CO_MIX_ROWS_y];
  for (int64_t n = 0; n < N; n++) {
    const co_mixed m = co_mix_draw(in[CO_MIX_ROWS_step], &desc->attr, n, N, H, W);
    for (int64_t i = 0; i < size; i++) {
      const double share = co_mix_share(&m, i / (W * C), i / C % W);
      const double own = (double)x[n * size + i], other = (double)x[m.other * size + i];
      y[n * size + i] = (real)(share == 1   ? own
                               : share == 0 ? other
                                            : other + share * (own - other));
    }
  }
}

#if CO_REF_ONCE
co_status co_infer_mix_rows(co_op_desc *desc) {
  const co_op_attr *attr = &desc->attr;
  const co_tensor_desc *x = &desc->in[CO_MIX_ROWS_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_MIX_ROWS_x, 4, 4));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_MIX_ROWS_x, CO_MIX_ROWS_x));
  CO_RETURN_IF_FAILED(co_check_step(desc, CO_MIX_ROWS_step));
  if (!(attr->mixup >= 0 && attr->mixup <= 1) || !(attr->cutmix >= 0 && attr->cutmix <= 1) ||
      !(attr->mixup > 0 || attr->cutmix > 0))
    return co_fail(CO_ERR_CONFIG, "mix_rows: mixup and cutmix are within 0 and 1, one above 0");
  co_set_out(desc, CO_MIX_ROWS_y, x->dtype, &x->shape);
  return CO_OK;
}
#endif
