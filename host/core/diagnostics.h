// SPDX-License-Identifier: Apache-2.0
// A list of errors, for stages that report all of them at once (config, import, data check).
#ifndef COHORT_CORE_DIAGNOSTICS_H
#define COHORT_CORE_DIAGNOSTICS_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_diagnostics {
  co_context *ctx;
  co_error *item; // owned; in the order added
  int64_t count, capacity;
} co_diagnostics;

void co_diagnostics_init(co_diagnostics *list, co_context *ctx);
void co_diagnostics_free(co_diagnostics *list);
// Adds an error; `hint` may be NULL. Fails only without memory.
co_status co_diagnostics_add(co_diagnostics *list, co_status status, const char *file, long line,
                             long column, const char *hint, const char *format, ...)
    CO_PRINTF(7, 8);
// Adds this thread's current error.
co_status co_diagnostics_add_last(co_diagnostics *list);
// Makes sure that an error of this status leads the list: the first that has it, else this thread's
// current error, else a new one. Fails only without memory.
co_status co_diagnostics_lead(co_diagnostics *list, co_status status);
// CO_OK if empty; else raises the first item (its status is returned).
co_status co_diagnostics_result(const co_diagnostics *list);

// Nearest of `count` words by optimal string alignment distance (at most a third of the length,
// and at least 1), or NULL: for "did you mean".
const char *co_nearest(const char *word, const char *const *words, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
