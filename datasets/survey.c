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

static void keep_text(char out[CO_SURVEY_TEXT], const co_csv_field *cell) {
  size_t length = cell->length < CO_SURVEY_TEXT ? cell->length : CO_SURVEY_TEXT - 1;
  while (length < cell->length && length && ((unsigned char)cell->text[length] & 0xC0) == 0x80)
    length--; // no half characters
  memcpy(out, cell->text, length);
  out[length] = '\0';
}

static void keep_cell(co_survey_cell *out, const co_scan *scan, const co_csv_field *cell) {
  if (out->line) return;
  const co_csv *csv = co_scan_csv(scan);
  *out = (co_survey_cell){
      .file = co_scan_file(scan), .line = co_csv_line(csv), .row = co_csv_row(csv)};
  keep_text(out->text, cell);
}

static void count_number(co_column_survey *c, double value, const co_csv_field *cell) {
  c->numbers++;
  c->fractions |= value != floor(value);
  c->wide |= (double)(float)value != value;
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
static co_status count_word(co_survey *s, co_column_survey *c, const co_scan *scan, int64_t column,
                            const co_csv_field *cell) {
  int64_t repeated;
  if (!c->has_words) {
    CO_RETURN_IF_FAILED(co_dictionary_create(&c->words, s->ctx));
    c->has_words = true;
    c->lacks_words = co_survey_values(c) > 1;
  }
  CO_RETURN_IF_FAILED(co_dictionary_add(&c->words, cell->text, cell->length,
                                        co_csv_line(co_scan_csv(scan)), &repeated));
  if (!repeated || c->recipe.role != CO_RECIPE_KEY) return CO_OK;
  char key[CO_SURVEY_TEXT];
  keep_text(key, cell);
  co_status status =
      co_scan_wrong(scan, column, "the key '%s' occurs in line %" PRId64 " already", key, repeated);
  co_hint("a table has one row for each key; leave --key out where rows have none");
  return status;
}

static bool is_sentence(const co_csv_field *cell) {
  int blanks = 0;
  for (size_t i = 1; i < cell->length && blanks < 2; i++)
    blanks += cell->text[i] == ' ' && cell->text[i - 1] != ' ';
  return blanks == 2;
}

// Of a column that is said to be of dates.
static void count_date(co_column_survey *c, const co_scan *scan, const co_csv_field *cell) {
  double seconds;
  c->dates++;
  if (co_date_read(cell->text, cell->length, c->recipe.format, &seconds) != CO_DATE_GOOD)
    keep_cell(&c->no_date, scan, cell);
}

static co_cell_kind count_kind(co_column_survey *c, const co_scan *scan, const co_csv_field *cell) {
  double value;
  co_cell_kind kind = co_cell_read(cell, &value);
  switch (kind) {
  case CO_CELL_TOO_LARGE:
    keep_cell(&c->large, scan, cell);
    c->numbers++;
    return kind;
  case CO_CELL_NUMBER:
    count_number(c, value, cell);
    return kind;
  case CO_CELL_COMMA:
    c->commas++;
    keep_cell(&c->comma, scan, cell);
    break;
  case CO_CELL_NO_DATE:
    keep_cell(&c->no_date, scan, cell);
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
  keep_cell(&c->other, scan, cell);
  return kind;
}

static co_status count_cell(co_survey *s, co_column_survey *c, const co_scan *scan, int64_t column,
                            const co_csv_field *field) {
  co_csv_field cell = co_cell_trim(field, c->suffix);
  if (c->recipe.role == CO_RECIPE_IGNORE || c->recipe.role == CO_RECIPE_SPLIT) return CO_OK;
  if (co_cell_is_missing(&cell)) {
    c->missing++;
    keep_cell(&c->lacking, scan, &cell);
    return c->recipe.role == CO_RECIPE_KEY ? co_scan_wrong(scan, column, "the key is missing")
                                           : CO_OK;
  }
  if (c->recipe.type == CO_RECIPE_TEXT) return CO_OK;
  if (c->recipe.type == CO_RECIPE_DATE) {
    count_date(c, scan, &cell);
    return CO_OK;
  }
  co_cell_kind kind = count_kind(c, scan, &cell);
  // Where all are numbers, or all are dates, their texts are not wanted.
  bool numbers = kind <= CO_CELL_TOO_LARGE && c->numbers == co_survey_values(c);
  bool dates = (kind == CO_CELL_DATE || kind == CO_CELL_NO_DATE) &&
               c->dates == co_survey_values(c) && c->recipe.role != CO_RECIPE_TARGET;
  if ((numbers || dates) && !c->wants_words && !c->has_words) return CO_OK;
  return count_word(s, c, scan, column, &cell);
}

// ---- rows --------------------------------------------------------------------------------------

static co_status read_rows(co_survey *s, co_scan *scan) {
  const co_csv_field *fields;
  for (;;) {
    CO_RETURN_IF_FAILED(co_scan_next(scan, &fields));
    if (!fields) break;
    for (int64_t i = 0; i < s->column_count; i++)
      CO_RETURN_IF_FAILED(count_cell(s, &s->columns[i], scan, i, &fields[i]));
  }
  s->rows = co_scan_rows(scan);
  co_scan_digest(scan, s->digest);
  return CO_OK;
}

static co_status count_cells(co_survey *s) {
  co_scan *scan;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, s->ctx, s->scan));
  co_status status = read_rows(s, scan);
  co_scan_close(scan);
  return status;
}

