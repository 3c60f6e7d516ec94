// SPDX-License-Identifier: Apache-2.0
// A temporary file without a name: it goes when it is closed, however the process ends. Reads and writes
// are at places of bytes.
#ifndef COHORT_CORE_SCRATCH_H
#define COHORT_CORE_SCRATCH_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

// `beside` is borrowed: a path in whose folder the file lies, and which errors name. Begins with file -1;
// it is opened by the first write.
typedef struct co_scratch {
  co_context *ctx;
  const char *beside;
  int file;
} co_scratch;
co_scratch co_scratch_make(co_context *ctx, const char *beside);
void co_scratch_close(co_scratch *scratch); // a zeroed one is not legal

// Whole or not at all. Any thread may read.
co_status co_scratch_write(co_scratch *scratch, const void *bytes, size_t length, int64_t place);
co_status co_scratch_read(const co_scratch *scratch, void *bytes, size_t length, int64_t place);

#ifdef __cplusplus
}
#endif
#endif
