// SPDX-License-Identifier: Apache-2.0
#include "host/core/context.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/cores.h"
#include "host/core/memory.h"

enum { MAX_WARNINGS = 100, ALIGNMENT = 64, LARGE_BYTES = 1 << 20, RESERVE_BYTES = 32 << 20 };

// A countdown on a counter of calls: the call number that fails, negated if all later ones fail
// too, 0 if none. One number, so that arming it is one atomic store.
typedef struct fault {
  atomic_int_least64_t calls, trigger;
} fault;

struct co_context {
  atomic_int threads;
  int thread_limit, standard_output;
  char threads_why[64], limit_why[64];
  co_alive_function alive;
  void *alive_user;
  atomic_int_least64_t live_blocks, live_bytes, peak_bytes;
  atomic_size_t memory_limit;
  size_t memory_before; // resident in the process when the context was created
  co_probe probe;
  void *probe_user;
  fault alloc_fault, io_fault;
  atomic_int io_errno;
  pthread_mutex_t log_mutex; // guards everything below
  atomic_int level;
  co_log_sink sink;
  void *sink_user;
  int64_t warnings;
  char *warning[MAX_WARNINGS];
};

// ---- context -----------------------------------------------------------------------------------

static void set_text(char *out, size_t size, const char *text) {
  snprintf(out, size, "%s", text);
}

static int default_threads(co_context *ctx) {
  co_cores cores;
  co_cores_find(&cores);
  if (cores.usable < cores.affinity)
    snprintf(ctx->threads_why, sizeof ctx->threads_why, "the container's CPU quota of %.3g",
             cores.quota);
  else if (cores.affinity < cores.machine)
    snprintf(ctx->threads_why, sizeof ctx->threads_why, "this process's CPU set, of %d cores",
             cores.machine);
  else
    set_text(ctx->threads_why, sizeof ctx->threads_why, "all cores");
  if (!ctx->thread_limit || cores.usable <= ctx->thread_limit) return cores.usable;
  set_text(ctx->threads_why, sizeof ctx->threads_why, ctx->limit_why);
  return ctx->thread_limit;
}

co_status co_context_create(co_context **out, const co_context_options *options) {
  *out = NULL;
  co_context *ctx = calloc(1, sizeof *ctx);
  if (!ctx) return co_fail(CO_ERR_MEMORY, "out of memory: a context of %zu bytes", sizeof *ctx);
  if (pthread_mutex_init(&ctx->log_mutex, NULL) != 0) {
    free(ctx);
    return co_fail(CO_ERR_MEMORY, "cannot create a mutex");
  }
  ctx->thread_limit = options && options->thread_limit > 0 ? options->thread_limit : 0;
  set_text(ctx->limit_why, sizeof ctx->limit_why,
           options && options->limit_why ? options->limit_why : "the limit");
  co_context_set_threads(ctx, options ? options->threads : 0);
  if (options && options->threads > 0 && options->threads_why)
    set_text(ctx->threads_why, sizeof ctx->threads_why, options->threads_why);
  ctx->alive = options ? options->alive : NULL;
  ctx->alive_user = options ? options->alive_user : NULL;
  ctx->standard_output =
      options && options->standard_output ? options->standard_output : STDOUT_FILENO;
  atomic_store(&ctx->level, (int)(options ? options->level : CO_LOG_WARN));
  ctx->sink = options ? options->sink : NULL;
  ctx->sink_user = options ? options->sink_user : NULL;
  atomic_store(&ctx->memory_limit, co_memory_limit(NULL));
  ctx->memory_before = co_memory_anonymous();
  *out = ctx;
  return CO_OK;
}

void co_context_free(co_context *ctx) {
  if (!ctx) return;
  for (int i = 0; i < MAX_WARNINGS; i++)
    free(ctx->warning[i]);
  pthread_mutex_destroy(&ctx->log_mutex);
  free(ctx);
}

int co_context_threads(const co_context *ctx) {
  return atomic_load(&ctx->threads);
}

void co_context_set_threads(co_context *ctx, int threads) {
  set_text(ctx->threads_why, sizeof ctx->threads_why, "given");
  atomic_store(&ctx->threads, threads > 0 ? threads : default_threads(ctx));
}

const char *co_context_threads_why(const co_context *ctx) {
  return ctx->threads_why;
}

int co_context_thread_limit(const co_context *ctx) {
  return ctx->thread_limit;
}

const char *co_context_limit_why(const co_context *ctx) {
  return ctx->limit_why;
}

int co_context_standard_output(const co_context *ctx) {
  return ctx->standard_output;
}

void co_alive(co_context *ctx, int seconds) {
  if (ctx->alive) ctx->alive(ctx->alive_user, seconds);
}

void co_context_set_probe(co_context *ctx, co_probe probe, void *user) {
  ctx->probe = probe;
  ctx->probe_user = user;
}

co_status co_context_probe(co_context *ctx, const char *path, co_status failure) {
  return ctx->probe ? ctx->probe(ctx->probe_user, path, failure) : CO_OK;
}

