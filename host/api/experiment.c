// SPDX-License-Identifier: Apache-2.0
// cohort_experiment: the folds of a dataset, or seeds, each a session over the one dataset in memory.
#include "host/api/experiment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/file.h"
#include "host/core/temporary.h"
#include "host/persist/model_file.h"
#include "host/train/run.h"
#include "host/train/session.h"
#include "host/train/settings.h"

// ---- the folder --------------------------------------------------------------------------------

char *co_experiment_path(const co_experiment *e, const char *name) {
  return co_arena_format(e->arena, "%s/%s", e->path, name);
}

void co_experiment_run_name(const co_experiment *e, int64_t run, char out[32]) {
  snprintf(out, 32, "%s-%lld", e->seeds ? "seed" : "fold", (long long)run);
}

char *co_experiment_run_path(const co_experiment *e, int64_t run) {
  char name[32];
  co_experiment_run_name(e, run, name);
  return co_experiment_path(e, name);
}

// What an experiment writes besides its runs. One of the last two comes last: with it there is one.
static const char *const own_names[] = {"LOCK",     "config.yaml",    "experiment.json",
                                        "oof.csv",  "init_from.json", "folds.csv",
                                        "seeds.csv"};
enum { OWN_NAMES = sizeof own_names / sizeof *own_names };

static bool is_own_name(void *user, const char *name) {
  (void)user;
  for (int i = 0; i < OWN_NAMES; i++)
    if (strcmp(name, own_names[i]) == 0) return true;
  return false;
}

static bool has(const co_experiment *e, const char *name) {
  char *path = co_experiment_path(e, name);
  return path && co_path_exists(path);
}

static bool has_begun(const co_experiment *e) {
  return has(e, "folds.csv") || has(e, "seeds.csv");
}

static co_status check_free(const co_experiment *e) {
  if (!has_begun(e)) return co_run_check_free(e->ctx, e->path);
  co_status status = co_fail_at(CO_ERR_IO, e->path, 0, 0, "the folder has an experiment already");
  co_hint("continue it with --resume %s, or choose another --run-dir", e->path);
  return status;
}

static co_status choose_folder(co_experiment *e) {
  const cohort_experiment_options *o = e->options;
  const char *resume = o->resume, *path = o->run_dir;
  bool automatic = resume && strcmp(resume, "auto") == 0;
  if (resume && *resume && !automatic) {
    if (path && strcmp(path, resume) != 0)
      return co_fail(CO_ERR_USAGE,
                     "--resume %s already says which experiment, so there can be no --run-dir",
                     resume);
    path = resume;
  }
  if (resume && !path) {
    co_status status = co_fail(CO_ERR_USAGE, "--resume needs to know which experiment");
    co_hint("give --resume DIRECTORY, or --run-dir with --resume=auto");
    return status;
  }
  char *made = path
                   ? NULL
                   : co_run_default_path(e->ctx, o->output_directory ? o->output_directory : "runs",
                                         o->experiment ? o->experiment : "experiment");
  if (path || made) e->path = co_arena_strdup(e->arena, path ? path : made);
  co_free(e->ctx, made);
  if (!e->path) return CO_ERR_MEMORY;
  for (size_t end = strlen(e->path); end > 1 && e->path[end - 1] == '/';)
    e->path[--end] = '\0';
  if (!resume) return check_free(e);
  e->resumed = has_begun(e);
  if (e->resumed || automatic || (co_path_is_directory(e->path) && o->config.file_count))
    return CO_OK;
  co_status status = co_fail_at(CO_ERR_MODEL, e->path, 0, 0, "there is no experiment to resume");
  co_hint("--run-dir DIR --resume=auto begins one where none is");
  return status;
}

static co_status write_config(co_experiment *e, const co_node *config) {
  co_text text;
  co_text_init(&text, e->ctx);
  char *path = co_experiment_path(e, "config.yaml");
  co_status status = path ? co_node_to_yaml(&text, config) : CO_ERR_MEMORY;
  if (status == CO_OK) status = co_write_file_atomic(e->ctx, path, text.data, text.length);
  co_text_free(&text);
  return status;
}

