// SPDX-License-Identifier: Apache-2.0
#include "host/feed/pipeline.h"

#include <math.h>
#include <string.h>

#include "host/exec/memory.h"
#include "host/feed/labels.h"

// An input plan for one number of rows, with its memory.
typedef struct section {
  co_backend *backend;
  co_store *store; // empty: input sections have no parameters
  co_graph *graph; // shared, borrowed
  co_plan *plan;
  co_executor *executor;
  co_memory memory;
  int64_t rows;
} section;

typedef struct slot {
  section sections[2]; // full batch, partial last batch
  int64_t *samples;    // padded to batch_rows
  int64_t **index;     // per input feature: entity rows
  void **targets;      // per output feature
  float **weights;
  const void **inputs; // per network input: what is delivered
  double *weight_sum;
  int64_t valid, rows;
  char *packet; // page-locked, or NULL
} slot;

// Where a packet's field comes from: rows of a dense array of the slot, or stored rows.
typedef enum field_kind {
  FIELD_IDS,
  FIELD_INDEX,
  FIELD_ROWS,
  FIELD_TARGET,
  FIELD_WEIGHT
} field_kind;

typedef struct field_source {
  field_kind kind;
  int64_t feature; // of the model's inputs or outputs
} field_source;

struct co_pipeline {
  co_context *ctx;
  co_model *model;
  co_dataset *dataset;
  co_pipeline_options options;
  co_backend *backend; // one thread
  co_graph *graph;
  co_input_positions *positions; // per input feature, in the graph
  field_source *fields;          // per field of a packet
  char *packets;                 // of all slots: page-locked memory is slow to get
  slot *slots;
  int slot_count;
  co_loader *loader;
  const void **tables; // per input feature
  const int64_t **entity_row;
  const char *weight_column; // NULL = every row counts 1
};

// ---- one slot ----------------------------------------------------------------------------------

static co_status create_section(co_pipeline *p, section *s, int64_t rows) {
  co_plan_options options = {
      .mode = p->options.training ? CO_MODE_TRAIN : CO_MODE_INFER, .rows = rows, .real = CO_F32};
  const co_backend_api *api = p->backend->api;
  s->backend = p->backend;
  s->rows = rows;
  CO_RETURN_IF_FAILED(co_store_create(&s->store, p->backend, CO_F32));
  CO_RETURN_IF_FAILED(co_plan_create(&s->plan, p->graph, s->store, &options));
  CO_RETURN_IF_FAILED(co_memory_check_batches(rows, s->plan->arena_bytes, p->slot_count));
  CO_RETURN_IF_FAILED(co_store_allocate(s->store, false, 0));
  CO_RETURN_IF_FAILED(api->buffer_create(p->backend, s->plan->arena_bytes + 64, &s->memory.arena));
  CO_RETURN_IF_FAILED(api->buffer_create(p->backend, sizeof(co_step), &s->memory.step));
  return co_executor_create(&s->executor, s->plan, s->store, &s->memory);
}

static void free_section(section *s) {
  if (!s->backend) return;
  co_executor_free(s->executor);
  co_plan_free(s->plan);
  co_store_free(s->store);
  s->backend->api->buffer_free(s->backend, s->memory.arena);
  s->backend->api->buffer_free(s->backend, s->memory.step);
}

static co_status allocate_slot(co_pipeline *p, slot *s) {
  const co_model *model = p->model;
  size_t rows = (size_t)p->options.batch_rows;
  s->samples = co_alloc_zero(p->ctx, rows, sizeof *s->samples);
  s->index = co_alloc_zero(p->ctx, (size_t)model->input_count + 1, sizeof *s->index);
  s->targets = co_alloc_zero(p->ctx, (size_t)model->output_count + 1, sizeof *s->targets);
  s->weights = co_alloc_zero(p->ctx, (size_t)model->output_count + 1, sizeof *s->weights);
  s->inputs = co_alloc_zero(p->ctx, (size_t)model->network->input_count + 1, sizeof *s->inputs);
  s->weight_sum = co_alloc_zero(p->ctx, (size_t)model->output_count + 1, sizeof *s->weight_sum);
  if (!s->samples || !s->index || !s->targets || !s->weights || !s->inputs || !s->weight_sum)
    return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->input_count; i++)
    if (!(s->index[i] = co_alloc_zero(p->ctx, rows, sizeof **s->index))) return CO_ERR_MEMORY;
  for (int64_t i = 0; p->options.targets && i < model->output_count; i++) {
    const co_column *column = &model->outputs[i].column;
    size_t row = (size_t)co_shape_count(&column->shape) * co_dtype_size(column->dtype);
    s->targets[i] = co_alloc_zero(p->ctx, rows, row);
    s->weights[i] = co_alloc_zero(p->ctx, rows, sizeof **s->weights);
    if (!s->targets[i] || !s->weights[i]) return CO_ERR_MEMORY;
  }
  return CO_OK;
}