// ---- log ---------------------------------------------------------------------------------------

void co_context_set_log(co_context *ctx, co_log_level level, co_log_sink sink, void *user) {
  pthread_mutex_lock(&ctx->log_mutex);
  atomic_store(&ctx->level, (int)level);
  ctx->sink = sink;
  ctx->sink_user = user;
  pthread_mutex_unlock(&ctx->log_mutex);
}

co_log_level co_context_set_level(co_context *ctx, co_log_level level) {
  return (co_log_level)atomic_exchange(&ctx->level, (int)level);
}

// Kept outside the counted memory: a warning must neither fail nor look like a leak.
static void keep_warning(co_context *ctx, const char *text) {
  if (ctx->warnings < MAX_WARNINGS) {
    size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    if (copy) memcpy(copy, text, bytes);
    ctx->warning[ctx->warnings] = copy;
  }
  ctx->warnings++;
}

static void emit(co_context *ctx, co_log_level level, const char *event, char *text) {
  for (char *p = text; *p; p++)
    if (*p == '\n' || *p == '\r') *p = ' ';
  pthread_mutex_lock(&ctx->log_mutex);
  if (level == CO_LOG_WARN) keep_warning(ctx, text);
  if (ctx->sink && (int)level <= atomic_load(&ctx->level))
    ctx->sink(ctx->sink_user, level, event, text);
  pthread_mutex_unlock(&ctx->log_mutex);
}

void co_log(co_context *ctx, co_log_level level, const char *event, const char *format, ...) {
  if (level != CO_LOG_WARN && (int)level > atomic_load(&ctx->level)) return;
  char line[1024], *text = line;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  if ((size_t)length >= sizeof line && (text = malloc((size_t)length + 1)) != NULL) {
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
  }
  emit(ctx, level, event, text ? text : line); // without memory the line is cut, not lost
  if (text != line) free(text);
}

int64_t co_context_warning_count(const co_context *ctx) {
  co_context *lockable = (co_context *)ctx; // a mutex is not part of the value
  pthread_mutex_lock(&lockable->log_mutex);
  int64_t count = ctx->warnings;
  pthread_mutex_unlock(&lockable->log_mutex);
  return count;
}

const char *co_context_warning(const co_context *ctx, int64_t i) {
  int64_t count = co_context_warning_count(ctx);
  return i >= 0 && i < count && i < MAX_WARNINGS ? ctx->warning[i] : NULL;
}

// ---- fault injection ---------------------------------------------------------------------------

static void fault_arm(fault *f, int64_t nth, bool persistent) {
  int64_t at = nth > 0 ? atomic_load(&f->calls) + nth : 0;
  atomic_store(&f->trigger, persistent ? -at : at);
}

// Counts a call; true if it shall fail.
static bool fault_hits(fault *f) {
  int64_t call = atomic_fetch_add(&f->calls, 1) + 1;
  int64_t trigger = atomic_load(&f->trigger);
  return trigger > 0 ? call == trigger : trigger < 0 && call >= -trigger;
}

void co_alloc_fail_at(co_context *ctx, int64_t nth, bool persistent) {
  fault_arm(&ctx->alloc_fault, nth, persistent);
}

void co_io_fail_at(co_context *ctx, int64_t nth, bool persistent, int errno_value) {
  atomic_store(&ctx->io_errno, errno_value);
  fault_arm(&ctx->io_fault, nth, persistent);
}

int co_io_fault(co_context *ctx) {
  co_alive(ctx, CO_PATIENCE);
  return fault_hits(&ctx->io_fault) ? atomic_load(&ctx->io_errno) : 0;
}

int64_t co_io_calls(const co_context *ctx) {
  return atomic_load(&ctx->io_fault.calls);
}

int64_t co_alloc_calls(const co_context *ctx) {
  return atomic_load(&ctx->alloc_fault.calls);
}

// ---- memory ------------------------------------------------------------------------------------

// In front of each block; as long as the alignment, so that the block behind it is aligned.
typedef union header {
  struct {
    size_t bytes;
    uint64_t mark; // tells a live block from a freed or foreign one
  } block;
  char pad[ALIGNMENT];
} header;

static const uint64_t LIVE = 0x436f686f72744c76u, DEAD = 0x436f686f72744464u;

static void *no_memory(size_t bytes) {
  co_fail(CO_ERR_MEMORY, "out of memory: %zu bytes asked for", bytes);
  return NULL;
}

size_t co_context_memory_limit(const co_context *ctx) {
  return atomic_load(&ctx->memory_limit);
}

void co_context_set_memory_limit(co_context *ctx, size_t bytes) {
  atomic_store(&ctx->memory_limit, bytes);
}

// Asking the system takes some microseconds: for large blocks that is nothing.
static size_t memory_left(const co_context *ctx, bool ask) {
  size_t limit = atomic_load(&ctx->memory_limit);
  size_t taken = ctx->memory_before + (size_t)atomic_load(&ctx->live_bytes);
  size_t resident = ask ? co_memory_anonymous() : 0;
  if (resident > taken) taken = resident;
  // For what the system and libraries take for their own ends.
  taken += limit / 4 < RESERVE_BYTES ? limit / 4 : RESERVE_BYTES;
  return taken < limit ? limit - taken : 0;
}

