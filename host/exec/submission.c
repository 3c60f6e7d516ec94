// SPDX-License-Identifier: Apache-2.0
// Running a program: launches of steps, one behind the other.
#include <math.h>
#include <string.h>

#include "host/exec/program_private.h"

const co_staging_layout *co_program_staging(const co_program *program, bool evaluation) {
  return co_program_is_on_device(program) ? &program->packets[evaluation] : NULL;
}

void co_program_fix_input(co_program *program, int64_t section_input, const void *address) {
  program->fixed[section_input] = address;
}

int64_t co_program_submission_limit(const co_program *program, bool evaluation) {
  return program->submission_limit[evaluation];
}

int co_program_depth(const co_program *program) {
  return program->depth;
}

int co_program_in_flight(const co_program *program) {
  return program->in_flight;
}

static co_unit *unit_of(co_program *program, int64_t phase, int64_t rows, bool add) {
  if (phase != CO_EVALUATION) return co_phase_find_unit(&program->phases[phase], rows, add);
  return program->evaluation.rows == rows ? &program->evaluation : NULL;
}

static co_status not_planned(int64_t rows) {
  return co_fail(CO_ERR_INTERNAL, "a batch of %lld rows was not planned", (long long)rows);
}

// ---- step scalars ------------------------------------------------------------------------------

// 1 / (1 - beta^t), 1 where there is no beta.
static double bias_correction(double beta, int64_t t) {
  return beta > 0 ? 1 / (1 - pow(beta, (double)t)) : 1;
}

// Of step number `ahead` of a launch.
static co_step complete(const co_phase *p, const co_step *step, int64_t ahead) {
  co_step out = *step;
  double beta1, beta2;
  p->options.optimizer->betas(p->optimizer_options, &beta1, &beta2);
  out.bias_correction1 = bias_correction(beta1, p->submitted + 1 + ahead);
  out.bias_correction2 = bias_correction(beta2, p->submitted + 1 + ahead);
  return out;
}

// ---- where the device reads the host's memory ---------------------------------------------------

static co_status run_part(co_program *program, co_unit *item, const void *const *inputs,
                          int64_t first, co_step *step, co_submission *submission) {
  step->row_offset = first;
  memcpy(program->step, step, sizeof *step);
  for (int64_t i = 0; i < program->graph->input_count; i++)
    program->network_inputs[i] =
        inputs[i] ? (const char *)inputs[i] +
                        (size_t)first * co_program_row_bytes(program, program->graph, i)
                  : NULL;
  co_executor_bind_all(item->executor, program->network_inputs, program->step, submission->results);
  return co_executor_run(item->executor);
}

static co_status run_on_host(co_program *program, co_submission *submission,
                             const co_program_batch *batch, const co_step *step) {
  bool evaluation = submission->phase == CO_EVALUATION;
  int64_t most = evaluation ? submission->rows : program->options.rows;
  co_step scalars = *step;
  for (int64_t first = 0; first < submission->rows; first += most) {
    int64_t rows = submission->rows - first < most ? submission->rows - first : most;
    co_unit *item = unit_of(program, submission->phase, rows, first > 0);
    if (!item) return not_planned(submission->rows);
    CO_RETURN_IF_FAILED(run_part(program, item, batch->inputs, first, &scalars, submission));
  }
  if (evaluation) return CO_OK;
  co_executor *update = program->phases[submission->phase].update.executor;
  co_executor_bind_all(update, NULL, program->step, submission->results);
  return co_executor_run(update);
}

static co_status read_on_host(co_program *program, co_submission *submission) {
  double *metrics = submission->host_results + CO_SUBMISSION_STEPS * CO_SUBMISSION_RESULTS;
  if (submission->metrics) {
    CO_RETURN_IF_FAILED(co_program_read_metrics(program, false, metrics));
    CO_RETURN_IF_FAILED(co_program_clear_metrics(program, false));
  }
  const co_plan *plan = program->evaluation.plan;
  if (submission->phase != CO_EVALUATION || plan->options.mode != CO_MODE_INFER) return CO_OK;
  for (int64_t i = 0; i < program->graph->output_count; i++)
    if (plan->outputs[i] != CO_NO_VALUE)
      CO_RETURN_IF_FAILED(co_executor_read_output(
          program->evaluation.executor, i, submission->host_outputs + program->output_offset[i]));
  return CO_OK;
}

