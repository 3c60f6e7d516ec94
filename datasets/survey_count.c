// SPDX-License-Identifier: Apache-2.0
// The cells of a column in a part of the rows, and how parts add up.
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/date.h"
#include "datasets/short_number.h"
#include "datasets/survey.h"

// A column of a part in work.
typedef struct counting {
  const co_survey *survey;
  const co_column_survey *column; // what is known before the cells are
  const co_scan_part *part;
  co_column_part *out;
  int64_t index;
  int64_t trimmed; // so many cells are
} counting;

// ---- cells -------------------------------------------------------------------------------------

static void keep_text(char out[CO_SURVEY_TEXT], const co_cell *cell) {
  size_t length = cell->length < CO_SURVEY_TEXT ? cell->length : CO_SURVEY_TEXT - 1;
  while (length < cell->length && length && ((unsigned char)cell->text[length] & 0xC0) == 0x80)
    length--; // no half characters
  memcpy(out, cell->text, length);
  out[length] = '\0';
}

static void keep_cell(co_survey_cell *out, const counting *w, int64_t row, const co_cell *cell) {
  if (out->row) return;
  const co_row_place *place = &w->part->rows.places[row];
  *out = (co_survey_cell){.file = w->part->file, .line = place->line, .row = place->row};
  keep_text(out->text, cell);
}

static bool wants_numbers(const co_column_survey *c) {
  return c->recipe.type == CO_RECIPE_NUMBER || c->recipe.role == CO_RECIPE_WEIGHT;
}

// A cell that cannot be a number, or a date, if its column should be of such.
static co_status keep_bad(const counting *w, int64_t row, co_reject_reason reason) {
  co_column_survey *f = &w->out->found;
  if (w->survey->rejects->rule.on_error == CO_ON_ERROR_FAIL) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_grow(w->survey->ctx, (void **)&f->bad, &f->bad_capacity, f->bad_count, sizeof *f->bad));
  f->bad[f->bad_count++] =
      (co_bad_cell){w->part->file, w->part->rows.places[row].row, w->index, reason};
  return CO_OK;
}

static co_status check_kind(const counting *w, int64_t row, co_cell_kind kind) {
  if (kind == CO_CELL_NUMBER) return CO_OK;
  if (kind == CO_CELL_TOO_LARGE) return keep_bad(w, row, CO_REJECT_TOO_LARGE);
  if (wants_numbers(w->column)) return keep_bad(w, row, CO_REJECT_NO_NUMBER);
  return kind == CO_CELL_NO_DATE ? keep_bad(w, row, CO_REJECT_NO_DATE) : CO_OK;
}

// A hash of numbers tells where one is likely to be among the few.
static inline uint8_t *place_in_few(co_column_survey *f, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return &f->few_at[bits * UINT64_C(0x9E3779B97F4A7C15) >> 58];
}

static void count_few(co_column_survey *f, double value, int64_t count, const co_cell *cell) {
  if (f->few_count > CO_SURVEY_FEW) return;
  uint8_t *likely = place_in_few(f, value);
  int at = *likely;
  if (at >= f->few_count || f->few[at].value != value)
    for (at = 0; at < f->few_count && f->few[at].value != value;)
      at++;
  if (at < f->few_count) {
    f->few[at].count += count;
    *likely = (uint8_t)at;
    return;
  }
  if (f->few_count < CO_SURVEY_FEW) {
    f->few[f->few_count] = (co_survey_number){.value = value, .count = count};
    keep_text(f->few[f->few_count].text, cell);
  }
  f->few_count++;
}

// What numbers are like, without NaN and those beyond float32. A sum with 2^52 is whole, and all numbers
// from there on are.
static void look_at_numbers(co_column_survey *f, const double *values, int64_t count) {
  bool fractions = false, wide = false, negative = false;
  for (int64_t i = 0; i < count; i++) {
    const double value = values[i], size = fabs(value);
    fractions |= (size < 0x1p52) & ((size + 0x1p52) - 0x1p52 != size);
    wide |= ((double)(float)value != value) & (size <= (double)FLT_MAX);
    negative |= (value < 0) & (size <= (double)FLT_MAX);
  }
  f->fractions |= fractions;
  f->wide |= wide;
  f->negative |= negative;
}

