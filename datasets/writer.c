// SPDX-License-Identifier: Apache-2.0
#include "datasets/writer.h"

#include <stdio.h>
#include <string.h>

#include "datasets/dataset.h"
#include "datasets/format.h"
#include "host/core/file.h"
#include "host/core/h5.h"
#include "host/core/hash.h"
#include "host/core/temporary.h"
#include "host/core/utf8.h"

enum { MAX_EVENT_TABLES = 64 };

// A column being filled.
typedef struct filled_column {
  char *path;
  size_t row_bytes;
  int64_t rows, written;
  uint32_t crc;
  bool texts;
} filled_column;

struct co_dataset_writer {
  co_context *ctx;
  co_atomic_file file;
  co_h5 *h5;
  filled_column column; // the one declared last; path NULL = none
  filled_column *open;  // those filled side by side
  int64_t open_count, open_capacity;
  co_arena *arena;
  const char *events[MAX_EVENT_TABLES]; // names of tables that are events
  int event_count;
  bool relational;        // holds what version 1 does not know
  co_dataset **read_back; // where it goes, open; NULL = nobody wants it
};

co_status co_dataset_writer_create(co_dataset_writer **out, co_context *ctx, const char *path) {
  co_status status = CO_OK;
  *out = NULL;
  co_dataset_writer *w = co_alloc_zero(ctx, 1, sizeof *w);
  if (!w) return CO_ERR_MEMORY;
  w->ctx = ctx;
  CO_TRY(co_arena_create(&w->arena, ctx));
  co_remove_stale_temporaries(ctx, path);
  CO_TRY(co_atomic_begin(&w->file, ctx, path));
  CO_TRY(co_h5_create_checked(&w->h5, ctx, w->file.temporary, CO_DATASET_KIND,
                              CO_DATASET_LAZY_COLUMNS));
  CO_TRY(co_h5_set_string(w->h5, "/", "format", CO_DATASET_FORMAT));
  CO_TRY(co_h5_set_int(w->h5, "/", "version", CO_DATASET_VERSION));
  *out = w;
  return CO_OK;

cleanup:
  co_dataset_writer_free(w);
  return status;
}

void co_dataset_writer_free(co_dataset_writer *w) {
  if (!w) return;
  co_h5_abandon(w->h5);
  co_atomic_abort(&w->file);
  co_free(w->ctx, w->open);
  co_arena_free(w->arena);
  co_free(w->ctx, w);
}

// The checksum of a column written row by row is known only when its last row is.
static co_status end_filling(co_dataset_writer *w, const filled_column *c) {
  if (c->written != c->rows)
    return co_fail(CO_ERR_INTERNAL, "'%s': %lld of %lld rows written", c->path,
                   (long long)c->written, (long long)c->rows);
  CO_RETURN_IF_FAILED(co_h5_set_int(w->h5, c->path, "crc32c", c->crc));
  if ((uint64_t)c->rows * c->row_bytes > CO_DATASET_LAZY_BYTES)
    return co_h5_leave_out(w->h5, c->path);
  return CO_OK;
}

static co_status end_column(co_dataset_writer *w) {
  if (!w->column.path) return CO_OK;
  CO_RETURN_IF_FAILED(end_filling(w, &w->column));
  w->column.path = NULL;
  return CO_OK;
}

static bool is_events(const co_dataset_writer *w, const char *table) {
  for (int i = 0; i < w->event_count; i++)
    if (!strcmp(w->events[i], table)) return true;
  return false;
}

static co_status column_path(const co_dataset_writer *w, char out[CO_DATASET_BASE_MAX],
                             const char *table, const char *name) {
  if (!co_dataset_name_ok(name) || (table && !co_dataset_name_ok(table)))
    return co_fail(CO_ERR_DATA, "'%s' cannot be the name of a column", name);
  if (table)
    snprintf(out, CO_DATASET_BASE_MAX, "/%s/%s/%s", is_events(w, table) ? "events" : "entities",
             table, name);
  else
    snprintf(out, CO_DATASET_BASE_MAX, "/samples/%s", name);
  return CO_OK;
}

