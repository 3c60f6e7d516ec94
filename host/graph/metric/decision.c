// SPDX-License-Identifier: Apache-2.0
// Metrics of decisions: rows that score at or above the output's threshold are taken for positive.
#include <math.h>

#include "host/graph/metric/metric.h"

typedef struct confusion {
  double tp, fp, fn, tn;
} confusion;

static confusion decide(const co_binary_scores *s) {
  confusion c = {0};
  for (int64_t i = 0; i < s->count && s->score[i] >= s->threshold; i++) {
    c.tp += s->positive[i];
    c.fp += s->negative[i];
  }
  c.fn = s->positives - c.tp;
  c.tn = s->negatives - c.fp;
  return c;
}

// As scikit-learn has it, 0 where there is nothing to divide by.
static double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

static double accuracy(const co_binary_scores *s) {
  confusion c = decide(s);
  return (c.tp + c.tn) / (s->positives + s->negatives);
}

static double precision(const co_binary_scores *s) {
  confusion c = decide(s);
  return ratio(c.tp, c.tp + c.fp);
}

static double recall(const co_binary_scores *s) {
  confusion c = decide(s);
  return ratio(c.tp, s->positives);
}

static double f1(const co_binary_scores *s) {
  confusion c = decide(s);
  return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn);
}

static double mcc(const co_binary_scores *s) {
  confusion c = decide(s);
  double square = (c.tp + c.fp) * (c.fn + c.tn) * s->positives * s->negatives;
  return ratio(c.tp * c.tn - c.fp * c.fn, sqrt(square > 0 ? square : 0));
}

static double worth(const co_profit *p, const confusion *c) {
  return p->true_positive * c->tp + p->false_positive * c->fp + p->false_negative * c->fn +
         p->true_negative * c->tn;
}

static double profit(const co_binary_scores *s) {
  confusion c = decide(s);
  return s->profit ? worth(s->profit, &c) / (s->positives + s->negatives) : NAN;
}

static double max_profit(const co_binary_scores *s) {
  confusion c = {.fn = s->positives, .tn = s->negatives};
  if (!s->profit) return NAN;
  double best = worth(s->profit, &c);
  for (int64_t i = 0; i < s->count; i++) {
    c.tp += s->positive[i];
    c.fp += s->negative[i];
    c.fn = s->positives - c.tp;
    c.tn = s->negatives - c.fp;
    double value = worth(s->profit, &c);
    if (value > best) best = value;
  }
  return best / (s->positives + s->negatives);
}

#define DECISION(symbol, id, function, text, ...)                                                  \
  extern const co_metric_class symbol;                                                             \
  const co_metric_class symbol = {.name = id,                                                      \
                                  .doc = text,                                                     \
                                  .op = CO_OP_COUNT,                                               \
                                  .binary_score = function,                                        \
                                  .higher_is_better = true,                                        \
                                  __VA_ARGS__}
#define AT_THRESHOLD "at the output's threshold (0.5, or as its `decision` says)"
DECISION(co_metric_accuracy, "accuracy", accuracy, "Share of rows decided right " AT_THRESHOLD ".",
         .needs_profit = false);
DECISION(co_metric_precision, "precision", precision,
         "Share of positive rows among those taken for positive " AT_THRESHOLD "; 0 of none.",
         .needs_profit = false);
DECISION(co_metric_recall, "recall", recall,
         "Share of the positive rows that is taken for positive " AT_THRESHOLD ".",
         .needs_profit = false);
DECISION(co_metric_f1, "f1", f1, "Harmonic mean of precision and recall " AT_THRESHOLD ".",
         .needs_profit = false);
DECISION(co_metric_mcc, "mcc", mcc,
         "Correlation of decision and outcome " AT_THRESHOLD
         " (Matthews 1975); 0 where either is constant.",
         .needs_profit = false);
DECISION(co_metric_profit, "profit", profit,
         "Mean profit of a row at given costs, " AT_THRESHOLD ".", .needs_profit = true);
DECISION(co_metric_max_profit, "max_profit", max_profit,
         "Mean profit of a row at given costs and the threshold that is best for these very rows.",
         .needs_profit = true);
