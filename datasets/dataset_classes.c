// SPDX-License-Identifier: Apache-2.0
// What the classes of a category look like, and say: once for each class, whatever number of rows has it.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/dataset_private.h"
#include "datasets/format.h"
#include "host/core/utf8.h"

enum { MAX_EXTENT = 65535 };

static void member_path(char out[CO_DATASET_PATH_MAX], const char *group, const char *member) {
  snprintf(out, CO_DATASET_PATH_MAX, "%s/%s", group, member);
}

// The group of a category, whose codes are at part->path.
static void path_of(char out[CO_DATASET_PATH_MAX], const dataset_column *part, const char *member) {
  const char *end = strrchr(part->path, '/');
  snprintf(out, CO_DATASET_PATH_MAX, "%.*s/%s", (int)(end - part->path), part->path, member);
}

static co_status check_member(co_dataset *d, const char *path, const co_column *c, bool fits,
                              const char *wanted) {
  if (!fits)
    return co_dataset_bad(d, path, "must be %s, one for each of %" PRId64 " categories", wanted,
                          c->category_count);
  if (d->version >= CO_DATASET_VERSION_RELATIONAL) return CO_OK;
  co_status status =
      co_dataset_bad(d, path, "needs format version %d", CO_DATASET_VERSION_RELATIONAL);
  co_hint("set attribute 'version' of / to %d", CO_DATASET_VERSION_RELATIONAL);
  return status;
}

static co_shape pictures_shape(const co_column *c) {
  return (co_shape){4,
                    {c->category_count, c->picture.dim[0], c->picture.dim[1], c->picture.dim[2]}};
}

static co_status read_pictures(co_h5 *h5, const char *path, const co_column *c, uint8_t *out) {
  const co_shape shape = pictures_shape(c);
  return co_h5_read(h5, path, CO_U8, &shape, out);
}

// Without a stored checksum they are read for one.
static co_status measure_pictures(co_dataset *d, const char *path, const co_column *c,
                                  uint32_t *crc) {
  const co_shape shape = pictures_shape(c);
  uint8_t *pixels = co_alloc(d->ctx, (size_t)co_shape_count(&shape));
  if (!pixels) return CO_ERR_MEMORY;
  co_status status = read_pictures(d->h5, path, c, pixels);
  if (status == CO_OK) *crc = co_crc32c(0, pixels, (size_t)co_shape_count(&shape));
  co_free(d->ctx, pixels);
  return status;
}

static co_status add_pictures(co_dataset *d, const char *group, co_column *c,
                              dataset_column *part) {
  char path[CO_DATASET_PATH_MAX];
  co_h5_info info;
  bool has;
  member_path(path, group, "pictures");
  if (!co_h5_exists(d->h5, path)) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_info(d->h5, path, &info));
  bool fits = !info.is_group && !info.is_string && info.dtype == CO_U8 && info.shape.rank == 4 &&
              info.shape.dim[0] == c->category_count && co_shape_count(&info.shape) > 0 &&
              co_shape_count(&info.shape) <= INT64_MAX / 16;
  for (int i = 1; fits && i < 4; i++)
    fits = info.shape.dim[i] >= 1 && info.shape.dim[i] <= MAX_EXTENT;
  CO_RETURN_IF_FAILED(
      check_member(d, path, c, fits, "uint8 (categories, height, width, channels)"));
  c->picture = (co_shape){3, {info.shape.dim[1], info.shape.dim[2], info.shape.dim[3]}};
  CO_RETURN_IF_FAILED(co_dataset_stored_checksum(d, path, &has, &part->picture_crc));
  return has ? CO_OK : measure_pictures(d, path, c, &part->picture_crc);
}

static co_status add_descriptions(co_dataset *d, const char *group, co_column *c,
                                  dataset_column *part) {
  char path[CO_DATASET_PATH_MAX], **text;
  co_h5_info info;
  int64_t count;
  uint32_t stored = 0;
  bool has;
  member_path(path, group, "descriptions");
  if (!co_h5_exists(d->h5, path)) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_info(d->h5, path, &info));
  const bool fits = !info.is_group && info.is_string && info.shape.rank == 1 &&
                    info.shape.dim[0] == c->category_count;
  CO_RETURN_IF_FAILED(check_member(d, path, c, fits, "texts"));
  co_arena *arena;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, d->ctx));
  co_status status = co_h5_read_strings(d->h5, path, arena, &text, &count);
  for (int64_t i = 0; status == CO_OK && i < count; i++)
    if (co_utf8_find_bad(text[i]) >= 0)
      status = co_dataset_bad(d, path, "category %" PRId64 ": the text is not UTF-8", i);
  if (status == CO_OK)
    part->description_crc = co_dataset_text_checksum((const char *const *)text, count);
  co_arena_free(arena);
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(co_dataset_stored_checksum(d, path, &has, &stored));
  c->described = true;
  return has && stored != part->description_crc ? co_dataset_corrupt(d, path) : CO_OK;
}

