// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/dataset.h"
#include "datasets/date.h"
#include "datasets/raw_private.h"

enum {
  KEY_MEMORY = 16 << 20, // bytes in which keys are compared
  MOST_PART_ROWS = 1 << 20,
  TEXT_BYTES = 64, // that a text is taken to have where parts are measured
  JOINED_TIMES = 4
};

// ---- columns -----------------------------------------------------------------------------------

static co_status pass_columns(co_raw_rows *r, const co_rows *rows) {
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
    CO_RETURN_IF_FAILED(co_raw_columns_add(&r->tables[0].columns, &column, name, rows));
  }
  return CO_OK;
}

static co_status plan_table(co_raw_rows *r, co_raw_table *t, const co_rows *rows) {
  const co_schema *schema = t->model->schema;
  const co_recipe *recipe = t->model->recipe;
  CO_RETURN_IF_FAILED(co_raw_columns_begin(&t->columns, r->ctx, r->arena, recipe,
                                           schema->column_count + r->options->passed_count,
                                           r->options->stop));
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    const char *local;
    int64_t join;
    if (column->role == CO_ROLE_TARGET && !r->options->measured) continue;
    if (t->sampled && co_event_column(schema, column)) continue;
    CO_RETURN_IF_FAILED(co_recipe_locate(recipe, r->arena, column->name, &join, &local));
    if (join < 0) CO_RETURN_IF_FAILED(co_raw_columns_add(&t->columns, column, local, rows));
  }
  const co_column *used = r->key_name ? co_schema_find(schema, r->key_name) : NULL;
  if (used && used->role != CO_ROLE_TARGET)
    return co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                      "column '%.200s' is an input of the model and cannot name rows", r->key_name);
  return CO_OK;
}

static co_status plan_key(co_raw_rows *r, const co_rows *rows) {
  const co_recipe *recipe = r->options->models[0].recipe;
  r->key_name = r->options->key;
  for (int64_t i = 0; !r->key_name && i < recipe->column_count; i++)
    if (recipe->columns[i].role == CO_RECIPE_KEY) r->key_name = recipe->columns[i].name;
  r->key = r->key_name ? co_rows_find(rows, r->key_name) : -1;
  if (!r->options->key || r->key >= 0) return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                                "there is no column '%.200s' to name rows by", r->options->key);
  const char *near = co_nearest(r->options->key, rows->names, rows->column_count);
  if (near) co_hint("did you mean '%.200s'?", near);
  return status;
}

// How many rows a part has. Joined tables are written for each: it has several times as many rows as they.
static void plan_parts(co_raw_rows *r) {
  size_t bytes = r->key >= 0 ? TEXT_BYTES : 1;
  int64_t joined = 0;
  for (int64_t i = 0; i < r->table_count; i++)
    joined += co_raw_joins_rows(&r->tables[i].joins);
  for (int64_t i = 0; i < r->column_count; i++)
    bytes += r->columns[i]->column.type == CO_COLUMN_TEXT
                 ? TEXT_BYTES
                 : co_dtype_size(r->columns[i]->column.dtype) *
                       (size_t)co_shape_count(&r->columns[i]->column.shape);
  r->part_rows = (int64_t)(r->options->part_bytes / bytes) + 1;
  if (r->part_rows > MOST_PART_ROWS) r->part_rows = MOST_PART_ROWS;
  if (r->part_rows < JOINED_TIMES * joined) r->part_rows = JOINED_TIMES * joined;
  for (int64_t i = 0; i < r->table_count; i++)
    if (r->tables[i].sampled) r->part_rows = INT64_MAX;
  if (!r->options->part_bytes) r->part_rows = INT64_MAX;
}

static co_status keep_names(co_raw_rows *r, const co_rows *rows) {
  const char **names = co_arena_alloc(r->arena, (size_t)rows->column_count + 1, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < rows->column_count; i++)
    if (!(names[i] = co_arena_strdup(r->arena, rows->names[i]))) return CO_ERR_MEMORY;
  r->names = names;
  r->name_count = rows->column_count;
  return CO_OK;
}

