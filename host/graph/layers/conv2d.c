// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct conv2d_options {
  int64_t filters, kernel_size[2], strides[2], dilation_rate[2];
  int padding, activation;
  bool use_bias;
  int kernel_initializer, bias_initializer;
} conv2d_options;

static const char *const paddings[] = {"valid", "same", "symmetric", NULL};

static const co_field fields[] = {
    {"filters", CO_FIELD_INT, offsetof(conv2d_options, filters), NULL, 1, 1 << 20, NULL,
     "Number of output channels.", NULL},
    {"kernel_size", CO_FIELD_PAIR, offsetof(conv2d_options, kernel_size), NULL, 1, 4096, NULL,
     "Height and width of the kernel in pixels.", NULL},
    {"strides", CO_FIELD_PAIR, offsetof(conv2d_options, strides), "1", 1, 4096, NULL,
     "Step of the kernel in pixels.", NULL},
    {"dilation_rate", CO_FIELD_PAIR, offsetof(conv2d_options, dilation_rate), "1", 1, 4096, NULL,
     "Distance of neighbouring kernel elements in pixels.", NULL},
    {"padding", CO_FIELD_ENUM, offsetof(conv2d_options, padding), "valid", 0, 0, paddings,
     "same: zeros around the image keep its size / strides; symmetric: kernel_size / 2 on each "
     "side, "
     "as PyTorch's models pad.",
     NULL},
    {"activation", CO_FIELD_ENUM, offsetof(conv2d_options, activation), "linear", 0, 0,
     co_activation_words, "Applied to the result.", NULL},
    {"use_bias", CO_FIELD_BOOL, offsetof(conv2d_options, use_bias), "true", 0, 0, NULL,
     "Adds a trained offset per channel.", NULL},
    {"kernel_initializer", CO_FIELD_ENUM, offsetof(conv2d_options, kernel_initializer),
     "glorot_uniform", 0, 0, co_initializer_words, CO_INITIALIZER_DOC, NULL},
    {"bias_initializer", CO_FIELD_ENUM, offsetof(conv2d_options, bias_initializer), "zeros", 0, 0,
     co_initializer_words, "Likewise.", NULL},
    {.key = NULL}};

// Keras' `same`: output = ceil(size / stride); the odd pixel goes to the end.
static void pad_same(co_op_attr *attr, const co_shape *x, int axis) {
  int64_t size = x->dim[1 + axis], stride = attr->stride[axis];
  int64_t reach = (attr->kernel[axis] - 1) * attr->dilation[axis] + 1;
  int64_t needed = ((size + stride - 1) / stride - 1) * stride + reach - size;
  if (needed < 0) needed = 0;
  attr->pad_begin[axis] = needed / 2;
  attr->pad_end[axis] = needed - needed / 2;
}

// `same` allows any kernel, but one that reaches this far past the image is a slip: most of its
// weights would never meet a pixel.
static co_status check_reach(const co_op_attr *attr, const co_shape *x) {
  for (int axis = 0; axis < 2; axis++) {
    int64_t reach = (attr->kernel[axis] - 1) * attr->dilation[axis] + 1, size = x->dim[1 + axis];
    if (reach > 2 * size + 1)
      return co_fail(CO_ERR_CONFIG,
                     "a kernel of %lld x %lld is larger than the image of %lld x %lld",
                     (long long)attr->kernel[0], (long long)attr->kernel[1], (long long)x->dim[1],
                     (long long)x->dim[2]);
  }
  return CO_OK;
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const conv2d_options *conv = options;
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 4));
  const co_shape x = *co_value_shape(graph, in[0]);
  co_op_attr attr = {0};
  for (int axis = 0; axis < 2; axis++) {
    attr.kernel[axis] = conv->kernel_size[axis];
    attr.stride[axis] = conv->strides[axis];
    attr.dilation[axis] = conv->dilation_rate[axis];
    if (conv->padding == 1) pad_same(&attr, &x, axis);
    if (conv->padding == 2)
      attr.pad_begin[axis] = attr.pad_end[axis] = attr.kernel[axis] / 2 * attr.dilation[axis];
  }
  CO_RETURN_IF_FAILED(check_reach(&attr, &x));
  int64_t channels = x.dim[3], window = attr.kernel[0] * attr.kernel[1];
  co_value operands[3] = {in[0], CO_NO_VALUE, CO_NO_VALUE};
  co_param_info kernel = {
      .shape = co_shape_make(4, attr.kernel[0], attr.kernel[1], channels, conv->filters),
      .init = co_initializer_kind(conv->kernel_initializer),
      .fan_in = window * channels,
      .fan_out = window * conv->filters,
      .decay = 1};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &operands[1]));
  co_param_info bias = {.shape = co_shape_make(1, conv->filters),
                        .init = co_initializer_kind(conv->bias_initializer),
                        .fan_in = kernel.fan_in,
                        .fan_out = kernel.fan_out};
  if (conv->use_bias) CO_RETURN_IF_FAILED(co_graph_add_param(graph, "bias", &bias, &operands[2]));
  co_value y;
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_CONV2D, &attr, 3, operands, &y));
  return co_emit_activation(graph, conv->activation, y, out);
}

static const char *const weights[] = {"kernel", "bias", NULL};

extern const co_layer_class co_layer_conv2d;
const co_layer_class co_layer_conv2d = {.name = "Conv2D",
                                        .doc = "2-D convolution over (height, width, channels).",
                                        .fields = fields,
                                        .options_size = sizeof(conv2d_options),
                                        .inputs_min = 1,
                                        .inputs_max = 1,
                                        .build = build,
                                        .weights = weights};
