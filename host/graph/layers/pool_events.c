// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct pooling_options {
  int pooling; // co_event_pooling
} pooling_options;

static const char *const poolings[] = {"last", "sum", "mean", "max", NULL};

static const co_field fields[] = {{"pooling", CO_FIELD_ENUM, offsetof(pooling_options, pooling),
                                   "mean", 0, 0, poolings,
                                   "What is left of a sequence; 0 of one without events.", NULL},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  const int pooling = ((const pooling_options *)options)->pooling;
  if (pooling > CO_POOL_MEAN) return co_emit(graph, CO_OP_MAX_EVENTS, NULL, 2, in, out);
  const co_op_attr attr = {.pooling = pooling};
  return co_emit(graph, CO_OP_POOL_EVENTS, &attr, 2, in, out);
}

extern const co_layer_class co_layer_pool_events;
const co_layer_class co_layer_pool_events = {
    .name = "GlobalPooling1D",
    .doc = "A sequence and its lengths to one row of features: of the last event, sum, mean or "
           "maximum.",
    .fields = fields,
    .options_size = sizeof(pooling_options),
    .shorthand = "pooling",
    .inputs_min = 2,
    .inputs_max = 2,
    .build = build};
