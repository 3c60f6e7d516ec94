// SPDX-License-Identifier: Apache-2.0
// cohort_select: a config with the columns that tell of the target, and why.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/relevance.h"
#include "host/api/api.h"
#include "host/api/data.h"
#include "host/api/select.h"
#include "host/config/tree.h"
#include "host/core/output.h"
#include "host/core/text_width.h"
#include "host/eval/importance.h"
#include "host/eval/opening.h"
#include "host/feed/fit_features.h"
#include "host/train/settings.h"
#include "models/model.h"

// An input of the config; of several columns, or of a kind that is not judged, it is kept.
typedef struct candidate {
  const co_node *item;
  const char *name;
  bool judged, chosen;
  co_relevance relevance;
} candidate;

typedef struct selection {
  cohort_context *context;
  co_context *ctx;
  const cohort_select_options *options;
  co_diagnostics *problems;
  co_arena *arena;
  co_dataset *dataset;
  co_model *model;
  int method;              // of methods[]
  co_predictor *predictor; // of permutation
  co_l1_judgement l1;
  co_node *config; // as given, merged
  candidate *candidates;
  int64_t count;
  int64_t *rows, row_count; // training rows that columns are judged by
  co_atomic_file output;
} selection;

enum { PERMUTATION = CO_RELEVANCE_CORRELATION + 1, L1, METHODS, REPEATS = 5 };
static const char *const methods[METHODS] = {[CO_RELEVANCE_MUTUAL_INFORMATION] =
                                                 "mutual_information",
                                             [CO_RELEVANCE_CORRELATION] = "correlation",
                                             [PERMUTATION] = "permutation",
                                             [L1] = "l1"};

static co_status choose_method(selection *s) {
  const char *method = s->options->method ? s->options->method : methods[0];
  for (s->method = 0; s->method < METHODS; s->method++)
    if (strcmp(methods[s->method], method) == 0) break;
  if (s->method < METHODS && (s->method == PERMUTATION) != !s->options->model) return CO_OK;
  if (s->method < METHODS) {
    co_status status =
        co_fail(CO_ERR_USAGE,
                s->options->model ? "--method %s judges by the rows alone, without a model"
                                  : "--method %s asks a model that is trained",
                method);
    co_hint(s->options->model ? "leave -m out, or give --method permutation" : "give -m RUN");
    return status;
  }
  co_status status = co_fail(CO_ERR_USAGE, "there is no method '%s'", method);
  co_hint("known: mutual_information, correlation, permutation, l1");
  return status;
}

// ---- judging -----------------------------------------------------------------------------------

static co_status draw_rows(selection *s) {
  const int64_t *rows;
  int64_t all = 0;
  CO_RETURN_IF_FAILED(co_dataset_split(s->dataset, CO_SPLIT_TRAIN, &rows, &all));
  if (!all) return co_fail_at(CO_ERR_DATA, s->options->dataset, 0, 0, "there are no training rows");
  s->row_count = all < CO_RELEVANCE_ROWS ? all : CO_RELEVANCE_ROWS;
  s->rows = co_alloc(s->ctx, (size_t)s->row_count * sizeof *s->rows);
  if (!s->rows) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->row_count; i++)
    s->rows[i] = rows[co_stretch_draw(i, s->row_count, all)];
  return CO_OK;
}

static bool is_judged(selection *s, const co_column *column) {
  const co_table *table = co_schema_table(co_dataset_schema(s->dataset), column->table);
  bool scalar = co_column_type_has_names(column->type) || column->type == CO_COLUMN_NUMBER ||
                column->type == CO_COLUMN_DATE;
  return scalar && table && table->kind != CO_TABLE_EVENTS;
}

// By the target that it tells most of.
static co_status judge(selection *s, candidate *c, const co_column *column) {
  co_view view, target;
  CO_RETURN_IF_FAILED(co_view_open(&view, s->dataset, column));
  for (int64_t i = 0; i < s->model->output_count; i++) {
    co_relevance one;
    const co_output_feature *output = &s->model->outputs[i];
    const co_column *of =
        output->column ? co_schema_find(co_dataset_schema(s->dataset), output->column->name) : NULL;
    if (!of || !is_judged(s, of)) continue;
    CO_RETURN_IF_FAILED(co_view_open(&target, s->dataset, of));
    CO_RETURN_IF_FAILED(co_relevance_of(&one, s->ctx, &view, &target,
                                        (co_relevance_method)s->method, s->rows, s->row_count));
    if (!c->judged || one.score > c->relevance.score) c->relevance.score = one.score;
    c->relevance.relevant |= one.relevant;
    c->judged = true;
  }
  return CO_OK;
}

