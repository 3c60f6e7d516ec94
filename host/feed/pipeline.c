// SPDX-License-Identifier: Apache-2.0
#include "host/feed/pipeline.h"

#include <string.h>

#include "host/exec/memory.h"
#include "host/feed/collate.h"
#include "host/feed/shape_classes.h"
#include "models/feature.h"

// The input section planned for one class, with its memory.
typedef struct prepared_section {
  co_backend *backend;
  co_store *store; // empty: input sections have no parameters
  co_plan *plan;
  co_executor *executor;
  co_memory memory;
  co_shape_class shape;
} prepared_section;

typedef struct slot {
  prepared_section *sections; // per class
  int64_t *samples;           // padded to batch_rows
  void **data;                // per feed: the batch's rows, NULL where none are written
  const void **inputs;        // per network input: what is delivered
  float **heads;              // per output, of a scored model
  double *weight_sum;         // per loss
  int64_t valid;
  co_shape_class shape;
  char *staged; // page-locked, or NULL
} slot;

struct co_pipeline {
  co_context *ctx;
  co_model *model;
  co_dataset *dataset;
  co_pipeline_options options;
  co_backend *backend; // one thread
  co_section *own;     // where loader threads run the section
  const co_section *section;
  co_collator *collator;
  void **fixed;         // per feed that is the same for all batches: room, where it needs some
  const void **address; // and where it lies
  int64_t *field_feed;  // per field of what is staged: its feed
  char *staging;        // of all slots: page-locked memory is slow to get
  slot *slots;
  int slot_count;
  co_shape_class classes[2 * CO_MAX_LENGTHS]; // that may occur
  int64_t class_count;
  uint8_t *sample_classes; // of options.samples; NULL without events
  co_loader *loader;
};

// ---- one slot ----------------------------------------------------------------------------------

static co_status create_section(co_pipeline *p, prepared_section *s, const co_shape_class *shape) {
  co_plan_options options = {
      .mode = p->options.training ? CO_MODE_TRAIN : CO_MODE_INFER, .shape = *shape, .real = CO_F32};
  const co_backend_api *api = p->backend->api;
  s->backend = p->backend;
  s->shape = *shape;
  CO_RETURN_IF_FAILED(co_store_create(&s->store, p->backend, CO_F32));
  CO_RETURN_IF_FAILED(co_plan_create(&s->plan, p->section->graph, s->store, &options));
  CO_RETURN_IF_FAILED(co_memory_check_batches(shape->rows, s->plan->arena_bytes, p->slot_count));
  CO_RETURN_IF_FAILED(co_store_allocate(s->store, false, 0));
  CO_RETURN_IF_FAILED(api->buffer_create(p->backend, s->plan->arena_bytes + 64, &s->memory.arena));
  CO_RETURN_IF_FAILED(api->buffer_create(p->backend, sizeof(co_step), &s->memory.step));
  return co_executor_create(&s->executor, s->plan, s->store, &s->memory);
}

static void free_section(prepared_section *s) {
  if (!s->backend) return;
  co_executor_free(s->executor);
  co_plan_free(s->plan);
  co_store_free(s->store);
  s->backend->api->buffer_free(s->backend, s->memory.arena);
  s->backend->api->buffer_free(s->backend, s->memory.step);
}

static co_status allocate_heads(co_pipeline *p, slot *s) {
  const co_model *model = p->model;
  s->heads = co_alloc_zero(p->ctx, (size_t)model->output_count + 1, sizeof *s->heads);
  if (!s->heads) return CO_ERR_MEMORY;
  for (int64_t i = 0; p->options.fill_heads && i < model->output_count; i++) {
    size_t width = (size_t)model->outputs[i].width;
    s->heads[i] = co_alloc_zero(p->ctx, (size_t)p->options.batch_rows * width, sizeof(float));
    if (!s->heads[i]) return CO_ERR_MEMORY;
    s->inputs[model->outputs[i].head_input] = s->heads[i];
  }
  return CO_OK;
}

