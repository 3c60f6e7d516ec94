// SPDX-License-Identifier: Apache-2.0
#include "host/config/config.h"
#include "host/graph/layer.h"

// What all convolutions have in common, each in its own place of the options.
typedef struct conv2d_options {
  int64_t filters, kernel_size[2], strides[2], dilation_rate[2], groups, depth_multiplier;
  int padding, activation;
  bool use_bias;
  int kernel_initializer, pointwise_initializer, bias_initializer;
  const co_node *output_padding;
} conv2d_options;

enum { VALID, SAME, SYMMETRIC };
static const char *const paddings[] = {"valid", "same", "symmetric", NULL};
static const char *const transposed_paddings[] = {"valid", "same", NULL};

#define FILTERS                                                                                    \
  {                                                                                                \
    "filters", CO_FIELD_INT, offsetof(conv2d_options, filters), NULL, 1, 1 << 20, NULL,            \
        "Number of output channels.", NULL                                                         \
  }
#define KERNEL_SIZE                                                                                \
  {                                                                                                \
    "kernel_size", CO_FIELD_PAIR, offsetof(conv2d_options, kernel_size), NULL, 1, 4096, NULL,      \
        "Height and width of the kernel in pixels.", NULL                                          \
  }
#define STRIDES(doc)                                                                               \
  { "strides", CO_FIELD_PAIR, offsetof(conv2d_options, strides), "1", 1, 4096, NULL, doc, NULL }
#define DILATION_RATE                                                                              \
  {                                                                                                \
    "dilation_rate", CO_FIELD_PAIR, offsetof(conv2d_options, dilation_rate), "1", 1, 4096, NULL,   \
        "Distance of neighbouring kernel elements in pixels.", NULL                                \
  }
#define DEPTH_MULTIPLIER                                                                           \
  {                                                                                                \
    "depth_multiplier", CO_FIELD_INT, offsetof(conv2d_options, depth_multiplier), "1", 1, 1 << 16, \
        NULL, "Number of results of each input channel.", NULL                                     \
  }
#define PADDING                                                                                    \
  {                                                                                                \
    "padding", CO_FIELD_ENUM, offsetof(conv2d_options, padding), "valid", 0, 0, paddings,          \
        "same: zeros around the image keep its size / strides; symmetric: kernel_size / 2 on "     \
        "each "                                                                                    \
        "side, as PyTorch's models pad.",                                                          \
        NULL                                                                                       \
  }
#define ACTIVATION                                                                                 \
  {                                                                                                \
    "activation", CO_FIELD_ENUM, offsetof(conv2d_options, activation), "linear", 0, 0,             \
        co_activation_words, "Applied to the result.", NULL                                        \
  }
#define USE_BIAS                                                                                   \
  {                                                                                                \
    "use_bias", CO_FIELD_BOOL, offsetof(conv2d_options, use_bias), "true", 0, 0, NULL,             \
        "Adds a trained offset per channel.", NULL                                                 \
  }
#define INITIALIZER(name, member, doc)                                                             \
  {                                                                                                \
    name, CO_FIELD_ENUM, offsetof(conv2d_options, member), "glorot_uniform", 0, 0,                 \
        co_initializer_words, doc, NULL                                                            \
  }
#define BIAS_INITIALIZER                                                                           \
  {                                                                                                \
    "bias_initializer", CO_FIELD_ENUM, offsetof(conv2d_options, bias_initializer), "zeros", 0, 0,  \
        co_initializer_words, "Likewise.", NULL                                                    \
  }

static const char kernel_step[] = "Step of the kernel in pixels.";

static const co_field fields[] = {
    FILTERS,
    KERNEL_SIZE,
    STRIDES(kernel_step),
    DILATION_RATE,
    {"groups", CO_FIELD_INT, offsetof(conv2d_options, groups), "1", 1, 1 << 20, NULL,
     "Parts of equal size that channels and filters fall into; filters read their own part only.",
     NULL},
    PADDING,
    ACTIVATION,
    USE_BIAS,
    INITIALIZER("kernel_initializer", kernel_initializer, CO_INITIALIZER_DOC),
    BIAS_INITIALIZER,
    {.key = NULL}};

