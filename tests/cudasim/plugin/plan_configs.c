// SPDX-License-Identifier: Apache-2.0
// plan_configs same DATASET CONFIG...          the plans of an opened cuda:0 are those planned
//                                              without it: operations, choices, launches, notes;
//                                              what may run at the same time shares no memory
// plan_configs first                           first convolutions get engines with tensor cores, without
//                                              a device, and images padded to 8 channels would not
//                                              save much of a step
// plan_configs convolutions DATASET CONFIG...  one line per convolution of the plans without a
//                                              device: CONFIG, then N C H W, O C KH KW, padding
//                                              (begin and end of height and width), stride, dilation
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset.h"
#include "host/device/backend.h"
#include "host/feed/resident.h"
#include "host/train/settings.h"
#include "models/model.h"
#include "tests/train/branches.h"

static void fail_at(int line, const char *what) {
  (void)fprintf(stderr, "line %d: %s; last error: %s\n", line, what, co_error_last()->message);
  exit(1);
}
#define CHECK(condition) ((condition) ? (void)0 : fail_at(__LINE__, #condition))
#define OK(expression) CHECK((expression) == CO_OK)

typedef struct job {
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
  co_trainer_settings settings;
  co_dataset *dataset;
  co_model *model;
  co_backend *backends[2];
  co_resident *sources[2];
  co_program *programs[2];
} job;

static void read_config(job *j, const char *dataset, const char *config) {
  const char *files[] = {config};
  co_node *tree = NULL;
  OK(co_context_create(&j->ctx, NULL));
  OK(co_arena_create(&j->arena, j->ctx));
  co_diagnostics_init(&j->problems, j->ctx);
  OK(co_settings_read(&tree, j->arena, files, 1, NULL, 0, &j->problems));
  OK(co_settings_parse_trainer(&j->settings, tree, j->arena, &j->problems));
  OK(co_dataset_open(&j->dataset, j->ctx, dataset));
  OK(co_model_create(&j->model, j->ctx, tree, co_dataset_schema(j->dataset), &j->problems));
  CHECK(j->problems.count == 0);
}

// A step of two whole micro-batches and a smaller one, another of a single one, and evaluation.
static void plan(job *j, int i, bool planning, bool bf16) {
  const co_trainer_settings *settings = &j->settings;
  int64_t rows = settings->batch_size;
  const co_shape_class classes[2] = {{.rows = 2 * rows + 3}, {.rows = rows}};
  const co_shape_class evaluation = {.rows = settings->eval_batch_size};
  co_phase_options phases[CO_MAX_PHASES];
  int64_t phase_count;
  OK(co_settings_phases(phases, &phase_count, settings, j->model->network, &j->problems));
  const co_program_options options = {.rows = rows,
                                      .classes = classes,
                                      .class_count = 2,
                                      .evaluation_classes = &evaluation,
                                      .evaluation_class_count = 1,
                                      .evaluation_mode = CO_MODE_EVALUATE,
                                      .phases = phases,
                                      .phase_count = phase_count,
                                      .real = CO_F32,
                                      .bf16 = bf16};
  const co_backend_options backend = {.planning = planning};
  OK(co_backend_open_device(&j->backends[i], j->ctx, "cuda", &backend));
  OK(co_resident_create(&j->sources[i], &j->programs[i], j->model, j->dataset, j->backends[i],
                        &options, CO_PLACEMENT_AUTO));
  CHECK(j->sources[i]->resident);
}

static void close_job(job *j) {
  for (int i = 0; i < 2; i++) {
    co_program_free(j->programs[i]);
    co_resident_free(j->sources[i]);
    if (j->backends[i]) j->backends[i]->api->free(j->backends[i]);
  }
  co_model_free(j->model);
  co_dataset_close(j->dataset);
  co_diagnostics_free(&j->problems);
  co_arena_free(j->arena);
  CHECK(co_alloc_get_stats(j->ctx).live_blocks == 0);
  co_context_free(j->ctx);
}

// ---- same --------------------------------------------------------------------------------------

static bool equal(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_tensors(const co_tensor_desc *a, const co_tensor_desc *b) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (a[i].dtype != b[i].dtype || a[i].layout != b[i].layout ||
        !co_shape_equal(&a[i].shape, &b[i].shape))
      return false;
  return true;
}

