// SPDX-License-Identifier: Apache-2.0
#include "datasets/import_joins.h"

#include <string.h>

#include "datasets/import_columns.h"

co_status co_import_joins_begin(co_import_joins *joins, co_context *ctx, co_arena *arena,
                                const co_recipe *recipe, const char *const *paths,
                                const char *const *shown, const co_scan_options *scan) {
  static const co_reject_rule none = {.on_error = CO_ON_ERROR_FAIL};
  *joins = (co_import_joins){.ctx = ctx, .arena = arena};
  joins->items = co_alloc_zero(ctx, (size_t)recipe->join_count + 1, sizeof *joins->items);
  if (!joins->items) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < recipe->join_count; i++) {
    co_import_join *j = &joins->items[joins->count++];
    *j = (co_import_join){.given = &recipe->joins[i],
                          .path = paths[i],
                          .shown = shown ? shown[i] : paths[i],
                          .scan = *scan};
    co_rejects_init(&j->rejects, ctx, &none);
    j->scan.paths = &j->path;
    j->scan.shown = &j->shown;
    j->scan.path_count = 1;
    j->scan.rows = j->given->table.rows;
    j->scan.skip_lines = NULL;
    j->scan.rejects = &j->rejects;
  }
  return CO_OK;
}

void co_import_joins_free(co_import_joins *joins) {
  for (int64_t i = 0; i < joins->count; i++) {
    co_import_join *j = &joins->items[i];
    co_joined_free(&j->joined);
    co_joined_free(&j->link);
    co_dictionary_free(&j->several);
    co_survey_free(&j->survey);
    co_rejects_free(&j->rejects);
  }
  if (joins->ctx) co_free(joins->ctx, joins->items);
  *joins = (co_import_joins){0};
}

// ---- columns -----------------------------------------------------------------------------------

static co_status no_inputs(const co_import_join *j) {
  co_status status =
      co_fail_at(CO_ERR_DATA, j->shown, 0, 0,
                 "no column of joined table '%.200s' is left as an input", j->given->table.table);
  co_hint("do not join it, or name inputs in a schema file");
  return status;
}

static co_status survey(co_import_joins *joins, co_import_join *j, co_recipe_join *found,
                        bool leads_on) {
  bool inputs = false;
  CO_RETURN_IF_FAILED(
      co_survey_run(&j->survey, joins->ctx, joins->arena, &j->scan, &j->given->table, NULL, NULL));
  memcpy(j->digest, j->survey.digest, sizeof j->digest);
  *found = *j->given;
  CO_RETURN_IF_FAILED(co_import_describe(&found->table, &j->survey));
  for (int64_t i = 0; i < j->survey.column_count; i++)
    inputs |= j->survey.columns[i].recipe.role == CO_RECIPE_INPUT;
  return inputs || leads_on ? CO_OK : no_inputs(j);
}

co_status co_import_joins_survey(co_import_joins *joins, co_recipe *found, bool placeless) {
  co_recipe_join *made = co_arena_alloc(joins->arena, (size_t)joins->count + 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < joins->count; i++)
    made[i] = found->joins[i];
  found->joins = made;
  for (int64_t i = 0; i < joins->count; i++) {
    CO_RETURN_IF_FAILED(
        survey(joins, &joins->items[i], &found->joins[i], co_recipe_leads_on(found, i)));
    found->joins[i].table.file = placeless ? NULL : joins->items[i].path;
  }
  return CO_OK;
}

static int64_t column_of(const co_survey *survey, const char *name) {
  int64_t column = 0; // it was found when the table was surveyed
  while (strcmp(survey->columns[column].name, name) != 0)
    column++;
  return column;
}

static co_status read_keys(co_import_joins *joins, co_import_join *j) {
  co_scan *scan;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, joins->ctx, &j->survey.scan));
  co_status status = co_joined_keys(&j->several, joins->ctx, &j->given->table, scan);
  co_scan_close(scan);
  return status;
}

// The finding of rows for those of `other`.
static co_status begin_finding(co_import_joins *joins, co_import_join *j, co_joined *joined,
                               const co_survey *other) {
  const co_recipe *table = &j->given->table;
  const co_dictionary *keys = &j->several;
  if (table->key_count > 1)
    CO_RETURN_IF_FAILED(read_keys(joins, j));
  else
    keys = &j->survey.columns[column_of(&j->survey, table->key[0])].words;
  CO_RETURN_IF_FAILED(
      co_joined_begin(joined, joins->ctx, j->given, &j->survey.scan, keys, other->rows));
  for (int64_t i = 0; i < table->key_count; i++) {
    joined->on[i].column = column_of(other, j->given->on[i]);
    joined->on[i].suffix = other->columns[joined->on[i].column].suffix;
  }
  return CO_OK;
}

