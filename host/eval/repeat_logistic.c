// SPDX-License-Identifier: Apache-2.0
// What of a history is had again: of each of its items a logistic regression on how often it is in there, how
// often it could have been since the first time, how popular it is of late, less so and ever, and how often
// others had it again. It learns from training customers as of two earlier times, a tenth and two tenths of the
// log before its end, what they had next, and gives of all items the chance to be in the next step. Of an
// output are stored "share" (next_items.h), "item" f64 (classes), what is known of each item, and "weight" f64 (3), and "novelty" f64 (1).
#include <math.h>
#include <string.h>

#include "host/eval/next_items.h"
#include "host/eval/solver.h"

enum { OF_HISTORY = 3, WINDOWS = 3, OF_ITEM = WINDOWS + 1, FEATURES = OF_HISTORY + OF_ITEM };
enum { CUTS = 2, MOST_ROWS = 1000000, PRIOR = 5 };
// Shares of the time between the log's ends.
static const double least_novelty = .01;
static const double windows[WINDOWS] = {.1, 1. / 3, INFINITY}, cuts[CUTS] = {.1, .2};

// ---- what a history says -----------------------------------------------------------------------

// One event after the other; begins with k and step at -1.
typedef struct visit {
  int64_t k, step; // numbers of the event, and of its step
  int32_t item;
  double time; // 0 without times
} visit;

static bool visit_event(const co_history *h, int64_t begin, int64_t end, visit *v) {
  const int64_t event = begin + ++v->k;
  if (event >= end) return false;
  v->step += v->k == 0 || !co_history_same_step(h, event - 1, event);
  v->item = h->item[event];
  v->time = h->time.values ? co_numbers_at(&h->time, event) : 0;
  return true;
}

// The items of one history.
typedef struct tally {
  int64_t *count, *first, *last; // by item: steps with it, the first and the last of them
  int32_t *items;
  int64_t item_count, steps;
} tally;

static co_status open_tally(tally *t, co_context *ctx, int64_t classes) {
  const size_t count = (size_t)classes + 1;
  *t = (tally){.count = co_alloc_zero(ctx, count, sizeof *t->count)};
  t->first = co_alloc(ctx, count * sizeof *t->first);
  t->last = co_alloc(ctx, count * sizeof *t->last);
  t->items = co_alloc(ctx, count * sizeof *t->items);
  return t->count && t->first && t->last && t->items ? CO_OK : CO_ERR_MEMORY;
}

static void close_tally(tally *t, co_context *ctx) {
  co_free(ctx, t->count);
  co_free(ctx, t->first);
  co_free(ctx, t->last);
  co_free(ctx, t->items);
}

static void clear_tally(tally *t) {
  for (int64_t i = 0; i < t->item_count; i++)
    t->count[t->items[i]] = 0;
  t->item_count = t->steps = 0;
}

// Whether the item is the first of its kind in its step.
static bool count_item(tally *t, const visit *v) {
  t->steps = v->step + 1;
  if (v->item < 0 || (t->count[v->item] && t->last[v->item] == v->step)) return false;
  if (!t->count[v->item]++) {
    t->first[v->item] = v->step;
    t->items[t->item_count++] = v->item;
  }
  t->last[v->item] = v->step;
  return true;
}

// In how many steps after the first with it an item could have been.
static int64_t chances_of(const tally *t, int32_t item) {
  return t->steps - 1 - t->first[item];
}

static void describe(const tally *t, int32_t item, double *out) {
  out[0] = log((double)t->count[item]);
  out[1] = log((double)t->steps);
  out[2] = log((double)chances_of(t, item) + 1);
}

// ---- what training samples saw -----------------------------------------------------------------

// Of each entity the longest history that a sample has, then what followed it.
typedef struct purchases {
  const co_history *history;
  int64_t *begin, *end;  // per entity: its events
  int64_t *target_first; // (entities + 1)
  int32_t *target;       // what came next
  double *due;           // per entity: when
  double first, last;    // times of all
  int64_t count;         // events
} purchases;

