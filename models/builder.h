// SPDX-License-Identifier: Apache-2.0
// Building a model, shared by the files of models/ alone: inputs, outputs, then the network.
#ifndef COHORT_MODELS_BUILDER_H
#define COHORT_MODELS_BUILDER_H

#include "host/core/diagnostics.h"
#include "models/feature.h"
#include "models/layers.h"

typedef struct co_model_builder {
  co_model *model;
  const co_schema *schema;
  co_diagnostics *problems;
  double swap_noise, mask_noise; // of the network's inputs in training
  co_named_values combined;      // layers of the combiner, which decoders may name
} co_model_builder;

// Field tables, for help.
extern const co_field co_input_fields[], co_output_fields[], co_loss_fields[], co_combiner_fields[],
    co_bottleneck_fields[], co_copy_fields[], co_tied_fields[], co_catalogue_fields[],
    co_event_decoder_fields[], co_text_decoder_fields[];
extern const co_field co_selector_fields[], co_target_selector_fields[], co_default_fields[];
extern const co_field co_decision_fields[], co_profit_fields[];

// Makes the model's config one for its dataset: every feature has an item of its own in the lists
// `input_features` and `output_features`, with what `defaults` says of its type.
co_status co_model_expand_config(co_model_builder *b);
// Finds a feature's column; a problem leaves *out NULL.
co_status co_model_find_column(co_model_builder *b, const co_node *item, const char *path,
                               const char *name, const co_column **out);
// The class that `type:` asks for (NULL: the column's own) among those that are inputs, or outputs;
// `column` NULL where there is none. A problem leaves *out NULL.
co_status co_model_find_class(co_model_builder *b, const co_node *item, const char *path,
                              const char *type, const co_column *column, bool output,
                              const co_feature_class **out);
// The table of events that a column belongs to, NULL if it is of none.
const co_table *co_model_column_events(const co_model_builder *b, const co_column *column);
// A problem: `what` is for networks alone, and the config's predictor is something else.
co_status co_model_only_networks(co_model_builder *b, const co_node *node, const char *what);
co_status co_model_copy_column(co_model *model, const co_column *from, const co_column **out);

co_status co_model_read_inputs(co_model_builder *b);
// Puts inputs that become one block beside each other. Before anything points at inputs.
co_status co_model_group_inputs(co_model *model);
co_status co_model_read_outputs(co_model_builder *b); // after the inputs
co_status co_model_build_network(co_model_builder *b);

// An input of the network's graph, and how it is fed.
co_status co_model_add_feed(co_model *model, const char *name, co_dtype dtype,
                            const co_shape *shape, const co_feed *feed, co_value *out);
// Features from an encoder may still be images or windows: a head wants (N, features).
co_status co_model_flatten(co_model *model, const char *output, co_value *value);
// Head, loss and metrics of an output on the combined features.
co_status co_model_add_output(co_model_builder *b, co_output_feature *feature, co_value combined);
// Of that: the Dense layer OUTPUT/HEAD, and the loss (of errors, where feature->parts), with the value
// of the rows' weights.
co_status co_model_add_head(co_model_builder *b, const char *output, const char *head,
                            int64_t width, co_value in, co_value *out);
// The layers of feature->decoder, flattened. `*pixels`: they end in the image that the output gives
// back, of whose size any other is a problem.
co_status co_model_decode(co_model_builder *b, const co_output_feature *feature, co_value *value,
                          bool *pixels);
// Whether a decoder is of that type.
bool co_decoder_is(const co_node *decoder, const char *name);
// The decoder `copy`: logits of all classes, and the classes of the row's own events (copying.c).
co_status co_model_add_copying_head(co_model_builder *b, const co_output_feature *feature,
                                    co_value in, co_value *out);

