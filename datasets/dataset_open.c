// SPDX-License-Identifier: Apache-2.0
// Opening a data set: its description, column by column, its splits and its fingerprint.
#include "datasets/dataset_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/format.h"
#include "host/core/diagnostics.h"

enum { MAX_EXTENT = 65535, MAX_COLUMNS = 1 << 20 };

// ---- describing columns ------------------------------------------------------------------------

static const char *missing_attribute_hint(const char *name) {
  return !strcmp(name, "type")    ? "number, vector, category, binary, image, date or text"
         : !strcmp(name, "label") ? "any, count or sum"
                                  : "input, target, key, weight or ignore";
}

// Reads a word attribute into *out; a missing one leaves `fallback`, -1 = there is none.
static co_status get_word(co_dataset *d, const char *path, const char *name,
                          int (*parse)(const char *), int fallback, int *out) {
  char *word;
  *out = fallback;
  if (!co_h5_has_attribute(d->h5, path, name)) {
    if (fallback >= 0) return CO_OK;
    co_status status = co_dataset_bad(d, path, "attribute '%s' is missing", name);
    co_hint("one of %s", missing_attribute_hint(name));
    return status;
  }
  CO_RETURN_IF_FAILED(co_h5_get_string(d->h5, path, name, d->arena, &word));
  *out = parse(word);
  if (*out >= 0) return CO_OK;
  co_status status = co_dataset_bad(d, path, "%s '%s' is unknown", name, word);
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
      [CO_COLUMN_BINARY] = "numbers (rows)",
      [CO_COLUMN_IMAGE] = "uint8 (rows, height, width, channels)",
      [CO_COLUMN_DATE] = "numbers (rows)",
      [CO_COLUMN_TEXT] = "text or integers (rows)",
  };
  bool is_integer = info->dtype == CO_U8 || info->dtype == CO_I32 || info->dtype == CO_I64;
  bool fits = false;
  c->shape = (co_shape){.rank = rank - 1};
  if (rank > 0)
    memcpy(c->shape.dim, info->shape.dim + 1, (size_t)c->shape.rank * sizeof *c->shape.dim);
  switch (c->type) {
  case CO_COLUMN_NUMBER:
  case CO_COLUMN_BINARY:
  case CO_COLUMN_DATE:
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
    fits = rank == 1;
    c->dtype = CO_U8;
    c->shape = (co_shape){0};
    break;
  default:
    break;
  }
  if (!fits)
    return co_dataset_bad(d, path, "a column of type %s holds %s, not %s %s",
                          co_column_type_name(c->type), wanted[c->type],
                          info->is_string ? "text" : co_dtype_name(info->dtype), shape);
  for (int i = 0; i < c->shape.rank; i++)
    if (c->shape.dim[i] < 1 || (c->type == CO_COLUMN_IMAGE && c->shape.dim[i] > MAX_EXTENT))
      return co_dataset_bad(d, path, "the shape %s is out of range", shape);
  if (co_shape_count(&info->shape) < 0 || co_shape_count(&info->shape) > INT64_MAX / 16)
    return co_dataset_bad(d, path, "the shape %s is too large", shape);
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
    return co_dataset_bad(d, path, "categories must be a list of texts");
  CO_RETURN_IF_FAILED(co_h5_read_strings(d->h5, path, d->arena, &names, &c->category_count));
  if (c->category_count < 1 || c->category_count > INT32_MAX)
    return co_dataset_bad(d, path, "there must be at least one category");
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
      status = co_dataset_bad(d, path, "categories %" PRId64 " and %" PRId64 " are both '%.100s'",
                              table[at] - 1, i, names[i]);
    table[at] = i + 1;
  }
  co_free(d->ctx, table);
  return status;
}

// The texts of 0 and 1, in this order.
static co_status read_classes(co_dataset *d, const char *path, co_column *c) {
  static const char *const fallback[] = {"0", "1"};
  c->categories = fallback;
  c->category_count = 2;
  if (!co_h5_has_attribute(d->h5, path, "classes")) return CO_OK;
  char **names;
  int64_t count;
  CO_RETURN_IF_FAILED(co_h5_get_strings(d->h5, path, "classes", d->arena, &names, &count));
  if (count != 2 || !strcmp(names[0], names[1]))
    return co_dataset_bad(d, path, "attribute 'classes' must hold two texts, that of 1 last");
  c->categories = (const char *const *)names;
  return CO_OK;
}

