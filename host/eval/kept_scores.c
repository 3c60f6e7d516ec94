// SPDX-License-Identifier: Apache-2.0
#include "host/eval/kept_scores.h"

#include <string.h>

#include "host/core/file.h"
#include "host/core/h5.h"

#define KIND "scores"
#define FORMAT "cohort-kept-scores"
enum { QUALITIES = 4 };

typedef struct kept {
  const co_model *model;
  co_arena *arena;
  co_h5 *file;
} kept;

bool co_kept_scores_fit(const co_evaluation *e) {
  double bytes = 0;
  for (int64_t i = 0; i < e->model->output_count; i++)
    bytes += (double)e->scores[i].count * (double)(32 + 4 * co_scores_kept(&e->scores[i]));
  return bytes <= CO_MOST_KEPT_BYTES;
}

static const char *path_of(const kept *k, int64_t output, const char *name) {
  return co_arena_format(k->arena, "/scores/%s/%s", k->model->outputs[output].name, name);
}

// ---- writing -----------------------------------------------------------------------------------

static co_status write_array(kept *k, const char *path, co_dtype dtype, co_shape shape,
                             const void *values) {
  return path ? co_h5_write(k->file, path, dtype, &shape, values, NULL, false) : CO_ERR_MEMORY;
}

static co_status write_output(kept *k, int64_t output, const co_scores *s) {
  const co_shape rows = co_shape_make(1, s->count);
  CO_RETURN_IF_FAILED(write_array(k, path_of(k, output, "row"), CO_I64, rows, s->sample));
  CO_RETURN_IF_FAILED(write_array(k, path_of(k, output, "target"), CO_F64, rows, s->target));
  CO_RETURN_IF_FAILED(write_array(k, path_of(k, output, "weight"), CO_F64, rows, s->weight));
  CO_RETURN_IF_FAILED(write_array(k, path_of(k, output, "score"), CO_F32,
                                  co_shape_make(2, s->count, co_scores_kept(s)), s->score));
  bool units = s->kept != CO_KEPT_SCORES;
  for (int64_t i = 0; !units && i < s->count; i++)
    units = s->unit[i] != i;
  return units ? write_array(k, path_of(k, output, "unit"), CO_I64, rows, s->unit) : CO_OK;
}

static co_status write_quality(kept *k, int64_t output, const co_image_quality *q) {
  const double sums[QUALITIES] = {q->weight, q->squared, q->absolute, q->structure};
  return write_array(k, path_of(k, output, "quality"), CO_F64, co_shape_make(1, QUALITIES), sums);
}

static co_status write_content(kept *k, const co_evaluation *e, const co_scores_identity *id) {
  const co_graph *network = k->model->network;
  CO_RETURN_IF_FAILED(co_h5_set_string(k->file, "/", "format", FORMAT));
  CO_RETURN_IF_FAILED(co_h5_set_int(k->file, "/", "version", CO_KEPT_SCORES_VERSION));
  CO_RETURN_IF_FAILED(co_h5_set_string(k->file, "/", "split", id->split));
  CO_RETURN_IF_FAILED(
      co_h5_set_string(k->file, "/", "dataset_fingerprint", id->dataset_fingerprint));
  CO_RETURN_IF_FAILED(co_h5_set_string(k->file, "/", "weights_sha256", id->weights_sha256));
  CO_RETURN_IF_FAILED(co_h5_set_int(k->file, "/", "rows", e->rows));
  CO_RETURN_IF_FAILED(
      write_array(k, "/sums", CO_F64, co_shape_make(1, network->metric_doubles), e->sums));
  CO_RETURN_IF_FAILED(
      write_array(k, "/weight_sums", CO_F64, co_shape_make(1, network->loss_count), e->weight_sum));
  for (int64_t i = 0; i < k->model->output_count; i++) {
    if (e->scores[i].ctx) CO_RETURN_IF_FAILED(write_output(k, i, &e->scores[i]));
    if (e->quality[i].ctx) CO_RETURN_IF_FAILED(write_quality(k, i, &e->quality[i]));
  }
  return CO_OK;
}

co_status co_kept_scores_write(const co_evaluation *e, const char *path,
                               const co_scores_identity *identity) {
  co_context *ctx = e->model->ctx;
  co_atomic_file atomic = {0};
  kept k = {.model = e->model};
  co_status status;
  CO_TRY(co_atomic_begin(&atomic, ctx, path));
  CO_TRY(co_arena_create(&k.arena, ctx));
  CO_TRY(co_h5_create_checked(&k.file, ctx, atomic.temporary, KIND, 0));
  CO_TRY(write_content(&k, e, identity));
  status = co_h5_close(k.file);
  k.file = NULL;
  if (status == CO_OK) status = co_atomic_commit(&atomic);
cleanup:
  co_h5_abandon(k.file);
  co_atomic_abort(&atomic);
  co_arena_free(k.arena);
  return status;
}

// ---- reading -----------------------------------------------------------------------------------

static co_status damaged(const kept *k) {
  return co_fail_at(CO_ERR_MODEL, co_h5_path(k->file), 0, 0,
                    "it is damaged, or of another model than lies beside it");
}

static co_status read_array(kept *k, const char *path, co_dtype dtype, co_shape shape, void *out) {
  co_h5_info info;
  if (!path) return CO_ERR_MEMORY;
  if (!co_h5_exists(k->file, path)) return damaged(k);
  CO_RETURN_IF_FAILED(co_h5_get_info(k->file, path, &info));
  if (info.is_group || info.is_string || !co_shape_equal(&info.shape, &shape)) return damaged(k);
  return co_h5_read(k->file, path, dtype, &shape, out);
}

