// SPDX-License-Identifier: Apache-2.0
#include "models/features/piecewise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- edges -------------------------------------------------------------------------------------

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int64_t unique(double *values, int64_t count) {
  int64_t kept = 0;
  for (int64_t i = 0; i < count; i++)
    if (!kept || values[i] != values[kept - 1]) values[kept++] = values[i];
  return kept;
}

// Where the values equal to that at `first` end.
static int64_t end_of_run(const double *sorted, int64_t count, int64_t first) {
  int64_t end = first + 1;
  while (end < count && sorted[end] == sorted[first])
    end++;
  return end;
}

// Values among which those of long runs are left out, by their position without these.
typedef struct rest {
  const double *sorted;
  const int64_t *begins, *ends; // of the long runs
  int64_t runs, count;
} rest;

static double rest_at(const rest *r, int64_t position) {
  for (int64_t i = 0; i < r->runs && r->begins[i] <= position; i++)
    position += r->ends[i] - r->begins[i];
  return r->sorted[position];
}

// As NumPy's quantile with its default method, "linear".
static double quantile(const rest *r, double share) {
  double place = share * (double)(r->count - 1), part = place - floor(place);
  int64_t below = (int64_t)place, above = below + 1 < r->count ? below + 1 : below;
  double low = rest_at(r, below), high = rest_at(r, above);
  return part < 0.5 ? low + (high - low) * part : high - (high - low) * (1 - part);
}

static int64_t distinct_values(const double *sorted, int64_t count, int64_t most, double *out) {
  int64_t distinct = 0;
  for (int64_t i = 0; i < count; i = end_of_run(sorted, count, i)) {
    if (distinct < most) out[distinct] = sorted[i];
    if (++distinct > most) break;
  }
  return distinct;
}

int64_t co_piecewise_edges(const double *sorted, int64_t count, int64_t bins, double *edges) {
  enum { MOST = CO_PIECEWISE_BINS };
  int64_t begins[MOST], ends[MOST], found = distinct_values(sorted, count, bins + 1, edges);
  if (found <= bins + 1) return found;
  rest r = {.sorted = sorted, .begins = begins, .ends = ends, .count = count};
  for (int64_t i = 0, end; i < count; i = end) {
    end = end_of_run(sorted, count, i);
    if ((double)(end - i) < (double)count / (double)bins) continue;
    edges[r.runs] = sorted[i];
    begins[r.runs] = i;
    ends[r.runs++] = end;
    r.count -= end - i;
  }
  int64_t steps = bins - r.runs;
  found = r.runs;
  for (int64_t i = 0; i <= steps; i++)
    edges[found++] = quantile(&r, i == steps ? 1 : (double)i * (1 / (double)steps));
  qsort(edges, (size_t)found, sizeof *edges, ascending);
  return unique(edges, found);
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

static const co_numeric_options *options_of(const co_input_feature *feature) {
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
    if (isnan(value) && options_of(feature)->missing != CO_MISSING_REFUSE) {
      s->missing++;
      continue;
    }
    if (!isfinite(value)) return co_numeric_refuse(feature, value, samples[i]);
    CO_RETURN_IF_FAILED(push(s, value));
  }
  return CO_OK;
}

static void sort(column *s) {
  qsort(s->values, (size_t)s->count, sizeof *s->values, ascending);
}

static double deviation_of(const column *s) {
  double squares = 0;
  for (int64_t i = 0; i < s->count; i++)
    squares += (s->values[i] - s->mean) * (s->values[i] - s->mean);
  return sqrt(squares / (double)s->count);
}

// What stands in for missing values is counted among the values.
static co_status settle(const co_input_feature *feature, void *state) {
  column *s = state;
  if (!s->count) return CO_OK;
  sort(s);
  s->median = (s->values[(s->count - 1) / 2] + s->values[s->count / 2]) / 2;
  for (int64_t i = 0; i < s->count; i++)
    s->mean += (s->values[i] - s->median) / (double)s->count;
  s->mean += s->median;
  s->fill = options_of(feature)->missing == CO_MISSING_MEAN ? s->mean : s->median;
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
           feature->name);
  else if (s->edge_count == 1)
    co_log(ctx, CO_LOG_WARN, "data",
           "column '%s' is constant in the training rows: %.9g; it tells nothing", feature->name,
           s->edges[0]);
  else if (s->missing)
    co_log(ctx, CO_LOG_INFO, "data", "column '%s': %lld of %lld training values are missing",
           feature->name, (long long)s->missing, (long long)s->count);
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  const column *s = state;
  float *edges = co_feature_fitted(feature, "edges")->bytes;
  bool filled = s->missing || options_of(feature)->missing != CO_MISSING_AUTO;
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
