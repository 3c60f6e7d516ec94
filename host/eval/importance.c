// SPDX-License-Identifier: Apache-2.0
#include "host/eval/importance.h"

#include <math.h>

#include "datasets/permute.h"

// The metric, and whether more of it is better.
static co_status measure(double *out, bool *higher, const co_importance_options *o) {
  co_evaluation evaluation;
  co_evaluation_value value;
  const char *metric = o->metric ? o->metric : "loss";
  co_status status = co_evaluation_create(&evaluation, o->predictor->model);
  if (status == CO_OK) {
    co_evaluation_collect_all(&evaluation);
    status = co_evaluate(&evaluation, o->predictor, o->dataset, o->samples, o->count, &o->scoring);
  }
  if (status == CO_OK && !co_evaluation_find(&evaluation, metric, &value)) {
    char *known = co_evaluation_known(&evaluation);
    status = co_fail(CO_ERR_USAGE, "there is no metric '%s'", metric);
    if (known) co_hint("%s", known);
    co_free(o->predictor->ctx, known);
  }
  if (status == CO_OK) {
    *out = value.value;
    *higher = value.higher_is_better;
  }
  co_evaluation_free(&evaluation);
  return status;
}

co_status co_importance_base(double *out, const co_importance_options *options) {
  bool higher;
  return measure(out, &higher, options);
}

co_status co_importance_of(co_importance *out, const co_importance_options *o, double base,
                           const char *column) {
  co_permuted permuted;
  double mean = 0, squares = 0;
  co_status status = co_permuted_begin(&permuted, o->dataset, column);
  for (int i = 0; status == CO_OK && i < o->repeats; i++) {
    double value = 0;
    bool higher = false;
    co_permuted_shuffle(&permuted, o->samples, o->count, o->seed, (uint32_t)i);
    status = measure(&value, &higher, o);
    double worse = higher ? base - value : value - base, before = worse - mean;
    mean += before / (i + 1);
    squares += before * (worse - mean);
  }
  co_permuted_end(&permuted);
  *out = (co_importance){mean, sqrt(squares / (o->repeats - 1) / o->repeats)};
  return status;
}
