// SPDX-License-Identifier: Apache-2.0
// Layers of Keras as layers of Cohort: functions, normalisations, shapes, several inputs; and the table of all.
#include <string.h>

#include "host/persist/keras/keras_private.h"

static const char *format_number(co_arena *arena, const char *format, double value) {
  char text[32];
  co_double_print(value, text, sizeof text);
  return co_arena_format(arena, format, text);
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

// Klambauer et al., "Self-Normalizing Neural Networks", 2017: scale * elu(x, alpha).
static co_status emit_selu(keras_network *net, const keras_layer *layer, int64_t *value) {
  CO_RETURN_IF_FAILED(
      keras_emit(net, layer, "_elu", "ELU", "\"alpha\": 1.6732632423543772", value, 1, value));
  return keras_emit(net, layer, "_selu", "Rescaling", "\"scale\": 1.0507009873554805", value, 1,
                    value);
}

static co_status softmax(keras_network *net, keras_layer *layer, const keras_call *call,
                         int64_t *out) {
  const co_node *axis = keras_option(layer, "axis", NULL);
  int64_t number = -1;
  if (axis && (!co_node_int(axis, &number) ||
               (number != -1 && number != keras_shape(net, call->in[0])->rank)))
    return keras_refuse(layer, "there is no axis but the last");
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Activation", NULL, call->in, 1, out));
  net->items[net->item_count - 1].activation = "softmax";
  return CO_OK;
}

// min(relu(x), most) = relu(x) - relu(x - most)
static co_status bounded(keras_network *net, const keras_layer *layer, int64_t x, double most,
                         int64_t *out) {
  int64_t parts[2], over;
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "_over", "Rescaling",
                                 format_number(net->arena, "\"scale\": 1.0, \"offset\": %s", -most),
                                 &x, 1, &over));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "_rest", "ReLU", NULL, &over, 1, &over));
  CO_RETURN_IF_FAILED(
      keras_emit(net, layer, "_minus", "Rescaling", "\"scale\": -1.0", &over, 1, &parts[1]));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "_relu", "ReLU", NULL, &x, 1, &parts[0]));
  return keras_emit(net, layer, "", "Add", NULL, parts, 2, out);
}

