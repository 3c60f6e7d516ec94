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
// The file was renamed: what is read of it later is read there. Before other threads use it.
co_status co_dataset_renamed(co_dataset *dataset, const char *path);
const co_schema *co_dataset_schema(const co_dataset *dataset);
int64_t co_dataset_rows(const co_dataset *dataset); // samples
// Sample indices of a split, ascending; borrowed.
co_status co_dataset_split(co_dataset *dataset, co_split split, const int64_t **rows,
                           int64_t *count);
// The same data with other splits: `split` has the co_split of each sample; CO_SPLIT_COUNT = in none.
// It shares all else with `dataset`, which must outlive it, and has a fingerprint of its own.
co_status co_dataset_resplit(co_dataset **out, co_dataset *dataset, const uint8_t *split);
// Samples that are others but for the events of one table, of which they see [begin, end)
// (co_dataset_ranges).
typedef struct co_dataset_cuts {
  const int64_t *sample;
  int64_t *begin, *end, count;
} co_dataset_cuts;
// The same data with these samples, in no split. It shares all else with `dataset`, which must outlive it;
// `begin` and `end` are borrowed.
co_status co_dataset_cut(co_dataset **out, co_dataset *dataset, const char *events,
                         const co_dataset_cuts *cuts);
// What an importer made it of, a schema file as YAML (datasets/recipe.h); NULL = not known. It does
// not count for the fingerprint.
const char *co_dataset_recipe(const co_dataset *dataset);
// By which rule it was split, "SEED RULE" (datasets/split_rows.h); NULL = not known. As the recipe.
const char *co_dataset_split_rule(const co_dataset *dataset);
// The joined tables that travel in models trained on it; borrowed.
const co_carried *co_dataset_carried(const co_dataset *dataset, int64_t *count);
// SHA-256 over format, schema and the contents' stored checksums: the dataset's identity.
const char *co_dataset_fingerprint(const co_dataset *dataset);

// Checks the contents of all columns but texts and ignored ones, on all threads, and holds none.
co_status co_dataset_check_all(co_dataset *dataset);

// Gives back the memory of what is mapped of the file; it comes again when it is read.
void co_dataset_release(co_dataset *dataset);

// A column as one dense array over the rows of its table, mapped or loaded, valid until close: what
// GATHER reads. *index maps a sample to its row, NULL for the identity. Of an event table a sample
// has no one row but a range (co_dataset_ranges): asking for its index is an error, pass NULL.
co_status co_dataset_column(co_dataset *dataset, const char *name, const void **data, int64_t *rows,
                            const int64_t **index);
// The same of a column of texts, which are UTF-8, empty where they are missing; read on first use.
co_status co_dataset_texts(co_dataset *dataset, const char *name, const char *const **text,
                           int64_t *rows, const int64_t **index);
// Copies one column of the given samples to `out`, dense (N, row shape), delivered type. Not for
// columns of events.
co_status co_dataset_gather(co_dataset *dataset, const char *name, const int64_t *samples,
                            int64_t count, void *out);
// The row of each sample in an entity's table (of a joined one: composed of the sample's row of the
// first entity and the pointer there), NULL for the identity; borrowed.
co_status co_dataset_index(co_dataset *dataset, const char *table, const int64_t **index);
// The cut-off of each sample, in seconds since 1970-01-01 UTC; NULL where none is stored; borrowed.
const int64_t *co_dataset_as_of(const co_dataset *dataset);
// The rows [begin, end) of an event table that each sample sees; within one entity and in order of
// time; begin = end where there are none. Borrowed.
co_status co_dataset_ranges(co_dataset *dataset, const char *table, const int64_t **begin,
                            const int64_t **end);

// A number, binary or date column as it is stored, not rounded to float32, over the rows of its table;
// valid until close. For what is fitted, and for numbers whose digits float32 does not hold.
typedef struct co_numbers {
  co_dtype dtype; // u8, i32, i64, f32 or f64
  const void *values;
  int64_t rows;
} co_numbers;
co_status co_dataset_numbers(co_dataset *dataset, const char *name, co_numbers *out);
// The value of a row; integers beyond 2^53 are rounded to double. NaN = missing.
static inline double co_numbers_at(const co_numbers *n, int64_t row) {
  switch (n->dtype) {
  case CO_U8:
    return ((const uint8_t *)n->values)[row];
  case CO_I32:
    return ((const int32_t *)n->values)[row];
  case CO_I64:
    return (double)((const int64_t *)n->values)[row];
  case CO_F32:
    return (double)((const float *)n->values)[row];
  default:
    return ((const double *)n->values)[row];
  }
}
// out[k * stride] = (float)(value of row begin + k - pivot), for k < count: with a pivot amid the
// values their differences keep their digits. Pivot 0 gives what co_dataset_column gives.
void co_numbers_deliver(const co_numbers *numbers, double pivot, int64_t begin, int64_t count,
                        float *out, int64_t stride);

// What the classes of a category look like, u8 (classes, H, W, C), and what they say, in the arena: of a
// column with `picture`, and `described`. Read from the file, and compared with its checksum.
co_status co_dataset_pictures(co_dataset *dataset, const char *name, uint8_t *out);
co_status co_dataset_descriptions(co_dataset *dataset, const char *name, co_arena *arena,
                                  const char *const **out);

// The column that names samples: the key in /samples, else that of their entity; NULL = none.
const co_column *co_dataset_key_column(const co_dataset *dataset);
enum { CO_DATASET_KEY_MAX = 1023 }; // bytes of a key
// Reads and checks the keys now instead of with the first one asked for.
co_status co_dataset_load_keys(co_dataset *dataset);
// The key of a sample as text: the key column, else the row number; `out` has room for `size`.
co_status co_dataset_key(co_dataset *dataset, int64_t sample, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
