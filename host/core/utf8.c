// SPDX-License-Identifier: Apache-2.0
#include "host/core/utf8.h"

size_t co_utf8_length(const char *text) {
  static const struct {
    unsigned char first, last, low, high; // the lead byte, and the range of the byte after it
    size_t length;
  } forms[] = {
      {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
      {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
      {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
  const unsigned char *p = (const unsigned char *)text;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (p[0] < forms[i].first || p[0] > forms[i].last) continue;
    if (forms[i].length > 1 && (p[1] < forms[i].low || p[1] > forms[i].high)) return 0;
    for (size_t k = 2; k < forms[i].length; k++)
      if ((p[k] & 0xC0) != 0x80) return 0;
    return forms[i].length;
  }
  return 0;
}

int64_t co_utf8_find_bad(const char *text) {
  for (const char *p = text; *p;) {
    size_t length = co_utf8_length(p);
    if (!length) return p - text;
    p += length;
  }
  return -1;
}
