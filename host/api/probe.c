// SPDX-License-Identifier: Apache-2.0
// cohort_probe: all the reading that other functions do of a dataset, model or checkpoint through
// HDF5, keeping nothing of it.
#include "datasets/dataset.h"
#include "host/api/api.h"
#include "host/core/h5.h"
#include "host/eval/drift.h"
#include "host/eval/golden.h"
#include "host/persist/keras/keras.h"
#include "host/persist/model_file.h"
#include "models/model.h"

static co_status probe_dataset(co_context *ctx, const char *path) {
  co_dataset *dataset;
  CO_RETURN_IF_FAILED(co_dataset_open(&dataset, ctx, path));
  co_status status = co_dataset_load_keys(dataset); // put off by opening
  co_dataset_close(dataset);
  return status;
}

static co_status read_model(co_context *ctx, const char *path, const co_model_file *file,
                            co_diagnostics *problems) {
  co_model *model = NULL;
  co_status status = co_model_create(&model, ctx, file->config, &file->schema, problems);
  if (status == CO_OK) {
    status = co_model_file_read_fitted(ctx, path, model->fitted, model->fitted_count);
    if (status == CO_OK) status = co_model_file_check_weights(ctx, path, model->network);
    if (status == CO_OK) status = co_model_file_read_all(ctx, path, model->network);
  } else if (status == CO_ERR_CONFIG) {
    status = CO_OK; // nobody reads on, and whoever wants to says why not
  }
  co_model_free(model);
  return status;
}

// What was learned beside a network.
static co_status read_baselines(co_context *ctx, co_arena *arena, const char *path,
                                const co_model_file *file) {
  co_model_arrays arrays = {.items = NULL};
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < file->baseline_count; i++) {
    char *group = co_arena_format(arena, "%s/%s", CO_MODEL_BASELINES_GROUP, file->baselines[i]);
    status = group ? co_model_file_read_arrays(&arrays, arena, path, group) : CO_ERR_MEMORY;
  }
  co_free(ctx, arrays.items);
  return status;
}

static co_status read_golden(co_context *ctx, co_arena *arena, const char *path) {
  co_model_golden golden = {.rounding = 0};
  co_status status = co_model_file_read_golden(&golden, arena, path);
  co_golden_free(&golden, ctx);
  return status;
}

static co_status read_profile(co_context *ctx, co_arena *arena, const char *path) {
  co_model_profile profile = {.inputs = {0}};
  co_status status = co_model_file_read_profile(&profile, arena, path);
  co_model_profile_free(&profile, ctx);
  return status;
}

static co_status read_reference(co_context *ctx, co_arena *arena, const char *path) {
  co_model_arrays reference = {.count = 0};
  co_status status = co_model_file_read_reference(&reference, arena, path);
  co_free(ctx, reference.items);
  return status;
}

static co_status probe_model(cohort_context *context, const char *path) {
  co_context *ctx = context->ctx;
  co_arena *arena;
  co_diagnostics problems;
  co_model_file file;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_diagnostics_init(&problems, ctx);
  co_status status = co_model_file_read(&file, arena, path);
  if (status == CO_OK) {
    status = co_inspect_weights(ctx, path);
    if (status == CO_OK) status = read_baselines(ctx, arena, path, &file);
    if (status == CO_OK) status = read_golden(ctx, arena, path);
    if (status == CO_OK) status = read_profile(ctx, arena, path);
    if (status == CO_OK) status = read_reference(ctx, arena, path);
    if (status == CO_OK) status = read_model(ctx, path, &file, &problems);
  } else if (status == CO_ERR_MODEL && file.newer) {
    status = CO_OK; // the same: it must not pass for damaged
  }
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  return status;
}

static co_status probe_keras(co_context *ctx, const char *path) {
  const co_keras_options options = {.inputs = NULL};
  co_arena *arena;
  co_keras_model model;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_status status = co_keras_read(&model, arena, path, &options);
  co_arena_free(arena);
  // What there is no equal for could be read: whoever converts it says so.
  return status == CO_ERR_MODEL || status == CO_ERR_USAGE ? CO_OK : status;
}

static co_status probe(cohort_context *context, const char *path) {
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_require(path, "probe", "a file"));
  if (co_keras_is_archive(path)) return probe_keras(context->ctx, path);
  CO_RETURN_IF_FAILED(co_h5_open(&file, context->ctx, path, CO_ERR_DATA));
  bool model = co_h5_exists(file, "/cohort"), dataset = co_h5_has_attribute(file, "/", "format");
  bool keras = !model && co_h5_has_attribute(file, "/", "model_config");
  co_h5_abandon(file);
  if (keras) return probe_keras(context->ctx, path);
  if (dataset) return probe_dataset(context->ctx, path);
  return model ? probe_model(context, path) : CO_OK;
}

cohort_status cohort_probe(cohort_context *context, const char *path, cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  return co_result_finish(*out, "probe", probe(context, path));
}
