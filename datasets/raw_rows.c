// SPDX-License-Identifier: Apache-2.0
#include "datasets/raw_rows.h"

#include <inttypes.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/dataset.h"
#include "datasets/date.h"
#include "datasets/place_rows.h"
#include "datasets/raw_joins.h"

enum { MOST_VALUES = 64 << 20 };

typedef struct raw_rows {
  co_context *ctx;
  co_arena *arena;
  const co_raw_rows_options *options;
  co_scan_options scan;
  co_raw_columns columns;
  co_raw_joins joins;
  const char *table; // its name in the dataset
  int64_t key;       // column of the table, -1 = none
  const char *key_name;
  co_dictionary keys;
  int64_t rows;
  co_values *values;        // of all rows, where one reading sufficed; else NULL
  co_encoded_column *parts; // of each slot all columns
  co_column_values *kept;
  bool odd[CO_ROWS_MAX_SLOTS], again; // rows that want another look
  uint8_t *split;
  co_survey survey; // no more of the columns than the placer asks for
  co_placer placer;
  char sha256[65];
  co_rejects rejects;
  co_reject_file *reject_file;
} raw_rows;

// ---- columns -----------------------------------------------------------------------------------

static co_status pass_columns(raw_rows *r, const co_rows *rows) {
  for (int64_t i = 0; i < r->options->passed_count; i++) {
    const char *name = r->options->passed[i];
    co_column column = {.name = co_arena_format(r->arena, "passthrough:%s", name),
                        .type = CO_COLUMN_TEXT};
    if (!column.name) return CO_ERR_MEMORY;
    if (co_rows_find(rows, name) < 0) {
      co_status status = co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                                    "there is no column '%.200s' to pass through", name);
      const char *near = co_nearest(name, rows->names, rows->column_count);
      if (near) co_hint("did you mean '%.200s'?", near);
      return status;
    }
    CO_RETURN_IF_FAILED(co_raw_columns_add(&r->columns, &column, name, rows));
  }
  return CO_OK;
}

static co_status plan_columns(raw_rows *r, const co_rows *rows) {
  const co_schema *schema = r->options->schema;
  const co_recipe *recipe = r->options->recipe;
  CO_RETURN_IF_FAILED(co_raw_columns_begin(&r->columns, r->ctx, r->arena, recipe,
                                           schema->column_count + r->options->passed_count));
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    const char *local;
    int64_t join;
    if (column->role == CO_ROLE_TARGET && !r->options->measured) continue;
    CO_RETURN_IF_FAILED(co_recipe_locate(recipe, r->arena, column->name, &join, &local));
    if (join < 0) CO_RETURN_IF_FAILED(co_raw_columns_add(&r->columns, column, local, rows));
  }
  CO_RETURN_IF_FAILED(pass_columns(r, rows));
  r->key_name = r->options->key;
  for (int64_t i = 0; !r->key_name && i < recipe->column_count; i++)
    if (recipe->columns[i].role == CO_RECIPE_KEY) r->key_name = recipe->columns[i].name;
  r->key = r->key_name ? co_rows_find(rows, r->key_name) : -1;
  const co_column *used = r->key_name ? co_schema_find(schema, r->key_name) : NULL;
  if (used && used->role != CO_ROLE_TARGET)
    return co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                      "column '%.200s' is an input of the model and cannot name rows", r->key_name);
  if (r->options->key && r->key < 0)
    return co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                      "there is no column '%.200s' to name rows by", r->options->key);
  return CO_OK;
}

// Where rows are split, by what the recipe says of the columns.
static co_status plan_split(raw_rows *r, const co_rows *rows) {
  const co_split_rule *rule = r->options->split;
  co_placer *p = &r->placer;
  if (!rule) return CO_OK;
  co_survey *s = &r->survey;
  s->column_count = rows->column_count;
  s->columns = co_alloc_zero(r->ctx, (size_t)rows->column_count + 1, sizeof *s->columns);
  if (!s->columns) return CO_ERR_MEMORY;
  *p = (co_placer){.ctx = r->ctx,
                   .rule = rule,
                   .seed = r->options->seed,
                   .survey = s,
                   .key = -1,
                   .split_column = -1,
                   .target = -1};
  for (int64_t i = 0; i < rows->column_count; i++) {
    const co_recipe_column *known = co_recipe_find(r->options->recipe, rows->names[i]);
    if (!known) continue;
    s->columns[i].recipe = *known;
    s->columns[i].suffix = known->strip_suffix;
    if (known->role == CO_RECIPE_KEY) p->key = i;
    if (known->role == CO_RECIPE_TARGET && p->target < 0) p->target = i;
    bool dates = rule->kind == CO_SPLIT_TIME && !rule->column && known->type == CO_RECIPE_DATE;
    if (dates || (rule->column && strcmp(rule->column, known->name) == 0)) p->split_column = i;
  }
  bool by_column = rule->column || rule->kind == CO_SPLIT_TIME;
  if (!by_column || p->split_column >= 0) return CO_OK;
  return co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                    "there is no column '%.200s', by which rows were split",
                    rule->column ? rule->column : "of dates");
}

