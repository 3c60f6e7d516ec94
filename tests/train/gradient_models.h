// SPDX-License-Identifier: Apache-2.0
// Small models that have every layer, loss and way of joining between them, for test_gradients.c.
#ifndef COHORT_TESTS_TRAIN_GRADIENT_MODELS_H
#define COHORT_TESTS_TRAIN_GRADIENT_MODELS_H

#include <stdio.h>

#include "helpers.h"
#include "host/graph/layer.h"
#include "host/graph/loss/loss.h"
#include "models/builder.h"
#include "models/catalogue.h"

static const char cnn[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 4, kernel_size: 3, padding: same}}, BatchNormalization, ReLU,\n"
    "      {MaxPooling2D: 2},\n"
    "      {Conv2D: {filters: 5, kernel_size: 2, activation: relu}}, Flatten,\n"
    "      {Dense: {units: 7, activation: relu}}, {Dropout: 0.3}]}\n"
    "output_features: [{name: label}]\n";

static const char mlp[] =
    "input_features:\n"
    "  - name: x\n"
    "    encoder: {type: graph, layers: [{Dense: {units: 8, activation: relu}}, {Dropout: 0.25},\n"
    "      {Dense: {units: 6, use_bias: false}}, BatchNormalization, ReLU]}\n"
    "output_features: [{name: score}]\n";

// A shared input, a block that is added to it, an activation after the sum, a branch taken twice.
static const char residual[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 4, kernel_size: 1}, name: stem},\n"
    "      {Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu}},\n"
    "      {Conv2D: {filters: 4, kernel_size: 3, padding: same}, name: block},\n"
    "      {Add: {}, inputs: [stem, block], name: sum}, ReLU,\n"
    "      {Add: {}, inputs: [re_lu, stem, stem]}, MaxPooling2D, Flatten]}\n"
    "output_features: [{name: label}]\n";

// One layer called three times; the second and third results meet in one activation.
static const char tied[] =
    "input_features:\n"
    "  - name: x\n"
    "    encoder: {type: graph, layers: [{Dense: 6, name: first},\n"
    "      {Dense: 6, name: twin}, {shared: twin, inputs: [first], name: again}, ReLU,\n"
    "      {shared: twin, name: thrice}, {Add: {}, inputs: [twin, thrice]}, ReLU]}\n"
    "output_features: [{name: vector}]\n";

// The bias gradient of `twin` could be made together with the mask of the last activation, were it
// not for its other call, which comes first in the backward direction.
static const char crossed[] =
    "input_features:\n"
    "  - name: x\n"
    "    encoder: {type: graph, layers: [{Dense: 6, name: first},\n"
    "      {Dense: 6, name: twin}, {shared: twin, inputs: [first], name: again},\n"
    "      {Dense: {units: 6, use_bias: false}, name: bare},\n"
    "      {Add: {}, inputs: [twin, bare]}, ReLU]}\n"
    "output_features: [{name: vector}]\n";

// Pooling of an activation over windows that overlap and stick out, and an activation of a pool.
static const char pooled[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu}},\n"
    "      {MaxPooling2D: {pool_size: 3, strides: 2, padding: same}},\n"
    "      {Conv2D: {filters: 4, kernel_size: 2, strides: 1}}, {MaxPooling2D: {pool_size: 2, "
    "strides: 1}},\n"
    "      ReLU, Flatten]}\n"
    "output_features: [{name: label}]\n";

// What is pooled is not the activation itself, although its gradient is the same.
static const char skipped[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 2, kernel_size: 3, padding: same, activation: relu}},\n"
    "      {Add: {}, inputs: [conv2d, image]}, MaxPooling2D, Flatten]}\n"
    "output_features: [{name: label}]\n";

static const char two[] =
    "input_features:\n"
    "  - {name: x, encoder: {type: graph, layers: [{Dense: {units: 6, activation: relu}}]}}\n"
    "  - {name: z, encoder: {type: graph, layers: [{Dense: 6}]}}\n"
    "combiner: {type: add, layers: [ReLU, {Dense: {units: 5, activation: relu}}]}\n"
    "output_features:\n"
    "  - {name: label, weight: 0.5}\n"
    "  - {name: vector, weight: 3.0}\n";

