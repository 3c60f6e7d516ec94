// SPDX-License-Identifier: Apache-2.0
// Words and characters of texts, as features of them tell them apart.
#ifndef COHORT_MODELS_FEATURES_TEXT_SEQUENCE_H
#define COHORT_MODELS_FEATURES_TEXT_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_TOKEN_WORDS, CO_TOKEN_CHARACTERS };

// The next word (or character; several blanks are one) of a text that ends with a 0, by its hash; false
// at the end. *at goes on behind it.
bool co_next_token(const unsigned char **at, bool characters, uint64_t *hash);

#ifdef __cplusplus
}
#endif

#endif
