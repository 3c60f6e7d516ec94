// SPDX-License-Identifier: Apache-2.0
// What a training says of itself: run.json and the result.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/feed/fit_features.h"
#include "host/train/session_private.h"

// Where the seconds of this process went.
static void render_times(const co_session *t, co_json *json, double total) {
  co_json_key(json, "time_s");
  co_json_open(json, '{');
  co_json_key(json, "total");
  co_json_double(json, total);
  co_json_key(json, "data_wait");
  co_json_double(json, t->wait_seconds);
  co_json_key(json, "evaluation");
  co_json_double(json, t->evaluation_seconds);
  co_json_key(json, "checkpoint");
  co_json_double(json, t->checkpoint_seconds);
  co_json_key(json, "baselines");
  co_json_double(json, t->baseline_seconds);
  co_json_close(json);
}

// run.json; here, unlike in models and metrics, paths and clocks have their place.
co_status co_session_render_status(co_session *t, co_text *out, const char *status_word,
                                   int exit_code) {
  co_json json_, *json = &json_;
  char host[256] = "", machine[256];
  co_machine_describe(machine, sizeof machine);
  gethostname(host, sizeof host - 1);
  co_json_init(json, t->ctx, 2);
  co_json_open(json, '{');
  co_json_key(json, "status");
  co_json_string(json, status_word);
  co_json_key(json, "exit");
  co_json_int(json, exit_code);
  co_json_key(json, "step");
  co_json_int(json, t->state.step);
  co_json_key(json, "dataset");
  co_json_string(json, t->dataset_path);
  co_json_key(json, "dataset_fingerprint");
  co_json_string(json, co_dataset_fingerprint(t->dataset));
  if (t->initial_path) {
    co_json_key(json, "init_from");
    co_json_string(json, t->initial_path);
    co_json_key(json, "init_from_sha256");
    co_json_string(json, t->initial_sha256);
  }
  co_json_key(json, "seed");
  co_json_int(json, (int64_t)t->state.seed);
  co_json_key(json, "threads");
  co_json_int(json, t->threads);
  co_json_key(json, "device");
  co_json_string(json, t->backend->api->name);
  co_json_key(json, "version");
  co_json_string(json, cohort_version());
  co_json_key(json, "machine");
  co_json_string(json, machine);
  co_json_key(json, "host");
  co_json_string(json, host);
  co_json_key(json, "pid");
  co_json_int(json, getpid());
  co_json_key(json, "time");
  co_json_int(json, (int64_t)time(NULL));
  render_times(t, json, t->started > 0 ? co_session_now() - t->started : 0);
  co_json_key(json, "warnings");
  co_json_open(json, '[');
  for (int64_t i = 0; co_context_warning(t->ctx, i); i++)
    co_json_string(json, co_context_warning(t->ctx, i));
  co_json_close(json);
  co_json_close(json);
  co_text_printf(out, "%s\n", json->text.data ? json->text.data : "");
  co_status status = json->text.status == CO_OK ? out->status : json->text.status;
  co_json_free(json);
  return status;
}

co_status co_session_write_status(co_session *t, const char *status_word, int exit_code) {
  co_text text;
  co_text_init(&text, t->ctx);
  co_status status = co_session_render_status(t, &text, status_word, exit_code);
  if (status == CO_OK) status = co_run_write_status(&t->run, text.data);
  co_text_free(&text);
  return status;
}

// ---- events.jsonl ------------------------------------------------------------------------------

// `json` is an object, which it frees.
static co_status record(co_session *t, const char *event, co_json *json) {
  co_json_close(json);
  co_status status = json->text.status;
  if (status == CO_OK) {
    // Without its brackets: the event has some.
    json->text.data[--json->text.length] = '\0';
    status = co_run_write_event(&t->run, event, json->text.data + 1);
  }
  co_json_free(json);
  return status;
}

static void begin_event(co_session *t, co_json *json) {
  co_json_init(json, t->ctx, 0);
  co_json_open(json, '{');
  co_json_key(json, "step");
  co_json_int(json, t->state.step);
}

co_status co_session_record_begin(co_session *t, const char *event) {
  co_json json;
  begin_event(t, &json);
  co_json_key(&json, "steps");
  co_json_int(&json, t->estimator ? 0 : t->total_steps); // which it knows at its end
  co_json_key(&json, "epochs");
  co_json_int(&json, t->estimator ? 0 : t->settings.max_epochs);
  return record(t, event, &json);
}

