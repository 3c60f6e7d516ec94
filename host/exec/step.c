// SPDX-License-Identifier: Apache-2.0
// One step of a program, on whatever device: the order of what happens can be read in
// co_program_run_step. Devices with memory of their own only take note of it here and work later, or
// record it.
#include <string.h>

#include "host/exec/program_private.h"

// A micro-batch of a step.
typedef struct micro_batch {
  int64_t index, first, rows; // its first row and their number, in the effective batch
  co_unit *unit;              // its plan: forward, loss, backward
  void *scalars;              // co_step, where the device reads it
} micro_batch;

static bool is_evaluation(const co_submission *submission) {
  return submission->phase == CO_EVALUATION;
}

// Evaluation batches are not cut.
static int64_t most_rows(const co_program *program, const co_submission *submission) {
  return is_evaluation(submission) ? submission->shape.rows : program->options.rows;
}

static co_status find_plan(co_program *program, const co_submission *submission, micro_batch *m) {
  co_shape_class micro = submission->shape;
  micro.rows = m->rows;
  m->unit = is_evaluation(submission)
                ? co_program_find_evaluation(program, &micro)
                : co_phase_find_unit(&program->phases[submission->phase], &micro, m->index > 0);
  if (m->unit) return CO_OK;
  return co_fail(CO_ERR_INTERNAL, "a batch of %lld rows and its lengths was not planned",
                 (long long)submission->shape.rows);
}

// Rows that lie in the host's memory: where this micro-batch's begin.
static void bind_host_rows(co_program *program, const co_step_rows *rows, micro_batch *m) {
  co_step scalars = *rows->scalars;
  scalars.row_offset = m->first;
  memcpy(program->step, &scalars, sizeof scalars);
  m->scalars = program->step;
  for (int64_t i = 0; i < program->graph->input_count; i++) {
    const char *input = rows->inputs[i];
    co_tensor_desc row = co_program_row(program, program->graph, i);
    co_shape_bind(&row.shape, &m->unit->shape);
    program->network_inputs[i] = input ? input + (size_t)m->first * co_tensor_bytes(&row) : NULL;
  }
}

// Rows that were staged and copied to the device.
static void bind_staged_rows(co_program *program, const co_submission *submission,
                             const co_step_rows *rows, micro_batch *m) {
  const co_staging_layout *layout = &program->layouts[is_evaluation(submission)];
  const co_input_section *section = program->options.section;
  const co_shape_class *shape = &submission->shape;
  m->scalars = rows->staged + co_staging_part_offset(layout, shape, m->index);
  memset(program->network_inputs, 0,
         (size_t)program->graph->input_count * sizeof *program->network_inputs);
  if (section)
    memcpy(program->section_inputs, program->fixed,
           (size_t)section->graph->input_count * sizeof *program->fixed);
  for (int64_t f = 0; f < layout->field_count; f++) {
    const co_staging_field *field = &layout->fields[f];
    const void **inputs = field->section ? program->section_inputs : program->network_inputs;
    inputs[field->input] = rows->staged + co_staging_field_offset(layout, shape, m->index, f);
  }
}

static co_status bind_rows(co_program *program, const co_submission *submission,
                           const co_step_rows *rows, micro_batch *m) {
  CO_RETURN_IF_FAILED(find_plan(program, submission, m));
  if (rows->staged)
    bind_staged_rows(program, submission, rows, m);
  else
    bind_host_rows(program, rows, m);
  return CO_OK;
}

static co_status gather_inputs(co_program *program, const co_submission *submission,
                               const micro_batch *m) {
  const co_input_section *section = program->options.section;
  if (!section || !co_program_is_on_device(program)) return CO_OK; // loader threads have done it
  co_unit *unit = co_program_find_section(program, &m->unit->shape, !is_evaluation(submission));
  co_executor_bind_all(unit->executor, program->section_inputs, m->scalars, NULL);
  CO_RETURN_IF_FAILED(co_executor_run(unit->executor));
  for (int64_t i = 0; i < section->graph->output_count; i++)
    program->network_inputs[section->network_inputs[i]] =
        co_executor_address(unit->executor, unit->plan->outputs[i]);
  return CO_OK;
}

static co_status run_forward_loss_backward(co_program *program, const micro_batch *m,
                                           double *results) {
  co_executor_bind_all(m->unit->executor, program->network_inputs, m->scalars, results);
  return co_executor_run(m->unit->executor);
}

static co_status run_norm_clip_update(co_program *program, const co_submission *submission,
                                      const micro_batch *last, double *results) {
  if (is_evaluation(submission)) return CO_OK;
  co_executor *update = program->phases[submission->phase].update.executor;
  co_executor_bind_all(update, NULL, last->scalars, results);
  return co_executor_run(update);
}

co_status co_program_run_step(co_program *program, const co_submission *submission,
                              const co_step_rows *rows, double *results) {
  int64_t left = submission->shape.rows, most = most_rows(program, submission);
  micro_batch m = {.index = 0};
  for (; left > 0; m.index++) { // gradients of later micro-batches are added
    m.rows = left < most ? left : most;
    CO_RETURN_IF_FAILED(bind_rows(program, submission, rows, &m));
    CO_RETURN_IF_FAILED(gather_inputs(program, submission, &m));
    CO_RETURN_IF_FAILED(run_forward_loss_backward(program, &m, results));
    m.first += m.rows;
    left -= m.rows;
  }
  return run_norm_clip_update(program, submission, &m, results);
}