static co_status check_texts(const char *path, const char *const *text, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    int64_t bad = co_utf8_find_bad(text[i]);
    if (bad >= 0)
      return co_fail(CO_ERR_DATA, "'%s' is not UTF-8 in row %lld, byte %lld (0x%02X)", path,
                     (long long)i, (long long)bad, (unsigned char)text[i][bad]);
  }
  return CO_OK;
}

static co_status describe(co_dataset_writer *w, const char *path, co_column_type type,
                          co_role role) {
  CO_RETURN_IF_FAILED(co_h5_set_string(w->h5, path, "type", co_column_type_name(type)));
  return co_h5_set_string(w->h5, path, "role", co_role_name(role));
}

static co_status describe_label(co_dataset_writer *w, const char *path, const co_label *label) {
  if (!label->kind) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_set_string(w->h5, path, "label", co_label_kind_name(label->kind)));
  CO_RETURN_IF_FAILED(co_h5_set_int(w->h5, path, "gap", label->gap));
  return co_h5_set_int(w->h5, path, "window", label->window);
}

// The texts of 0 and 1, if there are any.
static co_status describe_classes(co_dataset_writer *w, const char *path, const co_column *column) {
  w->relational = true;
  if (!column->category_count) return CO_OK;
  CO_RETURN_IF_FAILED(check_texts(path, column->categories, column->category_count));
  return co_h5_set_strings(w->h5, path, "classes", column->categories, column->category_count);
}

static co_status declare(co_dataset_writer *w, const char *table, const co_column *column,
                         int64_t rows, filled_column *out) {
  char path[CO_DATASET_BASE_MAX];
  const char *values = path;
  CO_RETURN_IF_FAILED(column_path(w, path, table, column->name));
  co_shape shape = {.rank = column->shape.rank + 1, .dim = {rows}};
  if (shape.rank > CO_MAX_RANK)
    return co_fail(CO_ERR_INTERNAL, "'%s': too many dimensions", column->name);
  memcpy(shape.dim + 1, column->shape.dim, (size_t)column->shape.rank * sizeof *shape.dim);

  char part[CO_DATASET_PATH_MAX];
  if (column->type == CO_COLUMN_CATEGORY) {
    CO_RETURN_IF_FAILED(co_h5_make_group(w->h5, path));
    CO_RETURN_IF_FAILED(describe(w, path, column->type, column->role));
    snprintf(part, sizeof part, "%s/categories", path);
    CO_RETURN_IF_FAILED(check_texts(part, column->categories, column->category_count));
    CO_RETURN_IF_FAILED(
        co_h5_write_strings(w->h5, part, column->categories, column->category_count));
    snprintf(part, sizeof part, "%s/codes", path);
    CO_RETURN_IF_FAILED(co_h5_create_dataset(w->h5, part, column->dtype, &shape, NULL));
    values = part;
  } else {
    CO_RETURN_IF_FAILED(co_h5_create_dataset(w->h5, path, column->dtype, &shape, NULL));
    CO_RETURN_IF_FAILED(describe(w, path, column->type, column->role));
    if (column->type == CO_COLUMN_BINARY) CO_RETURN_IF_FAILED(describe_classes(w, path, column));
    CO_RETURN_IF_FAILED(describe_label(w, path, &column->label));
    w->relational |= column->type == CO_COLUMN_DATE;
  }
  *out = (filled_column){.path = co_arena_strdup(w->arena, values),
                         .row_bytes =
                             co_dtype_size(column->dtype) * (size_t)co_shape_count(&column->shape),
                         .rows = rows};
  return out->path ? CO_OK : CO_ERR_MEMORY;
}

static co_status fill(co_dataset_writer *w, filled_column *c, int64_t count, const void *data) {
  if (!c->path || count > c->rows - c->written)
    return co_fail(CO_ERR_INTERNAL, "dataset writer: more rows than declared");
  CO_RETURN_IF_FAILED(co_h5_write_rows(w->h5, c->path, c->written, count, data));
  c->crc = co_crc32c(c->crc, data, (size_t)count * c->row_bytes);
  c->written += count;
  return CO_OK;
}

