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

// Of which a number above zero breaks one.
static bool breaks(const char *json, co_arena *arena) {
  co_node *list = NULL;
  co_diagnostics problems;
  bool broken = false;
  co_diagnostics_init(&problems, co_arena_context(arena));
  co_yaml_parse(&list, arena, "constraints", json, strlen(json), &problems);
  co_diagnostics_free(&problems);
  for (int64_t i = 0; list && list->kind == CO_NODE_LIST && i < list->count; i++) {
    double value;
    broken |= !co_node_double(list->items[i], &value) || value > 0;
  }
  return broken;
}

// What this program, and Optuna, note of trials.
static void take_attribute(co_trial *t, const co_attribute *a, co_arena *arena) {
  long long round, from;
  if (a->system) {
    if (strcmp(a->key, "fixed_params") == 0 && t->state == CO_TRIAL_WAITING) t->fixed = a->json;
    if (strcmp(a->key, "constraints") == 0) t->infeasible = breaks(a->json, arena);
  } else if (strcmp(a->key, "cohort:reason") == 0) {
    t->reason = a->json;
  } else if (strcmp(a->key, "cohort:run") == 0) {
    t->own = true;
  } else if (strcmp(a->key, "cohort:thaw") == 0 &&
             sscanf(a->json, "[%lld,%lld]", &round, &from) == 2) {
    t->thaw_round = round;
    t->thaw_from = from;
  }
}

static co_status read_attribute(const co_study *s, void *statement, co_arena *arena,
                                co_attribute *out) {
  CO_RETURN_IF_FAILED(copy_cell(s, statement, 1, arena, &out->key));
  CO_RETURN_IF_FAILED(copy_cell(s, statement, 2, arena, &out->json));
  out->system = co_study_integer(s, statement, 3) == 1;
  if (!out->key) out->key = "";
  if (!out->json) out->json = "null";
  return CO_OK;
}

static co_status read_notes(co_trials *out, co_study *s, co_arena *arena) {
  static const char from[] =
      " FROM (SELECT trial_id, \"key\", value_json, 0 AS system, trial_user_attribute_id AS id "
      "FROM "
      "trial_user_attributes UNION ALL SELECT trial_id, \"key\", value_json, 1, "
      "trial_system_attribute_id FROM trial_system_attributes) a JOIN trials t ON t.trial_id = "
      "a.trial_id WHERE t.study_id = ?1";
  void *statement;
  co_status status = CO_OK;
  int64_t rows = 0, count = 0;
  char sql[600];
  snprintf(sql, sizeof sql, "SELECT count(*)%s", from);
  CO_RETURN_IF_FAILED(count_rows(s, sql, &rows));
  co_attribute *all = co_arena_alloc(arena, (size_t)rows + 1, sizeof *all);
  if (!all) return CO_ERR_MEMORY;
  snprintf(
      sql, sizeof sql,
      "SELECT a.trial_id, a.\"key\", a.value_json, a.system%s ORDER BY a.trial_id, a.system, a.id",
      from);
  CO_RETURN_IF_FAILED(co_study_query(s, &statement, sql, "i", s->id));
  while (co_study_next(s, statement, &status)) {
    co_trial *t = find_trial(out, co_study_integer(s, statement, 0));
    if (!t || count == rows) continue;
    if (!t->attributes.count) t->attributes.item = &all[count];
    t->attributes.count++;
    status = read_attribute(s, statement, arena, &all[count]);
    if (status == CO_OK) take_attribute(t, &all[count++], arena);
  }
  return status;
}