// Three inputs side by side, of which one has nothing to train.
static const char joined[] =
    "input_features:\n"
    "  - {name: x, encoder: {type: graph, layers: [{Dense: {units: 6, activation: relu}}]}}\n"
    "  - {name: image, encoder: {type: passthrough}}\n"
    "  - {name: z, encoder: {type: graph, layers: [{Dense: 2}]}}\n"
    "combiner: {type: concat, layers: [ReLU, {Dense: {units: 5, activation: relu}}]}\n"
    "output_features: [{name: label}]\n";

// Channels side by side; one branch is taken twice, one goes around the join as well.
static const char branches[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 3, kernel_size: 1, activation: relu}, name: one},\n"
    "      {Conv2D: {filters: 2, kernel_size: 3, padding: same}, inputs: [image], name: two},\n"
    "      {Concatenate: {}, inputs: [two, one, two]}, ReLU,\n"
    "      {Conv2D: {filters: 3, kernel_size: 2, padding: same}},\n"
    "      {Concatenate: {}, inputs: [one, conv2d]}, MaxPooling2D, Flatten]}\n"
    "output_features: [{name: label}]\n";

// A bottleneck block of a residual network in small: strides, a projected shortcut, a global mean
// that one branch goes around.
static const char bottleneck[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 2, kernel_size: 1, use_bias: false}, name: narrow},\n"
    "      BatchNormalization, ReLU,\n"
    "      {MaxPooling2D: {pool_size: 3, strides: 1, padding: symmetric}},\n"
    "      {Conv2D: {filters: 2, kernel_size: 3, strides: 2, padding: symmetric}, name: middle},\n"
    "      {Conv2D: {filters: 4, kernel_size: 1}, name: wide},\n"
    "      {Conv2D: {filters: 4, kernel_size: 1, strides: 2}, inputs: [image], name: shortcut},\n"
    "      {Add: {}, inputs: [wide, shortcut]}, ReLU, GlobalAveragePooling2D]}\n"
    "output_features: [{name: label}]\n";

// Groups, each channel alone, a larger image and parts of it.
static const char separable[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 4, kernel_size: 2, groups: 2, activation: relu}},\n"
    "      {DepthwiseConv2D: {kernel_size: [2, 3], depth_multiplier: 2, padding: same}},\n"
    "      {AveragePooling2D: {pool_size: 3, strides: 2, padding: same}}, ReLU,\n"
    "      {Conv2DTranspose: {filters: 3, kernel_size: 3, strides: 2, padding: same, activation: "
    "relu}},\n"
    "      {Cropping2D: [[1, 0], [0, 1]]}, {ZeroPadding2D: [1, 0]},\n"
    "      {SeparableConv2D: {filters: 4, kernel_size: 2, activation: tanh}}, Flatten]}\n"
    "output_features: [{name: label}]\n";

// Activations that are operations of their own, before and behind what convolutions leave.
static const char smooth[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 4, kernel_size: 3, activation: tanh}}, MaxPooling2D,\n"
    "      {Conv2D: {filters: 3, kernel_size: 2}}, {Activation: sigmoid}, Flatten,\n"
    "      {Dense: {units: 5, activation: sigmoid}}, {Dense: {units: 6, activation: tanh}}]}\n"
    "output_features: [{name: label}]\n";

static const char curved[] =
    "input_features:\n"
    "  - {name: x, encoder: {type: graph, layers: [{Dense: {units: 6, activation: gelu}},\n"
    "      LayerNormalization, {Dense: {units: 5}}, {ELU: 0.7, name: a},\n"
    "      {Dense: {units: 5, activation: silu}, name: b, inputs: [a]}, {Multiply: {}, inputs: [a, "
    "b, a]},\n"
    "      {LeakyReLU: {}}, RMSNormalization]}}\n"
    "output_features: [{name: label}]\n";

static const char objectives[] =
    "input_features:\n"
    "  - {name: x, encoder: {type: graph, layers: [{Dense: {units: 6, activation: tanh}}]}}\n"
    "output_features:\n"
    "  - {name: score, loss: {type: focal, gamma: 1.5, positive_weight: 2.0, label_smoothing: "
    "0.1}}\n"
    "  - {name: vector, loss: {type: huber, delta: 0.7}}\n"
    "  - {name: label, loss: {label_smoothing: 0.2}}\n";

