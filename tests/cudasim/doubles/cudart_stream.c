// SPDX-License-Identifier: Apache-2.0
// Streams and events.
#include <stdlib.h>

#include "work.h"

// ---- streams

static void finish_stream(void *object) {
  free(((struct CUstream_st *)object)->frontier.index);
}

static cudaError_t create_stream(cudaStream_t *result, unsigned flags) {
  if (flags & ~(unsigned)cudaStreamNonBlocking) return co_double_error(cudaErrorInvalidValue);
  struct CUstream_st *stream =
      co_double_object_new(CO_DOUBLE_STREAM, sizeof *stream, finish_stream);
  stream->flags = flags;
  *result = stream;
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *result) {
  CUDART_ENTER();
  return create_stream(result, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *result, unsigned flags) {
  CUDART_ENTER();
  co_double_need_first_device();
  return create_stream(result, flags);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *result, unsigned flags, int priority) {
  CUDART_ENTER();
  (void)priority; // a hint
  return create_stream(result, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  CUDART_ENTER();
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

// Work already queued still runs: it holds the stream.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  DOUBLE_ENTER();
  struct CUstream_st *stream = co_double_stream(handle);
  if (co_double_is_legacy(stream)) co_double_die("the legacy stream cannot be destroyed");
  if (stream->capture != NULL) co_double_die("the stream is capturing");
  co_double_object_close(stream);
  return co_double_error(co_double_state());
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  CUDART_ENTER();
  const struct CUstream_st *stream = co_double_stream(handle);
  cudaError_t refused = co_double_refuse_in_capture(CO_DOUBLE_SYNC);
  if (refused != cudaSuccess) return refused;
  co_double_drain_stream(stream);
  return co_double_error(co_double_state());
}

cudaError_t cudaDeviceSynchronize(void) {
  CUDART_ENTER();
  cudaError_t refused = co_double_refuse_in_capture(CO_DOUBLE_SYNC);
  if (refused != cudaSuccess) return refused;
  co_double_drain_all();
  return co_double_error(co_double_state());
}

// Each question lets a little work run, so that polling ends.
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  CUDART_ENTER();
  const struct CUstream_st *stream = co_double_stream(handle);
  if (stream->capture != NULL) return co_double_refuse_in_capture(CO_DOUBLE_SYNC);
  if (stream->first == NULL) return cudaSuccess;
  co_double_progress();
  cudaError_t state = co_double_state();
  return state != cudaSuccess ? co_double_error(state) : cudaErrorNotReady;
}

typedef struct host_call {
  cudaHostFn_t function;
  void *data;
} host_call;

static void run_host_call(void *closure) {
  const host_call *call = closure;
  call->function(call->data);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data) {
  CUDART_ENTER();
  if (function == NULL) return co_double_error(cudaErrorInvalidValue);
  host_call *call = malloc(sizeof *call);
  if (call == NULL) abort();
  *call = (host_call){function, data};
  return co_double_submit(stream, CO_DOUBLE_HOST, "a host function", run_host_call, NULL, free,
                          call);
}

// ---- events

static void finish_event(void *object) {
  free(((struct CUevent_st *)object)->captured.index);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *result, unsigned flags) {
  CUDART_ENTER();
  if (flags & ~(unsigned)(cudaEventDisableTiming | cudaEventBlockingSync))
    co_double_die("flags=%u not modelled", flags);
  struct CUevent_st *event = co_double_object_new(CO_DOUBLE_EVENT, sizeof *event, finish_event);
  event->flags = flags;
  *result = event;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *result) {
  return cudaEventCreateWithFlags(result, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  DOUBLE_ENTER();
  co_double_object_close(co_double_object_get(CO_DOUBLE_EVENT, handle, "event"));
  return co_double_error(co_double_state());
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle) {
  CUDART_ENTER();
  struct CUevent_st *event = co_double_object_get(CO_DOUBLE_EVENT, handle, "event");
  struct CUstream_st *stream = co_double_stream(stream_handle);
  if (stream->capture != NULL) {
    if (stream->capture->invalid) return co_double_error(cudaErrorStreamCaptureInvalidated);
    event->capture_id = stream->capture->id;
    co_double_nodes_copy(&event->captured, &stream->frontier);
    return cudaSuccess;
  }
  cudaError_t refused = co_double_refuse_on_legacy(stream);
  if (refused != cudaSuccess) return refused;
  event->capture_id = 0;
  co_double_push(stream, (co_double_step){.kind = CO_DOUBLE_STEP_RECORD,
                                          .event = event,
                                          .generation = ++event->recorded});
  return cudaSuccess;
}

static cudaError_t join_capture(struct CUstream_st *stream, const struct CUevent_st *event) {
  co_double_capture *capture = co_double_capture_by_id(event->capture_id);
  if (capture == NULL) {
    co_double_complain("event was recorded in a capture that has ended");
    return co_double_error(cudaErrorInvalidValue);
  }
  if (stream->capture != NULL && stream->capture != capture)
    return co_double_capture_invalidate(capture, cudaErrorStreamCaptureMerge);
  if (capture->invalid) return co_double_error(cudaErrorStreamCaptureInvalidated);
  if (co_double_is_legacy(stream))
    return co_double_capture_invalidate(capture, cudaErrorStreamCaptureImplicit);
  stream->capture = capture;
  co_double_nodes_merge(&stream->frontier, &event->captured);
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream_handle, cudaEvent_t handle, unsigned flags) {
  CUDART_ENTER();
  if (flags != cudaEventWaitDefault) co_double_die("flags=%u not modelled", flags);
  struct CUstream_st *stream = co_double_stream(stream_handle);
  struct CUevent_st *event = co_double_object_get(CO_DOUBLE_EVENT, handle, "event");
  if (event->capture_id != 0) return join_capture(stream, event);
  if (event->recorded == 0) return cudaSuccess;
  if (stream->capture != NULL)
    return co_double_capture_invalidate(stream->capture, cudaErrorStreamCaptureIsolation);
  cudaError_t refused = co_double_refuse_on_legacy(stream);
  if (refused != cudaSuccess) return refused;
  co_double_push(
      stream,
      (co_double_step){.kind = CO_DOUBLE_STEP_WAIT, .event = event, .generation = event->recorded});
  return cudaSuccess;
}

static cudaError_t refuse_captured(const struct CUevent_st *event) {
  co_double_capture *capture = co_double_capture_by_id(event->capture_id);
  if (capture != NULL) co_double_capture_invalidate(capture, cudaErrorCapturedEvent);
  return co_double_error(event->capture_id == 0 ? cudaSuccess : cudaErrorCapturedEvent);
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  CUDART_ENTER();
  const struct CUevent_st *event = co_double_object_get(CO_DOUBLE_EVENT, handle, "event");
  cudaError_t refused = refuse_captured(event);
  if (refused == cudaSuccess) refused = co_double_refuse_in_capture(CO_DOUBLE_SYNC);
  if (refused != cudaSuccess) return refused;
  co_double_drain_event(event, event->recorded);
  return co_double_error(co_double_state());
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  CUDART_ENTER();
  const struct CUevent_st *event = co_double_object_get(CO_DOUBLE_EVENT, handle, "event");
  cudaError_t refused = refuse_captured(event);
  if (refused != cudaSuccess) return refused;
  if (event->done >= event->recorded) return cudaSuccess;
  co_double_progress();
  cudaError_t state = co_double_state();
  return state != cudaSuccess ? co_double_error(state) : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start_handle,
                                 cudaEvent_t end_handle) {
  CUDART_ENTER();
  const struct CUevent_st *start = co_double_object_get(CO_DOUBLE_EVENT, start_handle, "start");
  const struct CUevent_st *end = co_double_object_get(CO_DOUBLE_EVENT, end_handle, "end");
  if ((start->flags | end->flags) & cudaEventDisableTiming || start->recorded == 0 ||
      end->recorded == 0)
    return co_double_error(cudaErrorInvalidResourceHandle);
  if (start->done < start->recorded || end->done < end->recorded)
    return co_double_error(cudaErrorNotReady);
  *milliseconds = (float)((end->when - start->when) / 1e3);
  return cudaSuccess;
}
