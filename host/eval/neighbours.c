// SPDX-License-Identifier: Apache-2.0
#include "host/eval/neighbours.h"

#include <stdlib.h>
#include <string.h>

// ---- lists -------------------------------------------------------------------------------------

void co_item_lists_free(co_item_lists *lists, co_context *ctx) {
  co_free(ctx, lists->first);
  co_free(ctx, lists->item);
  *lists = (co_item_lists){.count = 0};
}

co_status co_item_lists_create(co_item_lists *l, co_context *ctx) {
  *l = (co_item_lists){.capacity = 255, .item_capacity = 256};
  l->first = co_alloc_zero(ctx, (size_t)l->capacity + 1, sizeof *l->first);
  l->item = co_alloc(ctx, (size_t)l->item_capacity * sizeof *l->item);
  return l->first && l->item ? CO_OK : CO_ERR_MEMORY;
}

co_status co_item_lists_add(co_item_lists *l, co_context *ctx, int32_t item) {
  if (l->items == l->item_capacity) {
    int32_t *more = co_realloc(ctx, l->item, 2 * (size_t)l->item_capacity * sizeof *more);
    if (!more) return CO_ERR_MEMORY;
    l->item = more;
    l->item_capacity *= 2;
  }
  l->item[l->items++] = item;
  return CO_OK;
}

co_status co_item_lists_end(co_item_lists *l, co_context *ctx) {
  if (l->count == l->capacity) {
    int64_t *more = co_realloc(ctx, l->first, 2 * ((size_t)l->capacity + 1) * sizeof *more);
    if (!more) return CO_ERR_MEMORY;
    l->first = more;
    l->capacity = 2 * l->capacity + 1;
  }
  l->first[++l->count] = l->items;
  return CO_OK;
}

// ---- counting ----------------------------------------------------------------------------------

typedef struct finding {
  co_context *ctx;
  const co_item_lists *from, *to;
  int64_t *first, *cases;       // of each item: the cases it is in
  double *of, *with, *together; // per class
  int32_t *touched;
  int64_t touched_count;
} finding;

static co_status open_finding(finding *f, int64_t classes) {
  size_t count = (size_t)classes + 1;
  f->first = co_alloc_zero(f->ctx, count + 1, sizeof *f->first);
  f->cases = co_alloc(f->ctx, ((size_t)f->from->first[f->from->count] + 1) * sizeof *f->cases);
  f->of = co_alloc_zero(f->ctx, count, sizeof *f->of);
  f->with = co_alloc_zero(f->ctx, count, sizeof *f->with);
  f->together = co_alloc_zero(f->ctx, count, sizeof *f->together);
  f->touched = co_alloc(f->ctx, count * sizeof *f->touched);
  return f->first && f->cases && f->of && f->with && f->together && f->touched ? CO_OK
                                                                               : CO_ERR_MEMORY;
}

static void close_finding(finding *f) {
  co_free(f->ctx, f->first);
  co_free(f->ctx, f->cases);
  co_free(f->ctx, f->of);
  co_free(f->ctx, f->with);
  co_free(f->ctx, f->together);
  co_free(f->ctx, f->touched);
}

// From cases with items to items with cases, in order.
static void transpose(finding *f, int64_t classes) {
  const co_item_lists *from = f->from;
  for (int64_t k = 0; k < from->first[from->count]; k++)
    f->first[from->item[k] + 2]++;
  for (int64_t i = 2; i <= classes + 1; i++)
    f->first[i] += f->first[i - 1];
  for (int64_t c = 0; c < from->count; c++)
    for (int64_t k = from->first[c]; k < from->first[c + 1]; k++)
      f->cases[f->first[from->item[k] + 1]++] = c;
  for (int64_t i = 0; i < classes; i++)
    f->of[i] = (double)(f->first[i + 1] - f->first[i]);
  for (int64_t k = 0; k < f->to->first[f->to->count]; k++)
    f->with[f->to->item[k]]++;
}

static void count_beside(finding *f, int64_t item) {
  f->touched_count = 0;
  for (int64_t k = f->first[item]; k < f->first[item + 1]; k++)
    for (int64_t j = f->to->first[f->cases[k]]; j < f->to->first[f->cases[k] + 1]; j++) {
      int32_t other = f->to->item[j];
      if (other == item && f->from == f->to) continue;
      if (f->together[other] == 0) f->touched[f->touched_count++] = other;
      f->together[other]++;
    }
}

typedef struct neighbour {
  double affinity;
  int32_t item;
} neighbour;

static int by_affinity(const void *a, const void *b) {
  const neighbour *x = a, *y = b;
  if (x->affinity != y->affinity) return x->affinity < y->affinity ? 1 : -1;
  return (x->item > y->item) - (x->item < y->item);
}

static void keep_best(co_neighbours *out, finding *f, int64_t item, neighbour *room,
                      co_affinity *affinity) {
  int32_t *items = out->item + item * out->width;
  float *affinities = out->affinity + item * out->width;
  for (int64_t i = 0; i < f->touched_count; i++) {
    int32_t other = f->touched[i];
    room[i] = (neighbour){affinity(f->together[other], f->of[item], f->with[other]), other};
    f->together[other] = 0;
  }
  qsort(room, (size_t)f->touched_count, sizeof *room, by_affinity);
  for (int64_t i = 0; i < out->width; i++) {
    items[i] = i < f->touched_count ? room[i].item : -1;
    affinities[i] = i < f->touched_count ? (float)room[i].affinity : 0;
  }
}

co_status co_neighbours_find(co_neighbours *out, co_context *ctx, const co_item_lists *from,
                             const co_item_lists *to, co_affinity *affinity) {
  finding f = {.ctx = ctx, .from = from, .to = to};
  neighbour *room = co_alloc(ctx, ((size_t)out->classes + 1) * sizeof *room);
  co_status status = room ? open_finding(&f, out->classes) : CO_ERR_MEMORY;
  if (status == CO_OK) {
    transpose(&f, out->classes);
    for (int64_t item = 0; item < out->classes; item++) {
      count_beside(&f, item);
      keep_best(out, &f, item, room, affinity);
    }
  }
  close_finding(&f);
  co_free(ctx, room);
  return status;
}
