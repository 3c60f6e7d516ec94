// SPDX-License-Identifier: Apache-2.0
// Who bought it before buys it again, if it is still bought: how often an item occurs in the sample's own
// history, times a power of how popular it is of late. Exponent and days are those that would have been
// best for the training samples of the last four weeks, by what was known before these. Of an output are
// stored "share" and "factor" (next_items.h).
#include <math.h>
#include <string.h>

#include "host/eval/next_items.h"
#include "host/graph/metric/metric.h"

enum { DAYS = 4, EXPONENTS = 3, TRIED = 28 };
static const double days[DAYS] = {7, 14, 28, 91}, exponents[EXPONENTS] = {0, .25, .5};
static const double most_work = 5e8; // samples x choices x classes

// Of shares, those of an average item are 1.
static void make_factors(const double *share, int64_t classes, double exponent, double *factor) {
  for (int64_t k = 0; k < classes; k++)
    factor[k] = pow(share[k] * (double)classes, exponent);
}

// ---- choosing ----------------------------------------------------------------------------------

typedef struct choosing {
  const co_history *history;
  int64_t *late, count; // samples, those of one history beside each other
  int64_t *counted;
  int32_t *rank;                  // (samples), of those of one history
  double *score, *share, *factor; // (classes)
} choosing;

static bool same_history(const co_history *h, int64_t a, int64_t b) {
  return h->begin[a] == h->begin[b] && h->end[a] == h->end[b];
}

// Whole histories, evenly chosen where all would be too much work.
static void choose_samples(choosing *c, const co_fit_data *data, double since) {
  const co_history *h = data->history;
  const double work =
      (double)data->sample_count * DAYS * EXPONENTS * (double)h->classes / most_work;
  int64_t every = work > 1 ? (int64_t)ceil(work) : 1, group = -1, before = -1;
  for (int64_t i = 0; h->as_of && i < data->sample_count; i++) {
    const int64_t sample = data->samples[i];
    if ((double)h->as_of[sample] < since || h->target[sample] < 0) continue;
    group += before < 0 || !same_history(h, sample, before);
    before = sample;
    if (group % every == 0) c->late[c->count++] = sample;
  }
}

// Where an item stands; of equal ones the last. Shares decide between equal frequencies.
static int32_t rank_of(const choosing *c, int32_t item) {
  const double score = c->score[item] * c->factor[item] + c->share[item];
  int32_t rank = 0;
  for (int64_t k = 0; k < c->history->classes; k++)
    rank += c->score[k] * c->factor[k] + c->share[k] >= score;
  return rank;
}

// NDCG@10, summed over histories.
static double gain_of(choosing *c) {
  const co_history *h = c->history;
  double sum = 0;
  for (int64_t i = 0, end; i < c->count; i = end) {
    memset(c->score, 0, (size_t)h->classes * sizeof *c->score);
    co_next_items_add_frequency(h, c->late[i], c->counted, c->score);
    for (end = i; end < c->count && same_history(h, c->late[end], c->late[i]); end++) {
      const int32_t item = h->target[c->late[end]];
      c->rank[end - i] = c->score[item] > 0 ? rank_of(c, item) : INT32_MAX;
    }
    sum += co_ndcg_of_ranks(c->rank, end - i);
  }
  return sum;
}

static co_status choose(choosing *c, co_context *ctx, const co_fit_data *data, double until,
                        double *best_days, double *best_exponent) {
  double best = -1;
  for (int d = 0; d < DAYS; d++) {
    CO_RETURN_IF_FAILED(co_next_items_count(c->share, ctx, data, until - days[d] * 86400, until));
    for (int e = 0; e < EXPONENTS; e++) {
      make_factors(c->share, c->history->classes, exponents[e], c->factor);
      const double gain = gain_of(c);
      if (gain <= best) continue;
      best = gain;
      *best_days = days[d];
      *best_exponent = exponents[e];
    }
  }
  return CO_OK;
}

static co_status fit_factors(co_estimator *e, const co_fit_data *data, choosing *c,
                             double *factor) {
  const double last = co_next_items_last_time(data), until = last - TRIED * 86400.;
  double of_days = 0, exponent = 0; // none without times
  if (isfinite(last)) choose_samples(c, data, until);
  if (c->count) CO_RETURN_IF_FAILED(choose(c, e->ctx, data, until, &of_days, &exponent));
  CO_RETURN_IF_FAILED(
      co_next_items_count(c->share, e->ctx, data, last - of_days * 86400, INFINITY));
  make_factors(c->share, c->history->classes, exponent, factor);
  return CO_OK;
}

static co_status fit(co_estimator *e, int64_t output, const co_fit_data *data) {
  const size_t classes = (size_t)data->history->classes;
  const co_shape shape = co_shape_make(1, data->history->classes);
  choosing c = {.history = data->history};
  void *factor;
  CO_RETURN_IF_FAILED(co_next_items_fit_recent_shares(e, output, data));
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "factor", CO_F64, &shape, &factor));
  c.late = co_alloc(e->ctx, ((size_t)data->sample_count + 1) * sizeof *c.late);
  c.rank = co_alloc(e->ctx, ((size_t)data->sample_count + 1) * sizeof *c.rank);
  c.score = co_alloc(e->ctx, classes * sizeof *c.score);
  c.share = co_alloc(e->ctx, classes * sizeof *c.share);
  c.factor = co_alloc(e->ctx, classes * sizeof *c.factor);
  co_status status = co_next_items_counted(&c.counted, e->ctx, data->history);
  if (status == CO_OK && !(c.late && c.rank && c.score && c.share && c.factor))
    status = CO_ERR_MEMORY;
  if (status == CO_OK) status = fit_factors(e, data, &c, factor);
  co_free(e->ctx, c.late);
  co_free(e->ctx, c.rank);
  co_free(e->ctx, c.score);
  co_free(e->ctx, c.share);
  co_free(e->ctx, c.factor);
  co_free(e->ctx, c.counted);
  return status;
}

// ---- scoring -----------------------------------------------------------------------------------

typedef struct scoring {
  int64_t *counted;
  const double *factor;
} scoring;

static co_status add(const co_estimator *e, const co_history *h, int64_t sample, void *user,
                     double *score) {
  const scoring *s = user;
  (void)e;
  co_next_items_add_frequency(h, sample, s->counted, score);
  for (int64_t k = 0; k < h->classes; k++)
    score[k] *= s->factor[k];
  return CO_OK;
}

static co_status score_history(const co_estimator *e, int64_t output, const co_history *history,
                               const int64_t *samples, int64_t rows, float *heads) {
  const co_shape shape = co_shape_make(1, e->model->outputs[output].width);
  const co_fitted *array;
  scoring s;
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "factor", CO_F64, &shape, &array));
  s.factor = array->bytes;
  CO_RETURN_IF_FAILED(co_next_items_counted(&s.counted, e->ctx, history));
  co_status status = co_next_items_score(e, output, history, samples, rows, add, &s, heads);
  co_free(e->ctx, s.counted);
  return status;
}

CO_NEXT_ITEMS_CLASS(
    weighted_frequency,
    "Of next items: personal frequency, times a power of how popular each is of late.", fit);
