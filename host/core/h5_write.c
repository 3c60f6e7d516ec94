// SPDX-License-Identifier: Apache-2.0
// Writing groups, datasets and attributes.
#include "host/core/h5_private.h"

#include <string.h>

#include "host/core/hash.h"

// Before and after each writing function: an earlier failure sticks, and one of the driver during
// the call counts although the library saw nothing.
static co_status ready_to_write(co_h5 *file) {
  co_h5_silence();
  if (!file->writing) return co_fail(CO_ERR_INTERNAL, "'%s' is open for reading", file->path);
  return file->error ? co_h5_disk_failed(file) : CO_OK;
}

static co_status written(co_h5 *file, co_status status) {
  return status == CO_OK && file->error ? co_h5_disk_failed(file) : status;
}

// Names are UTF-8. Borrowed from the file.
static hid_t link_properties(co_h5 *file) {
  if (file->links >= 0) return file->links;
  file->links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_char_encoding(file->links, H5T_CSET_UTF8);
  return file->links;
}

static hid_t create_group(co_h5 *file, hid_t parent, const char *name) {
  hid_t gcpl = H5Pcreate(H5P_GROUP_CREATE);
  co_h5_set_group_properties(gcpl);
  hid_t group = H5Gcreate2(parent, name, link_properties(file), gcpl, H5P_DEFAULT);
  co_h5_drop(gcpl);
  return group;
}

// Replaces the group *at by its member `name`, which is made if absent.
static co_status enter(co_h5 *file, const char *path, const char *name, hid_t *at) {
  hid_t next;
  if (name[0] == '\0' || strcmp(name, ".") == 0)
    return co_h5_refuse(file, path, "is not a usable name");
  h5_lookup result = co_h5_step(*at, name, &next);
  if (result == H5_ABSENT) next = create_group(file, *at, name);
  if (next < 0) return co_h5_library_failed(file, "create the group", path);
  co_h5_drop(*at);
  *at = next;
  if (H5Iget_type(next) == H5I_GROUP) return CO_OK;
  return co_h5_refuse(file, path, "lies behind something that is not a group");
}

// Of the path of an object, that of the group it lies in.
static size_t parent_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) : 0;
}

static co_status keep_parent(co_h5 *file, const char *path, hid_t group) {
  co_h5_drop(file->parent);
  co_free(file->ctx, file->parent_path);
  file->parent = -1;
  file->parent_path = co_format(file->ctx, "%.*s", (int)parent_length(path), path);
  if (!file->parent_path) return CO_ERR_MEMORY;
  file->parent = group;
  H5Iinc_ref(group);
  return CO_OK;
}

// Files are written group by group, and the way to one is a third of writing a small object.
static bool is_kept_parent(const co_h5 *file, const char *path) {
  const size_t length = parent_length(path);
  return file->parent >= 0 && strlen(file->parent_path) == length &&
         memcmp(file->parent_path, path, length) == 0;
}

// Opens the group that `path` lies in, making it, and gives the last component.
static co_status enter_parent(co_h5 *file, const char *path, hid_t *out, char name[H5_NAME_BYTES]) {
  co_status status = CO_OK;
  if (is_kept_parent(file, path) && co_h5_next_component(path + parent_length(path), name) &&
      name[0] != '\0') {
    *out = file->parent;
    H5Iinc_ref(*out);
    return CO_OK;
  }
  char following[H5_NAME_BYTES];
  *out = H5Oopen(file->id, "/", H5P_DEFAULT);
  if (*out < 0) return co_h5_library_failed(file, "open", "/");
  const char *rest = co_h5_next_component(path, name);
  if (!rest || name[0] == '\0') status = co_h5_refuse(file, path, "is not a usable name");
  while (status == CO_OK && (rest = co_h5_next_component(rest, following)) != NULL) {
    status = enter(file, path, name, out);
    memcpy(name, following, strlen(following) + 1);
  }
  if (status == CO_OK && name[0] == '\0') status = co_h5_refuse(file, path, "is not a usable name");
  if (status == CO_OK) status = keep_parent(file, path, *out);
  if (status != CO_OK) co_h5_drop(*out);
  return status;
}

