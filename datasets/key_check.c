// SPDX-License-Identifier: Apache-2.0
#include "datasets/key_check.h"

#include <string.h>

#include "host/core/scratch.h"

enum { BUCKETS = 256, LEAST_KEYS = 1024 };

typedef struct key {
  co_row_hash hash;
  int64_t row, line;
} key;

// Keys that were written together, sorted by bucket.
typedef struct run {
  int64_t begin[BUCKETS + 1]; // keys in the file
} run;

struct co_key_check {
  co_context *ctx;
  key *keys, *sorted; // room for `capacity` each
  int64_t count, capacity;
  run *runs;
  int64_t run_count, run_capacity, written;
  co_scratch scratch;
  uint32_t *slots; // index + 1 of a key, 0 = free
  uint64_t mask;
};

co_status co_key_check_create(co_key_check **out, co_context *ctx, size_t memory,
                              const char *beside) {
  co_key_check *c = *out = co_alloc_zero(ctx, 1, sizeof *c);
  if (!c) return CO_ERR_MEMORY;
  int64_t most = (int64_t)(memory / 2 / sizeof *c->keys);
  *c = (co_key_check){.ctx = ctx,
                      .scratch = co_scratch_make(ctx, beside),
                      .capacity = most < LEAST_KEYS ? LEAST_KEYS : most};
  c->keys = co_alloc(ctx, (size_t)c->capacity * sizeof *c->keys);
  return c->keys ? CO_OK : CO_ERR_MEMORY;
}

void co_key_check_free(co_key_check *c) {
  if (!c) return;
  co_scratch_close(&c->scratch);
  co_free(c->ctx, c->keys);
  co_free(c->ctx, c->sorted);
  co_free(c->ctx, c->runs);
  co_free(c->ctx, c->slots);
  co_free(c->ctx, c);
}

// ---- the file ----------------------------------------------------------------------------------

static co_status write_keys(co_key_check *c, const key *keys, int64_t count) {
  const int64_t bytes = (int64_t)sizeof *keys;
  CO_RETURN_IF_FAILED(
      co_scratch_write(&c->scratch, keys, (size_t)(count * bytes), c->written * bytes));
  c->written += count;
  return CO_OK;
}

static co_status read_keys(const co_key_check *c, key *keys, int64_t count, int64_t from) {
  const int64_t bytes = (int64_t)sizeof *keys;
  return co_scratch_read(&c->scratch, keys, (size_t)(count * bytes), from * bytes);
}

// ---- adding ------------------------------------------------------------------------------------

static int bucket_of(const key *k) {
  return (int)(k->hash.a >> 56);
}

static co_status spill(co_key_check *c) {
  int64_t next[BUCKETS] = {0}, at = c->written;
  if (!c->sorted && !(c->sorted = co_alloc(c->ctx, (size_t)c->capacity * sizeof *c->sorted)))
    return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_grow(c->ctx, (void **)&c->runs, &c->run_capacity, c->run_count, sizeof *c->runs));
  run *r = &c->runs[c->run_count++];
  for (int64_t i = 0; i < c->count; i++)
    next[bucket_of(&c->keys[i])]++;
  for (int b = 0; b < BUCKETS; b++) {
    r->begin[b] = at;
    at += next[b];
    next[b] = r->begin[b] - c->written;
  }
  r->begin[BUCKETS] = at;
  for (int64_t i = 0; i < c->count; i++)
    c->sorted[next[bucket_of(&c->keys[i])]++] = c->keys[i];
  CO_RETURN_IF_FAILED(write_keys(c, c->sorted, c->count));
  c->count = 0;
  return CO_OK;
}

co_status co_key_check_add(co_key_check *c, const co_cell *text, int64_t row, int64_t line) {
  if (c->count == c->capacity) CO_RETURN_IF_FAILED(spill(c));
  c->keys[c->count++] = (key){co_copies_hash_cell(text), row, line};
  return CO_OK;
}

// ---- finding -----------------------------------------------------------------------------------

static co_status make_slots(co_key_check *c, int64_t count) {
  uint64_t wanted = 1024;
  while (wanted < 2 * (uint64_t)count)
    wanted *= 2;
  if (c->mask + 1 < wanted || !c->slots) {
    co_free(c->ctx, c->slots);
    c->mask = wanted - 1;
    if (!(c->slots = co_alloc(c->ctx, wanted * sizeof *c->slots))) return CO_ERR_MEMORY;
  }
  memset(c->slots, 0, (c->mask + 1) * sizeof *c->slots);
  return CO_OK;
}

// Among keys in the order of their rows.
static co_status search(co_key_check *c, const key *keys, int64_t count, co_repeated_key *best) {
  CO_RETURN_IF_FAILED(make_slots(c, count));
  for (int64_t i = 0; i < count; i++) {
    uint64_t at = keys[i].hash.a & c->mask;
    const key *other = NULL;
    for (; c->slots[at]; at = (at + 1) & c->mask) {
      other = &keys[c->slots[at] - 1];
      if (other->hash.a == keys[i].hash.a && other->hash.b == keys[i].hash.b) break;
    }
    if (!c->slots[at])
      c->slots[at] = (uint32_t)(i + 1);
    else if (!best->row || keys[i].row < best->row)
      *best = (co_repeated_key){keys[i].row, keys[i].line, other->row, other->line};
  }
  return CO_OK;
}

static co_status search_bucket(co_key_check *c, int bucket, co_repeated_key *best) {
  int64_t count = 0, at = 0;
  for (int64_t i = 0; i < c->run_count; i++)
    count += c->runs[i].begin[bucket + 1] - c->runs[i].begin[bucket];
  if (count > c->capacity) {
    co_free(c->ctx, c->keys);
    c->capacity = 0;
    if (!(c->keys = co_alloc(c->ctx, (size_t)count * sizeof *c->keys))) return CO_ERR_MEMORY;
    c->capacity = count;
  }
  for (int64_t i = 0; i < c->run_count; i++) {
    int64_t begin = c->runs[i].begin[bucket], some = c->runs[i].begin[bucket + 1] - begin;
    CO_RETURN_IF_FAILED(read_keys(c, c->keys + at, some, begin));
    at += some;
  }
  return search(c, c->keys, count, best);
}

co_status co_key_check_find(co_key_check *c, co_repeated_key *out) {
  *out = (co_repeated_key){.row = 0};
  if (!c->run_count) return search(c, c->keys, c->count, out);
  CO_RETURN_IF_FAILED(spill(c));
  co_free(c->ctx, c->sorted);
  c->sorted = NULL;
  for (int b = 0; b < BUCKETS; b++)
    CO_RETURN_IF_FAILED(search_bucket(c, b, out));
  return CO_OK;
}