static co_status relu(keras_network *net, keras_layer *layer, const keras_call *call,
                      int64_t *out) {
  double slope, threshold, most;
  CO_RETURN_IF_FAILED(keras_double(layer, "negative_slope", NULL, 0, &slope));
  CO_RETURN_IF_FAILED(keras_double(layer, "max_value", NULL, 0, &most));
  CO_RETURN_IF_FAILED(keras_double(layer, "threshold", "theta", 0, &threshold));
  if (threshold != 0) return keras_refuse(layer, "there is no threshold: %g", threshold);
  CO_RETURN_IF_FAILED(keras_rest(layer));
  if (most != 0 && slope != 0) return keras_refuse(layer, "there is no max_value beside a slope");
  if (most != 0) return bounded(net, layer, call->in[0], most, out);
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

static co_status drop(keras_network *net, keras_layer *layer, const char *class_,
                      const keras_call *call, int64_t *out) {
  double rate;
  CO_RETURN_IF_FAILED(keras_double(layer, "rate", "p", 0, &rate));
  CO_RETURN_IF_FAILED(keras_channels_last(layer));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  return keras_emit(net, layer, "", class_, format_number(net->arena, "\"rate\": %s", rate),
                    call->in, 1, out);
}

// Whether an extent of noise_shape is 1: what lies along it is dropped together.
static bool is_together(const co_node *noise, int64_t i) {
  int64_t value;
  return co_node_int(noise->items[i], &value) && value == 1;
}

static co_status dropout(keras_network *net, keras_layer *layer, const keras_call *call,
                         int64_t *out) {
  const co_node *noise = keras_option(layer, "noise_shape", NULL);
  const int rank = keras_shape(net, call->in[0])->rank;
  bool rows = true;
  if (!noise) return drop(net, layer, "Dropout", call, out);
  if (noise->kind == CO_NODE_LIST && noise->count == rank + 1 && !is_together(noise, 0)) {
    for (int i = 1; i <= rank; i++)
      rows = rows && is_together(noise, i);
    if (rows) return drop(net, layer, "StochasticDepth", call, out);
  }
  return keras_refuse(layer, "its noise_shape drops no whole rows: %.60s", co_node_brief(noise));
}

static co_status spatial_dropout(keras_network *net, keras_layer *layer, const keras_call *call,
                                 int rank, int64_t *out) {
  const bool image = net->values[call->in[0]].row || rank == 3;
  CO_RETURN_IF_FAILED(keras_need_rank(net, layer, call->in[0], rank));
  return drop(net, layer, image ? "SpatialDropout2D" : "SpatialDropout1D", call, out);
}

static co_status spatial_dropout1d(keras_network *net, keras_layer *layer, const keras_call *call,
                                   int64_t *out) {
  return spatial_dropout(net, layer, call, 2, out);
}

static co_status spatial_dropout2d(keras_network *net, keras_layer *layer, const keras_call *call,
                                   int64_t *out) {
  return spatial_dropout(net, layer, call, 3, out);
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
  const int64_t last = keras_shape(net, value)->rank - layer->each;
  int64_t number = -1;
  if (axis && axis->kind == CO_NODE_LIST && axis->count == 1) axis = axis->items[0];
  if (axis && (!co_node_int(axis, &number) || (number != -1 && number != last)))
    return keras_refuse(layer, "there is no axis but the last: %s", co_node_brief(axis));
  return CO_OK;
}

// gamma or beta, or what stands in for it where the layer has none.
static co_status take_or(keras_network *net, keras_layer *layer, const char *name, bool there,
                         float instead, const co_shape *shape) {
  if (!there && layer->call) return CO_OK; // the first call's are the weights
  if (!there && shape->dim[0] > KERAS_MOST_WIDTH)
    return keras_refuse(layer, "its input has far too many channels");
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
  const co_shape shape = co_shape_make(1, keras_channels(keras_shape(net, *out)));
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
  const co_shape shape = co_shape_make(1, keras_channels(keras_shape(net, *out)));
  CO_RETURN_IF_FAILED(take_or(net, layer, "gamma", scale, 1, &shape));
  return take_or(net, layer, "beta", center, 0, &shape);
}

static co_status rms_normalization(keras_network *net, keras_layer *layer, const keras_call *call,
                                   int64_t *out) {
  double epsilon;
  CO_RETURN_IF_FAILED(keras_double(layer, "epsilon", NULL, 1e-6, &epsilon));
  CO_RETURN_IF_FAILED(need_last_axis(net, layer, call->in[0]));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "RMSNormalization",
                                 format_number(net->arena, "\"epsilon\": %s", epsilon), call->in, 1,
                                 out));
  const co_shape shape = co_shape_make(1, keras_channels(keras_shape(net, *out)));
  return take_or(net, layer, "scale", true, 1, &shape);
}

static co_status group_normalization(keras_network *net, keras_layer *layer, const keras_call *call,
                                     int64_t *out) {
  const co_node *given = keras_option(layer, "groups", NULL);
  double epsilon;
  bool scale, center;
  int64_t groups = 32;
  CO_RETURN_IF_FAILED(keras_double(layer, "epsilon", NULL, 1e-3, &epsilon));
  CO_RETURN_IF_FAILED(keras_bool(layer, "scale", NULL, true, &scale));
  CO_RETURN_IF_FAILED(keras_bool(layer, "center", NULL, true, &center));
  CO_RETURN_IF_FAILED(need_last_axis(net, layer, call->in[0]));
  const co_shape shape = co_shape_make(1, keras_channels(keras_shape(net, call->in[0])));
  if (given && !co_node_int(given, &groups))
    return keras_refuse(layer, "groups is no whole number: %.60s", co_node_brief(given));
  if (groups != -1 && (groups < 1 || shape.dim[0] % groups))
    return keras_refuse(layer, "%lld channels do not part into %lld groups",
                        (long long)shape.dim[0], (long long)groups);
  CO_RETURN_IF_FAILED(keras_rest(layer));
  const char *number = format_number(net->arena, "\"epsilon\": %s", epsilon);
  if (!number) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      keras_emit(net, layer, "", "GroupNormalization",
                 co_arena_format(net->arena, "\"groups\": %lld, %s", (long long)groups, number),
                 call->in, 1, out));
  CO_RETURN_IF_FAILED(take_or(net, layer, "gamma", scale, 1, &shape));
  return take_or(net, layer, "beta", center, 0, &shape);
}

