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

static bool is_ungrouped(const co_op_desc *desc, co_cpu_answer *answer) {
  if (!desc->attr.groups) return not_empty(desc, answer);
  (void)co_cpu_refuse(answer, "groups");
  return false;
}

// ---- layer_norm --------------------------------------------------------------------------------

// clang-format off
// beta NULL: of root mean squares.
CO_CPU_KERNEL(normalise_row, (const float *x, const float *gamma, const float *beta, double epsilon,
                              float *y, float *mean, float *inverse, int64_t C),
              (x, gamma, beta, epsilon, y, mean, inverse, C)) {
  float sum = 0, squares = 0;
  if (!beta) {
#pragma omp simd reduction(+ : squares)
    for (int64_t c = 0; c < C; c++)
      squares += x[c] * x[c];
    const float factor = (float)(1 / sqrt((double)squares / (double)C + epsilon));
#pragma omp simd
    for (int64_t c = 0; c < C; c++)
      y[c] = gamma[c] * (x[c] * factor);
    if (inverse) *inverse = factor;
    return;
  }
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
              (const float *x, const float *gamma, float mean, float inverse, bool rms,
               const float *dy, float *dx, bool add, double *dgamma, double *dbeta, int64_t C),
              (x, gamma, mean, inverse, rms, dy, dx, add, dgamma, dbeta, C)) {
  double sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
  for (int64_t c = 0; c < C; c++) {
    const float g = gamma[c] * dy[c], normal = (x[c] - mean) * inverse;
    sum += (double)g;
    product += (double)(g * normal);
  }
  const float shift = rms ? 0 : (float)(sum / (double)C), slope = (float)(product / (double)C);
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
    normalise_row[cpu->isa](x + r * C, in[CO_LAYER_NORM_gamma],
                            desc->attr.rms ? NULL : in[CO_LAYER_NORM_beta], desc->attr.epsilon,
                            y + r * C, mean ? mean + r : NULL, inverse ? inverse + r : NULL, C);
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
  const bool rms = desc->attr.rms;
  const float *x = in[CO_LAYER_NORM_BACKWARD_x];
  const float *mean = rms ? NULL : in[CO_LAYER_NORM_BACKWARD_mean];
  const float *inverse = in[CO_LAYER_NORM_BACKWARD_inverse], *dy = in[CO_LAYER_NORM_BACKWARD_dy];
  float *dx = out[CO_LAYER_NORM_BACKWARD_dx];
  double *sums = workspace; // (chunks, 2, C)
  const bool add = co_cpu_accumulates(desc, CO_LAYER_NORM_BACKWARD_dx);
#pragma omp parallel for schedule(static) if (rows * C > CO_CPU_SERIAL)
  for (int64_t k = 0; k < chunks; k++) {
    double *mine = sums + k * 2 * C;
    memset(mine, 0, (size_t)(2 * C) * sizeof *mine);
    for (int64_t r = k * CHUNK; r < rows && r < (k + 1) * CHUNK; r++)
      normalise_row_backward[cpu->isa](x + r * C, in[CO_LAYER_NORM_BACKWARD_gamma],
                                       mean ? mean[r] : 0, inverse[r], rms, dy + r * C, dx + r * C,
                                       add, mine, mine + C, C);
  }
  for (int i = CO_LAYER_NORM_BACKWARD_dgamma; i <= CO_LAYER_NORM_BACKWARD_dbeta; i++) {
    float *total = co_cpu_has_out(desc, i) ? out[i] : NULL;
    const double *first = sums + (i == CO_LAYER_NORM_BACKWARD_dbeta ? C : 0);
    for (int64_t c = 0; total && c < C; c++) {
      double sum = co_cpu_accumulates(desc, i) ? total[c] : 0;
      for (int64_t k = 0; k < chunks; k++)
        sum += first[k * 2 * C + c];
      total[c] = (float)sum;
    }
  }
  return CO_OK;
}

// ---- members -----------------------------------------------------------------------------------
// Row n K + k is member k's of row n. Gradients of parameters are sums in chunks of rows n.

