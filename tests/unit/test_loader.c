// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <time.h>

#include "datasets/loader.h"
#include "host/core/rng.h"

enum { ROWS = 103, BATCH = 10, BATCHES = 11, SLOTS = 4, MOST_WORKERS = 8 };

typedef struct probe {
  int64_t sum[SLOTS];                          // what fill leaves in a slot
  int in_slot[SLOTS], in_worker[MOST_WORKERS]; // calls in progress
  pthread_mutex_t mutex;
  bool overlapped, slow;
  int64_t fail_epoch, fail_batch; // -1 = never
} probe;

static void nap(long nanoseconds) {
  struct timespec t = {.tv_nsec = nanoseconds};
  nanosleep(&t, NULL);
}

static co_status fill(void *user, int worker, const co_batch *batch) {
  probe *p = user;
  pthread_mutex_lock(&p->mutex);
  if (p->in_slot[batch->slot]++ || p->in_worker[worker]++) p->overlapped = true;
  pthread_mutex_unlock(&p->mutex);
  if (p->slow) nap((batch->index * 7 % 5) * 100000);
  p->sum[batch->slot] = 0;
  for (int64_t i = 0; i < batch->rows; i++)
    p->sum[batch->slot] += batch->samples[i];
  pthread_mutex_lock(&p->mutex);
  p->in_slot[batch->slot]--;
  p->in_worker[worker]--;
  pthread_mutex_unlock(&p->mutex);
  if (batch->epoch == p->fail_epoch && batch->index >= p->fail_batch)
    return co_fail(CO_ERR_DATA, "batch %lld is bad", (long long)batch->index);
  return CO_OK;
}

typedef struct fixture {
  co_context *ctx;
  int64_t rows[ROWS];
  probe probe;
  co_loader_options options;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  assert_int_equal(co_context_create(&f->ctx, NULL), CO_OK);
  pthread_mutex_init(&f->probe.mutex, NULL);
  f->probe.fail_epoch = f->probe.fail_batch = -1;
  for (int i = 0; i < ROWS; i++)
    f->rows[i] = 1000 + 3 * i;
  f->options = (co_loader_options){.rows = f->rows,
                                   .row_count = ROWS,
                                   .batch_rows = BATCH,
                                   .shuffle = true,
                                   .seed = 7,
                                   .epochs = 3,
                                   .workers = 3,
                                   .slots = SLOTS,
                                   .fill = fill,
                                   .user = &f->probe};
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  assert_false(f->probe.overlapped);
  pthread_mutex_destroy(&f->probe.mutex);
  co_context_free(f->ctx);
  free(f);
  return 0;
}

// Reads to the end; returns the number of samples, which go to `out`.
static int64_t drain(fixture *f, int64_t *out) {
  co_loader *loader;
  const co_batch *batch;
  bool done;
  int64_t count = 0, number = f->options.epoch * BATCHES + f->options.first_batch_of_epoch;
  assert_int_equal(co_loader_create(&loader, f->ctx, &f->options), CO_OK);
  assert_int_equal(co_loader_batches(loader), BATCHES);
  for (;; number++) {
    assert_int_equal(co_loader_next(loader, &batch, &done), CO_OK);
    if (done) break;
    assert_int_equal(batch->epoch, number / BATCHES);
    assert_int_equal(batch->index, number % BATCHES);
    assert_int_equal(batch->last, batch->index == BATCHES - 1);
    assert_int_equal(batch->rows, batch->last ? ROWS % BATCH : BATCH);
    int64_t sum = 0;
    for (int64_t i = 0; i < batch->rows; i++)
      sum += out[count++] = batch->samples[i];
    assert_int_equal(sum, f->probe.sum[batch->slot]);
    co_loader_release(loader, batch);
  }
  assert_null(batch);
  assert_true(co_loader_wait_seconds(loader) >= 0);
  co_loader_free(loader);
  return count;
}

static void every_worker_count_gives_the_same_order(void **state) {
  fixture *f = *state;
  static int64_t one[3 * ROWS], many[3 * ROWS];
  f->options.workers = 1;
  assert_int_equal(drain(f, one), 3 * ROWS);
  f->probe.slow = true;
  for (int workers = 2; workers <= MOST_WORKERS; workers *= 2) {
    f->options.workers = workers;
    assert_int_equal(drain(f, many), 3 * ROWS);
    assert_memory_equal(one, many, sizeof one);
  }
  for (int i = 0; i < ROWS; i++) // the order is the documented one
    assert_int_equal(one[ROWS + i],
                     f->rows[co_permute(7, 1, co_purpose("order", ""), ROWS, (uint64_t)i)]);
}

static void every_row_comes_once_an_epoch(void **state) {
  fixture *f = *state;
  static int64_t seen[3 * ROWS];
  drain(f, seen);
  for (int epoch = 0; epoch < 3; epoch++) {
    int times[ROWS] = {0};
    for (int i = 0; i < ROWS; i++)
      times[(seen[epoch * ROWS + i] - 1000) / 3]++;
    for (int i = 0; i < ROWS; i++)
      assert_int_equal(times[i], 1);
  }
  assert_memory_not_equal(seen, seen + ROWS, ROWS * sizeof *seen);
}

