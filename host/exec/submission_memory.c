// SPDX-License-Identifier: Apache-2.0
// The memory of submissions, and how much one may hold.
#include <math.h>

#include "host/exec/program_private.h"

enum { SUBMISSION_BYTES = 4 << 20 }; // staged for one submission with several steps
// Of work in one submission: its own cost vanishes beside that, and a stop, which waits for those in flight
// (CO_SUBMISSION_DEPTH), is not delayed by more than a few times as much. How long a step takes is guessed
// from what a large GPU does at the least; nothing but the number of steps depends on it.
static const double submission_seconds = 8e-3, flops_per_second = 20e12, bytes_per_second = 1.5e12,
                    launch_seconds = 2e-6;

// ---- staging -----------------------------------------------------------------------------------

co_tensor_desc co_program_row(const co_program *program, const co_graph *graph, int64_t input) {
  co_tensor_desc desc = graph->values[graph->inputs[input]].desc;
  if (desc.dtype == CO_F32) desc.dtype = program->options.real;
  desc.shape.dim[0] = 1;
  return desc;
}

static bool holds_rows(const co_graph *graph, int64_t input) {
  const co_shape *shape = &graph->values[graph->inputs[input]].desc.shape;
  return shape->rank > 0 && shape->dim[0] == CO_DIM_N;
}

static bool is_fed(const co_program *program, int64_t network_input) {
  const co_input_section *section = program->options.section;
  for (int64_t i = 0; section && i < section->graph->output_count; i++)
    if (section->network_inputs[i] == network_input) return true;
  return false;
}

// Evaluation batches are not cut.
static int64_t most_evaluation_rows(const co_program *program) {
  int64_t most = 0;
  for (int64_t i = 0; i < program->evaluation_count; i++)
    if (program->evaluations[i].shape.rows > most) most = program->evaluations[i].shape.rows;
  return most;
}

static co_status list_fields(co_program *program) {
  const co_input_section *section = program->options.section;
  const co_graph *network = program->graph;
  int64_t most = network->input_count + (section ? section->graph->input_count : 0), count = 0;
  co_staging_field *fields = co_alloc_zero(program->ctx, (size_t)most + 1, sizeof *fields);
  if (!fields) return CO_ERR_MEMORY;
  for (int64_t i = 0; section && i < section->graph->input_count; i++)
    if (holds_rows(section->graph, i))
      fields[count++] = (co_staging_field){true, i, co_program_row(program, section->graph, i)};
  for (int64_t i = 0; i < network->input_count; i++)
    if (!is_fed(program, i))
      fields[count++] = (co_staging_field){false, i, co_program_row(program, network, i)};
  program->layouts[0] = (co_staging_layout){fields, count, program->options.rows};
  program->layouts[1] = (co_staging_layout){fields, count, most_evaluation_rows(program)};
  return CO_OK;
}

static size_t most_staged_bytes(const co_program *program, bool evaluation) {
  const co_program_options *options = &program->options;
  const co_shape_class *classes = evaluation ? options->evaluation_classes : options->classes;
  int64_t count = evaluation             ? options->evaluation_class_count
                  : options->phase_count ? options->class_count
                                         : 0;
  size_t most = 0;
  for (int64_t i = 0; i < count; i++) {
    size_t bytes = co_staging_bytes(&program->layouts[evaluation], &classes[i]);
    if (bytes > most) most = bytes;
  }
  return most;
}

// ---- limits ------------------------------------------------------------------------------------

static double seconds_of_plan(const co_plan *plan) {
  return (double)plan->flops / flops_per_second + (double)co_plan_traffic(plan) / bytes_per_second +
         (double)co_plan_launches(plan) * launch_seconds;
}

// Of the micro-batches of one effective batch, and the update.
static double seconds_of_class(const co_program *program, int64_t phase,
                               const co_shape_class *shape) {
  const co_staging_layout *layout = &program->layouts[0];
  co_phase *p = &program->phases[phase];
  co_shape_class micro = *shape;
  micro.rows = co_staging_part_rows(layout, shape->rows, 0);
  return seconds_of_plan(co_phase_find_unit(p, &micro, false)->plan) *
             (double)co_staging_parts(layout, shape->rows) +
         seconds_of_plan(p->update.plan);
}

