// SPDX-License-Identifier: Apache-2.0
// Reading dataset.h5 (format: datasets/README.md). Opening checks the whole structure and every
// category code, offset and split value, so that later reads cannot go out of range.
#ifndef COHORT_DATASETS_DATASET_H
#define COHORT_DATASETS_DATASET_H

#include "host/core/context.h"
#include "host/core/schema.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_split {
  CO_SPLIT_TRAIN,
  CO_SPLIT_VALIDATION,
  CO_SPLIT_TEST,
  CO_SPLIT_COUNT
} co_split;
const char *co_split_name(co_split split); // "train", "validation", "test"
int co_split_parse(const char *name);      // also "training"; -1 if unknown

typedef struct co_dataset co_dataset;
co_status co_dataset_open(co_dataset **out, co_context *ctx, const char *path);
void co_dataset_close(co_dataset *dataset); // NULL is legal
const char *co_dataset_path(const co_dataset *dataset);
const co_schema *co_dataset_schema(const co_dataset *dataset);
int64_t co_dataset_rows(const co_dataset *dataset); // samples
// Sample indices of a split, ascending; borrowed.
co_status co_dataset_split(co_dataset *dataset, co_split split, const int64_t **rows,
                           int64_t *count);
// SHA-256 over format, schema and the contents' stored checksums: the dataset's identity.
const char *co_dataset_fingerprint(const co_dataset *dataset);

// A column as one dense array over *entity* rows, mapped or loaded, valid until close: what GATHER
// reads. *entity_row maps sample index to entity row, NULL for the identity.
co_status co_dataset_column(co_dataset *dataset, const char *name, const void **data,
                            int64_t *entity_rows, const int64_t **entity_row);
// Copies one column of the given samples to `out`, dense (N, row shape), stored type.
co_status co_dataset_gather(co_dataset *dataset, const char *name, const int64_t *samples,
                            int64_t count, void *out);
enum { CO_DATASET_KEY_MAX = 1023 }; // bytes of a key
// The key of a sample as text: the key column, else the row number; `out` has room for `size`. The
// first call reads and checks all keys.
co_status co_dataset_key(co_dataset *dataset, int64_t sample, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
