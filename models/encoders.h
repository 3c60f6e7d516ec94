// SPDX-License-Identifier: Apache-2.0
// Encoders by name. Each expands to a list of layers, so that what a preset means can be printed,
// edited and trained from.
#ifndef COHORT_MODELS_ENCODERS_H
#define COHORT_MODELS_ENCODERS_H

#include "host/config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

// The layers of an encoder; where `encoder` names none (or is NULL), of the one called `fallback`.
co_status co_encoder_expand(const co_node **layers, const co_node *encoder, const char *path,
                            const char *fallback, co_arena *arena, co_diagnostics *problems);
// Name, doc and fields of the i-th encoder, false past the end: for help.
bool co_encoder_describe(int i, const char **name, const char **doc, const co_field **fields);

#ifdef __cplusplus
}
#endif
#endif