co_status co_study_attributes(co_attributes *out, co_study *s, co_arena *arena) {
  static const char both[] =
      "SELECT 0, \"key\", value_json, 0, study_user_attribute_id FROM study_user_attributes WHERE "
      "study_id = ?1 UNION ALL SELECT 0, \"key\", value_json, 1, study_system_attribute_id FROM "
      "study_system_attributes WHERE study_id = ?1 ORDER BY 4, 5";
  void *statement;
  co_status status = CO_OK;
  co_attribute *item = NULL;
  int64_t capacity = 0;
  *out = (co_attributes){.count = 0};
  CO_RETURN_IF_FAILED(co_study_query(s, &statement, both, "i", s->id));
  while (co_study_next(s, statement, &status)) {
    if (out->count == capacity) {
      co_attribute *larger =
          co_arena_alloc(arena, (size_t)(capacity = 2 * capacity + 8), sizeof *item);
      if (!larger) {
        status = CO_ERR_MEMORY;
        continue;
      }
      if (out->count) memcpy(larger, item, (size_t)out->count * sizeof *item);
      out->item = item = larger;
    }
    status = read_attribute(s, statement, arena, &item[out->count++]);
  }
  return status;
}

co_status co_study_goal_names(char *names[2], co_study *s, co_arena *arena) {
  co_attributes all;
  co_node *list = NULL;
  co_diagnostics problems;
  names[0] = names[1] = NULL;
  CO_RETURN_IF_FAILED(co_study_attributes(&all, s, arena));
  co_diagnostics_init(&problems, co_arena_context(arena));
  for (int64_t i = 0; i < all.count; i++)
    if (all.item[i].system && strcmp(all.item[i].key, "study:metric_names") == 0)
      co_yaml_parse(&list, arena, s->path, all.item[i].json, strlen(all.item[i].json), &problems);
  co_diagnostics_free(&problems);
  for (int64_t i = 0; list && list->kind == CO_NODE_LIST && i < list->count && i < 2; i++)
    if (list->items[i]->kind == CO_NODE_SCALAR &&
        !(names[i] = co_arena_strdup(arena, list->items[i]->text)))
      return CO_ERR_MEMORY;
  return CO_OK;
}

// ---- the space of others -------------------------------------------------------------------------

static co_status add_distribution(co_space *space, const co_study *s, co_arena *arena,
                                  const char *name, const char *json) {
  co_parameter p, *known = NULL;
  CO_RETURN_IF_FAILED(co_parameter_read_distribution(&p, name, json, arena));
  for (int64_t i = 0; i < space->count; i++)
    if (strcmp(space->item[i].path, name) == 0) known = &space->item[i];
  if (!known && space->count == CO_MOST_PARAMETERS)
    return co_fail_at(CO_ERR_IO, s->path, 0, 0, "its study has more than %d parameters",
                      CO_MOST_PARAMETERS);
  if (!known) {
    space->item[space->count++] = p;
    return CO_OK;
  }
  const char *why;
  if (!co_parameter_agrees(known, &p, arena, &why))
    return co_fail_at(CO_ERR_IO, s->path, 0, 0,
                      "its parameter '%s' changes from trial to trial: %s", name,
                      why ? why : "it cannot be read");
  known->lower = fmin(known->lower, p.lower);
  known->upper = fmax(known->upper, p.upper);
  if (known->step != p.step) known->step = known->kind == CO_SPACE_INT ? 1 : 0;
  return CO_OK;
}

co_status co_study_space(co_space *out, co_study *s, co_arena *arena) {
  void *statement;
  co_status status = CO_OK;
  *out = (co_space){.item = co_arena_alloc(arena, CO_MOST_PARAMETERS, sizeof *out->item)};
  if (!out->item) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_study_query(
      s, &statement,
      "SELECT p.param_name, p.distribution_json FROM trial_params p JOIN trials t ON "
      "t.trial_id = p.trial_id WHERE t.study_id = ?1 GROUP BY p.param_name, "
      "p.distribution_json ORDER BY min(p.param_id)",
      "i", s->id));
  while (co_study_next(s, statement, &status)) {
    const char *name, *json;
    status = copy_cell(s, statement, 0, arena, &name);
    if (status == CO_OK) status = copy_cell(s, statement, 1, arena, &json);
    if (status == CO_OK)
      status = add_distribution(out, s, arena, name ? name : "", json ? json : "");
  }
  return status;
}

// ---- trials ------------------------------------------------------------------------------------

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
