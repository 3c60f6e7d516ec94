// SPDX-License-Identifier: Apache-2.0
// The network: encoders of the inputs, what joins them, heads.
#include <string.h>

#include "host/graph/layer.h"
#include "models/builder.h"
#include "models/encoders.h"
#include "models/layers.h"

typedef struct combiner_options {
  int type;
  int64_t members;
  const co_node *layers;
} combiner_options;

static const char *const combiner_words[] = {"concat", "add", "graph", NULL};

const co_field co_combiner_fields[] = {
    {"type", CO_FIELD_ENUM, offsetof(combiner_options, type), "concat", 0, 0, combiner_words,
     "How encoded inputs are joined.", NULL},
    {"members", CO_FIELD_INT, offsetof(combiner_options, members), "0", 0, 1024, NULL,
     "So many networks in one, which share all layers: each has a trained scale of the joined "
     "inputs "
     "and an output of its own, scores are their mean (Gorishniy et al. 2024); 0 = one network.",
     NULL},
    {"layers", CO_FIELD_NODE, offsetof(combiner_options, layers), "null", 0, 0, NULL,
     "Layers after joining, whose `inputs:` may name what was `joined`; for graph, layers that "
     "name "
     "the inputs.",
     NULL},
    {.key = NULL}};

// ---- blocks ------------------------------------------------------------------------------------

static bool is_same(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

// Whether a feature is fed beside the one before it: nothing tells the two apart.
static bool is_packed(const co_input_feature *before, const co_input_feature *feature) {
  const co_input_class *class_ = feature->class_->input;
  return class_->packs && before->class_ == feature->class_ && !before->encoder &&
         !feature->encoder && co_feature_dtype(before) == co_feature_dtype(feature) &&
         !before->derivation == !feature->derivation &&
         is_same(before->column->table, feature->column->table) &&
         memcmp(before->preprocessing, feature->preprocessing, class_->preprocessing_size) == 0;
}

static bool is_input(const co_model *model, const co_node *name) {
  for (int64_t i = 0; name->kind == CO_NODE_SCALAR && i < model->input_count; i++)
    if (strcmp(model->inputs[i].name, name->text) == 0) return true;
  return false;
}

// Whether one of the combiner's layers names an input.
static bool names_inputs(const co_model *model, const co_node *layers) {
  for (int64_t i = 0; layers && layers->kind == CO_NODE_LIST && i < layers->count; i++) {
    const co_node *inputs = co_node_get(layers->items[i], "inputs");
    for (int64_t k = 0; inputs && inputs->kind == CO_NODE_LIST && k < inputs->count; k++)
      if (is_input(model, inputs->items[k])) return true;
  }
  return false;
}

static bool may_pack(const co_model *model) {
  const co_node *combiner = co_node_get(model->config, "combiner");
  const co_node *type = combiner ? co_node_get(combiner, "type") : NULL;
  if (combiner && names_inputs(model, co_node_get(combiner, "layers"))) return false;
  return !type || (type->kind == CO_NODE_SCALAR && strcmp(type->text, "concat") == 0);
}

static co_status list_blocks(co_model *model) {
  bool pack = may_pack(model);
  model->blocks =
      co_arena_alloc(model->arena, (size_t)model->input_count + 1, sizeof *model->blocks);
  if (!model->blocks) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->input_count; i++) {
    const co_input_feature *feature = &model->inputs[i];
    if (i && pack && is_packed(&model->inputs[i - 1], feature)) {
      model->blocks[model->block_count - 1].count++;
      continue;
    }
    model->blocks[model->block_count++] = (co_input_block){.name = feature->name,
                                                           .features = feature,
                                                           .count = 1,
                                                           .class_ = feature->class_,
                                                           .event_table = feature->event_table,
                                                           .lengths = CO_NO_VALUE};
  }
  return CO_OK;
}

static co_status network_input(co_model *model, co_input_block *block) {
  co_dtype dtype;
  co_shape shape, rows = co_shape_make(1, CO_DIM_N);
  CO_RETURN_IF_FAILED(block->class_->input->describe(block, &dtype, &shape));
  CO_RETURN_IF_FAILED(
      co_graph_add_input(model->network, block->name, dtype, &shape, &block->network_input));
  if (block->event_table < 0) return CO_OK;
  co_graph_set_max_length(model->network, block->event_table,
                          model->event_tables[block->event_table].most_events);
  char *name = co_arena_format(model->arena, "%s.lengths", block->name);
  if (!name) return CO_ERR_MEMORY;
  co_feed feed = {.kind = CO_FEED_LENGTHS,
                  .columns = &block->features[0].column,
                  .column_count = 1,
                  .event_table = block->event_table};
  return co_model_add_feed(model, name, CO_I32, &rows, &feed, &block->lengths);
}