static co_status read_output(kept *k, co_evaluation *e, int64_t output) {
  co_scores *s = &e->scores[output];
  co_h5_info info;
  const char *path = path_of(k, output, "row");
  if (!path) return CO_ERR_MEMORY;
  if (!co_h5_exists(k->file, path)) return damaged(k);
  CO_RETURN_IF_FAILED(co_h5_get_info(k->file, path, &info));
  const int64_t count = info.shape.dim[0];
  if (info.shape.rank != 1 || count < 0 || count > e->rows) return damaged(k);
  CO_RETURN_IF_FAILED(co_evaluation_make_room(e, output, count));
  const co_shape rows = co_shape_make(1, count);
  s->count = count;
  CO_RETURN_IF_FAILED(read_array(k, path, CO_I64, rows, s->sample));
  CO_RETURN_IF_FAILED(read_array(k, path_of(k, output, "target"), CO_F64, rows, s->target));
  CO_RETURN_IF_FAILED(read_array(k, path_of(k, output, "weight"), CO_F64, rows, s->weight));
  CO_RETURN_IF_FAILED(read_array(k, path_of(k, output, "score"), CO_F32,
                                 co_shape_make(2, count, co_scores_kept(s)), s->score));
  for (int64_t i = 0; i < count; i++)
    s->unit[i] = i;
  if (!(path = path_of(k, output, "unit"))) return CO_ERR_MEMORY;
  if (s->kept != CO_KEPT_SCORES || co_h5_exists(k->file, path))
    CO_RETURN_IF_FAILED(read_array(k, path, CO_I64, rows, s->unit));
  return co_scores_are_sound(s) ? CO_OK : damaged(k);
}

static co_status read_quality(kept *k, co_evaluation *e, int64_t output) {
  double sums[QUALITIES];
  const char *path = path_of(k, output, "quality");
  CO_RETURN_IF_FAILED(co_evaluation_make_quality(e, output));
  co_image_quality *q = &e->quality[output];
  if (!q->ctx) return CO_OK;
  CO_RETURN_IF_FAILED(read_array(k, path, CO_F64, co_shape_make(1, QUALITIES), sums));
  q->weight = sums[0];
  q->squared = sums[1];
  q->absolute = sums[2];
  q->structure = sums[3];
  return CO_OK;
}

static co_status is_attribute(kept *k, const char *name, const char *wanted, bool *same) {
  char *text;
  if (!co_h5_has_attribute(k->file, "/", name)) return damaged(k);
  CO_RETURN_IF_FAILED(co_h5_get_string(k->file, "/", name, k->arena, &text));
  *same = *same && strcmp(text, wanted) == 0;
  return CO_OK;
}

static co_status identify(kept *k, const co_scores_identity *id, co_kept_state *state) {
  int64_t version;
  bool same = true;
  CO_RETURN_IF_FAILED(is_attribute(k, "format", FORMAT, &same));
  CO_RETURN_IF_FAILED(co_h5_get_int(k->file, "/", "version", &version));
  if (same && version != CO_KEPT_SCORES_VERSION) {
    *state = CO_KEPT_OTHER_VERSION;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(is_attribute(k, "split", id->split, &same));
  CO_RETURN_IF_FAILED(is_attribute(k, "dataset_fingerprint", id->dataset_fingerprint, &same));
  CO_RETURN_IF_FAILED(is_attribute(k, "weights_sha256", id->weights_sha256, &same));
  if (same) *state = CO_KEPT_FOUND;
  return CO_OK;
}

static co_status read_content(kept *k, co_evaluation *e) {
  const co_graph *network = k->model->network;
  CO_RETURN_IF_FAILED(co_h5_get_int(k->file, "/", "rows", &e->rows));
  CO_RETURN_IF_FAILED(
      read_array(k, "/sums", CO_F64, co_shape_make(1, network->metric_doubles), e->sums));
  CO_RETURN_IF_FAILED(
      read_array(k, "/weight_sums", CO_F64, co_shape_make(1, network->loss_count), e->weight_sum));
  for (int64_t i = 0; i < k->model->output_count; i++) {
    if (e->collects[i]) CO_RETURN_IF_FAILED(read_output(k, e, i));
    CO_RETURN_IF_FAILED(read_quality(k, e, i));
  }
  return co_evaluation_measure_all(e);
}

co_status co_kept_scores_read(co_evaluation *e, const char *path,
                              const co_scores_identity *identity, co_kept_state *state) {
  kept k = {.model = e->model};
  co_status status = CO_OK;
  *state = CO_KEPT_NONE;
  if (!co_path_exists(path)) return CO_OK;
  if (!co_h5_is_kind(path, KIND))
    return co_fail_at(CO_ERR_MODEL, path, 0, 0, "it is damaged: no file of scores");
  CO_TRY(co_arena_create(&k.arena, e->model->ctx));
  CO_TRY(co_h5_open(&k.file, e->model->ctx, path, CO_ERR_MODEL));
  CO_TRY(identify(&k, identity, state));
  if (*state == CO_KEPT_FOUND) CO_TRY(read_content(&k, e));
cleanup:
  co_h5_abandon(k.file);
  co_arena_free(k.arena);
  return status;
}
