// SPDX-License-Identifier: Apache-2.0
#include "datasets/scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/copies.h"
#include "datasets/expression.h"
#include "datasets/pseudonym.h"
#include "host/core/diagnostics.h"
#include "host/core/hash.h"

struct co_scan {
  co_context *ctx;
  co_arena *arena;
  const co_scan_options *options;
  co_rows *rows;
  int64_t file, given;  // the file that is read; rows handed out
  int64_t bytes_before; // of the files read to their end
  const char **names;   // the table's columns
  int64_t columns;
  int64_t *map;       // the file's column for each of the table's
  bool mapped;        // they are not the same
  co_row_part *parts; // of the block, less what is passed over
  int64_t part_capacity;
  char *pseudonyms; // of the block
  size_t pseudonym_room;
  const co_bad_row *failed; // the row at which reading ends, once its block has been handed out
  co_sha256 hash;
  co_copies copies;
  int64_t dropped;
  co_expression *where; // which rows count; NULL = all
  int64_t excluded;
};

const char *co_scan_shown(const co_scan_options *options, int64_t file) {
  const char *shown = options->shown ? options->shown[file] : NULL;
  return shown ? shown : options->paths[file];
}

// ---- columns -----------------------------------------------------------------------------------

static co_status keep_names(co_scan *s) {
  s->columns = s->rows->column_count;
  s->names = co_arena_alloc(s->arena, (size_t)s->columns, sizeof *s->names);
  s->map = co_arena_alloc(s->arena, (size_t)s->columns, sizeof *s->map);
  if (!s->names || !s->map) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->columns; i++)
    if (!(s->names[i] = co_arena_strdup(s->arena, s->rows->names[i]))) return CO_ERR_MEMORY;
  return CO_OK;
}

static co_status same_columns(co_status status) {
  co_hint("files that are read as one have the same columns, in any order");
  return status;
}

static co_status match_names(co_scan *s) {
  const char *shown = s->rows->shown, *first = co_scan_shown(s->options, 0);
  s->mapped = true;
  for (int64_t i = 0; i < s->columns; i++)
    if ((s->map[i] = co_rows_find(s->rows, s->names[i])) < 0)
      return same_columns(co_fail_at(CO_ERR_DATA, shown, 0, 0,
                                     "there is no column '%.200s', which '%.200s' has", s->names[i],
                                     first));
  for (int64_t i = 0; s->rows->column_count != s->columns && i < s->rows->column_count; i++) {
    bool known = false;
    for (int64_t k = 0; k < s->columns; k++)
      known |= s->map[k] == i;
    if (!known)
      return same_columns(co_fail_at(CO_ERR_DATA, shown, 0, 0,
                                     "'%.200s' has no column '%.200s', which is here", first,
                                     s->rows->names[i]));
  }
  return CO_OK;
}

static int64_t find_column(void *user, const char *name) {
  return co_rows_find(((co_scan *)user)->rows, name);
}

static co_status open_file(co_scan *s) {
  const co_scan_options *o = s->options;
  co_rows_options *rows = co_arena_alloc(s->arena, 1, sizeof *rows);
  if (!rows) return CO_ERR_MEMORY;
  *rows = o->rows;
  rows->shown = co_scan_shown(o, s->file);
  if (o->skip_lines) rows->skip_lines = o->skip_lines[s->file];
  if (s->file) {
    rows->keys = s->names;
    rows->key_count = s->columns;
  }
  CO_RETURN_IF_FAILED(co_rows_open(&s->rows, s->ctx, o->paths[s->file], rows));
  if (rows->where)
    CO_RETURN_IF_FAILED(
        co_expression_parse(&s->where, s->arena, "--where", rows->where, true, find_column, s));
  if (s->where) co_expression_read_as(s->where, s->rows->decimal_comma);
  return s->file ? match_names(s) : keep_names(s);
}

co_status co_scan_open(co_scan **out, co_context *ctx, const co_scan_options *options) {
  co_scan *s = *out = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  s->ctx = ctx;
  s->options = options;
  co_sha256_init(&s->hash);
  co_copies_init(&s->copies, ctx);
  if (options->rejects) options->rejects->damaged = 0;
  co_status status = co_arena_create(&s->arena, ctx);
  if (status == CO_OK) status = open_file(s);
  if (status == CO_OK) return CO_OK;
  co_scan_close(s);
  *out = NULL;
  return status;
}

