// SPDX-License-Identifier: Apache-2.0
// What a dataset holds, as models and loader share it without seeing each other.
#ifndef COHORT_CORE_SCHEMA_H
#define COHORT_CORE_SCHEMA_H

#include "host/core/json.h"
#include "host/core/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_column_type {
  CO_COLUMN_NUMBER,   // f32 scalar, NaN = missing
  CO_COLUMN_VECTOR,   // f32 (D)
  CO_COLUMN_CATEGORY, // i32 code, -1 = missing, with category names
  CO_COLUMN_BINARY,   // f32 0 or 1, NaN = missing, with the names of both, that of 1 last
  CO_COLUMN_IMAGE,    // u8 (H, W, C)
  CO_COLUMN_DATE,     // f32 seconds since 1970-01-01 UTC, NaN = missing; stored in double
  CO_COLUMN_TEXT,     // texts, of keys also integers; handed out as they are, not as numbers
  CO_COLUMN_TYPE_COUNT
} co_column_type;

typedef enum co_role {
  CO_ROLE_INPUT,
  CO_ROLE_TARGET,
  CO_ROLE_KEY,    // identifies a row in outputs: any integer or text, read as text
  CO_ROLE_WEIGHT, // f32 sample weight, >= 0
  CO_ROLE_IGNORE,
  CO_ROLE_COUNT
} co_role;

// Every column belongs to a table; its kind says how a sample reaches the table's rows.
typedef enum co_table_kind {
  CO_TABLE_SAMPLES, // one row a sample
  CO_TABLE_ENTITY,  // by the sample's index into the table
  CO_TABLE_EVENTS   // by the sample's range [begin, end) of rows, of one entity, in order of time
} co_table_kind;

// The name of the samples' own table; no other can be called so, for names have no '/'.
#define CO_SAMPLES_TABLE "/samples"

typedef struct co_table {
  const char *name;
  co_table_kind kind;
  int64_t rows;
  const char *entity; // of events: whose they are; else NULL
  const char *time;   // of events: the column with their times, NULL if none is named; else NULL
} co_table;

// What a target tells of the time [cut-off + gap, cut-off + gap + window) of its sample: whether the
// entity buys, how often, for how much.
typedef enum co_label_kind {
  CO_LABEL_NONE, // it is no such target, or not known to be one
  CO_LABEL_ANY,
  CO_LABEL_COUNT,
  CO_LABEL_SUM,
  CO_LABEL_KIND_COUNT
} co_label_kind;

typedef struct co_label {
  co_label_kind kind;
  int64_t gap, window; // seconds
} co_label;

typedef struct co_column {
  const char *name;
  const char *table; // name of its table; NULL where a schema has no tables
  co_column_type type;
  co_role role;
  co_dtype dtype; // as stored and delivered: u8 images, i32 codes, f32 others
  co_shape shape; // of one row; rank 0 for scalars
  int64_t category_count;
  const char *const *categories;
  co_shape
      picture; // of a category whose classes each have one: (H, W, C) of u8; rank 0 = they have none
  bool described; // of a category: its classes each have a text
  int64_t
      new_classes; // of a model that scores: whose codes follow, and which it knows by these alone; of a
                   // target, the last of its categories
  bool any; // of a model: it stands for the only input column of what is scored, whatever its name
  co_label label; // of targets
} co_column;

typedef struct co_schema {
  int64_t column_count;
  const co_column *columns;
  int64_t table_count; // 0 where only columns are known
  const co_table *tables;
} co_schema;

// A joined table that models take along: its key and columns as CSV, names first.
typedef struct co_carried {
  const char *name, *text;
} co_carried;

// What a column says of such classes.
typedef struct co_class_values {
  const char *column;
  const void *values; // f32 numbers, i32 codes
} co_class_values;

// Classes of a category that a model has not, in the order of their codes.
typedef struct co_new_classes {
  const char *column; // NULL = there are none
  int64_t count;
  const char *target;       // which has them, too, behind its own; NULL = none
  const char *const *names; // of a target
  const co_class_values *values;
  int64_t value_count;
  const uint8_t *pictures;         // as co_column.picture has them; NULL = none
  int64_t picture_bytes;           // of each
  const char *const *descriptions; // NULL = none
} co_new_classes;

const co_column *co_schema_find(const co_schema *schema, const char *name); // NULL if absent
const co_table *co_schema_table(const co_schema *schema, const char *name); // NULL if absent
const co_table *
co_schema_entity(const co_schema *schema);            // of samples: the first one; NULL if absent
const char *co_column_type_name(co_column_type type); // "number", …
co_dtype co_column_type_dtype(co_column_type type);   // as delivered
int co_column_type_rank(co_column_type type);         // of one row; -1: none is delivered
bool co_column_type_has_names(co_column_type type);   // of its classes
const char *co_table_kind_name(co_table_kind kind);   // "samples", "entity", "events"
const char *co_role_name(co_role role);               // "input", …
// type, role, shape and categories, if there are some, into an open object.
void co_column_render(co_json *json, const co_column *column);
const char *co_label_kind_name(co_label_kind kind); // "any", "count", "sum"; "none"
int co_column_type_parse(const char *name);         // -1 if unknown
int co_role_parse(const char *name);
bool co_label_ok(const co_label *label);   // gap >= 0, window > 0, both less than 10,000 years
int co_label_kind_parse(const char *name); // -1 also of "none"

#ifdef __cplusplus
}
#endif
#endif
