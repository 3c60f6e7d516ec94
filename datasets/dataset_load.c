// SPDX-License-Identifier: Apache-2.0
// Getting the values of columns, and checking them.
#include "datasets/dataset_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/format.h"

// ---- checking values ---------------------------------------------------------------------------

enum {
  CHECKED_AT_ONCE = 1 << 16,  // bytes, within a core's cache
  RELEASED_AT_ONCE = 16 << 20 // a multiple of the page
};

// Whether some of the values, or all, may be such that no training could use; quick where none is.
static bool may_be_bad(const co_column *c, const void *data, int64_t count) {
  const int32_t *code = data;
  const float *value = data;
  bool bad = false;
  if (c->role == CO_ROLE_WEIGHT) return true;
  if (c->type == CO_COLUMN_CATEGORY)
    for (int64_t i = 0; i < count; i++)
      bad |= (code[i] < -1) | (code[i] >= c->category_count);
  else if (c->type == CO_COLUMN_BINARY)
    for (int64_t i = 0; i < count; i++)
      bad |= (value[i] == value[i]) & (value[i] != 0) & (value[i] != 1);
  else if (c->type == CO_COLUMN_VECTOR)
    for (int64_t i = 0; i < count; i++)
      bad |= !(fabsf(value[i]) < INFINITY);
  else if (c->type == CO_COLUMN_NUMBER || c->type == CO_COLUMN_DATE)
    for (int64_t i = 0; i < count; i++)
      bad |= fabsf(value[i]) == INFINITY;
  return bad;
}

// Stops at the first value that no training could use.
static co_status find_bad(const co_dataset *d, const co_column *c, const dataset_column *part) {
  int64_t width = co_shape_count(&c->shape);
  if (c->type == CO_COLUMN_CATEGORY) {
    const int32_t *code = part->data;
    for (int64_t i = 0; i < part->rows; i++)
      if (code[i] < -1 || code[i] >= c->category_count)
        return co_dataset_bad(d, part->path,
                              "row %" PRId64 " has code %" PRId32 ", but there are %" PRId64
                              " categories (-1 = missing)",
                              i, code[i], c->category_count);
  } else if (c->type == CO_COLUMN_BINARY) {
    const float *value = part->data;
    for (int64_t i = 0; i < part->rows; i++)
      if (!isnan(value[i]) && value[i] != 0 && value[i] != 1)
        return co_dataset_bad(d, part->path,
                              "row %" PRId64 " holds %g, but a binary column holds 0 and 1 (-1 of "
                              "integers, NaN of floats = missing)",
                              i, (double)value[i]);
  } else if (c->type == CO_COLUMN_NUMBER || c->type == CO_COLUMN_VECTOR ||
             c->type == CO_COLUMN_DATE) {
    const float *value = part->data;
    bool may_miss = c->type != CO_COLUMN_VECTOR && c->role != CO_ROLE_WEIGHT;
    for (int64_t i = 0; i < part->rows * width; i++) {
      if (isfinite(value[i]) && (c->role != CO_ROLE_WEIGHT || value[i] >= 0)) continue;
      if (isnan(value[i]) && may_miss) continue;
      return co_dataset_bad(d, part->path, "row %" PRId64 " holds %g, but %s must be finite%s",
                            i / width, (double)value[i],
                            c->role == CO_ROLE_WEIGHT ? "weights" : "values",
                            may_miss                    ? " (NaN = missing)"
                            : c->role == CO_ROLE_WEIGHT ? " and not negative"
                                                        : "");
    }
  }
  return CO_OK;
}

co_status co_dataset_corrupt(const co_dataset *d, const char *object) {
  co_status status =
      co_dataset_bad(d, object, "the contents do not match their checksum; the file is damaged");
  co_hint("import the data again: `cohort import` replaces what it made and finds damaged");
  return status;
}

