// SPDX-License-Identifier: Apache-2.0
// A network's predictions mixed with those of one of its baselines: p = (1 - w) network + w baseline,
// with the w of each output that was best on validation rows. Where a simple model is hard to beat (of next
// items a count of what a customer had before, of texts a regression over their words), and the two know
// different things.
#ifndef COHORT_HOST_EVAL_BLEND_H
#define COHORT_HOST_EVAL_BLEND_H

#include "host/eval/baselines.h"
#include "host/eval/predictor.h"

// Adds "blend" f64 (1), an output's weight, to what the baseline learned: of 0, .05, …, 1 the one with the
// lowest log loss of the samples, of numbers the lowest mean absolute error, of next items the highest
// NDCG@10; 0 if there are none. Of very many next items, those of evenly chosen units.
co_status co_blend_fit(co_estimator *baseline, co_predictor *network, co_dataset *dataset,
                       const int64_t *samples, int64_t count, const co_scoring_options *options);
// Of a baseline that has a weight; both are borrowed.
co_status co_blend_attach(co_predictor **out, co_predictor *network, co_estimator *baseline);
// Of a model file: all of its baselines, which the caller frees in any case, that of this name, and its weight
// of each output of the network.
co_status co_blend_read(co_baselines *baselines, co_estimator **baseline, float *weights,
                        const co_model *network, const char *path, const char *name);
// Takes the network, which is of a model file, over, and reads the baseline from there.
co_status co_blend_open(co_predictor **out, co_predictor *network, const char *baseline);
// What golden rows are scored by, which have of a log no more than a network reads, the columns and the last
// events: of a blend with a model of buyers the network; of one with a model of next items, too, if
// `of_network`; else `predictor`.
co_predictor *co_blend_of_rows(co_predictor *predictor, bool of_network);
// The network of a blend; NULL of another predictor.
co_predictor *co_blend_network(const co_predictor *predictor);

#endif
