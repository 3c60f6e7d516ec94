// SPDX-License-Identifier: Apache-2.0
// What an open data set hands out.
#include "datasets/dataset_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "datasets/format.h"
#include "host/core/number.h"
#include "host/core/utf8.h"

co_status co_dataset_bad(const co_dataset *d, const char *object, const char *format, ...) {
  char text[768];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "%s: %s", object, text);
}

// ---- shared with the writer --------------------------------------------------------------------

bool co_dataset_name_ok(const char *name) {
  size_t length = strlen(name);
  if (!length || length > CO_DATASET_NAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
    return false;
  for (const unsigned char *p = (const unsigned char *)name; *p; p++)
    if (*p < 32 || *p == 127 || *p == '/') return false;
  return co_utf8_find_bad(name) < 0;
}

uint32_t co_dataset_text_checksum(const char *const *text, int64_t count) {
  uint32_t crc = 0;
  for (int64_t i = 0; i < count; i++)
    crc = co_crc32c(crc, text[i], strlen(text[i]) + 1);
  return crc;
}

// ---- splits ------------------------------------------------------------------------------------

static const char *const split_names[CO_SPLIT_COUNT] = {
    [CO_SPLIT_TRAIN] = "train", [CO_SPLIT_VALIDATION] = "validation", [CO_SPLIT_TEST] = "test"};

const char *co_split_name(co_split split) {
  return (unsigned)split < CO_SPLIT_COUNT ? split_names[split] : "unknown";
}

int co_split_parse(const char *name) {
  for (int i = 0; i < CO_SPLIT_COUNT; i++)
    if (!strcmp(name, split_names[i])) return i;
  return strcmp(name, "training") ? -1 : CO_SPLIT_TRAIN;
}

// ---- use ---------------------------------------------------------------------------------------

const char *co_dataset_path(const co_dataset *d) {
  return d->path;
}

const char *co_dataset_split_rule(const co_dataset *d) {
  return d->split_rule;
}

const co_carried *co_dataset_carried(const co_dataset *d, int64_t *count) {
  *count = d->carried_count;
  return d->carried;
}

const char *co_dataset_recipe(const co_dataset *d) {
  return d->recipe;
}

co_status co_dataset_renamed(co_dataset *d, const char *path) {
  char *copy = co_arena_strdup(d->arena, path);
  if (!copy) return CO_ERR_MEMORY;
  d->path = copy;
  return CO_OK;
}

const co_schema *co_dataset_schema(const co_dataset *d) {
  return &d->schema;
}

int64_t co_dataset_rows(const co_dataset *d) {
  return d->rows;
}

co_status co_dataset_split(co_dataset *d, co_split split, const int64_t **rows, int64_t *count) {
  if ((unsigned)split >= CO_SPLIT_COUNT) return co_fail(CO_ERR_INTERNAL, "no such split");
  *rows = d->split_rows[split];
  *count = d->split_count[split];
  return CO_OK;
}

const char *co_dataset_fingerprint(const co_dataset *d) {
  return d->fingerprint;
}

// ---- other splits ------------------------------------------------------------------------------

static co_status list_splits(co_dataset *d, const uint8_t *split) {
  int64_t *next[CO_SPLIT_COUNT];
  memset(d->split_count, 0, sizeof d->split_count);
  for (int64_t i = 0; i < d->rows; i++)
    if (split[i] < CO_SPLIT_COUNT) d->split_count[split[i]]++;
  for (int s = 0; s < CO_SPLIT_COUNT; s++) {
    next[s] = d->split_rows[s] =
        co_arena_alloc(d->arena, (size_t)d->split_count[s], sizeof(int64_t));
    if (!next[s]) return CO_ERR_MEMORY;
  }
  for (int64_t i = 0; i < d->rows; i++)
    if (split[i] < CO_SPLIT_COUNT) *next[split[i]]++ = i;
  return CO_OK;
}

// Another description of the same data, in an arena of its own.
static co_status share(co_dataset **out, co_dataset *dataset) {
  co_arena *arena;
  *out = NULL;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, dataset->ctx));
  co_dataset *d = co_arena_alloc(arena, 1, sizeof *d);
  if (!d) {
    co_arena_free(arena);
    return CO_ERR_MEMORY;
  }
  *d = *dataset;
  d->base = dataset->base ? dataset->base : dataset;
  d->arena = arena;
  *out = d;
  return CO_OK;
}

co_status co_dataset_resplit(co_dataset **out, co_dataset *dataset, const uint8_t *split) {
  co_dataset *d;
  CO_RETURN_IF_FAILED(share(&d, dataset));
  *out = NULL;
  if (list_splits(d, split) != CO_OK) {
    co_dataset_close(d);
    return CO_ERR_MEMORY;
  }
  co_sha256 hash;
  co_sha256_init(&hash);
  co_sha256_update(&hash, d->base->fingerprint, 64);
  co_sha256_update(&hash, split, (size_t)d->rows);
  co_sha256_final(&hash, d->fingerprint);
  *out = d;
  return CO_OK;
}

