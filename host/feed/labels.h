// SPDX-License-Identifier: Apache-2.0
// Which rows of a dataset say anything about a model's targets.
#ifndef COHORT_FEED_LABELS_H
#define COHORT_FEED_LABELS_H

#include "datasets/dataset.h"
#include "models/model.h"

// CO_ERR_DATA if no row of the split has a target and a weight above 0, since then there is nothing
// to learn or to measure; a warning for each output of several that no row says anything about. A
// split without rows is not looked at. CO_ERR_DATA, too, for a target that its loss has no likelihood of (an amount
// below 0, half a purchase).
co_status co_check_labels(const co_model *model, co_dataset *dataset, co_split split);

#endif
