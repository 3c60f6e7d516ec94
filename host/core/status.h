// SPDX-License-Identifier: Apache-2.0
// Error reporting. One place makes errors: co_fail() and its variants write a thread-local,
// fixed-size record and return the code, so that a failing function reads
//     return co_fail(CO_ERR_DATA, "row %lld: label %d is out of range", row, label);
// Callers pass codes up unchanged; co_note() adds context while unwinding. A worker thread's
// record is copied with co_error_copy() and raised again by the joiner with co_error_raise().
// Codes equal the exit codes of the command line.
#ifndef COHORT_CORE_STATUS_H
#define COHORT_CORE_STATUS_H

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_status {
  CO_OK = 0,
  CO_ERR_INTERNAL = 1,  // a bug in Cohort
  CO_ERR_USAGE = 2,     // command line
  CO_ERR_CONFIG = 3,    // config invalid
  CO_ERR_DATA = 4,      // data missing, malformed or failing checks
  CO_ERR_MODEL = 5,     // model or checkpoint missing, incompatible or corrupt
  CO_ERR_DEVICE = 6,    // device or library not usable
  CO_ERR_MEMORY = 7,    // out of memory, host or device
  CO_ERR_DIVERGED = 8,  // training diverged
  CO_ERR_IO = 9,        // disk full, permission, locked, exists
  CO_ERR_GATE = 10,     // a gate or verification failed
  CO_STOPPED = 75,      // stopped early on purpose, resumable
  CO_INTERRUPTED = 130, // a signal asked to stop; the caller knows which
  CO_KILLED = 137       // what is watched, another process, is gone and has not said why
} co_status;

// The last error of this thread. Strings are NUL-terminated and truncated to fit.
typedef struct co_error {
  co_status status;
  char message[1024]; // one line
  char file[512];     // "" if not about a place in a file
  long line, column;  // 1-based, 0 if unknown
  char hint[512];     // the way out, "" if none
} co_error;

#if defined(__GNUC__)
#define CO_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define CO_PRINTF(f, a)
#endif

// Records an error (replacing an earlier one of this thread) and returns `status`.
co_status co_fail(co_status status, const char *format, ...) CO_PRINTF(2, 3);
// The same with a place; `file` may be NULL, `line` and `column` 0.
co_status co_fail_at(co_status status, const char *file, long line, long column, const char *format,
                     ...) CO_PRINTF(5, 6);
// Records "what: strerror(errno_value)", with CO_ERR_MEMORY for ENOMEM, else `status`.
co_status co_fail_errno(co_status status, int errno_value, const char *format, ...) CO_PRINTF(3, 4);
// Sets the hint of the current error; returns nothing because it never changes the outcome.
void co_hint(const char *format, ...) CO_PRINTF(1, 2);
// Puts "context: " in front of the current error's message.
void co_note(const char *format, ...) CO_PRINTF(1, 2);

// The current error of this thread; never NULL; status CO_OK if none was recorded.
const co_error *co_error_last(void);
void co_error_clear(void);
void co_error_copy(co_error *out);
co_status co_error_raise(const co_error *error);
// "config", "data", …: the stable short name used in `error[…]` lines and JSON.
const char *co_status_name(co_status status);

// Needs `co_status status` and a label `cleanup` in the enclosing function.
#define CO_TRY(expression)                                                                         \
  do {                                                                                             \
    status = (expression);                                                                         \
    if (status != CO_OK) goto cleanup;                                                             \
  } while (0)
// Plain propagation where there is nothing to clean up.
#define CO_RETURN_IF_FAILED(expression)                                                            \
  do {                                                                                             \
    co_status co_status_ = (expression);                                                           \
    if (co_status_ != CO_OK) return co_status_;                                                    \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
