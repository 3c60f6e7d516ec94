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

typedef struct member {
  co_attribution *attribution;
  int64_t part_count;
  int32_t *part_of; // per part of its own, which one of all
} member;

struct co_reasons {
  co_context *ctx;
  co_arena *arena;
  co_reasons_request request;
  const co_output_feature *output;
  member *members;
  const member *at; // in work
  source *sources;  // of all parts
  int64_t part_count;
  double *shares;      // (BLOCK, parts)
  chosen *block;       // (BLOCK, count)
  co_explained *heads; // (BLOCK)
  co_explained asked;  // of the row that was asked for last
  int64_t first;       // place of its first row; -1 = it is empty
  int64_t taken;       // rows of it that were explained
  chosen *sorted;      // room for the parts of a row
  co_reason *out;      // (count)
  char *room;          // (count, VALUE)
};

// ---- opening -----------------------------------------------------------------------------------

static co_status open_source(co_reasons *r, co_dataset *dataset, const co_encoded_part *part,
                             source *out) {
  const co_schema *schema = co_dataset_schema(dataset);
  out->name = part->name;
  if (part->events) return co_dataset_ranges(dataset, part->events, &out->begin, &out->end);
  if (part->feature->class_->of_events) {
    const char *table = part->feature->column->table;
    return co_dataset_ranges(dataset, table, &out->begin, &out->end);
  }
  out->view_count = part->feature->column_count;
  out->views = co_arena_alloc(r->arena, (size_t)out->view_count, sizeof *out->views);
  if (!out->views) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < out->view_count; i++) {
    const char *name = part->feature->columns[i]->name;
    const co_column *column = co_schema_find(schema, name);
    if (!column) return co_fail(CO_ERR_INTERNAL, "reasons: no column '%s'", name);
    CO_RETURN_IF_FAILED(co_view_open(&out->views[i], dataset, column));
  }
  return CO_OK;
}

static co_status open_member(co_reasons *r, int64_t at, int64_t *most) {
  const co_reasons_request *q = &r->request;
  const co_attribution_options options = {
      .output = q->output, .class_ = q->class_, .steps = q->steps};
  member *m = &r->members[at];
  CO_RETURN_IF_FAILED(co_attribution_open(&m->attribution, q->members[at].predictor, &options));
  co_attribution_parts(m->attribution, &m->part_count);
  *most += m->part_count;
  m->part_of = co_arena_alloc(r->arena, (size_t)m->part_count + 1, sizeof *m->part_of);
  return m->part_of ? CO_OK : CO_ERR_MEMORY;
}

// Columns of one name are one part.
static co_status open_parts(co_reasons *r, int64_t at) {
  member *m = &r->members[at];
  const co_encoded_part *parts = co_attribution_parts(m->attribution, &m->part_count);
  for (int64_t i = 0; i < m->part_count; i++) {
    int64_t k = 0;
    while (k < r->part_count && strcmp(r->sources[k].name, parts[i].name) != 0)
      k++;
    m->part_of[i] = (int32_t)k;
    if (k < r->part_count) continue;
    CO_RETURN_IF_FAILED(
        open_source(r, r->request.members[at].dataset, &parts[i], &r->sources[r->part_count++]));
  }
  return CO_OK;
}

static co_status check_mean(const co_reasons *r) {
  if (r->request.member_count == 1 || r->output->column->type != CO_COLUMN_CATEGORY) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE,
                             "'%s' has several classes: reasons of an ensemble are of "
                             "binary targets and numbers",
                             r->output->name);
  co_hint("score one of the models alone, or leave the reasons out");
  return status;
}

static co_status open_all(co_reasons *r) {
  const co_reasons_request *q = &r->request;
  const size_t count = (size_t)q->count;
  int64_t most = 0;
  CO_RETURN_IF_FAILED(co_arena_create(&r->arena, r->ctx));
  r->members = co_arena_alloc(r->arena, (size_t)q->member_count, sizeof *r->members);
  if (!r->members) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < q->member_count; i++)
    CO_RETURN_IF_FAILED(open_member(r, i, &most));
  CO_RETURN_IF_FAILED(check_mean(r));
  r->sources = co_arena_alloc(r->arena, (size_t)most, sizeof *r->sources);
  r->sorted = co_arena_alloc(r->arena, (size_t)most, sizeof *r->sorted);
  r->shares = co_arena_alloc(r->arena, BLOCK * (size_t)most, sizeof *r->shares);
  r->block = co_arena_alloc(r->arena, BLOCK * count, sizeof *r->block);
  r->heads = co_arena_alloc(r->arena, BLOCK, sizeof *r->heads);
  r->out = co_arena_alloc(r->arena, count, sizeof *r->out);
  r->room = co_arena_alloc(r->arena, count, VALUE);
  if (!r->sources || !r->sorted || !r->shares || !r->block || !r->heads || !r->out || !r->room)
    return CO_ERR_MEMORY;
  for (int64_t i = 0; i < q->member_count; i++)
    CO_RETURN_IF_FAILED(open_parts(r, i));
  return CO_OK;
}

