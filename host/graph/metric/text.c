// SPDX-License-Identifier: Apache-2.0
// Metrics of texts that are written.
#include "host/graph/metric/metric.h"

static double exact_match(const co_text_scores *s) {
  double sum = 0, total = 0;
  for (int64_t i = 0; i < s->count; i++) {
    sum += s->weight[i] * s->exact[i];
    total += s->weight[i];
  }
  return sum / total;
}

static double token_error_rate(const co_text_scores *s) {
  double sum = 0, total = 0;
  for (int64_t i = 0; i < s->count; i++) {
    sum += s->weight[i] * s->edits[i];
    total += s->weight[i] * s->length[i];
  }
  return sum / total;
}

extern const co_metric_class co_metric_exact_match;
const co_metric_class co_metric_exact_match = {
    .name = "exact_match",
    .doc = "Share of rows whose text is written as it is, to its end.",
    .op = CO_OP_COUNT,
    .text_score = exact_match,
    .higher_is_better = true};

extern const co_metric_class co_metric_token_error_rate;
const co_metric_class co_metric_token_error_rate = {
    .name = "token_error_rate",
    .doc = "Tokens of what is written that are to be inserted, left out or replaced (Levenshtein "
           "1966), over those of the true texts, however long they are.",
    .op = CO_OP_COUNT,
    .text_score = token_error_rate};

extern const co_metric_class co_metric_token_accuracy;
const co_metric_class co_metric_token_accuracy = {
    .name = "token_accuracy",
    .doc =
        "Mean over rows of the share of tokens, the end among them, that are the likeliest "
        "where the true ones before them are told; of the first max_length. Rare ones, which are "
        "never written, are misses; in log_loss they are one more token.",
    .op = CO_OP_CATEGORICAL_HITS,
    .text = true,
    .higher_is_better = true};