static void free_slot(co_pipeline *p, slot *s) {
  free_section(&s->sections[0]);
  free_section(&s->sections[1]);
  for (int64_t i = 0; s->index && i < p->model->input_count; i++)
    co_free(p->ctx, s->index[i]);
  for (int64_t i = 0; i < p->model->output_count; i++) {
    if (s->targets) co_free(p->ctx, s->targets[i]);
    if (s->weights) co_free(p->ctx, s->weights[i]);
  }
  co_free(p->ctx, s->samples);
  co_free(p->ctx, s->index);
  co_free(p->ctx, s->targets);
  co_free(p->ctx, s->weights);
  co_free(p->ctx, s->inputs);
  co_free(p->ctx, s->weight_sum);
}

// Where outputs of a section and targets lie, as the network's inputs.
static void deliver(const co_pipeline *p, slot *s, const section *ready) {
  const co_graph *network = p->model->network;
  for (int64_t i = 0; i < p->model->input_count; i++) {
    int32_t input = network->values[p->model->inputs[i].network_input].index;
    s->inputs[input] = co_executor_address(ready->executor, ready->plan->outputs[i]);
  }
  for (int64_t i = 0; p->options.targets && i < p->model->output_count; i++) {
    const co_output_feature *output = &p->model->outputs[i];
    s->inputs[network->values[output->target].index] = s->targets[i];
    s->inputs[network->values[output->row_weight].index] = s->weights[i];
  }
}

static co_status fill_targets(co_pipeline *p, slot *s) {
  for (int64_t i = 0; i < p->model->output_count; i++) {
    const co_column *column = &p->model->outputs[i].column;
    CO_RETURN_IF_FAILED(
        co_dataset_gather(p->dataset, column->name, s->samples, s->rows, s->targets[i]));
    if (p->weight_column)
      CO_RETURN_IF_FAILED(
          co_dataset_gather(p->dataset, p->weight_column, s->samples, s->rows, s->weights[i]));
    s->weight_sum[i] = 0;
    for (int64_t row = 0; row < s->rows; row++) {
      float weight = p->weight_column ? s->weights[i][row] : 1;
      bool counts = row < s->valid && !co_target_is_missing(column, s->targets[i], row);
      s->weights[i][row] = counts ? weight : 0;
      s->weight_sum[i] += (double)s->weights[i][row];
    }
  }
  return CO_OK;
}

// ---- packets -----------------------------------------------------------------------------------

static field_source source_of(const co_pipeline *p, const co_staging_field *field) {
  const co_model *model = p->model;
  const co_resident *source = p->options.source;
  for (int64_t i = 0; field->section && i < model->input_count; i++) {
    if (source->positions[i].index == field->input) return (field_source){FIELD_INDEX, i};
    if (source->positions[i].rows == field->input) return (field_source){FIELD_ROWS, i};
  }
  for (int64_t i = 0; !field->section && i < model->output_count; i++) {
    const co_value_info *values = model->network->values;
    if (values[model->outputs[i].target].index == field->input)
      return (field_source){FIELD_TARGET, i};
    if (values[model->outputs[i].row_weight].index == field->input)
      return (field_source){FIELD_WEIGHT, i};
  }
  return (field_source){FIELD_IDS, 0};
}

static const void *dense_rows(const slot *s, const field_source *from) {
  switch (from->kind) {
  case FIELD_INDEX:
    return s->index[from->feature];
  case FIELD_TARGET:
    return s->targets[from->feature];
  case FIELD_WEIGHT:
    return s->weights[from->feature];
  default:
    return s->samples;
  }
}

static void write_field(const co_pipeline *p, const slot *s, int64_t f, char *to, int64_t first,
                        int64_t rows) {
  size_t bytes = p->options.packet->fields[f].row_bytes;
  const field_source *from = &p->fields[f];
  if (from->kind == FIELD_ROWS) {
    const int64_t *index = s->index[from->feature];
    const char *table = p->tables[from->feature];
    for (int64_t row = 0; row < rows; row++)
      memcpy(to + (size_t)row * bytes, table + (size_t)index[first + row] * bytes, bytes);
    return;
  }
  const char *dense = dense_rows(s, from);
  if (dense) memcpy(to, dense + (size_t)first * bytes, (size_t)rows * bytes);
}

