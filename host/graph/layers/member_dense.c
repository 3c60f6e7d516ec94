// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct member_dense_options {
  int64_t units;
} member_dense_options;

static const co_field fields[] = {{"units", CO_FIELD_INT, offsetof(member_dense_options, units),
                                   NULL, 1, 1 << 24, NULL, "Number of output features.",
                                   "output_size"},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 2));
  const co_shape *x = co_value_shape(graph, in[0]);
  const int64_t members = co_dim_members(x->dim[0]), features = x->dim[1];
  const int64_t units = ((const member_dense_options *)options)->units;
  if (!members) return co_fail(CO_ERR_CONFIG, "MemberDense needs members; put a Members before it");
  co_value operands[3] = {in[0]};
  co_param_info kernel = {.shape = co_shape_make(3, members, features, units),
                          .init = CO_INIT_GLOROT_UNIFORM,
                          .fan_in = features,
                          .fan_out = units,
                          .decay = 1};
  co_param_info bias = {.shape = co_shape_make(2, members, units), .init = CO_INIT_ZEROS};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &operands[CO_MEMBER_DENSE_w]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "bias", &bias, &operands[CO_MEMBER_DENSE_b]));
  return co_emit(graph, CO_OP_MEMBER_DENSE, NULL, 3, operands, out);
}

static const char *const weights[] = {"kernel", "bias", NULL};

extern const co_layer_class co_layer_member_dense;
const co_layer_class co_layer_member_dense = {
    .name = "MemberDense",
    .doc = "Fully connected, with weights of its own for each member.",
    .fields = fields,
    .options_size = sizeof(member_dense_options),
    .shorthand = "units",
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
