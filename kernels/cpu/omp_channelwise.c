// SPDX-License-Identifier: Apache-2.0
// Operations with a sum over all but the channels: bias gradients and batch normalisation, on
// canonical and on channel-blocked activations. Partial sums belong to chunks of rows that are
// fixed by the shape, so results do not depend on the thread count.
#include <math.h>

#include "kernels/cpu/cpu.h"

enum {
  TILE = 64,           // channels of a tile of canonical order, four vectors
  CHUNK_FLOATS = 8192, // of one tile in one chunk: fits the first-level cache with its gradient
  FEW_ROWS = 16
};

bool co_cpu_tiles_of(co_cpu *cpu, const co_tensor_desc *desc, co_cpu_tiles *out) {
  memset(out, 0, sizeof *out);
  const co_shape *shape = &desc->shape;
  const int64_t count = co_shape_count(shape);
  const co_cpu_layout *layout = co_cpu_layout_get(cpu, desc->layout);
  if (shape->rank < 1) return false;
  out->channels = shape->dim[shape->rank - 1];
  if (layout == NULL) {
    if (desc->layout != CO_LAYOUT_CANONICAL) return false;
    out->width = out->channels < TILE ? out->channels : TILE;
    out->tiles = out->width > 0 ? (out->channels + out->width - 1) / out->width : 0;
    out->outer = out->channels > 0 ? count / out->channels : 0;
    out->inner = 1;
    out->stride_outer = out->stride_inner = out->channels;
    out->stride_tile = out->width;
  } else {
    if (layout->block == 0) return false;
    const int64_t *d = layout->dims;
    out->blocked = true;
    out->width = layout->block;
    out->tiles = (d[1] + layout->block - 1) / layout->block;
    out->outer = d[0];
    out->inner = d[2] * d[3];
    out->stride_inner = layout->block;
    out->stride_tile = layout->block * out->inner;
    out->stride_outer = out->stride_tile * out->tiles;
  }
  out->padded_channels = out->tiles * out->width;
  int64_t row_floats = out->inner * out->width;
  out->chunk = row_floats > 0 ? CHUNK_FLOATS / row_floats : 1;
  if (out->chunk < 1) out->chunk = 1;
  out->chunks = (out->outer + out->chunk - 1) / out->chunk;
  out->large = count > CO_CPU_SERIAL;
  return true;
}

// Lanes of a tile that memory has.
static int64_t tile_width(const co_cpu_tiles *t, int64_t tile) {
  if (t->blocked) return t->width;
  int64_t left = t->channels - tile * t->width;
  return left < t->width ? left : t->width;
}

// A run of work: `outers` times `inner` rows of one tile. Lanes are handled sixteen at a time with
// the sum in a register, the rest one by one.
typedef struct block_rows {
  int64_t outers, inner, stride_outer, stride_inner, width;
} block_rows;

static block_rows rows_of(const co_cpu_tiles *t, int64_t chunk, int64_t tile, int64_t *offset) {
  int64_t first = chunk * t->chunk, left = t->outer - first;
  *offset = first * t->stride_outer + tile * t->stride_tile;
  return (block_rows){.outers = left < t->chunk ? left : t->chunk,
                      .inner = t->inner,
                      .stride_outer = t->stride_outer,
                      .stride_inner = t->stride_inner,
                      .width = tile_width(t, tile)};
}

