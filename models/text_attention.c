// SPDX-License-Identifier: Apache-2.0
// Attention of a text's decoder to the single events of the row's sequences, by the general form of Luong,
// Pham and Manning 2015 (3.1), with one product of what an encoder makes of an event, its memory m, for keys
// and values: of the decoder's state h, p = softmax(h m') over the row's events, and what the logits are
// made of is tanh([h, p m] W + b).
#include <string.h>

#include "models/builder.h"
#include "models/text_output.h"

// What a mean by weights that add up to 1 is of; CO_NO_VALUE = `value` is none.
static co_value find_weighted(const co_graph *graph, co_value value) {
  const co_graph_op *mean = co_value_maker(graph, value);
  if (!mean || mean->op != CO_OP_MATMUL) return CO_NO_VALUE;
  const co_graph_op *weights = co_value_maker(graph, mean->in[CO_MATMUL_a]);
  return weights && weights->op == CO_OP_MASKED_SOFTMAX ? mean->in[CO_MATMUL_b] : CO_NO_VALUE;
}

// What an encoder makes of each event (N, T, features), where its end is `value`: the states of its last
// recurrent layer, what it pools, or several of these side by side. CO_NO_VALUE = it ends in something else.
static co_status find_events(co_graph *graph, co_value value, co_value *out) {
  const co_graph_op *op = co_value_maker(graph, value);
  co_value parts[CO_OP_MAX_OPERANDS];
  int count = 0;
  *out = CO_NO_VALUE;
  if (!op) return CO_OK;
  switch (op->op) {
  case CO_OP_RECURRENT:
    *out = op->out[CO_RECURRENT_y];
    return CO_OK;
  case CO_OP_POOL_EVENTS:
  case CO_OP_MAX_EVENTS:
    *out = op->in[0];
    return CO_OK;
  case CO_OP_RESHAPE:
    *out = find_weighted(graph, op->in[0]);
    return CO_OK;
  case CO_OP_DROPOUT:
    return find_events(graph, op->in[0], out);
  case CO_OP_ADD:
  case CO_OP_CONCAT: {
    const co_op joins = op->op;
    co_value in[CO_OP_MAX_OPERANDS];
    for (; count < CO_OP_MAX_OPERANDS && op->in[count] != CO_NO_VALUE; count++)
      in[count] = op->in[count];
    for (int i = 0; i < count; i++) { // operations may move
      CO_RETURN_IF_FAILED(find_events(graph, in[i], &parts[i]));
      if (parts[i] == CO_NO_VALUE) return CO_OK;
    }
    return co_emit(graph, joins, NULL, count, parts, out);
  }
  default:
    return CO_OK;
  }
}

static co_status add_memory(co_model_builder *b, co_output_feature *output,
                            const co_input_block *block, co_value events) {
  co_model *model = b->model;
  co_text_memory *memory = &output->text->memory[output->text->memory_count];
  char *text =
      co_arena_format(model->arena, "[{Dense: {units: %lld, use_bias: false}, name: memory_%lld}]",
                      (long long)output->text->units, (long long)output->text->memory_count);
  co_node *layers;
  if (!text) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&layers, model->arena, "decoder", text, strlen(text), b->problems));
  const co_layer_list_options list = {output->name, NULL, 0, events, NULL, NULL};
  *memory = (co_text_memory){.event_table = block->event_table, .lengths = block->lengths};
  CO_RETURN_IF_FAILED(co_layer_list_build(model->network, layers, "decoder", &list, model->arena,
                                          b->problems, &memory->value));
  output->text->memory_count++;
  return CO_OK;
}

static bool is_attended(const co_model *model, const co_input_block *block, const char *name) {
  return !name || strcmp(block->name, name) == 0 ||
         strcmp(model->event_tables[block->event_table].name, name) == 0;
}

// Whether a block before it is of the same sequence: columns that go through one encoder are.
static bool is_in_memory(const co_model *model, int64_t number, const char *name) {
  for (int64_t i = 0; i < number; i++)
    if (model->blocks[i].encoded == model->blocks[number].encoded &&
        is_attended(model, &model->blocks[i], name))
      return true;
  return false;
}

