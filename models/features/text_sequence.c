// SPDX-License-Identifier: Apache-2.0
// A text as the sequence of its words or characters, each a row of a vocabulary that is learned from
// the training rows: row 0 is for rare and unseen ones, row 1 for the most frequent, and so on. Words
// are told apart as by BERT's basic tokenizer (Devlin et al. 2019): by blanks; each symbol, and each
// character of Chinese and Japanese, is one for itself. Apostrophes within words belong to them.
#include <stdlib.h>
#include <string.h>

#include "models/builder.h"
#include "models/features/characters.h"
#include "models/features/text_sequence.h"
#include "models/features/token_counts.h"
#include "models/text_output.h"

typedef enum keep_end { KEEP_FIRST, KEEP_LAST } keep_end;

typedef struct sequence_options {
  int tokens, keep;
  int64_t min_frequency, max_size, max_length;
} sequence_options;

static const char *const token_words[] = {"words", "characters", NULL};
static const char *const keep_words[] = {"first", "last", NULL};

static const co_field preprocessing[] = {
    {"tokens", CO_FIELD_ENUM, offsetof(sequence_options, tokens), "words", 0, 0, token_words,
     "What the sequence is of. Words: Chinese and Japanese by characters; each symbol is one.",
     NULL},
    {"min_frequency", CO_FIELD_INT, offsetof(sequence_options, min_frequency), "2", 1, 1 << 30,
     NULL, "Rarer ones in the training rows share one row with unseen ones.", NULL},
    {"max_size", CO_FIELD_INT, offsetof(sequence_options, max_size), "10000", 1, 1 << 24, NULL,
     "Rows of the vocabulary, for the most frequent ones.", "max_vocabulary"},
    {"max_length", CO_FIELD_INT, offsetof(sequence_options, max_length), "256", 1, 1 << 20, NULL,
     "Words or characters that are read of a text.", NULL},
    {"keep", CO_FIELD_ENUM, offsetof(sequence_options, keep), "first", 0, 0, keep_words,
     "Which of them, where there are more.", NULL},
    {.key = NULL}};

static const sequence_options *options_of(const co_input_feature *feature) {
  return feature->preprocessing;
}

// ---- tokens ------------------------------------------------------------------------------------

// Characters as wide as Chinese ones are what they are elsewhere.
static uint32_t read_character(const unsigned char **at) {
  uint32_t c = next_character(at);
  if (c >= 0xFF01 && c <= 0xFF5E) c -= 0xFEE0;
  return c >= 'A' && c <= 'Z' ? c + 0x20 : c;
}

static bool is_blank(uint32_t c) {
  return c <= ' ' || (c >= 0x7F && c <= 0xA0) || c == 0xAD || (c >= 0x2000 && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202F) || (c >= 0x205F && c <= 0x206F) || c == 0x3000 ||
         (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF;
}

// Symbols, punctuation, and scripts that are written without blanks between words.
static bool stands_alone(uint32_t c) {
  return !is_of_word(c) || c == 0xD7 || c == 0xF7 || (c >= 0x2000 && c <= 0x2BFF) ||
         (c >= 0x2E80 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFFEF) ||
         (c >= 0x1F000 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFF);
}

static bool is_in_word(uint32_t c) {
  return !is_blank(c) && !stands_alone(c);
}

// The rest of a word; `hash` is that of its first character.
static uint64_t end_word(const unsigned char **at, uint64_t hash) {
  for (;;) {
    const unsigned char *next = *at;
    uint32_t c = read_character(&next);
    const unsigned char *after = next;
    if (c == 0x2019) c = '\'';
    if (!is_in_word(c) && !(c == '\'' && is_in_word(read_character(&after)))) return hash;
    hash = hash_on(hash, c);
    *at = next;
  }
}

bool co_next_token(const unsigned char **at, bool characters, uint64_t *hash) {
  const unsigned char *start = *at;
  uint32_t c = read_character(at);
  bool blank = false;
  while (c && is_blank(c)) {
    blank = true;
    start = *at;
    c = read_character(at);
  }
  if (!c) return false;
  *hash = hash_on(hash_start, c);
  if (characters && blank) {
    *at = start; // again, behind the blank
    *hash = hash_on(hash_start, ' ');
  } else if (!characters && !stands_alone(c)) {
    *hash = end_word(at, *hash);
  }
  return true;
}

// ---- derivation --------------------------------------------------------------------------------

typedef struct derivation {
  const sequence_options *options;
  const int64_t *hashes; // (max_size), growing
  const int32_t *rows;   // (max_size), 0 = of no word
  const co_model *model;
  int32_t table; // its number there
} derivation;

// What is read of a text at most: no more than of the longest training row, once that is known.
static int64_t longest(const derivation *d) {
  const int64_t *lengths = d->model->lengths->bytes;
  const int64_t known = lengths[(CO_MAX_LENGTHS - 1) * CO_MAX_EVENT_TABLES + d->table];
  return known ? known : d->options->max_length;
}

static int32_t row_of(const derivation *d, uint64_t token) {
  const int64_t wanted = (int64_t)token;
  int64_t low = 0, high = d->options->max_size;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (d->hashes[middle] < wanted)
      low = middle + 1;
    else
      high = middle;
  }
  return low < d->options->max_size && d->hashes[low] == wanted ? d->rows[low] : 0;
}

