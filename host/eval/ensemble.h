// SPDX-License-Identifier: Apache-2.0
// Several predictors of the same rows as one: their outputs side by side, or the means of their scores.
// Each may want a dataset of its own, of the same samples.
#ifndef COHORT_HOST_EVAL_ENSEMBLE_H
#define COHORT_HOST_EVAL_ENSEMBLE_H

#include "host/eval/predictor.h"

typedef enum co_ensemble_kind {
  CO_ENSEMBLE_NONE,     // side by side: outputs are called NAME_OUTPUT
  CO_ENSEMBLE_MEAN,     // of scores; a threshold of labels is the mean of theirs
  CO_ENSEMBLE_RANK_MEAN // side by side; whoever knows all rows makes one score of them
} co_ensemble_kind;
// "mean", "rank_mean"; NULL = none. CO_ERR_USAGE.
co_status co_ensemble_parse(co_ensemble_kind *out, const char *text);

// Of borrowed members, two at least; path and rounding are the first's. CO_ERR_MODEL naming a member
// whose outputs are not those of the first where they are to become one.
co_status co_ensemble_open(co_predictor **out, co_predictor *const *members,
                           const char *const *names, int64_t count, co_ensemble_kind kind);
// What is told of each member's scores, (rows, width) per output, before they become one; rows come in their
// order.
typedef void co_member_scores(void *user, int64_t member, int64_t rows, const float *const *scores);
void co_ensemble_set_listener(co_predictor *ensemble, co_member_scores *tell, void *user);
// The dataset of each member, in place of that which `run` is given; borrowed.
void co_ensemble_set_rows(co_predictor *ensemble, co_dataset *const *datasets);
// The model of which one score, made of the outputs' ranks, is the only output: OUTPUT_rank_mean. In the
// arena. CO_ERR_MODEL where the members have more than one output, or one without a single score.
co_status co_ensemble_rank_model(const co_model **out, co_arena *arena,
                                 co_predictor *const *members, int64_t count);

#endif
