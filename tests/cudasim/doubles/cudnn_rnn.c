// SPDX-License-Identifier: Apache-2.0
// cuDNN's recurrent layers: descriptors, sizes and the checks of calls. What the real library refuses was
// asked of cuDNN 9.19 (tests/cudasim/rnn_descriptors.c asks both); the order and the gaps of the
// weight space are not its own, so that nobody relies on them.
#include <stdlib.h>
#include <string.h>

#include "cudnn_rnn.h"

enum { BLOCK = 64, WORKSPACE = 4096 };

#define CREATE(type, kind)                                                                         \
  DOUBLE_ENTER();                                                                                  \
  *out = co_double_object_new(kind, sizeof(struct type), NULL);                                    \
  return CUDNN_STATUS_SUCCESS
#define DESTROY(kind, handle)                                                                      \
  DOUBLE_ENTER();                                                                                  \
  if (handle != NULL) co_double_object_close(co_double_object_get(kind, handle, #handle));         \
  return CUDNN_STATUS_SUCCESS

cudnnStatus_t cudnnCreateRNNDescriptor(cudnnRNNDescriptor_t *out) {
  CREATE(cudnnRNNStruct, CO_DOUBLE_CUDNN_RNN);
}
cudnnStatus_t cudnnDestroyRNNDescriptor(cudnnRNNDescriptor_t rnnDesc) {
  DESTROY(CO_DOUBLE_CUDNN_RNN, rnnDesc);
}
cudnnStatus_t cudnnCreateRNNDataDescriptor(cudnnRNNDataDescriptor_t *out) {
  CREATE(cudnnRNNDataStruct, CO_DOUBLE_CUDNN_RNN_DATA);
}
cudnnStatus_t cudnnDestroyRNNDataDescriptor(cudnnRNNDataDescriptor_t rnnDataDesc) {
  DESTROY(CO_DOUBLE_CUDNN_RNN_DATA, rnnDataDesc);
}
cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *out) {
  CREATE(cudnnTensorStruct, CO_DOUBLE_CUDNN_TENSOR);
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensorDesc) {
  DESTROY(CO_DOUBLE_CUDNN_TENSOR, tensorDesc);
}

static struct cudnnRNNStruct *get_cell(cudnnRNNDescriptor_t cell) {
  return co_double_object_get(CO_DOUBLE_CUDNN_RNN, cell, "rnnDesc");
}

static struct cudnnRNNDataStruct *get_data(cudnnRNNDataDescriptor_t data, const char *name) {
  return co_double_object_get(CO_DOUBLE_CUDNN_RNN_DATA, data, name);
}

// ---- descriptors -------------------------------------------------------------------------------

cudnnStatus_t cudnnSetRNNDescriptor_v8(cudnnRNNDescriptor_t rnnDesc, cudnnRNNAlgo_t algo,
                                       cudnnRNNMode_t cellMode, cudnnRNNBiasMode_t biasMode,
                                       cudnnDirectionMode_t dirMode, cudnnRNNInputMode_t inputMode,
                                       cudnnDataType_t dataType, cudnnDataType_t mathPrec,
                                       cudnnMathType_t mathType, int32_t inputSize,
                                       int32_t hiddenSize, int32_t projSize, int32_t numLayers,
                                       cudnnDropoutDescriptor_t dropoutDesc, uint32_t auxFlags) {
  DOUBLE_ENTER();
  struct cudnnRNNStruct *cell = get_cell(rnnDesc);
  if (inputSize < 1 || hiddenSize < 1 || numLayers < 1)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "inputSize, hiddenSize or numLayers < 1");
  if (projSize > hiddenSize || (projSize != hiddenSize && cellMode != CUDNN_LSTM))
    return dn_fail(CUDNN_STATUS_NOT_SUPPORTED, "projSize=%d", projSize);
  if (dataType == CUDNN_DATA_FLOAT && mathPrec != CUDNN_DATA_FLOAT)
    return dn_fail(CUDNN_STATUS_NOT_SUPPORTED, "mathPrec=%d", (int)mathPrec);
  if (algo != CUDNN_RNN_ALGO_STANDARD || dirMode != CUDNN_UNIDIRECTIONAL ||
      inputMode != CUDNN_LINEAR_INPUT || dataType != CUDNN_DATA_FLOAT || projSize != hiddenSize ||
      numLayers != 1 || dropoutDesc != NULL || auxFlags != CUDNN_RNN_PADDED_IO_DISABLED ||
      (biasMode != CUDNN_RNN_SINGLE_INP_BIAS && biasMode != CUDNN_RNN_DOUBLE_BIAS) ||
      cellMode == CUDNN_RNN_RELU || (mathType != CUDNN_DEFAULT_MATH && mathType != CUDNN_FMA_MATH))
    co_double_die("such a recurrent layer is not modelled");
  cell->set = true;
  cell->mode = cellMode;
  cell->bias = biasMode;
  cell->tf32 = mathType == CUDNN_DEFAULT_MATH;
  cell->I = inputSize;
  cell->U = hiddenSize;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetRNNDataDescriptor(cudnnRNNDataDescriptor_t rnnDataDesc,
                                        cudnnDataType_t dataType, cudnnRNNDataLayout_t layout,
                                        int maxSeqLength, int batchSize, int vectorSize,
                                        const int seqLengthArray[], void *paddingFill) {
  DOUBLE_ENTER();
  struct cudnnRNNDataStruct *data = get_data(rnnDataDesc, "rnnDataDesc");
  if (maxSeqLength < 1 || batchSize < 1 || vectorSize < 1)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "maxSeqLength, batchSize or vectorSize < 1");
  if (dataType != CUDNN_DATA_FLOAT || layout != CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED ||
      paddingFill != NULL)
    co_double_die("such data of a recurrent layer are not modelled");
  for (int n = 0; n < batchSize; n++) {
    if (seqLengthArray[n] < 1 || seqLengthArray[n] > maxSeqLength)
      return dn_fail(CUDNN_STATUS_BAD_PARAM, "seqLengthArray[%d]=%d", n, seqLengthArray[n]);
    if (n > 0 && seqLengthArray[n] > seqLengthArray[n - 1])
      return dn_fail(CUDNN_STATUS_BAD_PARAM, "seqLengthArray is not sorted");
  }
  if (seqLengthArray[0] != maxSeqLength)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "no row has maxSeqLength=%d events", maxSeqLength);
  if (seqLengthArray[batchSize - 1] != maxSeqLength)
    co_double_die("rows of different lengths are not modelled");
  data->set = true;
  data->T = maxSeqLength;
  data->N = batchSize;
  data->width = vectorSize;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t tensorDesc,
                                         cudnnDataType_t dataType, int nbDims, const int dimA[],
                                         const int strideA[]) {
  DOUBLE_ENTER();
  struct cudnnTensorStruct *tensor =
      co_double_object_get(CO_DOUBLE_CUDNN_TENSOR, tensorDesc, "tensorDesc");
  if (dataType != CUDNN_DATA_FLOAT || nbDims < 3 || nbDims > CUDNN_DIM_MAX)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "nbDims=%d", nbDims);
  tensor->rank = nbDims;
  memcpy(tensor->dim, dimA, (size_t)nbDims * sizeof *dimA);
  memcpy(tensor->stride, strideA, (size_t)nbDims * sizeof *strideA);
  return CUDNN_STATUS_SUCCESS;
}

