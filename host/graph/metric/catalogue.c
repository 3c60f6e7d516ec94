// SPDX-License-Identifier: Apache-2.0
// Metrics of recommendations: where the true items stand among all of a catalogue. A unit (a customer
// at one time) counts once, whatever the number of its true items; definitions as in Krichene & Rendle
// 2020, "On Sampled Metrics for Item Recommendation", over the whole catalogue, gains 0 and 1. What was
// had before and what is new are told apart as in Li et al. 2023, "A Next Basket Recommendation Reality
// Check": repeats and explorations have the places that they have among all items.
#include <math.h>
#include <string.h>

#include "host/graph/metric/metric.h"

enum { K = CO_LISTED };

static double least_rank(const co_true_items *items) {
  int32_t least = items->rank[0];
  for (int64_t i = 1; i < items->count; i++)
    if (items->rank[i] < least) least = items->rank[i];
  return least;
}

static double hit_rate_at_10_of(const co_true_items *items) {
  return least_rank(items) <= K;
}

static double recall_at_10_of(const co_true_items *items) {
  int64_t found = 0;
  for (int64_t i = 0; i < items->count; i++)
    found += items->rank[i] <= K;
  return (double)found / (double)items->count;
}

double co_ndcg_of_ranks(const int32_t *rank, int64_t count) {
  double gain = 0, ideal = 0;
  for (int64_t i = 0; i < count; i++)
    if (rank[i] <= K) gain += 1 / log2(rank[i] + 1.0);
  for (int64_t i = 1; i <= count && i <= K; i++)
    ideal += 1 / log2((double)i + 1);
  return gain / ideal;
}

static double ndcg_at_10_of(const co_true_items *items) {
  return co_ndcg_of_ranks(items->rank, items->count);
}

static double mrr_of(const co_true_items *items) {
  return 1 / least_rank(items);
}

static double map_at_10_of(const co_true_items *items) {
  double sum = 0;
  for (int64_t i = 0; i < items->count; i++) {
    int64_t found = 0;
    for (int64_t k = 0; k < items->count; k++)
      found += items->rank[k] <= items->rank[i];
    if (items->rank[i] <= K) sum += (double)found / items->rank[i];
  }
  return sum / (double)(items->count < K ? items->count : K);
}

static double repeat_share(const co_true_items *items) {
  return (double)items->repeats / (double)items->all;
}

static double repetition_ratio(const co_true_items *items) {
  return items->listed_repeats;
}

static double coverage(const co_class_scores *s) {
  double covered = 0;
  if (!s->listed) return NAN;
  memset(s->room, 0, (size_t)s->classes * sizeof *s->room);
  for (int64_t i = 0; i < s->units; i++)
    for (int k = 0; k < K && s->unit_weight[i] > 0; k++) {
      const int32_t item = s->listed[i * K + k];
      if (item < 0 || s->room[item] > 0) continue;
      s->room[item] = 1;
      covered++;
    }
  return covered / (double)s->classes;
}

// Of all true items, and of repeats and explorations alone.
#define OF_ITEMS(function, id, text)                                                               \
  extern const co_metric_class co_metric_##function, co_metric_repeat_##function,                  \
      co_metric_explore_##function;                                                                \
  const co_metric_class co_metric_##function = {.name = id,                                        \
                                                .doc = text,                                       \
                                                .op = CO_OP_COUNT,                                 \
                                                .unit_score = function##_of,                       \
                                                .higher_is_better = true,                          \
                                                .needs_catalogue = true};                          \
  const co_metric_class co_metric_repeat_##function = {                                            \
      .name = "repeat_" id,                                                                        \
      .doc = id " of the true items that the row's own history has, over units with such.",        \
      .op = CO_OP_COUNT,                                                                           \
      .unit_score = function##_of,                                                                 \
      .part = CO_ITEMS_REPEAT,                                                                     \
      .higher_is_better = true,                                                                    \
      .needs_catalogue = true,                                                                     \
      .needs_history = true};                                                                      \
  const co_metric_class co_metric_explore_##function = {                                           \
      .name = "explore_" id,                                                                       \
      .doc = id " of the true items that the row's own history has not, over units with such.",    \
      .op = CO_OP_COUNT,                                                                           \
      .unit_score = function##_of,                                                                 \
      .part = CO_ITEMS_EXPLORE,                                                                    \
      .higher_is_better = true,                                                                    \
      .needs_catalogue = true,                                                                     \
      .needs_history = true};

