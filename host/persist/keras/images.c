// SPDX-License-Identifier: Apache-2.0
// Products, convolutions and what goes over images. What has one spatial dimension is held as an image of one
// row; a Dense of several dimensions is a convolution of one pixel.
#include <string.h>

#include "host/persist/keras/keras_private.h"

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
  co_shape shape = *keras_shape(net, in);
  const bool pixels = shape.rank > 1;
  if (shape.rank > 3) return keras_need_rank(net, layer, in, 3);
  if (shape.rank == 2) CO_RETURN_IF_FAILED(keras_as_image(net, layer, in, &in));
  const co_shape kernel = co_shape_make(2, keras_channels(&shape), units);
  const co_shape pixel = co_shape_make(4, (int64_t)1, (int64_t)1, keras_channels(&shape), units);
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
  keras_set_shape(net, *out, shape);
  return CO_OK;
}

// A window that goes over an image, or, of one dimension, over a sequence held as one.
typedef struct window {
  int dimensions;
  int64_t size[2], strides[2], dilation[2]; // height 1 where there is one dimension
  int padding;                              // place among `paddings`
} window;

enum { VALID, SAME, CAUSAL };
static const char *const paddings[] = {"valid", "same", NULL};
static const char *const paddings1d[] = {"valid", "same", "causal", NULL};

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
  CO_RETURN_IF_FAILED(keras_word(layer, "padding", "border_mode",
                                 own && w->dimensions == 1 ? paddings1d : paddings, VALID,
                                 &w->padding));
  return keras_channels_last(layer);
}

static co_status slide(const keras_layer *layer, const window *w, co_shape *shape) {
  for (int i = 2 - w->dimensions; i < 2; i++) {
    int64_t *extent = &shape->dim[i - (2 - w->dimensions)];
    const int64_t reach = (w->size[i] - 1) * w->dilation[i] + 1;
    if (w->padding != SAME && reach > *extent)
      return keras_refuse(layer, "a window of %lld is larger than its input of %lld",
                          (long long)reach, (long long)*extent);
    *extent = w->padding != SAME ? (*extent - reach) / w->strides[i] + 1
                                 : (*extent + w->strides[i] - 1) / w->strides[i];
  }
  return CO_OK;
}

// A causal convolution is a valid one behind so many zeros.
static co_status pad_causally(keras_network *net, const keras_layer *layer, const window *w,
                              co_shape *shape, int64_t *in) {
  if (w->padding != CAUSAL) return CO_OK;
  const int64_t zeros = (w->size[1] - 1) * w->dilation[1];
  shape->dim[0] += zeros;
  const char *options =
      co_arena_format(net->arena, "\"padding\": [[0, 0], [%lld, 0]]", (long long)zeros);
  return keras_emit(net, layer, "_causal", "ZeroPadding2D", options, in, 1, in);
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
  if (!layer->file->theano || layer->call) return CO_OK; // the first call's are the weights
  float *turned = co_arena_alloc(layer->file->arena, (size_t)(area * block) + 1, sizeof *turned);
  if (!turned) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < area; i++)
    memcpy(turned + i * block, *out + (area - 1 - i) * block, (size_t)block * sizeof **out);
  *out = turned;
  return CO_OK;
}

static co_status read_convolution(keras_layer *layer, window *w) {
  const bool two = w->dimensions == 2;
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
  return keras_ints(layer, "dilation_rate", "atrous_rate", w->dimensions, 1,
                    w->dilation + (2 - w->dimensions));
}

