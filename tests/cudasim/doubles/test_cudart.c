// SPDX-License-Identifier: Apache-2.0
// The double of libcudart does what the runtime promises: order, events, captures, faults.
#include <string.h>

#include "check.h"
#include "cuda_double.h"

// A "kernel": to[i] = from[i] + add
typedef struct add_kernel {
  float *to;
  const float *from;
  float add;
  size_t count;
} add_kernel;

static int destroyed;

static void run_add(void *closure) {
  const add_kernel *k = closure;
  for (size_t i = 0; i < k->count; i++)
    k->to[i] = k->from[i] + k->add;
}

static void destroy_add(void *closure) {
  destroyed++;
  free(closure);
}

static void launch_add(cudaStream_t stream, float *to, const float *from, float add, size_t count) {
  add_kernel *k = malloc(sizeof *k);
  CHECK(k != NULL);
  *k = (add_kernel){to, from, add, count};
  co_double_enqueue(stream, run_add, destroy_add, k);
}

static cudaStream_t new_stream(void) {
  cudaStream_t stream;
  CHECK_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

static cudaEvent_t new_event(void) {
  cudaEvent_t event;
  CHECK_OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return event;
}

static void test_device(void) {
  int count = -1, device = -1, driver, runtime, value;
  CHECK_OK(cudaGetDeviceCount(&count));
  CHECK(count == 1);
  CHECK_OK(cudaGetDevice(&device));
  CHECK(device == 0);
  CHECK_STATUS(cudaSetDevice(1), cudaErrorInvalidDevice);
  CHECK_STATUS(cudaGetLastError(), cudaErrorInvalidDevice);
  CHECK_STATUS(cudaGetLastError(), cudaSuccess);
  CHECK_OK(cudaDriverGetVersion(&driver));
  CHECK_OK(cudaRuntimeGetVersion(&runtime));
  CHECK(driver == CUDART_VERSION && runtime == CUDART_VERSION);
  struct cudaDeviceProp properties;
  CHECK_OK(cudaGetDeviceProperties(&properties, 0));
  CHECK(properties.major == 9 && properties.minor == 0 && properties.warpSize == 32);
  CHECK_OK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
  CHECK(value == properties.multiProcessorCount);
  CHECK(strcmp(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation") == 0);

  setenv("COHORT_SIM_CAPABILITY", "7.5", 1);
  CHECK_OK(cudaGetDeviceProperties(&properties, 0));
  CHECK(properties.major == 7 && properties.minor == 5);
  unsetenv("COHORT_SIM_CAPABILITY");
  setenv("COHORT_SIM_DEVICES", "0", 1);
  count = -1;
  CHECK_STATUS(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  CHECK(count == 0);
  unsetenv("COHORT_SIM_DEVICES");
  setenv("COHORT_SIM_DRIVER", "0", 1);
  count = -1;
  CHECK_STATUS(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
  CHECK(count == -1);
  CHECK_OK(cudaDriverGetVersion(&driver));
  CHECK(driver == 0);
  unsetenv("COHORT_SIM_DRIVER");
  cudaGetLastError();
}

static void test_memory(void) {
  size_t before, after, total;
  CHECK_OK(cudaMemGetInfo(&before, &total));
  float *block = device_bytes(1000 * sizeof *block), host[1000], back[1000];
  CHECK((uintptr_t)block % 256 == 0);
  CHECK_OK(cudaMemGetInfo(&after, &total));
  CHECK(before - after == sizeof host);
  from_device(back, block, sizeof back);
  CHECK(isnan(back[0]) && isnan(back[999])); // fresh memory is NaN
  fill_numbers(host, 1000);
  CHECK_OK(cudaMemcpy(block, host, sizeof host, cudaMemcpyHostToDevice));
  from_device(back, block, sizeof back);
  CHECK(memcmp(host, back, sizeof host) == 0);
  CHECK_OK(cudaMemset(block, 0, sizeof host));
  from_device(back, block, sizeof back);
  CHECK(back[0] == 0 && back[999] == 0);
  struct cudaPointerAttributes attributes;
  CHECK_OK(cudaPointerGetAttributes(&attributes, block));
  CHECK(attributes.type == cudaMemoryTypeDevice);
  CHECK_OK(cudaFree(block));
  CHECK_OK(cudaFree(NULL));

  setenv("COHORT_SIM_MEMORY", "1000000", 1);
  void *pointer;
  CHECK_STATUS(cudaMalloc(&pointer, 2000000), cudaErrorMemoryAllocation);
  CHECK(pointer == NULL);
  unsetenv("COHORT_SIM_MEMORY");
  co_double_fail_alloc(2);
  CHECK_OK(cudaMalloc(&pointer, 16));
  CHECK_OK(cudaFree(pointer));
  CHECK_STATUS(cudaMalloc(&pointer, 16), cudaErrorMemoryAllocation);
  CHECK_OK(cudaMalloc(&pointer, 16));
  CHECK_OK(cudaFree(pointer));
  cudaGetLastError();
}

static void test_streams_and_events(void) {
  enum { N = 64 };
  cudaStream_t one = new_stream(), two = new_stream();
  cudaEvent_t event = new_event();
  float *a = device_bytes(N * sizeof *a), *b = device_bytes(N * sizeof *b), *pinned;
  CHECK_OK(cudaMallocHost((void **)&pinned, N * sizeof *pinned));
  CHECK_OK(cudaEventSynchronize(event)); // never recorded
  for (uint64_t seed = 0; seed < 30; seed++) {
    co_double_set_seed(seed);
    CHECK_OK(cudaMemsetAsync(a, 0, N * sizeof *a, one));
    launch_add(one, a, a, 1, N);
    CHECK_OK(cudaEventRecord(event, one));
    CHECK_OK(cudaStreamWaitEvent(two, event, 0));
    launch_add(two, b, a, 10, N);
    CHECK_OK(cudaMemcpyAsync(pinned, b, N * sizeof *b, cudaMemcpyDeviceToHost, two));
    CHECK_OK(cudaStreamSynchronize(two));
    CHECK(pinned[0] == 11 && pinned[N - 1] == 11);
    while (cudaStreamQuery(one) == cudaErrorNotReady)
      continue;
    CHECK_OK(cudaEventQuery(event));
  }
  // Without the event the second stream reads NaN under some seed.
  int wrong = 0;
  for (uint64_t seed = 0; seed < 30; seed++) {
    co_double_set_seed(seed);
    CHECK_OK(cudaMemset(a, 0xFF, N * sizeof *a));
    CHECK_OK(cudaDeviceSynchronize());
    CHECK_OK(cudaMemsetAsync(a, 0, N * sizeof *a, one));
    launch_add(two, b, a, 10, N);
    CHECK_OK(cudaMemcpyAsync(pinned, b, N * sizeof *b, cudaMemcpyDeviceToHost, two));
    CHECK_OK(cudaDeviceSynchronize());
    wrong += isnan(pinned[0]);
  }
  CHECK(wrong > 0);
  co_double_set_seed(0);
  CHECK_OK(cudaFreeHost(pinned));
  CHECK_OK(cudaFree(a));
  CHECK_OK(cudaFree(b));
  CHECK_OK(cudaEventDestroy(event));
  CHECK_OK(cudaStreamDestroy(one));
  CHECK_OK(cudaStreamDestroy(two));
}

// The legacy stream waits for blocking streams, not for others.
static void test_legacy_stream(void) {
  cudaStream_t blocking, free_running = new_stream();
  CHECK_OK(cudaStreamCreate(&blocking));
  float *a = device_bytes(4), value;
  CHECK_OK(cudaMemsetAsync(a, 0, 4, blocking));
  CHECK_OK(cudaMemcpy(&value, a, 4, cudaMemcpyDeviceToHost));
  CHECK(value == 0);
  CHECK_OK(cudaMemset(a, 0xFF, 4));
  CHECK_OK(cudaDeviceSynchronize());
  int unordered = 0;
  for (uint64_t seed = 0; seed < 30; seed += 3) {
    co_double_set_seed(seed);
    CHECK_OK(cudaMemset(a, 0xFF, 4));
    CHECK_OK(cudaDeviceSynchronize());
    CHECK_OK(cudaMemsetAsync(a, 0, 4, free_running));
    CHECK_OK(cudaMemcpy(&value, a, 4, cudaMemcpyDeviceToHost));
    unordered += isnan(value);
    CHECK_OK(cudaDeviceSynchronize());
  }
  CHECK(unordered > 0);
  float *b = device_bytes(4);
  for (uint64_t seed = 0; seed < 30; seed++) {
    co_double_set_seed(seed);
    CHECK_OK(cudaMemset(a, 0xFF, 4));
    CHECK_OK(cudaMemset(a, 0, 4));
    launch_add(blocking, b, a, 1, 1);
    CHECK_OK(cudaMemset(a, 0xFF, 4));
    CHECK_OK(cudaMemcpy(&value, b, 4, cudaMemcpyDeviceToHost));
    CHECK(value == 1);
  }
  CHECK_OK(cudaFree(b));
  co_double_set_seed(0);
  CHECK_OK(cudaFree(a));
  CHECK_OK(cudaStreamDestroy(blocking));
  CHECK_OK(cudaStreamDestroy(free_running));
}

static void test_graph(void) {
  enum { N = 8, REPLAYS = 5 };
  cudaStream_t stream = new_stream(), side = new_stream();
  cudaEvent_t fork = new_event(), join = new_event();
  float *a = device_bytes(N * sizeof *a), *b = device_bytes(N * sizeof *b), *pinned;
  CHECK_OK(cudaMallocHost((void **)&pinned, N * sizeof *pinned));
  CHECK_OK(cudaMemset(a, 0, N * sizeof *a));
  CHECK_OK(cudaDeviceSynchronize());
  destroyed = 0;
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  enum cudaStreamCaptureStatus status;
  CHECK_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  launch_add(stream, a, a, 1, N);
  CHECK_OK(cudaEventRecord(fork, stream));
  CHECK_OK(cudaStreamWaitEvent(side, fork, 0));
  launch_add(side, b, a, 100, N);
  CHECK_OK(cudaStreamIsCapturing(side, &status));
  CHECK(status == cudaStreamCaptureStatusActive);
  CHECK_OK(cudaEventRecord(join, side));
  CHECK_OK(cudaStreamWaitEvent(stream, join, 0));
  CHECK_OK(cudaMemcpyAsync(pinned, b, N * sizeof *b, cudaMemcpyDeviceToHost, stream));
  CHECK_OK(cudaStreamEndCapture(stream, &graph));
  size_t nodes = 0;
  CHECK_OK(cudaGraphGetNodes(graph, NULL, &nodes));
  CHECK(nodes == 3);
  cudaGraphNode_t node[3];
  enum cudaGraphNodeType type;
  CHECK_OK(cudaGraphGetNodes(graph, node, &nodes));
  CHECK_OK(cudaGraphNodeGetType(node[2], &type));
  CHECK(type == cudaGraphNodeTypeMemcpy);
  CHECK_OK(cudaGraphInstantiate(&exec, graph, 0));
  CHECK_OK(cudaGraphDestroy(graph));
  float value;
  from_device(&value, a, sizeof value);
  CHECK(value == 0); // capture runs nothing
  for (int i = 0; i < REPLAYS; i++) {
    co_double_set_seed((uint64_t)i);
    CHECK_OK(cudaGraphLaunch(exec, stream));
  }
  CHECK_OK(cudaGraphExecDestroy(exec)); // in flight: lives until done
  CHECK_OK(cudaStreamSynchronize(stream));
  CHECK(pinned[0] == 100 + REPLAYS && pinned[N - 1] == 100 + REPLAYS);
  CHECK(destroyed == 2);
  co_double_set_seed(0);
  CHECK_OK(cudaFreeHost(pinned));
  CHECK_OK(cudaFree(a));
  CHECK_OK(cudaFree(b));
  CHECK_OK(cudaEventDestroy(fork));
  CHECK_OK(cudaEventDestroy(join));
  CHECK_OK(cudaStreamDestroy(stream));
  CHECK_OK(cudaStreamDestroy(side));
}

// Each forbidden call returns its error and makes the capture void.
static void expect_void(cudaStream_t stream, cudaError_t got, cudaError_t wanted) {
  cudaGraph_t graph;
  CHECK_STATUS(got, wanted);
  CHECK_STATUS(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
  CHECK(graph == NULL);
  cudaGetLastError();
}

static void test_capture_rules(void) {
  cudaStream_t stream = new_stream(), side = new_stream();
  cudaEvent_t event = new_event(), outside = new_event();
  float *a = device_bytes(64), host[16] = {0};
  void *pointer;
  cudaGraph_t graph;
  const enum cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  CHECK_OK(cudaEventRecord(outside, side));
  CHECK_OK(cudaStreamBeginCapture(stream, mode));
  expect_void(stream, cudaStreamSynchronize(stream), cudaErrorStreamCaptureUnsupported);
  CHECK_OK(cudaStreamBeginCapture(stream, mode));
  expect_void(stream, cudaMalloc(&pointer, 4), cudaErrorStreamCaptureUnsupported);
  CHECK_OK(cudaStreamBeginCapture(stream, mode));
  expect_void(stream, cudaFree(a), cudaErrorStreamCaptureUnsupported);
  CHECK_OK(cudaStreamBeginCapture(stream, mode));
  expect_void(stream, cudaMemcpyAsync(a, host, 64, cudaMemcpyHostToDevice, stream),
              cudaErrorStreamCaptureUnsupported); // pageable
  CHECK_OK(cudaStreamBeginCapture(stream, mode));
  expect_void(stream, cudaMemcpy(a, host, 64, cudaMemcpyHostToDevice),
              cudaErrorStreamCaptureUnsupported);
  CHECK_OK(cudaStreamBeginCapture(stream, mode));
  expect_void(stream, cudaMemsetAsync(a, 0, 64, NULL), cudaErrorStreamCaptureImplicit);
  CHECK_OK(cudaStreamBeginCapture(stream, mode));
  expect_void(stream, cudaStreamWaitEvent(stream, outside, 0), cudaErrorStreamCaptureIsolation);
  CHECK_OK(cudaStreamBeginCapture(stream, mode));
  CHECK_OK(cudaEventRecord(event, stream));
  expect_void(stream, cudaEventQuery(event), cudaErrorCapturedEvent);
  // A branch that never comes back.
  CHECK_OK(cudaStreamBeginCapture(stream, mode));
  CHECK_OK(cudaEventRecord(event, stream));
  CHECK_OK(cudaStreamWaitEvent(side, event, 0));
  launch_add(side, a, a, 1, 1);
  CHECK_STATUS(cudaStreamEndCapture(side, &graph), cudaErrorStreamCaptureUnmatched);
  CHECK_STATUS(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureUnjoined);
  CHECK_STATUS(cudaStreamEndCapture(stream, &graph), cudaErrorIllegalState);
  CHECK_STATUS(cudaStreamBeginCapture(NULL, mode), cudaErrorStreamCaptureUnsupported);
  cudaGetLastError();
  // Relaxed mode lets memory be allocated.
  CHECK_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  CHECK_OK(cudaMalloc(&pointer, 4));
  CHECK_OK(cudaStreamEndCapture(stream, &graph));
  CHECK_OK(cudaGraphDestroy(graph));
  CHECK_OK(cudaFree(pointer));
  CHECK_OK(cudaFree(a));
  CHECK_OK(cudaEventDestroy(event));
  CHECK_OK(cudaEventDestroy(outside));
  CHECK_OK(cudaStreamDestroy(stream));
  CHECK_OK(cudaStreamDestroy(side));
}

static void increment(void *data) {
  ++*(int *)data;
}

static void test_host_function(void) {
  cudaStream_t stream = new_stream();
  int calls = 0;
  CHECK_OK(cudaLaunchHostFunc(stream, increment, &calls));
  CHECK(calls == 0);
  CHECK_OK(cudaStreamSynchronize(stream));
  CHECK(calls == 1);
  CHECK_OK(cudaStreamDestroy(stream));
}

static void test_lost_device(void) {
  cudaStream_t stream = new_stream();
  float *a = device_bytes(4);
  void *pointer;
  CHECK_OK(cudaMemset(a, 0, 4));
  co_double_fail_launch(2);
  launch_add(stream, a, a, 1, 1);
  launch_add(stream, a, a, 1, 1);
  CHECK_STATUS(cudaGetLastError(), cudaSuccess); // not yet: work is asynchronous
  CHECK_STATUS(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
  CHECK_STATUS(cudaGetLastError(), cudaErrorLaunchFailure);
  CHECK_STATUS(cudaGetLastError(), cudaErrorLaunchFailure); // sticky
  CHECK_STATUS(cudaMalloc(&pointer, 4), cudaErrorLaunchFailure);
  CHECK_STATUS(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  CHECK_STATUS(cudaFree(a), cudaErrorLaunchFailure);
  CHECK_STATUS(cudaStreamDestroy(stream), cudaErrorLaunchFailure);
  co_double_revive();
  CHECK(co_double_count().live_objects == 0);
}

int main(void) {
  test_device();
  test_memory();
  test_streams_and_events();
  test_legacy_stream();
  test_graph();
  test_capture_rules();
  test_host_function();
  CHECK(co_double_count().live_objects == 0);
  test_lost_device();
  puts("ok");
  return 0;
}
