// SPDX-License-Identifier: Apache-2.0
// Progress on stderr: one redrawn line on a terminal (at most 10 a second), else plain complete
// lines at most every 30 s (backing off to 5 min after an hour). Never writes '\r' or escapes to
// anything but a terminal. `erase` is called by the log sink before it prints a line.
#ifndef COHORT_CORE_PROGRESS_H
#define COHORT_CORE_PROGRESS_H

#include <stdio.h>

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_progress_mode {
  CO_PROGRESS_AUTO,
  CO_PROGRESS_BAR,
  CO_PROGRESS_PLAIN,
  CO_PROGRESS_NONE
} co_progress_mode;

typedef struct co_progress co_progress;
co_status co_progress_create(co_progress **out, co_context *ctx, FILE *stream,
                             co_progress_mode mode);
void co_progress_free(co_progress *progress);
// Another clock, in seconds, for tests; call before co_progress_begin.
void co_progress_set_clock(co_progress *progress, double (*now)(void *user), void *user);
// Starts a stage of `total` units (0 = unknown); `what` is copied.
void co_progress_begin(co_progress *progress, const char *what, int64_t total, const char *unit);
// `detail` (may be NULL) follows the bar: "loss=0.41 acc=.85". Legal with progress == NULL.
void co_progress_update(co_progress *progress, int64_t done, const char *detail);
void co_progress_end(co_progress *progress);
void co_progress_erase(co_progress *progress);

#ifdef __cplusplus
}
#endif
#endif
