// SPDX-License-Identifier: Apache-2.0
#include "models/features/numeric.h"

#include <math.h>

static int normalization_of(const co_input_feature *feature) {
  return ((const co_numeric_options *)feature->preprocessing)->normalization;
}

static int64_t channels_of(const co_input_feature *feature) {
  const co_shape *shape = &feature->column->shape;
  return shape->rank ? shape->dim[shape->rank - 1] : 1;
}

co_status co_numeric_declare(co_model *model, co_input_feature *feature) {
  int64_t channels = channels_of(feature);
  const co_fitted arrays[] = {
      {.name = "mean", .dtype = CO_F32, .shape = co_shape_make(1, channels)},
      {.name = "scale", .dtype = CO_F32, .shape = co_shape_make(1, channels)}};
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, arrays, 2));
  float *scale = co_feature_fitted(feature, "scale")->bytes;
  for (int64_t c = 0; c < channels; c++)
    scale[c] = normalization_of(feature) == CO_NORMALIZATION_SCALE ? 1.0f / 255 : 1;
  return CO_OK;
}

bool co_numeric_is_fitted(const co_input_feature *feature) {
  return normalization_of(feature) == CO_NORMALIZATION_ZSCORE ||
         normalization_of(feature) == CO_NORMALIZATION_MINMAX;
}

// ---- fitting -----------------------------------------------------------------------------------

typedef struct statistics {
  double *pivot;                      // per channel: its first value
  double *sum, *squares, *low, *high; // of what the values differ from it by
  int64_t count;                      // values per channel
} statistics;

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  statistics *s = state;
  size_t channels = (size_t)channels_of(feature);
  s->pivot = co_alloc_zero(ctx, 5 * channels, sizeof *s->pivot);
  if (!s->pivot) return CO_ERR_MEMORY;
  s->sum = s->pivot + channels;
  s->squares = s->sum + channels;
  s->low = s->squares + channels;
  s->high = s->low + channels;
  for (size_t c = 0; c < channels; c++) {
    s->low[c] = INFINITY;
    s->high[c] = -INFINITY;
  }
  return CO_OK;
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  statistics *s = state;
  int64_t per_row = co_shape_count(&feature->column->shape), channels = channels_of(feature);
  for (int64_t i = 0; i < rows * per_row; i++) {
    double value = feature->column->dtype == CO_U8 ? ((const uint8_t *)values)[i]
                                                   : (double)((const float *)values)[i];
    if (!isfinite(value))
      return co_fail(CO_ERR_DATA,
                     "column '%s', row %lld: the value is missing or infinite; missing inputs are "
                     "not there yet",
                     feature->name, (long long)samples[i / per_row]);
    int64_t c = i % channels;
    // Far from zero, squares would leave no digit for the variance.
    if (s->count == 0 && i < channels) s->pivot[c] = value;
    value -= s->pivot[c];
    s->sum[c] += value;
    s->squares[c] += value * value;
    if (value < s->low[c]) s->low[c] = value;
    if (value > s->high[c]) s->high[c] = value;
  }
  s->count += rows * per_row / channels;
  return CO_OK;
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  (void)ctx;
  const statistics *s = state;
  float *means = co_feature_fitted(feature, "mean")->bytes;
  float *scales = co_feature_fitted(feature, "scale")->bytes;
  bool zscore = normalization_of(feature) == CO_NORMALIZATION_ZSCORE;
  for (int64_t c = 0; c < channels_of(feature); c++) {
    double mean = s->sum[c] / (double)s->count;
    double variance = s->squares[c] / (double)s->count - mean * mean;
    double deviation = variance > 0 ? sqrt(variance) : 0;
    double scale = zscore ? deviation : s->high[c] - s->low[c];
    means[c] = (float)(s->pivot[c] + (zscore ? mean : s->low[c]));
    scales[c] = (float)(scale > 1e-12 ? 1 / scale : 1); // a constant column stays finite
  }
  return CO_OK;
}

static void free_statistics(co_context *ctx, void *state) {
  co_free(ctx, ((statistics *)state)->pivot);
}

const co_fit_class co_numeric_fit = {.state_size = sizeof(statistics),
                                     .begin = begin,
                                     .add = add,
                                     .end = end,
                                     .free = free_statistics};

// ---- section -----------------------------------------------------------------------------------

co_status co_numeric_emit(co_section_builder *b, co_value *value) {
  co_value in[3] = {*value};
  if (normalization_of(&b->block->features[0]) == CO_NORMALIZATION_NONE) return CO_OK;
  CO_RETURN_IF_FAILED(co_section_fitted(b, "mean", &in[1]));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "scale", &in[2]));
  return co_emit(b->section->graph, CO_OP_NORMALIZE, NULL, 3, in, value);
}

co_status co_numeric_describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  const co_shape *row = &block->features[0].column->shape;
  *dtype = CO_F32;
  *shape = (co_shape){.rank = row->rank + 1, .dim = {CO_DIM_N}};
  for (int i = 0; i < row->rank; i++)
    shape->dim[i + 1] = row->dim[i];
  if (shape->rank == 1) *shape = co_shape_make(2, CO_DIM_N, block->count);
  return CO_OK;
}
