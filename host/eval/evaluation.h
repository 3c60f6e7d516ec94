// SPDX-License-Identifier: Apache-2.0
// Metrics of a model on samples of a dataset: sums that the device accumulates, and, of outputs that
// have such metrics, functions in double over the scores of all rows.
#ifndef COHORT_HOST_EVAL_EVALUATION_H
#define COHORT_HOST_EVAL_EVALUATION_H

#include "datasets/dataset.h"
#include "host/core/json.h"
#include "host/core/watch.h"
#include "host/eval/predictor.h"

typedef struct co_evaluation {
  const co_model *model; // borrowed
  double *sums;          // graph->metric_doubles
  double *weight_sum;    // per loss
  double *scored;        // per output and metric of co_metric_list; NaN where it does not apply
  int64_t rows;
  bool training; // of training steps: losses as they are trained, not as they are reported
} co_evaluation;
co_status co_evaluation_create(co_evaluation *evaluation, const co_model *model);
void co_evaluation_free(co_evaluation *evaluation); // legal on a zeroed struct

// Whether some output of the model has metrics over scores: the program must then be made with
// evaluation_outputs.
bool co_evaluation_needs_scores(const co_model *model);
// Scores the samples and measures. Of `options`, sink and sums are the evaluation's own.
co_status co_evaluate(co_evaluation *out, co_predictor *predictor, co_dataset *dataset,
                      const int64_t *samples, int64_t count, const co_scoring_options *options);

// Total loss: weighted mean losses of all outputs. NaN where there was no row.
double co_evaluation_loss(const co_evaluation *evaluation);
// The i-th metric of an output, in the order of reports; false past the end.
bool co_evaluation_metric(const co_evaluation *evaluation, int64_t output, int64_t i,
                          const char **name, double *value, bool *higher);
// {"label":{"log_loss":…,"accuracy":…}}. `scored`: with the metrics over scores.
void co_evaluation_render(co_json *json, const co_evaluation *evaluation, bool scored);
// What co_evaluation_find finds, for hints: "known: loss, label.log_loss, …" (to be freed; NULL = no
// memory).
char *co_evaluation_known(const co_evaluation *evaluation);
// Finds "[OUTPUT.]ID" or "loss"; false if there is none. *higher tells which direction is better.
bool co_evaluation_find(const co_evaluation *evaluation, const char *metric, double *value,
                        bool *higher);

#endif
