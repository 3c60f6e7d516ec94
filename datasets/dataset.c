// SPDX-License-Identifier: Apache-2.0
// A column is either loaded and checked while opening, or, if it is big, dense, stored as delivered
// and carries a checksum, mapped and checked on first use. So opening is quick for image sets, the
// fingerprint never needs a pass over them, and yet no unchecked byte is handed out.
#include "datasets/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/format.h"
#include "host/core/diagnostics.h"
#include "host/core/h5.h"
#include "host/core/hash.h"

enum { LAZY_BYTES = 1 << 20, MAX_EXTENT = 65535, MAX_COLUMNS = 1 << 20 };

typedef struct column {
  char *path; // of the dataset holding the values
  bool of_samples;
  int64_t rows;
  size_t row_bytes;
  uint32_t crc;     // of the values as delivered
  const void *data; // mapped or owned; NULL for text
  void *owned;
  // Text and integers of keys; read on first use.
  char **text;
  int64_t *integer;
  atomic_bool ready; // contents checked
} column;

struct co_dataset {
  co_context *ctx;
  co_arena *arena;
  char *path;
  co_schema schema;
  co_column *columns; // what schema.columns points to
  column *parts;      // parallel to it
  int64_t capacity;
  char *entity;
  int64_t rows, entity_rows;
  int64_t *entity_row; // NULL = identity
  int64_t *split_rows[CO_SPLIT_COUNT], split_count[CO_SPLIT_COUNT];
  int64_t key; // index of the key column, -1 = none
  char fingerprint[65];
  co_sha256 hash;
  const unsigned char *map; // the whole file; NULL if nothing is mapped
  size_t map_bytes;
  bool mutex_made;
  pthread_mutex_t mutex; // guards first use of lazy columns
  // While opening only.
  co_h5 *h5;
};

static co_status bad(const co_dataset *d, const char *object, const char *format, ...)
    CO_PRINTF(3, 4);
static co_status bad(const co_dataset *d, const char *object, const char *format, ...) {
  char text[768];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "%s: %s", object, text);
}

// ---- shared with the writer --------------------------------------------------------------------

bool co_dataset_name_ok(const char *name) {
  size_t length = strlen(name);
  if (!length || length > CO_DATASET_NAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
    return false;
  for (const unsigned char *p = (const unsigned char *)name; *p; p++)
    if (*p < 32 || *p == 127 || *p == '/') return false;
  return true;
}

uint32_t co_dataset_text_checksum(const char *const *text, int64_t count) {
  uint32_t crc = 0;
  for (int64_t i = 0; i < count; i++)
    crc = co_crc32c(crc, text[i], strlen(text[i]) + 1);
  return crc;
}

// ---- splits ------------------------------------------------------------------------------------

static const char *const split_names[CO_SPLIT_COUNT] = {
    [CO_SPLIT_TRAIN] = "train", [CO_SPLIT_VALIDATION] = "validation", [CO_SPLIT_TEST] = "test"};

const char *co_split_name(co_split split) {
  return (unsigned)split < CO_SPLIT_COUNT ? split_names[split] : "unknown";
}

int co_split_parse(const char *name) {
  for (int i = 0; i < CO_SPLIT_COUNT; i++)
    if (!strcmp(name, split_names[i])) return i;
  return strcmp(name, "training") ? -1 : CO_SPLIT_TRAIN;
}

// ---- checking values ---------------------------------------------------------------------------

// Stops at the first value that no training could use.
static co_status check_values(const co_dataset *d, const co_column *c, const column *part) {
  int64_t width = co_shape_count(&c->shape);
  if (c->type == CO_COLUMN_CATEGORY) {
    const int32_t *code = part->data;
    for (int64_t i = 0; i < part->rows; i++)
      if (code[i] < -1 || code[i] >= c->category_count)
        return bad(d, part->path,
                   "row %" PRId64 " has code %" PRId32 ", but there are %" PRId64
                   " categories (-1 = missing)",
                   i, code[i], c->category_count);
  } else if (c->type == CO_COLUMN_NUMBER || c->type == CO_COLUMN_VECTOR) {
    const float *value = part->data;
    bool may_miss = c->type == CO_COLUMN_NUMBER && c->role != CO_ROLE_WEIGHT;
    for (int64_t i = 0; i < part->rows * width; i++) {
      if (isfinite(value[i]) && (c->role != CO_ROLE_WEIGHT || value[i] >= 0)) continue;
      if (isnan(value[i]) && may_miss) continue;
      return bad(d, part->path, "row %" PRId64 " holds %g, but %s must be finite%s", i / width,
                 (double)value[i], c->role == CO_ROLE_WEIGHT ? "weights" : "values",
                 may_miss                    ? " (NaN = missing)"
                 : c->role == CO_ROLE_WEIGHT ? " and not negative"
                                             : "");
    }
  }
  return CO_OK;
}

static co_status corrupt(const co_dataset *d, const char *object) {
  co_status status =
      bad(d, object, "the contents do not match their checksum; the file is damaged");
  co_hint("import the data again");
  return status;
}

static co_status check_mapped(const co_dataset *d, const co_column *c, const column *part) {
  uint32_t crc = co_crc32c(0, part->data, (size_t)part->rows * part->row_bytes);
  return crc == part->crc ? check_values(d, c, part) : corrupt(d, part->path);
}

// ---- loading -----------------------------------------------------------------------------------

static co_status stored_checksum(co_dataset *d, const char *path, bool *has, uint32_t *out) {
  int64_t value = 0;
  *has = co_h5_has_attribute(d->h5, path, "crc32c");
  if (!*has) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_int(d->h5, path, "crc32c", &value));
  if (value < 0 || value > UINT32_MAX)
    return bad(d, path, "attribute crc32c holds %" PRId64, value);
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

// Sets *mapped if the values lie in the file as they are delivered.
static co_status try_map(co_dataset *d, const co_column *c, column *part, const co_h5_info *info,
                         bool *mapped) {
  int64_t offset = -1;
  size_t bytes = (size_t)part->rows * part->row_bytes;
  *mapped = false;
  if (info->dtype != c->dtype || info->stored_bytes != (int64_t)bytes) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_offset(d->h5, part->path, &offset));
  if (offset < 0 || (size_t)offset % co_dtype_size(c->dtype) != 0) return CO_OK;
  CO_RETURN_IF_FAILED(map_file(d));
  // Touching a page beyond the end would kill the process.
  if ((size_t)offset > d->map_bytes || bytes > d->map_bytes - (size_t)offset)
    return bad(d, part->path, "the file ends before the data does; it is truncated");
  part->data = d->map + offset;
  *mapped = true;
  return CO_OK;
}

