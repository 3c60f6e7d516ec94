// SPDX-License-Identifier: Apache-2.0
// test_plugin replay             a training step recorded once gives what single runs give, on two branches,
//                                too, which may not be left apart
// test_plugin shared             branches that share scratch memory, which the doubles notice
// test_plugin refuse             what the backend refuses, and that it goes on working
// test_plugin lost               a device that fails amid a step is an error, not a crash
// test_plugin tune FUSION        ways to compute are timed, within the time that there is for it
// test_plugin abi PLUGIN         a caller of another version
// test_plugin message TEXT       opening cuda:0 fails with a message holding TEXT; auto is the CPU
// test_plugin direct PLUGIN TEXT the same without the library's own check of the driver
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/device/backend.h"
#include "host/device/choices.h"
#include "kernels/cuda_plugin.h"

enum { NOT_RUN = 77 };

static void fail_at(int line, const char *what) {
  (void)fprintf(stderr, "line %d: %s; last error: %s\n", line, what, co_error_last()->message);
  exit(1);
}
#define CHECK(condition) ((condition) ? (void)0 : fail_at(__LINE__, #condition))
#define OK(expression) CHECK((expression) == CO_OK)

static char logged[512];

static void keep_log(void *user, co_log_level level, const char *event, const char *text) {
  (void)user;
  (void)level;
  if (strcmp(event, "device") != 0) return;
  (void)snprintf(logged, sizeof logged, "%s %s", event, text);
}

static co_context *open_context(void) {
  co_context *ctx = NULL;
  const co_context_options options = {.threads = 1, .level = CO_LOG_DEBUG, .sink = keep_log};
  OK(co_context_create(&ctx, &options));
  return ctx;
}

static void close_context(co_context *ctx) {
  CHECK(co_alloc_get_stats(ctx).live_blocks == 0);
  co_context_free(ctx);
}

// ---- a training step ---------------------------------------------------------------------------

enum {
  TABLE = 64, // rows of the data set
  INPUTS = 20,
  HIDDEN = 16,
  CLASSES = 5,
  BATCH = 24,
  STEPS = 4,
  WEIGHTS1 = INPUTS * HIDDEN,
  WEIGHTS2 = HIDDEN * CLASSES,
  AT_B1 = WEIGHTS1,            // offsets in the block, multiples of 64 elements
  AT_W2 = AT_B1 + 64,          //
  AT_B2 = AT_W2 + 128,         //
  PARAMETERS = AT_B2 + CLASSES //
};

enum {
  DATA,
  LABELS,
  INDEX,
  STEP,
  SEGMENTS,
  BYTES, // from here on no inputs
  X,
  TARGET,
  WEIGHT,
  H,
  DROPPED,
  Z,
  LOSS,
  SUM,
  DZ,
  DDROPPED,
  DH,
  DA,
  W,
  G,
  M,
  V,
  NORM,
  GATE,
  TENSORS
};

enum { MAX_OPS = 24 };

typedef struct machine {
  co_context *ctx;
  co_backend *backend;
  void *memory[TENSORS];
  co_op_desc ops[MAX_OPS];
  co_prepared *prepared[MAX_OPS];
  void *in[MAX_OPS][CO_OP_MAX_OPERANDS], *out[MAX_OPS][CO_OP_MAX_OPERANDS];
  void *workspace;
  size_t workspace_bytes;
  int count;
} machine;

static co_tensor_desc tensor(co_dtype dtype, int64_t rows, int64_t columns) {
  co_tensor_desc desc = {.dtype = dtype};
  desc.shape = columns > 0 ? co_shape_make(2, rows, columns) : co_shape_make(1, rows);
  return desc;
}