static co_status make_group(co_h5 *file, const char *path) {
  hid_t group;
  char name[H5_NAME_BYTES];
  CO_RETURN_IF_FAILED(enter_parent(file, path, &group, name));
  co_status status = enter(file, path, name, &group);
  co_h5_drop(group);
  return status;
}

co_status co_h5_make_group(co_h5 *file, const char *path) {
  CO_RETURN_IF_FAILED(ready_to_write(file));
  if (path[strspn(path, "/")] == '\0') return CO_OK; // the root is always there
  return written(file, make_group(file, path));
}

static herr_t set_chunks(hid_t plist, const co_shape *shape, size_t size,
                         const co_h5_storage *storage) {
  hsize_t chunk[CO_MAX_RANK];
  for (int i = 0; i < shape->rank; i++)
    chunk[i] = (hsize_t)shape->dim[i];
  if (storage->chunk_rows < shape->dim[0]) chunk[0] = (hsize_t)storage->chunk_rows;
  herr_t result = H5Pset_chunk(plist, shape->rank, chunk);
  // Edge chunks are stored whole: their padding must be zero, not what memory held.
  if (result >= 0) result = H5Pset_fill_time(plist, H5D_FILL_TIME_ALLOC);
  if (result >= 0 && storage->deflate > 0) {
    if (size > 1) result = H5Pset_shuffle(plist);
    if (result >= 0) result = H5Pset_deflate(plist, (unsigned)storage->deflate);
  }
  if (result >= 0 && storage->fletcher32) result = H5Pset_fletcher32(plist);
  return result;
}

// The creation properties; negative on failure.
static hid_t storage_properties(const co_shape *shape, size_t size, const co_h5_storage *storage) {
  hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
  bool chunked = storage && storage->chunk_rows > 0 && shape->rank > 0 && co_shape_count(shape) > 0;
  herr_t result = H5Pset_obj_track_times(plist, 0);
  if (result >= 0)
    result = chunked ? set_chunks(plist, shape, size, storage)
                     : H5Pset_alloc_time(plist, H5D_ALLOC_TIME_EARLY);
  if (result >= 0) return plist;
  co_h5_drop(plist);
  return -1;
}

static hid_t make_space(const co_shape *shape) {
  hsize_t extent[CO_MAX_RANK];
  if (shape->rank == 0) return H5Screate(H5S_SCALAR);
  for (int i = 0; i < shape->rank; i++)
    extent[i] = (hsize_t)shape->dim[i];
  return H5Screate_simple(shape->rank, extent, NULL);
}

// Creates the dataset and leaves it open in *out.
static co_status create_dataset(co_h5 *file, const char *path, hid_t type, size_t size,
                                const co_shape *shape, const co_h5_storage *storage, hid_t *out) {
  hid_t group;
  char name[H5_NAME_BYTES];
  co_status status = CO_OK;
  *out = -1;
  if (type < 0 || co_shape_count(shape) < 0)
    return co_fail(CO_ERR_INTERNAL, "'%s': '%s' has a type or shape that cannot be stored",
                   file->path, path);
  CO_RETURN_IF_FAILED(enter_parent(file, path, &group, name));
  hid_t plist = storage_properties(shape, size, storage), space = -1, lcpl = -1;
  if (plist >= 0) space = make_space(shape);
  if (space >= 0) lcpl = link_properties(file);
  if (lcpl >= 0) *out = H5Dcreate2(group, name, type, space, lcpl, plist, H5P_DEFAULT);
  if (*out < 0) status = co_h5_library_failed(file, "create the dataset", path);
  co_h5_drop(space);
  co_h5_drop(plist);
  co_h5_drop(group);
  return status;
}

// Closing writes what the chunk cache holds, so it can fail.
static co_status finish_dataset(co_h5 *file, const char *path, hid_t id, co_status status) {
  if (id >= 0 && H5Dclose(id) < 0 && status == CO_OK)
    status = co_h5_library_failed(file, "write", path);
  return written(file, status);
}

