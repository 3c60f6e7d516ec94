// SPDX-License-Identifier: Apache-2.0
// co_context: what every part of Cohort gets instead of globals: a counting allocator with fault
// injection, a log, I/O fault injection, a thread count and signs of life. Several may live in one process. The
// functions here may be called from any thread.
#ifndef COHORT_CORE_CONTEXT_H
#define COHORT_CORE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_context co_context;

typedef enum co_log_level {
  CO_LOG_ERROR,
  CO_LOG_WARN,
  CO_LOG_INFO,
  CO_LOG_DEBUG,
  CO_LOG_TRACE
} co_log_level;

// Receives every log record at or below the level, one complete line without '\n', serialised by a
// mutex. `event` is a stable word ("train", "eval", "checkpoint", …), `text` is key=value pairs or
// a sentence.
typedef void (*co_log_sink)(void *user, co_log_level level, const char *event, const char *text);

// Called from any thread whenever a piece of work was done or is begun (an operation, a block of a
// file): the next call comes within `seconds`, or something is stuck. It must be quick.
typedef void (*co_alive_function)(void *user, int seconds);
enum {
  CO_PATIENCE = 10,     // seconds for an operation, or for a block of a stream
  CO_PATIENCE_DISK = 60 // for what has to reach the disk
};

typedef struct co_context_options {
  int threads;             // compute threads; 0 = as many as cores may be used (host/core/cores.h)
  const char *threads_why; // where that number comes from, in a few words; NULL = "given"
  int thread_limit;        // no backend may use more threads; 0 = no limit. Bounds the default
  const char *limit_why;   // where that one comes from; NULL = "the limit"
  co_log_level level;      // default CO_LOG_WARN (0 is CO_LOG_ERROR)
  co_log_sink sink;        // NULL = silent
  void *sink_user;
  co_alive_function alive; // NULL = nobody asks
  void *alive_user;
  int standard_output; // the descriptor that "-" names as an output; 0 = 1
} co_context_options;

// `options` may be NULL. Out: *out is owned; free with co_context_free.
co_status co_context_create(co_context **out, const co_context_options *options);
void co_context_free(co_context *ctx);
int co_context_threads(const co_context *ctx);
void co_context_set_threads(co_context *ctx, int threads); // 0 = the default; within no limit
// Why it is so many: "all cores", "the container's CPU quota of 1.5", …; borrowed.
const char *co_context_threads_why(const co_context *ctx);
int co_context_thread_limit(const co_context *ctx); // 0 = none
const char *co_context_limit_why(const co_context *ctx);
int co_context_standard_output(const co_context *ctx);
void co_context_set_log(co_context *ctx, co_log_level level, co_log_sink sink, void *user);
// From now on lines of higher levels go nowhere; gives the level before.
co_log_level co_context_set_level(co_context *ctx, co_log_level level);

// Asked before the HDF5 library parses a file that has no checksum of its own: a damaged one can
// crash the library or keep it busy for ever, so whoever can lets another process read the file
// first. CO_OK: it could be read. Else an error, with `failure` where the file is at fault.
typedef co_status (*co_probe)(void *user, const char *path, co_status failure);
// NULL (the default) = files are opened as they are.
void co_context_set_probe(co_context *ctx, co_probe probe, void *user);
co_status co_context_probe(co_context *ctx, const char *path, co_status failure);

void co_log(co_context *ctx, co_log_level level, const char *event, const char *format, ...)
    CO_PRINTF(4, 5);
// Warnings are also counted and kept (the first 100) for the final summary and run.json.
int64_t co_context_warning_count(const co_context *ctx);
// The i-th kept warning, borrowed until co_context_free; NULL beyond the kept ones.
const char *co_context_warning(const co_context *ctx, int64_t i);

void co_alive(co_context *ctx, int seconds);

// ---- memory ------------------------------------------------------------------------------------
// All memory of Cohort's own comes from here. On failure: NULL, and a CO_ERR_MEMORY error naming
// the bytes is recorded; callers `return CO_ERR_MEMORY`. Zero bytes give a valid pointer. What goes
// beyond the process's limit (host/core/memory.h, found out when the context is created) fails as
// well: the system would give it, and end the process when it is used.
void *co_alloc(co_context *ctx, size_t bytes);                   // 64-byte aligned, uninitialised
void *co_alloc_zero(co_context *ctx, size_t count, size_t size); // overflow-checked, zeroed
// Grows or shrinks; on failure the old block stays valid. `pointer` may be NULL.
void *co_realloc(co_context *ctx, void *pointer, size_t bytes);
char *co_strdup(co_context *ctx, const char *text);
char *co_format(co_context *ctx, const char *format, ...) CO_PRINTF(2, 3);
void co_free(co_context *ctx, void *pointer); // NULL is legal

// The same question for memory that a library is about to take by itself.
co_status co_memory_require(co_context *ctx, size_t bytes);
// What is left below the limit: less what was resident before and is allocated here, or what is
// resident now if that is more, and a reserve of 32 MiB (of small limits, a quarter).
size_t co_context_memory_left(const co_context *ctx);
size_t co_context_memory_limit(const co_context *ctx);
void co_context_set_memory_limit(co_context *ctx, size_t bytes);

typedef struct co_alloc_stats {
  int64_t live_blocks, live_bytes, peak_bytes;
  int64_t calls; // allocations asked for so far (alloc, zero, realloc)
} co_alloc_stats;
co_alloc_stats co_alloc_get_stats(const co_context *ctx);
// Fault injection: the `nth` allocation from now (1 = the next) fails; with `persistent` also all
// later ones. nth = 0 switches it off.
void co_alloc_fail_at(co_context *ctx, int64_t nth, bool persistent);
// The same for writing file operations made through core/file.h and core/h5.h (open for writing,
// write, flush, sync, rename); fails with `errno_value` (ENOSPC, EIO …).
void co_io_fail_at(co_context *ctx, int64_t nth, bool persistent, int errno_value);
// Called by those before each such operation: 0, or the errno to fail with.
int co_io_fault(co_context *ctx);
int64_t co_io_calls(const co_context *ctx);
int64_t co_alloc_calls(const co_context *ctx);

// ---- arena -------------------------------------------------------------------------------------
// Bump allocation for trees and tables that die together. Not thread-safe. NULL as co_alloc.
typedef struct co_arena co_arena;
co_status co_arena_create(co_arena **out, co_context *ctx);
void co_arena_free(co_arena *arena);
co_context *co_arena_context(co_arena *arena);
void *co_arena_alloc(co_arena *arena, size_t count, size_t size); // zeroed, 16-byte aligned
char *co_arena_strdup(co_arena *arena, const char *text);
char *co_arena_strndup(co_arena *arena, const char *text, size_t length);
char *co_arena_format(co_arena *arena, const char *format, ...) CO_PRINTF(2, 3);

// ---- growing arrays ----------------------------------------------------------------------------
// Makes room for one more element in `*data` (element size `size`), doubling `*capacity`.
co_status co_grow(co_context *ctx, void **data, int64_t *capacity, int64_t count, size_t size);

// A growing text buffer; `data` is NUL-terminated once anything was added.
typedef struct co_text {
  co_context *ctx;
  char *data;
  size_t length, capacity;
  co_status status; // the first failure sticks; later appends do nothing
} co_text;
void co_text_init(co_text *text, co_context *ctx);
void co_text_free(co_text *text);
void co_text_append(co_text *text, const char *bytes, size_t length);
void co_text_printf(co_text *text, const char *format, ...) CO_PRINTF(2, 3);
bool co_text_ends_in(const char *text, const char *end);

#ifdef __cplusplus
}
#endif
#endif
