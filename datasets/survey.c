// SPDX-License-Identifier: Apache-2.0
#include "datasets/survey.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/date.h"
#include "host/core/diagnostics.h"

// ---- cells -------------------------------------------------------------------------------------

static void keep_text(char out[CO_SURVEY_TEXT], const co_cell *cell) {
  size_t length = cell->length < CO_SURVEY_TEXT ? cell->length : CO_SURVEY_TEXT - 1;
  while (length < cell->length && length && ((unsigned char)cell->text[length] & 0xC0) == 0x80)
    length--; // no half characters
  memcpy(out, cell->text, length);
  out[length] = '\0';
}

// Where a cell is.
typedef struct place {
  const co_scan *scan;
  int64_t file;
  const co_row_place *row;
  int64_t column;
} place;

static void keep_cell(co_survey_cell *out, const place *at, const co_cell *cell) {
  if (out->row) return;
  *out = (co_survey_cell){.file = at->file, .line = at->row->line, .row = at->row->row};
  keep_text(out->text, cell);
}

// A cell that cannot be a number, or a date, if its column should be of such.
static co_status keep_bad(co_survey *s, co_column_survey *c, const place *at,
                          co_reject_reason reason) {
  if (s->rejects->rule.on_error == CO_ON_ERROR_FAIL) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_grow(s->ctx, (void **)&c->bad, &c->bad_capacity, c->bad_count, sizeof *c->bad));
  c->bad[c->bad_count++] = (co_bad_cell){at->file, at->row->row, at->column, reason};
  return CO_OK;
}

static void count_number(co_column_survey *c, double value, const co_cell *cell) {
  c->numbers++;
  c->fractions |= value != floor(value);
  c->wide |= (double)(float)value != value;
  if (c->few_count > CO_SURVEY_FEW) return;
  for (int i = 0; i < c->few_count && i < CO_SURVEY_FEW; i++)
    if (c->few[i].value == value) {
      c->few[i].count++;
      return;
    }
  if (c->few_count < CO_SURVEY_FEW) {
    c->few[c->few_count] = (co_survey_number){.value = value, .count = 1};
    keep_text(c->few[c->few_count].text, cell);
  }
  c->few_count += c->few_count <= CO_SURVEY_FEW;
}

// The cell has been counted as a value.
static co_status count_word(co_survey *s, co_column_survey *c, const place *at,
                            const co_cell *cell) {
  int64_t repeated, line = at->row->line ? at->row->line : at->row->row;
  if (!c->has_words) {
    CO_RETURN_IF_FAILED(co_dictionary_create(&c->words, s->ctx));
    c->has_words = true;
    c->lacks_words = co_survey_values(c) > 1;
  }
  CO_RETURN_IF_FAILED(co_dictionary_add(&c->words, cell->text, cell->length, line, &repeated));
  if (!repeated || c->recipe.role != CO_RECIPE_KEY) return CO_OK;
  char key[CO_SURVEY_TEXT];
  keep_text(key, cell);
  co_status status =
      co_scan_wrong(at->scan, at->row, at->column, "the key '%s' occurs in %s %" PRId64 " already",
                    key, at->row->line ? "line" : "row", repeated);
  co_hint(s->joined
              ? "a joined table has one row for each key; where: CONDITION in a schema file takes "
                "some of its rows"
              : "a table has one row for each key; leave --key out where rows have none");
  return status;
}

static bool is_sentence(const co_cell *cell) {
  int blanks = 0;
  for (size_t i = 1; i < cell->length && blanks < 2; i++)
    blanks += cell->text[i] == ' ' && cell->text[i - 1] != ' ';
  return blanks == 2;
}

// Of a column that is said to be of dates.
static co_status count_date(co_survey *s, co_column_survey *c, const place *at,
                            const co_cell *cell) {
  double seconds;
  c->dates++;
  if (co_date_read(cell->text, cell->length, c->recipe.format, &seconds) == CO_DATE_GOOD)
    return CO_OK;
  keep_cell(&c->no_date, at, cell);
  return keep_bad(s, c, at, CO_REJECT_NO_DATE);
}

static co_status count_kind(co_survey *s, co_column_survey *c, const place *at, const co_cell *cell,
                            co_cell_kind *kind) {
  double value;
  switch (*kind = co_cell_read(cell, &value)) {
  case CO_CELL_TOO_LARGE:
    keep_cell(&c->large, at, cell);
    c->numbers++;
    return keep_bad(s, c, at, CO_REJECT_TOO_LARGE);
  case CO_CELL_NUMBER:
    count_number(c, value, cell);
    return CO_OK;
  case CO_CELL_COMMA:
    c->commas++;
    keep_cell(&c->comma, at, cell);
    break;
  case CO_CELL_NO_DATE:
    keep_cell(&c->no_date, at, cell);
    c->dates++;
    break;
  case CO_CELL_DATE:
    c->dates++;
    break;
  case CO_CELL_TEXT:
    c->others++;
    c->sentences += is_sentence(cell);
    break;
  }
  keep_cell(&c->other, at, cell);
  bool number = c->recipe.type == CO_RECIPE_NUMBER || c->recipe.role == CO_RECIPE_WEIGHT;
  if (!number && *kind != CO_CELL_NO_DATE) return CO_OK;
  return keep_bad(s, c, at, number ? CO_REJECT_NO_NUMBER : CO_REJECT_NO_DATE);
}

