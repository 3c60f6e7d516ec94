// SPDX-License-Identifier: Apache-2.0
// Gradients of whole models: against finite differences in double, with and without fusion, and of
// the fast backend against the reference.
#include "helpers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/graph/layer.h"
#include "host/graph/loss/loss.h"

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
    "      {LeakyReLU: {}}]}}\n"
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
    "      {Bidirectional: {units: 2, layer: GRU, return_sequences: true}},\n"
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

// Classes drawn with replacement, each row's own among them.
static const char sampled[] =
    "input_features:\n"
    "  - {name: x, encoder: {type: graph, layers: [{Dense: {units: 6, activation: tanh}}]}}\n"
    "output_features: [{name: label, loss: {type: sampled_softmax, num_sampled: 7}}]\n";

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
                               {"binary", binary, NULL},
                               {"sampled", sampled, NULL},
                               {"tied_rows", NULL, tied_rows},
                               {"embedded", NULL, embedded}};
enum { MODELS = sizeof models / sizeof *models };

static void make(rig *r, const setup *s, const model *m) {
  rig_open(r, s);
  if (m->yaml) {
    rig_model(r, m->yaml);
  } else {
    OK(co_graph_create(&r->graph, r->ctx));
    m->build(r);
  }
  rig_program(r);
}

// Weights that are not all alike, biases and gammas away from their special values.
static void disturb(rig *r) {
  for (int64_t e = 0; e < r->store->count; e++) {
    if (r->store->entries[e].info.state) continue;
    double *values = entry_read(r, e, CO_BLOCK_PARAM);
    for (int64_t i = 0; i < entry_count(r, e); i++)
      values[i] += 0.0625 * sin(3.0 * (double)(i + e));
    entry_write(r, e, CO_BLOCK_PARAM, values);
  }
}

// A bias in front of a normalisation has no gradient but what rounding leaves of it.
static bool is_cancelled(const rig *r, int64_t entry) {
  return co_store_find(r->store, "image/batch_normalization/beta") >= 0 &&
         strcmp(r->store->entries[entry].info.name, "image/conv2d/bias") == 0;
}

static void check_entry(rig *r, const batch *b, int64_t entry) {
  const double h = 1e-6;
  train(r, 0, b, 3, 0);
  const double *gradient = entry_read(r, entry, CO_BLOCK_GRADIENT);
  double *values = entry_read(r, entry, CO_BLOCK_PARAM), largest = 0;
  for (int64_t i = 0; i < entry_count(r, entry); i++) {
    double was = values[i];
    values[i] = was + h;
    entry_write(r, entry, CO_BLOCK_PARAM, values);
    double up = train(r, 0, b, 3, 0);
    values[i] = was - h;
    entry_write(r, entry, CO_BLOCK_PARAM, values);
    double down = train(r, 0, b, 3, 0);
    values[i] = was;
    entry_write(r, entry, CO_BLOCK_PARAM, values);
    double measured = (up - down) / (2 * h);
    if (fabs(measured) > largest) largest = fabs(measured);
    if (!(fabs(measured - gradient[i]) < 1e-8 * (1 + fabs(measured))))
      fail_msg("%s[%lld]: %.12g, measured %.12g", r->store->entries[entry].info.name, (long long)i,
               gradient[i], measured);
  }
  if (!is_cancelled(r, entry) && !(largest > 1e-4))
    fail_msg("%s: no gradient, at most %g", r->store->entries[entry].info.name, largest);
}

static void gradients_are_derivatives(void **unused) {
  (void)unused;
  for (int m = 0; m < MODELS; m++) {
    rig r;
    make(&r, &(setup){.backend = "ref", .real = CO_F64, .rows = 5}, &models[m]);
    disturb(&r);
    batch b;
    batch_make(&r, &b, 5, 11);
    for (int64_t e = 0; e < r.store->count; e++)
      if (!r.store->entries[e].info.state) check_entry(&r, &b, e);
    batch_free(&r, &b);
    rig_free(&r);
  }
}

// Relative to the largest of the entry; what cancels, to that of the kernel that it is added to.
static double gradient_difference(rig *a, rig *b, int64_t entry) {
  if (!is_cancelled(a, entry)) return entry_difference(a, b, entry, CO_BLOCK_GRADIENT);
  double scale = entry_largest(b, entry_find(b, "image/conv2d/kernel"), CO_BLOCK_GRADIENT);
  return entry_difference_to(a, b, entry, CO_BLOCK_GRADIENT, scale);
}