// How numbers are written.
static inline void add_length(co_column_survey *f, size_t shortest, size_t longest) {
  if (!f->longest || shortest < f->shortest) f->shortest = shortest;
  if (longest > f->longest) f->longest = longest;
}

static inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Whether a number begins with a zero before another digit, from a byte on.
static inline bool is_padded(const co_cell *cell, size_t from) {
  return cell->text[from] == '0' && cell->length > from + 1 && is_digit(cell->text[from + 1]);
}

static bool is_of_digits(const co_cell *cell) {
  size_t i = 0;
  while (i < cell->length && is_digit(cell->text[i]))
    i++;
  return i == cell->length;
}

static inline void look_at_text(const counting *w, int64_t row, const co_cell *cell,
                                int64_t count) {
  co_column_survey *f = &w->out->found;
  bool sign = *cell->text == '+' || *cell->text == '-';
  bool padded = is_padded(cell, sign);
  add_length(f, cell->length, cell->length);
  if (padded && !sign) {
    f->padded += count;
    f->marks |= !is_of_digits(cell);
  }
  if (padded || (*cell->text == '+' && co_personal_kind(cell) == CO_PERSONAL_PHONE))
    keep_cell(&f->first, w, row, cell);
}

// Three words and more. Chinese and Japanese have no blanks: six characters of U+3000 to U+9FFF, more than most
// names of persons have.
static bool is_sentence(const co_cell *cell) {
  int blanks = 0, wide = 0;
  for (size_t i = 0; i < cell->length && blanks < 2 && wide < 6; i++) {
    const unsigned char c = (unsigned char)cell->text[i];
    blanks += c == ' ' && i && cell->text[i - 1] != ' ';
    wide += c >= 0xE3 && c <= 0xE9;
  }
  return blanks == 2 || wide == 6;
}

// What a cell says that occurs so often, first in `row`.
static void count_value(const counting *w, int64_t row, const co_cell *cell, co_cell_kind kind,
                        double value, int64_t count) {
  co_column_survey *f = &w->out->found;
  switch (kind) {
  case CO_CELL_NUMBER:
    f->numbers += count;
    look_at_numbers(f, &value, 1);
    look_at_text(w, row, cell, count);
    count_few(f, value, count, cell);
    return;
  case CO_CELL_TOO_LARGE:
    keep_cell(&f->large, w, row, cell);
    f->numbers += count;
    return;
  case CO_CELL_COMMA:
    f->commas += count;
    keep_cell(&f->comma, w, row, cell);
    break;
  case CO_CELL_NO_DATE:
    keep_cell(&f->no_date, w, row, cell);
    f->dates += count;
    break;
  case CO_CELL_DATE:
    f->dates += count;
    break;
  case CO_CELL_TEXT:
    f->others += count;
    if (is_sentence(cell)) f->sentences += count;
    break;
  }
  keep_cell(&f->other, w, row, cell);
}

static void count_missing(const counting *w, int64_t row, const co_cell *cell) {
  w->out->found.missing++;
  keep_cell(&w->out->found.lacking, w, row, cell);
}

// Columns are often sorted by something: what stands in the row before may stand here, too.
static inline bool is_same(const co_cell *a, const co_cell *b) {
  return a->length == b->length && a->length && *a->text == *b->text &&
         a->text[a->length - 1] == b->text[b->length - 1] &&
         co_cell_same_bytes(a->text, b->text, a->length);
}

// Whether it pays to look: at first, and as long as a quarter are alike.
typedef struct likeness {
  int64_t looked, alike;
} likeness;

