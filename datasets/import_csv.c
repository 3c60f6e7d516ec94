// SPDX-License-Identifier: Apache-2.0
#include "datasets/import_csv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/date.h"
#include "datasets/encode.h"
#include "datasets/format.h"
#include "datasets/import_columns.h"
#include "datasets/import_existing.h"
#include "datasets/import_items.h"
#include "datasets/import_joins.h"
#include "datasets/place_rows.h"
#include "datasets/row_samples.h"
#include "datasets/source.h"
#include "datasets/survey.h"
#include "host/core/h5.h"
#include "host/core/hash.h"
#include "host/core/output.h"

enum { MOST_VALUES = 64 << 20 };

typedef struct csv_import {
  co_context *ctx;
  co_arena *arena;
  const co_import_csv_options *options;
  co_import_csv_result *result;
  co_scan_options scan;
  co_survey survey;
  co_recipe found; // what the survey says
  co_import_joins joins;
  co_text recipe; // everything that decides the output
  co_encoded_column *columns;
  int64_t column_count;
  int64_t key, split_column, target; // columns of the table; -1 = none
  bool by_file;                      // files have splits
  bool validates;                    // one of them is of validation
  co_placer placer;
  co_values *values;
  co_rejects rejects;
  co_reject_file *reject_file;
  co_row_samples samples;          // where the recipe has some
  co_import_events_options events; // the log that they see …
  co_event_recipe event_recipe;    // … with the columns of its items,
  co_items items;                  // which are found out before all is written
  const char *item_images;         // … with the digest of their pictures; NULL = not yet
} csv_import;

// Of rows that are samples the columns are theirs: in no entity.
static const char *rows_table(const csv_import *m) {
  return m->options->recipe->samples.entity ? NULL : m->found.table;
}

// ---- up to date --------------------------------------------------------------------------------

static void print_images(co_text *t, const co_survey *s) {
  for (int64_t i = 0; i < s->column_count; i++)
    if (s->columns[i].images[0])
      co_text_printf(t, "images of %s: sha256 %s\n", s->columns[i].shown, s->columns[i].images);
}

static bool has_images(const co_recipe *recipe) {
  bool has = co_recipe_has_images(recipe) || (recipe->items && has_images(recipe->items));
  for (int64_t i = 0; i < recipe->join_count; i++)
    has |= co_recipe_has_images(&recipe->joins[i].table);
  return has;
}

// The table of items of the log that samples see.
static co_status print_items(csv_import *m) {
  const co_recipe *items = m->options->recipe->items;
  char hex[65];
  if (!items) return CO_OK;
  co_recipe_join join = items->joins[0];
  const co_recipe given = {.table = join.table.table, .joins = &join, .join_count = 1};
  const co_rows_options *rows = &join.table.rows;
  const char *path = m->options->events->items_path;
  CO_RETURN_IF_FAILED(co_rows_hash(m->ctx, path, rows, hex));
  co_text_printf(&m->recipe, "items: sha256 %s\ncolumns not listed: %s\n", hex,
                 join.table.whole ? "ignored" : "found out");
  if (m->item_images) co_text_printf(&m->recipe, "%s", m->item_images);
  join.table.file = NULL;
  return co_recipe_print(&m->recipe, &given);
}

