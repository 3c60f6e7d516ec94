// SPDX-License-Identifier: Apache-2.0
// Running a program: submissions of steps, one behind the other.
#include <math.h>
#include <string.h>

#include "host/exec/program_private.h"

const co_staging_layout *co_program_staging(const co_program *program, bool evaluation) {
  return co_program_is_on_device(program) ? &program->layouts[evaluation] : NULL;
}

void co_program_fix_input(co_program *program, int64_t section_input, const void *address) {
  program->fixed[section_input] = address;
}

int64_t co_program_submission_limit(const co_program *program, bool evaluation) {
  return program->submission_limit[evaluation];
}

// Graphs are recorded of one step, of a few and of as many as fit, and of no other numbers.
static bool is_recorded(const co_program *program, bool evaluation, int64_t count) {
  int64_t limit = program->submission_limit[evaluation];
  return count == 1 || count == limit || (count == CO_SUBMISSION_STEPS_FEW && count < limit);
}

int64_t co_program_submission_size(const co_program *program, bool evaluation, int64_t steps) {
  int64_t size = program->submission_limit[evaluation];
  while (size > steps)
    size = size > CO_SUBMISSION_STEPS_FEW ? CO_SUBMISSION_STEPS_FEW : size / 2;
  return size;
}

int co_program_depth(const co_program *program) {
  return program->depth;
}

// The plan whose outputs a submission delivers, NULL if it delivers none.
static const co_unit *find_outputs(co_program *program, const co_submission *submission) {
  return submission->phase == CO_EVALUATION && co_program_reads_outputs(program)
             ? co_program_find_evaluation(program, &submission->shape)
             : NULL;
}

// ---- step scalars ------------------------------------------------------------------------------

// 1 / (1 - beta^t), 1 where there is no beta.
static double bias_correction(double beta, int64_t t) {
  return beta > 0 ? 1 / (1 - pow(beta, (double)t)) : 1;
}

// 1 - the decay of the moving average after update t (as TensorFlow's ExponentialMovingAverage).
static double ema_rate(double decay, int64_t t) {
  return 1 - fmin(decay, (double)(1 + t) / (double)(10 + t));
}

// Of step number `ahead` of a submission.
static co_step complete(const co_phase *p, const co_step *step, int64_t ahead) {
  co_step out = *step;
  double beta1, beta2;
  p->options.optimizer->betas(p->optimizer_options, &beta1, &beta2);
  out.bias_correction1 = bias_correction(beta1, p->submitted + 1 + ahead);
  out.bias_correction2 = bias_correction(beta2, p->submitted + 1 + ahead);
  out.ema_rate = ema_rate(p->options.ema_decay, p->submitted + 1 + ahead);
  return out;
}

// ---- where the device reads the host's memory ---------------------------------------------------

static co_status read_on_host(co_program *program, co_submission *submission) {
  double *metrics = submission->host_results + CO_SUBMISSION_STEPS * CO_SUBMISSION_RESULTS;
  if (submission->metrics) {
    CO_RETURN_IF_FAILED(co_program_read_metrics(program, false, metrics));
    CO_RETURN_IF_FAILED(co_program_clear_metrics(program, false));
  }
  const co_unit *outputs = find_outputs(program, submission);
  for (int64_t i = 0; outputs && i < program->graph->output_count; i++)
    if (outputs->plan->outputs[i] != CO_NO_VALUE)
      CO_RETURN_IF_FAILED(co_executor_read_output(
          outputs->executor, i, submission->host_outputs + program->output_offset[i]));
  return CO_OK;
}

// ---- devices that work beside the host ------------------------------------------------------------

// Rows in the host's memory, staged.
static co_status stage(co_program *program, const co_staging_layout *layout,
                       const co_shape_class *shape, const void *const *inputs) {
  const size_t *bytes = program->staged_bytes;
  if (program->in_flight)
    return co_fail(CO_ERR_INTERNAL, "batches in host memory are submitted one by one");
  if (!program->staging)
    CO_RETURN_IF_FAILED(program->backend->api->host_buffer_create(
        program->backend, bytes[0] > bytes[1] ? bytes[0] : bytes[1], (void **)&program->staging));
  for (int64_t part = 0, first = 0; part < co_staging_parts(layout, shape->rows); part++) {
    int64_t count = co_staging_part_rows(layout, shape->rows, part);
    for (int64_t f = 0; f < layout->field_count; f++) {
      const co_staging_field *field = &layout->fields[f];
      if (field->section) return co_fail(CO_ERR_INTERNAL, "the input section's rows come staged");
      if (!inputs[field->input]) continue;
      size_t row = co_staging_row_bytes(field, shape);
      memcpy(program->staging + co_staging_field_offset(layout, shape, part, f),
             (const char *)inputs[field->input] + (size_t)first * row, (size_t)count * row);
    }
    first += count;
  }
  return CO_OK;
}

