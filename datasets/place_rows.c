// SPDX-License-Identifier: Apache-2.0
#include "datasets/place_rows.h"

#include <math.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/date.h"
#include "host/core/hash.h"

static bool is_stratified(const co_placer *p) {
  return p->rule->kind == CO_SPLIT_STRATIFIED && !p->file_splits;
}

static bool is_hashed(const co_placer *p, int64_t column) {
  int64_t by = p->rule->kind == CO_SPLIT_HASH ? p->split_column : p->key;
  const co_recipe_role role = p->survey->columns[column].recipe.role;
  return by >= 0 ? column == by : role == CO_RECIPE_INPUT || role == CO_RECIPE_TARGET;
}

static uint64_t hash_cells(const co_placer *p, const co_text *content) {
  return co_hash64(p->seed, content->data, content->length);
}

static void append_cell(co_text *content, const co_cell *cell) {
  if (!co_cell_is_missing(cell)) co_text_append(content, cell->text, cell->length);
  co_text_append(content, "\x1f", 1);
}

static int32_t class_of(const co_cell *cell) {
  return (int32_t)(co_hash64(0, cell->text, cell->length) & INT32_MAX);
}

static uint8_t split_of_file(const co_placer *p, int64_t file, uint64_t hash) {
  int split = p->file_splits[file];
  bool validates = split == CO_SPLIT_TRAIN && !p->validates &&
                   (double)(hash >> 11) * 0x1p-53 < p->validation_fraction;
  return (uint8_t)(validates ? CO_SPLIT_VALIDATION : split);
}

static void free_part(const co_placer *p, co_placed_part *o) {
  co_free(p->ctx, o->hash);
  co_free(p->ctx, o->class_);
  co_free(p->ctx, o->end);
  o->hash = NULL;
  o->class_ = NULL;
  o->end = NULL;
  o->room = 0;
}

void co_placer_free(co_placer *p) {
  if (!p->ctx) return;
  co_free(p->ctx, p->hash);
  co_free(p->ctx, p->split);
  co_free(p->ctx, p->class_);
  co_free(p->ctx, p->hashed);
  co_free(p->ctx, p->hashed_columns);
  for (int i = 0; i < CO_ROWS_MAX_SLOTS; i++) {
    free_part(p, &p->parts[i]);
    co_free(p->ctx, p->parts[i].text);
  }
  *p = (co_placer){0};
}

// ---- while they are surveyed -------------------------------------------------------------------

static co_status begin(void *user, const co_survey *survey) {
  co_placer *p = user;
  bool by_column = p->rule->kind == CO_SPLIT_HASH;
  int64_t by = -1;
  p->rows = 0;
  p->likely_target = -1;
  p->hashed_count = 0;
  size_t columns = (size_t)survey->column_count;
  if (!p->hashed) p->hashed = co_alloc_zero(p->ctx, columns, sizeof *p->hashed);
  if (!p->hashed_columns)
    p->hashed_columns = co_alloc_zero(p->ctx, columns, sizeof *p->hashed_columns);
  if (!p->hashed || !p->hashed_columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < survey->column_count; i++) {
    const co_column_survey *c = &survey->columns[i];
    bool named = by_column ? !strcmp(c->name, p->rule->column) : c->recipe.role == CO_RECIPE_KEY;
    if (by < 0 && named) by = i;
    if (p->likely_target < 0 && c->recipe.role == CO_RECIPE_TARGET) p->likely_target = i;
  }
  for (int64_t i = 0; i < survey->column_count; i++) {
    bool used = survey->likely[i] && survey->columns[i].recipe.role != CO_RECIPE_WEIGHT;
    p->hashed[i] = by >= 0 ? i == by : used;
    if (p->hashed[i]) p->hashed_columns[p->hashed_count++] = i;
  }
  return CO_OK;
}

static co_status make_room(co_placer *p, co_placed_part *o, int64_t rows) {
  if (rows <= o->room) return CO_OK;
  free_part(p, o);
  o->hash = co_alloc(p->ctx, (size_t)rows * sizeof *o->hash);
  o->class_ = co_alloc(p->ctx, (size_t)rows * sizeof *o->class_);
  o->end = co_alloc(p->ctx, (size_t)rows * sizeof *o->end);
  if (!o->hash || !o->class_ || !o->end) return CO_ERR_MEMORY;
  o->room = rows;
  return CO_OK;
}

