// SPDX-License-Identifier: Apache-2.0
// The network: encoders of the inputs, what joins them, heads.
#include <string.h>

#include "host/core/rng.h"
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

typedef struct bottleneck_options {
  int64_t size;
  int activation;
  double swap_noise, mask_noise;
  co_variational_options variational;
} bottleneck_options;

const co_field co_bottleneck_fields[] = {
    {"size", CO_FIELD_INT, offsetof(bottleneck_options, size), NULL, 1, 1 << 20, NULL,
     "Numbers that a row becomes.", NULL},
    {"activation", CO_FIELD_ENUM, offsetof(bottleneck_options, activation), "linear", 0, 0,
     co_activation_words, "Applied to them.", NULL},
    {"swap_noise", CO_FIELD_DOUBLE, offsetof(bottleneck_options, swap_noise), "0.0", 0, 0.999, NULL,
     "Share of the inputs' values that are those of another row of the batch in training; what is "
     "reconstructed are the row's own.",
     NULL},
    {"mask_noise", CO_FIELD_DOUBLE, offsetof(bottleneck_options, mask_noise), "0.0", 0, 0.999, NULL,
     "Share of the inputs' numbers and pixels that are 0 in training, the others scaled up for it, "
     "as by "
     "Dropout (Vincent et al. 2008); what is reconstructed are the row's own.",
     NULL},
    {"variational", CO_FIELD_BOOL, offsetof(bottleneck_options, variational.is_on), "false", 0, 0,
     NULL,
     "A row becomes a normal distribution over the numbers, of which training draws one; scores "
     "are "
     "of its mean. `generate` makes images of what it draws (Kingma & Welling 2014).",
     NULL},
    {"deviation", CO_FIELD_DOUBLE, offsetof(bottleneck_options, variational.deviation), "0.1", 1e-6,
     1e6, NULL,
     "Of variational: the standard deviation of numbers about what is given back, with the loss "
     "mean_squared_error. The smaller, the more the numbers tell.",
     NULL},
    {"kl_weight", CO_FIELD_DOUBLE, offsetof(bottleneck_options, variational.kl_weight), "1.0", 0,
     1e9, NULL,
     "Of variational: factor of the divergence from the standard normal; 1 = the evidence lower "
     "bound is what is trained.",
     NULL},
    {"kl_warmup_fraction", CO_FIELD_DOUBLE,
     offsetof(bottleneck_options, variational.kl_warmup_fraction), "0.0", 0, 1, NULL,
     "Of variational: share of all steps, or of each cycle, in which that factor rises linearly "
     "from zero.",
     NULL},
    {"kl_cycles", CO_FIELD_INT, offsetof(bottleneck_options, variational.kl_cycles), "1", 1, 1e6,
     NULL, "Of variational: how often it begins again at zero (Fu et al. 2019).", NULL},
    {.key = NULL}};

// ---- blocks ------------------------------------------------------------------------------------

