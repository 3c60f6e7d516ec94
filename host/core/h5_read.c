// SPDX-License-Identifier: Apache-2.0
// Reading datasets: numbers, as any type that holds them, and text.
#include "host/core/h5_private.h"

#include <string.h>

#include "host/core/hash.h"
#include "host/core/utf8.h"

enum { SLAB_BYTES = 1 << 20 };

// ---- numbers -----------------------------------------------------------------------------------

static co_status read_slab(co_h5 *file, const char *path, h5_dataset *d, int64_t begin,
                           int64_t count, void *out) {
  co_status status = CO_OK;
  if (count == 0 || d->row == 0) return CO_OK;
  hid_t memory = co_h5_select_rows(d, begin, count);
  if (memory < 0 || H5Dread(d->id, d->element.memory, memory, d->space, H5P_DEFAULT, out) < 0)
    status = co_h5_library_failed(file, "read", path);
  co_h5_drop(memory);
  if (status != CO_OK || !d->element.huge) return status;
  for (int64_t i = 0; i < count * d->row; i++)
    if (((const uint64_t *)out)[i] > INT64_MAX)
      return co_h5_refuse(file, path, "holds a number beyond 63 bits");
  return CO_OK;
}

static void update_checksum(const h5_dataset *d, const void *data, int64_t rows,
                            uint32_t *checksum) {
  size_t size = co_dtype_size(d->element.dtype);
  if (checksum) *checksum = co_crc32c(*checksum, data, (size_t)(rows * d->row) * size);
}

// How values come to the caller: as `dtype` exactly, or rounded to float.
typedef struct h5_target {
  co_dtype dtype;
  bool rounded;
} h5_target;

// Of elements that begin with row `row`.
static co_status convert(co_h5 *file, const char *path, const h5_dataset *d, const void *in,
                         h5_target to, void *out, int64_t count, int64_t row) {
  co_dtype from = d->element.dtype;
  double beyond = 0;
  int64_t bad = to.rounded ? co_h5_round(from, in, out, count, &beyond)
                           : co_h5_convert(from, in, to.dtype, out, count);
  if (bad < 0) return CO_OK;
  if (to.rounded)
    return co_fail(file->failure, "'%s': '%s': row %lld holds %g, too large for float32",
                   file->path, path, (long long)(row + bad / d->row), beyond);
  return co_fail(file->failure, "'%s': '%s' (%s) holds a value that %s cannot", file->path, path,
                 co_dtype_name(from), co_dtype_name(to.dtype));
}

// Through a buffer of some rows at a time, so that a conversion does not double the memory.
static co_status read_converted(co_h5 *file, const char *path, h5_dataset *d, h5_target to,
                                int64_t begin, int64_t count, char *out, uint32_t *checksum) {
  size_t row_bytes = (size_t)d->row * co_dtype_size(d->element.dtype);
  int64_t step_rows = row_bytes && row_bytes < SLAB_BYTES ? (int64_t)(SLAB_BYTES / row_bytes) : 1;
  if (step_rows > count) step_rows = count;
  co_status status = CO_OK;
  char *buffer = co_alloc(file->ctx, (size_t)step_rows * row_bytes);
  if (!buffer) return CO_ERR_MEMORY;
  for (int64_t done = 0; done < count && status == CO_OK; done += step_rows) {
    int64_t rows = count - done < step_rows ? count - done : step_rows;
    status = read_slab(file, path, d, begin + done, rows, buffer);
    if (status != CO_OK) break;
    update_checksum(d, buffer, rows, checksum);
    char *target = out + (size_t)(done * d->row) * co_dtype_size(to.dtype);
    status = convert(file, path, d, buffer, to, target, rows * d->row, begin + done);
  }
  co_free(file->ctx, buffer);
  return status;
}

static co_status read_rows(co_h5 *file, const char *path, h5_dataset *d, h5_target to,
                           int64_t begin, int64_t count, void *out, uint32_t *checksum) {
  if (co_h5_stored_type(to.dtype) < 0)
    return co_fail(CO_ERR_INTERNAL, "'%s': cannot read '%s' as %s", file->path, path,
                   co_dtype_name(to.dtype));
  if (to.dtype != d->element.dtype)
    return read_converted(file, path, d, to, begin, count, out, checksum);
  CO_RETURN_IF_FAILED(read_slab(file, path, d, begin, count, out));
  update_checksum(d, out, count, checksum);
  return CO_OK;
}