static co_status check_values(const co_dataset *d, const co_column *c, const dataset_column *part) {
  int64_t count = part->rows * co_shape_count(&c->shape);
  return may_be_bad(c, part->data, count) ? find_bad(d, c, part) : CO_OK;
}

// Pages that lie in [begin, end) of the map; they come back when they are read again.
static void release(const unsigned char *begin, const unsigned char *end) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)begin + page - 1) / page;
  uintptr_t last = (uintptr_t)end / page;
  if (first < last) madvise((void *)(first * page), (last - first) * page, MADV_DONTNEED);
}

void co_dataset_release(co_dataset *d) {
  if (d->base) d = d->base;
  if (d->map) release(d->map, d->map + d->map_bytes);
}

// What is read once is held in memory only while it is.
static co_status check_mapped(const co_dataset *d, const co_column *c, const dataset_column *part,
                              bool once) {
  size_t bytes = (size_t)part->rows * part->row_bytes, width = co_dtype_size(c->dtype);
  const unsigned char *from = part->data, *held = from;
  uint32_t crc = 0;
  bool bad = false;
  for (size_t at = 0; at < bytes; at += CHECKED_AT_ONCE) {
    size_t some = bytes - at < CHECKED_AT_ONCE ? bytes - at : CHECKED_AT_ONCE;
    crc = co_crc32c(crc, from + at, some);
    bad |= may_be_bad(c, from + at, (int64_t)(some / width));
    if (!once || (from + at - held < RELEASED_AT_ONCE && at + some < bytes)) continue;
    release(held, from + at);
    held = from + at;
  }
  if (crc != part->crc) return co_dataset_corrupt(d, part->path);
  return bad ? find_bad(d, c, part) : CO_OK;
}

// ---- loading -----------------------------------------------------------------------------------

co_status co_dataset_stored_checksum(co_dataset *d, const char *path, bool *has, uint32_t *out) {
  int64_t value = 0;
  *has = co_h5_has_attribute(d->h5, path, "crc32c");
  if (!*has) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_int(d->h5, path, "crc32c", &value));
  if (value < 0 || value > UINT32_MAX)
    return co_dataset_bad(d, path, "attribute crc32c holds %" PRId64, value);
  *out = (uint32_t)value;
  return CO_OK;
}

// Maps the file once; later columns share it.
static co_status map_file(co_dataset *d) {
  struct stat info;
  if (d->map) return CO_OK;
  int fd = open(d->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return co_fail_errno(CO_ERR_DATA, errno, "cannot open '%s'", d->path);
  void *map = MAP_FAILED;
  if (fstat(fd, &info) == 0 && info.st_size > 0)
    map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
  int error = errno;
  close(fd);
  if (map == MAP_FAILED) return co_fail_errno(CO_ERR_DATA, error, "cannot map '%s'", d->path);
  d->map = map;
  d->map_bytes = (size_t)info.st_size;
  return CO_OK;
}

// Sets *data if `bytes` of values lie in the file as they are read, else leaves it NULL.
static co_status try_map(co_dataset *d, const dataset_column *part, const co_h5_info *info,
                         size_t bytes, const void **data) {
  int64_t offset = -1;
  *data = NULL;
  if (info->stored_bytes != (int64_t)bytes) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_offset(d->h5, part->path, &offset));
  if (offset < 0 || (size_t)offset % co_dtype_size(info->dtype) != 0) return CO_OK;
  CO_RETURN_IF_FAILED(map_file(d));
  // Touching a page beyond the end would kill the process.
  if ((size_t)offset > d->map_bytes || bytes > d->map_bytes - (size_t)offset)
    return co_dataset_bad(d, part->path, "the file ends before the data does; it is truncated");
  *data = d->map + offset;
  return CO_OK;
}