// A blank before the first character is none of the text.
static const unsigned char *begin_text(const char *text) {
  const unsigned char *at = (const unsigned char *)text, *next = at;
  for (uint32_t c; (c = read_character(&next)) && is_blank(c);)
    at = next;
  return at;
}

static int64_t derive(const void *user, const char *text, int64_t most, int32_t *out) {
  const derivation *d = user;
  const bool characters = d->options->tokens == CO_TOKEN_CHARACTERS;
  const unsigned char *at = begin_text(text);
  int64_t count = 0, skipped = 0, i = 0;
  uint64_t token;
  while (co_next_token(&at, characters, &token))
    count++;
  if (d->options->keep == KEEP_LAST && count > most) skipped = count - most;
  at = begin_text(text);
  for (; i < skipped + most && co_next_token(&at, characters, &token); i++)
    if (i >= skipped) out[i - skipped] = row_of(d, token);
  return count;
}

static co_status declare(co_model *model, co_input_feature *feature) {
  const co_shape size = co_shape_make(1, options_of(feature)->max_size);
  const co_fitted arrays[] = {{.name = "hashes", .dtype = CO_I64, .shape = size},
                              {.name = "rows", .dtype = CO_I32, .shape = size}};
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, arrays, 2));
  derivation *made = co_arena_alloc(model->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = (derivation){options_of(feature), co_feature_fitted(feature, "hashes")->bytes,
                       co_feature_fitted(feature, "rows")->bytes, model, feature->event_table};
  const co_derivation d = {.dtype = CO_I32, .width = 1, .derive_sequence = derive, .user = made};
  CO_RETURN_IF_FAILED(co_feature_derive(model, feature, &d));
  model->event_tables[feature->event_table].sequence = feature->derivation;
  return CO_OK;
}

static bool is_fitted(const co_input_feature *feature) {
  (void)feature;
  return true;
}

static int64_t most_tokens(const co_input_feature *feature) {
  return options_of(feature)->max_length;
}

static int64_t table_rows(const co_input_block *block) {
  return 1 + options_of(&block->features[0])->max_size;
}

// ---- fitting -----------------------------------------------------------------------------------

static co_status begin(co_context *ctx, const co_input_feature *feature, void *state) {
  (void)feature;
  return co_token_counts_create(state, ctx);
}

static co_status add(const co_input_feature *feature, void *state, const void *values, int64_t rows,
                     const int64_t *samples) {
  const bool characters = options_of(feature)->tokens == CO_TOKEN_CHARACTERS;
  (void)samples;
  for (int64_t i = 0; i < rows; i++) {
    const unsigned char *at = begin_text(((const char *const *)values)[i]);
    for (uint64_t token; co_next_token(&at, characters, &token);)
      CO_RETURN_IF_FAILED(co_token_counts_add(state, token, NULL, 0));
  }
  return CO_OK;
}

