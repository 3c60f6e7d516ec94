// SPDX-License-Identifier: Apache-2.0
#include "host/output/export.h"

#include <string.h>

#include "host/eval/opening.h"
#include "models/feature.h"

// Any row will do; of events one is enough.
static co_plan_options one_row(void) {
  co_plan_options options = {
      .mode = CO_MODE_INFER, .shape = {.rows = 1}, .real = CO_F32, .no_fusion = true};
  for (int i = 0; i < CO_MAX_EVENT_TABLES; i++)
    options.shape.t[i] = 1;
  return options;
}

static co_status open_estimator(co_exported *e, co_diagnostics *problems) {
  co_predictor_settings settings;
  if (!e->model->scored) return CO_OK;
  CO_RETURN_IF_FAILED(co_predictor_settings_parse(&settings, e->file.config, e->arena, problems));
  if (!settings.class_)
    return co_fail_at(CO_ERR_MODEL, e->path, 0, 0, "its stored config cannot be used: predictor");
  CO_RETURN_IF_FAILED(
      co_estimator_create(&e->estimator, settings.class_, settings.options, e->model));
  return co_estimator_read(e->estimator, e->path, CO_MODEL_PREDICTOR_GROUP);
}

static co_status plan_network(co_exported *e) {
  const co_plan_options options = one_row();
  CO_RETURN_IF_FAILED(co_store_create(&e->store, e->backend, CO_F32));
  CO_RETURN_IF_FAILED(co_store_add_graph(e->store, e->model->network));
  CO_RETURN_IF_FAILED(co_plan_create(&e->network, e->model->network, e->store, &options));
  CO_RETURN_IF_FAILED(co_store_allocate(e->store, false, 0));
  return e->estimator ? CO_OK : co_model_file_read_weights(e->ctx, e->path, e->store, false);
}

static co_status plan_section(co_exported *e) {
  const co_plan_options options = one_row();
  int64_t *rows = co_arena_alloc(e->arena, (size_t)e->model->block_count + 1, sizeof *rows);
  if (!rows) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < e->model->block_count; i++)
    rows[i] = CO_DIM_N;
  CO_RETURN_IF_FAILED(co_section_create(&e->section, e->model, rows));
  CO_RETURN_IF_FAILED(co_store_create(&e->nothing, e->backend, CO_F32));
  return co_plan_create(&e->section_plan, e->section->graph, e->nothing, &options);
}

static bool can_be_exported(const char *estimator) {
  return strcmp(estimator, "linear") == 0;
}

static co_status refuse_blend(const co_exported *e, const char *baseline) {
  co_status status =
      co_fail_at(CO_ERR_MODEL, e->path, 0, 0,
                 "the network is blended with %.100s, which cannot be exported", baseline);
  co_hint("`cohort predict` scores with any model; one with `blend: linear` can be exported");
  return status;
}

// Of a blend, what its network is mixed with: another model of the same columns.
static co_status open_baseline(co_exported *e) {
  const co_node *name = co_node_get(e->model->config, "blend");
  co_estimator *estimator;
  if (!name || name->kind != CO_NODE_SCALAR) return CO_OK;
  if (!can_be_exported(name->text)) return refuse_blend(e, name->text);
  e->blend = co_arena_alloc(e->arena, (size_t)e->model->output_count + 1, sizeof *e->blend);
  co_exported *baseline = co_arena_alloc(e->arena, 1, sizeof *baseline);
  if (!e->blend || !baseline) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_blend_read(&e->baselines, &estimator, e->blend, e->model, e->path, name->text));
  *baseline = (co_exported){.ctx = e->ctx,
                            .arena = e->arena,
                            .path = e->path,
                            .model = estimator->model,
                            .estimator = estimator,
                            .backend = e->backend,
                            .section = e->section, // of the same blocks
                            .section_plan = e->section_plan,
                            .is_baseline = true};
  e->baseline = baseline;
  return plan_network(baseline);
}