static co_status convolution(keras_network *net, keras_layer *layer, const keras_call *call,
                             int dimensions, int64_t *out) {
  window w = {.dimensions = dimensions};
  int64_t filters, groups, in = call->in[0];
  bool use_bias;
  const char *activation;
  CO_RETURN_IF_FAILED(keras_int(layer, "filters", "nb_filter", 0, &filters));
  CO_RETURN_IF_FAILED(read_convolution(layer, &w));
  CO_RETURN_IF_FAILED(keras_int(layer, "groups", NULL, 1, &groups));
  CO_RETURN_IF_FAILED(keras_bool(layer, "use_bias", "bias", true, &use_bias));
  CO_RETURN_IF_FAILED(keras_activation(layer, "activation", "linear", &activation));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_need_rank(net, layer, in, dimensions + 1));
  co_shape shape = *keras_shape(net, in), kernel;
  const int64_t channels = keras_channels(&shape);
  if (channels % groups || filters % groups)
    return keras_refuse(layer, "its groups do not divide channels and filters");
  if (dimensions == 1) CO_RETURN_IF_FAILED(keras_as_image(net, layer, in, &in));
  CO_RETURN_IF_FAILED(pad_causally(net, layer, &w, &shape, &in));
  const char *options = co_arena_format(
      net->arena,
      "\"filters\": %lld, \"kernel_size\": [%lld, %lld], \"strides\": [%lld, %lld], "
      "\"dilation_rate\": [%lld, %lld], \"groups\": %lld, \"padding\": \"%s\", \"use_bias\": %s",
      (long long)filters, (long long)w.size[0], (long long)w.size[1], (long long)w.strides[0],
      (long long)w.strides[1], (long long)w.dilation[0], (long long)w.dilation[1],
      (long long)groups, w.padding == SAME ? "same" : "valid", use_bias ? "true" : "false");
  float *values;
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Conv2D", options, &in, 1, out));
  net->items[net->item_count - 1].activation = activation;
  CO_RETURN_IF_FAILED(take_kernel(layer, &w, channels / groups, filters, &kernel, &values));
  CO_RETURN_IF_FAILED(keras_add_weight(net, layer, "kernel", &kernel, values));
  CO_RETURN_IF_FAILED(take_bias(net, layer, use_bias, filters));
  CO_RETURN_IF_FAILED(slide(layer, &w, &shape));
  shape.dim[shape.rank - 1] = filters;
  keras_set_shape(net, *out, shape);
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

// Options that a convolution of each channel alone has beside its window.
static co_status read_depthwise(keras_network *net, keras_layer *layer, const keras_call *call,
                                window *w, int64_t *multiplier, bool *use_bias,
                                const char **activation) {
  if (layer->file->theano) return keras_refuse(layer, "of Theano there is none");
  CO_RETURN_IF_FAILED(read_convolution(layer, w));
  CO_RETURN_IF_FAILED(keras_int(layer, "depth_multiplier", NULL, 1, multiplier));
  CO_RETURN_IF_FAILED(keras_bool(layer, "use_bias", "bias", true, use_bias));
  CO_RETURN_IF_FAILED(keras_activation(layer, "activation", "linear", activation));
  return keras_need_rank(net, layer, call->in[0], 3);
}

// As JSON, but for the filters.
static const char *window_options(const keras_network *net, const window *w, int64_t multiplier,
                                  bool use_bias) {
  return co_arena_format(
      net->arena,
      "\"kernel_size\": [%lld, %lld], \"strides\": [%lld, %lld], \"dilation_rate\": [%lld, %lld], "
      "\"padding\": \"%s\", \"depth_multiplier\": %lld, \"use_bias\": %s",
      (long long)w->size[0], (long long)w->size[1], (long long)w->strides[0],
      (long long)w->strides[1], (long long)w->dilation[0], (long long)w->dilation[1],
      paddings[w->padding], (long long)multiplier, use_bias ? "true" : "false");
}

// Keras' (KH, KW, C, M) and Cohort's (KH, KW, 1, C M) are the same numbers.
static co_status take_depthwise(keras_network *net, keras_layer *layer, const window *w,
                                int64_t channels, int64_t multiplier, const char *name) {
  const co_shape theirs = co_shape_make(4, w->size[0], w->size[1], channels, multiplier);
  const co_shape ours = co_shape_make(4, w->size[0], w->size[1], (int64_t)1, channels * multiplier);
  float *values;
  CO_RETURN_IF_FAILED(keras_take(layer, "depthwise kernel", &theirs, &values));
  return keras_add_weight(net, layer, name, &ours, values);
}

