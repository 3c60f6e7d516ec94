// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

// The pixels [*begin, *end) of the image under the window at position p.
static void window(const co_op_attr *attr, int axis, int64_t p, int64_t size, int64_t *begin,
                   int64_t *end) {
  int64_t start = p * attr->stride[axis] - attr->pad_begin[axis], stop = start + attr->kernel[axis];
  *begin = start < 0 ? 0 : start;
  *end = stop > size ? size : stop;
}

void CO_REF(average_pool2d)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *xd = desc->in[0].shape.dim, *yd = desc->out[0].shape.dim;
  const int64_t H = xd[1], W = xd[2], C = xd[3], P = yd[1], Q = yd[2];
  const real *x = in[0]; // (N, H, W, C)
  real *y = out[0];      // (N, P, Q, C)
  for (int64_t i = 0; i < xd[0] * P * Q; i++) {
    int64_t top, bottom, left, right;
    window(&desc->attr, 0, i / Q % P, H, &top, &bottom);
    window(&desc->attr, 1, i % Q, W, &left, &right);
    for (int64_t c = 0; c < C; c++) {
      double sum = 0;
      for (int64_t h = top; h < bottom; h++)
        for (int64_t w = left; w < right; w++)
          sum += (double)x[((i / Q / P * H + h) * W + w) * C + c];
      y[i * C + c] = (real)(sum / (double)((bottom - top) * (right - left)));
    }
  }
}

// The position whose tap k lies over row or column i, -1 if there is none.
static int64_t over(const co_op_attr *attr, int axis, int64_t i, int64_t k, int64_t positions) {
  int64_t at = i + attr->pad_begin[axis] - k;
  if (at < 0 || at % attr->stride[axis] != 0) return -1;
  return at / attr->stride[axis] < positions ? at / attr->stride[axis] : -1;
}

void CO_REF(average_pool2d_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *xd = desc->out[0].shape.dim, *yd = desc->in[0].shape.dim;
  const int64_t H = xd[1], W = xd[2], C = xd[3], P = yd[1], Q = yd[2];
  const real *dy = in[0]; // (N, P, Q, C)
  real *dx = out[0];      // (N, H, W, C)
  for (int64_t i = 0; i < xd[0] * H * W; i++)
    for (int64_t c = 0; c < C; c++) {
      double sum = 0;
      for (int64_t kh = 0; kh < desc->attr.kernel[0]; kh++)
        for (int64_t kw = 0; kw < desc->attr.kernel[1]; kw++) {
          int64_t p = over(&desc->attr, 0, i / W % H, kh, P),
                  q = over(&desc->attr, 1, i % W, kw, Q);
          int64_t top, bottom, left, right;
          if (p < 0 || q < 0) continue;
          window(&desc->attr, 0, p, H, &top, &bottom);
          window(&desc->attr, 1, q, W, &left, &right);
          sum += (double)dy[((i / W / H * P + p) * Q + q) * C + c] /
                 (double)((bottom - top) * (right - left));
        }
      co_put(desc, 0, &dx[i * C + c], sum);
    }
}

#if CO_REF_ONCE
co_status co_infer_average_pool2d(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_real(desc, 0, 0));
  const co_shape *x = &desc->in[0].shape;
  int64_t P = 0, Q = 0;
  CO_RETURN_IF_FAILED(co_check_pool(desc, &P, &Q));
  co_shape y = co_shape_make(4, x->dim[0], P, Q, x->dim[3]);
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(average_pool2d_backward)
#endif