// clang-format off
CO_CPU_KERNEL(sum_rows, (block_rows r, const float *x, float *sum), (r, x, sum)) {
  int64_t l = 0;
  for (; r.inner == 1 && l + 64 <= r.width; l += 64) { // memory likes to be read in longer runs
    co_lanes16 a[4] = {{0}};
    for (int64_t o = 0; o < r.outers; o++)
#pragma GCC unroll 4
      for (int v = 0; v < 4; v++)
        a[v] += *(const co_lanes16_at *)(x + o * r.stride_outer + l + 16 * v);
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++)
      *(co_lanes16_at *)(sum + l + 16 * v) = a[v];
  }
  for (; l + 16 <= r.width; l += 16) {
    co_lanes16 a = {0}, b = {0};
    for (int64_t o = 0; o < r.outers; o++) {
      const float *row = x + o * r.stride_outer + l;
      int64_t i = 0;
      for (; i + 2 <= r.inner; i += 2) {
        a += *(const co_lanes16_at *)(row + i * r.stride_inner);
        b += *(const co_lanes16_at *)(row + (i + 1) * r.stride_inner);
      }
      if (i < r.inner) a += *(const co_lanes16_at *)(row + i * r.stride_inner);
    }
    *(co_lanes16_at *)(sum + l) = a + b;
  }
  for (; l < r.width; l++) {
    float a = 0;
    for (int64_t o = 0; o < r.outers; o++)
      for (int64_t i = 0; i < r.inner; i++)
        a += x[o * r.stride_outer + i * r.stride_inner + l];
    sum[l] = a;
  }
}

// Sum of squared distances to `center`.
CO_CPU_KERNEL(sum_squares, (block_rows r, const float *x, const float *center, float *sum),
              (r, x, center, sum)) {
  int64_t l = 0;
  for (; l + 16 <= r.width; l += 16) {
    const co_lanes16 c = *(const co_lanes16_at *)(center + l);
    co_lanes16 a = {0};
    for (int64_t o = 0; o < r.outers; o++) {
      const float *row = x + o * r.stride_outer + l;
      for (int64_t i = 0; i < r.inner; i++) {
        const co_lanes16 d = *(const co_lanes16_at *)(row + i * r.stride_inner) - c;
        a += d * d;
      }
    }
    *(co_lanes16_at *)(sum + l) = a;
  }
  for (; l < r.width; l++) {
    float a = 0;
    for (int64_t o = 0; o < r.outers; o++)
      for (int64_t i = 0; i < r.inner; i++) {
        const float d = x[o * r.stride_outer + i * r.stride_inner + l] - center[l];
        a += d * d;
      }
    sum[l] = a;
  }
}

// sum of dy, and of dy (x - center); with y, of dy where that is positive.
CO_CPU_KERNEL(sum_products,
              (block_rows r, const float *x, const float *dy, const float *y, const float *center,
               float *sum, float *product),
              (r, x, dy, y, center, sum, product)) {
  int64_t l = 0;
  for (; l + 16 <= r.width; l += 16) {
    const co_lanes16 c = *(const co_lanes16_at *)(center + l);
    const co_lanes16 zero = {0};
    co_lanes16 a = {0}, p = {0};
    for (int64_t o = 0; o < r.outers; o++) {
      const int64_t base = o * r.stride_outer + l;
      for (int64_t i = 0; i < r.inner; i++) {
        const int64_t at = base + i * r.stride_inner;
        co_lanes16 d = *(const co_lanes16_at *)(dy + at);
        if (y) d = (co_lanes16)((co_mask16)d & (co_mask16)(*(const co_lanes16_at *)(y + at) > zero));
        a += d;
        p += d * (*(const co_lanes16_at *)(x + at) - c);
      }
    }
    *(co_lanes16_at *)(sum + l) = a;
    *(co_lanes16_at *)(product + l) = p;
  }
  for (; l < r.width; l++) {
    float a = 0, p = 0;
    for (int64_t o = 0; o < r.outers; o++)
      for (int64_t i = 0; i < r.inner; i++) {
        const int64_t at = o * r.stride_outer + i * r.stride_inner + l;
        const float d = y == NULL || y[at] > 0 ? dy[at] : 0;
        a += d;
        p += d * (x[at] - center[l]);
      }
    sum[l] = a;
    product[l] = p;
  }
}

