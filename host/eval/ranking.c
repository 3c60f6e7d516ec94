// SPDX-License-Identifier: Apache-2.0
// Rows are gathered into runs that are sorted by falling score and lie in a file; runs are merged, which
// gives each row its rank; (row, rank) is put back into the order of the rows (datasets/event_store.h).
#include "host/eval/ranking.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "datasets/event_store.h"
#include "host/core/file.h"
#include "host/core/scratch.h"
#include "host/core/temporary.h"

enum {
  MEMORY = 32 << 20,
  LEAST_RECORDS = 1024,
  GROUP = 1 << 12,  // rows
  LEAST_BUFFER = 64 // records of a run that are read at once
};

typedef struct record {
  uint32_t key; // ascending where scores fall
  int64_t row;
} record;

typedef struct placed {
  int64_t row, rank;
} placed;

// A run while it is merged.
typedef struct run {
  int64_t at, end; // records in the file that are not read yet
  record *buffer;
  int64_t next, filled;
} run;

typedef struct column {
  record *records, *scratch; // room for `capacity` each
  int64_t count, capacity;
  int64_t spilled; // records in the file, in runs of `capacity`
  co_scratch runs;
  int64_t *offsets; // of groups
  co_event_store *store;
  int64_t told, last_rank; // while ranks are given
  uint32_t last_key;
  int64_t *ranks; // of rows [first, end)
  int64_t first, end, room;
} column;

struct co_ranking {
  co_context *ctx;
  const char *beside;
  int64_t column_count, width, rows, next;
  size_t memory; // of a column
  column *columns;
  co_writer *writer;
  FILE *reader;
};

// ---- temporaries -------------------------------------------------------------------------------

// The file has no name any more once it is opened: it goes however the process ends.
static co_status open_rows(co_ranking *r) {
  char *name;
  int lock;
  CO_RETURN_IF_FAILED(co_temporary_create(&name, &lock, r->ctx, r->beside));
  co_status status = co_writer_open(&r->writer, r->ctx, name, false);
  if (status == CO_OK && !(r->reader = fopen(name, "rbe")))
    status = co_fail_errno(CO_ERR_IO, errno, "cannot read '%s'", name);
  unlink(name);
  close(lock);
  co_free(r->ctx, name);
  return status;
}

// ---- adding ------------------------------------------------------------------------------------

co_status co_ranking_create(co_ranking **out, co_context *ctx, const co_ranking_options *o) {
  co_ranking *r = *out = co_alloc_zero(ctx, 1, sizeof *r);
  if (!r) return CO_ERR_MEMORY;
  *r = (co_ranking){.ctx = ctx, .beside = o->beside, .width = o->width, .column_count = o->columns};
  r->memory = (o->memory ? o->memory : MEMORY) / (size_t)o->columns;
  r->columns = co_alloc_zero(ctx, (size_t)o->columns, sizeof *r->columns);
  if (!r->columns) return CO_ERR_MEMORY; // freed by the caller
  for (int64_t i = 0; i < o->columns; i++)
    r->columns[i].runs = co_scratch_make(ctx, o->beside);
  return open_rows(r);
}

void co_ranking_free(co_ranking *r) {
  if (!r) return;
  for (int64_t i = 0; i < r->column_count && r->columns; i++) {
    column *c = &r->columns[i];
    co_scratch_close(&c->runs);
    co_event_store_free(c->store);
    co_free(r->ctx, c->records);
    co_free(r->ctx, c->scratch);
    co_free(r->ctx, c->offsets);
    co_free(r->ctx, c->ranks);
  }
  co_writer_close(r->writer);
  if (r->reader) fclose(r->reader);
  co_free(r->ctx, r->columns);
  co_free(r->ctx, r);
}

// Zeros of either sign are equal.
static uint32_t key_of(float score) {
  uint32_t bits;
  if (score == 0) score = 0;
  memcpy(&bits, &score, sizeof bits);
  return bits >> 31 ? bits : ~(bits | UINT32_C(0x80000000));
}