static void close_purchases(purchases *p, co_context *ctx) {
  co_free(ctx, p->begin);
  co_free(ctx, p->end);
  co_free(ctx, p->target_first);
  co_free(ctx, p->target);
  co_free(ctx, p->due);
}

// The entity of which a sample is the last; -1 = of none.
static int64_t entity_of_last(const purchases *p, int64_t sample) {
  const co_history *h = p->history;
  const int64_t entity = h->entity ? h->entity[sample] : sample;
  const bool known = entity >= 0 && h->target[sample] >= 0 && (h->as_of || !h->time.values);
  return known && h->begin[sample] == p->begin[entity] && h->end[sample] == p->end[entity] ? entity
                                                                                           : -1;
}

static void take_targets(purchases *p, const co_fit_data *data) {
  const co_history *h = p->history;
  for (int64_t i = 0; i < data->sample_count; i++) {
    const int64_t entity = entity_of_last(p, data->samples[i]);
    if (entity >= 0) p->target_first[entity + 1]++;
  }
  for (int64_t i = 0; i < h->entities; i++)
    p->target_first[i + 1] += p->target_first[i];
  const int64_t total = p->target_first[h->entities];
  for (int64_t i = data->sample_count; i-- > 0;) { // filled from each entity's end
    const int64_t sample = data->samples[i], entity = entity_of_last(p, sample);
    if (entity < 0) continue;
    p->target[--p->target_first[entity + 1]] = h->target[sample];
    p->due[entity] = h->time.values ? (double)h->as_of[sample] : 0;
  }
  // Each entry is now where its own targets begin, one place too late.
  memmove(p->target_first, p->target_first + 1, (size_t)h->entities * sizeof *p->target_first);
  p->target_first[h->entities] = total;
}

static bool next_visit(const purchases *p, int64_t entity, visit *v) {
  const int64_t own = p->end[entity] - p->begin[entity], first = p->target_first[entity];
  if (v->k + 1 < own) return visit_event(p->history, p->begin[entity], p->end[entity], v);
  if (++v->k - own >= p->target_first[entity + 1] - first) return false;
  v->step += v->k == own;
  v->item = p->target[first + v->k - own];
  v->time = p->due[entity];
  return true;
}

static co_status open_purchases(purchases *p, co_context *ctx, const co_fit_data *data) {
  const co_history *h = data->history;
  const size_t entities = (size_t)h->entities;
  *p = (purchases){.history = h, .first = INFINITY, .last = -INFINITY};
  CO_RETURN_IF_FAILED(
      co_history_longest(&p->begin, &p->end, ctx, h, data->samples, data->sample_count));
  p->target_first = co_alloc_zero(ctx, entities + 1, sizeof *p->target_first);
  p->target = co_alloc(ctx, ((size_t)data->sample_count + 1) * sizeof *p->target);
  p->due = co_alloc_zero(ctx, entities + 1, sizeof *p->due);
  if (!p->target_first || !p->target || !p->due) return CO_ERR_MEMORY;
  take_targets(p, data);
  for (int64_t i = 0; i < h->entities; i++)
    for (visit v = {.k = -1, .step = -1}; next_visit(p, i, &v); p->count++) {
      p->first = fmin(p->first, v.time);
      p->last = fmax(p->last, v.time);
    }
  return CO_OK;
}

// ---- learning ----------------------------------------------------------------------------------

// A time as of which purchases are looked at: the events before `until`, windows end `at`. Without times
// all that training samples see is before, and what they have next is not.
typedef struct cut {
  double until, at;
} cut;

static bool is_before(const purchases *p, const cut *c, int64_t entity, const visit *v) {
  if (p->history->time.values || isinf(c->until)) return v->time < c->until;
  return v->k < p->end[entity] - p->begin[entity];
}

