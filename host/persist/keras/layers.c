// SPDX-License-Identifier: Apache-2.0
// Layers of Keras as layers of Cohort. What has one spatial dimension is held as an image of one row; a Dense
// of several dimensions is a convolution of one pixel.
#include <string.h>

#include "host/persist/keras/keras_private.h"

static const co_shape *shape_of(const keras_network *net, int64_t value) {
  return &net->values[value].shape;
}

static void set_shape(keras_network *net, int64_t value, co_shape shape) {
  net->values[value].shape = shape;
}

static int64_t last(const co_shape *shape) {
  return shape->dim[shape->rank - 1];
}

static co_status need_rank(const keras_network *net, const keras_layer *layer, int64_t value,
                           int rank) {
  char has[96];
  if (shape_of(net, value)->rank == rank) return CO_OK;
  co_shape_print(shape_of(net, value), has, sizeof has);
  return keras_refuse(layer, "its input has shape %s; %d dimensions are needed", has, rank);
}

static const char *format_number(co_arena *arena, const char *format, double value) {
  char text[32];
  co_double_print(value, text, sizeof text);
  return co_arena_format(arena, format, text);
}

// ---- products ----------------------------------------------------------------------------------

static co_status take_bias(keras_network *net, keras_layer *layer, bool use_bias, int64_t units) {
  const co_shape shape = co_shape_make(1, units);
  float *values;
  if (!use_bias) return CO_OK;
  CO_RETURN_IF_FAILED(keras_take(layer, "bias", &shape, &values));
  return keras_add_weight(net, layer, "bias", &shape, values);
}

static co_status dense(keras_network *net, keras_layer *layer, const keras_call *call,
                       int64_t *out) {
  int64_t units, in = call->in[0];
  bool use_bias;
  const char *activation;
  CO_RETURN_IF_FAILED(keras_int(layer, "units", "output_dim", 0, &units));
  CO_RETURN_IF_FAILED(keras_bool(layer, "use_bias", "bias", true, &use_bias));
  CO_RETURN_IF_FAILED(keras_activation(layer, "activation", "linear", &activation));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  co_shape shape = *shape_of(net, in);
  const bool pixels = shape.rank > 1;
  if (shape.rank > 3) return need_rank(net, layer, in, 3);
  if (shape.rank == 2) CO_RETURN_IF_FAILED(keras_as_image(net, layer, in, &in));
  const co_shape kernel = co_shape_make(2, last(&shape), units);
  const co_shape pixel = co_shape_make(4, (int64_t)1, (int64_t)1, last(&shape), units);
  const char *options =
      co_arena_format(net->arena,
                      pixels ? "\"filters\": %lld, \"kernel_size\": 1, \"use_bias\": %s"
                             : "\"units\": %lld, \"use_bias\": %s",
                      (long long)units, use_bias ? "true" : "false");
  float *values;
  CO_RETURN_IF_FAILED(
      keras_emit(net, layer, "", pixels ? "Conv2D" : "Dense", options, &in, 1, out));
  net->items[net->item_count - 1].activation = activation;
  CO_RETURN_IF_FAILED(keras_take(layer, "kernel", &kernel, &values));
  CO_RETURN_IF_FAILED(keras_add_weight(net, layer, "kernel", pixels ? &pixel : &kernel, values));
  CO_RETURN_IF_FAILED(take_bias(net, layer, use_bias, units));
  shape.dim[shape.rank - 1] = units;
  set_shape(net, *out, shape);
  return CO_OK;
}

// A window that goes over an image, or, of one dimension, over a sequence held as one.
typedef struct window {
  int dimensions;
  int64_t size[2], strides[2], dilation[2]; // height 1 where there is one dimension
  int padding;                              // place among `paddings`
} window;

static const char *const paddings[] = {"valid", "same", NULL};

// Reads options by their names in Keras 2; `size_also`, `strides_also` in Keras 1. `strides` default to
// `size` where `own` is false.
static co_status read_window(keras_layer *layer, window *w, const char *size, const char *size_also,
                             const char *strides_also, bool own) {
  const int first = 2 - w->dimensions;
  for (int i = 0; i < 2; i++)
    w->size[i] = w->strides[i] = w->dilation[i] = 1;
  CO_RETURN_IF_FAILED(
      keras_ints(layer, size, size_also, w->dimensions, own ? 0 : 2, w->size + first));
  if (!own) memcpy(w->strides, w->size, sizeof w->size);
  if (layer->config && (co_node_get(layer->config, "strides") || strides_also)) {
    const co_node *given = keras_option(layer, "strides", strides_also);
    if (given)
      CO_RETURN_IF_FAILED(
          keras_ints(layer, "strides", strides_also, w->dimensions, 1, w->strides + first));
  }
  CO_RETURN_IF_FAILED(keras_word(layer, "padding", "border_mode", paddings, 0, &w->padding));
  return keras_channels_last(layer);
}

