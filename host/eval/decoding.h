// SPDX-License-Identifier: Apache-2.0
// Texts that a network writes: greedily, the likeliest token after those that it has written, by a plan
// of one step whose recurrent state goes from run to run. What is written of a row hangs on the row
// alone.
#ifndef COHORT_HOST_EVAL_DECODING_H
#define COHORT_HOST_EVAL_DECODING_H

#include "host/plan/store.h"
#include "models/text_output.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_decoding co_decoding;
// Of an output that is a text, `rows` at a time, with the store's parameters as they are by then. All is
// borrowed.
co_status co_decoding_create(co_decoding **out, const co_model *model,
                             const co_output_feature *output, co_store *store, int64_t rows);
void co_decoding_free(co_decoding *decoding); // NULL is legal
// Bytes that it takes of the device.
co_status co_decoding_bytes(size_t *out, const co_model *model, const co_output_feature *output,
                            co_store *store, int64_t rows);
// What the network gives of rows, `count` of them, at most `rows`: the context (count, units), and of each
// memory (count, events, units) with its lengths.
typedef struct co_decoding_read {
  int64_t count;
  const float *context;
  const float *memory[CO_TEXT_MEMORIES];
  const int32_t *lengths[CO_TEXT_MEMORIES];
  int64_t events[CO_TEXT_MEMORIES];
} co_decoding_read;
// Of the network's outputs, of a batch of class `shape`.
co_decoding_read co_decoding_read_of(const co_output_feature *output, const void *const *outputs,
                                     const co_shape_class *shape, int64_t count);
// *codes: (count, width), until the next run.
co_status co_decoding_run(co_decoding *decoding, const co_decoding_read *read, const float **codes);

#ifdef __cplusplus
}
#endif
#endif