static void write_packet(const co_pipeline *p, slot *s) {
  const co_staging_layout *layout = p->options.packet;
  int64_t first = 0;
  for (int64_t part = 0; part < co_staging_parts(layout, s->rows); part++) {
    int64_t rows = co_staging_part_rows(layout, s->rows, part);
    for (int64_t f = 0; f < layout->field_count; f++)
      write_field(p, s, f, s->packet + co_staging_field_offset(layout, s->rows, part, f), first,
                  rows);
    first += rows;
  }
}

// ---- filling -----------------------------------------------------------------------------------

static co_status run_section(co_pipeline *p, slot *s, uint32_t epoch) {
  section *ready = s->sections[0].rows == s->rows ? &s->sections[0] : &s->sections[1];
  co_step step = {.seed = p->options.seed, .epoch = epoch};
  memcpy(ready->memory.step, &step, sizeof step);
  co_executor_bind(ready->executor, 0, s->samples);
  for (int64_t i = 0; i < p->model->input_count; i++) {
    const co_input_feature *feature = &p->model->inputs[i];
    const co_input_positions *at = &p->positions[i];
    co_executor_bind(ready->executor, at->table, p->tables[i]);
    co_executor_bind(ready->executor, at->index, s->index[i]);
    if (at->mean < 0) continue;
    co_executor_bind(ready->executor, at->mean, feature->mean);
    co_executor_bind(ready->executor, at->scale, feature->scale);
  }
  CO_RETURN_IF_FAILED(co_executor_run(ready->executor));
  deliver(p, s, ready);
  return CO_OK;
}

// Runs on a worker thread.
static co_status fill(void *user, int worker, const co_batch *batch) {
  co_pipeline *p = user;
  slot *s = &p->slots[batch->slot];
  (void)worker;
  s->valid = batch->rows;
  s->rows = p->options.training ? batch->rows : p->options.batch_rows;
  memcpy(s->samples, batch->samples, (size_t)batch->rows * sizeof *s->samples);
  for (int64_t row = batch->rows; row < s->rows; row++)
    s->samples[row] = batch->samples[0];
  for (int64_t i = 0; i < p->model->input_count; i++)
    for (int64_t row = 0; row < s->rows; row++)
      s->index[i][row] = p->entity_row[i] ? p->entity_row[i][s->samples[row]] : s->samples[row];
  if (p->options.targets) CO_RETURN_IF_FAILED(fill_targets(p, s));
  if (!s->packet) return run_section(p, s, batch->epoch);
  write_packet(p, s);
  return CO_OK;
}

// ---- pipeline ----------------------------------------------------------------------------------

static co_status open_tables(co_pipeline *p) {
  const co_model *model = p->model;
  size_t count = (size_t)model->input_count + 1;
  p->tables = co_alloc_zero(p->ctx, count, sizeof *p->tables);
  p->entity_row = co_alloc_zero(p->ctx, count, sizeof *p->entity_row);
  int64_t *rows = co_alloc_zero(p->ctx, count, sizeof *rows);
  co_status status = p->tables && p->entity_row && rows ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < model->input_count; i++)
    status = co_dataset_column(p->dataset, model->inputs[i].name, &p->tables[i], &rows[i],
                               &p->entity_row[i]);
  p->positions = co_alloc_zero(p->ctx, count, sizeof *p->positions);
  if (!p->positions) status = CO_ERR_MEMORY;
  if (status == CO_OK && !p->options.packet)
    status = co_model_build_input(&p->graph, model, rows, p->positions);
  co_free(p->ctx, rows);
  p->weight_column = co_weight_column(p->dataset);
  return status;
}

