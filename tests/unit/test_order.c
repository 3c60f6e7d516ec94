// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
// Batches of one class: every row once an epoch, runs that stay together, the same from wherever
// one asks, by any number of workers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/loader.h"
#include "datasets/order.h"
#include "host/core/rng.h"

enum { ROWS = 3011, BATCH = 20, BATCHES = 151, WHOLE = 150, CLASSES = 5, EPOCHS = 2 };

typedef struct fixture {
  co_context *ctx;
  int64_t rows[ROWS];
  uint8_t classes[ROWS];
  co_loader_options options;
} fixture;

static co_status fill(void *user, int worker, const co_batch *batch) {
  (void)user;
  (void)worker;
  (void)batch;
  return CO_OK;
}

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  assert_int_equal(co_context_create(&f->ctx, NULL), CO_OK);
  for (int i = 0; i < ROWS; i++) {
    f->rows[i] = 2 * i + 7;
    // Uneven: most rows are short.
    uint32_t bits = co_random_bits(3, (uint64_t)i, 0, 0) % 100;
    f->classes[i] = bits < 50 ? 0 : bits < 80 ? 1 : bits < 90 ? 2 : bits < 99 ? 3 : 4;
  }
  f->options = (co_loader_options){.rows = f->rows,
                                   .row_count = ROWS,
                                   .classes = f->classes,
                                   .class_count = CLASSES,
                                   .batch_rows = BATCH,
                                   .shuffle = true,
                                   .seed = 11,
                                   .epochs = EPOCHS,
                                   .workers = 3,
                                   .slots = 5,
                                   .fill = fill};
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  co_context_free(f->ctx);
  free(f);
  return 0;
}

typedef struct delivered {
  int64_t samples[EPOCHS * BATCHES][BATCH], rows[EPOCHS * BATCHES];
  int class_number[EPOCHS * BATCHES];
  int64_t batches;
} delivered;

static void drain(fixture *f, delivered *out) {
  co_loader *loader;
  const co_batch *batch;
  bool done;
  memset(out, 0, sizeof *out);
  assert_int_equal(co_loader_create(&loader, f->ctx, &f->options), CO_OK);
  for (;;) {
    assert_int_equal(co_loader_next(loader, &batch, &done), CO_OK);
    if (done) break;
    int64_t at = out->batches++;
    memcpy(out->samples[at], batch->samples, (size_t)batch->rows * sizeof(int64_t));
    out->rows[at] = batch->rows;
    out->class_number[at] = batch->class_number;
    // Both ways of asking agree, also for a batch far ahead.
    assert_int_equal(co_loader_class(loader, batch->epoch, batch->index), batch->class_number);
    co_loader_class(loader, batch->epoch + 1, (batch->index * 7) % BATCHES);
    co_loader_release(loader, batch);
  }
  co_loader_free(loader);
}

static int class_of(const fixture *f, int64_t sample) {
  return f->classes[(sample - 7) / 2];
}

static void every_row_comes_once_an_epoch(void **state) {
  fixture *f = *state;
  delivered *all = malloc(sizeof *all);
  drain(f, all);
  assert_int_equal(all->batches, EPOCHS * BATCHES);
  for (int epoch = 0; epoch < EPOCHS; epoch++) {
    int times[ROWS] = {0};
    for (int b = 0; b < BATCHES; b++) {
      int64_t at = epoch * BATCHES + b;
      assert_int_equal(all->rows[at], b == WHOLE ? ROWS % BATCH : BATCH);
      int largest = 0;
      for (int64_t i = 0; i < all->rows[at]; i++) {
        times[(all->samples[at][i] - 7) / 2]++;
        int c = class_of(f, all->samples[at][i]);
        if (c > largest) largest = c;
      }
      assert_int_equal(all->class_number[at], largest);
    }
    for (int i = 0; i < ROWS; i++)
      assert_int_equal(times[i], 1);
  }
  assert_memory_not_equal(all->samples[0], all->samples[BATCHES], sizeof all->samples[0]);
  free(all);
}

