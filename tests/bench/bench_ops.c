// SPDX-License-Identifier: Apache-2.0
// Times one training step operation by operation, as the planner would lay it out: a convolutional
// network on 28 x 28 images (conv 32 3x3, pool, conv 64 3x3, pool, dense 128, dense 10) or a dense
// one (64-256-128-1), or operations that both lack. On the CPU each operation runs in its place in
// the step, so caches are as warm as they will be. On a GPU an operation is recorded once and
// REPEATS times more, and the difference of the two launches is divided by REPEATS: what the device
// takes, without the host's part of a launch, its operands where they were left (50 MB stay in L2).
//     bench_ops [-m cnn|mlp|other] [-n batch] [-t threads] [-r rounds] [-f forced implementation]
//         [-d] [-s image side, a multiple of 4] [-c image channels]
//         [-b cpu|cuda:N] [-x, f32 products without TF32] [-p side of the product that is the yardstick]
// The gradient of relu is taken below the pooling, where it is four times smaller: the winner of a
// window is positive where the pooled value is. With -d it is taken above, as the rules derive it.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/device/backend.h"

enum { MAX_TENSORS = 128, MAX_STEPS = 128, REPEATS = 20 };

typedef struct tensor {
  co_tensor_desc desc;
  void *data;
} tensor;

typedef struct step {
  char name[40], detail[64];
  co_prepared *prepared;
  const char *implementation;
  void *in[CO_OP_MAX_OPERANDS], *out[CO_OP_MAX_OPERANDS];
  double flops, bytes, *times; // bytes: of all operands, each once
} step;

typedef struct bench {
  co_context *ctx;
  co_backend *backend;
  tensor tensors[MAX_TENSORS];
  step steps[MAX_STEPS];
  int tensor_count, step_count, rounds;
  void *workspace;
  size_t workspace_bytes;
} bench;

static void must(co_status status) {
  if (status == CO_OK) return;
  fprintf(stderr, "bench_ops: %s\n", co_error_last()->message);
  exit((int)status);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static tensor *make(bench *b, co_dtype dtype, co_layout layout, co_shape shape) {
  if (b->tensor_count == MAX_TENSORS) abort();
  tensor *t = &b->tensors[b->tensor_count++];
  t->desc = (co_tensor_desc){.dtype = dtype, .layout = layout, .shape = shape};
  t->data = NULL;
  return t;
}

static void put(bench *b, tensor *t, const void *values, size_t bytes) {
  must(b->backend->api->upload(b->backend, t->data, values, bytes));
}

// Gives a tensor memory, zero; floats of plain tensors get small numbers.
static void place(bench *b, tensor *t, float scale) {
  if (t->data) return;
  const size_t bytes = b->backend->api->layout_bytes(b->backend, &t->desc);
  must(b->backend->api->buffer_create(b->backend, bytes, &t->data));
  must(b->backend->api->fill_zero(b->backend, t->data, bytes));
  if (t->desc.dtype != CO_F32 || scale == 0) return;
  float *values = malloc(bytes);
  if (values == NULL) abort();
  uint32_t state = 1;
  for (size_t i = 0; i < bytes / sizeof *values; i++) {
    state = state * 1664525u + 1013904223u;
    values[i] = scale * ((float)(state >> 8) / 8388608.0f - 1.0f);
  }
  put(b, t, values, bytes);
  free(values);
}

static tensor *filled(bench *b, co_shape shape, float scale) {
  tensor *t = make(b, CO_F32, CO_LAYOUT_CANONICAL, shape);
  place(b, t, scale);
  return t;
}

static void finish(bench *b, const co_op_desc *desc, const co_op_choice *choice, tensor *const *in,
                   tensor *const *out, const char *label) {
  if (b->step_count == MAX_STEPS) abort();
  step *s = &b->steps[b->step_count++];
  const co_op_info *info = co_op_get_info(desc->op);
  snprintf(s->name, sizeof s->name, "%s%s%s", info->name, label[0] ? " " : "", label);
  s->implementation = choice->implementation;
  s->flops = (double)co_op_flops(desc);
  s->times = calloc((size_t)b->rounds, sizeof *s->times);
  if (s->times == NULL) abort();
  size_t used = 0;
  for (int side = 0; side < 2; side++)
    for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
      const co_layout layout = side ? desc->out[i].layout : desc->in[i].layout;
      if (!((side ? desc->has_out : desc->has_in) >> i & 1) || layout == 0) continue;
      int n = snprintf(s->detail + used, sizeof s->detail - used, "%s%d:%s ", side ? "out" : "in",
                       i, b->backend->api->layout_name(b->backend, layout));
      if (n > 0 && used + (size_t)n < sizeof s->detail) used += (size_t)n;
    }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (desc->has_in >> i & 1) {
      place(b, in[i], 0.1f);
      s->bytes += (double)b->backend->api->layout_bytes(b->backend, &in[i]->desc);
      s->in[i] = in[i]->data;
    }
    if (desc->has_out >> i & 1) {
      place(b, out[i], 0);
      s->bytes += (double)b->backend->api->layout_bytes(b->backend, &out[i]->desc);
      s->out[i] = out[i]->data;
    }
  }
  if (choice->workspace > b->workspace_bytes) b->workspace_bytes = choice->workspace;
  must(b->backend->api->prepare(b->backend, desc, &s->prepared));
  if (choice->refused) fprintf(stderr, "%s: passed over %s\n", s->name, choice->refused);
}

