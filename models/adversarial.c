// SPDX-License-Identifier: Apache-2.0
// Generative adversarial networks (Goodfellow et al. 2014; of images Radford et al. 2016): the decoder
// of a `generator` makes images of noise, the image's encoder and the head of a `discriminator` say
// whether an image is one of the dataset's. Each has a loss; trainer.phases trains them in turn.
#include "host/core/rng.h"
#include "models/builder.h"

// ---- what a config may say ----------------------------------------------------------------------

static const char *cannot(const co_model *model) {
  if (model->scored) return "the predictor is a network";
  if (model->input_count != 1 || model->inputs[0].column->type != CO_COLUMN_IMAGE)
    return "the only input is an image";
  const co_node *combiner = co_node_get(model->config, "combiner");
  const co_node *bottleneck = co_node_get(model->config, "bottleneck");
  return (combiner && combiner->kind != CO_NODE_NULL) ||
                 (bottleneck && bottleneck->kind != CO_NODE_NULL)
             ? "encoder and decoder are all the layers: there is no combiner, no bottleneck"
             : NULL;
}

static co_status check_decoder(co_model_builder *b, const co_output_feature *feature,
                               const co_node *item, const char *path) {
  if (feature->generator && !feature->decoder)
    return co_node_problem(b->problems, item, "decoder: {type: stacked_cnn_decoder}",
                           "%s.decoder: is required, it is what makes the images", path);
  if (!feature->generator && feature->decoder)
    return co_node_problem(b->problems, feature->decoder, "its layers are the image's encoder",
                           "%s.decoder: a discriminator has none", path);
  return CO_OK;
}

co_status co_model_read_adversary(co_model_builder *b, const co_node *item, const char *path,
                                  int64_t noise_size, co_output_feature *feature) {
  if (feature->class_ != &co_feature_generator) return check_decoder(b, feature, item, path);
  feature->generator = co_arena_alloc(b->model->arena, 1, sizeof *feature->generator);
  if (!feature->generator) return CO_ERR_MEMORY;
  feature->generator->of = b->model->inputs;
  feature->generator->noise_size = noise_size;
  return check_decoder(b, feature, item, path);
}

static const co_output_feature *find_class(const co_model *model, const co_feature_class *class_,
                                           int64_t *count) {
  const co_output_feature *found = NULL;
  *count = 0;
  for (int64_t i = 0; i < model->output_count; i++) {
    if (model->outputs[i].class_ != class_) continue;
    found = &model->outputs[i];
    ++*count;
  }
  return found;
}

co_status co_model_check_adversaries(co_model_builder *b) {
  const co_node *list = co_node_get(b->model->config, "output_features");
  int64_t generators, discriminators;
  (void)find_class(b->model, &co_feature_generator, &generators);
  (void)find_class(b->model, &co_feature_discriminator, &discriminators);
  if (!generators && !discriminators) return CO_OK;
  if (generators != 1 || discriminators != 1)
    return co_node_problem(b->problems, list, NULL,
                           "output_features: one generator goes with one discriminator, these are "
                           "%lld and %lld",
                           (long long)generators, (long long)discriminators);
  const char *reason = cannot(b->model);
  if (!reason) return CO_OK;
  return co_node_problem(b->problems, list, NULL, "output_features: of a generator, %s", reason);
}

// ---- the network --------------------------------------------------------------------------------

// The same numbers for each row.
static co_status add_labels(co_model *model, const co_output_feature *feature, const float *labels,
                            int64_t count, co_value *out) {
  const co_shape shape = co_shape_make(2, CO_DIM_N, count);
  const co_feed feed = {.kind = CO_FEED_CONSTANT, .constant = labels, .loss = feature->loss_index};
  char *name = co_arena_format(model->arena, "%s.label", feature->name);
  return name ? co_model_add_feed(model, name, CO_F32, &shape, &feed, out) : CO_ERR_MEMORY;
}

// The mean over rows of what people are shown of `prediction`.
static co_status add_score(co_model *model, const co_output_feature *feature, co_value prediction,
                           co_value row_weight, co_value *shown) {
  co_graph *graph = model->network;
  co_value in[CO_OP_MAX_OPERANDS] = {prediction, row_weight}, out[CO_OP_MAX_OPERANDS];
  char *path = co_arena_format(graph->arena, "%s/score", feature->name);
  if (!path) return CO_ERR_MEMORY;
  if (feature->loss->logit)
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_SIGMOID, NULL, 1, &prediction, &in[0]));
  *shown = in[0];
  CO_RETURN_IF_FAILED(co_graph_add_metric_value(graph, path, 2, &out[0]));
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_ROW_MEANS, NULL, in, out));
  const co_metric_info metric = {.output = feature->name, .name = "score", .sums = out[0]};
  return co_graph_add_metric(graph, &metric);
}

// Loss of `predictions` (N, count) against labels, and the mean score of `prediction`.
static co_status add_loss(co_model *model, co_output_feature *feature, co_value predictions,
                          co_value prediction, const float *labels, co_value *shown) {
  co_graph *graph = model->network;
  const co_shape rows = co_shape_make(1, CO_DIM_N);
  co_value label, row_weight;
  feature->loss_index = (int32_t)graph->loss_count;
  graph->layer = feature->name;
  CO_RETURN_IF_FAILED(
      add_labels(model, feature, labels, co_value_shape(graph, predictions)->dim[1], &label));
  const co_feed feed = {.kind = CO_FEED_WEIGHT, .loss = feature->loss_index};
  char *name = co_arena_format(model->arena, "%s.weight", feature->name);
  if (!name) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_model_add_feed(model, name, CO_F32, &rows, &feed, &row_weight));
  CO_RETURN_IF_FAILED(co_loss_emit(graph, feature->loss, &feature->loss_attr, feature->name,
                                   feature->weight, predictions, label, row_weight));
  CO_RETURN_IF_FAILED(add_score(model, feature, prediction, row_weight, shown));
  graph->layer = NULL;
  return CO_OK;
}

