// SPDX-License-Identifier: Apache-2.0
// Reading what a model file tells of the rows that it was trained on.
#include "host/core/h5.h"
#include "host/persist/model_file.h"

static co_status read_attributes(co_model_golden *out, co_context *ctx, const char *path,
                                 bool *there) {
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_h5_open(&file, ctx, path, CO_ERR_MODEL));
  *there = co_h5_exists(file, CO_MODEL_GOLDEN_GROUP);
  out->of_network = *there && co_h5_has_attribute(file, CO_MODEL_GOLDEN_GROUP, "of_network");
  co_status status =
      *there ? co_h5_get_double(file, CO_MODEL_GOLDEN_GROUP, "rounding", &out->rounding) : CO_OK;
  co_h5_abandon(file);
  return status;
}

co_status co_model_file_read_golden(co_model_golden *out, co_arena *arena, const char *path) {
  bool there;
  CO_RETURN_IF_FAILED(read_attributes(out, co_arena_context(arena), path, &there));
  if (!there) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_model_file_read_arrays(&out->inputs, arena, path, CO_MODEL_GOLDEN_GROUP "/inputs"));
  return co_model_file_read_arrays(&out->scores, arena, path, CO_MODEL_GOLDEN_GROUP "/scores");
}

static co_status has_group(bool *out, co_context *ctx, const char *path, const char *group) {
  co_h5 *file;
  CO_RETURN_IF_FAILED(co_h5_open(&file, ctx, path, CO_ERR_MODEL));
  *out = co_h5_exists(file, group);
  co_h5_abandon(file);
  return CO_OK;
}

co_status co_model_file_read_profile(co_model_profile *out, co_arena *arena, const char *path) {
  bool there;
  CO_RETURN_IF_FAILED(has_group(&there, co_arena_context(arena), path, CO_MODEL_PROFILE_GROUP));
  if (!there) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_model_file_read_arrays(&out->inputs, arena, path, CO_MODEL_PROFILE_GROUP "/inputs"));
  return co_model_file_read_arrays(&out->outputs, arena, path, CO_MODEL_PROFILE_GROUP "/outputs");
}

co_status co_model_file_read_reference(co_model_arrays *out, co_arena *arena, const char *path) {
  bool there;
  CO_RETURN_IF_FAILED(has_group(&there, co_arena_context(arena), path, CO_MODEL_REFERENCE_GROUP));
  return there ? co_model_file_read_arrays(out, arena, path, CO_MODEL_REFERENCE_GROUP) : CO_OK;
}
