// SPDX-License-Identifier: Apache-2.0
// The CUDA backend: the device, choice among implementations, memory, recorded graphs.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/cuda.h"

#define FAIL(cuda, status, ...) (cuda)->host.fail((status), __VA_ARGS__)

co_status co_cuda_check(const co_cuda *cuda, cudaError_t error, const char *what) {
  if (error == cudaSuccess) return CO_OK;
  (void)cudaGetLastError(); // or the next launch reports it again
  co_status status =
      FAIL(cuda, CO_ERR_DEVICE, "%s: %s: %s", cuda->name, what, cudaGetErrorString(error));
  cuda->host.hint(
      "see nvidia-smi and the kernel's log; a training goes on from its last checkpoint "
      "with --resume");
  return status;
}

// Other libraries and threads may have another device current.
static void enter(const co_cuda *cuda) {
  if (!cuda->planning) (void)cudaSetDevice(cuda->device);
}

// ---- choice ------------------------------------------------------------------------------------

static const co_cuda_impl *implementation(co_op op, int i) {
  const co_cuda_impl *const tables[] = {co_cuda_cublas, co_cuda_cudnn, co_cuda_cudnn_rnn,
                                        co_cuda_kernels};
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
    for (const co_cuda_impl *impl = tables[t]; impl->name != NULL; impl++)
      if (impl->op == op && i-- == 0) return impl;
  return NULL;
}

co_status co_cuda_refuse(co_cuda_answer *answer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(answer->reason, sizeof answer->reason, format, arguments);
  va_end(arguments);
  return CO_ERR_DEVICE;
}

co_status co_cuda_prepared_create(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                                  size_t size, co_prepared **out) {
  co_prepared *prepared = cuda->host.alloc_zero(cuda->base.ctx, 1, size);
  if (prepared == NULL) return CO_ERR_MEMORY;
  prepared->impl = impl;
  prepared->desc = *desc;
  *out = prepared;
  return CO_OK;
}

static bool is_forced(const co_cuda *cuda, const co_cuda_impl *impl) {
  return strncmp(impl->name, cuda->force, strlen(cuda->force)) == 0;
}

static co_status choose_among(co_cuda *cuda, const co_op_desc *desc, bool forced, char *reason,
                              co_cuda_answer *answer, co_prepared **out) {
  char refused[CO_CUDA_REASON] = "";
  for (int i = 0;; i++) {
    const co_cuda_impl *impl = implementation(desc->op, i);
    if (impl == NULL) return CO_ERR_DEVICE;
    if (forced && !is_forced(cuda, impl)) continue;
    memset(answer, 0, sizeof *answer);
    answer->choice.implementation = impl->name;
    co_status status = impl->plan(cuda, impl, desc, answer, out);
    if (status == CO_OK) {
      status = co_cuda_tune(cuda, impl, desc, answer, out);
      answer->failed = status != CO_OK; // no refusal, whatever it is
      if (status != CO_OK || !refused[0]) return status;
      memcpy((*out)->refused, refused, sizeof refused);
      answer->choice.refused = (*out)->refused;
      return CO_OK;
    }
    if (status != CO_ERR_DEVICE || answer->failed) return status;
    (void)snprintf(reason, CO_CUDA_REASON, "%s", answer->reason);
    (void)snprintf(refused, sizeof refused, "%s: %.200s", impl->name, reason);
    cuda->host.log(cuda->base.ctx, CO_LOG_DEBUG, "choice", "op=%s refused_by=%s reason=\"%s\"",
                   cuda->host.op_name(desc->op), impl->name, reason);
    if (answer->accumulate) return status; // rather a temporary and an addition
  }
}

