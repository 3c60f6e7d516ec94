// SPDX-License-Identifier: Apache-2.0
// The tile of one instruction set; product.c includes this once for each. Macros: LANES of a vector,
// ROWS (2, 4, 6 or 8) and VECTORS of a tile, NAME(x), TARGET.

typedef float NAME(lanes) __attribute__((vector_size(LANES * sizeof(float))));
typedef NAME(lanes) NAME(lanes_at) __attribute__((aligned(4), may_alias));

// By constant `rows` and `by_rows`, so that the accumulators are registers.
CO_CPU_INLINE void NAME(body)(const co_tile_term *terms, int count, int64_t first, const int rows,
                              const bool by_rows, const float *start, float *c, int64_t stride) {
  NAME(lanes) sum[ROWS][VECTORS];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; v++)
      sum[r][v] = *(const NAME(lanes_at) *)((start ? start : c + r * stride) + v * LANES);
  for (int i = 0; i < count; i++) {
    const co_tile_term *term = &terms[i];
    const float *b = term->b, *a = by_rows ? NULL : term->a + first, *row[ROWS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
      row[r] = by_rows ? term->rows[first + r] : NULL;
    for (int64_t k = 0; k < term->k; k++) {
      NAME(lanes) right[VECTORS];
#pragma GCC unroll 8
      for (int v = 0; v < VECTORS; v++)
        right[v] = *(const NAME(lanes_at) *)(b + v * LANES);
#pragma GCC unroll 8
      for (int r = 0; r < rows; r++) {
        const float left = by_rows ? row[r][k] : a[r];
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++)
          sum[r][v] += left * right[v];
      }
      b += VECTORS * LANES;
      if (!by_rows) a += term->step;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; v++)
      *(NAME(lanes_at) *)(c + r * stride + v * LANES) = sum[r][v];
}

#define TILE(name, by_rows)                                                                        \
  TARGET static void NAME(name)(const co_tile_term *terms, int count, int64_t first, int rows,     \
                                const float *start, float *c, int64_t stride) {                    \
    switch (rows) {                                                                                \
      CASE(1, by_rows)                                                                             \
      CASE(2, by_rows)                                                                             \
      CASE(3, by_rows)                                                                             \
      CASE(4, by_rows)                                                                             \
      CASE(5, by_rows)                                                                             \
      CASE(6, by_rows)                                                                             \
      CASE(7, by_rows)                                                                             \
      CASE(8, by_rows)                                                                             \
    default:                                                                                       \
      break;                                                                                       \
    }                                                                                              \
  }
// Those beyond ROWS are never called.
#define CASE(n, by_rows)                                                                           \
  case n:                                                                                          \
    NAME(body)(terms, count, first, (n) < ROWS ? (n) : ROWS, by_rows, start, c, stride);           \
    break;
TILE(by_rows, true)
TILE(by_columns, false)
#undef TILE
#undef CASE
#undef LANES
#undef ROWS
#undef VECTORS
#undef NAME
#undef TARGET