// By key, stably, a byte at a time.
static void sort_run(column *c) {
  for (int shift = 0; shift < 32; shift += 8) {
    int64_t next[256] = {0}, total = 0;
    for (int64_t i = 0; i < c->count; i++)
      next[c->records[i].key >> shift & 255]++;
    for (int k = 0; k < 256; k++) {
      int64_t count = next[k];
      next[k] = total;
      total += count;
    }
    for (int64_t i = 0; i < c->count; i++)
      c->scratch[next[c->records[i].key >> shift & 255]++] = c->records[i];
    record *sorted = c->scratch;
    c->scratch = c->records;
    c->records = sorted;
  }
}

static co_status spill(column *c) {
  sort_run(c);
  CO_RETURN_IF_FAILED(co_scratch_write(&c->runs, c->records, (size_t)c->count * sizeof *c->records,
                                       c->spilled * (int64_t)sizeof *c->records));
  c->spilled += c->count;
  c->count = 0;
  return CO_OK;
}

static co_status add_score(const co_ranking *r, column *c, float score) {
  if (!c->records) {
    int64_t most = (int64_t)(r->memory / 2 / sizeof *c->records);
    c->capacity = most < LEAST_RECORDS ? LEAST_RECORDS : most;
    c->records = co_alloc(r->ctx, (size_t)c->capacity * sizeof *c->records);
    c->scratch = co_alloc(r->ctx, (size_t)c->capacity * sizeof *c->scratch);
    if (!c->records || !c->scratch) return CO_ERR_MEMORY;
  }
  if (c->count == c->capacity) CO_RETURN_IF_FAILED(spill(c));
  c->records[c->count++] = (record){key_of(score), r->rows};
  return CO_OK;
}

co_status co_ranking_add(co_ranking *r, const float *scores, const float *row) {
  for (int64_t i = 0; i < r->column_count; i++)
    CO_RETURN_IF_FAILED(add_score(r, &r->columns[i], scores[i]));
  r->rows++;
  return co_writer_write(r->writer, row, (size_t)r->width * sizeof *row);
}

// ---- giving ranks ------------------------------------------------------------------------------

static co_status give_rank(column *c, const record *next) {
  if (!c->told++ || next->key != c->last_key) c->last_rank = c->told;
  c->last_key = next->key;
  const placed p = {next->row, c->last_rank};
  return co_event_store_add(c->store, &p);
}

static co_status refill(const column *c, run *u, int64_t room) {
  u->next = 0;
  u->filled = u->end - u->at < room ? u->end - u->at : room;
  CO_RETURN_IF_FAILED(co_scratch_read(&c->runs, u->buffer, (size_t)u->filled * sizeof *u->buffer,
                                      u->at * (int64_t)sizeof *u->buffer));
  u->at += u->filled;
  return CO_OK;
}

// Runs are in the order of their rows, of which equal ones keep theirs.
static bool is_before(const run *runs, int64_t a, int64_t b) {
  uint32_t x = runs[a].buffer[runs[a].next].key, y = runs[b].buffer[runs[b].next].key;
  return x != y ? x < y : a < b;
}

static void sink_down(const run *runs, int64_t *heap, int64_t count) {
  for (int64_t at = 0, child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && is_before(runs, heap[child + 1], heap[child])) child++;
    if (!is_before(runs, heap[child], heap[at])) return;
    int64_t other = heap[at];
    heap[at] = heap[child];
    heap[child] = other;
  }
}

static co_status merge_runs(const co_ranking *r, column *c, run *runs, int64_t *heap,
                            int64_t count) {
  int64_t room = c->capacity / count > LEAST_BUFFER ? c->capacity / count : LEAST_BUFFER;
  for (int64_t i = 0; i < count; i++) {
    runs[i] = (run){.at = i * c->capacity,
                    .end = (i + 1) * c->capacity < c->spilled ? (i + 1) * c->capacity : c->spilled,
                    .buffer = co_alloc(r->ctx, (size_t)room * sizeof *runs[i].buffer)};
    if (!runs[i].buffer) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(refill(c, &runs[i], room));
    heap[i] = i;
    for (int64_t k = i; k && is_before(runs, heap[k], heap[(k - 1) / 2]); k = (k - 1) / 2) {
      heap[k] = heap[(k - 1) / 2];
      heap[(k - 1) / 2] = i;
    }
  }
  while (count) {
    run *u = &runs[heap[0]];
    CO_RETURN_IF_FAILED(give_rank(c, &u->buffer[u->next++]));
    if (u->next == u->filled) CO_RETURN_IF_FAILED(refill(c, u, room));
    if (!u->filled) heap[0] = heap[--count];
    sink_down(runs, heap, count);
  }
  return CO_OK;
}

