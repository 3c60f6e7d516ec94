// SPDX-License-Identifier: Apache-2.0
// LSTM: rows side by side, the events of a row one after another. Sums run in an order that depends
// on shapes alone, never on the number of threads.
#include <math.h>

#include "kernels/cpu/cpu.h"

enum { GATES = 4 }; // i f c o

typedef struct sizes {
  int64_t N, T, I, U, width; // width: GATES U
} sizes;

static sizes sizes_of(const co_op_desc *desc) {
  const int64_t *x = desc->in[CO_LSTM_x].shape.dim, U = desc->in[CO_LSTM_recurrent].shape.dim[0];
  return (sizes){x[0], x[1], x[2], U, GATES * U};
}

// clang-format off
CO_CPU_KERNEL(add_scaled, (float factor, const float *x, float *y, int64_t n), (factor, x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] += factor * x[i];
}

CO_CPU_KERNEL(dot, (const float *a, const float *b, float *out, int64_t n), (a, b, out, n)) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++)
    sum += a[i] * b[i];
  *out = sum;
}
// clang-format on

static float sigmoid(float z) {
  return 1 / (1 + expf(-z));
}

static float *at(void *base, int64_t row, int64_t width) {
  return base ? (float *)base + row * width : NULL;
}

static void copy(float *to, const float *from, int64_t count) {
  if (!to) return;
  if (from)
    memcpy(to, from, (size_t)count * sizeof *to);
  else
    memset(to, 0, (size_t)count * sizeof *to);
}

// ---- forward -----------------------------------------------------------------------------------

// Of a row: h (U), c (U), gates (4 U).
static int64_t forward_scratch(const sizes *s) {
  return s->width + 2 * s->U;
}

static size_t forward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  const sizes s = sizes_of(desc);
  (void)cpu;
  return (size_t)(s.N * forward_scratch(&s)) * sizeof(float);
}

static void next_state(co_cpu *cpu, const sizes *s, void *const *in, const float *x, float *h,
                       float *c, float *gates) {
  const float *kernel = in[CO_LSTM_kernel], *recurrent = in[CO_LSTM_recurrent];
  memcpy(gates, in[CO_LSTM_bias], (size_t)s->width * sizeof *gates);
  for (int64_t i = 0; i < s->I; i++)
    add_scaled[cpu->isa](x[i], kernel + i * s->width, gates, s->width);
  for (int64_t u = 0; u < s->U; u++)
    add_scaled[cpu->isa](h[u], recurrent + u * s->width, gates, s->width);
  float *i = gates, *f = i + s->U, *g = f + s->U, *o = g + s->U;
  for (int64_t u = 0; u < s->U; u++) {
    i[u] = sigmoid(i[u]);
    f[u] = sigmoid(f[u]);
    g[u] = tanhf(g[u]);
    o[u] = sigmoid(o[u]);
    c[u] = f[u] * c[u] + i[u] * g[u];
    h[u] = o[u] * tanhf(c[u]);
  }
}

static void forward_row(co_cpu *cpu, const sizes *s, void *const *in, void *const *out, int64_t n,
                        float *scratch) {
  const int64_t length = co_clamp_length(((const int32_t *)in[CO_LSTM_lengths])[n], s->T);
  float *h = scratch, *c = h + s->U, *gates = c + s->U;
  memset(h, 0, 2 * (size_t)s->U * sizeof *h);
  for (int64_t t = 0; t < s->T; t++) {
    const int64_t row = n * s->T + t;
    const bool event = t < length;
    if (event) next_state(cpu, s, in, at(in[CO_LSTM_x], row, s->I), h, c, gates);
    copy(at(out[CO_LSTM_y], row, s->U), event ? h : NULL, s->U);
    copy(at(out[CO_LSTM_gates], row, s->width), event ? gates : NULL, s->width);
    copy(at(out[CO_LSTM_cells], row, s->U), event ? c : NULL, s->U);
  }
  copy(at(out[CO_LSTM_last], n, s->U), h, s->U);
}

static co_status run_lstm(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  const sizes s = sizes_of(&prepared->desc);
#pragma omp parallel for schedule(dynamic)
  for (int64_t n = 0; n < s.N; n++)
    forward_row(cpu, &s, in, out, n, (float *)workspace + n * forward_scratch(&s));
  return CO_OK;
}

// ---- backward ----------------------------------------------------------------------------------

// dz (N, T, 4 U) and the h before each event (N, T, U), then dh and dc (U) of a row.
typedef struct rooms {
  float *dz, *before, *row;
} rooms;

static rooms rooms_of(const sizes *s, void *workspace) {
  float *dz = workspace, *before = dz + s->N * s->T * s->width;
  return (rooms){dz, before, before + s->N * s->T * s->U};
}

static size_t backward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  const sizes s = sizes_of(desc);
  (void)cpu;
  return (size_t)(s.N * s.T * (s.width + s.U) + 2 * s.N * s.U) * sizeof(float);
}

