// SPDX-License-Identifier: Apache-2.0
// Internals shared by the doubles of libcudart, libcublas, libcublasLt and libcudnn. The code
// behind this header lives in the double of libcudart.
//
// Two kinds of wrong calls: those that the real library reports return its status (and print a
// line on stderr); those whose outcome is undefined, and anything that is not modelled, abort
// with a message that names the function and the argument.
#ifndef COHORT_CUDASIM_DOUBLE_H
#define COHORT_CUDASIM_DOUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#include "cuda_double.h"

// ---- calls (state.c)

// First line of every entry point: serialises threads and names the function in messages.
#define DOUBLE_ENTER()                                                                             \
  __attribute__((cleanup(co_double_leave), unused)) int double_entered = co_double_enter(__func__)
// The same for functions that return cudaError_t: no device or a lost one ends them at once.
#define CUDART_ENTER()                                                                             \
  DOUBLE_ENTER();                                                                                  \
  do {                                                                                             \
    cudaError_t double_state = co_double_state();                                                  \
    if (double_state != cudaSuccess) return co_double_error(double_state);                         \
  } while (0)

int co_double_enter(const char *function);
void co_double_leave(int *entered);
_Noreturn void co_double_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void co_double_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

// cudaSuccess, or why no call can succeed: driver too old, no device, device lost.
cudaError_t co_double_state(void);
void co_double_lose_device(void);
void co_double_need_first_device(void); // aborts where another is current
// Keeps the code for cudaGetLastError and returns it.
cudaError_t co_double_error(cudaError_t error);

// Non-negative integer from the environment.
uint64_t co_double_setting(const char *name, uint64_t fallback);
// True when the n-th call of a kind is the one to fail; counts the call.
typedef struct co_double_fault {
  const char *variable;
  bool loaded;
  long remaining;
} co_double_fault;
bool co_double_fault_hits(co_double_fault *fault);
void co_double_fault_set(co_double_fault *fault, long n);

// ---- objects behind handles (state.c)

typedef enum co_double_kind {
  CO_DOUBLE_STREAM,
  CO_DOUBLE_EVENT,
  CO_DOUBLE_GRAPH,
  CO_DOUBLE_GRAPH_EXEC,
  CO_DOUBLE_CUBLAS,
  CO_DOUBLE_CUBLASLT,
  CO_DOUBLE_LT_DESC,
  CO_DOUBLE_LT_LAYOUT,
  CO_DOUBLE_LT_PREFERENCE,
  CO_DOUBLE_CUDNN,
  CO_DOUBLE_CUDNN_DESCRIPTOR,
  CO_DOUBLE_CUDNN_RNN,
  CO_DOUBLE_CUDNN_RNN_DATA,
  CO_DOUBLE_CUDNN_TENSOR,
  CO_DOUBLE_KIND_COUNT
} co_double_kind;

// First member of every object. The caller's handle is one reference; work in flight and other
// objects hold more, so that destroying a handle early is as harmless as with the real library.
typedef struct co_double_object {
  co_double_kind kind;
  int references;
  bool open; // the caller's handle is still valid
  const char *creator;
  void (*finish)(void *object); // frees what the object owns; may be NULL
  struct co_double_object *next, *previous;
} co_double_object;

void *co_double_object_new(co_double_kind kind, size_t size, void (*finish)(void *object));
// The handle itself, if it is a live one of this kind; aborts otherwise.
void *co_double_object_get(co_double_kind kind, const void *handle, const char *argument);
void co_double_object_retain(void *object);
void co_double_object_release(void *object);
void co_double_object_close(void *object); // the caller's destroy call
// Next live object of a kind after `object` (NULL: the first), newest first.
void *co_double_object_next(co_double_kind kind, const void *object);

// ---- memory (memory.c)

// Device memory is inaccessible except between these two, which nest.
void co_double_device_open(void);
void co_double_device_close(void);
// Aborts unless [pointer, pointer + bytes) lies in one live device allocation.
void co_double_need_device(const char *argument, const void *pointer, size_t bytes);
// Aborts if the range is device memory, or NULL with bytes > 0.
void co_double_need_host(const char *argument, const void *pointer, size_t bytes);
bool co_double_is_device(const void *pointer); // live or dead
bool co_double_is_pinned(const void *pointer, size_t bytes);
void co_double_check_red_zones(void);
// Fills memory with bytes that read as NaN.
void co_double_poison(void *pointer, size_t bytes);
// The same for a library's workspace, of which only both ends are filled.
void co_double_poison_workspace(void *pointer, size_t bytes);
long co_double_report_memory(bool print); // live blocks, device and pinned
size_t co_double_live_bytes(void);
size_t co_double_peak_bytes(void);
long co_double_allocations(void);
uint64_t co_double_total_memory(void);

// ---- work (work.c)

typedef enum co_double_work_kind {
  CO_DOUBLE_KERNEL, // and library calls
  CO_DOUBLE_COPY,
  CO_DOUBLE_FILL,
  CO_DOUBLE_HOST // runs with device memory closed
} co_double_work_kind;

typedef struct co_double_access {
  const char *begin;
  size_t bytes;
  bool writes;
} co_double_access;

typedef struct co_double_work {
  co_double_work_kind kind;
  const char *what;
  void (*run)(void *closure);
  void (*submit)(void *closure); // at enqueue, or at each launch of a graph; may be NULL
  void (*destroy)(void *closure);
  void *closure;
  int references;
  co_double_access *accesses; // what is known of them
  size_t access_count;
} co_double_work;

// What the work that is submitted next will touch on the device (side_by_side.c).
void co_double_claim(const void *pointer, size_t bytes, bool writes);

// Takes the closure over, whatever comes back.
cudaError_t co_double_submit(cudaStream_t stream, co_double_work_kind kind, const char *what,
                             void (*run)(void *), void (*submit)(void *), void (*destroy)(void *),
                             void *closure);
// Lets the device's clock, which is made up, go forward: a kernel takes a microsecond, a library's call
// what it says beside that.
void co_double_charge(double microseconds);
bool co_double_stream_capturing(cudaStream_t stream);
void co_double_need_stream(cudaStream_t stream); // aborts unless it is a live stream

#endif
