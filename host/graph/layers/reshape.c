// SPDX-License-Identifier: Apache-2.0
#include "host/config/config.h"
#include "host/graph/layer.h"

enum { MOST_EXTENTS = CO_MAX_RANK - 1 };

typedef struct reshape_options {
  const co_node *target_shape;
} reshape_options;

static const co_field fields[] = {{"target_shape", CO_FIELD_NODE,
                                   offsetof(reshape_options, target_shape), NULL, 0, 0, NULL,
                                   "List: the extents behind the batch; one may be -1, which is "
                                   "then found out.",
                                   NULL},
                                  {.key = NULL}};

static co_status read_shape(const co_node *list, co_shape *y, int *open) {
  bool good = list->kind == CO_NODE_LIST && list->count > 0 && list->count <= MOST_EXTENTS;
  *open = 0;
  for (int i = 1; good && i <= list->count; i++) {
    int64_t *extent = &y->dim[i];
    good = co_node_int(list->items[i - 1], extent) && *extent <= INT32_MAX &&
           (*extent > 0 || (*extent == -1 && !*open));
    if (good && *extent == -1) *open = i;
  }
  y->rank = good ? 1 + (int)list->count : 0;
  if (good) return CO_OK;
  return co_fail(CO_ERR_CONFIG,
                 "target_shape must be a list of up to %d extents above 0, of which one may be -1",
                 MOST_EXTENTS);
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  CO_RETURN_IF_FAILED(co_refuse_sequences(graph, in[0]));
  const co_shape *x = co_value_shape(graph, in[0]);
  co_shape y = {.dim = {x->dim[0]}};
  int64_t have = 1, want = 1;
  int open;
  CO_RETURN_IF_FAILED(read_shape(((const reshape_options *)options)->target_shape, &y, &open));
  for (int i = 1; i < x->rank; i++)
    have *= x->dim[i];
  for (int i = 1; i < y.rank; i++)
    if (i != open && want <= have) want *= y.dim[i];
  if (open && have % want == 0) {
    y.dim[open] = have / want;
    want = have;
  }
  if (want != have)
    return co_fail(CO_ERR_CONFIG, "target_shape does not hold the %lld values of a row",
                   (long long)have);
  const co_op_attr attr = {.shape = y};
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, in, out);
}

extern const co_layer_class co_layer_reshape;
const co_layer_class co_layer_reshape = {.name = "Reshape",
                                         .doc = "The same values in another shape.",
                                         .fields = fields,
                                         .options_size = sizeof(reshape_options),
                                         .inputs_min = 1,
                                         .inputs_max = 1,
                                         .build = build};
