// SPDX-License-Identifier: Apache-2.0
// cohort_train: config and dataset to a run directory with a model; exact resume.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/fit.h"
#include "host/job.h"
#include "host/machine.h"
#include "host/pipeline.h"
#include "host/run.h"
#include "host/settings.h"

typedef struct trainer {
  cohort_context *context;
  co_context *ctx;
  const cohort_train_options *options;
  co_diagnostics *problems;
  co_arena *arena;
  co_node *config;
  co_trainer_settings settings;
  co_text config_json; // what models store
  char *dataset_path, *run_path;
  co_dataset *dataset;
  co_model *model;
  co_backend *backend;
  co_program *program;
  co_run run;
  co_training_state state;
  co_evaluation interval; // training metrics since the last record
  co_evaluation validation;
  const int64_t *samples[CO_SPLIT_COUNT];
  int64_t sample_count[CO_SPLIT_COUNT];
  int64_t batch_rows, batches_per_epoch, total_steps;
  int threads;
  bool resumed, already_done;
  bool begun; // the run is this process's: run.json tells how it ends
  int64_t resumed_step, checkpoint_step;
  double started, wait_seconds, evaluation_seconds, checkpoint_seconds;
  double norm;                                 // gradient norm of the last step
  double shown_loss;                           // of the last record, for people
  double epoch_begun, epoch_apart, epoch_wait; // clocks when log_epoch was last called
  int64_t epoch_step;
} trainer;

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// ---- what is to be trained ---------------------------------------------------------------------

// A value of a run's run.json, NULL if there is none.
static const char *recorded(trainer *t, const char *key) {
  char *path = co_path_join(t->ctx, t->run_path, "run.json");
  co_node *node = NULL;
  co_diagnostics ignored;
  co_diagnostics_init(&ignored, t->ctx);
  if (path && co_path_exists(path)) co_yaml_read_file(&node, t->arena, path, &ignored);
  co_diagnostics_free(&ignored);
  co_free(t->ctx, path);
  const co_node *value = node ? co_node_get(node, key) : NULL;
  return value && value->kind == CO_NODE_SCALAR ? value->text : NULL;
}

static bool run_has(trainer *t, const char *name) {
  char *path = co_path_join(t->ctx, t->run_path, name);
  bool there = path && co_path_exists(path);
  co_free(t->ctx, path);
  return there;
}

// Decides between a new run and continuing one, and where it lives.
static co_status choose_run(trainer *t) {
  const cohort_train_options *options = t->options;
  const char *resume = options->resume;
  bool automatic = resume && strcmp(resume, "auto") == 0;
  const char *path = resume && !automatic && *resume ? resume : options->run_dir;
  if (resume && !path) {
    co_status status = co_fail(CO_ERR_USAGE, "--resume needs to know which run");
    co_hint("give --resume RUN_DIRECTORY, or --run-dir with --resume=auto");
    return status;
  }
  if (path) {
    t->run_path = co_strdup(t->ctx, path);
  } else {
    const char *root = options->output_directory ? options->output_directory : "runs";
    const char *name = options->experiment;
    if (!name && options->config.file_count) {
      const char *file = strrchr(options->config.files[0], '/');
      file = file ? file + 1 : options->config.files[0];
      const char *dot = strrchr(file, '.');
      name = co_arena_strndup(t->arena, file, dot ? (size_t)(dot - file) : strlen(file));
    }
    t->run_path = co_run_default_path(t->ctx, root, name ? name : "run");
  }
  if (!t->run_path) return CO_ERR_MEMORY;
  for (size_t end = strlen(t->run_path); end > 1 && t->run_path[end - 1] == '/';)
    t->run_path[--end] = '\0'; // temporaries are named after it
  if (!resume) return CO_OK;
  t->resumed = run_has(t, "config.full.yaml");
  // A kill before the first write leaves an empty folder at most: with a config at hand, begin.
  if (t->resumed || automatic || (co_path_is_directory(t->run_path) && options->config.file_count))
    return CO_OK;
  co_status status = co_fail_at(CO_ERR_MODEL, t->run_path, 0, 0, "there is no run to resume");
  co_hint("--resume takes a run's directory; --run-dir DIR --resume=auto begins one where none is");
  return status;
}

static co_status read_config(trainer *t) {
  const cohort_config *given = &t->options->config;
  char *own = co_arena_format(t->arena, "%s/config.full.yaml", t->run_path);
  if (!own) return CO_ERR_MEMORY;
  const char *const files[] = {own};
  bool from_run = t->resumed && !given->file_count;
  if (!given->file_count && !from_run) {
    co_status status = co_fail(CO_ERR_USAGE, "there is no config");
    co_hint("give -c CONFIG.yaml, for example -c models/presets/product-cnn.yaml");
    return status;
  }
  CO_RETURN_IF_FAILED(co_settings_read(&t->config, t->arena, from_run ? files : given->files,
                                       from_run ? 1 : given->file_count, given->assignments,
                                       given->assignment_count, t->problems));
  CO_RETURN_IF_FAILED(co_settings_parse_trainer(&t->settings, t->config, t->arena, t->problems));
  const char *dataset = t->options->dataset ? t->options->dataset : co_settings_dataset(t->config);
  if (!dataset && t->resumed) dataset = recorded(t, "dataset");
  if (!dataset && !t->problems->count) {
    co_status status = co_fail(CO_ERR_USAGE, "there is no dataset");
    co_hint("give --dataset FILE.h5, or dataset: {path: …} in the config");
    return status;
  }
  if (!dataset) return co_diagnostics_result(t->problems);
  // Absolute, so that a run can be resumed from another folder.
  char *absolute = realpath(dataset, NULL);
  t->dataset_path = co_strdup(t->ctx, absolute ? absolute : dataset);
  free(absolute);
  return t->dataset_path ? CO_OK : CO_ERR_MEMORY;
}

