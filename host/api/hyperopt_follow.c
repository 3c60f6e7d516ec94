// SPDX-License-Identifier: Apache-2.0
// cohort_hyperopt_follow: a study while processes work on it.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/api/hyperopt.h"
#include "host/core/file.h"

enum { NAP = 500 }; // milliseconds between two looks

typedef struct following {
  cohort_context *context;
  co_context *ctx;
  const char *path, *name; // the study's in its file, NULL = the only one
  cohort_text_function shown;
  void *user;
  co_text text; // as it was shown last
  bool *told;   // by number: of trials that are over
  int64_t told_count, told_capacity;
} following;

static void log_trial(const following *f, const co_read_study *r, const co_trial *t) {
  const co_space *space = &r->settings.space;
  co_text text;
  co_text_init(&text, f->ctx);
  co_text_printf(&text, "number=%lld state=%s value=%.6g best=%s", (long long)t->number,
                 co_trial_state_name(t->state), t->value,
                 t->number == r->best || co_front_has(&r->front, t->number) ? "true" : "false");
  for (int64_t k = 0; k < space->count; k++) {
    char value[96];
    co_parameter_print_value(value, &space->item[k], t->values[k]);
    co_text_printf(&text, " %s=%s", co_parameter_name(&space->item[k]), value);
  }
  if (text.status == CO_OK) co_log(f->ctx, CO_LOG_INFO, "trial", "%s", text.data);
  co_text_free(&text);
}

// Each trial once it is over; one that was thawed once more.
static co_status log_trials(following *f, const co_read_study *r) {
  for (int64_t i = 0; i < r->trials.count; i++) {
    const co_trial *t = &r->trials.item[i];
    const bool over = t->state != CO_TRIAL_RUNNING && t->state != CO_TRIAL_WAITING;
    if (i == f->told_count) {
      CO_RETURN_IF_FAILED(
          co_grow(f->ctx, (void **)&f->told, &f->told_capacity, i, sizeof *f->told));
      f->told[f->told_count++] = false;
    }
    if (over && !f->told[i]) log_trial(f, r, t);
    f->told[i] = over;
  }
  return CO_OK;
}

static co_status show_trials(following *f, const co_read_study *r) {
  co_text text;
  co_text_init(&text, f->ctx);
  co_study_print_trials(&text, r);
  if (text.status == CO_OK && (!f->text.data || strcmp(f->text.data, text.data) != 0)) {
    f->shown(f->user, text.data);
    co_text_free(&f->text);
    f->text = text;
    return CO_OK;
  }
  co_status status = text.status;
  co_text_free(&text);
  return status;
}

static void show_progress(const following *f, const co_read_study *r) {
  int64_t over = 0, running = 0;
  char detail[160];
  for (int64_t i = 0; i < r->trials.count; i++) {
    running += r->trials.item[i].state == CO_TRIAL_RUNNING;
    over +=
        r->trials.item[i].state != CO_TRIAL_RUNNING && r->trials.item[i].state != CO_TRIAL_WAITING;
  }
  int length = snprintf(detail, sizeof detail, "%lld running", (long long)running);
  if (r->best >= 0)
    snprintf(detail + length, sizeof detail - (size_t)length, ", best %s %.5g of trial %lld",
             r->settings.metric ? r->settings.metric : "loss", r->trials.item[r->best].value,
             (long long)r->best);
  co_watch_progress(&f->context->watch, "hyperopt", "trials", over, 0, detail);
}

static co_status look(following *f, bool *at_work) {
  co_read_study r = {.study = NULL};
  co_status status = co_read_study_open(&r, f->ctx, f->path, f->name);
  if (status == CO_OK) status = f->shown ? show_trials(f, &r) : log_trials(f, &r);
  if (status == CO_OK) show_progress(f, &r);
  const char *folder = status == CO_OK ? co_study_folder(r.study, r.arena, "trials") : NULL;
  const char *lock = folder ? co_arena_format(r.arena, "%s/" CO_STUDY_LOCK, folder) : NULL;
  if (status == CO_OK && !lock) status = CO_ERR_MEMORY;
  *at_work = lock && co_lock_look(lock) == CO_LOCK_TAKEN;
  co_error error;
  co_error_copy(&error);
  co_read_study_free(&r);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}

static co_status rest(const following *f) {
  const struct timespec nap = {0, NAP * 1000000L};
  co_alive(f->ctx, CO_PATIENCE);
  if (!co_watch_stopped(&f->context->watch)) nanosleep(&nap, NULL);
  if (!co_watch_stopped(&f->context->watch)) return CO_OK;
  return co_fail(CO_INTERRUPTED, "no longer followed; the study goes on");
}

// Once nobody is at work, one look more: what was written until then.
static co_status follow(following *f) {
  co_status status = CO_OK;
  for (bool at_work = true, was; status == CO_OK;) {
    was = at_work;
    status = look(f, &at_work);
    if (!at_work && !was) break;
    if (status == CO_OK && at_work) status = rest(f);
  }
  co_watch_progress(&f->context->watch, "hyperopt", "trials", -1, 0, NULL);
  return status;
}

// Of what a process that is gone was training.
static void tell_unfinished(const co_read_study *r, co_text *text) {
  int64_t running = 0;
  for (int64_t i = 0; i < r->trials.count; i++)
    running += r->trials.item[i].own && r->trials.item[i].state == CO_TRIAL_RUNNING;
  if (running)
    co_text_printf(
        text, "nobody works on the study; the command that began it goes on with %lld trial%s\n",
        (long long)running, running == 1 ? "" : "s");
}

cohort_status cohort_hyperopt_follow(cohort_context *context, const char *study, const char *name,
                                     cohort_text_function shown, void *user, cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  following f = {.context = context,
                 .ctx = context->ctx,
                 .path = study,
                 .name = name,
                 .shown = shown,
                 .user = user};
  co_read_study r = {.study = NULL};
  co_text_init(&f.text, f.ctx);
  co_status status = co_require(study, "hyperopt show", "a study");
  if (status == CO_OK) status = follow(&f);
  co_error error;
  co_error_copy(&error);
  if (status == CO_OK || status == CO_INTERRUPTED) {
    co_status told = co_study_show(&r, f.ctx, study, name, *out);
    if (status == CO_OK && told == CO_OK) tell_unfinished(&r, &(*out)->text);
    if (told != CO_OK) {
      co_error_copy(&error);
      status = told;
    }
  }
  co_read_study_free(&r);
  co_text_free(&f.text);
  co_free(f.ctx, f.told);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "hyperopt show", status);
}