void co_scan_close(co_scan *s) {
  if (!s) return;
  co_rows_close(s->rows);
  co_free(s->ctx, s->parts);
  co_copies_free(&s->copies);
  co_free(s->ctx, s->pseudonyms);
  co_arena_free(s->arena);
  co_free(s->ctx, s);
}

const co_rows *co_scan_file(const co_scan *s) {
  return s->rows;
}

int64_t co_scan_rows(const co_scan *s) {
  return s->given;
}

int64_t co_scan_dropped(const co_scan *s) {
  return s->dropped;
}

int64_t co_scan_excluded(const co_scan *s) {
  return s->excluded;
}

// ---- rows that are passed over -----------------------------------------------------------------

// Where keys are kept as hashes, their rows' texts are not kept either.
static co_row_place shown_place(const co_scan *s, const co_row_place *place) {
  co_row_place shown = *place;
  if (s->options->rows.pseudonym) shown.raw = (co_cell){NULL, 0};
  return shown;
}

static void replace_cell(const co_pseudonym *pseudonym, co_cell *cell, char *text) {
  co_cell trimmed = co_cell_trim(cell, NULL);
  if (co_cell_is_missing(&trimmed)) return;
  co_pseudonym_make(pseudonym, trimmed.text, trimmed.length, text);
  *cell = (co_cell){text, CO_PSEUDONYM_TEXT};
}

// As it will be seen: where keys are pseudonyms, a pseudonym. NULL = there is none.
static const co_cell *shown_key(const co_scan *s, const co_cell *cells,
                                char text[CO_PSEUDONYM_TEXT], co_cell *out) {
  const co_rows_options *o = &s->options->rows;
  int64_t column = s->options->key ? co_rows_find(s->rows, s->options->key) : -1;
  if (column < 0) return NULL;
  *out = co_cell_trim(&cells[column], NULL);
  for (int64_t i = 0; o->pseudonym && i < o->pseudonymized_count; i++)
    if (strcmp(o->pseudonymized[i], s->options->key) == 0) replace_cell(o->pseudonym, out, text);
  return out;
}

// What is passed over is told for a message, and written where there is a file.
static co_status tell_bad_cell(co_scan *s, const co_row_part *part, int64_t i,
                               const co_bad_cell *bad) {
  char reason[160];
  int64_t column = s->mapped ? s->map[bad->column] : bad->column;
  co_reject_explain(reason, bad->reason, &part->cells[i * s->rows->column_count + column]);
  co_rejects_tell(s->options->rejects, bad, s->names[bad->column], reason);
  if (!s->options->file) return CO_OK;
  const co_row_place place = shown_place(s, &part->places[i]);
  char text[CO_PSEUDONYM_TEXT];
  co_cell room;
  const co_cell *key = shown_key(s, &part->cells[i * s->rows->column_count], text, &room);
  return co_reject_file_add(s->options->file, s->rows->shown, &place, key, s->names[bad->column],
                            reason);
}

// `row`: of the file's that stand before what its place counts from.
static co_status tell_bad_row(co_scan *s, const co_bad_row *bad, int64_t row) {
  bool named = bad->column >= 0 && bad->column < s->rows->column_count;
  const char *column = named ? s->rows->names[bad->column] : NULL;
  const co_bad_cell cell = {.file = s->file, .row = bad->place.row + row, .column = -1};
  co_rejects_tell(s->options->rejects, &cell, column, bad->reason);
  if (!s->options->file) return CO_OK;
  const co_row_place place = shown_place(s, &bad->place);
  return co_reject_file_add(s->options->file, s->rows->shown, &place, NULL, column, bad->reason);
}

// Takes the rows out that are passed over; what is bad is written in the order of the rows.
static co_status take_out(co_scan *s, co_row_part *part) {
  co_rejects *r = s->options->rejects;
  int64_t kept = 0, told = 0, stride = s->rows->column_count;
  co_cell *cells = (co_cell *)part->cells; // they are not needed where they are
  co_row_place *places = (co_row_place *)part->places;
  for (int64_t i = 0; i <= part->count; i++) {
    int64_t row = i < part->count ? places[i].row : INT64_MAX;
    for (; told < part->bad_count && part->bad[told].place.row < row; told++)
      CO_RETURN_IF_FAILED(tell_bad_row(s, &part->bad[told], 0));
    if (i == part->count) break;
    const co_bad_cell *bad = r->count ? co_rejects_find(r, s->file, row) : NULL;
    if (bad) {
      CO_RETURN_IF_FAILED(tell_bad_cell(s, part, i, bad));
      continue;
    }
    if (kept != i) {
      memmove(cells + kept * stride, cells + i * stride, (size_t)stride * sizeof *cells);
      places[kept] = places[i];
    }
    kept++;
  }
  r->damaged += part->bad_count;
  part->count = kept;
  return CO_OK;
}

