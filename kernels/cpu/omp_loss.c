// SPDX-License-Identifier: Apache-2.0
// Softmax, losses and metrics: row by row. The sum over rows is taken afterwards, in order and in
// double, so that it does not depend on the thread count.
#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exp.h"

CO_CPU_INLINE float row_max(const float *x, int64_t n) {
  float largest = x[0];
#pragma omp simd reduction(max : largest)
  for (int64_t i = 1; i < n; i++)
    largest = x[i] > largest ? x[i] : largest;
  return largest;
}

// clang-format off
CO_CPU_KERNEL(softmax_rows, (const float *x, float *y, int64_t rows, int64_t K), (x, y, rows, K)) {
  for (int64_t r = 0; r < rows; r++, x += K, y += K) {
    const float largest = row_max(x, K);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < K; k++) {
      y[k] = exp_negative(x[k] - largest);
      sum += y[k];
    }
    const float inverse = 1 / sum;
#pragma omp simd
    for (int64_t k = 0; k < K; k++)
      y[k] *= inverse;
  }
}

// What is left of a row once the exponentials (of logits less the largest) are known: `rest` is
// their sum without the target's, so that neither a loss near 0 nor the gradient of a probability
// near 1 is a difference of equals. Returns what the exponentials are to be multiplied by for the
// gradient.
CO_CPU_INLINE float finish_row(const float *x, int64_t K, int32_t target, float largest, float rest,
                               float factor, float *loss, float *target_gradient) {
  // Targets are checked by the caller; a wild one gives NaN rather than a wild read.
  const bool known = target >= 0 && target < K;
  const float own = known ? exp_negative(x[target] - largest) : 0, sum = rest + own;
  if (!known)
    *loss = NAN;
  else
    *loss = x[target] == largest ? log1pf(rest) : logf(sum) + (largest - x[target]);
  *target_gradient = -factor * (rest / sum);
  return factor / sum;
}

// Rows of up to sixteen classes as one vector, filled up with logits that never count.
CO_CPU_KERNEL(cross_entropy_short_rows,
              (const float *x, const int32_t *target, const float *weight, double inv_norm,
               float *loss, float *dx, int64_t rows, int64_t K),
              (x, target, weight, inv_norm, loss, dx, rows, K)) {
  enum { LANES = 16 };
  for (int64_t n = 0; n < rows; n++, x += K) {
    float *d = dx ? dx + n * K : NULL;
    float e[LANES];
    if (weight[n] == 0) { // missing: not even a NaN counts
      loss[n] = 0;
      if (d) memset(d, 0, (size_t)K * sizeof *d);
      continue;
    }
    for (int k = 0; k < LANES; k++)
      e[k] = -INFINITY;
    for (int64_t k = 0; k < K; k++)
      e[k] = x[k];
    float largest = e[0], rest = 0, gradient;
#pragma omp simd reduction(max : largest)
    for (int k = 0; k < LANES; k++)
      largest = e[k] > largest ? e[k] : largest;
#pragma omp simd
    for (int k = 0; k < LANES; k++)
      e[k] = exp_negative(e[k] - largest);
    for (int64_t k = 0; k < K; k++)
      rest += k == target[n] ? 0 : e[k];
    const float factor = (float)((double)weight[n] * inv_norm);
    const float scale = finish_row(x, K, target[n], largest, rest, factor, &loss[n], &gradient);
    if (d == NULL) continue;
    for (int64_t k = 0; k < K; k++)
      d[k] = k == target[n] ? gradient : e[k] * scale;
  }
}

CO_CPU_KERNEL(cross_entropy_rows,
              (const float *x, const int32_t *target, const float *weight, double inv_norm,
               float *loss, float *dx, int64_t rows, int64_t K),
              (x, target, weight, inv_norm, loss, dx, rows, K)) {
  for (int64_t n = 0; n < rows; n++, x += K) {
    float *d = dx ? dx + n * K : NULL;
    if (weight[n] == 0) {
      loss[n] = 0;
      if (d) memset(d, 0, (size_t)K * sizeof *d);
      continue;
    }
    const float largest = row_max(x, K);
    const int64_t own = target[n];
    float rest = 0, gradient;
    if (d) {
#pragma omp simd reduction(+ : rest)
      for (int64_t k = 0; k < K; k++) {
        d[k] = exp_negative(x[k] - largest);
        rest += k == own ? 0 : d[k];
      }
    } else {
#pragma omp simd reduction(+ : rest)
      for (int64_t k = 0; k < K; k++)
        rest += k == own ? 0 : exp_negative(x[k] - largest);
    }
    const float factor = (float)((double)weight[n] * inv_norm);
    const float scale = finish_row(x, K, target[n], largest, rest, factor, &loss[n], &gradient);
    if (d == NULL) continue;
#pragma omp simd
    for (int64_t k = 0; k < K; k++)
      d[k] *= scale;
    if (own >= 0 && own < K) d[own] = gradient;
  }
}

