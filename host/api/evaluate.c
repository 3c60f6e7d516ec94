// SPDX-License-Identifier: Apache-2.0
// cohort_evaluate: metrics of models on a split, their paired differences, and gates on them.
#include <math.h>
#include <string.h>

#include "host/api/baselines.h"
#include "host/api/compare.h"
#include "host/api/evaluate_details.h"
#include "host/api/table.h"
#include "host/core/text_width.h"
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
      co_text_printf(text, "  ");
      co_text_pad(text, evaluation->model->outputs[i].name, 24, 0, false);
      co_text_printf(text, " %-20s %-10.6g", value.name, value.value);
      if (!isnan(value.interval.low))
        co_text_printf(text, " [%.6g, %.6g]", value.interval.low, value.interval.high);
      co_text_end_line(text);
    }
}

static void print_seen(co_text *text, const co_evaluation *evaluation, bool excluded) {
  if (evaluation->of_histories && excluded)
    co_text_printf(text,
                   "  items of a row's own history are excluded: those of repeats have no value\n");
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
// an error of its own among `errors`, of the model's name where there are several.
static co_status check_gates(const cohort_evaluate_options *options,
                             const co_evaluation *evaluation, const char *name, bool names_only,
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
    co_fail(CO_ERR_GATE, "required %s, but it is %.6g%s%s", options->require[i], found.value,
            name ? " of " : "", name ? name : "");
    CO_RETURN_IF_FAILED(co_diagnostics_add_last(errors));
  }
  return CO_OK;
}

// Gates are read before any work is done.
static co_status check_gate_syntax(const cohort_evaluate_options *options) {
  for (int64_t i = 0; i < options->require_count; i++) {
    gate ignored;
    CO_RETURN_IF_FAILED(parse_gate(options->require[i], &ignored));
  }
  return CO_OK;
}

// One of the models; its rows are those of the first, but of raw rows, which each reads in its own way.
typedef struct evaluated {
  const char *name;
  co_predictor *predictor;
  co_dataset *dataset;
  co_evaluation evaluation;
  co_table_scoring table; // of raw rows
  const int64_t *samples;
  int64_t count;
} evaluated;

typedef struct evaluating {
  cohort_context *context;
  const cohort_evaluate_options *options;
  co_arena *arena;
  co_model_list list;
  evaluated *models; // list.count
  co_profit profit;
  co_split split;
  bool raw, all; // rows of all splits
  co_scoring_options run;
  co_bootstrap_options bootstrap;
} evaluating;

// ---- opening -----------------------------------------------------------------------------------

static co_status list_models(evaluating *e) {
  const cohort_evaluate_options *o = e->options;
  const size_t count = (size_t)o->more_model_count + 1;
  CO_RETURN_IF_FAILED(co_arena_create(&e->arena, e->context->ctx));
  e->list = (co_model_list){.names = co_arena_alloc(e->arena, count, sizeof *e->list.names),
                            .paths = co_arena_alloc(e->arena, count, sizeof *e->list.paths)};
  e->models = co_arena_alloc(e->arena, count, sizeof *e->models);
  if (!e->list.names || !e->list.paths || !e->models) return CO_ERR_MEMORY;
  for (; e->list.count < (int64_t)count; e->list.count++) {
    const int64_t i = e->list.count;
    CO_RETURN_IF_FAILED(co_model_name(&e->list.names[i], &e->list.paths[i], e->arena,
                                      i ? o->more_models[i - 1] : o->model));
    e->models[i].name = e->list.names[i];
  }
  if (count > 1 && o->dataset && strcmp(o->dataset, "-") == 0) {
    co_status status =
        co_fail(CO_ERR_USAGE, "standard input is read once, and several models read rows");
    co_hint("put the rows into a file");
    return status;
  }
  return co_model_list_check(&e->list);
}

