// SPDX-License-Identifier: Apache-2.0
#include "host/eval/blend.h"

#include <math.h>
#include <string.h>

#include "host/eval/evaluation.h"
#include "host/eval/network.h"
#include "host/eval/opening.h"
#include "host/eval/scores.h"
#include "host/eval/units.h"
#include "host/eval/unseen.h"

// ---- mixing ------------------------------------------------------------------------------------

enum { BESIDE_ROWS = 1024, KEPT_BYTES = 64 << 20 };

// The baseline's predictions. Of next items, which are many numbers a row, they are reckoned with each batch;
// others are kept of some rows before the network scores those.
typedef struct mixer {
  co_estimator *baseline;
  co_estimator_run run;   // of next items
  co_predictor *beside;   // of others
  float **kept, **mixed;  // per output
  int64_t capacity, room; // rows of both
  int64_t taken, at;      // of those kept; the next one
} mixer;

static bool is_of_items(const co_estimator *baseline) {
  return baseline->class_->score_history && !baseline->class_->purchases;
}

static co_status open_mixer(mixer *m, co_estimator *baseline, co_dataset *dataset) {
  const size_t outputs = (size_t)baseline->model->output_count;
  *m = (mixer){.baseline = baseline,
               .kept = co_alloc_zero(baseline->ctx, outputs, sizeof *m->kept),
               .mixed = co_alloc_zero(baseline->ctx, outputs, sizeof *m->mixed)};
  if (!m->kept || !m->mixed) return CO_ERR_MEMORY;
  return is_of_items(baseline) ? co_estimator_start(&m->run, baseline, dataset)
                               : co_network_open_beside(&m->beside, baseline, BESIDE_ROWS, false);
}

static void close_mixer(mixer *m) {
  if (!m->baseline) return;
  for (int64_t i = 0; i < m->baseline->model->output_count; i++) {
    if (m->kept) co_free(m->baseline->ctx, m->kept[i]);
    if (m->mixed) co_free(m->baseline->ctx, m->mixed[i]);
  }
  co_free(m->baseline->ctx, m->kept);
  co_free(m->baseline->ctx, m->mixed);
  co_predictor_close(m->beside);
}

static size_t width_of(const mixer *m, int64_t output) {
  return (size_t)co_model_score_width(m->baseline->model, output);
}

// How many rows are kept at once: whole batches, of wide outputs one.
static int64_t most_rows(const mixer *m) {
  size_t bytes = 0;
  for (int64_t i = 0; i < m->baseline->model->output_count; i++)
    bytes += width_of(m, i) * sizeof(float);
  const int64_t rows = co_bound_rows(m->baseline->model, BESIDE_ROWS);
  const int64_t batches = KEPT_BYTES / (int64_t)bytes / rows;
  return (batches ? batches : 1) * rows;
}

static co_status make_room(const mixer *m, float **arrays, int64_t *capacity, int64_t rows) {
  for (int64_t i = 0; rows > *capacity && i < m->baseline->model->output_count; i++) {
    co_free(m->baseline->ctx, arrays[i]);
    arrays[i] = co_alloc(m->baseline->ctx, (size_t)rows * width_of(m, i) * sizeof(float));
    if (!arrays[i]) return CO_ERR_MEMORY;
  }
  if (rows > *capacity) *capacity = rows;
  return CO_OK;
}

// A co_score_sink.
static co_status keep(void *user, const int64_t *samples, int64_t rows,
                      const float *const *scores) {
  mixer *m = user;
  (void)samples;
  for (int64_t i = 0; i < m->baseline->model->output_count; i++)
    memcpy(m->kept[i] + (size_t)m->taken * width_of(m, i), scores[i],
           (size_t)rows * width_of(m, i) * sizeof(float));
  m->taken += rows;
  return CO_OK;
}

