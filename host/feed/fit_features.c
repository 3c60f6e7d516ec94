// SPDX-License-Identifier: Apache-2.0
#include "host/feed/fit_features.h"

#include <pthread.h>
#include <stdatomic.h>

#include "models/feature.h"

enum { CHUNK = 1024, MOST_WORKERS = 64 };

// A feature being fitted.
typedef struct fitting {
  co_input_feature *feature;
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

static co_status read_rows(const work *w, fitting *f) {
  const co_column *column = f->feature->column;
  size_t row = (size_t)co_shape_count(&column->shape) * co_dtype_size(column->dtype);
  const co_fit_class *fit = f->feature->class_->input->fit;
  void *values = co_alloc(w->ctx, CHUNK * row);
  co_status status = values ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < w->sample_count; i += CHUNK) {
    int64_t rows = w->sample_count - i < CHUNK ? w->sample_count - i : CHUNK;
    status = co_dataset_gather(w->dataset, f->feature->name, w->samples + i, rows, values);
    if (status == CO_OK) status = fit->add(f->feature, f->state, values, rows, w->samples + i);
  }
  co_free(w->ctx, values);
  return status;
}

static void *run(void *user) {
  work *w = user;
  for (int64_t i; (i = atomic_fetch_add(&w->next, 1)) < w->count;) {
    fitting *f = &w->items[i];
    f->status = read_rows(w, f);
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
    if (!(f->state = co_alloc_zero(w->ctx, 1, class_->fit->state_size))) return CO_ERR_MEMORY;
    w->count++;
    CO_RETURN_IF_FAILED(class_->fit->begin(w->ctx, feature, f->state));
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
    CO_RETURN_IF_FAILED(f->feature->class_->input->fit->end(w->ctx, f->feature, f->state));
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
    w.items[i].feature->class_->input->fit->free(w.ctx, w.items[i].state);
    co_free(w.ctx, w.items[i].state);
  }
  co_free(w.ctx, w.items);
  return status;
}
