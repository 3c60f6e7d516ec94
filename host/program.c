// SPDX-License-Identifier: Apache-2.0
#include "host/program.h"

#include <math.h>
#include <string.h>

// One plan with its executor.
typedef struct unit {
  co_plan *plan;
  co_executor *executor;
  int64_t rows;
  bool add; // adds to the gradients
} unit;

typedef struct phase {
  co_phase_options options;
  void *optimizer_options;
  co_graph *update_graph;
  unit *units; // forward and backward, by rows and add
  int64_t unit_count, unit_capacity;
  unit update;
  int64_t updates;
} phase;

struct co_program {
  co_context *ctx;
  const co_graph *graph;
  co_backend *backend;
  co_program_options options;
  co_store *store;
  phase *phases;
  unit evaluation;
  size_t arena_bytes, workspace_bytes;
  void *arena, *step, *metrics[2]; // metrics: training, evaluation
  void **inputs; // device copies of the graph's inputs, NULL where it reads the host's memory
};

static co_status plan_unit(co_program *program, const co_graph *graph, unit *out,
                           const co_plan_options *options) {
  CO_RETURN_IF_FAILED(co_plan_create(&out->plan, graph, program->store, options));
  out->rows = options->rows;
  out->add = options->add_gradients;
  if (out->plan->arena_bytes > program->arena_bytes) program->arena_bytes = out->plan->arena_bytes;
  if (out->plan->workspace_bytes > program->workspace_bytes)
    program->workspace_bytes = out->plan->workspace_bytes;
  return CO_OK;
}

static co_status bind_unit(co_program *program, unit *item, bool evaluation) {
  co_memory memory = {program->arena, program->step, program->metrics[evaluation]};
  return co_executor_create(&item->executor, item->plan, program->store, &memory);
}

static void free_unit(unit *item) {
  co_executor_free(item->executor);
  co_plan_free(item->plan);
}

static unit *find_unit(phase *p, int64_t rows, bool add) {
  for (int64_t i = 0; i < p->unit_count; i++)
    if (p->units[i].rows == rows && p->units[i].add == add) return &p->units[i];
  return NULL;
}

static co_status need_unit(co_program *program, phase *p, int64_t rows, bool add) {
  if (find_unit(p, rows, add)) return CO_OK;
  CO_RETURN_IF_FAILED(co_grow(program->ctx, (void **)&p->units, &p->unit_capacity, p->unit_count,
                              sizeof *p->units));
  unit *item = &p->units[p->unit_count++];
  memset(item, 0, sizeof *item);
  co_plan_options options = {.mode = CO_MODE_TRAIN,
                             .rows = rows,
                             .real = program->options.real,
                             .bf16 = program->options.bf16,
                             .add_gradients = add,
                             .groups = p->options.groups,
                             .losses = p->options.losses,
                             .no_fusion = program->options.no_fusion};
  return plan_unit(program, program->graph, item, &options);
}

// Every (rows, first or later micro-batch) that the effective batch sizes lead to.
static co_status plan_phase(co_program *program, phase *p) {
  for (int64_t i = 0; i < program->options.batch_row_count; i++) {
    int64_t left = program->options.batch_rows[i];
    for (bool add = false; left > 0; add = true) {
      int64_t rows = left < program->options.rows ? left : program->options.rows;
      CO_RETURN_IF_FAILED(need_unit(program, p, rows, add));
      left -= rows;
    }
  }
  return CO_OK;
}

