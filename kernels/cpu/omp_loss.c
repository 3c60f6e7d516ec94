// SPDX-License-Identifier: Apache-2.0
// Softmax, losses and metrics: row by row. The sum over rows is taken afterwards, in order and in
// double, so that it does not depend on the thread count.
#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/softmax_row.h"

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

CO_CPU_KERNEL(softmax_gradient,
              (const float *y, const float *dy, float *dx, int64_t T, bool adds),
              (y, dy, dx, T, adds)) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t t = 0; t < T; t++)
    sum += y[t] * dy[t];
  if (adds) {
#pragma omp simd
    for (int64_t t = 0; t < T; t++)
      dx[t] += y[t] * (dy[t] - sum);
  } else {
#pragma omp simd
    for (int64_t t = 0; t < T; t++)
      dx[t] = y[t] * (dy[t] - sum);
  }
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
    // Targets are checked by the caller; a wild one gives NaN rather than a wild read.
    const float *own = target[n] >= 0 && target[n] < K ? &x[target[n]] : NULL;
    const float scale = finish_row(own, largest, rest, factor, &loss[n], &gradient);
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
    const bool known = own >= 0 && own < K;
    const float scale =
        finish_row(known ? &x[own] : NULL, largest, rest, factor, &loss[n], &gradient);
    if (d == NULL) continue;
#pragma omp simd
    for (int64_t k = 0; k < K; k++)
      d[k] *= scale;
    if (known) d[own] = gradient;
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

// Rows are smoothed after the fact: the loss and gradient of the target's class are there.
CO_CPU_KERNEL(smooth_rows, (const float *x, const int32_t *target, const float *weight,
                            double inv_norm, double smoothing, float *loss, float *dx, int64_t rows,
                            int64_t K),
              (x, target, weight, inv_norm, smoothing, loss, dx, rows, K)) {
  for (int64_t n = 0; n < rows; n++, x += K) {
    if (weight[n] == 0 || target[n] < 0 || target[n] >= K) continue;
    const float own = x[target[n]], even = (float)(smoothing / (double)K);
    const float factor = (float)((double)weight[n] * inv_norm);
    float below = 0;
#pragma omp simd reduction(+ : below)
    for (int64_t k = 0; k < K; k++)
      below += own - x[k];
    loss[n] += even * below;
    if (dx == NULL) continue;
    float *d = dx + n * K;
#pragma omp simd
    for (int64_t k = 0; k < K; k++)
      d[k] -= factor * even;
    d[target[n]] += factor * (float)smoothing;
  }
}

// kernels/ref/pointwise_loss.c has the formulas. `binary` and `squares` are the ones that are common;
// the others are a few branches an element.
typedef struct pointwise_rows {
  const float *x, *target, *weight;
  const co_op_attr *attr;
  double inv_norm;
  float *loss, *dx; // dx may be NULL
  int64_t rows, size, targets;
} pointwise_rows;

CO_CPU_INLINE float binary_of(const co_op_attr *attr, float x, float target, float *slope) {
  const float smoothing = (float)attr->label_smoothing, gamma = (float)attr->gamma;
  const float t = target * (1 - smoothing) + smoothing / 2;
  const float e = exp_negative(-fabsf(x)), near = log1pf(e), inverse = 1 / (1 + e);
  const float s = x >= 0 ? inverse : e * inverse, r = x >= 0 ? e * inverse : inverse;
  const float miss = (x >= 0 ? 0 : -x) + near, hit = (x >= 0 ? x : 0) + near;
  const float positive = (float)attr->positive_weight * t, negative = 1 - t;
  if (gamma == 0) {
    *slope = negative * s - positive * r;
    return positive * miss + negative * hit;
  }
  const float of_r = powf(r, gamma), of_s = powf(s, gamma);
  *slope = negative * of_s * (gamma * r * hit + s) - positive * of_r * (gamma * s * miss + r);
  return positive * of_r * miss + negative * of_s * hit;
}

CO_CPU_INLINE float pointwise_of(const co_op_attr *attr, int64_t i, float x, float t,
                                 float *slope) {
  const float error = x - t, size = fabsf(error), delta = (float)attr->delta;
  const float side = error > 0 ? 1 : error < 0 ? -1 : error, sign = 2 * t - 1;
  const float q = (float)attr->levels[i < CO_MAX_QUANTILES ? i : 0];
  switch (attr->pointwise) {
  case CO_POINTWISE_SQUARED:
    *slope = 2 * error;
    return error * error;
  case CO_POINTWISE_ABSOLUTE:
    *slope = side;
    return size;
  case CO_POINTWISE_HUBER:
    *slope = size > delta ? delta * side : error;
    return size > delta ? delta * (size - delta / 2) : error * error / 2;
  case CO_POINTWISE_QUANTILE:
    *slope = error > 0 ? 1 - q : error < 0 ? -q : error;
    return error > 0 ? (1 - q) * error : -q * error;
  case CO_POINTWISE_HINGE:
    *slope = sign * x >= 1 ? 0 : -sign;
    return sign * x >= 1 ? 0 : 1 - sign * x;
  case CO_POINTWISE_GIVEN:
    *slope = 1;
    return x;
  default:
    return binary_of(attr, x, t, slope);
  }
}

