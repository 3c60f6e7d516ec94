// SPDX-License-Identifier: Apache-2.0
// What moves a window over images: pooling and its opposite, images within others. Max pooling over canonical and channel-blocked activations, sixteen channels at a time. The
// winner is kept as one byte per output in the order of y, a layout of our own: a quarter of the
// memory traffic, and backward writes every gradient once. Where relu leaves nothing it is 255, which
// is then no position.
#include <stdio.h>

#include "kernels/cpu/cpu.h"

// A batch as planes of pixels; a pixel is `width` channels that lie together.
typedef struct pool {
  int64_t planes, H, W, P, Q, width;
  int64_t x_plane, y_plane; // elements of one plane
  int64_t KH, KW, SH, SW, top, left;
  bool relu;
} pool;

// In two steps: gcc 12 converts to twice or half the width in one instruction, to four times or a
// quarter lane by lane.
CO_CPU_INLINE void widen(const uint8_t *from, co_mask16 *to) {
  *to = __builtin_convertvector(__builtin_convertvector(*(const co_bytes16_at *)from, co_words16),
                                co_mask16);
}

CO_CPU_INLINE void narrow(const co_mask16 *from, uint8_t *to) {
  *(co_bytes16_at *)to =
      __builtin_convertvector(__builtin_convertvector(*from, co_words16), co_bytes16);
}

// The part [*begin, *end) of a window of `kernel` at `start` that lies in [0, extent).
CO_CPU_INLINE void clip(int64_t start, int64_t kernel, int64_t extent, int64_t *begin,
                        int64_t *end) {
  *begin = start < 0 ? -start : 0;
  *end = start + kernel > extent ? extent - start : kernel;
}

// clang-format off
// One row of outputs; winner may be NULL. x is the plane, y and winner the row.
CO_CPU_INLINE void any_pool_row(const pool g, int64_t p, const float *x, float *y, uint8_t *winner) {
  int64_t h0, h1;
  clip(p * g.SH - g.top, g.KH, g.H, &h0, &h1);
  for (int64_t q = 0; q < g.Q; q++) {
    int64_t w0, w1, l = 0;
    clip(q * g.SW - g.left, g.KW, g.W, &w0, &w1);
    const float *corner =
        x + ((p * g.SH - g.top) * g.W + q * g.SW - g.left) * g.width;
    for (; l + 16 <= g.width; l += 16) {
      co_lanes16 best = *(const co_lanes16_at *)(corner + (h0 * g.W + w0) * g.width + l);
      co_mask16 index = (co_mask16){0} + (int32_t)(h0 * g.KW + w0);
      for (int64_t h = h0; h < h1; h++)
        for (int64_t w = w0; w < w1; w++) {
          const co_lanes16 value = *(const co_lanes16_at *)(corner + (h * g.W + w) * g.width + l);
          const co_mask16 more = (co_mask16)(value > best);
          best = (co_lanes16)(((co_mask16)value & more) | ((co_mask16)best & ~more));
          index = (((co_mask16){0} + (int32_t)(h * g.KW + w)) & more) | (index & ~more);
        }
      if (g.relu) {
        const co_lanes16 zero = {0};
        best = (co_lanes16)((co_mask16)best & ~(co_mask16)(best < zero));
        index |= ~(co_mask16)(best > zero);
      }
      *(co_lanes16_at *)(y + q * g.width + l) = best;
      if (winner)
        narrow(&index, winner + q * g.width + l);
    }
    for (; l < g.width; l++) {
      float best = corner[(h0 * g.W + w0) * g.width + l];
      int64_t index = h0 * g.KW + w0;
      for (int64_t h = h0; h < h1; h++)
        for (int64_t w = w0; w < w1; w++) {
          const float value = corner[(h * g.W + w) * g.width + l];
          if (value > best) {
            best = value;
            index = h * g.KW + w;
          }
        }
      if (g.relu && !(best > 0)) index = UINT8_MAX;
      y[q * g.width + l] = g.relu && best < 0 ? 0 : best;
      if (winner) winner[q * g.width + l] = (uint8_t)index;
    }
  }
}

