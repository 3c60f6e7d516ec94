// SPDX-License-Identifier: Apache-2.0
// Products of each row's own vectors or matrices, as Keras' Dot: the two axes that are summed over
// vanish, what is left of the first input comes before what is left of the second.
#include <math.h>

#include "host/config/config.h"
#include "host/graph/layer.h"

typedef struct dot_options {
  const co_node *axes;
  bool normalize;
} dot_options;

static const co_field fields[] = {
    {"axes", CO_FIELD_NODE, offsetof(dot_options, axes), "-1", 0, 0, NULL,
     "What is summed over, the rows being axis 0: a number for both inputs, or one for each.",
     NULL},
    {"normalize", CO_FIELD_BOOL, offsetof(dot_options, normalize), "false", 0, 0, NULL,
     "Vectors to length 1 first: cosines.", NULL},
    {.key = NULL}};

static co_status read_axis(const co_graph *graph, const dot_options *o, const co_value *in, int i,
                           int64_t *out) {
  const co_node *axes = o->axes;
  const co_shape *x = co_value_shape(graph, in[i]);
  const bool list = axes->kind == CO_NODE_LIST;
  if (x->rank < 2 || x->rank > 3) {
    char have[96];
    co_shape_print(x, have, sizeof have);
    return co_fail(CO_ERR_CONFIG, "input has shape %s, but 2 or 3 dimensions are needed", have);
  }
  if ((list && axes->count != 2) || !co_node_int(list ? axes->items[i] : axes, out))
    return co_fail(CO_ERR_CONFIG, "axes must be a whole number, or two: [1, 2]");
  if (*out < 0) *out += x->rank;
  if (*out >= 1 && *out < x->rank) return CO_OK;
  return co_fail(CO_ERR_CONFIG, "axes: input %d has dimensions 1 to %d beside its rows", i + 1,
                 x->rank - 1);
}

static bool holds_sequences(const co_shape *x) {
  for (int k = 1; k < x->rank; k++)
    if (co_dim_event_table(x->dim[k]) >= 0) return true;
  return false;
}

// Whether x (N, T, features) is 0 behind each row's events of that extent: shares of a Softmax over them.
static bool is_zero_behind(const co_graph *graph, co_value x, int64_t events) {
  const co_graph_op *op = co_value_maker(graph, x);
  if (!op) return false;
  switch (op->op) {
  case CO_OP_MASKED_SOFTMAX: {
    const co_shape *shape = co_value_shape(graph, x);
    return shape->dim[shape->rank - 1] == events &&
           op->in[CO_MASKED_SOFTMAX_lengths] != CO_NO_VALUE;
  }
  case CO_OP_RESHAPE:
  case CO_OP_DROPOUT:
    return is_zero_behind(graph, op->in[0], events);
  case CO_OP_CONCAT:
    for (int k = 0; k < CO_OP_MAX_OPERANDS && op->in[k] != CO_NO_VALUE; k++)
      if (!is_zero_behind(graph, op->in[k], events)) return false;
    return true;
  default:
    return false;
  }
}

// Sums may not hang on how far a batch is padded: those over events are of numbers by shares of them.
static co_status check_sequences(const co_graph *graph, const co_value *in, const int64_t *axis) {
  const co_shape *x[2] = {co_value_shape(graph, in[0]), co_value_shape(graph, in[1])};
  if (!holds_sequences(x[0]) && !holds_sequences(x[1])) return CO_OK;
  const int64_t events = x[0]->dim[1];
  if (axis[0] == 1 && axis[1] == 1 && x[0]->rank == 3 && x[1]->rank == 3 &&
      x[1]->dim[1] == events && x[0]->dim[2] > 0 && x[1]->dim[2] > 0 &&
      (is_zero_behind(graph, in[0], events) || is_zero_behind(graph, in[1], events)))
    return CO_OK;
  char have[2][96];
  for (int i = 0; i < 2; i++)
    co_shape_print(x[i], have[i], sizeof have[i]);
  return co_fail(CO_ERR_CONFIG,
                 "inputs have shapes %s and %s: of sequences axes must be 1, and one of them what "
                 "`{Softmax: 1, inputs: [score, lengths]}` makes of the same events",
                 have[0], have[1]);
}

