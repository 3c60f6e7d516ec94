// SPDX-License-Identifier: Apache-2.0
// RECURRENT: rows sorted by length go through their events in blocks, each block by one thread without
// a barrier: a product of [x, h] with packed weights, then the cell, for the rows that still have
// events. Sums run in an order that shapes and lengths alone decide, never the number of threads.
#include "kernels/cpu/exp.h"
#include "kernels/cpu/recurrent.h"

// Rows of a block, fewer where all threads should have some.
static int64_t block_rows(const co_cpu *cpu, const sizes *s) {
  const int64_t rows = round_up((s->N + cpu->threads - 1) / cpu->threads, co_tile_rows(cpu));
  return rows < BLOCK_ROWS ? rows : BLOCK_ROWS;
}

// Tile by tile, (rows, columns of ours): one part of the packed weights.
static void pack(const sizes *s, matrix m, int64_t rows, const float *weights, float *packed,
                 int64_t column) {
  float *to = packed + column * rows;
  memset(to, 0, (size_t)(rows * s->tile) * sizeof *to);
  for (int64_t j = 0; j < s->tile; j += s->chunk) {
    int64_t count;
    const float *from = weights + columns_of(s, m, column + j, &count);
    for (int64_t i = 0; count && i < rows; i++)
      memcpy(to + i * s->tile + j, from + i * s->gates * s->U, (size_t)count * sizeof *to);
  }
}

// One event of one row: sums z; h and c change.
typedef struct event {
  const float *z;
  float *h, *c, *saved;
  int64_t U, padded;
} event;

// clang-format off
CO_CPU_KERNEL(lstm_event, (const event *e), (e)) {
  const int64_t U = e->U, group = e->padded;
  const float *zi = e->z, *zf = zi + group, *zg = zf + group, *zo = zg + group;
  float *i = e->saved, *f = i + U, *g = f + U, *o = g + U, *after = o + U, *h = e->h, *c = e->c;
#pragma omp simd
  for (int64_t u = 0; u < U; u++) {
    const float in = sigmoid_of(zi[u]), keep = sigmoid_of(zf[u]);
    const float new = tanh_of(zg[u]), let = sigmoid_of(zo[u]), cell = keep * c[u] + in * new;
    i[u] = in, f[u] = keep, g[u] = new, o[u] = let, after[u] = cell;
    c[u] = cell;
    h[u] = let * tanh_of(cell);
  }
}

CO_CPU_KERNEL(gru_event, (const event *e), (e)) {
  const int64_t U = e->U, group = e->padded;
  const float *zz = e->z, *zr = zz + group, *zn = zr + group, *za = zn + group;
  float *z = e->saved, *r = z + U, *n = r + U, *a = n + U, *after = a + U, *h = e->h;
#pragma omp simd
  for (int64_t u = 0; u < U; u++) {
    const float keep = sigmoid_of(zz[u]), take = sigmoid_of(-zz[u]); // 1 - keep would cancel
    const float reset = sigmoid_of(zr[u]), part = za[u], new = tanh_of(zn[u] + reset * part);
    const float state = keep * h[u] + take * new;
    z[u] = keep, r[u] = reset, n[u] = new, a[u] = part, after[u] = state;
    h[u] = state;
  }
}

CO_CPU_KERNEL(simple_event, (const event *e), (e)) {
  const float *z = e->z;
  float *after = e->saved, *h = e->h;
#pragma omp simd
  for (int64_t u = 0; u < e->U; u++)
    h[u] = after[u] = tanh_of(z[u]);
}
// clang-format on

typedef void event_kernel(const event *e);
static event_kernel *event_kernel_of(const co_cpu *cpu, co_rnn_cell cell) {
  return cell == CO_CELL_LSTM  ? lstm_event[cpu->isa]
         : cell == CO_CELL_GRU ? gru_event[cpu->isa]
                               : simple_event[cpu->isa];
}

typedef struct forward_rooms {
  order order;
  float *kernel, *recurrent, *start; // packed weights, and the biases as a row of sums
  float *block;                      // of each thread
  int64_t block_floats;
} forward_rooms;

static int64_t forward_rooms_of(const co_cpu *cpu, const sizes *s, float *base, forward_rooms *r) {
  int64_t used = 0;
  r->order = take_order(s, base, &used);
  r->kernel = take(base, &used, s->I * s->columns);
  r->recurrent = take(base, &used, s->U * s->columns);
  r->start = take(base, &used, s->columns);
  r->block_floats = BLOCK_ROWS * (s->stride + 2 * s->padded) + round_up(s->saved * s->U, 16);
  r->block = take(base, &used, cpu->threads * r->block_floats);
  return used;
}

static size_t forward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  const sizes s = sizes_of(cpu, desc);
  forward_rooms r;
  return (size_t)forward_rooms_of(cpu, &s, NULL, &r) * sizeof(float);
}

static void start_sums(const sizes *s, const float *bias, float *start) {
  for (int64_t column = 0; column < s->columns; column += s->chunk) {
    int64_t count;
    memset(start + column, 0, (size_t)s->chunk * sizeof *start);
    for (matrix m = KERNEL; m <= (s->cell == CO_CELL_GRU ? RECURRENT : KERNEL); m++) {
      const float *from = bias + (m == RECURRENT ? s->gates * s->U : 0);
      from += columns_of(s, m, column, &count);
      for (int64_t j = 0; j < count; j++)
        start[column + j] += from[j];
    }
  }
}

