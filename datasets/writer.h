// SPDX-License-Identifier: Apache-2.0
// Writes dataset.h5 (format: datasets/README.md) for importers. The file appears only with commit;
// equal calls give equal bytes.
#ifndef COHORT_DATASETS_WRITER_H
#define COHORT_DATASETS_WRITER_H

#include "host/core/context.h"
#include "host/core/schema.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_dataset_writer co_dataset_writer;
// Removes temporaries that dead processes left beside `path`, then starts a new one.
co_status co_dataset_writer_create(co_dataset_writer **out, co_context *ctx, const char *path);
// Drops everything; NULL is legal, also after commit.
void co_dataset_writer_free(co_dataset_writer *writer);

// A column of `rows` rows of entity `entity` (NULL: of the samples), which co_dataset_writer_rows
// then fills. Shape, dtype and categories are the column's; CO_COLUMN_TEXT takes dtype i64 or i32
// here. `column->name` and the rest are copied as far as needed.
co_status co_dataset_writer_column(co_dataset_writer *writer, const char *entity,
                                   const co_column *column, int64_t rows);
// Appends rows to the column declared last; `data` has its dtype.
co_status co_dataset_writer_rows(co_dataset_writer *writer, int64_t count, const void *data);
// A key or ignored column of texts.
co_status co_dataset_writer_texts(co_dataset_writer *writer, const char *entity, const char *name,
                                  co_role role, const char *const *text, int64_t rows);
// Which rows are samples: each row of `entity` (entity_row NULL), or the listed ones. `split` and
// `as_of` may be NULL.
co_status co_dataset_writer_samples(co_dataset_writer *writer, const char *entity, int64_t rows,
                                    const int64_t *entity_row, const int64_t *as_of,
                                    const uint8_t *split);
// What it was made from: attribute `name` of /source.
co_status co_dataset_writer_source(co_dataset_writer *writer, const char *name, const char *value);
// Closes, reads everything back, publishes. `fingerprint` as co_dataset_fingerprint, may be NULL.
co_status co_dataset_writer_commit(co_dataset_writer *writer, char fingerprint[65]);

#ifdef __cplusplus
}
#endif
#endif
