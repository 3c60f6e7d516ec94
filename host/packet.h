// SPDX-License-Identifier: Apache-2.0
// What one batch brings from the host to a device with memory of its own, as one piece that is
// copied at once: per micro-batch the step scalars, then the rows of each field, each part aligned
// for the device. Loader threads write the rows, the program the scalars.
#ifndef COHORT_HOST_PACKET_H
#define COHORT_HOST_PACKET_H

#include "host/graph.h"

typedef struct co_packet_field {
  bool section;     // an input of the input section's graph, else of the network's
  int64_t input;    // its position there
  size_t row_bytes; // of one row
} co_packet_field;

typedef struct co_packet_layout {
  co_packet_field *fields;
  int64_t field_count;
  int64_t micro_rows; // rows of every micro-batch but the last
} co_packet_layout;

int64_t co_packet_parts(const co_packet_layout *layout, int64_t rows); // micro-batches
int64_t co_packet_part_rows(const co_packet_layout *layout, int64_t rows, int64_t part);
size_t co_packet_bytes(const co_packet_layout *layout, int64_t rows);
// Offsets in a packet of `rows` rows; the step scalars lie at the beginning of their part.
size_t co_packet_part_offset(const co_packet_layout *layout, int64_t part);
size_t co_packet_field_offset(const co_packet_layout *layout, int64_t rows, int64_t part,
                              int64_t field);

#endif
