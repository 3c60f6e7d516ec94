// SPDX-License-Identifier: Apache-2.0
#include "host/feed/fit_features.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "host/feed/fit_catalogue.h"
#include "models/feature.h"
#include "models/text_output.h"

enum { CHUNK = 1024, MOST_WORKERS = 64 };

// A feature being fitted.
typedef struct fitting {
  co_input_feature *feature;
  const co_fit_class *class_;
  void *state;
  co_status status;
  co_error error;
} fitting;

typedef struct work {
  co_context *ctx;
  co_dataset *dataset;
  const int64_t *samples;
  int64_t sample_count;
  fitting *items;
  int64_t count;
  co_status (*task)(const struct work *w, fitting *f);
  atomic_llong next;
} work;

// A column of scalars, of numbers as stored.
typedef struct scalar {
  co_numbers numbers;
  const int32_t *codes; // NULL: numbers
  const int64_t *index; // row of each sample; NULL = its own number, and of events
} scalar;

// Hands the values of samples to whoever wants them, a piece at a time, in order.
typedef struct reader {
  co_dataset *dataset;
  const co_input_feature *feature;
  scalar scalars[CO_DERIVED_COLUMNS + 1]; // handed out as double, side by side
  int64_t scalar_count;                   // 0: rows as they are delivered
  const int32_t *codes;                   // of events that are categories: handed out as they are
  const int64_t *begin, *end;             // of events: their range
  const char *const *texts;               // of a column of texts
  const int64_t *text_index;
  void *values;
  int64_t *samples;
} reader;

static co_status open_scalar(reader *r, const co_column *column) {
  scalar *s = &r->scalars[r->scalar_count++];
  const void *data;
  int64_t rows;
  bool events = r->feature->event_table >= 0, codes = column->dtype == CO_I32;
  if (events) CO_RETURN_IF_FAILED(co_dataset_ranges(r->dataset, column->table, &r->begin, &r->end));
  if (codes || !events)
    CO_RETURN_IF_FAILED(
        co_dataset_column(r->dataset, column->name, &data, &rows, events ? NULL : &s->index));
  if (codes)
    s->codes = data;
  else
    CO_RETURN_IF_FAILED(co_dataset_numbers(r->dataset, column->name, &s->numbers));
  return CO_OK;
}

static double scalar_at(const scalar *s, int64_t row) {
  if (!s->codes) return co_numbers_at(&s->numbers, row);
  return s->codes[row] < 0 ? (double)NAN : s->codes[row];
}

// `learning`: with the column that is only learned from.
static co_status open_reader(reader *r, co_context *ctx, co_dataset *dataset,
                             const co_input_feature *feature, bool learning) {
  const co_column *column = feature->column;
  *r = (reader){.dataset = dataset, .feature = feature};
  int64_t rows;
  if (column->type == CO_COLUMN_TEXT) {
    CO_RETURN_IF_FAILED(co_dataset_texts(dataset, column->name, &r->texts, &rows, &r->text_index));
  } else if (feature->derivation && !feature->derivation->derive_row) {
    for (int64_t i = 0; i < feature->column_count; i++)
      CO_RETURN_IF_FAILED(open_scalar(r, feature->columns[i]));
    if (learning && feature->learned) CO_RETURN_IF_FAILED(open_scalar(r, feature->learned));
  } else if (column->shape.rank == 0 && column->dtype == CO_F32) {
    CO_RETURN_IF_FAILED(open_scalar(r, column));
  } else if (feature->event_table >= 0) {
    const void *data;
    CO_RETURN_IF_FAILED(co_dataset_ranges(dataset, column->table, &r->begin, &r->end));
    CO_RETURN_IF_FAILED(co_dataset_column(dataset, column->name, &data, &rows, NULL));
    r->codes = data;
  }
  size_t row_bytes = r->texts ? sizeof *r->texts
                     : r->scalar_count
                         ? (size_t)r->scalar_count * sizeof(double)
                         : (size_t)co_shape_count(&column->shape) * co_dtype_size(column->dtype);
  r->values = co_alloc(ctx, CHUNK * row_bytes);
  r->samples = co_alloc(ctx, CHUNK * sizeof *r->samples);
  return r->values && r->samples ? CO_OK : CO_ERR_MEMORY;
}

