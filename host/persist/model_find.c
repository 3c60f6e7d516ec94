// SPDX-License-Identifier: Apache-2.0
// Which file is meant by a run's folder, or a folder of runs.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/file.h"
#include "host/persist/model_file.h"

// Of a folder of runs the one that was done last (co_run_mark_latest), by its own name: where the link
// leads later changes nothing.
static co_status find_latest(char **out, bool *found, co_context *ctx, const char *path) {
  char target[256];
  char *link = co_path_join(ctx, path, "latest");
  if (!link) return CO_ERR_MEMORY;
  ssize_t length = readlink(link, target, sizeof target - 1);
  co_free(ctx, link);
  *found = length > 0;
  if (!*found) return CO_OK;
  target[length] = '\0';
  char *run = strchr(target, '/') ? NULL : co_path_join(ctx, path, target);
  if (!run)
    return *target ? co_fail_at(CO_ERR_MODEL, path, 0, 0, "'latest' leads elsewhere")
                   : CO_ERR_MEMORY;
  co_status status = co_model_file_find(out, ctx, run);
  co_free(ctx, run);
  return status;
}

co_status co_model_file_find(char **out, co_context *ctx, const char *path) {
  *out = NULL;
  if (!co_path_exists(path))
    return co_fail_at(CO_ERR_MODEL, path, 0, 0, "no such run directory or model file");
  if (!co_path_is_directory(path)) {
    *out = co_strdup(ctx, path);
    return *out ? CO_OK : CO_ERR_MEMORY;
  }
  static const char *const candidates[] = {"model.h5", "checkpoints/last.h5"};
  for (int i = 0; i < 2; i++) {
    char *file = co_path_join(ctx, path, candidates[i]);
    if (!file) return CO_ERR_MEMORY;
    if (co_path_exists(file)) {
      *out = file;
      return CO_OK;
    }
    co_free(ctx, file);
  }
  bool found;
  CO_RETURN_IF_FAILED(find_latest(out, &found, ctx, path));
  if (found) return CO_OK;
  char *fold = co_path_join(ctx, path, "fold-0");
  if (!fold) return CO_ERR_MEMORY;
  bool folds = co_path_is_directory(fold);
  co_free(ctx, fold);
  co_status status =
      co_fail_at(CO_ERR_MODEL, path, 0, 0, "%s",
                 folds ? "an experiment has a model for each of its folds"
                       : "this folder holds no model.h5 and no checkpoint; is it a run directory?");
  if (folds) co_hint("give the run of a fold: %s/fold-0, …", path);
  return status;
}

co_status co_model_file_find_and_read(co_model_file *out, const char **absolute, co_arena *arena,
                                      const char *path) {
  char *found;
  CO_RETURN_IF_FAILED(co_model_file_find(&found, co_arena_context(arena), path));
  char *real = realpath(found, NULL);
  *absolute = co_arena_strdup(arena, real ? real : found);
  free(real);
  co_free(co_arena_context(arena), found);
  return *absolute ? co_model_file_read(out, arena, *absolute) : CO_ERR_MEMORY;
}
