// SPDX-License-Identifier: Apache-2.0
#include "datasets/profile.h"

#include <string.h>

const double co_profile_shares[CO_PROFILE_QUANTILES] = {.01, .05, .25, .5, .75, .95, .99};

// ---- moments -----------------------------------------------------------------------------------

// Welford's running mean and squares about it.
typedef struct moments {
  int64_t count;
  double mean, squares, min, max;
} moments;

static void add(moments *m, double value) {
  double before = value - m->mean;
  if (!m->count || value < m->min) m->min = value;
  if (!m->count || value > m->max) m->max = value;
  m->mean += before / (double)++m->count;
  m->squares += before * (value - m->mean);
}

static void take_moments(co_profile *out, const moments *m) {
  out->mean = m->count ? m->mean : (double)NAN;
  out->min = m->count ? m->min : (double)NAN;
  out->max = m->count ? m->max : (double)NAN;
  out->sd = m->count > 1 ? sqrt(m->squares / (double)(m->count - 1)) : (double)NAN;
}

// ---- numbers -----------------------------------------------------------------------------------

static int64_t collect(double *values, const co_view *view, const int64_t *rows, int64_t count) {
  int64_t kept = count < CO_PROFILE_EXACT ? count : CO_PROFILE_EXACT, known = 0;
  for (int64_t i = 0; i < kept; i++) {
    int64_t at = co_stretch_draw(i, kept, count);
    double value = co_view_at(view, rows ? rows[at] : at);
    if (!isnan(value)) values[known++] = value;
  }
  return known;
}

static int64_t count_different(const double *sorted, int64_t count) {
  int64_t different = count > 0;
  for (int64_t i = 1; i < count; i++)
    different += sorted[i] != sorted[i - 1];
  return different;
}

static void add_values(co_profile *out, co_sketch *sketch, const co_view *view,
                       const int64_t *rows) {
  moments m = {0};
  for (int64_t i = 0; i < out->rows; i++) {
    double value = co_view_at(view, rows ? rows[i] : i);
    if (isnan(value)) {
      out->missing++;
      continue;
    }
    add(&m, value);
    if (sketch) co_sketch_add(sketch, co_mix64(0, co_double_bits(value)));
  }
  take_moments(out, &m);
}

static co_status profile_numbers(co_profile *out, co_context *ctx, const co_view *view,
                                 const int64_t *rows) {
  size_t room = (size_t)(out->rows < CO_PROFILE_EXACT ? out->rows : CO_PROFILE_EXACT) + 1;
  co_sketch *sketch = out->quantiles_exact ? NULL : co_alloc_zero(ctx, 1, sizeof *sketch);
  double *values = co_alloc(ctx, 2 * room * sizeof *values);
  bool ready = values && (sketch || out->quantiles_exact);
  if (ready) {
    add_values(out, sketch, view, rows);
    int64_t known = collect(values, view, rows, out->rows);
    co_sort_doubles(values, values + room, known);
    for (int q = 0; q < CO_PROFILE_QUANTILES; q++)
      out->quantile[q] = co_sorted_quantile(values, known, co_profile_shares[q]);
    out->distinct = sketch ? co_sketch_count(sketch) : count_different(values, known);
    out->distinct_exact = !sketch || co_sketch_is_exact(sketch);
  }
  co_free(ctx, values);
  co_free(ctx, sketch);
  return ready ? CO_OK : CO_ERR_MEMORY;
}

// ---- classes -----------------------------------------------------------------------------------

// Puts a class where it belongs in the list of the most frequent ones.
static void rank_class(co_profile *out, int32_t code, int64_t count) {
  int at = out->top_count;
  while (at > 0 && out->top[at - 1].count < count)
    at--;
  if (at == CO_PROFILE_TOP) return;
  if (out->top_count < CO_PROFILE_TOP) out->top_count++;
  for (int i = out->top_count - 1; i > at; i--)
    out->top[i] = out->top[i - 1];
  out->top[at] = (co_profile_class){code, count};
}

// Of zeros and ones.
static void take_shares(co_profile *out, const int64_t counts[2]) {
  double zeros = (double)counts[0], ones = (double)counts[1], all = zeros + ones;
  if (!counts[0] && !counts[1]) return;
  out->mean = ones / all;
  out->sd = all > 1 ? sqrt(zeros * ones / all / (all - 1)) : (double)NAN;
  out->min = counts[0] ? 0 : 1;
  out->max = counts[1] ? 1 : 0;
}

