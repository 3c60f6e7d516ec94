// SPDX-License-Identifier: Apache-2.0
// Operations as nodes of ONNX: one function for each, in a table. Formulas are those of kernels/ops.h.
#include <float.h>
#include <math.h>
#include <string.h>

#include "host/output/onnx_emit.h"

// ---- layers ------------------------------------------------------------------------------------

static void dense(const call *c) {
  const co_shape *w = shape_of(c, c->op->in[CO_DENSE_w]);
  const char *x = in(c, CO_DENSE_x);
  if (shape_of(c, c->op->in[CO_DENSE_x])->rank > 2) {
    const co_shape rows = co_shape_make(2, CO_DIM_N, w->dim[0]);
    x = co_onnx_reshape(c->x, x, &rows);
  }
  if (c->op->in[CO_DENSE_b] == CO_NO_VALUE)
    out(c, two(c, "MatMul", x, in(c, CO_DENSE_w)));
  else
    out(c, co_onnx_node(c->x, "Gemm", NULL, x, in(c, CO_DENSE_w), in(c, CO_DENSE_b), NULL));
}

static void dense_backward_data(const call *c) {
  out(c, einsum(c, "no,io->ni", in(c, CO_DENSE_BACKWARD_DATA_dy), in(c, CO_DENSE_BACKWARD_DATA_w)));
}

static const int64_t channels_first[] = {0, 3, 1, 2}, channels_last[] = {0, 2, 3, 1};

// (KH, KW, C, O) to (O, C, KH, KW)
static const char *convolution_kernel(const call *c) {
  const co_shape *w = shape_of(c, c->op->in[CO_CONV2D_w]);
  const int64_t KH = w->dim[0], KW = w->dim[1], C = w->dim[2], O = w->dim[3];
  if (is_converted(c, CO_CONV2D_w)) return in(c, CO_CONV2D_w);
  const float *from = weights(c, CO_CONV2D_w);
  float *to = room(c, co_shape_count(w), sizeof *to);
  const co_shape shape = co_shape_make(4, O, C, KH, KW);
  if (!from || !to) return "";
  for (int64_t k = 0; k < KH * KW; k++)
    for (int64_t i = 0; i < C * O; i++)
      to[(i % O * C + i / O) * KH * KW + k] = from[k * C * O + i];
  return converted(c, CO_CONV2D_w, &shape, to);
}

static void convolve(const call *c, const char *operation) {
  const co_op_attr *a = &c->op->desc.attr;
  const co_shape *w = shape_of(c, c->op->in[CO_CONV2D_w]);
  const bool transposed = c->op->desc.op == CO_OP_CONV2D_TRANSPOSE;
  int64_t pads[] = {a->pad_begin[0], a->pad_begin[1], a->pad_end[0], a->pad_end[1]};
  int64_t beyond[] = {0, 0}; // of a transposed one: what the end's padding lacks to none
  for (int axis = 0; axis < 2; axis++)
    if (a->pad_end[axis] < 0) {
      beyond[axis] = -a->pad_end[axis];
      pads[2 + axis] = 0;
    }
  const int64_t groups = transposed ? 1 : shape_of(c, c->op->in[CO_CONV2D_x])->dim[3] / w->dim[2];
  co_onnx_attribute attributes[] = {{"kernel_shape", 'l', .list = w->dim, .count = 2},
                                    {"strides", 'l', .list = a->stride, .count = 2},
                                    {"dilations", 'l', .list = a->dilation, .count = 2},
                                    {"pads", 'l', .list = pads, .count = 4},
                                    {NULL},
                                    {NULL}};
  if (groups > 1) attributes[4] = (co_onnx_attribute){"group", 'i', .i = groups};
  if (beyond[0] || beyond[1])
    attributes[4] = (co_onnx_attribute){"output_padding", 'l', .list = beyond, .count = 2};
  const char *x = permute(c, in(c, CO_CONV2D_x), 4, channels_first);
  const char *kernel = convolution_kernel(c), *y;
  if (c->op->in[CO_CONV2D_b] == CO_NO_VALUE)
    y = co_onnx_node(c->x, operation, attributes, x, kernel, NULL);
  else
    y = co_onnx_node(c->x, operation, attributes, x, kernel, in(c, CO_CONV2D_b), NULL);
  out(c, permute(c, y, 4, channels_last));
}