// What the columns do for a trained model, on validation rows, which it has not learned from.
static co_status open_model(selection *s, co_importance_options *importance) {
  const co_predictor_options options = {.model = s->options->model, .evaluate = true};
  CO_RETURN_IF_FAILED(co_predictor_open(&s->predictor, s->ctx, &options));
  CO_RETURN_IF_FAILED(co_check_dataset(s->predictor->model, s->dataset, true));
  *importance = (co_importance_options){
      .predictor = s->predictor,
      .dataset = s->dataset,
      .repeats = REPEATS,
      .metric = s->options->metric,
      .scoring = {.watch = &s->context->watch, .stoppable = true, .workers = 1, .stage = "select"}};
  CO_RETURN_IF_FAILED(
      co_dataset_split(s->dataset, CO_SPLIT_VALIDATION, &importance->samples, &importance->count));
  s->row_count = importance->count;
  if (!s->row_count)
    return co_fail_at(CO_ERR_DATA, s->options->dataset, 0, 0, "there are no validation rows");
  return co_check_inputs(s->predictor->model, s->dataset, importance->samples, importance->count,
                         NULL);
}

static co_status judge_by_model(selection *s, candidate *c, const co_importance_options *importance,
                                double base, const co_column *column) {
  co_importance one;
  const co_model *model = s->predictor->model;
  for (int64_t i = 0; i < model->input_count; i++) {
    if (strcmp(model->inputs[i].column->name, column->name) != 0) continue;
    CO_RETURN_IF_FAILED(co_importance_of(&one, importance, base, column->name));
    c->judged = true;
    c->relevance = (co_relevance){one.mean, one.mean > 3 * one.error && one.mean > 0};
    return CO_OK;
  }
  return CO_OK;
}

// All at once: chosen are those that the penalty has kept.
static void judge_by_l1(selection *s, candidate *c) {
  for (int64_t i = 0; i < s->model->input_count; i++) {
    double strength = s->l1.strength[i];
    if (strcmp(s->model->inputs[i].name, c->name) != 0 || strength < 0) continue;
    c->judged = true;
    c->relevance = (co_relevance){strength, strength > 0};
  }
}

static co_status judge_all(selection *s) {
  co_importance_options importance;
  double base = 0;
  if (s->method == PERMUTATION) {
    CO_RETURN_IF_FAILED(open_model(s, &importance));
    CO_RETURN_IF_FAILED(co_importance_base(&base, &importance));
  } else {
    CO_RETURN_IF_FAILED(draw_rows(s));
  }
  if (s->method == L1)
    CO_RETURN_IF_FAILED(co_l1_judge(&s->l1, s->ctx, s->arena, s->dataset, s->model, s->rows,
                                    s->row_count, &s->context->watch));
  const co_node *list = co_node_get(s->model->config, "input_features");
  s->count = list->count;
  s->candidates = co_arena_alloc(s->arena, (size_t)s->count + 1, sizeof *s->candidates);
  if (!s->candidates) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->count; i++) {
    candidate *c = &s->candidates[i];
    const co_node *name = co_node_get(list->items[i], "name");
    const co_node *column = co_node_get(list->items[i], "column");
    *c = (candidate){.item = list->items[i], .name = co_node_brief(name)};
    const co_column *known =
        co_schema_find(co_dataset_schema(s->dataset), column ? co_node_brief(column) : c->name);
    if (co_watch_stopped(&s->context->watch)) return co_fail(CO_INTERRUPTED, "stopped");
    co_watch_progress(&s->context->watch, "select", "columns", i, s->count, NULL);
    if (s->method == L1) judge_by_l1(s, c);
    if (s->method == L1 || !known || !is_judged(s, known)) continue;
    CO_RETURN_IF_FAILED(s->method == PERMUTATION ? judge_by_model(s, c, &importance, base, known)
                                                 : judge(s, c, known));
  }
  co_watch_progress(&s->context->watch, "select", "columns", -1, 0, NULL);
  return CO_OK;
}

// ---- choosing ----------------------------------------------------------------------------------

static int by_score(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x < y) - (x > y);
}

// The score of the last of the `top` best; -1 = all.
static double least_of_top(const selection *s, double *scores, int64_t top) {
  int64_t count = 0;
  for (int64_t i = 0; i < s->count; i++)
    if (s->candidates[i].judged) scores[count++] = s->candidates[i].relevance.score;
  qsort(scores, (size_t)count, sizeof *scores, by_score);
  return count > top ? scores[top - 1] : -1;
}

