// SPDX-License-Identifier: Apache-2.0
#include "host/tune/forest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/rng.h"

enum { TREES = 64, MOST_DEPTH = 64 };

// Numbers go left where their place is no larger than `at`, categories where they are `at`.
typedef struct node {
  int64_t parameter; // -1 = a leaf
  double at, value;  // of a leaf the mean of its trials
  int64_t left, right;
} node;

struct co_forest {
  co_context *ctx;
  const co_space *space; // borrowed
  int64_t rows, columns;
  double *x; // (columns, rows): places, of choices the number of the category
  double *y; // standardised
  double mean, deviation;
  node *nodes; // of all trees
  int64_t count, capacity;
  int64_t root[TREES];
};

// ---- growing -----------------------------------------------------------------------------------

typedef struct growth {
  co_forest *f;
  int64_t *order; // (columns, rows): all rows by x
  int64_t *rows;  // (columns, rows): those of the tree, by x within each node
  int64_t *room;  // (rows)
  double *weight; // of a row: how often it was drawn
  bool *left;     // of a row, at a split
  double *sums;   // of categories: weights, then values
} growth;

typedef struct split {
  int64_t parameter; // -1 = none
  double at, gain;
} split;

static void consider(split *best, int64_t parameter, double at, double weight, double sum,
                     double all_weight, double all_sum) {
  double rest = all_weight - weight;
  if (!(weight > 0) || !(rest > 0)) return;
  double other = all_sum - sum, gain = sum * sum / weight + other * other / rest;
  if (gain > best->gain) *best = (split){parameter, at, gain};
}

static void split_categories(const growth *g, int64_t p, const int64_t *rows, int64_t count,
                             double all_weight, double all_sum, split *best) {
  const int64_t categories = g->f->space->item[p].category_count;
  double *weight = g->sums, *sum = g->sums + categories;
  memset(g->sums, 0, 2 * (size_t)categories * sizeof *g->sums);
  for (int64_t i = 0; i < count; i++) {
    int64_t c = (int64_t)g->f->x[p * g->f->rows + rows[i]];
    weight[c] += g->weight[rows[i]];
    sum[c] += g->weight[rows[i]] * g->f->y[rows[i]];
  }
  for (int64_t c = 0; c < categories; c++)
    consider(best, p, (double)c, weight[c], sum[c], all_weight, all_sum);
}

static void split_numbers(const growth *g, int64_t p, const int64_t *rows, int64_t count,
                          double all_weight, double all_sum, split *best) {
  const double *x = g->f->x + p * g->f->rows;
  double weight = 0, sum = 0;
  for (int64_t i = 0; i + 1 < count; i++) {
    weight += g->weight[rows[i]];
    sum += g->weight[rows[i]] * g->f->y[rows[i]];
    if (x[rows[i]] < x[rows[i + 1]])
      consider(best, p, 0.5 * (x[rows[i]] + x[rows[i + 1]]), weight, sum, all_weight, all_sum);
  }
}

// The split after which the trials of both sides differ least from their means.
static split find_split(const growth *g, int64_t from, int64_t to, double *mean) {
  const co_forest *f = g->f;
  const int64_t *first = g->rows + from;
  double weight = 0, sum = 0, low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < to - from; i++) {
    double y = f->y[first[i]];
    weight += g->weight[first[i]];
    sum += g->weight[first[i]] * y;
    low = fmin(low, y);
    high = fmax(high, y);
  }
  split best = {-1, 0, sum * sum / weight};
  *mean = sum / weight;
  for (int64_t p = 0; low < high && p < f->columns; p++) {
    const int64_t *rows = g->rows + p * f->rows + from;
    f->space->item[p].category_count ? split_categories(g, p, rows, to - from, weight, sum, &best)
                                     : split_numbers(g, p, rows, to - from, weight, sum, &best);
  }
  return best;
}