// clang-format off
CO_CPU_KERNEL(scale_row, (const float *x, const float *r, float *y, int64_t K, int64_t I),
              (x, r, y, K, I)) {
  for (int64_t k = 0; k < K; k++)
#pragma omp simd
    for (int64_t i = 0; i < I; i++)
      y[k * I + i] = x[i] * r[k * I + i];
}

// `dx` may be NULL. Adds to dr.
CO_CPU_KERNEL(scale_row_backward,
              (const float *x, const float *r, const float *dy, float *dx, bool add, float *dr,
               int64_t K, int64_t I),
              (x, r, dy, dx, add, dr, K, I)) {
  for (int64_t k = 0; k < K; k++)
#pragma omp simd
    for (int64_t i = 0; i < I; i++)
      dr[k * I + i] += dy[k * I + i] * x[i];
  for (int64_t k = 0; dx && k < K; k++) {
    if (k || add) {
#pragma omp simd
      for (int64_t i = 0; i < I; i++)
        dx[i] += dy[k * I + i] * r[k * I + i];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < I; i++)
        dx[i] = dy[i] * r[i];
    }
  }
}

// One member's row: y (O) = x (I) w (I, O) + b (O).
CO_CPU_KERNEL(member_row,
              (const float *x, const float *w, const float *b, float *y, int64_t I, int64_t O),
              (x, w, b, y, I, O)) {
  if (O == 1) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < I; i++)
      sum += x[i] * w[i];
    *y = sum + *b;
    return;
  }
  memcpy(y, b, (size_t)O * sizeof *y);
  for (int64_t i = 0; i < I; i++)
#pragma omp simd
    for (int64_t o = 0; o < O; o++)
      y[o] += x[i] * w[i * O + o];
}

// `dx` may be NULL. Adds to dw and db.
CO_CPU_KERNEL(member_row_backward,
              (const float *x, const float *w, const float *dy, float *dx, bool add, float *dw,
               float *db, int64_t I, int64_t O),
              (x, w, dy, dx, add, dw, db, I, O)) {
  for (int64_t o = 0; o < O; o++)
    db[o] += dy[o];
  if (O == 1) {
    const float d = *dy;
#pragma omp simd
    for (int64_t i = 0; i < I; i++)
      dw[i] += x[i] * d;
    if (dx && add) {
#pragma omp simd
      for (int64_t i = 0; i < I; i++)
        dx[i] += w[i] * d;
    } else if (dx) {
#pragma omp simd
      for (int64_t i = 0; i < I; i++)
        dx[i] = w[i] * d;
    }
    return;
  }
  for (int64_t i = 0; i < I; i++) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t o = 0; o < O; o++) {
      dw[i * O + o] += x[i] * dy[o];
      sum += w[i * O + o] * dy[o];
    }
    if (dx) dx[i] = add ? dx[i] + sum : sum;
  }
}
// clang-format on

static co_status run_member_scale(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                  void *const *out, void *workspace) {
  (void)workspace;
  const co_shape *shape = &prepared->desc.in[CO_MEMBER_SCALE_r].shape;
  const int64_t K = shape->dim[0], I = shape->dim[1];
  const int64_t N = prepared->desc.in[CO_MEMBER_SCALE_x].shape.dim[0];
  const float *x = in[CO_MEMBER_SCALE_x];
  float *y = out[CO_MEMBER_SCALE_y];
#pragma omp parallel for schedule(static) if (N * K * I > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++)
    scale_row[cpu->isa](x + n * I, in[CO_MEMBER_SCALE_r], y + n * K * I, K, I);
  return CO_OK;
}

// A float for each parameter of each chunk.
static size_t chunk_bytes(int64_t N, int64_t parameters) {
  return (size_t)((N + CHUNK - 1) / CHUNK * parameters) * sizeof(float);
}

// to[i] (+)= the sum over chunks of sums[chunk][i].
static void add_chunks(const float *sums, int64_t N, int64_t stride, int64_t count, bool add,
                       float *to) {
  for (int64_t i = 0; i < count; i++) {
    double total = add ? (double)to[i] : 0;
    for (int64_t c = 0; c < (N + CHUNK - 1) / CHUNK; c++)
      total += (double)sums[c * stride + i];
    to[i] = (float)total;
  }
}