co_status co_dataset_add_class_members(co_dataset *d, const char *group, co_column *c,
                                       dataset_column *part) {
  CO_RETURN_IF_FAILED(add_pictures(d, group, c, part));
  return add_descriptions(d, group, c, part);
}

void co_dataset_hash_class_members(co_dataset *d, const co_column *c, const dataset_column *part) {
  char line[128], shape[64];
  co_shape_print(&c->picture, shape, sizeof shape);
  snprintf(line, sizeof line, "pictures %s %08" PRIx32, shape, part->picture_crc);
  if (c->picture.rank) co_dataset_hash_text(d, line);
  snprintf(line, sizeof line, "descriptions %08" PRIx32, part->description_crc);
  if (c->described) co_dataset_hash_text(d, line);
}

// ---- reading -----------------------------------------------------------------------------------

static int64_t find(const co_dataset *d, const char *name) {
  for (int64_t i = 0; i < d->schema.column_count; i++)
    if (strcmp(d->columns[i].name, name) == 0) return i;
  return -1;
}

static co_status not_there(const co_dataset *d, const char *name, const char *what) {
  return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "the classes of column '%.200s' have no %s", name,
                    what);
}

static co_status get_pictures(co_dataset *d, int64_t column, uint8_t *out) {
  const co_column *c = &d->columns[column];
  const dataset_column *part = &d->parts[column];
  const co_shape shape = pictures_shape(c);
  char path[CO_DATASET_PATH_MAX];
  co_h5 *h5;
  path_of(path, part, "pictures");
  CO_RETURN_IF_FAILED(co_h5_open(&h5, d->ctx, d->path, CO_ERR_DATA));
  co_status status = read_pictures(h5, path, c, out);
  co_h5_abandon(h5);
  CO_RETURN_IF_FAILED(status);
  const uint32_t crc = co_crc32c(0, out, (size_t)co_shape_count(&shape));
  return crc == part->picture_crc ? CO_OK : co_dataset_corrupt(d, path);
}

co_status co_dataset_pictures(co_dataset *d, const char *name, uint8_t *out) {
  if (d->base) d = d->base;
  const int64_t column = find(d, name);
  if (column < 0 || !d->columns[column].picture.rank) return not_there(d, name, "pictures");
  pthread_mutex_lock(&d->mutex);
  co_status status = get_pictures(d, column, out);
  pthread_mutex_unlock(&d->mutex);
  return status;
}

co_status co_dataset_descriptions(co_dataset *d, const char *name, co_arena *arena,
                                  const char *const **out) {
  if (d->base) d = d->base;
  const int64_t column = find(d, name);
  char path[CO_DATASET_PATH_MAX], **text = NULL;
  int64_t count = 0;
  co_h5 *h5;
  *out = NULL;
  if (column < 0 || !d->columns[column].described) return not_there(d, name, "descriptions");
  path_of(path, &d->parts[column], "descriptions");
  pthread_mutex_lock(&d->mutex);
  co_status status = co_h5_open(&h5, d->ctx, d->path, CO_ERR_DATA);
  if (status == CO_OK) {
    status = co_h5_read_strings(h5, path, arena, &text, &count);
    co_h5_abandon(h5);
  }
  pthread_mutex_unlock(&d->mutex);
  CO_RETURN_IF_FAILED(status);
  *out = (const char *const *)text;
  return co_dataset_text_checksum(*out, count) == d->parts[column].description_crc
             ? CO_OK
             : co_dataset_corrupt(d, path);
}

co_status co_dataset_check_pictures(co_dataset *d) {
  for (int64_t i = 0; i < d->schema.column_count; i++) {
    const co_shape shape = pictures_shape(&d->columns[i]);
    if (!d->columns[i].picture.rank) continue;
    uint8_t *pixels = co_alloc(d->ctx, (size_t)co_shape_count(&shape));
    if (!pixels) return CO_ERR_MEMORY;
    co_status status = co_dataset_pictures(d, d->columns[i].name, pixels);
    co_free(d->ctx, pixels);
    CO_RETURN_IF_FAILED(status);
  }
  return CO_OK;
}
