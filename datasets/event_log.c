// SPDX-License-Identifier: Apache-2.0
#include "datasets/event_log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/dataset.h"
#include "datasets/event_store.h"
#include "datasets/expression.h"
#include "datasets/moment.h"

enum { DEFAULT_MEMORY = 256 << 20 };

// A value of an event, and where it comes from.
typedef struct value_source {
  int64_t field;               // of columns
  co_expression *formula;      // of expressions
  co_dictionary words;         // of categories
  int64_t known;               // of the words, the first so many are given
  bool fixed;                  // … and no others are taken, but …
  const co_dictionary *others; // … these; NULL = none
} value_source;

typedef struct co_event_reader {
  co_context *ctx;
  co_arena *arena;
  co_event_log_options o; // as of co_event_log_read
  co_event_log *log;
  co_scan *scan;
  int64_t entity, time; // columns
  co_expression *where;
  value_source values[CO_EVENT_MAX_VALUES];
  co_dictionary entities;
  int32_t *rank; // of entities, by their place in the dictionary
  co_event_store *store;
  const co_scan_block *block; // the row in work: its cells and place
  const co_cell *row;
  const co_row_place *place;
  co_event *event;
  const co_event **sorted; // of the part in work
  int64_t sorted_capacity;
} event_reader;

static size_t event_bytes(const event_reader *r) {
  return sizeof(co_event) + (size_t)r->o.value_count * sizeof(double);
}

// ---- columns -----------------------------------------------------------------------------------

static int64_t find_column(void *user, const char *name) {
  return co_rows_find(co_scan_file(((event_reader *)user)->scan), name);
}

// A list of JSON, which is read as CSV is.
static bool is_list(const co_rows *rows) {
  const char *name = rows->column_count ? rows->names[0] : "";
  if (*name != '[') return false;
  const char next = name[1 + strspn(name + 1, " \t")];
  return !next || next == '{' || next == ']';
}

static co_status need_column(event_reader *r, const char *name, int64_t *out) {
  *out = find_column(r, name);
  if (*out >= 0) return CO_OK;
  co_text text;
  co_text_init(&text, r->ctx);
  const co_rows *rows = co_scan_file(r->scan);
  for (int64_t i = 0; i < rows->column_count && text.length < 300; i++)
    co_text_printf(&text, "%s%s", i ? ", " : "", rows->names[i]);
  co_status status = co_fail_at(CO_ERR_DATA, co_scan_shown(r->o.scan, 0), 0, 0,
                                "there is no column '%.200s'", name);
  if (is_list(rows))
    co_hint("of JSON, lines are read that hold an object each, not a list of them");
  else if (text.data)
    co_hint("the log has: %s", text.data);
  co_text_free(&text);
  return status;
}

static co_status open_value(event_reader *r, const co_event_value *v, value_source *out) {
  if (v->kind == CO_EVENT_EXPRESSION) {
    char *name = co_arena_format(r->arena, "--%s", v->name);
    if (!name) return CO_ERR_MEMORY;
    return co_expression_parse(&out->formula, r->arena, name, v->source, false, find_column, r);
  }
  CO_RETURN_IF_FAILED(need_column(r, v->source, &out->field));
  if (v->kind == CO_EVENT_NUMBER) return CO_OK;
  CO_RETURN_IF_FAILED(co_dictionary_create(&out->words, r->ctx));
  out->fixed = v->categories != NULL;
  out->others = v->others;
  out->known = v->category_count;
  for (int64_t i = 0; i < v->category_count; i++)
    CO_RETURN_IF_FAILED(
        co_dictionary_add(&out->words, v->categories[i], strlen(v->categories[i]), 0, NULL));
  return CO_OK;
}

