// SPDX-License-Identifier: Apache-2.0
// Trainings that are not kept: the rehearsal of one (cohort_train with fast_dev_run), and what finds a
// learning rate or a batch size for it.
#include "host/api/rehearse.h"

#include "host/api/table.h"
#include "host/core/file.h"
#include "host/train/session.h"

co_status co_rehearsal_begin(co_rehearsal *r, co_context *ctx, const cohort_train_options *options,
                             const char *const *assignments, int64_t count) {
  const int64_t given = options->config.assignment_count;
  *r = (co_rehearsal){.options = *options};
  if (options->run_dir || options->resume)
    return co_fail(CO_ERR_USAGE, "%s has nothing to do here: nothing is kept",
                   options->resume ? "--resume" : "--run-dir");
  CO_RETURN_IF_FAILED(co_arena_create(&r->arena, ctx));
  const char **all = co_arena_alloc(r->arena, (size_t)(given + count) + 1, sizeof *all);
  if (!all) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < given; i++)
    all[i] = options->config.assignments[i];
  for (int64_t i = 0; i < count; i++)
    all[given + i] = assignments[i];
  r->options.config.assignments = all;
  r->options.config.assignment_count = given + count;
  CO_RETURN_IF_FAILED(co_make_temporary_folder(&r->folder, r->arena,
                                               options->source.temporary_folder, "cohort-train"));
  r->run = co_arena_format(r->arena, "%s/run", r->folder);
  r->options.run_dir = r->run;
  return r->run ? CO_OK : CO_ERR_MEMORY;
}

static co_status train(co_rehearsal *r, cohort_context *context, co_table_training *table,
                       co_diagnostics *problems) {
  co_session *session = NULL;
  CO_RETURN_IF_FAILED(co_table_training_begin(table, context, &r->options, problems));
  co_status status =
      co_session_open(&session, context->ctx, &context->watch, &table->options, problems);
  if (status == CO_OK && !r->options.dry_run) {
    status = co_session_advance_by(session, INT64_MAX);
    if (status == CO_OK) status = co_session_finish(session);
  }
  return co_session_close(session, status);
}

co_status co_rehearsal_train(co_rehearsal *r, cohort_context *context, co_diagnostics *problems) {
  co_table_training table = {.ctx = NULL};
  co_status status = train(r, context, &table, problems);
  co_table_training_end(&table);
  if (status != CO_INTERRUPTED && status != CO_STOPPED) return status;
  return co_fail(status, "stopped; nothing is kept"); // a session's hint names a folder that goes
}

void co_rehearsal_end(co_rehearsal *r) {
  co_error error;
  co_error_copy(&error);
  if (r->folder) co_remove_folder(r->folder);
  co_arena_free(r->arena);
  if (error.status != CO_OK) co_error_raise(&error);
}

static co_status rehearse(co_rehearsal *r, cohort_context *context,
                          const cohort_train_options *options, cohort_result *result) {
  const long long batches = (long long)options->fast_dev_run;
  CO_RETURN_IF_FAILED(co_rehearsal_begin(r, context->ctx, options, NULL, 0));
  CO_RETURN_IF_FAILED(co_rehearsal_train(r, context, &result->errors));
  co_json_key(&result->json, "status");
  co_json_string(&result->json, "fast_dev_run");
  co_json_key(&result->json, "batches");
  co_json_int(&result->json, batches);
  co_text_printf(
      &result->text,
      "rehearsed on %lld batch%s: training, validation, checkpoint and model; nothing is "
      "kept\n",
      batches, batches == 1 ? "" : "es");
  return CO_OK;
}

cohort_status co_rehearse(cohort_context *context, const cohort_train_options *options,
                          cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_rehearsal r = {.folder = NULL};
  co_status status = rehearse(&r, context, options, *out);
  co_rehearsal_end(&r);
  return co_result_finish(*out, "train", status);
}