// Numbers of any stored type, rounded to float32.
static co_status load_floats(co_dataset *d, const column *part, const co_h5_info *info,
                             int64_t count, float *out) {
  if (info->dtype == CO_F32) return co_h5_read(d->h5, part->path, CO_F32, NULL, out);
  // 64-bit integers are not all doubles, so they are read as what they are.
  co_dtype as = info->dtype == CO_I64 ? CO_I64 : CO_F64;
  co_status status = CO_ERR_MEMORY;
  void *wide = co_alloc_zero(d->ctx, (size_t)count, co_dtype_size(as));
  if (!wide) return status;
  CO_TRY(co_h5_read(d->h5, part->path, as, NULL, wide));
  for (int64_t i = 0; i < count; i++) {
    double value = as == CO_I64 ? (double)((int64_t *)wide)[i] : ((double *)wide)[i];
    if (isfinite(value) && fabs(value) > FLT_MAX) {
      status = bad(d, part->path, "row %" PRId64 " holds %g, too large for float32",
                   i / (count / part->rows), value);
      goto cleanup;
    }
    out[i] = (float)value;
  }

cleanup:
  co_free(d->ctx, wide);
  return status;
}

// Maps or reads the values of a column whose description is complete.
static co_status load(co_dataset *d, co_column *c, column *part, const co_h5_info *info) {
  bool mapped, has;
  uint32_t stored = 0;
  int64_t count = part->rows * co_shape_count(&c->shape);
  part->row_bytes = co_dtype_size(c->dtype) * (size_t)co_shape_count(&c->shape);
  CO_RETURN_IF_FAILED(stored_checksum(d, part->path, &has, &stored));
  CO_RETURN_IF_FAILED(try_map(d, c, part, info, &mapped));
  if (c->type == CO_COLUMN_IMAGE && !mapped) {
    co_status status = bad(d, part->path, "images must be stored contiguous and uncompressed");
    co_hint("create the dataset without chunks, compression and maxshape");
    return status;
  }
  if (mapped && has) {
    part->crc = stored;
    if (c->type != CO_COLUMN_CATEGORY && info->stored_bytes > LAZY_BYTES) return CO_OK;
    CO_RETURN_IF_FAILED(check_mapped(d, c, part));
  } else {
    if (!mapped) {
      part->data = part->owned = co_alloc_zero(d->ctx, (size_t)part->rows, part->row_bytes);
      if (!part->owned) return CO_ERR_MEMORY;
      if (c->dtype == CO_F32)
        CO_RETURN_IF_FAILED(load_floats(d, part, info, count, part->owned));
      else
        CO_RETURN_IF_FAILED(co_h5_read(d->h5, part->path, c->dtype, NULL, part->owned));
    }
    CO_RETURN_IF_FAILED(check_values(d, c, part));
    part->crc = co_crc32c(0, part->data, (size_t)part->rows * part->row_bytes);
  }
  atomic_store(&part->ready, true);
  return CO_OK;
}