static co_status send_step(co_program *program, co_submission *submission, int64_t at, char *staged,
                           const co_step *step) {
  const co_staging_layout *layout = &program->layouts[submission->phase == CO_EVALUATION];
  co_step scalars = *step;
  scalars.row_offset = 0;
  const co_shape_class *shape = &submission->shape;
  for (int64_t part = 0; part < co_staging_parts(layout, shape->rows); part++) {
    memcpy(staged + co_staging_part_offset(layout, shape, part), &scalars, sizeof scalars);
    scalars.row_offset += co_staging_part_rows(layout, shape->rows, part);
  }
  return program->backend->api->send(
      program->backend, CO_QUEUE_COPY,
      submission->staged + (size_t)at * program->staged_bytes[submission->phase == CO_EVALUATION],
      staged, co_staging_bytes(layout, shape));
}

// The first `count` steps of a submission.
static co_status enqueue(co_program *program, const co_submission *submission, int64_t count) {
  size_t bytes = program->staged_bytes[submission->phase == CO_EVALUATION];
  for (int64_t i = 0; i < count; i++) {
    const co_step_rows rows = {.staged = submission->staged + (size_t)i * bytes};
    CO_RETURN_IF_FAILED(co_program_run_step(program, submission, &rows,
                                            submission->results + i * CO_SUBMISSION_RESULTS));
  }
  return CO_OK;
}

// ---- captured graphs -----------------------------------------------------------------------------

static int slot_of(const co_program *program, const co_submission *submission) {
  return (int)(submission - program->submissions);
}

static bool is_known(const co_program *program, const co_submission *submission) {
  for (int64_t i = 0; i < program->known_class_count; i++) {
    const co_known_class *known = &program->known_classes[i];
    if (known->phase == submission->phase &&
        co_shape_class_equal(&known->shape, &submission->shape))
      return true;
  }
  return false;
}

static void note_known(co_program *program, const co_submission *submission) {
  if (is_known(program, submission) || program->known_class_count == program->known_class_capacity)
    return;
  program->known_classes[program->known_class_count++] =
      (co_known_class){submission->phase, submission->shape};
}

static co_captured_graph *find_captured_graph(co_program *program, const co_submission *submission,
                                              int64_t count) {
  for (int64_t i = 0; i < program->captured_graph_count; i++) {
    co_captured_graph *r = &program->captured_graphs[i];
    if (r->slot == slot_of(program, submission) && r->phase == submission->phase &&
        r->count == count && co_shape_class_equal(&r->shape, &submission->shape))
      return r;
  }
  return NULL;
}

// Room for one more: a new place, or that of the graph that was not launched for longest and that no
// submission in flight may still be running. Of those there are at most CO_SUBMISSION_DEPTH.
static co_captured_graph *make_room(co_program *program) {
  if (program->captured_graph_count < CO_CAPTURED_GRAPHS)
    return &program->captured_graphs[program->captured_graph_count++];
  int64_t in_flight = program->submissions_made - program->in_flight;
  co_captured_graph *oldest = NULL;
  for (int64_t i = 0; i < program->captured_graph_count; i++) {
    co_captured_graph *r = &program->captured_graphs[i];
    if (r->used < in_flight && (!oldest || r->used < oldest->used)) oldest = r;
  }
  program->backend->api->graph_free(program->backend, oldest->graph);
  return oldest;
}

static co_status record(co_program *program, const co_submission *submission, int64_t count,
                        co_captured_graph **out) {
  co_backend *backend = program->backend;
  void *graph = NULL;
  CO_RETURN_IF_FAILED(backend->api->capture_begin(backend));
  co_status status = enqueue(program, submission, count);
  co_error first;
  co_error_copy(&first);
  co_status ended = backend->api->capture_end(backend, &graph);
  status = status == CO_OK ? ended : co_error_raise(&first);
  if (status != CO_OK) {
    backend->api->graph_free(backend, graph);
    return status;
  }
  *out = make_room(program);
  **out = (co_captured_graph){.slot = slot_of(program, submission),
                              .phase = submission->phase,
                              .count = count,
                              .shape = submission->shape,
                              .graph = graph};
  co_log(program->ctx, CO_LOG_DEBUG, "record", "phase=%lld rows=%lld steps=%lld length=%lld",
         (long long)submission->phase, (long long)submission->shape.rows, (long long)count,
         (long long)submission->shape.t[0]);
  return CO_OK;
}

static bool may_capture(const co_program *program) {
  return program->backend->api->capture_begin && !program->not_capturable &&
         !program->options.no_capture;
}

