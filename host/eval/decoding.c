// SPDX-License-Identifier: Apache-2.0
#include "host/eval/decoding.h"

#include <string.h>

#include "host/exec/executor.h"
#include "host/feed/shape_classes.h"
#include "models/text_output.h"

enum { TURNS = 2 }; // each reads the state that the other has left

struct co_decoding {
  co_context *ctx;
  co_backend *backend;
  const co_output_feature *output;
  co_graph *graph;
  co_plan *plan;
  int64_t rows;
  void *arena[TURNS];
  co_executor *executor[TURNS];
  void *input[CO_DECODING_MOST_INPUTS]; // on the device; the first state and token are zeros
  float *memory;                        // (rows, events, units), where a batch's have fewer events
  float *codes;                         // (rows, width)
  int32_t *token;                       // (rows)
};

static co_status create_plan(co_decoding *d, const co_model *model, co_store *store) {
  const co_plan_options options = {
      .mode = CO_MODE_INFER,
      .shape = co_shape_class_of(model, d->rows, co_length_count(model) - 1), // the longest
      .real = store->real};
  CO_RETURN_IF_FAILED(co_model_create_decoding(&d->graph, model, d->output));
  return co_plan_create(&d->plan, d->graph, store, &options);
}

static size_t input_bytes(const co_decoding *d, int64_t i) {
  co_tensor_desc desc = d->graph->values[d->graph->inputs[i]].desc;
  co_shape_bind(&desc.shape, &d->plan->options.shape);
  return co_tensor_bytes(&desc);
}

co_status co_decoding_bytes(size_t *out, const co_model *model, const co_output_feature *output,
                            co_store *store, int64_t rows) {
  co_decoding d = {.output = output, .rows = rows};
  co_status status = create_plan(&d, model, store);
  *out = status == CO_OK ? TURNS * (d.plan->arena_bytes + 1) : 0;
  for (int64_t i = 0; status == CO_OK && i < d.graph->input_count; i++)
    *out += input_bytes(&d, i);
  for (int64_t i = 0; status == CO_OK && i < d.graph->constant_count; i++)
    *out += TURNS * d.graph->constants[i].size;
  co_plan_free(d.plan);
  co_graph_free(d.graph);
  return status;
}

static co_status create_memory(co_decoding *d, co_store *store) {
  const co_backend_api *api = d->backend->api;
  const size_t rows = (size_t)d->rows;
  for (int i = 0; i < TURNS; i++) {
    CO_RETURN_IF_FAILED(api->buffer_create(d->backend, d->plan->arena_bytes + 1, &d->arena[i]));
    const co_memory memory = {.arena = d->arena[i], .averages = true};
    CO_RETURN_IF_FAILED(co_executor_create(&d->executor[i], d->plan, store, &memory));
  }
  size_t most = 0;
  for (int64_t i = 0; i < d->graph->input_count; i++) {
    const size_t bytes = input_bytes(d, i);
    if (i >= CO_DECODING_INPUTS && bytes > most) most = bytes;
    CO_RETURN_IF_FAILED(api->buffer_create(d->backend, bytes, &d->input[i]));
    CO_RETURN_IF_FAILED(api->fill_zero(d->backend, d->input[i], bytes));
  }
  d->memory = co_alloc_zero(d->ctx, most + 1, 1); // 0 of weight 0, too
  d->codes = co_alloc(d->ctx, rows * (size_t)d->output->width * sizeof *d->codes);
  d->token = co_alloc(d->ctx, rows * sizeof *d->token);
  return d->memory && d->codes && d->token ? CO_OK : CO_ERR_MEMORY;
}

static co_status create(co_decoding *d, const co_model *model, co_store *store) {
  CO_RETURN_IF_FAILED(create_plan(d, model, store));
  return create_memory(d, store);
}

co_status co_decoding_create(co_decoding **out, const co_model *model,
                             const co_output_feature *output, co_store *store, int64_t rows) {
  *out = NULL;
  co_decoding *d = co_alloc_zero(model->ctx, 1, sizeof *d);
  if (!d) return CO_ERR_MEMORY;
  d->ctx = model->ctx;
  d->backend = store->backend;
  d->output = output;
  d->rows = rows;
  co_status status = create(d, model, store);
  if (status == CO_OK) {
    *out = d;
    return CO_OK;
  }
  co_error error;
  co_error_copy(&error);
  co_decoding_free(d);
  return co_error_raise(&error);
}

