// SPDX-License-Identifier: Apache-2.0
// The scores of all rows of a split, collected on the host, and what metrics measure of them.
#ifndef COHORT_HOST_EVAL_SCORES_H
#define COHORT_HOST_EVAL_SCORES_H

#include "host/eval/history.h"
#include "host/graph/metric/metric.h"

#ifdef __cplusplus
extern "C" {
#endif

// What is kept of a row: all its scores; of a catalogue, where they would take too much memory (metric.h),
// the true class's probability and place and the likeliest class; or those, whether the row's history has
// the true class, the share of the list that it has, and the list.
typedef enum co_kept { CO_KEPT_SCORES, CO_KEPT_PLACES, CO_KEPT_LISTS } co_kept;

// Of one output, in the order that rows were added in.
typedef struct co_scores {
  co_context *ctx;
  co_column_type type; // of the target: binary, number, category or text
  int64_t width;       // numbers a row
  int64_t point;       // which of them is the prediction of a number
  co_kept kept;
  int64_t count, capacity;
  float *score;   // (count, co_scores_kept); of a text whether it is exact, edits, length
  double *target; // value, or number of the class
  double *weight;
  int64_t *sample;
  int64_t *unit; // rows of one number belong together; of a catalogue they are neighbours
  // Of texts that are added: what they are compared with, by row of `text_index` (NULL = the sample's
  // number), and room to count edits.
  const struct co_text_output *text;
  const char *const *texts;
  const int64_t *text_index;
  int64_t *room;
  int32_t *codes;
  int64_t longest;
  // Of lists: what the samples to be added had before; borrowed, NULL = they have no histories. Where
  // that is not to be recommended, repeats have no places.
  co_seen *seen;
  bool exclude_seen;
  const int32_t
      *trained; // of items: 0 = no training row had it as its target; borrowed, NULL = not known
} co_scores;

co_status co_scores_create(co_scores *scores, co_context *ctx, co_column_type type, int64_t width,
                           co_kept kept, int64_t rows);
void co_scores_free(co_scores *scores);          // legal on a zeroed struct
int64_t co_scores_kept(const co_scores *scores); // numbers a row in `score`
// Adds row i of others of the same kind.
void co_scores_copy(co_scores *scores, const co_scores *from, int64_t i);
// Before texts are added: those of the dataset (rows), which live as long. May fail for memory.
co_status co_scores_compare_with(co_scores *scores, const struct co_text_output *text,
                                 const char *const *texts, int64_t rows, const int64_t *index);
// Adds rows; those of weight 0 are left out. `target`: i32 of a category, else float; of a text it is not
// read. `samples` may be NULL, but of texts.
// `units`: by sample; NULL = each row is one.
void co_scores_add(co_scores *scores, const int64_t *samples, const int64_t *units,
                   const float *score, const void *target, const float *weight, int64_t rows);

// Whether they are what co_scores_add could have made: metrics take classes, places and lists for granted, so
// those that a file has are asked first.
bool co_scores_are_sound(const co_scores *scores);

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
  int64_t units; // what is drawn: rows, or where several belong together, all of them at once:
  const int64_t *unit; // of each row, from 0; NULL = its number
  bool finite;         // else no metric has a value
  // Of a catalogue, for each unit_score of the list of metrics: its value of each unit, NaN = none.
  double *unit_value;  // (metrics, units)
  double *unit_weight; // of one row: as often as drawn
  int64_t *unit_first; // row
  co_binary_scores binary;
  co_number_scores number;
  co_class_scores classes;
  co_text_scores texts;
  const double *weight; // of the scores: borrowed
  double *drawn;        // per row of a number, category or text: weight as often as drawn
  // Per row of a binary, by falling score: its number, group, and weight as positive and negative.
  int64_t *sorted;
  int32_t *group;
  double *share[2];
  double *grouped[2]; // sums per group
  void *memory[16];
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
