// SPDX-License-Identifier: Apache-2.0
// cohort_render_config: the config as it will be used, defaults filled in.
#include <string.h>

#include "host/api/api.h"
#include "host/config/tree.h"
#include "host/core/output.h"
#include "host/eval/opening.h"
#include "host/train/settings.h"

typedef struct rendering {
  co_context *ctx;
  const cohort_render_options *options;
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

// What is read, so that it is not written: the config files and the dataset.
static co_status begin_output(rendering *r) {
  const cohort_config *config = &r->options->config;
  const char **inputs = co_arena_alloc(r->arena, (size_t)config->file_count + 1, sizeof *inputs);
  if (!inputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < config->file_count; i++)
    inputs[i] = config->files[i];
  inputs[config->file_count] = r->options->dataset;
  co_output output = {r->options->output, r->options->force, inputs, config->file_count + 1};
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

static co_status render(rendering *r, cohort_result *result) {
  const cohort_config *given = &r->options->config;
  co_node *config, *full;
  co_trainer_settings settings;
  if (r->options->output) CO_RETURN_IF_FAILED(begin_output(r));
  CO_RETURN_IF_FAILED(co_settings_read(&config, r->arena, given->files, given->file_count,
                                       given->assignments, given->assignment_count, r->problems));
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
  CO_TRY(co_node_to_yaml(&result->text, full));
  if (r->options->output) CO_TRY(write_output(r, result->text.data));
cleanup:
  co_json_free(&json);
  return status;
}

cohort_status cohort_render_config(cohort_context *context, const cohort_render_options *options,
                                   cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  rendering r = {.ctx = context->ctx, .options = options, .problems = &(*out)->errors};
  co_status status = co_arena_create(&r.arena, r.ctx);
  if (status == CO_OK) status = render(&r, *out);
  co_atomic_abort(&r.output);
  co_arena_free(r.arena);
  return co_result_finish(*out, "render-config", status);
}