// The parts of the parameter block that this phase's gradients cover; neighbours of equal rate and
// decay become one. (Offsets are exact once the store is allocated.)
static int64_t list_segments(const co_program *program, const phase *p, co_segment *out) {
  const co_store *store = program->store;
  size_t real = co_dtype_size(store->real);
  int64_t count = 0;
  for (int64_t i = 0; i < store->count; i++) {
    const co_store_entry *entry = &store->entries[i];
    if (entry->info.state || !p->units[0].plan->has_gradient[i]) continue;
    co_segment next = {(int64_t)(entry->offset / real), (int64_t)(entry->bytes / real),
                       entry->info.rate, entry->info.decay};
    co_segment *last = count ? &out[count - 1] : NULL;
    size_t alignment = store->alignment / real;
    if (last && last->rate == next.rate && last->decay == next.decay &&
        next.begin - (last->begin + last->count) < (int64_t)alignment)
      last->count = next.begin + next.count - last->begin; // the zero padding between rides along
    else
      out[count++] = next;
  }
  return count;
}

static co_status add_segments(co_program *program, phase *p, co_value *out) {
  size_t most = (size_t)program->store->count + 1;
  co_segment *segments = co_alloc_zero(program->ctx, most, sizeof *segments);
  if (!segments) return CO_ERR_MEMORY;
  int64_t count = list_segments(program, p, segments);
  if (!count) {
    co_free(program->ctx, segments);
    return co_fail(CO_ERR_CONFIG, "there is no parameter to train (of those groups and losses)");
  }
  co_shape shape = co_shape_make(1, count * (int64_t)sizeof *segments);
  co_status status =
      co_graph_add_constant(p->update_graph, "segments", CO_U8, &shape, segments, out);
  co_free(program->ctx, segments);
  return status;
}

// The update as a graph: norm, finite check, optimizer.
static co_status build_update(co_program *program, phase *p) {
  CO_RETURN_IF_FAILED(co_graph_create(&p->update_graph, program->ctx));
  co_graph *graph = p->update_graph;
  int64_t elements = co_store_elements(program->store);
  co_update_operands operands;
  CO_RETURN_IF_FAILED(co_graph_add_block(graph, CO_BLOCK_PARAM, elements, &operands.w));
  CO_RETURN_IF_FAILED(co_graph_add_block(graph, CO_BLOCK_GRADIENT, elements, &operands.g));
  for (int i = 0; i < program->store->slots; i++)
    CO_RETURN_IF_FAILED(
        co_graph_add_block(graph, (co_block)(CO_BLOCK_SLOT0 + i), elements, &operands.slot[i]));
  operands.mirror = CO_NO_VALUE;
  if (program->store->mirror)
    CO_RETURN_IF_FAILED(co_graph_add_block(graph, CO_BLOCK_MIRROR, elements, &operands.mirror));
  CO_RETURN_IF_FAILED(add_segments(program, p, &operands.segments));
  CO_RETURN_IF_FAILED(co_graph_get_step(graph, &operands.step));
  co_value none[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    none[i] = CO_NO_VALUE;
  co_value norm_in[CO_OP_MAX_OPERANDS] = {operands.g, operands.segments};
  co_value norm_out[CO_OP_MAX_OPERANDS], gate_out[CO_OP_MAX_OPERANDS];
  memcpy(norm_out, none, sizeof none);
  memcpy(gate_out, none, sizeof none);
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_GRADIENT_NORM, NULL, norm_in, norm_out));
  co_op_attr attr = {.clip_norm = p->options.clip_norm};
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_FINITE_CHECK, &attr, norm_out, gate_out));
  operands.gate = gate_out[0];
  CO_RETURN_IF_FAILED(p->options.optimizer->emit(graph, p->optimizer_options, &operands));
  CO_RETURN_IF_FAILED(co_graph_add_output(graph, "norm", norm_out[0]));
  return co_graph_add_output(graph, "gate", gate_out[0]);
}

static co_status plan_update(co_program *program, phase *p) {
  CO_RETURN_IF_FAILED(build_update(program, p));
  co_plan_options options = {.mode = CO_MODE_UPDATE, .rows = 1, .real = program->options.real};
  return plan_unit(program, p->update_graph, &p->update, &options);
}

