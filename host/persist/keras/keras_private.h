// SPDX-License-Identifier: Apache-2.0
// Reading models of Keras, shared by the files of this folder.
#ifndef COHORT_HOST_PERSIST_KERAS_KERAS_PRIVATE_H
#define COHORT_HOST_PERSIST_KERAS_KERAS_PRIVATE_H

#include "host/config/config.h"
#include "host/core/h5.h"
#include "host/persist/keras/keras.h"

enum {
  KERAS_MOST_LAYERS = 4096,   // of a model; and that wait for each other in all, by recursion
  KERAS_MOST_CALLS = 16384,   // in all, where models call models
  KERAS_MOST_NAME = 255,      // bytes, as of names here; with the names of the models around it
  KERAS_MOST_WIDTH = 1 << 24, // of what is made for each channel or class that no weights bear out
  KERAS_MOST_INPUTS = CO_KERAS_MOST
};

// ---- file.c ------------------------------------------------------------------------------------

typedef struct keras_array {
  co_shape shape;
  float *values;
} keras_array;

typedef struct keras_file {
  co_arena *arena;
  const char *path;
  co_h5 *h5;
  co_node *model;                // {class_name, config}
  const char *version, *weights; // `weights`: the group that the layers' groups are in
  int major;                     // of the version
  bool theano;                   // convolution kernels are stored upside down
  bool archive; // the layers' groups are called after their classes: dense, dense_1
} keras_file;

co_status keras_file_open(keras_file *out, co_arena *arena, const char *path);
void keras_file_close(keras_file *file); // legal on a zeroed struct

// ---- options.c: what a layer's config says -----------------------------------------------------

typedef struct keras_trial {
  int64_t total, room; // numbers of the model in the file; of those, that no weight has yet
  float *zeros;        // `total` that stand for all weights
} keras_trial;

typedef struct keras_layer {
  keras_file *file;
  const char *name, *class_; // within another model: "MODEL/NAME"
  const co_node *config;     // a map
  bool *used;                // its items that were read
  const char *group;         // of an archive, that its weights are in
  keras_array *arrays;
  int64_t array_count, taken;
  int64_t call; // how often it was called before
  bool trainable;
  bool selu;          // its activation, of which keras_map makes layers behind it
  bool each;          // a TimeDistributed gives it one event at a time: Keras' axes leave them out
  keras_trial *trial; // its weights are counted alone; NULL = they are taken
  int64_t statistics; // of its weights, the last: no optimizer's
} keras_layer;

co_status keras_layer_init(keras_layer *out, keras_file *file, const co_node *layer);
// "FILE: layer 'NAME' (CLASS): …"
co_status keras_refuse(const keras_layer *layer, const char *format, ...) CO_PRINTF(2, 3);
// The readers take names of the option in several versions, `also` NULL where there is one alone; an
// option that is absent or null is `fallback` (of texts NULL). What is of another type is refused.
const co_node *keras_option(keras_layer *layer, const char *key, const char *also);
co_status keras_int(keras_layer *layer, const char *key, const char *also, int64_t fallback,
                    int64_t *out); // 1 to INT32_MAX; `fallback` 0 = required
co_status keras_double(keras_layer *layer, const char *key, const char *also, double fallback,
                       double *out);
co_status keras_bool(keras_layer *layer, const char *key, const char *also, bool fallback,
                     bool *out);
co_status keras_text(keras_layer *layer, const char *key, const char *also, const char **out);
// `count` integers of at least 1, from a list or one number for all; `fallback` as of keras_int.
co_status keras_ints(keras_layer *layer, const char *key, const char *also, int count,
                     int64_t fallback, int64_t *out);
// A text that must be one of `words`, "word word"; *out is its place.
co_status keras_word(keras_layer *layer, const char *key, const char *also,
                     const char *const *words, int fallback, int *out);
// An activation as Cohort calls it, or "softmax"; of selu, which becomes layers of its own, "linear".
co_status keras_activation(keras_layer *layer, const char *key, const char *fallback,
                           const char **out);
// Refuses channels that do not come last.
co_status keras_channels_last(keras_layer *layer);
// Refuses what was not read and is neither null, false nor of training alone.
co_status keras_rest(keras_layer *layer);
// The next weight, whose shape must be this.
co_status keras_take(keras_layer *layer, const char *what, const co_shape *shape, float **out);

// The layer's weights in Keras' order; none where the file has no such layer. Sets `group` of an archive.
// `name`: as it is called in its own model; `root`: the group that its model's layers are in, of which `nth` come
// before it with its class.
co_status keras_file_arrays(keras_layer *layer, const char *name, const char *root, int64_t nth);
// The name of the `place`-th layer that an HDF5 file lists; unchanged where there is none.
co_status keras_file_layer_name(keras_file *file, int64_t place, const char **name);
// The group that the layers of a model within an archive are in, which is a layer itself.
co_status keras_file_inner(const keras_layer *model, const char **out);

