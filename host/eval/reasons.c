// SPDX-License-Identifier: Apache-2.0
#include "host/eval/reasons.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/view.h"

enum { BLOCK = 1024, VALUE = 256 };

// Where values of a part are found.
typedef struct source {
  const char *name;
  co_view *views; // of its columns
  int64_t view_count;
  const int64_t *begin, *end; // of events, of each sample
} source;

// A chosen part of a row.
typedef struct chosen {
  int32_t part;
  double effect;
} chosen;

struct co_reasons {
  co_context *ctx;
  co_arena *arena;
  co_reasons_request request;
  co_attribution *attribution;
  source *sources;
  int64_t part_count;
  chosen *block;       // (BLOCK, count)
  co_explained *heads; // (BLOCK)
  co_explained asked;  // of the row that was asked for last
  int64_t first;       // place of its first row; -1 = it is empty
  int64_t taken;       // rows of it that were explained
  chosen *sorted;      // room for the parts of a row
  co_reason *out;      // (count)
  char *room;          // (count, VALUE)
};

static co_status open_source(co_reasons *r, const co_encoded_part *part, source *out) {
  const co_schema *schema = co_dataset_schema(r->request.dataset);
  out->name = part->name;
  if (part->events)
    return co_dataset_ranges(r->request.dataset, part->events, &out->begin, &out->end);
  if (part->feature->event_table >= 0) {
    const char *table = part->feature->column->table;
    return co_dataset_ranges(r->request.dataset, table, &out->begin, &out->end);
  }
  out->view_count = part->feature->column_count;
  out->views = co_arena_alloc(r->arena, (size_t)out->view_count, sizeof *out->views);
  if (!out->views) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < out->view_count; i++) {
    const char *name = part->feature->columns[i]->name;
    const co_column *column = co_schema_find(schema, name);
    if (!column) return co_fail(CO_ERR_INTERNAL, "reasons: no column '%s'", name);
    CO_RETURN_IF_FAILED(co_view_open(&out->views[i], r->request.dataset, column));
  }
  return CO_OK;
}

static co_status open_all(co_reasons *r) {
  const co_reasons_request *q = &r->request;
  const co_attribution_options options = {
      .output = q->output, .class_ = q->class_, .steps = q->steps};
  CO_RETURN_IF_FAILED(co_arena_create(&r->arena, r->ctx));
  CO_RETURN_IF_FAILED(co_attribution_open(&r->attribution, q->predictor, &options));
  const co_encoded_part *parts = co_attribution_parts(r->attribution, &r->part_count);
  const size_t count = (size_t)q->count;
  r->sources = co_arena_alloc(r->arena, (size_t)r->part_count, sizeof *r->sources);
  r->sorted = co_arena_alloc(r->arena, (size_t)r->part_count, sizeof *r->sorted);
  r->block = co_arena_alloc(r->arena, BLOCK * count, sizeof *r->block);
  r->heads = co_arena_alloc(r->arena, BLOCK, sizeof *r->heads);
  r->out = co_arena_alloc(r->arena, count, sizeof *r->out);
  r->room = co_arena_alloc(r->arena, count, VALUE);
  if (!r->sources || !r->sorted || !r->block || !r->heads || !r->out || !r->room)
    return CO_ERR_MEMORY;
  for (int64_t i = 0; i < r->part_count; i++)
    CO_RETURN_IF_FAILED(open_source(r, &parts[i], &r->sources[i]));
  return CO_OK;
}

co_status co_reasons_open(co_reasons **out, const co_reasons_request *request) {
  co_context *ctx = request->predictor->ctx;
  co_reasons *r = co_alloc_zero(ctx, 1, sizeof *r);
  *out = NULL;
  if (!r) return CO_ERR_MEMORY;
  r->ctx = ctx;
  r->request = *request;
  r->first = -1;
  co_status status = open_all(r);
  if (status == CO_OK)
    *out = r;
  else
    co_reasons_close(r);
  return status;
}

