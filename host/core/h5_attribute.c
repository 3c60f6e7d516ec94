// SPDX-License-Identifier: Apache-2.0
// Reading attributes.
#include "host/core/h5_private.h"

typedef struct attribute {
  hid_t id, type, space;
  h5_element element;
  int64_t count;
} attribute;

static void attribute_close(attribute *a) {
  co_h5_drop(a->space);
  co_h5_drop(a->type);
  co_h5_drop(a->id);
}

static co_status attribute_failed(co_h5 *file, const char *object, const char *name,
                                  const char *why) {
  return co_fail(file->failure, "'%s': the attribute '%s' of '%s' %s", file->path, name, object,
                 why);
}

static co_status check_attribute(co_h5 *file, const char *object, const char *name, attribute *a) {
  a->type = H5Aget_type(a->id);
  a->space = H5Aget_space(a->id);
  if (a->type < 0 || a->space < 0)
    return co_h5_library_failed(file, "read the attributes of", object);
  H5S_class_t kind = H5Sget_simple_extent_type(a->space);
  hssize_t count = kind == H5S_NULL ? 0 : H5Sget_simple_extent_npoints(a->space);
  if (!co_h5_classify(a->type, &a->element) || count < 0 ||
      H5Sget_simple_extent_ndims(a->space) > 1)
    return attribute_failed(file, object, name, "has a type that is not supported");
  if (count > H5_MAX_MEMBERS || a->element.size > SIZE_MAX / H5_MAX_MEMBERS ||
      (uint64_t)count * a->element.size > H5_FREE_BYTES)
    return attribute_failed(file, object, name, "is far too large");
  a->count = (int64_t)count;
  return CO_OK;
}

static co_status attribute_open(co_h5 *file, const char *object, hid_t id, const char *name,
                                attribute *a) {
  *a = (attribute){.id = -1, .type = -1, .space = -1};
  htri_t exists = H5Aexists(id, name);
  if (exists == 0)
    return co_fail(file->failure, "'%s': '%s' has no attribute '%s'", file->path, object, name);
  if (exists > 0) a->id = H5Aopen(id, name, H5P_DEFAULT);
  if (a->id < 0) return co_h5_library_failed(file, "read the attributes of", object);
  co_status status = check_attribute(file, object, name, a);
  if (status != CO_OK) attribute_close(a);
  return status;
}

static co_status convert_attribute(co_h5 *file, const char *object, const char *name, attribute *a,
                                   co_dtype dtype, void *out) {
  uint64_t value = 0; // room for any element
  if (a->element.is_string || a->count != 1)
    return attribute_failed(file, object, name, "is not a number");
  if (H5Aread(a->id, a->element.memory, &value) < 0)
    return co_h5_library_failed(file, "read the attributes of", object);
  if ((a->element.huge && value > INT64_MAX) ||
      co_h5_convert(a->element.dtype, &value, dtype, out, 1) >= 0)
    return attribute_failed(file, object, name, "holds a number that does not fit");
  return CO_OK;
}

co_status co_h5_read_number_attribute(co_h5 *file, const char *object, hid_t id, const char *name,
                                      co_dtype dtype, void *out) {
  attribute a;
  CO_RETURN_IF_FAILED(attribute_open(file, object, id, name, &a));
  co_status status = convert_attribute(file, object, name, &a, dtype, out);
  attribute_close(&a);
  return status;
}

static co_status get_number(co_h5 *file, const char *object, const char *name, co_dtype dtype,
                            void *out) {
  hid_t id;
  CO_RETURN_IF_FAILED(co_h5_open_object(file, object, &id));
  co_status status = co_h5_read_number_attribute(file, object, id, name, dtype, out);
  co_h5_drop(id);
  return status;
}

co_status co_h5_get_int(co_h5 *file, const char *object, const char *name, int64_t *out) {
  return get_number(file, object, name, CO_I64, out);
}

co_status co_h5_get_double(co_h5 *file, const char *object, const char *name, double *out) {
  return get_number(file, object, name, CO_F64, out);
}

// The library's own allocator, because reading an attribute takes no other.
static co_status copy_variable_strings(co_h5 *file, const char *object, attribute *a,
                                       co_arena *arena, char **text) {
  char **raw = co_alloc_zero(file->ctx, (size_t)a->count, sizeof *raw);
  if (!raw) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  if (H5Aread(a->id, a->type, raw) < 0)
    status = co_h5_library_failed(file, "read the attributes of", object);
  for (int64_t i = 0; i < a->count && status == CO_OK; i++)
    if (!(text[i] = co_arena_strdup(arena, raw[i] ? raw[i] : ""))) status = CO_ERR_MEMORY;
  H5Dvlen_reclaim(a->type, a->space, H5P_DEFAULT, raw);
  co_free(file->ctx, raw);
  return status;
}

static co_status copy_fixed_strings(co_h5 *file, const char *object, attribute *a, co_arena *arena,
                                    char **text) {
  size_t size = a->element.size;
  char *bytes = co_alloc_zero(file->ctx, (size_t)a->count, size);
  if (!bytes) return CO_ERR_MEMORY;
  co_status status =
      H5Aread(a->id, a->type, bytes) < 0
          ? co_h5_library_failed(file, "read the attributes of", object)
          : co_h5_cut_fixed_strings(bytes, a->count, size, H5Tget_strpad(a->type), arena, text);
  co_free(file->ctx, bytes);
  return status;
}

static co_status read_string_attribute(co_h5 *file, const char *object, const char *name,
                                       attribute *a, co_arena *arena, char ***out) {
  // An empty list says nothing of its type: h5py writes one of floats.
  if (!a->element.is_string && a->count > 0)
    return attribute_failed(file, object, name, "is not text");
  char **text = co_arena_alloc(arena, (size_t)a->count, sizeof *text);
  if (!text) return CO_ERR_MEMORY;
  if (a->count > 0)
    CO_RETURN_IF_FAILED(a->element.variable ? copy_variable_strings(file, object, a, arena, text)
                                            : copy_fixed_strings(file, object, a, arena, text));
  *out = text;
  return co_h5_check_utf8(file, object, name, text, a->count);
}

co_status co_h5_get_strings(co_h5 *file, const char *object, const char *name, co_arena *arena,
                            char ***out, int64_t *count) {
  hid_t id;
  attribute a;
  *out = NULL;
  *count = 0;
  CO_RETURN_IF_FAILED(co_h5_open_object(file, object, &id));
  co_status status = attribute_open(file, object, id, name, &a);
  if (status == CO_OK) {
    status = read_string_attribute(file, object, name, &a, arena, out);
    if (status == CO_OK) *count = a.count;
    attribute_close(&a);
  }
  co_h5_drop(id);
  return status;
}

co_status co_h5_get_string(co_h5 *file, const char *object, const char *name, co_arena *arena,
                           char **out) {
  char **text;
  int64_t count;
  *out = NULL;
  CO_RETURN_IF_FAILED(co_h5_get_strings(file, object, name, arena, &text, &count));
  if (count != 1) return attribute_failed(file, object, name, "is not a single text");
  *out = text[0];
  return CO_OK;
}