CO_CPU_KERNEL(pointwise_loss_rows, (const pointwise_rows *a), (a)) {
  const int64_t size = a->size;
  for (int64_t n = 0; n < a->rows; n++) {
    const float *x = a->x + n * size, *t = a->target + n * a->targets;
    float *d = a->dx ? a->dx + n * size : NULL;
    if (a->weight[n] == 0) {
      a->loss[n] = 0;
      if (d) memset(d, 0, (size_t)size * sizeof *d);
      continue;
    }
    const float factor = (float)((double)a->weight[n] * a->inv_norm / (double)size);
    const int64_t stride = a->targets == size;
    float sum = 0, slope;
    if (a->attr->pointwise == CO_POINTWISE_SQUARED) {
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < size; i++)
        sum += (x[i] - t[i * stride]) * (x[i] - t[i * stride]);
      for (int64_t i = 0; d && i < size; i++)
        d[i] = factor * 2 * (x[i] - t[i * stride]);
    } else {
      for (int64_t i = 0; i < size; i++) {
        sum += pointwise_of(a->attr, i, x[i], t[i * stride], &slope);
        if (d) d[i] = factor * slope;
      }
    }
    a->loss[n] = sum / (float)size;
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

static int64_t masked_length(const int32_t *lengths, const co_shape *x, int64_t row, int64_t rows) {
  const int64_t T = x->dim[x->rank - 1];
  return lengths ? co_clamp_length(lengths[row / (rows / x->dim[0])], T) : T;
}

static co_status run_masked_softmax(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                    void *const *out, void *workspace) {
  const co_shape *shape = &prepared->desc.in[CO_MASKED_SOFTMAX_x].shape;
  const int64_t T = shape->dim[shape->rank - 1], count = co_shape_count(shape), rows = count / T;
  const bool cut = co_cpu_has_in(&prepared->desc, CO_MASKED_SOFTMAX_lengths);
  const int32_t *lengths = cut ? in[CO_MASKED_SOFTMAX_lengths] : NULL;
  (void)workspace;
#pragma omp parallel for schedule(static) if (count > 4096)
  for (int64_t r = 0; r < rows; r++) {
    const int64_t length = masked_length(lengths, shape, r, rows);
    float *y = (float *)out[CO_MASKED_SOFTMAX_y] + r * T;
    if (length > 0)
      softmax_rows[cpu->isa]((const float *)in[CO_MASKED_SOFTMAX_x] + r * T, y, 1, length);
    memset(y + length, 0, (size_t)(T - length) * sizeof *y);
  }
  return CO_OK;
}

static co_status run_masked_softmax_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                             void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const co_shape *shape = &desc->in[CO_MASKED_SOFTMAX_BACKWARD_y].shape;
  const int64_t T = shape->dim[shape->rank - 1], count = co_shape_count(shape), rows = count / T;
  const bool cut = co_cpu_has_in(desc, CO_MASKED_SOFTMAX_BACKWARD_lengths);
  const int32_t *lengths = cut ? in[CO_MASKED_SOFTMAX_BACKWARD_lengths] : NULL;
  const float *y = in[CO_MASKED_SOFTMAX_BACKWARD_y], *dy = in[CO_MASKED_SOFTMAX_BACKWARD_dy];
  const bool adds = co_cpu_accumulates(desc, CO_MASKED_SOFTMAX_BACKWARD_dx);
  (void)workspace;
#pragma omp parallel for schedule(static) if (count > 4096)
  for (int64_t r = 0; r < rows; r++) {
    const int64_t length = masked_length(lengths, shape, r, rows);
    float *dx = (float *)out[CO_MASKED_SOFTMAX_BACKWARD_dx] + r * T;
    softmax_gradient[cpu->isa](y + r * T, dy + r * T, dx, length, adds);
    if (!adds) memset(dx + length, 0, (size_t)(T - length) * sizeof *dx);
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
    if (desc->attr.label_smoothing > 0)
      smooth_rows[cpu->isa](x + b * K, target + b, weight + b, inv_norm, desc->attr.label_smoothing,
                            loss + b, dx ? dx + b * K : NULL, e - b, K);
  }
  weighted_sum(desc, loss, weight, N, out[1]);
  if (!co_cpu_has_out(desc, 3)) return CO_OK;
  double found[2];
  count_hits[cpu->isa](x, target, weight, N, K, found);
  put_hits(out[3], found, co_cpu_accumulates(desc, 3));
  return CO_OK;
}

