// SPDX-License-Identifier: Apache-2.0
// cohort_verify_parity: one batch of the user's data through the user's model on a device and on
// the reference in double, compared tensor by tensor.
//
// The device runs each mode twice. Losses, gradients, statistics and predictions come from the
// plans as training and scoring use them, fusion and all. The layers' outputs come from plans in
// which every one of them is an output of the graph, and so is neither fused away nor reordered.
//
// Measure: max |a - b| / max |b| over a tensor, b being the reference's. One exception: a gradient
// that is zero by construction (of a bias before batch normalisation, say) consists of rounding
// only, on the reference too. Such a tensor, below 1e-9 of the largest gradient of its layer there,
// is measured against that largest gradient; running statistics likewise. Of a gradient out of
// tolerance, further batches are run, and the smallest difference counts (see below why).
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/api/api.h"
#include "host/eval/scorer.h"
#include "host/exec/memory.h"
#include "host/feed/pipeline.h"

// Measured on three convolution stages with batch norm, max pooling and ReLU on photographs of
// 28 x 28, on the CPU with 16 to 200 rows: outputs differ by up to 6e-7, gradients mostly by less
// than 4e-6, that of the first convolution, where terms cancel, by up to 1e-4. A wrong weight,
// mask, window or missing term changes a tensor by 1e-2 and more. In between lies room for deeper
// models.
//
// Not so gradients of choices. A ReLU within rounding of 0, or two elements of a pooling window as
// close, may be decided otherwise in float, and then gradients upstream jump: with 128 rows by 3e-4
// in the reference in float too; one gradient differs by 6e-7 with 160, 180 and 201 rows and by
// 5e-3 with 200. Wider tolerances would hide errors. Instead, few rows are taken, and a gradient is
// out of tolerance only if it is so in each of several batches: an error recurs, a close choice
// does not.
static const double default_tolerance = 1e-3;
static const double zero_by_construction = 1e-9;
static const int64_t most_rows = 32, most_batches = 4;

// bf16 has 8 bits where float has 24. Measured on the preset product-cnn, trained for 100 steps, with
// 16 and 32 rows: outputs differ by up to 8e-3, gradients by up to 0.2, since many more choices
// differ; hence a bound for each. What is wrong in bf16 alone may hide below; in float it would not.
static const double default_tolerance_bf16 = 0.25, default_tolerance_bf16_outputs = 0.05;

enum { INFERENCE, TRAINING, STAGES };
enum { AS_USED, OBSERVED, KINDS };

static const char *const stage_names[] = {"inference", "training"};

typedef struct unit {
  co_plan *plan;
  co_executor *executor;
} unit;

typedef struct side {
  co_backend *backend;
  co_dtype real;
  bool bf16;
  co_store *store;
  unit units[STAGES][KINDS];
  void *arena, *step, *metrics;
  void **inputs; // its own copies, NULL where the pipeline's are read as they lie
} side;

typedef struct parity {
  cohort_context *context;
  co_context *ctx;
  const cohort_verify_parity_options *options;
  cohort_result *result;
  co_arena *arena;
  co_diagnostics problems;
  char *path;
  co_model_file file;
  co_dataset *dataset;
  co_model *model;
  co_pipeline *pipeline;
  co_view view;
  bool has_view;
  co_split split;
  int64_t rows, batches;  // of a batch; batches run so far
  double *gradients;      // per store entry: smallest difference in any batch
  int64_t *layer_outputs; // per layer: position in the graph's outputs
  side device, reference;
  double *mine, *theirs; // values of one tensor
  int64_t capacity;
  co_precision precision;                       // of the device
  double tolerance, tolerance_outputs, largest; // of gradients, of all else
  int64_t compared, failed;
  char *first;   // what is wrong with the first row out of tolerance
  char *culprit; // its layer
  double exceeded;
} parity;

// ---- two sides ---------------------------------------------------------------------------------

