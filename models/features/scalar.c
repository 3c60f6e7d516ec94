// SPDX-License-Identifier: Apache-2.0
#include "models/features/scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/c_text.h"
#include "models/builder.h"
#include "models/features/quantiles.h"

const char *const co_scalar_missing_words[] = {"auto", "refuse",   "mean", "indicator", "median",
                                               "mode", "constant", "drop", NULL};

static const char *const methods[] = {"none", "iqr", "zscore", NULL};
// Of co_outlier_action; `missing` is null for configs that are merged, where null takes keys away.
static const char *const actions[] = {"clip", "null", "drop", "missing", NULL};
enum { MISSING = 3 };

typedef struct outlier_options {
  int method, action;
  double factor;
} outlier_options;

const co_field co_outlier_fields[] = {
    {"method", CO_FIELD_ENUM, offsetof(outlier_options, method), NULL, 0, 0, methods,
     "iqr: beyond factor times the range between the quartiles from them; zscore: beyond factor "
     "deviations from the mean.",
     NULL},
    {"action", CO_FIELD_ENUM, offsetof(outlier_options, action), "clip", 0, 0, actions,
     "clip: moved to the bound; null or missing: taken as missing; drop: the row is not learned "
     "from.",
     NULL},
    {"factor", CO_FIELD_DOUBLE, offsetof(outlier_options, factor), "0.0", 0, 1e9, NULL,
     "How far is too far; 0: 1.5 for iqr, 3 for zscore.", NULL},
    {.key = NULL}};

static const co_scalar_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

static bool is_derived(const co_scalar_options *options) {
  return options->outlier.method != CO_OUTLIERS_NONE || options->scaling >= CO_SCALING_LOG1P;
}

// Whether all values are needed at once.
static bool is_collected(const co_scalar_options *options) {
  return is_derived(options) || options->numeric.missing == CO_MISSING_MEDIAN ||
         options->numeric.missing == CO_MISSING_MODE;
}

static co_status read_outliers(struct co_model_builder *b, const char *path,
                               co_scalar_options *options) {
  outlier_options outlier;
  char *own = co_arena_format(b->model->arena, "%s.preprocessing.outliers", path);
  const co_node *node = options->outliers;
  options->outliers = NULL; // what it says decides whether options are equal
  if (!own) return CO_ERR_MEMORY;
  if (!node || node->kind == CO_NODE_NULL) return CO_OK;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&outlier, co_outlier_fields, node, own, b->model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const co_node *action = co_node_get(node, "action");
  bool null = outlier.action == MISSING || (action && action->kind == CO_NODE_NULL);
  if (null) outlier.action = CO_OUTLIERS_NULL; // which YAML has a type of its own for
  if (outlier.factor == 0) outlier.factor = outlier.method == CO_OUTLIERS_IQR ? 1.5 : 3;
  options->outlier.method = outlier.method;
  options->outlier.action = outlier.action;
  options->outlier.factor = outlier.factor;
  if (outlier.action != CO_OUTLIERS_NULL) return CO_OK;
  if (options->numeric.missing == CO_MISSING_REFUSE)
    return co_node_problem(b->problems, node, "let missing be mean, or median",
                           "%s: outliers are made missing, which are refused", own);
  if (options->numeric.missing == CO_MISSING_AUTO) options->numeric.missing = CO_MISSING_MEAN;
  return CO_OK;
}

co_status co_scalar_read(struct co_model_builder *b, const co_node *item, const char *path,
                         co_input_feature *feature) {
  static const int behind[] = {[CO_SCALING_NONE] = CO_NORMALIZATION_NONE,
                               [CO_SCALING_ZSCORE] = CO_NORMALIZATION_ZSCORE,
                               [CO_SCALING_MINMAX] = CO_NORMALIZATION_MINMAX,
                               [CO_SCALING_LOG1P] = CO_NORMALIZATION_ZSCORE,
                               [CO_SCALING_SIGNED_LOG1P] = CO_NORMALIZATION_ZSCORE,
                               [CO_SCALING_QUANTILE] = CO_NORMALIZATION_NONE};
  co_scalar_options *options = feature->preprocessing;
  options->numeric.normalization = behind[options->scaling];
  if (options->scaling == CO_SCALING_LOG1P && options->numeric.missing == CO_MISSING_CONSTANT &&
      options->fill_value <= -1)
    return co_node_problem(b->problems, item, "signed_log1p takes any number",
                           "%s.preprocessing.fill_value: has no log1p", path);
  return read_outliers(b, path, options);
}

// ---- derivation --------------------------------------------------------------------------------

typedef struct derivation {
  const co_scalar_options *options;
  const double *pivot;
  double *bounds, *minimum, *edges; // fitted
  co_scalar_formula formula;        // but of ranks
} derivation;