// Two imports with equal recipes make equal files.
static co_status write_recipe(csv_import *m, const char *digest) {
  const co_import_csv_options *o = m->options;
  co_text *t = &m->recipe;
  co_text_printf(t, "importer: csv 1\nfiles: sha256 %s\n", digest);
  for (int64_t i = 0; m->by_file && i < o->file_count; i++)
    co_text_printf(t, "split_of_file: %d\n", o->file_splits[i]);
  for (int64_t i = 0; o->skip_lines && i < o->file_count; i++)
    co_text_printf(t, "skip_lines_of_file: %" PRId64 "\n", o->skip_lines[i]);
  co_text_printf(t,
                 "split: %d %.17g %.17g %.17g %s\nvalidation_fraction: %.17g\nseed: %" PRIu64 "\n",
                 (int)o->split.kind, o->split.share[0], o->split.share[1], o->split.share[2],
                 o->split.column ? o->split.column : "", o->validation_fraction, o->seed);
  if (o->split.kind == CO_SPLIT_TIME)
    co_text_printf(t, "split since: %.17g %.17g\n", o->split.since[0], o->split.since[1]);
  co_text_printf(t, "columns not listed: %s\n", o->recipe->whole ? "ignored" : "found out");
  if (o->duplicates)
    co_text_printf(t, "duplicates: %s\n",
                   o->duplicates == CO_DUPLICATES_DROP ? "dropped" : "refused");
  if (o->reject.on_error != CO_ON_ERROR_FAIL)
    co_text_printf(t, "bad rows: %s, at most %.17g%s\n",
                   o->reject.on_error == CO_ON_ERROR_SKIP ? "skipped" : "quarantined",
                   o->reject.most, o->reject.share ? " of all" : "");
  co_import_print_labels(t, o->recipe);
  print_images(t, &m->survey);
  for (int64_t i = 0; i < m->joins.count; i++)
    print_images(t, &m->joins.items[i].survey);
  CO_RETURN_IF_FAILED(print_items(m));
  co_recipe given = *o->recipe;
  given.file = NULL;
  given.joins = co_arena_alloc(m->arena, (size_t)given.join_count + 1, sizeof *given.joins);
  if (!given.joins) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < given.join_count; i++) {
    const co_import_join *join = &m->joins.items[i];
    co_text_printf(t, "joined: sha256 %s\ncolumns not listed: %s\n", join->digest,
                   join->given->table.whole ? "ignored" : "found out");
    given.joins[i] = *join->given;
    given.joins[i].table.file = NULL;
  }
  given.log_count = 0;
  given.items = NULL;
  for (int64_t i = 0; o->events && i < o->events->file_count; i++) {
    char hex[65];
    CO_RETURN_IF_FAILED(co_source_hash_file(m->ctx, o->events->files[i], hex));
    co_text_printf(t, "events: sha256 %s\n", hex);
  }
  if (o->exists) {
    char hex[65];
    co_recipe_join *label = co_arena_alloc(m->arena, 1, sizeof *label);
    if (!label) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_source_hash_file(m->ctx, o->exists, hex));
    co_text_printf(t, "label: sha256 %s\n", hex);
    *label = *given.samples.label;
    label->table.file = NULL;
    given.samples.label = label;
  }
  return co_recipe_print(t, &given);
}

// As co_scan_digest.
static co_status hash_paths(csv_import *m, const co_scan_options *scan, char digest[65]) {
  co_sha256 hash;
  co_sha256_init(&hash);
  for (int64_t i = 0; i < scan->path_count; i++) {
    char hex[65];
    CO_RETURN_IF_FAILED(co_rows_hash(m->ctx, scan->paths[i], &scan->rows, hex));
    co_sha256_update(&hash, hex, 64);
  }
  co_sha256_final(&hash, digest);
  return CO_OK;
}

static co_status hash_files(csv_import *m, char digest[65]) {
  CO_RETURN_IF_FAILED(hash_paths(m, &m->scan, digest));
  for (int64_t i = 0; i < m->joins.count; i++)
    CO_RETURN_IF_FAILED(hash_paths(m, &m->joins.items[i].scan, m->joins.items[i].digest));
  return CO_OK;
}

static co_status get_source(csv_import *m, co_h5 *h5, const char *name, char **out) {
  *out = NULL;
  if (!co_h5_exists(h5, "/source") || !co_h5_has_attribute(h5, "/source", name)) return CO_OK;
  return co_h5_get_string(h5, "/source", name, m->arena, out);
}

