// SPDX-License-Identifier: Apache-2.0
// What a study holds.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/tune/study_private.h"

static co_status copy_cell(const co_study *s, void *statement, int column, co_arena *arena,
                           const char **out) {
  const char *text = co_study_cell(s, statement, column);
  *out = text ? co_arena_strdup(arena, text) : NULL;
  return !text || *out ? CO_OK : CO_ERR_MEMORY;
}

// A value and its type, as trial_values and trial_intermediate_values have them.
static double read_value(const co_study *s, void *statement, int column) {
  const char *type = co_study_cell(s, statement, column + 1);
  if (type && strcmp(type, "INF_POS") == 0) return INFINITY;
  if (type && strcmp(type, "INF_NEG") == 0) return -INFINITY;
  if (s->api.column_type(statement, column) != CO_SQL_FLOAT &&
      s->api.column_type(statement, column) != CO_SQL_INTEGER)
    return NAN;
  return s->api.column_double(statement, column);
}

co_status co_study_attribute(const char **text, co_study *s, co_arena *arena, const char *key) {
  void *statement;
  co_status status = CO_OK;
  *text = NULL;
  CO_RETURN_IF_FAILED(
      co_study_query(s, &statement,
                     "SELECT value_json FROM study_user_attributes WHERE study_id = ?1 AND "
                     "\"key\" = ?2",
                     "it", s->id, key));
  while (co_study_next(s, statement, &status))
    status = copy_cell(s, statement, 0, arena, text);
  return status;
}

static int64_t parse_state(const char *name) {
  for (int i = 0; i < 5; i++)
    if (name && strcmp(name, co_trial_state_name((co_trial_state)i)) == 0) return i;
  return -1;
}

static co_trial *find_trial(co_trials *trials, int64_t id) {
  int64_t low = 0, high = trials->count; // ids ascend with numbers
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (trials->item[middle].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low < trials->count && trials->item[low].id == id ? &trials->item[low] : NULL;
}

static co_status count_rows(co_study *s, const char *sql, int64_t *count) {
  void *statement;
  co_status status = CO_OK;
  CO_RETURN_IF_FAILED(co_study_query(s, &statement, sql, "i", s->id));
  while (co_study_next(s, statement, &status))
    *count = co_study_integer(s, statement, 0);
  return status;
}

static co_status read_trials(co_trials *out, co_study *s, const co_space *space, co_arena *arena) {
  void *statement;
  co_status status = CO_OK;
  int64_t rows = 0;
  CO_RETURN_IF_FAILED(count_rows(s, "SELECT count(*) FROM trials WHERE study_id = ?1", &rows));
  out->item = co_arena_alloc(arena, (size_t)rows + 1, sizeof *out->item);
  if (!out->item) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_study_query(s, &statement,
                     "SELECT trial_id, number, state, datetime_start, datetime_complete FROM "
                     "trials WHERE study_id = ?1 ORDER BY trial_id",
                     "i", s->id));
  while (co_study_next(s, statement, &status)) {
    int64_t state = parse_state(co_study_cell(s, statement, 2));
    if (out->count == rows) break;
    co_trial *t = &out->item[out->count];
    *t = (co_trial){
        .id = co_study_integer(s, statement, 0), .number = out->count, .value = NAN, .second = NAN};
    t->state = (co_trial_state)state;
    t->values = co_arena_alloc(arena, (size_t)space->count + 1, sizeof *t->values);
    if (!t->values) status = CO_ERR_MEMORY;
    for (int64_t i = 0; t->values && i < space->count; i++)
      t->values[i] = NAN;
    if (state < 0 || co_study_integer(s, statement, 1) != out->count)
      status =
          co_fail_at(CO_ERR_IO, s->path, 0, 0, "its trial %lld is damaged", (long long)out->count);
    if (status == CO_OK) status = copy_cell(s, statement, 3, arena, &t->started);
    if (status == CO_OK) status = copy_cell(s, statement, 4, arena, &t->ended);
    out->count++;
  }
  return status;
}

static co_status read_parameters(co_trials *out, co_study *s, const co_space *space) {
  void *statement;
  co_status status = CO_OK;
  CO_RETURN_IF_FAILED(
      co_study_query(s, &statement,
                     "SELECT p.trial_id, p.param_name, p.param_value FROM trial_params p JOIN "
                     "trials t ON t.trial_id = p.trial_id WHERE t.study_id = ?1",
                     "i", s->id));
  while (co_study_next(s, statement, &status)) {
    co_trial *t = find_trial(out, co_study_integer(s, statement, 0));
    const char *name = co_study_cell(s, statement, 1);
    for (int64_t i = 0; t && name && i < space->count; i++) {
      double value = s->api.column_double(statement, 2);
      if (strcmp(space->item[i].path, name) == 0 && co_parameter_holds(&space->item[i], value))
        t->values[i] = value;
    }
  }
  return status;
}

