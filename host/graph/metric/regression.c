// SPDX-License-Identifier: Apache-2.0
// Metrics of predicted numbers.
#include <math.h>
#include <string.h>

#include "host/graph/metric/metric.h"

static double total_weight(const co_number_scores *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i++)
    sum += s->weight[i];
  return sum;
}

static double squared_error(const co_number_scores *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i++) {
    double error = s->prediction[i] - s->target[i];
    sum += s->weight[i] * error * error;
  }
  return sum;
}

static double mae(const co_number_scores *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i++)
    sum += s->weight[i] * fabs(s->prediction[i] - s->target[i]);
  return sum / total_weight(s);
}

static double rmse(const co_number_scores *s) {
  return sqrt(squared_error(s) / total_weight(s));
}

static double weighted_mean(const double *values, const double *weight, int64_t count) {
  double sum = 0, total = 0;
  for (int64_t i = 0; i < count; i++) {
    sum += weight[i] * values[i];
    total += weight[i];
  }
  return sum / total;
}

// NaN of a constant target.
static double r2(const co_number_scores *s) {
  double mean = weighted_mean(s->target, s->weight, s->count), spread = 0;
  for (int64_t i = 0; i < s->count; i++)
    spread += s->weight[i] * (s->target[i] - mean) * (s->target[i] - mean);
  return spread > 0 ? 1 - squared_error(s) / spread : NAN;
}

// Each row's rank: the weight below it, and half of that of its equals.
static void rank(const co_number_scores *s, const double *values, const int64_t *order,
                 double *out) {
  double below = 0;
  for (int64_t i = 0; i < s->count;) {
    double equal = 0;
    int64_t first = i;
    for (; i < s->count && values[order[i]] == values[order[first]]; i++)
      equal += s->weight[order[i]];
    for (int64_t k = first; k < i; k++)
      out[order[k]] = below + equal / 2;
    below += equal;
  }
}

