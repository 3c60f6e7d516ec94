// SPDX-License-Identifier: Apache-2.0
#include "datasets/events_import.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "datasets/dataset.h"
#include "datasets/date.h"
#include "datasets/format.h"
#include "datasets/import_existing.h"
#include "datasets/source.h"
#include "datasets/writer.h"
#include "host/core/hash.h"
#include "host/core/json.h"
#include "host/core/output.h"

#define TABLE "events"
enum { BLOCK = 1 << 15 };
static const char *const rfm_names[CO_EVENT_RFM] = {"rfm.recency", "rfm.frequency", "rfm.monetary",
                                                    "rfm.tenure"};

bool co_event_column(const co_schema *schema, const co_column *column) {
  const co_table *table = column->table ? co_schema_table(schema, column->table) : NULL;
  if (table && table->kind == CO_TABLE_EVENTS) return true;
  for (int i = 0; i < CO_EVENT_RFM; i++)
    if (!strcmp(column->name, rfm_names[i])) return true;
  return false;
}

const co_column *co_event_find(const co_schema *schema, const char *name) {
  const size_t prefix = strlen(TABLE) + 1;
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    const co_table *table = column->table ? co_schema_table(schema, column->table) : NULL;
    if (!table || table->kind != CO_TABLE_EVENTS) continue;
    if (strcmp(column->name, name) == 0) return column;
    if (strncmp(column->name, TABLE ".", prefix) == 0 && strcmp(column->name + prefix, name) == 0)
      return column;
  }
  return NULL;
}

