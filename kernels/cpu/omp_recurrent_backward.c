// SPDX-License-Identifier: Apache-2.0
// RECURRENT_BACKWARD: blocks of rows sorted by length go back through their events, as forwards. The
// gradients of the weights are products over some events at a time, which the caches still hold; each
// share of the rows has sums of its own, which are added up in order, whatever the number of threads.
#include "kernels/cpu/exp.h"
#include "kernels/cpu/recurrent.h"

enum { DESK_EVENTS = 128, MOST_SHARES = 16 };

// One part of the transposed weights: tile by tile, (columns of ours, rows).
static void pack_transposed(const sizes *s, matrix m, int64_t rows, const float *weights,
                            float *packed, int64_t row) {
  float *to = packed + row * s->columns;
  memset(to, 0, (size_t)(s->columns * s->tile) * sizeof *to);
  for (int64_t i = 0; i < s->tile && row + i < rows; i++)
    for (int64_t column = 0; column < s->columns; column += s->chunk) {
      int64_t count;
      const int64_t first = columns_of(s, m, column, &count);
      const float *from = weights + (row + i) * s->gates * s->U + first;
      for (int64_t j = 0; j < count; j++)
        to[(column + j) * s->tile + i] = from[j];
    }
}

// What the next event of a row reads: rows lie too far apart for the processor to guess it.
static void fetch(const float *values, int64_t count) {
  for (int64_t i = 0; i < count; i += 16)
    __builtin_prefetch(values + i);
}

// One event of one row: dh and dc are those of its states on the way in; on the way out dc is that of
// the cell before, dh what reaches the state before past the products.
typedef struct past_event {
  const float *saved, *before; // of the event and of the one gone through before it (zeros: none)
  float *dh, *dc, *dz, *h;     // h: gets the state before
  float *bent;                 // LSTM's: tanh of the cell, then of the one before
  int64_t U, padded;
} past_event;

// clang-format off
CO_CPU_KERNEL(lstm_back, (const past_event *e), (e)) {
  const int64_t U = e->U, group = e->padded;
  const float *vi = e->saved, *vf = vi + U, *vg = vf + U, *vo = vg + U;
  const float *o_before = e->before + 3 * U, *c_before = o_before + U;
  float *zi = e->dz, *zf = zi + group, *zg = zf + group, *zo = zg + group;
  float *dh = e->dh, *dc = e->dc, *h = e->h, *bents = e->bent;
#pragma omp simd
  for (int64_t u = 0; u < U; u++) {
    const float i = vi[u], f = vf[u], g = vg[u], o = vo[u], bent = bents[u], dstate = dh[u];
    const float d = dc[u] + dstate * o * (1 - bent) * (1 + bent), past = tanh_of(c_before[u]);
    zi[u] = d * g * i * (1 - i);
    zf[u] = d * c_before[u] * f * (1 - f);
    zg[u] = d * i * (1 - g) * (1 + g);
    zo[u] = dstate * bent * o * (1 - o);
    bents[u] = past;
    h[u] = o_before[u] * past;
    dc[u] = d * f;
    dh[u] = 0;
  }
}

CO_CPU_KERNEL(gru_back, (const past_event *e), (e)) {
  const int64_t U = e->U, group = e->padded;
  const float *vz = e->saved, *vr = vz + U, *vn = vr + U, *va = vn + U, *past = e->before + 4 * U;
  float *zz = e->dz, *zr = zz + group, *zn = zr + group, *za = zn + group, *dh = e->dh, *h = e->h;
#pragma omp simd
  for (int64_t u = 0; u < U; u++) {
    const float z = vz[u], r = vr[u], n = vn[u], d = dh[u], before = past[u];
    const float dn = d * (1 - z) * (1 - n) * (1 + n);
    zz[u] = d * (before - n) * z * (1 - z);
    zr[u] = dn * va[u] * r * (1 - r);
    zn[u] = dn;
    za[u] = dn * r;
    dh[u] = d * z;
    h[u] = before;
  }
}