static co_tensor_desc describe(int id) {
  switch (id) {
  case DATA:
    return tensor(CO_U8, TABLE, INPUTS);
  case LABELS:
    return tensor(CO_I32, TABLE, 0);
  case INDEX:
    return tensor(CO_I64, BATCH, 0);
  case STEP:
    return tensor(CO_U8, sizeof(co_step), 0);
  case SEGMENTS:
    return tensor(CO_U8, sizeof(co_segment), 0);
  case BYTES:
    return tensor(CO_U8, BATCH, INPUTS);
  case X:
    return tensor(CO_F32, BATCH, INPUTS);
  case TARGET:
    return tensor(CO_I32, BATCH, 0);
  case WEIGHT:
  case LOSS:
    return tensor(CO_F32, BATCH, 0);
  case H:
  case DROPPED:
  case DDROPPED:
  case DH:
  case DA:
    return tensor(CO_F32, BATCH, HIDDEN);
  case Z:
  case DZ:
    return tensor(CO_F32, BATCH, CLASSES);
  case SUM:
  case NORM:
    return tensor(CO_F64, 1, 0);
  case GATE:
    return tensor(CO_F64, 2, 0);
  default:
    return tensor(CO_F32, PARAMETERS, 0);
  }
}

// Part of a parameter block as an operand: block, offset in elements, rows, columns (0: a vector).
typedef struct operand {
  int id;
  int64_t offset, rows, columns;
} operand;
#define WHOLE(name) ((operand){(name), 0, 0, 0})
#define ABSENT ((operand){-1, 0, 0, 0})

static void place(machine *m, const operand *o, co_tensor_desc *desc, void **address) {
  *desc = describe(o->id);
  *address = (char *)m->memory[o->id] + o->offset * (int64_t)sizeof(float);
  if (o->rows > 0) *desc = tensor(CO_F32, o->rows, o->columns);
}

static void add(machine *m, co_op op, co_op_attr attr, int inputs, const operand *in, int outputs,
                const operand *out) {
  co_op_desc *desc = &m->ops[m->count];
  co_op_choice choice;
  CHECK(m->count < MAX_OPS);
  memset(desc, 0, sizeof *desc);
  desc->op = op;
  desc->attr = attr;
  for (int i = 0; i < inputs; i++) {
    if (in[i].id < 0) continue;
    desc->has_in |= 1u << i;
    place(m, &in[i], &desc->in[i], &m->in[m->count][i]);
  }
  for (int i = 0; i < outputs; i++) {
    if (out[i].id < 0) continue;
    desc->has_out |= 1u << i;
    place(m, &out[i], &desc->out[i], &m->out[m->count][i]);
  }
  OK(m->backend->api->query(m->backend, desc, &choice));
  OK(m->backend->api->prepare(m->backend, desc, &m->prepared[m->count]));
  if (choice.workspace > m->workspace_bytes) m->workspace_bytes = choice.workspace;
  m->count++;
}
#define ADD(op, attr, inputs, outputs)                                                             \
  add(m, CO_OP_##op, (attr), (int)(sizeof(inputs) / sizeof *(inputs)), inputs,                     \
      (int)(sizeof(outputs) / sizeof *(outputs)), outputs)
#define LIST(...) ((const operand[]){__VA_ARGS__})