static co_status allocate_slot(co_pipeline *p, slot *s) {
  const co_graph *network = p->model->network;
  size_t rows = (size_t)p->options.batch_rows, feeds = (size_t)co_collator_count(p->collator);
  co_shape_class longest = co_shape_class_of(p->model, 1, co_length_count(p->model) - 1);
  s->samples = co_alloc_zero(p->ctx, rows, sizeof *s->samples);
  s->data = co_alloc_zero(p->ctx, feeds + 1, sizeof *s->data);
  s->inputs = co_alloc_zero(p->ctx, (size_t)network->input_count + 1, sizeof *s->inputs);
  s->weight_sum = co_alloc_zero(p->ctx, (size_t)network->loss_count + 1, sizeof *s->weight_sum);
  if (!s->samples || !s->data || !s->inputs || !s->weight_sum) return CO_ERR_MEMORY;
  for (size_t i = 0; i < feeds && !p->options.staging; i++) {
    size_t bytes = co_collator_row_bytes(p->collator, (int64_t)i, &longest);
    if (bytes && !(s->data[i] = co_alloc_zero(p->ctx, rows, bytes))) return CO_ERR_MEMORY;
  }
  return allocate_heads(p, s);
}

static void free_slot(co_pipeline *p, slot *s) {
  for (int64_t i = 0; s->sections && i < p->class_count; i++)
    free_section(&s->sections[i]);
  for (int64_t i = 0; s->data && i < co_collator_count(p->collator); i++)
    co_free(p->ctx, s->data[i]);
  for (int64_t i = 0; s->heads && i < p->model->output_count; i++)
    co_free(p->ctx, s->heads[i]);
  co_free(p->ctx, s->heads);
  co_free(p->ctx, s->sections);
  co_free(p->ctx, s->samples);
  co_free(p->ctx, s->data);
  co_free(p->ctx, s->inputs);
  co_free(p->ctx, s->weight_sum);
}

// ---- filling -----------------------------------------------------------------------------------

static double *sum_of(slot *s, const co_feed *feed) {
  return feed->kind == CO_FEED_WEIGHT ? &s->weight_sum[feed->loss] : NULL;
}

// Where rows, outputs of the section and targets lie, as the network's inputs.
static void deliver(const co_pipeline *p, slot *s, const prepared_section *ready) {
  const co_graph *network = p->model->network;
  for (int64_t i = 0; i < p->model->block_count; i++)
    s->inputs[network->values[p->model->blocks[i].network_input].index] =
        co_executor_address(ready->executor, ready->plan->outputs[i]);
  for (int64_t i = 0; i < co_collator_count(p->collator); i++) {
    const co_feed *feed = co_collator_feed(p->collator, i);
    if (feed->network) s->inputs[feed->input] = s->data[i];
  }
}

// The rows of feed i of samples that form a part of the batch, or all of it. *target: those of the
// last one.
static void collate(const co_pipeline *p, slot *s, int64_t i, const co_shape_class *shape,
                    int64_t first, int64_t valid, uint32_t epoch, void *out, const void **target) {
  const co_feed *feed = co_collator_feed(p->collator, i);
  if (feed->kind == CO_FEED_TARGET) *target = out;
  if (feed->kind == CO_FEED_TEACHER)
    co_collate_taught(p->collator, i, shape->rows, *target, out);
  else if (feed->kind == CO_FEED_NOISE)
    co_collate_noise(p->collator, i, s->samples + first, shape->rows, p->options.seed, epoch, out);
  else
    co_collate(p->collator, i, shape, s->samples + first, valid, out, sum_of(s, feed));
}

