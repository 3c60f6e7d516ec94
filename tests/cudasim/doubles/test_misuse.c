// SPDX-License-Identifier: Apache-2.0
// Plants one mistake after the other, each in a process of its own, and checks that the doubles
// catch it with the right message.
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cudnn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "cuda_double.h"

enum { LEAK_EXIT_CODE = 97, SEEN = 42, OUTPUT_BYTES = 1 << 16 };

static const float one = 1, zero = 0;

static cudaStream_t new_stream(void) {
  cudaStream_t stream;
  CHECK_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

static void sgemm(int lda, const void *a, const void *b, void *c, const float *alpha) {
  cublasHandle_t handle;
  CHECK_OK(cublasCreate(&handle));
  CHECK_OK(
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, alpha, a, lda, b, 4, &zero, c, 4));
  CHECK_OK(cudaDeviceSynchronize());
}

static void wrong_leading_dimension(void) {
  sgemm(5, device_bytes(64), device_bytes(64), device_bytes(64), &one);
}

static void host_pointer_as_matrix(void) {
  float host[16] = {0};
  sgemm(4, host, device_bytes(64), device_bytes(64), &one);
}

static void freed_matrix(void) {
  void *a = device_bytes(64);
  CHECK_OK(cudaFree(a));
  sgemm(4, a, device_bytes(64), device_bytes(64), &one);
}

static void device_scalar(void) {
  sgemm(4, device_bytes(64), device_bytes(64), device_bytes(64), device_bytes(4));
}

static void result_overlaps_input(void) {
  char *a = device_bytes(128);
  sgemm(4, a, device_bytes(64), a + 16, &one);
}

static void capture_without_workspace(void) {
  cublasHandle_t handle;
  cudaStream_t stream = new_stream();
  float *a = device_bytes(64);
  CHECK_OK(cublasCreate(&handle));
  CHECK_OK(cublasSetWorkspace(handle, device_bytes(256), 256));
  CHECK_OK(cublasSetStream(handle, stream)); // forgets the workspace
  CHECK_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a, 1, a + 1, 1, &zero, a + 2, 1);
}

static void conjugate_transpose(void) {
  cublasHandle_t handle;
  float *a = device_bytes(64);
  CHECK_OK(cublasCreate(&handle));
  cublasSgemm(handle, CUBLAS_OP_C, CUBLAS_OP_N, 1, 1, 1, &one, a, 1, a + 1, 1, &zero, a + 2, 1);
}

static void destroyed_handle(void) {
  cublasHandle_t handle;
  CHECK_OK(cublasCreate(&handle));
  CHECK_OK(cublasDestroy(handle));
  cublasSetStream(handle, NULL);
}

static void wrong_kind_of_handle(void) {
  cublasHandle_t handle;
  CHECK_OK(cublasCreate(&handle));
  cudaStreamSynchronize((cudaStream_t)handle);
}

static void workspace_as_storage(void) {
  cublasHandle_t handle;
  float *a = device_bytes(64), *workspace = device_bytes(256), value;
  CHECK_OK(cublasCreate(&handle));
  CHECK_OK(cublasSetWorkspace(handle, workspace, 256));
  CHECK_OK(cudaMemset(workspace, 0, 256));
  CHECK_OK(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a, 1, a + 1, 1, &zero,
                       a + 2, 1));
  from_device(&value, workspace + 10, sizeof value);
  if (isnan(value)) _exit(SEEN);
}

static void gelu_epilogue(void) {
  cublasLtHandle_t handle;
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t layout;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_GELU;
  float *a = device_bytes(64);
  CHECK_OK(cublasLtCreate(&handle));
  CHECK_OK(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  CHECK_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                          sizeof epilogue));
  CHECK_OK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 1, 1, 1));
  cublasLtMatmul(handle, desc, &one, a, layout, a, layout, &zero, a, layout, a, layout, NULL, NULL,
                 0, NULL);
}