// items.c: logits as products of (N, D) features with rows of a table.
typedef struct co_item_table {
  co_value features, table; // table: CO_NO_VALUE where an output has none
  int64_t first;            // row of class 0
  co_value trained;         // of the decoder `catalogue`: logits that training reads
} co_item_table;
// The events whose items are the target's classes, by the input's name or the first; a problem leaves
// *out NULL.
co_status co_model_find_items(co_model_builder *b, const co_output_feature *feature,
                              const char *path, const char *of, const co_input_block **out);
// The decoder `tied`: the table is the embedding of these events.
co_status co_model_add_tied_head(co_model_builder *b, const co_output_feature *feature, co_value in,
                                 co_item_table *items, co_value *out);
// The same with a table of its own.
co_status co_model_add_table_head(co_model_builder *b, const co_output_feature *feature,
                                  co_value in, co_item_table *items, co_value *out);
// catalogue.c: options of the decoder `catalogue`, with what is learned for it, and its logits.
co_status co_model_read_catalogue(co_model_builder *b, const char *path,
                                  co_output_feature *feature);
co_status co_model_add_catalogue_head(co_model_builder *b, const co_output_feature *feature,
                                      co_value in, co_item_table *items, co_value *out);
// What sampled_softmax trains: in place of the prediction the logits of the target and of the classes
// drawn, in place of the target its place among them, the first.
co_status co_model_sample_logits(co_model *model, const co_output_feature *feature,
                                 const co_item_table *items, co_loss_operands *trained);
co_status co_model_add_loss(co_model *model, co_output_feature *feature, co_value prediction,
                            co_value *row_weight);
// What is given of a row beside predictions; `output` may be NULL.
co_status co_model_add_extra(co_model *model, const char *name, const co_output_feature *output,
                             co_value value);

// A block's encoder on `in`; another call shares its weights.
co_status co_model_encode(co_model_builder *b, const co_input_block *block, co_value in,
                          co_value *out);

// adversarial.c: the pair of a generator and a discriminator.
extern const co_feature_class co_feature_generator, co_feature_discriminator;
static inline bool co_is_adversary(const co_output_feature *output) {
  return output->class_ == &co_feature_generator || output->class_ == &co_feature_discriminator;
}
co_status co_model_read_adversary(co_model_builder *b, const co_node *item, const char *path,
                                  int64_t noise_size, co_output_feature *feature);
// Whether there is one of each, or none.
co_status co_model_check_adversaries(co_model_builder *b);
// Their losses, of images as the encoder gives them.
co_status co_model_add_adversaries(co_model_builder *b, co_value encoded);

// variational.c: the bottleneck of a variational autoencoder (Kingma & Welling 2014).
typedef struct co_variational_options {
  bool is_on;
  double deviation, kl_weight, kl_warmup_fraction;
  int64_t kl_cycles;
} co_variational_options;
typedef struct co_latent {
  co_value mean, log_variance, sample; // (N, units)
} co_latent;
// Problems unless the only output is the reconstruction of one image or vector.
co_status co_model_check_variational(co_model_builder *b, const co_node *node,
                                     const co_variational_options *options);
// Draws a sample of the bottleneck's distribution.
co_status co_model_sample(co_model_builder *b, co_latent *latent);
// The divergence as a loss, once the output's own is there, and the way from noise to image.
co_status co_model_add_divergence(co_model_builder *b, const co_variational_options *options,
                                  const co_latent *latent);

// text_output.c: options of a text that is written, from `decoder` (NULL = none are given), with what is
// learned for it; head, loss and metrics.
co_status co_model_read_text_output(co_model_builder *b, const co_node *item,
                                    const co_node *decoder, const char *path,
                                    co_output_feature *output);
// text_attention.c: what the decoder attends to.
co_status co_text_attention_add_memory(co_model_builder *b, co_output_feature *output);
co_status co_model_add_text_output(co_model_builder *b, co_output_feature *output,
                                   co_value combined);

// reconstruction.c: of all inputs, or of one that is a scalar.
extern const co_feature_class co_reconstruction_of_columns;
co_status co_model_add_reconstruction(co_model_builder *b, co_output_feature *feature,
                                      co_value combined);

#endif
