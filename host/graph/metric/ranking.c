// SPDX-License-Identifier: Apache-2.0
// Metrics of how well scores tell positive rows from negative ones.
#include <math.h>

#include "host/graph/metric/metric.h"

// Mann & Whitney 1947; the area under the ROC curve.
static double roc_auc(const co_binary_scores *s) {
  double above = 0, seen = 0;
  for (int64_t i = 0; i < s->count; i++) {
    above += s->negative[i] * (seen + s->positive[i] / 2);
    seen += s->positive[i];
  }
  return above / (s->positives * s->negatives);
}

static double pr_auc(const co_binary_scores *s) {
  double area = 0, hits = 0, all = 0;
  for (int64_t i = 0; i < s->count; i++) {
    hits += s->positive[i];
    all += s->positive[i] + s->negative[i];
    if (s->positive[i] > 0) area += s->positive[i] * hits / all;
  }
  return area / s->positives;
}

static double ks(const co_binary_scores *s) {
  double hits = 0, alarms = 0, most = 0;
  for (int64_t i = 0; i < s->count; i++) {
    hits += s->positive[i];
    alarms += s->negative[i];
    double distance = fabs(hits / s->positives - alarms / s->negatives);
    if (!(distance <= most)) most = distance;
  }
  return most;
}

// Weight of the positive rows among the `share` that scores highest; of the group that it ends in, a
// fraction.
static double hits_in(const co_binary_scores *s, double share) {
  double left = (s->positives + s->negatives) * share, hits = 0;
  for (int64_t i = 0; i < s->count && left > 0; i++) {
    double size = s->positive[i] + s->negative[i], taken = size < left ? size : left;
    if (size > 0) hits += s->positive[i] * (taken / size);
    left -= taken;
  }
  return hits;
}

static double gain_at_10(const co_binary_scores *s) {
  return hits_in(s, 0.1) / s->positives;
}

static double lift_at_10(const co_binary_scores *s) {
  return gain_at_10(s) / 0.1;
}

#define RANKING(symbol, id, function, text)                                                        \
  extern const co_metric_class symbol;                                                             \
  const co_metric_class symbol = {.name = id,                                                      \
                                  .doc = text,                                                     \
                                  .op = CO_OP_COUNT,                                               \
                                  .binary_score = function,                                        \
                                  .higher_is_better = true}
RANKING(co_metric_roc_auc, "roc_auc", roc_auc,
        "Probability that a positive row scores above a negative one, ties by half (Mann & Whitney "
        "1947).");
RANKING(co_metric_pr_auc, "pr_auc", pr_auc,
        "Average precision: precision at each score, weighted by the recall that it adds, without "
        "interpolation (scikit-learn's average_precision_score).");
RANKING(co_metric_ks, "ks", ks,
        "Largest distance between the shares of positive and of negative rows above a score "
        "(Kolmogorov & Smirnov).");
RANKING(co_metric_lift_at_10, "lift@10", lift_at_10,
        "Share of positive rows in the tenth that scores highest, over their share in all; of a "
        "tie at its end, a fraction.");
RANKING(co_metric_gain_at_10, "gain@10", gain_at_10,
        "Share of all positive rows that is in the tenth that scores highest.");