// ---- sizes -------------------------------------------------------------------------------------

static size_t blocks(size_t floats) {
  return (floats + BLOCK - 1) / BLOCK * BLOCK;
}

rn_layout rn_layout_of(cudnnRNNDescriptor_t cell, const struct cudnnRNNDataStruct *x) {
  rn_layout out = {.gates = cell->mode == CUDNN_LSTM  ? 4
                            : cell->mode == CUDNN_GRU ? 3
                                                      : 1,
                   .saved = cell->mode == CUDNN_LSTM  ? 5
                            : cell->mode == CUDNN_GRU ? 4
                                                      : 0,
                   .weights = BLOCK};
  const size_t U = (size_t)cell->U, I = (size_t)cell->I;
  for (int number = 2 * out.gates - 1; number >= 0; number--) {
    bool of_x = number < out.gates;
    if (of_x || cell->bias == CUDNN_RNN_DOUBLE_BIAS) {
      out.bias[number] = out.weights;
      out.weights += blocks(U);
    }
    out.matrix[number] = out.weights;
    out.weights += blocks(U * (of_x ? I : U));
  }
  out.event = (size_t)(out.saved + 2 * out.gates) * U;
  if (x != NULL) out.reserve = RN_HEAD + (size_t)x->T * (size_t)x->N * out.event;
  return out;
}

