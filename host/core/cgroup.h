// SPDX-License-Identifier: Apache-2.0
// Control groups: where the limits that a container or a service manager sets are to be read.
#ifndef COHORT_CORE_CGROUP_H
#define COHORT_CORE_CGROUP_H

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*co_cgroup_visit)(void *user, const char *folder, int version);

// Calls `visit` with the folder of this process's group and of each group that one lies in, from the
// inside out, in the hierarchies of `controller` ("cpu", "memory") for version 1 and 2: limits of all of
// them count. A folder need not exist. `root` is put before /proc and /sys: "" but in tests.
void co_cgroup_walk(const char *controller, const char *root, co_cgroup_visit visit, void *user);

#ifdef __cplusplus
}
#endif
#endif
