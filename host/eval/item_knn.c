// SPDX-License-Identifier: Apache-2.0
// Item-based nearest neighbours (Sarwar et al. 2001): items beside those of a history, by the cosine
// of who had them in training, summed over the history's distinct items. Whether an item stands beside
// itself (it may be had again) is what gives the validation rows' items the higher likelihood. Of an
// output are stored "share", "neighbour" and "affinity" (next_items.h), and "self" f64 (1): 0 or 1.
#include <math.h>
#include <string.h>

#include "host/eval/next_items.h"

// Of an entity the last ones: the work grows with their square.
enum { MOST_ITEMS = 1000, MOST_VALIDATION = 2000 };

static double cosine(double together, double of, double with) {
  return together / sqrt(of * with);
}

// The distinct items of events, from the last one back, at most so many; *seen is left as it was.
static int64_t distinct(const co_history *h, int64_t begin, int64_t end, int64_t most, bool *seen,
                        int32_t *items) {
  int64_t count = 0;
  for (int64_t event = end - 1; event >= begin && count < most; event--) {
    int32_t item = h->item[event];
    if (item < 0 || seen[item]) continue;
    seen[item] = true;
    items[count++] = item;
  }
  for (int64_t i = 0; i < count; i++)
    seen[items[i]] = false;
  return count;
}

typedef struct room {
  bool *seen;
  int32_t *items;
  int64_t *begin, *end;
} room;

static void close_room(room *r, co_context *ctx) {
  co_free(ctx, r->seen);
  co_free(ctx, r->items);
  co_free(ctx, r->begin);
  co_free(ctx, r->end);
}

static co_status open_room(room *r, co_context *ctx, const co_history *h) {
  *r = (room){.seen = co_alloc_zero(ctx, (size_t)h->classes + 1, sizeof(bool))};
  r->items = co_alloc(ctx, ((size_t)h->classes + 1) * sizeof *r->items);
  return r->seen && r->items ? CO_OK : CO_ERR_MEMORY;
}

static co_status list(co_item_lists *out, co_context *ctx, const co_fit_data *data, room *r) {
  const co_history *h = data->history;
  CO_RETURN_IF_FAILED(open_room(r, ctx, h));
  CO_RETURN_IF_FAILED(co_item_lists_create(out, ctx));
  CO_RETURN_IF_FAILED(
      co_history_longest(&r->begin, &r->end, ctx, h, data->samples, data->sample_count));
  for (int64_t i = 0; i < h->entities; i++) {
    int64_t count = distinct(h, r->begin[i], r->end[i], MOST_ITEMS, r->seen, r->items);
    for (int64_t k = 0; k < count; k++)
      CO_RETURN_IF_FAILED(co_item_lists_add(out, ctx, r->items[k]));
    CO_RETURN_IF_FAILED(co_item_lists_end(out, ctx));
  }
  return CO_OK;
}

typedef struct scoring {
  co_neighbours neighbours;
  double self;
  room room;
} scoring;

static co_status add(const co_estimator *e, const co_history *h, int64_t sample, void *user,
                     double *score) {
  scoring *s = user;
  const co_neighbours *n = &s->neighbours;
  int64_t count =
      distinct(h, h->begin[sample], h->end[sample], h->classes, s->room.seen, s->room.items);
  (void)e;
  for (int64_t i = 0; i < count; i++) {
    int64_t row = s->room.items[i] * n->width;
    score[s->room.items[i]] += s->self;
    for (int64_t k = 0; k < n->width && n->item[row + k] >= 0; k++)
      score[n->item[row + k]] += (double)n->affinity[row + k];
  }
  return CO_OK;
}

static co_status open_scoring(scoring *s, const co_estimator *e, int64_t output,
                              const co_history *history) {
  const co_shape one = co_shape_make(1, (int64_t)1);
  const co_fitted *self;
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "self", CO_F64, &one, &self));
  s->self = *(const double *)self->bytes;
  CO_RETURN_IF_FAILED(co_next_items_neighbours(e, output, &s->neighbours));
  return open_room(&s->room, e->ctx, history);
}

static co_status score_history(const co_estimator *e, int64_t output, const co_history *history,
                               const int64_t *samples, int64_t rows, float *heads) {
  scoring s = {.room.seen = NULL};
  co_status status = open_scoring(&s, e, output, history);
  if (status == CO_OK)
    status = co_next_items_score(e, output, history, samples, rows, add, &s, heads);
  close_room(&s.room, e->ctx);
  return status;
}

// Of evenly chosen validation rows.
static co_status likelihood(double *out, co_estimator *e, int64_t output, const co_fit_data *data) {
  const co_history *h = data->history;
  int64_t count =
      data->validation_count < MOST_VALIDATION ? data->validation_count : MOST_VALIDATION;
  scoring s = {.room.seen = NULL};
  double *score = co_alloc(e->ctx, (size_t)h->classes * sizeof *score);
  co_status status = score ? open_scoring(&s, e, output, h) : CO_ERR_MEMORY;
  *out = 0;
  for (int64_t i = 0; status == CO_OK && i < count; i++) {
    int64_t sample = data->validation_samples[i * data->validation_count / count];
    float head = 0;
    if (h->target[sample] < 0) continue;
    status = co_next_items_score_target(e, output, h, sample, add, &s, score, &head);
    *out += (double)head;
  }
  close_room(&s.room, e->ctx);
  co_free(e->ctx, score);
  return status;
}

static co_status choose_self(co_estimator *e, int64_t output, const co_fit_data *data) {
  const co_shape shape = co_shape_make(1, (int64_t)1);
  double with = 0, without = 0;
  void *bytes;
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "self", CO_F64, &shape, &bytes));
  double *self = bytes;
  CO_RETURN_IF_FAILED(likelihood(&without, e, output, data));
  *self = 1;
  CO_RETURN_IF_FAILED(likelihood(&with, e, output, data));
  *self = with > without;
  return CO_OK;
}

static co_status fit(co_estimator *e, int64_t output, const co_fit_data *data) {
  co_item_lists lists = {.count = 0};
  room r = {.seen = NULL};
  CO_RETURN_IF_FAILED(co_next_items_fit_shares(e, output, data, -INFINITY));
  co_status status = list(&lists, e->ctx, data, &r);
  if (status == CO_OK) status = co_next_items_fit_neighbours(e, output, &lists, &lists, cosine);
  co_item_lists_free(&lists, e->ctx);
  close_room(&r, e->ctx);
  return status == CO_OK ? choose_self(e, output, data) : status;
}

CO_NEXT_ITEMS_CLASS(item_knn, "Of next items: those that customers with the same items had.", fit);
