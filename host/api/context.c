// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "host/api/api.h"

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

static co_status pass_probe(void *user, const char *path, co_status failure) {
  const cohort_context *context = user;
  cohort_error error = {.message = "", .file = "", .hint = ""};
  cohort_status status =
      context->options.probe(context->options.probe_user, path, (cohort_status)failure, &error);
  if (!status) return CO_OK;
  co_fail_at((co_status)status, error.file, error.line, error.column, "%s", error.message);
  if (error.hint[0]) co_hint("%s", error.hint);
  return (co_status)status;
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
  context->watch = (co_watch){.progress = chosen.progress,
                              .user = chosen.progress_user,
                              .epoch = chosen.epoch,
                              .epoch_user = chosen.epoch_user,
                              .stop = chosen.stop,
                              .checkpoint = chosen.checkpoint,
                              .status = chosen.status};
  if (chosen.probe) co_context_set_probe(ctx, pass_probe, context);
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

co_status co_require(const char *value, const char *verb, const char *what) {
  return value ? CO_OK : co_fail(CO_ERR_USAGE, "%s needs %s", verb, what);
}

co_status co_require_config_files(const cohort_config *config, const char *verb) {
  for (int64_t i = 0; i < config->file_count; i++)
    if (strcmp(config->files[i], "-") == 0)
      return co_fail(CO_ERR_USAGE,
                     "%s reads its config more than once: give it as a file, not by -", verb);
  return CO_OK;
}
