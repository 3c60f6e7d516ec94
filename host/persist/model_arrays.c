// SPDX-License-Identifier: Apache-2.0
#include "host/persist/model_arrays.h"

#include <string.h>

#include "host/core/hash.h"

co_status co_model_arrays_add(co_model_arrays *arrays, co_context *ctx, const co_fitted *array) {
  CO_RETURN_IF_FAILED(co_grow(ctx, (void **)&arrays->items, &arrays->capacity, arrays->count,
                              sizeof *arrays->items));
  arrays->items[arrays->count++] = *array;
  return CO_OK;
}

const co_fitted *co_model_arrays_find(const co_model_arrays *arrays, const char *feature,
                                      const char *name) {
  for (int64_t i = 0; i < arrays->count; i++)
    if (strcmp(arrays->items[i].feature, feature) == 0 && strcmp(arrays->items[i].name, name) == 0)
      return &arrays->items[i];
  return NULL;
}

static size_t bytes_of(const co_fitted *array) {
  return (size_t)co_shape_count(&array->shape) * co_dtype_size(array->dtype);
}

void co_model_arrays_fingerprint(const co_model_arrays *arrays, char hex[65]) {
  co_sha256 hash;
  co_sha256_init(&hash);
  for (int64_t i = 0; i < arrays->count; i++) {
    const co_fitted *array = &arrays->items[i];
    co_sha256_update(&hash, array->feature, strlen(array->feature) + 1);
    co_sha256_update(&hash, array->name, strlen(array->name) + 1);
    co_sha256_update(&hash, array->bytes, bytes_of(array));
  }
  co_sha256_final(&hash, hex);
}

// ---- writing -----------------------------------------------------------------------------------

co_status co_model_arrays_write(co_h5 *file, const char *group, const co_model_arrays *arrays,
                                co_arena *arena) {
  CO_RETURN_IF_FAILED(co_h5_make_group(file, group));
  for (int64_t i = 0; i < arrays->count; i++) {
    const co_fitted *array = &arrays->items[i];
    char *path = co_arena_format(arena, "%s/%s/%s", group, array->feature, array->name);
    if (!path) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(
        co_h5_write(file, path, array->dtype, &array->shape, array->bytes, NULL, true));
  }
  return CO_OK;
}

// ---- reading -----------------------------------------------------------------------------------

bool co_model_is_stored(const co_h5_info *info, const co_shape *shape) {
  enum { SMALL = 1 << 20, COMPRESSION = 16 };
  double bytes = (double)co_shape_count(shape) * (double)sizeof(float);
  return bytes <= SMALL || (double)info->stored_bytes * COMPRESSION >= bytes;
}

static co_status read_array(co_h5 *file, co_arena *arena, const char *path, co_fitted *array) {
  co_h5_info info;
  CO_RETURN_IF_FAILED(co_h5_get_info(file, path, &info));
  if (info.is_group || info.is_string || !co_model_is_stored(&info, &info.shape))
    return co_fail_at(CO_ERR_MODEL, co_h5_path(file), 0, 0, "'%s' is damaged", path);
  array->dtype = info.dtype;
  array->shape = info.shape;
  array->bytes =
      co_arena_alloc(arena, (size_t)co_shape_count(&info.shape) + 1, co_dtype_size(info.dtype));
  return array->bytes ? co_h5_read(file, path, info.dtype, &info.shape, array->bytes)
                      : CO_ERR_MEMORY;
}

static co_status read_arrays(co_h5 *file, co_arena *arena, const char *group,
                             co_model_arrays *out) {
  char **features, **names;
  int64_t feature_count, name_count;
  out->count = 0;
  if (!co_h5_exists(file, group))
    return co_fail_at(CO_ERR_MODEL, co_h5_path(file), 0, 0, "there is no '%s'", group);
  CO_RETURN_IF_FAILED(co_h5_list(file, group, arena, &features, &feature_count));
  for (int64_t i = 0; i < feature_count; i++) {
    char *folder = co_arena_format(arena, "%s/%s", group, features[i]);
    if (!folder) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_h5_list(file, folder, arena, &names, &name_count));
    for (int64_t k = 0; k < name_count; k++) {
      co_fitted array = {.feature = features[i], .name = names[k]};
      char *path = co_arena_format(arena, "%s/%s", folder, names[k]);
      if (!path) return CO_ERR_MEMORY;
      CO_RETURN_IF_FAILED(read_array(file, arena, path, &array));
      CO_RETURN_IF_FAILED(co_model_arrays_add(out, co_arena_context(arena), &array));
    }
  }
  return CO_OK;
}

co_status co_model_file_read_arrays(co_model_arrays *out, co_arena *arena, const char *path,
                                    const char *group) {
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_h5_open(&file, co_arena_context(arena), path, CO_ERR_MODEL));
  co_status status = read_arrays(file, arena, group, out);
  co_h5_abandon(file);
  return status;
}
