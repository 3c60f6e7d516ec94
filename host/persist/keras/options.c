// SPDX-License-Identifier: Apache-2.0
// What a layer's config says. Whatever is not understood is refused by its name: an option that is read over
// would give other numbers without a word.
#include <stdio.h>
#include <string.h>

#include "host/persist/keras/keras_private.h"

co_status keras_refuse(const keras_layer *layer, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return co_fail_at(CO_ERR_MODEL, layer->file->path, 0, 0, "layer '%.100s' (%.100s): %s",
                    layer->name, layer->class_, text);
}

static const char *text_of(const co_node *map, const char *key) {
  const co_node *node = co_node_get(map, key);
  return node && node->kind == CO_NODE_SCALAR ? node->text : NULL;
}

co_status keras_layer_init(keras_layer *out, keras_file *file, const co_node *layer) {
  const co_node *config = co_node_get(layer, "config");
  const char *class_ = text_of(layer, "class_name"), *name = text_of(config, "name");
  const bool list = config && config->kind == CO_NODE_LIST && class_ && // of old ones
                    strcmp(class_, "Sequential") == 0;
  if (!class_ || !config || (config->kind != CO_NODE_MAP && !list))
    return co_fail_at(CO_ERR_MODEL, file->path, 0, 0,
                      "its config is damaged: a layer has no class_name or config");
  *out = (keras_layer){
      .file = file, .name = name ? name : class_, .class_ = class_, .trainable = true};
  out->config = config;
  const co_node *trainable = co_node_get(config, "trainable");
  if (trainable && trainable->kind != CO_NODE_NULL && !co_node_bool(trainable, &out->trainable))
    return keras_refuse(out, "trainable is neither true nor false");
  out->used = co_arena_alloc(file->arena, (size_t)config->count + 1, sizeof *out->used);
  return out->used ? CO_OK : CO_ERR_MEMORY;
}

static const co_node *find(keras_layer *layer, const char *key) {
  for (int64_t i = 0; key && i < layer->config->count; i++)
    if (strcmp(layer->config->keys[i], key) == 0) {
      layer->used[i] = true;
      const co_node *node = layer->config->items[i];
      return node->kind == CO_NODE_NULL ? NULL : node;
    }
  return NULL;
}

const co_node *keras_option(keras_layer *layer, const char *key, const char *also) {
  const co_node *node = find(layer, key), *other = find(layer, also);
  return node ? node : other;
}

static co_status wrong(const keras_layer *layer, const char *key, const co_node *node,
                       const char *wanted) {
  return keras_refuse(layer, "%s is %.60s instead of %s", key, co_node_brief(node), wanted);
}

// Keras writes whole numbers as 2 or 2.0.
static bool whole(const co_node *node, int64_t *out) {
  double value;
  if (co_node_int(node, out)) return true;
  if (!co_node_double(node, &value) || !(value >= -1e9 && value <= 1e9)) return false;
  *out = (int64_t)value;
  return (double)*out == value;
}

co_status keras_int(keras_layer *layer, const char *key, const char *also, int64_t fallback,
                    int64_t *out) {
  return keras_ints(layer, key, also, 1, fallback, out);
}

co_status keras_ints(keras_layer *layer, const char *key, const char *also, int count,
                     int64_t fallback, int64_t *out) {
  const co_node *node = keras_option(layer, key, also);
  if (!node && !fallback) return keras_refuse(layer, "it has no %s", key);
  bool list = node && node->kind == CO_NODE_LIST;
  if (list && node->count != count) return wrong(layer, key, node, "a list of the right length");
  for (int i = 0; i < count; i++) {
    out[i] = fallback;
    if (node && (!whole(list ? node->items[i] : node, &out[i]) || out[i] < 1 || out[i] > INT32_MAX))
      return wrong(layer, key, list ? node->items[i] : node, "a whole number above 0");
  }
  return CO_OK;
}

co_status keras_double(keras_layer *layer, const char *key, const char *also, double fallback,
                       double *out) {
  const co_node *node = keras_option(layer, key, also);
  *out = fallback;
  if (!node || (co_node_double(node, out) && *out >= -1e30 && *out <= 1e30)) return CO_OK;
  return wrong(layer, key, node, "a number");
}

co_status keras_bool(keras_layer *layer, const char *key, const char *also, bool fallback,
                     bool *out) {
  const co_node *node = keras_option(layer, key, also);
  *out = fallback;
  return !node || co_node_bool(node, out) ? CO_OK : wrong(layer, key, node, "true or false");
}

co_status keras_text(keras_layer *layer, const char *key, const char *also, const char **out) {
  const co_node *node = keras_option(layer, key, also);
  *out = NULL;
  if (!node) return CO_OK;
  if (node->kind != CO_NODE_SCALAR) return wrong(layer, key, node, "a word");
  *out = node->text;
  return CO_OK;
}

co_status keras_word(keras_layer *layer, const char *key, const char *also,
                     const char *const *words, int fallback, int *out) {
  const char *text;
  char known[160] = "";
  CO_RETURN_IF_FAILED(keras_text(layer, key, also, &text));
  *out = fallback;
  for (int i = 0; text && words[i]; i++) {
    size_t length = strlen(known);
    snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "", words[i]);
    *out = i;
    if (strcmp(words[i], text) == 0) return CO_OK;
  }
  return text ? keras_refuse(layer, "%s is '%.60s'; there is %s", key, text, known) : CO_OK;
}

