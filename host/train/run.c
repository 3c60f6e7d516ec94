// SPDX-License-Identifier: Apache-2.0
#include "host/train/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/config/config.h"
#include "host/core/hash.h"
#include "host/core/temporary.h"
#include "host/eval/kept_scores.h"

enum { MAX_CONFIG = 1 << 24 };

// ---- names of checkpoints ----------------------------------------------------------------------

enum { NAME_BYTES = 40 };
static const char *const prefixes[] = {"stop", "step"};

static void name_checkpoint(char out[NAME_BYTES], int64_t step, bool scheduled) {
  snprintf(out, NAME_BYTES, "%s-%08" PRId64 ".h5", prefixes[scheduled], step);
}

typedef struct checkpoint {
  int64_t step;
  bool scheduled;
} checkpoint;

static bool parse_checkpoint(const char *name, checkpoint *out) {
  char again[NAME_BYTES];
  if (strlen(name) < 5) return false;
  for (int scheduled = 0; scheduled < 2; scheduled++) {
    if (strncmp(name, prefixes[scheduled], 4) != 0) continue;
    *out = (checkpoint){strtoll(name + 5, NULL, 10), scheduled};
    name_checkpoint(again, out->step, scheduled);
    return out->step >= 0 && strcmp(again, name) == 0;
  }
  return false;
}

// ---- the folder --------------------------------------------------------------------------------

static co_status write_named(co_context *ctx, const char *folder, const char *name,
                             const char *text) {
  char *path = co_path_join(ctx, folder, name);
  if (!path) return CO_ERR_MEMORY;
  co_status status = co_write_file_atomic(ctx, path, text, strlen(text));
  co_free(ctx, path);
  return status;
}

// JSON to block-style YAML, for people.
static co_status to_yaml(co_text *out, co_context *ctx, const char *json) {
  co_arena *arena;
  co_diagnostics problems;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_diagnostics_init(&problems, ctx);
  co_node *node;
  co_status status;
  CO_TRY(co_yaml_parse(&node, arena, "config", json, strlen(json), &problems));
  CO_TRY(co_node_to_yaml(out, node));
cleanup:
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  return status;
}

static co_status write_yaml(co_context *ctx, const char *folder, const char *name,
                            const char *json) {
  co_text text;
  co_text_init(&text, ctx);
  co_status status = to_yaml(&text, ctx, json);
  if (status == CO_OK) status = write_named(ctx, folder, name, text.data ? text.data : "");
  co_text_free(&text);
  return status;
}

