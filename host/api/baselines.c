// SPDX-License-Identifier: Apache-2.0
#include "host/api/baselines.h"
#include "host/core/text_width.h"

#include <math.h>
#include <string.h>

static void render_values(co_json *json, const co_comparison *c, int64_t baseline, int64_t output) {
  const int64_t place = co_comparison_place(c, baseline, output);
  co_evaluation_value value;
  for (int64_t k = 0; co_evaluation_metric(&c->evaluations[baseline], place, k, &value); k++) {
    co_json_key(json, value.name);
    co_json_double(json, value.value);
  }
}

static void render_pairs(co_json *json, const co_comparison *c, int64_t baseline, int64_t output) {
  const co_paired *pairs = co_comparison_pairs(c, baseline, output);
  co_evaluation_value value;
  for (int64_t k = 0;
       k < CO_MOST_COMPARED && co_evaluation_metric(c->request->evaluation, output, k, &value);
       k++) {
    if (!value.scored || c->request->bootstrap->draws < 0) continue;
    co_json_key(json, value.name);
    co_json_open(json, '{');
    co_json_key(json, "difference");
    co_json_double(json, pairs[k].value);
    co_json_key(json, "interval");
    co_json_open(json, '[');
    co_json_double(json, pairs[k].interval.low);
    co_json_double(json, pairs[k].interval.high);
    co_json_close(json);
    co_json_close(json);
  }
}

typedef void (*render_output)(co_json *json, const co_comparison *c, int64_t baseline,
                              int64_t output);

// The outputs of a baseline that have this name there (a linear model has two).
static void render_named(co_json *json, const co_comparison *c, int64_t baseline, const char *name,
                         render_output render) {
  bool opened = false;
  for (int64_t i = 0; i < c->model->output_count; i++) {
    if (strcmp(co_comparison_name(c, baseline, i), name) != 0) continue;
    if (!opened) {
      co_json_key(json, name);
      co_json_open(json, '{');
    }
    opened = true;
    co_json_key(json, c->model->outputs[i].name);
    co_json_open(json, '{');
    render(json, c, baseline, i);
    co_json_close(json);
  }
  if (opened) co_json_close(json);
}

// What is no fitted baseline is called alike for all outputs that it says something of.
static const char *name_of(const co_comparison *c, int64_t baseline) {
  int64_t output = 0;
  while (output + 1 < c->model->output_count && !*co_comparison_name(c, baseline, output))
    output++;
  return co_comparison_name(c, baseline, output);
}

static void render(co_json *json, const co_comparison *c, const char *key, render_output what) {
  co_json_key(json, key);
  co_json_open(json, '{');
  for (int64_t i = 0; i < c->count; i++) {
    bool baseline = i < c->baselines.count;
    const char *name = baseline ? c->baselines.items[i]->class_->name : name_of(c, i);
    if (strcmp(name, "linear") == 0) render_named(json, c, i, "logistic", what);
    render_named(json, c, i, name, what);
  }
  co_json_close(json);
}

static bool says(const co_comparison *c, int64_t baseline, int64_t output) {
  return *co_comparison_name(c, baseline, output);
}

// A text's baselines have no probabilities, a number's no likelihood.
static bool any_has(const co_comparison *c, int64_t output, int64_t k,
                    const co_evaluation_value *mine) {
  for (int64_t i = 0; i < c->count; i++)
    if (says(c, i, output) && !isnan(co_comparison_value(c, i, output, k, mine))) return true;
  return false;
}

// Nothing where a baseline has no such value: a dash would be the sign of a worse model.
static void print_cell(co_text *text, double value, char sign) {
  if (isnan(value))
    co_text_printf(text, "%21s", "");
  else
    co_text_printf(text, " %c %-18.6g", sign, value);
}

static void print_output(co_text *text, const co_comparison *c, int64_t output) {
  co_evaluation_value mine;
  bool any = false;
  for (int64_t i = 0; i < c->count; i++)
    any = any || says(c, i, output);
  if (!any) return;
  co_text_printf(text, "  ");
  co_text_pad(text, c->model->outputs[output].name, 45, 0, false);
  co_text_printf(text, " %-10s", "model");
  for (int64_t i = 0; i < c->count; i++)
    if (says(c, i, output)) co_text_printf(text, "   %-18s", co_comparison_name(c, i, output));
  co_text_end_line(text);
  for (int64_t k = 0;
       k < CO_MOST_COMPARED && co_evaluation_metric(c->request->evaluation, output, k, &mine);
       k++) {
    if (!any_has(c, output, k, &mine)) continue;
    co_text_printf(text, "  %-24s %-20s %-10.6g", "", mine.name, mine.value);
    for (int64_t i = 0; i < c->count; i++) {
      if (!says(c, i, output)) continue;
      print_cell(text, co_comparison_value(c, i, output, k, &mine),
                 co_comparison_sign(&co_comparison_pairs(c, i, output)[k], mine.higher_is_better));
    }
    co_text_end_line(text);
  }
}

static void print(co_text *text, const co_comparison *c) {
  if (!c->count) return;
  co_text_printf(text,
                 "beside baselines (+ the model is better, - it is worse: the 95 %% interval of "
                 "their paired difference is without 0)\n");
  for (int64_t i = 0; i < c->model->output_count; i++)
    print_output(text, c, i);
}

co_status co_compare_baselines(cohort_result *result, const co_comparison_request *request) {
  co_comparison c;
  co_status status = co_comparison_measure(&c, request);
  if (status == CO_OK) {
    render(&result->json, &c, "baselines", render_values);
    render(&result->json, &c, "paired", render_pairs);
    print(&result->text, &c);
  }
  co_comparison_free(&c);
  return status;
}