// Loss, gradients, parameters after one step, and state of two rigs with equal weights.
static void compare_two(const model *m, const model *n, const setup *one, const setup *other,
                        double tolerance) {
  rig a, b;
  make(&a, one, m);
  make(&b, other, n);
  disturb(&a);
  disturb(&b);
  batch p, q;
  batch_make(&a, &p, one->rows, 5);
  batch_make(&b, &q, one->rows, 5);
  for (uint32_t step = 0; step < 3; step++) {
    double x = train(&a, 0, &p, step, 0.01), y = train(&b, 0, &q, step, 0.01);
    if (!(fabs(x - y) <= tolerance * fabs(y))) fail_msg("losses %.9g and %.9g", x, y);
    for (int64_t e = 0; e < a.store->count; e++) {
      bool state = a.store->entries[e].info.state;
      double worst = state ? 0 : gradient_difference(&a, &b, e);
      double values = entry_difference(&a, &b, e, CO_BLOCK_PARAM);
      if (!(worst <= tolerance && values <= tolerance))
        fail_msg("step %u: %s differs by %g, its gradient by %g", step,
                 a.store->entries[e].info.name, values, worst);
    }
  }
  batch_free(&a, &p);
  batch_free(&b, &q);
  rig_free(&a);
  rig_free(&b);
}

static void compare(const model *m, const setup *one, const setup *other, double tolerance) {
  compare_two(m, m, one, other, tolerance);
}

static void fusion_changes_nothing(void **unused) {
  (void)unused;
  for (int m = 0; m < MODELS; m++) {
    setup fused = {.backend = "ref", .real = CO_F64, .rows = 5}, plain = fused;
    plain.no_fusion = true;
    compare(&models[m], &fused, &plain, 1e-12);
    fused.backend = plain.backend = "cpu";
    fused.real = plain.real = CO_F32;
    compare(&models[m], &fused, &plain, 1e-5);
  }
}

static void fast_backend_agrees(void **unused) {
  (void)unused;
  for (int m = 0; m < MODELS; m++)
    for (int plain = 0; plain < 2; plain++) {
      setup fast = {.backend = "cpu", .real = CO_F32, .rows = 5, .no_fusion = plain};
      setup narrow = {.backend = "ref", .real = CO_F32, .rows = 5};
      setup wide = {.backend = "ref", .real = CO_F64, .rows = 5};
      compare(&models[m], &fast, &narrow, 2e-5);
      compare(&models[m], &fast, &wide, 2e-5);
    }
}

// Wide enough for the fast backend to choose channel blocks.
static const char blocked[] =
    "input_features:\n"
    "  - name: wide_image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 32, kernel_size: 3, padding: same, use_bias: false}},\n"
    "      BatchNormalization, ReLU, {Conv2D: {filters: 24, kernel_size: 3, activation: relu}},\n"
    "      {MaxPooling2D: 2}, {Conv2D: {filters: 32, kernel_size: 3, padding: same}, name: last},\n"
    "      {Conv2D: {filters: 32, kernel_size: 1}}, {Add: {}, inputs: [conv2d_2, last]}, Flatten,\n"
    "      {Dense: {units: 20, activation: relu}}, {Dropout: 0.2}]}\n"
    "output_features: [{name: label}]\n";

// Joins of what convolutions leave, of widths that fill the blocks and that do not.
static const char blocked_branches[] =
    "input_features:\n"
    "  - name: wide_image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 32, kernel_size: 1, activation: relu}, name: one},\n"
    "      {Conv2D: {filters: 20, kernel_size: 3, padding: same}, name: two},\n"
    "      {Concatenate: {}, inputs: [one, two, wide_image]}, ReLU,\n"
    "      {Conv2D: {filters: 16, kernel_size: 3}}, MaxPooling2D, GlobalAveragePooling2D]}\n"
    "output_features: [{name: label}]\n";

// A decoder of images, of widths that fill the blocks.
static const char blocked_decoder[] =
    "input_features:\n"
    "  - name: wide_image\n"
    "    encoder: {type: stacked_cnn, filters: [16, 32], output_size: 20}\n"
    "bottleneck: {size: 8}\n"
    "output_features: [{name: back, type: reconstruction, of: all,\n"
    "                   decoder: {type: stacked_cnn_decoder, filters: [32, 16]}}]\n";