co_status co_dataset_writer_column(co_dataset_writer *w, const char *table, const co_column *column,
                                   int64_t rows) {
  CO_RETURN_IF_FAILED(end_column(w));
  return declare(w, table, column, rows, &w->column);
}

co_status co_dataset_writer_rows(co_dataset_writer *w, int64_t count, const void *data) {
  return fill(w, &w->column, count, data);
}

co_status co_dataset_writer_open_column(co_dataset_writer *w, const char *table,
                                        const co_column *column, int64_t rows, int64_t *id) {
  CO_RETURN_IF_FAILED(
      co_grow(w->ctx, (void **)&w->open, &w->open_capacity, w->open_count, sizeof *w->open));
  CO_RETURN_IF_FAILED(declare(w, table, column, rows, &w->open[w->open_count]));
  *id = w->open_count++;
  return CO_OK;
}

co_status co_dataset_writer_append(co_dataset_writer *w, int64_t id, int64_t count,
                                   const void *data) {
  return fill(w, &w->open[id], count, data);
}

co_status co_dataset_writer_open_texts(co_dataset_writer *w, const char *table, const char *name,
                                       co_role role, int64_t rows, int64_t *id) {
  char path[CO_DATASET_BASE_MAX];
  CO_RETURN_IF_FAILED(
      co_grow(w->ctx, (void **)&w->open, &w->open_capacity, w->open_count, sizeof *w->open));
  CO_RETURN_IF_FAILED(column_path(w, path, table, name));
  CO_RETURN_IF_FAILED(co_h5_create_strings(w->h5, path, rows));
  CO_RETURN_IF_FAILED(describe(w, path, CO_COLUMN_TEXT, role));
  w->relational |= role != CO_ROLE_KEY;
  filled_column *c = &w->open[w->open_count];
  *c = (filled_column){.path = co_arena_strdup(w->arena, path), .rows = rows, .texts = true};
  *id = w->open_count++;
  return c->path ? CO_OK : CO_ERR_MEMORY;
}

co_status co_dataset_writer_append_texts(co_dataset_writer *w, int64_t id, int64_t count,
                                         const char *const *text) {
  filled_column *c = &w->open[id];
  if (!c->texts || count > c->rows - c->written)
    return co_fail(CO_ERR_INTERNAL, "dataset writer: more rows than declared");
  CO_RETURN_IF_FAILED(check_texts(c->path, text, count));
  CO_RETURN_IF_FAILED(co_h5_write_string_rows(w->h5, c->path, c->written, count, text));
  for (int64_t i = 0; i < count; i++)
    c->crc = co_crc32c(c->crc, text[i], strlen(text[i]) + 1);
  c->written += count;
  return CO_OK;
}

co_status co_dataset_writer_texts(co_dataset_writer *w, const char *table, const char *name,
                                  co_role role, const char *const *text, int64_t rows) {
  char path[CO_DATASET_BASE_MAX];
  CO_RETURN_IF_FAILED(end_column(w));
  CO_RETURN_IF_FAILED(column_path(w, path, table, name));
  for (int64_t i = 0; role == CO_ROLE_KEY && i < rows; i++)
    if (strlen(text[i]) > CO_DATASET_KEY_MAX)
      return co_fail(CO_ERR_DATA, "'%s': row %lld has a key of %zu bytes; at most %d are allowed",
                     name, (long long)i, strlen(text[i]), (int)CO_DATASET_KEY_MAX);
  CO_RETURN_IF_FAILED(check_texts(path, text, rows));
  CO_RETURN_IF_FAILED(co_h5_write_strings(w->h5, path, text, rows));
  CO_RETURN_IF_FAILED(co_h5_set_int(w->h5, path, "crc32c", co_dataset_text_checksum(text, rows)));
  return describe(w, path, CO_COLUMN_TEXT, role);
}

