// SPDX-License-Identifier: Apache-2.0
// Field tables: the one description of an options struct. Parsing, defaults, validation, rendered
// configs, help text and the JSON schema are all made from it. Used by config sections, layers,
// losses, optimizers and schedules.
#ifndef COHORT_CORE_FIELD_H
#define COHORT_CORE_FIELD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_field_type {
  CO_FIELD_BOOL,   // bool
  CO_FIELD_INT,    // int64_t
  CO_FIELD_DOUBLE, // double
  CO_FIELD_STRING, // const char * (in the config's arena), NULL if null
  CO_FIELD_ENUM,   // int: index into `words`
  CO_FIELD_PAIR,   // int64_t[2]: `3` or `[3, 5]` (height, width)
  CO_FIELD_NODE    // const co_node *: a subtree that other code checks; NULL if absent
} co_field_type;

typedef struct co_field {
  const char *key; // NULL ends a table
  co_field_type type;
  size_t offset;            // into the options struct
  const char *fallback;     // default as YAML text; NULL = required
  double minimum, maximum;  // inclusive, for numbers; both 0 = unbounded
  const char *const *words; // ENUM: NULL-terminated; others NULL
  const char *doc;          // one sentence with the unit
  const char *alias;        // another accepted spelling, or NULL
} co_field;

#ifdef __cplusplus
}
#endif
#endif