static co_status plan_evaluation(co_program *program) {
  if (!program->options.evaluation_rows) return CO_OK;
  co_plan_options options = {.mode = program->options.evaluation_mode,
                             .rows = program->options.evaluation_rows,
                             .real = program->options.real,
                             .bf16 = program->options.bf16,
                             .no_fusion = program->options.no_fusion};
  return plan_unit(program, program->graph, &program->evaluation, &options);
}

static co_status copy_phases(co_program *program) {
  const co_program_options *options = &program->options;
  program->phases =
      co_alloc_zero(program->ctx, (size_t)options->phase_count + 1, sizeof *program->phases);
  if (!program->phases) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < options->phase_count; i++) {
    phase *p = &program->phases[i];
    p->options = options->phases[i];
    size_t size = p->options.optimizer->options_size;
    p->optimizer_options = co_alloc_zero(program->ctx, 1, size);
    if (!p->optimizer_options) return CO_ERR_MEMORY;
    memcpy(p->optimizer_options, options->phases[i].optimizer_options, size);
  }
  return CO_OK;
}

static int most_slots(const co_program *program) {
  int most = 0;
  for (int64_t i = 0; i < program->options.phase_count; i++) {
    const phase *p = &program->phases[i];
    int slots = p->options.optimizer->slots(p->optimizer_options);
    if (slots > most) most = slots;
  }
  return most;
}

static co_status allocate(co_program *program) {
  co_backend *backend = program->backend;
  const co_backend_api *api = backend->api;
  size_t metric_bytes = (size_t)(program->graph->metric_doubles + 1) * sizeof(double);
  CO_RETURN_IF_FAILED(api->buffer_create(
      backend, program->arena_bytes ? program->arena_bytes : api->alignment, &program->arena));
  CO_RETURN_IF_FAILED(api->buffer_create(backend, sizeof(co_step), &program->step));
  // Evaluation reads scalars (to no effect) before any step has set them.
  CO_RETURN_IF_FAILED(api->fill_zero(backend, program->step, sizeof(co_step)));
  for (int i = 0; i < 2; i++) {
    CO_RETURN_IF_FAILED(api->buffer_create(backend, metric_bytes, &program->metrics[i]));
    CO_RETURN_IF_FAILED(co_program_clear_metrics(program, i));
  }
  return CO_OK;
}

// A graph input of `rows` rows, as the plans read it.
static co_tensor_desc input_desc(const co_program *program, int64_t i, int64_t rows) {
  co_tensor_desc desc = program->graph->values[program->graph->inputs[i]].desc;
  if (desc.dtype == CO_F32) desc.dtype = program->options.real;
  desc.shape.dim[0] = rows;
  return desc;
}

static co_status allocate_inputs(co_program *program) {
  co_backend *backend = program->backend;
  const co_program_options *options = &program->options;
  if (backend->api->host_memory) return CO_OK;
  program->inputs =
      co_alloc_zero(program->ctx, (size_t)program->graph->input_count + 1, sizeof *program->inputs);
  if (!program->inputs) return CO_ERR_MEMORY;
  int64_t rows =
      options->rows > options->evaluation_rows ? options->rows : options->evaluation_rows;
  for (int64_t i = 0; i < program->graph->input_count; i++) {
    co_tensor_desc desc = input_desc(program, i, rows);
    CO_RETURN_IF_FAILED(
        backend->api->buffer_create(backend, co_tensor_bytes(&desc), &program->inputs[i]));
  }
  return CO_OK;
}

static co_status bind_all(co_program *program) {
  for (int64_t i = 0; i < program->options.phase_count; i++) {
    phase *p = &program->phases[i];
    for (int64_t k = 0; k < p->unit_count; k++)
      CO_RETURN_IF_FAILED(bind_unit(program, &p->units[k], false));
    CO_RETURN_IF_FAILED(bind_unit(program, &p->update, false));
  }
  return program->evaluation.plan ? bind_unit(program, &program->evaluation, true) : CO_OK;
}