static void compare_ops(const co_plan_op *a, const co_plan_op *b) {
  CHECK(a->desc.op == b->desc.op && equal(a->layer, b->layer) && equal(a->note, b->note));
  CHECK(a->desc.has_in == b->desc.has_in && a->desc.has_out == b->desc.has_out);
  CHECK(a->desc.accumulate == b->desc.accumulate && a->backward == b->backward);
  CHECK(memcmp(&a->desc.attr, &b->desc.attr, sizeof a->desc.attr) == 0);
  CHECK(same_tensors(a->desc.in, b->desc.in) && same_tensors(a->desc.out, b->desc.out));
  CHECK(equal(a->choice.implementation, b->choice.implementation));
  CHECK(equal(a->choice.refused, b->choice.refused));
  CHECK(a->choice.launches > 0 && a->choice.launches == b->choice.launches);
  CHECK(equal(a->choice.why, b->choice.why) && (a->choice.launches > 1) == (a->choice.why != NULL));
  // Only libraries have to be believed, and they do not take more than is planned for them.
  CHECK(!b->choice.planned && a->choice.planned == (strcmp(a->choice.implementation, "cuda") != 0));
  CHECK(a->choice.planned ? a->choice.workspace >= b->choice.workspace
                          : a->choice.workspace == b->choice.workspace);
}

static void compare(const job *j, const char *config, bool bf16) {
  int64_t ops = 0, planned = 0, launches = 0, beside = 0;
  for (int64_t i = 0;; i++) {
    const co_plan *a = co_program_plan(j->programs[0], i), *b = co_program_plan(j->programs[1], i);
    CHECK((a == NULL) == (b == NULL));
    if (!a) break;
    CHECK(a->options.mode == b->options.mode && a->options.shape.rows == b->options.shape.rows);
    CHECK(a->op_count == b->op_count && a->flops == b->flops && a->arena_bytes >= b->arena_bytes);
    CHECK(co_plan_launches(a) == co_plan_launches(b));
    for (int64_t k = 0; k < a->op_count; k++) {
      compare_ops(&a->ops[k], &b->ops[k]);
      planned += a->ops[k].choice.planned;
    }
    const int found = count_beside(a);
    CHECK(found >= 0 && found == count_beside(b));
    beside += found;
    ops += a->op_count;
    launches += co_plan_launches(a);
  }
  co_program_bytes bytes[2];
  for (int i = 0; i < 2; i++)
    co_program_get_bytes(j->programs[i], &bytes[i]);
  CHECK(bytes[0].parameters == bytes[1].parameters && bytes[0].slots == bytes[1].slots);
  CHECK(bytes[0].total >= bytes[1].total && bytes[0].workspace >= bytes[1].workspace);
  CHECK(ops > 0 && planned > 0 && launches >= ops && beside > 0);
  (void)printf(
      "%s%s: %lld operations, %lld of them by libraries, %lld beside others, %lld launches\n",
      config, bf16 ? " in bf16" : "", (long long)ops, (long long)planned, (long long)beside,
      (long long)launches);
}

// A plan cannot be run by mistake.
static void check_refusals(const job *j) {
  co_backend *backend = j->backends[0];
  const co_backend_api *api = backend->api;
  double value = 0;
  void *buffer = NULL, *graph = NULL, *none[CO_OP_MAX_OPERANDS] = {0};
  CHECK(api->capability == 90 && api->alignment == 256);
  OK(api->buffer_create(backend, 0, &buffer));
  CHECK(buffer && (uintptr_t)buffer % 256 == 0);
  CHECK(api->buffer_create(backend, SIZE_MAX - 64, &graph) == CO_ERR_MEMORY && !graph);
  OK(api->upload(backend, buffer, &value, sizeof value));
  OK(api->fill_zero(backend, buffer, sizeof value));
  OK(api->synchronize(backend));
  CHECK(api->download(backend, &value, buffer, sizeof value) == CO_ERR_INTERNAL);
  CHECK(api->capture_begin(backend) == CO_ERR_INTERNAL);
  CHECK(api->capture_end(backend, &graph) == CO_ERR_INTERNAL && !graph);
  CHECK(api->graph_launch(backend, NULL) == CO_ERR_INTERNAL);
  CHECK(api->branch(backend, CO_BRANCH_SIDE) == CO_ERR_INTERNAL);
  CHECK(api->join(backend) == CO_ERR_INTERNAL);
  const co_plan_op *op = &co_program_plan(j->programs[0], 0)->ops[0];
  CHECK(api->run(backend, op->prepared, none, none, NULL) == CO_ERR_INTERNAL);
  CHECK(strstr(co_error_last()->message, "only a plan was asked for"));
  CHECK(api->send(backend, CO_QUEUE_COPY, buffer, &value, 8) == CO_ERR_INTERNAL);
  CHECK(api->fetch(backend, CO_QUEUE_COPY, &value, buffer, 8) == CO_ERR_INTERNAL);
  CHECK(api->fence_record(backend, NULL, CO_QUEUE_COPY) == CO_ERR_INTERNAL);
  CHECK(api->fence_wait(backend, NULL) == CO_ERR_INTERNAL);
  CHECK(api->queue_wait(backend, CO_QUEUE_COPY, NULL) == CO_ERR_INTERNAL);
  api->graph_free(backend, NULL);
  api->buffer_free(backend, buffer);
}

