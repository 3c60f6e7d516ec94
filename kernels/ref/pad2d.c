// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

// `to` = `from` moved by pad_begin (sign = 1) or back (sign = -1), zeros where there is nothing.
static void moved(const co_op_desc *desc, const real *from, real *to, int64_t sign) {
  const int64_t *f = desc->in[0].shape.dim, *t = desc->out[0].shape.dim, C = t[3];
  for (int64_t i = 0; i < t[0] * t[1] * t[2]; i++) {
    int64_t h = i / t[2] % t[1] - sign * desc->attr.pad_begin[0];
    int64_t w = i % t[2] - sign * desc->attr.pad_begin[1];
    bool there = h >= 0 && h < f[1] && w >= 0 && w < f[2];
    for (int64_t c = 0; c < C; c++)
      co_put(desc, 0, &to[i * C + c],
             there ? (double)from[((i / t[2] / t[1] * f[1] + h) * f[2] + w) * C + c] : 0);
  }
}

void CO_REF(pad2d)(const co_op_desc *desc, void *const *in, void *const *out) {
  moved(desc, in[0], out[0], 1);
}

void CO_REF(pad2d_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  moved(desc, in[0], out[0], -1);
}

#if CO_REF_ONCE
co_status co_infer_pad2d(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  co_shape y = desc->in[0].shape;
  const int64_t limit = INT32_MAX;
  for (int axis = 0; axis < 2; axis++) {
    const int64_t size = y.dim[1 + axis];
    const int64_t begin = desc->attr.pad_begin[axis], end = desc->attr.pad_end[axis];
    if (size < 1 || size > limit || begin > limit || end > limit || begin < -limit || end < -limit)
      return co_fail(CO_ERR_CONFIG, "pad2d: the size of the image is out of range");
    y.dim[1 + axis] = size + begin + end;
    // What is cut off at one end is not padded at the other: some of the image stays.
    if (y.dim[1 + axis] < 1 || size + begin < 1 || size + end < 1 || y.dim[1 + axis] > limit)
      return co_fail(CO_ERR_CONFIG, "pad2d: nothing is left of the image's %s of %lld",
                     axis ? "width" : "height", (long long)size);
  }
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(pad2d_backward)
#endif