static co_status write_attribute(co_h5 *file, const char *object, hid_t id, const char *name,
                                 hid_t stored, hid_t memory, hid_t space, const void *value) {
  co_status status = CO_OK;
  htri_t exists = H5Aexists(id, name);
  if (exists > 0) H5Adelete(id, name);
  hid_t plist = H5Pcreate(H5P_ATTRIBUTE_CREATE);
  H5Pset_char_encoding(plist, H5T_CSET_UTF8);
  hid_t attr = H5Acreate2(id, name, stored, space, plist, H5P_DEFAULT);
  if (attr < 0 || (value && H5Awrite(attr, memory, value) < 0))
    status = co_h5_library_failed(file, "write an attribute of", object);
  co_h5_drop(attr);
  co_h5_drop(plist);
  return status;
}

static co_status write_scalar(co_h5 *file, const char *object, hid_t id, const char *name,
                              co_dtype dtype, const void *value) {
  hid_t space = H5Screate(H5S_SCALAR);
  co_status status = write_attribute(file, object, id, name, co_h5_stored_type(dtype),
                                     co_h5_memory_type(dtype), space, value);
  co_h5_drop(space);
  return status;
}

co_status co_h5_write(co_h5 *file, const char *path, co_dtype dtype, const co_shape *shape,
                      const void *data, const co_h5_storage *storage, bool checksum) {
  hid_t id;
  int64_t count = co_shape_count(shape);
  size_t size = co_dtype_size(dtype);
  CO_RETURN_IF_FAILED(ready_to_write(file));
  co_status status =
      create_dataset(file, path, co_h5_stored_type(dtype), size, shape, storage, &id);
  if (status == CO_OK && count > 0 &&
      H5Dwrite(id, co_h5_memory_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
    status = co_h5_library_failed(file, "write", path);
  if (status == CO_OK && checksum) {
    int64_t crc = co_crc32c(0, data, (size_t)count * size);
    status = write_scalar(file, path, id, H5_CHECKSUM_NAME, CO_I64, &crc);
  }
  return finish_dataset(file, path, id, status);
}

co_status co_h5_create_dataset(co_h5 *file, const char *path, co_dtype dtype, const co_shape *shape,
                               const co_h5_storage *storage) {
  hid_t id;
  CO_RETURN_IF_FAILED(ready_to_write(file));
  co_status status = create_dataset(file, path, co_h5_stored_type(dtype), co_dtype_size(dtype),
                                    shape, storage, &id);
  return finish_dataset(file, path, id, status);
}

static co_status write_slab(co_h5 *file, const char *path, h5_dataset *d, int64_t begin,
                            int64_t count, const void *data) {
  co_status status = CO_OK;
  CO_RETURN_IF_FAILED(co_h5_check_rows(file, path, d, begin, count));
  if (count == 0 || d->row == 0) return CO_OK;
  hid_t memory = co_h5_select_rows(d, begin, count);
  if (memory < 0 || H5Dwrite(d->id, d->element.memory, memory, d->space, H5P_DEFAULT, data) < 0)
    status = co_h5_library_failed(file, "write", path);
  co_h5_drop(memory);
  return status;
}

co_status co_h5_write_rows(co_h5 *file, const char *path, int64_t begin, int64_t count,
                           const void *data) {
  h5_dataset d;
  CO_RETURN_IF_FAILED(ready_to_write(file));
  CO_RETURN_IF_FAILED(co_h5_number_dataset_open(file, path, &d));
  co_status status = write_slab(file, path, &d, begin, count, data);
  hid_t id = d.id;
  d.id = -1;
  co_h5_dataset_close(&d);
  return finish_dataset(file, path, id, status);
}

static hid_t string_type(void) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

// The library converts strings in a buffer of 1 MiB, which it clears for each dataset: short lists take
// as much as they need. What a string is in the file has 16 bytes.
static co_status put_strings(co_h5 *file, const char *path, const h5_dataset *to, hid_t memory,
                             const char *const *text, int64_t count) {
  hid_t type = string_type(), plist = H5Pcreate(H5P_DATASET_XFER);
  size_t most = (size_t)1 << 16, strings = (size_t)count < most ? (size_t)count : most;
  co_status status = CO_OK;
  if (H5Pset_buffer(plist, 16 * strings, NULL, NULL) < 0 ||
      H5Dwrite(to->id, type, memory, to->space, plist, text) < 0)
    status = co_h5_library_failed(file, "write", path);
  co_h5_drop(plist);
  co_h5_drop(type);
  return status;
}

// Creates a dataset of strings, and writes them where they are there.
static co_status make_strings(co_h5 *file, const char *path, const char *const *text,
                              int64_t count) {
  hid_t id;
  co_shape shape = co_shape_make(1, count);
  CO_RETURN_IF_FAILED(ready_to_write(file));
  hid_t type = string_type();
  co_status status = create_dataset(file, path, type, 1, &shape, NULL, &id);
  co_h5_drop(type);
  if (status == CO_OK && text && count > 0) {
    const h5_dataset d = {.id = id, .space = H5S_ALL};
    status = put_strings(file, path, &d, H5S_ALL, text, count);
  }
  return finish_dataset(file, path, id, status);
}

co_status co_h5_write_strings(co_h5 *file, const char *path, const char *const *text,
                              int64_t count) {
  return make_strings(file, path, text, count);
}

co_status co_h5_create_strings(co_h5 *file, const char *path, int64_t count) {
  return make_strings(file, path, NULL, count);
}

co_status co_h5_write_string_rows(co_h5 *file, const char *path, int64_t begin, int64_t count,
                                  const char *const *text) {
  h5_dataset d;
  CO_RETURN_IF_FAILED(ready_to_write(file));
  CO_RETURN_IF_FAILED(co_h5_dataset_open(file, path, &d));
  co_status status = d.element.is_string ? co_h5_check_rows(file, path, &d, begin, count)
                                         : co_h5_refuse(file, path, "holds no strings");
  if (status == CO_OK && count > 0) {
    hid_t memory = co_h5_select_rows(&d, begin, count);
    status = memory < 0 ? co_h5_library_failed(file, "write", path)
                        : put_strings(file, path, &d, memory, text, count);
    co_h5_drop(memory);
  }
  hid_t id = d.id;
  d.id = -1;
  co_h5_dataset_close(&d);
  return finish_dataset(file, path, id, status);
}

static co_status set_text(co_h5 *file, const char *object, const char *name, hid_t space,
                          const char *const *text) {
  hid_t id;
  co_status status = co_h5_open_object(file, object, &id);
  if (status == CO_OK) {
    hid_t type = string_type();
    status = write_attribute(file, object, id, name, type, type, space, text);
    co_h5_drop(type);
    co_h5_drop(id);
  }
  co_h5_drop(space);
  return written(file, status);
}

co_status co_h5_set_string(co_h5 *file, const char *object, const char *name, const char *value) {
  CO_RETURN_IF_FAILED(ready_to_write(file));
  return set_text(file, object, name, H5Screate(H5S_SCALAR), &value);
}

co_status co_h5_set_strings(co_h5 *file, const char *object, const char *name,
                            const char *const *text, int64_t count) {
  hsize_t extent = (hsize_t)count;
  CO_RETURN_IF_FAILED(ready_to_write(file));
  return set_text(file, object, name, H5Screate_simple(1, &extent, NULL), count ? text : NULL);
}

static co_status set_number(co_h5 *file, const char *object, const char *name, co_dtype dtype,
                            const void *value) {
  hid_t id;
  CO_RETURN_IF_FAILED(ready_to_write(file));
  CO_RETURN_IF_FAILED(co_h5_open_object(file, object, &id));
  co_status status = write_scalar(file, object, id, name, dtype, value);
  co_h5_drop(id);
  return written(file, status);
}

co_status co_h5_set_int(co_h5 *file, const char *object, const char *name, int64_t value) {
  return set_number(file, object, name, CO_I64, &value);
}

co_status co_h5_set_double(co_h5 *file, const char *object, const char *name, double value) {
  return set_number(file, object, name, CO_F64, &value);
}