// Two products on two branches of a capture, with scratch memory each, or with one for both.
static void branches(bool share) {
  cublasLtHandle_t handle;
  cudaStream_t stream, side;
  cudaEvent_t event;
  cudaGraph_t graph;
  float *a = device_bytes(64), *d = device_bytes(512), *workspace = device_bytes(8192);
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t layout;
  CHECK_OK(cublasLtCreate(&handle));
  CHECK_OK(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  CHECK_OK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 1, 1, 1));
  cublasLtMatmulPreference_t preference;
  cublasLtMatmulHeuristicResult_t found;
  int count = 0;
  const size_t most = 4096;
  CHECK_OK(cublasLtMatmulPreferenceCreate(&preference));
  CHECK_OK(cublasLtMatmulPreferenceSetAttribute(
      preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most));
  CHECK_OK(cublasLtMatmulAlgoGetHeuristic(handle, desc, layout, layout, layout, layout, preference,
                                          1, &found, &count));
  CHECK(count == 1);
  CHECK_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  CHECK_OK(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking));
  CHECK_OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  CHECK_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  CHECK_OK(cudaEventRecord(event, stream));
  CHECK_OK(cudaStreamWaitEvent(side, event, cudaEventWaitDefault));
  for (int i = 0; i < 2; i++)
    CHECK_OK(cublasLtMatmul(handle, desc, &one, a, layout, a, layout, &zero, d + 64 * i, layout,
                            d + 64 * i, layout, &found.algo, workspace + (i && !share ? 1024 : 0),
                            4096, i ? side : stream));
  CHECK_OK(cudaEventRecord(event, side));
  CHECK_OK(cudaStreamWaitEvent(stream, event, cudaEventWaitDefault));
  CHECK_OK(cudaStreamEndCapture(stream, &graph));
}

static void branches_share_a_workspace(void) {
  branches(true);
}

static void branches_share_nothing(void) {
  branches(false);
  _exit(SEEN);
}

static void bias_out_of_range(void) {
  cublasLtHandle_t handle;
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t layout;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
  float *a = device_bytes(64), *d = device_bytes(64), *bias = device_bytes(12);
  CHECK_OK(cublasLtCreate(&handle));
  CHECK_OK(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  CHECK_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                          sizeof epilogue));
  CHECK_OK(
      cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
  CHECK_OK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 4, 4, 4));
  cublasLtMatmul(handle, desc, &one, a, layout, a, layout, &zero, d, layout, d, layout, NULL, NULL,
                 0, NULL);
}

