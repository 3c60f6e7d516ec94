// SPDX-License-Identifier: Apache-2.0
// How a search comes to its study: it makes one, goes on with its own, or takes one over from Optuna.
#include <stdlib.h>
#include <string.h>

#include "host/api/hyperopt.h"
#include "host/core/file.h"

// ---- its own -----------------------------------------------------------------------------------

static co_status another(const co_tuning *t, const char *what, const char *details) {
  co_status status =
      co_fail_at(CO_ERR_IO, t->options->study, 0, 0, "the file has a study of another %s%s%s", what,
                 details ? ": " : "", details ? details : "");
  co_hint("go on with it without -c and --set, or choose another file");
  return status;
}

co_status co_tuning_check_same(co_tuning *t) {
  const char *stored, *fingerprint, *path, *initial;
  co_node *then = NULL;
  co_difference d;
  CO_RETURN_IF_FAILED(co_study_attribute(&stored, t->study, t->arena, CO_STUDY_CONFIG));
  CO_RETURN_IF_FAILED(co_study_text(&fingerprint, t->study, t->arena, CO_STUDY_DATASET));
  CO_RETURN_IF_FAILED(co_study_text(&path, t->study, t->arena, CO_STUDY_DATASET_PATH));
  if (!stored) return another(t, "program", NULL);
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&then, t->arena, t->options->study, stored, strlen(stored), t->problems));
  if (co_node_differ(&d, then, t->config))
    return another(t, "config",
                   !d.a   ? co_arena_format(t->arena, "it has no %s", d.path)
                   : !d.b ? co_arena_format(t->arena, "it has %s %s, this one none", d.path,
                                            co_node_brief(d.a))
                          : co_arena_format(t->arena, "it has %s %s, not %s", d.path,
                                            co_node_brief(d.a), co_node_brief(d.b)));
  if (!fingerprint || strcmp(fingerprint, co_dataset_fingerprint(t->search.dataset)) != 0)
    return another(t, "dataset",
                   path ? co_arena_format(t->arena, "it was begun on %s", path) : NULL);
  CO_RETURN_IF_FAILED(co_study_text(&initial, t->study, t->arena, CO_STUDY_INIT_SHA256));
  if (!t->init_sha256 && !initial) return CO_OK;
  return t->init_sha256 && initial && strcmp(t->init_sha256, initial) == 0
             ? CO_OK
             : another(t, "model to begin with", NULL);
}

// ---- a new one ---------------------------------------------------------------------------------

static char *as_json(co_arena *arena, const co_node *node, const char *text) {
  co_json json;
  co_json_init(&json, co_arena_context(arena), 0);
  node ? co_node_render(&json, node) : co_json_string(&json, text);
  char *out = json.text.status == CO_OK ? co_arena_strdup(arena, json.text.data) : NULL;
  co_json_free(&json);
  return out;
}

static const char *study_name(const co_tuning *t) {
  const char *file = strrchr(t->options->study, '/');
  file = file ? file + 1 : t->options->study;
  const char *dot = strrchr(file, '.');
  return t->options->name
             ? t->options->name
             : co_arena_strndup(t->arena, file,
                                dot && dot > file ? (size_t)(dot - file) : strlen(file));
}

enum { NOTES = 5 };
static const char *const note_keys[NOTES] = {CO_STUDY_CONFIG, CO_STUDY_DATASET,
                                             CO_STUDY_DATASET_PATH, CO_STUDY_INIT_FROM,
                                             CO_STUDY_INIT_SHA256};

// *count: the last two are of those that begin with a model.
static co_status make_notes(const co_tuning *t, const char *values[NOTES], int *count) {
  char *absolute = realpath(t->dataset_path, NULL);
  values[0] = as_json(t->arena, t->config, NULL);
  values[1] = as_json(t->arena, NULL, co_dataset_fingerprint(t->search.dataset));
  values[2] = as_json(t->arena, NULL, absolute ? absolute : t->dataset_path);
  free(absolute);
  *count = t->init_sha256 ? NOTES : NOTES - 2;
  for (int i = 3; i < *count; i++)
    values[i] = as_json(t->arena, NULL, i == 3 ? t->search.init_from : t->init_sha256);
  for (int i = 0; i < *count; i++)
    if (!values[i]) return CO_ERR_MEMORY;
  return CO_OK;
}

static const char *metric_name(const co_tuning *t) {
  return t->settings.metric ? t->settings.metric : "loss";
}

