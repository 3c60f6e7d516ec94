// SPDX-License-Identifier: Apache-2.0
// cohort_verify_parity: one batch of the user's data through the user's model on a device and on
// the reference in double, compared tensor by tensor.
//
// The device runs each mode twice. Losses, gradients, statistics and predictions come from the
// plans as training and scoring use them, fusion and all. The layers' outputs come from plans in
// which every one of them is an output of the graph, and so is neither fused away nor reordered.
//
// What rounding may do depends on the model: a loss of about zero is a difference of large numbers,
// and a gradient that is zero by construction (of a bias before batch normalisation, say) is nothing
// but rounding. So the reference runs again with rounding put in after each operation
// (kernels/rounding.h), and what that changes, layer by layer, measures what is right. Allowed is a
// multiple of it, and a small part of the tensor's largest element besides.
#include <math.h>
#include <string.h>

#include "host/api/parity.h"
#include "host/feed/shape_classes.h"
#include "host/train/settings.h"
#include "kernels/rounding.h"

// Put in smaller than they are, so that close decisions (a ReLU within rounding of 0, two elements of
// a pooling window as close) seldom fall the other way: that changes gradients by far more than an
// error would. DRAWS of them are tried.
static const double amplitude = 0.25;
enum { DRAWS = 3 };
// With it, ROUNDINGS times what was measured is allowed. TF32 and bf16 round operands 2^13 and 2^15
// times as coarsely as float, but sum in float.
static const double roundings_f32 = 16, roundings_tf32 = 4 * 0x1p13, roundings_bf16 = 4 * 0x1p15;
// Beside that: what fast algorithms lose, which trade digits for speed, and what others round
// elsewhere.
static const double default_tolerance = 1e-4, default_tolerance_tf32 = 1e-3;
// bf16 has 8 bits where float has 24. Measured on the preset product-cnn, trained for 100 steps, with
// 16 and 32 rows: outputs differ by up to 8e-3, gradients by up to 0.2, since many more choices
// differ; hence a bound for each. What is wrong in bf16 alone may hide below; in float it would not.
static const double default_tolerance_bf16 = 0.25, default_tolerance_bf16_outputs = 0.05;
// Where rounding alone changes a gradient by more than this part of it, because of a close decision,
// an error could hide: few rows are taken, and further batches looked at. An error recurs in each, a
// close decision does not.
static const double telling = 5e-4;
static const int64_t most_rows = 16, most_batches = 4;
// Of models of events rows of one shape are looked for among so many.
static const int64_t most_searched = 1 << 16;

// ---- opening -----------------------------------------------------------------------------------

// What is allowed, by default, for the precision.
static void set_tolerances(co_parity *p, double tolerance) {
  bool bf16 = p->precision == CO_PRECISION_BF16, tf32 = p->precision == CO_PRECISION_TF32;
  p->roundings = bf16 ? roundings_bf16 : tf32 ? roundings_tf32 : roundings_f32;
  p->tolerance = p->tolerance_outputs = tolerance > 0 ? tolerance
                                        : bf16        ? default_tolerance_bf16
                                        : tf32        ? default_tolerance_tf32
                                                      : default_tolerance;
  if (bf16 && !(tolerance > 0)) p->tolerance_outputs = default_tolerance_bf16_outputs;
}

static co_status read_options(co_parity *p) {
  const cohort_verify_parity_options *options = p->options;
  CO_RETURN_IF_FAILED(co_require(options->model, "verify", "a model"));
  CO_RETURN_IF_FAILED(co_require(options->dataset, "verify", "a dataset"));
  // Unless TF32 or bf16 is asked for, what is left is an error, not a precision that was chosen.
  p->precision = CO_PRECISION_F32;
  CO_RETURN_IF_FAILED(co_choose_precision(&p->precision, options->precision));
  p->device.bf16 = p->precision == CO_PRECISION_BF16;
  set_tolerances(p, options->tolerance);
  int split = co_split_parse(options->split ? options->split : "train");
  if (split < 0) {
    co_status status = co_fail(CO_ERR_USAGE, "--split %s: no such split", options->split);
    co_hint("known: train, validation, test");
    return status;
  }
  p->split = (co_split)split;
  return CO_OK;
}

