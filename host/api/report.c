// SPDX-License-Identifier: Apache-2.0
// cohort_report: a run as one page of HTML.
#include <math.h>
#include <string.h>

#include "datasets/rows.h"
#include "host/api/evaluate_details.h"
#include "host/api/hyperopt.h"
#include "host/api/run_record.h"
#include "host/core/output.h"
#include "host/eval/opening.h"
#include "host/feed/fit_features.h"
#include "host/feed/labels.h"
#include "host/output/report.h"

typedef struct reporting {
  cohort_context *context;
  const cohort_report_options *options;
  co_arena *arena;
  co_report report;
  co_profit profit;
  co_comparison_request comparison;
  co_atomic_file atomic;
} reporting;

enum { MOST_BYTES = 1 << 28 };

// A file of the run; *text is the caller's.
static co_status read_file(reporting *p, const char *name, char **path, char **text) {
  size_t length;
  *path = co_arena_format(p->arena, "%s/%s", p->options->run, name);
  if (!*path) return CO_ERR_MEMORY;
  return co_read_file(p->context->ctx, *path, MOST_BYTES, CO_ERR_MODEL, text, &length);
}

static co_status read_run(reporting *p) {
  co_node *run = NULL;
  CO_RETURN_IF_FAILED(co_record_read(&run, p->arena, p->options->run, "run.json", "report"));
  p->report.run = run;
  return CO_OK;
}

static co_status read_profile(reporting *p) {
  char *path = co_arena_format(p->arena, "%s/profile.json", p->options->run), *text = NULL;
  co_node *profile = NULL;
  if (!path) return CO_ERR_MEMORY;
  if (!co_path_exists(path)) return CO_OK;
  CO_RETURN_IF_FAILED(read_file(p, "profile.json", &path, &text));
  co_status status = co_record_parse(&profile, p->arena, path, text, strlen(text));
  p->report.profile = profile;
  co_free(p->context->ctx, text);
  return status;
}

// A last line that is cut off is left out: the run was killed amid it.
static co_status read_records(reporting *p) {
  char *path, *text = NULL;
  int64_t lines = 0;
  CO_RETURN_IF_FAILED(read_file(p, "metrics.jsonl", &path, &text));
  for (const char *at = text; (at = strchr(at, '\n')); at++)
    lines++;
  co_node **records = co_arena_alloc(p->arena, (size_t)lines + 1, sizeof *records);
  co_status status = records ? CO_OK : CO_ERR_MEMORY;
  for (char *at = text, *end; status == CO_OK && (end = strchr(at, '\n')); at = end + 1)
    status =
        co_record_parse(&records[p->report.record_count++], p->arena, path, at, (size_t)(end - at));
  p->report.records = records;
  co_free(p->context->ctx, text);
  return status;
}

// ---- model and rows ----------------------------------------------------------------------------

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}

static co_status open_model(reporting *p) {
  const cohort_report_options *o = p->options;
  const char *dataset = o->dataset ? o->dataset : co_report_text(p->report.run, "dataset");
  const co_predictor_options options = {.model = o->run,
                                        .device = o->device,
                                        .threads = o->threads,
                                        .evaluate = true,
                                        .scores = true};
  if (!dataset) return co_fail_at(CO_ERR_MODEL, o->run, 0, 0, "its run.json names no dataset");
  CO_RETURN_IF_FAILED(co_predictor_open(&p->report.predictor, p->context->ctx, &options));
  CO_RETURN_IF_FAILED(co_dataset_open(&p->report.dataset, p->context->ctx, dataset));
  p->report.dataset_name = base_name(dataset);
  p->report.config = p->report.predictor->model->config;
  return co_check_dataset(p->report.predictor->model, p->report.dataset, true);
}

static co_status choose_rows(reporting *p) {
  co_report *r = &p->report;
  int split = p->options->split ? co_split_parse(p->options->split) : CO_SPLIT_VALIDATION;
  if (split < 0) {
    co_status status = co_fail(CO_ERR_USAGE, "--split %s: no such split", p->options->split);
    co_hint("known: train, validation, test");
    return status;
  }
  CO_RETURN_IF_FAILED(co_dataset_split(r->dataset, (co_split)split, &r->samples, &r->count));
  r->split = (co_split)split;
  if (r->count) return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, co_dataset_path(r->dataset), 0, 0,
                                "the %s split has no rows", co_split_name(r->split));
  co_hint("name one that has: --split train, validation or test");
  return status;
}