void co_reasons_close(co_reasons *r) {
  if (!r) return;
  co_attribution_close(r->attribution);
  co_arena_free(r->arena);
  co_free(r->ctx, r);
}

// ---- choosing ----------------------------------------------------------------------------------

// By falling size; of equal ones the input that comes first.
static int by_size(const void *a, const void *b) {
  const chosen *x = a, *y = b;
  double p = fabs(x->effect), q = fabs(y->effect);
  return p > q ? -1 : p < q ? 1 : x->part - y->part;
}

// A co_attribution_sink.
static co_status take_rows(void *user, const co_attributed *rows) {
  co_reasons *r = user;
  const int64_t count = r->request.count;
  for (int64_t row = 0; row < rows->rows; row++, r->taken++) {
    r->heads[r->taken] = (co_explained){rows->value[row], rows->reference[row], rows->class_[row]};
    for (int64_t i = 0; i < r->part_count; i++)
      r->sorted[i] = (chosen){(int32_t)i, rows->shares[row * r->part_count + i]};
    qsort(r->sorted, (size_t)r->part_count, sizeof *r->sorted, by_size);
    for (int64_t i = 0; i < count; i++)
      r->block[r->taken * count + i] = i < r->part_count ? r->sorted[i] : (chosen){-1, 0};
  }
  return CO_OK;
}

static co_status explain_block(co_reasons *r, int64_t place) {
  const co_reasons_request *q = &r->request;
  const int64_t first = place / BLOCK * BLOCK, left = q->sample_count - first;
  const co_attribution_run run = {.samples = q->samples + first,
                                  .count = left < BLOCK ? left : BLOCK,
                                  .workers = q->workers,
                                  .watch = q->watch,
                                  .sink = take_rows,
                                  .user = r};
  r->first = -1;
  r->taken = 0;
  CO_RETURN_IF_FAILED(co_attribution_rows(r->attribution, q->dataset, &run));
  r->first = first;
  return CO_OK;
}

// ---- values ------------------------------------------------------------------------------------

// A long text is cut, between characters.
static void add_text(char *room, const char *text) {
  size_t used = strlen(room), length = strlen(text);
  if (length > VALUE - 1 - used) {
    length = VALUE - 1 - used;
    while (length && ((unsigned char)text[length] & 0xC0) == 0x80)
      length--;
  }
  memcpy(room + used, text, length);
  room[used + length] = '\0';
}

static const char *print_value(const source *s, int64_t sample, char *room) {
  char cell[VALUE];
  room[0] = '\0';
  if (s->begin) {
    snprintf(room, VALUE, "%lld", (long long)(s->end[sample] - s->begin[sample]));
    return room;
  }
  for (int64_t i = 0; i < s->view_count; i++) {
    if (i) add_text(room, ", ");
    add_text(room, co_view_print(&s->views[i], sample, cell, sizeof cell));
  }
  return room;
}

co_status co_reasons_at(co_reasons *r, int64_t place, const co_reason **out) {
  const int64_t count = r->request.count, sample = r->request.samples[place];
  if (r->first < 0 || place < r->first || place >= r->first + r->taken)
    CO_RETURN_IF_FAILED(explain_block(r, place));
  const chosen *row = r->block + (place - r->first) * count;
  for (int64_t i = 0; i < count; i++) {
    const source *s = row[i].part < 0 ? NULL : &r->sources[row[i].part];
    r->out[i] = (co_reason){.name = s ? s->name : "",
                            .value = s ? print_value(s, sample, r->room + i * VALUE) : "",
                            .effect = row[i].effect};
  }
  r->asked = r->heads[place - r->first];
  *out = r->out;
  return CO_OK;
}

co_explained co_reasons_explained(const co_reasons *r) {
  return r->asked;
}

const char *co_reasons_method(const co_reasons *r) {
  return co_attribution_method(r->attribution);
}
