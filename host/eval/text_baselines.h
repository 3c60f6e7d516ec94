// SPDX-License-Identifier: Apache-2.0
// What texts that are written are compared with: the most frequent target of the training rows, and a
// text of the input copied.
#ifndef COHORT_HOST_EVAL_TEXT_BASELINES_H
#define COHORT_HOST_EVAL_TEXT_BASELINES_H

#include "host/eval/evaluation.h"

enum { CO_MOST_TEXT_BASELINES = 4 };

// 0 of a model that writes no text.
int64_t co_text_baseline_count(const co_model *model);
// "most_frequent", "copy COLUMN"; to be freed, NULL = no memory.
char *co_text_baseline_name(const co_model *model, int64_t baseline);
// Measures it on the outputs that are texts, into an evaluation that was created; scores are kept.
co_status co_text_baseline_evaluate(co_evaluation *out, int64_t baseline, co_dataset *dataset,
                                    const int64_t *samples, int64_t count);

#endif