CO_CPU_KERNEL(simple_back, (const past_event *e), (e)) {
  const float *after = e->saved, *past = e->before;
  float *dz = e->dz, *dh = e->dh, *h = e->h;
#pragma omp simd
  for (int64_t u = 0; u < e->U; u++) {
    dz[u] = dh[u] * (1 - after[u]) * (1 + after[u]);
    dh[u] = 0;
    h[u] = past[u];
  }
}

CO_CPU_KERNEL(bend, (const float *x, float *y, int64_t n), (x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = tanh_of(x[i]);
}

CO_CPU_KERNEL(add, (const float *x, float *y, int64_t n), (x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] += x[i];
}

// A tile of columns of events' sums, `stride` apart, side by side, and added to `total`.
CO_CPU_KERNEL(gather_sums, (const float *dz, int64_t stride, int64_t count, int64_t tile, float *to,
                            float *total), (dz, stride, count, tile, to, total)) {
  for (int64_t e = 0; e < count; e++) {
#pragma omp simd
    for (int64_t j = 0; j < tile; j++) {
      to[e * tile + j] = dz[e * stride + j];
      total[j] += dz[e * stride + j];
    }
  }
}
// clang-format on

typedef void back_kernel(const past_event *e);
static back_kernel *back_kernel_of(const co_cpu *cpu, co_rnn_cell cell) {
  return cell == CO_CELL_LSTM  ? lstm_back[cpu->isa]
         : cell == CO_CELL_GRU ? gru_back[cpu->isa]
                               : simple_back[cpu->isa];
}

// Rows are shared out by their number alone, so that the gradients of the weights are the same sums of
// sums whatever the number of threads.
static int64_t share_rows(const sizes *s) {
  const int64_t rows = round_up((s->N + MOST_SHARES - 1) / MOST_SHARES, 8);
  return rows < 16 ? 16 : rows;
}

static int64_t shares(const sizes *s) {
  return (s->N + share_rows(s) - 1) / share_rows(s);
}

// Of a thread. Events wait here until there are enough for a product: their sums dz (`stride` apart),
// what they are to be multiplied with, [x, h before] (`width` apart), one tile of columns of dz.
typedef struct desk {
  float *dh, *dc, *bent, *dx, *dz, *a, *tile;
  int64_t width, events;
  bool first; // product of this share
} desk;

typedef struct backward_rooms {
  order order;
  float *kernel, *recurrent; // packed, transposed
  float *sums; // of each share (I + U + 1, columns): gradients of the weights, of the biases last
  float *none; // zeros: what lies before the first event, what sums start with
  float *desks;
  int64_t share_floats, desk_floats;
} backward_rooms;

static desk desk_of(const sizes *s, float *base, int64_t *used) {
  const int64_t below = round_up(s->I, s->tile), states = round_up(s->U, s->tile);
  desk d = {.width = round_up(s->I + s->U, 16) + 16};
  d.dh = take(base, used, BLOCK_ROWS * states);
  d.dc = take(base, used, BLOCK_ROWS * s->padded);
  d.bent = take(base, used, BLOCK_ROWS * s->padded);
  d.dx = take(base, used, BLOCK_ROWS * below);
  d.dz = take(base, used, DESK_EVENTS * s->stride);
  d.a = take(base, used, DESK_EVENTS * d.width);
  d.tile = take(base, used, DESK_EVENTS * s->tile);
  return d;
}

static int64_t none_floats(const sizes *s) {
  const int64_t of_event = s->saved * s->U;
  return of_event < s->tile ? s->tile : of_event;
}

static int64_t backward_rooms_of(const co_cpu *cpu, const sizes *s, float *base,
                                 backward_rooms *r) {
  const int64_t below = round_up(s->I, s->tile), states = round_up(s->U, s->tile);
  int64_t used = 0;
  r->order = take_order(s, base, &used);
  r->kernel = take(base, &used, below * s->columns);
  r->recurrent = take(base, &used, states * s->columns);
  r->share_floats = (s->I + s->U + 1) * s->columns;
  r->sums = take(base, &used, shares(s) * r->share_floats);
  r->none = take(base, &used, none_floats(s));
  r->desk_floats = 0;
  (void)desk_of(s, NULL, &r->desk_floats);
  r->desks = take(base, &used, cpu->threads * r->desk_floats);
  return used;
}

size_t co_cpu_recurrent_backward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  const sizes s = sizes_of(cpu, desc);
  backward_rooms r;
  return (size_t)backward_rooms_of(cpu, &s, NULL, &r) * sizeof(float);
}