static co_status profile_classes(co_profile *out, co_context *ctx, const co_view *view,
                                 const int64_t *rows) {
  int64_t classes = view->codes ? view->column->category_count : 2;
  int64_t *counts = co_alloc_zero(ctx, (size_t)classes + 1, sizeof *counts);
  if (!counts) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < out->rows; i++) {
    double value = co_view_at(view, rows ? rows[i] : i);
    if (isnan(value)) {
      out->missing++;
      continue;
    }
    counts[(int64_t)value]++;
  }
  for (int64_t c = 0; c < classes; c++) {
    if (!counts[c]) continue;
    out->distinct++;
    rank_class(out, (int32_t)c, counts[c]);
  }
  out->distinct_exact = true;
  if (!view->codes) take_shares(out, counts);
  co_free(ctx, counts);
  return CO_OK;
}

// ---- vectors and images ------------------------------------------------------------------------

static void profile_elements(co_profile *out, const co_view *view, const int64_t *rows) {
  moments m = {0};
  bool bytes = view->column->dtype == CO_U8;
  size_t count = view->row_bytes / co_dtype_size(view->column->dtype);
  for (int64_t i = 0; i < out->rows; i++) {
    const unsigned char *row =
        view->bytes + (size_t)co_view_row(view, rows ? rows[i] : i) * view->row_bytes;
    for (size_t k = 0; k < count; k++)
      add(&m, bytes ? row[k] : (double)((const float *)(const void *)row)[k]);
  }
  out->distinct = -1;
  take_moments(out, &m);
}

static void clear_sums(co_profile *out) {
  out->mean = out->sd = out->min = out->max = (double)NAN;
  for (int q = 0; q < CO_PROFILE_QUANTILES; q++)
    out->quantile[q] = (double)NAN;
}

static void clear(co_profile *out, int64_t count) {
  *out = (co_profile){.rows = count, .quantiles_exact = count <= CO_PROFILE_EXACT};
  clear_sums(out);
}

co_status co_profile_rows(co_profile *out, co_context *ctx, const co_view *view,
                          const int64_t *rows, int64_t count) {
  clear(out, count);
  if (view->bytes) {
    profile_elements(out, view, rows);
    return CO_OK;
  }
  if (co_column_type_has_names(view->column->type)) return profile_classes(out, ctx, view, rows);
  CO_RETURN_IF_FAILED(profile_numbers(out, ctx, view, rows));
  if (view->texts) clear_sums(out); // their numbers mean nothing
  return CO_OK;
}

// ---- keys --------------------------------------------------------------------------------------

static co_status hash_keys(co_profile *out, co_dataset *dataset, const int64_t *rows,
                           co_sketch *sketch, uint64_t *hashes) {
  char key[CO_DATASET_KEY_MAX + 1];
  for (int64_t i = 0; i < out->rows; i++) {
    CO_RETURN_IF_FAILED(co_dataset_key(dataset, rows ? rows[i] : i, key, sizeof key));
    uint64_t hash = co_mix_bytes(0, key, strlen(key));
    if (hashes)
      hashes[i] = hash;
    else
      co_sketch_add(sketch, hash);
  }
  return CO_OK;
}

co_status co_profile_keys(co_profile *out, co_context *ctx, co_dataset *dataset,
                          const int64_t *rows, int64_t count) {
  clear(out, count);
  bool sorted = count <= CO_PROFILE_EXACT;
  size_t room = (size_t)(sorted ? count : 0) + 1;
  uint64_t *hashes = co_alloc(ctx, 2 * room * sizeof *hashes);
  co_sketch *sketch = co_alloc_zero(ctx, 1, sizeof *sketch);
  co_status status = hashes && sketch ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = hash_keys(out, dataset, rows, sketch, sorted ? hashes : NULL);
  if (status == CO_OK && sorted) {
    co_sort_u64(hashes, hashes + room, count);
    for (int64_t i = 0; i < count; i++)
      out->distinct += !i || hashes[i] != hashes[i - 1];
  } else if (status == CO_OK) {
    out->distinct = co_sketch_count(sketch);
  }
  out->distinct_exact = sorted || (sketch && co_sketch_is_exact(sketch));
  co_free(ctx, hashes);
  co_free(ctx, sketch);
  return status;
}
