// SPDX-License-Identifier: Apache-2.0
// The backend without a device, to plan with: queries and sizes are the real ones, memory is made of
// addresses that nobody may follow.
#include "kernels/cuda/cuda.h"

static co_status refuse(const co_cuda *cuda, const char *what) {
  return cuda->host.fail(CO_ERR_INTERNAL, "%s: %s, though only a plan was asked for", cuda->name,
                         what);
}

static co_status run(co_backend *backend, co_prepared *prepared, void *const *in, void *const *out,
                     void *workspace) {
  co_cuda *cuda = (co_cuda *)backend;
  (void)in, (void)out, (void)workspace;
  return refuse(cuda, cuda->host.op_name(prepared->desc.op));
}

static co_status buffer_create(co_backend *backend, size_t bytes, void **out) {
  co_cuda *cuda = (co_cuda *)backend;
  *out = NULL;
  if (bytes > SIZE_MAX / 2 - cuda->planned_bytes)
    return cuda->host.fail(CO_ERR_MEMORY, "%s: nothing has room for %zu bytes", cuda->name, bytes);
  cuda->planned_bytes += CO_CUDA_ALIGNMENT; // so that none is NULL
  *out = (void *)(uintptr_t)cuda->planned_bytes;
  cuda->planned_bytes += (bytes + CO_CUDA_ALIGNMENT - 1) / CO_CUDA_ALIGNMENT * CO_CUDA_ALIGNMENT;
  return CO_OK;
}

static void buffer_free(co_backend *backend, void *buffer) {
  (void)backend, (void)buffer;
}

static co_status upload(co_backend *backend, void *device, const void *host, size_t bytes) {
  (void)backend, (void)device, (void)host, (void)bytes;
  return CO_OK;
}

static co_status download(co_backend *backend, void *host, const void *device, size_t bytes) {
  (void)host, (void)device, (void)bytes;
  return refuse((co_cuda *)backend, "a download");
}

static co_status fill_zero(co_backend *backend, void *device, size_t bytes) {
  (void)backend, (void)device, (void)bytes;
  return CO_OK;
}

static co_status synchronize(co_backend *backend) {
  (void)backend;
  return CO_OK;
}

static co_status branch(co_backend *backend, co_branch to) {
  (void)to;
  return refuse((co_cuda *)backend, "a branch");
}

static co_status join(co_backend *backend) {
  return refuse((co_cuda *)backend, "a branch");
}

static co_status capture_begin(co_backend *backend) {
  return refuse((co_cuda *)backend, "a recording");
}

static co_status capture_end(co_backend *backend, void **graph) {
  *graph = NULL;
  return refuse((co_cuda *)backend, "a recording");
}

static co_status graph_launch(co_backend *backend, void *graph) {
  (void)graph;
  return refuse((co_cuda *)backend, "a launch");
}

static void graph_free(co_backend *backend, void *graph) {
  (void)backend, (void)graph;
}

static void host_buffer_free(co_backend *backend, void *buffer) {
  (void)backend, (void)buffer;
}

static co_status send(co_backend *backend, co_queue queue, void *device, const void *host_buffer,
                      size_t bytes) {
  (void)queue, (void)device, (void)host_buffer, (void)bytes;
  return refuse((co_cuda *)backend, "a copy");
}

static co_status fetch(co_backend *backend, co_queue queue, void *host_buffer, const void *device,
                       size_t bytes) {
  (void)queue, (void)device, (void)host_buffer, (void)bytes;
  return refuse((co_cuda *)backend, "a copy");
}

// Fences are never looked into either.
static co_status fence_create(co_backend *backend, co_fence **out) {
  *out = (co_fence *)backend;
  return CO_OK;
}

static void fence_free(co_backend *backend, co_fence *fence) {
  (void)backend, (void)fence;
}

static co_status fence_record(co_backend *backend, co_fence *fence, co_queue queue) {
  (void)fence, (void)queue;
  return refuse((co_cuda *)backend, "a fence");
}

static co_status fence_wait(co_backend *backend, co_fence *fence) {
  (void)fence;
  return refuse((co_cuda *)backend, "waiting");
}

static co_status queue_wait(co_backend *backend, co_queue queue, co_fence *fence) {
  (void)queue, (void)fence;
  return refuse((co_cuda *)backend, "waiting");
}

static co_status memory_info(co_backend *backend, size_t *available, size_t *total) {
  size_t used = ((co_cuda *)backend)->planned_bytes;
  *total = CO_CUDA_PLANNED_MEMORY;
  *available = used < *total ? *total - used : 0;
  return CO_OK;
}

static void free_backend(co_backend *backend) {
  if (backend == NULL) return;
  co_cuda_planned_free((co_cuda *)backend);
  co_cuda_cudnn_close((co_cuda *)backend);
  ((co_cuda *)backend)->host.free(backend->ctx, backend);
}

void co_cuda_plan_only(co_cuda *cuda) {
  co_backend_api *api = &cuda->api;
  cuda->planning = true;
  cuda->capability = api->capability = CO_CUDA_PLANNED_CAPABILITY;
  api->free = free_backend;
  api->run = run;
  api->buffer_create = buffer_create;
  api->buffer_free = buffer_free;
  api->upload = upload;
  api->download = download;
  api->fill_zero = fill_zero;
  api->synchronize = synchronize;
  api->branch = branch;
  api->join = join;
  api->capture_begin = capture_begin;
  api->capture_end = capture_end;
  api->graph_launch = graph_launch;
  api->graph_free = graph_free;
  api->host_buffer_create = buffer_create;
  api->host_buffer_free = host_buffer_free;
  api->send = send;
  api->fetch = fetch;
  api->fence_create = fence_create;
  api->fence_free = fence_free;
  api->fence_record = fence_record;
  api->fence_wait = fence_wait;
  api->queue_wait = queue_wait;
  api->memory_info = memory_info;
}
