// SPDX-License-Identifier: Apache-2.0
// Streams, events, graphs and captures as structures, for the files of the libcudart double.
#ifndef COHORT_CUDASIM_WORK_H
#define COHORT_CUDASIM_WORK_H

#include "double.h"

// A set of graph nodes, by index: what the next node of a capturing stream depends on.
typedef struct co_double_nodes {
  size_t *index;
  size_t count;
} co_double_nodes;

struct CUgraphNode_st {
  co_double_work *work;
  co_double_nodes after;
};

struct CUgraph_st {
  co_double_object object;
  struct CUgraphNode_st **nodes; // each after those it depends on
  size_t count, capacity;
};

struct CUgraphExec_st {
  co_double_object object;
  struct CUgraph_st *graph;
  const void *running; // the launch in progress: launches of one graph do not overlap
};

typedef struct co_double_capture {
  struct CUstream_st *origin;
  struct CUgraph_st *graph;
  enum cudaStreamCaptureMode mode;
  bool invalid;
  unsigned long long id;
  struct co_double_capture *next;
} co_double_capture;

struct CUevent_st {
  co_double_object object;
  unsigned flags;
  long recorded, done;           // generations
  double when;                   // microseconds of the made-up clock
  unsigned long long capture_id; // the last record was captured; 0: it was not
  co_double_nodes captured;
};

typedef enum co_double_step_kind {
  CO_DOUBLE_STEP_WORK,
  CO_DOUBLE_STEP_RECORD,
  CO_DOUBLE_STEP_WAIT,
  CO_DOUBLE_STEP_GRAPH
} co_double_step_kind;

// An entry of a stream's queue.
typedef struct co_double_step {
  co_double_step_kind kind;
  uint64_t sequence; // order of enqueueing over all streams
  co_double_work *work;
  struct CUevent_st *event;
  long generation;
  struct CUgraphExec_st *exec;
  bool *node_done;
  size_t nodes_left;
  struct co_double_step *next;
} co_double_step;

struct CUstream_st {
  co_double_object object;
  unsigned flags;
  co_double_step *first, *last;
  co_double_capture *capture;
  co_double_nodes frontier;
};

// work.c
struct CUstream_st *co_double_stream(cudaStream_t stream); // aborts on a bad handle
bool co_double_is_legacy(const struct CUstream_st *stream);
void co_double_push(struct CUstream_st *stream, co_double_step step);
void co_double_drain_all(void);
void co_double_drain_stream(const struct CUstream_st *stream);
void co_double_drain_event(const struct CUevent_st *event, long generation);
void co_double_progress(void); // one unit of work, if any can run: for polling loops
bool co_double_in_host_function(void);
long co_double_launches(void);
void co_double_work_release(co_double_work *work);

// capture.c
typedef enum co_double_capture_rule {
  CO_DOUBLE_UNSAFE, // refused while a stream captures, unless in relaxed mode
  CO_DOUBLE_SYNC    // refused while any stream captures
} co_double_capture_rule;
cudaError_t co_double_refuse_in_capture(co_double_capture_rule rule);
cudaError_t co_double_refuse_on_legacy(const struct CUstream_st *stream);
bool co_double_any_capture(void);
co_double_capture *co_double_capture_by_id(unsigned long long id);
// Adds a node behind the stream's frontier; the graph takes the work over.
cudaError_t co_double_capture_work(struct CUstream_st *stream, co_double_work *work);
cudaError_t co_double_capture_invalidate(co_double_capture *capture, cudaError_t error);
void co_double_nodes_copy(co_double_nodes *to, const co_double_nodes *from);
void co_double_nodes_merge(co_double_nodes *to, const co_double_nodes *from);
long co_double_graph_launches(void);

// side_by_side.c
void co_double_take_claims(co_double_work *work);
// Aborts where nodes that may run at the same time share memory that one of them writes.
void co_double_check_side_by_side(const struct CUgraph_st *graph);

#endif
