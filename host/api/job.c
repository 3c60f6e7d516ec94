// SPDX-License-Identifier: Apache-2.0
#include "host/api/job.h"

#include <math.h>
#include <string.h>

#include "host/device/backend.h"
#include "host/feed/pipeline.h"
#include "host/graph/metric/metric.h"

#ifndef COHORT_VERSION
#define COHORT_VERSION "0.1.0"
#endif

const char *cohort_version(void) {
  return COHORT_VERSION;
}

static void pass_log(void *user, co_log_level level, const char *event, const char *text) {
  const cohort_context *context = user;
  context->options.log(context->options.log_user, (int)level, event, text);
}

cohort_status cohort_context_create(cohort_context **out, const cohort_context_options *options) {
  *out = NULL;
  cohort_context_options chosen = {.log_level = COHORT_LOG_WARN};
  if (options) chosen = *options;
  co_context_options core = {.threads = chosen.threads,
                             .threads_why = chosen.threads_why,
                             .thread_limit = chosen.thread_limit,
                             .limit_why = chosen.limit_why,
                             .level = (co_log_level)chosen.log_level,
                             .alive = chosen.alive,
                             .alive_user = chosen.alive_user,
                             .standard_output = chosen.standard_output};
  co_context *ctx;
  CO_RETURN_IF_FAILED(co_context_create(&ctx, &core));
  cohort_context *context = co_alloc_zero(ctx, 1, sizeof *context);
  if (!context) {
    co_context_free(ctx);
    return CO_ERR_MEMORY;
  }
  context->ctx = ctx;
  context->options = chosen;
  if (chosen.log) co_context_set_log(ctx, core.level, pass_log, context);
  *out = context;
  return CO_OK;
}

void cohort_context_free(cohort_context *context) {
  if (!context) return;
  co_context *ctx = context->ctx;
  co_free(ctx, context);
  co_context_free(ctx);
}

// ---- results -----------------------------------------------------------------------------------

co_status co_result_create(cohort_result **out, cohort_context *context) {
  co_context *ctx = context->ctx;
  *out = co_alloc_zero(ctx, 1, sizeof **out);
  if (!*out) return CO_ERR_MEMORY;
  (*out)->ctx = ctx;
  (*out)->stop = context->options.stop;
  co_json_init(&(*out)->json, ctx, 0);
  co_text_init(&(*out)->text, ctx);
  co_diagnostics_init(&(*out)->errors, ctx);
  co_json_open(&(*out)->json, '{');
  return CO_OK;
}

static void render_error(co_json *json, const co_error *error, int exit_code) {
  co_json_open(json, '{');
  co_json_key(json, "code");
  co_json_string(json, co_status_name(error->status));
  co_json_key(json, "exit");
  co_json_int(json, error->status == CO_INTERRUPTED ? exit_code : (int)error->status);
  co_json_key(json, "message");
  co_json_string(json, error->message);
  if (error->file[0]) {
    co_json_key(json, "where");
    co_json_open(json, '{');
    co_json_key(json, "file");
    co_json_string(json, error->file);
    if (error->line) {
      co_json_key(json, "line");
      co_json_int(json, error->line);
      co_json_key(json, "column");
      co_json_int(json, error->column);
    }
    co_json_close(json);
  }
  if (error->hint[0]) {
    co_json_key(json, "hint");
    co_json_string(json, error->hint);
  }
  co_json_close(json);
}

static void render_failure(co_json *json, const co_diagnostics *errors, int exit_code) {
  co_json_key(json, "error");
  render_error(json, &errors->item[0], exit_code);
  co_json_key(json, "errors");
  co_json_open(json, '[');
  for (int64_t i = 0; i < errors->count; i++)
    render_error(json, &errors->item[i], exit_code);
  co_json_close(json);
}

// {"ok":…, …} of a call that ended so; `more` are the verb's own fields behind them, or NULL.
static char *render_document(co_context *ctx, const char *verb, const co_diagnostics *errors,
                             int exit_code, const char *more) {
  co_json json;
  co_json_init(&json, ctx, 0);
  co_json_open(&json, '{');
  co_json_key(&json, "ok");
  co_json_bool(&json, exit_code == 0);
  co_json_key(&json, "verb");
  co_json_string(&json, verb);
  co_json_key(&json, "exit");
  co_json_int(&json, exit_code);
  if (errors->count) render_failure(&json, errors, exit_code);
  co_json_close(&json);
  char *document = NULL;
  if (json.text.status == CO_OK)
    document = more ? co_format(ctx, "%.*s,%s", (int)json.text.length - 1, json.text.data, more)
                    : co_strdup(ctx, json.text.data);
  co_json_free(&json);
  return document;
}