// Moves what goes left to the front, in each column's order; how many there are.
static int64_t part(const growth *g, int64_t from, int64_t to, const split *s) {
  const co_forest *f = g->f;
  const double *x = f->x + s->parameter * f->rows;
  const bool equal = f->space->item[s->parameter].category_count > 0;
  int64_t lefts = 0;
  for (int64_t i = from; i < to; i++) {
    int64_t row = g->rows[i];
    g->left[row] = equal ? x[row] == s->at : x[row] <= s->at;
    lefts += g->left[row];
  }
  for (int64_t p = 0; p < f->columns; p++) {
    int64_t *rows = g->rows + p * f->rows, left = from, right = 0;
    for (int64_t i = from; i < to; i++)
      if (g->left[rows[i]])
        rows[left++] = rows[i];
      else
        g->room[right++] = rows[i];
    memcpy(rows + left, g->room, (size_t)right * sizeof *rows);
  }
  return lefts;
}

static co_status grow(growth *g, int64_t from, int64_t to, int depth, int64_t *out) {
  co_forest *f = g->f;
  node own = {.parameter = -1};
  split s = find_split(g, from, to, &own.value);
  CO_RETURN_IF_FAILED(
      co_grow(f->ctx, (void **)&f->nodes, &f->capacity, f->count, sizeof *f->nodes));
  const int64_t at = *out = f->count++;
  if (depth < MOST_DEPTH && s.parameter >= 0) {
    int64_t middle = from + part(g, from, to, &s);
    own.parameter = s.parameter;
    own.at = s.at;
    CO_RETURN_IF_FAILED(grow(g, from, middle, depth + 1, &own.left));
    CO_RETURN_IF_FAILED(grow(g, middle, to, depth + 1, &own.right));
  }
  f->nodes[at] = own;
  return CO_OK;
}

// Over as many rows as there are, drawn with replacement.
static co_status grow_tree(growth *g, int tree) {
  co_forest *f = g->f;
  const uint32_t purpose = co_purpose("hyperopt", "forest");
  int64_t drawn = 0;
  memset(g->weight, 0, (size_t)f->rows * sizeof *g->weight);
  for (int64_t i = 0; i < f->rows; i++)
    g->weight[co_random_bits(0, (uint64_t)i, (uint32_t)tree, purpose) * (uint64_t)f->rows >> 32]++;
  for (int64_t p = 0; p < f->columns; p++) {
    drawn = 0;
    for (int64_t i = 0; i < f->rows; i++) {
      int64_t row = g->order[p * f->rows + i];
      if (g->weight[row] > 0) g->rows[p * f->rows + drawn++] = row;
    }
  }
  return grow(g, 0, drawn, 0, &f->root[tree]);
}

// ---- trials ------------------------------------------------------------------------------------

typedef struct placed {
  double x;
  int64_t row;
} placed;

static int by_place(const void *a, const void *b) {
  const placed *p = a, *q = b;
  if (p->x != q->x) return p->x < q->x ? -1 : 1;
  return (p->row > q->row) - (p->row < q->row);
}

static bool counts(const co_trial *t) {
  return t->state == CO_TRIAL_COMPLETE && isfinite(t->value);
}

static double place_of(const co_parameter *p, double value) {
  if (isnan(value)) value = co_parameter_value(p, 0.5);
  return p->category_count ? value : co_parameter_place(p, value);
}

static void fill(co_forest *f, const co_trials *trials) {
  double squares = 0;
  int64_t row = 0;
  f->mean = 0;
  for (int64_t k = 0; k < trials->count; k++) {
    const co_trial *t = &trials->item[k];
    if (!counts(t)) continue;
    for (int64_t p = 0; p < f->columns; p++)
      f->x[p * f->rows + row] = place_of(&f->space->item[p], t->values[p]);
    f->y[row++] = t->value;
    f->mean += t->value / (double)f->rows;
  }
  for (int64_t i = 0; i < f->rows; i++)
    squares += (f->y[i] - f->mean) * (f->y[i] - f->mean);
  f->deviation = sqrt(squares / (double)f->rows);
  for (int64_t i = 0; i < f->rows; i++)
    f->y[i] = f->deviation > 0 ? (f->y[i] - f->mean) / f->deviation : 0;
}