// sums of weights where the target is the first of the largest, and of all.
CO_CPU_KERNEL(count_hits,
              (const float *x, const int32_t *target, const float *weight, int64_t rows, int64_t K,
               double *sums),
              (x, target, weight, rows, K, sums)) {
  double hits = 0, weights = 0;
  for (int64_t n = 0; n < rows; n++, x += K) {
    const float largest = row_max(x, K);
    const int64_t own = target[n];
    bool hit = own >= 0 && own < K && x[own] == largest;
    for (int64_t k = 0; hit && k < own; k++)
      hit = x[k] != largest;
    if (hit) hits += (double)weight[n];
    weights += (double)weight[n];
  }
  sums[0] = hits;
  sums[1] = weights;
}

CO_CPU_KERNEL(squared_error_rows,
              (const float *x, const float *target, const float *weight, double inv_norm,
               float *loss, float *dx, int64_t rows, int64_t size),
              (x, target, weight, inv_norm, loss, dx, rows, size)) {
  for (int64_t n = 0; n < rows; n++) {
    const float *a = x + n * size, *b = target + n * size;
    float *d = dx ? dx + n * size : NULL;
    if (weight[n] == 0) {
      loss[n] = 0;
      if (d) memset(d, 0, (size_t)size * sizeof *d);
      continue;
    }
    const float factor = (float)((double)weight[n] * inv_norm * 2 / (double)size);
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < size; i++) {
      const float error = a[i] - b[i];
      squares += error * error;
    }
    loss[n] = squares / (float)size;
    if (d == NULL) continue;
#pragma omp simd
    for (int64_t i = 0; i < size; i++)
      d[i] = factor * (a[i] - b[i]);
  }
}

// kernels/ref/binary_cross_entropy.c has the formulas.
CO_CPU_KERNEL(binary_cross_entropy_rows,
              (const float *x, const float *target, const float *weight, double inv_norm,
               float *loss, float *dx, int64_t rows, int64_t size),
              (x, target, weight, inv_norm, loss, dx, rows, size)) {
  for (int64_t n = 0; n < rows; n++) {
    const float *a = x + n * size, *t = target + n * size;
    float *d = dx ? dx + n * size : NULL;
    if (weight[n] == 0) {
      loss[n] = 0;
      if (d) memset(d, 0, (size_t)size * sizeof *d);
      continue;
    }
    const float factor = (float)((double)weight[n] * inv_norm / (double)size);
    float sum = 0;
    for (int64_t i = 0; i < size; i++) {
      const float e = exp_negative(-fabsf(a[i]));
      sum += (a[i] >= 0 ? a[i] * (1 - t[i]) : -a[i] * t[i]) + log1pf(e);
      if (d) d[i] = factor * ((a[i] >= 0 ? 1 - t[i] - t[i] * e : (1 - t[i]) * e - t[i]) / (1 + e));
    }
    loss[n] = sum / (float)size;
  }
}
// clang-format on

static int64_t row_size(const co_shape *shape) {
  int64_t size = 1;
  for (int d = 1; d < shape->rank; d++)
    size *= shape->dim[d];
  return size;
}

static co_status run_softmax(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  (void)workspace;
  const co_shape *shape = &prepared->desc.in[0].shape;
  const int64_t K = shape->dim[shape->rank - 1], count = co_shape_count(shape), rows = count / K;
  const float *x = in[0];
  float *y = out[0];
#pragma omp parallel if (count > 4096)
  {
    int64_t begin, end;
    co_cpu_share(rows, 1, &begin, &end);
    softmax_rows[cpu->isa](x + begin * K, y + begin * K, end - begin, K);
  }
  return CO_OK;
}

