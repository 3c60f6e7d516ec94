// SPDX-License-Identifier: Apache-2.0
// The double of cuDNN's recurrent layers: descriptors, sizes, and layers against plain loops that take
// the weights from where cudnnGetRNNWeightParams says they are.
#include <cudnn.h>
#include <string.h>

#include "check.h"
#include "tests/cudasim/rnn_descriptors.h"

enum { T = 3, N = 2, I = 4, U = 3, GATES = 4 };

typedef struct layer {
  cudnnRNNMode_t mode;
  int gates;
  cudnnRNNDescriptor_t cell;
  cudnnRNNDataDescriptor_t x, y;
  cudnnTensorDescriptor_t state;
  size_t weight_bytes, workspace_bytes, reserve_bytes;
  float *weights; // on the host; what nobody may read is NaN
  size_t matrix[2 * GATES], bias[2 * GATES];
  bool has_bias[2 * GATES];
} layer;

static cudnnHandle_t handle;

static void open_layer(layer *l, cudnnRNNMode_t mode, cudnnMathType_t math) {
  const int lengths[N] = {T, T}, dim[] = {1, N, U}, stride[] = {N * U, U, 1};
  size_t reserve = 1;
  *l = (layer){.mode = mode, .gates = mode == CUDNN_LSTM ? 4 : mode == CUDNN_GRU ? 3 : 1};
  CHECK_OK(cudnnCreateRNNDescriptor(&l->cell));
  CHECK_OK(cudnnSetRNNDescriptor_v8(
      l->cell, CUDNN_RNN_ALGO_STANDARD, mode,
      mode == CUDNN_GRU ? CUDNN_RNN_DOUBLE_BIAS : CUDNN_RNN_SINGLE_INP_BIAS, CUDNN_UNIDIRECTIONAL,
      CUDNN_LINEAR_INPUT, CUDNN_DATA_FLOAT, CUDNN_DATA_FLOAT, math, I, U, U, 1, NULL, 0));
  CHECK_OK(cudnnCreateRNNDataDescriptor(&l->x));
  CHECK_OK(cudnnSetRNNDataDescriptor(l->x, CUDNN_DATA_FLOAT, CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED,
                                     T, N, I, lengths, NULL));
  CHECK_OK(cudnnCreateRNNDataDescriptor(&l->y));
  CHECK_OK(cudnnSetRNNDataDescriptor(l->y, CUDNN_DATA_FLOAT, CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED,
                                     T, N, U, lengths, NULL));
  CHECK_OK(cudnnCreateTensorDescriptor(&l->state));
  CHECK_OK(cudnnSetTensorNdDescriptor(l->state, CUDNN_DATA_FLOAT, 3, dim, stride));
  CHECK_OK(cudnnGetRNNWeightSpaceSize(handle, l->cell, &l->weight_bytes));
  CHECK_OK(cudnnGetRNNTempSpaceSizes(handle, l->cell, CUDNN_FWD_MODE_INFERENCE, l->x,
                                     &l->workspace_bytes, &reserve));
  CHECK(reserve == 0);
  CHECK_OK(cudnnGetRNNTempSpaceSizes(handle, l->cell, CUDNN_FWD_MODE_TRAINING, l->x,
                                     &l->workspace_bytes, &l->reserve_bytes));
}

static void close_layer(layer *l) {
  CHECK_OK(cudnnDestroyRNNDescriptor(l->cell));
  CHECK_OK(cudnnDestroyRNNDataDescriptor(l->x));
  CHECK_OK(cudnnDestroyRNNDataDescriptor(l->y));
  CHECK_OK(cudnnDestroyTensorDescriptor(l->state));
  free(l->weights);
}

static void draw_weights(layer *l) {
  cudnnTensorDescriptor_t shape, bias_shape;
  char *base = (char *)4096;
  l->weights = malloc(l->weight_bytes);
  CHECK(l->weights != NULL);
  memset(l->weights, 0xFF, l->weight_bytes);
  CHECK_OK(cudnnCreateTensorDescriptor(&shape));
  CHECK_OK(cudnnCreateTensorDescriptor(&bias_shape));
  for (int number = 0; number < 2 * l->gates; number++) {
    void *matrix = NULL, *bias = NULL;
    CHECK_OK(cudnnGetRNNWeightParams(handle, l->cell, 0, l->weight_bytes, base, number, shape,
                                     &matrix, bias_shape, &bias));
    l->matrix[number] = (size_t)((char *)matrix - base) / sizeof(float);
    fill_numbers(l->weights + l->matrix[number], (size_t)(number < l->gates ? U * I : U * U));
    l->has_bias[number] = bias != NULL;
    CHECK(l->has_bias[number] == (number < l->gates || l->mode == CUDNN_GRU));
    if (bias == NULL) continue;
    l->bias[number] = (size_t)((char *)bias - base) / sizeof(float);
    fill_numbers(l->weights + l->bias[number], U);
  }
  CHECK_OK(cudnnDestroyTensorDescriptor(shape));
  CHECK_OK(cudnnDestroyTensorDescriptor(bias_shape));
}

