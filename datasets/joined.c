// SPDX-License-Identifier: Apache-2.0
#include "datasets/joined.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/cell.h"

enum { NO_KEY = -1, UNKNOWN = -2, KEY_BYTES = 1024, SHOWN_BYTES = 48, BETWEEN = 0xFF };

co_status co_joined_begin(co_joined *j, co_context *ctx, const co_recipe_join *join,
                          const co_scan_options *scan, const co_dictionary *keys, int64_t rows) {
  *j = (co_joined){.ctx = ctx,
                   .join = join,
                   .scan = scan,
                   .keys = keys,
                   .room = rows,
                   .found = {join->table.table, join->shown, keys->count, 0, 0, 0}};
  j->row = co_alloc(ctx, ((size_t)rows + 1) * sizeof *j->row);
  if (join->one_to_one) j->user = co_alloc_zero(ctx, (size_t)keys->count + 1, sizeof *j->user);
  return j->row && (!join->one_to_one || j->user) ? CO_OK : CO_ERR_MEMORY;
}

void co_joined_free(co_joined *j) {
  if (!j->ctx) return;
  co_free(j->ctx, j->row);
  co_free(j->ctx, j->user);
  *j = (co_joined){0};
}

// ---- keys --------------------------------------------------------------------------------------

// A key of several columns is the texts of their cells, with a byte between them that UTF-8 has not.
typedef struct key_text {
  co_cell cell; // what of it is known while cells are added
  bool missing, too_long;
  char bytes[KEY_BYTES];
} key_text;

static void add_cell(key_text *key, const co_cell *field, const char *suffix, int64_t at,
                     int64_t count) {
  co_cell cell = co_cell_trim(field, suffix);
  key->missing |= co_cell_is_missing(&cell);
  if (count == 1) {
    key->cell = cell;
    return;
  }
  size_t used = at ? key->cell.length + 1 : 0;
  key->too_long |= used + cell.length >= sizeof key->bytes;
  if (key->too_long) return;
  if (at) key->bytes[used - 1] = (char)BETWEEN;
  memcpy(key->bytes + used, cell.text, cell.length);
  key->cell = (co_cell){.text = key->bytes, .length = used + cell.length};
}

// With commas between the columns' cells; cut where it is long.
static void show_key(char out[SHOWN_BYTES], const char *text, size_t length) {
  size_t shown = length < 40 ? length : 40;
  for (size_t i = 0; i < shown; i++)
    out[i] = (unsigned char)text[i] == BETWEEN ? ',' : text[i];
  out[shown] = '\0';
}

static co_status take_key(co_dictionary *keys, const co_scan *scan, const co_row_place *place,
                          int64_t column, const key_text *key, bool any) {
  int64_t repeated;
  char shown[SHOWN_BYTES];
  if (any && (key->missing || key->too_long)) return CO_OK; // the keys of no row
  if (key->missing) return co_scan_wrong(scan, place, column, "the key is missing");
  if (key->too_long)
    return co_scan_wrong(scan, place, column, "the key has more than %d bytes", KEY_BYTES - 1);
  CO_RETURN_IF_FAILED(co_dictionary_add(keys, key->cell.text, key->cell.length,
                                        place->line ? place->line : place->row, &repeated));
  if (!repeated || any) return CO_OK;
  show_key(shown, key->cell.text, key->cell.length);
  return co_scan_wrong(scan, place, column, "the key '%s' occurs in %s %" PRId64 " already", shown,
                       place->line ? "line" : "row", repeated);
}

static co_status take_keys(co_dictionary *keys, co_scan *scan, const co_joined_field *on,
                           int64_t count, bool any) {
  co_scan_block block = {.count = 1};
  while (block.count) {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    for (int64_t k = 0; k < block.part_count; k++) {
      const co_row_part *part = &block.parts[k];
      for (int64_t i = 0; i < part->count; i++) {
        key_text key;
        key.missing = key.too_long = false;
        for (int64_t c = 0; c < count; c++)
          add_cell(&key, co_block_cell(&block, part, i, on[c].column), on[c].suffix, c, count);
        CO_RETURN_IF_FAILED(take_key(keys, scan, &part->places[i], on[0].column, &key, any));
      }
    }
  }
  return CO_OK;
}

co_status co_joined_on(co_joined_field *on, const co_rows *rows, const co_recipe *recipe,
                       const char *const *names, int64_t count, const char *table) {
  for (int64_t i = 0; i < count; i++) {
    const co_recipe_column *known = co_recipe_find(recipe, names[i]);
    on[i] = (co_joined_field){co_rows_find(rows, names[i]), known ? known->strip_suffix : NULL};
    if (on[i].column < 0)
      return co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                        "there is no column '%.200s', by which table '%.200s' is joined", names[i],
                        table);
  }
  return CO_OK;
}

