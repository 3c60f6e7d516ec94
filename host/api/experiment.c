// SPDX-License-Identifier: Apache-2.0
// cohort_experiment: the folds of a dataset, each a session over the one dataset in memory.
#include "host/api/experiment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/file.h"
#include "host/core/temporary.h"
#include "host/train/run.h"
#include "host/train/session.h"
#include "host/train/settings.h"

// ---- the folder --------------------------------------------------------------------------------

char *co_experiment_path(const co_experiment *e, const char *name) {
  return co_arena_format(e->arena, "%s/%s", e->path, name);
}

char *co_experiment_fold_path(const co_experiment *e, int64_t fold) {
  return co_arena_format(e->arena, "%s/fold-%lld", e->path, (long long)fold);
}

// What an experiment writes besides its folds' runs. folds.csv comes last: with it there is one.
static const char *const own_names[] = {"LOCK", "config.yaml", "experiment.json", "oof.csv",
                                        "folds.csv"};
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

static co_status check_free(const co_experiment *e) {
  if (!has(e, "folds.csv")) return co_run_check_free(e->ctx, e->path);
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
  e->resumed = has(e, "folds.csv");
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

static co_status begin_folder(co_experiment *e, const co_node *config) {
  char *lock = co_experiment_path(e, "LOCK"), *folds = co_experiment_path(e, "folds.csv");
  if (!lock || !folds) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_make_directories(e->ctx, e->path));
  CO_RETURN_IF_FAILED(co_lock_file(&e->lock, e->ctx, lock, "another experiment has this folder"));
  co_remove_stale_temporaries_in(e->path, is_own_name, NULL);
  if (e->resumed) return CO_OK;
  CO_RETURN_IF_FAILED(write_config(e, config));
  return co_folds_write(&e->folds, folds);
}

// Where not even the first fold came to be, nothing is left of an experiment that began here.
static void leave_folder(co_experiment *e) {
  char *first = co_experiment_fold_path(e, 0);
  if (e->lock < 0 || e->resumed || !first || co_path_exists(first)) return;
  for (int i = 0; i < OWN_NAMES; i++) {
    char *path = co_experiment_path(e, own_names[i]);
    if (path) unlink(path);
  }
  rmdir(e->path);
}

// ---- what is trained ---------------------------------------------------------------------------

// Room for the fold's own seed behind the given assignments.
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
  co_hint("resume without --k-fold and --folds, with the same --seed, or choose another --run-dir");
  return status;
}

static co_status make_folds(co_experiment *e, co_folds *out) {
  const cohort_experiment_options *o = e->options;
  if (o->folds) return co_folds_read(out, e->ctx, o->folds, co_dataset_rows(e->dataset));
  return co_folds_make(out, e->ctx, e->dataset, o->k_fold, (uint64_t)e->seed);
}

static co_status choose_folds(co_experiment *e) {
  const cohort_experiment_options *o = e->options;
  bool asked = o->folds || o->k_fold;
  if (o->folds && o->k_fold)
    return co_fail(CO_ERR_USAGE,
                   "--k-fold makes folds and --folds reads them: give one of the two");
  if (!asked && !e->resumed) {
    co_status status = co_fail(CO_ERR_USAGE, "there are no folds");
    co_hint("give --k-fold N, or --folds FILE with the columns fold and validation");
    return status;
  }
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

// ---- training ----------------------------------------------------------------------------------

// The hint of a session names the run, but its fold goes on with the experiment.
static co_status note_fold(const co_experiment *e, int64_t fold, co_status status) {
  co_note("fold %lld", (long long)fold);
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

static co_status run_fold(co_experiment *e, int64_t fold) {
  const cohort_experiment_options *o = e->options;
  co_dataset *dataset;
  const int64_t *ignored;
  char *path = co_experiment_fold_path(e, fold);
  char *seed = co_arena_format(e->arena, "trainer.seed=%lld", (long long)(e->seed + fold));
  if (!path || !seed) return CO_ERR_MEMORY;
  cohort_config config = e->config;
  ((const char **)config.assignments)[config.assignment_count++] = seed;
  const cohort_train_options options = {.config = config,
                                        .run_dir = path,
                                        .resume = "auto",
                                        .device = o->device,
                                        .placement = o->placement,
                                        .precision = o->precision,
                                        .command = o->command,
                                        .threads = o->threads,
                                        .workers = o->workers,
                                        .eager = o->eager};
  co_log(e->ctx, CO_LOG_INFO, "fold", "fold=%lld of=%lld", (long long)fold,
         (long long)e->folds.count);
  CO_RETURN_IF_FAILED(co_folds_view(&dataset, &e->folds, e->dataset, fold));
  for (int split = 0; split < CO_SPLIT_COUNT; split++)
    co_dataset_split(dataset, (co_split)split, &ignored, &e->rows[fold][split]);
  co_status status = train(e, &options, dataset);
  if (status == CO_OK) status = co_experiment_measure(e, fold, dataset);
  co_dataset_close(dataset);
  return status;
}

static co_status run(co_experiment *e) {
  co_node *config;
  CO_RETURN_IF_FAILED(co_arena_create(&e->arena, e->ctx));
  CO_RETURN_IF_FAILED(choose_folder(e));
  CO_RETURN_IF_FAILED(read_config(e, &config));
  CO_RETURN_IF_FAILED(open_dataset(e, &config));
  CO_RETURN_IF_FAILED(choose_folds(e));
  e->rows = co_arena_alloc(e->arena, (size_t)e->folds.count, sizeof *e->rows);
  e->row_cells = co_alloc_zero(e->ctx, (size_t)e->folds.rows + 1, sizeof *e->row_cells);
  if (!e->rows || !e->row_cells) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(begin_folder(e, config));
  for (int64_t fold = 0; fold < e->folds.count; fold++) {
    co_status status = run_fold(e, fold);
    if (status != CO_OK) return e->problems->count ? status : note_fold(e, fold, status);
  }
  return co_experiment_write(e);
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
  co_folds_free(&e.folds);
  co_dataset_close(e.dataset);
  co_arena_free(e.arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "experiment", status);
}
