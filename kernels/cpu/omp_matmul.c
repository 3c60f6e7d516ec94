// SPDX-License-Identifier: Apache-2.0
// MATMUL and its gradients: rows' matrices by packed tiles; of a single row or column, dot products.
// A thread has a panel of columns of one row, so that each element is summed by one thread.
#include "kernels/cpu/product.h"
#include "kernels/matmul.h"

// clang-format off
CO_CPU_KERNEL(dots, (const float *x, const float *rows, float *y, bool add, int64_t count, int64_t K),
              (x, rows, y, add, count, K)) {
  for (int64_t i = 0; i < count; i++, rows += K) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < K; k++)
      sum += x[k] * rows[k];
    y[i] = add ? y[i] + sum : sum;
  }
}
// clang-format on

static bool is_dots(const co_row_product *p) {
  return (p->rows == 1 || p->columns == 1) && p->a_inner == 1 && p->b_inner == 1;
}

// A panel: (inner, columns of a tile), zeros beyond the last column.
static void pack(const co_row_product *p, const float *b, int64_t count, int64_t width,
                 float *panel) {
  for (int64_t k = 0; k < p->inner; k++, b += p->b_inner, panel += width) {
    for (int64_t j = 0; j < count; j++)
      panel[j] = b[j * p->b_column];
    memset(panel + count, 0, (size_t)(width - count) * sizeof *panel);
  }
}

// The `width` columns of y from y[0] on, of which `count` are there.
static void multiply_panel(const co_cpu *cpu, const co_row_product *p, const float *a,
                           const float *panel, int64_t count, int64_t width, bool add, float *y) {
  static const float zeros[CO_TILE_COLUMNS];
  const bool by_rows = p->a_inner == 1, whole = count == width;
  co_tile *tile = by_rows ? co_tile_by_rows(cpu) : co_tile_by_columns(cpu);
  const int most = co_tile_rows(cpu);
  float edge[CO_TILE_ROWS * CO_TILE_COLUMNS];
  for (int64_t i = 0; i < p->rows; i += most, y += most * p->columns) {
    const int rows = (int)(p->rows - i < most ? p->rows - i : most);
    const float *left[CO_TILE_ROWS];
    for (int r = 0; by_rows && r < rows; r++)
      left[r] = a + (i + r) * p->a_row;
    const co_tile_term term = {
        .b = panel, .k = p->inner, .rows = left, .a = a + i * p->a_row, .step = p->a_inner};
    for (int r = 0; !whole && add && r < rows; r++)
      memcpy(edge + r * width, y + r * p->columns, (size_t)count * sizeof *y);
    tile(&term, 1, 0, rows, add ? NULL : zeros, whole ? y : edge, whole ? p->columns : width);
    for (int r = 0; !whole && r < rows; r++)
      memcpy(y + r * p->columns, edge + r * width, (size_t)count * sizeof *y);
  }
}

static size_t workspace_of(co_cpu *cpu, const co_op_desc *desc) {
  const co_row_product p = co_row_product_of(desc);
  return is_dots(&p) ? 0 : (size_t)(cpu->threads * p.inner * co_tile_columns(cpu)) * sizeof(float);
}

static co_status run(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                     void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const co_row_product p = co_row_product_of(desc);
  const bool add = co_cpu_accumulates(desc, 0), dot = is_dots(&p);
  const int64_t width = co_tile_columns(cpu);
  const int64_t panels = dot ? 1 : (p.columns + width - 1) / width;
#pragma omp parallel for schedule(static) if (p.count * p.size * p.inner > CO_CPU_SERIAL)
  for (int64_t i = 0; i < p.count * panels; i++) {
    const int64_t n = i / panels, first = i % panels * width;
    const int64_t count = p.columns - first < width ? p.columns - first : width;
    const float *a = (const float *)in[p.a] + n * p.a_size;
    const float *b = (const float *)in[p.b] + n * p.b_size;
    float *y = (float *)out[0] + n * p.size;
    if (dot) {
      const bool one = p.rows == 1;
      dots[cpu->isa](one ? a : b, one ? b : a, y, add, one ? p.columns : p.rows, p.inner);
      continue;
    }
    float *panel = (float *)workspace + co_cpu_part() * p.inner * width;
    pack(&p, b + first * p.b_column, count, width, panel);
    multiply_panel(cpu, &p, a, panel, count, width, add, y + first);
  }
  return CO_OK;
}

#define MATMUL(OP)                                                                                 \
  {                                                                                                \
    .op = CO_OP_##OP, .name = "omp", .plan = co_cpu_plan_simple, .run = run,                       \
    .workspace = workspace_of, .f32_in = 3, .f32_out = 1, .accumulate = 1                          \
  }

const co_cpu_impl co_cpu_matmul[] = {
    MATMUL(MATMUL), MATMUL(MATMUL_BACKWARD_A), MATMUL(MATMUL_BACKWARD_B), {.name = NULL}};
