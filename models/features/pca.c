// SPDX-License-Identifier: Apache-2.0
// Principal components of several numbers, fitted on training rows: each number less its mean, by its
// deviation, then onto the axes of the greatest variance.
#include <math.h>
#include <string.h>

#include "host/core/c_text.h"
#include "models/builder.h"

typedef struct pca_options {
  int64_t components;
  bool whiten;
} pca_options;

static const co_field preprocessing[] = {
    {"components", CO_FIELD_INT, offsetof(pca_options, components), "2", 1, CO_DERIVED_COLUMNS,
     NULL, "How many, those of the greatest variance first.", NULL},
    {"whiten", CO_FIELD_BOOL, offsetof(pca_options, whiten), "false", 0, 0, NULL,
     "Whether each component is divided by its deviation.", NULL},
    {.key = NULL}};

static const pca_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

static co_status read(struct co_model_builder *b, const co_node *item, const char *path,
                      co_input_feature *feature) {
  if (options_of(feature)->components <= feature->column_count) return CO_OK;
  return co_node_problem(b->problems, item, NULL,
                         "%s.preprocessing.components: there are only %lld columns", path,
                         (long long)feature->column_count);
}

typedef struct derivation {
  int64_t columns, components;
  const double *mean, *scale, *axes; // (columns), (columns), (components, columns)
} derivation;

// What is missing is the mean.
static double standard(const derivation *d, const double *values, int64_t c) {
  return isnan(values[c]) ? 0 : (values[c] - d->mean[c]) * d->scale[c];
}

static void derive(const void *user, const double *values, int64_t sample, void *out) {
  const derivation *d = user;
  (void)sample;
  for (int64_t k = 0; k < d->components; k++) {
    double sum = 0;
    for (int64_t c = 0; c < d->columns; c++)
      sum += d->axes[k * d->columns + c] * standard(d, values, c);
    ((float *)out)[k] = (float)sum;
  }
}

static void print_c(const void *user, co_text *out) {
  const derivation *d = user;
  co_c_doubles(out, "mean", d->mean, d->columns);
  co_c_doubles(out, "scale", d->scale, d->columns);
  co_c_doubles(out, "axes", d->axes, d->components * d->columns);
  co_text_printf(
      out,
      "  for (int k = 0; k < %lld; k++) {\n"
      "    double sum = 0;\n"
      "    for (int c = 0; c < %lld; c++)\n"
      "      if (!isnan(values[c])) sum += axes[k * %lld + c] * ((values[c] - mean[c]) * "
      "scale[c]);\n"
      "    out[k] = (float)sum;\n"
      "  }\n",
      (long long)d->components, (long long)d->columns, (long long)d->columns);
}

static co_status declare(co_model *model, co_input_feature *feature) {
  int64_t columns = feature->column_count, components = options_of(feature)->components;
  const co_fitted arrays[] = {
      {.name = "mean", .dtype = CO_F64, .shape = co_shape_make(1, columns)},
      {.name = "scale", .dtype = CO_F64, .shape = co_shape_make(1, columns)},
      {.name = "axes", .dtype = CO_F64, .shape = co_shape_make(2, components, columns)},
      {.name = "variance", .dtype = CO_F64, .shape = co_shape_make(1, columns)}};
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, arrays, 4));
  derivation *made = co_arena_alloc(model->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = (derivation){columns, components, co_feature_fitted(feature, "mean")->bytes,
                       co_feature_fitted(feature, "scale")->bytes,
                       co_feature_fitted(feature, "axes")->bytes};
  const co_derivation d = {
      .dtype = CO_F32, .width = components, .derive = derive, .user = made, .print_c = print_c};
  return co_feature_derive(model, feature, &d);
}

static bool is_fitted(const co_input_feature *feature) {
  (void)feature;
  return true;
}

// ---- fitting -----------------------------------------------------------------------------------

typedef struct fitting {
  co_context *ctx;
  double *values; // (rows, columns)
  int64_t rows, capacity;
} fitting;

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  (void)feature;
  ((fitting *)state)->ctx = ctx;
  return CO_OK;
}

static co_status check(const co_input_feature *feature, const void *values, int64_t rows,
                       const int64_t *samples, int64_t *counts) {
  int64_t columns = feature->column_count;
  for (int64_t i = 0; i < rows * columns; i++) {
    double value = ((const double *)values)[i];
    if (isinf(value))
      return co_fail(CO_ERR_DATA, "column '%s', row %lld: the value is infinite",
                     feature->columns[i % columns]->name, (long long)samples[i / columns]);
    counts[CO_COUNT_MISSING] += isnan(value);
  }
  return CO_OK;
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  fitting *f = state;
  size_t row = (size_t)feature->column_count * sizeof *f->values;
  int64_t counts[CO_COUNT_KINDS] = {0};
  CO_RETURN_IF_FAILED(check(feature, values, rows, samples, counts));
  for (int64_t i = 0; i < rows; i++) {
    CO_RETURN_IF_FAILED(co_grow(f->ctx, (void **)&f->values, &f->capacity, f->rows, row));
    memcpy((char *)f->values + (size_t)f->rows++ * row, (const char *)values + (size_t)i * row,
           row);
  }
  return CO_OK;
}

static void fit_scale(const fitting *f, int64_t columns, int64_t c, double *mean, double *scale) {
  double count = 0, sum = 0, squares = 0;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t i = 0; i < f->rows; i++) {
      double value = f->values[i * columns + c];
      if (isnan(value)) continue;
      if (pass == 0) {
        count++;
        sum += value;
      } else {
        squares += (value - sum / count) * (value - sum / count);
      }
    }
  double deviation = count > 0 ? sqrt(squares / count) : 0;
  *mean = count > 0 ? sum / count : 0;
  *scale = deviation > 0 ? 1 / deviation : 1;
}

