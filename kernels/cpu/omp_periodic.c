// SPDX-License-Identifier: Apache-2.0
// Sines and cosines of numbers by trained frequencies.
#include "kernels/cpu/cpu.h"

#include <math.h>

typedef struct sizes {
  int64_t N, C, K;
} sizes;

static sizes sizes_of(const co_op_desc *desc) {
  const int64_t *w = desc->in[1].shape.dim;
  return (sizes){desc->in[0].shape.dim[0], w[0], w[1]};
}

// Of 2 pi t, in a form that compilers vectorise: whole turns off, then by the half angle, which lies
// within [-pi / 2, pi / 2], where Taylor polynomials are off by less than 1e-9.
CO_CPU_INLINE void waves(float t, float *sine, float *cosine) {
  const float shift = 12582912.0f; // 1.5 2^23: adding it rounds to an integer
  const float whole = t + shift - shift, a = 3.14159265358979f * (t - whole), z = a * a;
  float s = 1.6059043836821613e-10f, c = -1.1470745597729725e-11f;
  s = s * z - 2.5052108385441720e-8f;
  s = s * z + 2.7557319223985893e-6f;
  s = s * z - 1.9841269841269841e-4f;
  s = s * z + 8.3333333333333333e-3f;
  s = s * z - 1.6666666666666667e-1f;
  s = s * z * a + a;
  c = c * z + 2.0876756987868099e-9f;
  c = c * z - 2.7557319223985888e-7f;
  c = c * z + 2.4801587301587302e-5f;
  c = c * z - 1.3888888888888889e-3f;
  c = c * z + 4.1666666666666667e-2f;
  c = c * z - 0.5f;
  c = c * z + 1;
  *sine = 2 * s * c;
  *cosine = 1 - 2 * s * s;
}

// clang-format off
CO_CPU_KERNEL(forward,
              (const float *x, const float *w, float *y, int64_t rows, int64_t C, int64_t K),
              (x, w, y, rows, C, K)) {
  for (int64_t i = 0; i < rows * C; i++, y += 2 * K) {
    const float *rate = w + i % C * K, value = x[i];
#pragma omp simd
    for (int64_t k = 0; k < K; k++) {
      float sine, cosine;
      waves(rate[k] * value, &sine, &cosine);
      y[k] = sine;
      y[K + k] = cosine;
    }
  }
}

// dw of columns [first, last), over rows in their order.
CO_CPU_KERNEL(backward,
              (const float *x, const float *w, const float *dy, float *dx, float *dw, int64_t N,
               int64_t C, int64_t K, int64_t first, int64_t last),
              (x, w, dy, dx, dw, N, C, K, first, last)) {
  const float turn = 6.28318530717959f;
  for (int64_t c = first; c < last; c++) {
    const float *rate = w + c * K;
    float *sums = dw + c * K;
    for (int64_t n = 0; n < N; n++) {
      const float *d = dy + (n * C + c) * 2 * K, value = x[n * C + c];
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t k = 0; k < K; k++) {
        float sine, cosine;
        waves(rate[k] * value, &sine, &cosine);
        const float slope = turn * (d[k] * cosine - d[K + k] * sine);
        sums[k] += value * slope;
        sum += rate[k] * slope;
      }
      if (dx) dx[n * C + c] = sum;
    }
  }
}
// clang-format on

static co_status run_periodic(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                              void *workspace) {
  const sizes s = sizes_of(&prepared->desc);
  const float *x = in[CO_PERIODIC_x], *w = in[CO_PERIODIC_w];
  float *y = out[CO_PERIODIC_y];
  (void)workspace;
#pragma omp parallel if (s.N * s.C * s.K > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(s.N, 1, &b, &e);
    forward[cpu->isa](x + b * s.C, w, y + b * s.C * 2 * s.K, e - b, s.C, s.K);
  }
  return CO_OK;
}

static co_status run_periodic_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                       void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const sizes s = sizes_of(desc);
  const float *x = in[CO_PERIODIC_BACKWARD_x], *w = in[CO_PERIODIC_BACKWARD_w];
  const float *dy = in[CO_PERIODIC_BACKWARD_dy];
  float *dw = out[CO_PERIODIC_BACKWARD_dw];
  float *dx = co_cpu_has_out(desc, CO_PERIODIC_BACKWARD_dx) ? out[CO_PERIODIC_BACKWARD_dx] : NULL;
  (void)workspace;
  if (!co_cpu_accumulates(desc, CO_PERIODIC_BACKWARD_dw))
    memset(dw, 0, (size_t)(s.C * s.K) * sizeof *dw);
#pragma omp parallel if (s.N * s.C * s.K > CO_CPU_SERIAL)
  {
    int64_t first, last; // numbers: each is one thread's
    co_cpu_share(s.C, 1, &first, &last);
    backward[cpu->isa](x, w, dy, dx, dw, s.N, s.C, s.K, first, last);
  }
  return CO_OK;
}

const co_cpu_impl co_cpu_periodic[] = {
    {.op = CO_OP_PERIODIC,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_periodic,
     .f32_in = 3,
     .f32_out = 1},
    {.op = CO_OP_PERIODIC_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_periodic_backward,
     .f32_in = 7,
     .f32_out = 3,
     .accumulate = 2},
    {.name = NULL},
};