static bool is_same(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

// Encoders that go through numbers one by one: those of equal options are one.
static bool is_encoded_alike(const co_input_feature *a, const co_input_feature *b) {
  const co_node *type = a->encoder ? co_node_get(a->encoder, "type") : NULL;
  co_difference ignored;
  if (!a->encoder || !b->encoder) return a->encoder == b->encoder;
  const bool each = type && type->kind == CO_NODE_SCALAR &&
                    (!strcmp(type->text, "piecewise_linear") || !strcmp(type->text, "periodic"));
  return each && !co_node_differ(&ignored, a->encoder, b->encoder);
}

// Whether a feature is fed beside one before it: nothing tells the two apart.
static bool is_packed(const co_input_feature *before, const co_input_feature *feature) {
  const co_input_class *class_ = feature->class_->input;
  return class_->packs && before->class_ == feature->class_ && is_encoded_alike(before, feature) &&
         co_feature_dtype(before) == co_feature_dtype(feature) &&
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

co_status co_model_group_inputs(co_model *model) {
  int64_t placed = 0, count = model->input_count;
  co_input_feature *from = co_arena_alloc(model->arena, (size_t)count + 1, sizeof *from);
  bool *taken = co_arena_alloc(model->arena, (size_t)count + 1, sizeof *taken);
  if (!from || !taken) return CO_ERR_MEMORY;
  if (!may_pack(model)) return CO_OK;
  memcpy(from, model->inputs, (size_t)count * sizeof *from);
  for (int64_t i = 0; i < count; i++)
    for (int64_t k = i; !taken[i] && k < count; k++) {
      if (taken[k] || (k > i && !is_packed(&from[i], &from[k]))) continue;
      if (k > i) taken[k] = true;
      model->inputs[placed++] = from[k];
    }
  return CO_OK;
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
                                                           .lengths = CO_NO_VALUE,
                                                           .encoded = CO_NO_VALUE};
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
                  .derivations = &block->features[0].derivation,
                  .derivation_count = block->features[0].derivation != NULL,
                  .event_table = block->event_table};
  if (!feed.derivation_count) feed.derivations = NULL;
  return co_model_add_feed(model, name, CO_I32, &rows, &feed, &block->lengths);
}

// An operation of x and of the step's random numbers.
static co_status add_random(co_graph *graph, const co_input_block *block, co_op op,
                            const char *kind, co_op_attr attr, co_value *value) {
  co_value in[2] = {*value};
  attr.purpose = co_purpose(kind, block->name);
  CO_RETURN_IF_FAILED(co_graph_get_step(graph, &in[1]));
  graph->layer = block->name;
  CO_RETURN_IF_FAILED(co_emit(graph, op, &attr, 2, in, value));
  graph->layer = NULL;
  return CO_OK;
}

static co_status add_one_noise(co_graph *graph, const co_input_block *block, co_op op,
                               const char *kind, double rate, co_value *value) {
  const co_op_attr attr = {.rate = rate};
  return rate == 0 ? CO_OK : add_random(graph, block, op, kind, attr, value);
}

// Whole rows are mixed, of which the one input must be all.
static co_status mix(co_model_builder *b, const co_input_block *block, co_value *value) {
  const co_input_class *class_ = block->class_->input;
  co_op_attr attr = {.mixup = 0};
  if (!class_->mixes || !class_->mixes(block->features, &attr)) return CO_OK;
  if (b->model->input_count > 1)
    return co_node_problem(b->problems, co_node_get(b->model->config, "input_features"),
                           "leave them out, or the other inputs",
                           "input_features.%s.augmentation: mixup and cutmix mix whole rows, so "
                           "there can be no other input",
                           block->name);
  return add_random(b->model->network, block, CO_OP_MIX_ROWS, "mix", attr, value);
}

// What an encoder reads of a block: in training, values of other rows among it, and zeros. Codes are
// not numbers, of which there is none that means nothing.
static co_status add_noise(const co_model_builder *b, const co_input_block *block, co_value *out) {
  co_graph *graph = b->model->network;
  *out = block->network_input;
  CO_RETURN_IF_FAILED(
      add_one_noise(graph, block, CO_OP_SWAP_NOISE, "swap_noise", b->swap_noise, out));
  if (graph->values[*out].desc.dtype != CO_F32) return CO_OK;
  return add_one_noise(graph, block, CO_OP_DROPOUT, "mask_noise", b->mask_noise, out);
}