static void close_reader(reader *r, co_context *ctx) {
  co_free(ctx, r->values);
  co_free(ctx, r->samples);
}

typedef co_status (*take_rows)(const co_input_feature *feature, void *state, const void *values,
                               int64_t rows, const int64_t *samples);

// What a sample has: one row, or its events.
static int64_t rows_of(const reader *r, int64_t sample, int64_t *first) {
  if (!r->begin) return 1;
  int64_t count = r->end[sample] - r->begin[sample];
  int64_t most = r->feature->class_->input->most_events(r->feature);
  if (count > most) count = most;
  *first = r->end[sample] - count;
  return count;
}

static double *read_scalars(const reader *r, int64_t sample, int64_t event, double *out) {
  for (int64_t c = 0; c < r->scalar_count; c++) {
    const scalar *s = &r->scalars[c];
    *out++ = scalar_at(s, r->begin ? event : s->index ? s->index[sample] : sample);
  }
  return out;
}

static co_status read_numbers(reader *r, const int64_t *samples, int64_t count, take_rows take,
                              void *state) {
  double *to = r->values;
  int64_t held = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t first = 0, rows = rows_of(r, samples[i], &first);
    for (int64_t k = 0; k < rows; k++) {
      to = read_scalars(r, samples[i], first + k, to);
      r->samples[held++] = samples[i];
      if (held < CHUNK) continue;
      CO_RETURN_IF_FAILED(take(r->feature, state, r->values, held, r->samples));
      held = 0;
      to = r->values;
    }
  }
  return held ? take(r->feature, state, r->values, held, r->samples) : CO_OK;
}

static co_status read_texts(reader *r, const int64_t *samples, int64_t count, take_rows take,
                            void *state) {
  const char **texts = r->values;
  for (int64_t i = 0; i < count; i += CHUNK) {
    int64_t rows = count - i < CHUNK ? count - i : CHUNK;
    for (int64_t k = 0; k < rows; k++)
      texts[k] = r->texts[r->text_index ? r->text_index[samples[i + k]] : samples[i + k]];
    CO_RETURN_IF_FAILED(take(r->feature, state, texts, rows, samples + i));
  }
  return CO_OK;
}

static co_status read_codes(reader *r, const int64_t *samples, int64_t count, take_rows take,
                            void *state) {
  int64_t held = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t first = 0, rows = rows_of(r, samples[i], &first);
    for (int64_t k = 0; k < rows; k++) {
      ((int32_t *)r->values)[held] = r->codes[first + k];
      r->samples[held++] = samples[i];
      if (held < CHUNK) continue;
      CO_RETURN_IF_FAILED(take(r->feature, state, r->values, held, r->samples));
      held = 0;
    }
  }
  return held ? take(r->feature, state, r->values, held, r->samples) : CO_OK;
}

static co_status read_rows(reader *r, const int64_t *samples, int64_t count, take_rows take,
                           void *state) {
  if (r->texts) return read_texts(r, samples, count, take, state);
  if (r->scalar_count) return read_numbers(r, samples, count, take, state);
  if (r->codes) return read_codes(r, samples, count, take, state);
  for (int64_t i = 0; i < count; i += CHUNK) {
    int64_t rows = count - i < CHUNK ? count - i : CHUNK;
    CO_RETURN_IF_FAILED(
        co_dataset_gather(r->dataset, r->feature->column->name, samples + i, rows, r->values));
    CO_RETURN_IF_FAILED(take(r->feature, state, r->values, rows, samples + i));
  }
  return CO_OK;
}

