// SPDX-License-Identifier: Apache-2.0
// Outputs whose logits are products with a table, a row a class: the decoder `tied`, whose table is the
// embedding of the events' own classes (weight tying: Press & Wolf 2017; of items: Kang & McAuley 2018),
// and the loss `sampled_softmax`, which in training reads the rows of a few classes only.
#include <string.h>

#include "host/core/rng.h"
#include "host/graph/layer.h"
#include "models/builder.h"

typedef struct tied_options {
  const char *type, *of;
} tied_options;

const co_field co_tied_fields[] = {
    {"type", CO_FIELD_STRING, offsetof(tied_options, type), "null", 0, 0, NULL,
     "tied: logits are products with the embeddings of the events' items.", NULL},
    {"of", CO_FIELD_STRING, offsetof(tied_options, of), "null", 0, 0, NULL,
     "The input whose embedding it is; absent: the one of the target's classes.", NULL},
    {.key = NULL}};

bool co_decoder_is(const co_node *decoder, const char *name) {
  const co_node *type = decoder ? co_node_get(decoder, "type") : NULL;
  return type && type->kind == CO_NODE_SCALAR && strcmp(type->text, name) == 0;
}

// ---- events of the target's classes ------------------------------------------------------------

// Whether a code is of the same class in both.
static bool has_classes_of(const co_input_block *block, const co_column *target) {
  const co_column *column = block->features->column;
  if (block->event_table < 0 || !block->class_->input->table_rows ||
      column->category_count != target->category_count)
    return false;
  for (int64_t i = 0; i < target->category_count; i++)
    if (strcmp(column->categories[i], target->categories[i]) != 0) return false;
  return true;
}

static const co_input_block *find(const co_model *model, const co_column *target,
                                  const char *name) {
  for (int64_t i = 0; i < model->block_count; i++)
    if ((!name || strcmp(model->blocks[i].name, name) == 0) &&
        has_classes_of(&model->blocks[i], target))
      return &model->blocks[i];
  return NULL;
}

co_status co_model_find_items(co_model_builder *b, const co_output_feature *feature,
                              const char *path, const char *of, const co_input_block **out) {
  co_model *model = b->model;
  const bool classes = feature->column && feature->column->type == CO_COLUMN_CATEGORY;
  const co_input_block *block = classes ? find(model, feature->column, of) : NULL;
  *out = NULL;
  if (!block)
    return co_node_problem(b->problems, feature->decoder, "leave the decoder out",
                           "%s: no events of the classes of '%s' are an input%s%s", path,
                           feature->name, of ? " called " : "", of ? of : "");
  if (block->class_->input->table_rows(block) != feature->width + 1)
    return co_node_problem(b->problems, feature->decoder, "leave out its max_size",
                           "%s: not all classes of '%s' have a row in the vocabulary of '%s'", path,
                           feature->name, block->name);
  // Rows of its embedding are the codes, one on.
  model->inputs[block->features - model->inputs].by_code = true;
  *out = block;
  return CO_OK;
}

// ---- tables ------------------------------------------------------------------------------------

// The numbers shift … shift + count - 1 as a constant, those below 0 as 0.
static co_status add_numbers(co_model *model, const char *output, const char *name, int64_t count,
                             int64_t shift, co_value *out) {
  const co_shape shape = co_shape_make(1, count);
  char *full = co_arena_format(model->arena, "%s/%s", output, name);
  int32_t *numbers = co_alloc(model->ctx, (size_t)count * sizeof *numbers);
  for (int64_t i = 0; numbers && i < count; i++)
    numbers[i] = (int32_t)(i + shift < 0 ? 0 : i + shift);
  co_status status = full && numbers
                         ? co_graph_add_constant(model->network, full, CO_I32, &shape, numbers, out)
                         : CO_ERR_MEMORY;
  co_free(model->ctx, numbers);
  return status;
}

// The parameter of the embedding that reads an input; CO_NO_VALUE where there is none.
static co_value embedding_of(const co_graph *graph, co_value input) {
  for (int64_t i = 0; i < graph->layer_count; i++)
    if (strcmp(graph->layers[i].class_->name, "Embedding") == 0 &&
        graph->layers[i].inputs[0] == input)
      return graph->params[graph->layers[i].weights[0]].value;
  return CO_NO_VALUE;
}

co_status co_model_add_tied_head(co_model_builder *b, const co_output_feature *feature, co_value in,
                                 co_item_table *items, co_value *out) {
  co_model *model = b->model;
  co_graph *graph = model->network;
  tied_options options;
  const co_input_block *block;
  const int64_t before = b->problems->count;
  char *path = co_arena_format(model->arena, "output_features.%s.decoder", feature->name);
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, co_tied_fields, feature->decoder, path, model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(co_model_find_items(b, feature, path, options.of, &block));
  if (!block) return CO_OK;
  items->table = embedding_of(graph, block->network_input);
  items->first = 1; // row 0 is for what is no item
  if (items->table == CO_NO_VALUE)
    return co_node_problem(b->problems, feature->decoder, "leave out the encoder of that input",
                           "%s: '%s' has no embedding", path, block->name);
  if (co_dim_members(co_value_shape(graph, in)->dim[0]))
    return co_node_problem(b->problems, feature->decoder, NULL, "%s: not with members", path);
  const int64_t width = co_value_shape(graph, items->table)->dim[1];
  CO_RETURN_IF_FAILED(
      co_model_add_head(b, feature->name, "projection", width, in, &items->features));
  graph->layer = feature->name;
  co_value rows[2] = {CO_NO_VALUE, items->table}, products[2] = {items->features, CO_NO_VALUE};
  CO_RETURN_IF_FAILED(add_numbers(model, feature->name, "rows", feature->width, items->first,
                                  &rows[CO_EMBEDDING_index]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_EMBEDDING, NULL, 2, rows, &products[1]));
  return co_emit(graph, CO_OP_DENSE_BACKWARD_DATA, NULL, 2, products, out);
}

