// SPDX-License-Identifier: Apache-2.0
// Where a network begins whose heads give the parameters of distributions.
#ifndef COHORT_HOST_TRAIN_INITIAL_HEADS_H
#define COHORT_HOST_TRAIN_INITIAL_HEADS_H

#include "datasets/dataset.h"
#include "host/plan/store.h"
#include "models/model.h"

// What a distribution's parameters are where nothing but targets is known, as kernels/distribution.h
// takes them: of amounts the share above 0 and the mean and deviation of their logarithms (the most
// likely ones), of counts mean and shape by their moments. Weights are not negative; all within
// bounds from which training gets away. False if no weight is above 0.
bool co_distribution_prior(co_distribution distribution, const float *targets, const float *weights,
                           int64_t count, double *parameters);

// Writes that of the samples into the biases of the heads that end in such parameters and whose biases
// begin as zeros; others are left alone.
co_status co_initial_heads(co_store *store, const co_model *model, co_dataset *dataset,
                           const int64_t *samples, int64_t count);

#endif