static size_t member_scale_backward_bytes(co_cpu *cpu, const co_op_desc *desc) {
  (void)cpu;
  return chunk_bytes(desc->in[CO_MEMBER_SCALE_BACKWARD_x].shape.dim[0],
                     co_shape_count(&desc->in[CO_MEMBER_SCALE_BACKWARD_r].shape));
}

static co_status run_member_scale_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                           void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const co_shape *shape = &desc->in[CO_MEMBER_SCALE_BACKWARD_r].shape;
  const int64_t K = shape->dim[0], I = shape->dim[1];
  const int64_t N = desc->in[CO_MEMBER_SCALE_BACKWARD_x].shape.dim[0];
  const float *x = in[CO_MEMBER_SCALE_BACKWARD_x], *dy = in[CO_MEMBER_SCALE_BACKWARD_dy];
  float *dx =
      co_cpu_has_out(desc, CO_MEMBER_SCALE_BACKWARD_dx) ? out[CO_MEMBER_SCALE_BACKWARD_dx] : NULL;
  const bool add = co_cpu_accumulates(desc, CO_MEMBER_SCALE_BACKWARD_dx);
  float *sums = workspace;
#pragma omp parallel for schedule(static) if (N * K * I > CO_CPU_SERIAL)
  for (int64_t c = 0; c < (N + CHUNK - 1) / CHUNK; c++) {
    float *dr = sums + c * K * I;
    memset(dr, 0, (size_t)(K * I) * sizeof *dr);
    for (int64_t n = c * CHUNK; n < N && n < (c + 1) * CHUNK; n++)
      scale_row_backward[cpu->isa](x + n * I, in[CO_MEMBER_SCALE_BACKWARD_r], dy + n * K * I,
                                   dx ? dx + n * I : NULL, add, dr, K, I);
  }
  add_chunks(sums, N, K * I, K * I, co_cpu_accumulates(desc, CO_MEMBER_SCALE_BACKWARD_dr),
             out[CO_MEMBER_SCALE_BACKWARD_dr]);
  return CO_OK;
}

static co_status run_member_dense(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                  void *const *out, void *workspace) {
  (void)workspace;
  const int64_t *dim = prepared->desc.in[CO_MEMBER_DENSE_w].shape.dim;
  const int64_t K = dim[0], I = dim[1], O = dim[2];
  const int64_t rows = prepared->desc.in[CO_MEMBER_DENSE_x].shape.dim[0];
  const float *x = in[CO_MEMBER_DENSE_x], *w = in[CO_MEMBER_DENSE_w], *b = in[CO_MEMBER_DENSE_b];
  float *y = out[CO_MEMBER_DENSE_y];
#pragma omp parallel for schedule(static) if (rows * I * O > CO_CPU_SERIAL)
  for (int64_t r = 0; r < rows; r++)
    member_row[cpu->isa](x + r * I, w + r % K * I * O, b + r % K * O, y + r * O, I, O);
  return CO_OK;
}

static size_t member_dense_backward_bytes(co_cpu *cpu, const co_op_desc *desc) {
  const int64_t *dim = desc->in[CO_MEMBER_DENSE_BACKWARD_w].shape.dim;
  (void)cpu;
  return chunk_bytes(desc->in[CO_MEMBER_DENSE_BACKWARD_x].shape.dim[0] / dim[0],
                     dim[0] * (dim[1] + 1) * dim[2]);
}

static co_status run_member_dense_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                           void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t *dim = desc->in[CO_MEMBER_DENSE_BACKWARD_w].shape.dim;
  const int64_t K = dim[0], I = dim[1], O = dim[2];
  const int64_t N = desc->in[CO_MEMBER_DENSE_BACKWARD_x].shape.dim[0] / K;
  const float *x = in[CO_MEMBER_DENSE_BACKWARD_x], *w = in[CO_MEMBER_DENSE_BACKWARD_w];
  const float *dy = in[CO_MEMBER_DENSE_BACKWARD_dy];
  float *dx =
      co_cpu_has_out(desc, CO_MEMBER_DENSE_BACKWARD_dx) ? out[CO_MEMBER_DENSE_BACKWARD_dx] : NULL;
  const bool add = co_cpu_accumulates(desc, CO_MEMBER_DENSE_BACKWARD_dx);
  const int64_t weights = K * I * O, parameters = weights + K * O;
  float *sums = workspace; // of each chunk: dw, then db