static co_status keep_some(mixer *m, co_dataset *dataset, const int64_t *samples, int64_t rows,
                           const co_scoring_options *options) {
  const co_scoring_options own = {.watch = options->watch,
                                  .stoppable = options->stoppable,
                                  .workers = options->workers,
                                  .stage = options->stage,
                                  .sink = keep,
                                  .user = m};
  m->taken = m->at = 0;
  CO_RETURN_IF_FAILED(make_room(m, m->kept, &m->capacity, rows));
  return m->beside->class_->run(m->beside, dataset, samples, rows, &own);
}

// Of samples the probabilities of next items, in `mixed`.
static co_status predict_items(mixer *m, const int64_t *samples, int64_t rows) {
  const size_t count = (size_t)rows * width_of(m, 0);
  CO_RETURN_IF_FAILED(make_room(m, m->mixed, &m->room, rows));
  CO_RETURN_IF_FAILED(co_estimator_fill_heads(&m->run, samples, NULL, rows, m->mixed));
  for (size_t i = 0; i < count; i++)
    m->mixed[0][i] = expf(m->mixed[0][i]); // heads are logarithms of probabilities
  return CO_OK;
}

// Of samples, which follow those before, the predictions in `mixed`, to be mixed there.
static co_status predict(mixer *m, const int64_t *samples, int64_t rows) {
  if (!m->beside) return predict_items(m, samples, rows);
  CO_RETURN_IF_FAILED(make_room(m, m->mixed, &m->room, rows));
  for (int64_t i = 0; i < m->baseline->model->output_count; i++)
    memcpy(m->mixed[i], m->kept[i] + (size_t)m->at * width_of(m, i),
           (size_t)rows * width_of(m, i) * sizeof(float));
  m->at += rows;
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
  int64_t width;
} choosing;

static double weight_of(int i) {
  return i / (double)(WEIGHTS - 1);
}

// A co_score_sink.
static co_status try_weights(void *user, const int64_t *samples, int64_t rows,
                             const float *const *scores) {
  static const float one = 1;
  choosing *c = user;
  CO_RETURN_IF_FAILED(predict_items(&c->mixer, samples, rows));
  for (int64_t i = 0; i < rows; i++) {
    int32_t target = c->mixer.run.history.target[samples[i]];
    if (target < 0) continue;
    const float *own = scores[0] + i * c->width, *other = c->mixer.mixed[0] + i * c->width;
    for (int k = 0; k < WEIGHTS; k++) {
      float weight = (float)weight_of(k);
      for (int64_t j = 0; j < c->width; j++)
        c->row[j] = (1 - weight) * own[j] + weight * other[j];
      co_scores_add(&c->scores[k], samples + i, c->units, c->row, &target, &one, 1);
    }
  }
  return CO_OK;
}

// The best of so far, by a metric of scores mixed with a weight.
typedef struct best {
  const co_metric_class *metric;
  double value, weight;
} best;

static co_status try_scores(best *b, double weight, const co_scores *scores) {
  co_measured measured;
  co_status status = co_measured_create(&measured, scores, NULL);
  double value = status == CO_OK ? co_measured_value(&measured, b->metric) : NAN;
  co_measured_free(&measured);
  if (!b->metric->higher_is_better) value = -value;
  if (status != CO_OK || isnan(value) || value <= b->value) return status;
  b->value = value;
  b->weight = weight;
  return CO_OK;
}

// Whole units, evenly chosen where all would be too much work.
static int64_t choose_samples(const choosing *c, const int64_t *samples, int64_t count,
                              int64_t *chosen) {
  double work = (double)count * WEIGHTS * (double)c->width;
  int64_t step = work > most_work ? (int64_t)ceil(work / most_work) : 1, taken = 0;
  for (int64_t i = 0; i < count; i++)
    if (!c->units || c->units[samples[i]] % step == 0) chosen[taken++] = samples[i];
  return taken;
}

