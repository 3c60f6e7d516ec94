// SPDX-License-Identifier: Apache-2.0
// Importing again: an output that the same inputs and options made is left alone.
#ifndef COHORT_DATASETS_IMPORT_EXISTING_H
#define COHORT_DATASETS_IMPORT_EXISTING_H

#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_existing {
  bool up_to_date; // what follows is only then known
  int64_t rows[CO_SPLIT_COUNT];
  char fingerprint[65];
} co_existing;

// Of the file at `path`, which exists: whether it was made by `recipe` (attribute of /source), which
// names all that decides its contents, and is whole. One that is damaged is to be made again; any
// other is CO_ERR_IO, as it would be lost.
co_status co_import_check_existing(co_existing *out, co_context *ctx, const char *path,
                                   const char *recipe);
// What it is made of, for imports that read more of such a file: that one is damaged, as the last error
// says, …
void co_import_warn_damaged(co_context *ctx, const char *path);
// … and the refusal of one that was read (CO_OK), or could not be (`status`). CO_ERR_MEMORY stays.
co_status co_import_refuse_existing(const char *path, co_status status);

#ifdef __cplusplus
}
#endif
#endif
