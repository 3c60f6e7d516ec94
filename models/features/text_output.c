// SPDX-License-Identifier: Apache-2.0
// The tokens of texts that are written: characters as they are, or words between blanks.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/feature.h"
#include "models/features/text_sequence.h"
#include "models/features/token_counts.h"
#include "models/text_output.h"

// ---- tokens ------------------------------------------------------------------------------------

static bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// Bytes of the character; what is no UTF-8 is taken byte by byte.
static int64_t character_bytes(const char *at) {
  const unsigned char c = (unsigned char)*at;
  const int64_t bytes = c >= 0xF8 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
  for (int64_t i = 1; i < bytes; i++)
    if ((at[i] & 0xC0) != 0x80) return 1;
  return bytes;
}

// The next token, of *length bytes; NULL at the end. *at goes on behind it.
static const char *next_token(const co_text_output *text, const char **at, int64_t *length) {
  const bool words = text->tokens == CO_TOKEN_WORDS;
  while (words && is_blank(**at))
    ++*at;
  const char *begin = *at;
  if (!*begin) return NULL;
  if (!words) *at += character_bytes(begin);
  while (words && **at && !is_blank(**at))
    ++*at;
  *length = *at - begin;
  return begin;
}

static const char *token_of(const co_text_output *text, int64_t i) {
  return (const char *)text->vocabulary->bytes + i * text->token_bytes;
}

// A damaged model may say anything.
static int64_t size_of(const co_text_output *text) {
  const int64_t size = *(const int64_t *)text->size->bytes;
  return size < 0 || size > text->max_size ? 0 : size;
}

bool co_text_output_is_sound(const co_text_output *text) {
  const int64_t size = *(const int64_t *)text->size->bytes;
  if (size < 0 || size > text->max_size) return false;
  for (int64_t i = 0; i < size; i++) {
    const char *token = token_of(text, i);
    if (!*token || !memchr(token, 0, (size_t)text->token_bytes)) return false;
    if (i && strcmp(token_of(text, i - 1), token) >= 0) return false;
  }
  return true;
}

static int32_t code_of(const co_text_output *text, const char *token, int64_t length) {
  int64_t low = 0, high = length < text->token_bytes ? size_of(text) : 0;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const char *known = token_of(text, middle);
    const int order = strncmp(known, token, (size_t)length);
    if (order == 0 && !known[length]) return (int32_t)(CO_TEXT_FIRST + middle);
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return CO_TEXT_UNKNOWN;
}

// FNV-1a.
static uint64_t hash_of(const char *bytes, int64_t length) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (int64_t i = 0; i < length; i++)
    hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001B3u;
  return hash;
}

// Behind the codes of the largest vocabulary, and below 2^24, which floats are exact for.
static int32_t apart(const char *token, int64_t length) {
  enum { FIRST_APART = 1 << 21, CODES_APART = 1 << 23 };
  return FIRST_APART + (int32_t)(hash_of(token, length) % CODES_APART);
}

int64_t co_text_output_tell_apart(const co_text_output *text, const char *from, int64_t most,
                                  int32_t *codes) {
  int64_t count = 0, length;
  for (const char *token; count < most && (token = next_token(text, &from, &length));) {
    codes[count] = code_of(text, token, length);
    if (codes[count] == CO_TEXT_UNKNOWN) codes[count] = apart(token, length);
    count++;
  }
  return count;
}

int64_t co_text_output_encode(const co_text_output *text, const char *from, int32_t *codes) {
  int64_t count = 0, length;
  const char *token;
  while ((token = next_token(text, &from, &length)) && count < text->max_length)
    codes[count++] = code_of(text, token, length);
  if (!token) codes[count++] = CO_TEXT_END;
  for (int64_t i = count; i <= text->max_length; i++)
    codes[i] = CO_TEXT_NOTHING;
  return count;
}

const char *co_text_output_print(const co_text_output *text, const float *codes) {
  char *to = text->written;
  for (int64_t i = 0; i <= text->max_length; i++) {
    const int64_t code = (int64_t)codes[i] - CO_TEXT_FIRST;
    if (code < 0 || code >= size_of(text)) break;
    if (i && text->tokens == CO_TOKEN_WORDS) *to++ = ' ';
    const size_t length = strnlen(token_of(text, code), (size_t)text->token_bytes - 1);
    memcpy(to, token_of(text, code), length);
    to += length;
  }
  *to = '\0';
  return text->written;
}

bool co_text_output_writes(const co_text_output *text, int64_t code) {
  return code == CO_TEXT_END || (code >= CO_TEXT_FIRST && code < CO_TEXT_FIRST + size_of(text));
}

static int64_t tokens_in(const float *codes, int64_t width) {
  int64_t count = 0;
  while (count < width && codes[count] >= CO_TEXT_UNKNOWN)
    count++;
  return count;
}