static co_status read_values(co_trials *out, co_study *s) {
  void *statement;
  co_status status = CO_OK;
  CO_RETURN_IF_FAILED(co_study_query(
      s, &statement,
      "SELECT v.trial_id, v.value, v.value_type, v.objective FROM trial_values v JOIN trials "
      "t ON t.trial_id = v.trial_id WHERE t.study_id = ?1",
      "i", s->id));
  while (co_study_next(s, statement, &status)) {
    co_trial *t = find_trial(out, co_study_integer(s, statement, 0));
    int64_t goal = co_study_integer(s, statement, 3);
    if (t && goal == 0) t->value = read_value(s, statement, 1);
    if (t && goal == 1) t->second = read_value(s, statement, 1);
  }
  return status;
}

// What this program notes of trials.
static co_status read_notes(co_trials *out, co_study *s, co_arena *arena) {
  void *statement;
  co_status status = CO_OK;
  CO_RETURN_IF_FAILED(
      co_study_query(s, &statement,
                     "SELECT a.trial_id, a.value_json, a.\"key\" FROM (SELECT trial_id, "
                     "value_json, \"key\" FROM trial_user_attributes WHERE \"key\" IN "
                     "('cohort:reason', 'cohort:thaw', 'cohort:run') UNION ALL SELECT trial_id, "
                     "value_json, \"key\" FROM trial_system_attributes WHERE \"key\" = "
                     "'fixed_params') a JOIN trials t ON t.trial_id = a.trial_id WHERE "
                     "t.study_id = ?1",
                     "i", s->id));
  while (co_study_next(s, statement, &status)) {
    co_trial *t = find_trial(out, co_study_integer(s, statement, 0));
    const char *text = co_study_cell(s, statement, 1), *key = co_study_cell(s, statement, 2);
    long long round, from;
    if (!t || !text || !key) continue;
    if (strcmp(key, "cohort:reason") == 0) {
      status = copy_cell(s, statement, 1, arena, &t->reason);
    } else if (strcmp(key, "fixed_params") == 0) {
      if (t->state == CO_TRIAL_WAITING) status = copy_cell(s, statement, 1, arena, &t->fixed);
    } else if (strcmp(key, "cohort:run") == 0) {
      t->own = true;
    } else if (sscanf(text, "[%lld,%lld]", &round, &from) == 2) {
      t->thaw_round = round;
      t->thaw_from = from;
    }
  }
  return status;
}

static co_status read_steps(co_trials *out, co_study *s, co_arena *arena) {
  static const char from[] = " FROM trial_intermediate_values v JOIN trials t ON t.trial_id = "
                             "v.trial_id WHERE t.study_id = ?1";
  void *statement;
  co_status status = CO_OK;
  int64_t rows = 0, count = 0;
  char sql[400];
  snprintf(sql, sizeof sql, "SELECT count(*)%s", from);
  CO_RETURN_IF_FAILED(count_rows(s, sql, &rows));
  co_trial_value *all = co_arena_alloc(arena, (size_t)rows + 1, sizeof *all);
  if (!all) return CO_ERR_MEMORY;
  snprintf(sql, sizeof sql,
           "SELECT v.trial_id, v.step, v.intermediate_value, v.intermediate_value_type%s ORDER BY "
           "v.trial_id, v.step",
           from);
  CO_RETURN_IF_FAILED(co_study_query(s, &statement, sql, "i", s->id));
  while (co_study_next(s, statement, &status)) {
    co_trial *t = find_trial(out, co_study_integer(s, statement, 0));
    if (!t || count == rows) continue;
    if (!t->step_count) t->steps = &all[count];
    t->step_count++;
    all[count++] = (co_trial_value){.trial = t->number,
                                    .step = co_study_integer(s, statement, 1),
                                    .value = read_value(s, statement, 2)};
  }
  return status;
}

co_status co_study_trials(co_trials *out, co_study *s, const co_space *space, co_arena *arena,
                          bool steps) {
  *out = (co_trials){.count = 0};
  CO_RETURN_IF_FAILED(read_trials(out, s, space, arena));
  CO_RETURN_IF_FAILED(read_parameters(out, s, space));
  CO_RETURN_IF_FAILED(read_values(out, s));
  CO_RETURN_IF_FAILED(read_notes(out, s, arena));
  return steps ? read_steps(out, s, arena) : CO_OK;
}
