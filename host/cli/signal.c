// SPDX-License-Identifier: Apache-2.0
#include "host/cli/signal.h"

#include <string.h>
#include <unistd.h>

// The one variable of the program outside a context: a handler can reach nothing else.
static volatile sig_atomic_t stop;

static void on_signal(int number) {
  if (stop) _exit(128 + number);
  stop = number;
}

void cli_signals_install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);
  sigaction(SIGXFSZ, &action, NULL); // a file that may not grow is an error of its write
}

const volatile sig_atomic_t *cli_stop_flag(void) {
  return &stop;
}
