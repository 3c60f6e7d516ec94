// SPDX-License-Identifier: Apache-2.0
#include "host/eval/network.h"

#include <string.h>

#include "host/eval/decoding.h"
#include "host/eval/evaluation.h"
#include "host/eval/golden.h"
#include "host/eval/opening.h"
#include "host/eval/unseen.h"
#include "host/feed/shape_classes.h"
#include "host/feed/submission_queue.h"

typedef struct network {
  co_predictor base;
  co_resident *resident;
  co_program *program;
  int64_t rows; // of a batch
  bool targets;
  const float **scores;    // room, per output and extra
  co_decoding **decodings; // per output that is a text, once there is one to write; else NULL
  co_estimator *estimator; // gives the heads' values, NULL of a network
  // Of one opened from a file, its own.
  co_arena *arena;
  char *path;
  co_model *model;
  co_backend *backend;
  co_choices *choices; // of ways to compute operations, NULL = none are made
} network;

// ---- running -----------------------------------------------------------------------------------

typedef struct running {
  network *n;
  const co_scoring_options *options;
  co_submission_queue queue;
  co_unseen unseen; // where seen items are excluded
  bool done;        // all is submitted
  int64_t rows, of;
  int64_t submitted; // rows
} running;

static co_status submit(running *r) {
  co_queued_submission *item;
  const int64_t batches = (r->of - r->submitted + r->n->rows - 1) / r->n->rows;
  CO_RETURN_IF_FAILED(co_submission_queue_take(
      &r->queue, co_program_submission_size(r->n->program, true, batches > 0 ? batches : 1),
      &item));
  r->done = !item;
  for (int64_t i = 0; item && i < item->count; i++)
    r->submitted += item->views[i].valid;
  return item ? co_program_submit_evaluation(r->n->program, &item->views[0].shape, item->count,
                                             item->batches)
              : CO_OK;
}

// What the output's decoder writes of what the network gives.
static co_status write_texts(network *n, int64_t output, const co_view *view,
                             const void *const *outputs) {
  const co_output_feature *feature = &n->base.model->outputs[output];
  const co_decoding_read read = co_decoding_read_of(feature, outputs, &view->shape, view->valid);
  co_decoding **decoding = &n->decodings[output];
  if (!*decoding)
    CO_RETURN_IF_FAILED(co_decoding_create(decoding, n->base.model, feature,
                                           co_program_store(n->program), n->rows));
  return co_decoding_run(*decoding, &read, &n->scores[output]);
}

static co_status give_scores(running *r, const co_view *view, const void *const *outputs) {
  const co_model *model = r->n->base.model;
  for (int64_t i = 0; i < model->output_count; i++)
    r->n->scores[i] = outputs[model->outputs[i].prediction];
  for (int64_t i = 0; i < model->extra_count; i++)
    r->n->scores[model->output_count + i] = outputs[model->extras[i].prediction];
  for (int64_t i = 0; i < model->output_count; i++)
    if (model->outputs[i].text) CO_RETURN_IF_FAILED(write_texts(r->n, i, view, outputs));
  if (r->options->exclude_seen) // such a model has one output
    CO_RETURN_IF_FAILED(co_unseen_mask(&r->unseen, view->batch->samples, view->valid,
                                       r->n->scores[0], &r->n->scores[0]));
  return r->options->sink(r->options->user, view->batch->samples, view->valid, r->n->scores);
}

static co_status collect(running *r) {
  const co_queued_submission *item;
  co_submission_result result;
  CO_RETURN_IF_FAILED(co_submission_queue_collect(&r->queue, &result, &item));
  for (int64_t k = 0; k < item->count; k++) {
    const co_view *view = &item->views[k];
    for (int64_t i = 0; r->options->weight_sum && i < r->n->base.model->network->loss_count; i++)
      r->options->weight_sum[i] += view->weight_sum[i];
    if (r->options->sink) CO_RETURN_IF_FAILED(give_scores(r, view, result.outputs));
    r->rows += view->valid;
  }
  co_submission_queue_release(&r->queue);
  return CO_OK;
}

static co_status run_all(running *r) {
  const co_scoring_options *options = r->options;
  while (!r->done || r->queue.count) {
    bool room = !r->done && co_submission_queue_has_room(&r->queue);
    CO_RETURN_IF_FAILED(room ? submit(r) : collect(r));
    co_watch_progress(options->watch, options->stage, "rows", r->rows, r->of, NULL);
    if (options->stoppable && co_watch_stopped(options->watch))
      return co_fail(CO_INTERRUPTED, "stopped during %s", options->stage);
  }
  return CO_OK;
}