static co_status slide(const keras_layer *layer, const window *w, co_shape *shape) {
  for (int i = 2 - w->dimensions; i < 2; i++) {
    int64_t *extent = &shape->dim[i - (2 - w->dimensions)];
    const int64_t reach = (w->size[i] - 1) * w->dilation[i] + 1;
    if (w->padding == 0 && reach > *extent)
      return keras_refuse(layer, "a window of %lld is larger than its input of %lld",
                          (long long)reach, (long long)*extent);
    *extent = w->padding == 0 ? (*extent - reach) / w->strides[i] + 1
                              : (*extent + w->strides[i] - 1) / w->strides[i];
  }
  return CO_OK;
}

// The kernel of a convolution as (KH, KW, C, F). Keras 1 stored those of one dimension as (K, 1, C, F);
// Theano's convolutions turn the kernel round.
static co_status take_kernel(keras_layer *layer, const window *w, int64_t channels, int64_t filters,
                             co_shape *shape, float **out) {
  const int64_t area = w->size[0] * w->size[1], block = channels * filters;
  const co_shape one = co_shape_make(3, w->size[1], channels, filters);
  const co_shape old = co_shape_make(4, w->size[1], (int64_t)1, channels, filters);
  *shape = co_shape_make(4, w->size[0], w->size[1], channels, filters);
  CO_RETURN_IF_FAILED(keras_take(layer, "kernel",
                                 w->dimensions == 2        ? shape
                                 : layer->file->major == 1 ? &old
                                                           : &one,
                                 out));
  if (!layer->file->theano) return CO_OK;
  float *turned = co_arena_alloc(layer->file->arena, (size_t)(area * block) + 1, sizeof *turned);
  if (!turned) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < area; i++)
    memcpy(turned + i * block, *out + (area - 1 - i) * block, (size_t)block * sizeof **out);
  *out = turned;
  return CO_OK;
}

static co_status read_convolution(keras_layer *layer, window *w) {
  const bool two = w->dimensions == 2;
  int64_t groups;
  if (co_node_get(layer->config, "nb_row")) { // Keras 1
    int64_t rows, columns;
    CO_RETURN_IF_FAILED(keras_int(layer, "nb_row", NULL, 0, &rows));
    CO_RETURN_IF_FAILED(keras_int(layer, "nb_col", NULL, 0, &columns));
    CO_RETURN_IF_FAILED(read_window(layer, w, "kernel_size", NULL, "subsample", false));
    for (int i = 0; i < 2; i++)
      w->strides[i] = keras_option(layer, "subsample", NULL) ? w->strides[i] : 1;
    w->size[0] = rows;
    w->size[1] = columns;
  } else {
    CO_RETURN_IF_FAILED(read_window(layer, w, "kernel_size", two ? NULL : "filter_length",
                                    two ? "subsample" : "subsample_length", true));
  }
  CO_RETURN_IF_FAILED(keras_ints(layer, "dilation_rate", "atrous_rate", w->dimensions, 1,
                                 w->dilation + (2 - w->dimensions)));
  CO_RETURN_IF_FAILED(keras_int(layer, "groups", NULL, 1, &groups));
  return groups == 1 ? CO_OK : keras_refuse(layer, "there are no groups: %lld", (long long)groups);
}

