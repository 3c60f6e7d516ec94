// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct pooling_options {
  int64_t pool_size[2], strides[2];
  int padding;
} pooling_options;

static const char *const paddings[] = {"valid", "same", "symmetric", NULL};

#define PADDING_DOC                                                                                \
  "valid drops an incomplete window at the border, same keeps it; symmetric: as of an image with " \
  "pool_size / 2 more pixels on each side. Such pixels never win, and no mean is over them."

static const co_field fields[] = {
    {"pool_size", CO_FIELD_PAIR, offsetof(pooling_options, pool_size), "2", 1, 4096, NULL,
     "Height and width of the window in pixels.", NULL},
    {"strides", CO_FIELD_PAIR, offsetof(pooling_options, strides), "0", 0, 4096, NULL,
     "Step of the window in pixels; 0 = pool_size.", NULL},
    {"padding", CO_FIELD_ENUM, offsetof(pooling_options, padding), "valid", 0, 0, paddings,
     PADDING_DOC, NULL},
    {.key = NULL}};

static co_status emit(co_graph *graph, co_op op, const pooling_options *pool, const co_value *in,
                      co_value *out) {
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 4));
  const co_shape *x = co_value_shape(graph, in[0]);
  co_op_attr attr = {.dilation = {1, 1}};
  for (int axis = 0; axis < 2; axis++) {
    attr.kernel[axis] = pool->pool_size[axis];
    attr.stride[axis] = pool->strides[axis] ? pool->strides[axis] : pool->pool_size[axis];
    if (pool->padding == 2) attr.pad_begin[axis] = attr.pad_end[axis] = attr.kernel[axis] / 2;
    if (pool->padding != 1) continue;
    int64_t size = x->dim[1 + axis], stride = attr.stride[axis];
    int64_t needed = ((size + stride - 1) / stride - 1) * stride + attr.kernel[axis] - size;
    if (needed < 0) needed = 0;
    attr.pad_begin[axis] = needed / 2;
    attr.pad_end[axis] = needed - needed / 2;
  }
  return co_emit(graph, op, &attr, 1, in, out);
}

static co_status build_max(co_graph *graph, const void *options, const co_value *in, int count,
                           co_value *out) {
  (void)count;
  return emit(graph, CO_OP_MAX_POOL2D, options, in, out);
}

static co_status build_average(co_graph *graph, const void *options, const co_value *in, int count,
                               co_value *out) {
  (void)count;
  return emit(graph, CO_OP_AVERAGE_POOL2D, options, in, out);
}

extern const co_layer_class co_layer_max_pooling2d;
const co_layer_class co_layer_max_pooling2d = {.name = "MaxPooling2D",
                                               .doc = "Maximum over windows of an image.",
                                               .fields = fields,
                                               .options_size = sizeof(pooling_options),
                                               .shorthand = "pool_size",
                                               .inputs_min = 1,
                                               .inputs_max = 1,
                                               .build = build_max};

extern const co_layer_class co_layer_average_pooling2d;
const co_layer_class co_layer_average_pooling2d = {.name = "AveragePooling2D",
                                                   .doc = "Mean over windows of an image.",
                                                   .fields = fields,
                                                   .options_size = sizeof(pooling_options),
                                                   .shorthand = "pool_size",
                                                   .inputs_min = 1,
                                                   .inputs_max = 1,
                                                   .build = build_average};
