// SPDX-License-Identifier: Apache-2.0
#include "host/eval/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/rng.h"

int64_t co_bootstrap_draws(int64_t rows) {
  const int64_t most = 1000, least = 200, rows_of_most = 20000;
  if (rows <= rows_of_most) return most;
  int64_t draws = most * rows_of_most / rows;
  return draws > least ? draws : least;
}

// How often each of `rows` is among as many that are drawn.
static void draw(uint32_t *times, int64_t rows, uint64_t seed, int64_t number) {
  uint32_t purpose = co_purpose("bootstrap", "rows");
  memset(times, 0, (size_t)rows * sizeof *times);
  for (int64_t i = 0; i < rows; i += 2) {
    co_philox_block block = co_philox(seed, (uint64_t)i / 2, (uint32_t)number, purpose);
    for (int k = 0; k < 2 && i + k < rows; k++) {
      uint64_t bits = (uint64_t)block.word[2 * k] << 32 | block.word[2 * k + 1];
      // The high half of bits * rows: Lemire 2019, whose bias is below rows / 2^64.
      uint64_t high = (bits >> 32) * (uint64_t)rows, low = (bits & UINT32_MAX) * (uint64_t)rows;
      times[(high + (low >> 32)) >> 32]++;
    }
  }
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double percentile(const double *sorted, int64_t count, double share) {
  double at = share * (double)(count - 1);
  int64_t below = (int64_t)at;
  int64_t above = below + 1 < count ? below + 1 : below;
  return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

// Of values that are numbers.
static co_interval interval_of(double *values, int64_t draws) {
  int64_t known = 0;
  for (int64_t i = 0; i < draws; i++)
    if (!isnan(values[i])) values[known++] = values[i];
  if (2 * known < draws || !known) return (co_interval){NAN, NAN};
  qsort(values, (size_t)known, sizeof *values, by_value);
  return (co_interval){percentile(values, known, 0.025), percentile(values, known, 0.975)};
}

// With one more on each side, as if the data themselves were a draw (Davison & Hinkley 1997, 4.2).
static double p_value(const double *values, int64_t draws) {
  int64_t known = 0, below = 0, above = 0;
  for (int64_t i = 0; i < draws; i++) {
    if (isnan(values[i])) continue;
    known++;
    below += values[i] <= 0;
    above += values[i] >= 0;
  }
  if (2 * known < draws || !known) return NAN;
  double p = 2 * (double)((below < above ? below : above) + 1) / (double)(known + 1);
  return p < 1 ? p : 1;
}

static bool stopped(const co_bootstrap_options *options) {
  return options->watch && co_watch_stopped(options->watch);
}

// NaN where differences have no interval.
static double value_of(const co_measured *a, const co_measured *b, const co_metric_class *metric) {
  if (!b) return co_measured_value(a, metric);
  if (metric->unpaired) return NAN;
  return co_measured_value(a, metric) - co_measured_value(b, metric);
}

// values[k * draws + i]: metric k at draw i; of a alone where there is no b.
static co_status draw_all(double *values, uint32_t *times, int64_t draws, co_measured *a,
                          co_measured *b, const co_metric_class *const *metrics, int64_t count,
                          const co_bootstrap_options *options) {
  for (int64_t i = 0; i < draws; i++) {
    if (stopped(options)) return co_fail(CO_INTERRUPTED, "stopped during the bootstrap");
    draw(times, a->units, options->seed, i);
    co_measured_draw(a, times);
    if (b) co_measured_draw(b, times);
    for (int64_t k = 0; k < count; k++)
      values[k * draws + i] = value_of(a, b, metrics[k]);
  }
  return CO_OK;
}

static co_status draw_values(double *values, int64_t draws, co_measured *a, co_measured *b,
                             const co_metric_class *const *metrics, int64_t count,
                             const co_bootstrap_options *options) {
  uint32_t *times = co_alloc(a->ctx, (size_t)(a->rows + 1) * sizeof *times);
  co_status status = times ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = draw_all(values, times, draws, a, b, metrics, count, options);
  co_measured_draw(a, NULL);
  if (b) co_measured_draw(b, NULL);
  co_free(a->ctx, times);
  return status;
}

static co_paired summary(double *values, int64_t draws) {
  const double p = p_value(values, draws); // the other one sorts them
  return (co_paired){.value = NAN, .interval = interval_of(values, draws), .p = p};
}

static co_status run(co_paired *out, co_measured *a, co_measured *b,
                     const co_metric_class *const *metrics, int64_t count,
                     const co_bootstrap_options *options) {
  int64_t draws = options->draws ? options->draws : co_bootstrap_draws(a->rows);
  double *values = co_alloc(a->ctx, (size_t)(count * draws + 1) * sizeof *values);
  co_status status = values ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = draw_values(values, draws, a, b, metrics, count, options);
  for (int64_t k = 0; status == CO_OK && k < count; k++)
    out[k] = summary(values + k * draws, draws);
  co_free(a->ctx, values);
  return status;
}

co_status co_bootstrap(co_interval *out, co_measured *measured,
                       const co_metric_class *const *metrics, int64_t count,
                       const co_bootstrap_options *options) {
  co_paired *found = co_alloc(measured->ctx, (size_t)(count + 1) * sizeof *found);
  co_status status = found ? run(found, measured, NULL, metrics, count, options) : CO_ERR_MEMORY;
  for (int64_t k = 0; status == CO_OK && k < count; k++)
    out[k] = metrics[k]->deviation ? (co_interval){NAN, NAN} : found[k].interval;
  co_free(measured->ctx, found);
  return status;
}

static bool same_units(const co_measured *a, const co_measured *b) {
  for (int64_t i = 0; i < a->rows; i++)
    if ((a->unit ? a->unit[i] : i) != (b->unit ? b->unit[i] : i)) return false;
  return true;
}

static co_status check_pair(const co_measured *a, const co_measured *b) {
  if (a->rows == b->rows && a->units == b->units && a->type == b->type && same_units(a, b))
    return CO_OK;
  return co_fail(CO_ERR_INTERNAL, "scores of other rows cannot be paired");
}

co_status co_bootstrap_differences(double *out, co_measured *a, co_measured *b,
                                   const co_metric_class *const *metrics, int64_t count,
                                   const co_bootstrap_options *options) {
  CO_RETURN_IF_FAILED(check_pair(a, b));
  return draw_values(out, options->draws, a, b, metrics, count, options);
}

co_paired co_bootstrap_summary(double value, double *differences, int64_t draws) {
  co_paired found = summary(differences, draws);
  found.value = value;
  return found;
}

co_status co_bootstrap_paired(co_paired *out, co_measured *a, co_measured *b,
                              const co_metric_class *const *metrics, int64_t count,
                              const co_bootstrap_options *options) {
  CO_RETURN_IF_FAILED(check_pair(a, b));
  CO_RETURN_IF_FAILED(run(out, a, b, metrics, count, options));
  for (int64_t k = 0; k < count; k++)
    out[k].value = co_measured_value(a, metrics[k]) - co_measured_value(b, metrics[k]);
  return CO_OK;
}
