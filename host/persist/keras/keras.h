// SPDX-License-Identifier: Apache-2.0
// Models that Keras 1, 2 and 3 saved (HDF5 with `model_config` and `model_weights`, or .keras archives), read as the config,
// schema and weights of a model of Cohort's. A file is data only: what needs code (Lambda, custom classes) is
// refused, as is every layer and option that Cohort has no equal for, by its name; what is left out is of
// training alone (initialisers, regularisers, constraints, dropout within recurrent layers). All errors
// are CO_ERR_MODEL.
#ifndef COHORT_HOST_PERSIST_KERAS_KERAS_H
#define COHORT_HOST_PERSIST_KERAS_KERAS_H

#include "host/core/context.h"
#include "host/core/schema.h"

enum { CO_KERAS_MOST = 64 }; // inputs, and outputs

typedef struct co_keras_name {
  const char *layer; // of Keras; NULL = by its place
  const char *name;  // of the column
  double scale; // of an input: what its values are multiplied with first; 0 = they are as they are
  co_shape shape; // of an input whose shape the file leaves open
} co_keras_name;

// What inputs are read from, and what outputs are called; those not named are called as Keras' layers.
typedef struct co_keras_options {
  const co_keras_name *inputs, *outputs, *shapes; // of shapes `name` is as they were given
  int64_t input_count, output_count, shape_count;
} co_keras_options;

typedef struct co_keras_weight {
  const char *name; // of the parameter: "image/conv2d/kernel"
  co_shape shape;   // as Cohort wants it; as many values as the parameter's shape where they agree
  const float *values;
  const char *layer; // that it is of, as Keras calls it
} co_keras_weight;

typedef struct co_keras_model {
  const char *version; // of Keras, as the file says; "1" where it says nothing
  const char *config;  // JSON
  co_schema schema;    // the inputs, then the targets
  int64_t layer_count; // of Keras'
  const co_keras_weight *weights;
  int64_t weight_count;
  const char **left_out; // what of training the model has no more, a line each
  int64_t left_out_count;
} co_keras_model;

bool co_keras_is_archive(const char *path); // by its first bytes
// All in the arena.
co_status co_keras_read(co_keras_model *out, co_arena *arena, const char *path,
                        const co_keras_options *options);

#endif