static co_status check_rows(const co_input_feature *feature, void *state, const void *values,
                            int64_t rows, const int64_t *samples) {
  ((int64_t *)state)[CO_COUNT_ROWS] += rows;
  return feature->class_->input->check(feature, values, rows, samples, state);
}

// ---- fitting -----------------------------------------------------------------------------------

static co_status fit_rows(const work *w, fitting *f) {
  reader r;
  co_status status = open_reader(&r, w->ctx, w->dataset, f->feature, true);
  if (status == CO_OK)
    status = read_rows(&r, w->samples, w->sample_count, f->class_->add, f->state);
  if (status == CO_OK && f->class_->settle) status = f->class_->settle(f->feature, f->state);
  close_reader(&r, w->ctx);
  return status;
}

// Of all training rows, into the fitted array "counts".
static co_status count_rows(const work *w, fitting *f) {
  reader r;
  co_status status = open_reader(&r, w->ctx, w->dataset, f->feature, false);
  if (status == CO_OK)
    status = read_rows(&r, w->samples, w->sample_count, check_rows,
                       co_feature_counts(f->feature)->bytes);
  close_reader(&r, w->ctx);
  return status;
}

static void *run(void *user) {
  work *w = user;
  for (int64_t i; (i = atomic_fetch_add(&w->next, 1)) < w->count;) {
    fitting *f = &w->items[i];
    f->status = w->task(w, f);
    if (f->status != CO_OK) co_error_copy(&f->error); // of this thread
  }
  return NULL;
}

static co_status begin(work *w, co_model *model, bool (*wanted)(const co_input_feature *)) {
  for (int64_t i = 0; i < model->input_count; i++) {
    co_input_feature *feature = &model->inputs[i];
    const co_input_class *class_ = feature->class_->input;
    if (!class_->is_fitted || !class_->is_fitted(feature) || !wanted(feature)) continue;
    fitting *f = &w->items[w->count];
    f->feature = feature;
    f->class_ = class_->choose_fit ? class_->choose_fit(feature) : class_->fit;
    if (!(f->state = co_alloc_zero(w->ctx, 1, f->class_->state_size))) return CO_ERR_MEMORY;
    w->count++;
    CO_RETURN_IF_FAILED(f->class_->begin(w->ctx, feature, f->state));
  }
  return CO_OK;
}

static void run_all(work *w, int workers) {
  pthread_t threads[MOST_WORKERS];
  int started = 0, most = workers < MOST_WORKERS ? workers : MOST_WORKERS;
  while (started < most - 1 && started < w->count - 1 &&
         pthread_create(&threads[started], NULL, run, w) == 0)
    started++;
  run(w); // this thread is one of them, and enough where no other can be had
  for (int i = 0; i < started; i++)
    pthread_join(threads[i], NULL);
}

static co_status end(work *w) {
  for (int64_t i = 0; i < w->count; i++) {
    fitting *f = &w->items[i];
    if (f->status != CO_OK) return co_error_raise(&f->error);
    CO_RETURN_IF_FAILED(f->class_->end(w->ctx, f->feature, f->state));
  }
  return CO_OK;
}

// Training rows of each class.
static co_status count_classes(const work *w, const co_output_feature *output, int64_t classes,
                               int64_t *counts) {
  enum { MOST = 1024 };
  union {
    int32_t code[MOST];
    float number[MOST];
  } values;
  for (int64_t i = 0; i < w->sample_count; i += MOST) {
    const int64_t count = w->sample_count - i < MOST ? w->sample_count - i : MOST;
    CO_RETURN_IF_FAILED(
        co_dataset_gather(w->dataset, output->name, w->samples + i, count, &values));
    for (int64_t k = 0; k < count; k++) {
      const bool number = output->column->dtype == CO_F32;
      if (number && isnan(values.number[k])) continue;
      const int64_t class_ = number ? values.number[k] >= 0.5f : values.code[k];
      if (class_ >= 0 && class_ < classes) counts[class_]++;
    }
  }
  return CO_OK;
}

