// SPDX-License-Identifier: Apache-2.0
// Attention over events, by the product tiles of product.h. Rows and heads are independent; a head's
// queries are gone through a few at a time, whose scores alone are held. The order of sums depends on shapes and,
// since those of a row of scores are in vectors, on the instruction set; never on the number of threads.
#include <math.h>

#include "kernels/cpu/exp.h"
#include "kernels/cpu/product.h"

enum { QUERIES = 32 }; // whose scores the backward operation holds at once

typedef struct sizes {
  int64_t N, T, E, H, D, B;    // B = 0: no bias
  int64_t tile, wide, stretch; // columns of a product tile; D and T in whole ones
  int most;                    // rows of a product tile
  bool causal;
  float scale;
} sizes;

static sizes sizes_of(const co_cpu *cpu, const co_op_desc *desc) {
  const int64_t *q = desc->in[CO_ATTENTION_q].shape.dim, H = desc->attr.heads, D = q[2] / H;
  const int64_t tile = co_tile_columns(cpu);
  bool biased = desc->has_in >> CO_ATTENTION_bias & 1;
  return (sizes){.N = q[0],
                 .T = q[1],
                 .E = q[2],
                 .H = H,
                 .D = D,
                 .B = biased ? desc->in[CO_ATTENTION_bias].shape.dim[1] : 0,
                 .tile = tile,
                 .wide = round_up(D, tile),
                 .stretch = round_up(q[1], tile),
                 .most = co_tile_rows(cpu),
                 .causal = desc->attr.causal != 0,
                 .scale = 1 / sqrtf((float)D)};
}

// What a thread holds of one head of a row. Packed operands lie product tile by product tile.
typedef struct desk {
  float *keys, *values;   // k', scaled, and in the backward v': (D, tile) each; else v: (T, tile)
  float *scores, *slopes; // (QUERIES, stretch)
  float *mixed;           // (QUERIES, wide)
  float *bias, *dbias;    // by j - t, from 1 - T to T - 1
  // Backward: k, scaled (T, tile); of these queries q, scaled, and dy (QUERIES, tile); (T, wide).
  float *mixing, *queries, *gradients, *dk, *dv;
} desk;

static int64_t take_desk(const sizes *s, bool backward, float *base, desk *d) {
  int64_t used = 0;
  d->keys = take(base, &used, s->stretch * s->D);
  d->values = take(base, &used, backward ? s->stretch * s->D : s->T * s->wide);
  d->scores = take(base, &used, QUERIES * s->stretch);
  d->mixed = take(base, &used, QUERIES * s->wide);
  d->bias = take(base, &used, s->B ? 2 * s->T : 0);
  if (!backward) return used;
  d->slopes = take(base, &used, QUERIES * s->stretch);
  d->dbias = take(base, &used, s->B ? 2 * s->T : 0);
  d->mixing = take(base, &used, s->T * s->wide);
  d->queries = take(base, &used, QUERIES * s->wide);
  d->gradients = take(base, &used, QUERIES * s->wide);
  d->dk = take(base, &used, s->T * s->wide);
  d->dv = take(base, &used, s->T * s->wide);
  return used;
}

// dbias of each row and head, then the threads' desks.
static size_t workspace_of(co_cpu *cpu, const co_op_desc *desc, bool backward) {
  const sizes s = sizes_of(cpu, desc);
  desk d;
  const int64_t apart = backward ? round_up(s.N * s.H * s.B, 16) : 0;
  return (size_t)(apart + cpu->threads * take_desk(&s, backward, NULL, &d)) * sizeof(float);
}

static size_t forward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  return workspace_of(cpu, desc, false);
}

static size_t backward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  return workspace_of(cpu, desc, true);
}

// ---- packing -----------------------------------------------------------------------------------

// m' of m (rows, D), its rows E apart: tiles of rows, 0 behind the last.
static void pack_across(const sizes *s, const float *m, int64_t rows, float factor, float *packed) {
  for (int64_t j = 0; j < rows; j += s->tile, packed += s->D * s->tile) {
    const int64_t count = rows - j < s->tile ? rows - j : s->tile;
    for (int64_t d = 0; d < s->D; d++) {
      float *to = packed + d * s->tile;
      for (int64_t i = 0; i < count; i++)
        to[i] = m[(j + i) * s->E + d] * factor;
      for (int64_t i = count; i < s->tile; i++)
        to[i] = 0;
    }
  }
}

