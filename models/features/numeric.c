// SPDX-License-Identifier: Apache-2.0
#include "models/features/numeric.h"

#include <math.h>
#include <stdio.h>

const char *const co_missing_words[] = {"auto", "refuse", "mean", "indicator", NULL};

static const char *const normalizations[] = {"none", "zscore", "minmax", NULL};

const co_field co_numeric_fields[] = {
    {"normalization", CO_FIELD_ENUM, offsetof(co_numeric_options, normalization), "zscore", 0, 0,
     normalizations, "zscore and minmax: fitted on the training rows.", NULL},
    {"missing", CO_FIELD_ENUM, offsetof(co_numeric_options, missing), "auto", 0, 0,
     co_missing_words, CO_MISSING_DOC, NULL},
    {.key = NULL}};

static const co_numeric_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

static bool is_number(const co_input_feature *feature) {
  return feature->column->type == CO_COLUMN_NUMBER || feature->column->type == CO_COLUMN_BINARY;
}

static int64_t channels_of(const co_input_feature *feature) {
  const co_shape *shape = &feature->column->shape;
  return shape->rank ? shape->dim[shape->rank - 1] : 1;
}

co_status co_numeric_declare(co_model *model, co_input_feature *feature) {
  int64_t channels = channels_of(feature);
  const co_shape shape = co_shape_make(1, channels);
  const co_fitted arrays[] = {
      {.name = "mean", .dtype = CO_F32, .shape = shape},
      {.name = "scale", .dtype = CO_F32, .shape = shape},
      {.name = "fill", .dtype = CO_F32, .shape = shape, .optional = true},
      {.name = "pivot", .dtype = CO_F64, .shape = co_shape_make(1, (int64_t)1), .optional = true}};
  bool image = feature->column->type == CO_COLUMN_IMAGE;
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, arrays,
                                         image                ? 2
                                         : is_number(feature) ? 4
                                                              : 3));
  float *scale = co_feature_fitted(feature, "scale")->bytes;
  for (int64_t c = 0; c < channels; c++)
    scale[c] = options_of(feature)->normalization == CO_NORMALIZATION_SCALE ? 1.0f / 255 : 1;
  // A model that has never seen what to fill in leaves what is missing missing.
  for (int64_t c = 0; !image && c < channels; c++)
    ((float *)co_feature_fitted(feature, "fill")->bytes)[c] = NAN;
  return CO_OK;
}

bool co_numeric_is_fitted(const co_input_feature *feature) {
  const co_numeric_options *options = options_of(feature);
  return options->normalization == CO_NORMALIZATION_ZSCORE ||
         options->normalization == CO_NORMALIZATION_MINMAX || options->missing != CO_MISSING_REFUSE;
}

// ---- fitting -----------------------------------------------------------------------------------

typedef struct statistics {
  double *pivot;                      // per channel: its first value
  double *sum, *squares, *low, *high; // of what the values differ from it by
  int64_t *count, *missing;           // values per channel
} statistics;

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  statistics *s = state;
  size_t channels = (size_t)channels_of(feature);
  s->pivot = co_alloc_zero(ctx, 5 * channels, sizeof *s->pivot);
  s->count = co_alloc_zero(ctx, 2 * channels, sizeof *s->count);
  if (!s->pivot || !s->count) return CO_ERR_MEMORY;
  s->sum = s->pivot + channels;
  s->squares = s->sum + channels;
  s->low = s->squares + channels;
  s->high = s->low + channels;
  s->missing = s->count + channels;
  for (size_t c = 0; c < channels; c++) {
    s->low[c] = INFINITY;
    s->high[c] = -INFINITY;
  }
  return CO_OK;
}

static double value_at(const co_input_feature *feature, const void *values, int64_t i) {
  if (is_number(feature)) return ((const double *)values)[i];
  return feature->column->dtype == CO_U8 ? ((const uint8_t *)values)[i]
                                         : (double)((const float *)values)[i];
}

