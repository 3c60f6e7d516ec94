// SPDX-License-Identifier: Apache-2.0
// Operations on whole rows. Sums over rows belong to chunks that are fixed by the shape, so results do
// not depend on the thread count.
#include <math.h>

#include "kernels/cpu/lanes.h"

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

typedef struct norm {
  const float *gamma, *beta; // beta NULL: of root mean squares
  double epsilon;
  float *mean, *inverse; // NULL: not wanted
  int64_t C;
} norm;

// Sum of x, and of squared distances to `center`: whole vectors, then what is left.
CO_CPU_INLINE float row_sum(const float *x, int64_t C) {
  co_lanes16 lanes = {0};
  int64_t c = 0;
  float rest = 0;
  for (; c + 16 <= C; c += 16)
    lanes += *(const co_lanes16_at *)(x + c);
  for (; c < C; c++)
    rest += x[c];
  return lanes_sum(&lanes) + rest;
}

CO_CPU_INLINE float row_squares(const float *x, float center, int64_t C) {
  co_lanes16 lanes = {0};
  int64_t c = 0;
  float rest = 0;
  for (; c + 16 <= C; c += 16) {
    const co_lanes16 d = *(const co_lanes16_at *)(x + c) - center;
    lanes += d * d;
  }
  for (; c < C; c++)
    rest += (x[c] - center) * (x[c] - center);
  return lanes_sum(&lanes) + rest;
}

// clang-format off
CO_CPU_KERNEL(normalise_rows, (const norm *n, const float *x, float *y, int64_t begin, int64_t end),
              (n, x, y, begin, end)) {
  const int64_t C = n->C;
  const float *gamma = n->gamma, *beta = n->beta;
  for (int64_t r = begin; r < end; r++) {
    const float *from = x + r * C, center = beta ? row_sum(from, C) / (float)C : 0;
    const double variance = (double)row_squares(from, center, C) / (double)C;
    const float scale = (float)(1 / sqrt(variance + n->epsilon));
    float *to = y + r * C;
    if (beta) {
#pragma omp simd
      for (int64_t c = 0; c < C; c++)
        to[c] = gamma[c] * ((from[c] - center) * scale) + beta[c];
    } else {
#pragma omp simd
      for (int64_t c = 0; c < C; c++)
        to[c] = gamma[c] * (from[c] * scale);
    }
    if (beta && n->mean) n->mean[r] = center;
    if (n->inverse) n->inverse[r] = scale;
  }
}

typedef struct norm_backward {
  const float *x, *gamma, *mean, *inverse, *dy; // mean NULL: of root mean squares
  float *dx;
  bool add;
  int64_t C;
} norm_backward;

// kernels/ref/layer_norm.c has the formula. Adds to dgamma and dbeta.
CO_CPU_KERNEL(normalise_rows_backward,
              (const norm_backward *n, int64_t begin, int64_t end, float *dgamma, float *dbeta),
              (n, begin, end, dgamma, dbeta)) {
  const int64_t C = n->C;
  const float *gamma = n->gamma;
  for (int64_t r = begin; r < end; r++) {
    const float *x = n->x + r * C, *dy = n->dy + r * C, inverse = n->inverse[r];
    const float mean = n->mean ? n->mean[r] : 0;
    float *dx = n->dx + r * C;
    co_lanes16 sums = {0}, products = {0};
    int64_t c = 0;
    float sum = 0, product = 0;
    for (; c + 16 <= C; c += 16) {
      const co_lanes16 g = *(const co_lanes16_at *)(gamma + c) * *(const co_lanes16_at *)(dy + c);
      sums += g;
      products += g * ((*(const co_lanes16_at *)(x + c) - mean) * inverse);
    }
    for (; c < C; c++) {
      sum += gamma[c] * dy[c];
      product += gamma[c] * dy[c] * ((x[c] - mean) * inverse);
    }
    const float shift = n->mean ? (lanes_sum(&sums) + sum) / (float)C : 0;
    const float slope = (lanes_sum(&products) + product) / (float)C;
    if (n->add) {
#pragma omp simd
      for (int64_t i = 0; i < C; i++) {
        const float normal = (x[i] - mean) * inverse;
        dx[i] += inverse * (gamma[i] * dy[i] - shift - normal * slope);
        dgamma[i] += dy[i] * normal;
        dbeta[i] += dy[i];
      }
    } else {
#pragma omp simd
      for (int64_t i = 0; i < C; i++) {
        const float normal = (x[i] - mean) * inverse;
        dx[i] = inverse * (gamma[i] * dy[i] - shift - normal * slope);
        dgamma[i] += dy[i] * normal;
        dbeta[i] += dy[i];
      }
    }
  }
}
// clang-format on

