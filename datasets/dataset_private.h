// SPDX-License-Identifier: Apache-2.0
// A data set as its own files see it: dataset_open.c describes and checks it and its columns,
// dataset_tables.c how samples reach them, dataset_load.c gets the values, dataset.c hands them out. A column is either loaded and checked while opening, or, if
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
  char *path;    // of the dataset holding the values
  int64_t table; // index into the tables
  int64_t rows;
  size_t row_bytes;
  uint32_t crc;                          // of the values as delivered
  uint32_t picture_crc, description_crc; // of what the classes of a category look like, and say
  const void *data;                      // mapped or owned; NULL for text
  void *owned;
  // Texts, and integers of keys; read on first use.
  char **text;
  int64_t *integer;
  atomic_bool ready; // contents checked
  bool pending;      // they are mapped, and co_dataset_check_pending looks at them
  // Numbers that are not stored as float32: as they are stored, mapped or owned.
  co_dtype stored_dtype;
  const void *stored;  // NULL until first asked for, unless mapped
  uint32_t stored_crc; // of pending ones
  void *stored_owned;
} dataset_column;

// Of an ignored column nothing is known.
static inline bool co_dataset_is_unread(const dataset_column *part) {
  return part->rows == 0;
}

enum { DATASET_ENTITY, DATASET_SAMPLES }; // the first two tables; joined ones and events follow

// How samples reach a table, parallel to co_schema.tables.
typedef struct dataset_table {
  char *path;           // "/entities/E", "/samples", "/events/T"
  int64_t *index;       // ENTITY: the row of each sample; NULL = identity
  int64_t *begin, *end; // EVENTS: the rows of each sample
} dataset_table;

// An entity other than the samples' while opening.
typedef struct dataset_entity {
  const char *name;
  const char *path; // of the column that points to it, NULL if none does
  bool of_samples;  // that column has a row for each sample, not for each row of the first entity
  int64_t *rows;    // what it holds
} dataset_entity;

// Of a long list of keys that are texts, those at hand.
typedef struct dataset_keys {
  co_arena *arena; // theirs; NULL = none are
  char **text;
  int64_t first, count;
  int64_t turns; // how often others were wanted
  bool checked;  // against the checksum
} dataset_keys;

struct co_dataset {
  co_context *ctx;
  co_dataset *base; // whose all but splits and fingerprint is; NULL = its own
  co_arena *arena;
  char *path;
  co_schema schema;
  co_column *columns;    // what schema.columns points to
  dataset_column *parts; // parallel to it
  int64_t capacity;
  co_table *tables; // what schema.tables points to
  dataset_table *reach;
  int64_t table_capacity;
  int64_t version;
  char *entity;
  char *recipe;     // NULL if there is none
  char *split_rule; // NULL if there is none
  co_carried *carried;
  int64_t carried_count;
  int64_t rows;
  int64_t *split_rows[CO_SPLIT_COUNT], split_count[CO_SPLIT_COUNT];
  int64_t *as_of; // NULL if absent
  int64_t key;    // index of the key column, -1 = none
  dataset_keys keys;
  char fingerprint[65];
  co_sha256 hash;
  const unsigned char *map; // the whole file; NULL if nothing is mapped
  size_t map_bytes;
  pthread_mutex_t mutex; // guards first use of lazy columns
  // While opening only.
  co_h5 *h5;
  dataset_entity *entities; // all but the samples'
  int64_t entity_count;
};

// An error of the file, at `object` in it.
co_status co_dataset_bad(const co_dataset *d, const char *object, const char *format, ...)
    CO_PRINTF(3, 4);

// ---- dataset_open.c ----------------------------------------------------------------------------

// Adds the columns stored in the group of a table; its number of rows becomes theirs, unless known
// before.
co_status co_dataset_add_columns(co_dataset *d, int64_t table);
// Reads a list of integers; *out, owned by the caller, stays NULL where there is none. *rows: how
// many there must be, of `what`; -1 = any number, which *rows then becomes.
co_status co_dataset_read_integers(co_dataset *d, const char *path, const char *what, int64_t *rows,
                                   int64_t **out);
void co_dataset_hash_text(co_dataset *d, const char *text);
void co_dataset_hash_array(co_dataset *d, const char *name, const int64_t *values, int64_t count);

// ---- dataset_classes.c -------------------------------------------------------------------------

// Describes what the classes of the category in a group look like, and say.
co_status co_dataset_add_class_members(co_dataset *d, const char *group, co_column *c,
                                       dataset_column *part);
// Compares what all categories' classes look like with its checksums.
co_status co_dataset_check_pictures(co_dataset *d);
// What the fingerprint has to say of them.
void co_dataset_hash_class_members(co_dataset *d, const co_column *c, const dataset_column *part);

// ---- dataset_tables.c --------------------------------------------------------------------------

// Lists the entities, and finds the one that the samples are of.
co_status co_dataset_find_entities(co_dataset *d);
co_status co_dataset_add_table(co_dataset *d, co_table_kind kind, const char *name);
// Whether a member of a table's group is no column but says how rows are reached.
bool co_dataset_is_reserved(co_dataset *d, int64_t table, const char *name);
// Sets *is_pointer if the column at `path` points to rows of another entity, and then reads it.
co_status co_dataset_add_pointer(co_dataset *d, int64_t table, const char *path, bool *is_pointer);
// After the samples: tables that are pointed to, and events.
co_status co_dataset_join(co_dataset *d);
co_status co_dataset_add_events(co_dataset *d);
void co_dataset_warn_unused(co_dataset *d);
// Frees what only opening needs.
void co_dataset_end_opening(co_dataset *d);
// What the fingerprint has to say of joined tables and events.
void co_dataset_hash_tables(co_dataset *d);

// ---- dataset_load.c ----------------------------------------------------------------------------

// Maps or reads the values of a column whose description is complete.
co_status co_dataset_load(co_dataset *d, co_column *c, dataset_column *part,
                          const co_h5_info *info);
// The checksum stored with the dataset at `path`; *has = false where there is none.
co_status co_dataset_stored_checksum(co_dataset *d, const char *path, bool *has, uint32_t *out);
// What does not match its checksum.
co_status co_dataset_corrupt(const co_dataset *d, const char *object);
// Checks, on all threads, what co_dataset_load mapped and left for it.
co_status co_dataset_check_pending(co_dataset *d);
// The same as co_dataset_load for one of type text.
co_status co_dataset_load_text(co_dataset *d, const co_column *c, dataset_column *part,
                               const co_h5_info *info);
// Makes sure that a column's contents are checked; any thread.
co_status co_dataset_make_ready(co_dataset *d, int64_t index);
// A copy of the text that names a row of the key's table. They are read some at a time, as they are wanted one
// after the other; in another order all are.
co_status co_dataset_key_text(co_dataset *d, int64_t row, char *out, size_t size, size_t *length);
// Makes sure that a number column's values are there as they are stored; any thread.
co_status co_dataset_make_stored(co_dataset *d, int64_t index);

#endif
