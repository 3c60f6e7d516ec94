// SPDX-License-Identifier: Apache-2.0
// One table in one or several files of text with the same columns, in whatever order: its rows from
// the first file to the last.
#ifndef COHORT_DATASETS_SCAN_H
#define COHORT_DATASETS_SCAN_H

#include "datasets/csv.h"
#include "datasets/import.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_scan_options {
  const char *const *paths;
  int64_t path_count;
  co_csv_options csv;
  const int64_t *skip_lines; // of each file; NULL = as `csv` says
  const char *stage;         // what progress calls it
  co_import_progress progress;
  void *progress_user;
  const volatile int *stop; // non-zero: end with CO_INTERRUPTED; NULL = never
} co_scan_options;

typedef struct co_scan co_scan;
// Opens the first file, whose columns are the table's. `options` and what they point to must stay.
co_status co_scan_open(co_scan **out, co_context *ctx, const co_scan_options *options);
void co_scan_close(co_scan *scan); // NULL is legal
// The file that is being read; its columns are the table's for the first one.
const co_csv *co_scan_csv(const co_scan *scan);
int64_t co_scan_file(const co_scan *scan);
int64_t co_scan_rows(const co_scan *scan); // read so far, of all files
// The next row's cells in the order of the table's columns, NULL after the last.
co_status co_scan_next(co_scan *scan, const co_csv_field **fields);
// SHA-256 over the files' hashes once all rows have been read.
void co_scan_digest(co_scan *scan, char hex[65]);
// As co_csv_wrong, by the table's column.
co_status co_scan_wrong(const co_scan *scan, int64_t column, const char *format, ...)
    CO_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
