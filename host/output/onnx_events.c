// SPDX-License-Identifier: Apache-2.0
// Operations over events as nodes of ONNX.
#include <float.h>
#include <math.h>

#include "host/output/onnx_emit.h"

static int table_of(const call *c, co_value events) {
  return co_dim_event_table(shape_of(c, events)->dim[1]);
}

static const char *lengths(const call *c, int i) {
  return cast(c, in(c, i), CO_ONNX_INT64);
}

// bool (N, T): whether it is an event, not behind a row's last.
static const char *is_event(const call *c, co_value events, const char *lengths64) {
  return two(c, "Less", c->x->positions[table_of(c, events)], unsqueeze(c, lengths64, 1));
}

// The same as 1 or 0, float (N, T, 1).
static const char *event_mask(const call *c, co_value events, const char *lengths64) {
  return unsqueeze(c, cast(c, is_event(c, events, lengths64), CO_ONNX_FLOAT), 2);
}

// Where ONNX's gates stand among ours: i o f c, z r h, one.
static int64_t gate_place(const call *c, int64_t gate) {
  static const int64_t lstm[] = {0, 3, 1, 2};
  return c->op->desc.attr.cell == CO_CELL_LSTM ? lstm[gate] : gate;
}

// Columns of gates (rows, G U) to rows in ONNX's order (1, G U, rows).
static const char *gate_matrix(const call *c, int operand) {
  const co_shape *shape = shape_of(c, c->op->in[operand]);
  const int64_t gates = co_rnn_gates(c->op->desc.attr.cell);
  const int64_t rows = shape->dim[0], width = shape->dim[1], U = width / gates;
  if (is_converted(c, operand)) return in(c, operand);
  const float *from = weights(c, operand);
  float *to = room(c, rows * width, sizeof *to);
  const co_shape made = co_shape_make(3, (int64_t)1, width, rows);
  if (!from || !to) return "";
  for (int64_t g = 0; g < gates; g++)
    for (int64_t u = 0; u < U; u++)
      for (int64_t r = 0; r < rows; r++)
        to[(g * U + u) * rows + r] = from[r * width + gate_place(c, g) * U + u];
  return converted(c, operand, &made, to);
}

// There is one bias of the input and one of the state: the latter is zero but for GRU's.
static const char *gate_bias(const call *c) {
  const int64_t units = shape_of(c, c->op->in[CO_RECURRENT_recurrent])->dim[0];
  const int64_t width = co_rnn_gates(c->op->desc.attr.cell) * units;
  if (is_converted(c, CO_RECURRENT_bias)) return in(c, CO_RECURRENT_bias);
  const float *from = weights(c, CO_RECURRENT_bias);
  float *to = room(c, 2 * width, sizeof *to);
  const co_shape made = co_shape_make(2, (int64_t)1, 2 * width);
  if (!from || !to) return "";
  for (int64_t i = 0; i < (c->op->desc.attr.cell == CO_CELL_GRU ? 2 : 1) * width; i++)
    to[i] = from[i / width * width + gate_place(c, i % width / units) * units + i % units];
  return converted(c, CO_RECURRENT_bias, &made, to);
}

// Rows without events are given one, and what comes of it is taken away: not all programs take none.
void co_onnx_recurrent(const call *c) {
  static const int64_t events_first[] = {1, 0, 2};
  static const char *const names[] = {"LSTM", "GRU", "RNN"}; // as co_rnn_cell
  co_value x = c->op->in[CO_RECURRENT_x];
  const co_op_attr *attr = &c->op->desc.attr;
  if (c->op->in[CO_RECURRENT_lengths] == CO_NO_VALUE || attr->gates || attr->states) {
    co_onnx_fail(c->x,
                 co_fail(CO_ERR_MODEL, "ONNX: recurrent layers of a fixed length, or with other "
                                       "functions than sigmoid and tanh, are not exported"));
    return;
  }
  int64_t units = shape_of(c, c->op->in[CO_RECURRENT_recurrent])->dim[0];
  co_onnx_attribute attributes[4] = {{"hidden_size", 'i', .i = units}};
  int given = 1;
  if (c->op->desc.attr.cell == CO_CELL_GRU)
    attributes[given++] = (co_onnx_attribute){"linear_before_reset", 'i', .i = 1};
  if (c->op->desc.attr.reverse)
    attributes[given++] = (co_onnx_attribute){"direction", 's', .s = "reverse"};
  const char *count = lengths(c, CO_RECURRENT_lengths), *results[2];
  const char *least = two(c, "Max", count, co_onnx_integer(c->x, 1));
  const char *const inputs[] = {
      permute(c, in(c, CO_RECURRENT_x), 3, events_first), gate_matrix(c, CO_RECURRENT_kernel),
      gate_matrix(c, CO_RECURRENT_recurrent), gate_bias(c), cast(c, least, CO_ONNX_INT32)};
  co_onnx_node2(c->x, names[c->op->desc.attr.cell], attributes, results, inputs, 5);
  if (c->op->out[CO_RECURRENT_last] != CO_NO_VALUE) {
    const char *last = two(c, "Squeeze", results[1], co_onnx_integer(c->x, 0));
    const char *any = two(c, "Greater", count, co_onnx_integer(c->x, 0));
    any = unsqueeze(c, cast(c, any, CO_ONNX_FLOAT), 1);
    co_onnx_name(c->x, c->plan, c->op->out[CO_RECURRENT_last], two(c, "Mul", last, any));
  }
  if (c->op->out[CO_RECURRENT_y] == CO_NO_VALUE) return;
  const char *y = two(c, "Squeeze", results[0], co_onnx_integer(c->x, 1));
  y = two(c, "Mul", permute(c, y, 3, events_first), event_mask(c, x, count));
  co_onnx_name(c->x, c->plan, c->op->out[CO_RECURRENT_y], y);
}

