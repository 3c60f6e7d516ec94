// SPDX-License-Identifier: Apache-2.0
#include "host/feed/collate.h"

#include <math.h>
#include <string.h>

// A column as it lies in the dataset.
typedef struct source_column {
  const char *data;
  size_t row_bytes;
  int64_t rows;
  const int64_t *entity_row; // per sample; NULL = the sample's own number
  co_dtype dtype;
  int64_t values; // of a row
} source_column;

typedef struct source {
  const co_feed *feed;
  source_column *columns;
  size_t row_bytes;
  co_dtype dtype; // of the graph's input
} source;

struct co_collator {
  co_context *ctx;
  co_arena *arena;
  source *sources;
  int64_t count;
  source_column weight;
  bool has_weight; // else every row counts 1
};

// ---- opening -----------------------------------------------------------------------------------

static co_status open_column(co_dataset *dataset, const char *name, source_column *out) {
  const co_column *column = co_schema_find(co_dataset_schema(dataset), name);
  const void *data;
  CO_RETURN_IF_FAILED(co_dataset_column(dataset, name, &data, &out->rows, &out->entity_row));
  out->data = data;
  out->dtype = column->dtype;
  out->values = co_shape_count(&column->shape);
  out->row_bytes = (size_t)out->values * co_dtype_size(column->dtype);
  return CO_OK;
}

static size_t bytes_of_row(const co_graph *graph, int32_t input) {
  co_tensor_desc desc = graph->values[graph->inputs[input]].desc;
  desc.shape.dim[0] = 1;
  return co_tensor_bytes(&desc);
}

static co_status open_source(co_collator *c, const co_graph *graph, co_dataset *dataset,
                             const co_feed *feed) {
  source *s = &c->sources[c->count++];
  s->feed = feed;
  s->dtype = graph->values[graph->inputs[feed->input]].desc.dtype;
  if (co_feed_is_of_rows(feed)) s->row_bytes = bytes_of_row(graph, feed->input);
  s->columns = co_arena_alloc(c->arena, (size_t)feed->column_count + 1, sizeof *s->columns);
  if (!s->columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < feed->column_count; i++)
    CO_RETURN_IF_FAILED(open_column(dataset, feed->columns[i]->name, &s->columns[i]));
  return CO_OK;
}

static co_status open_weight(co_collator *c, co_dataset *dataset) {
  const co_schema *schema = co_dataset_schema(dataset);
  for (int64_t i = 0; i < schema->column_count; i++) {
    if (schema->columns[i].role != CO_ROLE_WEIGHT) continue;
    c->has_weight = true;
    CO_RETURN_IF_FAILED(open_column(dataset, schema->columns[i].name, &c->weight));
  }
  return CO_OK;
}

static co_status create(co_collator **out, const co_model *model, const co_section *section,
                        co_dataset *dataset, bool targets) {
  co_collator *c = co_alloc_zero(model->ctx, 1, sizeof *c);
  *out = NULL;
  if (!c) return CO_ERR_MEMORY;
  c->ctx = model->ctx;
  int64_t inputs = section ? section->feeds.count : 0, network = targets ? model->feeds.count : 0;
  co_status status;
  CO_TRY(co_arena_create(&c->arena, c->ctx));
  c->sources = co_arena_alloc(c->arena, (size_t)(inputs + network) + 1, sizeof *c->sources);
  status = c->sources ? CO_OK : CO_ERR_MEMORY;
  if (status != CO_OK) goto cleanup;
  for (int64_t i = 0; i < inputs; i++)
    CO_TRY(open_source(c, section->graph, dataset, &section->feeds.items[i]));
  for (int64_t i = 0; i < network; i++)
    CO_TRY(open_source(c, model->network, dataset, &model->feeds.items[i]));
  if (targets) CO_TRY(open_weight(c, dataset));
  *out = c;
  return CO_OK;
cleanup:
  co_collator_free(c);
  return status;
}

co_status co_collator_create(co_collator **out, const co_section *section, co_dataset *dataset,
                             bool targets) {
  return create(out, section->model, section, dataset, targets);
}

co_status co_collator_create_targets(co_collator **out, const co_model *model,
                                     co_dataset *dataset) {
  return create(out, model, NULL, dataset, true);
}

void co_collator_free(co_collator *c) {
  if (!c) return;
  co_arena_free(c->arena);
  co_free(c->ctx, c);
}

int64_t co_collator_count(const co_collator *c) {
  return c->count;
}

const co_feed *co_collator_feed(const co_collator *c, int64_t i) {
  return c->sources[i].feed;
}

size_t co_collator_row_bytes(const co_collator *c, int64_t i) {
  return c->sources[i].row_bytes;
}

// ---- what is the same for all batches ----------------------------------------------------------

static size_t fitted_bytes(const co_fitted *fitted) {
  return (size_t)co_shape_count(&fitted->shape) * co_dtype_size(fitted->dtype);
}

