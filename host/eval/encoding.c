// SPDX-License-Identifier: Apache-2.0
#include "host/eval/encoding.h"

#include <string.h>

#include "models/feature.h"

// A plan for one shape of batches.
typedef struct unit {
  co_shape_class shape;
  co_plan *plan;
  co_executor *executor;
  void *memory;
  void **inputs; // of devices with memory of their own, per input
} unit;

struct co_encoding {
  co_context *ctx;
  co_arena *arena;
  const co_model *model;
  co_store *store;
  co_backend *backend;
  bool bf16;
  co_graph *graph;
  int32_t *network_input; // per input of the graph: its position in the network's
  co_encoded_value *values;
  int64_t value_count, width;
  co_encoded_part *parts;
  int64_t part_count;
  int32_t *part_of;
  float *room; // of one value's rows
  int64_t room_count;
  unit units[CO_MAX_LENGTHS + 1];
  int unit_count;
  void *step;
};

int64_t co_encoding_width(const co_encoding *e) {
  return e->width;
}

const co_encoded_value *co_encoding_values(const co_encoding *e, int64_t *count) {
  *count = e->value_count;
  return e->values;
}

const co_encoded_part *co_encoding_parts(const co_encoding *e, int64_t *count,
                                         const int32_t **part_of) {
  *count = e->part_count;
  *part_of = e->part_of;
  return e->parts;
}

// ---- what there is -----------------------------------------------------------------------------

// Numbers of a row, the dimension of rows left out.
static int64_t row_width(const co_shape *shape) {
  int64_t width = 1;
  for (int i = 1; i < shape->rank; i++)
    width *= shape->dim[i];
  return width;
}

static void add_value(co_encoding *e, co_value value, const co_input_block *block) {
  int64_t width = row_width(&e->model->network->values[value].desc.shape);
  e->values[e->value_count++] = (co_encoded_value){value, block, e->width, width};
  e->width += width;
}

static co_status list_values(co_encoding *e) {
  const co_model *model = e->model;
  e->values = co_arena_alloc(e->arena, (size_t)model->block_count + 1, sizeof *e->values);
  if (!e->values) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->block_count; i++) {
    const co_input_block *block = &model->blocks[i];
    bool known = false;
    for (int64_t k = 0; k < e->value_count; k++)
      known = known || e->values[k].value == block->encoded;
    if (known) continue;
    const co_tensor_desc *desc = &model->network->values[block->encoded].desc;
    if (desc->dtype != CO_F32 || desc->shape.dim[0] != CO_DIM_N || row_width(&desc->shape) < 1)
      return co_fail(CO_ERR_CONFIG,
                     "input '%s' reaches the combiner as it came: nothing can be attributed to it",
                     block->name);
    add_value(e, block->encoded, block);
  }
  return CO_OK;
}

// Several blocks of a table of events, or several columns in one of its blocks, are told of together.
static bool is_joint(const co_encoding *e, const co_encoded_value *value) {
  int64_t blocks = 0;
  for (int64_t i = 0; i < e->model->block_count; i++)
    blocks += e->model->blocks[i].encoded == value->value;
  return blocks > 1 || (value->block->event_table >= 0 && value->block->count > 1);
}

// An encoder keeps the numbers of a block apart: each has an equal part of what it makes.
static co_status assign_block(co_encoding *e, const co_encoded_value *value) {
  const co_input_block *block = value->block;
  const co_shape *shape = &e->model->network->values[block->network_input].desc.shape;
  const int64_t places = block->count > 1 ? row_width(shape) : 1;
  if (value->width % places)
    return co_fail(CO_ERR_CONFIG, "the encoder of '%s' mixes columns: they cannot be told apart",
                   block->name);
  for (int64_t i = 0; i < value->width; i++) {
    int64_t place = i / (value->width / places);
    e->part_of[value->first + i] =
        (int32_t)(e->part_count + (co_input_block_feature(block, place) - block->features));
  }
  for (int64_t k = 0; k < block->count; k++)
    e->parts[e->part_count++] =
        (co_encoded_part){block->features[k].name, &block->features[k], NULL};
  return CO_OK;
}

