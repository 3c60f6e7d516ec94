// SPDX-License-Identifier: Apache-2.0
#include "helpers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/core/rng.h"
#include "host/device/backend.h"
#include "host/graph/layer.h"

#define SHAPE(...)                                                                                 \
  {                                                                                                \
    (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {                               \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

static const char *const classes[] = {"a", "b", "c", "d"};

static const co_column columns[] = {
    {.name = "image",
     .type = CO_COLUMN_IMAGE,
     .role = CO_ROLE_INPUT,
     .dtype = CO_U8,
     .shape = SHAPE(6, 6, 2)},
    {.name = "wide_image",
     .type = CO_COLUMN_IMAGE,
     .role = CO_ROLE_INPUT,
     .dtype = CO_U8,
     .shape = SHAPE(16, 16, 16)},
    {.name = "x",
     .type = CO_COLUMN_VECTOR,
     .role = CO_ROLE_INPUT,
     .dtype = CO_F32,
     .shape = SHAPE(5)},
    {.name = "z",
     .type = CO_COLUMN_VECTOR,
     .role = CO_ROLE_INPUT,
     .dtype = CO_F32,
     .shape = SHAPE(3)},
    {.name = "label",
     .type = CO_COLUMN_CATEGORY,
     .role = CO_ROLE_TARGET,
     .dtype = CO_I32,
     .category_count = 4,
     .categories = classes},
    {.name = "score", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_TARGET, .dtype = CO_F32},
    {.name = "vector",
     .type = CO_COLUMN_VECTOR,
     .role = CO_ROLE_TARGET,
     .dtype = CO_F32,
     .shape = SHAPE(3)},
    {.name = "words", .type = CO_COLUMN_TEXT, .role = CO_ROLE_TARGET, .dtype = CO_U8}};

const co_schema test_schema = {.column_count = sizeof columns / sizeof *columns,
                               .columns = columns};

// ---- rig ---------------------------------------------------------------------------------------

void rig_open(rig *r, const setup *s) {
  memset(r, 0, sizeof *r);
  r->setup = *s;
  co_context_options options = {.threads = s->threads ? s->threads : 1, .level = CO_LOG_WARN};
  OK(co_context_create(&r->ctx, &options));
  const co_backend_options exact = {.strict_f32 = true};
  OK(co_backend_open_device(&r->backend, r->ctx, s->backend, &exact));
  OK(co_arena_create(&r->arena, r->ctx));
  co_diagnostics_init(&r->problems, r->ctx);
}

void rig_model(rig *r, const char *yaml) {
  co_node *config;
  OK(co_yaml_parse(&config, r->arena, "test.yaml", yaml, strlen(yaml), &r->problems));
  OK(co_diagnostics_result(&r->problems));
  OK(co_model_create(&r->model, r->ctx, config, &test_schema, &r->problems));
  r->graph = r->model->network;
}

static co_status read_optimizer(const rig *r, co_phase_options *out, const char *yaml) {
  if (!yaml) yaml = "{sgd: {}}";
  co_diagnostics problems;
  co_diagnostics_init(&problems, r->ctx);
  co_node *node;
  co_status status;
  CO_TRY(co_yaml_parse(&node, r->arena, "optimizer", yaml, strlen(yaml), &problems));
  const co_optimizer_class *optimizer = co_optimizer_find(node->keys[0]);
  assert_non_null(optimizer);
  void *options = co_arena_alloc(r->arena, 1, optimizer->options_size);
  status = CO_ERR_MEMORY;
  if (!options) goto cleanup;
  CO_TRY(co_fields_parse(options, optimizer->fields, node->items[0], "optimizer", r->arena,
                         &problems));
  CO_TRY(co_diagnostics_result(&problems));
  out->optimizer = optimizer;
  out->optimizer_options = options;
cleanup:
  co_diagnostics_free(&problems);
  return status;
}

co_status rig_try_program(const rig *r, co_program **out) {
  const setup *s = &r->setup;
  co_phase_options phases[MAX_PHASES];
  int count = s->no_training ? 0 : s->phases ? s->phases : 1;
  *out = NULL;
  for (int i = 0; i < count; i++) {
    phases[i] = (co_phase_options){.losses = s->phase[i].losses,
                                   .groups = s->phase[i].groups,
                                   .clip_norm = s->phase[i].clip_norm,
                                   .clip_value = s->phase[i].clip_value,
                                   .ema_decay = s->phase[i].ema_decay};
    CO_RETURN_IF_FAILED(read_optimizer(r, &phases[i], s->phase[i].optimizer));
  }
  co_shape_class shapes[4] = {{.rows = s->rows}};
  const co_shape_class evaluation = {.rows = s->evaluation_rows};
  int64_t sizes = 0;
  for (; sizes < 4 && s->batch[sizes]; sizes++)
    shapes[sizes].rows = s->batch[sizes];
  co_program_options options = {.rows = s->rows,
                                .classes = s->classes ? s->classes : shapes,
                                .class_count = s->classes ? s->class_count
                                               : sizes    ? sizes
                                                          : 1,
                                .evaluation_classes = &evaluation,
                                .evaluation_class_count = evaluation.rows ? 1 : 0,
                                .evaluation_mode = s->infer ? CO_MODE_INFER : CO_MODE_EVALUATE,
                                .phases = phases,
                                .phase_count = count,
                                .real = s->real,
                                .bf16 = s->bf16,
                                .no_fusion = s->no_fusion,
                                .logit_bytes = s->logit_bytes,
                                .no_capture = s->no_capture,
                                .section = s->section};
  if (s->evaluation_classes) {
    options.evaluation_classes = s->evaluation_classes;
    options.evaluation_class_count = s->evaluation_class_count;
  }
  return co_program_create(out, r->graph, r->backend, &options);
}

void rig_program(rig *r) {
  OK(rig_try_program(r, &r->program));
  r->store = co_program_store(r->program);
  OK(co_store_initialize(r->store, 1));
}

void rig_make(rig *r, const setup *s, const char *yaml) {
  rig_open(r, s);
  rig_model(r, yaml);
  rig_program(r);
}

void rig_free(rig *r) {
  co_program_free(r->program);
  if (r->model)
    co_model_free(r->model);
  else
    co_graph_free(r->graph);
  co_diagnostics_free(&r->problems);
  co_arena_free(r->arena);
  r->backend->api->free(r->backend);
  assert_int_equal(co_alloc_get_stats(r->ctx).live_blocks, 0);
  co_context_free(r->ctx);
}

// ---- batches -----------------------------------------------------------------------------------

static co_tensor_desc input_desc(const rig *r, int i, const co_shape_class *shape) {
  co_tensor_desc desc = r->graph->values[r->graph->inputs[i]].desc;
  if (desc.dtype == CO_F32) desc.dtype = r->setup.real;
  co_shape_bind(&desc.shape, shape);
  return desc;
}

static const char *input_name(const rig *r, int i) {
  return r->graph->values[r->graph->inputs[i]].name;
}

int batch_input(const rig *r, const char *name) {
  for (int i = 0; i < r->graph->input_count; i++)
    if (strcmp(input_name(r, i), name) == 0) return i;
  fail_msg("no input '%s'", name);
  return -1;
}

static void put(const co_tensor_desc *desc, void *data, int64_t element, double value) {
  if (desc->dtype == CO_I32)
    ((int32_t *)data)[element] = (int32_t)value;
  else if (desc->dtype == CO_F64)
    ((double *)data)[element] = value;
  else
    ((float *)data)[element] = (float)value;
}

void batch_set(rig *r, batch *b, const char *input, int64_t element, double value) {
  int i = batch_input(r, input);
  co_tensor_desc desc = input_desc(r, i, &b->shape);
  put(&desc, b->data[i], element, value);
}

double batch_get(const rig *r, const batch *b, const char *input, int64_t element) {
  int i = batch_input(r, input);
  co_tensor_desc desc = input_desc(r, i, &b->shape);
  if (desc.dtype == CO_I32) return ((int32_t *)b->data[i])[element];
  return desc.dtype == CO_F64 ? ((double *)b->data[i])[element] : ((float *)b->data[i])[element];
}

static bool is_weight(const char *name) {
  size_t length = strlen(name);
  return length > 7 && strcmp(name + length - 7, ".weight") == 0;
}

void batch_make(rig *r, batch *b, int64_t rows, uint64_t seed) {
  batch_make_class(r, b, &(co_shape_class){.rows = rows}, seed);
}

void batch_make_class(rig *r, batch *b, const co_shape_class *shape, uint64_t seed) {
  memset(b, 0, sizeof *b);
  b->rows = shape->rows;
  b->shape = *shape;
  b->count = (int)r->graph->input_count;
  assert_true(b->count <= MAX_INPUTS);
  for (int i = 0; i < b->count; i++) {
    co_tensor_desc desc = input_desc(r, i, shape);
    b->inputs[i] = b->data[i] = co_alloc(r->ctx, co_tensor_bytes(&desc));
    assert_non_null(b->data[i]);
    uint32_t purpose = co_purpose("test", input_name(r, i));
    for (int64_t e = 0; e < co_shape_count(&desc.shape); e++) {
      uint32_t bits = co_philox(seed, (uint64_t)e, 0, purpose).word[0];
      double value = desc.dtype == CO_I32 ? (double)(bits % 4) : ((double)(bits % 129) - 64) / 64;
      put(&desc, b->data[i], e, is_weight(input_name(r, i)) ? 1 : value);
    }
  }
}

void batch_free(rig *r, batch *b) {
  for (int i = 0; i < b->count; i++)
    co_free(r->ctx, b->data[i]);
}

void batch_slice(rig *r, batch *out, const batch *from, int64_t first, int64_t rows) {
  memset(out, 0, sizeof *out);
  co_shape_class one = from->shape;
  one.rows = 1;
  out->rows = rows;
  out->shape = from->shape;
  out->shape.rows = rows;
  out->count = from->count;
  for (int i = 0; i < from->count; i++) {
    co_tensor_desc row = input_desc(r, i, &one);
    size_t bytes = co_tensor_bytes(&row);
    out->inputs[i] = out->data[i] = co_alloc(r->ctx, bytes * (size_t)rows);
    assert_non_null(out->data[i]);
    memcpy(out->data[i], (const char *)from->data[i] + bytes * (size_t)first, bytes * (size_t)rows);
  }
}

// A row's weight, which a loss may read in parts.
static const char *weight_name(const rig *r, const co_loss_info *loss) {
  const char *read = r->graph->values[loss->row_weight].name;
  if (is_weight(read)) return read;
  char *whole = co_arena_format(r->arena, "%s.weight", loss->name);
  assert_non_null(whole);
  return whole;
}

co_step step_for(rig *r, const batch *b, uint32_t step, double rate) {
  co_step out = {.seed = 7, .step = step, .learning_rate = rate};
  for (int64_t i = 0; i < r->graph->loss_count; i++) {
    const co_loss_info *loss = &r->graph->losses[i];
    const char *name = weight_name(r, loss);
    double sum = 0;
    for (int64_t row = 0; row < b->rows; row++)
      sum += batch_get(r, b, name, row);
    out.inv_norm[i] = sum > 0 ? loss->weight / sum : 0;
  }
  return out;
}

double train_with(rig *r, int64_t phase, const batch *b, const co_step *step,
                  co_step_result *result) {
  double sums[32];
  assert_true(r->graph->metric_doubles <= 32);
  OK(co_program_clear_metrics(r->program, false));
  OK(co_program_step(r->program, phase, &b->shape, b->inputs, step, result));
  OK(co_program_read_metrics(r->program, false, sums));
  double total = 0;
  for (int64_t i = 0; i < r->graph->loss_count; i++)
    total += step->inv_norm[i] * sums[r->graph->values[r->graph->losses[i].sum].index];
  return total;
}

double train(rig *r, int64_t phase, const batch *b, uint32_t step, double rate) {
  co_step scalars = step_for(r, b, step, rate);
  co_step_result result;
  double loss = train_with(r, phase, b, &scalars, &result);
  assert_true(result.finite);
  return loss;
}

// ---- store -------------------------------------------------------------------------------------

int64_t entry_count(const rig *r, int64_t entry) {
  return co_shape_count(&r->store->entries[entry].info.shape);
}

int64_t entry_find(const rig *r, const char *name) {
  int64_t entry = co_store_find(r->store, name);
  if (entry < 0) {
    for (int64_t i = 0; i < r->store->count; i++)
      print_message("there is '%s'\n", r->store->entries[i].info.name);
    fail_msg("no parameter '%s'", name);
  }
  return entry;
}

double *entry_read(rig *r, int64_t entry, co_block block) {
  int64_t count = entry_count(r, entry);
  double *values = co_arena_alloc(r->arena, (size_t)count, sizeof *values);
  assert_non_null(values);
  OK(co_store_read(r->store, entry, block, values));
  if (r->setup.real == CO_F32) // widened in place, from the end
    for (int64_t i = count - 1; i >= 0; i--)
      values[i] = (double)((float *)values)[i];
  return values;
}

void entry_write(rig *r, int64_t entry, co_block block, const double *values) {
  if (r->setup.real == CO_F64) {
    OK(co_store_write(r->store, entry, block, values));
    return;
  }
  int64_t count = entry_count(r, entry);
  float *narrow = co_arena_alloc(r->arena, (size_t)count, sizeof *narrow);
  assert_non_null(narrow);
  for (int64_t i = 0; i < count; i++)
    narrow[i] = (float)values[i];
  OK(co_store_write(r->store, entry, block, narrow));
}

double entry_largest(rig *r, int64_t entry, co_block block) {
  const double *values = entry_read(r, entry, block);
  double largest = 0;
  for (int64_t i = 0; i < entry_count(r, entry); i++)
    if (fabs(values[i]) > largest) largest = fabs(values[i]);
  return largest;
}

double entry_difference_to(rig *a, rig *b, int64_t entry, co_block block, double scale) {
  const double *x = entry_read(a, entry, block);
  const double *y = entry_read(b, entry_find(b, a->store->entries[entry].info.name), block);
  double most = 0;
  for (int64_t i = 0; i < entry_count(a, entry); i++) {
    double difference = fabs(x[i] - y[i]);
    if (!(difference <= most)) most = difference; // NaN counts as a difference
  }
  return most == 0 ? 0 : most / scale;
}

double entry_difference(rig *a, rig *b, int64_t entry, co_block block) {
  int64_t other = entry_find(b, a->store->entries[entry].info.name);
  return entry_difference_to(a, b, entry, block, entry_largest(b, other, block));
}

static void *block_address(const rig *r, co_block block, bool state) {
  if (state) return r->store->state;
  if (block == CO_BLOCK_PARAM) return r->store->param;
  if (block == CO_BLOCK_GRADIENT) return r->store->gradient;
  if (block == CO_BLOCK_EMA) return r->store->ema;
  return r->store->slot[block - CO_BLOCK_SLOT0];
}

size_t block_bytes(const rig *r, co_block block, bool state) {
  const bool trained = block != CO_BLOCK_PARAM && block != CO_BLOCK_EMA;
  return state ? r->store->state_bytes : trained ? r->store->trained_bytes : r->store->param_bytes;
}

void *block_copy(rig *r, co_block block, bool state) {
  size_t bytes = block_bytes(r, block, state);
  void *copy = co_arena_alloc(r->arena, bytes + 1, 1);
  assert_non_null(copy);
  memcpy(copy, block_address(r, block, state), bytes);
  return copy;
}

bool block_equal(const rig *r, co_block block, bool state, const void *copy) {
  return memcmp(copy, block_address(r, block, state), block_bytes(r, block, state)) == 0;
}

co_value layer(rig *r, const char *class_name, const char *path, const char *yaml,
               const co_value *in, int count) {
  const co_layer_class *class_ = co_layer_find(class_name);
  assert_non_null(class_);
  void *options = co_arena_alloc(r->arena, 1, class_->options_size);
  assert_non_null(options);
  co_node *node;
  OK(co_yaml_parse(&node, r->arena, path, yaml, strlen(yaml), &r->problems));
  OK(co_fields_parse(options, class_->fields, node, path, r->arena, &r->problems));
  OK(co_diagnostics_result(&r->problems));
  co_value out;
  OK(co_layer_apply(r->graph, class_, path, options, in, count, &out));
  return out;
}

co_value input(rig *r, const char *name, int64_t width) {
  co_shape shape = width ? co_shape_make(2, CO_DIM_N, width) : co_shape_make(1, CO_DIM_N);
  co_value out;
  OK(co_graph_add_input(r->graph, name, CO_F32, &shape, &out));
  return out;
}
