// SPDX-License-Identifier: Apache-2.0
// cohort_verify_resume and cohort_verify_determinism: two trainings of one config that have to end
// with the same bytes, one of them killed and gone on with, or with other loader threads.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/api/api.h"
#include "host/core/file.h"
#include "host/core/hash.h"
#include "host/train/run.h"
#include "host/train/run_compare.h"
#include "host/train/session.h"

typedef struct verifying {
  cohort_context *context;
  co_context *ctx;
  const cohort_verify_runs_options *options;
  co_diagnostics *problems;
  co_arena *arena;
  char *folder, *first, *second; // runs within the folder
  bool temporary;                // the folder goes
  int64_t steps;                 // of the first
  int64_t *kills, kill_count;
  co_run_comparison compared;
} verifying;

// ---- the folder --------------------------------------------------------------------------------

static co_status make_folder(verifying *v) {
  const char *kept = v->options->run_dir;
  CO_RETURN_IF_FAILED(co_require_config_files(&v->options->training.config, "verify"));
  if (kept) {
    CO_RETURN_IF_FAILED(co_run_check_free(v->ctx, kept));
    v->folder = co_arena_strdup(v->arena, kept);
    if (v->folder) CO_RETURN_IF_FAILED(co_make_directories(v->ctx, v->folder));
  } else {
    CO_RETURN_IF_FAILED(co_make_temporary_folder(&v->folder, v->arena, v->options->temporary_folder,
                                                 "cohort-verify"));
    v->temporary = true;
  }
  if (!v->folder) return CO_ERR_MEMORY;
  v->first = co_arena_format(v->arena, "%s/undisturbed", v->folder);
  return v->first ? CO_OK : CO_ERR_MEMORY;
}

// ---- training ----------------------------------------------------------------------------------

static co_status train(verifying *v, const char *run_dir, bool resume, int workers) {
  cohort_train_options options = v->options->training;
  co_session *session;
  options.run_dir = run_dir;
  options.resume = resume ? "auto" : NULL;
  options.dry_run = options.own_dataset = false;
  options.max_seconds = 0;
  options.workers = workers;
  co_status status = co_session_open(&session, v->ctx, &v->context->watch, &options, v->problems);
  while (status == CO_OK && !co_session_is_done(session))
    status = co_session_advance(session);
  if (status == CO_OK) status = co_session_finish(session);
  if (status == CO_OK) v->steps = co_session_step(session);
  return co_session_close(session, status);
}

// ---- kills -------------------------------------------------------------------------------------