// As memcpy; a short cell is copied as two words that may overlap.
static inline void copy_cell(char *to, const char *from, size_t length) {
  uint64_t word[2];
  uint32_t half[2];
  if (length > 16) {
    memcpy(to, from, length);
  } else if (length >= 8) {
    memcpy(&word[0], from, 8), memcpy(&word[1], from + length - 8, 8);
    memcpy(to, &word[0], 8), memcpy(to + length - 8, &word[1], 8);
  } else if (length >= 4) {
    memcpy(&half[0], from, 4), memcpy(&half[1], from + length - 4, 4);
    memcpy(to, &half[0], 4), memcpy(to + length - 4, &half[1], 4);
  } else if (length) {
    char first = from[0], middle = from[length / 2], last = from[length - 1];
    to[0] = first, to[length / 2] = middle, to[length - 1] = last;
  }
}

// Behind `used` bytes for the cells that count of a row.
static co_status make_text_room(co_placer *p, co_placed_part *o, const co_scan_part *part,
                                int64_t row, size_t used) {
  size_t bytes = used;
  for (int64_t k = 0; k < p->hashed_count; k++)
    bytes += co_part_cell(part, row, p->hashed_columns[k])->length + 1;
  if (bytes <= o->text_room) return CO_OK;
  char *grown = co_realloc(p->ctx, o->text, 2 * bytes);
  if (!grown) return CO_ERR_MEMORY;
  o->text = grown;
  o->text_room = 2 * bytes;
  return CO_OK;
}

// The cells that count of all rows, one behind the other.
static co_status join_cells(co_placer *p, co_placed_part *o, const co_scan_part *part) {
  size_t used = 0;
  for (int64_t i = 0; i < part->rows.count; i++) {
    CO_RETURN_IF_FAILED(make_text_room(p, o, part, i, used));
    char *to = o->text + used;
    for (int64_t k = 0; k < p->hashed_count; k++) {
      const co_cell *cell = co_part_cell(part, i, p->hashed_columns[k]);
      size_t length = co_cell_is_missing(cell) ? 0 : cell->length;
      copy_cell(to, cell->text, length);
      to[length] = '\x1f';
      to += length + 1;
    }
    o->end[i] = used = (size_t)(to - o->text);
  }
  return CO_OK;
}

static co_status hash_part(void *user, int slot, const co_scan *scan, const co_scan_part *part) {
  co_placer *p = user;
  co_placed_part *o = &p->parts[slot];
  int64_t count = part->rows.count;
  (void)scan;
  CO_RETURN_IF_FAILED(make_room(p, o, count));
  CO_RETURN_IF_FAILED(join_cells(p, o, part));
  co_hash64_each(p->seed, o->text, o->end, count, o->hash);
  for (int64_t i = 0; i < count && is_stratified(p) && p->likely_target >= 0; i++)
    o->class_[i] = class_of(co_part_cell(part, i, p->likely_target));
  return CO_OK;
}

static co_status widen(co_placer *p, int64_t rows) {
  if (rows <= p->capacity) return CO_OK;
  int64_t wide = rows > 2 * p->capacity ? rows : 2 * p->capacity;
  uint64_t *hash = co_realloc(p->ctx, p->hash, (size_t)wide * sizeof *hash);
  if (!hash) return CO_ERR_MEMORY;
  p->hash = hash;
  uint8_t *split = co_realloc(p->ctx, p->split, (size_t)wide);
  if (!split) return CO_ERR_MEMORY;
  p->split = split;
  if (is_stratified(p)) {
    int32_t *class_ = co_realloc(p->ctx, p->class_, (size_t)wide * sizeof *class_);
    if (!class_) return CO_ERR_MEMORY;
    p->class_ = class_;
  }
  p->capacity = wide;
  return CO_OK;
}

static co_status keep_part(void *user, int slot, const co_scan *scan, const co_scan_part *part) {
  co_placer *p = user;
  int64_t count = part->rows.count;
  (void)scan;
  CO_RETURN_IF_FAILED(widen(p, p->rows + count));
  memcpy(p->hash + p->rows, p->parts[slot].hash, (size_t)count * sizeof *p->hash);
  if (is_stratified(p))
    memcpy(p->class_ + p->rows, p->parts[slot].class_, (size_t)count * sizeof *p->class_);
  for (int64_t i = p->rows; i < p->rows + count; i++)
    p->split[i] = p->file_splits ? split_of_file(p, part->file, p->hash[i])
                                 : (uint8_t)co_split_of_hash(p->rule, p->hash[i]);
  p->rows += count;
  return CO_OK;
}

