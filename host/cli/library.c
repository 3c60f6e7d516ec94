// SPDX-License-Identifier: Apache-2.0
// Between the command line and the library's public functions.
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/environment.h"
#include "host/cli/signal.h"
#include "host/cli/verbs.h"

static void pass_log(void *user, int level, const char *event, const char *text) {
  cli_job *cli = user;
  co_log(cli->ctx, (co_log_level)level, event, "%s", text);
}

static void pass_progress(void *user, const char *name, const char *unit, int64_t done,
                          int64_t total, const char *detail) {
  cli_job *cli = user;
  if (cli->kill_at && done >= cli->kill_at && strcmp(name, "train") == 0) raise(SIGKILL);
  if (!cli->progress) return;
  if (done < 0) {
    if (cli->stage) co_progress_end(cli->progress);
    cli->stage = NULL;
    return;
  }
  if (!cli->stage || strcmp(cli->stage, name) != 0)
    co_progress_begin(cli->progress, name, total, unit);
  cli->stage = name;
  co_progress_update(cli->progress, done, detail);
}

static bool pass_epoch(void *user, const cohort_epoch *epoch) {
  cli_show_epoch(user, epoch);
  return false;
}

cohort_source_options cli_source_options(const cli_source *s) {
  const char *folder = getenv("TMPDIR");
  return (cohort_source_options){.encoding = s->encoding,
                                 .no_quotes = s->no_quotes,
                                 .decimal = s->decimal,
                                 .source_table = s->source_table,
                                 .query = s->query,
                                 .on_error = s->on_error,
                                 .max_errors = s->max_errors,
                                 .pseudonymized = s->pseudonymized.item,
                                 .pseudonymized_count = s->pseudonymized.count,
                                 .key_file = s->key_file,
                                 .temporary_folder = folder && *folder ? folder : NULL};
}

co_status cli_autotune_cache(const char **out, cli_job *cli, const cli_autotune *autotune) {
  *out = autotune->cache;
  return *out ? CO_OK : cli_cache_file(out, cli->arena, "autotune.tsv");
}

cohort_tables cli_joined_tables(const cli_tables *t) {
  return (cohort_tables){.joins = t->joins.item,
                         .join_count = t->joins.count,
                         .carried = t->carried.item,
                         .carried_count = t->carried.count,
                         .sources = t->sources.item,
                         .source_count = t->sources.count};
}

co_status cli_library_open(cohort_context **out, cli_job *cli) {
  cohort_context_options options = {.threads = cli->threads,
                                    .threads_why = cli->threads_why,
                                    .thread_limit = cli->thread_limit,
                                    .limit_why = "OMP_THREAD_LIMIT",
                                    .log_level = COHORT_LOG_TRACE, // this program's log decides
                                    .log = pass_log,
                                    .log_user = cli,
                                    .progress = pass_progress,
                                    .progress_user = cli,
                                    .stop = cli_stop_flag(),
                                    .checkpoint = cli_checkpoint_requests(),
                                    .status = cli_status_requests(),
                                    .epoch = pass_epoch,
                                    .epoch_user = cli,
                                    .probe = cli_probe,
                                    .probe_user = cli,
                                    .alive = cli_signals_alive,
                                    .standard_output = cli->result};
  return (co_status)cohort_context_create(out, &options);
}

static co_status take_errors(cli_job *cli, const cohort_result *result) {
  cohort_error error;
  for (int64_t i = 0; cohort_result_error(result, i, &error); i++)
    CO_RETURN_IF_FAILED(co_diagnostics_add(&cli->problems, (co_status)error.status, error.file,
                                           error.line, error.column, error.hint, "%s",
                                           error.message));
  return CO_OK;
}

static co_status take(cli_job *cli, cohort_status status, cohort_result *result) {
  if (!result) return (co_status)status;
  co_status taken = take_errors(cli, result);
  const char *text = cohort_result_text(result);
  co_text_append(&cli->text, text, strlen(text));
  cli->document = co_strdup(cli->ctx, cohort_result_json(result));
  cohort_result_free(result);
  if (taken != CO_OK || !cli->document) return CO_ERR_MEMORY;
  return status > 128 && status != CO_KILLED ? CO_INTERRUPTED : (co_status)status;
}

co_status cli_library_end(cli_job *cli, cohort_context *context, cohort_status status,
                          cohort_result *result) {
  co_status taken = take(cli, status, result);
  cohort_context_free(context);
  return taken;
}

co_status cli_library_config(cohort_config *out, cli_job *cli, const cli_common *common) {
  cohort_config config = {.files = common->configs.item,
                          .file_count = common->configs.count,
                          .assignments = common->sets.item,
                          .assignment_count = common->sets.count};
  *out = config;
  if (common->seed == CLI_UNSET) return CO_OK;
  // --seed is one more assignment, after the others.
  const char **with_seed =
      co_arena_alloc(cli->arena, (size_t)config.assignment_count + 1, sizeof *with_seed);
  char *seed = co_arena_format(cli->arena, "trainer.seed=%lld", (long long)common->seed);
  if (!with_seed || !seed) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < config.assignment_count; i++)
    with_seed[i] = config.assignments[i];
  with_seed[config.assignment_count++] = seed;
  config.assignments = with_seed;
  *out = config;
  return CO_OK;
}