// ---- devices that work beside the host ------------------------------------------------------------

// Rows in the host's memory as a packet.
static co_status stage(co_program *program, const co_staging_layout *layout, int64_t rows,
                       const void *const *inputs) {
  const size_t *bytes = program->packet_bytes;
  if (program->in_flight)
    return co_fail(CO_ERR_INTERNAL, "batches in host memory are submitted one by one");
  if (!program->staging)
    CO_RETURN_IF_FAILED(program->backend->api->host_buffer_create(
        program->backend, bytes[0] > bytes[1] ? bytes[0] : bytes[1], (void **)&program->staging));
  for (int64_t part = 0, first = 0; part < co_staging_parts(layout, rows); part++) {
    int64_t count = co_staging_part_rows(layout, rows, part);
    for (int64_t f = 0; f < layout->field_count; f++) {
      const co_staging_field *field = &layout->fields[f];
      if (field->section)
        return co_fail(CO_ERR_INTERNAL, "the input section's rows come in packets");
      if (!inputs[field->input]) continue;
      memcpy(program->staging + co_staging_field_offset(layout, rows, part, f),
             (const char *)inputs[field->input] + (size_t)first * field->row_bytes,
             (size_t)count * field->row_bytes);
    }
    first += count;
  }
  return CO_OK;
}

static co_status send_step(co_program *program, co_submission *submission, int64_t at, char *packet,
                           const co_step *step) {
  const co_staging_layout *layout = &program->packets[submission->phase == CO_EVALUATION];
  co_step scalars = *step;
  scalars.row_offset = 0;
  for (int64_t part = 0; part < co_staging_parts(layout, submission->rows); part++) {
    memcpy(packet + co_staging_part_offset(layout, part), &scalars, sizeof scalars);
    scalars.row_offset += co_staging_part_rows(layout, submission->rows, part);
  }
  return program->backend->api->send(
      program->backend, CO_QUEUE_COPY,
      submission->packets + (size_t)at * program->packet_bytes[submission->phase == CO_EVALUATION],
      packet, co_staging_bytes(layout, submission->rows));
}

static co_status enqueue_part(co_program *program, const co_submission *submission, char *packet,
                              int64_t part, double *results) {
  bool evaluation = submission->phase == CO_EVALUATION;
  const co_staging_layout *layout = &program->packets[evaluation];
  const co_input_section *source = program->options.source;
  int64_t rows = co_staging_part_rows(layout, submission->rows, part);
  co_unit *item = unit_of(program, submission->phase, rows, part > 0);
  if (!item) return not_planned(submission->rows);
  void *step = packet + co_staging_part_offset(layout, part);
  memset(program->network_inputs, 0,
         (size_t)program->graph->input_count * sizeof *program->network_inputs);
  if (source)
    memcpy(program->section_inputs, program->fixed,
           (size_t)source->graph->input_count * sizeof *program->fixed);
  for (int64_t f = 0; f < layout->field_count; f++) {
    const co_staging_field *field = &layout->fields[f];
    const void **inputs = field->section ? program->section_inputs : program->network_inputs;
    inputs[field->input] = packet + co_staging_field_offset(layout, submission->rows, part, f);
  }
  if (source) {
    co_unit *section = co_program_find_section(program, rows, !evaluation);
    co_executor_bind_all(section->executor, program->section_inputs, step, NULL);
    CO_RETURN_IF_FAILED(co_executor_run(section->executor));
    for (int64_t i = 0; i < source->graph->output_count; i++)
      program->network_inputs[source->feeds[i]] =
          co_executor_address(section->executor, section->plan->outputs[i]);
  }
  co_executor_bind_all(item->executor, program->network_inputs, step, results);
  return co_executor_run(item->executor);
}

