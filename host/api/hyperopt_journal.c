// SPDX-License-Identifier: Apache-2.0
// A study as Optuna's journal: a line of JSON an operation, as optuna.storages.JournalStorage reads them.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/api/hyperopt.h"

// Operations and states by their numbers in a journal.
enum { CREATE_STUDY = 0, STUDY_USER_ATTRIBUTE = 2, STUDY_SYSTEM_ATTRIBUTE = 3, CREATE_TRIAL = 4 };
static const int states[] = {[CO_TRIAL_RUNNING] = 0,
                             [CO_TRIAL_COMPLETE] = 1,
                             [CO_TRIAL_PRUNED] = 2,
                             [CO_TRIAL_FAIL] = 3,
                             [CO_TRIAL_WAITING] = 4};

static void begin(co_json *line, co_context *ctx, int operation) {
  co_json_init(line, ctx, 0);
  co_json_open(line, '{');
  co_json_key(line, "op_code");
  co_json_int(line, operation);
  co_json_key(line, "worker_id");
  co_json_string(line, "cohort");
  if (operation == CREATE_STUDY) return;
  co_json_key(line, "study_id");
  co_json_int(line, 0);
}

static void end(co_json *line, co_text *journal) {
  co_json_close(line);
  co_text_append(journal, line->text.data, line->text.length);
  co_text_append(journal, "\n", 1);
  if (line->text.status != CO_OK) journal->status = line->text.status;
  co_json_free(line);
}

// As Python's json has them, which Optuna reads.
static void add_number(co_json *line, double value) {
  if (isfinite(value))
    co_json_double(line, value);
  else
    co_json_raw(line, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
}

// "2026-01-31 23:59:59.000000" of the database, in UTC, with its zone.
static void add_time(co_json *line, const char *key, const char *time) {
  char text[64];
  co_json_key(line, key);
  if (!time || strlen(time) < 11 || strlen(time) > 32) {
    co_json_null(line);
    return;
  }
  snprintf(text, sizeof text, "%.10sT%s+00:00", time, time + 11);
  co_json_string(line, text);
}

static void add_attribute(co_text *journal, co_context *ctx, const co_attribute *a) {
  co_json line;
  begin(&line, ctx, a->system ? STUDY_SYSTEM_ATTRIBUTE : STUDY_USER_ATTRIBUTE);
  co_json_key(&line, a->system ? "system_attr" : "user_attr");
  co_json_open(&line, '{');
  co_json_key(&line, a->key);
  co_json_raw(&line, a->json);
  co_json_close(&line);
  end(&line, journal);
}

static void add_study(co_text *journal, co_read_study *r) {
  co_json line;
  begin(&line, co_arena_context(r->arena), CREATE_STUDY);
  co_json_key(&line, "study_name");
  co_json_string(&line, co_study_name(r->study));
  co_json_key(&line, "directions");
  co_json_open(&line, '[');
  for (int goal = 0; goal < co_study_goals(r->study); goal++)
    co_json_int(&line, co_study_maximizes(r->study, goal) ? 2 : 1);
  co_json_close(&line);
  end(&line, journal);
}

static void add_parameters(co_json *line, const co_space *space, const co_trial *t) {
  co_json_key(line, "params");
  co_json_open(line, '{');
  for (int64_t i = 0; i < space->count; i++) {
    if (isnan(t->values[i])) continue;
    co_json_key(line, space->item[i].path);
    co_json_double(line, t->values[i]);
  }
  co_json_close(line);
  co_json_key(line, "distributions");
  co_json_open(line, '{');
  for (int64_t i = 0; i < space->count; i++) {
    co_json distribution;
    if (isnan(t->values[i])) continue;
    co_json_init(&distribution, line->text.ctx, 0);
    co_parameter_render_distribution(&distribution, &space->item[i]);
    co_json_key(line, space->item[i].path);
    co_json_string(line, distribution.text.data);
    co_json_free(&distribution);
  }
  co_json_close(line);
}

static void add_notes(co_json *line, const co_trial *t, bool system) {
  co_json_key(line, system ? "system_attrs" : "user_attrs");
  co_json_open(line, '{');
  for (int64_t i = 0; i < t->attributes.count; i++) {
    const co_attribute *a = &t->attributes.item[i];
    if (a->system != system) continue;
    co_json_key(line, a->key);
    co_json_raw(line, a->json);
  }
  co_json_close(line);
}

static void add_steps(co_json *line, const co_trial *t) {
  co_json_key(line, "intermediate_values");
  co_json_open(line, '{');
  for (int64_t i = 0; i < t->step_count; i++) {
    char step[32];
    snprintf(step, sizeof step, "%lld", (long long)t->steps[i].step);
    co_json_key(line, step);
    add_number(line, t->steps[i].value);
  }
  co_json_close(line);
}

static void add_trial(co_text *journal, const co_read_study *r, const co_trial *t) {
  co_json line;
  begin(&line, co_arena_context(r->arena), CREATE_TRIAL);
  add_time(&line, "datetime_start", t->started);
  co_json_key(&line, "state");
  co_json_int(&line, states[t->state]);
  co_json_key(&line, "values");
  if (isnan(t->value)) {
    co_json_null(&line);
  } else {
    co_json_open(&line, '[');
    add_number(&line, t->value);
    if (r->settings.second) add_number(&line, t->second);
    co_json_close(&line);
  }
  if (t->ended) add_time(&line, "datetime_complete", t->ended); // Optuna takes no null here
  add_parameters(&line, &r->settings.space, t);
  add_notes(&line, t, false);
  add_notes(&line, t, true);
  add_steps(&line, t);
  end(&line, journal);
}

co_status co_study_journal(co_text *journal, co_read_study *r) {
  co_attributes attributes;
  CO_RETURN_IF_FAILED(co_study_attributes(&attributes, r->study, r->arena));
  add_study(journal, r);
  for (int64_t i = 0; i < attributes.count; i++)
    add_attribute(journal, co_arena_context(r->arena), &attributes.item[i]);
  for (int64_t i = 0; i < r->trials.count; i++)
    add_trial(journal, r, &r->trials.item[i]);
  return journal->status;
}