// Windows that do not overlap: the rows of dx that belong to output row p, each written once.
// dy and winner are the row, dx the plane.
CO_CPU_INLINE void any_unpool_apart(const pool g, int64_t p, const float *dy, const uint8_t *winner, float *dx) {
  const int64_t start = p * g.SH - g.top;
  const int64_t first = p == 0 ? 0 : start, last = p == g.P - 1 ? g.H : start + g.SH;
  const bool covered = g.KW == g.SW && g.left == 0 && g.Q * g.SW == g.W;
  for (int64_t ih = first; ih < last && ih < g.H; ih++) {
    float *row = dx + ih * g.W * g.width;
    const int64_t h = ih - start;
    const bool window = h >= 0 && h < g.KH;
    if (!covered || !window) memset(row, 0, (size_t)(g.W * g.width) * sizeof *row);
    if (!window) continue;
    for (int64_t q = 0; q < g.Q; q++) {
      int64_t w0, w1, l = 0;
      clip(q * g.SW - g.left, g.KW, g.W, &w0, &w1);
      float *pixel = row + (q * g.SW - g.left) * g.width;
      const int64_t from = q * g.width;
      for (; l + 16 <= g.width; l += 16) {
        co_mask16 index;
        widen(winner + from + l, &index);
        const co_mask16 value = *(const co_mask16_at *)(dy + from + l);
        for (int64_t w = w0; w < w1; w++)
          *(co_mask16_at *)(pixel + w * g.width + l) =
              value & (index == (co_mask16){0} + (int32_t)(h * g.KW + w));
      }
      for (; l < g.width; l++)
        for (int64_t w = w0; w < w1; w++)
          pixel[w * g.width + l] = winner[from + l] == h * g.KW + w ? dy[from + l] : 0;
    }
  }
}

// Windows that overlap: one plane, in the order of the outputs.
CO_CPU_INLINE void any_unpool_plane(const pool g, const float *dy, const uint8_t *winner, float *dx) {
  memset(dx, 0, (size_t)g.x_plane * sizeof *dx);
  for (int64_t p = 0; p < g.P; p++) {
    int64_t h0, h1;
    clip(p * g.SH - g.top, g.KH, g.H, &h0, &h1);
    for (int64_t q = 0; q < g.Q; q++) {
      int64_t w0, w1, l = 0;
      clip(q * g.SW - g.left, g.KW, g.W, &w0, &w1);
      float *corner = dx + ((p * g.SH - g.top) * g.W + q * g.SW - g.left) * g.width;
      const int64_t from = (p * g.Q + q) * g.width;
      for (; l + 16 <= g.width; l += 16) {
        co_mask16 index;
        widen(winner + from + l, &index);
        const co_mask16 value = *(const co_mask16_at *)(dy + from + l);
        for (int64_t h = h0; h < h1; h++)
          for (int64_t w = w0; w < w1; w++)
            *(co_lanes16_at *)(corner + (h * g.W + w) * g.width + l) +=
                (co_lanes16)(value & (index == (co_mask16){0} + (int32_t)(h * g.KW + w)));
      }
      for (; l < g.width; l++) {
        const int64_t h = winner[from + l] / g.KW, w = winner[from + l] % g.KW;
        if (h >= g.KH) continue; // none
        corner[(h * g.W + w) * g.width + l] += dy[from + l];
      }
    }
  }
}
// Each is compiled for any window and once more for 2 x 2 on blocks of 16 with the numbers known.
#define IS_USUAL(g) ((g).KH == 2 && (g).KW == 2 && (g).width == 16)

CO_CPU_KERNEL(pool_row, (const pool *given, int64_t p, const float *x, float *y, uint8_t *winner), (given, p, x, y, winner)) {
  pool g = *given; // by value: the stores below cannot change it
  if (IS_USUAL(g)) {
    g.KH = g.KW = 2;
    g.width = 16;
    any_pool_row(g, p, x, y, winner);
  } else {
    any_pool_row(g, p, x, y, winner);
  }
}

