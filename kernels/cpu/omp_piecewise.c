// SPDX-License-Identifier: Apache-2.0
// Numbers by bins: their places among edges, and dense layers over their piecewise linear encoding.
// A place k + f reads what all weights below bin k sum up to, and f times those of bin k.
#include <float.h>
#include <math.h>

#include "kernels/cpu/cpu.h"

// clang-format off
CO_CPU_KERNEL(place_rows,
              (const float *x, const float *edges, float *y, int64_t rows, int64_t C, int64_t K),
              (x, edges, y, rows, C, K)) {
  for (int64_t i = 0; i < rows * C; i++) {
    const float *edge = edges + i % C * K;
    const float value = x[i] < FLT_MAX ? x[i] : FLT_MAX;
    int below = 0; // edges that are not above
#pragma omp simd reduction(+ : below)
    for (int64_t k = 0; k < K; k++)
      below += edge[k] <= value;
    const int64_t k = below - 1;
    float place = k < 0 ? 0 : (float)k;
    if (k >= 0 && k + 1 < K && edge[k + 1] < INFINITY)
      place += (value - edge[k]) / (edge[k + 1] - edge[k]);
    y[i] = x[i] != x[i] ? x[i] : place;
  }
}
// clang-format on

static co_status run_piecewise_linear(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                      void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[0].shape.dim[0], C = desc->in[0].shape.dim[1];
  const int64_t K = desc->in[1].shape.dim[0] / C;
  const float *x = in[0], *edges = in[1];
  float *y = out[0];
#pragma omp parallel if (N * C * K > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(N, 1, &b, &e);
    place_rows[cpu->isa](x + b * C, edges, y + b * C, e - b, C, K);
  }
  return CO_OK;
}

// ---- dense -------------------------------------------------------------------------------------

typedef struct sizes {
  int64_t N, C, B, D;
} sizes;

static sizes sizes_of(const co_op_desc *desc) {
  const int64_t *w = desc->in[CO_PIECEWISE_DENSE_w].shape.dim;
  return (sizes){desc->in[CO_PIECEWISE_DENSE_x].shape.dim[0], w[0], w[1], w[2]};
}

static size_t sums_bytes(const sizes *s) {
  return (size_t)(s->C * s->B * s->D) * sizeof(float);
}

// The bin of a place and how much of it, at B all of the last one.
CO_CPU_INLINE int64_t bin_of(float place, int64_t B, float *part) {
  const float most = (float)B, inside = place > 0 ? place < most ? place : most : 0;
  const int64_t k = (int64_t)inside < B ? (int64_t)inside : B - 1;
  *part = inside - (float)k;
  return k;
}

CO_CPU_INLINE void forward_rows(const float *x, const float *w, const float *sums, float *y,
                                int64_t rows, int64_t C, int64_t B, int64_t D, bool relu) {
  for (int64_t i = 0; i < rows * C; i++, y += D) {
    float part;
    const int64_t row = (i % C * B + bin_of(x[i], B, &part)) * D;
    if (x[i] != x[i]) part = x[i];
#pragma omp simd
    for (int64_t d = 0; d < D; d++) {
      const float value = sums[row + d] + part * w[row + d];
      y[d] = relu && value < 0 ? 0 : value;
    }
  }
}

CO_CPU_INLINE void backward_rows(const float *x, const float *dy, float *whole, float *parts,
                                 int64_t N, int64_t C, int64_t B, int64_t D, int64_t first,
                                 int64_t last) {
  for (int64_t n = 0; n < N; n++)
    for (int64_t c = first; c < last; c++) {
      float part;
      const int64_t row = (c * B + bin_of(x[n * C + c], B, &part)) * D;
      const float *from = dy + (n * C + c) * D;
#pragma omp simd
      for (int64_t d = 0; d < D; d++) {
        whole[row + d] += from[d];
        parts[row + d] += part * from[d];
      }
    }
}

// clang-format off
// sums (C, B, D): b and the weights of the bins below.
CO_CPU_KERNEL(sum_below, (const float *w, const float *b, float *sums, int64_t B, int64_t D),
              (w, b, sums, B, D)) {
  memcpy(sums, b, (size_t)D * sizeof *sums);
  for (int64_t i = D; i < B * D; i += D) {
#pragma omp simd
    for (int64_t d = 0; d < D; d++)
      sums[i + d] = sums[i - D + d] + w[i - D + d];
  }
}

// The usual width has loops of its own.
CO_CPU_KERNEL(forward,
              (const float *x, const float *w, const float *sums, float *y, int64_t rows,
               int64_t C, int64_t B, int64_t D, bool relu),
              (x, w, sums, y, rows, C, B, D, relu)) {
  if (D == 16)
    forward_rows(x, w, sums, y, rows, C, B, 16, relu);
  else
    forward_rows(x, w, sums, y, rows, C, B, D, relu);
}

CO_CPU_KERNEL(backward,
              (const float *x, const float *dy, float *whole, float *parts, int64_t N, int64_t C,
               int64_t B, int64_t D, int64_t first, int64_t last),
              (x, dy, whole, parts, N, C, B, D, first, last)) {
  if (D == 16)
    backward_rows(x, dy, whole, parts, N, C, B, 16, first, last);
  else
    backward_rows(x, dy, whole, parts, N, C, B, D, first, last);
}