static co_status check_shape(co_h5 *file, const char *path, const co_shape *has,
                             const co_shape *wanted) {
  char a[160], b[160];
  if (!wanted || co_shape_equal(has, wanted)) return CO_OK;
  co_shape_print(has, a, sizeof a);
  co_shape_print(wanted, b, sizeof b);
  return co_fail(file->failure, "'%s': '%s' has shape %s, expected %s", file->path, path, a, b);
}

static co_status read_checked(co_h5 *file, const char *path, h5_dataset *d, h5_target to,
                              void *out) {
  int64_t rows = d->shape.rank ? d->shape.dim[0] : 1, expected = 0;
  uint32_t checksum = 0;
  htri_t has = d->element.ours ? H5Aexists(d->id, H5_CHECKSUM_NAME) : 0;
  if (has < 0) return co_h5_library_failed(file, "read", path);
  if (!has) return read_rows(file, path, d, to, 0, rows, out, NULL);
  CO_RETURN_IF_FAILED(
      co_h5_read_number_attribute(file, path, d->id, H5_CHECKSUM_NAME, CO_I64, &expected));
  CO_RETURN_IF_FAILED(read_rows(file, path, d, to, 0, rows, out, &checksum));
  if ((int64_t)checksum == expected) return CO_OK;
  return co_h5_refuse(file, path, "is damaged: its checksum does not match");
}

static co_status read_whole(co_h5 *file, const char *path, h5_target to, const co_shape *shape,
                            void *out) {
  h5_dataset d;
  CO_RETURN_IF_FAILED(co_h5_number_dataset_open(file, path, &d));
  co_status status = check_shape(file, path, &d.shape, shape);
  if (status == CO_OK) status = read_checked(file, path, &d, to, out);
  co_h5_dataset_close(&d);
  return status;
}

co_status co_h5_read(co_h5 *file, const char *path, co_dtype dtype, const co_shape *shape,
                     void *out) {
  return read_whole(file, path, (h5_target){dtype, false}, shape, out);
}

co_status co_h5_read_rounded(co_h5 *file, const char *path, const co_shape *shape, float *out) {
  return read_whole(file, path, (h5_target){CO_F32, true}, shape, out);
}

co_status co_h5_read_rows(co_h5 *file, const char *path, co_dtype dtype, int64_t begin,
                          int64_t count, void *out) {
  h5_dataset d;
  CO_RETURN_IF_FAILED(co_h5_number_dataset_open(file, path, &d));
  co_status status = co_h5_check_rows(file, path, &d, begin, count);
  if (status == CO_OK)
    status = read_rows(file, path, &d, (h5_target){dtype, false}, begin, count, out, NULL);
  co_h5_dataset_close(&d);
  return status;
}

// ---- text --------------------------------------------------------------------------------------

// Lets the library put variable-length strings straight into the arena, within a budget.
typedef struct string_pool {
  co_arena *arena;
  uint64_t budget;
  bool no_memory, exhausted;
} string_pool;

static void *pool_alloc(size_t size, void *user) {
  string_pool *pool = user;
  if (size > pool->budget) {
    pool->exhausted = true;
    return NULL;
  }
  pool->budget -= size;
  void *pointer = co_arena_alloc(pool->arena, size, 1);
  if (!pointer) pool->no_memory = true;
  return pointer;
}

static void pool_free(void *pointer, void *user) {
  (void)pointer, (void)user; // the arena frees all at once
}

static co_status read_variable_strings(co_h5 *file, const char *path, h5_dataset *d, hid_t memory,
                                       co_arena *arena, char **text) {
  string_pool pool = {.arena = arena, .budget = H5_FREE_BYTES};
  co_status status = CO_OK;
  hid_t plist = H5Pcreate(H5P_DATASET_XFER);
  if (H5Pset_vlen_mem_manager(plist, pool_alloc, &pool, pool_free, &pool) < 0 ||
      H5Dread(d->id, d->type, memory, d->space, plist, text) < 0)
    status = pool.no_memory   ? CO_ERR_MEMORY
             : pool.exhausted ? co_h5_refuse(file, path, "holds too much text")
                              : co_h5_library_failed(file, "read", path);
  co_h5_drop(plist);
  return status;
}

// The length of a fixed-length string without its padding.
static size_t fixed_length(const char *bytes, size_t size, H5T_str_t padding) {
  size_t length = strnlen(bytes, size);
  if (padding == H5T_STR_SPACEPAD)
    while (length > 0 && bytes[length - 1] == ' ')
      length--;
  return length;
}