static co_status convolution(keras_network *net, keras_layer *layer, const keras_call *call,
                             int dimensions, int64_t *out) {
  window w = {.dimensions = dimensions};
  int64_t filters, in = call->in[0];
  bool use_bias;
  const char *activation;
  CO_RETURN_IF_FAILED(keras_int(layer, "filters", "nb_filter", 0, &filters));
  CO_RETURN_IF_FAILED(read_convolution(layer, &w));
  CO_RETURN_IF_FAILED(keras_bool(layer, "use_bias", "bias", true, &use_bias));
  CO_RETURN_IF_FAILED(keras_activation(layer, "activation", "linear", &activation));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(need_rank(net, layer, in, dimensions + 1));
  co_shape shape = *shape_of(net, in), kernel;
  if (dimensions == 1) CO_RETURN_IF_FAILED(keras_as_image(net, layer, in, &in));
  const char *options = co_arena_format(
      net->arena,
      "\"filters\": %lld, \"kernel_size\": [%lld, %lld], \"strides\": [%lld, %lld], "
      "\"dilation_rate\": [%lld, %lld], \"padding\": \"%s\", \"use_bias\": %s",
      (long long)filters, (long long)w.size[0], (long long)w.size[1], (long long)w.strides[0],
      (long long)w.strides[1], (long long)w.dilation[0], (long long)w.dilation[1],
      paddings[w.padding], use_bias ? "true" : "false");
  float *values;
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Conv2D", options, &in, 1, out));
  net->items[net->item_count - 1].activation = activation;
  CO_RETURN_IF_FAILED(take_kernel(layer, &w, last(&shape), filters, &kernel, &values));
  CO_RETURN_IF_FAILED(keras_add_weight(net, layer, "kernel", &kernel, values));
  CO_RETURN_IF_FAILED(take_bias(net, layer, use_bias, filters));
  CO_RETURN_IF_FAILED(slide(layer, &w, &shape));
  shape.dim[shape.rank - 1] = filters;
  set_shape(net, *out, shape);
  return CO_OK;
}

static co_status conv1d(keras_network *net, keras_layer *layer, const keras_call *call,
                        int64_t *out) {
  return convolution(net, layer, call, 1, out);
}

static co_status conv2d(keras_network *net, keras_layer *layer, const keras_call *call,
                        int64_t *out) {
  return convolution(net, layer, call, 2, out);
}

// ---- pooling -----------------------------------------------------------------------------------

static co_status max_pooling(keras_network *net, keras_layer *layer, const keras_call *call,
                             int dimensions, int64_t *out) {
  window w = {.dimensions = dimensions};
  int64_t in = call->in[0];
  CO_RETURN_IF_FAILED(read_window(layer, &w, "pool_size", dimensions == 1 ? "pool_length" : NULL,
                                  dimensions == 1 ? "stride" : NULL, false));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(need_rank(net, layer, in, dimensions + 1));
  co_shape shape = *shape_of(net, in);
  if (dimensions == 1) CO_RETURN_IF_FAILED(keras_as_image(net, layer, in, &in));
  const char *options = co_arena_format(
      net->arena, "\"pool_size\": [%lld, %lld], \"strides\": [%lld, %lld], \"padding\": \"%s\"",
      (long long)w.size[0], (long long)w.size[1], (long long)w.strides[0], (long long)w.strides[1],
      paddings[w.padding]);
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "MaxPooling2D", options, &in, 1, out));
  CO_RETURN_IF_FAILED(slide(layer, &w, &shape));
  set_shape(net, *out, shape);
  return CO_OK;
}

static co_status max_pooling1d(keras_network *net, keras_layer *layer, const keras_call *call,
                               int64_t *out) {
  return max_pooling(net, layer, call, 1, out);
}

static co_status max_pooling2d(keras_network *net, keras_layer *layer, const keras_call *call,
                               int64_t *out) {
  return max_pooling(net, layer, call, 2, out);
}

// Over all pixels; `mean`, or the maximum by a window as large as the image.
static co_status global_pooling(keras_network *net, keras_layer *layer, const keras_call *call,
                                int dimensions, bool mean, int64_t *out) {
  int64_t in = call->in[0];
  CO_RETURN_IF_FAILED(keras_channels_last(layer));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(need_rank(net, layer, in, dimensions + 1));
  const co_shape x = *shape_of(net, in), channels = co_shape_make(1, last(&x));
  if (dimensions == 1) CO_RETURN_IF_FAILED(keras_as_image(net, layer, in, &in));
  if (mean) {
    CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "GlobalAveragePooling2D", NULL, &in, 1, out));
  } else {
    int64_t pooled;
    const char *options = co_arena_format(net->arena, "\"pool_size\": [%lld, %lld]",
                                          (long long)(dimensions == 1 ? 1 : x.dim[0]),
                                          (long long)x.dim[dimensions - 1]);
    CO_RETURN_IF_FAILED(
        keras_emit(net, layer, "_window", "MaxPooling2D", options, &in, 1, &pooled));
    CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Flatten", NULL, &pooled, 1, out));
  }
  set_shape(net, *out, channels);
  net->values[*out].row = false;
  return CO_OK;
}

