// SPDX-License-Identifier: Apache-2.0
// A first-order Markov chain: the shares of items that followed, in training, those of a history's
// last step, averaged over its items. Of an output are stored "share", "neighbour" and "affinity"
// (next_items.h), of each item its most frequent followers.
#include <math.h>

#include "host/eval/next_items.h"

static double follows(double together, double of, double with) {
  (void)with;
  return together / of;
}

// Samples are cases: from the items of the last step to the target.
static co_status list(co_item_lists *from, co_item_lists *to, co_context *ctx,
                      const co_fit_data *data) {
  const co_history *h = data->history;
  CO_RETURN_IF_FAILED(co_item_lists_create(from, ctx));
  CO_RETURN_IF_FAILED(co_item_lists_create(to, ctx));
  for (int64_t i = 0; i < data->sample_count; i++) {
    int64_t sample = data->samples[i];
    if (h->target[sample] < 0) continue;
    for (int64_t event = co_history_last_step(h, sample); event < h->end[sample]; event++)
      if (h->item[event] >= 0) CO_RETURN_IF_FAILED(co_item_lists_add(from, ctx, h->item[event]));
    CO_RETURN_IF_FAILED(co_item_lists_add(to, ctx, h->target[sample]));
    CO_RETURN_IF_FAILED(co_item_lists_end(from, ctx));
    CO_RETURN_IF_FAILED(co_item_lists_end(to, ctx));
  }
  return CO_OK;
}

static co_status fit(co_estimator *e, int64_t output, const co_fit_data *data) {
  co_item_lists from = {.count = 0}, to = {.count = 0};
  CO_RETURN_IF_FAILED(co_next_items_fit_shares(e, output, data, -INFINITY));
  co_status status = list(&from, &to, e->ctx, data);
  if (status == CO_OK) status = co_next_items_fit_neighbours(e, output, &from, &to, follows);
  co_item_lists_free(&from, e->ctx);
  co_item_lists_free(&to, e->ctx);
  return status;
}

static co_status add(const co_estimator *e, const co_history *h, int64_t sample, void *user,
                     double *score) {
  const co_neighbours *followers = user;
  int64_t first = co_history_last_step(h, sample);
  (void)e;
  for (int64_t event = first; event < h->end[sample]; event++) {
    int64_t row = h->item[event] * followers->width;
    for (int64_t k = 0; row >= 0 && k < followers->width && followers->item[row + k] >= 0; k++)
      score[followers->item[row + k]] +=
          (double)followers->affinity[row + k] / (double)(h->end[sample] - first);
  }
  return CO_OK;
}

static co_status score_history(const co_estimator *e, int64_t output, const co_history *history,
                               const int64_t *samples, int64_t rows, float *heads) {
  co_neighbours followers;
  CO_RETURN_IF_FAILED(co_next_items_neighbours(e, output, &followers));
  return co_next_items_score(e, output, history, samples, rows, add, &followers, heads);
}

CO_NEXT_ITEMS_CLASS(markov, "Of next items: what followed the items of the last step in training.",
                    fit);
