// SPDX-License-Identifier: Apache-2.0
// How `select` judges inputs all at once, by a linear model with an L1 penalty.
#ifndef COHORT_HOST_API_SELECT_H
#define COHORT_HOST_API_SELECT_H

#include "host/api/api.h"
#include "host/eval/l1_path.h"

typedef struct co_l1_judgement {
  double *strength; // of each input of the model: the most of its columns; < 0 = not judged
  // The choice for each output, of one of several classes one for each class against the rest.
  const char **of; // "bought", "plan=monthly"
  co_l1_choice *choices;
  int64_t count;
  int64_t validation_rows;
} co_l1_judgement;

// Of the inputs of `network`, from `count` training samples; penalties are chosen on validation rows.
// Memory is the arena's.
co_status co_l1_judge(co_l1_judgement *out, co_context *ctx, co_arena *arena, co_dataset *dataset,
                      const co_model *network, const int64_t *samples, int64_t count,
                      const co_watch *watch);

#endif