// y = relu(x) of four floats, as a cuDNN graph
static void relu(void *x, void *y, int64_t alignment) {
  cudnnHandle_t handle;
  CHECK_OK(cudnnCreate(&handle));
#define NEW(d, kind) CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_##kind##_DESCRIPTOR, &(d)))
#define SET(d, name, type, count, values)                                                          \
  CHECK_OK(cudnnBackendSetAttribute(d, CUDNN_ATTR_##name, CUDNN_TYPE_##type, count, values))
  cudnnBackendDescriptor_t t[2], p, op, graph, heuristics, config, plan, pack;
  for (int64_t i = 0; i < 2; i++) {
    int64_t extents[4] = {1, 4, 1, 1}, strides[4] = {4, 1, 4, 4};
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    NEW(t[i], TENSOR);
    SET(t[i], TENSOR_UNIQUE_ID, INT64, 1, &i);
    SET(t[i], TENSOR_DATA_TYPE, DATA_TYPE, 1, &type);
    SET(t[i], TENSOR_DIMENSIONS, INT64, 4, extents);
    SET(t[i], TENSOR_STRIDES, INT64, 4, strides);
    SET(t[i], TENSOR_BYTE_ALIGNMENT, INT64, 1, &alignment);
    CHECK_OK(cudnnBackendFinalize(t[i]));
  }
  cudnnPointwiseMode_t mode = CUDNN_POINTWISE_RELU_FWD;
  cudnnDataType_t precision = CUDNN_DATA_FLOAT;
  NEW(p, POINTWISE);
  SET(p, POINTWISE_MODE, POINTWISE_MODE, 1, &mode);
  SET(p, POINTWISE_MATH_PREC, DATA_TYPE, 1, &precision);
  CHECK_OK(cudnnBackendFinalize(p));
  NEW(op, OPERATION_POINTWISE);
  SET(op, OPERATION_POINTWISE_PW_DESCRIPTOR, BACKEND_DESCRIPTOR, 1, &p);
  SET(op, OPERATION_POINTWISE_XDESC, BACKEND_DESCRIPTOR, 1, &t[0]);
  SET(op, OPERATION_POINTWISE_YDESC, BACKEND_DESCRIPTOR, 1, &t[1]);
  CHECK_OK(cudnnBackendFinalize(op));
  NEW(graph, OPERATIONGRAPH);
  SET(graph, OPERATIONGRAPH_HANDLE, HANDLE, 1, &handle);
  SET(graph, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, 1, &op);
  CHECK_OK(cudnnBackendFinalize(graph));
  cudnnBackendHeurMode_t heuristics_mode = CUDNN_HEUR_MODE_FALLBACK;
  int64_t count;
  NEW(heuristics, ENGINEHEUR);
  SET(heuristics, ENGINEHEUR_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, &graph);
  SET(heuristics, ENGINEHEUR_MODE, HEUR_MODE, 1, &heuristics_mode);
  CHECK_OK(cudnnBackendFinalize(heuristics));
  NEW(config, ENGINECFG);
  CHECK_OK(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &config));
  NEW(plan, EXECUTION_PLAN);
  SET(plan, EXECUTION_PLAN_HANDLE, HANDLE, 1, &handle);
  SET(plan, EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR, 1, &config);
  CHECK_OK(cudnnBackendFinalize(plan));
  NEW(pack, VARIANT_PACK);
  SET(pack, VARIANT_PACK_UNIQUE_IDS, INT64, 2, ((int64_t[]){0, 1}));
  SET(pack, VARIANT_PACK_DATA_POINTERS, VOID_PTR, 2, ((void *[]){x, y}));
  CHECK_OK(cudnnBackendFinalize(pack));
  CHECK_OK(cudnnBackendExecute(handle, plan, pack));
  CHECK_OK(cudaDeviceSynchronize());
#undef NEW
#undef SET
}

static void wrong_tensor_pointer(void) {
  relu(device_bytes(16), device_bytes(8), 4);
}

static void misaligned_tensor(void) {
  relu(device_bytes(16), (char *)device_bytes(64) + 4, 16);
}

static void unknown_attribute(void) {
  cudnnBackendDescriptor_t d;
  bool yes = true;
  CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &d));
  cudnnBackendSetAttribute(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &yes);
}

static void stale_descriptor(void) {
  cudnnBackendDescriptor_t d;
  CHECK_OK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &d));
  CHECK_OK(cudnnBackendDestroyDescriptor(d));
  cudnnBackendFinalize(d);
}

static void host_dereference(void) {
  volatile float *a = device_bytes(64);
  printf("%f\n", (double)a[3]);
}

static void leak(void) {
  setenv("COHORT_SIM_LEAKS", "1", 1);
  device_bytes(100);
  exit(0);
}

static void leaked_stream(void) {
  setenv("COHORT_SIM_LEAKS", "1", 1);
  new_stream();
  exit(0);
}

static void double_free(void) {
  void *a = device_bytes(64);
  CHECK_OK(cudaFree(a));
  cudaFree(a);
}

static void free_inside_block(void) {
  cudaFree((char *)device_bytes(1024) + 256);
}

static void write_at(void *closure) {
  *(volatile float *)closure = 1;
}

static void kernel_overrun(void) {
  co_double_enqueue(NULL, write_at, NULL, (float *)device_bytes(64) + 16);
  cudaDeviceSynchronize();
}

