// SPDX-License-Identifier: Apache-2.0
// The manifest of a scoring: what was read and written, by what, and how it went. It is there before its
// output is, so that no output is ever without one.
#include <string.h>
#include <time.h>

#include "datasets/source.h"
#include "host/api/predict.h"
#include "host/core/output.h"

// Of a file, beside it; of a table of a database in a file, too.
static char *path_of(co_context *ctx, const cohort_predict_options *o) {
  const char *file = co_sink_file(o->output);
  if (o->manifest) return co_strdup(ctx, o->manifest);
  return o->table ? co_format(ctx, "%s.%s.manifest.json", file, o->table)
                  : co_format(ctx, "%s.manifest.json", file);
}

co_status co_manifest_check(co_scoring *s, const cohort_predict_options *o) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  s->started = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
  if (!o->manifest && (!co_sink_file(o->output) || (o->table && strchr(o->table, '/'))))
    return CO_OK;
  s->manifest = path_of(s->ctx, o);
  if (!s->manifest) return CO_ERR_MEMORY;
  // It belongs to its output, and is replaced with it.
  const char *const inputs[] = {o->model, o->dataset, o->population};
  const co_output wanted = {s->manifest, true, inputs, 3};
  return co_output_check(s->ctx, &wanted);
}

static void add_string(co_json *json, const char *key, const char *value) {
  co_json_key(json, key);
  co_json_string(json, value);
}

static void add_number(co_json *json, const char *key, int64_t value) {
  co_json_key(json, key);
  co_json_int(json, value);
}

static void add_job(co_json *json, const co_sink_job *job) {
  char print[200];
  co_sink_job_print(print, job);
  add_string(json, "job", print);
}

static void add_rows(co_json *json, const co_scoring *s, int64_t rejected) {
  co_json_key(json, "rows");
  co_json_open(json, '{');
  add_number(json, "read", s->rows + rejected);
  add_number(json, "rejected", rejected);
  add_number(json, "scored", s->count);
  add_number(json, "resumed_at", s->sink->at.rows);
  co_json_close(json);
}

static void add_output(co_json *json, const co_scoring *s) {
  co_json_key(json, "output");
  co_json_open(json, '{');
  if (s->sink->sha256[0]) add_string(json, "sha256", s->sink->sha256);
  co_json_key(json, "columns");
  co_json_open(json, '[');
  for (int64_t i = 0; i < s->columns.count; i++)
    co_json_string(json, s->columns.column[i].name);
  co_json_close(json);
  co_json_close(json);
}

static void add_time(co_json *json, const co_scoring *s) {
  char text[32] = "";
  struct timespec now;
  struct tm utc;
  time_t clock = time(NULL);
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (gmtime_r(&clock, &utc)) strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  add_string(json, "finished", text);
  co_json_key(json, "seconds");
  co_json_float(json, (float)((double)now.tv_sec + 1e-9 * (double)now.tv_nsec - s->started));
}

static void add_golden(co_json *json, const co_golden_result *golden) {
  co_json_key(json, "golden");
  co_json_open(json, '{');
  add_number(json, "rows", golden->rows);
  co_json_key(json, "largest_difference");
  co_json_double(json, golden->difference);
  co_json_close(json);
}

static void add_hashes(co_json *json, const co_scored_model *m) {
  add_string(json, "sha256", m->sha256);
  add_string(json, "weights_sha256", m->weights_sha256);
}

static void add_several(co_json *json, const co_scoring *s, const co_table_scoring *table) {
  static const char *const ensembles[] = {NULL, "mean", "rank_mean"};
  add_string(json, "ensemble", ensembles[s->ensemble]);
  co_json_key(json, "models");
  co_json_open(json, '[');
  for (int64_t i = 0; i < s->model_count; i++) {
    co_json_open(json, '{');
    add_string(json, "name", s->models[i].name);
    add_hashes(json, &s->models[i]);
    co_drift_render(&s->models[i], table, json);
    add_golden(json, &s->models[i].golden);
    co_json_close(json);
  }
  co_json_close(json);
}

static void add_one(co_json *json, const co_scored_model *m) {
  co_json_key(json, "model");
  co_json_open(json, '{');
  add_hashes(json, m);
  co_json_close(json);
}

static void render(const co_scoring *s, const co_table_scoring *table, co_json *json) {
  const char *source_sha256 = table->result.sha256;
  const co_scored_model *one = s->model_count == 1 ? &s->models[0] : NULL;
  co_json_open(json, '{');
  if (one)
    add_one(json, one);
  else
    add_several(json, s, table);
  co_json_key(json, "source");
  co_json_open(json, '{');
  if (source_sha256[0]) add_string(json, "sha256", source_sha256);
  add_string(json, "fingerprint", s->job.source);
  co_json_close(json);
  add_output(json, s);
  add_string(json, "shard", s->options->shard);
  add_rows(json, s, table->result.rejected);
  if (one) co_drift_render(one, table, json);
  co_drift_render_histogram(s, json);
  if (one) add_golden(json, &one->golden);
  add_time(json, s);
  add_job(json, &s->job);
  co_json_close(json);
}

co_status co_manifest_write(const co_scoring *s, const co_table_scoring *table) {
  co_json json;
  if (!s->manifest) return CO_OK;
  co_json_init(&json, s->ctx, 0);
  render(s, table, &json);
  co_text_append(&json.text, "\n", 1);
  co_status status = json.text.status;
  if (status == CO_OK)
    status = co_write_file_atomic(s->ctx, s->manifest, json.text.data, json.text.length);
  co_json_free(&json);
  return status;
}

// Whether the manifest tells of this job, and of the file that is there.
static co_status tells_of(bool *out, const co_scoring *s) {
  enum { MOST_BYTES = 64 << 20 };
  char *text, hash[65];
  *out = false;
  if (!s->manifest || !co_path_exists(s->manifest)) return CO_OK;
  CO_RETURN_IF_FAILED(co_source_hash_file(s->ctx, s->options->output, hash));
  CO_RETURN_IF_FAILED(co_read_file(s->ctx, s->manifest, MOST_BYTES, CO_ERR_IO, &text, NULL));
  char print[200];
  co_sink_job_print(print, &s->job);
  *out = strstr(text, print) && strstr(text, hash);
  co_free(s->ctx, text);
  return CO_OK;
}

co_status co_manifest_confirm(const co_scoring *s) {
  bool same;
  CO_RETURN_IF_FAILED(tells_of(&same, s));
  if (same) return CO_OK;
  co_status status = co_fail_at(CO_ERR_IO, s->options->output, 0, 0,
                                "the output exists already, and not by this job");
  co_hint("replace it with --force, or choose another -O");
  return status;
}
