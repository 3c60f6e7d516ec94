// SPDX-License-Identifier: Apache-2.0
#include <limits.h>
#include <string.h>

#include "host/graph/layer.h"

typedef struct concatenate_options {
  int64_t axis;
} concatenate_options;

static const co_field fields[] = {{"axis", CO_FIELD_INT, offsetof(concatenate_options, axis), "-1",
                                   0, 0, NULL, "Dimension to join along; only -1, the last.", NULL},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  int64_t axis = ((const concatenate_options *)options)->axis;
  if (axis != -1)
    return co_fail(CO_ERR_CONFIG, "axis %lld: only the last dimension, -1, can be joined",
                   (long long)axis);
  // As many at once as the operation takes, and what comes of them again: of thousands of inputs each
  // is moved a few times.
  co_value *parts = co_arena_alloc(graph->arena, (size_t)count, sizeof *parts);
  if (!parts) return CO_ERR_MEMORY;
  memcpy(parts, in, (size_t)count * sizeof *parts);
  while (count > 1) {
    int joined = 0;
    for (int at = 0, taken; at < count; at += taken) {
      taken = count - at < CO_OP_MAX_OPERANDS ? count - at : CO_OP_MAX_OPERANDS;
      co_value whole = parts[at];
      if (taken > 1)
        CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_CONCAT, NULL, taken, parts + at, &whole));
      parts[joined++] = whole;
    }
    count = joined;
  }
  *out = parts[0];
  return CO_OK;
}

extern const co_layer_class co_layer_concatenate;
const co_layer_class co_layer_concatenate = {.name = "Concatenate",
                                             .doc = "Tensors side by side in the last dimension.",
                                             .fields = fields,
                                             .options_size = sizeof(concatenate_options),
                                             .inputs_min = 2,
                                             .inputs_max = INT_MAX,
                                             .build = build};
