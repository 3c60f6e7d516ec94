// SPDX-License-Identifier: Apache-2.0
#include "host/train/tensorboard.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "host/core/hash.h"
#include "host/core/protobuf.h"

enum { HEAD = 12, TAIL = 4, STEP_KEY = 2 << 3, MOST_BYTES = 1 << 30 };

// ---- values of a summary ------------------------------------------------------------------------

static co_text begin_value(co_text *summary, const char *tag) {
  co_text value;
  co_text_init(&value, summary->ctx);
  co_protobuf_string(&value, 1, tag);
  return value;
}

void co_summary_scalar(co_text *summary, const char *tag, double number) {
  if (isnan(number)) return;
  co_text value = begin_value(summary, tag);
  co_protobuf_float(&value, 2, (float)number);
  co_protobuf_message(summary, 1, &value);
}

typedef struct moments {
  double least, greatest, count, sum, squares;
} moments;

static moments measure(const float *values, int64_t count) {
  moments m = {INFINITY, -INFINITY, 0, 0, 0};
  for (int64_t i = 0; i < count; i++) {
    const double value = (double)values[i];
    if (!isfinite(value)) continue;
    m.least = fmin(m.least, value);
    m.greatest = fmax(m.greatest, value);
    m.count++;
    m.sum += value;
    m.squares += value * value;
  }
  return m;
}

void co_summary_histogram(co_text *summary, const char *tag, const float *values, int64_t count) {
  double edges[CO_HISTOGRAM_BUCKETS], counts[CO_HISTOGRAM_BUCKETS] = {0};
  const moments m = measure(values, count);
  const double width = m.greatest - m.least;
  const int buckets = width > 0 ? CO_HISTOGRAM_BUCKETS : 1;
  if (!(m.count > 0)) return;
  for (int k = 0; k < buckets; k++)
    edges[k] = k + 1 < buckets ? m.least + width * (k + 1) / buckets : m.greatest;
  for (int64_t i = 0; i < count; i++) {
    const double value = (double)values[i];
    if (!isfinite(value)) continue;
    const int k = width > 0 ? (int)((value - m.least) / width * buckets) : 0;
    counts[k < buckets ? k : buckets - 1]++;
  }
  co_text value = begin_value(summary, tag), histogram;
  co_text_init(&histogram, summary->ctx);
  co_protobuf_double(&histogram, 1, m.least);
  co_protobuf_double(&histogram, 2, m.greatest);
  co_protobuf_double(&histogram, 3, m.count);
  co_protobuf_double(&histogram, 4, m.sum);
  co_protobuf_double(&histogram, 5, m.squares);
  co_protobuf_doubles(&histogram, 6, edges, buckets);
  co_protobuf_doubles(&histogram, 7, counts, buckets);
  co_protobuf_message(&value, 5, &histogram);
  co_protobuf_message(summary, 1, &value);
}

// Where a PNG file tells its size and type of colour: in its first chunk, IHDR.
enum { PNG_WIDTH = 16, PNG_HEIGHT = 20, PNG_COLOUR = 25, PNG_HEAD = 33 };

static int64_t png_number(const co_text *png, int at) {
  int64_t number = 0;
  for (int i = 0; i < 4; i++)
    number = number << 8 | (unsigned char)png->data[at + i];
  return number;
}

void co_summary_image(co_text *summary, const char *tag, const char *description,
                      const co_text *png) {
  if (png->status != CO_OK) summary->status = png->status;
  if (png->status != CO_OK || png->length < PNG_HEAD) return;
  co_text value = begin_value(summary, tag), image, plugin, metadata;
  co_text_init(&image, summary->ctx);
  co_text_init(&plugin, summary->ctx);
  co_text_init(&metadata, summary->ctx);
  co_protobuf_int(&image, 1, png_number(png, PNG_HEIGHT));
  co_protobuf_int(&image, 2, png_number(png, PNG_WIDTH));
  co_protobuf_int(&image, 3, png->data[PNG_COLOUR] == 0 ? 1 : 3);
  co_protobuf_bytes(&image, 4, png->data, png->length);
  co_protobuf_message(&value, 4, &image);
  co_protobuf_string(&plugin, 1, "images");
  co_protobuf_message(&metadata, 1, &plugin);
  co_protobuf_string(&metadata, 3, description);
  co_protobuf_message(&value, 9, &metadata);
  co_protobuf_message(summary, 1, &value);
}

