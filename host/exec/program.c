// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "host/exec/memory.h"
#include "host/exec/program_private.h"

static co_status plan_unit(co_program *program, const co_graph *graph, co_unit *out,
                           const co_plan_options *options) {
  CO_RETURN_IF_FAILED(co_plan_create(&out->plan, graph, program->store, options));
  out->shape = options->shape;
  out->add = options->add_gradients;
  if (!program->largest || out->plan->arena_bytes > program->arena_bytes)
    program->largest = out->plan;
  if (out->plan->arena_bytes > program->arena_bytes) program->arena_bytes = out->plan->arena_bytes;
  if (out->plan->workspace_bytes > program->workspace_bytes)
    program->workspace_bytes = out->plan->workspace_bytes;
  program->kept_bytes += out->plan->kept_bytes;
  return CO_OK;
}

static co_status bind_unit(co_program *program, co_unit *item, bool evaluation) {
  co_memory memory = {.arena = program->arena,
                      .step = program->step,
                      .metrics = program->metrics[evaluation],
                      .averages = evaluation};
  return co_executor_create(&item->executor, item->plan, program->store, &memory);
}

static void free_unit(co_unit *item) {
  co_executor_free(item->executor);
  co_plan_free(item->plan);
}

co_unit *co_phase_find_unit(co_phase *p, const co_shape_class *shape, bool add) {
  for (int64_t i = 0; i < p->unit_count; i++)
    if (co_shape_class_equal(&p->units[i].shape, shape) && p->units[i].add == add)
      return &p->units[i];
  return NULL;
}

co_unit *co_program_find_evaluation(co_program *program, const co_shape_class *shape) {
  for (int64_t i = 0; i < program->evaluation_count; i++)
    if (co_shape_class_equal(&program->evaluations[i].shape, shape))
      return &program->evaluations[i];
  return NULL;
}

// Whether the input section runs on the device; it then writes what the network reads.
static bool has_sections(const co_program *program) {
  return program->options.section && co_program_is_on_device(program);
}

// Which inputs of the network it writes, as narrow as they are read: all others are staged as the graph
// has them.
static co_status list_made_inputs(co_program *program) {
  const co_input_section *section = program->options.section;
  if (!has_sections(program)) return CO_OK;
  program->made_inputs =
      co_alloc_zero(program->ctx, (size_t)program->graph->input_count + 1, sizeof(bool));
  if (!program->made_inputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < section->graph->output_count; i++)
    program->made_inputs[section->network_inputs[i]] = true;
  return CO_OK;
}

// Whether gradients are what one operation of one plan makes of them.
static bool never_adds(const co_program *program) {
  bool cut = false;
  for (int64_t i = 0; i < program->options.class_count; i++)
    cut = cut || program->options.classes[i].rows > program->options.rows;
  return program->options.phase_count == 1 && !cut;
}

static co_status need_unit(co_program *program, co_phase *p, const co_shape_class *shape,
                           bool add) {
  if (co_phase_find_unit(p, shape, add)) return CO_OK;
  CO_RETURN_IF_FAILED(co_grow(program->ctx, (void **)&p->units, &p->unit_capacity, p->unit_count,
                              sizeof *p->units));
  co_unit *item = &p->units[p->unit_count++];
  memset(item, 0, sizeof *item);
  co_plan_options options = {.mode = CO_MODE_TRAIN,
                             .shape = *shape,
                             .real = program->options.real,
                             .bf16 = program->options.bf16,
                             .narrow_inputs = program->made_inputs,
                             .add_gradients = add,
                             .narrow_gradients = p->unit_count == 1 && never_adds(program),
                             .groups = p->options.groups,
                             .losses = p->options.losses,
                             .no_fusion = program->options.no_fusion,
                             .logit_bytes = program->options.logit_bytes};
  return plan_unit(program, program->graph, item, &options);
}

// Every (shape, first or later micro-batch) that the classes of effective batches lead to.
static co_status plan_phase(co_program *program, co_phase *p) {
  for (int64_t i = 0; i < program->options.class_count; i++) {
    co_shape_class micro = program->options.classes[i];
    int64_t left = micro.rows;
    for (bool add = false; left > 0; add = true) {
      micro.rows = left < program->options.rows ? left : program->options.rows;
      CO_RETURN_IF_FAILED(need_unit(program, p, &micro, add));
      left -= micro.rows;
    }
  }
  return CO_OK;
}