static co_status run_section(co_pipeline *p, slot *s, uint32_t epoch) {
  prepared_section *ready = s->sections;
  while (!co_shape_class_equal(&ready->shape, &s->shape)) // it is among them
    ready++;
  co_step step = {.seed = p->options.seed, .epoch = epoch};
  const void *target = NULL;
  memcpy(ready->memory.step, &step, sizeof step);
  for (int64_t i = 0; i < co_collator_count(p->collator); i++) {
    const co_feed *feed = co_collator_feed(p->collator, i);
    if (s->data[i]) collate(p, s, i, &s->shape, 0, s->valid, epoch, s->data[i], &target);
    if (!feed->network)
      co_executor_bind(ready->executor, feed->input, s->data[i] ? s->data[i] : p->address[i]);
  }
  CO_RETURN_IF_FAILED(co_executor_run(ready->executor));
  deliver(p, s, ready);
  if (!p->options.fill_heads) return CO_OK;
  return p->options.fill_heads(p->options.fill_user, s->samples, s->inputs, s->shape.rows,
                               s->heads);
}

// For devices that run the section themselves: what the batch brings, part by part.
static void stage(const co_pipeline *p, slot *s, uint32_t epoch) {
  const co_staging_layout *layout = p->options.staging;
  co_shape_class part_shape = s->shape;
  const void *target = NULL;
  int64_t first = 0;
  for (int64_t part = 0; part < co_staging_parts(layout, s->shape.rows); part++) {
    part_shape.rows = co_staging_part_rows(layout, s->shape.rows, part);
    int64_t valid = s->valid - first < 0 ? 0 : s->valid - first;
    for (int64_t f = 0; f < layout->field_count; f++) {
      int64_t i = p->field_feed[f];
      if (i < 0) continue; // targets, where none are asked for
      collate(p, s, i, &part_shape, first, valid, epoch,
              s->staged + co_staging_field_offset(layout, &s->shape, part, f), &target);
    }
    first += part_shape.rows;
  }
}

// Runs on a worker thread.
static co_status fill(void *user, int worker, const co_batch *batch) {
  co_pipeline *p = user;
  slot *s = &p->slots[batch->slot];
  (void)worker;
  s->valid = batch->rows;
  int64_t rows = p->options.training ? batch->rows : p->options.batch_rows;
  s->shape = co_shape_class_of(p->model, rows, batch->class_number);
  memcpy(s->samples, batch->samples, (size_t)batch->rows * sizeof *s->samples);
  for (int64_t row = batch->rows; row < rows; row++)
    s->samples[row] = batch->samples[0];
  memset(s->weight_sum, 0, (size_t)p->model->network->loss_count * sizeof *s->weight_sum);
  if (!s->staged) return run_section(p, s, batch->epoch);
  stage(p, s, batch->epoch);
  return CO_OK;
}

// ---- pipeline ----------------------------------------------------------------------------------

// What is made of stored rows is made once for all epochs of a training, while it is no burden.
static bool is_kept(const co_pipeline *p, const co_input_block *block, int64_t rows) {
  static const int64_t most_bytes = 64 << 20;
  const co_input_feature *feature = &block->features[0];
  int64_t bytes = block->count * co_feature_width(feature) * (int64_t)sizeof(float);
  return p->options.training && feature->derivation && rows <= most_bytes / bytes;
}

// Rows of a block of one column are picked from where they lie; those of several are joined.
static co_status build_section(co_pipeline *p) {
  const co_model *model = p->model;
  if (p->options.staging) {
    p->section = p->options.resident->section;
    return CO_OK;
  }
  int64_t *rows = co_alloc_zero(p->ctx, (size_t)model->block_count + 1, sizeof *rows);
  co_status status = rows ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < model->block_count; i++) {
    status = co_block_table_rows(p->dataset, &model->blocks[i], &rows[i]);
    const co_input_block *block = &model->blocks[i];
    if ((block->count > 1 || block->features[0].derivation) && !is_kept(p, block, rows[i]))
      rows[i] = CO_DIM_N;
  }
  if (status == CO_OK) status = co_section_create(&p->own, model, rows);
  p->section = p->own;
  co_free(p->ctx, rows);
  return status;
}

