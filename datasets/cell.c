// SPDX-License-Identifier: Apache-2.0
#include "datasets/cell.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/date.h"
#include "datasets/short_number.h"

// scorer: cells
static bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

co_cell co_cell_trim_blanks(const co_cell *field, const char *suffix) {
  co_cell cell = *field;
  for (; cell.length && is_blank(*cell.text); cell.length--)
    cell.text++;
  while (cell.length && is_blank(cell.text[cell.length - 1]))
    cell.length--;
  size_t length = suffix ? strlen(suffix) : 0;
  if (length && cell.length >= length &&
      memcmp(cell.text + cell.length - length, suffix, length) == 0)
    cell.length -= length;
  return cell;
}

bool co_cell_says_missing(const co_cell *cell) {
  static const char *const words[] = {"NA", "N/A", "NaN", "nan", "null", "NULL", "Null", "\\N"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i]) == cell->length && memcmp(words[i], cell->text, cell->length) == 0)
      return true;
  return false;
}

// ---- numbers -----------------------------------------------------------------------------------

enum { MOST_CHARACTERS = 1000 }; // of a number

// A decimal number, taken apart: digits 10^exponent.
typedef struct decimal {
  uint64_t digits; // the first 19
  int64_t count;   // that count in `digits`
  int64_t exponent;
  bool negative;
} decimal;

static void take_digit(decimal *d, char c, bool behind_point) {
  bool room = d->count < 19;
  if (room) d->digits = 10 * d->digits + (uint64_t)(c - '0');
  if (room && d->digits) d->count++;
  d->exponent += !room - behind_point;
}

// Whether all of [text, end) is a number.
static bool take_number_apart(const char *text, const char *end, decimal *d) {
  *d = (decimal){.negative = text < end && *text == '-'};
  if (end - text > MOST_CHARACTERS) return false;
  text += text < end && (*text == '-' || *text == '+');
  const char *from = text;
  for (; text < end && is_digit(*text); text++)
    take_digit(d, *text, false);
  int64_t seen = text - from;
  if (text < end && *text == '.') {
    for (from = ++text; text < end && is_digit(*text); text++)
      take_digit(d, *text, true);
    seen += text - from;
  }
  if (!seen) return false;
  if (text == end) return true;
  if (*text != 'e' && *text != 'E') return false;
  bool negative = ++text < end && *text == '-';
  text += text < end && (*text == '-' || *text == '+');
  if (text == end) return false;
  int64_t exponent = 0;
  for (; text < end && is_digit(*text); text++)
    if (exponent < 100000) exponent = 10 * exponent + (*text - '0');
  d->exponent += negative ? -exponent : exponent;
  return text == end;
}

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

// scorer: end

// scorer: cells
// Where digits and power of ten are exact in double, one operation rounds right (Clinger, "How to
// read floating point numbers accurately", PLDI 1990); else the C library does.
static double value_of(const decimal *d, const co_cell *cell) {
  if (d->digits > UINT64_C(1) << 53 || d->count >= 19 || d->exponent < -22 || d->exponent > 22) {
    char text[MOST_CHARACTERS + 1];
    memcpy(text, cell->text, cell->length);
    text[cell->length] = '\0';
    return strtod(text, NULL);
  }
  double value = (double)d->digits;
  value = d->exponent < 0 ? value / powers[-d->exponent] : value * powers[d->exponent];
  return d->negative ? -value : value;
}

// scorer: end

// ---- other kinds -------------------------------------------------------------------------------

// Digits with commas or points between, such as 1,5 or 1.234,56 or 1,234,567.
static bool has_commas(const co_cell *cell) {
  bool comma = false, digit = false;
  for (size_t i = cell->length && (*cell->text == '-' || *cell->text == '+'); i < cell->length;
       i++) {
    char c = cell->text[i];
    if (!is_digit(c) && c != ',' && c != '.') return false;
    if (c == ',' && !digit) return false;
    comma |= c == ',';
    digit |= is_digit(c);
  }
  return comma && is_digit(cell->text[cell->length - 1]);
}

co_cell_kind co_cell_read(const co_cell *cell, double *value) {
  decimal d;
  if (co_cell_read_short(cell, value)) return CO_CELL_NUMBER;
  *value = NAN;
  if (cell->length && (unsigned char)*cell->text > '9') return CO_CELL_TEXT; // as most words
  if (take_number_apart(cell->text, cell->text + cell->length, &d)) {
    *value = value_of(&d, cell);
    return fabs(*value) <= (double)FLT_MAX ? CO_CELL_NUMBER : CO_CELL_TOO_LARGE;
  }
  if (cell->length > 7 && cell->text[4] == '-' && cell->text[7] == '-') {
    co_date_kind kind = co_date_read(cell->text, cell->length, NULL, value);
    if (kind != CO_DATE_NONE) return kind == CO_DATE_GOOD ? CO_CELL_DATE : CO_CELL_NO_DATE;
  }
  return has_commas(cell) ? CO_CELL_COMMA : CO_CELL_TEXT;
}

// Writes a number with a decimal comma as one with a point; false where points do not part thousands.
static bool put_point(const co_cell *cell, char *out, size_t *length) {
  const char *at = cell->text, *end = at + cell->length;
  size_t digits = 0;
  bool parted = false;
  if (cell->length > MOST_CHARACTERS) return false;
  *length = 0;
  if (at < end && (*at == '-' || *at == '+')) out[(*length)++] = *at++;
  const char *first = at;
  for (; at < end && (is_digit(*at) || *at == '.'); at++) {
    if (is_digit(*at)) {
      out[(*length)++] = *at;
      digits++;
      continue;
    }
    if (parted ? digits != 3 : !digits || digits > 3 || *first == '0') return false;
    parted = true;
    digits = 0;
  }
  if (parted && digits != 3) return false;
  for (bool comma = false; at < end; at++) {
    if (*at == '.' || (*at == ',' && comma)) return false;
    comma |= *at == ',';
    out[(*length)++] = *at == ',' ? '.' : *at;
  }
  return true;
}

co_cell_kind co_cell_read_as(const co_cell *cell, bool decimal_comma, double *value) {
  char text[MOST_CHARACTERS];
  co_cell with_point = {text, 0};
  if (!decimal_comma) return co_cell_read(cell, value);
  if (put_point(cell, text, &with_point.length)) {
    co_cell_kind kind = co_cell_read(&with_point, value);
    if (kind <= CO_CELL_TOO_LARGE) return kind;
  }
  co_cell_kind kind = co_cell_read(cell, value);
  if (kind > CO_CELL_TOO_LARGE) return kind;
  *value = NAN;
  return CO_CELL_COMMA;
}

void co_cell_hint(const co_cell *cell, bool decimal_comma, const char *others) {
  double value;
  if (co_cell_read_as(cell, decimal_comma, &value) != CO_CELL_COMMA)
    co_hint("correct the cell, %s", others);
  else if (decimal_comma)
    co_hint("with --decimal , points part thousands (1.234,56); correct the cell, %s", others);
  else
    co_hint("--decimal , reads 9,38 and 1.234,56 as numbers; or correct the cell, %s", others);
}