// (N, T, E) to (N, H, T, D), by `order` of (N, T, H, D)
static const char *heads_of(const call *c, int operand, const int64_t *order) {
  const co_shape *shape = shape_of(c, c->op->in[operand]);
  const int64_t H = c->op->desc.attr.heads;
  const int64_t parts[] = {0, 0, H, shape->dim[2] / H}; // 0: as it is
  const char *split = two(c, "Reshape", in(c, operand), co_onnx_integers(c->x, 4, parts));
  return permute(c, split, 4, order);
}

// bias[h, min(|t - j|, B - 1)]: (H, T, T)
static const char *relative_bias(const call *c, const char *rows, const char *columns) {
  static const co_onnx_attribute axis[] = {{"axis", 'i', .i = 1}, {NULL}};
  int64_t distances = last_of(c, c->op->in[CO_ATTENTION_bias]);
  const char *apart = one(c, "Abs", two(c, "Sub", rows, columns));
  apart = two(c, "Min", apart, co_onnx_integer(c->x, distances - 1));
  return co_onnx_node(c->x, "Gather", axis, in(c, CO_ATTENTION_bias), apart, NULL);
}

void co_onnx_attention(const call *c) {
  static const int64_t by_head[] = {0, 2, 1, 3}, transposed[] = {0, 2, 3, 1};
  co_value q = c->op->in[CO_ATTENTION_q];
  const int64_t E = last_of(c, q), parts[] = {0, 0, E};
  const char *columns = c->x->positions[table_of(c, q)], *rows = unsqueeze(c, columns, 1);
  const char *count = lengths(c, CO_ATTENTION_lengths);
  const char *scores = two(c, "MatMul", heads_of(c, CO_ATTENTION_q, by_head),
                           heads_of(c, CO_ATTENTION_k, transposed));
  const double scale = 1 / sqrt((double)(E / c->op->desc.attr.heads));
  scores = two(c, "Mul", scores, co_onnx_number(c->x, scale));
  if (c->op->in[CO_ATTENTION_bias] != CO_NO_VALUE)
    scores = two(c, "Add", scores, relative_bias(c, rows, columns));
  const char *seen = two(c, "Less", columns, unsqueeze(c, count, 1)); // (N, T)
  seen = unsqueeze(c, unsqueeze(c, seen, 1), 1);
  if (c->op->desc.attr.causal) seen = two(c, "And", seen, two(c, "LessOrEqual", columns, rows));
  scores = co_onnx_node(c->x, "Where", NULL, seen, scores, co_onnx_number(c->x, -1e30), NULL);
  const char *y =
      two(c, "MatMul", along(c, "Softmax", -1, scores), heads_of(c, CO_ATTENTION_v, by_head));
  y = two(c, "Reshape", permute(c, y, 4, by_head), co_onnx_integers(c->x, 3, parts));
  out(c, two(c, "Mul", y, event_mask(c, q, count)));
}

void co_onnx_pool_events(const call *c) {
  co_value x = c->op->in[CO_POOL_EVENTS_x];
  const char *count = lengths(c, CO_POOL_EVENTS_lengths), *mask;
  if (c->op->desc.attr.pooling == CO_POOL_LAST) {
    const char *at = two(c, "Sub", count, co_onnx_integer(c->x, 1));
    const char *last = two(c, "Equal", c->x->positions[table_of(c, x)], unsqueeze(c, at, 1));
    mask = unsqueeze(c, cast(c, last, CO_ONNX_FLOAT), 2);
  } else {
    mask = event_mask(c, x, count);
  }
  const char *sum = reduce_sum(c, two(c, "Mul", in(c, CO_POOL_EVENTS_x), mask), 1, 0);
  if (c->op->desc.attr.pooling == CO_POOL_MEAN) {
    const char *least = two(c, "Max", count, co_onnx_integer(c->x, 1));
    sum = two(c, "Div", sum, unsqueeze(c, cast(c, least, CO_ONNX_FLOAT), 1));
  }
  out(c, sum);
}