co_status co_program_create(co_program **out, const co_graph *graph, co_backend *backend,
                            const co_program_options *options) {
  *out = NULL;
  co_program *program = co_alloc_zero(graph->ctx, 1, sizeof *program);
  if (!program) return CO_ERR_MEMORY;
  program->ctx = graph->ctx;
  program->graph = graph;
  program->backend = backend;
  program->options = *options;
  co_status status;
  CO_TRY(copy_phases(program));
  CO_TRY(co_store_create(&program->store, backend, options->real));
  CO_TRY(co_store_add_graph(program->store, graph));
  for (int64_t i = 0; i < options->phase_count; i++)
    CO_TRY(plan_phase(program, &program->phases[i]));
  CO_TRY(plan_evaluation(program));
  CO_TRY(co_store_allocate(program->store, options->phase_count > 0, most_slots(program)));
  for (int64_t i = 0; i < options->phase_count; i++)
    CO_TRY(plan_update(program, &program->phases[i]));
  CO_TRY(allocate(program));
  CO_TRY(allocate_inputs(program));
  CO_TRY(bind_all(program));
  *out = program;
  return CO_OK;
cleanup:
  co_program_free(program);
  return status;
}

void co_program_free(co_program *program) {
  if (!program) return;
  for (int64_t i = 0; program->phases && i < program->options.phase_count; i++) {
    phase *p = &program->phases[i];
    for (int64_t k = 0; k < p->unit_count; k++)
      free_unit(&p->units[k]);
    free_unit(&p->update);
    co_graph_free(p->update_graph);
    co_free(program->ctx, p->units);
    co_free(program->ctx, p->optimizer_options);
  }
  free_unit(&program->evaluation);
  const co_backend_api *api = program->backend->api;
  api->buffer_free(program->backend, program->arena);
  api->buffer_free(program->backend, program->step);
  api->buffer_free(program->backend, program->metrics[0]);
  api->buffer_free(program->backend, program->metrics[1]);
  for (int64_t i = 0; program->inputs && i < program->graph->input_count; i++)
    api->buffer_free(program->backend, program->inputs[i]);
  co_free(program->ctx, program->inputs);
  co_store_free(program->store);
  co_free(program->ctx, program->phases);
  co_free(program->ctx, program);
}

co_store *co_program_store(co_program *program) {
  return program->store;
}

// Rows [first, first + rows) of each input: bound where they lie, or copied to the device. A copy
// always lies at the same address, so that what the executor has recorded stays valid.
static co_status give_inputs(co_program *program, co_executor *executor, const void *const *inputs,
                             int64_t first, int64_t rows) {
  co_backend *backend = program->backend;
  for (int64_t i = 0; i < program->graph->input_count; i++) {
    if (!inputs[i]) continue;
    co_tensor_desc row = input_desc(program, i, 1), slice = input_desc(program, i, rows);
    const char *from = (const char *)inputs[i] + (size_t)first * co_tensor_bytes(&row);
    if (program->inputs) {
      CO_RETURN_IF_FAILED(
          backend->api->upload(backend, program->inputs[i], from, co_tensor_bytes(&slice)));
      from = program->inputs[i];
    }
    co_executor_bind(executor, i, from);
  }
  return CO_OK;
}

static co_status run_micro_batches(co_program *program, phase *p, int64_t rows,
                                   const void *const *inputs, co_step *step) {
  CO_RETURN_IF_FAILED(co_store_refresh(program->store));
  if (rows < 1) return co_fail(CO_ERR_INTERNAL, "a batch without rows");
  for (int64_t first = 0; first < rows; first += program->options.rows) {
    int64_t left = rows - first;
    unit *item =
        find_unit(p, left < program->options.rows ? left : program->options.rows, first > 0);
    if (!item)
      return co_fail(CO_ERR_INTERNAL, "a batch of %lld rows was not planned", (long long)rows);
    step->row_offset = first;
    CO_RETURN_IF_FAILED(
        program->backend->api->upload(program->backend, program->step, step, sizeof *step));
    CO_RETURN_IF_FAILED(give_inputs(program, item->executor, inputs, first, item->rows));
    CO_RETURN_IF_FAILED(co_executor_run(item->executor));
  }
  return CO_OK;
}