static co_status describe_existing(csv_import *m, const char *schema, const char *duplicates) {
  co_dataset *d;
  const int64_t *rows;
  CO_RETURN_IF_FAILED(co_dataset_open(&d, m->ctx, m->options->output));
  const co_schema *columns = co_dataset_schema(d);
  co_status status = CO_OK;
  for (int s = 0; s < CO_SPLIT_COUNT; s++)
    co_dataset_split(d, (co_split)s, &rows, &m->result->rows[s]);
  for (int64_t i = 0; status == CO_OK && i < columns->column_count; i++) { // against checksums
    const void *data;
    int64_t count;
    const co_table *table = co_schema_table(columns, columns->columns[i].table);
    bool single = !table || table->kind != CO_TABLE_EVENTS; // of events: any number a sample
    if (single && columns->columns[i].type != CO_COLUMN_TEXT)
      status = co_dataset_column(d, columns->columns[i].name, &data, &count, &rows);
  }
  m->result->schema = schema;
  m->result->up_to_date =
      status == CO_OK && sscanf(duplicates, "%" SCNd64, &m->result->duplicates) == 1;
  snprintf(m->result->fingerprint, sizeof m->result->fingerprint, "%s", co_dataset_fingerprint(d));
  co_dataset_close(d);
  return status;
}

static co_status check_existing(csv_import *m) {
  const char *path = m->options->output;
  char digest[65], *recipe = NULL, *schema = NULL, *duplicates = NULL;
  co_h5 *h5 = NULL;
  CO_RETURN_IF_FAILED(hash_files(m, digest));
  CO_RETURN_IF_FAILED(write_recipe(m, digest));
  co_status status = co_h5_open(&h5, m->ctx, path, CO_ERR_DATA);
  if (status == CO_OK) status = get_source(m, h5, "recipe", &recipe);
  if (status == CO_OK) status = get_source(m, h5, "schema", &schema);
  if (status == CO_OK) status = get_source(m, h5, "duplicates", &duplicates);
  co_h5_abandon(h5);
  if (status == CO_OK && recipe && schema && duplicates && !strcmp(recipe, m->recipe.data)) {
    status = describe_existing(m, schema, duplicates);
    if (status != CO_ERR_DATA) return status;
    co_import_warn_damaged(m->ctx, path);
    *m->result = (co_import_csv_result){0};
    return CO_OK;
  }
  return co_import_refuse_existing(path, status);
}

// ---- columns -----------------------------------------------------------------------------------

static co_status second_of_kind(const csv_import *m, const char *what, int64_t a, int64_t b) {
  return co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0,
                    "'%.200s' and '%.200s' cannot both be the %s", m->survey.columns[a].name,
                    m->survey.columns[b].name, what);
}

// A split by time goes by the only column of dates, used or not.
static co_status find_dates(csv_import *m) {
  int64_t found = 0;
  for (int64_t i = 0; i < m->survey.column_count; i++) {
    if (m->survey.columns[i].recipe.type != CO_RECIPE_DATE) continue;
    m->split_column = i;
    found++;
  }
  if (found == 1) return CO_OK;
  co_status status =
      co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0,
                 "%" PRId64 " columns are of dates, and --split time names none", found);
  co_hint("--split time:COLUMN:DATE,DATE");
  return status;
}

static co_status plan_column(csv_import *m, int64_t field) {
  return co_import_plan_column(&m->columns[m->column_count++], &m->survey, field,
                               m->survey.columns[field].name);
}