static co_status render_config(trainer *t) {
  co_json json;
  co_json_init(&json, t->ctx, 0);
  co_status status = co_settings_render(&json, t->config, &t->settings);
  if (status == CO_OK) co_text_append(&t->config_json, json.text.data, json.text.length);
  co_json_free(&json);
  return status == CO_OK ? t->config_json.status : status;
}

static co_status open_data_and_model(trainer *t) {
  CO_RETURN_IF_FAILED(co_dataset_open(&t->dataset, t->ctx, t->dataset_path));
  co_status status =
      co_model_create(&t->model, t->ctx, t->config, co_dataset_schema(t->dataset), t->problems);
  if (status != CO_OK && status != CO_ERR_CONFIG) return status;
  if (t->problems->count) return co_diagnostics_result(t->problems);
  for (int split = 0; split < CO_SPLIT_COUNT; split++)
    CO_RETURN_IF_FAILED(
        co_dataset_split(t->dataset, (co_split)split, &t->samples[split], &t->sample_count[split]));
  if (!t->sample_count[CO_SPLIT_TRAIN])
    return co_fail_at(CO_ERR_DATA, t->dataset_path, 0, 0, "there is no training row");
  t->batch_rows = t->settings.batch_size * t->settings.accumulate_grad_batches;
  if (t->batch_rows > t->sample_count[CO_SPLIT_TRAIN])
    t->batch_rows = t->sample_count[CO_SPLIT_TRAIN];
  t->batches_per_epoch = (t->sample_count[CO_SPLIT_TRAIN] + t->batch_rows - 1) / t->batch_rows;
  t->total_steps = t->settings.max_epochs * t->batches_per_epoch;
  if (t->settings.max_steps && t->settings.max_steps < t->total_steps)
    t->total_steps = t->settings.max_steps;
  return CO_OK;
}

static co_status check_validation_metric(trainer *t) {
  double value;
  bool higher;
  CO_RETURN_IF_FAILED(co_evaluation_create(&t->interval, t->model));
  CO_RETURN_IF_FAILED(co_evaluation_create(&t->validation, t->model));
  if (co_evaluation_find(&t->validation, t->model, t->settings.validation_metric, &value, &higher))
    return CO_OK;
  const co_node *trainer_node = co_node_get(t->config, "trainer");
  CO_RETURN_IF_FAILED(co_node_problem(
      t->problems, trainer_node ? co_node_get(trainer_node, "validation_metric") : NULL,
      "known: loss, log_loss, mean_squared_error, accuracy, each also as OUTPUT.ID",
      "trainer.validation_metric: no output has a metric '%s'", t->settings.validation_metric));
  return co_diagnostics_result(t->problems);
}

static void warn_without_validation(trainer *t) {
  const co_trainer_settings *settings = &t->settings;
  if (t->sample_count[CO_SPLIT_VALIDATION]) return;
  const char *key = settings->early_stop > 0      ? "early_stop"
                    : settings->validation_metric ? "validation_metric"
                                                  : NULL;
  if (key)
    co_log(t->ctx, CO_LOG_WARN, "train", "there are no validation rows: trainer.%s has no effect",
           key);
}

static co_status create_program(trainer *t) {
  int64_t sizes[2] = {t->batch_rows, t->sample_count[CO_SPLIT_TRAIN] % t->batch_rows};
  co_phase_options phase = {.optimizer = t->settings.optimizer,
                            .optimizer_options = t->settings.optimizer_options,
                            .clip_norm = t->settings.clip_norm};
  int64_t micro = t->settings.batch_size < t->batch_rows ? t->settings.batch_size : t->batch_rows;
  co_program_options options = {.rows = micro,
                                .batch_rows = sizes,
                                .batch_row_count = sizes[1] ? 2 : 1,
                                .evaluation_rows = t->settings.eval_batch_size,
                                .evaluation_mode = CO_MODE_EVALUATE,
                                .phases = &phase,
                                .phase_count = 1,
                                .real = CO_F32};
  // A run goes on where it was, unless it is told otherwise: then check_machine refuses.
  const char *device = t->options->device;
  if (t->resumed && (!device || strcmp(device, "auto") == 0)) device = recorded(t, "device");
  CO_RETURN_IF_FAILED(co_job_open_backend(&t->backend, t->ctx, device, t->threads));
  return co_program_create(&t->program, t->model->network, t->backend, &options);
}

// ---- state -------------------------------------------------------------------------------------