// The next rows of the split go to both sides, with equal step scalars: equal dropout masks.
static co_status next_batch(co_parity *p, bool *done) {
  if (p->has_view) co_pipeline_release(p->pipeline, &p->view);
  p->has_view = false;
  CO_RETURN_IF_FAILED(co_pipeline_next(p->pipeline, &p->view, done));
  if (*done) return CO_OK;
  p->has_view = true;
  co_step step = {.seed = 1, .step = (uint32_t)p->batches++};
  co_view_inv_norm(p->model, &p->view, step.inv_norm);
  CO_RETURN_IF_FAILED(co_parity_side_give(&p->device, p, &step));
  CO_RETURN_IF_FAILED(co_parity_side_give(&p->rounded, p, &step));
  return co_parity_side_give(&p->reference, p, &step);
}

// The longest lengths that a batch of these samples has; where none do, those that most have.
static int choose_lengths(const co_parity *p, const uint8_t *classes, int64_t count,
                          int64_t of[CO_MAX_LENGTHS]) {
  int chosen = 0;
  memset(of, 0, CO_MAX_LENGTHS * sizeof *of);
  for (int64_t i = 0; i < count; i++)
    of[classes[i]]++;
  for (int i = 1; i < CO_MAX_LENGTHS; i++)
    if (of[i] >= p->shape.rows || of[i] > of[chosen]) chosen = i;
  return chosen;
}

// Plans are of one shape, and so are the rows: *samples and *count become those with its lengths.
static co_status choose_shape(co_parity *p, const int64_t **samples, int64_t *count) {
  uint8_t *classes = NULL;
  int64_t of[CO_MAX_LENGTHS], *chosen, found = 0;
  if (!p->model->event_table_count) return CO_OK;
  if (*count > most_searched) *count = most_searched;
  co_status status = co_sample_classes(&classes, p->model, p->dataset, *samples, *count);
  if (status != CO_OK) goto cleanup;
  const int lengths = choose_lengths(p, classes, *count, of);
  if (p->shape.rows > of[lengths]) p->shape.rows = of[lengths];
  p->shape = co_shape_class_of(p->model, p->shape.rows, lengths);
  chosen = co_arena_alloc(p->arena, (size_t)of[lengths] + 1, sizeof *chosen);
  status = chosen ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; chosen && i < *count; i++)
    if (classes[i] == lengths) chosen[found++] = (*samples)[i];
  *samples = chosen;
  *count = found;
cleanup:
  co_free(p->ctx, classes);
  return status;
}

// Batches of the first rows of the split, in order, not augmented, with targets.
static co_status open_batches(co_parity *p) {
  const int64_t *samples;
  int64_t count;
  CO_RETURN_IF_FAILED(co_dataset_open(&p->dataset, p->ctx, p->options->dataset));
  CO_RETURN_IF_FAILED(co_check_dataset(p->model, p->dataset, true));
  CO_RETURN_IF_FAILED(co_dataset_split(p->dataset, p->split, &samples, &count));
  if (!count)
    return co_fail_at(CO_ERR_DATA, p->options->dataset, 0, 0, "the %s split has no rows",
                      co_split_name(p->split));
  CO_RETURN_IF_FAILED(co_choose_batch_size(&p->shape.rows, p->options->batch_size, &p->file,
                                           "batch_size", most_rows));
  if (!p->options->batch_size && p->shape.rows > most_rows) p->shape.rows = most_rows;
  if (p->shape.rows > count) p->shape.rows = count;
  CO_RETURN_IF_FAILED(choose_shape(p, &samples, &count));
  if (p->options->batch_size > p->shape.rows)
    co_log(p->ctx, CO_LOG_WARN, "verify",
           "the batch is of %lld rows, not %lld: the %s split has no more%s",
           (long long)p->shape.rows, (long long)p->options->batch_size, co_split_name(p->split),
           p->model->event_table_count ? " of one shape" : "");
  co_pipeline_options options = {.samples = samples,
                                 .sample_count = count < most_batches * p->shape.rows
                                                     ? count / p->shape.rows * p->shape.rows
                                                     : most_batches * p->shape.rows,
                                 .batch_rows = p->shape.rows,
                                 .targets = true,
                                 .epochs = 1,
                                 .workers = 1};
  return co_pipeline_create(&p->pipeline, p->model, p->dataset, &options);
}

