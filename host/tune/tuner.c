// SPDX-License-Identifier: Apache-2.0
// The workers of a search, and which trial each takes next.
#include "host/tune/tuner.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/core/file.h"

int64_t co_trials_best(const co_trials *trials, bool maximize) {
  int64_t best = -1;
  for (int64_t i = 0; i < trials->count; i++) {
    const co_trial *t = &trials->item[i];
    if (t->state != CO_TRIAL_COMPLETE || t->infeasible || isnan(t->value)) continue;
    double gain = best < 0 ? 1 : t->value - trials->item[best].value;
    if (best < 0 || (maximize ? gain > 0 : gain < 0)) best = i;
  }
  return best;
}

typedef struct crew {
  const co_search *search;
  pthread_mutex_t mutex; // of the study and all below
  pthread_cond_t changed;
  volatile int stop; // sessions watch it
  bool done;         // nothing is left to begin
  int64_t working;   // workers that have not ended
  int64_t over;      // trials
  co_error error;    // the first that ended it all
  double begun;
} crew;

// A trial that this process has.
typedef struct claim {
  int64_t id, number;
  double *values;
  char *lock_path;
  int lock;
  co_trials trials; // as they were when it was taken
  int64_t round;    // in which it was thawed, 0 = none
} claim;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool is_over(const co_trial *t) {
  return t->state != CO_TRIAL_RUNNING && t->state != CO_TRIAL_WAITING;
}

// ---- taking a trial ----------------------------------------------------------------------------

// Not where somebody else has it.
static co_status lock_trial(const crew *c, int64_t number, claim *out, co_arena *arena,
                            bool *taken) {
  char *run = co_trial_run_path(arena, c->search->folder, number);
  out->lock_path = run ? co_arena_format(arena, "%s.lock", run) : NULL;
  if (!out->lock_path) return CO_ERR_MEMORY;
  co_status status =
      co_lock_file(&out->lock, c->search->ctx, out->lock_path, "another process has this trial");
  *taken = status == CO_OK;
  if (status != CO_ERR_IO) return status;
  co_error_clear();
  return CO_OK;
}

static co_status resume(const crew *c, const co_trials *trials, claim *out, co_arena *arena,
                        bool *taken) {
  for (int64_t i = 0; i < trials->count && !*taken; i++) {
    const co_trial *t = &trials->item[i];
    if (t->state != CO_TRIAL_RUNNING || !t->own) continue; // others' are theirs
    CO_RETURN_IF_FAILED(lock_trial(c, t->number, out, arena, taken));
    if (!*taken) continue;
    out->id = t->id;
    out->number = t->number;
    out->values = t->values;
    out->round = t->thaw_round;
  }
  return CO_OK;
}

static double as_loss(double value, bool maximize) {
  return maximize ? -value : value;
}

// What the suggestion of trial `number` may know: of the last ones only what was chosen for them.
static co_known_trial *know(const crew *c, const co_trials *trials, int64_t number, co_arena *arena,
                            int64_t *count) {
  int64_t told = number - c->search->settings->lag;
  co_known_trial *known = co_arena_alloc(arena, (size_t)number + 1, sizeof *known);
  *count = 0;
  for (int64_t i = 0; known && i < number; i++) {
    const co_trial *t = &trials->item[i];
    if (!co_space_fits(&c->search->settings->space, t->values)) continue; // one of Optuna's
    bool complete = i <= told && (t->state == CO_TRIAL_COMPLETE || t->state == CO_TRIAL_PRUNED);
    known[(*count)++] =
        (co_known_trial){.values = t->values,
                         .loss = complete ? as_loss(t->value, c->search->maximize) : NAN,
                         .second = complete ? as_loss(t->second, c->search->maximize_second) : NAN,
                         .failed = i <= told && t->state == CO_TRIAL_FAIL};
  }
  return known;
}

static co_status suggest(const crew *c, const co_trials *trials, claim *out, co_arena *arena) {
  const co_search *s = c->search;
  out->values = co_arena_alloc(arena, (size_t)s->settings->space.count, sizeof *out->values);
  int64_t count;
  const co_known_trial *known = know(c, trials, out->number, arena, &count);
  const co_suggestion suggestion = {.settings = s->settings,
                                    .ctx = s->ctx,
                                    .seed = s->seed,
                                    .number = out->number,
                                    .known = known,
                                    .known_count = count};
  return out->values && known ? co_suggest(&suggestion, out->values) : CO_ERR_MEMORY;
}