// ---- tables ------------------------------------------------------------------------------------

static co_status embedding(keras_network *net, keras_layer *layer, const keras_call *call,
                           int64_t *out) {
  int64_t rows, width;
  double dropout;
  float *values;
  CO_RETURN_IF_FAILED(keras_int(layer, "input_dim", NULL, 0, &rows));
  CO_RETURN_IF_FAILED(keras_int(layer, "output_dim", NULL, 0, &width));
  CO_RETURN_IF_FAILED(keras_double(layer, "dropout", NULL, 0, &dropout)); // of whole words, Keras 1
  CO_RETURN_IF_FAILED(keras_rest(layer));                                 // mask_zero
  if (dropout != 0) CO_RETURN_IF_FAILED(keras_leave_out(net, layer, "dropout of words"));
  if (net->values[call->in[0]].item >= 0)
    return keras_refuse(layer, "it reads what another layer gives; an input is possible");
  int64_t *indices = &net->inputs[-1 - net->values[call->in[0]].item].indices;
  if (!*indices || rows < *indices) *indices = rows;
  const co_shape table = co_shape_make(2, rows, width);
  const int64_t count = co_shape_count(keras_shape(net, call->in[0]));
  CO_RETURN_IF_FAILED(
      keras_emit(net, layer, "", "Embedding",
                 co_arena_format(net->arena, "\"input_dim\": %lld, \"output_dim\": %lld",
                                 (long long)rows, (long long)width),
                 call->in, 1, out));
  keras_set_shape(net, *out, co_shape_make(2, count, width));
  CO_RETURN_IF_FAILED(keras_take(layer, "embeddings", &table, &values));
  return keras_add_weight(net, layer, "embeddings", &table, values);
}

// ---- shapes ------------------------------------------------------------------------------------

static co_status flatten(keras_network *net, keras_layer *layer, const keras_call *call,
                         int64_t *out) {
  CO_RETURN_IF_FAILED(keras_channels_last(layer));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  *out = call->in[0];
  if (keras_shape(net, *out)->rank == 1)
    return CO_OK; // as it is: an Embedding may read an input behind it
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Flatten", NULL, call->in, 1, out));
  keras_set_shape(net, *out, co_shape_make(1, co_shape_count(keras_shape(net, call->in[0]))));
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
  keras_set_shape(net, *out, shape);
  net->values[*out].row = false;
  return CO_OK;
}

