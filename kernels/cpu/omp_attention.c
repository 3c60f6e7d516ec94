// SPDX-License-Identifier: Apache-2.0
// Attention over events, by the product tiles of product.h. Rows and heads are independent; a head's
// queries are gone through a few at a time, whose scores alone are held, in whole vectors. The order of sums
// depends on shapes and on the instruction set, never on the number of threads.
#include <math.h>

#include "kernels/cpu/cpu.h"
#if CO_CPU_X86
#include <immintrin.h>
#endif

#include "kernels/cpu/exp.h"
#include "kernels/cpu/lanes.h"
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
                 .stretch = round_up(q[1], tile < 16 ? 16 : tile),
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

// Vectors go beyond the last.
static int64_t bias_floats(const sizes *s) {
  return s->B ? 2 * s->T + 16 : 0;
}

static int64_t take_desk(const sizes *s, bool backward, float *base, desk *d) {
  int64_t used = 0;
  d->keys = take(base, &used, s->stretch * s->D);
  d->values = take(base, &used, backward ? s->stretch * s->D : s->T * s->wide);
  d->scores = take(base, &used, QUERIES * s->stretch);
  d->mixed = take(base, &used, QUERIES * s->wide);
  d->bias = take(base, &used, bias_floats(s));
  if (!backward) return used;
  d->slopes = take(base, &used, QUERIES * s->stretch);
  d->dbias = take(base, &used, bias_floats(s));
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

// Part of a head's matrix m, its rows E apart.
typedef struct part {
  const float *m;
  int64_t rows, E, D, tile;
  float factor;
} part;

static part part_of(const sizes *s, const float *m, int64_t rows, float factor) {
  return (part){.m = m, .rows = rows, .E = s->E, .D = s->D, .tile = s->tile, .factor = factor};
}

// clang-format off
CO_CPU_KERNEL(pack_across_loop, (const part *p, float *packed), (p, packed)) {
  const int64_t E = p->E, tile = p->tile;
  const float factor = p->factor;
  for (int64_t j = 0; j < p->rows; j += tile, packed += p->D * tile) {
    const int64_t count = p->rows - j < tile ? p->rows - j : tile;
    const float *from = p->m + j * E;
    for (int64_t d = 0; d < p->D; d++) {
      float *to = packed + d * tile;
      for (int64_t i = 0; i < count; i++)
        to[i] = from[i * E + d] * factor;
      for (int64_t i = count; i < tile; i++)
        to[i] = 0;
    }
  }
}

// m in tiles of its columns, `apart` rows each; 0 behind the last.
CO_CPU_KERNEL(pack, (const part *p, int64_t apart, float *packed), (p, apart, packed)) {
  const int64_t tile = p->tile;
  const float factor = p->factor;
  for (int64_t d = 0; d < p->D; d += tile, packed += apart * tile) {
    const int64_t count = p->D - d < tile ? p->D - d : tile;
    for (int64_t j = 0; j < p->rows; j++) {
      const float *from = p->m + j * p->E + d;
      float *to = packed + j * tile;
#pragma omp simd
      for (int64_t i = 0; i < count; i++)
        to[i] = from[i] * factor;
      for (int64_t i = count; i < tile; i++)
        to[i] = 0;
    }
  }
}
// clang-format on

#if CO_CPU_X86
// to' (16, 16), its rows a tile apart, of `rows` rows of p from `row` on; 0 behind them.
CO_CPU_TARGET_AVX512 static void turn(const part *p, int64_t row, int64_t d, float *to) {
  const __m512 factor = _mm512_set1_ps(p->factor);
  __m512 a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++)
    a[i] = _mm512_mul_ps(factor, row + i < p->rows ? _mm512_loadu_ps(p->m + (row + i) * p->E + d)
                                                   : _mm512_setzero_ps());
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) { // pairs of rows by elements
    b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 4) // fours: elements i, 4 + i, … of each