static co_status global_average1d(keras_network *net, keras_layer *layer, const keras_call *call,
                                  int64_t *out) {
  return global_pooling(net, layer, call, 1, true, out);
}

static co_status global_average2d(keras_network *net, keras_layer *layer, const keras_call *call,
                                  int64_t *out) {
  return global_pooling(net, layer, call, 2, true, out);
}

static co_status global_max1d(keras_network *net, keras_layer *layer, const keras_call *call,
                              int64_t *out) {
  return global_pooling(net, layer, call, 1, false, out);
}

static co_status global_max2d(keras_network *net, keras_layer *layer, const keras_call *call,
                              int64_t *out) {
  return global_pooling(net, layer, call, 2, false, out);
}

static co_status up_sampling2d(keras_network *net, keras_layer *layer, const keras_call *call,
                               int64_t *out) {
  static const char *const words[] = {"nearest", NULL};
  int64_t size[2];
  int ignored;
  CO_RETURN_IF_FAILED(keras_ints(layer, "size", NULL, 2, 2, size));
  CO_RETURN_IF_FAILED(keras_word(layer, "interpolation", NULL, words, 0, &ignored));
  CO_RETURN_IF_FAILED(keras_channels_last(layer));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(need_rank(net, layer, call->in[0], 3));
  co_shape shape = *shape_of(net, call->in[0]);
  const char *options =
      co_arena_format(net->arena, "\"size\": [%lld, %lld]", (long long)size[0], (long long)size[1]);
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "UpSampling2D", options, call->in, 1, out));
  for (int i = 0; i < 2; i++)
    shape.dim[i] *= size[i];
  set_shape(net, *out, shape);
  return CO_OK;
}

// ---- functions ---------------------------------------------------------------------------------

static co_status activation(keras_network *net, keras_layer *layer, const keras_call *call,
                            int64_t *out) {
  const char *name;
  CO_RETURN_IF_FAILED(keras_activation(layer, "activation", "linear", &name));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Activation", NULL, call->in, 1, out));
  net->items[net->item_count - 1].activation = name;
  return CO_OK;
}

static co_status softmax(keras_network *net, keras_layer *layer, const keras_call *call,
                         int64_t *out) {
  const co_node *axis = keras_option(layer, "axis", NULL);
  int64_t number = -1;
  if (axis &&
      (!co_node_int(axis, &number) || (number != -1 && number != shape_of(net, call->in[0])->rank)))
    return keras_refuse(layer, "there is no axis but the last");
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Activation", NULL, call->in, 1, out));
  net->items[net->item_count - 1].activation = "softmax";
  return CO_OK;
}

static co_status relu(keras_network *net, keras_layer *layer, const keras_call *call,
                      int64_t *out) {
  double slope, threshold;
  CO_RETURN_IF_FAILED(keras_double(layer, "negative_slope", NULL, 0, &slope));
  CO_RETURN_IF_FAILED(keras_double(layer, "threshold", "theta", 0, &threshold));
  if (threshold != 0) return keras_refuse(layer, "there is no threshold: %g", threshold);
  CO_RETURN_IF_FAILED(keras_rest(layer)); // max_value
  if (slope == 0) return keras_emit(net, layer, "", "ReLU", NULL, call->in, 1, out);
  return keras_emit(net, layer, "", "LeakyReLU",
                    format_number(net->arena, "\"negative_slope\": %s", slope), call->in, 1, out);
}

static co_status leaky_relu(keras_network *net, keras_layer *layer, const keras_call *call,
                            int64_t *out) {
  double slope;
  CO_RETURN_IF_FAILED(keras_double(layer, "negative_slope", "alpha", 0.3, &slope));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  return keras_emit(net, layer, "", "LeakyReLU",
                    format_number(net->arena, "\"negative_slope\": %s", slope), call->in, 1, out);
}

static co_status elu(keras_network *net, keras_layer *layer, const keras_call *call, int64_t *out) {
  double alpha;
  CO_RETURN_IF_FAILED(keras_double(layer, "alpha", NULL, 1, &alpha));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  return keras_emit(net, layer, "", "ELU", format_number(net->arena, "\"alpha\": %s", alpha),
                    call->in, 1, out);
}