static cudnnStatus_t check_set(const struct cudnnRNNStruct *cell) {
  return cell->set ? CUDNN_STATUS_SUCCESS : dn_fail(CUDNN_STATUS_BAD_PARAM, "rnnDesc is not set");
}

cudnnStatus_t cudnnGetRNNWeightSpaceSize(cudnnHandle_t handle, cudnnRNNDescriptor_t rnnDesc,
                                         size_t *weightSpaceSize) {
  DOUBLE_ENTER();
  co_double_object_get(CO_DOUBLE_CUDNN, handle, "handle");
  cudnnStatus_t status = check_set(get_cell(rnnDesc));
  *weightSpaceSize = sizeof(float) * rn_layout_of(rnnDesc, NULL).weights;
  return status;
}

cudnnStatus_t cudnnGetRNNTempSpaceSizes(cudnnHandle_t handle, cudnnRNNDescriptor_t rnnDesc,
                                        cudnnForwardMode_t fwdMode, cudnnRNNDataDescriptor_t xDesc,
                                        size_t *workSpaceSize, size_t *reserveSpaceSize) {
  DOUBLE_ENTER();
  co_double_object_get(CO_DOUBLE_CUDNN, handle, "handle");
  const struct cudnnRNNDataStruct *x = get_data(xDesc, "xDesc");
  cudnnStatus_t status = check_set(get_cell(rnnDesc));
  if (status != CUDNN_STATUS_SUCCESS) return status;
  if (!x->set || x->width != rnnDesc->I) return dn_fail(CUDNN_STATUS_BAD_PARAM, "xDesc");
  *workSpaceSize = WORKSPACE;
  *reserveSpaceSize =
      fwdMode == CUDNN_FWD_MODE_TRAINING ? sizeof(float) * rn_layout_of(rnnDesc, x).reserve : 0;
  return CUDNN_STATUS_SUCCESS;
}

static void describe(cudnnTensorDescriptor_t tensor, int rows, int columns) {
  struct cudnnTensorStruct *t = co_double_object_get(CO_DOUBLE_CUDNN_TENSOR, tensor, "mDesc");
  t->rank = 3;
  t->dim[0] = 1, t->dim[1] = rows, t->dim[2] = columns;
  t->stride[0] = rows * columns, t->stride[1] = columns, t->stride[2] = 1;
}

cudnnStatus_t cudnnGetRNNWeightParams(cudnnHandle_t handle, cudnnRNNDescriptor_t rnnDesc,
                                      int32_t pseudoLayer, size_t weightSpaceSize,
                                      const void *weightSpace, int32_t linLayerID,
                                      cudnnTensorDescriptor_t mDesc, void **mAddr,
                                      cudnnTensorDescriptor_t bDesc, void **bAddr) {
  DOUBLE_ENTER();
  co_double_object_get(CO_DOUBLE_CUDNN, handle, "handle");
  const struct cudnnRNNStruct *cell = get_cell(rnnDesc);
  cudnnStatus_t status = check_set(cell);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  rn_layout at = rn_layout_of(rnnDesc, NULL);
  if (weightSpace == NULL) co_double_die("weightSpace is NULL: addresses are not told from none");
  if (pseudoLayer != 0 || linLayerID < 0 || linLayerID >= 2 * at.gates ||
      weightSpaceSize != sizeof(float) * at.weights)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "pseudoLayer, linLayerID or weightSpaceSize");
  float *base = (float *)weightSpace;
  describe(mDesc, cell->U, linLayerID < at.gates ? cell->I : cell->U);
  *mAddr = base + at.matrix[linLayerID];
  *bAddr = at.bias[linLayerID] ? base + at.bias[linLayerID] : NULL;
  if (*bAddr) describe(bDesc, cell->U, 1);
  return CUDNN_STATUS_SUCCESS;
}

// ---- calls -------------------------------------------------------------------------------------

static void need_state(const struct cudnnRNNStruct *cell, int N, cudnnTensorDescriptor_t descriptor,
                       const char *name) {
  const struct cudnnTensorStruct *t =
      co_double_object_get(CO_DOUBLE_CUDNN_TENSOR, descriptor, name);
  if (t->rank != 3 || t->dim[0] != 1 || t->dim[1] != N || t->dim[2] != cell->U ||
      t->stride[0] != N * cell->U || t->stride[1] != cell->U || t->stride[2] != 1)
    co_double_die("%s is not of packed states (1, %d, %d)", name, N, cell->U);
}