// The layers of a block's own encoder. They name their input by the feature's name; of events, also
// `events` and `lengths`.
static co_status build_encoder(co_model_builder *b, const co_input_block *block,
                               const co_encoder_input *input, co_value in, co_value *out) {
  co_model *model = b->model;
  const co_node *layers;
  const int64_t before = b->problems->count;
  const char *path = co_arena_format(model->arena, "input_features.%s.encoder", block->name);
  const char *layers_path = path ? co_arena_format(model->arena, "%s.layers", path) : NULL;
  if (!layers_path) return CO_ERR_MEMORY;
  *out = in;
  CO_RETURN_IF_FAILED(
      co_encoder_expand(&layers, block->features->encoder, path, input, model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const co_named_value known[] = {{block->name, in}, {"events", in}, {"lengths", block->lengths}};
  const bool sequence = input->events && !input->each;
  co_layer_list_options options = {block->name, known, sequence ? 3 : 1, in, NULL, NULL};
  return co_layer_list_build(model->network, layers, layers_path, &options, model->arena,
                             b->problems, out);
}

co_status co_model_encode(co_model_builder *b, const co_input_block *block, co_value in,
                          co_value *out) {
  const co_input_class *class_ = block->class_->input;
  const int64_t rows = class_->table_rows ? class_->table_rows(block) : 0;
  const int64_t bins = class_->bins ? class_->bins(block) : 0;
  const bool plain = class_->table_rows && !rows;
  const co_encoder_input input = {.fallback = bins    ? "piecewise_linear"
                                              : plain ? "passthrough"
                                                      : class_->encoder,
                                  .bins = bins,
                                  .rows = rows,
                                  .events = block->event_table >= 0};
  return build_encoder(b, block, &input, in, out);
}

static co_status encode(co_model_builder *b, co_input_block *block, co_value *out) {
  co_value in;
  CO_RETURN_IF_FAILED(network_input(b->model, block));
  CO_RETURN_IF_FAILED(add_noise(b, block, &in));
  CO_RETURN_IF_FAILED(mix(b, block, &in));
  return co_model_encode(b, block, in, out);
}

// ---- events ------------------------------------------------------------------------------------

// What the combiner joins: an encoded block, or the encoded events of a table.
typedef struct branch {
  const char *name;
  co_value value;
} branch;

// Whether a block's own encoder, if any, works on each event by itself.
static bool is_per_event(const co_input_block *block) {
  const co_node *encoder = block->features->encoder;
  const co_node *type = encoder ? co_node_get(encoder, "type") : NULL;
  if (block->class_->input->look_up) return true;
  return block->class_->of_events &&
         (!encoder || (type && type->kind == CO_NODE_SCALAR && !strcmp(type->text, "embedding")));
}

// Columns of a table of events go side by side through one encoder, but for those that have one of
// their own for the whole sequence. Numbers alone need no joining.
static bool is_joined(const co_model *model, const co_input_block *block) {
  if (!is_per_event(block)) return false;
  if (block->class_->input->table_rows || block->class_->input->look_up ||
      co_node_get(model->config, "event_encoder"))
    return true;
  for (int64_t i = 0; i < model->block_count; i++)
    if (&model->blocks[i] != block && model->blocks[i].event_table == block->event_table &&
        is_per_event(&model->blocks[i]))
      return true;
  return false;
}

// What is looked up of each event, encoded: (N, T, features).
static co_status encode_each(co_model_builder *b, const co_input_block *block, co_value *out) {
  co_model *model = b->model;
  const co_encoder_input input = {.fallback = block->class_->input->encoder};
  const int64_t before = b->problems->count;
  co_value picked = *out;
  model->network->layer = block->name;
  CO_RETURN_IF_FAILED(block->class_->input->look_up(model, block, &picked));
  model->network->layer = NULL;
  CO_RETURN_IF_FAILED(build_encoder(b, block, &input, picked, out));
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(co_model_flatten(model, block->name, out));
  const co_op_attr attr = {.shape = co_shape_make(3, CO_DIM_N, CO_DIM_T(block->event_table),
                                                  co_value_shape(model->network, *out)->dim[1])};
  return co_emit(model->network, CO_OP_RESHAPE, &attr, 1, out, out);
}

// A block's input of each event as (N, T, features): categories are embedded.
static co_status embed_events(co_model_builder *b, co_input_block *block, co_value *out) {
  co_model *model = b->model;
  const co_input_class *class_ = block->class_->input;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(network_input(model, block));
  *out = block->network_input;
  if (class_->look_up) return encode_each(b, block, out);
  if (!class_->table_rows) return CO_OK;
  const co_encoder_input input = {
      .fallback = class_->encoder, .rows = class_->table_rows(block), .events = true, .each = true};
  CO_RETURN_IF_FAILED(build_encoder(b, block, &input, block->network_input, out));
  if (b->problems->count > before) return CO_OK;
  const co_shape *shape = co_value_shape(model->network, *out); // (N, T, 1, features)
  const co_op_attr attr = {
      .shape = co_shape_make(3, shape->dim[0], shape->dim[1], shape->dim[shape->rank - 1])};
  return co_emit(model->network, CO_OP_RESHAPE, &attr, 1, out, out);
}

// A layer that no list asks for; `text`: its options.
static co_status join(co_model_builder *b, const char *kind, const char *path, const co_node *place,
                      const char *text, const co_value *values, int64_t count, co_value *out) {
  co_model *model = b->model;
  const co_layer_class *layer = co_layer_find(kind);
  void *options = co_arena_alloc(model->arena, 1, layer->options_size + 1);
  co_node *node;
  if (!options) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&node, model->arena, "combiner", text, strlen(text), b->problems));
  CO_RETURN_IF_FAILED(
      co_fields_parse(options, layer->fields, node, "combiner", model->arena, b->problems));
  co_status status = co_layer_apply(model->network, layer, path, options, values, (int)count, out);
  if (status != CO_ERR_CONFIG) return status;
  return co_node_problem(b->problems, place, NULL, "%s: %s", path, co_error_last()->message);
}