static co_status check_version(co_dataset *d, const char *path, const co_column *c) {
  bool read_text = c->type == CO_COLUMN_TEXT && c->role != CO_ROLE_KEY;
  if (d->version >= CO_DATASET_VERSION_RELATIONAL ||
      (c->type != CO_COLUMN_BINARY && c->type != CO_COLUMN_DATE && !read_text))
    return CO_OK;
  co_status status = co_dataset_bad(d, path, "columns of type %s need format version %d",
                                    co_column_type_name(c->type), CO_DATASET_VERSION_RELATIONAL);
  co_hint("set attribute 'version' of / to %d", CO_DATASET_VERSION_RELATIONAL);
  return status;
}

// Of tables that belong to nobody's sample alone only inputs can be used; `key` is for their reader.
static co_status check_role(co_dataset *d, const char *path, int64_t table, co_role role,
                            co_column_type type) {
  if ((role == CO_ROLE_KEY && type != CO_COLUMN_TEXT) ||
      (role == CO_ROLE_WEIGHT && type != CO_COLUMN_NUMBER) ||
      (type == CO_COLUMN_DATE && role == CO_ROLE_TARGET))
    return co_dataset_bad(d, path, "a column of role %s cannot have type %s", co_role_name(role),
                          co_column_type_name(type));
  if (table > DATASET_SAMPLES && (role == CO_ROLE_TARGET || role == CO_ROLE_WEIGHT)) {
    co_status status =
        co_dataset_bad(d, path, "a column of role %s cannot stand here", co_role_name(role));
    co_hint("targets and weights stand in /samples or in entity '%s'", d->entity);
    return status;
  }
  return CO_OK;
}

// Columns of joined tables and events whose name is taken get that of their table in front.
static co_status name_column(co_dataset *d, int64_t table, const char *path, const char *name,
                             const char **out) {
  const char *full = name;
  if (table > DATASET_SAMPLES && co_schema_find(&d->schema, name)) {
    full = co_arena_format(d->arena, "%s.%s", d->tables[table].name, name);
    if (!full) return CO_ERR_MEMORY;
  }
  if (co_schema_find(&d->schema, full))
    return co_dataset_bad(d, path, "another column has this name");
  *out = full == name ? co_arena_strdup(d->arena, name) : full;
  return *out ? CO_OK : CO_ERR_MEMORY;
}

static co_status grow_columns(co_dataset *d) {
  if (d->schema.column_count < d->capacity) return CO_OK;
  if (d->capacity >= MAX_COLUMNS) return co_dataset_bad(d, "/", "too many columns");
  int64_t capacity = d->capacity ? 2 * d->capacity : 16;
  co_column *columns = co_realloc(d->ctx, d->columns, (size_t)capacity * sizeof *columns);
  if (!columns) return CO_ERR_MEMORY;
  d->schema.columns = d->columns = columns;
  dataset_column *parts = co_realloc(d->ctx, d->parts, (size_t)capacity * sizeof *parts);
  if (!parts) return CO_ERR_MEMORY;
  d->parts = parts;
  d->capacity = capacity;
  return CO_OK;
}

// Events are in the order of a column that may be no input, but is used.
static co_status is_time(co_dataset *d, int64_t table, const char *name, bool *out) {
  char *time;
  *out = false;
  if (table <= DATASET_SAMPLES || !co_h5_has_attribute(d->h5, d->reach[table].path, "time"))
    return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_string(d->h5, d->reach[table].path, "time", d->arena, &time));
  *out = !strcmp(time, name);
  return CO_OK;
}

// The stored checksum of ignored texts, a row for each of the table, counts for the fingerprint, as it
// did when these were read: runs that were begun on such a file go on.
static void take_identity(co_dataset *d, const char *path, dataset_column *part) {
  co_h5_info info;
  int64_t crc = -1;
  if (!co_h5_has_attribute(d->h5, path, "crc32c")) return;
  if (co_h5_get_info(d->h5, path, &info) == CO_OK && info.is_string && info.shape.rank == 1 &&
      co_h5_get_int(d->h5, path, "crc32c", &crc) == CO_OK && crc >= 0 && crc <= UINT32_MAX) {
    part->rows = info.shape.dim[0];
    part->crc = (uint32_t)crc;
  }
  co_error_clear();
}