// The seed of each run.
static co_status write_seeds(co_experiment *e, const char *path) {
  co_text text;
  co_text_init(&text, e->ctx);
  co_text_printf(&text, "seed\n");
  for (int64_t run = 0; run < e->count; run++)
    co_text_printf(&text, "%lld\n", (long long)(e->seed + run));
  co_status status = text.status;
  if (status == CO_OK) status = co_write_file_atomic(e->ctx, path, text.data, text.length);
  co_text_free(&text);
  return status;
}

// Which model the runs begin with, so that --resume alone is enough.
static co_status write_initial(co_experiment *e) {
  co_json json;
  char *path = co_experiment_path(e, "init_from.json");
  if (!e->init_from) return CO_OK;
  co_json_init(&json, e->ctx, 2);
  co_json_open(&json, '{');
  co_json_key(&json, "path");
  co_json_string(&json, e->init_from);
  co_json_key(&json, "sha256");
  co_json_string(&json, e->init_sha256);
  co_json_close(&json);
  co_status status = path ? json.text.status : CO_ERR_MEMORY;
  if (status == CO_OK)
    status = co_write_file_atomic(e->ctx, path, json.text.data, json.text.length);
  co_json_free(&json);
  return status;
}

static co_status begin_folder(co_experiment *e, const co_node *config) {
  char *lock = co_experiment_path(e, "LOCK");
  char *runs = co_experiment_path(e, e->seeds ? "seeds.csv" : "folds.csv");
  if (!lock || !runs) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_make_directories(e->ctx, e->path));
  CO_RETURN_IF_FAILED(co_lock_file(&e->lock, e->ctx, lock, "another experiment has this folder"));
  co_remove_stale_temporaries_in(e->path, is_own_name, NULL);
  if (e->resumed) return CO_OK;
  CO_RETURN_IF_FAILED(write_config(e, config));
  CO_RETURN_IF_FAILED(write_initial(e));
  return e->seeds ? write_seeds(e, runs) : co_folds_write(&e->folds, runs);
}

// Where not even the first run came to be, nothing is left of an experiment that began here.
static void leave_folder(co_experiment *e) {
  char *first = co_experiment_run_path(e, 0);
  if (e->lock < 0 || e->resumed || !first || co_path_exists(first)) return;
  for (int i = 0; i < OWN_NAMES; i++) {
    char *path = co_experiment_path(e, own_names[i]);
    if (path) unlink(path);
  }
  rmdir(e->path);
}

// ---- what is trained ---------------------------------------------------------------------------

// Room for the run's own seed behind the given assignments.
static co_status copy_assignments(co_experiment *e) {
  const char **all = co_arena_alloc(e->arena, (size_t)e->config.assignment_count + 1, sizeof *all);
  if (!all) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < e->config.assignment_count; i++)
    all[i] = e->config.assignments[i];
  e->config.assignments = all;
  return CO_OK;
}

static co_status read_config(co_experiment *e, co_node **config) {
  co_trainer_settings settings;
  const char **own = co_arena_alloc(e->arena, 1, sizeof *own);
  e->config = e->options->config;
  CO_RETURN_IF_FAILED(co_require_config_files(&e->config, "experiment"));
  if (!own || !(own[0] = co_experiment_path(e, "config.yaml"))) return CO_ERR_MEMORY;
  if (!e->config.file_count && !e->resumed) {
    co_status status = co_fail(CO_ERR_USAGE, "there is no config");
    co_hint("give -c CONFIG.yaml, for example -c models/presets/shopper-mlp.yaml");
    return status;
  }
  if (!e->config.file_count) {
    e->config.files = own;
    e->config.file_count = 1;
  }
  CO_RETURN_IF_FAILED(co_settings_read(config, e->arena, e->config.files, e->config.file_count,
                                       e->config.assignments, e->config.assignment_count,
                                       e->problems));
  CO_RETURN_IF_FAILED(co_settings_parse_trainer(&settings, *config, e->arena, e->problems));
  CO_RETURN_IF_FAILED(co_diagnostics_result(e->problems));
  e->seed = settings.seed;
  return copy_assignments(e);
}

