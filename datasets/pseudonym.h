// SPDX-License-Identifier: Apache-2.0
// Keys of customers as keyed hashes, so that a dataset, model or log names nobody: BLAKE2b-256 of the
// cell's text without blanks around it, under a secret key, in lower-case hex, as libsodium's
// crypto_generichash makes it (libsodium.so.23, opened on use). Who has the key file can tell again
// which hash is whose by hashing all candidates; nothing else can, and no mapping is kept.
#ifndef COHORT_DATASETS_PSEUDONYM_H
#define COHORT_DATASETS_PSEUDONYM_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_PSEUDONYM_TEXT = 64, CO_PSEUDONYM_CHECK = 16 }; // hex digits

typedef struct co_pseudonym co_pseudonym;
// The key is what the file holds, less one line end at its end: 16 to 64 bytes. A file that others may
// read is warned about. *out is the arena's. CO_ERR_DEVICE without libsodium, CO_ERR_USAGE for a file
// that is no key.
co_status co_pseudonym_open(co_pseudonym **out, co_arena *arena, const char *key_file);
// Fills `out`; any thread.
void co_pseudonym_make(const co_pseudonym *pseudonym, const char *text, size_t length,
                       char out[CO_PSEUDONYM_TEXT]);
// What tells whether two keys are the same, and nothing else: the beginning of the hash of the text
// "cohort key check".
const char *co_pseudonym_check(const co_pseudonym *pseudonym);
// "1.0.18", or "missing (…)".
void co_sodium_version(char out[64]);

#ifdef __cplusplus
}
#endif
#endif
