// SPDX-License-Identifier: Apache-2.0
// What is used of SQLite's interface (https://sqlite.org/c3ref/intro.html), which is stable: declared
// here, the library opened on use.
#ifndef COHORT_DATASETS_SQLITE_API_H
#define COHORT_DATASETS_SQLITE_API_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  CO_SQL_OK = 0,
  CO_SQL_BUSY = 5,
  CO_SQL_READONLY_DATABASE = 8,
  CO_SQL_NOT_A_DATABASE = 26,
  CO_SQL_ROW = 100,
  CO_SQL_DONE = 101,
  CO_SQL_OPEN_READONLY = 1,
  CO_SQL_OPEN_READWRITE = 2,
  CO_SQL_OPEN_NOMUTEX = 0x8000, // one thread at a time
  CO_SQL_INTEGER = 1,
  CO_SQL_FLOAT = 2,
  CO_SQL_TEXT = 3,
  CO_SQL_BLOB = 4
};

typedef struct co_sqlite_api {
  void *library;
  int (*open_v2)(const char *, void **, int, const char *);
  int (*close)(void *);
  int (*busy_timeout)(void *, int);
  int (*exec)(void *, const char *, int (*)(void *, int, char **, char **), void *, char **);
  int (*prepare_v2)(void *, const char *, int, void **, const char **);
  int (*step)(void *);
  int (*reset)(void *);
  int (*finalize)(void *);
  int (*stmt_readonly)(void *);
  int (*bind_double)(void *, int, double);
  int (*bind_int64)(void *, int, long long);
  int (*bind_text)(void *, int, const char *, int, void (*)(void *));
  int (*column_count)(void *);
  const char *(*column_name)(void *, int);
  int (*column_type)(void *, int);
  const unsigned char *(*column_text)(void *, int);
  int (*column_bytes)(void *, int);
  double (*column_double)(void *, int);
  const char *(*errmsg)(void *);
} co_sqlite_api;

// CO_ERR_DEVICE if the library is not there. To be unloaded in any case.
co_status co_sqlite_load(co_sqlite_api *api);
void co_sqlite_unload(co_sqlite_api *api);

// Adds a name as SQL quotes names.
void co_sqlite_add_name(co_text *sql, const char *name);

#ifdef __cplusplus
}
#endif
#endif
