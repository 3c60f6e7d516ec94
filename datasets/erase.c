// SPDX-License-Identifier: Apache-2.0
#include "datasets/erase.h"

#include <inttypes.h>
#include <string.h>

#include "datasets/dataset_private.h"
#include "datasets/view.h"
#include "datasets/writer.h"

// Which rows of a table stay, and what they are called then.
typedef struct kept_rows {
  uint8_t *kept;
  int64_t *number; // of the kept rows before each row; one more than rows
  int64_t rows, left;
} kept_rows;

// A column of integers that points to rows of another entity.
typedef struct pointer {
  const char *name;
  int64_t owner, target; // tables
  int64_t *rows;         // of the owner's rows
  int64_t count;
} pointer;

typedef struct erasing {
  co_context *ctx;
  co_arena *arena;
  co_dataset *d;
  const co_dictionary *keys;
  uint8_t *found; // of the keys
  kept_rows *tables;
  pointer *pointers;
  int64_t pointer_count;
  co_h5 *h5; // for what the reader does not keep: pointers and offsets
  co_dataset_writer *writer;
  co_erase_result *out;
} erasing;

// ---- which rows --------------------------------------------------------------------------------

static co_status keep_all(erasing *e) {
  int64_t count = e->d->schema.table_count;
  e->tables = co_arena_alloc(e->arena, (size_t)count, sizeof *e->tables);
  if (!e->tables) return CO_ERR_MEMORY;
  for (int64_t t = 0; t < count; t++) {
    kept_rows *k = &e->tables[t];
    k->rows = e->d->tables[t].kind == CO_TABLE_SAMPLES ? e->d->rows : e->d->tables[t].rows;
    k->kept = co_arena_alloc(e->arena, (size_t)k->rows + 1, 1);
    k->number = co_arena_alloc(e->arena, (size_t)k->rows + 1, sizeof *k->number);
    if (!k->kept || !k->number) return CO_ERR_MEMORY;
    memset(k->kept, 1, (size_t)k->rows);
  }
  return CO_OK;
}

// Removes the rows of the key column's table, which is the samples' or their entity's.
static co_status match_keys(erasing *e) {
  const dataset_column *part = &e->d->parts[e->d->key];
  kept_rows *k = &e->tables[part->table];
  CO_RETURN_IF_FAILED(co_dataset_load_keys(e->d));
  for (int64_t i = 0; i < k->rows; i++) {
    char number[32];
    const char *key = part->text ? part->text[i] : number;
    if (!part->text) snprintf(number, sizeof number, "%" PRId64, part->integer[i]);
    const co_word *word = co_dictionary_find(e->keys, key, strlen(key));
    if (!word) continue;
    e->found[word - e->keys->words] = 1;
    k->kept[i] = 0;
  }
  return CO_OK;
}

// Removes the rows of `target` that removed rows of `owner` point to, and no others. `index` NULL = a
// row points to the one of its own number.
static co_status follow(erasing *e, int64_t owner, const int64_t *index, int64_t target) {
  enum { REMOVED = 1, KEPT = 2 };
  kept_rows *from = &e->tables[owner], *to = &e->tables[target];
  uint8_t *seen = co_alloc_zero(e->ctx, (size_t)to->rows + 1, 1);
  if (!seen) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < from->rows; i++)
    seen[index ? index[i] : i] |= from->kept[i] ? KEPT : REMOVED;
  for (int64_t i = 0; i < to->rows; i++)
    if (seen[i] == REMOVED) to->kept[i] = 0;
  co_free(e->ctx, seen);
  return CO_OK;
}

static void remove_samples(erasing *e) {
  const int64_t *index = e->d->reach[DATASET_ENTITY].index;
  kept_rows *samples = &e->tables[DATASET_SAMPLES];
  for (int64_t i = 0; i < samples->rows; i++)
    samples->kept[i] &= e->tables[DATASET_ENTITY].kept[index ? index[i] : i];
}

static void remove_events(erasing *e, int64_t table, const int64_t *offsets, int64_t owner) {
  for (int64_t row = 0; row < e->tables[owner].rows; row++)
    for (int64_t i = offsets[row]; !e->tables[owner].kept[row] && i < offsets[row + 1]; i++)
      e->tables[table].kept[i] = 0;
}

