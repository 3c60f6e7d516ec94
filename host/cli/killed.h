// SPDX-License-Identifier: Apache-2.0
// A training in another process of this program that is killed at a step (verify resume). That
// process is started as `cohort --kill-at STEP train …` and ends itself by SIGKILL in the midst of its
// work; it dies with the one that started it.
#ifndef COHORT_CLI_KILLED_H
#define COHORT_CLI_KILLED_H

#include "host/cli/verbs.h"

typedef struct cli_killed {
  cli_job *cli;
  const cli_verify_options *options;
  const cohort_config *config;
} cli_killed;

// A train_and_kill of cohort_verify_runs_options; `user` is a cli_killed.
int cli_train_and_kill(void *user, const char *run_dir, int64_t step);
// In that process: makes it die with its parent.
void cli_killed_begin(void);

#endif
