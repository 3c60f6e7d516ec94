// SPDX-License-Identifier: Apache-2.0
// Event files for TensorBoard: records (bytes of the payload as uint64, its masked CRC-32C, the payload, its
// masked CRC-32C; all little-endian) of protocol buffers `Event` (tensorflow/core/util/event.proto: 1
// wall_time, 2 step, 3 file_version, 5 summary), whose `Summary` (framework/summary.proto) is a list of values,
// each with a tag; the table of hyperparameters is the plugin's (tensorboard/plugins/hparams/plugin_data.proto).
#ifndef COHORT_HOST_TRAIN_TENSORBOARD_H
#define COHORT_HOST_TRAIN_TENSORBOARD_H

#include "host/core/context.h"
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- values, each appended to a summary
void co_summary_scalar(co_text *summary, const char *tag, double value); // NaN is left out
// Between the least and the greatest value buckets of equal width; what is not finite is left out.
enum { CO_HISTOGRAM_BUCKETS = 30 };
void co_summary_histogram(co_text *summary, const char *tag, const float *values, int64_t count);
void co_summary_image(co_text *summary, const char *tag, const char *description,
                      const co_text *png);
// A line in the table of hyperparameters, and how it ended.
typedef enum co_hparam_kind { CO_HPARAM_NUMBER, CO_HPARAM_BOOL, CO_HPARAM_TEXT } co_hparam_kind;
typedef struct co_hparam {
  const char *name;
  co_hparam_kind kind;
  double number;
  const char *text;
} co_hparam;
void co_summary_session_start(co_text *summary, const co_hparam *hparams, int64_t count,
                              double wall_time);
void co_summary_session_end(co_text *summary, bool success, double wall_time);

// ---- records: that which begins a file, and one of a summary, which is freed
void co_event_version(co_text *out, double wall_time);
void co_event_summary(co_text *out, double wall_time, int64_t step, co_text *summary);

// Opens `folder`/events.out.tfevents.cohort for appending: a new one, or one without its records of
// steps beyond `step` (-1: without any), and what was cut off behind them.
co_status co_events_open(co_writer **out, co_context *ctx, const char *folder, int64_t step);
// Adds a record of now; frees the summary.
co_status co_events_add(co_writer *writer, co_context *ctx, int64_t step, co_text *summary);
double co_events_now(void); // seconds since 1970

#ifdef __cplusplus
}
#endif
#endif
