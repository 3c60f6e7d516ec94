// SPDX-License-Identifier: Apache-2.0
// How far a job of scoring has come, beside the file that it writes, so that another process can go on
// where it was killed: PATH.journal, a line for each position that is safe on disk, none of which is
// ever changed. A line that was cut short does not count.
#ifndef COHORT_HOST_OUTPUT_JOURNAL_H
#define COHORT_HOST_OUTPUT_JOURNAL_H

#include "host/core/context.h"

// What makes two jobs one and the same: hashes of the model, of the rows and of all that was asked for.
typedef struct co_sink_job {
  char model[65], source[65], options[65];
} co_sink_job;

typedef struct co_position {
  int64_t rows;  // that were scored and are safe
  int64_t bytes; // of a file
  char *state;   // what else goes on, a word without blanks; owned; NULL = nothing
} co_position;

// As text, 3 hashes and blanks: what is stored of a job.
void co_sink_job_print(char out[200], const co_sink_job *job);
// Whether what is stored is this job. Else the error says what has changed: CO_ERR_DATA (the rows),
// CO_ERR_MODEL, CO_ERR_USAGE (the options).
co_status co_sink_job_check(const char *stored, const co_sink_job *job, const char *output);

typedef struct co_journal co_journal;
// Reads the last position of PATH.journal into *at, which is left alone where there is no journal, and
// is of no rows where there is none in it. CO_ERR_IO if it is no journal; of one with rows as
// co_sink_job_check.
co_status co_journal_read(co_position *at, co_context *ctx, const char *path,
                          const co_sink_job *job);
// Begins the journal anew, with that position.
co_status co_journal_begin(co_journal **out, co_context *ctx, const char *path,
                           const co_sink_job *job, const co_position *at);
co_status co_journal_add(co_journal *journal, const co_position *position); // and syncs it
void co_journal_close(co_journal *journal);                                 // NULL is legal
co_status co_journal_remove(co_context *ctx, const char *path);

#endif
