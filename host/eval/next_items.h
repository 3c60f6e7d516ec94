// SPDX-License-Identifier: Apache-2.0
// What the estimators of next items share: scores of items, of which heads become probabilities.
#ifndef COHORT_HOST_EVAL_NEXT_ITEMS_H
#define COHORT_HOST_EVAL_NEXT_ITEMS_H

#include "host/eval/estimator.h"
#include "host/eval/neighbours.h"

// For refuses: takes a category.
const char *co_next_items_refuses(const co_output_feature *output);
size_t co_next_items_row_bytes(const co_estimator *estimator); // of the matrix it takes nothing

// Of the events of the training samples' histories from a time (-INFINITY: of all) until before another
// the shares of items, (classes); one that never occurs counts as half an event.
co_status co_next_items_count(double *share, co_context *ctx, const co_fit_data *data, double since,
                              double until);
// The time of the last event that a training sample sees; -INFINITY without times.
double co_next_items_last_time(const co_fit_data *data);
// Stores them as "share" f64 (classes).
co_status co_next_items_fit_shares(co_estimator *estimator, int64_t output, const co_fit_data *data,
                                   double since);
// Of the last week, four, thirteen or all: those that give the validation rows' items the highest
// likelihood.
co_status co_next_items_fit_recent_shares(co_estimator *estimator, int64_t output,
                                          const co_fit_data *data);
co_status co_next_items_shares(const co_estimator *estimator, int64_t output, const double **share);
// Stores "neighbour" i32 and "affinity" f32, both (classes, neighbours).
co_status co_next_items_fit_neighbours(co_estimator *estimator, int64_t output,
                                       const co_item_lists *from, const co_item_lists *to,
                                       co_affinity *affinity);
co_status co_next_items_neighbours(const co_estimator *estimator, int64_t output,
                                   co_neighbours *out);

// Adds in how many steps of a sample's history each item occurs. `counted`, by item, is of
// co_next_items_counted and freed by co_free; any samples may share it, one after the other.
void co_next_items_add_frequency(const co_history *history, int64_t sample, int64_t *counted,
                                 double *score);
co_status co_next_items_counted(int64_t **out, co_context *ctx, const co_history *history);

extern const co_field co_next_items_options[]; // there are none
// The class co_estimator_NAME, which stands beside networks: `fit` and the file's score_history.
#define CO_NEXT_ITEMS_CLASS(name_, doc_, fit_)                                                     \
  extern const co_estimator_class co_estimator_##name_;                                            \
  const co_estimator_class co_estimator_##name_ = {.name = #name_,                                 \
                                                   .doc = doc_,                                    \
                                                   .baseline = true,                               \
                                                   .fields = co_next_items_options,                \
                                                   .options_size = 1,                              \
                                                   .refuses = co_next_items_refuses,               \
                                                   .row_bytes = co_next_items_row_bytes,           \
                                                   .fit = fit_,                                    \
                                                   .score_history = score_history}

// What a class says of a sample: adds to `score` (classes), which has zeros.
typedef co_status co_next_items_add(const co_estimator *estimator, const co_history *history,
                                    int64_t sample, void *user, double *score);
// Fills heads (rows, classes): of each sample log((score + share) / (sum of scores + 1)), so that
// items of equal scores are in the order of their shares. `add` NULL: shares alone.
co_status co_next_items_score(const co_estimator *estimator, int64_t output,
                              const co_history *history, const int64_t *samples, int64_t rows,
                              co_next_items_add *add, void *user, float *heads);
// The same of a sample's target alone, which is there; `score` is room for (classes).
co_status co_next_items_score_target(const co_estimator *estimator, int64_t output,
                                     const co_history *history, int64_t sample,
                                     co_next_items_add *add, void *user, double *score,
                                     float *head);

#endif