static co_status count_cell(co_survey *s, co_column_survey *c, const place *at,
                            const co_cell *field) {
  co_cell_kind kind;
  co_cell cell = co_cell_trim(field, c->suffix);
  if (co_cell_is_missing(&cell)) {
    c->missing++;
    keep_cell(&c->lacking, at, &cell);
    return c->recipe.role == CO_RECIPE_KEY
               ? co_scan_wrong(at->scan, at->row, at->column, "the key is missing")
               : CO_OK;
  }
  c->personal[co_personal_kind(&cell)]++;
  if (c->recipe.type == CO_RECIPE_TEXT) return CO_OK;
  if (c->recipe.type == CO_RECIPE_DATE) return count_date(s, c, at, &cell);
  CO_RETURN_IF_FAILED(count_kind(s, c, at, &cell, &kind));
  // Where all are numbers, or all are dates, their texts are not wanted.
  bool numbers = kind <= CO_CELL_TOO_LARGE && c->numbers == co_survey_values(c);
  bool dates = (kind == CO_CELL_DATE || kind == CO_CELL_NO_DATE) &&
               c->dates == co_survey_values(c) && c->recipe.role != CO_RECIPE_TARGET;
  if ((numbers || dates) && !c->wants_words && !c->has_words) return CO_OK;
  return count_word(s, c, at, &cell);
}

// ---- rows --------------------------------------------------------------------------------------

static co_status count_column(void *user, const co_scan *scan, const co_scan_block *block,
                              int64_t column, int64_t *row) {
  co_survey *s = user;
  co_column_survey *c = &s->columns[column];
  if (c->recipe.role == CO_RECIPE_IGNORE || c->recipe.role == CO_RECIPE_SPLIT) return CO_OK;
  place at = {.scan = scan, .file = block->file, .column = column};
  for (int64_t k = 0; k < block->part_count; k++) {
    const co_row_part *part = &block->parts[k];
    for (int64_t i = 0; i < part->count; i++, ++*row) {
      at.row = &part->places[i];
      CO_RETURN_IF_FAILED(count_cell(s, c, &at, co_block_cell(block, part, i, column)));
    }
  }
  return CO_OK;
}

static co_status read_rows(co_survey *s, co_scan *scan) {
  co_scan_block block;
  for (;;) {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &block));
    if (!block.count) break;
    CO_RETURN_IF_FAILED(co_scan_columns(scan, &block, s->column_count, count_column, s));
  }
  s->rows = co_scan_rows(scan);
  co_scan_digest(scan, s->digest);
  return CO_OK;
}

static co_status count_cells(co_survey *s) {
  co_scan *scan;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, s->ctx, &s->scan));
  co_status status = read_rows(s, scan);
  co_scan_close(scan);
  return status;
}

// Of a column nothing but what is known of it before its cells are.
static void forget(co_column_survey *c, co_context *ctx, const co_recipe_column *recipe) {
  co_column_survey fresh = {.name = c->name,
                            .shown = c->shown,
                            .suffix = c->suffix,
                            .given = c->given,
                            .recipe = *recipe,
                            .wants_words = c->wants_words || c->lacks_words};
  co_dictionary_free(&c->words);
  co_free(ctx, c->bad);
  *c = fresh;
}

// A column that turned out to be of texts behind its first cells has lost those: it is read again.
static bool forget_incomplete(co_survey *s) {
  bool again = false;
  for (int64_t i = 0; i < s->column_count; i++)
    again |= s->columns[i].lacks_words;
  for (int64_t i = 0; again && i < s->column_count; i++)
    forget(&s->columns[i], s->ctx, &s->columns[i].given);
  return again;
}

// Rows with cells that cannot be of their columns are passed over from now on; *found: there are some.
static co_status reject_rows(co_survey *s, bool *found) {
  *found = false;
  for (int64_t i = 0; i < s->column_count; i++) {
    const co_column_survey *c = &s->columns[i];
    bool of_values = c->recipe.type == CO_RECIPE_NUMBER || c->recipe.type == CO_RECIPE_DATE;
    if (!of_values || c->recipe.role == CO_RECIPE_IGNORE) continue;
    for (int64_t k = 0; k < c->bad_count; k++, *found = true)
      CO_RETURN_IF_FAILED(co_rejects_add(s->rejects, &c->bad[k]));
  }
  co_rejects_settle(s->rejects);
  for (int64_t i = 0; *found && i < s->column_count; i++)
    forget(&s->columns[i], s->ctx, &s->columns[i].given);
  return CO_OK;
}

