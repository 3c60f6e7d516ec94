// SPDX-License-Identifier: Apache-2.0
// Gradients of weights of narrow dense layers on many rows, as those of transformers are: x' dy is wide
// along the rows alone, which oneDNN's products take at two thirds of their pace. Shares of the rows, cut by
// their number alone, have sums of their own, which are added up in order, whatever the number of threads.
#include "kernels/cpu/product.h"

enum {
  SHARES = 16,
  ROWS = 64,            // of dy packed at a time: stay in the first-level cache with those of x
  FEWEST = 1024,        // rows
  MOST = 1024 * SHARES, // rows: sums in float lose digits
  LARGEST = 64 * 256    // elements of the weights
};

typedef struct sizes {
  int64_t N, I, O, tile, columns; // columns: O in whole tiles
} sizes;

static sizes sizes_of(const co_cpu *cpu, const co_op_desc *desc) {
  const int64_t *x = desc->in[CO_DENSE_BACKWARD_WEIGHTS_x].shape.dim;
  const int64_t O = desc->in[CO_DENSE_BACKWARD_WEIGHTS_dy].shape.dim[1];
  const int64_t tile = co_tile_columns(cpu);
  return (sizes){.N = x[0], .I = x[1], .O = O, .tile = tile, .columns = round_up(O, tile)};
}

typedef struct rooms {
  float *sums;   // of each share (I + 1, columns): of the bias last
  float *packed; // of each thread (ROWS, tile)
  int64_t share_floats;
} rooms;

static int64_t rooms_of(const co_cpu *cpu, const sizes *s, float *base, rooms *r) {
  int64_t used = 0;
  r->share_floats = (s->I + 1) * s->columns;
  r->sums = take(base, &used, SHARES * r->share_floats);
  r->packed = take(base, &used, cpu->threads * ROWS * s->columns);
  return used;
}

static size_t workspace_of(co_cpu *cpu, const co_op_desc *desc) {
  const sizes s = sizes_of(cpu, desc);
  rooms r;
  return (size_t)rooms_of(cpu, &s, NULL, &r) * sizeof(float);
}

// clang-format off
// Rows of dy tile by tile of columns, 0 behind the last; and added to `total`. What is read next of x is
// fetched meanwhile.
CO_CPU_KERNEL(pack, (const sizes *s, const float *x, const float *dy, int64_t rows, float *to, float *total),
              (s, x, dy, rows, to, total)) {
  const int64_t O = s->O, tile = s->tile;
  for (int64_t n = 0; n < rows; n++) {
    for (int64_t i = 0; i < s->I; i += 16)
      __builtin_prefetch(x + n * s->I + i);
    for (int64_t o = 0; o < O; o += tile) {
      const int64_t count = O - o < tile ? O - o : tile;
      const float *from = dy + n * O + o;
      float *at = to + (o * rows + n * tile), *sum = total + o;
#pragma omp simd
      for (int64_t j = 0; j < count; j++) {
        at[j] = from[j];
        sum[j] += from[j];
      }
      for (int64_t j = count; j < tile; j++)
        at[j] = 0;
    }
  }
}

CO_CPU_KERNEL(add_shares, (const float *sums, int64_t apart, float *to, bool add, int64_t n),
              (sums, apart, to, add, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float sum = add ? to[i] : 0;
    for (int k = 0; k < SHARES; k++)
      sum += sums[k * apart + i];
    to[i] = sum;
  }
}
// clang-format on

static void sum_share(co_cpu *cpu, const sizes *s, const rooms *r, const float *x, const float *dy,
                      int64_t share) {
  const int64_t begin = s->N * share / SHARES, rows = s->N * (share + 1) / SHARES - begin;
  const int64_t blocks = (rows + ROWS - 1) / ROWS, each = (rows + blocks - 1) / blocks;
  float *sums = r->sums + share * r->share_floats, *bias = sums + s->I * s->columns;
  float *packed = r->packed + co_cpu_part() * ROWS * s->columns;
  memset(sums, 0, (size_t)r->share_floats * sizeof *sums);
  for (int64_t n = begin; n < begin + rows; n += each) {
    const int64_t left = begin + rows - n, count = left < each ? left : each;
    pack[cpu->isa](s, x + n * s->I, dy + n * s->O, count, packed, bias);
    for (int64_t o = 0; o < s->O; o += s->tile) {
      const co_tile_term term = {
          .b = packed + o * count, .k = count, .a = x + n * s->I, .step = s->I};
      multiply(co_tile_by_columns(cpu), co_tile_rows(cpu), &term, 1, s->I, NULL, sums + o,
               s->columns);
    }
  }
}

static co_status run_weights(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const sizes s = sizes_of(cpu, desc);
  const bool add = co_cpu_accumulates(desc, CO_DENSE_BACKWARD_WEIGHTS_dw);
  float *dw = out[CO_DENSE_BACKWARD_WEIGHTS_dw], *db = out[CO_DENSE_BACKWARD_WEIGHTS_db];
  rooms r;
  (void)rooms_of(cpu, &s, workspace, &r);
#pragma omp parallel
  {
#pragma omp for schedule(dynamic)
    for (int64_t share = 0; share < SHARES; share++)
      sum_share(cpu, &s, &r, in[CO_DENSE_BACKWARD_WEIGHTS_x], in[CO_DENSE_BACKWARD_WEIGHTS_dy],
                share);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s.I; i++)
      add_shares[cpu->isa](r.sums + i * s.columns, r.share_floats, dw + i * s.O, add, s.O);
  }
  if (co_cpu_has_out(desc, CO_DENSE_BACKWARD_WEIGHTS_db))
    add_shares[cpu->isa](r.sums + s.I * s.columns, r.share_floats, db,
                         co_cpu_accumulates(desc, CO_DENSE_BACKWARD_WEIGHTS_db), s.O);
  return CO_OK;
}

static co_status plan_weights(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                              bool strict, co_cpu_answer *answer, co_prepared **out) {
  const co_shape *x = &desc->in[CO_DENSE_BACKWARD_WEIGHTS_x].shape;
  if (cpu->isa != CO_ISA_AVX512) return co_cpu_refuse(answer, "measured on AVX-512 alone");
  if (x->rank != 2) return co_cpu_refuse(answer, "plain rows only");
  const sizes s = sizes_of(cpu, desc);
  if (s.N < FEWEST || s.N > MOST || s.I * s.O > LARGEST || s.I < s.tile || s.O < s.tile)
    return co_cpu_refuse(answer, "for narrow layers and many rows");
  return co_cpu_plan_simple(cpu, impl, desc, strict, answer, out);
}

const co_cpu_impl co_cpu_weights[] = {
    {.op = CO_OP_DENSE_BACKWARD_WEIGHTS,
     .name = "omp",
     .plan = plan_weights,
     .run = run_weights,
     .workspace = workspace_of,
     .f32_in = 3,
     .f32_out = 3,
     .accumulate = 3},
    {.name = NULL},
};