// A column that is ignored is listed and no more: whatever it holds cannot be wrong. Its type is told
// where that can be read.
static co_status add_ignored(co_dataset *d, int64_t table, const char *path, const char *full) {
  char *word = NULL;
  int type = -1;
  CO_RETURN_IF_FAILED(grow_columns(d));
  co_column *c = &d->columns[d->schema.column_count];
  dataset_column *part = &d->parts[d->schema.column_count];
  *c = (co_column){.name = full,
                   .table = d->tables[table].name,
                   .type = CO_COLUMN_TEXT,
                   .role = CO_ROLE_IGNORE,
                   .dtype = CO_U8};
  memset(part, 0, sizeof *part);
  atomic_init(&part->ready, false);
  if (co_h5_has_attribute(d->h5, path, "type")) {
    co_status status = co_h5_get_string(d->h5, path, "type", d->arena, &word);
    if (status == CO_ERR_MEMORY) return status;
    if (status == CO_OK) type = co_column_type_parse(word);
    co_error_clear();
  }
  if (type >= 0) c->type = (co_column_type)type;
  if (c->type == CO_COLUMN_TEXT) take_identity(d, path, part);
  part->path = co_arena_strdup(d->arena, path);
  if (!part->path) return CO_ERR_MEMORY;
  part->table = table;
  d->schema.column_count++;
  return CO_OK;
}

// What a target tells of the time after the cut-off: gap and window in seconds.
static co_status read_label(co_dataset *d, const char *path, co_column *c) {
  int kind;
  co_label *label = &c->label;
  CO_RETURN_IF_FAILED(get_word(d, path, "label", co_label_kind_parse, CO_LABEL_NONE, &kind));
  if (kind == CO_LABEL_NONE) return CO_OK;
  label->kind = (co_label_kind)kind;
  if (c->role != CO_ROLE_TARGET ||
      c->type != (label->kind == CO_LABEL_ANY ? CO_COLUMN_BINARY : CO_COLUMN_NUMBER))
    return co_dataset_bad(d, path, "label '%s' is of targets of type %s",
                          co_label_kind_name(label->kind),
                          label->kind == CO_LABEL_ANY ? "binary" : "number");
  if (co_h5_has_attribute(d->h5, path, "gap"))
    CO_RETURN_IF_FAILED(co_h5_get_int(d->h5, path, "gap", &label->gap));
  if (!co_h5_has_attribute(d->h5, path, "window"))
    return co_dataset_bad(d, path, "attribute 'window' is missing");
  CO_RETURN_IF_FAILED(co_h5_get_int(d->h5, path, "window", &label->window));
  return co_label_ok(label) ? CO_OK : co_dataset_bad(d, path, "gap and window are no seconds");
}