static void build(machine *m) {
  const co_op_attr none = {0}, real = {.dtype = CO_F32}, relu = {.activation = CO_ACTIVATION_RELU};
  const co_op_attr drop = {.rate = 0.25, .purpose = 7}, clip = {.clip_norm = 0.5};
  const co_op_attr adam = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7};
  const operand w1 = {W, 0, INPUTS, HIDDEN}, b1 = {W, AT_B1, HIDDEN, 0};
  const operand w2 = {W, AT_W2, HIDDEN, CLASSES}, b2 = {W, AT_B2, CLASSES, 0};
  const operand dw1 = {G, 0, INPUTS, HIDDEN}, db1 = {G, AT_B1, HIDDEN, 0};
  const operand dw2 = {G, AT_W2, HIDDEN, CLASSES}, db2 = {G, AT_B2, CLASSES, 0};
  ADD(GATHER, none, LIST(WHOLE(DATA), WHOLE(INDEX)), LIST(WHOLE(BYTES)));
  ADD(GATHER, none, LIST(WHOLE(LABELS), WHOLE(INDEX)), LIST(WHOLE(TARGET)));
  ADD(CAST, real, LIST(WHOLE(BYTES)), LIST(WHOLE(X)));
  ADD(DENSE, relu, LIST(WHOLE(X), w1, b1), LIST(WHOLE(H)));
  ADD(DROPOUT, drop, LIST(WHOLE(H), WHOLE(STEP)), LIST(WHOLE(DROPPED)));
  ADD(DENSE, none, LIST(WHOLE(DROPPED), w2, b2), LIST(WHOLE(Z)));
  ADD(SOFTMAX_CROSS_ENTROPY, none, LIST(WHOLE(Z), WHOLE(TARGET), WHOLE(WEIGHT), WHOLE(STEP)),
      LIST(WHOLE(LOSS), WHOLE(SUM), WHOLE(DZ)));
  ADD(DENSE_BACKWARD_DATA, none, LIST(WHOLE(DZ), w2), LIST(WHOLE(DDROPPED)));
  ADD(DENSE_BACKWARD_WEIGHTS, none, LIST(WHOLE(DROPPED), WHOLE(DZ)), LIST(dw2, db2));
  ADD(DROPOUT, drop, LIST(WHOLE(DDROPPED), WHOLE(STEP)), LIST(WHOLE(DH)));
  ADD(RELU_BACKWARD, none, LIST(WHOLE(H), WHOLE(DH)), LIST(WHOLE(DA)));
  ADD(DENSE_BACKWARD_WEIGHTS, none, LIST(WHOLE(X), WHOLE(DA)), LIST(dw1, db1));
  ADD(GRADIENT_NORM, clip, LIST(WHOLE(G), WHOLE(SEGMENTS)), LIST(WHOLE(NORM), WHOLE(GATE)));
  ADD(ADAM, adam,
      LIST(WHOLE(W), WHOLE(G), WHOLE(M), WHOLE(V), WHOLE(SEGMENTS), WHOLE(STEP), WHOLE(GATE)),
      LIST(WHOLE(W), WHOLE(M), WHOLE(V)));
  OK(m->backend->api->buffer_create(m->backend, m->workspace_bytes, &m->workspace));
}

static void upload(machine *m, int id, const void *values) {
  co_tensor_desc desc = describe(id);
  OK(m->backend->api->upload(m->backend, m->memory[id], values, co_tensor_bytes(&desc)));
}

static uint32_t hash(uint32_t x) {
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x ^ x >> 16;
}

static void start(machine *m) {
  unsigned char data[TABLE * INPUTS];
  int32_t labels[TABLE];
  float weight[BATCH], parameters[PARAMETERS];
  const co_segment all = {.begin = 0, .count = PARAMETERS, .rate = 1, .decay = 1};
  for (uint32_t i = 0; i < TABLE * INPUTS; i++)
    data[i] = (unsigned char)(hash(i) % 4);
  for (uint32_t i = 0; i < TABLE; i++)
    labels[i] = (int32_t)(hash(i + 5000) % CLASSES);
  for (uint32_t i = 0; i < BATCH; i++)
    weight[i] = i % 7 == 0 ? 0.0f : 1.0f;
  for (uint32_t i = 0; i < PARAMETERS; i++)
    parameters[i] = (float)(hash(i + 9000) % 1000) / 2000.0f - 0.25f;
  upload(m, DATA, data);
  upload(m, LABELS, labels);
  upload(m, SEGMENTS, &all);
  upload(m, WEIGHT, weight);
  upload(m, W, parameters);
  const int zero[] = {G, M, V}; // gaps between tensors too
  for (int i = 0; i < 3; i++)
    OK(m->backend->api->fill_zero(m->backend, m->memory[zero[i]], PARAMETERS * sizeof(float)));
}

static void feed(machine *m, uint32_t number) {
  int64_t index[BATCH];
  co_step step = {.seed = 11, .step = number, .learning_rate = 0.01 / (1 + number)};
  step.bias_correction1 = 1 / (1 - 0.9);
  step.bias_correction2 = 1 / (1 - 0.999);
  for (int i = 0; i < CO_MAX_LOSSES; i++)
    step.inv_norm[i] = 1.0 / (BATCH - number);
  for (uint32_t i = 0; i < BATCH; i++)
    index[i] = (int64_t)(hash(i + 100 * number) % TABLE);
  upload(m, INDEX, index);
  upload(m, STEP, &step);
}

static void run_all(machine *m) {
  for (int i = 0; i < m->count; i++)
    OK(m->backend->api->run(m->backend, m->prepared[i], m->in[i], m->out[i], m->workspace));
}