co_status co_h5_cut_fixed_strings(const char *bytes, int64_t count, size_t size, H5T_str_t padding,
                                  co_arena *arena, char **text) {
  for (int64_t i = 0; i < count; i++) {
    const char *one = bytes + (size_t)i * size;
    text[i] = co_arena_strndup(arena, one, fixed_length(one, size, padding));
    if (!text[i]) return CO_ERR_MEMORY;
  }
  return CO_OK;
}

static co_status read_fixed_strings(co_h5 *file, const char *path, h5_dataset *d, hid_t memory,
                                    int64_t count, co_arena *arena, char **text) {
  size_t size = d->element.size;
  char *bytes = co_alloc_zero(file->ctx, (size_t)count, size);
  if (!bytes) return CO_ERR_MEMORY;
  co_status status =
      H5Dread(d->id, d->type, memory, d->space, H5P_DEFAULT, bytes) < 0
          ? co_h5_library_failed(file, "read", path)
          : co_h5_cut_fixed_strings(bytes, count, size, H5Tget_strpad(d->type), arena, text);
  co_free(file->ctx, bytes);
  return status;
}

// Strings never written read as null pointers.
static co_status fill_missing(co_arena *arena, char **text, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!text[i] && !(text[i] = co_arena_strdup(arena, ""))) return CO_ERR_MEMORY;
  return CO_OK;
}

// `name` is that of an attribute, "" for a dataset's own values.
co_status co_h5_check_utf8(co_h5 *file, const char *object, const char *name, char *const *text,
                           int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    int64_t bad = co_utf8_find_bad(text[i]);
    if (bad < 0) continue;
    co_status status =
        co_fail(file->failure, "'%s': %s%s%s'%s' is not UTF-8 in row %lld, byte %lld (0x%02X)",
                file->path, *name ? "the attribute '" : "", name, *name ? "' of " : "", object,
                (long long)i, (long long)bad, (unsigned char)text[i][bad]);
    co_hint("write texts as UTF-8 (from Python: as str, not as bytes in another encoding)");
    return status;
  }
  return CO_OK;
}

static co_status read_selected(co_h5 *file, const char *path, h5_dataset *d, int64_t begin,
                               int64_t count, co_arena *arena, char **text) {
  hid_t memory = co_h5_select_rows(d, begin, count);
  if (memory < 0) return co_h5_library_failed(file, "read", path);
  co_status status = d->element.variable
                         ? read_variable_strings(file, path, d, memory, arena, text)
                         : read_fixed_strings(file, path, d, memory, count, arena, text);
  co_h5_drop(memory);
  return status;
}

// `count` -1 = all.
static co_status read_strings(co_h5 *file, const char *path, h5_dataset *d, co_arena *arena,
                              int64_t begin, int64_t *count, char ***out) {
  if (!d->element.is_string) return co_h5_refuse(file, path, "holds no text");
  if (d->shape.rank > 1) return co_h5_refuse(file, path, "is not a list");
  if (*count < 0)
    *count = d->count;
  else
    CO_RETURN_IF_FAILED(co_h5_check_rows(file, path, d, begin, *count));
  char **text = co_arena_alloc(arena, (size_t)*count, sizeof *text);
  if (!text) return CO_ERR_MEMORY;
  if (*count > 0) CO_RETURN_IF_FAILED(read_selected(file, path, d, begin, *count, arena, text));
  CO_RETURN_IF_FAILED(fill_missing(arena, text, *count));
  *out = text;
  return CO_OK;
}

static co_status open_and_read(co_h5 *file, const char *path, co_arena *arena, int64_t begin,
                               int64_t *count, char ***out) {
  h5_dataset d;
  *out = NULL;
  CO_RETURN_IF_FAILED(co_h5_dataset_open(file, path, &d));
  co_status status = read_strings(file, path, &d, arena, begin, count, out);
  co_h5_dataset_close(&d);
  return status == CO_OK ? co_h5_check_utf8(file, path, "", *out, *count) : status;
}

co_status co_h5_read_strings(co_h5 *file, const char *path, co_arena *arena, char ***out,
                             int64_t *count) {
  *count = -1;
  co_status status = open_and_read(file, path, arena, 0, count, out);
  if (status != CO_OK) *count = 0;
  return status;
}

co_status co_h5_read_string_rows(co_h5 *file, const char *path, co_arena *arena, int64_t begin,
                                 int64_t count, char ***out) {
  return open_and_read(file, path, arena, begin, &count, out);
}
