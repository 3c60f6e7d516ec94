// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/cli/environment.h"
#include "host/cli/killed.h"
#include "host/cli/signal.h"
#include "host/cli/verbs.h"

// ---- verbs -------------------------------------------------------------------------------------

static const cli_verb *const verbs[] = {
    &cli_verb_import,   &cli_verb_plan,       &cli_verb_train,   &cli_verb_experiment,
    &cli_verb_hyperopt, &cli_verb_evaluate,   &cli_verb_predict, &cli_verb_export,
    &cli_verb_convert,  &cli_verb_report,     &cli_verb_verify,  &cli_verb_data,
    &cli_verb_select,   &cli_verb_synthesize, &cli_verb_inspect, &cli_verb_init_config,
    &cli_verb_render,   &cli_verb_schema,     &cli_verb_doctor,  &cli_verb_compare,
    &cli_verb_watch,    &cli_verb_bench,      &cli_verb_explain, &cli_verb_similar,
    &cli_verb_generate, &cli_verb_help,
};

const cli_verb *cli_verb_at(int i) {
  for (size_t k = 0; k < sizeof verbs / sizeof *verbs; k++)
    if (verbs[k]->run && i-- == 0) return verbs[k];
  return NULL;
}

const cli_verb *cli_verb_find(const char *name) {
  const cli_verb *verb;
  for (int i = 0; (verb = cli_verb_at(i)) != NULL; i++)
    if (cli_same_name(verb->name, name) || cli_in_names(verb->aliases, name)) return verb;
  return NULL;
}

co_status cli_verb_unknown(const char *name) {
  const char *names[sizeof verbs / sizeof *verbs];
  int64_t count = 0;
  for (; cli_verb_at((int)count); count++)
    names[count] = cli_verb_at((int)count)->name;
  const char *near = co_nearest(name, names, count);
  co_fail(CO_ERR_USAGE, name[0] == '-' ? "the verb comes first, not '%s'" : "unknown verb '%s'",
          name);
  if (near)
    co_hint("did you mean '%s'?", near);
  else
    co_hint("`cohort help` lists the verbs");
  return CO_ERR_USAGE;
}

cli_syntax cli_verb_syntax(const cli_verb *verb) {
  return (cli_syntax){.verb = verb->name,
                      .common = verb->common,
                      .options = verb->options,
                      .operand = verb->operand,
                      .min_operands = verb->min_operands,
                      .max_operands = verb->max_operands,
                      .operands = verb->operands};
}

// ---- running -----------------------------------------------------------------------------------

// A file opened later must not get the number of a closed standard stream and be written as such.
static void open_standard_streams(void) {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      // stdout read-only: writing a result to nowhere is an error.
      if (open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY) < 0) return;
}

// Errors in the options themselves must already be reported in the form asked for.
static bool asks_for_json(int count, char *const *words) {
  for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++)
    if (strcmp(words[i], "--json") == 0) return true;
  return false;
}

static co_status run_verb(cli_job *cli, int count, char *const *words) {
  const cli_verb *verb = cli->verb;
  void *options = co_arena_alloc(cli->arena, 1, verb->options_size);
  if (!options) return CO_ERR_MEMORY;
  cli_syntax syntax = cli_verb_syntax(verb);
  co_status status = cli_parse(options, &syntax, cli->arena, count, words);
  if (status == CO_ERR_USAGE && !cli->as_json)
    fprintf(stderr, "usage: cohort %s %s\n", verb->name, verb->usage);
  if (status != CO_OK) return status;
  const cli_common *common = options;
  CO_RETURN_IF_FAILED(cli_configure(cli, common));
  if (cli->as_json) cli_signals_set_document(cli->result, verb->name);
  if (!common->help) return verb->run(cli, options);
  if (common->json) return co_fail(CO_ERR_USAGE, "--help is text: it does not go with --json");
  return cli_help_told(cli, verb);
}

