// SPDX-License-Identifier: Apache-2.0
// Zeros around an image, or its borders cut off.
#include "host/config/config.h"
#include "host/graph/layer.h"

typedef struct border_options {
  const co_node *border;
} border_options;

#define BORDER(key, fallback, doc)                                                                 \
  {                                                                                                \
    key, CO_FIELD_NODE, offsetof(border_options, border), fallback, 0, 0, NULL,                    \
        doc ": a number, [height, width], or [[top, bottom], [left, right]].", NULL                \
  }

static const co_field padding_fields[] = {BORDER("padding", "1", "Rows and columns of zeros"),
                                          {.key = NULL}};
static const co_field cropping_fields[] = {BORDER("cropping", NULL, "Rows and columns cut off"),
                                           {.key = NULL}};

enum { MOST = 1 << 16 };

static bool read_side(const co_node *node, int64_t *out) {
  return co_node_int(node, out) && *out >= 0 && *out <= MOST;
}

// Of one axis: the same on both ends, or a pair.
static bool read_axis(const co_node *node, int64_t *begin, int64_t *end) {
  if (node->kind != CO_NODE_LIST) return read_side(node, begin) && read_side(node, end);
  return node->count == 2 && read_side(node->items[0], begin) && read_side(node->items[1], end);
}

static co_status emit(co_graph *graph, const char *key, const void *options, int sign,
                      const co_value *in, co_value *out) {
  const co_node *node = ((const border_options *)options)->border;
  co_op_attr attr = {0};
  bool list = node->kind == CO_NODE_LIST, good = !list || node->count == 2;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 4));
  for (int axis = 0; good && axis < 2; axis++) {
    good = read_axis(list ? node->items[axis] : node, &attr.pad_begin[axis], &attr.pad_end[axis]);
    attr.pad_begin[axis] *= sign;
    attr.pad_end[axis] *= sign;
  }
  if (!good)
    return co_fail(
        CO_ERR_CONFIG,
        "%s must be a number, [height, width] or [[top, bottom], [left, right]], of 0 to "
        "%d pixels each",
        key, MOST);
  return co_emit(graph, CO_OP_PAD2D, &attr, 1, in, out);
}

static co_status build_padding(co_graph *graph, const void *options, const co_value *in, int count,
                               co_value *out) {
  (void)count;
  return emit(graph, "padding", options, 1, in, out);
}

static co_status build_cropping(co_graph *graph, const void *options, const co_value *in, int count,
                                co_value *out) {
  (void)count;
  return emit(graph, "cropping", options, -1, in, out);
}

extern const co_layer_class co_layer_zero_padding2d;
const co_layer_class co_layer_zero_padding2d = {.name = "ZeroPadding2D",
                                                .doc = "Zeros around an image.",
                                                .fields = padding_fields,
                                                .options_size = sizeof(border_options),
                                                .shorthand = "padding",
                                                .inputs_min = 1,
                                                .inputs_max = 1,
                                                .build = build_padding};

extern const co_layer_class co_layer_cropping2d;
const co_layer_class co_layer_cropping2d = {.name = "Cropping2D",
                                            .doc = "An image without its borders.",
                                            .fields = cropping_fields,
                                            .options_size = sizeof(border_options),
                                            .shorthand = "cropping",
                                            .inputs_min = 1,
                                            .inputs_max = 1,
                                            .build = build_cropping};