// Like run_all, but the second layer's weight gradient runs beside what follows, as far as the norm.
static void run_branched(machine *m, void *scratch, bool joins) {
  const co_backend_api *api = m->backend->api;
  bool branched = false;
  for (int i = 0; i < m->count; i++) {
    bool beside = !branched && m->ops[i].op == CO_OP_DENSE_BACKWARD_WEIGHTS;
    if (beside) OK(api->branch(m->backend, CO_BRANCH_SIDE));
    if (joins && m->ops[i].op == CO_OP_GRADIENT_NORM) OK(api->join(m->backend));
    OK(api->run(m->backend, m->prepared[i], m->in[i], m->out[i], beside ? scratch : m->workspace));
    if (beside) OK(api->branch(m->backend, CO_BRANCH_MAIN));
    branched = branched || beside;
  }
}

typedef struct result {
  float w[PARAMETERS], m[PARAMETERS], v[PARAMETERS];
  double sums[STEPS];
} result;

static void collect(machine *m, result *r) {
  const co_backend_api *api = m->backend->api;
  OK(api->download(m->backend, r->w, m->memory[W], sizeof r->w));
  OK(api->download(m->backend, r->m, m->memory[M], sizeof r->m));
  OK(api->download(m->backend, r->v, m->memory[V], sizeof r->v));
}

static void open_machine(machine *m, const char *device) {
  memset(m, 0, sizeof *m);
  m->ctx = open_context();
  // The CPU knows no TF32.
  OK(co_backend_open_device(&m->backend, m->ctx, device,
                            &(co_backend_options){.threads = 1, .strict_f32 = true}));
  for (int i = 0; i < TENSORS; i++) {
    co_tensor_desc desc = describe(i);
    OK(m->backend->api->buffer_create(m->backend, co_tensor_bytes(&desc), &m->memory[i]));
  }
  build(m);
}

static void close_machine(machine *m) {
  for (int i = 0; i < m->count; i++)
    m->backend->api->release(m->backend, m->prepared[i]);
  for (int i = 0; i < TENSORS; i++)
    m->backend->api->buffer_free(m->backend, m->memory[i]);
  m->backend->api->buffer_free(m->backend, m->workspace);
  m->backend->api->free(m->backend);
  close_context(m->ctx);
}

static void run_steps(machine *m, void *graph, result *r) {
  start(m);
  for (uint32_t s = 0; s < STEPS; s++) {
    feed(m, s);
    if (graph)
      OK(m->backend->api->graph_launch(m->backend, graph));
    else
      run_all(m);
    OK(m->backend->api->download(m->backend, &r->sums[s], m->memory[SUM], sizeof r->sums[s]));
  }
  collect(m, r);
}

static void record_branched(machine *m, void *scratch, bool joins, void **graph) {
  const co_backend_api *api = m->backend->api;
  OK(api->capture_begin(m->backend));
  run_branched(m, scratch, joins);
  CHECK(api->capture_end(m->backend, graph) == (joins ? CO_OK : CO_ERR_DEVICE));
}

static void replay_branched(machine *m, result *r) {
  const co_backend_api *api = m->backend->api;
  void *graph = NULL, *scratch;
  OK(api->buffer_create(m->backend, m->workspace_bytes, &scratch));
  record_branched(m, scratch, false, &graph);
  CHECK(!graph && strstr(co_error_last()->message, "unjoined"));
  record_branched(m, scratch, true, &graph);
  run_steps(m, graph, r);
  api->graph_free(m->backend, graph);
  api->buffer_free(m->backend, scratch);
}

static void on_abort(int signal) {
  (void)signal;
  _exit(0);
}

// The doubles abort; what they say of it is looked at by the caller.
static void share(void) {
  static machine m;
  void *graph = NULL;
  (void)signal(SIGABRT, on_abort);
  open_machine(&m, "cuda");
  record_branched(&m, m.workspace, true, &graph);
}

