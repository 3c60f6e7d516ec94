// SPDX-License-Identifier: Apache-2.0
#include "host/core/protobuf.h"

#include <string.h>

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 }; // wire types

static void put_varint(co_text *out, uint64_t value) {
  char bytes[10];
  size_t count = 0;
  do {
    bytes[count++] = (char)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
    value >>= 7;
  } while (value);
  co_text_append(out, bytes, count);
}

static void put_tag(co_text *out, int field, int type) {
  put_varint(out, (uint64_t)field << 3 | (uint64_t)type);
}

void co_protobuf_int(co_text *out, int field, int64_t value) {
  put_tag(out, field, VARINT);
  put_varint(out, (uint64_t)value);
}

void co_protobuf_float(co_text *out, int field, float value) {
  uint32_t bits;
  char bytes[4];
  memcpy(&bits, &value, sizeof bits);
  for (int i = 0; i < 4; i++)
    bytes[i] = (char)(bits >> 8 * i & 0xFF);
  put_tag(out, field, FIXED32);
  co_text_append(out, bytes, sizeof bytes);
}

static void put_double(co_text *out, double value) {
  uint64_t bits;
  char bytes[8];
  memcpy(&bits, &value, sizeof bits);
  for (int i = 0; i < 8; i++)
    bytes[i] = (char)(bits >> 8 * i & 0xFF);
  co_text_append(out, bytes, sizeof bytes);
}

void co_protobuf_double(co_text *out, int field, double value) {
  put_tag(out, field, FIXED64);
  put_double(out, value);
}

void co_protobuf_doubles(co_text *out, int field, const double *values, int64_t count) {
  put_tag(out, field, LENGTH);
  put_varint(out, (uint64_t)count * sizeof *values);
  for (int64_t i = 0; i < count; i++)
    put_double(out, values[i]);
}

void co_protobuf_bytes(co_text *out, int field, const void *bytes, size_t length) {
  put_tag(out, field, LENGTH);
  put_varint(out, length);
  co_text_append(out, bytes, length);
}

void co_protobuf_string(co_text *out, int field, const char *text) {
  co_protobuf_bytes(out, field, text, strlen(text));
}

void co_protobuf_message(co_text *out, int field, co_text *message) {
  co_protobuf_bytes(out, field, message->length ? message->data : "", message->length);
  if (out->status == CO_OK) out->status = message->status;
  co_text_free(message);
}