static void count_rows(erasing *e) {
  for (int64_t t = 0; t < e->d->schema.table_count; t++) {
    kept_rows *k = &e->tables[t];
    for (int64_t i = 0; i < k->rows; i++) {
      k->number[i] = k->left;
      k->left += k->kept[i];
    }
    k->number[k->rows] = k->left;
    int64_t removed = k->rows - k->left;
    switch (e->d->tables[t].kind) {
    case CO_TABLE_SAMPLES:
      e->out->samples = removed;
      e->out->samples_left = k->left;
      break;
    case CO_TABLE_EVENTS:
      e->out->events += removed;
      break;
    default:
      e->out->rows += removed;
    }
  }
}

// ---- pointers and offsets ----------------------------------------------------------------------

static int64_t find_table(const erasing *e, const char *name) {
  for (int64_t t = 0; t < e->d->schema.table_count; t++)
    if (!strcmp(e->d->tables[t].name, name)) return t;
  return -1;
}

static co_status read_pointers(erasing *e, int64_t owner) {
  char **names, *target;
  int64_t count;
  const char *group = e->d->reach[owner].path;
  if (!co_h5_exists(e->h5, group)) return CO_OK;
  CO_RETURN_IF_FAILED(co_h5_list(e->h5, group, e->arena, &names, &count));
  pointer *grown = co_arena_alloc(e->arena, (size_t)(e->pointer_count + count) + 1, sizeof *grown);
  if (!grown) return CO_ERR_MEMORY;
  if (e->pointer_count) memcpy(grown, e->pointers, (size_t)e->pointer_count * sizeof *grown);
  e->pointers = grown;
  for (int64_t i = 0; i < count; i++) {
    char *path = co_arena_format(e->arena, "%s/%s", group, names[i]);
    if (!path) return CO_ERR_MEMORY;
    if (!co_h5_has_attribute(e->h5, path, "rows_of")) continue;
    CO_RETURN_IF_FAILED(co_h5_get_string(e->h5, path, "rows_of", e->arena, &target));
    pointer *p = &e->pointers[e->pointer_count];
    *p = (pointer){.name = names[i], .owner = owner, .target = find_table(e, target)};
    p->count = e->tables[owner].rows;
    p->rows = co_arena_alloc(e->arena, (size_t)p->count + 1, sizeof *p->rows);
    if (!p->rows) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_h5_read(e->h5, path, CO_I64, NULL, p->rows));
    e->pointer_count++;
  }
  return CO_OK;
}

static co_status read_offsets(erasing *e, int64_t table, int64_t owner, int64_t **out) {
  char *path = co_arena_format(e->arena, "%s/offsets", e->d->reach[table].path);
  *out = co_arena_alloc(e->arena, (size_t)e->tables[owner].rows + 1, sizeof **out);
  if (!path || !*out) return CO_ERR_MEMORY;
  return co_h5_read(e->h5, path, CO_I64, NULL, *out);
}

static co_status choose_rows(erasing *e) {
  CO_RETURN_IF_FAILED(keep_all(e));
  CO_RETURN_IF_FAILED(match_keys(e));
  const int64_t *index = e->d->reach[DATASET_ENTITY].index;
  if (e->d->parts[e->d->key].table == DATASET_SAMPLES)
    CO_RETURN_IF_FAILED(follow(e, DATASET_SAMPLES, index, DATASET_ENTITY));
  remove_samples(e);
  for (int64_t owner = DATASET_ENTITY; owner <= DATASET_SAMPLES; owner++)
    CO_RETURN_IF_FAILED(read_pointers(e, owner));
  for (int64_t i = 0; i < e->pointer_count; i++)
    CO_RETURN_IF_FAILED(
        follow(e, e->pointers[i].owner, e->pointers[i].rows, e->pointers[i].target));
  for (int64_t t = 0; t < e->d->schema.table_count; t++) {
    int64_t *offsets, owner;
    if (e->d->tables[t].kind != CO_TABLE_EVENTS) continue;
    owner = find_table(e, e->d->tables[t].entity);
    CO_RETURN_IF_FAILED(read_offsets(e, t, owner, &offsets));
    remove_events(e, t, offsets, owner);
  }
  count_rows(e);
  return CO_OK;
}

static co_status check_left(const erasing *e) {
  for (int64_t t = 0; t < e->d->schema.table_count; t++)
    if (!e->tables[t].left) {
      co_status status =
          co_fail_at(CO_ERR_DATA, e->d->path, 0, 0, "nothing would be left in table '%.200s'",
                     e->d->tables[t].name);
      co_hint("remove the file instead");
      return status;
    }
  return CO_OK;
}

// ---- writing -----------------------------------------------------------------------------------

