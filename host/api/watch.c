// SPDX-License-Identifier: Apache-2.0
// cohort_watch: follows a run that another process trains, by what runs write anyway (run.json, events.jsonl,
// metrics.jsonl). Nothing is changed, and no lock is kept; any number may watch.
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/api/api.h"
#include "host/api/run_record.h"
#include "host/core/file.h"
#include "host/output/report.h"

enum {
  MOST_AT_ONCE = 1 << 24, // bytes of events
  TAIL = 1 << 15,         // bytes in which the last record stands
  MOST_OLD = 20,          // epochs shown of those before
  NAP = 250               // milliseconds between two looks
};

// A training: of the run, or its refit.
typedef struct followed {
  const char *path, *stage;
  int64_t offset;            // in events.jsonl, as far as read
  int64_t step, steps, most; // done, of so many (0 = unknown), in so many epochs
  int64_t checkpoint;        // step of the last one, -1 = none
  cohort_epoch *epochs;      // that count: what was done again stands here once
  int64_t count, capacity;
  int64_t shown;
  double loss; // of the last record
  char metric[128], message[1024];
} followed;

typedef struct watching {
  cohort_context *context;
  co_context *ctx;
  const char *run;
  co_arena *arena, *look; // of all, and of one look
  followed training, refit;
  char status[24], host[256];
  int64_t exit, pid;
  bool old;    // what is read was there before
  bool warned; // that nobody can tell whether it is still at work
} watching;

static int64_t whole(const co_node *node, const char *key) {
  const double number = co_report_number(node, key);
  return number > -1e15 && number < 1e15 ? (int64_t)number : 0;
}

static void copy(char *out, size_t size, const co_node *node, const char *key) {
  const char *text = co_report_text(node, key);
  snprintf(out, size, "%s", text ? text : "");
}

// ---- events ------------------------------------------------------------------------------------

// The whole lines of a file from *offset on, which moves behind them.
static co_status read_lines(watching *w, const char *path, int64_t *offset, char **out) {
  struct stat info;
  FILE *file = stat(path, &info) == 0 && (int64_t)info.st_size > *offset ? fopen(path, "rb") : NULL;
  const int64_t left = file ? (int64_t)info.st_size - *offset : 0;
  const size_t most = (size_t)(left < MOST_AT_ONCE ? left : MOST_AT_ONCE);
  size_t length = 0;
  *out = co_arena_alloc(w->look, most + 1, 1);
  if (file && *out && fseeko(file, (off_t)*offset, SEEK_SET) == 0)
    length = fread(*out, 1, most, file);
  if (file) fclose(file);
  if (!*out) return CO_ERR_MEMORY;
  while (length && (*out)[length - 1] != '\n')
    length--;
  (*out)[length] = '\0';
  *offset += (int64_t)length;
  return CO_OK;
}

static co_status add_epoch(watching *w, followed *f, const co_node *event) {
  const char *best = co_report_text(event, "best");
  CO_RETURN_IF_FAILED(
      co_grow(w->ctx, (void **)&f->epochs, &f->capacity, f->count, sizeof *f->epochs));
  copy(f->metric, sizeof f->metric, event, "metric");
  f->epochs[f->count++] =
      (cohort_epoch){.step = whole(event, "step"),
                     .number = whole(event, "epoch"),
                     .of = f->most,
                     .train_loss = co_report_number(event, "train_loss"),
                     .validation_loss = co_report_number(event, "validation_loss"),
                     .metric = f->metric,
                     .metric_value = co_report_number(event, "metric_value"),
                     .best = best && strcmp(best, "true") == 0,
                     .learning_rate = co_report_number(event, "learning_rate"),
                     .rows_per_second = co_report_number(event, "rows_per_second"),
                     .seconds = co_report_number(event, "seconds")};
  return CO_OK;
}

// It begins, goes on or goes back: what was done behind that step is done again.
static void begin(watching *w, followed *f, const char *word) {
  while (f->count && f->epochs[f->count - 1].step > f->step)
    f->count--;
  if (f->shown > f->count) f->shown = f->count;
  f->message[0] = '\0';
  f->loss = NAN;
  if (w->old) return;
  co_log(w->ctx, CO_LOG_INFO, "watch", "%s: %s at step %lld of %lld", f->path,
         strcmp(word, "rollback") == 0 ? "back, as a gradient was not finite,"
         : strcmp(word, "resume") == 0 ? "going on"
                                       : "beginning",
         (long long)f->step, (long long)f->steps);
}

