// SPDX-License-Identifier: Apache-2.0
// Comments on the columns of a dataset in a config.
#ifndef COHORT_HOST_API_COLUMN_NOTES_H
#define COHORT_HOST_API_COLUMN_NOTES_H

#include "datasets/dataset.h"
#include "host/api/api.h"

// Copies a config as it is rendered, with a comment behind each item of input_features that says what
// its column holds, one above those that the linter of data would leave out, and at the top what the
// dataset is and which of its columns are no features.
co_status co_note_columns(co_text *out, co_arena *arena, const char *yaml, co_dataset *dataset,
                          const volatile int *stop);

#endif
