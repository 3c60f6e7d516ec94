// SPDX-License-Identifier: Apache-2.0
#include "datasets/event_store.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/scratch.h"
#include "host/core/status.h"

// A part: groups whose records are sorted at once. `at`: where the next of its records goes.
typedef struct part {
  int64_t first, end, at;
  unsigned char *waiting; // records that are not written yet
  size_t waiting_bytes;
} part;

struct co_event_store {
  co_context *ctx;
  size_t record_bytes, memory;
  unsigned char *records; // those in memory
  int64_t count, capacity, total;
  co_scratch spill, placed;
  size_t spilled;
  const int64_t *offsets;
  int64_t groups;
  part *parts;
  int64_t part_count, part;
};

co_status co_event_store_create(co_event_store **out, co_context *ctx, size_t record_bytes,
                                size_t memory, const char *beside) {
  co_event_store *s = *out = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  s->ctx = ctx;
  s->record_bytes = record_bytes;
  s->memory = memory;
  s->spill = s->placed = co_scratch_make(ctx, beside);
  return CO_OK;
}

void co_event_store_free(co_event_store *s) {
  if (!s) return;
  co_scratch_close(&s->spill);
  co_scratch_close(&s->placed);
  for (int64_t i = 0; s->parts && i < s->part_count; i++)
    co_free(s->ctx, s->parts[i].waiting);
  co_free(s->ctx, s->parts);
  co_free(s->ctx, s->records);
  co_free(s->ctx, s);
}

size_t co_event_store_spilled(const co_event_store *s) {
  return s->spilled;
}

static co_status put(co_event_store *s, co_scratch *to, const void *bytes, size_t length,
                     int64_t place) {
  co_status status = co_scratch_write(to, bytes, length, place);
  if (status == CO_OK) s->spilled += length;
  if (status == CO_ERR_IO)
    co_hint("events that do not fit into memory lie there: --tmp-dir names another folder");
  return status;
}

static co_status spill(co_event_store *s) {
  int64_t at = (s->total - s->count) * (int64_t)s->record_bytes;
  CO_RETURN_IF_FAILED(put(s, &s->spill, s->records, (size_t)s->count * s->record_bytes, at));
  s->count = 0;
  return CO_OK;
}

co_status co_event_store_add(co_event_store *s, const void *record) {
  bool full = ((size_t)s->count + 1) * s->record_bytes > s->memory;
  if (full && s->count) CO_RETURN_IF_FAILED(spill(s));
  CO_RETURN_IF_FAILED(
      co_grow(s->ctx, (void **)&s->records, &s->capacity, s->count, s->record_bytes));
  memcpy(s->records + (size_t)s->count * s->record_bytes, record, s->record_bytes);
  s->count++;
  s->total++;
  return CO_OK;
}

// ---- arranging ---------------------------------------------------------------------------------

static int64_t bytes_of(const co_event_store *s, int64_t first, int64_t end) {
  return (s->offsets[end] - s->offsets[first]) * (int64_t)s->record_bytes;
}

static co_status cut_parts(co_event_store *s) {
  int64_t capacity = 0, most = (int64_t)s->memory / 2;
  for (int64_t first = 0, end; first < s->groups; first = end) {
    for (end = first + 1; end < s->groups && bytes_of(s, first, end + 1) <= most;)
      end++;
    CO_RETURN_IF_FAILED(
        co_grow(s->ctx, (void **)&s->parts, &capacity, s->part_count, sizeof *s->parts));
    s->parts[s->part_count++] = (part){.first = first, .end = end, .at = s->offsets[first]};
  }
  return CO_OK;
}

static part *part_of(co_event_store *s, int64_t group) {
  int64_t low = 0, high = s->part_count - 1;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (group < s->parts[middle].end)
      high = middle;
    else
      low = middle + 1;
  }
  return &s->parts[low];
}

static co_status write_waiting(co_event_store *s, part *p) {
  CO_RETURN_IF_FAILED(
      put(s, &s->placed, p->waiting, p->waiting_bytes, p->at * (int64_t)s->record_bytes));
  p->at += (int64_t)(p->waiting_bytes / s->record_bytes);
  p->waiting_bytes = 0;
  return CO_OK;
}

// Every record to its part in the second file.
static co_status place(co_event_store *s, size_t room, co_event_store_group group, void *user) {
  int64_t block = s->capacity < 65536 ? s->capacity : 65536;
  for (int64_t done = 0, count; done < s->total; done += count) {
    count = s->total - done < block ? s->total - done : block;
    CO_RETURN_IF_FAILED(co_scratch_read(&s->spill, s->records, (size_t)count * s->record_bytes,
                                        done * (int64_t)s->record_bytes));
    for (int64_t i = 0; i < count; i++) {
      unsigned char *record = s->records + (size_t)i * s->record_bytes;
      part *p = part_of(s, group(user, record));
      memcpy(p->waiting + p->waiting_bytes, record, s->record_bytes);
      p->waiting_bytes += s->record_bytes;
      if (p->waiting_bytes + s->record_bytes > room) CO_RETURN_IF_FAILED(write_waiting(s, p));
    }
  }
  for (int64_t i = 0; i < s->part_count; i++) {
    CO_RETURN_IF_FAILED(write_waiting(s, &s->parts[i]));
    co_free(s->ctx, s->parts[i].waiting);
    s->parts[i].waiting = NULL;
  }
  return CO_OK;
}

co_status co_event_store_arrange(co_event_store *s, const int64_t *offsets, int64_t groups,
                                 co_event_store_group group, void *user) {
  s->offsets = offsets;
  s->groups = groups;
  if (s->spill.file < 0) {
    for (int64_t i = 0; i < s->count; i++)
      group(user, s->records + (size_t)i * s->record_bytes);
    return CO_OK;
  }
  if (s->count) CO_RETURN_IF_FAILED(spill(s));
  CO_RETURN_IF_FAILED(cut_parts(s));
  size_t room = s->memory / 2 / (size_t)s->part_count;
  if (room > 1 << 20) room = 1 << 20;
  if (room < 16 * s->record_bytes) room = 16 * s->record_bytes;
  for (int64_t i = 0; i < s->part_count; i++)
    if (!(s->parts[i].waiting = co_alloc(s->ctx, room))) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(place(s, room, group, user));
  co_scratch_close(&s->spill);
  return CO_OK;
}

co_status co_event_store_next(co_event_store *s, unsigned char **records, int64_t *first,
                              int64_t *end) {
  *first = *end = s->groups;
  *records = s->records;
  if (s->placed.file < 0) {
    if (s->part++ == 0) *first = 0; // all at once
    return CO_OK;
  }
  if (s->part == s->part_count) return CO_OK;
  const part *p = &s->parts[s->part++];
  int64_t count = s->offsets[p->end] - s->offsets[p->first];
  if (count > s->capacity) { // more of one group than may be held
    co_free(s->ctx, s->records);
    s->capacity = 0;
    if (!(s->records = co_alloc(s->ctx, (size_t)count * s->record_bytes))) return CO_ERR_MEMORY;
    s->capacity = count;
  }
  *records = s->records;
  *first = p->first;
  *end = p->end;
  return co_scratch_read(&s->placed, s->records, (size_t)count * s->record_bytes,
                         s->offsets[p->first] * (int64_t)s->record_bytes);
}

void co_event_store_rewind(co_event_store *s) {
  s->part = 0;
}