static void sort(const co_forest *f, int64_t *order, placed *room) {
  for (int64_t p = 0; p < f->columns; p++) {
    for (int64_t i = 0; i < f->rows; i++)
      room[i] = (placed){f->x[p * f->rows + i], i};
    qsort(room, (size_t)f->rows, sizeof *room, by_place);
    for (int64_t i = 0; i < f->rows; i++)
      order[p * f->rows + i] = room[i].row;
  }
}

static co_status grow_all(co_forest *f) {
  const size_t rows = (size_t)f->rows, cells = rows * (size_t)f->columns;
  int64_t most = 1;
  for (int64_t p = 0; p < f->columns; p++)
    if (f->space->item[p].category_count > most) most = f->space->item[p].category_count;
  placed *room = co_alloc(f->ctx, rows * sizeof *room);
  growth g = {.f = f,
              .order = co_alloc(f->ctx, cells * sizeof *g.order),
              .rows = co_alloc(f->ctx, cells * sizeof *g.rows),
              .room = co_alloc(f->ctx, rows * sizeof *g.room),
              .weight = co_alloc(f->ctx, rows * sizeof *g.weight),
              .left = co_alloc(f->ctx, rows * sizeof *g.left),
              .sums = co_alloc(f->ctx, 2 * (size_t)most * sizeof *g.sums)};
  bool there = room && g.order && g.rows && g.room && g.weight && g.left && g.sums;
  co_status status = there ? CO_OK : CO_ERR_MEMORY;
  if (there) sort(f, g.order, room);
  for (int tree = 0; status == CO_OK && tree < TREES; tree++)
    status = grow_tree(&g, tree);
  co_free(f->ctx, room);
  co_free(f->ctx, g.order);
  co_free(f->ctx, g.rows);
  co_free(f->ctx, g.room);
  co_free(f->ctx, g.weight);
  co_free(f->ctx, g.left);
  co_free(f->ctx, g.sums);
  return status;
}

co_status co_forest_create(co_forest **out, co_context *ctx, const co_space *space,
                           const co_trials *trials) {
  int64_t rows = 0;
  *out = NULL;
  for (int64_t k = 0; k < trials->count; k++)
    rows += counts(&trials->item[k]);
  if (rows < 2 || rows > UINT32_MAX || !space->count) return CO_OK;
  co_forest *f = co_alloc_zero(ctx, 1, sizeof *f);
  if (!f) return CO_ERR_MEMORY;
  f->ctx = ctx;
  f->space = space;
  f->rows = rows;
  f->columns = space->count;
  f->x = co_alloc(ctx, (size_t)rows * (size_t)f->columns * sizeof *f->x);
  f->y = co_alloc(ctx, (size_t)rows * sizeof *f->y);
  co_status status = f->x && f->y ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) {
    fill(f, trials);
    status = grow_all(f);
  }
  if (status == CO_OK)
    *out = f;
  else
    co_forest_free(f);
  return status;
}

void co_forest_free(co_forest *f) {
  if (!f) return;
  co_free(f->ctx, f->x);
  co_free(f->ctx, f->y);
  co_free(f->ctx, f->nodes);
  co_free(f->ctx, f);
}

// ---- leaves ------------------------------------------------------------------------------------

// The part of the space that a leaf is for. Of a choice either one category, or all that are not excluded.
typedef struct box {
  const co_space *space;
  double low[CO_MOST_PARAMETERS], high[CO_MOST_PARAMETERS]; // of choices the share of it
  int64_t only[CO_MOST_PARAMETERS];                         // -1 = several
  bool *excluded[CO_MOST_PARAMETERS];
} box;

typedef void visitor(void *user, const box *b, double value);

static double side(const box *b, int64_t p) {
  return b->only[p] >= 0 ? 1 / (double)b->space->item[p].category_count : b->high[p] - b->low[p];
}

