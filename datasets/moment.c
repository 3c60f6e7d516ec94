// SPDX-License-Identifier: Apache-2.0
#include "datasets/moment.h"

#include <string.h>

static bool digits(const char **at, const char *end, int count, int64_t *out) {
  if (end - *at < count) return false;
  *out = 0;
  for (int i = 0; i < count; i++, (*at)++) {
    if (**at < '0' || **at > '9') return false;
    *out = 10 * *out + (**at - '0');
  }
  return true;
}

static bool take(const char **at, const char *end, char c) {
  if (*at == end || **at != c) return false;
  ++*at;
  return true;
}

static bool is_leap(int64_t year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// Days since 1970-01-01 of the proleptic Gregorian calendar: years begin in March, so that the day
// that may lack is their last (Hinnant, "chrono-compatible low-level date algorithms").
static bool days_of(int64_t year, int64_t month, int64_t day, int64_t *out) {
  static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  if (day > length[month - 1] + (month == 2 && is_leap(year))) return false;
  int64_t y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  *out = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
  return true;
}

static bool read_zone(const char **at, const char *end, int64_t *seconds) {
  int64_t hours, minutes = 0;
  if (*at == end || take(at, end, 'Z')) return true;
  int64_t sign = **at == '-' ? 1 : -1; // ahead of UTC is later there
  if (!take(at, end, '+') && !take(at, end, '-')) return false;
  if (!digits(at, end, 2, &hours)) return false;
  take(at, end, ':');
  if (*at != end && !digits(at, end, 2, &minutes)) return false;
  *seconds += sign * (hours * 3600 + minutes * 60);
  return hours <= 18 && minutes < 60;
}

static bool read_clock(const char **at, const char *end, int64_t *seconds) {
  int64_t hours, minutes, second = 0, digit;
  if (!digits(at, end, 2, &hours) || !take(at, end, ':') || !digits(at, end, 2, &minutes))
    return false;
  if (take(at, end, ':')) {
    if (!digits(at, end, 2, &second)) return false;
    if (take(at, end, '.'))
      while (digits(at, end, 1, &digit))
        continue;
  }
  if (hours > 23 || minutes > 59 || second > 60) return false; // 60: a leap second
  *seconds += hours * 3600 + minutes * 60 + second;
  return read_zone(at, end, seconds);
}

static bool is_digits(const co_csv_field *cell) {
  for (size_t i = 0; i < cell->length; i++)
    if (cell->text[i] < '0' || cell->text[i] > '9') return false;
  return cell->length > 0;
}

bool co_moment_read(const co_csv_field *cell, int64_t *seconds) {
  const char *at = cell->text, *end = at + cell->length;
  int64_t year, month, day, days;
  bool plain = is_digits(cell);
  if (plain && cell->length >= 9)
    return cell->length <= 12 && digits(&at, end, (int)cell->length, seconds);
  if (!digits(&at, end, 4, &year) || (!plain && !take(&at, end, '-')) ||
      !digits(&at, end, 2, &month) || (!plain && !take(&at, end, '-')) ||
      !digits(&at, end, 2, &day) || !days_of(year, month, day, &days))
    return false;
  *seconds = days * 86400;
  if (at == end) return true;
  if (!take(&at, end, 'T') && !take(&at, end, ' ')) return false;
  return read_clock(&at, end, seconds) && at == end;
}

bool co_duration_read(const char *text, int64_t *seconds) {
  static const struct {
    char letter;
    int64_t seconds;
  } units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
  const int64_t most = INT64_C(1000) * 366 * 86400;
  const char *at = text, *end = text + strlen(text);
  int64_t count = 0, digit;
  if (at == end) return false;
  while (at < end - 1)
    if (!digits(&at, end, 1, &digit) || (count = 10 * count + digit) > most) return false;
  for (size_t i = 0; i < sizeof units / sizeof *units && at > text; i++)
    if (*at == units[i].letter && count <= most / units[i].seconds) {
      *seconds = count * units[i].seconds;
      return true;
    }
  return false;
}
