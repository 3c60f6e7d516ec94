// SPDX-License-Identifier: Apache-2.0
// The reconstruction of all inputs, or of a scalar: numbers by their squared errors, as they are scaled; classes and
// binaries by their cross-entropies. What the network predicts is the error of each feature.
#include <string.h>

#include "models/builder.h"
#include "models/features/scalar.h"

// Features that one head gives back.
typedef struct group {
  const char *head, *metric;
  int32_t *columns; // of COLUMN_LOSS, four a feature
  const char **names;
  co_value *targets; // of blocks, side by side
  int64_t count, target_count;
  int64_t width, target_width; // of a row
} group;

static co_status create_group(group *g, co_model *model, const char *head, const char *metric) {
  const size_t most = 2 * (size_t)model->input_count; // each may have a flag
  *g = (group){.head = head, .metric = metric};
  g->columns = co_arena_alloc(model->arena, 4 * most, sizeof *g->columns);
  g->names = co_arena_alloc(model->arena, most, sizeof *g->names);
  g->targets = co_arena_alloc(model->arena, most, sizeof *g->targets);
  return g->columns && g->names && g->targets ? CO_OK : CO_ERR_MEMORY;
}

// `at`: its place in the target.
static void add_feature(group *g, const char *name, co_part kind, int64_t size, int64_t at) {
  int32_t *column = g->columns + 4 * g->count;
  column[0] = (int32_t)g->width;
  column[1] = (int32_t)at;
  column[2] = (int32_t)size;
  column[3] = (int32_t)kind;
  g->names[g->count++] = name;
  g->width += size;
}

static int64_t row_of(const co_model *model, co_value value) {
  co_shape row = *co_value_shape(model->network, value);
  row.dim[0] = 1;
  return co_shape_count(&row);
}

// What a block feeds, codes as numbers, behind what the group compares with; *at: where.
static co_status add_target(co_model *model, group *g, co_value value, int64_t *at) {
  const int64_t row = row_of(model, value);
  const co_op_attr cast = {.dtype = CO_F32}, attr = {.shape = co_shape_make(2, CO_DIM_N, row)};
  if (model->network->values[value].desc.dtype == CO_I32)
    CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_CAST, &cast, 1, &value, &value));
  CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_RESHAPE, &attr, 1, &value, &value));
  g->targets[g->target_count++] = value;
  *at = g->target_width;
  g->target_width += row;
  return CO_OK;
}

static bool is_unscaled_binary(const co_input_feature *feature) {
  const co_scalar_options *options = feature->preprocessing;
  return strcmp(feature->class_->name, "binary") == 0 && options->scaling == CO_SCALING_NONE;
}

// Where missing values are told of, the block's flags stand behind its values.
static co_status add_flags(co_model *model, group *g, const co_input_block *block,
                           const co_input_feature *only, int64_t size) {
  int64_t at;
  CO_RETURN_IF_FAILED(add_target(model, g, block->network_input, &at));
  for (int64_t i = 0; i < block->count; i++) {
    if (only && &block->features[i] != only) continue;
    char *name = co_arena_format(model->arena, "%s.missing", block->features[i].name);
    if (!name) return CO_ERR_MEMORY;
    add_feature(g, name, CO_PART_LOGITS, size, at + (block->count + i) * size);
  }
  return CO_OK;
}

static bool has(const co_input_block *block, const co_input_feature *feature) {
  return feature >= block->features && feature < block->features + block->count;
}

// `only`: NULL = all of its features.
static co_status add_block(co_model *model, group *values, group *classes,
                           const co_input_block *block, const co_input_feature *only) {
  const co_input_class *class_ = block->class_->input;
  const co_input_feature *features = block->features;
  const int64_t rows = class_->table_rows ? class_->table_rows(block) : 0;
  const int64_t all = row_of(model, block->network_input), each = co_feature_width(features);
  const bool flags = !rows && all == 2 * block->count * each;
  const co_part kind = rows                           ? CO_PART_CLASSES
                       : is_unscaled_binary(features) ? CO_PART_LOGITS
                                                      : CO_PART_VALUES;
  const int64_t size = all / block->count / (flags ? 2 : 1);
  group *g = kind == CO_PART_VALUES ? values : classes;
  int64_t at;
  if (only && !has(block, only)) return CO_OK;
  CO_RETURN_IF_FAILED(add_target(model, g, block->network_input, &at));
  for (int64_t i = 0; i < block->count; i++)
    if (!only || &features[i] == only)
      add_feature(g, features[i].name, kind, rows ? rows : size, at + i * size);
  return flags ? add_flags(model, classes, block, only, size) : CO_OK;
}

// As many at once as the operation takes, as the layer Concatenate does.
static co_status put_together(co_graph *graph, const co_value *values, int64_t count,
                              co_value *out) {
  co_value operands[CO_OP_MAX_OPERANDS] = {values[0]};
  for (int64_t at = 1; at < count;) {
    int taken = 1;
    while (taken < CO_OP_MAX_OPERANDS && at < count)
      operands[taken++] = values[at++];
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_CONCAT, NULL, taken, operands, &operands[0]));
  }
  *out = operands[0];
  return CO_OK;
}

