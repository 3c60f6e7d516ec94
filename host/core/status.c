// SPDX-License-Identifier: Apache-2.0
#include "host/core/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// The one piece of thread-local state in Cohort: what went wrong last on this thread.
static _Thread_local co_error record;

// A truncated text must stay valid UTF-8, so a character cut in two is dropped.
static void drop_partial_character(char *text) {
  size_t length = strlen(text), start = length;
  while (start > 0 && length - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
    start--;
  if (start == 0) return;
  unsigned char lead = (unsigned char)text[start - 1];
  size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (want > 1 && length - (start - 1) < want) text[start - 1] = '\0';
}

static void make_one_line(char *text) {
  for (; *text; text++)
    if (*text == '\n' || *text == '\r') *text = ' ';
}

// Formats through a local buffer, because the arguments may point into the record itself.
static void print_line(char *out, size_t size, const char *format, va_list arguments) {
  char buffer[1024];
  int written = vsnprintf(buffer, size, format, arguments);
  if (written < 0) buffer[0] = '\0';
  if (written >= (int)size) drop_partial_character(buffer);
  make_one_line(buffer);
  memcpy(out, buffer, strlen(buffer) + 1);
}

static void append(char *out, size_t size, const char *text) {
  size_t used = strlen(out), length = strlen(text);
  int cut = length > size - 1 - used;
  if (cut) length = size - 1 - used;
  memcpy(out + used, text, length);
  out[used + length] = '\0';
  if (cut) drop_partial_character(out);
}

static co_status set(co_status status, const char *file, long line, long column, const char *format,
                     va_list arguments) {
  char place[sizeof record.file] = "";
  if (file) append(place, sizeof place, file);
  print_line(record.message, sizeof record.message, format, arguments);
  memcpy(record.file, place, sizeof place);
  record.line = line;
  record.column = column;
  record.hint[0] = '\0';
  record.status = status;
  return status;
}

co_status co_fail(co_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  set(status, NULL, 0, 0, format, arguments);
  va_end(arguments);
  return status;
}

co_status co_fail_at(co_status status, const char *file, long line, long column, const char *format,
                     ...) {
  va_list arguments;
  va_start(arguments, format);
  set(status, file, line, column, format, arguments);
  va_end(arguments);
  return status;
}

co_status co_fail_errno(co_status status, int errno_value, const char *format, ...) {
  char reason[128];
  if (strerror_r(errno_value, reason, sizeof reason) != 0)
    snprintf(reason, sizeof reason, "error %d", errno_value);
  if (errno_value == ENOMEM) status = CO_ERR_MEMORY;
  va_list arguments;
  va_start(arguments, format);
  set(status, NULL, 0, 0, format, arguments);
  va_end(arguments);
  // The reason must survive a long path, so the text before it gives way.
  size_t room = sizeof record.message - strlen(reason) - 3;
  if (strlen(record.message) > room) {
    record.message[room] = '\0';
    drop_partial_character(record.message);
  }
  append(record.message, sizeof record.message, ": ");
  append(record.message, sizeof record.message, reason);
  return status;
}

void co_hint(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_line(record.hint, sizeof record.hint, format, arguments);
  va_end(arguments);
}

void co_note(const char *format, ...) {
  char context[sizeof record.message];
  va_list arguments;
  va_start(arguments, format);
  print_line(context, sizeof context, format, arguments);
  va_end(arguments);
  append(context, sizeof context, ": ");
  append(context, sizeof context, record.message);
  memcpy(record.message, context, sizeof context);
}

const co_error *co_error_last(void) {
  return &record;
}

void co_error_clear(void) {
  memset(&record, 0, sizeof record);
}

void co_error_copy(co_error *out) {
  *out = record;
}

co_status co_error_raise(const co_error *error) {
  if (error != &record) record = *error;
  return record.status;
}

const char *co_status_name(co_status status) {
  switch (status) {
  case CO_OK:
    return "ok";
  case CO_ERR_INTERNAL:
    return "internal";
  case CO_ERR_USAGE:
    return "usage";
  case CO_ERR_CONFIG:
    return "config";
  case CO_ERR_DATA:
    return "data";
  case CO_ERR_MODEL:
    return "model";
  case CO_ERR_DEVICE:
    return "device";
  case CO_ERR_MEMORY:
    return "memory";
  case CO_ERR_DIVERGED:
    return "diverged";
  case CO_ERR_IO:
    return "io";
  case CO_ERR_GATE:
    return "gate";
  case CO_STOPPED:
    return "stopped";
  case CO_INTERRUPTED:
    return "interrupted";
  case CO_KILLED:
    return "killed";
  }
  return "unknown";
}
