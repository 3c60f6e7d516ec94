// SPDX-License-Identifier: Apache-2.0
// Metrics of a model on samples of a dataset.
#ifndef COHORT_HOST_EVAL_EVALUATION_H
#define COHORT_HOST_EVAL_EVALUATION_H

#include "datasets/dataset.h"
#include "host/core/json.h"
#include "host/core/watch.h"
#include "host/feed/resident.h"

// Sums over a split: accumulators of the network's metrics, and weight sums per output.
typedef struct co_evaluation {
  double *sums;       // graph->metric_doubles
  double *weight_sum; // outputs
  int64_t rows;
} co_evaluation;
co_status co_evaluation_create(co_evaluation *evaluation, const co_model *model);
void co_evaluation_free(co_evaluation *evaluation, const co_model *model);
// Runs the program's evaluation plan over the samples. `stage` names the progress line.
co_status co_evaluate_samples(co_evaluation *out, const co_watch *watch, bool stoppable,
                              co_resident *source, co_program *program, co_dataset *dataset,
                              const int64_t *samples, int64_t count, int64_t batch_rows,
                              int workers, const char *stage);
// Total loss: weighted mean losses of all outputs. NaN where there was no row.
double co_evaluation_loss(const co_evaluation *evaluation, const co_model *model);
// {"label":{"log_loss":…,"accuracy":…}}
void co_evaluation_render(co_json *json, const co_evaluation *evaluation, const co_model *model);
// What co_evaluation_find finds, for hints: "known: loss, label.log_loss, …" (to be freed; NULL = no
// memory).
char *co_evaluation_known(const co_model *model);
// Finds "[OUTPUT.]ID" or "loss"; false if there is none. *higher tells which direction is better.
bool co_evaluation_find(const co_evaluation *evaluation, const co_model *model, const char *metric,
                        double *value, bool *higher);

#endif