// out (rows, to columns of `width`) += sums of events (`stride` apart) times transposed weights.
static void back_product(co_cpu *cpu, const sizes *s, matrix m, const float *packed,
                         const float *dz, int64_t rows, float *out, int64_t width) {
  const float *part[MOST_RANGES][BLOCK_ROWS];
  range ranges[MOST_RANGES];
  const int count = ranges_of(s, m, ranges);
  for (int i = 0; i < count; i++)
    for (int64_t r = 0; r < rows; r++)
      part[i][r] = dz + r * s->stride + ranges[i].begin;
  for (int64_t column = 0; column < width; column += s->tile) {
    co_tile_term terms[MOST_RANGES];
    for (int i = 0; i < count; i++)
      terms[i] = (co_tile_term){.b = packed + column * s->columns + ranges[i].begin * s->tile,
                                .k = ranges[i].count,
                                .rows = part[i]};
    multiply(co_tile_by_rows(cpu), co_tile_rows(cpu), terms, count, rows, NULL, out + column,
             width);
  }
}

// Adds the products of the waiting events to the share's sums.
static void clear_desk(co_cpu *cpu, const sizes *s, const float *none, desk *d, float *sums) {
  float *biases = sums + (s->I + s->U) * s->columns;
  co_tile *tile = co_tile_by_columns(cpu);
  const int most = co_tile_rows(cpu);
  for (int64_t column = 0; column < s->columns; column += s->tile) {
    const co_tile_term inputs = {.b = d->tile, .k = d->events, .a = d->a, .step = d->width};
    const co_tile_term states = {.b = d->tile, .k = d->events, .a = d->a + s->I, .step = d->width};
    const float *start = d->first ? none : NULL;
    if (d->first) clear(biases + column, s->tile);
    gather_sums[cpu->isa](d->dz + column, s->stride, d->events, s->tile, d->tile, biases + column);
    if (takes_tile(s, KERNEL, column))
      multiply(tile, most, &inputs, 1, s->I, start, sums + column, s->columns);
    if (takes_tile(s, RECURRENT, column))
      multiply(tile, most, &states, 1, s->U, start, sums + s->I * s->columns + column, s->columns);
  }
  d->events = 0;
  d->first = false;
}

// Rows of a block from one of their events to the one before.
typedef struct block {
  const int32_t *row, *length;
  int64_t live; // rows that have that event
} block;

static void begin_row(co_cpu *cpu, const sizes *s, void *const *in, const block *b, desk *d) {
  const int64_t i = b->live, U = s->U;
  const int64_t place =
      b->row[i] * s->T + co_event_place(b->length[i] - 1, b->length[i], s->reverse);
  const float *dlast = at(in[CO_RECURRENT_BACKWARD_dlast], b->row[i], U);
  float *dh = d->dh + i * round_up(U, s->tile);
  clear(dh, round_up(U, s->tile));
  clear(d->dc + i * s->padded, s->padded);
  if (dlast) memcpy(dh, dlast, (size_t)U * sizeof *dh);
  if (s->cell == CO_CELL_LSTM)
    bend[cpu->isa](at(in[CO_RECURRENT_BACKWARD_saved], place, s->saved * U) + 4 * U,
                   d->bent + i * s->padded, U);
}