size_t co_collator_fixed_bytes(const co_collator *c, int64_t i) {
  const source *s = &c->sources[i];
  size_t bytes = 0;
  for (int64_t k = 0; k < s->feed->fitted_count; k++)
    bytes += fitted_bytes(s->feed->fitted[k]);
  for (int64_t k = 0; k < s->feed->column_count; k++)
    bytes += s->columns[k].row_bytes * (size_t)s->columns[k].rows;
  return bytes;
}

bool co_collator_needs_room(const co_collator *c, int64_t i) {
  const co_feed *feed = c->sources[i].feed;
  return feed->kind == CO_FEED_FITTED ? feed->fitted_count > 1 : feed->column_count > 1;
}

// Columns side by side, for the given rows of each (NULL: all, in order).
static void join_columns(const source *s, const int64_t *samples, int64_t rows, char *out) {
  for (int64_t row = 0; row < rows; row++)
    for (int64_t k = 0; k < s->feed->column_count; k++) {
      const source_column *column = &s->columns[k];
      int64_t at = samples ? samples[row] : row;
      if (samples && column->entity_row) at = column->entity_row[at];
      memcpy(out, column->data + (size_t)at * column->row_bytes, column->row_bytes);
      out += column->row_bytes;
    }
}

const void *co_collator_fixed(const co_collator *c, int64_t i, void *room) {
  const source *s = &c->sources[i];
  if (!co_collator_needs_room(c, i))
    return s->feed->kind == CO_FEED_FITTED ? s->feed->fitted[0]->bytes : s->columns[0].data;
  if (s->feed->kind != CO_FEED_FITTED) {
    join_columns(s, NULL, s->columns[0].rows, room);
    return room;
  }
  char *to = room;
  for (int64_t k = 0; k < s->feed->fitted_count; k++) {
    size_t bytes = fitted_bytes(s->feed->fitted[k]);
    memcpy(to, s->feed->fitted[k]->bytes, bytes);
    to += bytes;
  }
  return room;
}

// ---- what a batch brings -----------------------------------------------------------------------

static const char *value_at(const source_column *column, int64_t sample) {
  int64_t row = column->entity_row ? column->entity_row[sample] : sample;
  return column->data + (size_t)row * column->row_bytes;
}

static bool is_missing(const source_column *column, int64_t sample) {
  const void *value = value_at(column, sample);
  if (column->dtype == CO_I32) return *(const int32_t *)value < 0;
  for (int64_t i = 0; i < column->values; i++)
    if (isnan(((const float *)value)[i])) return true;
  return false;
}

// A code as a number where the graph takes numbers.
static void write_target(const source *s, const int64_t *samples, int64_t rows, void *out) {
  const source_column *column = s->columns;
  if (column->dtype == s->dtype) {
    join_columns(s, samples, rows, out);
    return;
  }
  for (int64_t row = 0; row < rows; row++) {
    int32_t code = *(const int32_t *)value_at(column, samples[row]);
    ((float *)out)[row] = code < 0 ? NAN : (float)code;
  }
}

static void write_weight(const co_collator *c, const source *s, const int64_t *samples,
                         int64_t rows, int64_t valid, float *out, double *sum) {
  for (int64_t row = 0; row < rows; row++) {
    float weight = c->has_weight ? *(const float *)value_at(&c->weight, samples[row]) : 1;
    bool counts = row < valid && !(s->feed->column_count && is_missing(s->columns, samples[row]));
    out[row] = counts ? weight : 0;
    *sum += (double)out[row];
  }
}

static void write_index(const source_column *column, const int64_t *samples, int64_t rows,
                        int64_t *out) {
  for (int64_t row = 0; row < rows; row++)
    out[row] = column->entity_row ? column->entity_row[samples[row]] : samples[row];
}

void co_collate(const co_collator *c, int64_t i, const int64_t *samples, int64_t rows,
                int64_t valid, void *out, double *weight_sum) {
  const source *s = &c->sources[i];
  switch (s->feed->kind) {
  case CO_FEED_IDS:
    memcpy(out, samples, (size_t)rows * sizeof *samples);
    break;
  case CO_FEED_INDEX:
    write_index(s->columns, samples, rows, out);
    break;
  case CO_FEED_ROWS:
    join_columns(s, samples, rows, out);
    break;
  case CO_FEED_TARGET:
    write_target(s, samples, rows, out);
    break;
  case CO_FEED_WEIGHT:
    write_weight(c, s, samples, rows, valid, out, weight_sum);
    break;
  default:
    break; // the same for all batches
  }
}

co_status co_block_table_rows(co_dataset *dataset, const co_input_block *block, int64_t *rows) {
  source_column first, other;
  CO_RETURN_IF_FAILED(open_column(dataset, block->features[0].column->name, &first));
  *rows = first.rows;
  for (int64_t i = 1; i < block->count; i++) {
    CO_RETURN_IF_FAILED(open_column(dataset, block->features[i].column->name, &other));
    if (other.entity_row != first.entity_row || other.rows != first.rows) *rows = CO_DIM_N;
  }
  return CO_OK;
}
