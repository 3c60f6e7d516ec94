// SPDX-License-Identifier: Apache-2.0
#include "datasets/folds.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/scan.h"
#include "host/core/file.h"
#include "host/core/hash.h"

enum { CHUNK = 256, IN_NONE = -2 }; // rows at a time; of a row in no fold

static co_status create(co_folds *f, co_context *ctx, int64_t rows) {
  *f = (co_folds){.ctx = ctx, .rows = rows};
  f->fold = co_alloc_zero(ctx, (size_t)rows + 1, sizeof *f->fold);
  f->validation = co_alloc_zero(ctx, (size_t)rows + 1, 1);
  return f->fold && f->validation ? CO_OK : CO_ERR_MEMORY;
}

void co_folds_free(co_folds *f) {
  if (!f->ctx) return;
  co_free(f->ctx, f->fold);
  co_free(f->ctx, f->validation);
  *f = (co_folds){.ctx = NULL};
}

bool co_folds_equal(const co_folds *a, const co_folds *b) {
  return a->rows == b->rows && a->count == b->count &&
         memcmp(a->fold, b->fold, (size_t)a->rows * sizeof *a->fold) == 0 &&
         memcmp(a->validation, b->validation, (size_t)a->rows) == 0;
}

co_status co_folds_view(co_dataset **out, const co_folds *f, co_dataset *dataset, int64_t fold) {
  uint8_t *split = co_alloc(f->ctx, (size_t)f->rows + 1);
  *out = NULL;
  if (!split) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < f->rows; i++)
    split[i] = f->fold[i] == IN_NONE ? CO_SPLIT_COUNT
               : f->fold[i] == fold  ? f->validates ? CO_SPLIT_VALIDATION : CO_SPLIT_TEST
               : f->validation[i] && !f->validates ? CO_SPLIT_VALIDATION
                                                   : CO_SPLIT_TRAIN;
  co_status status = co_dataset_resplit(out, dataset, split);
  co_free(f->ctx, split);
  return status;
}

// ---- what belongs together ---------------------------------------------------------------------

typedef struct making {
  co_context *ctx;
  co_dataset *dataset;
  int64_t rows;
  uint64_t seed;
  uint64_t *hash; // of what each row belongs to
  int32_t *class_;
  const int32_t *fold; // of rows in no fold IN_NONE, before any is dealt out
} making;

static bool has_events(const co_schema *schema) {
  for (int64_t i = 0; i < schema->table_count; i++)
    if (schema->tables[i].kind == CO_TABLE_EVENTS) return true;
  return false;
}

static co_status hash_keys(making *m) {
  char key[CO_DATASET_KEY_MAX + 1];
  for (int64_t i = 0; i < m->rows; i++) {
    CO_RETURN_IF_FAILED(co_dataset_key(m->dataset, i, key, sizeof key));
    m->hash[i] = co_hash64(m->seed, key, strlen(key));
  }
  return CO_OK;
}

static void hash_numbers(making *m, const int64_t *number) {
  for (int64_t i = 0; i < m->rows; i++) {
    int64_t value = number ? number[i] : i;
    m->hash[i] = co_hash64(m->seed, &value, sizeof value);
  }
}

static bool counts(const co_column *column) {
  return column->role == CO_ROLE_INPUT || column->role == CO_ROLE_TARGET;
}

static bool is_number(const co_column *column) {
  return column->type == CO_COLUMN_NUMBER || column->type == CO_COLUMN_BINARY ||
         column->type == CO_COLUMN_DATE;
}

// What a value is told apart by: of a number its double, of a text its hash.
static size_t bytes_of(const co_column *column) {
  return is_number(column) || column->type == CO_COLUMN_TEXT
             ? sizeof(uint64_t)
             : (size_t)co_shape_count(&column->shape) * co_dtype_size(column->dtype);
}

static co_status read_numbers(making *m, const co_column *column, int64_t begin, int64_t count,
                              double *values) {
  co_numbers numbers;
  const void *data;
  const int64_t *index;
  int64_t rows;
  CO_RETURN_IF_FAILED(co_dataset_numbers(m->dataset, column->name, &numbers));
  CO_RETURN_IF_FAILED(co_dataset_column(m->dataset, column->name, &data, &rows, &index));
  for (int64_t i = 0; i < count; i++) {
    double value = co_numbers_at(&numbers, index ? index[begin + i] : begin + i);
    values[i] = isnan(value) ? (double)NAN : value + 0.0; // one NaN, one zero
  }
  return CO_OK;
}

static co_status read_texts(making *m, const co_column *column, int64_t begin, int64_t count,
                            uint64_t *values) {
  const char *const *text;
  const int64_t *index;
  int64_t rows;
  CO_RETURN_IF_FAILED(co_dataset_texts(m->dataset, column->name, &text, &rows, &index));
  for (int64_t i = 0; i < count; i++) {
    const char *value = text[index ? index[begin + i] : begin + i];
    values[i] = co_hash64(m->seed, value, strlen(value));
  }
  return CO_OK;
}

