// SPDX-License-Identifier: Apache-2.0
// cohort_evaluate: metrics of a model on a split, and gates on them.
#include <math.h>
#include <string.h>

#include "host/api/baselines.h"
#include "host/api/evaluate_details.h"
#include "host/api/table.h"
#include "host/eval/evaluation.h"
#include "host/eval/opening.h"
#include "host/eval/slices.h"
#include "host/eval/unseen.h"
#include "host/feed/fit_features.h"
#include "host/feed/labels.h"

static co_status parse_split(const char *name, int *split) {
  *split = co_split_parse(name ? name : "test");
  if (*split >= 0) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--split %s: no such split", name);
  co_hint("known: train, validation, test");
  return status;
}

static void print_metrics(co_text *text, const co_evaluation *evaluation) {
  co_evaluation_value value;
  for (int64_t i = 0; i < evaluation->model->output_count; i++)
    for (int64_t k = 0; co_evaluation_metric(evaluation, i, k, &value); k++) {
      co_text_printf(text, "  %-24s %-20s %-10.6g", evaluation->model->outputs[i].name, value.name,
                     value.value);
      if (!isnan(value.interval.low))
        co_text_printf(text, " [%.6g, %.6g]", value.interval.low, value.interval.high);
      co_text_printf(text, "\n");
    }
}

// One gate: "[OUTPUT.]ID" then >=, <=, > or <, then a number.
typedef struct gate {
  char metric[256];
  char relation[3];
  double bound;
} gate;

static co_status parse_gate(const char *text, gate *out) {
  size_t length = strcspn(text, "<>="), relation = strspn(text + length, "<>=");
  const char *sign = text + length, *number = sign + relation;
  co_node bound = {.kind = CO_NODE_SCALAR, .text = number + strspn(number, " ")};
  bool good = length > 0 && length < sizeof out->metric && *sign != '=' &&
              (relation == 1 || (relation == 2 && sign[1] == '='));
  memset(out, 0, sizeof *out);
  good = good && co_node_double(&bound, &out->bound);
  if (!good) {
    co_status status = co_fail(CO_ERR_USAGE, "--require '%s' is not METRIC>=NUMBER", text);
    co_hint("for example --require 'accuracy>=0.9' or --require 'label.log_loss<=0.3'");
    return status;
  }
  memcpy(out->metric, text, length);
  while (length && out->metric[length - 1] == ' ')
    out->metric[--length] = '\0';
  memcpy(out->relation, sign, relation);
  return CO_OK;
}

static bool holds(const gate *g, double value) {
  if (g->relation[0] == '>') return g->relation[1] ? value >= g->bound : value > g->bound;
  return g->relation[1] ? value <= g->bound : value < g->bound;
}

// With `names_only`, before any work: are there such metrics? Else every gate that does not hold is
// an error of its own.
static co_status check_gates(const cohort_evaluate_options *options,
                             const co_evaluation *evaluation, bool names_only,
                             co_diagnostics *errors) {
  for (int64_t i = 0; i < options->require_count; i++) {
    gate g;
    co_evaluation_value found;
    CO_RETURN_IF_FAILED(parse_gate(options->require[i], &g));
    if (!co_evaluation_find(evaluation, g.metric, &found)) {
      co_status status = co_fail(CO_ERR_USAGE, "--require '%s': the model has no metric '%s'",
                                 options->require[i], g.metric);
      char *known = co_evaluation_known(evaluation);
      if (known) co_hint("%s", known);
      co_free(evaluation->model->ctx, known);
      return status;
    }
    if (names_only || holds(&g, found.value)) continue;
    co_fail(CO_ERR_GATE, "required %s, but it is %.6g", options->require[i], found.value);
    CO_RETURN_IF_FAILED(co_diagnostics_add_last(errors));
  }
  return co_diagnostics_result(errors);
}

// Gates are read before any work is done.
static co_status check_gate_syntax(const cohort_evaluate_options *options) {
  for (int64_t i = 0; i < options->require_count; i++) {
    gate ignored;
    CO_RETURN_IF_FAILED(parse_gate(options->require[i], &ignored));
  }
  return CO_OK;
}

typedef struct evaluating {
  co_predictor *predictor;
  co_dataset *dataset;
  co_evaluation evaluation;
  co_profit profit;
  co_table_scoring table; // of raw rows
} evaluating;

static co_status open_both(cohort_context *context, const cohort_evaluate_options *options,
                           evaluating *e) {
  const co_predictor_options predictor = {.model = options->model,
                                          .device = options->device,
                                          .precision = options->precision,
                                          .threads = options->threads,
                                          .batch_size = options->batch_size,
                                          .evaluate = true};
  const cohort_predict_options rows = {.model = options->model,
                                       .dataset = options->dataset,
                                       .split = options->split,
                                       .output = "-",
                                       .source = options->source,
                                       .sources = options->sources,
                                       .source_count = options->source_count};
  CO_RETURN_IF_FAILED(co_predictor_open(&e->predictor, context->ctx, &predictor));
  CO_RETURN_IF_FAILED(co_table_measuring_begin(&e->table, context, &rows));
  CO_RETURN_IF_FAILED(co_dataset_open(&e->dataset, context->ctx, e->table.options.dataset));
  if (options->by) CO_RETURN_IF_FAILED(co_slices_check(e->dataset, options->by));
  return co_check_dataset(e->predictor->model, e->dataset, true);
}