// All joined blocks of the table that `first` belongs to.
static co_status encode_events(co_model_builder *b, co_input_block *first, branch *out) {
  co_model *model = b->model;
  int64_t count = 0, before = b->problems->count;
  const char *table = model->event_tables[first->event_table].name;
  const co_node *node = co_node_get(model->config, "event_encoder");
  co_value *values = co_arena_alloc(model->arena, (size_t)model->block_count, sizeof *values);
  char *path = co_arena_format(model->arena, "%s/join", table);
  if (!values || !path) return CO_ERR_MEMORY;
  for (co_input_block *block = first; block < model->blocks + model->block_count; block++)
    if (block->event_table == first->event_table && is_joined(model, block))
      CO_RETURN_IF_FAILED(embed_events(b, block, &values[count++]));
  *out = (branch){table, values[0]};
  if (b->problems->count > before) return CO_OK;
  if (count > 1)
    CO_RETURN_IF_FAILED(join(b, "Concatenate", path, node, "{}", values, count, &out->value));
  model->event_tables[first->event_table].joined = out->value;
  const co_encoder_input input = {.fallback = "rnn", .events = true};
  const co_node *layers;
  CO_RETURN_IF_FAILED(
      co_encoder_expand(&layers, node, "event_encoder", &input, model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const co_named_value known[] = {
      {table, out->value}, {"events", out->value}, {"lengths", first->lengths}};
  co_layer_list_options options = {table, known, 3, out->value, NULL, NULL};
  CO_RETURN_IF_FAILED(co_layer_list_build(model->network, layers, "event_encoder.layers", &options,
                                          model->arena, b->problems, &out->value));
  for (co_input_block *block = first; block < model->blocks + model->block_count; block++)
    if (block->event_table == first->event_table && is_joined(model, block))
      block->encoded = out->value;
  return CO_OK;
}

// Every block's branch, or that of its table with the first of its blocks.
static co_status encode_blocks(co_model_builder *b, branch *branches, int64_t *count) {
  co_model *model = b->model;
  bool done[CO_MAX_EVENT_TABLES] = {false};
  for (int64_t i = 0; i < model->block_count; i++) {
    co_input_block *block = &model->blocks[i];
    if (!is_joined(model, block)) {
      branches[*count].name = block->name;
      CO_RETURN_IF_FAILED(encode(b, block, &branches[*count].value));
      block->encoded = branches[(*count)++].value;
    } else if (!done[block->event_table]) {
      done[block->event_table] = true;
      CO_RETURN_IF_FAILED(encode_events(b, block, &branches[(*count)++]));
    }
  }
  return CO_OK;
}

// ---- combiner ----------------------------------------------------------------------------------

static co_status combine_layers(co_model_builder *b, const co_node *layers, const branch *branches,
                                int64_t count, co_value input, co_value *out) {
  co_model *model = b->model;
  co_named_value *known = co_arena_alloc(model->arena, (size_t)count + 1, sizeof *known);
  if (!known) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    known[i] = (co_named_value){branches[i].name, branches[i].value};
  known[count] = (co_named_value){"joined", input}; // where nothing else is called so
  co_layer_list_options options = {"combiner", known, count + (input != CO_NO_VALUE),
                                   input,      NULL,  &b->combined};
  return co_layer_list_build(model->network, layers, "combiner.layers", &options, model->arena,
                             b->problems, out);
}

static co_status combine(co_model_builder *b, const branch *branches, int64_t count,
                         co_value *out) {
  co_model *model = b->model;
  const co_node *node = co_node_get(model->config, "combiner");
  combiner_options options;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, co_combiner_fields, node, "combiner", model->arena, b->problems));
  *out = count ? branches[0].value : CO_NO_VALUE;
  if (b->problems->count > before || !count) return CO_OK;
  const char *type = combiner_words[options.type];
  if (strcmp(type, "graph") == 0 && options.members)
    return co_node_problem(b->problems, co_node_get(node, "members"), NULL,
                           "combiner.members: in a graph it is the layer Members");
  if (strcmp(type, "graph") == 0)
    return combine_layers(b, options.layers, branches, count,
                          count == 1 ? branches[0].value : CO_NO_VALUE, out);
  if (count > 1) {
    co_value *values = co_arena_alloc(model->arena, (size_t)count, sizeof *values);
    if (!values) return CO_ERR_MEMORY;
    for (int64_t i = 0; i < count; i++)
      values[i] = branches[i].value;
    CO_RETURN_IF_FAILED(join(b, strcmp(type, "add") == 0 ? "Add" : "Concatenate", "combiner/join",
                             node, "{}", values, count, out));
  }
  if (b->problems->count == before && options.members) {
    char *text = co_arena_format(model->arena, "members: %lld", (long long)options.members);
    if (!text) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(join(b, "Members", "combiner/members", node, text, out, 1, out));
  }
  if (b->problems->count > before) return CO_OK;
  return options.layers ? combine_layers(b, options.layers, branches, count, *out, out) : CO_OK;
}