static int64_t count_layouts(const rig *r) {
  int64_t count = 0;
  const co_plan *plan = co_program_plan(r->program, 0);
  for (int64_t i = 0; i < plan->value_count; i++)
    count += plan->values[i].info.desc.layout != CO_LAYOUT_CANONICAL;
  return count;
}

static void blocked_layouts_agree(void **unused) {
  (void)unused;
  const model wide_models[] = {{"blocked", blocked, NULL},
                               {"branches", blocked_branches, NULL},
                               {"decoder", blocked_decoder, NULL}};
  bool blocks = true;
  for (int m = 0; m < 3; m++) {
    rig r;
    setup fast = {.backend = "cpu", .real = CO_F32, .rows = 6};
    make(&r, &fast, &wide_models[m]);
    blocks = blocks && count_layouts(&r) > 0;
    rig_free(&r);
    setup wide = {.backend = "ref", .real = CO_F64, .rows = 6};
    compare(&wide_models[m], &fast, &wide, 1e-4);
    fast.no_fusion = true;
    compare(&wide_models[m], &fast, &wide, 1e-4);
  }
#ifdef __x86_64__
  assert_true(blocks); // oneDNN blocks channels on every one of them
#endif
  if (blocks) return;
  print_message("NOT RUN: this processor's layouts are all canonical\n");
  skip();
}

// ---- joining -----------------------------------------------------------------------------------

enum { JOINED = 70 }; // more than four operations take

// A model that joins two layers' results in turns, `count` of them, at once or two by two.
static void write_join(char *out, size_t size, int count, bool at_once) {
  static const char *const parts[] = {"one", "one", "two"};
  int used = snprintf(out, size,
                      "input_features:\n"
                      "  - name: x\n"
                      "    encoder: {type: graph, layers: [\n"
                      "      {Dense: {units: 3, activation: relu}, name: one},\n"
                      "      {Dense: 2, inputs: [x], name: two},\n");
  if (at_once) {
    used += snprintf(out + used, size - (size_t)used, "      {Concatenate: {}, inputs: [one");
    for (int i = 1; i < count; i++)
      used += snprintf(out + used, size - (size_t)used, ", %s", parts[i % 3]);
    used += snprintf(out + used, size - (size_t)used, "]},\n");
  }
  for (int i = 1; !at_once && i < count; i++) {
    used += snprintf(out + used, size - (size_t)used, "      {Concatenate: {}, inputs: [");
    used += i == 1 ? snprintf(out + used, size - (size_t)used, "one")
                   : snprintf(out + used, size - (size_t)used, "join%d", i - 1);
    used += snprintf(out + used, size - (size_t)used, ", %s], name: join%d},\n", parts[i % 3], i);
  }
  used += snprintf(out + used, size - (size_t)used,
                   "      {Dense: {units: 4}, name: head}]}\n"
                   "output_features: [{name: label}]\n");
  assert_true(used < (int)size);
}

static int64_t count_joins(const char *yaml) {
  rig r;
  rig_make(&r, &(setup){.backend = "ref", .real = CO_F32, .rows = 5}, yaml);
  int64_t count = 0;
  for (int64_t i = 0; i < r.graph->op_count; i++)
    count += r.graph->ops[i].op == CO_OP_CONCAT;
  rig_free(&r);
  return count;
}

static void joins_at_once_equal_joins_two_by_two(void **unused) {
  (void)unused;
  static const int counts[] = {2, 3, 4, 5, CO_OP_MAX_OPERANDS, CO_OP_MAX_OPERANDS + 1, JOINED};
  static const int joins[] = {1, 1, 1, 1, 1, 2, 6};
  static const char *const backends[] = {"ref", "cpu"};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    char one[8192], several[8192];
    write_join(one, sizeof one, counts[i], true);
    write_join(several, sizeof several, counts[i], false);
    assert_int_equal(count_joins(one), joins[i]);
    assert_int_equal(count_joins(several), counts[i] - 1);
    for (int b = 0; b < 2; b++) {
      setup plain = {.backend = backends[b], .real = CO_F32, .rows = 5};
      // Several operations add the gradients of what stands there more than once in another order.
      compare_two(&(model){"one", one, NULL}, &(model){"several", several, NULL}, &plain, &plain,
                  joins[i] > 1 ? 1e-6 : 0);
    }
  }
}

// ---- tables ------------------------------------------------------------------------------------

