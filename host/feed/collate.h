// SPDX-License-Identifier: Apache-2.0
// What each feed brings for given samples of a dataset: one loop over feeds, which knows no type of
// feature.
#ifndef COHORT_HOST_FEED_COLLATE_H
#define COHORT_HOST_FEED_COLLATE_H

#include "datasets/dataset.h"
#include "models/model.h"

typedef struct co_collator co_collator;

// For the section's feeds and, with `targets`, the network's behind them. All is borrowed.
co_status co_collator_create(co_collator **out, const co_section *section, co_dataset *dataset,
                             bool targets);
// For the targets and weights alone.
co_status co_collator_create_targets(co_collator **out, const co_model *model, co_dataset *dataset);
void co_collator_free(co_collator *collator); // NULL is legal
int64_t co_collator_count(const co_collator *collator);
const co_feed *co_collator_feed(const co_collator *collator, int64_t i);
// Bytes of one row of feed i, of those that differ from batch to batch.
size_t co_collator_row_bytes(const co_collator *collator, int64_t i);
// Bytes of one that does not, and the bytes themselves: as they lie in the dataset where they can
// be had so, else written to `room`.
size_t co_collator_fixed_bytes(const co_collator *collator, int64_t i);
const void *co_collator_fixed(const co_collator *collator, int64_t i, void *room);
bool co_collator_needs_room(const co_collator *collator, int64_t i);

// Writes `rows` rows of feed i, of which those from `valid` on are padding; of weights, adds their
// sum to *weight_sum (may be NULL for others), in row order. Any thread.
void co_collate(const co_collator *collator, int64_t i, const int64_t *samples, int64_t rows,
                int64_t valid, void *out, double *weight_sum);

// Rows of the table that all of a block's columns lie in; CO_DIM_N where they lie in several.
co_status co_block_table_rows(co_dataset *dataset, const co_input_block *block, int64_t *rows);

#endif
