// SPDX-License-Identifier: Apache-2.0
// Which trials are not worth going on with. A pruned trial is paused at an exact checkpoint. When no
// trial is left to begin, those are thawed that would go on by what is known by then, in rounds, until
// there are none: so what was pruned because it came early is not lost. Decisions are pure functions of
// values on the way (by epoch, from 1; of Wilcoxon by part, from 0): of a trial in its first life, those
// of trials up to its number - lag; of a thawed one, those that there were when its round began.
#ifndef COHORT_HOST_TUNE_PRUNER_H
#define COHORT_HOST_TUNE_PRUNER_H

#include "host/tune/settings.h"
#include "host/tune/study.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_pruner_view {
  const co_tune_settings *settings;
  const co_trials *trials; // with their values on the way
  bool maximize;
  int64_t number;     // of the trial in question
  int64_t round;      // in which it was thawed; 0 = none yet
  int64_t max_epochs; // that a trial can have
} co_pruner_view;

// Whether it goes on after its last value.
bool co_pruner_keeps(const co_pruner_view *view, const co_trial_value *values, int64_t count);
// The p of Wilcoxon's signed-rank test, one-sided, exact: how likely differences with so many and so
// large positive ones are where the sign of each is chance. Zeros do not count; 1 of none.
double co_signed_rank_p(const double *differences, int64_t count);
// The round that was begun last; 0 = none.
int64_t co_pruner_round(const co_trials *trials);

#ifdef __cplusplus
}
#endif
#endif
