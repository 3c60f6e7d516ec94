// SPDX-License-Identifier: Apache-2.0
// Whole rows (…, C) at a time: normalisation of groups of channels, channels times numbers, images mixed.
#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/mix.h"
#include "kernels/norm.h"

// The rows of x (N, …, C).
typedef struct rows {
  int64_t N, places, C;
} rows;

static rows rows_of(const co_shape *x) {
  const int64_t C = x->dim[x->rank - 1];
  return (rows){x->dim[0], co_shape_count(x) / (x->dim[0] * C), C};
}

static bool has_rows(const co_op_desc *desc, co_cpu_answer *answer) {
  if (co_shape_count(&desc->in[0].shape) > 0) return true;
  (void)co_cpu_refuse(answer, "empty operand");
  return false;
}

static bool has_groups(const co_op_desc *desc, co_cpu_answer *answer) {
  if (desc->attr.groups) return has_rows(desc, answer);
  (void)co_cpu_refuse(answer, "not of groups");
  return false;
}

// ---- layer_norm with groups --------------------------------------------------------------------

// clang-format off
// sums[c] = the sum of x, or with `centre` of (x - centre)², over all places.
CO_CPU_KERNEL(sum_places, (const float *x, const float *centre, double *sums, int64_t P, int64_t C),
              (x, centre, sums, P, C)) {
  memset(sums, 0, (size_t)C * sizeof *sums);
  for (int64_t p = 0; p < P; p++, x += C) {
    if (centre) {
#pragma omp simd
      for (int64_t c = 0; c < C; c++)
        sums[c] += (double)((x[c] - centre[c]) * (x[c] - centre[c]));
    } else {
#pragma omp simd
      for (int64_t c = 0; c < C; c++)
        sums[c] += (double)x[c];
    }
  }
}

CO_CPU_KERNEL(normalise_places,
              (const float *x, const float *centre, const float *inverse, const float *gamma,
               const float *beta, float *y, int64_t P, int64_t C),
              (x, centre, inverse, gamma, beta, y, P, C)) {
  for (int64_t p = 0; p < P; p++, x += C, y += C)
#pragma omp simd
    for (int64_t c = 0; c < C; c++)
      y[c] = gamma[c] * ((x[c] - centre[c]) * inverse[c]) + beta[c];
}

// Of each channel the sums over all places of dy normal and of dy.
CO_CPU_KERNEL(sum_gradients,
              (const float *x, const float *centre, const float *inverse, const float *dy,
               double *products, double *sums, int64_t P, int64_t C),
              (x, centre, inverse, dy, products, sums, P, C)) {
  memset(products, 0, (size_t)C * sizeof *products);
  memset(sums, 0, (size_t)C * sizeof *sums);
  for (int64_t p = 0; p < P; p++, x += C, dy += C)
#pragma omp simd
    for (int64_t c = 0; c < C; c++) {
      products[c] += (double)(dy[c] * ((x[c] - centre[c]) * inverse[c]));
      sums[c] += (double)dy[c];
    }
}

// kernels/ref/layer_norm.c has the formula; shift and slope are the means of its g and g n.
CO_CPU_KERNEL(gradient_places,
              (const float *x, const float *centre, const float *inverse, const float *gamma,
               const float *shift, const float *slope, const float *dy, float *dx, bool add,
               int64_t P, int64_t C),
              (x, centre, inverse, gamma, shift, slope, dy, dx, add, P, C)) {
  for (int64_t p = 0; p < P; p++, x += C, dy += C, dx += C)
#pragma omp simd
    for (int64_t c = 0; c < C; c++) {
      const float normal = (x[c] - centre[c]) * inverse[c];
      const float value = inverse[c] * (gamma[c] * dy[c] - shift[c] - normal * slope[c]);
      dx[c] = add ? dx[c] + value : value;
    }
}
// clang-format on

// Of each group the sum of its channels' `sums`, times `factors` where there are any.
static double sum_group(const co_norm_parts *parts, int64_t group, const double *sums,
                        const float *factors) {
  double total = 0;
  for (int64_t c = group * parts->width; c < (group + 1) * parts->width; c++)
    total += factors ? (double)factors[c] * sums[c] : sums[c];
  return total / (double)parts->size;
}

static void spread(const co_norm_parts *parts, int64_t group, float value, float *channels) {
  for (int64_t c = group * parts->width; c < (group + 1) * parts->width; c++)
    channels[c] = value;
}

// Of each row two doubles and four floats a channel.
static size_t group_norm_bytes(co_cpu *cpu, const co_op_desc *desc) {
  (void)cpu;
  const rows r = rows_of(&desc->in[0].shape);
  return (size_t)(r.N * r.C) * (2 * sizeof(double) + 4 * sizeof(float));
}