co_survey_guest co_placer_guest(co_placer *p) {
  return (co_survey_guest){p, begin, hash_part, keep_part};
}

bool co_placer_is_done(const co_placer *p) {
  bool by_hash = p->rule->kind != CO_SPLIT_COLUMN && p->rule->kind != CO_SPLIT_TIME;
  if (!p->hashed || !(by_hash || p->file_splits)) return false;
  if (is_stratified(p) && p->likely_target != p->target) return false;
  for (int64_t i = 0; i < p->survey->column_count; i++)
    if (p->hashed[i] != is_hashed(p, i)) return false;
  return true;
}

// ---- while they are written --------------------------------------------------------------------

// A row in work, by one thread.
typedef struct row_at {
  const co_scan *scan;
  const co_scan_block *block;
  const co_row_part *part;
  int64_t i;   // in the part
  int64_t row; // in the table
} row_at;

static co_cell cell_of(const co_placer *p, const row_at *at, int64_t column) {
  return co_cell_trim(co_block_cell(at->block, at->part, at->i, column),
                      p->survey->columns[column].suffix);
}

// What tells the row from others: its key, a column's text, or its inputs and targets.
static co_status hash_row(co_placer *p, const row_at *at, co_text *content) {
  content->length = 0;
  for (int64_t i = 0; i < p->survey->column_count; i++) {
    if (!is_hashed(p, i)) continue;
    const co_cell cell = cell_of(p, at, i);
    append_cell(content, &cell);
  }
  p->hash[at->row] = hash_cells(p, content);
  return content->status;
}

static co_status split_of_column(co_placer *p, const row_at *at) {
  co_cell cell = co_cell_trim(co_block_cell(at->block, at->part, at->i, p->split_column), NULL);
  int split = co_split_of_cell(cell.text, cell.length);
  if (split < 0)
    return co_scan_wrong(at->scan, &at->part->places[at->i], p->split_column,
                         "'%.*s' is no split: train, validation or test",
                         (int)(cell.length < 40 ? cell.length : 40), cell.text);
  p->split[at->row] = (uint8_t)split;
  return CO_OK;
}

static co_status split_of_time(co_placer *p, const row_at *at) {
  double seconds = NAN;
  const char *format = p->survey->columns[p->split_column].recipe.format;
  const co_cell cell = cell_of(p, at, p->split_column);
  if (co_cell_is_missing(&cell) ||
      co_date_read(cell.text, cell.length, format, &seconds) != CO_DATE_GOOD)
    return co_scan_wrong(at->scan, &at->part->places[at->i], p->split_column,
                         "'%.*s' is no date to split by",
                         (int)(cell.length < 40 ? cell.length : 40), cell.text);
  p->split[at->row] = (uint8_t)co_split_of_time(p->rule, seconds);
  return CO_OK;
}

static co_status place_row(co_placer *p, const row_at *at, co_text *content) {
  CO_RETURN_IF_FAILED(hash_row(p, at, content));
  if (p->file_splits) {
    p->split[at->row] = split_of_file(p, at->block->file, p->hash[at->row]);
  } else if (p->rule->kind == CO_SPLIT_STRATIFIED) {
    const co_cell cell = cell_of(p, at, p->target);
    p->class_[at->row] = class_of(&cell);
  } else if (p->rule->kind == CO_SPLIT_TIME) {
    return split_of_time(p, at);
  } else if (p->rule->kind == CO_SPLIT_COLUMN) {
    return split_of_column(p, at);
  } else {
    p->split[at->row] = (uint8_t)co_split_of_hash(p->rule, p->hash[at->row]);
  }
  return CO_OK;
}

