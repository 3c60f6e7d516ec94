// SPDX-License-Identifier: Apache-2.0
// A study's insides, shared by study.c, which opens and writes it, and study_read.c.
#ifndef COHORT_HOST_TUNE_STUDY_PRIVATE_H
#define COHORT_HOST_TUNE_STUDY_PRIVATE_H

#include "datasets/sqlite_api.h"
#include "host/tune/study.h"

struct co_study {
  co_context *ctx;
  co_sqlite_api api;
  void *database;
  char *path, *name;
  int64_t id;
  int goals;
  bool maximizes[2];
};

// Reads: rows go on with co_study_next. `types`: i int64_t, d double, t text (NULL is NULL).
co_status co_study_query(const co_study *study, void **statement, const char *sql,
                         const char *types, ...);
// False behind the last row, or where *status says what failed; the statement is then freed.
bool co_study_next(const co_study *study, void *statement, co_status *status);
const char *co_study_cell(const co_study *study, void *statement, int column); // NULL of NULL
int64_t co_study_integer(const co_study *study, void *statement, int column);  // -1 of NULL

#endif