// Makes every layer's output one of the graph, for the plans made from now on.
static co_status observe_layers(co_parity *p) {
  co_graph *graph = p->model->network;
  p->layer_outputs =
      co_arena_alloc(p->arena, (size_t)graph->layer_count + 1, sizeof *p->layer_outputs);
  if (!p->layer_outputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < graph->layer_count; i++) {
    const co_layer_info *layer = &graph->layers[i];
    int64_t at = 0;
    while (at < graph->output_count && graph->outputs[at].value != layer->output)
      at++;
    if (at == graph->output_count)
      CO_RETURN_IF_FAILED(co_graph_add_output(graph, layer->name, layer->output));
    p->layer_outputs[i] = at;
  }
  return CO_OK;
}

static co_status open_sides(co_parity *p) {
  co_backend *backend;
  CO_RETURN_IF_FAILED(co_open_backend(&backend, p->ctx, p->options->device, p->options->threads,
                                      p->precision, NULL));
  CO_RETURN_IF_FAILED(co_parity_side_start(&p->device, p, backend, CO_F32));
  CO_RETURN_IF_FAILED(co_parity_side_plan(&p->device, p, CO_PARITY_AS_USED));
  CO_RETURN_IF_FAILED(observe_layers(p));
  CO_RETURN_IF_FAILED(co_parity_side_plan(&p->device, p, CO_PARITY_OBSERVED));
  CO_RETURN_IF_FAILED(co_ref_backend_open(&backend, p->ctx, NULL));
  CO_RETURN_IF_FAILED(co_parity_side_start(&p->reference, p, backend, CO_F64));
  CO_RETURN_IF_FAILED(co_parity_side_plan(&p->reference, p, CO_PARITY_OBSERVED));
  CO_RETURN_IF_FAILED(co_rounding_backend_open(&backend, p->ctx, amplitude));
  CO_RETURN_IF_FAILED(co_parity_side_start(&p->rounded, p, backend, CO_F64));
  CO_RETURN_IF_FAILED(co_parity_side_plan(&p->rounded, p, CO_PARITY_OBSERVED));
  CO_RETURN_IF_FAILED(co_parity_side_finish(&p->device, p));
  CO_RETURN_IF_FAILED(co_parity_side_finish(&p->rounded, p));
  return co_parity_side_finish(&p->reference, p);
}

// ---- comparing ---------------------------------------------------------------------------------

static co_status make_room(co_parity *p, int64_t count) {
  if (count <= p->capacity) return CO_OK;
  co_free(p->ctx, p->mine);
  co_free(p->ctx, p->theirs);
  p->capacity = 0;
  p->mine = co_alloc_zero(p->ctx, (size_t)count, sizeof *p->mine);
  p->theirs = co_alloc_zero(p->ctx, (size_t)count, sizeof *p->theirs);
  if (!p->mine || !p->theirs) return CO_ERR_MEMORY;
  p->capacity = count;
  return CO_OK;
}

// Floats at the start of an array become doubles in all of it, from the end.
static void widen(double *values, int64_t count) {
  for (int64_t i = count; i-- > 0;) {
    float narrow;
    memcpy(&narrow, (const char *)values + (size_t)i * sizeof narrow, sizeof narrow);
    values[i] = (double)narrow;
  }
}

static double largest_of(const double *values, int64_t count) {
  double largest = 0;
  for (int64_t i = 0; i < count; i++)
    if (fabs(values[i]) > largest) largest = fabs(values[i]);
  return largest;
}

static void compare(co_parity_difference *d, const double *a, const double *b, int64_t count) {
  double rounding = d->rounding;
  *d = (co_parity_difference){.scale = largest_of(b, count), .rounding = rounding};
  for (int64_t i = 0; i < count; i++) {
    double off = isfinite(a[i]) && isfinite(b[i]) ? fabs(a[i] - b[i]) : INFINITY;
    if (off > d->largest) d->largest = off;
  }
}