static co_status read_values(making *m, const co_column *column, int64_t begin, int64_t count,
                             void *values) {
  int64_t samples[CHUNK];
  if (is_number(column)) return read_numbers(m, column, begin, count, values);
  if (column->type == CO_COLUMN_TEXT) return read_texts(m, column, begin, count, values);
  for (int64_t i = 0; i < count; i++)
    samples[i] = begin + i;
  return co_dataset_gather(m->dataset, column->name, samples, count, values);
}

// `all` has a row of `stride` bytes for each.
static co_status hash_chunk(making *m, int64_t begin, int64_t count, unsigned char *values,
                            unsigned char *all, size_t stride) {
  const co_schema *schema = co_dataset_schema(m->dataset);
  size_t at = 0;
  for (int64_t c = 0; c < schema->column_count; c++) {
    const co_column *column = &schema->columns[c];
    size_t bytes = bytes_of(column);
    if (!counts(column)) continue;
    CO_RETURN_IF_FAILED(read_values(m, column, begin, count, values));
    for (int64_t i = 0; i < count; i++)
      memcpy(all + (size_t)i * stride + at, values + (size_t)i * bytes, bytes);
    at += bytes;
  }
  for (int64_t i = 0; i < count; i++)
    m->hash[begin + i] = co_hash64(m->seed, all + (size_t)i * stride, stride);
  return CO_OK;
}

static co_status hash_contents(making *m) {
  const co_schema *schema = co_dataset_schema(m->dataset);
  size_t stride = 0, widest = 0;
  for (int64_t c = 0; c < schema->column_count; c++) {
    size_t bytes = counts(&schema->columns[c]) ? bytes_of(&schema->columns[c]) : 0;
    stride += bytes;
    widest = bytes > widest ? bytes : widest;
  }
  unsigned char *values = co_alloc(m->ctx, CHUNK * widest + 1);
  unsigned char *all = co_alloc(m->ctx, CHUNK * stride + 1);
  co_status status = values && all ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < m->rows; i += CHUNK)
    status = hash_chunk(m, i, m->rows - i < CHUNK ? m->rows - i : CHUNK, values, all, stride);
  co_free(m->ctx, values);
  co_free(m->ctx, all);
  return status;
}

static co_status hash_groups(making *m) {
  const co_schema *schema = co_dataset_schema(m->dataset);
  const co_table *entity = co_schema_entity(schema);
  const int64_t *index = NULL;
  if (entity) CO_RETURN_IF_FAILED(co_dataset_index(m->dataset, entity->name, &index));
  if (!index && co_dataset_key_column(m->dataset)) return hash_keys(m);
  if (!index && !has_events(schema)) return hash_contents(m);
  hash_numbers(m, index);
  return CO_OK;
}

static co_status find_classes(making *m) {
  const co_schema *schema = co_dataset_schema(m->dataset);
  const co_column *target = NULL;
  for (int64_t c = 0; c < schema->column_count && !target; c++)
    if (schema->columns[c].role == CO_ROLE_TARGET &&
        (schema->columns[c].type == CO_COLUMN_BINARY ||
         schema->columns[c].type == CO_COLUMN_CATEGORY))
      target = &schema->columns[c];
  bool is_code = target && target->type == CO_COLUMN_CATEGORY;
  for (int64_t begin = 0; target && begin < m->rows; begin += CHUNK) {
    int64_t samples[CHUNK], count = m->rows - begin < CHUNK ? m->rows - begin : CHUNK;
    float values[CHUNK];
    for (int64_t i = 0; i < count; i++)
      samples[i] = begin + i;
    CO_RETURN_IF_FAILED(co_dataset_gather(m->dataset, target->name, samples, count,
                                          is_code ? (void *)&m->class_[begin] : (void *)values));
    for (int64_t i = 0; i < count && !is_code; i++)
      m->class_[begin + i] = isnan(values[i]) ? -1 : (int32_t)values[i];
  }
  return CO_OK;
}

// ---- dealing out -------------------------------------------------------------------------------

typedef struct group {
  uint64_t hash;
  int64_t first, size; // rows: [first, first + size) of those sorted by group
  int32_t class_;      // of its first row
} group;

typedef struct member {
  uint64_t hash;
  int64_t row;
} member;

static int by_hash(const void *a, const void *b) {
  const member *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return (x->row > y->row) - (x->row < y->row);
}

static int in_turn(const void *a, const void *b) {
  const group *x = a, *y = b;
  if (x->class_ != y->class_) return x->class_ < y->class_ ? -1 : 1;
  if (x->size != y->size) return x->size > y->size ? -1 : 1;
  return (x->hash > y->hash) - (x->hash < y->hash);
}