cohort_status co_result_finish(cohort_result *result, const char *verb, co_status status) {
  // Half an answer is none.
  if (status == CO_OK) status = result->json.text.status;
  if (status == CO_OK) status = result->text.status;
  if (status != CO_OK) (void)co_diagnostics_lead(&result->errors, status);
  // What a shell reports of a program that a signal ended.
  int exit_code = (int)status;
  if (status == CO_INTERRUPTED && result->stop && *result->stop) exit_code = 128 + *result->stop;
  // The verb's own fields are left out where it failed in the midst of one.
  bool whole = result->json.depth == 1 && result->json.text.status == CO_OK;
  co_json_close(&result->json);
  whole = whole && result->json.text.status == CO_OK && result->json.text.length > 2;
  result->document = render_document(result->ctx, verb, &result->errors, exit_code,
                                     whole ? result->json.text.data + 1 : NULL);
  if (result->document || status != CO_OK) return exit_code;
  (void)co_diagnostics_lead(&result->errors, CO_ERR_MEMORY);
  return CO_ERR_MEMORY;
}

const char *cohort_result_json(const cohort_result *result) {
  return result->document ? result->document : "{\"ok\":false}";
}

const char *cohort_result_text(const cohort_result *result) {
  return result->text.data ? result->text.data : "";
}

int64_t cohort_result_error_count(const cohort_result *result) {
  return result->errors.count;
}

bool cohort_result_error(const cohort_result *result, int64_t i, cohort_error *out) {
  if (i < 0 || i >= result->errors.count) return false;
  const co_error *error = &result->errors.item[i];
  *out = (cohort_error){error->status,  co_status_name(error->status),
                        error->message, error->file,
                        error->line,    error->column,
                        error->hint};
  return true;
}

void cohort_result_free(cohort_result *result) {
  if (!result) return;
  co_json_free(&result->json);
  co_text_free(&result->text);
  co_diagnostics_free(&result->errors);
  co_free(result->ctx, result->document);
  co_free(result->ctx, result);
}

// ---- shared parts ------------------------------------------------------------------------------

void co_job_progress(cohort_context *context, const char *stage, const char *unit, int64_t done,
                     int64_t total, const char *detail) {
  if (context->options.progress)
    context->options.progress(context->options.progress_user, stage, unit, done, total, detail);
}

bool co_job_stopped(const cohort_context *context) {
  return context->options.stop && *context->options.stop;
}

co_status co_job_require(const char *value, const char *verb, const char *what) {
  return value ? CO_OK : co_fail(CO_ERR_USAGE, "%s needs %s", verb, what);
}

co_status co_job_check_batch_size(int64_t rows) {
  if (rows >= 0 && rows <= CO_MAX_BATCH_ROWS) return CO_OK;
  return co_fail(CO_ERR_USAGE, "batch size %lld is not between 1 and %d", (long long)rows,
                 (int)CO_MAX_BATCH_ROWS);
}

co_status co_job_open_backend(co_backend **out, co_context *ctx, const char *device, int threads,
                              co_precision precision) {
  const co_backend_options options = {.threads = threads,
                                      .strict_f32 = precision == CO_PRECISION_F32};
  return co_backend_open_device(out, ctx, device, &options);
}

co_status co_job_choose_precision(co_precision *precision, const char *asked) {
  return asked ? co_precision_parse(precision, asked, "--precision") : CO_OK;
}

static bool same_shape(const co_column *a, const co_column *b) {
  return co_shape_equal(&a->shape, &b->shape);
}

static co_status check_column(const co_column *want, const co_dataset *dataset, const char *role) {
  const co_column *have = co_schema_find(co_dataset_schema(dataset), want->name);
  const char *path = co_dataset_path(dataset);
  if (!have)
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "the model's %s '%s' is missing", role, want->name);
  if (have->type != want->type)
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "column '%s' is of type %s, the model's is %s",
                      want->name, co_column_type_name(have->type), co_column_type_name(want->type));
  if (!same_shape(have, want)) {
    char a[96], b[96];
    co_shape_print(&have->shape, a, sizeof a);
    co_shape_print(&want->shape, b, sizeof b);
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "column '%s' has shape %s, the model's has %s",
                      want->name, a, b);
  }
  if (have->category_count != want->category_count)
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "column '%s' has %lld classes, the model has %lld",
                      want->name, (long long)have->category_count, (long long)want->category_count);
  for (int64_t i = 0; i < want->category_count; i++)
    if (strcmp(have->categories[i], want->categories[i]) != 0)
      return co_fail_at(CO_ERR_DATA, path, 0, 0,
                        "column '%s': class %lld is '%s', in the model it is '%s'", want->name,
                        (long long)i, have->categories[i], want->categories[i]);
  return CO_OK;
}