static void conv2d(const call *c) {
  convolve(c, "Conv");
}

// Kernels (KH, KW, O, I) lie as ONNX wants them after the same change of order: (I, O, KH, KW).
static void conv2d_transpose(const call *c) {
  convolve(c, "ConvTranspose");
}

static void pool2d(const call *c, const char *operation) {
  const co_op_attr *a = &c->op->desc.attr;
  const int64_t pads[] = {a->pad_begin[0], a->pad_begin[1], a->pad_end[0], a->pad_end[1]};
  const co_onnx_attribute attributes[] = {{"kernel_shape", 'l', .list = a->kernel, .count = 2},
                                          {"strides", 'l', .list = a->stride, .count = 2},
                                          {"pads", 'l', .list = pads, .count = 4},
                                          {NULL}};
  const char *x = permute(c, in(c, 0), 4, channels_first);
  out(c, permute(c, co_onnx_node(c->x, operation, attributes, x, NULL), 4, channels_last));
}

static void max_pool2d(const call *c) {
  pool2d(c, "MaxPool");
}

static void average_pool2d(const call *c) { // pixels that are not there do not count
  pool2d(c, "AveragePool");
}

static void pad2d(const call *c) { // negative ones cut off
  const co_op_attr *a = &c->op->desc.attr;
  const int64_t pads[] = {0, a->pad_begin[0], a->pad_begin[1], 0,
                          0, a->pad_end[0],   a->pad_end[1],   0};
  out(c, co_onnx_node(c->x, "Pad", NULL, in(c, 0), co_onnx_integers(c->x, 8, pads), NULL));
}

static void global_average_pool2d(const call *c) {
  out(c, reduce_mean(c, in(c, 0), 1, 2));
}

static void relu(const call *c) {
  out(c, one(c, "Relu", in(c, 0)));
}

static void sigmoid(const call *c) {
  out(c, one(c, "Sigmoid", in(c, 0)));
}

static void hyperbolic_tangent(const call *c) {
  out(c, one(c, "Tanh", in(c, 0)));
}

static void activation(const call *c) {
  const co_onnx_attribute alpha[] = {{"alpha", 'f', .f = c->op->desc.attr.alpha}, {NULL}};
  const char *x = in(c, 0), *y;
  switch (c->op->desc.attr.function) {
  case CO_FUNCTION_GELU: // Gelu is not in opset 17
    y = one(c, "Erf", two(c, "Mul", x, co_onnx_number(c->x, sqrt(0.5))));
    y = two(c, "Mul", two(c, "Add", y, co_onnx_number(c->x, 1)), co_onnx_number(c->x, 0.5));
    out(c, two(c, "Mul", x, y));
    return;
  case CO_FUNCTION_SILU:
    out(c, two(c, "Mul", x, one(c, "Sigmoid", x)));
    return;
  case CO_FUNCTION_ELU:
    out(c, co_onnx_node(c->x, "Elu", alpha, x, NULL));
    return;
  default:
    out(c, co_onnx_node(c->x, "LeakyRelu", alpha, x, NULL));
  }
}

static void softmax(const call *c) {
  out(c, along(c, "Softmax", -1, in(c, 0)));
}

