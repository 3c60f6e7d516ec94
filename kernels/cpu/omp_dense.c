// SPDX-License-Identifier: Apache-2.0
// Dense layers of one output, as the last one of a binary or numeric target: vectors, for which the
// products of oneDNN copy and transpose more than they compute. Sums go through rows and columns in one
// order, whatever the number of threads.
#include "kernels/cpu/cpu.h"

// clang-format off
// y (rows) = x (rows, I) w + b.
CO_CPU_KERNEL(dot_rows,
              (const float *x, const float *w, float b, float *y, int64_t rows, int64_t I,
               bool rectify),
              (x, w, b, y, rows, I, rectify)) {
  for (int64_t n = 0; n < rows; n++, x += I) {
    co_lanes16 lanes = {0};
    int64_t i = 0;
    for (; i + 16 <= I; i += 16)
      lanes += *(const co_lanes16_at *)(x + i) * *(const co_lanes16_at *)(w + i);
    float sum = b;
    for (; i < I; i++)
      sum += x[i] * w[i];
    for (int l = 0; l < 16; l++)
      sum += lanes[l];
    y[n] = rectify && sum < 0 ? 0 : sum;
  }
}

// dx (rows, I) (+)= dy w'.
CO_CPU_KERNEL(outer_rows,
              (const float *dy, const float *w, float *dx, int64_t rows, int64_t I, bool sum),
              (dy, w, dx, rows, I, sum)) {
  for (int64_t n = 0; n < rows; n++, dx += I) {
    const float slope = dy[n];
    if (sum) {
#pragma omp simd
      for (int64_t i = 0; i < I; i++)
        dx[i] += slope * w[i];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < I; i++)
        dx[i] = slope * w[i];
    }
  }
}

// dw (+)= x' dy, of `count` columns of x, whose rows are I apart.
CO_CPU_KERNEL(sum_columns,
              (const float *x, const float *dy, float *dw, int64_t rows, int64_t I, int64_t count,
               bool sum),
              (x, dy, dw, rows, I, count, sum)) {
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
    co_lanes16 a = {0}, b = {0}, c = {0}, d = {0};
    for (int64_t n = 0; n < rows; n++) {
      const float *row = x + n * I + i;
      a += dy[n] * *(const co_lanes16_at *)row;
      b += dy[n] * *(const co_lanes16_at *)(row + 16);
      c += dy[n] * *(const co_lanes16_at *)(row + 32);
      d += dy[n] * *(const co_lanes16_at *)(row + 48);
    }
    for (int l = 0; l < 16; l++) {
      dw[i + l] = (sum ? dw[i + l] : 0) + a[l];
      dw[i + 16 + l] = (sum ? dw[i + 16 + l] : 0) + b[l];
      dw[i + 32 + l] = (sum ? dw[i + 32 + l] : 0) + c[l];
      dw[i + 48 + l] = (sum ? dw[i + 48 + l] : 0) + d[l];
    }
  }
  for (; i < count; i++) {
    float value = 0;
    for (int64_t n = 0; n < rows; n++)
      value += dy[n] * x[n * I + i];
    dw[i] = (sum ? dw[i] : 0) + value;
  }
}
// clang-format on

static co_status run_forward(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[CO_DENSE_x].shape.dim[0], I = desc->in[CO_DENSE_x].shape.dim[1];
  const float *x = in[CO_DENSE_x];
  const float b = co_cpu_has_in(desc, CO_DENSE_b) ? *(const float *)in[CO_DENSE_b] : 0;
  float *y = out[CO_DENSE_y];
#pragma omp parallel if (N * I > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(N, 1, &begin, &end);
    dot_rows[cpu->isa](x + begin * I, in[CO_DENSE_w], b, y + begin, end - begin, I,
                       desc->attr.activation == CO_ACTIVATION_RELU);
  }
  return CO_OK;
}

static co_status run_data(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->out[CO_DENSE_BACKWARD_DATA_dx].shape.dim[0];
  const int64_t I = desc->out[CO_DENSE_BACKWARD_DATA_dx].shape.dim[1];
  const bool sum = co_cpu_accumulates(desc, CO_DENSE_BACKWARD_DATA_dx);
  const float *dy = in[CO_DENSE_BACKWARD_DATA_dy];
  float *dx = out[CO_DENSE_BACKWARD_DATA_dx];
#pragma omp parallel if (N * I > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(N, 1, &begin, &end);
    outer_rows[cpu->isa](dy + begin, in[CO_DENSE_BACKWARD_DATA_w], dx + begin * I, end - begin, I,
                         sum);
  }
  return CO_OK;
}

static co_status run_weights(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const co_shape *shape = &desc->in[CO_DENSE_BACKWARD_WEIGHTS_x].shape;
  const int64_t N = shape->dim[0], I = shape->dim[1];
  const bool sum = co_cpu_accumulates(desc, CO_DENSE_BACKWARD_WEIGHTS_dw);
  const float *x = in[CO_DENSE_BACKWARD_WEIGHTS_x], *dy = in[CO_DENSE_BACKWARD_WEIGHTS_dy];
  float *dw = out[CO_DENSE_BACKWARD_WEIGHTS_dw];
#pragma omp parallel if (N * I > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(I, 64, &begin, &end);
    sum_columns[cpu->isa](x + begin, dy, dw + begin, N, I, end - begin, sum);
  }
  if (!co_cpu_has_out(desc, CO_DENSE_BACKWARD_WEIGHTS_db)) return CO_OK;
  float *db = out[CO_DENSE_BACKWARD_WEIGHTS_db];
  double value = co_cpu_accumulates(desc, CO_DENSE_BACKWARD_WEIGHTS_db) ? (double)*db : 0;
  for (int64_t n = 0; n < N; n++)
    value += (double)dy[n];
  *db = (float)value;
  return CO_OK;
}

// Of one output, from plain rows. Where there are so many that a sum in float would lose digits, the
// products, which add up in pieces, are better.
static bool is_vector(const co_op_desc *desc, co_cpu_answer *answer) {
  const co_tensor_desc *x = desc->op == CO_OP_DENSE_BACKWARD_DATA ? &desc->out[0] : &desc->in[0];
  const co_tensor_desc *y = desc->op == CO_OP_DENSE                 ? &desc->out[0]
                            : desc->op == CO_OP_DENSE_BACKWARD_DATA ? &desc->in[0]
                                                                    : &desc->in[1];
  if (x->shape.rank == 2 && y->shape.dim[1] == 1 && x->shape.dim[0] <= 4096 &&
      !(desc->op == CO_OP_DENSE && co_cpu_has_out(desc, CO_DENSE_mask)))
    return true;
  (void)co_cpu_refuse(answer, "for one output of at most 4096 plain rows");
  return false;
}

const co_cpu_impl co_cpu_vector[] = {
    {.op = CO_OP_DENSE,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_forward,
     .accepts = is_vector,
     .f32_in = 7,
     .f32_out = 1},
    {.op = CO_OP_DENSE_BACKWARD_DATA,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_data,
     .accepts = is_vector,
     .f32_in = 3,
     .f32_out = 1,
     .accumulate = 1},
    {.op = CO_OP_DENSE_BACKWARD_WEIGHTS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_weights,
     .accepts = is_vector,
     .f32_in = 3,
     .f32_out = 3,
     .accumulate = 3},
    {.name = NULL},
};
