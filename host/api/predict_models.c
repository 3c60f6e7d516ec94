// SPDX-License-Identifier: Apache-2.0
// The models of a scoring: one, several side by side, or an ensemble.
#include <stdio.h>
#include <string.h>

#include "datasets/source.h"
#include "host/api/predict.h"
#include "host/core/file.h"
#include "host/core/hash.h"
#include "host/eval/opening.h"

enum { MOST_MODELS = 1000 };

// ---- which -------------------------------------------------------------------------------------

static co_status add(co_model_list *list, const char *name, const char *path) {
  if (list->count == MOST_MODELS)
    return co_fail(CO_ERR_USAGE, "more than %d models in one job", (int)MOST_MODELS);
  list->names[list->count] = name;
  list->paths[list->count++] = path;
  return CO_OK;
}

// "NAME=MODEL", unless there is such a file.
static co_status split_name(co_arena *arena, const char *text, const char **name,
                            const char **path) {
  const char *equals = strchr(text, '=');
  *name = NULL;
  *path = text;
  if (!equals || equals == text || co_path_exists(text) ||
      memchr(text, '/', (size_t)(equals - text)))
    return CO_OK;
  *name = co_arena_strndup(arena, text, (size_t)(equals - text));
  *path = equals + 1;
  return *name ? CO_OK : CO_ERR_MEMORY;
}

// Of a run its folder's; of another file its own, without its ending.
static const char *default_name(co_arena *arena, const char *path) {
  size_t length = strlen(path);
  static const char own[] = "/model.h5";
  if (length > strlen(own) && co_text_ends_in(path, own)) length -= strlen(own);
  while (length && path[length - 1] == '/')
    length--;
  size_t begin = length;
  while (begin && path[begin - 1] != '/')
    begin--;
  char *name = co_arena_strndup(arena, path + begin, length - begin);
  if (name && length - begin > 3 && co_text_ends_in(name, ".h5")) name[length - begin - 3] = '\0';
  return name;
}

// The runs of an experiment: how many were added.
static co_status add_experiment(co_model_list *list, co_arena *arena, const char *path,
                                int64_t *added) {
  static const char *const kinds[] = {"fold", "seed"};
  char *description = co_arena_format(arena, "%s/experiment.json", path);
  if (!description) return CO_ERR_MEMORY;
  *added = 0;
  if (!co_path_is_directory(path) || !co_path_exists(description)) return CO_OK;
  for (int k = 0; k < 2; k++)
    for (int64_t i = 0;; i++, ++*added) {
      char *name = co_arena_format(arena, "%s-%lld", kinds[k], (long long)i);
      char *run = co_arena_format(arena, "%s/%s", path, name ? name : "");
      if (!name || !run) return CO_ERR_MEMORY;
      if (!co_path_is_directory(run)) break;
      CO_RETURN_IF_FAILED(add(list, name, run));
    }
  return CO_OK;
}

co_status co_model_name(const char **name, const char **path, co_arena *arena, const char *text) {
  CO_RETURN_IF_FAILED(split_name(arena, text, name, path));
  if (!*name) *name = default_name(arena, *path);
  return *name ? CO_OK : CO_ERR_MEMORY;
}

static co_status add_model(co_model_list *list, co_arena *arena, const char *text,
                           int64_t *experiments) {
  const char *name, *path;
  int64_t added;
  CO_RETURN_IF_FAILED(co_model_name(&name, &path, arena, text));
  CO_RETURN_IF_FAILED(add_experiment(list, arena, path, &added));
  *experiments += added > 0;
  return added ? CO_OK : add(list, name, path);
}

co_status co_model_list_check(const co_model_list *list) {
  for (int64_t i = 0; i < list->count; i++)
    for (int64_t k = 0; list->ensemble == CO_ENSEMBLE_NONE && k < i; k++)
      if (strcmp(list->names[i], list->names[k]) == 0) {
        co_status status =
            co_fail(CO_ERR_USAGE, "two models would both be called '%.200s'", list->names[i]);
        co_hint("-m champion=%.200s", list->paths[k]);
        return status;
      }
  return CO_OK;
}