static double sum(const layer *l, int number, int u, const double *v, int width) {
  double out = l->has_bias[number] ? (double)l->weights[l->bias[number] + (size_t)u] : 0;
  for (int i = 0; i < width; i++)
    out += v[i] * (double)l->weights[l->matrix[number] + (size_t)(u * width + i)];
  return out;
}

static double sigmoid(double z) {
  return 1 / (1 + exp(-z));
}

// y (T, N, U), as NVIDIA's documentation of cudnnRNNMode_t has it.
static void reference(const layer *l, const float *x, double *y) {
  const int G = l->gates;
  for (int n = 0; n < N; n++) {
    double h[U] = {0}, c[U] = {0}, next[U], row[I];
    for (int t = 0; t < T; t++) {
      for (int i = 0; i < I; i++)
        row[i] = (double)x[(t * N + n) * I + i];
      for (int u = 0; u < U; u++) {
        double zx[GATES], zh[GATES];
        for (int g = 0; g < G; g++) {
          zx[g] = sum(l, g, u, row, I);
          zh[g] = sum(l, G + g, u, h, U);
        }
        if (l->mode == CUDNN_LSTM) {
          c[u] = sigmoid(zx[1] + zh[1]) * c[u] + sigmoid(zx[0] + zh[0]) * tanh(zx[2] + zh[2]);
          next[u] = sigmoid(zx[3] + zh[3]) * tanh(c[u]);
        } else if (l->mode == CUDNN_GRU) {
          double reset = sigmoid(zx[0] + zh[0]), update = sigmoid(zx[1] + zh[1]);
          next[u] = (1 - update) * tanh(zx[2] + reset * zh[2]) + update * h[u];
        } else {
          next[u] = tanh(zx[0] + zh[0]);
        }
      }
      for (int u = 0; u < U; u++)
        y[(t * N + n) * U + u] = h[u] = next[u];
    }
  }
}

static void run(const layer *l, void *x, void *y, void *weights, void *workspace) {
  CHECK_OK(cudnnRNNForward(handle, l->cell, CUDNN_FWD_MODE_INFERENCE, NULL, l->x, x, l->y, y,
                           l->state, NULL, NULL, l->state, NULL, NULL, l->weight_bytes, weights,
                           l->workspace_bytes, workspace, 0, NULL));
}

static void test_layer(cudnnRNNMode_t mode, cudnnMathType_t math) {
  layer l;
  float x[T * N * I], got[T * N * U], again[T * N * U];
  double wanted[T * N * U];
  open_layer(&l, mode, math);
  draw_weights(&l);
  fill_numbers(x, T * N * I);
  reference(&l, x, wanted);
  void *device_x = to_device(x, sizeof x), *y = device_bytes(sizeof got);
  void *weights = to_device(l.weights, l.weight_bytes),
       *workspace = device_bytes(l.workspace_bytes);
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:2", 1);
  run(&l, device_x, y, weights, workspace);
  from_device(got, y, sizeof got);
  double most = 0; // states are no numbers of TF32
  for (int i = 0; i < T * N * U; i++)
    most = fmax(most, fabs((double)got[i] - wanted[i]));
  CHECK(math == CUDNN_FMA_MATH ? most < 1e-6 : most > 1e-6 && most < 1e-2);
  run(&l, device_x, y, weights, workspace);
  from_device(again, y, sizeof again);
  CHECK(memcmp(got, again, sizeof got) == 0);
  unsetenv("CUBLAS_WORKSPACE_CONFIG"); // whichever stream is first
  run(&l, device_x, y, weights, workspace);
  from_device(again, y, sizeof again);
  CHECK(memcmp(got, again, sizeof got) != 0);
  CHECK_OK(cudaFree(device_x));
  CHECK_OK(cudaFree(y));
  CHECK_OK(cudaFree(weights));
  CHECK_OK(cudaFree(workspace));
  close_layer(&l);
}

// ---- backward

static double loss(const layer *l, const float *x, const float *dy) {
  double y[T * N * U], out = 0;
  reference(l, x, y);
  for (int i = 0; i < T * N * U; i++)
    out += y[i] * (double)dy[i];
  return out;
}

// Slopes of the loss along one value, by differences; floats far enough apart that they are exact.
static double slope(const layer *l, float *x, const float *dy, float *value) {
  const float kept = *value, step = 0x1p-10f;
  *value = kept + step;
  const double above = loss(l, x, dy);
  *value = kept - step;
  const double below = loss(l, x, dy);
  *value = kept;
  return (above - below) / (2 * (double)step);
}

static void check_slope(double got, double wanted, const char *what, int i) {
  if (fabs(got - wanted) <= 2e-5 * (1 + fabs(wanted))) return;
  printf("%s %d is %g, not %g\n", what, i, got, wanted);
  exit(1);
}