// m (rows, D) in tiles of its columns, `apart` rows each; 0 behind the last.
static void pack(const sizes *s, const float *m, int64_t rows, float factor, int64_t apart,
                 float *packed) {
  for (int64_t d = 0; d < s->D; d += s->tile, packed += apart * s->tile) {
    const int64_t count = s->D - d < s->tile ? s->D - d : s->tile;
    for (int64_t j = 0; j < rows; j++) {
      float *to = packed + j * s->tile;
      for (int64_t i = 0; i < count; i++)
        to[i] = m[j * s->E + d + i] * factor;
      for (int64_t i = count; i < s->tile; i++)
        to[i] = 0;
    }
  }
}

// A head's biases by j - t, so that those of a query's events lie side by side.
static void spread_bias(const sizes *s, const float *bias, float *spread) {
  for (int64_t i = 0; s->B && i < 2 * s->T - 1; i++) {
    const int64_t apart = i < s->T ? s->T - 1 - i : i - (s->T - 1);
    spread[i] = bias[apart < s->B ? apart : s->B - 1];
  }
}

// ---- one query ---------------------------------------------------------------------------------

// Of one query, over the events that it sees.
typedef struct query {
  float *scores;     // s_j, then exp(s_j - shift)
  const float *bias; // NULL: none
  int64_t seen;
} query;

// clang-format off
CO_CPU_KERNEL(largest, (const query *a, float *most), (a, most)) {
  float *scores = a->scores, found = -INFINITY;
  for (int64_t j = 0; a->bias && j < a->seen; j++)
    scores[j] += a->bias[j];
#pragma omp simd reduction(max : found)
  for (int64_t j = 0; j < a->seen; j++)
    found = scores[j] > found ? scores[j] : found;
  *most = found;
}

// For shifts that no score exceeds by more than rounding.
CO_CPU_KERNEL(exponentials, (const query *a, float shift, float *sum), (a, shift, sum)) {
  float *scores = a->scores, total = 0;
#pragma omp simd
  for (int64_t j = 0; j < a->seen; j++)
    scores[j] = exp_negative(scores[j] - shift);
#pragma omp simd reduction(+ : total)
  for (int64_t j = 0; j < a->seen; j++)
    total += scores[j];
  *sum = total;
}

// p_j = exp(s_j - logsum).
CO_CPU_KERNEL(probabilities, (const query *a, float logsum), (a, logsum)) {
  for (int64_t j = 0; a->bias && j < a->seen; j++)
    a->scores[j] += a->bias[j];
#pragma omp simd
  for (int64_t j = 0; j < a->seen; j++)
    a->scores[j] = exp_negative(a->scores[j] - logsum);
}

// ds_j = p_j (dy v_j - dy y), in place of dy v_j; dbias NULL: none.
CO_CPU_KERNEL(slopes_of, (const query *a, const float *dy, const float *y, int64_t D, float *slopes,
                          float *dbias), (a, dy, y, D, slopes, dbias)) {
  float whole = 0;
#pragma omp simd reduction(+ : whole)
  for (int64_t d = 0; d < D; d++)
    whole += dy[d] * y[d];
#pragma omp simd
  for (int64_t j = 0; j < a->seen; j++)
    slopes[j] = a->scores[j] * (slopes[j] - whole);
  for (int64_t j = 0; dbias && j < a->seen; j++)
    dbias[j] += slopes[j];
}
// clang-format on

// ---- some queries of a head --------------------------------------------------------------------

static const float zeros[CO_TILE_COLUMNS];

// Queries from `first` on, as many as a product tile has rows.
typedef struct group {
  int64_t first;
  int count;
  int64_t seen; // events that the last of them sees
  const float *row[CO_TILE_ROWS];
} group;

static group group_of(const sizes *s, int64_t first, int64_t end, int64_t length) {
  const int count = (int)(end - first < s->most ? end - first : s->most);
  return (group){.first = first, .count = count, .seen = s->causal ? first + count : length};
}

static int64_t seen_by(const sizes *s, int64_t t, int64_t length) {
  return s->causal ? t + 1 : length;
}

