// SPDX-License-Identifier: Apache-2.0
// A row's events pooled, and their neighbours side by side. Rows are independent.
#include "kernels/cpu/cpu.h"

static co_status run_pool(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t *dim = desc->in[CO_POOL_EVENTS_x].shape.dim, N = dim[0], T = dim[1], C = dim[2];
  const int64_t pooling = desc->attr.pooling;
  (void)cpu;
  (void)workspace;
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < N; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_POOL_EVENTS_lengths])[n], T);
    const float *x = (const float *)in[CO_POOL_EVENTS_x] + n * T * C;
    const float share = pooling == CO_POOL_MEAN && length ? 1 / (float)length : 1;
    float *y = (float *)out[CO_POOL_EVENTS_y] + n * C;
    memset(y, 0, (size_t)C * sizeof *y);
    for (int64_t t = pooling == CO_POOL_LAST && length ? length - 1 : 0; t < length; t++)
      for (int64_t c = 0; c < C; c++)
        y[c] += x[t * C + c];
    for (int64_t c = 0; c < C; c++)
      y[c] *= share;
  }
  return CO_OK;
}

static co_status run_pool_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t *dim = desc->out[CO_POOL_EVENTS_BACKWARD_dx].shape.dim;
  const int64_t N = dim[0], T = dim[1], C = dim[2], pooling = desc->attr.pooling;
  const bool adds = co_cpu_accumulates(desc, CO_POOL_EVENTS_BACKWARD_dx);
  (void)cpu;
  (void)workspace;
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < N; n++) {
    const int64_t length =
        co_clamp_length(((const int32_t *)in[CO_POOL_EVENTS_BACKWARD_lengths])[n], T);
    const float *dy = (const float *)in[CO_POOL_EVENTS_BACKWARD_dy] + n * C;
    const float share = pooling == CO_POOL_MEAN && length ? 1 / (float)length : 1;
    float *dx = (float *)out[CO_POOL_EVENTS_BACKWARD_dx] + n * T * C;
    if (!adds) memset(dx, 0, (size_t)(T * C) * sizeof *dx);
    for (int64_t t = pooling == CO_POOL_LAST && length ? length - 1 : 0; t < length; t++)
      for (int64_t c = 0; c < C; c++)
        dx[t * C + c] += share * dy[c];
  }
  return CO_OK;
}

static co_status run_max(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                         void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t *dim = desc->in[CO_MAX_EVENTS_x].shape.dim, N = dim[0], T = dim[1], C = dim[2];
  (void)cpu;
  (void)workspace;
#pragma omp parallel for schedule(static) if (N * T * C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_MAX_EVENTS_lengths])[n], T);
    const float *x = (const float *)in[CO_MAX_EVENTS_x] + n * T * C;
    float *y = (float *)out[CO_MAX_EVENTS_y] + n * C;
    if (length)
      memcpy(y, x, (size_t)C * sizeof *y);
    else
      memset(y, 0, (size_t)C * sizeof *y);
    for (int64_t t = 1; t < length; t++)
      for (int64_t c = 0; c < C; c++)
        y[c] = x[t * C + c] > y[c] ? x[t * C + c] : y[c];
  }
  return CO_OK;
}

static co_status run_max_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                  void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t *dim = desc->in[CO_MAX_EVENTS_BACKWARD_x].shape.dim, N = dim[0], T = dim[1];
  const int64_t C = dim[2];
  const bool adds = co_cpu_accumulates(desc, CO_MAX_EVENTS_BACKWARD_dx);
  (void)cpu;
  (void)workspace;
#pragma omp parallel for schedule(static) if (N * T * C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const int64_t length =
        co_clamp_length(((const int32_t *)in[CO_MAX_EVENTS_BACKWARD_lengths])[n], T);
    const float *x = (const float *)in[CO_MAX_EVENTS_BACKWARD_x] + n * T * C;
    const float *dy = (const float *)in[CO_MAX_EVENTS_BACKWARD_dy] + n * C;
    float *dx = (float *)out[CO_MAX_EVENTS_BACKWARD_dx] + n * T * C;
    if (!adds) memset(dx, 0, (size_t)(T * C) * sizeof *dx);
    for (int64_t c = 0; length && c < C; c++) {
      int64_t best = c;
      for (int64_t i = c; i < length * C; i += C)
        if (x[i] > x[best]) best = i;
      dx[best] += dy[c];
    }
  }
  return CO_OK;
}

