// SPDX-License-Identifier: Apache-2.0
#include "host/eval/ensemble.h"

#include <string.h>

#include "host/eval/score_columns.h"

enum { ROOM_BYTES = 16 << 20, MOST_ROWS = 1 << 14, LEAST_ROWS = 256 };

typedef struct ensemble {
  co_predictor base;
  co_arena *arena;
  co_ensemble_kind kind;
  co_predictor *const *members;
  int64_t count;
  co_dataset *const *datasets; // NULL = the one that is given
  int64_t rows;                // at a time
  float ***scores;             // per member, output and extra: (rows, width)
  const float **out;           // per own output and extra
  co_member_scores *tell;      // NULL = nobody listens
  void *user;
} ensemble;

co_status co_ensemble_parse(co_ensemble_kind *out, const char *text) {
  *out = CO_ENSEMBLE_NONE;
  if (!text) return CO_OK;
  if (strcmp(text, "mean") == 0)
    *out = CO_ENSEMBLE_MEAN;
  else if (strcmp(text, "rank_mean") == 0)
    *out = CO_ENSEMBLE_RANK_MEAN;
  else
    return co_fail(CO_ERR_USAGE, "--ensemble %.100s: there are mean and rank_mean", text);
  return CO_OK;
}

// ---- running -----------------------------------------------------------------------------------

typedef struct taking {
  float *const *to; // per output and extra
  const co_model *model;
  int64_t rows;
} taking;

// A co_score_sink.
static co_status take(void *user, const int64_t *samples, int64_t rows,
                      const float *const *scores) {
  taking *t = user;
  (void)samples;
  for (int64_t i = 0; i < co_model_score_count(t->model); i++) {
    size_t width = (size_t)co_model_score_width(t->model, i);
    memcpy(t->to[i] + (size_t)t->rows * width, scores[i], (size_t)rows * width * sizeof(float));
  }
  t->rows += rows;
  return CO_OK;
}

// Of the first member's rows, in place.
static void average(const ensemble *e, int64_t rows) {
  for (int64_t i = 0; i < e->base.model->output_count; i++) {
    float *mean = e->scores[0][i];
    for (int64_t k = 0; k < rows * e->base.model->outputs[i].width; k++) {
      double sum = 0;
      for (int64_t m = 0; m < e->count; m++)
        sum += (double)e->scores[m][i][k];
      mean[k] = (float)(sum / (double)e->count);
    }
  }
}

static co_status run(co_predictor *predictor, co_dataset *dataset, const int64_t *samples,
                     int64_t count, const co_scoring_options *options) {
  ensemble *e = (ensemble *)predictor;
  co_scoring_options own = *options;
  own.sink = take;
  own.sums = own.weight_sum = NULL; // they would be one member's
  for (int64_t at = 0, rows; at < count; at += rows) {
    rows = count - at < e->rows ? count - at : e->rows;
    for (int64_t m = 0; m < e->count; m++) {
      taking t = {.to = e->scores[m], .model = e->members[m]->model};
      own.user = &t;
      CO_RETURN_IF_FAILED(e->members[m]->class_->run(
          e->members[m], e->datasets ? e->datasets[m] : dataset, samples + at, rows, &own));
      if (e->tell) e->tell(e->user, m, rows, (const float *const *)e->scores[m]);
    }
    if (e->kind == CO_ENSEMBLE_MEAN) average(e, rows);
    if (options->sink)
      CO_RETURN_IF_FAILED(options->sink(options->user, samples + at, rows, e->out));
  }
  return CO_OK;
}

static void close_ensemble(co_predictor *predictor) {
  ensemble *e = (ensemble *)predictor;
  co_arena_free(e->arena);
  co_free(predictor->ctx, e);
}

// ---- opening -----------------------------------------------------------------------------------

static bool same_column(const co_column *a, const co_column *b) {
  if (!a || !b) return a == b;
  if (a->type != b->type || a->category_count != b->category_count) return false;
  for (int64_t i = 0; i < a->category_count; i++)
    if (strcmp(a->categories[i], b->categories[i]) != 0) return false;
  return true;
}

