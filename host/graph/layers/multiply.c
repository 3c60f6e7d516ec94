// SPDX-License-Identifier: Apache-2.0
#include <limits.h>

#include "host/graph/layer.h"

static const co_field fields[] = {{.key = NULL}};

// (N, C), or (N, 1, …, C), goes with all places of (N, …, C).
static bool is_of_channels(const co_shape *s, const co_shape *x) {
  if (s->rank != 2 && s->rank != x->rank) return false;
  for (int i = 1; i + 1 < s->rank; i++)
    if (s->dim[i] != 1) return false;
  return x->rank > 2 && s->dim[0] == x->dim[0] && s->dim[s->rank - 1] == x->dim[x->rank - 1];
}

static co_status scale(co_graph *graph, co_value x, co_value s, co_value *out) {
  const co_shape *shape = co_value_shape(graph, s);
  const co_op_attr attr = {.shape = co_shape_make(2, shape->dim[0], shape->dim[shape->rank - 1])};
  co_value operands[2] = {x, s};
  if (shape->rank > 2)
    CO_RETURN_IF_FAILED(
        co_emit(graph, CO_OP_RESHAPE, &attr, 1, &s, &operands[CO_SCALE_CHANNELS_s]));
  return co_emit(graph, CO_OP_SCALE_CHANNELS, NULL, 2, operands, out);
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)options;
  int first = 0; // that none of the others is larger than
  for (int i = 1; i < count; i++)
    if (is_of_channels(co_value_shape(graph, in[first]), co_value_shape(graph, in[i]))) first = i;
  co_value product = in[first];
  for (int i = 0; i < count; i++) {
    if (i == first) continue;
    co_value operands[2] = {product, in[i]};
    const co_shape *x = co_value_shape(graph, product), *other = co_value_shape(graph, in[i]);
    CO_RETURN_IF_FAILED(!co_shape_equal(x, other) && is_of_channels(other, x)
                            ? scale(graph, product, in[i], &product)
                            : co_emit(graph, CO_OP_MULTIPLY, NULL, 2, operands, &product));
  }
  *out = product;
  return CO_OK;
}

extern const co_layer_class co_layer_multiply;
const co_layer_class co_layer_multiply = {
    .name = "Multiply",
    .doc = "Product, element by element; a vector (channels) goes with all places of an image.",
    .fields = fields,
    .options_size = 1,
    .inputs_min = 2,
    .inputs_max = INT_MAX,
    .build = build};
