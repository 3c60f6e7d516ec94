// SPDX-License-Identifier: Apache-2.0
// Attention over events. Rows and heads are independent; within one, the events go in
// order, so that sums depend on shapes alone. Scores of one event at a time are held.
#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exp.h"

typedef struct sizes {
  int64_t N, T, E, H, D, B; // B = 0: no bias
  bool causal;
  float scale;
} sizes;

static sizes sizes_of(const co_op_desc *desc) {
  const int64_t *q = desc->in[CO_ATTENTION_q].shape.dim, H = desc->attr.heads;
  bool biased = desc->has_in >> CO_ATTENTION_bias & 1;
  return (sizes){q[0],
                 q[1],
                 q[2],
                 H,
                 q[2] / H,
                 biased ? desc->in[CO_ATTENTION_bias].shape.dim[1] : 0,
                 desc->attr.causal != 0,
                 1 / sqrtf((float)(q[2] / H))};
}

// One event of a head: q, y and dy are its, k and v of the row's first event; `keys` holds k' (D, T)
// of the row, so that scores are sums of long vectors.
typedef struct query {
  const float *q, *keys, *v, *bias; // bias: of this head
  float *scores;
  int64_t t, seen;
} query;

// clang-format off
CO_CPU_KERNEL(score_all, (const query *a, const sizes *s), (a, s)) {
  for (int64_t j = 0; j < a->seen; j++)
    a->scores[j] = 0;
  for (int64_t d = 0; d < s->D; d++) {
    const float factor = a->q[d] * s->scale, *keys = a->keys + d * s->T;
#pragma omp simd
    for (int64_t j = 0; j < a->seen; j++)
      a->scores[j] += factor * keys[j];
  }
  for (int64_t j = 0; s->B && j < a->seen; j++) {
    const int64_t apart = a->t < j ? j - a->t : a->t - j;
    a->scores[j] += a->bias[apart < s->B ? apart : s->B - 1];
  }
}

// p_j = exp(score_j - shift), for shifts that no score exceeds by more than rounding.
CO_CPU_KERNEL(exponentials, (const query *a, float shift, float *sum), (a, shift, sum)) {
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t j = 0; j < a->seen; j++) {
    a->scores[j] = exp_negative(a->scores[j] - shift);
    total += a->scores[j];
  }
  *sum = total;
}

CO_CPU_KERNEL(mix_values, (const query *a, const sizes *s, float factor, float *y),
              (a, s, factor, y)) {
  for (int64_t d = 0; d < s->D; d++)
    y[d] = 0;
  for (int64_t j = 0; j < a->seen; j++) {
    const float p = a->scores[j] * factor, *v = a->v + j * s->E;
#pragma omp simd
    for (int64_t d = 0; d < s->D; d++)
      y[d] += p * v[d];
  }
}

// ds_j = p_j (dy v_j - dy y), in place of the scores, and dv.
CO_CPU_KERNEL(values_backward, (const query *a, const sizes *s, const float *dy, float whole,
                                float *dv), (a, s, dy, whole, dv)) {
  for (int64_t j = 0; j < a->seen; j++) {
    const float *v = a->v + j * s->E, p = a->scores[j];
    float *of_value = dv + j * s->E, sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t d = 0; d < s->D; d++) {
      sum += dy[d] * v[d];
      of_value[d] += p * dy[d];
    }
    a->scores[j] = p * (sum - whole);
  }
}

CO_CPU_KERNEL(keys_backward, (const query *a, const sizes *s, const float *k, float *dq, float *dk),
              (a, s, k, dq, dk)) {
  for (int64_t j = 0; j < a->seen; j++) {
    const float ds = a->scores[j] * s->scale, *key = k + j * s->E;
    float *of_key = dk + j * s->E;
#pragma omp simd
    for (int64_t d = 0; d < s->D; d++) {
      dq[d] += ds * key[d];
      of_key[d] += ds * a->q[d];
    }
  }
}
// clang-format on

static float largest(const float *scores, int64_t count) {
  float most = -INFINITY;
  for (int64_t j = 0; j < count; j++)
    if (scores[j] > most || isnan(scores[j])) most = scores[j];
  return most;
}

// Of a row and a head: k' (D, T), then scores (T).
static int64_t forward_scratch(const sizes *s) {
  return (s->D + 1) * s->T;
}

// The same, then sums for dbias (B).
static int64_t backward_scratch(const sizes *s) {
  return forward_scratch(s) + s->B;
}

static size_t forward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  const sizes s = sizes_of(desc);
  (void)cpu;
  return (size_t)(s.N * s.H * forward_scratch(&s)) * sizeof(float);
}

static size_t backward_workspace(co_cpu *cpu, const co_op_desc *desc) {
  const sizes s = sizes_of(desc);
  (void)cpu;
  return (size_t)(s.N * s.H * backward_scratch(&s)) * sizeof(float);
}

static void transpose_keys(const sizes *s, const float *k, int64_t length, float *keys) {
  for (int64_t j = 0; j < length; j++)
    for (int64_t d = 0; d < s->D; d++)
      keys[d * s->T + j] = k[j * s->E + d];
}

static query query_of(const sizes *s, const float *bias, int64_t h, float *scratch) {
  return (query){
      .keys = scratch, .scores = scratch + s->D * s->T, .bias = bias ? bias + h * s->B : NULL};
}