static co_status take_event(watching *w, followed *f, const char *path, const char *line,
                            size_t length) {
  co_node *event;
  co_status status = co_record_parse(&event, w->look, path, line, length);
  if (status == CO_ERR_MODEL) { // cut off by a full disk: the run went on behind it
    co_log(w->ctx, CO_LOG_WARN, "watch", "%s: a line is damaged and left out", path);
    co_error_clear();
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(status);
  const char *word = co_report_text(event, "event");
  if (!word) return CO_OK;
  if (co_node_get(event, "step")) f->step = whole(event, "step");
  if (co_node_get(event, "steps")) f->steps = whole(event, "steps");
  if (co_node_get(event, "epochs")) f->most = whole(event, "epochs");
  if (strcmp(word, "checkpoint") == 0) f->checkpoint = f->step;
  if (strcmp(word, "end") == 0) copy(f->message, sizeof f->message, event, "message");
  if (strcmp(word, "epoch") == 0) return add_epoch(w, f, event);
  if (strcmp(word, "start") == 0 || strcmp(word, "resume") == 0 || strcmp(word, "rollback") == 0)
    begin(w, f, word);
  return CO_OK;
}

// On a terminal a line of the table, elsewhere of the log.
static void show_epoch(watching *w, const cohort_epoch *e) {
  const co_watch *watch = &w->context->watch;
  const char *dot = strrchr(e->metric, '.');
  const char *metric = dot ? dot + 1 : e->metric;
  char loss[48] = "", chosen[160] = "";
  if (!isnan(e->validation_loss))
    snprintf(loss, sizeof loss, " validation_loss=%.4g", e->validation_loss);
  if (!isnan(e->metric_value) && strcmp(metric, "loss") != 0)
    snprintf(chosen, sizeof chosen, " %s=%.4f", metric, e->metric_value);
  co_log(w->ctx, CO_LOG_INFO, "epoch",
         "step=%lld epoch=%lld train_loss=%.4g%s%s lr=%.3g rows/s=%.0f seconds=%.1f best=%s",
         (long long)e->step, (long long)e->number, e->train_loss, loss, chosen, e->learning_rate,
         e->rows_per_second, e->seconds, e->best ? "true" : "false");
  if (watch->epoch)
    (void)watch->epoch(watch->epoch_user, e); // that it be the last is no wish of ours
}

static co_status take_events(watching *w, followed *f) {
  char *path = co_arena_format(w->look, "%s/events.jsonl", f->path), *lines;
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(read_lines(w, path, &f->offset, &lines));
  for (char *at = lines, *end; (end = strchr(at, '\n')); at = end + 1) {
    CO_RETURN_IF_FAILED(take_event(w, f, path, at, (size_t)(end - at)));
    for (; !w->old && f->shown < f->count; f->shown++)
      show_epoch(w, &f->epochs[f->shown]);
  }
  return CO_OK;
}

static void show_old(watching *w, followed *f) {
  const int64_t left_out = f->count > MOST_OLD ? f->count - MOST_OLD : 0;
  if (left_out)
    co_log(w->ctx, CO_LOG_INFO, "watch", "%s: %lld epochs before these", f->path,
           (long long)left_out);
  for (f->shown = left_out; f->shown < f->count; f->shown++)
    show_epoch(w, &f->epochs[f->shown]);
}

// ---- between two epochs ------------------------------------------------------------------------

// The last record of metrics.jsonl.
static co_status take_metrics(watching *w, followed *f) {
  char *path = co_arena_format(w->look, "%s/metrics.jsonl", f->path), *lines;
  co_node *record;
  if (!path) return CO_ERR_MEMORY;
  const int64_t bytes = co_file_bytes(path);
  int64_t offset = bytes > TAIL ? bytes - TAIL : 0;
  CO_RETURN_IF_FAILED(read_lines(w, path, &offset, &lines));
  const size_t length = strlen(lines);
  if (!length) return CO_OK;
  lines[length - 1] = '\0';
  const char *break_ = strrchr(lines, '\n'), *last = break_ ? break_ + 1 : lines;
  if (last == lines && bytes > TAIL) return CO_OK; // longer than all that was read
  CO_RETURN_IF_FAILED(co_record_parse(&record, w->look, path, last, strlen(last)));
  if (whole(record, "step") > f->step) f->step = whole(record, "step");
  if (strcmp(co_report_text(record, "split") ? co_report_text(record, "split") : "", "train") == 0)
    f->loss = co_report_number(record, "loss");
  return CO_OK;
}

static void show_progress(watching *w, const followed *f) {
  char detail[96] = "", loss[32] = "";
  if (!isnan(f->loss)) snprintf(loss, sizeof loss, " loss=%.4g", f->loss);
  if (f->count < f->most) // else what follows the last epoch
    snprintf(detail, sizeof detail, "epoch %lld/%lld%s", (long long)f->count + 1,
             (long long)f->most, loss);
  co_watch_progress(&w->context->watch, f->stage, "steps", f->step, f->steps, detail);
}

// ---- one look ----------------------------------------------------------------------------------

// Whether a run whose lock nobody has, or may have, and that says it is running, may be at work.
static bool may_be_at_work(watching *w, co_lock_state lock) {
  char here[256] = "";
  gethostname(here, sizeof here - 1);
  if (strcmp(here, w->host) == 0)
    return lock == CO_LOCK_UNKNOWN && w->pid > 0 && (kill((pid_t)w->pid, 0) == 0 || errno != ESRCH);
  if (!w->warned)
    co_log(w->ctx, CO_LOG_WARN, "watch",
           "%s was begun on '%s': from here nobody can tell whether it is still at work", w->run,
           w->host);
  return w->warned = true;
}

static co_status read_status(watching *w) {
  co_node *run;
  CO_RETURN_IF_FAILED(co_record_read(&run, w->look, w->run, "run.json", "watch"));
  copy(w->status, sizeof w->status, run, "status");
  copy(w->host, sizeof w->host, run, "host");
  w->exit = whole(run, "exit");
  w->pid = whole(run, "pid");
  if (whole(run, "step") > w->training.step) w->training.step = whole(run, "step");
  return CO_OK;
}

// A run is at work as long as its lock is taken, whatever it says: it ends, or begins to go on.
static co_status look(watching *w, bool *ended) {
  char *path = co_arena_format(w->look, "%s/LOCK", w->run);
  if (!path) return CO_ERR_MEMORY;
  co_lock_state lock = co_lock_look(path);
  CO_RETURN_IF_FAILED(read_status(w));
  const bool running = strcmp(w->status, "running") == 0;
  if (running && lock != CO_LOCK_TAKEN) lock = co_lock_look(path); // it may have begun in between
  *ended = lock != CO_LOCK_TAKEN && !(running && may_be_at_work(w, lock));
  if (running && *ended) snprintf(w->status, sizeof w->status, "killed");
  // All that was written before its end is read here, if it has ended.
  followed *now = co_path_is_directory(w->refit.path) ? &w->refit : &w->training;
  CO_RETURN_IF_FAILED(take_events(w, &w->training));
  CO_RETURN_IF_FAILED(take_events(w, &w->refit));
  if (w->old) {
    show_old(w, &w->training);
    show_old(w, &w->refit);
  }
  w->old = false;
  CO_RETURN_IF_FAILED(take_metrics(w, now));
  if (!*ended) show_progress(w, now);
  return CO_OK;
}

static co_status rest(watching *w) {
  const struct timespec nap = {0, NAP * 1000000L};
  co_alive(w->ctx, CO_PATIENCE);
  if (!co_watch_stopped(&w->context->watch)) nanosleep(&nap, NULL);
  if (!co_watch_stopped(&w->context->watch)) return CO_OK;
  return co_fail(CO_INTERRUPTED, "no longer watched; %s goes on", w->run);
}

static co_status follow(watching *w) {
  for (bool ended = false;;) {
    CO_RETURN_IF_FAILED(co_arena_create(&w->look, w->ctx));
    co_status status = look(w, &ended);
    co_arena_free(w->look);
    w->look = NULL;
    if (status != CO_OK || ended) return status;
    CO_RETURN_IF_FAILED(rest(w));
  }
}

// ---- what there is to tell ---------------------------------------------------------------------

static const cohort_epoch *best_epoch(const followed *f) {
  for (int64_t i = f->count - 1; i >= 0; i--)
    if (f->epochs[i].best) return &f->epochs[i];
  return NULL;
}

static void render_epoch(co_json *json, const cohort_epoch *e) {
  const struct {
    const char *key;
    double value;
  } numbers[] = {{"train_loss", e->train_loss},           {"validation_loss", e->validation_loss},
                 {"metric_value", e->metric_value},       {"learning_rate", e->learning_rate},
                 {"rows_per_second", e->rows_per_second}, {"seconds", e->seconds}};
  co_json_open(json, '{');
  co_json_key(json, "epoch");
  co_json_int(json, e->number);
  co_json_key(json, "step");
  co_json_int(json, e->step);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    co_json_key(json, numbers[i].key);
    co_json_double(json, numbers[i].value);
  }
  co_json_key(json, "best");
  co_json_bool(json, e->best);
  co_json_close(json);
}

