// SPDX-License-Identifier: Apache-2.0
// Metrics of how well scores are probabilities.
#include <math.h>

#include "host/graph/metric/metric.h"

static double log_loss(const co_binary_scores *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i++)
    sum -= s->positive[i] * s->log_true[i] + s->negative[i] * s->log_false[i];
  return sum / (s->positives + s->negatives);
}

static double brier(const co_binary_scores *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i++) {
    double p = s->score[i];
    sum += s->positive[i] * (1 - p) * (1 - p) + s->negative[i] * p * p;
  }
  return sum / (s->positives + s->negatives);
}

enum { BINS = 10 };

// A group on the border of two bins is divided between them.
static double ece(const co_binary_scores *s) {
  double total = s->positives + s->negatives, room = total / BINS, sum = 0, excess = 0;
  for (int64_t i = 0; i < s->count; i++) {
    double size = s->positive[i] + s->negative[i], left = size;
    if (!(size > 0)) continue;
    double miss = s->positive[i] / size - s->score[i]; // of a row
    for (; left > room; room = total / BINS) {
      sum += fabs(excess + room * miss);
      excess = 0;
      left -= room;
    }
    excess += left * miss;
    room -= left;
  }
  return (sum + fabs(excess)) / total;
}

#define PROBABILITY(symbol, id, function, text)                                                    \
  extern const co_metric_class symbol;                                                             \
  const co_metric_class symbol = {                                                                 \
      .name = id, .doc = text, .op = CO_OP_COUNT, .binary_score = function}
PROBABILITY(co_metric_log_loss, "log_loss", log_loss,
            "Mean of -log of the probability given to the outcome, probabilities within "
            "[2^-24, 1 - 2^-24].");
PROBABILITY(co_metric_brier, "brier", brier,
            "Mean squared difference of probability and outcome (Brier 1950).");
extern const co_metric_class co_metric_ece;
const co_metric_class co_metric_ece = {
    .name = "ece",
    .doc = "Expected calibration error: mean over ten bins of equal weight (by score) of |mean "
           "outcome - mean probability| (equal-mass bins, as in Nixon et al. 2019). Without an "
           "interval.",
    .op = CO_OP_COUNT,
    .binary_score = ece,
    .deviation = true};
