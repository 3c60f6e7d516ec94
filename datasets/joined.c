// SPDX-License-Identifier: Apache-2.0
#include "datasets/joined.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/cell.h"

enum { NO_KEY = -1, UNKNOWN = -2 };

co_status co_joined_begin(co_joined *j, co_context *ctx, const co_recipe_join *join,
                          const co_scan_options *scan, const co_dictionary *keys, int64_t rows) {
  *j = (co_joined){.ctx = ctx,
                   .join = join,
                   .scan = scan,
                   .keys = keys,
                   .room = rows,
                   .found = {join->table.table, join->on, keys->count, 0, 0, 0}};
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

// ---- finding rows ------------------------------------------------------------------------------

typedef struct finding {
  co_joined *joined;
  int64_t shares;
} finding;

static int64_t find_row(const co_joined *j, const co_cell *field) {
  co_cell cell = co_cell_trim(field, j->suffix);
  if (co_cell_is_missing(&cell)) return NO_KEY;
  const co_word *word = co_dictionary_find(j->keys, cell.text, cell.length);
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
      j->row[j->count + at + i] = find_row(j, co_block_cell(block, part, i, j->on));
    at += part->count;
  }
  return CO_OK;
}

static co_status is_taken(const co_joined *j, const co_scan *scan, const co_row_place *place,
                          const co_word *key) {
  co_status status = co_scan_wrong(
      scan, place, j->on,
      "the key '%.*s' occurs in %s %" PRId64 " already, and table '%.100s' is joined "
      "one to one",
      (int)(key->length < 40 ? key->length : 40), key->text, place->line ? "line" : "row",
      j->user[key - j->keys->words], j->join->table.table);
  co_hint("kind: many_to_one joins a row of it to several");
  return status;
}

static co_status count_row(co_joined *j, const co_scan *scan, const co_row_place *place,
                           const co_cell *field) {
  int64_t *row = &j->row[j->count++];
  if (*row == NO_KEY) {
    j->found.missing++;
  } else if (*row == UNKNOWN) {
    co_cell cell = co_cell_trim(field, j->suffix);
    if (!j->found.unknown++)
      snprintf(j->first_unknown, sizeof j->first_unknown, "%.*s",
               (int)(cell.length < 40 ? cell.length : 40), cell.text);
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
      CO_RETURN_IF_FAILED(
          count_row(j, scan, &part->places[i], co_block_cell(block, part, i, j->on)));
  }
  return CO_OK;
}

// ---- writing -----------------------------------------------------------------------------------

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
  if (j->found.unknown + j->found.missing) CO_RETURN_IF_FAILED(co_encoder_missing(encoder));
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
  int64_t rows = j->keys->count + (j->found.unknown + j->found.missing > 0);
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

static void print_cell(co_text *out, const char *text, size_t length, bool last) {
  co_text_append(out, "\"", 1);
  for (size_t i = 0; i < length; i++)
    co_text_append(out, text[i] == '"' ? "\"\"" : &text[i], text[i] == '"' ? 2 : 1);
  co_text_append(out, last ? "\"\n" : "\",", 2);
}

static void print_rows(co_text *out, const co_scan_block *block, int64_t key,
                       const co_encoded_column *columns, int64_t count) {
  for (int64_t k = 0; k < block->part_count; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = 0; i < part->count; i++)
      for (int64_t c = -1; c < count; c++) {
        const co_cell *cell = co_block_cell(block, part, i, c < 0 ? key : columns[c].field);
        print_cell(out, cell->text, cell->length, c + 1 == count);
      }
  }
}

co_status co_joined_print(const co_joined *j, co_text *out, int64_t key,
                          const co_encoded_column *columns, int64_t count) {
  co_scan *scan;
  co_scan_block block = {.count = 1};
  CO_RETURN_IF_FAILED(co_scan_open(&scan, j->ctx, j->scan));
  for (int64_t c = -1; c < count; c++) {
    const char *name = co_scan_file(scan)->names[c < 0 ? key : columns[c].field];
    print_cell(out, name, strlen(name), c + 1 == count);
  }
  co_status status = CO_OK;
  while (status == CO_OK && block.count) {
    status = co_scan_next(scan, &block);
    if (status == CO_OK) print_rows(out, &block, key, columns, count);
    if (status == CO_OK) status = out->status;
  }
  co_scan_close(scan);
  return status;
}