typedef struct learning {
  co_context *ctx;
  purchases purchases;
  tally tally;
  double *item; // (OF_ITEM, classes)
  double *repeats, *chances;
  bool *bought;  // by item: in the next step
  int64_t every; // of entities
  co_design rows;
  co_design_columns columns;
  float *target, *weight; // per row
  int64_t capacity, positives;
  int64_t followed, novel; // next steps, and the items in them that were not had before
} learning;

static void add_to_items(learning *l) {
  const tally *t = &l->tally;
  for (int64_t i = 0; i < t->item_count; i++) {
    l->repeats[t->items[i]] += (double)(t->count[t->items[i]] - 1);
    l->chances[t->items[i]] += (double)chances_of(t, t->items[i]);
  }
}

static void count_items(learning *l, const cut *c) {
  const purchases *p = &l->purchases;
  const int64_t classes = p->history->classes;
  const double span = p->last - p->first;
  memset(l->item, 0, (size_t)(OF_ITEM * classes) * sizeof *l->item);
  memset(l->repeats, 0, (size_t)classes * sizeof *l->repeats);
  memset(l->chances, 0, (size_t)classes * sizeof *l->chances);
  for (int64_t i = 0; i < p->history->entities; i++) {
    for (visit v = {.k = -1, .step = -1}; next_visit(p, i, &v) && is_before(p, c, i, &v);) {
      if (!count_item(&l->tally, &v)) continue;
      for (int w = 0; w < WINDOWS; w++)
        l->item[w * classes + v.item] += isinf(windows[w]) || v.time >= c->at - windows[w] * span;
    }
    add_to_items(l);
    clear_tally(&l->tally);
  }
}

// Logarithms of shares, of which that of an average item is 1, and of the rate of repeats, for which
// PRIOR chances of an average item are added to each one's.
static void describe_items(learning *l, const cut *c) {
  const int64_t classes = l->purchases.history->classes;
  double repeats = .5, chances = 1;
  count_items(l, c);
  for (int w = 0; w < WINDOWS; w++) {
    double *share = l->item + w * classes, total = 0;
    for (int64_t k = 0; k < classes; k++)
      total += share[k] = fmax(share[k], .5);
    for (int64_t k = 0; k < classes; k++)
      share[k] = log(share[k] / total * (double)classes);
  }
  for (int64_t k = 0; k < classes; k++) {
    repeats += l->repeats[k];
    chances += l->chances[k];
  }
  for (int64_t k = 0; k < classes; k++)
    l->item[WINDOWS * classes + k] =
        log((l->repeats[k] + PRIOR * repeats / chances) / (l->chances[k] + PRIOR));
}

static void add_rows(learning *l) {
  const int64_t classes = l->purchases.history->classes;
  double x[OF_HISTORY];
  for (int64_t i = 0; i < l->tally.item_count; i++) {
    const int32_t item = l->tally.items[i];
    float *row = l->rows.numbers + l->rows.rows * FEATURES;
    describe(&l->tally, item, x);
    for (int k = 0; k < OF_HISTORY; k++)
      row[k] = (float)x[k];
    for (int k = 0; k < OF_ITEM; k++)
      row[OF_HISTORY + k] = (float)l->item[k * classes + item];
    l->positives += l->bought[item];
    l->target[l->rows.rows] = l->bought[item];
    l->weight[l->rows.rows++] = 1;
  }
}

// Of an entity: what it had before, and whether that was in its next step.
static void learn_of(learning *l, const cut *c, int64_t entity) {
  const purchases *p = &l->purchases;
  visit v = {.k = -1, .step = -1};
  bool more;
  while ((more = next_visit(p, entity, &v)) && is_before(p, c, entity, &v))
    (void)count_item(&l->tally, &v);
  const visit next = v;
  for (; more && v.step == next.step; more = next_visit(p, entity, &v)) {
    if (v.item < 0) continue;
    l->novel += !l->bought[v.item] && !l->tally.count[v.item];
    l->bought[v.item] = true;
  }
  const bool had_next = v.k > next.k;
  l->followed += had_next;
  if (had_next) add_rows(l);
  clear_tally(&l->tally);
  for (v = next, more = had_next; more && v.step == next.step; more = next_visit(p, entity, &v))
    if (v.item >= 0) l->bought[v.item] = false;
}

