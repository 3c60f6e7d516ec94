// SPDX-License-Identifier: Apache-2.0
#include "datasets/raw_private.h"

#include <string.h>

void co_raw_parts_free(co_raw_parts *parts) {
  for (int64_t i = 0; i < parts->count; i++) {
    for (int64_t k = 0; k < parts->models; k++)
      co_atomic_abort(&parts->items[i].files[k]);
    co_free(parts->ctx, parts->items[i].files);
    co_free(parts->ctx, parts->items[i].places);
  }
  if (parts->ctx) co_free(parts->ctx, parts->items);
  *parts = (co_raw_parts){0};
}

int64_t co_raw_part_row(const co_raw_part *part, int64_t at) {
  co_raw_place from = {.at = 0, .row = part->first + 1};
  for (int64_t i = 0; i < part->place_count && part->places[i].at <= at; i++)
    from = part->places[i];
  return from.row + at - from.at;
}

co_status co_raw_part_place(co_raw_rows *r, int64_t row) {
  co_raw_part *p = &r->places;
  if (!r->taken || row != r->row + 1) {
    CO_RETURN_IF_FAILED(co_grow(r->ctx, (void **)&p->places, &p->place_capacity, p->place_count,
                                sizeof *p->places));
    p->places[p->place_count++] = (co_raw_place){r->taken, row};
  }
  r->taken++;
  r->row = row;
  return CO_OK;
}

static co_status add_part(co_raw_rows *r, int64_t rows, co_raw_part **out) {
  co_raw_parts *parts = r->options->parts;
  CO_RETURN_IF_FAILED(co_grow(r->ctx, (void **)&parts->items, &parts->capacity, parts->count,
                              sizeof *parts->items));
  co_raw_part *part = *out = &parts->items[parts->count];
  const co_raw_part *before = parts->count ? part - 1 : NULL;
  *part =
      (co_raw_part){.first = before ? before->first + before->rows : 0,
                    .rows = rows,
                    .files = co_alloc_zero(r->ctx, (size_t)r->table_count, sizeof *part->files)};
  if (!part->files) return CO_ERR_MEMORY;
  part->places = r->places.places; // taken over
  part->place_count = r->places.place_count;
  r->places = (co_raw_part){0};
  parts->count++;
  return CO_OK;
}

static co_status begin_samples(co_raw_rows *r, co_raw_table *t, int64_t rows) {
  const co_recipe *recipe = t->model->recipe;
  const co_row_samples_files files = {&r->scan, NULL, NULL};
  const char *column;
  CO_RETURN_IF_FAILED(co_row_samples_begin(&t->samples, r->ctx, r->arena, recipe, r->names,
                                           r->name_count, rows, &files));
  int64_t dated = co_row_samples_dated(recipe, &column);
  if (dated < 0) return CO_OK;
  const co_raw_join *table = &t->joins.items[dated];
  return co_row_samples_dates(&t->samples, &table->scan, &table->joined);
}

static co_status write_samples(const co_raw_rows *r, co_raw_table *t, int64_t rows,
                               const uint8_t *split) {
  if (!t->sampled) return co_dataset_writer_samples(t->writer, t->name, rows, NULL, NULL, split);
  co_import_events_options events = *t->model->events;
  events.recipe = *t->model->recipe->events;
  events.output = r->options->output;
  events.schema = t->model->schema;
  return co_row_samples_write(&t->samples, t->writer, split, &events, &t->events);
}

co_status co_raw_part_begin(co_raw_rows *r, int64_t rows) {
  r->this_part = rows;
  r->taken = 0;
  for (int64_t i = 0; i < r->table_count; i++) {
    co_raw_table *t = &r->tables[i];
    CO_RETURN_IF_FAILED(co_dataset_writer_create(&t->writer, r->ctx, r->options->output));
    CO_RETURN_IF_FAILED(co_encoder_begin(&t->encoder, r->ctx, t->writer, t->name, t->columns.items,
                                         t->columns.count, rows));
    CO_RETURN_IF_FAILED(co_raw_joins_begin_rows(&t->joins, rows));
    if (t->sampled) CO_RETURN_IF_FAILED(begin_samples(r, t, rows));
  }
  return CO_OK;
}