// A value that is nothing but its metadata: the plugin reads HParamsPluginData there.
static void put_hparams(co_text *summary, const char *tag, int field, co_text *info) {
  co_text value = begin_value(summary, tag), tensor, shape, dim, content, plugin, metadata;
  co_text *const texts[] = {&tensor, &shape, &dim, &content, &plugin, &metadata};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    co_text_init(texts[i], summary->ctx);
  co_protobuf_message(&shape, 2, &dim); // of size 0
  co_protobuf_int(&tensor, 1, 1);       // DT_FLOAT
  co_protobuf_message(&tensor, 2, &shape);
  co_protobuf_message(&value, 8, &tensor);
  co_protobuf_message(&content, field, info);
  co_protobuf_string(&plugin, 1, "hparams");
  co_protobuf_message(&plugin, 2, &content);
  co_protobuf_message(&metadata, 1, &plugin);
  co_protobuf_message(&value, 9, &metadata);
  co_protobuf_message(summary, 1, &value);
}

static void put_hparam(co_text *info, const co_hparam *hparam) {
  co_text entry, value;
  co_text_init(&entry, info->ctx);
  co_text_init(&value, info->ctx);
  if (hparam->kind == CO_HPARAM_NUMBER)
    co_protobuf_double(&value, 2, hparam->number);
  else if (hparam->kind == CO_HPARAM_BOOL)
    co_protobuf_int(&value, 4, hparam->number != 0);
  else
    co_protobuf_string(&value, 3, hparam->text);
  co_protobuf_string(&entry, 1, hparam->name);
  co_protobuf_message(&entry, 2, &value);
  co_protobuf_message(info, 1, &entry);
}

void co_summary_session_start(co_text *summary, const co_hparam *hparams, int64_t count,
                              double wall_time) {
  co_text info;
  co_text_init(&info, summary->ctx);
  for (int64_t i = 0; i < count; i++)
    put_hparam(&info, &hparams[i]);
  co_protobuf_double(&info, 5, wall_time);
  put_hparams(summary, "_hparams_/session_start_info", 3, &info);
}

void co_summary_session_end(co_text *summary, bool success, double wall_time) {
  co_text info;
  co_text_init(&info, summary->ctx);
  co_protobuf_int(&info, 1, success ? 1 : 2);
  co_protobuf_double(&info, 2, wall_time);
  put_hparams(summary, "_hparams_/session_end_info", 4, &info);
}

// ---- records -----------------------------------------------------------------------------------

static uint32_t masked_crc(const void *bytes, size_t length) {
  uint32_t crc = co_crc32c(0, bytes, length);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static void put_fixed(co_text *out, uint64_t value, int bytes) {
  char text[8];
  for (int i = 0; i < bytes; i++)
    text[i] = (char)(value >> (8 * i) & 0xff);
  co_text_append(out, text, (size_t)bytes);
}

// Frees the event.
static void put_record(co_text *out, co_text *event) {
  const char *bytes = event->data ? event->data : "";
  size_t head = out->length;
  if (event->status != CO_OK) out->status = event->status;
  put_fixed(out, event->length, 8);
  if (out->status == CO_OK) {
    put_fixed(out, masked_crc(out->data + head, 8), 4);
    co_text_append(out, bytes, event->length);
    put_fixed(out, masked_crc(bytes, event->length), 4);
  }
  co_text_free(event);
}

void co_event_version(co_text *out, double wall_time) {
  co_text event;
  co_text_init(&event, out->ctx);
  co_protobuf_double(&event, 1, wall_time);
  co_protobuf_string(&event, 3, "brain.Event:2");
  put_record(out, &event);
}

void co_event_summary(co_text *out, double wall_time, int64_t step, co_text *summary) {
  co_text event;
  co_text_init(&event, out->ctx);
  co_protobuf_double(&event, 1, wall_time);
  co_protobuf_int(&event, 2, step);
  co_protobuf_message(&event, 5, summary);
  put_record(out, &event);
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
  if (length < 11 || event[9] != STEP_KEY) return 0;
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

double co_events_now(void) {
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
    co_event_version(&begin, co_events_now());
    status = write_text(*out, &begin);
  }
  co_text_free(&begin);
  co_free(ctx, path);
  return status;
}

co_status co_events_add(co_writer *writer, co_context *ctx, int64_t step, co_text *summary) {
  co_text text;
  co_text_init(&text, ctx);
  co_event_summary(&text, co_events_now(), step, summary);
  co_status status = write_text(writer, &text);
  co_text_free(&text);
  return status;
}
