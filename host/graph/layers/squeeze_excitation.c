// SPDX-License-Identifier: Apache-2.0
// Hu et al. 2018: from the mean of each channel's image, by two dense layers, a factor of each channel.
#include "host/graph/layer.h"

typedef struct excitation_options {
  int64_t ratio;
} excitation_options;

static const co_field fields[] = {{"ratio", CO_FIELD_INT, offsetof(excitation_options, ratio), "16",
                                   1, 1 << 24, NULL, "Channels for each unit of the layer between.",
                                   NULL},
                                  {.key = NULL}};

// y = x kernel + bias, as weights `kernel` and `bias`.
static co_status dense(co_graph *graph, const char *kernel, const char *bias, int64_t units,
                       co_value x, co_value *out) {
  const co_shape *shape = co_value_shape(graph, x);
  const int64_t features = shape->dim[1];
  const co_param_info w = {.shape = co_shape_make(2, features, units),
                           .init = CO_INIT_GLOROT_UNIFORM,
                           .fan_in = features,
                           .fan_out = units,
                           .decay = 1};
  const co_param_info b = {.shape = co_shape_make(1, units), .init = CO_INIT_ZEROS};
  co_value operands[3] = {x};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, kernel, &w, &operands[CO_DENSE_w]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, bias, &b, &operands[CO_DENSE_b]));
  return co_emit(graph, CO_OP_DENSE, NULL, 3, operands, out);
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 4));
  const int64_t channels = co_value_shape(graph, in[0])->dim[3];
  const int64_t ratio = ((const excitation_options *)options)->ratio;
  co_value operands[2] = {in[0], CO_NO_VALUE}, s;
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_GLOBAL_AVERAGE_POOL2D, NULL, 1, in, &s));
  CO_RETURN_IF_FAILED(dense(graph, "squeeze_kernel", "squeeze_bias",
                            channels < ratio ? 1 : channels / ratio, s, &s));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_RELU, NULL, 1, &s, &s));
  CO_RETURN_IF_FAILED(dense(graph, "excite_kernel", "excite_bias", channels, s, &s));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_SIGMOID, NULL, 1, &s, &operands[CO_SCALE_CHANNELS_s]));
  return co_emit(graph, CO_OP_SCALE_CHANNELS, NULL, 2, operands, out);
}

static const char *const weights[] = {"squeeze_kernel", "squeeze_bias", "excite_kernel",
                                      "excite_bias", NULL};

extern const co_layer_class co_layer_squeeze_excitation;
const co_layer_class co_layer_squeeze_excitation = {
    .name = "SqueezeExcitation",
    .doc =
        "Each channel of an image times a number within 0 and 1 that all channels' means decide.",
    .fields = fields,
    .options_size = sizeof(excitation_options),
    .shorthand = "ratio",
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