// What makes every class count alike in all: rows / (classes · rows of the class). A class without a
// row keeps 1.
static void balance(const int64_t *counts, int64_t classes, float *factors) {
  int64_t rows = 0;
  for (int64_t i = 0; i < classes; i++)
    rows += counts[i];
  for (int64_t i = 0; i < classes; i++)
    factors[i] = counts[i] ? (float)((double)rows / ((double)classes * (double)counts[i])) : 1;
}

// What a class is drawn in proportion to, where `more` classes are more frequent.
static double share_of(int negatives, int64_t count, int64_t more) {
  if (negatives == CO_NEGATIVES_UNIFORM) return 1;
  return negatives == CO_NEGATIVES_FREQUENCY ? (double)count + 1 : log1p(1 / ((double)more + 1));
}

typedef struct counted {
  int64_t count, class_;
} counted;

static int by_frequency(const void *a, const void *b) {
  const counted *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return (x->class_ > y->class_) - (x->class_ < y->class_);
}

// The bounds of SAMPLE_CLASSES.
static co_status spread(const work *w, const int64_t *counts, int64_t classes, int negatives,
                        int32_t *bounds) {
  counted *order = co_alloc(w->ctx, (size_t)classes * sizeof *order);
  double *share = co_alloc(w->ctx, (size_t)classes * sizeof *share), total = 0, sum = 0;
  for (int64_t i = 0; order && i < classes; i++)
    order[i] = (counted){counts[i], i};
  if (order) qsort(order, (size_t)classes, sizeof *order, by_frequency);
  for (int64_t i = 0; order && share && i < classes; i++)
    total += share[order[i].class_] = share_of(negatives, order[i].count, i);
  for (int64_t i = 0; order && share && i < classes; i++)
    bounds[i] = (int32_t)((sum += share[i]) / total * INT32_MAX);
  const bool done = order && share;
  if (done) bounds[classes - 1] = INT32_MAX;
  co_free(w->ctx, order);
  co_free(w->ctx, share);
  return done ? CO_OK : CO_ERR_MEMORY;
}

// Of an output with classes, what their frequencies decide.
static co_status fit_classes(const work *w, co_output_feature *output) {
  if (!output->balanced && !output->bounds && !output->catalogue) return CO_OK;
  const co_fitted *array = output->balanced ? output->class_weights
                           : output->bounds ? output->bounds
                                            : output->catalogue->rows;
  const int64_t classes = array->shape.dim[0];
  int64_t *counts = co_alloc_zero(w->ctx, (size_t)classes + 1, sizeof *counts);
  co_status status = counts ? count_classes(w, output, classes, counts) : CO_ERR_MEMORY;
  if (status == CO_OK && output->balanced) balance(counts, classes, output->class_weights->bytes);
  if (status == CO_OK && output->bounds)
    status = spread(w, counts, classes, output->sampling->negatives, output->bounds->bytes);
  if (status == CO_OK && output->catalogue)
    status = co_fit_catalogue(output->catalogue, w->ctx, w->dataset, counts);
  co_free(w->ctx, counts);
  return status;
}

