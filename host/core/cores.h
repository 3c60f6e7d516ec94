// SPDX-License-Identifier: Apache-2.0
// How many cores this process may use: its CPU set, and the quota of the container (cgroup) it is in.
#ifndef COHORT_CORE_CORES_H
#define COHORT_CORE_CORES_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_cores {
  int machine;  // cores that are online
  int affinity; // of those, in this process's CPU set
  double quota; // CPU seconds a second that the container grants; 0 = no quota
  int usable;   // as many threads as can work at once: the smaller one, a quota rounded up
} co_cores;

void co_cores_find(co_cores *out);
// CPU seconds a second that the process's control groups grant (cpu.max; in version 1
// cpu.cfs_quota_us / cpu.cfs_period_us). False, and 0, if there is no quota. `root`: co_cgroup_walk.
bool co_cores_quota(double *out, const char *root);

#ifdef __cplusplus
}
#endif
#endif
