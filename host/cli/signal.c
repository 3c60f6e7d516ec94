// SPDX-License-Identifier: Apache-2.0
#include "host/cli/signal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/core/context.h"

// The only variables of the program outside a context: a handler can reach nothing else.
static volatile sig_atomic_t stop, checkpoints, statuses, hangups;
static volatile sig_atomic_t document_to = -1;
static char documents[2][512]; // of SIGINT, of SIGTERM
// Milliseconds of a steady clock: when the signal came; when something was done last, how long the next
// may take (0 = nothing has been begun), and how long the longest took.
static atomic_int_least64_t stopped_at, moved_at, patience, longest;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

// ---- ending at once ----------------------------------------------------------------------------

// All of it or nothing: a handler must not wait for a reader.
static void say(int descriptor, const char *text) {
  struct pollfd reader = {.fd = descriptor, .events = POLLOUT};
  size_t length = strlen(text);
  if (poll(&reader, 1, 0) == 1 && (reader.revents & POLLOUT) && length <= _POSIX_PIPE_BUF)
    if (write(descriptor, text, length) < 0) return;
}

static void end(int number, const char *why) {
  say(STDERR_FILENO, why);
  if (document_to >= 0) say(document_to, documents[number == SIGTERM]);
  _exit(128 + number);
}

static void on_signal(int number) {
  int error = errno;
  int64_t time = now();
  if (stop && time - atomic_load(&stopped_at) < 100) return;
  if (stop) end(number, "error[interrupted]: ended at once by a second signal\n");
  if (!atomic_load(&patience)) end(number, "error[interrupted]: ended by a signal\n");
  stop = number;
  atomic_store(&stopped_at, time);
  alarm(1);
  errno = error;
}

// Once a second after the first signal.
static void on_alarm(int number) {
  (void)number;
  int64_t still = now() - atomic_load(&moved_at);
  if (still > atomic_load(&patience) + 2 * atomic_load(&longest))
    end(stop, "error[interrupted]: ended at once after a signal, because nothing moves any more\n");
  alarm(1);
}

void cli_signals_alive(void *user, int seconds) {
  int64_t time = now(), last = atomic_exchange(&moved_at, time);
  (void)user;
  // What waited for a disk says nothing about the steps.
  bool step = atomic_exchange(&patience, (int64_t)seconds * 1000) == CO_PATIENCE * 1000;
  if (step && time - last > atomic_load(&longest)) atomic_store(&longest, time - last);
}

void cli_signals_set_document(int descriptor, const char *verb) {
  static const int numbers[2] = {SIGINT, SIGTERM};
  document_to = -1;
  if (descriptor < 0) return;
  for (int i = 0; i < 2; i++) {
    char error[160];
    snprintf(error, sizeof error,
             "{\"code\":\"interrupted\",\"exit\":%d,\"message\":\"ended at once by a signal\","
             "\"where\":null,\"hint\":null}",
             128 + numbers[i]);
    snprintf(documents[i], sizeof documents[i],
             "{\"ok\":false,\"verb\":\"%s\",\"exit\":%d,\"error\":%s,\"errors\":[%s]}\n", verb,
             128 + numbers[i], error, error);
  }
  document_to = descriptor;
}

// ---- requests ----------------------------------------------------------------------------------

static void on_request(int number) {
  if (number == SIGUSR1) checkpoints++;
  if (number == SIGUSR2) statuses++;
  if (number == SIGHUP) hangups++;
}

static void install(int number, void (*handler)(int)) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(number, &action, NULL);
}

// They may have been left blocked or ignored by whoever started the program.
static void unblock(int number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void cli_signals_install(void) {
  install(SIGINT, on_signal);
  install(SIGTERM, on_signal);
  install(SIGALRM, on_alarm);
  unblock(SIGALRM);
  install(SIGUSR1, on_request);
  install(SIGUSR2, on_request);
  install(SIGPIPE, SIG_IGN);
  install(SIGXFSZ, SIG_IGN); // a file that may not grow is an error of its write
}

void cli_signals_take_hangups(void) {
  install(SIGHUP, on_request);
}

const volatile sig_atomic_t *cli_checkpoint_requests(void) {
  return &checkpoints;
}

const volatile sig_atomic_t *cli_status_requests(void) {
  return &statuses;
}

const volatile sig_atomic_t *cli_hangups(void) {
  return &hangups;
}

const volatile sig_atomic_t *cli_stop_flag(void) {
  return &stop;
}