// Numbers of any stored type, rounded to float32.
static co_status load_floats(co_dataset *d, const co_column *c, const dataset_column *part,
                             co_dtype stored, float *out) {
  CO_RETURN_IF_FAILED(co_h5_read_rounded(d->h5, part->path, NULL, out));
  bool is_integer = stored != CO_F32 && stored != CO_F64;
  for (int64_t i = 0; c->type == CO_COLUMN_BINARY && is_integer && i < part->rows; i++)
    if (out[i] == -1) out[i] = NAN; // missing
  return CO_OK;
}

static co_status end_loading(const co_dataset *d, const co_column *c, dataset_column *part) {
  CO_RETURN_IF_FAILED(check_values(d, c, part));
  part->crc = co_crc32c(0, part->data, (size_t)part->rows * part->row_bytes);
  part->pending = false;
  atomic_store(&part->ready, true);
  return CO_OK;
}

co_status co_dataset_load(co_dataset *d, co_column *c, dataset_column *part,
                          const co_h5_info *info) {
  bool has;
  uint32_t stored = 0;
  part->row_bytes = co_dtype_size(c->dtype) * (size_t)co_shape_count(&c->shape);
  CO_RETURN_IF_FAILED(co_dataset_stored_checksum(d, part->path, &has, &stored));
  if (info->dtype == c->dtype)
    CO_RETURN_IF_FAILED(try_map(d, part, info, (size_t)part->rows * part->row_bytes, &part->data));
  bool mapped = part->data != NULL;
  part->stored_dtype = info->dtype;
  if ((c->type == CO_COLUMN_NUMBER || c->type == CO_COLUMN_DATE) && info->dtype != CO_F32)
    CO_RETURN_IF_FAILED(
        try_map(d, part, info, (size_t)part->rows * co_dtype_size(info->dtype), &part->stored));
  if (c->type == CO_COLUMN_IMAGE && !mapped) {
    co_status status =
        co_dataset_bad(d, part->path, "images must be stored contiguous and uncompressed");
    co_hint("create the dataset without chunks, compression and maxshape");
    return status;
  }
  if (mapped && has) {
    part->crc = stored;
    part->pending = c->type == CO_COLUMN_CATEGORY || info->stored_bytes <= CO_DATASET_LAZY_BYTES;
    return CO_OK;
  }
  if (!mapped) {
    part->data = part->owned = co_alloc_zero(d->ctx, (size_t)part->rows, part->row_bytes);
    if (!part->owned) return CO_ERR_MEMORY;
    part->stored_crc = stored;
    part->pending = has && part->stored;
    if (part->pending) return CO_OK;
    if (c->dtype == CO_F32)
      CO_RETURN_IF_FAILED(load_floats(d, c, part, info->dtype, part->owned));
    else
      CO_RETURN_IF_FAILED(co_h5_read(d->h5, part->path, c->dtype, NULL, part->owned));
  }
  return end_loading(d, c, part);
}

// Numbers that are stored wider than they are delivered: rounds and checks them in one go. False: some
// are not as they should be.
static bool round_mapped(const co_column *c, dataset_column *part) {
  const size_t width = co_dtype_size(part->stored_dtype);
  const int64_t most = (int64_t)(CHECKED_AT_ONCE / width);
  const unsigned char *from = part->stored, *held = from;
  float *to = part->owned;
  uint32_t stored = 0;
  double beyond;
  part->crc = 0;
  for (int64_t row = 0, count; row < part->rows; row += count, from += (size_t)count * width) {
    count = part->rows - row < most ? part->rows - row : most;
    stored = co_crc32c(stored, from, (size_t)count * width);
    if (co_h5_round(part->stored_dtype, from, to + row, count, &beyond) >= 0) return false;
    if (may_be_bad(c, to + row, count)) return false;
    part->crc = co_crc32c(part->crc, to + row, (size_t)count * sizeof *to);
    if (from - held < RELEASED_AT_ONCE) continue;
    release(held, from);
    held = from;
  }
  release(held, from);
  return stored == part->stored_crc;
}

