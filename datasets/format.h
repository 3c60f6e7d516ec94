// SPDX-License-Identifier: Apache-2.0
// What reader and writer of dataset.h5 share.
#ifndef COHORT_DATASETS_FORMAT_H
#define COHORT_DATASETS_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CO_DATASET_FORMAT "cohort-dataset"
#define CO_DATASET_KIND "dataset" // what h5.h calls the kind of a file
enum {
  // Values beyond this are mapped and checked on their first use, where they have a checksum; the
  // file's own leaves them out. It has room for this many columns.
  CO_DATASET_LAZY_BYTES = 1 << 20,
  CO_DATASET_LAZY_COLUMNS = 250,
  CO_DATASET_VERSION = 1,                             // tables and images
  CO_DATASET_VERSION_RELATIONAL = 2,                  // with events, joined tables, binary columns
  CO_DATASET_NAME_MAX = 200,                          // bytes of a column's or an entity's name
  CO_DATASET_BASE_MAX = 2 * CO_DATASET_NAME_MAX + 32, // "/entities/E/C"
  CO_DATASET_PATH_MAX = CO_DATASET_BASE_MAX + 16      // "/entities/E/C/categories"
};

// 1 to CO_DATASET_NAME_MAX bytes of UTF-8 without '/' and control characters, not "." or "..".
bool co_dataset_name_ok(const char *name);
// CRC-32C over the texts, each with its terminating NUL: the checksum of a text column.
uint32_t co_dataset_text_checksum(const char *const *text, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