// Equal bytes need equal config, data and machine: what differs is said before anything is touched.
static co_status config_drifted(trainer *t) {
  co_status status = co_fail_at(CO_ERR_CONFIG, t->run_path, 0, 0,
                                "the config differs from the one this run was started with");
  co_hint("resume without -c and --set, or compare with %s/config.full.yaml", t->run_path);
  return status;
}

static co_status check_fingerprint(trainer *t, const char *recorded_fingerprint) {
  const char *mine = co_dataset_fingerprint(t->dataset);
  if (!recorded_fingerprint || strcmp(recorded_fingerprint, mine) == 0) return CO_OK;
  return co_fail_at(CO_ERR_DATA, t->dataset_path, 0, 0,
                    "the dataset is not the one this run was started with");
}

static co_status check_machine(trainer *t) {
  const char *threads = recorded(t, "threads"), *device = recorded(t, "device");
  const char *name = t->backend->api->name;
  if (threads && strtol(threads, NULL, 10) != t->threads) {
    co_status status =
        co_fail_at(CO_ERR_CONFIG, t->run_path, 0, 0,
                   "this run was started with %s threads, not %d; the number decides "
                   "in which order sums are made",
                   threads, t->threads);
    co_hint("resume without --threads");
    return status;
  }
  if (!device || strcmp(device, name) == 0) return CO_OK;
  co_status status = co_fail_at(CO_ERR_CONFIG, t->run_path, 0, 0,
                                "this run was started on device %s, not %s", device, name);
  co_hint("resume without --device");
  return status;
}

// Another processor or library computes as well, but rounds in its own way.
static void warn_of_machine(trainer *t) {
  char now[256];
  const char *then = recorded(t, "machine");
  co_machine_describe(now, sizeof now);
  if (then && strcmp(then, now) != 0)
    co_log(t->ctx, CO_LOG_WARN, "resume",
           "this run was begun on %s, this is %s: its bytes may differ from those of a run never "
           "stopped",
           then, now);
}

static co_status load_state(trainer *t, const co_model_file *file, const char *path) {
  const co_training_state *stored = &file->training;
  if (!file->has_training)
    return co_fail_at(CO_ERR_MODEL, path, 0, 0, "it holds no training state");
  if (strcmp(file->config_text, t->config_json.data) != 0) return config_drifted(t);
  CO_RETURN_IF_FAILED(check_fingerprint(t, file->dataset_fingerprint));
  if (stored->sum_count != t->state.sum_count || stored->step < 0 || stored->updates < 0 ||
      stored->batch < 0 || stored->batch >= t->batches_per_epoch || stored->metrics_bytes < 0)
    return co_fail_at(CO_ERR_MODEL, path, 0, 0, "its training state is damaged");
  CO_RETURN_IF_FAILED(co_model_file_read_statistics(t->ctx, path, t->model));
  CO_RETURN_IF_FAILED(co_model_file_read_weights(t->ctx, path, co_program_store(t->program), true));
  double *sums = t->state.sums;
  memcpy(sums, stored->sums, (size_t)stored->sum_count * sizeof *sums);
  t->state = *stored;
  t->state.sums = sums;
  return CO_OK;
}

static co_status load_checkpoint(void *user, const char *path) {
  trainer *t = user;
  co_arena *arena;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, t->ctx));
  co_model_file file;
  co_status status = co_model_file_read(&file, arena, path);
  if (status == CO_OK) status = load_state(t, &file, path);
  co_arena_free(arena);
  return status;
}

// run.json; here, unlike in models and metrics, paths and clocks have their place.
static co_status render_status(trainer *t, co_text *out, const char *status_word, int exit_code) {
  co_json json_, *json = &json_;
  char host[256] = "", machine[256];
  co_machine_describe(machine, sizeof machine);
  gethostname(host, sizeof host - 1);
  co_json_init(json, t->ctx, 2);
  co_json_open(json, '{');
  co_json_key(json, "status");
  co_json_string(json, status_word);
  co_json_key(json, "exit");
  co_json_int(json, exit_code);
  co_json_key(json, "step");
  co_json_int(json, t->state.step);
  co_json_key(json, "dataset");
  co_json_string(json, t->dataset_path);
  co_json_key(json, "dataset_fingerprint");
  co_json_string(json, co_dataset_fingerprint(t->dataset));
  co_json_key(json, "seed");
  co_json_int(json, (int64_t)t->state.seed);
  co_json_key(json, "threads");
  co_json_int(json, t->threads);
  co_json_key(json, "device");
  co_json_string(json, t->backend->api->name);
  co_json_key(json, "version");
  co_json_string(json, cohort_version());
  co_json_key(json, "machine");
  co_json_string(json, machine);
  co_json_key(json, "host");
  co_json_string(json, host);
  co_json_key(json, "pid");
  co_json_int(json, getpid());
  co_json_key(json, "time");
  co_json_int(json, (int64_t)time(NULL));
  co_json_key(json, "warnings");
  co_json_open(json, '[');
  for (int64_t i = 0; co_context_warning(t->ctx, i); i++)
    co_json_string(json, co_context_warning(t->ctx, i));
  co_json_close(json);
  co_json_close(json);
  co_text_printf(out, "%s\n", json->text.data ? json->text.data : "");
  co_status status = json->text.status == CO_OK ? out->status : json->text.status;
  co_json_free(json);
  return status;
}

