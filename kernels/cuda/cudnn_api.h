// SPDX-License-Identifier: Apache-2.0
// cuDNN's graph interface and its recurrent layers, loaded when the first convolution or recurrent layer
// asks for them: models without these do not pay for it, and run where it is not installed.
#ifndef COHORT_KERNELS_CUDA_CUDNN_API_H
#define COHORT_KERNELS_CUDA_CUDNN_API_H

#include <cudnn_adv.h>
#include <cudnn_graph.h>

#include "kernels/cuda/cuda.h"

// X(member, function)
#define CO_CUDNN_FUNCTIONS(X)                                                                      \
  X(get_version, cudnnGetVersion)                                                                  \
  X(get_error_string, cudnnGetErrorString)                                                         \
  X(create, cudnnCreate)                                                                           \
  X(destroy, cudnnDestroy)                                                                         \
  X(set_stream, cudnnSetStream)                                                                    \
  X(create_descriptor, cudnnBackendCreateDescriptor)                                               \
  X(destroy_descriptor, cudnnBackendDestroyDescriptor)                                             \
  X(set_attribute, cudnnBackendSetAttribute)                                                       \
  X(get_attribute, cudnnBackendGetAttribute)                                                       \
  X(finalize, cudnnBackendFinalize)                                                                \
  X(execute, cudnnBackendExecute)                                                                  \
  X(create_tensor, cudnnCreateTensorDescriptor)                                                    \
  X(destroy_tensor, cudnnDestroyTensorDescriptor)                                                  \
  X(set_tensor, cudnnSetTensorNdDescriptor)                                                        \
  X(create_rnn, cudnnCreateRNNDescriptor)                                                          \
  X(destroy_rnn, cudnnDestroyRNNDescriptor)                                                        \
  X(set_rnn, cudnnSetRNNDescriptor_v8)                                                             \
  X(create_rnn_data, cudnnCreateRNNDataDescriptor)                                                 \
  X(destroy_rnn_data, cudnnDestroyRNNDataDescriptor)                                               \
  X(set_rnn_data, cudnnSetRNNDataDescriptor)                                                       \
  X(weight_space, cudnnGetRNNWeightSpaceSize)                                                      \
  X(weight_params, cudnnGetRNNWeightParams)                                                        \
  X(temp_space, cudnnGetRNNTempSpaceSizes)                                                         \
  X(rnn_forward, cudnnRNNForward)                                                                  \
  X(rnn_backward_data, cudnnRNNBackwardData_v8)                                                    \
  X(rnn_backward_weights, cudnnRNNBackwardWeights_v8)

typedef struct co_cudnn {
  cudnnHandle_t handle;            // or, where nothing is opened,
  cudnnBackendDescriptor_t device; // the properties of the device that is planned for
#define X(member, function) __typeof__(function) *member;
  CO_CUDNN_FUNCTIONS(X)
#undef X
  char missing[CO_CUDA_REASON]; // why it cannot be used, "" if it can
  bool wrong;                   // it is there, but not as it should be: an error
} co_cudnn;

// Loads it once; refuses through `answer` where it is not installed. Where it is of another major
// version or does not start, that is an error: our own convolutions are no quiet way around it.
co_status co_cudnn_get(co_cuda *cuda, co_cuda_answer *answer, const co_cudnn **out);

// The same to plan with, without a device; *out is NULL where it is not there as it should be.
co_status co_cudnn_plan_get(co_cuda *cuda, const co_cudnn **out);

// ---- one convolution ---------------------------------------------------------------------------

enum { CO_CUDNN_MAX_PARTS = 24 };

typedef enum co_cudnn_pass {
  CO_CUDNN_FORWARD,
  CO_CUDNN_BACKWARD_DATA,
  CO_CUDNN_BACKWARD_WEIGHTS
} co_cudnn_pass;

typedef struct co_cudnn_problem {
  co_cudnn_pass pass;
  int64_t x[4], w[4], y[4]; // N C H W, O C KH KW, N O P Q
  int64_t pad_begin[2], pad_end[2], stride[2], dilation[2];
  bool bf16;       // all tensors; sums are float
  bool bias, relu; // forward only
  bool accumulate; // onto what the result holds
} co_cudnn_problem;

// A finalized plan with all it is made of.
typedef struct co_cudnn_plan {
  cudnnBackendDescriptor_t parts[CO_CUDNN_MAX_PARTS];
  int part_count;
  cudnnBackendDescriptor_t plan;
  size_t workspace;
  co_op_engine engine;
} co_cudnn_plan;

// Candidate 0: the first engine with tensor cores in cuDNN's order that takes the problem, or else the
// first; in full precision never one with them. Further ones: the candidate-th, from 0, of the engines in
// this order, whether or not those before it take the problem. CUDNN_STATUS_NOT_SUPPORTED where no engine
// will do: deterministic, compiled beforehand (unless `compile`), in full precision if that is asked for.
cudnnStatus_t co_cudnn_plan_create(const co_cuda *cuda, const co_cudnn *dnn,
                                   const co_cudnn_problem *problem, bool compile, int candidate,
                                   co_cudnn_plan *out);
void co_cudnn_plan_free(const co_cudnn *dnn, co_cudnn_plan *plan);
// `bias` is NULL where the problem has none.
cudnnStatus_t co_cudnn_plan_run(const co_cudnn *dnn, const co_cudnn_plan *plan, void *x, void *w,
                                void *y, void *bias, void *workspace, cudaStream_t stream);

#endif
