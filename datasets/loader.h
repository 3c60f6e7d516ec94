// SPDX-License-Identifier: Apache-2.0
// Delivers batches of sample indices in an order that is a pure function of (seed, epoch,
// position; datasets/order.h), and has worker threads fill a ring of slots ahead of the consumer. What a slot holds
// is the caller's: the loader knows indices only. Any number of workers gives the same batches.
#ifndef COHORT_DATASETS_LOADER_H
#define COHORT_DATASETS_LOADER_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_batch {
  uint32_t epoch;
  int64_t index;          // of the batch within its epoch
  int64_t rows;           // the last batch of an epoch may be smaller
  const int64_t *samples; // sample indices
  int class_number;       // the largest of its rows; 0 without classes
  int slot;               // which slot the fill callback filled
  bool last;              // last batch of the epoch
} co_batch;

// Called from a worker thread (worker = 0 … workers-1); two calls never share a slot or a worker at
// the same time. A failure is raised by co_loader_next.
typedef co_status (*co_fill)(void *user, int worker, const co_batch *batch);

typedef struct co_loader_options {
  const int64_t *rows; // sample indices to draw from; borrowed
  int64_t row_count;
  const uint8_t *classes; // of each of `rows`, below class_count; NULL = none; borrowed
  int class_count;        // at most 256
  int64_t batch_rows;
  bool shuffle;
  uint64_t seed;
  uint32_t epoch, first_batch_of_epoch; // where to start (resume)
  int64_t epochs;                       // epochs to deliver; 0 = without end
  int workers;                          // >= 1
  int slots;                            // >= 2; ring size
  co_fill fill;
  void *user;
} co_loader_options;

typedef struct co_loader co_loader;
co_status co_loader_create(co_loader **out, co_context *ctx, const co_loader_options *options);
// Stops and joins the workers; slots in work are dropped. NULL is legal.
void co_loader_free(co_loader *loader);
// Waits for the next batch in order; *out stays valid until co_loader_release. *done at the end.
co_status co_loader_next(co_loader *loader, const co_batch **out, bool *done);
void co_loader_release(co_loader *loader, const co_batch *batch);
// Seconds the consumer has waited in co_loader_next so far.
double co_loader_wait_seconds(const co_loader *loader);
// The class of any batch of any epoch; the consumer's thread only.
int co_loader_class(co_loader *loader, uint32_t epoch, int64_t index);
// Batches per epoch.
int64_t co_loader_batches(const co_loader *loader);

#ifdef __cplusplus
}
#endif
#endif
