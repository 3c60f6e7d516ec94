// SPDX-License-Identifier: Apache-2.0
// What features of numbers share: filling in what is missing, and normalisation, per number or
// channel.
#ifndef COHORT_MODELS_FEATURES_NUMERIC_H
#define COHORT_MODELS_FEATURES_NUMERIC_H

#include "models/feature.h"

typedef enum co_normalization {
  CO_NORMALIZATION_NONE,
  CO_NORMALIZATION_ZSCORE, // fitted on training rows
  CO_NORMALIZATION_MINMAX, // to [0, 1]: fitted on training rows
  CO_NORMALIZATION_SCALE   // images: pixel / 255
} co_normalization;

typedef enum co_missing {
  CO_MISSING_AUTO,      // as mean where training rows lack values too, else refused
  CO_MISSING_REFUSE,    // an error naming column and row
  CO_MISSING_MEAN,      // the mean of the training rows in its place
  CO_MISSING_INDICATOR, // the same, and beside the numbers 1 where they were missing, else 0
  CO_MISSING_MEDIAN,    // of the training rows; this and what follows of scalars alone (scalar.h)
  CO_MISSING_MODE,      // their most frequent value, the least of several
  CO_MISSING_CONSTANT,  // fill_value
  CO_MISSING_DROP       // rows without a value are not learned from; elsewhere the mean
} co_missing;

// Begins every class's preprocessing options.
typedef struct co_numeric_options {
  int normalization; // co_normalization
  int missing;       // co_missing; images have none
} co_numeric_options;

extern const char *const co_missing_words[]; // of co_missing
#define CO_MISSING_DOC                                                                             \
  "auto: mean where training rows lack values, too, else refused; indicator: mean, and a flag."
#define CO_SCALAR_MISSING_DOC                                                                      \
  "auto: mean where training rows lack values, too, else refused; indicator: mean, and a flag; "   \
  "constant: fill_value; drop: the row is not learned from, elsewhere mean."
// The fields of numbers: `normalization` of none, zscore and minmax, `missing`.
extern const co_field co_numeric_fields[];

// Fitted arrays f32 (channels): "mean" and "scale", x -> (x - mean) scale; of numbers also "fill",
// what stands in for a missing one (NaN: none may be missing), and "pivot" f64 (1), what is taken off before a stored number is
// rounded to float (0 where its digits suffice; mean and fill are counted from it).
co_status co_numeric_declare(co_model *model, co_input_feature *feature);
bool co_numeric_is_fitted(const co_input_feature *feature);
// Statistics in double, over rows in ascending order.
extern const co_fit_class co_numeric_fit;
// CO_ERR_DATA for a value that is infinite, or missing where that is refused.
co_status co_numeric_check(const co_input_feature *feature, const void *values, int64_t rows,
                           const int64_t *samples, int64_t *counts);
// That error.
co_status co_numeric_refuse(const co_input_feature *feature, double value, int64_t sample);
// Whether float keeps fewer than some ten bits of what the values differ by, so far from zero.
bool co_numeric_is_flattened(double middle, double deviation);
// Fills in what is missing; *flags tells where, if that is asked for, else it is CO_NO_VALUE.
co_status co_numeric_impute(co_section_builder *builder, co_value *value, co_value *flags);
// Puts the flags beside the numbers, if there are any.
co_status co_numeric_join_flags(co_section_builder *builder, co_value *value, co_value flags);
// Of numbers: IMPUTE where missing ones are taken; then NORMALIZE, where there is a normalisation.
co_status co_numeric_emit(co_section_builder *builder, co_value *value);
// The same from the block's rows on.
co_status co_numeric_emit_rows(co_section_builder *builder, co_value *out);
// f32 (N, …) as the column's rows; (N, C) for C scalars, twice as many with an indicator.
co_status co_numeric_describe(const co_input_block *block, co_dtype *dtype, co_shape *shape);

// As an output: the numbers as they are, trained by their squared error.
extern const co_output_class co_numeric_output;

#endif