static co_status set_profit(evaluating *e) {
  e->evaluation.profit = &e->profit;
  for (int64_t i = 0; i < e->predictor->model->output_count; i++) {
    const co_column *column = e->predictor->model->outputs[i].column;
    if (column && column->type == CO_COLUMN_BINARY) return CO_OK;
  }
  return co_fail(CO_ERR_USAGE, "--profit is for binary targets, and the model has none");
}

static co_status evaluate(cohort_context *context, const cohort_evaluate_options *options,
                          evaluating *e, cohort_result *result) {
  co_evaluation *evaluation = &e->evaluation;
  int split;
  const int64_t *samples;
  int64_t count;
  CO_RETURN_IF_FAILED(co_require(options->model, "evaluate", "a model"));
  if (!options->source_count)
    CO_RETURN_IF_FAILED(co_require(options->dataset, "evaluate", "a dataset"));
  bool raw = options->source_count || co_table_is_raw(options->dataset, &options->source);
  bool all = raw && options->split && strcmp(options->split, "all") == 0;
  CO_RETURN_IF_FAILED(parse_split(all ? "test" : options->split, &split));
  CO_RETURN_IF_FAILED(check_gate_syntax(options));
  CO_RETURN_IF_FAILED(co_parse_profit(&e->profit, options->profit, options->profit_count));
  CO_RETURN_IF_FAILED(open_both(context, options, e));
  CO_RETURN_IF_FAILED(co_dataset_split(e->dataset, (co_split)split, &samples, &count));
  if (!count)
    return co_fail_at(CO_ERR_DATA, options->dataset ? options->dataset : "", 0, 0,
                      "the %s split has no rows", co_split_name((co_split)split));
  CO_RETURN_IF_FAILED(co_check_labels(e->predictor->model, e->dataset, (co_split)split));
  CO_RETURN_IF_FAILED(co_check_inputs(e->predictor->model, e->dataset, samples, count, NULL));
  CO_RETURN_IF_FAILED(co_evaluation_create(evaluation, e->predictor->model));
  co_evaluation_collect_all(evaluation);
  evaluation->keeps = true;
  if (options->profit_count) CO_RETURN_IF_FAILED(set_profit(e));
  CO_RETURN_IF_FAILED(check_gates(options, evaluation, true, &result->errors));
  const co_scoring_options run = {.watch = &context->watch,
                                  .stoppable = true,
                                  .workers = options->workers,
                                  .exclude_seen = options->exclude_seen,
                                  .stage = "evaluate"};
  if (run.exclude_seen) CO_RETURN_IF_FAILED(co_unseen_check(e->predictor->model));
  CO_RETURN_IF_FAILED(co_evaluate(evaluation, e->predictor, e->dataset, samples, count, &run));
  const co_bootstrap_options bootstrap = {
      .draws = options->draws, .seed = options->seed, .watch = &context->watch};
  if (options->draws >= 0) CO_RETURN_IF_FAILED(co_evaluation_bootstrap(evaluation, &bootstrap));
  co_json *json = &result->json;
  co_json_key(json, "model");
  co_json_string(json, e->predictor->path);
  co_json_key(json, "dataset");
  if (options->dataset)
    co_json_string(json, options->dataset);
  else
    co_json_null(json);
  co_json_key(json, "split");
  co_json_string(json, all ? "all" : co_split_name((co_split)split));
  co_json_key(json, "rows");
  co_json_int(json, evaluation->rows);
  co_json_key(json, "loss");
  co_json_double(json, co_evaluation_loss(evaluation));
  co_json_key(json, "metrics");
  co_evaluation_render(json, evaluation, true);
  co_json_key(json, "draws");
  co_json_int(json, options->draws < 0   ? 0
                    : options->draws > 0 ? options->draws
                                         : co_bootstrap_draws(evaluation->rows));
  co_json_key(json, "intervals");
  co_evaluation_render_intervals(json, evaluation);
  co_text_printf(&result->text, "%s on %lld%s%s rows\n", e->predictor->path,
                 (long long)evaluation->rows, all ? "" : " ",
                 all ? "" : co_split_name((co_split)split));
  print_metrics(&result->text, evaluation);
  const co_comparison_request comparison = {.predictor = e->predictor,
                                            .evaluation = evaluation,
                                            .dataset = e->dataset,
                                            .samples = samples,
                                            .scoring = &run,
                                            .bootstrap = &bootstrap};
  CO_RETURN_IF_FAILED(co_compare_baselines(result, &comparison));
  CO_RETURN_IF_FAILED(co_evaluate_details(result, evaluation));
  if (options->by)
    CO_RETURN_IF_FAILED(
        co_evaluate_slices(result, evaluation, e->dataset, options->by, samples, count));
  return check_gates(options, evaluation, false, &result->errors);
}

cohort_status cohort_evaluate(cohort_context *context, const cohort_evaluate_options *options,
                              cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  evaluating e = {.predictor = NULL};
  co_status status = evaluate(context, options, &e, *out);
  co_error error;
  co_error_copy(&error);
  co_evaluation_free(&e.evaluation);
  co_predictor_close(e.predictor);
  co_dataset_close(e.dataset);
  co_table_scoring_end(&e.table);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "evaluate", status);
}