bool co_event_name_reserved(const char *name) {
  static const char *const own[] = {"item", "amount", "time", "dt", "offsets", "next_item"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (!strcmp(name, own[i])) return true;
  for (int i = 0; i < CO_EVENT_RFM; i++)
    if (!strcmp(name, rfm_names[i])) return true;
  return false;
}

// ---- recipe ------------------------------------------------------------------------------------

// "  key: "text"", or with "  -" an item of a list.
static void print_text(co_text *out, const char *key, const char *text) {
  co_json json;
  if (!text) return;
  co_json_init(&json, out->ctx, 0);
  co_json_string(&json, text);
  if (json.text.status != CO_OK) out->status = json.text.status;
  co_text_printf(out, "  %s%s %s\n", key, strchr(key, '-') ? "" : ":",
                 json.text.data ? json.text.data : "");
  co_json_free(&json);
}

static void print_items(const co_events_import *m, co_text *t) {
  const co_image_recipe *image = &m->items.picture.images.recipe;
  if (!m->options->joined) return;
  co_text_printf(t, "joined: sha256 %s\n", m->items.digest);
  print_text(t, "picture", m->items.picture_name);
  print_text(t, "description", m->items.description_name);
  const co_survey *survey = &m->items.joins.items[0].survey;
  for (int64_t i = 0; i < survey->column_count; i++)
    if (survey->columns[i].images[0])
      co_text_printf(t, "images: sha256 %s\nsize: %" PRId64 " %" PRId64 " %d %d\n",
                     survey->columns[i].images, image->height, image->width, image->channels,
                     (int)image->fit);
}

// Everything that decides the output.
static co_status print_options(co_events_import *m, const char *digest) {
  const co_import_events_options *o = m->options;
  co_text *t = &m->text;
  t->length = 0;
  co_text_printf(t, "importer: events 2\nfiles: sha256 %s\n", digest);
  CO_RETURN_IF_FAILED(co_event_recipe_print(t, &m->recipe));
  print_items(m, t);
  co_text_printf(t, "delimiter: %d\nquotes: %d\nskip_lines: %" PRId64 "\nheader: %" PRId64 "\n",
                 o->rows.delimiter, !o->rows.no_quotes, o->rows.skip_lines, o->rows.header_count);
  print_text(t, "encoding", o->rows.encoding);
  print_text(t, "table", o->rows.table);
  print_text(t, "query", o->rows.query);
  for (int64_t i = 0; i < o->rows.header_count; i++)
    print_text(t, "-", o->rows.header[i]);
  for (int64_t i = 0; i < o->rows.pseudonymized_count; i++)
    print_text(t, "pseudonymized", o->rows.pseudonymized[i]);
  print_text(t, "key_check", o->rows.key_check);
  co_text_printf(t, "sampling: %d\n", (int)o->sampling);
  for (int64_t i = 0; i < o->cutoff_count; i++)
    co_text_printf(t, "cutoff: %" PRId64 "\n", o->cutoffs[i]);
  co_text_printf(t, "gap: %" PRId64 "\nwindow: %" PRId64 "\n", o->gap, o->window);
  for (int k = CO_LABEL_ANY; k < CO_LABEL_KIND_COUNT; k++)
    print_text(t, co_label_kind_name((co_label_kind)k), o->labels[k]);
  co_text_printf(t, "censored: %d\nleast_events: %" PRId64 "\nsplit: %.17g %.17g %.17g\n",
                 o->allow_censored, o->least_events, o->split.share[0], o->split.share[1],
                 o->split.share[2]);
  if (o->keep_new_items) co_text_printf(t, "keep_new_items: true\n");
  co_text_printf(t, "seed: %" PRIu64 "\n", o->seed);
  return t->status;
}

static co_status hash_files(co_events_import *m, char digest[65]) {
  co_sha256 hash;
  co_sha256_init(&hash);
  for (int64_t i = 0; i < m->options->file_count; i++) {
    char hex[65];
    CO_RETURN_IF_FAILED(co_source_hash_file(m->ctx, m->options->files[i], hex));
    co_sha256_update(&hash, hex, 64);
  }
  co_sha256_final(&hash, digest);
  return CO_OK;
}

static co_status check_existing(co_events_import *m) {
  char digest[65];
  co_existing existing;
  bool database = false; // whose hash is that of what is read
  for (int64_t i = 0; i < m->options->file_count; i++)
    database = database || co_rows_is_database(m->options->files[i]);
  if (!database) CO_RETURN_IF_FAILED(hash_files(m, digest));
  CO_RETURN_IF_FAILED(print_options(m, database ? "" : digest));
  CO_RETURN_IF_FAILED(
      co_import_check_existing(&existing, m->ctx, m->options->output, m->text.data));
  m->result->up_to_date = existing.up_to_date;
  memcpy(m->result->rows, existing.rows, sizeof existing.rows);
  memcpy(m->result->fingerprint, existing.fingerprint, sizeof existing.fingerprint);
  return CO_OK;
}

// ---- what is read of a line --------------------------------------------------------------------

static int64_t add_value(co_events_import *m, const co_event_value *value) {
  m->values[m->value_count] = *value;
  return m->value_count++;
}

static co_status add_column(co_events_import *m, const char *text) {
  const char *colon = strrchr(text, ':');
  bool number = colon && !strcmp(colon, ":number");
  bool category = colon && !strcmp(colon, ":category");
  char *name =
      co_arena_strndup(m->arena, text, number || category ? (size_t)(colon - text) : strlen(text));
  if (!name) return CO_ERR_MEMORY;
  if (co_event_name_reserved(name) || !co_dataset_name_ok(name))
    return co_fail(CO_ERR_USAGE, "a further column cannot be called '%.200s'", name);
  for (int64_t i = 0; i < m->value_count; i++)
    if (i != m->basket && !strcmp(m->values[i].name, name))
      return co_fail(CO_ERR_USAGE, "column '%.200s' of events is given twice", name);
  if (m->value_count == CO_EVENT_MAX_VALUES)
    return co_fail(CO_ERR_USAGE, "more than %d columns of events", CO_EVENT_MAX_VALUES - 3);
  add_value(m, &(co_event_value){.name = name,
                                 .source = name,
                                 .kind = number ? CO_EVENT_NUMBER : CO_EVENT_CATEGORY});
  return CO_OK;
}

static bool is_of_next_items(co_sampling sampling) {
  return sampling == CO_SAMPLE_LEAVE_ONE_OUT || sampling == CO_SAMPLE_SESSIONS ||
         sampling == CO_SAMPLE_TIME;
}

static co_status choose_values(co_events_import *m) {
  const co_import_events_options *o = m->options;
  const co_event_recipe *r = &o->recipe;
  if (r->time_format && strcmp(r->time_format, "ms") != 0)
    CO_RETURN_IF_FAILED(co_date_check_format(r->time_format));
  const bool next = is_of_next_items(o->sampling);
  m->basket = m->item = m->amount = -1;
  if (next && !r->item) return co_fail(CO_ERR_USAGE, "--next-item needs --item COL");
  if (r->basket)
    m->basket = add_value(
        m, &(co_event_value){.name = "basket", .source = r->basket, .kind = CO_EVENT_CATEGORY});
  if (r->item)
    m->item = add_value(
        m, &(co_event_value){
               .name = "item", .source = r->item, .kind = CO_EVENT_CATEGORY, .required = next});
  if (r->amount)
    m->amount = add_value(
        m, &(co_event_value){.name = "amount", .source = r->amount, .kind = CO_EVENT_EXPRESSION});
  for (int64_t i = 0; i < r->column_count; i++)
    CO_RETURN_IF_FAILED(add_column(m, r->columns[i]));
  for (int64_t i = 0; o->schema && i < m->value_count; i++) {
    const co_column *column = co_event_find(o->schema, m->values[i].name);
    if (m->values[i].kind != CO_EVENT_CATEGORY || !column || i == m->basket) continue;
    m->values[i].categories = column->categories;
    m->values[i].category_count = column->category_count;
  }
  return CO_OK;
}

static co_status read_items(co_events_import *m) {
  if (!m->items.ctx) return CO_OK;
  if (m->options->target && m->values[m->item].others)
    CO_RETURN_IF_FAILED(
        co_items_append(&m->items, &m->log.categories[m->item], &m->log.category_count[m->item]));
  m->items.known = m->values[m->item].others ? m->known_items : 0;
  CO_RETURN_IF_FAILED(
      co_items_read(&m->items, m->log.categories[m->item], m->log.category_count[m->item]));
  m->result->unlisted = m->items.unlisted;
  m->result->newcomers = m->items.newcomers;
  if (!m->options->members) return CO_OK;
  CO_RETURN_IF_FAILED(co_items_new_classes(&m->result->new_items, &m->new_code, &m->items,
                                           m->log.categories[m->item],
                                           m->log.category_count[m->item]));
  if (m->result->new_items.count) m->result->new_items.target = m->options->target;
  return CO_OK;
}

// Of an import all columns of a table of items are found out, of a scoring those that it needs are known.
static co_status begin_items(co_events_import *m) {
  const co_import_events_options *o = m->options;
  if (o->surveyed) {
    m->items = *o->surveyed;
    *o->surveyed = (co_items){0};
    return CO_OK;
  }
  if (o->joined) return co_items_survey(&m->items, m->ctx, m->arena, o, &m->scan, &m->recipe);
  if (!o->items_path) return CO_OK;
  CO_RETURN_IF_FAILED(co_items_begin(&m->items, m->ctx, m->arena, o, &m->scan));
  if (!o->newcomers || !m->values[m->item].categories) return CO_OK;
  m->values[m->item].others = &m->items.keys;
  return co_items_read_keys(&m->items);
}

static co_status read_log(co_events_import *m) {
  const co_import_events_options *o = m->options;
  char *folder = NULL;
  if (o->temporary_folder &&
      !(folder = co_arena_format(m->arena, "%s/cohort.events", o->temporary_folder)))
    return CO_ERR_MEMORY;
  const co_event_log_options options = {.scan = &m->scan,
                                        .entity = o->recipe.entity,
                                        .time = o->recipe.time,
                                        .time_format = o->recipe.time_format,
                                        .of_model = o->schema != NULL,
                                        .where = o->recipe.where,
                                        .values = m->values,
                                        .value_count = m->value_count,
                                        .population = o->population,
                                        .population_count = o->population_count,
                                        .temporary = folder ? folder : o->output,
                                        .memory = o->memory};
  CO_RETURN_IF_FAILED(co_event_log_read(&m->log, m->ctx, m->arena, &options));
  co_import_events_result *r = m->result;
  memcpy(r->source, m->log.digest, sizeof r->source);
  r->lines = m->log.lines;
  r->events = m->log.events;
  r->entities = m->log.entities;
  if (m->item >= 0) {
    r->items = m->log.category_count[m->item];
    m->known_items = m->values[m->item].others ? m->values[m->item].category_count : r->items;
  }
  r->unseen = m->item >= 0 ? m->log.unseen[m->item] : 0;
  r->no_entity = m->log.no_entity;
  r->no_time = m->log.no_time;
  r->no_value = m->log.no_value;
  r->excluded = m->log.excluded;
  r->spilled = m->log.spilled;
  if (r->events) {
    co_event_warn_times(m);
    return read_items(m);
  }
  co_status status = co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0, "no event is left");
  co_hint("%" PRId64 " lines read: %" PRId64 " without %s, %" PRId64 " without %s, %" PRId64
          " excluded by --where, %" PRId64 " of others than the population",
          r->lines, r->no_entity, o->recipe.entity, r->no_time, o->recipe.time, r->excluded,
          m->log.strangers);
  return status;
}

