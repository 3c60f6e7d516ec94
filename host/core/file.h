// SPDX-License-Identifier: Apache-2.0
// Files: atomic publication, reading whole files, directories, locks. Errors name the path. Every
// writing operation passes co_io_fault() first.
#ifndef COHORT_CORE_FILE_H
#define COHORT_CORE_FILE_H

#include <stdio.h>

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

// A file that appears under its name only when complete: a temporary in the same directory
// (host/core/temporary.h), then fsync, rename, fsync of the directory. What is replaced is a regular
// file, or nothing; a symbolic link stays, and what it leads to is replaced.
typedef struct co_atomic_file {
  co_context *ctx;
  char *path, *temporary; // owned
  int lock;               // of the temporary
  bool keep_existing;     // fail if a file of the name appears meanwhile
  bool keep;              // the temporary is not removed, but renamed by a commit
} co_atomic_file;
// Creates the temporary, empty; the caller writes `file->temporary`.
co_status co_atomic_begin(co_atomic_file *file, co_context *ctx, const char *path);
// The same with a temporary whose name another process finds again, PATH.part, with what a dead one left
// in it. While somebody has it, CO_ERR_IO: two jobs never write one file.
co_status co_atomic_begin_part(co_atomic_file *file, co_context *ctx, const char *path);
// Publishes the temporary. On failure the temporary is removed. Ends the use of `file`.
co_status co_atomic_commit(co_atomic_file *file);
// Removes the temporary if there; legal after commit and on a zeroed struct.
void co_atomic_abort(co_atomic_file *file);
// All in one for small contents.
co_status co_write_file_atomic(co_context *ctx, const char *path, const void *bytes, size_t length);

// A buffered writing stream whose every failure (also at close) is reported; counts bytes.
typedef struct co_writer co_writer;
// "-" is standard output (the context's descriptor).
co_status co_writer_open(co_writer **out, co_context *ctx, const char *path, bool append);
co_status co_writer_write(co_writer *writer, const void *bytes, size_t length);
co_status co_writer_printf(co_writer *writer, const char *format, ...) CO_PRINTF(2, 3);
co_status co_writer_flush(co_writer *writer); // to the kernel
co_status co_writer_sync(co_writer *writer);  // to the disk
int64_t co_writer_position(const co_writer *writer);
co_status co_writer_close(co_writer *writer); // flushes; frees in any case; NULL is legal

// Reads a whole file of at most `limit` bytes; *out is NUL-terminated and owned (co_free). "-" is
// standard input. A missing file is `missing` (CO_ERR_CONFIG, CO_ERR_DATA …) with the path.
co_status co_read_file(co_context *ctx, const char *path, size_t limit, co_status missing,
                       char **out, size_t *length);

char *co_path_join(co_context *ctx, const char *directory, const char *name); // NULL = no memory
bool co_path_exists(const char *path);
bool co_path_is_directory(const char *path);
bool co_path_is_same(const char *a, const char *b); // one name, or names of one regular file
int64_t co_file_bytes(const char *path);            // -1 where there is no such file
co_status co_make_directories(co_context *ctx, const char *path); // like mkdir -p
const char *co_temporary_root(const char *given);                 // that, or the system's if NULL
// A new folder of a name of its own, ROOT/NAME-xxxxxx; `root` as above. *out is the arena's.
co_status co_make_temporary_folder(char **out, co_arena *arena, const char *root, const char *name);
void co_remove_folder(const char *path); // with all that is in it, as far as that can be
co_status co_truncate_file(co_context *ctx, const char *path, int64_t length);
co_status co_rename(co_context *ctx, const char *from, const char *to); // and fsync of the folder
co_status co_remove_file(co_context *ctx, const char *path);            // a missing one is no error
// Makes the symbolic link `path` -> `target` by rename, replacing an older link.
co_status co_replace_symlink(co_context *ctx, const char *target, const char *path);
// Exclusive advisory lock; the file is created and stays. If it is taken, CO_ERR_IO with what that
// means ("another run has this folder") and the holder.
co_status co_lock_file(int *out_descriptor, co_context *ctx, const char *path, const char *meaning);
void co_unlock_file(int descriptor); // -1 is legal
// One that several have at once.
co_status co_lock_file_shared(int *out_descriptor, co_context *ctx, const char *path);
// Whether somebody has a lock of either kind, without keeping it; unknown where the file system has no locks or
// the file cannot be read.
typedef enum co_lock_state { CO_LOCK_FREE, CO_LOCK_TAKEN, CO_LOCK_UNKNOWN } co_lock_state;
co_lock_state co_lock_look(const char *path);

#ifdef __cplusplus
}
#endif
#endif
