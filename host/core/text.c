// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/core/context.h"

void co_text_init(co_text *text, co_context *ctx) {
  *text = (co_text){.ctx = ctx};
}

void co_text_free(co_text *text) {
  if (text->data) co_free(text->ctx, text->data);
  *text = (co_text){.ctx = text->ctx};
}

// Room for `length` more bytes and the NUL.
static bool reserve(co_text *text, size_t length) {
  if (text->status != CO_OK) return false;
  if (text->capacity - text->length > length) return true;
  size_t wanted = length < SIZE_MAX - text->length ? text->length + length + 1 : SIZE_MAX;
  if (wanted < 2 * text->capacity) wanted = 2 * text->capacity;
  if (wanted < 64) wanted = 64;
  char *grown = co_realloc(text->ctx, text->data, wanted);
  if (!grown) {
    text->status = CO_ERR_MEMORY;
    return false;
  }
  text->data = grown;
  text->capacity = wanted;
  return true;
}

void co_text_append(co_text *text, const char *bytes, size_t length) {
  if (!reserve(text, length)) return;
  if (length) memcpy(text->data + text->length, bytes, length);
  text->length += length;
  text->data[text->length] = '\0';
}

void co_text_printf(co_text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0 || !reserve(text, (size_t)length)) return;
  va_start(arguments, format);
  vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
  va_end(arguments);
  text->length += (size_t)length;
}

bool co_text_ends_in(const char *text, const char *end) {
  const size_t length = strlen(text), tail = strlen(end);
  return length >= tail && memcmp(text + length - tail, end, tail) == 0;
}
