// SPDX-License-Identifier: Apache-2.0
// What a verb is and what it works with. A verb adds its result to `json` or to `text`; the
// framework alone writes stdout, prints errors and chooses the exit code.
#ifndef COHORT_CLI_CLI_H
#define COHORT_CLI_CLI_H

#include <stdio.h>

#include "host/cli/option.h"
#include "host/cli/probe.h"
#include "host/cohort.h"
#include "host/core/diagnostics.h"
#include "host/core/json.h"
#include "host/core/progress.h"

typedef struct cli_verb cli_verb;

// The table of a training: how its last line was laid out.
typedef struct cli_epoch_table {
  unsigned columns; // bit i: column i is shown; 0 = there was no line yet
  bool narrow;      // short heads, one blank between columns
} cli_epoch_table;

typedef struct cli_job {
  co_context *ctx;
  co_arena *arena;
  const cli_verb *verb;     // NULL before one was found
  const cli_common *common; // NULL before the options were read
  co_diagnostics problems;  // errors found so far; the first is the one that counts
  bool as_json;             // --json
  co_json json;             // with it: an open object for the members of the result
  co_text text;             // without: what goes to stdout
  const char *command;      // the words of the command line, for the record
  char *document;           // with it: the library's whole document, in place of `json`
  co_progress *progress;    // NULL = none
  const char *stage;        // of the library that it shows now, NULL between stages
  int64_t kill_at;          // a training's step at which this process kills itself; 0 = none
  FILE *log_file;           // NULL = none
  int hangups;              // after which it was opened last
  bool log_as_json, colored;
  co_log_level level; // what is graver or equal is logged
  bool attended;      // a person reads stderr: no time stamps, and a training's epochs as a table
  cli_epoch_table table;
  int live_lines; // of a table that is to be replaced, 0 = none is shown
  cli_probed probed;
  bool reader_gone;          // of standard output: needs no message
  int result;                // descriptor of standard output
  int threads, thread_limit; // for the library's context: 0 = its default, none
  const char *threads_why;   // of threads, if it is not 0
} cli_job;

struct cli_verb {
  const char *name, *aliases; // aliases separated by blanks, or NULL
  const char *usage;          // "-c CONFIG --dataset FILE [options]"
  const char *summary;        // one line
  const char *details;        // more lines for its own help, or NULL
  const char *topic;          // of cohort_describe, which `help` tells below it, or NULL
  unsigned common;            // CLI_DEVICE | …
  const cli_option *options;
  size_t options_size; // of the struct that `run` gets, which starts with a cli_common
  const char *operand; // see cli_syntax
  int min_operands, max_operands;
  size_t operands;
  // NULL = not there yet: neither listed nor found.
  co_status (*run)(cli_job *cli, const void *options);
};

// The i-th verb that can run, NULL beyond the last; and by name or alias.
const cli_verb *cli_verb_at(int i);
const cli_verb *cli_verb_find(const char *name);
cli_syntax cli_verb_syntax(const cli_verb *verb);
// Fails with the nearest verb as hint.
co_status cli_verb_unknown(const char *name);

// ---- help.c ------------------------------------------------------------------------------------
void cli_help_overview(co_text *text);
void cli_help_verb(co_text *text, const cli_verb *verb);
// That, and below it the verb's topic, which the library knows.
co_status cli_help_told(cli_job *cli, const cli_verb *verb);
co_status cli_show_version(cli_job *cli);

// ---- library.c ---------------------------------------------------------------------------------
// A library context that logs, shows progress and stops as this job does.
co_status cli_library_open(cohort_context **out, cli_job *cli);
// Takes over what a call came to: the result's text, document and errors. Frees it (NULL: there is none)
// and the context; gives the status to return.
co_status cli_library_end(cli_job *cli, cohort_context *context, cohort_status status,
                          cohort_result *result);
co_status cli_library_config(cohort_config *out, cli_job *cli, const cli_common *common);

// ---- epoch_table.c -----------------------------------------------------------------------------
// The line of an epoch into `out`, ended by '\n', with the heads above it where it is the first or
// laid out otherwise than the last one. Of what does not fit into `available` columns the least
// important is left out.
void cli_epoch_line(char *out, size_t size, cli_epoch_table *table, const cohort_epoch *epoch,
                    int available);
// Shows it above the progress bar, if the job is attended.
void cli_show_epoch(cli_job *cli, const cohort_epoch *epoch);

// ---- live.c ------------------------------------------------------------------------------------
// Shows a table of which the first line is the head, as far as it fits, in place of the one before; takes
// it away.
void cli_live_show(cli_job *cli, const char *text);
void cli_live_clear(cli_job *cli);

// ---- output.c ----------------------------------------------------------------------------------
// Applies the common options: log, progress, colours, threads.
co_status cli_configure(cli_job *cli, const cli_common *common);
// Where results go. Once opened, it is a descriptor of its own, and what libraries print on their
// standard output goes to standard error: a JSON document stays alone.
void cli_result_open(cli_job *cli);
// Writes result and errors to where they belong and gives the exit code.
int cli_finish(cli_job *cli, co_status status);

#endif
