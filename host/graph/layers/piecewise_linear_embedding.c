// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct embedding_options {
  int64_t bins, output_dim;
} embedding_options;

static const co_field fields[] = {{"bins", CO_FIELD_INT, offsetof(embedding_options, bins), NULL, 1,
                                   1 << 16, NULL, "Bins of a number, at most.", NULL},
                                  {"output_dim", CO_FIELD_INT,
                                   offsetof(embedding_options, output_dim), NULL, 1, 1 << 24, NULL,
                                   "Features of a number.", "embedding_dim"},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const embedding_options *embedding = options;
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 2));
  const int64_t numbers = co_value_shape(graph, in[0])->dim[1], width = embedding->output_dim;
  co_value operands[] = {in[0], CO_NO_VALUE, CO_NO_VALUE};
  co_param_info kernel = {.shape = co_shape_make(3, numbers, embedding->bins, width),
                          .init = CO_INIT_FAN_IN_UNIFORM,
                          .fan_in = embedding->bins};
  co_param_info bias = {.shape = co_shape_make(2, numbers, width),
                        .init = CO_INIT_FAN_IN_UNIFORM,
                        .fan_in = embedding->bins};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &operands[1]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "bias", &bias, &operands[2]));
  return co_emit(graph, CO_OP_PIECEWISE_DENSE, NULL, 3, operands, out);
}

static const char *const weights[] = {"kernel", "bias", NULL};

extern const co_layer_class co_layer_piecewise_linear_embedding;
const co_layer_class co_layer_piecewise_linear_embedding = {
    .name = "PiecewiseLinearEmbedding",
    .doc = "Of each number its own Dense, over the parts of its bins: takes places among edges, as "
           "the encoding piecewise_linear gives them (Gorishniy et al. 2022).",
    .fields = fields,
    .options_size = sizeof(embedding_options),
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
