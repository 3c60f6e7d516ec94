// SPDX-License-Identifier: Apache-2.0
// The file: its config, and the weights of a layer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/persist/keras/keras_private.h"
#include "host/persist/model_arrays.h"

enum { MOST_WEIGHTS = 4096, MOST_NUMBERED = 16 }; // of a layer

static const char old_layers[] = "/_layer_checkpoint_dependencies"; // of TensorFlow 2.13's archives

static co_status refuse(const keras_file *file, const char *what, const char *hint) {
  co_status status = co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "%s", what);
  if (hint) co_hint("%s", hint);
  return status;
}

static co_status optional_text(keras_file *file, const char *object, const char *name,
                               const char **out) {
  char *text = NULL;
  if (!co_h5_exists(file->h5, object) || !co_h5_has_attribute(file->h5, object, name)) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_string(file->h5, object, name, file->arena, &text));
  *out = text;
  return CO_OK;
}

// JSON may hold NUL, as "\\u0000"; only the code of a Lambda does.
static void blank_nuls(char *text) {
  while (text && (text = strstr(text, "\\u0000")))
    memcpy(text + 2, "0020", 4);
}

static co_status parse(keras_file *file, char *text, const char *what, co_node **out) {
  co_diagnostics problems;
  blank_nuls(text);
  co_diagnostics_init(&problems, co_arena_context(file->arena));
  co_status status = co_yaml_parse(out, file->arena, file->path, text, strlen(text), &problems);
  if (status == CO_ERR_CONFIG || (status == CO_OK && problems.count))
    status = co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "its %s is no JSON: %s", what,
                        problems.count ? problems.item[0].message : co_error_last()->message);
  co_diagnostics_free(&problems);
  return status;
}

static co_status read_config(keras_file *file) {
  const char *text = NULL;
  CO_RETURN_IF_FAILED(optional_text(file, "/", "model_config", &text));
  if (!text)
    return refuse(file, "there is no model_config: it holds no model, or its weights alone",
                  "in Keras, model.save('FILE.h5') writes both");
  return parse(file, (char *)(uintptr_t)text, "model_config", &file->model);
}

static co_status check_version(keras_file *file) {
  if (!file->version) file->version = "1";
  file->major = (int)strtol(file->version, NULL, 10);
  if (file->major >= 1 && file->major <= 3) return CO_OK;
  return co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "it is of Keras '%.40s'; 1 to 3 are known",
                    file->version);
}

static co_status read_origin(keras_file *file) {
  const char *backend = NULL;
  file->weights = co_h5_exists(file->h5, "/model_weights") ? "/model_weights" : "/";
  CO_RETURN_IF_FAILED(optional_text(file, file->weights, "keras_version", &file->version));
  CO_RETURN_IF_FAILED(optional_text(file, file->weights, "backend", &backend));
  CO_RETURN_IF_FAILED(optional_text(file, "/", "keras_version", &file->version));
  CO_RETURN_IF_FAILED(optional_text(file, "/", "backend", &backend));
  file->theano = backend && strcmp(backend, "theano") == 0;
  return check_version(file);
}

static co_status open_archive(keras_file *file) {
  char *metadata, *config;
  co_node *origin;
  file->archive = true;
  CO_RETURN_IF_FAILED(keras_archive_open(file, &metadata, &config));
  file->weights = co_h5_exists(file->h5, old_layers) ? old_layers : "/layers";
  CO_RETURN_IF_FAILED(parse(file, metadata, "metadata.json", &origin));
  CO_RETURN_IF_FAILED(parse(file, config, "config.json", &file->model));
  const co_node *version = co_node_get(origin, "keras_version");
  if (version && version->kind == CO_NODE_SCALAR) file->version = version->text;
  return check_version(file);
}

co_status keras_file_open(keras_file *out, co_arena *arena, const char *path) {
  *out = (keras_file){.arena = arena, .path = path};
  if (co_keras_is_archive(path)) return open_archive(out);
  CO_RETURN_IF_FAILED(co_h5_open(&out->h5, co_arena_context(arena), path, CO_ERR_MODEL));
  if (co_h5_exists(out->h5, "/cohort")) return refuse(out, "it is a model of Cohort already", NULL);
  CO_RETURN_IF_FAILED(read_config(out));
  return read_origin(out);
}

void keras_file_close(keras_file *file) {
  co_h5_abandon(file->h5);
  file->h5 = NULL;
}

// `weight_names`, or, where it was too long for one attribute, `weight_names0`, `weight_names1`, …
static co_status weight_names(keras_file *file, const char *group, char ***out, int64_t *count) {
  static const char name[] = "weight_names";
  if (co_h5_has_attribute(file->h5, group, name))
    return co_h5_get_strings(file->h5, group, name, file->arena, out, count);
  char **names = co_arena_alloc(file->arena, MOST_WEIGHTS, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  *out = names;
  for (int i = 0; i < MOST_WEIGHTS; i++) {
    char **part, piece[sizeof name + 12];
    int64_t length;
    snprintf(piece, sizeof piece, "%s%d", name, i);
    if (!co_h5_has_attribute(file->h5, group, piece)) break;
    CO_RETURN_IF_FAILED(co_h5_get_strings(file->h5, group, piece, file->arena, &part, &length));
    for (int64_t k = 0; k < length && *count < MOST_WEIGHTS; k++)
      names[(*count)++] = part[k];
  }
  return CO_OK;
}

static co_status read_array(keras_file *file, const char *path, keras_array *out) {
  co_h5_info info;
  CO_RETURN_IF_FAILED(co_h5_get_info(file->h5, path, &info));
  if (info.is_group || info.is_string || co_shape_count(&info.shape) < 0 ||
      !co_model_is_stored(&info, &info.shape))
    return co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "'%s' is no array of numbers", path);
  out->shape = info.shape;
  out->values =
      co_arena_alloc(file->arena, (size_t)co_shape_count(&info.shape) + 1, sizeof *out->values);
  if (!out->values) return CO_ERR_MEMORY;
  return co_h5_read_rounded(file->h5, path, &info.shape, out->values);
}