co_status co_numeric_refuse(const co_input_feature *feature, double value, int64_t sample) {
  co_status status =
      co_fail(CO_ERR_DATA, "column '%s', row %lld: the value is %s", feature->column->name,
              (long long)sample, isnan(value) ? "missing" : "infinite");
  if (isnan(value) && feature->column->type != CO_COLUMN_IMAGE)
    co_hint("preprocessing: {missing: mean} fills it in, {missing: indicator} tells of it, too");
  return status;
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  statistics *s = state;
  int64_t per_row = co_shape_count(&feature->column->shape), channels = channels_of(feature);
  for (int64_t i = 0; i < rows * per_row; i++) {
    double value = value_at(feature, values, i);
    int64_t c = i % channels;
    if (isnan(value) && options_of(feature)->missing != CO_MISSING_REFUSE) {
      s->missing[c]++;
      continue;
    }
    if (!isfinite(value)) return co_numeric_refuse(feature, value, samples[i / per_row]);
    // Far from zero, squares would leave no digit for the variance.
    if (s->count[c]++ == 0) s->pivot[c] = value;
    value -= s->pivot[c];
    s->sum[c] += value;
    s->squares[c] += value * value;
    if (value < s->low[c]) s->low[c] = value;
    if (value > s->high[c]) s->high[c] = value;
  }
  return CO_OK;
}

static void tell(co_context *ctx, const co_input_feature *feature, const statistics *s, int64_t c) {
  char channel[32] = "";
  if (channels_of(feature) > 1) snprintf(channel, sizeof channel, "[%lld]", (long long)c);
  if (!s->count[c])
    co_log(ctx, CO_LOG_WARN, "data", "column '%s'%s: no training row has a value; 0 stands for it",
           feature->column->name, channel);
  else if (s->high[c] == s->low[c] && feature->column->type != CO_COLUMN_IMAGE)
    co_log(ctx, CO_LOG_WARN, "data", "column '%s'%s is constant in the training rows: %.9g",
           feature->column->name, channel, s->pivot[c]);
  else if (s->missing[c])
    co_log(ctx, CO_LOG_INFO, "data", "column '%s'%s: %lld of %lld training values are missing",
           feature->column->name, channel, (long long)s->missing[c],
           (long long)(s->missing[c] + s->count[c]));
}

bool co_numeric_is_flattened(double middle, double deviation) {
  static const double float_digits = 1 << 24, kept = 1 << 10;
  return deviation > 0 && fabs(middle) * kept > deviation * float_digits;
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  const statistics *s = state;
  float *means = co_feature_fitted(feature, "mean")->bytes;
  float *scales = co_feature_fitted(feature, "scale")->bytes;
  bool image = feature->column->type == CO_COLUMN_IMAGE;
  float *fills = image ? NULL : co_feature_fitted(feature, "fill")->bytes;
  int normalization = options_of(feature)->normalization;
  bool zscore = normalization == CO_NORMALIZATION_ZSCORE;
  for (int64_t c = 0; c < channels_of(feature); c++) {
    double count = s->count[c] ? (double)s->count[c] : 1;
    double mean = s->sum[c] / count, variance = s->squares[c] / count - mean * mean;
    double deviation = variance > 0 ? sqrt(variance) : 0;
    double low = s->count[c] ? s->low[c] : 0, high = s->count[c] ? s->high[c] : 0;
    double scale = zscore ? deviation : high - low, pivot = 0;
    tell(ctx, feature, s, c);
    if (is_number(feature) && normalization != CO_NORMALIZATION_NONE &&
        co_numeric_is_flattened(s->pivot[c] + mean, deviation)) {
      pivot = s->pivot[c];
      *(double *)co_feature_fitted(feature, "pivot")->bytes = pivot;
    }
    bool filled = s->missing[c] || options_of(feature)->missing != CO_MISSING_AUTO;
    if (fills) fills[c] = filled ? (float)(s->pivot[c] - pivot + mean) : NAN;
    if (normalization == CO_NORMALIZATION_NONE || normalization == CO_NORMALIZATION_SCALE) continue;
    means[c] = (float)(s->pivot[c] - pivot + (zscore ? mean : low));
    scales[c] = (float)(scale > 0 ? 1 / scale : 1); // a constant column stays finite
  }
  return CO_OK;
}

static void free_statistics(co_context *ctx, void *state) {
  co_free(ctx, ((statistics *)state)->pivot);
  co_free(ctx, ((statistics *)state)->count);
}

const co_fit_class co_numeric_fit = {.state_size = sizeof(statistics),
                                     .begin = begin,
                                     .add = add,
                                     .end = end,
                                     .free = free_statistics};

co_status co_numeric_check(const co_input_feature *feature, const void *values, int64_t rows,
                           const int64_t *samples, int64_t *counts) {
  int64_t per_row = co_shape_count(&feature->column->shape);
  const float *fills = co_feature_fitted(feature, "fill")->bytes;
  for (int64_t i = 0; i < rows * per_row; i++) {
    double value = value_at(feature, values, i);
    bool taken = options_of(feature)->missing != CO_MISSING_REFUSE &&
                 !isnan(fills[i % channels_of(feature)]);
    if (!isfinite(value) && !(isnan(value) && taken))
      return co_numeric_refuse(feature, value, samples[i / per_row]);
    counts[CO_COUNT_MISSING] += isnan(value);
  }
  return CO_OK;
}

