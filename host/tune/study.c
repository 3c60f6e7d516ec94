// SPDX-License-Identifier: Apache-2.0
#include "host/tune/study_private.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/core/file.h"
#include "host/core/temporary.h"

enum { PATIENCE = 60000 }; // milliseconds that another's lock is waited for

#define SCHEMA_VERSION "12" // of version_info: frozen
#define SCHEMA_ID "v3.2.0.a"

// As Optuna 5.0.0 makes them.
static const char schema[] =
    "CREATE TABLE studies (study_id INTEGER NOT NULL PRIMARY KEY, study_name VARCHAR(512) NOT "
    "NULL);"
    "CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);"
    "CREATE TABLE version_info (version_info_id INTEGER NOT NULL PRIMARY KEY CHECK "
    "(version_info_id=1), schema_version INTEGER, library_version VARCHAR(256));"
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
    "CREATE TABLE study_directions (study_direction_id INTEGER NOT NULL PRIMARY KEY, direction "
    "VARCHAR(8) NOT NULL, study_id INTEGER NOT NULL REFERENCES studies(study_id), objective "
    "INTEGER "
    "NOT NULL, UNIQUE(study_id,objective));"
    "CREATE TABLE study_user_attributes (study_user_attribute_id INTEGER NOT NULL PRIMARY KEY, "
    "study_id INTEGER REFERENCES studies(study_id), \"key\" VARCHAR(512), value_json TEXT, "
    "UNIQUE(study_id,\"key\"));"
    "CREATE TABLE study_system_attributes (study_system_attribute_id INTEGER NOT NULL PRIMARY KEY, "
    "study_id INTEGER REFERENCES studies(study_id), \"key\" VARCHAR(512), value_json TEXT, "
    "UNIQUE(study_id,\"key\"));"
    "CREATE TABLE trials (trial_id INTEGER NOT NULL PRIMARY KEY, number INTEGER, study_id INTEGER "
    "REFERENCES studies(study_id), state VARCHAR(8) NOT NULL, datetime_start DATETIME, "
    "datetime_complete DATETIME);"
    "CREATE INDEX ix_trials_study_id ON trials (study_id);"
    "CREATE TABLE trial_user_attributes (trial_user_attribute_id INTEGER NOT NULL PRIMARY KEY, "
    "trial_id INTEGER REFERENCES trials(trial_id), \"key\" VARCHAR(512), value_json TEXT, "
    "UNIQUE(trial_id,\"key\"));"
    "CREATE TABLE trial_system_attributes (trial_system_attribute_id INTEGER NOT NULL PRIMARY KEY, "
    "trial_id INTEGER REFERENCES trials(trial_id), \"key\" VARCHAR(512), value_json TEXT, "
    "UNIQUE(trial_id,\"key\"));"
    "CREATE TABLE trial_params (param_id INTEGER NOT NULL PRIMARY KEY, trial_id INTEGER REFERENCES "
    "trials(trial_id), param_name VARCHAR(512), param_value FLOAT, distribution_json TEXT, "
    "UNIQUE(trial_id,param_name));"
    "CREATE TABLE trial_values (trial_value_id INTEGER NOT NULL PRIMARY KEY, trial_id INTEGER NOT "
    "NULL REFERENCES trials(trial_id), objective INTEGER NOT NULL, value FLOAT, value_type "
    "VARCHAR(7) NOT NULL, UNIQUE(trial_id,objective));"
    "CREATE TABLE trial_intermediate_values (trial_intermediate_value_id INTEGER NOT NULL PRIMARY "
    "KEY, trial_id INTEGER NOT NULL REFERENCES trials(trial_id), step INTEGER NOT NULL, "
    "intermediate_value FLOAT, intermediate_value_type VARCHAR(7) NOT NULL, UNIQUE(trial_id,step));"
    "CREATE TABLE trial_heartbeats (trial_heartbeat_id INTEGER NOT NULL PRIMARY KEY, trial_id "
    "INTEGER NOT NULL UNIQUE REFERENCES trials(trial_id), heartbeat DATETIME NOT NULL);"
    "INSERT INTO version_info VALUES (1, " SCHEMA_VERSION ", '5.0.0');"
    "INSERT INTO alembic_version VALUES ('" SCHEMA_ID "');";