static co_status open_all(co_exported *e, const char *model, co_diagnostics *problems) {
  CO_RETURN_IF_FAILED(co_arena_create(&e->arena, e->ctx));
  CO_RETURN_IF_FAILED(co_model_open(&e->model, &e->file, &e->path, e->arena, model, problems));
  CO_RETURN_IF_FAILED(co_model_file_read_golden(&e->golden, e->arena, e->path));
  CO_RETURN_IF_FAILED(open_estimator(e, problems));
  CO_RETURN_IF_FAILED(co_ref_backend_open(&e->backend, e->ctx, NULL));
  CO_RETURN_IF_FAILED(plan_network(e));
  CO_RETURN_IF_FAILED(plan_section(e));
  return open_baseline(e);
}

co_status co_exported_open(co_exported *out, co_context *ctx, const char *model) {
  co_diagnostics problems;
  *out = (co_exported){.ctx = ctx};
  co_diagnostics_init(&problems, ctx);
  co_status status = open_all(out, model, &problems);
  co_diagnostics_free(&problems);
  return status;
}

static void close_network(co_exported *e) {
  co_plan_free(e->network);
  co_store_free(e->store);
}

void co_exported_close(co_exported *e) {
  if (e->baseline) close_network(e->baseline);
  close_network(e);
  co_plan_free(e->section_plan);
  co_store_free(e->nothing);
  co_section_free(e->section);
  co_baselines_free(&e->baselines);
  if (e->backend) e->backend->api->free(e->backend);
  co_estimator_free(e->estimator);
  co_golden_free(&e->golden, e->ctx);
  co_model_free(e->model);
  co_free(e->ctx, e->path);
  co_arena_free(e->arena);
  *e = (co_exported){.ctx = e->ctx};
}

co_value co_exported_base(const co_plan *plan, co_value value) {
  while (plan->values[value].view_of != CO_NO_VALUE)
    value = plan->values[value].view_of;
  return value;
}

co_status co_exported_weights(co_exported *e, co_value value, const float **out) {
  const co_value_info *value_info = &e->network->values[value].info;
  if (value_info->storage == CO_STORAGE_CONSTANT) {
    *out = e->network->graph->constants[value_info->index].bytes;
    return CO_OK;
  }
  int32_t entry = e->network->values[value].param;
  const co_param_info *info = &e->store->entries[entry].info;
  float *values =
      co_arena_alloc(e->arena, (size_t)co_shape_count(&info->shape) + 1, sizeof *values);
  if (!values) return CO_ERR_MEMORY;
  *out = values;
  return co_store_read(e->store, entry, CO_BLOCK_PARAM, values);
}

co_status co_exported_fitted(co_exported *e, const co_feed *feed, const void **out) {
  size_t bytes = 0;
  for (int64_t i = 0; i < feed->fitted_count; i++)
    bytes +=
        (size_t)co_shape_count(&feed->fitted[i]->shape) * co_dtype_size(feed->fitted[i]->dtype);
  char *to = co_arena_alloc(e->arena, bytes + 1, 1);
  if (!to) return CO_ERR_MEMORY;
  *out = to;
  for (int64_t i = 0; i < feed->fitted_count; i++) {
    size_t part =
        (size_t)co_shape_count(&feed->fitted[i]->shape) * co_dtype_size(feed->fitted[i]->dtype);
    memcpy(to, feed->fitted[i]->bytes, part);
    to += part;
  }
  return CO_OK;
}

const co_feed *co_exported_feed(const co_exported *e, int32_t index) {
  for (int64_t i = 0; i < e->section->feeds.count; i++)
    if (e->section->feeds.items[i].input == index) return &e->section->feeds.items[i];
  return NULL;
}

co_status co_exported_check(const co_exported *e, const char *format) {
  if (e->estimator && !can_be_exported(e->estimator->class_->name))
    return co_exported_refuse(e, "the predictor", e->estimator->class_->name, format);
  for (int64_t i = 0; i < e->model->output_count; i++) {
    const co_output_feature *output = &e->model->outputs[i];
    if (output->text) return co_exported_refuse(e, "the text", output->name, format);
    if (output->generator || output->variational)
      return co_exported_refuse(e, output->variational ? "the variational output" : "the generator",
                                output->name, format);
  }
  return CO_OK;
}

co_status co_exported_refuse(const co_exported *e, const char *what, const char *name,
                             const char *format) {
  co_status status = co_fail_at(CO_ERR_MODEL, e->path, 0, 0, "%s '%.200s' cannot be exported to %s",
                                what, name, format);
  co_hint("`cohort predict` scores with any model");
  return status;
}
