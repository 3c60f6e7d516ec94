// SPDX-License-Identifier: Apache-2.0
// What categories have in common, of rows and of events.
#ifndef COHORT_MODELS_FEATURES_CATEGORY_H
#define COHORT_MODELS_FEATURES_CATEGORY_H

#include "models/feature.h"

// Begins the preprocessing options of each.
typedef struct co_category_options {
  int64_t min_frequency, max_size;
} co_category_options;
#define CO_CATEGORY_FIELDS(struct_, member_)                                                       \
  {"min_frequency",                                                                                \
   CO_FIELD_INT,                                                                                   \
   offsetof(struct_, member_.min_frequency),                                                       \
   "1",                                                                                            \
   1,                                                                                              \
   1 << 30,                                                                                        \
   NULL,                                                                                           \
   "Rarer classes in the training rows share one row with missing and unseen ones.",               \
   NULL},                                                                                          \
  {                                                                                                \
    "max_size", CO_FIELD_INT, offsetof(struct_, member_.max_size), "0", 0, 1 << 24, NULL,          \
        "The most frequent classes that have a row of their own; 0: all.", NULL                    \
  }

co_status co_category_declare(co_model *model, co_input_feature *feature);
bool co_category_is_fitted(const co_input_feature *feature);
extern const co_fit_class co_category_fit;
int64_t co_category_table_rows(const co_input_block *block);
// Codes as they are stored, to rows of the table.
co_status co_category_lookup(co_section_builder *builder, co_value codes, co_value *out);

#endif