static void set_rows(group *g, const float *rows, int64_t stride) {
  for (int r = 0; r < g->count; r++)
    g->row[r] = rows + r * stride;
}

// c (count, stretch) = the rows times the packed m' of the events that are seen.
static void across(const sizes *s, co_tile *tile, const group *g, const float *packed, float *c) {
  for (int64_t j = 0; j < g->seen; j += s->tile) {
    const co_tile_term term = {.b = packed + j * s->D, .k = s->D, .rows = g->row};
    tile(&term, 1, 0, g->count, zeros, c + j, s->stretch);
  }
}

// c (count, wide) = the rows, numbers of the events that are seen, times the packed m.
static void mix(const sizes *s, co_tile *tile, const group *g, const float *packed, float *c) {
  for (int64_t d = 0; d < s->D; d += s->tile) {
    const co_tile_term term = {.b = packed + d * s->T, .k = g->seen, .rows = g->row};
    tile(&term, 1, 0, g->count, zeros, c + d, s->wide);
  }
}

static void clear(float *values, int64_t begin, int64_t end) {
  memset(values + begin, 0, (size_t)(end - begin) * sizeof *values);
}

// ---- forward -----------------------------------------------------------------------------------

static void forward_head(co_cpu *cpu, const sizes *s, const desk *d, void *const *in,
                         void *const *out, int64_t n, int64_t h) {
  const int64_t length = co_clamp_length(((const int32_t *)in[CO_ATTENTION_lengths])[n], s->T);
  const int64_t first = n * s->T * s->E + h * s->D;
  const float *bias = in[CO_ATTENTION_bias], *q = (const float *)in[CO_ATTENTION_q] + first;
  float *y = (float *)out[CO_ATTENTION_y] + first, *logsum = out[CO_ATTENTION_logsum];
  co_tile *tile = co_tile_by_rows(cpu);
  pack_across(s, (const float *)in[CO_ATTENTION_k] + first, length, s->scale, d->keys);
  pack(s, (const float *)in[CO_ATTENTION_v] + first, length, 1, s->T, d->values);
  spread_bias(s, bias ? bias + h * s->B : NULL, d->bias);
  logsum = logsum ? logsum + (n * s->H + h) * s->T : NULL;
  for (int64_t t = 0; t < length; t += s->most) {
    group g = group_of(s, t, length, length);
    float most, sum[CO_TILE_ROWS];
    set_rows(&g, q + t * s->E, s->E);
    across(s, tile, &g, d->keys, d->scores);
    for (int r = 0; r < g.count; r++) {
      const query a = {.scores = d->scores + r * s->stretch,
                       .bias = s->B ? d->bias + s->T - 1 - (t + r) : NULL,
                       .seen = seen_by(s, t + r, length)};
      largest[cpu->isa](&a, &most);
      exponentials[cpu->isa](&a, most, &sum[r]);
      clear(a.scores, a.seen, g.seen);
      if (logsum) logsum[t + r] = most + logf(sum[r]);
    }
    set_rows(&g, d->scores, s->stretch);
    mix(s, tile, &g, d->values, d->mixed);
    for (int r = 0; r < g.count; r++)
      for (int64_t i = 0; i < s->D; i++)
        y[(t + r) * s->E + i] = d->mixed[r * s->wide + i] * (1 / sum[r]);
  }
  for (int64_t t = length; t < s->T; t++) {
    memset(y + t * s->E, 0, (size_t)s->D * sizeof *y);
    if (logsum) logsum[t] = 0;
  }
}

static co_status run_attention(co_cpu *cpu, co_prepared *prepared, void *const *in,
                               void *const *out, void *workspace) {
  const sizes s = sizes_of(cpu, &prepared->desc);
#pragma omp parallel
  {
    desk d;
    const int64_t floats = take_desk(&s, false, NULL, &d);
    take_desk(&s, false, (float *)workspace + co_cpu_part() * floats, &d);
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < s.N * s.H; i++)
      forward_head(cpu, &s, &d, in, out, i / s.H, i % s.H);
  }
  return CO_OK;
}

// ---- backward ----------------------------------------------------------------------------------

// One head of a row: where its numbers begin in (N, T, E).
typedef struct head {
  const float *q, *k, *v, *y, *dy, *logsum;
  float *dq, *dk, *dv;
  int64_t length;
} head;

