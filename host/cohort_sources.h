// SPDX-License-Identifier: Apache-2.0
// Of libcohort (cohort.h): where a config comes from, and the raw tables that verbs read.
#ifndef COHORT_COHORT_SOURCES_H
#define COHORT_COHORT_SOURCES_H

#include "cohort_context.h"

#ifdef __cplusplus
extern "C" {
#endif

// Where a config comes from: files merged left to right, then assignments "a.b=c".
typedef struct cohort_config {
  const char *const *files;
  int64_t file_count;
  const char *const *assignments;
  int64_t assignment_count;
} cohort_config;

// How the rows of a raw table are read: text (CSV, JSON lines; plain or gzip; "-" is standard input) or
// a database ("sqlite:FILE"). Zeroed it means what is said here.
typedef struct cohort_source_options {
  const char *encoding; // of text, as iconv names it: "latin1", "utf-16", …; NULL = UTF-8
  bool no_quotes;       // of CSV: a quote is a character as any other
  const char *
      decimal; // of CSV: the decimal mark of numbers, "," (then points part thousands) or "." (NULL)
  const char *source_table, *query; // of a database: a table, or SQL that reads rows
  // Rows that cannot be taken: "fail" (the first is the end), "skip", "quarantine" (they go into
  // OUTPUT.rejects.csv). NULL = fail, when scoring quarantine. And how many may be before all fails:
  // "N" rows or "P%" of them; NULL = "1%".
  const char *on_error, *max_errors;
  // Columns whose cells become keyed hashes (datasets/pseudonym.h), under the key in a file. Where the
  // schema, or that of a model, names such columns, they need not be given again.
  const char *const *pseudonymized;
  int64_t pseudonymized_count;
  const char *key_file;
  const char *temporary_folder; // where standard input lies meanwhile; NULL = /tmp
} cohort_source_options;

// Raw tables besides the first, to each of whose rows the one with its key is joined; it lacks their
// columns where none has. Where there is a schema file it names them.
typedef struct cohort_tables {
  // "FILE:COLUMN", or "FILE:COLUMN=KEY" where the key of FILE has another name than the column with
  // it in the first table, or "FILE:TABLE.COLUMN" where that is in a table joined before; several
  // columns have commas between them. The table is called by its file, without folder and ending.
  const char *const *joins;
  int64_t join_count;
  const char *const *carried; // names of those that travel in models
  int64_t carried_count;
  const char *const *sources; // "NAME=SOURCE": where tables of a schema, the first included, are
  int64_t source_count;
} cohort_tables;

#ifdef __cplusplus
}
#endif
#endif