// What is worse where a column tells nothing.
static const char *importance_metric(const co_model *model) {
  const co_column *column = model->output_count ? model->outputs[0].column : NULL;
  if (!column) return "loss";
  return column->type == CO_COLUMN_BINARY     ? "roc_auc"
         : column->type == CO_COLUMN_CATEGORY ? "log_loss"
         : column->type == CO_COLUMN_NUMBER   ? "rmse"
                                              : "loss";
}

enum { MOST_PERMUTED = 20000, REPEATS = 3 };

static co_status permute(reporting *p) {
  co_report *r = &p->report;
  const co_model *model = r->predictor->model;
  int64_t count = r->count < MOST_PERMUTED ? r->count : MOST_PERMUTED;
  int64_t *samples = co_arena_alloc(p->arena, (size_t)count + 1, sizeof *samples);
  r->importance = co_arena_alloc(p->arena, (size_t)model->input_count + 1, sizeof *r->importance);
  r->importance_metric = importance_metric(model);
  if (!samples || !r->importance) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) // evenly spaced
    samples[i] = r->samples[i * r->count / count];
  const co_importance_options options = {.predictor = r->predictor,
                                         .dataset = r->dataset,
                                         .samples = samples,
                                         .count = count,
                                         .metric = r->importance_metric,
                                         .repeats = REPEATS,
                                         .scoring = {.watch = &p->context->watch,
                                                     .stoppable = true,
                                                     .workers = p->options->workers,
                                                     .stage = "importance"}};
  double base;
  CO_RETURN_IF_FAILED(co_importance_base(&base, &options));
  for (int64_t i = 0; i < model->input_count; i++) {
    r->importance[i] = (co_importance){NAN, NAN};
    if (!model->inputs[i].class_->of_events)
      CO_RETURN_IF_FAILED(
          co_importance_of(&r->importance[i], &options, base, model->inputs[i].column->name));
  }
  return CO_OK;
}

enum { MOST_ATTRIBUTED = 1000 };

// What cannot be attributed is told instead.
static co_status attribute(reporting *p) {
  co_report *r = &p->report;
  const co_attribution_run run = {.samples = r->samples,
                                  .count = r->count,
                                  .workers = p->options->workers,
                                  .watch = &p->context->watch,
                                  .stage = "attributions"};
  co_status status =
      co_shares_measure(&r->shares, p->arena, r->predictor, r->dataset, MOST_ATTRIBUTED, &run);
  if (status != CO_ERR_CONFIG && status != CO_ERR_USAGE && status != CO_ERR_MODEL) return status;
  r->shares.rows = 0;
  r->no_shares = co_arena_strdup(p->arena, co_error_last()->message);
  co_error_clear();
  return r->no_shares ? CO_OK : CO_ERR_MEMORY;
}

static co_status measure(reporting *p) {
  co_report *r = &p->report;
  co_model *model = (co_model *)r->predictor->model;
  const co_scoring_options run = {.watch = &p->context->watch,
                                  .stoppable = true,
                                  .workers = p->options->workers,
                                  .stage = "evaluate"};
  const co_bootstrap_options bootstrap = {.watch = &p->context->watch};
  r->watch = run.watch;
  r->workers = run.workers;
  r->device = p->options->device;
  CO_RETURN_IF_FAILED(co_check_labels(model, r->dataset, r->split));
  CO_RETURN_IF_FAILED(co_check_inputs(model, r->dataset, r->samples, r->count, NULL));
  CO_RETURN_IF_FAILED(co_evaluation_create(&r->evaluation, model));
  co_evaluation_collect_all(&r->evaluation);
  r->evaluation.keeps = true;
  if (p->options->profit_count) r->evaluation.profit = &p->profit;
  CO_RETURN_IF_FAILED(
      co_evaluate(&r->evaluation, r->predictor, r->dataset, r->samples, r->count, &run));
  CO_RETURN_IF_FAILED(co_evaluation_bootstrap(&r->evaluation, &bootstrap));
  p->comparison = (co_comparison_request){.predictor = r->predictor,
                                          .evaluation = &r->evaluation,
                                          .dataset = r->dataset,
                                          .samples = r->samples,
                                          .scoring = &run,
                                          .bootstrap = &bootstrap};
  CO_RETURN_IF_FAILED(co_comparison_measure(&r->comparison, &p->comparison));
  if (model->input_count < 2) return CO_OK; // one has nothing to compare with
  CO_RETURN_IF_FAILED(permute(p));
  return attribute(p);
}

