// SPDX-License-Identifier: Apache-2.0
// Whether rows are still what a model was trained on: the *profile*, how often values of each input fell
// into bins among training rows and scores into bins among rows that were not learned from, is stored in
// the model; rows that are scored are counted into the same bins.
//   PSI  population stability index, the sum over bins of (p - q) ln(p / q), p the shares of rows now, q
//        those of training, both at least 1e-4 (Siddiqi, Credit Risk Scorecards, 2006; Yurdakul, 2018).
//        Numbers have ten bins by training quantiles, fewer where values repeat; categories their 20
//        most frequent ones and one for all others; missing values a bin of their own.
//   KS   Kolmogorov-Smirnov: the largest difference of the two distribution functions, over rows that
//        have the value, at 50 training quantiles. Of numbers only.
// Dates and texts have no profile: new ones are always new.
#ifndef COHORT_HOST_EVAL_DRIFT_H
#define COHORT_HOST_EVAL_DRIFT_H

#include "datasets/dataset.h"
#include "host/eval/predictor.h"
#include "host/persist/model_file.h"

// An input, or an output with one score. Bins: of numbers below each edge and above the last, of
// categories one a code and one for others; behind them that of missing values.
typedef struct co_profile_part {
  const char *name;
  const co_column *column;         // of an input, else NULL
  const co_output_feature *output; // of an output, else NULL
  const double *edges;             // ascending
  const int64_t *codes;            // of categories, in place of edges
  int64_t edge_count, code_count;
  int64_t bins;           // with that of missing values
  const int64_t *trained; // rows in each
} co_profile_part;

typedef struct co_profile {
  co_profile_part *inputs, *outputs;
  int64_t input_count, output_count;
} co_profile;

enum { CO_PROFILE_MOST_BINS = 64 };

// Of training rows, and of the scores of `scored` rows. `out` is zeroed before; its arrays are the
// arena's, its lists to be freed by co_model_profile_free in any case.
co_status co_profile_make(co_model_profile *out, co_arena *arena, co_predictor *predictor,
                          co_dataset *dataset, const int64_t *samples, int64_t count,
                          const int64_t *scored, int64_t scored_count);
void co_model_profile_free(co_model_profile *profile, co_context *ctx);
// That of a model file, in the arena; without parts where it has none.
co_status co_profile_read(co_profile *out, co_arena *arena, const char *path,
                          const co_model *model);

int64_t co_profile_bin(const co_profile_part *part, double value); // NaN = missing
// Counts the values of an input; `seen` has `bins` of them, added to.
co_status co_profile_count(const co_profile_part *part, co_dataset *dataset, const int64_t *samples,
                           int64_t count, int threads, int64_t *seen);

typedef struct co_drift {
  double psi, ks;                  // NaN: there were no rows, or it has none
  double missing, trained_missing; // shares
} co_drift;
co_drift co_drift_of(const co_profile_part *part, const int64_t *seen);

#endif
