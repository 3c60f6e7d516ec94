// SPDX-License-Identifier: Apache-2.0
// Metrics of recommendations: where the true items stand among all of a catalogue. A unit (a customer
// at one time) counts once, whatever the number of its true items; definitions as in Krichene & Rendle
// 2020, "On Sampled Metrics for Item Recommendation", over the whole catalogue, gains 0 and 1.
#include <math.h>

#include "host/graph/metric/metric.h"

enum { K = 10 };

// Mean over units of `measure`(ranks of the true items, their number).
static double mean(const co_class_scores *s,
                   double (*measure)(const int32_t *rank, int64_t count)) {
  double sum = 0, weight = 0;
  for (int64_t i = 0, end; i < s->count; i = end) {
    for (end = i + 1; end < s->count && s->unit[end] == s->unit[i];)
      end++;
    sum += s->weight[i] * measure(s->rank + i, end - i);
    weight += s->weight[i];
  }
  return sum / weight;
}

static double least_rank(const int32_t *rank, int64_t count) {
  int32_t least = rank[0];
  for (int64_t i = 1; i < count; i++)
    if (rank[i] < least) least = rank[i];
  return least;
}

static double hit_of(const int32_t *rank, int64_t count) {
  return least_rank(rank, count) <= K;
}

static double recall_of(const int32_t *rank, int64_t count) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; i++)
    found += rank[i] <= K;
  return (double)found / (double)count;
}

double co_ndcg_of_ranks(const int32_t *rank, int64_t count) {
  double gain = 0, ideal = 0;
  for (int64_t i = 0; i < count; i++)
    if (rank[i] <= K) gain += 1 / log2(rank[i] + 1.0);
  for (int64_t i = 1; i <= count && i <= K; i++)
    ideal += 1 / log2((double)i + 1);
  return gain / ideal;
}

static double reciprocal_of(const int32_t *rank, int64_t count) {
  return 1 / least_rank(rank, count);
}

static double precision_of(const int32_t *rank, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t found = 0;
    for (int64_t k = 0; k < count; k++)
      found += rank[k] <= rank[i];
    if (rank[i] <= K) sum += (double)found / rank[i];
  }
  return sum / (double)(count < K ? count : K);
}

static double hit_rate(const co_class_scores *s) {
  return mean(s, hit_of);
}
static double recall(const co_class_scores *s) {
  return mean(s, recall_of);
}
static double ndcg(const co_class_scores *s) {
  return mean(s, co_ndcg_of_ranks);
}
static double mrr(const co_class_scores *s) {
  return mean(s, reciprocal_of);
}
static double map(const co_class_scores *s) {
  return mean(s, precision_of);
}

extern const co_metric_class co_metric_hit_rate_at_10, co_metric_recall_at_10, co_metric_ndcg_at_10,
    co_metric_mrr, co_metric_map_at_10;
const co_metric_class co_metric_hit_rate_at_10 = {
    .name = "hit_rate@10",
    .doc = "Share of units with a true item among the 10 that score highest of the catalogue.",
    .op = CO_OP_COUNT,
    .class_score = hit_rate,
    .higher_is_better = true,
    .needs_catalogue = true};
const co_metric_class co_metric_recall_at_10 = {
    .name = "recall@10",
    .doc = "Mean share of a unit's true items among the 10 that score highest.",
    .op = CO_OP_COUNT,
    .class_score = recall,
    .higher_is_better = true,
    .needs_catalogue = true};
const co_metric_class co_metric_ndcg_at_10 = {
    .name = "ndcg@10",
    .doc =
        "Mean over units of the sum of 1 / log2(rank + 1) of true items among the first 10, over "
        "what it is at best (of min(10, their number)).",
    .op = CO_OP_COUNT,
    .class_score = ndcg,
    .higher_is_better = true,
    .needs_catalogue = true};
const co_metric_class co_metric_mrr = {
    .name = "mrr",
    .doc = "Mean over units of 1 / rank of the best placed true item.",
    .op = CO_OP_COUNT,
    .class_score = mrr,
    .higher_is_better = true,
    .needs_catalogue = true};
const co_metric_class co_metric_map_at_10 = {
    .name = "map@10",
    .doc = "Mean over units of the precision at each true item among the first 10, summed, over "
           "min(10, number of true items).",
    .op = CO_OP_COUNT,
    .class_score = map,
    .higher_is_better = true,
    .needs_catalogue = true};
