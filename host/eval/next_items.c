// SPDX-License-Identifier: Apache-2.0
#include "host/eval/next_items.h"

#include <math.h>
#include <string.h>

const co_field co_next_items_options[] = {{.key = NULL}};

const char *co_next_items_refuses(const co_output_feature *output) {
  bool category = output->column && output->column->type == CO_COLUMN_CATEGORY;
  return category ? NULL : "it predicts which item is next";
}

size_t co_next_items_row_bytes(const co_estimator *e) {
  (void)e;
  return 0;
}

// ---- shares ------------------------------------------------------------------------------------

static bool is_within(const co_history *h, int64_t event, double since, double until) {
  if (!h->time.values) return true;
  const double time = co_numbers_at(&h->time, event);
  return time >= since && time < until;
}

static void count_events(const co_history *h, const int64_t *begin, const int64_t *end,
                         double since, double until, double *share) {
  double total = 0;
  memset(share, 0, (size_t)h->classes * sizeof *share);
  for (int64_t i = 0; i < h->entities; i++)
    for (int64_t event = begin[i]; event < end[i]; event++)
      if (h->item[event] >= 0 && is_within(h, event, since, until)) share[h->item[event]]++;
  for (int64_t k = 0; k < h->classes; k++)
    total += share[k] = fmax(share[k], .5);
  for (int64_t k = 0; k < h->classes; k++)
    share[k] /= total;
}

co_status co_next_items_count(double *share, co_context *ctx, const co_fit_data *data, double since,
                              double until) {
  int64_t *begin, *end;
  co_status status =
      co_history_longest(&begin, &end, ctx, data->history, data->samples, data->sample_count);
  if (status == CO_OK) count_events(data->history, begin, end, since, until, share);
  co_free(ctx, begin);
  co_free(ctx, end);
  return status;
}

co_status co_next_items_fit_shares(co_estimator *e, int64_t output, const co_fit_data *data,
                                   double since) {
  const co_shape shape = co_shape_make(1, data->history->classes);
  void *share;
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "share", CO_F64, &shape, &share));
  return co_next_items_count(share, e->ctx, data, since, INFINITY);
}

// All where there is no validation row.
static const double days[] = {INFINITY, 91, 28, 7};

double co_next_items_last_time(const co_fit_data *data) {
  const co_history *h = data->history;
  double last = -INFINITY;
  for (int64_t i = 0; h->time.values && i < data->sample_count; i++) {
    int64_t sample = data->samples[i];
    if (h->begin[sample] < h->end[sample])
      last = fmax(last, co_numbers_at(&h->time, h->end[sample] - 1));
  }
  return last;
}

static double likelihood(const co_fit_data *data, const double *share) {
  const co_history *h = data->history;
  double sum = 0;
  for (int64_t i = 0; i < data->validation_count; i++) {
    int32_t target = h->target[data->validation_samples[i]];
    if (target >= 0) sum += log(share[target]);
  }
  return sum;
}

co_status co_next_items_fit_recent_shares(co_estimator *e, int64_t output,
                                          const co_fit_data *data) {
  double last = co_next_items_last_time(data), best = -INFINITY, since = -INFINITY;
  double *share = co_alloc(e->ctx, (size_t)data->history->classes * sizeof *share);
  co_status status = share ? CO_OK : CO_ERR_MEMORY;
  for (size_t i = 0; status == CO_OK && i < sizeof days / sizeof *days; i++) {
    status = co_next_items_count(share, e->ctx, data, last - days[i] * 86400, INFINITY);
    double sum = status == CO_OK ? likelihood(data, share) : -INFINITY;
    if (sum <= best) continue;
    best = sum;
    since = last - days[i] * 86400;
  }
  co_free(e->ctx, share);
  return status == CO_OK ? co_next_items_fit_shares(e, output, data, since) : status;
}

co_status co_next_items_shares(const co_estimator *e, int64_t output, const double **share) {
  const co_shape shape = co_shape_make(1, e->model->outputs[output].width);
  const co_fitted *array;
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "share", CO_F64, &shape, &array));
  *share = array->bytes;
  return CO_OK;
}

// ---- neighbours --------------------------------------------------------------------------------