// Layers of an encoder name their input by the feature's name; of events, also `events` and
// `lengths`.
static co_status encode(co_model_builder *b, co_input_block *block, co_value *out) {
  co_model *model = b->model;
  const co_input_class *class_ = block->class_->input;
  int64_t rows = class_->table_rows ? class_->table_rows(block) : 0;
  const co_encoder_input input = {.fallback =
                                      class_->table_rows && !rows ? "passthrough" : class_->encoder,
                                  .rows = rows,
                                  .events = block->event_table >= 0};
  const co_node *layers;
  int64_t before = b->problems->count;
  char *path = co_arena_format(model->arena, "input_features.%s.encoder", block->name);
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(network_input(model, block));
  *out = block->network_input;
  CO_RETURN_IF_FAILED(co_encoder_expand(&layers, block->features->encoder, path, &input,
                                        model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  char *layers_path = co_arena_format(model->arena, "%s.layers", path);
  if (!layers_path) return CO_ERR_MEMORY;
  const co_named_value known[] = {{block->name, block->network_input},
                                  {"events", block->network_input},
                                  {"lengths", block->lengths}};
  co_layer_list_options options = {block->name, known, block->event_table < 0 ? 1 : 3,
                                   block->network_input};
  return co_layer_list_build(model->network, layers, layers_path, &options, model->arena,
                             b->problems, out);
}

// ---- combiner ----------------------------------------------------------------------------------

static co_status combine_layers(co_model_builder *b, const co_node *layers, const co_value *encoded,
                                co_value input, co_value *out) {
  co_model *model = b->model;
  co_named_value *known =
      co_arena_alloc(model->arena, (size_t)model->block_count + 1, sizeof *known);
  if (!known) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->block_count; i++)
    known[i] = (co_named_value){model->blocks[i].name, encoded[i]};
  known[model->block_count] = (co_named_value){"joined", input}; // where no input is called so
  co_layer_list_options options = {"combiner", known,
                                   model->block_count + (input == CO_NO_VALUE ? 0 : 1), input};
  return co_layer_list_build(model->network, layers, "combiner.layers", &options, model->arena,
                             b->problems, out);
}

// A layer of the combiner's own; `text`: its options.
static co_status apply(co_model_builder *b, const char *name, const char *text, const char *path,
                       const co_value *in, int count, co_value *out) {
  co_model *model = b->model;
  const co_layer_class *layer = co_layer_find(name);
  void *options = co_arena_alloc(model->arena, 1, layer->options_size);
  co_node *node;
  if (!options) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&node, model->arena, "combiner", text, strlen(text), b->problems));
  CO_RETURN_IF_FAILED(
      co_fields_parse(options, layer->fields, node, "combiner", model->arena, b->problems));
  co_status status = co_layer_apply(model->network, layer, path, options, in, count, out);
  if (status != CO_ERR_CONFIG) return status;
  return co_node_problem(b->problems, co_node_get(model->config, "combiner"), NULL, "combiner: %s",
                         co_error_last()->message);
}

static co_status combine(co_model_builder *b, const co_value *encoded, co_value *out) {
  co_model *model = b->model;
  const co_node *node = co_node_get(model->config, "combiner");
  combiner_options options;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, co_combiner_fields, node, "combiner", model->arena, b->problems));
  *out = model->block_count ? encoded[0] : CO_NO_VALUE;
  if (b->problems->count > before || !model->block_count) return CO_OK;
  const char *type = combiner_words[options.type];
  if (strcmp(type, "graph") == 0 && options.members)
    return co_node_problem(b->problems, co_node_get(node, "members"), NULL,
                           "combiner.members: in a graph it is the layer Members");
  if (strcmp(type, "graph") == 0)
    return combine_layers(b, options.layers, encoded,
                          model->block_count == 1 ? encoded[0] : CO_NO_VALUE, out);
  if (model->block_count > 1)
    CO_RETURN_IF_FAILED(apply(b, strcmp(type, "add") == 0 ? "Add" : "Concatenate", "{}",
                              "combiner/join", encoded, (int)model->block_count, out));
  if (b->problems->count == before && options.members) {
    char *text = co_arena_format(model->arena, "members: %lld", (long long)options.members);
    if (!text) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(apply(b, "Members", text, "combiner/members", out, 1, out));
  }
  if (b->problems->count > before) return CO_OK;
  return options.layers ? combine_layers(b, options.layers, encoded, *out, out) : CO_OK;
}

co_status co_model_build_network(co_model_builder *b) {
  co_model *model = b->model;
  CO_RETURN_IF_FAILED(list_blocks(model));
  co_value *encoded = co_arena_alloc(model->arena, (size_t)model->block_count + 1, sizeof *encoded);
  if (!encoded) return CO_ERR_MEMORY;
  int64_t before = b->problems->count;
  for (int64_t i = 0; i < model->block_count; i++)
    CO_RETURN_IF_FAILED(encode(b, &model->blocks[i], &encoded[i]));
  co_value combined;
  if (b->problems->count == before) CO_RETURN_IF_FAILED(combine(b, encoded, &combined));
  if (b->problems->count > before || !model->block_count) return CO_OK;
  for (int64_t i = 0; i < model->output_count; i++)
    CO_RETURN_IF_FAILED(co_model_add_output(b, &model->outputs[i], combined));
  return CO_OK;
}
