// SPDX-License-Identifier: Apache-2.0
// Inside the CUDA plugin: its state, layouts, and how an implementation of an operation is written.
// An implementation is a row of a table: our own kernels give a launcher and masks, those of vendor
// libraries a plan function.
#ifndef COHORT_KERNELS_CUDA_CUDA_H
#define COHORT_KERNELS_CUDA_CUDA_H

#include "kernels/cuda/kernels.h"
#include "kernels/cuda_plugin.h"

// Convolution kernels as cuDNN wants them: logical (KH, KW, I, O) lies as (O, KH, KW, I). Masks of
// dense layers (N, O) as cuBLASLt makes them: a bit an element, the lowest of a byte first, rows of
// CO_CUDA_MASK_BITS(O) bits. All other tensors are canonical.
#define CO_CUDA_LAYOUT_OHWI ((co_layout)1)
#define CO_CUDA_LAYOUT_MASK ((co_layout)2)
// argmax of MAX_POOL2D with windows of at most 255 positions: a byte each, 255 where there is none.
#define CO_CUDA_LAYOUT_ARGMAX ((co_layout)3)
// saved of RECURRENT as cuDNN leaves it, its reserve space and the states: the layout counts its units of
// CO_CUDA_ALIGNMENT bytes from here. The backward operation uses it up.
#define CO_CUDA_LAYOUT_SAVED ((co_layout)16)
#define CO_CUDA_MASK_BITS(units) (((units) + 127) / 128 * 128)

enum {
  CO_CUDA_ALIGNMENT = 256,
  CO_CUDA_STAGING = 512 << 10, // bytes of pinned memory in each of the staging buffers
  CO_CUDA_REASON = CO_CUDA_TEXT,
  CO_CUDA_WAY = 128,
  CO_CUDA_CANDIDATES = 8, // ways that are timed
  // Of these, ways to do all in one launch, where two can be faster: the rest.
  CO_CUDA_FUSED_CANDIDATES = 5
};
// Scratch memory that a vendor library may ask for; the arena pays it once for all operations. Of
// convolutions a share of the device's memory, where that is more: many that use tensor cores want
// copies of their operands.
#define CO_CUDA_WORKSPACE_LIMIT ((size_t)64 << 20)
#define CO_CUDA_WORKSPACE_SHARE 16

typedef struct co_cuda_planned co_cuda_planned; // of plan_cache.c

typedef struct co_cuda {
  co_backend base; // first
  co_backend_api api;
  co_host_api host;
  char name[16];
  int device, capability; // 80 is 8.0
  bool strict_f32;
  size_t conv_workspace; // the most a convolution may take
  bool planning;         // without a device: planning.c
  size_t planned_bytes;
  char force[32];                    // prefix of implementations' names, "" = none
  cudaStream_t stream, side, copies; // the queues
  bool beside;                       // operations go to `side`
  cudaEvent_t branched, joined;      // where `side` may begin; where it is done
  bool capturing;
  struct { // uploads go through two halves in turn, so that they need not wait
    char *memory;
    cudaEvent_t copied[2];
    int half;
    size_t used;
  } up;
  char *down;
  unsigned *tickets;        // of all launches of `stream`, then those of `side`
  void *cublaslt;           // of cublas_product.c, made when first needed
  void *cudnn;              // of cudnn_api.c, likewise
  co_cuda_planned *planned; // latest first
  const co_op_ways *tuning; // NULL = nothing is timed
  double tuned_seconds;
  char machine[160]; // device and CUDA, for `tuning`
} co_cuda;

typedef struct co_cuda_impl co_cuda_impl;

struct co_prepared {
  const co_cuda_impl *impl;
  co_op_desc desc;
  co_status (*run)(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call);
  void (*release)(co_cuda *cuda, co_prepared *prepared); // frees what it holds, not itself; or NULL
  char way[CO_CUDA_WAY];
  char refused[CO_CUDA_REASON]; // "cudnn: fewer than 8 events": who was passed over; "" = nobody
};