// As a factor and a summand of each channel.
static void batch_norm(const call *c) {
  int64_t channels = last_of(c, c->op->in[CO_BATCH_NORM_INFERENCE_x]);
  const float *gamma = weights(c, CO_BATCH_NORM_INFERENCE_gamma);
  const float *beta = weights(c, CO_BATCH_NORM_INFERENCE_beta);
  const float *mean = weights(c, CO_BATCH_NORM_INFERENCE_running_mean);
  const float *variance = weights(c, CO_BATCH_NORM_INFERENCE_running_variance);
  float *factor = room(c, channels, sizeof *factor), *summand = room(c, channels, sizeof *summand);
  if (!gamma || !beta || !mean || !variance || !factor || !summand) return;
  for (int64_t i = 0; i < channels; i++) {
    double scale = (double)gamma[i] / sqrt((double)variance[i] + c->op->desc.attr.epsilon);
    factor[i] = (float)scale;
    summand[i] = (float)((double)beta[i] - (double)mean[i] * scale);
  }
  const char *y = two(c, "Mul", in(c, 0), co_onnx_vector(c->x, NULL, factor, channels));
  out(c, two(c, "Add", y, co_onnx_vector(c->x, NULL, summand, channels)));
}

// Channels in front, groups of them as channels of instances: GroupNormalization is not in opset 17.
static void group_norm(const call *c) {
  const co_onnx_attribute attributes[] = {{"epsilon", 'f', .f = c->op->desc.attr.epsilon}, {NULL}};
  const co_shape *shape = shape_of(c, c->op->in[CO_LAYER_NORM_x]);
  const int64_t groups = c->op->desc.attr.groups;
  int64_t size = 1; // of a row
  const int last = shape->rank - 1;
  int64_t forth[CO_MAX_RANK] = {0, last}, back[CO_MAX_RANK] = {0};
  co_shape first = *shape;
  float *ones = room(c, groups, sizeof *ones), *zeros = room(c, groups, sizeof *zeros);
  if (!ones || !zeros) return;
  for (int64_t i = 0; i < groups; i++) {
    ones[i] = 1;
    zeros[i] = 0;
  }
  for (int i = 1; i < last; i++) {
    forth[i + 1] = i;
    back[i] = i + 1;
  }
  back[last] = 1;
  for (int i = 1; i <= last; i++) {
    first.dim[i] = shape->dim[forth[i]];
    size *= shape->dim[i];
  }
  const co_shape parts = co_shape_make(3, CO_DIM_N, groups, size / groups);
  const char *y = permute(c, in(c, CO_LAYER_NORM_x), shape->rank, forth);
  y = co_onnx_node(c->x, "InstanceNormalization", attributes, co_onnx_reshape(c->x, y, &parts),
                   co_onnx_vector(c->x, NULL, ones, groups),
                   co_onnx_vector(c->x, NULL, zeros, groups), NULL);
  y = permute(c, co_onnx_reshape(c->x, y, &first), shape->rank, back);
  y = two(c, "Mul", y, in(c, CO_LAYER_NORM_gamma));
  out(c, two(c, "Add", y, in(c, CO_LAYER_NORM_beta)));
}

static void matmul(const call *c) {
  static const int64_t turned[] = {0, 2, 1};
  const char *a = in(c, CO_MATMUL_a), *b = in(c, CO_MATMUL_b);
  if (c->op->desc.attr.transposed_a) a = permute(c, a, 3, turned);
  if (c->op->desc.attr.transposed_b) b = permute(c, b, 3, turned);
  out(c, two(c, "MatMul", a, b));
}

static void scale_channels(const call *c) {
  const co_shape *x = shape_of(c, c->op->in[CO_SCALE_CHANNELS_x]);
  const char *s = in(c, CO_SCALE_CHANNELS_s);
  for (int i = 2; i < x->rank; i++)
    s = unsqueeze(c, s, 1);
  out(c, two(c, "Mul", in(c, CO_SCALE_CHANNELS_x), s));
}

static void rms_norm(const call *c) {
  const char *x = in(c, CO_LAYER_NORM_x);
  const char *square = unsqueeze(c, reduce_mean(c, two(c, "Mul", x, x), -1, 1), -1);
  square = two(c, "Add", square, co_onnx_number(c->x, c->op->desc.attr.epsilon));
  out(c, two(c, "Mul", two(c, "Div", x, one(c, "Sqrt", square)), in(c, CO_LAYER_NORM_gamma)));
}