static co_status choose(co_cuda *cuda, const co_op_desc *desc, co_cuda_answer *answer,
                        co_prepared **out) {
  char reason[CO_CUDA_REASON] = "";
  co_status status = CO_ERR_DEVICE;
  enter(cuda);
  if (cuda->force[0]) status = choose_among(cuda, desc, true, reason, answer, out);
  if (status == CO_ERR_DEVICE && !(cuda->force[0] && answer->failed))
    status = choose_among(cuda, desc, false, reason, answer, out);
  if (status != CO_ERR_DEVICE || answer->failed) return status;
  return FAIL(cuda, CO_ERR_DEVICE, "%s: %s: %s", cuda->name, cuda->host.op_name(desc->op),
              reason[0] ? reason : "not there yet on CUDA");
}

static co_status check_bf16(const co_cuda *cuda, const co_op_desc *desc) {
  bool bf16 = false;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    bf16 = bf16 || (co_cuda_has_in(desc, i) && desc->in[i].dtype == CO_BF16) ||
           (co_cuda_has_out(desc, i) && desc->out[i].dtype == CO_BF16);
  if (!bf16 || cuda->capability >= 80) return CO_OK;
  co_status status =
      FAIL(cuda, CO_ERR_DEVICE, "%s: bf16 needs compute capability 8.0; this device has %d.%d",
           cuda->name, cuda->capability / 10, cuda->capability % 10);
  cuda->host.hint("use --precision tf32");
  return status;
}

static co_status query(co_backend *backend, const co_op_desc *desc, co_op_choice *out) {
  co_cuda *cuda = (co_cuda *)backend;
  co_cuda_answer answer;
  co_prepared *prepared = NULL;
  memset(out, 0, sizeof *out);
  CO_RETURN_IF_FAILED(cuda->host.check(desc));
  if (co_cuda_planned_find(cuda, desc, out, &prepared)) return CO_OK;
  CO_RETURN_IF_FAILED(check_bf16(cuda, desc));
  CO_RETURN_IF_FAILED(choose(cuda, desc, &answer, &prepared));
  CO_RETURN_IF_FAILED(co_cuda_planned_keep(cuda, desc, &answer.choice, prepared));
  *out = answer.choice;
  cuda->host.log(backend->ctx, CO_LOG_DEBUG, "choice", "op=%s implementation=%s",
                 cuda->host.op_name(desc->op), out->implementation);
  return CO_OK;
}

void co_cuda_release(co_cuda *cuda, co_prepared *prepared) {
  if (prepared->release) prepared->release(cuda, prepared);
  cuda->host.free(cuda->base.ctx, prepared);
}

// Prepared operations live in the cache.
static void release(co_backend *backend, co_prepared *prepared) {
  (void)backend, (void)prepared;
}

// Only what a query has offered, with the layouts and the scratch memory that it told of.
static co_status prepare(co_backend *backend, const co_op_desc *desc, co_prepared **out) {
  co_cuda *cuda = (co_cuda *)backend;
  co_op_choice choice;
  *out = NULL;
  CO_RETURN_IF_FAILED(cuda->host.check(desc));
  bool offered = co_cuda_planned_find(cuda, desc, &choice, out);
  for (int i = 0; offered && i < CO_OP_MAX_OPERANDS; i++) {
    if (co_cuda_has_in(desc, i)) offered = offered && desc->in[i].layout == choice.in[i];
    if (co_cuda_has_out(desc, i)) offered = offered && desc->out[i].layout == choice.out[i];
  }
  if (offered) return CO_OK;
  *out = NULL;
  return FAIL(cuda, CO_ERR_INTERNAL, "%s: %s was not offered so by a query", cuda->name,
              cuda->host.op_name(desc->op));
}

static co_status run(co_backend *backend, co_prepared *prepared, void *const *in, void *const *out,
                     void *workspace) {
  co_cuda *cuda = (co_cuda *)backend;
  const co_cuda_call call = {&prepared->desc,
                             in,
                             out,
                             workspace,
                             cuda->beside ? cuda->side : cuda->stream,
                             cuda->tickets + (cuda->beside ? CO_CUDA_TICKETS : 0)};
  enter(cuda);
  return prepared->run(cuda, prepared, &call);
}

static co_status wait_for(const co_cuda *cuda, cudaStream_t waiting, cudaEvent_t event) {
  return co_cuda_check(cuda, cudaStreamWaitEvent(waiting, event, cudaEventWaitDefault), "branch");
}

