// SPDX-License-Identifier: Apache-2.0
// The decoder `copy`: a class is chosen from all, or among those of the row's own events. What people
// buy is mostly what they bought: a softmax over all items alone has to learn that item by item
// (copy mechanism: Gu et al. 2016; for baskets: Ren et al. 2019, RepeatNet).
#include <string.h>

#include "models/builder.h"
#include "models/layers.h"

typedef struct copy_options {
  const char *type, *of;
  int64_t units;
} copy_options;

const co_field co_copy_fields[] = {
    {"type", CO_FIELD_STRING, offsetof(copy_options, type), "null", 0, 0, NULL,
     "copy: of a class, chosen from all or among the row's own events.", NULL},
    {"of", CO_FIELD_STRING, offsetof(copy_options, of), "null", 0, 0, NULL,
     "The input whose events are copied; absent: the one of the target's classes.", NULL},
    {"units", CO_FIELD_INT, offsetof(copy_options, units), "32", 1, 4096, NULL,
     "Of the GRU that goes backwards through the events and says how likely each is to come again.",
     NULL},
    {.key = NULL}};

// How likely each event is to come again, as (N, T, 1): by what came after it.
static co_status score_events(co_model_builder *b, const copy_options *options,
                              const co_input_block *block, const char *output, co_value *out) {
  co_model *model = b->model;
  const co_value events = model->event_tables[block->event_table].joined;
  char *scope = co_arena_format(model->arena, "%s/copy", output);
  char *text = co_arena_format(model->arena,
                               "[{GRU: {units: %lld, return_sequences: true, go_backwards: true}, "
                               "inputs: [events, lengths]}, {Dense: 1}]",
                               (long long)options->units);
  co_node *layers;
  if (!scope || !text) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&layers, model->arena, "decoder", text, strlen(text), b->problems));
  const co_named_value known[] = {{"events", events}, {"lengths", block->lengths}};
  const co_layer_list_options list = {scope, known, 2, events, NULL, NULL};
  return co_layer_list_build(model->network, layers, "decoder", &list, model->arena, b->problems,
                             out);
}

co_status co_model_add_copying_head(co_model_builder *b, const co_output_feature *feature,
                                    co_value in, co_value *out) {
  co_model *model = b->model;
  copy_options options;
  int64_t before = b->problems->count;
  char *path = co_arena_format(model->arena, "output_features.%s.decoder", feature->name);
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, co_copy_fields, feature->decoder, path, model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const co_input_block *block;
  CO_RETURN_IF_FAILED(co_model_find_items(b, feature, path, options.of, &block));
  if (!block) return CO_OK;
  if (model->event_tables[block->event_table].joined == CO_NO_VALUE)
    return co_node_problem(b->problems, feature->decoder, "leave out the encoder of that input",
                           "%s: '%s' has an encoder of its own, no event can be told", path,
                           block->name);
  if (co_dim_members(co_value_shape(model->network, in)->dim[0]))
    return co_node_problem(b->problems, feature->decoder, NULL, "%s: not with members", path);
  co_value operands[4] = {
      [CO_COPY_EVENTS_codes] = block->network_input, [CO_COPY_EVENTS_lengths] = block->lengths};
  CO_RETURN_IF_FAILED(co_model_add_head(b, feature->name, "logits", feature->width, in,
                                        &operands[CO_COPY_EVENTS_x]));
  CO_RETURN_IF_FAILED(
      score_events(b, &options, block, feature->name, &operands[CO_COPY_EVENTS_score]));
  if (b->problems->count > before) return CO_OK;
  model->network->layer = feature->name;
  // At first sixteen events are as likely as all classes.
  const co_op_attr attr = {.factor = (double)feature->width / 16};
  CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_COPY_EVENTS, &attr, 4, operands, out));
  model->network->layer = NULL;
  return CO_OK;
}
