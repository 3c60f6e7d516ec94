// SPDX-License-Identifier: Apache-2.0
#include "host/core/number.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "host/core/json.h"

enum { DIGITS = 9, LEAST_EXPONENT = -10 };

typedef unsigned __int128 wide;

// value = digits * 10^(exponent - 8), digits having nine places, rounded to nearest, ties to even. Exact:
// mantissa * 10^(8 - exponent) has at most 53 + 60 bits, and what is behind the point are the lowest
// `shift` of them. For 1e-10 <= value < 1e9.
static int64_t nine_digits(double value, int *exponent) {
  static const uint64_t powers[] = {
      UINT64_C(1),
      UINT64_C(10),
      UINT64_C(100),
      UINT64_C(1000),
      UINT64_C(10000),
      UINT64_C(100000),
      UINT64_C(1000000),
      UINT64_C(10000000),
      UINT64_C(100000000),
      UINT64_C(1000000000),
      UINT64_C(10000000000),
      UINT64_C(100000000000),
      UINT64_C(1000000000000),
      UINT64_C(10000000000000),
      UINT64_C(100000000000000),
      UINT64_C(1000000000000000),
      UINT64_C(10000000000000000),
      UINT64_C(100000000000000000),
      UINT64_C(1000000000000000000),
  };
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  int binary = (int)(bits >> 52) - 1023, shift = 52 - binary;
  uint64_t mantissa = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
  int at = (int)floor(binary * 0.30102999566398120); // log10(2); the exponent, or one less
  if (at < LEAST_EXPONENT) at = LEAST_EXPONENT;
  wide scaled = (wide)mantissa * powers[DIGITS - 1 - at];
  if (scaled >> shift >= powers[DIGITS]) scaled = (wide)mantissa * powers[DIGITS - 1 - ++at];
  int64_t digits = (int64_t)(scaled >> shift);
  wide rest = scaled & (((wide)1 << shift) - 1), half = (wide)1 << (shift - 1);
  digits += rest > half || (rest == half && digits % 2);
  if (digits == (int64_t)powers[DIGITS]) {
    digits /= 10;
    at++;
  }
  *exponent = at;
  return digits;
}

size_t co_number_print(double value, char out[CO_NUMBER_PRINT]) {
  char digit[DIGITS], *to = out;
  int exponent, count = DIGITS;
  double size = fabs(value);
  if (!(size >= 1e-10 && size < 999999999)) { // rounded up, it could have another digit
    snprintf(out, CO_NUMBER_PRINT, "%.9g", value);
    if (isfinite(value)) co_number_use_point(out);
    return strlen(out);
  }
  int64_t digits = nine_digits(size, &exponent);
  for (int i = DIGITS; i-- > 0; digits /= 10)
    digit[i] = (char)('0' + digits % 10);
  while (count > 1 && digit[count - 1] == '0')
    count--;
  if (value < 0) *to++ = '-';
  bool scientific = exponent < -4;
  int before = scientific ? 1 : exponent + 1; // digits in front of the point
  if (before <= 0) {
    memcpy(to, "0.0000", (size_t)(2 - before));
    to += 2 - before;
    before = 0;
  }
  for (int i = 0; i < count || i < before; i++) {
    if (i == before && i) *to++ = '.';
    *to++ = i < count ? digit[i] : '0';
  }
  if (scientific) to += snprintf(to, 8, "e-%02d", -exponent);
  *to = '\0';
  return (size_t)(to - out);
}

size_t co_integer_print(int64_t value, char out[CO_NUMBER_PRINT]) {
  char digit[20], *to = out;
  int count = 0;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do
    digit[count++] = (char)('0' + rest % 10);
  while (rest /= 10);
  if (value < 0) *to++ = '-';
  while (count)
    *to++ = digit[--count];
  *to = '\0';
  return (size_t)(to - out);
}