// Evenly chosen entities where all have too many events.
static co_status make_room(learning *l) {
  const purchases *p = &l->purchases;
  l->every = CUTS * p->count / MOST_ROWS + 1;
  for (int64_t i = 0; i < p->history->entities; i += l->every)
    l->capacity += CUTS * (p->end[i] - p->begin[i] + p->target_first[i + 1] - p->target_first[i]);
  const size_t rows = (size_t)l->capacity + 1;
  l->columns = (co_design_columns){.numbers = FEATURES, .count = FEATURES};
  l->rows = (co_design){.columns = &l->columns};
  l->rows.numbers = co_alloc(l->ctx, rows * FEATURES * sizeof *l->rows.numbers);
  l->target = co_alloc(l->ctx, rows * sizeof *l->target);
  l->weight = co_alloc(l->ctx, rows * sizeof *l->weight);
  return l->rows.numbers && l->target && l->weight ? CO_OK : CO_ERR_MEMORY;
}

static co_status open_learning(learning *l, co_context *ctx, const co_fit_data *data) {
  const int64_t classes = data->history->classes;
  const size_t count = (size_t)classes + 1;
  *l = (learning){.ctx = ctx};
  CO_RETURN_IF_FAILED(open_purchases(&l->purchases, ctx, data));
  CO_RETURN_IF_FAILED(open_tally(&l->tally, ctx, classes));
  l->item = co_alloc(ctx, OF_ITEM * count * sizeof *l->item);
  l->repeats = co_alloc(ctx, count * sizeof *l->repeats);
  l->chances = co_alloc(ctx, count * sizeof *l->chances);
  l->bought = co_alloc_zero(ctx, count, sizeof *l->bought);
  if (!l->item || !l->repeats || !l->chances || !l->bought) return CO_ERR_MEMORY;
  return make_room(l);
}

static void close_learning(learning *l) {
  close_purchases(&l->purchases, l->ctx);
  close_tally(&l->tally, l->ctx);
  co_free(l->ctx, l->item);
  co_free(l->ctx, l->repeats);
  co_free(l->ctx, l->chances);
  co_free(l->ctx, l->bought);
  co_free(l->ctx, l->rows.numbers);
  co_free(l->ctx, l->target);
  co_free(l->ctx, l->weight);
}

// Where nothing can be learned, by how often an item was had.
static co_status solve(learning *l, const co_watch *watch, double *coefficients,
                       double *intercept) {
  const co_linear_problem problem = {.rows = &l->rows,
                                     .target = l->target,
                                     .weight = l->weight,
                                     .loss = CO_LINEAR_LOGISTIC,
                                     .outputs = 1,
                                     .l2 = 1,
                                     .tolerance = 1e-6,
                                     .max_iterations = 100,
                                     .watch = watch};
  co_linear_solution solution = {.coefficients = coefficients, .intercepts = intercept};
  coefficients[0] = 1;
  if (!l->positives || l->positives == l->rows.rows) return CO_OK;
  return co_linear_solve(&solution, l->ctx, &problem);
}

// How many items of a step are new, beside the chances of those that are not: what shares are weighted by. In
// baskets there are many, of which each is one of very many.
static double novelty_of(const learning *l) {
  const double mean = l->followed ? (double)l->novel / (double)l->followed : 1;
  return fmin(fmax(mean, least_novelty), 1);
}

