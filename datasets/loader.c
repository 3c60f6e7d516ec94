// SPDX-License-Identifier: Apache-2.0
// Batch number t always goes to slot t % slots, and workers take numbers in ascending order. So the
// consumer can wait for one slot at a time, delivery is in order by construction, and the first
// error in order is the one that is raised, whatever the workers' speed.
#include "datasets/loader.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "datasets/order.h"

typedef enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_FAILED, SLOT_LENT } slot_state;

typedef struct slot {
  slot_state state;
  co_batch batch;
  int64_t *samples;
  co_error error;
} slot;

typedef struct worker {
  co_loader *loader;
  int index;
  pthread_t thread;
  co_order_window window;
} worker;

struct co_loader {
  co_context *ctx;
  co_loader_options options;
  co_order order;
  co_order_window window; // the consumer's
  int64_t batches;        // per epoch
  slot *slots;
  int64_t *samples; // of all slots
  worker *workers;
  int started; // worker threads to join
  double waited;
  // Guarded by the mutex.
  pthread_mutex_t mutex;
  pthread_cond_t work, ready; // a slot became free, or stop; a batch was finished
  int64_t taken, delivered;   // next batch number to fill, to deliver
  int64_t total;              // batch numbers there are; INT64_MAX without end
  bool stop;
};

static void prepare(worker *self, int64_t number, slot *s) {
  const co_loader *loader = self->loader;
  const co_loader_options *o = &loader->options;
  int64_t position = number + o->first_batch_of_epoch;
  co_batch *batch = &s->batch;
  batch->epoch = o->epoch + (uint32_t)(position / loader->batches);
  batch->index = position % loader->batches;
  batch->last = batch->index == loader->batches - 1;
  batch->slot = (int)(number % o->slots);
  batch->samples = s->samples;
  batch->rows = co_order_rows(&loader->order, batch->index);
  batch->class_number =
      co_order_batch(&loader->order, &self->window, batch->epoch, batch->index, s->samples);
  for (int64_t i = 0; i < batch->rows; i++)
    s->samples[i] = o->rows[s->samples[i]];
}

static void *work(void *argument) {
  worker *self = argument;
  co_loader *loader = self->loader;
  pthread_mutex_lock(&loader->mutex);
  for (;;) {
    int64_t number = loader->taken;
    slot *s = &loader->slots[number % loader->options.slots];
    if (loader->stop || number >= loader->total) break;
    if (s->state != SLOT_FREE) {
      pthread_cond_wait(&loader->work, &loader->mutex);
      continue;
    }
    loader->taken++;
    s->state = SLOT_FILLING;
    pthread_mutex_unlock(&loader->mutex);

    prepare(self, number, s);
    co_status status = loader->options.fill(loader->options.user, self->index, &s->batch);

    pthread_mutex_lock(&loader->mutex);
    s->state = status == CO_OK ? SLOT_READY : SLOT_FAILED;
    if (status != CO_OK) {
      co_error_copy(&s->error);
      s->error.status = status;      // also where the callback returned a code without recording
      loader->total = loader->taken; // batches after this one would never be delivered
      pthread_cond_broadcast(&loader->work);
    }
    pthread_cond_signal(&loader->ready);
  }
  pthread_mutex_unlock(&loader->mutex);
  return NULL;
}

static co_status check(const co_loader_options *o) {
  if (!o->rows || !o->fill || o->row_count < 1 || o->batch_rows < 1 || o->workers < 1 ||
      o->slots < 2 || o->epochs < 0)
    return co_fail(CO_ERR_INTERNAL, "loader: invalid options (%lld rows, batches of %lld)",
                   (long long)o->row_count, (long long)o->batch_rows);
  int64_t batches = (o->row_count - 1) / o->batch_rows + 1;
  if (o->first_batch_of_epoch >= batches)
    return co_fail(CO_ERR_INTERNAL, "loader: cannot start at batch %lu of an epoch of %lld",
                   (unsigned long)o->first_batch_of_epoch, (long long)batches);
  if (o->classes && (o->class_count < 1 || o->class_count > 256))
    return co_fail(CO_ERR_INTERNAL, "loader: %d classes", o->class_count);
  for (int64_t i = 0; o->classes && i < o->row_count; i++)
    if (o->classes[i] >= o->class_count)
      return co_fail(CO_ERR_INTERNAL, "loader: row %lld has class %d of %d", (long long)i,
                     o->classes[i], o->class_count);
  if (o->epochs > (int64_t)UINT32_MAX + 1 - o->epoch || o->epochs > INT64_MAX / batches)
    return co_fail(CO_ERR_INTERNAL, "loader: %lld epochs are too many", (long long)o->epochs);
  return CO_OK;
}

static co_status start_workers(co_loader *loader) {
  // Signals are the business of the program's own threads, so workers inherit them blocked.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = 0;
  for (int i = 0; i < loader->options.workers && !error; i++) {
    worker *w = &loader->workers[i];
    error = pthread_create(&w->thread, NULL, work, w);
    if (!error) loader->started++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!error) return CO_OK;
  co_fail_errno(CO_ERR_MEMORY, error, "cannot start a loader thread");
  co_hint("give fewer --workers, or raise the limits of processes and memory (ulimit -u, -v)");
  return CO_ERR_MEMORY;
}

