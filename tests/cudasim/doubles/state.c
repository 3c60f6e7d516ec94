// SPDX-License-Identifier: Apache-2.0
// Entry and exit of calls, messages, settings, faults, and the registry of live objects.
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "double.h"
#include "work.h"

enum { MAX_NESTING = 16, LEAK_EXIT_CODE = 97 };

static pthread_mutex_t call_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static const char *call_names[MAX_NESTING];
static int call_depth;

static bool device_lost;
static _Thread_local cudaError_t last_error;

static co_double_object *objects;
static const char *const kind_names[CO_DOUBLE_KIND_COUNT] = {
    [CO_DOUBLE_STREAM] = "stream",
    [CO_DOUBLE_EVENT] = "event",
    [CO_DOUBLE_GRAPH] = "graph",
    [CO_DOUBLE_GRAPH_EXEC] = "executable graph",
    [CO_DOUBLE_CUBLAS] = "cuBLAS handle",
    [CO_DOUBLE_CUBLASLT] = "cuBLASLt handle",
    [CO_DOUBLE_LT_DESC] = "cuBLASLt matmul descriptor",
    [CO_DOUBLE_LT_LAYOUT] = "cuBLASLt matrix layout",
    [CO_DOUBLE_LT_PREFERENCE] = "cuBLASLt preference",
    [CO_DOUBLE_CUDNN] = "cuDNN handle",
    [CO_DOUBLE_CUDNN_DESCRIPTOR] = "cuDNN backend descriptor",
    [CO_DOUBLE_CUDNN_RNN] = "cuDNN descriptor of a recurrent layer",
    [CO_DOUBLE_CUDNN_RNN_DATA] = "cuDNN descriptor of a recurrent layer's data",
    [CO_DOUBLE_CUDNN_TENSOR] = "cuDNN tensor descriptor",
};

int co_double_enter(const char *function) {
  pthread_mutex_lock(&call_lock);
  if (call_depth == MAX_NESTING) abort();
  call_names[call_depth++] = function;
  if (co_double_in_host_function()) co_double_die("called from a host function on a stream");
  return 1;
}

void co_double_leave(int *entered) {
  (void)entered;
  call_depth--;
  pthread_mutex_unlock(&call_lock);
}

static void message(const char *format, va_list arguments) {
  fflush(stdout);
  fprintf(stderr, "cudasim: %s: ", call_depth > 0 ? call_names[call_depth - 1] : "device");
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
}

_Noreturn void co_double_die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  message(format, arguments);
  va_end(arguments);
  abort();
}

void co_double_complain(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  message(format, arguments);
  va_end(arguments);
}

uint64_t co_double_setting(const char *name, uint64_t fallback) {
  const char *text = getenv(name);
  if (text == NULL || *text == '\0') return fallback;
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || *end != '\0') co_double_die("%s=%s is no number", name, text);
  return value;
}

bool co_double_fault_hits(co_double_fault *fault) {
  if (!fault->loaded) co_double_fault_set(fault, (long)co_double_setting(fault->variable, 0));
  if (fault->remaining == 0) return false;
  fault->remaining--;
  return fault->remaining == 0;
}

void co_double_fault_set(co_double_fault *fault, long n) {
  fault->loaded = true;
  fault->remaining = n;
}

cudaError_t co_double_state(void) {
  if (co_double_setting("COHORT_SIM_DRIVER", CUDART_VERSION) / 1000 < CUDART_VERSION / 1000)
    return cudaErrorInsufficientDriver;
  if (co_double_setting("COHORT_SIM_DEVICES", 1) == 0) return cudaErrorNoDevice;
  return device_lost ? cudaErrorLaunchFailure : cudaSuccess;
}

void co_double_lose_device(void) {
  device_lost = true;
}

void co_double_revive(void) {
  DOUBLE_ENTER();
  device_lost = false;
  last_error = cudaSuccess;
}

cudaError_t co_double_error(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t cudaGetLastError(void) {
  DOUBLE_ENTER();
  cudaError_t error = device_lost ? cudaErrorLaunchFailure : last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError(void) {
  DOUBLE_ENTER();
  return device_lost ? cudaErrorLaunchFailure : last_error;
}

void *co_double_object_new(co_double_kind kind, size_t size, void (*finish)(void *object)) {
  co_double_object *object = calloc(1, size);
  if (object == NULL) abort();
  object->kind = kind;
  object->references = 1;
  object->open = true;
  object->creator = call_depth > 0 ? call_names[call_depth - 1] : "";
  object->finish = finish;
  object->next = objects;
  if (objects != NULL) objects->previous = object;
  objects = object;
  return object;
}

void *co_double_object_get(co_double_kind kind, const void *handle, const char *argument) {
  if (handle == NULL) co_double_die("%s is NULL, not a %s", argument, kind_names[kind]);
  for (co_double_object *o = objects; o != NULL; o = o->next)
    if (o == handle && o->open) {
      if (o->kind == kind) return o;
      co_double_die("%s is a %s, not a %s", argument, kind_names[o->kind], kind_names[kind]);
    }
  co_double_die("%s=%p is no live %s (never created, or destroyed)", argument, handle,
                kind_names[kind]);
}

void co_double_object_retain(void *object) {
  ((co_double_object *)object)->references++;
}

void co_double_object_release(void *object) {
  co_double_object *o = object;
  if (--o->references > 0) return;
  if (o->finish != NULL) o->finish(o);
  if (o->next != NULL) o->next->previous = o->previous;
  if (o->previous != NULL)
    o->previous->next = o->next;
  else
    objects = o->next;
  free(o);
}

void co_double_object_close(void *object) {
  ((co_double_object *)object)->open = false;
  co_double_object_release(object);
}

void *co_double_object_next(co_double_kind kind, const void *object) {
  co_double_object *o = object == NULL ? objects : ((const co_double_object *)object)->next;
  while (o != NULL && o->kind != kind)
    o = o->next;
  return o;
}

static long report_objects(bool print) {
  long count = 0;
  for (co_double_object *o = objects; o != NULL; o = o->next) {
    if (!o->open) continue;
    count++;
    if (print) fprintf(stderr, "cudasim: leak: %s made by %s\n", kind_names[o->kind], o->creator);
  }
  return count;
}

co_double_counters co_double_count(void) {
  DOUBLE_ENTER();
  return (co_double_counters){
      .live_bytes = co_double_live_bytes(),
      .peak_bytes = co_double_peak_bytes(),
      .allocations = co_double_allocations(),
      .launches = co_double_launches(),
      .graph_launches = co_double_graph_launches(),
      .live_objects = co_double_report_memory(false) + report_objects(false),
  };
}

// A destructor, not atexit: it runs after those of the libraries that use this one.
__attribute__((destructor)) static void at_process_end(void) {
  if (co_double_setting("COHORT_SIM_LEAKS", 0) == 0) return;
  long leaks = co_double_report_memory(true) + report_objects(true);
  if (leaks == 0) return;
  fprintf(stderr, "cudasim: %ld leaks\n", leaks);
  fflush(NULL);
  _exit(LEAK_EXIT_CODE);
}