static co_status dispatch(cli_job *cli, int count, char *const *words) {
  const char *first = count ? words[0] : "";
  if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) return cli_show_version(cli);
  if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
    cli_help_overview(&cli->text);
    return CO_OK;
  }
  cli->verb = cli_verb_find(first);
  if (cli->verb) return run_verb(cli, count - 1, words + 1);
  if (!cli->as_json) {
    co_text usage;
    co_text_init(&usage, cli->ctx);
    cli_help_overview(&usage);
    if (usage.data) fputs(usage.data, stderr);
    co_text_free(&usage);
  }
  return count ? cli_verb_unknown(first) : co_fail(CO_ERR_USAGE, "a verb is missing");
}

// A word as a shell reads it back: as it is, or in single quotes, where only the quote itself is
// special.
static void quote_word(co_text *text, const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "@%+=:,./_-";
  if (*word && strspn(word, plain) == strlen(word)) {
    co_text_printf(text, "%s", word);
    return;
  }
  co_text_printf(text, "'");
  for (size_t length; *word; word += length) {
    length = strcspn(word, "'");
    co_text_append(text, word, length);
    if (!word[length]) break;
    co_text_printf(text, "'\\''");
    length++;
  }
  co_text_printf(text, "'");
}

// The command line, for the record, such that it can be given to a shell again.
static const char *join_words(co_arena *arena, int count, char *const *words) {
  co_text text;
  co_text_init(&text, co_arena_context(arena));
  co_text_printf(&text, "cohort");
  for (int i = 0; i < count; i++) {
    co_text_printf(&text, " ");
    quote_word(&text, words[i]);
  }
  const char *line = text.status == CO_OK ? co_arena_strdup(arena, text.data) : NULL;
  co_text_free(&text);
  return line;
}

static void clean_up(cli_job *cli) {
  co_context_set_log(cli->ctx, CO_LOG_ERROR, NULL, NULL);
  co_progress_free(cli->progress);
  if (cli->log_file) fclose(cli->log_file);
  co_json_free(&cli->json);
  co_free(cli->ctx, cli->document);
  co_text_free(&cli->text);
  co_diagnostics_free(&cli->problems);
  co_arena_free(cli->arena);
  co_context_free(cli->ctx);
}

static int run(int count, char *const *words, int64_t kill_at) {
  cli_job cli = {.as_json = asks_for_json(count, words), .kill_at = kill_at};
  cli_result_open(&cli);
  co_status status = co_context_create(&cli.ctx, NULL);
  if (status == CO_OK) status = co_arena_create(&cli.arena, cli.ctx);
  if (status != CO_OK) {
    fprintf(stderr, "error[%s]: %s\n", co_status_name(status), co_error_last()->message);
    return status;
  }
  co_diagnostics_init(&cli.problems, cli.ctx);
  co_json_init(&cli.json, cli.ctx, 0);
  co_text_init(&cli.text, cli.ctx);
  co_json_open(&cli.json, '{');
  cli.command = join_words(cli.arena, count, words);
  cli_allow_files();
  status = cli_enlarge_stacks() ? dispatch(&cli, count, words) : CO_ERR_MEMORY;
  int exit_code = cli_finish(&cli, status);
  clean_up(&cli);
  return exit_code;
}

int main(int argc, char **argv) {
  int count = argc > 0 ? argc - 1 : 0;
  char *const *words = argv + 1;
  int64_t kill_at = 0;
  if (count > 2 && strcmp(words[0], "--kill-at") == 0) { // host/cli/killed.h
    cli_killed_begin();
    kill_at = strtoll(words[1], NULL, 10);
    words += 2;
    count -= 2;
  }
  const cli_verb *verb = count ? cli_verb_find(words[0]) : NULL;
  if (verb && (verb->common & CLI_THREADS)) cli_bound_spinning(argv);
  open_standard_streams();
  cli_pin_products();
  if (count == 2 && strcmp(words[0], "--probe") == 0) return cli_probe_serve(words[1]);
  cli_signals_install();
  return run(count, words, kill_at);
}