static void reorder(bench *b, tensor *x, tensor *y) {
  co_op_desc desc;
  co_op_choice choice;
  memset(&desc, 0, sizeof desc);
  desc.op = CO_OP_REORDER;
  desc.has_in = desc.has_out = 1;
  desc.in[0] = x->desc;
  desc.out[0] = y->desc;
  must(b->backend->api->query(b->backend, &desc, &choice));
  finish(b, &desc, &choice, &x, &y, "");
}

// Plans one operation: layouts of outputs that have no memory yet are the backend's to choose, as
// are those of weights whose home is open (layout ANY).
static void add(bench *b, co_op op, const char *label, const co_op_attr *attr, tensor *const *in,
                int inputs, tensor *const *out, int outputs) {
  co_op_desc desc;
  co_op_choice choice;
  tensor *ins[CO_OP_MAX_OPERANDS] = {0}, *outs[CO_OP_MAX_OPERANDS] = {0};
  memset(&desc, 0, sizeof desc);
  desc.op = op;
  if (attr) desc.attr = *attr;
  for (int i = 0; i < inputs; i++)
    if (in[i]) desc.has_in |= 1u << i, desc.in[i] = in[i]->desc, ins[i] = in[i];
  for (int i = 0; i < outputs; i++)
    if (out[i]) desc.has_out |= 1u << i, desc.out[i] = out[i]->desc, outs[i] = out[i];
  must(b->backend->api->query(b->backend, &desc, &choice));
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (ins[i]) {
      if (ins[i]->desc.layout == CO_LAYOUT_ANY) ins[i]->desc.layout = choice.in[i];
      if (ins[i]->desc.layout != choice.in[i]) {
        tensor *t = make(b, ins[i]->desc.dtype, choice.in[i], ins[i]->desc.shape);
        reorder(b, ins[i], t);
        ins[i] = t;
      }
      desc.in[i].layout = choice.in[i];
    }
    if (outs[i]) {
      if (outs[i]->desc.layout == CO_LAYOUT_ANY) outs[i]->desc.layout = choice.out[i];
      if (outs[i]->desc.layout != choice.out[i])
        outs[i] = make(b, outs[i]->desc.dtype, choice.out[i], outs[i]->desc.shape);
      desc.out[i].layout = choice.out[i];
    }
  }
  finish(b, &desc, &choice, ins, outs, label);
  for (int i = 0; i < outputs; i++)
    if (out[i] && outs[i] != out[i]) reorder(b, outs[i], out[i]);
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void run(bench *b, const step *s) {
  must(b->backend->api->run(b->backend, s->prepared, s->in, s->out, b->workspace));
}

static void *record(bench *b, const step *s, int times) {
  const co_backend_api *api = b->backend->api;
  void *graph = NULL;
  must(api->capture_begin(b->backend));
  for (int i = 0; i < times; i++)
    run(b, s);
  must(api->capture_end(b->backend, &graph));
  return graph;
}

static double launch(bench *b, void *graph) {
  const double start = now();
  must(b->backend->api->graph_launch(b->backend, graph));
  must(b->backend->api->synchronize(b->backend));
  return now() - start;
}