static co_status find_values(co_dataset *d, const char *name, bool text, int64_t *index) {
  const co_column *c = co_schema_find(&d->schema, name);
  if (!c) return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "there is no column '%.200s'", name);
  if (co_dataset_is_unread(&d->parts[c - d->columns]))
    return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "column '%.200s' has role ignore", name);
  if ((c->type == CO_COLUMN_TEXT) != text)
    return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "column '%.200s' holds %s", name,
                      text ? "no texts" : "texts, not numbers");
  *index = c - d->columns;
  return co_dataset_make_ready(d, *index);
}

static co_status has_ranges(const co_dataset *d, const char *name, const char *table) {
  return co_fail_at(CO_ERR_DATA, d->path, 0, 0,
                    "column '%.200s' is of events '%.200s', of which a sample has any number", name,
                    table);
}

co_status co_dataset_column(co_dataset *d, const char *name, const void **data, int64_t *rows,
                            const int64_t **index) {
  int64_t column = 0;
  CO_RETURN_IF_FAILED(find_values(d, name, false, &column));
  const dataset_column *part = &d->parts[column];
  const co_table *table = &d->tables[part->table];
  if (index && table->kind == CO_TABLE_EVENTS) return has_ranges(d, name, table->name);
  *data = part->data;
  *rows = part->rows;
  if (index) *index = d->reach[part->table].index;
  return CO_OK;
}

co_status co_dataset_texts(co_dataset *d, const char *name, const char *const **text, int64_t *rows,
                           const int64_t **index) {
  int64_t column = 0;
  CO_RETURN_IF_FAILED(find_values(d, name, true, &column));
  const dataset_column *part = &d->parts[column];
  const co_table *table = &d->tables[part->table];
  if (!part->text)
    return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "column '%.200s' holds no texts", name);
  if (index && table->kind == CO_TABLE_EVENTS) return has_ranges(d, name, table->name);
  *text = (const char *const *)part->text;
  *rows = part->rows;
  if (index) *index = d->reach[part->table].index;
  return CO_OK;
}

co_status co_dataset_gather(co_dataset *d, const char *name, const int64_t *samples, int64_t count,
                            void *out) {
  int64_t column = 0;
  CO_RETURN_IF_FAILED(find_values(d, name, false, &column));
  const dataset_column *part = &d->parts[column];
  const co_table *table = &d->tables[part->table];
  if (table->kind == CO_TABLE_EVENTS) return has_ranges(d, name, table->name);
  const int64_t *index = d->reach[part->table].index;
  const unsigned char *from = part->data;
  unsigned char *to = out;
  for (int64_t i = 0; i < count; i++, to += part->row_bytes) {
    if (samples[i] < 0 || samples[i] >= d->rows)
      return co_fail(CO_ERR_INTERNAL, "sample %" PRId64 " of %" PRId64, samples[i], d->rows);
    int64_t row = index ? index[samples[i]] : samples[i];
    memcpy(to, from + (size_t)row * part->row_bytes, part->row_bytes);
  }
  return CO_OK;
}

static co_status find_table(const co_dataset *d, const char *name, bool events,
                            const dataset_table **out) {
  const co_table *table = co_schema_table(&d->schema, name);
  if (!table) return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "there is no table '%.200s'", name);
  if ((table->kind == CO_TABLE_EVENTS) != events)
    return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "table '%.200s' is%s one of events", name,
                      events ? " not" : "");
  *out = &d->reach[table - d->tables];
  return CO_OK;
}

co_status co_dataset_index(co_dataset *d, const char *table, const int64_t **index) {
  const dataset_table *reach = NULL;
  CO_RETURN_IF_FAILED(find_table(d, table, false, &reach));
  *index = reach->index;
  return CO_OK;
}

co_status co_dataset_ranges(co_dataset *d, const char *table, const int64_t **begin,
                            const int64_t **end) {
  const dataset_table *reach = NULL;
  CO_RETURN_IF_FAILED(find_table(d, table, true, &reach));
  *begin = reach->begin;
  *end = reach->end;
  return CO_OK;
}

// What a sample had for each of the samples that are to be; NULL, the identity, becomes `of`.
static co_status take(int64_t **values, co_arena *arena, const int64_t *of, int64_t count) {
  const int64_t *have = *values;
  *values = co_arena_alloc(arena, (size_t)count + 1, sizeof **values);
  for (int64_t i = 0; *values && i < count; i++)
    (*values)[i] = have ? have[of[i]] : of[i];
  return *values ? CO_OK : CO_ERR_MEMORY;
}

static co_status take_samples(co_dataset *d, const int64_t *of) {
  const int64_t tables = d->schema.table_count;
  const dataset_table *have = d->reach;
  d->reach = co_arena_alloc(d->arena, (size_t)tables, sizeof *d->reach);
  if (!d->reach) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < tables; i++) {
    dataset_table *reach = &d->reach[i];
    *reach = have[i];
    if (d->tables[i].kind != CO_TABLE_EVENTS) {
      CO_RETURN_IF_FAILED(take(&reach->index, d->arena, of, d->rows));
    } else {
      CO_RETURN_IF_FAILED(take(&reach->begin, d->arena, of, d->rows));
      CO_RETURN_IF_FAILED(take(&reach->end, d->arena, of, d->rows));
    }
  }
  return d->as_of ? take(&d->as_of, d->arena, of, d->rows) : CO_OK;
}