static bool same_outputs(const co_model *a, const co_model *b) {
  if (a->output_count != b->output_count) return false;
  for (int64_t i = 0; i < a->output_count; i++) {
    const co_output_feature *x = &a->outputs[i], *y = &b->outputs[i];
    if (strcmp(x->name, y->name) != 0 || x->class_ != y->class_ || x->width != y->width ||
        !same_column(x->column, y->column))
      return false;
  }
  return true;
}

static co_status refuse_texts(const co_predictor *member) {
  for (int64_t i = 0; i < member->model->output_count; i++) {
    if (!member->model->outputs[i].text) continue;
    co_status status = co_fail_at(CO_ERR_MODEL, member->path, 0, 0,
                                  "'%.200s' is a text: several models write no text together",
                                  member->model->outputs[i].name);
    co_hint("name one of them; without an ensemble several write each its own");
    return status;
  }
  return CO_OK;
}

static co_status check_outputs(co_predictor *const *members, int64_t count) {
  CO_RETURN_IF_FAILED(refuse_texts(members[0]));
  for (int64_t m = 1; m < count; m++) {
    if (same_outputs(members[0]->model, members[m]->model)) continue;
    co_status status =
        co_fail_at(CO_ERR_MODEL, members[m]->path, 0, 0,
                   "its targets and classes are not those of %s: they cannot make one score",
                   members[0]->path);
    co_hint("without --ensemble their scores stand side by side");
    return status;
  }
  return CO_OK;
}

static co_status average_threshold(co_output_feature *output, int64_t i, const ensemble *e) {
  if (!output->decided) return CO_OK;
  co_fitted *decided = co_arena_alloc(e->arena, 1, sizeof *decided);
  double *values = co_arena_alloc(e->arena, 2, sizeof *values);
  if (!decided || !values) return CO_ERR_MEMORY;
  values[0] = 1;
  for (int64_t m = 0; m < e->count; m++)
    values[1] += co_output_threshold(&e->members[m]->model->outputs[i]) / (double)e->count;
  *decided = *output->decided;
  decided->bytes = values;
  output->decided = decided;
  return CO_OK;
}

static co_status make_one(ensemble *e, co_model *model) {
  const co_model *first = e->members[0]->model;
  CO_RETURN_IF_FAILED(check_outputs(e->members, e->count));
  model->outputs = co_arena_alloc(e->arena, (size_t)first->output_count, sizeof *model->outputs);
  if (!model->outputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < first->output_count; i++) {
    model->outputs[i] = first->outputs[i];
    CO_RETURN_IF_FAILED(average_threshold(&model->outputs[i], i, e));
    e->out[i] = e->scores[0][i];
  }
  model->extra_count = 0;
  return CO_OK;
}

// Outputs of all members, then those of their extras that are of an output.
static co_status set_side_by_side(ensemble *e, co_model *model, const char *const *names,
                                  int64_t outputs, int64_t extras) {
  model->outputs = co_arena_alloc(e->arena, (size_t)outputs + 1, sizeof *model->outputs);
  model->extras = co_arena_alloc(e->arena, (size_t)extras + 1, sizeof *model->extras);
  if (!model->outputs || !model->extras) return CO_ERR_MEMORY;
  model->output_count = model->extra_count = 0;
  for (int64_t m = 0; m < e->count; m++) {
    const co_model *own = e->members[m]->model;
    co_output_feature *begin = &model->outputs[model->output_count];
    for (int64_t i = 0; i < own->output_count; i++) {
      e->out[model->output_count] = e->scores[m][i];
      co_output_feature *output = &model->outputs[model->output_count++];
      *output = own->outputs[i];
      output->name = co_arena_format(e->arena, "%s_%s", names[m], own->outputs[i].name);
      if (!output->name) return CO_ERR_MEMORY;
    }
    for (int64_t i = 0; i < own->extra_count; i++) {
      if (!own->extras[i].output) continue;
      e->out[outputs + model->extra_count] = e->scores[m][own->output_count + i];
      co_extra *extra = &model->extras[model->extra_count++];
      *extra = own->extras[i];
      extra->output = begin + (own->extras[i].output - own->outputs);
    }
  }
  return CO_OK;
}

