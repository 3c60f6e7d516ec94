// SPDX-License-Identifier: Apache-2.0
// cohort_similar: the rows whose embeddings are nearest to those of some.
#include <math.h>
#include <string.h>

#include "host/api/images.h"
#include "host/eval/opening.h"
#include "host/eval/predictor.h"
#include "host/feed/fit_features.h"

enum { NEAREST = 10, MOST_NEAREST = 10000 };

typedef struct neighbour {
  double similarity;
  int64_t sample;
} neighbour;

// A row that was asked for, and the nearest so far, by falling similarity.
typedef struct asked {
  int64_t sample; // -1 = not found yet
  float *codes;
  neighbour *nearest;
  int64_t count;
} asked;

typedef struct searching {
  cohort_context *context;
  co_context *ctx;
  const cohort_similar_options *options;
  co_arena *arena;
  co_predictor *predictor;
  co_image_scoring images;
  co_dataset *dataset;
  int64_t place, width; // of the embedding among scores
  int64_t top, rows;
  bool euclidean;
  asked *asked;
} searching;

// ---- embeddings --------------------------------------------------------------------------------

static co_status find_embedding(searching *s) {
  const co_model *model = s->predictor->model;
  for (int64_t i = 0; i < model->extra_count; i++)
    if (strcmp(model->extras[i].name, "embedding") == 0) {
      s->place = model->output_count + i;
      s->width = model->extras[i].width;
      return CO_OK;
    }
  co_status status = co_fail(CO_ERR_CONFIG, "%s: the model has no embedding to compare rows by",
                             s->predictor->path);
  co_hint("bottleneck: {size: N} in its config makes one, as in the preset product-autoencoder");
  return status;
}

// Cosine of the angle, or the distance with its sign changed.
static double similarity(const searching *s, const float *a, const float *b) {
  double product = 0, aa = 0, bb = 0, distance = 0;
  for (int64_t i = 0; i < s->width; i++) {
    const double x = (double)a[i], y = (double)b[i];
    product += x * y;
    aa += x * x;
    bb += y * y;
    distance += (x - y) * (x - y);
  }
  if (s->euclidean) return -sqrt(distance);
  return aa > 0 && bb > 0 ? product / sqrt(aa * bb) : 0;
}

static co_status keep_codes(void *user, const int64_t *samples, int64_t rows,
                            const float *const *scores) {
  searching *s = user;
  for (int64_t k = 0; k < s->options->key_count; k++)
    for (int64_t i = 0; i < rows; i++)
      if (samples[i] == s->asked[k].sample)
        memcpy(s->asked[k].codes, scores[s->place] + i * s->width,
               (size_t)s->width * sizeof(float));
  return CO_OK;
}

// Of equal ones the first in the dataset stays in front.
static void insert(asked *a, int64_t top, neighbour found) {
  if (a->count == top && !(found.similarity > a->nearest[top - 1].similarity)) return;
  int64_t at = a->count < top ? a->count++ : top - 1;
  for (; at > 0 && a->nearest[at - 1].similarity < found.similarity; at--)
    a->nearest[at] = a->nearest[at - 1];
  a->nearest[at] = found;
}

static co_status compare(void *user, const int64_t *samples, int64_t rows,
                         const float *const *scores) {
  searching *s = user;
  for (int64_t k = 0; k < s->options->key_count; k++)
    for (int64_t i = 0; i < rows; i++)
      if (samples[i] != s->asked[k].sample)
        insert(&s->asked[k], s->top,
               (neighbour){similarity(s, s->asked[k].codes, scores[s->place] + i * s->width),
                           samples[i]});
  return CO_OK;
}

// ---- rows --------------------------------------------------------------------------------------

static co_status find_keys(searching *s, int64_t *samples) {
  const cohort_similar_options *o = s->options;
  char key[CO_DATASET_KEY_MAX + 1];
  for (int64_t i = 0; i < co_dataset_rows(s->dataset); i++) {
    CO_RETURN_IF_FAILED(co_dataset_key(s->dataset, i, key, sizeof key));
    for (int64_t k = 0; k < o->key_count; k++)
      if (s->asked[k].sample < 0 && strcmp(o->keys[k], key) == 0) s->asked[k].sample = i;
  }
  for (int64_t k = 0; k < o->key_count; k++) {
    samples[k] = s->asked[k].sample;
    if (samples[k] >= 0) continue;
    co_status status = co_fail(CO_ERR_DATA, "no row has the key '%.200s'", o->keys[k]);
    co_hint("without a key column rows are called by their number, from 0");
    return status;
  }
  return CO_OK;
}

static co_status list_rows(searching *s, const int64_t **out) {
  const char *name = s->options->split;
  if (name) {
    const int split = co_split_parse(name);
    if (split < 0) return co_fail(CO_ERR_USAGE, "--split %.100s: no such split", name);
    return co_dataset_split(s->dataset, (co_split)split, out, &s->rows);
  }
  s->rows = co_dataset_rows(s->dataset);
  int64_t *all = co_arena_alloc(s->arena, (size_t)s->rows + 1, sizeof *all);
  if (!all) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->rows; i++)
    all[i] = i;
  *out = all;
  return CO_OK;
}

static co_status make_room(searching *s) {
  const int64_t count = s->options->key_count;
  s->asked = co_arena_alloc(s->arena, (size_t)count, sizeof *s->asked);
  if (!s->asked) return CO_ERR_MEMORY;
  for (int64_t k = 0; k < count; k++) {
    s->asked[k] = (asked){.sample = -1,
                          .codes = co_arena_alloc(s->arena, (size_t)s->width, sizeof(float)),
                          .nearest = co_arena_alloc(s->arena, (size_t)s->top, sizeof(neighbour))};
    if (!s->asked[k].codes || !s->asked[k].nearest) return CO_ERR_MEMORY;
  }
  return CO_OK;
}

