// SPDX-License-Identifier: Apache-2.0
#include "models/features/groups.h"

#include <math.h>
#include <string.h>

#include "host/core/c_text.h"
#include "host/core/rng.h"

static const co_group_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

static int64_t width_of(const co_input_feature *feature) {
  return feature->learned && feature->learned->type == CO_COLUMN_CATEGORY
             ? feature->learned->category_count
             : 1;
}

static int64_t groups_of(const co_input_feature *feature) {
  return 1 + (feature->column->type == CO_COLUMN_BINARY ? 2 : feature->column->category_count);
}

// Parts of the training rows that are summed by themselves.
static int64_t parts_of(const co_input_feature *feature) {
  int64_t folds = options_of(feature)->folds;
  return folds > 1 ? folds : 1;
}

static int64_t tables_of(const co_input_feature *feature) {
  return parts_of(feature) > 1 ? parts_of(feature) + 1 : 1;
}

int64_t co_group_fold(const co_input_feature *feature, int64_t sample) {
  uint32_t bits = co_random_bits(0, (uint64_t)sample, 0, co_purpose("fold", "target_mean"));
  return (int64_t)(bits % (uint32_t)parts_of(feature));
}

static int64_t group_of(double code) {
  return isnan(code) ? 0 : 1 + (int64_t)code;
}

// ---- derivation --------------------------------------------------------------------------------

typedef struct derivation {
  const co_input_feature *feature;
  const float *groups;
  int64_t count, width, tables;
} derivation;

static void derive(const void *user, const double *values, int64_t sample, void *out) {
  const derivation *d = user;
  int64_t table = d->tables - 1;
  if (sample >= 0 && table > 0) table = co_group_fold(d->feature, sample);
  memcpy(out, d->groups + (table * d->count + group_of(values[0])) * d->width,
         (size_t)d->width * sizeof(float));
}

static void print_c(const void *user, co_text *out) {
  const derivation *d = user;
  const float *last = d->groups + (d->tables - 1) * d->count * d->width;
  co_c_floats(out, "groups", last, d->count * d->width);
  co_text_printf(out,
                 "  int group = isnan(values[0]) ? 0 : 1 + (int)values[0];\n"
                 "  for (int i = 0; i < %lld; i++)\n"
                 "    out[i] = groups[group * %lld + i];\n",
                 (long long)d->width, (long long)d->width);
}

co_status co_group_declare(co_model *model, co_input_feature *feature) {
  int64_t groups = groups_of(feature), width = width_of(feature), tables = tables_of(feature);
  const co_fitted arrays[] = {
      {.name = "groups", .dtype = CO_F32, .shape = co_shape_make(3, tables, groups, width)},
      {.name = "rows", .dtype = CO_I64, .shape = co_shape_make(1, groups)},
      {.name = "mean", .dtype = CO_F32, .shape = co_shape_make(1, width)},
      {.name = "scale", .dtype = CO_F32, .shape = co_shape_make(1, width)}};
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, arrays, 4));
  derivation *made = co_arena_alloc(model->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = (derivation){.feature = feature,
                       .groups = co_feature_fitted(feature, "groups")->bytes,
                       .count = groups,
                       .width = width,
                       .tables = tables};
  const co_derivation d = {.dtype = CO_F32,
                           .width = width,
                           .of_sample = tables > 1,
                           .derive = derive,
                           .user = made,
                           .print_c = print_c};
  return co_feature_derive(model, feature, &d);
}

bool co_group_is_fitted(const co_input_feature *feature) {
  (void)feature;
  return true;
}

// ---- fitting -----------------------------------------------------------------------------------

