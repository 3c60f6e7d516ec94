// SPDX-License-Identifier: Apache-2.0
// Tables are read more than once: what can be read but once, standard input ("-") or a pipe, goes into
// a temporary file first.
#ifndef COHORT_DATASETS_SPOOL_H
#define COHORT_DATASETS_SPOOL_H

#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whether `path` has to be spooled: "-", or no regular file but one that can be read.
bool co_spool_is_needed(const char *path);
// Copies it into a temporary in `folder`, to be removed by co_atomic_abort. `stop` as of imports.
co_status co_spool(co_atomic_file *out, co_context *ctx, const char *path, const char *folder,
                   const volatile int *stop);
// The same of a text.
co_status co_spool_text(co_atomic_file *out, co_context *ctx, const char *text, const char *folder);

#ifdef __cplusplus
}
#endif
#endif