static co_status learn(learning *l, const co_watch *watch, double *item, double *weight) {
  const purchases *p = &l->purchases;
  const int64_t classes = p->history->classes;
  const cut now = {.until = INFINITY, .at = p->last};
  double coefficients[FEATURES] = {0}, intercept = 0;
  for (int k = 0; k < (p->history->time.values ? CUTS : 1); k++) {
    const double at = p->last - cuts[k] * (p->last - p->first);
    const cut c = {.until = at, .at = at};
    describe_items(l, &c);
    for (int64_t i = 0; i < p->history->entities; i += l->every)
      learn_of(l, &c, i);
  }
  CO_RETURN_IF_FAILED(solve(l, watch, coefficients, &intercept));
  describe_items(l, &now);
  for (int64_t i = 0; i < classes; i++) {
    item[i] = intercept;
    for (int k = 0; k < OF_ITEM; k++)
      item[i] += coefficients[OF_HISTORY + k] * l->item[k * classes + i];
  }
  memcpy(weight, coefficients, OF_HISTORY * sizeof *weight);
  return CO_OK;
}

static co_status fit(co_estimator *e, int64_t output, const co_fit_data *data) {
  const co_shape per_class = co_shape_make(1, data->history->classes);
  const co_shape of_history = co_shape_make(1, (int64_t)OF_HISTORY);
  const co_shape one = co_shape_make(1, (int64_t)1);
  void *item, *weight, *novelty;
  learning l;
  CO_RETURN_IF_FAILED(co_next_items_fit_recent_shares(e, output, data));
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "item", CO_F64, &per_class, &item));
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "weight", CO_F64, &of_history, &weight));
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "novelty", CO_F64, &one, &novelty));
  co_status status = open_learning(&l, e->ctx, data);
  if (status == CO_OK) status = learn(&l, data->watch, item, weight);
  *(double *)novelty = novelty_of(&l);
  close_learning(&l);
  return status;
}

// ---- scoring -----------------------------------------------------------------------------------

typedef struct scoring {
  tally tally;
  const double *item, *weight;
  double novelty;
} scoring;

static co_status add(const co_estimator *e, const co_history *h, int64_t sample, void *user,
                     double *score) {
  scoring *s = user;
  double x[OF_HISTORY];
  (void)e;
  for (visit v = {.k = -1, .step = -1}; visit_event(h, h->begin[sample], h->end[sample], &v);)
    (void)count_item(&s->tally, &v);
  for (int64_t i = 0; i < s->tally.item_count; i++) {
    const int32_t item = s->tally.items[i];
    double z = s->item[item];
    describe(&s->tally, item, x);
    for (int k = 0; k < OF_HISTORY; k++)
      z += s->weight[k] * x[k];
    score[item] = 1 / (1 + exp(-z)) / s->novelty; // the shares beside them are of 1
  }
  clear_tally(&s->tally);
  return CO_OK;
}

static co_status score_history(const co_estimator *e, int64_t output, const co_history *history,
                               const int64_t *samples, int64_t rows, float *heads) {
  const co_shape per_class = co_shape_make(1, e->model->outputs[output].width);
  const co_shape of_history = co_shape_make(1, (int64_t)OF_HISTORY);
  const co_shape one = co_shape_make(1, (int64_t)1);
  const co_fitted *item, *weight, *novelty;
  scoring s;
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "item", CO_F64, &per_class, &item));
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "weight", CO_F64, &of_history, &weight));
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "novelty", CO_F64, &one, &novelty));
  s.novelty = *(const double *)novelty->bytes;
  if (!(s.novelty > 0 && s.novelty <= 1))
    return co_fail(CO_ERR_MODEL, "predictor %s: its novelty is %g", e->class_->name, s.novelty);
  co_status status = open_tally(&s.tally, e->ctx, history->classes);
  s.item = item->bytes;
  s.weight = weight->bytes;
  if (status == CO_OK)
    status = co_next_items_score(e, output, history, samples, rows, add, &s, heads);
  close_tally(&s.tally, e->ctx);
  return status;
}

CO_NEXT_ITEMS_CLASS(repeat_logistic,
                    "Of next items: a logistic regression on what of a history is had again.", fit);