static co_status move_dataset(co_context *ctx, const char *folder, const char *from) {
  char *path = co_path_join(ctx, folder, "dataset.h5");
  co_status status = path ? co_rename(ctx, from, path) : CO_ERR_MEMORY;
  co_free(ctx, path);
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
  CO_TRY(write_named(ctx, folder, "run.json", start->status));
  if (start->choices) CO_TRY(write_named(ctx, folder, "autotune.tsv", start->choices));
  if (start->dataset) CO_TRY(move_dataset(ctx, folder, start->dataset));
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

co_status co_run_check_free(co_context *ctx, const char *path) {
  struct stat info;
  co_status status;
  if (lstat(path, &info) != 0 || is_empty_directory(path)) return CO_OK;
  if (!co_path_is_directory(path)) {
    status = co_fail_at(CO_ERR_IO, path, 0, 0, "the run directory's name is that of a file");
    co_hint("choose another --run-dir");
    return status;
  }
  char *config = co_path_join(ctx, path, "config.full.yaml");
  if (!config) return CO_ERR_MEMORY;
  bool run = co_path_exists(config);
  co_free(ctx, config);
  status = co_fail_at(CO_ERR_IO, path, 0, 0,
                      run ? "the run directory exists already"
                          : "the run directory exists already, and holds something else");
  if (run)
    co_hint("continue it with --resume %s, or choose another --run-dir", path);
  else
    co_hint("choose another --run-dir");
  return status;
}

// ---- the folder in the making ------------------------------------------------------------------
// It is prepared aside, as a temporary folder that is in use as long as its LOCK is taken, and which
// becomes the run's LOCK with it.

static const char *const made_first[] = {"config.full.yaml", "config.yaml", "command.txt",
                                         "metrics.jsonl",    "run.json",    "dataset.h5",
                                         "autotune.tsv",     "LOCK"};
enum { MADE_FIRST = sizeof made_first / sizeof *made_first };

static bool is_made_first(void *user, const char *name) {
  (void)user;
  for (int i = 0; i < MADE_FIRST; i++)
    if (strcmp(name, made_first[i]) == 0) return true;
  return false;
}

// Takes away what fill_folder makes, and the folder, unless something else is in it.
static void remove_aside(co_context *ctx, const char *folder) {
  static const char *const names[] = {"checkpoints", ""};
  co_remove_stale_temporaries_in(folder, is_made_first, NULL);
  for (int i = 0; i < MADE_FIRST; i++) {
    char *path = co_path_join(ctx, folder, made_first[i]);
    if (path) unlink(path);
    co_free(ctx, path);
  }
  for (int i = 0; i < 2; i++) {
    char *path = co_path_join(ctx, folder, names[i]);
    if (path) rmdir(path);
    co_free(ctx, path);
  }
}

typedef struct aside_search {
  co_context *ctx;
  const char *name, *path; // the run's: within its folder, and whole
} aside_search;

static bool is_aside(void *user, const char *name) {
  return strcmp(name, ((const aside_search *)user)->name) == 0;
}

static void remove_abandoned(void *user, const co_temporary *found) {
  const aside_search *s = user;
  struct stat info;
  if (fstatat(found->folder, found->name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISDIR(info.st_mode))
    return;
  char *folder = co_format(s->ctx, "%.*s%s", (int)(s->name - s->path), s->path, found->name);
  char *lock = folder ? co_path_join(s->ctx, folder, "LOCK") : NULL;
  // Without a LOCK it is at its very beginning, or its end: then it is as good as empty.
  if (lock && (co_temporary_is_abandoned(AT_FDCWD, lock) ||
               (!co_path_exists(lock) && kill(found->pid, 0) == -1 && errno == ESRCH)))
    remove_aside(s->ctx, folder);
  co_free(s->ctx, lock);
  co_free(s->ctx, folder);
}

static void remove_abandoned_asides(co_context *ctx, const char *path) {
  const char *slash = strrchr(path, '/');
  aside_search s = {.ctx = ctx, .name = slash ? slash + 1 : path, .path = path};
  char *folder =
      slash ? co_format(ctx, "%.*s", (int)(slash - path) + 1, path) : co_strdup(ctx, ".");
  if (folder) co_temporary_visit(folder, is_aside, remove_abandoned, &s);
  co_free(ctx, folder);
}

static co_status lock_run(co_run *run, const char *folder) {
  char *lock = co_path_join(run->ctx, folder, "LOCK");
  co_status status = lock ? co_lock_file(&run->lock, run->ctx, lock, "another run has this folder")
                          : CO_ERR_MEMORY;
  co_free(run->ctx, lock);
  return status;
}

static co_status begin_run(co_run *run, co_context *ctx, const char *path) {
  memset(run, 0, sizeof *run);
  run->ctx = ctx;
  run->lock = -1;
  run->path = co_strdup(ctx, path);
  return run->path ? CO_OK : CO_ERR_MEMORY;
}

// The name becomes the run's, unless another process was faster.
static co_status publish(co_run *run, const char *aside, const char *target) {
  co_status status = co_rename(run->ctx, aside, target);
  if (status == CO_OK || !co_path_exists(aside) || !co_path_exists(target) ||
      is_empty_directory(target))
    return status;
  status = co_fail_at(CO_ERR_IO, run->path, 0, 0, "another run has this folder since a moment ago");
  co_hint("choose another --run-dir");
  return status;
}

co_status co_run_create(co_run *run, co_context *ctx, const char *path, const co_run_start *start) {
  struct stat info;
  bool linked = lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
  char *aside = NULL, *real = linked ? realpath(path, NULL) : NULL;
  const char *target = real ? real : path;
  co_status status;
  CO_TRY(begin_run(run, ctx, path));
  CO_TRY(co_run_check_free(ctx, path));
  remove_abandoned_asides(ctx, target);
  aside = co_temporary_name(ctx, target);
  if (!aside) {
    status = CO_ERR_MEMORY;
    goto cleanup;
  }
  CO_TRY(co_make_directories(ctx, aside));
  CO_TRY(lock_run(run, aside));
  CO_TRY(fill_folder(ctx, aside, start));
  CO_TRY(publish(run, aside, target));
cleanup:
  if (status != CO_OK) {
    if (aside) remove_aside(ctx, aside);
    co_run_close(run);
  }
  free(real);
  co_free(ctx, aside);
  return status;
}

// The names under which a run writes: what it may clean up after itself.
static bool is_own_name(void *user, const char *name) {
  return is_made_first(user, name) || strcmp(name, "model.h5") == 0 ||
         strcmp(name, CO_SCORES_FILE) == 0;
}

static bool is_own_checkpoint(void *user, const char *name) {
  checkpoint ignored;
  (void)user;
  return parse_checkpoint(name, &ignored) || strcmp(name, "last.h5") == 0 ||
         strcmp(name, "best.h5") == 0;
}

co_status co_run_open(co_run *run, co_context *ctx, const char *path) {
  co_status status = begin_run(run, ctx, path);
  if (status == CO_OK) status = lock_run(run, path);
  char *checkpoints = status == CO_OK ? co_path_join(ctx, path, "checkpoints") : NULL;
  if (status == CO_OK && !checkpoints) status = CO_ERR_MEMORY;
  if (status != CO_OK) {
    co_run_close(run);
    return status;
  }
  co_remove_stale_temporaries_in(path, is_own_name, NULL);
  co_remove_stale_temporaries_in(checkpoints, is_own_checkpoint, NULL);
  co_free(ctx, checkpoints);
  return CO_OK;
}

co_status co_run_config_differs(co_run *run, const char *config_json, bool *differs) {
  char *path = co_path_join(run->ctx, run->path, "config.full.yaml"), *stored = NULL;
  co_text text;
  co_text_init(&text, run->ctx);
  co_status status = path ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK)
    status = co_read_file(run->ctx, path, MAX_CONFIG, CO_ERR_MODEL, &stored, NULL);
  if (status == CO_OK) status = to_yaml(&text, run->ctx, config_json);
  if (status == CO_OK) *differs = strcmp(stored, text.data ? text.data : "") != 0;
  co_text_free(&text);
  co_free(run->ctx, stored);
  co_free(run->ctx, path);
  return status;
}

// Cutting must not lengthen: what a checkpoint counts on was on the disk before it.
static co_status check_length(const char *path, int64_t at_least) {
  struct stat info;
  int64_t length = stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
  if (length >= at_least) return CO_OK;
  return co_fail_at(CO_ERR_MODEL, path, 0, 0,
                    "it has %lld bytes, but the checkpoint was written after %lld",
                    (long long)length, (long long)at_least);
}

static void close_streams(co_run *run) {
  co_writer_close(run->metrics);
  co_writer_close(run->events);
  run->metrics = run->events = NULL;
  for (int i = 0; i < CO_TB_COUNT; i++) {
    co_writer_close(run->tb[i]);
    run->tb[i] = NULL;
  }
}

static co_status open_tb(co_run *run, int64_t step) {
  static const char *const folders[CO_TB_COUNT] = {"tb/train", "tb/validation", "tb"};
  co_status status = CO_OK;
  for (int i = 0; status == CO_OK && i < CO_TB_COUNT; i++) {
    char *folder = co_path_join(run->ctx, run->path, folders[i]);
    const int64_t kept = i == CO_TB_RUN ? -1 : step;
    status = folder ? co_events_open(&run->tb[i], run->ctx, folder, kept) : CO_ERR_MEMORY;
    co_free(run->ctx, folder);
  }
  return status;
}

co_status co_run_start_metrics(co_run *run, int64_t metrics_bytes, int64_t step) {
  char *metrics = co_path_join(run->ctx, run->path, "metrics.jsonl");
  char *events = co_path_join(run->ctx, run->path, "events.jsonl");
  char *checkpoints = co_path_join(run->ctx, run->path, "checkpoints");
  co_status status = metrics && events && checkpoints ? CO_OK : CO_ERR_MEMORY;
  close_streams(run); // of a run that goes back
  if (status == CO_OK) status = co_make_directories(run->ctx, checkpoints); // if it was deleted
  if (status == CO_OK) status = check_length(metrics, metrics_bytes);
  if (status == CO_OK) status = co_truncate_file(run->ctx, metrics, metrics_bytes);
  if (status == CO_OK) status = co_writer_open(&run->metrics, run->ctx, metrics, true);
  if (status == CO_OK) status = co_writer_open(&run->events, run->ctx, events, true);
  if (status == CO_OK) status = open_tb(run, step);
  co_free(run->ctx, metrics);
  co_free(run->ctx, events);
  co_free(run->ctx, checkpoints);
  return status;
}

void co_run_close(co_run *run) {
  if (!run->ctx) return;
  close_streams(run);
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

// As co_run_default_path names folders: 20260131-235959-0a1b2c.
static bool has_default_name(const char *name) {
  static const char form[] = "dddddddd-dddddd-xxxxxx";
  if (strlen(name) != sizeof form - 1) return false;
  for (size_t i = 0; form[i]; i++) {
    const char *set = form[i] == 'd' ? "0123456789" : form[i] == 'x' ? "0123456789abcdef" : "-";
    if (!strchr(set, name[i])) return false;
  }
  return true;
}

void co_run_mark_latest(co_context *ctx, const char *path) {
  struct stat info;
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  if (!has_default_name(name)) return;
  char *link = co_format(ctx, "%.*slatest", (int)(name - path), path);
  co_status status = link ? CO_OK : CO_ERR_MEMORY;
  bool ours = link && (lstat(link, &info) != 0 || S_ISLNK(info.st_mode));
  if (ours) status = co_replace_symlink(ctx, name, link);
  if (link && (!ours || status != CO_OK))
    co_log(ctx, CO_LOG_WARN, "run", "'%s' is not moved: %s", link,
           ours ? co_error_last()->message : "it is no link");
  if (status != CO_OK) co_error_clear();
  co_free(ctx, link);
}

co_status co_run_write_metrics(co_run *run, const char *json) {
  CO_RETURN_IF_FAILED(co_writer_printf(run->metrics, "%s\n", json));
  return co_writer_flush(run->metrics);
}

co_status co_run_write_summary(co_run *run, co_tb folder, int64_t step, co_text *summary) {
  return co_events_add(run->tb[folder], run->ctx, step, summary);
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

co_status co_run_write_choices(co_run *run, const char *text) {
  return write_named(run->ctx, run->path, "autotune.tsv", text);
}

char *co_run_samples_path(co_context *ctx, const char *run, int64_t step) {
  return co_format(ctx, "%s/samples/step-%08lld.png", run, (long long)step);
}

co_status co_run_write_samples(co_run *run, int64_t step, const void *bytes, size_t length) {
  char *folder = co_path_join(run->ctx, run->path, "samples");
  char *path = co_run_samples_path(run->ctx, run->path, step);
  co_status status = folder && path ? co_make_directories(run->ctx, folder) : CO_ERR_MEMORY;
  if (status == CO_OK) status = co_write_file_atomic(run->ctx, path, bytes, length);
  co_free(run->ctx, folder);
  co_free(run->ctx, path);
  return status;
}

// ---- checkpoints -------------------------------------------------------------------------------

char *co_run_checkpoint_path(co_run *run, int64_t step, bool scheduled) {
  char name[NAME_BYTES];
  name_checkpoint(name, step, scheduled);
  return co_format(run->ctx, "%s/checkpoints/%s", run->path, name);
}

static int descending(const void *a, const void *b) {
  const checkpoint *x = a, *y = b;
  if (x->step != y->step) return x->step < y->step ? 1 : -1;
  return x->scheduled < y->scheduled ? 1 : x->scheduled > y->scheduled ? -1 : 0;
}

// The checkpoints that have a file, newest first; *out is owned.
static co_status list_checkpoints(co_run *run, checkpoint **out, int64_t *count) {
  *out = NULL;
  *count = 0;
  int64_t capacity = 0;
  char *folder = co_path_join(run->ctx, run->path, "checkpoints");
  if (!folder) return CO_ERR_MEMORY;
  DIR *directory = opendir(folder);
  co_status status = CO_OK;
  if (!directory && errno != ENOENT)
    status = co_fail_errno(CO_ERR_IO, errno, "cannot read the folder '%s'", folder);
  for (struct dirent *entry; directory && status == CO_OK && (entry = readdir(directory));) {
    checkpoint found;
    if (!parse_checkpoint(entry->d_name, &found)) continue;
    status = co_grow(run->ctx, (void **)out, &capacity, *count, sizeof **out);
    if (status == CO_OK) (*out)[(*count)++] = found;
  }
  if (directory) closedir(directory);
  co_free(run->ctx, folder);
  if (*count) qsort(*out, (size_t)*count, sizeof **out, descending);
  return status;
}

static co_status load_newest(co_run *run, bool only_scheduled, co_run_loader load, void *user,
                             int64_t *step, bool *scheduled) {
  checkpoint *list;
  int64_t count;
  *step = -1;
  *scheduled = true;
  co_status status = list_checkpoints(run, &list, &count);
  for (int64_t i = 0; status == CO_OK && *step < 0 && i < count; i++) {
    if (only_scheduled && !list[i].scheduled) continue;
    char *path = co_run_checkpoint_path(run, list[i].step, list[i].scheduled);
    bool damaged = false;
    status = path ? load(user, path, &damaged) : CO_ERR_MEMORY;
    if (status == CO_OK) {
      *step = list[i].step;
      *scheduled = list[i].scheduled;
    }
    if (status == CO_ERR_MODEL && damaged) {
      co_log(run->ctx, CO_LOG_WARN, "resume", "%s is not usable (%s); falling back to %s", path,
             co_error_last()->message, i + 1 < count ? "the one before it" : "the start");
      status = CO_OK;
    }
    co_free(run->ctx, path);
  }
  co_free(run->ctx, list);
  return status;
}

co_status co_run_load_newest(co_run *run, co_run_loader load, void *user, int64_t *step,
                             bool *scheduled) {
  return load_newest(run, false, load, user, step, scheduled);
}

co_status co_run_load_scheduled(co_run *run, co_run_loader load, void *user, int64_t *step) {
  bool scheduled;
  return load_newest(run, true, load, user, step, &scheduled);
}

static co_status set_aside(co_run *run, const checkpoint *c) {
  char *path = co_run_checkpoint_path(run, c->step, c->scheduled);
  char *aside = path ? co_format(run->ctx, "%s.damaged", path) : NULL;
  co_status status = aside ? co_rename(run->ctx, path, aside) : CO_ERR_MEMORY;
  if (status == CO_OK) co_log(run->ctx, CO_LOG_WARN, "resume", "%s is kept as %s", path, aside);
  co_free(run->ctx, aside);
  co_free(run->ctx, path);
  return status;
}

co_status co_run_set_damaged_aside(co_run *run, int64_t step, bool scheduled) {
  checkpoint *list;
  int64_t count;
  co_status status = list_checkpoints(run, &list, &count);
  for (int64_t i = 0; status == CO_OK && i < count; i++) {
    if (list[i].step == step && list[i].scheduled == scheduled) break;
    status = set_aside(run, &list[i]);
  }
  co_free(run->ctx, list);
  return status;
}

// Makes the link `name`, or removes it if there is nothing to point at.
static co_status link_checkpoint(co_run *run, const char *name, int64_t step, bool scheduled) {
  char target[NAME_BYTES];
  name_checkpoint(target, step, scheduled);
  char *path = co_format(run->ctx, "%s/checkpoints/%s", run->path, name);
  if (!path) return CO_ERR_MEMORY;
  co_status status =
      step >= 0 ? co_replace_symlink(run->ctx, target, path) : co_remove_file(run->ctx, path);
  co_free(run->ctx, path);
  return status;
}

co_status co_run_settle_checkpoints(co_run *run, int64_t step, bool scheduled, int64_t best_step,
                                    int64_t keep) {
  CO_RETURN_IF_FAILED(link_checkpoint(run, "last.h5", step, scheduled));
  CO_RETURN_IF_FAILED(link_checkpoint(run, "best.h5", best_step, true));
  checkpoint *list;
  int64_t count, kept = 0;
  co_status status = list_checkpoints(run, &list, &count);
  for (int64_t i = 0; status == CO_OK && i < count; i++) {
    const checkpoint *c = &list[i];
    bool regular = c->scheduled && c->step <= step && kept < keep;
    kept += regular;
    if (regular || (c->scheduled && c->step == best_step) || (c->step == step && !scheduled))
      continue;
    char *path = co_run_checkpoint_path(run, c->step, c->scheduled);
    status = path ? co_remove_file(run->ctx, path) : CO_ERR_MEMORY;
    co_free(run->ctx, path);
  }
  co_free(run->ctx, list);
  return status;
}