static co_status dropout(keras_network *net, keras_layer *layer, const keras_call *call,
                         int64_t *out) {
  double rate;
  CO_RETURN_IF_FAILED(keras_double(layer, "rate", "p", 0, &rate));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  return keras_emit(net, layer, "", "Dropout", format_number(net->arena, "\"rate\": %s", rate),
                    call->in, 1, out);
}

static co_status rescaling(keras_network *net, keras_layer *layer, const keras_call *call,
                           int64_t *out) {
  double scale, offset;
  CO_RETURN_IF_FAILED(keras_double(layer, "scale", NULL, 1, &scale));
  CO_RETURN_IF_FAILED(keras_double(layer, "offset", NULL, 0, &offset));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  const char *first = format_number(net->arena, "\"scale\": %s", scale);
  const char *second = format_number(net->arena, "\"offset\": %s", offset);
  if (!first || !second) return CO_ERR_MEMORY;
  return keras_emit(net, layer, "", "Rescaling",
                    co_arena_format(net->arena, "%s, %s", first, second), call->in, 1, out);
}

// ---- normalisations ----------------------------------------------------------------------------

// That it goes along the last dimension: -1, or its number, the batch included; one alone.
static co_status need_last_axis(const keras_network *net, keras_layer *layer, int64_t value) {
  const co_node *axis = keras_option(layer, "axis", NULL);
  int64_t number = -1;
  if (axis && axis->kind == CO_NODE_LIST && axis->count == 1) axis = axis->items[0];
  if (axis &&
      (!co_node_int(axis, &number) || (number != -1 && number != shape_of(net, value)->rank)))
    return keras_refuse(layer, "there is no axis but the last: %s", co_node_brief(axis));
  return CO_OK;
}

// gamma or beta, or what stands in for it where the layer has none.
static co_status take_or(keras_network *net, keras_layer *layer, const char *name, bool there,
                         float instead, const co_shape *shape) {
  float *values = there ? NULL : co_arena_alloc(net->arena, (size_t)shape->dim[0], sizeof *values);
  for (int64_t i = 0; values && i < shape->dim[0]; i++)
    values[i] = instead;
  if (there) CO_RETURN_IF_FAILED(keras_take(layer, name, shape, &values));
  return values ? keras_add_weight(net, layer, name, shape, values) : CO_ERR_MEMORY;
}

static co_status batch_normalization(keras_network *net, keras_layer *layer, const keras_call *call,
                                     int64_t *out) {
  double momentum, epsilon, mode;
  bool scale, center;
  CO_RETURN_IF_FAILED(keras_double(layer, "momentum", NULL, 0.99, &momentum));
  CO_RETURN_IF_FAILED(keras_double(layer, "epsilon", NULL, 1e-3, &epsilon));
  CO_RETURN_IF_FAILED(keras_double(layer, "mode", NULL, 0, &mode));
  CO_RETURN_IF_FAILED(keras_bool(layer, "scale", NULL, true, &scale));
  CO_RETURN_IF_FAILED(keras_bool(layer, "center", NULL, true, &center));
  CO_RETURN_IF_FAILED(need_last_axis(net, layer, call->in[0]));
  if (mode != 0) return keras_refuse(layer, "there is no mode %g", mode);
  CO_RETURN_IF_FAILED(keras_rest(layer));
  const char *first = format_number(net->arena, "\"momentum\": %s", momentum);
  const char *second = format_number(net->arena, "\"epsilon\": %s", epsilon);
  if (!first || !second) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "BatchNormalization",
                                 co_arena_format(net->arena, "%s, %s", first, second), call->in, 1,
                                 out));
  if ((!scale || !center) && net->items[net->item_count - 1].trainable)
    CO_RETURN_IF_FAILED(
        keras_leave_out(net, layer, "a gamma or beta that it has not is 1 or 0, and trained here"));
  const co_shape shape = co_shape_make(1, last(shape_of(net, *out)));
  CO_RETURN_IF_FAILED(take_or(net, layer, "gamma", scale, 1, &shape));
  CO_RETURN_IF_FAILED(take_or(net, layer, "beta", center, 0, &shape));
  CO_RETURN_IF_FAILED(take_or(net, layer, "moving_mean", true, 0, &shape));
  return take_or(net, layer, "moving_variance", true, 1, &shape);
}