static co_status write_status(trainer *t, const char *status_word, int exit_code) {
  co_text text;
  co_text_init(&text, t->ctx);
  co_status status = render_status(t, &text, status_word, exit_code);
  if (status == CO_OK) status = co_run_write_status(&t->run, text.data);
  co_text_free(&text);
  return status;
}

static void log_begin(trainer *t) {
  const int64_t *count = t->sample_count;
  const co_store *store = co_program_store(t->program);
  int64_t values = 0;
  for (int64_t i = 0; i < store->count; i++)
    values += store->entries[i].info.state ? 0 : co_shape_count(&store->entries[i].info.shape);
  if (t->already_done) {
    co_log(t->ctx, CO_LOG_INFO, "train", "%s is done since step %lld; nothing to do", t->run.path,
           (long long)t->state.step);
    return;
  }
  co_log(t->ctx, CO_LOG_INFO, "train",
         "%s: %lld training and %lld validation rows, %lld parameters, %s with %d threads",
         t->run.path, (long long)count[CO_SPLIT_TRAIN], (long long)count[CO_SPLIT_VALIDATION],
         (long long)values, t->backend->api->name, t->threads);
  co_log(t->ctx, CO_LOG_INFO, "train",
         "%s at step %lld of %lld, %lld steps an epoch of %lld rows each",
         t->resumed ? "going on" : "beginning", (long long)t->state.step, (long long)t->total_steps,
         (long long)t->batches_per_epoch, (long long)t->batch_rows);
}

static co_status create_run(trainer *t) {
  co_text yaml, status_text;
  co_text_init(&yaml, t->ctx);
  co_text_init(&status_text, t->ctx);
  co_status status;
  CO_TRY(co_node_to_yaml(&yaml, t->config));
  CO_TRY(render_status(t, &status_text, "running", 0));
  co_run_start start = {.config_json = t->config_json.data,
                        .config_yaml = yaml.data ? yaml.data : "",
                        .command = t->options->command,
                        .status = status_text.data};
  CO_TRY(co_run_create(&t->run, t->ctx, t->run_path, &start));
cleanup:
  co_text_free(&yaml);
  co_text_free(&status_text);
  return status;
}

// Weights and statistics as they are before the first step.
static co_status start_state(trainer *t) {
  double *sums = t->state.sums;
  int64_t count = t->model->network->metric_doubles + t->model->output_count;
  if (!sums) sums = co_alloc_zero(t->ctx, (size_t)count + 1, sizeof *sums);
  if (!sums) return CO_ERR_MEMORY;
  t->state = (co_training_state){.seed = (uint64_t)t->settings.seed,
                                 .best = NAN,
                                 .best_step = -1,
                                 .sum_count = count,
                                 .sums = sums};
  return CO_OK;
}

static co_status initialize(trainer *t) {
  CO_RETURN_IF_FAILED(co_fit(t->model, t->dataset));
  return co_store_initialize(co_program_store(t->program), t->state.seed);
}

static co_status load_best_weights(trainer *t) {
  if (t->state.best_step < 0 || t->state.best_step == t->state.step) return CO_OK;
  char *path = co_run_checkpoint_path(&t->run, t->state.best_step, true);
  co_status status =
      path ? co_model_file_read_weights(t->ctx, path, co_program_store(t->program), false)
           : CO_ERR_MEMORY;
  co_free(t->ctx, path);
  return status;
}

// Nothing in the folder changes before it is clear that this process may continue the run.
static co_status continue_run(trainer *t) {
  int64_t step;
  bool scheduled, differs = false;
  CO_RETURN_IF_FAILED(co_run_open(&t->run, t->ctx, t->run_path));
  CO_RETURN_IF_FAILED(check_machine(t));
  CO_RETURN_IF_FAILED(check_fingerprint(t, recorded(t, "dataset_fingerprint")));
  CO_RETURN_IF_FAILED(co_run_load_newest(&t->run, load_checkpoint, t, &step, &scheduled));
  if (step < 0) {
    CO_RETURN_IF_FAILED(co_run_config_differs(&t->run, t->config_json.data, &differs));
    if (differs) return config_drifted(t);
    CO_RETURN_IF_FAILED(start_state(t)); // an unusable checkpoint may have been read in part
    CO_RETURN_IF_FAILED(initialize(t));
  }
  t->resumed_step = t->state.step;
  t->checkpoint_step = step;
  t->already_done = t->state.finished && run_has(t, "model.h5");
  if (t->already_done) return load_best_weights(t);
  warn_of_machine(t);
  t->begun = true;
  co_program_set_updates(t->program, 0, t->state.updates);
  CO_RETURN_IF_FAILED(co_run_start_metrics(&t->run, t->state.metrics_bytes));
  CO_RETURN_IF_FAILED(co_run_settle_checkpoints(&t->run, step, scheduled, t->state.best_step,
                                                t->settings.keep_last));
  if (step >= 0) {
    // The interval in work goes on where it was.
    const double *sums = t->state.sums;
    memcpy(t->interval.weight_sum, sums + t->model->network->metric_doubles,
           (size_t)t->model->output_count * sizeof *sums);
    CO_RETURN_IF_FAILED(co_program_write_metrics(t->program, false, sums));
  }
  CO_RETURN_IF_FAILED(co_run_write_event(&t->run, "resume", ""));
  return write_status(t, "running", 0);
}