// dx = y > 0 ? dy scale : 0, and its sum.
CO_CPU_KERNEL(mask_rows,
              (block_rows r, const float *y, const float *dy, float scale, float *dx, float *sum),
              (r, y, dy, scale, dx, sum)) {
  int64_t l = 0;
  for (; r.inner == 1 && l + 64 <= r.width; l += 64) {
    const co_lanes16 zero = {0};
    co_lanes16 a[4] = {{0}};
    for (int64_t o = 0; o < r.outers; o++)
#pragma GCC unroll 4
      for (int v = 0; v < 4; v++) {
        const int64_t at = o * r.stride_outer + l + 16 * v;
        const co_mask16 kept = (co_mask16)(*(const co_lanes16_at *)(y + at) > zero);
        const co_lanes16 scaled = *(const co_lanes16_at *)(dy + at) * scale;
        const co_lanes16 d = (co_lanes16)((co_mask16)scaled & kept);
        *(co_lanes16_at *)(dx + at) = d;
        a[v] += d;
      }
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++)
      *(co_lanes16_at *)(sum + l + 16 * v) = a[v];
  }
  for (; l + 16 <= r.width; l += 16) {
    co_lanes16 a = {0};
    for (int64_t o = 0; o < r.outers; o++) {
      const int64_t base = o * r.stride_outer + l;
      for (int64_t i = 0; i < r.inner; i++) {
        const int64_t at = base + i * r.stride_inner;
        const co_lanes16 zero = {0};
        const co_mask16 kept = (co_mask16)(*(const co_lanes16_at *)(y + at) > zero);
        const co_lanes16 scaled = *(const co_lanes16_at *)(dy + at) * scale;
        const co_lanes16 d = (co_lanes16)((co_mask16)scaled & kept);
        *(co_lanes16_at *)(dx + at) = d;
        a += d;
      }
    }
    *(co_lanes16_at *)(sum + l) = a;
  }
  for (; l < r.width; l++) {
    float a = 0;
    for (int64_t o = 0; o < r.outers; o++)
      for (int64_t i = 0; i < r.inner; i++) {
        const int64_t at = o * r.stride_outer + i * r.stride_inner + l;
        dx[at] = y[at] > 0 ? dy[at] * scale : 0;
        a += dx[at];
      }
    sum[l] = a;
  }
}

// y = x scale + shift, then the activation.
CO_CPU_KERNEL(scale_rows,
              (block_rows r, const float *x, const float *center, const float *scale,
               const float *shift, float *y, bool rectify),
              (r, x, center, scale, shift, y, rectify)) {
  for (int64_t o = 0; o < r.outers; o++)
    for (int64_t i = 0; i < r.inner; i++) {
      const float *xs = x + o * r.stride_outer + i * r.stride_inner;
      float *ys = y + o * r.stride_outer + i * r.stride_inner;
#pragma omp simd
      for (int64_t l = 0; l < r.width; l++) {
        const float value = (xs[l] - center[l]) * scale[l] + shift[l];
        ys[l] = rectify && value < 0 ? 0 : value;
      }
    }
}

// dx = scale (dy - mean_dy - (x - center) slope); with y, dy counts where that is positive.
CO_CPU_KERNEL(normalise_backward,
              (block_rows r, const float *x, const float *dy, const float *y, const float *center,
               const float *scale, const float *mean_dy, const float *slope, float *dx),
              (r, x, dy, y, center, scale, mean_dy, slope, dx)) {
  for (int64_t o = 0; o < r.outers; o++)
    for (int64_t i = 0; i < r.inner; i++) {
      const int64_t at = o * r.stride_outer + i * r.stride_inner;
      const float *xs = x + at, *ds = dy + at, *ys = y ? y + at : NULL;
      float *gs = dx + at;
      if (ys == NULL) {
#pragma omp simd
        for (int64_t l = 0; l < r.width; l++)
          gs[l] = scale[l] * (ds[l] - mean_dy[l] - (xs[l] - center[l]) * slope[l]);
      } else {
#pragma omp simd
        for (int64_t l = 0; l < r.width; l++) {
          const float d = ys[l] > 0 ? ds[l] : 0;
          gs[l] = scale[l] * (d - mean_dy[l] - (xs[l] - center[l]) * slope[l]);
        }
      }
    }
}
// clang-format on