static co_status list_parts(co_encoding *e) {
  e->parts = co_arena_alloc(e->arena, (size_t)e->model->input_count + 1, sizeof *e->parts);
  e->part_of = co_arena_alloc(e->arena, (size_t)e->width + 1, sizeof *e->part_of);
  if (!e->parts || !e->part_of) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < e->value_count; i++) {
    const co_encoded_value *value = &e->values[i];
    if (!is_joint(e, value)) {
      CO_RETURN_IF_FAILED(assign_block(e, value));
      continue;
    }
    for (int64_t k = 0; k < value->width; k++)
      e->part_of[value->first + k] = (int32_t)e->part_count;
    const char *table = e->model->event_tables[value->block->event_table].name;
    e->parts[e->part_count++] = (co_encoded_part){table, NULL, table};
  }
  return CO_OK;
}

static co_status cut_graph(co_encoding *e) {
  const co_graph *network = e->model->network;
  co_value *to = co_arena_alloc(e->arena, (size_t)e->value_count + 1, sizeof *to);
  if (!to) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < e->value_count; i++)
    to[i] = e->values[i].value;
  CO_RETURN_IF_FAILED(co_graph_part(&e->graph, network, NULL, 0, to, e->value_count, false));
  e->network_input =
      co_arena_alloc(e->arena, (size_t)e->graph->input_count + 1, sizeof *e->network_input);
  if (!e->network_input) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < e->graph->input_count; i++) {
    co_value found = co_graph_find_input(network, e->graph->values[e->graph->inputs[i]].name);
    e->network_input[i] = network->values[found].index;
  }
  return CO_OK;
}

static co_status open_values(co_encoding **out, const co_network_parts *network,
                             const co_value *values, int64_t count) {
  co_context *ctx = network->model->ctx;
  *out = NULL;
  co_encoding *e = co_alloc_zero(ctx, 1, sizeof *e);
  if (!e) return CO_ERR_MEMORY;
  e->ctx = ctx;
  e->model = network->model;
  e->store = co_program_store(network->program);
  e->backend = e->store->backend;
  e->bf16 = co_program_is_bf16(network->program);
  co_status status;
  CO_TRY(co_arena_create(&e->arena, ctx));
  e->values = co_arena_alloc(e->arena, (size_t)count + 1, sizeof *e->values);
  if (values && !e->values) CO_TRY(CO_ERR_MEMORY);
  for (int64_t i = 0; i < count; i++)
    add_value(e, values[i], NULL);
  if (!values) CO_TRY(list_values(e));
  if (!values) CO_TRY(list_parts(e));
  CO_TRY(cut_graph(e));
  CO_TRY(e->backend->api->buffer_create(e->backend, sizeof(co_step), &e->step));
  CO_TRY(e->backend->api->fill_zero(e->backend, e->step, sizeof(co_step)));
  *out = e;
  return CO_OK;
cleanup:
  co_encoding_close(e);
  return status;
}

co_status co_encoding_open(co_encoding **out, const co_network_parts *network) {
  return open_values(out, network, NULL, 0);
}

co_status co_encoding_open_at(co_encoding **out, const co_network_parts *network,
                              const co_value *values, int64_t count) {
  return open_values(out, network, values, count);
}

static void free_unit(co_encoding *e, unit *u) {
  co_executor_free(u->executor);
  co_plan_free(u->plan);
  e->backend->api->buffer_free(e->backend, u->memory);
  for (int64_t i = 0; u->inputs && i < e->graph->input_count; i++)
    e->backend->api->buffer_free(e->backend, u->inputs[i]);
}

void co_encoding_close(co_encoding *e) {
  if (!e) return;
  for (int i = 0; i < e->unit_count; i++)
    free_unit(e, &e->units[i]);
  e->backend->api->buffer_free(e->backend, e->step);
  co_graph_free(e->graph);
  co_free(e->ctx, e->room);
  co_arena_free(e->arena);
  co_free(e->ctx, e);
}

