// SPDX-License-Identifier: Apache-2.0
// Copies and fills. Pinned memory is read and written when the copy runs; pageable memory is
// read at the call, and a copy into it waits. What a copy to the host will overwrite is poisoned
// at the call, so that a missing synchronisation shows as NaN. (So one pinned buffer cannot serve
// both directions without a synchronisation in between.)
#include <stdlib.h>
#include <string.h>

#include "work.h"

typedef struct copy {
  void *to;
  const void *from;
  size_t bytes;
  const void *pinned; // the host side, if it is pinned: must still be so when a graph replays
  void *owned;        // staged source
} copy;

typedef struct fill {
  void *to;
  int value;
  size_t bytes;
} fill;

static void run_copy(void *closure) {
  const copy *c = closure;
  memcpy(c->to, c->from, c->bytes);
}

static void submit_copy(void *closure) {
  const copy *c = closure;
  if (c->pinned != NULL && !co_double_is_pinned(c->pinned, c->bytes))
    co_double_die("a captured copy uses pinned memory that was freed");
  if (!co_double_is_device(c->to)) co_double_poison(c->to, c->bytes);
}

static void destroy_copy(void *closure) {
  free(((copy *)closure)->owned);
  free(closure);
}

static enum cudaMemcpyKind resolve_kind(const void *to, const void *from,
                                        enum cudaMemcpyKind kind) {
  if (kind != cudaMemcpyDefault) return kind;
  if (co_double_is_device(to))
    return co_double_is_device(from) ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice;
  return cudaMemcpyDeviceToHost;
}

static void check_ranges(const void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
  if (kind != cudaMemcpyHostToDevice && kind != cudaMemcpyDeviceToHost &&
      kind != cudaMemcpyDeviceToDevice)
    co_double_die("kind=%d not modelled", (int)kind);
  if (kind == cudaMemcpyDeviceToHost)
    co_double_need_host("dst", to, bytes);
  else
    co_double_need_device("dst", to, bytes);
  if (kind == cudaMemcpyHostToDevice)
    co_double_need_host("src", from, bytes);
  else
    co_double_need_device("src", from, bytes);
  const char *t = to, *f = from;
  if (t < f + bytes && f < t + bytes) co_double_die("dst and src overlap");
}

static cudaError_t copy_on_stream(void *to, const void *from, size_t bytes,
                                  enum cudaMemcpyKind kind, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  kind = resolve_kind(to, from, kind);
  check_ranges(to, from, bytes, kind);
  const void *host = kind == cudaMemcpyHostToDevice   ? from
                     : kind == cudaMemcpyDeviceToHost ? to
                                                      : NULL;
  bool pinned = host != NULL && co_double_is_pinned(host, bytes);
  bool pageable = host != NULL && !pinned;
  struct CUstream_st *queue = co_double_stream(stream);
  if (pageable && queue->capture != NULL) {
    co_double_complain("pageable host memory");
    return co_double_capture_invalidate(queue->capture, cudaErrorStreamCaptureUnsupported);
  }
  copy *closure = malloc(sizeof *closure);
  if (closure == NULL) abort();
  *closure = (copy){.to = to, .from = from, .bytes = bytes, .pinned = pinned ? host : NULL};
  if (pageable && kind == cudaMemcpyHostToDevice) {
    closure->owned = malloc(bytes);
    if (closure->owned == NULL) abort();
    memcpy(closure->owned, from, bytes);
    closure->from = closure->owned;
  }
  if (kind != cudaMemcpyHostToDevice) co_double_claim(from, bytes, false);
  if (kind != cudaMemcpyDeviceToHost) co_double_claim(to, bytes, true);
  cudaError_t error = co_double_submit(stream, CO_DOUBLE_COPY, "a copy", run_copy, submit_copy,
                                       destroy_copy, closure);
  if (error != cudaSuccess || !pageable || kind != cudaMemcpyDeviceToHost) return error;
  co_double_drain_stream(queue);
  return co_double_error(co_double_state());
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
  CUDART_ENTER();
  return copy_on_stream(to, from, bytes, kind, stream);
}

// On the legacy stream: does not wait for streams made with cudaStreamNonBlocking.
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
  CUDART_ENTER();
  cudaError_t error = co_double_refuse_in_capture(CO_DOUBLE_SYNC);
  if (error == cudaSuccess) error = copy_on_stream(to, from, bytes, kind, cudaStreamLegacy);
  if (error != cudaSuccess) return error;
  if (resolve_kind(to, from, kind) != cudaMemcpyDeviceToDevice)
    co_double_drain_stream(co_double_stream(cudaStreamLegacy));
  return co_double_error(co_double_state());
}

static void run_fill(void *closure) {
  const fill *f = closure;
  memset(f->to, f->value, f->bytes);
}

static cudaError_t fill_on_stream(void *to, int value, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  co_double_need_device("devPtr", to, bytes);
  fill *closure = malloc(sizeof *closure);
  if (closure == NULL) abort();
  *closure = (fill){to, value, bytes};
  co_double_claim(to, bytes, true);
  return co_double_submit(stream, CO_DOUBLE_FILL, "a fill", run_fill, NULL, free, closure);
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  CUDART_ENTER();
  return fill_on_stream(to, value, bytes, stream);
}

cudaError_t cudaMemset(void *to, int value, size_t bytes) {
  CUDART_ENTER();
  cudaError_t error = co_double_refuse_in_capture(CO_DOUBLE_SYNC);
  return error != cudaSuccess ? error : fill_on_stream(to, value, bytes, cudaStreamLegacy);
}