// ---- convolutions ------------------------------------------------------------------------------

static const co_shape *shape_of(const co_op_desc *desc, char which) {
  switch (desc->op) {
  case CO_OP_CONV2D_BACKWARD_DATA: // dy w -> dx
    return which == 'x' ? &desc->out[0].shape : &desc->in[1].shape;
  case CO_OP_CONV2D_BACKWARD_WEIGHTS: // x dy -> dw
    return which == 'x' ? &desc->in[0].shape : &desc->out[0].shape;
  default:
    return which == 'x' ? &desc->in[0].shape : &desc->in[1].shape;
  }
}

static void print_convolution(const char *config, const co_op_desc *desc) {
  const int64_t *x = shape_of(desc, 'x')->dim, *w = shape_of(desc, 'w')->dim;
  const co_op_attr *attr = &desc->attr;
  const int64_t numbers[] = {x[0],
                             x[3],
                             x[1],
                             x[2],
                             w[3],
                             w[2],
                             w[0],
                             w[1],
                             attr->pad_begin[0],
                             attr->pad_end[0],
                             attr->pad_begin[1],
                             attr->pad_end[1],
                             attr->stride[0],
                             attr->stride[1],
                             attr->dilation[0],
                             attr->dilation[1]};
  (void)printf("%s", config);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    (void)printf(" %lld", (long long)numbers[i]);
  (void)printf("\n");
}

static void print_convolutions(const job *j, const char *config) {
  const char *slash = strrchr(config, '/');
  for (int64_t i = 0;; i++) {
    const co_plan *plan = co_program_plan(j->programs[0], i);
    if (!plan) return;
    for (int64_t k = 0; k < plan->op_count; k++)
      if (strncmp(co_op_get_info(plan->ops[k].desc.op)->name, "conv2d", 6) == 0)
        print_convolution(slash ? slash + 1 : config, &plan->ops[k].desc);
  }
}

// ---- first layers ------------------------------------------------------------------------------

// First convolutions, which read images as they come, and megabytes that operations of a training step
// write and read in f32 and in bf16 (`cohort plan`).
typedef struct first_layer {
  const char *network;
  int64_t rows, size, channels, filters, kernel, stride; // padded by half a kernel
  double megabytes[2];
} first_layer;

static const first_layer first_layers[] = {
    {"product-cnn", 128, 28, 1, 32, 3, 1, {164.9, 88.4}},
    {"product-resnet", 128, 28, 1, 16, 3, 1, {987.4, 504.7}},
    {"photo-resnet", 64, 64, 3, 32, 5, 2, {518.9, 323.6}},
    {"resnet50", 128, 224, 3, 64, 7, 2, {89180.0, 44867.1}},
};

enum { PADDED = 8 }; // channels that engines for bf16 read without a copy; those for TF32 want 4