#pragma omp parallel for schedule(static) if (N * K * I * O > CO_CPU_SERIAL)
  for (int64_t c = 0; c < (N + CHUNK - 1) / CHUNK; c++) {
    float *dw = sums + c * parameters, *db = dw + weights;
    memset(dw, 0, (size_t)parameters * sizeof *dw);
    for (int64_t r = c * CHUNK * K; r < N * K && r < (c + 1) * CHUNK * K; r++)
      member_row_backward[cpu->isa](x + r * I, w + r % K * I * O, dy + r * O,
                                    dx ? dx + r * I : NULL, add, dw + r % K * I * O, db + r % K * O,
                                    I, O);
  }
  add_chunks(sums, N, parameters, weights, co_cpu_accumulates(desc, CO_MEMBER_DENSE_BACKWARD_dw),
             out[CO_MEMBER_DENSE_BACKWARD_dw]);
  add_chunks(sums + weights, N, parameters, K * O,
             co_cpu_accumulates(desc, CO_MEMBER_DENSE_BACKWARD_db),
             out[CO_MEMBER_DENSE_BACKWARD_db]);
  return CO_OK;
}

// ---- factorization -----------------------------------------------------------------------------

// clang-format off
// One row: its sums (D), and y by them.
CO_CPU_KERNEL(factorize_row,
              (const float *x, const float *v, float *sums, float *squares, float *y, int64_t I,
               int64_t D),
              (x, v, sums, squares, y, I, D)) {
  memset(sums, 0, (size_t)D * sizeof *sums);
  memset(squares, 0, (size_t)D * sizeof *squares);
  for (int64_t i = 0; i < I; i++)
#pragma omp simd
    for (int64_t d = 0; d < D; d++) {
      const float term = v[i * D + d] * x[i];
      sums[d] += term;
      squares[d] += term * term;
    }
  float pairs = 0;
#pragma omp simd reduction(+ : pairs)
  for (int64_t d = 0; d < D; d++)
    pairs += sums[d] * sums[d] - squares[d];
  *y = pairs / 2;
}

// `dx` may be NULL. Adds to dv.
CO_CPU_KERNEL(factorize_row_backward,
              (const float *x, const float *v, const float *sums, float dy, float *dx, bool add,
               float *dv, int64_t I, int64_t D),
              (x, v, sums, dy, dx, add, dv, I, D)) {
  for (int64_t i = 0; i < I; i++) {
    const float scale = dy * x[i];
    float slope = 0;
#pragma omp simd reduction(+ : slope)
    for (int64_t d = 0; d < D; d++) {
      const float rest = sums[d] - v[i * D + d] * x[i];
      slope += v[i * D + d] * rest;
      dv[i * D + d] += scale * rest;
    }
    if (dx) dx[i] = add ? dx[i] + dy * slope : dy * slope;
  }
}
// clang-format on

static size_t factorization_bytes(co_cpu *cpu, const co_op_desc *desc) {
  return (size_t)(2 * cpu->threads * desc->in[CO_FACTORIZATION_v].shape.dim[1]) * sizeof(float);
}

static co_status run_factorization(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[CO_FACTORIZATION_x].shape.dim[0];
  const int64_t I = desc->in[CO_FACTORIZATION_v].shape.dim[0];
  const int64_t D = desc->in[CO_FACTORIZATION_v].shape.dim[1];
  const float *x = in[CO_FACTORIZATION_x];
  float *y = out[CO_FACTORIZATION_y];
  float *kept = co_cpu_has_out(desc, CO_FACTORIZATION_sums) ? out[CO_FACTORIZATION_sums] : NULL;
#pragma omp parallel if (N * I * D > CO_CPU_SERIAL)
  {
    float *own = (float *)workspace + 2 * co_cpu_part() * D;
    int64_t b, e;
    co_cpu_share(N, 1, &b, &e);
    for (int64_t n = b; n < e; n++)
      factorize_row[cpu->isa](x + n * I, in[CO_FACTORIZATION_v], kept ? kept + n * D : own, own + D,
                              y + n, I, D);
  }
  return CO_OK;
}

