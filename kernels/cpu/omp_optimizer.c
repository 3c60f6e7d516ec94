// SPDX-License-Identifier: Apache-2.0
// Updates of flat parameter blocks: one pass over memory each.
#include <math.h>

#include "kernels/cpu/cpu.h"

enum { NORM_BLOCK = 8192 }; // elements whose squares are summed together, whoever does it

static int64_t segment_count(const co_tensor_desc *segments) {
  return co_shape_count(&segments->shape) / (int64_t)sizeof(co_segment);
}

// clang-format off
CO_CPU_KERNEL(sum_of_squares, (const float *g, int64_t n, double *out), (g, n, out)) {
  double lanes[16] = {0};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
#pragma omp simd
    for (int l = 0; l < 16; l++)
      lanes[l] += (double)g[i + l] * (double)g[i + l];
  }
  double sum = 0;
  for (; i < n; i++)
    sum += (double)g[i] * (double)g[i];
  for (int l = 0; l < 16; l++)
    sum += lanes[l];
  *out = sum;
}

// An element's gradient: scaled by the norm's clipping, then limited.
CO_CPU_INLINE float clipped(float gate, float limit, float g) {
  const float scaled = gate * g;
  return scaled > limit ? limit : scaled < -limit ? -limit : scaled;
}

static float limit_of(const co_op_attr *attr) {
  return attr->clip_value > 0 ? (float)attr->clip_value : INFINITY;
}

// A moment that only decays ends up subnormal, and arithmetic with those takes a hundred times as long:
// where units died, most of a step. So far down it is 0, and so are its products with a rate.
CO_CPU_INLINE float moment(float value) {
  return fabsf(value) < 1e-36f ? 0 : value;
}

typedef struct sgd_constants {
  float gate, limit, l2, rate, momentum;
  bool nesterov;
} sgd_constants;

CO_CPU_KERNEL(sgd_plain, (sgd_constants c, float *w, const float *g, int64_t n), (c, w, g, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    w[i] -= c.rate * (clipped(c.gate, c.limit, g[i]) + c.l2 * w[i]);
}

CO_CPU_KERNEL(sgd_momentum, (sgd_constants c, float *w, const float *g, float *m, int64_t n),
              (c, w, g, m, n)) {
  if (c.nesterov) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
      const float gradient = clipped(c.gate, c.limit, g[i]) + c.l2 * w[i];
      m[i] = moment(c.momentum * m[i] + gradient);
      w[i] -= c.rate * (gradient + c.momentum * m[i]);
    }
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
      m[i] = moment(c.momentum * m[i] + (clipped(c.gate, c.limit, g[i]) + c.l2 * w[i]));
      w[i] -= c.rate * m[i];
    }
  }
}

typedef struct adam_constants {
  float gate, limit, l2, shrink; // shrink: decoupled decay times rate
  float beta1, beta2, rest1, rest2;
  float step, correction2, epsilon; // step: rate times the first correction
} adam_constants;

CO_CPU_KERNEL(adam, (adam_constants c, float *w, const float *g, float *m, float *v, int64_t n),
              (c, w, g, m, v, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    const float gradient = clipped(c.gate, c.limit, g[i]) + c.l2 * w[i];
    const float first = moment(c.beta1 * m[i] + c.rest1 * gradient);
    const float second = moment(c.beta2 * v[i] + c.rest2 * gradient * gradient);
    const float weight = w[i] - c.shrink * w[i];
    m[i] = first;
    v[i] = second;
    w[i] = weight - c.step * first / (sqrtf(second * c.correction2) + c.epsilon);
  }
}