// What all calls are given: aborts where it does not fit together.
static rn_call *new_call(cudnnHandle_t handle, rn_kind kind, cudnnRNNDescriptor_t cell,
                         const int32_t *device_lengths, cudnnRNNDataDescriptor_t x_data,
                         cudnnRNNDataDescriptor_t y_data, size_t workspace_bytes, void *workspace,
                         size_t reserve_bytes, void *reserve) {
  co_double_object_get(CO_DOUBLE_CUDNN, handle, "handle");
  const struct cudnnRNNDataStruct *x = get_data(x_data, "xDesc"), *y = get_data(y_data, "yDesc");
  if (device_lengths != NULL) co_double_die("devSeqLengths: cuDNN 9 has its own");
  if (!get_cell(cell)->set || !x->set || !y->set) co_double_die("a descriptor is not set");
  if (x->width != cell->I || y->width != cell->U || x->T != y->T || x->N != y->N)
    co_double_die("xDesc, yDesc and rnnDesc do not fit together");
  if (workspace_bytes < WORKSPACE) co_double_die("workSpaceSize=%zu is too small", workspace_bytes);
  co_double_need_device("workSpace", workspace, workspace_bytes);
  if (kind != RN_INFER) {
    if (reserve_bytes < sizeof(float) * rn_layout_of(cell, x).reserve)
      co_double_die("reserveSpaceSize=%zu is too small", reserve_bytes);
    co_double_need_device("reserveSpace", reserve, reserve_bytes);
  }
  rn_call *call = calloc(1, sizeof *call);
  if (call == NULL) abort();
  *call = (rn_call){.kind = kind,
                    .cell = *cell,
                    .T = x->T,
                    .N = x->N,
                    .reserve = reserve,
                    .workspace = workspace,
                    .workspace_bytes = workspace_bytes};
  return call;
}

static void need_events(const rn_call *call, const char *name, const void *data, int width) {
  co_double_need_device(name, data,
                        sizeof(float) * (size_t)call->T * (size_t)call->N * (size_t)width);
}

static void need_weights(const rn_call *call, const char *name, const void *data, size_t bytes) {
  size_t needed = sizeof(float) * rn_layout_of((cudnnRNNDescriptor_t)&call->cell, NULL).weights;
  if (bytes != needed) co_double_die("weightSpaceSize=%zu, not %zu", bytes, needed);
  co_double_need_device(name, data, bytes);
}

// What all calls are given beside: states' descriptors (c_data: none to the weights' gradient) but no
// states, events, weights or their gradient.
static void need_operands(const rn_call *call, bool states, cudnnTensorDescriptor_t h_data,
                          cudnnTensorDescriptor_t c_data, const void *x, const void *y,
                          const void *weights, size_t weight_bytes) {
  const struct cudnnRNNStruct *cell = &call->cell;
  if (states) co_double_die("initial and last states are not modelled");
  need_state(cell, call->N, h_data, "hDesc");
  if (cell->mode == CUDNN_LSTM && call->kind != RN_WEIGHTS)
    need_state(cell, call->N, c_data, "cDesc");
  need_events(call, call->kind == RN_DATA ? "dx" : "x", x, cell->I);
  need_events(call, "y", y, cell->U);
  need_weights(call, call->kind == RN_WEIGHTS ? "dweightSpace" : "weightSpace", weights,
               weight_bytes);
}

static void claim_operands(rn_call *call) {
  struct cudnnRNNStruct *cell = &call->cell;
  const struct cudnnRNNDataStruct x = {.T = call->T, .N = call->N};
  const rn_layout at = rn_layout_of(cell, &x);
  const size_t of_x = sizeof(float) * (size_t)(call->T * call->N * cell->I),
               of_y = sizeof(float) * (size_t)(call->T * call->N * cell->U),
               weights = sizeof(float) * at.weights;
  co_double_claim(call->x, of_x, false);
  co_double_claim(call->y_in, of_y, false);
  co_double_claim(call->dy, of_y, false);
  co_double_claim(call->weights, weights, false);
  co_double_claim(call->y, of_y, true);
  co_double_claim(call->dx, of_x, true);
  co_double_claim(call->dweights, weights, true);
  co_double_claim(call->workspace, call->workspace_bytes, true);
  if (call->kind != RN_INFER) co_double_claim(call->reserve, sizeof(float) * at.reserve, true);
}

