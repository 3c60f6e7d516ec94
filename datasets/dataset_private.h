// SPDX-License-Identifier: Apache-2.0
// A data set as its own files see it: dataset_open.c describes and checks it, dataset_load.c gets
// the values, dataset.c hands them out. A column is either loaded and checked while opening, or, if
// it is big, dense, stored as delivered and carries a checksum, mapped and checked on first use. So
// opening is quick for image sets, the fingerprint never needs a pass over them, and yet no
// unchecked byte is handed out.
#ifndef COHORT_DATASETS_DATASET_PRIVATE_H
#define COHORT_DATASETS_DATASET_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "datasets/dataset.h"
#include "host/core/h5.h"
#include "host/core/hash.h"

typedef struct dataset_column {
  char *path; // of the dataset holding the values
  bool of_samples;
  int64_t rows;
  size_t row_bytes;
  uint32_t crc;     // of the values as delivered
  const void *data; // mapped or owned; NULL for text
  void *owned;
  // Text and integers of keys; read on first use.
  char **text;
  int64_t *integer;
  atomic_bool ready; // contents checked
} dataset_column;

struct co_dataset {
  co_context *ctx;
  co_arena *arena;
  char *path;
  co_schema schema;
  co_column *columns;    // what schema.columns points to
  dataset_column *parts; // parallel to it
  int64_t capacity;
  char *entity;
  int64_t rows, entity_rows;
  int64_t *entity_row; // NULL = identity
  int64_t *split_rows[CO_SPLIT_COUNT], split_count[CO_SPLIT_COUNT];
  int64_t key; // index of the key column, -1 = none
  char fingerprint[65];
  co_sha256 hash;
  const unsigned char *map; // the whole file; NULL if nothing is mapped
  size_t map_bytes;
  pthread_mutex_t mutex; // guards first use of lazy columns
  // While opening only.
  co_h5 *h5;
};

// An error of the file, at `object` in it.
co_status co_dataset_bad(const co_dataset *d, const char *object, const char *format, ...)
    CO_PRINTF(3, 4);

// ---- dataset_load.c ----------------------------------------------------------------------------

// Maps or reads the values of a column whose description is complete.
co_status co_dataset_load(co_dataset *d, co_column *c, dataset_column *part,
                          const co_h5_info *info);
// The same for one of type text.
co_status co_dataset_load_text(co_dataset *d, dataset_column *part, const co_h5_info *info);
// Makes sure that a column's contents are checked; any thread.
co_status co_dataset_make_ready(co_dataset *d, int64_t index);

#endif
