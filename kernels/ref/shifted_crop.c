// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "host/core/rng.h"

// Uniform in [-pad, pad], from 32 random bits without a division.
static int64_t shift_from_bits(uint32_t bits, int64_t pad) {
  return (int64_t)(((uint64_t)bits * (uint64_t)(2 * pad + 1)) >> 32) - pad;
}

void CO_REF(shifted_crop)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[0].shape.dim;
  int64_t N = dim[0], H = dim[1], W = dim[2], C = dim[3];
  const real *x = in[0];      // (N, H, W, C)
  const int64_t *ids = in[1]; // (N)
  const co_step *step = in[2];
  real *y = out[0];
  for (int64_t n = 0; n < N; n++) {
    uint64_t id = (uint64_t)ids[n];
    uint32_t purpose = desc->attr.purpose, epoch = step->epoch;
    int64_t down =
        shift_from_bits(co_random_bits(step->seed, 2 * id, epoch, purpose), desc->attr.pad);
    int64_t right =
        shift_from_bits(co_random_bits(step->seed, 2 * id + 1, epoch, purpose), desc->attr.pad);
    for (int64_t h = 0; h < H; h++)
      for (int64_t w = 0; w < W; w++)
        for (int64_t c = 0; c < C; c++) {
          int64_t ih = h - down, iw = w - right;
          bool vacated = ih < 0 || ih >= H || iw < 0 || iw >= W;
          y[((n * H + h) * W + w) * C + c] =
              vacated ? (real)desc->attr.fill : x[((n * H + ih) * W + iw) * C + c];
        }
  }
}

#if CO_REF_ONCE
co_status co_infer_shifted_crop(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  const co_shape rows = co_shape_vector(desc->in[0].shape.dim[0]);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 1, &rows));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 1, CO_I64));
  CO_RETURN_IF_FAILED(co_check_step(desc, 2));
  if (desc->attr.pad < 0 || desc->attr.pad > INT32_MAX / 2)
    return co_fail(CO_ERR_CONFIG, "shifted_crop: the largest shift must not be negative");
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}
#endif