static co_status begin(const crew *c, const co_trials *trials, claim *out, co_arena *arena,
                       bool *taken) {
  const co_search *s = c->search;
  out->number = trials->count;
  CO_RETURN_IF_FAILED(suggest(c, trials, out, arena));
  CO_RETURN_IF_FAILED(lock_trial(c, out->number, out, arena, taken));
  return *taken ? co_study_add(s->study, out->number, &s->settings->space, out->values, &out->id)
                : CO_OK;
}

// The values that somebody has fixed; the path of the first that may not be so, else NULL.
static const char *fix_values(const crew *c, const co_trial *t, double *values, co_arena *arena) {
  const co_space *space = &c->search->settings->space;
  co_node *fixed = NULL;
  co_diagnostics problems;
  const char *wrong = NULL;
  if (!t->fixed) return NULL;
  co_diagnostics_init(&problems, c->search->ctx);
  if (co_yaml_parse(&fixed, arena, "fixed_params", t->fixed, strlen(t->fixed), &problems) != CO_OK)
    wrong = "fixed_params";
  co_diagnostics_free(&problems);
  for (int64_t i = 0; !wrong && i < space->count; i++) {
    const co_node *node = co_node_get(fixed, space->item[i].path);
    if (node && !co_parameter_read(&space->item[i], node, arena, &values[i]))
      wrong = space->item[i].path;
  }
  co_space_prune(space, values);
  return wrong;
}

// What has been enqueued, by Optuna's enqueue_trial, comes before all else.
static co_status begin_waiting(const crew *c, const co_trials *trials, claim *out, co_arena *arena,
                               bool *taken) {
  const co_search *s = c->search;
  for (int64_t i = 0; i < trials->count && !*taken; i++) {
    const co_trial *t = &trials->item[i];
    if (t->state != CO_TRIAL_WAITING) continue;
    out->id = t->id;
    out->number = i;
    CO_RETURN_IF_FAILED(suggest(c, trials, out, arena));
    const char *wrong = fix_values(c, t, out->values, arena);
    CO_RETURN_IF_FAILED(lock_trial(c, i, out, arena, taken));
    if (!*taken) continue;
    CO_RETURN_IF_FAILED(
        co_study_start_waiting(s->study, t->id, i, &s->settings->space, out->values));
    if (!wrong) continue;
    char reason[200];
    snprintf(reason, sizeof reason, "%.150s: the value it is to have is none of its space", wrong);
    unlink(out->lock_path);
    co_unlock_file(out->lock);
    out->lock = -1;
    *taken = false;
    CO_RETURN_IF_FAILED(co_study_finish(s->study, t->id, CO_TRIAL_FAIL, NAN, NAN, reason));
  }
  return CO_OK;
}

// The pruned ones that would be kept now run again, in a round of their own.
static co_status thaw(const crew *c, const co_trials *trials, int64_t *thawed) {
  const co_search *s = c->search;
  const int64_t round = co_pruner_round(trials) + 1;
  for (int64_t i = 0; s->settings->pruner.thaw && i < trials->count; i++) {
    const co_trial *t = &trials->item[i];
    const co_pruner_view view = {.settings = s->settings,
                                 .trials = trials,
                                 .maximize = s->maximize,
                                 .number = i,
                                 .round = round,
                                 .max_epochs = s->max_epochs};
    if (!t->own || t->state != CO_TRIAL_PRUNED || !t->step_count) continue;
    if (!co_pruner_keeps(&view, t->steps, t->step_count)) continue;
    CO_RETURN_IF_FAILED(co_study_thaw(s->study, t->id, round, t->steps[t->step_count - 1].step));
    co_log(s->ctx, CO_LOG_INFO, "trial", "trial %lld goes on", (long long)i);
    ++*thawed;
  }
  return CO_OK;
}

static co_status choose(crew *c, claim *out, co_arena *arena, bool *taken) {
  const co_search *s = c->search;
  co_trials trials;
  int64_t running = 0, late = 0, thawed = 0; // late: those that the next one has to wait for
  const bool prunes = s->settings->pruner.type != CO_PRUNER_NONE;
  const bool waits = co_tune_looks_back(s->settings);
  CO_RETURN_IF_FAILED(co_study_trials(&trials, s->study, &s->settings->space, arena, prunes));
  CO_RETURN_IF_FAILED(resume(c, &trials, out, arena, taken));
  c->over = 0;
  for (int64_t i = 0; i < trials.count; i++) {
    bool runs = trials.item[i].state == CO_TRIAL_RUNNING && trials.item[i].own;
    c->over += is_over(&trials.item[i]);
    running += runs;
    late += waits && runs && i <= trials.count - s->settings->lag;
  }
  if (!*taken) CO_RETURN_IF_FAILED(begin_waiting(c, &trials, out, arena, taken));
  out->trials = trials;
  if (*taken) return CO_OK;
  bool more = trials.count < s->trials;
  if (prunes && !more && !running) CO_RETURN_IF_FAILED(thaw(c, &trials, &thawed));
  c->done = !more && !running && !thawed;
  return more && !late ? begin(c, &trials, out, arena, taken) : CO_OK;
}