// The first `count` steps of a submission, recorded where they have run before.
static co_status run_on_device(co_program *program, const co_submission *submission,
                               int64_t count) {
  co_backend *backend = program->backend;
  co_captured_graph *graph = find_captured_graph(program, submission, count);
  if (!graph && may_capture(program) && is_known(program, submission)) {
    co_status status = record(program, submission, count, &graph);
    if (status != CO_OK && status != CO_ERR_DEVICE) return status;
    if (status == CO_ERR_DEVICE) { // slower, not wrong
      co_log(program->ctx, CO_LOG_WARN, "device", "steps are not recorded: %s",
             co_error_last()->message);
      program->not_capturable = true;
      co_error_clear();
    }
  }
  if (graph) {
    graph->used = program->submissions_made;
    return backend->api->graph_launch(backend, graph->graph);
  }
  CO_RETURN_IF_FAILED(enqueue(program, submission, count));
  note_known(program, submission);
  return CO_OK;
}

// Results of the first `count` places, as those of the steps from `to` on.
static co_status fetch_steps(co_program *program, co_submission *submission, int64_t to,
                             int64_t count) {
  if (submission->phase == CO_EVALUATION) return CO_OK;
  return program->backend->api->fetch(
      program->backend, CO_QUEUE_COMPUTE, submission->host_results + to * CO_SUBMISSION_RESULTS,
      submission->results, (size_t)count * CO_SUBMISSION_RESULTS * sizeof(double));
}

static co_status fetch_metrics_and_outputs(co_program *program, co_submission *submission) {
  co_backend *backend = program->backend;
  const co_backend_api *api = backend->api;
  if (submission->metrics && program->graph->metric_doubles) {
    CO_RETURN_IF_FAILED(
        api->fetch(backend, CO_QUEUE_COMPUTE,
                   submission->host_results + CO_SUBMISSION_STEPS * CO_SUBMISSION_RESULTS,
                   program->metrics[0], (size_t)program->graph->metric_doubles * sizeof(double)));
    CO_RETURN_IF_FAILED(co_program_clear_metrics(program, false));
  }
  const co_unit *outputs = find_outputs(program, submission);
  for (int64_t i = 0; outputs && i < program->graph->output_count; i++) {
    co_value value = outputs->plan->outputs[i];
    if (value == CO_NO_VALUE) continue;
    CO_RETURN_IF_FAILED(api->fetch(backend, CO_QUEUE_COMPUTE,
                                   submission->host_outputs + program->output_offset[i],
                                   co_executor_address(outputs->executor, value),
                                   co_tensor_bytes(&outputs->plan->values[value].info.desc)));
  }
  return CO_OK;
}

// A batch into place `at` of the submission's.
static co_status send_batch(co_program *program, co_submission *submission, int64_t at,
                            const co_program_batch *batch, const co_step *step) {
  char *staged = batch->staged;
  if (!staged) {
    CO_RETURN_IF_FAILED(stage(program, &program->layouts[submission->phase == CO_EVALUATION],
                              &submission->shape, batch->inputs));
    staged = program->staging;
  }
  return send_step(program, submission, at, staged, step);
}

// What has been sent is there before what is computed next.
static co_status compute_after_copies(co_program *program, co_submission *submission) {
  const co_backend_api *api = program->backend->api;
  CO_RETURN_IF_FAILED(api->fence_record(program->backend, submission->sent, CO_QUEUE_COPY));
  return api->queue_wait(program->backend, CO_QUEUE_COMPUTE, submission->sent);
}

static co_status run_together(co_program *program, co_submission *submission,
                              const co_program_batch *batches, const co_step *steps) {
  for (int64_t i = 0; i < submission->count; i++)
    CO_RETURN_IF_FAILED(send_batch(program, submission, i, &batches[i], &steps[i]));
  CO_RETURN_IF_FAILED(compute_after_copies(program, submission));
  CO_RETURN_IF_FAILED(run_on_device(program, submission, submission->count));
  return fetch_steps(program, submission, 0, submission->count);
}

// What is not recorded together: steps one after another, each in the first place.
static co_status run_one_by_one(co_program *program, co_submission *submission,
                                const co_program_batch *batches, const co_step *steps) {
  co_backend *backend = program->backend;
  const co_backend_api *api = backend->api;
  for (int64_t i = 0; i < submission->count; i++) {
    if (i > 0) { // what was staged before has been read
      CO_RETURN_IF_FAILED(api->fence_record(backend, submission->done, CO_QUEUE_COMPUTE));
      CO_RETURN_IF_FAILED(api->queue_wait(backend, CO_QUEUE_COPY, submission->done));
    }
    CO_RETURN_IF_FAILED(send_batch(program, submission, 0, &batches[i], &steps[i]));
    CO_RETURN_IF_FAILED(compute_after_copies(program, submission));
    CO_RETURN_IF_FAILED(run_on_device(program, submission, 1));
    CO_RETURN_IF_FAILED(fetch_steps(program, submission, i, 1));
  }
  return CO_OK;
}

