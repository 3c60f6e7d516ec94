// SPDX-License-Identifier: Apache-2.0
#include "datasets/order.h"

#include <string.h>

#include "host/core/rng.h"

void co_order_init(co_order *order) {
  int64_t window = CO_ORDER_WINDOW_ROWS / order->batch_rows;
  order->order_purpose = co_purpose("order", "");
  order->run_purpose = co_purpose("order", "runs");
  order->window = window < CO_ORDER_RUN      ? CO_ORDER_RUN
                  : window > CO_ORDER_WINDOW ? CO_ORDER_WINDOW
                                             : window;
}

// Windows are made of whole batches only.
static int64_t whole_batches(const co_order *order) {
  return order->row_count / order->batch_rows;
}

co_status co_order_window_create(co_order_window *out, co_context *ctx, const co_order *order) {
  *out = (co_order_window){.index = -1};
  if (!order->classes || !order->shuffle || !whole_batches(order)) return CO_OK;
  int64_t batches = whole_batches(order) < order->window ? whole_batches(order) : order->window;
  size_t rows = (size_t)(batches * order->batch_rows);
  out->rows = co_alloc_zero(ctx, 2 * rows, sizeof *out->rows);
  if (!out->rows) return CO_ERR_MEMORY;
  out->unsorted = out->rows + rows;
  return CO_OK;
}

void co_order_window_free(co_order_window *window, co_context *ctx) {
  co_free(ctx, window->rows);
  window->rows = window->unsorted = NULL;
}

int64_t co_order_rows(const co_order *order, int64_t index) {
  int64_t left = order->row_count - index * order->batch_rows;
  return left < order->batch_rows ? left : order->batch_rows;
}

static int64_t shuffled(const co_order *order, uint32_t epoch, int64_t at) {
  if (!order->shuffle) return at;
  return (int64_t)co_permute(order->seed, epoch, order->order_purpose, (uint64_t)order->row_count,
                             (uint64_t)at);
}

// ---- windows -----------------------------------------------------------------------------------

// Stably, by counting.
static void sort_rows(const co_order *order, co_order_window *w, int64_t first, int64_t count) {
  int64_t next[256] = {0}, total = 0;
  for (int64_t i = 0; i < count; i++) {
    w->unsorted[i] = shuffled(order, w->epoch, first + i);
    next[order->classes[w->unsorted[i]]]++;
  }
  for (int c = 0; c < order->class_count; c++) {
    int64_t rows = next[c];
    next[c] = total;
    total += rows;
  }
  for (int64_t i = 0; i < count; i++)
    w->rows[next[order->classes[w->unsorted[i]]]++] = w->unsorted[i];
}

// The class of one of the sorted batches: that of its last row.
static int sorted_class(const co_order *order, const co_order_window *w, int64_t batch) {
  return order->classes[w->rows[(batch + 1) * order->batch_rows - 1]];
}

static void shuffle_runs(const co_order *order, co_order_window *w, int batches) {
  int begin[CO_ORDER_WINDOW + 1], run[CO_ORDER_WINDOW], runs = 0, placed = 0;
  for (int b = 0; b < batches; b++)
    if (!b || b - begin[runs - 1] == CO_ORDER_RUN ||
        sorted_class(order, w, b) != sorted_class(order, w, b - 1))
      begin[runs++] = b;
  begin[runs] = batches;
  // Fisher and Yates; the draw's index names window and run.
  for (int i = 0; i < runs; i++) {
    uint64_t at = (uint64_t)(w->index * CO_ORDER_WINDOW + i);
    uint64_t bits = co_random_bits(order->seed, at, w->epoch, order->run_purpose);
    int other = (int)(bits * (uint64_t)(i + 1) >> 32);
    run[i] = run[other];
    run[other] = i;
  }
  for (int i = 0; i < runs; i++)
    for (int b = begin[run[i]]; b < begin[run[i] + 1]; b++)
      w->batch[placed++] = b;
}

static void enter(const co_order *order, co_order_window *w, uint32_t epoch, int64_t index) {
  if (w->index == index && w->epoch == epoch) return;
  int64_t first = index * order->window, batches = whole_batches(order) - first;
  if (batches > order->window) batches = order->window;
  w->index = index;
  w->epoch = epoch;
  sort_rows(order, w, first * order->batch_rows, batches * order->batch_rows);
  shuffle_runs(order, w, (int)batches);
}

static bool in_window(const co_order *order, int64_t index) {
  return order->classes && order->shuffle && index < whole_batches(order);
}

int co_order_batch(const co_order *order, co_order_window *w, uint32_t epoch, int64_t index,
                   int64_t *positions) {
  int64_t rows = co_order_rows(order, index);
  if (in_window(order, index)) {
    enter(order, w, epoch, index / order->window);
    int batch = w->batch[index % order->window];
    memcpy(positions, w->rows + batch * rows, (size_t)rows * sizeof *positions);
    return sorted_class(order, w, batch);
  }
  int largest = 0;
  for (int64_t i = 0; i < rows; i++) {
    positions[i] = shuffled(order, epoch, index * order->batch_rows + i);
    if (order->classes && order->classes[positions[i]] > largest)
      largest = order->classes[positions[i]];
  }
  return largest;
}

int co_order_class(const co_order *order, co_order_window *w, uint32_t epoch, int64_t index) {
  int largest = 0;
  if (!order->classes) return 0;
  if (in_window(order, index)) {
    enter(order, w, epoch, index / order->window);
    return sorted_class(order, w, w->batch[index % order->window]);
  }
  for (int64_t i = 0; i < co_order_rows(order, index); i++) {
    int64_t at = shuffled(order, epoch, index * order->batch_rows + i);
    if (order->classes[at] > largest) largest = order->classes[at];
  }
  return largest;
}
