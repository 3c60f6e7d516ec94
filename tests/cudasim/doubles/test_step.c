// SPDX-License-Identifier: Apache-2.0
// A training step made of library calls only: linear regression by gradient descent, captured as
// a graph and replayed; then the same product once more as a convolution. Also linked with the
// real libraries and run on the doubles by LD_LIBRARY_PATH, so it uses no function that only the
// doubles have.
#include <cublas_v2.h>
#include <string.h>

#include "check.h"
#include "tests/cudasim/conv_graph.h"

enum { ROWS = 32, INPUTS = 4, OUTPUTS = 2, STEPS = 300 };

static cudnnBackendDescriptor_t make(cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t d;
  CHECK_OK(cudnnBackendCreateDescriptor(type, &d));
  return d;
}

static void set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values) {
  CHECK_OK(cudnnBackendSetAttribute(d, name, type, count, values));
}

// z = x * w as a 1x1 convolution of ROWS images of one pixel.
static void convolve(cudaStream_t stream, void *x, void *w, void *z) {
  const conv_shape shape = {ROWS, INPUTS, 1, 1, OUTPUTS, 1, 1, 0, 1, 1, 1};
  const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_FALLBACK;
  cudnnHandle_t handle;
  int64_t count, bytes;
  CHECK_OK(cudnnCreate(&handle));
  CHECK_OK(cudnnSetStream(handle, stream));
  conv_graph graph = conv_graph_build(CONV_FORWARD, &shape, CUDNN_DATA_FLOAT, handle, 0);
  CHECK_OK(graph.status);
  cudnnBackendDescriptor_t heuristics = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  set(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
      &graph.graph);
  set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  CHECK_OK(cudnnBackendFinalize(heuristics));
  cudnnBackendDescriptor_t config = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  CHECK_OK(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &config));
  CHECK(count == 1);
  cudnnBackendDescriptor_t plan = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config);
  CHECK_OK(cudnnBackendFinalize(plan));
  CHECK_OK(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                    CUDNN_TYPE_INT64, 1, &count, &bytes));
  void *workspace = bytes > 0 ? device_bytes((size_t)bytes) : NULL;
  cudnnBackendDescriptor_t pack = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3,
      (int64_t[]){CONV_X, CONV_W, CONV_Y});
  set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, (void *[]){x, w, z});
  set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  CHECK_OK(cudnnBackendFinalize(pack));
  CHECK_OK(cudnnBackendExecute(handle, plan, pack));
  CHECK_OK(cudaStreamSynchronize(stream));
  cudnnBackendDescriptor_t all[] = {pack, plan, config, heuristics};
  for (int i = 0; i < 4; i++)
    CHECK_OK(cudnnBackendDestroyDescriptor(all[i]));
  conv_graph_free(&graph);
  CHECK_OK(cudaFree(workspace));
  CHECK_OK(cudnnDestroy(handle));
}

int main(void) {
  float x[ROWS * INPUTS], truth[INPUTS * OUTPUTS], t[ROWS * OUTPUTS], w[INPUTS * OUTPUTS] = {0};
  float one = 1, minus_one = -1, rate = -0.05f, z[ROWS * OUTPUTS], residue[ROWS * OUTPUTS];
  fill_numbers(x, ROWS * INPUTS);
  fill_numbers(truth, INPUTS * OUTPUTS);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < OUTPUTS; j++) {
      t[i * OUTPUTS + j] = 0;
      for (int k = 0; k < INPUTS; k++)
        t[i * OUTPUTS + j] += x[i * INPUTS + k] * truth[j * INPUTS + k];
    }
  // Row-major x (ROWS, INPUTS), t and z (ROWS, OUTPUTS), w (OUTPUTS, INPUTS).
  cudaStream_t stream;
  cublasHandle_t handle;
  CHECK_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  CHECK_OK(cublasCreate(&handle));
  CHECK_OK(cublasSetStream(handle, stream));
  void *workspace = device_bytes(1 << 20);
  CHECK_OK(cublasSetWorkspace(handle, workspace, 1 << 20));
  float *dx = to_device(x, sizeof x), *dt = to_device(t, sizeof t), *dw = to_device(w, sizeof w);
  float *dz = device_bytes(sizeof z);
  CHECK_OK(cudaDeviceSynchronize());

  cudaGraph_t graph;
  cudaGraphExec_t exec;
  CHECK_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  CHECK_OK(cudaMemcpyAsync(dz, dt, sizeof z, cudaMemcpyDeviceToDevice, stream));
  CHECK_OK(cublasSgemm(handle, CUBLAS_OP_T, CUBLAS_OP_N, OUTPUTS, ROWS, INPUTS, &one, dw, INPUTS,
                       dx, INPUTS, &minus_one, dz, OUTPUTS)); // z = x w' - t
  CHECK_OK(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_T, INPUTS, OUTPUTS, ROWS, &rate, dx, INPUTS,
                       dz, OUTPUTS, &one, dw, INPUTS)); // w -= rate * z' x
  CHECK_OK(cudaStreamEndCapture(stream, &graph));
  CHECK_OK(cudaGraphInstantiate(&exec, graph, 0));
  for (int i = 0; i < STEPS; i++)
    CHECK_OK(cudaGraphLaunch(exec, stream));
  CHECK_OK(cudaStreamSynchronize(stream));
  from_device(w, dw, sizeof w);
  from_device(residue, dz, sizeof residue);
  for (int i = 0; i < INPUTS * OUTPUTS; i++)
    CHECK(fabsf(w[i] - truth[i]) < 1e-4f);
  CHECK(fabsf(residue[0]) < 1e-4f);

  convolve(stream, dx, dw, dz);
  from_device(z, dz, sizeof z);
  for (int i = 0; i < ROWS * OUTPUTS; i++)
    CHECK(fabsf(z[i] - t[i]) < 1e-3f);

  CHECK_OK(cudaGraphExecDestroy(exec));
  CHECK_OK(cudaGraphDestroy(graph));
  CHECK_OK(cublasDestroy(handle));
  CHECK_OK(cudaStreamDestroy(stream));
  void *blocks[] = {workspace, dx, dt, dw, dz};
  for (int i = 0; i < 5; i++)
    CHECK_OK(cudaFree(blocks[i]));
  puts("ok");
  return 0;
}
