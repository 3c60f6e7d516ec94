// SPDX-License-Identifier: Apache-2.0
// What a backend ("ref", "cpu", "cuda:0") offers: device memory, layouts, and two-phase
// operations: query says whether and how, prepare creates vendor descriptors, run only computes.
#ifndef COHORT_KERNELS_BACKEND_H
#define COHORT_KERNELS_BACKEND_H

#include "host/core/context.h"
#include "kernels/descriptor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_backend co_backend;
typedef struct co_prepared co_prepared; // backend-private; borrows nothing from the descriptor

// Where work waits its turn on devices that work beside the host: operations, uploads and downloads
// on one queue, copies that should run beside them on the other.
typedef enum co_queue { CO_QUEUE_COMPUTE, CO_QUEUE_COPY } co_queue;
// Where operations run.
typedef enum co_branch {
  CO_BRANCH_MAIN, // CO_QUEUE_COMPUTE
  CO_BRANCH_SIDE  // a second one, with tickets of its own
} co_branch;
typedef struct co_fence co_fence; // a place in a queue that others can wait for

// "The backend may choose": for operands of a queried descriptor.
#define CO_LAYOUT_ANY ((co_layout)-1)

// Which of a library's ways of computing was taken; `rank` 0 = it has none, or was not asked.
typedef struct co_op_engine {
  int64_t index;     // the library's own number
  int rank, offered; // in the library's order, the best is 1, of how many
  bool tensor_cores;
} co_op_engine;

// Why an operation is computed in the way it is, where a library offers several.
typedef enum co_op_chosen {
  CO_CHOSEN_HEURISTIC, // the library's own first
  CO_CHOSEN_TUNED,     // the fastest of those that were timed, just now
  CO_CHOSEN_CACHED,    // the same, at an earlier time
  CO_CHOSEN_PINNED     // what the run that goes on was begun with
} co_op_chosen;

// Answer to a query.
typedef struct co_op_choice {
  const char *implementation; // "dnnl:jit:avx512_core", "omp", "ref"; borrowed until backend free
  const char *refused;        // implementations passed over and why, one line, or NULL; likewise
  co_layout in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS]; // the layouts it works on
  size_t workspace;                                          // scratch bytes during run, ours
  int launches;    // kernels, library calls and memory operations of one run; 0 = not counted
  const char *why; // why they are more than one; NULL where they are not
  bool planned;    // what a device is expected to say, which has not been asked
  uint32_t
      narrow; // bit i: out[i] is made in bf16, and f32 would be widened from that by a launch of its own
  co_op_engine engine;
  // Of several ways: this one, in the library's words, borrowed as above; NULL where there are none.
  const char *way;
  co_op_chosen chosen;
} co_op_choice;