// Text and integer columns; `h5` is open for the call.
static co_status load_text(co_dataset *d, co_h5 *h5, column *part, bool is_string) {
  if (is_string) {
    int64_t count;
    CO_RETURN_IF_FAILED(co_h5_read_strings(h5, part->path, d->arena, &part->text, &count));
    if (count != part->rows) return corrupt(d, part->path); // it changed since it was opened
    part->crc = co_dataset_text_checksum((const char *const *)part->text, count);
  } else {
    part->integer = co_arena_alloc(d->arena, (size_t)part->rows, sizeof *part->integer);
    if (!part->integer) return CO_ERR_MEMORY;
    co_shape shape = {.rank = 1, .dim = {part->rows}};
    CO_RETURN_IF_FAILED(co_h5_read(h5, part->path, CO_I64, &shape, part->integer));
    part->crc = co_crc32c(0, part->integer, (size_t)part->rows * sizeof *part->integer);
  }
  return CO_OK;
}

static co_status load_key_or_text(co_dataset *d, const co_column *c, column *part,
                                  const co_h5_info *info) {
  bool has = false;
  if (!info->is_string && info->dtype != CO_U8 && info->dtype != CO_I32 && info->dtype != CO_I64) {
    if (c->role == CO_ROLE_KEY) return bad(d, part->path, "a key must hold integers or text");
    return CO_OK; // ignored columns may hold anything
  }
  // Integers are cheap to read; texts are read now only if nothing vouches for them.
  if (info->is_string) CO_RETURN_IF_FAILED(stored_checksum(d, part->path, &has, &part->crc));
  if (has) return CO_OK;
  CO_RETURN_IF_FAILED(load_text(d, d->h5, part, info->is_string));
  atomic_store(&part->ready, true);
  return CO_OK;
}

// Makes sure that a column's contents are checked; any thread.
static co_status make_ready(co_dataset *d, int64_t index) {
  column *part = &d->parts[index];
  co_status status = CO_OK;
  if (atomic_load_explicit(&part->ready, memory_order_acquire)) return CO_OK;
  pthread_mutex_lock(&d->mutex);
  if (!atomic_load(&part->ready)) {
    if (d->columns[index].type != CO_COLUMN_TEXT) {
      status = check_mapped(d, &d->columns[index], part);
    } else {
      co_h5 *h5 = NULL;
      uint32_t stored = part->crc;
      status = co_h5_open(&h5, d->ctx, d->path, CO_ERR_DATA);
      if (status == CO_OK) status = load_text(d, h5, part, true);
      if (status == CO_OK && part->crc != stored) status = corrupt(d, part->path);
      part->crc = stored;
      co_h5_abandon(h5);
    }
    if (status == CO_OK) atomic_store(&part->ready, true);
  }
  pthread_mutex_unlock(&d->mutex);
  return status;
}

// ---- describing columns ------------------------------------------------------------------------

static const char *missing_attribute_hint(const char *name) {
  return !strcmp(name, "type") ? "number, vector, category, image or text"
                               : "input, target, key, weight or ignore";
}

// Reads a word attribute into *out; a missing one leaves `fallback`, -1 = there is none.
static co_status get_word(co_dataset *d, const char *path, const char *name,
                          int (*parse)(const char *), int fallback, int *out) {
  char *word;
  *out = fallback;
  if (!co_h5_has_attribute(d->h5, path, name)) {
    if (fallback >= 0) return CO_OK;
    co_status status = bad(d, path, "attribute '%s' is missing", name);
    co_hint("one of %s", missing_attribute_hint(name));
    return status;
  }
  CO_RETURN_IF_FAILED(co_h5_get_string(d->h5, path, name, d->arena, &word));
  *out = parse(word);
  if (*out >= 0) return CO_OK;
  co_status status = bad(d, path, "%s '%s' is unknown", name, word);
  co_hint("one of %s", missing_attribute_hint(name));
  return status;
}

