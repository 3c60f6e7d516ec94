// SPDX-License-Identifier: Apache-2.0
// What features learn from data: fitted on training rows only, stored with the model.
#ifndef COHORT_HOST_FEED_FIT_FEATURES_H
#define COHORT_HOST_FEED_FIT_FEATURES_H

#include "datasets/dataset.h"
#include "models/model.h"

// Fills every input's fitted arrays from the training split: each feature by one of `workers`
// threads, its rows in ascending order, so that the number of threads changes nothing. What a class
// refuses is CO_ERR_DATA naming column and row; of several, the first feature's.
co_status co_fit_features(co_model *model, co_dataset *dataset, int workers);

// CO_ERR_DATA naming column and row if an input has a value that its feature does not take.
co_status co_check_inputs(const co_model *model, co_dataset *dataset, const int64_t *samples,
                          int64_t count);

#endif
