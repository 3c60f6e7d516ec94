// SPDX-License-Identifier: Apache-2.0
// What sinks of databases share. A job that may go on after the process was killed writes rows into a
// table of its own, the *part*, and into the table "cohort_jobs" in the same transaction how far it has
// come; in the end one transaction makes the part the table, or adds its rows to it, and notes that the
// job is done. The note of the last job of a table stays: one that is repeated blindly adds no row twice.
#ifndef COHORT_HOST_OUTPUT_SINK_SQL_H
#define COHORT_HOST_OUTPUT_SINK_SQL_H

#include "host/output/sink.h"

typedef enum co_if_exists {
  CO_EXISTS_FAIL,
  CO_EXISTS_APPEND,
  CO_EXISTS_REPLACE,
  CO_EXISTS_UPSERT
} co_if_exists;

typedef struct co_sql_sink {
  const co_score_columns *columns;
  co_if_exists if_exists;
  const char *const *types;  // by co_score_type
  char *name;                // of the table, as cohort_jobs has it
  char *table, *part, *jobs; // in quotes; owned
} co_sql_sink;

// "fail" (NULL), …; a table must be named. CO_ERR_USAGE.
co_status co_sql_check_options(co_if_exists *out, const co_sink_options *options);
co_status co_sql_check_key(const co_sql_sink *s);                    // of an upsert
co_status co_sql_table_exists(const char *where, const char *table); // the error that says so
// The error that the same job has added its rows already.
co_status co_sql_appended(const char *where, const char *table);
void co_sql_hint_mismatch(co_if_exists if_exists);
void co_sql_sink_free(co_sql_sink *s, co_context *ctx);

void co_sql_add_text(co_text *sql, const char *text);        // as a literal
void co_sql_add_columns(co_text *sql, const co_sql_sink *s); // ("a", "b")
void co_sql_add_create(co_text *sql, const co_sql_sink *s, const char *table);
// " ON CONFLICT …" of an upsert, else nothing.
void co_sql_add_conflict(co_text *sql, const co_sql_sink *s);
// The part's rows into the table that is there.
void co_sql_add_move(co_text *sql, const co_sql_sink *s);
// The statements that end a job, but the notice: `there`: the table is. `target`: its bare name in
// quotes, which a part is renamed to.
void co_sql_add_publish(co_text *sql, const co_sql_sink *s, const char *target, bool there);
void co_sql_add_jobs_table(co_text *sql, const co_sql_sink *s);
// Notes a job that begins, how far it is, that it is done.
void co_sql_add_begin_job(co_text *sql, const co_sql_sink *s, const co_sink_job *job);
void co_sql_add_position(co_text *sql, const co_sql_sink *s, const co_position *at, bool done);
// SELECT job, rows, state, done
void co_sql_add_find_job(co_text *sql, const co_sql_sink *s);

#endif
