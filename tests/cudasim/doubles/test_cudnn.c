// SPDX-License-Identifier: Apache-2.0
// The cuDNN double: the three passes of a convolution and its fusion with bias and relu against
// plain loops; pointwise graphs; engines and their notes; what finalize and execute refuse.
#include <string.h>

#include "bfloat16.h"
#include "check.h"
#include "cuda_double.h"
#include "tests/cudasim/conv_graph.h"

typedef cudnnBackendDescriptor_t descriptor;

enum { WORKSPACE = 1 << 16, MAX_CONFIGS = 32 };

static cudnnHandle_t handle;
static void *workspace;

// ---- plain reference, tensors indexed as N, C, H, W in dense NHWC memory

typedef struct tensor {
  int64_t n, c, h, w;
  float *host;
  void *device;
  cudnnDataType_t type;
} tensor;

static size_t count_of(const tensor *t) {
  return (size_t)(t->n * t->c * t->h * t->w);
}

static size_t at(const tensor *t, int64_t n, int64_t c, int64_t h, int64_t w) {
  return (size_t)(((n * t->h + h) * t->w + w) * t->c + c);
}

static tensor new_tensor(cudnnDataType_t type, int64_t n, int64_t c, int64_t h, int64_t w) {
  tensor t = {n, c, h, w, NULL, NULL, type};
  size_t count = count_of(&t);
  t.host = new_numbers(count);
  if (type == CUDNN_DATA_FLOAT) {
    t.device = to_device(t.host, count * sizeof(float));
    return t;
  }
  uint16_t *narrow = malloc(count * sizeof *narrow);
  CHECK(narrow != NULL);
  for (size_t i = 0; i < count; i++)
    narrow[i] = bfloat16_from_float(t.host[i]);
  t.device = to_device(narrow, count * sizeof *narrow);
  free(narrow);
  return t;
}

static void download(tensor *t) {
  size_t count = count_of(t);
  if (t->type == CUDNN_DATA_FLOAT) {
    from_device(t->host, t->device, count * sizeof(float));
    return;
  }
  uint16_t *narrow = malloc(count * sizeof *narrow);
  CHECK(narrow != NULL);
  from_device(narrow, t->device, count * sizeof *narrow);
  for (size_t i = 0; i < count; i++)
    t->host[i] = bfloat16_to_float(narrow[i]);
  free(narrow);
}

static void free_tensor(tensor *t) {
  CHECK_OK(cudaFree(t->device));
  free(t->host);
}

// result[i] += the product of the other two tensors, over all that meet in the convolution.
static void reference(conv_pass pass, const conv_shape *s, const tensor *x, const tensor *w,
                      const tensor *y, double *result) {
  for (int64_t n = 0; n < y->n; n++)
    for (int64_t k = 0; k < y->c; k++)
      for (int64_t c = 0; c < w->c; c++)
        for (int64_t i = 0; i < y->h * y->w; i++)
          for (int64_t j = 0; j < w->h * w->w; j++) {
            int64_t row = i / y->w * s->stride + j / w->w * s->dilation - s->padding;
            int64_t column = i % y->w * s->stride + j % w->w * s->dilation - s->padding;
            if (row < 0 || row >= x->h || column < 0 || column >= x->w) continue;
            int64_t channel = k / (s->k / s->groups) * w->c + c;
            size_t xi = at(x, n, channel, row, column), wi = at(w, k, c, j / w->w, j % w->w);
            size_t yi = at(y, n, k, i / y->w, i % y->w);
            if (pass == CONV_BACKWARD_DATA)
              result[xi] += (double)w->host[wi] * y->host[yi];
            else if (pass == CONV_BACKWARD_FILTER)
              result[wi] += (double)x->host[xi] * y->host[yi];
            else
              result[yi] += (double)x->host[xi] * w->host[wi];
          }
}

// ---- plans

static int find_configs(descriptor graph, cudnnBackendHeurMode_t mode,
                        descriptor configs[MAX_CONFIGS]) {
  descriptor heuristics;
  int64_t count = -1;
  CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics));
  CHECK_OK(cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph));
  CHECK_OK(cudnnBackendSetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1,
                                    &mode));
  CHECK_OK(cudnnBackendFinalize(heuristics));
  for (int i = 0; i < MAX_CONFIGS; i++)
    CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i]));
  CHECK_OK(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX_CONFIGS, &count, configs));
  CHECK_OK(cudnnBackendDestroyDescriptor(heuristics));
  return (int)count;
}

