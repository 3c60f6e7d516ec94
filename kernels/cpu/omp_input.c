// SPDX-License-Identifier: Apache-2.0
// The input section, run by loader threads: gather, cast, augment, normalise.
#include "host/core/rng.h"
#include "kernels/augment.h"
#include "kernels/cpu/cpu.h"

static int64_t row_size(const co_shape *shape) {
  int64_t size = 1;
  for (int d = 1; d < shape->rank; d++)
    size *= shape->dim[d];
  return size;
}

// Stored numbers and categories: a call of memcpy for each takes most of the time.
static void gather_words(const uint32_t *table, const int64_t *index, uint32_t *y, int64_t count) {
  for (int64_t n = 0; n < count; n++)
    y[n] = table[index[n]];
}

static co_status run_gather(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                            void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[1].shape.dim[0];
  const size_t row = (size_t)row_size(&desc->in[0].shape) * co_dtype_size(desc->in[0].dtype);
  const unsigned char *table = in[0];
  const bool narrow = desc->in[1].dtype == CO_I32;
  const int64_t *index = in[1];
  const int32_t *narrow_index = in[1];
  unsigned char *y = out[0];
  if (row == 0) return CO_OK;
  if (row == sizeof(uint32_t) && !narrow) {
    gather_words(in[0], index, out[0], N);
    return CO_OK;
  }
#pragma omp parallel for schedule(static) if ((size_t)N * row > 65536)
  for (int64_t n = 0; n < N; n++)
    memcpy(y + (size_t)n * row, table + (size_t)(narrow ? narrow_index[n] : index[n]) * row, row);
  return CO_OK;
}

static co_status run_gather_events(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_tensor_desc *source = &prepared->desc.in[CO_GATHER_EVENTS_table];
  const int64_t *dim = prepared->desc.out[0].shape.dim, T = dim[1];
  const size_t event = (size_t)row_size(&source->shape) * co_dtype_size(source->dtype);
  const unsigned char *table = in[CO_GATHER_EVENTS_table];
  const int64_t *begin = in[CO_GATHER_EVENTS_begin];
  const int32_t *lengths = in[CO_GATHER_EVENTS_lengths];
#pragma omp parallel for schedule(static) if ((size_t)(dim[0] * T) * event > 65536)
  for (int64_t n = 0; n < dim[0]; n++) {
    const size_t events = (size_t)co_clamp_length(lengths[n], T);
    unsigned char *row = (unsigned char *)out[0] + (size_t)(n * T) * event;
    if (events) memcpy(row, table + (size_t)begin[n] * event, events * event);
    memset(row + events * event, 0, ((size_t)T - events) * event);
  }
  return CO_OK;
}

// ---- categories --------------------------------------------------------------------------------

static co_status run_lookup(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                            void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t n = co_shape_count(&desc->in[0].shape), K = desc->in[1].shape.dim[0];
  const int32_t *x = in[0], *map = in[1];
  int32_t *y = out[0];
#pragma omp parallel for schedule(static) if (n > CO_CPU_SERIAL)
  for (int64_t i = 0; i < n; i++) {
    const uint64_t at = (uint64_t)((int64_t)x[i] + 1); // below 0 is large
    y[i] = map[at < (uint64_t)K ? at : 0];
  }
  return CO_OK;
}

static co_status run_index_dropout(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t n = co_shape_count(&desc->in[CO_INDEX_DROPOUT_x].shape);
  const int64_t row = row_size(&desc->in[CO_INDEX_DROPOUT_x].shape);
  const int64_t stride = co_draws_of_row(desc);
  const int32_t *x = in[CO_INDEX_DROPOUT_x];
  const co_step *step = in[CO_INDEX_DROPOUT_step];
  const float rate = (float)desc->attr.rate;
  const int64_t first = desc->attr.draws < 0 ? 0 : step->row_offset;
  int32_t *y = out[CO_INDEX_DROPOUT_y];
#pragma omp parallel for schedule(static) if (n > CO_CPU_SERIAL)
  for (int64_t i = 0; i < n; i++) {
    const uint64_t element = (uint64_t)((first + i / row) * stride + i % row);
    const uint32_t bits = co_random_bits(step->seed, element, step->step, desc->attr.purpose);
    y[i] = co_uniform_from_bits(bits) < rate ? 0 : x[i];
  }
  return CO_OK;
}