static void tell_unused(const raw_rows *r, const co_rows *rows) {
  int64_t count = 0;
  const char *first = NULL;
  for (int64_t i = 0; i < rows->column_count; i++) {
    const char *name = rows->names[i];
    if (i == r->key || co_schema_find(r->options->schema, name) || co_raw_joins_by(&r->joins, name))
      continue;
    if (!count++) first = name;
  }
  if (count == 1)
    co_log(r->ctx, CO_LOG_INFO, "predict", "column '%s' is not used by the model", first);
  else if (count)
    co_log(r->ctx, CO_LOG_INFO, "predict", "%" PRId64 " columns are not used by the model: '%s' …",
           count, first);
}

// ---- rows that can be taken ----------------------------------------------------------------------------------

static co_status take_key(raw_rows *r, const co_scan *scan, const co_row_place *place,
                          const co_cell *field) {
  int64_t repeated;
  co_cell cell = co_cell_trim(field, NULL);
  if (co_cell_is_missing(&cell)) return co_scan_wrong(scan, place, r->key, "the key is missing");
  CO_RETURN_IF_FAILED(co_dictionary_add(&r->keys, cell.text, cell.length,
                                        place->line ? place->line : place->row, &repeated));
  if (!repeated) return CO_OK;
  co_status status = co_scan_wrong(scan, place, r->key, "the key occurs in %s %" PRId64 " already",
                                   place->line ? "line" : "row", repeated);
  co_hint("--key names another column");
  return status;
}

static co_status take_keys(raw_rows *r, const co_scan *scan, const co_scan_block *block) {
  for (int64_t k = 0; k < block->part_count; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = 0; i < part->count; i++)
      CO_RETURN_IF_FAILED(
          take_key(r, scan, &part->places[i], co_block_cell(block, part, i, r->key)));
  }
  return CO_OK;
}

// Cells that cannot be of their column make their row one that is not scored.
static co_status check_cell(raw_rows *r, const co_encoded_column *c, const co_cell *field,
                            int64_t file, int64_t row) {
  double value;
  co_reject_reason reason = CO_REJECT_NO_DATE;
  co_cell cell = co_cell_trim(field, c->suffix);
  if (co_cell_is_missing(&cell)) return CO_OK;
  if (c->column.type == CO_COLUMN_DATE) {
    if (co_date_read(cell.text, cell.length, c->format, &value) == CO_DATE_GOOD) return CO_OK;
  } else {
    co_cell_kind kind = co_cell_read(&cell, &value);
    if (kind == CO_CELL_NUMBER) return CO_OK;
    reason = kind == CO_CELL_TOO_LARGE ? CO_REJECT_TOO_LARGE : CO_REJECT_NO_NUMBER;
  }
  const co_bad_cell bad = {file, row, c->field, reason};
  co_status status;
#pragma omp critical(co_raw_rows)
  status = co_rejects_add(&r->rejects, &bad);
  return status;
}

static co_status check_column(void *user, const co_scan *scan, const co_scan_block *block,
                              int64_t column, int64_t *row) {
  raw_rows *r = user;
  const co_encoded_column *c = &r->columns.items[column];
  (void)scan;
  if (c->column.type != CO_COLUMN_NUMBER && c->column.type != CO_COLUMN_DATE) return CO_OK;
  for (int64_t k = 0; k < block->part_count; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = 0; i < part->count; i++, ++*row)
      CO_RETURN_IF_FAILED(check_cell(r, c, co_block_cell(block, part, i, c->field), block->file,
                                     part->places[i].row));
  }
  return CO_OK;
}

