// SPDX-License-Identifier: Apache-2.0
// From config and dataset schema to graphs: features, encoders, combiner, output heads, losses and
// metrics (the network), and the input section that makes network inputs of stored rows.
#ifndef COHORT_MODELS_MODEL_H
#define COHORT_MODELS_MODEL_H

#include "host/config/config.h"
#include "host/core/schema.h"
#include "host/graph/graph.h"
#include "host/graph/loss/loss.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_normalization {
  CO_NORMALIZATION_NONE,
  CO_NORMALIZATION_SCALE,  // images: pixel / 255
  CO_NORMALIZATION_ZSCORE, // per channel or number: fitted on training rows
  CO_NORMALIZATION_MINMAX  // to [0, 1]: fitted on training rows
} co_normalization;

// An input feature: a column with preprocessing, augmentation and encoder.
typedef struct co_input_feature {
  const char *name;
  co_column column;       // copied; strings are the model's own
  int normalization;      // co_normalization
  double flip;            // probability of a left-right mirror image in training
  int64_t crop;           // largest shift in training, pixels
  const co_node *encoder; // NULL = by type
  int64_t channels;       // length of mean and scale
  float *mean, *scale;    // x -> (x - mean) scale; NULL until fitted
  co_value network_input; // in the network graph
} co_input_feature;

typedef struct co_output_feature {
  const char *name;
  co_column column;
  const co_loss_class *loss;
  double weight;
  const co_node *decoder;      // NULL = one Dense layer
  co_value target, row_weight; // inputs of the network graph
  int64_t prediction;          // its position in graph->outputs
} co_output_feature;

typedef struct co_model {
  co_context *ctx;
  co_arena *arena;
  const co_node *config; // the whole merged config, borrowed
  co_input_feature *inputs;
  int64_t input_count;
  co_output_feature *outputs;
  int64_t output_count;
  co_graph *network;
} co_model;

// Builds the network. Every problem of the config goes to `problems`; CO_ERR_CONFIG if there was
// any. `config` must outlive the model.
co_status co_model_create(co_model **out, co_context *ctx, const co_node *config,
                          const co_schema *schema, co_diagnostics *problems);
void co_model_free(co_model *model);

// Field tables by where they stand in a config ("input_features.preprocessing"), for help: the i-th,
// false past the end.
bool co_model_describe(int i, const char **path, const char **doc, const co_field **fields);

// Room for an input's fitted mean and scale (identity), of feature->channels each.
co_status co_model_make_statistics(co_model *model, int64_t input);

// Where the inputs of the input section's graph are, per feature; -1 = there is none.
typedef struct co_input_positions {
  int32_t table, index; // stored rows of all entities, and i64 (N) which of them
  int32_t rows;         // instead: the batch's stored rows (N, …)
  int32_t mean, scale;  // f32 (channels), the feature's statistics
} co_input_positions;

// The input section, for tables of `rows[i]` entity rows per input, or CO_DIM_N for rows that are
// delivered with the batch. Input 0 is "ids" i64 (N), sample ids; the others are found by
// `positions`, one per feature. Outputs are named like the features.
co_status co_model_build_input(co_graph **out, const co_model *model, const int64_t *rows,
                               co_input_positions *positions);

#ifdef __cplusplus
}
#endif
#endif