static co_status begin(trainer *t) {
  CO_RETURN_IF_FAILED(start_state(t));
  t->checkpoint_step = -1;
  if (t->resumed) {
    CO_RETURN_IF_FAILED(continue_run(t));
  } else {
    CO_RETURN_IF_FAILED(initialize(t)); // before the folder: what fails here leaves none
    CO_RETURN_IF_FAILED(create_run(t));
    t->begun = true;
    CO_RETURN_IF_FAILED(co_run_start_metrics(&t->run, 0));
    CO_RETURN_IF_FAILED(co_run_write_event(&t->run, "start", ""));
  }
  log_begin(t);
  return CO_OK;
}

// ---- metrics -----------------------------------------------------------------------------------

static double learning_rate(const trainer *t, int64_t step) {
  return t->settings.learning_rate *
         co_schedule_factor(&t->settings.schedule, step, t->total_steps);
}

static co_status write_record(trainer *t, const char *split, const co_evaluation *evaluation,
                              bool training) {
  co_json json;
  co_json_init(&json, t->ctx, 0);
  co_json_open(&json, '{');
  co_json_key(&json, "step");
  co_json_int(&json, t->state.step);
  co_json_key(&json, "epoch");
  co_json_int(&json, t->state.epoch);
  co_json_key(&json, "split");
  co_json_string(&json, split);
  co_json_key(&json, "loss");
  co_json_double(&json, co_evaluation_loss(evaluation, t->model));
  co_json_key(&json, "metrics");
  co_evaluation_render(&json, evaluation, t->model);
  if (training) {
    co_json_key(&json, "learning_rate");
    co_json_double(&json, learning_rate(t, t->state.step - 1));
    co_json_key(&json, "gradient_norm");
    co_json_double(&json, t->norm);
  }
  co_json_close(&json);
  co_status status = json.text.status;
  if (status == CO_OK) status = co_run_write_metrics(&t->run, json.text.data);
  co_json_free(&json);
  return status;
}

// One record over all steps since the last one.
static co_status log_interval(trainer *t) {
  CO_RETURN_IF_FAILED(co_program_read_metrics(t->program, false, t->interval.sums));
  CO_RETURN_IF_FAILED(write_record(t, "train", &t->interval, true));
  t->shown_loss = co_evaluation_loss(&t->interval, t->model);
  memset(t->interval.weight_sum, 0, (size_t)t->model->output_count * sizeof(double));
  return co_program_clear_metrics(t->program, false);
}

static void show_progress(trainer *t) {
  char detail[96];
  int length = snprintf(detail, sizeof detail, "epoch %u/%lld", t->state.epoch + 1,
                        (long long)t->settings.max_epochs);
  if (t->shown_loss > 0)
    snprintf(detail + length, sizeof detail - (size_t)length, " loss=%.4g", t->shown_loss);
  co_job_progress(t->context, "train", "steps", t->state.step, t->total_steps, detail);
}

static co_status validate(trainer *t) {
  if (!t->sample_count[CO_SPLIT_VALIDATION]) return CO_OK;
  double begun = now_seconds(), value;
  bool higher;
  CO_RETURN_IF_FAILED(
      co_evaluate_samples(&t->validation, t->context, false, t->model, t->program, t->dataset,
                          t->samples[CO_SPLIT_VALIDATION], t->sample_count[CO_SPLIT_VALIDATION],
                          t->settings.eval_batch_size, t->options->workers, "validate"));
  t->evaluation_seconds += now_seconds() - begun;
  CO_RETURN_IF_FAILED(write_record(t, "validation", &t->validation, false));
  show_progress(t);
  co_evaluation_find(&t->validation, t->model, t->settings.validation_metric, &value, &higher);
  bool better = !isnan(value) &&
                (isnan(t->state.best) || (higher ? value > t->state.best : value < t->state.best));
  if (better) {
    t->state.best = value;
    t->state.best_step = t->state.step;
    t->state.bad_epochs = 0;
  } else {
    t->state.bad_epochs++;
  }
  co_log(t->ctx, CO_LOG_INFO, "eval", "step=%lld epoch=%u split=validation %s=%.4f%s",
         (long long)t->state.step, t->state.epoch + 1,
         t->settings.validation_metric ? t->settings.validation_metric : "loss", value,
         better ? " best" : "");
  return CO_OK;
}

// ---- checkpoints -------------------------------------------------------------------------------