// *part stays pending where the library has to say what is wrong.
static co_status check_pending(const co_dataset *d, const co_column *c, dataset_column *part) {
  const bool big = (size_t)part->rows * part->row_bytes > CO_DATASET_LAZY_BYTES;
  const bool done = part->owned && round_mapped(c, part);
  if (!part->owned) CO_RETURN_IF_FAILED(check_mapped(d, c, part, big));
  part->pending = part->owned && !done;
  atomic_store(&part->ready, !part->pending);
  return CO_OK;
}

// Outputs carry keys; a text of pages is none. The rows are those from `first` on.
static co_status check_keys(const co_dataset *d, const co_column *c, const dataset_column *part,
                            int64_t first) {
  for (int64_t i = 0; c->role == CO_ROLE_KEY && i < part->rows; i++)
    if (strlen(part->text[i]) > CO_DATASET_KEY_MAX)
      return co_dataset_bad(d, part->path,
                            "row %" PRId64 " has a key of %zu bytes; at most %d are allowed",
                            first + i, strlen(part->text[i]), (int)CO_DATASET_KEY_MAX);
  return CO_OK;
}

// `h5` is open for the call.
static co_status load_text(co_dataset *d, co_h5 *h5, const co_column *c, dataset_column *part,
                           bool is_string) {
  if (is_string) {
    int64_t count;
    CO_RETURN_IF_FAILED(co_h5_read_strings(h5, part->path, d->arena, &part->text, &count));
    if (count != part->rows)
      return co_dataset_corrupt(d, part->path); // it changed since it was opened
    part->crc = co_dataset_text_checksum((const char *const *)part->text, count);
    return check_keys(d, c, part, 0);
  } else {
    part->integer = co_arena_alloc(d->arena, (size_t)part->rows, sizeof *part->integer);
    if (!part->integer) return CO_ERR_MEMORY;
    co_shape shape = {.rank = 1, .dim = {part->rows}};
    CO_RETURN_IF_FAILED(co_h5_read(h5, part->path, CO_I64, &shape, part->integer));
    part->crc = co_crc32c(0, part->integer, (size_t)part->rows * sizeof *part->integer);
  }
  return CO_OK;
}

co_status co_dataset_load_text(co_dataset *d, const co_column *c, dataset_column *part,
                               const co_h5_info *info) {
  bool has = false;
  if (!info->is_string && c->role != CO_ROLE_KEY)
    return co_dataset_bad(d, part->path, "a column of type text must hold texts");
  if (!info->is_string && info->dtype != CO_U8 && info->dtype != CO_I32 && info->dtype != CO_I64)
    return co_dataset_bad(d, part->path, "a key must hold integers or text");
  // Integers are cheap to read; texts are read now only if nothing vouches for them.
  if (info->is_string)
    CO_RETURN_IF_FAILED(co_dataset_stored_checksum(d, part->path, &has, &part->crc));
  if (has) return CO_OK;
  CO_RETURN_IF_FAILED(load_text(d, d->h5, c, part, info->is_string));
  atomic_store(&part->ready, true);
  return CO_OK;
}

co_status co_dataset_make_ready(co_dataset *d, int64_t index) {
  if (d->base) d = d->base;
  dataset_column *part = &d->parts[index];
  co_status status = CO_OK;
  if (atomic_load_explicit(&part->ready, memory_order_acquire)) return CO_OK;
  pthread_mutex_lock(&d->mutex);
  if (!atomic_load(&part->ready)) {
    if (d->columns[index].type != CO_COLUMN_TEXT) {
      status = check_mapped(d, &d->columns[index], part, true);
    } else {
      co_h5 *h5 = NULL;
      uint32_t stored = part->crc;
      status = co_h5_open(&h5, d->ctx, d->path, CO_ERR_DATA);
      if (status == CO_OK) status = load_text(d, h5, &d->columns[index], part, true);
      if (status == CO_OK && part->crc != stored) status = co_dataset_corrupt(d, part->path);
      part->crc = stored;
      co_h5_abandon(h5);
    }
    if (status == CO_ERR_MEMORY) co_note("'%s': %s", d->path, part->path);
    if (status == CO_OK) atomic_store(&part->ready, true);
  }
  pthread_mutex_unlock(&d->mutex);
  return status;
}