static void replay(void) {
  static machine on_cuda, on_cpu;
  static result eager, again, replayed, branched, expected;
  void *graph = NULL;
  machine *m = &on_cuda;
  open_machine(m, "cuda");
  const co_backend_api *api = m->backend->api;
  CHECK(strcmp(api->name, "cuda:0") == 0 && strncmp(logged, "device device=cuda:0", 20) == 0);
  run_steps(m, NULL, &eager);
  OK(api->capture_begin(m->backend));
  run_all(m);
  OK(api->capture_end(m->backend, &graph));
  run_steps(m, graph, &replayed);
  run_steps(m, NULL, &again);
  api->graph_free(m->backend, graph);
  replay_branched(m, &branched);
  close_machine(m);
  CHECK(memcmp(&eager, &again, sizeof eager) == 0);
  CHECK(memcmp(&eager, &replayed, sizeof eager) == 0);
  CHECK(memcmp(&eager, &branched, sizeof eager) == 0);

  open_machine(&on_cpu, "cpu");
  CHECK(on_cpu.backend->api->capture_begin == NULL);
  run_steps(&on_cpu, NULL, &expected);
  close_machine(&on_cpu);
  for (int i = 0; i < STEPS; i++) {
    double off = eager.sums[i] - expected.sums[i];
    CHECK(off < 1e-4 && off > -1e-4);
    CHECK(i == 0 || eager.sums[i] != eager.sums[i - 1]);
  }
  // Adam divides by the root of what may be almost zero: the moments say more than the weights.
  for (int i = 0; i < PARAMETERS; i++) {
    double off = (double)eager.m[i] - (double)expected.m[i];
    CHECK(off < 1e-5 && off > -1e-5);
  }
}

// ---- refusals ----------------------------------------------------------------------------------

static void refuse(void) {
  co_context *ctx = open_context();
  co_backend *backend = NULL;
  CHECK(co_backend_open_device(&backend, ctx, "cuda:7", NULL) == CO_ERR_DEVICE);
  CHECK(strstr(co_error_last()->message, "no such device") && co_error_last()->hint[0]);
  CHECK(co_backend_open_device(&backend, ctx, "cuda:x", NULL) == CO_ERR_DEVICE);
  CHECK(co_backend_open_device(&backend, ctx, "tpu", NULL) == CO_ERR_DEVICE && !backend);
  OK(co_backend_open_device(&backend, ctx, "auto", NULL));
  CHECK(strcmp(backend->api->name, "cuda:0") == 0);
  const co_backend_api *api = backend->api;

  void *buffer = NULL, *graph = NULL;
  CHECK(api->buffer_create(backend, (size_t)1 << 50, &buffer) == CO_ERR_MEMORY && !buffer);
  CHECK(strstr(co_error_last()->message, "1125899906842624 bytes"));
  enum { LARGE = 3000001 }; // several times the staging buffers
  unsigned char *from = malloc(LARGE), *to = malloc(LARGE);
  CHECK(from && to);
  for (uint32_t i = 0; i < LARGE; i++)
    from[i] = (unsigned char)hash(i);
  OK(api->buffer_create(backend, LARGE, &buffer));
  CHECK((uintptr_t)buffer % api->alignment == 0);
  for (size_t bytes = 1; bytes <= LARGE; bytes = bytes * 19 + 3) {
    memset(to, 0, LARGE);
    OK(api->upload(backend, buffer, from, bytes));
    OK(api->download(backend, to, buffer, bytes));
    CHECK(memcmp(from, to, bytes) == 0);
  }
  OK(api->upload(backend, buffer, from, LARGE));
  OK(api->download(backend, to, buffer, LARGE));
  CHECK(memcmp(from, to, LARGE) == 0);

  CHECK(api->capture_end(backend, &graph) == CO_ERR_INTERNAL && !graph);
  OK(api->capture_begin(backend));
  CHECK(api->upload(backend, buffer, from, 16) == CO_ERR_INTERNAL);
  CHECK(api->download(backend, to, buffer, 16) == CO_ERR_INTERNAL);
  CHECK(api->synchronize(backend) == CO_ERR_INTERNAL);
  CHECK(api->capture_begin(backend) == CO_ERR_INTERNAL);
  OK(api->fill_zero(backend, buffer, 16));
  OK(api->capture_end(backend, &graph));
  OK(api->upload(backend, buffer, from, 32));
  OK(api->graph_launch(backend, graph));
  OK(api->download(backend, to, buffer, 32));
  CHECK(to[0] == 0 && to[15] == 0 && memcmp(to + 16, from + 16, 16) == 0);
  api->graph_free(backend, graph);
  api->graph_free(backend, NULL);

  co_op_desc relu = {.op = CO_OP_RELU, .has_in = 1, .has_out = 1};
  co_op_choice choice;
  relu.in[0] = relu.out[0] =
      (co_tensor_desc){.dtype = CO_F64, .shape = co_shape_make(1, INT64_C(4))};
  CHECK(api->query(backend, &relu, &choice) == CO_ERR_DEVICE);
  CHECK(strcmp(co_error_last()->message, "cuda:0: relu: f32 only") == 0);
  // An operation runs by the plan that a query told of, and by none else.
  co_prepared *prepared = NULL, *again = NULL;
  relu.in[0].dtype = relu.out[0].dtype = CO_F32;
  CHECK(api->prepare(backend, &relu, &prepared) == CO_ERR_INTERNAL && !prepared);
  CHECK(strstr(co_error_last()->message, "was not offered"));
  OK(api->query(backend, &relu, &choice));
  OK(api->prepare(backend, &relu, &prepared));
  OK(api->prepare(backend, &relu, &again));
  CHECK(prepared && prepared == again);
  api->release(backend, prepared);
  api->release(backend, again);
  free(from);
  free(to);
  api->buffer_free(backend, buffer);
  api->free(backend);
  close_context(ctx);
}