// Adds the column stored as `name` in the group of a table.
static co_status add_column(co_dataset *d, int64_t table, const char *name) {
  char path[CO_DATASET_BASE_MAX], values[CO_DATASET_PATH_MAX];
  const char *group = d->reach[table].path, *full = NULL;
  int64_t *rows = &d->tables[table].rows; // -1 as long as unknown
  co_h5_info info;
  int type, role;
  bool is_pointer = false, times;
  if (!co_dataset_name_ok(name)) return co_dataset_bad(d, group, "a column has an unusable name");
  snprintf(path, sizeof path, "%s/%s", group, name);
  CO_RETURN_IF_FAILED(co_dataset_add_pointer(d, table, path, &is_pointer));
  if (is_pointer) return CO_OK;
  CO_RETURN_IF_FAILED(name_column(d, table, path, name, &full));

  CO_RETURN_IF_FAILED(get_word(d, path, "role", co_role_parse, -1, &role));
  CO_RETURN_IF_FAILED(is_time(d, table, name, &times));
  if (role == CO_ROLE_IGNORE && !times) return add_ignored(d, table, path, full);
  int fallback = role == CO_ROLE_KEY ? CO_COLUMN_TEXT : role == CO_ROLE_WEIGHT ? 0 : -1;
  CO_RETURN_IF_FAILED(get_word(d, path, "type", co_column_type_parse, fallback, &type));
  CO_RETURN_IF_FAILED(check_role(d, path, table, (co_role)role, (co_column_type)type));

  CO_RETURN_IF_FAILED(grow_columns(d));
  co_column *c = &d->columns[d->schema.column_count];
  dataset_column *part = &d->parts[d->schema.column_count];
  *c = (co_column){.name = full,
                   .table = d->tables[table].name,
                   .type = (co_column_type)type,
                   .role = (co_role)role};
  memset(part, 0, sizeof *part);
  atomic_init(&part->ready, false);

  CO_RETURN_IF_FAILED(co_h5_get_info(d->h5, path, &info));
  if (info.is_group != (type == CO_COLUMN_CATEGORY))
    return co_dataset_bad(d, path,
                          info.is_group ? "a group, but only a category column is one"
                                        : "a category column must be a group {codes, categories}");
  snprintf(values, sizeof values, "%s%s", path, info.is_group ? "/codes" : "");
  if (info.is_group) {
    CO_RETURN_IF_FAILED(read_categories(d, path, c));
    CO_RETURN_IF_FAILED(co_dataset_add_class_members(d, path, c, part));
    CO_RETURN_IF_FAILED(co_h5_get_info(d->h5, values, &info));
    if (info.is_group) return co_dataset_bad(d, values, "must be a dataset");
  }
  CO_RETURN_IF_FAILED(check_form(d, values, c, &info));
  CO_RETURN_IF_FAILED(check_version(d, path, c));
  if (type == CO_COLUMN_BINARY) CO_RETURN_IF_FAILED(read_classes(d, path, c));
  CO_RETURN_IF_FAILED(read_label(d, path, c));
  part->path = co_arena_strdup(d->arena, values);
  if (!part->path) return CO_ERR_MEMORY;
  part->table = table;
  part->rows = info.shape.dim[0];
  if (*rows >= 0 && part->rows != *rows)
    return co_dataset_bad(d, values, "has %" PRId64 " rows, but other columns have %" PRId64,
                          part->rows, *rows);
  if (part->rows < 1) return co_dataset_bad(d, values, "there are no rows");
  *rows = part->rows;
  d->schema.column_count++; // from here on it is freed with the rest
  return type == CO_COLUMN_TEXT ? co_dataset_load_text(d, c, part, &info)
                                : co_dataset_load(d, c, part, &info);
}

// ---- opening -----------------------------------------------------------------------------------

static co_status check_header(co_dataset *d) {
  char *format = NULL;
  int64_t version = 0;
  if (co_h5_has_attribute(d->h5, "/", "format"))
    CO_RETURN_IF_FAILED(co_h5_get_string(d->h5, "/", "format", d->arena, &format));
  if (!format || strcmp(format, CO_DATASET_FORMAT)) {
    co_status status = co_dataset_bad(d, "/", "not a Cohort dataset: attribute format is not '%s'",
                                      CO_DATASET_FORMAT);
    co_hint("make one with 'cohort import', or see datasets/README.md");
    return status;
  }
  if (!co_h5_has_attribute(d->h5, "/", "version"))
    return co_dataset_bad(d, "/", "attribute 'version' is missing");
  CO_RETURN_IF_FAILED(co_h5_get_int(d->h5, "/", "version", &version));
  if (version != CO_DATASET_VERSION && version != CO_DATASET_VERSION_RELATIONAL)
    return co_dataset_bad(d, "/", "format version %" PRId64 "; this build reads versions %d and %d",
                          version, CO_DATASET_VERSION, CO_DATASET_VERSION_RELATIONAL);
  d->version = version;
  return CO_OK;
}

// What /source says is anybody's: where it is no text, there is none.
static co_status read_note(co_dataset *d, const char *name, char **out) {
  if (!co_h5_exists(d->h5, "/source") || !co_h5_has_attribute(d->h5, "/source", name)) return CO_OK;
  co_status status = co_h5_get_string(d->h5, "/source", name, d->arena, out);
  if (status == CO_OK || status == CO_ERR_MEMORY) return status;
  *out = NULL;
  return CO_OK;
}

static co_status read_carried_table(co_dataset *d, const char *name) {
  char path[CO_DATASET_PATH_MAX], **text = NULL;
  int64_t count;
  snprintf(path, sizeof path, "/source/carried/%s", name);
  CO_RETURN_IF_FAILED(co_h5_read_strings(d->h5, path, d->arena, &text, &count));
  if (count == 1) d->carried[d->carried_count++] = (co_carried){name, text[0]};
  return CO_OK;
}