static co_status run_group_norm(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const rows r = rows_of(&desc->in[0].shape);
  const co_norm_parts parts = co_norm_parts_of(desc);
  const float *gamma = in[CO_LAYER_NORM_gamma], *beta = in[CO_LAYER_NORM_beta];
  float *mean = co_cpu_has_out(desc, CO_LAYER_NORM_mean) ? out[CO_LAYER_NORM_mean] : NULL;
  float *inverse = co_cpu_has_out(desc, CO_LAYER_NORM_inverse) ? out[CO_LAYER_NORM_inverse] : NULL;
#pragma omp parallel for schedule(static) if (r.N * r.places * r.C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < r.N; n++) {
    const float *x = (const float *)in[CO_LAYER_NORM_x] + n * r.places * r.C;
    float *y = (float *)out[CO_LAYER_NORM_y] + n * r.places * r.C;
    double *sums = (double *)workspace + n * 2 * r.C;
    float *centre = (float *)((double *)workspace + r.N * 2 * r.C) + n * 4 * r.C;
    float *scale = centre + r.C;
    sum_places[cpu->isa](x, NULL, sums, r.places, r.C);
    for (int64_t g = 0; g < parts.groups; g++)
      spread(&parts, g, (float)sum_group(&parts, g, sums, NULL), centre);
    sum_places[cpu->isa](x, centre, sums, r.places, r.C);
    for (int64_t g = 0; g < parts.groups; g++) {
      const double variance = sum_group(&parts, g, sums, NULL);
      spread(&parts, g, (float)(1 / sqrt(variance + desc->attr.epsilon)), scale);
      if (mean) mean[n * parts.groups + g] = centre[g * parts.width];
      if (inverse) inverse[n * parts.groups + g] = scale[g * parts.width];
    }
    normalise_places[cpu->isa](x, centre, scale, gamma, beta, y, r.places, r.C);
  }
  return CO_OK;
}

static co_status run_group_norm_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                         void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const rows r = rows_of(&desc->in[0].shape);
  const co_norm_parts parts = co_norm_parts_of(desc);
  const float *gamma = in[CO_LAYER_NORM_BACKWARD_gamma], *mean = in[CO_LAYER_NORM_BACKWARD_mean];
  const float *inverse = in[CO_LAYER_NORM_BACKWARD_inverse];
  const bool add = co_cpu_accumulates(desc, CO_LAYER_NORM_BACKWARD_dx);
#pragma omp parallel for schedule(static) if (r.N * r.places * r.C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < r.N; n++) {
    const int64_t first = n * r.places * r.C;
    const float *x = (const float *)in[CO_LAYER_NORM_BACKWARD_x] + first;
    const float *dy = (const float *)in[CO_LAYER_NORM_BACKWARD_dy] + first;
    float *dx = (float *)out[CO_LAYER_NORM_BACKWARD_dx] + first;
    double *products = (double *)workspace + n * 2 * r.C, *sums = products + r.C;
    float *centre = (float *)((double *)workspace + r.N * 2 * r.C) + n * 4 * r.C;
    float *scale = centre + r.C, *shift = scale + r.C, *slope = shift + r.C;
    for (int64_t g = 0; g < parts.groups; g++) {
      spread(&parts, g, mean[n * parts.groups + g], centre);
      spread(&parts, g, inverse[n * parts.groups + g], scale);
    }
    sum_gradients[cpu->isa](x, centre, scale, dy, products, sums, r.places, r.C);
    for (int64_t g = 0; g < parts.groups; g++) {
      spread(&parts, g, (float)sum_group(&parts, g, sums, gamma), shift);
      spread(&parts, g, (float)sum_group(&parts, g, products, gamma), slope);
    }
    gradient_places[cpu->isa](x, centre, scale, gamma, shift, slope, dy, dx, add, r.places, r.C);
  }
  for (int i = CO_LAYER_NORM_BACKWARD_dgamma; i <= CO_LAYER_NORM_BACKWARD_dbeta; i++) {
    float *total = co_cpu_has_out(desc, i) ? out[i] : NULL;
    const double *first = (double *)workspace + (i == CO_LAYER_NORM_BACKWARD_dbeta ? r.C : 0);
    for (int64_t c = 0; total && c < r.C; c++) {
      double sum = co_cpu_accumulates(desc, i) ? (double)total[c] : 0;
      for (int64_t n = 0; n < r.N; n++)
        sum += first[n * 2 * r.C + c];
      total[c] = (float)sum;
    }
  }
  return CO_OK;
}

// ---- scale_channels ----------------------------------------------------------------------------

// clang-format off
CO_CPU_KERNEL(scale_places,
              (const float *x, const float *s, float *y, bool add, int64_t P, int64_t C),
              (x, s, y, add, P, C)) {
  for (int64_t p = 0; p < P; p++, x += C, y += C)
#pragma omp simd
    for (int64_t c = 0; c < C; c++)
      y[c] = add ? y[c] + x[c] * s[c] : x[c] * s[c];
}