static co_status depthwise(keras_network *net, keras_layer *layer, const keras_call *call,
                           int64_t *out) {
  window w = {.dimensions = 2};
  int64_t multiplier;
  bool use_bias;
  const char *activation;
  CO_RETURN_IF_FAILED(read_depthwise(net, layer, call, &w, &multiplier, &use_bias, &activation));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  co_shape shape = *keras_shape(net, call->in[0]);
  const int64_t channels = keras_channels(&shape);
  const char *options = window_options(net, &w, multiplier, use_bias);
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "DepthwiseConv2D", options, call->in, 1, out));
  net->items[net->item_count - 1].activation = activation;
  CO_RETURN_IF_FAILED(take_depthwise(net, layer, &w, channels, multiplier, "kernel"));
  CO_RETURN_IF_FAILED(take_bias(net, layer, use_bias, channels * multiplier));
  CO_RETURN_IF_FAILED(slide(layer, &w, &shape));
  shape.dim[2] = channels * multiplier;
  keras_set_shape(net, *out, shape);
  return CO_OK;
}

static co_status separable(keras_network *net, keras_layer *layer, const keras_call *call,
                           int64_t *out) {
  window w = {.dimensions = 2};
  int64_t multiplier, filters;
  bool use_bias;
  const char *activation;
  CO_RETURN_IF_FAILED(keras_int(layer, "filters", "nb_filter", 0, &filters));
  CO_RETURN_IF_FAILED(read_depthwise(net, layer, call, &w, &multiplier, &use_bias, &activation));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  co_shape shape = *keras_shape(net, call->in[0]);
  const int64_t channels = keras_channels(&shape);
  const co_shape pointwise =
      co_shape_make(4, (int64_t)1, (int64_t)1, channels * multiplier, filters);
  const char *sliding = window_options(net, &w, multiplier, use_bias);
  const char *options = co_arena_format(net->arena, "\"filters\": %lld, %s", (long long)filters,
                                        sliding ? sliding : "");
  float *values;
  if (!sliding || !options) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "SeparableConv2D", options, call->in, 1, out));
  net->items[net->item_count - 1].activation = activation;
  CO_RETURN_IF_FAILED(take_depthwise(net, layer, &w, channels, multiplier, "depthwise_kernel"));
  CO_RETURN_IF_FAILED(keras_take(layer, "pointwise kernel", &pointwise, &values));
  CO_RETURN_IF_FAILED(keras_add_weight(net, layer, "pointwise_kernel", &pointwise, values));
  CO_RETURN_IF_FAILED(take_bias(net, layer, use_bias, filters));
  CO_RETURN_IF_FAILED(slide(layer, &w, &shape));
  shape.dim[2] = filters;
  keras_set_shape(net, *out, shape);
  return CO_OK;
}

static co_status transposed(keras_network *net, keras_layer *layer, const keras_call *call,
                            int64_t *out) {
  window w = {.dimensions = 2};
  int64_t filters;
  bool use_bias;
  const char *activation;
  if (layer->file->theano) return keras_refuse(layer, "of Theano there is none");
  CO_RETURN_IF_FAILED(keras_int(layer, "filters", "nb_filter", 0, &filters));
  CO_RETURN_IF_FAILED(read_convolution(layer, &w));
  CO_RETURN_IF_FAILED(keras_bool(layer, "use_bias", "bias", true, &use_bias));
  CO_RETURN_IF_FAILED(keras_activation(layer, "activation", "linear", &activation));
  CO_RETURN_IF_FAILED(keras_rest(layer)); // output_padding
  CO_RETURN_IF_FAILED(keras_need_rank(net, layer, call->in[0], 3));
  co_shape shape = *keras_shape(net, call->in[0]);
  const co_shape kernel = co_shape_make(4, w.size[0], w.size[1], filters, keras_channels(&shape));
  for (int i = 0; i < 2; i++) {
    const int64_t reach = (w.size[i] - 1) * w.dilation[i] + 1;
    if (reach < w.strides[i])
      return keras_refuse(layer, "there is no kernel that is smaller than its strides");
    shape.dim[i] =
        w.padding == SAME ? shape.dim[i] * w.strides[i] : (shape.dim[i] - 1) * w.strides[i] + reach;
  }
  shape.dim[2] = filters;
  const char *options = co_arena_format(
      net->arena,
      "\"filters\": %lld, \"kernel_size\": [%lld, %lld], \"strides\": [%lld, %lld], "
      "\"dilation_rate\": [%lld, %lld], \"padding\": \"%s\", \"use_bias\": %s",
      (long long)filters, (long long)w.size[0], (long long)w.size[1], (long long)w.strides[0],
      (long long)w.strides[1], (long long)w.dilation[0], (long long)w.dilation[1],
      paddings[w.padding], use_bias ? "true" : "false");
  float *values;
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Conv2DTranspose", options, call->in, 1, out));
  net->items[net->item_count - 1].activation = activation;
  CO_RETURN_IF_FAILED(keras_take(layer, "kernel", &kernel, &values));
  CO_RETURN_IF_FAILED(keras_add_weight(net, layer, "kernel", &kernel, values));
  CO_RETURN_IF_FAILED(take_bias(net, layer, use_bias, filters));
  keras_set_shape(net, *out, shape);
  return CO_OK;
}