static co_status choose_ensemble(co_model_list *list, const cohort_predict_options *o,
                                 int64_t experiments) {
  CO_RETURN_IF_FAILED(co_ensemble_parse(&list->ensemble, o->ensemble));
  if (list->count == 1) {
    if (!o->ensemble) return CO_OK;
    return co_fail(CO_ERR_USAGE, "--ensemble %s: there is one model only", o->ensemble);
  }
  if (experiments && !o->ensemble && o->more_model_count) {
    co_status status =
        co_fail(CO_ERR_USAGE, "an experiment's models do not stand side by side with others");
    co_hint("--ensemble mean makes one score of all of them");
    return status;
  }
  if (experiments && !o->ensemble) list->ensemble = CO_ENSEMBLE_MEAN;
  if (list->ensemble == CO_ENSEMBLE_NONE || !o->calibrated) return co_model_list_check(list);
  return co_fail(CO_ERR_USAGE,
                 "--calibrated: models are calibrated one by one, an ensemble of them is not");
}

co_status co_model_list_read(co_model_list *out, co_arena *arena, const cohort_predict_options *o) {
  int64_t experiments = 0;
  *out = (co_model_list){.names = co_arena_alloc(arena, MOST_MODELS, sizeof *out->names),
                         .paths = co_arena_alloc(arena, MOST_MODELS, sizeof *out->paths)};
  if (!out->names || !out->paths) return CO_ERR_MEMORY;
  for (int64_t i = 0; i <= o->more_model_count; i++)
    CO_RETURN_IF_FAILED(add_model(out, arena, i ? o->more_models[i - 1] : o->model, &experiments));
  for (int64_t i = 0; i < out->count; i++) { // which file is meant, once and for all
    char *found;
    CO_RETURN_IF_FAILED(co_model_file_find(&found, co_arena_context(arena), out->paths[i]));
    out->paths[i] = co_arena_strdup(arena, found);
    co_free(co_arena_context(arena), found);
    if (!out->paths[i]) return CO_ERR_MEMORY;
  }
  return choose_ensemble(out, o, experiments);
}

// ---- opening -----------------------------------------------------------------------------------

static co_status open_model(co_scoring *s, co_scored_model *m, const char *path) {
  const cohort_predict_options *o = s->options;
  const co_predictor_options predictor = {.model = path,
                                          .device = o->device,
                                          .precision = o->precision,
                                          .threads = o->threads,
                                          .autotune = o->autotune,
                                          .autotune_cache = o->autotune_cache,
                                          .batch_size = o->batch_size,
                                          .new_classes = m->new_classes};
  const char *folder = co_temporary_root(o->source.temporary_folder);
  co_model_file file;
  CO_RETURN_IF_FAILED(co_predictor_open(&m->predictor, s->ctx, &predictor));
  CO_RETURN_IF_FAILED(co_model_file_read(&file, s->arena, m->predictor->path));
  memcpy(m->weights_sha256, file.weights_sha256, sizeof m->weights_sha256);
  m->counts =
      co_arena_alloc(s->arena, (size_t)m->predictor->model->input_count + 1, sizeof *m->counts);
  if (!m->counts) return CO_ERR_MEMORY;
  // The one place where golden rows are replayed: behind it, the predictor is what it was in training.
  return co_golden_replay(&m->golden, m->predictor, folder);
}

static co_status open_together(co_scoring *s, const co_model_list *list) {
  co_predictor **members = co_arena_alloc(s->arena, (size_t)list->count, sizeof(co_predictor *));
  if (!members) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < list->count; i++)
    members[i] = s->models[i].predictor;
  s->of_model = co_arena_alloc(s->arena, (size_t)list->count, sizeof(co_dataset *));
  if (!s->of_model) return CO_ERR_MEMORY;
  if (list->count > 1) {
    CO_RETURN_IF_FAILED(
        co_ensemble_open(&s->predictor, members, list->names, list->count, list->ensemble));
    co_ensemble_set_rows(s->predictor, s->of_model);
  } else {
    s->predictor = members[0];
  }
  s->told = s->predictor->model;
  return list->ensemble == CO_ENSEMBLE_RANK_MEAN
             ? co_ensemble_rank_model(&s->told, s->arena, members, list->count)
             : CO_OK;
}