static co_status choose_by_items(choosing *c, co_predictor *network, co_dataset *dataset,
                                 const int64_t *samples, int64_t count,
                                 const co_scoring_options *options, double *weight) {
  const co_output_feature *output = &network->model->outputs[0];
  co_context *ctx = network->ctx;
  bool catalogue = co_metric_is_catalogue(output->name, output->width);
  co_scoring_options own = *options;
  c->width = output->width;
  CO_RETURN_IF_FAILED(co_sample_units(&c->units, ctx, dataset));
  int64_t *chosen = co_alloc(ctx, ((size_t)count + 1) * sizeof *chosen);
  c->row = co_alloc(ctx, (size_t)output->width * sizeof *c->row);
  co_status status = chosen && c->row ? CO_OK : CO_ERR_MEMORY;
  int64_t taken = status == CO_OK ? choose_samples(c, samples, count, chosen) : 0;
  for (int k = 0; status == CO_OK && k < WEIGHTS; k++)
    status = co_scores_create(&c->scores[k], ctx, CO_COLUMN_CATEGORY, output->width,
                              catalogue ? CO_KEPT_PLACES : CO_KEPT_SCORES, taken);
  own.sink = try_weights;
  own.user = c;
  if (status == CO_OK) status = network->class_->run(network, dataset, chosen, taken, &own);
  co_free(ctx, chosen);
  best b = {co_metric_find(catalogue ? "ndcg@10" : "log_loss", CO_COLUMN_CATEGORY), NAN, 0};
  for (int k = 0; status == CO_OK && k < WEIGHTS; k++)
    status = try_scores(&b, weight_of(k), &c->scores[k]);
  *weight = b.weight;
  return status;
}

static co_status fit_items(co_estimator *baseline, co_predictor *network, co_dataset *dataset,
                           const int64_t *samples, int64_t count, const co_scoring_options *options,
                           double *weight) {
  choosing c = {.units = NULL};
  co_status status = open_mixer(&c.mixer, baseline, dataset);
  if (status == CO_OK)
    status = choose_by_items(&c, network, dataset, samples, count, options, weight);
  for (int k = 0; k < WEIGHTS; k++)
    co_scores_free(&c.scores[k]);
  co_free(baseline->ctx, c.units);
  co_free(baseline->ctx, c.row);
  close_mixer(&c.mixer);
  return status;
}

// Of an output, by the scores of both, which are of the same rows.
static co_status choose(const co_scores *own, const co_scores *other, double *weight) {
  const char *metric = own->type == CO_COLUMN_NUMBER ? "mae" : "log_loss";
  co_scores mixed = {.ctx = NULL};
  best b = {co_metric_find(metric, own->type), NAN, 0};
  co_status status =
      co_scores_create(&mixed, own->ctx, own->type, own->width, CO_KEPT_SCORES, own->count);
  mixed.point = own->point;
  for (int64_t i = 0; status == CO_OK && i < own->count; i++)
    co_scores_copy(&mixed, own, i);
  for (int k = 0; status == CO_OK && k < WEIGHTS; k++) {
    const float w = (float)weight_of(k);
    for (int64_t i = 0; i < own->count * own->width; i++)
      mixed.score[i] = (1 - w) * own->score[i] + w * other->score[i];
    status = try_scores(&b, weight_of(k), &mixed);
  }
  co_scores_free(&mixed);
  *weight = b.weight;
  return status;
}

static co_status score(co_evaluation *out, co_predictor *predictor, co_dataset *dataset,
                       const int64_t *samples, int64_t count, const co_scoring_options *options) {
  CO_RETURN_IF_FAILED(co_evaluation_create(out, predictor->model));
  co_evaluation_collect_all(out);
  out->keeps = true;
  return co_evaluate(out, predictor, dataset, samples, count, options);
}

