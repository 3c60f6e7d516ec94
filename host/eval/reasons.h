// SPDX-License-Identifier: Apache-2.0
// Of rows in their order the columns with the largest attributions (attribution.h), with what the row has
// there. Rows are explained 1024 at a time, always the same ones together, wherever a job goes on.
//
// Of an ensemble by mean: of numbers the means of the members' shares; of a binary each member's shares
// become some of its probability, whose mean is the score, and these some of the score's log-odds, both
// by the chain rule of co_mean_slope. They add up as those of one model.
#ifndef COHORT_HOST_EVAL_REASONS_H
#define COHORT_HOST_EVAL_REASONS_H

#include "host/eval/attribution.h"
#include "host/eval/score_columns.h"

// One of the models whose mean is told of, and its rows.
typedef struct co_reasons_member {
  co_predictor *predictor;
  co_dataset *dataset;
} co_reasons_member;

typedef struct co_reasons co_reasons;
// Of an output `count` a row; beyond the columns that the models read they are without a name. All is
// borrowed. Of several members classes are CO_ERR_USAGE.
typedef struct co_reasons_request {
  const co_reasons_member *members;
  int64_t member_count;
  int64_t output, count;
  int64_t class_, steps; // as co_attribution_options have them
  const int64_t *samples;
  int64_t sample_count;
  int workers;
  const co_watch *watch;
} co_reasons_request;
co_status co_reasons_open(co_reasons **out, const co_reasons_request *request);
void co_reasons_close(co_reasons *reasons); // NULL is legal
// Of the row at a place among the samples, the largest effect first; borrowed until the next call.
co_status co_reasons_at(co_reasons *reasons, int64_t place, const co_reason **out);
// Of the row that was asked for last.
typedef struct co_explained {
  double value, reference; // the head's value, and the reference's (attribution.h)
  int32_t class_;
} co_explained;
co_explained co_reasons_explained(const co_reasons *reasons);
const char *co_reasons_method(const co_reasons *reasons);

#endif
