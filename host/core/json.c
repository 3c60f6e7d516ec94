// SPDX-License-Identifier: Apache-2.0
#include "host/core/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/utf8.h"

// ---- numbers -----------------------------------------------------------------------------------

// The decimal sign may have more than one byte.
void co_number_use_point(char *text) {
  char *out = text;
  for (char *p = text; *p;) {
    if (strchr("0123456789+-e", *p)) {
      *out++ = *p++;
      continue;
    }
    while (*p && !strchr("0123456789+-e", *p))
      p++;
    *out++ = '.';
  }
  *out = '\0';
}

static bool reads_back(const char *text, double value, bool single) {
  return single ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value;
}

// Tries precisions from the number of digits that any decimal survives up to the number that any
// value survives. Subnormal values have fewer digits than that, so they start at one.
static void print_shortest(double value, bool single, char *out, size_t size) {
  if (isnan(value) || isinf(value)) {
    snprintf(out, size, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
    return;
  }
  int most = single ? 9 : 17, digits = single ? 6 : 15;
  if (fabs(value) < (single ? 0x1p-126 : 0x1p-1022)) digits = 1;
  for (; digits <= most; digits++) {
    snprintf(out, size, "%.*g", digits, value);
    if (reads_back(out, value, single)) break;
  }
  co_number_use_point(out);
}

void co_double_print(double value, char *out, size_t size) {
  print_shortest(value, false, out, size);
}

// ---- structure ---------------------------------------------------------------------------------

// state[depth]: what the innermost open bracket is and what it waits for.
enum { OBJECT = 1, ARRAY = 2, HAS_ITEMS = 4, HAS_KEY = 8 };

void co_json_init(co_json *json, co_context *ctx, int indent) {
  memset(json, 0, sizeof *json);
  co_text_init(&json->text, ctx);
  json->indent = indent;
}

void co_json_free(co_json *json) {
  co_text_free(&json->text);
}

static void put(co_json *json, const char *text) {
  co_text_append(&json->text, text, strlen(text));
}

static void new_line(co_json *json) {
  if (json->indent <= 0) return;
  put(json, "\n");
  for (int i = 0; i < json->depth * json->indent; i++)
    put(json, " ");
}

// What goes in front of a key, or of a value without one.
static void separate(co_json *json) {
  unsigned char *state = &json->state[json->depth];
  if (*state & HAS_ITEMS) put(json, ",");
  *state |= HAS_ITEMS;
  if (json->depth > 0) new_line(json);
}

static void before_value(co_json *json) {
  unsigned char *state = &json->state[json->depth];
  if (*state & HAS_KEY) {
    *state &= (unsigned char)~HAS_KEY;
    return;
  }
  assert(!(*state & OBJECT) && "a value in an object needs a key");
  assert((json->depth > 0 || !(*state & HAS_ITEMS)) && "a document is one value");
  separate(json);
}

void co_json_open(co_json *json, char bracket) {
  assert(bracket == '{' || bracket == '[');
  assert(json->depth + 1 < (int)sizeof json->state && "nested too deeply");
  before_value(json);
  co_text_append(&json->text, &bracket, 1);
  json->state[++json->depth] = bracket == '{' ? OBJECT : ARRAY;
}

void co_json_close(co_json *json) {
  assert(json->depth > 0 && "nothing is open");
  unsigned char state = json->state[json->depth];
  assert(!(state & HAS_KEY) && "a key needs a value");
  json->depth--;
  if (state & HAS_ITEMS) new_line(json);
  put(json, state & OBJECT ? "}" : "]");
}

// ---- strings -----------------------------------------------------------------------------------

// JSON allows these raw, but the YAML parser, which reads our JSON, refuses them or takes them for
// line breaks. Gives the code point, or 0.
static unsigned unsafe_in_yaml(const unsigned char *p) {
  if (p[0] == 0x7F) return 0x7F;
  if (p[0] == 0xC2 && p[1] < 0xA0) return p[1];
  if (p[0] == 0xE2 && p[1] == 0x80 && (p[2] == 0xA8 || p[2] == 0xA9)) return 0x2028u + (p[2] & 1u);
  if (p[0] == 0xEF && p[1] == 0xBB && p[2] == 0xBF) return 0xFEFF;
  if (p[0] == 0xEF && p[1] == 0xBF && p[2] >= 0xBE) return 0xFFC0u + (p[2] & 63u);
  return 0;
}

static void put_control(co_json *json, unsigned char byte) {
  static const char names[] = "btnvfr"; // 8 to 13; JSON has no \v
  if (byte >= 8 && byte <= 13 && byte != 11)
    co_text_printf(&json->text, "\\%c", names[byte - 8]);
  else
    co_text_printf(&json->text, "\\u%04x", byte);
}

static void put_string(co_json *json, const char *value) {
  const unsigned char *p = (const unsigned char *)value;
  put(json, "\"");
  while (*p) {
    size_t plain = 0, length;
    while (p[plain] >= 0x20 && p[plain] != '"' && p[plain] != '\\' &&
           (length = co_utf8_length((const char *)p + plain)) > 0 && !unsafe_in_yaml(p + plain))
      plain += length;
    co_text_append(&json->text, (const char *)p, plain);
    p += plain;
    if (*p == '"' || *p == '\\')
      co_text_printf(&json->text, "\\%c", *p++);
    else if (*p && *p < 0x20)
      put_control(json, *p++);
    else if (*p && (length = co_utf8_length((const char *)p)) > 0) {
      co_text_printf(&json->text, "\\u%04x", unsafe_in_yaml(p));
      p += length;
    } else if (*p) {
      put(json, "\xEF\xBF\xBD");
      p++;
    }
  }
  put(json, "\"");
}

void co_json_key(co_json *json, const char *key) {
  assert(json->state[json->depth] & OBJECT && "a key belongs into an object");
  assert(!(json->state[json->depth] & HAS_KEY) && "a key needs a value");
  separate(json);
  put_string(json, key);
  put(json, json->indent > 0 ? ": " : ":");
  json->state[json->depth] |= HAS_KEY;
}

// ---- values ------------------------------------------------------------------------------------

void co_json_raw(co_json *json, const char *document) {
  before_value(json);
  put(json, document);
}

void co_json_string(co_json *json, const char *value) {
  before_value(json);
  if (value)
    put_string(json, value);
  else
    put(json, "null");
}

void co_json_int(co_json *json, int64_t value) {
  before_value(json);
  co_text_printf(&json->text, "%" PRId64, value);
}

static void put_number(co_json *json, double value, bool single) {
  char text[40] = "null";
  if (isfinite(value)) print_shortest(value, single, text, sizeof text);
  co_json_raw(json, text);
}

void co_json_double(co_json *json, double value) {
  put_number(json, value, false);
}

void co_json_float(co_json *json, float value) {
  put_number(json, (double)value, true);
}

void co_json_bool(co_json *json, bool value) {
  co_json_raw(json, value ? "true" : "false");
}

void co_json_null(co_json *json) {
  co_json_raw(json, "null");
}