static co_status run_unfold(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                            void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t *dim = desc->in[CO_UNFOLD_EVENTS_x].shape.dim, N = dim[0], T = dim[1], C = dim[2];
  const int64_t K = desc->attr.kernel[0], step = desc->attr.dilation[0];
  const size_t bytes = (size_t)C * sizeof(float);
  (void)cpu;
  (void)workspace;
#pragma omp parallel for schedule(static) if (N * T * K * C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_UNFOLD_EVENTS_lengths])[n], T);
    const float *x = (const float *)in[CO_UNFOLD_EVENTS_x] + n * T * C;
    float *y = (float *)out[CO_UNFOLD_EVENTS_y] + n * T * K * C;
    for (int64_t t = 0; t < length; t++)
      for (int64_t k = 0; k < K; k++, y += C) {
        const int64_t s = t + k * step - desc->attr.pad_begin[0];
        if (s >= 0 && s < length)
          memcpy(y, x + s * C, bytes);
        else
          memset(y, 0, bytes);
      }
    memset(y, 0, (size_t)((T - length) * K) * bytes);
  }
  return CO_OK;
}

static co_status run_unfold_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                     void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t *dim = desc->out[CO_UNFOLD_EVENTS_BACKWARD_dx].shape.dim, N = dim[0], T = dim[1];
  const int64_t C = dim[2], K = desc->attr.kernel[0], step = desc->attr.dilation[0];
  const bool adds = co_cpu_accumulates(desc, CO_UNFOLD_EVENTS_BACKWARD_dx);
  (void)cpu;
  (void)workspace;
#pragma omp parallel for schedule(static) if (N * T * K * C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const int64_t length =
        co_clamp_length(((const int32_t *)in[CO_UNFOLD_EVENTS_BACKWARD_lengths])[n], T);
    const float *dy = (const float *)in[CO_UNFOLD_EVENTS_BACKWARD_dy] + n * T * K * C;
    float *dx = (float *)out[CO_UNFOLD_EVENTS_BACKWARD_dx] + n * T * C;
    if (!adds) memset(dx, 0, (size_t)(T * C) * sizeof *dx);
    for (int64_t t = 0; t < length; t++)
      for (int64_t k = 0; k < K; k++) {
        const int64_t s = t + k * step - desc->attr.pad_begin[0];
        for (int64_t c = 0; c < C && s >= 0 && s < length; c++)
          dx[s * C + c] += dy[(t * K + k) * C + c];
      }
  }
  return CO_OK;
}

static co_status run_reverse(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t *dim = desc->in[CO_REVERSE_EVENTS_x].shape.dim, N = dim[0], T = dim[1], C = dim[2];
  const bool cut = co_cpu_has_in(desc, CO_REVERSE_EVENTS_lengths);
  const bool adds = co_cpu_accumulates(desc, CO_REVERSE_EVENTS_y);
  const int32_t *lengths = in[CO_REVERSE_EVENTS_lengths];
  (void)cpu;
  (void)workspace;
#pragma omp parallel for schedule(static) if (N * T * C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const int64_t length = cut ? co_clamp_length(lengths[n], T) : T;
    const float *x = (const float *)in[CO_REVERSE_EVENTS_x] + n * T * C;
    float *y = (float *)out[CO_REVERSE_EVENTS_y] + n * T * C;
    if (!adds) memset(y, 0, (size_t)(T * C) * sizeof *y);
    for (int64_t t = 0; t < length; t++)
      for (int64_t c = 0; c < C; c++)
        y[t * C + c] += x[(length - 1 - t) * C + c];
  }
  return CO_OK;
}

const co_cpu_impl co_cpu_events[] = {
    {.op = CO_OP_POOL_EVENTS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_pool,
     .f32_in = 0x1,
     .f32_out = 0x1},
    {.op = CO_OP_POOL_EVENTS_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_pool_backward,
     .f32_in = 0x2,
     .f32_out = 0x1,
     .accumulate = 0x1},
    {.op = CO_OP_MAX_EVENTS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_max,
     .f32_in = 0x1,
     .f32_out = 0x1},
    {.op = CO_OP_MAX_EVENTS_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_max_backward,
     .f32_in = 0x5,
     .f32_out = 0x1,
     .accumulate = 0x1},
    {.op = CO_OP_UNFOLD_EVENTS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_unfold,
     .f32_in = 0x1,
     .f32_out = 0x1},
    {.op = CO_OP_UNFOLD_EVENTS_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_unfold_backward,
     .f32_in = 0x2,
     .f32_out = 0x1,
     .accumulate = 0x1},
    {.op = CO_OP_REVERSE_EVENTS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_reverse,
     .f32_in = 0x1,
     .f32_out = 0x1,
     .accumulate = 0x1},
    {.name = NULL},
};