// Of the sequence that has that name, NULL = of each.
static co_status add_memories(co_model_builder *b, co_output_feature *output, const char *name) {
  co_model *model = b->model;
  for (int64_t i = 0; i < model->block_count; i++) {
    const co_input_block *block = &model->blocks[i];
    co_value events = CO_NO_VALUE;
    if (block->event_table < 0 || !is_attended(model, block, name)) continue;
    if (is_in_memory(model, i, name)) continue;
    CO_RETURN_IF_FAILED(find_events(model->network, block->encoded, &events));
    if (events == CO_NO_VALUE) continue;
    if (output->text->memory_count == CO_TEXT_MEMORIES)
      return co_node_problem(b->problems, output->text->attention,
                             "name the one that it looks at, or leave columns of one log to its "
                             "event_encoder",
                             "output_features.%s.decoder.attention: there are more than %d "
                             "sequences with an encoder of their own",
                             output->name, (int)CO_TEXT_MEMORIES);
    CO_RETURN_IF_FAILED(add_memory(b, output, block, events));
  }
  return CO_OK;
}

co_status co_text_attention_add_memory(co_model_builder *b, co_output_feature *output) {
  const co_node *wanted = output->text->attention;
  const int64_t before = b->problems->count;
  bool each = false;
  if (!wanted || (co_node_bool(wanted, &each) && !each)) return CO_OK;
  if (wanted->kind != CO_NODE_SCALAR)
    return co_node_problem(b->problems, wanted, NULL,
                           "output_features.%s.decoder.attention: must be true, false or the name "
                           "of an input",
                           output->name);
  b->model->network->layer = output->name;
  CO_RETURN_IF_FAILED(add_memories(b, output, each ? NULL : wanted->text));
  b->model->network->layer = NULL;
  if (output->text->memory_count || b->problems->count > before) return CO_OK;
  return co_node_problem(b->problems, wanted,
                         "leave it out, or give the input an encoder: {type: rnn}",
                         "output_features.%s.decoder.attention: %s%s%s", output->name,
                         each ? "there is no sequence" : "'", each ? "" : wanted->text,
                         each ? " whose encoder ends in states of its events, or pools them"
                              : "' is no sequence whose encoder ends in states of its events, or "
                                "pools them");
}

static co_status reshape(co_graph *graph, co_shape shape, co_value *x) {
  const co_op_attr attr = {.shape = shape};
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, x, x);
}

// p m of states h (N, steps, units).
static co_status read_memory(co_graph *graph, co_value h, co_value memory, co_value lengths,
                             co_value *out) {
  const co_op_attr keys = {.transposed_b = 1};
  co_value product[2] = {h, memory}, masked[2] = {CO_NO_VALUE, lengths},
           mean[2] = {CO_NO_VALUE, memory};
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_MATMUL, &keys, 2, product, &masked[0]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_MASKED_SOFTMAX, NULL, 2, masked, &mean[0]));
  return co_emit(graph, CO_OP_MATMUL, NULL, 2, mean, out);
}

co_status co_text_attention_emit(co_graph *graph, const co_text_output *text,
                                 const co_value *memory, const co_value *lengths,
                                 const co_value params[2], int64_t rows, co_value *h) {
  const int64_t count = text->memory_count;
  co_value joined[1 + CO_TEXT_MEMORIES] = {*h}, in[3] = {CO_NO_VALUE, params[0], params[1]};
  for (int64_t i = 0; i < count; i++)
    CO_RETURN_IF_FAILED(read_memory(graph, *h, memory[i], lengths[i], &joined[1 + i]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_CONCAT, NULL, 1 + (int)count, joined, &in[0]));
  CO_RETURN_IF_FAILED(reshape(graph, co_shape_make(2, rows, (1 + count) * text->units), &in[0]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_DENSE, NULL, 3, in, h));
  return co_emit(graph, CO_OP_TANH, NULL, 1, h, h);
}
