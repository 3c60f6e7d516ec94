// SPDX-License-Identifier: Apache-2.0
// The text of a plain or gzip file in UTF-8, converted where it is in another encoding.
#ifndef COHORT_DATASETS_TEXT_INPUT_H
#define COHORT_DATASETS_TEXT_INPUT_H

#include "datasets/source.h"

#ifdef __cplusplus
extern "C" {
#endif

co_status co_text_check_encoding(const char *encoding); // CO_ERR_USAGE where iconv does not know it
typedef struct co_text_input co_text_input;
// `encoding` as iconv names it; NULL = UTF-8, which is not checked here. CO_ERR_USAGE as above.
co_status co_text_input_open(co_text_input **out, co_context *ctx, const char *path,
                             const char *encoding, bool hashed);
void co_text_input_close(co_text_input *input); // NULL is legal
// Reads at most `bytes`, of which there are 64 at least. A byte that the encoding does not have becomes
// 0xFF, which no UTF-8 has. *ended: there is no more.
co_status co_text_input_read(co_text_input *input, unsigned char *out, size_t bytes, size_t *got,
                             bool *ended);
const co_source *co_text_input_source(const co_text_input *input);
void co_text_input_digest(co_text_input *input, char hex[65]);

#ifdef __cplusplus
}
#endif
#endif