// The parts of the parameter block that this phase's gradients cover; neighbours of equal rate and
// decay become one. (Offsets are exact once the store is allocated.)
static int64_t list_segments(const co_program *program, const co_phase *p, co_segment *out) {
  const co_store *store = program->store;
  size_t real = co_dtype_size(store->real);
  int64_t count = 0;
  for (int64_t k = 0; k < 2 * store->count; k++) { // in the order of the block
    const int64_t i = k % store->count;
    const co_store_entry *entry = &store->entries[i];
    if (entry->info.state || entry->info.rows || !p->units[0].plan->has_gradient[i]) continue;
    if (entry->narrow != (k >= store->count)) continue;
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

// *out is CO_NO_VALUE where the phase trains nothing but tables with `rows`.
static co_status add_segments(co_program *program, co_phase *p, co_value *out) {
  size_t most = (size_t)program->store->count + 1;
  co_segment *segments = co_alloc_zero(program->ctx, most, sizeof *segments);
  if (!segments) return CO_ERR_MEMORY;
  int64_t count = list_segments(program, p, segments);
  *out = CO_NO_VALUE;
  co_shape shape = co_shape_make(1, count * (int64_t)sizeof *segments);
  co_status status =
      count ? co_graph_add_constant(p->update_graph, "segments", CO_U8, &shape, segments, out)
            : CO_OK;
  co_free(program->ctx, segments);
  return status;
}

// The blocks that the optimizer works on, CO_NO_VALUE where it has no segments of them.
static co_status add_blocks(const co_program *program, co_graph *graph,
                            co_update_operands *operands) {
  const co_store *store = program->store;
  const int64_t elements = co_store_elements(store);
  operands->w = operands->g = operands->mirror = operands->narrow = CO_NO_VALUE;
  if (operands->segments == CO_NO_VALUE) return CO_OK;
  CO_RETURN_IF_FAILED(co_graph_add_block(graph, CO_BLOCK_PARAM, elements, &operands->w));
  const int64_t narrow = co_store_narrow_elements(store);
  CO_RETURN_IF_FAILED(
      co_graph_add_block(graph, CO_BLOCK_GRADIENT, elements - narrow, &operands->g));
  if (narrow)
    CO_RETURN_IF_FAILED(co_graph_add_block(graph, CO_BLOCK_NARROW, narrow, &operands->narrow));
  for (int i = 0; i < store->slots; i++)
    CO_RETURN_IF_FAILED(
        co_graph_add_block(graph, (co_block)(CO_BLOCK_SLOT0 + i), elements, &operands->slot[i]));
  return store->mirror ? co_graph_add_block(graph, CO_BLOCK_MIRROR, elements, &operands->mirror)
                       : CO_OK;
}

static co_status build_average(const co_program *program, co_graph *graph,
                               const co_update_operands *operands) {
  co_value ema;
  CO_RETURN_IF_FAILED(
      co_graph_add_block(graph, CO_BLOCK_EMA, co_store_elements(program->store), &ema));
  co_value in[CO_OP_MAX_OPERANDS] = {[CO_EMA_w] = operands->w,
                                     [CO_EMA_ema] = ema,
                                     [CO_EMA_segments] = operands->segments,
                                     [CO_EMA_step] = operands->step,
                                     [CO_EMA_gate] = operands->gate};
  co_value out[CO_OP_MAX_OPERANDS] = {[CO_EMA_new_ema] = ema};
  return co_graph_add_op(graph, CO_OP_EMA, NULL, in, out);
}

// The update as a graph: norm with its gate, optimizer, moving average. `lists`: co_phase_sum_rows.
static co_status build_update(co_program *program, co_phase *p, co_value *lists) {
  CO_RETURN_IF_FAILED(co_graph_create(&p->update_graph, program->ctx));
  co_graph *graph = p->update_graph;
  co_update_operands operands = {.clip_value = p->options.clip_value};
  CO_RETURN_IF_FAILED(add_segments(program, p, &operands.segments));
  CO_RETURN_IF_FAILED(add_blocks(program, graph, &operands));
  CO_RETURN_IF_FAILED(co_graph_get_step(graph, &operands.step));
  co_value in[CO_OP_MAX_OPERANDS] = {[CO_GRADIENT_NORM_g] = operands.g,
                                     [CO_GRADIENT_NORM_segments] = operands.segments,
                                     [CO_GRADIENT_NORM_narrow] = operands.narrow};
  CO_RETURN_IF_FAILED(co_phase_sum_rows(program, p, lists, in));
  if (in[CO_GRADIENT_NORM_g] == CO_NO_VALUE)
    return co_fail(CO_ERR_CONFIG, "there is no parameter to train (of those groups and losses)");
  co_value out[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    out[i] = CO_NO_VALUE;
  CO_RETURN_IF_FAILED(co_graph_add_result(graph, "norm", 1, &out[CO_GRADIENT_NORM_sum]));
  CO_RETURN_IF_FAILED(co_graph_add_result(graph, "gate", 2, &out[CO_GRADIENT_NORM_gate]));
  co_op_attr attr = {.clip_norm = p->options.clip_norm};
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_GRADIENT_NORM, &attr, in, out));
  operands.gate = out[CO_GRADIENT_NORM_gate];
  if (operands.segments != CO_NO_VALUE)
    CO_RETURN_IF_FAILED(p->options.optimizer->emit(graph, p->optimizer_options, &operands));
  CO_RETURN_IF_FAILED(co_phase_update_rows(program, p, lists, &operands));
  return p->options.ema_decay > 0 ? build_average(program, graph, &operands) : CO_OK;
}

static co_status plan_update(co_program *program, co_phase *p) {
  co_value *lists =
      co_alloc_zero(program->ctx, 2 * (size_t)program->store->count + 1, sizeof *lists);
  co_status status = lists ? build_update(program, p, lists) : CO_ERR_MEMORY;
  co_free(program->ctx, lists);
  CO_RETURN_IF_FAILED(status);
  co_plan_options options = {
      .mode = CO_MODE_UPDATE, .shape = {.rows = 1}, .real = program->options.real};
  return plan_unit(program, p->update_graph, &p->update, &options);
}

static co_status plan_evaluation(co_program *program) {
  int64_t count = program->options.evaluation_class_count;
  program->evaluations =
      co_alloc_zero(program->ctx, (size_t)count + 1, sizeof *program->evaluations);
  if (!program->evaluations) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    const co_shape_class *shape = &program->options.evaluation_classes[i];
    if (co_program_find_evaluation(program, shape)) continue;
    co_plan_options options = {.mode = program->options.evaluation_mode,
                               .shape = *shape,
                               .real = program->options.real,
                               .bf16 = program->options.bf16,
                               .narrow_inputs = program->made_inputs,
                               .no_fusion = program->options.no_fusion};
    co_unit *item = &program->evaluations[program->evaluation_count++];
    CO_RETURN_IF_FAILED(plan_unit(program, program->graph, item, &options));
  }
  return CO_OK;
}