static co_status check_rows(raw_rows *r, co_scan *scan) {
  bool rejects = r->rejects.rule.on_error != CO_ON_ERROR_FAIL;
  for (;;) {
    co_scan_block block;
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    if (!block.count) break;
    if (rejects)
      CO_RETURN_IF_FAILED(co_scan_columns(scan, &block, r->columns.count, check_column, r));
  }
  co_rejects_settle(&r->rejects);
  r->rows = co_scan_rows(scan) - r->rejects.count;
  CO_RETURN_IF_FAILED(co_rejects_check(&r->rejects, co_scan_shown(&r->scan, 0), r->rows));
  return r->rows ? CO_OK
                 : co_fail_at(CO_ERR_DATA, co_scan_shown(&r->scan, 0), 0, 0, "there are no rows");
}

// ---- in one reading ----------------------------------------------------------------------------

// What is wrong with a cell is found out, and told with its place, when the rows are read again.
static co_status encode_part(void *user, int slot, const co_scan *scan, const co_scan_part *part) {
  raw_rows *r = user;
  co_encoded_column *columns = &r->parts[slot * r->columns.count];
  r->odd[slot] = false;
  for (int64_t i = 0; i < r->columns.count && !r->odd[slot]; i++) {
    co_status status = co_encode_part(r->ctx, &columns[i], scan, part);
    if (status == CO_ERR_MEMORY) return status;
    r->odd[slot] = status != CO_OK;
  }
  return CO_OK;
}

static co_status keep_keys(raw_rows *r, const co_scan_part *part) {
  for (int64_t i = 0; r->key >= 0 && i < part->rows.count && !r->again; i++) {
    int64_t repeated = 0;
    const co_row_place place = co_part_place(part, i);
    const co_cell cell = co_cell_trim(co_part_cell(part, i, r->key), NULL);
    r->again = co_cell_is_missing(&cell);
    if (!r->again)
      CO_RETURN_IF_FAILED(co_dictionary_add(&r->keys, cell.text, cell.length,
                                            place.line ? place.line : place.row, &repeated));
    r->again |= repeated != 0;
  }
  return CO_OK;
}

static co_status keep_part(void *user, int slot, const co_scan *scan, const co_scan_part *part) {
  raw_rows *r = user;
  const co_encoded_column *found = &r->parts[slot * r->columns.count];
  co_column_values *kept = r->kept;
  (void)scan;
  r->again = r->odd[slot] || co_rejects_total(&r->rejects);
  CO_RETURN_IF_FAILED(keep_keys(r, part));
  if (r->again) return co_fail(CO_STOPPED, "the rows are read again");
  for (int64_t i = 0; i < r->columns.count; i++) {
    co_encoded_column *c = &r->columns.items[i];
    kept[i] = (co_column_values){.kind = CO_VALUES_ENCODED,
                                 .values = found[i].block,
                                 .width = (int)co_dtype_size(c->column.dtype)};
    if (!c->unseen) memcpy(c->first_unseen, found[i].first_unseen, sizeof c->first_unseen);
    c->missing += found[i].missing;
    c->unseen += found[i].unseen;
  }
  r->rows += part->rows.count;
  return co_values_append(r->values, part->rows.count, kept);
}

static bool is_plain(const raw_rows *r) {
  bool plain = !r->joins.count && !r->options->split; // else their cells are wanted twice
  for (int64_t i = 0; i < r->columns.count; i++)
    plain &= r->columns.items[i].column.type != CO_COLUMN_TEXT;
  return plain;
}

// As if nothing had been read.
static void forget_values(raw_rows *r) {
  co_values_free(r->values);
  co_dictionary_free(&r->keys);
  r->values = NULL;
  r->rows = 0;
  for (int64_t i = 0; i < r->columns.count; i++)
    r->columns.items[i].missing = r->columns.items[i].unseen = 0;
}

static co_status read_once(raw_rows *r, co_scan *scan) {
  int slots = co_scan_slots(r->ctx);
  int64_t count = r->columns.count;
  co_status status = CO_ERR_MEMORY;
  r->kept = co_arena_alloc(r->arena, (size_t)count + 1, sizeof *r->kept);
  r->parts = co_alloc_zero(r->ctx, (size_t)(slots * count) + 1, sizeof *r->parts);
  if (!r->kept || !r->parts) goto cleanup;
  for (int64_t i = 0; i < slots * count; i++) {
    r->parts[i] = r->columns.items[i % count];
    co_encode_prepare(&r->parts[i]);
  }
  if (r->key >= 0) CO_TRY(co_dictionary_create(&r->keys, r->ctx));
  CO_TRY(co_values_create(&r->values, r->ctx, r->options->output, MOST_VALUES));
  CO_TRY(co_values_clear(r->values, count));
  status = co_scan_each(scan, slots, encode_part, keep_part, r);
  if (status == CO_STOPPED && r->again) status = CO_OK;
  if (status == CO_OK && !r->again && r->rows && !co_rejects_total(&r->rejects))
    co_scan_file_digest(scan, r->sha256);
  else
    forget_values(r);

cleanup:
  for (int64_t i = 0; i < slots * count && r->parts; i++)
    co_free(r->ctx, r->parts[i].block);
  co_free(r->ctx, r->parts);
  return status;
}