// ---- the recipe --------------------------------------------------------------------------------

static co_status check_names(const co_rows *rows, const co_recipe *recipe) {
  const char *names[256];
  int64_t count = rows->column_count < 256 ? rows->column_count : 256;
  for (int64_t i = 0; i < count; i++)
    names[i] = rows->names[i];
  for (int64_t i = 0; i < recipe->column_count; i++) {
    const char *name = recipe->columns[i].name;
    if (co_rows_find(rows, name) >= 0) continue;
    const char *near = co_nearest(name, names, count);
    co_status status = co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                                  "there is no column '%.200s'", name);
    if (near)
      co_hint("did you mean '%.200s'?", near);
    else
      co_hint("its first columns are '%.100s'%s%.100s%s", names[0], count > 1 ? " and '" : "",
              count > 1 ? names[1] : "", count > 1 ? "'" : "");
    return status;
  }
  return CO_OK;
}

static co_status begin_column(co_survey *s, co_column_survey *c, const char *name,
                              const co_recipe *recipe) {
  const co_recipe_column *given = co_recipe_find(recipe, name);
  if (!(c->name = co_arena_strdup(s->arena, name))) return CO_ERR_MEMORY;
  c->shown = s->joined ? co_arena_format(s->arena, "%s.%s", s->joined, name) : c->name;
  if (!c->shown) return CO_ERR_MEMORY;
  if (given) c->recipe = *given;
  if (!given && recipe->whole) c->recipe.role = CO_RECIPE_IGNORE;
  c->recipe.name = c->name;
  c->suffix = c->recipe.strip_suffix;
  co_recipe_type type = c->recipe.type;
  c->wants_words = type == CO_RECIPE_CATEGORY || type == CO_RECIPE_ID ||
                   c->recipe.role == CO_RECIPE_KEY || c->recipe.reference;
  c->given = c->recipe;
  return CO_OK;
}

// The columns' names, which JSON lines need not be searched for again.
static co_status keep_columns(co_survey *s, const co_rows *rows) {
  const char **names = co_arena_alloc(s->arena, (size_t)rows->column_count, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->column_count; i++)
    names[i] = s->columns[i].name;
  s->scan.rows.keys = names;
  s->scan.rows.key_count = s->column_count;
  return CO_OK;
}

static co_status begin(co_survey *s, const co_recipe *recipe) {
  co_scan *scan;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, s->ctx, &s->scan));
  const co_rows *rows = co_scan_file(scan);
  s->column_count = rows->column_count;
  s->delimiter = rows->delimiter;
  s->columns = co_alloc_zero(s->ctx, (size_t)s->column_count, sizeof *s->columns);
  co_status status = s->columns ? check_names(rows, recipe) : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < s->column_count; i++)
    status = begin_column(s, &s->columns[i], rows->names[i], recipe);
  if (status == CO_OK) status = keep_columns(s, rows);
  co_scan_close(scan);
  return status;
}

static co_status no_rows(const co_survey *s) {
  return co_fail_at(CO_ERR_DATA, co_scan_shown(&s->scan, 0), 0, 0, "there are no rows");
}

co_status co_survey_run(co_survey *s, co_context *ctx, co_arena *arena, const co_scan_options *scan,
                        const co_recipe *recipe) {
  bool again;
  *s = (co_survey){.ctx = ctx,
                   .arena = arena,
                   .scan = *scan,
                   .rejects = scan->rejects,
                   .joined = recipe->joined_by ? recipe->table : NULL};
  CO_RETURN_IF_FAILED(begin(s, recipe));
  do {
    do
      CO_RETURN_IF_FAILED(count_cells(s));
    while (forget_incomplete(s));
    const char *path = co_scan_shown(&s->scan, 0);
    if (!s->rows && !co_rejects_total(s->rejects)) return no_rows(s);
    CO_RETURN_IF_FAILED(co_rejects_check(s->rejects, path, s->rows));
    if (!s->rows) return no_rows(s);
    CO_RETURN_IF_FAILED(co_survey_decide(s));
    CO_RETURN_IF_FAILED(reject_rows(s, &again));
  } while (again);
  return CO_OK;
}

void co_survey_free(co_survey *s) {
  for (int64_t i = 0; i < s->column_count && s->columns; i++) {
    co_dictionary_free(&s->columns[i].words);
    co_free(s->ctx, s->columns[i].bad);
  }
  if (s->ctx) co_free(s->ctx, s->columns);
  *s = (co_survey){0};
}