co_status co_check_dataset(const co_model *model, const co_dataset *dataset, bool targets) {
  for (int64_t i = 0; i < model->input_count; i++)
    CO_RETURN_IF_FAILED(check_column(&model->inputs[i].column, dataset, "input"));
  for (int64_t i = 0; targets && i < model->output_count; i++)
    CO_RETURN_IF_FAILED(check_column(&model->outputs[i].column, dataset, "target"));
  return CO_OK;
}

co_status co_job_choose_batch_size(int64_t *rows, int64_t asked, const co_model_file *file,
                                   const char *key, int64_t fallback) {
  CO_RETURN_IF_FAILED(co_job_check_batch_size(asked));
  *rows = asked ? asked : fallback;
  const co_node *trainer = co_node_get(file->config, "trainer");
  const co_node *node = trainer ? co_node_get(trainer, key) : NULL;
  if (asked || !node) return CO_OK;
  if (co_node_int(node, rows) && *rows >= 1 && *rows <= CO_MAX_BATCH_ROWS) return CO_OK;
  return co_fail_at(CO_ERR_MODEL, file->path, 0, 0,
                    "its stored config cannot be used: trainer.%s must be 1 to %d", key,
                    (int)CO_MAX_BATCH_ROWS);
}

co_status co_job_open_model(co_model **out, co_model_file *file, char **path, co_arena *arena,
                            const char *model, co_diagnostics *problems) {
  co_context *ctx = co_arena_context(arena);
  CO_RETURN_IF_FAILED(co_model_file_find(path, ctx, model));
  CO_RETURN_IF_FAILED(co_model_file_read(file, arena, *path));
  co_status status = co_model_create(out, ctx, file->config, &file->schema, problems);
  if (status == CO_ERR_CONFIG)
    return co_fail_at(CO_ERR_MODEL, *path, 0, 0, "its stored config cannot be used: %s",
                      co_error_last()->message);
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(co_model_file_read_statistics(ctx, *path, *out));
  return co_model_file_check_weights(ctx, *path, (*out)->network);
}

co_status co_scorer_open(co_scorer *s, co_context *ctx, const char *model, const char *dataset,
                         const char *device, int threads, int64_t batch_size, co_mode mode,
                         const char *precision) {
  co_precision chosen = CO_PRECISION_TF32;
  memset(s, 0, sizeof *s);
  co_diagnostics_init(&s->problems, ctx);
  CO_RETURN_IF_FAILED(co_job_choose_precision(&chosen, precision));
  CO_RETURN_IF_FAILED(co_arena_create(&s->arena, ctx));
  CO_RETURN_IF_FAILED(
      co_job_open_model(&s->model, &s->file, &s->path, s->arena, model, &s->problems));
  CO_RETURN_IF_FAILED(
      co_job_choose_batch_size(&s->rows, batch_size, &s->file, "eval_batch_size", 256));
  CO_RETURN_IF_FAILED(co_dataset_open(&s->dataset, ctx, dataset));
  CO_RETURN_IF_FAILED(co_check_dataset(s->model, s->dataset, mode == CO_MODE_EVALUATE));
  CO_RETURN_IF_FAILED(co_job_open_backend(&s->backend, ctx, device, threads, chosen));
  co_program_options options = {.evaluation_rows = s->rows,
                                .evaluation_mode = mode,
                                .real = CO_F32,
                                .bf16 = chosen == CO_PRECISION_BF16};
  // Every row is needed once: it comes with its batch.
  CO_RETURN_IF_FAILED(co_resident_create(&s->source, &s->program, s->model, s->dataset, s->backend,
                                         &options, CO_PLACEMENT_HOST));
  CO_RETURN_IF_FAILED(co_resident_load(s->source, s->program, s->dataset));
  return co_model_file_read_weights(ctx, s->path, co_program_store(s->program), false);
}

void co_scorer_close(co_scorer *s) {
  co_program_free(s->program);
  co_resident_free(s->source);
  if (s->backend) s->backend->api->free(s->backend);
  co_model_free(s->model);
  co_dataset_close(s->dataset);
  if (s->arena) co_free(co_arena_context(s->arena), s->path);
  co_arena_free(s->arena);
  co_diagnostics_free(&s->problems);
  memset(s, 0, sizeof *s);
}