// ---- bias gradients ----------------------------------------------------------------------------

size_t co_cpu_column_sum_bytes(const co_cpu_tiles *t) {
  return (size_t)(t->chunks * t->padded_channels) * sizeof(float);
}

// db (+)= sum over chunks of partial (chunks, padded channels), in double and in order.
static void add_chunks(const co_cpu_tiles *t, const float *partial, float *db, bool accumulate) {
  for (int64_t c = 0; c < t->channels; c++) {
    double sum = accumulate ? (double)db[c] : 0;
    for (int64_t k = 0; k < t->chunks; k++)
      sum += (double)partial[k * t->padded_channels + c];
    db[c] = (float)sum;
  }
}

void co_cpu_column_sum(co_cpu *cpu, const co_cpu_tiles *tiles, const float *dy, float *db,
                       bool accumulate, void *scratch) {
  const co_cpu_tiles t = *tiles;
  float *partial = scratch;
#pragma omp parallel for collapse(2) schedule(static) if (t.large)
  for (int64_t chunk = 0; chunk < t.chunks; chunk++)
    for (int64_t tile = 0; tile < t.tiles; tile++) {
      int64_t offset;
      const block_rows rows = rows_of(&t, chunk, tile, &offset);
      sum_rows[cpu->isa](rows, dy + offset, partial + chunk * t.padded_channels + tile * t.width);
    }
  add_chunks(&t, partial, db, accumulate);
}

static co_status run_relu_bias_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                        void *const *out, void *workspace) {
  co_cpu_tiles t;
  (void)co_cpu_tiles_of(cpu, &prepared->desc.in[0], &t);
  const float *y = in[0], *dy = in[1], scale = co_cpu_dropout_scale(&prepared->desc);
  float *dx = out[0], *partial = workspace;
#pragma omp parallel for collapse(2) schedule(static) if (t.large)
  for (int64_t chunk = 0; chunk < t.chunks; chunk++)
    for (int64_t tile = 0; tile < t.tiles; tile++) {
      int64_t offset;
      const block_rows rows = rows_of(&t, chunk, tile, &offset);
      mask_rows[cpu->isa](rows, y + offset, dy + offset, scale, dx + offset,
                          partial + chunk * t.padded_channels + tile * t.width);
    }
  add_chunks(&t, partial, out[1], co_cpu_accumulates(&prepared->desc, 1));
  return CO_OK;
}

static size_t partial_bytes(co_cpu *cpu, const co_op_desc *desc) {
  co_cpu_tiles t;
  return co_cpu_tiles_of(cpu, &desc->in[0], &t) ? co_cpu_column_sum_bytes(&t) : 0;
}

// ---- batch normalisation -----------------------------------------------------------------------

// Workspace: two partial sums per chunk and channel, then four vectors over the channels.
static size_t norm_bytes(co_cpu *cpu, const co_op_desc *desc) {
  co_cpu_tiles t;
  if (!co_cpu_tiles_of(cpu, &desc->in[0], &t)) return 0;
  return 2 * co_cpu_column_sum_bytes(&t) + 4 * (size_t)t.padded_channels * sizeof(float);
}

static void scale_all(co_cpu *cpu, const co_cpu_tiles *tiles, const float *x, const float *center,
                      const float *scale, const float *shift, float *y, bool rectify) {
  const co_cpu_tiles t = *tiles;
#pragma omp parallel for collapse(2) schedule(static) if (t.large)
  for (int64_t chunk = 0; chunk < t.chunks; chunk++)
    for (int64_t tile = 0; tile < t.tiles; tile++) {
      int64_t offset;
      const block_rows rows = rows_of(&t, chunk, tile, &offset);
      const int64_t c = tile * t.width;
      scale_rows[cpu->isa](rows, x + offset, center + c, scale + c, shift + c, y + offset, rectify);
    }
}

