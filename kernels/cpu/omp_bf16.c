// SPDX-License-Identifier: Apache-2.0
// Operations between products of bf16 data, in the canonical order, where a way by float would pass over memory
// three times: each element is widened, computed with in float, and rounded.
#include <math.h>

#include "kernels/cpu/cpu.h"

static bool is_bf16(const co_op_desc *desc, co_cpu_answer *answer) {
  if (desc->in[0].dtype != CO_BF16 || desc->out[0].dtype != CO_BF16) {
    answer->reason[0] = '\0'; // nothing to say of it
    return false;
  }
  if (co_shape_count(&desc->in[0].shape) > 0) return true;
  (void)co_cpu_refuse(answer, "empty operand");
  return false;
}

// ---- batch normalisation -----------------------------------------------------------------------

// clang-format off
CO_CPU_KERNEL(scale_rows, (const co_bf16 *x, const float *center, const float *scale, const float *shift, co_bf16 *y, int64_t rows, int64_t channels, bool rectify),
              (x, center, scale, shift, y, rows, channels, rectify)) {
  for (int64_t r = 0; r < rows; r++)
#pragma omp simd
    for (int64_t c = 0; c < channels; c++) {
      const float value = (co_bf16_widen(x[r * channels + c]) - center[c]) * scale[c] + shift[c];
      y[r * channels + c] = co_bf16_round(rectify && value < 0 ? 0 : value);
    }
}
// clang-format on

static size_t norm_bytes(co_cpu *cpu, const co_op_desc *desc) {
  (void)cpu;
  return (size_t)desc->in[1].shape.dim[0] * sizeof(float);
}

static co_status run_batch_norm_inference(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                          void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const co_bf16 *x = in[0];
  const float *gamma = in[1], *beta = in[2], *mean = in[3], *variance = in[4];
  float *scale = workspace;
  co_bf16 *y = out[0];
  const int64_t channels = desc->in[1].shape.dim[0];
  const int64_t rows = co_shape_count(&desc->in[0].shape) / channels;
  const bool rectify = desc->attr.activation == CO_ACTIVATION_RELU;
  for (int64_t c = 0; c < channels; c++)
    scale[c] = (float)((double)gamma[c] / sqrt((double)variance[c] + desc->attr.epsilon));
#pragma omp parallel if (rows * channels > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(rows, 1, &b, &e);
    scale_rows[cpu->isa](x + b * channels, mean, scale, beta, y + b * channels, e - b, channels,
                         rectify);
  }
  return CO_OK;
}

// ---- the largest of windows --------------------------------------------------------------------

typedef struct pool {
  int64_t H, W, Q, C, KH, KW, SH, SW, top, left;
  bool relu;
} pool;

// clang-format off
// One row of outputs, p, of the image x.
CO_CPU_KERNEL(pool_row, (const pool *given, int64_t p, const co_bf16 *x, co_bf16 *y), (given, p, x, y)) {
  const pool g = *given;
  const int64_t top = p * g.SH - g.top;
  const int64_t h0 = top < 0 ? 0 : top, h1 = top + g.KH < g.H ? top + g.KH : g.H;
  for (int64_t q = 0; q < g.Q; q++, y += g.C) {
    const int64_t left = q * g.SW - g.left;
    const int64_t w0 = left < 0 ? 0 : left, w1 = left + g.KW < g.W ? left + g.KW : g.W;
    memcpy(y, x + (h0 * g.W + w0) * g.C, (size_t)g.C * sizeof *y);
    for (int64_t h = h0; h < h1; h++)
      for (int64_t w = w0; w < w1; w++) {
        const co_bf16 *pixel = x + (h * g.W + w) * g.C;
#pragma omp simd
        for (int64_t c = 0; c < g.C; c++)
          y[c] = co_bf16_widen(pixel[c]) > co_bf16_widen(y[c]) ? pixel[c] : y[c];
      }
    if (!g.relu) continue;
#pragma omp simd
    for (int64_t c = 0; c < g.C; c++)
      y[c] = co_bf16_widen(y[c]) < 0 ? 0 : y[c];
  }
}
// clang-format on

static co_status run_pool(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  (void)workspace;
  const co_op_attr *attr = &prepared->desc.attr;
  const int64_t *xd = prepared->desc.in[0].shape.dim, *yd = prepared->desc.out[0].shape.dim;
  const pool g = {.H = xd[1],
                  .W = xd[2],
                  .Q = yd[2],
                  .C = xd[3],
                  .KH = attr->kernel[0],
                  .KW = attr->kernel[1],
                  .SH = attr->stride[0],
                  .SW = attr->stride[1],
                  .top = attr->pad_begin[0],
                  .left = attr->pad_begin[1],
                  .relu = attr->activation == CO_ACTIVATION_RELU};
  const co_bf16 *x = in[0];
  co_bf16 *y = out[0];
  const int64_t rows = yd[1], row = g.Q * g.C, image = g.H * g.W * g.C;
#pragma omp parallel for collapse(2) schedule(static) if (xd[0] * image > CO_CPU_SERIAL)
  for (int64_t n = 0; n < xd[0]; n++)
    for (int64_t p = 0; p < rows; p++)
      pool_row[cpu->isa](&g, p, x + n * image, y + (n * rows + p) * row);
  return CO_OK;
}

// Winners, which training wants, are found in float.
static bool is_pool(const co_op_desc *desc, co_cpu_answer *answer) {
  if (!is_bf16(desc, answer)) return false;
  if (!co_cpu_has_out(desc, 1)) return true;
  (void)co_cpu_refuse(answer, "no winners");
  return false;
}

const co_cpu_impl co_cpu_bf16[] = {
    {.op = CO_OP_BATCH_NORM_INFERENCE,
     .name = "omp:bf16",
     .plan = co_cpu_plan_simple,
     .run = run_batch_norm_inference,
     .workspace = norm_bytes,
     .accepts = is_bf16},
    {.op = CO_OP_MAX_POOL2D,
     .name = "omp:bf16",
     .plan = co_cpu_plan_simple,
     .run = run_pool,
     .accepts = is_pool},
    {.name = NULL},
};