static co_status search(searching *s) {
  const int64_t *rows;
  co_scoring_options run = {.watch = &s->context->watch,
                            .stoppable = true,
                            .workers = s->options->workers,
                            .stage = "similar",
                            .sink = keep_codes,
                            .user = s};
  int64_t *samples = co_arena_alloc(s->arena, (size_t)s->options->key_count, sizeof *samples);
  if (!samples) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(find_keys(s, samples));
  CO_RETURN_IF_FAILED(list_rows(s, &rows));
  CO_RETURN_IF_FAILED(
      s->predictor->class_->run(s->predictor, s->dataset, samples, s->options->key_count, &run));
  run.sink = compare;
  return s->predictor->class_->run(s->predictor, s->dataset, rows, s->rows, &run);
}

// ---- all of it ---------------------------------------------------------------------------------

static co_status report_row(searching *s, const asked *a, const char *key, cohort_result *result) {
  co_json *json = &result->json;
  char other[CO_DATASET_KEY_MAX + 1];
  co_json_open(json, '{');
  co_json_key(json, "key");
  co_json_string(json, key);
  co_json_key(json, "similar");
  co_json_open(json, '[');
  co_text_printf(&result->text, "%s\n", key);
  for (int64_t i = 0; i < a->count; i++) {
    const double value = a->nearest[i].similarity;
    CO_RETURN_IF_FAILED(co_dataset_key(s->dataset, a->nearest[i].sample, other, sizeof other));
    co_json_open(json, '{');
    co_json_key(json, "key");
    co_json_string(json, other);
    co_json_key(json, s->euclidean ? "distance" : "similarity");
    co_json_double(json, s->euclidean ? -value : value);
    co_json_close(json);
    co_text_printf(&result->text, "  %5lld  %-9.6g  %s\n", (long long)i + 1,
                   s->euclidean ? -value : value, other);
  }
  co_json_close(json);
  co_json_close(json);
  return CO_OK;
}

static co_status report(searching *s, cohort_result *result) {
  co_json *json = &result->json;
  co_json_key(json, "model");
  co_json_string(json, s->predictor->path);
  co_json_key(json, "measure");
  co_json_string(json, s->euclidean ? "euclidean" : "cosine");
  co_json_key(json, "among");
  co_json_int(json, s->rows);
  co_json_key(json, "rows");
  co_json_open(json, '[');
  for (int64_t k = 0; k < s->options->key_count; k++)
    CO_RETURN_IF_FAILED(report_row(s, &s->asked[k], s->options->keys[k], result));
  co_json_close(json);
  return CO_OK;
}

static co_status check_options(searching *s) {
  const cohort_similar_options *o = s->options;
  CO_RETURN_IF_FAILED(co_require(o->model, "similar", "a model"));
  CO_RETURN_IF_FAILED(co_require(o->dataset, "similar", "a dataset"));
  if (!o->key_count)
    return co_fail(CO_ERR_USAGE, "--row KEY says which row others are compared to");
  if (o->top < 0 || o->top > MOST_NEAREST)
    return co_fail(CO_ERR_USAGE, "--top must be 1 to %d", MOST_NEAREST);
  if (o->measure && strcmp(o->measure, "cosine") != 0 && strcmp(o->measure, "euclidean") != 0) {
    co_status status = co_fail(CO_ERR_USAGE, "--measure %.100s: not understood", o->measure);
    co_hint("cosine or euclidean");
    return status;
  }
  s->euclidean = o->measure && strcmp(o->measure, "euclidean") == 0;
  s->top = o->top ? o->top : NEAREST;
  return CO_OK;
}

static co_status similar(searching *s, cohort_result *result) {
  const cohort_similar_options *o = s->options;
  const co_predictor_options predictor = {
      .model = o->model, .device = o->device, .threads = o->threads, .scores = true};
  CO_RETURN_IF_FAILED(check_options(s));
  CO_RETURN_IF_FAILED(co_arena_create(&s->arena, s->ctx));
  CO_RETURN_IF_FAILED(co_predictor_open(&s->predictor, s->ctx, &predictor));
  CO_RETURN_IF_FAILED(find_embedding(s));
  CO_RETURN_IF_FAILED(make_room(s));
  const cohort_predict_options rows = {
      .model = s->predictor->path, .dataset = o->dataset, .output = "-", .workers = o->workers};
  CO_RETURN_IF_FAILED(co_image_scoring_begin(&s->images, s->context, &rows));
  const char *dataset = s->images.arena ? s->images.options.dataset : o->dataset;
  CO_RETURN_IF_FAILED(co_dataset_open(&s->dataset, s->ctx, dataset));
  CO_RETURN_IF_FAILED(co_check_dataset(s->predictor->model, s->dataset, false));
  CO_RETURN_IF_FAILED(search(s));
  return report(s, result);
}

cohort_status cohort_similar(cohort_context *context, const cohort_similar_options *options,
                             cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  searching s = {.context = context, .ctx = context->ctx, .options = options};
  co_status status = similar(&s, *out);
  co_error error;
  co_error_copy(&error);
  co_dataset_close(s.dataset);
  co_predictor_close(s.predictor);
  co_image_scoring_end(&s.images);
  co_arena_free(s.arena);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "similar", status);
}