// With COHORT_SIM_FAIL_LAUNCH: whatever comes next says so.
static void lost(void) {
  static machine on_cuda;
  machine *m = &on_cuda;
  co_status status = CO_OK;
  double sum;
  open_machine(m, "cuda");
  start(m);
  feed(m, 0);
  for (int i = 0; i < m->count && status == CO_OK; i++)
    status = m->backend->api->run(m->backend, m->prepared[i], m->in[i], m->out[i], m->workspace);
  if (status == CO_OK)
    status = m->backend->api->download(m->backend, &sum, m->memory[SUM], sizeof sum);
  CHECK(status == CO_ERR_DEVICE && strncmp(co_error_last()->message, "cuda:0: ", 8) == 0);
  (void)printf("%s\n", co_error_last()->message);
  CHECK(m->backend->api->synchronize(m->backend) == CO_ERR_DEVICE);
  CHECK(m->backend->api->buffer_create(m->backend, 16, &m->workspace) == CO_ERR_DEVICE);
  close_machine(m);
}

// ---- ways to compute ---------------------------------------------------------------------------

static void describe_operand(co_tensor_desc *out, co_shape shape) {
  *out = (co_tensor_desc){.dtype = CO_F32, .layout = CO_LAYOUT_ANY, .shape = shape};
}

static co_op_choice choose(co_context *ctx, double seconds, co_op_chosen expected) {
  co_op_desc conv = {.op = CO_OP_CONV2D, .has_in = 7, .has_out = 1};
  co_backend *backend;
  co_choices *choices;
  co_op_choice choice, again;
  for (int i = 0; i < 2; i++)
    conv.attr.kernel[i] = conv.attr.stride[i] = conv.attr.dilation[i] = 1;
  conv.attr.activation = CO_ACTIVATION_RELU;
  describe_operand(&conv.in[CO_CONV2D_x],
                   co_shape_make(4, INT64_C(2), INT64_C(4), INT64_C(4), INT64_C(3)));
  describe_operand(&conv.in[CO_CONV2D_w],
                   co_shape_make(4, INT64_C(1), INT64_C(1), INT64_C(3), INT64_C(5)));
  describe_operand(&conv.in[CO_CONV2D_b], co_shape_make(1, INT64_C(5)));
  describe_operand(&conv.out[CO_CONV2D_y],
                   co_shape_make(4, INT64_C(2), INT64_C(4), INT64_C(4), INT64_C(5)));
  OK(co_choices_create(&choices, ctx, seconds, false));
  const co_backend_options options = {.ways = co_choices_ways(choices)};
  OK(co_backend_open_device(&backend, ctx, "cuda:0", &options));
  OK(backend->api->query(backend, &conv, &choice));
  OK(backend->api->query(backend, &conv, &again));
  CHECK(choice.chosen == expected && choice.way && again.way == choice.way);
  CHECK(co_choices_count(choices, expected) == 1);
  (void)printf("%s: %s, %d launches\n", co_chosen_name(choice.chosen), choice.way, choice.launches);
  backend->api->free(backend);
  choice.way = choice.why = NULL; // went with it
  co_choices_free(choices);
  return choice;
}

