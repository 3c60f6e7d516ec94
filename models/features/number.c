// SPDX-License-Identifier: Apache-2.0
// A number: one column. Neighbouring numbers are fed as one block.
#include "models/features/scalar.h"

static const char *const scalings[] = {"none",         "zscore",   "minmax", "log1p",
                                       "signed_log1p", "quantile", NULL};
static const char *const outputs[] = {"uniform", "normal", NULL};

static const co_field preprocessing[] = {
    {"normalization", CO_FIELD_ENUM, offsetof(co_scalar_options, scaling), "zscore", 0, 0, scalings,
     "log1p (of numbers above -1) and signed_log1p: the logarithm, then zscore; quantile: the rank "
     "among training values.",
     NULL},
    {"missing", CO_FIELD_ENUM, offsetof(co_scalar_options, numeric.missing), "auto", 0, 0,
     co_scalar_missing_words, CO_SCALAR_MISSING_DOC, NULL},
    {"fill_value", CO_FIELD_DOUBLE, offsetof(co_scalar_options, fill_value), "0.0", 0, 0, NULL,
     "What `missing: constant` fills in.", NULL},
    {"outliers", CO_FIELD_NODE, offsetof(co_scalar_options, outliers), "null", 0, 0, NULL,
     "{method: iqr | zscore, action: clip | null | drop}.", NULL},
    {"quantiles", CO_FIELD_INT, offsetof(co_scalar_options, quantiles), "1000", 2, 100000, NULL,
     "Edges of `normalization: quantile`, between which it is linear.", NULL},
    {"quantile_output", CO_FIELD_ENUM, offsetof(co_scalar_options, quantile_output), "uniform", 0,
     0, outputs, "uniform: within [0, 1]; normal: as standard normal.", NULL},
    {.key = NULL}};

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(co_scalar_options),
                                     .encoder = "passthrough",
                                     .packs = true,
                                     .read = co_scalar_read,
                                     .declare = co_scalar_declare,
                                     .is_fitted = co_scalar_is_fitted,
                                     .fit = &co_scalar_fit,
                                     .drops = co_scalar_drops,
                                     .drops_row = co_scalar_drops_row,
                                     .check = co_scalar_check,
                                     .describe = co_numeric_describe,
                                     .emit = co_numeric_emit_rows};

extern const co_feature_class co_feature_number;
const co_feature_class co_feature_number = {.name = "number",
                                            .doc = "Of type number: a number.",
                                            .columns = 1u << CO_COLUMN_NUMBER,
                                            .input = &input,
                                            .output = &co_numeric_output};
