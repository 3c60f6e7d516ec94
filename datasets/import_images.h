// SPDX-License-Identifier: Apache-2.0
// A folder of images (datasets/image_folder.h) as a dataset: `image` of one size, `label` of classes,
// keys `file`. All threads read, decode and resize; the result does not depend on how many they are.
#ifndef COHORT_DATASETS_IMPORT_IMAGES_H
#define COHORT_DATASETS_IMPORT_IMAGES_H

#include "datasets/dataset.h"
#include "datasets/image_recipe.h"
#include "datasets/import.h"
#include "datasets/rejects.h"
#include "datasets/split_rows.h"
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_import_images_options {
  const char *output;
  const char *folder;
  const char *labels; // a table that names files of the folder, with attributes; NULL = all of it
  co_image_recipe recipe;
  // Of folders that say nothing of splits: by random or stratified rule, copies of a file together.
  const co_split_rule *split; // NULL = random
  // Of those that do, without validation: the share of training rows that becomes it. < 0 = 0.1.
  double validation_fraction;
  uint64_t seed;
  bool force;                // replace an existing output
  co_reject_rule errors;     // fail or skip
  int64_t most_pixels;       // of an image
  bool unlabelled;           // neither classes nor splits count: all rows are to be scored
  co_atomic_file *temporary; // not NULL: the dataset stays one, to be ended by co_atomic_abort
  co_import_progress progress;
  void *progress_user;
  const volatile int *stop;
} co_import_images_options;

typedef struct co_import_images_result {
  int64_t rows[CO_SPLIT_COUNT];
  int64_t height, width, channels, classes;
  int64_t files, skipped; // images found; of these, left out
  int64_t duplicates;     // images whose file occurred before
  int64_t others;         // files that are no images by their names
  bool up_to_date;        // an equal output existed and was left alone
  char fingerprint[65];
} co_import_images_result;

// What is left out is added to `skipped`, each with its file.
co_status co_import_images(co_import_images_result *out, co_context *ctx,
                           const co_import_images_options *options, co_diagnostics *skipped);

#ifdef __cplusplus
}
#endif
#endif
