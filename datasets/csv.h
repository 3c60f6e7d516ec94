// SPDX-License-Identifier: Apache-2.0
// Reads tables in text, a row at a time: RFC 4180, with any of , ; tab | between the fields, LF or
// CRLF, a byte order mark, gzip. A row is taken whole or refused: UTF-8 alone, no NUL bytes, as many
// fields as the header, quotes only around a field. Memory is bounded by one row.
#ifndef COHORT_DATASETS_CSV_H
#define COHORT_DATASETS_CSV_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  CO_CSV_MAX_COLUMNS = 16384,
  CO_CSV_MAX_FIELD = 10 << 20, // bytes
  CO_CSV_MAX_ROW = 64 << 20
};

typedef struct co_csv_options {
  char delimiter;            // 0 = found out from the first rows
  int64_t skip_lines;        // before the header
  const char *const *header; // names, where the file has none; NULL = the first row
  int64_t header_count;
} co_csv_options;

typedef struct co_csv_field {
  const char *text; // ends with NUL, has no other
  size_t length;
} co_csv_field;

typedef struct co_csv co_csv;
// Opens and reads the header. Names are trimmed; a column without one is called column_N (from 1),
// two equal names are an error. `path` must outlive it, as must the options' header. Errors are
// CO_ERR_DATA with file and line.
co_status co_csv_open(co_csv **out, co_context *ctx, const char *path,
                      const co_csv_options *options);
void co_csv_close(co_csv *csv); // NULL is legal

char co_csv_delimiter(const co_csv *csv);
int64_t co_csv_column_count(const co_csv *csv);
const char *co_csv_column_name(const co_csv *csv, int64_t column);
int64_t co_csv_find(const co_csv *csv, const char *name); // -1 if there is none

// Reads the next row: *fields, one a column, stay until the next call; NULL after the last. Lines
// without any character are passed over.
co_status co_csv_next(co_csv *csv, const co_csv_field **fields);
int64_t co_csv_row(const co_csv *csv);  // number of the row read last, from 1
int64_t co_csv_line(const co_csv *csv); // where it begins, from 1
// How far the file, as it is stored, has been read; its size; after the last row its SHA-256.
int64_t co_csv_position(const co_csv *csv);
int64_t co_csv_size(const co_csv *csv);
void co_csv_digest(co_csv *csv, char hex[65]);
// CO_ERR_DATA at the row read last: "FILE:LINE: row R, column 'C': …". `column` -1 = no one column.
co_status co_csv_wrong(const co_csv *csv, int64_t column, const char *format, ...) CO_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
