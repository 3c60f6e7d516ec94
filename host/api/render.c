// SPDX-License-Identifier: Apache-2.0
// cohort_render_config: the config as it will be used, or as a model has it, defaults filled in. cohort_init_config: one to
// begin with, made of a dataset, with what is worth knowing of each column beside it.
#include <string.h>

#include "host/api/column_notes.h"
#include "host/config/tree.h"
#include "host/core/output.h"
#include "host/eval/opening.h"
#include "host/train/settings.h"
#include "models/preset.h"

typedef struct rendering {
  co_context *ctx;
  const cohort_render_options *options;
  const cohort_init_config_options *init; // NULL = the config is rendered as it is
  const volatile int *stop;
  co_diagnostics *problems;
  co_arena *arena;
  co_atomic_file output;
} rendering;

// With a dataset the features are written out, one by one, and checked: what renders, trains.
static co_status expand(rendering *r, co_node **config) {
  co_dataset *dataset;
  co_model *model = NULL;
  CO_RETURN_IF_FAILED(co_dataset_open(&dataset, r->ctx, r->options->dataset));
  co_status status =
      co_model_create(&model, r->ctx, *config, co_dataset_schema(dataset), r->problems);
  if (status == CO_OK) status = co_node_copy(config, r->arena, model->config);
  co_model_free(model);
  co_dataset_close(dataset);
  return status == CO_ERR_CONFIG ? co_diagnostics_result(r->problems) : status;
}

// What is read, so that it is not written: the config files, the dataset, the model.
static co_status begin_output(rendering *r) {
  const cohort_config *config = &r->options->config;
  const char **inputs = co_arena_alloc(r->arena, (size_t)config->file_count + 2, sizeof *inputs);
  if (!inputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < config->file_count; i++)
    inputs[i] = config->files[i];
  inputs[config->file_count] = r->options->dataset;
  inputs[config->file_count + 1] = r->options->model;
  co_output output = {r->options->output, r->options->force, inputs, config->file_count + 2};
  return co_output_begin(&r->output, r->ctx, &output);
}

static co_status write_output(rendering *r, const char *yaml) {
  co_writer *writer;
  CO_RETURN_IF_FAILED(co_writer_open(&writer, r->ctx, r->output.temporary, false));
  co_status status = co_writer_write(writer, yaml, strlen(yaml));
  co_status closed = co_writer_close(writer);
  if (status == CO_OK) status = closed;
  return status == CO_OK ? co_atomic_commit(&r->output) : status;
}

// A text in double quotes, as YAML and JSON have it.
static char *quote(rendering *r, const char *text) {
  co_json json;
  co_json_init(&json, r->ctx, 0);
  co_json_string(&json, text);
  char *quoted = json.text.status == CO_OK ? co_arena_strdup(r->arena, json.text.data) : NULL;
  co_json_free(&json);
  return quoted;
}

// `--target COL`: of several targets the one output.
static co_status add_target(rendering *r, const co_schema *schema, const char **assignments,
                            int64_t *count) {
  const char *name = r->init->target;
  const co_column *column = name ? co_schema_find(schema, name) : NULL;
  if (!name) return CO_OK;
  if (!column || column->role != CO_ROLE_TARGET) {
    co_status status = co_fail_at(CO_ERR_DATA, r->init->dataset, 0, 0,
                                  column ? "'%s' is no target there" : "no column '%s'", name);
    co_hint("cohort import --target says what the targets of a dataset are");
    return status;
  }
  const char *quoted = quote(r, name);
  if (!quoted) return CO_ERR_MEMORY;
  assignments[(*count)++] = co_arena_format(r->arena, "output_features=[{name: %s}]", quoted);
  return CO_OK;
}

static co_status read_preset(rendering *r, co_dataset *dataset, co_node **config) {
  const cohort_config *given = &r->options->config;
  const char **assignments =
      co_arena_alloc(r->arena, (size_t)given->assignment_count + 2, sizeof *assignments);
  const int64_t *rows;
  int64_t count = 0, training = 0;
  if (!assignments) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(add_target(r, co_dataset_schema(dataset), assignments, &count));
  for (int64_t i = 0; i < given->assignment_count; i++)
    assignments[count++] = given->assignments[i];
  if (given->file_count)
    return co_settings_read(config, r->arena, given->files, given->file_count, assignments, count,
                            r->problems);
  co_text text;
  co_text_init(&text, r->ctx);
  co_status status = co_dataset_split(dataset, CO_SPLIT_TRAIN, &rows, &training);
  if (status == CO_OK) status = co_preset_auto(&text, co_dataset_schema(dataset), training);
  if (status == CO_OK)
    status = co_settings_read_text(config, r->arena, "preset auto", text.data, assignments, count,
                                   r->problems);
  co_text_free(&text);
  return status;
}