static co_status plan_side(side *s, const parity *p, int kind) {
  for (int stage = STAGES; stage-- > 0;) { // as a trainer: training's plan fixes the layouts
    co_plan_options options = {.mode = stage == TRAINING ? CO_MODE_TRAIN : CO_MODE_INFER,
                               .shape = {.rows = p->rows},
                               .real = s->real,
                               .bf16 = s->bf16};
    CO_RETURN_IF_FAILED(
        co_plan_create(&s->units[stage][kind].plan, p->model->network, s->store, &options));
  }
  return CO_OK;
}

static co_status start_side(side *s, const parity *p, co_backend *backend, co_dtype real) {
  s->backend = backend;
  s->real = real;
  CO_RETURN_IF_FAILED(co_store_create(&s->store, backend, real));
  return co_store_add_graph(s->store, p->model->network);
}

// Memory for all plans, which never run at once; executors; weights.
static co_status finish_side(side *s, const parity *p) {
  const co_backend_api *api = s->backend->api;
  size_t metric_bytes = (size_t)(p->model->network->metric_doubles + 1) * sizeof(double);
  size_t arena_bytes = api->alignment;
  const co_plan *largest = NULL;
  for (int i = 0; i < STAGES * KINDS; i++) {
    const co_plan *plan = s->units[i / KINDS][i % KINDS].plan;
    if (plan && (!largest || plan->arena_bytes > largest->arena_bytes)) largest = plan;
  }
  if (largest && largest->arena_bytes > arena_bytes) arena_bytes = largest->arena_bytes;
  CO_RETURN_IF_FAILED(co_memory_check(largest, s->store, true, 0));
  CO_RETURN_IF_FAILED(co_store_allocate(s->store, true, 0));
  CO_RETURN_IF_FAILED(api->buffer_create(s->backend, arena_bytes, &s->arena));
  CO_RETURN_IF_FAILED(api->buffer_create(s->backend, sizeof(co_step), &s->step));
  CO_RETURN_IF_FAILED(api->buffer_create(s->backend, metric_bytes, &s->metrics));
  co_memory memory = {.arena = s->arena, .step = s->step, .metrics = s->metrics};
  for (int i = 0; i < STAGES * KINDS; i++) {
    unit *u = &s->units[i / KINDS][i % KINDS];
    if (u->plan) CO_RETURN_IF_FAILED(co_executor_create(&u->executor, u->plan, s->store, &memory));
  }
  return co_model_file_read_weights(p->ctx, p->path, s->store, false);
}

static void free_side(side *s, const parity *p) {
  if (!s->backend) return;
  const co_backend_api *api = s->backend->api;
  for (int i = 0; i < STAGES * KINDS; i++) {
    co_executor_free(s->units[i / KINDS][i % KINDS].executor);
    co_plan_free(s->units[i / KINDS][i % KINDS].plan);
  }
  for (int64_t i = 0; s->inputs && i < p->model->network->input_count; i++)
    api->buffer_free(s->backend, s->inputs[i]);
  co_free(p->ctx, s->inputs);
  api->buffer_free(s->backend, s->arena);
  api->buffer_free(s->backend, s->step);
  api->buffer_free(s->backend, s->metrics);
  co_store_free(s->store);
  api->free(s->backend);
}

// Copies one input to the side, floats widened where it calculates in double.
static co_status copy_input(side *s, parity *p, int64_t i, const void **out) {
  co_tensor_desc desc = p->model->network->values[p->model->network->inputs[i]].desc;
  bool widen = desc.dtype == CO_F32 && s->real == CO_F64;
  const void *from = p->view.inputs[i];
  desc.shape.dim[0] = p->rows;
  *out = from;
  if (!from || (!widen && s->backend->api->host_memory)) return CO_OK;
  int64_t count = co_shape_count(&desc.shape);
  double *wide = NULL;
  if (widen) {
    desc.dtype = CO_F64;
    if (!(wide = co_alloc_zero(p->ctx, (size_t)count + 1, sizeof *wide))) return CO_ERR_MEMORY;
    for (int64_t k = 0; k < count; k++)
      wide[k] = (double)((const float *)from)[k];
    from = wide;
  }
  size_t bytes = co_tensor_bytes(&desc);
  co_status status = CO_OK;
  if (!s->inputs[i]) status = s->backend->api->buffer_create(s->backend, bytes, &s->inputs[i]);
  if (status == CO_OK) status = s->backend->api->upload(s->backend, s->inputs[i], from, bytes);
  *out = s->inputs[i];
  co_free(p->ctx, wide);
  return status;
}

