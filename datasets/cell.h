// SPDX-License-Identifier: Apache-2.0
// What one cell of a table in text says.
#ifndef COHORT_DATASETS_CELL_H
#define COHORT_DATASETS_CELL_H

#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

// The field without blanks around it, and without `suffix` (NULL = none) at its end.
co_cell co_cell_trim(const co_cell *field, const char *suffix);
// Of a trimmed cell: empty, NA, N/A, NaN, null (also nan, NULL, Null) or \N.
bool co_cell_is_missing(const co_cell *cell);

typedef enum co_cell_kind {
  CO_CELL_NUMBER,
  CO_CELL_TOO_LARGE, // a number beyond the range of float32
  CO_CELL_COMMA,     // would be one with a decimal comma, or with thousands separators
  CO_CELL_DATE,      // of ISO 8601
  CO_CELL_NO_DATE,   // looks like one, but there is no such day or time
  CO_CELL_TEXT
} co_cell_kind;
// Of a trimmed cell that is not missing. Numbers are decimal: [+-]digits[.digits][e[+-]digits], with
// digits on one side of the point at least; *value is the nearest double, of dates seconds since
// 1970-01-01 UTC, of all else NaN.
co_cell_kind co_cell_read(const co_cell *cell, double *value);

#ifdef __cplusplus
}
#endif
#endif
