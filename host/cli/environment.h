// SPDX-License-Identifier: Apache-2.0
// The environment, as far as it bears on threads and libraries, and the process's own limits. Such
// variables are read here alone; the library gets what they say as options.
//
// The libraries read variables of their own: OpenMP's when they are loaded, oneDNN's later. Some of
// those would change results that only recorded things may decide, let a training hang, or end the
// program with a message of the library's own. So the libraries do not get to see them: before they
// are initialised, OMP_*, GOMP_*, DNNL_* and ONEDNN_* are renamed to small letters. Left alone are
// those that change neither results nor what is written where: ONEDNN_VERBOSE, DNNL_VERBOSE, and, if
// they say something known, OMP_WAIT_POLICY, OMP_PROC_BIND, OMP_PLACES (by name) and
// GOMP_SPINCOUNT.
#ifndef COHORT_CLI_ENVIRONMENT_H
#define COHORT_CLI_ENVIRONMENT_H

#include <stdbool.h>

#include "host/core/context.h"

typedef struct cli_environment {
  int threads;               // OMP_NUM_THREADS, its first number; 0 = not given
  int thread_limit;          // OMP_THREAD_LIMIT; 0 = not given
  const char *wrong[2];      // those of the two that are no number, or NULL
  const char *wrong_text[2]; // and what they say
} cli_environment;

void cli_environment_read(cli_environment *out);

// A file of Cohort's in the user's folder for what can be made again: $XDG_CACHE_HOME or ~/.cache. NULL
// where the environment names neither. The folder is made when it is written to.
co_status cli_cache_file(const char **out, co_arena *arena, const char *name);

// The default spinning of GNU OpenMP's waiting threads slows a training down tenfold on a machine that
// others use too. What a shorter spin costs and gives is measured (tests/bench/README.md). The
// library reads this variable before main, so the program starts itself once more with it, unless the
// user says something of it. Does not return then; without /proc the program goes on as it is.
void cli_bound_spinning(char *const *argv);

// cuDNN's recurrent layers compute by cuBLAS on several streams, with equal bits in each run only if each
// stream has scratch memory of its own (NVIDIA's documentation of cudnnRNNForward). That can be told by
// the environment alone, before the library is loaded.
void cli_pin_products(void);

// Makes the stacks of this thread and of those to come as large as they should be. False with a
// recorded error where the main thread's is too small to work on.
bool cli_enlarge_stacks(void);

// Raises the number of files that may be open to what the system allows, 65,536 at most: of many rows each
// part is a temporary file (datasets/raw_rows.h). Best effort.
void cli_allow_files(void);

#endif