// Mean and biased variance: per chunk around the chunk's own mean, then merged (Chan, Golub &
// LeVeque 1983), so that one pass over memory loses no digits.
static void moments(co_cpu *cpu, const co_cpu_tiles *tiles, const float *x, float *partial,
                    float *mean, float *variance) {
  const co_cpu_tiles t = *tiles;
  float *squares = partial + t.chunks * t.padded_channels;
#pragma omp parallel for collapse(2) schedule(static) if (t.large)
  for (int64_t chunk = 0; chunk < t.chunks; chunk++)
    for (int64_t tile = 0; tile < t.tiles; tile++) {
      int64_t offset;
      const block_rows rows = rows_of(&t, chunk, tile, &offset);
      const int64_t at = chunk * t.padded_channels + tile * t.width;
      const float count = (float)(rows.outers * rows.inner);
      sum_rows[cpu->isa](rows, x + offset, partial + at);
      for (int64_t l = 0; l < rows.width; l++)
        partial[at + l] /= count;
      sum_squares[cpu->isa](rows, x + offset, partial + at, squares + at);
    }
  for (int64_t c = 0; c < t.channels; c++) {
    double n = 0, center = 0, spread = 0;
    for (int64_t k = 0; k < t.chunks; k++) {
      int64_t left = t.outer - k * t.chunk;
      const double m = (double)((left < t.chunk ? left : t.chunk) * t.inner);
      const double delta = (double)partial[k * t.padded_channels + c] - center;
      spread += (double)squares[k * t.padded_channels + c] + delta * delta * n * m / (n + m);
      center += delta * m / (n + m);
      n += m;
    }
    mean[c] = (float)center;
    variance[c] = n > 0 ? (float)(spread / n) : 0;
  }
}

static co_status run_batch_norm(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                void *const *out, void *workspace) {
  co_cpu_tiles t;
  (void)co_cpu_tiles_of(cpu, &prepared->desc.in[0], &t);
  const float *gamma = in[1], *beta = in[2], *running_mean = in[3], *running_variance = in[4];
  float *mean = out[1], *variance = out[2], *new_mean = out[3], *new_variance = out[4];
  const double momentum = prepared->desc.attr.momentum, epsilon = prepared->desc.attr.epsilon;
  float *partial = workspace, *center = partial + 2 * t.chunks * t.padded_channels;
  float *scale = center + t.padded_channels, *shift = scale + t.padded_channels;
  moments(cpu, &t, in[0], partial, mean, variance);
  memset(center, 0, 3 * (size_t)t.padded_channels * sizeof *center); // padding stays zero
  for (int64_t c = 0; c < t.channels; c++) {
    center[c] = mean[c];
    scale[c] = (float)((double)gamma[c] / sqrt((double)variance[c] + epsilon));
    shift[c] = beta[c];
    // A batch that is not finite leaves the state alone.
    bool finite = isfinite(mean[c]) && isfinite(variance[c]);
    double kept = finite ? momentum : 1;
    double added_mean = finite ? (1 - kept) * (double)mean[c] : 0;
    double added_variance = finite ? (1 - kept) * (double)variance[c] : 0;
    new_mean[c] = (float)(kept * (double)running_mean[c] + added_mean);
    new_variance[c] = (float)(kept * (double)running_variance[c] + added_variance);
  }
  scale_all(cpu, &t, in[0], center, scale, shift, out[0],
            prepared->desc.attr.activation == CO_ACTIVATION_RELU);
  return CO_OK;
}

static co_status run_batch_norm_inference(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                          void *const *out, void *workspace) {
  co_cpu_tiles t;
  (void)co_cpu_tiles_of(cpu, &prepared->desc.in[0], &t);
  const float *gamma = in[1], *beta = in[2], *mean = in[3], *variance = in[4];
  float *center = workspace, *scale = center + t.padded_channels;
  float *shift = scale + t.padded_channels;
  memset(center, 0, 3 * (size_t)t.padded_channels * sizeof *center);
  for (int64_t c = 0; c < t.channels; c++) {
    center[c] = mean[c];
    scale[c] = (float)((double)gamma[c] / sqrt((double)variance[c] + prepared->desc.attr.epsilon));
    shift[c] = beta[c];
  }
  scale_all(cpu, &t, in[0], center, scale, shift, out[0],
            prepared->desc.attr.activation == CO_ACTIVATION_RELU);
  return CO_OK;
}