static co_status branch(co_backend *backend, co_branch to) {
  co_cuda *cuda = (co_cuda *)backend;
  const bool beside = to == CO_BRANCH_SIDE;
  if (cuda->beside == beside) return CO_OK;
  enter(cuda);
  cuda->beside = beside;
  cudaError_t error = beside ? cudaEventRecord(cuda->branched, cuda->stream)
                             : cudaEventRecord(cuda->joined, cuda->side);
  CO_RETURN_IF_FAILED(co_cuda_check(cuda, error, "branch"));
  return beside ? wait_for(cuda, cuda->side, cuda->branched) : CO_OK;
}

static co_status join(co_backend *backend) {
  co_cuda *cuda = (co_cuda *)backend;
  enter(cuda);
  return wait_for(cuda, cuda->stream, cuda->joined);
}

// ---- memory ------------------------------------------------------------------------------------

static size_t layout_bytes(co_backend *backend, const co_tensor_desc *desc) {
  (void)backend;
  const int64_t *dim = desc->shape.dim;
  if (desc->layout == CO_CUDA_LAYOUT_MASK)
    return (size_t)(dim[0] * (CO_CUDA_MASK_BITS(dim[1]) / 8));
  if (desc->layout == CO_CUDA_LAYOUT_ARGMAX) return (size_t)co_cuda_count(&desc->shape);
  if (desc->layout > CO_CUDA_LAYOUT_SAVED)
    return (size_t)(desc->layout - CO_CUDA_LAYOUT_SAVED) * CO_CUDA_ALIGNMENT;
  return co_cuda_bytes(desc);
}

static const char *layout_name(co_backend *backend, co_layout layout) {
  (void)backend;
  if (layout == CO_LAYOUT_CANONICAL) return "canonical";
  if (layout == CO_LAYOUT_ANY) return "any";
  if (layout == CO_CUDA_LAYOUT_MASK) return "mask";
  if (layout == CO_CUDA_LAYOUT_ARGMAX) return "argmax8";
  if (layout > CO_CUDA_LAYOUT_SAVED) return "cudnn";
  return layout == CO_CUDA_LAYOUT_OHWI ? "ohwi" : "unknown";
}

static co_status buffer_create(co_backend *backend, size_t bytes, void **out) {
  co_cuda *cuda = (co_cuda *)backend;
  *out = NULL;
  enter(cuda);
  cudaError_t error = cudaMalloc(out, bytes > 0 ? bytes : 1);
  if (error != cudaErrorMemoryAllocation) return co_cuda_check(cuda, error, "allocate");
  (void)cudaGetLastError();
  size_t available = 0, total = 0;
  const double MiB = 1 << 20;
  (void)cudaMemGetInfo(&available, &total);
  co_status status =
      FAIL(cuda, CO_ERR_MEMORY,
           "%s: out of memory: %zu bytes (%.1f MiB) asked for, %.1f of %.1f MiB free", cuda->name,
           bytes, (double)bytes / MiB, (double)available / MiB, (double)total / MiB);
  cuda->host.hint(
      "lower trainer.batch_size (raising trainer.accumulate_grad_batches as much keeps the updates "
      "what they are) or trainer.eval_batch_size, set trainer.precision to bf16, or close other "
      "programs that use the GPU");
  return status;
}

static void buffer_free(co_backend *backend, void *buffer) {
  enter((co_cuda *)backend);
  (void)cudaFree(buffer); // waits for work that uses it
}

static co_status not_in_capture(const co_cuda *cuda, const char *what) {
  if (!cuda->capturing) return CO_OK;
  return FAIL(cuda, CO_ERR_INTERNAL, "%s: %s while a graph is recorded", cuda->name, what);
}

