// SPDX-License-Identifier: Apache-2.0
// A number as one of several classes: which of fitted or given edges it lies between.
#include <math.h>
#include <stdlib.h>

#include "host/core/c_text.h"
#include "models/builder.h"
#include "models/features/quantiles.h"
#include "models/features/vocabulary.h"

typedef struct bucket_options {
  co_vocabulary_options vocabulary;
  int64_t quantiles;
  const co_node *edges;
  double *values; // that `edges` lists; NULL = fitted
  int64_t count;
} bucket_options;

static const co_field preprocessing[] = {
    {"quantiles", CO_FIELD_INT, offsetof(bucket_options, quantiles), "10", 2, 10000, NULL,
     "Buckets that hold equally many training values.", NULL},
    {"edges", CO_FIELD_NODE, offsetof(bucket_options, edges), "null", 0, 0, NULL,
     "Ascending numbers between the buckets, in place of quantiles; each begins one.", NULL},
    CO_VOCABULARY_FIELDS,
    {.key = NULL}};

static const bucket_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

static int64_t edges_of(const co_input_feature *feature) {
  const bucket_options *options = options_of(feature);
  return options->values ? options->count : options->quantiles - 1;
}

static co_status read(struct co_model_builder *b, const co_node *item, const char *path,
                      co_input_feature *feature) {
  bucket_options *options = feature->preprocessing;
  const co_node *list = options->edges;
  (void)item;
  if (!list || list->kind == CO_NODE_NULL) return CO_OK;
  bool ascending = list->kind == CO_NODE_LIST && list->count > 0 && list->count < 10000;
  options->count = ascending ? list->count : 0;
  options->values =
      co_arena_alloc(b->model->arena, (size_t)options->count + 1, sizeof *options->values);
  if (!options->values) return CO_ERR_MEMORY;
  for (int64_t i = 0; ascending && i < list->count; i++)
    ascending = co_node_double(list->items[i], &options->values[i]) &&
                isfinite(options->values[i]) && (!i || options->values[i] > options->values[i - 1]);
  if (ascending) return CO_OK;
  return co_node_problem(b->problems, list, "for example [18, 30, 65]",
                         "%s.preprocessing.edges: must be a list of ascending numbers", path);
}

// How many edges are at most the value.
static void derive(const void *user, const double *values, int64_t sample, void *out) {
  const co_input_feature *feature = user;
  const co_fitted *edges = &feature->fitted[0];
  int64_t low = 0, high = edges->shape.dim[0];
  (void)sample;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (((const double *)edges->bytes)[middle] <= values[0])
      low = middle + 1;
    else
      high = middle;
  }
  *(int32_t *)out = isnan(values[0]) ? -1 : (int32_t)low;
}

static void print_c(const void *user, co_text *out) {
  const co_fitted *edges = co_feature_fitted(user, "edges");
  co_c_doubles(out, "edges", edges->bytes, edges->shape.dim[0]);
  co_text_printf(out,
                 "  int below = 0;\n"
                 "  while (below < %lld && edges[below] <= values[0])\n"
                 "    below++;\n"
                 "  *out = isnan(values[0]) ? -1 : below;\n",
                 (long long)edges->shape.dim[0]);
}

static co_status declare(co_model *model, co_input_feature *feature) {
  const co_derivation made = {.dtype = CO_I32, .width = 1, .derive = derive, .print_c = print_c};
  const co_fitted edges = {
      .name = "edges", .dtype = CO_F64, .shape = co_shape_make(1, edges_of(feature))};
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, &edges, 1));
  CO_RETURN_IF_FAILED(co_vocabulary_declare(model, feature, edges_of(feature) + 1));
  return co_feature_derive(model, feature, &made);
}

// ---- fitting -----------------------------------------------------------------------------------

typedef struct fitting {
  co_vocabulary_counts counts;
  co_context *ctx;
  double *values;
  int64_t count, capacity;
} fitting;

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  ((fitting *)state)->ctx = ctx;
  return co_vocabulary_begin(ctx, feature, state);
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  fitting *f = state;
  (void)feature;
  (void)samples;
  for (int64_t i = 0; i < rows; i++) {
    if (isnan(((const double *)values)[i])) continue;
    CO_RETURN_IF_FAILED(
        co_grow(f->ctx, (void **)&f->values, &f->capacity, f->count, sizeof *f->values));
    f->values[f->count++] = ((const double *)values)[i];
  }
  return CO_OK;
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  fitting *f = state;
  const bucket_options *options = options_of(feature);
  double *edges = co_feature_fitted(feature, "edges")->bytes;
  if (f->count) qsort(f->values, (size_t)f->count, sizeof *f->values, co_by_value);
  for (int64_t i = 0; i < edges_of(feature); i++) {
    double p = (double)(i + 1) / (double)options->quantiles;
    edges[i] = options->values ? options->values[i]
               : f->count      ? co_quantile(f->values, f->count, p)
                               : 0;
  }
  CO_RETURN_IF_FAILED(co_vocabulary_add(feature, state, f->values, f->count, NULL));
  return co_vocabulary_end(ctx, feature, state);
}

static void free_fitting(co_context *ctx, void *state) {
  co_free(ctx, ((fitting *)state)->values);
  co_vocabulary_free(ctx, state);
}

static const co_fit_class fit = {
    .state_size = sizeof(fitting), .begin = begin, .add = add, .end = end, .free = free_fitting};

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(bucket_options),
                                     .encoder = "embedding",
                                     .read = read,
                                     .table_rows = co_vocabulary_rows,
                                     .declare = declare,
                                     .is_fitted = co_vocabulary_is_fitted,
                                     .fit = &fit,
                                     .check = co_vocabulary_check,
                                     .describe = co_vocabulary_describe,
                                     .emit = co_vocabulary_emit};

extern const co_feature_class co_feature_bucket;
const co_feature_class co_feature_bucket = {
    .name = "bucket",
    .doc = "Of type bucket: a number as one of several ranges.",
    .columns = 1u << CO_COLUMN_NUMBER,
    .input = &input};
