// SPDX-License-Identifier: Apache-2.0
#include "host/cli/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/signal.h"
#include "host/core/memory.h"

extern char **environ;

// Processor time for a file: reading a megabyte takes milliseconds, of the most compressible data
// some seconds. Time on the clock is for a process that waits for ever.
static double processor_seconds(off_t bytes) {
  return 3 + 4.0 * (double)bytes / (1 << 20);
}

static double clock_seconds(off_t bytes) {
  return 60 + 10 * processor_seconds(bytes);
}

// ---- the process that reads --------------------------------------------------------------------

// `grace` is between the limit that warns and the one that kills.
static void lower_limit(int resource, double value, rlim_t grace) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) != 0) return;
  rlim_t wanted = value < 0x1p62 ? (rlim_t)value : RLIM_INFINITY;
  if (limit.rlim_max != RLIM_INFINITY && wanted >= limit.rlim_max - grace) return;
  if (wanted == RLIM_INFINITY) return;
  limit.rlim_cur = wanted;
  limit.rlim_max = wanted + grace;
  setrlimit(resource, &limit);
}

static void bound_resources(const char *path) {
  struct stat info;
  off_t bytes = stat(path, &info) == 0 ? info.st_size : 0;
  lower_limit(RLIMIT_CORE, 0, 0);
  lower_limit(RLIMIT_CPU, processor_seconds(bytes), 1);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // these reserve terabytes
  // What may be used, the file as it is mapped, and what program and libraries take.
  lower_limit(RLIMIT_AS, (double)co_memory_limit(NULL) + (double)bytes + 0x1p30, 0);
#endif
}

static int send_error(const cohort_result *result, cohort_status status) {
  cohort_error error = {.message = "", .file = "", .hint = ""};
  co_error record = {.status = (co_status)status};
  if (cohort_result_error(result, 0, &error)) {
    snprintf(record.message, sizeof record.message, "%s", error.message);
    snprintf(record.file, sizeof record.file, "%s", error.file);
    snprintf(record.hint, sizeof record.hint, "%s", error.hint);
    record.line = error.line;
    record.column = error.column;
  }
  const char *at = (const char *)&record;
  for (size_t left = sizeof record; left > 0;) {
    ssize_t written = write(STDOUT_FILENO, at, left);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    at += written;
    left -= (size_t)written;
  }
  return status;
}