static co_status run_pointwise_loss(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                    void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[0].shape.dim[0], size = row_size(&desc->in[0].shape);
  const int64_t targets = row_size(&desc->in[1].shape);
  const float *x = in[0], *target = in[1], *weight = in[2];
  const co_step *step = in[3];
  float *loss = out[0], *dx = co_cpu_has_out(desc, 2) ? out[2] : NULL;
#pragma omp parallel if (N * size > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(N, 1, &b, &e);
    const pointwise_rows rows = {.x = x + b * size,
                                 .target = target + b * targets,
                                 .weight = weight + b,
                                 .attr = &desc->attr,
                                 .inv_norm = step->inv_norm[desc->attr.output],
                                 .loss = loss + b,
                                 .dx = dx ? dx + b * size : NULL,
                                 .rows = e - b,
                                 .size = size,
                                 .targets = targets};
    pointwise_loss_rows[cpu->isa](&rows);
  }
  weighted_sum(desc, loss, weight, N, out[1]);
  return CO_OK;
}

// kernels/ref/column_loss.c has the formulas. The loss of a part; its slopes times dy where d is given.
CO_CPU_INLINE float part_of(co_part kind, int64_t size, const float *x, const float *t, float dy,
                            float *d) {
  const float share = dy / (float)size;
  const bool known = t[0] >= 0 && t[0] < (float)size;
  const int64_t own = kind == CO_PART_CLASSES && known ? (int64_t)t[0] : -1;
  float sum = 0, rest = 0;
  if (kind == CO_PART_CLASSES) {
    const float largest = row_max(x, size);
    for (int64_t k = 0; k < size; k++)
      rest += k == own ? 0 : exp_negative(x[k] - largest);
    sum = rest + (known ? exp_negative(x[own] - largest) : NAN);
    for (int64_t k = 0; d && k < size; k++)
      d[k] = dy * (k == own ? -rest / sum : exp_negative(x[k] - largest) / sum);
    return known && x[own] == largest ? log1pf(rest) : logf(sum) + largest - (known ? x[own] : 0);
  }
  for (int64_t k = 0; k < size; k++) {
    const float error = x[k] - t[k];
    sum += kind == CO_PART_VALUES
               ? error * error
               : (x[k] > 0 ? x[k] : 0) - t[k] * x[k] + log1pf(exp_negative(-fabsf(x[k])));
    if (d) d[k] = share * (kind == CO_PART_VALUES ? 2 * error : sigmoid_of(x[k]) - t[k]);
  }
  return sum / (float)size;
}

// clang-format off
// y (rows, F), or, with dy (rows, F), dx (rows, W).
CO_CPU_KERNEL(column_loss_rows,
              (const float *x, const float *target, const int32_t *columns, const float *dy,
               float *y, float *dx, int64_t rows, int64_t W, int64_t V, int64_t F),
              (x, target, columns, dy, y, dx, rows, W, V, F)) {
  for (int64_t n = 0; n < rows; n++)
    for (int64_t f = 0; f < F; f++) {
      const int32_t *c = columns + 4 * f;
      const float value = part_of((co_part)c[3], c[2], x + n * W + c[0], target + n * V + c[1],
                                  dy ? dy[n * F + f] : 0, dx ? dx + n * W + c[0] : NULL);
      if (y) y[n * F + f] = value;
    }
}
// clang-format on

static co_status run_column_loss(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                 void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[0].shape.dim[0], W = desc->in[0].shape.dim[1];
  const int64_t V = desc->in[1].shape.dim[1], F = desc->in[2].shape.dim[0];
  const bool backward = desc->op == CO_OP_COLUMN_LOSS_BACKWARD;
  const float *x = in[0], *target = in[1], *dy = backward ? in[3] : NULL;
  float *y = backward ? NULL : out[0], *dx = backward ? out[0] : NULL;
  (void)workspace;
#pragma omp parallel if (N * W > CO_CPU_SERIAL)
  {
    int64_t b, e;
    co_cpu_share(N, 1, &b, &e);
    column_loss_rows[cpu->isa](x + b * W, target + b * V, in[2], dy ? dy + b * F : NULL,
                               y ? y + b * F : NULL, dx ? dx + b * W : NULL, e - b, W, V, F);
  }
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
    {.op = CO_OP_MASKED_SOFTMAX,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_masked_softmax,
     .accepts = has_rows,
     .f32_in = 1,
     .f32_out = 1},
    {.op = CO_OP_MASKED_SOFTMAX_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_masked_softmax_backward,
     .accepts = has_rows,
     .f32_in = 3,
     .f32_out = 1,
     .accumulate = 1},
    {.op = CO_OP_SOFTMAX_CROSS_ENTROPY,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_cross_entropy,
     .accepts = has_rows,
     .f32_in = 5,
     .f32_out = 5,
     .accumulate = 10},
    {.op = CO_OP_POINTWISE_LOSS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_pointwise_loss,
     .accepts = has_rows,
     .f32_in = 7,
     .f32_out = 5,
     .accumulate = 2},
    {.op = CO_OP_COLUMN_LOSS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_column_loss,
     .accepts = has_rows,
     .f32_in = 3,
     .f32_out = 1},
    {.op = CO_OP_COLUMN_LOSS_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_column_loss,
     .accepts = has_rows,
     .f32_in = 11,
     .f32_out = 1},
    {.op = CO_OP_CATEGORICAL_HITS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_hits,
     .accepts = has_rows,
     .f32_in = 5,
     .accumulate = 1},
    {.name = NULL},
};