// Its path becomes part of the stored config, so that --resume alone is enough.
static co_status open_dataset(co_experiment *e, co_node **config) {
  const char *path = e->options->dataset ? e->options->dataset : co_settings_dataset(*config);
  if (!path) {
    co_status status = co_fail(CO_ERR_USAGE, "there is no dataset");
    co_hint("give --dataset FILE.h5, or dataset: {path: …} in the config");
    return status;
  }
  char *absolute = realpath(path, NULL);
  co_json assignment;
  co_json_init(&assignment, e->ctx, 0);
  co_json_string(&assignment, absolute ? absolute : path);
  char *text = assignment.text.status == CO_OK
                   ? co_arena_format(e->arena, "dataset.path=%s", assignment.text.data)
                   : NULL;
  co_json_free(&assignment);
  co_status status = text ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = co_node_set(config, e->arena, text, e->problems);
  if (status == CO_OK) status = co_dataset_open(&e->dataset, e->ctx, absolute ? absolute : path);
  free(absolute);
  return status;
}

static co_status differs(const co_experiment *e, const char *what) {
  co_status status = co_fail_at(CO_ERR_CONFIG, e->path, 0, 0,
                                "%s differ from those this experiment was started with", what);
  co_hint("resume without --k-fold, --folds and --seeds, with the same --seed, or choose another "
          "--run-dir");
  return status;
}

static co_status make_folds(co_experiment *e, co_folds *out) {
  const cohort_experiment_options *o = e->options;
  if (o->folds) return co_folds_read(out, e->ctx, o->folds, co_dataset_rows(e->dataset));
  return co_folds_make(out, e->ctx, e->dataset, o->k_fold, (uint64_t)e->seed);
}

// As many seeds as the file has lines, the first of which is the config's.
static co_status read_seeds(co_experiment *e) {
  char *path = co_experiment_path(e, "seeds.csv"), *text;
  size_t length;
  int64_t lines = 0;
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_read_file(e->ctx, path, 1 << 20, CO_ERR_MODEL, &text, &length));
  bool same = strtoll(text + strcspn(text, "\n"), NULL, 10) == e->seed;
  for (size_t i = 0; i < length; i++)
    lines += text[i] == '\n';
  co_free(e->ctx, text);
  e->count = lines - 1;
  return same && (!e->options->seeds || e->options->seeds == e->count) ? CO_OK
                                                                       : differs(e, "the seeds");
}

static co_status choose_seeds(co_experiment *e) {
  const int64_t *ignored;
  int64_t tests, validates;
  e->count = e->options->seeds;
  if (e->resumed) CO_RETURN_IF_FAILED(read_seeds(e));
  CO_RETURN_IF_FAILED(co_dataset_split(e->dataset, CO_SPLIT_TEST, &ignored, &tests));
  CO_RETURN_IF_FAILED(co_dataset_split(e->dataset, CO_SPLIT_VALIDATION, &ignored, &validates));
  e->measured = tests ? CO_SPLIT_TEST : CO_SPLIT_VALIDATION;
  return tests || validates ? CO_OK
                            : co_fail_at(CO_ERR_DATA, co_dataset_path(e->dataset), 0, 0,
                                         "there are neither test nor validation rows");
}

static co_status choose_folds(co_experiment *e) {
  const cohort_experiment_options *o = e->options;
  bool asked = o->folds || o->k_fold;
  if (!e->resumed) return make_folds(e, &e->folds);
  char *path = co_experiment_path(e, "folds.csv");
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_folds_read(&e->folds, e->ctx, path, co_dataset_rows(e->dataset)));
  co_folds now;
  if (!asked) return CO_OK;
  CO_RETURN_IF_FAILED(make_folds(e, &now));
  bool same = co_folds_equal(&now, &e->folds);
  co_folds_free(&now);
  return same ? CO_OK : differs(e, "the folds");
}