// With the mutex. *taken is false where there is none to be had at the moment.
static co_status take(crew *c, claim *out, co_arena *arena, bool *taken) {
  *taken = false;
  *out = (claim){.lock = -1};
  CO_RETURN_IF_FAILED(co_study_begin(c->search->study));
  co_status status = co_study_end(c->search->study, choose(c, out, arena, taken));
  if (status == CO_OK) return CO_OK;
  co_unlock_file(out->lock);
  *taken = false;
  return status;
}

// ---- doing it ----------------------------------------------------------------------------------

static co_status write_outcome(const crew *c, const claim *mine, const co_trial_outcome *o) {
  co_study *study = c->search->study;
  for (int64_t i = 0; i < o->step_count; i++)
    CO_RETURN_IF_FAILED(co_study_report(study, mine->id, o->steps[i].step, o->steps[i].value));
  CO_RETURN_IF_FAILED(co_study_finish(
      study, mine->id, o->state, o->state == CO_TRIAL_FAIL ? NAN : o->value,
      o->state == CO_TRIAL_FAIL ? NAN : o->second, o->state == CO_TRIAL_FAIL ? o->reason : NULL));
  // Before the trial is over for others: of one that is over nobody looks for a lock.
  unlink(mine->lock_path);
  return CO_OK;
}

static void log_outcome(const crew *c, const claim *mine, const co_trial_outcome *o,
                        double seconds) {
  co_context *ctx = c->search->ctx;
  long long number = (long long)mine->number;
  if (o->state == CO_TRIAL_FAIL)
    co_log(ctx, CO_LOG_WARN, "trial", "trial %lld failed: %s", number, o->reason);
  else
    co_log(ctx, CO_LOG_INFO, "trial", "number=%lld state=%s value=%.6g %s=%lld seconds=%.1f",
           number, co_trial_state_name(o->state), o->value,
           co_tune_parts(c->search->settings) > 1 && !co_tune_is_together(c->search->settings)
               ? "runs"
               : "epochs",
           (long long)o->step_count, seconds);
}

typedef struct reporter {
  crew *crew;
  int64_t id;
} reporter;

static co_status report(void *user, int64_t epoch, double value) {
  reporter *r = user;
  pthread_mutex_lock(&r->crew->mutex);
  co_status status = co_study_report(r->crew->search->study, r->id, epoch, value);
  pthread_mutex_unlock(&r->crew->mutex);
  return status;
}

// Without the mutex.
static co_status carry_out(crew *c, const claim *mine, co_arena *arena) {
  const co_search *s = c->search;
  const co_watch watch = {.stop = &c->stop};
  reporter r = {c, mine->id};
  co_trial_outcome outcome;
  double begun = now();
  const co_pruner_view pruner = {.settings = s->settings,
                                 .trials = &mine->trials,
                                 .maximize = s->maximize,
                                 .number = mine->number,
                                 .round = mine->round,
                                 .max_epochs = s->max_epochs};
  const co_trial_job job = {
      .id = mine->id,
      .number = mine->number,
      .values = mine->values,
      .seeds = s->settings->seeds,
      .path = co_trial_run_path(arena, s->folder, mine->number),
      .watch = &watch,
      .max_seconds = s->max_seconds > 0 ? fmax(s->max_seconds - (begun - c->begun), 1e-3) : 0,
      .pruner = s->settings->pruner.type != CO_PRUNER_NONE ? &pruner : NULL,
      .report = report,
      .user = &r};
  co_status status = job.path ? co_trial_train(&outcome, s, &job, arena) : CO_ERR_MEMORY;
  pthread_mutex_lock(&c->mutex);
  if (status == CO_OK) status = co_study_begin(s->study);
  if (status == CO_OK) status = co_study_end(s->study, write_outcome(c, mine, &outcome));
  pthread_mutex_unlock(&c->mutex);
  co_unlock_file(mine->lock);
  if (status == CO_OK) log_outcome(c, mine, &outcome, now() - begun);
  return status;
}

static bool out_of_time(const crew *c) {
  return c->search->max_seconds > 0 && now() - c->begun >= c->search->max_seconds;
}

// With the mutex, for others' trials to end.
static void await(crew *c) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 100000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    until.tv_sec++;
  }
  pthread_cond_timedwait(&c->changed, &c->mutex, &until);
}

