// SPDX-License-Identifier: Apache-2.0
// How samples reach the tables of a data set: their entity by its row, joined entities by a pointer
// that stands there or in /samples, events by a range.
#include "datasets/dataset_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "datasets/format.h"

static bool relational(const co_dataset *d) {
  return d->version >= CO_DATASET_VERSION_RELATIONAL;
}

// ---- tables ------------------------------------------------------------------------------------

static co_status grow_tables(co_dataset *d) {
  if (d->schema.table_count < d->table_capacity) return CO_OK;
  int64_t capacity = d->table_capacity ? 2 * d->table_capacity : 4;
  co_table *tables = co_realloc(d->ctx, d->tables, (size_t)capacity * sizeof *tables);
  if (!tables) return CO_ERR_MEMORY;
  d->schema.tables = d->tables = tables;
  dataset_table *reach = co_realloc(d->ctx, d->reach, (size_t)capacity * sizeof *reach);
  if (!reach) return CO_ERR_MEMORY;
  d->reach = reach;
  d->table_capacity = capacity;
  return CO_OK;
}

co_status co_dataset_add_table(co_dataset *d, co_table_kind kind, const char *name) {
  static const char *const groups[] = {"", "/entities/", "/events/"};
  CO_RETURN_IF_FAILED(grow_tables(d));
  char *path = co_arena_format(d->arena, "%s%s", groups[kind], name);
  if (!path) return CO_ERR_MEMORY;
  if (kind != CO_TABLE_SAMPLES && !co_dataset_name_ok(name))
    return co_dataset_bad(d, path, "a table has an unusable name");
  if (co_schema_table(&d->schema, name))
    return co_dataset_bad(d, path, "another table has this name");
  d->tables[d->schema.table_count] = (co_table){.name = name, .kind = kind, .rows = -1};
  d->reach[d->schema.table_count] = (dataset_table){.path = path};
  d->schema.table_count++;
  return CO_OK;
}

co_status co_dataset_find_entities(co_dataset *d) {
  char **names;
  int64_t count;
  if (!co_h5_exists(d->h5, "/entities"))
    return co_dataset_bad(d, "/", "group 'entities' is missing");
  CO_RETURN_IF_FAILED(co_h5_list(d->h5, "/entities", d->arena, &names, &count));
  if (co_h5_exists(d->h5, "/samples") && co_h5_has_attribute(d->h5, "/samples", "entity")) {
    CO_RETURN_IF_FAILED(co_h5_get_string(d->h5, "/samples", "entity", d->arena, &d->entity));
  } else if (count == 1) {
    d->entity = names[0];
  } else {
    return co_dataset_bad(d, "/samples",
                          "attribute 'entity' must say which of %" PRId64 " entities", count);
  }
  d->entities = co_alloc_zero(d->ctx, (size_t)count, sizeof *d->entities);
  if (!d->entities && count) return CO_ERR_MEMORY;
  bool found = false;
  for (int64_t i = 0; i < count; i++) {
    if (!strcmp(names[i], d->entity))
      found = true;
    else
      d->entities[d->entity_count++].name = names[i];
  }
  if (!found || !co_dataset_name_ok(d->entity))
    return co_dataset_bad(d, "/samples", "there is no entity '%.200s'", d->entity);
  CO_RETURN_IF_FAILED(co_dataset_add_table(d, CO_TABLE_ENTITY, d->entity));
  return co_dataset_add_table(d, CO_TABLE_SAMPLES, CO_SAMPLES_TABLE);
}

void co_dataset_warn_unused(co_dataset *d) {
  for (int64_t i = 0; i < d->entity_count; i++)
    if (!d->entities[i].path)
      co_log(d->ctx, CO_LOG_WARN, "dataset",
             "'%s': entity '%.200s' is not used: samples are of '%.200s'%s", d->path,
             d->entities[i].name, d->entity,
             relational(d) ? ", and no column there points to it" : "");
  if (!relational(d) && co_h5_exists(d->h5, "/events"))
    co_log(d->ctx, CO_LOG_WARN, "dataset", "'%s': events are not used in format version %d",
           d->path, CO_DATASET_VERSION);
}