static const co_field depthwise_fields[] = {
    KERNEL_SIZE,      STRIDES(kernel_step),
    DILATION_RATE,    DEPTH_MULTIPLIER,
    PADDING,          ACTIVATION,
    USE_BIAS,         INITIALIZER("depthwise_initializer", kernel_initializer, CO_INITIALIZER_DOC),
    BIAS_INITIALIZER, {.key = NULL}};

static const co_field separable_fields[] = {
    FILTERS,
    KERNEL_SIZE,
    STRIDES(kernel_step),
    DILATION_RATE,
    DEPTH_MULTIPLIER,
    PADDING,
    ACTIVATION,
    USE_BIAS,
    INITIALIZER("depthwise_initializer", kernel_initializer, CO_INITIALIZER_DOC),
    INITIALIZER("pointwise_initializer", pointwise_initializer, "Likewise."),
    BIAS_INITIALIZER,
    {.key = NULL}};

static const co_field transposed_fields[] = {
    FILTERS,
    KERNEL_SIZE,
    STRIDES("How many pixels of the result one pixel is apart from the next."),
    DILATION_RATE,
    {"padding", CO_FIELD_ENUM, offsetof(conv2d_options, padding), "valid", 0, 0,
     transposed_paddings,
     "same: the result is strides times as large; valid: as large as the "
     "kernel reaches.",
     NULL},
    {"output_padding", CO_FIELD_NODE, offsetof(conv2d_options, output_padding), "null", 0, 0, NULL,
     "Number or [down, right]: of (size - 1) strides + the kernel's reach - 2 padding + this, "
     "below "
     "strides, as in Keras and PyTorch; padding is 0 or, of same, half the reach. null: chosen.",
     NULL},
    ACTIVATION,
    USE_BIAS,
    INITIALIZER("kernel_initializer", kernel_initializer, CO_INITIALIZER_DOC),
    BIAS_INITIALIZER,
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

static co_status window_of(const conv2d_options *conv, const co_shape *x, co_op_attr *attr) {
  for (int axis = 0; axis < 2; axis++) {
    attr->kernel[axis] = conv->kernel_size[axis];
    attr->stride[axis] = conv->strides[axis];
    attr->dilation[axis] = conv->dilation_rate[axis];
    if (conv->padding == SAME) pad_same(attr, x, axis);
    if (conv->padding == SYMMETRIC)
      attr->pad_begin[axis] = attr->pad_end[axis] = attr->kernel[axis] / 2 * attr->dilation[axis];
  }
  return check_reach(attr, x);
}

// Kernels (KH, KW, I, O) and, where wanted, a bias of `channels`, in operands 1 and 2. `fan_out` in
// filters that one channel goes into.
static co_status add_weights(co_graph *graph, const conv2d_options *conv, const char *name,
                             const co_shape *shape, int64_t fan_in, int64_t fan_out,
                             int64_t channels, co_value operands[3]) {
  const int64_t window = shape->dim[0] * shape->dim[1];
  const co_param_info kernel = {.shape = *shape,
                                .init = co_initializer_kind(conv->kernel_initializer),
                                .fan_in = window * fan_in,
                                .fan_out = window * fan_out,
                                .decay = 1};
  const co_param_info bias = {.shape = co_shape_make(1, channels),
                              .init = co_initializer_kind(conv->bias_initializer),
                              .fan_in = kernel.fan_in,
                              .fan_out = kernel.fan_out};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, name, &kernel, &operands[1]));
  operands[2] = CO_NO_VALUE;
  return conv->use_bias ? co_graph_add_param(graph, "bias", &bias, &operands[2]) : CO_OK;
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const conv2d_options *conv = options;
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 4));
  const co_shape x = *co_value_shape(graph, in[0]);
  const int64_t channels = x.dim[3], groups = conv->groups;
  co_op_attr attr = {0};
  co_value operands[3] = {in[0]}, y;
  CO_RETURN_IF_FAILED(window_of(conv, &x, &attr));
  if (channels % groups != 0 || conv->filters % groups != 0)
    return co_fail(CO_ERR_CONFIG, "%lld channels and %lld filters do not fall into %lld groups",
                   (long long)channels, (long long)conv->filters, (long long)groups);
  const co_shape kernel =
      co_shape_make(4, attr.kernel[0], attr.kernel[1], channels / groups, conv->filters);
  CO_RETURN_IF_FAILED(add_weights(graph, conv, "kernel", &kernel, channels / groups, conv->filters,
                                  conv->filters, operands));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_CONV2D, &attr, 3, operands, &y));
  return co_emit_activation(graph, conv->activation, y, out);
}