// The column's own name in the file: the reader may have put its table's in front.
static co_status stored_name(const erasing *e, int64_t column, const char **out) {
  const dataset_column *part = &e->d->parts[column];
  const char *name = part->path + strlen(e->d->reach[part->table].path) + 1;
  size_t length = strcspn(name, "/"); // a category's values are below it
  *out = co_arena_strndup(e->arena, name, length);
  return *out ? CO_OK : CO_ERR_MEMORY;
}

static const char *table_name(const erasing *e, int64_t table) {
  return table == DATASET_SAMPLES ? NULL : e->d->tables[table].name;
}

static co_status write_texts(erasing *e, const co_column *c, const kept_rows *k, const char *table,
                             char **text) {
  int64_t id, left = 0;
  const char **kept = co_alloc(e->ctx, (size_t)(k->left + 1) * sizeof *kept);
  if (!kept) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < k->rows; i++)
    if (k->kept[i]) kept[left++] = text[i];
  co_status status =
      c->role == CO_ROLE_KEY
          ? co_dataset_writer_texts(e->writer, table, c->name, c->role, kept, left)
          : co_dataset_writer_open_texts(e->writer, table, c->name, c->role, left, &id);
  if (status == CO_OK && c->role != CO_ROLE_KEY)
    status = co_dataset_writer_append_texts(e->writer, id, left, kept);
  co_free(e->ctx, kept);
  return status;
}

// Rows of `bytes` each, as they are.
static co_status write_bytes(erasing *e, const co_column *c, const kept_rows *k, const char *table,
                             const void *data, size_t bytes) {
  unsigned char *kept = co_alloc(e->ctx, (size_t)k->left * bytes), *to = kept;
  if (!kept) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < k->rows; i++) {
    if (!k->kept[i]) continue;
    memcpy(to, (const unsigned char *)data + (size_t)i * bytes, bytes);
    to += bytes;
  }
  co_status status = co_dataset_writer_column(e->writer, table, c, k->left);
  if (status == CO_OK) status = co_dataset_writer_rows(e->writer, k->left, kept);
  co_free(e->ctx, kept);
  return status;
}

// What the classes that stay look like, and say: `place` has the old code of each of c's.
static co_status write_class_members(erasing *e, const co_column *c, const char *known,
                                     const int32_t *place, int64_t before, const char *table) {
  const int64_t bytes = co_shape_count(&c->picture);
  int64_t id;
  if (c->picture.rank) {
    uint8_t *pixels = co_alloc(e->ctx, (size_t)(before * bytes));
    if (!pixels) return CO_ERR_MEMORY;
    co_status status = co_dataset_pictures(e->d, known, pixels);
    for (int64_t v = 0; v < c->category_count; v++)
      memmove(pixels + v * bytes, pixels + place[v] * bytes, (size_t)bytes);
    if (status == CO_OK)
      status = co_dataset_writer_open_pictures(e->writer, table, c->name, &c->picture,
                                               c->category_count, &id);
    if (status == CO_OK)
      status = co_dataset_writer_append(e->writer, id, c->category_count, pixels);
    co_free(e->ctx, pixels);
    CO_RETURN_IF_FAILED(status);
  }
  if (!c->described) return CO_OK;
  const char *const *text;
  const char **kept = co_arena_alloc(e->arena, (size_t)c->category_count + 1, sizeof *kept);
  if (!kept) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_dataset_descriptions(e->d, known, e->arena, &text));
  for (int64_t v = 0; v < c->category_count; v++)
    kept[v] = text[place[v]];
  return co_dataset_writer_descriptions(e->writer, table, c->name, kept, c->category_count);
}

// The categories that only removed rows had are dropped, and the codes of the others move up.
static co_status write_codes(erasing *e, co_column *c, const char *known, const kept_rows *k,
                             const char *table, const int32_t *codes) {
  enum { REMOVED = 1, KEPT = 2 };
  size_t room = (size_t)c->category_count + 1;
  const char **names = co_arena_alloc(e->arena, room, sizeof *names);
  int32_t *code = co_arena_alloc(e->arena, room, sizeof *code);
  int32_t *place = co_arena_alloc(e->arena, room, sizeof *place);
  uint8_t *seen = co_arena_alloc(e->arena, room, 1);
  int32_t *moved = co_alloc(e->ctx, (size_t)(k->rows + 1) * sizeof *moved), next = 0;
  if (!names || !code || !place || !seen || !moved) {
    co_free(e->ctx, moved);
    return CO_ERR_MEMORY;
  }
  for (int64_t i = 0; i < k->rows; i++)
    if (codes[i] >= 0) seen[codes[i]] |= k->kept[i] ? KEPT : REMOVED;
  for (int64_t v = 0; v < c->category_count; v++) {
    if (seen[v] == REMOVED) continue;
    names[next] = c->categories[v];
    place[next] = (int32_t)v;
    code[v] = next++;
  }
  for (int64_t i = 0; i < k->rows; i++)
    moved[i] = codes[i] < 0 ? -1 : code[codes[i]];
  const int64_t before = c->category_count;
  e->out->categories += before - next;
  c->categories = names;
  c->category_count = next;
  co_status status = write_bytes(e, c, k, table, moved, sizeof *moved);
  co_free(e->ctx, moved);
  return status == CO_OK ? write_class_members(e, c, known, place, before, table) : status;
}