static co_status open_columns(event_reader *r) {
  const co_event_log_options *o = &r->o;
  CO_RETURN_IF_FAILED(need_column(r, o->entity, &r->entity));
  CO_RETURN_IF_FAILED(need_column(r, o->time, &r->time));
  if (o->where)
    CO_RETURN_IF_FAILED(
        co_expression_parse(&r->where, r->arena, "--where", o->where, true, find_column, r));
  for (int64_t i = 0; i < o->value_count; i++)
    CO_RETURN_IF_FAILED(open_value(r, &o->values[i], &r->values[i]));
  CO_RETURN_IF_FAILED(co_dictionary_create(&r->entities, r->ctx));
  for (int64_t i = 0; i < o->population_count; i++)
    CO_RETURN_IF_FAILED(
        co_dictionary_add(&r->entities, o->population[i], strlen(o->population[i]), 0, NULL));
  return CO_OK;
}

// ---- events ------------------------------------------------------------------------------------

static co_cell cell_of(const event_reader *r, int64_t column) {
  const int64_t *map = r->block->map;
  return co_cell_trim(&r->row[map ? map[column] : column], NULL);
}

static co_status no_number(const event_reader *r, int64_t column) {
  const co_cell cell = cell_of(r, column);
  co_status status = co_scan_wrong(r->scan, r->place, column, "'%.*s' is no number",
                                   (int)(cell.length < 40 ? cell.length : 40), cell.text);
  co_cell_hint(&cell, co_scan_file(r->scan)->decimal_comma,
               "or leave it empty, or leave such events out with --where");
  return status;
}

// The place of a text in a dictionary, which takes it in unless it is `fixed`; else -1.
static co_status take_word(co_dictionary *words, bool fixed, const co_cell *cell, int64_t *out) {
  if (!fixed)
    return co_dictionary_take(words, cell->text, cell->length,
                              co_dictionary_hash(cell->text, cell->length), 1, 0, out);
  const co_word *word = co_dictionary_find(words, cell->text, cell->length);
  *out = word ? word - words->words : -1;
  if (word) words->words[*out].count++;
  return CO_OK;
}

static co_status read_category(value_source *s, const co_cell *cell, int64_t *unseen, double *out) {
  const bool other = s->others && co_dictionary_find(s->others, cell->text, cell->length);
  int64_t place;
  CO_RETURN_IF_FAILED(take_word(&s->words, s->fixed && !other, cell, &place));
  *unseen += place < 0 || (s->known && place >= s->known);
  *out = (double)place;
  return CO_OK;
}

static co_status read_value(event_reader *r, int64_t i, double *out) {
  value_source *s = &r->values[i];
  int64_t bad = -1;
  if (s->formula) {
    co_expression_read_as(s->formula, co_scan_file(r->scan)->decimal_comma);
    *out = co_expression_value(s->formula, r->row, r->block->map, &bad);
    return bad < 0 ? CO_OK : no_number(r, bad);
  }
  const co_cell cell = cell_of(r, s->field);
  bool category = r->o.values[i].kind == CO_EVENT_CATEGORY;
  *out = category ? -1 : (double)NAN;
  if (co_cell_is_missing(&cell)) return CO_OK;
  if (category) return read_category(s, &cell, &r->log->unseen[i], out);
  bool comma = co_scan_file(r->scan)->decimal_comma;
  return co_cell_read_as(&cell, comma, out) == CO_CELL_NUMBER ? CO_OK : no_number(r, s->field);
}

static co_status read_time(const event_reader *r, const co_cell *cell, int64_t *out) {
  const char *format = r->o.time_format;
  if (co_moment_read_as(cell, format, out)) return CO_OK;
  co_status status = co_scan_wrong(r->scan, r->place, r->time, "'%.*s' is no time",
                                   (int)(cell->length < 40 ? cell->length : 40), cell->text);
  if (r->o.of_model && format)
    co_hint("the model reads times as '%.100s'", format);
  else if (r->o.of_model)
    co_hint("the model reads times as 2011-12-31, 2011-12-31 23:59[:59], or seconds since 1970");
  else if (format)
    co_hint("times are as --time-format '%.100s' says", format);
  else
    co_hint("times are 2011-12-31, 2011-12-31 23:59[:59] (UTC, or with a zone such as +01:00), or "
            "seconds since 1970; --time-format '%%d/%%m/%%Y' reads others, ms milliseconds");
  return status;
}