co_status co_next_items_fit_neighbours(co_estimator *e, int64_t output, const co_item_lists *from,
                                       const co_item_lists *to, co_affinity *affinity) {
  int64_t classes = e->model->outputs[output].width;
  co_neighbours out = {.classes = classes,
                       .width = classes < CO_MOST_NEIGHBOURS ? classes : CO_MOST_NEIGHBOURS};
  const co_shape shape = co_shape_make(2, classes, out.width);
  void *item, *values;
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "neighbour", CO_I32, &shape, &item));
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, "affinity", CO_F32, &shape, &values));
  out.item = item;
  out.affinity = values;
  return co_neighbours_find(&out, e->ctx, from, to, affinity);
}

co_status co_next_items_neighbours(const co_estimator *e, int64_t output, co_neighbours *out) {
  const co_shape shape = co_shape_make(2, e->model->outputs[output].width, (int64_t)-1);
  const co_fitted *item, *affinity;
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "neighbour", CO_I32, &shape, &item));
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, "affinity", CO_F32, &item->shape, &affinity));
  *out = (co_neighbours){.classes = item->shape.dim[0],
                         .width = item->shape.dim[1],
                         .item = item->bytes,
                         .affinity = affinity->bytes};
  for (int64_t i = 0; i < out->classes * out->width; i++)
    if (out->item[i] < -1 || out->item[i] >= out->classes)
      return co_fail(CO_ERR_MODEL, "predictor %s: a neighbour is no item", e->class_->name);
  return CO_OK;
}

// ---- frequency ---------------------------------------------------------------------------------

co_status co_next_items_counted(int64_t **out, co_context *ctx, const co_history *h) {
  if (!(*out = co_alloc(ctx, ((size_t)h->classes + 1) * sizeof **out))) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < h->classes; i++)
    (*out)[i] = -1;
  return CO_OK;
}

// `counted`: per item an event of it that was counted, of this sample or another.
void co_next_items_add_frequency(const co_history *h, int64_t sample, int64_t *counted,
                                 double *score) {
  for (int64_t event = h->begin[sample], step = event; event < h->end[sample]; event++) {
    int32_t item = h->item[event];
    if (!co_history_same_step(h, step, event)) step = event;
    if (item < 0 || (counted[item] >= step && counted[item] < event)) continue;
    counted[item] = event;
    score[item]++;
  }
}

// ---- scores ------------------------------------------------------------------------------------

static void fill(const double *share, const double *score, int64_t classes, float *heads) {
  double total = 0;
  for (int64_t k = 0; k < classes; k++)
    total += score[k];
  for (int64_t k = 0; k < classes; k++)
    heads[k] = (float)log((score[k] + share[k]) / (total + 1));
}

co_status co_next_items_score_target(const co_estimator *e, int64_t output, const co_history *h,
                                     int64_t sample, co_next_items_add *add, void *user,
                                     double *score, float *head) {
  const int64_t classes = e->model->outputs[output].width, target = h->target[sample];
  const double *share;
  double total = 0;
  CO_RETURN_IF_FAILED(co_next_items_shares(e, output, &share));
  memset(score, 0, (size_t)classes * sizeof *score);
  CO_RETURN_IF_FAILED(add(e, h, sample, user, score));
  for (int64_t k = 0; k < classes; k++)
    total += score[k];
  *head = (float)log((score[target] + share[target]) / (total + 1));
  return CO_OK;
}

static bool same_history(const co_history *h, int64_t a, int64_t b) {
  return h->begin[a] == h->begin[b] && h->end[a] == h->end[b];
}

co_status co_next_items_score(const co_estimator *e, int64_t output, const co_history *history,
                              const int64_t *samples, int64_t rows, co_next_items_add *add,
                              void *user, float *heads) {
  int64_t classes = e->model->outputs[output].width;
  const double *share;
  CO_RETURN_IF_FAILED(co_next_items_shares(e, output, &share));
  double *score = co_alloc(e->ctx, (size_t)classes * sizeof *score);
  co_status status = score ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < rows; i++, heads += classes) {
    if (i && same_history(history, samples[i], samples[i - 1])) {
      memcpy(heads, heads - classes, (size_t)classes * sizeof *heads);
      continue;
    }
    memset(score, 0, (size_t)classes * sizeof *score);
    if (add) status = add(e, history, samples[i], user, score);
    if (status == CO_OK) fill(share, score, classes, heads);
  }
  co_free(e->ctx, score);
  return status;
}
