// SPDX-License-Identifier: Apache-2.0
// What the values of a column look like. Memory is bounded whatever the number of rows: up to
// CO_PROFILE_EXACT of them everything is exact; of more, different values are exact up to
// CO_SKETCH_EXACT and estimated beyond (datasets/view.h), and quantiles are those of CO_PROFILE_EXACT values, one drawn from each of as
// many equal stretches of the rows, which puts a quantile within 0.2 % of its rank.
#ifndef COHORT_DATASETS_PROFILE_H
#define COHORT_DATASETS_PROFILE_H

#include "datasets/view.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_PROFILE_EXACT = 1 << 20, CO_PROFILE_TOP = 10, CO_PROFILE_QUANTILES = 7 };
extern const double co_profile_shares[CO_PROFILE_QUANTILES]; // .01 .05 .25 .5 .75 .95 .99

typedef struct co_profile_class {
  int32_t code;
  int64_t count;
} co_profile_class;

typedef struct co_profile {
  int64_t rows, missing;
  int64_t distinct;                     // different values; -1 = not counted (vectors, images)
  bool distinct_exact, quantiles_exact; // else estimates
  // Of known values; of vectors and images, of all elements. NaN where there are none. `sd` is the
  // sample's, with n - 1.
  double mean, sd, min, max;
  double quantile[CO_PROFILE_QUANTILES]; // numbers only
  // The most frequent classes, of categories and binaries (0 and 1); equal ones by code.
  co_profile_class top[CO_PROFILE_TOP];
  int top_count;
} co_profile;

// Of the rows 0 to count - 1, or of those listed: samples, or of events the events.
co_status co_profile_rows(co_profile *out, co_context *ctx, const co_view *view,
                          const int64_t *rows, int64_t count);
// Of the samples' keys: only rows and distinct.
co_status co_profile_keys(co_profile *out, co_context *ctx, co_dataset *dataset,
                          const int64_t *rows, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
