// SPDX-License-Identifier: Apache-2.0
// Samples that are one case: an entity at one time, with several true items.
#ifndef COHORT_HOST_EVAL_UNITS_H
#define COHORT_HOST_EVAL_UNITS_H

#include "datasets/dataset.h"

// Numbers of units by sample (co_free them): neighbouring samples of one entity that see the same
// events are one. *out is NULL where there are no events: each sample is one.
co_status co_sample_units(int64_t **out, co_context *ctx, co_dataset *dataset);

// Whose each sample is: its row of the samples' entity, borrowed. *out is NULL where each has a row of its own.
co_status co_sample_owners(const int64_t **out, co_dataset *dataset);

#endif
