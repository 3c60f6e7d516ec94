// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/core/context.h"

enum { CHUNK_BYTES = 64 * 1024, ALIGNMENT = 16 };

// Blocks of an arena, newest first; the payload follows the header.
typedef struct chunk {
  struct chunk *next;
  size_t used, capacity;
  size_t pad; // keeps the payload 16-byte aligned
} chunk;

struct co_arena {
  co_context *ctx;
  chunk *first;
};

co_status co_arena_create(co_arena **out, co_context *ctx) {
  *out = co_alloc_zero(ctx, 1, sizeof **out);
  if (!*out) return CO_ERR_MEMORY;
  (*out)->ctx = ctx;
  return CO_OK;
}

void co_arena_free(co_arena *arena) {
  if (!arena) return;
  for (chunk *c = arena->first, *next; c; c = next) {
    next = c->next;
    co_free(arena->ctx, c);
  }
  co_free(arena->ctx, arena);
}

co_context *co_arena_context(co_arena *arena) {
  return arena->ctx;
}

static chunk *add_chunk(co_arena *arena, size_t bytes) {
  size_t capacity = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
  chunk *c = co_alloc(arena->ctx, sizeof *c + capacity);
  if (!c) return NULL;
  *c = (chunk){.capacity = capacity};
  // A large block goes behind the current one, whose free space stays in use.
  if (arena->first && bytes > CHUNK_BYTES / 4) {
    c->next = arena->first->next;
    arena->first->next = c;
  } else {
    c->next = arena->first;
    arena->first = c;
  }
  return c;
}

void *co_arena_alloc(co_arena *arena, size_t count, size_t size) {
  size_t limit = PTRDIFF_MAX - CHUNK_BYTES;
  if (size && count > limit / size) {
    co_fail(CO_ERR_MEMORY, "out of memory: %zu elements of %zu bytes asked for", count, size);
    return NULL;
  }
  size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (bytes == 0) bytes = ALIGNMENT;
  chunk *c = arena->first;
  if (!c || c->capacity - c->used < bytes) c = add_chunk(arena, bytes);
  if (!c) return NULL;
  void *pointer = (char *)(c + 1) + c->used;
  c->used += bytes;
  return memset(pointer, 0, bytes);
}

char *co_arena_strndup(co_arena *arena, const char *text, size_t length) {
  length = strnlen(text, length);
  char *copy = co_arena_alloc(arena, length + 1, 1);
  return copy ? memcpy(copy, text, length) : NULL; // zeroed, so terminated
}

char *co_arena_strdup(co_arena *arena, const char *text) {
  return co_arena_strndup(arena, text, strlen(text));
}

char *co_arena_format(co_arena *arena, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  char *text = co_arena_alloc(arena, length < 0 ? 1 : (size_t)length + 1, 1);
  if (!text) return NULL;
  va_start(arguments, format);
  if (length > 0) vsnprintf(text, (size_t)length + 1, format, arguments);
  va_end(arguments);
  return text;
}
