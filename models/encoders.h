// SPDX-License-Identifier: Apache-2.0
// Encoders by name. Each expands to a list of layers, so that what a preset means can be printed,
// edited and trained from.
#ifndef COHORT_MODELS_ENCODERS_H
#define COHORT_MODELS_ENCODERS_H

#include "host/config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

// What encoders know of their input.
typedef struct co_encoder_input {
  const char *fallback; // the encoder where none is named
  int64_t rows;         // of a table that its codes pick from, 0 = they are numbers
  int64_t bins;         // its numbers are places in so many bins, 0 = they are not
  bool events;          // it is (N, T, …), with lengths
  bool each;            // of events: only what works on each event by itself
  int64_t image[3];     // of a decoder: height, width, channels that are wanted; 0 = no image
} co_encoder_input;

// The layers of an encoder; where `encoder` names none (or is NULL), of `input->fallback`.
co_status co_encoder_expand(const co_node **layers, const co_node *encoder, const char *path,
                            const co_encoder_input *input, co_arena *arena,
                            co_diagnostics *problems);
// Name, doc and fields of the i-th encoder, false past the end: for help.
bool co_encoder_describe(int i, const char **name, const char **doc, const co_field **fields);

#ifdef __cplusplus
}
#endif
#endif
