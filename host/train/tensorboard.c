// SPDX-License-Identifier: Apache-2.0
#include "host/train/tensorboard.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "host/core/hash.h"

enum { HEAD = 12, TAIL = 4, MOST_BYTES = 1 << 28 };

// ---- protocol buffers --------------------------------------------------------------------------

static void put_fixed(co_text *out, uint64_t value, int bytes) {
  char text[8];
  for (int i = 0; i < bytes; i++)
    text[i] = (char)(value >> (8 * i) & 0xff);
  co_text_append(out, text, (size_t)bytes);
}

static void put_varint(co_text *out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    put_fixed(out, (value & 0x7f) | 0x80, 1);
  put_fixed(out, value, 1);
}

enum { VARINT = 0, DOUBLE = 1, BYTES = 2, FLOAT = 5 };

static void put_key(co_text *out, int field, int type) {
  put_varint(out, (uint64_t)(field << 3 | type));
}

static void put_double(co_text *out, int field, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  put_key(out, field, DOUBLE);
  put_fixed(out, bits, 8);
}

static void put_bytes(co_text *out, int field, const char *bytes, size_t length) {
  put_key(out, field, BYTES);
  put_varint(out, length);
  co_text_append(out, bytes, length);
}

// ---- records -----------------------------------------------------------------------------------

static uint32_t masked_crc(const void *bytes, size_t length) {
  uint32_t crc = co_crc32c(0, bytes, length);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static void put_record(co_text *out, const co_text *event) {
  const char *bytes = event->data ? event->data : "";
  size_t head = out->length;
  put_fixed(out, event->length, 8);
  if (out->status != CO_OK) return;
  put_fixed(out, masked_crc(out->data + head, 8), 4);
  co_text_append(out, bytes, event->length);
  put_fixed(out, masked_crc(bytes, event->length), 4);
}

void co_event_version(co_text *out, double wall_time) {
  static const char version[] = "brain.Event:2";
  co_text event;
  co_text_init(&event, out->ctx);
  put_double(&event, 1, wall_time);
  put_bytes(&event, 3, version, sizeof version - 1);
  if (event.status != CO_OK) out->status = event.status;
  put_record(out, &event);
  co_text_free(&event);
}

static void put_scalar(co_text *summary, const co_scalar *scalar) {
  co_text value;
  float number = (float)scalar->value;
  uint32_t bits;
  memcpy(&bits, &number, sizeof bits);
  co_text_init(&value, summary->ctx);
  put_bytes(&value, 1, scalar->tag, strlen(scalar->tag));
  put_key(&value, 2, FLOAT);
  put_fixed(&value, bits, 4);
  if (value.status != CO_OK) summary->status = value.status;
  put_bytes(summary, 1, value.data ? value.data : "", value.length);
  co_text_free(&value);
}

void co_event_scalars(co_text *out, double wall_time, int64_t step, const co_scalar *scalars,
                      int64_t count) {
  co_text event, summary;
  co_text_init(&event, out->ctx);
  co_text_init(&summary, out->ctx);
  for (int64_t i = 0; i < count; i++)
    if (!isnan(scalars[i].value)) put_scalar(&summary, &scalars[i]);
  put_double(&event, 1, wall_time);
  put_key(&event, 2, VARINT);
  put_varint(&event, (uint64_t)step);
  put_bytes(&event, 5, summary.data ? summary.data : "", summary.length);
  if (summary.status != CO_OK) out->status = summary.status;
  if (event.status != CO_OK) out->status = event.status;
  put_record(out, &event);
  co_text_free(&summary);
  co_text_free(&event);
}

// ---- files -------------------------------------------------------------------------------------

static uint64_t get_fixed(const unsigned char *at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++)
    value |= (uint64_t)at[i] << (8 * i);
  return value;
}

// The step of an event of ours: behind the wall time; 0 of one without.
static int64_t step_of(const unsigned char *event, size_t length) {
  uint64_t step = 0;
  if (length < 11 || event[9] != (2 << 3 | VARINT)) return 0;
  for (size_t i = 10, shift = 0; i < length && shift < 64; i++, shift += 7) {
    step |= (uint64_t)(event[i] & 0x7f) << shift;
    if (!(event[i] & 0x80)) break;
  }
  return (int64_t)step;
}

// How much of a file is whole records up to a step.
static size_t length_up_to(const char *bytes, size_t length, int64_t step) {
  size_t at = 0;
  while (length - at >= HEAD + TAIL) {
    const unsigned char *record = (const unsigned char *)bytes + at;
    uint64_t event = get_fixed(record, 8);
    if (get_fixed(record + 8, 4) != masked_crc(record, 8) || event > length - at - HEAD - TAIL ||
        get_fixed(record + HEAD + event, 4) != masked_crc(record + HEAD, event) ||
        step_of(record + HEAD, event) > step)
      break;
    at += HEAD + event + TAIL;
  }
  return at;
}

static co_status cut(co_context *ctx, const char *path, int64_t step, size_t *kept) {
  char *bytes;
  size_t length;
  *kept = 0;
  if (!co_path_exists(path)) return CO_OK;
  CO_RETURN_IF_FAILED(co_read_file(ctx, path, MOST_BYTES, CO_ERR_IO, &bytes, &length));
  *kept = length_up_to(bytes, length, step);
  co_free(ctx, bytes);
  return *kept < length ? co_truncate_file(ctx, path, (int64_t)*kept) : CO_OK;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static co_status write_text(co_writer *writer, const co_text *text) {
  CO_RETURN_IF_FAILED(text->status);
  CO_RETURN_IF_FAILED(co_writer_write(writer, text->data, text->length));
  return co_writer_flush(writer);
}

co_status co_events_open(co_writer **out, co_context *ctx, const char *folder, int64_t step) {
  size_t kept = 0;
  co_text begin;
  *out = NULL;
  co_text_init(&begin, ctx);
  char *path = co_path_join(ctx, folder, "events.out.tfevents.cohort");
  co_status status = path ? co_make_directories(ctx, folder) : CO_ERR_MEMORY;
  if (status == CO_OK) status = cut(ctx, path, step, &kept);
  if (status == CO_OK) status = co_writer_open(out, ctx, path, true);
  if (status == CO_OK && !kept) {
    co_event_version(&begin, now());
    status = write_text(*out, &begin);
  }
  co_text_free(&begin);
  co_free(ctx, path);
  return status;
}

co_status co_events_add(co_writer *writer, co_context *ctx, int64_t step, const co_scalar *scalars,
                        int64_t count) {
  co_text text;
  co_text_init(&text, ctx);
  co_event_scalars(&text, now(), step, scalars, count);
  co_status status = write_text(writer, &text);
  co_text_free(&text);
  return status;
}