OF_ITEMS(hit_rate_at_10, "hit_rate@10",
         "Share of units with a true item among the 10 that score highest of the catalogue.")
OF_ITEMS(recall_at_10, "recall@10",
         "Mean share of a unit's true items among the 10 that score highest.")
OF_ITEMS(ndcg_at_10, "ndcg@10",
         "Mean over units of the sum of 1 / log2(rank + 1) of true items among the first 10, over "
         "what it is at best (of min(10, their number)).")
OF_ITEMS(mrr, "mrr", "Mean over units of 1 / rank of the best placed true item.")
OF_ITEMS(map_at_10, "map@10",
         "Mean over units of the precision at each true item among the first 10, summed, over "
         "min(10, number of true items).")

// Of items that were no training row's target, and of the others, alone.
#define OF_NEW_ITEMS(function, id)                                                                 \
  extern const co_metric_class co_metric_new_##function, co_metric_known_##function;               \
  const co_metric_class co_metric_new_##function = {                                               \
      .name = "new_" id,                                                                           \
      .doc =                                                                                       \
          id " of the true items that no training row had as its target, over units with such.",   \
      .op = CO_OP_COUNT,                                                                           \
      .unit_score = function##_of,                                                                 \
      .part = CO_ITEMS_NEW,                                                                        \
      .higher_is_better = true,                                                                    \
      .needs_catalogue = true,                                                                     \
      .needs_new_items = true};                                                                    \
  const co_metric_class co_metric_known_##function = {                                             \
      .name = "known_" id,                                                                         \
      .doc = id " of the true items that a training row had as its target, over units with such.", \
      .op = CO_OP_COUNT,                                                                           \
      .unit_score = function##_of,                                                                 \
      .part = CO_ITEMS_KNOWN,                                                                      \
      .higher_is_better = true,                                                                    \
      .needs_catalogue = true,                                                                     \
      .needs_new_items = true};

OF_NEW_ITEMS(hit_rate_at_10, "hit_rate@10")
OF_NEW_ITEMS(mrr, "mrr")

extern const co_metric_class co_metric_repeat_share, co_metric_repetition_ratio_at_10,
    co_metric_coverage_at_10;
const co_metric_class co_metric_repeat_share = {
    .name = "repeat_share",
    .doc = "Mean over units of the share of true items that the row's own history has: of the "
           "data, not "
           "of the model.",
    .op = CO_OP_COUNT,
    .unit_score = repeat_share,
    .descriptive = true,
    .unpaired = true,
    .needs_catalogue = true,
    .needs_history = true};
const co_metric_class co_metric_repetition_ratio_at_10 = {
    .name = "repetition_ratio@10",
    .doc = "Mean over units of the share of the 10 items that score highest that the row's own "
           "history "
           "has: beside repeat_share.",
    .op = CO_OP_COUNT,
    .unit_score = repetition_ratio,
    .descriptive = true,
    .unpaired = true,
    .needs_catalogue = true,
    .needs_history = true};
const co_metric_class co_metric_coverage_at_10 = {
    .name = "coverage@10",
    .doc = "Share of the catalogue that is among the 10 items that score highest of any unit: "
           "grows with "
           "their number, so it has no interval.",
    .op = CO_OP_COUNT,
    .class_score = coverage,
    .higher_is_better = true,
    .deviation = true,
    .unpaired = true,
    .needs_catalogue = true};
