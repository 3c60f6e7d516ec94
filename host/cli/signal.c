// SPDX-License-Identifier: Apache-2.0
#include "host/cli/signal.h"

#include <string.h>
#include <unistd.h>

// The only variables of the program outside a context: a handler can reach nothing else.
static volatile sig_atomic_t stop, checkpoints, statuses, hangups;

static void on_signal(int number) {
  if (stop) _exit(128 + number);
  stop = number;
}

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

void cli_signals_install(void) {
  install(SIGINT, on_signal);
  install(SIGTERM, on_signal);
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
