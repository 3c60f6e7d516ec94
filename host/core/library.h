// SPDX-License-Identifier: Apache-2.0
// Functions of libraries that are opened on use (dlopen).
#ifndef COHORT_CORE_LIBRARY_H
#define COHORT_CORE_LIBRARY_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// `function` is where a pointer to the function is put; false = the library has none of that name.
bool co_library_find(void *library, const char *name, void *function);

#ifdef __cplusplus
}
#endif
#endif