// ---- running -----------------------------------------------------------------------------------

static co_status make_inputs(co_encoding *e, unit *u) {
  if (e->backend->api->host_memory) return CO_OK;
  u->inputs = co_arena_alloc(e->arena, (size_t)e->graph->input_count + 1, sizeof *u->inputs);
  if (!u->inputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < e->graph->input_count; i++) {
    size_t bytes = co_tensor_bytes(&u->plan->values[e->graph->inputs[i]].info.desc);
    CO_RETURN_IF_FAILED(e->backend->api->buffer_create(e->backend, bytes, &u->inputs[i]));
    co_executor_bind(u->executor, i, u->inputs[i]);
  }
  return CO_OK;
}

static co_status make_unit(co_encoding *e, const co_shape_class *shape, unit **out) {
  for (int i = 0; i < e->unit_count; i++)
    if (co_shape_class_equal(&e->units[i].shape, shape)) {
      *out = &e->units[i];
      return CO_OK;
    }
  if (e->unit_count > CO_MAX_LENGTHS) return co_fail(CO_ERR_INTERNAL, "too many shapes of batches");
  unit *u = *out = &e->units[e->unit_count++];
  u->shape = *shape;
  const co_plan_options options = {
      .mode = CO_MODE_INFER, .shape = *shape, .real = CO_F32, .bf16 = e->bf16};
  CO_RETURN_IF_FAILED(co_plan_create(&u->plan, e->graph, e->store, &options));
  size_t bytes = u->plan->arena_bytes ? u->plan->arena_bytes : e->backend->api->alignment;
  CO_RETURN_IF_FAILED(e->backend->api->buffer_create(e->backend, bytes, &u->memory));
  const co_memory memory = {.arena = u->memory, .step = e->step, .averages = true};
  CO_RETURN_IF_FAILED(co_executor_create(&u->executor, u->plan, e->store, &memory));
  return make_inputs(e, u);
}

static co_status bind_rows(co_encoding *e, unit *u, const void *const *inputs) {
  for (int64_t i = 0; i < e->graph->input_count; i++) {
    const void *from = inputs[e->network_input[i]];
    if (u->inputs)
      CO_RETURN_IF_FAILED(e->backend->api->upload(
          e->backend, u->inputs[i], from,
          co_tensor_bytes(&u->plan->values[e->graph->inputs[i]].info.desc)));
    else
      co_executor_bind(u->executor, i, from);
  }
  return CO_OK;
}

static co_status take_value(co_encoding *e, unit *u, int64_t i, int64_t rows, float *out) {
  const co_encoded_value *value = &e->values[i];
  if (e->room_count < u->shape.rows * value->width) {
    co_free(e->ctx, e->room);
    e->room_count = u->shape.rows * value->width;
    e->room = co_alloc(e->ctx, (size_t)e->room_count * sizeof *e->room);
    if (!e->room) {
      e->room_count = 0;
      return CO_ERR_MEMORY;
    }
  }
  CO_RETURN_IF_FAILED(co_executor_read_output(u->executor, i, e->room));
  for (int64_t row = 0; row < rows; row++)
    memcpy(out + row * e->width + value->first, e->room + row * value->width,
           (size_t)value->width * sizeof *out);
  return CO_OK;
}

co_status co_encoding_run(co_encoding *e, const co_shape_class *shape, const void *const *inputs,
                          int64_t rows, float *out) {
  unit *u = NULL;
  CO_RETURN_IF_FAILED(make_unit(e, shape, &u));
  CO_RETURN_IF_FAILED(bind_rows(e, u, inputs));
  CO_RETURN_IF_FAILED(co_executor_run(u->executor));
  for (int64_t i = 0; i < e->value_count; i++)
    CO_RETURN_IF_FAILED(take_value(e, u, i, rows, out));
  return CO_OK;
}
