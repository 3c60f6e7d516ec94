// SPDX-License-Identifier: Apache-2.0
// The columns of a table of scores, and its rows.
#ifndef COHORT_HOST_EVAL_SCORE_COLUMNS_H
#define COHORT_HOST_EVAL_SCORE_COLUMNS_H

#include "datasets/dataset.h"
#include "models/feature.h"
#include "models/model.h"

typedef enum co_score_type { CO_SCORE_TEXT, CO_SCORE_NUMBER, CO_SCORE_INTEGER } co_score_type;

// What stands in a column.
typedef enum co_score_content {
  CO_SCORE_KEY,         // the dataset's key, or the row's number
  CO_SCORE_CELL,        // cell `index` of the output's class
  CO_SCORE_PROBABILITY, // of class `index`
  CO_SCORE_TOP,         // the likeliest class but `index`, in the next column its score
  CO_SCORE_TOP_SCORE,
  CO_SCORE_RANK, // place by falling score, from 1; rows of equal scores share the first of theirs
  CO_SCORE_PERCENTILE,   // hundredth of all rows by rank, from 1, the highest scores
  CO_SCORE_DECILE,       // tenth likewise
  CO_SCORE_SOURCE,       // a column of the source, as text
  CO_SCORE_CONSTANT,     // the same text in each row
  CO_SCORE_HOLDOUT,      // 1: the row is of the control group
  CO_SCORE_EXTRA,        // number `index` of an extra
  CO_SCORE_REASON,       // the column with the largest share in the score but `index`, …
  CO_SCORE_REASON_VALUE, // … what the row has there, …
  CO_SCORE_REASON_EFFECT // … and its share (attribution.h)
} co_score_content;

typedef struct co_reason {
  const char *name, *value;
  double effect;
} co_reason;

typedef struct co_score_column {
  const char *name; // the arena's
  co_score_type type;
  co_score_content content;
  const co_output_feature *output; // NULL of the key
  int64_t extra;                   // of EXTRA: which
  int64_t index;
  const char *source;       // a column of the dataset:
  const char *const *texts; // of each of its rows …
  const int64_t *rows;      // … and the row of each sample, NULL = its number
  const char *constant;
  const char *list; // of reasons: what all of them are called where there are lists
} co_score_column;

// What is told of rows beside their scores.
typedef struct co_score_notes {
  const char *const *passthrough; // columns of the source
  int64_t passthrough_count;
  const char *model;     // what `model` says
  const char *scored_at; // NULL = it is not told
  const char *holdout;   // "SHARE%" or "SHARE%:NAME", NULL = there is no control group
  int64_t reasons;       // so many of the first output, 0 = none
} co_score_notes;

typedef struct co_score_columns {
  const co_model *model;
  co_score_column *column;
  int64_t count, capacity;
  const co_output_feature
      *ranked; // the output by whose scores rows are placed; NULL = they are not
  // Of a control group: a row is in it where the hash of NAME and its key is below the share. So it stays
  // in it from job to job, also when the share grows.
  double holdout;
  const char *holdout_name;
  const co_output_feature *reasoned; // whose scores have reasons, how many; NULL = none have
  int64_t reasons;
  // As many as the widest output so far has scores: to ask what kind of cells an output has.
  float *zeros;
  int64_t zero_count;
} co_score_columns;

// The key, then what each output's class writes. CO_ERR_DATA if two are called the same. `top` > 0: of
// outputs of one of several classes the so many likeliest instead, OUTPUT_1, OUTPUT_1_score, …;
// CO_ERR_USAGE if there is no such output.
co_status co_score_columns_list(co_score_columns *out, co_arena *arena, const co_model *model,
                                const co_dataset *dataset, int64_t top);
// How a raw table's column that is passed through is called in the dataset of its rows.
#define CO_SCORE_PASSED "passthrough:"
// Adds what is told beside the scores and not chosen yet. CO_ERR_USAGE.
co_status co_score_columns_add_notes(co_score_columns *columns, co_arena *arena,
                                     co_dataset *dataset, const co_score_notes *notes);

// Takes columns of the source from another dataset with the same columns.
co_status co_score_columns_bind(co_score_columns *columns, co_dataset *dataset);

// Those asked for, each "WHAT", "OUTPUT.WHAT" (else of the first output) or "WHAT=NAME", where WHAT is
// key, prediction, score, label, probabilities, topK, reasonsK, rank, percentile, decile,
// reconstruction_error, embedding, or of `notes` model, scored_at or holdout. CO_ERR_USAGE.
co_status co_score_columns_choose(co_score_columns *out, co_arena *arena, const co_model *model,
                                  const co_dataset *dataset, const char *const *chosen,
                                  int64_t chosen_count, const co_score_notes *notes);

// Whether one of them is a row's place among the others.
bool co_score_columns_place(const char *const *chosen, int64_t chosen_count);

bool co_score_is_one(const co_output_feature *output); // whether there is one:
// The one score of a row of an output: of a binary that of the positive class, of a category that of
// the likeliest, or the number. What is ranked has one.
double co_score_of(const co_output_feature *output, const float *row);

// Whether the scores of a row, per output, are finite numbers; else CO_ERR_MODEL naming its number.
co_status co_score_check(const co_model *model, const float *const *scores, int64_t number);

typedef struct co_score_row {
  const char *key;
  int64_t sample; // of the dataset
  int64_t number; // among all rows, for messages
  // Per output and extra of the model, its `width` numbers: classes are decided by `scores`, numbers are those
  // of `shown`.
  const float *const *scores, *const *shown;
  int64_t rank, rows;       // by which it is placed, and of how many
  const co_reason *reasons; // as many as there are columns for
} co_score_row;
// Checks the row, then writes a cell for each column; texts are borrowed from it and the outputs.
co_status co_score_cells(co_score_cell *cells, const co_score_columns *columns,
                         const co_score_row *row);

// Adds text as a cell of separated values: in quotes where the separator, a quote or a line end is
// inside (RFC 4180).
void co_score_add_text(co_text *line, const char *text, char separator);
// Adds a cell; nine digits bring a float back exactly.
void co_score_add_cell(co_text *line, co_score_type type, const co_score_cell *cell,
                       char separator);

#endif