static void layer_norm(const call *c) {
  if (c->op->desc.attr.rms) {
    rms_norm(c);
    return;
  }
  if (c->op->desc.attr.groups) {
    group_norm(c);
    return;
  }
  const co_onnx_attribute attributes[] = {
      {"axis", 'i', .i = -1}, {"epsilon", 'f', .f = c->op->desc.attr.epsilon}, {NULL}};
  out(c, co_onnx_node(c->x, "LayerNormalization", attributes, in(c, CO_LAYER_NORM_x),
                      in(c, CO_LAYER_NORM_gamma), in(c, CO_LAYER_NORM_beta), NULL));
}

static void add(const call *c) {
  out(c, two(c, "Add", in(c, 0), in(c, 1)));
}

static void multiply(const call *c) {
  out(c, two(c, "Mul", in(c, 0), in(c, 1)));
}

// Two by two: parts are at most 16.
static void concat(const call *c) {
  static const co_onnx_attribute last[] = {{"axis", 'i', .i = -1}, {NULL}};
  const char *joined = NULL;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (c->op->in[i] == CO_NO_VALUE) continue;
    joined = joined ? co_onnx_node(c->x, "Concat", last, joined, in(c, i), NULL) : in(c, i);
  }
  out(c, joined);
}

static void embedding(const call *c) {
  out(c, two(c, "Gather", in(c, CO_EMBEDDING_table), in(c, CO_EMBEDDING_index)));
}

static void gather(const call *c) {
  out(c, two(c, "Gather", in(c, CO_GATHER_table), in(c, CO_GATHER_index)));
}

// Of each place in its bins the share of every bin, (N, C, B).
static void piecewise_dense(const call *c) {
  int64_t bins = shape_of(c, c->op->in[CO_PIECEWISE_DENSE_w])->dim[1];
  float *below = room(c, bins, sizeof *below);
  if (!below) return;
  for (int64_t k = 0; k < bins; k++)
    below[k] = (float)k;
  const char *parts = unsqueeze(c, in(c, CO_PIECEWISE_DENSE_x), -1);
  parts = clip(c, two(c, "Sub", parts, co_onnx_vector(c->x, NULL, below, bins)));
  const char *y = einsum(c, "ncb,cbd->ncd", parts, in(c, CO_PIECEWISE_DENSE_w));
  out(c, two(c, "Add", y, in(c, CO_PIECEWISE_DENSE_b)));
}

static void factorization(const call *c) {
  const char *x = in(c, CO_FACTORIZATION_x), *v = in(c, CO_FACTORIZATION_v);
  const char *sums = two(c, "MatMul", x, v);
  const char *squares = two(c, "MatMul", two(c, "Mul", x, x), two(c, "Mul", v, v));
  const char *pairs = two(c, "Sub", two(c, "Mul", sums, sums), squares);
  out(c, two(c, "Mul", reduce_sum(c, pairs, 1, 1), co_onnx_number(c->x, 0.5)));
}

static const char *rows_of(const call *c, const char *value, int64_t width) {
  const co_shape shape = co_shape_make(2, CO_DIM_N, width);
  return co_onnx_reshape(c->x, value, &shape);
}

static const char *members_of(const call *c, const char *value, int64_t members, int64_t width) {
  const co_shape shape = co_shape_make(3, CO_DIM_N, members, width);
  return co_onnx_reshape(c->x, value, &shape);
}

static void member_scale(const call *c) {
  const char *y =
      two(c, "Mul", unsqueeze(c, in(c, CO_MEMBER_SCALE_x), 1), in(c, CO_MEMBER_SCALE_r));
  out(c, rows_of(c, y, last_of(c, c->op->in[CO_MEMBER_SCALE_r])));
}

