// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/product.h"

#define LANES 4
#define ROWS 4
#define VECTORS 2
#define NAME(x) x##_portable
#define TARGET
#include "kernels/cpu/product_tile.inc"

#define LANES 8
#define ROWS 6
#define VECTORS 2
#define NAME(x) x##_avx2
#define TARGET CO_CPU_TARGET_AVX2
#include "kernels/cpu/product_tile.inc"

#define LANES 16
#define ROWS 8
#define VECTORS 2
#define NAME(x) x##_avx512
#define TARGET CO_CPU_TARGET_AVX512
#include "kernels/cpu/product_tile.inc"

int co_tile_rows(const co_cpu *cpu) {
  static const int rows[CO_ISA_COUNT] = {4, 6, CO_TILE_ROWS};
  return rows[cpu->isa];
}

int64_t co_tile_columns(const co_cpu *cpu) {
  static const int64_t columns[CO_ISA_COUNT] = {8, 16, CO_TILE_COLUMNS};
  return columns[cpu->isa];
}

co_tile *co_tile_by_rows(const co_cpu *cpu) {
  static co_tile *const tiles[CO_ISA_COUNT] = {by_rows_portable, by_rows_avx2, by_rows_avx512};
  return tiles[cpu->isa];
}

co_tile *co_tile_by_columns(const co_cpu *cpu) {
  static co_tile *const tiles[CO_ISA_COUNT] = {by_columns_portable, by_columns_avx2,
                                               by_columns_avx512};
  return tiles[cpu->isa];
}
