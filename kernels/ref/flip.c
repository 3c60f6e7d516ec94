// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "host/core/rng.h"

void CO_REF(flip)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[0].shape.dim;
  int64_t N = dim[0], H = dim[1], W = dim[2], C = dim[3];
  const real *x = in[0];      // (N, H, W, C)
  const int64_t *ids = in[1]; // (N)
  const co_step *step = in[2];
  real *y = out[0];
  for (int64_t n = 0; n < N; n++) {
    uint32_t bits = co_random_bits(step->seed, (uint64_t)ids[n], step->epoch, desc->attr.purpose);
    bool mirrored = co_uniform_from_bits(bits) < (float)desc->attr.rate;
    for (int64_t h = 0; h < H; h++)
      for (int64_t w = 0; w < W; w++)
        for (int64_t c = 0; c < C; c++) {
          int64_t from = mirrored ? W - 1 - w : w;
          y[((n * H + h) * W + w) * C + c] = x[((n * H + h) * W + from) * C + c];
        }
  }
}

#if CO_REF_ONCE
co_status co_infer_flip(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  const co_shape rows = co_shape_vector(desc->in[0].shape.dim[0]);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 1, &rows));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 1, CO_I64));
  CO_RETURN_IF_FAILED(co_check_step(desc, 2));
  if (!(desc->attr.rate >= 0 && desc->attr.rate <= 1))
    return co_fail(CO_ERR_CONFIG, "flip: rate must be within 0 and 1");
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}
#endif