static void block_events(co_cpu *cpu, const sizes *s, const backward_rooms *r, void *const *in,
                         const block *b, int64_t k, desk *d) {
  const int64_t U = s->U, width = round_up(U, s->tile);
  back_kernel *back = back_kernel_of(cpu, s->cell);
  for (int64_t i = 0; i < b->live; i++) {
    const int64_t place = b->row[i] * s->T + co_event_place(k, b->length[i], s->reverse);
    const int64_t step = s->reverse ? s->saved * U : -s->saved * U;
    const float *saved = at(in[CO_RECURRENT_BACKWARD_saved], place, s->saved * U);
    const float *dy = at(in[CO_RECURRENT_BACKWARD_dy], place, U);
    float *dz = d->dz + (d->events + i) * s->stride, *a = d->a + (d->events + i) * d->width;
    if (dy) add[cpu->isa](dy, d->dh + i * width, U);
    for (int64_t g = 0; g < s->groups; g++) // products go over them
      clear(dz + g * s->padded + U, s->padded - U);
    memcpy(a, at(in[CO_RECURRENT_BACKWARD_x], place, s->I), (size_t)s->I * sizeof *a);
    const past_event e = {.saved = saved,
                          .before = k ? saved + step : r->none,
                          .dh = d->dh + i * width,
                          .dc = d->dc + i * s->padded,
                          .dz = dz,
                          .h = a + s->I,
                          .bent = d->bent + i * s->padded,
                          .U = U,
                          .padded = s->padded};
    back(&e);
    if (k > 1) fetch(saved + 2 * step, s->saved * U);
  }
}

// The gradient of what came in.
static void block_dx(co_cpu *cpu, const co_op_desc *desc, const sizes *s, const backward_rooms *r,
                     float *dx, const block *b, int64_t k, const desk *d) {
  const int64_t width = round_up(s->I, s->tile);
  clear(d->dx, b->live * width);
  back_product(cpu, s, KERNEL, r->kernel, d->dz + d->events * s->stride, b->live, d->dx, width);
  for (int64_t i = 0; i < b->live; i++) {
    const int64_t place = b->row[i] * s->T + co_event_place(k, b->length[i], s->reverse);
    if (co_cpu_accumulates(desc, CO_RECURRENT_BACKWARD_dx))
      add[cpu->isa](d->dx + i * width, at(dx, place, s->I), s->I);
    else
      copy(at(dx, place, s->I), d->dx + i * width, s->I);
  }
}

static void backward_block(co_cpu *cpu, const co_op_desc *desc, const sizes *s,
                           const backward_rooms *r, void *const *in, float *dx, block *b,
                           int64_t rows, desk *d, float *sums) {
  for (int64_t i = 0; dx && !co_cpu_accumulates(desc, CO_RECURRENT_BACKWARD_dx) && i < rows; i++)
    clear(at(dx, b->row[i] * s->T + b->length[i], s->I), (s->T - b->length[i]) * s->I);
  for (int64_t k = b->length[0]; k-- > 0;) {
    for (; b->live < rows && b->length[b->live] > k; b->live++)
      begin_row(cpu, s, in, b, d);
    if (d->events + b->live > DESK_EVENTS) clear_desk(cpu, s, r->none, d, sums);
    block_events(cpu, s, r, in, b, k, d);
    if (k)
      back_product(cpu, s, RECURRENT, r->recurrent, d->dz + d->events * s->stride, b->live, d->dh,
                   round_up(s->U, s->tile));
    if (dx) block_dx(cpu, desc, s, r, dx, b, k, d);
    d->events += b->live;
  }
}

