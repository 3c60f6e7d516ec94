// SPDX-License-Identifier: Apache-2.0
// Codes as rows of a table: the frequent ones have a row of their own, all others share row 0.
#ifndef COHORT_MODELS_FEATURES_VOCABULARY_H
#define COHORT_MODELS_FEATURES_VOCABULARY_H

#include "models/feature.h"

// Begins the options of classes that use it.
typedef struct co_vocabulary_options {
  int64_t min_frequency, max_size;
} co_vocabulary_options;

#define CO_VOCABULARY_FIELDS                                                                       \
  {"min_frequency",                                                                                \
   CO_FIELD_INT,                                                                                   \
   offsetof(co_vocabulary_options, min_frequency),                                                 \
   "1",                                                                                            \
   1,                                                                                              \
   1 << 30,                                                                                        \
   NULL,                                                                                           \
   "Rarer ones in the training rows share one row with missing and unseen ones.",                  \
   NULL},                                                                                          \
  {                                                                                                \
    "max_size", CO_FIELD_INT, offsetof(co_vocabulary_options, max_size), "0", 0, 1 << 24, NULL,    \
        "The most frequent ones that have a row of their own; 0: all.", "max_vocabulary"           \
  }

// Declares "vocabulary" i32 (codes + 1): [code + 1] is the row, [0] that of what is missing. Codes are
// the column's, or, of a feature that is derived, what is made of a row.
co_status co_vocabulary_declare(co_model *model, co_input_feature *feature, int64_t codes);
int64_t co_vocabulary_rows(const co_input_block *block);
bool co_vocabulary_is_fitted(const co_input_feature *feature); // always

// Counting, as co_fit_class asks for it.
typedef struct co_vocabulary_counts {
  int64_t *count; // per code
} co_vocabulary_counts;
co_status co_vocabulary_begin(co_context *ctx, const co_input_feature *feature, void *state);
co_status co_vocabulary_add(const co_input_feature *feature, void *state, const void *values,
                            int64_t rows, const int64_t *samples);
co_status co_vocabulary_end(co_context *ctx, co_input_feature *feature, void *state);
void co_vocabulary_free(co_context *ctx, void *state);
extern const co_fit_class co_vocabulary_fit;

co_status co_vocabulary_check(const co_input_feature *feature, const void *values, int64_t rows,
                              const int64_t *samples, int64_t *counts);
// i32 (N, 1)
co_status co_vocabulary_describe(const co_input_block *block, co_dtype *dtype, co_shape *shape);
co_status co_vocabulary_emit(co_section_builder *builder, co_value *out);

#endif