co_status co_dataset_writer_open_pictures(co_dataset_writer *w, const char *table, const char *name,
                                          const co_shape *picture, int64_t classes, int64_t *id) {
  char group[CO_DATASET_BASE_MAX], path[CO_DATASET_PATH_MAX];
  const co_shape shape = {4, {classes, picture->dim[0], picture->dim[1], picture->dim[2]}};
  CO_RETURN_IF_FAILED(column_path(w, group, table, name));
  snprintf(path, sizeof path, "%s/pictures", group);
  CO_RETURN_IF_FAILED(
      co_grow(w->ctx, (void **)&w->open, &w->open_capacity, w->open_count, sizeof *w->open));
  CO_RETURN_IF_FAILED(co_h5_create_dataset(w->h5, path, CO_U8, &shape, NULL));
  filled_column *c = &w->open[w->open_count];
  *c = (filled_column){.path = co_arena_strdup(w->arena, path),
                       .row_bytes = (size_t)co_shape_count(picture),
                       .rows = classes};
  w->relational = true;
  *id = w->open_count++;
  return c->path ? CO_OK : CO_ERR_MEMORY;
}

co_status co_dataset_writer_descriptions(co_dataset_writer *w, const char *table, const char *name,
                                         const char *const *text, int64_t classes) {
  char group[CO_DATASET_BASE_MAX], path[CO_DATASET_PATH_MAX];
  CO_RETURN_IF_FAILED(column_path(w, group, table, name));
  snprintf(path, sizeof path, "%s/descriptions", group);
  CO_RETURN_IF_FAILED(check_texts(path, text, classes));
  CO_RETURN_IF_FAILED(co_h5_write_strings(w->h5, path, text, classes));
  w->relational = true;
  return co_h5_set_int(w->h5, path, "crc32c", co_dataset_text_checksum(text, classes));
}

co_status co_dataset_writer_samples(co_dataset_writer *w, const char *entity, int64_t rows,
                                    const int64_t *entity_row, const int64_t *as_of,
                                    const uint8_t *split) {
  co_shape shape = {.rank = 1, .dim = {rows}};
  CO_RETURN_IF_FAILED(end_column(w));
  CO_RETURN_IF_FAILED(co_h5_make_group(w->h5, "/samples"));
  CO_RETURN_IF_FAILED(co_h5_set_string(w->h5, "/samples", "entity", entity));
  if (entity_row)
    CO_RETURN_IF_FAILED(
        co_h5_write(w->h5, "/samples/entity_row", CO_I64, &shape, entity_row, NULL, true));
  if (as_of)
    CO_RETURN_IF_FAILED(co_h5_write(w->h5, "/samples/as_of", CO_I64, &shape, as_of, NULL, true));
  if (split)
    CO_RETURN_IF_FAILED(co_h5_write(w->h5, "/samples/split", CO_U8, &shape, split, NULL, true));
  return CO_OK;
}

static co_status write_integers(co_dataset_writer *w, const char *path, int64_t rows,
                                const int64_t *values) {
  co_shape shape = {.rank = 1, .dim = {rows}};
  return co_h5_write(w->h5, path, CO_I64, &shape, values, NULL, true);
}

co_status co_dataset_writer_pointer(co_dataset_writer *w, const char *entity, const char *name,
                                    const char *target, int64_t rows, const int64_t *target_row) {
  char path[CO_DATASET_BASE_MAX];
  CO_RETURN_IF_FAILED(end_column(w));
  CO_RETURN_IF_FAILED(column_path(w, path, entity, name));
  CO_RETURN_IF_FAILED(write_integers(w, path, rows, target_row));
  w->relational = true;
  return co_h5_set_string(w->h5, path, "rows_of", target);
}

co_status co_dataset_writer_events(co_dataset_writer *w, const char *table, const char *entity,
                                   const char *time, int64_t entity_rows, const int64_t *offsets) {
  char path[CO_DATASET_BASE_MAX], group[CO_DATASET_BASE_MAX];
  CO_RETURN_IF_FAILED(end_column(w));
  if (w->event_count == MAX_EVENT_TABLES)
    return co_fail(CO_ERR_DATA, "more than %d tables of events", MAX_EVENT_TABLES);
  char *name = co_arena_strdup(w->arena, table);
  if (!name) return CO_ERR_MEMORY;
  w->events[w->event_count++] = name;
  w->relational = true;
  CO_RETURN_IF_FAILED(column_path(w, path, table, "offsets"));
  snprintf(group, sizeof group, "/events/%s", table);
  CO_RETURN_IF_FAILED(co_h5_make_group(w->h5, group));
  CO_RETURN_IF_FAILED(co_h5_set_string(w->h5, group, "entity", entity));
  if (time) CO_RETURN_IF_FAILED(co_h5_set_string(w->h5, group, "time", time));
  return write_integers(w, path, entity_rows + 1, offsets);
}

