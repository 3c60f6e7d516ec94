// SPDX-License-Identifier: Apache-2.0
#include "datasets/copies.h"

#include <string.h>

void co_copies_init(co_copies *c, co_context *ctx) {
  *c = (co_copies){.ctx = ctx};
}

void co_copies_free(co_copies *c) {
  if (!c->ctx) return;
  co_free(c->ctx, c->slots);
  co_free(c->ctx, c->block);
  *c = (co_copies){.ctx = c->ctx};
}

void co_copies_clear(co_copies *c) {
  if (c->slots) memset(c->slots, 0, (size_t)(c->mask + 1) * sizeof *c->slots);
  c->count = 0;
}

// ---- hashes ------------------------------------------------------------------------------------

// MurmurHash3's 128-bit finaliser step of 64 bits (A. Appleby, public domain).
static uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= UINT64_C(0xFF51AFD7ED558CCD);
  x ^= x >> 33;
  x *= UINT64_C(0xC4CEB9FE1A85EC53);
  return x ^ x >> 33;
}

static void take(co_row_hash *h, uint64_t word) {
  h->a = mix(h->a ^ word) + UINT64_C(0x9E3779B97F4A7C15);
  h->b = mix(h->b + word) ^ UINT64_C(0xD1B54A32D192ED03);
}

static void take_cell(co_row_hash *h, const co_cell *cell) {
  size_t at = 0;
  uint64_t word;
  for (; cell->length - at >= sizeof word; at += sizeof word) {
    memcpy(&word, cell->text + at, sizeof word);
    take(h, word);
  }
  word = 0;
  memcpy(&word, cell->text + at, cell->length - at);
  take(h, word);
  take(h, cell->length);
}

co_row_hash co_copies_hash_cell(const co_cell *cell) {
  co_row_hash h = {1, 2};
  take_cell(&h, cell);
  h.b |= 1; // no free slot
  return h;
}

co_status co_copies_hash(co_copies *c, const co_row_part *part, int64_t stride, const int64_t *map,
                         int64_t count) {
  if (part->count > c->room) {
    co_free(c->ctx, c->block);
    c->room = 0;
    if (!(c->block = co_alloc(c->ctx, (size_t)part->count * sizeof *c->block)))
      return CO_ERR_MEMORY;
    c->room = part->count;
  }
#pragma omp parallel for schedule(static)                                                          \
    num_threads(co_context_threads(c->ctx)) if (part->count > 64)
  for (int64_t i = 0; i < part->count; i++) {
    co_row_hash h = {1, 2};
    for (int64_t k = 0; k < count; k++)
      take_cell(&h, &part->cells[i * stride + (map ? map[k] : k)]);
    h.b |= 1; // no free slot
    c->block[i] = h;
  }
  return CO_OK;
}

// ---- rows --------------------------------------------------------------------------------------

static co_row_hash *slot_of(const co_copies *c, const co_row_hash *h) {
  uint64_t at = h->a & c->mask;
  while (c->slots[at].b && (c->slots[at].a != h->a || c->slots[at].b != h->b))
    at = (at + 1) & c->mask;
  return &c->slots[at];
}

static co_status widen(co_copies *c) {
  co_copies wider = *c;
  uint64_t slots = c->slots ? 2 * (c->mask + 1) : 1024;
  wider.mask = slots - 1;
  wider.slots = co_alloc_zero(c->ctx, slots, sizeof *wider.slots);
  if (!wider.slots) return CO_ERR_MEMORY;
  for (uint64_t i = 0; c->slots && i <= c->mask; i++)
    if (c->slots[i].b) *slot_of(&wider, &c->slots[i]) = c->slots[i];
  co_free(c->ctx, c->slots);
  *c = wider;
  return CO_OK;
}

co_status co_copies_add(co_copies *c, int64_t i, bool *occurred) {
  if (!c->slots || 2 * (uint64_t)c->count > c->mask) CO_RETURN_IF_FAILED(widen(c));
  co_row_hash *slot = slot_of(c, &c->block[i]);
  *occurred = slot->b != 0;
  c->count += !*occurred;
  *slot = c->block[i];
  return CO_OK;
}
