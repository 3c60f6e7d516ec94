// SPDX-License-Identifier: Apache-2.0
// Copying classes of events. Rows are independent; the events of a row go in order.
#include <math.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exp.h"

// log(exp(a) + exp(b))
static float add_logs(float a, float b) {
  const float most = a > b ? a : b, least = a > b ? b : a;
  return most + log1pf(expf(least - most)); // NaN if one is
}

static co_status run_copy(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t *dim = desc->in[CO_COPY_EVENTS_score].shape.dim, N = dim[0], T = dim[1];
  const int64_t K = desc->in[CO_COPY_EVENTS_x].shape.dim[1];
  const float shift = (float)log(desc->attr.factor);
  (void)cpu;
  (void)workspace;
#pragma omp parallel for schedule(static) if (N * (K + T) > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_COPY_EVENTS_lengths])[n], T);
    const int32_t *codes = (const int32_t *)in[CO_COPY_EVENTS_codes] + n * T;
    const float *score = (const float *)in[CO_COPY_EVENTS_score] + n * T;
    float *y = (float *)out[CO_COPY_EVENTS_y] + n * K;
    memcpy(y, (const float *)in[CO_COPY_EVENTS_x] + n * K, (size_t)K * sizeof *y);
    for (int64_t t = 0; t < length; t++)
      if (codes[t] > 0 && codes[t] <= K)
        y[codes[t] - 1] = add_logs(y[codes[t] - 1], score[t] + shift);
  }
  return CO_OK;
}

// clang-format off
CO_CPU_KERNEL(logits, (const float *x, const float *y, const float *dy, float *dx, int64_t K, bool adds),
              (x, y, dy, dx, K, adds)) {
  for (int64_t k = 0; k < K; k++) {
    const float value = dy[k] * exp_negative(x[k] - y[k]);
    dx[k] = adds ? dx[k] + value : value;
  }
}
// clang-format on

static co_status run_copy_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t *dim = desc->in[CO_COPY_EVENTS_BACKWARD_score].shape.dim, N = dim[0], T = dim[1];
  const int64_t K = desc->in[CO_COPY_EVENTS_BACKWARD_x].shape.dim[1];
  const float shift = (float)log(desc->attr.factor);
  const bool adds_x = co_cpu_accumulates(desc, CO_COPY_EVENTS_BACKWARD_dx);
  const bool adds_score = co_cpu_accumulates(desc, CO_COPY_EVENTS_BACKWARD_dscore);
  const int32_t *lengths = in[CO_COPY_EVENTS_BACKWARD_lengths];
  (void)workspace;
#pragma omp parallel for schedule(static) if (N * (K + T) > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const int32_t *codes = (const int32_t *)in[CO_COPY_EVENTS_BACKWARD_codes] + n * T;
    const float *score = (const float *)in[CO_COPY_EVENTS_BACKWARD_score] + n * T;
    const float *x = (const float *)in[CO_COPY_EVENTS_BACKWARD_x] + n * K;
    const float *y = (const float *)in[CO_COPY_EVENTS_BACKWARD_y] + n * K;
    const float *dy = (const float *)in[CO_COPY_EVENTS_BACKWARD_dy] + n * K;
    const int64_t length = co_clamp_length(lengths[n], T);
    if (co_cpu_has_out(desc, CO_COPY_EVENTS_BACKWARD_dx))
      logits[cpu->isa](x, y, dy, (float *)out[CO_COPY_EVENTS_BACKWARD_dx] + n * K, K, adds_x);
    if (!co_cpu_has_out(desc, CO_COPY_EVENTS_BACKWARD_dscore)) continue;
    float *dscore = (float *)out[CO_COPY_EVENTS_BACKWARD_dscore] + n * T;
    for (int64_t t = 0; t < T; t++) {
      const bool counts = t < length && codes[t] > 0 && codes[t] <= K;
      const int64_t k = counts ? codes[t] - 1 : 0;
      const float value = counts ? dy[k] * expf(score[t] + shift - y[k]) : 0;
      dscore[t] = adds_score ? dscore[t] + value : value;
    }
  }
  return CO_OK;
}

const co_cpu_impl co_cpu_copy_events[] = {
    {.op = CO_OP_COPY_EVENTS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_copy,
     .f32_in = 0x3,
     .f32_out = 0x1},
    {.op = CO_OP_COPY_EVENTS_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_copy_backward,
     .f32_in = 0x33,
     .f32_out = 0x3,
     .accumulate = 0x3},
    {.name = NULL},
};