// ---- writing -----------------------------------------------------------------------------------

static co_status open_column(co_events_import *m, int64_t value, const co_column *column) {
  co_filled_event_column *c = &m->columns[m->column_count++];
  c->column = *column;
  c->value = value;
  c->block = co_alloc(m->ctx, BLOCK * co_dtype_size(column->dtype));
  if (!c->block) return CO_ERR_MEMORY;
  return co_dataset_writer_open_column(m->writer, TABLE, &c->column, m->log.events, &c->id);
}

// Those of a model, and its new ones.
static co_status list_items(const co_events_import *m, co_column *column) {
  const int64_t count = column->category_count;
  column->category_count = m->known_items;
  if (!m->new_code) return CO_OK;
  const char **names = co_arena_alloc(m->arena, (size_t)count + 1, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    if (i < m->known_items || m->new_code[i - m->known_items] >= 0)
      names[i < m->known_items ? i : column->category_count++] = column->categories[i];
  column->categories = names;
  return CO_OK;
}

static co_status open_columns(co_events_import *m) {
  for (int64_t i = 0; i < m->value_count; i++) {
    if (i == m->basket) continue; // tells purchases apart, no more
    co_column column = {.name = m->values[i].name, .role = CO_ROLE_INPUT};
    bool category = m->values[i].kind == CO_EVENT_CATEGORY;
    column.type = category ? CO_COLUMN_CATEGORY : CO_COLUMN_NUMBER;
    column.dtype = category ? CO_I32 : CO_F32;
    if (category) {
      column.categories = m->log.categories[i];
      column.category_count = m->log.category_count[i];
      if (i == m->item) CO_RETURN_IF_FAILED(list_items(m, &column));
    }
    CO_RETURN_IF_FAILED(open_column(m, i, &column));
  }
  for (int64_t i = 0; i < m->items.column_count; i++)
    CO_RETURN_IF_FAILED(open_column(m, -3 - i, &m->items.columns[i].column));
  CO_RETURN_IF_FAILED(open_column(
      m, -2,
      &(co_column){
          .name = "dt", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F32}));
  return open_column(
      m, -1,
      &(co_column){
          .name = "time", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_IGNORE, .dtype = CO_F64});
}

static co_status flush(co_events_import *m) {
  for (int64_t i = 0; i < m->column_count; i++)
    CO_RETURN_IF_FAILED(
        co_dataset_writer_append(m->writer, m->columns[i].id, m->block_rows, m->columns[i].block));
  m->block_rows = 0;
  return CO_OK;
}

// What a column says of an event's item; without one it is missing.
static void write_of_item(const co_events_import *m, const co_filled_event_column *c,
                          const co_event *event) {
  const void *values = m->items.columns[-3 - c->value].values;
  const int32_t code = (int32_t)event->value[m->item];
  if (c->column.dtype == CO_I32)
    ((int32_t *)(void *)c->block)[m->block_rows] = code < 0 ? -1 : ((const int32_t *)values)[code];
  else
    ((float *)(void *)c->block)[m->block_rows] = code < 0 ? NAN : ((const float *)values)[code];
}

static int32_t code_of(const co_events_import *m, int64_t value, const co_event *event) {
  const int32_t code = (int32_t)event->value[value];
  if (value != m->item || code < m->known_items) return code;
  return m->new_code ? m->new_code[code - m->known_items] : -1;
}

static co_status write_event(co_events_import *m, const co_event *event, const co_event *before) {
  for (int64_t i = 0; i < m->column_count; i++) {
    co_filled_event_column *c = &m->columns[i];
    void *block = c->block;
    if (c->value == -1)
      ((double *)block)[m->block_rows] = (double)event->time;
    else if (c->value == -2)
      ((float *)block)[m->block_rows] =
          before ? (float)((double)(event->time - before->time) / CO_EVENT_DAY) : 0;
    else if (c->value < -2)
      write_of_item(m, c, event);
    else if (c->column.dtype == CO_I32)
      ((int32_t *)block)[m->block_rows] = code_of(m, c->value, event);
    else
      ((float *)block)[m->block_rows] = (float)event->value[c->value];
  }
  return ++m->block_rows == BLOCK ? flush(m) : CO_OK;
}

static co_status write_entities(co_events_import *m) {
  const co_event *const *events;
  int64_t first, end;
  CO_RETURN_IF_FAILED(co_event_samples_begin(m));
  for (;;) {
    CO_RETURN_IF_FAILED(co_event_log_next(&m->log, &events, &first, &end));
    if (first == end) break;
    for (int64_t e = first; e < end; e++) {
      int64_t count = m->log.offsets[e + 1] - m->log.offsets[e];
      const co_event *const *of_entity = events + (m->log.offsets[e] - m->log.offsets[first]);
      for (int64_t i = 0; i < count; i++)
        CO_RETURN_IF_FAILED(write_event(m, of_entity[i], i ? of_entity[i - 1] : NULL));
      CO_RETURN_IF_FAILED(co_event_samples_add(m, e, of_entity, count));
    }
  }
  return flush(m);
}

typedef union cell {
  int64_t i64;
  float f32;
  int32_t i32;
  uint8_t u8;
} cell;
typedef cell sample_reader(const co_event_sample *s, int64_t which);

static cell read_entity(const co_event_sample *s, int64_t which) {
  (void)which;
  return (cell){.i64 = s->entity};
}
static cell read_as_of(const co_event_sample *s, int64_t which) {
  (void)which;
  return (cell){.i64 = s->as_of};
}
static cell read_begin(const co_event_sample *s, int64_t which) {
  (void)which;
  return (cell){.i64 = s->begin};
}
static cell read_end(const co_event_sample *s, int64_t which) {
  (void)which;
  return (cell){.i64 = s->end};
}
static cell read_split(const co_event_sample *s, int64_t which) {
  (void)which;
  return (cell){.u8 = s->split};
}
static cell read_label(const co_event_sample *s, int64_t which) {
  return (cell){.f32 = s->label[which]};
}
static cell read_target(const co_event_sample *s, int64_t which) {
  (void)which;
  return (cell){.i32 = s->target};
}
static cell read_rfm(const co_event_sample *s, int64_t which) {
  return (cell){.f32 = s->rfm[which]};
}

// A column of all samples; to be freed.
static co_status take_out(const co_events_import *m, sample_reader *read, int64_t which,
                          size_t size, void *out_pointer) {
  unsigned char *out = co_alloc(m->ctx, (size_t)m->sample_count * size);
  if (!out) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->sample_count; i++) {
    cell value = read(&m->samples[i], which);
    memcpy(out + (size_t)i * size, &value, size);
  }
  memcpy(out_pointer, &out, sizeof out);
  return CO_OK;
}