static int64_t count_operations(const model *m, const setup *s, co_op op) {
  rig r;
  make(&r, s, m);
  int64_t count = 0;
  const co_plan *plan = co_program_plan(r.program, 0);
  for (int64_t i = 0; i < plan->op_count; i++)
    count += plan->ops[i].desc.op == op;
  rig_free(&r);
  return count;
}

// The gradient of the table that is read twice is summed in two parts, one of which joins others.
static void tables_share_operations(void **unused) {
  (void)unused;
  const model m = {"embedded", NULL, embedded};
  setup s = {.backend = "cpu", .real = CO_F32, .rows = 5};
  assert_int_equal(count_operations(&m, &s, CO_OP_EMBEDDING), 3);
  assert_int_equal(count_operations(&m, &s, CO_OP_EMBEDDING_BACKWARD), 4);
  s.no_fusion = true;
  assert_int_equal(count_operations(&m, &s, CO_OP_EMBEDDING), 2 + FURTHER);
  assert_int_equal(count_operations(&m, &s, CO_OP_EMBEDDING_BACKWARD), 2 + FURTHER);
}

// ---- observed values ---------------------------------------------------------------------------

static const char watched[] =
    "input_features:\n"
    "  - name: wide_image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 16, kernel_size: 3, activation: relu}}, MaxPooling2D, Flatten,\n"
    "      {Dense: {units: 8, activation: relu}}]}\n"
    "output_features: [{name: label}]\n";

// Reports what fusion would do away with: pre-activations and the flattened image.
static void watch(rig *r) {
  for (int64_t i = 0; i < r->graph->op_count; i++) {
    const co_graph_op *op = &r->graph->ops[i];
    if (op->op == CO_OP_CONV2D || op->op == CO_OP_RESHAPE || op->op == CO_OP_DENSE)
      OK(co_graph_add_output(r->graph, r->graph->values[op->out[0]].name, op->out[0]));
  }
}

static float *read_output(rig *r, int64_t output, int64_t *count) {
  co_executor *executor = co_program_evaluator(r->program);
  const co_plan *plan = co_executor_plan(executor);
  const co_tensor_desc *desc = &plan->values[plan->outputs[output]].info.desc;
  assert_int_equal(desc->layout, CO_LAYOUT_CANONICAL);
  *count = co_shape_count(&desc->shape);
  float *values = co_arena_alloc(r->arena, (size_t)*count, sizeof *values);
  assert_non_null(values);
  OK(co_executor_read_output(executor, output, values));
  return values;
}

static void observed_values_are_kept(void **unused) {
  (void)unused;
  rig r[2];
  batch b[2];
  for (int i = 0; i < 2; i++) {
    rig_open(&r[i], &(setup){.backend = i ? "cpu" : "ref",
                             .real = CO_F32,
                             .rows = 4,
                             .evaluation_rows = 4,
                             .no_fusion = !i});
    rig_model(&r[i], watched);
    watch(&r[i]);
    rig_program(&r[i]);
    batch_make(&r[i], &b[i], 4, 1);
    train(&r[i], 0, &b[i], 0, 0.01); // what is reported does not disturb training
    OK(co_program_evaluate(r[i].program, b[i].inputs));
  }
  assert_int_equal(r[0].graph->output_count, 5);
  for (int64_t output = 0; output < 5; output++) {
    int64_t count;
    const float *plain = read_output(&r[0], output, &count);
    const float *fused = read_output(&r[1], output, &count);
    bool negative = false;
    for (int64_t i = 0; i < count; i++) {
      negative = negative || fused[i] < 0;
      assert_true(fabsf(plain[i] - fused[i]) <= 1e-5f);
    }
    // Pre-activations show it.
    assert_int_equal(negative, strstr(r[0].graph->outputs[output].name, "conv2d.y") ||
                                   strstr(r[0].graph->outputs[output].name, "dense.y"));
  }
  for (int i = 0; i < 2; i++) {
    batch_free(&r[i], &b[i]);
    rig_free(&r[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_are_derivatives),
                                     cmocka_unit_test(fusion_changes_nothing),
                                     cmocka_unit_test(fast_backend_agrees),
                                     cmocka_unit_test(blocked_layouts_agree),
                                     cmocka_unit_test(joins_at_once_equal_joins_two_by_two),
                                     cmocka_unit_test(tables_share_operations),
                                     cmocka_unit_test(observed_values_are_kept)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