static co_status checkpoint(trainer *t, bool scheduled) {
  double begun = now_seconds();
  if (t->checkpoint_step == t->state.step) return CO_OK;
  // The sums of the interval in work go along, so that a resumed run adds to the same numbers.
  int64_t doubles = t->model->network->metric_doubles;
  CO_RETURN_IF_FAILED(co_program_read_metrics(t->program, false, t->state.sums));
  memcpy(t->state.sums + doubles, t->interval.weight_sum,
         (size_t)t->model->output_count * sizeof(double));
  CO_RETURN_IF_FAILED(co_run_sync_metrics(&t->run, &t->state.metrics_bytes));
  t->state.updates = co_program_updates(t->program, 0);
  co_model_file_content content = {.model = t->model,
                                   .store = co_program_store(t->program),
                                   .config = t->config_json.data,
                                   .dataset_fingerprint = co_dataset_fingerprint(t->dataset),
                                   .training = &t->state};
  char *path = co_run_checkpoint_path(&t->run, t->state.step, scheduled);
  if (!path) return CO_ERR_MEMORY;
  co_status status = co_model_file_write(t->ctx, path, &content);
  co_free(t->ctx, path);
  if (status == CO_OK)
    status = co_run_settle_checkpoints(&t->run, t->state.step, scheduled, t->state.best_step,
                                       t->settings.keep_last);
  if (status == CO_OK) t->checkpoint_step = t->state.step;
  t->checkpoint_seconds += now_seconds() - begun;
  CO_RETURN_IF_FAILED(status);
  char fields[64];
  snprintf(fields, sizeof fields, "\"step\":%lld", (long long)t->state.step);
  co_log(t->ctx, CO_LOG_INFO, "checkpoint", "step=%lld", (long long)t->state.step);
  return co_run_write_event(&t->run, "checkpoint", fields);
}

// ---- steps -------------------------------------------------------------------------------------

static co_status stop_diverged(trainer *t, const co_view *view) {
  char fields[96];
  snprintf(fields, sizeof fields, "\"step\":%lld,\"batch\":%lld", (long long)t->state.step,
           (long long)view->batch->index);
  co_run_write_event(&t->run, "diverged", fields);
  co_status status = co_fail(
      CO_ERR_DIVERGED,
      "the gradient of step %lld is not finite (epoch %u, batch %lld, first row %lld); the update "
      "was not made",
      (long long)t->state.step + 1, view->batch->epoch + 1, (long long)view->batch->index,
      (long long)view->batch->samples[0]);
  co_hint("lower trainer.learning_rate, or set trainer.gradient_clipping.clip_global_norm");
  return status;
}

static co_status one_step(trainer *t, const co_view *view) {
  co_step step = {.seed = t->state.seed,
                  .step = (uint32_t)t->state.step,
                  .epoch = view->batch->epoch,
                  .learning_rate = learning_rate(t, t->state.step)};
  co_step_result result;
  co_view_inv_norm(t->model, view, step.inv_norm);
  CO_RETURN_IF_FAILED(co_program_step(t->program, 0, view->rows, view->inputs, &step, &result));
  for (int64_t i = 0; i < t->model->output_count; i++)
    t->interval.weight_sum[i] += view->weight_sum[i];
  t->norm = result.gradient_norm;
  if (!result.finite) return stop_diverged(t, view);
  t->state.step++;
  t->state.epoch = view->batch->epoch;
  t->state.batch = view->batch->index + 1;
  return CO_OK;
}

// Speed and waiting since the last call, without evaluation and checkpoints.
static void log_epoch(trainer *t, const co_pipeline *pipeline) {
  double now = now_seconds(), apart = t->evaluation_seconds + t->checkpoint_seconds;
  double wait = co_pipeline_wait_seconds(pipeline);
  double seconds = now - t->epoch_begun - (apart - t->epoch_apart);
  double steps = (double)(t->state.step - t->epoch_step);
  if (seconds > 0 && steps > 0)
    co_log(t->ctx, CO_LOG_INFO, "train",
           "step=%lld epoch=%u loss=%.4g lr=%.3g steps/s=%.3g wait=%.0f%%",
           (long long)t->state.step, t->state.epoch + 1, t->shown_loss,
           learning_rate(t, t->state.step - 1), steps / seconds,
           100 * (wait - t->epoch_wait) / seconds);
  t->epoch_begun = now;
  t->epoch_apart = apart;
  t->epoch_wait = wait;
  t->epoch_step = t->state.step;
}

// After the last batch of an epoch, or the last step of all.
static co_status end_epoch(trainer *t, const co_pipeline *pipeline, bool epoch_over) {
  if (t->state.step % t->settings.log_every_n_steps) CO_RETURN_IF_FAILED(log_interval(t));
  log_epoch(t, pipeline);
  CO_RETURN_IF_FAILED(validate(t));
  if (epoch_over) {
    t->state.epoch++;
    t->state.batch = 0;
  }
  bool patience_over = t->settings.early_stop > 0 && t->state.bad_epochs >= t->settings.early_stop;
  t->state.finished = t->state.step >= t->total_steps || patience_over;
  int64_t every = t->settings.steps_per_checkpoint;
  bool due = !every || t->state.step % every == 0 || t->state.finished ||
             t->state.best_step == t->state.step;
  return due ? checkpoint(t, true) : CO_OK;
}