static co_status check_form(co_dataset *d, const char *path, co_column *c, const co_h5_info *info) {
  int rank = info->shape.rank;
  char shape[128];
  co_shape_print(&info->shape, shape, sizeof shape);
  static const char *const wanted[CO_COLUMN_TYPE_COUNT] = {
      [CO_COLUMN_NUMBER] = "numbers (rows)",
      [CO_COLUMN_VECTOR] = "numbers (rows, length)",
      [CO_COLUMN_CATEGORY] = "integers (rows)",
      [CO_COLUMN_IMAGE] = "uint8 (rows, height, width, channels)",
      [CO_COLUMN_TEXT] = "text or integers (rows)",
  };
  bool is_integer = info->dtype == CO_U8 || info->dtype == CO_I32 || info->dtype == CO_I64;
  bool fits = false;
  c->shape = (co_shape){.rank = rank - 1};
  if (rank > 0)
    memcpy(c->shape.dim, info->shape.dim + 1, (size_t)c->shape.rank * sizeof *c->shape.dim);
  switch (c->type) {
  case CO_COLUMN_NUMBER:
    fits = rank == 1 && !info->is_string;
    c->dtype = CO_F32;
    break;
  case CO_COLUMN_VECTOR:
    fits = rank == 2 && !info->is_string;
    c->dtype = CO_F32;
    break;
  case CO_COLUMN_CATEGORY:
    fits = rank == 1 && is_integer && !info->is_string;
    c->dtype = CO_I32;
    break;
  case CO_COLUMN_IMAGE:
    fits = rank == 4 && info->dtype == CO_U8 && !info->is_string;
    c->dtype = CO_U8;
    break;
  case CO_COLUMN_TEXT:
    fits = rank == 1 || (rank > 1 && c->role == CO_ROLE_IGNORE);
    c->dtype = CO_U8;
    c->shape = (co_shape){0};
    break;
  default:
    break;
  }
  if (!fits)
    return bad(d, path, "a column of type %s holds %s, not %s %s", co_column_type_name(c->type),
               wanted[c->type], info->is_string ? "text" : co_dtype_name(info->dtype), shape);
  for (int i = 0; i < c->shape.rank; i++)
    if (c->shape.dim[i] < 1 || (c->type == CO_COLUMN_IMAGE && c->shape.dim[i] > MAX_EXTENT))
      return bad(d, path, "the shape %s is out of range", shape);
  if (co_shape_count(&info->shape) < 0 || co_shape_count(&info->shape) > INT64_MAX / 16)
    return bad(d, path, "the shape %s is too large", shape);
  return CO_OK;
}

static co_status read_categories(co_dataset *d, const char group[CO_DATASET_BASE_MAX],
                                 co_column *c) {
  char path[CO_DATASET_PATH_MAX];
  char **names;
  co_h5_info info;
  snprintf(path, sizeof path, "%s/categories", group);
  CO_RETURN_IF_FAILED(co_h5_get_info(d->h5, path, &info));
  if (info.is_group || !info.is_string || info.shape.rank != 1)
    return bad(d, path, "categories must be a list of texts");
  CO_RETURN_IF_FAILED(co_h5_read_strings(d->h5, path, d->arena, &names, &c->category_count));
  if (c->category_count < 1 || c->category_count > INT32_MAX)
    return bad(d, path, "there must be at least one category");
  c->categories = (const char *const *)names;

  // Equal names would make the codes ambiguous. Open addressing, twice as many slots as names.
  int64_t slots = 2 * c->category_count + 1;
  int64_t *table = co_alloc_zero(d->ctx, (size_t)slots, sizeof *table);
  if (!table) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  for (int64_t i = 0; i < c->category_count && status == CO_OK; i++) {
    int64_t at = co_crc32c(0, names[i], strlen(names[i])) % slots;
    while (table[at] && strcmp(names[table[at] - 1], names[i]))
      at = (at + 1) % slots;
    if (table[at])
      status = bad(d, path, "categories %" PRId64 " and %" PRId64 " are both '%.100s'",
                   table[at] - 1, i, names[i]);
    table[at] = i + 1;
  }
  co_free(d->ctx, table);
  return status;
}