// Three networks in one, of numbers, of a probability and of classes.
// Sines and cosines of each number, through a layer of its own.
static const char periodic[] =
    "input_features:\n"
    "  - {name: x, encoder: {type: periodic, frequencies: 3, embedding_size: 4, sigma: 0.3}}\n"
    "  - {name: z, encoder: {type: graph, layers: [{Dense: {units: 5, activation: tanh}},\n"
    "     {PeriodicEmbedding: {frequencies: 2, output_dim: 3}}, Flatten]}}\n"
    "output_features: [{name: label}]\n";

// Norms of groups of channels and of each, channels times numbers that the layer or a branch makes; what
// is dropped is dropped together.
static const char excited[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [{Conv2D: {filters: 6, kernel_size: 3}, name: a},\n"
    "      {GroupNormalization: 2}, {SpatialDropout2D: 0.25}, {SqueezeExcitation: 3, name: b},\n"
    "      {GlobalAveragePooling2D: {}, name: s, inputs: [b]}, {Dense: {units: 6, activation: "
    "tanh}},\n"
    "      {Reshape: {target_shape: [1, 1, 6]}, name: factors},\n"
    "      {GroupNormalization: -1, name: n, inputs: [b]}, {Multiply: {}, inputs: [factors, n]},\n"
    "      {StochasticDepth: 0.3, name: c}, {Add: {}, inputs: [a, c]}, Flatten]}\n"
    "output_features: [{name: label}]\n";

// What is given back are the inputs themselves, however much noise they come through.
static const char autoencoder[] =
    "input_features:\n"
    "  - {name: x, encoder: {type: graph, layers: [{Dense: {units: 6, activation: relu}}]}}\n"
    "  - {name: image, encoder: {type: passthrough}}\n"
    "bottleneck: {size: 3, activation: tanh, swap_noise: 0.3}\n"
    "output_features: [{name: back, type: reconstruction, of: all,\n"
    "                   decoder: {type: mlp, sizes: [5]}}]\n";

// Sequences of a length that the shape says, gates that bend.
static const char fixed_length[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [Flatten, {Dense: 12}, {Reshape: {target_shape: [4, 3]}},\n"
    "      {Bidirectional: {units: 2, layer: GRU, return_sequences: true}}, Reverse,\n"
    "      {LSTM: {units: 3, recurrent_activation: hard_sigmoid, go_backwards: true}}]}\n"
    "output_features: [{name: label}]\n";

// An image from a few numbers and back: repeated pixels behind a dense layer, and between convolutions.
static const char decoded[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [{Conv2D: {filters: 3, kernel_size: 3, strides: 2}},\n"
    "      {UpSampling2D: [2, 3]}, {Rescaling: {scale: 0.5, offset: 0.1}},\n"
    "      {Conv2D: {filters: 2, kernel_size: 2}}, Flatten]}\n"
    "bottleneck: {size: 4}\n"
    "output_features: [{name: back, type: reconstruction, of: image, weight: 3.0,\n"
    "                   decoder: {type: stacked_cnn_decoder, filters: [3], activation: sigmoid}},\n"
    "                  {name: label}]\n";

// A draw between encoder and decoder, with the divergence as a second loss.
static const char variational[] =
    "input_features:\n"
    "  - {name: image, encoder: {type: graph, layers: [Flatten, {Dense: {units: 6, activation: "
    "tanh}}]}}\n"
    "bottleneck: {size: 3, variational: true, deviation: 2.0, kl_weight: 1.5}\n"
    "output_features: [{name: back, type: reconstruction, of: image,\n"
    "                   decoder: {type: graph, layers: [{Dense: {units: 5, activation: tanh}}, "
    "{Dense: 72}]}}]\n";

static const char members[] =
    "input_features: [{name: x}, {name: z}]\n"
    "combiner: {type: concat, members: 3, layers: [{Dense: {units: 6, activation: relu}},\n"
    "  {Dropout: 0.25}, {Dense: {units: 5, activation: tanh}}]}\n"
    "output_features:\n"
    "  - {name: score, loss: {type: binary_cross_entropy}}\n"
    "  - {name: vector, weight: 2.0}\n"
    "  - {name: label}\n";

// Wide, deep, crossed, and a factorisation machine.
static const char crossed_table[] =
    "input_features: [{name: x}, {name: z}]\n"
    "combiner: {type: concat, layers: [{Dense: {units: 6, activation: relu}, name: deep},\n"
    "  {CrossNetwork: 2, name: cross, inputs: [joined]},\n"
    "  {FactorizationMachine: 3, name: pairs, inputs: [joined]},\n"
    "  {FactorizationMachine: {field_size: 2}, name: fields, inputs: [deep]},\n"
    "  {Concatenate: {}, inputs: [deep, cross, pairs, fields, joined]}]}\n"
    "output_features: [{name: label}]\n";

static const char binary[] =
    "input_features:\n"
    "  - {name: x, encoder: {type: graph, layers: [{Dense: {units: 6, activation: tanh}}]}}\n"
    "output_features:\n"
    "  - {name: score, weight: 2.0, loss: {type: binary_cross_entropy}}\n"
    "  - {name: label}\n";

enum { FURTHER = 16 }; // as many tables as two operations take

// Rows of a table by lists of indices and by single ones, the same table twice, and of further ones.
static void embedded(rig *r) {
  const co_shape list = co_shape_make(2, CO_DIM_N, (int64_t)3), one = co_shape_make(1, CO_DIM_N);
  co_value words, word, label, weight = input(r, "label.weight", 0);
  OK(co_graph_add_input(r->graph, "words", CO_I32, &list, &words));
  OK(co_graph_add_input(r->graph, "word", CO_I32, &one, &word));
  OK(co_graph_add_input(r->graph, "label", CO_I32, &one, &label));
  co_value parts[2 + FURTHER] = {
      layer(r, "Embedding", "table", "{input_dim: 4, output_dim: 5}", &words, 1),
      layer(r, "Embedding", "table", "{input_dim: 4, output_dim: 5}", &word, 1)};
  parts[0] = layer(r, "Flatten", "flatten", "{}", parts, 1);
  for (int i = 0; i < FURTHER; i++) {
    char path[16], options[64];
    (void)snprintf(path, sizeof path, "table%d", i);
    (void)snprintf(options, sizeof options, "{input_dim: %d, output_dim: %d}", 6 + i % 3, 1 + i);
    parts[2 + i] = layer(r, "Embedding", path, options, &word, 1);
  }
  co_value y = layer(r, "Concatenate", "concatenate", "{}", parts, 2 + FURTHER);
  y = layer(r, "Dense", "hidden", "{units: 6, activation: relu}", &y, 1);
  y = layer(r, "Dense", "logits", "{units: 4}", &y, 1);
  r->graph->layer = "label";
  OK(co_loss_emit(r->graph, co_loss_find("softmax_cross_entropy"), NULL, "label", 1, y, label,
                  weight));
  r->graph->layer = NULL;
}

// Logits that are products with the rows of an embedding, all but the first, which is read, too.
static void tied_rows(rig *r) {
  static const int32_t numbers[] = {1, 2, 3, 4};
  const co_shape one = co_shape_make(1, CO_DIM_N), classes = co_shape_make(1, (int64_t)4);
  co_value word, label, weight = input(r, "label.weight", 0), in[2], y;
  OK(co_graph_add_input(r->graph, "word", CO_I32, &one, &word));
  OK(co_graph_add_input(r->graph, "label", CO_I32, &one, &label));
  y = layer(r, "Embedding", "table", "{input_dim: 5, output_dim: 3}", &word, 1);
  co_value features = layer(r, "Dense", "projection", "{units: 3, activation: tanh}", &y, 1);
  r->graph->layer = "label";
  OK(co_graph_add_constant(r->graph, "rows", CO_I32, &classes, numbers, &in[CO_EMBEDDING_index]));
  in[CO_EMBEDDING_table] = r->graph->params[0].value;
  OK(co_emit(r->graph, CO_OP_EMBEDDING, NULL, 2, in, &in[CO_DENSE_BACKWARD_DATA_w]));
  in[CO_DENSE_BACKWARD_DATA_dy] = features;
  OK(co_emit(r->graph, CO_OP_DENSE_BACKWARD_DATA, NULL, 2, in, &y));
  OK(co_loss_emit(r->graph, co_loss_find("softmax_cross_entropy"), NULL, "label", 1, y, label,
                  weight));
  r->graph->layer = NULL;
}

// Classes chosen from all, or among those of the row's events.
static void copying(rig *r) {
  const co_shape one = co_shape_make(1, CO_DIM_N), events = co_shape_make(3, CO_DIM_N, 6, 1);
  const co_op_attr factor = {.factor = 1.5};
  co_value word, label, weight = input(r, "label.weight", 0), in[4], y;
  OK(co_graph_add_input(r->graph, "word", CO_I32, &one, &word));
  OK(co_graph_add_input(r->graph, "label", CO_I32, &one, &label));
  OK(co_graph_add_input(r->graph, "codes", CO_I32, &events, &in[CO_COPY_EVENTS_codes]));
  OK(co_graph_add_input(r->graph, "lengths", CO_I32, &one, &in[CO_COPY_EVENTS_lengths]));
  co_value x = layer(r, "Embedding", "table", "{input_dim: 4, output_dim: 5}", &word, 1);
  in[CO_COPY_EVENTS_x] = layer(r, "Dense", "logits", "{units: 4}", &x, 1);
  y = layer(r, "Dense", "score", "{units: 6, activation: tanh}", &x, 1);
  in[CO_COPY_EVENTS_score] = layer(r, "Reshape", "events", "{target_shape: [6, 1]}", &y, 1);
  r->graph->layer = "label";
  OK(co_emit(r->graph, CO_OP_COPY_EVENTS, &factor, 4, in, &y));
  OK(co_loss_emit(r->graph, co_loss_find("softmax_cross_entropy"), NULL, "label", 1, y, label,
                  weight));
  r->graph->layer = NULL;
}

// Logits of items by what their table tells: a category, a number; of the last but one no row is a target,
// the last one is new.
static void catalogued(rig *r) {
  enum { ITEMS = 6 };
  static int32_t rows[ITEMS] = {1, 2, 3, 4, 0, 0}, kinds[ITEMS] = {1, 2, 0, 2, 1, 1};
  static float prices[2 * ITEMS] = {-1, 0, 0.5, 0, 0, 1, 1.5, 0, 0.25, 0, -0.5, 0};
  static const co_column columns[] = {{.type = CO_COLUMN_CATEGORY, .category_count = 2},
                                      {.type = CO_COLUMN_NUMBER}};
  static const co_input_feature told[] = {{.column = &columns[0]}, {.column = &columns[1]}};
  const co_shape each = co_shape_make(1, (int64_t)ITEMS),
                 pairs = co_shape_make(2, (int64_t)ITEMS, (int64_t)2);
  co_fitted arrays[] = {
      {.feature = "label", .name = "rows", .dtype = CO_I32, .shape = each, .bytes = rows},
      {.feature = "label", .name = "kinds", .dtype = CO_I32, .shape = each, .bytes = kinds},
      {.feature = "label", .name = "prices", .dtype = CO_F32, .shape = pairs, .bytes = prices}};
  co_catalogue catalogue = {.columns = {&told[0], &told[1]},
                            .column_count = 2,
                            .number_count = 1,
                            .classes = ITEMS,
                            .new_classes = 1,
                            .embedding_size = 3,
                            .units = 5,
                            .unknown_rate = 0.4,
                            .rows = &arrays[0],
                            .codes = {&arrays[1]},
                            .numbers = &arrays[2]};
  const co_output_feature feature = {.name = "label", .catalogue = &catalogue};
  co_model model = {.ctx = r->ctx, .arena = r->arena, .network = r->graph};
  co_model_builder b = {.model = &model, .problems = &r->problems};
  co_item_table items;
  co_value x = input(r, "x", 5), label, weight = input(r, "label.weight", 0), y;
  const co_shape one = co_shape_make(1, CO_DIM_N);
  OK(co_graph_add_input(r->graph, "label", CO_I32, &one, &label));
  OK(co_model_add_catalogue_head(&b, &feature, x, &items, &y));
  OK(co_loss_emit(r->graph, co_loss_find("softmax_cross_entropy"), NULL, "label", 1, items.trained,
                  label, weight));
  r->graph->layer = NULL;
}

// Classes drawn with replacement, each row's own among them.
static const char sampled[] =
    "input_features:\n"
    "  - {name: x, encoder: {type: graph, layers: [{Dense: {units: 6, activation: tanh}}]}}\n"
    "output_features: [{name: label, loss: {type: sampled_softmax, num_sampled: 7}}]\n";

// Texts of up to three tokens, each told the one before.
static const char written[] =
    "input_features:\n"
    "  - {name: x, encoder: {type: graph, layers: [{Dense: {units: 4, activation: tanh}}]}}\n"
    "output_features:\n"
    "  - {name: words, decoder: {units: 3, embedding_size: 2, max_size: 3, max_length: 3}}\n";
static const char written_by_lstm[] =
    "input_features: [{name: x}]\n"
    "output_features:\n"
    "  - {name: words, decoder: {cell_type: lstm, units: 2, embedding_size: 3, max_size: 2,\n"
    "                            max_length: 3}}\n";

// From a configuration, or made by hand.
typedef struct model {
  const char *name, *yaml;
  void (*build)(rig *r);
} model;

// Places among bins, given and made by a layer whose weights have a gradient through them.
static const char piecewise[] =
    "input_features:\n"
    "  - name: x\n"
    "    encoder: {type: graph, layers: [\n"
    "      {PiecewiseLinearEmbedding: {bins: 2, output_dim: 3}, name: given}, ReLU, Flatten,\n"
    "      {Dense: {units: 4}, inputs: [x], name: made},\n"
    "      {PiecewiseLinearEmbedding: {bins: 3, output_dim: 16}, name: wide},\n"
    "      {Flatten: {}, name: flat}, {Concatenate: {}, inputs: [flat, flatten]},\n"
    "      {Dense: {units: 5, activation: relu, kernel_initializer: fan_in_uniform,\n"
    "               bias_initializer: fan_in_uniform}}]}\n"
    "output_features: [{name: label}]\n";

// Two towers, of which rows have a cosine, a product of matrices that lie in every way, and vectors that
// go with a matrix.
static const char towers[] =
    "input_features: [{name: x}, {name: z}]\n"
    "combiner: {type: graph, layers: [{Dense: {units: 6, activation: tanh}, inputs: [x], name: "
    "u},\n"
    "  {Dense: {units: 6, activation: tanh}, inputs: [z], name: v},\n"
    "  {Dot: {axes: 1, normalize: true}, inputs: [u, v], name: cosine},\n"
    "  {Reshape: {target_shape: [2, 3]}, inputs: [u], name: a},\n"
    "  {Reshape: {target_shape: [2, 3]}, inputs: [v], name: b},\n"
    "  {Dense: {units: 3, activation: tanh}, inputs: [z], name: z3},\n"
    "  {Softmax: {}, inputs: [z3], name: c},\n"
    "  {Dot: {axes: 2, normalize: true}, inputs: [a, b], name: d0},\n"
    "  {Dot: {axes: 1}, inputs: [a, b], name: d1}, {Dot: {axes: [1, 2]}, inputs: [d0, d0], name: "
    "d2},\n"
    "  {Dot: {axes: [2, 1]}, inputs: [a, d1], name: d3}, {Dot: {axes: [1, 2]}, inputs: [c, a], "
    "name: "
    "d4},\n"
    "  {Flatten: {}, inputs: [d2], name: e2}, {Flatten: {}, inputs: [d3], name: e3},\n"
    "  {Concatenate: {}, inputs: [cosine, e2, e3, d4]}]}\n"
    "output_features: [{name: label}]\n";

static const model models[] = {{"cnn", cnn, NULL},
                               {"mlp", mlp, NULL},
                               {"piecewise", piecewise, NULL},
                               {"residual", residual, NULL},
                               {"tied", tied, NULL},
                               {"crossed", crossed, NULL},
                               {"pooled", pooled, NULL},
                               {"skipped", skipped, NULL},
                               {"two", two, NULL},
                               {"joined", joined, NULL},
                               {"branches", branches, NULL},
                               {"bottleneck", bottleneck, NULL},
                               {"separable", separable, NULL},
                               {"excited", excited, NULL},
                               {"smooth", smooth, NULL},
                               {"curved", curved, NULL},
                               {"objectives", objectives, NULL},
                               {"members", members, NULL},
                               {"autoencoder", autoencoder, NULL},
                               {"fixed_length", fixed_length, NULL},
                               {"decoded", decoded, NULL},
                               {"variational", variational, NULL},
                               {"periodic", periodic, NULL},
                               {"crossed_table", crossed_table, NULL},
                               {"towers", towers, NULL},
                               {"binary", binary, NULL},
                               {"sampled", sampled, NULL},
                               {"written", written, NULL},
                               {"written_by_lstm", written_by_lstm, NULL},
                               {"tied_rows", NULL, tied_rows},
                               {"copying", NULL, copying},
                               {"catalogued", NULL, catalogued},
                               {"embedded", NULL, embedded}};
enum { MODELS = sizeof models / sizeof *models };

#endif