static co_status plan_columns(csv_import *m) {
  const char *split_name = m->options->split.column;
  int64_t inputs = 0, weight = -1;
  m->columns = co_arena_alloc(m->arena, (size_t)m->survey.column_count, sizeof *m->columns);
  if (!m->columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->survey.column_count; i++) {
    co_column_survey *c = &m->survey.columns[i];
    if (split_name && !strcmp(split_name, c->name)) m->split_column = i;
    switch (c->recipe.role) {
    case CO_RECIPE_KEY:
      if (m->key >= 0) return second_of_kind(m, "key", m->key, i);
      CO_RETURN_IF_FAILED(co_import_check_name(&m->survey, c->name));
      m->key = i;
      break;
    case CO_RECIPE_WEIGHT:
      if (weight >= 0) return second_of_kind(m, "weight", weight, i);
      weight = i;
      CO_RETURN_IF_FAILED(plan_column(m, i));
      break;
    case CO_RECIPE_INPUT:
      inputs++;
      CO_RETURN_IF_FAILED(plan_column(m, i));
      break;
    case CO_RECIPE_TARGET:
      if (m->target < 0) m->target = i;
      CO_RETURN_IF_FAILED(plan_column(m, i));
      break;
    default:
      break;
    }
  }
  if (m->options->split.kind == CO_SPLIT_TIME && !split_name) CO_RETURN_IF_FAILED(find_dates(m));
  if (split_name && m->split_column < 0)
    return co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0, "there is no column '%.200s'",
                      split_name);
  CO_RETURN_IF_FAILED(co_import_joins_plan(&m->joins, &m->found, &m->survey));
  if (!inputs && !m->joins.count && !m->options->events)
    return co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0,
                      "no column is left as an input");
  return CO_OK;
}

static co_status check_stratified(const csv_import *m) {
  if (m->options->split.kind != CO_SPLIT_STRATIFIED || m->by_file) return CO_OK;
  if (m->target >= 0 && m->survey.columns[m->target].recipe.type != CO_RECIPE_NUMBER) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--split stratified needs a target of classes");
  co_hint("--split random:0.7,0.1,0.2 takes any");
  return status;
}

// ---- rows --------------------------------------------------------------------------------------

static co_status changed(const csv_import *m) {
  return co_fail_at(CO_ERR_DATA, co_scan_shown(&m->scan, 0), 0, 0,
                    "the file changed while it was read");
}

static co_status encode_rows(csv_import *m, co_encoder *encoder, co_scan *scan) {
  co_scan_block block;
  char digest[65];
  for (;;) {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    if (!block.count) break;
    if (co_scan_rows(scan) > m->survey.rows) return changed(m);
    CO_RETURN_IF_FAILED(co_encoder_block(encoder, scan, &block));
    CO_RETURN_IF_FAILED(co_placer_block(&m->placer, scan, &block));
    CO_RETURN_IF_FAILED(co_import_joins_block(&m->joins, scan, &block));
    if (m->samples.ctx) CO_RETURN_IF_FAILED(co_row_samples_block(&m->samples, scan, &block));
  }
  co_scan_digest(scan, digest);
  if (co_scan_rows(scan) != m->survey.rows || strcmp(digest, m->survey.digest) != 0)
    return changed(m);
  return co_encoder_flush(encoder);
}

// The dictionary of keys, each of which occurs once, is in the order of the rows.
static co_status write_keys(csv_import *m, co_dataset_writer *writer) {
  if (m->key < 0) return CO_OK;
  const co_column_survey *c = &m->survey.columns[m->key];
  const char **texts = co_alloc(m->ctx, (size_t)m->survey.rows * sizeof *texts);
  if (!texts) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < m->survey.rows; i++)
    texts[i] = c->words.words[i].text;
  co_status status =
      co_dataset_writer_texts(writer, rows_table(m), c->name, CO_ROLE_KEY, texts, m->survey.rows);
  co_free(m->ctx, texts);
  return status;
}

static co_status count_rows(csv_import *m) {
  co_import_csv_result *result = m->result;
  for (int64_t i = 0; i < m->survey.rows; i++)
    result->rows[m->placer.split[i]]++;
  result->duplicates = -1;
  if (m->key >= 0 || m->options->split.kind == CO_SPLIT_HASH) return CO_OK;
  return co_placer_count_repeated(&m->placer, &result->duplicates);
}

// Rows that cannot be taken go beside the output.
static co_status begin_rejects(csv_import *m) {
  const co_import_csv_options *o = m->options;
  m->result->rejected = co_rejects_total(&m->rejects);
  if (!m->result->rejected) return CO_OK;
  bool kept = o->reject.on_error == CO_ON_ERROR_QUARANTINE && o->rejects;
  co_log(m->ctx, CO_LOG_WARN, "import", "%" PRId64 " rows cannot be taken and are left out%s%s%s",
         m->result->rejected, kept ? "; they are in " : "", kept ? o->rejects : "",
         kept ? ".rejects.csv" : "");
  return kept ? co_reject_file_begin(&m->reject_file, m->ctx, o->rejects, o->force) : CO_OK;
}