static co_status choose(selection *s) {
  const cohort_select_options *o = s->options;
  double *scores = co_arena_alloc(s->arena, (size_t)s->count + 1, sizeof *scores);
  int64_t chosen = 0;
  if (!scores) return CO_ERR_MEMORY;
  double least = o->top ? least_of_top(s, scores, o->top) : o->min_score;
  bool by_chance = !o->top && o->min_score < 0; // what chance would hardly give
  for (int64_t i = 0; i < s->count; i++) {
    candidate *c = &s->candidates[i];
    c->chosen = !c->judged || (by_chance ? c->relevance.relevant : c->relevance.score >= least);
    if (o->top && c->judged && c->chosen && chosen >= o->top) c->chosen = false; // of equal ones
    chosen += c->chosen && c->judged;
  }
  for (int64_t i = 0; i < s->count; i++)
    if (s->candidates[i].chosen) return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, o->dataset, 0, 0, "no column tells of the target");
  co_hint("--top N chooses the best ones all the same");
  return status;
}

// ---- writing -----------------------------------------------------------------------------------

static int64_t count_chosen(const selection *s) {
  int64_t chosen = 0;
  for (int64_t i = 0; i < s->count; i++)
    chosen += s->candidates[i].chosen;
  return chosen;
}

// The item in one line: of a name alone as a person writes it, else as JSON, which is YAML.
static co_status print_item(co_text *out, co_context *ctx, const candidate *c) {
  co_text line;
  co_json json;
  co_text_init(&line, ctx);
  co_json_init(&json, ctx, 0);
  co_status status = CO_OK;
  if (c->item->count == 1) {
    status = co_node_to_yaml(&line, c->item);
    if (line.length) line.data[--line.length] = '\0';
  } else {
    co_node_render(&json, c->item);
    status = json.text.status;
  }
  if (status == CO_OK)
    co_text_printf(out, "  %s- %s", c->chosen ? "" : "# ",
                   line.length ? line.data : json.text.data);
  co_text_free(&line);
  co_json_free(&json);
  return status;
}

// Inputs as a list with the reason of each, then the rest of the config.
static co_status print_config(selection *s, co_text *out) {
  co_node *rest;
  co_text_printf(out, "# %lld of %lld inputs, by %s on %lld %s rows\ninput_features:\n",
                 (long long)count_chosen(s), (long long)s->count, methods[s->method],
                 (long long)s->row_count, s->method == PERMUTATION ? "validation" : "training");
  for (int64_t i = 0; i < s->l1.count; i++)
    co_text_printf(out, "# %s: penalty %.6g of %.6g, by %lld validation rows\n", s->l1.of[i],
                   s->l1.choices[i].penalty, s->l1.choices[i].most,
                   (long long)s->l1.validation_rows);
  for (int64_t i = 0; i < s->count; i++) {
    const candidate *c = &s->candidates[i];
    CO_RETURN_IF_FAILED(print_item(out, s->ctx, c));
    if (c->judged)
      co_text_printf(out, "  # %s %.6f\n", methods[s->method], c->relevance.score);
    else
      co_text_printf(out, "  # kept: not judged\n");
  }
  CO_RETURN_IF_FAILED(co_node_copy(&rest, s->arena, s->model->config));
  int64_t at = co_node_find(rest, "input_features", strlen("input_features"));
  if (at >= 0) co_node_remove(rest, at);
  return co_node_to_yaml(out, rest);
}

// What is written must build.
static co_status check_config(selection *s, const co_text *text) {
  co_node *config;
  co_model *model = NULL;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&config, s->arena, "selection", text->data, text->length, s->problems));
  co_status status =
      co_model_create(&model, s->ctx, config, co_dataset_schema(s->dataset), s->problems);
  co_model_free(model);
  return status == CO_ERR_CONFIG ? co_diagnostics_result(s->problems) : status;
}

static co_status write_config(selection *s, const co_text *text) {
  co_writer *writer;
  CO_RETURN_IF_FAILED(co_writer_open(&writer, s->ctx, s->output.temporary, false));
  co_status status = co_writer_write(writer, text->data, text->length);
  co_status closed = co_writer_close(writer);
  if (status == CO_OK) status = closed;
  return status == CO_OK ? co_atomic_commit(&s->output) : status;
}

static void report_penalties(const selection *s, co_json *json) {
  if (s->method != L1) return;
  co_json_key(json, "penalties");
  co_json_open(json, '{');
  for (int64_t i = 0; i < s->l1.count; i++) {
    const co_l1_choice *choice = &s->l1.choices[i];
    co_json_key(json, s->l1.of[i]);
    co_json_open(json, '{');
    co_json_key(json, "penalty");
    co_json_double(json, choice->penalty);
    co_json_key(json, "most");
    co_json_double(json, choice->most);
    co_json_key(json, "columns");
    co_json_int(json, choice->kept);
    co_json_key(json, "validation_loss");
    co_json_double(json, choice->loss);
    co_json_key(json, "least_validation_loss");
    co_json_double(json, choice->least);
    co_json_key(json, "converged");
    co_json_bool(json, choice->converged);
    co_json_close(json);
  }
  co_json_close(json);
}