// The host's memory is free for reuse on return, though the copy may still be under way.
static co_status upload(co_backend *backend, void *device, const void *host, size_t bytes) {
  co_cuda *cuda = (co_cuda *)backend;
  const char *from = host;
  char *to = device;
  CO_RETURN_IF_FAILED(not_in_capture(cuda, "upload"));
  enter(cuda);
  while (bytes > 0) {
    if (cuda->up.used == CO_CUDA_STAGING) {
      CO_RETURN_IF_FAILED(co_cuda_check(
          cuda, cudaEventRecord(cuda->up.copied[cuda->up.half], cuda->stream), "upload"));
      cuda->up.half ^= 1;
      cuda->up.used = 0;
      CO_RETURN_IF_FAILED(
          co_cuda_check(cuda, cudaEventSynchronize(cuda->up.copied[cuda->up.half]), "upload"));
    }
    size_t room = CO_CUDA_STAGING - cuda->up.used, piece = bytes < room ? bytes : room;
    char *staged = cuda->up.memory + (size_t)cuda->up.half * CO_CUDA_STAGING + cuda->up.used;
    memcpy(staged, from, piece);
    CO_RETURN_IF_FAILED(co_cuda_check(
        cuda, cudaMemcpyAsync(to, staged, piece, cudaMemcpyHostToDevice, cuda->stream), "upload"));
    size_t used = (cuda->up.used + piece + 15) / 16 * 16;
    cuda->up.used = used < CO_CUDA_STAGING ? used : CO_CUDA_STAGING;
    from += piece;
    to += piece;
    bytes -= piece;
  }
  return CO_OK;
}

static co_status download(co_backend *backend, void *host, const void *device, size_t bytes) {
  co_cuda *cuda = (co_cuda *)backend;
  const char *from = device;
  char *to = host;
  CO_RETURN_IF_FAILED(not_in_capture(cuda, "download"));
  enter(cuda);
  while (bytes > 0) {
    size_t piece = bytes < CO_CUDA_STAGING ? bytes : CO_CUDA_STAGING;
    CO_RETURN_IF_FAILED(co_cuda_check(
        cuda, cudaMemcpyAsync(cuda->down, from, piece, cudaMemcpyDeviceToHost, cuda->stream),
        "download"));
    CO_RETURN_IF_FAILED(co_cuda_check(cuda, cudaStreamSynchronize(cuda->stream), "download"));
    memcpy(to, cuda->down, piece);
    from += piece;
    to += piece;
    bytes -= piece;
  }
  return CO_OK;
}

static co_status fill_zero(co_backend *backend, void *device, size_t bytes) {
  co_cuda *cuda = (co_cuda *)backend;
  if (bytes == 0) return CO_OK;
  enter(cuda);
  return co_cuda_check(cuda, cudaMemsetAsync(device, 0, bytes, cuda->stream), "fill");
}

static co_status synchronize(co_backend *backend) {
  co_cuda *cuda = (co_cuda *)backend;
  CO_RETURN_IF_FAILED(not_in_capture(cuda, "synchronize"));
  enter(cuda);
  CO_RETURN_IF_FAILED(co_cuda_check(cuda, cudaStreamSynchronize(cuda->copies), "synchronize"));
  CO_RETURN_IF_FAILED(co_cuda_check(cuda, cudaStreamSynchronize(cuda->side), "synchronize"));
  return co_cuda_check(cuda, cudaStreamSynchronize(cuda->stream), "synchronize");
}

// ---- beside the host ---------------------------------------------------------------------------

static cudaStream_t queue_of(const co_cuda *cuda, co_queue queue) {
  return queue == CO_QUEUE_COPY ? cuda->copies : cuda->stream;
}

static co_status allocate_pinned(co_cuda *cuda, void **out, size_t bytes) {
  cudaError_t error = cudaMallocHost(out, bytes > 0 ? bytes : 1);
  if (error != cudaErrorMemoryAllocation)
    return co_cuda_check(cuda, error, "allocate pinned memory");
  (void)cudaGetLastError();
  co_status status = FAIL(cuda, CO_ERR_MEMORY, "%s: %zu bytes of pinned host memory cannot be had",
                          cuda->name, bytes);
  cuda->host.hint("see ulimit -l and the memory that the container may use, or use --device cpu");
  return status;
}

