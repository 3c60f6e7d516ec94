// SPDX-License-Identifier: Apache-2.0
// From config and dataset schema to graphs: features, encoders, combiner, heads, losses and metrics
// (the network), and the input section that makes network inputs of stored rows. What a type of
// feature is, models/feature.h says; a model is the same whatever types it has.
#ifndef COHORT_MODELS_MODEL_H
#define COHORT_MODELS_MODEL_H

#include "host/config/config.h"
#include "host/core/schema.h"
#include "host/graph/feed.h"
#include "host/graph/graph.h"
#include "host/graph/loss/loss.h"
#include "host/graph/metric/metric.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_feature_class co_feature_class;
typedef struct co_text_output co_text_output;
typedef struct co_catalogue co_catalogue;

// An input feature: a column with preprocessing, augmentation and encoder.
typedef struct co_input_feature {
  const char *name;
  const co_column *column; // the model's own copy; the first, where it has several
  const co_column *const *columns;
  int64_t column_count;
  const co_column *learned;        // a column that is read in fitting alone, or NULL
  const co_derivation *derivation; // what is fed in place of stored values, or NULL
  const co_feature_class *class_;
  void *preprocessing; // options of the class
  const void *augmentation;
  const co_node *encoder; // NULL = by class
  int32_t event_table;    // number of the table of events that its column belongs to, -1 = none
  bool by_code;           // of a vocabulary: row i is code i - 1, or nothing's
  co_fitted *fitted;      // what the class learns from training rows
  int64_t fitted_count;
} co_input_feature;

// Features that are fed together as one input of the network; most are one.
typedef struct co_input_block {
  const char *name;
  const co_input_feature *features;
  int64_t count;
  const co_feature_class *class_;
  int32_t event_table;    // number of the table of events that it belongs to, -1 = none
  co_value network_input; // in the network's graph
  co_value lengths;       // there: i32 (N), of events; else CO_NO_VALUE
  // There: what the combiner joins of it, or of all blocks of its table of events that go through one
  // encoder; CO_NO_VALUE of what is no network.
  co_value encoded;
} co_input_block;

// How scores of a binary output become labels.
typedef enum co_threshold_rule {
  CO_THRESHOLD_GIVEN,
  CO_THRESHOLD_F1,    // the best of the validation rows, found out at the end of the training …
  CO_THRESHOLD_PROFIT // … for F1, or for the profit
} co_threshold_rule;

typedef struct co_decision {
  bool labels; // the config has a decision: scores come with a label
  co_threshold_rule rule;
  double threshold;        // given, or 0.5
  const co_profit *profit; // NULL = not known
} co_decision;

// What makes images of noise.
typedef struct co_generator {
  const co_input_feature *of; // the image: as it is fed, so the generator makes it
  int64_t noise_size;
  co_value noise; // in the network's graph: (N, noise_size), an input or what stands for noise …
  co_value image; // … and (N, H, W, C)
} co_generator;

// Of a reconstruction behind a variational bottleneck: numbers that are given back are normal about
// the row's own with this standard deviation, binary ones are probabilities.
typedef struct co_variational {
  double deviation;
  int64_t units;      // of the bottleneck
  int32_t loss_index; // of its divergence: mean over the units
} co_variational;

// What is learned of a number for it, f32: the mean and standard deviation of training rows, once for
// each number that is predicted, and (1) what (target - mean) is multiplied by.
enum {
  CO_NORMALIZATION_mean,
  CO_NORMALIZATION_std,
  CO_NORMALIZATION_scale,
  CO_NORMALIZATION_ARRAYS
};

typedef struct co_output_feature {
  const char *name;
  const co_feature_class *class_;
  const co_column *column;              // NULL where it is no column's (a reconstruction)
  const co_input_feature *reconstructs; // the one input that it gives back, else NULL
  co_generator *generator;              // NULL = it is none
  co_variational *variational;          // NULL = it is none
  co_text_output *text;                 // of what writes texts (text_output.h), else NULL; what the
                                        // network predicts is then what the decoder reads
  co_catalogue *catalogue;  // of what scores items by their table (catalogue.h), else NULL
  const char *const *parts; // names of the `width` errors that a reconstruction of columns predicts
  const co_loss_class *loss;
  co_op_attr loss_attr;     // of its operation
  co_fitted *class_weights; // f32 (classes), factors of rows in training; NULL = all count 1
  bool balanced;            // they are learned from training rows
  const co_sampled_softmax_options *sampling; // of that loss, else NULL …
  co_fitted *bounds;                          // … and i32 (classes), of SAMPLE_CLASSES
  co_fitted *normalization; // CO_NORMALIZATION_ARRAYS: of a number that is trained with mean 0 and
                            // standard deviation 1; NULL = as it is
  double weight;
  const co_node *decoder;       // NULL = one Dense layer
  const co_node *event_decoder; // of a reconstruction; NULL = as its fields say
  int64_t width;                // of a row of the prediction …
  int64_t head_width; // … and of what the head gives: a distribution's parameters, else the same
  co_value head; // in the network's graph, what its head gives (logits, numbers), of each member
                 // where there are some; CO_NO_VALUE of a reconstruction of columns
  int64_t prediction; // its position in graph->outputs
  int32_t head_input; // of what is no network: the position in graph->inputs of what stands in
                      // for the head's values (logits, numbers); -1 of a network
  int32_t loss_index; // its loss's position in graph->losses
  co_decision decision;
  // f64 (2), of a binary or a category: temperature of its calibration, threshold of its decision.
  co_fitted *decided;
} co_output_feature;

