// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(global_average_pool2d)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[0].shape;
  const int64_t N = shape->dim[0], pixels = shape->dim[1] * shape->dim[2], C = shape->dim[3];
  const real *x = in[0]; // (N, H, W, C)
  real *y = out[0];      // (N, C)
  for (int64_t n = 0; n < N; n++)
    for (int64_t c = 0; c < C; c++) {
      double sum = 0;
      for (int64_t i = 0; i < pixels; i++)
        sum += (double)x[(n * pixels + i) * C + c];
      y[n * C + c] = (real)(sum / (double)pixels);
    }
}

void CO_REF(global_average_pool2d_backward)(const co_op_desc *desc, void *const *in,
                                            void *const *out) {
  const co_shape *shape = &desc->out[0].shape;
  const int64_t N = shape->dim[0], pixels = shape->dim[1] * shape->dim[2], C = shape->dim[3];
  const real *dy = in[0]; // (N, C)
  real *dx = out[0];      // (N, H, W, C)
  for (int64_t n = 0; n < N; n++)
    for (int64_t i = 0; i < pixels; i++)
      for (int64_t c = 0; c < C; c++)
        co_put(desc, 0, &dx[(n * pixels + i) * C + c], (double)dy[n * C + c] / (double)pixels);
}

#if CO_REF_ONCE
co_status co_infer_global_average_pool2d(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  const co_shape *x = &desc->in[0].shape;
  if (x->dim[1] < 1 || x->dim[2] < 1 || x->dim[3] < 1)
    return co_fail(CO_ERR_CONFIG, "global_average_pool2d: the image's size must be known");
  co_shape y = co_shape_make(2, x->dim[0], x->dim[3]);
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(global_average_pool2d_backward)
#endif
