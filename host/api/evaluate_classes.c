// SPDX-License-Identifier: Apache-2.0
// What evaluation tells of each of several classes, and what they are taken for.
#include <math.h>

#include "host/api/evaluate_details.h"
#include "host/core/text_width.h"

enum { MOST_PRINTED = 50 };

static void put(co_json *json, const char *key, double value) {
  co_json_key(json, key);
  co_json_double(json, value);
}

static const char *name_of(const co_output_feature *output, int64_t class_) {
  return output->column->categories ? output->column->categories[class_] : "";
}

// Weights of rows by true and by likeliest class, (classes, classes).
static double *count_confusion(co_context *ctx, const co_class_scores *s) {
  double *counts = co_alloc_zero(ctx, (size_t)(s->classes * s->classes), sizeof *counts);
  for (int64_t i = 0; counts && i < s->count; i++)
    counts[s->target[i] * s->classes + s->best[i]] += s->weight[i];
  return counts;
}

// The other class that most rows of one are taken for, -1 if there is none.
static int64_t mistaken_for(const double *counts, int64_t classes, int64_t class_) {
  const double *row = counts + class_ * classes;
  int64_t most = -1;
  for (int64_t k = 0; k < classes; k++)
    if (k != class_ && row[k] > 0 && (most < 0 || row[k] > row[most])) most = k;
  return most;
}

static void render_class(co_json *json, const co_output_feature *output, int64_t class_,
                         const co_class_rates *rates, double roc_auc) {
  co_json_open(json, '{');
  co_json_key(json, "class");
  co_json_string(json, name_of(output, class_));
  put(json, "support", rates->support);
  put(json, "precision", rates->precision);
  put(json, "recall", rates->recall);
  put(json, "f1", rates->f1);
  put(json, "roc_auc", roc_auc);
  co_json_close(json);
}

static void print_class(co_text *text, const co_output_feature *output, int64_t class_,
                        const co_class_rates *rates, const double *counts) {
  const int64_t other = mistaken_for(counts, output->width, class_);
  co_text_printf(text, "  ");
  co_text_pad(text, name_of(output, class_), 24, 0, false);
  co_text_printf(text, " %8.6g  %9.4f  %6.4f  %6.4f", rates->support, rates->precision,
                 rates->recall, rates->f1);
  if (other >= 0)
    co_text_printf(text, "  %s (%.6g)", name_of(output, other),
                   counts[class_ * output->width + other]);
  co_text_printf(text, "\n");
}

static void render_confusion(co_json *json, const double *counts, int64_t classes) {
  co_json_open(json, '[');
  for (int64_t i = 0; i < classes; i++) {
    co_json_open(json, '[');
    for (int64_t k = 0; k < classes; k++)
      co_json_double(json, counts[i * classes + k]);
    co_json_close(json);
  }
  co_json_close(json);
}

static co_status add_classes(cohort_result *result, const co_output_feature *output,
                             const co_class_scores *s, double *counts) {
  co_json *json = &result->json;
  const bool printed = s->classes <= MOST_PRINTED;
  co_json_key(json, output->name);
  co_json_open(json, '{');
  co_json_key(json, "classes");
  co_json_open(json, '[');
  if (printed)
    co_text_printf(&result->text,
                   "%s: by class\n  class                     support  precision  recall      f1  "
                   "most often mistaken for\n",
                   output->name);
  co_class_count(s);
  for (int64_t k = 0; k < s->classes; k++) {
    const co_class_rates rates = co_class_rates_of(s, k);
    render_class(json, output, k, &rates, s->order ? co_class_roc_auc(s, k) : NAN);
    if (printed) print_class(&result->text, output, k, &rates, counts);
  }
  co_json_close(json);
  co_json_key(json, "confusion");
  render_confusion(json, counts, s->classes);
  co_json_close(json);
  return json->text.status;
}

co_status co_evaluate_classes(cohort_result *result, const co_evaluation *e) {
  co_context *ctx = e->model->ctx;
  co_status status = CO_OK;
  co_json_key(&result->json, "classes");
  co_json_open(&result->json, '{');
  for (int64_t i = 0; i < e->model->output_count && status == CO_OK; i++) {
    co_measured measured;
    if (!e->collects[i] || e->scores[i].type != CO_COLUMN_CATEGORY ||
        e->scores[i].kept != CO_KEPT_SCORES)
      continue;
    status = co_evaluation_measure(&measured, e, i, &e->scores[i]);
    double *counts = status == CO_OK ? count_confusion(ctx, &measured.classes) : NULL;
    if (status == CO_OK && !counts) status = CO_ERR_MEMORY;
    if (status == CO_OK && measured.finite && measured.rows)
      status = add_classes(result, &e->model->outputs[i], &measured.classes, counts);
    co_free(ctx, counts);
    co_measured_free(&measured);
  }
  co_json_close(&result->json);
  return status;
}
