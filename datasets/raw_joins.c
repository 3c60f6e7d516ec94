// SPDX-License-Identifier: Apache-2.0
#include "datasets/raw_joins.h"

#include <inttypes.h>
#include <string.h>

#include "datasets/cell.h"

co_status co_raw_joins_begin(co_raw_joins *joins, co_context *ctx, co_arena *arena,
                             const co_recipe *recipe, const char *const *paths,
                             const char *const *shown, const co_scan_options *scan) {
  *joins = (co_raw_joins){.ctx = ctx, .arena = arena, .recipe = recipe};
  joins->items = co_arena_alloc(arena, (size_t)recipe->join_count + 1, sizeof *joins->items);
  if (!joins->items) return CO_ERR_MEMORY;
  for (; joins->count < recipe->join_count; joins->count++) {
    co_raw_join *j = &joins->items[joins->count];
    const char *path = paths ? paths[joins->count] : NULL;
    *j = (co_raw_join){.join = recipe->joins[joins->count],
                       .path = path,
                       .shown = path && shown ? shown[joins->count] : path,
                       .scan = *scan};
    j->join.one_to_one = false;
    j->scan.paths = &j->path;
    j->scan.shown = &j->shown;
    j->scan.rejects = NULL; // the first bad row of such a table is the end
    j->scan.rows = j->join.table.rows;
    j->scan.rows.unhashed = true;
  }
  return CO_OK;
}

void co_raw_joins_free(co_raw_joins *joins) {
  for (int64_t i = 0; i < joins->count; i++) {
    co_joined_free(&joins->items[i].joined);
    co_dictionary_free(&joins->items[i].keys);
    co_raw_columns_free(&joins->items[i].columns);
  }
  joins->count = 0;
}

bool co_raw_joins_by(const co_raw_joins *joins, const char *column) {
  for (int64_t i = 0; i < joins->count; i++)
    if (joins->items[i].used && strcmp(joins->items[i].join.on, column) == 0) return true;
  return false;
}

// ---- keys and columns --------------------------------------------------------------------------

static co_status take_key(co_raw_join *j, const co_scan *scan, const co_row_place *place,
                          int64_t column, const co_cell *field) {
  int64_t repeated;
  const co_recipe_column *known = co_recipe_find(&j->join.table, j->join.table.joined_by);
  co_cell cell = co_cell_trim(field, known ? known->strip_suffix : NULL);
  if (co_cell_is_missing(&cell)) return co_scan_wrong(scan, place, column, "the key is missing");
  CO_RETURN_IF_FAILED(co_dictionary_add(&j->keys, cell.text, cell.length,
                                        place->line ? place->line : place->row, &repeated));
  return repeated
             ? co_scan_wrong(scan, place, column, "the key '%.*s' occurs in %s %" PRId64 " already",
                             (int)(cell.length < 40 ? cell.length : 40), cell.text,
                             place->line ? "line" : "row", repeated)
             : CO_OK;
}

static co_status take_keys(co_raw_join *j, co_scan *scan, int64_t column) {
  co_scan_block block = {.count = 1};
  while (block.count) {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    for (int64_t k = 0; k < block.part_count; k++) {
      const co_row_part *part = &block.parts[k];
      for (int64_t i = 0; i < part->count; i++)
        CO_RETURN_IF_FAILED(
            take_key(j, scan, &part->places[i], column, co_block_cell(&block, part, i, column)));
    }
  }
  return CO_OK;
}

static co_status no_column(const co_rows *rows, const char *name, const char *table) {
  return co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                    "there is no column '%.200s', by which table '%.200s' is joined", name, table);
}

// Of the model's columns those of one table: that there are some, or their planning.
static co_status find_columns(co_raw_joins *joins, int64_t index, const co_schema *schema,
                              const co_rows *rows) {
  co_raw_join *j = &joins->items[index];
  for (int64_t i = 0; i < schema->column_count; i++) {
    const char *local;
    int64_t join;
    CO_RETURN_IF_FAILED(
        co_recipe_locate(joins->recipe, joins->arena, schema->columns[i].name, &join, &local));
    if (join != index || schema->columns[i].role == CO_ROLE_TARGET) continue;
    j->used = true;
    if (rows)
      CO_RETURN_IF_FAILED(co_raw_columns_add(&j->columns, &schema->columns[i], local, rows));
  }
  return CO_OK;
}

