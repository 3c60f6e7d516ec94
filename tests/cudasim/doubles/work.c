// SPDX-License-Identifier: Apache-2.0
// The scheduler: queues of work that wait until a call has to wait for them. Streams, and
// branches of a graph, then take turns at random, as far as events and the rules of the legacy
// stream allow.
#include <stdlib.h>
#include <string.h>

#include "work.h"

enum { MAX_STREAMS = 256, MAX_RANDOM_STEPS = 4 };
typedef enum progress_policy { AS_LATE_AS_ALLOWED, AT_RANDOM, AS_SOON_AS_POSSIBLE } progress_policy;

static struct CUstream_st legacy_stream;
static uint64_t sequence;
static bool seeded;
static uint64_t random_state;
static progress_policy policy;
static double device_clock;
static bool in_host_function;
static long launches, enqueued;
static co_double_fault launch_fault = {.variable = "COHORT_SIM_FAIL_LAUNCH"};

static void seed_with(uint64_t seed) {
  seeded = true;
  policy = (progress_policy)(seed % 3);
  random_state = seed * 0x9E3779B97F4A7C15u + 0x2545F4914F6CDD1Du;
  if (random_state == 0) random_state = 1;
}

static void seed_from_environment(void) {
  if (!seeded) seed_with(co_double_setting("COHORT_SIM_SEED", 0));
}

void co_double_set_seed(uint64_t seed) {
  DOUBLE_ENTER();
  seed_with(seed);
}

void co_double_fail_launch(long n) {
  DOUBLE_ENTER();
  co_double_fault_set(&launch_fault, n);
}

// xorshift64
static size_t random_below(size_t n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (size_t)(random_state % n);
}

struct CUstream_st *co_double_stream(cudaStream_t stream) {
  if (stream == NULL || stream == cudaStreamLegacy) return &legacy_stream;
  if (stream == cudaStreamPerThread) co_double_die("stream: cudaStreamPerThread not modelled");
  return co_double_object_get(CO_DOUBLE_STREAM, stream, "stream");
}

void co_double_need_stream(cudaStream_t stream) {
  (void)co_double_stream(stream);
}

bool co_double_is_legacy(const struct CUstream_st *stream) {
  return stream == &legacy_stream;
}

bool co_double_stream_capturing(cudaStream_t stream) {
  return co_double_stream(stream)->capture != NULL;
}

bool co_double_in_host_function(void) {
  return in_host_function;
}

long co_double_launches(void) {
  return launches;
}

long co_double_enqueued(void) {
  DOUBLE_ENTER();
  return enqueued;
}

void co_double_work_release(co_double_work *work) {
  if (--work->references > 0) return;
  if (work->destroy != NULL) work->destroy(work->closure);
  free(work->accesses);
  free(work);
}

// ---- running

void co_double_charge(double microseconds) {
  device_clock += microseconds;
}

static void run_work(co_double_work *work) {
  if (work->kind == CO_DOUBLE_KERNEL) {
    co_double_charge(1);
    launches++;
    if (co_double_fault_hits(&launch_fault)) {
      co_double_complain("injected launch failure in %s", work->what);
      co_double_lose_device();
      return;
    }
  }
  if (work->kind != CO_DOUBLE_HOST) {
    work->run(work->closure);
    return;
  }
  co_double_device_close();
  in_host_function = true;
  work->run(work->closure);
  in_host_function = false;
  co_double_device_open();
}

static void run_graph_node(co_double_step *step) {
  const struct CUgraph_st *graph = step->exec->graph;
  size_t ready[MAX_STREAMS], count = 0;
  for (size_t i = 0; i < graph->count && count < MAX_STREAMS; i++) {
    if (step->node_done[i]) continue;
    const co_double_nodes *after = &graph->nodes[i]->after;
    bool can_run = true;
    for (size_t j = 0; j < after->count && can_run; j++)
      can_run = step->node_done[after->index[j]];
    if (can_run) ready[count++] = i;
  }
  size_t chosen = ready[random_below(count)];
  run_work(graph->nodes[chosen]->work);
  step->node_done[chosen] = true;
  step->nodes_left--;
}

static void pop(struct CUstream_st *stream) {
  co_double_step *step = stream->first;
  stream->first = step->next;
  if (stream->first == NULL) stream->last = NULL;
  if (step->work != NULL) co_double_work_release(step->work);
  if (step->event != NULL) co_double_object_release(step->event);
  if (step->exec != NULL) {
    if (step->exec->running == step) step->exec->running = NULL;
    co_double_object_release(step->exec);
  }
  free(step->node_done);
  free(step);
  if (!co_double_is_legacy(stream)) co_double_object_release(stream);
}

static void run_step(struct CUstream_st *stream) {
  co_double_step *step = stream->first;
  switch (step->kind) {
  case CO_DOUBLE_STEP_WORK:
    run_work(step->work);
    break;
  case CO_DOUBLE_STEP_RECORD:
    if (step->event->done < step->generation) {
      step->event->done = step->generation;
      step->event->when = device_clock;
    }
    break;
  case CO_DOUBLE_STEP_WAIT:
    break;
  case CO_DOUBLE_STEP_GRAPH:
    step->exec->running = step;
    if (step->nodes_left > 0) run_graph_node(step);
    if (step->nodes_left > 0) return;
    break;
  }
  pop(stream);
}

// ---- choosing

static bool is_blocking(const struct CUstream_st *stream) {
  return (stream->flags & cudaStreamNonBlocking) == 0;
}

