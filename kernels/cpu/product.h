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

#endif
