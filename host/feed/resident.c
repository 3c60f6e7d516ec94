// SPDX-License-Identifier: Apache-2.0
#include "host/feed/resident.h"

// Left free on the device for what libraries allocate by themselves.
static const size_t reserve_bytes = (size_t)256 << 20;

// ---- the section -------------------------------------------------------------------------------

static co_status build(co_resident *source, co_dataset *dataset) {
  co_model *model = source->model;
  size_t count = (size_t)model->input_count + 1;
  int64_t *rows = co_alloc_zero(source->ctx, count, sizeof *rows);
  source->positions = co_alloc_zero(source->ctx, count, sizeof *source->positions);
  source->feeds = co_alloc_zero(source->ctx, count, sizeof *source->feeds);
  co_status status = rows && source->positions && source->feeds ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < model->input_count; i++) {
    const void *data;
    const int64_t *entity_row;
    rows[i] = CO_DIM_N;
    if (source->resident)
      status = co_dataset_column(dataset, model->inputs[i].name, &data, &rows[i], &entity_row);
    source->feeds[i] = model->network->values[model->inputs[i].network_input].index;
  }
  if (status == CO_OK)
    status = co_model_build_input(&source->graph, model, rows, source->positions);
  co_free(source->ctx, rows);
  source->section = (co_input_section){source->graph, source->feeds};
  return status;
}

static size_t input_bytes(const co_graph *graph, int32_t position) {
  return co_tensor_bytes(&graph->values[graph->inputs[position]].desc);
}

// Calls for every input that lies on the device.
typedef co_status (*visit)(co_resident *source, int32_t position, const void *host, void *user);

static co_status for_each(co_resident *source, co_dataset *dataset, visit function, void *user) {
  for (int64_t i = 0; i < source->model->input_count; i++) {
    const co_input_feature *feature = &source->model->inputs[i];
    const co_input_positions *at = &source->positions[i];
    const void *data = NULL;
    int64_t rows;
    const int64_t *entity_row;
    if (at->table >= 0) {
      if (dataset)
        CO_RETURN_IF_FAILED(co_dataset_column(dataset, feature->name, &data, &rows, &entity_row));
      CO_RETURN_IF_FAILED(function(source, at->table, data, user));
    }
    if (at->mean < 0) continue;
    CO_RETURN_IF_FAILED(function(source, at->mean, feature->mean, user));
    CO_RETURN_IF_FAILED(function(source, at->scale, feature->scale, user));
  }
  return CO_OK;
}

static co_status add_bytes(co_resident *source, int32_t position, const void *host, void *user) {
  (void)host;
  (void)user;
  source->bytes += input_bytes(source->graph, position);
  return CO_OK;
}

static co_status allocate(co_resident *source, int32_t position, const void *host, void *user) {
  (void)host;
  (void)user;
  return source->backend->api->buffer_create(source->backend, input_bytes(source->graph, position),
                                             &source->buffers[position]);
}

static co_status load(co_resident *source, int32_t position, const void *host, void *user) {
  co_program_fix_input(user, position, source->buffers[position]);
  return source->backend->api->upload(source->backend, source->buffers[position], host,
                                      input_bytes(source->graph, position));
}

co_status co_resident_load(co_resident *source, co_program *program, co_dataset *dataset) {
  if (!source->graph) return CO_OK;
  CO_RETURN_IF_FAILED(for_each(source, dataset, load, program));
  return source->backend->api->synchronize(source->backend);
}

// ---- choice ------------------------------------------------------------------------------------

static co_status fits(const co_resident *source, bool *out) {
  size_t available, total;
  CO_RETURN_IF_FAILED(source->backend->api->memory_info(source->backend, &available, &total));
  *out = available > reserve_bytes && source->bytes <= available - reserve_bytes;
  return CO_OK;
}

static co_status make(co_resident **out, co_program **program, co_model *model, co_dataset *dataset,
                      co_backend *backend, const co_program_options *options, bool resident,
                      bool must_fit, bool *fitting) {
  *fitting = true;
  co_resident *source = co_alloc_zero(model->ctx, 1, sizeof *source);
  if (!source) return CO_ERR_MEMORY;
  source->ctx = model->ctx;
  source->backend = backend;
  source->model = model;
  source->resident = resident;
  *out = source;
  co_program_options own = *options;
  if (!backend->api->host_memory) {
    CO_RETURN_IF_FAILED(build(source, dataset));
    CO_RETURN_IF_FAILED(for_each(source, NULL, add_bytes, NULL));
    own.source = &source->section;
    if (resident && !must_fit) CO_RETURN_IF_FAILED(fits(source, fitting)); // before much is done
    if (!*fitting) return CO_OK;
  }
  CO_RETURN_IF_FAILED(co_program_create(program, model->network, backend, &own));
  if (!source->graph) return CO_OK;
  if (resident && !must_fit) CO_RETURN_IF_FAILED(fits(source, fitting));
  if (!*fitting) return CO_OK;
  source->buffers =
      co_alloc_zero(source->ctx, (size_t)source->graph->input_count + 1, sizeof *source->buffers);
  return source->buffers ? for_each(source, NULL, allocate, NULL) : CO_ERR_MEMORY;
}

static void undo(co_resident **source, co_program **program) {
  co_program_free(*program);
  co_resident_free(*source);
  *program = NULL;
  *source = NULL;
}

co_status co_resident_create(co_resident **out, co_program **program, co_model *model,
                             co_dataset *dataset, co_backend *backend,
                             const co_program_options *options, co_placement placement) {
  bool fitting;
  co_status status = CO_OK;
  *out = NULL;
  *program = NULL;
  if (placement != CO_PLACEMENT_HOST && !backend->api->host_memory) {
    bool must_fit = placement == CO_PLACEMENT_DEVICE;
    status = make(out, program, model, dataset, backend, options, true, must_fit, &fitting);
    if (status == CO_OK && fitting) return CO_OK;
    size_t bytes = *out ? (*out)->bytes : 0;
    undo(out, program);
    // A program that does not fit beside the columns may fit without them.
    if (must_fit || (status != CO_OK && status != CO_ERR_MEMORY)) return status;
    co_log(model->ctx, CO_LOG_INFO, "device",
           "the dataset's %zu bytes do not fit on the device%s%s: rows come with each batch", bytes,
           status == CO_OK ? "" : " beside the model: ",
           status == CO_OK ? "" : co_error_last()->message);
    co_error_clear();
  }
  status = make(out, program, model, dataset, backend, options, false, true, &fitting);
  if (status != CO_OK) undo(out, program);
  return status;
}

void co_resident_free(co_resident *source) {
  if (!source) return;
  for (int64_t i = 0; source->buffers && i < source->graph->input_count; i++)
    source->backend->api->buffer_free(source->backend, source->buffers[i]);
  co_free(source->ctx, source->buffers);
  co_graph_free(source->graph);
  co_free(source->ctx, source->positions);
  co_free(source->ctx, source->feeds);
  co_free(source->ctx, source);
}