static co_status plan_columns(co_raw_rows *r, const co_rows *rows) {
  CO_RETURN_IF_FAILED(keep_names(r, rows));
  CO_RETURN_IF_FAILED(plan_key(r, rows));
  for (int64_t i = 0; i < r->table_count; i++)
    CO_RETURN_IF_FAILED(plan_table(r, &r->tables[i], rows));
  CO_RETURN_IF_FAILED(pass_columns(r, rows));
  for (int64_t i = 0; i < r->table_count; i++)
    r->column_count += r->tables[i].columns.count;
  r->columns = co_arena_alloc(r->arena, (size_t)r->column_count + 1, sizeof(co_encoded_column *));
  if (!r->columns) return CO_ERR_MEMORY;
  for (int64_t i = 0, at = 0; i < r->table_count; i++)
    for (int64_t k = 0; k < r->tables[i].columns.count; k++)
      r->columns[at++] = &r->tables[i].columns.items[k];
  for (int64_t i = 0; i < r->table_count; i++)
    CO_RETURN_IF_FAILED(co_raw_joins_read(&r->tables[i].joins, r->tables[i].model->schema, rows));
  plan_parts(r);
  return CO_OK;
}

// Where rows are split, by what the recipe says of the columns.
static co_status plan_split(co_raw_rows *r, const co_rows *rows) {
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
    const co_recipe_column *known = co_recipe_find(r->tables[0].model->recipe, rows->names[i]);
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

static bool is_used(const co_raw_rows *r, const char *name) {
  for (int64_t i = 0; i < r->table_count; i++)
    if (co_schema_find(r->tables[i].model->schema, name) ||
        (r->tables[i].sampled && (!strcmp(r->tables[i].model->recipe->samples.entity, name) ||
                                  !strcmp(r->tables[i].model->recipe->samples.as_of, name))) ||
        co_raw_joins_by(&r->tables[i].joins, name))
      return true;
  return false;
}

static void tell_unused(const co_raw_rows *r, const co_rows *rows) {
  int64_t count = 0;
  const char *first = NULL;
  for (int64_t i = 0; i < rows->column_count; i++) {
    const char *name = rows->names[i];
    if (i == r->key || is_used(r, name)) continue;
    if (!count++) first = name;
  }
  if (count == 1)
    co_log(r->ctx, CO_LOG_INFO, "predict", "column '%s' is not used by the model", first);
  else if (count)
    co_log(r->ctx, CO_LOG_INFO, "predict", "%" PRId64 " columns are not used by the model: '%s' …",
           count, first);
}

// ---- rows that can be taken ----------------------------------------------------------------------------------

static co_status take_key(co_raw_rows *r, const co_scan *scan, const co_row_place *place,
                          const co_cell *field) {
  co_cell cell = co_cell_trim(field, NULL);
  if (co_cell_is_missing(&cell)) return co_scan_wrong(scan, place, r->key, "the key is missing");
  if (cell.length > CO_DATASET_KEY_MAX)
    return co_scan_wrong(scan, place, r->key, "a key of %zu bytes; at most %d are allowed",
                         cell.length, (int)CO_DATASET_KEY_MAX);
  co_text_append(&r->key_texts, cell.text, cell.length);
  co_text_append(&r->key_texts, "", 1);
  CO_RETURN_IF_FAILED(r->key_texts.status);
  return co_key_check_add(r->key_check, &cell, place->row, place->line);
}

// Once all are in.
static co_status check_keys(co_raw_rows *r) {
  co_repeated_key repeated;
  if (r->key < 0) return CO_OK;
  CO_RETURN_IF_FAILED(co_key_check_find(r->key_check, &repeated));
  if (!repeated.row) return CO_OK;
  co_status status =
      co_fail_at(CO_ERR_DATA, co_scan_shown(&r->scan, 0), (long)repeated.line, 0,
                 "row %" PRId64 ", column '%.200s': the key occurs in %s %" PRId64 " already",
                 repeated.row, r->key_name, repeated.line ? "line" : "row",
                 repeated.line ? repeated.first_line : repeated.first);
  co_hint("--key names another column");
  return status;
}

static co_status begin_keys(co_raw_rows *r) {
  co_key_check_free(r->key_check);
  r->key_check = NULL;
  r->key_texts.length = 0;
  return r->key < 0 ? CO_OK
                    : co_key_check_create(&r->key_check, r->ctx, KEY_MEMORY, r->options->output);
}

// Cells that cannot be of their column make their row one that is not scored.
static co_status check_cell(co_raw_rows *r, const co_encoded_column *c, const co_cell *field,
                            bool decimal_comma, int64_t file, int64_t row) {
  double value;
  co_reject_reason reason = CO_REJECT_NO_DATE;
  co_cell cell = co_cell_trim(field, c->suffix);
  if (co_cell_is_missing(&cell)) return CO_OK;
  if (c->column.type == CO_COLUMN_DATE) {
    if (co_date_read(cell.text, cell.length, c->format, &value) == CO_DATE_GOOD) return CO_OK;
  } else {
    co_cell_kind kind = co_cell_read_as(&cell, decimal_comma, &value);
    if (kind == CO_CELL_NUMBER) return CO_OK;
    reason = kind == CO_CELL_TOO_LARGE ? CO_REJECT_TOO_LARGE : CO_REJECT_NO_NUMBER;
  }
  const co_bad_cell bad = {file, row, c->field, reason};
  co_status status;
  char why[160];
  co_reject_explain(why, reason, &cell);
#pragma omp critical(co_raw_rows)
  {
    status = co_rejects_add(&r->rejects, &bad);
    co_rejects_tell(&r->rejects, &bad, c->column.name, why);
  }
  return status;
}

static co_status check_column(void *user, const co_scan *scan, const co_scan_block *block,
                              int64_t column, int64_t *row) {
  co_raw_rows *r = user;
  const co_encoded_column *c = r->columns[column];
  if (c->column.type != CO_COLUMN_NUMBER && c->column.type != CO_COLUMN_DATE) return CO_OK;
  for (int64_t k = 0; k < block->part_count; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = 0; i < part->count; i++, ++*row)
      CO_RETURN_IF_FAILED(check_cell(r, c, co_block_cell(block, part, i, c->field),
                                     co_scan_file(scan)->decimal_comma, block->file,
                                     part->places[i].row));
  }
  return CO_OK;
}

