// SPDX-License-Identifier: Apache-2.0
// A model's baselines, and of a blend its network, beside it: measured on the same rows, with paired differences.
#ifndef COHORT_HOST_EVAL_COMPARISON_H
#define COHORT_HOST_EVAL_COMPARISON_H

#include "host/eval/baselines.h"
#include "host/eval/evaluation.h"
#include "host/eval/text_baselines.h"

enum { CO_MOST_COMPARED = 64 }; // metrics of an output

typedef struct co_comparison_request {
  const co_predictor *predictor;
  const co_evaluation *evaluation; // of it; keeps its scores
  co_dataset *dataset;
  const int64_t *samples;
  const co_scoring_options *scoring;
  const co_bootstrap_options *bootstrap; // draws < 0: without differences
} co_comparison_request;

typedef struct co_comparison {
  const co_comparison_request *request; // borrowed
  const co_model *model;                // the network's
  co_baselines baselines;
  // Of what it is compared with: the baselines, behind them the network of a blend, or what copies texts.
  int64_t count;
  co_evaluation evaluations[CO_MOST_BASELINES + CO_MOST_TEXT_BASELINES];
  char *names[CO_MOST_TEXT_BASELINES]; // of what copies
  co_paired *paired;                   // co_comparison_pairs
} co_comparison;

// The request is borrowed until the comparison is freed, which is legal on a zeroed struct and after
// failure.
co_status co_comparison_measure(co_comparison *out, const co_comparison_request *request);
void co_comparison_free(co_comparison *comparison);
// Of a baseline and output by its i-th metric, the model's value less the baseline's; NaN where there
// is no pair.
const co_paired *co_comparison_pairs(const co_comparison *comparison, int64_t baseline,
                                     int64_t output);
// The number of the output in the baseline's evaluation; -1 = it says nothing of it.
int64_t co_comparison_place(const co_comparison *comparison, int64_t baseline, int64_t output);
// "" where it says nothing of the output.
const char *co_comparison_name(const co_comparison *comparison, int64_t baseline, int64_t output);
// Of an output that both have, every metric over scores: the value of `a` less that of `b`, of the same rows
// in the same order.
typedef struct co_output_pairs {
  int64_t count; // 0 where b has no such output
  const co_metric_class *metrics[CO_MOST_COMPARED];
  co_paired found[CO_MOST_COMPARED];
} co_output_pairs;
co_status co_comparison_of_output(co_output_pairs *out, const co_evaluation *a, int64_t output,
                                  const co_evaluation *b, const co_bootstrap_options *bootstrap);
// '+' where the model is better than the baseline beyond doubt, '-' where it is worse, else ' '.
char co_comparison_sign(const co_paired *pair, bool higher_is_better);
// A baseline's value of metric k, which is the model's `mine`; NaN where it has none such, as a loss that
// is a likelihood.
double co_comparison_value(const co_comparison *c, int64_t baseline, int64_t output, int64_t k,
                           const co_evaluation_value *mine);

#endif
