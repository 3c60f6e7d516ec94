// SPDX-License-Identifier: Apache-2.0
// An encoder: the layers that its options stand for, as YAML. One of sequences is in
// sequence_encoders.c, the others are in encoders.c, with their list.
#ifndef COHORT_MODELS_ENCODER_CLASS_H
#define COHORT_MODELS_ENCODER_CLASS_H

#include "host/graph/layer.h"
#include "models/encoders.h"

typedef struct co_encoder_class {
  const char *name, *doc;
  const co_field *fields;
  size_t options_size;
  bool codes, bins, events; // what it takes alone
  void (*expand)(co_text *text, const void *options, const co_encoder_input *input,
                 const char *path, co_diagnostics *problems);
} co_encoder_class;

extern const co_encoder_class co_encoder_rnn, co_encoder_transformer, co_encoder_parallel_cnn,
    co_encoder_bag;

#define TYPE_FIELD(options)                                                                        \
  { "type", CO_FIELD_STRING, offsetof(options, type), "null", 0, 0, NULL, "Which encoder.", NULL }

// What of an Embedding layer says how its table is updated: word of co_embedding_update_words.
const char *co_encoder_update_text(int update);

// Reads a list of positive integers; absent = `fallback`. Returns the count, -1 after a problem.
int co_encoder_read_sizes(const co_node *node, const char *path, const char *key,
                          const int64_t *fallback, int fallback_count, int64_t *out, int most,
                          co_diagnostics *problems);

#endif
