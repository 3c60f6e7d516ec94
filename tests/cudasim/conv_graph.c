// SPDX-License-Identifier: Apache-2.0
#include "conv_graph.h"

#include <stdbool.h>

typedef cudnnBackendDescriptor_t descriptor;

static int64_t output_extent(const conv_shape *shape, int64_t input, int64_t filter) {
  int64_t reach = shape->dilation * (filter - 1) + 1;
  return (input + 2 * shape->padding - reach) / shape->stride + 1;
}

int64_t conv_output_height(const conv_shape *shape) {
  return output_extent(shape, shape->h, shape->r);
}

int64_t conv_output_width(const conv_shape *shape) {
  return output_extent(shape, shape->w, shape->s);
}

// ---- parts; after a failure every further call does nothing

static void note(conv_graph *g, cudnnStatus_t status) {
  if (g->status == CUDNN_STATUS_SUCCESS) g->status = status;
}

static descriptor begin(conv_graph *g, cudnnBackendDescriptorType_t type) {
  descriptor d = NULL;
  if (g->status == CUDNN_STATUS_SUCCESS) note(g, cudnnBackendCreateDescriptor(type, &d));
  if (d != NULL) g->parts[g->part_count++] = d;
  return d;
}

static void set(conv_graph *g, descriptor d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values) {
  if (g->status == CUDNN_STATUS_SUCCESS)
    note(g, cudnnBackendSetAttribute(d, name, type, count, values));
}

static void set_child(conv_graph *g, descriptor d, cudnnBackendAttributeName_t name,
                      descriptor child) {
  set(g, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &child);
}

static descriptor end(conv_graph *g, descriptor d) {
  if (g->status == CUDNN_STATUS_SUCCESS) note(g, cudnnBackendFinalize(d));
  return d;
}

static descriptor tensor(conv_graph *g, int64_t uid, cudnnDataType_t type, int64_t n, int64_t c,
                         int64_t h, int64_t w, bool is_virtual) {
  const int64_t extents[4] = {n, c, h, w}, strides[4] = {c * h * w, 1, w * c, c}, alignment = 16;
  descriptor d = begin(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set(g, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
  set(g, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set(g, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, extents);
  set(g, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
  set(g, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
  set(g, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
  return end(g, d);
}

static descriptor convolution(conv_graph *g, const conv_shape *shape) {
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const cudnnDataType_t type = CUDNN_DATA_FLOAT;
  const int64_t rank = 2, padding[2] = {shape->padding, shape->padding};
  const int64_t stride[2] = {shape->stride, shape->stride};
  const int64_t dilation[2] = {shape->dilation, shape->dilation};
  descriptor d = begin(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  set(g, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  set(g, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  set(g, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &rank);
  set(g, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
  set(g, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
  set(g, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
  set(g, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation);
  return end(g, d);
}

typedef struct convolution_names {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
} convolution_names;

static const convolution_names forward_names = {
    CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};

static const convolution_names data_names = {
    CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};

static const convolution_names filter_names = {
    CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};

static descriptor convolve(conv_graph *g, const convolution_names *names, descriptor convolution_,
                           descriptor x, descriptor w, descriptor y, float beta) {
  const float alpha = 1;
  descriptor d = begin(g, names->type);
  set_child(g, d, names->convolution, convolution_);
  set_child(g, d, names->x, x);
  set_child(g, d, names->w, w);
  set_child(g, d, names->y, y);
  set(g, d, names->alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
  set(g, d, names->beta, CUDNN_TYPE_FLOAT, 1, &beta);
  return end(g, d);
}

static descriptor pointwise(conv_graph *g, cudnnPointwiseMode_t mode, descriptor x, descriptor b,
                            descriptor y) {
  const cudnnDataType_t precision = CUDNN_DATA_FLOAT;
  const cudnnNanPropagation_t propagation = CUDNN_PROPAGATE_NAN;
  descriptor p = begin(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  set(g, p, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  set(g, p, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision);
  if (mode == CUDNN_POINTWISE_RELU_FWD)
    set(g, p, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &propagation);
  end(g, p);
  descriptor d = begin(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  set_child(g, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p);
  set_child(g, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (b != NULL) set_child(g, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
  set_child(g, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  return end(g, d);
}

conv_graph conv_graph_build(conv_pass pass, const conv_shape *shape, cudnnDataType_t type,
                            cudnnHandle_t handle, float beta) {
  conv_graph built = {.status = CUDNN_STATUS_SUCCESS}, *g = &built;
  int64_t p = conv_output_height(shape), q = conv_output_width(shape);
  bool fused = pass == CONV_FORWARD_BIAS_RELU;
  descriptor x = tensor(g, CONV_X, type, shape->n, shape->c, shape->h, shape->w, false);
  descriptor w =
      tensor(g, CONV_W, type, shape->k, shape->c / shape->groups, shape->r, shape->s, false);
  descriptor y = tensor(g, CONV_Y, type, shape->n, shape->k, p, q, false);
  descriptor c = convolution(g, shape);
  descriptor operations[3];
  int64_t count = 1;
  if (fused) {
    descriptor sum = tensor(g, CONV_SUM, CUDNN_DATA_FLOAT, shape->n, shape->k, p, q, true);
    descriptor bias = tensor(g, CONV_BIAS, type, 1, shape->k, 1, 1, false);
    descriptor biased = tensor(g, CONV_BIASED, CUDNN_DATA_FLOAT, shape->n, shape->k, p, q, true);
    operations[0] = convolve(g, &forward_names, c, x, w, sum, 0);
    operations[1] = pointwise(g, CUDNN_POINTWISE_ADD, sum, bias, biased);
    operations[2] = pointwise(g, CUDNN_POINTWISE_RELU_FWD, biased, NULL, y);
    count = 3;
  } else {
    const convolution_names *names = pass == CONV_FORWARD         ? &forward_names
                                     : pass == CONV_BACKWARD_DATA ? &data_names
                                                                  : &filter_names;
    operations[0] = convolve(g, names, c, x, w, y, beta);
  }
  g->graph = begin(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  set(g, g->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, operations);
  if (handle != NULL)
    set(g, g->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  end(g, g->graph);
  return built;
}

void conv_graph_free(conv_graph *graph) {
  while (graph->part_count > 0)
    cudnnBackendDestroyDescriptor(graph->parts[--graph->part_count]);
  graph->graph = NULL;
}
