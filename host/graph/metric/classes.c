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

// Over the classes that are a row's or were predicted, as scikit-learn's f1_score has it.
static double macro_f1(const co_class_scores *s) {
  double *hits = s->room, *predicted = hits + s->classes, *true_ = predicted + s->classes, sum = 0;
  int64_t known = 0;
  for (int64_t k = 0; k < 3 * s->classes; k++)
    s->room[k] = 0;
  for (int64_t i = 0; i < s->count; i++) {
    predicted[s->best[i]] += s->weight[i];
    true_[s->target[i]] += s->weight[i];
    if (s->best[i] == s->target[i]) hits[s->best[i]] += s->weight[i];
  }
  for (int64_t k = 0; k < s->classes; k++) {
    if (!(predicted[k] + true_[k] > 0)) continue;
    sum += 2 * hits[k] / (predicted[k] + true_[k]);
    known++;
  }
  return known ? sum / (double)known : NAN;
}

static double one_against_rest(const co_class_scores *s, int64_t class_) {
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
  return above / (seen * negatives);
}

static double roc_auc(const co_class_scores *s) {
  double sum = 0;
  for (int64_t k = 0; s->order && k < s->classes; k++)
    sum += one_against_rest(s, k);
  return s->order ? sum / (double)s->classes : NAN;
}

extern const co_metric_class co_metric_class_log_loss, co_metric_class_accuracy, co_metric_macro_f1,
    co_metric_class_roc_auc;
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
const co_metric_class co_metric_macro_f1 = {
    .name = "macro_f1",
    .doc = "Mean over classes of the harmonic mean of precision and recall.",
    .op = CO_OP_COUNT,
    .class_score = macro_f1,
    .higher_is_better = true};
const co_metric_class co_metric_class_roc_auc = {
    .name = "roc_auc",
    .doc = "Mean over classes of the ROC AUC of one against the rest (Provost & Domingos 2000, "
           "unweighted); null if a class has no row.",
    .op = CO_OP_COUNT,
    .needs_scores = true,
    .class_score = roc_auc,
    .higher_is_better = true};
