// SPDX-License-Identifier: Apache-2.0
// Numbers by group: what the training rows of a class have in another column, as an input.
#ifndef COHORT_MODELS_FEATURES_GROUPS_H
#define COHORT_MODELS_FEATURES_GROUPS_H

#include "models/feature.h"

typedef enum co_group_function {
  CO_GROUP_MEAN,
  CO_GROUP_STD,
  CO_GROUP_MIN,
  CO_GROUP_MAX,
  CO_GROUP_SUM,
  CO_GROUP_COUNT, // of rows; this and the next need no other column
  CO_GROUP_SHARE  // of the training rows
} co_group_function;

// Begins the options of classes that use it.
typedef struct co_group_options {
  int function;
  double smoothing; // CO_GROUP_MEAN: rows of the overall mean that are added to each group
  int64_t folds;    // CO_GROUP_MEAN: > 1: a training row is given the mean of the other folds' rows
} co_group_options;

// `feature->column` has the groups, `feature->learned` what is learned of them: a number, a binary, or
// a category, of which there is one mean a class. Fitted: "groups" f32 (folds + 1, classes + 1,
// width), the last of all folds, of which a group without rows has what all rows together have;
// "rows" i64 (classes + 1) of each group; "mean" and "scale" f32 (width) of its values over the
// training rows, by which the input is normalised. What is missing is a group of its own.
co_status co_group_declare(co_model *model, co_input_feature *feature);
bool co_group_is_fitted(const co_input_feature *feature); // always
extern const co_fit_class co_group_fit;
// Rows of groups without training rows are unseen.
co_status co_group_check(const co_input_feature *feature, const void *values, int64_t rows,
                         const int64_t *samples, int64_t *counts);
co_status co_group_describe(const co_input_block *block, co_dtype *dtype, co_shape *shape);
co_status co_group_emit(co_section_builder *builder, co_value *out);

// The fold of a training sample.
int64_t co_group_fold(const co_input_feature *feature, int64_t sample);

#endif
