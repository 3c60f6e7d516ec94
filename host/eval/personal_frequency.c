// SPDX-License-Identifier: Apache-2.0
// Who bought it before buys it again: in how many steps of the sample's own history an item occurs,
// then how popular it is of late. Of an output is stored "share" (next_items.h).
#include "host/eval/next_items.h"

static co_status fit(co_estimator *e, int64_t output, const co_fit_data *data) {
  return co_next_items_fit_recent_shares(e, output, data);
}

static co_status add(const co_estimator *e, const co_history *h, int64_t sample, void *user,
                     double *score) {
  (void)e;
  co_next_items_add_frequency(h, sample, user, score);
  return CO_OK;
}

static co_status score_history(const co_estimator *e, int64_t output, const co_history *history,
                               const int64_t *samples, int64_t rows, float *heads) {
  int64_t *counted;
  CO_RETURN_IF_FAILED(co_next_items_counted(&counted, e->ctx, history));
  co_status status = co_next_items_score(e, output, history, samples, rows, add, counted, heads);
  co_free(e->ctx, counted);
  return status;
}

CO_NEXT_ITEMS_CLASS(personal_frequency,
                    "Of next items: how often each occurs in the sample's own history.", fit);