static co_status run(co_predictor *predictor, co_dataset *rows, const int64_t *samples,
                     int64_t count, const co_scoring_options *options) {
  network *n = (network *)predictor;
  co_estimator_run heads = {.estimator = NULL};
  co_pipeline_options pipeline = {.samples = samples,
                                  .sample_count = count,
                                  .batch_rows = n->rows,
                                  .targets = n->targets,
                                  .epochs = 1,
                                  .workers = options->workers > 0 ? options->workers : 1,
                                  .fill_heads = n->estimator ? co_estimator_fill_heads : NULL,
                                  .fill_user = &heads,
                                  .resident = n->resident,
                                  .staging = co_program_staging(n->program, true)};
  pipeline.ahead =
      co_program_depth(n->program) * (int)co_program_submission_limit(n->program, true);
  running r = {.n = n, .options = options, .done = !count, .of = count};
  r.queue.program = n->program;
  co_status status;
  if (options->weight_sum)
    memset(options->weight_sum, 0,
           (size_t)predictor->model->network->loss_count * sizeof *options->weight_sum);
  if (options->exclude_seen) CO_TRY(co_unseen_open(&r.unseen, predictor->model, rows));
  if (n->estimator) CO_TRY(co_estimator_start(&heads, n->estimator, rows));
  CO_TRY(co_program_clear_metrics(n->program, true));
  if (count) CO_TRY(co_pipeline_create(&r.queue.pipeline, n->resident->model, rows, &pipeline));
  CO_TRY(run_all(&r));
  if (options->sums) CO_TRY(co_program_read_metrics(n->program, true, options->sums));
cleanup:
  co_submission_queue_drain(&r.queue); // before the batches go
  co_watch_progress(options->watch, options->stage, "rows", -1, count, NULL);
  co_pipeline_free(r.queue.pipeline);
  co_unseen_close(&r.unseen);
  return status;
}

static void close_network(co_predictor *predictor) {
  network *n = (network *)predictor;
  co_context *ctx = predictor->ctx;
  for (int64_t i = 0; n->decodings && i < predictor->model->output_count; i++)
    co_decoding_free(n->decodings[i]); // before what it borrows
  if (n->backend) {                    // the program is its own
    co_program_free(n->program);
    co_resident_free(n->resident);
    n->backend->api->free(n->backend);
  }
  co_choices_free(n->choices);
  if (n->arena) {
    co_estimator_free(n->estimator);
    co_model_free(n->model);
  }
  co_free(ctx, n->path);
  co_free(ctx, n->scores);
  co_free(ctx, n->decodings);
  co_arena_free(n->arena);
  co_free(ctx, n);
}

static const co_predictor_class network_class = {
    .name = "network", .run = run, .close = close_network};

bool co_network_get_parts(co_network_parts *out, co_predictor *predictor) {
  const network *n = (const network *)predictor;
  if (predictor->class_ != &network_class) return false;
  *out = (co_network_parts){n->resident->model, n->program, n->estimator};
  return true;
}

// ---- opening -----------------------------------------------------------------------------------

static co_status create(network **out, co_context *ctx) {
  *out = co_alloc_zero(ctx, 1, sizeof **out);
  if (!*out) return CO_ERR_MEMORY;
  (*out)->base = (co_predictor){.class_ = &network_class, .ctx = ctx};
  return CO_OK;
}

static co_status make_room(network *n) {
  n->scores = co_alloc_zero(n->base.ctx, (size_t)co_model_score_count(n->base.model) + 1,
                            sizeof *n->scores);
  n->decodings =
      co_alloc_zero(n->base.ctx, (size_t)n->base.model->output_count + 1, sizeof *n->decodings);
  return n->scores && n->decodings ? CO_OK : CO_ERR_MEMORY;
}

co_status co_network_attach(co_predictor **out, co_resident *resident, co_program *program,
                            co_estimator *estimator, int64_t rows) {
  network *n;
  *out = NULL;
  CO_RETURN_IF_FAILED(create(&n, resident->ctx));
  n->base.model = resident->model;
  n->resident = resident;
  n->program = program;
  n->estimator = estimator;
  n->rows = rows;
  n->targets = true;
  *out = &n->base;
  return make_room(n);
}

static co_status create_program(network *n, const co_predictor_options *options,
                                co_precision precision) {
  co_context *ctx = n->base.ctx;
  co_shape_class classes[CO_MAX_LENGTHS];
  int64_t class_count = 0;
  CO_RETURN_IF_FAILED(
      co_open_backend(&n->backend, ctx, options->device, options->threads, precision, n->choices));
  co_shape_classes_add(n->model, n->rows, classes, &class_count);
  const co_program_options program = {.evaluation_classes = classes,
                                      .evaluation_class_count = class_count,
                                      .evaluation_mode =
                                          options->evaluate ? CO_MODE_EVALUATE : CO_MODE_INFER,
                                      .evaluation_outputs = !options->evaluate || options->scores ||
                                                            co_evaluation_needs_scores(n->model),
                                      .real = CO_F32,
                                      .bf16 = precision == CO_PRECISION_BF16};
  // Every row is needed once: it comes with its batch.
  CO_RETURN_IF_FAILED(co_resident_create(&n->resident, &n->program, n->model, NULL, n->backend,
                                         &program, CO_PLACEMENT_HOST));
  return CO_OK;
}