// A column that turned out to be of texts behind its first cells has lost those: it is read again.
static bool forget_incomplete(co_survey *s) {
  bool again = false;
  for (int64_t i = 0; i < s->column_count; i++)
    again |= s->columns[i].lacks_words;
  for (int64_t i = 0; again && i < s->column_count; i++) {
    co_column_survey *c = &s->columns[i];
    co_column_survey fresh = {.name = c->name,
                              .suffix = c->suffix,
                              .recipe = c->recipe,
                              .wants_words = c->wants_words || c->lacks_words};
    co_dictionary_free(&c->words);
    *c = fresh;
  }
  return again;
}

// ---- the recipe --------------------------------------------------------------------------------

static co_status check_names(const co_survey *s, const co_csv *csv, const co_recipe *recipe) {
  const char *path = s->scan->paths[0], *names[256];
  int64_t count = co_csv_column_count(csv) < 256 ? co_csv_column_count(csv) : 256;
  for (int64_t i = 0; i < count; i++)
    names[i] = co_csv_column_name(csv, i);
  for (int64_t i = 0; i < recipe->column_count; i++) {
    const char *name = recipe->columns[i].name;
    if (co_csv_find(csv, name) >= 0) continue;
    const char *near = co_nearest(name, names, count);
    co_status status = co_fail_at(CO_ERR_DATA, path, (long)co_csv_line(csv), 0,
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
  if (given) c->recipe = *given;
  if (!given && recipe->whole) c->recipe.role = CO_RECIPE_IGNORE;
  c->recipe.name = c->name;
  c->suffix = c->recipe.strip_suffix;
  co_recipe_type type = c->recipe.type;
  c->wants_words =
      type == CO_RECIPE_CATEGORY || type == CO_RECIPE_ID || c->recipe.role == CO_RECIPE_KEY;
  return CO_OK;
}

static co_status begin(co_survey *s, const co_recipe *recipe) {
  co_scan *scan;
  CO_RETURN_IF_FAILED(co_scan_open(&scan, s->ctx, s->scan));
  const co_csv *csv = co_scan_csv(scan);
  s->column_count = co_csv_column_count(csv);
  s->delimiter = co_csv_delimiter(csv);
  s->columns = co_alloc_zero(s->ctx, (size_t)s->column_count, sizeof *s->columns);
  co_status status = s->columns ? check_names(s, csv, recipe) : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < s->column_count; i++)
    status = begin_column(s, &s->columns[i], co_csv_column_name(csv, i), recipe);
  co_scan_close(scan);
  return status;
}

co_status co_survey_run(co_survey *s, co_context *ctx, co_arena *arena, const co_scan_options *scan,
                        const co_recipe *recipe) {
  *s = (co_survey){.ctx = ctx, .arena = arena, .scan = scan};
  CO_RETURN_IF_FAILED(begin(s, recipe));
  do
    CO_RETURN_IF_FAILED(count_cells(s));
  while (forget_incomplete(s));
  if (!s->rows) return co_fail_at(CO_ERR_DATA, scan->paths[0], 0, 0, "there are no rows");
  return co_survey_decide(s);
}

void co_survey_free(co_survey *s) {
  for (int64_t i = 0; i < s->column_count && s->columns; i++)
    co_dictionary_free(&s->columns[i].words);
  if (s->ctx) co_free(s->ctx, s->columns);
  *s = (co_survey){0};
}