static co_status read_carried(co_dataset *d) {
  char **names;
  int64_t count;
  if (!co_h5_exists(d->h5, "/source") || !co_h5_exists(d->h5, "/source/carried")) return CO_OK;
  co_status status = co_h5_list(d->h5, "/source/carried", d->arena, &names, &count);
  if (status == CO_OK) {
    d->carried = co_arena_alloc(d->arena, (size_t)count + 1, sizeof *d->carried);
    if (!d->carried) return CO_ERR_MEMORY;
  }
  for (int64_t i = 0; i < count && status == CO_OK; i++)
    status = read_carried_table(d, names[i]);
  return status == CO_ERR_MEMORY ? status : CO_OK; // as for the recipe
}

co_status co_dataset_add_columns(co_dataset *d, int64_t table) {
  char **names;
  int64_t count;
  CO_RETURN_IF_FAILED(co_h5_list(d->h5, d->reach[table].path, d->arena, &names, &count));
  for (int64_t i = 0; i < count; i++)
    if (!co_dataset_is_reserved(d, table, names[i])) {
      co_status status = add_column(d, table, names[i]);
      if (status == CO_ERR_MEMORY) co_note("'%s': %s/%s", d->path, d->reach[table].path, names[i]);
      CO_RETURN_IF_FAILED(status);
    }
  return co_dataset_check_pending(d);
}

// Sets *there, if there is such a list, and what is known of it.
static co_status find_integers(co_dataset *d, const char *path, const char *what, int64_t *rows,
                               co_h5_info *info, bool *there) {
  *there = co_h5_exists(d->h5, path);
  if (!*there) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_get_info(d->h5, path, info));
  bool is_integer = info->dtype == CO_U8 || info->dtype == CO_I32 || info->dtype == CO_I64;
  if (info->is_group || info->is_string || !is_integer || info->shape.rank != 1)
    return co_dataset_bad(d, path, "must be a list of integers");
  if (*rows >= 0 && info->shape.dim[0] != *rows)
    return co_dataset_bad(d, path, "has %" PRId64 " rows, but there are %" PRId64 " %s",
                          info->shape.dim[0], *rows, what);
  *rows = info->shape.dim[0];
  return *rows < 1 ? co_dataset_bad(d, path, "there are no rows") : CO_OK;
}

static co_status read_list(co_dataset *d, const char *path, co_dtype dtype, const co_shape *shape,
                           void *out_pointer) {
  void *values = co_alloc_zero(d->ctx, (size_t)shape->dim[0], co_dtype_size(dtype));
  if (!values) co_note("'%s': %s", d->path, path);
  if (!values) return CO_ERR_MEMORY;
  co_status status = co_h5_read(d->h5, path, dtype, shape, values);
  if (status == CO_OK)
    memcpy(out_pointer, &values, sizeof values);
  else
    co_free(d->ctx, values);
  return status;
}

co_status co_dataset_read_integers(co_dataset *d, const char *path, const char *what, int64_t *rows,
                                   int64_t **out) {
  co_h5_info info;
  bool there;
  *out = NULL;
  CO_RETURN_IF_FAILED(find_integers(d, path, what, rows, &info, &there));
  return there ? read_list(d, path, CO_I64, &info.shape, out) : CO_OK;
}

void co_dataset_hash_text(co_dataset *d, const char *text) {
  co_sha256_update(&d->hash, text, strlen(text) + 1);
}

void co_dataset_hash_array(co_dataset *d, const char *name, const int64_t *values, int64_t count) {
  char line[96];
  size_t bytes = values ? (size_t)count * sizeof *values : 0;
  snprintf(line, sizeof line, "%s %" PRId64 " %08" PRIx32, name, values ? count : 0,
           co_crc32c(0, values ? (const void *)values : "", bytes));
  co_dataset_hash_text(d, line);
}

// The split of each row, as narrow as it is stored; of none there are none.
typedef struct stored_splits {
  uint8_t *narrow;
  int64_t *wide;
} stored_splits;

static int64_t split_at(const stored_splits *s, int64_t row) {
  return s->narrow ? s->narrow[row] : s->wide ? s->wide[row] : CO_SPLIT_TRAIN;
}

