// SPDX-License-Identifier: Apache-2.0
#include "host/eval/calibration.h"

#include <math.h>
#include <string.h>

// ---- temperature -------------------------------------------------------------------------------

// As far from 0 and 1 as floats below 1 are from it: logits stay finite.
static double bounded(double p) {
  const double least = 0x1p-24;
  return p < least ? least : p > 1 - least ? 1 - least : p;
}

// Log of the probability that class `of` has at this inverse temperature.
static double log_probability(const float *score, int64_t width, int64_t of, double inverse) {
  if (width == 1) {
    double p = bounded((double)score[0]), logit = log(p) - log1p(-p);
    return -log1p(exp(inverse * (of ? -logit : logit)));
  }
  double sum = 0, top = log(bounded((double)score[of]));
  for (int64_t k = 0; k < width; k++)
    sum += exp(inverse * (log(bounded((double)score[k])) - top));
  return -log(sum);
}

void co_calibrate(float *scores, int64_t rows, int64_t width, double temperature) {
  for (int64_t i = 0; i < rows; i++) {
    float *score = scores + i * width;
    double sum = 0;
    if (width == 1) {
      score[0] = (float)exp(log_probability(score, 1, 1, 1 / temperature));
      continue;
    }
    for (int64_t k = 0; k < width; k++)
      sum += pow(bounded((double)score[k]), 1 / temperature);
    for (int64_t k = 0; k < width; k++)
      score[k] = (float)(pow(bounded((double)score[k]), 1 / temperature) / sum);
  }
}

co_status co_calibrated_scores(co_scores *out, const co_scores *scores, double temperature) {
  size_t bytes = (size_t)(scores->count * scores->width) * sizeof *scores->score;
  *out = *scores;
  out->score = co_alloc(scores->ctx, bytes);
  if (!out->score) return CO_ERR_MEMORY;
  memcpy(out->score, scores->score, bytes);
  co_calibrate(out->score, out->count, out->width, temperature);
  return CO_OK;
}

enum { MOST_PROBABILITIES = 1 << 20 };

static double loss_at(const co_scores *s, int64_t every, double inverse) {
  double sum = 0;
  for (int64_t i = 0; i < s->count; i += every) {
    const float *score = s->score + i * s->width;
    double target = s->target[i];
    if (s->width > 1)
      sum -= s->weight[i] * log_probability(score, s->width, (int64_t)target, inverse);
    else
      sum -= s->weight[i] * (target * log_probability(score, 1, 1, inverse) +
                             (1 - target) * log_probability(score, 1, 0, inverse));
  }
  return sum;
}

// The loss is convex in the inverse temperature, so it has one valley on any scale of it: golden
// section search over its logarithm.
double co_fit_temperature(const co_scores *s) {
  const double golden = 0.61803398874989485, limit = 2.995732273553991; // ln 20
  if (s->kept != CO_KEPT_SCORES) return 1;                              // whose scores are not kept
  int64_t every = s->count * s->width / MOST_PROBABILITIES + 1;
  double low = -limit, high = limit;
  double a = high - golden * (high - low), b = low + golden * (high - low);
  double at_a = loss_at(s, every, exp(a)), at_b = loss_at(s, every, exp(b));
  if (!s->count || !isfinite(at_a) || !isfinite(at_b)) return 1;
  while (high - low > 1e-6) {
    if (at_a <= at_b) {
      high = b, b = a, at_b = at_a;
      a = high - golden * (high - low);
      at_a = loss_at(s, every, exp(a));
    } else {
      low = a, a = b, at_a = at_b;
      b = low + golden * (high - low);
      at_b = loss_at(s, every, exp(b));
    }
  }
  return exp(-(low + high) / 2);
}

// ---- cut-offs ----------------------------------------------------------------------------------

static double f1(const co_binary_scores *s, double hits, double alarms) {
  return hits > 0 ? 2 * hits / (hits + alarms + s->positives) : 0;
}

static double profit(const co_binary_scores *s, double hits, double alarms) {
  const co_profit *p = s->profit;
  return (p->true_positive * hits + p->false_positive * alarms +
          p->false_negative * (s->positives - hits) + p->true_negative * (s->negatives - alarms)) /
         (s->positives + s->negatives);
}

static co_cutoff best(const co_binary_scores *s,
                      double (*value)(const co_binary_scores *, double, double)) {
  double hits = 0, alarms = 0, total = s->positives + s->negatives;
  co_cutoff out = {2, 0, value(s, 0, 0)};
  for (int64_t i = 0; i < s->count; i++) {
    hits += s->positive[i];
    alarms += s->negative[i];
    double here = value(s, hits, alarms);
    if (!(here > out.value)) continue;
    double next = i + 1 < s->count ? s->score[i + 1] : s->score[i];
    out = (co_cutoff){(s->score[i] + next) / 2, (hits + alarms) / total, here};
  }
  return out;
}

co_cutoff co_best_f1(const co_binary_scores *scores) {
  return best(scores, f1);
}

co_cutoff co_best_profit(const co_binary_scores *scores) {
  return best(scores, profit);
}

// ---- deciles -----------------------------------------------------------------------------------

void co_deciles(co_decile out[CO_DECILES], const co_binary_scores *s) {
  double total = s->positives + s->negatives, room = total / CO_DECILES, gained = 0;
  int at = 0;
  memset(out, 0, CO_DECILES * sizeof *out);
  for (int64_t i = 0; i < s->count; i++) {
    double size = s->positive[i] + s->negative[i], left = size;
    while (left > 0) {
      double part = left < room || at == CO_DECILES - 1 ? left : room;
      out[at].rows += part;
      out[at].positives += s->positive[i] * (part / size);
      out[at].score += part * s->score[i];
      left -= part;
      room -= part;
      if (room > 0 || at == CO_DECILES - 1) continue;
      at++;
      room = total / CO_DECILES;
    }
  }
  for (int k = 0; k < CO_DECILES; k++) {
    co_decile *d = &out[k];
    gained += d->positives;
    d->score /= d->rows;
    d->rate = d->positives / d->rows;
    d->lift = d->rate / (s->positives / total);
    d->gain = gained / s->positives;
  }
}

// ---- the model's own ---------------------------------------------------------------------------

static co_status decide_threshold(const co_evaluation *e, int64_t output, double *threshold) {
  const co_decision *decision = &e->model->outputs[output].decision;
  co_measured measured;
  if (decision->rule == CO_THRESHOLD_GIVEN) return CO_OK;
  co_status status = co_evaluation_measure(&measured, e, output, &e->scores[output]);
  if (status == CO_OK && measured.finite && measured.rows)
    *threshold = decision->rule == CO_THRESHOLD_F1 ? co_best_f1(&measured.binary).threshold
                                                   : co_best_profit(&measured.binary).threshold;
  co_measured_free(&measured);
  return status;
}

co_status co_decide(const co_evaluation *e) {
  for (int64_t i = 0; i < e->model->output_count; i++) {
    const co_output_feature *output = &e->model->outputs[i];
    if (!output->decided || !e->collects[i]) continue;
    double *decided = output->decided->bytes;
    decided[0] = co_fit_temperature(&e->scores[i]);
    CO_RETURN_IF_FAILED(decide_threshold(e, i, &decided[1]));
  }
  return CO_OK;
}
