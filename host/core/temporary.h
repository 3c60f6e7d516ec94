// SPDX-License-Identifier: Apache-2.0
// Temporary files. Each is called NAME.tmp-PID-STAMP, with 16 hexadecimal digits that no other has,
// and is locked (flock) by the process that made it as long as that lives, in whatever container. So
// a temporary that a dead process left can be told from one in use, and both from files of others:
// only what has such a name and whose lock is free is ever removed.
#ifndef COHORT_CORE_TEMPORARY_H
#define COHORT_CORE_TEMPORARY_H

#include <sys/types.h>

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

// A new name beside `path`; nothing is created. To be freed; NULL = no memory.
char *co_temporary_name(co_context *ctx, const char *path);
// Creates an empty one for `path` and locks it. *name is to be freed, *lock to be closed once the
// file has been renamed or removed.
co_status co_temporary_create(char **name, int *lock, co_context *ctx, const char *path);
// Whether the process that made a temporary is gone. `folder` is the descriptor of the folder that
// `name`, the lock's file, is in. A file that cannot be locked counts as in use.
bool co_temporary_is_abandoned(int folder, const char *name);

// Calls `visit` with each entry of `folder` that is named like a temporary of a NAME which `is_ours`
// accepts; a folder that cannot be read has none.
typedef struct co_temporary {
  int folder;       // descriptor
  const char *name; // entry
  pid_t pid;
} co_temporary;
typedef bool (*co_temporary_filter)(void *user, const char *name);
typedef void (*co_temporary_visitor)(void *user, const co_temporary *found);
void co_temporary_visit(const char *folder, co_temporary_filter is_ours, co_temporary_visitor visit,
                        void *user);

// Removes files and links that dead processes left: those of `path`, and those of every name in
// `folder` that `is_ours` accepts. Folders stay. Best effort.
void co_remove_stale_temporaries(co_context *ctx, const char *path);
void co_remove_stale_temporaries_in(const char *folder, co_temporary_filter is_ours, void *user);

#ifdef __cplusplus
}
#endif
#endif