// The legacy stream waits for earlier work of all blocking streams, and they wait for it.
static bool legacy_rule_holds_back(const struct CUstream_st *stream) {
  uint64_t mine = stream->first->sequence;
  if (!co_double_is_legacy(stream))
    return is_blocking(stream) && legacy_stream.first != NULL &&
           legacy_stream.first->sequence < mine;
  struct CUstream_st *other = NULL;
  while ((other = co_double_object_next(CO_DOUBLE_STREAM, other)) != NULL)
    if (is_blocking(other) && other->first != NULL && other->first->sequence < mine) return true;
  return false;
}

static bool can_run(const struct CUstream_st *stream) {
  const co_double_step *step = stream->first;
  if (step == NULL || legacy_rule_holds_back(stream)) return false;
  if (step->kind == CO_DOUBLE_STEP_WAIT) return step->event->done >= step->generation;
  if (step->kind == CO_DOUBLE_STEP_GRAPH)
    return step->exec->running == NULL || step->exec->running == step;
  return true;
}

static struct CUstream_st *queued_stream(void) {
  if (legacy_stream.first != NULL) return &legacy_stream;
  struct CUstream_st *stream = NULL;
  while ((stream = co_double_object_next(CO_DOUBLE_STREAM, stream)) != NULL)
    if (stream->first != NULL) return stream;
  return NULL;
}

static void drop_everything(void) {
  for (struct CUstream_st *stream; (stream = queued_stream()) != NULL;)
    pop(stream);
}

// One unit of work of a random stream. False if none can run.
static bool run_something(void) {
  struct CUstream_st *ready[MAX_STREAMS];
  size_t count = 0;
  if (can_run(&legacy_stream)) ready[count++] = &legacy_stream;
  struct CUstream_st *stream = NULL;
  while ((stream = co_double_object_next(CO_DOUBLE_STREAM, stream)) != NULL && count < MAX_STREAMS)
    if (can_run(stream)) ready[count++] = stream;
  if (count == 0) return false;
  run_step(ready[random_below(count)]);
  if (co_double_state() != cudaSuccess) drop_everything();
  return true;
}

typedef bool (*reached)(const void *goal, long generation);

static void drain(reached goal_reached, const void *goal, long generation) {
  if (goal_reached(goal, generation)) return;
  seed_from_environment();
  co_double_device_open();
  while (!goal_reached(goal, generation) && co_double_state() == cudaSuccess)
    if (!run_something()) co_double_die("work is queued and none of it can run");
  co_double_check_red_zones();
  co_double_device_close();
}

static bool all_idle(const void *goal, long generation) {
  (void)goal;
  (void)generation;
  return queued_stream() == NULL;
}

static bool stream_idle(const void *goal, long generation) {
  (void)generation;
  return ((const struct CUstream_st *)goal)->first == NULL;
}

static bool event_done(const void *goal, long generation) {
  return ((const struct CUevent_st *)goal)->done >= generation;
}

void co_double_drain_all(void) {
  drain(all_idle, NULL, 0);
}

void co_double_drain_stream(const struct CUstream_st *stream) {
  drain(stream_idle, stream, 0);
}

void co_double_drain_event(const struct CUevent_st *event, long generation) {
  drain(event_done, event, generation);
}

static void run_steps(size_t limit) {
  co_double_device_open();
  while (limit-- > 0 && run_something())
    continue;
  co_double_check_red_zones();
  co_double_device_close();
}

void co_double_progress(void) {
  seed_from_environment();
  run_steps(1);
}

// ---- enqueueing

void co_double_push(struct CUstream_st *stream, co_double_step step) {
  co_double_step *copy = malloc(sizeof *copy);
  if (copy == NULL) abort();
  *copy = step;
  copy->sequence = ++sequence;
  copy->next = NULL;
  if (copy->event != NULL) co_double_object_retain(copy->event);
  if (copy->exec != NULL) co_double_object_retain(copy->exec);
  if (!co_double_is_legacy(stream)) co_double_object_retain(stream);
  if (stream->last != NULL)
    stream->last->next = copy;
  else
    stream->first = copy;
  stream->last = copy;

  seed_from_environment();
  if (policy == AS_SOON_AS_POSSIBLE)
    run_steps(SIZE_MAX);
  else if (policy == AT_RANDOM)
    run_steps(random_below(MAX_RANDOM_STEPS));
}

cudaError_t co_double_submit(cudaStream_t handle, co_double_work_kind kind, const char *what,
                             void (*run)(void *), void (*submit)(void *), void (*destroy)(void *),
                             void *closure) {
  struct CUstream_st *stream = co_double_stream(handle);
  co_double_work *work = malloc(sizeof *work);
  if (work == NULL) abort();
  if (kind != CO_DOUBLE_HOST) enqueued++;
  *work = (co_double_work){kind, what, run, submit, destroy, closure, 1, NULL, 0};
  co_double_take_claims(work);
  cudaError_t error = co_double_state();
  if (error == cudaSuccess && stream->capture != NULL) return co_double_capture_work(stream, work);
  if (error == cudaSuccess) error = co_double_refuse_on_legacy(stream);
  if (error != cudaSuccess) {
    co_double_work_release(work);
    return co_double_error(error);
  }
  if (submit != NULL) submit(closure);
  co_double_push(stream, (co_double_step){.kind = CO_DOUBLE_STEP_WORK, .work = work});
  return cudaSuccess;
}

void co_double_enqueue(cudaStream_t stream, void (*run)(void *), void (*destroy)(void *),
                       void *closure) {
  DOUBLE_ENTER();
  co_double_submit(stream, CO_DOUBLE_KERNEL, "a kernel", run, NULL, destroy, closure);
}