// Room for `members` and `groups` is the caller's.
static int64_t list_groups(const making *m, member *members, group *groups) {
  int64_t count = 0, rows = 0;
  for (int64_t i = 0; i < m->rows; i++)
    if (m->fold[i] != IN_NONE) members[rows++] = (member){m->hash[i], i};
  qsort(members, (size_t)rows, sizeof *members, by_hash);
  for (int64_t i = 0; i < rows; i++) {
    if (!i || members[i].hash != members[i - 1].hash)
      groups[count++] = (group){members[i].hash, i, 0, m->class_[members[i].row]};
    groups[count - 1].size++;
  }
  qsort(groups, (size_t)count, sizeof *groups, in_turn);
  return count;
}

static bool stops_early(const making *m, uint64_t hash) {
  return (double)(co_hash64(~m->seed, &hash, sizeof hash) >> 11) * 0x1p-53 < 0.1;
}

static void deal_out(co_folds *f, const making *m, const member *members, const group *groups,
                     int64_t count) {
  int64_t total[CO_MAX_FOLDS] = {0}, of_class[CO_MAX_FOLDS] = {0};
  for (int64_t g = 0; g < count; g++) {
    int32_t best = 0;
    if (g && groups[g].class_ != groups[g - 1].class_) memset(of_class, 0, sizeof of_class);
    for (int32_t k = 1; k < f->count; k++)
      if (of_class[k] < of_class[best] || (of_class[k] == of_class[best] && total[k] < total[best]))
        best = k;
    total[best] += groups[g].size;
    of_class[best] += groups[g].size;
    for (int64_t i = 0; i < groups[g].size; i++) {
      f->fold[members[groups[g].first + i].row] = best;
      f->validation[members[groups[g].first + i].row] = stops_early(m, groups[g].hash);
    }
  }
}

static co_status make(co_folds *f, making *m) {
  CO_RETURN_IF_FAILED(hash_groups(m));
  CO_RETURN_IF_FAILED(find_classes(m));
  member *members = co_alloc(m->ctx, (size_t)(m->rows + 1) * sizeof *members);
  group *groups = co_alloc(m->ctx, (size_t)(m->rows + 1) * sizeof *groups);
  co_status status = members && groups ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) {
    int64_t count = list_groups(m, members, groups);
    if (count < f->count)
      status =
          co_fail_at(CO_ERR_DATA, co_dataset_path(m->dataset), 0, 0,
                     "%" PRId64 " rows in %" PRId64 " groups are too few for %" PRId64 " folds",
                     m->rows, count, f->count);
    else
      deal_out(f, m, members, groups, count);
  }
  co_free(m->ctx, members);
  co_free(m->ctx, groups);
  return status;
}

static co_status leave_tests_out(co_folds *f, co_dataset *dataset) {
  const int64_t *tests;
  int64_t count;
  CO_RETURN_IF_FAILED(co_dataset_split(dataset, CO_SPLIT_TEST, &tests, &count));
  for (int64_t i = 0; i < count; i++)
    f->fold[tests[i]] = IN_NONE;
  return CO_OK;
}

static co_status make_folds(co_folds *out, co_context *ctx, co_dataset *dataset, int64_t count,
                            uint64_t seed, bool validates) {
  making m = {.ctx = ctx, .dataset = dataset, .rows = co_dataset_rows(dataset), .seed = seed};
  *out = (co_folds){.ctx = NULL};
  if (count < 2 || count > CO_MAX_FOLDS)
    return co_fail(CO_ERR_USAGE, "%" PRId64 " folds are not between 2 and %d", count,
                   (int)CO_MAX_FOLDS);
  m.hash = co_alloc_zero(ctx, (size_t)m.rows + 1, sizeof *m.hash);
  m.class_ = co_alloc_zero(ctx, (size_t)m.rows + 1, sizeof *m.class_);
  co_status status = m.hash && m.class_ ? create(out, ctx, m.rows) : CO_ERR_MEMORY;
  out->count = count;
  out->validates = validates;
  m.fold = out->fold;
  if (status == CO_OK && validates) status = leave_tests_out(out, dataset);
  if (status == CO_OK) status = make(out, &m);
  co_free(ctx, m.hash);
  co_free(ctx, m.class_);
  if (status != CO_OK) co_folds_free(out);
  return status;
}

co_status co_folds_make(co_folds *out, co_context *ctx, co_dataset *dataset, int64_t count,
                        uint64_t seed) {
  return make_folds(out, ctx, dataset, count, seed, false);
}

co_status co_folds_make_validating(co_folds *out, co_context *ctx, co_dataset *dataset,
                                   int64_t count, uint64_t seed) {
  return make_folds(out, ctx, dataset, count, seed, true);
}

// ---- files -------------------------------------------------------------------------------------