static void time_on_device(bench *b, step *s) {
  void *once = record(b, s, 1), *often = record(b, s, 1 + REPEATS);
  (void)launch(b, once);
  (void)launch(b, often);
  for (int r = 0; r < b->rounds; r++) {
    const double short_one = launch(b, once);
    s->times[r] = (launch(b, often) - short_one) / REPEATS;
  }
  b->backend->api->graph_free(b->backend, once);
  b->backend->api->graph_free(b->backend, often);
}

static void execute(bench *b) {
  const bool host = b->backend->api->host_memory;
  must(b->backend->api->buffer_create(b->backend, b->workspace_bytes, &b->workspace));
  for (int r = -3; r < (host ? b->rounds : -2); r++)
    for (int i = 0; i < b->step_count; i++) {
      step *s = &b->steps[i];
      const double start = now();
      run(b, s);
      if (r >= 0) s->times[r] = now() - start;
    }
  if (host) return;
  must(b->backend->api->synchronize(b->backend));
  for (int i = 0; i < b->step_count; i++)
    time_on_device(b, &b->steps[i]);
}

static double report(bench *b) {
  double sum = 0, flops = 0;
  printf("%-34s %9s %9s %9s %9s  %-26s %s\n", "operation", "us", "best", "GFLOP/s", "GB/s",
         "implementation", "layouts");
  for (int i = 0; i < b->step_count; i++) {
    step *s = &b->steps[i];
    qsort(s->times, (size_t)b->rounds, sizeof *s->times, by_value);
    const double median = s->times[b->rounds / 2];
    sum += median;
    flops += s->flops;
    printf("%-34s %9.2f %9.2f %9.1f %9.1f  %-26s %s\n", s->name, 1e6 * median, 1e6 * s->times[0],
           s->flops / median * 1e-9, s->bytes / median * 1e-9, s->implementation, s->detail);
  }
  printf("%-34s %9.2f %9s %9.1f\n", "sum of medians", 1e6 * sum, "", flops / sum * 1e-9);
  return flops / sum * 1e-9;
}

static void clear(bench *b) {
  for (int i = 0; i < b->step_count; i++) {
    b->backend->api->release(b->backend, b->steps[i].prepared);
    free(b->steps[i].times);
  }
  for (int i = 0; i < b->tensor_count; i++)
    b->backend->api->buffer_free(b->backend, b->tensors[i].data);
  b->backend->api->buffer_free(b->backend, b->workspace);
  b->workspace = NULL;
  b->workspace_bytes = 0;
  memset(b->tensors, 0, sizeof b->tensors);
  memset(b->steps, 0, sizeof b->steps);
  b->step_count = b->tensor_count = 0;
}

static co_shape s1(int64_t a) {
  return co_shape_make(1, a);
}
static co_shape s2(int64_t a, int64_t c) {
  return co_shape_make(2, a, c);
}
static co_shape s4(int64_t n, int64_t h, int64_t w, int64_t c) {
  return co_shape_make(4, n, h, w, c);
}

static tensor *open_f32(bench *b, co_shape shape) {
  return make(b, CO_F32, CO_LAYOUT_ANY, shape);
}

#define IN(...)                                                                                    \
  (tensor *const[]){__VA_ARGS__}, (int)(sizeof((tensor *const[]){__VA_ARGS__}) / sizeof(tensor *))

// A weight and its gradient share the home layout that the forward operation chooses.
typedef struct parameters {
  tensor *w, *b, *dw, *db;
} parameters;

static parameters parameters_of(bench *b, co_shape w, int64_t outputs) {
  return (parameters){.w = open_f32(b, w),
                      .b = filled(b, s1(outputs), 0.1f),
                      .db = make(b, CO_F32, CO_LAYOUT_CANONICAL, s1(outputs))};
}

static void home(bench *b, parameters *p) {
  p->dw = make(b, CO_F32, p->w->desc.layout, p->w->desc.shape);
}