// Takes a draw of rounding for what rounding may do.
static void take_draw(co_parity_difference *d, const double *rounded, const double *exact,
                      int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    double off = fabs(rounded[i] - exact[i]);
    if (off > d->rounding) d->rounding = off; // no number: nothing is learned
  }
}

// An output of two sides to p->mine, of the reference to p->theirs; *count = -1 where there is none.
static co_status read_outputs(co_parity *p, const co_parity_side *side, int stage, int kind,
                              int64_t output, int64_t *count) {
  const co_parity_unit *mine = &side->units[stage][kind];
  const co_parity_unit *theirs = &p->reference.units[stage][CO_PARITY_OBSERVED];
  co_value value = theirs->plan->outputs[output];
  *count = -1;
  if (value == CO_NO_VALUE || mine->plan->outputs[output] == CO_NO_VALUE) return CO_OK;
  *count = co_shape_count(&theirs->plan->values[value].info.desc.shape);
  CO_RETURN_IF_FAILED(make_room(p, *count));
  CO_RETURN_IF_FAILED(co_executor_read_output(mine->executor, output, p->mine));
  CO_RETURN_IF_FAILED(co_executor_read_output(theirs->executor, output, p->theirs));
  if (side->real != CO_F64) widen(p->mine, *count);
  return CO_OK;
}

static co_status read_losses(co_parity *p, const co_parity_side *side) {
  int64_t count = p->model->network->metric_doubles + 1;
  size_t bytes = (size_t)count * sizeof(double);
  CO_RETURN_IF_FAILED(make_room(p, count));
  CO_RETURN_IF_FAILED(side->backend->api->download(side->backend, p->mine, side->metrics, bytes));
  return p->reference.backend->api->download(p->reference.backend, p->theirs, p->reference.metrics,
                                             bytes);
}

static co_status read_entry(co_parity *p, const co_parity_side *side, int64_t entry, co_block block,
                            int64_t *count) {
  const co_param_info *info = &p->reference.store->entries[entry].info;
  *count = co_shape_count(&info->shape);
  CO_RETURN_IF_FAILED(make_room(p, *count));
  CO_RETURN_IF_FAILED(
      co_store_read(side->store, co_store_find(side->store, info->name), block, p->mine));
  CO_RETURN_IF_FAILED(co_store_read(p->reference.store, entry, block, p->theirs));
  if (side->real != CO_F64) widen(p->mine, *count);
  return CO_OK;
}

// Whether there is something to compare in this block of a store's entry.
static bool has_block(const co_parity *p, int64_t entry, co_block block) {
  const co_param_info *info = &p->reference.store->entries[entry].info;
  if (block != CO_BLOCK_GRADIENT) return info->state;
  return p->reference.units[CO_PARITY_TRAINING][CO_PARITY_OBSERVED].plan->has_gradient[entry];
}

// ---- what rounding does ------------------------------------------------------------------------

static co_status take_outputs(co_parity *p, int stage) {
  for (int64_t i = 0; i < p->model->network->output_count; i++) {
    int64_t count;
    CO_RETURN_IF_FAILED(read_outputs(p, &p->rounded, stage, CO_PARITY_OBSERVED, i, &count));
    take_draw(&p->outputs[stage][i], p->mine, p->theirs, count);
  }
  return CO_OK;
}

static co_status take_losses(co_parity *p) {
  const co_graph *graph = p->model->network;
  CO_RETURN_IF_FAILED(read_losses(p, &p->rounded));
  for (int64_t i = 0; i < graph->loss_count; i++) {
    int32_t at = graph->values[graph->losses[i].sum].index;
    take_draw(&p->losses[i], &p->mine[at], &p->theirs[at], 1);
  }
  return CO_OK;
}

static co_status take_entries(co_parity *p, co_block block, co_parity_difference *differences) {
  for (int64_t i = 0; i < p->reference.store->count; i++) {
    int64_t count;
    if (!has_block(p, i, block)) continue;
    CO_RETURN_IF_FAILED(read_entry(p, &p->rounded, i, block, &count));
    take_draw(&differences[i], p->mine, p->theirs, count);
  }
  return CO_OK;
}

