// SPDX-License-Identifier: Apache-2.0
// Metrics of a model on samples of a dataset: sums that the device accumulates, and, of outputs that
// have such metrics, functions in double over the scores of all rows.
#ifndef COHORT_HOST_EVAL_EVALUATION_H
#define COHORT_HOST_EVAL_EVALUATION_H

#include "datasets/dataset.h"
#include "host/core/json.h"
#include "host/core/watch.h"
#include "host/eval/bootstrap.h"
#include "host/eval/image_quality.h"
#include "host/eval/predictor.h"

typedef struct co_evaluation {
  const co_model *model;   // borrowed
  double *sums;            // graph->metric_doubles
  double *weight_sum;      // per loss
  double *scored;          // per output and metric of co_metric_list; NaN where it does not apply
  co_interval *intervals;  // the same; NULL before co_evaluation_bootstrap
  bool *collects;          // per output: scores of all rows, for metrics over them
  bool of_histories;       // items are chosen by rows that have histories of such
  bool looks;              // at images that are given back (quality)
  bool keeps;              // … after co_evaluate, too
  const co_profit *profit; // of all binary outputs; NULL = as the model says
  co_scores *scores;
  co_image_quality *quality; // per output; of images given back, once all is collected
  int64_t rows;
  bool training; // of training steps: losses as they are trained, not as they are reported
} co_evaluation;
// Scores are collected of binary outputs: of others, reports of each epoch do without.
co_status co_evaluation_create(co_evaluation *evaluation, const co_model *model);
void co_evaluation_collect_all(co_evaluation *evaluation); // … of all that have such metrics
void co_evaluation_free(co_evaluation *evaluation);        // legal on a zeroed struct

// The column of images that an output gives back; NULL = none.
const co_column *co_output_image(const co_output_feature *output);
// Whether some output of the model has metrics over scores: the program must then be made with
// evaluation_outputs.
bool co_evaluation_needs_scores(const co_model *model);
// Scores the samples and measures. Of `options`, sums are the evaluation's own; a sink gets the
// scores as well, if the predictor was opened for that.
co_status co_evaluate(co_evaluation *out, co_predictor *predictor, co_dataset *dataset,
                      const int64_t *samples, int64_t count, const co_scoring_options *options);

// Room for the scores of so many rows of an output; for errors of images, of one that gives some back.
co_status co_evaluation_make_room(co_evaluation *evaluation, int64_t output, int64_t rows);
// Of a text, after that: what its rows are compared with.
co_status co_evaluation_open_texts(co_evaluation *evaluation, int64_t output, co_dataset *dataset);
co_status co_evaluation_make_quality(co_evaluation *evaluation, int64_t output);
// Metrics of the scores that are there.
co_status co_evaluation_measure_all(co_evaluation *evaluation);

// Total loss: weighted mean losses of all outputs. NaN where there was no row.
double co_evaluation_loss(const co_evaluation *evaluation);

typedef struct co_evaluation_value {
  const char *name;
  double value;
  bool higher_is_better;
  bool descriptive;     // neither is
  bool summed;          // there is a sum of it, in training too
  bool scored;          // it is over collected scores; else there is no interval
  co_interval interval; // NaN before co_evaluation_bootstrap
} co_evaluation_value;
// The i-th metric of an output, in the order of reports; false past the end.
bool co_evaluation_metric(const co_evaluation *evaluation, int64_t output, int64_t i,
                          co_evaluation_value *out);
// Bootstrap intervals of all metrics over scores; of an evaluation that keeps them.
co_status co_evaluation_bootstrap(co_evaluation *evaluation, const co_bootstrap_options *options);
// Whether an output has a metric over scores: by its type, and where it takes costs, if they are known.
bool co_evaluation_has(const co_evaluation *evaluation, int64_t output,
                       const co_metric_class *metric);
// Scores of an output, collected ones or some of them, made ready for metrics, with its threshold
// and costs; to be freed on failure, too.
co_status co_evaluation_measure(co_measured *out, const co_evaluation *evaluation, int64_t output,
                                const co_scores *scores);
// {"label":{"log_loss":…,"accuracy":…}}. `scored`: with the metrics over scores.
void co_evaluation_render(co_json *json, const co_evaluation *evaluation, bool scored);
// {"label":{"roc_auc":[low, high]}}
void co_evaluation_render_intervals(co_json *json, const co_evaluation *evaluation);
// What co_evaluation_find finds, for hints: "known: loss, label.log_loss, …" (to be freed; NULL = no
// memory).
char *co_evaluation_known(const co_evaluation *evaluation);
// Finds "[OUTPUT.]ID" or "loss" (also NULL); false if there is none.
bool co_evaluation_find(const co_evaluation *evaluation, const char *metric,
                        co_evaluation_value *out);

#endif