// The optimizer over one flat block of all parameters.
static void add_update(bench *b, int64_t count) {
  co_op_attr attr = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7};
  tensor *w = filled(b, s1(count), 0.1f), *g = filled(b, s1(count), 0.1f);
  tensor *m = filled(b, s1(count), 0), *v = filled(b, s1(count), 0);
  tensor *segments = make(b, CO_U8, 0, s1((int64_t)sizeof(co_segment)));
  tensor *scalars = make(b, CO_U8, 0, s1((int64_t)sizeof(co_step)));
  tensor *sum = make(b, CO_F64, 0, s1(1)), *gate = make(b, CO_F64, 0, s1(2));
  place(b, segments, 0);
  place(b, scalars, 0);
  put(b, segments, &(co_segment){.begin = 0, .count = count, .rate = 1, .decay = 1},
      sizeof(co_segment));
  put(b, scalars, &(co_step){.learning_rate = 1e-3, .bias_correction1 = 1, .bias_correction2 = 1},
      sizeof(co_step));
  add(b, CO_OP_GRADIENT_NORM, "", NULL, IN(g, segments), IN(sum, gate));
  add(b, CO_OP_ADAM, "", &attr, IN(w, g, m, v, segments, scalars, gate), IN(w, m, v));
}

// From the gradient dm of pooled m to the gradient e below the relu under the pooling.
static void add_pool_relu_backward(bench *b, const char *label, const co_op_attr *window,
                                   bool derived, tensor *m, tensor *dm, tensor *em, tensor *argmax,
                                   tensor *a, tensor *da, tensor *e, tensor *db) {
  if (derived) {
    add(b, CO_OP_MAX_POOL2D_BACKWARD, label, window, IN(dm, argmax), IN(da));
    add(b, CO_OP_RELU_BIAS_BACKWARD, label, NULL, IN(a, da), IN(e, db));
  } else {
    add(b, CO_OP_RELU_BIAS_BACKWARD, label, NULL, IN(m, dm), IN(em, db));
    add(b, CO_OP_MAX_POOL2D_BACKWARD, label, window, IN(em, argmax), IN(e));
  }
}