// After the reference has run. A training moves statistics: each begins with those of the file.
static co_status measure_rounding(co_parity *p, int stage) {
  size_t entries = (size_t)p->reference.store->count;
  memset(p->batch_gradients, 0, entries * sizeof *p->batch_gradients);
  for (uint32_t draw = 0; draw < DRAWS; draw++) {
    co_rounding_draw(p->rounded.backend, draw);
    if (stage == CO_PARITY_TRAINING)
      CO_RETURN_IF_FAILED(co_model_file_read_weights(p->ctx, p->path, p->rounded.store, false));
    CO_RETURN_IF_FAILED(co_parity_side_run(&p->rounded, p, stage, CO_PARITY_OBSERVED));
    if (p->batches == 1) CO_RETURN_IF_FAILED(take_outputs(p, stage));
    if (stage != CO_PARITY_TRAINING) continue;
    CO_RETURN_IF_FAILED(take_entries(p, CO_BLOCK_GRADIENT, p->batch_gradients));
    if (p->batches > 1) continue;
    CO_RETURN_IF_FAILED(take_losses(p));
    CO_RETURN_IF_FAILED(take_entries(p, CO_BLOCK_PARAM, p->statistics));
  }
  return CO_OK;
}

// ---- the comparison ----------------------------------------------------------------------------

static co_status compare_output(co_parity *p, int stage, int kind, int64_t output,
                                const char *layer, const char *what) {
  int64_t count;
  CO_RETURN_IF_FAILED(read_outputs(p, &p->device, stage, kind, output, &count));
  if (count < 0) return CO_OK;
  co_parity_difference *d = &p->outputs[stage][output];
  compare(d, p->mine, p->theirs, count);
  return co_parity_report_row(p, stage, layer, what, "", d);
}

static co_status compare_layers(co_parity *p, int stage) {
  const co_graph *graph = p->model->network;
  for (int64_t i = 0; i < graph->layer_count; i++)
    CO_RETURN_IF_FAILED(compare_output(p, stage, CO_PARITY_OBSERVED, p->layer_outputs[i],
                                       graph->layers[i].name, "output"));
  return CO_OK;
}

static co_status compare_losses(co_parity *p) {
  const co_graph *graph = p->model->network;
  CO_RETURN_IF_FAILED(read_losses(p, &p->device));
  for (int64_t i = 0; i < graph->loss_count; i++) {
    int32_t at = graph->values[graph->losses[i].sum].index;
    compare(&p->losses[i], &p->mine[at], &p->theirs[at], 1);
    CO_RETURN_IF_FAILED(co_parity_report_row(p, CO_PARITY_TRAINING, graph->losses[i].name, "loss",
                                             "", &p->losses[i]));
  }
  return CO_OK;
}

static co_status compare_entries(co_parity *p, co_block block, co_parity_difference *differences) {
  for (int64_t i = 0; i < p->reference.store->count; i++) {
    int64_t count;
    if (!has_block(p, i, block)) continue;
    CO_RETURN_IF_FAILED(read_entry(p, &p->device, i, block, &count));
    compare(&differences[i], p->mine, p->theirs, count);
  }
  return CO_OK;
}

static bool is_telling(const co_parity *p, const co_parity_difference *d) {
  return p->options->tolerance > 0 || p->roundings * d->rounding <= telling * d->scale ||
         d->scale <= d->rounding;
}

static double ratio_of(const co_parity *p, const co_parity_difference *d) {
  return d->largest == 0 ? 0 : d->largest / co_parity_allowed(p, d, true);
}

// Whether what a further batch says of a gradient counts more than what is known.
static bool is_better(const co_parity *p, const co_parity_difference *now,
                      const co_parity_difference *known) {
  bool tells = is_telling(p, now);
  if (tells != is_telling(p, known)) return tells;
  return ratio_of(p, now) < ratio_of(p, known);
}