CO_CPU_KERNEL(unpool_apart, (const pool *given, int64_t p, const float *dy, const uint8_t *winner, float *dx), (given, p, dy, winner, dx)) {
  pool g = *given; // by value: the stores below cannot change it
  if (IS_USUAL(g)) {
    g.KH = g.KW = 2;
    g.width = 16;
    any_unpool_apart(g, p, dy, winner, dx);
  } else {
    any_unpool_apart(g, p, dy, winner, dx);
  }
}

CO_CPU_KERNEL(unpool_plane, (const pool *given, const float *dy, const uint8_t *winner, float *dx), (given, dy, winner, dx)) {
  pool g = *given; // by value: the stores below cannot change it
  if (IS_USUAL(g)) {
    g.KH = g.KW = 2;
    g.width = 16;
    any_unpool_plane(g, dy, winner, dx);
  } else {
    any_unpool_plane(g, dy, winner, dx);
  }
}

// clang-format on

static pool geometry(co_cpu *cpu, const co_op_attr *attr, const co_tensor_desc *x,
                     const co_tensor_desc *y) {
  const co_cpu_layout *layout = co_cpu_layout_get(cpu, x->layout);
  const int64_t *xd = x->shape.dim, *yd = y->shape.dim;
  pool g = {.planes = xd[0], .H = xd[1], .W = xd[2], .P = yd[1], .Q = yd[2], .width = xd[3]};
  if (layout) {
    g.width = layout->block;
    g.planes = xd[0] * ((xd[3] + g.width - 1) / g.width);
  }
  g.x_plane = g.H * g.W * g.width;
  g.y_plane = g.P * g.Q * g.width;
  g.KH = attr->kernel[0], g.KW = attr->kernel[1];
  g.SH = attr->stride[0], g.SW = attr->stride[1];
  g.top = attr->pad_begin[0], g.left = attr->pad_begin[1];
  g.relu = attr->activation == CO_ACTIVATION_RELU;
  return g;
}

static co_status run_pool(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const pool g = geometry(cpu, &desc->attr, &desc->in[0], &desc->out[0]);
  const float *x = in[0];
  float *y = out[0];
  uint8_t *winner = co_cpu_has_out(desc, 1) ? out[1] : NULL;
#pragma omp parallel for collapse(2) schedule(static) if (g.planes * g.x_plane > CO_CPU_SERIAL)
  for (int64_t plane = 0; plane < g.planes; plane++)
    for (int64_t p = 0; p < g.P; p++) {
      const int64_t at = plane * g.y_plane + p * g.Q * g.width;
      pool_row[cpu->isa](&g, p, x + plane * g.x_plane, y + at, winner ? winner + at : NULL);
    }
  return CO_OK;
}

static co_status run_pool_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const pool g = geometry(cpu, &desc->attr, &desc->out[0], &desc->in[0]);
  const float *dy = in[0];
  const uint8_t *winner = in[1];
  float *dx = out[0];
  if (g.SH >= g.KH && g.SW >= g.KW) {
#pragma omp parallel for collapse(2) schedule(static) if (g.planes * g.x_plane > CO_CPU_SERIAL)
    for (int64_t plane = 0; plane < g.planes; plane++)
      for (int64_t p = 0; p < g.P; p++) {
        const int64_t at = plane * g.y_plane + p * g.Q * g.width;
        unpool_apart[cpu->isa](&g, p, dy + at, winner + at, dx + plane * g.x_plane);
      }
    return CO_OK;
  }
#pragma omp parallel for schedule(static) if (g.planes * g.x_plane > CO_CPU_SERIAL)
  for (int64_t plane = 0; plane < g.planes; plane++)
    unpool_plane[cpu->isa](&g, dy + plane * g.y_plane, winner + plane * g.y_plane,
                           dx + plane * g.x_plane);
  return CO_OK;
}

static void activation_dims(const co_shape *shape, int64_t dims[4]) {
  const int64_t *d = shape->dim;
  dims[0] = d[0], dims[1] = d[3], dims[2] = d[1], dims[3] = d[2];
}