static size_t factorization_backward_bytes(co_cpu *cpu, const co_op_desc *desc) {
  (void)cpu;
  return chunk_bytes(desc->in[CO_FACTORIZATION_BACKWARD_x].shape.dim[0],
                     co_shape_count(&desc->in[CO_FACTORIZATION_BACKWARD_v].shape));
}

static co_status run_factorization_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                            void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t N = desc->in[CO_FACTORIZATION_BACKWARD_x].shape.dim[0];
  const int64_t I = desc->in[CO_FACTORIZATION_BACKWARD_v].shape.dim[0];
  const int64_t D = desc->in[CO_FACTORIZATION_BACKWARD_v].shape.dim[1];
  const float *x = in[CO_FACTORIZATION_BACKWARD_x], *sums = in[CO_FACTORIZATION_BACKWARD_sums];
  const float *dy = in[CO_FACTORIZATION_BACKWARD_dy];
  const bool add = co_cpu_accumulates(desc, CO_FACTORIZATION_BACKWARD_dx);
  float *dx =
      co_cpu_has_out(desc, CO_FACTORIZATION_BACKWARD_dx) ? out[CO_FACTORIZATION_BACKWARD_dx] : NULL;
#pragma omp parallel for schedule(static) if (N * I * D > CO_CPU_SERIAL)
  for (int64_t c = 0; c < (N + CHUNK - 1) / CHUNK; c++) {
    float *dv = (float *)workspace + c * I * D;
    memset(dv, 0, (size_t)(I * D) * sizeof *dv);
    for (int64_t n = c * CHUNK; n < N && n < (c + 1) * CHUNK; n++)
      factorize_row_backward[cpu->isa](x + n * I, in[CO_FACTORIZATION_BACKWARD_v], sums + n * D,
                                       dy[n], dx ? dx + n * I : NULL, add, dv, I, D);
  }
  add_chunks(workspace, N, I * D, I * D, co_cpu_accumulates(desc, CO_FACTORIZATION_BACKWARD_dv),
             out[CO_FACTORIZATION_BACKWARD_dv]);
  return CO_OK;
}

const co_cpu_impl co_cpu_rowwise[] = {
    {.op = CO_OP_FACTORIZATION,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_factorization,
     .workspace = factorization_bytes,
     .accepts = not_empty,
     .f32_in = 3,
     .f32_out = 3},
    {.op = CO_OP_FACTORIZATION_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_factorization_backward,
     .workspace = factorization_backward_bytes,
     .accepts = not_empty,
     .f32_in = 15,
     .f32_out = 3,
     .accumulate = 3},
    {.op = CO_OP_MEMBER_SCALE,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_member_scale,
     .accepts = not_empty,
     .f32_in = 3,
     .f32_out = 1},
    {.op = CO_OP_MEMBER_SCALE_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_member_scale_backward,
     .workspace = member_scale_backward_bytes,
     .accepts = not_empty,
     .f32_in = 7,
     .f32_out = 3,
     .accumulate = 3},
    {.op = CO_OP_MEMBER_DENSE,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_member_dense,
     .accepts = not_empty,
     .f32_in = 7,
     .f32_out = 1},
    {.op = CO_OP_MEMBER_DENSE_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_member_dense_backward,
     .workspace = member_dense_backward_bytes,
     .accepts = not_empty,
     .f32_in = 7,
     .f32_out = 7,
     .accumulate = 7},
    {.op = CO_OP_LAYER_NORM,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_layer_norm,
     .accepts = is_ungrouped,
     .f32_in = 7,
     .f32_out = 7},
    {.op = CO_OP_LAYER_NORM_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_layer_norm_backward,
     .workspace = layer_norm_backward_bytes,
     .accepts = is_ungrouped,
     .f32_in = 31,
     .f32_out = 7,
     .accumulate = 7},
    {.name = NULL},
};
