// SPDX-License-Identifier: Apache-2.0
// Metrics, listed in metrics.def. Each adds itself to outputs of the target type it knows; several
// types may have a metric of the same name. There are two kinds: sums, accumulated on the device in
// float64 as {numerator, denominator}; and scored ones, functions in double over the scores of all
// rows of a split. A metric may be both: where there are scores, these have the last word.
#ifndef COHORT_HOST_GRAPH_METRIC_METRIC_H
#define COHORT_HOST_GRAPH_METRIC_METRIC_H

#include "host/core/schema.h"
#include "host/graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

// What it brings to treat a row as positive or negative, right or wrong.
typedef struct co_profit {
  double true_positive, false_positive, false_negative, true_negative;
} co_profit;

// Rows that count (target known, weight above 0) in an order that does not depend on the one they
// came in, so that no metric can.

// Of a binary target: groups of equal score, by falling score.
typedef struct co_binary_scores {
  int64_t count;                      // of groups
  const double *score;                // probability of the positive class
  const double *positive, *negative;  // sums of weights of positive and negative rows
  const double *log_true, *log_false; // log of the probability that the score gives to either
  double positives, negatives;        // sums over all groups
  double threshold;                   // a score from here on is taken for positive
  const co_profit *profit;            // NULL = not known
} co_binary_scores;

// Of a number. `by_…`: the rows' numbers by rising prediction and target.
typedef struct co_number_scores {
  int64_t count;
  const double *prediction, *target, *weight;
  const int64_t *by_prediction, *by_target;
  double *rank[2]; // room for `count` each
} co_number_scores;

// Of a category.
typedef struct co_class_scores {
  int64_t count, classes;
  const float *score;    // (count, classes): probabilities
  const int32_t *target; // number of the true class
  const int32_t *best;   // of the likeliest one, of equal ones the first
  const double *log_true, *weight;
  const int64_t *order; // (classes, count): the rows' numbers by falling score; NULL = too many
  double *room;         // for 3 * classes
  // Of a catalogue, whose `score` is NULL: the true class's place among all, from 1, equal ones
  // before it. Rows of one unit stand together, each with one of several true classes for the same
  // prediction.
  const int32_t *rank;
  int64_t units;
  const double *unit_weight;
  const int32_t *listed; // (units, CO_LISTED): the classes that score highest; NULL = not kept
} co_class_scores;
enum { CO_LISTED = 10 };

// Of a unit of a catalogue the true items that a metric counts.
typedef struct co_true_items {
  int64_t count;
  const int32_t *rank; // 1 = the first of the catalogue
  // Of the whole unit, whichever items are counted: its true items, those of them that the row's own
  // history has, and how much of the list is of that.
  int64_t all, repeats;
  double listed_repeats;
} co_true_items;
// Which of them: all, those that the row's own history has, or the others; those that were no training
// row's target, or the others.
typedef enum co_item_part {
  CO_ITEMS_ALL,
  CO_ITEMS_REPEAT,
  CO_ITEMS_EXPLORE,
  CO_ITEMS_NEW,
  CO_ITEMS_KNOWN
} co_item_part;

// Of a text that is written: how far a row is from the true one.
typedef struct co_text_scores {
  int64_t count;
  const double *exact;  // 1 = it is the true one, else 0
  const double *edits;  // tokens inserted, left out or replaced …
  const double *length; // … of so many
  const double *weight;
} co_text_scores;

// Of one class against the others; 0 where there is nothing to divide by.
typedef struct co_class_rates {
  double support, predicted; // weight of rows that are it, that were taken for it
  double precision, recall, f1;
} co_class_rates;
// Counts rows by class in the scores' room, which rates then come from.
void co_class_count(const co_class_scores *scores);
co_class_rates co_class_rates_of(const co_class_scores *scores, int64_t class_);
// ROC AUC of one class against the rest, where there is an order; NaN without rows of either.
double co_class_roc_auc(const co_class_scores *scores, int64_t class_);
// NDCG@10 of one unit by the ranks of its true items, 1 the first.
double co_ndcg_of_ranks(const int32_t *rank, int64_t count);

// A tenth of the rows, by falling prediction; of a tie on its border, a fraction.
typedef struct co_value_decile {
  double rows;               // weight
  double prediction, target; // means
  double
      gain; // share of the sum of all targets in this and the higher ones; NaN if that is not above 0
} co_value_decile;
enum { CO_DECILES = 10 };
void co_value_deciles(co_value_decile out[CO_DECILES], const co_number_scores *scores);

typedef struct co_metric_class {
  const char *name; // canonical id: "accuracy"
  const char *doc;
  co_op op; // of a sum (x target weight -> sums), of targets with a flag below; else CO_OP_COUNT
  bool category, number, vector, binary, text;
  // Of scored ones; NaN where it is not defined (no positive row, say).
  double (*binary_score)(const co_binary_scores *scores);
  double (*number_score)(const co_number_scores *scores);
  double (*class_score)(const co_class_scores *scores);
  double (*text_score)(const co_text_scores *scores);
  double (*unit_score)(
      const co_true_items *items); // of a catalogue: the mean over units with such items
  co_item_part part;
  bool higher_is_better;
  bool descriptive; // neither more nor less of it is better: no model is chosen by it
  // Drawing rows anew moves it to one side, up the size of deviations, down what different rows cover:
  // its draws make no interval of it (differences of two, which both have that, have one).
  bool deviation;
  bool unpaired;        // … nor of differences: as of coverage, and of what is no better or worse
  bool needs_profit;    // is there only where costs are known
  bool needs_catalogue; // … where classes are items of a catalogue (co_metric_is_catalogue)
  bool needs_history;   // … whose rows have histories of such items
  bool needs_new_items; // … by a model that scores items that training did not have, too
  int64_t needs_classes; // … where there are at least as many
  bool needs_scores;     // … where they are not: the scores of all classes are not kept then
} co_metric_class;

const co_metric_class *const *co_metric_list(void);
// The one of that name for targets of that type; NULL if there is none.
const co_metric_class *co_metric_find(const char *name, co_column_type target_type);
// The canonical id of what "auc" and "logloss" call by another name; others are returned as they are.
const char *co_metric_canonical(const char *id);
// Whether the classes of an output of that name are items to choose from, which are ranked: those of
// `next_item`, and wherever there are more than CO_METRIC_CLASSES.
enum { CO_METRIC_CLASSES = 100 };
bool co_metric_is_catalogue(const char *output, int64_t classes);
bool co_metric_is_scored(const co_metric_class *metric, co_column_type target_type);
// Emits every sum that applies to an output of this target type.
co_status co_metrics_emit(co_graph *graph, const char *output, co_column_type target_type,
                          co_value prediction, co_value target, co_value row_weight);

#ifdef __cplusplus
}
#endif
#endif
