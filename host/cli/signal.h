// SPDX-License-Identifier: Apache-2.0
// SIGINT and SIGTERM ask to stop at the next good point; a second one ends the program at once.
// SIGUSR1 asks for a checkpoint, SIGUSR2 for a line that says where a training stands, SIGHUP, where
// it is taken, to open the log file anew.
#ifndef COHORT_CLI_SIGNAL_H
#define COHORT_CLI_SIGNAL_H

#include <signal.h>

// Installs the handlers; SIGPIPE is ignored, so that a closed stdout is an error of writing.
void cli_signals_install(void);
// The signal received, or 0. The pointer may be handed to a trainer as its stop flag.
const volatile sig_atomic_t *cli_stop_flag(void);
// How often SIGUSR1, SIGUSR2 and SIGHUP were received.
const volatile sig_atomic_t *cli_checkpoint_requests(void);
const volatile sig_atomic_t *cli_status_requests(void);
const volatile sig_atomic_t *cli_hangups(void);
// From now on SIGHUP is counted; before, it ends the program as ever.
void cli_signals_take_hangups(void);

#endif
