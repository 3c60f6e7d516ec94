// SPDX-License-Identifier: Apache-2.0
// One number a row (numbers, binaries), as it is made fit for a network: outliers, then a scale,
// then what is missing. All of it is fitted on training rows.
#ifndef COHORT_MODELS_FEATURES_SCALAR_H
#define COHORT_MODELS_FEATURES_SCALAR_H

#include "models/features/numeric.h"

typedef enum co_scaling {
  CO_SCALING_NONE,
  CO_SCALING_ZSCORE,
  CO_SCALING_MINMAX,
  CO_SCALING_LOG1P,        // log(1 + x), then zscore
  CO_SCALING_SIGNED_LOG1P, // sign(x) log(1 + |x|), then zscore
  CO_SCALING_QUANTILE      // by the rank among the training values
} co_scaling;

typedef enum co_outlier_method {
  CO_OUTLIERS_NONE,
  CO_OUTLIERS_IQR,
  CO_OUTLIERS_ZSCORE
} co_outlier_method;
typedef enum co_outlier_action {
  CO_OUTLIERS_CLIP,
  CO_OUTLIERS_NULL,
  CO_OUTLIERS_DROP
} co_outlier_action;

typedef struct co_scalar_options {
  co_numeric_options numeric; // its normalization is what remains to be done behind a derivation
  int scaling;                // co_scaling
  double fill_value;
  int64_t quantiles;
  int quantile_output; // 0 uniform, 1 normal
  const co_node *outliers;
  struct {
    int method, action;
    double factor;
  } outlier; // what `outliers` says
} co_scalar_options;

extern const char *const co_scalar_missing_words[]; // of co_missing
extern const co_field co_outlier_fields[];

// For classes whose options begin with co_scalar_options. Fitted arrays beside those of
// co_numeric_declare, where they are used: "bounds" f64 (2), beyond which values are outliers;
// "minimum" f64 (1), the least training value, for log1p; "edges" f64 (quantiles).
co_status co_scalar_read(struct co_model_builder *b, const co_node *item, const char *path,
                         co_input_feature *feature);
co_status co_scalar_declare(co_model *model, co_input_feature *feature);
bool co_scalar_is_fitted(const co_input_feature *feature);
extern const co_fit_class co_scalar_fit;
bool co_scalar_drops(const co_input_feature *feature);
bool co_scalar_drops_row(const co_input_feature *feature, double value);
co_status co_scalar_check(const co_input_feature *feature, const void *values, int64_t rows,
                          const int64_t *samples, int64_t *counts);

#endif