// ---- keys --------------------------------------------------------------------------------------

enum { KEYS_AT_ONCE = 1 << 18 };

static co_status read_keys(co_dataset *d, co_h5 *h5, const dataset_column *part, int64_t first) {
  dataset_keys *k = &d->keys;
  co_arena_free(k->arena);
  k->arena = NULL;
  k->count = 0;
  CO_RETURN_IF_FAILED(co_arena_create(&k->arena, d->ctx));
  const int64_t left = part->rows - first, count = left < KEYS_AT_ONCE ? left : KEYS_AT_ONCE;
  CO_RETURN_IF_FAILED(co_h5_read_string_rows(h5, part->path, k->arena, first, count, &k->text));
  k->first = first;
  k->count = count;
  return CO_OK;
}

// That they are what the checksum is of, and that each can be shown.
static co_status check_all_keys(co_dataset *d, co_h5 *h5, const dataset_column *part) {
  const co_column *c = &d->columns[d->key];
  uint32_t crc = 0;
  for (int64_t first = 0; first < part->rows; first += KEYS_AT_ONCE) {
    CO_RETURN_IF_FAILED(read_keys(d, h5, part, first));
    dataset_column some = {.path = part->path, .rows = d->keys.count, .text = d->keys.text};
    CO_RETURN_IF_FAILED(check_keys(d, c, &some, first));
    for (int64_t i = 0; i < some.rows; i++)
      crc = co_crc32c(crc, some.text[i], strlen(some.text[i]) + 1);
  }
  d->keys.checked = true;
  return crc == part->crc ? CO_OK : co_dataset_corrupt(d, part->path);
}

static co_status turn_to(co_dataset *d, const dataset_column *part, int64_t row) {
  co_h5 *h5 = NULL;
  co_status status = co_h5_open(&h5, d->ctx, d->path, CO_ERR_DATA);
  if (status == CO_OK && !d->keys.checked) status = check_all_keys(d, h5, part);
  if (status == CO_OK) status = read_keys(d, h5, part, row / KEYS_AT_ONCE * KEYS_AT_ONCE);
  if (status == CO_ERR_MEMORY) co_note("'%s': %s", d->path, part->path);
  if (status != CO_OK) d->keys.count = 0;
  co_h5_abandon(h5);
  return status;
}

// Whether keys are so few, or wanted in such an order, that all are read.
static bool wants_all_keys(const co_dataset *d, const dataset_column *part) {
  return part->rows <= KEYS_AT_ONCE || d->keys.turns > 4 * (part->rows / KEYS_AT_ONCE + 4);
}

static co_status find_key(co_dataset *d, const dataset_column *part, int64_t row, char *out,
                          size_t size, size_t *length) {
  const dataset_keys *k = &d->keys;
  if (row < k->first || row >= k->first + k->count) {
    d->keys.turns++;
    CO_RETURN_IF_FAILED(turn_to(d, part, row));
  }
  *length = strlen(k->text[row - k->first]);
  if (*length < size) memcpy(out, k->text[row - k->first], *length + 1);
  return CO_OK;
}

co_status co_dataset_key_text(co_dataset *d, int64_t row, char *out, size_t size, size_t *length) {
  if (d->base) d = d->base;
  const dataset_column *part = &d->parts[d->key];
  co_status status = CO_OK;
  pthread_mutex_lock(&d->mutex);
  const bool all = atomic_load(&part->ready) || wants_all_keys(d, part);
  if (!all) status = find_key(d, part, row, out, size, length);
  pthread_mutex_unlock(&d->mutex);
  if (!all) return status;
  CO_RETURN_IF_FAILED(co_dataset_make_ready(d, d->key));
  *length = strlen(part->text[row]);
  if (*length < size) memcpy(out, part->text[row], *length + 1);
  return CO_OK;
}

