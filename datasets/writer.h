// SPDX-License-Identifier: Apache-2.0
// Writes dataset.h5 (format: datasets/README.md) for importers. The file appears only with commit;
// equal calls give equal bytes.
#ifndef COHORT_DATASETS_WRITER_H
#define COHORT_DATASETS_WRITER_H

#include "datasets/dataset.h"
#include "host/core/context.h"
#include "host/core/file.h"
#include "host/core/schema.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_dataset_writer co_dataset_writer;
// Removes temporaries that dead processes left beside `path`, then starts a new one.
co_status co_dataset_writer_create(co_dataset_writer **out, co_context *ctx, const char *path);
// Drops everything; NULL is legal, also after commit.
void co_dataset_writer_free(co_dataset_writer *writer);

// A column of `rows` rows of a table, which co_dataset_writer_rows then fills: an entity, events
// declared by co_dataset_writer_events, or NULL for the samples. Shape, dtype and categories are the
// column's; CO_COLUMN_TEXT takes dtype i64 or i32 here, CO_COLUMN_BINARY also u8 or i32, with the
// texts of 0 and 1 as categories or none. `column->name` and the rest are copied as far as needed.
co_status co_dataset_writer_column(co_dataset_writer *writer, const char *table,
                                   const co_column *column, int64_t rows);
// Appends rows to the column declared last; `data` has its dtype.
co_status co_dataset_writer_rows(co_dataset_writer *writer, int64_t count, const void *data);
// The same for columns that are filled side by side: `*id` is for co_dataset_writer_append, which
// may be called for any of them until commit.
co_status co_dataset_writer_open_column(co_dataset_writer *writer, const char *table,
                                        const co_column *column, int64_t rows, int64_t *id);
co_status co_dataset_writer_append(co_dataset_writer *writer, int64_t id, int64_t count,
                                   const void *data);
// The same for a column of texts, which may be an input.
co_status co_dataset_writer_open_texts(co_dataset_writer *writer, const char *table,
                                       const char *name, co_role role, int64_t rows, int64_t *id);
co_status co_dataset_writer_append_texts(co_dataset_writer *writer, int64_t id, int64_t count,
                                         const char *const *text);
// What the classes of a category column, declared before, look like: u8 (classes, H, W, C) of `picture`
// (H, W, C), filled by co_dataset_writer_append; and what they say, at once.
co_status co_dataset_writer_open_pictures(co_dataset_writer *writer, const char *table,
                                          const char *name, const co_shape *picture,
                                          int64_t classes, int64_t *id);
co_status co_dataset_writer_descriptions(co_dataset_writer *writer, const char *table,
                                         const char *name, const char *const *text,
                                         int64_t classes);
// A key or ignored column of texts, at once.
co_status co_dataset_writer_texts(co_dataset_writer *writer, const char *table, const char *name,
                                  co_role role, const char *const *text, int64_t rows);
// Which rows are samples: each row of `entity` (entity_row NULL), or the listed ones. `split` and
// `as_of` may be NULL.
co_status co_dataset_writer_samples(co_dataset_writer *writer, const char *entity, int64_t rows,
                                    const int64_t *entity_row, const int64_t *as_of,
                                    const uint8_t *split);
// Joins entity `target`: column `name` of the samples' entity (or, NULL, of the samples) holds the
// row of `target` that belongs to each of its rows.
co_status co_dataset_writer_pointer(co_dataset_writer *writer, const char *entity, const char *name,
                                    const char *target, int64_t rows, const int64_t *target_row);
// Declares a table of events of `entity`, whose columns follow: those of its row r are offsets[r] …
// offsets[r + 1] - 1 of entity_rows + 1 offsets. `time` names their number column of times, NULL =
// none.
co_status co_dataset_writer_events(co_dataset_writer *writer, const char *table, const char *entity,
                                   const char *time, int64_t entity_rows, const int64_t *offsets);
// The events [begin, end) that each sample sees; after co_dataset_writer_samples.
co_status co_dataset_writer_ranges(co_dataset_writer *writer, const char *table, int64_t rows,
                                   const int64_t *begin, const int64_t *end);
// What it was made from: attribute `name` of /source.
co_status co_dataset_writer_source(co_dataset_writer *writer, const char *name, const char *value);
// A joined table that models take along, as co_carried.
co_status co_dataset_writer_carried(co_dataset_writer *writer, const char *table, const char *text);
// Where the dataset goes, open, that a commit reads back; the caller closes it. Else the commit does.
void co_dataset_writer_hand_out(co_dataset_writer *writer, co_dataset **dataset);
// Closes, reads everything back, publishes. `fingerprint` as co_dataset_fingerprint, may be NULL.
co_status co_dataset_writer_commit(co_dataset_writer *writer, char fingerprint[65]);
// The same, but the temporary is handed out, not published: to be renamed, or removed by
// co_atomic_abort, which ends its use in any case. Without a `fingerprint` nothing is read back: it is opened
// next.
co_status co_dataset_writer_commit_temporary(co_dataset_writer *writer, char fingerprint[65],
                                             co_atomic_file *out);

#ifdef __cplusplus
}
#endif
#endif
