// SPDX-License-Identifier: Apache-2.0
// cohort_bench: how fast a config trains and scores the rows of a dataset. Nothing is kept.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset.h"
#include "host/api/rehearse.h"
#include "host/api/run_record.h"
#include "host/core/load.h"
#include "host/core/memory.h"
#include "host/eval/network.h"
#include "host/eval/predictor.h"
#include "host/output/report.h"
#include "host/train/session.h"
#include "host/train/settings.h"

enum { MOST_ROUNDS = 100, WARM_UP = 20, MOST_SIZES = 8, SIZE_FACTOR = 8 };
static const double busy = 0.05; // share of the machine that others may use

// What a training does now and then is left out, and it ends of itself only after very long.
static const char *const assignments[] = {"trainer.max_epochs=1000000000",
                                          "trainer.max_steps=0",
                                          "trainer.early_stop=0",
                                          "trainer.on_nan=skip",
                                          "trainer.refit=false",
                                          "trainer.tensorboard_details=0",
                                          "baselines=none",
                                          "trainer.steps_per_checkpoint=1000000000000"};

typedef struct times {
  int64_t batch, pieces;    // rows of a batch; steps or rows of a round
  double opened;            // seconds until it was ready
  double each[MOST_ROUNDS]; // seconds of a piece by round, ascending in the end
  double flops;             // of a piece; 0 = unknown
} times;

typedef struct bench {
  cohort_context *context;
  const cohort_bench_options *options;
  cohort_result *result;
  co_rehearsal rehearsal;
  co_watch watch; // the context's, but for epochs
  co_session *session;
  co_predictor *predictor;
  co_dataset *dataset;
  int64_t rounds;
  double seconds; // of a round
  bool network;
  const char *device, *machine; // as run.json has them
  int64_t threads;
  int64_t parameters, planned_bytes, evaluation_rows;
  double flops_per_second, bytes_per_second;
  double opened, first, waited; // until the first step, of it; share of the training's rounds
  times training, scoring[MOST_SIZES];
  int64_t size_count;
  double others; // share of the machine
} bench;