// The layout with the same block for another shape, and that of the winners that go with it.
static co_status follow(co_cpu *cpu, int64_t block, const co_shape *shape, co_layout *out) {
  int64_t dims[4];
  *out = CO_LAYOUT_CANONICAL;
  if (block == 0) return CO_OK;
  activation_dims(shape, dims);
  return co_cpu_layout_blocked(cpu, CO_VIEW_ACTIVATION, dims, block, out);
}

static co_status winner_layout(co_cpu *cpu, const co_tensor_desc *y, co_layout layout,
                               co_layout *out) {
  co_tensor_desc placed = *y;
  char name[48];
  placed.layout = layout;
  snprintf(name, sizeof name, "argmax8:%s", cpu->base.api->layout_name(&cpu->base, layout));
  return co_cpu_layout_opaque(cpu, name, layout, co_cpu_layout_bytes(cpu, &placed) / sizeof(float),
                              out);
}

static co_status plan_pool(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                           bool strict, co_cpu_answer *answer, co_prepared **out) {
  const bool forward = desc->op == CO_OP_MAX_POOL2D;
  const co_tensor_desc *x = forward ? &desc->in[0] : &desc->out[0];
  const co_tensor_desc *y = forward ? &desc->out[0] : &desc->in[0];
  const co_tensor_desc *argmax = forward ? &desc->out[1] : &desc->in[1];
  const bool keeps = forward ? co_cpu_has_out(desc, 1) : true;
  if (x->dtype != CO_F32 || y->dtype != CO_F32) return co_cpu_refuse(answer, "f32 only");
  if (co_shape_count(&x->shape) <= 0 || co_shape_count(&y->shape) <= 0)
    return co_cpu_refuse(answer, "empty operand");
  // Backward is not told of the activation: a window of 256 positions may hold a 255 of either kind.
  if (desc->attr.kernel[0] * desc->attr.kernel[1] > UINT8_MAX)
    return co_cpu_refuse(answer, "windows of at most 255 positions");
  if (keeps && argmax->layout == CO_LAYOUT_CANONICAL)
    return co_cpu_refuse(answer, "argmax in a layout of its own");
  if (desc->accumulate & desc->has_out) {
    answer->accumulate = true;
    return co_cpu_refuse(answer, "cannot accumulate");
  }
  // Backward has to follow the winners, forward follows its input.
  co_layout leader = forward ? x->layout : y->layout;
  if (!forward && argmax->layout != CO_LAYOUT_ANY) {
    const co_cpu_layout *winners = co_cpu_layout_get(cpu, argmax->layout);
    if (winners == NULL || winners->view != CO_VIEW_OPAQUE)
      return co_cpu_refuse(answer, "not a layout of argmax");
    leader = winners->of;
  }
  const co_cpu_layout *layout = co_cpu_layout_get(cpu, leader);
  const int64_t block = layout ? layout->block : 0;
  co_layout lx, ly, la = CO_LAYOUT_CANONICAL;
  CO_RETURN_IF_FAILED(follow(cpu, block, &x->shape, &lx));
  CO_RETURN_IF_FAILED(follow(cpu, block, &y->shape, &ly));
  if (keeps) CO_RETURN_IF_FAILED(winner_layout(cpu, y, ly, &la));
  if (strict && (lx != x->layout || ly != y->layout || (keeps && la != argmax->layout)))
    return co_cpu_refuse(answer, "needs other layouts");
  co_op_choice *choice = &answer->choice;
  choice->implementation = impl->name;
  if (forward)
    choice->in[0] = lx, choice->out[0] = ly, choice->out[1] = la;
  else
    choice->out[0] = lx, choice->in[0] = ly, choice->in[1] = la;
  if (out == NULL) return CO_OK;
  return co_cpu_prepared_create(cpu, impl, desc, impl->name, sizeof(co_prepared),
                                forward ? run_pool : run_pool_backward, out);
}

// ---- the mean of an image ----------------------------------------------------------------------

enum { MEAN_CHANNELS = 64 }; // sums held at once

