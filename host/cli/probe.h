// SPDX-License-Identifier: Apache-2.0
// Foreign HDF5 files are first read by another process, `cohort --probe FILE`: damage may crash
// HDF5, or keep it busy for ever, and then it is that process's end and not this one's.
#ifndef COHORT_CLI_PROBE_H
#define COHORT_CLI_PROBE_H

#include <sys/stat.h>

#include "host/cohort.h"
#include "host/core/status.h"

// Files that came through it; they are not read again as long as they stay the same.
typedef struct cli_probed {
  struct stat file[32];
  int count;
  co_error error; // of the last one that did not
} cli_probed;

// A cohort_probe_function; `user` is a cli_job.
cohort_status cli_probe(void *user, const char *path, cohort_status failure,
                        struct cohort_error *error);
// The other process: reads the file and gives the exit code, with a co_error on stdout if it is not
// 0.
int cli_probe_serve(const char *path);

#endif