// Whether a text is how the number is printed: no sign that is not needed, no leading zeros.
static bool is_integer(const char *text, int64_t *value) {
  const char *digits = text + (*text == '-');
  size_t length = strlen(digits);
  if (!length || length > 18 || (*digits == '0' && (length > 1 || digits != text))) return false;
  int64_t number = 0;
  for (size_t i = 0; i < length; i++) {
    if (digits[i] < '0' || digits[i] > '9') return false;
    number = 10 * number + digits[i] - '0';
  }
  *value = digits == text ? number : -number;
  return true;
}

// Numbers take a small part of the time that texts take. *out is NULL where some keys are none.
static co_status read_integers(int64_t **out, co_context *ctx, const char *at, int64_t rows) {
  int64_t *numbers = co_alloc(ctx, (size_t)rows * sizeof *numbers), i = 0;
  if (!numbers) return CO_ERR_MEMORY;
  for (; i < rows && is_integer(at, &numbers[i]); i++)
    at += strlen(at) + 1;
  if (i == rows) {
    *out = numbers;
    return CO_OK;
  }
  *out = NULL;
  co_free(ctx, numbers);
  return CO_OK;
}

static co_status write_integers(const co_raw_rows *r, const int64_t *keys, int64_t rows) {
  const co_column column = {
      .name = r->key_name, .type = CO_COLUMN_TEXT, .role = CO_ROLE_KEY, .dtype = CO_I64};
  const co_raw_table *t = &r->tables[0];
  CO_RETURN_IF_FAILED(co_dataset_writer_column(t->writer, t->name, &column, rows));
  return co_dataset_writer_rows(t->writer, rows, keys);
}

static co_status write_texts(const co_raw_rows *r, const char *at, int64_t rows) {
  const char **texts = co_alloc(r->ctx, (size_t)rows * sizeof *texts);
  const co_raw_table *t = &r->tables[0];
  if (!texts) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < rows; i++, at += strlen(at) + 1)
    texts[i] = at;
  co_status status =
      co_dataset_writer_texts(t->writer, t->name, r->key_name, CO_ROLE_KEY, texts, rows);
  co_free(r->ctx, texts);
  return status;
}

static co_status write_keys(co_raw_rows *r, int64_t rows) {
  if (r->key < 0) return CO_OK;
  int64_t *numbers;
  const char *end = r->key_texts.data;
  CO_RETURN_IF_FAILED(read_integers(&numbers, r->ctx, r->key_texts.data, rows));
  co_status status =
      numbers ? write_integers(r, numbers, rows) : write_texts(r, r->key_texts.data, rows);
  co_free(r->ctx, numbers);
  // Keys that have come already are the next part's.
  for (int64_t i = 0; i < rows; i++)
    end += strlen(end) + 1;
  size_t used = (size_t)(end - r->key_texts.data);
  memmove(r->key_texts.data, end, r->key_texts.length - used);
  r->key_texts.length -= used;
  return status;
}

static co_status end_table(co_raw_rows *r, co_raw_table *t, int64_t rows, const uint8_t *split,
                           co_atomic_file *out) {
  CO_RETURN_IF_FAILED(co_encoder_flush(&t->encoder));
  CO_RETURN_IF_FAILED(co_raw_joins_write(&t->joins, t->writer, t->name));
  CO_RETURN_IF_FAILED(write_samples(r, t, rows, split));
  CO_RETURN_IF_FAILED(co_dataset_writer_commit_temporary(t->writer, NULL, out));
  co_encoder_free(&t->encoder);
  co_dataset_writer_free(t->writer);
  t->writer = NULL;
  return CO_OK;
}

co_status co_raw_part_end(co_raw_rows *r) {
  co_raw_part *part;
  int64_t rows = r->this_part;
  CO_RETURN_IF_FAILED(add_part(r, rows, &part));
  CO_RETURN_IF_FAILED(write_keys(r, rows));
  if (r->options->split) CO_RETURN_IF_FAILED(co_placer_end(&r->placer));
  uint8_t *split = co_alloc(r->ctx, (size_t)rows);
  if (!split) return CO_ERR_MEMORY;
  memset(split, CO_SPLIT_TEST, (size_t)rows);
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < r->table_count; i++)
    status = end_table(r, &r->tables[i], rows, r->options->split ? r->placer.split : split,
                       &part->files[i]);
  co_free(r->ctx, split);
  return status;
}

void co_raw_part_drop(co_raw_rows *r) {
  co_free(r->ctx, r->places.places);
  r->places = (co_raw_part){0};
  for (int64_t i = 0; i < r->table_count; i++) {
    co_encoder_free(&r->tables[i].encoder);
    co_dataset_writer_free(r->tables[i].writer);
    r->tables[i].writer = NULL;
  }
}