// What a network gives of a row beside its outputs' predictions.
typedef struct co_extra {
  const char *name;                // "embedding", "kl", or "error" of an output
  const co_output_feature *output; // NULL = of none
  int64_t width;
  int64_t prediction; // its position in graph->outputs
} co_extra;

// What inputs read a sequence of: a table of events, or a text; its number is that of CO_DIM_T.
typedef struct co_event_table {
  const char *name;              // of the table, or of the feature
  bool of_text;                  // it is no table of the dataset, but a text …
  const co_derivation *sequence; // … of which this makes a sequence
  int64_t most_events;           // of a sample with more, the last so many are read
  co_value joined; // in the network: (N, T, features) of its events; CO_NO_VALUE = of none
} co_event_table;

enum { CO_MAX_LENGTHS = 8 }; // vectors of lengths to which events are padded

typedef struct co_model {
  co_context *ctx;
  co_arena *arena;
  const char *predictor; // the config's `predictor: {type}`, "network" where it says nothing
  bool scored;           // it is no network: the graph has only losses and metrics, of scores that
                         // come in as inputs
  const co_node *config; // expanded for the dataset: every feature has an item of its own
  co_input_feature *inputs;
  int64_t input_count;
  co_input_block *blocks;
  int64_t block_count;
  co_output_feature *outputs;
  int64_t output_count;
  co_extra *extras; // rows of scores hold them behind the outputs
  int64_t extra_count;
  co_graph *network;
  co_feed_list feeds; // of the network, but for what the input section makes
  co_schema schema;   // the columns it uses: inputs, then targets
  co_event_table event_tables[CO_MAX_EVENT_TABLES];
  int64_t event_table_count;
  co_fitted *lengths; // i64 (CO_MAX_LENGTHS, CO_MAX_EVENT_TABLES), growing; NULL without events
  co_fitted **fitted; // of all inputs, the lengths, and what is decided of outputs
  int64_t fitted_count;
} co_model;

// Builds the network. Every problem of the config goes to `problems`; CO_ERR_CONFIG if there was
// any. `config` must outlive the model.
co_status co_model_create(co_model **out, co_context *ctx, const co_node *config,
                          const co_schema *schema, co_diagnostics *problems);
// The same for something beside the network that `config` describes, with the same inputs and
// outputs: `scored`, whatever encoders, combiner and decoders there are.
co_status co_model_create_beside(co_model **out, co_context *ctx, const co_node *config,
                                 const co_schema *schema, co_diagnostics *problems);
void co_model_free(co_model *model);

// Which feature of a block a number of its input of the network is made of, by the number's place in a
// row.
const co_input_feature *co_input_block_feature(const co_input_block *block, int64_t place);

// Field tables by where they stand in a config ("input_features.preprocessing"), for help: the i-th,
// false past the end.
bool co_model_describe(int i, const char **path, const char **doc, const co_field **fields);

// From where on a score is taken for positive; 0.5 where nothing else was decided.
double co_output_threshold(const co_output_feature *output);
double co_output_temperature(const co_output_feature *output); // 1 = as it is

// The evidence lower bound of a variational output, in nats a row, of its mean loss and divergence.
double co_evidence_bound(const co_output_feature *output, double loss, double kl);
// Numbers that are given of a row: of all outputs and extras, the i-th of which has so many.
int64_t co_model_score_count(const co_model *model);
int64_t co_model_score_width(const co_model *model, int64_t i);

// The id under which the mean of an output's loss is reported.
const char *co_loss_metric(const co_output_feature *output);

// The input section: output i is what block i feeds to the network. Fixed to rows that lie in
// tables, or that come with each batch.
typedef struct co_section {
  const co_model *model;
  co_graph *graph;
  co_feed_list feeds;
} co_section;

// `rows[i]`: the rows of the table that block i's columns belong to (of its events, for a sequence),
// or CO_DIM_N: they come with the batch.
co_status co_section_create(co_section **out, const co_model *model, const int64_t *rows);
void co_section_free(co_section *section); // NULL is legal

#ifdef __cplusplus
}
#endif
#endif
