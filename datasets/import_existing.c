// SPDX-License-Identifier: Apache-2.0
#include "datasets/import_existing.h"

#include <stdio.h>
#include <string.h>

#include "host/core/h5.h"

static co_status is_made_by(bool *out, co_context *ctx, const char *path, const char *recipe) {
  co_h5 *h5 = NULL;
  co_arena *arena = NULL;
  char *found = NULL;
  co_status status = CO_OK;
  CO_TRY(co_arena_create(&arena, ctx));
  CO_TRY(co_h5_open(&h5, ctx, path, CO_ERR_DATA));
  if (co_h5_exists(h5, "/source") && co_h5_has_attribute(h5, "/source", "recipe"))
    CO_TRY(co_h5_get_string(h5, "/source", "recipe", arena, &found));
  *out = found && !strcmp(found, recipe);

cleanup:
  co_h5_abandon(h5);
  co_arena_free(arena);
  return status;
}

static co_status describe(co_existing *out, co_context *ctx, const char *path) {
  co_dataset *d;
  const int64_t *rows;
  CO_RETURN_IF_FAILED(co_dataset_open(&d, ctx, path));
  co_status status = co_dataset_check_all(d);
  for (int s = 0; s < CO_SPLIT_COUNT; s++)
    co_dataset_split(d, (co_split)s, &rows, &out->rows[s]);
  snprintf(out->fingerprint, sizeof out->fingerprint, "%s", co_dataset_fingerprint(d));
  out->up_to_date = status == CO_OK;
  co_dataset_close(d);
  return status;
}

void co_import_warn_damaged(co_context *ctx, const char *path) {
  co_log(ctx, CO_LOG_WARN, "import", "'%s' is damaged (%s); it is made again", path,
         co_error_last()->message);
}

co_status co_import_refuse_existing(const char *path, co_status status) {
  if (status == CO_ERR_MEMORY) return status;
  status =
      co_fail_at(CO_ERR_IO, path, 0, 0,
                 status == CO_OK ? "the file exists and was not made from these inputs and options"
                                 : "the file exists and cannot be read");
  co_hint("choose another output, or replace it with --force");
  return status;
}

co_status co_import_check_existing(co_existing *out, co_context *ctx, const char *path,
                                   const char *recipe) {
  bool same = false;
  *out = (co_existing){.up_to_date = false};
  co_status status = is_made_by(&same, ctx, path, recipe);
  if (status == CO_OK && same) {
    status = describe(out, ctx, path);
    if (status != CO_ERR_DATA) return status;
    co_import_warn_damaged(ctx, path);
    return CO_OK;
  }
  return co_import_refuse_existing(path, status);
}
