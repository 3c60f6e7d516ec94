// SPDX-License-Identifier: Apache-2.0
// A model of Cohort's as Keras reads it: the attribute `model_config` of a file whose weights lie under
// /model_weights in Keras' orientation, so that keras.models.load_model opens it. The model begins with the
// network's inputs, after preprocessing, and ends with what is predicted.
#ifndef COHORT_HOST_PERSIST_KERAS_WRITE_H
#define COHORT_HOST_PERSIST_KERAS_WRITE_H

#include "host/graph/graph.h"

typedef struct co_keras_config {
  const char *json;    // of a Functional model; NULL where Keras has no equal for it:
  const char *why_not; // one line
  // The layers with weights, by their names here, in the order in which Keras matches them.
  const char **weighted;
  int64_t weighted_count;
} co_keras_config;

// All in the arena. What cannot be said is no failure.
co_status co_keras_describe(co_keras_config *out, co_arena *arena, const co_graph *network);

#endif