// ---- borders -----------------------------------------------------------------------------------

// A number, one for each dimension, or [before, after] of each; of one dimension also [before, after].
static co_status read_borders(keras_layer *layer, const char *key, int dimensions,
                              int64_t borders[2][2]) {
  const co_node *node = keras_option(layer, key, NULL);
  const bool list = node && node->kind == CO_NODE_LIST;
  bool good = node && (!list || node->count == 2 || (dimensions == 1 && node->count == 1));
  memset(borders, 0, 4 * sizeof **borders);
  for (int d = 0; good && d < dimensions; d++)
    for (int side = 0; good && side < 2; side++) {
      const co_node *at = !list             ? node
                          : dimensions == 1 ? node->items[node->count == 2 ? side : 0]
                                            : node->items[d];
      if (at->kind == CO_NODE_LIST) at = at->count == 2 ? at->items[side] : NULL;
      int64_t *border = &borders[2 - dimensions + d][side];
      good = at && co_node_int(at, border) && *border >= 0 && *border <= 1 << 20;
    }
  return good ? CO_OK : keras_refuse(layer, "its %s is damaged", key);
}

static co_status change_borders(keras_network *net, keras_layer *layer, const keras_call *call,
                                int dimensions, bool pad, int64_t *out) {
  int64_t borders[2][2], in = call->in[0];
  const char *key = pad ? "padding" : "cropping";
  CO_RETURN_IF_FAILED(read_borders(layer, key, dimensions, borders));
  CO_RETURN_IF_FAILED(keras_channels_last(layer));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_need_rank(net, layer, in, dimensions + 1));
  co_shape shape = *keras_shape(net, in);
  for (int d = 0; d < dimensions; d++) {
    const int64_t *border = borders[2 - dimensions + d];
    shape.dim[d] += pad ? border[0] + border[1] : -border[0] - border[1];
    if (shape.dim[d] < 1) return keras_refuse(layer, "nothing of its input is left");
  }
  if (dimensions == 1) CO_RETURN_IF_FAILED(keras_as_image(net, layer, in, &in));
  const char *options = co_arena_format(net->arena, "\"%s\": [[%lld, %lld], [%lld, %lld]]", key,
                                        (long long)borders[0][0], (long long)borders[0][1],
                                        (long long)borders[1][0], (long long)borders[1][1]);
  CO_RETURN_IF_FAILED(
      keras_emit(net, layer, "", pad ? "ZeroPadding2D" : "Cropping2D", options, &in, 1, out));
  keras_set_shape(net, *out, shape);
  return CO_OK;
}

static co_status zero_padding1d(keras_network *net, keras_layer *layer, const keras_call *call,
                                int64_t *out) {
  return change_borders(net, layer, call, 1, true, out);
}

static co_status zero_padding2d(keras_network *net, keras_layer *layer, const keras_call *call,
                                int64_t *out) {
  return change_borders(net, layer, call, 2, true, out);
}

static co_status cropping1d(keras_network *net, keras_layer *layer, const keras_call *call,
                            int64_t *out) {
  return change_borders(net, layer, call, 1, false, out);
}

static co_status cropping2d(keras_network *net, keras_layer *layer, const keras_call *call,
                            int64_t *out) {
  return change_borders(net, layer, call, 2, false, out);
}

// ---- pooling -----------------------------------------------------------------------------------

