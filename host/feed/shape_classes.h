// SPDX-License-Identifier: Apache-2.0
// Which shapes batches may have: numbers of rows, and vectors of lengths to which the events of each
// table, or words of each text, are padded. All of them are planned before the first step.
#ifndef COHORT_HOST_FEED_SHAPE_CLASSES_H
#define COHORT_HOST_FEED_SHAPE_CLASSES_H

#include "datasets/dataset.h"
#include "models/model.h"

// Learns the lengths from training rows: for table k, the lengths that the 1st, 2nd … of as many
// shares of the samples do not exceed. Before any plan, which depends on them. Nothing where the
// model reads no events.
co_status co_fit_lengths(co_model *model, co_dataset *dataset);

// How many vectors of lengths there are; 1, of zeros, without events.
int co_length_count(const co_model *model);
// `rows` rows with the i-th vector.
co_shape_class co_shape_class_of(const co_model *model, int64_t rows, int i);
// All of them for `rows` rows, behind `*count` there are; there must be room for CO_MAX_LENGTHS.
void co_shape_classes_add(const co_model *model, int64_t rows, co_shape_class *classes,
                          int64_t *count);

// The least vector that holds each sample's events, or the last (of more, the last are taken); NULL
// without events. To be freed.
co_status co_sample_classes(uint8_t **out, const co_model *model, co_dataset *dataset,
                            const int64_t *samples, int64_t count);

#endif
