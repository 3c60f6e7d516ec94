// SPDX-License-Identifier: Apache-2.0
#include "datasets/date.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <time.h>

// scorer: dates
typedef struct reading {
  const char *at, *end;
  int year, month, day, hour, minute, second;
  int half;  // %p: 0 = none, 1 = am, 2 = pm
  bool of12; // %I
  double fraction;
  int zone; // minutes east of UTC
} reading;

// scorer: end

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// scorer: dates
// A number of `least` to `most` digits.
static bool take_number(reading *r, int least, int most, int *out) {
  int digits = 0;
  for (*out = 0; digits < most && r->at < r->end && is_digit(*r->at); digits++)
    *out = 10 * *out + (*r->at++ - '0');
  return digits >= least;
}

static bool take_char(reading *r, char c) {
  if (r->at == r->end || *r->at != c) return false;
  r->at++;
  return true;
}

// "Z", "+01:00", "+0100".
static bool take_zone(reading *r) {
  int hours, minutes;
  if (take_char(r, 'Z')) return true;
  bool west = take_char(r, '-');
  if (!west && !take_char(r, '+')) return false;
  if (!take_number(r, 2, 2, &hours)) return false;
  take_char(r, ':');
  if (!take_number(r, 2, 2, &minutes) || hours > 15 || minutes > 59) return false;
  r->zone = (west ? -1 : 1) * (60 * hours + minutes);
  return true;
}

static void take_fraction(reading *r) {
  if (r->end - r->at < 2 || (*r->at != '.' && *r->at != ',') || !is_digit(r->at[1])) return;
  double unit = 0.1;
  for (r->at++; r->at < r->end && is_digit(*r->at); r->at++, unit /= 10)
    r->fraction += unit * (*r->at - '0');
}

static bool take_iso(reading *r) {
  if (!take_number(r, 4, 4, &r->year) || !take_char(r, '-') || !take_number(r, 2, 2, &r->month) ||
      !take_char(r, '-') || !take_number(r, 2, 2, &r->day))
    return false;
  if (r->at == r->end) return true;
  if (!take_char(r, 'T') && !take_char(r, ' ')) return false;
  if (!take_number(r, 2, 2, &r->hour) || !take_char(r, ':') || !take_number(r, 2, 2, &r->minute))
    return false;
  if (take_char(r, ':')) {
    if (!take_number(r, 2, 2, &r->second)) return false;
    take_fraction(r);
  }
  return r->at == r->end || take_zone(r);
}

// A month by its name, whole or of three letters.
static bool take_month(reading *r) {
  static const char *const names[] = {"january",   "february", "march",    "april",
                                      "may",       "june",     "july",     "august",
                                      "september", "october",  "november", "december"};
  for (int m = 0; m < 12; m++) {
    size_t whole = strlen(names[m]), left = (size_t)(r->end - r->at);
    size_t length = left >= whole && !strncasecmp(r->at, names[m], whole) ? whole : 3;
    if (left < 3 || strncasecmp(r->at, names[m], length) != 0) continue;
    r->at += length;
    r->month = m + 1;
    return true;
  }
  return false;
}

static bool take_half(reading *r) {
  if (r->end - r->at < 2) return false;
  r->half = !strncasecmp(r->at, "am", 2) ? 1 : !strncasecmp(r->at, "pm", 2) ? 2 : 0;
  r->at += 2;
  return r->half != 0;
}

static bool take_field(reading *r, char field) {
  switch (field) {
  case 'Y':
    return take_number(r, 4, 4, &r->year);
  case 'y':
    if (!take_number(r, 2, 2, &r->year)) return false;
    r->year += r->year < 70 ? 2000 : 1900;
    return true;
  case 'm':
    return take_number(r, 1, 2, &r->month);
  case 'd':
    return take_number(r, 1, 2, &r->day);
  case 'b':
  case 'B':
    return take_month(r);
  case 'I':
    r->of12 = true;
    return take_number(r, 1, 2, &r->hour);
  case 'H':
    return take_number(r, 1, 2, &r->hour);
  case 'M':
    return take_number(r, 1, 2, &r->minute);
  case 'S':
    if (!take_number(r, 1, 2, &r->second)) return false;
    take_fraction(r);
    return true;
  case 'p':
    return take_half(r);
  case 'z':
    return take_zone(r);
  default:
    return take_char(r, field); // %%
  }
}

static bool take_format(reading *r, const char *format) {
  for (; *format; format++) {
    if (*format == ' ') {
      while (r->at < r->end && *r->at == ' ')
        r->at++;
    } else if (*format == '%' ? !take_field(r, *++format) : !take_char(r, *format)) {
      return false;
    }
  }
  return true;
}

// Days since 1970-01-01 of a date in the Gregorian calendar (H. Hinnant, "chrono-Compatible
// Low-Level Date Algorithms", days_from_civil), which is continued before 1582.
static int64_t days_of(int year, int month, int day) {
  int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, of_era = y - 400 * era;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool is_possible(const reading *r) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = r->year % 4 == 0 && (r->year % 100 != 0 || r->year % 400 == 0);
  if (r->year < 1 || r->month < 1 || r->month > 12 || r->day < 1) return false;
  if (r->day > days[r->month - 1] + (leap && r->month == 2)) return false;
  if (r->of12 && (r->hour < 1 || r->hour > 12)) return false;
  return r->hour < 24 && r->minute < 60 && r->second < 60;
}

co_date_kind co_date_read(const char *text, size_t length, const char *format, double *seconds) {
  reading r = {.at = text, .end = text + length};
  *seconds = NAN;
  bool taken = format ? take_format(&r, format) : take_iso(&r);
  if (!taken || r.at != r.end) return CO_DATE_NONE;
  if (!is_possible(&r)) return CO_DATE_IMPOSSIBLE;
  int hour = r.of12 && r.half ? r.hour % 12 + (r.half == 2 ? 12 : 0) : r.hour;
  int64_t minutes = (days_of(r.year, r.month, r.day) * 24 + hour) * 60 + r.minute - r.zone;
  *seconds = (double)(minutes * 60 + r.second) + r.fraction;
  return CO_DATE_GOOD;
}

// scorer: end

co_status co_date_check_format(const char *format) {
  bool year = false, month = false, day = false;
  for (const char *at = format; (at = strchr(at, '%')); at += 2) {
    if (!at[1] || !strchr("YymdbBHIpMSz%", at[1])) {
      co_status status = co_fail(
          CO_ERR_USAGE, "a date cannot be read by '%.100s': '%.2s' is not known", format, at);
      co_hint("known: %%Y %%y %%m %%d %%b %%B %%H %%I %%p %%M %%S %%z %%%%");
      return status;
    }
    year |= at[1] == 'Y' || at[1] == 'y';
    month |= at[1] == 'm' || at[1] == 'b' || at[1] == 'B';
    day |= at[1] == 'd';
  }
  if (year && month && day) return CO_OK;
  co_status status = co_fail(
      CO_ERR_USAGE, "a date cannot be read by '%.100s': it needs year, month and day", format);
  co_hint("for example %%d/%%m/%%Y, or %%m/%%d/%%y %%H:%%M");
  return status;
}

void co_date_print(double seconds, char *out, size_t size) {
  struct tm parts;
  time_t whole = (time_t)floor(seconds);
  *out = '\0';
  if (isnan(seconds) || fabs(seconds) > 1e12 || !gmtime_r(&whole, &parts)) return;
  strftime(out, size, whole % 86400 ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d", &parts);
}
