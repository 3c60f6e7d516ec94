// SPDX-License-Identifier: Apache-2.0
// A study in a file: a database of SQLite in Optuna's own schema (that of Optuna 3.2 to 5.0), so that
// Optuna and its dashboard read it, and what they have made is read. A new file has one study, one of
// Optuna's may have several; times are in UTC, as Optuna 5 has them. A study may be open in several
// processes; calls of one co_study must not overlap.
#ifndef COHORT_HOST_TUNE_STUDY_H
#define COHORT_HOST_TUNE_STUDY_H

#include "host/tune/space.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_trial_state {
  CO_TRIAL_RUNNING,
  CO_TRIAL_COMPLETE,
  CO_TRIAL_PRUNED,
  CO_TRIAL_FAIL,
  CO_TRIAL_WAITING
} co_trial_state;
const char *co_trial_state_name(co_trial_state state); // "RUNNING", as Optuna writes it

typedef struct co_trial_value {
  int64_t trial, step;
  double value; // NaN where there is none
} co_trial_value;

// An attribute of a study or a trial.
typedef struct co_attribute {
  const char *key, *json;
  bool system; // of Optuna's own, else the user's
} co_attribute;

typedef struct co_attributes {
  const co_attribute *item; // the user's first, by when they were first set
  int64_t count;
} co_attributes;

typedef struct co_trial {
  int64_t id, number; // of the database; 0, 1, … within the study
  co_trial_state state;
  double *values;                       // per parameter of the space, NaN where it does not count
  double value, second;                 // of the goals; NaN = none
  const char *started, *ended, *reason; // NULL = none; why it failed
  const co_trial_value *steps;          // values on the way, ascending by step
  int64_t step_count;
  co_attributes attributes;
  bool own;          // this program began it, not Optuna
  bool infeasible;   // it breaks a constraint, as `constraints` of Optuna's tell
  const char *fixed; // of one that waits: the values it is to have, as JSON; else NULL
  int64_t thaw_round,
      thaw_from; // of one that was thawed: the round, from 1, and its last step before
} co_trial;

typedef struct co_trials {
  co_trial *item; // by number
  int64_t count;
} co_trials;

typedef struct co_study co_study;

// Opens the study of a file: that of this name, NULL = the only one. CO_ERR_IO where it is no database
// of Optuna's, of another version of its schema, or has no such study.
co_status co_study_open(co_study **out, co_context *ctx, const char *path, const char *name,
                        bool writable);
// Begins a new file, which appears by rename with its study in it, whole.
typedef struct co_study_start {
  const char *name, *metric, *second; // of the study; of its goals, as people read them; NULL = one
  bool maximize, maximize_second;
  const char *const *keys, *const *values; // user attributes, as JSON
  int64_t count;
} co_study_start;
co_status co_study_create(co_context *ctx, const char *path, const co_study_start *start);
void co_study_close(co_study *study); // NULL is legal

const char *co_study_path(const co_study *study);
const char *co_study_name(const co_study *study);
bool co_study_maximizes(const co_study *study, int goal); // 0 or 1
int co_study_goals(const co_study *study);                // 1 or 2
// Where its runs are: FILE.KIND, of a file's other studies than the first FILE.ID.KIND; the arena's.
char *co_study_folder(const co_study *study, co_arena *arena, const char *kind);
// A user attribute of the study, as JSON; *text is NULL where there is none, else the arena's.
co_status co_study_attribute(const char **text, co_study *study, co_arena *arena, const char *key);

// All of them, of the study itself; the arena's.
co_status co_study_attributes(co_attributes *out, co_study *study, co_arena *arena);

// The parameters that its trials have, in their order, each with the widest range; the arena's. What
// Optuna has never seen (`when`, paths, places in a config) is not told.
co_status co_study_space(co_space *out, co_study *study, co_arena *arena);

// All trials, with what they tell of the parameters of `space`; the arena's. `steps`: with values on
// the way.
co_status co_study_trials(co_trials *out, co_study *study, const co_space *space, co_arena *arena,
                          bool steps);

// What is written between these is written at once, and nobody else writes meanwhile.
co_status co_study_begin(co_study *study);
co_status co_study_end(co_study *study, co_status status); // gives `status`, unless it fails itself
// A new one that runs, with number `number`; *id is the database's.
co_status co_study_add(co_study *study, int64_t number, const co_space *space, const double *values,
                       int64_t *id);
// One that waits, since somebody has enqueued it, runs.
co_status co_study_start_waiting(co_study *study, int64_t id, int64_t number, const co_space *space,
                                 const double *values);
co_status co_study_report(co_study *study, int64_t id, int64_t step, double value);
// A pruned one runs again.
co_status co_study_thaw(co_study *study, int64_t id, int64_t round, int64_t last_step);
// A failed one runs again.
co_status co_study_retry(co_study *study, int64_t id);
// How people read its goals; NULL where that is not told. The arena's.
co_status co_study_goal_names(char *names[2], co_study *study, co_arena *arena);
// Sets how people read its goals; `second` NULL = there is one.
co_status co_study_name_goals(co_study *study, const char *metric, const char *second);
// Sets a user attribute of the study, JSON.
co_status co_study_note(co_study *study, const char *key, const char *json);
// Ends a trial. A value NaN = none, as the second of a study of one goal; `reason` NULL = none.
co_status co_study_finish(co_study *study, int64_t id, co_trial_state state, double value,
                          double second, const char *reason);

#ifdef __cplusplus
}
#endif
#endif
