// SPDX-License-Identifier: Apache-2.0
// The files that a command is asked to write. A name is checked before the work that fills it: only
// regular files are replaced, and only where that is asked for; never a folder, a device, a pipe or
// a socket, and never what the same command reads. A symbolic link stays; what it leads to is
// written.
#ifndef COHORT_CORE_OUTPUT_H
#define COHORT_CORE_OUTPUT_H

#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_output {
  const char *path;
  bool replace;              // a file that exists
  const char *const *inputs; // what the command reads; NULLs and names of nothing are passed over
  int64_t input_count;
} co_output;

// CO_ERR_IO with the way out if it cannot be written. Changes nothing.
co_status co_output_check(co_context *ctx, const co_output *output);
// Checks, then begins the file; without `replace`, one that appears meanwhile is not replaced
// either.
co_status co_output_begin(co_atomic_file *file, co_context *ctx, const co_output *output);
// Whether a name ends in ".csv", say, in letters of any case, and has something before it.
bool co_output_ends_in(const char *path, const char *ending);

#ifdef __cplusplus
}
#endif
#endif