// The sums of the k-th event of `live` rows; at the first one h is 0.
static void block_sums(co_cpu *cpu, const sizes *s, const forward_rooms *r,
                       const float *const *x_rows, const float *const *h_rows, bool first,
                       int64_t live, float *z) {
  co_tile *tile = co_tile_by_rows(cpu);
  for (int64_t column = 0; column < s->columns; column += s->tile) {
    co_tile_term terms[2];
    int count = 0;
    if (takes_tile(s, KERNEL, column))
      terms[count++] = (co_tile_term){.b = r->kernel + column * s->I, .k = s->I, .rows = x_rows};
    if (!first && takes_tile(s, RECURRENT, column))
      terms[count++] = (co_tile_term){.b = r->recurrent + column * s->U, .k = s->U, .rows = h_rows};
    multiply(tile, co_tile_rows(cpu), terms, count, live, r->start + column, z + column, s->stride);
  }
}

static void forward_block(co_cpu *cpu, const sizes *s, const forward_rooms *r, void *const *in,
                          void *const *out, int64_t begin, int64_t rows) {
  const int64_t U = s->U;
  const int32_t *row = r->order.row + begin, *length = r->order.length + begin;
  const float *x_rows[BLOCK_ROWS], *h_rows[BLOCK_ROWS];
  float *z = r->block + co_cpu_part() * r->block_floats, *h = z + BLOCK_ROWS * s->stride;
  float *c = h + BLOCK_ROWS * s->padded, *spare = c + BLOCK_ROWS * s->padded;
  event_kernel *next = event_kernel_of(cpu, s->cell);
  clear(h, 2 * BLOCK_ROWS * s->padded);
  for (int64_t i = 0; i < rows; i++)
    h_rows[i] = h + i * s->padded;
  int64_t live = rows;
  for (int64_t k = 0; k < length[0]; k++) {
    while (length[live - 1] <= k)
      live--;
    for (int64_t i = 0; i < live; i++)
      x_rows[i] =
          at(in[CO_RECURRENT_x], row[i] * s->T + co_event_place(k, length[i], s->reverse), s->I);
    block_sums(cpu, s, r, x_rows, h_rows, k == 0, live, z);
    for (int64_t i = 0; i < live; i++) {
      const int64_t place = row[i] * s->T + co_event_place(k, length[i], s->reverse);
      float *saved = at(out[CO_RECURRENT_saved], place, s->saved * U);
      const event e = {
          z + i * s->stride, h + i * s->padded, c + i * s->padded, saved ? saved : spare, U,
          s->padded};
      next(&e);
      copy(at(out[CO_RECURRENT_y], place, U), e.h, U);
    }
  }
  for (int64_t i = 0; i < rows; i++) {
    const int64_t end = row[i] * s->T + length[i], padding = s->T - length[i];
    clear(at(out[CO_RECURRENT_y], end, U), padding * U);
    clear(at(out[CO_RECURRENT_saved], end, s->saved * U), padding * s->saved * U);
    copy(at(out[CO_RECURRENT_last], row[i], U), h + i * s->padded, U);
  }
}

static co_status run_recurrent(co_cpu *cpu, co_prepared *prepared, void *const *in,
                               void *const *out, void *workspace) {
  const sizes s = sizes_of(cpu, &prepared->desc);
  forward_rooms r;
  (void)forward_rooms_of(cpu, &s, workspace, &r);
  const int64_t rows = block_rows(cpu, &s);
  sort_rows(&s, in[CO_RECURRENT_lengths], &r.order);
  start_sums(&s, in[CO_RECURRENT_bias], r.start);
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int64_t column = 0; column < s.columns; column += s.tile) {
      pack(&s, KERNEL, s.I, in[CO_RECURRENT_kernel], r.kernel, column);
      pack(&s, RECURRENT, s.U, in[CO_RECURRENT_recurrent], r.recurrent, column);
    }
#pragma omp for schedule(dynamic)
    for (int64_t n = 0; n < s.N; n += rows)
      forward_block(cpu, &s, &r, in, out, n, s.N - n < rows ? s.N - n : rows);
  }
  return CO_OK;
}

static co_status plan(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc, bool strict,
                      co_cpu_answer *answer, co_prepared **out) {
  if (desc->attr.gates || desc->attr.states)
    return co_cpu_refuse(answer, "has gates by sigmoid and states by tanh alone");
  return co_cpu_plan_simple(cpu, impl, desc, strict, answer, out);
}

const co_cpu_impl co_cpu_recurrent[] = {
    {.op = CO_OP_RECURRENT,
     .name = "omp",
     .plan = plan,
     .run = run_recurrent,
     .workspace = forward_workspace,
     .f32_in = 0x1D,
     .f32_out = 0x7},
    {.op = CO_OP_RECURRENT_BACKWARD,
     .name = "omp",
     .plan = plan,
     .run = co_cpu_run_recurrent_backward,
     .workspace = co_cpu_recurrent_backward_workspace,
     .f32_in = 0x7D,
     .f32_out = 0xF,
     .accumulate = 0xF},
    {.name = NULL},
};