static void kernel_underrun(void) {
  co_double_enqueue(NULL, write_at, NULL, (float *)device_bytes(64) - 1);
  cudaDeviceSynchronize();
}

static void kernel_uses_freed_memory(void) {
  void *a = device_bytes(64);
  CHECK_OK(cudaFree(a));
  co_double_enqueue(NULL, write_at, NULL, a);
  cudaDeviceSynchronize();
}

static void missing_synchronisation(void) {
  cudaStream_t stream = new_stream();
  float *a = device_bytes(4), *pinned;
  CHECK_OK(cudaMallocHost((void **)&pinned, 4));
  *pinned = 1;
  CHECK_OK(cudaMemsetAsync(a, 0, 4, stream));
  CHECK_OK(cudaMemcpyAsync(pinned, a, 4, cudaMemcpyDeviceToHost, stream));
  if (isnan(*pinned)) _exit(SEEN);
}

static void source_changed_too_early(void) {
  cudaStream_t stream = new_stream();
  float *a = device_bytes(4), *pinned, value;
  CHECK_OK(cudaMallocHost((void **)&pinned, 4));
  *pinned = 1;
  CHECK_OK(cudaMemcpyAsync(a, pinned, 4, cudaMemcpyHostToDevice, stream));
  *pinned = 2;
  from_device(&value, a, sizeof value);
  if (value == 2) _exit(SEEN);
}

static void copy_past_the_end(void) {
  float host[32];
  cudaMemcpy(host, device_bytes(64), sizeof host, cudaMemcpyDeviceToHost);
}

static void copy_in_wrong_direction(void) {
  float host[16];
  cudaMemcpy(host, device_bytes(64), sizeof host, cudaMemcpyHostToDevice);
}

static void replay_with_freed_pinned_memory(void) {
  cudaStream_t stream = new_stream();
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  float *a = device_bytes(4), *pinned;
  CHECK_OK(cudaMallocHost((void **)&pinned, 4));
  CHECK_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  CHECK_OK(cudaMemcpyAsync(a, pinned, 4, cudaMemcpyHostToDevice, stream));
  CHECK_OK(cudaStreamEndCapture(stream, &graph));
  CHECK_OK(cudaGraphInstantiate(&exec, graph, 0));
  CHECK_OK(cudaFreeHost(pinned));
  cudaGraphLaunch(exec, stream);
}

static void call_cuda(void *data) {
  (void)data;
  cudaDeviceSynchronize();
}

static void call_from_host_function(void) {
  CHECK_OK(cudaLaunchHostFunc(NULL, call_cuda, NULL));
  cudaDeviceSynchronize();
}

static void out_of_memory(void) {
  setenv("COHORT_SIM_FAIL_ALLOC", "2", 1);
  void *pointer;
  CHECK_OK(cudaMalloc(&pointer, 4));
  if (cudaMalloc(&pointer, 4) == cudaErrorMemoryAllocation) _exit(SEEN);
}

static void device_lost(void) {
  setenv("COHORT_SIM_FAIL_LAUNCH", "1", 1);
  cublasHandle_t handle;
  float *a = device_bytes(64);
  CHECK_OK(cublasCreate(&handle));
  CHECK_OK(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a, 1, a + 1, 1, &zero,
                       a + 2, 1));
  CHECK_STATUS(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  CHECK_STATUS(
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a, 1, a + 1, 1, &zero, a + 2, 1),
      CUBLAS_STATUS_EXECUTION_FAILED);
  _exit(SEEN);
}