static co_status submit_to_device(co_program *program, co_submission *submission,
                                  const co_program_batch *batches, const co_step *steps) {
  bool evaluation = submission->phase == CO_EVALUATION;
  bool together = is_recorded(program, evaluation, submission->count);
  if (together || !may_capture(program) || !is_known(program, submission))
    CO_RETURN_IF_FAILED(run_together(program, submission, batches, steps));
  else
    CO_RETURN_IF_FAILED(run_one_by_one(program, submission, batches, steps));
  CO_RETURN_IF_FAILED(fetch_metrics_and_outputs(program, submission));
  return program->backend->api->fence_record(program->backend, submission->done, CO_QUEUE_COMPUTE);
}

// ---- submissions ----------------------------------------------------------------------------------

static co_status submit(co_program *program, int64_t phase, const co_shape_class *shape,
                        int64_t count, const co_program_batch *batches, const co_step *steps,
                        bool metrics) {
  bool evaluation = phase == CO_EVALUATION;
  if (shape->rows < 1) return co_fail(CO_ERR_INTERNAL, "a batch without rows");
  if (program->in_flight == program->depth || count < 1 ||
      count > program->submission_limit[evaluation] || (count > 1 && !batches[0].staged))
    return co_fail(CO_ERR_INTERNAL, "a submission of %lld steps, with %d in flight",
                   (long long)count, program->in_flight);
  co_submission *submission =
      &program->submissions[(program->first_submission + program->in_flight) % program->depth];
  submission->phase = phase;
  submission->shape = *shape;
  submission->count = count;
  submission->metrics = metrics;
  CO_RETURN_IF_FAILED(evaluation && program->store->ema ? co_store_refresh_averages(program->store)
                                                        : co_store_refresh(program->store));
  if (co_program_is_on_device(program)) {
    CO_RETURN_IF_FAILED(submit_to_device(program, submission, batches, steps));
  } else {
    const co_step_rows rows = {.inputs = batches->inputs, .scalars = steps};
    CO_RETURN_IF_FAILED(co_program_run_step(program, submission, &rows, submission->results));
    CO_RETURN_IF_FAILED(read_on_host(program, submission));
  }
  program->in_flight++;
  program->submissions_made++;
  return CO_OK;
}

co_status co_program_submit(co_program *program, int64_t phase, const co_shape_class *shape,
                            int64_t count, const co_program_batch *batches, const co_step *steps,
                            bool take_metrics) {
  co_phase *p = &program->phases[phase];
  co_step scalars[CO_SUBMISSION_STEPS];
  for (int64_t i = 0; i < count && i < CO_SUBMISSION_STEPS; i++)
    scalars[i] = complete(p, &steps[i], i);
  CO_RETURN_IF_FAILED(submit(program, phase, shape, count, batches, scalars, take_metrics));
  p->submitted += count;
  co_store_note_update(program->store);
  return CO_OK;
}

co_status co_program_submit_evaluation(co_program *program, const co_shape_class *shape,
                                       int64_t count, const co_program_batch *batches) {
  const co_step none[CO_SUBMISSION_STEPS] = {{0}}; // losses read scalars, to no effect
  return submit(program, CO_EVALUATION, shape, count, batches, none, false);
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
  if (!program->in_flight) return co_fail(CO_ERR_INTERNAL, "there is no submission to collect");
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
    const co_unit *outputs = find_outputs(program, submission);
    for (int64_t i = 0; outputs && i < program->graph->output_count; i++)
      program->outputs[i] = outputs->plan->outputs[i] == CO_NO_VALUE
                                ? NULL
                                : submission->host_outputs + program->output_offset[i];
    out->outputs = outputs ? program->outputs : NULL;
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

co_status co_program_step(co_program *program, int64_t phase, const co_shape_class *shape,
                          const void *const *inputs, const co_step *step, co_step_result *result) {
  const co_program_batch batch = {.inputs = inputs};
  co_submission_result collected;
  CO_RETURN_IF_FAILED(co_program_submit(program, phase, shape, 1, &batch, step, false));
  CO_RETURN_IF_FAILED(co_program_collect(program, &collected));
  *result = collected.steps[0];
  return CO_OK;
}

co_status co_program_evaluate(co_program *program, const void *const *inputs) {
  const co_program_batch batch = {.inputs = inputs};
  co_submission_result collected;
  CO_RETURN_IF_FAILED(
      co_program_submit_evaluation(program, &program->evaluations[0].shape, 1, &batch));
  return co_program_collect(program, &collected);
}