CO_CPU_KERNEL(ema, (float rate, const float *w, float *average, int64_t n), (rate, w, average, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    average[i] += rate * (w[i] - average[i]);
}

typedef struct rmsprop_constants {
  float gate, limit, l2, rate, momentum, kept, added, epsilon;
} rmsprop_constants;

// `m` may be NULL.
CO_CPU_KERNEL(rmsprop, (rmsprop_constants c, float *w, const float *g, float *v, float *m, int64_t n),
              (c, w, g, v, m, n)) {
  if (m) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
      const float gradient = clipped(c.gate, c.limit, g[i]) + c.l2 * w[i];
      v[i] = moment(c.kept * v[i] + c.added * gradient * gradient);
      m[i] = moment(c.momentum * m[i] + gradient / (sqrtf(v[i]) + c.epsilon));
      w[i] -= c.rate * m[i];
    }
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
      const float gradient = clipped(c.gate, c.limit, g[i]) + c.l2 * w[i];
      v[i] = moment(c.kept * v[i] + c.added * gradient * gradient);
      w[i] -= c.rate * (gradient / (sqrtf(v[i]) + c.epsilon));
    }
  }
}
// clang-format on

void co_cpu_sgd(const co_cpu *cpu, const co_cpu_update *update, float *w, const float *g, float *m,
                int64_t n) {
  const co_op_attr *attr = update->attr;
  const sgd_constants c = {.gate = (float)update->gate,
                           .limit = limit_of(attr),
                           .l2 = (float)update->decay,
                           .rate = (float)update->rate,
                           .momentum = (float)attr->momentum,
                           .nesterov = attr->nesterov != 0};
  if (m)
    sgd_momentum[cpu->isa](c, w, g, m, n);
  else
    sgd_plain[cpu->isa](c, w, g, n);
}

void co_cpu_adam(const co_cpu *cpu, const co_cpu_update *update, float *w, const float *g, float *m,
                 float *v, int64_t n) {
  const co_op_attr *attr = update->attr;
  const adam_constants c = {.gate = (float)update->gate,
                            .limit = limit_of(attr),
                            .l2 = attr->decoupled ? 0 : (float)update->decay,
                            .shrink = attr->decoupled ? (float)(update->rate * update->decay) : 0,
                            .beta1 = (float)attr->beta1,
                            .beta2 = (float)attr->beta2,
                            .rest1 = (float)(1 - attr->beta1),
                            .rest2 = (float)(1 - attr->beta2),
                            .step = (float)(update->rate * update->correction1),
                            .correction2 = (float)update->correction2,
                            .epsilon = (float)attr->epsilon};
  adam[cpu->isa](c, w, g, m, v, n);
}

// What a thread does of the segments, taken as one stretch of elements: piece by piece.
typedef struct pieces {
  const co_segment *segment; // of the last piece
  int64_t begin, end;        // what is left, counted from the segment's first element
} pieces;

static int64_t count_elements(const co_segment *segments, int64_t count) {
  int64_t elements = 0;
  for (int64_t s = 0; s < count; s++)
    elements += segments[s].count;
  return elements;
}

static pieces share_pieces(const co_segment *segments, int64_t elements) {
  pieces p = {.segment = segments};
  co_cpu_share(elements, 16, &p.begin, &p.end);
  return p;
}

static bool next_piece(pieces *p, int64_t *first, int64_t *n) {
  if (p->begin >= p->end) return false;
  for (; p->begin >= p->segment->count; p->segment++) {
    p->begin -= p->segment->count;
    p->end -= p->segment->count;
  }
  const int64_t end = p->end < p->segment->count ? p->end : p->segment->count;
  *first = p->segment->begin + p->begin;
  *n = end - p->begin;
  p->begin = end;
  return true;
}

static int64_t count_blocks(const co_segment *segment) {
  return (segment->count + NORM_BLOCK - 1) / NORM_BLOCK;
}

static size_t norm_workspace(co_cpu *cpu, const co_op_desc *desc) {
  (void)cpu;
  return (size_t)(co_shape_count(&desc->in[0].shape) / NORM_BLOCK + segment_count(&desc->in[1])) *
         sizeof(double);
}