co_status co_session_record_end(co_session *t, const char *status_word, int exit_code,
                                const co_error *error) {
  co_json json;
  begin_event(t, &json);
  co_json_key(&json, "status");
  co_json_string(&json, status_word);
  co_json_key(&json, "exit");
  co_json_int(&json, exit_code);
  if (error) {
    co_json_key(&json, "message");
    co_json_string(&json, error->message);
  }
  return record(t, "end", &json);
}

static co_status record_epoch(co_session *t, const cohort_epoch *epoch) {
  const struct {
    const char *key;
    double value;
  } numbers[] = {
      {"train_loss", epoch->train_loss},           {"validation_loss", epoch->validation_loss},
      {"metric_value", epoch->metric_value},       {"learning_rate", epoch->learning_rate},
      {"rows_per_second", epoch->rows_per_second}, {"seconds", epoch->seconds}};
  co_json json;
  begin_event(t, &json);
  co_json_key(&json, "epoch");
  co_json_int(&json, epoch->number);
  co_json_key(&json, "metric");
  co_json_string(&json, epoch->metric);
  co_json_key(&json, "best");
  co_json_bool(&json, epoch->best);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    co_json_key(&json, numbers[i].key);
    co_json_double(&json, numbers[i].value);
  }
  return record(t, "epoch", &json);
}

co_status co_session_show_epoch(co_session *t, double learning_rate, bool *last) {
  co_evaluation_value found;
  double now = co_session_now();
  double rows = (double)t->sample_count[CO_SPLIT_TRAIN] / (double)t->batches_per_epoch; // of a step
  cohort_epoch epoch = {.step = t->state.step,
                        .number = t->state.epoch + 1,
                        .of = t->settings.max_epochs,
                        .train_loss = t->shown_loss,
                        .validation_loss = NAN,
                        .metric = t->settings.validation_metric,
                        .metric_value = NAN,
                        .best = t->state.best_step == t->state.step,
                        .learning_rate = learning_rate,
                        .rows_per_second = t->epoch_rate * rows,
                        .seconds = now - (t->epoch_shown > 0 ? t->epoch_shown : t->started)};
  if (!epoch.metric) epoch.metric = "loss";
  if (t->sample_count[CO_SPLIT_VALIDATION]) {
    epoch.validation_loss = co_evaluation_loss(&t->validation);
    co_evaluation_find(&t->validation, t->settings.validation_metric, &found);
    epoch.metric_value = found.value;
  }
  t->epoch_shown = now;
  *last = t->watch->epoch && t->watch->epoch(t->watch->epoch_user, &epoch);
  return record_epoch(t, &epoch);
}

// Of what was trained last, which this session has not.
static co_status read_fingerprint(co_session *t, char hex[65]) {
  co_model_file file;
  char *path = co_arena_format(t->arena, "%s/model.h5", t->run.path);
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_model_file_read(&file, t->arena, path));
  snprintf(hex, 65, "%s", file.weights_sha256);
  return CO_OK;
}

static void report_refit(const co_session *t, co_json *json, co_text *text) {
  int64_t rows = t->sample_count[CO_SPLIT_TRAIN] + t->sample_count[CO_SPLIT_VALIDATION];
  int64_t epochs = co_session_refit_epochs(t);
  co_json_key(json, "refit");
  co_json_open(json, '{');
  co_json_key(json, "epochs");
  co_json_int(json, epochs);
  co_json_key(json, "rows");
  co_json_int(json, rows);
  co_json_key(json, "figures_of");
  co_json_string(json, CO_SELECTED_MODEL);
  co_json_close(json);
  co_text_printf(
      text,
      "refit    %lld epochs on %lld training and validation rows; what is told above and "
      "of validation rows is of %s/%s\n",
      (long long)epochs, (long long)rows, t->run.path, CO_SELECTED_MODEL);
}

static void report_better(const co_session *t, co_json *json) {
  co_json_key(json, "better_baselines");
  co_json_open(json, '[');
  for (int64_t i = 0; i < t->better_count; i++) {
    const co_better_baseline *b = &t->better[i];
    co_json_open(json, '{');
    co_json_key(json, "output");
    co_json_string(json, b->output);
    co_json_key(json, "baseline");
    co_json_string(json, b->name);
    co_json_key(json, "metric");
    co_json_string(json, b->metric);
    co_json_key(json, "value");
    co_json_double(json, b->value);
    co_json_key(json, "model");
    co_json_double(json, b->own);
    co_json_close(json);
  }
  co_json_close(json);
}