static double seconds_of(const co_program *program, bool evaluation) {
  double most = 0;
  for (int64_t i = 0; evaluation && i < program->evaluation_count; i++)
    most = fmax(most, seconds_of_plan(program->evaluations[i].plan));
  for (int64_t i = 0; !evaluation && i < program->options.phase_count; i++)
    for (int64_t k = 0; k < program->options.class_count; k++)
      most = fmax(most, seconds_of_class(program, i, &program->options.classes[k]));
  return most;
}

static int64_t submission_limit(const co_program *program, bool evaluation) {
  if (evaluation && co_program_reads_outputs(program)) return 1; // outputs are read
  size_t bytes = program->staged_bytes[evaluation];
  if (!bytes) return 1; // there are none
  double seconds = seconds_of(program, evaluation);
  int64_t limit = CO_SUBMISSION_STEPS;
  while (limit > 1 &&
         ((size_t)limit * bytes > SUBMISSION_BYTES || (double)limit * seconds > submission_seconds))
    limit /= 2;
  return limit;
}

// ---- memory ------------------------------------------------------------------------------------

static size_t align(size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

static size_t result_bytes(const co_program *program) {
  return (size_t)(CO_SUBMISSION_STEPS * CO_SUBMISSION_RESULTS + program->graph->metric_doubles) *
         sizeof(double);
}

// The most that an output takes in any class.
static size_t most_output_bytes(const co_program *program, int64_t output) {
  size_t most = 0;
  for (int64_t i = 0; i < program->evaluation_count; i++) {
    const co_plan *plan = program->evaluations[i].plan;
    if (plan->outputs[output] == CO_NO_VALUE) continue;
    size_t bytes = co_tensor_bytes(&plan->values[plan->outputs[output]].info.desc);
    if (bytes > most) most = bytes;
  }
  return most;
}

static size_t list_outputs(co_program *program) {
  size_t bytes = 0;
  for (int64_t i = 0; i < program->graph->output_count; i++) {
    program->output_offset[i] = bytes;
    bytes += align(most_output_bytes(program, i));
  }
  return co_program_reads_outputs(program) ? bytes : 0;
}

static size_t all_staged_bytes(const co_program *program) {
  size_t most = 0;
  for (int i = 0; i < 2; i++) {
    size_t bytes = (size_t)program->submission_limit[i] * program->staged_bytes[i];
    if (bytes > most) most = bytes;
  }
  return most;
}

size_t co_program_submission_bytes(const co_program *program) {
  if (!co_program_is_on_device(program)) return 0;
  return all_staged_bytes(program) + result_bytes(program);
}

static co_status create_on_device(co_program *program, co_submission *submission,
                                  size_t output_bytes) {
  co_backend *backend = program->backend;
  const co_backend_api *api = backend->api;
  CO_RETURN_IF_FAILED(
      api->buffer_create(backend, all_staged_bytes(program), (void **)&submission->staged));
  CO_RETURN_IF_FAILED(
      api->buffer_create(backend, result_bytes(program), (void **)&submission->results));
  CO_RETURN_IF_FAILED(
      api->host_buffer_create(backend, result_bytes(program), (void **)&submission->host_results));
  if (output_bytes)
    CO_RETURN_IF_FAILED(
        api->host_buffer_create(backend, output_bytes, (void **)&submission->host_outputs));
  CO_RETURN_IF_FAILED(api->fence_create(backend, &submission->sent));
  return api->fence_create(backend, &submission->done);
}

static co_status create_on_host(co_program *program, co_submission *submission,
                                size_t output_bytes) {
  submission->host_results = co_alloc_zero(program->ctx, 1, result_bytes(program));
  submission->results = submission->host_results;
  submission->host_outputs = co_alloc_zero(program->ctx, 1, output_bytes + 1);
  return submission->host_results && submission->host_outputs ? CO_OK : CO_ERR_MEMORY;
}

// Of all phases and of evaluation.
static int64_t most_classes(const co_program *program) {
  const co_program_options *options = &program->options;
  return options->phase_count * options->class_count + options->evaluation_class_count;
}

static co_status create_rooms(co_program *program) {
  const co_input_section *section = program->options.section;
  size_t outputs = (size_t)program->graph->output_count + 1;
  size_t inputs = (size_t)program->graph->input_count + 1;
  size_t fixed = section ? (size_t)section->graph->input_count + 1 : 1;
  program->output_offset = co_alloc_zero(program->ctx, outputs, sizeof *program->output_offset);
  program->outputs = co_alloc_zero(program->ctx, outputs, sizeof *program->outputs);
  program->network_inputs = co_alloc_zero(program->ctx, inputs, sizeof *program->network_inputs);
  program->section_inputs = co_alloc_zero(program->ctx, fixed, sizeof *program->section_inputs);
  program->fixed = co_alloc_zero(program->ctx, fixed, sizeof *program->fixed);
  program->known_class_capacity = most_classes(program);
  program->known_classes = co_alloc_zero(program->ctx, (size_t)program->known_class_capacity + 1,
                                         sizeof *program->known_classes);
  return program->output_offset && program->outputs && program->network_inputs &&
                 program->section_inputs && program->fixed && program->known_classes
             ? CO_OK
             : CO_ERR_MEMORY;
}

co_status co_program_create_submissions(co_program *program) {
  bool on_device = co_program_is_on_device(program);
  program->depth = on_device ? CO_SUBMISSION_DEPTH : 1;
  program->submission_limit[0] = program->submission_limit[1] = 1;
  CO_RETURN_IF_FAILED(create_rooms(program));
  if (on_device) {
    CO_RETURN_IF_FAILED(list_fields(program));
    for (int i = 0; i < 2; i++) {
      program->staged_bytes[i] = most_staged_bytes(program, i);
      program->submission_limit[i] = submission_limit(program, i);
    }
  }
  size_t output_bytes = list_outputs(program);
  for (int i = 0; i < program->depth; i++)
    CO_RETURN_IF_FAILED(on_device
                            ? create_on_device(program, &program->submissions[i], output_bytes)
                            : create_on_host(program, &program->submissions[i], output_bytes));
  return CO_OK;
}

static void free_on_device(co_program *program, co_submission *submission) {
  co_backend *backend = program->backend;
  const co_backend_api *api = backend->api;
  api->buffer_free(backend, submission->staged);
  api->buffer_free(backend, submission->results);
  api->host_buffer_free(backend, submission->host_results);
  api->host_buffer_free(backend, submission->host_outputs);
  api->fence_free(backend, submission->sent);
  api->fence_free(backend, submission->done);
}

void co_program_free_submissions(co_program *program) {
  const co_backend_api *api = program->backend->api;
  bool on_device = co_program_is_on_device(program);
  if (on_device) co_program_drain(program);
  for (int64_t i = 0; i < program->captured_graph_count; i++)
    api->graph_free(program->backend, program->captured_graphs[i].graph);
  for (int i = 0; i < CO_SUBMISSION_DEPTH; i++) {
    co_submission *submission = &program->submissions[i];
    if (on_device) {
      free_on_device(program, submission);
      continue;
    }
    co_free(program->ctx, submission->host_results);
    co_free(program->ctx, submission->host_outputs);
  }
  if (on_device) api->host_buffer_free(program->backend, program->staging);
  co_free(program->ctx, program->known_classes);
  co_free(program->ctx, program->layouts[0].fields); // shared
  co_free(program->ctx, program->output_offset);
  co_free(program->ctx, program->outputs);
  co_free(program->ctx, program->network_inputs);
  co_free(program->ctx, program->section_inputs);
  co_free(program->ctx, program->fixed);
}
