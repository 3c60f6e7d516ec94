// SPDX-License-Identifier: Apache-2.0
#include "host/api/run_record.h"

#include "host/core/file.h"

co_status co_record_parse(co_node **out, co_arena *arena, const char *name, const char *text,
                          size_t length) {
  co_diagnostics problems;
  co_diagnostics_init(&problems, co_arena_context(arena));
  co_status status = co_yaml_parse(out, arena, name, text, length, &problems);
  if (status == CO_ERR_CONFIG || (status == CO_OK && problems.count))
    status = co_fail_at(CO_ERR_MODEL, name, 0, 0, "it is damaged: not JSON");
  co_diagnostics_free(&problems);
  return status;
}

static bool has(co_arena *arena, const char *run, const char *name) {
  const char *path = co_arena_format(arena, "%s/%s", run, name);
  return path && co_path_exists(path);
}

static void hint_experiment(co_arena *arena, const char *run, const char *verb) {
  if (has(arena, run, "folds.csv"))
    co_hint("it is an experiment: %s/experiment.json has it beside its baselines, %s/oof.csv "
            "each row's score; its runs are %s/fold-0, …",
            run, run, run);
  else if (has(arena, run, "seeds.csv"))
    co_hint("it is an experiment: %s/experiment.json has it beside its baselines; its runs are "
            "%s/seed-0, …",
            run, run);
  else
    co_hint("%s takes directories of runs", verb);
}

co_status co_record_read(co_node **out, co_arena *arena, const char *run, const char *name,
                         const char *verb) {
  char *path = co_arena_format(arena, "%s/%s", run, name);
  co_diagnostics problems;
  if (!path) return CO_ERR_MEMORY;
  *out = NULL;
  if (!co_path_exists(path)) {
    co_status status = co_fail_at(CO_ERR_MODEL, run, 0, 0, "there is no run: it lacks %s", name);
    hint_experiment(arena, run, verb);
    return status;
  }
  co_diagnostics_init(&problems, co_arena_context(arena));
  co_status status = co_yaml_read_file(out, arena, path, &problems);
  if (status == CO_ERR_CONFIG || (status == CO_OK && problems.count))
    status = co_fail_at(CO_ERR_MODEL, path, 0, 0, "it is damaged");
  co_diagnostics_free(&problems);
  return status;
}