static co_status write_split(const csv_import *m, co_dataset_writer *writer) {
  co_text text;
  co_text_init(&text, m->ctx);
  co_text_printf(&text, "%" PRIu64 " ", m->options->seed);
  co_status status = co_split_rule_print(&text, &m->options->split);
  if (status == CO_OK) status = co_dataset_writer_source(writer, "split", text.data);
  co_text_free(&text);
  return status;
}

static co_status write_source(csv_import *m, co_dataset_writer *writer) {
  char duplicates[32];
  m->recipe.length = 0;
  CO_RETURN_IF_FAILED(write_recipe(m, m->survey.digest));
  CO_RETURN_IF_FAILED(co_dataset_writer_source(writer, "recipe", m->recipe.data));
  CO_RETURN_IF_FAILED(co_dataset_writer_source(writer, "schema", m->result->schema));
  if (!m->by_file) CO_RETURN_IF_FAILED(write_split(m, writer));
  snprintf(duplicates, sizeof duplicates, "%" PRId64, m->result->duplicates);
  return co_dataset_writer_source(writer, "duplicates", duplicates);
}

static void warn(const csv_import *m) {
  static const char *const names[] = {"training", "validation", "test"};
  for (int s = 0; s < CO_SPLIT_COUNT; s++)
    if (!m->result->rows[s] && !(m->by_file && s == CO_SPLIT_TEST))
      co_log(m->ctx, CO_LOG_WARN, "import", "no row fell into the %s split", names[s]);
}

// Whether all that is written was kept while the rows were surveyed.
static bool has_values(const csv_import *m) {
  if (!m->values || co_rejects_total(&m->rejects) || !co_placer_is_done(&m->placer)) return false;
  for (int64_t i = 0; i < m->column_count; i++) {
    const co_encoded_column *out = &m->columns[i];
    const co_column_survey *c = &m->survey.columns[out->field];
    if (c->large.row || (out->column.role == CO_ROLE_WEIGHT && c->negative)) return false;
    if (!co_encoder_takes(out, co_values_kind(m->values, out->field))) return false;
  }
  return true;
}

static co_status read_again(csv_import *m, co_encoder *encoder) {
  co_scan *scan;
  m->survey.scan.stage = "write";
  m->survey.scan.file = m->reject_file;
  m->survey.scan.key = m->key >= 0 ? m->survey.columns[m->key].name : NULL;
  CO_RETURN_IF_FAILED(co_placer_begin(&m->placer, m->survey.rows));
  CO_RETURN_IF_FAILED(co_scan_open(&scan, m->ctx, &m->survey.scan));
  co_status status = encode_rows(m, encoder, scan);
  co_scan_close(scan);
  return status;
}

// Rows are counted while their values are written.
static co_status write_and_count(csv_import *m, co_encoder *encoder) {
  co_status wrote = CO_OK, counted = CO_OK;
  co_error error;
#pragma omp parallel sections num_threads(co_context_threads(m->ctx) > 1 ? 2 : 1)
  {
#pragma omp section
    {
      wrote = co_encoder_values(encoder, m->values);
      if (wrote != CO_OK) co_error_copy(&error);
    }
#pragma omp section
    counted = count_rows(m); // can but lack memory
  }
  return wrote != CO_OK ? co_error_raise(&error) : counted;
}

static co_status write_rows(csv_import *m, co_encoder *encoder) {
  if (has_values(m)) {
    CO_RETURN_IF_FAILED(co_placer_end(&m->placer));
    return write_and_count(m, encoder);
  }
  CO_RETURN_IF_FAILED(read_again(m, encoder));
  CO_RETURN_IF_FAILED(co_placer_end(&m->placer));
  return count_rows(m);
}