// The folder of the run that a model file is of: its own, or that above its checkpoints.
static char *run_of(const char *path, co_context *ctx) {
  char *slash, *folder = co_strdup(ctx, path);
  if (!folder) return NULL;
  if (!(slash = strrchr(folder, '/'))) {
    co_free(ctx, folder);
    return co_strdup(ctx, ".");
  }
  *slash = '\0';
  slash = strrchr(folder, '/');
  if (slash && strcmp(slash, "/checkpoints") == 0) *slash = '\0';
  return folder;
}

static co_status choose_ways(network *n, const co_predictor_options *options) {
  char *run = run_of(n->path, n->base.ctx);
  const co_choices_request request = {
      .when = options->autotune, .cache = options->autotune_cache, .run = run};
  if (!run) return CO_ERR_MEMORY;
  co_status status = co_choices_open(&n->choices, n->base.ctx, &request);
  co_free(n->base.ctx, run);
  return status;
}

static co_status open_program(network *n, const co_predictor_options *options,
                              co_precision precision) {
  CO_RETURN_IF_FAILED(choose_ways(n, options));
  CO_RETURN_IF_FAILED(create_program(n, options, precision));
  co_choices_save(n->choices, options->autotune_cache);
  CO_RETURN_IF_FAILED(co_resident_load(n->resident, n->program, NULL));
  return co_model_file_read_weights(n->base.ctx, n->path, co_program_store(n->program), false);
}

co_status co_network_open_beside(co_predictor **out, co_estimator *estimator, int64_t rows,
                                 bool evaluate) {
  network *n;
  const co_predictor_options options = {.device = "cpu", .evaluate = evaluate};
  *out = NULL;
  CO_RETURN_IF_FAILED(create(&n, estimator->ctx));
  *out = &n->base;
  n->base.model = n->model = estimator->model;
  n->estimator = estimator;
  n->rows = co_bound_rows(n->model, rows);
  n->targets = evaluate;
  CO_RETURN_IF_FAILED(make_room(n));
  return create_program(n, &options, CO_PRECISION_TF32);
}

// What it learned, of a model that is no network.
static co_status open_estimator(network *n, const co_model_file *file, co_diagnostics *problems) {
  co_predictor_settings settings;
  CO_RETURN_IF_FAILED(co_predictor_settings_parse(&settings, file->config, n->arena, problems));
  if (problems->count || !settings.class_)
    return co_fail_at(CO_ERR_MODEL, n->path, 0, 0, "its stored config cannot be used: predictor");
  CO_RETURN_IF_FAILED(
      co_estimator_create(&n->estimator, settings.class_, settings.options, n->model));
  return co_estimator_read(n->estimator, n->path, CO_MODEL_PREDICTOR_GROUP);
}

static co_status open_file(network *n, const co_predictor_options *options,
                           co_diagnostics *problems) {
  co_precision precision = CO_PRECISION_TF32;
  co_model_file file;
  CO_RETURN_IF_FAILED(co_choose_precision(&precision, options->precision));
  CO_RETURN_IF_FAILED(co_arena_create(&n->arena, n->base.ctx));
  CO_RETURN_IF_FAILED(co_model_open_with(&n->model, &file, &n->path, n->arena, options->model,
                                         options->new_classes, problems));
  CO_RETURN_IF_FAILED(
      co_choose_batch_size(&n->rows, options->batch_size, &file, "eval_batch_size", 256));
  if (!options->batch_size) n->rows = co_bound_rows(n->model, n->rows);
  n->base.model = n->model;
  n->base.path = n->path;
  n->targets = options->evaluate;
  CO_RETURN_IF_FAILED(make_room(n));
  co_predictor_options own = *options;
  if (n->model->scored) {
    CO_RETURN_IF_FAILED(co_estimator_choose_device(&own.device, n->model->predictor));
    CO_RETURN_IF_FAILED(open_estimator(n, &file, problems));
  }
  CO_RETURN_IF_FAILED(open_program(n, &own, precision));
  n->base.rounding = co_golden_rounding(n->backend, precision);
  return CO_OK;
}

co_status co_network_open(co_predictor **out, co_context *ctx,
                          const co_predictor_options *options) {
  network *n;
  *out = NULL;
  CO_RETURN_IF_FAILED(create(&n, ctx));
  co_diagnostics problems;
  co_diagnostics_init(&problems, ctx);
  co_status status = open_file(n, options, &problems);
  co_diagnostics_free(&problems);
  if (status == CO_OK) {
    *out = &n->base;
    return CO_OK;
  }
  co_error error;
  co_error_copy(&error);
  close_network(&n->base);
  return co_error_raise(&error);
}
