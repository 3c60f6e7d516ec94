// SPDX-License-Identifier: Apache-2.0
// Order statistics that features are fitted with.
#ifndef COHORT_MODELS_FEATURES_QUANTILES_H
#define COHORT_MODELS_FEATURES_QUANTILES_H

#include <stdint.h>

// For qsort of doubles, none of which is NaN.
int co_by_value(const void *a, const void *b);
// Of `count` > 0 ascending values, between two of them linearly (Hyndman & Fan 1996, their 7th).
double co_quantile(const double *sorted, int64_t count, double p);
// Where x stands among ascending `edges`, from 0 (at most the first) to 1 (at least the last),
// between two of them linearly; among equal ones in their middle.
double co_rank_among(const double *edges, int64_t count, double x);
// The quantile of the standard normal distribution (Wichura 1988, AS 241), for p within 1e-7 and
// 1 - 1e-7, to which it is clipped.
double co_normal_quantile(double p);

#endif
