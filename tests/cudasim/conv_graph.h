// SPDX-License-Identifier: Apache-2.0
// Builds the operation graphs of a convolution through cuDNN's backend interface, for tests of the
// real library and of its double.
#ifndef COHORT_CUDASIM_CONV_GRAPH_H
#define COHORT_CUDASIM_CONV_GRAPH_H

#include <cudnn.h>

typedef enum conv_pass {
  CONV_FORWARD,
  CONV_FORWARD_BIAS_RELU,
  CONV_BACKWARD_DATA,
  CONV_BACKWARD_FILTER,
  CONV_PASS_COUNT
} conv_pass;

// Unique ids of the tensors; a gradient has the id of what it is the gradient of.
enum { CONV_X = 1, CONV_W, CONV_Y, CONV_BIAS, CONV_SUM, CONV_BIASED };

typedef struct conv_shape {
  int64_t n, c, h, w; // input
  int64_t k, r, s;    // filters and their extents
  int64_t padding, stride, dilation, groups;
} conv_shape;

int64_t conv_output_height(const conv_shape *shape);
int64_t conv_output_width(const conv_shape *shape);

enum { CONV_MAX_PARTS = 16 };

typedef struct conv_graph {
  cudnnBackendDescriptor_t graph; // one of the parts
  cudnnBackendDescriptor_t parts[CONV_MAX_PARTS];
  int part_count;
  cudnnStatus_t status; // of the first call that failed
} conv_graph;

// `handle` may be NULL for the real library (no device). beta scales what the result held before.
// Frees nothing by itself: call conv_graph_free whatever the status.
conv_graph conv_graph_build(conv_pass pass, const conv_shape *shape, cudnnDataType_t type,
                            cudnnHandle_t handle, float beta);
void conv_graph_free(conv_graph *graph);

#endif
