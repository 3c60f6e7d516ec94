// SPDX-License-Identifier: Apache-2.0
// What evaluation tells of scores beside metrics.
#ifndef COHORT_HOST_API_EVALUATE_DETAILS_H
#define COHORT_HOST_API_EVALUATE_DETAILS_H

#include "host/api/api.h"
#include "host/eval/evaluation.h"

// "tp=10", "false_positive=-1", …; what is not named is 0. CO_ERR_USAGE for anything else.
co_status co_parse_profit(co_profit *out, const char *const *items, int64_t count);

// Adds to the result, of an evaluation whose scores were kept, by output: "thresholds",
// "calibration" (metrics after temperature scaling), "deciles" (of numbers, too) and, where costs are known, "profit".
co_status co_evaluate_details(cohort_result *result, const co_evaluation *evaluation);
// Adds "classes", by output of one of several: {"classes": [{"class", "support", "precision", "recall",
// "f1", "roc_auc" of one against the rest}], "confusion": rows by true class, columns by the likeliest}.
co_status co_evaluate_classes(cohort_result *result, const co_evaluation *evaluation);
// Adds "by": metrics by the value of a column.
co_status co_evaluate_slices(cohort_result *result, const co_evaluation *evaluation,
                             co_dataset *dataset, const char *column, const int64_t *samples,
                             int64_t count);

#endif