static void free_configs(descriptor configs[MAX_CONFIGS]) {
  for (int i = 0; i < MAX_CONFIGS; i++)
    CHECK_OK(cudnnBackendDestroyDescriptor(configs[i]));
}

static descriptor new_plan(descriptor config) {
  descriptor plan;
  int64_t bytes = -1, count;
  CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan));
  CHECK_OK(cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                                    &handle));
  CHECK_OK(cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config));
  CHECK_OK(cudnnBackendFinalize(plan));
  CHECK_OK(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                    CUDNN_TYPE_INT64, 1, &count, &bytes));
  CHECK(bytes >= 0 && bytes <= WORKSPACE);
  return plan;
}

static descriptor new_pack(int64_t count, const int64_t *uids, void *const *pointers) {
  descriptor pack;
  CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack));
  CHECK_OK(cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
                                    count, uids));
  CHECK_OK(cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                                    CUDNN_TYPE_VOID_PTR, count, pointers));
  CHECK_OK(cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                                    &workspace));
  CHECK_OK(cudnnBackendFinalize(pack));
  return pack;
}

// ---- tests

static void test_pass(conv_pass pass, const conv_shape *s, cudnnDataType_t type, float beta) {
  int64_t p = conv_output_height(s), q = conv_output_width(s);
  tensor x = new_tensor(type, s->n, s->c, s->h, s->w), y = new_tensor(type, s->n, s->k, p, q);
  tensor w = new_tensor(type, s->k, s->c / s->groups, s->r, s->s);
  tensor bias = new_tensor(type, 1, s->k, 1, 1);
  tensor *result = pass == CONV_BACKWARD_DATA ? &x : pass == CONV_BACKWARD_FILTER ? &w : &y;
  size_t count = count_of(result);
  double *wanted = calloc(count, sizeof *wanted);
  CHECK(wanted != NULL);
  reference(pass, s, &x, &w, &y, wanted);
  for (size_t i = 0; i < count; i++) {
    wanted[i] += beta * (double)result->host[i];
    if (pass != CONV_FORWARD_BIAS_RELU) continue;
    wanted[i] += bias.host[i % (size_t)s->k];
    if (wanted[i] < 0) wanted[i] = 0;
  }
  conv_graph graph = conv_graph_build(pass, s, type, handle, beta);
  CHECK_OK(graph.status);
  descriptor configs[MAX_CONFIGS];
  int engines = type == CUDNN_DATA_FLOAT ? 20 : 19;
  CHECK(find_configs(graph.graph, CUDNN_HEUR_MODE_A, configs) == engines);
  descriptor plan = new_plan(configs[0]);
  conv_graph_free(&graph); // a plan needs neither its graph nor its configuration
  free_configs(configs);
  descriptor pack = new_pack(4, (int64_t[]){CONV_X, CONV_W, CONV_Y, CONV_BIAS},
                             (void *[]){x.device, w.device, y.device, bias.device});
  CHECK_OK(cudnnBackendExecute(handle, plan, pack));
  CHECK_OK(cudnnBackendDestroyDescriptor(pack)); // read at the call
  download(result);
  check_close(result->host, wanted, count, type == CUDNN_DATA_FLOAT ? 1e-5 : 1.0 / 128, "conv");
  CHECK_OK(cudnnBackendDestroyDescriptor(plan));
  free(wanted);
  free_tensor(&x), free_tensor(&w), free_tensor(&y), free_tensor(&bias);
}

static void test_passes(void) {
  // n, c, h, w, k, r, s, padding, stride, dilation, groups
  static const conv_shape shapes[] = {
      {2, 3, 5, 6, 4, 3, 3, 1, 1, 1, 1}, {1, 4, 7, 7, 2, 3, 2, 0, 2, 1, 1},
      {3, 2, 9, 8, 3, 3, 3, 2, 1, 2, 1}, {2, 6, 4, 4, 4, 3, 3, 1, 1, 1, 2},
      {2, 4, 5, 5, 4, 3, 3, 1, 1, 1, 4}, {2, 5, 3, 3, 7, 1, 1, 0, 1, 1, 1}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (int pass = 0; pass < CONV_PASS_COUNT; pass++)
      for (int bits = 0; bits < 4; bits++)
        if (pass != CONV_FORWARD_BIAS_RELU || bits < 2)
          test_pass((conv_pass)pass, &shapes[i], bits & 1 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT,
                    bits & 2 ? 0.5f : 0);
}

static const conv_shape small = {1, 2, 4, 4, 2, 3, 3, 1, 1, 1, 1};

static bool has_note(descriptor config, cudnnBackendNumericalNote_t wanted) {
  descriptor engine;
  cudnnBackendNumericalNote_t notes[8];
  int64_t count;
  bool found = false;
  CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine));
  CHECK_OK(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine));
  CHECK_OK(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                    CUDNN_TYPE_NUMERICAL_NOTE, 8, &count, notes));
  for (int64_t i = 0; i < count; i++)
    found |= notes[i] == wanted;
  CHECK_OK(cudnnBackendDestroyDescriptor(engine));
  return found;
}

