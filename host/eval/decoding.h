// SPDX-License-Identifier: Apache-2.0
// Texts that a network writes: greedily, the likeliest token after those that it has written, by a plan
// of one step whose recurrent state goes from run to run. What is written of a row hangs on the row
// alone.
#ifndef COHORT_HOST_EVAL_DECODING_H
#define COHORT_HOST_EVAL_DECODING_H

#include "host/plan/store.h"
#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_decoding co_decoding;
// Of an output that is a text, `rows` at a time, with the store's parameters as they are by then. All is
// borrowed.
co_status co_decoding_create(co_decoding **out, const co_model *model,
                             const co_output_feature *output, co_store *store, int64_t rows);
void co_decoding_free(co_decoding *decoding); // NULL is legal
// `read`: what the network gives of the output (count, units), count at most `rows`. *codes: (count,
// width), until the next run.
co_status co_decoding_run(co_decoding *decoding, const float *read, int64_t count,
                          const float **codes);

#ifdef __cplusplus
}
#endif
#endif
