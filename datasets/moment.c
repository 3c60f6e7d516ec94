// SPDX-License-Identifier: Apache-2.0
#include "datasets/moment.h"

#include <math.h>
#include <string.h>

#include "datasets/date.h"

static bool read_digits(const char *text, size_t length, int64_t *out) {
  *out = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    *out = 10 * *out + (text[i] - '0');
  }
  return length > 0;
}

bool co_moment_read(const co_cell *cell, int64_t *seconds) {
  double value;
  bool few = cell->length < 13 && read_digits(cell->text, cell->length, seconds);
  if (few && cell->length >= 9) return true;
  const char *format = few && cell->length == 8 ? "%Y%m%d" : NULL;
  if (co_date_read(cell->text, cell->length, format, &value) != CO_DATE_GOOD) return false;
  *seconds = (int64_t)floor(value);
  return true;
}

bool co_moment_read_as(const co_cell *cell, const char *format, int64_t *seconds) {
  double value;
  if (!format) return co_moment_read(cell, seconds);
  if (strcmp(format, "ms") == 0) {
    const bool digits = cell->length <= 15 && read_digits(cell->text, cell->length, seconds);
    *seconds /= 1000;
    return digits;
  }
  if (co_date_read(cell->text, cell->length, format, &value) != CO_DATE_GOOD) return false;
  *seconds = (int64_t)floor(value);
  return true;
}

bool co_duration_read(const char *text, int64_t *seconds) {
  static const struct {
    char letter;
    int64_t seconds;
  } units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
  const int64_t most = INT64_C(1000) * 366 * 86400;
  size_t length = strlen(text);
  int64_t count;
  if (length < 2 || length > 12 || !read_digits(text, length - 1, &count)) return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (text[length - 1] == units[i].letter && count <= most / units[i].seconds) {
      *seconds = count * units[i].seconds;
      return true;
    }
  return false;
}
