// SPDX-License-Identifier: Apache-2.0
// Of libcohort (cohort.h): contexts, and the results that all its functions give.
#ifndef COHORT_COHORT_CONTEXT_H
#define COHORT_COHORT_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define COHORT_API __attribute__((visibility("default")))
#else
#define COHORT_API
#endif

// What a function returns: 0, or the exit code of the command line (README, "Exit codes").
typedef int cohort_status;

typedef struct cohort_context cohort_context;
typedef struct cohort_result cohort_result;

// "0.1.0"
COHORT_API const char *cohort_version(void);

typedef enum cohort_log_level {
  COHORT_LOG_ERROR,
  COHORT_LOG_WARN,
  COHORT_LOG_INFO,
  COHORT_LOG_DEBUG,
  COHORT_LOG_TRACE
} cohort_log_level;

// One record; called from any thread, one at a time.
typedef void (*cohort_log_function)(void *user, int level, const char *event, const char *text);
// `done` of `total` units (0 = unknown) of a stage; `detail` may be NULL. `done` < 0 ends a stage.
typedef void (*cohort_progress_function)(void *user, const char *stage, const char *unit,
                                         int64_t done, int64_t total, const char *detail);

// An epoch of a training (or what was done of the last one) and its validation. NAN: there is none.
typedef struct cohort_epoch {
  int64_t step;           // steps done since the run began
  int64_t number, of;     // which epoch, from 1; of how many at most
  double train_loss;      // mean since the last record (trainer.log_every_n_steps)
  double validation_loss; // total loss on the validation split
  const char *metric;     // trainer.validation_metric; "loss" where none is chosen
  double metric_value;    // on the validation split
  bool best;              // no epoch before was better in it
  double learning_rate;   // of the last step
  double rows_per_second; // while training; without validation and checkpoints
  double seconds;         // since the last call, or since training began or went on
} cohort_epoch;
// Called on the thread that trains. `epoch` and its text are borrowed for the call. True ends the
// training there, as early stopping does.
typedef bool (*cohort_epoch_function)(void *user, const cohort_epoch *epoch);

struct cohort_error; // below
// Asked before an HDF5 file without a checksum of Cohort's is opened (datasets/README.md): a damaged
// one can crash the HDF5 library or keep it busy for ever, so whoever can has another process read
// it first, by cohort_probe. 0: it could be read. Else the status to fail with, `failure` where the
// file is at fault, and *error, whose texts are read before the next call.
typedef cohort_status (*cohort_probe_function)(void *user, const char *path, cohort_status failure,
                                               struct cohort_error *error);
// Called from any thread, often, whenever a piece of work was done (an operation, a block of a file):
// the next call comes within `seconds`, or something is stuck. It must return at once. Before the
// first call nothing has been begun that would have to be finished.
typedef void (*cohort_alive_function)(void *user, int seconds);

typedef struct cohort_context_options {
  int threads; // 0 = one for each core that CPU set and container quota leave, within the limit
  const char *threads_why; // in a few words, for the log, where the number comes from; may be NULL
  int thread_limit;        // more threads are refused (status 6); 0 = no limit
  const char *limit_why;   // in a few words, for the error, where the limit comes from; may be NULL
  int log_level;           // cohort_log_level: what is graver or equal is passed on
  cohort_log_function log; // NULL = silent
  void *log_user;
  cohort_progress_function progress; // NULL = none
  void *progress_user;
  // Set to non-zero (a signal's number) to finish the step, save and return 128 + it; NULL = never.
  const volatile int *stop;
  // Each change of the number asks a training, which answers after the step in work and goes on:
  // for a checkpoint; for a line in the log of where it stands. NULL = never.
  const volatile int *checkpoint, *status;
  cohort_epoch_function epoch; // after each epoch of a training; NULL = none
  void *epoch_user;
  cohort_probe_function probe; // NULL = such files are opened as they are
  void *probe_user;
  cohort_alive_function alive; // NULL = nobody asks
  void *alive_user;
  int standard_output; // the descriptor that an output "-" is written to; 0 = 1
} cohort_context_options;

// `options` NULL = all defaults, warnings as the level. Fails only without memory; *out is then NULL.
COHORT_API cohort_status cohort_context_create(cohort_context **out,
                                               const cohort_context_options *options);
// After the results of its calls have been freed. NULL is legal.
COHORT_API void cohort_context_free(cohort_context *context);

// ---- results -----------------------------------------------------------------------------------
// Functions give a result on success and on failure alike (NULL only without memory), and return the
// status of its first error. What it says stays until it is freed; `result` must not be NULL.
COHORT_API const char *cohort_result_json(const cohort_result *result); // one JSON document
COHORT_API const char *cohort_result_text(const cohort_result *result); // the same for people
typedef struct cohort_error {
  cohort_status status;
  const char *code;    // "config", "data", …
  const char *message; // one line
  const char *file;    // "" if not about a place
  long line, column;   // 1-based, 0 = unknown
  const char *hint;    // "" if none
} cohort_error;
COHORT_API int64_t cohort_result_error_count(const cohort_result *result);
// Fills *out with error i, from 0; false if there is none.
COHORT_API bool cohort_result_error(const cohort_result *result, int64_t i, cohort_error *out);
COHORT_API void cohort_result_free(cohort_result *result); // NULL is legal

#ifdef __cplusplus
}
#endif
#endif
