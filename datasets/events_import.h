// SPDX-License-Identifier: Apache-2.0
// The import of event logs, shared by its files: import_events.c reads and writes, event_samples.c makes
// samples of each entity's events.
#ifndef COHORT_DATASETS_EVENTS_IMPORT_H
#define COHORT_DATASETS_EVENTS_IMPORT_H

#include "datasets/import_events.h"
#include "datasets/import_items.h"
#include "datasets/writer.h"
#include "host/core/json.h"

enum { CO_EVENT_RFM = 4, CO_EVENT_DAY = 86400 };

typedef struct co_event_sample {
  int64_t entity, begin, end, as_of;
  int32_t target; // code of an item
  float label[CO_LABEL_KIND_COUNT];
  float rfm[CO_EVENT_RFM];
  uint8_t split;
} co_event_sample;

// A column of events being written: a value of the log, or reckoned of times.
typedef struct co_filled_event_column {
  co_column column;
  // Of the log, -1 = time, -2 = days since the event before, -3 - i = column i of its item; of the writer.
  int64_t value, id;
  unsigned char *block;
} co_filled_event_column;

typedef struct co_events_import {
  co_context *ctx;
  co_arena *arena;
  const co_import_events_options *options;
  co_import_events_result *result;
  co_event_recipe recipe; // with the columns of items, once they are found out
  co_scan_options scan;
  co_items items;
  co_event_value values[CO_EVENT_MAX_VALUES];
  int64_t value_count, basket, item, amount; // of the values; -1 = there is none
  int64_t known_items;                       // of the model; others are missing, or
  int32_t *new_code; // … have these codes by theirs less that; NULL = missing
  co_event_log log;
  co_dataset_writer *writer;
  co_filled_event_column columns[CO_EVENT_MAX_VALUES + 2];
  int64_t column_count, block_rows;
  co_event_sample *samples;
  int64_t sample_count, sample_capacity;
  int64_t *row, *row_begin; // of CO_SAMPLE_ROWS: rows by entity; where those of each begin
  bool *known;              // items that occur before the time that splits
  co_text text;
} co_events_import;

// Times such as 9999-12-31 stand for missing ones, often, and make windows end within the log: a warning.
void co_event_warn_times(const co_events_import *m);
// CO_ERR_DATA where a cut-off is outside the log, or a label's window ends behind it.
co_status co_event_check_cutoffs(const co_events_import *m);
// The same where no row sees an event; of a scoring histories may all be empty.
co_status co_event_check_rows(const co_events_import *m);
// Before the first entity: which items occur before the time that splits.
co_status co_event_samples_begin(co_events_import *m);
// The samples of an entity, by its events in their order.
co_status co_event_samples_add(co_events_import *m, int64_t entity, const co_event *const *events,
                               int64_t count);
// Appends all of them to the options' `listed`.
co_status co_event_samples_list(co_events_import *m);
// Counts them by split; CO_ERR_DATA where there is none, or a label that is the same of all.
co_status co_event_samples_check(co_events_import *m);

#endif
