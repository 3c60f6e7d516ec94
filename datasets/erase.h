// SPDX-License-Identifier: Apache-2.0
// Removes what a dataset holds of some customers, down to the bytes: the file is written anew without
// their samples, rows and events, and replaces the old one.
#ifndef COHORT_DATASETS_ERASE_H
#define COHORT_DATASETS_ERASE_H

#include "datasets/dictionary.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_erase_result {
  int64_t samples, events; // removed
  int64_t rows;            // … of entities, joined ones included
  int64_t categories;      // values that no other row had
  int64_t samples_left;
  char fingerprint[65];
} co_erase_result;

// Removed are the rows that have one of `keys`, samples and events of theirs, rows of joined entities
// that nothing else points to, and categories that no row has any more but removed ones had. Also left
// out, with a warning, is what cannot be looked into: columns of role ignore, tables that no sample
// reaches, what /source says besides the schema. A key that no row has is CO_ERR_DATA unless
// `allow_missing`. On any error the file stays as it is. Held in memory is the largest column twice.
co_status co_dataset_erase(co_erase_result *out, co_context *ctx, co_arena *arena, const char *path,
                           const co_dictionary *keys, bool allow_missing);

#ifdef __cplusplus
}
#endif
#endif