static co_status open_rows(evaluating *e, evaluated *m, const char *path) {
  const cohort_evaluate_options *o = e->options;
  const cohort_predict_options rows = {.model = path,
                                       .dataset = o->dataset,
                                       .split = o->split,
                                       .output = "-",
                                       .source = o->source,
                                       .sources = o->sources,
                                       .source_count = o->source_count};
  CO_RETURN_IF_FAILED(co_table_measuring_begin(&m->table, e->context, &rows));
  CO_RETURN_IF_FAILED(co_dataset_open(&m->dataset, e->context->ctx, m->table.options.dataset));
  CO_RETURN_IF_FAILED(co_dataset_split(m->dataset, e->split, &m->samples, &m->count));
  if (m->count) return CO_OK;
  return co_fail_at(CO_ERR_DATA, o->dataset ? o->dataset : "", 0, 0, "the %s split has no rows",
                    co_split_name(e->split));
}

// Differences are of the same rows.
static co_status check_same_rows(const evaluating *e, int64_t i) {
  const evaluated *m = &e->models[i], *first = &e->models[0];
  if (m->count == first->count && co_dataset_rows(m->dataset) == co_dataset_rows(first->dataset) &&
      m->table.result.rejected == first->table.result.rejected &&
      memcmp(m->samples, first->samples, (size_t)m->count * sizeof *m->samples) == 0)
    return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, e->list.paths[i], 0, 0,
                                "it is not measured on the same rows as %s: their imports were "
                                "split in other ways, or other rows cannot be taken",
                                e->list.paths[0]);
  co_hint("a dataset.h5 has one split for all; --split all takes all rows");
  return status;
}

static co_status open_model(evaluating *e, int64_t i) {
  const cohort_evaluate_options *o = e->options;
  evaluated *m = &e->models[i];
  const co_predictor_options predictor = {.model = e->list.paths[i],
                                          .device = o->device,
                                          .precision = o->precision,
                                          .threads = o->threads,
                                          .autotune = o->autotune,
                                          .autotune_cache = o->autotune_cache,
                                          .batch_size = o->batch_size,
                                          .evaluate = true};
  CO_RETURN_IF_FAILED(co_predictor_open(&m->predictor, e->context->ctx, &predictor));
  if (!i || e->raw) {
    CO_RETURN_IF_FAILED(open_rows(e, m, e->list.paths[i]));
    if (i) CO_RETURN_IF_FAILED(check_same_rows(e, i));
  } else {
    m->dataset = e->models[0].dataset;
    m->samples = e->models[0].samples;
    m->count = e->models[0].count;
  }
  if (!i && o->by) CO_RETURN_IF_FAILED(co_slices_check(m->dataset, o->by));
  return co_check_dataset(m->predictor->model, m->dataset, true);
}

static co_status set_profit(evaluating *e, evaluated *m) {
  m->evaluation.profit = &e->profit;
  for (int64_t i = 0; i < m->predictor->model->output_count; i++) {
    const co_column *column = m->predictor->model->outputs[i].column;
    if (column && column->type == CO_COLUMN_BINARY) return CO_OK;
  }
  return co_fail(CO_ERR_USAGE, "--profit is for binary targets, and the model has none");
}

// A model that was trained again on validation rows is no stranger to them.
static void warn_of_refit(const evaluating *e, const co_model *model) {
  const co_node *trainer = co_node_get(model->config, "trainer");
  const co_node *refit = trainer ? co_node_get(trainer, "refit") : NULL;
  if (e->split == CO_SPLIT_VALIDATION && refit && refit->kind == CO_NODE_SCALAR &&
      strcmp(refit->text, "true") == 0)
    co_log(model->ctx, CO_LOG_WARN, "evaluate",
           "with trainer.refit a model has learned from these rows; that before is selected.h5");
}