static co_status run_gradient_norm(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  const float *g = in[0];
  const co_segment *segments = in[1];
  const int64_t count = segment_count(&desc->in[1]);
  const double *before = in[CO_GRADIENT_NORM_before];
  double *sum = out[0], *partial = workspace, total = before ? *before : 0;
  int64_t blocks = 0;
  for (int64_t s = 0; s < count; s++)
    blocks += count_blocks(&segments[s]);
#pragma omp parallel if (blocks > 8)
  {
    int64_t begin, end, first = 0; // blocks
    co_cpu_share(blocks, 1, &begin, &end);
    for (int64_t s = 0; s < count; first += count_blocks(&segments[s++]))
      for (int64_t b = begin > first ? begin : first;
           b < end && b < first + count_blocks(&segments[s]); b++) {
        const int64_t at = (b - first) * NORM_BLOCK, left = segments[s].count - at;
        sum_of_squares[cpu->isa](g + segments[s].begin + at, left < NORM_BLOCK ? left : NORM_BLOCK,
                                 &partial[b]);
      }
  }
  for (int64_t b = 0; b < blocks; b++)
    total += partial[b];
  *sum = (co_cpu_accumulates(desc, 0) ? *sum : 0) + total;
  if (!co_cpu_has_out(desc, 1)) return CO_OK;
  const double norm = sqrt(*sum), limit = desc->attr.clip_norm;
  double *gate = out[1];
  gate[0] = isfinite(*sum) ? 1 : 0;
  gate[1] = limit > 0 && norm > limit ? limit / norm : 1;
  return CO_OK;
}

// Results may have memory of their own; what no segment lists is unchanged there.
static void start_from(const co_op_desc *desc, const void *old, void *result) {
  if (old != result)
    memcpy(result, old, (size_t)co_shape_count(&desc->in[0].shape) * sizeof(float));
}

static co_status run_sgd(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                         void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const bool momentum = co_cpu_has_in(desc, 2);
  const co_segment *segments = in[3];
  const co_step *step = in[4];
  const double *gate = in[5];
  const float *g = in[1];
  float *w = out[0], *m = momentum ? out[1] : NULL;
  co_bf16 *mirror = out[2];
  start_from(desc, in[0], w);
  if (momentum) start_from(desc, in[2], m);
  if (gate[0] == 0) return CO_OK;
  const int64_t elements = count_elements(segments, segment_count(&desc->in[3]));
#pragma omp parallel if (elements > CO_CPU_SERIAL)
  {
    pieces p = share_pieces(segments, elements);
    for (int64_t first, n; next_piece(&p, &first, &n);) {
      co_cpu_sgd(cpu,
                 &(co_cpu_update){.attr = &desc->attr,
                                  .gate = gate[1],
                                  .rate = step->learning_rate * p.segment->rate,
                                  .decay = desc->attr.weight_decay * p.segment->decay},
                 w + first, g + first, momentum ? m + first : NULL, n);
      if (mirror) co_cpu_round(cpu, mirror + first, w + first, n);
    }
  }
  return CO_OK;
}

static co_status run_adam(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                          void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const co_op_attr *attr = &desc->attr;
  const co_segment *segments = in[4];
  const co_step *step = in[5];
  const double *gate = in[6];
  const float *g = in[1];
  float *w = out[0], *m = out[1], *v = out[2];
  co_bf16 *mirror = out[3];
  start_from(desc, in[0], w);
  start_from(desc, in[2], m);
  start_from(desc, in[3], v);
  if (gate[0] == 0) return CO_OK;
  const int64_t elements = count_elements(segments, segment_count(&desc->in[4]));
#pragma omp parallel if (elements > CO_CPU_SERIAL)
  {
    pieces p = share_pieces(segments, elements);
    for (int64_t first, n; next_piece(&p, &first, &n);) {
      co_cpu_adam(cpu,
                  &(co_cpu_update){.attr = attr,
                                   .gate = gate[1],
                                   .rate = step->learning_rate * p.segment->rate,
                                   .decay = attr->weight_decay * p.segment->decay,
                                   .correction1 = step->bias_correction1,
                                   .correction2 = step->bias_correction2},
                  w + first, g + first, m + first, v + first, n);
      if (mirror) co_cpu_round(cpu, mirror + first, w + first, n);
    }
  }
  return CO_OK;
}