static int ascending(const void *a, const void *b) {
  const int64_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static bool is_drawn(const verifying *v, int64_t step) {
  for (int64_t i = 0; i < v->kill_count; i++)
    if (v->kills[i] == step) return true;
  return false;
}

// Different steps of those before the last.
static co_status draw_kills(verifying *v) {
  int64_t wanted = v->options->kills, draw = 0;
  if (wanted < 1 || wanted >= v->steps)
    return co_fail(CO_ERR_USAGE, "%lld kills do not fit into a training of %lld steps",
                   (long long)wanted, (long long)v->steps);
  v->kills = co_arena_alloc(v->arena, (size_t)wanted, sizeof *v->kills);
  if (!v->kills) return CO_ERR_MEMORY;
  for (; v->kill_count < wanted; draw++) {
    uint64_t hash = co_hash64(v->options->seed, &draw, sizeof draw);
    int64_t step = 1 + (int64_t)(hash % (uint64_t)(v->steps - 1));
    if (!is_drawn(v, step)) v->kills[v->kill_count++] = step;
  }
  qsort(v->kills, (size_t)wanted, sizeof *v->kills, ascending);
  return CO_OK;
}

static co_status kill_one(verifying *v, int64_t step) {
  const cohort_verify_runs_options *o = v->options;
  co_log(v->ctx, CO_LOG_INFO, "verify", "a training that is killed at step %lld of %lld",
         (long long)step, (long long)v->steps);
  int ended = o->train_and_kill(o->kill_user, v->second, step);
  if (co_watch_stopped(&v->context->watch)) return co_fail(CO_INTERRUPTED, "stopped");
  if (ended == 0) return CO_OK;
  return co_fail(CO_ERR_GATE,
                 "the training that was to be killed at step %lld ended otherwise (exit %d)",
                 (long long)step, ended);
}

// ---- the two -----------------------------------------------------------------------------------

static co_status compare(verifying *v) {
  CO_RETURN_IF_FAILED(co_run_compare(&v->compared, v->ctx, v->first, v->second));
  if (!*v->compared.difference) return CO_OK;
  co_status status = co_fail(CO_ERR_GATE, "the runs differ, first in %s", v->compared.difference);
  if (v->temporary) co_hint("--run-dir DIR keeps both runs");
  return status;
}

static co_status resume(verifying *v) {
  int workers = v->options->training.workers;
  if (!v->options->train_and_kill)
    return co_fail(CO_ERR_USAGE, "nothing was given that trains in another process");
  v->second = co_arena_format(v->arena, "%s/killed", v->folder);
  if (!v->second) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(train(v, v->first, false, workers));
  CO_RETURN_IF_FAILED(draw_kills(v));
  for (int64_t i = 0; i < v->kill_count; i++)
    CO_RETURN_IF_FAILED(kill_one(v, v->kills[i]));
  CO_RETURN_IF_FAILED(train(v, v->second, true, workers));
  return compare(v);
}

static co_status repeat(verifying *v) {
  v->second = co_arena_format(v->arena, "%s/repeated", v->folder);
  if (!v->second) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(train(v, v->first, false, 1));
  CO_RETURN_IF_FAILED(train(v, v->second, false, 3));
  return compare(v);
}

static void report(const verifying *v, cohort_result *result) {
  const co_run_comparison *c = &v->compared;
  co_json *json = &result->json;
  co_json_key(json, "steps");
  co_json_int(json, v->steps);
  if (v->options->kills) {
    co_json_key(json, "kills");
    co_json_open(json, '[');
    for (int64_t i = 0; i < v->kill_count; i++)
      co_json_int(json, v->kills[i]);
    co_json_close(json);
  }
  co_json_key(json, "compared");
  co_json_open(json, '{');
  co_json_key(json, "tensors");
  co_json_int(json, c->tensors);
  co_json_key(json, "metric_lines");
  co_json_int(json, c->metric_lines);
  co_json_key(json, "checkpoints");
  co_json_int(json, c->checkpoints);
  co_json_close(json);
  co_json_key(json, "first_difference");
  co_json_string(json, *c->difference ? c->difference : NULL);
  co_text_printf(&result->text, "%lld steps", (long long)v->steps);
  for (int64_t i = 0; i < v->kill_count; i++)
    co_text_printf(&result->text, "%s%lld", i ? ", " : ", killed at ", (long long)v->kills[i]);
  co_text_printf(&result->text,
                 "\nequal: %lld tensors of model.h5, %lld lines of metrics, %lld checkpoints\n",
                 (long long)c->tensors, (long long)c->metric_lines, (long long)c->checkpoints);
}

static cohort_status verify(cohort_context *context, const cohort_verify_runs_options *options,
                            co_status (*property)(verifying *v), cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  verifying v = {
      .context = context, .ctx = context->ctx, .options = options, .problems = &(*out)->errors};
  co_status status = co_arena_create(&v.arena, v.ctx);
  if (status == CO_OK) status = make_folder(&v);
  if (status == CO_OK) status = property(&v);
  if (status == CO_INTERRUPTED) // a session's hint would name a folder that goes
    status = co_fail(CO_INTERRUPTED, "stopped; nothing is proven");
  if (status == CO_OK || *v.compared.difference) report(&v, *out);
  co_error error;
  co_error_copy(&error);
  if (v.temporary) co_remove_folder(v.folder);
  co_arena_free(v.arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "verify", status);
}

cohort_status cohort_verify_resume(cohort_context *context,
                                   const cohort_verify_runs_options *options, cohort_result **out) {
  return verify(context, options, resume, out);
}

cohort_status cohort_verify_determinism(cohort_context *context,
                                        const cohort_verify_runs_options *options,
                                        cohort_result **out) {
  return verify(context, options, repeat, out);
}
