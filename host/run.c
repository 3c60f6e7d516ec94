// SPDX-License-Identifier: Apache-2.0
#include "host/run.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/config/config.h"
#include "host/core/hash.h"

static co_status write_named(co_context *ctx, const char *folder, const char *name,
                             const char *text) {
  char *path = co_path_join(ctx, folder, name);
  if (!path) return CO_ERR_MEMORY;
  co_status status = co_write_file_atomic(ctx, path, text, strlen(text));
  co_free(ctx, path);
  return status;
}

// JSON to block-style YAML, for people.
static co_status write_yaml(co_context *ctx, const char *folder, const char *name,
                            const char *json) {
  co_arena *arena;
  co_diagnostics problems;
  co_text text;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_diagnostics_init(&problems, ctx);
  co_text_init(&text, ctx);
  co_node *node;
  co_status status;
  CO_TRY(co_yaml_parse(&node, arena, name, json, strlen(json), &problems));
  CO_TRY(co_node_to_yaml(&text, node));
  CO_TRY(write_named(ctx, folder, name, text.data ? text.data : ""));
cleanup:
  co_text_free(&text);
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  return status;
}

static co_status fill_folder(co_context *ctx, const char *folder, const co_run_start *start) {
  char *checkpoints = co_path_join(ctx, folder, "checkpoints");
  if (!checkpoints) return CO_ERR_MEMORY;
  co_status status;
  CO_TRY(co_make_directories(ctx, checkpoints));
  CO_TRY(write_yaml(ctx, folder, "config.full.yaml", start->config_json));
  CO_TRY(write_named(ctx, folder, "config.yaml", start->config_yaml));
  if (start->command) CO_TRY(write_named(ctx, folder, "command.txt", start->command));
  CO_TRY(write_named(ctx, folder, "metrics.jsonl", ""));
cleanup:
  co_free(ctx, checkpoints);
  return status;
}

static bool is_empty_directory(const char *path) {
  DIR *directory = opendir(path);
  if (!directory) return false;
  bool empty = true;
  for (struct dirent *entry; (entry = readdir(directory));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) empty = false;
  closedir(directory);
  return empty;
}

// Best effort: the folder is a temporary of ours that was never published.
static void remove_folder(co_context *ctx, const char *folder) {
  static const char *const names[] = {"checkpoints", "config.full.yaml", "config.yaml",
                                      "command.txt", "metrics.jsonl",    "run.json"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char *path = co_path_join(ctx, folder, names[i]);
    if (path && rmdir(path) != 0) unlink(path);
    co_free(ctx, path);
  }
  rmdir(folder);
}

co_status co_run_create(co_run *run, co_context *ctx, const char *path, const co_run_start *start) {
  memset(run, 0, sizeof *run);
  run->ctx = ctx;
  run->lock = -1;
  if (co_path_exists(path) && !is_empty_directory(path)) {
    co_status taken = co_fail_at(CO_ERR_IO, path, 0, 0, "the run directory exists already");
    co_hint("continue it with --resume %s, or choose another --run-dir", path);
    return taken;
  }
  char *aside = co_format(ctx, "%s.tmp-%ld", path, (long)getpid());
  if (!aside) return CO_ERR_MEMORY;
  co_status status;
  CO_TRY(co_make_directories(ctx, aside));
  CO_TRY(fill_folder(ctx, aside, start));
  CO_TRY(co_rename(ctx, aside, path));
  CO_TRY(co_run_open(run, ctx, path));
cleanup:
  if (status != CO_OK) remove_folder(ctx, aside);
  co_free(ctx, aside);
  return status;
}

co_status co_run_open(co_run *run, co_context *ctx, const char *path) {
  memset(run, 0, sizeof *run);
  run->ctx = ctx;
  run->lock = -1;
  run->path = co_strdup(ctx, path);
  char *lock = co_path_join(ctx, path, "LOCK");
  co_status status = run->path && lock ? co_lock_file(&run->lock, ctx, lock) : CO_ERR_MEMORY;
  co_free(ctx, lock);
  if (status != CO_OK) {
    co_run_close(run);
    return status;
  }
  return CO_OK;
}

co_status co_run_start_metrics(co_run *run, int64_t metrics_bytes) {
  char *metrics = co_path_join(run->ctx, run->path, "metrics.jsonl");
  char *events = co_path_join(run->ctx, run->path, "events.jsonl");
  co_status status = metrics && events ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = co_truncate_file(run->ctx, metrics, metrics_bytes);
  if (status == CO_OK) status = co_writer_open(&run->metrics, run->ctx, metrics, true);
  if (status == CO_OK) status = co_writer_open(&run->events, run->ctx, events, true);
  co_free(run->ctx, metrics);
  co_free(run->ctx, events);
  return status;
}

void co_run_close(co_run *run) {
  if (!run->ctx) return;
  co_writer_close(run->metrics);
  co_writer_close(run->events);
  co_unlock_file(run->lock);
  co_free(run->ctx, run->path);
  memset(run, 0, sizeof *run);
  run->lock = -1;
}

