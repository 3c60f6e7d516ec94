// SPDX-License-Identifier: Apache-2.0
// What a dataset's events tell of the items that an output scores.
#ifndef COHORT_HOST_FEED_FIT_CATALOGUE_H
#define COHORT_HOST_FEED_FIT_CATALOGUE_H

#include "datasets/dataset.h"
#include "models/catalogue.h"

// `counts`: training rows of each class. CO_ERR_DATA where events of one item differ in a column of the
// catalogue. All events are looked at, of any split: these columns are of the items' table, and tell nothing of
// who bought when.
co_status co_fit_catalogue(co_catalogue *catalogue, co_context *ctx, co_dataset *dataset,
                           const int64_t *counts);

#endif