// A recurrent layer that is trained: who computes it, what it says of that, and whose layout the values
// saved have. seconds < 0: no ways are asked for.
static void choose_recurrent(co_context *ctx, double seconds, int64_t events, co_rnn_function gates,
                             const char *implementation, int launches, const char *said) {
  co_op_desc desc = {.op = CO_OP_RECURRENT, .attr = {.gates = gates}};
  const co_shape shapes[] = {co_shape_make(3, INT64_C(5), events, INT64_C(3)),
                             co_shape_make(1, INT64_C(5)), co_shape_make(2, INT64_C(3), INT64_C(8)),
                             co_shape_make(2, INT64_C(2), INT64_C(8)),
                             co_shape_make(1, INT64_C(8))};
  co_backend *backend;
  co_choices *choices;
  co_op_choice choice;
  for (int i = 0; i <= CO_RECURRENT_bias; i++) {
    desc.has_in |= 1u << i;
    describe_operand(&desc.in[i], shapes[i]);
  }
  desc.in[CO_RECURRENT_lengths].dtype = CO_I32;
  desc.has_out = 1u << CO_RECURRENT_last | 1u << CO_RECURRENT_saved;
  describe_operand(&desc.out[CO_RECURRENT_last], co_shape_make(2, INT64_C(5), INT64_C(2)));
  describe_operand(&desc.out[CO_RECURRENT_saved],
                   co_shape_make(3, INT64_C(5), events, INT64_C(10)));
  OK(co_choices_create(&choices, ctx, seconds > 0 ? seconds : 0, false));
  const co_backend_options options = {.ways = seconds < 0 ? NULL : co_choices_ways(choices)};
  OK(co_backend_open_device(&backend, ctx, "cuda:0", &options));
  OK(backend->api->query(backend, &desc, &choice));
  const char *way = choice.way ? choice.way : "", *refused = choice.refused ? choice.refused : "";
  (void)printf("%lld events: %s, %d launches; %s; %s\n", (long long)events, choice.implementation,
               choice.launches, way, refused);
  CHECK(strcmp(choice.implementation, implementation) == 0 && choice.launches == launches);
  CHECK(strcmp(said, way) == 0 || strcmp(said, refused) == 0);
  CHECK((choice.out[CO_RECURRENT_saved] == CO_LAYOUT_CANONICAL) ==
        (strcmp(implementation, "cuda") == 0));
  backend->api->free(backend);
  co_choices_free(choices);
}

// Products of each row's matrices, of more of them than the z of a grid counts by our own kernel.
static void choose_product(co_context *ctx, int64_t rows, const char *implementation) {
  co_op_desc desc = {.op = CO_OP_MATMUL, .has_in = 3, .has_out = 1};
  co_backend *backend;
  co_op_choice choice;
  for (int i = 0; i < 2; i++)
    describe_operand(&desc.in[i], co_shape_make(3, rows, INT64_C(2), INT64_C(2)));
  describe_operand(&desc.out[0], desc.in[0].shape);
  OK(co_backend_open_device(&backend, ctx, "cuda:0", NULL));
  OK(backend->api->query(backend, &desc, &choice));
  CHECK(strcmp(choice.implementation, implementation) == 0);
  backend->api->free(backend);
}