static double spearman(const co_number_scores *s) {
  rank(s, s->prediction, s->by_prediction, s->rank[0]);
  rank(s, s->target, s->by_target, s->rank[1]);
  double mean[2], xx = 0, yy = 0, xy = 0;
  for (int k = 0; k < 2; k++)
    mean[k] = weighted_mean(s->rank[k], s->weight, s->count);
  for (int64_t i = 0; i < s->count; i++) {
    double x = s->rank[0][i] - mean[0], y = s->rank[1][i] - mean[1];
    xx += s->weight[i] * x * x;
    yy += s->weight[i] * y * y;
    xy += s->weight[i] * x * y;
  }
  return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

// NaN where the targets' sum is none to be compared with.
static double total_error(const co_number_scores *s) {
  double target = weighted_mean(s->target, s->weight, s->count);
  double prediction = weighted_mean(s->prediction, s->weight, s->count);
  return target > 0 ? fabs(prediction / target - 1) : NAN;
}

// Of rows in the order of `values`, equals side by side: 1 - twice the area below the targets'
// cumulative share over that of the rows (Lorenz).
static double concentration(const co_number_scores *s, const double *values, const int64_t *order) {
  double sum = 0, weight = 0, area = 0;
  for (int64_t i = 0; i < s->count;) {
    double more = 0, rows = 0;
    int64_t first = i;
    for (; i < s->count && values[order[i]] == values[order[first]]; i++) {
      more += s->weight[order[i]] * s->target[order[i]];
      rows += s->weight[order[i]];
    }
    area += rows * (sum + more / 2);
    sum += more;
    weight += rows;
  }
  return 1 - 2 * area / (sum * weight);
}

// NaN of a constant target, and of one whose sum is not above 0.
static double gini(const co_number_scores *s) {
  double best = concentration(s, s->target, s->by_target);
  if (!(weighted_mean(s->target, s->weight, s->count) > 0) || !(best > 1e-12)) return NAN;
  return concentration(s, s->prediction, s->by_prediction) / best;
}

// Sums of predictions and targets in `out`, in place of means.
static void sum_deciles(co_value_decile *out, const co_number_scores *s) {
  double room = total_weight(s) / CO_DECILES, left = room;
  int at = 0;
  memset(out, 0, CO_DECILES * sizeof *out);
  for (int64_t end = s->count, first; end > 0; end = first) { // equals, side by side
    const double prediction = s->prediction[s->by_prediction[end - 1]];
    double rows = 0, target = 0;
    for (first = end; first > 0 && s->prediction[s->by_prediction[first - 1]] == prediction;) {
      const int64_t row = s->by_prediction[--first];
      rows += s->weight[row];
      target += s->weight[row] * s->target[row];
    }
    for (double part, rest = rows; rest > 0; rest -= part) {
      part = rest < left || at == CO_DECILES - 1 ? rest : left;
      out[at].rows += part;
      out[at].prediction += part * prediction;
      out[at].target += target * (part / rows);
      left -= part;
      if (left > 0 || at == CO_DECILES - 1) continue;
      at++;
      left = room;
    }
  }
}

void co_value_deciles(co_value_decile out[CO_DECILES], const co_number_scores *s) {
  double total = 0, gained = 0;
  sum_deciles(out, s);
  for (int k = 0; k < CO_DECILES; k++)
    total += out[k].target;
  for (int k = 0; k < CO_DECILES; k++) {
    co_value_decile *d = &out[k];
    gained += d->target;
    d->gain = total > 0 ? gained / total : NAN;
    d->prediction /= d->rows;
    d->target /= d->rows;
  }
}

// NaN where the targets' sum is none to be compared with.
static double decile_error(const co_number_scores *s) {
  co_value_decile deciles[CO_DECILES];
  double off = 0, total = 0;
  sum_deciles(deciles, s);
  for (int k = 0; k < CO_DECILES; k++) {
    off += fabs(deciles[k].prediction - deciles[k].target);
    total += deciles[k].target;
  }
  return total > 0 ? off / total : NAN;
}

#define REGRESSION(symbol, id, function, higher, text)                                             \
  extern const co_metric_class symbol;                                                             \
  const co_metric_class symbol = {.name = id,                                                      \
                                  .doc = text,                                                     \
                                  .op = CO_OP_COUNT,                                               \
                                  .number_score = function,                                        \
                                  .higher_is_better = higher}
#define DEVIATION(symbol, id, function, text)                                                      \
  extern const co_metric_class symbol;                                                             \
  const co_metric_class symbol = {.name = id,                                                      \
                                  .doc = text " Without an interval.",                             \
                                  .op = CO_OP_COUNT,                                               \
                                  .number_score = function,                                        \
                                  .deviation = true}
REGRESSION(co_metric_mae, "mae", mae, false, "Mean absolute error.");
REGRESSION(co_metric_rmse, "rmse", rmse, false, "Square root of the mean squared error.");
REGRESSION(co_metric_r2, "r2", r2, true,
           "1 - squared error over that of the mean of these rows; null of a constant target.");
REGRESSION(co_metric_spearman, "spearman", spearman, true,
           "Correlation of the ranks of prediction and target, ties at their middle (Spearman "
           "1904).");
REGRESSION(
    co_metric_gini, "gini", gini, true,
    "Normalised Gini coefficient: how far the largest predictions gather what there is of the "
    "target, 1 = as its own order does, 0 = as chance.");
DEVIATION(co_metric_total_error, "total_error", total_error,
          "How far the sum of predictions is from that of targets, as a share of it.");
DEVIATION(co_metric_decile_error, "decile_error", decile_error,
          "Calibration by tenths of the rows by prediction: how far the sum of predictions is from "
          "that of targets in each, added up, as a share of the sum of targets (decile MAPE of "
          "Wang, Liu, Miao 2019, tenths weighted by what they hold).");
