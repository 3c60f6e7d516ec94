// SPDX-License-Identifier: Apache-2.0
// What a caller wants to hear of long work, and what he may ask of it between two of its steps.
#ifndef COHORT_CORE_WATCH_H
#define COHORT_CORE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cohort_epoch;

// All members may be NULL. Borrowed.
typedef struct co_watch {
  // `done` of `total` units (0 = unknown) of a stage; `detail` may be NULL. `done` < 0 ends a stage.
  void (*progress)(void *user, const char *stage, const char *unit, int64_t done, int64_t total,
                   const char *detail);
  void *user;
  // After each epoch of a training and its validation; true ends it there. The struct is cohort.h's.
  bool (*epoch)(void *user, const struct cohort_epoch *epoch);
  void *epoch_user;
  const volatile int *stop; // non-zero: finish the step, save, end with CO_INTERRUPTED
  // Each change of the number asks for a checkpoint, or for a line of where the work stands.
  const volatile int *checkpoint, *status;
} co_watch;

static inline void co_watch_progress(const co_watch *watch, const char *stage, const char *unit,
                                     int64_t done, int64_t total, const char *detail) {
  if (watch->progress) watch->progress(watch->user, stage, unit, done, total, detail);
}

static inline bool co_watch_stopped(const co_watch *watch) {
  return watch->stop && *watch->stop;
}

#ifdef __cplusplus
}
#endif
#endif
