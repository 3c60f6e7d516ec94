// SPDX-License-Identifier: Apache-2.0
// What is used of libpq (https://www.postgresql.org/docs/current/libpq.html), whose interface is stable:
// declared here, the library opened on use; and connections by it.
#ifndef COHORT_DATASETS_POSTGRES_H
#define COHORT_DATASETS_POSTGRES_H

#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_PQ_OK = 0 };                                                 // of a connection
enum { CO_PQ_COMMAND_OK = 1, CO_PQ_TUPLES_OK = 2, CO_PQ_COPY_IN = 4 }; // of a result
enum { CO_PQ_SQLSTATE = 'C' };

typedef struct co_postgres_api {
  void *library;
  void *(*connectdb_params)(const char *const *, const char *const *, int);
  int (*status)(const void *);
  char *(*error_message)(const void *);
  void (*finish)(void *);
  void *(*exec)(void *, const char *);
  void *(*get_result)(void *);
  int (*result_status)(const void *);
  char *(*result_error_field)(const void *, int);
  void (*clear)(void *);
  int (*ntuples)(const void *);
  int (*nfields)(const void *);
  char *(*fname)(const void *, int);
  char *(*getvalue)(const void *, int, int);
  int (*getlength)(const void *, int, int);
  int (*getisnull)(const void *, int, int);
  int (*put_copy_data)(void *, const char *, int);
  int (*put_copy_end)(void *, const char *);
  void *(*set_notice_processor)(void *, void (*)(void *, const char *), void *);
} co_postgres_api;

// A session with a server. Texts are UTF-8.
typedef struct co_postgres {
  co_postgres_api api;
  co_context *ctx;
  const char *url;  // borrowed
  char *shown;      // the URL without password and options
  void *connection; // NULL = none
  bool passing;     // the last failure may pass: the connection broke, the server restarts
} co_postgres;

bool co_postgres_is_url(const char *path);                 // "postgresql://…", "postgres://…"
char *co_postgres_shown(co_context *ctx, const char *url); // NULL = no memory
// Version of the library, or "missing (…)".
void co_postgres_version(char out[64]);

// Loads the library (CO_ERR_DEVICE if it is not there) and connects. Errors are `failure`, CO_ERR_DATA
// or CO_ERR_IO. To be closed in any case.
co_status co_postgres_open(co_postgres *p, co_context *ctx, const char *url, co_status failure);
void co_postgres_close(co_postgres *p);
co_status co_postgres_connect(co_postgres *p, co_status failure); // again
// Waits before the `attempt`th (from 1) of a few more tries, half a second, then twice as long each; false
// if there are no more, or the failure will not pass. Ends early where *stop.
bool co_postgres_wait(const co_postgres *p, int attempt, const volatile int *stop);
// Runs statements; *result (to be cleared) of the last one, NULL = not wanted.
co_status co_postgres_execute(co_postgres *p, const char *sql, void **result, co_status failure,
                              const char *doing);
co_status co_postgres_failed(co_postgres *p, const void *result, co_status failure,
                             const char *doing);

// Adds "TABLE" or "SCHEMA"."TABLE".
void co_postgres_add_table(co_text *sql, const char *table);

// Reads a table or a query, by a cursor, into a temporary in `folder`: CSV with a header, a missing value
// an empty cell. One snapshot, whatever is written meanwhile. A broken connection begins it anew.
typedef struct co_postgres_read {
  const char *url, *table, *query; // one of both
  const char *folder;
  const volatile int *stop;
} co_postgres_read;
co_status co_postgres_spool(co_atomic_file *out, co_context *ctx, const co_postgres_read *read);

#ifdef __cplusplus
}
#endif
#endif
