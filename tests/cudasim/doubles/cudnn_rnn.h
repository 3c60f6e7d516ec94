// SPDX-License-Identifier: Apache-2.0
// cuDNN's recurrent layers in the double: one layer, one direction, float, rows of one length.
#ifndef COHORT_CUDASIM_CUDNN_RNN_H
#define COHORT_CUDASIM_CUDNN_RNN_H

#include "cudnn_double.h"

enum { RN_MOST_NUMBERS = 8 };

struct cudnnRNNStruct {
  co_double_object object;
  bool set;
  cudnnRNNMode_t mode;
  cudnnRNNBiasMode_t bias;
  bool tf32;
  int I, U;
};

struct cudnnRNNDataStruct {
  co_double_object object;
  bool set;
  int T, N, width;
};

struct cudnnTensorStruct {
  co_double_object object;
  int rank, dim[CUDNN_DIM_MAX], stride[CUDNN_DIM_MAX];
};

// Where what is, in floats: of the numbers of matrices (of x from 0, of h behind them) in the weight
// space; of an event in the reserve space the values saved and the gradients of both sums.
typedef struct rn_layout {
  int gates, saved;
  size_t matrix[RN_MOST_NUMBERS], bias[RN_MOST_NUMBERS]; // bias 0 = there is none
  size_t weights;                                        // in all
  size_t event, reserve;
} rn_layout;

rn_layout rn_layout_of(cudnnRNNDescriptor_t cell, const struct cudnnRNNDataStruct *x);

// The head of a reserve space says what was done with it last.
enum { RN_HEAD = 64, RN_FORWARD = 0x52454346, RN_BACKWARD = 0x52454342 };

// A call, with all it was given; pointers that the kind of call does not have are NULL.
typedef enum rn_kind { RN_INFER, RN_TRAIN, RN_DATA, RN_WEIGHTS } rn_kind;
typedef struct rn_call {
  rn_kind kind;
  struct cudnnRNNStruct cell;
  int T, N;
  const float *x, *y_in, *dy, *weights;
  float *y, *dx, *dweights, *reserve;
  void *workspace;
  size_t workspace_bytes;
} rn_call;

void rn_run(void *call); // cudnn_rnn_compute.c

#endif