static inline bool repeats(likeness *l, const co_cell *a, const co_cell *b) {
  if (l->looked >= 64 && 4 * l->alike < l->looked) return false;
  bool same = is_same(a, b);
  l->looked++;
  l->alike += same;
  return same;
}

static co_status make_room(const counting *w) {
  co_column_part *p = w->out;
  int64_t rows = w->part->rows.count;
  if (rows <= p->room) return CO_OK;
  co_free(w->survey->ctx, p->values);
  p->room = 0;
  if (!(p->values = co_alloc(w->survey->ctx, (size_t)rows * sizeof(double)))) return CO_ERR_MEMORY;
  p->room = rows;
  return CO_OK;
}

// ---- numbers and dates -------------------------------------------------------------------------

// Cells that are read by themselves, of a kind that the first one decides.
typedef struct plain_run {
  co_cell field, cell; // as it stands; trimmed
  co_cell_kind kind;
  double value;
  int64_t row, count; // of equal ones that follow each other
} plain_run;

static inline void end_run(const counting *w, plain_run *run) {
  if (!run->count) return;
  const co_cell *cell = &run->cell;
  if (cell->length >= 13 || *cell->text == '+')
    w->out->found.personal[co_personal_kind(cell)] += run->count;
  if (run->kind == CO_CELL_NUMBER) {
    w->out->found.numbers += run->count;
    look_at_text(w, run->row, cell, run->count);
    count_few(&w->out->found, run->value, run->count, cell);
  } else {
    count_value(w, run->row, cell, run->kind, run->value, run->count);
  }
  run->count = 0;
}

static void read_given_date(const counting *w, plain_run *run) {
  bool good = co_date_read(run->cell.text, run->cell.length, w->column->recipe.format,
                           &run->value) == CO_DATE_GOOD;
  run->kind = good ? CO_CELL_DATE : CO_CELL_NO_DATE;
}

// What the first value says that the column's are.
static co_value_kind kind_of(const counting *w, co_cell_kind kind) {
  if (kind <= CO_CELL_TOO_LARGE) return CO_VALUES_NUMBERS;
  bool date = kind == CO_CELL_DATE || kind == CO_CELL_NO_DATE;
  return date && w->column->recipe.role != CO_RECIPE_TARGET ? CO_VALUES_DATES : CO_VALUES_WORDS;
}

// The cells of a column lie far apart: they are asked for before they are needed, then what they point to.
static inline void fetch_ahead(const counting *w, int64_t row) {
  if (row + 16 >= w->part->rows.count) return;
  __builtin_prefetch(co_part_cell(w->part, row + 16, w->index));
  __builtin_prefetch(co_part_cell(w->part, row + 8, w->index)->text);
}

// *plain false: there are others, which are words.
static co_status count_plain(counting *w, bool *plain) {
  co_column_part *p = w->out;
  double *values = p->values;
  bool given = w->column->recipe.type == CO_RECIPE_DATE;
  plain_run run = {.count = 0};
  likeness alike = {0};
  *plain = true;
  for (int64_t i = 0; i < w->part->rows.count; i++) {
    co_cell *cell = co_part_cell(w->part, i, w->index);
    fetch_ahead(w, i);
    if (run.count && repeats(&alike, cell, &run.field)) {
      cell->text += run.cell.text - run.field.text;
      cell->length = run.cell.length;
      values[i] = run.value;
      run.count++;
      continue;
    }
    end_run(w, &run);
    run.field = *cell;
    co_cell_trim_here(cell, w->column->suffix);
    run.cell = *cell;
    w->trimmed = i + 1;
    if (co_cell_is_missing(cell)) {
      count_missing(w, i, cell);
      values[i] = NAN;
      continue;
    }
    if (given)
      read_given_date(w, &run);
    else if (!w->part->decimal_comma && co_cell_read_short(cell, &run.value))
      run.kind = CO_CELL_NUMBER;
    else
      run.kind = co_cell_read_as(cell, w->part->decimal_comma, &run.value);
    co_value_kind kind = given ? CO_VALUES_DATES : kind_of(w, run.kind);
    if (p->kind == CO_VALUES_NONE) p->kind = kind;
    *plain = kind == p->kind && kind != CO_VALUES_WORDS;
    if (!*plain) return CO_OK;
    values[i] = run.value;
    run.row = i;
    run.count = 1;
    if (run.kind == CO_CELL_NUMBER || run.kind == CO_CELL_DATE) continue;
    CO_RETURN_IF_FAILED(given ? keep_bad(w, i, CO_REJECT_NO_DATE) : check_kind(w, i, run.kind));
    end_run(w, &run);
  }
  end_run(w, &run);
  if (p->kind == CO_VALUES_NUMBERS) look_at_numbers(&p->found, values, w->part->rows.count);
  return CO_OK;
}

