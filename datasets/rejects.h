// SPDX-License-Identifier: Apache-2.0
// Rows that cannot be taken: what becomes of them, how many may be, and the file that has them. Damaged
// rows are found by whoever reads; rows with a cell that cannot be one of its column are added here by
// a first pass, and passed over from then on.
#ifndef COHORT_DATASETS_REJECTS_H
#define COHORT_DATASETS_REJECTS_H

#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_on_error {
  CO_ON_ERROR_FAIL,      // the first one is the end
  CO_ON_ERROR_SKIP,      // they are left out, and counted
  CO_ON_ERROR_QUARANTINE // they are written into a file, too
} co_on_error;

typedef struct co_reject_rule {
  co_on_error on_error;
  double most; // rows, or
  bool share;  // of all rows: 0 to 1
} co_reject_rule;

// "fail", "skip", "quarantine" (NULL = `fallback`) and "N" or "P%" (NULL = 1 %). CO_ERR_USAGE.
co_status co_reject_rule_parse(co_reject_rule *out, const char *on_error, const char *most,
                               co_on_error fallback);

typedef enum co_reject_reason {
  CO_REJECT_NO_NUMBER,
  CO_REJECT_TOO_LARGE,
  CO_REJECT_NO_DATE,
  CO_REJECT_NO_KEY
} co_reject_reason;

// A row with a bad cell.
typedef struct co_bad_cell {
  int64_t file, row; // from 0; from 1
  int64_t column;
  co_reject_reason reason;
} co_bad_cell;

typedef struct co_rejects {
  co_context *ctx;
  co_reject_rule rule;
  co_bad_cell *cells; // sorted, one a row, after co_rejects_settle
  int64_t count, capacity;
  int64_t damaged;   // rows, of the last pass
  co_bad_cell first; // of all that were told; row 0 = none
  char first_reason[240];
} co_rejects;

void co_rejects_init(co_rejects *rejects, co_context *ctx, const co_reject_rule *rule);
void co_rejects_free(co_rejects *rejects);
co_status co_rejects_add(co_rejects *rejects, const co_bad_cell *cell);
void co_rejects_settle(co_rejects *rejects);
// For the message of co_rejects_check: why the row of `cell` cannot be taken; column -1 = damaged as a whole.
void co_rejects_tell(co_rejects *rejects, const co_bad_cell *cell, const char *column,
                     const char *reason);
// The bad cell for which the row is passed over, NULL if it is not. Any thread.
const co_bad_cell *co_rejects_find(const co_rejects *rejects, int64_t file, int64_t row);
int64_t co_rejects_total(const co_rejects *rejects);
// Of `rows` good ones. CO_ERR_DATA if there are more bad ones than may be.
co_status co_rejects_check(const co_rejects *rejects, const char *path, int64_t rows);
// `first` names one and its reason, "" = not known.
co_status co_reject_rule_check(const co_reject_rule *rule, const char *path, int64_t rows,
                               int64_t bad, const char *first);
void co_reject_explain(char out[160], co_reject_reason reason, const co_cell *cell);

// ---- the file ----------------------------------------------------------------------------------

// CSV with the columns line, row, key, column, reason, text (the row as it stands) and file; what is not
// known is empty.
typedef struct co_reject_file co_reject_file;
// It appears by co_reject_file_commit, under `output`.rejects.csv.
co_status co_reject_file_begin(co_reject_file **out, co_context *ctx, const char *output,
                               bool replace);
co_status co_reject_file_add(co_reject_file *file, const char *shown, const co_row_place *place,
                             const co_cell *key, const char *column, const char *reason);
co_status co_reject_file_commit(co_reject_file *file); // NULL is legal, as for:
void co_reject_file_free(co_reject_file *file);        // also after commit
// "OUTPUT.rejects.csv"
char *co_reject_file_path(co_context *ctx, const char *output); // NULL = no memory

#ifdef __cplusplus
}
#endif
#endif