#pragma GCC unroll 16
    for (int k = 0; k < 2; k++) {
      const __m512d low = _mm512_castps_pd(b[i + k]), high = _mm512_castps_pd(b[i + 2 + k]);
      a[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      a[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
#pragma GCC unroll 16
  for (int i = 0; i < 4; i++)
#pragma GCC unroll 16
    for (int k = 0; k < 2; k++) { // rows 8 k on: quarters 0 and 2, 1 and 3
      b[8 * k + i] = _mm512_shuffle_f32x4(a[8 * k + i], a[8 * k + 4 + i], 0x88);
      b[8 * k + 4 + i] = _mm512_shuffle_f32x4(a[8 * k + i], a[8 * k + 4 + i], 0xDD);
    }
#pragma GCC unroll 16
  for (int i = 0; i < 8; i++) {
    _mm512_storeu_ps(to + i * p->tile, _mm512_shuffle_f32x4(b[i], b[8 + i], 0x88));
    _mm512_storeu_ps(to + (i + 8) * p->tile, _mm512_shuffle_f32x4(b[i], b[8 + i], 0xDD));
  }
}
#endif

// m': tiles of rows, 0 behind the last.
static void pack_across(const co_cpu *cpu, const part *p, float *packed) {
#if CO_CPU_X86
  if (cpu->isa == CO_ISA_AVX512 && p->D % 16 == 0) {
    for (int64_t j = 0; j < p->rows; j += p->tile, packed += p->D * p->tile)
      for (int64_t i = 0; i < p->tile; i += 16)
        for (int64_t d = 0; d < p->D; d += 16)
          turn(p, j + i, d, packed + d * p->tile + i);
    return;
  }
#endif
  pack_across_loop[cpu->isa](p, packed);
}

// A head's biases by j - t, so that those of a query's events lie side by side.
static void spread_bias(const sizes *s, const float *bias, float *spread) {
  for (int64_t i = 0; s->B && i < 2 * s->T - 1; i++) {
    const int64_t apart = i < s->T ? s->T - 1 - i : i - (s->T - 1);
    spread[i] = bias[apart < s->B ? apart : s->B - 1];
  }
}

// ---- queries -----------------------------------------------------------------------------------

// Of some queries that follow one another, as many as a product tile has rows. Loops go over whole
// vectors: what a query does not see becomes 0.
typedef struct group {
  int64_t first;
  int count;
  int seen, later;        // events that the first of them sees, and each one more
  int most;               // that the last sees
  float *scores, *slopes; // rows `stretch` apart
  const float *bias;      // of the first; that of each other begins one earlier; NULL: none
  float *dbias;
  int64_t stretch;
  const float *row[CO_TILE_ROWS];
} group;

static inline int whole_vectors(int n) {
  return (n + 15) & ~15;
}

// Scores and biases, less than anything where nothing is seen; the largest.
CO_CPU_INLINE float bound_scores(const group *g, int r, int whole) {
  float *scores = g->scores + r * g->stretch;
  const float *bias = g->bias ? g->bias - r : NULL;
  const int seen = g->seen + r * g->later;
  co_lanes16 most = {0};
  most -= INFINITY;
  for (int j = 0; j < whole; j += 16) {
    if (bias) {
#pragma omp simd
      for (int i = 0; i < 16; i++)
        scores[j + i] += bias[j + i];
    }
#pragma omp simd
    for (int i = 0; i < 16; i++)
      scores[j + i] = i < seen - j ? scores[j + i] : -INFINITY;
    const co_lanes16 score = *(const co_lanes16_at *)(scores + j);
    const co_mask16 more = score > most;
    most = (co_lanes16)((more & (co_mask16)score) | (~more & (co_mask16)most));
  }
  return lanes_largest(&most);
}

// clang-format off
// exp(s_j - shift) of scores s_j, whose largest `shift` is, and their sum.
CO_CPU_KERNEL(exponentials, (const group *g, float *sums, float *shifts), (g, sums, shifts)) {
  const int whole = whole_vectors(g->most);
  for (int r = 0; r < g->count; r++)
    shifts[r] = bound_scores(g, r, whole);
  for (int r = 0; r < g->count; r++) {
    float *scores = g->scores + r * g->stretch;
    const float shift = shifts[r];
    const int seen = g->seen + r * g->later;
    co_lanes16 total = {0};
    for (int j = 0; j < whole; j += 16) {
#pragma omp simd
      for (int i = 0; i < 16; i++) {
        const float e = exp_negative(scores[j + i] - shift);
        scores[j + i] = i < seen - j ? e : 0;
      }
      total += *(const co_lanes16_at *)(scores + j);
    }
    sums[r] = lanes_sum(&total);
  }
}

// y (rows E apart) = what was mixed (rows `wide` apart) over the sums.
CO_CPU_KERNEL(divide, (const float *mixed, int64_t wide, const float *sums, int rows, int64_t D,
                       float *y, int64_t E), (mixed, wide, sums, rows, D, y, E)) {
  for (int r = 0; r < rows; r++) {
    const float factor = 1 / sums[r];
#pragma omp simd
    for (int64_t i = 0; i < D; i++)
      y[r * E + i] = mixed[r * wide + i] * factor;
  }
}

// p_j = exp(s_j - logsum), then ds_j = p_j (dy v_j - dy y), in place of scores and of dy v_j; dbias += ds.
CO_CPU_KERNEL(slopes_of, (const group *g, const float *logsum, const float *dy, const float *y,
                          int64_t E, int64_t D), (g, logsum, dy, y, E, D)) {
  const int whole = whole_vectors(g->most);
  for (int r = 0; r < g->count; r++) {
    float *scores = g->scores + r * g->stretch, *slopes = g->slopes + r * g->stretch, both = 0;
    const float *bias = g->bias ? g->bias - r : NULL, shift = logsum[r];
    const int seen = g->seen + r * g->later;
#pragma omp simd reduction(+ : both)
    for (int64_t d = 0; d < D; d++)
      both += dy[r * E + d] * y[r * E + d];
    for (int j = 0; j < whole; j += 16) {
      if (bias) {
#pragma omp simd
        for (int i = 0; i < 16; i++)
          scores[j + i] += bias[j + i];
      }
#pragma omp simd
      for (int i = 0; i < 16; i++) {
        const float e = exp_negative(scores[j + i] - shift);
        const float slope = e * (slopes[j + i] - both);
        scores[j + i] = i < seen - j ? e : 0;
        slopes[j + i] = i < seen - j ? slope : 0;
      }
      if (g->dbias) {
        float *dbias = g->dbias - r;
#pragma omp simd
        for (int i = 0; i < 16; i++)
          dbias[j + i] += slopes[j + i];
      }
    }
  }
}

// Adds or sets D numbers of each of `rows` rows.
CO_CPU_KERNEL(give, (const float *from, int64_t wide, bool adds, int64_t rows, int64_t D, float *to,
                     int64_t E), (from, wide, adds, rows, D, to, E)) {
  for (int64_t t = 0; t < rows; t++) {
    if (adds) {
#pragma omp simd
      for (int64_t i = 0; i < D; i++)
        to[t * E + i] += from[t * wide + i];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < D; i++)
        to[t * E + i] = from[t * wide + i];
    }
  }
}
// clang-format on

// ---- some queries of a head --------------------------------------------------------------------

static const float zeros[CO_TILE_COLUMNS];

static group group_of(const sizes *s, int64_t first, int64_t end, int64_t length) {
  const int count = (int)(end - first < s->most ? end - first : s->most);
  return (group){.first = first,
                 .count = count,
                 .seen = (int)(s->causal ? first + 1 : length),
                 .later = s->causal,
                 .most = (int)(s->causal ? first + count : length),
                 .stretch = s->stretch};
}

static void set_rows(group *g, const float *rows, int64_t stride) {
  for (int r = 0; r < g->count; r++)
    g->row[r] = rows + r * stride;
}

// c (count, stretch) = the rows times the packed m' of the events that are seen.
static void across(const sizes *s, co_tile *tile, const group *g, const float *packed, float *c) {
  for (int64_t j = 0; j < g->most; j += s->tile) {
    const co_tile_term term = {.b = packed + j * s->D, .k = s->D, .rows = g->row};
    tile(&term, 1, 0, g->count, zeros, c + j, s->stretch);
  }
}

// c (count, wide) = the rows, numbers of the events that are seen, times the packed m.
static void mix(const sizes *s, co_tile *tile, const group *g, const float *packed, float *c) {
  for (int64_t d = 0; d < s->D; d += s->tile) {
    const co_tile_term term = {.b = packed + d * s->T, .k = g->most, .rows = g->row};
    tile(&term, 1, 0, g->count, zeros, c + d, s->wide);
  }
}

// ---- forward -----------------------------------------------------------------------------------

static void forward_head(co_cpu *cpu, const sizes *s, const desk *d, void *const *in,
                         void *const *out, int64_t n, int64_t h) {
  const int64_t length = co_clamp_length(((const int32_t *)in[CO_ATTENTION_lengths])[n], s->T);
  const int64_t first = n * s->T * s->E + h * s->D;
  const float *bias = in[CO_ATTENTION_bias], *q = (const float *)in[CO_ATTENTION_q] + first;
  float *y = (float *)out[CO_ATTENTION_y] + first, *logsum = out[CO_ATTENTION_logsum];
  co_tile *tile = co_tile_by_rows(cpu);
  const part keys = part_of(s, (const float *)in[CO_ATTENTION_k] + first, length, s->scale);
  const part values = part_of(s, (const float *)in[CO_ATTENTION_v] + first, length, 1);
  pack_across(cpu, &keys, d->keys);
  pack[cpu->isa](&values, s->T, d->values);
  spread_bias(s, bias ? bias + h * s->B : NULL, d->bias);
  logsum = logsum ? logsum + (n * s->H + h) * s->T : NULL;
  for (int64_t t = 0; t < length; t += s->most) {
    group g = group_of(s, t, length, length);
    float sums[CO_TILE_ROWS], shifts[CO_TILE_ROWS];
    set_rows(&g, q + t * s->E, s->E);
    across(s, tile, &g, d->keys, d->scores);
    g.scores = d->scores;
    g.bias = s->B ? d->bias + s->T - 1 - t : NULL;
    exponentials[cpu->isa](&g, sums, shifts);
    for (int r = 0; logsum && r < g.count; r++)
      logsum[t + r] = shifts[r] + logf(sums[r]);
    set_rows(&g, d->scores, s->stretch);
    mix(s, tile, &g, d->values, d->mixed);
    divide[cpu->isa](d->mixed, s->wide, sums, g.count, s->D, y + t * s->E, s->E);
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
  const int64_t at = t * s->E, place = s->T - 1 - t, blank = seen - g.most;
  g.scores = d->scores + (t - begin) * s->stretch;
  g.slopes = d->slopes + (t - begin) * s->stretch;
  g.bias = s->B ? d->bias + place : NULL;
  g.dbias = s->B ? d->dbias + place : NULL;
  set_rows(&g, x->q + at, s->E);
  across(s, tile, &g, d->keys, g.scores);
  set_rows(&g, x->dy + at, s->E);
  across(s, tile, &g, d->values, g.slopes);
  slopes_of[cpu->isa](&g, x->logsum + t, x->dy + at, x->y + at, s->E, s->D);
  for (int r = 0; blank && r < g.count; r++) {
    memset(g.scores + r * s->stretch + g.most, 0, (size_t)blank * sizeof *g.scores);
    memset(g.slopes + r * s->stretch + g.most, 0, (size_t)blank * sizeof *g.slopes);
  }
  set_rows(&g, g.slopes, s->stretch);
  mix(s, tile, &g, d->mixing, d->mixed);
}

static void backward_head(co_cpu *cpu, const co_op_desc *desc, const sizes *s, const desk *d,
                          const head *x, const float *bias, float *dbias) {
  const bool adds_q = co_cpu_accumulates(desc, CO_ATTENTION_BACKWARD_dq);
  const bool adds_k = co_cpu_accumulates(desc, CO_ATTENTION_BACKWARD_dk);
  const bool adds_v = co_cpu_accumulates(desc, CO_ATTENTION_BACKWARD_dv);
  co_tile *tile = co_tile_by_columns(cpu);
  const part keys = part_of(s, x->k, x->length, s->scale), values = part_of(s, x->v, x->length, 1);
  pack_across(cpu, &keys, d->keys);
  pack_across(cpu, &values, d->values);
  pack[cpu->isa](&keys, s->T, d->mixing);
  spread_bias(s, bias, d->bias);
  memset(d->dk, 0, (size_t)(x->length * s->wide) * sizeof *d->dk);
  memset(d->dv, 0, (size_t)(x->length * s->wide) * sizeof *d->dv);
  if (s->B) memset(d->dbias, 0, (size_t)bias_floats(s) * sizeof *d->dbias);
  for (int64_t begin = 0; begin < x->length; begin += QUERIES) {
    const int64_t left = x->length - begin, count = left < QUERIES ? left : QUERIES;
    const int64_t end = begin + count, seen = s->causal ? end : x->length;
    for (int64_t t = begin; t < end; t += s->most) {
      backward_group(cpu, s, d, x, begin, t, end, seen);
      give[cpu->isa](d->mixed, s->wide, adds_q, end - t < s->most ? end - t : s->most, s->D,
                     x->dq + t * s->E, s->E);
    }
    const part queries = part_of(s, x->q + begin * s->E, count, s->scale);
    const part gradients = part_of(s, x->dy + begin * s->E, count, 1);
    pack[cpu->isa](&queries, QUERIES, d->queries);
    pack[cpu->isa](&gradients, QUERIES, d->gradients);
    add_events(s, tile, d->scores, begin, count, seen, d->gradients, d->dv);
    add_events(s, tile, d->slopes, begin, count, seen, d->queries, d->dk);
  }
  give[cpu->isa](d->dk, s->wide, adds_k, x->length, s->D, x->dk, s->E);
  give[cpu->isa](d->dv, s->wide, adds_v, x->length, s->D, x->dv, s->E);
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