// "T.begin" or "T.end" of an event table there is.
static bool is_range(co_dataset *d, const char *name) {
  char path[CO_DATASET_BASE_MAX];
  const char *dot = strrchr(name, '.');
  if (!relational(d) || !dot || dot == name || (strcmp(dot, ".begin") && strcmp(dot, ".end")))
    return false;
  snprintf(path, sizeof path, "/events/%.*s", (int)(dot - name), name);
  return co_h5_exists(d->h5, path);
}

bool co_dataset_is_reserved(co_dataset *d, int64_t table, const char *name) {
  if (table == DATASET_SAMPLES)
    return !strcmp(name, "entity_row") || !strcmp(name, "as_of") || !strcmp(name, "split") ||
           is_range(d, name);
  return d->tables[table].kind == CO_TABLE_EVENTS && !strcmp(name, "offsets");
}

// ---- joined tables -----------------------------------------------------------------------------

static co_status check_pointer(co_dataset *d, int64_t table, const char *path,
                               const dataset_entity *entity, const char *target) {
  if (table > DATASET_SAMPLES) {
    co_status status = co_dataset_bad(d, path, "a column with 'rows_of' cannot stand here");
    co_hint("pointers stand in entity '%s' or in /samples", d->entity);
    return status;
  }
  if (!entity && !strcmp(target, d->entity))
    return co_dataset_bad(d, path, "'rows_of' is the samples' own entity '%.200s'", target);
  if (!entity) return co_dataset_bad(d, path, "'rows_of': there is no entity '%.200s'", target);
  if (entity->path)
    return co_dataset_bad(d, path, "'%s' points to entity '%.200s' as well", entity->path, target);
  return CO_OK;
}

co_status co_dataset_add_pointer(co_dataset *d, int64_t table, const char *path, bool *is_pointer) {
  char *target;
  dataset_entity *entity = NULL;
  *is_pointer = relational(d) && co_h5_has_attribute(d->h5, path, "rows_of");
  if (!*is_pointer) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_string(d->h5, path, "rows_of", d->arena, &target));
  for (int64_t i = 0; i < d->entity_count && !entity; i++)
    if (!strcmp(d->entities[i].name, target)) entity = &d->entities[i];
  CO_RETURN_IF_FAILED(check_pointer(d, table, path, entity, target));
  CO_RETURN_IF_FAILED(
      co_dataset_read_integers(d, path, "in its table", &d->tables[table].rows, &entity->rows));
  entity->of_samples = table == DATASET_SAMPLES;
  entity->path = co_arena_strdup(d->arena, path);
  return entity->path ? CO_OK : CO_ERR_MEMORY;
}

static co_status join(co_dataset *d, dataset_entity *entity) {
  int64_t table = d->schema.table_count;
  CO_RETURN_IF_FAILED(co_dataset_add_table(d, CO_TABLE_ENTITY, entity->name));
  CO_RETURN_IF_FAILED(co_dataset_add_columns(d, table));
  int64_t rows = d->tables[table].rows;
  if (rows < 0) return co_dataset_bad(d, d->reach[table].path, "there are no columns");
  int64_t count = d->tables[entity->of_samples ? DATASET_SAMPLES : DATASET_ENTITY].rows;
  for (int64_t i = 0; i < count; i++)
    if (entity->rows[i] < 0 || entity->rows[i] >= rows)
      return co_dataset_bad(d, entity->path,
                            "row %" PRId64 " holds %" PRId64 ", but entity '%.200s' has %" PRId64
                            " rows",
                            i, entity->rows[i], entity->name, rows);
  const int64_t *entity_row = d->reach[DATASET_ENTITY].index;
  if (entity->of_samples || !entity_row) {
    d->reach[table].index = entity->rows;
    entity->rows = NULL;
    return CO_OK;
  }
  int64_t *index = d->reach[table].index = co_alloc_zero(d->ctx, (size_t)d->rows, sizeof *index);
  if (!index) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < d->rows; i++)
    index[i] = entity->rows[entity_row[i]];
  return CO_OK;
}

co_status co_dataset_join(co_dataset *d) {
  for (int64_t i = 0; i < d->entity_count; i++)
    if (d->entities[i].path) CO_RETURN_IF_FAILED(join(d, &d->entities[i]));
  return CO_OK;
}

// ---- events ------------------------------------------------------------------------------------