static void test_engines(void) {
  descriptor configs[MAX_CONFIGS], engine, config;
  conv_graph graph = conv_graph_build(CONV_BACKWARD_FILTER, &small, CUDNN_DATA_FLOAT, handle, 0);
  CHECK(find_configs(graph.graph, CUDNN_HEUR_MODE_FALLBACK, configs) == 1);
  CHECK(!has_note(configs[0], CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
  free_configs(configs);
  CHECK(find_configs(graph.graph, CUDNN_HEUR_MODE_A, configs) == 20);
  CHECK(has_note(configs[0], CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS));
  CHECK(has_note(configs[1], CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
  CHECK(!has_note(configs[18], CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
  CHECK(has_note(configs[18], CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
  free_configs(configs);
  // An engine chosen by its stored index.
  int64_t index = 1;
  CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine));
  CHECK_OK(cudnnBackendSetAttribute(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH,
                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph.graph));
  CHECK_OK(cudnnBackendSetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1,
                                    &index));
  CHECK_OK(cudnnBackendFinalize(engine));
  CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &config));
  CHECK_OK(cudnnBackendSetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine));
  CHECK_OK(cudnnBackendFinalize(config));
  CHECK_OK(cudnnBackendDestroyDescriptor(new_plan(config)));
  CHECK_OK(cudnnBackendDestroyDescriptor(config));
  CHECK_OK(cudnnBackendDestroyDescriptor(engine));
  conv_graph_free(&graph);
}

// Runs wgrad twice on the engine and counts the elements that differ.
static int count_differences(descriptor config, void *const buffers[3]) {
  enum { COUNT = 2 * 2 * 3 * 3 };
  float runs[2][COUNT];
  int differences = 0;
  descriptor plan = new_plan(config);
  descriptor pack = new_pack(3, (int64_t[]){CONV_X, CONV_W, CONV_Y}, buffers);
  for (int i = 0; i < 2; i++) {
    CHECK_OK(cudnnBackendExecute(handle, plan, pack));
    from_device(runs[i], buffers[1], sizeof runs[i]);
  }
  for (int i = 0; i < COUNT; i++)
    differences += runs[0][i] != runs[1][i];
  CHECK_OK(cudnnBackendDestroyDescriptor(pack));
  CHECK_OK(cudnnBackendDestroyDescriptor(plan));
  return differences;
}

static void test_determinism(void) {
  descriptor configs[MAX_CONFIGS];
  tensor x = new_tensor(CUDNN_DATA_FLOAT, 1, 2, 4, 4), y = new_tensor(CUDNN_DATA_FLOAT, 1, 2, 4, 4);
  void *buffers[3] = {x.device, device_bytes(2 * 2 * 3 * 3 * sizeof(float)), y.device};
  conv_graph graph = conv_graph_build(CONV_BACKWARD_FILTER, &small, CUDNN_DATA_FLOAT, handle, 0);
  CHECK(find_configs(graph.graph, CUDNN_HEUR_MODE_A, configs) == 20);
  for (int i = 0; i < 20; i++) {
    bool noted = has_note(configs[i], CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
    CHECK((count_differences(configs[i], buffers) > 0) == noted);
  }
  free_configs(configs);
  conv_graph_free(&graph);
  CHECK_OK(cudaFree(buffers[1]));
  free_tensor(&x), free_tensor(&y);
}

static void test_refusals(void) {
  descriptor tensor_, configs[MAX_CONFIGS];
  int64_t value = 1;
  char message[200];
  CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &tensor_));
  CHECK_STATUS(
      cudnnBackendSetAttribute(tensor_, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_FLOAT, 1, &value),
      CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
  CHECK_STATUS(cudnnBackendFinalize(tensor_), CUDNN_STATUS_BAD_PARAM); // lacks everything
  CHECK_OK(cudnnBackendDestroyDescriptor(tensor_));

  conv_shape wrong = small;
  wrong.groups = 2; // filters of one channel
  wrong.k = 3;      // not divisible by the groups
  conv_graph graph = conv_graph_build(CONV_FORWARD, &wrong, CUDNN_DATA_FLOAT, handle, 0);
  CHECK_STATUS(graph.status, CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH);
  cudnnGetLastErrorString(message, sizeof message);
  CHECK(strstr(message, "w (3, 1, 3, 3)") != NULL);
  conv_graph_free(&graph);

  graph = conv_graph_build(CONV_FORWARD, &small, CUDNN_DATA_FLOAT, handle, 0);
  CHECK_OK(graph.status);
  CHECK(find_configs(graph.graph, CUDNN_HEUR_MODE_A, configs) == 20);
  descriptor plan = new_plan(configs[0]);
  void *x = device_bytes(128), *w = device_bytes(144);
  descriptor pack = new_pack(2, (int64_t[]){CONV_X, CONV_W}, (void *[]){x, w});
  CHECK_STATUS(cudnnBackendExecute(handle, plan, pack), CUDNN_STATUS_BAD_PARAM);
  cudnnGetLastErrorString(message, sizeof message);
  CHECK(strcmp(message, "the variant pack lacks tensor uid 3") == 0);
  CHECK_OK(cudnnBackendDestroyDescriptor(pack));
  CHECK_OK(cudnnBackendDestroyDescriptor(plan));
  free_configs(configs);
  conv_graph_free(&graph);
  CHECK_OK(cudaFree(x));
  CHECK_OK(cudaFree(w));
}

// A captured convolution runs again with what its buffers then hold.
static void test_capture(void) {
  conv_shape s = {1, 1, 1, 2, 1, 1, 1, 0, 1, 1, 1};
  float x[2] = {2, 3}, w = 4, y[2];
  void *dx = to_device(x, sizeof x), *dw = to_device(&w, sizeof w), *dy = device_bytes(sizeof y);
  cudaStream_t stream;
  cudaGraph_t captured;
  cudaGraphExec_t exec;
  CHECK_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  CHECK_OK(cudnnSetStream(handle, stream));
  conv_graph graph = conv_graph_build(CONV_FORWARD, &s, CUDNN_DATA_FLOAT, handle, 0);
  descriptor configs[MAX_CONFIGS];
  find_configs(graph.graph, CUDNN_HEUR_MODE_A, configs);
  descriptor plan = new_plan(configs[0]);
  descriptor pack = new_pack(3, (int64_t[]){CONV_X, CONV_W, CONV_Y}, (void *[]){dx, dw, dy});
  CHECK_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  CHECK_OK(cudnnBackendExecute(handle, plan, pack));
  CHECK_OK(cudaStreamEndCapture(stream, &captured));
  CHECK_OK(cudaGraphInstantiate(&exec, captured, 0));
  for (int i = 1; i <= 3; i++) {
    w = (float)i;
    CHECK_OK(cudaMemcpy(dw, &w, sizeof w, cudaMemcpyHostToDevice));
    CHECK_OK(cudaGraphLaunch(exec, stream));
    from_device(y, dy, sizeof y);
    CHECK(y[0] == 2 * w && y[1] == 3 * w);
  }
  CHECK_OK(cudaGraphExecDestroy(exec));
  CHECK_OK(cudaGraphDestroy(captured));
  CHECK_OK(cudnnSetStream(handle, NULL));
  CHECK_OK(cudaStreamDestroy(stream));
  CHECK_OK(cudnnBackendDestroyDescriptor(pack));
  CHECK_OK(cudnnBackendDestroyDescriptor(plan));
  free_configs(configs);
  conv_graph_free(&graph);
  CHECK_OK(cudaFree(dx));
  CHECK_OK(cudaFree(dw));
  CHECK_OK(cudaFree(dy));
}

int main(void) {
  CHECK_OK(cudnnCreate(&handle));
  CHECK(cudnnGetVersion() == CUDNN_VERSION);
  workspace = device_bytes(WORKSPACE);
  test_passes();
  test_engines();
  test_determinism();
  test_refusals();
  test_capture();
  CHECK_OK(cudaFree(workspace));
  CHECK_OK(cudnnDestroy(handle));
  CHECK(co_double_count().live_objects == 0);
  puts("ok");
  return 0;
}
