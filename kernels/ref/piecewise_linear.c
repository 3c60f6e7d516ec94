// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(piecewise_linear)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[0].shape.dim[0], C = desc->in[0].shape.dim[1];
  int64_t K = desc->in[1].shape.dim[0] / C;
  const real *x = in[0], *edges = in[1]; // (N, C), (C K)
  real *y = out[0];                      // (N, C)
  for (int64_t n = 0; n < N; n++)
    for (int64_t c = 0; c < C; c++) {
      const real *edge = edges + c * K;
      double value = (double)x[n * C + c], place = isnan(value) ? value : 0;
      for (int64_t k = 0; k < K && value >= (double)edge[k] && isfinite((double)edge[k]); k++) {
        double width = k + 1 < K ? (double)edge[k + 1] - (double)edge[k] : (double)INFINITY;
        place = (double)k + (isinf(width) ? 0 : fmin((value - (double)edge[k]) / width, 1));
      }
      y[n * C + c] = (real)place;
    }
}

#if CO_REF_ONCE
co_status co_infer_piecewise_linear(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 1, 1));
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 0));
  int64_t C = desc->in[0].shape.dim[1], edges = desc->in[1].shape.dim[0];
  if (C < 1 || edges < C || edges % C != 0)
    return co_fail(CO_ERR_CONFIG, "piecewise_linear: %lld edges for %lld numbers", (long long)edges,
                   (long long)C);
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}
#endif
