// SPDX-License-Identifier: Apache-2.0
#include "host/feed/collate.h"

#include <math.h>
#include <string.h>

#include "host/core/rng.h"

// A column as it lies in the dataset.
typedef struct source_column {
  const char *data;
  size_t row_bytes;
  int64_t rows;
  const int64_t *index; // row of each sample; NULL = the sample's own number
  co_dtype dtype;
  int64_t values;           // of a row
  const double *pivot;      // NULL = none
  co_numbers numbers;       // as stored, where there is a pivot, or something is made of them
  const char *const *texts; // of texts
} source_column;

typedef struct source {
  const co_feed *feed;
  source_column *columns;
  co_tensor_desc row;         // of the graph's input: one row
  const int64_t *begin, *end; // per sample, of events
} source;

struct co_collator {
  co_context *ctx;
  co_arena *arena;
  source *sources;
  int64_t count;
  source_column weight;
  const char *weight_column; // NULL: every row counts 1
  bool training;             // samples are those that were learned from
};

// ---- opening -----------------------------------------------------------------------------------

static bool is_of_events(co_dataset *dataset, const co_column *column) {
  const co_table *table = co_schema_table(co_dataset_schema(dataset), column->table);
  return table && table->kind == CO_TABLE_EVENTS;
}

static co_status open_column(co_dataset *dataset, const char *name, source_column *out) {
  const co_column *column = co_schema_find(co_dataset_schema(dataset), name);
  const void *data;
  if (!column)
    return co_fail_at(CO_ERR_DATA, co_dataset_path(dataset), 0, 0, "there is no column '%s'", name);
  bool events = is_of_events(dataset, column);
  memset(out, 0, sizeof *out);
  if (column->type == CO_COLUMN_TEXT)
    return co_dataset_texts(dataset, name, &out->texts, &out->rows, &out->index);
  CO_RETURN_IF_FAILED(
      co_dataset_column(dataset, name, &data, &out->rows, events ? NULL : &out->index));
  out->data = data;
  out->dtype = column->dtype;
  out->values = co_shape_count(&column->shape);
  out->row_bytes = (size_t)out->values * co_dtype_size(column->dtype);
  return CO_OK;
}

static co_status open_source(co_collator *c, const co_graph *graph, co_dataset *dataset,
                             const co_feed *feed) {
  source *s = &c->sources[c->count++];
  s->feed = feed;
  s->row = graph->values[graph->inputs[feed->input]].desc;
  s->columns = co_arena_alloc(c->arena, (size_t)feed->column_count + 1, sizeof *s->columns);
  if (!s->columns) return CO_ERR_MEMORY;
  if (!dataset) return CO_OK;
  for (int64_t i = 0; i < feed->column_count; i++) {
    CO_RETURN_IF_FAILED(open_column(dataset, feed->columns[i]->name, &s->columns[i]));
    const double *pivot = feed->pivots ? feed->pivots[i]->bytes : NULL;
    if (pivot && *pivot != 0) s->columns[i].pivot = pivot;
    bool derived = feed->derivations && !feed->derivations[0]->derive_row &&
                   s->columns[i].dtype != CO_I32 && !s->columns[i].texts;
    if (!derived && !s->columns[i].pivot) continue;
    CO_RETURN_IF_FAILED(
        co_dataset_numbers(dataset, feed->columns[i]->name, &s->columns[i].numbers));
  }
  if (!co_feed_is_of_rows(feed)) return CO_OK;
  s->row.shape.dim[0] = 1;
  if (!feed->column_count) return CO_OK;
  const co_column *column = co_schema_find(co_dataset_schema(dataset), feed->columns[0]->name);
  return is_of_events(dataset, column)
             ? co_dataset_ranges(dataset, column->table, &s->begin, &s->end)
             : CO_OK;
}

static co_status open_weight(co_collator *c, co_dataset *dataset) {
  const co_schema *schema = co_dataset_schema(dataset);
  for (int64_t i = 0; i < schema->column_count; i++) {
    if (schema->columns[i].role != CO_ROLE_WEIGHT) continue;
    c->weight_column = schema->columns[i].name;
    CO_RETURN_IF_FAILED(open_column(dataset, schema->columns[i].name, &c->weight));
  }
  return CO_OK;
}

// Without inputs nothing is learned: targets and weights are for who compares.
static bool is_wanted(const co_feed *feed, bool inputs, bool targets) {
  switch (feed->kind) {
  case CO_FEED_TEACHER:
    return inputs && targets;
  case CO_FEED_TARGET:
  case CO_FEED_WEIGHT:
  case CO_FEED_CONSTANT:
    return targets;
  default:
    return inputs;
  }
}