static void render(const watching *w, co_json *json) {
  const followed *f = &w->training;
  const cohort_epoch *best = best_epoch(f);
  co_json_key(json, "run");
  co_json_string(json, w->run);
  co_json_key(json, "status");
  co_json_string(json, w->status);
  co_json_key(json, "step");
  co_json_int(json, f->step);
  co_json_key(json, "steps");
  f->steps ? co_json_int(json, f->steps) : co_json_null(json);
  co_json_key(json, "checkpoint");
  f->checkpoint >= 0 ? co_json_int(json, f->checkpoint) : co_json_null(json);
  co_json_key(json, "metric");
  co_json_string(json, *f->metric ? f->metric : NULL);
  co_json_key(json, "best");
  best ? render_epoch(json, best) : co_json_null(json);
  co_json_key(json, "epochs");
  co_json_open(json, '[');
  for (int64_t i = 0; i < f->count; i++)
    render_epoch(json, &f->epochs[i]);
  co_json_close(json);
}

static void print(const watching *w, co_text *text) {
  const followed *f = &w->training;
  const cohort_epoch *best = best_epoch(f);
  co_text_printf(text, "%s: %s at step %lld", w->run, w->status, (long long)f->step);
  if (f->steps) co_text_printf(text, " of %lld", (long long)f->steps);
  if (best)
    co_text_printf(text, ", best %s %.4f in epoch %lld", f->metric, best->metric_value,
                   (long long)best->number);
  co_text_printf(text, "\n");
}

