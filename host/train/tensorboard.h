// SPDX-License-Identifier: Apache-2.0
// Scalars for TensorBoard: event files, which are records (bytes of the payload as uint64, its masked
// CRC-32C, the payload, its masked CRC-32C; all little-endian) of protocol buffers `Event`
// (tensorflow/core/util/event.proto: 1 wall_time, 2 step, 3 file_version, 5 summary {1 value {1 tag,
// 2 simple_value}}).
#ifndef COHORT_HOST_TRAIN_TENSORBOARD_H
#define COHORT_HOST_TRAIN_TENSORBOARD_H

#include "host/core/context.h"
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_scalar {
  const char *tag;
  double value;
} co_scalar;

// The record that begins a file; one of scalars, of which those that are NaN are left out.
void co_event_version(co_text *out, double wall_time);
void co_event_scalars(co_text *out, double wall_time, int64_t step, const co_scalar *scalars,
                      int64_t count);

// Opens `folder`/events.out.tfevents.cohort for appending: a new one, or one without its records of
// steps beyond `step`, and what was cut off behind them.
co_status co_events_open(co_writer **out, co_context *ctx, const char *folder, int64_t step);
// Adds a record of now.
co_status co_events_add(co_writer *writer, co_context *ctx, int64_t step, const co_scalar *scalars,
                        int64_t count);

#ifdef __cplusplus
}
#endif
#endif
