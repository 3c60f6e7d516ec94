// SPDX-License-Identifier: Apache-2.0
#include "rnn_descriptors.h"

#include <stdio.h>

#include <cudnn.h>

// As kernels/cuda/cudnn_rnn.c sets them, and what differs from that.
typedef struct layer_case {
  const char *name;
  cudnnRNNMode_t mode;
  cudnnRNNBiasMode_t bias;
  cudnnDataType_t precision;
  cudnnMathType_t math;
  int inputs, units, projected, layers;
  cudnnStatus_t wanted;
} layer_case;

#define LSTM CUDNN_LSTM, CUDNN_RNN_SINGLE_INP_BIAS
#define GRU CUDNN_GRU, CUDNN_RNN_DOUBLE_BIAS
#define SIMPLE CUDNN_RNN_TANH, CUDNN_RNN_SINGLE_INP_BIAS
#define FLOATS CUDNN_DATA_FLOAT, CUDNN_DEFAULT_MATH
#define STRICT CUDNN_DATA_FLOAT, CUDNN_FMA_MATH
static const layer_case layers[] = {
    {"lstm", LSTM, FLOATS, 18, 32, 32, 1, CUDNN_STATUS_SUCCESS},
    {"lstm, full precision", LSTM, STRICT, 18, 32, 32, 1, CUDNN_STATUS_SUCCESS},
    {"gru", GRU, FLOATS, 1, 1, 1, 1, CUDNN_STATUS_SUCCESS},
    {"gru, full precision", GRU, STRICT, 7, 4096, 4096, 1, CUDNN_STATUS_SUCCESS},
    {"simple", SIMPLE, FLOATS, 300, 128, 128, 1, CUDNN_STATUS_SUCCESS},
    {"no inputs", LSTM, FLOATS, 0, 32, 32, 1, CUDNN_STATUS_BAD_PARAM},
    {"no units", LSTM, FLOATS, 18, 0, 0, 1, CUDNN_STATUS_BAD_PARAM},
    {"no layers", LSTM, FLOATS, 18, 32, 32, 0, CUDNN_STATUS_BAD_PARAM},
    {"projected to more", LSTM, FLOATS, 18, 32, 33, 1, CUDNN_STATUS_NOT_SUPPORTED},
    {"gru, projected", GRU, FLOATS, 18, 32, 8, 1, CUDNN_STATUS_NOT_SUPPORTED},
    {"sums in bf16", LSTM, CUDNN_DATA_BFLOAT16, CUDNN_DEFAULT_MATH, 18, 32, 32, 1,
     CUDNN_STATUS_NOT_SUPPORTED},
};

typedef struct data_case {
  const char *name;
  int events, rows, width, lengths[3];
  cudnnStatus_t wanted;
} data_case;

static const data_case data[] = {
    {"rows of one length", 4, 3, 5, {4, 4, 4}, CUDNN_STATUS_SUCCESS},
    {"one event", 1, 1, 1, {1, 0, 0}, CUDNN_STATUS_SUCCESS},
    {"no events", 0, 3, 5, {0, 0, 0}, CUDNN_STATUS_BAD_PARAM},
    {"no rows", 4, 0, 5, {4, 4, 4}, CUDNN_STATUS_BAD_PARAM},
    {"not sorted", 4, 3, 5, {2, 4, 4}, CUDNN_STATUS_BAD_PARAM},
    {"an empty row", 4, 3, 5, {4, 4, 0}, CUDNN_STATUS_BAD_PARAM},
    {"longer than the longest", 4, 3, 5, {5, 4, 4}, CUDNN_STATUS_BAD_PARAM},
    {"none of the longest", 4, 3, 5, {3, 3, 3}, CUDNN_STATUS_BAD_PARAM},
};

static int wrong(const char *name, cudnnStatus_t got, cudnnStatus_t wanted) {
  if (got == wanted) return 0;
  printf("FAIL recurrent layer, %s: %s instead of %s\n", name, cudnnGetErrorString(got),
         cudnnGetErrorString(wanted));
  return 1;
}

int rnn_descriptors_wrong(void) {
  cudnnRNNDescriptor_t layer = NULL;
  cudnnRNNDataDescriptor_t events = NULL;
  cudnnTensorDescriptor_t state = NULL;
  int failures = wrong("create", cudnnCreateRNNDescriptor(&layer), CUDNN_STATUS_SUCCESS) +
                 wrong("create data", cudnnCreateRNNDataDescriptor(&events), CUDNN_STATUS_SUCCESS) +
                 wrong("create state", cudnnCreateTensorDescriptor(&state), CUDNN_STATUS_SUCCESS);
  if (failures > 0) return failures;
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
    const layer_case *c = &layers[i];
    failures += wrong(c->name,
                      cudnnSetRNNDescriptor_v8(
                          layer, CUDNN_RNN_ALGO_STANDARD, c->mode, c->bias, CUDNN_UNIDIRECTIONAL,
                          CUDNN_LINEAR_INPUT, CUDNN_DATA_FLOAT, c->precision, c->math, c->inputs,
                          c->units, c->projected, c->layers, NULL, CUDNN_RNN_PADDED_IO_DISABLED),
                      c->wanted);
  }
  for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
    const data_case *c = &data[i];
    failures += wrong(c->name,
                      cudnnSetRNNDataDescriptor(events, CUDNN_DATA_FLOAT,
                                                CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED, c->events,
                                                c->rows, c->width, c->lengths, NULL),
                      c->wanted);
  }
  const int dim[] = {1, 3, 7}, stride[] = {21, 7, 1};
  failures += wrong("states", cudnnSetTensorNdDescriptor(state, CUDNN_DATA_FLOAT, 3, dim, stride),
                    CUDNN_STATUS_SUCCESS);
  cudnnDestroyTensorDescriptor(state);
  cudnnDestroyRNNDataDescriptor(events);
  cudnnDestroyRNNDescriptor(layer);
  return failures;
}