static cudnnStatus_t submit(cudnnHandle_t handle, rn_call *call, const char *what) {
  if (co_double_state() != cudaSuccess) {
    free(call);
    return dn_fail(CUDNN_STATUS_EXECUTION_FAILED, "the device is lost");
  }
  claim_operands(call);
  cudaError_t error =
      co_double_submit(handle->stream, CO_DOUBLE_KERNEL, what, rn_run, NULL, free, call);
  return error == cudaSuccess ? CUDNN_STATUS_SUCCESS
                              : dn_fail(CUDNN_STATUS_EXECUTION_FAILED, "launch refused");
}

cudnnStatus_t cudnnRNNForward(cudnnHandle_t handle, cudnnRNNDescriptor_t rnnDesc,
                              cudnnForwardMode_t fwdMode, const int32_t devSeqLengths[],
                              cudnnRNNDataDescriptor_t xDesc, const void *x,
                              cudnnRNNDataDescriptor_t yDesc, void *y,
                              cudnnTensorDescriptor_t hDesc, const void *hx, void *hy,
                              cudnnTensorDescriptor_t cDesc, const void *cx, void *cy,
                              size_t weightSpaceSize, const void *weightSpace, size_t workSpaceSize,
                              void *workSpace, size_t reserveSpaceSize, void *reserveSpace) {
  DOUBLE_ENTER();
  rn_call *call = new_call(handle, fwdMode == CUDNN_FWD_MODE_TRAINING ? RN_TRAIN : RN_INFER,
                           rnnDesc, devSeqLengths, xDesc, yDesc, workSpaceSize, workSpace,
                           reserveSpaceSize, reserveSpace);
  need_operands(call, hx || hy || cx || cy, hDesc, cDesc, x, y, weightSpace, weightSpaceSize);
  call->x = x;
  call->y = y;
  call->weights = weightSpace;
  return submit(handle, call, "cudnnRNNForward");
}

cudnnStatus_t cudnnRNNBackwardData_v8(cudnnHandle_t handle, cudnnRNNDescriptor_t rnnDesc,
                                      const int32_t devSeqLengths[], cudnnRNNDataDescriptor_t yDesc,
                                      const void *y, const void *dy, cudnnRNNDataDescriptor_t xDesc,
                                      void *dx, cudnnTensorDescriptor_t hDesc, const void *hx,
                                      const void *dhy, void *dhx, cudnnTensorDescriptor_t cDesc,
                                      const void *cx, const void *dcy, void *dcx,
                                      size_t weightSpaceSize, const void *weightSpace,
                                      size_t workSpaceSize, void *workSpace,
                                      size_t reserveSpaceSize, void *reserveSpace) {
  DOUBLE_ENTER();
  rn_call *call = new_call(handle, RN_DATA, rnnDesc, devSeqLengths, xDesc, yDesc, workSpaceSize,
                           workSpace, reserveSpaceSize, reserveSpace);
  need_operands(call, hx || dhy || dhx || cx || dcy || dcx, hDesc, cDesc, dx, y, weightSpace,
                weightSpaceSize);
  need_events(call, "dy", dy, rnnDesc->U);
  call->y_in = y;
  call->dy = dy;
  call->dx = dx;
  call->weights = weightSpace;
  return submit(handle, call, "cudnnRNNBackwardData_v8");
}

cudnnStatus_t cudnnRNNBackwardWeights_v8(cudnnHandle_t handle, cudnnRNNDescriptor_t rnnDesc,
                                         cudnnWgradMode_t addGrad, const int32_t devSeqLengths[],
                                         cudnnRNNDataDescriptor_t xDesc, const void *x,
                                         cudnnTensorDescriptor_t hDesc, const void *hx,
                                         cudnnRNNDataDescriptor_t yDesc, const void *y,
                                         size_t weightSpaceSize, void *dweightSpace,
                                         size_t workSpaceSize, void *workSpace,
                                         size_t reserveSpaceSize, void *reserveSpace) {
  DOUBLE_ENTER();
  if (addGrad != CUDNN_WGRAD_MODE_ADD) return dn_fail(CUDNN_STATUS_NOT_SUPPORTED, "addGrad");
  rn_call *call = new_call(handle, RN_WEIGHTS, rnnDesc, devSeqLengths, xDesc, yDesc, workSpaceSize,
                           workSpace, reserveSpaceSize, reserveSpace);
  need_operands(call, hx != NULL, hDesc, NULL, x, y, dweightSpace, weightSpaceSize);
  call->x = x;
  call->y_in = y;
  call->dweights = dweightSpace;
  return submit(handle, call, "cudnnRNNBackwardWeights_v8");
}
