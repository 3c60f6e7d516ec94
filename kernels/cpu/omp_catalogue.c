// SPDX-License-Identifier: Apache-2.0
// Cross entropy over a catalogue in tiles of classes, by the product tiles of product.h. Within a tile
// threads share out rows for logits, statistics and dx, and panels (as many classes as a product tile
// has columns) for packing, dw and db. Every element is summed in an order that shapes alone decide.
#include <float.h>
#include <math.h>

#include "kernels/cpu/product.h"
#include "kernels/cpu/softmax_row.h"

enum {
  dx_at = CO_LINEAR_CROSS_ENTROPY_dx,
  dw_at = CO_LINEAR_CROSS_ENTROPY_dw,
  db_at = CO_LINEAR_CROSS_ENTROPY_db,
  hits_at = CO_LINEAR_CROSS_ENTROPY_hits,
  score_at = CO_LINEAR_CROSS_ENTROPY_score,
  dscore_at = CO_LINEAR_CROSS_ENTROPY_dscore
};

// Floats of a tile's weights, packed both ways, and of its logits of as many rows as a thread has of
// a large batch, together: what a core's second cache holds. Without the bound on rows a tile of a
// large batch would have fewer panels than there are threads.
enum { TILE_FLOATS = 1 << 18, MOST_ROWS = 256, LINE = 16 };

// What is known of a row while its tiles pass by, then what its slopes are made with.
typedef struct row {
  float largest, rest; // of the logits; sum of exp(logit - largest) without the target's
  float own;           // the target's logit
  float scale, slope;  // slopes are exp(logit - largest) scale - even, the target's is `slope`
  bool before;         // a class before the target has the largest logit
  bool hit;            // the target is the first of the largest
  double logits;       // their sum, where labels are smoothed
} row;

// Of an event whose class is copied: that class's logit without events and with them, then the slope
// of the former.
typedef struct copied {
  float x, y, slope;
} copied;

typedef struct catalogue {
  const co_op_desc *desc;
  co_tile *by_rows, *by_columns;
  int64_t N, D, V;
  int64_t C, R, padded; // columns and rows of a product tile; D in whole columns
  int64_t T, stride;    // classes of a tile, and from row to row of its logits
  const float *x, *w, *b, *weight;
  const int32_t *target;
  float *dw, *db;
  double inv_norm;
  const float *score; // of events whose classes are copied
  const int32_t *codes, *lengths;
  int64_t events; // of a row
  float shift;    // logarithm of their factor
  // In the workspace. Panels of weights: (D, C) for logits, two of each, and (T, C) for dx.
  float *bias[2], *factors[2], *turned, *x_panels, *z, *dx, *panels;
  const float **x_rows, **z_rows;
  row *rows;
  copied *copies; // of each event
} catalogue;