// The weights of a group of an HDF5 file, by the names that it lists.
static co_status read_named(keras_file *file, const char *group, keras_layer *layer) {
  char **names;
  int64_t count = 0;
  CO_RETURN_IF_FAILED(weight_names(file, group, &names, &count));
  if (count > MOST_WEIGHTS)
    return co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "'%s' names far too many weights", group);
  layer->arrays = co_arena_alloc(file->arena, (size_t)count + 1, sizeof *layer->arrays);
  if (!layer->arrays) return CO_ERR_MEMORY;
  for (; layer->array_count < count; layer->array_count++) {
    char *path = co_arena_format(file->arena, "%s/%s", group, names[layer->array_count]);
    if (!path) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(read_array(file, path, &layer->arrays[layer->array_count]));
  }
  return CO_OK;
}

// ---- archives ----------------------------------------------------------------------------------

static bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

// As Keras makes names of classes: BatchNormalization is batch_normalization, PReLU p_re_lu.
static char *snake_case(co_arena *arena, const char *class_) {
  char *name = co_arena_alloc(arena, 2 * strlen(class_) + 1, 1), *to = name;
  for (const char *at = class_; name && *at; at++) {
    if (at > class_ && is_upper(*at) && (is_lower(at[1]) || is_lower(at[-1]))) *to++ = '_';
    *to++ = is_upper(*at) ? (char)(*at - 'A' + 'a') : *at;
  }
  if (name) *to = '\0';
  return name;
}

// Later versions say whose the weights are.
static co_status check_owner(keras_layer *layer, const char *own_name, const char *group) {
  const char *name = NULL;
  const char *own = co_arena_format(layer->file->arena, "%s/vars", group);
  if (!own) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(optional_text(layer->file, own, "name", &name));
  if (!name || strcmp(name, own_name) == 0) return CO_OK;
  return keras_refuse(layer, "the weights in its place, '%.200s', are those of '%.100s'", group,
                      name);
}

// The weights of a group of an archive: 0, 1, … of the layer itself and of what it is made of.
static co_status read_numbered(keras_file *file, const char *group, keras_layer *layer) {
  static const char *const parts[] = {"vars", "layer/vars", "cell/vars", "forward_layer/cell/vars",
                                      "backward_layer/cell/vars"};
  layer->arrays = co_arena_alloc(file->arena, MOST_NUMBERED, sizeof *layer->arrays);
  if (!layer->arrays) return CO_ERR_MEMORY;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    for (int k = 0; layer->array_count < MOST_NUMBERED; k++) {
      char *path = co_arena_format(file->arena, "%s/%s/%d", group, parts[i], k);
      if (!path) return CO_ERR_MEMORY;
      if (!co_h5_exists(file->h5, path)) break;
      CO_RETURN_IF_FAILED(read_array(file, path, &layer->arrays[layer->array_count++]));
    }
  return CO_OK;
}

co_status keras_file_arrays(keras_layer *layer, const char *name, const char *root, int64_t nth) {
  keras_file *file = layer->file;
  const char *called = file->archive ? snake_case(file->arena, layer->class_) : name;
  if (file->archive && called && nth)
    called = co_arena_format(file->arena, "%s_%lld", called, (long long)nth);
  const char *slash = strcmp(root, "/") == 0 ? "" : "/";
  char *group = called ? co_arena_format(file->arena, "%s%s%s", root, slash, called) : NULL;
  if (!group) return CO_ERR_MEMORY;
  layer->group = group;
  if (!*called || !co_h5_exists(file->h5, group)) return CO_OK;
  if (!file->archive) return read_named(file, group, layer);
  CO_RETURN_IF_FAILED(check_owner(layer, name, group));
  return read_numbered(file, group, layer);
}

co_status keras_file_layer_name(keras_file *file, int64_t place, const char **name) {
  char **names;
  int64_t count;
  if (file->archive || !co_h5_has_attribute(file->h5, file->weights, "layer_names")) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_h5_get_strings(file->h5, file->weights, "layer_names", file->arena, &names, &count));
  if (place < count) *name = names[place];
  return CO_OK;
}

co_status keras_file_inner(const keras_layer *model, const char **out) {
  keras_file *file = model->file;
  const char *old = co_arena_format(file->arena, "%s%s", model->group, old_layers);
  const char *own = co_arena_format(file->arena, "%s/layers", model->group);
  if (!old || !own) return CO_ERR_MEMORY;
  *out = co_h5_exists(file->h5, old) ? old : own;
  return CO_OK;
}