static void test_gradients(cudnnRNNMode_t mode) {
  layer l;
  float x[T * N * I], dy[T * N * U], dx[T * N * I];
  setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8", 1);
  open_layer(&l, mode, CUDNN_FMA_MATH);
  draw_weights(&l);
  fill_numbers(x, T * N * I);
  fill_numbers(dy, T * N * U);
  float *dweights = calloc(1, l.weight_bytes);
  CHECK(dweights != NULL);
  void *device_x = to_device(x, sizeof x), *y = device_bytes(T * N * U * sizeof(float));
  void *device_dy = to_device(dy, sizeof dy), *device_dx = device_bytes(sizeof dx);
  void *weights = to_device(l.weights, l.weight_bytes), *reserve = device_bytes(l.reserve_bytes);
  void *workspace = device_bytes(l.workspace_bytes),
       *device_dw = to_device(dweights, l.weight_bytes);
  CHECK_OK(cudnnRNNForward(handle, l.cell, CUDNN_FWD_MODE_TRAINING, NULL, l.x, device_x, l.y, y,
                           l.state, NULL, NULL, l.state, NULL, NULL, l.weight_bytes, weights,
                           l.workspace_bytes, workspace, l.reserve_bytes, reserve));
  CHECK_OK(cudnnRNNBackwardData_v8(handle, l.cell, NULL, l.y, y, device_dy, l.x, device_dx, l.state,
                                   NULL, NULL, NULL, l.state, NULL, NULL, NULL, l.weight_bytes,
                                   weights, l.workspace_bytes, workspace, l.reserve_bytes,
                                   reserve));
  for (int round = 0; round < 2; round++) // it adds
    CHECK_OK(cudnnRNNBackwardWeights_v8(handle, l.cell, CUDNN_WGRAD_MODE_ADD, NULL, l.x, device_x,
                                        l.state, NULL, l.y, y, l.weight_bytes, device_dw,
                                        l.workspace_bytes, workspace, l.reserve_bytes, reserve));
  from_device(dx, device_dx, sizeof dx);
  from_device(dweights, device_dw, l.weight_bytes);
  for (int i = 0; i < T * N * I; i++)
    check_slope((double)dx[i], slope(&l, x, dy, &x[i]), "dx", i);
  for (int number = 0; number < 2 * l.gates; number++) {
    for (int i = 0; i < (number < l.gates ? U * I : U * U); i++) {
      const size_t at = l.matrix[number] + (size_t)i;
      check_slope((double)dweights[at] / 2, slope(&l, x, dy, &l.weights[at]), "matrix", number);
    }
    for (int u = 0; l.has_bias[number] && u < U; u++) {
      const size_t at = l.bias[number] + (size_t)u;
      check_slope((double)dweights[at] / 2, slope(&l, x, dy, &l.weights[at]), "bias", number);
    }
  }
  void *const all[] = {device_x, y, device_dy, device_dx, weights, reserve, workspace, device_dw};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    CHECK_OK(cudaFree(all[i]));
  free(dweights);
  close_layer(&l);
}

static void test_refusals(void) {
  layer l;
  size_t bytes = 0, reserve = 0;
  void *matrix, *bias;
  open_layer(&l, CUDNN_LSTM, CUDNN_DEFAULT_MATH);
  CHECK_STATUS(
      cudnnGetRNNTempSpaceSizes(handle, l.cell, CUDNN_FWD_MODE_INFERENCE, l.y, &bytes, &reserve),
      CUDNN_STATUS_BAD_PARAM); // not of the width of x
  CHECK_STATUS(cudnnGetRNNWeightParams(handle, l.cell, 0, l.weight_bytes, handle, 8, l.state,
                                       &matrix, l.state, &bias),
               CUDNN_STATUS_BAD_PARAM);
  cudnnRNNDescriptor_t empty;
  CHECK_OK(cudnnCreateRNNDescriptor(&empty));
  CHECK_STATUS(cudnnGetRNNWeightSpaceSize(handle, empty, &bytes), CUDNN_STATUS_BAD_PARAM);
  CHECK_OK(cudnnDestroyRNNDescriptor(empty));
  close_layer(&l);
}

int main(void) {
  CHECK(rnn_descriptors_wrong() == 0);
  CHECK_OK(cudnnCreate(&handle));
  test_layer(CUDNN_LSTM, CUDNN_FMA_MATH);
  test_layer(CUDNN_GRU, CUDNN_FMA_MATH);
  test_layer(CUDNN_RNN_TANH, CUDNN_FMA_MATH);
  test_layer(CUDNN_LSTM, CUDNN_DEFAULT_MATH);
  test_gradients(CUDNN_LSTM);
  test_gradients(CUDNN_GRU);
  test_gradients(CUDNN_RNN_TANH);
  test_refusals();
  CHECK_OK(cudnnDestroy(handle));
  puts("ok");
  return 0;
}