// Reads what must be there.
static co_status read_required(co_dataset *d, const char *path, int64_t *rows, int64_t **out) {
  CO_RETURN_IF_FAILED(co_dataset_read_integers(d, path, "samples", rows, out));
  return *out ? CO_OK : co_dataset_bad(d, path, "is missing");
}

static co_status check_offsets(co_dataset *d, const char *path, const int64_t *offsets,
                               int64_t count, const co_table *entity, int64_t rows) {
  int64_t entity_rows = entity->rows;
  if (count != entity_rows + 1)
    return co_dataset_bad(d, path,
                          "has %" PRId64 " rows, not %" PRId64
                          ": one for each row of entity '%.200s' and one more",
                          count, entity_rows + 1, entity->name);
  if (offsets[0] != 0) return co_dataset_bad(d, path, "row 0 holds %" PRId64 ", not 0", offsets[0]);
  for (int64_t i = 0; i < entity_rows; i++)
    if (offsets[i + 1] < offsets[i])
      return co_dataset_bad(d, path, "row %" PRId64 " holds %" PRId64 ", less than the one before",
                            i + 1, offsets[i + 1]);
  if (offsets[entity_rows] != rows)
    return co_dataset_bad(d, path, "ends at %" PRId64 ", but there are %" PRId64 " events",
                          offsets[entity_rows], rows);
  return CO_OK;
}

// Every sample's range must lie within that of its entity's row.
static co_status check_ranges(co_dataset *d, int64_t table, const int64_t *offsets,
                              const int64_t *index) {
  const dataset_table *reach = &d->reach[table];
  for (int64_t i = 0; i < d->rows; i++) {
    int64_t row = index ? index[i] : i;
    if (reach->begin[i] <= reach->end[i] && reach->begin[i] >= offsets[row] &&
        reach->end[i] <= offsets[row + 1])
      continue;
    char *path = co_arena_format(d->arena, "/samples/%s.begin", d->tables[table].name);
    if (!path) return CO_ERR_MEMORY;
    return co_dataset_bad(d, path,
                          "row %" PRId64 " and its end give the events %" PRId64 " to %" PRId64
                          ", but those of row %" PRId64 " of entity '%.200s' are %" PRId64
                          " to %" PRId64 " (ends excluded)",
                          i, reach->begin[i], reach->end[i], row, d->tables[table].entity,
                          offsets[row], offsets[row + 1]);
  }
  return CO_OK;
}

// The column with the events' times: ascending for each entity, and before each sample's cut-off.
static co_status check_times(co_dataset *d, int64_t table, const int64_t *offsets) {
  const dataset_table *reach = &d->reach[table];
  co_numbers times;
  int64_t entity = 0, column = 0, count = d->schema.column_count;
  while (column < count && d->columns[column].name != d->tables[table].time)
    column++;
  CO_RETURN_IF_FAILED(co_dataset_numbers(d, d->columns[column].name, &times));
  const char *path = d->parts[column].path;
  for (int64_t i = 0; i < times.rows; i++) {
    while (i >= offsets[entity + 1])
      entity++;
    double now = co_numbers_at(&times, i);
    if (isnan(now)) return co_dataset_bad(d, path, "row %" PRId64 ": a time is missing", i);
    if (i > offsets[entity] && now < co_numbers_at(&times, i - 1))
      return co_dataset_bad(d, path,
                            "row %" PRId64 " holds %.17g, before the event in front of it; events "
                            "must be sorted by entity and time",
                            i, now);
  }
  for (int64_t i = 0; d->as_of && i < d->rows; i++) {
    if (reach->begin[i] == reach->end[i]) continue;
    double last = co_numbers_at(&times, reach->end[i] - 1);
    if (last < (double)d->as_of[i]) continue;
    return co_dataset_bad(d, path,
                          "row %" PRId64 " holds %.17g, but sample %" PRId64
                          ", which sees it, has its cut-off at %" PRId64
                          " and may see earlier events only",
                          reach->end[i] - 1, last, i, d->as_of[i]);
  }
  return CO_OK;
}