static co_status reshape(keras_network *net, keras_layer *layer, const keras_call *call,
                         int64_t *out) {
  const co_node *list = keras_option(layer, "target_shape", NULL);
  const int64_t have = co_shape_count(keras_shape(net, call->in[0]));
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
  CO_RETURN_IF_FAILED(keras_need_rank(net, layer, call->in[0], 1));
  const int64_t width = keras_shape(net, call->in[0])->dim[0];
  CO_RETURN_IF_FAILED(emit_reshape(net, layer, "_pixel", call->in[0],
                                   co_shape_make(3, (int64_t)1, (int64_t)1, width), &pixel));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "UpSampling2D",
                                 co_arena_format(net->arena, "\"size\": [1, %lld]", (long long)n),
                                 &pixel, 1, &image));
  keras_set_shape(net, image, co_shape_make(2, n, width));
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
  const co_shape first = *keras_shape(net, call->in[0]);
  for (int64_t i = 0; i < call->count; i++) {
    co_shape shape = *keras_shape(net, call->in[i]);
    if (join && shape.rank) shape.dim[shape.rank - 1] = keras_channels(&first);
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
    width += keras_channels(keras_shape(net, in[i]));
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

// a - b
static co_status subtract(keras_network *net, keras_layer *layer, const keras_call *call,
                          int64_t *out) {
  int64_t *in;
  if (call->count != 2) return keras_refuse(layer, "it needs two inputs");
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(gather(net, layer, call, false, &in));
  CO_RETURN_IF_FAILED(
      keras_emit(net, layer, "_minus", "Rescaling", "\"scale\": -1.0", &in[1], 1, &in[1]));
  return keras_emit(net, layer, "", "Add", NULL, in, 2, out);
}

// (C) or (1, …, C), which goes with all places of (…, C).
static bool is_of_channels(const co_shape *s, const co_shape *x) {
  if ((s->rank != 1 && s->rank != x->rank) || x->rank < 2) return false;
  for (int i = 0; i + 1 < s->rank; i++)
    if (s->dim[i] != 1) return false;
  return keras_channels(s) == keras_channels(x);
}

static co_status multiply(keras_network *net, keras_layer *layer, const keras_call *call,
                          int64_t *out) {
  int64_t first = 0, *in = co_arena_alloc(net->arena, (size_t)call->count, sizeof *in);
  bool scaled = false;
  if (!in) return CO_ERR_MEMORY;
  for (int64_t i = 1; i < call->count; i++)
    if (is_of_channels(keras_shape(net, call->in[first]), keras_shape(net, call->in[i]))) first = i;
  const co_shape shape = *keras_shape(net, call->in[first]);
  for (int64_t i = 0; i < call->count; i++) {
    const co_shape *other = keras_shape(net, call->in[i]);
    scaled = scaled || (!co_shape_equal(other, &shape) && is_of_channels(other, &shape));
    if (!co_shape_equal(other, &shape) && !is_of_channels(other, &shape))
      return keras_refuse(layer, "its inputs differ in shape");
  }
  if (!scaled) return combine(net, layer, call, "Multiply", out);
  CO_RETURN_IF_FAILED(keras_rest(layer));
  for (int64_t i = 0; i < call->count; i++)
    CO_RETURN_IF_FAILED(keras_as_is(net, layer, call->in[i], &in[i]));
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Multiply", NULL, in, call->count, out));
  keras_set_shape(net, *out, shape);
  return CO_OK;
}

// Axes count the batch, as there.
static co_status dot(keras_network *net, keras_layer *layer, const keras_call *call, int64_t *out) {
  const co_node *axes = keras_option(layer, "axes", NULL);
  const bool list = axes && axes->kind == CO_NODE_LIST;
  bool normalize;
  int64_t in[2], axis[2];
  co_shape left = {0};
  CO_RETURN_IF_FAILED(keras_bool(layer, "normalize", NULL, false, &normalize));
  CO_RETURN_IF_FAILED(keras_rest(layer));
  if (call->count != 2) return keras_refuse(layer, "it needs two inputs");
  if (!axes || (list && axes->count != 2))
    return keras_refuse(layer, "its axes are not one or two");
  for (int i = 0; i < 2; i++) {
    const co_shape *x = keras_shape(net, call->in[i]);
    if (!co_node_int(list ? axes->items[i] : axes, &axis[i]))
      return keras_refuse(layer, "its axes are no whole numbers");
    if (axis[i] < 0) axis[i] += x->rank + 1;
    if (x->rank > 2 || axis[i] < 1 || axis[i] > x->rank)
      return keras_refuse(layer, "its inputs are no vectors or matrices with such axes");
    if (normalize && axis[i] != x->rank)
      return keras_refuse(layer, "there is no normalize but along the last axis");
    for (int k = 0; k < x->rank; k++)
      if (k + 1 != axis[i]) left.dim[left.rank++] = x->dim[k];
    CO_RETURN_IF_FAILED(keras_as_is(net, layer, call->in[i], &in[i]));
  }
  if (keras_shape(net, in[0])->dim[axis[0] - 1] != keras_shape(net, in[1])->dim[axis[1] - 1])
    return keras_refuse(layer, "its inputs differ in size along its axes");
  if (!left.rank) left.dim[left.rank++] = 1;
  CO_RETURN_IF_FAILED(keras_emit(
      net, layer, "", "Dot",
      co_arena_format(net->arena, "\"axes\": [%lld, %lld], \"normalize\": %s", (long long)axis[0],
                      (long long)axis[1], normalize ? "true" : "false"),
      in, 2, out));
  keras_set_shape(net, *out, left);
  net->values[*out].row = false;
  return CO_OK;
}

// ---- wrappers ------------------------------------------------------------------------------------

static keras_mapper *find_mapper(const char *class_);

static bool works_along_last(const char *class_) {
  static const char *const classes[] = {"Dense",
                                        "Activation",
                                        "ReLU",
                                        "LeakyReLU",
                                        "ELU",
                                        "Dropout",
                                        "LayerNormalization",
                                        "RMSNormalization",
                                        "BatchNormalization",
                                        NULL};
  for (const char *const *at = classes; *at; at++)
    if (strcmp(*at, class_) == 0) return true;
  return false;
}

// What works along the last dimension does the same to each event.
static co_status time_distributed(keras_network *net, keras_layer *layer, const keras_call *call,
                                  int64_t *out) {
  const co_node *node = keras_option(layer, "layer", NULL);
  keras_layer inner;
  if (!node || node->kind != CO_NODE_MAP) return keras_refuse(layer, "it wraps no layer");
  CO_RETURN_IF_FAILED(keras_layer_init(&inner, layer->file, node));
  keras_mapper *map = works_along_last(inner.class_) ? find_mapper(inner.class_) : NULL;
  if (!map) return keras_refuse(layer, "there is none around a %.60s", inner.class_);
  CO_RETURN_IF_FAILED(keras_rest(layer));
  if (keras_shape(net, call->in[0])->rank < 2) // as Keras does
    return keras_refuse(layer, "its input has no events: it needs two dimensions or more");
  keras_layer both = *layer;
  both.class_ = inner.class_;
  both.config = inner.config;
  both.used = inner.used;
  both.trainable = layer->trainable && inner.trainable;
  both.each = true;
  CO_RETURN_IF_FAILED(map(net, &both, call, out));
  layer->taken = both.taken;
  layer->array_count = both.array_count;
  layer->statistics = both.statistics;
  layer->selu = both.selu;
  return CO_OK;
}

// ---- the tables --------------------------------------------------------------------------------

static const keras_mapping mappings[] = {{"Activation", activation},
                                         {"Softmax", softmax},
                                         {"ReLU", relu},
                                         {"LeakyReLU", leaky_relu},
                                         {"ELU", elu},
                                         {"Dropout", dropout},
                                         {"SpatialDropout1D", spatial_dropout1d},
                                         {"SpatialDropout2D", spatial_dropout2d},
                                         {"Rescaling", rescaling},
                                         {"BatchNormalization", batch_normalization},
                                         {"LayerNormalization", layer_normalization},
                                         {"RMSNormalization", rms_normalization},
                                         {"GroupNormalization", group_normalization},
                                         {"Embedding", embedding},
                                         {"Flatten", flatten},
                                         {"Reshape", reshape},
                                         {"RepeatVector", repeat_vector},
                                         {"Concatenate", concatenate},
                                         {"Add", add},
                                         {"Subtract", subtract},
                                         {"Multiply", multiply},
                                         {"Dot", dot},
                                         {"TimeDistributed", time_distributed},
                                         {NULL, NULL}};

static keras_mapper *find_mapper(const char *class_) {
  static const keras_mapping *const tables[] = {mappings, keras_image_mappings,
                                                keras_recurrent_mappings};
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
    for (const keras_mapping *m = tables[t]; m->class_; m++)
      if (strcmp(m->class_, class_) == 0) return m->map;
  return NULL;
}

co_status keras_map(keras_network *net, keras_layer *layer, const int64_t *in, int64_t count,
                    int64_t *out) {
  const keras_call call = {in, count};
  keras_mapper *map = find_mapper(layer->class_);
  if (!map) {
    co_status status = keras_refuse(layer, "Cohort has no such layer");
    co_hint("`cohort help layers` lists those that there are");
    return status;
  }
  if (!count) return keras_refuse(layer, "it has no input");
  CO_RETURN_IF_FAILED(map(net, layer, &call, out));
  if (layer->selu) CO_RETURN_IF_FAILED(emit_selu(net, layer, out));
  const int64_t values = co_shape_count(keras_shape(net, *out));
  if (values < 1 || values > INT32_MAX) return keras_refuse(layer, "its result is far too large");
  if (layer->taken == layer->array_count) return CO_OK;
  return keras_refuse(layer, "the file has %lld weights of it instead of %lld",
                      (long long)layer->array_count, (long long)layer->taken);
}