static co_status create(co_collator **out, const co_model *model, const co_section *section,
                        co_dataset *dataset, bool targets, bool training) {
  co_collator *c = co_alloc_zero(model->ctx, 1, sizeof *c);
  *out = NULL;
  if (!c) return CO_ERR_MEMORY;
  c->ctx = model->ctx;
  c->training = training;
  int64_t inputs = section ? section->feeds.count : 0;
  co_status status;
  CO_TRY(co_arena_create(&c->arena, c->ctx));
  c->sources =
      co_arena_alloc(c->arena, (size_t)(inputs + model->feeds.count) + 1, sizeof *c->sources);
  status = c->sources ? CO_OK : CO_ERR_MEMORY;
  if (status != CO_OK) goto cleanup;
  for (int64_t i = 0; i < inputs; i++)
    CO_TRY(open_source(c, section->graph, dataset, &section->feeds.items[i]));
  for (int64_t i = 0; i < model->feeds.count; i++)
    if (is_wanted(&model->feeds.items[i], section, targets))
      CO_TRY(open_source(c, model->network, dataset, &model->feeds.items[i]));
  if (targets) CO_TRY(open_weight(c, dataset));
  *out = c;
  return CO_OK;
cleanup:
  co_collator_free(c);
  return status;
}

co_status co_collator_create(co_collator **out, const co_section *section, co_dataset *dataset,
                             bool targets, bool training) {
  return create(out, section->model, section, dataset, targets, training);
}

