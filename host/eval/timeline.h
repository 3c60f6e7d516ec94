// SPDX-License-Identifier: Apache-2.0
// What each event of a history makes of a sample's score: the score as the events come. The value of the
// first k events is that of a sample that sees these alone, all else being as it is (its cut-off, its
// columns); the effect of an event is what the value rises by with it. So effects add up exactly to what
// the value is above that without events, whatever scores: a network, its blend with a baseline, a
// formula. An event is judged beside those before it, not beside later ones (as Shapley values would).
//
// Values are as attributions have them (attribution.h), but made of scores: log-odds of a binary, within
// those of 2^-24; of a class the logarithm of its probability, from that of 2^-24 on; a number.
#ifndef COHORT_HOST_EVAL_TIMELINE_H
#define COHORT_HOST_EVAL_TIMELINE_H

#include "datasets/view.h"
#include "host/core/watch.h"
#include "host/eval/predictor.h"

typedef struct co_timeline_request {
  co_predictor *predictor;
  co_dataset *dataset;
  const int64_t *samples;
  int64_t count;
  int64_t output; // of the model
  int64_t class_; // of one of several classes; -1 = of each sample the likeliest
  int64_t most;   // events of a sample that are told of one by one, its last ones; above 0
  int workers;
  const char *stage; // names the progress line
  const co_watch *watch;
} co_timeline_request;

// Of one sample; borrowed.
typedef struct co_timeline_row {
  int32_t class_;       // 0 where there is one value
  int64_t first, count; // rows of the table of events
  int64_t earlier;      // events before these
  double none;          // the value without any event
  const double *value;  // (count + 1): before the first of them, after each
} co_timeline_row;

// What is told of it, line by line: of no event, of those before the ones told of one by one, if there
// are any, of each of these. Effects add up to the value.
typedef struct co_timeline_step {
  int64_t row;    // of the table of events; -1 = of none or of those before
  int64_t number; // of the event among all of the sample's, from 1; 0 = none
  double effect, value;
} co_timeline_step;
static inline int64_t co_timeline_step_count(const co_timeline_row *row) {
  return 1 + (row->earlier > 0) + row->count;
}
co_timeline_step co_timeline_step_at(const co_timeline_row *row, int64_t i);

typedef struct co_timeline co_timeline;
// CO_ERR_USAGE where the output has no single value, the model reads no events or those of several
// tables.
co_status co_timeline_make(co_timeline **out, const co_timeline_request *request);
void co_timeline_free(co_timeline *timeline);                           // NULL is legal
co_timeline_row co_timeline_at(const co_timeline *timeline, int64_t i); // of the i-th sample
// The score that a value is made of.
double co_timeline_score(const co_timeline *timeline, double value);
const char *co_timeline_unit(const co_timeline *timeline); // of values: "log-odds"

// What an event has: the columns of its table.
typedef struct co_timeline_value {
  const char *name;
  co_view view; // whose rows are the events
} co_timeline_value;
const co_timeline_value *co_timeline_values(const co_timeline *timeline, int64_t *count);
// When it was, "2011-07-01"; NULL where no time is stored. In `room`, of 32 bytes at least.
const char *co_timeline_time(const co_timeline *timeline, int64_t event, char *room, size_t size);
// Appends "2011-07-01: item 85123A, amount 12", numbers to four decimals, below 1 to four digits.
void co_timeline_describe(const co_timeline *timeline, int64_t event, co_text *out);

#endif
