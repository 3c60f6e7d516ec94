// SPDX-License-Identifier: Apache-2.0
// Heads of outputs: what turns combined features into predictions, with loss and metrics.
#include <string.h>

#include "host/graph/layer.h"
#include "host/graph/metric/metric.h"
#include "models/builder.h"
#include "models/encoders.h"
#include "models/layers.h"

co_status co_model_flatten(co_model *model, const char *output, co_value *value) {
  if (co_value_shape(model->network, *value)->rank == 2) return CO_OK;
  char *path = co_arena_format(model->arena, "%s/flatten", output);
  if (!path) return CO_ERR_MEMORY;
  char none[1] = {0};
  return co_layer_apply(model->network, co_layer_find("Flatten"), path, none, value, 1, value);
}

co_status co_model_add_head(co_model_builder *b, const char *output, const char *head,
                            int64_t width, co_value in, co_value *out) {
  co_model *model = b->model;
  bool members = co_dim_members(co_value_shape(model->network, in)->dim[0]) > 0;
  const co_layer_class *dense = co_layer_find(members ? "MemberDense" : "Dense");
  void *options = co_arena_alloc(model->arena, 1, dense->options_size);
  char *text = co_arena_format(model->arena, "units: %lld", (long long)width);
  char *path = co_arena_format(model->arena, "%s/%s", output, head);
  if (!options || !text || !path) return CO_ERR_MEMORY;
  co_node *node;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&node, model->arena, "decoder", text, strlen(text), b->problems));
  CO_RETURN_IF_FAILED(
      co_fields_parse(options, dense->fields, node, "decoder", model->arena, b->problems));
  CO_RETURN_IF_FAILED(co_model_flatten(model, output, &in));
  return co_layer_apply(model->network, dense, path, options, &in, 1, out);
}

// Names of columns have no '/'.
static co_status given_head(co_model *model, co_output_feature *feature, co_value *out) {
  const co_shape shape = co_shape_make(2, CO_DIM_N, feature->head_width);
  char *name = co_arena_format(model->arena, "%s/%s", feature->name, feature->class_->output->head);
  if (!name) return CO_ERR_MEMORY;
  feature->head_input = (int32_t)model->network->input_count;
  return co_graph_add_input(model->network, name, CO_F32, &shape, out);
}

// Height, width and channels of the one image that is given back; 0 where none is.
static void find_image(const co_model *model, const co_output_feature *feature, int64_t image[3]) {
  const co_input_feature *of = feature->reconstructs     ? feature->reconstructs
                               : model->input_count == 1 ? &model->inputs[0]
                                                         : NULL;
  if (!feature->column && of && of->column && of->column->type == CO_COLUMN_IMAGE)
    memcpy(image, of->column->shape.dim, 3 * sizeof *image);
}

static co_status check_image(co_model_builder *b, const co_output_feature *feature,
                             const char *path, const int64_t *made, const int64_t *wanted) {
  if (memcmp(made, wanted, 3 * sizeof *made) == 0) return CO_OK;
  return co_node_problem(b->problems, feature->decoder, NULL,
                         "%s: ends in an image of %lld x %lld x %lld instead of %lld x %lld x %lld",
                         path, (long long)made[0], (long long)made[1], (long long)made[2],
                         (long long)wanted[0], (long long)wanted[1], (long long)wanted[2]);
}