// A window's rows are those that the plain shuffle has there, sorted stably; only a batch at each
// border of two classes is mixed.
static void windows_are_sorted_shuffles(void **state) {
  fixture *f = *state;
  delivered *all = malloc(sizeof *all);
  drain(f, all);
  uint32_t purpose = co_purpose("order", "");
  int pure = 0;
  for (int first = 0; first < WHOLE; first += CO_ORDER_WINDOW) {
    int batches = WHOLE - first < CO_ORDER_WINDOW ? WHOLE - first : CO_ORDER_WINDOW, mixed = 0;
    int place[ROWS]; // in the plain shuffle; -1 = not in this window
    memset(place, -1, sizeof place);
    for (int i = 0; i < batches * BATCH; i++)
      place[co_permute(11, 1, purpose, ROWS, (uint64_t)(first * BATCH + i))] = i;
    for (int b = first; b < first + batches; b++) {
      const int64_t *samples = all->samples[BATCHES + b];
      for (int i = 0; i < BATCH; i++) {
        int here = place[(samples[i] - 7) / 2];
        assert_true(here >= 0);
        if (!i) continue;
        int before = place[(samples[i - 1] - 7) / 2];
        int c = class_of(f, samples[i]), d = class_of(f, samples[i - 1]);
        assert_true(c > d || (c == d && here > before));
      }
      mixed += class_of(f, samples[0]) != class_of(f, samples[BATCH - 1]);
    }
    assert_in_range(mixed, 0, CLASSES - 1);
    pure += batches - mixed;
  }
  assert_true(pure > WHOLE * 8 / 10);
  for (int i = 0; i < ROWS % BATCH; i++) // the rest is as shuffled
    assert_int_equal(all->samples[BATCHES + WHOLE][i],
                     f->rows[co_permute(11, 1, purpose, ROWS, (uint64_t)(WHOLE * BATCH + i))]);
  free(all);
}

// Classes change far less often than with single batches shuffled, and their order is not sorted.
static void runs_of_a_class_stay_together(void **state) {
  fixture *f = *state;
  delivered *all = malloc(sizeof *all);
  drain(f, all);
  int changes = 0, falls = 0, windows = 0;
  for (int first = 0; first < WHOLE; first += CO_ORDER_WINDOW, windows++)
    for (int b = first + 1; b < WHOLE && b < first + CO_ORDER_WINDOW; b++) {
      changes += all->class_number[b] != all->class_number[b - 1];
      falls += all->class_number[b] < all->class_number[b - 1];
    }
  // A window has at most a run for each class and one for every further 8 batches.
  assert_true(changes <= windows * (CLASSES + CO_ORDER_WINDOW / CO_ORDER_RUN - 1));
  assert_true(falls > 0);

  // Of one class alone: runs of 8 sorted batches are what moves.
  memset(f->classes, 0, sizeof f->classes);
  drain(f, all);
  uint32_t purpose = co_purpose("order", "");
  int moved = 0;
  for (int b = 0; b < CO_ORDER_WINDOW; b++) {
    int64_t sorted = -1;
    for (int k = 0; k < CO_ORDER_WINDOW; k++)
      if (all->samples[b][0] == f->rows[co_permute(11, 0, purpose, ROWS, (uint64_t)(k * BATCH))])
        sorted = k;
    assert_in_range(sorted, 0, CO_ORDER_WINDOW - 1);
    assert_int_equal(sorted % CO_ORDER_RUN, b % CO_ORDER_RUN);
    moved += sorted != b;
  }
  assert_true(moved > 0);
  free(all);
}

