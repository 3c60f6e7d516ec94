// SPDX-License-Identifier: Apache-2.0
// Two goals at once: which trials no other one beats in both, and one loss for samplers that know of one.
// Losses: less is better; a trial without both counts for nothing.
#ifndef COHORT_HOST_TUNE_GOALS_H
#define COHORT_HOST_TUNE_GOALS_H

#include "host/tune/sampler.h"
#include "host/tune/study.h"

#ifdef __cplusplus
extern "C" {
#endif

// The Pareto front: complete trials that break no constraint, and than which none is better in one goal and no worse in the other, the
// best in the first goal first; equal ones are all on it, as in Optuna's study.best_trials.
typedef struct co_front {
  int64_t *number; // of trials; the arena's
  int64_t count;
} co_front;
co_status co_front_find(co_front *out, co_arena *arena, const co_trials *trials, bool maximize,
                        bool maximize_second);

// known[i].loss of both losses, for a suggestion of trial `number`; what has none keeps it.
// Places in an order by fronts, the first, the second …, within one by what each adds to the hypervolume
// (greedy subset selection, as Optuna's TPE splits trials); exact for the first CO_GOALS_ORDERED.
enum { CO_GOALS_ORDERED = 25 };
co_status co_goals_order(co_known_trial *known, int64_t count, co_context *ctx);
// Augmented Tchebycheff with weights that are drawn for each trial (ParEGO, Knowles, IEEE TEC 10(1), 2006).
void co_goals_weigh(co_known_trial *known, int64_t count, uint64_t seed, int64_t number);

#ifdef __cplusplus
}
#endif
#endif
