// SPDX-License-Identifier: Apache-2.0
// A category: one of a column's classes.
#include "models/feature.h"

static int64_t classes(const co_output_feature *output) {
  return output->column->category_count;
}

// OUTPUT, OUTPUT_score, then OUTPUT:CLASS for each class.
static int64_t cells(const co_output_feature *output) {
  return 2 + classes(output);
}

static char *cell_name(co_context *ctx, const co_output_feature *output, int64_t i) {
  if (i == 0) return co_strdup(ctx, output->name);
  if (i == 1) return co_format(ctx, "%s_score", output->name);
  return co_format(ctx, "%s:%s", output->name, output->column->categories[i - 2]);
}

static co_score_cell cell(const co_output_feature *output, const float *scores, int64_t i) {
  if (i > 1) return (co_score_cell){NULL, (double)scores[i - 2]};
  int64_t best = 0;
  for (int64_t k = 1; k < classes(output); k++)
    if (scores[k] > scores[best]) best = k;
  if (i == 0) return (co_score_cell){output->column->categories[best], 0};
  return (co_score_cell){NULL, (double)scores[best]};
}

static const co_output_class output = {.loss = "softmax_cross_entropy",
                                       .head = "logits",
                                       .prediction = "probability",
                                       .activation = CO_OP_SOFTMAX,
                                       .target = CO_I32,
                                       .width = classes,
                                       .cells = cells,
                                       .cell_name = cell_name,
                                       .cell = cell};

extern const co_feature_class co_feature_category;
const co_feature_class co_feature_category = {.name = "category",
                                              .doc = "One of several classes.",
                                              .columns = 1u << CO_COLUMN_CATEGORY,
                                              .output = &output};