// Which column of the table has the times, if one is named.
static co_status find_time(co_dataset *d, int64_t table, int64_t first_column) {
  char *name, path[CO_DATASET_PATH_MAX];
  const char *group = d->reach[table].path;
  if (!co_h5_has_attribute(d->h5, group, "time")) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_string(d->h5, group, "time", d->arena, &name));
  snprintf(path, sizeof path, "%s/%.200s", group, name);
  for (int64_t i = first_column; i < d->schema.column_count; i++)
    if (!strcmp(d->parts[i].path, path) && d->columns[i].type == CO_COLUMN_NUMBER)
      d->tables[table].time = d->columns[i].name;
  if (!d->tables[table].time)
    return co_dataset_bad(d, group, "attribute 'time': there is no number column '%.200s'", name);
  return CO_OK;
}

static co_status read_events(co_dataset *d, int64_t table, const co_table *entity,
                             const int64_t *index) {
  co_status status = CO_OK;
  char path[CO_DATASET_PATH_MAX];
  const char *group = d->reach[table].path, *name = d->tables[table].name;
  int64_t *offsets = NULL, count = -1, first = d->schema.column_count;
  CO_TRY(co_dataset_add_columns(d, table));
  if (d->tables[table].rows < 0) {
    status = co_dataset_bad(d, group, "there are no columns");
    goto cleanup;
  }
  snprintf(path, sizeof path, "%s/offsets", group);
  CO_TRY(read_required(d, path, &count, &offsets));
  CO_TRY(check_offsets(d, path, offsets, count, entity, d->tables[table].rows));
  snprintf(path, sizeof path, "/samples/%s.begin", name);
  CO_TRY(read_required(d, path, &d->rows, &d->reach[table].begin));
  snprintf(path, sizeof path, "/samples/%s.end", name);
  CO_TRY(read_required(d, path, &d->rows, &d->reach[table].end));
  CO_TRY(check_ranges(d, table, offsets, index));
  CO_TRY(find_time(d, table, first));
  if (d->tables[table].time) CO_TRY(check_times(d, table, offsets));
  co_dataset_hash_text(d, name);
  co_dataset_hash_array(d, "offsets", offsets, count);

cleanup:
  co_free(d->ctx, offsets);
  return status;
}

static co_status add_events(co_dataset *d, const char *name) {
  char *entity, path[CO_DATASET_BASE_MAX];
  if (!co_dataset_name_ok(name))
    return co_dataset_bad(d, "/events", "a table has an unusable name");
  snprintf(path, sizeof path, "/events/%s", name);
  if (!co_h5_has_attribute(d->h5, path, "entity"))
    return co_dataset_bad(d, path, "attribute 'entity' must say whose events these are");
  CO_RETURN_IF_FAILED(co_h5_get_string(d->h5, path, "entity", d->arena, &entity));
  const co_table *owner = co_schema_table(&d->schema, entity);
  if (!owner || owner->kind != CO_TABLE_ENTITY) {
    co_log(d->ctx, CO_LOG_WARN, "dataset",
           "'%s': events '%.200s' are not used: they are of '%.200s', which no sample reaches",
           d->path, name, entity);
    return CO_OK;
  }
  co_table copy = *owner; // adding a table moves the others
  const int64_t *index = d->reach[owner - d->tables].index;
  int64_t table = d->schema.table_count;
  CO_RETURN_IF_FAILED(co_dataset_add_table(d, CO_TABLE_EVENTS, name));
  d->tables[table].entity = copy.name;
  return read_events(d, table, &copy, index);
}

co_status co_dataset_add_events(co_dataset *d) {
  char **names;
  int64_t count;
  if (!relational(d) || !co_h5_exists(d->h5, "/events")) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_list(d->h5, "/events", d->arena, &names, &count));
  for (int64_t i = 0; i < count; i++)
    CO_RETURN_IF_FAILED(add_events(d, names[i]));
  return CO_OK;
}

void co_dataset_hash_tables(co_dataset *d) {
  for (int64_t i = DATASET_SAMPLES + 1; i < d->schema.table_count; i++) {
    const co_table *table = &d->tables[i];
    co_dataset_hash_text(d, co_table_kind_name(table->kind));
    co_dataset_hash_text(d, table->name);
    co_dataset_hash_text(d, table->entity ? table->entity : "");
    co_dataset_hash_text(d, table->time ? table->time : "");
    co_dataset_hash_array(d, "index", d->reach[i].index, d->rows);
    co_dataset_hash_array(d, "begin", d->reach[i].begin, d->rows);
    co_dataset_hash_array(d, "end", d->reach[i].end, d->rows);
  }
}