// ---- evaluation --------------------------------------------------------------------------------

co_status co_evaluation_create(co_evaluation *evaluation, const co_model *model) {
  memset(evaluation, 0, sizeof *evaluation);
  evaluation->sums =
      co_alloc_zero(model->ctx, (size_t)model->network->metric_doubles + 1, sizeof(double));
  evaluation->weight_sum =
      co_alloc_zero(model->ctx, (size_t)model->output_count + 1, sizeof(double));
  return evaluation->sums && evaluation->weight_sum ? CO_OK : CO_ERR_MEMORY;
}

void co_evaluation_free(co_evaluation *evaluation, const co_model *model) {
  if (!model) return;
  co_free(model->ctx, evaluation->sums);
  co_free(model->ctx, evaluation->weight_sum);
  memset(evaluation, 0, sizeof *evaluation);
}

// A launch of evaluation and the batches that it borrows.
typedef struct evaluation_launch {
  co_view views[CO_SUBMISSION_STEPS];
  int64_t count;
} evaluation_launch;

typedef struct evaluating {
  co_evaluation *out;
  const co_model *model;
  co_program *program;
  co_pipeline *pipeline;
  evaluation_launch queue[CO_SUBMISSION_DEPTH];
  int first, count;
  bool done; // all is submitted
} evaluating;

static co_status submit_batches(evaluating *e) {
  evaluation_launch *launch = &e->queue[(e->first + e->count) % CO_SUBMISSION_DEPTH];
  co_program_batch batches[CO_SUBMISSION_STEPS];
  int64_t limit = co_program_submission_limit(e->program, true);
  launch->count = 0;
  e->count++; // from here on its views are given back with it
  while (launch->count < limit && !e->done) {
    co_view *view = &launch->views[launch->count];
    CO_RETURN_IF_FAILED(co_pipeline_next(e->pipeline, view, &e->done));
    if (e->done) break;
    batches[launch->count++] = (co_program_batch){view->inputs, view->packet};
  }
  return launch->count ? co_program_submit_evaluation(e->program, launch->count, batches) : CO_OK;
}

static void give_back(evaluating *e) {
  const evaluation_launch *launch = &e->queue[e->first];
  for (int64_t i = 0; i < launch->count; i++)
    co_pipeline_release(e->pipeline, &launch->views[i]);
  e->first = (e->first + 1) % CO_SUBMISSION_DEPTH;
  e->count--;
}

static co_status collect_batches(evaluating *e) {
  const evaluation_launch *launch = &e->queue[e->first];
  co_submission_result result;
  if (launch->count) // failed, its batches may still be read
    CO_RETURN_IF_FAILED(co_program_collect(e->program, &result));
  for (int64_t k = 0; k < launch->count; k++) {
    for (int64_t i = 0; i < e->model->output_count; i++)
      e->out->weight_sum[i] += launch->views[k].weight_sum[i];
    e->out->rows += launch->views[k].valid;
  }
  give_back(e);
  return CO_OK;
}

static co_status run_evaluation(evaluating *e, cohort_context *context, bool stoppable,
                                int64_t rows, const char *stage) {
  while (!e->done || e->count) {
    bool room = !e->done && e->count < co_program_depth(e->program);
    CO_RETURN_IF_FAILED(room ? submit_batches(e) : collect_batches(e));
    co_job_progress(context, stage, "rows", e->out->rows, rows, NULL);
    if (stoppable && co_job_stopped(context))
      return co_fail(CO_INTERRUPTED, "stopped during %s", stage);
  }
  return CO_OK;
}

co_status co_evaluate_samples(co_evaluation *out, cohort_context *context, bool stoppable,
                              co_resident *source, co_program *program, co_dataset *dataset,
                              const int64_t *samples, int64_t count, int64_t batch_rows,
                              int workers, const char *stage) {
  co_pipeline_options options = {.samples = samples,
                                 .sample_count = count,
                                 .batch_rows = batch_rows,
                                 .targets = true,
                                 .epochs = 1,
                                 .workers = workers > 0 ? workers : 1,
                                 .source = source,
                                 .packet = co_program_staging(program, true)};
  options.ahead = co_program_depth(program) * (int)co_program_submission_limit(program, true);
  evaluating e = {.out = out, .model = source->model, .program = program, .done = !count};
  co_status status;
  memset(out->weight_sum, 0, (size_t)source->model->output_count * sizeof(double));
  out->rows = 0;
  CO_TRY(co_program_clear_metrics(program, true));
  if (count) CO_TRY(co_pipeline_create(&e.pipeline, source->model, dataset, &options));
  CO_TRY(run_evaluation(&e, context, stoppable, count, stage));
  CO_TRY(co_program_read_metrics(program, true, out->sums));
cleanup:
  co_program_drain(program); // before the batches go
  while (e.count)
    give_back(&e);
  co_job_progress(context, stage, "rows", -1, count, NULL);
  co_pipeline_free(e.pipeline);
  return status;
}