// ---- words -------------------------------------------------------------------------------------

// Of all rows with a word of which not every column can have any.
static co_status keep_bad_words(const counting *w, const co_cell_kind *kinds) {
  const uint32_t *words = w->out->values;
  for (int64_t i = 0; i < w->part->rows.count; i++)
    if (words[i] != CO_NO_WORD) CO_RETURN_IF_FAILED(check_kind(w, i, kinds[words[i]]));
  return CO_OK;
}

static co_status count_different(const counting *w) {
  const co_part_words *words = &w->out->words;
  co_context *ctx = w->survey->ctx;
  bool keeps_bad = w->survey->rejects->rule.on_error != CO_ON_ERROR_FAIL;
  co_cell_kind *kinds = keeps_bad ? co_alloc(ctx, (size_t)words->count * sizeof *kinds) : NULL;
  if (keeps_bad && !kinds) return CO_ERR_MEMORY;
  for (int64_t k = 0; k < words->count; k++) {
    const co_part_word *word = &words->words[k];
    double value;
    co_cell_kind kind = co_cell_read_as(&word->cell, w->part->decimal_comma, &value);
    w->out->found.personal[co_personal_kind(&word->cell)] += word->count;
    count_value(w, word->row, &word->cell, kind, value, word->count);
    if (keeps_bad) kinds[k] = kind;
  }
  co_status status = keeps_bad ? keep_bad_words(w, kinds) : CO_OK;
  co_free(ctx, kinds);
  return status;
}

static co_status count_words(const counting *w) {
  co_column_part *p = w->out;
  uint32_t *values = p->values, word = 0;
  co_cell field = {0}, trimmed = {0};
  likeness alike = {0};
  p->kind = CO_VALUES_NONE;
  CO_RETURN_IF_FAILED(co_part_words_clear(&p->words, w->survey->ctx));
  for (int64_t i = 0; i < w->part->rows.count; i++) {
    co_cell *cell = co_part_cell(w->part, i, w->index);
    if (i != w->trimmed && repeats(&alike, cell, &field)) {
      cell->text += trimmed.text - field.text;
      cell->length = trimmed.length;
      co_part_words_repeat(&p->words);
      values[i] = word;
    } else {
      co_cell as_it_stands = *cell;
      if (i >= w->trimmed) co_cell_trim_here(cell, w->column->suffix);
      if (co_cell_is_missing(cell)) {
        count_missing(w, i, cell);
        values[i] = CO_NO_WORD;
        if (p->missing_key < 0) p->missing_key = i;
        continue;
      }
      CO_RETURN_IF_FAILED(co_part_words_add(&p->words, w->survey->ctx, cell, i, &word));
      field = as_it_stands;
      trimmed = *cell;
      values[i] = word;
    }
    if (p->words.last->count > 1 && p->repeated_key < 0) p->repeated_key = i;
  }
  co_part_words_end(&p->words);
  if (p->words.count) p->kind = CO_VALUES_WORDS;
  return count_different(w);
}

// ---- a part ------------------------------------------------------------------------------------

static void trim_all(const counting *w) {
  for (int64_t i = 0; i < w->part->rows.count; i++)
    co_cell_trim_here(co_part_cell(w->part, i, w->index), w->column->suffix);
}

