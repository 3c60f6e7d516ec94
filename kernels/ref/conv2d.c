// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

typedef struct sizes {
  int64_t N, H, W, C, KH, KW, P, Q, O;
  int64_t I, G; // channels and results of one group
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
                 .O = y->dim[3],
                 .I = w->dim[2],
                 .G = y->dim[3] / (x->dim[3] / w->dim[2])};
}

// Row or column of x under tap k of the window at output position p; may lie in the padding.
static int64_t under(const co_op_attr *attr, int axis, int64_t p, int64_t k) {
  return p * attr->stride[axis] - attr->pad_begin[axis] + k * attr->dilation[axis];
}

void CO_REF(conv2d)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(&desc->in[0].shape, &desc->in[1].shape, &desc->out[0].shape);
  const real *x = in[0], *w = in[1], *b = in[2]; // (N, H, W, C), (KH, KW, I, O), (O) or NULL
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
              for (int64_t i = 0; i < s.I; i++)
                sum += (double)x[((n * s.H + ih) * s.W + iw) * s.C + o / s.G * s.I + i] *
                       (double)w[((kh * s.KW + kw) * s.I + i) * s.O + o];
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

// dx and y of a transposed convolution: the sum over the taps that lie over one element of x.
static double sum_over(const co_op_desc *desc, const sizes *s, const real *dy, const real *w,
                       int64_t n, int64_t h, int64_t v, int64_t c) {
  const int64_t first = c / s->I * s->G;
  double sum = 0;
  for (int64_t kh = 0; kh < s->KH; kh++)
    for (int64_t kw = 0; kw < s->KW; kw++) {
      int64_t p = over(&desc->attr, 0, h, kh, s->P), q = over(&desc->attr, 1, v, kw, s->Q);
      if (p < 0 || q < 0) continue;
      for (int64_t o = first; o < first + s->G; o++)
        sum += (double)dy[((n * s->P + p) * s->Q + q) * s->O + o] *
               (double)w[((kh * s->KW + kw) * s->I + c % s->I) * s->O + o];
    }
  return sum;
}

void CO_REF(conv2d_backward_data)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(&desc->out[0].shape, &desc->in[1].shape, &desc->in[0].shape);
  real *dx = out[0]; // (N, H, W, C); dy (N, P, Q, O), w (KH, KW, I, O)
  for (int64_t n = 0; n < s.N; n++)
    for (int64_t h = 0; h < s.H; h++)
      for (int64_t v = 0; v < s.W; v++)
        for (int64_t c = 0; c < s.C; c++)
          co_put(desc, 0, &dx[((n * s.H + h) * s.W + v) * s.C + c],
                 sum_over(desc, &s, in[0], in[1], n, h, v, c));
}

void CO_REF(conv2d_transpose)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(&desc->out[0].shape, &desc->in[1].shape, &desc->in[0].shape);
  const real *b = in[2]; // (C) or NULL; x (N, P, Q, O), w (KH, KW, C, O)
  real *y = out[0];      // (N, H, W, C)
  for (int64_t n = 0; n < s.N; n++)
    for (int64_t h = 0; h < s.H; h++)
      for (int64_t v = 0; v < s.W; v++)
        for (int64_t c = 0; c < s.C; c++) {
          double sum = sum_over(desc, &s, in[0], in[1], n, h, v, c) + (b ? (double)b[c] : 0);
          y[((n * s.H + h) * s.W + v) * s.C + c] = (real)co_activate(desc->attr.activation, sum);
        }
}

// dw (KH, KW, I, O) of x (N, H, W, C) and dy (N, P, Q, O).
static void sum_weights(const co_op_desc *desc, const sizes *s, const real *x, const real *dy,
                        real *dw) {
  for (int64_t kh = 0; kh < s->KH; kh++)
    for (int64_t kw = 0; kw < s->KW; kw++)
      for (int64_t i = 0; i < s->I; i++)
        for (int64_t o = 0; o < s->O; o++) {
          const int64_t c = o / s->G * s->I + i;
          double sum = 0;
          for (int64_t n = 0; n < s->N; n++)
            for (int64_t p = 0; p < s->P; p++)
              for (int64_t q = 0; q < s->Q; q++) {
                int64_t ih = under(&desc->attr, 0, p, kh), iw = under(&desc->attr, 1, q, kw);
                if (ih < 0 || ih >= s->H || iw < 0 || iw >= s->W) continue;
                sum += (double)x[((n * s->H + ih) * s->W + iw) * s->C + c] *
                       (double)dy[((n * s->P + p) * s->Q + q) * s->O + o];
              }
          co_put(desc, 0, &dw[((kh * s->KW + kw) * s->I + i) * s->O + o], sum);
        }
}

// db (C) = sum over pixels of dy, the second input.
static void sum_bias(const co_op_desc *desc, const real *dy, real *db) {
  const co_shape *shape = &desc->in[1].shape;
  const int64_t C = shape->dim[3], pixels = shape->dim[0] * shape->dim[1] * shape->dim[2];
  for (int64_t c = 0; c < C; c++) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; i++)
      sum += (double)dy[i * C + c];
    co_put(desc, 1, &db[c], sum);
  }
}

