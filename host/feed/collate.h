// SPDX-License-Identifier: Apache-2.0
// What each feed brings for given samples of a dataset: one loop over feeds, which knows no type of
// feature.
#ifndef COHORT_HOST_FEED_COLLATE_H
#define COHORT_HOST_FEED_COLLATE_H

#include "datasets/dataset.h"
#include "models/model.h"

typedef struct co_collator co_collator;

// For the section's feeds and the network's behind them, targets and weights only with `targets`;
// `training`: for samples that the model learns from (graph/feed.h, co_derivation).
// All is borrowed. Without a dataset (NULL), only what is fitted can be had.
co_status co_collator_create(co_collator **out, const co_section *section, co_dataset *dataset,
                             bool targets, bool training);
// For the targets and weights alone.
co_status co_collator_create_targets(co_collator **out, const co_model *model, co_dataset *dataset);
void co_collator_free(co_collator *collator); // NULL is legal
int64_t co_collator_count(const co_collator *collator);
const co_feed *co_collator_feed(const co_collator *collator, int64_t i);
// What a sample counts before it is known whether it has a target, and the column that says so; 1 and
// NULL where none does. Of collators with targets.
float co_collator_row_weight(const co_collator *collator, int64_t sample);
const char *co_collator_weight_column(const co_collator *collator);
// Bytes of one row of feed i in batches of a class, 0 of those that are the same for all batches.
size_t co_collator_row_bytes(const co_collator *collator, int64_t i, const co_shape_class *shape);
// Bytes of one that does not, and the bytes themselves: as they lie in the dataset where they can
// be had so, else written to `room`.
size_t co_collator_fixed_bytes(const co_collator *collator, int64_t i);
const void *co_collator_fixed(const co_collator *collator, int64_t i, void *room);
bool co_collator_needs_room(const co_collator *collator, int64_t i);

// Writes the rows of feed i for a batch of class `shape`, of which those from `valid` on are padding;
// of weights, adds their sum to *weight_sum (may be NULL for others), in row order. Any thread.
void co_collate(const co_collator *collator, int64_t i, const co_shape_class *shape,
                const int64_t *samples, int64_t valid, void *out, double *weight_sum);

// The rows of a TEACHER, of those of the target before it. Any thread.
void co_collate_taught(const co_collator *collator, int64_t i, int64_t rows, const int32_t *target,
                       void *out);

// The rows of a feed of noise: a function of seed, epoch and sample alone. Any thread.
void co_collate_noise(const co_collator *collator, int64_t i, const int64_t *samples, int64_t rows,
                      uint64_t seed, uint32_t epoch, float *out);

// Rows of the table that a block's columns lie in; CO_DIM_N where they lie in several, the block
// differs between samples of one row, or is a sequence that is made of a text.
co_status co_block_table_rows(co_dataset *dataset, const co_input_block *block, int64_t *rows);

#endif