static co_status report(reporting *p, cohort_result *result) {
  const cohort_report_options *o = p->options;
  CO_RETURN_IF_FAILED(co_require(o->run, "report", "a run"));
  CO_RETURN_IF_FAILED(co_require(o->output, "report", "an output"));
  if (o->study_name)
    return co_fail(CO_ERR_USAGE, "--study-name is for reports of studies, and %s is none", o->run);
  CO_RETURN_IF_FAILED(co_parse_profit(&p->profit, o->profit, o->profit_count));
  if (!co_path_is_directory(o->run))
    return co_fail_at(CO_ERR_MODEL, o->run, 0, 0, "there is no run: it is no folder");
  const char *const inputs[] = {o->dataset};
  const co_output wanted = {o->output, o->force, inputs, 1};
  CO_RETURN_IF_FAILED(co_output_begin(&p->atomic, p->context->ctx, &wanted));
  CO_RETURN_IF_FAILED(co_arena_create(&p->arena, p->context->ctx));
  CO_RETURN_IF_FAILED(read_run(p));
  CO_RETURN_IF_FAILED(read_records(p));
  CO_RETURN_IF_FAILED(read_profile(p));
  CO_RETURN_IF_FAILED(open_model(p));
  CO_RETURN_IF_FAILED(choose_rows(p));
  CO_RETURN_IF_FAILED(measure(p));
  CO_RETURN_IF_FAILED(co_report_render(&p->report));
  co_writer *writer;
  CO_RETURN_IF_FAILED(co_writer_open(&writer, p->context->ctx, p->atomic.temporary, false));
  co_status status = co_writer_write(writer, p->report.page.data, p->report.page.length);
  co_status closed = co_writer_close(writer);
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(closed);
  CO_RETURN_IF_FAILED(co_atomic_commit(&p->atomic));
  co_json_key(&result->json, "run");
  co_json_string(&result->json, o->run);
  co_json_key(&result->json, "output");
  co_json_string(&result->json, o->output);
  co_json_key(&result->json, "split");
  co_json_string(&result->json, co_split_name(p->report.split));
  co_json_key(&result->json, "rows");
  co_json_int(&result->json, p->report.count);
  co_json_key(&result->json, "bytes");
  co_json_int(&result->json, (int64_t)p->report.page.length);
  co_json_key(&result->json, "importance");
  co_json_open(&result->json, '{');
  for (int64_t i = 0; p->report.importance && i < p->report.predictor->model->input_count; i++) {
    co_json_key(&result->json, p->report.predictor->model->inputs[i].name);
    co_json_double(&result->json, p->report.importance[i].mean);
  }
  co_json_close(&result->json);
  co_json_key(&result->json, "attribution");
  co_json_open(&result->json, '{');
  for (int64_t i = 0; p->report.shares.rows && i < p->report.shares.parts; i++) {
    co_json_key(&result->json, p->report.shares.names[i]);
    co_json_double(&result->json, p->report.shares.mean[i]);
  }
  co_json_close(&result->json);
  co_text_printf(&result->text, "%s: %lld %s rows\n", o->output, (long long)p->report.count,
                 co_split_name(p->report.split));
  return CO_OK;
}

// A study is a database, a run a folder.
static bool is_study(const cohort_report_options *o) {
  return o->run && o->output && !co_path_is_directory(o->run) && co_rows_is_database(o->run);
}

cohort_status cohort_report(cohort_context *context, const cohort_report_options *options,
                            cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  reporting p = {.context = context, .options = options};
  p.report.ctx = context->ctx;
  p.report.path = options->run;
  p.report.name = options->run ? base_name(options->run) : "";
  co_text_init(&p.report.page, context->ctx);
  co_status status = is_study(options) ? co_report_study(context, options, *out) : report(&p, *out);
  co_error error;
  co_error_copy(&error);
  co_atomic_abort(&p.atomic);
  co_comparison_free(&p.report.comparison);
  co_evaluation_free(&p.report.evaluation);
  co_predictor_close(p.report.predictor);
  co_dataset_close(p.report.dataset);
  co_text_free(&p.report.page);
  co_arena_free(p.arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "report", status);
}