static void backward_share(co_cpu *cpu, const co_op_desc *desc, const sizes *s,
                           const backward_rooms *r, void *const *in, float *dx, int64_t share) {
  const int64_t begin = share * share_rows(s), most = s->N - begin;
  const int64_t rows = most < share_rows(s) ? most : share_rows(s);
  float *sums = r->sums + share * r->share_floats;
  int64_t used = 0;
  desk d = desk_of(s, r->desks + co_cpu_part() * r->desk_floats, &used);
  d.first = true;
  for (int64_t n = 0; n < rows; n += BLOCK_ROWS) {
    block b = {.row = r->order.row + begin + n, .length = r->order.length + begin + n};
    backward_block(cpu, desc, s, r, in, dx, &b, rows - n < BLOCK_ROWS ? rows - n : BLOCK_ROWS, &d,
                   sums);
  }
  clear_desk(cpu, s, r->none, &d, sums); // without an event: zeros
}

// The sums of all shares, one after the other, (rows, columns), to a gradient's columns.
static void put(co_cpu *cpu, const co_op_desc *desc, const sizes *s, const backward_rooms *r,
                matrix m, int64_t first_row, int64_t rows, int k, float *gradient, int64_t column) {
  for (int64_t j = 0; j < s->tile; j += s->chunk) {
    int64_t count;
    const int64_t first = columns_of(s, m, column + j, &count);
    for (int64_t i = 0; count && i < rows; i++) {
      float *to = gradient + i * s->gates * s->U + first;
      const float *from = r->sums + (first_row + i) * s->columns + column + j;
      for (int64_t share = 0; share < shares(s); share++)
        if (share || co_cpu_accumulates(desc, k))
          add[cpu->isa](from + share * r->share_floats, to, count);
        else
          memcpy(to, from, (size_t)count * sizeof *to);
    }
  }
}

static void put_all(co_cpu *cpu, const co_op_desc *desc, const sizes *s, const backward_rooms *r,
                    void *const *out, int64_t column) {
  const int64_t weights = s->I + s->U;
  float *dbias = out[CO_RECURRENT_BACKWARD_dbias];
  put(cpu, desc, s, r, KERNEL, 0, s->I, CO_RECURRENT_BACKWARD_dkernel,
      out[CO_RECURRENT_BACKWARD_dkernel], column);
  put(cpu, desc, s, r, RECURRENT, s->I, s->U, CO_RECURRENT_BACKWARD_drecurrent,
      out[CO_RECURRENT_BACKWARD_drecurrent], column);
  put(cpu, desc, s, r, KERNEL, weights, 1, CO_RECURRENT_BACKWARD_dbias, dbias, column);
  if (s->cell == CO_CELL_GRU)
    put(cpu, desc, s, r, RECURRENT, weights, 1, CO_RECURRENT_BACKWARD_dbias,
        dbias + s->gates * s->U, column);
}

co_status co_cpu_run_recurrent_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                        void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const sizes s = sizes_of(cpu, desc);
  backward_rooms r;
  (void)backward_rooms_of(cpu, &s, workspace, &r);
  float *dx = out[CO_RECURRENT_BACKWARD_dx];
  sort_rows(&s, in[CO_RECURRENT_BACKWARD_lengths], &r.order);
  clear(r.none, none_floats(&s));
#pragma omp parallel
  {
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < s.U; i += s.tile)
      pack_transposed(&s, RECURRENT, s.U, in[CO_RECURRENT_BACKWARD_recurrent], r.recurrent, i);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < (dx ? s.I : 0); i += s.tile)
      pack_transposed(&s, KERNEL, s.I, in[CO_RECURRENT_BACKWARD_kernel], r.kernel, i);
#pragma omp for schedule(dynamic)
    for (int64_t share = 0; share < shares(&s); share++)
      backward_share(cpu, desc, &s, &r, in, dx, share);
#pragma omp for schedule(static)
    for (int64_t column = 0; column < s.columns; column += s.tile)
      put_all(cpu, desc, &s, &r, out, column);
  }
  return CO_OK;
}
