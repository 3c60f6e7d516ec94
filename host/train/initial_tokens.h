// SPDX-License-Identifier: Apache-2.0
// Weights that belong to tokens of texts, for a network that knows others: embeddings of what is read,
// embeddings and logits of what is written.
#ifndef COHORT_HOST_TRAIN_INITIAL_TOKENS_H
#define COHORT_HOST_TRAIN_INITIAL_TOKENS_H

#include "host/persist/model_file.h"
#include "models/model.h"

// Says of which parameters a dimension belongs to tokens (`matches`, parallel to the store's entries) and,
// once the model's vocabularies are `fitted`, which place in the file at `path` a token has: its own there, or
// none. Where vocabularies differ, the log says how many tokens are known.
co_status co_initial_tokens(co_weight_match *matches, co_arena *arena, const co_store *store,
                            const co_model *model, const char *path, bool fitted);

#endif