static co_status read_keys(co_dictionary *keys, co_context *ctx, const co_recipe *table,
                           co_scan *scan, bool any) {
  co_joined_field on[CO_JOIN_MOST_COLUMNS];
  CO_RETURN_IF_FAILED(
      co_joined_on(on, co_scan_file(scan), table, table->key, table->key_count, table->table));
  CO_RETURN_IF_FAILED(co_dictionary_create(keys, ctx));
  return take_keys(keys, scan, on, table->key_count, any);
}

co_status co_joined_keys(co_dictionary *keys, co_context *ctx, const co_recipe *table,
                         co_scan *scan) {
  return read_keys(keys, ctx, table, scan, false);
}

co_status co_joined_any_keys(co_dictionary *keys, co_context *ctx, const co_recipe *table,
                             co_scan *scan) {
  return read_keys(keys, ctx, table, scan, true);
}

// ---- finding rows ------------------------------------------------------------------------------

typedef struct finding {
  co_joined *joined;
  int64_t shares;
} finding;

static void read_key(const co_joined *j, const co_scan_block *block, const co_row_part *part,
                     int64_t row, key_text *key) {
  key->missing = key->too_long = false;
  for (int64_t c = 0, count = j->join->table.key_count; c < count; c++)
    add_cell(key, co_block_cell(block, part, row, j->on[c].column), j->on[c].suffix, c, count);
}

static int64_t find_row(const co_joined *j, const co_scan_block *block, const co_row_part *part,
                        int64_t row) {
  key_text key;
  read_key(j, block, part, row, &key);
  if (key.missing) return NO_KEY;
  if (key.too_long) return UNKNOWN;
  const co_word *word = co_dictionary_find(j->keys, key.cell.text, key.cell.length);
  return word ? word - j->keys->words : UNKNOWN;
}

// The `share`-th of the block's rows.
static co_status find_share(void *user, const co_scan *scan, const co_scan_block *block,
                            int64_t share, int64_t *failed) {
  const finding *f = user;
  co_joined *j = f->joined;
  int64_t begin = block->count * share / f->shares, end = block->count * (share + 1) / f->shares;
  (void)scan;
  (void)failed;
  for (int64_t k = 0, at = 0; k < block->part_count && at < end; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = begin > at ? begin - at : 0; i < part->count && at + i < end; i++)
      j->row[j->count + at + i] = find_row(j, block, part, i);
    at += part->count;
  }
  return CO_OK;
}

static co_status is_taken(const co_joined *j, const co_scan *scan, const co_row_place *place,
                          const co_word *key) {
  char shown[SHOWN_BYTES];
  show_key(shown, key->text, key->length);
  co_status status = co_scan_wrong(
      scan, place, j->on[0].column,
      "the key '%s' occurs in %s %" PRId64 " already, and table '%.100s' is joined one to one",
      shown, place->line ? "line" : "row", j->user[key - j->keys->words], j->join->table.table);
  co_hint("kind: many_to_one joins a row of it to several");
  return status;
}

static void note_unknown(co_joined *j, const co_scan_block *block, const co_row_part *part,
                         int64_t row) {
  key_text key;
  read_key(j, block, part, row, &key);
  if (key.too_long)
    snprintf(j->first_unknown, sizeof j->first_unknown, "…");
  else
    show_key(j->first_unknown, key.cell.text, key.cell.length);
}

static co_status count_row(co_joined *j, const co_scan *scan, const co_scan_block *block,
                           const co_row_part *part, int64_t i) {
  const co_row_place *place = &part->places[i];
  int64_t *row = &j->row[j->count++];
  if (*row == NO_KEY) {
    j->found.missing++;
  } else if (*row == UNKNOWN) {
    if (!j->found.unknown++) note_unknown(j, block, part, i);
  } else {
    j->found.matched++;
    if (j->user && j->user[*row]) return is_taken(j, scan, place, &j->keys->words[*row]);
    if (j->user) j->user[*row] = place->line ? place->line : place->row;
  }
  if (*row < 0) *row = j->keys->count; // the one where all is missing
  return CO_OK;
}

co_status co_joined_block(co_joined *j, const co_scan *scan, const co_scan_block *block) {
  finding f = {j, co_context_threads(j->ctx)};
  if (j->count + block->count > j->room)
    return co_fail_at(CO_ERR_DATA, co_scan_file(scan)->shown, 0, 0,
                      "the file changed while it was read");
  CO_RETURN_IF_FAILED(co_scan_columns(scan, block, f.shares, find_share, &f));
  for (int64_t k = 0; k < block->part_count; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = 0; i < part->count; i++)
      CO_RETURN_IF_FAILED(count_row(j, scan, block, part, i));
  }
  return CO_OK;
}

co_status co_joined_find(co_joined *j, const co_scan_options *other) {
  co_scan *scan;
  co_scan_block block = {.count = 1};
  CO_RETURN_IF_FAILED(co_scan_open(&scan, j->ctx, other));
  co_status status = CO_OK;
  while (status == CO_OK && block.count) {
    status = co_scan_next(scan, &block);
    if (status == CO_OK) status = co_joined_block(j, scan, &block);
  }
  co_scan_close(scan);
  return status;
}

