// SPDX-License-Identifier: Apache-2.0
// What both directions of RECURRENT share: how sums of an event lie, the order of the rows, products.
#ifndef COHORT_KERNELS_CPU_RECURRENT_H
#define COHORT_KERNELS_CPU_RECURRENT_H

#include "kernels/cpu/product.h"

// In omp_recurrent_backward.c; the table with both directions is in omp_recurrent.c.
co_cpu_run co_cpu_run_recurrent_backward;
size_t co_cpu_recurrent_backward_workspace(co_cpu *cpu, const co_op_desc *desc);

enum { BLOCK_ROWS = 32, MOST_GROUPS = 4, MOST_RANGES = 2 };

// Sums of an event lie in groups of U columns, padded so that a chunk of columns is of one group:
// LSTM's gates; GRU's z, r and the two parts of n, which are not added up.
typedef struct sizes {
  int64_t N, T, I, U, gates, saved; // gates G, values saved S
  int64_t padded, groups;           // columns of a group, groups
  int64_t columns, tile, chunk; // of all groups and of tiles, a multiple of these; chunks of them
  int64_t stride;               // from one event's sums to the next
  co_rnn_cell cell;
  bool reverse;
} sizes;

typedef enum matrix { KERNEL, RECURRENT } matrix;

static inline sizes sizes_of(const co_cpu *cpu,
                             const co_op_desc *desc) { // places as in the backward
  const int64_t *x = desc->in[CO_RECURRENT_x].shape.dim;
  const co_rnn_cell cell = desc->attr.cell;
  sizes s = {.N = x[0],
             .T = x[1],
             .I = x[2],
             .U = desc->in[CO_RECURRENT_recurrent].shape.dim[0],
             .gates = co_rnn_gates(cell),
             .saved = co_rnn_saved(cell),
             .groups = cell == CO_CELL_SIMPLE_RNN ? 1 : MOST_GROUPS,
             .tile = co_tile_columns(cpu),
             .cell = cell,
             .reverse = desc->attr.reverse != 0};
  s.chunk = s.tile < 16 ? s.tile : 16;
  s.padded = round_up(s.U, 16);
  s.columns = round_up(s.groups * s.padded, s.tile);
  s.stride = s.columns + 16; // not a power of two: rows would share few lines of the caches
  return s;
}

// The gate whose columns of a matrix a group takes; -1: none.
static inline int64_t gate_of(const sizes *s, matrix m, int64_t group) {
  if (group >= s->groups) return -1;
  if (s->cell != CO_CELL_GRU || group < 2) return group;
  return (m == KERNEL) == (group == 2) ? 2 : -1;
}

// The matrix's columns for a chunk of ours: the first, how many (0: none).
static inline int64_t columns_of(const sizes *s, matrix m, int64_t column, int64_t *count) {
  const int64_t gate = gate_of(s, m, column / s->padded), u = column % s->padded;
  *count = gate < 0 || u >= s->U ? 0 : s->U - u < s->chunk ? s->U - u : s->chunk;
  return gate * s->U + u;
}

static inline bool takes_tile(const sizes *s, matrix m, int64_t column) {
  for (int64_t j = 0; j < s->tile; j += s->chunk)
    if (gate_of(s, m, (column + j) / s->padded) >= 0) return true;
  return false;
}

// Groups side by side that a matrix has columns for.
typedef struct range {
  int64_t begin, count; // columns
} range;

static inline int ranges_of(const sizes *s, matrix m, range ranges[MOST_RANGES]) {
  int count = 0;
  for (int64_t g = 0; g < s->groups; g++) {
    if (gate_of(s, m, g) < 0) continue;
    if (count && ranges[count - 1].begin + ranges[count - 1].count == g * s->padded)
      ranges[count - 1].count += s->padded;
    else
      ranges[count++] = (range){g * s->padded, s->padded};
  }
  return count;
}

// ---- rooms -------------------------------------------------------------------------------------

// Rows from the longest to the shortest, and the length of each.
typedef struct order {
  int32_t *row, *length;
} order;

static inline order take_order(const sizes *s, float *base, int64_t *used) {
  int32_t *row = (int32_t *)take(base, used, s->N);
  return (order){row, (int32_t *)take(base, used, s->N + s->T + 2)};
}

static inline int64_t length_of(const sizes *s, const int32_t *lengths, int64_t n) {
  return lengths ? co_clamp_length(lengths[n], s->T) : s->T;
}

static inline void sort_rows(const sizes *s, const int32_t *lengths, const order *o) {
  int32_t *place = o->length + s->N; // of the next row of each length
  memset(place, 0, (size_t)(s->T + 2) * sizeof *place);
  for (int64_t n = 0; n < s->N; n++)
    place[length_of(s, lengths, n)]++;
  for (int64_t t = s->T, before = 0; t >= 0; t--) {
    const int32_t rows = place[t];
    place[t] = (int32_t)before;
    before += rows;
  }
  for (int64_t n = 0; n < s->N; n++) {
    const int64_t length = length_of(s, lengths, n);
    const int32_t at = place[length]++;
    o->row[at] = (int32_t)n;
    o->length[at] = (int32_t)length;
  }
}

// ---- products and rows -------------------------------------------------------------------------

static inline float *at(void *base, int64_t row, int64_t width) {
  return base ? (float *)base + row * width : NULL;
}

static inline void clear(float *values, int64_t count) {
  if (values) memset(values, 0, (size_t)count * sizeof *values);
}

static inline void copy(float *to, const float *from, int64_t count) {
  if (to) memcpy(to, from, (size_t)count * sizeof *to);
}

#endif
