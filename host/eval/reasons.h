// SPDX-License-Identifier: Apache-2.0
// Of rows in their order the columns with the largest attributions (attribution.h), with what the row has
// there. Rows are explained 1024 at a time, always the same ones together, wherever a job goes on.
#ifndef COHORT_HOST_EVAL_REASONS_H
#define COHORT_HOST_EVAL_REASONS_H

#include "host/eval/attribution.h"
#include "host/eval/score_columns.h"

typedef struct co_reasons co_reasons;
// Of an output `count` a row; beyond the columns that the model reads they are without a name. All is
// borrowed.
typedef struct co_reasons_request {
  co_predictor *predictor;
  co_dataset *dataset;
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