static const char *const state_names[] = {"RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING"};

const char *co_trial_state_name(co_trial_state state) {
  return state_names[state];
}

// ---- statements --------------------------------------------------------------------------------

static co_status failed(const co_study *s, const char *doing, int code) {
  if (code == CO_SQL_NOT_A_DATABASE) {
    co_status status = co_fail_at(CO_ERR_IO, s->path, 0, 0, "it is no database of SQLite");
    co_hint("it is left as it is; choose another name for the study");
    return status;
  }
  co_status status = co_fail_at(CO_ERR_IO, s->path, 0, 0, "%s: %s", doing,
                                s->database ? s->api.errmsg(s->database) : "out of memory");
  if (code == CO_SQL_BUSY) co_hint("another program holds the study; try again when it is done");
  return status;
}

// A statement with its values bound: i int64_t, d double, t text (NULL is NULL).
static co_status prepare(const co_study *s, void **out, const char *sql, const char *types,
                         va_list values) {
  *out = NULL;
  int code = s->api.prepare_v2(s->database, sql, -1, out, NULL);
  for (int i = 0; code == CO_SQL_OK && types[i]; i++) {
    if (types[i] == 'i') code = s->api.bind_int64(*out, i + 1, va_arg(values, int64_t));
    if (types[i] == 'd') code = s->api.bind_double(*out, i + 1, va_arg(values, double));
    if (types[i] != 't') continue;
    const char *text = va_arg(values, const char *);
    if (text) code = s->api.bind_text(*out, i + 1, text, -1, NULL);
  }
  if (code == CO_SQL_OK) return CO_OK;
  co_status status = failed(s, "the study cannot be used", code);
  if (*out) s->api.finalize(*out);
  *out = NULL;
  return status;
}

// Writes.
static co_status run(const co_study *s, const char *sql, const char *types, ...) {
  void *statement;
  int error = co_io_fault(s->ctx);
  if (error) return co_fail_errno(CO_ERR_IO, error, "cannot write '%s'", s->path);
  va_list values;
  va_start(values, types);
  co_status status = prepare(s, &statement, sql, types, values);
  va_end(values);
  CO_RETURN_IF_FAILED(status);
  co_alive(s->ctx, CO_PATIENCE_DISK);
  int code = s->api.step(statement);
  if (code != CO_SQL_DONE && code != CO_SQL_ROW)
    status = failed(s, "the study cannot be written", code);
  s->api.finalize(statement);
  return status;
}

co_status co_study_query(const co_study *s, void **out, const char *sql, const char *types, ...) {
  va_list values;
  va_start(values, types);
  co_status status = prepare(s, out, sql, types, values);
  va_end(values);
  return status;
}

bool co_study_next(const co_study *s, void *statement, co_status *status) {
  if (*status == CO_OK) {
    int code = s->api.step(statement);
    if (code == CO_SQL_ROW) return true;
    if (code != CO_SQL_DONE) *status = failed(s, "the study cannot be read", code);
  }
  s->api.finalize(statement);
  return false;
}

const char *co_study_cell(const co_study *s, void *statement, int column) {
  return (const char *)s->api.column_text(statement, column); // NULL of NULL
}

int64_t co_study_integer(const co_study *s, void *statement, int column) {
  const char *text = co_study_cell(s, statement, column);
  return text ? strtoll(text, NULL, 10) : -1;
}

static const char *value_type(double value) {
  return isnan(value) ? "NAN" : isfinite(value) ? "FINITE" : value > 0 ? "INF_POS" : "INF_NEG";
}