// 1 / (1 - beta^t), 1 where there is no beta.
static double bias_correction(double beta, int64_t t) {
  return beta > 0 ? 1 / (1 - pow(beta, (double)t)) : 1;
}

co_status co_program_step(co_program *program, int64_t index, int64_t rows,
                          const void *const *inputs, const co_step *step, co_step_result *result) {
  phase *p = &program->phases[index];
  co_step scalars = *step;
  double beta1, beta2;
  p->options.optimizer->betas(p->optimizer_options, &beta1, &beta2);
  scalars.bias_correction1 = bias_correction(beta1, p->updates + 1);
  scalars.bias_correction2 = bias_correction(beta2, p->updates + 1);
  CO_RETURN_IF_FAILED(run_micro_batches(program, p, rows, inputs, &scalars));
  CO_RETURN_IF_FAILED(co_executor_run(p->update.executor));
  double norm, gate[2];
  CO_RETURN_IF_FAILED(co_executor_read_output(p->update.executor, 0, &norm));
  CO_RETURN_IF_FAILED(co_executor_read_output(p->update.executor, 1, gate));
  result->gradient_norm = sqrt(norm);
  result->finite = gate[0] != 0;
  if (result->finite) p->updates++; // a skipped step advances no moment
  co_store_note_update(program->store);
  return CO_OK;
}

int64_t co_program_updates(const co_program *program, int64_t index) {
  return program->phases[index].updates;
}

void co_program_set_updates(co_program *program, int64_t index, int64_t updates) {
  program->phases[index].updates = updates;
}

co_status co_program_evaluate(co_program *program, const void *const *inputs) {
  co_executor *executor = program->evaluation.executor;
  CO_RETURN_IF_FAILED(co_store_refresh(program->store));
  CO_RETURN_IF_FAILED(give_inputs(program, executor, inputs, 0, program->options.evaluation_rows));
  return co_executor_run(executor);
}

co_executor *co_program_evaluator(co_program *program) {
  return program->evaluation.executor;
}

co_status co_program_read_metrics(co_program *program, bool evaluation, double *out) {
  return program->backend->api->download(program->backend, out, program->metrics[evaluation],
                                         (size_t)program->graph->metric_doubles * sizeof(double));
}

co_status co_program_write_metrics(co_program *program, bool evaluation, const double *values) {
  return program->backend->api->upload(program->backend, program->metrics[evaluation], values,
                                       (size_t)program->graph->metric_doubles * sizeof(double));
}

co_status co_program_clear_metrics(co_program *program, bool evaluation) {
  return program->backend->api->fill_zero(program->backend, program->metrics[evaluation],
                                          (size_t)(program->graph->metric_doubles + 1) *
                                              sizeof(double));
}

void co_program_get_bytes(const co_program *program, co_program_bytes *out) {
  const co_store *store = program->store;
  memset(out, 0, sizeof *out);
  out->parameters = store->param_bytes;
  out->mirror = store->mirror ? store->param_bytes / 2 : 0;
  out->state = store->state_bytes;
  out->gradients = store->gradient ? store->param_bytes : 0;
  out->slots = store->param_bytes * (size_t)store->slots;
  out->arena = program->arena_bytes;
  out->workspace = program->workspace_bytes;
  out->total =
      out->parameters + out->mirror + out->state + out->gradients + out->slots + out->arena;
}

const co_plan *co_program_plan(const co_program *program, int64_t i) {
  for (int64_t k = 0; k < program->options.phase_count; k++) {
    const phase *p = &program->phases[k];
    if (i < p->unit_count) return p->units[i].plan;
    i -= p->unit_count;
    if (i-- == 0) return p->update.plan;
  }
  return i == 0 ? program->evaluation.plan : NULL;
}