static co_status enqueue_step(co_program *program, const co_submission *submission, int64_t at) {
  const co_staging_layout *layout = &program->packets[submission->phase == CO_EVALUATION];
  char *packet =
      submission->packets + (size_t)at * program->packet_bytes[submission->phase == CO_EVALUATION];
  double *results = submission->results + at * CO_SUBMISSION_RESULTS;
  int64_t parts = co_staging_parts(layout, submission->rows);
  for (int64_t part = 0; part < parts; part++)
    CO_RETURN_IF_FAILED(enqueue_part(program, submission, packet, part, results));
  if (submission->phase == CO_EVALUATION) return CO_OK;
  co_executor *update = program->phases[submission->phase].update.executor;
  co_executor_bind_all(update, NULL, packet + co_staging_part_offset(layout, parts - 1), results);
  return co_executor_run(update);
}

static co_status enqueue(co_program *program, const co_submission *submission) {
  for (int64_t i = 0; i < submission->count; i++)
    CO_RETURN_IF_FAILED(enqueue_step(program, submission, i));
  return CO_OK;
}

// ---- captured_graphs --------------------------------------------------------------------------------

static co_captured_graph *find_captured_graph(co_program *program, const co_submission *submission,
                                              int slot) {
  for (int64_t i = 0; i < program->captured_graph_count; i++) {
    co_captured_graph *r = &program->captured_graphs[i];
    bool counts =
        slot < 0 || r->count == submission->count; // having run once is enough for all counts
    if (r->slot == slot && r->phase == submission->phase && r->rows == submission->rows && counts)
      return r;
  }
  return NULL;
}

static co_status add_captured_graph(co_program *program, const co_submission *submission, int slot,
                                    void *graph) {
  CO_RETURN_IF_FAILED(co_grow(program->ctx, (void **)&program->captured_graphs,
                              &program->captured_graph_capacity, program->captured_graph_count,
                              sizeof *program->captured_graphs));
  program->captured_graphs[program->captured_graph_count++] =
      (co_captured_graph){slot, submission->phase, submission->rows, submission->count, graph};
  return CO_OK;
}

static co_status record(co_program *program, const co_submission *submission, void **graph) {
  co_backend *backend = program->backend;
  *graph = NULL;
  CO_RETURN_IF_FAILED(backend->api->capture_begin(backend));
  co_status status = enqueue(program, submission);
  co_error first;
  co_error_copy(&first);
  co_status ended = backend->api->capture_end(backend, graph);
  status = status == CO_OK ? ended : co_error_raise(&first);
  if (status == CO_OK)
    status =
        add_captured_graph(program, submission, (int)(submission - program->submissions), *graph);
  if (status == CO_OK) {
    co_log(program->ctx, CO_LOG_DEBUG, "record", "phase=%lld rows=%lld steps=%lld",
           (long long)submission->phase, (long long)submission->rows, (long long)submission->count);
    return CO_OK;
  }
  backend->api->graph_free(backend, *graph);
  *graph = NULL;
  return status;
}

static co_status run_on_device(co_program *program, const co_submission *submission) {
  co_backend *backend = program->backend;
  const co_captured_graph *known =
      find_captured_graph(program, submission, (int)(submission - program->submissions));
  void *graph = known ? known->graph : NULL;
  bool may_capture =
      backend->api->capture_begin && !program->not_capturable && !program->options.no_capture;
  if (!graph && may_capture && find_captured_graph(program, submission, -1)) {
    co_status status = record(program, submission, &graph);
    if (status != CO_OK && status != CO_ERR_DEVICE) return status;
    if (status == CO_ERR_DEVICE) { // slower, not wrong
      co_log(program->ctx, CO_LOG_WARN, "device", "steps are not recorded: %s",
             co_error_last()->message);
      program->not_capturable = true;
      co_error_clear();
    }
  }
  if (graph) return backend->api->graph_launch(backend, graph);
  CO_RETURN_IF_FAILED(enqueue(program, submission));
  return find_captured_graph(program, submission, -1)
             ? CO_OK
             : add_captured_graph(program, submission, -1, NULL);
}