typedef struct co_cuda_answer {
  int candidate;         // which way is asked for, 0 = the library's first
  char way[CO_CUDA_WAY]; // begins with that number
  co_op_choice choice;   // all canonical at first
  char reason[CO_CUDA_REASON];
  bool accumulate; // refused only because of desc->accumulate
  bool failed;     // CO_ERR_DEVICE is no refusal but an error that host.fail has been given
} co_cuda_answer;

struct co_cuda_impl {
  co_op op;
  const char *name;
  // CO_OK: accepted, answer->choice says how, and *out is made if out is not NULL. CO_ERR_DEVICE
  // through co_cuda_refuse: not by this implementation. Anything else: a failure.
  co_status (*plan)(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                    co_cuda_answer *answer, co_prepared **out);
  // Of libraries with several ways: name and version.
  void (*library)(const co_cuda *cuda, char *out, size_t size);
  // Our own kernels (plan is co_cuda_plan_kernel):
  co_cuda_launcher *launch;
  co_cuda_scratch *scratch;   // NULL = none
  co_cuda_launches *launches; // NULL = one
  const char *why;            // why they can be more than one
  uint32_t f32_in, f32_out;   // operands that must be f32 if present,
  uint32_t bf16_in, bf16_out; // but for these, which may be bf16 (as the contract lets them)
  bool large;                 // counts elements in 64 bits everywhere
  bool same;                  // all operands in one layout, whichever it is
};

co_status co_cuda_plan_kernel(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                              co_cuda_answer *answer, co_prepared **out);
co_status co_cuda_refuse(co_cuda_answer *answer, const char *format, ...) CO_PRINTF(2, 3);
// Allocates `size` bytes that start with a co_prepared, zeroed but for its base.
co_status co_cuda_prepared_create(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                                  size_t size, co_prepared **out);
// CO_OK, or CO_ERR_DEVICE with "cuda:0: what: the error's text".
co_status co_cuda_check(const co_cuda *cuda, cudaError_t error, const char *what);

// plan_cache.c. What was answered to this descriptor, or to one whose open layouts became these; the
// prepared operation is the cache's, for as long as the backend lives, and any number may run it.
bool co_cuda_planned_find(const co_cuda *cuda, const co_op_desc *desc, co_op_choice *choice,
                          co_prepared **prepared);
// Takes `prepared` over, on failure too.
co_status co_cuda_planned_keep(co_cuda *cuda, const co_op_desc *desc, const co_op_choice *choice,
                               co_prepared *prepared);
void co_cuda_planned_free(co_cuda *cuda);
void co_cuda_release(co_cuda *cuda, co_prepared *prepared);

// tune.c: after a first plan by impl, takes the way that was chosen before, or times the candidates.
co_status co_cuda_tune(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                       co_cuda_answer *answer, co_prepared **prepared);

// Tables end with a row of name NULL; rows of one operation in order of preference.
extern const co_cuda_impl co_cuda_kernels[], co_cuda_cublas[], co_cuda_cudnn[], co_cuda_cudnn_rnn[];
void co_cuda_cublas_close(co_cuda *cuda);
void co_cuda_cudnn_close(co_cuda *cuda);

// machine.c: everything that can be wrong with the machine, in the words of its owner.
// A device that exists, that the driver can serve and that there is code for; fills *properties.
co_status co_cuda_find_device(const co_host_api *host, int index,
                              struct cudaDeviceProp *properties);
co_status co_cuda_enter_device(const co_host_api *host, int index); // makes it current, or says why
void co_cuda_describe_machine(const co_host_api *host);             // fills host->machine
co_status co_cuda_cublas_check(const co_host_api *host); // cuBLASLt is of the version built for
size_t co_cuda_cublas_version(void);
// Of the cuDNN that would be loaded; 0 with the reason where none can be used.
size_t co_cuda_cudnn_version(char *problem, size_t size);

// What plans without a device are made for.
#define CO_CUDA_PLANNED_CAPABILITY 90
#define CO_CUDA_PLANNED_MEMORY ((size_t)80 << 30)
// planning.c: replaces what would touch a device.
void co_cuda_plan_only(co_cuda *cuda);

#endif
