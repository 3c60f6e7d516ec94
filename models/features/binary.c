// SPDX-License-Identifier: Apache-2.0
// A binary: one of two, of which one is positive. As an input a number, 0 or 1; as an output the
// probability of the positive one.
#include "models/features/scalar.h"

static const char *const normalizations[] = {"none", "zscore", "minmax", NULL};

static const co_field preprocessing[] = {
    {"normalization", CO_FIELD_ENUM, offsetof(co_scalar_options, scaling), "none", 0, 0,
     normalizations, "zscore and minmax: fitted on the training rows.", NULL},
    {"missing", CO_FIELD_ENUM, offsetof(co_scalar_options, numeric.missing), "auto", 0, 0,
     co_scalar_missing_words, CO_SCALAR_MISSING_DOC, NULL},
    {"fill_value", CO_FIELD_DOUBLE, offsetof(co_scalar_options, fill_value), "0.0", 0, 0, NULL,
     "What `missing: constant` fills in.", NULL},
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

static int64_t one(const co_output_feature *output) {
  (void)output;
  return 1;
}

// OUTPUT, the likelier of the two; OUTPUT_score, the probability of the positive one; of an output
// with a decision OUTPUT_label, positive from its threshold on.
static int64_t cells(const co_output_feature *output) {
  return output->decision.labels ? 3 : 2;
}

static char *cell_name(co_context *ctx, const co_output_feature *output, int64_t i) {
  if (i == 0) return co_strdup(ctx, output->name);
  return co_format(ctx, i == 1 ? "%s_score" : "%s_label", output->name);
}

static co_score_cell cell(const co_output_feature *output, const float *scores, int64_t i) {
  static const char *const plain[] = {"0", "1"};
  const char *const *names = output->column->categories ? output->column->categories : plain;
  if (i == 1) return (co_score_cell){NULL, (double)scores[0]};
  if (i == 2) return (co_score_cell){names[(double)scores[0] >= co_output_threshold(output)], 0};
  return (co_score_cell){names[scores[0] >= 0.5f], 0};
}

static const co_output_class output = {.loss = "binary_cross_entropy",
                                       .head = "logit",
                                       .prediction = "probability",
                                       .activation = CO_OP_SIGMOID,
                                       .target = CO_F32,
                                       .width = one,
                                       .cells = cells,
                                       .cell_name = cell_name,
                                       .cell = cell};

extern const co_feature_class co_feature_binary;
const co_feature_class co_feature_binary = {.name = "binary",
                                            .doc =
                                                "Of type binary: one of two, one of them positive.",
                                            .columns = 1u << CO_COLUMN_BINARY,
                                            .input = &input,
                                            .output = &output};