static double now(void) {
  co_load look;
  co_load_look(&look);
  return look.time;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void sort(bench *b, times *t) {
  qsort(t->each, (size_t)b->rounds, sizeof *t->each, ascending);
}

static double median(const bench *b, const times *t) {
  const int64_t middle = b->rounds / 2;
  return b->rounds % 2 ? t->each[middle] : (t->each[middle - 1] + t->each[middle]) / 2;
}

// How many pieces of work take a round.
static int64_t pieces_for(const bench *b, double of_one) {
  const double pieces = of_one > 0 ? b->seconds / of_one : 1;
  return pieces < 1 ? 1 : pieces > 1e9 ? (int64_t)1e9 : (int64_t)pieces;
}

// ---- training ----------------------------------------------------------------------------------

typedef struct stretch {
  double all, steps, waited; // seconds: of it all, without validation and checkpoints, for data
} stretch;

static co_status train(bench *b, int64_t steps, stretch *out) {
  double waited, apart, waited_then, apart_then;
  const double begun = now();
  co_session_get_seconds(b->session, &waited_then, &apart_then);
  CO_RETURN_IF_FAILED(co_session_advance_by(b->session, steps));
  co_session_get_seconds(b->session, &waited, &apart);
  out->all = now() - begun;
  out->steps = out->all - (apart - apart_then);
  out->waited = waited - waited_then;
  return CO_OK;
}

static co_status measure_training(bench *b) {
  times *t = &b->training;
  stretch s;
  double waited = 0, seconds = 0;
  CO_RETURN_IF_FAILED(train(b, 1, &s));
  b->first = s.steps;
  if (!b->network) return CO_OK; // that was all
  CO_RETURN_IF_FAILED(train(b, WARM_UP, &s));
  CO_RETURN_IF_FAILED(train(b, WARM_UP, &s));
  t->batch = co_session_batch_rows(b->session);
  t->pieces = pieces_for(b, s.all / WARM_UP);
  t->flops = co_session_step_flops(b->session);
  for (int64_t i = 0; i < b->rounds; i++) {
    CO_RETURN_IF_FAILED(train(b, t->pieces, &s));
    t->each[i] = s.steps / (double)t->pieces;
    waited += s.waited;
    seconds += s.steps;
  }
  b->waited = seconds > 0 ? waited / seconds : 0;
  sort(b, t);
  return CO_OK;
}

// Up to a model in the rehearsal's folder. Its epochs are nobody's.
static co_status measure_session(bench *b) {
  cohort_context *context = b->context;
  const double begun = now();
  b->watch = context->watch;
  b->watch.epoch = NULL;
  CO_RETURN_IF_FAILED(co_session_open(&b->session, context->ctx, &b->watch, &b->rehearsal.options,
                                      &b->result->errors));
  b->opened = now() - begun;
  b->parameters = co_session_parameters(b->session);
  b->evaluation_rows = co_session_evaluation_rows(b->session);
  b->planned_bytes = (int64_t)co_session_planned_bytes(b->session);
  if (b->network)
    CO_RETURN_IF_FAILED(
        co_session_measure_machine(b->session, &b->flops_per_second, &b->bytes_per_second));
  CO_RETURN_IF_FAILED(measure_training(b));
  CO_RETURN_IF_FAILED(co_session_end(b->session));
  return co_session_finish(b->session);
}

// ---- scoring -----------------------------------------------------------------------------------

static co_status ignore(void *user, const int64_t *samples, int64_t rows,
                        const float *const *scores) {
  (void)user, (void)samples, (void)rows, (void)scores;
  return CO_OK;
}

static co_status score(bench *b, const int64_t *rows, int64_t count, int64_t passes,
                       double *seconds) {
  const co_scoring_options options = {.watch = &b->context->watch,
                                      .stoppable = true,
                                      .workers = b->options->workers,
                                      .stage = "score",
                                      .sink = ignore};
  const double begun = now();
  for (int64_t i = 0; i < passes; i++)
    CO_RETURN_IF_FAILED(b->predictor->class_->run(b->predictor, b->dataset, rows, count, &options));
  *seconds = now() - begun;
  return CO_OK;
}

// Operations for a row; 0 of what is no network.
static double row_flops(const bench *b) {
  co_network_parts parts;
  double most = 0;
  if (!b->network || !co_network_get_parts(&parts, b->predictor)) return 0;
  for (int64_t i = 0; co_program_plan(parts.program, i); i++) {
    const co_plan *plan = co_program_plan(parts.program, i);
    if (plan->options.mode == CO_MODE_INFER)
      most = fmax(most, (double)plan->flops / (double)plan->options.shape.rows);
  }
  return most;
}

// Of training rows: a batch tells about how many a round has, so many tell it well.
static co_status measure_scoring(bench *b, times *t) {
  const int64_t *rows;
  int64_t count, part, passes = 1;
  double seconds;
  CO_RETURN_IF_FAILED(co_dataset_split(b->dataset, CO_SPLIT_TRAIN, &rows, &count));
  part = t->pieces = t->batch < count ? t->batch : count;
  for (int64_t i = -2; i < b->rounds; i++) {
    CO_RETURN_IF_FAILED(score(b, rows, part, passes, &seconds));
    if (i >= 0) {
      t->each[i] = seconds / (double)t->pieces;
      continue;
    }
    const int64_t about = pieces_for(b, seconds / (double)t->pieces);
    const int64_t wanted = (about + t->batch - 1) / t->batch * t->batch; // whole ones
    part = wanted < count ? wanted : count;
    passes = wanted > count ? wanted / count : 1;
    t->pieces = passes * part;
  }
  t->flops = row_flops(b);
  sort(b, t);
  return CO_OK;
}

static co_status measure_size(bench *b, int64_t size) {
  const cohort_bench_options *o = b->options;
  const co_predictor_options options = {.model = b->rehearsal.run,
                                        .device = o->device,
                                        .precision = o->precision,
                                        .threads = o->threads,
                                        .batch_size = size,
                                        .scores = true};
  times *t = &b->scoring[b->size_count++];
  const double begun = now();
  t->batch = size;
  CO_RETURN_IF_FAILED(co_predictor_open(&b->predictor, b->context->ctx, &options));
  t->opened = now() - begun;
  co_status status = measure_scoring(b, t);
  co_predictor_close(b->predictor);
  b->predictor = NULL;
  return status;
}

// One row a batch, then eight times as many, up to what evaluation has, which is in any case.
static co_status measure_sizes(bench *b) {
  co_node *run;
  const int64_t last = b->evaluation_rows;
  CO_RETURN_IF_FAILED(
      co_record_read(&run, b->rehearsal.arena, b->rehearsal.run, "run.json", "bench"));
  b->device = co_report_text(run, "device");
  b->machine = co_report_text(run, "machine");
  b->threads = (int64_t)co_report_number(run, "threads");
  CO_RETURN_IF_FAILED(
      co_dataset_open(&b->dataset, b->context->ctx, co_report_text(run, "dataset")));
  for (int64_t size = 1; size < last && b->size_count < MOST_SIZES - 1; size *= SIZE_FACTOR)
    CO_RETURN_IF_FAILED(measure_size(b, size));
  return measure_size(b, last);
}

// ---- what there is to tell ---------------------------------------------------------------------

static void render_number(co_json *json, const char *key, double value) {
  co_json_key(json, key);
  co_json_double(json, value);
}

// Members of an object: medians and ranges.
static void render_times(const bench *b, co_json *json, const times *t, bool steps) {
  const double each = median(b, t), rows = steps ? (double)t->batch : 1;
  co_json_key(json, "batch_size");
  co_json_int(json, t->batch);
  if (steps) render_number(json, "steps_per_second", 1 / each);
  render_number(json, "rows_per_second", rows / each);
  co_json_key(json, "range");
  co_json_open(json, '[');
  co_json_double(json, rows / t->each[b->rounds - 1]);
  co_json_double(json, rows / t->each[0]);
  co_json_close(json);
  render_number(json, "gflop_per_s", t->flops > 0 ? t->flops / each * 1e-9 : (double)NAN);
  render_number(json, "share_of_ceiling",
                t->flops > 0 ? t->flops / each / b->flops_per_second : (double)NAN);
  co_json_key(json, steps ? "steps" : "rows");
  co_json_int(json, t->pieces);
}

static void render(const bench *b, co_json *json) {
  co_json_key(json, "device");
  co_json_string(json, b->device);
  co_json_key(json, "threads");
  co_json_int(json, b->threads);
  co_json_key(json, "machine");
  co_json_string(json, b->machine);
  co_json_key(json, "rounds");
  co_json_int(json, b->rounds);
  co_json_key(json, "parameters");
  co_json_int(json, b->parameters);
  render_number(json, "open_seconds", b->opened);
  render_number(json, b->network ? "first_step_seconds" : "fit_seconds", b->first);
  co_json_key(json, "training");
  if (b->network) {
    co_json_open(json, '{');
    render_times(b, json, &b->training, true);
    render_number(json, "data_wait_share", b->waited);
    co_json_close(json);
  } else {
    co_json_null(json);
  }
  co_json_key(json, "scoring");
  co_json_open(json, '[');
  for (int64_t i = 0; i < b->size_count; i++) {
    co_json_open(json, '{');
    render_times(b, json, &b->scoring[i], false);
    render_number(json, "open_seconds", b->scoring[i].opened);
    co_json_close(json);
  }
  co_json_close(json);
  render_number(json, "ceiling_gflop_per_s", b->flops_per_second * 1e-9);
  render_number(json, "ceiling_gb_per_s", b->bytes_per_second * 1e-9);
  co_json_key(json, "planned_bytes");
  co_json_int(json, b->planned_bytes);
  co_json_key(json, "peak_bytes");
  co_json_int(json, (int64_t)co_memory_peak());
  render_number(json, "others_share", b->others);
}

static void print_times(const bench *b, co_text *text, const char *what, const times *t,
                        bool steps) {
  const double each = median(b, t), rows = steps ? (double)t->batch : 1;
  co_text_printf(text, "%-9s %10lld %12.4g %12.4g %12.4g ", what, (long long)t->batch, rows / each,
                 rows / t->each[b->rounds - 1], rows / t->each[0]);
  if (steps)
    co_text_printf(text, "%10.4g", 1 / each);
  else
    co_text_printf(text, "%10s", "");
  if (t->flops > 0) co_text_printf(text, " %10.2f", t->flops / each * 1e-9);
  if (t->flops > 0 && b->flops_per_second > 0)
    co_text_printf(text, " %9.1f %%", 100 * t->flops / each / b->flops_per_second);
  co_text_printf(text, "\n");
}

static void print(const bench *b, co_text *text) {
  char planned[32], peak[32];
  co_text_printf(text, "%-9s %10s %12s %12s %12s %10s %10s %s\n", "", "batch size", "rows/s",
                 "slowest", "fastest", "steps/s", "GFLOP/s", "of the ceiling");
  if (b->network) print_times(b, text, "training", &b->training, true);
  for (int64_t i = 0; i < b->size_count; i++)
    print_times(b, text, "scoring", &b->scoring[i], false);
  co_text_printf(text, "medians of %lld rounds of about %g s; %s with %lld threads, %s\n",
                 (long long)b->rounds, b->seconds, b->device, (long long)b->threads, b->machine);
  if (b->network)
    co_text_printf(
        text, "ready in %.2f s, first step in %.3f s; data was waited for in %.0f %% of training\n",
        b->opened, b->first, 100 * b->waited);
  else
    co_text_printf(text, "ready in %.2f s, fitted in %.2f s\n", b->opened, b->first);
  if (b->flops_per_second > 0)
    co_text_printf(
        text,
        "the machine's ceilings here: %.1f GFLOP/s (a product of 1024), %.1f GB/s (a sum "
        "of 8 M)\n",
        b->flops_per_second * 1e-9, b->bytes_per_second * 1e-9);
  co_text_printf(text, "memory: %s at most", co_memory_print(peak, (double)co_memory_peak()));
  if (b->planned_bytes)
    co_text_printf(text, ", of which %s by the plan",
                   co_memory_print(planned, (double)b->planned_bytes));
  co_text_printf(text, "\n");
  if (b->others > busy)
    co_text_printf(
        text, "other processes used %.0f %% of the machine meanwhile: these figures say little\n",
        100 * b->others);
}

// ---- the whole ---------------------------------------------------------------------------------

// What is no network knows nothing of steps.
static co_status find_predictor(bench *b) {
  const cohort_config *config = &b->options->config;
  co_arena *arena;
  co_node *root;
  CO_RETURN_IF_FAILED(co_require_config_files(config, "bench"));
  CO_RETURN_IF_FAILED(co_arena_create(&arena, b->context->ctx));
  co_status status =
      co_settings_read(&root, arena, config->files, config->file_count, config->assignments,
                       config->assignment_count, &b->result->errors);
  if (status == CO_OK) status = co_diagnostics_result(&b->result->errors);
  const char *type = status == CO_OK ? co_report_text(root, "predictor.type") : NULL;
  b->network = !type || strcmp(type, "network") == 0;
  co_arena_free(arena);
  return status;
}

static co_status measure(bench *b) {
  const cohort_bench_options *o = b->options;
  co_load begun, ended;
  b->rounds = o->rounds > 0 ? o->rounds : 5;
  b->seconds = o->seconds > 0 ? o->seconds : 1;
  if (b->rounds > MOST_ROUNDS)
    return co_fail(CO_ERR_USAGE, "more than %d rounds", (int)MOST_ROUNDS);
  const cohort_train_options training = {.config = o->config,
                                         .dataset = o->dataset,
                                         .device = o->device,
                                         .precision = o->precision,
                                         .threads = o->threads,
                                         .workers = o->workers};
  CO_RETURN_IF_FAILED(find_predictor(b));
  CO_RETURN_IF_FAILED(
      co_rehearsal_begin(&b->rehearsal, b->context->ctx, &training, assignments,
                         b->network ? (int64_t)(sizeof assignments / sizeof *assignments) : 0));
  co_load_look(&begun);
  const co_log_level level = co_context_set_level(b->context->ctx, CO_LOG_WARN);
  if (level < CO_LOG_WARN) co_context_set_level(b->context->ctx, level);
  co_status status = measure_session(b);
  status = co_session_close(b->session, status);
  co_context_set_level(b->context->ctx, level);
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(measure_sizes(b));
  co_load_look(&ended);
  b->others = co_load_of_others(&begun, &ended);
  render(b, &b->result->json);
  print(b, &b->result->text);
  return CO_OK;
}

cohort_status cohort_bench(cohort_context *context, const cohort_bench_options *options,
                           cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  bench b = {.context = context,
             .options = options,
             .result = *out,
             .flops_per_second = NAN,
             .bytes_per_second = NAN};
  co_status status = measure(&b);
  if (status == CO_INTERRUPTED || status == CO_STOPPED)
    status =
        co_fail(status, "stopped; nothing is kept"); // a session's hint names a folder that goes
  co_error error;
  co_error_copy(&error);
  co_predictor_close(b.predictor);
  co_dataset_close(b.dataset);
  if (status != CO_OK) co_error_raise(&error);
  co_rehearsal_end(&b.rehearsal);
  return co_result_finish(*out, "bench", status);
}