// ---- bottleneck --------------------------------------------------------------------------------

co_status co_model_add_extra(co_model *model, const char *name, const co_output_feature *output,
                             co_value value) {
  co_graph *graph = model->network;
  model->extras[model->extra_count++] = (co_extra){.name = output ? "error" : "embedding",
                                                   .output = output,
                                                   .width = co_value_shape(graph, value)->dim[1],
                                                   .prediction = graph->output_count};
  return co_graph_add_output(graph, name, value);
}

static co_status read_bottleneck(co_model_builder *b, bottleneck_options *options) {
  const co_model *model = b->model;
  const co_node *node = co_node_get(model->config, "bottleneck");
  int64_t before = b->problems->count;
  *options = (bottleneck_options){.size = 0};
  if (!node || node->kind == CO_NODE_NULL) return CO_OK;
  CO_RETURN_IF_FAILED(co_fields_parse(options, co_bottleneck_fields, node, "bottleneck",
                                      model->arena, b->problems));
  const char *noise = options->swap_noise > 0   ? "swap_noise"
                      : options->mask_noise > 0 ? "mask_noise"
                                                : NULL;
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(co_model_check_variational(b, node, &options->variational));
  if (!noise) return CO_OK;
  b->swap_noise = options->swap_noise;
  b->mask_noise = options->mask_noise;
  for (int64_t i = 0; i < model->block_count; i++)
    if (model->blocks[i].event_table >= 0)
      return co_node_problem(b->problems, co_node_get(node, noise), NULL,
                             "bottleneck.%s: the input '%s' is of events, which take no noise",
                             noise, model->blocks[i].name);
  return CO_OK;
}

