// SPDX-License-Identifier: Apache-2.0
// The cells of a table as values, kept as they are read until it is known what its columns are: numbers
// as double or, where that holds them, float; texts as numbers of words. What exceeds some memory
// lies in a temporary file without a name.
#ifndef COHORT_DATASETS_VALUES_H
#define COHORT_DATASETS_VALUES_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_value_kind {
  CO_VALUES_NONE, // all are missing
  CO_VALUES_NUMBERS,
  CO_VALUES_DATES, // seconds since 1970-01-01 UTC
  CO_VALUES_WORDS,
  CO_VALUES_ENCODED, // as they are written
  CO_VALUES_UNKNOWN  // not kept, or of several kinds
} co_value_kind;

#define CO_NO_WORD UINT32_MAX

// Of a column, in some rows that follow each other.
typedef struct co_column_values {
  co_value_kind kind;
  const void *values;      // double, NaN = missing; or uint32_t, CO_NO_WORD = missing
  int width;               // of those that are encoded: bytes of a value
  bool wide;               // float may not hold all numbers
  const uint32_t *word_of; // of words: the column's for each of the `word_count` here
  int64_t word_count;
} co_column_values;

typedef struct co_values co_values;
// Holds at most so many bytes in memory. `beside` names the file in whose folder the temporary lies.
co_status co_values_create(co_values **out, co_context *ctx, const char *beside, size_t most);
void co_values_free(co_values *values); // NULL is legal
// Forgets all; `columns` columns follow.
co_status co_values_clear(co_values *values, int64_t columns);
co_status co_values_append(co_values *values, int64_t rows, const co_column_values *columns);
// What all rows of a column are.
co_value_kind co_values_kind(const co_values *values, int64_t column);
int64_t co_values_rows(const co_values *values);
// Goes through them in the order in which they came: once, after the last was appended. *rows 0 = after the
// last. What is handed out lasts until the next call.
co_status co_values_next(co_values *values, int64_t *rows);
// Of the rows at hand: into double, or int32_t that are words of the column, -1 = missing.
void co_values_numbers(const co_values *values, int64_t column, double *out);
void co_values_words(const co_values *values, int64_t column, int32_t *out);
const void *co_values_encoded(const co_values *values, int64_t column);

#ifdef __cplusplus
}
#endif
#endif