static void weighted_sum(const co_op_desc *desc, const float *loss, const float *weight, int64_t n,
                         double *sum) {
  double total = 0;
  for (int64_t i = 0; i < n; i++)
    if (weight[i] != 0) total += (double)weight[i] * (double)loss[i];
  *sum = (co_cpu_accumulates(desc, 1) ? *sum : 0) + total;
}

static void put_hits(double *sums, const double *found, bool accumulate) {
  sums[0] = (accumulate ? sums[0] : 0) + found[0];
  sums[1] = (accumulate ? sums[1] : 0) + found[1];
}

static co_status run_cross_entropy(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[0].shape.dim[0], K = desc->in[0].shape.dim[1];
  const float *x = in[0], *weight = in[2];
  const int32_t *target = in[1];
  const co_step *step = in[3];
  float *loss = out[0], *dx = co_cpu_has_out(desc, 2) ? out[2] : NULL;
  const double inv_norm = step->inv_norm[desc->attr.output];
#pragma omp parallel if (N * K > 4096)
  {
    int64_t b, e;
    co_cpu_share(N, 1, &b, &e);
    (K <= 16 ? cross_entropy_short_rows : cross_entropy_rows)[cpu->isa](
        x + b * K, target + b, weight + b, inv_norm, loss + b, dx ? dx + b * K : NULL, e - b, K);
  }
  weighted_sum(desc, loss, weight, N, out[1]);
  if (!co_cpu_has_out(desc, 3)) return CO_OK;
  double found[2];
  count_hits[cpu->isa](x, target, weight, N, K, found);
  put_hits(out[3], found, co_cpu_accumulates(desc, 3));
  return CO_OK;
}

// MEAN_SQUARED_ERROR and BINARY_CROSS_ENTROPY: an element's target is an element.
static co_status run_elementwise_loss(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                      void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[0].shape.dim[0], size = row_size(&desc->in[0].shape);
  const float *x = in[0], *target = in[1], *weight = in[2];
  const co_step *step = in[3];
  float *loss = out[0], *dx = co_cpu_has_out(desc, 2) ? out[2] : NULL;
  const double inv_norm = step->inv_norm[desc->attr.output];
#pragma omp parallel if (N * size > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(N, 1, &b, &e);
    (desc->op == CO_OP_MEAN_SQUARED_ERROR ? squared_error_rows
                                          : binary_cross_entropy_rows)[cpu->isa](
        x + b * size, target + b * size, weight + b, inv_norm, loss + b, dx ? dx + b * size : NULL,
        e - b, size);
  }
  weighted_sum(desc, loss, weight, N, out[1]);
  return CO_OK;
}

static co_status run_hits(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[0].shape.dim[0], K = desc->in[0].shape.dim[1];
  double found[2];
  count_hits[cpu->isa](in[0], in[1], in[2], N, K, found);
  put_hits(out[0], found, co_cpu_accumulates(desc, 0));
  return CO_OK;
}

static bool has_rows(const co_op_desc *desc, co_cpu_answer *answer) {
  if (co_shape_count(&desc->in[0].shape) > 0) return true;
  (void)co_cpu_refuse(answer, "empty operand");
  return false;
}

const co_cpu_impl co_cpu_loss[] = {
    {.op = CO_OP_SOFTMAX,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_softmax,
     .accepts = has_rows,
     .f32_in = 1,
     .f32_out = 1},
    {.op = CO_OP_SOFTMAX_CROSS_ENTROPY,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_cross_entropy,
     .accepts = has_rows,
     .f32_in = 5,
     .f32_out = 5,
     .accumulate = 10},
    {.op = CO_OP_MEAN_SQUARED_ERROR,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_elementwise_loss,
     .accepts = has_rows,
     .f32_in = 7,
     .f32_out = 5,
     .accumulate = 2},
    {.op = CO_OP_BINARY_CROSS_ENTROPY,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_elementwise_loss,
     .accepts = has_rows,
     .f32_in = 7,
     .f32_out = 5,
     .accumulate = 2},
    {.op = CO_OP_CATEGORICAL_HITS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_hits,
     .accepts = has_rows,
     .f32_in = 5,
     .accumulate = 1},
    {.name = NULL},
};