static co_status read_model(rendering *r, co_node **config) {
  const cohort_config *given = &r->options->config;
  co_model_file file;
  const char *path;
  if (given->file_count)
    return co_fail(CO_ERR_USAGE, "a model has a config of its own: --config or --model");
  CO_RETURN_IF_FAILED(co_model_file_find_and_read(&file, &path, r->arena, r->options->model));
  return co_settings_read_text(config, r->arena, path, file.config_text, given->assignments,
                               given->assignment_count, r->problems);
}

static co_status read_config(rendering *r, co_node **config) {
  const cohort_config *given = &r->options->config;
  co_dataset *dataset;
  if (r->options->model) return read_model(r, config);
  if (!r->init)
    return co_settings_read(config, r->arena, given->files, given->file_count, given->assignments,
                            given->assignment_count, r->problems);
  CO_RETURN_IF_FAILED(co_dataset_open(&dataset, r->ctx, r->init->dataset));
  co_status status = read_preset(r, dataset, config);
  co_dataset_close(dataset);
  return status;
}

static co_status print(rendering *r, co_text *out, const co_node *config) {
  co_dataset *dataset;
  co_text yaml;
  if (!r->init) return co_node_to_yaml(out, config);
  co_text_init(&yaml, r->ctx);
  CO_RETURN_IF_FAILED(co_dataset_open(&dataset, r->ctx, r->init->dataset));
  co_status status = co_node_to_yaml(&yaml, config);
  if (status == CO_OK) status = co_note_columns(out, r->arena, yaml.data, dataset, r->stop);
  co_dataset_close(dataset);
  co_text_free(&yaml);
  return status;
}

static co_status render(rendering *r, cohort_result *result) {
  co_node *config, *full;
  co_trainer_settings settings;
  if (r->options->output) CO_RETURN_IF_FAILED(begin_output(r));
  CO_RETURN_IF_FAILED(read_config(r, &config));
  CO_RETURN_IF_FAILED(co_settings_parse_trainer(&settings, config, r->arena, r->problems));
  if (r->problems->count) return co_diagnostics_result(r->problems);
  if (r->options->dataset) CO_RETURN_IF_FAILED(expand(r, &config));
  co_json json;
  co_json_init(&json, r->ctx, 0);
  co_status status;
  CO_TRY(co_settings_render(&json, config, &settings));
  CO_TRY(co_yaml_parse(&full, r->arena, "config", json.text.data, json.text.length, r->problems));
  co_json_key(&result->json, "config");
  co_json_raw(&result->json, json.text.data);
  CO_TRY(print(r, &result->text, full));
  if (r->options->output) CO_TRY(write_output(r, result->text.data));
cleanup:
  co_json_free(&json);
  return status;
}

static cohort_status run(rendering *r, cohort_context *context, cohort_result *result) {
  r->ctx = context->ctx;
  r->stop = context->watch.stop;
  r->problems = &result->errors;
  co_status status = co_arena_create(&r->arena, r->ctx);
  if (status == CO_OK) status = render(r, result);
  co_atomic_abort(&r->output);
  co_arena_free(r->arena);
  return co_result_finish(result, r->init ? "init-config" : "render-config", status);
}

cohort_status cohort_render_config(cohort_context *context, const cohort_render_options *options,
                                   cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  rendering r = {.options = options};
  return run(&r, context, *out);
}

cohort_status cohort_init_config(cohort_context *context, const cohort_init_config_options *options,
                                 cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  const cohort_render_options rendered = {.config = options->config,
                                          .dataset = options->dataset,
                                          .output = options->output,
                                          .force = options->force};
  rendering r = {.options = &rendered, .init = options};
  co_status status = co_require(options->dataset, "init-config", "dataset");
  return status == CO_OK ? run(&r, context, *out) : co_result_finish(*out, "init-config", status);
}
