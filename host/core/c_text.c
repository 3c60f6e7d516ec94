// SPDX-License-Identifier: Apache-2.0
#include "host/core/c_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 96 }; // of a line

typedef enum number_kind { FLOATS, DOUBLES, INTS, BYTES } number_kind;

static const char *const type_words[] = {"float", "double", "int", "unsigned char"};

static double number_at(number_kind kind, const void *values, int64_t i) {
  return kind == FLOATS    ? (double)((const float *)values)[i]
         : kind == DOUBLES ? ((const double *)values)[i]
         : kind == INTS    ? ((const int32_t *)values)[i]
                           : ((const uint8_t *)values)[i];
}

// As printf's %a, but with a point whatever the locale, and faster.
static int print_hexadecimal(double value, const char *suffix, char *out, size_t size) {
  uint64_t bits;
  char digits[16];
  memcpy(&bits, &value, sizeof bits);
  int exponent = (int)(bits >> 52 & 0x7FF), length = 13;
  snprintf(digits, sizeof digits, "%013llx", (unsigned long long)(bits & 0xFFFFFFFFFFFFFu));
  while (length && digits[length - 1] == '0')
    length--;
  return snprintf(out, size, "%s0x%d%s%.*sp%d%s", bits >> 63 ? "-" : "", exponent != 0,
                  length ? "." : "", length, digits, exponent ? exponent - 1023 : -1022, suffix);
}

// `size` >= 48.
static int print_number(number_kind kind, double value, char *out, size_t size) {
  if (kind == INTS || kind == BYTES) return snprintf(out, size, "%.0f", value);
  const char *cast = kind == FLOATS ? "" : "(double)"; // NAN and INFINITY are floats
  if (isnan(value)) return snprintf(out, size, "%sNAN", cast);
  if (isinf(value)) return snprintf(out, size, "%s%sINFINITY", value < 0 ? "-" : "", cast);
  if (value == 0) return snprintf(out, size, signbit(value) ? "-0.0" : "0");
  return print_hexadecimal(value, kind == FLOATS ? "f" : "", out, size);
}

static void print_array(co_text *out, number_kind kind, const char *name, const void *values,
                        int64_t count) {
  char number[64];
  int column = WIDTH;
  co_text_printf(out, "  static const %s %s[%lld] = {", type_words[kind], name, (long long)count);
  for (int64_t i = 0; i < count; i++) {
    int length = print_number(kind, number_at(kind, values, i), number, sizeof number);
    if (column + length + 1 > WIDTH) {
      co_text_append(out, "\n", 1);
      column = 0;
    }
    co_text_append(out, number, (size_t)length);
    co_text_append(out, ",", 1);
    column += length + 1;
  }
  co_text_printf(out, "};\n");
}

void co_c_floats(co_text *out, const char *name, const float *values, int64_t count) {
  print_array(out, FLOATS, name, values, count);
}

void co_c_doubles(co_text *out, const char *name, const double *values, int64_t count) {
  print_array(out, DOUBLES, name, values, count);
}

void co_c_ints(co_text *out, const char *name, const int32_t *values, int64_t count) {
  print_array(out, INTS, name, values, count);
}

void co_c_bytes(co_text *out, const char *name, const uint8_t *values, int64_t count) {
  print_array(out, BYTES, name, values, count);
}

void co_c_double(co_text *out, double value) {
  char number[64];
  print_number(DOUBLES, value, number, sizeof number);
  co_text_printf(out, "%s", number);
}

// Octal escapes end after three digits; a question mark could begin a trigraph.
void co_c_string(co_text *out, const char *text) {
  if (!text) {
    co_text_printf(out, "NULL");
    return;
  }
  co_text_printf(out, "\"");
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20 || c > 0x7E || c == '"' || c == '\\' || c == '?')
      co_text_printf(out, "\\%03o", c);
    else
      co_text_append(out, text, 1);
  }
  co_text_printf(out, "\"");
}