static co_status write_sample_column(co_events_import *m, const co_column *column,
                                     sample_reader *read, int64_t which) {
  void *values = NULL;
  CO_RETURN_IF_FAILED(take_out(m, read, which, co_dtype_size(column->dtype), &values));
  co_status status = co_dataset_writer_column(m->writer, NULL, column, m->sample_count);
  if (status == CO_OK) status = co_dataset_writer_rows(m->writer, m->sample_count, values);
  co_free(m->ctx, values);
  return status;
}

static co_status write_label(co_events_import *m, co_label_kind kind) {
  static const char *const classes[] = {"no", "yes"};
  const co_import_events_options *o = m->options;
  if (!o->labels[kind]) return CO_OK;
  const bool any = kind == CO_LABEL_ANY;
  const co_column label = {.name = o->labels[kind],
                           .type = any ? CO_COLUMN_BINARY : CO_COLUMN_NUMBER,
                           .role = CO_ROLE_TARGET,
                           .dtype = CO_F32,
                           .categories = any ? classes : NULL,
                           .category_count = any ? 2 : 0,
                           .label = {kind, o->gap, o->window}};
  return write_sample_column(m, &label, read_label, kind);
}

static co_status write_targets(co_events_import *m) {
  const co_import_events_options *o = m->options;
  for (int k = CO_LABEL_ANY; o->sampling == CO_SAMPLE_CUTOFFS && k < CO_LABEL_KIND_COUNT; k++)
    CO_RETURN_IF_FAILED(write_label(m, (co_label_kind)k));
  if (!is_of_next_items(o->sampling)) return CO_OK;
  const co_column next = {.name = "next_item",
                          .type = CO_COLUMN_CATEGORY,
                          .role = CO_ROLE_TARGET,
                          .dtype = CO_I32,
                          .categories = m->log.categories[m->item],
                          .category_count = m->log.category_count[m->item]};
  return write_sample_column(m, &next, read_target, 0);
}