// To length 1 along the last dimension: by root mean square, times 1 / sqrt(size). Of vectors shorter than
// about 1e-8 the result is shorter, of 0 it is 0; Keras' are from 1e-7 on.
static co_status normalise(co_graph *graph, co_value scale, co_value *x) {
  const co_shape *shape = co_value_shape(graph, *x);
  const co_op_attr attr = {.epsilon = 1e-18 / (double)shape->dim[shape->rank - 1], .rms = 1};
  co_value operands[2] = {*x, scale};
  return co_emit(graph, CO_OP_LAYER_NORM, &attr, 2, operands, x);
}

static co_status add_scale(co_graph *graph, int64_t size, co_value *out) {
  const co_shape shape = co_shape_make(1, size);
  float *values = co_arena_alloc(graph->arena, (size_t)size, sizeof *values);
  char *name = co_arena_format(graph->arena, "%s/length", graph->layer);
  if (!values || !name) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < size; i++)
    values[i] = (float)(1 / sqrt((double)size));
  return co_graph_add_constant(graph, name, CO_F32, &shape, values, out);
}

static co_status reshape(co_graph *graph, co_shape shape, co_value *x) {
  const co_op_attr attr = {.shape = shape};
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, x, x);
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const dot_options *o = options;
  co_value x[2] = {in[0], in[1]}, scale;
  co_shape shape[2], left = {.rank = 1};
  int64_t axis[2];
  (void)count;
  for (int i = 0; i < 2; i++) {
    CO_RETURN_IF_FAILED(read_axis(graph, o, in, i, &axis[i]));
    shape[i] = *co_value_shape(graph, in[i]);
    if (o->normalize && axis[i] != shape[i].rank - 1)
      return co_fail(CO_ERR_CONFIG, "normalize goes with last axes only: of input %d that is %d",
                     i + 1, shape[i].rank - 1);
  }
  CO_RETURN_IF_FAILED(check_sequences(graph, in, axis));
  if (shape[0].dim[axis[0]] != shape[1].dim[axis[1]])
    return co_fail(CO_ERR_CONFIG, "inputs have %lld and %lld numbers along axes %lld and %lld",
                   (long long)shape[0].dim[axis[0]], (long long)shape[1].dim[axis[1]],
                   (long long)axis[0], (long long)axis[1]);
  if (o->normalize) {
    CO_RETURN_IF_FAILED(add_scale(graph, shape[0].dim[axis[0]], &scale));
    for (int i = 0; i < 2; i++)
      CO_RETURN_IF_FAILED(normalise(graph, scale, &x[i]));
  }
  left.dim[0] = shape[0].dim[0];
  for (int i = 0; i < 2; i++) { // vectors are matrices of one row
    for (int k = 1; k < shape[i].rank; k++)
      if (k != axis[i]) left.dim[left.rank++] = shape[i].dim[k];
    if (shape[i].rank > 2) continue;
    CO_RETURN_IF_FAILED(
        reshape(graph, co_shape_make(3, shape[i].dim[0], (int64_t)1, shape[i].dim[1]), &x[i]));
    axis[i] = 2;
  }
  if (left.rank == 1) left.dim[left.rank++] = 1;
  const co_op_attr attr = {.transposed_a = axis[0] == 1, .transposed_b = axis[1] == 2};
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_MATMUL, &attr, 2, x, out));
  return left.rank == 3 ? CO_OK : reshape(graph, left, out);
}

extern const co_layer_class co_layer_dot;
const co_layer_class co_layer_dot = {
    .name = "Dot",
    .doc = "Products of two vectors, or matrices, of each row: two towers, attention by hand. Of a "
           "sequence and its shares by Softmax: 1, (rows, shares, features).",
    .fields = fields,
    .options_size = sizeof(dot_options),
    .shorthand = "axes",
    .inputs_min = 2,
    .inputs_max = 2,
    .build = build};
