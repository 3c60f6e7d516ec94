// SPDX-License-Identifier: Apache-2.0
// Element by element, in memory order: any layout will do that all operands share, because the
// padding of blocked layouts is zero and stays zero.
#include "host/core/rng.h"
#include "kernels/cpu/cpu.h"

static int64_t elements(co_cpu *cpu, const co_tensor_desc *desc) {
  return (int64_t)(co_cpu_layout_bytes(cpu, desc) / sizeof(float));
}

// clang-format off
CO_CPU_KERNEL(relu, (const float *x, float *y, int64_t n), (x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = x[i] < 0 ? 0 : x[i];
}

CO_CPU_KERNEL(relu_backward, (const float *y, const float *dy, float *dx, int64_t n),
              (y, dy, dx, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    dx[i] = y[i] > 0 ? dy[i] : 0;
}

CO_CPU_KERNEL(relu_backward_add, (const float *y, const float *dy, float *dx, int64_t n),
              (y, dy, dx, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    dx[i] += y[i] > 0 ? dy[i] : 0;
}

CO_CPU_KERNEL(add, (const float *a, const float *b, float *y, int64_t n), (a, b, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = a[i] + b[i];
}

CO_CPU_KERNEL(add_relu, (const float *a, const float *b, float *y, int64_t n), (a, b, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float sum = a[i] + b[i];
    y[i] = sum < 0 ? 0 : sum;
  }
}
// clang-format on

static co_status run_relu(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  (void)workspace;
  const int64_t n = elements(cpu, &prepared->desc.in[0]);
  const float *x = in[0];
  float *y = out[0];
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(n, 16, &begin, &end);
    relu[cpu->isa](x + begin, y + begin, end - begin);
  }
  return CO_OK;
}

static co_status run_relu_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  (void)workspace;
  const int64_t n = elements(cpu, &prepared->desc.in[0]);
  const bool sum = co_cpu_accumulates(&prepared->desc, 0);
  const float *y = in[0], *dy = in[1];
  float *dx = out[0];
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(n, 16, &begin, &end);
    (sum ? relu_backward_add : relu_backward)[cpu->isa](y + begin, dy + begin, dx + begin,
                                                        end - begin);
  }
  return CO_OK;
}

static co_status run_add(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                         void *workspace) {
  (void)workspace;
  const int64_t n = elements(cpu, &prepared->desc.in[0]);
  const bool rectify = prepared->desc.attr.activation == CO_ACTIVATION_RELU;
  const float *a = in[0], *b = in[1];
  float *y = out[0];
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(n, 16, &begin, &end);
    (rectify ? add_relu : add)[cpu->isa](a + begin, b + begin, y + begin, end - begin);
  }
  return CO_OK;
}

static co_status run_reshape(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  (void)cpu;
  (void)workspace;
  const size_t bytes = co_tensor_bytes(&prepared->desc.in[0]);
  if (bytes > 0 && in[0] != out[0]) memcpy(out[0], in[0], bytes);
  return CO_OK;
}

// ---- dropout -----------------------------------------------------------------------------------

