// SPDX-License-Identifier: Apache-2.0
// From what was found out of a table's columns to what is written of them, for importers.
#ifndef COHORT_DATASETS_IMPORT_COLUMNS_H
#define COHORT_DATASETS_IMPORT_COLUMNS_H

#include "datasets/encode.h"
#include "datasets/survey.h"

#ifdef __cplusplus
extern "C" {
#endif

// CO_ERR_DATA where a dataset can have no column of that name.
co_status co_import_check_name(const co_survey *survey, const char *name);
// Column `field` of the table, called `name` in the dataset.
co_status co_import_plan_column(co_encoded_column *out, co_survey *survey, int64_t field,
                                const char *name);
// What the survey says as a recipe's columns, in the arena. Of columns of images the files are looked at:
// CO_ERR_DATA where one cannot be taken.
co_status co_import_describe(co_recipe *out, co_survey *survey);
// What targets tell of events, which a recipe as text does not say.
void co_import_print_labels(co_text *out, const co_recipe *recipe);

#ifdef __cplusplus
}
#endif
#endif