// ---- all columns -------------------------------------------------------------------------------

// A few values are checked before threads are awake; and a process that opens small data sets can
// still be forked.
enum { FEW_VALUES = 1 << 20 };

co_status co_dataset_check_pending(co_dataset *d) {
  co_error error = {.status = CO_OK};
  int64_t failed = INT64_MAX, values = 0;
  for (int64_t i = 0; i < d->schema.column_count; i++)
    if (d->parts[i].pending) values += d->parts[i].rows;
  if (!values) return CO_OK;
#pragma omp parallel for schedule(dynamic, 1)                                                      \
    num_threads(co_context_threads(d->ctx)) if (values > FEW_VALUES)
  for (int64_t i = 0; i < d->schema.column_count; i++) {
    if (!d->parts[i].pending || check_pending(d, &d->columns[i], &d->parts[i]) == CO_OK) continue;
#pragma omp critical(co_dataset)
    if (i < failed) {
      failed = i;
      co_error_copy(&error);
    }
  }
  for (int64_t i = 0; i < d->schema.column_count; i++) {
    dataset_column *part = &d->parts[i];
    if (i == failed) return co_error_raise(&error);
    if (!part->pending) continue;
    CO_RETURN_IF_FAILED(load_floats(d, &d->columns[i], part, part->stored_dtype, part->owned));
    CO_RETURN_IF_FAILED(end_loading(d, &d->columns[i], part));
  }
  return CO_OK;
}

co_status co_dataset_check_all(co_dataset *d) {
  co_error error = {.status = CO_OK};
  int64_t failed = INT64_MAX, values = 0;
  for (int64_t i = 0; i < d->schema.column_count; i++)
    values += d->parts[i].rows;
#pragma omp parallel for schedule(dynamic, 1)                                                      \
    num_threads(co_context_threads(d->ctx)) if (values > FEW_VALUES)
  for (int64_t i = 0; i < d->schema.column_count; i++) {
    const co_column *c = &d->columns[i];
    bool lazy = c->type != CO_COLUMN_TEXT && c->role != CO_ROLE_IGNORE &&
                !co_dataset_is_unread(&d->parts[i]) && !atomic_load(&d->parts[i].ready);
    if (!lazy || check_mapped(d, c, &d->parts[i], true) == CO_OK) continue;
#pragma omp critical(co_dataset)
    if (i < failed) {
      failed = i;
      co_error_copy(&error);
    }
  }
  return error.status == CO_OK ? co_dataset_check_pictures(d) : co_error_raise(&error);
}

static co_status load_stored(co_dataset *d, dataset_column *part) {
  co_h5 *h5 = NULL;
  co_shape shape = {.rank = 1, .dim = {part->rows}};
  co_status status = CO_OK;
  void *values = co_alloc_zero(d->ctx, (size_t)part->rows, co_dtype_size(part->stored_dtype));
  if (!values) return CO_ERR_MEMORY;
  CO_TRY(co_h5_open(&h5, d->ctx, d->path, CO_ERR_DATA));
  CO_TRY(co_h5_read(h5, part->path, part->stored_dtype, &shape, values));
  part->stored = part->stored_owned = values;
  values = NULL;

cleanup:
  co_h5_abandon(h5);
  co_free(d->ctx, values);
  return status;
}

co_status co_dataset_make_stored(co_dataset *d, int64_t index) {
  if (d->base) d = d->base;
  dataset_column *part = &d->parts[index];
  pthread_mutex_lock(&d->mutex);
  co_status status = part->stored ? CO_OK : load_stored(d, part);
  pthread_mutex_unlock(&d->mutex);
  return status;
}
