// SPDX-License-Identifier: Apache-2.0
// A bias that begins as zeros says that half of all spend something, and about 1: steps of the size of
// a learning rate take long from there to what is spent.
#include "host/train/initial_heads.h"

#include <math.h>

#include "host/feed/collate.h"
#include "kernels/distribution.h"

// ---- one distribution --------------------------------------------------------------------------

// Weighted mean and sum of squared differences from it, as Welford (1962).
typedef struct moments {
  double weight, mean, squares;
  int64_t count;
} moments;

static void add(moments *m, double value, double weight) {
  const double off = value - m->mean;
  m->weight += weight;
  m->mean += off * weight / m->weight;
  m->squares += weight * off * (value - m->mean);
  m->count++;
}

static double variance(const moments *m) {
  return m->weight > 0 ? m->squares / m->weight : 0;
}

static double within(double value, double least, double most) {
  return value < least ? least : value > most ? most : value;
}

// Half a row more on either side, so that none has a logarithm of 0.
static void spending_prior(const moments *all, const moments *logs, double *out) {
  const double half = all->weight / (double)all->count / 2;
  const double sigma = within(sqrt(variance(logs)), 0.1, 10);
  out[0] = log((logs->weight + half) / (all->weight - logs->weight + half));
  out[1] = logs->mean;
  out[2] = logs->count ? log(expm1(sigma)) : 0; // softplus(s) = sigma
}

static void count_prior(const moments *all, double *out) {
  const double least = 0.5 / (double)all->count;
  const double mean = all->mean > least ? all->mean : least, more = variance(all) - mean;
  out[0] = log(mean);
  out[1] = more > 0 ? within(log(mean * mean / more), -4, 4) : 4;
}

bool co_distribution_prior(co_distribution distribution, const float *targets, const float *weights,
                           int64_t count, double *parameters) {
  const bool counts = distribution == CO_NEGATIVE_BINOMIAL;
  moments all = {.weight = 0}, logs = {.weight = 0};
  for (int64_t i = 0; i < count; i++) {
    if (!(weights[i] > 0)) continue;
    add(&all, (double)targets[i], (double)weights[i]);
    if (!counts && targets[i] > 0) add(&logs, log((double)targets[i]), (double)weights[i]);
  }
  if (!all.count) return false;
  if (counts)
    count_prior(&all, parameters);
  else
    spending_prior(&all, &logs, parameters);
  return true;
}

// ---- those of a model --------------------------------------------------------------------------

// The bias that a head ends in; -1 where there is none, or it begins otherwise.
static int32_t find_bias(const co_graph *graph, const co_output_feature *output) {
  for (int64_t i = 0; output->head >= 0 && i < graph->op_count; i++) {
    const co_graph_op *op = &graph->ops[i];
    if (op->op != CO_OP_DENSE || op->out[0] != output->head || op->in[2] < 0) continue;
    const co_value_info *bias = &graph->values[op->in[2]];
    if (bias->storage != CO_STORAGE_PARAM) continue;
    return graph->params[bias->index].init == CO_INIT_ZEROS ? bias->index : -1;
  }
  return -1;
}

static co_status write_bias(co_store *store, const char *name, const double *parameters,
                            int count) {
  const int64_t entry = co_store_find(store, name);
  double wide[CO_MOST_PARAMETERS];
  float narrow[CO_MOST_PARAMETERS];
  // Rounded to float under every policy, as all initial weights.
  for (int i = 0; i < count; i++)
    wide[i] = (double)(narrow[i] = (float)parameters[i]);
  const void *values = store->real == CO_F64 ? (const void *)wide : narrow;
  if (entry < 0) return CO_OK;
  CO_RETURN_IF_FAILED(co_store_write(store, entry, CO_BLOCK_PARAM, values));
  return store->ema ? co_store_write(store, entry, CO_BLOCK_EMA, values) : CO_OK;
}

typedef struct rows {
  const co_collator *targets;
  const int64_t *samples;
  int64_t count;
  float *target, *weight; // count
} rows;

static void read_rows(const rows *r, int32_t loss) {
  const co_shape_class shape = {.rows = r->count};
  double ignored = 0;
  for (int64_t i = 0; i < co_collator_count(r->targets); i++) {
    const co_feed *feed = co_collator_feed(r->targets, i);
    if (feed->loss != loss) continue;
    if (feed->kind == CO_FEED_TARGET)
      co_collate(r->targets, i, &shape, r->samples, r->count, r->target, NULL);
    if (feed->kind == CO_FEED_WEIGHT)
      co_collate(r->targets, i, &shape, r->samples, r->count, r->weight, &ignored);
  }
}

static co_status begin_all(const rows *r, co_store *store, const co_model *model) {
  double parameters[CO_MOST_PARAMETERS];
  for (int64_t i = 0; i < model->output_count; i++) {
    const co_output_feature *output = &model->outputs[i];
    const int32_t bias =
        output->loss && output->loss->parameters ? find_bias(model->network, output) : -1;
    if (bias < 0) continue;
    read_rows(r, output->loss_index);
    if (co_distribution_prior(output->loss_attr.distribution, r->target, r->weight, r->count,
                              parameters))
      CO_RETURN_IF_FAILED(write_bias(store, model->network->params[bias].name, parameters,
                                     output->loss->parameters));
  }
  return CO_OK;
}

co_status co_initial_heads(co_store *store, const co_model *model, co_dataset *dataset,
                           const int64_t *samples, int64_t count) {
  bool any = false;
  for (int64_t i = 0; i < model->output_count; i++)
    any |= model->outputs[i].loss && model->outputs[i].loss->parameters;
  if (!any || !count) return CO_OK;
  co_collator *targets = NULL;
  rows r = {.samples = samples, .count = count};
  co_status status = co_collator_create_targets(&targets, model, dataset);
  r.targets = targets;
  if (status == CO_OK) {
    r.target = co_alloc_zero(model->ctx, (size_t)count, sizeof *r.target);
    r.weight = co_alloc_zero(model->ctx, (size_t)count, sizeof *r.weight);
    status = r.target && r.weight ? begin_all(&r, store, model) : CO_ERR_MEMORY;
  }
  co_free(model->ctx, r.target);
  co_free(model->ctx, r.weight);
  co_collator_free(targets);
  return status;
}