// Some rows of a block that follow each other: the `share`-th of `of`.
static co_status place_rows(co_placer *p, const co_scan *scan, const co_scan_block *block,
                            int64_t share, int64_t of, int64_t *failed) {
  int64_t begin_ = block->count * share / of, end = block->count * (share + 1) / of, row = 0;
  co_status status = CO_OK;
  co_text content;
  co_text_init(&content, p->ctx);
  for (int64_t k = 0; k < block->part_count && status == CO_OK; row += block->parts[k++].count) {
    const co_row_part *part = &block->parts[k];
    int64_t from = begin_ > row ? begin_ - row : 0;
    int64_t to = end - row < part->count ? end - row : part->count;
    for (int64_t i = from; i < to && status == CO_OK; i++) {
      const row_at at = {scan, block, part, i, block->first + row + i};
      status = place_row(p, &at, &content);
      *failed = row + i;
    }
  }
  co_text_free(&content);
  return status;
}

// Rows instead of columns are shared out.
static co_status place_share(void *user, const co_scan *scan, const co_scan_block *block,
                             int64_t share, int64_t *row) {
  co_placer *p = user;
  return place_rows(p, scan, block, share, co_context_threads(p->ctx), row);
}

co_status co_placer_begin(co_placer *p, int64_t rows) {
  p->rows = rows;
  CO_RETURN_IF_FAILED(widen(p, rows));
  memset(p->split, 0, (size_t)rows);
  return CO_OK;
}

co_status co_placer_block(co_placer *p, const co_scan *scan, const co_scan_block *block) {
  return co_scan_columns(scan, block, co_context_threads(p->ctx), place_share, p);
}

co_status co_placer_end(co_placer *p) {
  return is_stratified(p)
             ? co_split_stratified(p->rule, p->ctx, p->rows, p->hash, p->class_, p->split)
             : CO_OK;
}

// ---- rows that repeat others -------------------------------------------------------------------

enum { MOST_IN_TABLE = 1 << 17 };

// Parts hashes by their byte at `shift`, where they are: begin[b] to begin[b + 1] have b (P. McIlroy et
// al., "Engineering Radix Sort", 1993: American flag sort).
static void part_hashes(uint64_t *hash, int64_t count, int shift, int64_t begin_[257]) {
  int64_t next[256];
  memset(begin_, 0, 257 * sizeof *begin_);
  for (int64_t i = 0; i < count; i++)
    begin_[(hash[i] >> shift & 0xFF) + 1]++;
  for (int b = 0; b < 256; b++)
    begin_[b + 1] += begin_[b];
  memcpy(next, begin_, sizeof next);
  for (int b = 0; b < 256; b++)
    while (next[b] < begin_[b + 1]) {
      uint64_t moved = hash[next[b]];
      int to = (int)(moved >> shift & 0xFF);
      hash[next[b]] = hash[next[to]]; // where `to` is `b`, itself
      hash[next[to]++] = moved;
    }
}

// By a table of those seen, in which 0 is a free slot.
static int64_t count_by_table(const uint64_t *hash, int64_t count, uint64_t *table) {
  uint64_t mask = 15;
  int64_t repeated = 0, zeros = 0;
  while (mask < 2 * (uint64_t)count)
    mask = 2 * mask + 1;
  memset(table, 0, (size_t)(mask + 1) * sizeof *table);
  for (int64_t i = 0; i < count; i++) {
    if (!hash[i]) {
      repeated += zeros++ > 0;
      continue;
    }
    uint64_t at = hash[i] & mask;
    while (table[at] && table[at] != hash[i])
      at = (at + 1) & mask;
    repeated += table[at] != 0;
    table[at] = hash[i];
  }
  return repeated;
}

static int64_t count_repeated(uint64_t *hash, int64_t count, int shift, uint64_t *table) {
  int64_t begin_[257], repeated = 0;
  if (count <= MOST_IN_TABLE) return count_by_table(hash, count, table);
  if (shift < 0) return count - 1; // all are the same
  part_hashes(hash, count, shift, begin_);
  for (int b = 0; b < 256; b++)
    repeated += count_repeated(hash + begin_[b], begin_[b + 1] - begin_[b], shift - 8, table);
  return repeated;
}

co_status co_placer_count_repeated(co_placer *p, int64_t *out) {
  uint64_t *table = co_alloc(p->ctx, 4 * MOST_IN_TABLE * sizeof *table);
  if (!table) return CO_ERR_MEMORY;
  *out = count_repeated(p->hash, p->rows, 56, table);
  co_free(p->ctx, table);
  return CO_OK;
}