typedef struct fitting {
  // Per part and group: rows with a value; of them, per value: sums (and squares) of what they differ
  // from the pivot by, or the extreme.
  double *rows, *sum, *squares;
  int64_t *all; // rows of each group, with and without a value
  double pivot;
  bool any;
} fitting;

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  fitting *f = state;
  size_t cells = (size_t)(parts_of(feature) * groups_of(feature)),
         width = (size_t)width_of(feature);
  f->rows = co_alloc_zero(ctx, cells, sizeof *f->rows);
  f->sum = co_alloc_zero(ctx, cells * width, sizeof *f->sum);
  f->squares = co_alloc_zero(ctx, cells * width, sizeof *f->squares);
  f->all = co_alloc_zero(ctx, (size_t)groups_of(feature), sizeof *f->all);
  return f->rows && f->sum && f->squares && f->all ? CO_OK : CO_ERR_MEMORY;
}

static void add_value(const co_input_feature *feature, fitting *f, int64_t cell, double value) {
  int64_t width = width_of(feature), function = options_of(feature)->function;
  bool first = f->rows[cell]++ == 0;
  if (width > 1) {
    f->sum[cell * width + (int64_t)value]++;
    return;
  }
  if (function == CO_GROUP_MIN || function == CO_GROUP_MAX) {
    bool better = function == CO_GROUP_MIN ? value < f->sum[cell] : value > f->sum[cell];
    if (first || better) f->sum[cell] = value;
    return;
  }
  if (!f->any) f->pivot = value; // far from zero, squares would leave no digit for the variance
  f->any = true;
  value -= f->pivot;
  f->sum[cell] += value;
  f->squares[cell] += value * value;
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  fitting *f = state;
  const double *at = values;
  for (int64_t i = 0; i < rows; i++) {
    int64_t group = group_of(*at++);
    double value = feature->learned ? *at++ : 0;
    int64_t part = parts_of(feature) > 1 ? co_group_fold(feature, samples[i]) : 0;
    f->all[group]++;
    if (isnan(value)) continue;
    if (isinf(value))
      return co_fail(CO_ERR_DATA, "column '%s', row %lld: the value is infinite",
                     feature->learned->name, (long long)samples[i]);
    add_value(feature, f, part * groups_of(feature) + group, value);
  }
  return CO_OK;
}

// Sums of a group over all parts but one (-1: over all), for value w.
typedef struct sums {
  double rows, sum, squares;
} sums;

static sums sum_parts(const co_input_feature *feature, const fitting *f, int64_t group, int64_t w,
                      int64_t without) {
  int64_t width = width_of(feature), groups = groups_of(feature),
          function = options_of(feature)->function;
  sums s = {0, 0, 0};
  for (int64_t part = 0; part < parts_of(feature); part++) {
    int64_t cell = part * groups + group, at = cell * width + w;
    if (part == without || f->rows[cell] == 0) continue;
    bool extreme = function == CO_GROUP_MIN || function == CO_GROUP_MAX;
    if (extreme && s.rows > 0)
      s.sum = function == CO_GROUP_MIN ? fmin(s.sum, f->sum[at]) : fmax(s.sum, f->sum[at]);
    else
      s.sum += f->sum[at];
    s.rows += f->rows[cell];
    s.squares += f->squares[at];
  }
  return s;
}

static sums add_sums(int function, sums a, sums b) {
  if (b.rows == 0) return a;
  if (a.rows == 0) return b;
  double sum = function == CO_GROUP_MIN   ? fmin(a.sum, b.sum)
               : function == CO_GROUP_MAX ? fmax(a.sum, b.sum)
                                          : a.sum + b.sum;
  return (sums){a.rows + b.rows, sum, a.squares + b.squares};
}

// `total`: of all groups together, for a group without rows and, smoothing, for each mean.
static double result(const co_input_feature *feature, const fitting *f, sums s, sums total) {
  const co_group_options *options = options_of(feature);
  double prior = total.rows > 0 ? total.sum / total.rows : 0, weight = s.rows + options->smoothing;
  switch (options->function) {
  case CO_GROUP_MEAN:
    return f->pivot + (weight > 0 ? (s.sum + options->smoothing * prior) / weight : prior);
  case CO_GROUP_STD: {
    if (s.rows == 0) s = total;
    if (s.rows == 0) return 0;
    double mean = s.sum / s.rows, variance = s.squares / s.rows - mean * mean;
    return variance > 0 ? sqrt(variance) : 0;
  }
  case CO_GROUP_SUM:
    return s.sum + s.rows * f->pivot;
  case CO_GROUP_COUNT:
    return s.rows;
  case CO_GROUP_SHARE:
    return total.rows > 0 ? s.rows / total.rows : 0;
  default:
    return s.rows > 0 ? s.sum : total.sum;
  }
}