// Of each gradient, the comparison that counts is kept. *settled: all are right, and could have been
// seen to be wrong.
static co_status compare_gradients(co_parity *p, bool *settled) {
  int64_t count = p->reference.store->count;
  const co_parity_difference *now = p->batch_gradients;
  CO_RETURN_IF_FAILED(compare_entries(p, CO_BLOCK_GRADIENT, p->batch_gradients));
  *settled = true;
  for (int64_t i = 0; i < count; i++) {
    if (!has_block(p, i, CO_BLOCK_GRADIENT)) continue;
    co_parity_difference *known = &p->gradients[i];
    if (p->batches == 1 || is_better(p, &now[i], known)) *known = now[i];
    if (!(ratio_of(p, known) <= 1) || !is_telling(p, known)) *settled = false;
  }
  return CO_OK;
}

static co_status report_entry(co_parity *p, int64_t entry, const char *kind,
                              const co_parity_difference *difference) {
  const co_param_info *info = &p->reference.store->entries[entry].info;
  return co_parity_report_row(p, CO_PARITY_TRAINING, info->layer, kind,
                              info->name + strlen(info->layer) + 1, difference);
}

// Gradients as they arise, from the last layer to the first; then running statistics.
static co_status report_entries(co_parity *p) {
  int64_t count = p->reference.store->count;
  for (int64_t i = count; i-- > 0;)
    if (has_block(p, i, CO_BLOCK_GRADIENT))
      CO_RETURN_IF_FAILED(report_entry(p, i, "gradient", &p->gradients[i]));
  for (int64_t i = 0; i < count; i++)
    if (has_block(p, i, CO_BLOCK_PARAM))
      CO_RETURN_IF_FAILED(report_entry(p, i, "statistic", &p->statistics[i]));
  return CO_OK;
}

static co_status compare_inference(co_parity *p) {
  const co_model *model = p->model;
  CO_RETURN_IF_FAILED(
      co_parity_side_run(&p->reference, p, CO_PARITY_INFERENCE, CO_PARITY_OBSERVED));
  CO_RETURN_IF_FAILED(measure_rounding(p, CO_PARITY_INFERENCE));
  CO_RETURN_IF_FAILED(co_parity_side_run(&p->device, p, CO_PARITY_INFERENCE, CO_PARITY_OBSERVED));
  CO_RETURN_IF_FAILED(compare_layers(p, CO_PARITY_INFERENCE));
  CO_RETURN_IF_FAILED(co_parity_side_run(&p->device, p, CO_PARITY_INFERENCE, CO_PARITY_AS_USED));
  for (int64_t i = 0; i < model->output_count; i++)
    CO_RETURN_IF_FAILED(compare_output(p, CO_PARITY_INFERENCE, CO_PARITY_AS_USED,
                                       model->outputs[i].prediction, model->outputs[i].name,
                                       "prediction"));
  return CO_OK;
}

// After inference: training moves the running statistics. Its own outputs do not depend on them,
// so that the run with observed layers, the first, is undone by reading the weights again.
static co_status compare_training(co_parity *p) {
  bool settled, done = false;
  CO_RETURN_IF_FAILED(co_parity_side_run(&p->reference, p, CO_PARITY_TRAINING, CO_PARITY_OBSERVED));
  CO_RETURN_IF_FAILED(measure_rounding(p, CO_PARITY_TRAINING));
  CO_RETURN_IF_FAILED(co_parity_side_run(&p->device, p, CO_PARITY_TRAINING, CO_PARITY_OBSERVED));
  CO_RETURN_IF_FAILED(compare_layers(p, CO_PARITY_TRAINING));
  CO_RETURN_IF_FAILED(co_model_file_read_weights(p->ctx, p->path, p->device.store, false));
  CO_RETURN_IF_FAILED(co_parity_side_run(&p->device, p, CO_PARITY_TRAINING, CO_PARITY_AS_USED));
  CO_RETURN_IF_FAILED(compare_losses(p));
  CO_RETURN_IF_FAILED(compare_entries(p, CO_BLOCK_PARAM, p->statistics));
  CO_RETURN_IF_FAILED(compare_gradients(p, &settled));
  while (!settled && !p->failed) { // what went wrong before needs no more proof
    CO_RETURN_IF_FAILED(next_batch(p, &done));
    if (done) break;
    CO_RETURN_IF_FAILED(
        co_parity_side_run(&p->reference, p, CO_PARITY_TRAINING, CO_PARITY_OBSERVED));
    CO_RETURN_IF_FAILED(measure_rounding(p, CO_PARITY_TRAINING));
    CO_RETURN_IF_FAILED(co_parity_side_run(&p->device, p, CO_PARITY_TRAINING, CO_PARITY_AS_USED));
    CO_RETURN_IF_FAILED(compare_gradients(p, &settled));
  }
  return report_entries(p);
}