static co_status write_samples(co_events_import *m) {
  const co_import_events_options *o = m->options;
  co_status status = CO_OK;
  int64_t *entity = NULL, *as_of = NULL, *begin = NULL, *end = NULL;
  uint8_t *split = NULL;
  CO_TRY(take_out(m, read_entity, 0, sizeof *entity, &entity));
  CO_TRY(take_out(m, read_as_of, 0, sizeof *as_of, &as_of));
  CO_TRY(take_out(m, read_begin, 0, sizeof *begin, &begin));
  CO_TRY(take_out(m, read_end, 0, sizeof *end, &end));
  CO_TRY(take_out(m, read_split, 0, sizeof *split, &split));
  // Events of one time have an order, but none is before the other: there is no cut-off between.
  bool timed = o->sampling != CO_SAMPLE_LEAVE_ONE_OUT && o->sampling != CO_SAMPLE_SESSIONS;
  if (!o->into)
    CO_TRY(co_dataset_writer_samples(m->writer, o->recipe.entity, m->sample_count, entity,
                                     timed ? as_of : NULL, split));
  CO_TRY(co_dataset_writer_ranges(m->writer, TABLE, m->sample_count, begin, end));
  for (int64_t i = 0; o->recipe.rfm && i < CO_EVENT_RFM; i++)
    CO_TRY(write_sample_column(
        m,
        &(co_column){
            .name = rfm_names[i], .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F32},
        read_rfm, i));
  CO_TRY(write_targets(m));

cleanup:
  co_free(m->ctx, entity);
  co_free(m->ctx, as_of);
  co_free(m->ctx, begin);
  co_free(m->ctx, end);
  co_free(m->ctx, split);
  return status;
}