static co_status fetch_results(co_program *program, co_submission *submission) {
  co_backend *backend = program->backend;
  const co_backend_api *api = backend->api;
  const co_plan *plan = program->evaluation.plan;
  if (submission->phase != CO_EVALUATION)
    CO_RETURN_IF_FAILED(
        api->fetch(backend, CO_QUEUE_COMPUTE, submission->host_results, submission->results,
                   (size_t)submission->count * CO_SUBMISSION_RESULTS * sizeof(double)));
  if (submission->metrics && program->graph->metric_doubles) {
    CO_RETURN_IF_FAILED(
        api->fetch(backend, CO_QUEUE_COMPUTE,
                   submission->host_results + CO_SUBMISSION_STEPS * CO_SUBMISSION_RESULTS,
                   program->metrics[0], (size_t)program->graph->metric_doubles * sizeof(double)));
    CO_RETURN_IF_FAILED(co_program_clear_metrics(program, false));
  }
  bool outputs = submission->phase == CO_EVALUATION && plan->options.mode == CO_MODE_INFER;
  for (int64_t i = 0; outputs && i < program->graph->output_count; i++) {
    co_value value = plan->outputs[i];
    if (value == CO_NO_VALUE) continue;
    CO_RETURN_IF_FAILED(api->fetch(backend, CO_QUEUE_COMPUTE,
                                   submission->host_outputs + program->output_offset[i],
                                   co_executor_address(program->evaluation.executor, value),
                                   co_tensor_bytes(&plan->values[value].info.desc)));
  }
  return CO_OK;
}

static co_status submit_to_device(co_program *program, co_submission *submission,
                                  const co_program_batch *batches, const co_step *steps) {
  co_backend *backend = program->backend;
  const co_backend_api *api = backend->api;
  const co_staging_layout *layout = &program->packets[submission->phase == CO_EVALUATION];
  for (int64_t i = 0; i < submission->count; i++) {
    char *packet = batches[i].packet;
    if (!packet) {
      CO_RETURN_IF_FAILED(stage(program, layout, submission->rows, batches[i].inputs));
      packet = program->staging;
    }
    CO_RETURN_IF_FAILED(send_step(program, submission, i, packet, &steps[i]));
  }
  CO_RETURN_IF_FAILED(api->fence_record(backend, submission->sent, CO_QUEUE_COPY));
  CO_RETURN_IF_FAILED(api->queue_wait(backend, CO_QUEUE_COMPUTE, submission->sent));
  CO_RETURN_IF_FAILED(run_on_device(program, submission));
  CO_RETURN_IF_FAILED(fetch_results(program, submission));
  return api->fence_record(backend, submission->done, CO_QUEUE_COMPUTE);
}

// ---- launches ----------------------------------------------------------------------------------

static co_status submit(co_program *program, int64_t phase, int64_t rows, int64_t count,
                        const co_program_batch *batches, const co_step *steps, bool metrics) {
  bool evaluation = phase == CO_EVALUATION;
  if (rows < 1) return co_fail(CO_ERR_INTERNAL, "a batch without rows");
  if (program->in_flight == program->depth || count < 1 ||
      count > program->submission_limit[evaluation] || (count > 1 && !batches[0].packet))
    return co_fail(CO_ERR_INTERNAL, "a launch of %lld steps, with %d in flight", (long long)count,
                   program->in_flight);
  co_submission *submission =
      &program->submissions[(program->first_submission + program->in_flight) % program->depth];
  submission->phase = phase;
  submission->rows = rows;
  submission->count = count;
  submission->metrics = metrics;
  CO_RETURN_IF_FAILED(co_store_refresh(program->store));
  if (co_program_is_on_device(program)) {
    CO_RETURN_IF_FAILED(submit_to_device(program, submission, batches, steps));
  } else {
    CO_RETURN_IF_FAILED(run_on_host(program, submission, batches, steps));
    CO_RETURN_IF_FAILED(read_on_host(program, submission));
  }
  program->in_flight++;
  return CO_OK;
}