static co_status fit_outputs(co_estimator *baseline, co_predictor *network, co_dataset *dataset,
                             const int64_t *samples, int64_t count,
                             const co_scoring_options *options, double *const *weights) {
  co_evaluation own = {.model = NULL}, other = {.model = NULL};
  co_predictor *beside = NULL;
  co_status status = co_network_open_beside(&beside, baseline, BESIDE_ROWS, true);
  if (status == CO_OK) status = score(&own, network, dataset, samples, count, options);
  if (status == CO_OK) status = score(&other, beside, dataset, samples, count, options);
  for (int64_t i = 0; status == CO_OK && i < network->model->output_count; i++) {
    const co_scores *mine = &own.scores[i], *theirs = &other.scores[i];
    if (mine->count != theirs->count || mine->width != theirs->width)
      status = co_fail(CO_ERR_INTERNAL, "a baseline scores other rows than its network");
    else
      status = choose(mine, theirs, weights[i]);
  }
  co_evaluation_free(&own);
  co_evaluation_free(&other);
  co_predictor_close(beside);
  return status;
}

co_status co_blend_fit(co_estimator *baseline, co_predictor *network, co_dataset *dataset,
                       const int64_t *samples, int64_t count, const co_scoring_options *options) {
  const co_shape shape = co_shape_make(1, (int64_t)1);
  const int64_t outputs = network->model->output_count;
  double **weights = co_alloc(network->ctx, (size_t)outputs * sizeof *weights);
  co_status status = weights ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < outputs; i++)
    status = co_estimator_add(baseline, i, "blend", CO_F64, &shape, (void **)&weights[i]);
  if (status == CO_OK && count)
    status = is_of_items(baseline)
                 ? fit_items(baseline, network, dataset, samples, count, options, weights[0])
                 : fit_outputs(baseline, network, dataset, samples, count, options, weights);
  for (int64_t i = 0; status == CO_OK && i < outputs; i++)
    co_log(network->ctx, CO_LOG_INFO, "blend", "%s: %g of %s", network->model->outputs[i].name,
           *weights[i], baseline->class_->name);
  co_free(network->ctx, weights);
  return status;
}

// ---- predicting --------------------------------------------------------------------------------

typedef struct blend {
  co_predictor base;
  co_predictor *network;
  co_estimator *baseline;
  co_baselines baselines; // those of a file
  bool owns_network;
  float *weights; // per output
} blend;

typedef struct blending {
  const blend *blend;
  mixer mixer;
  co_unseen unseen;                  // where seen items are excluded
  const float **out;                 // per output and extra, of which the network has these
  const co_scoring_options *options; // the caller's
} blending;

// A co_score_sink.
static co_status mix(void *user, const int64_t *samples, int64_t rows, const float *const *scores) {
  blending *b = user;
  const co_model *model = b->blend->base.model;
  CO_RETURN_IF_FAILED(predict(&b->mixer, samples, rows));
  for (int64_t i = 0; i < co_model_score_count(model); i++)
    b->out[i] = i < model->output_count ? b->mixer.mixed[i] : scores[i];
  for (int64_t i = 0; i < model->output_count; i++) {
    const float weight = b->blend->weights[i];
    float *mixed = b->mixer.mixed[i];
    for (size_t k = 0; k < (size_t)rows * width_of(&b->mixer, i); k++)
      mixed[k] = (1 - weight) * scores[i][k] + weight * mixed[k];
  }
  if (b->options->exclude_seen)
    CO_RETURN_IF_FAILED(co_unseen_mask(&b->unseen, samples, rows, b->mixer.mixed[0], &b->out[0]));
  return b->options->sink(b->options->user, samples, rows, b->out);
}

static co_status run_network(blending *b, co_dataset *rows, const int64_t *samples, int64_t count,
                             const co_scoring_options *own) {
  const co_predictor *network = b->blend->network;
  int64_t most = b->mixer.beside ? most_rows(&b->mixer) : count;
  for (int64_t at = 0, some; at < count; at += some) {
    some = count - at < most ? count - at : most;
    if (b->mixer.beside) CO_RETURN_IF_FAILED(keep_some(&b->mixer, rows, samples + at, some, own));
    CO_RETURN_IF_FAILED(network->class_->run(b->blend->network, rows, samples + at, some, own));
  }
  return CO_OK;
}