// Takes the rows out that do not count.
static co_status take_out_excluded(co_scan *s, co_row_part *part) {
  int64_t kept = 0, stride = s->rows->column_count;
  co_cell *cells = (co_cell *)part->cells;
  co_row_place *places = (co_row_place *)part->places;
  for (int64_t i = 0; i < part->count; i++) {
    int64_t bad;
    bool holds = co_expression_value(s->where, cells + i * stride, NULL, &bad) == 1;
    if (bad >= 0)
      return co_rows_wrong(
          s->rows, &places[i], bad, "'%.*s' is no number, as --where needs one",
          (int)(cells[i * stride + bad].length < 40 ? cells[i * stride + bad].length : 40),
          cells[i * stride + bad].text);
    s->excluded += !holds;
    if (!holds) continue;
    if (kept != i) {
      memmove(cells + kept * stride, cells + i * stride, (size_t)stride * sizeof *cells);
      places[kept] = places[i];
    }
    kept++;
  }
  part->count = kept;
  return CO_OK;
}

// Ends the part before its first bad row, of which the next call tells.
static void cut_off(co_scan *s, co_row_part *part) {
  int64_t row = part->bad[0].place.row, kept = 0;
  while (kept < part->count && part->places[kept].row < row)
    kept++;
  part->count = kept;
  s->failed = &part->bad[0];
}

// Takes the copies out, also of rows that will be passed over: which those are is not known at first.
static co_status take_out_copies(co_scan *s, co_row_part *part) {
  int64_t kept = 0, stride = s->rows->column_count;
  co_cell *cells = (co_cell *)part->cells;
  co_row_place *places = (co_row_place *)part->places;
  CO_RETURN_IF_FAILED(
      co_copies_hash(&s->copies, part, stride, s->mapped ? s->map : NULL, s->columns));
  for (int64_t i = 0; i < part->count; i++) {
    bool occurred;
    CO_RETURN_IF_FAILED(co_copies_add(&s->copies, i, &occurred));
    if (occurred && s->options->duplicates == CO_DUPLICATES_FAIL) {
      co_status status = co_scan_wrong(s, &places[i], -1, "the row repeats an earlier one");
      co_hint("--duplicates drop leaves such rows out, --duplicates keep takes them");
      return status;
    }
    s->dropped += occurred;
    if (occurred) continue;
    if (kept != i) {
      memmove(cells + kept * stride, cells + i * stride, (size_t)stride * sizeof *cells);
      places[kept] = places[i];
    }
    kept++;
  }
  part->count = kept;
  return CO_OK;
}

static co_status take_parts(co_scan *s, const co_row_block *from, co_scan_block *block) {
  const co_rejects *r = s->options->rejects;
  bool fails = !r || r->rule.on_error == CO_ON_ERROR_FAIL;
  if (from->part_count > s->part_capacity) {
    co_row_part *grown = co_realloc(s->ctx, s->parts, (size_t)from->part_count * sizeof *s->parts);
    if (!grown) return CO_ERR_MEMORY;
    s->parts = grown;
    s->part_capacity = from->part_count;
  }
  *block = (co_scan_block){.file = s->file,
                           .first = s->given,
                           .parts = s->parts,
                           .stride = s->rows->column_count,
                           .map = s->mapped ? s->map : NULL};
  for (int64_t k = 0; k < from->part_count && !s->failed; k++) {
    co_row_part *part = &s->parts[block->part_count++];
    *part = from->parts[k];
    if (fails && part->bad_count) cut_off(s, part);
    if (s->where) CO_RETURN_IF_FAILED(take_out_excluded(s, part));
    if (s->options->duplicates) CO_RETURN_IF_FAILED(take_out_copies(s, part));
    if (!fails && (part->bad_count || r->count)) CO_RETURN_IF_FAILED(take_out(s, part));
    block->count += part->count;
  }
  s->given += block->count;
  return CO_OK;
}

// ---- pseudonyms --------------------------------------------------------------------------------

