// SPDX-License-Identifier: Apache-2.0
// A log of events in text, in any order and of any size, read into the order of a dataset: by
// entity, then by time. Events that do not fit into the memory allowed lie in a temporary file,
// first as they came, then each in the part of its entities, which are sorted one by one. In memory
// are also the different texts of entities, items and baskets, and 8 bytes an entity.
#ifndef COHORT_DATASETS_EVENT_LOG_H
#define COHORT_DATASETS_EVENT_LOG_H

#include "datasets/dictionary.h"
#include "datasets/scan.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_EVENT_MAX_VALUES = 64 };

// What an event has beside its entity and time.
typedef enum co_event_value_kind {
  CO_EVENT_CATEGORY,  // code of a column's text, -1 = missing
  CO_EVENT_NUMBER,    // of a column's cells
  CO_EVENT_EXPRESSION // a number reckoned of columns
} co_event_value_kind;

typedef struct co_event_value {
  const char *name;
  co_event_value_kind kind;
  const char *source; // a column's name, or an expression
  bool required;      // an event without it is dropped and counted
  // Of categories: the only texts there are; others are -1, counted as unseen. NULL = what occurs.
  const char *const *categories;
  int64_t category_count;
  // … or, counted as unseen too, have the codes that follow, in the order of their bytes, if they are among
  // these. NULL = they have none.
  const co_dictionary *others;
} co_event_value;

typedef struct co_event_log_options {
  const co_scan_options *scan;
  const char *entity, *time; // columns
  const char
      *time_format;  // of times as of co_date_read, "ms" = milliseconds since 1970; NULL = as usual
  bool of_model;     // it is scored: a model says how it is read, and no option
  const char *where; // condition on the events that count; NULL = all do
  const co_event_value *values;
  int64_t value_count;
  const char *const *population; // the only entities there are, in this order; NULL = what occurs
  int64_t population_count;
  const char *temporary; // a file beside which temporaries may lie
  size_t memory;         // bytes for events; 0 = 256 MiB
} co_event_log_options;

// An event: time in seconds since 1970-01-01 UTC, the rank of its entity, and its values in the
// order of the options, codes as numbers; NaN = missing.
typedef struct co_event {
  int64_t time;
  int32_t entity, value_count;
  double value[];
} co_event;

typedef struct co_event_log {
  int64_t lines;                                             // read
  int64_t no_entity, no_time, no_value, excluded, strangers; // dropped: strangers to the population
  int64_t events, entities;
  int64_t first_time, last_time;
  const char *const *entity_names; // by rank: in the order of their bytes, whole numbers by value
  int64_t *offsets;                // entities + 1: events before those of each
  const char *const *categories[CO_EVENT_MAX_VALUES]; // of categories: texts by code
  int64_t category_count[CO_EVENT_MAX_VALUES];
  int64_t unseen[CO_EVENT_MAX_VALUES];
  char digest[65]; // of the files
  size_t spilled;  // bytes written to temporary files
  struct co_event_reader *reader;
} co_event_log;

// Reads all. CO_ERR_DATA with file, line and column where a time or a number is none, and where a
// column is not there.
co_status co_event_log_read(co_event_log *out, co_context *ctx, co_arena *arena,
                            const co_event_log_options *options);
void co_event_log_free(co_event_log *log); // legal on a zeroed struct

// The next events: all those of the entities [first, end), from rank to rank, by time, those of equal
// time in the order of their values; first = end after the last. Borrowed until the next call.
co_status co_event_log_next(co_event_log *log, const co_event *const **events, int64_t *first,
                            int64_t *end);
void co_event_log_rewind(co_event_log *log); // to the first

#ifdef __cplusplus
}
#endif
#endif