static void print_now(char out[64]) {
  struct timespec now;
  struct tm utc;
  char text[24];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
  snprintf(out, 64, "%s.%06ld", text, now.tv_nsec / 1000);
}

// ---- opening and closing -----------------------------------------------------------------------

static co_status open_database(co_study **out, co_context *ctx, const char *path, int flags) {
  co_study *s = *out = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  s->ctx = ctx;
  s->path = co_strdup(ctx, path);
  if (!s->path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_sqlite_load(&s->api));
  int code = s->api.open_v2(path, &s->database, flags, NULL);
  if (code != CO_SQL_OK) return failed(s, "the study cannot be opened", code);
  s->api.busy_timeout(s->database, PATIENCE);
  return CO_OK;
}

static co_status refuse(const co_study *s, const char *what, const char *version) {
  co_status status = co_fail_at(CO_ERR_IO, s->path, 0, 0, what, version, SCHEMA_ID);
  co_hint(version ? "`optuna storage upgrade --storage sqlite:///FILE` brings it up to date"
                  : "it is left as it is; choose another name for the study");
  return status;
}

static co_status check_schema(const co_study *s) {
  void *statement;
  char version[64] = "";
  bool there = false;
  co_status status;
  CO_RETURN_IF_FAILED(co_study_query(s, &statement,
                                     "SELECT 1 FROM sqlite_master WHERE name IN "
                                     "('studies', 'version_info')",
                                     ""));
  int tables = 0;
  for (status = CO_OK; co_study_next(s, statement, &status);)
    tables++;
  CO_RETURN_IF_FAILED(status);
  if (tables < 2) return refuse(s, "it is a database, but holds no study of Optuna's", NULL);
  CO_RETURN_IF_FAILED(co_study_query(s, &statement,
                                     "SELECT 1 FROM sqlite_master WHERE name = "
                                     "'alembic_version'",
                                     ""));
  for (status = CO_OK; co_study_next(s, statement, &status);)
    there = true;
  CO_RETURN_IF_FAILED(status);
  if (!there) return refuse(s, "its schema is %s, this program reads %s", "older than v1.3.0");
  CO_RETURN_IF_FAILED(co_study_query(s, &statement, "SELECT version_num FROM alembic_version", ""));
  for (status = CO_OK; co_study_next(s, statement, &status);)
    snprintf(version, sizeof version, "%s",
             co_study_cell(s, statement, 0) ? co_study_cell(s, statement, 0) : "");
  CO_RETURN_IF_FAILED(status);
  return strcmp(version, SCHEMA_ID) == 0
             ? CO_OK
             : refuse(s, "its schema is Optuna's %s, this program reads %s", version);
}

// Of several none, which is told with their names.
static co_status refuse_several(const co_study *s, const char *wanted, int64_t studies,
                                const co_text *names) {
  co_status status = wanted ? co_fail_at(CO_ERR_IO, s->path, 0, 0, "it holds no study '%s', but %s",
                                         wanted, studies ? names->data : "none")
                            : co_fail_at(CO_ERR_IO, s->path, 0, 0, "it holds %lld studies: %s",
                                         (long long)studies, studies ? names->data : "none");
  if (studies) co_hint("--study-name NAME chooses one");
  return status;
}

static co_status choose_study(co_study *s, const char *wanted, co_text *names) {
  void *statement;
  co_status status = CO_OK;
  int64_t studies = 0, fitting = 0;
  CO_RETURN_IF_FAILED(co_study_query(
      s, &statement, "SELECT study_id, study_name FROM studies ORDER BY study_id", ""));
  while (co_study_next(s, statement, &status)) {
    const char *name = co_study_cell(s, statement, 1);
    if (!name) name = "";
    co_text_printf(names, "%s'%s'", studies++ ? ", " : "", name);
    if (wanted && strcmp(wanted, name) != 0) continue;
    fitting++;
    s->id = co_study_integer(s, statement, 0);
    co_free(s->ctx, s->name);
    s->name = co_strdup(s->ctx, name);
    if (!s->name) status = CO_ERR_MEMORY;
  }
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(names->status);
  return fitting == 1 ? CO_OK : refuse_several(s, wanted, studies, names);
}

