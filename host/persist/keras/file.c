// SPDX-License-Identifier: Apache-2.0
// The file: its config, and the weights of a layer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/persist/keras/keras_private.h"
#include "host/persist/model_arrays.h"

enum { MOST_WEIGHTS = 4096 };

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

static co_status read_config(keras_file *file) {
  const char *text = NULL;
  co_diagnostics problems;
  CO_RETURN_IF_FAILED(optional_text(file, "/", "model_config", &text));
  if (!text)
    return refuse(file, "there is no model_config: it holds no model, or its weights alone",
                  "in Keras, model.save('FILE.h5') writes both");
  blank_nuls((char *)(uintptr_t)text);
  co_diagnostics_init(&problems, co_arena_context(file->arena));
  co_status status =
      co_yaml_parse(&file->model, file->arena, file->path, text, strlen(text), &problems);
  if (status == CO_ERR_CONFIG || (status == CO_OK && problems.count))
    status = co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "its model_config is no JSON: %s",
                        problems.count ? problems.item[0].message : co_error_last()->message);
  co_diagnostics_free(&problems);
  return status;
}

static co_status read_origin(keras_file *file) {
  const char *backend = NULL;
  file->weights = co_h5_exists(file->h5, "/model_weights") ? "/model_weights" : "/";
  CO_RETURN_IF_FAILED(optional_text(file, file->weights, "keras_version", &file->version));
  CO_RETURN_IF_FAILED(optional_text(file, file->weights, "backend", &backend));
  CO_RETURN_IF_FAILED(optional_text(file, "/", "keras_version", &file->version));
  CO_RETURN_IF_FAILED(optional_text(file, "/", "backend", &backend));
  if (!file->version) file->version = "1";
  file->major = (int)strtol(file->version, NULL, 10);
  file->theano = backend && strcmp(backend, "theano") == 0;
  if (file->major >= 1 && file->major <= 3) return CO_OK;
  return co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "it is of Keras '%.40s'; 1 to 3 are known",
                    file->version);
}

co_status keras_file_open(keras_file *out, co_arena *arena, const char *path) {
  *out = (keras_file){.arena = arena, .path = path};
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

co_status keras_file_arrays(keras_file *file, const char *layer, keras_array **out,
                            int64_t *count) {
  char **names;
  int64_t names_count = 0;
  *out = NULL;
  *count = 0;
  const char *slash = strcmp(file->weights, "/") == 0 ? "" : "/";
  char *group = co_arena_format(file->arena, "%s%s%s", file->weights, slash, layer);
  if (!group) return CO_ERR_MEMORY;
  if (!*layer || !co_h5_exists(file->h5, group)) return CO_OK;
  CO_RETURN_IF_FAILED(weight_names(file, group, &names, &names_count));
  if (names_count > MOST_WEIGHTS)
    return co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "'%s' names far too many weights", group);
  keras_array *arrays = co_arena_alloc(file->arena, (size_t)names_count + 1, sizeof *arrays);
  if (!arrays) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < names_count; i++) {
    char *path = co_arena_format(file->arena, "%s/%s", group, names[i]);
    if (!path) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(read_array(file, path, &arrays[i]));
  }
  *out = arrays;
  *count = names_count;
  return CO_OK;
}
