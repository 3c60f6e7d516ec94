// SPDX-License-Identifier: Apache-2.0
// What one batch brings from the host to a device with memory of its own, as one piece that is
// copied at once: per micro-batch the step scalars, then the rows of each field, each part aligned
// for the device. Loader threads write the rows, the program the scalars.
#ifndef COHORT_HOST_EXEC_STAGING_H
#define COHORT_HOST_EXEC_STAGING_H

#include "host/graph/graph.h"

typedef struct co_staging_field {
  bool section;       // an input of the input section's graph, else of the network's
  int64_t input;      // its position there
  co_tensor_desc row; // of one row: no N, but maybe lengths of event tables
} co_staging_field;

typedef struct co_staging_layout {
  co_staging_field *fields;
  int64_t field_count;
  int64_t micro_rows; // rows of every micro-batch but the last
} co_staging_layout;

size_t co_staging_row_bytes(const co_staging_field *field, const co_shape_class *shape);
int64_t co_staging_parts(const co_staging_layout *layout, int64_t rows); // micro-batches
int64_t co_staging_part_rows(const co_staging_layout *layout, int64_t rows, int64_t part);
size_t co_staging_bytes(const co_staging_layout *layout, const co_shape_class *shape);
// Offsets of one class; the step scalars lie at the beginning of their part.
size_t co_staging_part_offset(const co_staging_layout *layout, const co_shape_class *shape,
                              int64_t part);
size_t co_staging_field_offset(const co_staging_layout *layout, const co_shape_class *shape,
                               int64_t part, int64_t field);

#endif