static bool holds(const box *b, int64_t p, double x) {
  if (!b->space->item[p].category_count) return x > b->low[p] && x <= b->high[p];
  return b->only[p] >= 0 ? (double)b->only[p] == x : !b->excluded[p][(int64_t)x];
}

static void walk(const co_forest *f, int64_t at, box *b, visitor *visit, void *user) {
  const node *n = &f->nodes[at];
  const int64_t p = n->parameter;
  if (p < 0) {
    visit(user, b, n->value);
    return;
  }
  const double low = b->low[p], high = b->high[p];
  const int64_t categories = f->space->item[p].category_count;
  if (categories) {
    const int64_t c = (int64_t)n->at, only = b->only[p];
    b->only[p] = c;
    walk(f, n->left, b, visit, user);
    b->only[p] = only;
    b->excluded[p][c] = true;
    b->high[p] = high - 1 / (double)categories;
    walk(f, n->right, b, visit, user);
    b->excluded[p][c] = false;
  } else {
    b->high[p] = n->at;
    walk(f, n->left, b, visit, user);
    b->high[p] = high;
    b->low[p] = n->at;
    walk(f, n->right, b, visit, user);
    b->low[p] = low;
  }
  b->high[p] = high;
}

// `excluded` has room for all categories of all choices, false.
static void whole(box *b, const co_space *space, bool *excluded) {
  b->space = space;
  for (int64_t p = 0; p < space->count; p++) {
    b->low[p] = 0;
    b->high[p] = 1;
    b->only[p] = -1;
    b->excluded[p] = excluded;
    excluded += space->item[p].category_count;
  }
}

static bool *room_for_categories(const co_forest *f) {
  size_t all = 1;
  for (int64_t p = 0; p < f->columns; p++)
    all += (size_t)f->space->item[p].category_count;
  return co_alloc_zero(f->ctx, all, sizeof(bool));
}

// ---- importances -------------------------------------------------------------------------------

typedef struct event {
  double at, change;
} event;

static int by_at(const void *a, const void *b) {
  double x = ((const event *)a)->at, y = ((const event *)b)->at;
  return (x > y) - (x < y);
}

// Of one tree.
typedef struct marginals {
  int64_t columns, leaves, most;
  event *events;   // (columns, 2 most): where a number's marginal changes
  double *share;   // of each category of each choice: its marginal
  int64_t *offset; // (columns): where a choice's begin
  double mean, squares;
} marginals;

static void add_leaf(void *user, const box *b, double value) {
  marginals *m = user;
  double volume = 1;
  for (int64_t p = 0; p < m->columns; p++)
    volume *= side(b, p);
  m->mean += volume * value;
  m->squares += volume * value * value;
  for (int64_t p = 0; p < m->columns; p++) {
    const double own = volume / side(b, p) * value;
    const int64_t categories = b->space->item[p].category_count;
    event *e = m->events + 2 * (p * m->most + m->leaves);
    for (int64_t c = 0; c < categories; c++)
      if (holds(b, p, (double)c)) m->share[m->offset[p] + c] += own;
    e[0] = (event){b->low[p], own};
    e[1] = (event){b->high[p], -own};
  }
  m->leaves++;
}

static double variance_of_choice(const marginals *m, int64_t p, int64_t categories) {
  double sum = 0;
  for (int64_t c = 0; c < categories; c++) {
    double off = m->share[m->offset[p] + c] - m->mean;
    sum += off * off / (double)categories;
  }
  return sum;
}

static double variance_of_number(const marginals *m, int64_t p) {
  event *e = m->events + 2 * p * m->most;
  double sum = 0, value = 0;
  qsort(e, 2 * (size_t)m->leaves, sizeof *e, by_at);
  for (int64_t i = 0; i + 1 < 2 * m->leaves; i++) {
    value += e[i].change;
    sum += (e[i + 1].at - e[i].at) * (value - m->mean) * (value - m->mean);
  }
  return sum;
}

