// SPDX-License-Identifier: Apache-2.0
// What a dataset holds, as models and loader share it without seeing each other.
#ifndef COHORT_CORE_SCHEMA_H
#define COHORT_CORE_SCHEMA_H

#include "host/core/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_column_type {
  CO_COLUMN_NUMBER,   // f32 scalar, NaN = missing
  CO_COLUMN_VECTOR,   // f32 (D)
  CO_COLUMN_CATEGORY, // i32 code, -1 = missing, with category names
  CO_COLUMN_IMAGE,    // u8 (H, W, C)
  CO_COLUMN_TEXT,     // stored integers or text of keys and ignored columns; never delivered
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

typedef struct co_column {
  const char *name;
  co_column_type type;
  co_role role;
  co_dtype dtype; // as stored and delivered: u8 images, i32 codes, f32 numbers
  co_shape shape; // of one row; rank 0 for scalars
  int64_t category_count;
  const char *const *categories;
} co_column;

typedef struct co_schema {
  int64_t column_count;
  const co_column *columns;
} co_schema;

const co_column *co_schema_find(const co_schema *schema, const char *name); // NULL if absent
const char *co_column_type_name(co_column_type type);                       // "number", …
const char *co_role_name(co_role role);                                     // "input", …
int co_column_type_parse(const char *name);                                 // -1 if unknown
int co_role_parse(const char *name);

#ifdef __cplusplus
}
#endif
#endif