// Mean and standard deviation of a number; a constant one keeps 1.
static co_status standardize(const work *w, const co_output_feature *output) {
  enum { MOST = 1024 };
  float values[MOST];
  double pivot = 0, sum = 0, squares = 0; // of what the values differ from the first by
  int64_t rows = 0;
  for (int64_t i = 0; i < w->sample_count; i += MOST) {
    const int64_t count = w->sample_count - i < MOST ? w->sample_count - i : MOST;
    CO_RETURN_IF_FAILED(co_dataset_gather(w->dataset, output->name, w->samples + i, count, values));
    for (int64_t k = 0; k < count; k++) {
      if (isnan(values[k])) continue;
      if (isinf(values[k]))
        return co_fail(CO_ERR_DATA, "column '%s', row %lld: the value is infinite", output->name,
                       (long long)w->samples[i + k]);
      if (rows++ == 0) pivot = (double)values[k];
      const double off = (double)values[k] - pivot;
      sum += off;
      squares += off * off;
    }
  }
  const double mean = rows ? sum / (double)rows : 0;
  const double variance = rows ? squares / (double)rows - mean * mean : 0;
  const float std = variance > 0 ? (float)sqrt(variance) : 1;
  float *means = output->normalization[CO_NORMALIZATION_mean].bytes;
  float *stds = output->normalization[CO_NORMALIZATION_std].bytes;
  float *scale = output->normalization[CO_NORMALIZATION_scale].bytes;
  for (int64_t i = 0; i < output->normalization[CO_NORMALIZATION_mean].shape.dim[0]; i++) {
    means[i] = (float)(pivot + mean);
    stds[i] = isnormal(std) ? std : 1;
  }
  *scale = 1 / stds[0];
  return CO_OK;
}

static co_status fit_text(const work *w, co_output_feature *output) {
  const char *const *texts;
  const int64_t *index;
  int64_t rows;
  CO_RETURN_IF_FAILED(co_dataset_texts(w->dataset, output->name, &texts, &rows, &index));
  return co_text_output_fit(w->ctx, output, texts, index, w->samples, w->sample_count);
}

static void end_all(work *w) {
  for (int64_t i = 0; i < w->count; i++) {
    w->items[i].class_->free(w->ctx, w->items[i].state);
    co_free(w->ctx, w->items[i].state);
  }
  w->count = 0;
}

// Once all is fitted: what of the training rows was filled in, beyond bounds, unseen.
static co_status count_all(work *w, co_model *model, int workers) {
  for (int64_t i = 0; i < model->input_count; i++)
    if (model->inputs[i].class_->input->check)
      w->items[w->count++] = (fitting){.feature = &model->inputs[i]};
  w->task = count_rows;
  atomic_store(&w->next, 0);
  run_all(w, workers);
  int64_t count = w->count;
  w->count = 0; // nothing to be freed
  for (int64_t i = 0; i < count; i++)
    if (w->items[i].status != CO_OK) return co_error_raise(&w->items[i].error);
  return CO_OK;
}

static co_status fit_all(work *w, co_model *model, int workers,
                         bool (*wanted)(const co_input_feature *)) {
  w->items = co_alloc_zero(w->ctx, (size_t)model->input_count + 1, sizeof *w->items);
  co_status status = w->items ? begin(w, model, wanted) : CO_ERR_MEMORY;
  if (status == CO_OK) {
    w->task = fit_rows;
    atomic_store(&w->next, 0);
    run_all(w, workers);
    status = end(w);
  }
  end_all(w);
  return status;
}

// ---- rows that are left out --------------------------------------------------------------------

static bool drops(const co_input_feature *feature) {
  const co_input_class *class_ = feature->class_->input;
  return class_->drops && class_->drops(feature);
}

typedef struct dropping {
  uint8_t *dropped; // per sample
  int64_t count;    // for the feature
} dropping;

static co_status mark_rows(const co_input_feature *feature, void *state, const void *values,
                           int64_t rows, const int64_t *samples) {
  dropping *d = state;
  for (int64_t i = 0; i < rows; i++) {
    if (!feature->class_->input->drops_row(feature, ((const double *)values)[i])) continue;
    d->dropped[samples[i]] = 1;
    d->count++;
  }
  return CO_OK;
}