static co_status begin_samples(csv_import *m) {
  const co_import_csv_options *o = m->options;
  const co_scan_options *rows = &m->survey.scan;
  const co_row_samples_files files = {rows, o->exists, o->exists_shown};
  const char *column;
  if (!o->recipe->samples.entity) return CO_OK;
  CO_RETURN_IF_FAILED(co_row_samples_begin(&m->samples, m->ctx, m->arena, o->recipe,
                                           rows->rows.keys, rows->rows.key_count, m->survey.rows,
                                           &files));
  int64_t dated = co_row_samples_dated(o->recipe, &column);
  if (dated < 0) return CO_OK;
  const co_import_join *table = &m->joins.items[dated];
  return co_row_samples_dates(&m->samples, &table->survey.scan, &table->joined);
}

static co_status write_samples(csv_import *m, co_dataset_writer *writer) {
  const co_import_csv_options *o = m->options;
  if (!m->samples.ctx)
    return co_dataset_writer_samples(writer, m->found.table, m->survey.rows, NULL, NULL,
                                     m->placer.split);
  m->events.output = o->output;
  m->events.surveyed = m->items.ctx ? &m->items : NULL;
  m->result->entities = m->samples.entities.count;
  return co_row_samples_write(&m->samples, writer, m->placer.split, o->events ? &m->events : NULL,
                              &m->result->events);
}

static co_status write_output(csv_import *m) {
  co_status status;
  co_dataset_writer *writer = NULL;
  co_encoder encoder = {0};
  m->placer.key = m->key;
  m->placer.split_column = m->split_column;
  m->placer.target = m->target;
  CO_TRY(begin_rejects(m));
  CO_TRY(begin_samples(m));
  CO_TRY(co_dataset_writer_create(&writer, m->ctx, m->options->output));
  if (m->options->dataset) co_dataset_writer_hand_out(writer, m->options->dataset);
  CO_TRY(write_keys(m, writer));
  CO_TRY(co_encoder_begin(&encoder, m->ctx, writer, rows_table(m), m->columns, m->column_count,
                          m->survey.rows));
  CO_TRY(write_rows(m, &encoder));
  CO_TRY(co_import_joins_write(&m->joins, writer, rows_table(m), &m->result->joins));
  m->result->join_count = m->joins.count;
  CO_TRY(write_samples(m, writer));
  CO_TRY(write_source(m, writer));
  CO_TRY(co_reject_file_commit(m->reject_file));
  co_encoder_free(&encoder); // what is not needed while the dataset is checked
  co_placer_free(&m->placer);
  co_values_free(m->values);
  m->values = NULL;
  co_atomic_file *temporary = m->options->temporary;
  CO_TRY(temporary ? co_dataset_writer_commit_temporary(writer, m->result->fingerprint, temporary)
                   : co_dataset_writer_commit(writer, m->result->fingerprint));
  warn(m);

cleanup:
  co_encoder_free(&encoder);
  co_dataset_writer_free(writer);
  return status;
}

// ---- the import --------------------------------------------------------------------------------

static co_status keep_images(csv_import *m) {
  co_text text;
  co_text_init(&text, m->ctx);
  print_images(&text, &m->items.joins.items[0].survey);
  co_status status = text.status;
  m->item_images = co_arena_strdup(m->arena, text.data ? text.data : "");
  co_text_free(&text);
  return m->item_images ? status : CO_ERR_MEMORY;
}

// The columns of the items of the log that samples see.
static co_status survey_items(csv_import *m) {
  const co_import_csv_options *o = m->options;
  if (!o->events) return CO_OK;
  m->events = *o->events;
  m->events.recipe = *o->recipe->events;
  if (o->events->joined) {
    CO_RETURN_IF_FAILED(
        co_items_survey(&m->items, m->ctx, m->arena, &m->events, &m->scan, &m->events.recipe));
    CO_RETURN_IF_FAILED(keep_images(m));
  }
  m->event_recipe = m->events.recipe;
  m->found.events = &m->event_recipe;
  return CO_OK;
}