// The largest number there is below stands for what lies behind a row's last event.
void co_onnx_max_events(const call *c) {
  co_value x = c->op->in[CO_MAX_EVENTS_x];
  const char *count = lengths(c, CO_MAX_EVENTS_lengths), *none = co_onnx_number(c->x, -FLT_MAX);
  const char *there = unsqueeze(c, is_event(c, x, count), 2);
  const char *seen = co_onnx_node(c->x, "Where", NULL, there, in(c, CO_MAX_EVENTS_x), none, NULL);
  const int64_t axes[] = {1};
  const co_onnx_attribute attributes[] = {
      {"axes", 'l', .list = axes, .count = 1}, {"keepdims", 'i', .i = 0}, {NULL}};
  const char *most = co_onnx_node(c->x, "ReduceMax", attributes, seen, NULL);
  const char *any = two(c, "Greater", unsqueeze(c, count, 1), co_onnx_integer(c->x, 0));
  out(c, co_onnx_node(c->x, "Where", NULL, any, most, co_onnx_number(c->x, 0), NULL));
}

// Scores (N, M, T) of events; what is behind a row's last is far below, then 0. Without lengths, of
// features.
void co_onnx_masked_softmax(const call *c) {
  const co_shape *x = shape_of(c, c->op->in[CO_MASKED_SOFTMAX_x]);
  const char *scores = in(c, CO_MASKED_SOFTMAX_x);
  if (c->op->in[CO_MASKED_SOFTMAX_lengths] == CO_NO_VALUE) {
    out(c, along(c, "Softmax", -1, scores));
    return;
  }
  const int table = x->rank == 3 ? co_dim_event_table(x->dim[2]) : -1;
  if (table < 0) {
    co_onnx_fail(c->x, co_fail(CO_ERR_MODEL, "ONNX: a softmax over a fixed number of events is not "
                                             "exported with lengths"));
    return;
  }
  const char *count = unsqueeze(c, lengths(c, CO_MASKED_SOFTMAX_lengths), 1);
  const char *there = unsqueeze(c, two(c, "Less", c->x->positions[table], count), 1);
  scores = co_onnx_node(c->x, "Where", NULL, there, scores, co_onnx_number(c->x, -1e30), NULL);
  out(c, two(c, "Mul", along(c, "Softmax", -1, scores), cast(c, there, CO_ONNX_FLOAT)));
}

// Neighbours side by side: of events between zeros, as many slices as there are.
void co_onnx_unfold_events(const call *c) {
  const co_op_attr *attr = &c->op->desc.attr;
  co_value x = c->op->in[CO_UNFOLD_EVENTS_x];
  const int64_t K = attr->kernel[0], step = attr->dilation[0], before = attr->pad_begin[0];
  const int64_t behind = (K - 1) * step > before ? (K - 1) * step - before : 0;
  const int64_t pads[] = {0, before, 0, 0, behind, 0};
  const char *count = lengths(c, CO_UNFOLD_EVENTS_lengths), *mask = event_mask(c, x, count);
  const char *padded = two(c, "Pad", two(c, "Mul", in(c, CO_UNFOLD_EVENTS_x), mask),
                           co_onnx_integers(c->x, 6, pads));
  const char *axis = co_onnx_integer(c->x, 1), *y = NULL;
  for (int64_t k = 0; k < K; k++) {
    const char *from = co_onnx_integer(c->x, k * step);
    const char *to = two(c, "Add", from, c->x->time[table_of(c, x)]);
    const char *part = co_onnx_node(c->x, "Slice", NULL, padded, from, to, axis, NULL);
    const co_onnx_attribute last[] = {{"axis", 'i', .i = 2}, {NULL}};
    y = y ? co_onnx_node(c->x, "Concat", last, y, part, NULL) : part;
  }
  out(c, two(c, "Mul", y, mask));
}

// Rows without events are given one, as for recurrent layers.
void co_onnx_reverse_events(const call *c) {
  static const co_onnx_attribute attributes[] = {
      {"batch_axis", 'i', .i = 0}, {"time_axis", 'i', .i = 1}, {NULL}};
  co_value x = c->op->in[CO_REVERSE_EVENTS_x];
  if (c->op->in[CO_REVERSE_EVENTS_lengths] == CO_NO_VALUE) {
    co_onnx_fail(c->x, co_fail(CO_ERR_MODEL, "ONNX: sequences of a fixed length are not reversed"));
    return;
  }
  const char *count = lengths(c, CO_REVERSE_EVENTS_lengths);
  const char *least = two(c, "Max", count, co_onnx_integer(c->x, 1));
  const char *y =
      co_onnx_node(c->x, "ReverseSequence", attributes, in(c, CO_REVERSE_EVENTS_x), least, NULL);
  out(c, two(c, "Mul", y, event_mask(c, x, count)));
}