static int by_hash(const void *a, const void *b) {
  const int64_t x = (int64_t)((const co_token_count *)a)->hash;
  const int64_t y = (int64_t)((const co_token_count *)b)->hash;
  return (x > y) - (x < y);
}

static co_status end(co_context *ctx, co_input_feature *feature, void *state) {
  const sequence_options *options = options_of(feature);
  co_token_counts *f = state;
  int64_t *hashes = co_feature_fitted(feature, "hashes")->bytes, size = 0;
  int32_t *rows = co_feature_fitted(feature, "rows")->bytes;
  co_token_counts_sort(f);
  while (size < options->max_size && size < f->used &&
         f->places[size].count >= options->min_frequency) {
    f->places[size].first = size + 1; // from here on its row
    size++;
  }
  qsort(f->places, (size_t)size, sizeof *f->places, by_hash);
  for (int64_t i = 0; i < options->max_size; i++) {
    hashes[i] = i < size ? (int64_t)f->places[i].hash : INT64_MAX;
    rows[i] = i < size ? (int32_t)f->places[i].first : 0;
  }
  if (!size)
    co_log(ctx, CO_LOG_WARN, "data",
           "input '%s': no word occurs %lld times in the training rows; all are one", feature->name,
           (long long)options->min_frequency);
  return CO_OK;
}

static void free_fitting(co_context *ctx, void *state) {
  (void)ctx;
  co_token_counts_free(state);
}

static const co_fit_class fit = {.state_size = sizeof(co_token_counts),
                                 .begin = begin,
                                 .add = add,
                                 .end = end,
                                 .free = free_fitting};

// A text is unseen if it has a word that is.
static co_status check(const co_input_feature *feature, const void *values, int64_t rows,
                       const int64_t *samples, int64_t *counts) {
  const sequence_options *options = options_of(feature);
  const bool characters = options->tokens == CO_TOKEN_CHARACTERS;
  (void)samples;
  for (int64_t i = 0; i < rows; i++) {
    const unsigned char *at = begin_text(((const char *const *)values)[i]);
    int64_t length = 0;
    bool unseen = false;
    for (uint64_t token; co_next_token(&at, characters, &token); length++)
      unseen = unseen || !row_of(feature->derivation->user, token);
    counts[CO_COUNT_MISSING] += !length;
    counts[CO_COUNT_UNSEEN] += unseen;
    counts[CO_COUNT_TRUNCATED] += length > longest(feature->derivation->user);
  }
  return CO_OK;
}

static co_status describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  *dtype = CO_I32;
  *shape = co_shape_make(2, CO_DIM_N, CO_DIM_T(block->event_table));
  return CO_OK;
}

static co_status emit(co_section_builder *b, co_value *out) {
  return co_section_sequence(b, out);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(sequence_options),
                                     .encoder = "rnn",
                                     .table_rows = table_rows,
                                     .most_events = most_tokens,
                                     .declare = declare,
                                     .is_fitted = is_fitted,
                                     .fit = &fit,
                                     .check = check,
                                     .describe = describe,
                                     .emit = emit};

// ---- output ------------------------------------------------------------------------------------

static int64_t codes(const co_output_feature *output) {
  return output->text->max_length + 1;
}

static int64_t one_cell(const co_output_feature *output) {
  (void)output;
  return 1;
}

static char *cell_name(co_context *ctx, const co_output_feature *output, int64_t i) {
  (void)i;
  return co_strdup(ctx, output->name);
}

static co_score_cell cell(const co_output_feature *output, const float *scores, int64_t i) {
  (void)i;
  return (co_score_cell){co_text_output_print(output->text, scores), 0};
}

static const co_output_class output = {.loss = "softmax_cross_entropy",
                                       .head = "logits",
                                       .prediction = "read",
                                       .activation = CO_OP_COUNT,
                                       .target = CO_I32,
                                       .width = codes,
                                       .cells = one_cell,
                                       .cell_name = cell_name,
                                       .cell = cell};

extern const co_feature_class co_feature_text_sequence;
const co_feature_class co_feature_text_sequence = {
    .name = "text_sequence",
    .doc = "Of type text_sequence: the words or characters of a text, in their order.",
    .columns = 1u << CO_COLUMN_TEXT,
    .input = &input,
    .output = &output};