// ---- section -----------------------------------------------------------------------------------

co_status co_numeric_impute(co_section_builder *b, co_value *value, co_value *flags) {
  const co_input_feature *feature = &b->block->features[0];
  co_value in[CO_OP_MAX_OPERANDS] = {*value}, out[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    out[i] = CO_NO_VALUE;
  for (int i = 1; i < CO_OP_MAX_OPERANDS; i++)
    in[i] = CO_NO_VALUE;
  *flags = CO_NO_VALUE;
  if (feature->column->type == CO_COLUMN_IMAGE || options_of(feature)->missing == CO_MISSING_REFUSE)
    return CO_OK;
  bool indicator = options_of(feature)->missing == CO_MISSING_INDICATOR;
  if (indicator) out[CO_IMPUTE_flags] = CO_WANTED_VALUE;
  CO_RETURN_IF_FAILED(co_section_fitted(b, "fill", &in[CO_IMPUTE_fill]));
  CO_RETURN_IF_FAILED(co_graph_add_op(b->section->graph, CO_OP_IMPUTE, NULL, in, out));
  *value = out[CO_IMPUTE_y];
  if (indicator) *flags = out[CO_IMPUTE_flags];
  return CO_OK;
}

co_status co_numeric_join_flags(co_section_builder *b, co_value *value, co_value flags) {
  if (flags == CO_NO_VALUE) return CO_OK;
  const co_value both[2] = {*value, flags};
  return co_emit(b->section->graph, CO_OP_CONCAT, NULL, 2, both, value);
}

co_status co_numeric_emit(co_section_builder *b, co_value *value) {
  co_value in[3], flags;
  CO_RETURN_IF_FAILED(co_numeric_impute(b, value, &flags));
  in[0] = *value;
  if (options_of(&b->block->features[0])->normalization != CO_NORMALIZATION_NONE) {
    CO_RETURN_IF_FAILED(co_section_fitted(b, "mean", &in[1]));
    CO_RETURN_IF_FAILED(co_section_fitted(b, "scale", &in[2]));
    CO_RETURN_IF_FAILED(co_emit(b->section->graph, CO_OP_NORMALIZE, NULL, 3, in, value));
  }
  return co_numeric_join_flags(b, value, flags);
}

co_status co_numeric_emit_rows(co_section_builder *b, co_value *out) {
  CO_RETURN_IF_FAILED(co_section_rows(b, is_number(&b->block->features[0]), out));
  return co_numeric_emit(b, out);
}

co_status co_numeric_describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  const co_input_feature *feature = &block->features[0];
  const co_shape *row = &feature->column->shape;
  *dtype = CO_F32;
  *shape = (co_shape){.rank = row->rank + 1, .dim = {CO_DIM_N}};
  for (int i = 0; i < row->rank; i++)
    shape->dim[i + 1] = row->dim[i];
  if (shape->rank == 1) *shape = co_shape_make(2, CO_DIM_N, block->count);
  if (feature->column->type != CO_COLUMN_IMAGE &&
      options_of(feature)->missing == CO_MISSING_INDICATOR)
    shape->dim[shape->rank - 1] *= 2;
  return CO_OK;
}

// ---- output ------------------------------------------------------------------------------------

static int64_t width(const co_output_feature *output) {
  if (!output->column) return output->width; // of the input that it reconstructs
  if (output->loss_attr.level_count) return output->loss_attr.level_count;
  return output->column->shape.rank ? output->column->shape.dim[0] : 1;
}

// Quantiles are called by their percents: OUTPUT_q2.5.
static char *cell_name(co_context *ctx, const co_output_feature *output, int64_t i) {
  if (output->loss_attr.level_count)
    return co_format(ctx, "%s_q%.6g", output->name, 100 * output->loss_attr.levels[i]);
  return width(output) == 1 ? co_strdup(ctx, output->name)
                            : co_format(ctx, "%s_%lld", output->name, (long long)i);
}

static co_score_cell cell(const co_output_feature *output, const float *scores, int64_t i) {
  (void)output;
  return (co_score_cell){NULL, (double)scores[i]};
}

const co_output_class co_numeric_output = {.loss = "mean_squared_error",
                                           .head = "value",
                                           .prediction = "prediction",
                                           .activation = CO_OP_COUNT,
                                           .target = CO_F32,
                                           .width = width,
                                           .cells = width,
                                           .cell_name = cell_name,
                                           .cell = cell};
