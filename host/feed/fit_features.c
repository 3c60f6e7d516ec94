// SPDX-License-Identifier: Apache-2.0
#include "host/feed/fit_features.h"

#include <pthread.h>
#include <stdatomic.h>

#include "models/feature.h"

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
  atomic_llong next;
} work;

// Hands the values of samples to whoever wants them, a piece at a time, in order.
typedef struct reader {
  co_dataset *dataset;
  const co_input_feature *feature;
  bool numbers;               // are handed out as double
  co_numbers stored;          // of numbers
  const int64_t *index;       // of numbers: row of each sample, NULL = its own number
  const int64_t *begin, *end; // of events: their range
  size_t row_bytes;
  void *values;
  int64_t *samples;
} reader;

static co_status open_reader(reader *r, co_context *ctx, co_dataset *dataset,
                             const co_input_feature *feature) {
  const co_column *column = co_schema_find(co_dataset_schema(dataset), feature->name);
  const void *data;
  int64_t rows;
  *r = (reader){.dataset = dataset, .feature = feature};
  r->numbers = column->shape.rank == 0 && column->dtype == CO_F32; // delivered so, stored otherwise
  r->row_bytes = r->numbers ? sizeof(double)
                            : (size_t)co_shape_count(&column->shape) * co_dtype_size(column->dtype);
  r->values = co_alloc(ctx, CHUNK * r->row_bytes);
  r->samples = co_alloc(ctx, CHUNK * sizeof *r->samples);
  if (!r->values || !r->samples) return CO_ERR_MEMORY;
  if (r->numbers) CO_RETURN_IF_FAILED(co_dataset_numbers(dataset, feature->name, &r->stored));
  if (feature->event_table >= 0)
    return co_dataset_ranges(dataset, column->table, &r->begin, &r->end);
  return co_dataset_column(dataset, feature->name, &data, &rows, &r->index);
}

static void close_reader(reader *r, co_context *ctx) {
  co_free(ctx, r->values);
  co_free(ctx, r->samples);
}

typedef co_status (*take_rows)(const co_input_feature *feature, void *state, const void *values,
                               int64_t rows, const int64_t *samples);

// What a sample has: one row, or its events.
static int64_t rows_of(const reader *r, int64_t sample, int64_t *first) {
  if (!r->begin) {
    *first = r->index ? r->index[sample] : sample;
    return 1;
  }
  int64_t count = r->end[sample] - r->begin[sample];
  int64_t most = r->feature->class_->input->most_events(r->feature);
  if (count > most) count = most;
  *first = r->end[sample] - count;
  return count;
}

static co_status read_numbers(reader *r, const int64_t *samples, int64_t count, take_rows take,
                              void *state) {
  double *values = r->values;
  int64_t held = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t first, rows = rows_of(r, samples[i], &first);
    for (int64_t k = 0; k < rows; k++) {
      values[held] = co_numbers_at(&r->stored, first + k);
      r->samples[held++] = samples[i];
      if (held < CHUNK) continue;
      CO_RETURN_IF_FAILED(take(r->feature, state, values, held, r->samples));
      held = 0;
    }
  }
  return held ? take(r->feature, state, values, held, r->samples) : CO_OK;
}

static co_status read_rows(reader *r, const int64_t *samples, int64_t count, take_rows take,
                           void *state) {
  if (r->numbers) return read_numbers(r, samples, count, take, state);
  for (int64_t i = 0; i < count; i += CHUNK) {
    int64_t rows = count - i < CHUNK ? count - i : CHUNK;
    CO_RETURN_IF_FAILED(
        co_dataset_gather(r->dataset, r->feature->name, samples + i, rows, r->values));
    CO_RETURN_IF_FAILED(take(r->feature, state, r->values, rows, samples + i));
  }
  return CO_OK;
}

static co_status fit_rows(const work *w, fitting *f) {
  reader r;
  co_status status = open_reader(&r, w->ctx, w->dataset, f->feature);
  if (status == CO_OK)
    status = read_rows(&r, w->samples, w->sample_count, f->class_->add, f->state);
  if (status == CO_OK && f->class_->settle) status = f->class_->settle(f->feature, f->state);
  close_reader(&r, w->ctx);
  return status;
}

static void *run(void *user) {
  work *w = user;
  for (int64_t i; (i = atomic_fetch_add(&w->next, 1)) < w->count;) {
    fitting *f = &w->items[i];
    f->status = fit_rows(w, f);
    if (f->status != CO_OK) co_error_copy(&f->error); // of this thread
  }
  return NULL;
}

static co_status begin(work *w, co_model *model) {
  for (int64_t i = 0; i < model->input_count; i++) {
    co_input_feature *feature = &model->inputs[i];
    const co_input_class *class_ = feature->class_->input;
    if (!class_->is_fitted || !class_->is_fitted(feature)) continue;
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

co_status co_fit_features(co_model *model, co_dataset *dataset, int workers) {
  work w = {.ctx = model->ctx, .dataset = dataset};
  co_status status;
  CO_TRY(co_dataset_split(dataset, CO_SPLIT_TRAIN, &w.samples, &w.sample_count));
  w.items = co_alloc_zero(w.ctx, (size_t)model->input_count + 1, sizeof *w.items);
  status = w.items ? CO_OK : CO_ERR_MEMORY;
  if (status != CO_OK) goto cleanup;
  CO_TRY(begin(&w, model));
  run_all(&w, workers);
  CO_TRY(end(&w));
cleanup:
  for (int64_t i = 0; i < w.count; i++) {
    w.items[i].class_->free(w.ctx, w.items[i].state);
    co_free(w.ctx, w.items[i].state);
  }
  co_free(w.ctx, w.items);
  return status;
}

// ---- checking ----------------------------------------------------------------------------------

static co_status check_rows(const co_input_feature *feature, void *state, const void *values,
                            int64_t rows, const int64_t *samples) {
  (void)state;
  return feature->class_->input->check(feature, values, rows, samples);
}

co_status co_check_inputs(const co_model *model, co_dataset *dataset, const int64_t *samples,
                          int64_t count) {
  for (int64_t i = 0; i < model->input_count; i++) {
    const co_input_feature *feature = &model->inputs[i];
    reader r;
    if (!feature->class_->input->check) continue;
    co_status status = open_reader(&r, model->ctx, dataset, feature);
    if (status == CO_OK) status = read_rows(&r, samples, count, check_rows, NULL);
    close_reader(&r, model->ctx);
    CO_RETURN_IF_FAILED(status);
  }
  return CO_OK;
}