// Mean and deviation of what the training rows are given.
static void normalize(const co_input_feature *feature, const fitting *f, const float *groups,
                      int64_t w, float *mean, float *scale) {
  int64_t count = groups_of(feature), width = width_of(feature);
  double rows = 0, sum = 0, squares = 0;
  for (int64_t pass = 0; pass < 2; pass++)
    for (int64_t cell = 0; cell < parts_of(feature) * count; cell++) {
      double value = (double)groups[cell * width + w],
             differs = value - (rows > 0 ? sum / rows : 0);
      if (pass == 0) {
        rows += f->rows[cell];
        sum += f->rows[cell] * value;
      } else {
        squares += f->rows[cell] * differs * differs;
      }
    }
  double deviation = rows > 0 ? sqrt(squares / rows) : 0;
  *mean = (float)(rows > 0 ? sum / rows : 0);
  *scale = (float)(deviation > 0 ? 1 / deviation : 1);
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  const fitting *f = state;
  int64_t count = groups_of(feature), width = width_of(feature), tables = tables_of(feature);
  float *groups = co_feature_fitted(feature, "groups")->bytes;
  float *means = co_feature_fitted(feature, "mean")->bytes;
  float *scales = co_feature_fitted(feature, "scale")->bytes;
  (void)ctx;
  memcpy(co_feature_fitted(feature, "rows")->bytes, f->all, (size_t)count * sizeof *f->all);
  for (int64_t table = 0; table < tables; table++)
    for (int64_t w = 0; w < width; w++) {
      int64_t without = table == tables - 1 ? -1 : table;
      sums total = {0, 0, 0};
      for (int64_t g = 0; g < count; g++)
        total =
            add_sums(options_of(feature)->function, total, sum_parts(feature, f, g, w, without));
      for (int64_t g = 0; g < count; g++)
        groups[(table * count + g) * width + w] =
            (float)result(feature, f, sum_parts(feature, f, g, w, without), total);
    }
  for (int64_t w = 0; w < width; w++)
    normalize(feature, f, groups, w, &means[w], &scales[w]);
  return CO_OK;
}

static void free_fitting(co_context *ctx, void *state) {
  fitting *f = state;
  co_free(ctx, f->rows);
  co_free(ctx, f->sum);
  co_free(ctx, f->squares);
  co_free(ctx, f->all);
}

const co_fit_class co_group_fit = {
    .state_size = sizeof(fitting), .begin = begin, .add = add, .end = end, .free = free_fitting};

co_status co_group_check(const co_input_feature *feature, const void *values, int64_t rows,
                         const int64_t *samples, int64_t *counts) {
  const int64_t *known = co_feature_fitted(feature, "rows")->bytes;
  (void)samples;
  for (int64_t i = 0; i < rows; i++) {
    double code = ((const double *)values)[i];
    counts[CO_COUNT_MISSING] += isnan(code);
    counts[CO_COUNT_UNSEEN] += !isnan(code) && !known[group_of(code)];
  }
  return CO_OK;
}

// ---- section -----------------------------------------------------------------------------------

co_status co_group_describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  *dtype = CO_F32;
  *shape = co_shape_make(2, CO_DIM_N, width_of(&block->features[0]));
  return CO_OK;
}

co_status co_group_emit(co_section_builder *b, co_value *out) {
  co_value in[3];
  CO_RETURN_IF_FAILED(co_section_rows(b, false, &in[CO_NORMALIZE_x]));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "mean", &in[CO_NORMALIZE_mean]));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "scale", &in[CO_NORMALIZE_scale]));
  return co_emit(b->section->graph, CO_OP_NORMALIZE, NULL, 3, in, out);
}
