// SPDX-License-Identifier: Apache-2.0
// Stream capture and graphs: a captured call becomes a node that keeps its closure, to be run at
// each replay. Streams join a capture through events, as with the real library.
#include <stdlib.h>
#include <string.h>

#include "work.h"

static co_double_capture *captures;
static unsigned long long last_capture_id;
static long graph_launches;

long co_double_graph_launches(void) {
  return graph_launches;
}

// ---- sets of nodes

void co_double_nodes_copy(co_double_nodes *to, const co_double_nodes *from) {
  size_t *index = malloc((from->count + 1) * sizeof *index);
  if (index == NULL) abort();
  if (from->count > 0) memcpy(index, from->index, from->count * sizeof *index);
  free(to->index);
  *to = (co_double_nodes){index, from->count};
}

static bool contains(const co_double_nodes *set, size_t index) {
  for (size_t i = 0; i < set->count; i++)
    if (set->index[i] == index) return true;
  return false;
}

void co_double_nodes_merge(co_double_nodes *to, const co_double_nodes *from) {
  size_t *index = realloc(to->index, (to->count + from->count + 1) * sizeof *index);
  if (index == NULL) abort();
  to->index = index;
  for (size_t i = 0; i < from->count; i++)
    if (!contains(to, from->index[i])) to->index[to->count++] = from->index[i];
}

static void clear(co_double_nodes *set) {
  free(set->index);
  *set = (co_double_nodes){NULL, 0};
}

// ---- captures

bool co_double_any_capture(void) {
  return captures != NULL;
}

co_double_capture *co_double_capture_by_id(unsigned long long id) {
  for (co_double_capture *c = captures; c != NULL; c = c->next)
    if (c->id == id) return c;
  return NULL;
}

cudaError_t co_double_capture_invalidate(co_double_capture *capture, cudaError_t error) {
  capture->invalid = true;
  co_double_complain("not allowed in the capture of a stream, which is void from here on");
  return co_double_error(error);
}

cudaError_t co_double_refuse_in_capture(co_double_capture_rule rule) {
  cudaError_t error = cudaSuccess;
  for (co_double_capture *c = captures; c != NULL; c = c->next)
    if (rule == CO_DOUBLE_SYNC || c->mode != cudaStreamCaptureModeRelaxed)
      error = co_double_capture_invalidate(c, cudaErrorStreamCaptureUnsupported);
  return error;
}

// The real library refuses this only if the capturing stream is a blocking one. Otherwise the
// call would silently be missing from the graph: never what was meant.
cudaError_t co_double_refuse_on_legacy(const struct CUstream_st *stream) {
  cudaError_t error = cudaSuccess;
  if (!co_double_is_legacy(stream)) return error;
  for (co_double_capture *c = captures; c != NULL; c = c->next)
    error = co_double_capture_invalidate(c, cudaErrorStreamCaptureImplicit);
  return error;
}

cudaError_t co_double_capture_work(struct CUstream_st *stream, co_double_work *work) {
  if (stream->capture->invalid) {
    co_double_work_release(work);
    return co_double_error(cudaErrorStreamCaptureInvalidated);
  }
  struct CUgraph_st *graph = stream->capture->graph;
  if (graph->count == graph->capacity) {
    graph->capacity = graph->capacity * 2 + 16;
    graph->nodes = realloc(graph->nodes, graph->capacity * sizeof *graph->nodes);
    if (graph->nodes == NULL) abort();
  }
  struct CUgraphNode_st *node = calloc(1, sizeof *node);
  if (node == NULL) abort();
  node->work = work;
  co_double_nodes_copy(&node->after, &stream->frontier);
  size_t index = graph->count;
  graph->nodes[graph->count++] = node;
  co_double_nodes_copy(&stream->frontier, &(co_double_nodes){&index, 1});
  return cudaSuccess;
}

static void finish_graph(void *object) {
  struct CUgraph_st *graph = object;
  for (size_t i = 0; i < graph->count; i++) {
    co_double_work_release(graph->nodes[i]->work);
    free(graph->nodes[i]->after.index);
    free(graph->nodes[i]);
  }
  free(graph->nodes);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, enum cudaStreamCaptureMode mode) {
  CUDART_ENTER();
  struct CUstream_st *stream = co_double_stream(handle);
  if (co_double_is_legacy(stream)) return co_double_error(cudaErrorStreamCaptureUnsupported);
  if (stream->capture != NULL) return co_double_error(cudaErrorIllegalState);
  co_double_capture *capture = calloc(1, sizeof *capture);
  if (capture == NULL) abort();
  *capture = (co_double_capture){
      .origin = stream, .mode = mode, .id = ++last_capture_id, .next = captures};
  capture->graph = co_double_object_new(CO_DOUBLE_GRAPH, sizeof *capture->graph, finish_graph);
  captures = capture;
  stream->capture = capture;
  return cudaSuccess;
}