static co_status report_run(co_session *t, co_json *json, co_text *text) {
  char hex[65];
  double total = co_session_now() - t->started;
  int64_t steps = t->state.step - t->resumed_step;
  if (t->settings.refit)
    CO_RETURN_IF_FAILED(read_fingerprint(t, hex));
  else if (t->estimator)
    co_model_arrays_fingerprint(&t->estimator->arrays, hex);
  else
    CO_RETURN_IF_FAILED(co_store_fingerprint(co_program_store(t->program), hex));
  co_json_key(json, "run");
  co_json_string(json, t->run.path);
  co_json_key(json, "status");
  co_json_string(json, "done");
  co_json_key(json, "predictor");
  co_json_string(json, t->model->predictor);
  co_json_key(json, "steps");
  co_json_int(json, t->state.step);
  co_json_key(json, "epochs");
  co_json_int(json, t->state.epoch);
  co_json_key(json, "best");
  if (t->state.best_step < 0) {
    co_json_null(json);
  } else {
    co_json_open(json, '{');
    co_json_key(json, "step");
    co_json_int(json, t->state.best_step);
    co_json_key(json, "metric");
    co_json_string(json, t->settings.validation_metric ? t->settings.validation_metric : "loss");
    co_json_key(json, "value");
    co_json_double(json, t->state.best);
    co_json_close(json);
  }
  co_json_key(json, "weights_sha256");
  co_json_string(json, hex);
  if (t->initial_path) {
    co_json_key(json, "init_from_sha256");
    co_json_string(json, t->initial_sha256);
  }
  co_json_key(json, "resumed");
  co_json_bool(json, t->resumed);
  co_json_key(json, "device");
  co_json_string(json, t->backend->api->name);
  co_json_key(json, "precision");
  co_json_string(json, co_precision_name(t->settings.precision));
  co_json_key(json, "threads");
  co_json_int(json, t->threads);
  co_json_key(json, "steps_per_second");
  double busy = total - t->evaluation_seconds - t->checkpoint_seconds - t->baseline_seconds;
  co_json_double(json, steps > 0 && busy > 0 ? (double)steps / busy : 0);
  render_times(t, json, total);
  co_json_key(json, "warnings");
  co_json_open(json, '[');
  for (int64_t i = 0; co_context_warning(t->ctx, i); i++)
    co_json_string(json, co_context_warning(t->ctx, i));
  co_json_close(json);
  report_better(t, json);
  co_json_key(json, "preprocessing"); // of the training rows
  co_render_input_counts(json, text, t->model, NULL);
  co_text_printf(text, "run      %s\n", t->run.path);
  if (t->estimator)
    co_text_printf(text, "fitted   %s in %.1f s", t->model->predictor, total);
  else
    co_text_printf(text, "steps    %lld", (long long)t->state.step);
  if (!t->estimator && steps > 0 && busy > 0)
    co_text_printf(text, ", %lld of them now, in %.1f s (%.0f steps/s)", (long long)steps, total,
                   (double)steps / busy);
  co_text_printf(text, "\n");
  if (t->state.best_step >= 0)
    co_text_printf(text, "best     %s %.4f on validation, at step %lld\n",
                   t->settings.validation_metric ? t->settings.validation_metric : "loss",
                   t->state.best, (long long)t->state.best_step);
  if (t->settings.refit && t->state.best_step > 0) report_refit(t, json, text);
  co_text_printf(text, "model    %s/model.h5\nweights  sha256 %s\n", t->run.path, hex);
  if (t->profile.text.length) co_text_append(text, t->profile.text.data, t->profile.text.length);
  return CO_OK;
}

static co_status report_dry_run(co_session *t, co_json *json, co_text *text) {
  co_program_bytes bytes;
  co_program_get_bytes(t->program, &bytes);
  co_json_key(json, "status");
  co_json_string(json, "dry_run");
  co_json_key(json, "total_steps");
  co_json_int(json, t->total_steps);
  co_json_key(json, "planned_bytes");
  co_json_int(json, (int64_t)bytes.total);
  co_text_printf(text, "would train %lld steps into %s, planned memory %.1f MiB\n",
                 (long long)t->total_steps, t->run_path, (double)bytes.total / 1048576);
  return CO_OK;
}

co_status co_session_report(co_session *t, co_json *json, co_text *text) {
  return t->options->dry_run ? report_dry_run(t, json, text) : report_run(t, json, text);
}
