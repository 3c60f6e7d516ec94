// SPDX-License-Identifier: Apache-2.0
// Importers write dataset.h5 atomically: on any failure nothing appears.
#ifndef COHORT_DATASETS_IMPORT_H
#define COHORT_DATASETS_IMPORT_H

#include "host/core/context.h"
#include "host/core/diagnostics.h"

#ifdef __cplusplus
extern "C" {
#endif

// Progress of long stages: `done` of `total` units; may be NULL.
typedef void (*co_import_progress)(void *user, const char *what, int64_t done, int64_t total);

typedef struct co_idx_pair {
  const char *images, *labels; // IDX files (plain or gzip); NULL = not given
} co_idx_pair;

typedef struct co_import_idx_options {
  const char *output;
  co_idx_pair training, validation, test; // training is required
  // Without a validation pair: the share of training rows that becomes the validation split, by
  // seeded hash of the row's content (duplicates stay together). 0 = none. Default 0.1.
  double validation_fraction;
  uint64_t seed;                  // default 42
  const char *const *class_names; // NULL = "0", "1", …
  int64_t class_name_count;
  bool force; // replace an existing output
  co_import_progress progress;
  void *progress_user;
  const volatile int *stop; // non-zero: end with CO_INTERRUPTED and no output; NULL = never
} co_import_idx_options;

typedef struct co_import_result {
  int64_t rows[3]; // per split
  int64_t height, width, channels, classes;
  int64_t duplicates; // rows whose content occurred before
  bool up_to_date;    // an equal output existed and was left alone
  char fingerprint[65];
} co_import_result;

// Image column "image", target column "label". All problems found are added to `problems`.
co_status co_import_idx(co_import_result *out, co_context *ctx,
                        const co_import_idx_options *options, co_diagnostics *problems);

#ifdef __cplusplus
}
#endif
#endif
