// SPDX-License-Identifier: Apache-2.0
#include "host/feed/fit_features.h"

#include <math.h>

enum { CHUNK = 1024 };

typedef struct statistics {
  double *pivot;                      // per channel: its first value
  double *sum, *squares, *low, *high; // of what the values differ from it by
  int64_t count;                      // values per channel
} statistics;

static co_status add_rows(const co_input_feature *feature, const void *bytes, int64_t rows,
                          const int64_t *samples, statistics *s) {
  int64_t per_row = co_shape_count(&feature->column.shape), channels = feature->channels;
  for (int64_t i = 0; i < rows * per_row; i++) {
    double value = feature->column.dtype == CO_U8 ? ((const uint8_t *)bytes)[i]
                                                  : (double)((const float *)bytes)[i];
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

static void finish(co_input_feature *feature, const statistics *s) {
  for (int64_t c = 0; c < feature->channels; c++) {
    double mean = s->sum[c] / (double)s->count;
    double variance = s->squares[c] / (double)s->count - mean * mean;
    double deviation = variance > 0 ? sqrt(variance) : 0;
    double span = s->high[c] - s->low[c];
    bool zscore = feature->normalization == CO_NORMALIZATION_ZSCORE;
    double scale = zscore ? deviation : span;
    feature->mean[c] = (float)(s->pivot[c] + (zscore ? mean : s->low[c]));
    feature->scale[c] = (float)(scale > 1e-12 ? 1 / scale : 1); // a constant column stays finite
  }
}

static co_status fit_feature(co_context *ctx, co_dataset *dataset, co_input_feature *feature) {
  const int64_t *samples;
  int64_t count;
  CO_RETURN_IF_FAILED(co_dataset_split(dataset, CO_SPLIT_TRAIN, &samples, &count));
  size_t channels = (size_t)feature->channels;
  size_t row =
      (size_t)co_shape_count(&feature->column.shape) * co_dtype_size(feature->column.dtype);
  double *sums = co_alloc_zero(ctx, 5 * channels, sizeof *sums);
  void *bytes = co_alloc(ctx, CHUNK * row);
  co_status status = sums && bytes ? CO_OK : CO_ERR_MEMORY;
  statistics s = {.sum = sums};
  if (status == CO_OK) {
    s.squares = sums + channels;
    s.low = sums + 2 * channels;
    s.high = sums + 3 * channels;
    s.pivot = sums + 4 * channels;
    for (size_t c = 0; c < channels; c++) {
      s.low[c] = INFINITY;
      s.high[c] = -INFINITY;
    }
  }
  for (int64_t i = 0; status == CO_OK && i < count; i += CHUNK) {
    int64_t rows = count - i < CHUNK ? count - i : CHUNK;
    status = co_dataset_gather(dataset, feature->name, samples + i, rows, bytes);
    if (status == CO_OK) status = add_rows(feature, bytes, rows, samples + i, &s);
  }
  if (status == CO_OK) finish(feature, &s);
  co_free(ctx, sums);
  co_free(ctx, bytes);
  return status;
}

co_status co_fit_features(co_model *model, co_dataset *dataset) {
  for (int64_t i = 0; i < model->input_count; i++) {
    co_input_feature *feature = &model->inputs[i];
    CO_RETURN_IF_FAILED(co_model_make_statistics(model, i));
    if (feature->normalization == CO_NORMALIZATION_ZSCORE ||
        feature->normalization == CO_NORMALIZATION_MINMAX)
      CO_RETURN_IF_FAILED(fit_feature(model->ctx, dataset, feature));
  }
  return CO_OK;
}
