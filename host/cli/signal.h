// SPDX-License-Identifier: Apache-2.0
// SIGINT and SIGTERM ask to stop at the next good point; a second one ends the program at once.
#ifndef COHORT_CLI_SIGNAL_H
#define COHORT_CLI_SIGNAL_H

#include <signal.h>

// Installs the handlers; SIGPIPE is ignored, so that a closed stdout is an error of writing.
void cli_signals_install(void);
// The signal received, or 0. The pointer may be handed to a trainer as its stop flag.
const volatile sig_atomic_t *cli_stop_flag(void);

#endif
