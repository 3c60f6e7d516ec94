// SPDX-License-Identifier: Apache-2.0
// A cross: the combination of several categories as one of its own (Cheng et al. 2016, wide & deep).
#include <math.h>

#include "models/builder.h"
#include "models/features/vocabulary.h"

typedef struct cross_options {
  co_vocabulary_options vocabulary;
  int64_t buckets;
} cross_options;

static const co_field preprocessing[] = {
    {"buckets", CO_FIELD_INT, offsetof(cross_options, buckets), "10000", 2, 1 << 24, NULL,
     "Where there are more combinations, they are hashed to so many.", NULL},
    CO_VOCABULARY_FIELDS,
    {.key = NULL}};

static int64_t classes_of(const co_column *column) {
  return 1 + (column->type == CO_COLUMN_BINARY ? 2 : column->category_count);
}

// Combinations, with what is missing as a class; the number of buckets where that is less.
static int64_t codes_of(const co_input_feature *feature) {
  int64_t count = 1, most = ((const cross_options *)feature->preprocessing)->buckets;
  for (int64_t i = 0; i < feature->column_count; i++)
    if ((count *= classes_of(feature->columns[i])) > most) return most;
  return count;
}

static bool is_hashed(const co_input_feature *feature) {
  int64_t count = 1, most = ((const cross_options *)feature->preprocessing)->buckets;
  for (int64_t i = 0; i < feature->column_count; i++)
    if ((count *= classes_of(feature->columns[i])) > most) return true;
  return false;
}

static void number(const void *user, const double *values, int64_t sample, void *out) {
  const co_input_feature *feature = user;
  int64_t code = 0;
  (void)sample;
  for (int64_t i = 0; i < feature->column_count; i++)
    code = code * classes_of(feature->columns[i]) + (isnan(values[i]) ? 0 : 1 + (int64_t)values[i]);
  *(int32_t *)out = (int32_t)code;
}

static void hash(const void *user, const double *values, int64_t sample, void *out) {
  const co_input_feature *feature = user;
  uint64_t code = 0;
  (void)sample;
  for (int64_t i = 0; i < feature->column_count; i++) { // Fibonacci hashing (Knuth, vol. 3, 6.4)
    code = (code + (isnan(values[i]) ? 0 : 1 + (uint64_t)values[i])) * 0x9E3779B97F4A7C15u;
    code ^= code >> 32;
  }
  *(int32_t *)out = (int32_t)(code % (uint64_t)codes_of(feature));
}

static void print_number(const void *user, co_text *out) {
  const co_input_feature *feature = user;
  co_text_printf(out, "  int code = 0;\n");
  for (int64_t i = 0; i < feature->column_count; i++)
    co_text_printf(out,
                   "  code = code * %lld + (isnan(values[%lld]) ? 0 : 1 + (int)values[%lld]);\n",
                   (long long)classes_of(feature->columns[i]), (long long)i, (long long)i);
  co_text_printf(out, "  *out = code;\n");
}

static void print_hash(const void *user, co_text *out) {
  const co_input_feature *feature = user;
  co_text_printf(out,
                 "  uint64_t code = 0;\n"
                 "  for (int i = 0; i < %lld; i++) {\n"
                 "    code = (code + (isnan(values[i]) ? 0 : 1 + (uint64_t)values[i])) * "
                 "UINT64_C(0x9E3779B97F4A7C15);\n"
                 "    code ^= code >> 32;\n"
                 "  }\n"
                 "  *out = (int)(code %% %lld);\n",
                 (long long)feature->column_count, (long long)codes_of(feature));
}

static co_status declare(co_model *model, co_input_feature *feature) {
  const co_derivation made = {.dtype = CO_I32,
                              .width = 1,
                              .derive = is_hashed(feature) ? hash : number,
                              .print_c = is_hashed(feature) ? print_hash : print_number};
  CO_RETURN_IF_FAILED(co_vocabulary_declare(model, feature, codes_of(feature)));
  return co_feature_derive(model, feature, &made);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(cross_options),
                                     .encoder = "embedding",
                                     .several = true,
                                     .table_rows = co_vocabulary_rows,
                                     .declare = declare,
                                     .is_fitted = co_vocabulary_is_fitted,
                                     .fit = &co_vocabulary_fit,
                                     .check = co_vocabulary_check,
                                     .describe = co_vocabulary_describe,
                                     .emit = co_vocabulary_emit};

extern const co_feature_class co_feature_cross;
const co_feature_class co_feature_cross = {
    .name = "cross",
    .doc = "Of type cross: the combination of the categories in `columns`.",
    .columns = 1u << CO_COLUMN_CATEGORY | 1u << CO_COLUMN_BINARY,
    .input = &input};