co_status co_collator_create_targets(co_collator **out, const co_model *model,
                                     co_dataset *dataset) {
  return create(out, model, NULL, dataset, true, false);
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

size_t co_collator_row_bytes(const co_collator *c, int64_t i, const co_shape_class *shape) {
  co_tensor_desc row = c->sources[i].row;
  if (!co_feed_is_of_rows(c->sources[i].feed)) return 0;
  co_shape_bind(&row.shape, shape);
  return co_tensor_bytes(&row);
}

// ---- values ------------------------------------------------------------------------------------

static void write_value(const source_column *column, int64_t row, char *out) {
  if (column->pivot)
    co_numbers_deliver(&column->numbers, *column->pivot, row, 1, (float *)(void *)out, 1);
  else
    memcpy(out, column->data + (size_t)row * column->row_bytes, column->row_bytes);
}

static int64_t row_of(const source_column *column, int64_t sample) {
  return column->index ? column->index[sample] : sample;
}

// A scalar as derivations are given it.
static double scalar_at(const source_column *column, int64_t row) {
  if (column->dtype != CO_I32) return co_numbers_at(&column->numbers, row);
  int32_t code = ((const int32_t *)(const void *)column->data)[row];
  return code < 0 ? (double)NAN : code;
}

// What is made of a sample's scalars, or, without one (-1), of a row of the columns' table.
static char *write_derived(const co_collator *c, const source *s, int64_t sample, int64_t row,
                           char *out) {
  const source_column *column = s->columns;
  for (int64_t k = 0; k < s->feed->derivation_count; k++) {
    const co_derivation *d = s->feed->derivations[k];
    double values[CO_DERIVED_COLUMNS];
    const int64_t at = sample < 0 ? row : row_of(column, sample);
    for (int64_t i = 0; d->derive && i < d->column_count; i++)
      values[i] = scalar_at(&column[i], sample < 0 ? row : row_of(&column[i], sample));
    if (d->derive_text)
      d->derive_text(d->user, column->texts[at], out);
    else if (d->derive_row)
      d->derive_row(d->user, (const void *)(column->data + (size_t)at * column->row_bytes), out);
    else
      d->derive(d->user, values, c->training ? sample : -1, out);
    column += d->column_count;
    out += (size_t)d->width * co_dtype_size(d->dtype);
  }
  return out;
}

// The values of a row of a table, columns side by side; returns what is behind them.
static char *write_table_row(const co_collator *c, const source *s, int64_t row, char *out) {
  if (s->feed->derivations) return write_derived(c, s, -1, row, out);
  for (int64_t k = 0; k < s->feed->column_count; k++) {
    write_value(&s->columns[k], row, out);
    out += s->columns[k].row_bytes;
  }
  return out;
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
  for (int64_t k = 0; k < s->feed->derivation_count; k++)
    bytes += (size_t)(s->feed->derivations[k]->width * s->columns[0].rows) *
             co_dtype_size(s->feed->derivations[k]->dtype);
  for (int64_t k = 0; !s->feed->derivations && k < s->feed->column_count; k++)
    bytes += s->columns[k].row_bytes * (size_t)s->columns[k].rows;
  return bytes;
}

bool co_collator_needs_room(const co_collator *c, int64_t i) {
  const source *s = &c->sources[i];
  if (s->feed->kind == CO_FEED_FITTED) return s->feed->fitted_count > 1;
  return s->feed->column_count > 1 || s->columns[0].pivot || s->feed->derivations;
}

const void *co_collator_fixed(const co_collator *c, int64_t i, void *room) {
  const source *s = &c->sources[i];
  if (!co_collator_needs_room(c, i))
    return s->feed->kind == CO_FEED_FITTED ? s->feed->fitted[0]->bytes : s->columns[0].data;
  char *to = room;
  if (s->feed->kind != CO_FEED_FITTED)
    for (int64_t row = 0; row < s->columns[0].rows; row++)
      to = write_table_row(c, s, row, to);
  for (int64_t k = 0; k < s->feed->fitted_count; k++) {
    size_t bytes = fitted_bytes(s->feed->fitted[k]);
    memcpy(to, s->feed->fitted[k]->bytes, bytes);
    to += bytes;
  }
  return room;
}

// ---- what a batch brings -----------------------------------------------------------------------

// The length to which the events of a source are padded.
static int64_t padded_length(const source *s, const co_shape_class *shape) {
  return shape->t[s->feed->event_table];
}

// The codes of texts, 0 behind the last.
static void write_sequences(const source *s, const co_shape_class *shape, const int64_t *samples,
                            int32_t *out) {
  const co_derivation *d = s->feed->derivations[0];
  const int64_t most = padded_length(s, shape);
  for (int64_t i = 0; i < shape->rows; i++, out += most) {
    const char *text = s->columns->texts[row_of(s->columns, samples[i])];
    const int64_t count = d->derive_sequence(d->user, text, most, out);
    if (count < most) memset(out + count, 0, (size_t)(most - count) * sizeof *out);
  }
}

static void write_rows(const co_collator *c, const source *s, const int64_t *samples, int64_t rows,
                       char *out) {
  for (int64_t i = 0; s->feed->derivations && i < rows; i++)
    out = write_derived(c, s, samples[i], 0, out);
  for (int64_t i = 0; !s->feed->derivations && i < rows; i++)
    for (int64_t k = 0; k < s->feed->column_count; k++) {
      write_value(&s->columns[k], row_of(&s->columns[k], samples[i]), out);
      out += s->columns[k].row_bytes;
    }
}

// Of a sample's events, or the sequence that is made of its text.
static int64_t length_of(const source *s, int64_t sample) {
  if (!co_feed_is_sequence(s->feed)) return s->end[sample] - s->begin[sample];
  const co_derivation *d = s->feed->derivations[0];
  return d->derive_sequence(d->user, s->columns->texts[row_of(s->columns, sample)], 0, NULL);
}

// How many of them are taken where at most `most` fit.
static int64_t events_of(const source *s, int64_t sample, int64_t most) {
  int64_t count = length_of(s, sample);
  return count < most ? count : most;
}

static void write_events(const co_collator *c, const source *s, const co_shape_class *shape,
                         const int64_t *samples, char *out) {
  int64_t most = padded_length(s, shape);
  size_t event = 0;
  for (int64_t k = 0; k < s->feed->column_count; k++)
    event += s->columns[k].row_bytes;
  for (int64_t i = 0; i < shape->rows; i++) {
    int64_t count = events_of(s, samples[i], most);
    char *to = out + (size_t)(i * most) * event;
    for (int64_t k = 0; k < count; k++)
      to = write_table_row(c, s, s->end[samples[i]] - count + k, to);
    memset(to, 0, (size_t)(most - count) * event);
  }
}

static void write_begin(const source *s, const co_shape_class *shape, const int64_t *samples,
                        int64_t *out) {
  for (int64_t i = 0; i < shape->rows; i++)
    out[i] = s->end[samples[i]] - events_of(s, samples[i], padded_length(s, shape));
}

static void write_lengths(const source *s, const co_shape_class *shape, const int64_t *samples,
                          int32_t *out) {
  for (int64_t i = 0; i < shape->rows; i++)
    out[i] = (int32_t)events_of(s, samples[i], padded_length(s, shape));
}

static const void *value_at(const source_column *column, int64_t sample) {
  return column->data + (size_t)row_of(column, sample) * column->row_bytes;
}

float co_collator_row_weight(const co_collator *c, int64_t sample) {
  return c->weight_column ? *(const float *)value_at(&c->weight, sample) : 1;
}

const char *co_collator_weight_column(const co_collator *c) {
  return c->weight_column;
}

// An empty text is none.
static bool is_missing(const source_column *column, int64_t sample) {
  if (column->texts) return !*column->texts[row_of(column, sample)];
  const void *value = value_at(column, sample);
  if (column->dtype == CO_I32) return *(const int32_t *)value < 0;
  for (int64_t i = 0; i < column->values; i++)
    if (isnan(((const float *)value)[i])) return true;
  return false;
}

// A code as a number where the graph takes numbers.
static void write_target(const co_collator *c, const source *s, const int64_t *samples,
                         int64_t rows, void *out) {
  const source_column *column = s->columns;
  if (s->feed->derivations || column->dtype == s->row.dtype) {
    write_rows(c, s, samples, rows, out);
    return;
  }
  for (int64_t row = 0; row < rows; row++) {
    int32_t code = *(const int32_t *)value_at(column, samples[row]);
    ((float *)out)[row] = code < 0 ? NAN : (float)code;
  }
}

// A class's factor, 1 where rows of all count alike. The target is known.
static float class_weight(const co_collator *c, const source *s, int64_t sample) {
  if (!c->training || !s->feed->fitted_count) return 1;
  const void *value = value_at(s->columns, sample);
  const float *factors = s->feed->fitted[0]->bytes;
  const int64_t class_ =
      s->columns->dtype == CO_F32 ? *(const float *)value >= 0.5f : *(const int32_t *)value;
  return class_ < s->feed->fitted[0]->shape.dim[0] ? factors[class_] : 1;
}

static void write_weight(const co_collator *c, const source *s, const int64_t *samples,
                         int64_t rows, int64_t valid, float *out, double *sum) {
  for (int64_t row = 0; row < rows; row++) {
    const bool counts =
        row < valid && !(s->feed->column_count && is_missing(s->columns, samples[row]));
    out[row] =
        counts ? co_collator_row_weight(c, samples[row]) * class_weight(c, s, samples[row]) : 0;
    *sum += (double)out[row];
  }
}

static void write_constant(const source *s, int64_t rows, float *out) {
  const int64_t width = s->row.shape.dim[1];
  for (int64_t row = 0; row < rows; row++)
    memcpy(out + row * width, s->feed->constant, (size_t)width * sizeof *out);
}

void co_collate_taught(const co_collator *c, int64_t i, int64_t rows, const int32_t *target,
                       void *out) {
  const co_derivation *d = c->sources[i].feed->derivations[0];
  const size_t bytes = (size_t)d->width * co_dtype_size(d->dtype);
  for (int64_t row = 0; row < rows; row++)
    d->derive_taught(d->user, target + row * d->taught_width, (char *)out + (size_t)row * bytes);
}

void co_collate_noise(const co_collator *c, int64_t i, const int64_t *samples, int64_t rows,
                      uint64_t seed, uint32_t epoch, float *out) {
  const source *s = &c->sources[i];
  const int64_t width = s->row.shape.dim[1];
  for (int64_t row = 0; row < rows; row++)
    co_normals(seed, (uint64_t)samples[row], epoch, s->feed->purpose, width, out + row * width);
}

void co_collate(const co_collator *c, int64_t i, const co_shape_class *shape,
                const int64_t *samples, int64_t valid, void *out, double *weight_sum) {
  const source *s = &c->sources[i];
  switch (s->feed->kind) {
  case CO_FEED_IDS:
    memcpy(out, samples, (size_t)shape->rows * sizeof *samples);
    break;
  case CO_FEED_INDEX:
    for (int64_t row = 0; row < shape->rows; row++)
      ((int64_t *)out)[row] = row_of(s->columns, samples[row]);
    break;
  case CO_FEED_ROWS:
    if (s->begin)
      write_events(c, s, shape, samples, out);
    else if (co_feed_is_sequence(s->feed))
      write_sequences(s, shape, samples, out);
    else
      write_rows(c, s, samples, shape->rows, out);
    break;
  case CO_FEED_BEGIN:
    write_begin(s, shape, samples, out);
    break;
  case CO_FEED_LENGTHS:
    write_lengths(s, shape, samples, out);
    break;
  case CO_FEED_CONSTANT:
    write_constant(s, shape->rows, out);
    break;
  case CO_FEED_TARGET:
    write_target(c, s, samples, shape->rows, out);
    break;
  case CO_FEED_WEIGHT:
    write_weight(c, s, samples, shape->rows, valid, out, weight_sum);
    break;
  default:
    break; // the same for all batches
  }
}

co_status co_block_table_rows(co_dataset *dataset, const co_input_block *block, int64_t *rows) {
  source_column first, other;
  CO_RETURN_IF_FAILED(open_column(dataset, block->features[0].column->name, &first));
  *rows = first.rows;
  for (int64_t i = 0; i < block->count; i++) {
    const co_input_feature *feature = &block->features[i];
    if (feature->derivation &&
        (feature->derivation->of_sample || feature->derivation->derive_sequence))
      *rows = CO_DIM_N;
    for (int64_t k = 0; k < feature->column_count; k++) {
      CO_RETURN_IF_FAILED(open_column(dataset, feature->columns[k]->name, &other));
      if (other.index != first.index || other.rows != first.rows) *rows = CO_DIM_N;
    }
  }
  return CO_OK;
}
