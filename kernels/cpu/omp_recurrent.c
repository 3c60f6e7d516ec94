// SPDX-License-Identifier: Apache-2.0
// RECURRENT: rows sorted by length go through their events in blocks, each block by one thread without
// a barrier: a product of [x, h] with packed weights, then the cell, for the rows that still have
// events. The gradients of the weights are one product over all events. Every sum runs in an order
// that shapes and lengths alone decide, never the number of threads.
#include "kernels/cpu/exp.h"
#include "kernels/cpu/product.h"

enum { BLOCK_ROWS = 32, MOST_GROUPS = 4, MOST_RANGES = 2, CHUNK_EVENTS = 256 };

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

static int64_t round_up(int64_t n, int64_t to) {
  return (n + to - 1) / to * to;
}

static sizes sizes_of(const co_cpu *cpu, const co_op_desc *desc) { // places as in the backward
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
static int64_t gate_of(const sizes *s, matrix m, int64_t group) {
  if (group >= s->groups) return -1;
  if (s->cell != CO_CELL_GRU || group < 2) return group;
  return (m == KERNEL) == (group == 2) ? 2 : -1;
}

// The matrix's columns for a chunk of ours: the first, how many (0: none).
static int64_t columns_of(const sizes *s, matrix m, int64_t column, int64_t *count) {
  const int64_t gate = gate_of(s, m, column / s->padded), u = column % s->padded;
  *count = gate < 0 || u >= s->U ? 0 : s->U - u < s->chunk ? s->U - u : s->chunk;
  return gate * s->U + u;
}

static bool takes_tile(const sizes *s, matrix m, int64_t column) {
  for (int64_t j = 0; j < s->tile; j += s->chunk)
    if (gate_of(s, m, (column + j) / s->padded) >= 0) return true;
  return false;
}

// Groups side by side that a matrix has columns for.
typedef struct range {
  int64_t begin, count; // columns
} range;

static int ranges_of(const sizes *s, matrix m, range ranges[MOST_RANGES]) {
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

static float *take(float *base, int64_t *used, int64_t count) {
  float *room = base ? base + *used : NULL;
  *used += round_up(count, 16);
  return room;
}

// Rows from the longest to the shortest, and the length of each.
typedef struct order {
  int32_t *row, *length;
} order;

static order take_order(const sizes *s, float *base, int64_t *used) {
  int32_t *row = (int32_t *)take(base, used, s->N);
  return (order){row, (int32_t *)take(base, used, s->N + s->T + 2)};
}

static void sort_rows(const sizes *s, const int32_t *lengths, const order *o) {
  int32_t *place = o->length + s->N; // of the next row of each length
  memset(place, 0, (size_t)(s->T + 2) * sizeof *place);
  for (int64_t n = 0; n < s->N; n++)
    place[co_clamp_length(lengths[n], s->T)]++;
  for (int64_t t = s->T, before = 0; t >= 0; t--) {
    const int32_t rows = place[t];
    place[t] = (int32_t)before;
    before += rows;
  }
  for (int64_t n = 0; n < s->N; n++) {
    const int64_t length = co_clamp_length(lengths[n], s->T);
    const int32_t at = place[length]++;
    o->row[at] = (int32_t)n;
    o->length[at] = (int32_t)length;
  }
}

// Rows of a block, fewer where all threads should have some.
static int64_t block_rows(const co_cpu *cpu, const sizes *s) {
  const int64_t rows = round_up((s->N + cpu->threads - 1) / cpu->threads, co_tile_rows(cpu));
  return rows < BLOCK_ROWS ? rows : BLOCK_ROWS;
}

// ---- products ----------------------------------------------------------------------------------

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

// The same of the transposed weights: tile by tile, (columns of ours, rows).
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

// As even tiles of rows as there can be.
static void multiply(co_tile *tile, int most, const co_tile_term *terms, int count, int64_t rows,
                     const float *start, float *c, int64_t stride) {
  const int64_t tiles = (rows + most - 1) / most, each = tiles ? (rows + tiles - 1) / tiles : 0;
  for (int64_t r = 0; r < rows; r += each)
    tile(terms, count, r, (int)(rows - r < each ? rows - r : each), start, c + r * stride, stride);
}

// ---- forward -----------------------------------------------------------------------------------

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

static float *at(void *base, int64_t row, int64_t width) {
  return base ? (float *)base + row * width : NULL;
}

static void clear(float *values, int64_t count) {
  if (values) memset(values, 0, (size_t)count * sizeof *values);
}

static void copy(float *to, const float *from, int64_t count) {
  if (to) memcpy(to, from, (size_t)count * sizeof *to);
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

// ---- backward ----------------------------------------------------------------------------------

// One event of one row: dh and dc are those of its states on the way in; on the way out dc is that of
// the cell before, dh what reaches the state before past the products.
typedef struct past_event {
  const float *saved, *before; // of the event and of the one gone through before it (zeros: none)
  float *dh, *dc, *dz, *h;     // h: the state after the event, LSTM's alone
  int64_t U, padded;
} past_event;

// clang-format off
CO_CPU_KERNEL(lstm_back, (const past_event *e), (e)) {
  const int64_t U = e->U, group = e->padded;
  const float *vi = e->saved, *vf = vi + U, *vg = vf + U, *vo = vg + U, *vc = vo + U;
  const float *c_before = e->before + 4 * U;
  float *zi = e->dz, *zf = zi + group, *zg = zf + group, *zo = zg + group;
  float *dh = e->dh, *dc = e->dc, *h = e->h;
#pragma omp simd
  for (int64_t u = 0; u < U; u++) {
    const float i = vi[u], f = vf[u], g = vg[u], o = vo[u], bent = tanh_of(vc[u]), dstate = dh[u];
    const float d = dc[u] + dstate * o * (1 - bent * bent);
    zi[u] = d * g * i * (1 - i);
    zf[u] = d * c_before[u] * f * (1 - f);
    zg[u] = d * i * (1 - g * g);
    zo[u] = dstate * bent * o * (1 - o);
    h[u] = o * bent;
    dc[u] = d * f;
    dh[u] = 0;
  }
}

CO_CPU_KERNEL(gru_back, (const past_event *e), (e)) {
  const int64_t U = e->U, group = e->padded;
  const float *vz = e->saved, *vr = vz + U, *vn = vr + U, *va = vn + U, *h = e->before + 4 * U;
  float *zz = e->dz, *zr = zz + group, *zn = zr + group, *za = zn + group, *dh = e->dh;
#pragma omp simd
  for (int64_t u = 0; u < U; u++) {
    const float z = vz[u], r = vr[u], n = vn[u], d = dh[u];
    const float dn = d * (1 - z) * (1 - n * n);
    zz[u] = d * (h[u] - n) * z * (1 - z);
    zr[u] = dn * va[u] * r * (1 - r);
    zn[u] = dn;
    za[u] = dn * r;
    dh[u] = d * z;
  }
}

CO_CPU_KERNEL(simple_back, (const past_event *e), (e)) {
  const float *h = e->saved;
  float *dz = e->dz, *dh = e->dh;
#pragma omp simd
  for (int64_t u = 0; u < e->U; u++) {
    dz[u] = dh[u] * (1 - h[u] * h[u]);
    dh[u] = 0;
  }
}

CO_CPU_KERNEL(add, (const float *x, float *y, int64_t n), (x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] += x[i];
}

// Events' sums (count, tile), `stride` apart, side by side, and added to `total`.
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

typedef struct backward_rooms {
  order order;
  float *kernel, *recurrent; // packed, transposed
  float *dz;                 // (N, T) events of `stride`
  float *states;             // (N, T, padded): h after each event, LSTM's alone
  float *sums;               // (I + U + 1, columns): gradients of the weights, of the biases last
  float *none;               // zeros, for what lies before the first event
  float *block, *chunk;      // of each thread
  int64_t block_floats, chunk_floats;
} backward_rooms;

static int64_t backward_rooms_of(const co_cpu *cpu, const sizes *s, float *base,
                                 backward_rooms *r) {
  const int64_t below = round_up(s->I, s->tile), states = round_up(s->U, s->tile);
  int64_t used = 0;
  r->order = take_order(s, base, &used);
  r->kernel = take(base, &used, below * s->columns);
  r->recurrent = take(base, &used, states * s->columns);
  r->dz = take(base, &used, s->N * s->T * s->stride);
  r->states = take(base, &used, s->cell == CO_CELL_LSTM ? s->N * s->T * s->padded : 0);
  r->sums = take(base, &used, (s->I + s->U + 1) * s->columns);
  r->none = take(base, &used, s->saved * s->U);
  r->block_floats = BLOCK_ROWS * (states + s->padded + below);
  r->block = take(base, &used, cpu->threads * r->block_floats);
  r->chunk_floats = CHUNK_EVENTS * s->tile;
  r->chunk = take(base, &used, cpu->threads * r->chunk_floats);
  return used;
}

static size_t backward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  const sizes s = sizes_of(cpu, desc);
  backward_rooms r;
  return (size_t)backward_rooms_of(cpu, &s, NULL, &r) * sizeof(float);
}

// out (rows, to columns of `width`) += sums of events times transposed weights.
static void back_product(co_cpu *cpu, const sizes *s, matrix m, const float *packed,
                         float *const *dz, int64_t rows, float *out, int64_t width) {
  const float *part[MOST_RANGES][BLOCK_ROWS];
  range ranges[MOST_RANGES];
  const int count = ranges_of(s, m, ranges);
  for (int i = 0; i < count; i++)
    for (int64_t r = 0; r < rows; r++)
      part[i][r] = dz[r] + ranges[i].begin;
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

// The gradient of what came in, of one event of `live` rows.
static void block_dx(co_cpu *cpu, const co_op_desc *desc, const sizes *s, const backward_rooms *r,
                     float *const *dz, float *const *dx, int64_t live, float *scratch) {
  const int64_t width = round_up(s->I, s->tile);
  const bool adds = co_cpu_accumulates(desc, CO_RECURRENT_BACKWARD_dx);
  clear(scratch, live * width);
  back_product(cpu, s, KERNEL, r->kernel, dz, live, scratch, width);
  for (int64_t i = 0; i < live; i++)
    if (adds)
      add[cpu->isa](scratch + i * width, dx[i], s->I);
    else
      memcpy(dx[i], scratch + i * width, (size_t)s->I * sizeof(float));
}

static void backward_block(co_cpu *cpu, const co_op_desc *desc, const sizes *s,
                           const backward_rooms *r, void *const *in, void *const *out,
                           int64_t begin, int64_t rows) {
  const int64_t U = s->U, width = round_up(U, s->tile);
  const int32_t *row = r->order.row + begin, *length = r->order.length + begin;
  float *dh = r->block + co_cpu_part() * r->block_floats, *dc = dh + BLOCK_ROWS * width;
  float *scratch = dc + BLOCK_ROWS * s->padded, *dz[BLOCK_ROWS], *dx[BLOCK_ROWS];
  back_kernel *back = back_kernel_of(cpu, s->cell);
  int64_t live = 0;
  for (int64_t i = 0; i < rows; i++) // what padding has
    if (out[CO_RECURRENT_BACKWARD_dx] && !co_cpu_accumulates(desc, CO_RECURRENT_BACKWARD_dx))
      clear(at(out[CO_RECURRENT_BACKWARD_dx], row[i] * s->T + length[i], s->I),
            (s->T - length[i]) * s->I);
  clear(dh, BLOCK_ROWS * (width + s->padded));
  for (int64_t k = length[0]; k-- > 0;) {
    for (; live < rows && length[live] > k; live++)
      copy(dh + live * width, at(in[CO_RECURRENT_BACKWARD_dlast], row[live], U),
           in[CO_RECURRENT_BACKWARD_dlast] ? U : 0);
    for (int64_t i = 0; i < live; i++) {
      const int64_t place = row[i] * s->T + co_event_place(k, length[i], s->reverse);
      const float *saved = at(in[CO_RECURRENT_BACKWARD_saved], place, s->saved * U);
      const float *dy = at(in[CO_RECURRENT_BACKWARD_dy], place, U);
      const int64_t step = s->reverse ? s->saved * U : -s->saved * U;
      dz[i] = r->dz + place * s->stride;
      dx[i] = at(out[CO_RECURRENT_BACKWARD_dx], place, s->I);
      if (dy) add[cpu->isa](dy, dh + i * width, U);
      for (int64_t g = 0; g < s->groups; g++) // products go over them
        clear(dz[i] + g * s->padded + U, s->padded - U);
      const past_event e = {.saved = saved,
                            .before = k ? saved + step : r->none,
                            .dh = dh + i * width,
                            .dc = dc + i * s->padded,
                            .dz = dz[i],
                            .h = at(s->cell == CO_CELL_LSTM ? r->states : NULL, place, s->padded),
                            .U = U,
                            .padded = s->padded};
      back(&e);
    }
    if (k) back_product(cpu, s, RECURRENT, r->recurrent, dz, live, dh, width);
    if (out[CO_RECURRENT_BACKWARD_dx]) block_dx(cpu, desc, s, r, dz, dx, live, scratch);
  }
}

// Some of the events: sums of a tile of columns side by side, and what each is to be multiplied with.
typedef struct chunk {
  float *dz;
  int64_t events;
  int inputs, states; // terms
  co_tile_term input[CHUNK_EVENTS], state[CHUNK_EVENTS];
} chunk;

static void add_events(const sizes *s, const backward_rooms *r, void *const *in, chunk *c,
                       int64_t n, int64_t from, int64_t count, int64_t length) {
  const bool lstm = s->cell == CO_CELL_LSTM;
  const int64_t step = lstm ? s->padded : s->saved * s->U, place = n * s->T + from;
  const float *states = lstm ? r->states : in[CO_RECURRENT_BACKWARD_saved];
  if (!lstm) states += (s->saved - 1) * s->U;
  float *dz = c->dz + c->events * s->tile;
  c->input[c->inputs++] = (co_tile_term){
      .b = dz, .k = count, .a = at(in[CO_RECURRENT_BACKWARD_x], place, s->I), .step = s->I};
  // All but the row's first event have a state before them.
  const int64_t before = s->reverse ? 1 : -1;
  const int64_t skipped = !s->reverse && from == 0, lacking = s->reverse && from + count == length;
  if (count > skipped + lacking)
    c->state[c->states++] = (co_tile_term){.b = dz + skipped * s->tile,
                                           .k = count - skipped - lacking,
                                           .a = states + (place + skipped + before) * step,
                                           .step = step};
}

static void multiply_chunk(co_cpu *cpu, const sizes *s, const backward_rooms *r, chunk *c,
                           int64_t column) {
  co_tile *tile = co_tile_by_columns(cpu);
  float *sums = r->sums + column;
  if (takes_tile(s, KERNEL, column))
    multiply(tile, co_tile_rows(cpu), c->input, c->inputs, s->I, NULL, sums, s->columns);
  if (takes_tile(s, RECURRENT, column))
    multiply(tile, co_tile_rows(cpu), c->state, c->states, s->U, NULL, sums + s->I * s->columns,
             s->columns);
  c->events = c->inputs = c->states = 0;
}

// (rows, columns) of the sums to a gradient's columns.
static void put(co_cpu *cpu, const co_op_desc *desc, const sizes *s, matrix m, const float *sums,
                int64_t rows, int k, float *gradient, int64_t column) {
  for (int64_t j = 0; j < s->tile; j += s->chunk) {
    int64_t count;
    const int64_t first = columns_of(s, m, column + j, &count);
    for (int64_t i = 0; count && i < rows; i++) {
      float *to = gradient + i * s->gates * s->U + first;
      const float *from = sums + i * s->columns + column + j;
      if (co_cpu_accumulates(desc, k))
        add[cpu->isa](from, to, count);
      else
        memcpy(to, from, (size_t)count * sizeof *to);
    }
  }
}

// One tile of columns of all gradients: sums over all events, row by row.
static void weight_gradients(co_cpu *cpu, const co_op_desc *desc, const sizes *s,
                             const backward_rooms *r, void *const *in, void *const *out,
                             int64_t column) {
  const int32_t *lengths = in[CO_RECURRENT_BACKWARD_lengths];
  float *biases = r->sums + (s->I + s->U) * s->columns;
  chunk c = {.dz = r->chunk + co_cpu_part() * r->chunk_floats};
  for (int64_t i = 0; i <= s->I + s->U; i++)
    clear(r->sums + i * s->columns + column, s->tile);
  for (int64_t n = 0; n < s->N; n++) {
    const int64_t length = co_clamp_length(lengths[n], s->T);
    for (int64_t t = 0, count; t < length; t += count) {
      const int64_t room = CHUNK_EVENTS - c.events;
      count = length - t < room ? length - t : room;
      add_events(s, r, in, &c, n, t, count, length);
      gather_sums[cpu->isa](r->dz + (n * s->T + t) * s->stride + column, s->stride, count, s->tile,
                            c.dz + c.events * s->tile, biases + column);
      c.events += count;
      if (c.events == CHUNK_EVENTS) multiply_chunk(cpu, s, r, &c, column);
    }
  }
  if (c.events) multiply_chunk(cpu, s, r, &c, column);
  put(cpu, desc, s, KERNEL, r->sums, s->I, CO_RECURRENT_BACKWARD_dkernel,
      out[CO_RECURRENT_BACKWARD_dkernel], column);
  put(cpu, desc, s, RECURRENT, r->sums + s->I * s->columns, s->U, CO_RECURRENT_BACKWARD_drecurrent,
      out[CO_RECURRENT_BACKWARD_drecurrent], column);
  float *dbias = out[CO_RECURRENT_BACKWARD_dbias];
  put(cpu, desc, s, KERNEL, biases, 1, CO_RECURRENT_BACKWARD_dbias, dbias, column);
  if (s->cell == CO_CELL_GRU)
    put(cpu, desc, s, RECURRENT, biases, 1, CO_RECURRENT_BACKWARD_dbias, dbias + s->gates * s->U,
        column);
}

static co_status run_recurrent_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                        void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const sizes s = sizes_of(cpu, desc);
  backward_rooms r;
  (void)backward_rooms_of(cpu, &s, workspace, &r);
  const int64_t rows = block_rows(cpu, &s);
  sort_rows(&s, in[CO_RECURRENT_BACKWARD_lengths], &r.order);
  clear(r.none, s.saved * s.U);
#pragma omp parallel
  {
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < s.U; i += s.tile)
      pack_transposed(&s, RECURRENT, s.U, in[CO_RECURRENT_BACKWARD_recurrent], r.recurrent, i);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s.I; i += s.tile)
      pack_transposed(&s, KERNEL, s.I, in[CO_RECURRENT_BACKWARD_kernel], r.kernel, i);
#pragma omp for schedule(dynamic)
    for (int64_t n = 0; n < s.N; n += rows)
      backward_block(cpu, desc, &s, &r, in, out, n, s.N - n < rows ? s.N - n : rows);
#pragma omp for schedule(dynamic)
    for (int64_t column = 0; column < s.columns; column += s.tile)
      weight_gradients(cpu, desc, &s, &r, in, out, column);
  }
  return CO_OK;
}

const co_cpu_impl co_cpu_recurrent[] = {
    {.op = CO_OP_RECURRENT,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_recurrent,
     .workspace = forward_workspace,
     .f32_in = 0x1D,
     .f32_out = 0x7},
    {.op = CO_OP_RECURRENT_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_recurrent_backward,
     .workspace = backward_workspace,
     .f32_in = 0x7D,
     .f32_out = 0xF,
     .accumulate = 0xF},
    {.name = NULL},
};