co_status co_program_submit(co_program *program, int64_t phase, int64_t rows, int64_t count,
                            const co_program_batch *batches, const co_step *steps,
                            bool take_metrics) {
  co_phase *p = &program->phases[phase];
  co_step scalars[CO_SUBMISSION_STEPS];
  for (int64_t i = 0; i < count && i < CO_SUBMISSION_STEPS; i++)
    scalars[i] = complete(p, &steps[i], i);
  CO_RETURN_IF_FAILED(submit(program, phase, rows, count, batches, scalars, take_metrics));
  p->submitted += count;
  co_store_note_update(program->store);
  return CO_OK;
}

co_status co_program_submit_evaluation(co_program *program, int64_t count,
                                       const co_program_batch *batches) {
  const co_step none[CO_SUBMISSION_STEPS] = {{0}}; // losses read scalars, to no effect
  return submit(program, CO_EVALUATION, program->options.evaluation_rows, count, batches, none,
                false);
}

static void read_steps(co_phase *p, const co_submission *submission, co_submission_result *out) {
  for (int64_t i = 0; i < submission->count; i++) {
    const double *result = submission->host_results + i * CO_SUBMISSION_RESULTS;
    out->steps[i].gradient_norm = sqrt(result[0]);
    out->steps[i].finite = result[1] != 0;
    if (out->steps[i].finite) p->updates++; // a skipped step advances no moment
  }
}

co_status co_program_collect(co_program *program, co_submission_result *out) {
  memset(out, 0, sizeof *out);
  if (!program->in_flight) return co_fail(CO_ERR_INTERNAL, "there is no launch to collect");
  co_submission *submission = &program->submissions[program->first_submission];
  if (submission->done)
    CO_RETURN_IF_FAILED(program->backend->api->fence_wait(program->backend, submission->done));
  co_alive(program->ctx, CO_PATIENCE);
  program->first_submission = (program->first_submission + 1) % program->depth;
  program->in_flight--;
  out->count = submission->count;
  if (submission->metrics)
    out->metrics = submission->host_results + CO_SUBMISSION_STEPS * CO_SUBMISSION_RESULTS;
  if (submission->phase == CO_EVALUATION) {
    const co_plan *plan = program->evaluation.plan;
    if (plan->options.mode != CO_MODE_INFER) return CO_OK;
    for (int64_t i = 0; i < program->graph->output_count; i++)
      program->outputs[i] = plan->outputs[i] == CO_NO_VALUE
                                ? NULL
                                : submission->host_outputs + program->output_offset[i];
    out->outputs = program->outputs;
    return CO_OK;
  }
  co_phase *p = &program->phases[submission->phase];
  read_steps(p, submission, out);
  if (!program->in_flight) p->submitted = p->updates;
  return CO_OK;
}

void co_program_drain(co_program *program) {
  co_error error;
  co_error_copy(&error); // waiting may fail where something has failed before
  if (co_program_is_on_device(program)) (void)program->backend->api->synchronize(program->backend);
  if (error.status != CO_OK) co_error_raise(&error);
  program->in_flight = 0;
  for (int64_t i = 0; program->phases && i < program->options.phase_count; i++)
    program->phases[i].submitted = program->phases[i].updates;
}

co_status co_program_step(co_program *program, int64_t phase, int64_t rows,
                          const void *const *inputs, const co_step *step, co_step_result *result) {
  const co_program_batch batch = {.inputs = inputs};
  co_submission_result launch;
  CO_RETURN_IF_FAILED(co_program_submit(program, phase, rows, 1, &batch, step, false));
  CO_RETURN_IF_FAILED(co_program_collect(program, &launch));
  *result = launch.steps[0];
  return CO_OK;
}

co_status co_program_evaluate(co_program *program, const void *const *inputs) {
  const co_program_batch batch = {.inputs = inputs};
  co_submission_result launch;
  CO_RETURN_IF_FAILED(co_program_submit_evaluation(program, 1, &batch));
  return co_program_collect(program, &launch);
}