static co_status mark_all(work *w, co_model *model, uint8_t *dropped) {
  for (int64_t i = 0; i < model->input_count; i++) {
    const co_input_feature *feature = &model->inputs[i];
    dropping d = {.dropped = dropped};
    reader r;
    if (!drops(feature)) continue;
    co_status status = open_reader(&r, w->ctx, w->dataset, feature, false);
    if (status == CO_OK) status = read_rows(&r, w->samples, w->sample_count, mark_rows, &d);
    close_reader(&r, w->ctx);
    CO_RETURN_IF_FAILED(status);
    ((int64_t *)co_feature_counts(feature)->bytes)[CO_COUNT_DROPPED] = d.count;
  }
  return CO_OK;
}

// The samples that are not marked.
static co_status list_kept(const work *w, const uint8_t *dropped, int64_t **out, int64_t *count) {
  int64_t *kept = co_alloc(w->ctx, (size_t)(w->sample_count + 1) * sizeof *kept), found = 0;
  *out = kept;
  if (!kept) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < w->sample_count; i++)
    if (!dropped[w->samples[i]]) kept[found++] = w->samples[i];
  *count = found;
  if (found) return CO_OK;
  return co_fail_at(CO_ERR_DATA, co_dataset_path(w->dataset), 0, 0,
                    "no training row is left: every one has a value that is to be dropped");
}

co_status co_training_rows(co_model *model, co_dataset *dataset, int workers, int64_t **out,
                           int64_t *count) {
  work w = {.ctx = model->ctx, .dataset = dataset};
  uint8_t *dropped = NULL;
  bool any = false;
  co_status status;
  *out = NULL;
  for (int64_t i = 0; i < model->input_count; i++)
    any = any || drops(&model->inputs[i]);
  CO_TRY(co_dataset_split(dataset, CO_SPLIT_TRAIN, &w.samples, &w.sample_count));
  *count = w.sample_count;
  if (!any) return CO_OK;
  dropped = co_alloc_zero(w.ctx, (size_t)co_dataset_rows(dataset) + 1, 1);
  status = dropped ? fit_all(&w, model, workers, drops) : CO_ERR_MEMORY;
  if (status == CO_OK) status = mark_all(&w, model, dropped);
  if (status == CO_OK) status = list_kept(&w, dropped, out, count);
cleanup:
  co_free(w.ctx, w.items);
  co_free(w.ctx, dropped);
  if (status == CO_OK) return CO_OK;
  co_free(w.ctx, *out);
  *out = NULL;
  return status;
}

// ---- classes -----------------------------------------------------------------------------------

static co_status take_members(co_input_feature *feature, co_context *ctx, co_dataset *dataset,
                              co_arena *arena) {
  const co_column *column = co_schema_find(co_dataset_schema(dataset), feature->column->name);
  co_class_members members = {0};
  if (column && column->picture.rank) {
    uint8_t *pixels = co_arena_alloc(arena, (size_t)column->category_count,
                                     (size_t)co_shape_count(&column->picture));
    if (!pixels) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_dataset_pictures(dataset, column->name, pixels));
    members.pictures = pixels;
  }
  if (column && column->described)
    CO_RETURN_IF_FAILED(
        co_dataset_descriptions(dataset, column->name, arena, &members.descriptions));
  return feature->class_->input->take_classes(ctx, feature, &members);
}

// What features learn of their columns' classes, which have no rows.
static co_status take_all_members(co_model *model, co_dataset *dataset) {
  for (int64_t i = 0; i < model->input_count; i++) {
    co_arena *arena;
    if (!model->inputs[i].class_->input->take_classes) continue;
    CO_RETURN_IF_FAILED(co_arena_create(&arena, model->ctx));
    co_status status = take_members(&model->inputs[i], model->ctx, dataset, arena);
    co_arena_free(arena);
    CO_RETURN_IF_FAILED(status);
  }
  return CO_OK;
}

// ---- all ---------------------------------------------------------------------------------------

static bool every(const co_input_feature *feature) {
  (void)feature;
  return true;
}