// One image: y (C) = mean over pixels of x (pixels, C), summed in double.
static void mean_of_image(const float *x, float *y, int64_t pixels, int64_t C) {
  for (int64_t first = 0; first < C; first += MEAN_CHANNELS) {
    const int64_t width = C - first < MEAN_CHANNELS ? C - first : MEAN_CHANNELS;
    double sum[MEAN_CHANNELS] = {0};
    for (int64_t i = 0; i < pixels; i++)
#pragma omp simd
      for (int64_t c = 0; c < width; c++)
        sum[c] += (double)x[i * C + first + c];
    for (int64_t c = 0; c < width; c++)
      y[first + c] = (float)(sum[c] / (double)pixels);
  }
}

static co_status run_mean(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  (void)cpu;
  (void)workspace;
  const int64_t *dim = prepared->desc.in[0].shape.dim;
  const int64_t N = dim[0], pixels = dim[1] * dim[2], C = dim[3];
  const float *x = in[0];
  float *y = out[0];
#pragma omp parallel for schedule(static) if (N * pixels * C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++)
    mean_of_image(x + n * pixels * C, y + n * C, pixels, C);
  return CO_OK;
}

static co_status run_mean_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  (void)cpu;
  (void)workspace;
  const int64_t *dim = prepared->desc.out[0].shape.dim;
  const int64_t pixels = dim[1] * dim[2], rows = dim[0] * pixels, C = dim[3];
  const bool sum = co_cpu_accumulates(&prepared->desc, 0);
  const float *dy = in[0], share = (float)pixels;
  float *dx = out[0];
#pragma omp parallel for schedule(static) if (rows * C > CO_CPU_SERIAL)
  for (int64_t r = 0; r < rows; r++) {
    const float *from = dy + r / pixels * C;
    float *to = dx + r * C;
#pragma omp simd
    for (int64_t c = 0; c < C; c++)
      to[c] = (sum ? to[c] : 0) + from[c] / share;
  }
  return CO_OK;
}

// ---- the mean of windows -----------------------------------------------------------------------

// y (width) = the mean of the pixels [h0, h1) x [w0, w1) of a plane.
static void mean_of_window(const pool *g, const float *x, int64_t h0, int64_t h1, int64_t w0,
                           int64_t w1, float *y) {
  const float share = 1 / (float)((h1 - h0) * (w1 - w0));
  memset(y, 0, (size_t)g->width * sizeof *y);
  for (int64_t h = h0; h < h1; h++)
    for (int64_t w = w0; w < w1; w++) {
      const float *pixel = x + (h * g->W + w) * g->width;
#pragma omp simd
      for (int64_t c = 0; c < g->width; c++)
        y[c] += pixel[c];
    }
#pragma omp simd
  for (int64_t c = 0; c < g->width; c++)
    y[c] *= share;
}

static void spread_over_window(const pool *g, const float *dy, int64_t h0, int64_t h1, int64_t w0,
                               int64_t w1, float *dx) {
  const float share = 1 / (float)((h1 - h0) * (w1 - w0));
  for (int64_t h = h0; h < h1; h++)
    for (int64_t w = w0; w < w1; w++) {
      float *pixel = dx + (h * g->W + w) * g->width;
#pragma omp simd
      for (int64_t c = 0; c < g->width; c++)
        pixel[c] += dy[c] * share;
    }
}

// The pixels of the image under the window at position p.
static void under(int64_t p, int64_t stride, int64_t pad, int64_t kernel, int64_t size,
                  int64_t *begin, int64_t *end) {
  const int64_t start = p * stride - pad;
  *begin = start < 0 ? 0 : start;
  *end = start + kernel > size ? size : start + kernel;
}

static co_status run_average(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const pool g = geometry(cpu, &desc->attr, &desc->in[0], &desc->out[0]);
  const float *x = in[0];
  float *y = out[0];
#pragma omp parallel for collapse(2) schedule(static) if (g.planes * g.x_plane > CO_CPU_SERIAL)
  for (int64_t plane = 0; plane < g.planes; plane++)
    for (int64_t p = 0; p < g.P; p++) {
      int64_t h0, h1, w0, w1;
      under(p, g.SH, g.top, g.KH, g.H, &h0, &h1);
      for (int64_t q = 0; q < g.Q; q++) {
        under(q, g.SW, g.left, g.KW, g.W, &w0, &w1);
        mean_of_window(&g, x + plane * g.x_plane, h0, h1, w0, w1,
                       y + plane * g.y_plane + (p * g.Q + q) * g.width);
      }
    }
  return CO_OK;
}

