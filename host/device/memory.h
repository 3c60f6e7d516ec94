// SPDX-License-Identifier: Apache-2.0
// How much memory this process may use.
#ifndef COHORT_HOST_DEVICE_MEMORY_H
#define COHORT_HOST_DEVICE_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Bytes of host memory that this process may use: the machine's, or the limit of a control group
// (cgroup v1 or v2: containers, batch systems) above it; SIZE_MAX if neither is told.
size_t co_memory_limit(void);
// The least limit of the groups that a file like /proc/self/cgroup names, and of those above them:
// `unified` and `memory` are where the hierarchies of v2 and of v1's controller are mounted.
size_t co_memory_group_limit(const char *file, const char *unified, const char *memory);

#ifdef __cplusplus
}
#endif
#endif