static co_status read_initial(co_experiment *e, const co_node **out) {
  char *path = co_experiment_path(e, "init_from.json"), *text;
  size_t length;
  co_node *read = NULL;
  if (!path) return CO_ERR_MEMORY;
  if (!co_path_exists(path)) return CO_OK;
  CO_RETURN_IF_FAILED(co_read_file(e->ctx, path, 1 << 20, CO_ERR_MODEL, &text, &length));
  co_status status = co_yaml_parse(&read, e->arena, path, text, length, e->problems);
  co_free(e->ctx, text);
  *out = read;
  return status == CO_OK ? co_diagnostics_result(e->problems) : status;
}

static co_status choose_runs(co_experiment *e) {
  const cohort_experiment_options *o = e->options;
  bool none = !o->folds && !o->k_fold && !o->seeds;
  if ((o->folds != NULL) + (o->k_fold > 0) + (o->seeds > 0) > 1)
    return co_fail(CO_ERR_USAGE,
                   "--k-fold makes folds, --folds reads them and --seeds has none: give "
                   "one of them");
  if (none && !e->resumed) {
    co_status status = co_fail(CO_ERR_USAGE, "there are no folds");
    co_hint("give --k-fold N, --folds FILE with the columns fold and validation, or --seeds N");
    return status;
  }
  e->seeds = e->resumed ? has(e, "seeds.csv") : o->seeds > 0;
  if (e->resumed && !none && e->seeds != (o->seeds > 0)) return differs(e, "what is repeated");
  e->measured = CO_SPLIT_TEST;
  if (e->seeds) return choose_seeds(e);
  CO_RETURN_IF_FAILED(choose_folds(e));
  e->count = e->folds.count;
  return CO_OK;
}

static const char *text_of(const co_node *map, const char *key) {
  const co_node *node = co_node_get(map, key);
  return node && node->kind == CO_NODE_SCALAR ? node->text : NULL;
}

static co_status other_weights(const co_experiment *e) {
  co_status status = co_fail_at(CO_ERR_CONFIG, e->path, 0, 0,
                                "this experiment was not started with those weights");
  co_hint("resume without --init-from, or choose another --run-dir");
  return status;
}

// The model that was given, or that an experiment which goes on began with.
static co_status choose_initial(co_experiment *e) {
  const char *given = e->options->init_from, *path = NULL, *sha256 = NULL;
  const co_node *record = NULL;
  co_model_file file;
  if (e->resumed) CO_RETURN_IF_FAILED(read_initial(e, &record));
  if (record) {
    path = text_of(record, "path");
    sha256 = text_of(record, "sha256");
  }
  if (e->resumed && given && !sha256) return other_weights(e);
  if (given) path = given;
  if (!path) return CO_OK;
  e->init_from = path;
  // Where it is gone, runs go on that have begun.
  if (!given && !co_path_exists(path)) return CO_OK;
  CO_RETURN_IF_FAILED(co_model_file_find_and_read(&file, &e->init_from, e->arena, path));
  e->init_sha256 = file.weights_sha256;
  return !sha256 || strcmp(sha256, e->init_sha256) == 0 ? CO_OK : other_weights(e);
}

// ---- training ----------------------------------------------------------------------------------

// The hint of a session names the run, but it goes on with the experiment.
static co_status note_run(const co_experiment *e, int64_t run, co_status status) {
  co_note("%s %lld", e->seeds ? "seed" : "fold", (long long)run);
  if (status == CO_INTERRUPTED) co_hint("go on with --resume %s", e->path);
  return status;
}

static co_status train(co_experiment *e, const cohort_train_options *options, co_dataset *dataset) {
  co_session *session;
  co_status status =
      co_session_open_on(&session, e->ctx, &e->context->watch, options, dataset, e->problems);
  while (status == CO_OK && !co_session_is_done(session))
    status = co_session_advance(session);
  if (status == CO_OK) status = co_session_finish(session);
  return co_session_close(session, status);
}