static co_status grow_columns(co_dataset *d) {
  if (d->schema.column_count < d->capacity) return CO_OK;
  if (d->capacity >= MAX_COLUMNS) return bad(d, "/", "too many columns");
  int64_t capacity = d->capacity ? 2 * d->capacity : 16;
  co_column *columns = co_realloc(d->ctx, d->columns, (size_t)capacity * sizeof *columns);
  if (!columns) return CO_ERR_MEMORY;
  d->schema.columns = d->columns = columns;
  column *parts = co_realloc(d->ctx, d->parts, (size_t)capacity * sizeof *parts);
  if (!parts) return CO_ERR_MEMORY;
  d->parts = parts;
  d->capacity = capacity;
  return CO_OK;
}

// Adds the column stored as `group`/`name`. *rows: of the table, -1 as long as unknown.
static co_status add_column(co_dataset *d, const char *group, const char *name, bool of_samples,
                            int64_t *rows) {
  char path[CO_DATASET_BASE_MAX], values[CO_DATASET_PATH_MAX];
  co_h5_info info;
  int type, role;
  if (!co_dataset_name_ok(name)) return bad(d, group, "a column has an unusable name");
  snprintf(path, sizeof path, "%s/%s", group, name);
  if (co_schema_find(&d->schema, name)) return bad(d, path, "another column has this name");

  CO_RETURN_IF_FAILED(get_word(d, path, "role", co_role_parse, -1, &role));
  int fallback = role == CO_ROLE_KEY ? CO_COLUMN_TEXT : role == CO_ROLE_WEIGHT ? 0 : -1;
  CO_RETURN_IF_FAILED(get_word(d, path, "type", co_column_type_parse, fallback, &type));
  bool is_text_role = role == CO_ROLE_KEY || role == CO_ROLE_IGNORE;
  if ((role == CO_ROLE_KEY && type != CO_COLUMN_TEXT) ||
      (role == CO_ROLE_WEIGHT && type != CO_COLUMN_NUMBER) ||
      (type == CO_COLUMN_TEXT && !is_text_role))
    return bad(d, path, "a column of role %s cannot have type %s", co_role_name((co_role)role),
               co_column_type_name((co_column_type)type));

  CO_RETURN_IF_FAILED(grow_columns(d));
  co_column *c = &d->columns[d->schema.column_count];
  column *part = &d->parts[d->schema.column_count];
  *c = (co_column){.type = (co_column_type)type, .role = (co_role)role};
  memset(part, 0, sizeof *part);
  atomic_init(&part->ready, false);

  CO_RETURN_IF_FAILED(co_h5_get_info(d->h5, path, &info));
  if (info.is_group != (type == CO_COLUMN_CATEGORY))
    return bad(d, path,
               info.is_group ? "a group, but only a category column is one"
                             : "a category column must be a group {codes, categories}");
  snprintf(values, sizeof values, "%s%s", path, info.is_group ? "/codes" : "");
  if (info.is_group) {
    CO_RETURN_IF_FAILED(read_categories(d, path, c));
    CO_RETURN_IF_FAILED(co_h5_get_info(d->h5, values, &info));
    if (info.is_group) return bad(d, values, "must be a dataset");
  }
  CO_RETURN_IF_FAILED(check_form(d, values, c, &info));
  c->name = co_arena_strdup(d->arena, name);
  part->path = co_arena_strdup(d->arena, values);
  if (!c->name || !part->path) return CO_ERR_MEMORY;
  part->of_samples = of_samples;
  part->rows = info.shape.dim[0];
  if (*rows >= 0 && part->rows != *rows)
    return bad(d, values, "has %" PRId64 " rows, but other columns have %" PRId64, part->rows,
               *rows);
  if (part->rows < 1) return bad(d, values, "there are no rows");
  *rows = part->rows;
  d->schema.column_count++; // from here on it is freed with the rest
  return type == CO_COLUMN_TEXT ? load_key_or_text(d, c, part, &info) : load(d, c, part, &info);
}

// ---- opening -----------------------------------------------------------------------------------

static co_status check_header(co_dataset *d) {
  char *format = NULL;
  int64_t version = 0;
  if (co_h5_has_attribute(d->h5, "/", "format"))
    CO_RETURN_IF_FAILED(co_h5_get_string(d->h5, "/", "format", d->arena, &format));
  if (!format || strcmp(format, CO_DATASET_FORMAT)) {
    co_status status =
        bad(d, "/", "not a Cohort dataset: attribute format is not '%s'", CO_DATASET_FORMAT);
    co_hint("make one with 'cohort import', or see datasets/README.md");
    return status;
  }
  if (!co_h5_has_attribute(d->h5, "/", "version"))
    return bad(d, "/", "attribute 'version' is missing");
  CO_RETURN_IF_FAILED(co_h5_get_int(d->h5, "/", "version", &version));
  if (version != CO_DATASET_VERSION)
    return bad(d, "/", "format version %" PRId64 "; this build reads version %d", version,
               CO_DATASET_VERSION);
  return CO_OK;
}