static co_status write_column(erasing *e, int64_t column) {
  const co_column *known = &e->d->columns[column];
  const dataset_column *part = &e->d->parts[column];
  const kept_rows *k = &e->tables[part->table];
  const char *table = table_name(e, part->table);
  co_column c = *known;
  const void *data;
  int64_t rows;
  CO_RETURN_IF_FAILED(stored_name(e, column, &c.name));
  if (co_dataset_is_unread(part) || (c.type == CO_COLUMN_TEXT && c.role == CO_ROLE_IGNORE)) {
    co_log(e->ctx, CO_LOG_WARN, "erase", "column '%s' has role ignore and is left out", c.name);
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(co_dataset_make_ready(e->d, column));
  if (c.type == CO_COLUMN_TEXT) {
    c.dtype = CO_I64;
    return part->text ? write_texts(e, &c, k, table, part->text)
                      : write_bytes(e, &c, k, table, part->integer, sizeof *part->integer);
  }
  if (c.type == CO_COLUMN_NUMBER || c.type == CO_COLUMN_DATE) {
    co_numbers numbers;
    CO_RETURN_IF_FAILED(co_dataset_numbers(e->d, known->name, &numbers));
    c.dtype = numbers.dtype;
    return write_bytes(e, &c, k, table, numbers.values, co_dtype_size(c.dtype));
  }
  CO_RETURN_IF_FAILED(co_dataset_column(e->d, known->name, &data, &rows, NULL));
  if (c.type == CO_COLUMN_CATEGORY) return write_codes(e, &c, known->name, k, table, data);
  return write_bytes(e, &c, k, table, data, part->row_bytes);
}

static co_status write_columns(erasing *e, int64_t table) {
  for (int64_t i = 0; i < e->d->schema.column_count; i++)
    if (e->d->parts[i].table == table) CO_RETURN_IF_FAILED(write_column(e, i));
  return CO_OK;
}

static co_status write_samples(erasing *e) {
  const kept_rows *k = &e->tables[DATASET_SAMPLES], *rows = &e->tables[DATASET_ENTITY];
  const int64_t *index = e->d->reach[DATASET_ENTITY].index;
  uint8_t *split = co_alloc_zero(e->ctx, (size_t)k->rows + 1, 1);
  int64_t *row = co_alloc(e->ctx, 2 * ((size_t)k->rows + 1) * sizeof *row);
  co_status status = CO_ERR_MEMORY;
  if (split && row) {
    int64_t *as_of = row + k->rows + 1, left = 0;
    for (int s = 0; s < CO_SPLIT_COUNT; s++)
      for (int64_t i = 0; i < e->d->split_count[s]; i++)
        split[e->d->split_rows[s][i]] = (uint8_t)s;
    for (int64_t i = 0; i < k->rows; i++) {
      if (!k->kept[i]) continue;
      split[left] = split[i];
      row[left] = rows->number[index ? index[i] : i];
      as_of[left++] = e->d->as_of ? e->d->as_of[i] : 0;
    }
    status = co_dataset_writer_samples(e->writer, e->d->entity, left, index ? row : NULL,
                                       e->d->as_of ? as_of : NULL, split);
  }
  co_free(e->ctx, split);
  co_free(e->ctx, row);
  return status == CO_OK ? write_columns(e, DATASET_SAMPLES) : status;
}

static co_status write_pointer(erasing *e, const pointer *p) {
  const kept_rows *from = &e->tables[p->owner], *to = &e->tables[p->target];
  int64_t left = 0;
  for (int64_t i = 0; i < p->count; i++)
    if (from->kept[i]) p->rows[left++] = to->number[p->rows[i]];
  return co_dataset_writer_pointer(e->writer, table_name(e, p->owner), p->name,
                                   e->d->tables[p->target].name, left, p->rows);
}

static co_status write_events(erasing *e, int64_t table) {
  const co_table *t = &e->d->tables[table];
  int64_t owner = find_table(e, t->entity), *offsets, left = 0;
  const kept_rows *k = &e->tables[table], *rows = &e->tables[owner];
  const char *time = NULL;
  CO_RETURN_IF_FAILED(read_offsets(e, table, owner, &offsets));
  for (int64_t i = 0; i < rows->rows; i++)
    if (rows->kept[i]) offsets[left++] = k->number[offsets[i]];
  offsets[left] = k->left;
  for (int64_t i = 0; t->time && i < e->d->schema.column_count; i++)
    if (e->d->columns[i].name == t->time) CO_RETURN_IF_FAILED(stored_name(e, i, &time));
  CO_RETURN_IF_FAILED(co_dataset_writer_events(e->writer, t->name, t->entity, time, left, offsets));
  return write_columns(e, table);
}

// Ranges lie within the events of one row, which stay or go together.
static co_status write_ranges(erasing *e, int64_t table) {
  const kept_rows *k = &e->tables[table], *samples = &e->tables[DATASET_SAMPLES];
  dataset_table *reach = &e->d->reach[table];
  int64_t left = 0;
  for (int64_t i = 0; i < samples->rows; i++) {
    if (!samples->kept[i]) continue;
    reach->begin[left] = k->number[reach->begin[i]];
    reach->end[left++] = k->number[reach->end[i]];
  }
  return co_dataset_writer_ranges(e->writer, e->d->tables[table].name, left, reach->begin,
                                  reach->end);
}

static co_status write_all(erasing *e) {
  for (int64_t t = 0; t < e->d->schema.table_count; t++)
    if (e->d->tables[t].kind == CO_TABLE_ENTITY) CO_RETURN_IF_FAILED(write_columns(e, t));
  CO_RETURN_IF_FAILED(write_samples(e));
  for (int64_t i = 0; i < e->pointer_count; i++)
    CO_RETURN_IF_FAILED(write_pointer(e, &e->pointers[i]));
  for (int64_t t = 0; t < e->d->schema.table_count; t++) {
    if (e->d->tables[t].kind != CO_TABLE_EVENTS) continue;
    CO_RETURN_IF_FAILED(write_events(e, t));
    CO_RETURN_IF_FAILED(write_ranges(e, t));
  }
  const char *schema = co_dataset_recipe(e->d);
  if (schema) CO_RETURN_IF_FAILED(co_dataset_writer_source(e->writer, "schema", schema));
  return co_dataset_writer_commit(e->writer, e->out->fingerprint);
}

// ---- all ---------------------------------------------------------------------------------------

static co_status check_found(const erasing *e, bool allow_missing) {
  int64_t missing = 0;
  for (int64_t i = 0; i < e->keys->count; i++)
    missing += !e->found[i];
  if (!missing || allow_missing) return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, e->d->path, 0, 0, "no row has %s%lld of the %lld keys",
                                missing == e->keys->count ? "any of them: " : "",
                                (long long)missing, (long long)e->keys->count);
  co_hint("look at the keys by `cohort data show`; with --allow-missing those that are there go");
  return status;
}

