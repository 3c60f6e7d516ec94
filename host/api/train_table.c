// SPDX-License-Identifier: Apache-2.0
// Training from a raw table: it is imported beside the run's folder, which it then moves into as
// dataset.h5; without a config the preset auto is taken.
#include <string.h>

#include "datasets/dataset.h"
#include "host/api/table.h"
#include "host/core/file.h"
#include "host/train/run.h"
#include "models/preset.h"

static co_status check_no_table(const cohort_train_options *o) {
  const char *option = o->target_count ? "--target"
                       : o->key        ? "--key"
                       : o->schema     ? "--schema"
                                       : co_table_source_option(&o->source);
  if (!option) option = co_table_joins_option(&o->tables);
  if (!option) return CO_OK;
  return co_table_refuse_option(option, o->dataset);
}

// The run's folder, as a session would choose it.
static co_status choose_run(co_table_training *t, const cohort_train_options *o) {
  const char *root = o->output_directory ? o->output_directory : "runs", *run = o->run_dir;
  if (o->resume && *o->resume && strcmp(o->resume, "auto") != 0) run = o->resume;
  char *made =
      run ? NULL : co_run_default_path(t->ctx, root, o->experiment ? o->experiment : "auto");
  if (!run && !made) return CO_ERR_MEMORY;
  char *path = co_arena_strdup(t->arena, run ? run : made);
  co_free(t->ctx, made);
  if (!path) return CO_ERR_MEMORY;
  for (size_t end = strlen(path); end > 1 && path[end - 1] == '/';)
    path[--end] = '\0';
  t->options.run_dir = path;
  return CO_OK;
}

static co_status make_parent(co_table_training *t, const char *run) {
  const char *slash = strrchr(run, '/');
  if (!slash || slash == run) return CO_OK;
  char *folder = co_arena_strndup(t->arena, run, (size_t)(slash - run));
  return folder ? co_make_directories(t->ctx, folder) : CO_ERR_MEMORY;
}

// Where the dataset is written: a run that goes on has it already, if the table is the same.
static co_status choose_output(co_table_training *t, const cohort_train_options *o) {
  const char *run = t->options.run_dir;
  char *config = co_arena_format(t->arena, "%s/config.full.yaml", run);
  if (!config) return CO_ERR_MEMORY;
  t->resumed = o->resume && co_path_exists(config);
  if (t->resumed) {
    t->output = co_arena_format(t->arena, "%s/dataset.h5", run);
    return t->output ? CO_OK : CO_ERR_MEMORY;
  }
  if (!o->dry_run) CO_RETURN_IF_FAILED(co_run_check_free(t->ctx, run));
  CO_RETURN_IF_FAILED(make_parent(t, run));
  // Of a name of its own: the run's temporaries are the session's to clean up.
  t->output = co_arena_format(t->arena, "%s.dataset", run);
  return t->output ? CO_OK : CO_ERR_MEMORY;
}

// *dataset: open, unless there was one already.
static co_status import(co_table_training *t, cohort_context *context,
                        const cohort_train_options *o, co_dataset **dataset,
                        co_diagnostics *problems) {
  const cohort_import_csv_options request = {.output = t->output,
                                             .files = &o->dataset,
                                             .file_count = o->dataset ? 1 : 0,
                                             .schema = o->schema,
                                             .targets = o->targets,
                                             .target_count = o->target_count,
                                             .key = o->key,
                                             .validation_fraction = -1,
                                             .seed = 42,
                                             .source = o->source,
                                             .tables = o->tables};
  co_import_csv_result done;
  CO_RETURN_IF_FAILED(co_table_import(&done, context, t->arena, &request,
                                      t->resumed ? NULL : &t->file, dataset, t->options.run_dir,
                                      problems));
  t->training_rows = done.rows[CO_SPLIT_TRAIN];
  co_log(t->ctx, CO_LOG_INFO, "import", "'%s': %lld training, %lld validation, %lld test rows",
         o->dataset ? o->dataset : "the tables", (long long)done.rows[CO_SPLIT_TRAIN],
         (long long)done.rows[CO_SPLIT_VALIDATION], (long long)done.rows[CO_SPLIT_TEST]);
  return CO_OK;
}

static co_status choose_preset(co_table_training *t, const co_dataset *dataset) {
  co_status status = co_preset_auto(&t->preset, co_dataset_schema(dataset), t->training_rows);
  t->options.preset = t->preset.data;
  return status;
}

co_status co_table_training_begin(co_table_training *t, cohort_context *context,
                                  const cohort_train_options *o, co_diagnostics *problems) {
  *t = (co_table_training){.ctx = context->ctx, .options = *o};
  co_text_init(&t->preset, t->ctx);
  if (o->dataset && o->tables.source_count) return co_table_refuse_both();
  if (!o->tables.source_count && (!o->dataset || !co_table_is_raw(o->dataset, &o->source)))
    return check_no_table(o);
  if (!o->schema && o->tables.source_count) {
    co_status status = co_fail(CO_ERR_USAGE, "--source needs --schema FILE, which names tables");
    co_hint("--dataset TABLE.csv --join FILE:COL joins tables without one");
    return status;
  }
  if (!o->target_count && !o->schema) {
    if (o->config.file_count) return check_no_table(o); // whoever opens it says that it is none
    co_status status =
        co_fail_at(CO_ERR_USAGE, o->dataset, 0, 0, "a raw table needs --target COLUMN");
    co_hint("its first line names the columns; cohort import makes a dataset.h5 of it");
    return status;
  }
  CO_RETURN_IF_FAILED(co_arena_create(&t->arena, t->ctx));
  CO_RETURN_IF_FAILED(choose_run(t, o));
  CO_RETURN_IF_FAILED(choose_output(t, o));
  co_dataset *dataset = NULL;
  co_status status = import(t, context, o, &dataset, problems);
  t->options.dataset = t->resumed ? t->output : t->file.temporary;
  t->options.own_dataset = !t->resumed && !o->dry_run;
  if (status == CO_OK && !o->config.file_count && !o->preset && !t->resumed)
    status = choose_preset(t, dataset);
  co_dataset_close(dataset);
  return status;
}

void co_table_training_end(co_table_training *t) {
  co_error error;
  co_error_copy(&error);
  co_atomic_abort(&t->file); // gone already where it moved into the run
  co_text_free(&t->preset);
  co_arena_free(t->arena);
  if (error.status != CO_OK) co_error_raise(&error);
}
