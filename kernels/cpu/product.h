// SPDX-License-Identifier: Apache-2.0
// Tiles of matrix products, for operations that compute between one product and the next: a tile of C
// stays in registers while its terms are added. Each element is summed in the order of the terms and
// of k within them, however rows are shared out.
#ifndef COHORT_KERNELS_CPU_PRODUCT_H
#define COHORT_KERNELS_CPU_PRODUCT_H

#include "kernels/cpu/cpu.h"

// Of an instruction set: most rows of a tile, and its columns.
enum { CO_TILE_ROWS = 8, CO_TILE_COLUMNS = 32 }; // the most there are
int co_tile_rows(const co_cpu *cpu);
int64_t co_tile_columns(const co_cpu *cpu);

// Part of the sum over k: A (rows, k) times a packed B (k, columns of a tile).
typedef struct co_tile_term {
  const float *b;
  int64_t k;
  const float *const *rows; // co_tile_by_rows: each row of A, its elements side by side
  const float *a;           // co_tile_by_columns: A' (k, rows), its rows `step` apart
  int64_t step;
} co_tile_term;

// C (rows, columns of a tile; rows `stride` apart) = start + the terms, of A from row `first` on.
// `start`: a row that is that of all rows; NULL: C as it is.
typedef void co_tile(const co_tile_term *terms, int count, int64_t first, int rows,
                     const float *start, float *c, int64_t stride);
co_tile *co_tile_by_rows(const co_cpu *cpu);
co_tile *co_tile_by_columns(const co_cpu *cpu);

// As even tiles of rows as there can be, of at most `most`.
static inline void multiply(co_tile *tile, int most, const co_tile_term *terms, int count,
                            int64_t rows, const float *start, float *c, int64_t stride) {
  const int64_t tiles = (rows + most - 1) / most, each = tiles ? (rows + tiles - 1) / tiles : 0;
  for (int64_t r = 0; r < rows; r += each)
    tile(terms, count, r, (int)(rows - r < each ? rows - r : each), start, c + r * stride, stride);
}

// ---- rooms of a workspace ----------------------------------------------------------------------

static inline int64_t round_up(int64_t n, int64_t to) {
  return (n + to - 1) / to * to;
}

// The next `count` floats; NULL while rooms are only counted (base NULL).
static inline float *take(float *base, int64_t *used, int64_t count) {
  float *room = base ? base + *used : NULL;
  *used += round_up(count, 16);
  return room;
}

#endif
