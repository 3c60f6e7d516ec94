// SPDX-License-Identifier: Apache-2.0
#include "host/cli/killed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/cli/signal.h"

extern char **environ;

void cli_killed_begin(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

typedef struct words {
  co_arena *arena;
  const char **item;
  int64_t count;
  bool good;
} words;

static void add(words *w, const char *word) {
  w->good = w->good && word;
  if (w->good) w->item[w->count++] = word;
}

// "--name=value", if there is one.
static void add_option(words *w, const char *name, const char *value) {
  if (value) add(w, co_arena_format(w->arena, "--%s=%s", name, value));
}

static void add_number(words *w, const char *name, int64_t value) {
  if (value != CLI_UNSET) add(w, co_arena_format(w->arena, "--%s=%lld", name, (long long)value));
}

static bool make_command(words *w, const cli_killed *k, const char *run_dir, int64_t step) {
  const cli_common *common = &k->options->common;
  const cohort_config *config = k->config;
  int64_t room = config->file_count + config->assignment_count + 16;
  *w = (words){.arena = k->cli->arena};
  w->item = co_arena_alloc(w->arena, (size_t)room, sizeof *w->item);
  w->good = w->item != NULL;
  add(w, "cohort");
  add(w, "--kill-at");
  add(w, co_arena_format(w->arena, "%lld", (long long)step));
  add(w, "train");
  for (int64_t i = 0; i < config->file_count; i++)
    add_option(w, "config", config->files[i]);
  for (int64_t i = 0; i < config->assignment_count; i++)
    add_option(w, "set", config->assignments[i]);
  add_option(w, "dataset", k->options->dataset);
  add_option(w, "run-dir", run_dir);
  add_option(w, "resume", "auto");
  add_option(w, "device", common->device);
  add_option(w, "precision", common->precision);
  add_number(w, "threads", common->threads);
  add_number(w, "workers", k->options->workers);
  add(w, "--quiet");
  return w->good;
}

// Its result goes nowhere, its errors where those of this process go. 0, or the errno.
static int start(pid_t *pid, const words *w) {
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  if (!error)
    error = posix_spawn(pid, "/proc/self/exe", &actions, NULL, (char *const *)w->item, environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

int cli_train_and_kill(void *user, const char *run_dir, int64_t step) {
  const cli_killed *k = user;
  words w;
  pid_t pid;
  int status = 0;
  if (!make_command(&w, k, run_dir, step) || start(&pid, &w) != 0) return CO_ERR_INTERNAL;
  for (pid_t ended; (ended = waitpid(pid, &status, WNOHANG)) != pid;) {
    if (ended < 0 && errno != EINTR) return CO_ERR_INTERNAL;
    if (*cli_stop_flag()) kill(pid, SIGKILL);
    cli_signals_alive(NULL, CO_PATIENCE);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
  }
  if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGKILL ? 0 : 128 + WTERMSIG(status);
  return WEXITSTATUS(status) ? WEXITSTATUS(status) : CO_ERR_GATE;
}