size_t co_context_memory_left(const co_context *ctx) {
  return memory_left(ctx, true);
}

co_status co_memory_require(co_context *ctx, size_t bytes) {
  size_t left = memory_left(ctx, bytes >= LARGE_BYTES);
  if (bytes <= left) return CO_OK;
  size_t limit = atomic_load(&ctx->memory_limit);
  char has[32];
  co_status status = co_fail(CO_ERR_MEMORY,
                             "out of memory: %zu bytes asked for, %zu of the limit of %zu bytes "
                             "(%s) are left",
                             bytes, left, limit, co_memory_print(has, (double)limit));
  co_hint("`cohort doctor` shows where the limit comes from");
  return status;
}

static void count_block(co_context *ctx, size_t bytes) {
  atomic_fetch_add(&ctx->live_blocks, 1);
  int64_t live = atomic_fetch_add(&ctx->live_bytes, (int64_t)bytes) + (int64_t)bytes;
  int64_t peak = atomic_load(&ctx->peak_bytes);
  while (peak < live && !atomic_compare_exchange_weak(&ctx->peak_bytes, &peak, live)) {
  }
}

// The system allocator is asked for the exact size, so that address checkers see every overrun.
static void *allocate(co_context *ctx, size_t bytes) {
  void *raw = NULL;
  if (fault_hits(&ctx->alloc_fault)) return no_memory(bytes);
  if (bytes > PTRDIFF_MAX - sizeof(header)) return no_memory(bytes);
  if (co_memory_require(ctx, bytes) != CO_OK) return NULL;
  if (posix_memalign(&raw, ALIGNMENT, sizeof(header) + bytes) != 0) return no_memory(bytes);
  header *h = raw;
  h->block.bytes = bytes;
  h->block.mark = LIVE;
  count_block(ctx, bytes);
  return h + 1;
}

static header *header_of(void *pointer) {
  header *h = (header *)pointer - 1;
  assert(h->block.mark == LIVE && "freed twice, or not from co_alloc");
  return h;
}

void *co_alloc(co_context *ctx, size_t bytes) {
  return allocate(ctx, bytes);
}

void *co_alloc_zero(co_context *ctx, size_t count, size_t size) {
  size_t bytes = size && count > SIZE_MAX / size ? SIZE_MAX : count * size;
  void *pointer = allocate(ctx, bytes);
  if (pointer) memset(pointer, 0, bytes);
  return pointer;
}

void *co_realloc(co_context *ctx, void *pointer, size_t bytes) {
  void *grown = allocate(ctx, bytes);
  if (!grown || !pointer) return grown;
  size_t old = header_of(pointer)->block.bytes;
  memcpy(grown, pointer, old < bytes ? old : bytes);
  co_free(ctx, pointer);
  return grown;
}

void co_free(co_context *ctx, void *pointer) {
  if (!pointer) return;
  header *h = header_of(pointer);
  h->block.mark = DEAD;
  atomic_fetch_sub(&ctx->live_blocks, 1);
  atomic_fetch_sub(&ctx->live_bytes, (int64_t)h->block.bytes);
  free(h);
}

co_alloc_stats co_alloc_get_stats(const co_context *ctx) {
  return (co_alloc_stats){.live_blocks = atomic_load(&ctx->live_blocks),
                          .live_bytes = atomic_load(&ctx->live_bytes),
                          .peak_bytes = atomic_load(&ctx->peak_bytes),
                          .calls = atomic_load(&ctx->alloc_fault.calls)};
}

char *co_strdup(co_context *ctx, const char *text) {
  size_t bytes = strlen(text) + 1;
  char *copy = co_alloc(ctx, bytes);
  return copy ? memcpy(copy, text, bytes) : NULL;
}

char *co_format(co_context *ctx, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  char *text = co_alloc(ctx, length < 0 ? 1 : (size_t)length + 1);
  if (!text) return NULL;
  text[0] = '\0';
  va_start(arguments, format);
  if (length > 0) vsnprintf(text, (size_t)length + 1, format, arguments);
  va_end(arguments);
  return text;
}

co_status co_grow(co_context *ctx, void **data, int64_t *capacity, int64_t count, size_t size) {
  if (count < *capacity) return CO_OK;
  int64_t wanted = *capacity > 0 ? *capacity : 4;
  while (wanted <= count) {
    if (wanted > INT64_MAX / 2) return co_fail(CO_ERR_MEMORY, "out of memory: array too long");
    wanted *= 2;
  }
  size_t bytes = size && (size_t)wanted > SIZE_MAX / size ? SIZE_MAX : (size_t)wanted * size;
  void *grown = co_realloc(ctx, *data, bytes);
  if (!grown) return CO_ERR_MEMORY;
  *data = grown;
  *capacity = wanted;
  return CO_OK;
}
