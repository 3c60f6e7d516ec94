// SPDX-License-Identifier: Apache-2.0
#include "datasets/raw_joins.h"

#include <string.h>

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
    co_joined_free(&joins->items[i].link);
    co_dictionary_free(&joins->items[i].keys);
    co_raw_columns_free(&joins->items[i].columns);
  }
  joins->count = 0;
}

void co_raw_joins_use(co_raw_joins *joins, int64_t index) {
  joins->items[index].used = true;
}

bool co_raw_joins_by(const co_raw_joins *joins, const char *column) {
  for (int64_t i = 0; i < joins->count; i++)
    for (int64_t k = 0; k < joins->items[i].join.table.key_count; k++)
      if (joins->items[i].used && joins->items[i].join.to < 0 &&
          strcmp(joins->items[i].join.on[k], column) == 0)
        return true;
  return false;
}

// ---- keys and columns --------------------------------------------------------------------------

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
  CO_RETURN_IF_FAILED(co_raw_columns_begin(&j->columns, joins->ctx, joins->arena, &j->join.table,
                                           schema->column_count, j->scan.stop));
  CO_RETURN_IF_FAILED(find_columns(joins, index, schema, co_scan_file(scan)));
  return co_joined_keys(&j->keys, joins->ctx, &j->join.table, scan);
}

// Of a table along a chain, the rows for those of the one it is joined to.
static co_status link_table(co_raw_joins *joins, co_raw_join *j, const co_recipe *parent) {
  const co_raw_join *other = &joins->items[j->join.to];
  co_scan *scan;
  CO_RETURN_IF_FAILED(
      co_joined_begin(&j->link, joins->ctx, &j->join, &j->scan, &j->keys, other->keys.count));
  CO_RETURN_IF_FAILED(co_scan_open(&scan, joins->ctx, &other->scan));
  co_status status = co_joined_on(j->link.on, co_scan_file(scan), parent, j->join.on,
                                  j->join.table.key_count, j->join.table.table);
  co_scan_close(scan);
  return status == CO_OK ? co_joined_find(&j->link, &other->scan) : status;
}

// A table is used, too, where one that is joined to it is.
static co_status find_used(co_raw_joins *joins, const co_schema *schema) {
  for (int64_t i = joins->count; i-- > 0;) {
    co_raw_join *j = &joins->items[i];
    CO_RETURN_IF_FAILED(find_columns(joins, i, schema, NULL));
    if (j->used && j->join.to >= 0) joins->items[j->join.to].used = true;
  }
  return CO_OK;
}

co_status co_raw_joins_read(co_raw_joins *joins, const co_schema *schema, const co_rows *rows) {
  CO_RETURN_IF_FAILED(find_used(joins, schema));
  for (int64_t i = 0; i < joins->count; i++) {
    co_raw_join *j = &joins->items[i];
    const co_recipe *parent = co_recipe_parent(joins->recipe, i);
    co_scan *scan;
    if (!j->used) continue;
    if (!j->path) return no_source(j);
    if (j->join.to < 0)
      CO_RETURN_IF_FAILED(co_joined_on(j->on, rows, parent, j->join.on, j->join.table.key_count,
                                       j->join.table.table));
    CO_RETURN_IF_FAILED(co_scan_open(&scan, joins->ctx, &j->scan));
    co_status status = read_table(joins, i, schema, scan);
    co_scan_close(scan);
    CO_RETURN_IF_FAILED(status);
    if (j->join.to >= 0) CO_RETURN_IF_FAILED(link_table(joins, j, parent));
  }
  return CO_OK;
}

// ---- rows --------------------------------------------------------------------------------------

co_status co_raw_joins_begin_rows(co_raw_joins *joins, int64_t rows) {
  for (int64_t i = 0; i < joins->count; i++) {
    co_raw_join *j = &joins->items[i];
    co_joined_free(&j->joined); // of the part before
    if (!j->used || j->join.to >= 0) continue;
    CO_RETURN_IF_FAILED(
        co_joined_begin(&j->joined, joins->ctx, &j->join, &j->scan, &j->keys, rows));
    memcpy(j->joined.on, j->on, sizeof j->on);
  }
  return CO_OK;
}

co_status co_raw_joins_block(co_raw_joins *joins, const co_scan *scan, const co_scan_block *block) {
  for (int64_t i = 0; i < joins->count; i++)
    if (joins->items[i].used && joins->items[i].join.to < 0)
      CO_RETURN_IF_FAILED(co_joined_block(&joins->items[i].joined, scan, block));
  return CO_OK;
}

// What a part found, added to what those before it did.
static void count_part(co_raw_join *j) {
  const co_joined *part = &j->joined;
  co_joined *all = &j->found;
  if (!all->ctx) *all = (co_joined){.ctx = part->ctx, .found = {part->found.table, part->found.on}};
  if (j->join.to >= 0) all->found = (co_join_count){part->found.table, part->found.on, 0, 0, 0, 0};
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
    if (j->join.to >= 0)
      CO_RETURN_IF_FAILED(co_joined_follow(&j->joined, &j->link, &joins->items[j->join.to].joined));
    count_part(j);
    if (!j->columns.count) continue;               // it leads on to another
    for (int64_t k = 0; k < j->columns.count; k++) // they are the same rows for each part
      j->columns.items[k].missing = j->columns.items[k].unseen = 0;
    CO_RETURN_IF_FAILED(
        co_joined_write(&j->joined, writer, table, j->columns.items, j->columns.count));
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
