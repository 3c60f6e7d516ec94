// SPDX-License-Identifier: Apache-2.0
#include "models/feature.h"

#include <assert.h>
#include <string.h>

#define CO_FEATURE(symbol) extern const co_feature_class symbol;
#include "models/features/features.def"
#undef CO_FEATURE

static const co_feature_class *const all[] = {
#define CO_FEATURE(symbol) &symbol,
#include "models/features/features.def"
#undef CO_FEATURE
    NULL};

const co_feature_class *co_feature_class_find(const char *name) {
  for (int i = 0; all[i]; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  return NULL;
}

const co_feature_class *const *co_feature_class_list(void) {
  return all;
}

const co_feature_class *co_feature_class_of(co_column_type type, bool of_events, bool output) {
  for (int i = 0; all[i]; i++)
    if (all[i]->columns >> type & 1 && all[i]->of_events == of_events &&
        (output ? all[i]->output != NULL : all[i]->input != NULL))
      return all[i];
  return NULL;
}

const char *const co_count_names[CO_COUNT_KINDS] = {"rows",   "missing", "outliers",
                                                    "unseen", "dropped", "truncated"};

co_status co_feature_declare(co_model *model, co_input_feature *feature, const co_fitted *arrays,
                             int64_t count) {
  int64_t before = feature->fitted_count;
  co_fitted *grown = co_arena_alloc(model->arena, (size_t)(before + count), sizeof *grown);
  if (!grown) return CO_ERR_MEMORY;
  if (before) memcpy(grown, feature->fitted, (size_t)before * sizeof *grown);
  feature->fitted = grown;
  for (int64_t i = 0; i < count; i++) {
    co_fitted *made = &feature->fitted[before + i];
    *made = arrays[i];
    made->feature = feature->name;
    made->bytes = co_arena_alloc(model->arena, (size_t)co_shape_count(&made->shape) + 1,
                                 co_dtype_size(made->dtype));
    if (!made->bytes) return CO_ERR_MEMORY;
  }
  feature->fitted_count = before + count;
  return CO_OK;
}

co_fitted *co_feature_fitted(const co_input_feature *feature, const char *name) {
  for (int64_t i = 0; i < feature->fitted_count; i++)
    if (strcmp(feature->fitted[i].name, name) == 0) return &feature->fitted[i];
  assert(!"the class has not declared it");
  return NULL;
}

co_fitted *co_feature_counts(const co_input_feature *feature) {
  return feature->class_->input->check ? co_feature_fitted(feature, "counts") : NULL;
}

co_status co_feature_derive(co_model *model, co_input_feature *feature, const co_derivation *made) {
  co_derivation *derivation = co_arena_alloc(model->arena, 1, sizeof *derivation);
  if (!derivation) return CO_ERR_MEMORY;
  *derivation = *made;
  derivation->columns = feature->columns;
  derivation->column_count = feature->column_count;
  if (!derivation->user) derivation->user = feature;
  feature->derivation = derivation;
  return CO_OK;
}

co_dtype co_feature_dtype(const co_input_feature *feature) {
  return feature->derivation ? feature->derivation->dtype : feature->column->dtype;
}

int64_t co_feature_width(const co_input_feature *feature) {
  return feature->derivation ? feature->derivation->width : co_shape_count(&feature->column->shape);
}