// One Jacobi rotation (Golub & Van Loan, "Matrix Computations", 8.5) of the symmetric `a` (n, n) that
// makes a[p, q] zero; the rows of `v` (n, n) turn with it.
static void rotate(double *a, double *v, int64_t n, int64_t p, int64_t q) {
  double angle = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
  double t = copysign(1, angle) / (fabs(angle) + sqrt(angle * angle + 1));
  double c = 1 / sqrt(t * t + 1), s = t * c;
  for (int64_t k = 0; k < n; k++) {
    double x = a[k * n + p], y = a[k * n + q];
    a[k * n + p] = c * x - s * y;
    a[k * n + q] = s * x + c * y;
  }
  for (int64_t k = 0; k < n; k++) {
    double x = a[p * n + k], y = a[q * n + k];
    a[p * n + k] = c * x - s * y;
    a[q * n + k] = s * x + c * y;
    x = v[p * n + k];
    y = v[q * n + k];
    v[p * n + k] = c * x - s * y;
    v[q * n + k] = s * x + c * y;
  }
}

// Eigenvalues in the diagonal of `a`, eigenvectors in the rows of `v`, in no order.
static void find_axes(double *a, double *v, int64_t n) {
  memset(v, 0, (size_t)(n * n) * sizeof *v);
  for (int64_t i = 0; i < n; i++)
    v[i * n + i] = 1;
  for (int sweep = 0; sweep < 60; sweep++) {
    double off = 0, all = 0;
    for (int64_t i = 0; i < n * n; i++) {
      all += a[i] * a[i];
      if (i / n != i % n) off += a[i] * a[i];
    }
    if (off <= 1e-28 * all) return;
    for (int64_t p = 0; p < n; p++)
      for (int64_t q = p + 1; q < n; q++)
        if (a[p * n + q] != 0) rotate(a, v, n, p, q);
  }
}

// The axis with the greatest value left goes to `axis`; its largest number is positive.
static double take_axis(double *a, const double *v, int64_t n, double *axis) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++)
    if (a[i * n + i] > a[best * n + best]) best = i;
  double value = a[best * n + best], largest = 0;
  a[best * n + best] = -INFINITY;
  for (int64_t c = 0; c < n; c++)
    if (fabs(v[best * n + c]) > fabs(largest)) largest = v[best * n + c];
  for (int64_t c = 0; c < n; c++)
    axis[c] = v[best * n + c] * copysign(1, largest);
  return value > 0 ? value : 0;
}

static void sum_products(const fitting *f, const derivation *d, double *a) {
  int64_t n = d->columns;
  double row[CO_DERIVED_COLUMNS];
  memset(a, 0, (size_t)(n * n) * sizeof *a);
  for (int64_t i = 0; i < f->rows; i++) {
    for (int64_t c = 0; c < n; c++)
      row[c] = standard(d, f->values + i * n, c);
    for (int64_t p = 0; p < n; p++)
      for (int64_t q = 0; q < n; q++)
        a[p * n + q] += row[p] * row[q];
  }
  for (int64_t i = 0; f->rows && i < n * n; i++)
    a[i] /= (double)f->rows;
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  const fitting *f = state;
  const derivation *d = feature->derivation->user;
  int64_t n = d->columns;
  double *mean = co_feature_fitted(feature, "mean")->bytes;
  double *scale = co_feature_fitted(feature, "scale")->bytes;
  double *axes = co_feature_fitted(feature, "axes")->bytes;
  double *variance = co_feature_fitted(feature, "variance")->bytes;
  double *a = co_alloc(ctx, (size_t)(2 * n * n) * sizeof *a), axis[CO_DERIVED_COLUMNS], all = 0;
  double kept = 0;
  if (!a) return CO_ERR_MEMORY;
  for (int64_t c = 0; c < n; c++)
    fit_scale(f, n, c, &mean[c], &scale[c]);
  sum_products(f, d, a);
  find_axes(a, a + n * n, n);
  for (int64_t k = 0; k < n; k++) {
    variance[k] = take_axis(a, a + n * n, n, axis);
    all += variance[k];
    if (k >= d->components) continue;
    kept += variance[k];
    double factor = options_of(feature)->whiten && variance[k] > 0 ? 1 / sqrt(variance[k]) : 1;
    for (int64_t c = 0; c < n; c++)
      axes[k * n + c] = axis[c] * factor;
  }
  co_log(ctx, CO_LOG_INFO, "data", "input '%s': %lld components have %.1f %% of the variance",
         feature->name, (long long)d->components, all > 0 ? 100 * kept / all : 100.0);
  co_free(ctx, a);
  return CO_OK;
}

static void free_fitting(co_context *ctx, void *state) {
  co_free(ctx, ((fitting *)state)->values);
}

static const co_fit_class fit = {
    .state_size = sizeof(fitting), .begin = begin, .add = add, .end = end, .free = free_fitting};

static co_status describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  *dtype = CO_F32;
  *shape = co_shape_make(2, CO_DIM_N, options_of(&block->features[0])->components);
  return CO_OK;
}

static co_status emit(co_section_builder *b, co_value *out) {
  return co_section_rows(b, false, out);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(pca_options),
                                     .encoder = "passthrough",
                                     .several = true,
                                     .read = read,
                                     .declare = declare,
                                     .is_fitted = is_fitted,
                                     .fit = &fit,
                                     .check = check,
                                     .describe = describe,
                                     .emit = emit};

extern const co_feature_class co_feature_pca;
const co_feature_class co_feature_pca = {
    .name = "pca",
    .doc = "Of type pca: principal components of the numbers in `columns`.",
    .columns = 1u << CO_COLUMN_NUMBER | 1u << CO_COLUMN_BINARY,
    .input = &input};