static co_status make_room(ensemble *e) {
  int64_t width = 0;
  for (int64_t m = 0; m < e->count; m++)
    for (int64_t i = 0; i < co_model_score_count(e->members[m]->model); i++)
      width += co_model_score_width(e->members[m]->model, i);
  e->rows = ROOM_BYTES / (width * (int64_t)sizeof(float));
  e->rows = e->rows > MOST_ROWS ? MOST_ROWS : e->rows < LEAST_ROWS ? LEAST_ROWS : e->rows;
  e->scores = co_arena_alloc(e->arena, (size_t)e->count, sizeof *e->scores);
  float *at = co_arena_alloc(e->arena, (size_t)(e->rows * width), sizeof *at);
  if (!e->scores || !at) return CO_ERR_MEMORY;
  for (int64_t m = 0; m < e->count; m++) {
    const co_model *model = e->members[m]->model;
    e->scores[m] =
        co_arena_alloc(e->arena, (size_t)co_model_score_count(model), sizeof *e->scores[m]);
    if (!e->scores[m]) return CO_ERR_MEMORY;
    for (int64_t i = 0; i < co_model_score_count(model); i++) {
      e->scores[m][i] = at;
      at += e->rows * co_model_score_width(model, i);
    }
  }
  return CO_OK;
}

static co_status open_members(ensemble *e, const char *const *names) {
  int64_t outputs = 0, extras = 0;
  CO_RETURN_IF_FAILED(co_arena_create(&e->arena, e->base.ctx));
  CO_RETURN_IF_FAILED(make_room(e));
  for (int64_t m = 0; m < e->count; m++) {
    outputs += e->members[m]->model->output_count;
    extras += e->members[m]->model->extra_count;
  }
  co_model *model = co_arena_alloc(e->arena, 1, sizeof *model);
  e->out = co_arena_alloc(e->arena, (size_t)(outputs + extras) + 1, sizeof *e->out);
  if (!model || !e->out) return CO_ERR_MEMORY;
  *model = *e->members[0]->model;
  e->base.model = model;
  return e->kind == CO_ENSEMBLE_MEAN ? make_one(e, model)
                                     : set_side_by_side(e, model, names, outputs, extras);
}

co_status co_ensemble_open(co_predictor **out, co_predictor *const *members,
                           const char *const *names, int64_t count, co_ensemble_kind kind) {
  static const co_predictor_class class_ = {
      .name = "ensemble", .run = run, .close = close_ensemble};
  co_context *ctx = members[0]->ctx;
  ensemble *e = co_alloc_zero(ctx, 1, sizeof *e);
  *out = NULL;
  if (!e) return CO_ERR_MEMORY;
  e->base = *members[0];
  e->base.class_ = &class_;
  e->members = members;
  e->count = count;
  e->kind = kind;
  co_status status = open_members(e, names);
  if (status == CO_OK)
    *out = &e->base;
  else
    close_ensemble(&e->base);
  return status;
}

void co_ensemble_set_listener(co_predictor *predictor, co_member_scores *tell, void *user) {
  ensemble *e = (ensemble *)predictor;
  e->tell = tell;
  e->user = user;
}

void co_ensemble_set_rows(co_predictor *predictor, co_dataset *const *datasets) {
  ((ensemble *)predictor)->datasets = datasets;
}

co_status co_ensemble_rank_model(const co_model **out, co_arena *arena,
                                 co_predictor *const *members, int64_t count) {
  const co_model *first = members[0]->model;
  CO_RETURN_IF_FAILED(check_outputs(members, count));
  if (first->output_count != 1 || !co_score_is_one(&first->outputs[0]))
    return co_fail_at(CO_ERR_MODEL, members[0]->path, 0, 0,
                      "--ensemble rank_mean is for models of one output with a single score");
  co_model *model = co_arena_alloc(arena, 1, sizeof *model);
  co_output_feature *output = co_arena_alloc(arena, 1, sizeof *output);
  if (!model || !output) return CO_ERR_MEMORY;
  *model = *first;
  *output =
      (co_output_feature){.name = co_arena_format(arena, "%s_rank_mean", first->outputs[0].name),
                          .class_ = co_feature_class_of(CO_COLUMN_NUMBER, false, true),
                          .width = 1};
  model->outputs = output;
  model->extra_count = 0;
  *out = model;
  return output->name ? CO_OK : CO_ERR_MEMORY;
}