// dw (B, D) (+)= parts + whole of the bins above; whole[0] becomes its sum over all bins.
CO_CPU_KERNEL(finish,
              (float *whole, const float *parts, float *dw, bool add, int64_t B, int64_t D),
              (whole, parts, dw, add, B, D)) {
  for (int64_t i = (B - 1) * D; i >= 0; i -= D) {
#pragma omp simd
    for (int64_t d = 0; d < D; d++) {
      const float above = i < (B - 1) * D ? whole[i + D + d] : 0;
      dw[i + d] = (add ? dw[i + d] : 0) + parts[i + d] + above;
      whole[i + d] += above;
    }
  }
}
// clang-format on

static size_t forward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  const sizes s = sizes_of(desc);
  (void)cpu;
  return sums_bytes(&s);
}

static co_status run_piecewise_dense(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                     void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const sizes s = sizes_of(desc);
  const float *x = in[CO_PIECEWISE_DENSE_x], *w = in[CO_PIECEWISE_DENSE_w];
  const float *b = in[CO_PIECEWISE_DENSE_b];
  float *y = out[CO_PIECEWISE_DENSE_y], *sums = workspace;
  const int64_t bins = s.B * s.D, row = s.C * s.D;
#pragma omp parallel if (s.N * row > CO_CPU_SERIAL)
  {
    int64_t first, last;
    co_cpu_share(s.C, 1, &first, &last);
    for (int64_t c = first; c < last; c++)
      sum_below[cpu->isa](w + c * bins, b + c * s.D, sums + c * bins, s.B, s.D);
#pragma omp barrier
    co_cpu_share(s.N, 1, &first, &last);
    forward[cpu->isa](x + first * s.C, w, sums, y + first * row, last - first, s.C, s.B, s.D,
                      desc->attr.activation == CO_ACTIVATION_RELU);
  }
  return CO_OK;
}

static size_t backward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  const sizes s = sizes_of(desc);
  (void)cpu;
  return 2 * sums_bytes(&s);
}

static void run_dx(const co_op_desc *desc, const sizes *s, const float *x, const float *w,
                   const float *dy, float *dx) {
  const bool add = co_cpu_accumulates(desc, CO_PIECEWISE_DENSE_BACKWARD_dx);
#pragma omp parallel for schedule(static) if (s->N * s->C * s->D > CO_CPU_SERIAL)
  for (int64_t i = 0; i < s->N * s->C; i++) {
    const bool inside = x[i] >= 0 && x[i] < (float)s->B;
    float sum = x[i] != x[i] ? x[i] : 0;
    for (int64_t d = 0; inside && d < s->D; d++)
      sum += dy[i * s->D + d] * w[(i % s->C * s->B + (int64_t)x[i]) * s->D + d];
    dx[i] = (add ? dx[i] : 0) + sum;
  }
}

static co_status run_piecewise_dense_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                              void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const sizes s = sizes_of(desc);
  const float *x = in[CO_PIECEWISE_DENSE_BACKWARD_x], *dy = in[CO_PIECEWISE_DENSE_BACKWARD_dy];
  float *dw = out[CO_PIECEWISE_DENSE_BACKWARD_dw], *db = out[CO_PIECEWISE_DENSE_BACKWARD_db];
  float *whole = workspace, *parts = whole + s.C * s.B * s.D;
  const bool add_w = co_cpu_accumulates(desc, CO_PIECEWISE_DENSE_BACKWARD_dw);
  const bool add_b = co_cpu_accumulates(desc, CO_PIECEWISE_DENSE_BACKWARD_db);
  const int64_t bins = s.B * s.D;
  if (co_cpu_has_out(desc, CO_PIECEWISE_DENSE_BACKWARD_dx))
    run_dx(desc, &s, x, in[CO_PIECEWISE_DENSE_BACKWARD_w], dy, out[CO_PIECEWISE_DENSE_BACKWARD_dx]);
#pragma omp parallel if (s.N * s.C * s.D > CO_CPU_SERIAL)
  {
    int64_t first, last; // numbers: each is one thread's
    co_cpu_share(s.C, 1, &first, &last);
    const size_t bytes = (size_t)((last - first) * bins) * sizeof(float);
    memset(whole + first * bins, 0, bytes);
    memset(parts + first * bins, 0, bytes);
    backward[cpu->isa](x, dy, whole, parts, s.N, s.C, s.B, s.D, first, last);
    for (int64_t c = first; c < last; c++) {
      finish[cpu->isa](whole + c * bins, parts + c * bins, dw + c * bins, add_w, s.B, s.D);
      for (int64_t d = 0; d < s.D; d++)
        db[c * s.D + d] = (add_b ? db[c * s.D + d] : 0) + whole[c * bins + d];
    }
  }
  return CO_OK;
}

const co_cpu_impl co_cpu_piecewise[] = {
    {.op = CO_OP_PIECEWISE_LINEAR,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_piecewise_linear,
     .f32_in = 3,
     .f32_out = 1},
    {.op = CO_OP_PIECEWISE_DENSE,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_piecewise_dense,
     .workspace = forward_workspace,
     .f32_in = 7,
     .f32_out = 1},
    {.op = CO_OP_PIECEWISE_DENSE_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_piecewise_dense_backward,
     .workspace = backward_workspace,
     .f32_in = 7,
     .f32_out = 7,
     .accumulate = 7},
    {.name = NULL},
};
