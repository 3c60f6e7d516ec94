// SPDX-License-Identifier: Apache-2.0
#include "host/core/text_width.h"

#include <string.h>

#include "host/core/utf8.h"

typedef struct range {
  uint32_t first, last;
} range;

// Wide and fullwidth characters of Unicode's East_Asian_Width (UAX #11). Blocks that are wide but for
// a few characters are taken whole.
static const range wide[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x23E9, 0x23EC},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x26BD, 0x26BE},   {0x26D4, 0x26D4},   {0x2705, 0x2705},
    {0x270A, 0x270B},   {0x2728, 0x2728},   {0x274C, 0x274C},   {0x2753, 0x2757},
    {0x2795, 0x2797},   {0x2B1B, 0x2B1C},   {0x2B50, 0x2B50},   {0x2E80, 0x303E},
    {0x3041, 0x3247},   {0x3250, 0x4DBF},   {0x4E00, 0xA4C6},   {0xA960, 0xA97C},
    {0xAC00, 0xD7A3},   {0xF900, 0xFAD9},   {0xFE10, 0xFE19},   {0xFE30, 0xFE6B},
    {0xFF01, 0xFF60},   {0xFFE0, 0xFFE6},   {0x16FE0, 0x1B2FB}, {0x1F300, 0x1F64F},
    {0x1F680, 0x1F6FC}, {0x1F7E0, 0x1F7F0}, {0x1F90C, 0x1F9FF}, {0x1FA70, 0x1FAFF},
    {0x20000, 0x3FFFD}};

// Marks that combine, joiners and what chooses a form of the character before: of the scripts that
// columns and values are most often in.
static const range narrowest[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD},  {0x05BF, 0x05BF}, {0x05C1, 0x05C2},
    {0x0610, 0x061A}, {0x064B, 0x065F}, {0x0670, 0x0670},  {0x06D6, 0x06DC}, {0x0900, 0x0902},
    {0x093C, 0x093C}, {0x0941, 0x0948}, {0x094D, 0x094D},  {0x0E31, 0x0E31}, {0x0E34, 0x0E3A},
    {0x0E47, 0x0E4E}, {0x1AB0, 0x1ACE}, {0x1DC0, 0x1DFF},  {0x200B, 0x200F}, {0x202A, 0x202E},
    {0x2060, 0x206F}, {0x20D0, 0x20F0}, {0x302A, 0x302D},  {0x3099, 0x309A}, {0xFE00, 0xFE0F},
    {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0x1F3FB, 0x1F3FF}};

static bool is_in(const range *ranges, size_t count, uint32_t code) {
  for (size_t i = 0; i < count; i++)
    if (code >= ranges[i].first && code <= ranges[i].last) return true;
  return false;
}

static uint32_t code_of(const char *text, size_t length) {
  static const unsigned char bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  uint32_t code = (unsigned char)*text & bits[length];
  for (size_t i = 1; i < length; i++)
    code = code << 6 | ((unsigned char)text[i] & 0x3F);
  return code;
}

typedef struct character {
  size_t length;
  int width;
  bool control;
} character;

static character character_at(const char *text) {
  const size_t length = co_utf8_length(text);
  if (!length) return (character){1, 1, false};
  const uint32_t code = code_of(text, length);
  if (code < 32 || (code >= 127 && code < 160)) return (character){length, 1, true};
  if (code < 0x300) return (character){length, 1, false};
  const bool none = is_in(narrowest, sizeof narrowest / sizeof *narrowest, code);
  const bool two = !none && is_in(wide, sizeof wide / sizeof *wide, code);
  return (character){length, none ? 0 : 1 + two, false};
}

int co_text_width(const char *text) {
  int width = 0;
  for (character c; *text; text += c.length) {
    c = character_at(text);
    width += c.width;
  }
  return width;
}

static void put_blanks(co_text *out, int count) {
  if (count > 0) co_text_printf(out, "%*s", count, "");
}

// The bytes of the characters that `room` columns hold, and the columns that they take.
static size_t fitting(const char *text, int room, int *taken) {
  size_t length = 0;
  *taken = 0;
  while (text[length]) {
    const character c = character_at(text + length);
    if (*taken + c.width > room) break;
    *taken += c.width;
    length += c.length;
  }
  return length;
}

static void put(co_text *out, const char *text, size_t length) {
  for (size_t i = 0; i < length;) {
    const character c = character_at(text + i);
    co_text_append(out, c.control ? "?" : text + i, c.control ? 1 : c.length);
    i += c.length;
  }
}

void co_text_pad(co_text *out, const char *text, int width, int most, bool right) {
  int used = co_text_width(text);
  const bool cut = most && used > most;
  const size_t length = fitting(text, cut ? most - 1 : used, &used);
  const int blanks = width - used - cut;
  if (right) put_blanks(out, blanks);
  put(out, text, length);
  if (cut) co_text_printf(out, "…");
  if (!right) put_blanks(out, blanks);
}

void co_text_end_line(co_text *out) {
  while (out->length && out->data[out->length - 1] == ' ')
    out->length--;
  co_text_append(out, "\n", 1);
}