typedef struct line {
  const co_scan *scan;
  const co_scan_block *block;
  const co_row_part *part;
  int64_t i;
} line;

static co_status read_number(const line *l, int64_t column, int32_t low, int32_t high,
                             int32_t *out) {
  co_cell cell = co_cell_trim(co_block_cell(l->block, l->part, l->i, column), NULL);
  char *end; // a delimiter, a line's end or the end of the text stands behind the cell
  long value = cell.length ? strtol(cell.text, &end, 10) : 0;
  if (!cell.length || end != cell.text + cell.length || value < low || value > high)
    return co_scan_wrong(
        l->scan, &l->part->places[l->i], column, "'%.*s' is not a whole number from %d to %d",
        (int)(cell.length < 40 ? cell.length : 40), cell.text, (int)low, (int)high);
  *out = (int32_t)value;
  return CO_OK;
}

static co_status find_columns(const co_rows *rows, int64_t *fold, int64_t *validation) {
  *fold = co_rows_find(rows, "fold");
  *validation = co_rows_find(rows, "validation");
  if (*fold >= 0) return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, rows->shown, 1, 0, "there is no column 'fold'");
  co_hint("a header fold,validation, then for each row of the dataset its fold (0, 1, …; -1 = it "
          "always trains) and whether it stops training early (0 or 1)");
  return status;
}

static co_status read_line(co_folds *f, const line *l, int64_t fold, int64_t validation,
                           int64_t row) {
  int32_t stops = 0;
  CO_RETURN_IF_FAILED(read_number(l, fold, -1, CO_MAX_FOLDS - 1, &f->fold[row]));
  if (validation >= 0) CO_RETURN_IF_FAILED(read_number(l, validation, 0, 1, &stops));
  f->validation[row] = (uint8_t)stops;
  if (f->fold[row] >= f->count) f->count = f->fold[row] + 1;
  return CO_OK;
}

static co_status read_rows(co_folds *f, co_scan *scan, const char *path) {
  int64_t fold, validation, row = 0;
  co_scan_block block;
  CO_RETURN_IF_FAILED(find_columns(co_scan_file(scan), &fold, &validation));
  do {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    for (int64_t k = 0; k < block.part_count; k++)
      for (int64_t i = 0; i < block.parts[k].count; i++, row++) {
        const line l = {scan, &block, &block.parts[k], i};
        if (row < f->rows) CO_RETURN_IF_FAILED(read_line(f, &l, fold, validation, row));
      }
  } while (block.count);
  if (row == f->rows) return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, path, 0, 0,
                                "it has %s lines of folds than the dataset's %" PRId64 " rows",
                                row > f->rows ? "more" : "fewer", f->rows);
  co_hint("a line for each row, in the order of the table that was imported");
  return status;
}

static co_status check_numbers(const co_folds *f, const char *path) {
  bool seen[CO_MAX_FOLDS] = {false};
  for (int64_t i = 0; i < f->rows; i++)
    if (f->fold[i] >= 0) seen[f->fold[i]] = true;
  if (!f->count) return co_fail_at(CO_ERR_DATA, path, 0, 0, "no row is in a fold");
  for (int64_t k = 0; k < f->count; k++)
    if (!seen[k])
      return co_fail_at(CO_ERR_DATA, path, 0, 0,
                        "no row is in fold %" PRId64 ", but there is a fold %" PRId64, k,
                        f->count - 1);
  return CO_OK;
}

co_status co_folds_read(co_folds *out, co_context *ctx, const char *path, int64_t rows) {
  const co_scan_options options = {.paths = &path, .path_count = 1, .rows = {.unhashed = true}};
  co_scan *scan = NULL;
  co_status status;
  CO_TRY(create(out, ctx, rows));
  CO_TRY(co_scan_open(&scan, ctx, &options));
  CO_TRY(read_rows(out, scan, path));
  CO_TRY(check_numbers(out, path));
cleanup:
  co_scan_close(scan);
  if (status != CO_OK) co_folds_free(out);
  return status;
}

co_status co_folds_write(const co_folds *f, const char *path) {
  co_atomic_file file = {.ctx = NULL};
  co_writer *writer = NULL;
  co_status status;
  CO_TRY(co_atomic_begin(&file, f->ctx, path));
  CO_TRY(co_writer_open(&writer, f->ctx, file.temporary, false));
  CO_TRY(co_writer_printf(writer, "fold,validation\n"));
  for (int64_t i = 0; i < f->rows; i++)
    CO_TRY(co_writer_printf(writer, "%d,%d\n", (int)f->fold[i], (int)f->validation[i]));
  status = co_writer_close(writer);
  writer = NULL;
  if (status == CO_OK) status = co_atomic_commit(&file);
cleanup:
  co_writer_close(writer);
  co_atomic_abort(&file);
  return status;
}