static void member_dense(const call *c) {
  const co_shape *w = shape_of(c, c->op->in[CO_MEMBER_DENSE_w]);
  const char *x = members_of(c, in(c, CO_MEMBER_DENSE_x), w->dim[0], w->dim[1]);
  const char *y = einsum(c, "nki,kio->nko", x, in(c, CO_MEMBER_DENSE_w));
  out(c, rows_of(c, two(c, "Add", y, in(c, CO_MEMBER_DENSE_b)), w->dim[2]));
}

static void member_mean(const call *c) {
  const char *x = members_of(c, in(c, 0), c->op->desc.attr.members, last_of(c, c->op->in[0])), *no;
  switch (c->op->desc.attr.link) {
  case CO_LINK_SIGMOID:
    no = reduce_mean(c, one(c, "Sigmoid", one(c, "Neg", x)), 1, 1);
    x = reduce_mean(c, one(c, "Sigmoid", x), 1, 1);
    out(c, two(c, "Sub", one(c, "Log", x), one(c, "Log", no)));
    return;
  case CO_LINK_SOFTMAX:
    out(c, one(c, "Log", reduce_mean(c, along(c, "Softmax", -1, x), 1, 1)));
    return;
  default:
    out(c, reduce_mean(c, x, 1, 1));
  }
}

// ---- input section -----------------------------------------------------------------------------

static void lookup(const call *c) {
  int64_t rows = co_shape_count(shape_of(c, c->op->in[CO_LOOKUP_map]));
  const char *code = in(c, CO_LOOKUP_x);
  const char *at = two(c, "Add", code, co_onnx_integer(c->x, 1));
  const char *known = two(c, "And", two(c, "GreaterOrEqual", code, co_onnx_integer(c->x, 0)),
                          two(c, "Less", at, co_onnx_integer(c->x, rows)));
  at = co_onnx_node(c->x, "Where", NULL, known, at, co_onnx_integer(c->x, 0), NULL);
  out(c, two(c, "Gather", in(c, CO_LOOKUP_map), at));
}

static void to_float(const call *c) {
  out(c, cast(c, in(c, 0), CO_ONNX_FLOAT));
}

static void impute(const call *c) {
  const char *x = in(c, CO_IMPUTE_x), *missing = one(c, "IsNaN", x);
  out(c, co_onnx_node(c->x, "Where", NULL, missing, in(c, CO_IMPUTE_fill), x, NULL));
  if (c->op->out[CO_IMPUTE_flags] != CO_NO_VALUE)
    co_onnx_name(c->x, c->plan, c->op->out[CO_IMPUTE_flags], cast(c, missing, CO_ONNX_FLOAT));
}

static void normalize(const call *c) {
  const char *from_mean = two(c, "Sub", in(c, CO_NORMALIZE_x), in(c, CO_NORMALIZE_mean));
  out(c, two(c, "Mul", from_mean, in(c, CO_NORMALIZE_scale)));
}

// The place among edges is the sum of what lies between each two of them, a share of 0 to 1.
static void piecewise_linear(const call *c) {
  co_value x = c->op->in[CO_PIECEWISE_LINEAR_x];
  const co_plan_value *edges = &c->plan->values[c->op->in[CO_PIECEWISE_LINEAR_edges]];
  const co_feed *feed = co_exported_feed(c->x->e, edges->info.index);
  const int64_t C = last_of(c, x), K = co_shape_count(&edges->info.desc.shape) / C, B = K - 1;
  const void *bytes = NULL;
  if (B < 1) {
    out(c, two(c, "Mul", in(c, CO_PIECEWISE_LINEAR_x), co_onnx_number(c->x, 0)));
    return;
  }
  co_onnx_fail(c->x, co_exported_fitted(c->x->e, feed, &bytes));
  float *low = room(c, C * B, sizeof *low), *width = room(c, C * B, sizeof *width);
  const co_shape shape = co_shape_make(2, C, B);
  if (!bytes || !low || !width) return;
  for (int64_t i = 0; i < C * B; i++) {
    const float *edge = (const float *)bytes + i / B * K + i % B;
    bool last = isinf(edge[0]) || isinf(edge[1]); // nothing lies beyond the last finite edge
    low[i] = last ? FLT_MAX : edge[0];
    width[i] = last ? 1 : edge[1] - edge[0];
  }
  const char *share = two(c, "Sub", unsqueeze(c, in(c, CO_PIECEWISE_LINEAR_x), -1),
                          co_onnx_constant(c->x, NULL, CO_ONNX_FLOAT, &shape, low));
  share = two(c, "Div", share, co_onnx_constant(c->x, NULL, CO_ONNX_FLOAT, &shape, width));
  out(c, reduce_sum(c, clip(c, share), -1, 0));
}

