// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(softmax)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[0].shape;
  int64_t K = shape->dim[shape->rank - 1], rows = co_shape_count(shape) / K;
  const real *x = in[0];
  real *y = out[0];
  for (int64_t r = 0; r < rows; r++) {
    double largest = (double)x[r * K], sum = 0; // subtracted: exp must not overflow
    for (int64_t k = 1; k < K; k++)
      largest = fmax(largest, (double)x[r * K + k]);
    for (int64_t k = 0; k < K; k++)
      sum += exp((double)x[r * K + k] - largest);
    for (int64_t k = 0; k < K; k++)
      y[r * K + k] = (real)(exp((double)x[r * K + k] - largest) / sum);
  }
}

#if CO_REF_ONCE
co_status co_infer_softmax(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, CO_MAX_RANK));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}
#endif