void co_decoding_free(co_decoding *d) {
  if (!d) return;
  for (int i = 0; i < TURNS; i++) {
    co_executor_free(d->executor[i]);
    if (d->arena[i]) d->backend->api->buffer_free(d->backend, d->arena[i]);
  }
  for (int i = 0; i < CO_DECODING_MOST_INPUTS; i++)
    if (d->input[i]) d->backend->api->buffer_free(d->backend, d->input[i]);
  co_plan_free(d->plan);
  co_graph_free(d->graph);
  co_free(d->ctx, d->memory);
  co_free(d->ctx, d->codes);
  co_free(d->ctx, d->token);
  co_free(d->ctx, d);
}

// The likeliest tokens after those so far, which stay on the device for the step behind this one.
static co_status step(co_decoding *d, int64_t number) {
  co_executor *executor = d->executor[number % TURNS], *other = d->executor[(number + 1) % TURNS];
  for (int64_t i = 0; i < d->graph->input_count; i++)
    co_executor_bind(executor, i, d->input[i]);
  if (number) {
    co_executor_bind(executor, CO_DECODING_state,
                     co_executor_address(other, d->plan->outputs[CO_DECODING_next_state]));
    co_executor_bind(executor, CO_DECODING_token,
                     co_executor_address(other, d->plan->outputs[CO_DECODING_next_token]));
  }
  CO_RETURN_IF_FAILED(co_executor_run(executor));
  return co_executor_read_output(executor, CO_DECODING_next_token, d->token);
}

// Writes the next token of every row that has not ended; returns how many are left. Others go on, and
// what comes of it is not read.
static int64_t write_tokens(co_decoding *d, int64_t number, int64_t count) {
  const int64_t width = d->output->width;
  int64_t left = 0;
  for (int64_t i = 0; i < count; i++) {
    float *codes = d->codes + i * width;
    if (number && codes[number - 1] < CO_TEXT_FIRST) continue;
    if (number == width - 1 && d->token[i] != CO_TEXT_END) continue; // no room for more of it
    codes[number] = (float)d->token[i];
    left += d->token[i] != CO_TEXT_END;
  }
  return left;
}

static co_status upload(co_decoding *d, int64_t input, const void *from, size_t bytes) {
  return d->backend->api->upload(d->backend, d->input[input], from, bytes);
}

// Rows of a batch may have fewer events than there is room for; what is behind their lengths is not read.
static co_status upload_memory(co_decoding *d, int64_t i, const co_decoding_read *read) {
  const int64_t input = CO_DECODING_INPUTS + 2 * i, units = d->output->text->units;
  const int32_t table = d->output->text->memory[i].event_table;
  const int64_t room = d->plan->options.shape.t[table] * units, row = read->events[i] * units;
  const float *from = read->memory[i];
  if (row < room) {
    for (int64_t k = 0; k < read->count; k++)
      memcpy(d->memory + k * room, from + k * row, (size_t)row * sizeof *from);
    from = d->memory;
  }
  CO_RETURN_IF_FAILED(upload(d, input, from, (size_t)(read->count * room) * sizeof *from));
  return upload(d, input + 1, read->lengths[i], (size_t)read->count * sizeof **read->lengths);
}

co_decoding_read co_decoding_read_of(const co_output_feature *output, const void *const *outputs,
                                     const co_shape_class *shape, int64_t count) {
  const co_text_output *text = output->text;
  co_decoding_read read = {.count = count, .context = outputs[output->prediction]};
  for (int64_t i = 0; i < text->memory_count; i++) {
    read.memory[i] = outputs[text->memory[i].output];
    read.lengths[i] = outputs[text->memory[i].output + 1];
    read.events[i] = shape->t[text->memory[i].event_table];
  }
  return read;
}

co_status co_decoding_run(co_decoding *d, const co_decoding_read *read, const float **codes) {
  const int64_t width = d->output->width, units = d->output->text->units, count = read->count;
  memset(d->codes, 0, (size_t)(count * width) * sizeof *d->codes);
  CO_RETURN_IF_FAILED(upload(d, CO_DECODING_context, read->context,
                             (size_t)(count * units) * sizeof *read->context));
  for (int64_t i = 0; i < d->output->text->memory_count; i++)
    CO_RETURN_IF_FAILED(upload_memory(d, i, read));
  for (int64_t i = 0, left = count; i < width && left; i++) {
    CO_RETURN_IF_FAILED(step(d, i));
    left = write_tokens(d, i, count);
  }
  *codes = d->codes;
  return CO_OK;
}