// The other may have ended before this one asked to end with it: nothing holds the pipe's other end.
static bool nobody_waits(void) {
  struct pollfd out = {.fd = STDOUT_FILENO};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

int cli_probe_serve(const char *path) {
  cohort_context *context;
  cohort_result *result = NULL;
  const cohort_context_options options = {.threads = 1, .log_level = COHORT_LOG_ERROR};
  prctl(PR_SET_PDEATHSIG, SIGKILL); // a signal may end the other without a last word
  if (nobody_waits()) return (cohort_status)CO_INTERRUPTED;
  bound_resources(path);
  cohort_status status = cohort_context_create(&context, &options);
  if (status) return status;
  status = cohort_probe(context, path, &result);
  if (status && result) send_error(result, status);
  cohort_result_free(result);
  cohort_context_free(context);
  return status;
}

// ---- the process that waits --------------------------------------------------------------------

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

// 0, or the errno. The other's stdout is `out`; what its libraries say is dropped.
static int start(pid_t *pid, const char *path, int out) {
  char *const words[] = {"cohort", "--probe", (char *)path, NULL};
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  if (!error)
    error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  if (!error) error = posix_spawn(pid, "/proc/self/exe", &actions, NULL, words, environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

typedef enum outcome { ENDED, TOO_LONG, STOPPED } outcome;

// Until the other closes its stdout, by its end if by nothing else.
static outcome wait_for_end(int in, double seconds, co_error *error, size_t *received) {
  double end = now() + seconds;
  for (;;) {
    struct pollfd descriptor = {.fd = in, .events = POLLIN};
    int ready = poll(&descriptor, 1, 100);
    if (*cli_stop_flag()) return STOPPED;
    if (now() > end) return TOO_LONG;
    if (ready <= 0) continue;
    ssize_t got = read(in, (char *)error + *received, sizeof *error - *received);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ENDED;
    *received += (size_t)got;
  }
}

// What became of the other, in the words of an error; true if it read the file.
static bool judge(co_error *error, const char *path, int failure, outcome how, int status,
                  double seconds, bool told) {
  if (how == STOPPED) {
    co_fail(CO_INTERRUPTED, "stopped while looking at '%s'", path);
  } else if (how == TOO_LONG || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)) {
    co_fail((co_status)failure,
            "'%s' is damaged: HDF5 did not come to an end reading it (given up after %.0f s%s)",
            path, seconds, how == TOO_LONG ? "" : " of processor time");
  } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) { // nobody else does that
    co_fail(CO_ERR_MEMORY, "'%s': the system ended the process that read it: out of memory", path);
  } else if (WIFSIGNALED(status)) {
    co_fail((co_status)failure, "'%s' is damaged: HDF5 could not read it and ended by signal %d",
            path, WTERMSIG(status));
  } else if (WEXITSTATUS(status) == 0) {
    return true;
  } else if (told) {
    error->message[sizeof error->message - 1] = error->file[sizeof error->file - 1] = '\0';
    error->hint[sizeof error->hint - 1] = '\0';
    // The other does not know what the file was to be, but a model when it sees one.
    if (error->status == CO_ERR_DATA) error->status = (co_status)failure;
    return false;
  } else {
    co_fail((co_status)failure, "'%s' is damaged: HDF5 could not read it (exit %d)", path,
            WEXITSTATUS(status));
  }
  co_error_copy(error);
  return false;
}

static bool read_by_another(const char *path, off_t bytes, int failure, co_error *error,
                            int *problem) {
  int ends[2], status = 0;
  pid_t pid = -1;
  size_t received = 0;
  *problem = pipe(ends) ? errno : 0;
  if (*problem) return false;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  *problem = start(&pid, path, ends[1]);
  close(ends[1]);
  outcome how = ENDED;
  if (!*problem) {
    how = wait_for_end(ends[0], clock_seconds(bytes), error, &received);
    if (how != ENDED) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  close(ends[0]);
  if (*problem) return false;
  double seconds = how == TOO_LONG ? clock_seconds(bytes) : processor_seconds(bytes);
  return judge(error, path, failure, how, status, seconds, received == sizeof *error);
}

static bool same(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
         a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool is_known(const cli_probed *probed, const struct stat *info) {
  int kept = (int)(sizeof probed->file / sizeof *probed->file);
  for (int i = 0; i < probed->count && i < kept; i++)
    if (same(&probed->file[i], info)) return true;
  return false;
}

cohort_status cli_probe(void *user, const char *path, cohort_status failure,
                        struct cohort_error *error) {
  cli_job *cli = user;
  cli_probed *probed = &cli->probed;
  co_error *record = &probed->error;
  struct stat info;
  int problem;
  memset(record, 0, sizeof *record);
  if (stat(path, &info) != 0 || is_known(probed, &info)) return 0; // opening says what is wrong
  if (read_by_another(path, info.st_size, failure, record, &problem)) {
    probed->file[probed->count++ % (int)(sizeof probed->file / sizeof *probed->file)] = info;
    return 0;
  }
  if (problem) {
    co_log(cli->ctx, CO_LOG_WARN, "probe", "'%s' is read without being probed first: %s", path,
           strerror(problem));
    return 0;
  }
  *error = (cohort_error){.status = record->status,
                          .code = co_status_name(record->status),
                          .message = record->message,
                          .file = record->file,
                          .line = record->line,
                          .column = record->column,
                          .hint = record->hint};
  return record->status;
}