static co_status erase(erasing *e, bool allow_missing) {
  if (e->d->key < 0) {
    co_status status = co_fail_at(CO_ERR_DATA, e->d->path, 0, 0,
                                  "there is no column of role key to find customers by");
    co_hint("import with --key COLUMN");
    return status;
  }
  e->found = co_arena_alloc(e->arena, (size_t)e->keys->count + 1, 1);
  if (!e->found) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_h5_open(&e->h5, e->ctx, e->d->path, CO_ERR_DATA));
  CO_RETURN_IF_FAILED(choose_rows(e));
  CO_RETURN_IF_FAILED(check_found(e, allow_missing));
  memcpy(e->out->fingerprint, e->d->fingerprint, sizeof e->out->fingerprint);
  if (!e->out->samples && !e->out->rows) return CO_OK; // nobody of them is there
  CO_RETURN_IF_FAILED(check_left(e));
  CO_RETURN_IF_FAILED(co_dataset_writer_create(&e->writer, e->ctx, e->d->path));
  return write_all(e);
}

co_status co_dataset_erase(co_erase_result *out, co_context *ctx, co_arena *arena, const char *path,
                           const co_dictionary *keys, bool allow_missing) {
  erasing e = {.ctx = ctx, .arena = arena, .keys = keys, .out = out};
  *out = (co_erase_result){0};
  CO_RETURN_IF_FAILED(co_dataset_open(&e.d, ctx, path));
  co_status status = erase(&e, allow_missing);
  co_error error;
  co_error_copy(&error);
  co_dataset_writer_free(e.writer);
  co_h5_abandon(e.h5);
  co_dataset_close(e.d);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}