co_status co_model_decode(co_model_builder *b, const co_output_feature *feature, co_value *value,
                          bool *pixels) {
  co_model *model = b->model;
  const co_node *layers;
  const int64_t before = b->problems->count;
  co_encoder_input wanted = {.fallback = "graph"};
  char *path = co_arena_format(model->arena, "output_features.%s.decoder", feature->name);
  if (!path) return CO_ERR_MEMORY;
  *pixels = false;
  find_image(model, feature, wanted.image);
  CO_RETURN_IF_FAILED(
      co_encoder_expand(&layers, feature->decoder, path, &wanted, model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const co_named_value combined = {"combiner", *value};
  const co_layer_list_options options = {feature->name, &combined, 1, *value, &b->combined, NULL};
  char *layers_path = co_arena_format(model->arena, "%s.layers", path);
  if (!layers_path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_layer_list_build(model->network, layers, layers_path, &options,
                                          model->arena, b->problems, value));
  if (b->problems->count > before) return CO_OK;
  const co_shape *shape = co_value_shape(model->network, *value);
  *pixels = wanted.image[0] && shape->rank == 4;
  if (*pixels) CO_RETURN_IF_FAILED(check_image(b, feature, path, shape->dim + 1, wanted.image));
  return co_model_flatten(model, feature->name, value);
}

static co_status written_head(co_model_builder *b, const co_output_feature *feature, co_value in,
                              co_value *out) {
  const int64_t before = b->problems->count;
  bool pixels;
  *out = in;
  CO_RETURN_IF_FAILED(co_model_decode(b, feature, out, &pixels));
  const co_shape *shape = co_value_shape(b->model->network, *out);
  if (b->problems->count == before && (shape->rank != 2 || shape->dim[1] != feature->head_width))
    return co_node_problem(b->problems, feature->decoder, NULL,
                           "output_features.%s.decoder: must end in %lld units for '%s'",
                           feature->name, (long long)feature->head_width, feature->name);
  return CO_OK;
}

co_status co_model_add_feed(co_model *model, const char *name, co_dtype dtype,
                            const co_shape *shape, const co_feed *feed, co_value *out) {
  CO_RETURN_IF_FAILED(co_grow(model->ctx, (void **)&model->feeds.items, &model->feeds.capacity,
                              model->feeds.count, sizeof *model->feeds.items));
  co_feed *made = &model->feeds.items[model->feeds.count];
  *made = *feed;
  made->network = true;
  made->input = (int32_t)model->network->input_count;
  CO_RETURN_IF_FAILED(co_graph_add_input(model->network, name, dtype, shape, out));
  model->feeds.count++;
  return CO_OK;
}

// What the loss compares the prediction with: a column, or what an input feeds.
static co_status add_target(co_model *model, const co_output_feature *feature, co_feed feed,
                            co_value prediction, co_value *out) {
  const co_output_class *class_ = feature->class_->output;
  co_shape values = class_->target == CO_I32 ? co_shape_make(1, CO_DIM_N)
                                             : co_shape_make(2, CO_DIM_N, feature->width);
  if (feature->loss_attr.level_count) values.dim[1] = 1; // all quantiles are of one number
  if (feature->column) {
    feed.kind = CO_FEED_TARGET;
    return co_model_add_feed(model, feature->name, class_->target, &values, &feed, out);
  }
  *out = prediction;
  if (feature->parts) return CO_OK; // errors already
  const co_op_attr attr = {.shape = values};
  for (int64_t i = 0; i < model->block_count; i++)
    if (model->blocks[i].features == feature->reconstructs) *out = model->blocks[i].network_input;
  return co_emit(model->network, CO_OP_RESHAPE, &attr, 1, out, out);
}

// What members predict together: the mean of their probabilities, as what a head gives.
static co_status join_members(co_model *model, const co_output_feature *feature, int64_t members,
                              co_value predictions, co_value *out) {
  const bool classes = feature->class_->output->activation == CO_OP_SOFTMAX;
  const co_op_attr attr = {.members = members,
                           .link = classes                ? CO_LINK_SOFTMAX
                                   : feature->loss->logit ? CO_LINK_SIGMOID
                                                          : CO_LINK_NONE};
  return co_emit(model->network, CO_OP_MEMBER_MEAN, &attr, 1, &predictions, out);
}

static co_status add_fitted(co_model *model, const co_output_feature *feature, int array,
                            const char *of, int64_t count, co_value *out) {
  const co_fitted *fitted = &feature->normalization[array];
  const co_shape shape = co_shape_make(1, count);
  char *name = co_arena_format(model->arena, "%s/%s/%s", feature->name, of, fitted->name);
  if (!name) return CO_ERR_MEMORY;
  return co_graph_add_variable(model->network, name, CO_F32, &shape, fitted->bytes, out);
}

// What a head has learned to give, in the target's units: mean + std z.
static co_status denormalize(co_model *model, const co_output_feature *feature, co_value *value) {
  co_value scale, offset;
  CO_RETURN_IF_FAILED(
      add_fitted(model, feature, CO_NORMALIZATION_std, "prediction", feature->width, &scale));
  CO_RETURN_IF_FAILED(
      add_fitted(model, feature, CO_NORMALIZATION_mean, "prediction", feature->width, &offset));
  return co_emit_affine(model->network, feature->name, *value, scale, offset, value);
}

// The way back: of the target, of what no head has learned, and of what is reported where the loss
// has no power of a unit.
static co_status normalize(co_model *model, const co_output_feature *feature,
                           co_loss_operands *trained, co_loss_operands *reported) {
  co_value in[3] = {trained->target}, prediction;
  CO_RETURN_IF_FAILED(add_fitted(model, feature, CO_NORMALIZATION_mean, "target", 1, &in[1]));
  CO_RETURN_IF_FAILED(add_fitted(model, feature, CO_NORMALIZATION_scale, "target", 1, &in[2]));
  CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_NORMALIZE, NULL, 3, in, &trained->target));
  if (feature->loss->degree && !model->scored) return CO_OK;
  in[0] = reported->prediction;
  CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_NORMALIZE, NULL, 3, in, &prediction));
  if (model->scored) trained->prediction = prediction;
  if (!feature->loss->degree)
    *reported = (co_loss_operands){prediction, trained->target, reported->row_weight};
  return CO_OK;
}