static void forward_head(co_cpu *cpu, const sizes *s, void *const *in, void *const *out, int64_t n,
                         int64_t h, float *scratch) {
  const int64_t length = co_clamp_length(((const int32_t *)in[CO_ATTENTION_lengths])[n], s->T);
  const int64_t first = n * s->T * s->E + h * s->D;
  float *y = (float *)out[CO_ATTENTION_y] + first, *logsum = out[CO_ATTENTION_logsum];
  query a = query_of(s, in[CO_ATTENTION_bias], h, scratch);
  a.v = (const float *)in[CO_ATTENTION_v] + first;
  transpose_keys(s, (const float *)in[CO_ATTENTION_k] + first, length, scratch);
  for (int64_t t = 0; t < s->T; t++) {
    float total = 0, sum;
    if (t < length) {
      a.q = (const float *)in[CO_ATTENTION_q] + first + t * s->E;
      a.t = t;
      a.seen = s->causal ? t + 1 : length;
      score_all[cpu->isa](&a, s);
      const float most = largest(a.scores, a.seen);
      exponentials[cpu->isa](&a, most, &sum);
      mix_values[cpu->isa](&a, s, 1 / sum, y + t * s->E);
      total = most + logf(sum);
    } else {
      memset(y + t * s->E, 0, (size_t)s->D * sizeof *y);
    }
    if (logsum) logsum[(n * s->H + h) * s->T + t] = total;
  }
}

static co_status run_attention(co_cpu *cpu, co_prepared *prepared, void *const *in,
                               void *const *out, void *workspace) {
  const sizes s = sizes_of(&prepared->desc);
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < s.N * s.H; i++)
    forward_head(cpu, &s, in, out, i / s.H, i % s.H, (float *)workspace + i * forward_scratch(&s));
  return CO_OK;
}

static void clear_head(const co_op_desc *desc, const sizes *s, void *const *out, int64_t first) {
  for (int i = 0; i < 3; i++)
    for (int64_t t = 0; !co_cpu_accumulates(desc, i) && t < s->T; t++)
      memset((float *)out[i] + first + t * s->E, 0, (size_t)s->D * sizeof(float));
}

static void backward_head(co_cpu *cpu, const co_op_desc *desc, const sizes *s, void *const *in,
                          void *const *out, int64_t n, int64_t h, float *scratch) {
  const int64_t length =
      co_clamp_length(((const int32_t *)in[CO_ATTENTION_BACKWARD_lengths])[n], s->T);
  const int64_t first = n * s->T * s->E + h * s->D;
  const float *k = (const float *)in[CO_ATTENTION_BACKWARD_k] + first;
  const float *logsum = (const float *)in[CO_ATTENTION_BACKWARD_logsum] + (n * s->H + h) * s->T;
  float *sums = scratch + forward_scratch(s);
  query a = query_of(s, in[CO_ATTENTION_BACKWARD_bias], h, scratch);
  a.v = (const float *)in[CO_ATTENTION_BACKWARD_v] + first;
  clear_head(desc, s, out, first);
  memset(sums, 0, (size_t)s->B * sizeof *sums);
  transpose_keys(s, k, length, scratch);
  for (int64_t t = 0; t < length; t++) {
    const int64_t at = first + t * s->E;
    const float *dy = (const float *)in[CO_ATTENTION_BACKWARD_dy] + at;
    const float *y = (const float *)in[CO_ATTENTION_BACKWARD_y] + at;
    float whole = 0, sum;
    for (int64_t d = 0; d < s->D; d++)
      whole += dy[d] * y[d];
    a.q = (const float *)in[CO_ATTENTION_BACKWARD_q] + at;
    a.t = t;
    a.seen = s->causal ? t + 1 : length;
    score_all[cpu->isa](&a, s);
    exponentials[cpu->isa](&a, logsum[t], &sum);
    values_backward[cpu->isa](&a, s, dy, whole, (float *)out[CO_ATTENTION_BACKWARD_dv] + first);
    for (int64_t j = 0; s->B && j < a.seen; j++) {
      const int64_t apart = t < j ? j - t : t - j;
      sums[apart < s->B ? apart : s->B - 1] += a.scores[j];
    }
    keys_backward[cpu->isa](&a, s, k, (float *)out[CO_ATTENTION_BACKWARD_dq] + at,
                            (float *)out[CO_ATTENTION_BACKWARD_dk] + first);
  }
}

// Rows of each head one after another.
static void gather_bias(const co_op_desc *desc, const sizes *s, const float *workspace,
                        float *dbias) {
  for (int64_t i = 0; i < s->H * s->B; i++) {
    const int64_t h = i / s->B;
    float sum = co_cpu_accumulates(desc, CO_ATTENTION_BACKWARD_dbias) ? dbias[i] : 0;
    for (int64_t n = 0; n < s->N; n++)
      sum += workspace[(n * s->H + h) * backward_scratch(s) + forward_scratch(s) + i % s->B];
    dbias[i] = sum;
  }
}

static co_status run_attention_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                        void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const sizes s = sizes_of(desc);
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < s.N * s.H; i++)
    backward_head(cpu, desc, &s, in, out, i / s.H, i % s.H,
                  (float *)workspace + i * backward_scratch(&s));
  float *dbias = out[CO_ATTENTION_BACKWARD_dbias];
  if (dbias) gather_bias(desc, &s, workspace, dbias);
  return CO_OK;
}

const co_cpu_impl co_cpu_attention[] = {
    {.op = CO_OP_ATTENTION,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_attention,
     .workspace = forward_workspace,
     .f32_in = 0x17,
     .f32_out = 0x3},
    {.op = CO_OP_ATTENTION_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_attention_backward,
     .workspace = backward_workspace,
     .f32_in = 0xF7,
     .f32_out = 0xF,
     .accumulate = 0xF},
    {.name = NULL},
};
