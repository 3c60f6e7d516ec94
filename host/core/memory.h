// SPDX-License-Identifier: Apache-2.0
// How much memory this process may use. A system that promises more than it has ends the process
// later, without a word; so what is asked for is compared with this before it is taken.
#ifndef COHORT_CORE_MEMORY_H
#define COHORT_CORE_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_MEMORY_SOURCE_BYTES = 1200 };

// Bytes of host memory that this process may use: the machine's, the limit of a control group
// (cgroup v1 or v2: containers, batch systems) above it, or that of its address space (`ulimit
// -v`), whichever is least; SIZE_MAX if none is told. Where it comes from goes into `source` (NULL
// = not wanted): "the machine", the path of the control group's file, "ulimit -v".
size_t co_memory_limit(char source[CO_MEMORY_SOURCE_BYTES]);
// The least limit of the groups that a file like /proc/self/cgroup names, and of those above them:
// `unified` and `memory` are where the hierarchies of v2 and of v1's controller are mounted.
size_t co_memory_group_limit(const char *file, const char *unified, const char *memory,
                             char source[CO_MEMORY_SOURCE_BYTES]);
// The most bytes that were resident so far, mapped files included; 0 = not known.
size_t co_memory_peak(void);
// Bytes in use that no file could give back: the process's anonymous resident memory, by anybody
// in it; 0 if the system does not tell.
size_t co_memory_anonymous(void);
// "123.4 GiB"
const char *co_memory_print(char out[32], double bytes);

#ifdef __cplusplus
}
#endif
#endif
