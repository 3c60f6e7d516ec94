// SPDX-License-Identifier: Apache-2.0
// Named arrays in model files, each of an output or a column: what estimators learned, golden rows.
#ifndef COHORT_HOST_PERSIST_MODEL_ARRAYS_H
#define COHORT_HOST_PERSIST_MODEL_ARRAYS_H

#include "host/core/h5.h"
#include "host/graph/feed.h"

typedef struct co_model_arrays {
  co_fitted *items; // co_free it
  int64_t count, capacity;
} co_model_arrays;

co_status co_model_arrays_add(co_model_arrays *arrays, co_context *ctx, const co_fitted *array);
// NULL if there is none.
const co_fitted *co_model_arrays_find(const co_model_arrays *arrays, const char *feature,
                                      const char *name);
// What weights_sha256 is of a model that is no network.
void co_model_arrays_fingerprint(const co_model_arrays *arrays, char hex[65]);
// GROUP/FEATURE/NAME of each.
co_status co_model_arrays_write(co_h5 *file, const char *group, const co_model_arrays *arrays,
                                co_arena *arena);
// Reads all arrays under a group of a model file into the arena; `out` is emptied first.
co_status co_model_file_read_arrays(co_model_arrays *out, co_arena *arena, const char *path,
                                    const char *group);
// A dataset that was never written reads as zeros of whatever size it claims. Cohort stores weights
// as they are; room is left for tools that compress.
bool co_model_is_stored(const co_h5_info *info, const co_shape *shape);

#endif
