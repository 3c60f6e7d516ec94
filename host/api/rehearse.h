// SPDX-License-Identifier: Apache-2.0
// Trainings that are not kept: in a temporary folder, which goes.
#ifndef COHORT_HOST_API_REHEARSE_H
#define COHORT_HOST_API_REHEARSE_H

#include "host/api/api.h"

typedef struct co_rehearsal {
  co_arena *arena;
  char *folder, *run; // NULL before they are made; the run in the folder
  cohort_train_options options;
} co_rehearsal;

// The options of a training into the temporary folder, with `count` assignments more; CO_ERR_USAGE where
// they name a run. To be freed after failure, too.
co_status co_rehearsal_begin(co_rehearsal *r, co_context *ctx, const cohort_train_options *options,
                             const char *const *assignments, int64_t count);
// Trains with the options as they are now, to the end.
co_status co_rehearsal_train(co_rehearsal *r, cohort_context *context, co_diagnostics *problems);
void co_rehearsal_end(co_rehearsal *r); // keeps this thread's error
// cohort_train with fast_dev_run.
cohort_status co_rehearse(cohort_context *context, const cohort_train_options *options,
                          cohort_result **out);

#endif
