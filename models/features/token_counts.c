// SPDX-License-Identifier: Apache-2.0
#include "models/features/token_counts.h"

#include <stdlib.h>

co_status co_token_counts_create(co_token_counts *out, co_context *ctx) {
  *out = (co_token_counts){.ctx = ctx, .capacity = 1 << 12};
  out->places = co_alloc_zero(ctx, (size_t)out->capacity, sizeof *out->places);
  return out->places ? CO_OK : CO_ERR_MEMORY;
}

void co_token_counts_free(co_token_counts *c) {
  if (c->ctx) co_free(c->ctx, c->places);
  *c = (co_token_counts){.ctx = NULL};
}

static co_token_count *find_place(const co_token_counts *c, uint64_t hash) {
  int64_t i = (int64_t)((hash ^ hash >> 32) & (uint64_t)(c->capacity - 1));
  while (c->places[i].count && c->places[i].hash != hash)
    i = (i + 1) & (c->capacity - 1);
  return &c->places[i];
}

static co_status grow(co_token_counts *c) {
  co_token_counts wide = {.ctx = c->ctx, .capacity = 2 * c->capacity, .used = c->used};
  wide.places = co_alloc_zero(c->ctx, (size_t)wide.capacity, sizeof *wide.places);
  if (!wide.places) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < c->capacity; i++)
    if (c->places[i].count) *find_place(&wide, c->places[i].hash) = c->places[i];
  co_free(c->ctx, c->places);
  *c = wide;
  return CO_OK;
}

co_status co_token_counts_add(co_token_counts *c, uint64_t hash, const char *text, int64_t length) {
  co_token_count *place = find_place(c, hash);
  if (place->count++) return CO_OK;
  place->hash = hash;
  place->first = c->used++;
  place->text = text;
  place->length = length;
  return 2 * c->used > c->capacity ? grow(c) : CO_OK;
}

// Empty places last.
static int by_frequency(const void *a, const void *b) {
  const co_token_count *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return (x->first > y->first) - (x->first < y->first);
}

void co_token_counts_sort(co_token_counts *c) {
  qsort(c->places, (size_t)c->capacity, sizeof *c->places, by_frequency);
}
