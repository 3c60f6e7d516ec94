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

// ---- backward ----------------------------------------------------------------------------------

// What the forward call left in the reserve space of an event, and what is left there for the gradients of
// the weights: those of the sums of x (G U) and of h (G U).
static float *saved_of(const run_state *run, int t, int n) {
  return run->call->reserve + RN_HEAD + row_of(run, t, n) * run->at.event;
}

static float *gradients_of(const run_state *run, int t, int n) {
  return saved_of(run, t, n) + (size_t)run->at.saved * (size_t)run->call->cell.U;
}

// The gradients of an event's sums from those of its states, dh and *dc; *dc is left that of the cell before,
// and what is returned reaches the state before past the products.
static double unit_backward(const run_state *run, int t, int n, int u, double dh, double *dc,
                            float *zx, float *zh) {
  const rn_call *call = run->call;
  const int U = call->cell.U;
  const float *v = saved_of(run, t, n) + u;
  const double past = t > 0 ? (double)call->y_in[row_of(run, t - 1, n) * (size_t)U + (size_t)u] : 0;
  double d[MOST_GATES], of_h = 0, passed = 0;
  if (call->cell.mode == CUDNN_LSTM) {
    const double i = (double)v[0], f = (double)v[U], g = (double)v[2 * U], o = (double)v[3 * U];
    const double bent = tanh((double)v[4 * U]);
    const double before = t > 0 ? (double)saved_of(run, t - 1, n)[4 * U + u] : 0;
    const double cell = *dc + dh * o * (1 - bent * bent);
    d[0] = cell * g * i * (1 - i);
    d[1] = cell * before * f * (1 - f);
    d[2] = cell * i * (1 - g * g);
    d[3] = dh * bent * o * (1 - o);
    *dc = cell * f;
    of_h = d[2];
  } else if (call->cell.mode == CUDNN_GRU) {
    const double r = (double)v[0], i = (double)v[U], fresh = (double)v[2 * U];
    const double part = (double)v[3 * U];
    d[2] = dh * (1 - i) * (1 - fresh * fresh);
    d[0] = d[2] * part * r * (1 - r);
    d[1] = dh * (past - fresh) * i * (1 - i);
    of_h = d[2] * r;
    passed = dh * i;
  } else {
    const double h = (double)call->y_in[row_of(run, t, n) * (size_t)U + (size_t)u];
    d[0] = dh * (1 - h * h);
  }
  for (int g = 0; g < run->at.gates; g++) {
    zx[g * U + u] = (float)d[g];
    zh[g * U + u] = (float)(g == 2 ? of_h : d[g]);
  }
  return passed;
}

// Column i of the matrices from `number` on times the gradients of the sums.
static double back_sum(const run_state *run, int number, int i, const float *z, int width) {
  double out = 0;
  for (int g = 0; g < run->at.gates; g++)
    for (int u = 0; u < run->call->cell.U; u++)
      out += (double)operand(run, z[g * run->call->cell.U + u]) *
             (double)operand(
                 run, run->call->weights[run->at.matrix[number + g] + (size_t)(u * width + i)]);
  return run->vague ? out * jitter() : out;
}

static void backward_data(const run_state *run) {
  const rn_call *call = run->call;
  const int U = call->cell.U, I = call->cell.I, G = run->at.gates;
  double *dh = calloc(2 * (size_t)U, sizeof *dh), *dc = dh + U;
  if (dh == NULL) abort();
  for (int n = 0; n < call->N; n++) {
    memset(dh, 0, 2 * (size_t)U * sizeof *dh);
    for (int t = call->T; t-- > 0;) {
      float *zx = gradients_of(run, t, n), *zh = zx + G * U;
      for (int u = 0; u < U; u++)
        dh[u] = unit_backward(run, t, n, u,
                              dh[u] + (double)call->dy[row_of(run, t, n) * (size_t)U + (size_t)u],
                              &dc[u], zx, zh);
      for (int u = 0; u < U; u++)
        dh[u] += back_sum(run, G, u, zh, U);
      for (int i = 0; i < I; i++)
        call->dx[row_of(run, t, n) * (size_t)I + (size_t)i] = (float)back_sum(run, 0, i, zx, I);
    }
  }
  free(dh);
}

// Adds to the matrix of a number and its bias.
static void add_gradients(const run_state *run, int number) {
  const rn_call *call = run->call;
  const int U = call->cell.U, G = run->at.gates;
  const bool of_x = number < G;
  const int width = of_x ? call->cell.I : U;
  for (int u = 0; u < U; u++)
    for (int i = -1; i < width; i++) { // -1: the bias
      double out = 0;
      for (int t = 0; t < call->T; t++)
        for (int n = 0; n < call->N; n++) {
          const float *v = of_x    ? call->x + row_of(run, t, n) * (size_t)width
                           : t > 0 ? call->y_in + row_of(run, t - 1, n) * (size_t)width
                                   : NULL;
          const float z = gradients_of(run, t, n)[number * U + u];
          out += i < 0 ? (double)z : (double)operand(run, z) * (double)(v ? operand(run, v[i]) : 0);
        }
      if (run->vague) out *= jitter();
      if (i >= 0)
        call->dweights[run->at.matrix[number] + (size_t)(u * width + i)] += (float)out;
      else if (run->at.bias[number])
        call->dweights[run->at.bias[number] + (size_t)u] += (float)out;
    }
}

// The calls come in their order, over one reserve space.
static void follow(const rn_call *call, uint32_t wanted, uint32_t next) {
  uint32_t *head = (uint32_t *)call->reserve;
  if (*head != wanted)
    co_double_die("reserveSpace is not as %s leaves it",
                  wanted == RN_FORWARD ? "cudnnRNNForward" : "cudnnRNNBackwardData_v8");
  *head = next;
}

void rn_run(void *closure) {
  const rn_call *call = closure;
  run_state run = {.call = call, .at = rn_layout_of((cudnnRNNDescriptor_t)&call->cell, NULL)};
  const char *pinned = getenv("CUBLAS_WORKSPACE_CONFIG");
  run.vague = pinned == NULL || (strcmp(pinned, ":4096:2") != 0 && strcmp(pinned, ":16:8") != 0);
  co_double_poison_workspace(call->workspace, call->workspace_bytes);
  co_double_charge((double)co_double_setting("COHORT_SIM_RNN", 10));
  if (call->kind == RN_DATA) {
    follow(call, RN_FORWARD, RN_BACKWARD);
    backward_data(&run);
  } else if (call->kind == RN_WEIGHTS) {
    follow(call, RN_BACKWARD, RN_BACKWARD);
    for (int number = 0; number < 2 * run.at.gates; number++)
      add_gradients(&run, number);
  } else {
    forward(&run);
  }
  co_double_poison_workspace(call->workspace, call->workspace_bytes);
}
