// SPDX-License-Identifier: Apache-2.0
// In which order an epoch's rows come, and in which batches: a pure function of (seed, epoch).
// Rows are shuffled as a whole. Where they have classes (of their length, say), batches are made so
// that few mix classes: a window of batches is sorted by class, stably, and cut; runs of up to
// CO_ORDER_RUN batches of one class are then shuffled within the window, runs and not single
// batches, so that several steps in a row need the same plan. A batch has the largest class of its
// rows. The last batch of an epoch, if it is smaller, takes what the shuffle leaves over.
#ifndef COHORT_DATASETS_ORDER_H
#define COHORT_DATASETS_ORDER_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  CO_ORDER_RUN = 8,     // batches
  CO_ORDER_WINDOW = 64, // batches; fewer, down to a run, where that were more rows than the next
  CO_ORDER_WINDOW_ROWS = 1 << 20
};

typedef struct co_order {
  int64_t row_count, batch_rows;
  bool shuffle; // false: rows come in their order, whatever their class
  uint64_t seed;
  const uint8_t *classes; // of each row; NULL = none; borrowed
  int class_count;
  uint32_t order_purpose, run_purpose;
  int64_t window; // batches
} co_order;

// Completes what the caller does not set: purposes and window.
void co_order_init(co_order *order);

// What is known of one window; whoever asks for batches keeps one.
typedef struct co_order_window {
  uint32_t epoch;
  int64_t index;              // -1 = none yet
  int64_t *rows, *unsorted;   // positions, sorted by class and as shuffled
  int batch[CO_ORDER_WINDOW]; // at each place in the epoch: which of the sorted batches
} co_order_window;
co_status co_order_window_create(co_order_window *out, co_context *ctx, const co_order *order);
void co_order_window_free(co_order_window *window, co_context *ctx); // zeroed is legal

// Rows of batch `index` of an epoch.
int64_t co_order_rows(const co_order *order, int64_t index);
// Writes their positions, 0 … row_count - 1; returns the batch's class, 0 without classes.
int co_order_batch(const co_order *order, co_order_window *window, uint32_t epoch, int64_t index,
                   int64_t *positions);
// The class alone.
int co_order_class(const co_order *order, co_order_window *window, uint32_t epoch, int64_t index);

#ifdef __cplusplus
}
#endif
#endif
