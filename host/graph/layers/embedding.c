// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct embedding_options {
  int64_t input_dim, output_dim;
  int initializer;
  bool zero_first;
  int update;
  double unknown_rate;
} embedding_options;

const char *const co_embedding_update_words[] = {"dense", "rows", NULL};

static const co_field fields[] = {
    {"input_dim", CO_FIELD_INT, offsetof(embedding_options, input_dim), NULL, 1, INT32_MAX, NULL,
     "Number of rows: one more than the largest index.", "num_embeddings"},
    {"output_dim", CO_FIELD_INT, offsetof(embedding_options, output_dim), NULL, 1, 1 << 24, NULL,
     "Length of a row.", "embedding_dim"},
    {"embeddings_initializer", CO_FIELD_ENUM, offsetof(embedding_options, initializer), "uniform",
     0, 0, co_initializer_words, CO_INITIALIZER_DOC, NULL},
    {"zero_first", CO_FIELD_BOOL, offsetof(embedding_options, zero_first), "false", 0, 0, NULL,
     "The first row starts as zeros.", NULL},
    {"update", CO_FIELD_ENUM, offsetof(embedding_options, update), "dense", 0, 0,
     co_embedding_update_words, CO_EMBEDDING_UPDATE_DOC, NULL},
    {"unknown_rate", CO_FIELD_DOUBLE, offsetof(embedding_options, unknown_rate), "0.0", 0, 0.999,
     NULL, "Share of the indices that are 0 in training.", NULL},
    {.key = NULL}};

// Row 0 is trained in place of others.
static co_status drop(co_graph *graph, double rate, co_value *index) {
  co_op_attr attr = {.rate = rate};
  co_value in[2] = {[CO_INDEX_DROPOUT_x] = *index};
  if (rate == 0) return CO_OK;
  if (co_value_shape(graph, *index)->dim[0] != CO_DIM_N)
    return co_fail(CO_ERR_CONFIG, "unknown_rate wants one row of indices for each of a batch");
  CO_RETURN_IF_FAILED(
      co_purpose_of_call(graph, CO_OP_INDEX_DROPOUT, "unknown_rate", &attr.purpose));
  CO_RETURN_IF_FAILED(co_greatest_length(graph, *index, &attr.max_length));
  CO_RETURN_IF_FAILED(co_graph_get_step(graph, &in[CO_INDEX_DROPOUT_step]));
  return co_emit(graph, CO_OP_INDEX_DROPOUT, &attr, 2, in, index);
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const embedding_options *embedding = options;
  (void)count;
  co_value operands[2] = {in[0], CO_NO_VALUE};
  co_param_info table = {.shape = co_shape_make(2, embedding->input_dim, embedding->output_dim),
                         .init = co_initializer_kind(embedding->initializer),
                         .fan_in = embedding->input_dim,
                         .fan_out = embedding->output_dim,
                         .zero_first = embedding->zero_first,
                         .rows = embedding->update != 0};
  if (table.init == CO_INIT_FAN_IN_UNIFORM) table.fan_in = table.fan_out; // PyTorch's of a table
  CO_RETURN_IF_FAILED(drop(graph, embedding->unknown_rate, &operands[CO_EMBEDDING_index]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "embeddings", &table, &operands[1]));
  return co_emit(graph, CO_OP_EMBEDDING, NULL, 2, operands, out);
}

static const char *const weights[] = {"embeddings", NULL};

extern const co_layer_class co_layer_embedding;
const co_layer_class co_layer_embedding = {
    .name = "Embedding",
    .doc = "A trained row of a table for every index; no weight decay.",
    .fields = fields,
    .options_size = sizeof(embedding_options),
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
