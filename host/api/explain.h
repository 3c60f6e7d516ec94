// SPDX-License-Identifier: Apache-2.0
// cohort_explain's own: what is explained, shared by tables and images.
#ifndef COHORT_HOST_API_EXPLAIN_H
#define COHORT_HOST_API_EXPLAIN_H

#include "host/api/events.h"
#include "host/api/images.h"
#include "host/api/table.h"
#include "host/core/output.h"
#include "host/eval/reasons.h"

enum { CO_EXPLAIN_EVENTS = 1000 }; // of a row, one by one

typedef struct co_explaining {
  cohort_context *context;
  co_context *ctx;
  const cohort_explain_options *options;
  co_arena *arena;
  co_predictor *predictor;
  // What rows have become where they came as a log, a folder of images, a raw table.
  co_event_scoring events;
  co_image_scoring images;
  co_table_scoring table;
  co_dataset *dataset; // of the part at hand
  const co_output_feature *output;
  int64_t class_;                    // -1 = of each row the likeliest
  int64_t left;                      // rows that may still be explained
  bool *found;                       // per key that was asked for
  int64_t *samples, count, capacity; // chosen in the part at hand
  int64_t rows;                      // explained
  const char *method;
  double rest;      // the largest of what effects lack of a row's value, or have beyond it
  bool lines, page; // the output is JSON lines, a page of images
  co_atomic_file file;
  co_writer *writer;
} co_explaining;

// Of the rows chosen in the part at hand: the effects of their columns, …
co_status co_explain_columns(co_explaining *explaining, cohort_result *result);
// … of their events, one by one, …
co_status co_explain_events(co_explaining *explaining, cohort_result *result);
// … or their images, as a page.
co_status co_explain_images(co_explaining *explaining);

// The first line of a file that is no JSON: the key, then `columns`, which stand between commas.
co_status co_explain_write_header(const co_explaining *explaining, const char *columns);

#endif
