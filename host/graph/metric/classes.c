// SPDX-License-Identifier: Apache-2.0
// Metrics of one of several classes.
#include <math.h>

#include "host/graph/metric/metric.h"

static double total_weight(const co_class_scores *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i++)
    sum += s->weight[i];
  return sum;
}

static double log_loss(const co_class_scores *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i++)
    sum -= s->weight[i] * s->log_true[i];
  return sum / total_weight(s);
}

static double accuracy(const co_class_scores *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i++)
    if (s->best[i] == s->target[i]) sum += s->weight[i];
  return sum / total_weight(s);
}

// Of equal scores the class that comes first is before the others, as `best` has it.
static int64_t place_of_truth(const co_class_scores *s, int64_t row) {
  if (s->rank) return s->rank[row];
  const float *score = s->score + row * s->classes, own = score[s->target[row]];
  int64_t place = 1;
  for (int64_t k = 0; k < s->classes; k++)
    place += score[k] > own || (score[k] == own && k < s->target[row]);
  return place;
}

enum { TOP = 5 };

static double top_accuracy(const co_class_scores *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i++)
    if (place_of_truth(s, i) <= TOP) sum += s->weight[i];
  return sum / total_weight(s);
}

void co_class_count(const co_class_scores *s) {
  double *hits = s->room, *predicted = hits + s->classes, *true_ = predicted + s->classes;
  for (int64_t k = 0; k < 3 * s->classes; k++)
    s->room[k] = 0;
  for (int64_t i = 0; i < s->count; i++) {
    predicted[s->best[i]] += s->weight[i];
    true_[s->target[i]] += s->weight[i];
    if (s->best[i] == s->target[i]) hits[s->best[i]] += s->weight[i];
  }
}

co_class_rates co_class_rates_of(const co_class_scores *s, int64_t class_) {
  const double hits = s->room[class_], predicted = s->room[s->classes + class_];
  const double support = s->room[2 * s->classes + class_];
  return (co_class_rates){.support = support,
                          .predicted = predicted,
                          .precision = predicted > 0 ? hits / predicted : 0,
                          .recall = support > 0 ? hits / support : 0,
                          .f1 = hits > 0 ? 2 * hits / (predicted + support) : 0};
}

typedef double rate(const co_class_rates *rates);

static double precision_of(const co_class_rates *rates) {
  return rates->precision;
}
static double recall_of(const co_class_rates *rates) {
  return rates->recall;
}
static double f1_of(const co_class_rates *rates) {
  return rates->f1;
}

// As scikit-learn has it: the mean over the classes that are a row's or were predicted, or over all
// by their rows' weights.
static double average(const co_class_scores *s, rate *of, bool weighted) {
  double sum = 0, weight = 0;
  co_class_count(s);
  for (int64_t k = 0; k < s->classes; k++) {
    const co_class_rates rates = co_class_rates_of(s, k);
    if (!(rates.predicted + rates.support > 0)) continue;
    sum += (weighted ? rates.support : 1) * of(&rates);
    weight += weighted ? rates.support : 1;
  }
  return weight > 0 ? sum / weight : NAN;
}

static double macro_precision(const co_class_scores *s) {
  return average(s, precision_of, false);
}
static double macro_recall(const co_class_scores *s) {
  return average(s, recall_of, false);
}
static double macro_f1(const co_class_scores *s) {
  return average(s, f1_of, false);
}
static double weighted_precision(const co_class_scores *s) {
  return average(s, precision_of, true);
}
static double weighted_f1(const co_class_scores *s) {
  return average(s, f1_of, true);
}

double co_class_roc_auc(const co_class_scores *s, int64_t class_) {
  const int64_t *order = s->order + class_ * s->count;
  double above = 0, seen = 0, negatives = 0;
  for (int64_t i = 0; i < s->count;) {
    float score = s->score[order[i] * s->classes + class_];
    double positive = 0, negative = 0;
    for (; i < s->count && s->score[order[i] * s->classes + class_] == score; i++)
      *(s->target[order[i]] == class_ ? &positive : &negative) += s->weight[order[i]];
    above += negative * (seen + positive / 2);
    seen += positive;
    negatives += negative;
  }
  return seen * negatives > 0 ? above / (seen * negatives) : NAN;
}

static double roc_auc(const co_class_scores *s) {
  double sum = 0;
  for (int64_t k = 0; s->order && k < s->classes; k++)
    sum += co_class_roc_auc(s, k);
  return s->order ? sum / (double)s->classes : NAN;
}

extern const co_metric_class co_metric_class_log_loss, co_metric_class_accuracy,
    co_metric_class_roc_auc, co_metric_top_5_accuracy;
const co_metric_class co_metric_class_log_loss = {
    .name = "log_loss",
    .doc = "Mean of -log of the probability given to the true class, at least 2^-24.",
    .op = CO_OP_COUNT,
    .class_score = log_loss};
const co_metric_class co_metric_class_accuracy = {
    .name = "accuracy",
    .doc = "Share of rows whose best class is the true one.",
    .op = CO_OP_CATEGORICAL_HITS,
    .category = true,
    .class_score = accuracy,
    .higher_is_better = true};
const co_metric_class co_metric_top_5_accuracy = {
    .name = "top_5_accuracy",
    .doc = "Share of rows whose true class is among the 5 that score highest.",
    .op = CO_OP_COUNT,
    .class_score = top_accuracy,
    .needs_classes = TOP + 1,
    .higher_is_better = true};

#define AVERAGED(function, text)                                                                   \
  extern const co_metric_class co_metric_##function;                                               \
  const co_metric_class co_metric_##function = {.name = #function,                                 \
                                                .doc = text,                                       \
                                                .op = CO_OP_COUNT,                                 \
                                                .class_score = function,                           \
                                                .higher_is_better = true}
AVERAGED(macro_precision,
         "Mean over classes of precision, the share of rows taken for one that are.");
AVERAGED(macro_recall,
         "Mean over classes of recall, the share of its rows that are found: balanced "
         "accuracy.");
AVERAGED(macro_f1, "Mean over classes of the harmonic mean of precision and recall.");
AVERAGED(weighted_precision, "Mean of the classes' precision by their rows; that of recall is the "
                             "accuracy.");
AVERAGED(weighted_f1, "Mean of the classes' F1 by their rows.");

const co_metric_class co_metric_class_roc_auc = {
    .name = "roc_auc",
    .doc = "Mean over classes of the ROC AUC of one against the rest (Provost & Domingos 2000, "
           "unweighted); null if a class has no row.",
    .op = CO_OP_COUNT,
    .needs_scores = true,
    .class_score = roc_auc,
    .higher_is_better = true};