// A run of an experiment or a search goes on with it.
static void hint_resume(watching *w) {
  char *path = co_arena_format(w->arena, "%s/command.txt", w->run), *command = NULL;
  if (path && co_path_exists(path) &&
      co_read_file(w->ctx, path, 1 << 16, CO_ERR_MODEL, &command, NULL) != CO_OK)
    command = NULL;
  const bool alone = !command || !*command || strncmp(command, "cohort train ", 13) == 0 ||
                     strncmp(command, "cohort fit ", 11) == 0;
  if (alone)
    co_hint("go on with: cohort train --resume %s", w->run);
  else
    co_hint("it belongs to: %.*s", (int)strcspn(command, "\n"), command);
  co_free(w->ctx, command);
}

// The run's own end is this one's.
static co_status end(watching *w) {
  const followed *f = *w->refit.message ? &w->refit : &w->training;
  const long long step = (long long)f->step;
  co_status status;
  if (strcmp(w->status, "done") == 0) return CO_OK;
  if (strcmp(w->status, "stopped") == 0) {
    status = co_fail_at(CO_STOPPED, w->run, 0, 0, "it was stopped at step %lld", step);
  } else if (strcmp(w->status, "killed") == 0) {
    status = co_fail_at(CO_KILLED, w->run, 0, 0,
                        "process %lld, which trained it, is gone: it was killed after step %lld",
                        (long long)w->pid, step);
  } else {
    const bool known = w->exit > 0 && w->exit <= CO_ERR_GATE;
    return co_fail_at(known ? (co_status)w->exit : CO_ERR_INTERNAL, w->run, 0, 0,
                      "it has %s at step %lld%s%s", w->status, step, *f->message ? ": " : "",
                      f->message);
  }
  hint_resume(w);
  return status;
}

static co_status watch(watching *w, cohort_result *result) {
  CO_RETURN_IF_FAILED(co_require(w->run, "watch", "a run"));
  if (co_path_exists(w->run) && !co_path_is_directory(w->run)) {
    co_status status =
        co_fail_at(CO_ERR_MODEL, w->run, 0, 0, "it is a file, and no run's directory");
    co_hint("studies are followed by hyperopt show");
    return status;
  }
  CO_RETURN_IF_FAILED(co_arena_create(&w->arena, w->ctx));
  char *refit = co_arena_format(w->arena, "%s/refit", w->run);
  if (!refit) return CO_ERR_MEMORY;
  w->training = (followed){.path = w->run, .stage = "train", .checkpoint = -1, .loss = NAN};
  w->refit = (followed){.path = refit, .stage = "refit", .checkpoint = -1, .loss = NAN};
  co_status status = follow(w);
  co_watch_progress(&w->context->watch, "train", "steps", -1, 0, NULL);
  if (status != CO_OK && status != CO_INTERRUPTED) return status;
  render(w, &result->json);
  print(w, &result->text);
  return status == CO_OK ? end(w) : status;
}

cohort_status cohort_watch(cohort_context *context, const char *run, cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  watching w = {.context = context, .ctx = context->ctx, .run = run, .old = true};
  co_status status = watch(&w, *out);
  co_error error;
  co_error_copy(&error);
  co_arena_free(w.arena);
  co_free(w.ctx, w.training.epochs);
  co_free(w.ctx, w.refit.epochs);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "watch", status);
}
