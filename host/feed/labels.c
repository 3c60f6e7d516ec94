// SPDX-License-Identifier: Apache-2.0
#include "host/feed/labels.h"

#include <math.h>

#include "host/feed/collate.h"

enum { CHUNK = 256 };

typedef struct search {
  const co_model *model;
  co_dataset *dataset;
  co_split split;
  const int64_t *samples; // of the split
  int64_t count;
  const co_collator *targets;
} search;

// Whether any row has a weight above zero for the loss whose weights are feed i.
static bool has_weight(const search *s, int64_t i) {
  float weights[CHUNK];
  double sum = 0;
  for (int64_t begin = 0; begin < s->count; begin += CHUNK) {
    const co_shape_class shape = {.rows = s->count - begin < CHUNK ? s->count - begin : CHUNK};
    co_collate(s->targets, i, &shape, s->samples + begin, shape.rows, weights, &sum);
    for (int64_t row = 0; row < shape.rows; row++)
      if (weights[row] > 0) return true;
  }
  return false;
}

// The same whatever is known of targets.
static bool has_row_weight(const search *s) {
  for (int64_t i = 0; i < s->count; i++)
    if (co_collator_row_weight(s->targets, s->samples[i]) > 0) return true;
  return false;
}

static co_status nothing_found(const search *s) {
  const char *path = co_dataset_path(s->dataset), *name = co_split_name(s->split);
  const char *weight = co_collator_weight_column(s->targets);
  if (!has_row_weight(s))
    return co_fail_at(CO_ERR_DATA, path, 0, 0, "no %s row has a weight ('%s') above zero", name,
                      weight);
  return co_fail_at(CO_ERR_DATA, path, 0, 0, "no %s row has a target%s", name,
                    weight ? " and a weight above zero" : "");
}

static void warn_of_output(const search *s, const co_feed *weights) {
  for (int64_t i = 0; i < s->model->output_count; i++)
    if (s->model->outputs[i].loss_index == weights->loss)
      co_log(s->model->ctx, CO_LOG_WARN, "dataset", "no %s row has the target '%s'",
             co_split_name(s->split), s->model->outputs[i].name);
}

static const co_output_feature *output_of(const search *s, const co_feed *feed) {
  for (int64_t i = 0; i < s->model->output_count; i++)
    if (s->model->outputs[i].loss_index == feed->loss) return &s->model->outputs[i];
  return NULL;
}

// Amounts are not below 0, and counts are whole numbers besides.
static co_status check_amounts(const search *s, int64_t i) {
  const co_output_feature *output = output_of(s, co_collator_feed(s->targets, i));
  if (!output || !output->loss->parameters) return CO_OK;
  const bool counts = output->loss_attr.distribution == CO_NEGATIVE_BINOMIAL;
  float values[CHUNK];
  for (int64_t begin = 0; begin < s->count; begin += CHUNK) {
    const co_shape_class shape = {.rows = s->count - begin < CHUNK ? s->count - begin : CHUNK};
    co_collate(s->targets, i, &shape, s->samples + begin, shape.rows, values, NULL);
    for (int64_t row = 0; row < shape.rows; row++) {
      if (isnan(values[row]) ||
          (values[row] >= 0 && !(counts && values[row] != floorf(values[row]))))
        continue;
      co_status status = co_fail_at(CO_ERR_DATA, co_dataset_path(s->dataset), 0, 0,
                                    "the target '%s' is %g in a %s row: %s takes %s from 0 on",
                                    output->name, (double)values[row], co_split_name(s->split),
                                    output->loss->name, counts ? "whole numbers" : "numbers");
      co_hint(counts ? "zero_inflated_lognormal takes amounts"
                     : "mean_squared_error takes any number");
      return status;
    }
  }
  return CO_OK;
}

static co_status check_losses(const search *s) {
  int64_t losses = 0, known = 0, feeds = co_collator_count(s->targets);
  for (int64_t i = 0; i < feeds; i++) {
    if (co_collator_feed(s->targets, i)->kind == CO_FEED_TARGET)
      CO_RETURN_IF_FAILED(check_amounts(s, i));
    if (co_collator_feed(s->targets, i)->kind != CO_FEED_WEIGHT) continue;
    losses++;
    known += has_weight(s, i);
  }
  if (!known) return nothing_found(s);
  for (int64_t i = 0; i < feeds && known < losses; i++) {
    const co_feed *feed = co_collator_feed(s->targets, i);
    if (feed->kind == CO_FEED_WEIGHT && !has_weight(s, i)) warn_of_output(s, feed);
  }
  return CO_OK;
}

co_status co_check_labels(const co_model *model, co_dataset *dataset, co_split split) {
  search s = {.model = model, .dataset = dataset, .split = split};
  co_collator *targets;
  CO_RETURN_IF_FAILED(co_dataset_split(dataset, split, &s.samples, &s.count));
  if (!s.count) return CO_OK;
  CO_RETURN_IF_FAILED(co_collator_create_targets(&targets, model, dataset));
  s.targets = targets;
  co_status status = check_losses(&s);
  co_collator_free(targets);
  return status;
}