static co_status host_buffer_create(co_backend *backend, size_t bytes, void **out) {
  *out = NULL;
  enter((co_cuda *)backend);
  return allocate_pinned((co_cuda *)backend, out, bytes);
}

static void host_buffer_free(co_backend *backend, void *buffer) {
  enter((co_cuda *)backend);
  if (buffer) (void)cudaFreeHost(buffer);
}

static co_status copy_beside(co_backend *backend, co_queue queue, void *to, const void *from,
                             size_t bytes, enum cudaMemcpyKind kind, const char *what) {
  co_cuda *cuda = (co_cuda *)backend;
  CO_RETURN_IF_FAILED(not_in_capture(cuda, what));
  enter(cuda);
  return co_cuda_check(cuda, cudaMemcpyAsync(to, from, bytes, kind, queue_of(cuda, queue)), what);
}

static co_status send(co_backend *backend, co_queue queue, void *device, const void *host_buffer,
                      size_t bytes) {
  return copy_beside(backend, queue, device, host_buffer, bytes, cudaMemcpyHostToDevice, "send");
}

static co_status fetch(co_backend *backend, co_queue queue, void *host_buffer, const void *device,
                       size_t bytes) {
  return copy_beside(backend, queue, host_buffer, device, bytes, cudaMemcpyDeviceToHost, "fetch");
}

// A fence is an event.
static co_status fence_create(co_backend *backend, co_fence **out) {
  co_cuda *cuda = (co_cuda *)backend;
  cudaEvent_t event = NULL;
  enter(cuda);
  CO_RETURN_IF_FAILED(co_cuda_check(cuda, cudaEventCreateWithFlags(&event, cudaEventDisableTiming),
                                    "create an event"));
  *out = (co_fence *)event;
  return CO_OK;
}

static void fence_free(co_backend *backend, co_fence *fence) {
  enter((co_cuda *)backend);
  if (fence) (void)cudaEventDestroy((cudaEvent_t)fence);
}

static co_status fence_record(co_backend *backend, co_fence *fence, co_queue queue) {
  co_cuda *cuda = (co_cuda *)backend;
  CO_RETURN_IF_FAILED(not_in_capture(cuda, "a fence"));
  enter(cuda);
  return co_cuda_check(cuda, cudaEventRecord((cudaEvent_t)fence, queue_of(cuda, queue)), "fence");
}

static co_status fence_wait(co_backend *backend, co_fence *fence) {
  co_cuda *cuda = (co_cuda *)backend;
  CO_RETURN_IF_FAILED(not_in_capture(cuda, "waiting"));
  enter(cuda);
  return co_cuda_check(cuda, cudaEventSynchronize((cudaEvent_t)fence), "wait");
}

static co_status queue_wait(co_backend *backend, co_queue queue, co_fence *fence) {
  co_cuda *cuda = (co_cuda *)backend;
  CO_RETURN_IF_FAILED(not_in_capture(cuda, "waiting"));
  enter(cuda);
  return co_cuda_check(
      cuda, cudaStreamWaitEvent(queue_of(cuda, queue), (cudaEvent_t)fence, cudaEventWaitDefault),
      "wait");
}

static co_status memory_info(co_backend *backend, size_t *available, size_t *total) {
  co_cuda *cuda = (co_cuda *)backend;
  enter(cuda);
  return co_cuda_check(cuda, cudaMemGetInfo(available, total), "memory");
}

// ---- recorded graphs ---------------------------------------------------------------------------

static co_status capture_begin(co_backend *backend) {
  co_cuda *cuda = (co_cuda *)backend;
  CO_RETURN_IF_FAILED(not_in_capture(cuda, "a second recording"));
  enter(cuda);
  CO_RETURN_IF_FAILED(co_cuda_check(
      cuda, cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal), "record"));
  cuda->capturing = true;
  return CO_OK;
}