co_status co_dataset_writer_ranges(co_dataset_writer *w, const char *table, int64_t rows,
                                   const int64_t *begin, const int64_t *end) {
  char path[CO_DATASET_PATH_MAX];
  CO_RETURN_IF_FAILED(end_column(w));
  if (!is_events(w, table))
    return co_fail(CO_ERR_INTERNAL, "dataset writer: '%s' is no table of events", table);
  snprintf(path, sizeof path, "/samples/%s.begin", table);
  CO_RETURN_IF_FAILED(write_integers(w, path, rows, begin));
  snprintf(path, sizeof path, "/samples/%s.end", table);
  return write_integers(w, path, rows, end);
}

co_status co_dataset_writer_source(co_dataset_writer *w, const char *name, const char *value) {
  CO_RETURN_IF_FAILED(co_h5_make_group(w->h5, "/source"));
  return co_h5_set_string(w->h5, "/source", name, value);
}

co_status co_dataset_writer_carried(co_dataset_writer *w, const char *table, const char *text) {
  char path[CO_DATASET_PATH_MAX];
  CO_RETURN_IF_FAILED(end_column(w));
  CO_RETURN_IF_FAILED(co_h5_make_group(w->h5, "/source"));
  CO_RETURN_IF_FAILED(co_h5_make_group(w->h5, "/source/carried"));
  snprintf(path, sizeof path, "/source/carried/%s", table);
  return co_h5_write_strings(w->h5, path, &text, 1);
}

// A dataset that this build could not read again must not appear.
static co_status verify(co_dataset_writer *w, char fingerprint[65]) {
  co_dataset *dataset;
  co_status status = co_dataset_open(&dataset, w->ctx, w->file.temporary);
  if (status != CO_OK) return status;
  status = co_dataset_check_all(dataset);
  if (fingerprint) snprintf(fingerprint, 65, "%s", co_dataset_fingerprint(dataset));
  if (status != CO_OK || !w->read_back)
    co_dataset_close(dataset);
  else
    *w->read_back = dataset;
  return status;
}

void co_dataset_writer_hand_out(co_dataset_writer *w, co_dataset **dataset) {
  *dataset = NULL;
  w->read_back = dataset;
}

// Once it is published nothing may fail.
static co_status publish(co_dataset_writer *w) {
  co_dataset *dataset = w->read_back ? *w->read_back : NULL;
  co_status status = dataset ? co_dataset_renamed(dataset, w->file.path) : CO_OK;
  if (status == CO_OK) status = co_atomic_commit(&w->file);
  if (status == CO_OK || !dataset) return status;
  co_dataset_close(dataset);
  *w->read_back = NULL;
  return status;
}

static co_status complete(co_dataset_writer *w) {
  CO_RETURN_IF_FAILED(end_column(w));
  for (int64_t i = 0; i < w->open_count; i++)
    CO_RETURN_IF_FAILED(end_filling(w, &w->open[i]));
  if (w->relational)
    CO_RETURN_IF_FAILED(co_h5_set_int(w->h5, "/", "version", CO_DATASET_VERSION_RELATIONAL));
  co_h5 *h5 = w->h5;
  w->h5 = NULL; // closed in any case
  return co_h5_close(h5);
}

co_status co_dataset_writer_commit(co_dataset_writer *w, char fingerprint[65]) {
  CO_RETURN_IF_FAILED(complete(w));
  CO_RETURN_IF_FAILED(verify(w, fingerprint));
  return publish(w);
}

co_status co_dataset_writer_commit_temporary(co_dataset_writer *w, char fingerprint[65],
                                             co_atomic_file *out) {
  CO_RETURN_IF_FAILED(complete(w));
  if (fingerprint) CO_RETURN_IF_FAILED(verify(w, fingerprint));
  *out = w->file;
  w->file = (co_atomic_file){0};
  return CO_OK;
}