// Everything that can be wrong is said before any row is scored.
static co_status prepare(evaluating *e, evaluated *m, co_diagnostics *errors) {
  co_model *model = (co_model *)m->predictor->model;
  co_evaluation *evaluation = &m->evaluation;
  warn_of_refit(e, model);
  CO_RETURN_IF_FAILED(co_check_labels(model, m->dataset, e->split));
  CO_RETURN_IF_FAILED(co_check_inputs(model, m->dataset, m->samples, m->count, NULL));
  CO_RETURN_IF_FAILED(co_evaluation_create(evaluation, model));
  co_evaluation_collect_all(evaluation);
  evaluation->keeps = true;
  if (e->options->profit_count) CO_RETURN_IF_FAILED(set_profit(e, m));
  if (e->run.exclude_seen) CO_RETURN_IF_FAILED(co_unseen_check(model));
  return check_gates(e->options, evaluation, NULL, true, errors);
}

// ---- measuring ---------------------------------------------------------------------------------

static void render_rows(co_json *json, const evaluating *e) {
  const cohort_evaluate_options *o = e->options;
  co_json_key(json, "dataset");
  if (o->dataset)
    co_json_string(json, o->dataset);
  else
    co_json_null(json);
  co_json_key(json, "split");
  co_json_string(json, e->all ? "all" : co_split_name(e->split));
  co_json_key(json, "rows");
  co_json_int(json, e->models[0].count);
  co_json_key(json, "draws");
  co_json_int(json, o->draws < 0   ? 0
                    : o->draws > 0 ? o->draws
                                   : co_bootstrap_draws(e->models[0].count));
}

static co_status measure(evaluating *e, evaluated *m, cohort_result *result) {
  const cohort_evaluate_options *o = e->options;
  co_evaluation *evaluation = &m->evaluation;
  co_json *json = &result->json;
  CO_RETURN_IF_FAILED(
      co_evaluate(evaluation, m->predictor, m->dataset, m->samples, m->count, &e->run));
  if (o->draws >= 0) CO_RETURN_IF_FAILED(co_evaluation_bootstrap(evaluation, &e->bootstrap));
  co_json_key(json, "model");
  co_json_string(json, m->predictor->path);
  co_json_key(json, "loss");
  co_json_double(json, co_evaluation_loss(evaluation));
  co_json_key(json, "metrics");
  co_evaluation_render(json, evaluation, true);
  co_json_key(json, "intervals");
  co_evaluation_render_intervals(json, evaluation);
  co_text_printf(&result->text, "%s on %lld%s%s rows\n", m->predictor->path,
                 (long long)evaluation->rows, e->all ? "" : " ",
                 e->all ? "" : co_split_name(e->split));
  print_metrics(&result->text, evaluation);
  print_seen(&result->text, evaluation, e->run.exclude_seen);
  const co_comparison_request comparison = {.predictor = m->predictor,
                                            .evaluation = evaluation,
                                            .dataset = m->dataset,
                                            .samples = m->samples,
                                            .scoring = &e->run,
                                            .bootstrap = &e->bootstrap};
  CO_RETURN_IF_FAILED(co_compare_baselines(result, &comparison));
  CO_RETURN_IF_FAILED(co_evaluate_details(result, evaluation));
  CO_RETURN_IF_FAILED(co_evaluate_classes(result, evaluation));
  if (!o->by) return CO_OK;
  return co_evaluate_slices(result, evaluation, m->dataset, o->by, m->samples, m->count);
}

// ---- several -----------------------------------------------------------------------------------

// Of a model each output's differences from the first model's.
static co_status compare_model(evaluating *e, const evaluated *m, cohort_result *result) {
  const evaluated *first = &e->models[0];
  co_output_pairs pairs;
  for (int64_t i = 0; i < m->predictor->model->output_count; i++) {
    CO_RETURN_IF_FAILED(
        co_comparison_of_output(&pairs, &m->evaluation, i, &first->evaluation, &e->bootstrap));
    for (int64_t k = 0; k < pairs.count; k++) {
      const co_pair_named pair = {.of = m->name,
                                  .than = first->name,
                                  .output = m->predictor->model->outputs[i].name,
                                  .metric = pairs.metrics[k],
                                  .found = &pairs.found[k]};
      co_pair_render(&result->json, "model", &pair);
      co_text_printf(&result->text, "  ");
      co_text_pad(&result->text, pair.output, 24, 0, false);
      co_text_printf(&result->text, " %-20s ", pair.metric->name);
      co_text_pad(&result->text, pair.of, 24, 0, false);
      co_pair_print(&result->text, pair.found, pair.metric->higher_is_better);
      co_text_printf(&result->text, "\n");
    }
  }
  return CO_OK;
}