static bool lacks_value(const event_reader *r) {
  for (int64_t i = 0; i < r->o.value_count; i++) {
    double value = r->event->value[i];
    bool category = r->o.values[i].kind == CO_EVENT_CATEGORY;
    if (r->o.values[i].required && (category ? value < 0 : isnan(value))) return true;
  }
  return false;
}

static co_status read_line(event_reader *r) {
  co_event_log *log = r->log;
  co_event *e = r->event;
  int64_t bad = -1, entity;
  log->lines++;
  if (r->where) {
    co_expression_read_as(r->where, co_scan_file(r->scan)->decimal_comma);
    bool holds = co_expression_value(r->where, r->row, r->block->map, &bad) > 0;
    if (bad >= 0) return no_number(r, bad);
    if (!holds) return log->excluded++, CO_OK;
  }
  const co_cell key = cell_of(r, r->entity);
  const co_cell time = cell_of(r, r->time);
  if (co_cell_is_missing(&key)) return log->no_entity++, CO_OK;
  if (co_cell_is_missing(&time)) return log->no_time++, CO_OK;
  CO_RETURN_IF_FAILED(read_time(r, &time, &e->time));
  for (int64_t i = 0; i < r->o.value_count; i++)
    CO_RETURN_IF_FAILED(read_value(r, i, &e->value[i]));
  if (lacks_value(r)) return log->no_value++, CO_OK;
  CO_RETURN_IF_FAILED(take_word(&r->entities, r->o.population != NULL, &key, &entity));
  if (entity < 0) return log->strangers++, CO_OK;
  if (key.length > CO_DATASET_KEY_MAX)
    return co_scan_wrong(r->scan, r->place, r->entity, "a key of %zu bytes; at most %d are allowed",
                         key.length, (int)CO_DATASET_KEY_MAX);
  e->entity = (int32_t)entity;
  if (!log->events || e->time < log->first_time) log->first_time = e->time;
  if (!log->events || e->time > log->last_time) log->last_time = e->time;
  log->events++;
  return co_event_store_add(r->store, e);
}

static co_status read_part(event_reader *r, const co_row_part *part) {
  for (int64_t i = 0; i < part->count; i++) {
    r->row = part->cells + i * r->block->stride;
    r->place = &part->places[i];
    CO_RETURN_IF_FAILED(read_line(r));
  }
  return CO_OK;
}

static co_status read_lines(event_reader *r) {
  co_scan_block block;
  r->block = &block;
  for (;;) {
    CO_RETURN_IF_FAILED(co_scan_next(r->scan, &block));
    if (!block.count) break;
    for (int64_t i = 0; i < block.part_count; i++)
      CO_RETURN_IF_FAILED(read_part(r, &block.parts[i]));
  }
  co_scan_digest(r->scan, r->log->digest);
  return CO_OK;
}

// ---- order -------------------------------------------------------------------------------------

static bool is_whole(const co_word *word) {
  const char *text = word->text;
  if (word->length > 18 || (word->length > 1 && *text == '0')) return false;
  for (; *text >= '0' && *text <= '9'; text++)
    continue;
  return !*text;
}

static int by_value(const void *a, const void *b) {
  const co_word *x = *(const co_word *const *)a, *y = *(const co_word *const *)b;
  if (x->length != y->length) return x->length < y->length ? -1 : 1;
  return strcmp(x->text, y->text);
}

static int by_bytes(const void *a, const void *b) {
  return strcmp((*(const co_word *const *)a)->text, (*(const co_word *const *)b)->text);
}