co_status keras_activation(keras_layer *layer, const char *key, const char *fallback,
                           const char **out) {
  static const char *const words[][2] = {
      {"linear", "linear"}, {"relu", "relu"}, {"sigmoid", "sigmoid"},
      {"tanh", "tanh"},     {"gelu", "gelu"}, {"silu", "silu"},
      {"swish", "silu"},    {"elu", "elu"},   {"softmax", "softmax"}};
  const co_node *node = keras_option(layer, key, NULL);
  // Keras 3 may write a function out: {class_name: function, config: relu}.
  const char *class_ = node ? text_of(node, "class_name") : NULL;
  if (class_ && strcmp(class_, "function") == 0) node = co_node_get(node, "config");
  if (node && node->kind != CO_NODE_SCALAR)
    return keras_refuse(layer, "its activation is not one of Keras' functions by name");
  const char *name = node ? node->text : fallback;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(words[i][0], name) == 0) {
      *out = words[i][1];
      return CO_OK;
    }
  if (strcmp(name, "selu") == 0) {
    layer->selu = true;
    *out = "linear";
    return CO_OK;
  }
  if (layer->file->major == 3 && strcmp(name, "leaky_relu") == 0) {
    *out = "leaky_relu"; // of slope 0.2, as here
    return CO_OK;
  }
  return keras_refuse(layer, "there is no %s '%.60s'", key, name);
}

co_status keras_channels_last(keras_layer *layer) {
  static const char *const words[] = {"channels_last", NULL}, *const old[] = {"tf", NULL};
  int ignored;
  CO_RETURN_IF_FAILED(keras_word(layer, "data_format", NULL, words, 0, &ignored));
  return keras_word(layer, "dim_ordering", NULL, old, 0, &ignored);
}

// Of a name, of training alone, or of how Keras computes the same.
static bool is_harmless(const char *key) {
  static const char *const ends[] = {"_initializer", "_regularizer", "_constraint",
                                     "init",         "init_arg",     "forget_bias"};
  static const char *const keys[] = {
      "name",         "trainable",       "batch_input_shape",   "batch_shape",
      "input_shape",  "input_dim",       "input_length",        "implementation",
      "consume_less", "unroll",          "use_cudnn",           "seed",
      "synchronized", "weights",         "forget_bias_init",    "build_input_shape",
      "autocast",     "renorm_momentum", "zero_output_for_mask"};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    if (co_text_ends_in(key, ends[i])) return true;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (strcmp(keys[i], key) == 0) return true;
  return false;
}

// float32, or a policy that says so.
static bool is_float(const co_node *node) {
  if (node->kind == CO_NODE_MAP) {
    const char *name = text_of(co_node_get(node, "config"), "name");
    return name && strcmp(name, "float32") == 0;
  }
  return node->kind == CO_NODE_SCALAR &&
         (strcmp(node->text, "float32") == 0 || strcmp(node->text, "int32") == 0 ||
          strcmp(node->text, "int64") == 0);
}

static bool is_nothing(const co_node *node) {
  bool value;
  return node->kind == CO_NODE_NULL || (node->kind != CO_NODE_SCALAR && node->count == 0) ||
         (co_node_bool(node, &value) && !value);
}

co_status keras_rest(keras_layer *layer) {
  for (int64_t i = 0; i < layer->config->count; i++) {
    const char *key = layer->config->keys[i];
    const co_node *node = layer->config->items[i];
    if (layer->used[i] || is_nothing(node) || is_harmless(key)) continue;
    bool type = strcmp(key, "dtype") == 0 || strcmp(key, "input_dtype") == 0;
    if (type && is_float(node)) continue;
    return keras_refuse(layer, "there is no %.60s: %.60s", key, co_node_brief(node));
  }
  return CO_OK;
}

static co_status count_weight(keras_layer *layer, const char *what, const co_shape *shape,
                              float **out) {
  const int64_t count = co_shape_count(shape);
  if (count < 0 || count > (layer->call ? layer->trial->total : layer->trial->room))
    return keras_refuse(layer, "its model has fewer numbers in the file than its %s needs", what);
  if (!layer->call) layer->trial->room -= count;
  if (!layer->call && strncmp(what, "moving_", 7) == 0) layer->statistics++;
  layer->array_count = ++layer->taken;
  *out = layer->trial->zeros;
  return CO_OK;
}

co_status keras_take(keras_layer *layer, const char *what, const co_shape *shape, float **out) {
  char has[96], want[96];
  if (layer->trial) return count_weight(layer, what, shape, out);
  if (layer->taken >= layer->array_count)
    return keras_refuse(layer, "the file has %lld weights of it; its %s is missing",
                        (long long)layer->array_count, what);
  keras_array *array = &layer->arrays[layer->taken++];
  *out = array->values;
  if (co_shape_equal(&array->shape, shape)) return CO_OK;
  co_shape_print(&array->shape, has, sizeof has);
  co_shape_print(shape, want, sizeof want);
  return keras_refuse(layer, "its %s has shape %s, its config says %s", what, has, want);
}