static void any_start_and_any_number_of_workers_give_the_same(void **state) {
  fixture *f = *state;
  delivered *all = malloc(sizeof *all), *part = malloc(sizeof *part);
  f->options.workers = 1;
  drain(f, all);
  for (int workers = 2; workers <= 8; workers *= 2) {
    f->options.workers = workers;
    drain(f, part);
    assert_memory_equal(part, all, sizeof *all);
  }
  f->options.epoch = 1;
  f->options.epochs = 1;
  static const uint32_t starts[] = {1, 63, 64, 65, 100, 149, 150};
  for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
    uint32_t start = starts[k];
    f->options.first_batch_of_epoch = start;
    drain(f, part);
    size_t rest = BATCHES - start;
    assert_int_equal(part->batches, rest);
    assert_memory_equal(part->samples, all->samples[BATCHES + start], rest * sizeof *all->samples);
    assert_memory_equal(part->class_number, all->class_number + BATCHES + start,
                        rest * sizeof *all->class_number);
  }
  free(all);
  free(part);
}

static void without_shuffle_rows_keep_their_order(void **state) {
  fixture *f = *state;
  delivered *all = malloc(sizeof *all);
  f->options.shuffle = false;
  drain(f, all);
  for (int b = 0; b < BATCHES; b++) {
    int largest = 0;
    for (int64_t i = 0; i < all->rows[b]; i++) {
      assert_int_equal(all->samples[b][i], f->rows[b * BATCH + i]);
      if (f->classes[b * BATCH + i] > largest) largest = f->classes[b * BATCH + i];
    }
    assert_int_equal(all->class_number[b], largest);
  }
  free(all);
}

// Fewer rows than a batch, exactly one batch, exactly one window, one row more.
static void small_and_even_sets_are_complete(void **state) {
  fixture *f = *state;
  static const int64_t counts[] = {
      1, BATCH - 1, BATCH, BATCH + 1, CO_ORDER_WINDOW * BATCH, CO_ORDER_WINDOW * BATCH + 1};
  f->options.epochs = 1;
  for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
    int times[ROWS] = {0};
    f->options.row_count = counts[k];
    co_loader *loader;
    const co_batch *batch;
    bool done;
    assert_int_equal(co_loader_create(&loader, f->ctx, &f->options), CO_OK);
    while (co_loader_next(loader, &batch, &done) == CO_OK && !done) {
      assert_int_equal(co_loader_class(loader, 0, batch->index), batch->class_number);
      for (int64_t i = 0; i < batch->rows; i++)
        times[(batch->samples[i] - 7) / 2]++;
      co_loader_release(loader, batch);
    }
    assert_true(done);
    co_loader_free(loader);
    for (int i = 0; i < ROWS; i++)
      assert_int_equal(times[i], i < counts[k]);
  }
}

static void windows_of_large_batches_are_bounded(void **unused) {
  (void)unused;
  co_order order = {.batch_rows = 1};
  co_order_init(&order);
  assert_int_equal(order.window, CO_ORDER_WINDOW);
  order.batch_rows = CO_ORDER_WINDOW_ROWS / 16;
  co_order_init(&order);
  assert_int_equal(order.window, 16);
  order.batch_rows = CO_ORDER_WINDOW_ROWS;
  co_order_init(&order);
  assert_int_equal(order.window, CO_ORDER_RUN);
}

static void bad_classes_are_refused(void **state) {
  fixture *f = *state;
  co_loader *loader;
  f->options.class_count = 4; // a row of class 4 is there
  assert_int_equal(co_loader_create(&loader, f->ctx, &f->options), CO_ERR_INTERNAL);
  f->options.class_count = 0;
  assert_int_equal(co_loader_create(&loader, f->ctx, &f->options), CO_ERR_INTERNAL);
  f->options.class_count = 257;
  assert_int_equal(co_loader_create(&loader, f->ctx, &f->options), CO_ERR_INTERNAL);
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
  assert_true(nth > 7); // four windows among them
  co_loader_free(loader);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(every_row_comes_once_an_epoch),
      TEST(windows_are_sorted_shuffles),
      TEST(runs_of_a_class_stay_together),
      TEST(any_start_and_any_number_of_workers_give_the_same),
      TEST(without_shuffle_rows_keep_their_order),
      TEST(small_and_even_sets_are_complete),
      cmocka_unit_test(windows_of_large_batches_are_bounded),
      TEST(bad_classes_are_refused),
      TEST(failing_allocations_leave_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
