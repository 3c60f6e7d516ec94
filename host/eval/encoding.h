// SPDX-License-Identifier: Apache-2.0
// Rows as a network's combiner joins them: all encoded inputs of a row side by side, numbers as they are
// scaled or embedded, rows of embeddings, what is left of a sequence. And what of a row belongs to which
// *part*, a column of the data or a table of events.
#ifndef COHORT_HOST_EVAL_ENCODING_H
#define COHORT_HOST_EVAL_ENCODING_H

#include "host/eval/network.h"

typedef struct co_encoded_part {
  const char *name;                // of the feature, or of the table of events
  const co_input_feature *feature; // NULL of events that several columns tell of together
  const char *events;              // then of which table
} co_encoded_part;

// An encoded value of the network; several blocks may be encoded together.
typedef struct co_encoded_value {
  co_value value;              // in the network's graph
  const co_input_block *block; // the first
  int64_t first, width;        // of a row
} co_encoded_value;

typedef struct co_encoding co_encoding;

// Of a network; what its program reads and holds is borrowed.
co_status co_encoding_open(co_encoding **out, const co_network_parts *network);
// The same of given values of the network, each with one row a sample; without parts.
co_status co_encoding_open_at(co_encoding **out, const co_network_parts *network,
                              const co_value *values, int64_t count);
void co_encoding_close(co_encoding *encoding); // NULL is legal
int64_t co_encoding_width(const co_encoding *encoding);
const co_encoded_value *co_encoding_values(const co_encoding *encoding, int64_t *count);
// The parts, and for each number of a row which it belongs to.
const co_encoded_part *co_encoding_parts(const co_encoding *encoding, int64_t *count,
                                         const int32_t **part_of);
// Of a batch, given per input of the network's graph in the host's memory, the first `rows` rows: (rows,
// width).
co_status co_encoding_run(co_encoding *encoding, const co_shape_class *shape,
                          const void *const *inputs, int64_t rows, float *out);

#endif