// One trial, if there is one. With the mutex, which is given away meanwhile.
static co_status turn(crew *c) {
  claim mine;
  co_arena *arena;
  bool taken = false;
  if (out_of_time(c)) return CO_STOPPED;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, c->search->ctx));
  co_status status = take(c, &mine, arena, &taken);
  if (status == CO_OK && taken) {
    pthread_mutex_unlock(&c->mutex);
    status = carry_out(c, &mine, arena);
    pthread_mutex_lock(&c->mutex);
    pthread_cond_broadcast(&c->changed);
  } else if (status == CO_OK && !c->done) {
    await(c);
  }
  co_arena_free(arena);
  return status;
}

static void *work(void *user) {
  crew *c = user;
  co_status status = CO_OK;
  pthread_mutex_lock(&c->mutex);
  while (status == CO_OK && !c->done && !c->stop)
    status = turn(c);
  if (status != CO_OK && c->error.status == CO_OK) {
    co_error_copy(&c->error);
    c->error.status = status;                          // CO_STOPPED needs no words
    if (status != CO_STOPPED && !c->stop) c->stop = 2; // the others save and end as well
  }
  c->working--;
  pthread_cond_broadcast(&c->changed);
  pthread_mutex_unlock(&c->mutex);
  return NULL;
}

// ---- the whole ---------------------------------------------------------------------------------

static co_status conclude(const crew *c) {
  const co_search *s = c->search;
  if (co_watch_stopped(s->watch) || c->error.status == CO_INTERRUPTED) {
    co_status status = co_fail(CO_INTERRUPTED, "stopped with %lld of %lld trials over",
                               (long long)c->over, (long long)s->trials);
    co_hint("the same command goes on");
    return status;
  }
  if (c->error.status == CO_STOPPED) {
    co_status status = co_fail(CO_STOPPED, "the time is over with %lld of %lld trials over",
                               (long long)c->over, (long long)s->trials);
    co_hint("the same command goes on");
    return status;
  }
  return c->error.status == CO_OK ? CO_OK : co_error_raise(&c->error);
}

// With the mutex, until the last worker has ended.
static void supervise(crew *c) {
  int64_t shown = -1;
  while (c->working > 0) {
    if (co_watch_stopped(c->search->watch) && !c->stop) c->stop = *c->search->watch->stop;
    if (c->over != shown)
      co_watch_progress(c->search->watch, "hyperopt", "trials", shown = c->over, c->search->trials,
                        NULL);
    await(c);
    co_alive(c->search->ctx, CO_PATIENCE_DISK);
  }
  co_watch_progress(c->search->watch, "hyperopt", "trials", -1, 0, NULL);
}

// What has failed runs once more, with its number and values.
static co_status retry(const co_search *s, co_arena *arena) {
  co_trials trials;
  CO_RETURN_IF_FAILED(co_study_trials(&trials, s->study, &s->settings->space, arena, false));
  for (int64_t i = 0; i < trials.count; i++)
    if (trials.item[i].state == CO_TRIAL_FAIL && trials.item[i].own)
      CO_RETURN_IF_FAILED(co_study_retry(s->study, trials.item[i].id));
  return CO_OK;
}

static co_status retry_failed(const co_search *s) {
  co_arena *arena;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, s->ctx));
  co_status status = co_study_begin(s->study);
  if (status == CO_OK) status = co_study_end(s->study, retry(s, arena));
  co_arena_free(arena);
  return status;
}

co_status co_search_run(const co_search *search) {
  crew c = {.search = search, .begun = now()};
  int64_t started = 0;
  if (search->retry) CO_RETURN_IF_FAILED(retry_failed(search));
  pthread_t *threads = co_alloc_zero(search->ctx, (size_t)search->jobs, sizeof *threads);
  if (!threads) return CO_ERR_MEMORY;
  c.error.status = CO_OK;
  pthread_mutex_init(&c.mutex, NULL);
  pthread_cond_init(&c.changed, NULL);
  pthread_mutex_lock(&c.mutex);
  for (; started < search->jobs; started++) {
    int error = pthread_create(&threads[started], NULL, work, &c);
    if (error) {
      if (!started) {
        co_fail_errno(CO_ERR_MEMORY, error, "no thread can be started");
        co_error_copy(&c.error);
      }
      break;
    }
    c.working++;
  }
  supervise(&c);
  pthread_mutex_unlock(&c.mutex);
  for (int64_t i = 0; i < started; i++)
    pthread_join(threads[i], NULL);
  pthread_cond_destroy(&c.changed);
  pthread_mutex_destroy(&c.mutex);
  co_free(search->ctx, threads);
  return conclude(&c);
}
