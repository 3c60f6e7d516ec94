// SPDX-License-Identifier: Apache-2.0
#include "models/features/piecewise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/features/quantiles.h"

// ---- edges -------------------------------------------------------------------------------------

// Where the values equal to that at `first` end.
static int64_t end_of_run(const double *sorted, int64_t count, int64_t first) {
  int64_t end = first + 1;
  while (end < count && sorted[end] == sorted[first])
    end++;
  return end;
}

// The different ones of ascending values, as far as there is room; returns how many, at most one more.
static int64_t distinct(const double *sorted, int64_t count, int64_t most, double *out) {
  int64_t found = 0;
  for (int64_t i = 0; i < count && found <= most; i = end_of_run(sorted, count, i), found++)
    if (found < most) out[found] = sorted[i];
  return found;
}

int64_t co_piecewise_edges(double *sorted, int64_t count, int64_t bins, double *edges) {
  int64_t found = distinct(sorted, count, bins + 1, edges), rest = 0, run;
  if (found <= bins + 1) return found;
  found = 0;
  for (int64_t i = 0; i < count; i += run) {
    run = end_of_run(sorted, count, i) - i;
    if (run * bins >= count) {
      edges[found++] = sorted[i];
    } else {
      memmove(sorted + rest, sorted + i, (size_t)run * sizeof *sorted);
      rest += run;
    }
  }
  const int64_t steps = bins - found;
  for (int64_t i = 0; i <= steps; i++)
    edges[found++] = co_quantile(sorted, rest, i == steps ? 1 : (double)i / (double)steps);
  qsort(edges, (size_t)found, sizeof *edges, co_by_value);
  return distinct(edges, found, found, edges);
}

// ---- fitting -----------------------------------------------------------------------------------

typedef struct column {
  co_context *ctx;
  double *values;
  int64_t count, capacity, missing;
  double *edges; // (bins + 1)
  int64_t edge_count;
  double median, mean, fill, pivot;
} column;

static const co_scalar_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

static int64_t bins_of(const co_input_feature *feature) {
  return co_feature_fitted(feature, "edges")->shape.dim[0] - 1;
}

co_status co_piecewise_declare(co_model *model, co_input_feature *feature, int64_t bins) {
  const co_shape one = co_shape_make(1, (int64_t)1);
  const co_fitted arrays[] = {
      {.name = "edges", .dtype = CO_F32, .shape = co_shape_make(1, bins + 1)},
      {.name = "fill", .dtype = CO_F32, .shape = one},
      {.name = "pivot", .dtype = CO_F64, .shape = one}};
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, arrays, 3));
  *(float *)co_feature_fitted(feature, "fill")->bytes = NAN;
  return CO_OK;
}

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  column *s = state;
  s->ctx = ctx;
  s->edges = co_alloc_zero(ctx, (size_t)bins_of(feature) + 1, sizeof *s->edges);
  return s->edges ? CO_OK : CO_ERR_MEMORY;
}

static co_status push(column *s, double value) {
  CO_RETURN_IF_FAILED(
      co_grow(s->ctx, (void **)&s->values, &s->capacity, s->count, sizeof *s->values));
  s->values[s->count++] = value;
  return CO_OK;
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  column *s = state;
  for (int64_t i = 0; i < rows; i++) {
    double value = ((const double *)values)[i];
    if (isnan(value) && options_of(feature)->numeric.missing != CO_MISSING_REFUSE) {
      s->missing++;
      continue;
    }
    if (!isfinite(value)) return co_numeric_refuse(feature, value, samples[i]);
    CO_RETURN_IF_FAILED(push(s, value));
  }
  return CO_OK;
}

static void sort(column *s) {
  qsort(s->values, (size_t)s->count, sizeof *s->values, co_by_value);
}

static double deviation_of(const column *s) {
  double squares = 0;
  for (int64_t i = 0; i < s->count; i++)
    squares += (s->values[i] - s->mean) * (s->values[i] - s->mean);
  return sqrt(squares / (double)s->count);
}