static co_status stop_interrupted(const trainer *t) {
  co_status status = co_fail(CO_INTERRUPTED, "stopped at step %lld; a checkpoint is written",
                             (long long)t->state.step);
  co_hint("go on with --resume %s", t->run.path);
  return status;
}

static co_status run_batches(trainer *t, co_pipeline *pipeline) {
  co_status status = CO_OK;
  while (status == CO_OK && !t->state.finished) {
    co_view view;
    bool done;
    CO_RETURN_IF_FAILED(co_pipeline_next(pipeline, &view, &done));
    if (done) return co_fail(CO_ERR_INTERNAL, "the batches ended before the steps");
    bool last = view.batch->last;
    status = one_step(t, &view);
    co_pipeline_release(pipeline, &view);
    if (status != CO_OK) break;
    show_progress(t);
    if (t->state.step % t->settings.log_every_n_steps == 0) status = log_interval(t);
    int64_t every = t->settings.steps_per_checkpoint;
    if (status == CO_OK && (last || t->state.step == t->total_steps))
      status = end_epoch(t, pipeline, last);
    else if (status == CO_OK && every && t->state.step % every == 0)
      status = checkpoint(t, true);
    if (status == CO_OK && !t->state.finished && co_job_stopped(t->context)) {
      status = checkpoint(t, false);
      if (status == CO_OK) status = stop_interrupted(t);
    }
  }
  return status;
}

static co_status train_loop(trainer *t) {
  co_pipeline_options options = {.samples = t->samples[CO_SPLIT_TRAIN],
                                 .sample_count = t->sample_count[CO_SPLIT_TRAIN],
                                 .batch_rows = t->batch_rows,
                                 .training = true,
                                 .targets = true,
                                 .seed = t->state.seed,
                                 .epoch = t->state.epoch,
                                 .first_batch = (uint32_t)t->state.batch,
                                 .workers = t->options->workers > 0 ? t->options->workers : 1};
  co_pipeline *pipeline;
  if (t->state.finished) return CO_OK;
  CO_RETURN_IF_FAILED(co_pipeline_create(&pipeline, t->model, t->dataset, &options));
  t->started = t->epoch_begun = now_seconds();
  t->epoch_step = t->state.step;
  show_progress(t);
  co_status status = run_batches(t, pipeline);
  t->wait_seconds = co_pipeline_wait_seconds(pipeline);
  co_job_progress(t->context, "train", "steps", -1, t->total_steps, NULL);
  co_pipeline_free(pipeline);
  return status;
}

// ---- the end -----------------------------------------------------------------------------------

// model.h5 holds the best checkpoint's weights where there was validation, else the last.
static co_status write_model(trainer *t) {
  CO_RETURN_IF_FAILED(load_best_weights(t));
  char *path = co_path_join(t->ctx, t->run.path, "model.h5");
  if (!path) return CO_ERR_MEMORY;
  co_model_file_content content = {.model = t->model,
                                   .store = co_program_store(t->program),
                                   .config = t->config_json.data,
                                   .dataset_fingerprint = co_dataset_fingerprint(t->dataset)};
  co_status status = co_model_file_write(t->ctx, path, &content);
  co_free(t->ctx, path);
  return status;
}

static co_status report(trainer *t, cohort_result *result) {
  co_json *json = &result->json;
  char hex[65];
  double total = now_seconds() - t->started;
  int64_t steps = t->state.step - t->resumed_step;
  CO_RETURN_IF_FAILED(co_store_fingerprint(co_program_store(t->program), hex));
  co_json_key(json, "run");
  co_json_string(json, t->run.path);
  co_json_key(json, "status");
  co_json_string(json, "done");
  co_json_key(json, "steps");
  co_json_int(json, t->state.step);
  co_json_key(json, "epochs");
  co_json_int(json, t->state.epoch);
  co_json_key(json, "best");
  if (t->state.best_step < 0) {
    co_json_null(json);
  } else {
    co_json_open(json, '{');
    co_json_key(json, "step");
    co_json_int(json, t->state.best_step);
    co_json_key(json, "metric");
    co_json_string(json, t->settings.validation_metric ? t->settings.validation_metric : "loss");
    co_json_key(json, "value");
    co_json_double(json, t->state.best);
    co_json_close(json);
  }
  co_json_key(json, "weights_sha256");
  co_json_string(json, hex);
  co_json_key(json, "resumed");
  co_json_bool(json, t->resumed);
  co_json_key(json, "device");
  co_json_string(json, t->backend->api->name);
  co_json_key(json, "threads");
  co_json_int(json, t->threads);
  co_json_key(json, "steps_per_second");
  double busy = total - t->evaluation_seconds - t->checkpoint_seconds;
  co_json_double(json, steps > 0 && busy > 0 ? (double)steps / busy : 0);
  co_json_key(json, "time_s");
  co_json_open(json, '{');
  co_json_key(json, "total");
  co_json_double(json, total);
  co_json_key(json, "data_wait");
  co_json_double(json, t->wait_seconds);
  co_json_key(json, "evaluation");
  co_json_double(json, t->evaluation_seconds);
  co_json_key(json, "checkpoint");
  co_json_double(json, t->checkpoint_seconds);
  co_json_close(json);
  co_json_key(json, "warnings");
  co_json_open(json, '[');
  for (int64_t i = 0; co_context_warning(t->ctx, i); i++)
    co_json_string(json, co_context_warning(t->ctx, i));
  co_json_close(json);
  co_text_printf(&result->text, "run      %s\nsteps    %lld", t->run.path,
                 (long long)t->state.step);
  if (steps > 0 && busy > 0)
    co_text_printf(&result->text, ", %lld of them now, in %.1f s (%.0f steps/s)", (long long)steps,
                   total, (double)steps / busy);
  co_text_printf(&result->text, "\n");
  if (t->state.best_step >= 0)
    co_text_printf(&result->text, "best     %s %.4f on validation, at step %lld\n",
                   t->settings.validation_metric ? t->settings.validation_metric : "loss",
                   t->state.best, (long long)t->state.best_step);
  co_text_printf(&result->text, "model    %s/model.h5\nweights  sha256 %s\n", t->run.path, hex);
  return CO_OK;
}