co_status co_loader_create(co_loader **out, co_context *ctx, const co_loader_options *options) {
  co_status status = CO_OK;
  *out = NULL;
  CO_RETURN_IF_FAILED(check(options));
  co_loader *loader = co_alloc_zero(ctx, 1, sizeof *loader);
  if (!loader) return CO_ERR_MEMORY;
  loader->ctx = ctx;
  loader->options = *options;
  loader->order = (co_order){.row_count = options->row_count,
                             .batch_rows = options->batch_rows,
                             .shuffle = options->shuffle,
                             .seed = options->seed,
                             .classes = options->classes,
                             .class_count = options->class_count};
  co_order_init(&loader->order);
  loader->batches = (options->row_count - 1) / options->batch_rows + 1;
  loader->total = options->epochs
                      ? options->epochs * loader->batches - options->first_batch_of_epoch
                      : INT64_MAX;
  pthread_mutex_init(&loader->mutex, NULL);
  pthread_cond_init(&loader->work, NULL);
  pthread_cond_init(&loader->ready, NULL);

  int64_t rows =
      options->batch_rows < options->row_count ? options->batch_rows : options->row_count;
  size_t slots = (size_t)options->slots;
  status = CO_ERR_MEMORY;
  if (!(loader->slots = co_alloc_zero(ctx, slots, sizeof *loader->slots))) goto cleanup;
  if (!(loader->samples = co_alloc_zero(ctx, slots, (size_t)rows * sizeof *loader->samples)))
    goto cleanup;
  for (size_t i = 0; i < slots; i++)
    loader->slots[i].samples = loader->samples + (int64_t)i * rows;
  loader->workers = co_alloc_zero(ctx, (size_t)options->workers, sizeof *loader->workers);
  if (!loader->workers) goto cleanup;
  CO_TRY(co_order_window_create(&loader->window, ctx, &loader->order));
  for (int i = 0; i < options->workers; i++) {
    loader->workers[i] = (worker){.loader = loader, .index = i};
    CO_TRY(co_order_window_create(&loader->workers[i].window, ctx, &loader->order));
  }
  CO_TRY(start_workers(loader));
  *out = loader;
  return CO_OK;

cleanup:
  co_loader_free(loader);
  return status;
}

void co_loader_free(co_loader *loader) {
  if (!loader) return;
  pthread_mutex_lock(&loader->mutex);
  loader->stop = true;
  pthread_cond_broadcast(&loader->work);
  pthread_mutex_unlock(&loader->mutex);
  for (int i = 0; i < loader->started; i++)
    pthread_join(loader->workers[i].thread, NULL);
  pthread_cond_destroy(&loader->ready);
  pthread_cond_destroy(&loader->work);
  pthread_mutex_destroy(&loader->mutex);
  for (int i = 0; loader->workers && i < loader->options.workers; i++)
    co_order_window_free(&loader->workers[i].window, loader->ctx);
  co_order_window_free(&loader->window, loader->ctx);
  co_free(loader->ctx, loader->workers);
  co_free(loader->ctx, loader->samples);
  co_free(loader->ctx, loader->slots);
  co_free(loader->ctx, loader);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

co_status co_loader_next(co_loader *loader, const co_batch **out, bool *done) {
  co_status status = CO_OK;
  *out = NULL;
  *done = false;
  pthread_mutex_lock(&loader->mutex);
  slot *s = &loader->slots[loader->delivered % loader->options.slots];
  if (loader->delivered >= loader->total) {
    *done = true;
  } else if (s->state == SLOT_LENT) {
    status = co_fail(CO_ERR_INTERNAL, "loader: all %d slots are in use by the consumer",
                     loader->options.slots);
  } else {
    if (s->state != SLOT_READY && s->state != SLOT_FAILED) {
      double begin = now();
      while (s->state != SLOT_READY && s->state != SLOT_FAILED)
        pthread_cond_wait(&loader->ready, &loader->mutex);
      loader->waited += now() - begin;
    }
    if (s->state == SLOT_FAILED) { // stays so: every later call raises the same error
      status = co_error_raise(&s->error);
    } else {
      s->state = SLOT_LENT;
      loader->delivered++;
      *out = &s->batch;
    }
  }
  pthread_mutex_unlock(&loader->mutex);
  return status;
}

void co_loader_release(co_loader *loader, const co_batch *batch) {
  if (!batch) return;
  pthread_mutex_lock(&loader->mutex);
  loader->slots[batch->slot].state = SLOT_FREE;
  pthread_cond_broadcast(&loader->work);
  pthread_mutex_unlock(&loader->mutex);
}

double co_loader_wait_seconds(const co_loader *loader) {
  return loader->waited;
}

int64_t co_loader_batches(const co_loader *loader) {
  return loader->batches;
}

int co_loader_class(co_loader *loader, uint32_t epoch, int64_t index) {
  return co_order_class(&loader->order, &loader->window, epoch, index);
}