static void plan_cnn(bench *b, int64_t n, int64_t side, int64_t channels, bool derived) {
  const int64_t s = side, flat = s / 4 * (s / 4) * 64;
  const co_op_attr conv = {.kernel = {3, 3},
                           .stride = {1, 1},
                           .dilation = {1, 1},
                           .pad_begin = {1, 1},
                           .pad_end = {1, 1},
                           .activation = CO_ACTIVATION_RELU};
  const co_op_attr window = {.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}};
  const co_op_attr relu = {.activation = CO_ACTIVATION_RELU};
  co_op_attr linear = conv;
  linear.activation = CO_ACTIVATION_NONE;
  tensor *x = filled(b, s4(n, s, s, channels), 1);
  parameters p1 = parameters_of(b, s4(3, 3, channels, 32), 32),
             p2 = parameters_of(b, s4(3, 3, 32, 64), 64);
  parameters p3 = parameters_of(b, s2(flat, 128), 128), p4 = parameters_of(b, s2(128, 10), 10);
  tensor *a1 = open_f32(b, s4(n, s, s, 32)), *m1 = open_f32(b, s4(n, s / 2, s / 2, 32));
  tensor *i1 = make(b, CO_I32, CO_LAYOUT_ANY, s4(n, s / 2, s / 2, 32));
  tensor *a2 = open_f32(b, s4(n, s / 2, s / 2, 64)), *m2 = open_f32(b, s4(n, s / 4, s / 4, 64));
  tensor *i2 = make(b, CO_I32, CO_LAYOUT_ANY, s4(n, s / 4, s / 4, 64));
  tensor *a3 = open_f32(b, s2(n, 128)), *a4 = open_f32(b, s2(n, 10));
  tensor *target = make(b, CO_I32, 0, s1(n)), *weight = filled(b, s1(n), 1);
  tensor *scalars = make(b, CO_U8, 0, s1((int64_t)sizeof(co_step)));
  tensor *loss = open_f32(b, s1(n)), *sum = make(b, CO_F64, 0, s1(1));
  tensor *d4 = open_f32(b, s2(n, 10)), *d3 = open_f32(b, s2(n, 128)), *e3 = open_f32(b, s2(n, 128));
  tensor *em2 = open_f32(b, s4(n, s / 4, s / 4, 64)), *em1 = open_f32(b, s4(n, s / 2, s / 2, 32));
  tensor *dm2 = open_f32(b, s4(n, s / 4, s / 4, 64)), *da2 = open_f32(b, s4(n, s / 2, s / 2, 64));
  tensor *e2 = open_f32(b, s4(n, s / 2, s / 2, 64)), *dm1 = open_f32(b, s4(n, s / 2, s / 2, 32));
  tensor *da1 = open_f32(b, s4(n, s, s, 32)), *e1 = open_f32(b, s4(n, s, s, 32));

  add(b, CO_OP_CONV2D, "1", &conv, IN(x, p1.w, p1.b), IN(a1));
  add(b, CO_OP_MAX_POOL2D, "1", &window, IN(a1), IN(m1, i1));
  add(b, CO_OP_CONV2D, "2", &conv, IN(m1, p2.w, p2.b), IN(a2));
  add(b, CO_OP_MAX_POOL2D, "2", &window, IN(a2), IN(m2, i2));
  add(b, CO_OP_DENSE, "3", &relu, IN(m2, p3.w, p3.b), IN(a3));
  add(b, CO_OP_DENSE, "4", NULL, IN(a3, p4.w, p4.b), IN(a4));
  add(b, CO_OP_SOFTMAX_CROSS_ENTROPY, "", NULL, IN(a4, target, weight, scalars), IN(loss, sum, d4));
  home(b, &p1);
  home(b, &p2);
  home(b, &p3);
  home(b, &p4);
  add(b, CO_OP_DENSE_BACKWARD_WEIGHTS, "4", NULL, IN(a3, d4), IN(p4.dw, p4.db));
  add(b, CO_OP_DENSE_BACKWARD_DATA, "4", NULL, IN(d4, p4.w), IN(d3));
  add(b, CO_OP_RELU_BIAS_BACKWARD, "3", NULL, IN(a3, d3), IN(e3, p3.db));
  add(b, CO_OP_DENSE_BACKWARD_WEIGHTS, "3", NULL, IN(m2, e3), IN(p3.dw));
  add(b, CO_OP_DENSE_BACKWARD_DATA, "3", NULL, IN(e3, p3.w), IN(dm2));
  add_pool_relu_backward(b, "2", &window, derived, m2, dm2, em2, i2, a2, da2, e2, p2.db);
  add(b, CO_OP_CONV2D_BACKWARD_WEIGHTS, "2", &linear, IN(m1, e2), IN(p2.dw));
  add(b, CO_OP_CONV2D_BACKWARD_DATA, "2", &linear, IN(e2, p2.w), IN(dm1));
  add_pool_relu_backward(b, "1", &window, derived, m1, dm1, em1, i1, a1, da1, e1, p1.db);
  add(b, CO_OP_CONV2D_BACKWARD_WEIGHTS, "1", &linear, IN(x, e1), IN(p1.dw));
  add_update(b, 9 * channels * 32 + 32 + 9 * 32 * 64 + 64 + flat * 128 + 128 + 1280 + 10);
}

static void plan_mlp(bench *b, int64_t n) {
  const co_op_attr relu = {.activation = CO_ACTIVATION_RELU};
  tensor *x = filled(b, s2(n, 64), 1);
  parameters p1 = parameters_of(b, s2(64, 256), 256), p2 = parameters_of(b, s2(256, 128), 128);
  parameters p3 = parameters_of(b, s2(128, 1), 1);
  tensor *a1 = open_f32(b, s2(n, 256)), *a2 = open_f32(b, s2(n, 128)), *a3 = open_f32(b, s2(n, 1));
  tensor *target = filled(b, s2(n, 1), 1), *weight = filled(b, s1(n), 1);
  tensor *scalars = make(b, CO_U8, 0, s1((int64_t)sizeof(co_step)));
  tensor *loss = open_f32(b, s1(n)), *sum = make(b, CO_F64, 0, s1(1));
  tensor *d3 = open_f32(b, s2(n, 1)), *d2 = open_f32(b, s2(n, 128)), *e2 = open_f32(b, s2(n, 128));
  tensor *d1 = open_f32(b, s2(n, 256)), *e1 = open_f32(b, s2(n, 256));
  add(b, CO_OP_DENSE, "1", &relu, IN(x, p1.w, p1.b), IN(a1));
  add(b, CO_OP_DENSE, "2", &relu, IN(a1, p2.w, p2.b), IN(a2));
  add(b, CO_OP_DENSE, "3", NULL, IN(a2, p3.w, p3.b), IN(a3));
  add(b, CO_OP_POINTWISE_LOSS, "", NULL, IN(a3, target, weight, scalars), IN(loss, sum, d3));
  home(b, &p1);
  home(b, &p2);
  home(b, &p3);
  add(b, CO_OP_DENSE_BACKWARD_WEIGHTS, "3", NULL, IN(a2, d3), IN(p3.dw, p3.db));
  add(b, CO_OP_DENSE_BACKWARD_DATA, "3", NULL, IN(d3, p3.w), IN(d2));
  add(b, CO_OP_RELU_BIAS_BACKWARD, "2", NULL, IN(a2, d2), IN(e2, p2.db));
  add(b, CO_OP_DENSE_BACKWARD_WEIGHTS, "2", NULL, IN(a1, e2), IN(p2.dw));
  add(b, CO_OP_DENSE_BACKWARD_DATA, "2", NULL, IN(e2, p2.w), IN(d1));
  add(b, CO_OP_RELU_BIAS_BACKWARD, "1", NULL, IN(a1, d1), IN(e1, p1.db));
  add(b, CO_OP_DENSE_BACKWARD_WEIGHTS, "1", NULL, IN(x, e1), IN(p1.dw));
  add_update(b, 64 * 256 + 256 + 256 * 128 + 128 + 128 + 1);
}

