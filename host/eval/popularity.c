// SPDX-License-Identifier: Apache-2.0
// The most popular items of the last days before training ends. Of an output is stored "share"
// (next_items.h).
#include "host/eval/next_items.h"

static co_status score_history(const co_estimator *e, int64_t output, const co_history *history,
                               const int64_t *samples, int64_t rows, float *heads) {
  return co_next_items_score(e, output, history, samples, rows, NULL, NULL, heads);
}

CO_NEXT_ITEMS_CLASS(
    popularity, "Of next items: the most frequent ones of the last days, the same for every row.",
    co_next_items_fit_recent_shares);
