// SPDX-License-Identifier: Apache-2.0
// A category: one of a column's classes.
#include <stdlib.h>
#include <string.h>

#include "models/feature.h"

// ---- input -------------------------------------------------------------------------------------

typedef struct category_options {
  int64_t min_frequency, max_size;
} category_options;

static const co_field preprocessing[] = {
    {"min_frequency", CO_FIELD_INT, offsetof(category_options, min_frequency), "1", 1, 1 << 30,
     NULL, "Rarer classes in the training rows share one row with missing and unseen ones.", NULL},
    {"max_size", CO_FIELD_INT, offsetof(category_options, max_size), "0", 0, 1 << 24, NULL,
     "The most frequent classes that have a row of their own; 0: all.", NULL},
    {.key = NULL}};

static const category_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

// Rows of the vocabulary: 0 is for what is missing, unseen or rare.
static int64_t rows_of(const co_input_feature *feature) {
  int64_t count = feature->column->category_count, most = options_of(feature)->max_size;
  return 1 + (most && most < count ? most : count);
}

static co_status declare(co_model *model, co_input_feature *feature) {
  const co_fitted array = {.name = "vocabulary",
                           .dtype = CO_I32,
                           .shape = co_shape_make(1, feature->column->category_count + 1)};
  return co_feature_declare(model, feature, &array, 1);
}

static bool is_fitted(const co_input_feature *feature) {
  (void)feature;
  return true;
}

typedef struct counts {
  int64_t *count; // per class
  int64_t missing;
} counts;

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  counts *s = state;
  s->count = co_alloc_zero(ctx, (size_t)feature->column->category_count + 1, sizeof *s->count);
  return s->count ? CO_OK : CO_ERR_MEMORY;
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  counts *s = state;
  (void)feature;
  (void)samples;
  for (int64_t i = 0; i < rows; i++) {
    int32_t code = ((const int32_t *)values)[i];
    if (code < 0)
      s->missing++;
    else
      s->count[code]++;
  }
  return CO_OK;
}

typedef struct counted {
  int64_t count, code;
} counted;

// The most frequent first, of equally frequent ones the one that is listed first.
static int by_frequency(const void *a, const void *b) {
  const counted *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return (x->code > y->code) - (x->code < y->code);
}

// vocabulary[code + 1] = row.
static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  const counts *s = state;
  int64_t classes = feature->column->category_count, most = rows_of(feature);
  int32_t *vocabulary = co_feature_fitted(feature, "vocabulary")->bytes;
  counted *order = co_alloc(ctx, (size_t)(classes + 1) * sizeof *order);
  if (!order) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < classes; i++)
    order[i] = (counted){s->count[i], i};
  qsort(order, (size_t)classes, sizeof *order, by_frequency);
  memset(vocabulary, 0, (size_t)(classes + 1) * sizeof *vocabulary);
  int64_t row = 1;
  for (int64_t i = 0; i < classes && row < most; i++)
    if (order[i].count >= options_of(feature)->min_frequency)
      vocabulary[order[i].code + 1] = (int32_t)row++;
  if (row == 1)
    co_log(ctx, CO_LOG_WARN, "data",
           "column '%s': no class occurs %lld times in the training rows; all are one",
           feature->name, (long long)options_of(feature)->min_frequency);
  else if (s->missing)
    co_log(ctx, CO_LOG_INFO, "data", "column '%s': %lld training values are missing", feature->name,
           (long long)s->missing);
  co_free(ctx, order);
  return CO_OK;
}

static co_status check(const co_input_feature *feature, const void *values, int64_t rows,
                       const int64_t *samples, int64_t *found) {
  const int32_t *vocabulary = co_feature_fitted(feature, "vocabulary")->bytes;
  (void)samples;
  for (int64_t i = 0; i < rows; i++) {
    int32_t code = ((const int32_t *)values)[i];
    found[CO_COUNT_MISSING] += code < 0;
    found[CO_COUNT_UNSEEN] += code >= 0 && !vocabulary[code + 1];
  }
  return CO_OK;
}

static void free_counts(co_context *ctx, void *state) {
  co_free(ctx, ((counts *)state)->count);
}

static const co_fit_class fit = {
    .state_size = sizeof(counts), .begin = begin, .add = add, .end = end, .free = free_counts};

static int64_t table_rows(const co_input_block *block) {
  return rows_of(&block->features[0]);
}

static co_status describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  (void)block;
  *dtype = CO_I32;
  *shape = co_shape_make(2, CO_DIM_N, (int64_t)1);
  return CO_OK;
}

static co_status emit(co_section_builder *b, co_value *out) {
  co_value in[2];
  CO_RETURN_IF_FAILED(co_section_rows(b, false, &in[0]));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "vocabulary", &in[1]));
  return co_emit(b->section->graph, CO_OP_LOOKUP, NULL, 2, in, out);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(category_options),
                                     .encoder = "embedding",
                                     .table_rows = table_rows,
                                     .declare = declare,
                                     .is_fitted = is_fitted,
                                     .fit = &fit,
                                     .check = check,
                                     .describe = describe,
                                     .emit = emit};

// ---- output ------------------------------------------------------------------------------------

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
                                              .doc = "Of type category: one of several classes.",
                                              .columns = 1u << CO_COLUMN_CATEGORY,
                                              .input = &input,
                                              .output = &output};
