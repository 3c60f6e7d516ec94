// SPDX-License-Identifier: Apache-2.0
// A number: one column. Numbers of equal options are fed as one block.
#include "models/features/piecewise.h"

typedef enum encoding { ENCODING_NONE, ENCODING_PIECEWISE_LINEAR } encoding;

typedef struct number_options {
  co_numeric_options numeric; // first
  int encoding;
  int64_t bins;
} number_options;

static const char *const normalizations[] = {"none", "zscore", "minmax", NULL};
static const char *const encodings[] = {"none", "piecewise_linear", NULL};

static const co_field preprocessing[] = {
    {"normalization", CO_FIELD_ENUM, offsetof(number_options, numeric.normalization), "zscore", 0,
     0, normalizations, "zscore and minmax: fitted on the training rows.", NULL},
    {"missing", CO_FIELD_ENUM, offsetof(number_options, numeric.missing), "auto", 0, 0,
     co_missing_words, CO_MISSING_DOC, NULL},
    {"encoding", CO_FIELD_ENUM, offsetof(number_options, encoding), "none", 0, 0, encodings,
     "piecewise_linear: by bins fitted on the training rows, in place of a normalization; medians "
     "stand in for missing ones. For the encoder piecewise_linear.",
     NULL},
    {"bins", CO_FIELD_INT, offsetof(number_options, bins), "48", 1, CO_PIECEWISE_BINS, NULL,
     "Of the encoding, at most.", NULL},
    {.key = NULL}};

static bool is_encoded(const co_input_feature *feature) {
  return ((const number_options *)feature->preprocessing)->encoding == ENCODING_PIECEWISE_LINEAR;
}

static int64_t bins(const co_input_block *block) {
  const number_options *options = block->features[0].preprocessing;
  return is_encoded(&block->features[0]) ? options->bins : 0;
}

static co_status declare(co_model *model, co_input_feature *feature) {
  const number_options *options = feature->preprocessing;
  return is_encoded(feature) ? co_piecewise_declare(model, feature, options->bins)
                             : co_numeric_declare(model, feature);
}

static bool is_fitted(const co_input_feature *feature) {
  return is_encoded(feature) || co_numeric_is_fitted(feature);
}

static const co_fit_class *choose_fit(const co_input_feature *feature) {
  return is_encoded(feature) ? &co_piecewise_fit : &co_numeric_fit;
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
                                     .declare = declare,
                                     .is_fitted = is_fitted,
                                     .choose_fit = choose_fit,
                                     .check = co_numeric_check,
                                     .describe = co_numeric_describe,
                                     .emit = emit};

extern const co_feature_class co_feature_number;
const co_feature_class co_feature_number = {.name = "number",
                                            .doc = "Of type number: a number.",
                                            .columns = 1u << CO_COLUMN_NUMBER,
                                            .input = &input,
                                            .output = &co_numeric_output};