static void report(selection *s, cohort_result *result) {
  co_json *json = &result->json;
  co_json_key(json, "method");
  co_json_string(json, methods[s->method]);
  co_json_key(json, "rows");
  co_json_int(json, s->row_count);
  co_json_key(json, "output");
  co_json_string(json, s->options->output);
  report_penalties(s, json);
  co_json_key(json, "features");
  co_json_open(json, '[');
  for (int64_t i = 0; i < s->count; i++) {
    const candidate *c = &s->candidates[i];
    co_json_open(json, '{');
    co_json_key(json, "name");
    co_json_string(json, c->name);
    co_json_key(json, "score");
    if (c->judged)
      co_json_double(json, c->relevance.score);
    else
      co_json_null(json);
    co_json_key(json, "chosen");
    co_json_bool(json, c->chosen);
    co_json_close(json);
  }
  co_json_close(json);
  co_text_printf(&result->text, "%lld of %lld inputs chosen by %s, written to %s\n",
                 (long long)count_chosen(s), (long long)s->count, methods[s->method],
                 s->options->output);
  for (int64_t i = 0; i < s->count; i++) {
    const candidate *c = &s->candidates[i];
    co_text_printf(&result->text, "  %-4s ", c->chosen ? "yes" : "no");
    co_text_pad(&result->text, c->name, 32, 60, false);
    if (c->judged)
      co_text_printf(&result->text, "  %.6f\n", c->relevance.score);
    else
      co_text_printf(&result->text, "  not judged\n");
  }
}

// ---- all ---------------------------------------------------------------------------------------

static co_status read_config(selection *s) {
  const cohort_config *given = &s->options->config;
  co_trainer_settings settings;
  CO_RETURN_IF_FAILED(co_settings_read(&s->config, s->arena, given->files, given->file_count,
                                       given->assignments, given->assignment_count, s->problems));
  CO_RETURN_IF_FAILED(co_settings_parse_trainer(&settings, s->config, s->arena, s->problems));
  if (s->problems->count) return co_diagnostics_result(s->problems);
  co_status status =
      co_model_create(&s->model, s->ctx, s->config, co_dataset_schema(s->dataset), s->problems);
  return status == CO_ERR_CONFIG ? co_diagnostics_result(s->problems) : status;
}

static co_status begin_output(selection *s) {
  const cohort_config *config = &s->options->config;
  const char **inputs = co_arena_alloc(s->arena, (size_t)config->file_count + 1, sizeof *inputs);
  if (!inputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < config->file_count; i++)
    inputs[i] = config->files[i];
  inputs[config->file_count] = s->options->dataset;
  const co_output output = {s->options->output, s->options->force, inputs, config->file_count + 1};
  return co_output_begin(&s->output, s->ctx, &output);
}

static co_status select_columns(selection *s, co_text *text, cohort_result *result) {
  const cohort_select_options *o = s->options;
  CO_RETURN_IF_FAILED(co_require(o->dataset, "select", "a dataset"));
  CO_RETURN_IF_FAILED(co_require(o->output, "select", "an output"));
  CO_RETURN_IF_FAILED(choose_method(s));
  CO_RETURN_IF_FAILED(begin_output(s));
  CO_RETURN_IF_FAILED(co_dataset_open(&s->dataset, s->ctx, o->dataset));
  CO_RETURN_IF_FAILED(read_config(s));
  CO_RETURN_IF_FAILED(judge_all(s));
  CO_RETURN_IF_FAILED(choose(s));
  CO_RETURN_IF_FAILED(print_config(s, text));
  CO_RETURN_IF_FAILED(check_config(s, text));
  CO_RETURN_IF_FAILED(write_config(s, text));
  report(s, result);
  return CO_OK;
}

cohort_status cohort_select(cohort_context *context, const cohort_select_options *options,
                            cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  selection s = {
      .context = context, .ctx = context->ctx, .options = options, .problems = &(*out)->errors};
  co_text text;
  co_text_init(&text, s.ctx);
  co_status status = co_arena_create(&s.arena, s.ctx);
  if (status == CO_OK) status = select_columns(&s, &text, *out);
  co_error error;
  co_error_copy(&error);
  co_text_free(&text);
  co_free(s.ctx, s.rows);
  co_predictor_close(s.predictor);
  co_model_free(s.model);
  co_dataset_close(s.dataset);
  co_atomic_abort(&s.output);
  co_arena_free(s.arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "select", status);
}