static co_status create_slots(co_pipeline *p) {
  int64_t partial = p->options.sample_count % p->options.batch_rows;
  p->slot_count = p->options.workers + 1 + (p->options.ahead > 1 ? p->options.ahead : 1);
  p->slots = co_alloc_zero(p->ctx, (size_t)p->slot_count, sizeof *p->slots);
  if (!p->slots) return CO_ERR_MEMORY;
  size_t packet = 0;
  if (p->options.packet) {
    co_backend *device = p->options.source->backend;
    packet = co_staging_bytes(p->options.packet, p->options.batch_rows);
    CO_RETURN_IF_FAILED(co_memory_check_batches(p->options.batch_rows, packet, p->slot_count));
    CO_RETURN_IF_FAILED(device->api->host_buffer_create(device, (size_t)p->slot_count * packet,
                                                        (void **)&p->packets));
  }
  for (int i = 0; i < p->slot_count; i++) {
    slot *s = &p->slots[i];
    CO_RETURN_IF_FAILED(allocate_slot(p, s));
    if (p->packets) s->packet = p->packets + (size_t)i * packet;
    if (p->packets) continue;
    CO_RETURN_IF_FAILED(create_section(p, &s->sections[0], p->options.batch_rows));
    if (p->options.training && partial)
      CO_RETURN_IF_FAILED(create_section(p, &s->sections[1], partial));
  }
  return CO_OK;
}

static co_status find_fields(co_pipeline *p) {
  const co_staging_layout *packet = p->options.packet;
  if (!packet) return CO_OK;
  p->fields = co_alloc_zero(p->ctx, (size_t)packet->field_count + 1, sizeof *p->fields);
  if (!p->fields) return CO_ERR_MEMORY;
  for (int64_t f = 0; f < packet->field_count; f++)
    p->fields[f] = source_of(p, &packet->fields[f]);
  return CO_OK;
}

co_status co_pipeline_create(co_pipeline **out, co_model *model, co_dataset *dataset,
                             const co_pipeline_options *options) {
  *out = NULL;
  co_pipeline *p = co_alloc_zero(model->ctx, 1, sizeof *p);
  if (!p) return CO_ERR_MEMORY;
  p->ctx = model->ctx;
  p->model = model;
  p->dataset = dataset;
  p->options = *options;
  co_backend_options single = {.threads = 1};
  co_status status;
  CO_TRY(co_cpu_backend_open(&p->backend, p->ctx, &single));
  CO_TRY(open_tables(p));
  CO_TRY(find_fields(p));
  CO_TRY(create_slots(p));
  co_loader_options loader = {.rows = options->samples,
                              .row_count = options->sample_count,
                              .batch_rows = options->batch_rows,
                              .shuffle = options->training,
                              .seed = options->seed,
                              .epoch = options->epoch,
                              .first_batch_of_epoch = options->first_batch,
                              .epochs = options->epochs,
                              .workers = options->workers,
                              .slots = p->slot_count,
                              .fill = fill,
                              .user = p};
  CO_TRY(co_loader_create(&p->loader, p->ctx, &loader));
  *out = p;
  return CO_OK;
cleanup:
  co_pipeline_free(p);
  return status;
}

void co_pipeline_free(co_pipeline *p) {
  if (!p) return;
  co_loader_free(p->loader);
  for (int i = 0; p->slots && i < p->slot_count; i++)
    free_slot(p, &p->slots[i]);
  if (p->packets)
    p->options.source->backend->api->host_buffer_free(p->options.source->backend, p->packets);
  co_free(p->ctx, p->slots);
  co_graph_free(p->graph);
  co_free(p->ctx, p->positions);
  co_free(p->ctx, p->fields);
  co_free(p->ctx, p->tables);
  co_free(p->ctx, p->entity_row);
  if (p->backend) p->backend->api->free(p->backend);
  co_free(p->ctx, p);
}

co_status co_pipeline_next(co_pipeline *p, co_view *out, bool *done) {
  const co_batch *batch;
  CO_RETURN_IF_FAILED(co_loader_next(p->loader, &batch, done));
  if (*done) return CO_OK;
  const slot *s = &p->slots[batch->slot];
  *out =
      (co_view){batch, s->rows, s->valid, s->packet ? NULL : s->inputs, s->packet, s->weight_sum};
  return CO_OK;
}

void co_pipeline_release(co_pipeline *p, const co_view *view) {
  co_loader_release(p->loader, view->batch);
}

double co_pipeline_wait_seconds(const co_pipeline *p) {
  return co_loader_wait_seconds(p->loader);
}

int64_t co_pipeline_batches(const co_pipeline *p) {
  return co_loader_batches(p->loader);
}

void co_view_inv_norm(const co_model *model, const co_view *view, double *inv_norm) {
  for (int64_t i = 0; i < model->output_count; i++)
    inv_norm[i] = view->weight_sum[i] > 0 ? model->outputs[i].weight / view->weight_sum[i] : 0;
}