// Nor are rows without a key.
static co_status check_block_keys(co_raw_rows *r, const co_scan_block *block) {
  for (int64_t k = 0; r->key >= 0 && k < block->part_count; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = 0; i < part->count; i++) {
      const co_cell key = co_cell_trim(co_block_cell(block, part, i, r->key), NULL);
      const co_bad_cell bad = {block->file, part->places[i].row, r->key, CO_REJECT_NO_KEY};
      if (!co_cell_is_missing(&key)) continue;
      CO_RETURN_IF_FAILED(co_rejects_add(&r->rejects, &bad));
      co_rejects_tell(&r->rejects, &bad, r->key_name, "the key is missing");
    }
  }
  return CO_OK;
}

static co_status check_rows(co_raw_rows *r, co_scan *scan) {
  bool rejects = r->rejects.rule.on_error != CO_ON_ERROR_FAIL;
  for (;;) {
    co_scan_block block;
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    if (!block.count) break;
    if (!rejects) continue;
    CO_RETURN_IF_FAILED(co_scan_columns(scan, &block, r->column_count, check_column, r));
    CO_RETURN_IF_FAILED(check_block_keys(r, &block));
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
  co_raw_rows *r = user;
  co_encoded_column *columns = &r->encoded[slot * r->column_count];
  r->odd[slot] = false;
  for (int64_t i = 0; i < r->column_count && !r->odd[slot]; i++) {
    co_status status = co_encode_part(r->ctx, &columns[i], scan, part);
    if (status == CO_ERR_MEMORY) return status;
    r->odd[slot] = status != CO_OK;
  }
  return CO_OK;
}

static co_status keep_keys(co_raw_rows *r, const co_scan *scan, const co_scan_part *part) {
  for (int64_t i = 0; r->key >= 0 && i < part->rows.count && !r->again; i++) {
    const co_row_place place = co_part_place(part, i);
    const co_cell *cell = co_part_cell(part, i, r->key), trimmed = co_cell_trim(cell, NULL);
    r->again = co_cell_is_missing(&trimmed) || trimmed.length > CO_DATASET_KEY_MAX;
    if (!r->again) CO_RETURN_IF_FAILED(take_key(r, scan, &place, cell));
  }
  return CO_OK;
}

// Of all tables what is kept.
static co_status flush_values(co_raw_rows *r) {
  int64_t count = co_values_rows(r->values);
  if (!count) return CO_OK;
  CO_RETURN_IF_FAILED(co_raw_part_begin(r, count));
  for (int64_t rows;;) {
    CO_RETURN_IF_FAILED(co_values_next(r->values, &rows));
    if (!rows) break;
    for (int64_t i = 0, at = 0; i < r->table_count; at += r->tables[i++].columns.count)
      CO_RETURN_IF_FAILED(co_encoder_encoded(&r->tables[i].encoder, r->values, at, rows));
  }
  CO_RETURN_IF_FAILED(co_raw_part_end(r));
  return co_values_clear(r->values, r->column_count);
}

// So many rows of what was found from row `from` on.
static co_status keep_rows(co_raw_rows *r, const co_encoded_column *found, int64_t from,
                           int64_t rows) {
  for (int64_t i = 0; i < r->column_count; i++) {
    size_t width = co_dtype_size(found[i].column.dtype);
    r->kept[i] = (co_column_values){.kind = CO_VALUES_ENCODED,
                                    .values = found[i].block + (size_t)from * width,
                                    .width = (int)width};
  }
  CO_RETURN_IF_FAILED(co_values_append(r->values, rows, r->kept));
  return co_values_rows(r->values) == r->part_rows ? flush_values(r) : CO_OK;
}

static co_status keep_part(void *user, int slot, const co_scan *scan, const co_scan_part *part) {
  co_raw_rows *r = user;
  const co_encoded_column *found = &r->encoded[slot * r->column_count];
  r->again = r->odd[slot] || co_rejects_total(&r->rejects);
  CO_RETURN_IF_FAILED(keep_keys(r, scan, part));
  if (r->again) return co_fail(CO_STOPPED, "the rows are read again");
  for (int64_t i = 0; i < r->column_count; i++) {
    co_encoded_column *c = r->columns[i];
    if (!c->unseen) memcpy(c->first_unseen, found[i].first_unseen, sizeof c->first_unseen);
    c->missing += found[i].missing;
    c->unseen += found[i].unseen;
  }
  for (int64_t at = 0, some; at < part->rows.count; at += some) {
    some = r->part_rows - co_values_rows(r->values);
    if (some > part->rows.count - at) some = part->rows.count - at;
    CO_RETURN_IF_FAILED(keep_rows(r, found, at, some));
  }
  r->rows += part->rows.count;
  return CO_OK;
}

static bool is_plain(const co_raw_rows *r) {
  bool plain = !r->options->split; // else their cells are wanted twice, as they are for joins
  for (int64_t i = 0; i < r->table_count; i++)
    plain &= !r->tables[i].joins.count && !r->tables[i].sampled;
  for (int64_t i = 0; i < r->column_count; i++)
    plain &= r->columns[i]->column.type != CO_COLUMN_TEXT &&
             r->columns[i]->column.type != CO_COLUMN_IMAGE;
  return plain;
}

// As if nothing had been read.
static void forget_values(co_raw_rows *r) {
  co_raw_part_drop(r);
  co_raw_parts_free(r->options->parts);
  *r->options->parts = (co_raw_parts){.ctx = r->ctx, .models = r->table_count};
  r->rows = 0;
  for (int64_t i = 0; i < r->column_count; i++)
    r->columns[i]->missing = r->columns[i]->unseen = 0;
}

static co_status read_once(co_raw_rows *r, co_scan *scan, bool *done) {
  int slots = co_scan_slots(r->ctx);
  int64_t count = r->column_count;
  co_status status = CO_ERR_MEMORY;
  r->kept = co_arena_alloc(r->arena, (size_t)count + 1, sizeof *r->kept);
  r->encoded = co_alloc_zero(r->ctx, (size_t)(slots * count) + 1, sizeof *r->encoded);
  if (!r->kept || !r->encoded) goto cleanup;
  for (int64_t i = 0; i < slots * count; i++) {
    r->encoded[i] = *r->columns[i % count];
    co_encode_prepare(&r->encoded[i]);
  }
  CO_TRY(begin_keys(r));
  CO_TRY(co_values_create(&r->values, r->ctx, r->options->output, SIZE_MAX));
  CO_TRY(co_values_clear(r->values, count));
  status = co_scan_each(scan, slots, encode_part, keep_part, r);
  if (status == CO_STOPPED && r->again) status = CO_OK;
  *done = status == CO_OK && !r->again && r->rows && !co_rejects_total(&r->rejects);
  if (*done) CO_TRY(flush_values(r));
  if (*done) co_scan_file_digest(scan, r->sha256);
  if (!*done) forget_values(r);

cleanup:
  for (int64_t i = 0; i < slots * count && r->encoded; i++)
    co_free(r->ctx, r->encoded[i].block);
  co_free(r->ctx, r->encoded);
  co_values_free(r->values);
  r->values = NULL;
  return status;
}

static co_status look_again(co_raw_rows *r) {
  co_scan *scan;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, r->ctx, &r->scan));
  co_status status = check_rows(r, scan);
  co_scan_close(scan);
  return status;
}

