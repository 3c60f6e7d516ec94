// SPDX-License-Identifier: Apache-2.0
// Numbers as most cells have them, [-]digits[.digits] with 8 characters at most behind the sign, read in
// a few operations on one word. They stand here to be inlined where millions of cells are read.
#ifndef COHORT_DATASETS_SHORT_NUMBER_H
#define COHORT_DATASETS_SHORT_NUMBER_H

#include <string.h>

#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

// The bytes of a text of 1 to 3, the first one lowest: without a loop, whose end a processor guesses wrong.
static inline uint64_t co_few_bytes(const char *text, size_t length) {
  const unsigned char *byte = (const unsigned char *)text;
  size_t middle = length / 2, last = length - 1;
  return byte[0] | (uint64_t)byte[middle] << (8 * middle) | (uint64_t)byte[last] << (8 * last);
}

// The same of 1 to 8, where words have their lowest byte first.
static inline uint64_t co_short_bytes(const char *text, size_t length) {
  uint32_t low, high;
  if (length < 4) return co_few_bytes(text, length);
  memcpy(&low, text, 4);
  memcpy(&high, text + length - 4, 4);
  return low | (uint64_t)high << (8 * (length - 4));
}

// Eight digits, the first one lowest: pairs, fours, eight (D. Lemire, "Quickly parsing eight digits",
// 2018). False: there are others among them.
static inline bool co_read_eight(uint64_t word, uint64_t *value) {
  uint64_t digits = word - UINT64_C(0x3030303030303030);
  if (((word + UINT64_C(0x4646464646464646)) | digits) & UINT64_C(0x8080808080808080)) return false;
  digits = digits * 10 + (digits >> 8);
  uint64_t mask = UINT64_C(0x000000FF000000FF);
  *value = ((digits & mask) * (100 + (UINT64_C(1000000) << 32)) +
            (digits >> 16 & mask) * (1 + (UINT64_C(10000) << 32))) >>
           32;
  return true;
}

// False: the cell has another form.
static inline bool co_cell_read_short(const co_cell *cell, double *out) {
  static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7};
  bool negative = cell->length && *cell->text == '-';
  size_t length = cell->length - negative;
  if (!length || length > 8 || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) return false;
  uint64_t word = co_short_bytes(cell->text + negative, length), value;
  // The first byte that is a point.
  uint64_t other = word ^ UINT64_C(0x2E2E2E2E2E2E2E2E);
  uint64_t point = (other - UINT64_C(0x0101010101010101)) & ~other & UINT64_C(0x8080808080808080);
  size_t behind = 0;
  if (point) {
    size_t at = (size_t)__builtin_ctzll(point) / 8;
    uint64_t before = word & ((UINT64_C(1) << (8 * at)) - 1);
    word = before | word >> (8 * at) >> 8 << (8 * at);
    behind = --length - at;
    if (!length) return false;
  }
  size_t missing = 8 * (8 - length); // of zeros in front; shifted in two steps, as it may be 0
  word = word << missing | UINT64_C(0x3030303030303030) >> 1 >> (63 - missing);
  if (!co_read_eight(word, &value)) return false;
  double number = (double)value;
  if (behind) number /= powers[behind];
  *out = negative ? -number : number;
  return true;
}

#ifdef __cplusplus
}
#endif
#endif