co_status co_tuning_make(co_tuning *t) {
  const char *values[NOTES];
  int count;
  CO_RETURN_IF_FAILED(make_notes(t, values, &count));
  const co_study_start start = {.name = study_name(t),
                                .metric = metric_name(t),
                                .second = t->settings.second,
                                .maximize = t->search.maximize,
                                .maximize_second = t->search.maximize_second,
                                .keys = note_keys,
                                .values = values,
                                .count = count};
  if (!start.name) return CO_ERR_MEMORY;
  co_status made = co_study_create(t->context->ctx, t->options->study, &start);
  // Of several processes that begin at once, one makes it.
  if (made != CO_OK && !co_path_exists(t->options->study)) return made;
  co_error_clear();
  CO_RETURN_IF_FAILED(co_study_open(&t->study, t->context->ctx, t->options->study, NULL, true));
  return made == CO_OK ? CO_OK : co_tuning_check_same(t);
}

// ---- one of Optuna's ---------------------------------------------------------------------------

static co_status differs(const co_tuning *t, const char *what, const char *was, const char *is) {
  co_status status = co_fail_at(CO_ERR_IO, t->options->study, 0, 0,
                                "Optuna began its study with another %s: it has %s%s%s", what, was,
                                is ? ", not " : "", is ? is : "");
  co_hint("change hyperopt: in the config to it, or choose another file");
  return status;
}

static co_status check_goals(const co_tuning *t) {
  const int goals = t->settings.second ? 2 : 1;
  const char *const names[2] = {metric_name(t), t->settings.second};
  const bool maximize[2] = {t->search.maximize, t->search.maximize_second};
  char *theirs[2];
  CO_RETURN_IF_FAILED(co_study_goal_names(theirs, t->study, t->arena));
  if (co_study_goals(t->study) != goals)
    return differs(t, "number of goals", co_study_goals(t->study) == 2 ? "two" : "one",
                   goals == 2 ? "two" : "one");
  for (int i = 0; i < goals; i++) {
    if (co_study_maximizes(t->study, i) != maximize[i])
      return differs(
          t, "direction", co_study_maximizes(t->study, i) ? "maximize" : "minimize",
          co_arena_format(t->arena, "%s %s", maximize[i] ? "maximize" : "minimize", names[i]));
    if (theirs[i] && strcmp(theirs[i], names[i]) != 0)
      return differs(t, "goal", theirs[i], names[i]);
  }
  return CO_OK;
}

static co_status check_parameters(const co_tuning *t) {
  co_space theirs;
  const co_space *ours = &t->settings.space;
  CO_RETURN_IF_FAILED(co_study_space(&theirs, t->study, t->arena));
  for (int64_t i = 0; i < theirs.count; i++) {
    const co_parameter *p = &theirs.item[i], *own = NULL;
    const char *why = NULL;
    for (int64_t k = 0; k < ours->count; k++)
      if (strcmp(ours->item[k].path, p->path) == 0) own = &ours->item[k];
    if (!own)
      return differs(t, "space",
                     co_arena_format(t->arena, "'%s', which hyperopt.parameters lacks", p->path),
                     NULL);
    if (!co_parameter_agrees(p, own, t->arena, &why))
      return differs(t, "space",
                     co_arena_format(t->arena, "'%s': %s", p->path, why ? why : "unread"), NULL);
  }
  return CO_OK;
}

static co_status note_adopted(co_tuning *t) {
  const char *values[NOTES], *stored;
  int count;
  CO_RETURN_IF_FAILED(make_notes(t, values, &count));
  // Another process may have been here before.
  CO_RETURN_IF_FAILED(co_study_attribute(&stored, t->study, t->arena, CO_STUDY_CONFIG));
  if (stored) return co_tuning_check_same(t);
  for (int i = 0; i < count; i++)
    CO_RETURN_IF_FAILED(co_study_note(t->study, note_keys[i], values[i]));
  return co_study_name_goals(t->study, metric_name(t), t->settings.second);
}

co_status co_tuning_adopt(co_tuning *t) {
  co_trials trials;
  int64_t fitting = 0;
  CO_RETURN_IF_FAILED(check_goals(t));
  CO_RETURN_IF_FAILED(check_parameters(t));
  CO_RETURN_IF_FAILED(co_study_trials(&trials, t->study, &t->settings.space, t->arena, false));
  for (int64_t i = 0; i < trials.count; i++)
    fitting += co_space_fits(&t->settings.space, trials.item[i].values);
  co_log(t->context->ctx, CO_LOG_INFO, "begin",
         "a study that Optuna began: of its %lld trials %lld have values of these spaces, and are "
         "learned from",
         (long long)trials.count, (long long)fitting);
  CO_RETURN_IF_FAILED(co_study_begin(t->study));
  return co_study_end(t->study, note_adopted(t));
}