// *done: they are written already.
static co_status find_rows(co_raw_rows *r, bool *done) {
  co_scan *scan;
  r->scan.rows.unhashed = false;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, r->ctx, &r->scan));
  const co_rows *rows = co_scan_file(scan);
  co_status status = plan_columns(r, rows);
  if (status == CO_OK) status = plan_split(r, rows);
  if (status == CO_OK) tell_unused(r, rows);
  bool once = is_plain(r);
  if (status == CO_OK) status = once ? read_once(r, scan, done) : check_rows(r, scan);
  co_scan_close(scan);
  r->scan.rows.unhashed = true;
  return status == CO_OK && once && !*done ? look_again(r) : status;
}

// ---- in another reading ------------------------------------------------------------------------

static co_status take_block(co_raw_rows *r, const co_scan *scan, const co_scan_block *block) {
  for (int64_t i = 0; i < r->table_count; i++) {
    CO_RETURN_IF_FAILED(co_encoder_block(&r->tables[i].encoder, scan, block));
    CO_RETURN_IF_FAILED(co_raw_joins_block(&r->tables[i].joins, scan, block));
    if (r->tables[i].sampled)
      CO_RETURN_IF_FAILED(co_row_samples_block(&r->tables[i].samples, scan, block));
  }
  if (r->options->split) CO_RETURN_IF_FAILED(co_placer_block(&r->placer, scan, block));
  for (int64_t k = 0; k < block->part_count; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = 0; i < part->count; i++) {
      CO_RETURN_IF_FAILED(co_raw_part_place(r, part->places[i].row));
      if (r->key >= 0)
        CO_RETURN_IF_FAILED(
            take_key(r, scan, &part->places[i], co_block_cell(block, part, i, r->key)));
    }
  }
  return CO_OK;
}