static co_status make_differences(co_parity *p) {
  const co_graph *graph = p->model->network;
  size_t size = sizeof(co_parity_difference), entries = (size_t)p->reference.store->count + 1;
  for (int stage = 0; stage < CO_PARITY_STAGES; stage++)
    p->outputs[stage] = co_arena_alloc(p->arena, (size_t)graph->output_count + 1, size);
  p->losses = co_arena_alloc(p->arena, (size_t)graph->loss_count + 1, size);
  p->gradients = co_arena_alloc(p->arena, entries, size);
  p->batch_gradients = co_arena_alloc(p->arena, entries, size);
  p->statistics = co_arena_alloc(p->arena, entries, size);
  return p->batch_gradients && p->outputs[0] && p->outputs[1] && p->losses && p->gradients &&
                 p->statistics
             ? CO_OK
             : CO_ERR_MEMORY;
}

// What its training froze has no gradients to compare.
static co_status apply_groups(co_parity *p) {
  co_trainer_settings settings;
  co_diagnostics problems;
  co_diagnostics_init(&problems, p->ctx);
  co_status status = co_settings_parse_trainer(&settings, p->file.config, p->arena, &problems);
  if (status == CO_OK)
    status = co_param_groups_apply(p->model->network, &settings.param_groups, &problems);
  if (status == CO_ERR_CONFIG || (status == CO_OK && problems.count))
    status = co_fail_at(CO_ERR_MODEL, p->path, 0, 0, "the trainer section it stores is damaged");
  co_diagnostics_free(&problems);
  return status;
}

static co_status verify(co_parity *p) {
  CO_RETURN_IF_FAILED(co_arena_create(&p->arena, p->ctx));
  CO_RETURN_IF_FAILED(read_options(p));
  CO_RETURN_IF_FAILED(
      co_model_open(&p->model, &p->file, &p->path, p->arena, p->options->model, &p->problems));
  if (p->model->scored)
    return co_fail(CO_ERR_USAGE,
                   "%s: a predictor of type %s is no network: it has no layers to compare", p->path,
                   p->model->predictor);
  CO_RETURN_IF_FAILED(apply_groups(p));
  CO_RETURN_IF_FAILED(open_batches(p));
  CO_RETURN_IF_FAILED(open_sides(p));
  CO_RETURN_IF_FAILED(make_differences(p));
  bool done;
  CO_RETURN_IF_FAILED(next_batch(p, &done));
  if (done) return co_fail(CO_ERR_INTERNAL, "there is no batch");
  co_parity_report_head(p);
  co_json_key(&p->result->json, "tensors");
  co_json_open(&p->result->json, '[');
  CO_RETURN_IF_FAILED(compare_inference(p));
  CO_RETURN_IF_FAILED(compare_training(p));
  co_json_close(&p->result->json);
  return co_parity_report_verdict(p);
}

cohort_status cohort_verify_parity(cohort_context *context,
                                   const cohort_verify_parity_options *options,
                                   cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_parity p = {.context = context, .ctx = context->ctx, .options = options, .result = *out};
  co_diagnostics_init(&p.problems, p.ctx);
  co_status status = verify(&p);
  co_error error;
  co_error_copy(&error);
  co_parity_side_free(&p.device, &p);
  co_parity_side_free(&p.reference, &p);
  co_parity_side_free(&p.rounded, &p);
  if (p.has_view) co_pipeline_release(p.pipeline, &p.view);
  co_pipeline_free(p.pipeline);
  co_model_free(p.model);
  co_dataset_close(p.dataset);
  co_free(p.ctx, p.mine);
  co_free(p.ctx, p.theirs);
  co_free(p.ctx, p.path);
  co_arena_free(p.arena);
  co_diagnostics_free(&p.problems);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "verify", status);
}
