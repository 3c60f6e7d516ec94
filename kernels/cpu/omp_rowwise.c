// SPDX-License-Identifier: Apache-2.0
// Operations on whole rows. Sums over rows belong to chunks that are fixed by the shape, so results do
// not depend on the thread count.
#include <math.h>

#include "kernels/cpu/cpu.h"

enum { CHUNK = 64 }; // rows

static int64_t last(const co_shape *shape) {
  return shape->dim[shape->rank - 1];
}

static bool not_empty(const co_op_desc *desc, co_cpu_answer *answer) {
  if (co_shape_count(&desc->in[0].shape) > 0) return true;
  (void)co_cpu_refuse(answer, "empty operand");
  return false;
}

// ---- layer_norm --------------------------------------------------------------------------------

// clang-format off
CO_CPU_KERNEL(normalise_row, (const float *x, const float *gamma, const float *beta, double epsilon,
                              float *y, float *mean, float *inverse, int64_t C),
              (x, gamma, beta, epsilon, y, mean, inverse, C)) {
  float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t c = 0; c < C; c++)
    sum += x[c];
  const float center = sum / (float)C;
#pragma omp simd reduction(+ : squares)
  for (int64_t c = 0; c < C; c++)
    squares += (x[c] - center) * (x[c] - center);
  const float scale = (float)(1 / sqrt((double)squares / (double)C + epsilon));
#pragma omp simd
  for (int64_t c = 0; c < C; c++)
    y[c] = gamma[c] * ((x[c] - center) * scale) + beta[c];
  if (mean) *mean = center;
  if (inverse) *inverse = scale;
}

// kernels/ref/layer_norm.c has the formula. Adds to dgamma and dbeta.
CO_CPU_KERNEL(normalise_row_backward,
              (const float *x, const float *gamma, float mean, float inverse, const float *dy,
               float *dx, bool add, double *dgamma, double *dbeta, int64_t C),
              (x, gamma, mean, inverse, dy, dx, add, dgamma, dbeta, C)) {
  double sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
  for (int64_t c = 0; c < C; c++) {
    const float g = gamma[c] * dy[c], normal = (x[c] - mean) * inverse;
    sum += (double)g;
    product += (double)(g * normal);
  }
  const float shift = (float)(sum / (double)C), slope = (float)(product / (double)C);
#pragma omp simd
  for (int64_t c = 0; c < C; c++) {
    const float normal = (x[c] - mean) * inverse;
    const float value = inverse * (gamma[c] * dy[c] - shift - normal * slope);
    dx[c] = add ? dx[c] + value : value;
    dgamma[c] += (double)(dy[c] * normal);
    dbeta[c] += (double)dy[c];
  }
}
// clang-format on

static co_status run_layer_norm(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t C = last(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / C;
  const float *x = in[CO_LAYER_NORM_x];
  float *y = out[CO_LAYER_NORM_y];
  float *mean = co_cpu_has_out(desc, CO_LAYER_NORM_mean) ? out[CO_LAYER_NORM_mean] : NULL;
  float *inverse = co_cpu_has_out(desc, CO_LAYER_NORM_inverse) ? out[CO_LAYER_NORM_inverse] : NULL;
#pragma omp parallel for schedule(static) if (rows * C > CO_CPU_SERIAL)
  for (int64_t r = 0; r < rows; r++)
    normalise_row[cpu->isa](x + r * C, in[CO_LAYER_NORM_gamma], in[CO_LAYER_NORM_beta],
                            desc->attr.epsilon, y + r * C, mean ? mean + r : NULL,
                            inverse ? inverse + r : NULL, C);
  return CO_OK;
}

static size_t layer_norm_backward_bytes(co_cpu *cpu, const co_op_desc *desc) {
  (void)cpu;
  const int64_t C = last(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / C;
  return (size_t)((rows + CHUNK - 1) / CHUNK * 2 * C) * sizeof(double);
}

static co_status run_layer_norm_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                         void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t C = last(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / C;
  const int64_t chunks = (rows + CHUNK - 1) / CHUNK;
  const float *x = in[CO_LAYER_NORM_BACKWARD_x], *mean = in[CO_LAYER_NORM_BACKWARD_mean];
  const float *inverse = in[CO_LAYER_NORM_BACKWARD_inverse], *dy = in[CO_LAYER_NORM_BACKWARD_dy];
  float *dx = out[CO_LAYER_NORM_BACKWARD_dx], *dgamma = out[CO_LAYER_NORM_BACKWARD_dgamma];
  float *dbeta = out[CO_LAYER_NORM_BACKWARD_dbeta];
  double *sums = workspace; // (chunks, 2, C)
  const bool add = co_cpu_accumulates(desc, CO_LAYER_NORM_BACKWARD_dx);
#pragma omp parallel for schedule(static) if (rows * C > CO_CPU_SERIAL)
  for (int64_t k = 0; k < chunks; k++) {
    double *mine = sums + k * 2 * C;
    memset(mine, 0, (size_t)(2 * C) * sizeof *mine);
    for (int64_t r = k * CHUNK; r < rows && r < (k + 1) * CHUNK; r++)
      normalise_row_backward[cpu->isa](x + r * C, in[CO_LAYER_NORM_BACKWARD_gamma], mean[r],
                                       inverse[r], dy + r * C, dx + r * C, add, mine, mine + C, C);
  }
  for (int64_t c = 0; c < C; c++) {
    double products = co_cpu_accumulates(desc, CO_LAYER_NORM_BACKWARD_dgamma) ? dgamma[c] : 0;
    double total = co_cpu_accumulates(desc, CO_LAYER_NORM_BACKWARD_dbeta) ? dbeta[c] : 0;
    for (int64_t k = 0; k < chunks; k++) {
      products += sums[k * 2 * C + c];
      total += sums[(k * 2 + 1) * C + c];
    }
    dgamma[c] = (float)products;
    dbeta[c] = (float)total;
  }
  return CO_OK;
}

const co_cpu_impl co_cpu_rowwise[] = {
    {.op = CO_OP_LAYER_NORM,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_layer_norm,
     .accepts = not_empty,
     .f32_in = 7,
     .f32_out = 7},
    {.op = CO_OP_LAYER_NORM_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_layer_norm_backward,
     .workspace = layer_norm_backward_bytes,
     .accepts = not_empty,
     .f32_in = 31,
     .f32_out = 7,
     .accumulate = 7},
    {.name = NULL},
};