CO_CPU_KERNEL(scale_places_backward,
              (const float *x, const float *dy, float *ds, bool add, int64_t P, int64_t C),
              (x, dy, ds, add, P, C)) {
  enum { PART = 64 }; // channels at a time, whose sums stay in the first-level cache
  for (int64_t first = 0; first < C; first += PART) {
    const int64_t count = C - first < PART ? C - first : PART;
    double sums[PART] = {0};
    for (int64_t at = first; at < P * C; at += C)
#pragma omp simd
      for (int64_t c = 0; c < count; c++)
        sums[c] += (double)(x[at + c] * dy[at + c]);
    for (int64_t c = 0; c < count; c++)
      ds[first + c] = (float)(add ? (double)ds[first + c] + sums[c] : sums[c]);
  }
}
// clang-format on

static co_status run_scale(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                           void *workspace) {
  (void)workspace;
  const rows r = rows_of(&prepared->desc.in[0].shape);
  const bool add = co_cpu_accumulates(&prepared->desc, CO_SCALE_CHANNELS_y);
#pragma omp parallel for schedule(static) if (r.N * r.places * r.C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < r.N; n++)
    scale_places[cpu->isa]((const float *)in[CO_SCALE_CHANNELS_x] + n * r.places * r.C,
                           (const float *)in[CO_SCALE_CHANNELS_s] + n * r.C,
                           (float *)out[CO_SCALE_CHANNELS_y] + n * r.places * r.C, add, r.places,
                           r.C);
  return CO_OK;
}

static co_status run_scale_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                    void *const *out, void *workspace) {
  (void)workspace;
  const rows r = rows_of(&prepared->desc.in[0].shape);
  const bool add = co_cpu_accumulates(&prepared->desc, CO_SCALE_CHANNELS_BACKWARD_ds);
#pragma omp parallel for schedule(static) if (r.N * r.places * r.C > CO_CPU_SERIAL)
  for (int64_t n = 0; n < r.N; n++) {
    const int64_t first = n * r.places * r.C;
    scale_places_backward[cpu->isa]((const float *)in[CO_SCALE_CHANNELS_BACKWARD_x] + first,
                                    (const float *)in[CO_SCALE_CHANNELS_BACKWARD_dy] + first,
                                    (float *)out[CO_SCALE_CHANNELS_BACKWARD_ds] + n * r.C, add,
                                    r.places, r.C);
  }
  return CO_OK;
}

// ---- mix_rows ----------------------------------------------------------------------------------

static co_status run_mix(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                         void *workspace) {
  (void)cpu;
  (void)workspace;
  const int64_t *dim = prepared->desc.in[CO_MIX_ROWS_x].shape.dim;
  const int64_t N = dim[0], H = dim[1], W = dim[2], C = dim[3], size = H * W * C;
#pragma omp parallel for schedule(static) if (N * size > CO_CPU_SERIAL)
  for (int64_t n = 0; n < N; n++) {
    const co_mixed m = co_mix_draw(in[CO_MIX_ROWS_step], &prepared->desc.attr, n, N, H, W);
    const float *own = (const float *)in[CO_MIX_ROWS_x] + n * size;
    const float *other = (const float *)in[CO_MIX_ROWS_x] + m.other * size;
    float *y = (float *)out[CO_MIX_ROWS_y] + n * size;
    const float share = (float)m.share, rest = (float)(1 - m.share);
    if (!m.cut) {
#pragma omp simd
      for (int64_t i = 0; i < size; i++)
        y[i] = share * own[i] + rest * other[i];
      continue;
    }
    memcpy(y, m.own_inside ? other : own, (size_t)size * sizeof *y);
    for (int64_t h = m.top; h < m.bottom; h++) {
      const int64_t at = (h * W + m.left) * C;
      memcpy(y + at, (m.own_inside ? own : other) + at,
             (size_t)((m.right - m.left) * C) * sizeof *y);
    }
  }
  return CO_OK;
}

const co_cpu_impl co_cpu_images[] = {
    {.op = CO_OP_MIX_ROWS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_mix,
     .accepts = has_rows,
     .f32_in = 1,
     .f32_out = 1},
    {.op = CO_OP_LAYER_NORM,
     .name = "omp-groups",
     .plan = co_cpu_plan_simple,
     .run = run_group_norm,
     .workspace = group_norm_bytes,
     .accepts = has_groups,
     .f32_in = 7,
     .f32_out = 7},
    {.op = CO_OP_LAYER_NORM_BACKWARD,
     .name = "omp-groups",
     .plan = co_cpu_plan_simple,
     .run = run_group_norm_backward,
     .workspace = group_norm_bytes,
     .accepts = has_groups,
     .f32_in = 31,
     .f32_out = 7,
     .accumulate = 7},
    {.op = CO_OP_SCALE_CHANNELS,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_scale,
     .accepts = has_rows,
     .f32_in = 3,
     .f32_out = 1,
     .accumulate = 1},
    {.op = CO_OP_SCALE_CHANNELS_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_scale_backward,
     .accepts = has_rows,
     .f32_in = 3,
     .f32_out = 1,
     .accumulate = 1},
    {.name = NULL},
};