static void count_texts(const counting *w) {
  trim_all(w);
  for (int64_t i = 0; i < w->part->rows.count; i++) {
    const co_cell *cell = co_part_cell(w->part, i, w->index);
    if (co_cell_is_missing(cell))
      count_missing(w, i, cell);
    else
      w->out->found.personal[co_personal_kind(cell)]++;
  }
}

// All but what only counts tell to be there.
static void clear(co_column_part *p) {
  co_column_survey *f = &p->found;
  f->missing = f->numbers = f->dates = f->others = f->commas = f->sentences = 0;
  f->comma.row = f->other.row = f->no_date.row = f->large.row = f->lacking.row = f->first.row = 0;
  f->padded = 0;
  f->shortest = f->longest = 0;
  memset(f->personal, 0, sizeof f->personal);
  f->fractions = f->wide = f->negative = f->marks = false;
  f->few_count = 0;
  f->bad_count = 0;
  p->kind = CO_VALUES_NONE;
  p->words.count = 0;
  p->missing_key = p->repeated_key = -1;
}

co_status co_survey_count(const co_survey *s, int64_t column, const co_scan_part *part,
                          co_column_part *out) {
  const co_column_survey *c = &s->columns[column];
  counting w = {s, c, part, out, column, 0};
  bool plain = false, key = c->recipe.role == CO_RECIPE_KEY;
  clear(out);
  if (c->recipe.role == CO_RECIPE_IGNORE || c->recipe.role == CO_RECIPE_SPLIT) {
    trim_all(&w);
    out->kind = CO_VALUES_UNKNOWN;
    return CO_OK;
  }
  if (c->recipe.type == CO_RECIPE_TEXT && !key) {
    count_texts(&w);
    out->kind = CO_VALUES_UNKNOWN;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(make_room(&w));
  if (!c->wants_words) CO_RETURN_IF_FAILED(count_plain(&w, &plain));
  if (plain) return CO_OK;
  clear(out);
  return count_words(&w);
}

// ---- adding up ---------------------------------------------------------------------------------

static void add_cell(co_survey_cell *to, const co_survey_cell *found, const co_scan_part *part) {
  if (to->row || !found->row) return;
  *to = *found;
  to->row += part->row;
  if (to->line) to->line += part->line;
}

static void add_few(co_column_survey *c, const co_column_survey *f) {
  for (int i = 0; i < f->few_count && i < CO_SURVEY_FEW; i++) {
    const co_survey_number *n = &f->few[i];
    const co_cell cell = {n->text, strlen(n->text)};
    count_few(c, n->value, n->count, &cell);
  }
  if (f->few_count > CO_SURVEY_FEW) c->few_count = f->few_count;
}

static co_status add_bad(const co_survey *s, co_column_survey *c, const co_column_survey *f,
                         const co_scan_part *part) {
  for (int64_t i = 0; i < f->bad_count; i++) {
    CO_RETURN_IF_FAILED(
        co_grow(s->ctx, (void **)&c->bad, &c->bad_capacity, c->bad_count, sizeof *c->bad));
    c->bad[c->bad_count] = f->bad[i];
    c->bad[c->bad_count++].row += part->row;
  }
  return CO_OK;
}

static co_status begin_words(const co_survey *s, co_column_survey *c, int64_t before) {
  if (c->has_words) return CO_OK;
  CO_RETURN_IF_FAILED(co_dictionary_create(&c->words, s->ctx));
  c->has_words = true;
  c->lacks_words = before > 0;
  return CO_OK;
}

static co_status add_words(const co_survey *s, co_column_survey *c, const co_scan_part *part,
                           co_column_part *p) {
  if (p->words.count > p->word_room) {
    co_free(s->ctx, p->word_of);
    p->word_room = 0;
    if (!(p->word_of = co_alloc(s->ctx, (size_t)p->words.capacity * sizeof *p->word_of)))
      return CO_ERR_MEMORY;
    p->word_room = p->words.capacity;
  }
  for (int64_t k = 0; k < p->words.count; k++) {
    const co_part_word *word = &p->words.words[k];
    const co_row_place place = co_part_place(part, word->row);
    int64_t index, known = c->words.count;
    CO_RETURN_IF_FAILED(co_dictionary_take(&c->words, word->cell.text, word->cell.length,
                                           word->hash, word->count,
                                           place.line ? place.line : place.row, &index));
    p->word_of[k] = (uint32_t)index;
    bool repeated = index < known;
    if (repeated && (p->repeated_key < 0 || word->row < p->repeated_key))
      p->repeated_key = word->row;
  }
  return CO_OK;
}

co_status co_survey_add(co_survey *s, int64_t column, const co_scan_part *part, co_column_part *p) {
  co_column_survey *c = &s->columns[column];
  const co_column_survey *f = &p->found;
  int64_t before = co_survey_values(c);
  c->missing += f->missing;
  c->numbers += f->numbers;
  c->dates += f->dates;
  c->others += f->others;
  c->commas += f->commas;
  c->sentences += f->sentences;
  add_cell(&c->comma, &f->comma, part);
  add_cell(&c->other, &f->other, part);
  add_cell(&c->no_date, &f->no_date, part);
  add_cell(&c->large, &f->large, part);
  add_cell(&c->lacking, &f->lacking, part);
  add_cell(&c->first, &f->first, part);
  for (int i = 0; i < CO_PERSONAL_COUNT; i++)
    c->personal[i] += f->personal[i];
  c->fractions |= f->fractions;
  c->wide |= f->wide;
  c->negative |= f->negative;
  c->padded += f->padded;
  c->marks |= f->marks;
  if (f->longest) add_length(c, f->shortest, f->longest);
  add_few(c, f);
  CO_RETURN_IF_FAILED(add_bad(s, c, f, part));
  if (p->kind == CO_VALUES_WORDS) {
    CO_RETURN_IF_FAILED(begin_words(s, c, before));
    return add_words(s, c, part, p);
  }
  if (!co_survey_values(f)) return CO_OK;
  // Of numbers and dates the texts are known only where all are such.
  if (before && c->kind != p->kind) CO_RETURN_IF_FAILED(begin_words(s, c, before));
  c->lacks_words |= c->has_words;
  c->kind = p->kind;
  return CO_OK;
}

int64_t co_survey_bad_key(const co_column_part *p) {
  if (p->missing_key < 0 || p->repeated_key < 0)
    return p->missing_key < 0 ? p->repeated_key : p->missing_key;
  return p->missing_key < p->repeated_key ? p->missing_key : p->repeated_key;
}

co_status co_survey_refuse_key(const co_survey *s, int64_t column, const co_scan *scan,
                               const co_scan_part *part, const co_column_part *p) {
  int64_t row = co_survey_bad_key(p);
  const co_row_place place = co_part_place(part, row);
  if (row == p->missing_key) return co_scan_wrong(scan, &place, column, "the key is missing");
  char key[CO_SURVEY_TEXT];
  const uint32_t word = p->word_of[((const uint32_t *)p->values)[row]];
  keep_text(key, co_part_cell(part, row, column));
  co_status status =
      co_scan_wrong(scan, &place, column, "the key '%s' occurs in %s %" PRId64 " already", key,
                    place.line ? "line" : "row", s->columns[column].words.words[word].line);
  co_hint(s->joined ? "a joined table has one row for each key; where: CONDITION in a schema file "
                      "takes some of its rows"
                    : "a table has one row for each key; leave --key out where rows have none");
  return status;
}

void co_column_part_free(co_column_part *p, co_context *ctx) {
  co_free(ctx, p->found.bad);
  co_free(ctx, p->values);
  co_free(ctx, p->word_of);
  co_part_words_free(&p->words, ctx);
}