static co_status run_batch_norm_inference_backward(co_cpu *cpu, co_prepared *prepared,
                                                   void *const *in, void *const *out,
                                                   void *workspace) {
  co_cpu_tiles t;
  (void)co_cpu_tiles_of(cpu, &prepared->desc.in[0], &t);
  const float *gamma = in[1], *variance = in[2];
  float *zero = workspace, *scale = zero + t.padded_channels;
  memset(zero, 0, 2 * (size_t)t.padded_channels * sizeof *zero);
  for (int64_t c = 0; c < t.channels; c++)
    scale[c] = (float)((double)gamma[c] / sqrt((double)variance[c] + prepared->desc.attr.epsilon));
  scale_all(cpu, &t, in[0], zero, scale, zero, out[0], false);
  return CO_OK;
}

// Of few rows little is left after the subtractions: in double.
static void normalise_backward_few(const co_cpu_tiles *t, const float *x, const float *dy,
                                   const float *y, const float *gamma, const float *mean,
                                   const float *variance, double epsilon, float *dx) {
  const int64_t rows = t->outer * t->inner;
  for (int64_t c = 0; c < t->padded_channels; c++) {
    const int64_t tile = c / t->width, lane = tile * t->stride_tile + c % t->width;
    if (c >= t->channels && !t->blocked) return;
    const bool padding = c >= t->channels;
    double inverse = 0, sum = 0, product = 0;
    if (!padding) inverse = 1 / sqrt((double)variance[c] + epsilon);
    for (int pass = 0; pass < 2; pass++)
      for (int64_t r = 0; r < rows; r++) {
        const int64_t at = r / t->inner * t->stride_outer + r % t->inner * t->stride_inner + lane;
        const double normal = padding ? 0 : ((double)x[at] - (double)mean[c]) * inverse;
        const double d = y == NULL || y[at] > 0 ? (double)dy[at] : 0;
        if (pass == 0) {
          sum += d;
          product += d * normal;
        } else {
          const double through = d - (sum + normal * product) / (double)rows;
          dx[at] = padding ? 0 : (float)((double)gamma[c] * inverse * through);
        }
      }
  }
}

static co_status run_batch_norm_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                         void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  co_cpu_tiles t;
  (void)co_cpu_tiles_of(cpu, &desc->in[0], &t);
  const float *x = in[0], *gamma = in[1], *mean = in[2], *variance = in[3];
  const float *dy = in[CO_BATCH_NORM_BACKWARD_dy], *y = in[CO_BATCH_NORM_BACKWARD_y]; // y or NULL
  float *dx = out[0], *dgamma = out[1], *dbeta = out[2];
  float *sums = workspace, *products = sums + t.chunks * t.padded_channels;
  float *center = products + t.chunks * t.padded_channels, *scale = center + t.padded_channels;
  float *mean_dy = scale + t.padded_channels, *slope = mean_dy + t.padded_channels;
  memset(center, 0, 4 * (size_t)t.padded_channels * sizeof *center);
  memcpy(center, mean, (size_t)t.channels * sizeof *center);