co_status co_fit_features(co_model *model, co_dataset *dataset, int workers) {
  work w = {.ctx = model->ctx, .dataset = dataset};
  int64_t *kept = NULL;
  co_status status;
  CO_TRY(co_dataset_split(dataset, CO_SPLIT_TRAIN, &w.samples, &w.sample_count));
  CO_TRY(co_training_rows(model, dataset, workers, &kept, &w.sample_count));
  if (kept) w.samples = kept;
  CO_TRY(fit_all(&w, model, workers, every));
  CO_TRY(take_all_members(model, dataset));
  for (int64_t i = 0; i < model->output_count; i++) {
    CO_TRY(fit_classes(&w, &model->outputs[i]));
    if (model->outputs[i].normalization) CO_TRY(standardize(&w, &model->outputs[i]));
    if (model->outputs[i].text) CO_TRY(fit_text(&w, &model->outputs[i]));
  }
  CO_TRY(count_all(&w, model, workers));
cleanup:
  co_free(w.ctx, w.items);
  co_free(w.ctx, kept);
  return status;
}

// ---- checking ----------------------------------------------------------------------------------

static co_status check_input(const co_model *model, const co_input_feature *feature,
                             co_dataset *dataset, const int64_t *samples, int64_t count,
                             co_input_counts *out) {
  reader r;
  *out = (co_input_counts){0};
  if (!feature->class_->input->check) return CO_OK;
  co_status status = open_reader(&r, model->ctx, dataset, feature, false);
  if (status == CO_OK) status = read_rows(&r, samples, count, check_rows, out->of);
  close_reader(&r, model->ctx);
  return status;
}

co_status co_check_inputs(const co_model *model, co_dataset *dataset, const int64_t *samples,
                          int64_t count, co_input_counts *counts) {
  int threads = count < CHUNK ? 1 : co_context_threads(model->ctx);
  int64_t failed = model->input_count; // the first that did
  co_error error;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t i = 0; i < model->input_count; i++) {
    co_input_counts own;
    co_status status = check_input(model, &model->inputs[i], dataset, samples, count, &own);
    if (counts) counts[i] = own;
    if (status == CO_OK) continue;
#pragma omp critical(co_fit_features)
    if (i < failed) {
      failed = i;
      co_error_copy(&error); // of this thread
    }
  }
  return failed < model->input_count ? co_error_raise(&error) : CO_OK;
}

void co_render_input_count(co_json *json, co_text *text, const char *input,
                           const co_input_counts *counts) {
  bool any = false;
  for (int k = CO_COUNT_ROWS + 1; k < CO_COUNT_KINDS; k++)
    any = any || counts->of[k];
  if (!any) return;
  co_json_key(json, input);
  co_json_open(json, '{');
  for (int k = 0; k < CO_COUNT_KINDS; k++) {
    if (!counts->of[k]) continue;
    co_json_key(json, co_count_names[k]);
    co_json_int(json, counts->of[k]);
  }
  co_json_close(json);
  const char *before = "";
  co_text_printf(text, "  %-24s ", input);
  for (int k = CO_COUNT_ROWS + 1; k < CO_COUNT_KINDS; k++) {
    if (!counts->of[k]) continue;
    co_text_printf(text, "%s%lld %s", before, (long long)counts->of[k], co_count_names[k]);
    before = ", ";
  }
  co_text_printf(text, "\n");
}

void co_render_input_counts(co_json *json, co_text *text, const co_model *model,
                            const co_input_counts *counts) {
  co_text lines;
  co_text_init(&lines, model->ctx);
  co_json_open(json, '{');
  for (int64_t i = 0; i < model->input_count; i++) {
    const co_fitted *fitted = co_feature_counts(&model->inputs[i]);
    co_input_counts own = {0};
    if (counts)
      own = counts[i];
    else if (fitted)
      memcpy(own.of, fitted->bytes, sizeof own.of);
    co_render_input_count(json, &lines, model->inputs[i].name, &own);
  }
  co_json_close(json);
  if (lines.length) co_text_printf(text, "in the inputs' values\n%s", lines.data);
  co_text_free(&lines);
}