co_status co_model_add_table_head(co_model_builder *b, const co_output_feature *feature,
                                  co_value in, co_item_table *items, co_value *out) {
  co_graph *graph = b->model->network;
  char *layer = co_arena_format(b->model->arena, "%s/logits", feature->name);
  if (!layer) return CO_ERR_MEMORY;
  if (co_dim_members(co_value_shape(graph, in)->dim[0]))
    return co_node_problem(b->problems, co_node_get(b->model->config, "combiner"), NULL,
                           "output_features.%s.loss: sampled_softmax is not for members",
                           feature->name);
  CO_RETURN_IF_FAILED(co_model_flatten(b->model, feature->name, &in));
  const int64_t width = co_value_shape(graph, in)->dim[1];
  const co_param_info info = {.shape = co_shape_make(2, feature->width, width),
                              .init = CO_INIT_GLOROT_UNIFORM,
                              .fan_in = width,
                              .fan_out = feature->width};
  *items = (co_item_table){.features = in};
  graph->layer = layer;
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "embeddings", &info, &items->table));
  const co_value products[2] = {in, items->table};
  return co_emit(graph, CO_OP_DENSE_BACKWARD_DATA, NULL, 2, products, out);
}

// ---- sampled softmax ---------------------------------------------------------------------------

static co_status rows_of(co_model *model, const co_item_table *items, co_value classes,
                         co_value map, co_value *out) {
  co_value lookup[2] = {classes, map}, rows[2] = {CO_NO_VALUE, items->table};
  CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_LOOKUP, NULL, 2, lookup, &rows[0]));
  return co_emit(model->network, CO_OP_EMBEDDING, NULL, 2, rows, out);
}

static co_status draw(co_model *model, const co_output_feature *feature, co_value *classes,
                      co_value *shift) {
  const co_op_attr attr = {.shape = co_shape_make(1, feature->sampling->num_sampled),
                           .purpose = co_purpose("negatives", feature->name)};
  const co_shape shape = co_shape_make(1, feature->width);
  char *name = co_arena_format(model->arena, "%s/bounds", feature->name);
  co_value in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    in[i] = out[i] = CO_NO_VALUE;
  if (!name) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_graph_add_variable(model->network, name, CO_I32, &shape,
                                            feature->bounds->bytes, &in[CO_SAMPLE_CLASSES_bounds]));
  CO_RETURN_IF_FAILED(co_graph_get_step(model->network, &in[CO_SAMPLE_CLASSES_step]));
  CO_RETURN_IF_FAILED(co_graph_add_op(model->network, CO_OP_SAMPLE_CLASSES, &attr, in, out));
  *classes = out[CO_SAMPLE_CLASSES_classes];
  *shift = out[CO_SAMPLE_CLASSES_shift];
  return CO_OK;
}

co_status co_model_sample_logits(co_model *model, const co_output_feature *feature,
                                 const co_item_table *items, co_loss_operands *trained) {
  co_graph *graph = model->network;
  co_value map, products[2] = {items->features, CO_NO_VALUE}, first[2] = {trained->target};
  co_value in[6] = {
      [CO_SAMPLED_LOGITS_x] = items->features, [CO_SAMPLED_LOGITS_target] = trained->target};
  CO_RETURN_IF_FAILED(
      draw(model, feature, &in[CO_SAMPLED_LOGITS_classes], &in[CO_SAMPLED_LOGITS_shift]));
  // What is missing has weight 0, and any row.
  CO_RETURN_IF_FAILED(
      add_numbers(model, feature->name, "map", feature->width + 1, items->first - 1, &map));
  CO_RETURN_IF_FAILED(rows_of(model, items, trained->target, map, &in[CO_SAMPLED_LOGITS_own]));
  CO_RETURN_IF_FAILED(rows_of(model, items, in[CO_SAMPLED_LOGITS_classes], map, &products[1]));
  CO_RETURN_IF_FAILED(
      co_emit(graph, CO_OP_DENSE_BACKWARD_DATA, NULL, 2, products, &in[CO_SAMPLED_LOGITS_z]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_SAMPLED_LOGITS, NULL, 6, in, &trained->prediction));
  // The true one is the first of all.
  CO_RETURN_IF_FAILED(add_numbers(model, feature->name, "first", 1, 0, &first[1]));
  return co_emit(graph, CO_OP_LOOKUP, NULL, 2, first, &trained->target);
}
