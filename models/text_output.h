// SPDX-License-Identifier: Apache-2.0
// A text as output: a recurrent decoder writes it token by token (Sutskever et al. 2014; Cho et al.
// 2014). Rows of scores hold its codes as numbers: of tokens, then that of the end, then nothing.
#ifndef COHORT_MODELS_TEXT_OUTPUT_H
#define COHORT_MODELS_TEXT_OUTPUT_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

// Codes. What is before the first token has that of nothing; rare tokens share one, which is never
// written. Behind them come those of the vocabulary.
enum { CO_TEXT_NOTHING, CO_TEXT_END, CO_TEXT_UNKNOWN, CO_TEXT_FIRST };

// Sequences that a decoder attends to at most.
enum { CO_TEXT_MEMORIES = 4 };

// What a decoder attends to of a sequence: numbers of each of its events (N, T, units), and how many
// events there are, as outputs of the network, one behind the other; there, too, as values.
typedef struct co_text_memory {
  int32_t event_table;
  int64_t output; // position of the first in graph->outputs
  co_value value, lengths;
} co_text_memory;

typedef struct co_text_output {
  int tokens; // CO_TOKEN_WORDS, …
  int cell;   // co_rnn_cell
  int64_t min_frequency, max_size, max_length, units, embedding_size;
  int64_t token_bytes; // room for one in the vocabulary, with the 0 at its end
  // Learned from training rows: texts of tokens u8 (max_size, token_bytes), growing; how many there are
  // i64 (1); the codes of the most frequent target i32 (max_length + 1); logarithms of how often each code
  // is what comes next f32 (codes), which logits begin from: else a network has to learn first, by all
  // that it gives, that most of a large vocabulary is not there.
  co_fitted *vocabulary, *size, *most_frequent, *log_share;
  // Of the column: i32 (max_length + 1) codes with the end. Of these: the same one place later, behind
  // nothing; how many they are.
  const co_derivation *target, *previous, *length;
  const co_node *attention; // as the config has it
  co_text_memory memory[CO_TEXT_MEMORIES];
  int64_t memory_count; // 0: no attention
  char *written;        // room for a text
} co_text_output;

// Whether the vocabulary that a file has is one that co_text_output_fit could have made.
bool co_text_output_is_sound(const co_text_output *text);
// The codes of a text (max_length + 1); one that is longer has no end. Returns how many there are.
int64_t co_text_output_encode(const co_text_output *text, const char *from, int32_t *codes);
// The text of a row of scores; borrowed until the next.
const char *co_text_output_print(const co_text_output *text, const float *codes);
// Whether a code is one that can be written: not nothing and unknown, nor any that no token has.
bool co_text_output_writes(const co_text_output *text, int64_t code);
// The codes of a text's tokens, however many, without an end: at most as many as it has bytes. Rare
// ones are told apart (by a hash of 23 bits) by codes that no vocabulary has: none of them is what a
// network can write. Returns how many there are.
int64_t co_text_output_tell_apart(const co_text_output *text, const char *from, int64_t most,
                                  int32_t *codes);
// How well a row of scores (width) is the text of `length` tokens of these codes. Edits: tokens
// inserted, left out, or replaced (Levenshtein 1966); `room`: 2 (length + 1) numbers.
typedef struct co_text_match {
  bool exact;
  int64_t edits, length;
} co_text_match;
co_text_match co_text_match_of(const float *codes, int64_t width, const int32_t *target,
                               int64_t length, int64_t *room);

// Learns from the texts of training rows, which must live until it returns. `index`: row of each sample;
// NULL = its number.
co_status co_text_output_fit(co_context *ctx, co_output_feature *output, const char *const *texts,
                             const int64_t *index, const int64_t *samples, int64_t count);

// One step of a text being written, over the parameters of the model's network: inputs of
// CO_DECODING_INPUTS, then each memory and its lengths, outputs of CO_DECODING_OUTPUTS. To be freed.
enum { CO_DECODING_context, CO_DECODING_state, CO_DECODING_token, CO_DECODING_INPUTS };
enum { CO_DECODING_MOST_INPUTS = CO_DECODING_INPUTS + 2 * CO_TEXT_MEMORIES };
enum { CO_DECODING_next_state, CO_DECODING_next_token, CO_DECODING_OUTPUTS };
co_status co_model_create_decoding(co_graph **out, const co_model *model,
                                   const co_output_feature *output);
// What the logits are made of, in place of states h (N, steps, units): (rows, units). `params`: kernel and
// bias of its dense layer.
co_status co_text_attention_emit(co_graph *graph, const co_text_output *text,
                                 const co_value *memory, const co_value *lengths,
                                 const co_value params[2], int64_t rows, co_value *h);
int64_t co_text_output_classes(const co_text_output *text); // codes
int64_t co_text_output_state(const co_text_output *text);   // numbers of a row's state

#ifdef __cplusplus
}
#endif
#endif