// ---- numbers -----------------------------------------------------------------------------------

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

// n elements of x, from element `first`, whatever they are stored as.
static void cast_span(const co_cpu *cpu, co_dtype from, const void *x, int64_t first, float *y,
                      int64_t n) {
  switch (from) {
  case CO_U8:
    cast_u8[cpu->isa]((const uint8_t *)x + first, y, n);
    break;
  case CO_I32:
    cast_i32[cpu->isa]((const int32_t *)x + first, y, n);
    break;
  case CO_I64:
    cast_i64[cpu->isa]((const int64_t *)x + first, y, n);
    break;
  case CO_F32:
    memcpy(y, (const float *)x + first, (size_t)n * sizeof *y);
    break;
  case CO_BF16:
    co_cpu_widen(cpu, y, (const co_bf16 *)x + first, n);
    break;
  default:
    for (int64_t i = 0; i < n; i++)
      y[i] = (float)((const double *)x)[first + i];
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
    if (prepared->desc.out[0].dtype == CO_BF16)
      co_cpu_round(cpu, (co_bf16 *)out[0] + b, (const float *)in[0] + b, e - b);
    else
      cast_span(cpu, prepared->desc.in[0].dtype, in[0], b, (float *)out[0] + b, e - b);
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

// clang-format off
// Rows of `width` values; fill has one for each, or one for all of them (stride 0). flags or NULL.
CO_CPU_KERNEL(impute_rows,
              (const float *x, const float *fill, int64_t stride, float *y, float *flags,
               int64_t rows, int64_t width),
              (x, fill, stride, y, flags, rows, width)) {
  for (int64_t r = 0; r < rows; r++, x += width, y += width) {
    if (stride == 0) {
      const float value = fill[0];
#pragma omp simd
      for (int64_t i = 0; i < width; i++)
        y[i] = x[i] != x[i] ? value : x[i];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < width; i++)
        y[i] = x[i] != x[i] ? fill[i] : x[i];
    }
    if (flags == NULL) continue;
#pragma omp simd
    for (int64_t i = 0; i < width; i++)
      flags[i] = x[i] != x[i] ? 1 : 0;
    flags += width;
  }
}
// clang-format on

static co_status run_impute(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                            void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t n = co_shape_count(&desc->in[0].shape), C = desc->in[1].shape.dim[0];
  const float *x = in[0], *fill = in[1];
  float *y = out[0], *flags = co_cpu_has_out(desc, 1) ? out[1] : NULL;
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(n, C, &b, &e);
    const int64_t width = C == 1 ? e - b : C, rows = C == 1 ? 1 : (e - b) / C;
    impute_rows[cpu->isa](x + b, fill, C == 1 ? 0 : 1, y + b, flags ? flags + b : NULL, rows,
                          width);
  }
  return CO_OK;
}

// Few channels are repeated until they fill vectors.
enum { REPEAT = 16, SMALL = 32 };
typedef struct statistics {
  const float *mean, *scale;
  int64_t C;
  bool repeat;
  float means[REPEAT * SMALL], scales[REPEAT * SMALL];
} statistics;

static void statistics_open(statistics *s, const float *mean, const float *scale, int64_t C) {
  s->mean = mean;
  s->scale = scale;
  s->C = C;
  s->repeat = C > 1 && C <= SMALL;
  for (int64_t i = 0; s->repeat && i < REPEAT * C; i++) {
    s->means[i] = mean[i % C];
    s->scales[i] = scale[i % C];
  }
}