typedef struct co_backend_api {
  const char *name;
  size_t alignment; // of every tensor's address in bytes: 64 on the CPU, 256 on CUDA
  void (*free)(co_backend *backend);

  // Operand layouts in `desc` are facts (the operand already lies so), or CO_LAYOUT_ANY. The answer
  // names what the fastest implementation works on; where it differs from a fact, the planner adds
  // a REORDER. Accumulation that is not supported: CO_ERR_DEVICE only if desc->accumulate != 0 and
  // it would be accepted with 0 (the planner then adds a temporary and an ADD). Any other refusal
  // is CO_ERR_DEVICE with the reason.
  co_status (*query)(co_backend *backend, const co_op_desc *desc, co_op_choice *out);
  // All layouts concrete and as answered by query.
  co_status (*prepare)(co_backend *backend, const co_op_desc *desc, co_prepared **out);
  void (*release)(co_backend *backend, co_prepared *prepared);
  // Absent operands are NULL. No allocation. On the CPU it returns when done; on CUDA it enqueues. Inputs
  // stay as they are, but for values saved in a layout of the library's own, which their reader may use up.
  co_status (*run)(co_backend *backend, co_prepared *prepared, void *const *in, void *const *out,
                   void *workspace);

  // Bytes of a tensor in its layout (canonical or an id this backend gave out), padding included.
  size_t (*layout_bytes)(co_backend *backend, const co_tensor_desc *desc);
  // For tables: "canonical", "nhwc", "aBcd16b". Borrowed until backend free.
  const char *(*layout_name)(co_backend *backend, co_layout layout);

  // Device memory, aligned; CO_ERR_MEMORY with the bytes when there is none.
  co_status (*buffer_create)(co_backend *backend, size_t bytes, void **out);
  void (*buffer_free)(co_backend *backend, void *buffer);
  co_status (*upload)(co_backend *backend, void *device, const void *host, size_t bytes);
  co_status (*download)(co_backend *backend, void *host, const void *device, size_t bytes);
  co_status (*fill_zero)(co_backend *backend, void *device, size_t bytes);
  co_status (*synchronize)(co_backend *backend);

  // Two queues of operations, recorded or not; NULL where there is one. What runs after branch(SIDE) waits
  // for all before it on the first queue and for nothing behind it; after branch(MAIN) runs go to the
  // first queue again, which waits for the second from `join` on. Operations that may run at the same time
  // must share no memory that one of them writes, scratch memory included. A recording ends joined.
  co_status (*branch)(co_backend *backend, co_branch branch);
  co_status (*join)(co_backend *backend);

  // Recording runs, to repeat them by one launch; NULL where the backend cannot (CPU, reference).
  // Between begin and end, run and fill_zero record instead of doing, with the addresses they are
  // given; nothing else may be called but query, prepare and release. A failed run is followed by
  // capture_end all the same, which then fails and leaves *graph NULL. A recording borrows the
  // prepared operations and must be freed before them. Whatever changes from step to step (rows,
  // step scalars) lies in device memory and is uploaded before each launch.
  co_status (*capture_begin)(co_backend *backend);
  co_status (*capture_end)(co_backend *backend, void **graph);
  co_status (*graph_launch)(co_backend *backend, void *graph);
  void (*graph_free)(co_backend *backend, void *graph); // NULL is legal

  // Working beside the host; NULL where host_memory. Host buffers are page-locked: copies between
  // them and the device are enqueued and done when a fence recorded behind them has been passed.
  // All of it is outside of recordings.
  co_status (*host_buffer_create)(co_backend *backend, size_t bytes, void **out);
  void (*host_buffer_free)(co_backend *backend, void *buffer); // NULL is legal
  co_status (*send)(co_backend *backend, co_queue queue, void *device, const void *host_buffer,
                    size_t bytes);
  co_status (*fetch)(co_backend *backend, co_queue queue, void *host_buffer, const void *device,
                     size_t bytes);
  co_status (*fence_create)(co_backend *backend, co_fence **out);
  void (*fence_free)(co_backend *backend, co_fence *fence); // NULL is legal
  co_status (*fence_record)(co_backend *backend, co_fence *fence, co_queue queue);
  co_status (*fence_wait)(co_backend *backend, co_fence *fence); // the host waits
  co_status (*queue_wait)(co_backend *backend, co_queue queue, co_fence *fence);
  // Bytes of device memory that are free, and in all.
  co_status (*memory_info)(co_backend *backend, size_t *available, size_t *total);

  int capability; // of a GPU, 90 = 9.0: of the device, or that is planned for; else 0
  // True where a mask of DENSE and DENSE_RELU_BACKWARD cost less than the operations they replace.
  bool relu_masks;
  // True where BATCH_NORM that pools as well costs less than MAX_POOL2D behind it.
  bool norm_pools;
  // True where BATCH_NORM_INFERENCE is folded into the weights before it for scoring, which rounds in
  // another way: the reference computes what the graph says. False where a run's timed choices (autotune)
  // are those of scoring, too: what is folded is a product of its own, which no training has timed.
  bool folds_norms;
  // True where host pointers may be passed to run (CPU, reference).
  bool host_memory;
} co_backend_api;

struct co_backend {
  const co_backend_api *api;
  co_context *ctx;
};

// Ways to compute operations that were chosen by their times: found and kept by machine (device and
// library) and operation, both as text. host/device/choices.h has one.
typedef struct co_op_ways {
  void *user;
  double seconds; // that timing may take in all; what it does not reach is the library's first way
  // The way that was chosen, NULL = none; borrowed until the next call. `machine` NULL: whichever. A
  // run's own that was chosen elsewhere is CO_ERR_DEVICE.
  co_status (*find)(void *user, const char *machine, const char *operation, const char **way,
                    co_op_chosen *chosen);
  // What is taken; `microseconds` 0 = not timed.
  co_status (*keep)(void *user, const char *machine, const char *operation, const char *way,
                    double microseconds, co_op_chosen chosen);
} co_op_ways;

typedef struct co_backend_options {
  int threads;       // 0 = the context's
  const char *force; // implementation name prefix to use where offered ("ref"), NULL = fastest
  bool strict_f32;   // f32 products exactly so, where the device would round operands to TF32
  // Nothing will be run: CUDA answers without a device. What its libraries would say is taken for
  // said (co_op_choice.planned), with the most workspace that they may take; addresses are made up,
  // uploads do nothing, runs and downloads are CO_ERR_INTERNAL. The CPU does as always.
  bool planning;
  const co_op_ways *ways; // borrowed until the backend is freed; NULL = the libraries' first ways
} co_backend_options;

// The reference: canonical layouts, one thread; takes f32 and f64 descriptors. Always complete.
co_status co_ref_backend_open(co_backend **out, co_context *ctx, const co_backend_options *options);
// oneDNN and OpenMP, the reference last.
co_status co_cpu_backend_open(co_backend **out, co_context *ctx, const co_backend_options *options);
// CUDA comes as a plugin: host/device/backend.h opens any device by its name.
// Of the oneDNN in use: "2.6.3".
void co_dnnl_library_version(char *out, size_t size);
// What multiplies bf16 on this processor: "amx", "avx512_bf16", or "float" where products go by way of that.
const char *co_dnnl_bf16(void);

#ifdef __cplusplus
}
#endif
#endif
