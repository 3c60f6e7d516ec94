// SPDX-License-Identifier: Apache-2.0
// What happened before a sample's cut-off, event by event, whole: for estimators of the next item and of
// repurchase. The item column is the category of the samples' event table that has the target's
// classes; without one, the first table of events with times is meant.
#ifndef COHORT_HOST_EVAL_HISTORY_H
#define COHORT_HOST_EVAL_HISTORY_H

#include "datasets/dataset.h"
#include "models/model.h"

typedef struct co_history {
  int64_t classes;            // 0 = it is not of items
  const int32_t *item;        // per event: its class, -1 = missing; borrowed, as the rest
  co_numbers time;            // per event, in seconds; values NULL where no time is stored
  co_numbers amount;          // per event; values NULL where there is no column `amount`
  const int64_t *begin, *end; // per sample: its events
  const int64_t *as_of;       // per sample: its cut-off, in seconds; NULL where none is stored
  const int64_t *entity;      // per sample: whose they are
  int64_t entities;
  const int32_t *target; // per sample: its class, -1 = missing; NULL where targets are not stored
} co_history;

// Whether a model chooses from the items of its events: its one output is such a category.
bool co_history_is_there(const co_model *model);
// Of a dataset with the model's columns and categories.
co_status co_history_open(co_history *out, const co_model *model, co_dataset *dataset);
// Whether it tells when: cut-offs and the times of events; else CO_ERR_DATA.
co_status co_history_check_times(const co_history *history);
// Whether two events are of one time; without times each is a step of its own.
bool co_history_same_step(const co_history *history, int64_t a, int64_t b);
// Where the last step of a sample's history begins: the events at the time of its last one.
int64_t co_history_last_step(const co_history *history, int64_t sample);

// Which items a sample's history has, one sample after the other.
typedef struct co_seen {
  const co_history *history;
  int64_t *mark; // per item: the number of the history that has it
  int64_t begin, end, number;
} co_seen;
co_status co_seen_open(co_seen *out, co_context *ctx, const co_history *history);
void co_seen_close(co_seen *seen, co_context *ctx); // legal on a zeroed struct
void co_seen_take(co_seen *seen, int64_t sample);   // whose history is asked about
bool co_seen_has(const co_seen *seen, int64_t item);

// For each entity the last event that one of the samples sees (its end; 0 = none of them is its own);
// *begin the first. To be freed, both, on failure too.
co_status co_history_longest(int64_t **begin, int64_t **end, co_context *ctx,
                             const co_history *history, const int64_t *samples, int64_t count);

#endif