static co_status run(co_predictor *predictor, co_dataset *rows, const int64_t *samples,
                     int64_t count, const co_scoring_options *options) {
  blend *p = (blend *)predictor;
  blending b = {.blend = p, .options = options};
  co_scoring_options own = *options;
  b.out = co_alloc(predictor->ctx, (size_t)co_model_score_count(predictor->model) * sizeof *b.out);
  co_status status = b.out ? open_mixer(&b.mixer, p->baseline, rows) : CO_ERR_MEMORY;
  own.sink = options->sink ? mix : NULL;
  own.user = &b;
  own.sums = own.weight_sum = NULL; // they would be the network's
  own.exclude_seen = false;         // mixed first
  if (status == CO_OK && options->exclude_seen)
    status = co_unseen_open(&b.unseen, predictor->model, rows);
  if (status == CO_OK) status = run_network(&b, rows, samples, count, &own);
  close_mixer(&b.mixer);
  co_unseen_close(&b.unseen);
  co_free(predictor->ctx, b.out);
  return status;
}

static void close_blend(co_predictor *predictor) {
  blend *p = (blend *)predictor;
  co_context *ctx = predictor->ctx;
  co_baselines_free(&p->baselines);
  co_free(ctx, p->weights);
  if (p->owns_network) co_predictor_close(p->network);
  co_free(ctx, p);
}

static const co_predictor_class blend_class = {.name = "blend", .run = run, .close = close_blend};

static co_status create(blend **out, co_predictor *network) {
  blend *p = *out = co_alloc_zero(network->ctx, 1, sizeof **out);
  if (!p) return CO_ERR_MEMORY;
  p->base = *network;
  p->base.class_ = &blend_class;
  p->network = network;
  p->weights = co_alloc(network->ctx, (size_t)network->model->output_count * sizeof *p->weights);
  if (p->weights) return CO_OK;
  co_free(network->ctx, p);
  *out = NULL;
  return CO_ERR_MEMORY;
}

static co_status read_weights(float *out, const co_estimator *baseline) {
  const co_shape shape = co_shape_make(1, (int64_t)1);
  for (int64_t i = 0; i < baseline->model->output_count; i++) {
    const co_fitted *array;
    CO_RETURN_IF_FAILED(co_estimator_array(baseline, i, "blend", CO_F64, &shape, &array));
    double weight = *(const double *)array->bytes;
    if (!(weight >= 0 && weight <= 1))
      return co_fail(CO_ERR_MODEL, "the weight of '%s' in its blend is %g", baseline->class_->name,
                     weight);
    out[i] = (float)weight;
  }
  return CO_OK;
}

co_status co_blend_attach(co_predictor **out, co_predictor *network, co_estimator *baseline) {
  blend *p;
  *out = NULL;
  CO_RETURN_IF_FAILED(create(&p, network));
  p->baseline = baseline;
  co_status status = read_weights(p->weights, baseline);
  if (status == CO_OK)
    *out = &p->base;
  else
    close_blend(&p->base);
  return status;
}

co_status co_blend_read(co_baselines *baselines, co_estimator **baseline, float *weights,
                        const co_model *network, const char *path, const char *name) {
  CO_RETURN_IF_FAILED(co_baselines_read(baselines, network, path));
  *baseline = co_baselines_find(baselines, name);
  if (*baseline) return read_weights(weights, *baseline);
  co_status status =
      co_fail_at(CO_ERR_MODEL, path, 0, 0, "it has no '%s' to blend its network with", name);
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
  status = co_blend_read(&p->baselines, &p->baseline, p->weights, network->model, network->path,
                         baseline);
  if (status == CO_OK)
    *out = &p->base;
  else
    close_blend(&p->base);
  return status;
}

co_predictor *co_blend_network(const co_predictor *predictor) {
  return predictor->class_ == &blend_class ? ((const blend *)predictor)->network : NULL;
}

co_predictor *co_blend_of_rows(co_predictor *predictor, bool of_network) {
  co_predictor *network = co_blend_network(predictor);
  if (!network) return predictor;
  const co_estimator_class *baseline = ((const blend *)predictor)->baseline->class_;
  return baseline->purchases || (baseline->score_history && of_network) ? network : predictor;
}