static co_status capture_end(co_backend *backend, void **graph) {
  co_cuda *cuda = (co_cuda *)backend;
  cudaGraph_t recorded = NULL;
  cudaGraphExec_t executable = NULL;
  *graph = NULL;
  if (!cuda->capturing)
    return FAIL(cuda, CO_ERR_INTERNAL, "%s: no graph is being recorded", cuda->name);
  cuda->capturing = false;
  enter(cuda);
  cudaError_t error = cudaStreamEndCapture(cuda->stream, &recorded);
  if (error == cudaSuccess) error = cudaGraphInstantiate(&executable, recorded, 0);
  if (recorded) (void)cudaGraphDestroy(recorded);
  CO_RETURN_IF_FAILED(co_cuda_check(cuda, error, "record"));
  *graph = executable;
  return CO_OK;
}

static co_status graph_launch(co_backend *backend, void *graph) {
  co_cuda *cuda = (co_cuda *)backend;
  enter(cuda);
  return co_cuda_check(cuda, cudaGraphLaunch(graph, cuda->stream), "graph launch");
}

static void graph_free(co_backend *backend, void *graph) {
  enter((co_cuda *)backend);
  if (graph) (void)cudaGraphExecDestroy(graph);
}

// ---- open --------------------------------------------------------------------------------------

static void free_backend(co_backend *backend) {
  if (backend == NULL) return;
  co_cuda *cuda = (co_cuda *)backend;
  enter(cuda);
  if (cuda->copies) (void)cudaStreamSynchronize(cuda->copies);
  if (cuda->side) (void)cudaStreamSynchronize(cuda->side);
  if (cuda->stream) (void)cudaStreamSynchronize(cuda->stream);
  co_cuda_planned_free(cuda);
  co_cuda_cublas_close(cuda);
  co_cuda_cudnn_close(cuda);
  for (int i = 0; i < 2; i++)
    if (cuda->up.copied[i]) (void)cudaEventDestroy(cuda->up.copied[i]);
  if (cuda->up.memory) (void)cudaFreeHost(cuda->up.memory);
  if (cuda->down) (void)cudaFreeHost(cuda->down);
  if (cuda->tickets) (void)cudaFree(cuda->tickets);
  if (cuda->branched) (void)cudaEventDestroy(cuda->branched);
  if (cuda->joined) (void)cudaEventDestroy(cuda->joined);
  if (cuda->copies) (void)cudaStreamDestroy(cuda->copies);
  if (cuda->side) (void)cudaStreamDestroy(cuda->side);
  if (cuda->stream) (void)cudaStreamDestroy(cuda->stream);
  cuda->host.free(backend->ctx, cuda);
}

static const co_backend_api api = {
    .alignment = CO_CUDA_ALIGNMENT,
    .free = free_backend,
    .query = query,
    .prepare = prepare,
    .release = release,
    .run = run,
    .layout_bytes = layout_bytes,
    .layout_name = layout_name,
    .buffer_create = buffer_create,
    .buffer_free = buffer_free,
    .upload = upload,
    .download = download,
    .fill_zero = fill_zero,
    .synchronize = synchronize,
    .branch = branch,
    .join = join,
    .capture_begin = capture_begin,
    .capture_end = capture_end,
    .graph_launch = graph_launch,
    .graph_free = graph_free,
    .host_buffer_create = host_buffer_create,
    .host_buffer_free = host_buffer_free,
    .send = send,
    .fetch = fetch,
    .fence_create = fence_create,
    .fence_free = fence_free,
    .fence_record = fence_record,
    .fence_wait = fence_wait,
    .queue_wait = queue_wait,
    .memory_info = memory_info,
    .relu_masks = true,
    .norm_pools = true,
    .folds_norms = false,
    .host_memory = false,
};