static co_status run_layer_norm(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                void *const *out, void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t C = last(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / C;
  const norm n = {
      .gamma = in[CO_LAYER_NORM_gamma],
      .beta = desc->attr.rms ? NULL : in[CO_LAYER_NORM_beta],
      .epsilon = desc->attr.epsilon,
      .mean = co_cpu_has_out(desc, CO_LAYER_NORM_mean) ? out[CO_LAYER_NORM_mean] : NULL,
      .inverse = co_cpu_has_out(desc, CO_LAYER_NORM_inverse) ? out[CO_LAYER_NORM_inverse] : NULL,
      .C = C};
#pragma omp parallel if (rows * C > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(rows, 1, &begin, &end);
    normalise_rows[cpu->isa](&n, in[CO_LAYER_NORM_x], out[CO_LAYER_NORM_y], begin, end);
  }
  return CO_OK;
}

static size_t layer_norm_backward_bytes(co_cpu *cpu, const co_op_desc *desc) {
  (void)cpu;
  const int64_t C = last(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / C;
  return (size_t)((rows + CHUNK - 1) / CHUNK * 2 * C) * sizeof(float);
}

static co_status run_layer_norm_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                         void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const int64_t C = last(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / C;
  const int64_t chunks = (rows + CHUNK - 1) / CHUNK;
  float *sums = workspace; // (chunks, 2, C)
  const norm_backward n = {.x = in[CO_LAYER_NORM_BACKWARD_x],
                           .gamma = in[CO_LAYER_NORM_BACKWARD_gamma],
                           .mean = desc->attr.rms ? NULL : in[CO_LAYER_NORM_BACKWARD_mean],
                           .inverse = in[CO_LAYER_NORM_BACKWARD_inverse],
                           .dy = in[CO_LAYER_NORM_BACKWARD_dy],
                           .dx = out[CO_LAYER_NORM_BACKWARD_dx],
                           .add = co_cpu_accumulates(desc, CO_LAYER_NORM_BACKWARD_dx),
                           .C = C};
#pragma omp parallel for schedule(static) if (rows * C > CO_CPU_SERIAL)
  for (int64_t k = 0; k < chunks; k++) {
    const int64_t begin = k * CHUNK, left = rows - begin;
    float *mine = sums + k * 2 * C;
    memset(mine, 0, (size_t)(2 * C) * sizeof *mine);
    normalise_rows_backward[cpu->isa](&n, begin, begin + (left < CHUNK ? left : CHUNK), mine,
                                      mine + C);
  }
  for (int i = CO_LAYER_NORM_BACKWARD_dgamma; i <= CO_LAYER_NORM_BACKWARD_dbeta; i++) {
    float *total = co_cpu_has_out(desc, i) ? out[i] : NULL;
    const float *first = sums + (i == CO_LAYER_NORM_BACKWARD_dbeta ? C : 0);
    for (int64_t c = 0; total && c < C; c++) {
      double sum = co_cpu_accumulates(desc, i) ? (double)total[c] : 0;
      for (int64_t k = 0; k < chunks; k++)
        sum += (double)first[k * 2 * C + c];
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