co_status co_scoring_open_models(co_scoring *s, const co_model_list *list) {
  s->ensemble = list->ensemble;
  s->models = co_arena_alloc(s->arena, (size_t)list->count, sizeof *s->models);
  if (!s->models) return CO_ERR_MEMORY;
  for (int64_t outputs = 0; s->model_count < list->count;) {
    co_scored_model *m = &s->models[s->model_count++];
    m->name = list->names[m - s->models];
    m->first_output = outputs;
    const int64_t i = m - s->models;
    m->new_classes = list->new_classes ? list->new_classes[list->dataset_of[i]] : NULL;
    CO_RETURN_IF_FAILED(open_model(s, m, list->paths[i]));
    outputs += m->predictor->model->output_count;
  }
  return open_together(s, list);
}

void co_scoring_close_models(co_scoring *s) {
  if (s->model_count > 1) co_predictor_close(s->predictor);
  for (int64_t i = 0; i < s->model_count; i++)
    co_predictor_close(s->models[i].predictor);
}

// ---- telling -----------------------------------------------------------------------------------

co_status co_scoring_hash_models(co_scoring *s) {
  co_sha256 hash;
  co_sha256_init(&hash);
  for (int64_t i = 0; i < s->model_count; i++) {
    co_scored_model *m = &s->models[i];
    CO_RETURN_IF_FAILED(co_source_hash_file(s->ctx, m->predictor->path, m->sha256));
    co_sha256_update(&hash, m->sha256, 64);
    co_sha256_update(&hash, m->name, strlen(m->name) + 1);
  }
  if (s->model_count == 1)
    memcpy(s->job.model, s->models[0].sha256, sizeof s->job.model);
  else
    co_sha256_final(&hash, s->job.model);
  return CO_OK;
}

co_status co_scoring_weights(const char **out, co_scoring *s) {
  *out = s->models[0].weights_sha256;
  for (int64_t i = 1; *out && i < s->model_count; i++)
    *out = co_arena_format(s->arena, "%s+%s", *out, s->models[i].weights_sha256);
  return *out ? CO_OK : CO_ERR_MEMORY;
}

static void add_golden(co_json *json, const co_golden_result *golden) {
  co_json_key(json, "golden");
  co_json_open(json, '{');
  co_json_key(json, "rows");
  co_json_int(json, golden->rows);
  co_json_key(json, "largest_difference");
  co_json_double(json, golden->difference);
  co_json_close(json);
}

static void report_model(const co_scored_model *m, co_json *json, co_text *text) {
  co_json_key(json, "model");
  co_json_string(json, m->predictor->path);
  add_golden(json, &m->golden);
  co_json_key(json, "preprocessing");
  co_render_input_counts(json, text, m->predictor->model, m->counts);
}

void co_scoring_report_models(co_scoring *s, co_json *json, co_text *text) {
  if (s->model_count == 1) {
    report_model(&s->models[0], json, text);
    return;
  }
  co_json_key(json, "ensemble");
  if (s->ensemble == CO_ENSEMBLE_NONE)
    co_json_null(json);
  else
    co_json_string(json, s->ensemble == CO_ENSEMBLE_MEAN ? "mean" : "rank_mean");
  co_text ignored; // the others take in the same rows
  co_text_init(&ignored, s->ctx);
  co_json_key(json, "models");
  co_json_open(json, '[');
  for (int64_t i = 0; i < s->model_count; i++) {
    co_json_open(json, '{');
    co_json_key(json, "name");
    co_json_string(json, s->models[i].name);
    report_model(&s->models[i], json, i ? &ignored : text);
    co_json_close(json);
  }
  co_json_close(json);
  co_text_free(&ignored);
}