// Some rows of a part of a block; those that are bad are not asked for any more.
static co_scan_block cut(const co_scan_block *block, co_row_part *room, int64_t part, int64_t from,
                         int64_t rows) {
  co_scan_block out = *block;
  *room = (co_row_part){.count = rows,
                        .cells = block->parts[part].cells + from * block->stride,
                        .places = block->parts[part].places + from};
  out.count = rows;
  out.part_count = 1;
  out.parts = room;
  return out;
}

// Hands out the rows of a block to the parts that they belong to.
static co_status divide_block(co_raw_rows *r, const co_scan *scan, const co_scan_block *block,
                              int64_t *left) {
  if (block->count < *left) {
    *left -= block->count;
    return take_block(r, scan, block);
  }
  int64_t first = block->first;
  for (int64_t k = 0; k < block->part_count; k++)
    for (int64_t at = 0, some; at < block->parts[k].count; at += some) {
      co_row_part room;
      some = block->parts[k].count - at < *left ? block->parts[k].count - at : *left;
      co_scan_block piece = cut(block, &room, k, at, some);
      piece.first = first;
      first += some;
      CO_RETURN_IF_FAILED(take_block(r, scan, &piece));
      if (*left -= some) continue;
      CO_RETURN_IF_FAILED(co_raw_part_end(r));
      *left = r->rows - first < r->part_rows ? r->rows - first : r->part_rows;
      if (*left) CO_RETURN_IF_FAILED(co_raw_part_begin(r, *left));
    }
  return CO_OK;
}