// Noise of each sample and epoch, and the image that it becomes.
static co_status generate(co_model_builder *b, co_output_feature *feature) {
  co_model *model = b->model;
  co_generator *g = feature->generator;
  const co_shape shape = co_shape_make(2, CO_DIM_N, g->noise_size);
  const co_op_attr image = {.shape =
                                *co_value_shape(model->network, model->blocks[0].network_input)};
  const int64_t before = b->problems->count, pixels = co_shape_count(&g->of->column->shape);
  bool ends_in_image;
  char *name = co_arena_format(model->arena, "%s.noise", feature->name);
  if (!name) return CO_ERR_MEMORY;
  const co_feed feed = {.kind = CO_FEED_NOISE, .purpose = co_purpose("noise", feature->name)};
  CO_RETURN_IF_FAILED(co_model_add_feed(model, name, CO_F32, &shape, &feed, &g->noise));
  g->image = g->noise;
  CO_RETURN_IF_FAILED(co_model_decode(b, feature, &g->image, &ends_in_image));
  if (b->problems->count > before) return CO_OK;
  if (co_value_shape(model->network, g->image)->dim[1] != pixels)
    return co_node_problem(b->problems, feature->decoder, NULL,
                           "output_features.%s.decoder: must end in the %lld numbers of an image",
                           feature->name, (long long)pixels);
  return co_emit(model->network, CO_OP_RESHAPE, &image, 1, &g->image, &g->image);
}

// What the discriminator says of encoded images: one number.
static co_status judge(co_model_builder *b, const co_output_feature *feature, co_value encoded,
                       co_value *out) {
  return co_model_add_head(b, feature->name, "logit", 1, encoded, out);
}

co_status co_model_add_adversaries(co_model_builder *b, co_value encoded) {
  static const float of_both[2] = {1, 0}, real[1] = {1};
  co_model *model = b->model;
  int64_t count;
  const int64_t before = b->problems->count;
  co_output_feature *generator =
      (co_output_feature *)find_class(model, &co_feature_generator, &count);
  co_output_feature *discriminator =
      (co_output_feature *)find_class(model, &co_feature_discriminator, &count);
  co_value of_real, of_generated, both[2], shown, ignored;
  if (!generator || !discriminator) return CO_OK; // none, or a problem
  CO_RETURN_IF_FAILED(generate(b, generator));
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_model_encode(b, model->blocks, generator->generator->image, &of_generated));
  CO_RETURN_IF_FAILED(judge(b, discriminator, encoded, &of_real));
  CO_RETURN_IF_FAILED(judge(b, discriminator, of_generated, &of_generated));
  both[0] = of_real;
  both[1] = of_generated;
  CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_CONCAT, NULL, 2, both, &both[0]));
  CO_RETURN_IF_FAILED(add_loss(model, discriminator, both[0], of_real, of_both, &shown));
  CO_RETURN_IF_FAILED(add_loss(model, generator, of_generated, of_generated, real, &ignored));
  char *name = co_arena_format(model->arena, "%s/score", discriminator->name);
  if (!name) return CO_ERR_MEMORY;
  // A row has no image generated of it: what is told of it is the discriminator's score alone.
  discriminator->head = of_real;
  generator->head = CO_NO_VALUE;
  discriminator->width = generator->width = 1;
  discriminator->head_input = generator->head_input = -1;
  discriminator->prediction = generator->prediction = model->network->output_count;
  return co_graph_add_output(model->network, name, shown);
}

// ---- classes ------------------------------------------------------------------------------------

static int64_t one(const co_output_feature *output) {
  (void)output;
  return 1;
}

static int64_t none(const co_output_feature *output) {
  (void)output;
  return 0;
}

static char *cell_name(co_context *ctx, const co_output_feature *output, int64_t i) {
  (void)i;
  return co_format(ctx, "%s_score", output->name);
}

static co_score_cell cell(const co_output_feature *output, const float *scores, int64_t i) {
  (void)output;
  return (co_score_cell){NULL, (double)scores[i]};
}

static const co_output_class of_generator = {.loss = "binary_cross_entropy",
                                             .head = "image",
                                             .prediction = "score",
                                             .activation = CO_OP_COUNT,
                                             .target = CO_F32,
                                             .width = one,
                                             .cells = none,
                                             .cell_name = cell_name,
                                             .cell = cell};

static const co_output_class of_discriminator = {.loss = "binary_cross_entropy",
                                                 .head = "logit",
                                                 .prediction = "score",
                                                 .activation = CO_OP_COUNT,
                                                 .target = CO_F32,
                                                 .width = one,
                                                 .cells = one,
                                                 .cell_name = cell_name,
                                                 .cell = cell};

const co_feature_class co_feature_generator = {
    .name = "generator",
    .doc = "Images made of noise, which the discriminator should take for the dataset's.",
    .output = &of_generator};
const co_feature_class co_feature_discriminator = {
    .name = "discriminator",
    .doc = "Tells images of the dataset from those of the generator, by the image's encoder.",
    .output = &of_discriminator};