static co_status give_side(side *s, parity *p, const co_step *step) {
  int64_t count = p->model->network->input_count;
  if (!s->inputs) s->inputs = co_alloc_zero(p->ctx, (size_t)count + 1, sizeof *s->inputs);
  if (!s->inputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    const void *address;
    CO_RETURN_IF_FAILED(copy_input(s, p, i, &address));
    for (int k = 0; k < STAGES * KINDS; k++)
      if (s->units[k / KINDS][k % KINDS].executor)
        co_executor_bind(s->units[k / KINDS][k % KINDS].executor, i, address);
  }
  return s->backend->api->upload(s->backend, s->step, step, sizeof *step);
}

static co_status run_side(side *s, const parity *p, int stage, int kind) {
  if (co_watch_stopped(&p->context->watch)) return co_fail(CO_INTERRUPTED, "stopped during verify");
  CO_RETURN_IF_FAILED(s->backend->api->fill_zero(
      s->backend, s->metrics, (size_t)(p->model->network->metric_doubles + 1) * sizeof(double)));
  CO_RETURN_IF_FAILED(co_store_refresh(s->store));
  return co_executor_run(s->units[stage][kind].executor);
}

// ---- opening -----------------------------------------------------------------------------------

static co_status read_options(parity *p) {
  const cohort_verify_parity_options *options = p->options;
  CO_RETURN_IF_FAILED(co_require(options->model, "verify", "a model"));
  CO_RETURN_IF_FAILED(co_require(options->dataset, "verify", "a dataset"));
  // Unless TF32 or bf16 is asked for, what is left is an error, not a precision that was chosen.
  p->precision = CO_PRECISION_F32;
  CO_RETURN_IF_FAILED(co_choose_precision(&p->precision, options->precision));
  p->device.bf16 = p->precision == CO_PRECISION_BF16;
  p->tolerance = options->tolerance > 0 ? options->tolerance
                 : p->device.bf16       ? default_tolerance_bf16
                                        : default_tolerance;
  p->tolerance_outputs =
      !(options->tolerance > 0) && p->device.bf16 ? default_tolerance_bf16_outputs : p->tolerance;
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
static co_status next_batch(parity *p, bool *done) {
  if (p->has_view) co_pipeline_release(p->pipeline, &p->view);
  p->has_view = false;
  CO_RETURN_IF_FAILED(co_pipeline_next(p->pipeline, &p->view, done));
  if (*done) return CO_OK;
  p->has_view = true;
  co_step step = {.seed = 1, .step = (uint32_t)p->batches++};
  co_view_inv_norm(p->model, &p->view, step.inv_norm);
  CO_RETURN_IF_FAILED(give_side(&p->device, p, &step));
  return give_side(&p->reference, p, &step);
}

// Batches of the first rows of the split, in order, not augmented, with targets.
static co_status open_batches(parity *p) {
  const int64_t *samples;
  int64_t count;
  CO_RETURN_IF_FAILED(co_dataset_open(&p->dataset, p->ctx, p->options->dataset));
  CO_RETURN_IF_FAILED(co_check_dataset(p->model, p->dataset, true));
  CO_RETURN_IF_FAILED(co_dataset_split(p->dataset, p->split, &samples, &count));
  if (!count)
    return co_fail_at(CO_ERR_DATA, p->options->dataset, 0, 0, "the %s split has no rows",
                      co_split_name(p->split));
  CO_RETURN_IF_FAILED(
      co_choose_batch_size(&p->rows, p->options->batch_size, &p->file, "batch_size", most_rows));
  if (!p->options->batch_size && p->rows > most_rows) p->rows = most_rows;
  if (p->rows > count) p->rows = count;
  co_pipeline_options options = {.samples = samples,
                                 .sample_count = count < most_batches * p->rows
                                                     ? count / p->rows * p->rows
                                                     : most_batches * p->rows,
                                 .batch_rows = p->rows,
                                 .targets = true,
                                 .epochs = 1,
                                 .workers = 1};
  return co_pipeline_create(&p->pipeline, p->model, p->dataset, &options);
}

// Makes every layer's output one of the graph, for the plans made from now on.
static co_status observe_layers(parity *p) {
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

static co_status open_sides(parity *p) {
  co_backend *backend;
  CO_RETURN_IF_FAILED(
      co_open_backend(&backend, p->ctx, p->options->device, p->options->threads, p->precision));
  CO_RETURN_IF_FAILED(start_side(&p->device, p, backend, CO_F32));
  CO_RETURN_IF_FAILED(plan_side(&p->device, p, AS_USED));
  CO_RETURN_IF_FAILED(observe_layers(p));
  CO_RETURN_IF_FAILED(plan_side(&p->device, p, OBSERVED));
  CO_RETURN_IF_FAILED(co_ref_backend_open(&backend, p->ctx, NULL));
  CO_RETURN_IF_FAILED(start_side(&p->reference, p, backend, CO_F64));
  CO_RETURN_IF_FAILED(plan_side(&p->reference, p, OBSERVED));
  CO_RETURN_IF_FAILED(finish_side(&p->device, p));
  return finish_side(&p->reference, p);
}

// ---- comparing ---------------------------------------------------------------------------------

static co_status make_room(parity *p, int64_t count) {
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

// Infinite where a value is not finite. `scale` replaces max |b| unless it is 0.
static double difference(const double *a, const double *b, int64_t count, double scale) {
  double worst = 0;
  for (int64_t i = 0; i < count; i++) {
    if (!isfinite(a[i]) || !isfinite(b[i])) return INFINITY;
    if (fabs(a[i] - b[i]) > worst) worst = fabs(a[i] - b[i]);
  }
  if (scale == 0) scale = largest_of(b, count);
  return worst == 0 ? 0 : worst / scale;
}

// One row of the table. `part` is the tensor's name within the layer, "" if it needs none.
static co_status add_row(parity *p, int stage, const char *layer, const char *kind,
                         const char *part, double value) {
  bool gradient = strcmp(kind, "gradient") == 0;
  bool within = value <= (gradient ? p->tolerance : p->tolerance_outputs);
  co_json *json = &p->result->json;
  co_text *text = &p->result->text;
  p->compared++;
  if (value > p->largest) p->largest = value;
  co_json_open(json, '{');
  co_json_key(json, "stage");
  co_json_string(json, stage_names[stage]);
  co_json_key(json, "layer");
  co_json_string(json, layer);
  co_json_key(json, "kind");
  co_json_string(json, kind);
  co_json_key(json, "name");
  co_json_string(json, part);
  co_json_key(json, "difference");
  co_json_double(json, value);
  co_json_key(json, "within");
  co_json_bool(json, within);
  co_json_close(json);
  char tensor[64];
  snprintf(tensor, sizeof tensor, "%s%s%s", kind, *part ? " " : "", part);
  co_text_printf(text, "%-10s %-36s %-26s %10.2e  %s\n", stage_names[stage], layer, tensor, value,
                 within ? "ok" : "OUT OF TOLERANCE");
  if (within || p->failed++) return CO_OK;
  p->culprit = co_arena_strdup(p->arena, layer);
  p->first = co_arena_format(p->arena, "'%s': its %s in %s differs from the reference by %.3g",
                             layer, tensor, stage_names[stage], value);
  p->exceeded = gradient ? p->tolerance : p->tolerance_outputs;
  return p->culprit && p->first ? CO_OK : CO_ERR_MEMORY;
}

static co_status compare_output(parity *p, int stage, int kind, int64_t output, const char *layer,
                                const char *what) {
  const unit *mine = &p->device.units[stage][kind], *theirs = &p->reference.units[stage][OBSERVED];
  co_value value = theirs->plan->outputs[output];
  if (value == CO_NO_VALUE || mine->plan->outputs[output] == CO_NO_VALUE) return CO_OK;
  const co_tensor_desc *desc = &theirs->plan->values[value].info.desc;
  int64_t count = co_shape_count(&desc->shape);
  CO_RETURN_IF_FAILED(make_room(p, count));
  CO_RETURN_IF_FAILED(co_executor_read_output(mine->executor, output, p->mine));
  CO_RETURN_IF_FAILED(co_executor_read_output(theirs->executor, output, p->theirs));
  widen(p->mine, count);
  return add_row(p, stage, layer, what, "", difference(p->mine, p->theirs, count, 0));
}

static co_status compare_layers(parity *p, int stage) {
  const co_graph *graph = p->model->network;
  for (int64_t i = 0; i < graph->layer_count; i++)
    CO_RETURN_IF_FAILED(
        compare_output(p, stage, OBSERVED, p->layer_outputs[i], graph->layers[i].name, "output"));
  return CO_OK;
}

static co_status compare_losses(parity *p) {
  const co_graph *graph = p->model->network;
  int64_t count = graph->metric_doubles + 1;
  size_t bytes = (size_t)count * sizeof(double);
  CO_RETURN_IF_FAILED(make_room(p, count));
  const side *mine = &p->device, *theirs = &p->reference;
  CO_RETURN_IF_FAILED(mine->backend->api->download(mine->backend, p->mine, mine->metrics, bytes));
  CO_RETURN_IF_FAILED(
      theirs->backend->api->download(theirs->backend, p->theirs, theirs->metrics, bytes));
  for (int64_t i = 0; i < graph->loss_count; i++) {
    int32_t at = graph->values[graph->losses[i].sum].index;
    CO_RETURN_IF_FAILED(add_row(p, TRAINING, graph->losses[i].name, "loss", "",
                                difference(&p->mine[at], &p->theirs[at], 1, 0)));
  }
  return CO_OK;
}

// Whether there is something to compare in this block of a store's entry.
static bool has_block(const parity *p, int64_t entry, co_block block) {
  const co_param_info *info = &p->reference.store->entries[entry].info;
  if (block != CO_BLOCK_GRADIENT) return info->state;
  return p->reference.units[TRAINING][OBSERVED].plan->has_gradient[entry];
}

// The largest value of the reference in a layer's tensors of one kind.
static co_status largest_in_layer(parity *p, const char *layer, co_block block, double *out) {
  co_store *store = p->reference.store;
  *out = 0;
  for (int64_t i = 0; i < store->count; i++) {
    if (!has_block(p, i, block) || strcmp(store->entries[i].info.layer, layer) != 0) continue;
    int64_t count = co_shape_count(&store->entries[i].info.shape);
    CO_RETURN_IF_FAILED(make_room(p, count));
    CO_RETURN_IF_FAILED(co_store_read(store, i, block, p->theirs));
    double largest = largest_of(p->theirs, count);
    if (largest > *out) *out = largest;
  }
  return CO_OK;
}

static co_status compare_entry(parity *p, int64_t entry, co_block block, double *out) {
  const co_param_info *info = &p->reference.store->entries[entry].info;
  int64_t count = co_shape_count(&info->shape), mine = co_store_find(p->device.store, info->name);
  double of_layer;
  CO_RETURN_IF_FAILED(largest_in_layer(p, info->layer, block, &of_layer));
  CO_RETURN_IF_FAILED(make_room(p, count));
  CO_RETURN_IF_FAILED(co_store_read(p->device.store, mine, block, p->mine));
  CO_RETURN_IF_FAILED(co_store_read(p->reference.store, entry, block, p->theirs));
  widen(p->mine, count);
  bool nothing = largest_of(p->theirs, count) < zero_by_construction * of_layer;
  *out = difference(p->mine, p->theirs, count, nothing ? of_layer : 0);
  return CO_OK;
}

// Keeps the smaller difference of each gradient; *within says whether all are in tolerance now.
static co_status compare_gradients(parity *p, bool *within) {
  *within = true;
  for (int64_t i = 0; i < p->reference.store->count; i++) {
    if (!has_block(p, i, CO_BLOCK_GRADIENT)) continue;
    double value;
    CO_RETURN_IF_FAILED(compare_entry(p, i, CO_BLOCK_GRADIENT, &value));
    if (p->batches == 1 || value < p->gradients[i]) p->gradients[i] = value;
    if (!(p->gradients[i] <= p->tolerance)) *within = false;
  }
  return CO_OK;
}

static co_status add_store_row(parity *p, int64_t entry, const char *kind, double value) {
  const co_param_info *info = &p->reference.store->entries[entry].info;
  return add_row(p, TRAINING, info->layer, kind, info->name + strlen(info->layer) + 1, value);
}

// Gradients as they arise, from the last layer to the first; then running statistics.
static co_status report_store(parity *p) {
  int64_t count = p->reference.store->count;
  for (int64_t i = count; i-- > 0;)
    if (has_block(p, i, CO_BLOCK_GRADIENT))
      CO_RETURN_IF_FAILED(add_store_row(p, i, "gradient", p->gradients[i]));
  for (int64_t i = 0; i < count; i++) {
    double value;
    if (!has_block(p, i, CO_BLOCK_PARAM)) continue;
    CO_RETURN_IF_FAILED(compare_entry(p, i, CO_BLOCK_PARAM, &value));
    CO_RETURN_IF_FAILED(add_store_row(p, i, "statistic", value));
  }
  return CO_OK;
}

static co_status compare_inference(parity *p) {
  const co_model *model = p->model;
  CO_RETURN_IF_FAILED(run_side(&p->reference, p, INFERENCE, OBSERVED));
  CO_RETURN_IF_FAILED(run_side(&p->device, p, INFERENCE, OBSERVED));
  CO_RETURN_IF_FAILED(compare_layers(p, INFERENCE));
  CO_RETURN_IF_FAILED(run_side(&p->device, p, INFERENCE, AS_USED));
  for (int64_t i = 0; i < model->output_count; i++)
    CO_RETURN_IF_FAILED(compare_output(p, INFERENCE, AS_USED, model->outputs[i].prediction,
                                       model->outputs[i].name, "prediction"));
  return CO_OK;
}

// After inference: training moves the running statistics. Its own outputs do not depend on them,
// so that the run with observed layers, the first, is undone by reading the weights again.
static co_status compare_training(parity *p) {
  CO_RETURN_IF_FAILED(run_side(&p->reference, p, TRAINING, OBSERVED));
  CO_RETURN_IF_FAILED(run_side(&p->device, p, TRAINING, OBSERVED));
  CO_RETURN_IF_FAILED(compare_layers(p, TRAINING));
  CO_RETURN_IF_FAILED(co_model_file_read_weights(p->ctx, p->path, p->device.store, false));
  CO_RETURN_IF_FAILED(run_side(&p->device, p, TRAINING, AS_USED));
  CO_RETURN_IF_FAILED(compare_losses(p));
  p->gradients =
      co_arena_alloc(p->arena, (size_t)p->reference.store->count + 1, sizeof *p->gradients);
  if (!p->gradients) return CO_ERR_MEMORY;
  bool within, done = false;
  CO_RETURN_IF_FAILED(compare_gradients(p, &within));
  while (!within && !p->failed) { // what went wrong before needs no more proof
    CO_RETURN_IF_FAILED(next_batch(p, &done));
    if (done) break;
    CO_RETURN_IF_FAILED(run_side(&p->reference, p, TRAINING, OBSERVED));
    CO_RETURN_IF_FAILED(run_side(&p->device, p, TRAINING, AS_USED));
    CO_RETURN_IF_FAILED(compare_gradients(p, &within));
  }
  return report_store(p);
}

static void report_head(parity *p) {
  co_json *json = &p->result->json;
  const char *device = p->device.backend->api->name;
  co_json_key(json, "model");
  co_json_string(json, p->path);
  co_json_key(json, "dataset");
  co_json_string(json, p->options->dataset);
  co_json_key(json, "split");
  co_json_string(json, co_split_name(p->split));
  co_json_key(json, "rows");
  co_json_int(json, p->rows);
  co_json_key(json, "device");
  co_json_string(json, device);
  co_json_key(json, "precision");
  co_json_string(json, co_precision_name(p->precision));
  co_json_key(json, "tolerance");
  co_json_double(json, p->tolerance);
  co_text_printf(&p->result->text,
                 "%s: %s in precision %s against the reference in double, %lld %s rows\n"
                 "difference: max |a - b| / max |b| of a tensor, at most %g\n\n",
                 p->path, device, co_precision_name(p->precision), (long long)p->rows,
                 co_split_name(p->split), p->tolerance);
}

static co_status report_verdict(parity *p) {
  co_json *json = &p->result->json;
  co_json_key(json, "batches");
  co_json_int(json, p->batches);
  co_json_key(json, "compared");
  co_json_int(json, p->compared);
  co_json_key(json, "out_of_tolerance");
  co_json_int(json, p->failed);
  co_json_key(json, "largest");
  co_json_double(json, p->largest);
  co_json_key(json, "first");
  if (p->culprit)
    co_json_string(json, p->culprit);
  else
    co_json_null(json);
  co_text_printf(&p->result->text, "\n%lld tensors, %lld batch%s, largest difference %.2e: %s\n",
                 (long long)p->compared, (long long)p->batches, p->batches == 1 ? "" : "es",
                 p->largest, p->failed ? "NOT the same" : "the same");
  if (!p->failed) return CO_OK;
  co_status status = co_fail(CO_ERR_GATE, "%s, more than %g", p->first, p->exceeded);
  co_hint(
      "%lld of %lld tensors are out of tolerance; what comes after the first may follow from it",
      (long long)p->failed, (long long)p->compared);
  return status;
}

static co_status verify(parity *p) {
  CO_RETURN_IF_FAILED(co_arena_create(&p->arena, p->ctx));
  CO_RETURN_IF_FAILED(read_options(p));
  CO_RETURN_IF_FAILED(
      co_model_open(&p->model, &p->file, &p->path, p->arena, p->options->model, &p->problems));
  CO_RETURN_IF_FAILED(open_batches(p));
  CO_RETURN_IF_FAILED(open_sides(p));
  bool done;
  CO_RETURN_IF_FAILED(next_batch(p, &done));
  if (done) return co_fail(CO_ERR_INTERNAL, "there is no batch");
  report_head(p);
  co_json_key(&p->result->json, "tensors");
  co_json_open(&p->result->json, '[');
  CO_RETURN_IF_FAILED(compare_inference(p));
  CO_RETURN_IF_FAILED(compare_training(p));
  co_json_close(&p->result->json);
  return report_verdict(p);
}

cohort_status cohort_verify_parity(cohort_context *context,
                                   const cohort_verify_parity_options *options,
                                   cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  parity p = {.context = context, .ctx = context->ctx, .options = options, .result = *out};
  co_diagnostics_init(&p.problems, p.ctx);
  co_status status = verify(&p);
  co_error error;
  co_error_copy(&error);
  free_side(&p.device, &p);
  free_side(&p.reference, &p);
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