// n elements from a first channel on; y may be x.
static void normalize_span(const co_cpu *cpu, const statistics *s, const float *x, float *y,
                           int64_t n) {
  const int64_t C = s->C;
  if (C == 1) {
    normalize_one[cpu->isa](x, s->mean[0], s->scale[0], y, n);
  } else if (s->repeat) {
    const int64_t rows = n / (REPEAT * C), done = rows * REPEAT * C;
    normalize_rows[cpu->isa](x, s->means, s->scales, y, rows, REPEAT * C);
    normalize_rows[cpu->isa](x + done, s->mean, s->scale, y + done, (n - done) / C, C);
  } else {
    normalize_rows[cpu->isa](x, s->mean, s->scale, y, n / C, C);
  }
}

static co_status run_normalize(co_cpu *cpu, co_prepared *prepared, void *const *in,
                               void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t n = co_shape_count(&desc->in[0].shape);
  const float *x = in[0];
  float *y = out[0];
  statistics s;
  statistics_open(&s, in[1], in[2], desc->in[1].shape.dim[0]);
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(n, s.repeat ? REPEAT * s.C : s.C, &b, &e);
    normalize_span(cpu, &s, x + b, y + b, e - b);
  }
  return CO_OK;
}

// ---- images ------------------------------------------------------------------------------------

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

// One row of an image (H, W, C).
static void augment_row(const co_augmented *a, const co_op_desc *desc, const float *image,
                        int64_t h, float *y) {
  const int64_t H = desc->in[0].shape.dim[1], W = desc->in[0].shape.dim[2];
  const int64_t C = desc->in[0].shape.dim[3];
  for (int64_t w = 0; w < W; w++) {
    int64_t rows[2], columns[2];
    const double down = co_augment_around(a->top + a->hh * (double)h + a->hw * (double)w, H, rows);
    const double right =
        co_augment_around(a->left + a->wh * (double)h + a->ww * (double)w, W, columns);
    const float *above = image + rows[0] * W * C, *below = image + rows[1] * W * C;
    const bool cut = co_augment_is_cut(a, h, w);
    for (int64_t c = 0; c < C; c++) {
      const double first = (double)above[columns[0] * C + c];
      const double second = (double)below[columns[0] * C + c];
      const double upper = first + right * ((double)above[columns[1] * C + c] - first);
      const double lower = second + right * ((double)below[columns[1] * C + c] - second);
      y[w * C + c] =
          (float)(cut ? desc->attr.fill : co_augment_coloured(a, upper + down * (lower - upper)));
    }
  }
}

static co_status run_augment(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t *d = desc->in[0].shape.dim;
  const int64_t N = d[0], H = d[1], row = d[2] * d[3];
  const float *x = in[0];
  const int64_t *ids = in[1];
  float *y = out[0];
#pragma omp parallel for schedule(static) if (N * H * row > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const co_augmented a = co_augment_draw(in[2], &desc->attr, ids[n], H, d[2]);
    for (int64_t h = 0; h < H; h++)
      augment_row(&a, desc, x + n * H * row, h, y + (n * H + h) * row);
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

// An image moved down and to the right; what is vacated gets a value.
static void shift(const float *x, float *y, const int64_t *dim, int64_t down, int64_t right,
                  float value) {
  const int64_t H = dim[1], W = dim[2], C = dim[3];
  // Columns [first, last) of y come from x.
  int64_t first = right > 0 ? right : 0, last = right < 0 ? W + right : W;
  if (first > W) first = W;
  if (last < first) last = first;
  for (int64_t h = 0; h < H; h++) {
    float *row = y + h * W * C;
    const int64_t from = h - down;
    if (from < 0 || from >= H) {
      fill(row, W * C, value);
      continue;
    }
    fill(row, first * C, value);
    if (last > first)
      memcpy(row + first * C, x + (from * W + first - right) * C,
             (size_t)((last - first) * C) * sizeof *row);
    fill(row + last * C, (W - last) * C, value);
  }
}

static co_status run_shifted_crop(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                  void *const *out, void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t *d = desc->in[0].shape.dim;
  const int64_t N = d[0], size = d[1] * d[2] * d[3], pad = desc->attr.pad;
  const float *x = in[0], value = (float)desc->attr.fill;
  const int64_t *ids = in[1];
  const co_step *step = in[2];
  float *y = out[0];
#pragma omp parallel for schedule(static) if (N * size > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const uint64_t id = (uint64_t)ids[n];
    const int64_t down = draw_shift(step, 2 * id, desc->attr.purpose, pad);
    const int64_t right = draw_shift(step, 2 * id + 1, desc->attr.purpose, pad);
    shift(x + n * size, y + n * size, d, down, right, value);
  }
  return CO_OK;
}