// Puts pseudonyms in place of the cells of column `column` of the file, which nobody needs any more.
static void replace_column(co_scan *s, const co_scan_block *block, int64_t column, char *text) {
  for (int64_t k = 0; k < block->part_count; k++) {
    co_cell *cells = (co_cell *)block->parts[k].cells;
    for (int64_t i = 0; i < block->parts[k].count; i++, text += CO_PSEUDONYM_TEXT)
      replace_cell(s->options->rows.pseudonym, &cells[i * block->stride + column], text);
  }
}

static co_status lacks_column(const co_scan *s, const char *name) {
  const char *near = co_nearest(name, s->rows->names, s->rows->column_count);
  co_status status = co_fail_at(CO_ERR_DATA, s->rows->shown, (long)s->rows->header_line, 0,
                                "there is no column '%.200s' to pseudonymize", name);
  if (near) co_hint("did you mean '%.200s'?", near);
  return status;
}

static co_status pseudonymize(co_scan *s, const co_scan_block *block) {
  const co_rows_options *o = &s->options->rows;
  if (!o->pseudonym || !block->count) return CO_OK;
  size_t room = (size_t)(block->count * o->pseudonymized_count) * CO_PSEUDONYM_TEXT;
  if (room > s->pseudonym_room) {
    char *grown = co_realloc(s->ctx, s->pseudonyms, room);
    if (!grown) return CO_ERR_MEMORY;
    s->pseudonyms = grown;
    s->pseudonym_room = room;
  }
  for (int64_t c = 0; c < o->pseudonymized_count; c++) {
    int64_t column = co_rows_find(s->rows, o->pseudonymized[c]);
    if (column < 0 && !o->pseudonyms_by_recipe) return lacks_column(s, o->pseudonymized[c]);
    if (column >= 0)
      replace_column(s, block, column, s->pseudonyms + c * block->count * CO_PSEUDONYM_TEXT);
  }
  return CO_OK;
}

// ---- rows --------------------------------------------------------------------------------------

static co_status end_file(co_scan *s, bool *last) {
  char hex[65];
  if (!s->options->rows.unhashed) {
    co_rows_digest(s->rows, hex);
    co_sha256_update(&s->hash, hex, 64);
  }
  *last = s->file + 1 == s->options->path_count;
  if (*last) return CO_OK;
  if (s->rows->size > 0) s->bytes_before += s->rows->size;
  co_rows_close(s->rows);
  s->rows = NULL;
  s->file++;
  return open_file(s);
}

static co_status look_up(co_scan *s) {
  const co_scan_options *o = s->options;
  if (o->progress && s->rows->position >= 0)
    o->progress(o->progress_user, o->stage, s->bytes_before + s->rows->position,
                o->path_count == 1 ? s->rows->size : 0);
  if (!o->stop || !*o->stop) return CO_OK;
  return co_fail(CO_INTERRUPTED, "stopped; no output was written");
}

co_status co_scan_next(co_scan *s, co_scan_block *block) {
  co_row_block from;
  *block = (co_scan_block){0};
  for (bool last = false;;) {
    if (s->failed) return co_rows_raise(s->rows, s->failed);
    CO_RETURN_IF_FAILED(co_rows_next(s->rows, &from));
    if (from.part_count) {
      CO_RETURN_IF_FAILED(look_up(s));
      CO_RETURN_IF_FAILED(take_parts(s, &from, block));
      CO_RETURN_IF_FAILED(pseudonymize(s, block));
      if (block->count) return CO_OK;
    } else {
      CO_RETURN_IF_FAILED(end_file(s, &last));
      if (last) return CO_OK;
    }
  }
}

void co_scan_digest(co_scan *s, char hex[65]) {
  co_sha256 hash = s->hash;
  co_sha256_final(&hash, hex);
}

void co_scan_file_digest(co_scan *s, char hex[65]) {
  co_rows_digest(s->rows, hex);
}

co_status co_scan_wrong(const co_scan *s, const co_row_place *place, int64_t column,
                        const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return co_rows_wrong(s->rows, place, column >= 0 && s->mapped ? s->map[column] : column, "%s",
                       text);
}

co_status co_scan_columns(const co_scan *s, const co_scan_block *block, int64_t count,
                          co_column_work work, void *user) {
  int threads = co_context_threads(s->ctx);
  int64_t failed_row = INT64_MAX, failed_column = 0;
  co_error error = {.status = CO_OK};
  if (threads > count) threads = count > 0 ? (int)count : 1;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (block->count > 64)
  for (int64_t c = 0; c < count; c++) {
    int64_t row = 0;
    if (work(user, s, block, c, &row) == CO_OK) continue;
#pragma omp critical(co_scan)
    if (row < failed_row || (row == failed_row && c < failed_column)) {
      failed_row = row;
      failed_column = c;
      co_error_copy(&error);
    }
  }
  return error.status == CO_OK ? CO_OK : co_error_raise(&error);
}