// ---- archive.c ---------------------------------------------------------------------------------

// Opens the weights, file->h5; the texts are the arena's.
co_status keras_archive_open(keras_file *file, char **metadata, char **config);

// ---- network.c: what is made of the layers -----------------------------------------------------

typedef struct keras_item { // a layer of Cohort
  const char *name, *class_;
  const char *wanted;     // its name but for a number that tells it from others
  int64_t number;         // 0 = it has none
  const char *options;    // within its braces, as JSON: "\"units\": 4"
  const char *activation; // stands among them, unless it goes to the output; NULL = it has none
  const char *shared;     // the item whose weights it uses; NULL = its own
  const char *suffix;     // of those that are made of the layer
  const char *layer;      // of Keras
  const int64_t *in;      // values
  int64_t in_count;
  bool trainable;
} keras_item;

typedef struct keras_value {
  int64_t item;   // that gives it; below 0: -1 - the input's number
  co_shape shape; // without the batch, as Keras has it
  bool row;       // (T, C) is held as an image of one row, (1, T, C)
  int64_t other;  // the same value held the other way, -1 = none yet
} keras_value;

typedef struct keras_item_weight {
  int64_t item;
  const char *name; // "kernel"
  co_shape shape;
  const float *values;
} keras_item_weight;

typedef struct keras_port { // an input or output of the model
  const char *layer;        // its name
  const char *name;         // of the column
  int64_t value;
  double scale; // of an input: what its values are multiplied with first, 0 = they are not
  int64_t
      indices; // of an input: its values are numbers of that many rows of a table, 0 = they are numbers
  bool any; // of an input: whatever it is called
} keras_port;

typedef struct keras_network {
  keras_file *file;
  co_arena *arena;
  const co_keras_options *options;
  keras_port inputs[CO_KERAS_MOST], outputs[CO_KERAS_MOST];
  int64_t input_count, output_count;
  keras_item *items;
  keras_value *values;
  keras_item_weight *weights;
  const char **left_out;
  int64_t item_count, item_capacity, value_count, value_capacity, weight_count, weight_capacity,
      left_out_count, left_out_capacity, layer_count, call_count,
      open_count; // calls that wait for what they read
} keras_network;

// An item `options` (JSON without braces) called as the layer, with `suffix` behind where it makes several.
// *out is its value, whose shape is that of `in[0]`, held likewise, until it is given another.
co_status keras_emit(keras_network *net, const keras_layer *layer, const char *suffix,
                     const char *class_, const char *options, const int64_t *in, int64_t count,
                     int64_t *out);
co_status keras_add_weight(keras_network *net, const keras_layer *layer, const char *name,
                           const co_shape *shape, const float *values); // of the last item
co_status keras_leave_out(keras_network *net, const keras_layer *layer, const char *what);
// A value that an input gives.
co_status keras_add_input(keras_network *net, const co_shape *shape, int64_t *out);
// A value held as an image, or as Keras has it.
co_status keras_as_image(keras_network *net, const keras_layer *layer, int64_t value, int64_t *out);
co_status keras_as_is(keras_network *net, const keras_layer *layer, int64_t value, int64_t *out);

// ---- shapes (network.c) -----------------------------------------------------------------------

const co_shape *keras_shape(const keras_network *net, int64_t value);
void keras_set_shape(keras_network *net, int64_t value, co_shape shape);
int64_t keras_channels(const co_shape *shape); // the last extent
co_status keras_need_rank(const keras_network *net, const keras_layer *layer, int64_t value,
                          int rank);

// ---- a layer of Keras --------------------------------------------------------------------------

typedef struct keras_call {
  const int64_t *in;
  int64_t count;
} keras_call;

// Emits a layer: reads its options, its inputs' shapes, takes its weights.
typedef co_status keras_mapper(keras_network *net, keras_layer *layer, const keras_call *call,
                               int64_t *out);

typedef struct keras_mapping {
  const char *class_; // NULL ends a table
  keras_mapper *map;
} keras_mapping;

extern const keras_mapping keras_recurrent_mappings[]; // recurrent.c
extern const keras_mapping keras_image_mappings[];     // images.c
// layers.c: by all tables.
co_status keras_map(keras_network *net, keras_layer *layer, const int64_t *in, int64_t count,
                    int64_t *out);

// graph.c: goes through the layers in the order of their calls.
co_status keras_build(keras_network *net);
// finish.c: the network as config, schema and named weights.
co_status keras_finish(keras_network *net, co_keras_model *out);

#endif