co_text_match co_text_match_of(const float *codes, int64_t width, const int32_t *target,
                               int64_t length, int64_t *room) {
  const int64_t count = tokens_in(codes, width);
  co_text_match match = {.length = length};
  int64_t *before = room, *now = room + length + 1;
  for (int64_t k = 0; k <= length; k++)
    before[k] = k;
  for (int64_t i = 1; i <= count; i++) {
    now[0] = i;
    for (int64_t k = 1; k <= length; k++) {
      const int64_t replaced = before[k - 1] + (codes[i - 1] != (float)target[k - 1]);
      const int64_t moved = (before[k] < now[k - 1] ? before[k] : now[k - 1]) + 1;
      now[k] = replaced < moved ? replaced : moved;
    }
    int64_t *swapped = before;
    before = now;
    now = swapped;
  }
  match.edits = before[length];
  match.exact = !match.edits && count < width && codes[count] == CO_TEXT_END;
  return match;
}

// ---- fitting -----------------------------------------------------------------------------------

static co_status count_tokens(co_token_counts *counts, const co_text_output *text,
                              const char *from) {
  int64_t length;
  for (const char *token; (token = next_token(text, &from, &length));)
    CO_RETURN_IF_FAILED(co_token_counts_add(counts, hash_of(token, length), token, length));
  return CO_OK;
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(a, b);
}

// Those that are frequent and short enough, in the order of their bytes.
static void keep_tokens(co_text_output *text, const co_token_counts *counts) {
  char *to = text->vocabulary->bytes;
  int64_t size = 0;
  for (int64_t i = 0; i < counts->used && size < text->max_size; i++) {
    const co_token_count *token = &counts->places[i];
    if (token->count < text->min_frequency) break;
    if (token->length >= text->token_bytes) continue;
    memcpy(to + size * text->token_bytes, token->text, (size_t)token->length);
    to[size++ * text->token_bytes + token->length] = '\0';
  }
  qsort(to, (size_t)size, (size_t)text->token_bytes, by_bytes);
  *(int64_t *)text->size->bytes = size;
}

// Of NOTHING and of what is not there: less than of anything that is.
static void weigh_codes(co_text_output *text, const int64_t *seen) {
  static const float never = -30;
  float *share = text->log_share->bytes;
  double all = 0;
  for (int64_t i = CO_TEXT_END; i < co_text_output_classes(text); i++)
    all += (double)seen[i];
  for (int64_t i = 0; i < co_text_output_classes(text); i++)
    share[i] = seen[i] ? (float)log((double)seen[i] / all) : never;
}

static void tell(co_context *ctx, const co_output_feature *output, const co_token_counts *counts,
                 int64_t longer, int64_t count) {
  const co_text_output *text = output->text;
  const char *what = text->tokens == CO_TOKEN_WORDS ? "words" : "characters";
  if (counts->used > size_of(text))
    co_log(ctx, CO_LOG_INFO, "data",
           "output '%s': of %lld different %s of the training rows it can write %lld", output->name,
           (long long)counts->used, what, (long long)size_of(text));
  if (longer)
    co_log(ctx, CO_LOG_WARN, "data",
           "output '%s': %lld of %lld training rows have more than %lld %s, of which it learns "
           "the first (decoder: {max_length: …})",
           output->name, (long long)longer, (long long)count, (long long)text->max_length, what);
}

static co_status fit(co_context *ctx, co_output_feature *output, const char *const *texts,
                     const int64_t *index, const int64_t *samples, int64_t count,
                     co_token_counts *tokens, co_token_counts *whole, int64_t *seen) {
  co_text_output *text = output->text;
  int32_t *codes = text->most_frequent->bytes;
  int64_t longer = 0;
  for (int64_t i = 0; i < count; i++) {
    const char *from = texts[index ? index[samples[i]] : samples[i]];
    const int64_t length = (int64_t)strlen(from);
    CO_RETURN_IF_FAILED(count_tokens(tokens, text, from));
    if (length)
      CO_RETURN_IF_FAILED(co_token_counts_add(whole, hash_of(from, length), from, length));
  }
  co_token_counts_sort(tokens);
  co_token_counts_sort(whole);
  keep_tokens(text, tokens);
  for (int64_t i = 0; i < whole->used; i++) {
    const int64_t length = co_text_output_encode(text, whole->places[i].text, codes);
    if (codes[length - 1] != CO_TEXT_END) longer += whole->places[i].count;
    for (int64_t k = 0; k < length; k++)
      seen[codes[k]] += whole->places[i].count;
  }
  weigh_codes(text, seen);
  co_text_output_encode(text, whole->used ? whole->places[0].text : "", codes);
  tell(ctx, output, tokens, longer, count);
  return CO_OK;
}

co_status co_text_output_fit(co_context *ctx, co_output_feature *output, const char *const *texts,
                             const int64_t *index, const int64_t *samples, int64_t count) {
  co_token_counts tokens = {.ctx = NULL}, whole = {.ctx = NULL};
  int64_t *seen = co_alloc_zero(ctx, (size_t)co_text_output_classes(output->text),
                                sizeof *seen); // of each code
  co_status status = seen ? co_token_counts_create(&tokens, ctx) : CO_ERR_MEMORY;
  if (status == CO_OK) status = co_token_counts_create(&whole, ctx);
  if (status == CO_OK)
    status = fit(ctx, output, texts, index, samples, count, &tokens, &whole, seen);
  co_free(ctx, seen);
  co_token_counts_free(&tokens);
  co_token_counts_free(&whole);
  return status;
}
