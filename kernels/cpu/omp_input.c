// SPDX-License-Identifier: Apache-2.0
// The input section, run by loader threads: gather, cast, augment, normalise.
#include "host/core/rng.h"
#include "kernels/cpu/cpu.h"

static int64_t row_size(const co_shape *shape) {
  int64_t size = 1;
  for (int d = 1; d < shape->rank; d++)
    size *= shape->dim[d];
  return size;
}

static co_status run_gather(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                            void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[1].shape.dim[0];
  const size_t row = (size_t)row_size(&desc->in[0].shape) * co_dtype_size(desc->in[0].dtype);
  const unsigned char *table = in[0];
  const int64_t *index = in[1];
  unsigned char *y = out[0];
  if (row == 0) return CO_OK;
#pragma omp parallel for schedule(static) if ((size_t)N * row > 65536)
  for (int64_t n = 0; n < N; n++)
    memcpy(y + (size_t)n * row, table + (size_t)index[n] * row, row);
  return CO_OK;
}

// clang-format off
CO_CPU_KERNEL(cast_u8, (const uint8_t *x, float *y, int64_t n), (x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = (float)x[i];
}

CO_CPU_KERNEL(cast_i32, (const int32_t *x, float *y, int64_t n), (x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = (float)x[i];
}

CO_CPU_KERNEL(cast_i64, (const int64_t *x, float *y, int64_t n), (x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = (float)x[i];
}

CO_CPU_KERNEL(normalize_one, (const float *x, float mean, float scale, float *y, int64_t n),
              (x, mean, scale, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = (x[i] - mean) * scale;
}

// Rows of `width` values, each with its own mean and scale.
CO_CPU_KERNEL(normalize_rows,
              (const float *x, const float *mean, const float *scale, float *y, int64_t rows,
               int64_t width),
              (x, mean, scale, y, rows, width)) {
  for (int64_t r = 0; r < rows; r++, x += width, y += width) {
#pragma omp simd
    for (int64_t i = 0; i < width; i++)
      y[i] = (x[i] - mean[i]) * scale[i];
  }
}
// clang-format on

static void cast_part(const co_cpu *cpu, const co_op_desc *desc, const void *x, void *y, int64_t b,
                      int64_t n) {
  switch (desc->in[0].dtype) {
  case CO_U8:
    cast_u8[cpu->isa]((const uint8_t *)x + b, (float *)y + b, n);
    break;
  case CO_I32:
    cast_i32[cpu->isa]((const int32_t *)x + b, (float *)y + b, n);
    break;
  case CO_I64:
    cast_i64[cpu->isa]((const int64_t *)x + b, (float *)y + b, n);
    break;
  case CO_BF16:
    co_cpu_widen(cpu, (float *)y + b, (const co_bf16 *)x + b, n);
    break;
  default:
    co_cpu_round(cpu, (co_bf16 *)y + b, (const float *)x + b, n);
  }
}

static co_status run_cast(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  (void)workspace;
  const int64_t n = co_shape_count(&prepared->desc.in[0].shape);
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(n, 64, &b, &e);
    cast_part(cpu, &prepared->desc, in[0], out[0], b, e - b);
  }
  return CO_OK;
}

static bool has_cast(const co_op_desc *desc, co_cpu_answer *answer) {
  const co_dtype from = desc->in[0].dtype, to = desc->out[0].dtype;
  bool integer = from == CO_U8 || from == CO_I32 || from == CO_I64;
  if (to == CO_F32 && (integer || from == CO_BF16)) return true;
  if (to == CO_BF16 && from == CO_F32) return true;
  (void)co_cpu_refuse(answer, "integers to f32, bf16 to f32 and back only");
  return false;
}

static co_status run_normalize(co_cpu *cpu, co_prepared *prepared, void *const *in,
                               void *const *out, void *workspace) {
  (void)workspace;
  enum { REPEAT = 16, SMALL = 32 };
  const co_op_desc *desc = &prepared->desc;
  const int64_t n = co_shape_count(&desc->in[0].shape), C = desc->in[1].shape.dim[0];
  const float *x = in[0], *mean = in[1], *scale = in[2];
  float *y = out[0];
  // Few channels are repeated until they fill vectors.
  float means[REPEAT * SMALL], scales[REPEAT * SMALL];
  const bool repeat = C > 1 && C <= SMALL;
  if (repeat)
    for (int64_t i = 0; i < REPEAT * C; i++) {
      means[i] = mean[i % C];
      scales[i] = scale[i % C];
    }
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(n, repeat ? REPEAT * C : C, &b, &e);
    if (C == 1) {
      normalize_one[cpu->isa](x + b, mean[0], scale[0], y + b, e - b);
    } else if (repeat) {
      const int64_t rows = (e - b) / (REPEAT * C), done = b + rows * REPEAT * C;
      normalize_rows[cpu->isa](x + b, means, scales, y + b, rows, REPEAT * C);
      normalize_rows[cpu->isa](x + done, mean, scale, y + done, (e - done) / C, C);
    } else {
      normalize_rows[cpu->isa](x + b, mean, scale, y + b, (e - b) / C, C);
    }
  }
  return CO_OK;
}

// A row of W pixels backwards; inlined with the usual numbers of channels.
CO_CPU_INLINE void mirror_row(const float *x, float *y, int64_t W, int64_t C) {
  for (int64_t w = 0; w < W; w++)
    for (int64_t c = 0; c < C; c++)
      y[w * C + c] = x[(W - 1 - w) * C + c];
}

static void mirror(const float *x, float *y, int64_t rows, int64_t W, int64_t C) {
  for (int64_t r = 0; r < rows; r++, x += W * C, y += W * C) {
    if (C == 1)
      mirror_row(x, y, W, 1);
    else if (C == 3)
      mirror_row(x, y, W, 3);
    else
      mirror_row(x, y, W, C);
  }
}

static co_status run_flip(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t *d = desc->in[0].shape.dim;
  const int64_t N = d[0], H = d[1], W = d[2], C = d[3];
  const float *x = in[0];
  const int64_t *ids = in[1];
  const co_step *step = in[2];
  const float rate = (float)desc->attr.rate;
  float *y = out[0];
#pragma omp parallel for schedule(static) if (N * H * W * C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const float *image = x + n * H * W * C;
    float *result = y + n * H * W * C;
    const uint32_t bits =
        co_random_bits(step->seed, (uint64_t)ids[n], step->epoch, desc->attr.purpose);
    if (co_uniform_from_bits(bits) < rate)
      mirror(image, result, H, W, C);
    else
      memcpy(result, image, (size_t)(H * W * C) * sizeof *y);
  }
  return CO_OK;
}

static void fill(float *y, int64_t n, float value) {
  for (int64_t i = 0; i < n; i++)
    y[i] = value;
}

static int64_t draw_shift(const co_step *step, uint64_t index, uint32_t purpose, int64_t pad) {
  const uint64_t bits = co_random_bits(step->seed, index, step->epoch, purpose);
  return (int64_t)((bits * (uint64_t)(2 * pad + 1)) >> 32) - pad;
}

static co_status run_shifted_crop(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                  void *const *out, void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t *d = desc->in[0].shape.dim;
  const int64_t N = d[0], H = d[1], W = d[2], C = d[3], pad = desc->attr.pad;
  const float *x = in[0], value = (float)desc->attr.fill;
  const int64_t *ids = in[1];
  const co_step *step = in[2];
  float *y = out[0];
#pragma omp parallel for schedule(static) if (N * H * W * C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const uint64_t id = (uint64_t)ids[n];
    const int64_t down = draw_shift(step, 2 * id, desc->attr.purpose, pad);
    const int64_t right = draw_shift(step, 2 * id + 1, desc->attr.purpose, pad);
    // Columns [first, last) of y come from x.
    int64_t first = right > 0 ? right : 0, last = right < 0 ? W + right : W;
    if (first > W) first = W;
    if (last < first) last = first;
    for (int64_t h = 0; h < H; h++) {
      float *row = y + (n * H + h) * W * C;
      const int64_t from = h - down;
      if (from < 0 || from >= H) {
        fill(row, W * C, value);
        continue;
      }
      fill(row, first * C, value);
      if (last > first)
        memcpy(row + first * C, x + ((n * H + from) * W + first - right) * C,
               (size_t)((last - first) * C) * sizeof *row);
      fill(row + last * C, (W - last) * C, value);
    }
  }
  return CO_OK;
}

const co_cpu_impl co_cpu_input[] = {
    {.op = CO_OP_GATHER, .name = "omp", .plan = co_cpu_plan_simple, .run = run_gather},
    {.op = CO_OP_CAST,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_cast,
     .accepts = has_cast},
    {.op = CO_OP_NORMALIZE,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_normalize,
     .f32_in = 7,
     .f32_out = 1},
    {.op = CO_OP_FLIP,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_flip,
     .f32_in = 1,
     .f32_out = 1},
    {.op = CO_OP_SHIFTED_CROP,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_shifted_crop,
     .f32_in = 1,
     .f32_out = 1},
    {.name = NULL},
};