// Which entity the samples are of.
static co_status find_entity(co_dataset *d) {
  char **names;
  int64_t count;
  if (!co_h5_exists(d->h5, "/entities")) return bad(d, "/", "group 'entities' is missing");
  CO_RETURN_IF_FAILED(co_h5_list(d->h5, "/entities", d->arena, &names, &count));
  if (co_h5_exists(d->h5, "/samples") && co_h5_has_attribute(d->h5, "/samples", "entity")) {
    CO_RETURN_IF_FAILED(co_h5_get_string(d->h5, "/samples", "entity", d->arena, &d->entity));
  } else if (count == 1) {
    d->entity = names[0];
  } else {
    return bad(d, "/samples", "attribute 'entity' must say which of %" PRId64 " entities", count);
  }
  bool found = false;
  for (int64_t i = 0; i < count; i++) {
    if (!strcmp(names[i], d->entity))
      found = true;
    else
      co_log(d->ctx, CO_LOG_WARN, "dataset",
             "'%s': entity '%.200s' is not used: samples are of '%.200s'", d->path, names[i],
             d->entity);
  }
  if (!found || !co_dataset_name_ok(d->entity))
    return bad(d, "/samples", "there is no entity '%.200s'", d->entity);
  if (co_h5_exists(d->h5, "/events"))
    co_log(d->ctx, CO_LOG_WARN, "dataset", "'%s': events are not used by this version", d->path);
  return CO_OK;
}

static co_status add_table(co_dataset *d, const char *group, bool of_samples, int64_t *rows) {
  char **names;
  int64_t count;
  CO_RETURN_IF_FAILED(co_h5_list(d->h5, group, d->arena, &names, &count));
  for (int64_t i = 0; i < count; i++) {
    bool reserved =
        !strcmp(names[i], "entity_row") || !strcmp(names[i], "as_of") || !strcmp(names[i], "split");
    if (of_samples && reserved) continue;
    CO_RETURN_IF_FAILED(add_column(d, group, names[i], of_samples, rows));
  }
  return CO_OK;
}

// Reads one of the reserved integer columns of /samples; *out NULL where absent.
static co_status read_reserved(co_dataset *d, const char *path, int64_t *rows, int64_t **out) {
  co_h5_info info;
  *out = NULL;
  if (!co_h5_exists(d->h5, path)) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_info(d->h5, path, &info));
  bool is_integer = info.dtype == CO_U8 || info.dtype == CO_I32 || info.dtype == CO_I64;
  if (info.is_group || info.is_string || !is_integer || info.shape.rank != 1)
    return bad(d, path, "must be a list of integers");
  if (*rows >= 0 && info.shape.dim[0] != *rows)
    return bad(d, path, "has %" PRId64 " rows, but there are %" PRId64 " samples",
               info.shape.dim[0], *rows);
  *rows = info.shape.dim[0];
  if (*rows < 1) return bad(d, path, "there are no rows");
  *out = co_alloc_zero(d->ctx, (size_t)*rows, sizeof **out);
  if (!*out) return CO_ERR_MEMORY;
  co_status status = co_h5_read(d->h5, path, CO_I64, &info.shape, *out);
  if (status != CO_OK) {
    co_free(d->ctx, *out);
    *out = NULL;
  }
  return status;
}

static void hash_text(co_dataset *d, const char *text) {
  co_sha256_update(&d->hash, text, strlen(text) + 1);
}

static void hash_array(co_dataset *d, const char *name, const int64_t *values, int64_t count) {
  char line[96];
  size_t bytes = values ? (size_t)count * sizeof *values : 0;
  snprintf(line, sizeof line, "%s %" PRId64 " %08" PRIx32, name, values ? count : 0,
           co_crc32c(0, values ? (const void *)values : "", bytes));
  hash_text(d, line);
}