static co_status encode_blocks(co_raw_rows *r, co_scan *scan) {
  co_scan_block block;
  int64_t left = r->rows < r->part_rows ? r->rows : r->part_rows;
  CO_RETURN_IF_FAILED(co_raw_part_begin(r, left));
  for (;;) {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    if (!block.count || co_scan_rows(scan) > r->rows) break;
    CO_RETURN_IF_FAILED(divide_block(r, scan, &block, &left));
  }
  if (co_scan_rows(scan) != r->rows)
    return co_fail_at(CO_ERR_DATA, co_scan_shown(&r->scan, 0), 0, 0,
                      "the file changed while it was read");
  co_scan_file_digest(scan, r->sha256);
  return CO_OK;
}

static co_status begin_rejects(co_raw_rows *r) {
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

static co_status encode_rows(co_raw_rows *r) {
  co_scan *scan;
  CO_RETURN_IF_FAILED(begin_rejects(r));
  CO_RETURN_IF_FAILED(begin_keys(r));
  r->scan.file = r->reject_file;
  r->scan.key = r->key >= 0 ? r->key_name : NULL;
  r->scan.rows.unhashed = false;
  if (r->options->split) CO_RETURN_IF_FAILED(co_placer_begin(&r->placer, r->rows));
  CO_RETURN_IF_FAILED(co_scan_open(&scan, r->ctx, &r->scan));
  co_status status = encode_blocks(r, scan);
  co_scan_close(scan);
  if (status != CO_OK || !r->options->reject_file)
    return status == CO_OK ? co_reject_file_commit(r->reject_file) : status;
  *r->options->reject_file = r->reject_file;
  r->reject_file = NULL;
  return CO_OK;
}

// ---- all ---------------------------------------------------------------------------------------

static void report_columns(co_raw_rows *r, co_raw_rows_result *out, int64_t model,
                           const co_raw_columns *columns) {
  for (int64_t i = 0; i < columns->count; i++) {
    const co_encoded_column *c = &columns->items[i];
    out->columns[out->column_count++] = (co_raw_rows_column){
        .model = model, .name = c->column.name, .missing = c->missing, .unseen = c->unseen};
    if (c->unseen)
      co_log(r->ctx, CO_LOG_WARN, "predict",
             "column '%s': %" PRId64 " values are unknown to the model and count as missing, the "
             "first is '%s'",
             c->column.name, c->unseen, c->first_unseen);
  }
}

static co_status report(co_raw_rows *r, co_raw_rows_result *out) {
  *out = (co_raw_rows_result){.rows = r->rows, .rejected = co_rejects_total(&r->rejects)};
  int64_t most = r->options->passed_count;
  for (int64_t i = 0; i < r->table_count; i++)
    most += r->tables[i].model->schema->column_count;
  out->columns = co_arena_alloc(r->arena, (size_t)most + 1, sizeof *out->columns);
  if (!out->columns) return CO_ERR_MEMORY;
  out->new_items = co_arena_alloc(r->arena, (size_t)r->table_count + 1, sizeof *out->new_items);
  co_new_classes *found = co_arena_alloc(r->arena, (size_t)r->table_count + 1, sizeof *found);
  if (!out->new_items || !found) return CO_ERR_MEMORY;
  memcpy(out->sha256, r->sha256, sizeof out->sha256);
  for (int64_t i = 0; i < r->table_count; i++) {
    const co_raw_table *t = &r->tables[i];
    report_columns(r, out, i, &t->columns);
    for (int64_t k = 0; k < t->joins.count; k++)
      report_columns(r, out, i, &t->joins.items[k].columns);
    co_raw_joins_tell(&t->joins);
    if (t->sampled && !out->events.lines) out->events = t->events;
    found[i] = t->events.new_items;
    if (found[i].count) out->new_items[i] = &found[i];
  }
  return CO_OK;
}

static co_status run(co_raw_rows *r, co_raw_rows_result *out) {
  bool done = false;
  CO_RETURN_IF_FAILED(find_rows(r, &done));
  if (!done) CO_RETURN_IF_FAILED(encode_rows(r));
  CO_RETURN_IF_FAILED(check_keys(r));
  return report(r, out);
}

static co_status begin_tables(co_raw_rows *r) {
  const co_raw_rows_options *o = r->options;
  *o->parts = (co_raw_parts){.ctx = r->ctx, .models = o->model_count};
  r->tables = co_arena_alloc(r->arena, (size_t)o->model_count, sizeof *r->tables);
  if (!r->tables) return CO_ERR_MEMORY;
  for (; r->table_count < o->model_count; r->table_count++) {
    const co_raw_model *m = &o->models[r->table_count];
    co_raw_table *t = &r->tables[r->table_count];
    *t = (co_raw_table){.model = m,
                        .name = m->recipe->table ? m->recipe->table : "rows",
                        .sampled = m->events != NULL};
    if (t->sampled) t->name = NULL; // columns are the samples'
    CO_RETURN_IF_FAILED(co_raw_joins_begin(&t->joins, r->ctx, r->arena, m->recipe, m->joined,
                                           m->joined_shown, &r->scan));
    const char *column;
    int64_t dated = co_row_samples_dated(m->recipe, &column);
    if (t->sampled && dated >= 0) co_raw_joins_use(&t->joins, dated);
  }
  return CO_OK;
}

static void end_tables(co_raw_rows *r) {
  co_raw_part_drop(r);
  for (int64_t i = 0; i < r->table_count; i++) {
    co_raw_columns_free(&r->tables[i].columns);
    co_raw_joins_free(&r->tables[i].joins);
    co_row_samples_free(&r->tables[i].samples);
  }
}

co_status co_raw_rows_write(co_raw_rows_result *out, co_context *ctx, co_arena *arena,
                            const co_raw_rows_options *options) {
  co_raw_rows r = {.ctx = ctx,
                   .arena = arena,
                   .options = options,
                   .key = -1,
                   .scan = {.paths = &options->path,
                            .shown = options->shown ? &options->shown : NULL,
                            .path_count = 1,
                            .rows = options->models[0].recipe->rows,
                            .rejects = &r.rejects,
                            .stage = "read",
                            .progress = options->progress,
                            .progress_user = options->progress_user,
                            .stop = options->stop}};
  r.scan.rows.unhashed = true;
  if (!options->measured) r.scan.rows.where = NULL; // which are scored is the caller's choice
  co_rejects_init(&r.rejects, ctx, &options->reject);
  co_text_init(&r.key_texts, ctx);
  co_status status = begin_tables(&r);
  if (status == CO_OK) status = run(&r, out);
  co_error error;
  co_error_copy(&error);
  end_tables(&r);
  co_key_check_free(r.key_check);
  co_text_free(&r.key_texts);
  co_values_free(r.values);
  co_rejects_free(&r.rejects);
  co_reject_file_free(r.reject_file);
  co_free(ctx, r.survey.columns);
  co_placer_free(&r.placer);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}
