// SPDX-License-Identifier: Apache-2.0
// The reconstruction of all inputs, or of one that is no image: numbers by their squared errors, as they are scaled;
// classes and binaries by their cross-entropies. What the network predicts is the error of each feature; of events
// the mean over a row's events, which a decoder gives back from the last to the first (Srivastava et al. 2015).
#include <string.h>

#include "models/builder.h"
#include "models/features/scalar.h"
#include "models/layers.h"

typedef struct event_decoder_options {
  int cell;
  int64_t units;
} event_decoder_options;

static const char *const cell_words[] = {"lstm", "gru", NULL};
static const char *const cell_layers[] = {"LSTM", "GRU"};

const co_field co_event_decoder_fields[] = {
    {"cell_type", CO_FIELD_ENUM, offsetof(event_decoder_options, cell), "gru", 0, 0, cell_words,
     "Goes through the events from the last to the first, and reads the row's features at each.",
     NULL},
    {"units", CO_FIELD_INT, offsetof(event_decoder_options, units), "64", 1, 4096, NULL,
     "Number of its features.", NULL},
    {.key = NULL}};

enum { KINDS = 2, PLACES = 1 + CO_MAX_EVENT_TABLES }; // of heads; rows, then tables of events

// Features that one head gives back.
typedef struct group {
  const char *head;
  int event_table;  // -1 = they are of rows
  int32_t *columns; // of COLUMN_LOSS, four a feature
  const char **names;
  co_value *targets; // of blocks, side by side
  int64_t count, target_count;
  int64_t width, target_width; // of a row
} group;

static const char *const heads[KINDS] = {"values", "logits"};
static const char *const metrics[KINDS] = {"mse", "log_loss"};

static co_status create_group(group *g, co_model *model, int kind, int event_table) {
  const size_t most = 2 * (size_t)model->input_count; // each may have a flag
  *g = (group){.head = heads[kind], .event_table = event_table};
  if (event_table >= 0)
    g->head =
        co_arena_format(model->arena, "%s.%s", model->event_tables[event_table].name, g->head);
  g->columns = co_arena_alloc(model->arena, 4 * most, sizeof *g->columns);
  g->names = co_arena_alloc(model->arena, most, sizeof *g->names);
  g->targets = co_arena_alloc(model->arena, most, sizeof *g->targets);
  return g->head && g->columns && g->names && g->targets ? CO_OK : CO_ERR_MEMORY;
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

// Values of a row, or of an event.
static int64_t row_of(const co_model *model, co_value value) {
  co_shape row = *co_value_shape(model->network, value);
  row.dim[0] = 1;
  if (row.rank > 1 && co_dim_event_table(row.dim[1]) >= 0) row.dim[1] = 1;
  return co_shape_count(&row);
}

// What a block feeds, codes as numbers, behind what the group compares with; *at: where.
static co_status add_target(co_model *model, group *g, co_value value, int64_t *at) {
  const int64_t row = row_of(model, value);
  const int64_t rows = g->event_table < 0 ? CO_DIM_N : CO_DIM_NT(g->event_table);
  const co_op_attr cast = {.dtype = CO_F32}, attr = {.shape = co_shape_make(2, rows, row)};
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
static co_status add_block(co_model *model, group groups[KINDS][PLACES],
                           const co_input_block *block, const co_input_feature *only) {
  group *values = &groups[0][block->event_table + 1], *classes = &groups[1][block->event_table + 1];
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

// The features of each event of a table, as (N, T, units).
static co_status decode_events(co_model_builder *b, const co_output_feature *feature, int table,
                               co_value lengths, co_value *value) {
  co_model *model = b->model;
  event_decoder_options options;
  const int64_t before = b->problems->count;
  char *path = co_arena_format(model->arena, "output_features.%s.event_decoder", feature->name);
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_fields_parse(&options, co_event_decoder_fields, feature->event_decoder,
                                      path, model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const char *name = model->event_tables[table].name;
  char *text =
      co_arena_format(model->arena,
                      "[{RepeatVector: {}, inputs: [row, events, lengths], name: "
                      "\"%s.repeated\"}, {%s: {units: %lld, return_sequences: true, "
                      "go_backwards: true}, inputs: [\"%s.repeated\", lengths], name: "
                      "\"%s.decoder\"}]",
                      name, cell_layers[options.cell], (long long)options.units, name, name);
  co_node *layers;
  co_value events = CO_NO_VALUE;
  for (int64_t i = 0; i < model->block_count; i++)
    if (model->blocks[i].event_table == table) events = model->blocks[i].network_input;
  if (!text) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_yaml_parse(&layers, model->arena, path, text, strlen(text), b->problems));
  const co_named_value known[] = {{"row", *value}, {"events", events}, {"lengths", lengths}};
  const co_layer_list_options list = {feature->name, known, 3, *value, NULL, NULL};
  return co_layer_list_build(model->network, layers, path, &list, model->arena, b->problems, value);
}

// A dense layer of each event, whose results are rows of their own.
static co_status add_event_head(co_model_builder *b, const co_output_feature *feature,
                                const group *g, co_value decoded, co_value *out) {
  co_model *model = b->model;
  char *text =
      co_arena_format(model->arena, "[{Dense: %lld, name: \"%s\"}]", (long long)g->width, g->head);
  co_node *layers;
  if (!text) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&layers, model->arena, g->head, text, strlen(text), b->problems));
  const co_named_value known = {"row", decoded};
  const co_layer_list_options list = {feature->name, &known, 1, decoded, NULL, NULL};
  CO_RETURN_IF_FAILED(
      co_layer_list_build(model->network, layers, g->head, &list, model->arena, b->problems, out));
  const co_op_attr flat = {.shape = co_shape_make(2, CO_DIM_NT(g->event_table), g->width)};
  return co_emit(model->network, CO_OP_RESHAPE, &flat, 1, out, out);
}

// Errors of events (N T, features) as means over those of a row.
static co_status pool_errors(co_graph *graph, const group *g, co_value lengths, co_value *errors) {
  const co_op_attr events = {.shape =
                                 co_shape_make(3, CO_DIM_N, CO_DIM_T(g->event_table), g->count)};
  const co_op_attr mean = {.pooling = CO_POOL_MEAN};
  co_value in[2] = {[CO_POOL_EVENTS_lengths] = lengths};
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_RESHAPE, &events, 1, errors, &in[CO_POOL_EVENTS_x]));
  return co_emit(graph, CO_OP_POOL_EVENTS, &mean, 2, in, errors);
}

