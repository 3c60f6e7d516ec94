// SPDX-License-Identifier: Apache-2.0
// Metrics of how well scores tell positive rows from negative ones. Rows of equal score are taken
// together, so that their order never matters.
#include <math.h>

#include "host/graph/metric/metric.h"

// The sums of weights in the group that begins at `i`; returns where the next one begins.
static int64_t next_group(const co_scored_rows *rows, int64_t i, double *positive,
                          double *negative) {
  double score = rows->score[i];
  *positive = *negative = 0;
  for (; i < rows->count && rows->score[i] == score; i++) {
    *positive += rows->weight[i] * rows->target[i];
    *negative += rows->weight[i] * (1 - rows->target[i]);
  }
  return i;
}

// Probability that a positive row scores above a negative one, ties by half (Mann & Whitney 1947).
static double roc_auc(const co_scored_rows *rows) {
  double above = 0, seen = 0, positive, negative;
  for (int64_t i = 0; i < rows->count;) {
    i = next_group(rows, i, &positive, &negative);
    above += negative * (seen + positive / 2);
    seen += positive;
  }
  return above / (rows->positive * rows->negative);
}

// Average precision: precision at each group, weighted by the recall that it adds, without
// interpolation (as scikit-learn's average_precision_score).
static double pr_auc(const co_scored_rows *rows) {
  double area = 0, hits = 0, all = 0, positive, negative;
  for (int64_t i = 0; i < rows->count;) {
    i = next_group(rows, i, &positive, &negative);
    hits += positive;
    all += positive + negative;
    area += positive * hits / all;
  }
  return area / rows->positive;
}

// Share of positive rows among the tenth that scores highest, over their share among all; of the
// group that the tenth ends in, a fraction.
static double lift_at_10(const co_scored_rows *rows) {
  double total = rows->positive + rows->negative, left = total / 10, hits = 0, positive, negative;
  for (int64_t i = 0; i < rows->count && left > 0;) {
    i = next_group(rows, i, &positive, &negative);
    double size = positive + negative, taken = size < left ? size : left;
    hits += positive * (taken / size);
    left -= taken;
  }
  return hits / (total / 10) / (rows->positive / total);
}

// Mean squared difference of probability and outcome (Brier 1950).
static double brier(const co_scored_rows *rows) {
  double sum = 0;
  for (int64_t i = 0; i < rows->count; i++) {
    double difference = rows->score[i] - rows->target[i];
    sum += rows->weight[i] * difference * difference;
  }
  return sum / (rows->positive + rows->negative);
}

extern const co_metric_class co_metric_roc_auc, co_metric_pr_auc, co_metric_lift_at_10,
    co_metric_brier;
const co_metric_class co_metric_roc_auc = {
    .name = "roc_auc",
    .doc = "Probability that a positive row scores above a negative one, ties by half.",
    .op = CO_OP_COUNT,
    .score = roc_auc,
    .binary = true,
    .higher_is_better = true};
const co_metric_class co_metric_pr_auc = {.name = "pr_auc",
                                          .doc = "Average precision over recall.",
                                          .op = CO_OP_COUNT,
                                          .score = pr_auc,
                                          .binary = true,
                                          .higher_is_better = true};
const co_metric_class co_metric_lift_at_10 = {
    .name = "lift@10",
    .doc = "Share of positive rows in the tenth that scores highest, over their share in all.",
    .op = CO_OP_COUNT,
    .score = lift_at_10,
    .binary = true,
    .higher_is_better = true};
const co_metric_class co_metric_brier = {.name = "brier",
                                         .doc =
                                             "Mean squared difference of probability and outcome.",
                                         .op = CO_OP_COUNT,
                                         .score = brier,
                                         .binary = true};
