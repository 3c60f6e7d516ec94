// SPDX-License-Identifier: Apache-2.0
// The ways in which a GPU's libraries compute a training's operations: chosen by their times, and kept in
// the run, which is resumed with them.
#include <string.h>

#include "host/core/file.h"
#include "host/device/backend.h"
#include "host/train/session_private.h"

static co_status read_choices(co_session *t, co_autotune mode) {
  const char *cache = t->options->autotune_cache;
  bool goes_on = t->resumed && mode == CO_AUTOTUNE_AUTO;
  char *run = co_path_join(t->ctx, t->run_path, CO_RUN_CHOICES);
  if (!run) return CO_ERR_MEMORY;
  co_status status = co_choices_create(&t->choices, t->ctx, goes_on ? 0 : CO_AUTOTUNE_SECONDS,
                                       mode == CO_AUTOTUNE_AGAIN);
  if (status == CO_OK && goes_on) status = co_choices_read_run(t->choices, run, false);
  if (status == CO_OK && !goes_on && cache) status = co_choices_read_cache(t->choices, cache);
  co_free(t->ctx, run);
  return status;
}

co_status co_session_open_backend(co_session *t, const char *device) {
  co_autotune mode;
  CO_RETURN_IF_FAILED(co_autotune_parse(&mode, t->options->autotune));
  if (mode != CO_AUTOTUNE_OFF && !t->options->dry_run) CO_RETURN_IF_FAILED(read_choices(t, mode));
  const co_backend_options options = {.threads = t->threads,
                                      .strict_f32 = t->settings.precision == CO_PRECISION_F32,
                                      .ways = co_choices_ways(t->choices)};
  return co_backend_open_device(&t->backend, t->ctx, device, &options);
}

co_status co_session_keep_choices(co_session *t) {
  static const co_op_chosen kinds[] = {CO_CHOSEN_TUNED, CO_CHOSEN_CACHED, CO_CHOSEN_PINNED,
                                       CO_CHOSEN_HEURISTIC};
  long long counts[4], all = 0;
  if (!t->choices) return CO_OK;
  for (int i = 0; i < 4; i++)
    all += counts[i] = (long long)co_choices_count(t->choices, kinds[i]);
  if (!all) return CO_OK;
  co_log(t->ctx, CO_LOG_INFO, "autotune",
         "of %lld operations of the GPU's libraries %lld were timed, %lld are from the cache, %lld "
         "from "
         "the run, and %lld in the libraries' first way",
         all, counts[0], counts[1], counts[2], counts[3]);
  const char *cache = t->options->autotune_cache;
  if (!cache || co_choices_write_cache(t->choices, cache) == CO_OK) return CO_OK;
  co_log(t->ctx, CO_LOG_WARN, "autotune", "the next training times them anew: %s",
         co_error_last()->message);
  co_error_clear();
  return CO_OK;
}