static co_status look_again(raw_rows *r) {
  co_scan *scan;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, r->ctx, &r->scan));
  co_status status = check_rows(r, scan);
  co_scan_close(scan);
  return status;
}

static co_status find_rows(raw_rows *r) {
  co_scan *scan;
  r->scan.rows.unhashed = false;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, r->ctx, &r->scan));
  const co_rows *rows = co_scan_file(scan);
  co_status status = plan_columns(r, rows);
  if (status == CO_OK) status = co_raw_joins_read(&r->joins, r->options->schema, rows);
  if (status == CO_OK) status = plan_split(r, rows);
  if (status == CO_OK) tell_unused(r, rows);
  bool once = is_plain(r);
  if (status == CO_OK) status = once ? read_once(r, scan) : check_rows(r, scan);
  co_scan_close(scan);
  r->scan.rows.unhashed = true;
  return status == CO_OK && once && !r->values ? look_again(r) : status;
}

// Keys are written before all else.
static co_status read_keys(raw_rows *r) {
  co_scan *scan;
  co_scan_block block = {.count = 1};
  if (r->key < 0 || r->values) return CO_OK;
  CO_RETURN_IF_FAILED(co_dictionary_create(&r->keys, r->ctx));
  CO_RETURN_IF_FAILED(co_scan_open(&scan, r->ctx, &r->scan));
  co_status status = CO_OK;
  while (status == CO_OK && block.count) {
    status = co_scan_next(scan, &block);
    if (status == CO_OK) status = take_keys(r, scan, &block);
  }
  co_scan_close(scan);
  return status;
}

// ---- writing -----------------------------------------------------------------------------------

static co_status encode_blocks(raw_rows *r, co_encoder *encoder, co_scan *scan) {
  co_scan_block block;
  for (;;) {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    if (!block.count || co_scan_rows(scan) > r->rows) break;
    CO_RETURN_IF_FAILED(co_encoder_block(encoder, scan, &block));
    CO_RETURN_IF_FAILED(co_raw_joins_block(&r->joins, scan, &block));
    if (r->options->split) CO_RETURN_IF_FAILED(co_placer_block(&r->placer, scan, &block));
  }
  if (co_scan_rows(scan) != r->rows)
    return co_fail_at(CO_ERR_DATA, co_scan_shown(&r->scan, 0), 0, 0,
                      "the file changed while it was read");
  co_scan_file_digest(scan, r->sha256);
  return co_encoder_flush(encoder);
}

static co_status encode_rows(raw_rows *r, co_encoder *encoder) {
  co_scan *scan;
  if (r->values) return co_encoder_encoded(encoder, r->values);
  r->scan.rows.unhashed = false;
  CO_RETURN_IF_FAILED(co_raw_joins_begin_rows(&r->joins, r->rows));
  if (r->options->split) CO_RETURN_IF_FAILED(co_placer_begin(&r->placer, r->rows));
  CO_RETURN_IF_FAILED(co_scan_open(&scan, r->ctx, &r->scan));
  co_status status = encode_blocks(r, encoder, scan);
  co_scan_close(scan);
  return status;
}

static co_status begin_rejects(raw_rows *r) {
  const co_raw_rows_options *o = r->options;
  int64_t count = co_rejects_total(&r->rejects);
  if (!count) return CO_OK;
  bool kept = o->reject.on_error == CO_ON_ERROR_QUARANTINE && o->rejects;
  co_log(r->ctx, CO_LOG_WARN, "predict",
         "%" PRId64 " rows cannot be taken and are not scored%s%s%s", count,
         kept ? "; they are in " : "", kept ? o->rejects : "", kept ? ".rejects.csv" : "");
  return kept ? co_reject_file_begin(&r->reject_file, r->ctx, o->rejects, o->replace_rejects)
              : CO_OK;
}

static co_status write_keys(raw_rows *r, co_dataset_writer *writer) {
  if (r->key < 0) return CO_OK;
  const char **texts = co_alloc(r->ctx, (size_t)r->rows * sizeof *texts);
  if (!texts) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < r->rows; i++)
    texts[i] = r->keys.words[i].text;
  co_status status =
      co_dataset_writer_texts(writer, r->table, r->key_name, CO_ROLE_KEY, texts, r->rows);
  co_free(r->ctx, texts);
  return status;
}