// Each member has the whole target, and its share of the row's weight.
static co_status repeat_target(co_graph *graph, int64_t members, co_loss_operands *operands) {
  const co_op_attr target = {.members = members, .factor = 1};
  const co_op_attr weight = {.members = members, .factor = 1 / (double)members};
  CO_RETURN_IF_FAILED(
      co_emit(graph, CO_OP_REPEAT, &target, 1, &operands->target, &operands->target));
  return co_emit(graph, CO_OP_REPEAT, &weight, 1, &operands->row_weight, &operands->row_weight);
}

// `predictions` are what is trained: of members, where there are some, and as numbers are normalised;
// else the prediction itself, or where classes are sampled, what comes from `items`.
static co_status add_loss(co_model *model, co_output_feature *feature, const co_item_table *items,
                          co_value predictions, co_value prediction, co_value *row_weight) {
  co_graph *graph = model->network;
  co_shape rows = co_shape_make(1, CO_DIM_N);
  co_value target;
  char *weight = co_arena_format(model->arena, "%s.weight", feature->name);
  if (!weight) return CO_ERR_MEMORY;
  feature->loss_index = (int32_t)graph->loss_count;
  co_feed feed = {.columns = &feature->column,
                  .column_count = feature->column ? 1 : 0,
                  .loss = feature->loss_index};
  graph->layer = feature->name;
  CO_RETURN_IF_FAILED(add_target(model, feature, feed, prediction, &target));
  feed.kind = CO_FEED_WEIGHT;
  feed.fitted = &feature->class_weights;
  feed.fitted_count = feature->class_weights ? 1 : 0;
  CO_RETURN_IF_FAILED(co_model_add_feed(model, weight, CO_F32, &rows, &feed, row_weight));
  co_loss_operands reported = {prediction, target, *row_weight};
  co_loss_operands trained = {predictions, target, *row_weight};
  if (feature->normalization) CO_RETURN_IF_FAILED(normalize(model, feature, &trained, &reported));
  const int64_t members = co_dim_members(co_value_shape(graph, predictions)->dim[0]);
  if (members) CO_RETURN_IF_FAILED(repeat_target(graph, members, &trained));
  if (feature->loss->sampled && !model->scored)
    CO_RETURN_IF_FAILED(co_model_sample_logits(model, feature, items, &trained));
  const bool apart = feature->catalogue && !model->scored;
  if (apart) trained.prediction = items->trained;
  CO_RETURN_IF_FAILED(co_loss_emit_apart(graph, feature->loss, &feature->loss_attr, feature->name,
                                         feature->weight, &trained, &reported));
  co_loss_info *loss = &graph->losses[feature->loss_index];
  loss->prediction = prediction;
  loss->degree = feature->loss->degree;
  loss->sampled |= apart;
  if (feature->normalization) loss->scale = feature->normalization[CO_NORMALIZATION_scale].bytes;
  if (!feature->column) return CO_OK;
  return co_metrics_emit(graph, feature->name, feature->column->type, prediction, target,
                         *row_weight);
}

co_status co_model_add_loss(co_model *model, co_output_feature *feature, co_value prediction,
                            co_value *row_weight) {
  return add_loss(model, feature, NULL, prediction, prediction, row_weight);
}

