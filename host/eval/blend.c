// SPDX-License-Identifier: Apache-2.0
#include "host/eval/blend.h"

#include <math.h>

#include "host/eval/scores.h"
#include "host/eval/units.h"
#include "host/eval/unseen.h"

// ---- mixing ------------------------------------------------------------------------------------

typedef struct mixer {
  const co_estimator *baseline;
  co_estimator_run run;
  int64_t width;
  float *mixed; // room for (capacity, width)
  int64_t capacity;
} mixer;

static co_status open_mixer(mixer *m, const co_estimator *baseline, co_dataset *dataset) {
  *m = (mixer){.baseline = baseline, .width = baseline->model->outputs[0].width};
  return co_estimator_start(&m->run, baseline, dataset);
}

static void close_mixer(mixer *m) {
  if (m->baseline) co_free(m->baseline->ctx, m->mixed);
}

// Of samples the baseline's probabilities, borrowed until the next call.
static co_status predict(mixer *m, const int64_t *samples, int64_t rows, float **out) {
  size_t count = (size_t)(rows * m->width);
  if (rows > m->capacity) {
    float *room = co_realloc(m->baseline->ctx, m->mixed, count * sizeof *room);
    if (!room) return CO_ERR_MEMORY;
    m->mixed = room;
    m->capacity = rows;
  }
  *out = m->mixed;
  CO_RETURN_IF_FAILED(co_estimator_fill_heads(&m->run, samples, NULL, rows, &m->mixed));
  for (size_t i = 0; i < count; i++)
    m->mixed[i] = expf(m->mixed[i]); // heads are logarithms of probabilities
  return CO_OK;
}

// ---- choosing the weight -----------------------------------------------------------------------

enum { WEIGHTS = 21 };
static const double most_work = 2e9; // rows x weights x classes

typedef struct choosing {
  mixer mixer;
  co_scores scores[WEIGHTS];
  int64_t *units; // by sample
  float *row;     // (width)
} choosing;

static double weight_of(int i) {
  return i / (double)(WEIGHTS - 1);
}

// A co_score_sink.
static co_status try_weights(void *user, const int64_t *samples, int64_t rows,
                             const float *const *scores) {
  static const float one = 1;
  choosing *c = user;
  float *baseline;
  CO_RETURN_IF_FAILED(predict(&c->mixer, samples, rows, &baseline));
  for (int64_t i = 0; i < rows; i++) {
    int32_t target = c->mixer.run.history.target[samples[i]];
    if (target < 0) continue;
    const float *own = scores[0] + i * c->mixer.width, *other = baseline + i * c->mixer.width;
    for (int k = 0; k < WEIGHTS; k++) {
      float weight = (float)weight_of(k);
      for (int64_t j = 0; j < c->mixer.width; j++)
        c->row[j] = (1 - weight) * own[j] + weight * other[j];
      co_scores_add(&c->scores[k], samples + i, c->units, c->row, &target, &one, 1);
    }
  }
  return CO_OK;
}

static co_status best_weight(const choosing *c, const co_metric_class *metric, double *out) {
  double best = NAN;
  *out = 0;
  for (int k = 0; k < WEIGHTS; k++) {
    co_measured measured;
    co_status status = co_measured_create(&measured, &c->scores[k], NULL);
    double value = status == CO_OK ? co_measured_value(&measured, metric) : NAN;
    co_measured_free(&measured);
    CO_RETURN_IF_FAILED(status);
    if (!metric->higher_is_better) value = -value;
    if (isnan(value) || value <= best) continue;
    best = value;
    *out = weight_of(k);
  }
  return CO_OK;
}

// Whole units, evenly chosen where all would be too much work.
static int64_t choose_samples(const choosing *c, const int64_t *samples, int64_t count,
                              int64_t *chosen) {
  double work = (double)count * WEIGHTS * (double)c->mixer.width;
  int64_t step = work > most_work ? (int64_t)ceil(work / most_work) : 1, taken = 0;
  for (int64_t i = 0; i < count; i++)
    if (!c->units || c->units[samples[i]] % step == 0) chosen[taken++] = samples[i];
  return taken;
}

static co_status choose(choosing *c, co_predictor *network, co_dataset *dataset,
                        const int64_t *samples, int64_t count, const co_scoring_options *options,
                        double *weight) {
  const co_output_feature *output = &network->model->outputs[0];
  co_context *ctx = network->ctx;
  bool catalogue = co_metric_is_catalogue(output->name, output->width);
  co_scoring_options own = *options;
  CO_RETURN_IF_FAILED(co_sample_units(&c->units, ctx, dataset));
  int64_t *chosen = co_alloc(ctx, ((size_t)count + 1) * sizeof *chosen);
  c->row = co_alloc(ctx, (size_t)output->width * sizeof *c->row);
  co_status status = chosen && c->row ? CO_OK : CO_ERR_MEMORY;
  int64_t taken = status == CO_OK ? choose_samples(c, samples, count, chosen) : 0;
  for (int k = 0; status == CO_OK && k < WEIGHTS; k++)
    status =
        co_scores_create(&c->scores[k], ctx, CO_COLUMN_CATEGORY, output->width, catalogue, taken);
  own.sink = try_weights;
  own.user = c;
  if (status == CO_OK) status = network->class_->run(network, dataset, chosen, taken, &own);
  co_free(ctx, chosen);
  if (status != CO_OK) return status;
  return best_weight(c, co_metric_find(catalogue ? "ndcg@10" : "log_loss", CO_COLUMN_CATEGORY),
                     weight);
}