// A layer of one unit over one event of one row; its gradients alone where `backward`.
static void recurrent(bool backward, const int32_t *device_lengths, size_t less_workspace) {
  const int lengths[] = {1}, dim[] = {1, 1, 1}, stride[] = {1, 1, 1};
  cudnnHandle_t handle;
  cudnnRNNDescriptor_t cell;
  cudnnRNNDataDescriptor_t data;
  cudnnTensorDescriptor_t state;
  size_t weight_bytes, workspace_bytes, reserve_bytes;
  CHECK_OK(cudnnCreate(&handle));
  CHECK_OK(cudnnCreateRNNDescriptor(&cell));
  CHECK_OK(cudnnSetRNNDescriptor_v8(
      cell, CUDNN_RNN_ALGO_STANDARD, CUDNN_LSTM, CUDNN_RNN_SINGLE_INP_BIAS, CUDNN_UNIDIRECTIONAL,
      CUDNN_LINEAR_INPUT, CUDNN_DATA_FLOAT, CUDNN_DATA_FLOAT, CUDNN_FMA_MATH, 1, 1, 1, 1, NULL, 0));
  CHECK_OK(cudnnCreateRNNDataDescriptor(&data));
  CHECK_OK(cudnnSetRNNDataDescriptor(data, CUDNN_DATA_FLOAT, CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED,
                                     1, 1, 1, lengths, NULL));
  CHECK_OK(cudnnCreateTensorDescriptor(&state));
  CHECK_OK(cudnnSetTensorNdDescriptor(state, CUDNN_DATA_FLOAT, 3, dim, stride));
  CHECK_OK(cudnnGetRNNWeightSpaceSize(handle, cell, &weight_bytes));
  CHECK_OK(cudnnGetRNNTempSpaceSizes(handle, cell, CUDNN_FWD_MODE_TRAINING, data, &workspace_bytes,
                                     &reserve_bytes));
  float *x = device_bytes(4), *y = device_bytes(4);
  void *weights = device_bytes(weight_bytes), *workspace = device_bytes(workspace_bytes);
  void *reserve = device_bytes(reserve_bytes);
  workspace_bytes -= less_workspace;
  if (backward)
    cudnnRNNBackwardData_v8(handle, cell, NULL, data, y, x, data, device_bytes(4), state, NULL,
                            NULL, NULL, state, NULL, NULL, NULL, weight_bytes, weights,
                            workspace_bytes, workspace, reserve_bytes, reserve);
  else
    cudnnRNNForward(handle, cell, CUDNN_FWD_MODE_TRAINING, device_lengths, data, x, data, y, state,
                    NULL, NULL, state, NULL, NULL, weight_bytes, weights, workspace_bytes,
                    workspace, reserve_bytes, reserve);
  cudaDeviceSynchronize();
}

static void recurrent_backward_first(void) {
  recurrent(true, NULL, 0);
}

static void recurrent_device_lengths(void) {
  recurrent(false, device_bytes(4), 0);
}

static void recurrent_little_workspace(void) {
  recurrent(false, NULL, 1);
}

typedef enum outcome { DIES, LEAKS, VALUE_SEEN } outcome;

typedef struct misuse {
  const char *name;
  void (*plant)(void);
  outcome wanted;
  const char *text, *sanitizer_text; // the latter where the sanitizer comes first
} misuse;