// Of a single input given back, the mean of the squared errors of each row, for who scores.
static co_status add_error(co_model *model, const co_output_feature *feature, co_value prediction) {
  const int32_t column[4] = {0, 0, (int32_t)feature->width, CO_PART_VALUES};
  const co_shape shape = co_shape_make(2, (int64_t)1, (int64_t)4);
  char *name = co_arena_format(model->arena, "%s/error", feature->name);
  co_value in[3] = {prediction, model->network->losses[feature->loss_index].target}, error;
  if (!name) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_graph_add_constant(model->network, name, CO_I32, &shape, column, &in[2]));
  CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_COLUMN_LOSS, NULL, 3, in, &error));
  return co_model_add_extra(model, name, feature, error);
}

// Logits, numbers, parameters: (N, head_width).
static co_status add_head(co_model_builder *b, co_output_feature *feature, co_value in,
                          co_item_table *items, co_value *out) {
  const bool tied = co_decoder_is(feature->decoder, "tied"), sampled = feature->loss->sampled;
  if (b->model->scored) return given_head(b->model, feature, out);
  if (sampled && feature->decoder && !tied)
    return co_node_problem(b->problems, feature->decoder, "leave one of them out",
                           "output_features.%s: sampled_softmax goes with no decoder, or one of "
                           "type tied",
                           feature->name);
  if (feature->catalogue) return co_model_add_catalogue_head(b, feature, in, items, out);
  if (tied) return co_model_add_tied_head(b, feature, in, items, out);
  if (sampled) return co_model_add_table_head(b, feature, in, items, out);
  if (co_decoder_is(feature->decoder, "copy"))
    return co_model_add_copying_head(b, feature, in, out);
  if (feature->decoder) return written_head(b, feature, in, out);
  return co_model_add_head(b, feature->name, feature->class_->output->head, feature->head_width, in,
                           out);
}

co_status co_model_add_output(co_model_builder *b, co_output_feature *feature, co_value combined) {
  co_model *model = b->model;
  const co_output_class *class_ = feature->class_->output;
  int64_t before = b->problems->count;
  co_value prediction, row_weight;
  co_item_table items = {.table = CO_NO_VALUE};
  feature->head = CO_NO_VALUE;
  if (feature->class_ == &co_reconstruction_of_columns)
    return co_model_add_reconstruction(b, feature, combined);
  if (feature->text) return co_model_add_text_output(b, feature, combined);
  feature->width = feature->reconstructs ? co_shape_count(&feature->reconstructs->column->shape)
                                         : class_->width(feature);
  feature->head_width = feature->loss->parameters ? feature->loss->parameters : feature->width;
  feature->head_input = -1;
  CO_RETURN_IF_FAILED(add_head(b, feature, combined, &items, &prediction));
  if (b->problems->count > before) return CO_OK;
  const co_value predictions = prediction;
  const int64_t members = co_dim_members(co_value_shape(model->network, predictions)->dim[0]);
  model->network->layer = feature->name;
  if (feature->normalization && !model->scored)
    CO_RETURN_IF_FAILED(denormalize(model, feature, &prediction));
  feature->head = prediction;
  if (members && feature->loss->parameters)
    return co_node_problem(b->problems, co_node_get(model->config, "combiner"), NULL,
                           "output_features.%s.loss: %s has no mean of members' parameters; leave "
                           "the members out",
                           feature->name, feature->loss->name);
  if (members) CO_RETURN_IF_FAILED(join_members(model, feature, members, prediction, &prediction));
  CO_RETURN_IF_FAILED(add_loss(model, feature, &items, predictions, prediction, &row_weight));
  co_value shown = prediction;
  // Whatever is learned as a probability is shown as one.
  co_op activation = feature->loss->logit ? CO_OP_SIGMOID : class_->activation;
  const co_op_attr mean = {.distribution = feature->loss_attr.distribution};
  if (feature->loss->parameters) activation = CO_OP_DISTRIBUTION_MEAN;
  if (activation != CO_OP_COUNT)
    CO_RETURN_IF_FAILED(co_emit(model->network, activation, &mean, 1, &prediction, &shown));
  char *name = co_arena_format(model->arena, "%s/%s", feature->name, class_->prediction);
  if (!name) return CO_ERR_MEMORY;
  feature->prediction = model->network->output_count;
  CO_RETURN_IF_FAILED(co_graph_add_output(model->network, name, shown));
  if (feature->reconstructs) CO_RETURN_IF_FAILED(add_error(model, feature, prediction));
  model->network->layer = NULL;
  return CO_OK;
}