// The errors (N, features) of a group. `pixels`: the decoder ended in what it is compared with;
// else a dense layer does.
static co_status emit_errors(co_model_builder *b, const co_output_feature *feature, const group *g,
                             co_value decoded, bool pixels, co_value *errors) {
  co_model *model = b->model;
  co_graph *graph = model->network;
  const co_shape shape = co_shape_make(2, g->count, (int64_t)4);
  co_value in[3];
  char *name = co_arena_format(model->arena, "%s/%s/columns", feature->name, g->head);
  if (!name) return CO_ERR_MEMORY;
  in[CO_COLUMN_LOSS_x] = decoded;
  // What the head's width is hangs on the data: the decoder's layers before it do not know.
  if (!pixels)
    CO_RETURN_IF_FAILED(
        co_model_add_head(b, feature->name, g->head, g->width, decoded, &in[CO_COLUMN_LOSS_x]));
  CO_RETURN_IF_FAILED(put_together(graph, g->targets, g->target_count, &in[CO_COLUMN_LOSS_target]));
  CO_RETURN_IF_FAILED(
      co_graph_add_constant(graph, name, CO_I32, &shape, g->columns, &in[CO_COLUMN_LOSS_columns]));
  return co_emit(graph, CO_OP_COLUMN_LOSS, NULL, 3, in, errors);
}

// The mean of a group's errors, beside the loss.
static co_status add_metric(co_graph *graph, const co_output_feature *feature, const char *name,
                            co_value errors, co_value row_weight) {
  const co_value in[CO_OP_MAX_OPERANDS] = {errors, row_weight};
  co_value out[CO_OP_MAX_OPERANDS];
  char *path = co_arena_format(graph->arena, "%s/%s", feature->name, name);
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_graph_add_metric_value(graph, path, 2, &out[0]));
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_ROW_MEANS, NULL, in, out));
  const co_metric_info metric = {.output = feature->name, .name = name, .sums = out[0]};
  return co_graph_add_metric(graph, &metric);
}

static const char *cannot(const co_input_block *block) {
  if (block->event_table >= 0) return "it is of events";
  return block->class_->input->bins && block->class_->input->bins(block)
             ? "its encoding is by bins; give it a normalization instead"
             : NULL;
}

static co_status check_inputs(co_model_builder *b, const co_output_feature *feature) {
  const co_model *model = b->model;
  for (int64_t i = 0; i < model->block_count; i++)
    if (cannot(&model->blocks[i]) &&
        (!feature->reconstructs || has(&model->blocks[i], feature->reconstructs)))
      return co_node_problem(b->problems, NULL, NULL,
                             "output_features.%s: the input '%s' cannot be reconstructed: %s",
                             feature->name, model->blocks[i].name, cannot(&model->blocks[i]));
  return CO_OK;
}

co_status co_model_add_reconstruction(co_model_builder *b, co_output_feature *feature,
                                      co_value combined) {
  co_model *model = b->model;
  co_graph *graph = model->network;
  group groups[2];
  int64_t before = b->problems->count, count = 0;
  bool pixels = false;
  CO_RETURN_IF_FAILED(check_inputs(b, feature));
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(create_group(&groups[0], model, "values", "mse"));
  CO_RETURN_IF_FAILED(create_group(&groups[1], model, "logits", "log_loss"));
  CO_RETURN_IF_FAILED(feature->decoder ? co_model_decode(b, feature, &combined, &pixels)
                                       : co_model_flatten(model, feature->name, &combined));
  if (b->problems->count > before) return CO_OK;
  graph->layer = feature->name;
  for (int64_t i = 0; i < model->block_count; i++)
    CO_RETURN_IF_FAILED(
        add_block(model, &groups[0], &groups[1], &model->blocks[i], feature->reconstructs));
  const char **names = co_arena_alloc(model->arena, 2 * (size_t)model->input_count, sizeof *names);
  co_value errors[2], all = CO_NO_VALUE, row_weight;
  if (!names) return CO_ERR_MEMORY;
  feature->parts = names;
  for (int i = 0; i < 2; i++) {
    if (!groups[i].count) continue;
    CO_RETURN_IF_FAILED(emit_errors(b, feature, &groups[i], combined, pixels, &errors[i]));
    memcpy(names + feature->width, groups[i].names, (size_t)groups[i].count * sizeof *names);
    feature->width += groups[i].count;
    all = errors[i];
    count++;
  }
  if (count == 2) CO_RETURN_IF_FAILED(put_together(graph, errors, 2, &all));
  CO_RETURN_IF_FAILED(co_model_add_loss(model, feature, all, &row_weight));
  for (int i = 0; i < 2; i++)
    if (groups[i].count)
      CO_RETURN_IF_FAILED(add_metric(graph, feature, groups[i].metric, errors[i], row_weight));
  graph->layer = NULL;
  char *name = co_arena_format(model->arena, "%s/error", feature->name);
  if (!name) return CO_ERR_MEMORY;
  feature->prediction = graph->output_count;
  return co_graph_add_output(graph, name, all);
}

// ---- class -------------------------------------------------------------------------------------

static int64_t width(const co_output_feature *output) {
  return output->width;
}

// OUTPUT_error, their mean, then OUTPUT_error:FEATURE for each.
static int64_t cells(const co_output_feature *output) {
  return 1 + output->width;
}

static char *cell_name(co_context *ctx, const co_output_feature *output, int64_t i) {
  return i ? co_format(ctx, "%s_error:%s", output->name, output->parts[i - 1])
           : co_format(ctx, "%s_error", output->name);
}

static co_score_cell cell(const co_output_feature *output, const float *errors, int64_t i) {
  double sum = 0;
  for (int64_t k = 0; k < output->width; k++)
    sum += (double)errors[k];
  return (co_score_cell){NULL, i ? (double)errors[i - 1] : sum / (double)output->width};
}

static const co_output_class of_columns = {.loss = "reconstruction",
                                           .head = "values",
                                           .prediction = "error",
                                           .activation = CO_OP_COUNT,
                                           .target = CO_F32,
                                           .width = width,
                                           .cells = cells,
                                           .cell_name = cell_name,
                                           .cell = cell};

const co_feature_class co_reconstruction_of_columns = {.name = "reconstruction",
                                                       .output = &of_columns};