// Its kernel holds, in this order, what Keras' of (KH, KW, channels, depth_multiplier) does.
static co_status emit_depthwise(co_graph *graph, const conv2d_options *conv, const char *name,
                                const co_value *in, co_value *out) {
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 4));
  const co_shape x = *co_value_shape(graph, in[0]);
  co_op_attr attr = {0};
  co_value operands[3] = {in[0]};
  CO_RETURN_IF_FAILED(window_of(conv, &x, &attr));
  if (conv->depth_multiplier > (1 << 20) / x.dim[3])
    return co_fail(CO_ERR_CONFIG, "more than 2^20 channels");
  const int64_t results = x.dim[3] * conv->depth_multiplier;
  const co_shape kernel = co_shape_make(4, attr.kernel[0], attr.kernel[1], (int64_t)1, results);
  // Fans as Keras counts them, which takes the last two extents of its shape for them.
  CO_RETURN_IF_FAILED(
      add_weights(graph, conv, name, &kernel, x.dim[3], conv->depth_multiplier, results, operands));
  return co_emit(graph, CO_OP_CONV2D, &attr, 3, operands, out);
}

static co_status build_depthwise(co_graph *graph, const void *options, const co_value *in,
                                 int count, co_value *out) {
  const conv2d_options *conv = options;
  co_value y;
  (void)count;
  CO_RETURN_IF_FAILED(emit_depthwise(graph, conv, "kernel", in, &y));
  return co_emit_activation(graph, conv->activation, y, out);
}

static co_status build_separable(co_graph *graph, const void *options, const co_value *in,
                                 int count, co_value *out) {
  const conv2d_options *conv = options;
  conv2d_options depthwise = *conv, pointwise = *conv;
  const co_op_attr attr = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
  co_value operands[3], y;
  (void)count;
  depthwise.use_bias = false;
  pointwise.kernel_initializer = conv->pointwise_initializer;
  CO_RETURN_IF_FAILED(emit_depthwise(graph, &depthwise, "depthwise_kernel", in, &operands[0]));
  const int64_t channels = co_value_shape(graph, operands[0])->dim[3];
  const co_shape kernel = co_shape_make(4, (int64_t)1, (int64_t)1, channels, conv->filters);
  CO_RETURN_IF_FAILED(add_weights(graph, &pointwise, "pointwise_kernel", &kernel, channels,
                                  conv->filters, conv->filters, operands));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_CONV2D, &attr, 3, operands, &y));
  return co_emit_activation(graph, conv->activation, y, out);
}

// ---- transposed

static co_status read_output_padding(const conv2d_options *conv, int64_t out[2]) {
  const co_node *node = conv->output_padding;
  bool good = node->kind == CO_NODE_LIST
                  ? node->count == 2 && co_node_int(node->items[0], &out[0]) &&
                        co_node_int(node->items[1], &out[1])
                  : co_node_int(node, &out[0]) && co_node_int(node, &out[1]);
  for (int axis = 0; axis < 2; axis++)
    good = good && out[axis] >= 0 && out[axis] < conv->strides[axis];
  if (good) return CO_OK;
  return co_fail(
      CO_ERR_CONFIG,
      "output_padding must be a number or [down, right] of at least 0 and below strides");
}