// Operations that the two networks lack, on n images of 28 x 28 x 32 or n rows of 1000 classes.
static void plan_other(bench *b, int64_t n) {
  const co_op_attr norm = {.epsilon = 1e-3, .momentum = 0.99}, drop = {.rate = 0.5, .purpose = 1};
  const co_op_attr cast = {.dtype = CO_F32}, flip = {.rate = 0.5}, crop = {.pad = 4};
  const co_shape shape = s4(n, 28, 28, 32), rgb = s4(n, 64, 64, 3), channels = s1(32);
  tensor *x = filled(b, shape, 1), *dy = filled(b, shape, 1);
  tensor *y = open_f32(b, shape), *z = open_f32(b, shape), *dx = open_f32(b, shape);
  tensor *gamma = filled(b, channels, 1), *beta = filled(b, channels, 1);
  tensor *mean = filled(b, channels, 1), *variance = filled(b, channels, 1);
  tensor *moving_mean = filled(b, channels, 1), *moving_variance = filled(b, channels, 1);
  tensor *scalars = make(b, CO_U8, 0, s1((int64_t)sizeof(co_step)));
  tensor *bytes = make(b, CO_U8, 0, rgb), *index = make(b, CO_I64, 0, s1(n));
  tensor *picked = make(b, CO_U8, 0, rgb), *image = open_f32(b, rgb), *scaled = open_f32(b, rgb);
  tensor *flipped = open_f32(b, rgb), *shifted = open_f32(b, rgb);
  tensor *offset = filled(b, s1(3), 1), *scale = filled(b, s1(3), 1);
  tensor *logits = filled(b, s2(n, 1000), 1), *p = open_f32(b, s2(n, 1000));
  tensor *target = make(b, CO_I32, 0, s1(n)), *weight = filled(b, s1(n), 1);
  tensor *loss = open_f32(b, s1(n)), *sum = make(b, CO_F64, 0, s1(1));
  tensor *sums = make(b, CO_F64, 0, s1(2)), *dlogits = open_f32(b, s2(n, 1000));
  add(b, CO_OP_BATCH_NORM, "", &norm, IN(x, gamma, beta, moving_mean, moving_variance),
      IN(y, mean, variance, moving_mean, moving_variance));
  add(b, CO_OP_BATCH_NORM_BACKWARD, "", &norm, IN(x, gamma, mean, variance, dy),
      IN(dx, gamma, beta));
  add(b, CO_OP_BATCH_NORM_INFERENCE, "", &norm, IN(x, gamma, beta, moving_mean, moving_variance),
      IN(y));
  add(b, CO_OP_RELU, "", NULL, IN(x), IN(y));
  add(b, CO_OP_RELU_BACKWARD, "", NULL, IN(y, dy), IN(dx));
  add(b, CO_OP_ADD, "", NULL, IN(x, y), IN(z));
  add(b, CO_OP_DROPOUT, "", &drop, IN(x, scalars), IN(y));
  add(b, CO_OP_SOFTMAX, "", NULL, IN(logits), IN(p));
  add(b, CO_OP_SOFTMAX_CROSS_ENTROPY, "", NULL, IN(logits, target, weight, scalars),
      IN(loss, sum, dlogits));
  add(b, CO_OP_CATEGORICAL_HITS, "", NULL, IN(logits, target, weight), IN(sums));
  add(b, CO_OP_GATHER, "", NULL, IN(bytes, index), IN(picked));
  add(b, CO_OP_CAST, "", &cast, IN(picked), IN(image));
  add(b, CO_OP_NORMALIZE, "", NULL, IN(image, offset, scale), IN(scaled));
  add(b, CO_OP_FLIP, "", &flip, IN(scaled, index, scalars), IN(flipped));
  add(b, CO_OP_SHIFTED_CROP, "", &crop, IN(flipped, index, scalars), IN(shifted));
}

