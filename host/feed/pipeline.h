// SPDX-License-Identifier: Apache-2.0
// From dataset rows to the network's inputs: loader threads run the model's input section into the
// next slots of a ring, and add targets and row weights. A slot owns its plans, so workers share
// nothing that changes. For devices with memory of their own the section runs there: the slots are
// staged (host/exec/staging.h): the threads write row numbers or stored rows, targets and weights.
#ifndef COHORT_HOST_FEED_PIPELINE_H
#define COHORT_HOST_FEED_PIPELINE_H

#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "host/feed/resident.h"

// Fills what stands in for the heads' values, per output (rows, width), of models that are no
// networks, from the network's inputs of a batch and the numbers of its samples. Any thread, several
// at once.
typedef co_status co_fill_heads(void *user, const int64_t *samples, const void *const *inputs,
                                int64_t rows, float *const *heads);

typedef struct co_pipeline_options {
  const int64_t *samples; // to draw from; borrowed
  int64_t sample_count;
  int64_t batch_rows;
  bool training; // shuffle and augment, partial last batch; else: in order, last batch padded
                 // to batch_rows with rows of weight 0
  bool learned;  // without `training`: in order, but rows that are learned from (graph/feed.h)
  bool targets;  // deliver targets and weights too
  uint64_t seed;
  uint32_t epoch, first_batch;
  int64_t epochs; // 0 = without end
  int workers;
  const co_resident *resident;      // with `staging`: whose section the rows are for
  const co_staging_layout *staging; // of the program; NULL: the threads run the section
  co_fill_heads *fill_heads;        // of scored models; NULL: nobody fills them
  void *fill_user;
  int ahead; // batches that are lent at the same time; 0 = 1
} co_pipeline_options;

// One batch as the network takes it.
typedef struct co_view {
  const co_batch *batch;
  co_shape_class shape;      // its rows, padding included, and lengths
  int64_t valid;             // rows that are not padding
  const void *const *inputs; // per input of the network graph, NULL where not delivered; or
  void *staged;              // all of them, for the device
  const double *weight_sum;  // per loss: sum of row weights, in row order
} co_view;

typedef struct co_pipeline co_pipeline;
co_status co_pipeline_create(co_pipeline **out, co_model *model, co_dataset *dataset,
                             const co_pipeline_options *options);
void co_pipeline_free(co_pipeline *pipeline);
co_status co_pipeline_next(co_pipeline *pipeline, co_view *out, bool *done);
// Whether the batch behind this one is of the same epoch and has the same shape.
bool co_pipeline_goes_on(const co_pipeline *pipeline, const co_view *view);
void co_pipeline_release(co_pipeline *pipeline, const co_view *view);
double co_pipeline_wait_seconds(const co_pipeline *pipeline);
// 1 / weight_sum per loss, times its weight; 0 where the sum is 0.
void co_view_inv_norm(const co_model *model, const co_view *view, double *inv_norm);

#endif
