// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct members_options {
  int64_t members;
} members_options;

static const co_field fields[] = {{"members", CO_FIELD_INT, offsetof(members_options, members),
                                   NULL, 1, 1024, NULL, "How many networks in one.", NULL},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 2));
  co_value operands[2] = {in[0], CO_NO_VALUE};
  co_param_info scale = {.shape = co_shape_make(2, ((const members_options *)options)->members,
                                                co_value_shape(graph, in[0])->dim[1]),
                         .init = CO_INIT_SIGNS};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "scale", &scale, &operands[CO_MEMBER_SCALE_r]));
  return co_emit(graph, CO_OP_MEMBER_SCALE, NULL, 2, operands, out);
}

static const char *const weights[] = {"scale", NULL};

extern const co_layer_class co_layer_members;
const co_layer_class co_layer_members = {
    .name = "Members",
    .doc = "Each row once for every member, times a trained vector of the member, which starts as "
           "random signs; what follows is shared by all (Gorishniy et al. 2024).",
    .fields = fields,
    .options_size = sizeof(members_options),
    .shorthand = "members",
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