static co_status measure_several(evaluating *e, cohort_result *result) {
  co_json *json = &result->json;
  co_json_key(json, "models");
  co_json_open(json, '[');
  for (int64_t i = 0; i < e->list.count; i++) {
    co_json_open(json, '{');
    co_json_key(json, "name");
    co_json_string(json, e->models[i].name);
    if (i) co_text_printf(&result->text, "\n");
    CO_RETURN_IF_FAILED(measure(e, &e->models[i], result));
    co_json_close(json);
  }
  co_json_close(json);
  co_json_key(json, "pairs");
  co_json_open(json, '[');
  if (e->options->draws >= 0)
    co_text_printf(&result->text, "\nless %s, on the same rows, with the 95 %% interval\n",
                   e->models[0].name);
  for (int64_t i = 1; e->options->draws >= 0 && i < e->list.count; i++)
    CO_RETURN_IF_FAILED(compare_model(e, &e->models[i], result));
  co_json_close(json);
  return CO_OK;
}

// ---- all of it ---------------------------------------------------------------------------------

static co_status check_options(evaluating *e) {
  const cohort_evaluate_options *o = e->options;
  int split;
  CO_RETURN_IF_FAILED(co_require(o->model, "evaluate", "a model"));
  if (!o->source_count) CO_RETURN_IF_FAILED(co_require(o->dataset, "evaluate", "a dataset"));
  e->raw = o->source_count || co_table_is_raw(o->dataset, &o->source);
  e->all = e->raw && o->split && strcmp(o->split, "all") == 0;
  CO_RETURN_IF_FAILED(parse_split(e->all ? "test" : o->split, &split));
  e->split = (co_split)split;
  CO_RETURN_IF_FAILED(check_gate_syntax(o));
  return co_parse_profit(&e->profit, o->profit, o->profit_count);
}

static co_status evaluate(evaluating *e, cohort_result *result) {
  const cohort_evaluate_options *o = e->options;
  CO_RETURN_IF_FAILED(check_options(e));
  CO_RETURN_IF_FAILED(list_models(e));
  e->run = (co_scoring_options){.watch = &e->context->watch,
                                .stoppable = true,
                                .workers = o->workers,
                                .exclude_seen = o->exclude_seen,
                                .stage = "evaluate"};
  e->bootstrap =
      (co_bootstrap_options){.draws = o->draws, .seed = o->seed, .watch = &e->context->watch};
  for (int64_t i = 0; i < e->list.count; i++) {
    CO_RETURN_IF_FAILED(open_model(e, i));
    CO_RETURN_IF_FAILED(prepare(e, &e->models[i], &result->errors));
  }
  render_rows(&result->json, e);
  CO_RETURN_IF_FAILED(e->list.count == 1 ? measure(e, &e->models[0], result)
                                         : measure_several(e, result));
  for (int64_t i = 0; i < e->list.count; i++)
    CO_RETURN_IF_FAILED(check_gates(o, &e->models[i].evaluation,
                                    e->list.count > 1 ? e->models[i].name : NULL, false,
                                    &result->errors));
  return co_diagnostics_result(&result->errors);
}

static void close_model(evaluating *e, int64_t i) {
  evaluated *m = &e->models[i];
  co_evaluation_free(&m->evaluation);
  co_predictor_close(m->predictor);
  if (!i || e->raw) co_dataset_close(m->dataset);
  co_table_scoring_end(&m->table);
}

cohort_status cohort_evaluate(cohort_context *context, const cohort_evaluate_options *options,
                              cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  evaluating e = {.context = context, .options = options};
  co_status status = evaluate(&e, *out);
  co_error error;
  co_error_copy(&error);
  for (int64_t i = 0; i < e.list.count; i++)
    close_model(&e, i);
  co_arena_free(e.arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "evaluate", status);
}