static co_status plan(co_import_joins *joins, int64_t index, const co_recipe *found,
                      const co_survey *table) {
  co_import_join *j = &joins->items[index];
  j->columns = co_arena_alloc(joins->arena, (size_t)j->survey.column_count, sizeof *j->columns);
  if (!j->columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < j->survey.column_count; i++) {
    const co_column_survey *c = &j->survey.columns[i];
    if (c->recipe.role != CO_RECIPE_INPUT) continue;
    const char *name = co_recipe_joined_name(found, joins->arena, index, c->name);
    if (!name) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_import_plan_column(&j->columns[j->column_count++], &j->survey, i, name));
  }
  if (j->given->to < 0) return begin_finding(joins, j, &j->joined, table);
  const co_survey *parent = &joins->items[j->given->to].survey;
  CO_RETURN_IF_FAILED(begin_finding(joins, j, &j->link, parent));
  return co_joined_find(&j->link, &parent->scan);
}

co_status co_import_joins_plan(co_import_joins *joins, const co_recipe *found,
                               const co_survey *table) {
  for (int64_t i = 0; i < joins->count; i++)
    CO_RETURN_IF_FAILED(plan(joins, i, found, table));
  return CO_OK;
}

// ---- rows --------------------------------------------------------------------------------------

co_status co_import_joins_block(co_import_joins *joins, const co_scan *scan,
                                const co_scan_block *block) {
  for (int64_t i = 0; i < joins->count; i++)
    if (joins->items[i].given->to < 0)
      CO_RETURN_IF_FAILED(co_joined_block(&joins->items[i].joined, scan, block));
  return CO_OK;
}

// Its key, its inputs, and the keys of tables that are joined to it.
static co_status list_carried(co_import_joins *joins, int64_t index, int64_t **out,
                              int64_t *count) {
  co_import_join *j = &joins->items[index];
  bool *taken = co_arena_alloc(joins->arena, (size_t)j->survey.column_count, sizeof *taken);
  *out = co_arena_alloc(joins->arena, (size_t)j->survey.column_count, sizeof **out);
  if (!taken || !*out) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < j->given->table.key_count; i++)
    taken[column_of(&j->survey, j->given->table.key[i])] = true;
  for (int64_t i = 0; i < j->column_count; i++)
    taken[j->columns[i].field] = true;
  for (int64_t k = index + 1; k < joins->count; k++)
    for (int64_t i = 0; i < joins->items[k].given->table.key_count; i++)
      if (joins->items[k].given->to == index)
        taken[column_of(&j->survey, joins->items[k].given->on[i])] = true;
  for (int64_t i = 0; i < j->survey.column_count; i++)
    if (taken[i]) (*out)[(*count)++] = i;
  return CO_OK;
}

static co_status has_images(const co_import_join *j, const co_column *column) {
  co_status status =
      co_fail(CO_ERR_DATA, "table '%.200s' has images, '%.200s': it cannot travel in models",
              j->given->table.table, column->name);
  co_hint("leave it out of --carry, and give the table by --source when scoring");
  return status;
}

static co_status carry(co_import_joins *joins, int64_t index, co_dataset_writer *writer) {
  const co_import_join *j = &joins->items[index];
  int64_t *columns, count = 0;
  for (int64_t i = 0; i < j->column_count; i++)
    if (j->columns[i].column.type == CO_COLUMN_IMAGE) return has_images(j, &j->columns[i].column);
  CO_RETURN_IF_FAILED(list_carried(joins, index, &columns, &count));
  co_text text;
  co_text_init(&text, joins->ctx);
  co_status status = co_joined_print(&j->joined, &text, columns, count);
  if (status == CO_OK && text.length > CO_JOINED_MOST_CARRIED) {
    status = co_fail_at(CO_ERR_DATA, j->shown, 0, 0,
                        "table '%.200s' has %zu MiB of keys and inputs; a model takes %d along",
                        j->given->table.table, text.length >> 20, CO_JOINED_MOST_CARRIED >> 20);
    co_hint("leave carry out, and give the table by --source when scoring");
  }
  if (status == CO_OK) status = co_dataset_writer_carried(writer, j->given->table.table, text.data);
  co_text_free(&text);
  return status;
}

co_status co_import_joins_write(co_import_joins *joins, co_dataset_writer *writer,
                                const char *table, co_join_count **out) {
  co_join_count *counts = co_arena_alloc(joins->arena, (size_t)joins->count + 1, sizeof *counts);
  if (!counts) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < joins->count; i++) {
    co_import_join *j = &joins->items[i];
    j->survey.scan.stage = "write";
    if (j->given->to >= 0)
      CO_RETURN_IF_FAILED(
          co_joined_follow(&j->joined, &j->link, &joins->items[j->given->to].joined));
    if (j->column_count) // else it but leads on to another
      CO_RETURN_IF_FAILED(co_joined_write(&j->joined, writer, table, j->columns, j->column_count));
    co_joined_tell(&j->joined, "import");
    counts[i] = j->joined.found;
    if (j->given->table.carry) CO_RETURN_IF_FAILED(carry(joins, i, writer));
  }
  *out = counts;
  return CO_OK;
}