static co_status run_ema(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                         void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const float *w = in[CO_EMA_w];
  const co_segment *segments = in[CO_EMA_segments];
  const float rate = (float)((const co_step *)in[CO_EMA_step])->ema_rate;
  const double *gate = in[CO_EMA_gate];
  float *average = out[CO_EMA_new_ema];
  start_from(desc, in[CO_EMA_ema], average);
  if (gate[0] == 0) return CO_OK;
  const int64_t elements = count_elements(segments, segment_count(&desc->in[CO_EMA_segments]));
#pragma omp parallel if (elements > CO_CPU_SERIAL)
  {
    pieces p = share_pieces(segments, elements);
    for (int64_t first, n; next_piece(&p, &first, &n);) {
      ema[cpu->isa](rate, w + first, average + first, n);
    }
  }
  return CO_OK;
}

static co_status run_rmsprop(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const co_op_attr *attr = &desc->attr;
  const bool momentum = co_cpu_has_in(desc, CO_RMSPROP_m);
  const co_segment *segments = in[CO_RMSPROP_segments];
  const co_step *step = in[CO_RMSPROP_step];
  const double *gate = in[CO_RMSPROP_gate];
  const float *g = in[CO_RMSPROP_g];
  float *w = out[CO_RMSPROP_new_w], *v = out[CO_RMSPROP_new_v];
  float *m = momentum ? out[CO_RMSPROP_new_m] : NULL;
  co_bf16 *mirror = out[CO_RMSPROP_mirror];
  start_from(desc, in[CO_RMSPROP_w], w);
  start_from(desc, in[CO_RMSPROP_v], v);
  if (momentum) start_from(desc, in[CO_RMSPROP_m], m);
  if (gate[0] == 0) return CO_OK;
  const int64_t elements = count_elements(segments, segment_count(&desc->in[CO_RMSPROP_segments]));
#pragma omp parallel if (elements > CO_CPU_SERIAL)
  {
    pieces p = share_pieces(segments, elements);
    for (int64_t first, n; next_piece(&p, &first, &n);) {
      const rmsprop_constants c = {.gate = (float)gate[1],
                                   .limit = limit_of(attr),
                                   .l2 = (float)(attr->weight_decay * p.segment->decay),
                                   .rate = (float)(step->learning_rate * p.segment->rate),
                                   .momentum = (float)attr->momentum,
                                   .kept = (float)attr->beta2,
                                   .added = (float)attr->added,
                                   .epsilon = (float)attr->epsilon};
      rmsprop[cpu->isa](c, w + first, g + first, v + first, m ? m + first : NULL, n);
      if (mirror) co_cpu_round(cpu, mirror + first, w + first, n);
    }
  }
  return CO_OK;
}

// No plan of a CPU has gradients in bf16.
static bool all_wide(const co_op_desc *desc, co_cpu_answer *answer) {
  const int narrow = desc->op == CO_OP_GRADIENT_NORM ? CO_GRADIENT_NORM_narrow
                     : desc->op == CO_OP_SGD         ? CO_SGD_narrow
                     : desc->op == CO_OP_ADAM        ? CO_ADAM_narrow
                                                     : CO_RMSPROP_narrow;
  if (!co_cpu_has_in(desc, narrow)) return true;
  (void)co_cpu_refuse(answer, "gradients in bf16");
  return false;
}

const co_cpu_impl co_cpu_optimizer[] = {
    {.op = CO_OP_GRADIENT_NORM,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .accepts = all_wide,
     .run = run_gradient_norm,
     .workspace = norm_workspace,
     .f32_in = 1,
     .accumulate = 1},
    {.op = CO_OP_SGD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .accepts = all_wide,
     .run = run_sgd,
     .f32_in = 7,
     .f32_out = 3},
    {.op = CO_OP_ADAM,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .accepts = all_wide,
     .run = run_adam,
     .f32_in = 15,
     .f32_out = 7},
    {.op = CO_OP_EMA,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_ema,
     .f32_in = 3,
     .f32_out = 1},
    {.op = CO_OP_RMSPROP,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .accepts = all_wide,
     .run = run_rmsprop,
     .f32_in = 15,
     .f32_out = 7},
    {.name = NULL},
};
