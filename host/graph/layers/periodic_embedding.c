// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct embedding_options {
  int64_t frequencies, output_dim;
  double sigma;
} embedding_options;

static const co_field fields[] = {
    {"frequencies", CO_FIELD_INT, offsetof(embedding_options, frequencies), NULL, 1, 1 << 16, NULL,
     "Of each number.", NULL},
    {"output_dim", CO_FIELD_INT, offsetof(embedding_options, output_dim), NULL, 1, 1 << 24, NULL,
     "Features of a number.", "embedding_dim"},
    {"sigma", CO_FIELD_DOUBLE, offsetof(embedding_options, sigma), "0.1", 1e-6, 1e6, NULL,
     "Deviation of the frequencies at first: how fine what can be told apart is.", NULL},
    {.key = NULL}};

// Each number's waves as rows of its own, through the Dense of its column.
static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const embedding_options *embedding = options;
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 2));
  const int64_t numbers = co_value_shape(graph, in[0])->dim[1];
  const int64_t waves = 2 * embedding->frequencies, width = embedding->output_dim;
  const co_op_attr apart = {.shape = co_shape_make(2, CO_DIM_MEMBERS(numbers), waves)};
  const co_op_attr together = {.shape = co_shape_make(3, CO_DIM_N, numbers, width)};
  co_param_info frequencies = {.shape = co_shape_make(2, numbers, embedding->frequencies),
                               .init = CO_INIT_NORMAL,
                               .deviation = embedding->sigma};
  co_param_info kernel = {.shape = co_shape_make(3, numbers, waves, width),
                          .init = CO_INIT_FAN_IN_UNIFORM,
                          .fan_in = waves};
  co_param_info bias = {
      .shape = co_shape_make(2, numbers, width), .init = CO_INIT_FAN_IN_UNIFORM, .fan_in = waves};
  co_value waved[2] = {in[0]}, dense[3];
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "frequencies", &frequencies, &waved[1]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &dense[CO_MEMBER_DENSE_w]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "bias", &bias, &dense[CO_MEMBER_DENSE_b]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_PERIODIC, NULL, 2, waved, &dense[0]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_RESHAPE, &apart, 1, dense, &dense[CO_MEMBER_DENSE_x]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_MEMBER_DENSE, NULL, 3, dense, out));
  return co_emit(graph, CO_OP_RESHAPE, &together, 1, out, out);
}

static const char *const weights[] = {"frequencies", "kernel", "bias", NULL};

extern const co_layer_class co_layer_periodic_embedding;
const co_layer_class co_layer_periodic_embedding = {
    .name = "PeriodicEmbedding",
    .doc = "Of each number its own Dense over sines and cosines of it, by trained frequencies "
           "(Gorishniy et al. 2022).",
    .fields = fields,
    .options_size = sizeof(embedding_options),
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