static int64_t rounded(int64_t n, int64_t to) {
  return (n + to - 1) / to * to;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static catalogue catalogue_of(const co_cpu *cpu, const co_op_desc *desc) {
  const int64_t *x = desc->in[CO_LINEAR_CROSS_ENTROPY_x].shape.dim;
  catalogue c = {.desc = desc,
                 .by_rows = co_tile_by_rows(cpu),
                 .by_columns = co_tile_by_columns(cpu),
                 .N = x[0],
                 .D = x[1],
                 .V = desc->in[CO_LINEAR_CROSS_ENTROPY_w].shape.dim[desc->attr.transposed ? 0 : 1],
                 .C = co_tile_columns(cpu),
                 .R = co_tile_rows(cpu)};
  if (co_cpu_has_in(desc, score_at)) {
    c.events = desc->in[score_at].shape.dim[1];
    c.shift = (float)log(desc->attr.factor);
  }
  c.padded = rounded(c.D, c.C);
  const int64_t rows = least(c.N, MOST_ROWS), all = rounded(c.V, c.C);
  const int64_t most = TILE_FLOATS / (rows + 2 * c.padded) / c.C * c.C;
  c.T = most < c.C ? c.C : most < all ? most : all;
  c.stride =
      c.T + LINE; // not a power of two: rows of one column lie in different sets of the cache
  return c;
}

// Places what lies in the workspace and is needed for the outputs there are; returns how large it is.
static size_t place(catalogue *c, const co_cpu *cpu, char *base) {
  const bool dx = co_cpu_has_out(c->desc, dx_at), dw = co_cpu_has_out(c->desc, dw_at);
  const bool columns = dw || co_cpu_has_out(c->desc, db_at);
  const bool panels_of_x = dw && c->desc->attr.transposed;
  size_t used = 0;
  const size_t real = sizeof(float), N = (size_t)c->N, T = (size_t)c->T;
  const struct {
    void *out;
    size_t bytes;
  } parts[] = {{&c->bias[0], T * real},
               {&c->bias[1], T * real},
               {&c->factors[0], T * (size_t)c->D * real},
               {&c->factors[1], T * (size_t)c->D * real},
               {&c->turned, dx ? T * (size_t)c->padded * real : 0},
               {&c->x_panels, panels_of_x ? N * (size_t)c->padded * real : 0},
               {&c->z, N * (size_t)c->stride * real},
               {&c->dx, dx ? N * (size_t)c->padded * real : 0},
               {&c->panels, columns ? (size_t)cpu->threads * N * (size_t)c->C * real : 0},
               {(void *)&c->x_rows, N * sizeof *c->x_rows},
               {(void *)&c->z_rows, N * sizeof *c->z_rows},
               {&c->rows, N * sizeof *c->rows},
               {&c->copies, N * (size_t)c->events * sizeof *c->copies}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char *at = base ? base + used : NULL;
    memcpy(parts[i].out, &at, sizeof at);
    used += (parts[i].bytes + 63) / 64 * 64;
  }
  return used;
}

static size_t workspace_of(co_cpu *cpu, const co_op_desc *desc) {
  catalogue c = catalogue_of(cpu, desc);
  return place(&c, cpu, NULL);
}

// Classes of the tile from `first` on, and panels of them.
static int64_t classes_of(const catalogue *c, int64_t first) {
  return least(c->T, c->V - first);
}
static int64_t panels_of(const catalogue *c, int64_t first) {
  return (classes_of(c, first) + c->C - 1) / c->C;
}

// ---- packing -----------------------------------------------------------------------------------

static void pack_factors(const catalogue *c, int64_t v, int64_t count, float *to) {
  for (int64_t d = 0; d < c->D; d++, to += c->C) {
    if (c->desc->attr.transposed)
      for (int64_t k = 0; k < count; k++)
        to[k] = c->w[(v + k) * c->D + d];
    else
      memcpy(to, c->w + d * c->V + v, (size_t)count * sizeof *to);
    memset(to + count, 0, (size_t)(c->C - count) * sizeof *to);
  }
}

// The same weights with the classes as terms, for dx.
static void pack_turned(const catalogue *c, int64_t v, int64_t count, int64_t place_in_tile) {
  for (int64_t q = 0; q < c->padded; q += c->C) {
    const int64_t width = least(c->C, c->D - q);
    float *to = c->turned + q * c->T + place_in_tile * c->C;
    memset(to, 0, (size_t)(c->C * c->C) * sizeof *to);
    for (int64_t k = 0; k < count; k++, to += c->C)
      if (c->desc->attr.transposed)
        memcpy(to, c->w + (v + k) * c->D + q, (size_t)width * sizeof *to);
      else
        for (int64_t d = 0; d < width; d++)
          to[d] = c->w[(q + d) * c->V + v + k];
  }
}

static void pack_tile(const catalogue *c, int64_t first, int buffer, bool turned) {
  int64_t begin, end;
  co_cpu_share(panels_of(c, first), 1, &begin, &end);
  for (int64_t p = begin; p < end; p++) {
    const int64_t v = first + p * c->C, count = least(c->C, c->V - v);
    float *bias = c->bias[buffer] + p * c->C;
    memset(bias, 0, (size_t)c->C * sizeof *bias);
    if (c->b) memcpy(bias, c->b + v, (size_t)count * sizeof *bias);
    pack_factors(c, v, count, c->factors[buffer] + p * c->C * c->D);
    if (turned) pack_turned(c, v, count, p * c->C);
  }
}

static void pack_rows(const catalogue *c, int64_t begin, int64_t end) {
  for (int64_t n = begin; n < end; n++)
    for (int64_t q = 0; q < c->padded; q += c->C) {
      const int64_t width = least(c->C, c->D - q);
      float *to = c->x_panels + q * c->N + n * c->C;
      memset(to, 0, (size_t)c->C * sizeof *to);
      memcpy(to, c->x + n * c->D + q, (size_t)width * sizeof *to);
    }
}

// ---- products ----------------------------------------------------------------------------------

static void make_logits(const catalogue *c, int64_t first, int buffer, int64_t begin, int64_t end) {
  for (int64_t p = 0; p < panels_of(c, first); p++) {
    const co_tile_term term = {
        .b = c->factors[buffer] + p * c->C * c->D, .k = c->D, .rows = c->x_rows};
    for (int64_t n = begin; n < end; n += c->R)
      c->by_rows(&term, 1, n, (int)least(c->R, end - n), c->bias[buffer] + p * c->C,
                 c->z + n * c->stride + p * c->C, c->stride);
  }
}

static void add_dx(const catalogue *c, int64_t first, int64_t begin, int64_t end) {
  for (int64_t q = 0; q < c->padded; q += c->C) {
    const co_tile_term term = {
        .b = c->turned + q * c->T, .k = panels_of(c, first) * c->C, .rows = c->z_rows};
    for (int64_t n = begin; n < end; n += c->R)
      c->by_rows(&term, 1, n, (int)least(c->R, end - n), NULL, c->dx + n * c->padded + q,
                 c->padded);
  }
}

// Rows of dw from A' and B, `width` columns of it.
static void put_dw(const catalogue *c, const co_tile_term *term, int64_t rows, float *to,
                   int64_t stride, int64_t width) {
  static const float zeros[CO_TILE_COLUMNS];
  const bool adds = co_cpu_accumulates(c->desc, dw_at);
  float edge[CO_TILE_ROWS * CO_TILE_COLUMNS];
  for (int64_t i = 0; i < rows; i += c->R, to += c->R * stride) {
    const int count = (int)least(c->R, rows - i);
    if (width == c->C) {
      c->by_columns(term, 1, i, count, adds ? NULL : zeros, to, stride);
      continue;
    }
    c->by_columns(term, 1, i, count, zeros, edge, c->C);
    for (int r = 0; r < count; r++)
      for (int64_t k = 0; k < width; k++)
        to[r * stride + k] = (adds ? to[r * stride + k] : 0) + edge[r * c->C + k];
  }
}

// dw and db of this thread's panels; slopes of a panel are brought together first.
static void make_dw(const catalogue *c, int64_t first) {
  const bool adds = co_cpu_accumulates(c->desc, db_at);
  float *panel = c->panels + co_cpu_part() * c->N * c->C;
  int64_t begin, end;
  co_cpu_share(panels_of(c, first), 1, &begin, &end);
  for (int64_t p = begin; p < end; p++) {
    const int64_t v = first + p * c->C, count = least(c->C, c->V - v);
    for (int64_t n = 0; n < c->N; n++)
      memcpy(panel + n * c->C, c->z + n * c->stride + p * c->C, (size_t)c->C * sizeof *panel);
    if (c->db) {
      float sums[CO_TILE_COLUMNS] = {0};
      for (int64_t n = 0; n < c->N; n++)
        for (int64_t k = 0; k < c->C; k++)
          sums[k] += panel[n * c->C + k];
      for (int64_t k = 0; k < count; k++)
        c->db[v + k] = (adds ? c->db[v + k] : 0) + sums[k];
    }
    if (c->dw && !c->desc->attr.transposed) {
      const co_tile_term term = {.b = panel, .k = c->N, .a = c->x, .step = c->D};
      put_dw(c, &term, c->D, c->dw + v, c->V, count);
    }
    for (int64_t q = 0; c->dw && c->desc->attr.transposed && q < c->padded; q += c->C) {
      const co_tile_term term = {.b = c->x_panels + q * c->N, .k = c->N, .a = panel, .step = c->C};
      put_dw(c, &term, count, c->dw + v * c->D + q, c->D, least(c->C, c->D - q));
    }
  }
}

// ---- rows --------------------------------------------------------------------------------------

// clang-format off
// A tile's logits; the target's is `own` of them, -1 where it is in another; `before`: in a later one.
CO_CPU_KERNEL(scan_row, (const float *z, int64_t count, int64_t own, bool before, bool smoothed, row *r),
              (z, count, own, before, smoothed, r)) {
  const float top = row_max(z, count);
  float rest = 0, sum = 0;
  if (top > r->largest) {
    r->rest *= exp_negative(r->largest - top);
    r->largest = top;
    r->before = before;
    for (int64_t k = 0; !r->before && k < own; k++)
      r->before = z[k] == top;
  }
  const float largest = r->largest;
#pragma omp simd reduction(+ : rest)
  for (int64_t k = 0; k < count; k++)
    rest += k == own ? 0 : exp_negative(z[k] - largest);
  r->rest += rest;
  if (own >= 0) r->own = z[own];
  if (!smoothed) return;
#pragma omp simd reduction(+ : sum)
  for (int64_t k = 0; k < count; k++)
    sum += z[k];
  r->logits += (double)sum;
}

CO_CPU_KERNEL(finish, (row *r, bool known, float factor, float smoothing, int64_t V, float *loss),
              (r, known, factor, smoothing, V, loss)) {
  const float even = smoothing / (float)V;
  r->hit = known && !r->before && (r->own == r->largest || r->largest == -FLT_MAX);
  if (r->largest == -FLT_MAX) r->rest = NAN; // no class can be: as of whole rows
  r->scale = finish_row(known ? &r->own : NULL, r->largest, r->rest, factor, loss, &r->slope);
  r->slope += factor * (smoothing - even);
  if (smoothing > 0) *loss += even * (float)((double)V * (double)r->own - r->logits);
}

CO_CPU_KERNEL(slopes_of_row, (float *z, int64_t count, int64_t own, float even, const row *r),
              (z, count, own, even, r)) {
  const float largest = r->largest, scale = r->scale;
#pragma omp simd
  for (int64_t k = 0; k < count; k++)
    z[k] = exp_negative(z[k] - largest) * scale - even;
  if (own >= 0) z[own] = r->slope;
}
// clang-format on

static int64_t own_of(const catalogue *c, int64_t n, int64_t first) {
  const int64_t own = (int64_t)c->target[n] - first;
  return own >= 0 && own < classes_of(c, first) ? own : -1;
}

static float factor_of(const catalogue *c, int64_t n) {
  return (float)((double)c->weight[n] * c->inv_norm);
}

// ---- classes of a row's own events ---------------------------------------------------------------

// Of the row's events, which has none where it is missing.
static int64_t length_of(const catalogue *c, int64_t n) {
  return c->events && c->weight[n] != 0 ? co_clamp_length(c->lengths[n], c->events) : 0;
}

static void read_copied(const catalogue *c, int64_t first, int64_t n) {
  const int32_t *codes = c->codes + n * c->events;
  for (int64_t t = 0; t < length_of(c, n); t++) {
    const int64_t k = co_class_of_code(codes[t], c->V) - first;
    if (k >= 0 && k < classes_of(c, first))
      c->copies[n * c->events + t].x = c->z[n * c->stride + k];
  }
}

// The first event of the class of the t-th.
static int64_t first_of_class(const int32_t *codes, int64_t t) {
  int64_t first = 0;
  while (codes[first] != codes[t])
    first++;
  return first;
}

// The logit of the class of event t, together with all events of that class.
static float mix(const catalogue *c, int64_t n, int64_t t) {
  const int32_t *codes = c->codes + n * c->events;
  const float *score = c->score + n * c->events;
  const double x = (double)c->copies[n * c->events + t].x;
  double most = x, sum = 0;
  for (int64_t i = t; i < length_of(c, n); i++)
    if (codes[i] == codes[t] && (double)score[i] > most - (double)c->shift)
      most = (double)score[i] + (double)c->shift;
  for (int64_t i = t; i < length_of(c, n); i++)
    if (codes[i] == codes[t]) sum += exp((double)score[i] + (double)c->shift - most);
  return (float)(most + log(sum + exp(x - most)));
}

// What is known of a row by its tiles becomes what it is with events.
static void add_events(const catalogue *c, int64_t n) {
  const int32_t *codes = c->codes + n * c->events;
  copied *copies = c->copies + n * c->events;
  row *r = &c->rows[n];
  float largest = r->largest;
  double rest = 0;
  for (int64_t t = 0; t < length_of(c, n); t++) {
    if (co_class_of_code(codes[t], c->V) < 0) continue;
    const int64_t first = first_of_class(codes, t);
    copies[t].y = first < t ? copies[first].y : mix(c, n, t);
    if (first == t) r->logits += (double)copies[t].y - (double)copies[t].x;
    if (codes[t] - 1 == c->target[n]) r->own = copies[t].y;
    if (copies[t].y > largest) largest = copies[t].y;
  }
  r->before = r->before && r->largest == largest;
  for (int64_t t = 0; t < length_of(c, n); t++) {
    const int64_t k = co_class_of_code(codes[t], c->V);
    if (k < 0 || k == c->target[n]) continue;
    rest += exp((double)c->score[n * c->events + t] + (double)c->shift - (double)largest);
    r->before = r->before || (k < c->target[n] && copies[t].y == largest);
  }
  r->rest = (float)((double)r->rest * exp((double)r->largest - (double)largest) + rest);
  r->largest = largest;
}

// The slopes of the logits with events are shared out among what made them.
static void share_slopes(const catalogue *c, int64_t n, float even, float *dscore) {
  const bool adds = co_cpu_accumulates(c->desc, dscore_at);
  const row *r = &c->rows[n];
  for (int64_t t = 0; t < c->events; t++) {
    const int64_t at = n * c->events + t, k = co_class_of_code(c->codes[at], c->V);
    const bool counts = t < length_of(c, n) && k >= 0;
    float slope = 0;
    if (counts) {
      const copied *of = &c->copies[at];
      slope = k == c->target[n] ? r->slope : expf(of->y - r->largest) * r->scale - even;
      // Not of two of -INFINITY.
      c->copies[at].slope = of->x == of->y ? slope : slope * expf(of->x - of->y);
      slope *= expf(c->score[at] + c->shift - of->y);
    }
    if (dscore) dscore[at] = (adds ? dscore[at] : 0) + slope;
  }
}

static void put_copied(const catalogue *c, int64_t first, int64_t n) {
  const int32_t *codes = c->codes + n * c->events;
  for (int64_t t = 0; t < length_of(c, n); t++) {
    const int64_t k = co_class_of_code(codes[t], c->V) - first;
    if (k >= 0 && k < classes_of(c, first))
      c->z[n * c->stride + k] = c->copies[n * c->events + t].slope;
  }
}

static float even_of(const catalogue *c, int64_t n) {
  return (float)(c->desc->attr.label_smoothing / (double)c->V) * factor_of(c, n);
}

static void make_slopes(const catalogue *c, const co_cpu *cpu, int64_t first, int64_t begin,
                        int64_t end) {
  const int64_t count = classes_of(c, first), padded = panels_of(c, first) * c->C;
  for (int64_t n = begin; n < end; n++) {
    float *z = c->z + n * c->stride;
    const int64_t kept = c->weight[n] != 0 ? count : 0; // missing: not even a NaN counts
    if (kept) slopes_of_row[cpu->isa](z, count, own_of(c, n, first), even_of(c, n), &c->rows[n]);
    put_copied(c, first, n);
    memset(z + kept, 0, (size_t)(padded - kept) * sizeof *z);
  }
}

// ---- passes over the tiles ---------------------------------------------------------------------

static void start_rows(const catalogue *c, int64_t begin, int64_t end) {
  for (int64_t n = begin; n < end; n++) {
    c->x_rows[n] = c->x + n * c->D;
    c->z_rows[n] = c->z + n * c->stride;
    // Not -INFINITY: from it a tile of nothing else would have no distance.
    c->rows[n] = (row){.largest = -FLT_MAX, .own = NAN, .before = c->target[n] != 0};
  }
  if (co_cpu_has_out(c->desc, dx_at))
    memset(c->dx + begin * c->padded, 0, (size_t)((end - begin) * c->padded) * sizeof *c->dx);
  if (co_cpu_has_out(c->desc, dw_at) && c->desc->attr.transposed) pack_rows(c, begin, end);
}

static void scan_tiles(const catalogue *c, const co_cpu *cpu, int64_t begin, int64_t end) {
  int buffer = 0; // while others read one, the next tile is packed to the other
  for (int64_t first = 0; first < c->V; first += c->T, buffer = !buffer) {
    pack_tile(c, first, buffer, false);
#pragma omp barrier
    make_logits(c, first, buffer, begin, end);
    for (int64_t n = begin; n < end; n++) {
      if (c->weight[n] == 0) continue;
      scan_row[cpu->isa](c->z + n * c->stride, classes_of(c, first), own_of(c, n, first),
                         c->target[n] >= first + classes_of(c, first),
                         c->desc->attr.label_smoothing > 0, &c->rows[n]);
      read_copied(c, first, n);
    }
  }
}

static void finish_rows(const catalogue *c, const co_cpu *cpu, int64_t begin, int64_t end,
                        float *loss, float *dscore) {
  for (int64_t n = begin; n < end; n++) {
    const bool known = c->target[n] >= 0 && c->target[n] < c->V;
    loss[n] = 0;
    add_events(c, n);
    if (c->weight[n] != 0)
      finish[cpu->isa](&c->rows[n], known, factor_of(c, n), (float)c->desc->attr.label_smoothing,
                       c->V, &loss[n]);
    share_slopes(c, n, even_of(c, n), dscore);
  }
}

static void differentiate_tiles(const catalogue *c, const co_cpu *cpu, bool wants_dx, int64_t begin,
                                int64_t end) {
#pragma omp barrier
  for (int64_t first = 0; first < c->V; first += c->T) {
    pack_tile(c, first, 0, wants_dx);
#pragma omp barrier
    make_logits(c, first, 0, begin, end);
    make_slopes(c, cpu, first, begin, end);
    if (wants_dx) add_dx(c, first, begin, end);
#pragma omp barrier
    if (c->dw || c->db) make_dw(c, first);
  }
}

static void put_dx(const catalogue *c, float *dx, int64_t begin, int64_t end) {
  const bool adds = co_cpu_accumulates(c->desc, dx_at);
  for (int64_t n = begin; n < end; n++)
    for (int64_t d = 0; d < c->D; d++)
      dx[n * c->D + d] = (adds ? dx[n * c->D + d] : 0) + c->dx[n * c->padded + d];
}

// Over rows in order.
static void put_sums(const catalogue *c, const float *loss, double *sum, double *hits) {
  double total = 0, found[2] = {0, 0};
  for (int64_t n = 0; n < c->N; n++) {
    const double weight = (double)c->weight[n];
    if (weight != 0) total += weight * (double)loss[n];
    if (c->rows[n].hit) found[0] += weight;
    found[1] += weight;
  }
  *sum = (co_cpu_accumulates(c->desc, CO_LINEAR_CROSS_ENTROPY_sum) ? *sum : 0) + total;
  for (int i = 0; hits && i < 2; i++)
    hits[i] = (co_cpu_accumulates(c->desc, hits_at) ? hits[i] : 0) + found[i];
}

static co_status run_linear_cross_entropy(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                          void *const *out, void *workspace) {
  const co_step *step = in[CO_LINEAR_CROSS_ENTROPY_step];
  float *loss = out[CO_LINEAR_CROSS_ENTROPY_loss], *dx = out[dx_at];
  catalogue c = catalogue_of(cpu, &prepared->desc);
  (void)place(&c, cpu, workspace);
  c.x = in[CO_LINEAR_CROSS_ENTROPY_x];
  c.w = in[CO_LINEAR_CROSS_ENTROPY_w];
  c.b = in[CO_LINEAR_CROSS_ENTROPY_b];
  c.target = in[CO_LINEAR_CROSS_ENTROPY_target];
  c.weight = in[CO_LINEAR_CROSS_ENTROPY_weight];
  c.score = in[score_at];
  c.codes = in[CO_LINEAR_CROSS_ENTROPY_codes];
  c.lengths = in[CO_LINEAR_CROSS_ENTROPY_lengths];
  c.dw = out[dw_at];
  c.db = out[db_at];
  c.inv_norm = step->inv_norm[prepared->desc.attr.output];
#pragma omp parallel if (c.N * c.V > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(c.N, 1, &begin, &end);
    start_rows(&c, begin, end);
    scan_tiles(&c, cpu, begin, end);
    finish_rows(&c, cpu, begin, end, loss, out[dscore_at]);
    if (dx || c.dw || c.db) differentiate_tiles(&c, cpu, dx != NULL, begin, end);
    if (dx) put_dx(&c, dx, begin, end);
  }
  put_sums(&c, loss, out[CO_LINEAR_CROSS_ENTROPY_sum], out[hits_at]);
  return CO_OK;
}

const co_cpu_impl co_cpu_catalogue[] = {
    {.op = CO_OP_LINEAR_CROSS_ENTROPY,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_linear_cross_entropy,
     .workspace = workspace_of,
     .f32_in = 0x57,
     .f32_out = 0x5D,
     .accumulate = 0x7E},
    {.name = NULL},
};