static double mean_loss(const co_evaluation *evaluation, const co_model *model, int64_t i) {
  const co_graph *graph = model->network;
  int32_t at = graph->values[graph->losses[i].sum].index;
  double weight = evaluation->weight_sum[i];
  return weight > 0 ? evaluation->sums[at] / weight : NAN;
}

double co_evaluation_loss(const co_evaluation *evaluation, const co_model *model) {
  double total = 0;
  bool any = false;
  for (int64_t i = 0; i < model->output_count; i++) {
    if (!(evaluation->weight_sum[i] > 0)) continue; // nothing known of this output
    total += model->outputs[i].weight * mean_loss(evaluation, model, i);
    any = true;
  }
  return any ? total : NAN;
}

static double metric_value(const co_evaluation *evaluation, const co_model *model, int64_t i) {
  const co_graph *graph = model->network;
  const double *sums = &evaluation->sums[graph->values[graph->metrics[i].sums].index];
  return sums[1] > 0 ? sums[0] / sums[1] : NAN;
}

void co_evaluation_render(co_json *json, const co_evaluation *evaluation, const co_model *model) {
  const co_graph *graph = model->network;
  co_json_open(json, '{');
  for (int64_t i = 0; i < model->output_count; i++) {
    co_json_key(json, model->outputs[i].name);
    co_json_open(json, '{');
    co_json_key(json, model->outputs[i].loss->metric);
    co_json_double(json, mean_loss(evaluation, model, i));
    for (int64_t k = 0; k < graph->metric_count; k++) {
      if (strcmp(graph->metrics[k].output, model->outputs[i].name) != 0) continue;
      co_json_key(json, graph->metrics[k].name);
      co_json_double(json, metric_value(evaluation, model, k));
    }
    co_json_close(json);
  }
  co_json_close(json);
}

bool co_evaluation_find(const co_evaluation *evaluation, const co_model *model, const char *metric,
                        double *value, bool *higher) {
  if (!metric || strcmp(metric, "loss") == 0) {
    *value = co_evaluation_loss(evaluation, model);
    *higher = false;
    return true;
  }
  const co_graph *graph = model->network;
  const char *dot = strrchr(metric, '.');
  const char *id = dot ? dot + 1 : metric;
  for (int64_t i = 0; i < model->output_count; i++) {
    const char *output = model->outputs[i].name;
    if (dot && (strlen(output) != (size_t)(dot - metric) ||
                strncmp(output, metric, (size_t)(dot - metric)) != 0))
      continue;
    if (strcmp(model->outputs[i].loss->metric, id) == 0 ||
        (strcmp(id, "logloss") == 0 && strcmp(model->outputs[i].loss->metric, "log_loss") == 0)) {
      *value = mean_loss(evaluation, model, i);
      *higher = false;
      return true;
    }
    for (int64_t k = 0; k < graph->metric_count; k++) {
      if (strcmp(graph->metrics[k].output, output) != 0 || strcmp(graph->metrics[k].name, id) != 0)
        continue;
      *value = metric_value(evaluation, model, k);
      *higher = co_metric_find(id)->higher_is_better;
      return true;
    }
  }
  return false;
}

char *co_evaluation_known(const co_model *model) {
  const co_graph *graph = model->network;
  co_text text;
  co_text_init(&text, model->ctx);
  co_text_printf(&text, "known: loss");
  for (int64_t i = 0; i < model->output_count; i++) {
    const char *output = model->outputs[i].name;
    co_text_printf(&text, ", %s.%s", output, model->outputs[i].loss->metric);
    for (int64_t k = 0; k < graph->metric_count; k++)
      if (strcmp(graph->metrics[k].output, output) == 0)
        co_text_printf(&text, ", %s.%s", output, graph->metrics[k].name);
  }
  co_text_printf(&text, "; the output may be left out");
  char *known = text.status == CO_OK ? co_strdup(model->ctx, text.data) : NULL;
  co_text_free(&text);
  return known;
}
