// SPDX-License-Identifier: Apache-2.0
// Texts character by character, as all features of texts see them: UTF-8, in lower case.
#ifndef COHORT_MODELS_FEATURES_CHARACTERS_H
#define COHORT_MODELS_FEATURES_CHARACTERS_H

#include <stdbool.h>
#include <stdint.h>

// scorer: texts
// The next character, in lower case; 0 at the end. What is no UTF-8 is taken byte by byte.
static inline uint32_t next_character(const unsigned char **at) {
  const unsigned char *p = *at;
  uint32_t c = *p;
  int more = c >= 0xF0 && c < 0xF8 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
  if (!c) return 0;
  if (c >= 0xF8) more = 0;
  uint32_t wide = c & (0x3Fu >> more);
  for (int i = 1; i <= more; i++) {
    if ((p[i] & 0xC0) != 0x80) more = 0;
    wide = wide << 6 | (p[i] & 0x3F);
  }
  *at = p + 1 + more;
  if (more) c = wide;
  if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7) ||
      (c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F))
    return c + 0x20;
  return c >= 0x400 && c <= 0x40F ? c + 0x50 : c;
}

// Letters and digits, and of what is not ASCII all but spaces and punctuation.
static inline bool is_of_word(uint32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  return c >= 0xC0 && !(c >= 0x2000 && c <= 0x206F) && !(c >= 0x3000 && c <= 0x303F);
}

// FNV-1a over characters.
static const uint64_t hash_start = 0xCBF29CE484222325u;
static inline uint64_t hash_on(uint64_t hash, uint32_t c) {
  for (int i = 0; i < 4; i++)
    hash = (hash ^ (c >> 8 * i & 0xFF)) * 0x100000001B3u;
  return hash;
}
// scorer: end

#endif