static co_status write_rows(raw_rows *r) {
  co_status status = CO_ERR_MEMORY;
  co_dataset_writer *writer = NULL;
  co_encoder encoder = {0};
  if (!(r->split = co_alloc(r->ctx, (size_t)r->rows))) goto cleanup;
  memset(r->split, CO_SPLIT_TEST, (size_t)r->rows);
  CO_TRY(begin_rejects(r));
  r->scan.file = r->reject_file;
  CO_TRY(co_dataset_writer_create(&writer, r->ctx, r->options->output));
  CO_TRY(write_keys(r, writer));
  CO_TRY(co_encoder_begin(&encoder, r->ctx, writer, r->table, r->columns.items, r->columns.count,
                          r->rows));
  CO_TRY(encode_rows(r, &encoder));
  CO_TRY(co_raw_joins_write(&r->joins, writer, r->table));
  if (r->options->split) CO_TRY(co_placer_end(&r->placer));
  CO_TRY(co_dataset_writer_samples(writer, r->table, r->rows, NULL, NULL,
                                   r->options->split ? r->placer.split : r->split));
  CO_TRY(co_reject_file_commit(r->reject_file));
  CO_TRY(co_dataset_writer_commit_temporary(writer, NULL, r->options->temporary));

cleanup:
  co_encoder_free(&encoder);
  co_dataset_writer_free(writer);
  return status;
}

static void report_columns(raw_rows *r, co_raw_rows_result *out, const co_raw_columns *columns) {
  for (int64_t i = 0; i < columns->count; i++) {
    const co_encoded_column *c = &columns->items[i];
    out->columns[out->column_count++] = (co_raw_rows_column){c->column.name, c->missing, c->unseen};
    if (c->unseen)
      co_log(r->ctx, CO_LOG_WARN, "predict",
             "column '%s': %" PRId64 " values are unknown to the model and count as missing, the "
             "first is '%s'",
             c->column.name, c->unseen, c->first_unseen);
  }
}

static co_status report(raw_rows *r, co_raw_rows_result *out) {
  *out = (co_raw_rows_result){.rows = r->rows, .rejected = co_rejects_total(&r->rejects)};
  int64_t most = r->options->schema->column_count + r->options->passed_count;
  out->columns = co_arena_alloc(r->arena, (size_t)most + 1, sizeof *out->columns);
  if (!out->columns) return CO_ERR_MEMORY;
  memcpy(out->sha256, r->sha256, sizeof out->sha256);
  report_columns(r, out, &r->columns);
  for (int64_t i = 0; i < r->joins.count; i++)
    report_columns(r, out, &r->joins.items[i].columns);
  return CO_OK;
}

static co_status run(raw_rows *r, co_raw_rows_result *out) {
  CO_RETURN_IF_FAILED(find_rows(r));
  CO_RETURN_IF_FAILED(read_keys(r));
  CO_RETURN_IF_FAILED(write_rows(r));
  return report(r, out);
}

co_status co_raw_rows_write(co_raw_rows_result *out, co_context *ctx, co_arena *arena,
                            const co_raw_rows_options *options) {
  raw_rows r = {.ctx = ctx,
                .arena = arena,
                .options = options,
                .table = options->recipe->table ? options->recipe->table : "rows",
                .key = -1,
                .scan = {.paths = &options->path,
                         .shown = options->shown ? &options->shown : NULL,
                         .path_count = 1,
                         .rows = options->recipe->rows,
                         .rejects = &r.rejects,
                         .stage = "read",
                         .progress = options->progress,
                         .progress_user = options->progress_user,
                         .stop = options->stop}};
  r.scan.rows.unhashed = true;
  if (!options->measured) r.scan.rows.where = NULL; // which are scored is the caller's choice
  co_rejects_init(&r.rejects, ctx, &options->reject);
  co_status status = co_raw_joins_begin(&r.joins, ctx, arena, options->recipe, options->joined,
                                        options->joined_shown, &r.scan);
  if (status == CO_OK) status = run(&r, out);
  co_error error;
  co_error_copy(&error);
  co_raw_columns_free(&r.columns);
  co_raw_joins_free(&r.joins);
  co_dictionary_free(&r.keys);
  co_values_free(r.values);
  co_rejects_free(&r.rejects);
  co_reject_file_free(r.reject_file);
  co_free(ctx, r.split);
  co_free(ctx, r.survey.columns);
  co_placer_free(&r.placer);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}