static co_status layer_normalization(keras_network *net, keras_layer *layer, const keras_call *call,
                                     int64_t *out) {
  double epsilon;
  bool scale, center;
  CO_RETURN_IF_FAILED(keras_double(layer, "epsilon", NULL, 1e-3, &epsilon));
  CO_RETURN_IF_FAILED(keras_bool(layer, "scale", NULL, true, &scale));
  CO_RETURN_IF_FAILED(keras_bool(layer, "center", NULL, true, &center));
  CO_RETURN_IF_FAILED(need_last_axis(net, layer, call->in[0]));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "LayerNormalization",
                                 format_number(net->arena, "\"epsilon\": %s", epsilon), call->in, 1,
                                 out));
  const co_shape shape = co_shape_make(1, last(shape_of(net, *out)));
  CO_RETURN_IF_FAILED(take_or(net, layer, "gamma", scale, 1, &shape));
  return take_or(net, layer, "beta", center, 0, &shape);
}

// ---- shapes ------------------------------------------------------------------------------------

static co_status flatten(keras_network *net, keras_layer *layer, const keras_call *call,
                         int64_t *out) {
  CO_RETURN_IF_FAILED(keras_channels_last(layer));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Flatten", NULL, call->in, 1, out));
  set_shape(net, *out, co_shape_make(1, co_shape_count(shape_of(net, call->in[0]))));
  net->values[*out].row = false;
  return CO_OK;
}

static co_status emit_reshape(keras_network *net, keras_layer *layer, const char *suffix,
                              int64_t in, co_shape shape, int64_t *out) {
  co_text text;
  co_text_init(&text, co_arena_context(net->arena));
  co_text_printf(&text, "\"target_shape\": [");
  for (int i = 0; i < shape.rank; i++)
    co_text_printf(&text, "%s%lld", i ? ", " : "", (long long)shape.dim[i]);
  co_text_printf(&text, "]");
  const char *options = text.status == CO_OK ? co_arena_strdup(net->arena, text.data) : NULL;
  co_text_free(&text);
  if (!options) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(keras_emit(net, layer, suffix, "Reshape", options, &in, 1, out));
  set_shape(net, *out, shape);
  net->values[*out].row = false;
  return CO_OK;
}

static co_status reshape(keras_network *net, keras_layer *layer, const keras_call *call,
                         int64_t *out) {
  const co_node *list = keras_option(layer, "target_shape", NULL);
  const int64_t have = co_shape_count(shape_of(net, call->in[0]));
  co_shape shape = {0};
  int64_t want = 1;
  int open = -1;
  CO_RETURN_IF_FAILED(keras_rest(layer));
  bool good =
      list && list->kind == CO_NODE_LIST && list->count >= 1 && list->count <= CO_MAX_RANK - 1;
  shape.rank = good ? (int32_t)list->count : 0;
  for (int i = 0; good && i < shape.rank; i++) {
    good = co_node_int(list->items[i], &shape.dim[i]) && shape.dim[i] <= INT32_MAX &&
           (shape.dim[i] > 0 || (shape.dim[i] == -1 && open < 0));
    if (good && shape.dim[i] == -1) open = i;
    if (good && i != open && want <= have) want *= shape.dim[i];
  }
  if (good && open >= 0 && want <= have) shape.dim[open] = have / want;
  if (good) good = open >= 0 ? want <= have && have % want == 0 : want == have;
  if (!good) return keras_refuse(layer, "its target_shape does not fit its input");
  return emit_reshape(net, layer, "", call->in[0], shape, out);
}

// (F) to (n, F): an image of one pixel, made higher.
static co_status repeat_vector(keras_network *net, keras_layer *layer, const keras_call *call,
                               int64_t *out) {
  int64_t n, pixel, image;
  CO_RETURN_IF_FAILED(keras_int(layer, "n", NULL, 0, &n));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(need_rank(net, layer, call->in[0], 1));
  const int64_t width = shape_of(net, call->in[0])->dim[0];
  CO_RETURN_IF_FAILED(emit_reshape(net, layer, "_pixel", call->in[0],
                                   co_shape_make(3, (int64_t)1, (int64_t)1, width), &pixel));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "UpSampling2D",
                                 co_arena_format(net->arena, "\"size\": [1, %lld]", (long long)n),
                                 &pixel, 1, &image));
  set_shape(net, image, co_shape_make(2, n, width));
  net->values[image].row = true;
  *out = image;
  return CO_OK;
}