static co_status pooling(keras_network *net, keras_layer *layer, const keras_call *call,
                         int dimensions, const char *class_, int64_t *out) {
  window w = {.dimensions = dimensions};
  int64_t in = call->in[0];
  CO_RETURN_IF_FAILED(read_window(layer, &w, "pool_size", dimensions == 1 ? "pool_length" : NULL,
                                  dimensions == 1 ? "stride" : NULL, false));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_need_rank(net, layer, in, dimensions + 1));
  co_shape shape = *keras_shape(net, in);
  if (dimensions == 1) CO_RETURN_IF_FAILED(keras_as_image(net, layer, in, &in));
  const char *options = co_arena_format(
      net->arena, "\"pool_size\": [%lld, %lld], \"strides\": [%lld, %lld], \"padding\": \"%s\"",
      (long long)w.size[0], (long long)w.size[1], (long long)w.strides[0], (long long)w.strides[1],
      paddings[w.padding]);
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", class_, options, &in, 1, out));
  CO_RETURN_IF_FAILED(slide(layer, &w, &shape));
  keras_set_shape(net, *out, shape);
  return CO_OK;
}

static co_status max_pooling1d(keras_network *net, keras_layer *layer, const keras_call *call,
                               int64_t *out) {
  return pooling(net, layer, call, 1, "MaxPooling2D", out);
}

static co_status max_pooling2d(keras_network *net, keras_layer *layer, const keras_call *call,
                               int64_t *out) {
  return pooling(net, layer, call, 2, "MaxPooling2D", out);
}

static co_status average_pooling1d(keras_network *net, keras_layer *layer, const keras_call *call,
                                   int64_t *out) {
  return pooling(net, layer, call, 1, "AveragePooling2D", out);
}

static co_status average_pooling2d(keras_network *net, keras_layer *layer, const keras_call *call,
                                   int64_t *out) {
  return pooling(net, layer, call, 2, "AveragePooling2D", out);
}

// Over all pixels; `mean`, or the maximum by a window as large as the image.
static co_status global_pooling(keras_network *net, keras_layer *layer, const keras_call *call,
                                int dimensions, bool mean, int64_t *out) {
  int64_t in = call->in[0];
  CO_RETURN_IF_FAILED(keras_channels_last(layer));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_need_rank(net, layer, in, dimensions + 1));
  const co_shape x = *keras_shape(net, in), channels = co_shape_make(1, keras_channels(&x));
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
  keras_set_shape(net, *out, channels);
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
  CO_RETURN_IF_FAILED(keras_need_rank(net, layer, call->in[0], 3));
  co_shape shape = *keras_shape(net, call->in[0]);
  const char *options =
      co_arena_format(net->arena, "\"size\": [%lld, %lld]", (long long)size[0], (long long)size[1]);
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "UpSampling2D", options, call->in, 1, out));
  for (int i = 0; i < 2; i++)
    shape.dim[i] *= size[i];
  keras_set_shape(net, *out, shape);
  return CO_OK;
}

// ---- the table ---------------------------------------------------------------------------------

const keras_mapping keras_image_mappings[] = {{"Dense", dense},
                                              {"TimeDistributedDense", dense}, // Keras 1
                                              {"Conv1D", conv1d},
                                              {"Convolution1D", conv1d},
                                              {"Conv2D", conv2d},
                                              {"Convolution2D", conv2d},
                                              {"DepthwiseConv2D", depthwise},
                                              {"SeparableConv2D", separable},
                                              {"SeparableConvolution2D", separable},
                                              {"Conv2DTranspose", transposed},
                                              {"MaxPooling1D", max_pooling1d},
                                              {"MaxPooling2D", max_pooling2d},
                                              {"AveragePooling1D", average_pooling1d},
                                              {"AveragePooling2D", average_pooling2d},
                                              {"GlobalAveragePooling1D", global_average1d},
                                              {"GlobalAveragePooling2D", global_average2d},
                                              {"GlobalMaxPooling1D", global_max1d},
                                              {"GlobalMaxPooling2D", global_max2d},
                                              {"UpSampling2D", up_sampling2d},
                                              {"ZeroPadding1D", zero_padding1d},
                                              {"ZeroPadding2D", zero_padding2d},
                                              {"Cropping1D", cropping1d},
                                              {"Cropping2D", cropping2d},
                                              {NULL, NULL}};