static void without_shuffle_rows_come_in_their_order(void **state) {
  fixture *f = *state;
  static int64_t seen[3 * ROWS];
  f->options.shuffle = false;
  drain(f, seen);
  assert_memory_equal(seen, f->rows, sizeof f->rows);
}

static void resuming_continues_at_the_batch(void **state) {
  fixture *f = *state;
  static int64_t all[3 * ROWS], rest[3 * ROWS];
  drain(f, all);
  f->options.epoch = 1;
  f->options.first_batch_of_epoch = 4;
  f->options.epochs = 2;
  assert_int_equal(drain(f, rest), 2 * ROWS - 4 * BATCH);
  assert_memory_equal(rest, all + ROWS + 4 * BATCH, (2 * ROWS - 4 * BATCH) * sizeof *all);
}

static void stopping_midway_joins_the_workers(void **state) {
  fixture *f = *state;
  f->options.epochs = 0;
  f->probe.slow = true;
  for (int stop_after = 0; stop_after < 6; stop_after++) {
    co_loader *loader;
    const co_batch *batch;
    bool done;
    assert_int_equal(co_loader_create(&loader, f->ctx, &f->options), CO_OK);
    for (int i = 0; i < stop_after; i++) {
      assert_int_equal(co_loader_next(loader, &batch, &done), CO_OK);
      if (i + 1 < stop_after) co_loader_release(loader, batch);
    }
    co_loader_free(loader); // with one batch still lent
  }
  co_loader_free(NULL);
}

static void the_first_error_in_order_is_raised_and_stays(void **state) {
  fixture *f = *state;
  f->probe.slow = true;
  f->probe.fail_epoch = 0;
  f->probe.fail_batch = 6;
  f->options.workers = SLOTS;
  co_loader *loader;
  const co_batch *batch;
  bool done;
  assert_int_equal(co_loader_create(&loader, f->ctx, &f->options), CO_OK);
  for (int i = 0; i < 6; i++) {
    assert_int_equal(co_loader_next(loader, &batch, &done), CO_OK);
    assert_int_equal(batch->index, i);
    co_loader_release(loader, batch);
  }
  for (int again = 0; again < 2; again++) {
    co_error_clear();
    assert_int_equal(co_loader_next(loader, &batch, &done), CO_ERR_DATA);
    assert_string_equal(co_error_last()->message, "batch 6 is bad");
    assert_false(done);
  }
  co_loader_free(loader);
}

static void lending_every_slot_is_an_error_not_a_deadlock(void **state) {
  fixture *f = *state;
  co_loader *loader;
  const co_batch *batch[SLOTS + 1];
  bool done;
  assert_int_equal(co_loader_create(&loader, f->ctx, &f->options), CO_OK);
  for (int i = 0; i < SLOTS; i++)
    assert_int_equal(co_loader_next(loader, &batch[i], &done), CO_OK);
  assert_int_equal(co_loader_next(loader, &batch[SLOTS], &done), CO_ERR_INTERNAL);
  for (int i = SLOTS - 1; i >= 0; i--) // any order of release will do
    co_loader_release(loader, batch[i]);
  assert_int_equal(co_loader_next(loader, &batch[0], &done), CO_OK);
  co_loader_release(loader, batch[0]);
  co_loader_free(loader);
}

static void bad_options_are_refused(void **state) {
  fixture *f = *state;
  co_loader *loader;
  co_loader_options good = f->options, bad;
#define REFUSED(change)                                                                            \
  bad = good;                                                                                      \
  bad.change;                                                                                      \
  assert_int_equal(co_loader_create(&loader, f->ctx, &bad), CO_ERR_INTERNAL);                      \
  assert_null(loader)
  REFUSED(row_count = 0);
  REFUSED(batch_rows = 0);
  REFUSED(workers = 0);
  REFUSED(slots = 1);
  REFUSED(first_batch_of_epoch = BATCHES);
  REFUSED(epochs = INT64_MAX);
  REFUSED(rows = NULL);
}

static void failing_allocations_leave_nothing(void **state) {
  fixture *f = *state;
  co_loader *loader;
  int64_t nth = 1;
  for (;; nth++) {
    co_alloc_fail_at(f->ctx, nth, false);
    if (co_loader_create(&loader, f->ctx, &f->options) == CO_OK) break;
    assert_int_equal(co_error_last()->status, CO_ERR_MEMORY);
    assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  }
  co_alloc_fail_at(f->ctx, 0, false);
  assert_true(nth > 2);
  co_loader_free(loader);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(every_worker_count_gives_the_same_order),
      TEST(every_row_comes_once_an_epoch),
      TEST(without_shuffle_rows_come_in_their_order),
      TEST(resuming_continues_at_the_batch),
      TEST(stopping_midway_joins_the_workers),
      TEST(the_first_error_in_order_is_raised_and_stays),
      TEST(lending_every_slot_is_an_error_not_a_deadlock),
      TEST(bad_options_are_refused),
      TEST(failing_allocations_leave_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
