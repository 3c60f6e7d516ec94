// SPDX-License-Identifier: Apache-2.0
#include "host/api/evaluate_details.h"

#include <string.h>

#include "host/config/config.h"
#include "host/core/text_width.h"
#include "host/eval/calibration.h"
#include "host/eval/slices.h"

static void put(co_json *json, const char *key, double value) {
  co_json_key(json, key);
  co_json_double(json, value);
}

// ---- costs -------------------------------------------------------------------------------------

static double *place_of(co_profit *profit, const char *name, size_t length) {
  const struct {
    const char *name, *brief;
    double *place;
  } parts[] = {{"true_positive", "tp", &profit->true_positive},
               {"false_positive", "fp", &profit->false_positive},
               {"false_negative", "fn", &profit->false_negative},
               {"true_negative", "tn", &profit->true_negative}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if ((strlen(parts[i].name) == length && strncmp(parts[i].name, name, length) == 0) ||
        (strlen(parts[i].brief) == length && strncmp(parts[i].brief, name, length) == 0))
      return parts[i].place;
  return NULL;
}

co_status co_parse_profit(co_profit *out, const char *const *items, int64_t count) {
  memset(out, 0, sizeof *out);
  for (int64_t i = 0; i < count; i++) {
    size_t length = strcspn(items[i], "=");
    double *place = place_of(out, items[i], length);
    const co_node value = {.kind = CO_NODE_SCALAR, .text = items[i] + length + 1};
    if (place && items[i][length] && co_node_double(&value, place)) continue;
    return co_fail(CO_ERR_USAGE, "--profit '%s' is not one of tp, fp, fn, tn with =NUMBER",
                   items[i]);
  }
  return CO_OK;
}

// ---- parts of outputs --------------------------------------------------------------------------

static void render_calibrated(cohort_result *result, const co_evaluation *e, int64_t output,
                              const co_measured *after) {
  co_json *json = &result->json;
  co_json_key(json, e->model->outputs[output].name);
  co_json_open(json, '{');
  put(json, "temperature", co_output_temperature(&e->model->outputs[output]));
  co_text_printf(&result->text,
                 "%s: at temperature %.4g (predict --calibrated):", e->model->outputs[output].name,
                 co_output_temperature(&e->model->outputs[output]));
  static const char *const names[] = {"log_loss", "brier", "ece"}; // ranks stay
  for (int i = 0; i < 3; i++) {
    const co_metric_class *metric = co_metric_find(names[i], after->type);
    if (!metric) continue;
    double value = co_measured_value(after, metric);
    put(json, metric->name, value);
    co_text_printf(&result->text, "%s %s %.6g", i ? "," : "", metric->name, value);
  }
  co_text_printf(&result->text, "\n");
  co_json_close(json);
}

static co_status add_calibrated(cohort_result *result, const co_evaluation *e, int64_t output) {
  co_scores scaled;
  co_measured after = {0};
  co_status status = co_calibrated_scores(&scaled, &e->scores[output],
                                          co_output_temperature(&e->model->outputs[output]));
  if (status == CO_OK) status = co_evaluation_measure(&after, e, output, &scaled);
  if (status == CO_OK) render_calibrated(result, e, output, &after);
  co_measured_free(&after);
  co_free(e->model->ctx, scaled.score);
  return status;
}

static void render_deciles(co_json *json, const co_binary_scores *scores) {
  co_decile deciles[CO_DECILES];
  co_deciles(deciles, scores);
  co_json_open(json, '[');
  for (int i = 0; i < CO_DECILES; i++) {
    co_json_open(json, '{');
    co_json_key(json, "decile");
    co_json_int(json, i + 1);
    put(json, "rows", deciles[i].rows);
    put(json, "positives", deciles[i].positives);
    put(json, "rate", deciles[i].rate);
    put(json, "lift", deciles[i].lift);
    put(json, "gain", deciles[i].gain);
    put(json, "mean_score", deciles[i].score);
    co_json_close(json);
  }
  co_json_close(json);
}

// Of a number: its tenths by falling prediction, and what was there.
static void add_value_deciles(cohort_result *result, const char *output,
                              const co_number_scores *scores) {
  co_json *json = &result->json;
  co_value_decile d[CO_DECILES];
  co_value_deciles(d, scores);
  co_text_printf(
      &result->text,
      "%s: tenths by falling prediction, means\n  tenth     rows  predicted     target   gain\n",
      output);
  co_json_key(json, output);
  co_json_open(json, '[');
  for (int i = 0; i < CO_DECILES; i++) {
    co_json_open(json, '{');
    co_json_key(json, "decile");
    co_json_int(json, i + 1);
    put(json, "rows", d[i].rows);
    put(json, "mean_prediction", d[i].prediction);
    put(json, "mean_target", d[i].target);
    put(json, "gain", d[i].gain);
    co_json_close(json);
    co_text_printf(&result->text, "  %5d  %7.6g  %9.5g  %9.5g  %5.3f\n", i + 1, d[i].rows,
                   d[i].prediction, d[i].target, d[i].gain);
  }
  co_json_close(json);
}

static void render_profit(co_json *json, const co_binary_scores *scores) {
  co_cutoff best = co_best_profit(scores);
  co_json_open(json, '{');
  put(json, "true_positive", scores->profit->true_positive);
  put(json, "false_positive", scores->profit->false_positive);
  put(json, "false_negative", scores->profit->false_negative);
  put(json, "true_negative", scores->profit->true_negative);
  co_json_key(json, "best");
  co_json_open(json, '{');
  put(json, "threshold", best.threshold);
  put(json, "selected", best.share);
  put(json, "profit", best.value);
  put(json, "total", best.value * (scores->positives + scores->negatives));
  co_json_close(json);
  co_json_close(json);
}

static void print_deciles(co_text *text, const char *output, const co_binary_scores *scores) {
  co_decile d[CO_DECILES];
  co_deciles(d, scores);
  co_text_printf(text,
                 "%s: tenths by falling score\n  tenth     rows  positives   rate   lift   gain\n",
                 output);
  for (int i = 0; i < CO_DECILES; i++)
    co_text_printf(text, "  %5d  %7.6g  %9.6g  %5.3f  %5.2f  %5.3f\n", i + 1, d[i].rows,
                   d[i].positives, d[i].rate, d[i].lift, d[i].gain);
  if (!scores->profit) return;
  co_cutoff best = co_best_profit(scores);
  co_text_printf(text,
                 "%s: best cut-off for the profit %.4g: %.3g %% of the rows, %.6g a row, %.6g in "
                 "all\n",
                 output, best.threshold, 100 * best.share, best.value,
                 best.value * (scores->positives + scores->negatives));
}

typedef enum part { THRESHOLDS, DECILES, PROFIT } part;

static co_status add_part(cohort_result *result, const co_evaluation *e, int64_t output,
                          part what) {
  co_json *json = &result->json;
  const char *name = e->model->outputs[output].name;
  co_measured measured;
  co_status status = co_evaluation_measure(&measured, e, output, &e->scores[output]);
  const co_binary_scores *scores = &measured.binary;
  const bool known = status == CO_OK && measured.finite && measured.rows;
  if (known && measured.type == CO_COLUMN_NUMBER) {
    if (what == DECILES) add_value_deciles(result, name, &measured.number);
  } else if (known && (what != PROFIT || scores->profit)) {
    co_json_key(json, name);
    if (what == THRESHOLDS) co_json_double(json, scores->threshold);
    if (what == DECILES) render_deciles(json, scores);
    if (what == DECILES) print_deciles(&result->text, name, scores);
    if (what == PROFIT) render_profit(json, scores);
  }
  co_measured_free(&measured);
  return status;
}

co_status co_evaluate_details(cohort_result *result, const co_evaluation *e) {
  static const char *const keys[] = {"thresholds", "deciles", "profit"};
  co_json *json = &result->json;
  for (int what = 0; what < 3; what++) {
    co_json_key(json, keys[what]);
    co_json_open(json, '{');
    for (int64_t i = 0; i < e->model->output_count; i++)
      if (e->collects[i] && e->scores[i].type != CO_COLUMN_CATEGORY &&
          e->scores[i].type != CO_COLUMN_TEXT)
        CO_RETURN_IF_FAILED(add_part(result, e, i, (part)what));
    co_json_close(json);
  }
  co_json_key(json, "calibration");
  co_json_open(json, '{');
  for (int64_t i = 0; i < e->model->output_count; i++)
    if (e->collects[i] && e->model->outputs[i].decided && e->scores[i].kept == CO_KEPT_SCORES &&
        co_output_temperature(&e->model->outputs[i]) != 1) // else nothing is fitted
      CO_RETURN_IF_FAILED(add_calibrated(result, e, i));
  co_json_close(json);
  return CO_OK;
}

// ---- by the value of a column ------------------------------------------------------------------

static void render_slice_output(cohort_result *result, const co_evaluation *e, int64_t output,
                                const co_slice *slice, const co_measured *measured) {
  co_json *json = &result->json;
  co_text_printf(&result->text, "  ");
  co_text_pad(&result->text, slice->name, 24, 0, false);
  co_text_printf(&result->text, " %8lld", (long long)slice->rows);
  co_json_key(json, e->model->outputs[output].name);
  co_json_open(json, '{');
  if (measured->type == CO_COLUMN_BINARY && measured->finite && measured->rows) {
    co_slice_rates rates = co_slice_rates_of(&measured->binary);
    put(json, "rate", rates.rate);
    put(json, "mean_score", rates.mean_score);
    put(json, "selected", rates.selected);
    put(json, "false_positive_rate", rates.false_positive_rate);
    co_text_printf(&result->text, "  rate %.4f  mean_score %.4f  selected %.4f", rates.rate,
                   rates.mean_score, rates.selected);
  }
  for (int64_t k = 0, shown = 0; co_metric_list()[k]; k++) {
    const co_metric_class *metric = co_metric_list()[k];
    if (!co_evaluation_has(e, output, metric)) continue;
    double value = co_measured_value(measured, metric);
    put(json, metric->name, value);
    if (shown++ < 3 || strcmp(metric->name, "ece") == 0)
      co_text_printf(&result->text, "  %s %.4f", metric->name, value);
  }
  co_json_close(json);
  co_text_printf(&result->text, "\n");
}

static co_status add_slice(cohort_result *result, const co_evaluation *e, const co_slice *slice) {
  co_json *json = &result->json;
  co_json_open(json, '{');
  co_json_key(json, "value");
  co_json_string(json, slice->name);
  co_json_key(json, "rows");
  co_json_int(json, slice->rows);
  co_json_key(json, "metrics");
  co_json_open(json, '{');
  for (int64_t i = 0; i < e->model->output_count; i++) {
    co_measured measured;
    if (!e->collects[i]) continue;
    co_status status = co_evaluation_measure(&measured, e, i, &slice->scores[i]);
    if (status == CO_OK) render_slice_output(result, e, i, slice, &measured);
    co_measured_free(&measured);
    CO_RETURN_IF_FAILED(status);
  }
  co_json_close(json);
  co_json_close(json);
  return CO_OK;
}

co_status co_evaluate_slices(cohort_result *result, const co_evaluation *e, co_dataset *dataset,
                             const char *column, const int64_t *samples, int64_t count) {
  co_json *json = &result->json;
  co_slices slices;
  co_status status = co_slices_create(&slices, e, dataset, column, samples, count);
  if (status == CO_OK) {
    co_json_key(json, "by");
    co_json_open(json, '{');
    co_json_key(json, "column");
    co_json_string(json, column);
    co_json_key(json, "groups");
    co_json_open(json, '[');
    co_text_printf(&result->text, "by %s\n", column);
    for (int64_t i = 0; i < slices.count && status == CO_OK; i++)
      status = add_slice(result, e, &slices.slice[i]);
    co_json_close(json);
    co_json_close(json);
  }
  co_slices_free(&slices);
  return status;
}