co_status co_joined_follow(co_joined *out, const co_joined *j, const co_joined *parent) {
  co_recipe_join join = *j->join; // that two rows of the third share one of the other is no matter
  join.one_to_one = false;
  CO_RETURN_IF_FAILED(co_joined_begin(out, j->ctx, &join, j->scan, j->keys, parent->count));
  out->join = j->join;
  for (; out->count < parent->count; out->count++) {
    int64_t row = parent->row[out->count];
    out->row[out->count] = row < parent->keys->count ? j->row[row] : j->keys->count;
  }
  out->found = j->found;
  memcpy(out->first_unknown, j->first_unknown, sizeof out->first_unknown);
  return CO_OK;
}

// ---- writing -----------------------------------------------------------------------------------

// Whether some row of the other has none of the table.
static bool lacks_some(const co_joined *j) {
  for (int64_t i = 0; i < j->count; i++)
    if (j->row[i] == j->keys->count) return true;
  return false;
}

static co_status encode_rows(const co_joined *j, co_encoder *encoder, co_scan *scan) {
  co_scan_block block;
  for (;;) {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    if (!block.count || co_scan_rows(scan) > j->keys->count) break;
    CO_RETURN_IF_FAILED(co_encoder_block(encoder, scan, &block));
  }
  if (co_scan_rows(scan) != j->keys->count)
    return co_fail_at(CO_ERR_DATA, co_scan_shown(j->scan, 0), 0, 0,
                      "the file changed while it was read");
  if (lacks_some(j)) CO_RETURN_IF_FAILED(co_encoder_missing(encoder));
  return co_encoder_flush(encoder);
}

void co_joined_tell(const co_joined *j, const char *event) {
  const co_join_count *n = &j->found;
  if (!n->matched)
    co_log(j->ctx, CO_LOG_WARN, event, "no row has a key of table '%s' in column '%s'", n->table,
           n->on);
  else if (n->unknown)
    co_log(j->ctx, CO_LOG_WARN, event,
           "column '%s': %" PRId64 " rows have a key that table '%s' has not, the first is '%s'; "
           "its columns are missing there",
           n->on, n->unknown, n->table, j->first_unknown);
}

co_status co_joined_write(co_joined *j, co_dataset_writer *writer, const char *other,
                          co_encoded_column *columns, int64_t column_count) {
  co_status status = CO_OK;
  co_encoder encoder = {0};
  co_scan *scan = NULL;
  const char *table = j->join->table.table;
  int64_t rows = j->keys->count + lacks_some(j);
  char pointer[256];
  snprintf(pointer, sizeof pointer, "row of %.200s", table);
  CO_TRY(co_encoder_begin(&encoder, j->ctx, writer, table, columns, column_count, rows));
  CO_TRY(co_scan_open(&scan, j->ctx, j->scan));
  CO_TRY(encode_rows(j, &encoder, scan));
  CO_TRY(co_dataset_writer_pointer(writer, other, pointer, table, j->count, j->row));

cleanup:
  co_scan_close(scan);
  co_encoder_free(&encoder);
  return status;
}

// ---- carrying ----------------------------------------------------------------------------------

void co_joined_print_cell(co_text *out, const char *text, size_t length, bool last) {
  co_text_append(out, "\"", 1);
  for (size_t i = 0; i < length; i++)
    co_text_append(out, text[i] == '"' ? "\"\"" : &text[i], text[i] == '"' ? 2 : 1);
  co_text_append(out, last ? "\"\n" : "\",", 2);
}

static void print_rows(co_text *out, const co_scan_block *block, const int64_t *columns,
                       int64_t count) {
  for (int64_t k = 0; k < block->part_count; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = 0; i < part->count; i++)
      for (int64_t c = 0; c < count; c++) {
        const co_cell *cell = co_block_cell(block, part, i, columns[c]);
        co_joined_print_cell(out, cell->text, cell->length, c + 1 == count);
      }
  }
}

co_status co_joined_print(const co_joined *j, co_text *out, const int64_t *columns, int64_t count) {
  co_scan *scan;
  co_scan_block block = {.count = 1};
  CO_RETURN_IF_FAILED(co_scan_open(&scan, j->ctx, j->scan));
  for (int64_t c = 0; c < count; c++) {
    const char *name = co_scan_file(scan)->names[columns[c]];
    co_joined_print_cell(out, name, strlen(name), c + 1 == count);
  }
  co_status status = CO_OK;
  while (status == CO_OK && block.count) {
    status = co_scan_next(scan, &block);
    if (status == CO_OK) print_rows(out, &block, columns, count);
    if (status == CO_OK) status = out->status;
  }
  co_scan_close(scan);
  return status;
}
