// SPDX-License-Identifier: Apache-2.0
#include "models/features/vocabulary.h"

#include <stdlib.h>
#include <string.h>

static const co_vocabulary_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

static int64_t codes_of(const co_input_feature *feature) {
  return co_feature_fitted(feature, "vocabulary")->shape.dim[0] - 1;
}

// Row 0 is for what is missing, unseen or rare.
static int64_t rows_of(const co_input_feature *feature) {
  int64_t count = codes_of(feature), most = options_of(feature)->max_size;
  return 1 + (most && most < count ? most : count);
}

co_status co_vocabulary_declare(co_model *model, co_input_feature *feature, int64_t codes) {
  const co_fitted array = {
      .name = "vocabulary", .dtype = CO_I32, .shape = co_shape_make(1, codes + 1)};
  return co_feature_declare(model, feature, &array, 1);
}

int64_t co_vocabulary_rows(const co_input_block *block) {
  return rows_of(&block->features[0]);
}

bool co_vocabulary_is_fitted(const co_input_feature *feature) {
  (void)feature;
  return true;
}

// The code of row i; -1 = missing.
static int32_t code_at(const co_input_feature *feature, const void *values, int64_t i) {
  const co_derivation *d = feature->derivation;
  int32_t code;
  if (!d) return ((const int32_t *)values)[i];
  d->derive(d->user, (const double *)values + i * d->column_count, -1, &code);
  return code;
}

// ---- fitting -----------------------------------------------------------------------------------

co_status co_vocabulary_begin(co_context *ctx, const co_input_feature *feature, void *state) {
  co_vocabulary_counts *s = state;
  s->count = co_alloc_zero(ctx, (size_t)codes_of(feature) + 1, sizeof *s->count);
  return s->count ? CO_OK : CO_ERR_MEMORY;
}

co_status co_vocabulary_add(const co_input_feature *feature, void *state, const void *values,
                            int64_t rows, const int64_t *samples) {
  co_vocabulary_counts *s = state;
  (void)samples;
  for (int64_t i = 0; i < rows; i++) {
    int32_t code = code_at(feature, values, i);
    if (code >= 0) s->count[code]++;
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

co_status co_vocabulary_end(co_context *ctx, co_input_feature *feature, void *state) {
  const co_vocabulary_counts *s = state;
  int64_t codes = codes_of(feature), most = rows_of(feature);
  int32_t *vocabulary = co_feature_fitted(feature, "vocabulary")->bytes;
  counted *order = co_alloc(ctx, (size_t)(codes + 1) * sizeof *order);
  if (!order) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < codes; i++)
    order[i] = (counted){s->count[i], i};
  qsort(order, (size_t)codes, sizeof *order, by_frequency);
  memset(vocabulary, 0, (size_t)(codes + 1) * sizeof *vocabulary);
  int64_t row = 1;
  for (int64_t i = 0; i < codes && row < most; i++) {
    if (order[i].count < options_of(feature)->min_frequency) break;
    vocabulary[order[i].code + 1] = (int32_t)(feature->by_code ? order[i].code + 1 : row);
    row++;
  }
  if (row == 1)
    co_log(ctx, CO_LOG_WARN, "data",
           "input '%s': no class occurs %lld times in the training rows; all are one",
           feature->name, (long long)options_of(feature)->min_frequency);
  co_free(ctx, order);
  return CO_OK;
}

void co_vocabulary_free(co_context *ctx, void *state) {
  co_free(ctx, ((co_vocabulary_counts *)state)->count);
}

const co_fit_class co_vocabulary_fit = {.state_size = sizeof(co_vocabulary_counts),
                                        .begin = co_vocabulary_begin,
                                        .add = co_vocabulary_add,
                                        .end = co_vocabulary_end,
                                        .free = co_vocabulary_free};

co_status co_vocabulary_check(const co_input_feature *feature, const void *values, int64_t rows,
                              const int64_t *samples, int64_t *counts) {
  const int32_t *vocabulary = co_feature_fitted(feature, "vocabulary")->bytes;
  const int64_t codes = codes_of(feature); // of which a model's new classes are none
  (void)samples;
  for (int64_t i = 0; i < rows; i++) {
    int32_t code = code_at(feature, values, i);
    counts[CO_COUNT_MISSING] += code < 0;
    counts[CO_COUNT_UNSEEN] += code >= 0 && (code >= codes || !vocabulary[code + 1]);
  }
  return CO_OK;
}

// ---- section -----------------------------------------------------------------------------------

co_status co_vocabulary_describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  (void)block;
  *dtype = CO_I32;
  *shape = co_shape_make(2, CO_DIM_N, (int64_t)1);
  return CO_OK;
}

co_status co_vocabulary_emit(co_section_builder *b, co_value *out) {
  co_value in[2];
  CO_RETURN_IF_FAILED(co_section_rows(b, false, &in[CO_LOOKUP_x]));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "vocabulary", &in[CO_LOOKUP_map]));
  return co_emit(b->section->graph, CO_OP_LOOKUP, NULL, 2, in, out);
}