static co_status make_splits(co_dataset *d, const int64_t *split) {
  int64_t *next[CO_SPLIT_COUNT];
  if (!split) {
    d->split_count[CO_SPLIT_TRAIN] = d->rows;
    co_log(d->ctx, CO_LOG_WARN, "dataset",
           "'%s' has no /samples/split: all %" PRId64 " rows are training rows", d->path, d->rows);
  }
  for (int64_t i = 0; split && i < d->rows; i++) {
    if (split[i] < 0 || split[i] >= CO_SPLIT_COUNT)
      return bad(d, "/samples/split",
                 "row %" PRId64 " holds %" PRId64 ", not 0 (train), 1 (validation) or 2 (test)", i,
                 split[i]);
    d->split_count[split[i]]++;
  }
  for (int s = 0; s < CO_SPLIT_COUNT; s++) {
    next[s] = d->split_rows[s] =
        co_arena_alloc(d->arena, (size_t)d->split_count[s], sizeof(int64_t));
    if (!next[s]) return CO_ERR_MEMORY;
  }
  for (int64_t i = 0; i < d->rows; i++)
    *next[split ? split[i] : CO_SPLIT_TRAIN]++ = i;
  return CO_OK;
}

static co_status read_samples(co_dataset *d) {
  co_status status = CO_OK;
  int64_t rows = -1, *as_of = NULL, *split = NULL;
  bool present = co_h5_exists(d->h5, "/samples");
  if (present) CO_TRY(read_reserved(d, "/samples/entity_row", &rows, &d->entity_row));
  if (!d->entity_row) rows = d->entity_rows;
  for (int64_t i = 0; d->entity_row && i < rows; i++) {
    if (d->entity_row[i] >= 0 && d->entity_row[i] < d->entity_rows) continue;
    status = bad(d, "/samples/entity_row",
                 "row %" PRId64 " holds %" PRId64 ", but entity '%s' has %" PRId64 " rows", i,
                 d->entity_row[i], d->entity, d->entity_rows);
    goto cleanup;
  }
  if (present) {
    CO_TRY(read_reserved(d, "/samples/as_of", &rows, &as_of));
    CO_TRY(read_reserved(d, "/samples/split", &rows, &split));
    CO_TRY(add_table(d, "/samples", true, &rows));
  }
  d->rows = rows;
  CO_TRY(make_splits(d, split));
  hash_text(d, d->entity);
  hash_array(d, "entity_row", d->entity_row, rows);
  hash_array(d, "as_of", as_of, rows);
  hash_array(d, "split", split, rows);

cleanup:
  co_free(d->ctx, as_of);
  co_free(d->ctx, split);
  return status;
}

// Roles that may occur once only, and the contents' identity.
static co_status finish(co_dataset *d) {
  char line[256], shape[128];
  int64_t weight = -1, inputs = 0;
  d->key = -1;
  for (int64_t i = 0; i < d->schema.column_count; i++) {
    const co_column *c = &d->columns[i];
    const column *part = &d->parts[i];
    if (c->role == CO_ROLE_WEIGHT) {
      if (weight >= 0) return bad(d, part->path, "a second column of role weight");
      weight = i;
    }
    if (c->role == CO_ROLE_KEY) {
      // The id of a sample is nearer than that of its entity.
      if (d->key >= 0 && d->parts[d->key].of_samples == part->of_samples)
        return bad(d, part->path, "a second column of role key");
      d->key = i;
    }
    inputs += c->role == CO_ROLE_INPUT;
    co_shape_print(&c->shape, shape, sizeof shape);
    hash_text(d, c->name);
    snprintf(line, sizeof line, "%s %s %s %s %d %" PRId64 " %08" PRIx32 " %" PRId64,
             co_column_type_name(c->type), co_role_name(c->role), co_dtype_name(c->dtype), shape,
             part->of_samples, part->rows, part->crc, c->category_count);
    hash_text(d, line);
    for (int64_t k = 0; k < c->category_count; k++)
      hash_text(d, c->categories[k]);
  }
  if (!inputs) return bad(d, "/entities", "no column has role input");
  co_sha256_final(&d->hash, d->fingerprint);
  return CO_OK;
}

co_status co_dataset_open(co_dataset **out, co_context *ctx, const char *path) {
  co_status status = CO_OK;
  char group[CO_DATASET_BASE_MAX];
  *out = NULL;
  co_dataset *d = co_alloc_zero(ctx, 1, sizeof *d);
  if (!d) return CO_ERR_MEMORY;
  d->ctx = ctx;
  d->entity_rows = -1;
  pthread_mutex_init(&d->mutex, NULL);
  co_sha256_init(&d->hash);
  CO_TRY(co_arena_create(&d->arena, ctx));
  if (!(d->path = co_arena_strdup(d->arena, path))) {
    status = CO_ERR_MEMORY;
    goto cleanup;
  }
  CO_TRY(co_h5_open(&d->h5, ctx, path, CO_ERR_DATA));
  CO_TRY(check_header(d));
  snprintf(group, sizeof group, "%s %d", CO_DATASET_FORMAT, CO_DATASET_VERSION);
  hash_text(d, group);
  CO_TRY(find_entity(d));
  snprintf(group, sizeof group, "/entities/%s", d->entity);
  CO_TRY(add_table(d, group, false, &d->entity_rows));
  if (d->entity_rows < 0) {
    status = bad(d, group, "there are no columns");
    goto cleanup;
  }
  CO_TRY(read_samples(d));
  CO_TRY(finish(d));
  co_h5_abandon(d->h5);
  d->h5 = NULL;
  *out = d;
  return CO_OK;

cleanup:
  co_dataset_close(d);
  return status;
}