static co_status no_source(const co_raw_join *j) {
  co_status status =
      co_fail(CO_ERR_DATA, "there is no source of table '%.200s', which the model has inputs of",
              j->join.table.table);
  co_hint("--source %s=FILE", j->join.table.table);
  return status;
}

static co_status read_table(co_raw_joins *joins, int64_t index, const co_schema *schema,
                            co_scan *scan) {
  co_raw_join *j = &joins->items[index];
  const co_rows *rows = co_scan_file(scan);
  int64_t key = co_rows_find(rows, j->join.table.joined_by);
  if (key < 0) return no_column(rows, j->join.table.joined_by, j->join.table.table);
  CO_RETURN_IF_FAILED(co_raw_columns_begin(&j->columns, joins->ctx, joins->arena, &j->join.table,
                                           schema->column_count));
  CO_RETURN_IF_FAILED(find_columns(joins, index, schema, rows));
  CO_RETURN_IF_FAILED(co_dictionary_create(&j->keys, joins->ctx));
  return take_keys(j, scan, key);
}

co_status co_raw_joins_read(co_raw_joins *joins, const co_schema *schema, const co_rows *rows) {
  for (int64_t i = 0; i < joins->count; i++) {
    co_raw_join *j = &joins->items[i];
    co_scan *scan;
    CO_RETURN_IF_FAILED(find_columns(joins, i, schema, NULL));
    if (!j->used) continue;
    if (!j->path) return no_source(j);
    if ((j->joined.on = co_rows_find(rows, j->join.on)) < 0)
      return no_column(rows, j->join.on, j->join.table.table);
    CO_RETURN_IF_FAILED(co_scan_open(&scan, joins->ctx, &j->scan));
    co_status status = read_table(joins, i, schema, scan);
    co_scan_close(scan);
    CO_RETURN_IF_FAILED(status);
  }
  return CO_OK;
}

// ---- rows --------------------------------------------------------------------------------------

co_status co_raw_joins_begin_rows(co_raw_joins *joins, int64_t rows) {
  for (int64_t i = 0; i < joins->count; i++) {
    co_raw_join *j = &joins->items[i];
    int64_t on = j->joined.on;
    if (!j->used) continue;
    co_joined_free(&j->joined); // of the part before
    CO_RETURN_IF_FAILED(
        co_joined_begin(&j->joined, joins->ctx, &j->join, &j->scan, &j->keys, rows));
    const co_recipe_column *known = co_recipe_find(joins->recipe, j->join.on);
    j->joined.on = on;
    j->joined.suffix = known ? known->strip_suffix : NULL;
  }
  return CO_OK;
}

co_status co_raw_joins_block(co_raw_joins *joins, const co_scan *scan, const co_scan_block *block) {
  for (int64_t i = 0; i < joins->count; i++)
    if (joins->items[i].used)
      CO_RETURN_IF_FAILED(co_joined_block(&joins->items[i].joined, scan, block));
  return CO_OK;
}

// What a part found, added to what those before it did.
static void count_part(co_raw_join *j) {
  const co_joined *part = &j->joined;
  co_joined *all = &j->found;
  if (!all->ctx) *all = (co_joined){.ctx = part->ctx, .found = {part->found.table, part->found.on}};
  if (!all->found.unknown)
    memcpy(all->first_unknown, part->first_unknown, sizeof all->first_unknown);
  all->found.matched += part->found.matched;
  all->found.unknown += part->found.unknown;
  all->found.missing += part->found.missing;
}

co_status co_raw_joins_write(co_raw_joins *joins, co_dataset_writer *writer, const char *table) {
  for (int64_t i = 0; i < joins->count; i++) {
    co_raw_join *j = &joins->items[i];
    if (!j->used) continue;
    for (int64_t k = 0; k < j->columns.count; k++) // they are the same rows for each part
      j->columns.items[k].missing = j->columns.items[k].unseen = 0;
    CO_RETURN_IF_FAILED(
        co_joined_write(&j->joined, writer, table, j->columns.items, j->columns.count));
    count_part(j);
  }
  return CO_OK;
}

int64_t co_raw_joins_rows(const co_raw_joins *joins) {
  int64_t rows = 0;
  for (int64_t i = 0; i < joins->count; i++)
    rows += joins->items[i].keys.count;
  return rows;
}

void co_raw_joins_tell(const co_raw_joins *joins) {
  for (int64_t i = 0; i < joins->count; i++)
    if (joins->items[i].found.ctx) co_joined_tell(&joins->items[i].found, "predict");
}