static void drop_records(const co_ranking *r, column *c) {
  co_free(r->ctx, c->records);
  co_free(r->ctx, c->scratch);
  c->records = c->scratch = NULL;
}

static co_status merge(const co_ranking *r, column *c) {
  CO_RETURN_IF_FAILED(spill(c));
  drop_records(r, c);
  int64_t count = (c->spilled + c->capacity - 1) / c->capacity;
  run *runs = co_alloc_zero(r->ctx, (size_t)count, sizeof *runs);
  int64_t *heap = co_alloc(r->ctx, (size_t)count * sizeof *heap);
  co_status status = runs && heap ? merge_runs(r, c, runs, heap, count) : CO_ERR_MEMORY;
  for (int64_t i = 0; runs && i < count; i++)
    co_free(r->ctx, runs[i].buffer);
  co_free(r->ctx, runs);
  co_free(r->ctx, heap);
  co_scratch_close(&c->runs);
  return status;
}

static int64_t group_of(void *user, void *record_) {
  (void)user;
  return ((const placed *)record_)->row / GROUP;
}

static co_status rank_column(const co_ranking *r, column *c) {
  int64_t groups = (r->rows + GROUP - 1) / GROUP;
  size_t least = LEAST_RECORDS * sizeof(placed);
  size_t memory = r->memory / 2 < least ? least : r->memory / 2;
  CO_RETURN_IF_FAILED(co_event_store_create(&c->store, r->ctx, sizeof(placed), memory, r->beside));
  if (c->spilled) {
    CO_RETURN_IF_FAILED(merge(r, c));
  } else if (c->count) {
    sort_run(c);
    for (int64_t i = 0; i < c->count; i++)
      CO_RETURN_IF_FAILED(give_rank(c, &c->records[i]));
  }
  drop_records(r, c);
  c->offsets = co_alloc(r->ctx, ((size_t)groups + 1) * sizeof *c->offsets);
  if (!c->offsets) return CO_ERR_MEMORY;
  for (int64_t i = 0; i <= groups; i++)
    c->offsets[i] = i * GROUP < r->rows ? i * GROUP : r->rows;
  return co_event_store_arrange(c->store, c->offsets, groups, group_of, NULL);
}

co_status co_ranking_sort(co_ranking *r) {
  co_status status = co_writer_close(r->writer);
  r->writer = NULL;
  for (int64_t i = 0; status == CO_OK && i < r->column_count; i++)
    status = rank_column(r, &r->columns[i]);
  return status;
}

static co_status load_ranks(const co_ranking *r, column *c) {
  unsigned char *records;
  int64_t first, end;
  CO_RETURN_IF_FAILED(co_event_store_next(c->store, &records, &first, &end));
  c->first = c->offsets[first];
  c->end = c->offsets[end];
  int64_t count = c->end - c->first;
  if (count > c->room) {
    co_free(r->ctx, c->ranks);
    c->room = 0;
    if (!(c->ranks = co_alloc(r->ctx, (size_t)count * sizeof *c->ranks))) return CO_ERR_MEMORY;
    c->room = count;
  }
  for (int64_t i = 0; i < count; i++) {
    placed p;
    memcpy(&p, records + (size_t)i * sizeof p, sizeof p);
    c->ranks[p.row - c->first] = p.rank;
  }
  return CO_OK;
}

co_status co_ranking_next(co_ranking *r, float *row, int64_t *ranks) {
  if (fread(row, sizeof *row, (size_t)r->width, r->reader) != (size_t)r->width)
    return co_fail(CO_ERR_IO, "the temporary file beside '%s' ends early", r->beside);
  for (int64_t i = 0; i < r->column_count; i++) {
    column *c = &r->columns[i];
    if (r->next == c->end) CO_RETURN_IF_FAILED(load_ranks(r, c));
    ranks[i] = c->ranks[r->next - c->first];
  }
  r->next++;
  return CO_OK;
}