#pragma omp parallel for collapse(2) schedule(static) if (t.large)
  for (int64_t chunk = 0; chunk < t.chunks; chunk++)
    for (int64_t tile = 0; tile < t.tiles; tile++) {
      int64_t offset;
      const block_rows rows = rows_of(&t, chunk, tile, &offset);
      const int64_t c = tile * t.width, at = chunk * t.padded_channels + c;
      sum_products[cpu->isa](rows, x + offset, dy + offset, y ? y + offset : NULL, center + c,
                             sums + at, products + at);
    }
  const double n = (double)(t.outer * t.inner);
  for (int64_t c = 0; c < t.channels; c++) {
    const double inverse = 1 / sqrt((double)variance[c] + desc->attr.epsilon);
    double sum = 0, product = 0;
    for (int64_t k = 0; k < t.chunks; k++) {
      sum += (double)sums[k * t.padded_channels + c];
      product += (double)products[k * t.padded_channels + c];
    }
    dgamma[c] = (float)((co_cpu_accumulates(desc, 1) ? (double)dgamma[c] : 0) + product * inverse);
    dbeta[c] = (float)((co_cpu_accumulates(desc, 2) ? (double)dbeta[c] : 0) + sum);
    scale[c] = (float)((double)gamma[c] * inverse);
    mean_dy[c] = (float)(sum / n);
    slope[c] = (float)(product * inverse * inverse / n);
  }
  if (n <= FEW_ROWS) {
    normalise_backward_few(&t, x, dy, y, gamma, mean, variance, desc->attr.epsilon, dx);
    return CO_OK;
  }
#pragma omp parallel for collapse(2) schedule(static) if (t.large)
  for (int64_t chunk = 0; chunk < t.chunks; chunk++)
    for (int64_t tile = 0; tile < t.tiles; tile++) {
      int64_t offset;
      const block_rows rows = rows_of(&t, chunk, tile, &offset);
      const int64_t c = tile * t.width;
      normalise_backward[cpu->isa](rows, x + offset, dy + offset, y ? y + offset : NULL, center + c,
                                   scale + c, mean_dy + c, slope + c, dx + offset);
    }
  return CO_OK;
}

static bool not_empty(const co_op_desc *desc, co_cpu_answer *answer) {
  if (co_shape_count(&desc->in[0].shape) > 0) return true;
  (void)co_cpu_refuse(answer, "empty operand");
  return false;
}

// The pool behind a normalisation is an operation of its own here.
static bool no_pool(const co_op_desc *desc, co_cpu_answer *answer) {
  const bool forward = desc->op == CO_OP_BATCH_NORM;
  if (forward ? co_cpu_has_out(desc, CO_BATCH_NORM_argmax)
              : co_cpu_has_in(desc, CO_BATCH_NORM_BACKWARD_argmax)) {
    (void)co_cpu_refuse(answer, "does not pool");
    return false;
  }
  return not_empty(desc, answer);
}

const co_cpu_impl co_cpu_channelwise[] = {
    {.op = CO_OP_RELU_BIAS_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_relu_bias_backward,
     .workspace = partial_bytes,
     .accepts = not_empty,
     .f32_in = 3,
     .f32_out = 3,
     .same_in = 3,
     .same_out = 1,
     .channels = true,
     .accumulate = 2},
    {.op = CO_OP_BATCH_NORM,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_batch_norm,
     .workspace = norm_bytes,
     .accepts = no_pool,
     .f32_in = 31,
     .f32_out = 31,
     .same_in = 1,
     .same_out = 1,
     .channels = true},
    {.op = CO_OP_BATCH_NORM_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_batch_norm_backward,
     .workspace = norm_bytes,
     .accepts = no_pool,
     .f32_in = 95,
     .f32_out = 7,
     .same_in = 81,
     .same_out = 1,
     .channels = true,
     .accumulate = 6},
    {.op = CO_OP_BATCH_NORM_INFERENCE,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_batch_norm_inference,
     .workspace = norm_bytes,
     .accepts = not_empty,
     .f32_in = 31,
     .f32_out = 1,
     .same_in = 1,
     .same_out = 1,
     .channels = true},
    {.op = CO_OP_BATCH_NORM_INFERENCE_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_batch_norm_inference_backward,
     .workspace = norm_bytes,
     .accepts = not_empty,
     .f32_in = 7,
     .f32_out = 1,
     .same_in = 1,
     .same_out = 1,
     .channels = true},
    {.name = NULL},
};