// What is decoded for the groups of rows, or of a table of events.
typedef struct decoding {
  co_value value, lengths;
  bool pixels; // the decoder ended in what it is compared with; else a dense layer does
} decoding;

// The errors (N, features) of a group.
static co_status emit_errors(co_model_builder *b, const co_output_feature *feature, const group *g,
                             const decoding *decoded, co_value *errors) {
  co_model *model = b->model;
  co_graph *graph = model->network;
  const co_shape shape = co_shape_make(2, g->count, (int64_t)4);
  co_value in[3] = {[CO_COLUMN_LOSS_x] = decoded->value}, *x = &in[CO_COLUMN_LOSS_x];
  char *name = co_arena_format(model->arena, "%s/%s/columns", feature->name, g->head);
  if (!name) return CO_ERR_MEMORY;
  // What the head's width is hangs on the data: the decoder's layers before it do not know.
  if (g->event_table >= 0)
    CO_RETURN_IF_FAILED(add_event_head(b, feature, g, decoded->value, x));
  else if (!decoded->pixels)
    CO_RETURN_IF_FAILED(co_model_add_head(b, feature->name, g->head, g->width, decoded->value, x));
  graph->layer = feature->name;
  CO_RETURN_IF_FAILED(put_together(graph, g->targets, g->target_count, &in[CO_COLUMN_LOSS_target]));
  CO_RETURN_IF_FAILED(
      co_graph_add_constant(graph, name, CO_I32, &shape, g->columns, &in[CO_COLUMN_LOSS_columns]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_COLUMN_LOSS, NULL, 3, in, errors));
  return g->event_table < 0 ? CO_OK : pool_errors(graph, g, decoded->lengths, errors);
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
  if (block->class_->input->look_up)
    return "it is looked up by an event's class; leave it out, or give back another input";
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

// What the decoders make of the row's features, for rows and for each table of which something is given back.
static co_status decode(co_model_builder *b, const co_output_feature *feature,
                        group groups[KINDS][PLACES], co_value combined, decoding out[PLACES]) {
  co_model *model = b->model;
  const int64_t before = b->problems->count;
  bool rows = groups[0][0].count || groups[1][0].count, events = false;
  out[0] = (decoding){.value = combined};
  if (feature->decoder && !rows)
    return co_node_problem(b->problems, feature->decoder, "event_decoder is that of events",
                           "output_features.%s.decoder: nothing but events is given back",
                           feature->name);
  if (rows)
    CO_RETURN_IF_FAILED(feature->decoder
                            ? co_model_decode(b, feature, &out[0].value, &out[0].pixels)
                            : co_model_flatten(model, feature->name, &out[0].value));
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(co_model_flatten(model, feature->name, &combined));
  for (int place = 1; place < PLACES; place++) {
    if (!groups[0][place].count && !groups[1][place].count) continue;
    out[place] = (decoding){.value = combined};
    for (int64_t i = model->block_count - 1; i >= 0; i--)
      if (model->blocks[i].event_table == place - 1) out[place].lengths = model->blocks[i].lengths;
    CO_RETURN_IF_FAILED(
        decode_events(b, feature, place - 1, out[place].lengths, &out[place].value));
    events = true;
  }
  if (!events && feature->event_decoder)
    return co_node_problem(b->problems, feature->event_decoder, "leave it out",
                           "output_features.%s.event_decoder: no events are given back",
                           feature->name);
  return CO_OK;
}

// The errors of a kind's groups side by side; CO_NO_VALUE where there are none.
static co_status join_errors(co_model_builder *b, co_output_feature *feature,
                             const group groups[PLACES], const decoding decoded[PLACES],
                             const char **names, co_value *out) {
  co_value errors[PLACES];
  int64_t count = 0;
  for (int place = 0; place < PLACES; place++) {
    const group *g = &groups[place];
    if (!g->count) continue;
    CO_RETURN_IF_FAILED(emit_errors(b, feature, g, &decoded[place], &errors[count++]));
    memcpy(names + feature->width, g->names, (size_t)g->count * sizeof *names);
    feature->width += g->count;
  }
  *out = CO_NO_VALUE;
  return count ? put_together(b->model->network, errors, count, out) : CO_OK;
}

co_status co_model_add_reconstruction(co_model_builder *b, co_output_feature *feature,
                                      co_value combined) {
  co_model *model = b->model;
  co_graph *graph = model->network;
  group groups[KINDS][PLACES];
  decoding decoded[PLACES];
  co_value errors[KINDS], all, row_weight;
  const int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(check_inputs(b, feature));
  if (b->problems->count > before) return CO_OK;
  for (int kind = 0; kind < KINDS; kind++)
    for (int place = 0; place < PLACES; place++)
      CO_RETURN_IF_FAILED(create_group(&groups[kind][place], model, kind,
                                       place <= model->event_table_count ? place - 1 : -1));
  graph->layer = feature->name;
  for (int64_t i = 0; i < model->block_count; i++)
    CO_RETURN_IF_FAILED(add_block(model, groups, &model->blocks[i], feature->reconstructs));
  CO_RETURN_IF_FAILED(decode(b, feature, groups, combined, decoded));
  const char **names = co_arena_alloc(model->arena, 2 * (size_t)model->input_count, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  if (b->problems->count > before) return CO_OK;
  feature->parts = names;
  for (int kind = 0; kind < KINDS; kind++)
    CO_RETURN_IF_FAILED(join_errors(b, feature, groups[kind], decoded, names, &errors[kind]));
  if (b->problems->count > before) return CO_OK;
  graph->layer = feature->name;
  all = errors[0] == CO_NO_VALUE ? errors[1] : errors[0];
  if (errors[0] != CO_NO_VALUE && errors[1] != CO_NO_VALUE)
    CO_RETURN_IF_FAILED(put_together(graph, errors, KINDS, &all));
  CO_RETURN_IF_FAILED(co_model_add_loss(model, feature, all, &row_weight));
  for (int kind = 0; kind < KINDS; kind++)
    if (errors[kind] != CO_NO_VALUE)
      CO_RETURN_IF_FAILED(add_metric(graph, feature, metrics[kind], errors[kind], row_weight));
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