// Those of the population keep its order.
static co_status rank_entities(event_reader *r) {
  co_event_log *log = r->log;
  int64_t count = log->entities = r->entities.count;
  co_word **order = co_alloc(r->ctx, ((size_t)count + 1) * sizeof *order);
  const char **names = co_arena_alloc(r->arena, (size_t)count + 1, sizeof *names);
  r->rank = co_alloc(r->ctx, ((size_t)count + 1) * sizeof *r->rank);
  bool whole = true;
  for (int64_t i = 0; order && i < count; i++) {
    order[i] = &r->entities.words[i];
    whole = whole && is_whole(order[i]);
  }
  if (order && !r->o.population)
    qsort(order, (size_t)count, sizeof *order, whole ? by_value : by_bytes);
  for (int64_t i = 0; order && names && r->rank && i < count; i++) {
    r->rank[order[i] - r->entities.words] = (int32_t)i;
    names[i] = order[i]->text;
  }
  bool made = order && names && r->rank;
  co_free(r->ctx, order);
  log->entity_names = names;
  return made ? CO_OK : CO_ERR_MEMORY;
}

static co_status count_events(event_reader *r) {
  co_event_log *log = r->log;
  log->offsets = co_alloc_zero(r->ctx, (size_t)log->entities + 1, sizeof *log->offsets);
  if (!log->offsets) return CO_ERR_MEMORY;
  bool given = r->o.population != NULL; // of which each was added once before
  for (int64_t i = 0; i < log->entities; i++)
    log->offsets[r->rank[i] + 1] = r->entities.words[i].count - given;
  for (int64_t i = 0; i < log->entities; i++)
    log->offsets[i + 1] += log->offsets[i];
  return CO_OK;
}

// Those that were given keep their codes.
static co_status sort_others(event_reader *r, value_source *s, const char *const **texts) {
  co_dictionary *words = &s->words;
  const int64_t others = words->count - s->known;
  const char **sorted = co_arena_alloc(r->arena, (size_t)words->count + 1, sizeof *sorted);
  co_word **order = co_alloc(r->ctx, ((size_t)others + 1) * sizeof *order);
  const bool made = sorted && order;
  for (int64_t i = 0; made && i < others; i++)
    order[i] = &words->words[s->known + i];
  if (made) qsort(order, (size_t)others, sizeof *order, by_bytes);
  for (int64_t i = 0; made && i < words->count; i++) {
    co_word *word = i < s->known ? &words->words[i] : order[i - s->known];
    word->code = (int32_t)i;
    sorted[i] = word->text;
  }
  co_free(r->ctx, order);
  *texts = sorted;
  return made ? CO_OK : CO_ERR_MEMORY;
}

static co_status sort_categories(event_reader *r) {
  for (int64_t i = 0; i < r->o.value_count; i++) {
    const co_event_value *v = &r->o.values[i];
    value_source *s = &r->values[i];
    if (v->kind != CO_EVENT_CATEGORY) continue;
    r->log->category_count[i] = s->words.count;
    r->log->categories[i] = v->categories;
    if (v->others)
      CO_RETURN_IF_FAILED(sort_others(r, s, &r->log->categories[i]));
    else if (!s->fixed)
      CO_RETURN_IF_FAILED(co_dictionary_sort(&s->words, &r->log->categories[i]));
  }
  return CO_OK;
}

// From places in dictionaries to ranks and codes.
static int64_t rank_event(void *user, void *record) {
  event_reader *r = user;
  co_event *e = record;
  e->entity = r->rank[e->entity];
  for (int64_t i = 0; i < r->o.value_count; i++)
    if (r->o.values[i].kind == CO_EVENT_CATEGORY && e->value[i] >= 0 &&
        (!r->values[i].fixed || r->values[i].others))
      e->value[i] = r->values[i].words.words[(int64_t)e->value[i]].code;
  return e->entity;
}

static int by_time(const void *a, const void *b) {
  const co_event *x = *(const co_event *const *)a, *y = *(const co_event *const *)b;
  if (x->time != y->time) return x->time < y->time ? -1 : 1;
  for (int32_t i = 0; i < x->value_count; i++) {
    double u = x->value[i], v = y->value[i];
    if (isnan(u) || isnan(v)) {
      if (isnan(u) != isnan(v)) return isnan(u) ? -1 : 1;
    } else if (u != v) {
      return u < v ? -1 : 1;
    }
  }
  return 0;
}