co_status co_dataset_cut(co_dataset **out, co_dataset *dataset, const char *events,
                         const co_dataset_cuts *cuts) {
  const dataset_table *reach = NULL;
  co_dataset *d;
  *out = NULL;
  CO_RETURN_IF_FAILED(find_table(dataset, events, true, &reach));
  CO_RETURN_IF_FAILED(share(&d, dataset));
  d->rows = cuts->count;
  memset(d->split_count, 0, sizeof d->split_count);
  co_status status = take_samples(d, cuts->sample);
  if (status != CO_OK) {
    co_dataset_close(d);
    return status;
  }
  d->reach[reach - dataset->reach].begin = cuts->begin;
  d->reach[reach - dataset->reach].end = cuts->end;
  *out = d;
  return CO_OK;
}

const int64_t *co_dataset_as_of(const co_dataset *d) {
  return d->as_of;
}

// ---- numbers as stored -------------------------------------------------------------------------

co_status co_dataset_numbers(co_dataset *d, const char *name, co_numbers *out) {
  int64_t column = 0;
  CO_RETURN_IF_FAILED(find_values(d, name, false, &column));
  co_column_type type = d->columns[column].type;
  if (type != CO_COLUMN_NUMBER && type != CO_COLUMN_BINARY && type != CO_COLUMN_DATE)
    return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "column '%.200s' is of type %s, not a number",
                      name, co_column_type_name(type));
  const dataset_column *part = &d->parts[column];
  // What is delivered of a binary column says more than what is stored: -1 is missing there.
  if (type == CO_COLUMN_BINARY || part->stored_dtype == CO_F32) {
    *out = (co_numbers){CO_F32, part->data, part->rows};
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(co_dataset_make_stored(d, column));
  *out = (co_numbers){part->stored_dtype, part->stored, part->rows};
  return CO_OK;
}

void co_numbers_deliver(const co_numbers *n, double pivot, int64_t begin, int64_t count, float *out,
                        int64_t stride) {
  for (int64_t k = 0; k < count; k++)
    out[k * stride] = (float)(co_numbers_at(n, begin + k) - pivot);
}

co_status co_dataset_load_keys(co_dataset *d) {
  return d->key < 0 ? CO_OK : co_dataset_make_ready(d, d->key);
}

const co_column *co_dataset_key_column(const co_dataset *d) {
  return d->key < 0 ? NULL : &d->columns[d->key];
}

co_status co_dataset_key(co_dataset *d, int64_t sample, char *out, size_t size) {
  if (sample < 0 || sample >= d->rows)
    return co_fail(CO_ERR_INTERNAL, "sample %" PRId64 " of %" PRId64, sample, d->rows);
  if (d->key < 0) {
    snprintf(out, size, "%" PRId64, sample);
    return CO_OK;
  }
  const dataset_column *part = &d->parts[d->key];
  const int64_t *index = d->reach[part->table].index;
  int64_t row = index ? index[sample] : sample;
  size_t length;
  if (!part->integer) {
    CO_RETURN_IF_FAILED(co_dataset_key_text(d, row, out, size, &length));
  } else {
    char number[CO_NUMBER_PRINT];
    length = co_integer_print(part->integer[row], number);
    if (length < size) memcpy(out, number, length + 1);
  }
  if (length >= size)
    return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "the key of sample %" PRId64 " is too long",
                      sample);
  return CO_OK;
}

void co_dataset_end_opening(co_dataset *d) {
  for (int64_t i = 0; i < d->entity_count; i++)
    co_free(d->ctx, d->entities[i].rows);
  co_free(d->ctx, d->entities);
  d->entities = NULL;
  d->entity_count = 0;
}

void co_dataset_close(co_dataset *d) {
  if (!d) return;
  if (d->base) { // which has all but the arena, where this struct is
    co_arena_free(d->arena);
    return;
  }
  co_h5_abandon(d->h5);
  co_dataset_end_opening(d);
  co_free(d->ctx, d->as_of);
  for (int64_t i = 0; i < d->schema.column_count; i++) {
    co_free(d->ctx, d->parts[i].owned);
    co_free(d->ctx, d->parts[i].stored_owned);
  }
  for (int64_t i = 0; i < d->schema.table_count; i++) {
    co_free(d->ctx, d->reach[i].index);
    co_free(d->ctx, d->reach[i].begin);
    co_free(d->ctx, d->reach[i].end);
  }
  co_arena_free(d->keys.arena);
  if (d->map) munmap((void *)d->map, d->map_bytes);
  co_free(d->ctx, d->reach);
  co_free(d->ctx, d->tables);
  co_free(d->ctx, d->parts);
  co_free(d->ctx, d->columns);
  co_arena_free(d->arena);
  pthread_mutex_destroy(&d->mutex);
  co_free(d->ctx, d);
}
