// SPDX-License-Identifier: Apache-2.0
// A number: one column. Numbers of equal options are fed as one block.
#include "models/builder.h"
#include "models/features/piecewise.h"
#include "models/features/scalar.h"

typedef enum encoding { ENCODING_NONE, ENCODING_PIECEWISE_LINEAR } encoding;

typedef struct number_options {
  co_scalar_options scalar; // first
  int encoding;
  int64_t bins;
} number_options;

static const char *const scalings[] = {"none",         "zscore",   "minmax", "log1p",
                                       "signed_log1p", "quantile", NULL};
static const char *const outputs[] = {"uniform", "normal", NULL};
static const char *const encodings[] = {"none", "piecewise_linear", NULL};

static const co_field preprocessing[] = {
    {"normalization", CO_FIELD_ENUM, offsetof(number_options, scalar.scaling), "zscore", 0, 0,
     scalings,
     "log1p (of numbers above -1) and signed_log1p: the logarithm, then zscore; quantile: the rank "
     "among training values.",
     NULL},
    {"missing", CO_FIELD_ENUM, offsetof(number_options, scalar.numeric.missing), "auto", 0, 0,
     co_scalar_missing_words, CO_SCALAR_MISSING_DOC, NULL},
    {"fill_value", CO_FIELD_DOUBLE, offsetof(number_options, scalar.fill_value), "0.0", 0, 0, NULL,
     "What `missing: constant` fills in.", NULL},
    {"outliers", CO_FIELD_NODE, offsetof(number_options, scalar.outliers), "null", 0, 0, NULL,
     "{method: iqr | zscore, action: clip | null | drop}.", NULL},
    {"quantiles", CO_FIELD_INT, offsetof(number_options, scalar.quantiles), "1000", 2, 100000, NULL,
     "Edges of `normalization: quantile`, between which it is linear.", NULL},
    {"quantile_output", CO_FIELD_ENUM, offsetof(number_options, scalar.quantile_output), "uniform",
     0, 0, outputs, "uniform: within [0, 1]; normal: as standard normal.", NULL},
    {"encoding", CO_FIELD_ENUM, offsetof(number_options, encoding), "none", 0, 0, encodings,
     "piecewise_linear: by bins fitted on the training rows, in place of a normalization, for the "
     "encoder piecewise_linear; missing ones are medians where `missing` would have means.",
     NULL},
    {"bins", CO_FIELD_INT, offsetof(number_options, bins), "48", 1, CO_PIECEWISE_BINS, NULL,
     "Of the encoding, at most.", NULL},
    {.key = NULL}};

static const number_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

static bool is_encoded(const co_input_feature *feature) {
  return options_of(feature)->encoding == ENCODING_PIECEWISE_LINEAR;
}

static co_status read(struct co_model_builder *b, const co_node *item, const char *path,
                      co_input_feature *feature) {
  CO_RETURN_IF_FAILED(co_scalar_read(b, item, path, feature));
  if (!is_encoded(feature) || options_of(feature)->scalar.outlier.method == CO_OUTLIERS_NONE)
    return CO_OK;
  return co_node_problem(b->problems, item, "leave outliers out: beyond the last edge all are one",
                         "%s.preprocessing.outliers: not with encoding: piecewise_linear", path);
}

static int64_t bins(const co_input_block *block) {
  return is_encoded(&block->features[0]) ? options_of(&block->features[0])->bins : 0;
}

static co_status declare(co_model *model, co_input_feature *feature) {
  return is_encoded(feature) ? co_piecewise_declare(model, feature, options_of(feature)->bins)
                             : co_scalar_declare(model, feature);
}

static bool is_fitted(const co_input_feature *feature) {
  return is_encoded(feature) || co_scalar_is_fitted(feature);
}

static const co_fit_class *choose_fit(const co_input_feature *feature) {
  return is_encoded(feature) ? &co_piecewise_fit : &co_scalar_fit;
}

static co_status emit(co_section_builder *b, co_value *out) {
  return is_encoded(&b->block->features[0]) ? co_piecewise_emit_rows(b, out)
                                            : co_numeric_emit_rows(b, out);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(number_options),
                                     .encoder = "passthrough",
                                     .bins = bins,
                                     .packs = true,
                                     .read = read,
                                     .declare = declare,
                                     .is_fitted = is_fitted,
                                     .choose_fit = choose_fit,
                                     .drops = co_scalar_drops,
                                     .drops_row = co_scalar_drops_row,
                                     .check = co_scalar_check,
                                     .describe = co_numeric_describe,
                                     .emit = emit};

extern const co_feature_class co_feature_number;
const co_feature_class co_feature_number = {.name = "number",
                                            .doc = "Of type number: a number.",
                                            .columns = 1u << CO_COLUMN_NUMBER,
                                            .input = &input,
                                            .output = &co_numeric_output};