static co_status run(event_reader *r) {
  const co_event_log_options *o = &r->o;
  r->event = co_arena_alloc(r->arena, 1, event_bytes(r));
  if (!r->event) return CO_ERR_MEMORY;
  r->event->value_count = (int32_t)o->value_count;
  CO_RETURN_IF_FAILED(co_event_store_create(&r->store, r->ctx, event_bytes(r),
                                            o->memory ? o->memory : DEFAULT_MEMORY, o->temporary));
  CO_RETURN_IF_FAILED(co_scan_open(&r->scan, r->ctx, o->scan));
  CO_RETURN_IF_FAILED(open_columns(r));
  CO_RETURN_IF_FAILED(read_lines(r));
  CO_RETURN_IF_FAILED(rank_entities(r));
  CO_RETURN_IF_FAILED(count_events(r));
  CO_RETURN_IF_FAILED(sort_categories(r));
  CO_RETURN_IF_FAILED(
      co_event_store_arrange(r->store, r->log->offsets, r->log->entities, rank_event, r));
  r->log->spilled = co_event_store_spilled(r->store);
  return CO_OK;
}

co_status co_event_log_read(co_event_log *out, co_context *ctx, co_arena *arena,
                            const co_event_log_options *options) {
  *out = (co_event_log){0};
  event_reader *r = out->reader = co_alloc_zero(ctx, 1, sizeof *r);
  if (!r) return CO_ERR_MEMORY;
  r->ctx = ctx;
  r->arena = arena;
  r->o = *options;
  r->log = out;
  co_status status = run(r);
  co_scan_close(r->scan);
  r->scan = NULL;
  if (status != CO_OK) co_event_log_free(out);
  return status;
}

void co_event_log_free(co_event_log *log) {
  event_reader *r = log->reader;
  if (!r) return;
  for (int64_t i = 0; i < CO_EVENT_MAX_VALUES; i++)
    co_dictionary_free(&r->values[i].words);
  co_dictionary_free(&r->entities);
  co_event_store_free(r->store);
  co_free(r->ctx, r->sorted);
  co_free(r->ctx, r->rank);
  co_free(r->ctx, log->offsets);
  co_free(r->ctx, r);
  *log = (co_event_log){0};
}

co_status co_event_log_next(co_event_log *log, const co_event *const **events, int64_t *first,
                            int64_t *end) {
  event_reader *r = log->reader;
  unsigned char *records;
  CO_RETURN_IF_FAILED(co_event_store_next(r->store, &records, first, end));
  *events = NULL;
  if (*first == *end) return CO_OK;
  const int64_t *offsets = log->offsets, base = offsets[*first];
  int64_t count = offsets[*end] - base;
  if (count > r->sorted_capacity) {
    co_free(r->ctx, r->sorted);
    r->sorted = co_alloc(r->ctx, (size_t)count * sizeof *r->sorted);
    if (!r->sorted) return CO_ERR_MEMORY;
    r->sorted_capacity = count;
  }
  int64_t *at = co_alloc(r->ctx, (size_t)(*end - *first) * sizeof *at);
  if (!at) return CO_ERR_MEMORY;
  for (int64_t i = *first; i < *end; i++)
    at[i - *first] = offsets[i] - base;
  for (int64_t i = 0; i < count; i++) {
    const co_event *e = (const co_event *)(const void *)(records + (size_t)i * event_bytes(r));
    r->sorted[at[e->entity - *first]++] = e;
  }
  co_free(r->ctx, at);
  for (int64_t i = *first; i < *end; i++)
    qsort(r->sorted + (offsets[i] - base), (size_t)(offsets[i + 1] - offsets[i]), sizeof *r->sorted,
          by_time);
  *events = r->sorted;
  return CO_OK;
}

void co_event_log_rewind(co_event_log *log) {
  co_event_store_rewind(log->reader->store);
}
