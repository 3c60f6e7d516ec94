// SPDX-License-Identifier: Apache-2.0
// A number: one column. Neighbouring numbers are fed as one block.
#include "models/features/numeric.h"

static co_status emit(co_section_builder *b, co_value *out) {
  CO_RETURN_IF_FAILED(co_section_rows(b, true, out));
  return co_numeric_emit(b, out);
}

static const co_input_class input = {.preprocessing = co_numeric_fields,
                                     .preprocessing_size = sizeof(co_numeric_options),
                                     .encoder = "passthrough",
                                     .packs = true,
                                     .declare = co_numeric_declare,
                                     .is_fitted = co_numeric_is_fitted,
                                     .fit = &co_numeric_fit,
                                     .check = co_numeric_check,
                                     .describe = co_numeric_describe,
                                     .emit = emit};

static int64_t one(const co_output_feature *output) {
  (void)output;
  return 1;
}

static char *cell_name(co_context *ctx, const co_output_feature *output, int64_t i) {
  (void)i;
  return co_strdup(ctx, output->name);
}

static co_score_cell cell(const co_output_feature *output, const float *scores, int64_t i) {
  (void)output;
  return (co_score_cell){NULL, (double)scores[i]};
}

static const co_output_class output = {.loss = "mean_squared_error",
                                       .head = "value",
                                       .prediction = "prediction",
                                       .activation = CO_OP_COUNT,
                                       .target = CO_F32,
                                       .width = one,
                                       .cells = one,
                                       .cell_name = cell_name,
                                       .cell = cell};

extern const co_feature_class co_feature_number;
const co_feature_class co_feature_number = {.name = "number",
                                            .doc = "Of type number: a number.",
                                            .columns = 1u << CO_COLUMN_NUMBER,
                                            .input = &input,
                                            .output = &output};