// Adds what each parameter explains of a tree's variance.
static void explain(const co_forest *f, int tree, marginals *m, box *b, double *out) {
  m->leaves = 0;
  m->mean = m->squares = 0;
  for (int64_t p = 0; p < f->columns; p++)
    for (int64_t c = 0; c < f->space->item[p].category_count; c++)
      m->share[m->offset[p] + c] = 0;
  walk(f, f->root[tree], b, add_leaf, m);
  const double variance = m->squares - m->mean * m->mean;
  if (!(variance > 1e-12)) return;
  for (int64_t p = 0; p < f->columns; p++) {
    const int64_t categories = f->space->item[p].category_count;
    out[p] +=
        (categories ? variance_of_choice(m, p, categories) : variance_of_number(m, p)) / variance;
  }
}

co_status co_forest_importances(double *out, const co_forest *f) {
  int64_t categories = 0;
  double sum = 0;
  box b;
  bool *excluded = room_for_categories(f);
  marginals m = {.columns = f->columns,
                 .most = f->rows, // leaves of a tree
                 .offset = co_alloc(f->ctx, (size_t)f->columns * sizeof *m.offset)};
  for (int64_t p = 0; m.offset && p < f->columns; p++) {
    m.offset[p] = categories;
    categories += f->space->item[p].category_count;
    out[p] = 0;
  }
  m.events = co_alloc(f->ctx, 2 * (size_t)(f->columns * m.most) * sizeof *m.events);
  m.share = co_alloc(f->ctx, (size_t)(categories + 1) * sizeof *m.share);
  co_status status = excluded && m.offset && m.events && m.share ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) {
    whole(&b, f->space, excluded);
    for (int tree = 0; tree < TREES; tree++)
      explain(f, tree, &m, &b, out);
    for (int64_t p = 0; p < f->columns; p++)
      sum += out[p];
    for (int64_t p = 0; sum > 0 && p < f->columns; p++)
      out[p] /= sum;
  }
  co_free(f->ctx, excluded);
  co_free(f->ctx, m.offset);
  co_free(f->ctx, m.events);
  co_free(f->ctx, m.share);
  return status;
}

// ---- two parameters ----------------------------------------------------------------------------

int64_t co_surface_cells(const co_parameter *p) {
  return p->category_count ? p->category_count : CO_SURFACE_CELLS;
}

typedef struct surface {
  double *out;
  int64_t a, b, wide, high;
} surface;

static double middle_of(const co_parameter *p, int64_t cell) {
  return p->category_count ? (double)cell : ((double)cell + 0.5) / CO_SURFACE_CELLS;
}

static void add_to_surface(void *user, const box *b, double value) {
  surface *s = user;
  const co_parameter *x = &b->space->item[s->a], *y = &b->space->item[s->b];
  double volume = 1;
  for (int64_t p = 0; p < b->space->count; p++)
    if (p != s->a && p != s->b) volume *= side(b, p);
  for (int64_t k = 0; k < s->high; k++) {
    if (!holds(b, s->b, middle_of(y, k))) continue;
    for (int64_t i = 0; i < s->wide; i++)
      if (holds(b, s->a, middle_of(x, i))) s->out[k * s->wide + i] += volume * value;
  }
}

co_status co_forest_surface(double *out, const co_forest *f, int64_t a, int64_t b) {
  surface s = {.out = out,
               .a = a,
               .b = b,
               .wide = co_surface_cells(&f->space->item[a]),
               .high = co_surface_cells(&f->space->item[b])};
  box all;
  bool *excluded = room_for_categories(f);
  if (!excluded) return CO_ERR_MEMORY;
  memset(out, 0, (size_t)(s.wide * s.high) * sizeof *out);
  whole(&all, f->space, excluded);
  for (int tree = 0; tree < TREES; tree++)
    walk(f, f->root[tree], &all, add_to_surface, &s);
  for (int64_t i = 0; i < s.wide * s.high; i++)
    out[i] = f->mean + f->deviation * out[i] / TREES;
  co_free(f->ctx, excluded);
  return CO_OK;
}