static head head_of(const sizes *s, void *const *in, void *const *out, int64_t n, int64_t h) {
  const int64_t first = n * s->T * s->E + h * s->D;
#define IN(name) (const float *)in[CO_ATTENTION_BACKWARD_##name] + first
#define OUT(name) (float *)out[CO_ATTENTION_BACKWARD_##name] + first
  return (head){.q = IN(q),
                .k = IN(k),
                .v = IN(v),
                .y = IN(y),
                .dy = IN(dy),
                .logsum = (const float *)in[CO_ATTENTION_BACKWARD_logsum] + (n * s->H + h) * s->T,
                .dq = OUT(dq),
                .dk = OUT(dk),
                .dv = OUT(dv),
                .length =
                    co_clamp_length(((const int32_t *)in[CO_ATTENTION_BACKWARD_lengths])[n], s->T)};
#undef IN
#undef OUT
}

// Adds or sets D numbers of each of `rows` rows, and 0 behind them.
static void give(const sizes *s, bool adds, const float *from, int64_t begin, int64_t rows,
                 float *to) {
  for (int64_t t = begin; t < begin + rows; t++, from += s->wide)
    for (int64_t i = 0; i < s->D; i++)
      to[t * s->E + i] = (adds ? to[t * s->E + i] : 0) + from[i];
}

static void give_zeros(const sizes *s, bool adds, int64_t begin, float *to) {
  for (int64_t t = begin; !adds && t < s->T; t++)
    memset(to + t * s->E, 0, (size_t)s->D * sizeof *to);
}

// c (events, wide) += of the queries from `first` on the numbers of each event, times packed rows of
// theirs. Queries before an event do not see it where attention is causal.
static void add_events(const sizes *s, co_tile *tile, const float *numbers, int64_t first,
                       int64_t queries, int64_t seen, const float *packed, float *c) {
  for (int64_t j = 0; j < seen; j += s->most) {
    const int64_t from = s->causal && j > first ? j - first : 0;
    const int rows = (int)(seen - j < s->most ? seen - j : s->most);
    for (int64_t d = 0; d < s->D; d += s->tile) {
      const co_tile_term term = {.b = packed + d * QUERIES + from * s->tile,
                                 .k = queries - from,
                                 .a = numbers + from * s->stretch,
                                 .step = s->stretch};
      tile(&term, 1, j, rows, NULL, c + j * s->wide + d, s->wide);
    }
  }
}

// Probabilities and slopes of a tile's queries, 0 where others see events up to `seen`; and dq.
static void backward_group(co_cpu *cpu, const sizes *s, const desk *d, const head *x, int64_t begin,
                           int64_t t, int64_t end, int64_t seen) {
  co_tile *tile = co_tile_by_rows(cpu);
  group g = group_of(s, t, end, x->length);
  float *scores = d->scores + (t - begin) * s->stretch;
  float *slopes = d->slopes + (t - begin) * s->stretch;
  set_rows(&g, x->q + t * s->E, s->E);
  across(s, tile, &g, d->keys, scores);
  set_rows(&g, x->dy + t * s->E, s->E);
  across(s, tile, &g, d->values, slopes);
  for (int r = 0; r < g.count; r++) {
    const int64_t at = (t + r) * s->E, place = s->T - 1 - (t + r);
    const query a = {.scores = scores + r * s->stretch,
                     .bias = s->B ? d->bias + place : NULL,
                     .seen = seen_by(s, t + r, x->length)};
    probabilities[cpu->isa](&a, x->logsum[t + r]);
    slopes_of[cpu->isa](&a, x->dy + at, x->y + at, s->D, slopes + r * s->stretch,
                        s->B ? d->dbias + place : NULL);
    clear(a.scores, a.seen, seen);
    clear(slopes + r * s->stretch, a.seen, seen);
  }
  set_rows(&g, slopes, s->stretch);
  mix(s, tile, &g, d->mixing, d->mixed);
}