static co_status find_fixed(co_pipeline *p) {
  size_t count = (size_t)co_collator_count(p->collator);
  p->fixed = co_alloc_zero(p->ctx, count + 1, sizeof *p->fixed);
  p->address = co_alloc_zero(p->ctx, count + 1, sizeof *p->address);
  if (!p->fixed || !p->address) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < (int64_t)count && !p->options.staging; i++) {
    if (co_feed_is_of_rows(co_collator_feed(p->collator, i))) continue;
    if (co_collator_needs_room(p->collator, i)) {
      p->fixed[i] = co_alloc(p->ctx, co_collator_fixed_bytes(p->collator, i));
      if (!p->fixed[i]) return CO_ERR_MEMORY;
    }
    p->address[i] = co_collator_fixed(p->collator, i, p->fixed[i]);
  }
  return CO_OK;
}

static co_status find_fields(co_pipeline *p) {
  const co_staging_layout *layout = p->options.staging;
  if (!layout) return CO_OK;
  p->field_feed = co_alloc_zero(p->ctx, (size_t)layout->field_count + 1, sizeof *p->field_feed);
  if (!p->field_feed) return CO_ERR_MEMORY;
  for (int64_t f = 0; f < layout->field_count; f++) {
    p->field_feed[f] = -1;
    for (int64_t i = 0; i < co_collator_count(p->collator); i++) {
      const co_feed *feed = co_collator_feed(p->collator, i);
      if (feed->network == !layout->fields[f].section && feed->input == layout->fields[f].input)
        p->field_feed[f] = i;
    }
  }
  return CO_OK;
}

// The most bytes that a batch of any class brings.
static size_t most_staged(const co_pipeline *p) {
  size_t most = 0;
  for (int64_t i = 0; i < p->class_count; i++) {
    size_t bytes = co_staging_bytes(p->options.staging, &p->classes[i]);
    if (bytes > most) most = bytes;
  }
  return most;
}

static co_status create_staging(co_pipeline *p) {
  if (!p->options.staging) return CO_OK;
  co_backend *device = p->options.resident->backend;
  size_t bytes = most_staged(p);
  CO_RETURN_IF_FAILED(co_memory_check_batches(p->options.batch_rows, bytes, p->slot_count));
  return device->api->host_buffer_create(device, (size_t)p->slot_count * bytes,
                                         (void **)&p->staging);
}

static co_status create_sections(co_pipeline *p, slot *s) {
  s->sections = co_alloc_zero(p->ctx, (size_t)p->class_count, sizeof *s->sections);
  if (!s->sections) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < p->class_count; i++)
    CO_RETURN_IF_FAILED(create_section(p, &s->sections[i], &p->classes[i]));
  return CO_OK;
}

static co_status create_slots(co_pipeline *p) {
  int64_t partial = p->options.training ? p->options.sample_count % p->options.batch_rows : 0;
  p->slot_count = p->options.workers + 1 + (p->options.ahead > 1 ? p->options.ahead : 1);
  p->slots = co_alloc_zero(p->ctx, (size_t)p->slot_count, sizeof *p->slots);
  if (!p->slots) return CO_ERR_MEMORY;
  co_shape_classes_add(p->model, p->options.batch_rows, p->classes, &p->class_count);
  co_shape_classes_add(p->model, partial, p->classes, &p->class_count);
  CO_RETURN_IF_FAILED(create_staging(p));
  for (int i = 0; i < p->slot_count; i++) {
    CO_RETURN_IF_FAILED(allocate_slot(p, &p->slots[i]));
    if (p->staging)
      p->slots[i].staged = p->staging + (size_t)i * most_staged(p);
    else
      CO_RETURN_IF_FAILED(create_sections(p, &p->slots[i]));
  }
  return CO_OK;
}