void CO_REF(conv2d_backward_weights)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(&desc->in[0].shape, &desc->out[0].shape, &desc->in[1].shape);
  sum_weights(desc, &s, in[0], in[1], out[0]);
  if (out[1] != NULL) sum_bias(desc, in[1], out[1]);
}

void CO_REF(conv2d_transpose_backward_weights)(const co_op_desc *desc, void *const *in,
                                               void *const *out) {
  const sizes s = sizes_of(&desc->in[1].shape, &desc->out[0].shape, &desc->in[0].shape);
  sum_weights(desc, &s, in[1], in[0], out[0]);
  if (out[1] != NULL) sum_bias(desc, in[1], out[1]);
}

#if CO_REF_ONCE
// Kernels (KH, KW, I, O) that read O or I channels; a bias of `channels`.
static co_status check_operands(const co_op_desc *desc, int64_t channels) {
  const co_shape *w = &desc->in[1].shape;
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 0));
  if (w->dim[0] != desc->attr.kernel[0] || w->dim[1] != desc->attr.kernel[1]) {
    const co_shape kernel =
        co_shape_make(4, desc->attr.kernel[0], desc->attr.kernel[1], w->dim[2], w->dim[3]);
    return co_check_shape(desc, 1, &kernel);
  }
  if (!(desc->has_in >> 2 & 1)) return CO_OK;
  const co_shape bias = co_shape_vector(channels);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 2, &bias));
  return co_check_real(desc, 2, 0);
}

co_status co_infer_conv2d(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 4, 4));
  const co_shape *x = &desc->in[0].shape, *w = &desc->in[1].shape;
  CO_RETURN_IF_FAILED(check_operands(desc, w->dim[3]));
  if (x->dim[3] < 1 || w->dim[3] < 1 || w->dim[2] < 1)
    return co_fail(CO_ERR_CONFIG, "conv2d: the channels must be known and positive");
  if (x->dim[3] % w->dim[2] != 0 || w->dim[3] % (x->dim[3] / w->dim[2]) != 0)
    return co_fail(CO_ERR_CONFIG,
                   "conv2d: %lld channels and %lld results are no groups of kernels that read %lld "
                   "channels each",
                   (long long)x->dim[3], (long long)w->dim[3], (long long)w->dim[2]);
  int64_t P = 0, Q = 0;
  CO_RETURN_IF_FAILED(co_check_window(desc, 0, x->dim[1], desc->attr.dilation[0], &P));
  CO_RETURN_IF_FAILED(co_check_window(desc, 1, x->dim[2], desc->attr.dilation[1], &Q));
  co_shape y = co_shape_make(4, x->dim[0], P, Q, w->dim[3]);
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}

// Height or width of what a convolution with these attributes makes `count` positions of.
static co_status transposed_size(const co_op_attr *attr, int axis, int64_t count, int64_t *out) {
  const int64_t limit = INT32_MAX, stride = attr->stride[axis];
  const int64_t begin = attr->pad_begin[axis], end = attr->pad_end[axis];
  if (count < 1 || count > limit || attr->kernel[axis] < 1 || attr->kernel[axis] > limit ||
      stride < 1 || stride > limit || attr->dilation[axis] < 1 || attr->dilation[axis] > limit)
    return co_fail(CO_ERR_CONFIG,
                   "conv2d_transpose: image, kernel, stride and dilation must be at least 1");
  const int64_t reach = (attr->kernel[axis] - 1) * attr->dilation[axis] + 1;
  if (begin < 0 || begin > limit || end <= -stride || end > limit)
    return co_fail(CO_ERR_CONFIG, "conv2d_transpose: padding out of range");
  *out = (count - 1) * stride + reach - begin - end;
  if (*out < 1 || *out > limit)
    return co_fail(CO_ERR_CONFIG, "conv2d_transpose: the size of the image is out of range");
  return CO_OK;
}

co_status co_infer_conv2d_transpose(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 4, 4));
  const co_shape *x = &desc->in[0].shape, *w = &desc->in[1].shape;
  CO_RETURN_IF_FAILED(check_operands(desc, w->dim[2]));
  if (w->dim[2] < 1 || w->dim[3] < 1 || x->dim[3] != w->dim[3])
    return co_fail(CO_ERR_CONFIG, "conv2d_transpose: kernels of %lld channels for an image of %lld",
                   (long long)w->dim[3], (long long)x->dim[3]);
  int64_t H = 0, W = 0;
  CO_RETURN_IF_FAILED(transposed_size(&desc->attr, 0, x->dim[1], &H));
  CO_RETURN_IF_FAILED(transposed_size(&desc->attr, 1, x->dim[2], &W));
  co_shape y = co_shape_make(4, x->dim[0], H, W, w->dim[2]);
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(conv2d_backward_data)
CO_INFER_BACKWARD(conv2d_backward_weights)
CO_INFER_BACKWARD(conv2d_transpose_backward_weights)
#endif