// By a rule, or by the made-up clock, on which any call of a library takes longer than a kernel.
static void tune_recurrent(co_context *ctx) {
  choose_recurrent(ctx, -1, 8, CO_RNN_OWN, "cudnn", 3, "");
  choose_recurrent(ctx, -1, 7, CO_RNN_OWN, "cuda", 1, "cudnn: fewer than 8 events");
  choose_recurrent(ctx, -1, 8, CO_RNN_RELU, "cuda", 1,
                   "cudnn: cuDNN has the cells' own functions alone");
  choose_recurrent(ctx, 0, 8, CO_RNN_OWN, "cudnn", 3, "0: cuDNN");
  choose_recurrent(ctx, 100, 8, CO_RNN_OWN, "cuda", 1, "1: our own kernel");
  choose_recurrent(ctx, 100, 7, CO_RNN_OWN, "cuda", 1, "0: our own kernel");
}

// Where bias and relu cost more in a convolution than in our own kernel, they come apart; never without
// time to find out.
static void tune(const char *fusion) {
  co_context *ctx = open_context();
  CHECK(choose(ctx, 0, CO_CHOSEN_HEURISTIC).launches == 1);
  CHECK(choose(ctx, 100, CO_CHOSEN_TUNED).launches == (strcmp(fusion, "dear") == 0 ? 2 : 1));
  tune_recurrent(ctx);
  choose_product(ctx, 65535, "cublaslt");
  choose_product(ctx, 65536, "cuda");
  close_context(ctx);
}

// ---- what is missing ---------------------------------------------------------------------------

static void message(const char *text) {
  co_context *ctx = open_context();
  co_backend *backend = NULL;
  CHECK(co_backend_open_device(&backend, ctx, "cuda:0", NULL) == CO_ERR_DEVICE && !backend);
  CHECK(strstr(co_error_last()->message, text) && co_error_last()->hint[0]);
  (void)printf("%s; %s\n", co_error_last()->message, co_error_last()->hint);
  OK(co_backend_open_device(&backend, ctx, "auto", NULL));
  CHECK(strcmp(backend->api->name, "cpu") == 0);
  CHECK(strncmp(logged, "device device=cpu", 17) == 0 && strstr(logged, text));
  backend->api->free(backend);
  close_context(ctx);
}

static co_cuda_open_function *open_function(const char *plugin) {
  co_cuda_open_function *function = NULL;
  void *library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    (void)printf("NOT RUN: %s\n", dlerror());
    exit(NOT_RUN);
  }
  void *symbol = dlsym(library, CO_CUDA_OPEN_SYMBOL);
  memcpy((void *)&function, &symbol, sizeof function);
  CHECK(function);
  return function;
}

static void abi(const char *plugin) {
  co_backend *backend = NULL;
  CHECK(open_function(plugin)(&backend, NULL, CO_CUDA_ABI + 1, 0) == CO_ERR_DEVICE && !backend);
}

static void direct(const char *plugin, const char *text) {
  const co_backend_options options = {0};
  const co_host_api host = {.log = co_log,
                            .fail = co_fail,
                            .hint = co_hint,
                            .alloc_zero = co_alloc_zero,
                            .free = co_free,
                            .options = &options};
  co_backend *backend = NULL;
  CHECK(open_function(plugin)(&backend, &host, CO_CUDA_ABI, 0) == CO_ERR_DEVICE && !backend);
  CHECK(strstr(co_error_last()->message, text));
}

// Messages about a missing driver can only be seen without one.
static void skip_with_driver(void) {
  if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) return;
  (void)printf("NOT RUN: this machine has an NVIDIA driver\n");
  exit(NOT_RUN);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "replay") == 0) {
    replay();
  } else if (strcmp(what, "shared") == 0) {
    share();
  } else if (strcmp(what, "refuse") == 0) {
    refuse();
  } else if (strcmp(what, "lost") == 0) {
    lost();
  } else if (strcmp(what, "tune") == 0 && argc == 3) {
    tune(argv[2]);
  } else if (strcmp(what, "abi") == 0 && argc == 3) {
    abi(argv[2]);
  } else if (strcmp(what, "message") == 0 && argc == 3) {
    if (strstr(argv[2], "libcuda")) skip_with_driver();
    message(argv[2]);
  } else if (strcmp(what, "direct") == 0 && argc == 4) {
    skip_with_driver();
    direct(argv[2], argv[3]);
  } else {
    (void)fprintf(stderr, "usage: test_plugin replay|refuse|lost|tune|abi|message|direct ...\n");
    return 2;
  }
  return 0;
}