// What a product of square matrices reaches: the yardstick.
static double ceiling(bench *b, int64_t side) {
  tensor *x = filled(b, s2(side, side), 0.1f), *w = filled(b, s2(side, side), 0.1f);
  tensor *y = open_f32(b, s2(side, side));
  add(b, CO_OP_DENSE, "", NULL, IN(x, w), IN(y));
  execute(b);
  step *s = &b->steps[0];
  qsort(s->times, (size_t)b->rounds, sizeof *s->times, by_value);
  const double rate = s->flops / s->times[b->rounds / 2] * 1e-9;
  clear(b);
  return rate;
}

// What the times are of; the double of a GPU (tests/cudasim) calls itself cudasim.
static void describe(bench *b, const char *device) {
  if (b->backend->api->host_memory) {
    printf("%s\n", device);
    return;
  }
  static co_cuda_machine machine;
  co_backend_describe_cuda(&machine, b->ctx, true);
  const char *number = strchr(device, ':');
  const long index = number ? strtol(number + 1, NULL, 10) : 0;
  const bool listed = index < machine.device_count && index < CO_CUDA_MOST_DEVICES;
  const char *name = listed ? machine.devices[index].name : "?";
  printf("%s, %s%s\n", device, name,
         strcmp(name, "cudasim") == 0 ? ": a double, whose times say nothing of a GPU" : "");
}

int main(int argc, char **argv) {
  static bench b;
  co_backend_options options = {0};
  const char *model = "cnn", *device = "cpu";
  bool derived = false;
  int64_t n = 128, side = 28, channels = 1, yardstick = 0;
  b.rounds = 50;
  for (int c; (c = getopt(argc, argv, "m:n:t:r:f:ds:c:b:xp:")) != -1;) {
    switch (c) {
    case 's':
      side = strtol(optarg, NULL, 10);
      break;
    case 'c':
      channels = strtol(optarg, NULL, 10);
      break;
    case 'd':
      derived = true;
      break;
    case 'b':
      device = optarg;
      break;
    case 'x':
      options.strict_f32 = true;
      break;
    case 'p':
      yardstick = strtol(optarg, NULL, 10);
      break;
    case 'm':
      model = optarg;
      break;
    case 'n':
      n = strtol(optarg, NULL, 10);
      break;
    case 't':
      options.threads = (int)strtol(optarg, NULL, 10);
      break;
    case 'r':
      b.rounds = (int)strtol(optarg, NULL, 10);
      break;
    case 'f':
      options.force = optarg;
      break;
    default:
      return 2;
    }
  }
  if (b.rounds < 1 || n < 1 || side < 4 || side % 4 != 0 || channels < 1 || yardstick < 0) return 2;
  must(co_context_create(&b.ctx, NULL));
  must(co_backend_open_device(&b.backend, b.ctx, device, &options));
  if (yardstick == 0) yardstick = b.backend->api->host_memory ? 1024 : 8192;
  describe(&b, device);
  const double limit = ceiling(&b, yardstick);
  const double start = now();
  if (strcmp(model, "mlp") == 0)
    plan_mlp(&b, n);
  else if (strcmp(model, "other") == 0)
    plan_other(&b, n);
  else
    plan_cnn(&b, n, side, channels, derived);
  const double planned = now() - start;
  execute(&b);
  const double reached = report(&b);
  printf("planned and prepared in %.1f ms\n", 1e3 * planned);
  printf("matmul %lld: %.1f GFLOP/s; share reached %.0f %%\n", (long long)yardstick, limit,
         100 * reached / limit);
  clear(&b);
  b.backend->api->free(b.backend);
  co_context_free(b.ctx);
  return 0;
}