co_status co_reasons_open(co_reasons **out, const co_reasons_request *request) {
  const co_predictor *first = request->members[0].predictor;
  co_reasons *r = co_alloc_zero(first->ctx, 1, sizeof *r);
  *out = NULL;
  if (!r) return CO_ERR_MEMORY;
  r->ctx = first->ctx;
  r->request = *request;
  r->output = &first->model->outputs[request->output];
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
  for (int64_t i = 0; r->members && i < r->request.member_count; i++)
    co_attribution_close(r->members[i].attribution);
  co_arena_free(r->arena);
  co_free(r->ctx, r);
}

// ---- shares ------------------------------------------------------------------------------------

static double probability(const void *user, double log_odds) {
  (void)user;
  return 1 / (1 + exp(-log_odds));
}

static double log_odds(const void *user, double p) {
  static const double least = 1e-12;
  (void)user;
  p = fmin(fmax(p, least), 1 - least);
  return log(p / (1 - p));
}

// Whether what is averaged are probabilities.
static bool of_probabilities(const co_reasons *r) {
  return r->request.member_count > 1 && r->output->column->type == CO_COLUMN_BINARY;
}

// A co_attribution_sink, of the member in work.
static co_status add_shares(void *user, const co_attributed *rows) {
  co_reasons *r = user;
  const member *m = r->at;
  const bool probabilities = of_probabilities(r);
  for (int64_t row = 0; row < rows->rows; row++, r->taken++) {
    double value = rows->value[row], reference = rows->reference[row], slope = 1;
    double *shares = r->shares + r->taken * r->part_count;
    if (probabilities) {
      slope = co_mean_slope(probability, NULL, reference, value);
      value = probability(NULL, value);
      reference = probability(NULL, reference);
    }
    for (int64_t i = 0; i < m->part_count; i++)
      shares[m->part_of[i]] += slope * rows->shares[row * m->part_count + i];
    r->heads[r->taken].value += value;
    r->heads[r->taken].reference += reference;
    r->heads[r->taken].class_ = rows->class_[row];
  }
  return CO_OK;
}

// Of sums means, and of probabilities log-odds.
static void settle(co_reasons *r, int64_t row) {
  co_explained *head = &r->heads[row];
  double factor = 1 / (double)r->request.member_count;
  head->value *= factor;
  head->reference *= factor;
  if (of_probabilities(r)) {
    factor *= co_mean_slope(log_odds, NULL, head->reference, head->value);
    head->value = log_odds(NULL, head->value);
    head->reference = log_odds(NULL, head->reference);
  }
  for (int64_t i = 0; i < r->part_count; i++)
    r->shares[row * r->part_count + i] *= factor;
}

// By falling size; of equal ones the input that comes first.
static int by_size(const void *a, const void *b) {
  const chosen *x = a, *y = b;
  double p = fabs(x->effect), q = fabs(y->effect);
  return p > q ? -1 : p < q ? 1 : x->part - y->part;
}

static void choose(co_reasons *r, int64_t row) {
  const int64_t count = r->request.count;
  for (int64_t i = 0; i < r->part_count; i++)
    r->sorted[i] = (chosen){(int32_t)i, r->shares[row * r->part_count + i]};
  qsort(r->sorted, (size_t)r->part_count, sizeof *r->sorted, by_size);
  for (int64_t i = 0; i < count; i++)
    r->block[row * count + i] = i < r->part_count ? r->sorted[i] : (chosen){-1, 0};
}

static co_status explain_block(co_reasons *r, int64_t place) {
  const co_reasons_request *q = &r->request;
  const int64_t first = place / BLOCK * BLOCK, left = q->sample_count - first;
  const co_attribution_run run = {.samples = q->samples + first,
                                  .count = left < BLOCK ? left : BLOCK,
                                  .workers = q->workers,
                                  .watch = q->watch,
                                  .sink = add_shares,
                                  .user = r};
  r->first = -1;
  memset(r->shares, 0, (size_t)(BLOCK * r->part_count) * sizeof *r->shares);
  memset(r->heads, 0, BLOCK * sizeof *r->heads);
  for (int64_t i = 0; i < q->member_count; i++) {
    r->at = &r->members[i];
    r->taken = 0;
    CO_RETURN_IF_FAILED(co_attribution_rows(r->at->attribution, q->members[i].dataset, &run));
  }
  for (int64_t row = 0; row < r->taken; row++) {
    settle(r, row);
    choose(r, row);
  }
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
  return co_attribution_method(r->members[0].attribution);
}