static co_status report_dry_run(trainer *t, cohort_result *result) {
  co_program_bytes bytes;
  co_program_get_bytes(t->program, &bytes);
  co_json_key(&result->json, "status");
  co_json_string(&result->json, "dry_run");
  co_json_key(&result->json, "total_steps");
  co_json_int(&result->json, t->total_steps);
  co_json_key(&result->json, "planned_bytes");
  co_json_int(&result->json, (int64_t)bytes.total);
  co_text_printf(&result->text, "would train %lld steps into %s, planned memory %.1f MiB\n",
                 (long long)t->total_steps, t->run_path, (double)bytes.total / 1048576);
  return CO_OK;
}

static const char *status_word(co_status status) {
  switch (status) {
  case CO_OK:
    return "done";
  case CO_INTERRUPTED:
  case CO_STOPPED:
    return "stopped";
  case CO_ERR_DIVERGED:
    return "diverged";
  default:
    return "failed";
  }
}

static int exit_code(const trainer *t, co_status status) {
  const volatile int *stop = t->context->options.stop;
  return status == CO_INTERRUPTED && stop && *stop ? 128 + *stop : (int)status;
}

static co_status prepare(trainer *t) {
  CO_RETURN_IF_FAILED(choose_run(t));
  CO_RETURN_IF_FAILED(read_config(t));
  CO_RETURN_IF_FAILED(open_data_and_model(t));
  CO_RETURN_IF_FAILED(check_validation_metric(t));
  warn_without_validation(t);
  CO_RETURN_IF_FAILED(render_config(t));
  t->threads = t->options->threads > 0 ? t->options->threads : co_context_threads(t->ctx);
  // The thread count is part of a run: reductions depend on it.
  const char *threads = t->resumed && t->options->threads <= 0 ? recorded(t, "threads") : NULL;
  int64_t number;
  co_node node = {.kind = CO_NODE_SCALAR, .text = threads};
  if (threads && co_node_int(&node, &number) && number > 0 && number <= 4096)
    t->threads = (int)number;
  return create_program(t);
}

static co_status train(trainer *t, cohort_result *result) {
  CO_RETURN_IF_FAILED(prepare(t));
  t->started = now_seconds();
  if (t->options->dry_run) return report_dry_run(t, result);
  co_status status = begin(t);
  if (status == CO_OK && !t->already_done) status = train_loop(t);
  if (status == CO_OK && !t->already_done) status = write_model(t);
  if (status == CO_OK) status = report(t, result);
  if (t->already_done && status == CO_OK) {
    // Killed between model.h5 and this.
    const char *word = recorded(t, "status");
    return word && strcmp(word, "done") == 0 ? CO_OK : write_status(t, "done", 0);
  }
  if (!t->begun) return status;
  // The run's own record must not hide the error that ended it.
  co_error error;
  co_error_copy(&error);
  if (t->run.events) co_run_write_event(&t->run, "end", "");
  co_status recorded_status = write_status(t, status_word(status), exit_code(t, status));
  if (status == CO_OK) return recorded_status;
  return co_error_raise(&error);
}

static void free_trainer(trainer *t) {
  co_run_close(&t->run);
  co_free(t->ctx, t->state.sums);
  co_evaluation_free(&t->interval, t->model);
  co_evaluation_free(&t->validation, t->model);
  co_program_free(t->program);
  if (t->backend) t->backend->api->free(t->backend);
  co_model_free(t->model);
  co_dataset_close(t->dataset);
  co_text_free(&t->config_json);
  co_free(t->ctx, t->dataset_path);
  co_free(t->ctx, t->run_path);
  co_arena_free(t->arena);
}

cohort_status cohort_train(cohort_context *context, const cohort_train_options *options,
                           cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context, "train"));
  trainer t = {.context = context,
               .ctx = context->ctx,
               .options = options,
               .problems = &(*out)->errors,
               .run = {.lock = -1}};
  co_text_init(&t.config_json, t.ctx);
  co_status status = co_arena_create(&t.arena, t.ctx);
  if (status == CO_OK) status = train(&t, *out);
  free_trainer(&t);
  return co_result_finish(*out, "train", status);
}