#define PLANT(name) #name, name
static const misuse misuses[] = {
    {PLANT(wrong_leading_dimension), DIES, "cublasSgemm_v2: A=", NULL},
    {PLANT(host_pointer_as_matrix), DIES, "is no device pointer", NULL},
    {PLANT(freed_matrix), DIES, "was freed", NULL},
    {PLANT(device_scalar), DIES, "alpha=", NULL},
    {PLANT(result_overlaps_input), DIES, "C overlaps A or B", NULL},
    {PLANT(capture_without_workspace), DIES, "capture without cublasSetWorkspace", NULL},
    {PLANT(conjugate_transpose), DIES, "transa=2 not modelled", NULL},
    {PLANT(destroyed_handle), DIES, "is no live cuBLAS handle", NULL},
    {PLANT(wrong_kind_of_handle), DIES, "is a cuBLAS handle, not a stream", NULL},
    {PLANT(workspace_as_storage), VALUE_SEEN, "", NULL},
    {PLANT(gelu_epilogue), DIES, "epilogue=32 not modelled", NULL},
    {PLANT(bias_out_of_range), DIES, "bias pointer=", NULL},
    {PLANT(branches_share_a_workspace), DIES, "may run at the same time, and share memory", NULL},
    {PLANT(branches_share_nothing), VALUE_SEEN, "", NULL},
    {PLANT(wrong_tensor_pointer), DIES, "needs 16 bytes, its block of 8 bytes has 8 left", NULL},
    {PLANT(misaligned_tensor), DIES, "is not aligned to 16 bytes", NULL},
    {PLANT(unknown_attribute), DIES, "attributeName=908", NULL},
    {PLANT(stale_descriptor), DIES, "is no live cuDNN backend descriptor", NULL},
    {PLANT(recurrent_backward_first), DIES, "is not as cudnnRNNForward leaves it", NULL},
    {PLANT(recurrent_device_lengths), DIES, "devSeqLengths", NULL},
    {PLANT(recurrent_little_workspace), DIES, "workSpaceSize=4095 is too small", NULL},
    {PLANT(host_dereference), DIES, "HOST code dereferences a device pointer", NULL},
    {PLANT(leak), LEAKS, "leak: 100 bytes of device memory", NULL},
    {PLANT(leaked_stream), LEAKS, "leak: stream made by cudaStreamCreateWithFlags", NULL},
    {PLANT(double_free), DIES, "double free", NULL},
    {PLANT(free_inside_block), DIES, "is not the start of its block", NULL},
    {PLANT(kernel_overrun), DIES, "wrote outside a block of 64 bytes, at offset 64",
     "use-after-poison"},
    {PLANT(kernel_underrun), DIES, "wrote outside a block of 64 bytes, at offset -4",
     "use-after-poison"},
    {PLANT(kernel_uses_freed_memory), DIES, "device code touches memory that is not allocated",
     "use-after-poison"},
    {PLANT(missing_synchronisation), VALUE_SEEN, "", NULL},
    {PLANT(source_changed_too_early), VALUE_SEEN, "", NULL},
    {PLANT(copy_past_the_end), DIES, "src=", NULL},
    {PLANT(copy_in_wrong_direction), DIES, "dst=", NULL},
    {PLANT(replay_with_freed_pinned_memory), DIES, "pinned memory that was freed", NULL},
    {PLANT(call_from_host_function), DIES, "called from a host function", NULL},
    {PLANT(out_of_memory), VALUE_SEEN, "", NULL},
    {PLANT(device_lost), VALUE_SEEN, "injected launch failure", NULL},
};

// Runs the plant in a child; returns its wait status and what it printed on stderr.
static int run_child(const misuse *m, char *output) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  fflush(stdout);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    m->plant();
    _exit(0);
  }
  close(ends[1]);
  size_t length = 0;
  for (ssize_t n; (n = read(ends[0], output + length, OUTPUT_BYTES - 1 - length)) > 0;)
    length += (size_t)n;
  output[length] = '\0';
  close(ends[0]);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return status;
}

static bool caught(const misuse *m, int status, const char *output) {
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  bool ended_as_wanted = m->wanted == LEAKS        ? code == LEAK_EXIT_CODE
                         : m->wanted == VALUE_SEEN ? code == SEEN
                                                   : code != 0 && code != SEEN;
  bool said = strstr(output, m->text) != NULL ||
              (m->sanitizer_text != NULL && strstr(output, m->sanitizer_text) != NULL);
  return ended_as_wanted && said;
}

int main(void) {
  static char output[OUTPUT_BYTES];
  int failures = 0;
  unsetenv("COHORT_SIM_LEAKS");
  for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
    int status = run_child(&misuses[i], output);
    if (caught(&misuses[i], status, output)) continue;
    failures++;
    printf("NOT CAUGHT: %s (status %d)\n%s\n", misuses[i].name, status, output);
  }
  printf("%zu mistakes planted, %d not caught\n", sizeof misuses / sizeof *misuses, failures);
  return failures != 0;
}