// Before it is taken as missing, or filled in.
static double scaled(const derivation *d, double x) {
  switch (d->options->scaling) {
  case CO_SCALING_LOG1P:
    return log1p(x > -1 ? x : *d->minimum);
  case CO_SCALING_SIGNED_LOG1P:
    return copysign(log1p(fabs(x)), x);
  case CO_SCALING_QUANTILE: {
    double rank = co_rank_among(d->edges, d->options->quantiles, x);
    return d->options->quantile_output ? co_normal_quantile(rank) : rank;
  }
  default:
    return x;
  }
}

static double within(const derivation *d, double x) {
  if (d->options->outlier.action == CO_OUTLIERS_DROP) return x; // those that were not dropped
  bool clip = d->options->outlier.action == CO_OUTLIERS_CLIP;
  if (x < d->bounds[0]) return clip ? d->bounds[0] : (double)NAN;
  if (x > d->bounds[1]) return clip ? d->bounds[1] : (double)NAN;
  return x;
}

static double transform(const derivation *d, double x) {
  x = within(d, x);
  return isnan(x) ? x : scaled(d, x);
}

static void derive(const void *user, const double *values, int64_t sample, void *out) {
  const derivation *d = user;
  (void)sample;
  *(float *)out = (float)(transform(d, values[0]) - *d->pivot);
}

// As `scaled`.
static void print_scaling(const derivation *d, co_text *out) {
  static const char *const lines[] = {[CO_SCALING_LOG1P] = "    x = log1p(x > -1 ? x : minimum);\n",
                                      [CO_SCALING_SIGNED_LOG1P] =
                                          "    x = copysign(log1p(fabs(x)), x);\n"};
  if (d->options->scaling == CO_SCALING_QUANTILE)
    co_text_printf(out, "    x = co_rank_among(edges, %lld, x);\n%s",
                   (long long)d->options->quantiles,
                   d->options->quantile_output ? "    x = co_normal_quantile(x);\n" : "");
  else if (d->options->scaling >= CO_SCALING_LOG1P)
    co_text_printf(out, "%s", lines[d->options->scaling]);
}

static void print_c(const void *user, co_text *out) {
  const derivation *d = user;
  const double numbers[] = {d->bounds[0], d->bounds[1], *d->minimum, *d->pivot};
  bool bounded = d->options->outlier.action != CO_OUTLIERS_DROP;
  bool clip = d->options->outlier.action == CO_OUTLIERS_CLIP;
  if (d->edges) co_c_doubles(out, "edges", d->edges, d->options->quantiles);
  co_c_doubles(out, "fitted", numbers, 4);
  co_text_printf(out, "  double x = values[0]%s;\n",
                 d->options->scaling == CO_SCALING_LOG1P ? ", minimum = fitted[2]" : "");
  if (bounded)
    co_text_printf(out,
                   "  if (x < fitted[0]) x = %s;\n"
                   "  if (x > fitted[1]) x = %s;\n",
                   clip ? "fitted[0]" : "(double)NAN", clip ? "fitted[1]" : "(double)NAN");
  co_text_printf(out, "  if (!isnan(x)) {\n");
  print_scaling(d, out);
  co_text_printf(out, "  }\n  *out = (float)(x - fitted[3]);\n");
}

static const char *sections_of(const co_scalar_options *options) {
  return options->scaling != CO_SCALING_QUANTILE ? NULL
         : options->quantile_output              ? "ranks, normal"
                                                 : "ranks";
}

static co_scalar_formula formula_of(const derivation *d) {
  static const double none[] = {-INFINITY, INFINITY};
  const co_scalar_options *options = d->options;
  return (co_scalar_formula){
      .function = options->scaling == CO_SCALING_LOG1P          ? CO_FORMULA_LOG1P
                  : options->scaling == CO_SCALING_SIGNED_LOG1P ? CO_FORMULA_SIGNED_LOG1P
                                                                : CO_FORMULA_IDENTITY,
      .bounds = options->outlier.action == CO_OUTLIERS_DROP ? none : d->bounds,
      .clips = options->outlier.action == CO_OUTLIERS_CLIP,
      .minimum = d->minimum,
      .pivot = d->pivot};
}

