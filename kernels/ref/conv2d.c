// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

typedef struct sizes {
  int64_t N, H, W, C, KH, KW, P, Q, O;
} sizes;

static sizes sizes_of(const co_shape *x, const co_shape *w, const co_shape *y) {
  return (sizes){.N = x->dim[0],
                 .H = x->dim[1],
                 .W = x->dim[2],
                 .C = x->dim[3],
                 .KH = w->dim[0],
                 .KW = w->dim[1],
                 .P = y->dim[1],
                 .Q = y->dim[2],
                 .O = y->dim[3]};
}

// Row or column of x under tap k of the window at output position p; may lie in the padding.
static int64_t under(const co_op_attr *attr, int axis, int64_t p, int64_t k) {
  return p * attr->stride[axis] - attr->pad_begin[axis] + k * attr->dilation[axis];
}

void CO_REF(conv2d)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(&desc->in[0].shape, &desc->in[1].shape, &desc->out[0].shape);
  const real *x = in[0], *w = in[1], *b = in[2]; // (N, H, W, C), (KH, KW, C, O), (O) or NULL
  real *y = out[0];                              // (N, P, Q, O)
  for (int64_t n = 0; n < s.N; n++)
    for (int64_t p = 0; p < s.P; p++)
      for (int64_t q = 0; q < s.Q; q++)
        for (int64_t o = 0; o < s.O; o++) {
          double sum = b != NULL ? (double)b[o] : 0;
          for (int64_t kh = 0; kh < s.KH; kh++)
            for (int64_t kw = 0; kw < s.KW; kw++) {
              int64_t ih = under(&desc->attr, 0, p, kh), iw = under(&desc->attr, 1, q, kw);
              if (ih < 0 || ih >= s.H || iw < 0 || iw >= s.W) continue;
              for (int64_t c = 0; c < s.C; c++)
                sum += (double)x[((n * s.H + ih) * s.W + iw) * s.C + c] *
                       (double)w[((kh * s.KW + kw) * s.C + c) * s.O + o];
            }
          y[((n * s.P + p) * s.Q + q) * s.O + o] = (real)co_activate(desc->attr.activation, sum);
        }
}

// The output position whose tap k lies over x's row or column i, -1 if there is none.
static int64_t over(const co_op_attr *attr, int axis, int64_t i, int64_t k, int64_t count) {
  int64_t from_begin = i + attr->pad_begin[axis] - k * attr->dilation[axis];
  if (from_begin < 0 || from_begin % attr->stride[axis] != 0) return -1;
  int64_t p = from_begin / attr->stride[axis];
  return p < count ? p : -1;
}

void CO_REF(conv2d_backward_data)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(&desc->out[0].shape, &desc->in[1].shape, &desc->in[0].shape);
  const real *dy = in[0], *w = in[1]; // (N, P, Q, O), (KH, KW, C, O)
  real *dx = out[0];                  // (N, H, W, C)
  for (int64_t n = 0; n < s.N; n++)
    for (int64_t ih = 0; ih < s.H; ih++)
      for (int64_t iw = 0; iw < s.W; iw++)
        for (int64_t c = 0; c < s.C; c++) {
          double sum = 0;
          for (int64_t kh = 0; kh < s.KH; kh++)
            for (int64_t kw = 0; kw < s.KW; kw++) {
              int64_t p = over(&desc->attr, 0, ih, kh, s.P), q = over(&desc->attr, 1, iw, kw, s.Q);
              if (p < 0 || q < 0) continue;
              for (int64_t o = 0; o < s.O; o++)
                sum += (double)dy[((n * s.P + p) * s.Q + q) * s.O + o] *
                       (double)w[((kh * s.KW + kw) * s.C + c) * s.O + o];
            }
          co_put(desc, 0, &dx[((n * s.H + ih) * s.W + iw) * s.C + c], sum);
        }
}

void CO_REF(conv2d_backward_weights)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(&desc->in[0].shape, &desc->out[0].shape, &desc->in[1].shape);
  const real *x = in[0], *dy = in[1]; // (N, H, W, C), (N, P, Q, O)
  real *dw = out[0], *db = out[1];    // (KH, KW, C, O), (O) or NULL
  for (int64_t kh = 0; kh < s.KH; kh++)
    for (int64_t kw = 0; kw < s.KW; kw++)
      for (int64_t c = 0; c < s.C; c++)
        for (int64_t o = 0; o < s.O; o++) {
          double sum = 0;
          for (int64_t n = 0; n < s.N; n++)
            for (int64_t p = 0; p < s.P; p++)
              for (int64_t q = 0; q < s.Q; q++) {
                int64_t ih = under(&desc->attr, 0, p, kh), iw = under(&desc->attr, 1, q, kw);
                if (ih < 0 || ih >= s.H || iw < 0 || iw >= s.W) continue;
                sum += (double)x[((n * s.H + ih) * s.W + iw) * s.C + c] *
                       (double)dy[((n * s.P + p) * s.Q + q) * s.O + o];
              }
          co_put(desc, 0, &dw[((kh * s.KW + kw) * s.C + c) * s.O + o], sum);
        }
  if (db == NULL) return;
  for (int64_t o = 0; o < s.O; o++) {
    double sum = 0;
    for (int64_t i = 0; i < s.N * s.P * s.Q; i++)
      sum += (double)dy[i * s.O + o];
    co_put(desc, 1, &db[o], sum);
  }
}

#if CO_REF_ONCE
co_status co_infer_conv2d(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 4, 4));
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 0));
  const co_shape *x = &desc->in[0].shape, *w = &desc->in[1].shape;
  co_shape kernel =
      co_shape_make(4, desc->attr.kernel[0], desc->attr.kernel[1], x->dim[3], w->dim[3]);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 1, &kernel));
  if (x->dim[3] < 1 || w->dim[3] < 1)
    return co_fail(CO_ERR_CONFIG, "conv2d: the channels must be known and positive");
  if (desc->has_in >> 2 & 1) {
    co_shape bias = co_shape_vector(w->dim[3]);
    CO_RETURN_IF_FAILED(co_check_shape(desc, 2, &bias));
    CO_RETURN_IF_FAILED(co_check_real(desc, 2, 0));
  }
  int64_t P = 0, Q = 0;
  CO_RETURN_IF_FAILED(co_check_window(desc, 0, x->dim[1], desc->attr.dilation[0], &P));
  CO_RETURN_IF_FAILED(co_check_window(desc, 1, x->dim[2], desc->attr.dilation[1], &Q));
  co_shape y = co_shape_make(4, x->dim[0], P, Q, w->dim[3]);
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(conv2d_backward_data)
CO_INFER_BACKWARD(conv2d_backward_weights)
#endif