static void backward_head(co_cpu *cpu, const co_op_desc *desc, const sizes *s, const desk *d,
                          const head *x, const float *bias, float *dbias) {
  const bool adds_q = co_cpu_accumulates(desc, CO_ATTENTION_BACKWARD_dq);
  const bool adds_k = co_cpu_accumulates(desc, CO_ATTENTION_BACKWARD_dk);
  const bool adds_v = co_cpu_accumulates(desc, CO_ATTENTION_BACKWARD_dv);
  co_tile *tile = co_tile_by_columns(cpu);
  pack_across(s, x->k, x->length, s->scale, d->keys);
  pack_across(s, x->v, x->length, 1, d->values);
  pack(s, x->k, x->length, s->scale, s->T, d->mixing);
  spread_bias(s, bias, d->bias);
  memset(d->dk, 0, (size_t)(x->length * s->wide) * sizeof *d->dk);
  memset(d->dv, 0, (size_t)(x->length * s->wide) * sizeof *d->dv);
  if (s->B) memset(d->dbias, 0, (size_t)(2 * s->T) * sizeof *d->dbias);
  for (int64_t begin = 0; begin < x->length; begin += QUERIES) {
    const int64_t left = x->length - begin, count = left < QUERIES ? left : QUERIES;
    const int64_t end = begin + count, seen = seen_by(s, end - 1, x->length);
    for (int64_t t = begin; t < end; t += s->most) {
      backward_group(cpu, s, d, x, begin, t, end, seen);
      give(s, adds_q, d->mixed, t, end - t < s->most ? end - t : s->most, x->dq);
    }
    pack(s, x->q + begin * s->E, count, s->scale, QUERIES, d->queries);
    pack(s, x->dy + begin * s->E, count, 1, QUERIES, d->gradients);
    add_events(s, tile, d->scores, begin, count, seen, d->gradients, d->dv);
    add_events(s, tile, d->slopes, begin, count, seen, d->queries, d->dk);
  }
  give(s, adds_k, d->dk, 0, x->length, x->dk);
  give(s, adds_v, d->dv, 0, x->length, x->dv);
  give_zeros(s, adds_q, x->length, x->dq);
  give_zeros(s, adds_k, x->length, x->dk);
  give_zeros(s, adds_v, x->length, x->dv);
  for (int64_t b = 0; b < s->B; b++)
    dbias[b] = 0;
  for (int64_t i = 0; s->B && i < 2 * s->T - 1; i++) {
    const int64_t apart = i < s->T ? s->T - 1 - i : i - (s->T - 1);
    dbias[apart < s->B ? apart : s->B - 1] += d->dbias[i];
  }
}

// Rows of each head one after another.
static void gather_bias(const co_op_desc *desc, const sizes *s, const float *apart, float *dbias) {
  for (int64_t i = 0; i < s->H * s->B; i++) {
    float sum = co_cpu_accumulates(desc, CO_ATTENTION_BACKWARD_dbias) ? dbias[i] : 0;
    for (int64_t n = 0; n < s->N; n++)
      sum += apart[n * s->H * s->B + i];
    dbias[i] = sum;
  }
}

static co_status run_attention_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                        void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const sizes s = sizes_of(cpu, desc);
  const float *bias = in[CO_ATTENTION_BACKWARD_bias];
  float *apart = workspace, *desks = apart + round_up(s.N * s.H * s.B, 16);
#pragma omp parallel
  {
    desk d;
    const int64_t floats = take_desk(&s, true, NULL, &d);
    take_desk(&s, true, desks + co_cpu_part() * floats, &d);
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < s.N * s.H; i++) {
      const int64_t h = i % s.H;
      const head x = head_of(&s, in, out, i / s.H, h);
      backward_head(cpu, desc, &s, &d, &x, bias ? bias + h * s.B : NULL, apart + i * s.B);
    }
  }
  float *dbias = out[CO_ATTENTION_BACKWARD_dbias];
  if (dbias) gather_bias(desc, &s, apart, dbias);
  return CO_OK;
}

const co_cpu_impl co_cpu_attention[] = {
    {.op = CO_OP_ATTENTION,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_attention,
     .workspace = forward_workspace,
     .f32_in = 0x17,
     .f32_out = 0x3},
    {.op = CO_OP_ATTENTION_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_attention_backward,
     .workspace = backward_workspace,
     .f32_in = 0xF7,
     .f32_out = 0xF,
     .accumulate = 0xF},
    {.name = NULL},
};