// Sixteen blocks of four words at a time, a word of all blocks in one vector; `limit`: bits below
// it are dropped. x and y start at the element whose index is 4 * block.
// clang-format off
CO_CPU_KERNEL(dropout_blocks,
              (const float *x, float *y, int64_t blocks, uint64_t first, const co_step *step,
               uint32_t purpose, uint32_t limit, float scale, bool sum),
              (x, y, blocks, first, step, purpose, limit, scale, sum)) {
  enum { LANES = 16 };
  for (int64_t at = 0; at < blocks; at += LANES) {
    const int64_t lanes = blocks - at < LANES ? blocks - at : LANES;
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];
    float keep[4 * LANES];
#pragma omp simd
    for (int l = 0; l < LANES; l++) {
      const uint64_t block = first + (uint64_t)at + (uint64_t)l;
      c0[l] = (uint32_t)block;
      c1[l] = (uint32_t)(block >> 32);
      c2[l] = step->step;
      c3[l] = purpose;
    }
    uint32_t k0 = (uint32_t)step->seed, k1 = (uint32_t)(step->seed >> 32);
    for (int round = 0; round < 10; round++) {
#pragma omp simd
      for (int l = 0; l < LANES; l++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0[l], p1 = (uint64_t)0xCD9E8D57u * c2[l];
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1[l] ^ k0;
        const uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3[l] ^ k1;
        c1[l] = (uint32_t)p1;
        c3[l] = (uint32_t)p0;
        c0[l] = n0;
        c2[l] = n2;
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
#pragma omp simd
    for (int l = 0; l < LANES; l++) {
      keep[4 * l] = c0[l] >> 8 >= limit ? scale : 0;
      keep[4 * l + 1] = c1[l] >> 8 >= limit ? scale : 0;
      keep[4 * l + 2] = c2[l] >> 8 >= limit ? scale : 0;
      keep[4 * l + 3] = c3[l] >> 8 >= limit ? scale : 0;
    }
    const float *xs = x + 4 * at;
    float *ys = y + 4 * at;
    const int64_t count = 4 * lanes;
    // A dropped element is zero even where x is not finite.
    if (sum) {
#pragma omp simd
      for (int64_t i = 0; i < count; i++)
        ys[i] += keep[i] > 0 ? xs[i] * keep[i] : 0;
    } else {
#pragma omp simd
      for (int64_t i = 0; i < count; i++)
        ys[i] = keep[i] > 0 ? xs[i] * keep[i] : 0;
    }
  }
}
// clang-format on

static void dropout_some(const co_step *step, uint32_t purpose, uint32_t limit, float scale,
                         uint64_t index, const float *x, float *y, int64_t n, bool sum) {
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits = co_random_bits(step->seed, index + (uint64_t)i, step->step, purpose);
    float value = bits >> 8 >= limit ? x[i] * scale : 0;
    y[i] = sum ? y[i] + value : value;
  }
}

static co_status run_dropout(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t n = co_shape_count(&desc->in[0].shape);
  if (n <= 0) return CO_OK;
  const float *x = in[0];
  float *y = out[0];
  const co_step *step = in[1];
  // uniform >= rate, with uniform = bits / 2^24, in integers: bits >= ceil(rate 2^24), exact
  // because a float times a power of two is.
  const float scaled = (float)desc->attr.rate * 16777216.0f;
  const uint32_t limit = (uint32_t)scaled + (scaled > (float)(uint32_t)scaled ? 1u : 0u);
  const float scale = (float)(1 / (1 - desc->attr.rate));
  const bool sum = co_cpu_accumulates(desc, 0);
  const uint64_t base = (uint64_t)(step->row_offset * (n / desc->in[0].shape.dim[0]));
  int64_t head = (int64_t)((4 - (base & 3)) & 3);
  if (head > n) head = n;
  const int64_t blocks = (n - head) / 4, tail = n - head - 4 * blocks;
  dropout_some(step, desc->attr.purpose, limit, scale, base, x, y, head, sum);
#pragma omp parallel if (n > 2048)
  {
    int64_t begin, end;
    co_cpu_share(blocks, 16, &begin, &end);
    dropout_blocks[cpu->isa](x + head + 4 * begin, y + head + 4 * begin, end - begin,
                             (base + (uint64_t)head) / 4 + (uint64_t)begin, step,
                             desc->attr.purpose, limit, scale, sum);
  }
  dropout_some(step, desc->attr.purpose, limit, scale, base + (uint64_t)(n - tail), x + n - tail,
               y + n - tail, tail, sum);
  return CO_OK;
}

const co_cpu_impl co_cpu_elementwise[] = {
    {.op = CO_OP_RELU,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_relu,
     .f32_in = 1,
     .f32_out = 1,
     .same_in = 1,
     .same_out = 1},
    {.op = CO_OP_RELU_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_relu_backward,
     .f32_in = 3,
     .f32_out = 1,
     .same_in = 3,
     .same_out = 1,
     .accumulate = 1},
    {.op = CO_OP_ADD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_add,
     .f32_in = 3,
     .f32_out = 1,
     .same_in = 3,
     .same_out = 1},
    {.op = CO_OP_RESHAPE, .name = "omp", .plan = co_cpu_plan_simple, .run = run_reshape},
    {.op = CO_OP_DROPOUT,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_dropout,
     .f32_in = 1,
     .f32_out = 1,
     .accumulate = 1},
    {.name = NULL},
};