// dz of one event; dc is of its cell on the way in, of the one before on the way out.
static void gates_backward(const sizes *s, const float *gates, const float *c,
                           const float *c_before, const float *dh, float *dc, float *dz) {
  const int64_t U = s->U;
  for (int64_t u = 0; u < U; u++) {
    const float i = gates[u], f = gates[U + u], g = gates[2 * U + u], o = gates[3 * U + u];
    const float before = c_before ? c_before[u] : 0, bent = tanhf(c[u]);
    const float d = dc[u] + dh[u] * o * (1 - bent * bent);
    dz[u] = d * g * i * (1 - i);
    dz[U + u] = d * before * f * (1 - f);
    dz[2 * U + u] = d * i * (1 - g * g);
    dz[3 * U + u] = dh[u] * bent * o * (1 - o);
    dc[u] = d * f;
  }
}

// out (rows) (+)= kernel (rows, 4 U) dz.
static void times(co_cpu *cpu, const sizes *s, const float *kernel, int64_t rows, const float *dz,
                  float *out, bool accumulate) {
  for (int64_t i = 0; i < rows; i++) {
    float sum;
    dot[cpu->isa](dz, kernel + i * s->width, &sum, s->width);
    out[i] = accumulate ? out[i] + sum : sum;
  }
}

static void backward_row(co_cpu *cpu, const co_op_desc *desc, const sizes *s, void *const *in,
                         void *const *out, int64_t n, const rooms *r) {
  const int64_t U = s->U;
  const int64_t length = co_clamp_length(((const int32_t *)in[CO_LSTM_BACKWARD_lengths])[n], s->T);
  const bool adds = co_cpu_accumulates(desc, CO_LSTM_BACKWARD_dx);
  float *dx = out[CO_LSTM_BACKWARD_dx], *dh = r->row + 2 * n * U, *dc = dh + U;
  copy(dh, at(in[CO_LSTM_BACKWARD_dlast], n, U), U);
  copy(dc, NULL, U);
  if (dx && !adds) memset(dx + n * s->T * s->I, 0, (size_t)(s->T * s->I) * sizeof *dx);
  for (int64_t t = length; t-- > 0;) {
    const int64_t row = n * s->T + t;
    const float *gates = at(in[CO_LSTM_BACKWARD_gates], row, s->width);
    const float *c = at(in[CO_LSTM_BACKWARD_cells], row, U), *c_before = t ? c - U : NULL;
    const float *dy = at(in[CO_LSTM_BACKWARD_dy], row, U);
    float *dz = r->dz + row * s->width, *before = r->before + row * U;
    for (int64_t u = 0; dy && u < U; u++)
      dh[u] += dy[u];
    for (int64_t u = 0; u < U; u++)
      before[u] = t ? gates[3 * U + u - s->width] * tanhf(c_before[u]) : 0;
    gates_backward(s, gates, c, c_before, dh, dc, dz);
    if (dx) times(cpu, s, in[CO_LSTM_BACKWARD_kernel], s->I, dz, dx + row * s->I, adds);
    times(cpu, s, in[CO_LSTM_BACKWARD_recurrent], U, dz, dh, false);
  }
}

// Row `i` of dkernel, of drecurrent below it, and dbias last: sums over all events, row by row.
static void gradient_row(co_cpu *cpu, const co_op_desc *desc, const sizes *s, void *const *in,
                         void *const *out, int64_t i, const rooms *r) {
  const int32_t *lengths = in[CO_LSTM_BACKWARD_lengths];
  const int k = i < s->I          ? CO_LSTM_BACKWARD_dkernel
                : i < s->I + s->U ? CO_LSTM_BACKWARD_drecurrent
                                  : CO_LSTM_BACKWARD_dbias;
  const int64_t place = k == CO_LSTM_BACKWARD_dkernel      ? i
                        : k == CO_LSTM_BACKWARD_drecurrent ? i - s->I
                                                           : 0;
  float *sum = at(out[k], place, s->width);
  if (!co_cpu_accumulates(desc, k)) copy(sum, NULL, s->width);
  for (int64_t n = 0; n < s->N; n++)
    for (int64_t t = 0; t < co_clamp_length(lengths[n], s->T); t++) {
      const int64_t row = n * s->T + t;
      const float factor = k == CO_LSTM_BACKWARD_dkernel
                               ? ((const float *)in[CO_LSTM_BACKWARD_x])[row * s->I + i]
                           : k == CO_LSTM_BACKWARD_drecurrent ? r->before[row * s->U + place]
                                                              : 1;
      add_scaled[cpu->isa](factor, r->dz + row * s->width, sum, s->width);
    }
}

static co_status run_lstm_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const sizes s = sizes_of(desc);
  const rooms r = rooms_of(&s, workspace);
#pragma omp parallel
  {
#pragma omp for schedule(dynamic)
    for (int64_t n = 0; n < s.N; n++)
      backward_row(cpu, desc, &s, in, out, n, &r);
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < s.I + s.U + 1; i++)
      gradient_row(cpu, desc, &s, in, out, i, &r);
  }
  return CO_OK;
}

const co_cpu_impl co_cpu_recurrent[] = {
    {.op = CO_OP_LSTM,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_lstm,
     .workspace = forward_workspace,
     .f32_in = 0x1D,
     .f32_out = 0xF},
    {.op = CO_OP_LSTM_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_lstm_backward,
     .workspace = backward_workspace,
     .f32_in = 0xFD,
     .f32_out = 0xF,
     .accumulate = 0xF},
    {.name = NULL},
};