// ---- part by part ------------------------------------------------------------------------------

typedef struct each {
  co_scan *scan;
  int slots;
  co_part_function work, merge;
  void *user;
} each;

int co_scan_slots(co_context *ctx) {
  int threads = co_context_threads(ctx);
  return threads < 1 ? 1 : threads > CO_ROWS_MAX_SLOTS ? CO_ROWS_MAX_SLOTS : threads;
}

static co_scan_part part_of(const co_scan *s, const co_row_part *rows) {
  return (co_scan_part){.file = s->file,
                        .decimal_comma = s->rows->decimal_comma,
                        .rows = *rows,
                        .stride = s->rows->column_count,
                        .map = s->mapped ? s->map : NULL};
}

static co_status work_on(void *user, int slot, co_row_part *rows) {
  const each *e = user;
  const co_scan_part part = part_of(e->scan, rows);
  return part.rows.count ? e->work(e->user, slot, e->scan, &part) : CO_OK;
}

static co_status merge_part(void *user, int slot, co_row_part *rows, int64_t row, int64_t line) {
  const each *e = user;
  co_scan *s = e->scan;
  co_rejects *r = s->options->rejects;
  bool worked = rows->count > 0;
  if (rows->bad_count && (!r || r->rule.on_error == CO_ON_ERROR_FAIL))
    cut_off(s, rows);
  else if (rows->bad_count)
    CO_RETURN_IF_FAILED(tell_bad_row(s, rows->bad, row));
  if (r && !s->failed) r->damaged += rows->bad_count;
  s->given += rows->count;
  CO_RETURN_IF_FAILED(look_up(s));
  co_scan_part part = part_of(s, rows);
  part.row = row;
  part.line = line;
  if (worked) CO_RETURN_IF_FAILED(e->merge(e->user, slot, s, &part));
  if (!s->failed) return CO_OK;
  co_bad_row bad = *s->failed;
  bad.place.row += row;
  bad.place.line += line;
  return co_rows_raise(s->rows, &bad);
}

// Where rows are looked at one after the other, they come in blocks.
static bool in_one_go(const co_scan *s) {
  const co_scan_options *o = s->options;
  return s->rows->class_->each && !s->where && !o->duplicates && !o->rows.pseudonym && !o->file &&
         !(o->rejects && o->rejects->count);
}

static co_status work_on_parts(const each *e, co_scan_part *parts, int64_t count) {
  co_error error = {.status = CO_OK};
#pragma omp parallel for schedule(static, 1) num_threads((int)count) if (count > 1)
  for (int64_t k = 0; k < count; k++) {
    if (!parts[k].rows.count || e->work(e->user, (int)k, e->scan, &parts[k]) == CO_OK) continue;
#pragma omp critical(co_scan)
    co_error_copy(&error);
  }
  return error.status == CO_OK ? CO_OK : co_error_raise(&error);
}

static co_status take_block(const each *e, const co_scan_block *block) {
  co_scan_part parts[CO_ROWS_MAX_SLOTS];
  for (int64_t from = 0; from < block->part_count; from += e->slots) {
    int64_t left = block->part_count - from, count = left < e->slots ? left : e->slots;
    for (int64_t k = 0; k < count; k++)
      parts[k] = part_of(e->scan, &block->parts[from + k]);
    CO_RETURN_IF_FAILED(work_on_parts(e, parts, count));
    for (int64_t k = 0; k < count; k++)
      if (parts[k].rows.count) CO_RETURN_IF_FAILED(e->merge(e->user, (int)k, e->scan, &parts[k]));
  }
  return CO_OK;
}

co_status co_scan_each(co_scan *s, int slots, co_part_function work, co_part_function merge,
                       void *user) {
  each e = {s, slots, work, merge, user};
  const co_rows_visitor visitor = {&e, slots, work_on, merge_part};
  co_scan_block block;
  do {
    if (in_one_go(s)) CO_RETURN_IF_FAILED(s->rows->class_->each(s->rows, &visitor));
    CO_RETURN_IF_FAILED(co_scan_next(s, &block));
    CO_RETURN_IF_FAILED(take_block(&e, &block));
  } while (block.count);
  return CO_OK;
}
