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

#ifdef __cplusplus
}
#endif
#endif
