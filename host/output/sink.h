// SPDX-License-Identifier: Apache-2.0
// Where a table of scores goes: a file of text, standard output, a table of a database. Whatever it
// is, it is as it was before until the commit, and complete from then on, however the process ends.
// What was written until a position that was saved outlives the process: another goes on from there.
#ifndef COHORT_HOST_OUTPUT_SINK_H
#define COHORT_HOST_OUTPUT_SINK_H

#include "host/cohort.h"
#include "host/eval/score_columns.h"
#include "host/output/journal.h"

typedef struct co_sink_options {
  const char *output; // a file, "-" for standard output, "sqlite:FILE" or "postgresql://…"
  const char *format; // "csv", "tsv", "jsonl" or "h5"; NULL = by the file's name, else csv
  int64_t rows;       // that will come; known when it begins
  // Of a database: its table, and what if that is there: "fail" (NULL), "append", "replace", "upsert"
  // (rows by their key in place of those that have it).
  const char *table, *if_exists;
  bool replace;              // a file that exists
  bool resume;               // go on where a job before was killed, if one was
  const char *const *inputs; // what the command reads, as of co_output
  int64_t input_count;
  const volatile int *stop; // non-zero: wait for nothing any more; NULL = never
  cohort_scores_function
      take; // gets all rows in place of the output, which then is "-"; NULL = none
  void *take_user;
} co_sink_options;

typedef struct co_sink co_sink;
typedef struct co_sink_class {
  co_status (*begin)(co_sink *sink, const co_sink_job *job);
  co_status (*row)(co_sink *sink, const co_score_cell *cells);
  co_status (*save)(co_sink *sink,
                    const co_position *position); // NULL = there is nothing to go on with
  co_status (*finish)(co_sink *sink, const co_position *position); // NULL = nothing is left to do
  co_status (*commit)(co_sink *sink);
  void (*close)(co_sink *sink); // frees; undoes what was neither committed nor saved
} co_sink_class;

struct co_sink {
  const co_sink_class *class_;
  co_context *ctx;
  const co_sink_options *options;  // borrowed, as what they name
  const co_score_columns *columns; // since begin
  co_position at;                  // since begin: where a job before it had come to
  bool complete;                   // since begin: the same job has been done already
  bool discard;                    // the caller's: at the end nothing is left to go on with
  char sha256[65];                 // of a text that is finished, else ""
};

bool co_sink_is_database(const char *output); // a table of one
// The file of an output, without "sqlite:"; NULL of standard output and of servers.
const char *co_sink_file(const char *output);
// What may be told of an output: without a password. The arena's; NULL = no memory.
const char *co_sink_shown(co_arena *arena, const char *output);

// Refuses what cannot be written before there is any: CO_ERR_USAGE, CO_ERR_IO (it exists, it is no
// such file, it is read by the same command).
co_status co_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options);
// With `resume`, as co_sink_job_check where another job was begun.
co_status co_sink_begin(co_sink *sink, const co_score_columns *columns, // borrowed
                        const co_sink_job *job);
co_status co_sink_row(co_sink *sink, const co_score_cell *cells);
// Makes the rows so far safe: `rows` of the position, and what the caller has to know of them.
co_status co_sink_save(co_sink *sink, const co_position *position);
// All rows are in, of which as much is known as will be; the output is not there yet.
co_status co_sink_finish(co_sink *sink, const co_position *position);
co_status co_sink_commit(co_sink *sink);
void co_sink_close(co_sink *sink); // NULL is legal

// ---- for co_sink_open ---------------------------------------------------------------------------
co_status co_text_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options);
co_status co_h5_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options);
co_status co_memory_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options);
co_status co_postgres_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options);
co_status co_sqlite_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options);

#endif