co_status co_scalar_declare(co_model *model, co_input_feature *feature) {
  const co_scalar_options *options = options_of(feature);
  CO_RETURN_IF_FAILED(co_numeric_declare(model, feature));
  if (!is_derived(options)) return CO_OK;
  const co_fitted arrays[] = {
      {.name = "bounds", .dtype = CO_F64, .shape = co_shape_make(1, (int64_t)2)},
      {.name = "minimum", .dtype = CO_F64, .shape = co_shape_make(1, (int64_t)1)},
      {.name = "edges", .dtype = CO_F64, .shape = co_shape_make(1, options->quantiles)}};
  bool quantile = options->scaling == CO_SCALING_QUANTILE;
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, arrays, quantile ? 3 : 2));
  derivation *made = co_arena_alloc(model->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = (derivation){.options = options,
                       .pivot = co_feature_fitted(feature, "pivot")->bytes,
                       .bounds = co_feature_fitted(feature, "bounds")->bytes,
                       .minimum = co_feature_fitted(feature, "minimum")->bytes,
                       .edges = quantile ? co_feature_fitted(feature, "edges")->bytes : NULL};
  made->bounds[0] = -INFINITY;
  made->bounds[1] = INFINITY;
  made->formula = formula_of(made);
  const co_derivation d = {.dtype = CO_F32,
                           .width = 1,
                           .derive = derive,
                           .user = made,
                           .print_c = print_c,
                           .c_sections = sections_of(options),
                           .formula = quantile ? NULL : &made->formula};
  return co_feature_derive(model, feature, &d);
}

bool co_scalar_is_fitted(const co_input_feature *feature) {
  return co_numeric_is_fitted(feature) || is_derived(options_of(feature));
}

// ---- fitting -----------------------------------------------------------------------------------

typedef struct fitting {
  co_context *ctx;
  void *numeric; // the state of co_numeric_fit
  double *values;
  int64_t count, capacity; // 0 where nothing is collected
} fitting;

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  fitting *f = state;
  f->ctx = ctx;
  if (!(f->numeric = co_alloc_zero(ctx, 1, co_numeric_fit.state_size))) return CO_ERR_MEMORY;
  return co_numeric_fit.begin(ctx, feature, f->numeric);
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  fitting *f = state;
  const double *numbers = values;
  bool refused = options_of(feature)->numeric.missing == CO_MISSING_REFUSE;
  if (!is_collected(options_of(feature)))
    return co_numeric_fit.add(feature, f->numeric, values, rows, samples);
  for (int64_t i = 0; i < rows; i++) {
    if (isinf(numbers[i]) || (isnan(numbers[i]) && refused))
      return co_numeric_refuse(feature, numbers[i], samples[i]);
    CO_RETURN_IF_FAILED(
        co_grow(f->ctx, (void **)&f->values, &f->capacity, f->count, sizeof *f->values));
    f->values[f->count++] = numbers[i];
  }
  return CO_OK;
}

static void fit_bounds(co_context *ctx, const co_input_feature *feature, derivation *d,
                       const double *sorted, int64_t count) {
  const co_scalar_options *options = options_of(feature);
  double low = -INFINITY, high = INFINITY, factor = options->outlier.factor;
  d->bounds[0] = low; // of an earlier fit
  d->bounds[1] = high;
  if (!count) return;
  if (options->outlier.method == CO_OUTLIERS_IQR) {
    double first = co_quantile(sorted, count, 0.25), third = co_quantile(sorted, count, 0.75);
    low = first - factor * (third - first);
    high = third + factor * (third - first);
  } else if (options->outlier.method == CO_OUTLIERS_ZSCORE) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < count; i++)
      mean += sorted[i] / (double)count;
    for (int64_t i = 0; i < count; i++)
      squares += (sorted[i] - mean) * (sorted[i] - mean);
    double deviation = sqrt(squares / (double)count);
    low = mean - factor * deviation;
    high = mean + factor * deviation;
  }
  if (low == high) {
    co_log(ctx, CO_LOG_WARN, "data",
           "column '%s': most training values are %.9g; no bounds for outliers come of that",
           feature->column->name, low);
    return;
  }
  d->bounds[0] = low;
  d->bounds[1] = high;
}

static co_status fit_minimum(const co_input_feature *feature, derivation *d, const double *sorted,
                             int64_t count) {
  double least = INFINITY;
  for (int64_t i = 0; i < count && least == INFINITY; i++)
    if (!isnan(within(d, sorted[i]))) least = within(d, sorted[i]);
  *d->minimum = count ? least : 0;
  if (d->options->scaling != CO_SCALING_LOG1P || *d->minimum > -1) return CO_OK;
  co_status status = co_fail(
      CO_ERR_DATA, "column '%s': there is no log1p of %.9g, the least of the training values",
      feature->column->name, *d->minimum);
  co_hint("normalization: signed_log1p takes any number");
  return status;
}

static double most_frequent(const double *sorted, int64_t count) {
  int64_t best = 0, run = 0;
  double mode = 0;
  for (int64_t i = 0; i < count; i++) {
    run = i && sorted[i] == sorted[i - 1] ? run + 1 : 1;
    if (run <= best) continue;
    best = run;
    mode = sorted[i];
  }
  return mode;
}

