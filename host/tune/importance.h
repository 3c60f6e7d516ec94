// SPDX-License-Identifier: Apache-2.0
// How much each parameter decided which trials were good: PED-ANOVA (Watanabe, Bansal & Hutter, IJCAI
// 2023), with what does not always count by its regimes (Conditional PED-ANOVA, arXiv 2601.20800), as
// Optuna 5.0.0 computes it by default: the Pearson divergence of the best tenth of the complete trials
// from all of them, over a grid of at most 50 values, by Parzen estimators of Scott's bandwidth.
#ifndef COHORT_HOST_TUNE_IMPORTANCE_H
#define COHORT_HOST_TUNE_IMPORTANCE_H

#include "host/tune/study.h"

#ifdef __cplusplus
extern "C" {
#endif

// out[i] of parameter i; they add up to 1. All equal where trials do not tell.
co_status co_study_importances(double *out, co_context *ctx, const co_space *space,
                               const co_trials *trials, bool maximize);

#ifdef __cplusplus
}
#endif
#endif
