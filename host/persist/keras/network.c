// SPDX-License-Identifier: Apache-2.0
// The layers of Cohort that are made of Keras', with their values and weights.
#include <string.h>

#include "host/persist/keras/keras_private.h"

static co_status grow(keras_network *net, void **data, int64_t *capacity, int64_t count,
                      size_t size) {
  if (count < *capacity) return CO_OK;
  int64_t more = *capacity ? 2 * *capacity : 64;
  void *made = co_arena_alloc(net->arena, (size_t)more, size);
  if (!made) return CO_ERR_MEMORY;
  if (count) memcpy(made, *data, (size_t)count * size);
  *data = made;
  *capacity = more;
  return CO_OK;
}

static bool is_taken(const keras_network *net, const char *name) {
  for (int64_t i = 0; i < net->item_count; i++)
    if (strcmp(net->items[i].name, name) == 0) return true;
  return false;
}

// Names become names in files, where '/' parts folders. Behind one that is taken stands the next number.
static co_status name_item(keras_network *net, const keras_layer *layer, const char *suffix,
                           keras_item *out) {
  char *name = co_arena_format(net->arena, "%s%s", layer->name, suffix);
  if (!name) return CO_ERR_MEMORY;
  for (char *at = name; *at; at++)
    if (*at == '/') *at = '.';
  out->name = out->wanted = name;
  for (int64_t i = 0; i < net->item_count; i++)
    if (strcmp(net->items[i].wanted, name) == 0) out->number = net->items[i].number + 1;
  if (out->number) out->name = co_arena_format(net->arena, "%s_%lld", name, (long long)out->number);
  while (out->name && is_taken(net, out->name))
    out->name = co_arena_format(net->arena, "%s_%lld", name, (long long)++out->number);
  return out->name ? CO_OK : CO_ERR_MEMORY;
}

// The item of an earlier call that has the weights; NULL where it is the first, or has none.
static const char *first_call(const keras_network *net, const keras_layer *layer,
                              const char *suffix) {
  for (int64_t i = 0; layer->call && i < net->weight_count; i++) {
    const keras_item *item = &net->items[net->weights[i].item];
    if (item->layer == layer->name && strcmp(item->suffix, suffix) == 0) return item->name;
  }
  return NULL;
}

co_status keras_emit(keras_network *net, const keras_layer *layer, const char *suffix,
                     const char *class_, const char *options, const int64_t *in, int64_t count,
                     int64_t *out) {
  int64_t *values = co_arena_alloc(net->arena, (size_t)count, sizeof *values);
  keras_item item = {.class_ = class_,
                     .options = options ? options : "",
                     .shared = first_call(net, layer, suffix),
                     .suffix = suffix,
                     .layer = layer->name,
                     .in = values,
                     .in_count = count,
                     .trainable = layer->trainable};
  if (!values) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(name_item(net, layer, suffix, &item));
  memcpy(values, in, (size_t)count * sizeof *values);
  CO_RETURN_IF_FAILED(
      grow(net, (void **)&net->items, &net->item_capacity, net->item_count, sizeof *net->items));
  CO_RETURN_IF_FAILED(grow(net, (void **)&net->values, &net->value_capacity, net->value_count,
                           sizeof *net->values));
  net->values[net->value_count] = net->values[in[0]];
  net->values[net->value_count].item = net->item_count;
  net->values[net->value_count].other = -1;
  net->items[net->item_count++] = item;
  *out = net->value_count++;
  return CO_OK;
}

co_status keras_add_input(keras_network *net, const co_shape *shape, int64_t *out) {
  CO_RETURN_IF_FAILED(grow(net, (void **)&net->values, &net->value_capacity, net->value_count,
                           sizeof *net->values));
  net->values[net->value_count] =
      (keras_value){.item = -1 - net->input_count, .shape = *shape, .other = -1};
  *out = net->value_count++;
  return CO_OK;
}

co_status keras_add_weight(keras_network *net, const keras_layer *layer, const char *name,
                           const co_shape *shape, const float *values) {
  if (layer->call) return CO_OK; // those of the first
  CO_RETURN_IF_FAILED(grow(net, (void **)&net->weights, &net->weight_capacity, net->weight_count,
                           sizeof *net->weights));
  net->weights[net->weight_count++] = (keras_item_weight){
      .item = net->item_count - 1, .name = name, .shape = *shape, .values = values};
  return CO_OK;
}

co_status keras_leave_out(keras_network *net, const keras_layer *layer, const char *what) {
  CO_RETURN_IF_FAILED(grow(net, (void **)&net->left_out, &net->left_out_capacity,
                           net->left_out_count, sizeof *net->left_out));
  const char *line =
      co_arena_format(net->arena, "layer '%s' (%s): %s", layer->name, layer->class_, what);
  net->left_out[net->left_out_count++] = line;
  return line ? CO_OK : CO_ERR_MEMORY;
}

const co_shape *keras_shape(const keras_network *net, int64_t value) {
  return &net->values[value].shape;
}

void keras_set_shape(keras_network *net, int64_t value, co_shape shape) {
  net->values[value].shape = shape;
}

int64_t keras_channels(const co_shape *shape) {
  return shape->dim[shape->rank - 1];
}

co_status keras_need_rank(const keras_network *net, const keras_layer *layer, int64_t value,
                          int rank) {
  char has[96];
  if (keras_shape(net, value)->rank == rank) return CO_OK;
  co_shape_print(keras_shape(net, value), has, sizeof has);
  return keras_refuse(layer, "its input has shape %s; %d dimensions are needed", has, rank);
}

// The same numbers in another shape.
static co_status hold(keras_network *net, const keras_layer *layer, int64_t value, bool row,
                      int64_t *out) {
  *out = value;
  if (net->values[value].row == row) return CO_OK;
  if (net->values[value].other >= 0) {
    *out = net->values[value].other;
    return CO_OK;
  }
  const int64_t *dim = net->values[value].shape.dim;
  const char *options = co_arena_format(
      net->arena, row ? "\"target_shape\": [1, %lld, %lld]" : "\"target_shape\": [%lld, %lld]",
      (long long)dim[0], (long long)dim[1]);
  if (!options) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      keras_emit(net, layer, row ? "_row" : "_flat", "Reshape", options, &value, 1, out));
  net->values[*out].row = row;
  net->values[*out].other = value;
  net->values[value].other = *out;
  return CO_OK;
}

co_status keras_as_image(keras_network *net, const keras_layer *layer, int64_t value,
                         int64_t *out) {
  return hold(net, layer, value, net->values[value].shape.rank == 2, out);
}

co_status keras_as_is(keras_network *net, const keras_layer *layer, int64_t value, int64_t *out) {
  return hold(net, layer, value, false, out);
}