char *co_run_default_path(co_context *ctx, const char *root, const char *experiment) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct tm utc;
  gmtime_r(&now.tv_sec, &utc);
  char stamp[32];
  strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &utc);
  // Six digits that two jobs started in the same second do not share.
  int64_t salt[2] = {now.tv_nsec, (int64_t)getpid()};
  uint64_t hash = co_hash64((uint64_t)now.tv_sec, salt, sizeof salt);
  return co_format(ctx, "%s/%s/%s-%06" PRIx64, root, experiment, stamp, hash & 0xffffff);
}

co_status co_run_write_metrics(co_run *run, const char *json) {
  CO_RETURN_IF_FAILED(co_writer_printf(run->metrics, "%s\n", json));
  return co_writer_flush(run->metrics);
}

co_status co_run_write_event(co_run *run, const char *event, const char *json_fields) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  CO_RETURN_IF_FAILED(co_writer_printf(run->events, "{\"time\":%lld.%03ld,\"event\":\"%s\"%s%s}\n",
                                       (long long)now.tv_sec, now.tv_nsec / 1000000, event,
                                       *json_fields ? "," : "", json_fields));
  return co_writer_flush(run->events);
}

co_status co_run_sync_metrics(co_run *run, int64_t *position) {
  CO_RETURN_IF_FAILED(co_writer_sync(run->metrics));
  *position = co_writer_position(run->metrics);
  return CO_OK;
}

co_status co_run_write_status(co_run *run, const char *json) {
  return write_named(run->ctx, run->path, "run.json", json);
}

char *co_run_checkpoint_path(co_run *run, int64_t step) {
  return co_format(run->ctx, "%s/checkpoints/step-%08" PRId64 ".h5", run->path, step);
}

// "step-00000042.h5" -> 42, anything else -> -1.
static int64_t parse_step(const char *name) {
  if (strncmp(name, "step-", 5) != 0) return -1;
  char *end;
  errno = 0;
  long long step = strtoll(name + 5, &end, 10);
  return errno == 0 && end != name + 5 && strcmp(end, ".h5") == 0 ? step : -1;
}

static int descending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? 1 : x > y ? -1 : 0;
}

// Steps that have a file, newest first; *out is owned.
static co_status list_steps(co_run *run, int64_t **out, int64_t *count) {
  *out = NULL;
  *count = 0;
  int64_t capacity = 0;
  char *folder = co_path_join(run->ctx, run->path, "checkpoints");
  if (!folder) return CO_ERR_MEMORY;
  DIR *directory = opendir(folder);
  co_free(run->ctx, folder);
  if (!directory) return CO_OK;
  co_status status = CO_OK;
  for (struct dirent *entry; status == CO_OK && (entry = readdir(directory));) {
    int64_t step = parse_step(entry->d_name);
    if (step < 0) continue;
    status = co_grow(run->ctx, (void **)out, &capacity, *count, sizeof **out);
    if (status == CO_OK) (*out)[(*count)++] = step;
  }
  closedir(directory);
  if (*count) qsort(*out, (size_t)*count, sizeof **out, descending);
  return status;
}

int64_t co_run_newest_checkpoint(co_run *run, co_status (*usable)(void *user, const char *path),
                                 void *user) {
  int64_t *steps, count, found = -1;
  if (list_steps(run, &steps, &count) != CO_OK) count = 0;
  for (int64_t i = 0; i < count && found < 0; i++) {
    char *path = co_run_checkpoint_path(run, steps[i]);
    if (path && usable(user, path) == CO_OK)
      found = steps[i];
    else
      co_log(run->ctx, CO_LOG_WARN, "resume", "checkpoint of step %lld is not usable: %s",
             (long long)steps[i], co_error_last()->message);
    co_free(run->ctx, path);
  }
  co_free(run->ctx, steps);
  return found;
}

static co_status link_checkpoint(co_run *run, const char *name, int64_t step) {
  char target[64];
  snprintf(target, sizeof target, "step-%08" PRId64 ".h5", step);
  char *path = co_format(run->ctx, "%s/checkpoints/%s", run->path, name);
  if (!path) return CO_ERR_MEMORY;
  co_status status = co_replace_symlink(run->ctx, target, path);
  co_free(run->ctx, path);
  return status;
}

co_status co_run_settle_checkpoints(co_run *run, int64_t step, int64_t best_step, int64_t keep) {
  CO_RETURN_IF_FAILED(link_checkpoint(run, "last.h5", step));
  if (best_step >= 0) CO_RETURN_IF_FAILED(link_checkpoint(run, "best.h5", best_step));
  int64_t *steps, count, kept = 0;
  co_status status = list_steps(run, &steps, &count);
  for (int64_t i = 0; status == CO_OK && i < count; i++) {
    if (steps[i] <= step && kept < keep) {
      kept++;
      continue;
    }
    if (steps[i] == best_step) continue;
    char *path = co_run_checkpoint_path(run, steps[i]);
    status = path ? co_remove_file(run->ctx, path) : CO_ERR_MEMORY;
    co_free(run->ctx, path);
  }
  co_free(run->ctx, steps);
  return status;
}
