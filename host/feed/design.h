// SPDX-License-Identifier: Apache-2.0
// Rows as one matrix, for what is fitted to all of them at once: a model's inputs as its
// preprocessing makes them (numbers z-scored, say), one row a sample. A category is one code, which
// stands for a column per row of its vocabulary, 1 in that of the code and 0 in the others; the
// vocabulary's row 0 is for what is missing, unseen or rare.
#ifndef COHORT_HOST_FEED_DESIGN_H
#define COHORT_HOST_FEED_DESIGN_H

#include "datasets/dataset.h"
#include "host/core/watch.h"
#include "models/model.h"

typedef struct co_design_columns {
  int64_t numbers, codes;
  const int64_t *code_rows;  // of each code's vocabulary
  const int64_t *code_first; // the column of its row 0; numbers come before all of them
  int64_t count;             // numbers, and all rows of vocabularies
} co_design_columns;

typedef struct co_design {
  const co_design_columns *columns;
  int64_t rows;
  float *numbers;  // (rows, numbers)
  int32_t *codes;  // (rows, codes)
  float **target;  // per output (rows); of classes their number. NULL, as weight, of batches
  float **weight;  // 0 where the target is missing
  int64_t outputs; // that have both
} co_design;

// Of a model whose inputs are known; memory is the arena's. Inputs of events are left out, or, without
// `passes_events`, CO_ERR_CONFIG.
co_status co_design_describe(co_design_columns *out, co_arena *arena, const co_model *model,
                             bool passes_events);
// "age", "Month=Feb", "Month=(other)": of a column of a fitted model.
char *co_design_column_name(const co_design_columns *columns, co_arena *arena,
                            const co_model *model, int64_t column);
// The input that a column is made of.
const co_input_feature *co_design_feature(const co_design_columns *columns, const co_model *model,
                                          int64_t column);
// Writes a batch's rows, as a pipeline delivers them to the inputs of the model's network.
void co_design_write(const co_design_columns *columns, const co_model *model,
                     const void *const *inputs, int64_t rows, float *numbers, int32_t *codes);

// All of `samples` of a fitted model, read by `workers` threads. CO_ERR_MEMORY, before it is taken,
// where the matrix and `extra_bytes` for each row do not fit into the memory. Everything is freed
// with *out, legal on a zeroed struct.
typedef struct co_design_request {
  const int64_t *samples;
  int64_t count;
  bool learned; // they are what the features learned from, too: as training sees them
  int workers;
  size_t extra_bytes;
  const co_watch *watch;
} co_design_request;
co_status co_design_read(co_design *out, const co_design_columns *columns, co_model *model,
                         co_dataset *dataset, const co_design_request *request);
void co_design_free(co_design *design, co_context *ctx);

#endif