static co_status find_goals(co_study *s) {
  void *statement;
  co_status status = CO_OK;
  CO_RETURN_IF_FAILED(co_study_query(s, &statement,
                                     "SELECT direction FROM study_directions WHERE study_id = "
                                     "?1 ORDER BY objective",
                                     "i", s->id));
  while (co_study_next(s, statement, &status)) {
    const char *direction = co_study_cell(s, statement, 0);
    if (s->goals < 2) s->maximizes[s->goals] = direction && strcmp(direction, "MAXIMIZE") == 0;
    s->goals++;
  }
  if (status == CO_OK && (s->goals < 1 || s->goals > 2))
    status =
        co_fail_at(CO_ERR_IO, s->path, 0, 0, "its study has %d goals; there may be two", s->goals);
  return status;
}

static co_status find_study(co_study *s, const char *wanted) {
  co_text names;
  co_text_init(&names, s->ctx);
  co_status status = choose_study(s, wanted, &names);
  co_text_free(&names);
  return status == CO_OK ? find_goals(s) : status;
}

co_status co_study_open(co_study **out, co_context *ctx, const char *path, const char *name,
                        bool writable) {
  *out = NULL;
  if (!co_path_exists(path)) {
    co_status status = co_fail_at(CO_ERR_IO, path, 0, 0, "there is no study");
    co_hint("cohort hyperopt run -O FILE begins one");
    return status;
  }
  co_status status =
      open_database(out, ctx, path, writable ? CO_SQL_OPEN_READWRITE : CO_SQL_OPEN_READONLY);
  if (status == CO_OK) status = check_schema(*out);
  if (status == CO_OK) status = find_study(*out, name);
  if (status == CO_OK) return CO_OK;
  co_study_close(*out);
  *out = NULL;
  return status;
}

void co_study_close(co_study *s) {
  if (!s) return;
  if (s->database) s->api.close(s->database);
  co_sqlite_unload(&s->api);
  co_free(s->ctx, s->name);
  co_free(s->ctx, s->path);
  co_free(s->ctx, s);
}

const char *co_study_path(const co_study *s) {
  return s->path;
}

const char *co_study_name(const co_study *s) {
  return s->name;
}

bool co_study_maximizes(const co_study *s, int goal) {
  return s->maximizes[goal];
}

char *co_study_folder(const co_study *s, co_arena *arena, const char *kind) {
  return s->id == 1 ? co_arena_format(arena, "%s.%s", s->path, kind)
                    : co_arena_format(arena, "%s.%lld.%s", s->path, (long long)s->id, kind);
}

int co_study_goals(const co_study *s) {
  return s->goals;
}

static co_status fill(co_study *s, const co_study_start *start) {
  int code = s->api.exec(s->database, schema, NULL, NULL, NULL);
  if (code != CO_SQL_OK) return failed(s, "the study cannot be made", code);
  CO_RETURN_IF_FAILED(run(s, "INSERT INTO studies VALUES (1, ?1)", "t", start->name));
  for (int goal = 0; goal < (start->second ? 2 : 1); goal++) {
    bool maximize = goal ? start->maximize_second : start->maximize;
    CO_RETURN_IF_FAILED(run(s,
                            "INSERT INTO study_directions (direction, study_id, objective) VALUES "
                            "(?1, 1, ?2)",
                            "ti", maximize ? "MAXIMIZE" : "MINIMIZE", (int64_t)goal));
  }
  s->id = 1;
  co_status status = co_study_name_goals(s, start->metric, start->second);
  for (int64_t i = 0; status == CO_OK && i < start->count; i++)
    status = run(
        s, "INSERT INTO study_user_attributes (study_id, \"key\", value_json) VALUES (1, ?1, ?2)",
        "tt", start->keys[i], start->values[i]);
  return status;
}

