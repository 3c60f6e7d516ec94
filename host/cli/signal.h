// SPDX-License-Identifier: Apache-2.0
// SIGINT and SIGTERM ask to stop at the next good point. At once they end the program
//  - when nothing has been begun that would have to be finished (reading a config, planning),
//  - the second time,
//  - when nothing has moved for ten seconds and twice the time of the longest step so far, or for a
//    minute where something has to reach the disk: a step or a disk is stuck.
// The same signal within a tenth of a second is the same request: timeout(1) sends it to the process
// and to its group.
// SIGUSR1 asks for a checkpoint, SIGUSR2 for a line that says where a training stands, SIGHUP, where
// it is taken, to open the log file anew.
#ifndef COHORT_CLI_SIGNAL_H
#define COHORT_CLI_SIGNAL_H

#include <signal.h>
#include <stdbool.h>

// Installs the handlers; SIGPIPE is ignored, so that a closed stdout is an error of writing.
void cli_signals_install(void);
// Says that something was done and that more will be within so many seconds: a cohort_alive_function.
void cli_signals_alive(void *user, int seconds);
// With --json: the document for `verb` that goes to `descriptor` where a signal ends the program at
// once, so that there is one. Until it is taken back by a descriptor of -1.
void cli_signals_set_document(int descriptor, const char *verb);
// The signal received, or 0. The pointer may be handed to a trainer as its stop flag.
const volatile sig_atomic_t *cli_stop_flag(void);
// How often SIGUSR1, SIGUSR2 and SIGHUP were received.
const volatile sig_atomic_t *cli_checkpoint_requests(void);
const volatile sig_atomic_t *cli_status_requests(void);
const volatile sig_atomic_t *cli_hangups(void);
// From now on SIGHUP is counted; before, it ends the program as ever.
void cli_signals_take_hangups(void);

#endif
