// SPDX-License-Identifier: Apache-2.0
// What one cell of a table in text says.
#ifndef COHORT_DATASETS_CELL_H
#define COHORT_DATASETS_CELL_H

#include <string.h>

#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

co_cell co_cell_trim_blanks(const co_cell *field, const char *suffix);
static inline bool co_cell_has_edge(const co_cell *field, const char *suffix) {
  return suffix || (field->length && ((unsigned char)*field->text <= ' ' ||
                                      (unsigned char)field->text[field->length - 1] <= ' '));
}
// The field without blanks around it, and without `suffix` (NULL = none) at its end.
static inline co_cell co_cell_trim(const co_cell *field, const char *suffix) {
  return co_cell_has_edge(field, suffix) ? co_cell_trim_blanks(field, suffix) : *field;
}
// The same where it stands: most cells are not written, which a processor would wait for when it reads them.
static inline void co_cell_trim_here(co_cell *field, const char *suffix) {
  if (co_cell_has_edge(field, suffix)) *field = co_cell_trim_blanks(field, suffix);
}

bool co_cell_says_missing(const co_cell *cell);
// Of a trimmed cell: empty, NA, N/A, NaN, null (also nan, NULL, Null) or \N.
static inline bool co_cell_is_missing(const co_cell *cell) {
  if (!cell->length) return true;
  char first = *cell->text;
  return cell->length <= 4 && (first == 'N' || first == 'n' || first == '\\') &&
         co_cell_says_missing(cell);
}

// Whether both, of the same length, are the same; quick for short ones.
static inline bool co_cell_same_bytes(const char *a, const char *b, size_t length) {
  uint64_t x[2], y[2];
  uint32_t v[2], w[2];
  if (length > 16) return memcmp(a, b, length) == 0;
  if (length >= 8) {
    memcpy(&x[0], a, 8), memcpy(&x[1], a + length - 8, 8);
    memcpy(&y[0], b, 8), memcpy(&y[1], b + length - 8, 8);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
  }
  if (length >= 4) {
    memcpy(&v[0], a, 4), memcpy(&v[1], a + length - 4, 4);
    memcpy(&w[0], b, 4), memcpy(&w[1], b + length - 4, 4);
    return ((v[0] ^ w[0]) | (v[1] ^ w[1])) == 0;
  }
  for (size_t i = 0; i < length; i++)
    if (a[i] != b[i]) return false;
  return true;
}

typedef enum co_cell_kind {
  CO_CELL_NUMBER,
  CO_CELL_TOO_LARGE, // a number beyond the range of float32
  CO_CELL_COMMA,   // would be one with a decimal comma, or with thousands separators; where numbers
                   // have decimal commas: with a point
  CO_CELL_DATE,    // of ISO 8601
  CO_CELL_NO_DATE, // looks like one, but there is no such day or time
  CO_CELL_TEXT
} co_cell_kind;
// Of a trimmed cell that is not missing. Numbers are decimal: [+-]digits[.digits][e[+-]digits], with
// digits on one side of the point at least; *value is the nearest double, of dates seconds since
// 1970-01-01 UTC, of all else NaN.
co_cell_kind co_cell_read(const co_cell *cell, double *value);
// `decimal_comma`: the same, but numbers have a comma where they else have a point: 9,38. Points may part
// thousands, in groups of three digits behind one to three that do not begin with 0: 1.234,56 and 1.234 are
// numbers, 9.38 and 0.125 are none.
co_cell_kind co_cell_read_as(const co_cell *cell, bool decimal_comma, double *value);
// The hint of an error, that the cell is no number: the way out for one with the other mark, then "correct the
// cell, OTHERS".
void co_cell_hint(const co_cell *cell, bool decimal_comma, const char *others);

#ifdef __cplusplus
}
#endif
#endif