co_status co_study_create(co_context *ctx, const char *path, const co_study_start *start) {
  co_atomic_file file;
  co_study *s = NULL;
  co_remove_stale_temporaries(ctx, path);
  CO_RETURN_IF_FAILED(co_atomic_begin(&file, ctx, path));
  file.keep_existing = true;
  co_status status = open_database(&s, ctx, file.temporary, CO_SQL_OPEN_READWRITE);
  // Nobody goes on with a temporary: there is to be no file beside it.
  if (status == CO_OK) status = run(s, "PRAGMA journal_mode = MEMORY", "");
  if (status == CO_OK) status = co_study_begin(s);
  if (status == CO_OK) status = co_study_end(s, fill(s, start));
  co_study_close(s);
  if (status == CO_OK) status = co_atomic_commit(&file);
  co_atomic_abort(&file);
  return status;
}

co_status co_study_begin(co_study *s) {
  return run(s, "BEGIN IMMEDIATE", "");
}

co_status co_study_end(co_study *s, co_status status) {
  if (status == CO_OK) {
    status = run(s, "COMMIT", "");
    if (status == CO_OK) return CO_OK;
  }
  // What failed is what is told.
  s->api.exec(s->database, "ROLLBACK", NULL, NULL, NULL);
  return status;
}

// ---- writing -----------------------------------------------------------------------------------

static co_status last_id(co_study *s, int64_t number, int64_t *id) {
  void *statement;
  co_status status = CO_OK;
  CO_RETURN_IF_FAILED(co_study_query(
      s, &statement, "SELECT trial_id FROM trials WHERE study_id = ?1 AND number = ?2", "ii", s->id,
      number));
  while (co_study_next(s, statement, &status))
    *id = co_study_integer(s, statement, 0);
  return status;
}

static co_status add_note(co_study *s, int64_t id, const char *key, const char *json) {
  return run(
      s,
      "INSERT OR REPLACE INTO trial_user_attributes (trial_id, \"key\", value_json) VALUES (?1, "
      "?2, ?3)",
      "itt", id, key, json);
}

// With a note of its run, which says that it is this program's.
static co_status add_parameters(co_study *s, int64_t id, int64_t number, const co_space *space,
                                const double *values) {
  char name[40];
  snprintf(name, sizeof name, "\"trial-%04lld\"", (long long)number);
  for (int64_t i = 0; i < space->count; i++) {
    if (isnan(values[i])) continue;
    co_json json;
    co_json_init(&json, s->ctx, 0);
    co_parameter_render_distribution(&json, &space->item[i]);
    co_status status = json.text.status;
    if (status == CO_OK)
      status =
          run(s,
              "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
              "VALUES (?1, ?2, ?3, ?4)",
              "itdt", id, space->item[i].path, values[i], json.text.data);
    co_json_free(&json);
    CO_RETURN_IF_FAILED(status);
  }
  return add_note(s, id, "cohort:run", name);
}

co_status co_study_add(co_study *s, int64_t number, const co_space *space, const double *values,
                       int64_t *id) {
  char now[64];
  print_now(now);
  CO_RETURN_IF_FAILED(
      run(s,
          "INSERT INTO trials (number, study_id, state, datetime_start) VALUES (?1, "
          "?2, 'RUNNING', ?3)",
          "iit", number, s->id, now));
  CO_RETURN_IF_FAILED(last_id(s, number, id));
  return add_parameters(s, *id, number, space, values);
}

co_status co_study_start_waiting(co_study *s, int64_t id, int64_t number, const co_space *space,
                                 const double *values) {
  char now[64];
  print_now(now);
  CO_RETURN_IF_FAILED(
      run(s,
          "UPDATE trials SET state = 'RUNNING', datetime_start = ?2 WHERE trial_id = "
          "?1",
          "it", id, now));
  return add_parameters(s, id, number, space, values);
}