static co_status write_source(co_events_import *m) {
  CO_RETURN_IF_FAILED(print_options(m, m->log.digest));
  CO_RETURN_IF_FAILED(co_dataset_writer_source(m->writer, "recipe", m->text.data));
  m->text.length = 0;
  CO_RETURN_IF_FAILED(co_event_recipe_print(&m->text, &m->recipe));
  return co_dataset_writer_source(m->writer, "schema", m->text.data);
}

static co_status write_items(co_events_import *m) {
  return co_items_write(&m->items, m->writer, TABLE, "item", m->log.categories[m->item],
                        m->log.category_count[m->item]);
}

static co_status write_output(co_events_import *m) {
  const co_import_events_options *o = m->options;
  const char *entity = o->recipe.entity;
  CO_RETURN_IF_FAILED(co_dataset_writer_create(&m->writer, m->ctx, o->output));
  CO_RETURN_IF_FAILED(co_dataset_writer_texts(m->writer, entity, entity, CO_ROLE_KEY,
                                              m->log.entity_names, m->log.entities));
  CO_RETURN_IF_FAILED(
      co_dataset_writer_events(m->writer, TABLE, entity, "time", m->log.entities, m->log.offsets));
  CO_RETURN_IF_FAILED(open_columns(m));
  CO_RETURN_IF_FAILED(write_entities(m));
  CO_RETURN_IF_FAILED(co_event_samples_check(m));
  CO_RETURN_IF_FAILED(write_samples(m));
  if (o->joined) CO_RETURN_IF_FAILED(write_items(m));
  CO_RETURN_IF_FAILED(write_source(m));
  return o->temporary
             ? co_dataset_writer_commit_temporary(m->writer, m->result->fingerprint, o->temporary)
             : co_dataset_writer_commit(m->writer, m->result->fingerprint);
}