// ---- several inputs ----------------------------------------------------------------------------

// All of one shape, but for the last dimension where they are joined; held alike.
static co_status gather(keras_network *net, keras_layer *layer, const keras_call *call, bool join,
                        int64_t **out) {
  int64_t *in = co_arena_alloc(net->arena, (size_t)call->count, sizeof *in);
  if (!in) return CO_ERR_MEMORY;
  if (call->count < 2) return keras_refuse(layer, "it needs several inputs");
  const co_shape first = *shape_of(net, call->in[0]);
  for (int64_t i = 0; i < call->count; i++) {
    co_shape shape = *shape_of(net, call->in[i]);
    if (join && shape.rank) shape.dim[shape.rank - 1] = last(&first);
    if (!co_shape_equal(&shape, &first)) return keras_refuse(layer, "its inputs differ in shape");
    CO_RETURN_IF_FAILED(keras_as_is(net, layer, call->in[i], &in[i]));
  }
  *out = in;
  return CO_OK;
}

static co_status concatenate(keras_network *net, keras_layer *layer, const keras_call *call,
                             int64_t *out) {
  int64_t *in, width = 0;
  CO_RETURN_IF_FAILED(need_last_axis(net, layer, call->in[0]));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(gather(net, layer, call, true, &in));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Concatenate", NULL, in, call->count, out));
  for (int64_t i = 0; i < call->count; i++)
    width += last(shape_of(net, in[i]));
  net->values[*out].shape.dim[net->values[*out].shape.rank - 1] = width;
  return CO_OK;
}

static co_status combine(keras_network *net, keras_layer *layer, const keras_call *call,
                         const char *class_, int64_t *out) {
  int64_t *in;
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(gather(net, layer, call, false, &in));
  return keras_emit(net, layer, "", class_, NULL, in, call->count, out);
}

static co_status add(keras_network *net, keras_layer *layer, const keras_call *call, int64_t *out) {
  return combine(net, layer, call, "Add", out);
}

static co_status multiply(keras_network *net, keras_layer *layer, const keras_call *call,
                          int64_t *out) {
  return combine(net, layer, call, "Multiply", out);
}

// ---- the table ---------------------------------------------------------------------------------

typedef co_status mapper(keras_network *net, keras_layer *layer, const keras_call *call,
                         int64_t *out);

static const struct {
  const char *class_;
  mapper *map;
} known[] = {{"Dense", dense},
             {"TimeDistributedDense", dense}, // Keras 1
             {"Conv1D", conv1d},
             {"Convolution1D", conv1d},
             {"Conv2D", conv2d},
             {"Convolution2D", conv2d},
             {"MaxPooling1D", max_pooling1d},
             {"MaxPooling2D", max_pooling2d},
             {"GlobalAveragePooling1D", global_average1d},
             {"GlobalAveragePooling2D", global_average2d},
             {"GlobalMaxPooling1D", global_max1d},
             {"GlobalMaxPooling2D", global_max2d},
             {"UpSampling2D", up_sampling2d},
             {"Activation", activation},
             {"Softmax", softmax},
             {"ReLU", relu},
             {"LeakyReLU", leaky_relu},
             {"ELU", elu},
             {"Dropout", dropout},
             {"Rescaling", rescaling},
             {"BatchNormalization", batch_normalization},
             {"LayerNormalization", layer_normalization},
             {"Flatten", flatten},
             {"Reshape", reshape},
             {"RepeatVector", repeat_vector},
             {"Concatenate", concatenate},
             {"Add", add},
             {"Multiply", multiply}};

co_status keras_map(keras_network *net, keras_layer *layer, const int64_t *in, int64_t count,
                    int64_t *out) {
  const keras_call call = {in, count};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(known[i].class_, layer->class_) != 0) continue;
    if (!count) return keras_refuse(layer, "it has no input");
    CO_RETURN_IF_FAILED(known[i].map(net, layer, &call, out));
    if (layer->taken == layer->array_count) return CO_OK;
    return keras_refuse(layer, "the file has %lld weights of it instead of %lld",
                        (long long)layer->array_count, (long long)layer->taken);
  }
  co_status status = keras_refuse(layer, "Cohort has no such layer");
  co_hint("`cohort help layers` lists those that there are");
  return status;
}