// ---- all of it, row by row, so that what is between stays in the nearest cache -------------------

// Two rows a thread.
static size_t input_workspace(co_cpu *cpu, const co_op_desc *desc) {
  if (!co_cpu_has_in(desc, 2)) return 0;
  return 2 * (size_t)cpu->threads * (size_t)row_size(&desc->out[0].shape) * sizeof(float);
}

// Row n of the result but for the normalisation.
static void load_row(const co_cpu *cpu, const co_op_desc *desc, void *const *in, int64_t n,
                     float *scratch, float *y) {
  const int64_t size = row_size(&desc->out[0].shape), *dim = desc->out[0].shape.dim;
  const int64_t *index = in[1], *ids = in[2];
  const co_step *step = in[3];
  const co_op_attr *attr = &desc->attr;
  const uint64_t id = ids ? (uint64_t)ids[n] : 0;
  const bool crops = ids && attr->pad > 0;
  const bool mirrored =
      ids && co_uniform_from_bits(co_random_bits(step->seed, id, step->epoch, attr->purpose)) <
                 (float)attr->rate;
  float *row = crops || mirrored ? scratch : y;
  cast_span(cpu, desc->in[0].dtype, in[0], (index ? index[n] : n) * size, row, size);
  if (mirrored) {
    float *to = crops ? scratch + size : y;
    mirror(row, to, dim[1], dim[2], dim[3]);
    row = to;
  }
  if (crops)
    shift(row, y, dim, draw_shift(step, 2 * id, attr->crop_purpose, attr->pad),
          draw_shift(step, 2 * id + 1, attr->crop_purpose, attr->pad), (float)attr->fill);
}

static co_status run_input_rows(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->out[0].shape.dim[0], size = row_size(&desc->out[0].shape);
  const bool normalizes = co_cpu_has_in(desc, 4);
  statistics s;
  if (normalizes) statistics_open(&s, in[4], in[5], desc->in[4].shape.dim[0]);
#pragma omp parallel if (N * size > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(N, 1, &b, &e);
    float *scratch = workspace ? (float *)workspace + 2 * co_cpu_part() * size : NULL;
    for (int64_t n = b; n < e; n++) {
      float *y = (float *)out[0] + n * size;
      load_row(cpu, desc, in, n, scratch, y);
      if (normalizes) normalize_span(cpu, &s, y, y, size);
    }
  }
  return CO_OK;
}

const co_cpu_impl co_cpu_input[] = {
    {.op = CO_OP_GATHER, .name = "omp", .plan = co_cpu_plan_simple, .run = run_gather},
    {.op = CO_OP_GATHER_EVENTS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_gather_events},
    {.op = CO_OP_LOOKUP, .name = "omp", .plan = co_cpu_plan_simple, .run = run_lookup},
    {.op = CO_OP_INDEX_DROPOUT,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_index_dropout},
    {.op = CO_OP_CAST,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_cast,
     .accepts = has_cast},
    {.op = CO_OP_IMPUTE,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_impute,
     .f32_in = 3,
     .f32_out = 3},
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
    {.op = CO_OP_AUGMENT,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_augment,
     .f32_in = 1,
     .f32_out = 1},
    {.op = CO_OP_INPUT_ROWS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_input_rows,
     .workspace = input_workspace,
     .f32_in = 3u << 4,
     .f32_out = 1},
    {.name = NULL},
};