static co_status train_and_measure(co_experiment *e, int64_t run, co_dataset *dataset,
                                   const char *path, const char *seed) {
  const cohort_experiment_options *o = e->options;
  const int64_t *ignored;
  cohort_config config = e->config;
  ((const char **)config.assignments)[config.assignment_count++] = seed;
  const cohort_train_options options = {.config = config,
                                        .run_dir = path,
                                        .resume = "auto",
                                        .init_from = e->init_from,
                                        .device = o->device,
                                        .placement = o->placement,
                                        .precision = o->precision,
                                        .command = o->command,
                                        .autotune = o->autotune,
                                        .autotune_cache = o->autotune_cache,
                                        .threads = o->threads,
                                        .workers = o->workers,
                                        .eager = o->eager};
  for (int split = 0; split < CO_SPLIT_COUNT; split++)
    co_dataset_split(dataset, (co_split)split, &ignored, &e->rows[run][split]);
  CO_RETURN_IF_FAILED(train(e, &options, dataset));
  return co_experiment_measure(e, run, dataset);
}

static co_status run_one(co_experiment *e, int64_t run) {
  co_dataset *dataset = NULL;
  const char *kind = e->seeds ? "seed" : "fold";
  char *path = co_experiment_run_path(e, run);
  char *seed = co_arena_format(e->arena, "trainer.seed=%lld", (long long)(e->seed + run));
  if (!path || !seed) return CO_ERR_MEMORY;
  co_log(e->ctx, CO_LOG_INFO, kind, "%s=%lld of=%lld", kind, (long long)run, (long long)e->count);
  if (e->seeds) return train_and_measure(e, run, e->dataset, path, seed);
  CO_RETURN_IF_FAILED(co_folds_view(&dataset, &e->folds, e->dataset, run));
  co_status status = train_and_measure(e, run, dataset, path, seed);
  co_dataset_close(dataset);
  return status;
}

static co_status run(co_experiment *e) {
  co_node *config;
  CO_RETURN_IF_FAILED(co_arena_create(&e->arena, e->ctx));
  CO_RETURN_IF_FAILED(choose_folder(e));
  CO_RETURN_IF_FAILED(read_config(e, &config));
  CO_RETURN_IF_FAILED(open_dataset(e, &config));
  CO_RETURN_IF_FAILED(choose_runs(e));
  CO_RETURN_IF_FAILED(choose_initial(e));
  e->rows = co_arena_alloc(e->arena, (size_t)e->count, sizeof *e->rows);
  e->row_cells = co_alloc_zero(e->ctx, (size_t)e->folds.rows + 1, sizeof *e->row_cells);
  if (!e->rows || !e->row_cells) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(begin_folder(e, config));
  for (int64_t i = 0; i < e->count; i++) {
    co_status status = run_one(e, i);
    if (status != CO_OK) return e->problems->count ? status : note_run(e, i, status);
  }
  CO_RETURN_IF_FAILED(co_experiment_pairs_end(e));
  CO_RETURN_IF_FAILED(co_experiment_write(e));
  co_run_mark_latest(e->ctx, e->path);
  return CO_OK;
}

cohort_status cohort_experiment(cohort_context *context, const cohort_experiment_options *options,
                                cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_experiment e = {.context = context,
                     .ctx = context->ctx,
                     .options = options,
                     .problems = &(*out)->errors,
                     .lock = -1};
  co_text_init(&e.cells, e.ctx);
  co_status status = run(&e);
  if (status == CO_OK) {
    co_experiment_render(&e, &(*out)->json);
    co_experiment_print(&e, &(*out)->text);
  }
  co_error error;
  co_error_copy(&error);
  if (status != CO_OK && e.path) leave_folder(&e);
  co_unlock_file(e.lock);
  co_text_free(&e.cells);
  co_free(e.ctx, e.row_cells);
  co_free(e.ctx, e.pairs);
  co_folds_free(&e.folds);
  co_dataset_close(e.dataset);
  co_arena_free(e.arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "experiment", status);
}