// Every node must lie before the origin's frontier, or its branch was never joined.
static bool everything_joined(const co_double_capture *capture) {
  const struct CUgraph_st *graph = capture->graph;
  bool *before = calloc(graph->count + 1, sizeof *before);
  if (before == NULL) abort();
  bool joined = true;
  for (size_t i = graph->count; i-- > 0;) {
    if (contains(&capture->origin->frontier, i)) before[i] = true;
    if (!before[i]) joined = false;
    const co_double_nodes *after = &graph->nodes[i]->after;
    for (size_t j = 0; before[i] && j < after->count; j++)
      before[after->index[j]] = true;
  }
  free(before);
  return joined;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *result) {
  DOUBLE_ENTER();
  struct CUstream_st *origin = co_double_stream(handle);
  co_double_capture *capture = origin->capture;
  if (result != NULL) *result = NULL;
  if (capture == NULL) return co_double_error(cudaErrorIllegalState);
  if (capture->origin != origin) {
    co_double_complain("stream did not begin this capture");
    return co_double_error(cudaErrorStreamCaptureUnmatched);
  }
  cudaError_t error = co_double_state();
  if (error == cudaSuccess && capture->invalid) error = cudaErrorStreamCaptureInvalidated;
  if (error == cudaSuccess && !everything_joined(capture)) error = cudaErrorStreamCaptureUnjoined;
  if (error == cudaSuccess) co_double_check_side_by_side(capture->graph);
  struct CUstream_st *stream = NULL;
  while ((stream = co_double_object_next(CO_DOUBLE_STREAM, stream)) != NULL)
    if (stream->capture == capture) {
      stream->capture = NULL;
      clear(&stream->frontier);
    }
  co_double_capture **link = &captures;
  while (*link != capture)
    link = &(*link)->next;
  *link = capture->next;
  if (error == cudaSuccess)
    *result = capture->graph;
  else
    co_double_object_close(capture->graph);
  free(capture);
  return co_double_error(error);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, enum cudaStreamCaptureStatus *status) {
  CUDART_ENTER();
  const co_double_capture *capture = co_double_stream(handle)->capture;
  *status = capture == NULL    ? cudaStreamCaptureStatusNone
            : capture->invalid ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

// ---- graphs

static void finish_exec(void *object) {
  co_double_object_release(((struct CUgraphExec_st *)object)->graph);
}

static cudaError_t instantiate(cudaGraphExec_t *result, cudaGraph_t handle,
                               unsigned long long flags) {
  struct CUgraph_st *graph = co_double_object_get(CO_DOUBLE_GRAPH, handle, "graph");
  if (flags != 0) co_double_die("flags=%llu not modelled", flags);
  struct CUgraphExec_st *exec =
      co_double_object_new(CO_DOUBLE_GRAPH_EXEC, sizeof *exec, finish_exec);
  exec->graph = graph;
  co_double_object_retain(graph);
  *result = exec;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *result, cudaGraph_t graph,
                                 unsigned long long flags) {
  CUDART_ENTER();
  return instantiate(result, graph, flags);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *result, cudaGraph_t graph,
                                          unsigned long long flags) {
  CUDART_ENTER();
  return instantiate(result, graph, flags);
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  CUDART_ENTER();
  co_double_object_get(CO_DOUBLE_GRAPH_EXEC, exec, "graph exec");
  co_double_stream(stream);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream_handle) {
  CUDART_ENTER();
  struct CUgraphExec_st *exec = co_double_object_get(CO_DOUBLE_GRAPH_EXEC, handle, "graph exec");
  struct CUstream_st *stream = co_double_stream(stream_handle);
  if (stream->capture != NULL) co_double_die("a graph launched inside a capture is not modelled");
  cudaError_t refused = co_double_refuse_on_legacy(stream);
  if (refused != cudaSuccess) return refused;
  const struct CUgraph_st *graph = exec->graph;
  for (size_t i = 0; i < graph->count; i++) {
    const co_double_work *work = graph->nodes[i]->work;
    if (work->submit != NULL) work->submit(work->closure);
  }
  bool *done = calloc(graph->count + 1, sizeof *done);
  if (done == NULL) abort();
  graph_launches++;
  co_double_push(stream, (co_double_step){.kind = CO_DOUBLE_STEP_GRAPH,
                                          .exec = exec,
                                          .node_done = done,
                                          .nodes_left = graph->count});
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  DOUBLE_ENTER();
  co_double_object_close(co_double_object_get(CO_DOUBLE_GRAPH_EXEC, exec, "graph exec"));
  return co_double_error(co_double_state());
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  DOUBLE_ENTER();
  co_double_object_close(co_double_object_get(CO_DOUBLE_GRAPH, graph, "graph"));
  return co_double_error(co_double_state());
}

cudaError_t cudaGraphGetNodes(cudaGraph_t handle, cudaGraphNode_t *nodes, size_t *count) {
  CUDART_ENTER();
  const struct CUgraph_st *graph = co_double_object_get(CO_DOUBLE_GRAPH, handle, "graph");
  if (nodes == NULL) {
    *count = graph->count;
    return cudaSuccess;
  }
  for (size_t i = 0; i < *count; i++)
    nodes[i] = i < graph->count ? graph->nodes[i] : NULL;
  if (*count > graph->count) *count = graph->count;
  return cudaSuccess;
}

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, enum cudaGraphNodeType *type) {
  CUDART_ENTER();
  switch (node->work->kind) {
  case CO_DOUBLE_KERNEL:
    *type = cudaGraphNodeTypeKernel;
    break;
  case CO_DOUBLE_COPY:
    *type = cudaGraphNodeTypeMemcpy;
    break;
  case CO_DOUBLE_FILL:
    *type = cudaGraphNodeTypeMemset;
    break;
  case CO_DOUBLE_HOST:
    *type = cudaGraphNodeTypeHost;
    break;
  }
  return cudaSuccess;
}
