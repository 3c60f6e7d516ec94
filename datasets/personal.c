// SPDX-License-Identifier: Apache-2.0
#include "datasets/personal.h"

#include <string.h>

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_email(const co_cell *cell) {
  const char *at = memchr(cell->text, '@', cell->length), *end = cell->text + cell->length;
  if (!at || at == cell->text || memchr(at + 1, '@', (size_t)(end - at - 1))) return false;
  const char *dot = NULL;
  for (const char *c = cell->text; c < end; c++) {
    if ((unsigned char)*c <= ' ' || *c == ',' || *c == ';') return false;
    if (c > at + 1 && *c == '.') dot = c;
  }
  return dot && end - dot > 2;
}

// The digits of a cell that begins at `from`, which may have `between` among them; 0 = it has others.
static int take_digits(const co_cell *cell, size_t from, const char *between, char digits[20]) {
  int count = 0;
  for (size_t i = from; i < cell->length; i++) {
    if (is_digit(cell->text[i])) {
      if (count == 20) return 0;
      digits[count++] = cell->text[i];
    } else if (!strchr(between, cell->text[i])) {
      return 0;
    }
  }
  return count;
}

// Luhn's algorithm (ISO/IEC 7812-1).
static bool has_check_digit(const char *digits, int count) {
  int sum = 0;
  for (int i = 0; i < count; i++) {
    int digit = digits[count - 1 - i] - '0';
    if (i % 2 == 1) digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
    sum += digit;
  }
  return sum % 10 == 0;
}

co_personal co_personal_kind(const co_cell *cell) {
  char digits[20];
  if (cell->length < 6) return CO_PERSONAL_NONE;
  char first = cell->text[0];
  if (first == '+') {
    int count = take_digits(cell, 1, " -/.()", digits);
    return count >= 8 && count <= 15 && digits[0] != '0' ? CO_PERSONAL_PHONE : CO_PERSONAL_NONE;
  }
  if (is_digit(first)) {
    int count = take_digits(cell, 0, " -", digits);
    if (count >= 13 && count <= 19 && first >= '2' && first <= '6')
      return has_check_digit(digits, count) ? CO_PERSONAL_CARD : CO_PERSONAL_DIGITS;
    if (count) return CO_PERSONAL_NONE;
  }
  return is_email(cell) ? CO_PERSONAL_EMAIL : CO_PERSONAL_NONE;
}

const char *co_personal_name(co_personal kind) {
  static const char *const names[] = {"none", "email", "phone", "card", "digits"};
  return names[kind];
}

const char *co_personal_text(co_personal kind) {
  static const char *const texts[] = {"nothing", "e-mail addresses", "phone numbers",
                                      "payment cards", "digits"};
  return texts[kind];
}