static co_status open_streams(co_cuda *cuda) {
  cudaStream_t *const streams[] = {&cuda->stream, &cuda->side, &cuda->copies};
  cudaEvent_t *const events[] = {&cuda->up.copied[0], &cuda->up.copied[1], &cuda->branched,
                                 &cuda->joined};
  for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
    CO_RETURN_IF_FAILED(co_cuda_check(
        cuda, cudaStreamCreateWithFlags(streams[i], cudaStreamNonBlocking), "create a stream"));
  for (size_t i = 0; i < sizeof events / sizeof *events; i++)
    CO_RETURN_IF_FAILED(co_cuda_check(
        cuda, cudaEventCreateWithFlags(events[i], cudaEventDisableTiming), "create an event"));
  CO_RETURN_IF_FAILED(
      allocate_pinned(cuda, (void **)&cuda->up.memory, 2 * (size_t)CO_CUDA_STAGING));
  CO_RETURN_IF_FAILED(allocate_pinned(cuda, (void **)&cuda->down, CO_CUDA_STAGING));
  const size_t bytes = 2 * CO_CUDA_TICKETS * sizeof *cuda->tickets;
  void *tickets;
  CO_RETURN_IF_FAILED(buffer_create(&cuda->base, bytes, &tickets));
  cuda->tickets = tickets;
  return fill_zero(&cuda->base, tickets, bytes);
}

co_cuda_open_function co_cuda_open;

__attribute__((visibility("default"))) co_status
co_cuda_open(co_backend **out, const co_host_api *host, uint32_t abi, int device_index) {
  *out = NULL;
  if (abi != CO_CUDA_ABI) return CO_ERR_DEVICE; // nothing of the caller's can be trusted
  if (host->machine) {
    co_cuda_describe_machine(host);
    return CO_OK;
  }
  struct cudaDeviceProp properties;
  memset(&properties, 0, sizeof properties);
  if (!host->options->planning) {
    CO_RETURN_IF_FAILED(co_cuda_find_device(host, device_index, &properties));
    CO_RETURN_IF_FAILED(co_cuda_enter_device(host, device_index));
    CO_RETURN_IF_FAILED(co_cuda_cublas_check(host));
  }
  co_cuda *cuda = host->alloc_zero(host->ctx, 1, sizeof *cuda);
  if (cuda == NULL) return CO_ERR_MEMORY;
  cuda->host = *host;
  cuda->api = api;
  cuda->base.api = &cuda->api;
  cuda->base.ctx = host->ctx;
  cuda->device = device_index;
  cuda->capability = 10 * properties.major + properties.minor;
  size_t memory = host->options->planning ? CO_CUDA_PLANNED_MEMORY : properties.totalGlobalMem;
  cuda->conv_workspace = memory / CO_CUDA_WORKSPACE_SHARE > CO_CUDA_WORKSPACE_LIMIT
                             ? memory / CO_CUDA_WORKSPACE_SHARE
                             : CO_CUDA_WORKSPACE_LIMIT;
  cuda->strict_f32 = host->options->strict_f32;
  cuda->tuning = host->options->ways;
  (void)snprintf(cuda->machine, sizeof cuda->machine,
                 "%.96s, %d.%d, %d multiprocessors, CUDA %d.%d", properties.name, properties.major,
                 properties.minor, properties.multiProcessorCount, CUDART_VERSION / 1000,
                 CUDART_VERSION % 1000 / 10);
  if (host->options->force)
    (void)snprintf(cuda->force, sizeof cuda->force, "%s", host->options->force);
  cuda->host.options = NULL; // borrowed only so far
  (void)snprintf(cuda->name, sizeof cuda->name, "cuda:%d", device_index);
  cuda->api.name = cuda->name;
  if (host->options->planning) {
    co_cuda_plan_only(cuda);
    *out = &cuda->base;
    return CO_OK;
  }
  cuda->api.capability = cuda->capability;
  co_status status = open_streams(cuda);
  if (status != CO_OK) {
    free_backend(&cuda->base);
    return status;
  }
  host->log(host->ctx, CO_LOG_INFO, "device",
            "device=%s name=\"%s\" memory=%zu capability=%d.%d cuda=%d.%d", cuda->name,
            properties.name, properties.totalGlobalMem, properties.major, properties.minor,
            CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  *out = &cuda->base;
  return CO_OK;
}