co_status co_pipeline_create(co_pipeline **out, co_model *model, co_dataset *dataset,
                             const co_pipeline_options *options) {
  *out = NULL;
  co_pipeline *p = co_alloc_zero(model->ctx, 1, sizeof *p);
  if (!p) return CO_ERR_MEMORY;
  p->ctx = model->ctx;
  p->model = model;
  p->dataset = dataset;
  p->options = *options;
  co_backend_options single = {.threads = 1};
  co_status status;
  CO_TRY(co_cpu_backend_open(&p->backend, p->ctx, &single));
  CO_TRY(build_section(p));
  CO_TRY(co_collator_create(&p->collator, p->section, dataset, options->targets,
                            options->training || options->learned));
  CO_TRY(find_fixed(p));
  CO_TRY(find_fields(p));
  CO_TRY(create_slots(p));
  CO_TRY(co_sample_classes(&p->sample_classes, model, dataset, options->samples,
                           options->sample_count));
  co_loader_options loader = {.rows = options->samples,
                              .row_count = options->sample_count,
                              .classes = p->sample_classes,
                              .class_count = co_length_count(model),
                              .batch_rows = options->batch_rows,
                              .shuffle = options->training,
                              .seed = options->seed,
                              .epoch = options->epoch,
                              .first_batch_of_epoch = options->first_batch,
                              .epochs = options->epochs,
                              .workers = options->workers,
                              .slots = p->slot_count,
                              .fill = fill,
                              .user = p};
  CO_TRY(co_loader_create(&p->loader, p->ctx, &loader));
  *out = p;
  return CO_OK;
cleanup:
  co_pipeline_free(p);
  return status;
}

void co_pipeline_free(co_pipeline *p) {
  if (!p) return;
  co_loader_free(p->loader);
  for (int i = 0; p->slots && i < p->slot_count; i++)
    free_slot(p, &p->slots[i]);
  for (int64_t i = 0; p->fixed && i < co_collator_count(p->collator); i++)
    co_free(p->ctx, p->fixed[i]);
  if (p->staging)
    p->options.resident->backend->api->host_buffer_free(p->options.resident->backend, p->staging);
  co_collator_free(p->collator);
  co_section_free(p->own);
  co_free(p->ctx, p->slots);
  co_free(p->ctx, p->sample_classes);
  co_free(p->ctx, p->fixed);
  co_free(p->ctx, p->address);
  co_free(p->ctx, p->field_feed);
  if (p->backend) p->backend->api->free(p->backend);
  co_free(p->ctx, p);
}

co_status co_pipeline_next(co_pipeline *p, co_view *out, bool *done) {
  const co_batch *batch;
  CO_RETURN_IF_FAILED(co_loader_next(p->loader, &batch, done));
  if (*done) return CO_OK;
  const slot *s = &p->slots[batch->slot];
  *out =
      (co_view){batch, s->shape, s->valid, s->staged ? NULL : s->inputs, s->staged, s->weight_sum};
  return CO_OK;
}

bool co_pipeline_goes_on(const co_pipeline *p, const co_view *view) {
  const co_batch *batch = view->batch;
  bool partial = p->options.training && p->options.sample_count % p->options.batch_rows;
  if (batch->last || (partial && batch->index + 2 == co_loader_batches(p->loader))) return false;
  return co_loader_class(p->loader, batch->epoch, batch->index + 1) == batch->class_number;
}

void co_pipeline_release(co_pipeline *p, const co_view *view) {
  co_loader_release(p->loader, view->batch);
}

double co_pipeline_wait_seconds(const co_pipeline *p) {
  return co_loader_wait_seconds(p->loader);
}

void co_view_inv_norm(const co_model *model, const co_view *view, double *inv_norm) {
  const co_graph *network = model->network;
  for (int64_t i = 0; i < network->loss_count; i++)
    inv_norm[i] = view->weight_sum[i] > 0 ? network->losses[i].weight / view->weight_sum[i] : 0;
}
