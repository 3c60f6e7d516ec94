// SPDX-License-Identifier: Apache-2.0
// What preprocessing learns from data: fitted on training rows only, stored with the model.
#ifndef COHORT_HOST_FEED_FIT_FEATURES_H
#define COHORT_HOST_FEED_FIT_FEATURES_H

#include "datasets/dataset.h"
#include "models/model.h"

// Fills every input's mean and scale from the training split. Sums are double, over rows in
// ascending order. NaN inputs are CO_ERR_DATA naming column and row.
co_status co_fit_features(co_model *model, co_dataset *dataset);

#endif