static co_status describe_table(csv_import *m) {
  const co_recipe *given = m->options->recipe;
  m->found = *given;
  if (m->options->output) { // datasets hold no paths
    m->found.log_count = 0;
    m->found.items = NULL;
  }
  m->found.file = m->options->output ? NULL : m->options->files[0];
  CO_RETURN_IF_FAILED(survey_items(m));
  CO_RETURN_IF_FAILED(co_import_describe(&m->found, &m->survey));
  CO_RETURN_IF_FAILED(co_import_joins_survey(&m->joins, &m->found, m->options->output != NULL));
  co_text text;
  co_text_init(&text, m->ctx);
  co_status status = co_recipe_print(&text, &m->found);
  if (status == CO_OK) {
    m->result->schema = co_arena_strdup(m->arena, text.data);
    if (!m->result->schema) status = CO_ERR_MEMORY;
  }
  co_text_free(&text);
  return status;
}

// Of numbers with as many digits every tenth has a check digit by chance.
static bool is_personal(const co_column_survey *c, co_personal kind) {
  int64_t count = c->personal[kind];
  return kind == CO_PERSONAL_CARD ? count > 0.3 * (double)(count + c->personal[CO_PERSONAL_DIGITS])
                                  : count > 0;
}

static co_status warn_personal(csv_import *m, const co_survey *survey, const co_recipe *joined) {
  co_import_csv_result *result = m->result;
  for (int64_t i = 0; i < survey->column_count; i++) {
    const co_column_survey *c = &survey->columns[i];
    if (c->recipe.role == CO_RECIPE_IGNORE || c->recipe.role == CO_RECIPE_SPLIT) continue;
    if (c->recipe.role == CO_RECIPE_KEY && joined && !joined->carry) continue; // nobody keeps it
    for (int kind = CO_PERSONAL_EMAIL; kind < CO_PERSONAL_DIGITS; kind++) {
      if (!is_personal(c, (co_personal)kind)) continue;
      const char *name =
          joined ? co_arena_format(m->arena, "%s.%s", joined->table, c->name) : c->name;
      co_personal_column *grown =
          co_arena_alloc(m->arena, (size_t)result->personal_count + 1, sizeof *grown);
      if (!name || !grown) return CO_ERR_MEMORY;
      if (result->personal_count)
        memcpy(grown, result->personal, (size_t)result->personal_count * sizeof *grown);
      grown[result->personal_count++] =
          (co_personal_column){name, (co_personal)kind, c->personal[kind]};
      result->personal = grown;
      co_log(m->ctx, CO_LOG_WARN, "privacy",
             "column '%s': %" PRId64 " values look like %s and would be kept as they are; "
             "--ignore it, or --pseudonymize it with --key-file FILE",
             name, c->personal[kind], co_personal_text((co_personal)kind));
    }
  }
  return CO_OK;
}

// What is to be written is kept on the way.
static co_status survey(csv_import *m) {
  const co_import_csv_options *o = m->options;
  const co_survey_guest placing = co_placer_guest(&m->placer);
  m->placer = (co_placer){.ctx = m->ctx,
                          .rule = &o->split,
                          .seed = o->seed,
                          .file_splits = o->file_splits,
                          .validates = m->validates,
                          .validation_fraction = o->validation_fraction,
                          .survey = &m->survey};
  // Of joins and samples the cells with keys are wanted as well.
  bool kept = o->output && !m->joins.count && !o->recipe->samples.entity;
  if (kept) CO_RETURN_IF_FAILED(co_values_create(&m->values, m->ctx, o->output, MOST_VALUES));
  CO_RETURN_IF_FAILED(co_survey_run(&m->survey, m->ctx, m->arena, &m->scan, o->recipe,
                                    kept ? &placing : NULL, m->values));
  m->result->dropped = m->survey.dropped;
  m->result->excluded = m->survey.excluded;
  return CO_OK;
}