static co_status read_splits(co_dataset *d, int64_t *rows, stored_splits *out) {
  static const char path[] = "/samples/split";
  co_h5_info info;
  bool there;
  CO_RETURN_IF_FAILED(find_integers(d, path, "samples", rows, &info, &there));
  if (!there) return CO_OK;
  return info.dtype == CO_U8 ? read_list(d, path, CO_U8, &info.shape, &out->narrow)
                             : read_list(d, path, CO_I64, &info.shape, &out->wide);
}

// As co_dataset_hash_array of the same numbers.
static void hash_splits(co_dataset *d, const stored_splits *s) {
  int64_t some[512];
  const int64_t most = sizeof some / sizeof *some, rows = s->narrow || s->wide ? d->rows : 0;
  uint32_t crc = 0;
  char line[96];
  for (int64_t row = 0, count; row < rows; row += count) {
    count = rows - row < most ? rows - row : most;
    for (int64_t i = 0; i < count; i++)
      some[i] = split_at(s, row + i);
    crc = co_crc32c(crc, some, (size_t)count * sizeof *some);
  }
  snprintf(line, sizeof line, "split %" PRId64 " %08" PRIx32, rows, crc);
  co_dataset_hash_text(d, line);
}

static co_status make_splits(co_dataset *d, const stored_splits *splits) {
  int64_t *next[CO_SPLIT_COUNT];
  if (!splits->narrow && !splits->wide)
    co_log(d->ctx, CO_LOG_WARN, "dataset",
           "'%s' has no /samples/split: all %" PRId64 " rows are training rows", d->path, d->rows);
  for (int64_t i = 0; i < d->rows; i++) {
    const int64_t split = split_at(splits, i);
    if (split < 0 || split >= CO_SPLIT_COUNT)
      return co_dataset_bad(
          d, "/samples/split",
          "row %" PRId64 " holds %" PRId64 ", not 0 (train), 1 (validation) or 2 (test)", i, split);
    d->split_count[split]++;
  }
  for (int s = 0; s < CO_SPLIT_COUNT; s++) {
    next[s] = d->split_rows[s] =
        co_arena_alloc(d->arena, (size_t)d->split_count[s], sizeof(int64_t));
    if (!next[s]) co_note("'%s': /samples", d->path);
    if (!next[s]) return CO_ERR_MEMORY;
  }
  for (int64_t i = 0; i < d->rows; i++)
    *next[split_at(splits, i)]++ = i;
  return CO_OK;
}

static co_status read_samples(co_dataset *d) {
  co_status status = CO_OK;
  stored_splits splits = {0};
  int64_t **entity_row = &d->reach[DATASET_ENTITY].index;
  int64_t entity_rows = d->tables[DATASET_ENTITY].rows, *rows = &d->tables[DATASET_SAMPLES].rows;
  bool present = co_h5_exists(d->h5, "/samples");
  if (present)
    CO_TRY(co_dataset_read_integers(d, "/samples/entity_row", "samples", rows, entity_row));
  if (!*entity_row) *rows = entity_rows;
  for (int64_t i = 0; *entity_row && i < *rows; i++) {
    if ((*entity_row)[i] >= 0 && (*entity_row)[i] < entity_rows) continue;
    status =
        co_dataset_bad(d, "/samples/entity_row",
                       "row %" PRId64 " holds %" PRId64 ", but entity '%s' has %" PRId64 " rows", i,
                       (*entity_row)[i], d->entity, entity_rows);
    goto cleanup;
  }
  if (present) {
    CO_TRY(co_dataset_read_integers(d, "/samples/as_of", "samples", rows, &d->as_of));
    CO_TRY(read_splits(d, rows, &splits));
    CO_TRY(co_dataset_add_columns(d, DATASET_SAMPLES));
  }
  d->rows = *rows;
  CO_TRY(make_splits(d, &splits));
  co_dataset_hash_text(d, d->entity);
  co_dataset_hash_array(d, "entity_row", *entity_row, d->rows);
  co_dataset_hash_array(d, "as_of", d->as_of, d->rows);
  hash_splits(d, &splits);

cleanup:
  co_free(d->ctx, splits.narrow);
  co_free(d->ctx, splits.wide);
  return status;
}

