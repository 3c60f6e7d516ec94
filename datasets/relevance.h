// SPDX-License-Identifier: Apache-2.0
// How much a column tells of a target by itself, measured on training rows (datasets/view.h draws
// CO_RELEVANCE_ROWS of more).
//
// Mutual information, in nats: sum p(x, y) ln (p(x, y) / p(x) p(y)) over classes of both, less its bias
// (X - 1) (Y - 1) / 2 n (Miller & Madow 1955); numbers and dates are cut at 19 quantiles, missing is a
// class of its own. Correlation: Pearson's |r| of numbers; of a category the correlation ratio, the root
// of the share of the target's variance between classes, adjusted for their number (Kelley's epsilon);
// of a target of several classes the largest over a class against the rest; rows without a value do not
// count.
//
// A column counts as relevant if its statistic (2 n MI before the bias is taken off; n r^2) is more than
// three standard deviations above its mean for a column that tells nothing (chi squared).
#ifndef COHORT_DATASETS_RELEVANCE_H
#define COHORT_DATASETS_RELEVANCE_H

#include "datasets/view.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_RELEVANCE_ROWS = 1 << 20 };

typedef enum co_relevance_method {
  CO_RELEVANCE_MUTUAL_INFORMATION,
  CO_RELEVANCE_CORRELATION
} co_relevance_method;

typedef struct co_relevance {
  double score; // at least 0
  bool relevant;
} co_relevance;

// `rows`: samples. Columns are numbers, dates, binaries or categories; targets all of these but dates.
co_status co_relevance_of(co_relevance *out, co_context *ctx, const co_view *column,
                          const co_view *target, co_relevance_method method, const int64_t *rows,
                          int64_t count);

#ifdef __cplusplus
}
#endif
#endif