// Whether an output that exists may be replaced is for check_existing to say, but never what is read.
static co_status check_output(const csv_import *m) {
  const co_import_csv_options *o = m->options;
  const co_import_events_options none = {0}, *events = o->events ? o->events : &none;
  const struct {
    const char *const *paths;
    int64_t count;
  } read[] = {{o->files, o->file_count},
              {o->joined, m->joins.count},
              {&o->exists, 1},
              {events->files, events->file_count},
              {&events->items_path, 1}};
  for (size_t k = 0; k < sizeof read / sizeof read[0]; k++)
    for (int64_t i = 0; i < read[k].count; i++) {
      const char *path = read[k].paths[i] ? co_rows_file(read[k].paths[i]) : NULL;
      const co_output output = {o->output, true, &path, 1};
      CO_RETURN_IF_FAILED(co_output_check(m->ctx, &output));
    }
  return CO_OK;
}

static co_status run(csv_import *m) {
  const co_import_csv_options *o = m->options;
  for (int64_t i = 0; m->by_file && i < o->file_count; i++)
    m->validates |= o->file_splits[i] == CO_SPLIT_VALIDATION;
  if (o->output) CO_RETURN_IF_FAILED(check_output(m));
  // Which files have images is known once the tables are.
  const bool exists = o->output && !o->temporary && !o->force && co_path_exists(o->output);
  const bool images = has_images(o->recipe);
  if (exists && !images) CO_RETURN_IF_FAILED(check_existing(m));
  if (m->result->up_to_date) return CO_OK;
  CO_RETURN_IF_FAILED(survey(m));
  CO_RETURN_IF_FAILED(describe_table(m));
  if (exists && images) CO_RETURN_IF_FAILED(check_existing(m));
  if (m->result->up_to_date) return CO_OK;
  CO_RETURN_IF_FAILED(warn_personal(m, &m->survey, NULL));
  for (int64_t i = 0; i < m->joins.count; i++)
    CO_RETURN_IF_FAILED(
        warn_personal(m, &m->joins.items[i].survey, &m->joins.items[i].given->table));
  for (int64_t i = 0; i < m->items.joins.count; i++)
    CO_RETURN_IF_FAILED(
        warn_personal(m, &m->items.joins.items[i].survey, &m->items.joins.items[i].given->table));
  if (!o->output) return CO_OK;
  CO_RETURN_IF_FAILED(plan_columns(m));
  CO_RETURN_IF_FAILED(check_stratified(m));
  return write_output(m);
}

co_status co_import_csv(co_import_csv_result *out, co_context *ctx, co_arena *arena,
                        const co_import_csv_options *options) {
  *out = (co_import_csv_result){0};
  if (options->dataset) *options->dataset = NULL;
  csv_import m = {.ctx = ctx,
                  .arena = arena,
                  .options = options,
                  .result = out,
                  .key = -1,
                  .split_column = -1,
                  .target = -1,
                  .by_file = options->file_splits != NULL,
                  .scan = {.paths = options->files,
                           .path_count = options->file_count,
                           .shown = options->shown,
                           .rows = options->recipe->rows,
                           .skip_lines = options->skip_lines,
                           .duplicates = options->duplicates,
                           .stage = "read",
                           .progress = options->progress,
                           .progress_user = options->progress_user,
                           .stop = options->stop}};
  co_text_init(&m.recipe, ctx);
  co_rejects_init(&m.rejects, ctx, &options->reject);
  m.scan.rejects = &m.rejects;
  co_status status = co_import_joins_begin(&m.joins, ctx, arena, options->recipe, options->joined,
                                           options->joined_shown, &m.scan);
  if (status == CO_OK) status = run(&m);
  co_error error;
  co_error_copy(&error);
  co_placer_free(&m.placer);
  co_values_free(m.values);
  co_text_free(&m.recipe);
  co_rejects_free(&m.rejects);
  co_reject_file_free(m.reject_file);
  co_survey_free(&m.survey);
  co_import_joins_free(&m.joins);
  co_items_free(&m.items);
  co_row_samples_free(&m.samples);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}