// Roles that may occur once only, and the contents' identity.
static co_status finish(co_dataset *d) {
  char line[256], shape[128];
  int64_t weight = -1, inputs = 0;
  d->key = -1;
  for (int64_t i = 0; i < d->schema.column_count; i++) {
    const co_column *c = &d->columns[i];
    dataset_column *part = &d->parts[i];
    if (c->role == CO_ROLE_IGNORE && part->rows != d->tables[part->table].rows) part->rows = 0;
    if (co_dataset_is_unread(part)) continue;
    if (c->role == CO_ROLE_WEIGHT) {
      if (weight >= 0) return co_dataset_bad(d, part->path, "a second column of role weight");
      weight = i;
    }
    if (c->role == CO_ROLE_KEY && part->table <= DATASET_SAMPLES) {
      // The id of a sample is nearer than that of its entity.
      if (d->key >= 0 && d->parts[d->key].table == part->table)
        return co_dataset_bad(d, part->path, "a second column of role key");
      d->key = i;
    }
    inputs += c->role == CO_ROLE_INPUT;
    co_shape_print(&c->shape, shape, sizeof shape);
    co_dataset_hash_text(d, c->name);
    if (part->table > DATASET_SAMPLES) co_dataset_hash_text(d, c->table);
    snprintf(line, sizeof line, "%s %s %s %s %d %" PRId64 " %08" PRIx32 " %" PRId64,
             co_column_type_name(c->type), co_role_name(c->role), co_dtype_name(c->dtype), shape,
             part->table == DATASET_SAMPLES, part->rows, part->crc, c->category_count);
    co_dataset_hash_text(d, line);
    for (int64_t k = 0; k < c->category_count; k++)
      co_dataset_hash_text(d, c->categories[k]);
    co_dataset_hash_class_members(d, c, part);
    if (!c->label.kind) continue;
    snprintf(line, sizeof line, "%s %" PRId64 " %" PRId64, co_label_kind_name(c->label.kind),
             c->label.gap, c->label.window);
    co_dataset_hash_text(d, line);
  }
  if (!inputs) return co_dataset_bad(d, "/entities", "no column has role input");
  co_sha256_final(&d->hash, d->fingerprint);
  return CO_OK;
}

// Everything but its own memory.
static co_status read_all(co_dataset *d) {
  char format[64];
  CO_RETURN_IF_FAILED(co_h5_open(&d->h5, d->ctx, d->path, CO_ERR_DATA));
  CO_RETURN_IF_FAILED(check_header(d));
  CO_RETURN_IF_FAILED(read_note(d, "schema", &d->recipe));
  CO_RETURN_IF_FAILED(read_note(d, "split", &d->split_rule));
  CO_RETURN_IF_FAILED(read_carried(d));
  snprintf(format, sizeof format, "%s %" PRId64, CO_DATASET_FORMAT, d->version);
  co_dataset_hash_text(d, format);
  CO_RETURN_IF_FAILED(co_dataset_find_entities(d));
  CO_RETURN_IF_FAILED(co_dataset_add_columns(d, DATASET_ENTITY));
  if (d->tables[DATASET_ENTITY].rows < 0)
    return co_dataset_bad(d, d->reach[DATASET_ENTITY].path, "there are no columns");
  CO_RETURN_IF_FAILED(read_samples(d));
  CO_RETURN_IF_FAILED(co_dataset_join(d));
  CO_RETURN_IF_FAILED(co_dataset_add_events(d));
  co_dataset_warn_unused(d);
  co_dataset_hash_tables(d);
  return finish(d);
}

co_status co_dataset_open(co_dataset **out, co_context *ctx, const char *path) {
  co_status status = CO_OK;
  *out = NULL;
  co_dataset *d = co_alloc_zero(ctx, 1, sizeof *d);
  if (!d) return CO_ERR_MEMORY;
  d->ctx = ctx;
  pthread_mutex_init(&d->mutex, NULL);
  co_sha256_init(&d->hash);
  CO_TRY(co_arena_create(&d->arena, ctx));
  if (!(d->path = co_arena_strdup(d->arena, path))) {
    status = CO_ERR_MEMORY;
    goto cleanup;
  }
  CO_TRY(read_all(d));
  co_h5_abandon(d->h5);
  d->h5 = NULL;
  co_dataset_end_opening(d);
  *out = d;
  return CO_OK;

cleanup:
  co_dataset_close(d);
  return status;
}