static co_status copy_phases(co_program *program) {
  const co_program_options *options = &program->options;
  program->phases =
      co_alloc_zero(program->ctx, (size_t)options->phase_count + 1, sizeof *program->phases);
  if (!program->phases) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < options->phase_count; i++) {
    co_phase *p = &program->phases[i];
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
    const co_phase *p = &program->phases[i];
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

// ---- input section -----------------------------------------------------------------------------

co_unit *co_program_find_section(co_program *program, const co_shape_class *shape, bool training) {
  for (int64_t i = 0; i < program->section_count; i++) {
    co_unit *item = &program->sections[i];
    if (co_shape_class_equal(&item->shape, shape) && item->training == training) return item;
  }
  return NULL;
}

// Which outputs of the section the network reads in bf16; to be freed.
static bool *list_narrow(const co_program *program) {
  const co_input_section *section = program->options.section;
  bool *narrow =
      co_alloc_zero(program->ctx, (size_t)section->graph->output_count + 1, sizeof *narrow);
  for (int64_t i = 0; narrow && program->options.bf16 && i < section->graph->output_count; i++)
    narrow[i] =
        co_plan_reads_bf16(program->graph, program->graph->inputs[section->network_inputs[i]]);
  return narrow;
}

static co_status need_section(co_program *program, const co_shape_class *shape, bool training) {
  if (co_program_find_section(program, shape, training)) return CO_OK;
  CO_RETURN_IF_FAILED(co_grow(program->ctx, (void **)&program->sections, &program->section_capacity,
                              program->section_count, sizeof *program->sections));
  co_unit *item = &program->sections[program->section_count++];
  *item = (co_unit){.shape = *shape, .training = training};
  bool *narrow = list_narrow(program);
  if (!narrow) return CO_ERR_MEMORY;
  co_plan_options options = {.mode = training ? CO_MODE_TRAIN : CO_MODE_INFER,
                             .shape = *shape,
                             .real = program->options.real,
                             .bf16 = program->options.bf16,
                             .narrow_outputs = narrow,
                             .no_fusion = program->options.no_fusion};
  co_status status =
      co_plan_create(&item->plan, program->options.section->graph, program->store, &options);
  co_free(program->ctx, narrow);
  CO_RETURN_IF_FAILED(status);
  if (item->plan->arena_bytes > program->section_bytes)
    program->section_bytes = item->plan->arena_bytes;
  return CO_OK;
}

static co_status plan_sections(co_program *program) {
  if (!has_sections(program)) return CO_OK;
  for (int64_t i = 0; i < program->options.phase_count; i++)
    for (int64_t k = 0; k < program->phases[i].unit_count; k++)
      CO_RETURN_IF_FAILED(need_section(program, &program->phases[i].units[k].shape, true));
  for (int64_t i = 0; i < program->evaluation_count; i++)
    CO_RETURN_IF_FAILED(need_section(program, &program->evaluations[i].shape, false));
  return CO_OK;
}

static co_status bind_sections(co_program *program) {
  if (!program->section_count) return CO_OK;
  const co_backend_api *api = program->backend->api;
  size_t bytes = program->section_bytes ? program->section_bytes : api->alignment;
  CO_RETURN_IF_FAILED(api->buffer_create(program->backend, bytes, &program->section_arena));
  co_memory memory = {.arena = program->section_arena, .step = program->step};
  for (int64_t i = 0; i < program->section_count; i++) {
    co_unit *item = &program->sections[i];
    CO_RETURN_IF_FAILED(co_executor_create(&item->executor, item->plan, program->store, &memory));
  }
  return CO_OK;
}

// ---- all of it ---------------------------------------------------------------------------------

static co_status bind_all(co_program *program) {
  for (int64_t i = 0; i < program->options.phase_count; i++) {
    co_phase *p = &program->phases[i];
    for (int64_t k = 0; k < p->unit_count; k++)
      CO_RETURN_IF_FAILED(bind_unit(program, &p->units[k], false));
    CO_RETURN_IF_FAILED(bind_unit(program, &p->update, false));
  }
  for (int64_t i = 0; i < program->evaluation_count; i++)
    CO_RETURN_IF_FAILED(bind_unit(program, &program->evaluations[i], true));
  return CO_OK;
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
  CO_TRY(list_made_inputs(program));
  CO_TRY(co_store_create(&program->store, backend, options->real));
  CO_TRY(co_store_add_graph(program->store, graph));
  CO_TRY(co_store_reserve_rows(program->store, graph, options->classes, options->class_count));
  for (int64_t i = 0; i < options->phase_count; i++)
    CO_TRY(plan_phase(program, &program->phases[i]));
  CO_TRY(plan_evaluation(program));
  CO_TRY(plan_sections(program));
  for (int64_t i = 0; i < options->phase_count; i++)
    if (options->phases[i].ema_decay > 0) program->store->averaged = true;
  CO_TRY(co_program_check_rows(program));
  CO_TRY(co_memory_check(program->largest, program->store, options->phase_count > 0,
                         most_slots(program)));
  CO_TRY(co_store_allocate(program->store, options->phase_count > 0, most_slots(program)));
  for (int64_t i = 0; i < options->phase_count; i++)
    CO_TRY(plan_update(program, &program->phases[i]));
  CO_TRY(allocate(program));
  CO_TRY(bind_all(program));
  CO_TRY(bind_sections(program));
  CO_TRY(co_program_create_submissions(program));
  *out = program;
  return CO_OK;
cleanup:
  co_program_free(program);
  return status;
}

void co_program_free(co_program *program) {
  if (!program) return;
  co_program_free_submissions(program); // waits for what is in flight
  for (int64_t i = 0; program->phases && i < program->options.phase_count; i++) {
    co_phase *p = &program->phases[i];
    for (int64_t k = 0; k < p->unit_count; k++)
      free_unit(&p->units[k]);
    free_unit(&p->update);
    co_graph_free(p->update_graph);
    co_free(program->ctx, p->units);
    co_free(program->ctx, p->optimizer_options);
  }
  for (int64_t i = 0; i < program->evaluation_count; i++)
    free_unit(&program->evaluations[i]);
  co_free(program->ctx, program->evaluations);
  co_free(program->ctx, program->made_inputs);
  for (int64_t i = 0; i < program->section_count; i++)
    free_unit(&program->sections[i]);
  co_free(program->ctx, program->sections);
  const co_backend_api *api = program->backend->api;
  api->buffer_free(program->backend, program->arena);
  api->buffer_free(program->backend, program->step);
  api->buffer_free(program->backend, program->metrics[0]);
  api->buffer_free(program->backend, program->metrics[1]);
  api->buffer_free(program->backend, program->section_arena);
  co_store_free(program->store);
  co_free(program->ctx, program->phases);
  co_free(program->ctx, program);
}

bool co_program_is_bf16(const co_program *program) {
  return program->options.bf16;
}

co_store *co_program_store(co_program *program) {
  return program->store;
}

int64_t co_program_updates(const co_program *program, int64_t index) {
  return program->phases[index].updates;
}

void co_program_set_updates(co_program *program, int64_t index, int64_t updates) {
  program->phases[index].updates = program->phases[index].submitted = updates;
}

co_executor *co_program_evaluator(co_program *program) {
  return program->evaluations[0].executor;
}

co_status co_program_upload_constants(co_program *program) {
  for (int64_t i = 0; i < program->options.phase_count; i++)
    for (int64_t k = 0; k < program->phases[i].unit_count; k++)
      CO_RETURN_IF_FAILED(co_executor_upload_constants(program->phases[i].units[k].executor));
  for (int64_t i = 0; i < program->evaluation_count; i++)
    CO_RETURN_IF_FAILED(co_executor_upload_constants(program->evaluations[i].executor));
  return CO_OK;
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
  out->parameters = store->param_bytes + co_store_row_bytes(store, CO_BLOCK_PARAM);
  out->mirror = store->mirror ? store->param_bytes / 2 : 0;
  if (store->ema_mirror) out->mirror *= 2;
  out->averages = store->ema ? store->param_bytes : 0;
  out->state = store->state_bytes;
  out->gradients = store->gradient ? co_store_gradient_bytes(store) : 0;
  out->slots = store->trained_bytes * (size_t)store->slots;
  for (int k = CO_BLOCK_IDS; k <= CO_BLOCK_COUNT; k++)
    out->gradients += co_store_row_bytes(store, (co_block)k);
  out->gradients += co_store_row_bytes(store, CO_BLOCK_GRADIENT);
  for (int k = CO_BLOCK_SLOT0; k <= CO_BLOCK_SLOT1; k++)
    out->slots += co_store_row_bytes(store, (co_block)k);
  out->slots += co_store_row_bytes(store, CO_BLOCK_STEPS);
  out->arena = program->arena_bytes + program->kept_bytes;
  out->workspace = program->workspace_bytes;
  out->batches = program->section_bytes;
  for (int i = 0; i < program->depth; i++)
    out->batches += co_program_submission_bytes(program);
  out->total = out->parameters + out->mirror + out->state + out->gradients + out->slots +
               out->averages + out->arena + out->batches;
}

const co_plan *co_program_plan(const co_program *program, int64_t i) {
  if (i < program->section_count) return program->sections[i].plan;
  i -= program->section_count;
  for (int64_t k = 0; k < program->options.phase_count; k++) {
    const co_phase *p = &program->phases[k];
    if (i < p->unit_count) return p->units[i].plan;
    i -= p->unit_count;
    if (i-- == 0) return p->update.plan;
  }
  return i < program->evaluation_count ? program->evaluations[i].plan : NULL;
}

// ---- times -------------------------------------------------------------------------------------

co_status co_program_time(co_program *program) {
  if (co_program_is_on_device(program)) {
    co_status status = co_fail(CO_ERR_DEVICE, "operations of a GPU are not timed one by one");
    co_hint("NVIDIA's Nsight Systems sees the kernels of a run; or use --device cpu");
    return status;
  }
  for (int64_t i = 0; i < program->options.phase_count; i++) {
    co_phase *phase = &program->phases[i];
    for (int64_t k = 0; k < phase->unit_count; k++)
      CO_RETURN_IF_FAILED(co_executor_time(phase->units[k].executor));
    CO_RETURN_IF_FAILED(co_executor_time(phase->update.executor));
  }
  return CO_OK;
}

static void visit_unit(const co_unit *unit, bool update, co_time_visitor *visit, void *user) {
  int64_t runs;
  const double *seconds = co_executor_times(unit->executor, &runs);
  for (int64_t i = 0; seconds && runs && i < unit->plan->op_count; i++)
    visit(user, unit->plan, &unit->plan->ops[i], update, seconds[i], runs);
}

void co_program_visit_times(const co_program *program, co_time_visitor *visit, void *user) {
  for (int64_t i = 0; i < program->options.phase_count; i++) {
    const co_phase *phase = &program->phases[i];
    for (int64_t k = 0; k < phase->unit_count; k++)
      visit_unit(&phase->units[k], false, visit, user);
    visit_unit(&phase->update, true, visit, user);
  }
}