static co_status run_average_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                      void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const pool g = geometry(cpu, &desc->attr, &desc->out[0], &desc->in[0]);
  const bool sum = co_cpu_accumulates(desc, 0);
  const float *dy = in[0];
  float *dx = out[0];
#pragma omp parallel for schedule(static) if (g.planes * g.x_plane > CO_CPU_SERIAL)
  for (int64_t plane = 0; plane < g.planes; plane++) {
    if (!sum) memset(dx + plane * g.x_plane, 0, (size_t)g.x_plane * sizeof *dx);
    for (int64_t i = 0; i < g.P * g.Q; i++) {
      int64_t h0, h1, w0, w1;
      under(i / g.Q, g.SH, g.top, g.KH, g.H, &h0, &h1);
      under(i % g.Q, g.SW, g.left, g.KW, g.W, &w0, &w1);
      spread_over_window(&g, dy + plane * g.y_plane + i * g.width, h0, h1, w0, w1,
                         dx + plane * g.x_plane);
    }
  }
  return CO_OK;
}

// ---- images within others ----------------------------------------------------------------------

// One row of the result, of `to` pixels, from `from` pixels that begin `left` further on.
static void place_row(float *y, const float *x, int64_t to, int64_t from, int64_t left,
                      int64_t width, bool sum) {
  const int64_t first = left < 0 ? 0 : left, last = left + from > to ? to : left + from;
  if (!sum) {
    memset(y, 0, (size_t)(first * width) * sizeof *y);
    memcpy(y + first * width, x + (first - left) * width,
           (size_t)((last - first) * width) * sizeof *y);
    memset(y + last * width, 0, (size_t)((to - last) * width) * sizeof *y);
    return;
  }
#pragma omp simd
  for (int64_t i = first * width; i < last * width; i++)
    y[i] += x[i - left * width];
}

static co_status run_pad(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                         void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const pool g = geometry(cpu, &desc->attr, &desc->in[0], &desc->out[0]);
  const int64_t sign = desc->op == CO_OP_PAD2D ? 1 : -1, top = sign * g.top, left = sign * g.left;
  const bool sum = co_cpu_accumulates(desc, 0);
  const float *x = in[0];
  float *y = out[0];
#pragma omp parallel for collapse(2) schedule(static) if (g.planes * g.y_plane > CO_CPU_SERIAL)
  for (int64_t plane = 0; plane < g.planes; plane++)
    for (int64_t p = 0; p < g.P; p++) {
      float *row = y + plane * g.y_plane + p * g.Q * g.width;
      if (p - top >= 0 && p - top < g.H)
        place_row(row, x + plane * g.x_plane + (p - top) * g.W * g.width, g.Q, g.W, left, g.width,
                  sum);
      else if (!sum)
        memset(row, 0, (size_t)(g.Q * g.width) * sizeof *row);
    }
  return CO_OK;
}

// ---- pixels repeated ---------------------------------------------------------------------------

static void copy_row(const pool *g, const float *x, float *y) {
  for (int64_t w = 0; w < g->W; w++)
    for (int64_t k = 0; k < g->SW; k++)
      memcpy(y + (w * g->SW + k) * g->width, x + w * g->width, (size_t)g->width * sizeof *y);
}

static co_status run_upsample(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                              void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const pool g = geometry(cpu, &desc->attr, &desc->in[0], &desc->out[0]);
  const float *x = in[0];
  float *y = out[0];
#pragma omp parallel for collapse(2) schedule(static) if (g.planes * g.y_plane > CO_CPU_SERIAL)
  for (int64_t plane = 0; plane < g.planes; plane++)
    for (int64_t p = 0; p < g.P; p++)
      copy_row(&g, x + plane * g.x_plane + p / g.SH * g.W * g.width,
               y + plane * g.y_plane + p * g.Q * g.width);
  return CO_OK;
}