// ---- the table ---------------------------------------------------------------------------------

static const struct {
  co_op op;
  co_onnx_emit *emit;
} emitters[] = {
    {CO_OP_DENSE, dense},
    {CO_OP_DENSE_BACKWARD_DATA, dense_backward_data},
    {CO_OP_CONV2D, conv2d},
    {CO_OP_CONV2D_TRANSPOSE, conv2d_transpose},
    {CO_OP_MAX_POOL2D, max_pool2d},
    {CO_OP_AVERAGE_POOL2D, average_pool2d},
    {CO_OP_PAD2D, pad2d},
    {CO_OP_GLOBAL_AVERAGE_POOL2D, global_average_pool2d},
    {CO_OP_RELU, relu},
    {CO_OP_SIGMOID, sigmoid},
    {CO_OP_TANH, hyperbolic_tangent},
    {CO_OP_ACTIVATION, activation},
    {CO_OP_SOFTMAX, softmax},
    {CO_OP_BATCH_NORM_INFERENCE, batch_norm},
    {CO_OP_LAYER_NORM, layer_norm},
    {CO_OP_MATMUL, matmul},
    {CO_OP_ADD, add},
    {CO_OP_MULTIPLY, multiply},
    {CO_OP_SCALE_CHANNELS, scale_channels},
    {CO_OP_CONCAT, concat},
    {CO_OP_EMBEDDING, embedding},
    {CO_OP_GATHER, gather},
    {CO_OP_PIECEWISE_DENSE, piecewise_dense},
    {CO_OP_FACTORIZATION, factorization},
    {CO_OP_MEMBER_SCALE, member_scale},
    {CO_OP_MEMBER_DENSE, member_dense},
    {CO_OP_MEMBER_MEAN, member_mean},
    {CO_OP_RECURRENT, co_onnx_recurrent},
    {CO_OP_ATTENTION, co_onnx_attention},
    {CO_OP_POOL_EVENTS, co_onnx_pool_events},
    {CO_OP_MAX_EVENTS, co_onnx_max_events},
    {CO_OP_UNFOLD_EVENTS, co_onnx_unfold_events},
    {CO_OP_REVERSE_EVENTS, co_onnx_reverse_events},
    {CO_OP_MASKED_SOFTMAX, co_onnx_masked_softmax},
    {CO_OP_LOOKUP, lookup},
    {CO_OP_CAST, to_float},
    {CO_OP_IMPUTE, impute},
    {CO_OP_NORMALIZE, normalize},
    {CO_OP_PIECEWISE_LINEAR, piecewise_linear},
};

// A relu that the operation has taken in.
static void activate(const call *c) {
  if (c->op->desc.attr.activation == CO_ACTIVATION_NONE) return;
  out(c, one(c, "Relu", co_onnx_value(c->x, c->plan, c->op->out[0])));
}

co_status co_onnx_operation(co_onnx *x, const co_plan *plan, const co_plan_op *op) {
  const call c = {x, plan, op};
  for (size_t i = 0; i < sizeof emitters / sizeof *emitters; i++)
    if (emitters[i].op == op->desc.op) {
      emitters[i].emit(&c);
      activate(&c);
      return x->status;
    }
  char *what =
      co_arena_format(x->e->arena, "layer '%.150s': operation", op->layer ? op->layer : "");
  return what ? co_exported_refuse(x->e, what, co_op_get_info(op->desc.op)->name, "ONNX")
              : CO_ERR_MEMORY;
}
