// SPDX-License-Identifier: Apache-2.0
// Recurrent layers by plain loops, sums in double, as NVIDIA's documentation of cudnnRNNMode_t has them.
// Matrices are (U, I) and (U, U).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cudnn_rnn.h"
#include "tf32.h"

enum { MOST_GATES = RN_MOST_NUMBERS / 2 };

typedef struct run_state {
  const rn_call *call;
  rn_layout at;
  bool vague; // products by several streams: the last bit is anybody's
} run_state;

static float operand(const run_state *run, float value) {
  return run->call->cell.tf32 ? tf32_cut(value) : value;
}

static double jitter(void) {
  static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return 1 + (double)(state >> 30) * 0x1p-23;
}

static size_t row_of(const run_state *run, int t, int n) {
  return (size_t)t * (size_t)run->call->N + (size_t)n;
}

// Row u of a matrix times a vector, and its bias.
static double sum(const run_state *run, int number, int u, const float *v, int width) {
  const float *weights = run->call->weights;
  const float *row = weights + run->at.matrix[number] + (size_t)u * (size_t)width;
  double out = run->at.bias[number] ? (double)weights[run->at.bias[number] + (size_t)u] : 0;
  for (int i = 0; v != NULL && i < width; i++)
    out += (double)operand(run, row[i]) * (double)operand(run, v[i]);
  return run->vague ? out * jitter() : out;
}

static double sigmoid(double z) {
  return 1 / (1 + exp(-z));
}

// One event of a row: `saved` (values of unit u at u, U + u, …) may be a scratch, `c` is the LSTM's cell.
static void event_forward(const run_state *run, int t, int n, float *saved, float *c) {
  const rn_call *call = run->call;
  const int U = call->cell.U, I = call->cell.I, G = run->at.gates;
  const float *x = call->x + row_of(run, t, n) * (size_t)I;
  const float *before = t > 0 ? call->y + row_of(run, t - 1, n) * (size_t)U : NULL;
  float *h = call->y + row_of(run, t, n) * (size_t)U;
  for (int u = 0; u < U; u++) {
    double zx[MOST_GATES], zh[MOST_GATES], past = before != NULL ? (double)before[u] : 0;
    for (int g = 0; g < G; g++) {
      zx[g] = sum(run, g, u, x, I);
      zh[g] = sum(run, G + g, u, before, U);
    }
    if (call->cell.mode == CUDNN_LSTM) {
      double i = sigmoid(zx[0] + zh[0]), f = sigmoid(zx[1] + zh[1]);
      double g = tanh(zx[2] + zh[2]), o = sigmoid(zx[3] + zh[3]);
      double cell = f * (double)c[u] + i * g;
      c[u] = (float)cell;
      h[u] = (float)(o * tanh(cell));
      double values[] = {i, f, g, o, cell};
      for (int k = 0; k < 5; k++)
        saved[k * U + u] = (float)values[k];
    } else if (call->cell.mode == CUDNN_GRU) {
      double r = sigmoid(zx[0] + zh[0]), i = sigmoid(zx[1] + zh[1]);
      double fresh = tanh(zx[2] + r * zh[2]);
      h[u] = (float)((1 - i) * fresh + i * past);
      double values[] = {r, i, fresh, zh[2]};
      for (int k = 0; k < 4; k++)
        saved[k * U + u] = (float)values[k];
    } else {
      h[u] = (float)tanh(zx[0] + zh[0]);
    }
  }
}

static void forward(const run_state *run) {
  const rn_call *call = run->call;
  const size_t U = (size_t)call->cell.U;
  float *scratch = calloc(6 * U, sizeof *scratch);
  if (scratch == NULL) abort();
  for (int n = 0; n < call->N; n++) {
    memset(scratch, 0, U * sizeof *scratch);
    for (int t = 0; t < call->T; t++)
      event_forward(run, t, n,
                    call->kind == RN_TRAIN
                        ? call->reserve + RN_HEAD + row_of(run, t, n) * run->at.event
                        : scratch + U,
                    scratch);
  }
  free(scratch);
  if (call->kind == RN_TRAIN) *(uint32_t *)call->reserve = RN_FORWARD;
}

void rn_run(void *closure) {
  const rn_call *call = closure;
  run_state run = {.call = call, .at = rn_layout_of((cudnnRNNDescriptor_t)&call->cell, NULL)};
  const char *pinned = getenv("CUBLAS_WORKSPACE_CONFIG");
  run.vague = pinned == NULL || (strcmp(pinned, ":4096:2") != 0 && strcmp(pinned, ":16:8") != 0);
  co_double_poison_workspace(call->workspace, call->workspace_bytes);
  co_double_charge((double)co_double_setting("COHORT_SIM_RNN", 10));
  forward(&run);
  co_double_poison_workspace(call->workspace, call->workspace_bytes);
}