// One row of dx from the first of the SH rows of dy above it.
static void sum_row(const pool *g, const float *dy, float *dx, bool sum) {
  for (int64_t w = 0; w < g->W; w++) {
    float *to = dx + w * g->width;
    if (!sum) memset(to, 0, (size_t)g->width * sizeof *to);
    for (int64_t k = 0; k < g->SH * g->SW; k++) {
      const float *from = dy + (k / g->SW * g->Q + w * g->SW + k % g->SW) * g->width;
#pragma omp simd
      for (int64_t c = 0; c < g->width; c++)
        to[c] += from[c];
    }
  }
}

static co_status run_upsample_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                       void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const pool g = geometry(cpu, &desc->attr, &desc->out[0], &desc->in[0]);
  const bool sum = co_cpu_accumulates(desc, 0);
  const float *dy = in[0];
  float *dx = out[0];
#pragma omp parallel for collapse(2) schedule(static) if (g.planes * g.y_plane > CO_CPU_SERIAL)
  for (int64_t plane = 0; plane < g.planes; plane++)
    for (int64_t h = 0; h < g.H; h++)
      sum_row(&g, dy + plane * g.y_plane + h * g.SH * g.Q * g.width,
              dx + plane * g.x_plane + h * g.W * g.width, sum);
  return CO_OK;
}

// The result lies as the operand does.
static co_status plan_along(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                            bool strict, co_cpu_answer *answer, co_prepared **out) {
  const co_tensor_desc *from = &desc->in[0], *to = &desc->out[0];
  if (from->dtype != CO_F32 || to->dtype != CO_F32) return co_cpu_refuse(answer, "f32 only");
  if (co_shape_count(&from->shape) <= 0) return co_cpu_refuse(answer, "empty operand");
  const co_cpu_layout *layout = co_cpu_layout_get(cpu, from->layout);
  const int64_t block = layout ? layout->block : 0;
  co_op_choice *choice = &answer->choice;
  CO_RETURN_IF_FAILED(follow(cpu, block, &from->shape, &choice->in[0]));
  CO_RETURN_IF_FAILED(follow(cpu, block, &to->shape, &choice->out[0]));
  if (strict && (choice->in[0] != from->layout || choice->out[0] != to->layout))
    return co_cpu_refuse(answer, "needs other layouts");
  choice->implementation = impl->name;
  if (out == NULL) return CO_OK;
  return co_cpu_prepared_create(cpu, impl, desc, impl->name, sizeof(co_prepared), impl->run, out);
}

const co_cpu_impl co_cpu_pool[] = {
    {.op = CO_OP_GLOBAL_AVERAGE_POOL2D,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_mean,
     .f32_in = 1,
     .f32_out = 1},
    {.op = CO_OP_GLOBAL_AVERAGE_POOL2D_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_mean_backward,
     .f32_in = 1,
     .f32_out = 1,
     .accumulate = 1},
    {.op = CO_OP_UPSAMPLE2D, .name = "omp", .plan = plan_along, .run = run_upsample},
    {.op = CO_OP_UPSAMPLE2D_BACKWARD,
     .name = "omp",
     .plan = plan_along,
     .run = run_upsample_backward,
     .accumulate = 1},
    {.op = CO_OP_AVERAGE_POOL2D, .name = "omp", .plan = plan_along, .run = run_average},
    {.op = CO_OP_AVERAGE_POOL2D_BACKWARD,
     .name = "omp",
     .plan = plan_along,
     .run = run_average_backward,
     .accumulate = 1},
    {.op = CO_OP_PAD2D, .name = "omp", .plan = plan_along, .run = run_pad},
    {.op = CO_OP_PAD2D_BACKWARD,
     .name = "omp",
     .plan = plan_along,
     .run = run_pad,
     .accumulate = 1},
    {.op = CO_OP_MAX_POOL2D, .name = "omp", .plan = plan_pool},
    {.op = CO_OP_MAX_POOL2D_BACKWARD, .name = "omp", .plan = plan_pool},
    {.name = NULL},
};