static co_op_desc first_convolution(const first_layer *l, int64_t channels, bool bf16,
                                    bool backward) {
  const int64_t pad = l->kernel / 2, results = (l->size + 2 * pad - l->kernel) / l->stride + 1;
  const co_dtype dtype = bf16 ? CO_BF16 : CO_F32;
  const co_tensor_desc x = {.dtype = dtype,
                            .shape = co_shape_make(4, l->rows, l->size, l->size, channels)};
  const co_tensor_desc y = {.dtype = dtype,
                            .shape = co_shape_make(4, l->rows, results, results, l->filters)};
  const co_tensor_desc w = {.dtype = dtype,
                            .shape = co_shape_make(4, l->kernel, l->kernel, channels, l->filters),
                            .layout = CO_LAYOUT_ANY};
  return (co_op_desc){.op = backward ? CO_OP_CONV2D_BACKWARD_WEIGHTS : CO_OP_CONV2D,
                      .has_in = 3,
                      .has_out = 1,
                      .in = {x, backward ? y : w},
                      .out = {backward ? w : y},
                      .attr = {.kernel = {l->kernel, l->kernel},
                               .stride = {l->stride, l->stride},
                               .dilation = {1, 1},
                               .pad_begin = {pad, pad},
                               .pad_end = {pad, pad}}};
}

// Megabytes that a step moves for the image: it is written once, read by the convolution and by its
// weight gradient, and what these keep in scratch memory is written and read. Returns false where no
// cuDNN could be asked.
static bool ask_first(co_backend *backend, const first_layer *l, int64_t channels, bool bf16,
                      double *megabytes) {
  const double image = (double)(l->rows * l->size * l->size * channels * (bf16 ? 2 : 4));
  double bytes = image;
  bool asked = true;
  for (int backward = 0; backward < 2; backward++) {
    const co_op_desc conv = first_convolution(l, channels, bf16, backward);
    co_op_choice choice;
    OK(backend->api->query(backend, &conv, &choice));
    const co_op_engine *engine = &choice.engine;
    bytes += image + 2 * (double)choice.workspace;
    asked = asked && engine->rank > 0;
    (void)printf("%s, %s, %lld channels, %s: engine %lld, %d of %d, %s, %zu bytes\n", l->network,
                 bf16 ? "bf16" : "tf32", (long long)channels, backward ? "weights" : "forward",
                 (long long)engine->index, engine->rank, engine->offered,
                 engine->tensor_cores ? "tensor cores" : "no tensor cores", choice.workspace);
    CHECK(!asked || engine->tensor_cores);
  }
  *megabytes = bytes / 1e6;
  return asked;
}

static int check_first(void) {
  co_context *ctx = NULL;
  co_backend *backend = NULL;
  const co_backend_options options = {.planning = true};
  OK(co_context_create(&ctx, NULL));
  OK(co_backend_open_device(&backend, ctx, "cuda", &options));
  bool asked = true;
  for (size_t i = 0; i < sizeof first_layers / sizeof *first_layers; i++)
    for (int bf16 = 0; bf16 < 2; bf16++) {
      const first_layer *l = &first_layers[i];
      double plain, padded;
      asked = ask_first(backend, l, l->channels, bf16, &plain) &&
              ask_first(backend, l, PADDED, bf16, &padded) && asked;
      if (!asked) continue;
      const double saved = 100 * (plain - padded) / l->megabytes[bf16];
      (void)printf("  %.1f MB for the image, padded %.1f: %.2f %% of a step saved\n", plain, padded,
                   saved);
      CHECK(saved < 5); // else the input section should pad (kernels/cuda/README.md)
    }
  backend->api->free(backend);
  co_context_free(ctx);
  if (asked) return 0;
  (void)printf("NOT RUN: no cuDNN to ask\n");
  return 77;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "first") == 0) return check_first();
  bool same = argc > 3 && strcmp(argv[1], "same") == 0;
  if (!same && (argc < 4 || strcmp(argv[1], "convolutions") != 0)) {
    (void)fprintf(stderr, "usage: plan_configs first | same|convolutions DATASET CONFIG...\n");
    return 2;
  }
  for (int k = 0; k < 2 * (argc - 3); k++) {
    const char *config = argv[3 + k / 2];
    bool bf16 = k % 2 == 1;
    job j;
    memset(&j, 0, sizeof j);
    read_config(&j, argv[2], config);
    plan(&j, 0, true, bf16);
    if (same) {
      plan(&j, 1, false, bf16);
      compare(&j, config, bf16);
      check_refusals(&j);
    } else {
      print_convolutions(&j, config);
    }
    close_job(&j);
  }
  return 0;
}