// What stands in for missing values.
static double replacement(const column *s, const co_scalar_options *options) {
  int64_t best = 0, end;
  switch (options->numeric.missing) {
  case CO_MISSING_MEAN:
    return s->mean;
  case CO_MISSING_CONSTANT:
    return options->fill_value;
  case CO_MISSING_MODE:
    for (int64_t i = 0, longest = 0; i < s->count; i = end) {
      end = end_of_run(s->values, s->count, i);
      if (end - i <= longest) continue;
      longest = end - i;
      best = i;
    }
    return s->values[best];
  default:
    return s->median;
  }
}

// Replacements are counted among the values.
static co_status settle(const co_input_feature *feature, void *state) {
  column *s = state;
  if (!s->count) return CO_OK;
  sort(s);
  s->median = co_quantile(s->values, s->count, 0.5);
  for (int64_t i = 0; i < s->count; i++)
    s->mean += (s->values[i] - s->median) / (double)s->count;
  s->mean += s->median;
  s->fill = replacement(s, options_of(feature));
  if (co_numeric_is_flattened(s->median, deviation_of(s))) s->pivot = s->median;
  for (int64_t i = 0; i < s->missing; i++)
    CO_RETURN_IF_FAILED(push(s, s->fill));
  if (s->missing) sort(s);
  s->edge_count = co_piecewise_edges(s->values, s->count, bins_of(feature), s->edges);
  co_free(s->ctx, s->values); // not to be held until all columns are read
  s->values = NULL;
  return CO_OK;
}

static void tell(co_context *ctx, const co_input_feature *feature, const column *s) {
  if (!s->count)
    co_log(ctx, CO_LOG_WARN, "data", "column '%s': no training row has a value; it tells nothing",
           feature->column->name);
  else if (s->edge_count == 1)
    co_log(ctx, CO_LOG_WARN, "data",
           "column '%s' is constant in the training rows: %.9g; it tells nothing",
           feature->column->name, s->edges[0]);
  else if (s->missing)
    co_log(ctx, CO_LOG_INFO, "data", "column '%s': %lld of %lld training values are missing",
           feature->column->name, (long long)s->missing, (long long)s->count);
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  const column *s = state;
  float *edges = co_feature_fitted(feature, "edges")->bytes;
  bool filled = s->missing || options_of(feature)->numeric.missing != CO_MISSING_AUTO;
  int64_t kept = 0;
  tell(ctx, feature, s);
  for (int64_t i = 0; i < s->edge_count; i++) { // some may meet where they become float
    float edge = (float)(s->edges[i] - s->pivot);
    if (!kept || edge > edges[kept - 1]) edges[kept++] = edge;
  }
  for (; kept <= bins_of(feature); kept++)
    edges[kept] = INFINITY;
  *(double *)co_feature_fitted(feature, "pivot")->bytes = s->pivot;
  *(float *)co_feature_fitted(feature, "fill")->bytes = filled ? (float)(s->fill - s->pivot) : NAN;
  return CO_OK;
}

static void free_column(co_context *ctx, void *state) {
  co_free(ctx, ((column *)state)->values);
  co_free(ctx, ((column *)state)->edges);
}

const co_fit_class co_piecewise_fit = {.state_size = sizeof(column),
                                       .begin = begin,
                                       .add = add,
                                       .settle = settle,
                                       .end = end,
                                       .free = free_column};

// ---- section -----------------------------------------------------------------------------------

co_status co_piecewise_emit_rows(co_section_builder *b, co_value *out) {
  co_value in[2], flags;
  CO_RETURN_IF_FAILED(co_section_rows(b, true, &in[0]));
  CO_RETURN_IF_FAILED(co_numeric_impute(b, &in[0], &flags));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "edges", &in[1]));
  CO_RETURN_IF_FAILED(co_emit(b->section->graph, CO_OP_PIECEWISE_LINEAR, NULL, 2, in, out));
  return co_numeric_join_flags(b, out, flags);
}