co_status co_study_report(co_study *s, int64_t id, int64_t step, double value) {
  static const char finite[] =
      "INSERT OR REPLACE INTO trial_intermediate_values (trial_id, step, "
      "intermediate_value, intermediate_value_type) VALUES (?1, ?2, ?4, ?3)";
  static const char other[] =
      "INSERT OR REPLACE INTO trial_intermediate_values (trial_id, step, "
      "intermediate_value, intermediate_value_type) VALUES (?1, ?2, NULL, ?3)";
  if (!isfinite(value)) return run(s, other, "iit", id, step, value_type(value));
  return run(s, finite, "iitd", id, step, value_type(value), value);
}

static co_status add_reason(co_study *s, int64_t id, const char *reason) {
  co_json json;
  co_json_init(&json, s->ctx, 0);
  co_json_string(&json, reason);
  co_status status = json.text.status;
  if (status == CO_OK) status = add_note(s, id, "cohort:reason", json.text.data);
  co_json_free(&json);
  return status;
}

static co_status run_again(co_study *s, int64_t id) {
  CO_RETURN_IF_FAILED(run(s, "DELETE FROM trial_values WHERE trial_id = ?1", "i", id));
  return run(s, "UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE trial_id = ?1",
             "i", id);
}

co_status co_study_thaw(co_study *s, int64_t id, int64_t round, int64_t last_step) {
  char json[64];
  snprintf(json, sizeof json, "[%lld,%lld]", (long long)round, (long long)last_step);
  CO_RETURN_IF_FAILED(add_note(s, id, "cohort:thaw", json));
  return run_again(s, id);
}

co_status co_study_retry(co_study *s, int64_t id) {
  CO_RETURN_IF_FAILED(run(s,
                          "DELETE FROM trial_user_attributes WHERE trial_id = ?1 AND \"key\" = ?2",
                          "it", id, "cohort:reason"));
  return run_again(s, id);
}

co_status co_study_name_goals(co_study *s, const char *metric, const char *second) {
  co_json names;
  co_json_init(&names, s->ctx, 0);
  co_json_open(&names, '[');
  co_json_string(&names, metric);
  if (second) co_json_string(&names, second);
  co_json_close(&names);
  co_status status = names.text.status;
  if (status == CO_OK)
    status =
        run(s,
            "INSERT OR REPLACE INTO study_system_attributes (study_id, \"key\", value_json) VALUES "
            "(?1, 'study:metric_names', ?2)",
            "it", s->id, names.text.data);
  co_json_free(&names);
  return status;
}

co_status co_study_note(co_study *s, const char *key, const char *json) {
  return run(s,
             "INSERT OR REPLACE INTO study_user_attributes (study_id, \"key\", value_json) VALUES "
             "(?1, ?2, ?3)",
             "itt", s->id, key, json);
}

static co_status add_value(co_study *s, int64_t id, int64_t goal, double value) {
  static const char finite[] = "INSERT OR REPLACE INTO trial_values (trial_id, objective, value, "
                               "value_type) VALUES (?1, ?2, ?4, ?3)";
  static const char other[] = "INSERT OR REPLACE INTO trial_values (trial_id, objective, value, "
                              "value_type) VALUES (?1, ?2, NULL, ?3)";
  if (isnan(value)) return CO_OK;
  return isfinite(value) ? run(s, finite, "iitd", id, goal, value_type(value), value)
                         : run(s, other, "iit", id, goal, value_type(value));
}

co_status co_study_finish(co_study *s, int64_t id, co_trial_state state, double value,
                          double second, const char *reason) {
  char now[64];
  print_now(now);
  CO_RETURN_IF_FAILED(add_value(s, id, 0, value));
  CO_RETURN_IF_FAILED(add_value(s, id, 1, second));
  if (reason) CO_RETURN_IF_FAILED(add_reason(s, id, reason));
  return run(s, "UPDATE trials SET state = ?1, datetime_complete = ?2 WHERE trial_id = ?3", "tti",
             state_names[state], now, id);
}
