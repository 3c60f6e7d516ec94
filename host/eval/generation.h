// SPDX-License-Identifier: Apache-2.0
// Images that a model's generator makes of noise. The i-th image of a seed is a function of the two
// alone, however many are made at once.
#ifndef COHORT_HOST_EVAL_GENERATION_H
#define COHORT_HOST_EVAL_GENERATION_H

#include "host/eval/predictor.h"

typedef struct co_generation co_generation;
// Of `options`: model, device, precision, threads. A model that generates nothing is CO_ERR_MODEL.
co_status co_generation_open(co_generation **out, co_context *ctx,
                             const co_predictor_options *options);
void co_generation_close(co_generation *generation);             // NULL is legal
const char *co_generation_path(const co_generation *generation); // the model file
// The image column that is imitated: shape (H, W, C).
const co_column *co_generation_column(const co_generation *generation);
// Images `first` to `first + count - 1` as pixels u8 (count, H, W, C).
co_status co_generation_run(co_generation *generation, uint64_t seed, int64_t first, int64_t count,
                            uint8_t *pixels);

#endif
