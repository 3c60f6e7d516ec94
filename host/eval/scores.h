// SPDX-License-Identifier: Apache-2.0
// The scores of all rows of a split, collected on the host, and what metrics measure of them.
#ifndef COHORT_HOST_EVAL_SCORES_H
#define COHORT_HOST_EVAL_SCORES_H

#include "host/graph/metric/metric.h"

#ifdef __cplusplus
extern "C" {
#endif

// Of one output, in the order that rows were added in.
typedef struct co_scores {
  co_context *ctx;
  co_column_type type; // of the target: binary, number or category
  int64_t width;       // numbers a row
  int64_t point;       // which of them is the prediction of a number
  bool catalogue;      // of a row are kept: probability and place of the true class, the likeliest
  int64_t count, capacity;
  float *score;   // (count, width), or (count, 3)
  double *target; // value, or number of the class
  double *weight;
  int64_t *sample;
  int64_t *unit; // of a catalogue: rows of one number belong together
} co_scores;

// `catalogue`: of a category, whose rows would take too much memory (metric.h).
co_status co_scores_create(co_scores *scores, co_context *ctx, co_column_type type, int64_t width,
                           bool catalogue, int64_t rows);
void co_scores_free(co_scores *scores);          // legal on a zeroed struct
int64_t co_scores_kept(const co_scores *scores); // numbers a row in `score`
// Adds row i of others of the same kind.
void co_scores_copy(co_scores *scores, const co_scores *from, int64_t i);
// Adds rows; those of weight 0 are left out. `target`: i32 of a category, else float. `samples` may
// be NULL.
// `units` of a catalogue: by sample; NULL = each row is one.
void co_scores_add(co_scores *scores, const int64_t *samples, const int64_t *units,
                   const float *score, const void *target, const float *weight, int64_t rows);

// What a binary output's scores are decided by.
typedef struct co_decision_rule {
  double threshold;
  const co_profit *profit; // borrowed; NULL = not known
} co_decision_rule;

// Scores sorted for metrics. What is measured are the rows as they are, or as often as they were
// drawn.
typedef struct co_measured {
  co_context *ctx;
  co_column_type type;
  int64_t rows;  // of the scores, in their order
  int64_t units; // what is drawn: rows, but of a catalogue
  const int64_t *unit;
  bool finite; // else no metric has a value
  co_binary_scores binary;
  co_number_scores number;
  co_class_scores classes;
  const double *weight; // of the scores: borrowed
  double *drawn;        // per row of a number or category: weight as often as drawn
  // Per row of a binary, by falling score: its number, group, and weight as positive and negative.
  int64_t *sorted;
  int32_t *group;
  double *share[2];
  double *grouped[2]; // sums per group
  void *memory[12];
  int memory_count;
} co_measured;

// `scores` must outlive *out. `rule` of a binary; NULL = threshold 0.5.
co_status co_measured_create(co_measured *out, const co_scores *scores,
                             const co_decision_rule *rule);
void co_measured_free(co_measured *measured); // legal on a zeroed struct
// Counts row (or unit) i as if it were there `times[i]` times; NULL = once each, as after creation.
void co_measured_draw(co_measured *measured, const uint32_t *times);
double co_measured_value(const co_measured *measured, const co_metric_class *metric);

#ifdef __cplusplus
}
#endif
#endif