// What stands in for missing values, before it is scaled; NaN: the mean behind the scaling.
static double replacement(const co_scalar_options *options, const double *sorted, int64_t count) {
  switch (options->numeric.missing) {
  case CO_MISSING_MEDIAN:
    return count ? co_quantile(sorted, count, 0.5) : 0;
  case CO_MISSING_MODE:
    return most_frequent(sorted, count);
  case CO_MISSING_CONSTANT:
    return options->fill_value;
  default:
    return NAN;
  }
}

// From the sorted values to bounds, edges and the values behind them.
static co_status fit_derivation(fitting *f, const co_input_feature *feature, const double *sorted,
                                int64_t count) {
  derivation *d = (derivation *)(uintptr_t)feature->derivation->user; // the model's own
  fit_bounds(f->ctx, feature, d, sorted, count);
  CO_RETURN_IF_FAILED(fit_minimum(feature, d, sorted, count));
  if (d->edges)
    for (int64_t i = 0; i < d->options->quantiles; i++) {
      double p = (double)i / (double)(d->options->quantiles - 1);
      d->edges[i] = count ? within(d, co_quantile(sorted, count, p)) : 0;
      if (isnan(d->edges[i])) d->edges[i] = p < 0.5 ? d->bounds[0] : d->bounds[1];
    }
  for (int64_t i = 0; i < f->count; i++)
    f->values[i] = transform(d, f->values[i]);
  return CO_OK;
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  fitting *f = state;
  const co_scalar_options *options = options_of(feature);
  double *sorted = NULL, fill = options->fill_value;
  if (is_collected(options)) {
    int64_t count = 0;
    if (!(sorted = co_alloc(ctx, (size_t)(f->count + 1) * sizeof *sorted))) return CO_ERR_MEMORY;
    for (int64_t i = 0; i < f->count; i++)
      if (!isnan(f->values[i])) sorted[count++] = f->values[i];
    qsort(sorted, (size_t)count, sizeof *sorted, co_by_value);
    fill = replacement(options, sorted, count);
    co_status status = is_derived(options) ? fit_derivation(f, feature, sorted, count) : CO_OK;
    co_free(ctx, sorted);
    CO_RETURN_IF_FAILED(status);
    // Statistics of what has become of the values; they are finite or missing by now.
    CO_RETURN_IF_FAILED(co_numeric_fit.add(feature, f->numeric, f->values, f->count, NULL));
  } else if (options->numeric.missing != CO_MISSING_CONSTANT) {
    fill = NAN;
  }
  CO_RETURN_IF_FAILED(co_numeric_fit.end(ctx, feature, f->numeric));
  if (isnan(fill)) return CO_OK;
  if (feature->derivation) fill = scaled(feature->derivation->user, fill);
  double pivot = *(double *)co_feature_fitted(feature, "pivot")->bytes;
  *(float *)co_feature_fitted(feature, "fill")->bytes = (float)(fill - pivot);
  return CO_OK;
}

static void free_fitting(co_context *ctx, void *state) {
  fitting *f = state;
  if (f->numeric) co_numeric_fit.free(ctx, f->numeric);
  co_free(ctx, f->numeric);
  co_free(ctx, f->values);
}

const co_fit_class co_scalar_fit = {
    .state_size = sizeof(fitting), .begin = begin, .add = add, .end = end, .free = free_fitting};

bool co_scalar_drops(const co_input_feature *feature) {
  const co_scalar_options *options = options_of(feature);
  return options->numeric.missing == CO_MISSING_DROP ||
         (options->outlier.method != CO_OUTLIERS_NONE &&
          options->outlier.action == CO_OUTLIERS_DROP);
}

bool co_scalar_drops_row(const co_input_feature *feature, double value) {
  const derivation *d = feature->derivation ? feature->derivation->user : NULL;
  if (isnan(value)) return options_of(feature)->numeric.missing == CO_MISSING_DROP;
  return d && d->options->outlier.action == CO_OUTLIERS_DROP &&
         (value < d->bounds[0] || value > d->bounds[1]);
}

co_status co_scalar_check(const co_input_feature *feature, const void *values, int64_t rows,
                          const int64_t *samples, int64_t *counts) {
  const derivation *d = feature->derivation ? feature->derivation->user : NULL;
  const double *numbers = values;
  CO_RETURN_IF_FAILED(co_numeric_check(feature, values, rows, samples, counts));
  for (int64_t i = 0; d && i < rows; i++) {
    bool beyond = numbers[i] < d->bounds[0] || numbers[i] > d->bounds[1];
    bool no_log = d->options->scaling == CO_SCALING_LOG1P && within(d, numbers[i]) <= -1;
    counts[CO_COUNT_OUTLIERS] += beyond || no_log;
  }
  return CO_OK;
}