void co_dataset_close(co_dataset *d) {
  if (!d) return;
  co_h5_abandon(d->h5);
  for (int64_t i = 0; i < d->schema.column_count; i++)
    co_free(d->ctx, d->parts[i].owned);
  if (d->map) munmap((void *)d->map, d->map_bytes);
  co_free(d->ctx, d->entity_row);
  co_free(d->ctx, d->parts);
  co_free(d->ctx, d->columns);
  co_arena_free(d->arena);
  pthread_mutex_destroy(&d->mutex);
  co_free(d->ctx, d);
}

// ---- use ---------------------------------------------------------------------------------------

const char *co_dataset_path(const co_dataset *d) {
  return d->path;
}

const co_schema *co_dataset_schema(const co_dataset *d) {
  return &d->schema;
}

int64_t co_dataset_rows(const co_dataset *d) {
  return d->rows;
}

co_status co_dataset_split(co_dataset *d, co_split split, const int64_t **rows, int64_t *count) {
  if ((unsigned)split >= CO_SPLIT_COUNT) return co_fail(CO_ERR_INTERNAL, "no such split");
  *rows = d->split_rows[split];
  *count = d->split_count[split];
  return CO_OK;
}

const char *co_dataset_fingerprint(const co_dataset *d) {
  return d->fingerprint;
}

static co_status find_values(co_dataset *d, const char *name, int64_t *index) {
  const co_column *c = co_schema_find(&d->schema, name);
  if (!c) return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "there is no column '%.200s'", name);
  if (c->type == CO_COLUMN_TEXT)
    return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "column '%.200s' is text, not data for a model",
                      name);
  *index = c - d->columns;
  return make_ready(d, *index);
}

co_status co_dataset_column(co_dataset *d, const char *name, const void **data,
                            int64_t *entity_rows, const int64_t **entity_row) {
  int64_t index = 0;
  CO_RETURN_IF_FAILED(find_values(d, name, &index));
  const column *part = &d->parts[index];
  *data = part->data;
  *entity_rows = part->rows;
  *entity_row = part->of_samples ? NULL : d->entity_row;
  return CO_OK;
}

co_status co_dataset_gather(co_dataset *d, const char *name, const int64_t *samples, int64_t count,
                            void *out) {
  int64_t index = 0;
  CO_RETURN_IF_FAILED(find_values(d, name, &index));
  const column *part = &d->parts[index];
  const int64_t *entity_row = part->of_samples ? NULL : d->entity_row;
  const unsigned char *from = part->data;
  unsigned char *to = out;
  for (int64_t i = 0; i < count; i++, to += part->row_bytes) {
    if (samples[i] < 0 || samples[i] >= d->rows)
      return co_fail(CO_ERR_INTERNAL, "sample %" PRId64 " of %" PRId64, samples[i], d->rows);
    int64_t row = entity_row ? entity_row[samples[i]] : samples[i];
    memcpy(to, from + (size_t)row * part->row_bytes, part->row_bytes);
  }
  return CO_OK;
}

co_status co_dataset_key(co_dataset *d, int64_t sample, char *out, size_t size) {
  if (sample < 0 || sample >= d->rows)
    return co_fail(CO_ERR_INTERNAL, "sample %" PRId64 " of %" PRId64, sample, d->rows);
  if (d->key < 0) {
    snprintf(out, size, "%" PRId64, sample);
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(make_ready(d, d->key));
  const column *part = &d->parts[d->key];
  int64_t row = part->of_samples || !d->entity_row ? sample : d->entity_row[sample];
  int length = part->text ? snprintf(out, size, "%s", part->text[row])
                          : snprintf(out, size, "%" PRId64, part->integer[row]);
  if (length < 0 || (size_t)length >= size)
    return co_fail_at(CO_ERR_DATA, d->path, 0, 0, "the key of sample %" PRId64 " is too long",
                      sample);
  return CO_OK;
}
