// SPDX-License-Identifier: Apache-2.0
// The predictor that is run by a program: a network; or an estimator, of whose values for the heads
// the program makes predictions, losses and metrics.
#ifndef COHORT_HOST_EVAL_NETWORK_H
#define COHORT_HOST_EVAL_NETWORK_H

#include "host/eval/estimator.h"
#include "host/eval/predictor.h"
#include "host/feed/resident.h"

// From a model file.
co_status co_network_open(co_predictor **out, co_context *ctx, const co_predictor_options *options);
// Of a program that is there, a training's say; all is borrowed. Its evaluation has `rows` rows.
// `estimator` NULL: of a network.
co_status co_network_attach(co_predictor **out, co_resident *resident, co_program *program,
                            co_estimator *estimator, int64_t rows);

// What such a predictor consists of; false of another. All is borrowed.
typedef struct co_network_parts {
  co_model *model;
  co_program *program;
  const co_estimator *estimator; // NULL: it is a network
} co_network_parts;
bool co_network_get_parts(co_network_parts *out, co_predictor *predictor);

// Of an estimator, which is borrowed, to score with it, on rows with targets to evaluate it; to be closed on
// failure, too.
co_status co_network_open_beside(co_predictor **out, co_estimator *estimator, int64_t rows,
                                 bool evaluate);

#endif