// Padding of the convolution that this is the gradient of, the end's made so that the size comes out.
static void transposed_window(const conv2d_options *conv, const int64_t *output_padding, int axis,
                              co_op_attr *attr) {
  const int64_t stride = conv->strides[axis];
  const int64_t reach = (conv->kernel_size[axis] - 1) * conv->dilation_rate[axis] + 1;
  int64_t needed = conv->padding == SAME ? reach - stride : 0; // of both ends
  attr->kernel[axis] = conv->kernel_size[axis];
  attr->stride[axis] = stride;
  attr->dilation[axis] = conv->dilation_rate[axis];
  if (output_padding) {
    attr->pad_begin[axis] = conv->padding == SAME ? reach / 2 : 0;
    attr->pad_end[axis] = attr->pad_begin[axis] - output_padding[axis];
    return;
  }
  // The result has at least strides pixels for each.
  if (conv->padding == VALID && reach < stride) needed = reach - stride;
  attr->pad_begin[axis] = needed > 0 ? needed / 2 : 0;
  attr->pad_end[axis] = needed - attr->pad_begin[axis];
}

static co_status build_transposed(co_graph *graph, const void *options, const co_value *in,
                                  int count, co_value *out) {
  const conv2d_options *conv = options;
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 4));
  const int64_t channels = co_value_shape(graph, in[0])->dim[3];
  int64_t output_padding[2];
  co_op_attr attr = {0};
  co_value operands[3] = {in[0]}, y;
  if (conv->output_padding) CO_RETURN_IF_FAILED(read_output_padding(conv, output_padding));
  for (int axis = 0; axis < 2; axis++)
    transposed_window(conv, conv->output_padding ? output_padding : NULL, axis, &attr);
  const co_shape kernel = co_shape_make(4, attr.kernel[0], attr.kernel[1], conv->filters, channels);
  // Fans as Keras counts them: those of the convolution.
  CO_RETURN_IF_FAILED(add_weights(graph, conv, "kernel", &kernel, conv->filters, channels,
                                  conv->filters, operands));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_CONV2D_TRANSPOSE, &attr, 3, operands, &y));
  return co_emit_activation(graph, conv->activation, y, out);
}

// ---- classes

static const char *const weights[] = {"kernel", "bias", NULL};
static const char *const separable_weights[] = {"depthwise_kernel", "pointwise_kernel", "bias",
                                                NULL};

extern const co_layer_class co_layer_conv2d;
const co_layer_class co_layer_conv2d = {.name = "Conv2D",
                                        .doc = "2-D convolution over (height, width, channels).",
                                        .fields = fields,
                                        .options_size = sizeof(conv2d_options),
                                        .inputs_min = 1,
                                        .inputs_max = 1,
                                        .build = build,
                                        .weights = weights};

extern const co_layer_class co_layer_depthwise_conv2d;
const co_layer_class co_layer_depthwise_conv2d = {.name = "DepthwiseConv2D",
                                                  .doc = "2-D convolution of each channel alone.",
                                                  .fields = depthwise_fields,
                                                  .options_size = sizeof(conv2d_options),
                                                  .inputs_min = 1,
                                                  .inputs_max = 1,
                                                  .build = build_depthwise,
                                                  .weights = weights};

extern const co_layer_class co_layer_separable_conv2d;
const co_layer_class co_layer_separable_conv2d = {
    .name = "SeparableConv2D",
    .doc = "A convolution of each channel alone, then one of 1 x 1 over all.",
    .fields = separable_fields,
    .options_size = sizeof(conv2d_options),
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build_separable,
    .weights = separable_weights};

extern const co_layer_class co_layer_conv2d_transpose;
const co_layer_class co_layer_conv2d_transpose = {
    .name = "Conv2DTranspose",
    .doc = "A larger image: the gradient of a 2-D convolution as a layer.",
    .fields = transposed_fields,
    .options_size = sizeof(conv2d_options),
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build_transposed,
    .weights = weights};