co_status co_blend_fit(co_estimator *baseline, co_predictor *network, co_dataset *dataset,
                       const int64_t *samples, int64_t count, const co_scoring_options *options) {
  const co_shape shape = co_shape_make(1, (int64_t)1);
  choosing c = {.units = NULL};
  void *weight;
  CO_RETURN_IF_FAILED(co_estimator_add(baseline, 0, "blend", CO_F64, &shape, &weight));
  if (!count) return CO_OK;
  co_status status = open_mixer(&c.mixer, baseline, dataset);
  if (status == CO_OK) status = choose(&c, network, dataset, samples, count, options, weight);
  for (int k = 0; k < WEIGHTS; k++)
    co_scores_free(&c.scores[k]);
  co_free(baseline->ctx, c.units);
  co_free(baseline->ctx, c.row);
  close_mixer(&c.mixer);
  return status;
}

// ---- predicting --------------------------------------------------------------------------------

typedef struct blend {
  co_predictor base;
  co_predictor *network;
  const co_estimator *baseline;
  co_baselines baselines; // those of a file
  bool owns_network;
  float weight;
} blend;

typedef struct blending {
  const blend *blend;
  mixer mixer;
  co_unseen unseen;                  // where seen items are excluded
  const co_scoring_options *options; // the caller's
} blending;

// A co_score_sink.
static co_status mix(void *user, const int64_t *samples, int64_t rows, const float *const *scores) {
  blending *b = user;
  float *mixed, weight = b->blend->weight;
  CO_RETURN_IF_FAILED(predict(&b->mixer, samples, rows, &mixed));
  for (int64_t i = 0; i < rows * b->mixer.width; i++)
    mixed[i] = (1 - weight) * scores[0][i] + weight * mixed[i];
  const float *out[] = {mixed};
  if (b->options->exclude_seen)
    CO_RETURN_IF_FAILED(co_unseen_mask(&b->unseen, samples, rows, mixed, &out[0]));
  return b->options->sink(b->options->user, samples, rows, out);
}

static co_status run(co_predictor *predictor, co_dataset *rows, const int64_t *samples,
                     int64_t count, const co_scoring_options *options) {
  blend *p = (blend *)predictor;
  blending b = {.blend = p, .options = options};
  co_scoring_options own = *options;
  co_status status = open_mixer(&b.mixer, p->baseline, rows);
  own.sink = options->sink ? mix : NULL;
  own.user = &b;
  own.sums = own.weight_sum = NULL; // they would be the network's
  own.exclude_seen = false;         // mixed first
  if (status == CO_OK && options->exclude_seen)
    status = co_unseen_open(&b.unseen, predictor->model, rows);
  if (status == CO_OK) status = p->network->class_->run(p->network, rows, samples, count, &own);
  close_mixer(&b.mixer);
  co_unseen_close(&b.unseen);
  return status;
}

static void close_blend(co_predictor *predictor) {
  blend *p = (blend *)predictor;
  co_context *ctx = predictor->ctx;
  co_baselines_free(&p->baselines);
  if (p->owns_network) co_predictor_close(p->network);
  co_free(ctx, p);
}

static const co_predictor_class blend_class = {.name = "blend", .run = run, .close = close_blend};

static co_status create(blend **out, co_predictor *network) {
  *out = co_alloc_zero(network->ctx, 1, sizeof **out);
  if (!*out) return CO_ERR_MEMORY;
  (*out)->base = *network;
  (*out)->base.class_ = &blend_class;
  (*out)->network = network;
  return CO_OK;
}

static co_status take_weight(blend *p, const co_estimator *baseline) {
  const co_shape shape = co_shape_make(1, (int64_t)1);
  const co_fitted *array;
  CO_RETURN_IF_FAILED(co_estimator_array(baseline, 0, "blend", CO_F64, &shape, &array));
  double weight = *(const double *)array->bytes;
  if (!(weight >= 0 && weight <= 1))
    return co_fail(CO_ERR_MODEL, "the weight of '%s' in its blend is %g", baseline->class_->name,
                   weight);
  p->weight = (float)weight;
  p->baseline = baseline;
  return CO_OK;
}

co_status co_blend_attach(co_predictor **out, co_predictor *network, co_estimator *baseline) {
  blend *p;
  *out = NULL;
  CO_RETURN_IF_FAILED(create(&p, network));
  co_status status = take_weight(p, baseline);
  if (status == CO_OK)
    *out = &p->base;
  else
    close_blend(&p->base);
  return status;
}

static co_status read_baseline(blend *p, const char *name) {
  CO_RETURN_IF_FAILED(co_baselines_read(&p->baselines, p->base.model, p->base.path));
  const co_estimator *baseline = co_baselines_find(&p->baselines, name);
  if (baseline) return take_weight(p, baseline);
  co_status status = co_fail_at(CO_ERR_MODEL, p->base.path, 0, 0,
                                "it has no '%s' to blend its network with", name);
  co_hint("checkpoints have the network alone; take the run's model.h5");
  return status;
}

co_status co_blend_open(co_predictor **out, co_predictor *network, const char *baseline) {
  blend *p;
  *out = NULL;
  co_status status = create(&p, network);
  if (status != CO_OK) {
    co_predictor_close(network);
    return status;
  }
  p->owns_network = true;
  status = read_baseline(p, baseline);
  if (status == CO_OK)
    *out = &p->base;
  else
    close_blend(&p->base);
  return status;
}

co_predictor *co_blend_network(const co_predictor *predictor) {
  return predictor->class_ == &blend_class ? ((const blend *)predictor)->network : NULL;
}
