// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "kernels/augment.h"

// Channel c of an image (H, W, C) between its pixels.
static double between(const real *image, int64_t W, int64_t C, int64_t c, const int64_t rows[2],
                      const int64_t columns[2], double down, double right) {
  double sums[2];
  for (int i = 0; i < 2; i++) {
    const double first = (double)image[(rows[i] * W + columns[0]) * C + c];
    sums[i] = first + right * ((double)image[(rows[i] * W + columns[1]) * C + c] - first);
  }
  return sums[0] + down * (sums[1] - sums[0]);
}

void CO_REF(augment)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[0].shape.dim;
  const int64_t N = dim[0], H = dim[1], W = dim[2], C = dim[3];
  const int64_t *ids = in[1]; // (N)
  for (int64_t n = 0; n < N; n++) {
    const co_augmented a = co_augment_draw(in[2], &desc->attr, ids[n], H, W);
    const real *image = (const real *)in[0] + n * H * W * C;
    real *y = (real *)out[0] + n * H * W * C;
    for (int64_t i = 0; i < H * W; i++) {
      const double h = (double)(i / W), w = (double)(i % W);
      int64_t rows[2], columns[2];
      const double down = co_augment_around(a.top + a.hh * h + a.hw * w, H, rows);
      const double right = co_augment_around(a.left + a.wh * h + a.ww * w, W, columns);
      const bool cut = co_augment_is_cut(&a, i / W, i % W);
      for (int64_t c = 0; c < C; c++)
        y[i * C + c] = (real)(cut ? desc->attr.fill
                                  : co_augment_coloured(
                                        &a, between(image, W, C, c, rows, columns, down, right)));
    }
  }
}

#if CO_REF_ONCE
co_status co_infer_augment(co_op_desc *desc) {
  const co_op_attr *attr = &desc->attr;
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  const co_shape rows = co_shape_vector(desc->in[0].shape.dim[0]);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 1, &rows));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 1, CO_I64));
  CO_RETURN_IF_FAILED(co_check_step(desc, 2));
  if (!(attr->least_area > 0 && attr->least_area <= 1) ||
      !(attr->rotation >= 0 && attr->rotation <= 180))
    return co_fail(CO_ERR_CONFIG, "augment: an area within 0 and 1, a rotation within 0 and 180");
  if (!(attr->brightness >= 0 && attr->brightness <= 1) ||
      !(attr->contrast >= 0 && attr->contrast <= 1) || attr->cutout < 0 || attr->cutout > 1 << 16)
    return co_fail(CO_ERR_CONFIG, "augment: brightness, contrast or cutout out of range");
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}
#endif