// Events and ranges alone; the rest is another's.
static co_status write_into(co_events_import *m) {
  const co_import_events_options *o = m->options;
  m->writer = o->into;
  CO_RETURN_IF_FAILED(co_dataset_writer_events(m->writer, TABLE, o->entity, "time", m->log.entities,
                                               m->log.offsets));
  CO_RETURN_IF_FAILED(open_columns(m));
  CO_RETURN_IF_FAILED(write_entities(m));
  CO_RETURN_IF_FAILED(co_event_check_rows(m));
  CO_RETURN_IF_FAILED(write_samples(m));
  if (o->schema && m->result->empty)
    co_log(m->ctx, CO_LOG_INFO, "samples",
           "no history: %" PRId64 " of %" PRId64 " rows have no event before their date, %" PRId64
           " of them unknown keys",
           m->result->empty, o->row_count, m->result->unknown);
  return o->joined ? write_items(m) : CO_OK;
}

// Its events would count twice.
static co_status check_files(const co_events_import *m) {
  const co_import_events_options *o = m->options;
  for (int64_t i = 0; i < o->file_count; i++)
    for (int64_t k = 0; k < i; k++)
      if (co_path_is_same(o->files[i], o->files[k]))
        return co_fail(CO_ERR_USAGE, "the log %.200s is given twice", co_scan_shown(&m->scan, i));
  return CO_OK;
}

static co_status run(co_events_import *m) {
  const co_import_events_options *o = m->options;
  CO_RETURN_IF_FAILED(check_files(m));
  if (o->into) {
    CO_RETURN_IF_FAILED(choose_values(m));
    CO_RETURN_IF_FAILED(begin_items(m));
    CO_RETURN_IF_FAILED(read_log(m));
    return write_into(m);
  }
  const co_output output = {o->output, true, o->files, o->file_count};
  const co_output same = {o->output, true, &o->items_path, 1};
  CO_RETURN_IF_FAILED(co_output_check(m->ctx, &output));
  CO_RETURN_IF_FAILED(co_output_check(m->ctx, &same));
  CO_RETURN_IF_FAILED(choose_values(m));
  CO_RETURN_IF_FAILED(begin_items(m));
  if (!o->listed && !o->temporary && !o->force && co_path_exists(o->output)) {
    CO_RETURN_IF_FAILED(check_existing(m));
    if (m->result->up_to_date) return CO_OK;
  }
  CO_RETURN_IF_FAILED(read_log(m));
  CO_RETURN_IF_FAILED(co_event_check_cutoffs(m));
  if (o->listed) return co_event_samples_list(m);
  return write_output(m);
}

co_status co_import_events(co_import_events_result *out, co_context *ctx, co_arena *arena,
                           const co_import_events_options *options) {
  *out = (co_import_events_result){0};
  co_events_import *m = co_alloc_zero(ctx, 1, sizeof *m);
  if (!m) return CO_ERR_MEMORY;
  *m = (co_events_import){.ctx = ctx,
                          .arena = arena,
                          .options = options,
                          .result = out,
                          .recipe = options->recipe,
                          .scan = {.paths = options->files,
                                   .shown = options->shown,
                                   .path_count = options->file_count,
                                   .rows = options->rows,
                                   .stage = "read",
                                   .progress = options->progress,
                                   .progress_user = options->progress_user,
                                   .stop = options->stop}};
  co_text_init(&m->text, ctx);
  co_status status = run(m);
  co_error error;
  co_error_copy(&error);
  for (int64_t i = 0; i < m->column_count; i++)
    co_free(ctx, m->columns[i].block);
  if (!options->into) co_dataset_writer_free(m->writer);
  co_event_log_free(&m->log);
  co_items_free(&m->items);
  co_free(ctx, m->samples);
  co_text_free(&m->text);
  co_free(ctx, m);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}
