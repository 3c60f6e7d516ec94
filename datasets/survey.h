// SPDX-License-Identifier: Apache-2.0
// What the columns of a table in text are, found out from all of its cells. Held in memory: the
// different texts of columns that are not numbers.
#ifndef COHORT_DATASETS_SURVEY_H
#define COHORT_DATASETS_SURVEY_H

#include "datasets/dictionary.h"
#include "datasets/part_words.h"
#include "datasets/personal.h"
#include "datasets/recipe.h"
#include "datasets/scan.h"
#include "datasets/values.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_SURVEY_FEW = 20, CO_SURVEY_TEXT = 48 };

// A cell that messages tell of; row 0 = there is none.
typedef struct co_survey_cell {
  int64_t file, line, row;
  char text[CO_SURVEY_TEXT]; // cut where it is longer
} co_survey_cell;

typedef struct co_survey_number {
  double value;
  int64_t count;
  char text[CO_SURVEY_TEXT]; // as it stands first
} co_survey_number;

typedef struct co_column_survey {
  const char *name;
  const char *shown;  // as options call it: of a joined table TABLE.COLUMN
  const char *suffix; // that is stripped
  int64_t missing, numbers, dates, others;
  int64_t commas;                      // with decimal commas or thousands separators
  int64_t sentences;                   // of three words and more
  co_survey_cell comma, other;         // the first of them
  co_survey_cell no_date;              // looks like a date, or should be one, and is none
  co_survey_cell large, lacking;       // beyond float32; missing
  int64_t personal[CO_PERSONAL_COUNT]; // cells that look like such things
  bool fractions;                      // not all numbers are whole
  bool wide;                           // float32 does not hold all numbers
  bool negative;                       // there is a number below 0
  int64_t padded;                      // numbers that begin with a zero before another digit
  bool marks;                          // one of those has a point or an exponent
  co_survey_cell first;                // the first padded (also behind a sign) or phone number
  size_t shortest, longest;            // bytes of numbers; 0, 0 = there is none
  co_survey_number few[CO_SURVEY_FEW]; // the different numbers, while there are so few
  int few_count;                       // CO_SURVEY_FEW + 1 = more
  uint8_t few_at[64];                  // where among them a number of a hash was found last
  bool wants_words;                    // all cells, not only from the first that is no number on
  bool has_words, lacks_words;         // some; not all
  co_value_kind kind;                  // of its cells so far, where they are not words
  co_dictionary words;
  co_bad_cell *bad; // where rows may be rejected: those that a column of numbers, or dates, rejects
  int64_t bad_count, bad_capacity;
  co_recipe_column given; // what was known before
  // What it is, and what is written.
  co_recipe_column recipe;
  const char *classes[2]; // of binaries: the texts of 0 and 1
  char images[65];        // of images: co_image_cells_look's digest …
  uint64_t *image_hashes; // … and of each file, in the order of `words`
} co_column_survey;

// Cells that are not missing.
static inline int64_t co_survey_values(const co_column_survey *column) {
  return column->numbers + column->commas + column->dates + column->others;
}

// A column in one part of the rows, as one thread finds it.
typedef struct co_column_part {
  co_column_survey found; // its cells' rows and lines count from the part's
  co_value_kind kind;
  co_part_words words;
  void *values; // of each row: a double, NaN = missing; or uint32_t, a word, CO_NO_WORD = missing
  int64_t room;
  uint32_t *word_of; // the column's word for each of the part's; once merged
  int64_t word_room;
  int64_t missing_key, repeated_key; // the first row with such, -1 = none
} co_column_part;

struct co_survey;
// Who else wants to see the rows that are counted, in each pass over them.
typedef struct co_survey_guest {
  void *user;
  // Before a pass: what is likely to be found stands in the survey's columns.
  co_status (*begin)(void *user, const struct co_survey *survey);
  // As of co_scan_each. Cells are trimmed.
  co_part_function work, merge;
} co_survey_guest;

typedef struct co_survey {
  co_context *ctx;
  co_arena *arena;
  bool decimal_comma;   // of the first file
  co_scan_options scan; // with what was found out for further readings
  co_rejects *rejects;
  const char *joined; // name of a table that is joined to another; else NULL
  co_column_survey *columns;
  int64_t column_count, rows;
  int64_t dropped;  // copies of earlier rows
  int64_t excluded; // rows that the scan's condition does not take
  char delimiter;
  char digest[65];              // of the files
  const co_survey_guest *guest; // NULL = nobody
  co_values *values; // where those of columns that are likely to be used go; NULL = nowhere
  bool *likely;      // for each column: it will be an input, a target or the weight
  co_column_values *kept;
  co_column_part *parts; // of each slot all columns
  int slots;
} co_survey;

// Reads all rows and decides what each column is; what the recipe says of it is kept. Rows that
// cannot be taken are added to the scan's rejects, which must be there. Columns of the
// recipe that the table lacks, a key that is missing or repeated, numbers that cannot be read and
// targets that cannot be learned are CO_ERR_DATA with file, line and column. Hints and warnings go
// to the log. `guest` and `values` may be NULL.
co_status co_survey_run(co_survey *survey, co_context *ctx, co_arena *arena,
                        const co_scan_options *scan, const co_recipe *recipe,
                        const co_survey_guest *guest, co_values *values);
void co_survey_free(co_survey *survey); // legal on a zeroed struct

// ---- for survey*.c -----------------------------------------------------------------------------

// Whether its numbers are codes, whose zeros and signs in front say something: whole ones, all as long as
// each other where some begin with a zero, or all with a zero or as phone numbers do with "+".
bool co_survey_is_code(const co_column_survey *column);
// Decides types, roles and classes once the cells are counted.
co_status co_survey_decide(co_survey *survey);
// Whether it is likely to be used, by what was found in some of its cells.
bool co_survey_is_likely(const co_column_survey *column);
// Counts the cells of a column in a part, and trims them.
co_status co_survey_count(const co_survey *survey, int64_t column, const co_scan_part *part,
                          co_column_part *out);
// Adds what was found in a part to what was found before it.
co_status co_survey_add(co_survey *survey, int64_t column, const co_scan_part *part,
                        co_column_part *found);
// The part's first row, once it was added, that a column of keys does not take; -1 = none.
int64_t co_survey_bad_key(const co_column_part *found);
co_status co_survey_refuse_key(const co_survey *survey, int64_t column, const co_scan *scan,
                               const co_scan_part *part, const co_column_part *found);
void co_column_part_free(co_column_part *part, co_context *ctx);

#ifdef __cplusplus
}
#endif
#endif