// Mean and logarithm of the variance of each number, of the same layer's input.
static co_status draw(co_model_builder *b, const char *text, co_value in, co_latent *latent,
                      co_value *value) {
  const int64_t before = b->problems->count;
  const co_node *node = co_node_get(b->model->config, "bottleneck");
  latent->mean = *value;
  CO_RETURN_IF_FAILED(
      join(b, "Dense", "combiner/log_variance", node, text, &in, 1, &latent->log_variance));
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(co_model_sample(b, latent));
  *value = latent->sample;
  return CO_OK;
}

static co_status narrow(co_model_builder *b, const bottleneck_options *options, co_latent *latent,
                        co_value *value) {
  co_model *model = b->model;
  const co_node *node = co_node_get(model->config, "bottleneck");
  if (!options->size) return CO_OK;
  if (co_dim_members(co_value_shape(model->network, *value)->dim[0]))
    return co_node_problem(b->problems, node, NULL, "bottleneck: not with members");
  char *text = co_arena_format(model->arena, "{units: %lld, activation: %s}",
                               (long long)options->size, co_activation_words[options->activation]);
  if (!text) return CO_ERR_MEMORY;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(co_model_flatten(model, "combiner", value));
  const co_value in = *value;
  CO_RETURN_IF_FAILED(join(b, "Dense", "combiner/bottleneck", node, text, &in, 1, value));
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(co_model_add_extra(model, "combiner/embedding", NULL, *value));
  if (!options->variational.is_on) return CO_OK;
  char *linear = co_arena_format(model->arena, "{units: %lld}", (long long)options->size);
  return linear ? draw(b, linear, in, latent, value) : CO_ERR_MEMORY;
}

// Of what is no network: its inputs, and the outputs on scores from outside.
static co_status build_scored(co_model_builder *b) {
  co_model *model = b->model;
  for (int64_t i = 0; i < model->block_count; i++)
    CO_RETURN_IF_FAILED(network_input(model, &model->blocks[i]));
  for (int64_t i = 0; model->block_count && i < model->output_count; i++)
    CO_RETURN_IF_FAILED(co_model_add_output(b, &model->outputs[i], CO_NO_VALUE));
  return CO_OK;
}

co_status co_model_build_network(co_model_builder *b) {
  co_model *model = b->model;
  bottleneck_options bottleneck;
  co_latent latent;
  CO_RETURN_IF_FAILED(list_blocks(model));
  if (model->scored) return build_scored(b);
  model->extras =
      co_arena_alloc(model->arena, (size_t)model->output_count + 2, sizeof *model->extras);
  if (!model->extras) return CO_ERR_MEMORY;
  int64_t before = b->problems->count, count = 0;
  CO_RETURN_IF_FAILED(read_bottleneck(b, &bottleneck));
  branch *branches = co_arena_alloc(model->arena, (size_t)model->block_count + 1, sizeof *branches);
  if (!branches) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(encode_blocks(b, branches, &count));
  co_value combined;
  if (b->problems->count == before) CO_RETURN_IF_FAILED(combine(b, branches, count, &combined));
  if (b->problems->count > before || !model->block_count) return CO_OK;
  CO_RETURN_IF_FAILED(narrow(b, &bottleneck, &latent, &combined));
  for (int64_t i = 0; b->problems->count == before && i < model->output_count; i++)
    if (!co_is_adversary(&model->outputs[i]))
      CO_RETURN_IF_FAILED(co_model_add_output(b, &model->outputs[i], combined));
  if (b->problems->count == before && bottleneck.variational.is_on)
    CO_RETURN_IF_FAILED(co_model_add_divergence(b, &bottleneck.variational, &latent));
  return b->problems->count == before ? co_model_add_adversaries(b, combined) : CO_OK;
}
