// SPDX-License-Identifier: Apache-2.0
// Element by element, in memory order: any layout will do that all operands share, because the
// padding of blocked layouts is zero and stays zero. RESHAPE, CONCAT and DROPOUT count elements in
// canonical order.
#include "host/core/rng.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exp.h"

#if CO_CPU_X86
#include <immintrin.h>
#endif

static int64_t elements(co_cpu *cpu, const co_tensor_desc *desc) {
  return (int64_t)(co_cpu_layout_bytes(cpu, desc) / sizeof(float));
}

// clang-format off
CO_CPU_KERNEL(relu, (const float *x, float *y, int64_t n), (x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = x[i] < 0 ? 0 : x[i];
}

CO_CPU_KERNEL(relu_backward,
              (const float *y, const float *dy, float *dx, int64_t n, float scale, bool sum),
              (y, dy, dx, n, scale, sum)) {
  if (sum) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      dx[i] += y[i] > 0 ? dy[i] * scale : 0;
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      dx[i] = y[i] > 0 ? dy[i] * scale : 0;
  }
}

CO_CPU_KERNEL(sigmoid, (const float *x, float *y, int64_t n), (x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = sigmoid_of(x[i]);
}

CO_CPU_KERNEL(tanh_kernel, (const float *x, float *y, int64_t n), (x, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = tanh_of(x[i]);
}

// Of SIGMOID where `least` is 0, of TANH where it is -1: dx (+)= dy (y - least) (1 - y).
CO_CPU_KERNEL(slope, (const float *y, const float *dy, float *dx, int64_t n, float least, bool sum),
              (y, dy, dx, n, least, sum)) {
  if (sum) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      dx[i] += dy[i] * (y[i] - least) * (1 - y[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      dx[i] = dy[i] * (y[i] - least) * (1 - y[i]);
  }
}

CO_CPU_INLINE float gelu_of(float x) {
  return 0.5f * x * (1 + erf_of(0.70710678f * x));
}

CO_CPU_INLINE float gelu_slope(float x) {
  return 0.5f * (1 + erf_of(0.70710678f * x)) + 0.39894228f * x * exp_negative(-0.5f * x * x);
}

CO_CPU_INLINE float silu_slope(float x) {
  return sigmoid_of(x) * (1 + x * sigmoid_of(-x));
}

// ACTIVATION and its backward: one loop for each function, so that each is vectorised.
CO_CPU_KERNEL(curve, (co_function function, float alpha, const float *x, float *y, int64_t n),
              (function, alpha, x, y, n)) {
  if (function == CO_FUNCTION_GELU) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      y[i] = gelu_of(x[i]);
  } else if (function == CO_FUNCTION_SILU) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      y[i] = x[i] * sigmoid_of(x[i]);
  } else if (function == CO_FUNCTION_ELU) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      y[i] = x[i] > 0 ? x[i] : alpha * (exp_negative(x[i]) - 1);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      y[i] = x[i] > 0 ? x[i] : alpha * x[i];
  }
}

CO_CPU_KERNEL(curve_slope, (co_function function, float alpha, const float *x, float *y, int64_t n),
              (function, alpha, x, y, n)) {
  if (function == CO_FUNCTION_GELU) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      y[i] = gelu_slope(x[i]);
  } else if (function == CO_FUNCTION_SILU) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      y[i] = silu_slope(x[i]);
  } else if (function == CO_FUNCTION_ELU) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      y[i] = x[i] > 0 ? 1 : alpha * exp_negative(x[i] > 0 ? 0 : x[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      y[i] = x[i] > 0 ? 1 : alpha;
  }
}

CO_CPU_KERNEL(multiply, (const float *a, const float *b, float *y, int64_t n, bool sum),
              (a, b, y, n, sum)) {
  if (sum) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      y[i] += a[i] * b[i];
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      y[i] = a[i] * b[i];
  }
}

CO_CPU_KERNEL(add, (const float *a, const float *b, float *y, int64_t n), (a, b, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++)
    y[i] = a[i] + b[i];
}

CO_CPU_KERNEL(add_relu, (const float *a, const float *b, float *y, int64_t n), (a, b, y, n)) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float sum = a[i] + b[i];
    y[i] = sum < 0 ? 0 : sum;
  }
}
// clang-format on

static co_status run_activation(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                void *const *out, void *workspace) {
  (void)workspace;
  const int64_t n = elements(cpu, &prepared->desc.in[0]);
  const co_op op = prepared->desc.op;
  const float *x = in[0];
  float *y = out[0];
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(n, 16, &begin, &end);
    (op == CO_OP_RELU      ? relu
     : op == CO_OP_SIGMOID ? sigmoid
                           : tanh_kernel)[cpu->isa](x + begin, y + begin, end - begin);
  }
  return CO_OK;
}

static co_status run_curve(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                           void *workspace) {
  (void)workspace;
  const int64_t n = elements(cpu, &prepared->desc.in[0]);
  const co_op_attr *attr = &prepared->desc.attr;
  const float *x = in[CO_ACTIVATION_x];
  float *y = out[CO_ACTIVATION_y];
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(n, 16, &begin, &end);
    curve[cpu->isa](attr->function, (float)attr->alpha, x + begin, y + begin, end - begin);
  }
  return CO_OK;
}

static co_status run_curve_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                    void *const *out, void *workspace) {
  enum { PIECE = 1024 }; // slopes at a time, in the first-level cache
  (void)workspace;
  const int64_t n = elements(cpu, &prepared->desc.in[0]);
  const co_op_attr *attr = &prepared->desc.attr;
  const bool sum = co_cpu_accumulates(&prepared->desc, CO_ACTIVATION_BACKWARD_dx);
  const float *x = in[CO_ACTIVATION_BACKWARD_x], *dy = in[CO_ACTIVATION_BACKWARD_dy];
  float *dx = out[CO_ACTIVATION_BACKWARD_dx];
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    float slopes[PIECE];
    co_cpu_share(n, 16, &begin, &end);
    for (int64_t i = begin; i < end; i += PIECE) {
      const int64_t count = end - i < PIECE ? end - i : PIECE;
      curve_slope[cpu->isa](attr->function, (float)attr->alpha, x + i, slopes, count);
      multiply[cpu->isa](slopes, dy + i, dx + i, count, sum);
    }
  }
  return CO_OK;
}

static co_status run_multiply(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                              void *workspace) {
  (void)workspace;
  const int64_t n = elements(cpu, &prepared->desc.in[0]);
  const bool sum = co_cpu_accumulates(&prepared->desc, CO_MULTIPLY_y);
  const float *a = in[CO_MULTIPLY_a], *b = in[CO_MULTIPLY_b];
  float *y = out[CO_MULTIPLY_y];
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(n, 16, &begin, &end);
    multiply[cpu->isa](a + begin, b + begin, y + begin, end - begin, sum);
  }
  return CO_OK;
}

static co_status run_slope(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                           void *workspace) {
  (void)workspace;
  const int64_t n = elements(cpu, &prepared->desc.in[0]);
  const bool sum = co_cpu_accumulates(&prepared->desc, 0);
  const float *y = in[0], *dy = in[1];
  const float least = prepared->desc.op == CO_OP_SIGMOID_BACKWARD ? 0 : -1;
  float *dx = out[0];
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(n, 16, &begin, &end);
    slope[cpu->isa](y + begin, dy + begin, dx + begin, end - begin, least, sum);
  }
  return CO_OK;
}

static co_status run_relu_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                   void *const *out, void *workspace) {
  (void)workspace;
  const int64_t n = elements(cpu, &prepared->desc.in[0]);
  const bool sum = co_cpu_accumulates(&prepared->desc, 0);
  const float scale = co_cpu_dropout_scale(&prepared->desc);
  const float *y = in[0], *dy = in[1];
  float *dx = out[0];
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(n, 16, &begin, &end);
    relu_backward[cpu->isa](y + begin, dy + begin, dx + begin, end - begin, scale, sum);
  }
  return CO_OK;
}

static co_status run_add(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                         void *workspace) {
  (void)workspace;
  const int64_t n = elements(cpu, &prepared->desc.in[0]);
  const bool rectify = prepared->desc.attr.activation == CO_ACTIVATION_RELU;
  const float *a = in[0], *b = in[1];
  float *y = out[0];
#pragma omp parallel if (n > CO_CPU_SERIAL)
  {
    int64_t begin, end;
    co_cpu_share(n, 16, &begin, &end);
    (rectify ? add_relu : add)[cpu->isa](a + begin, b + begin, y + begin, end - begin);
  }
  return CO_OK;
}

static co_status run_reshape(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  (void)cpu;
  (void)workspace;
  const size_t bytes = co_tensor_bytes(&prepared->desc.in[0]);
  if (bytes > 0 && in[0] != out[0]) memcpy(out[0], in[0], bytes);
  return CO_OK;
}

// ---- concat ------------------------------------------------------------------------------------

static int64_t last(const co_tensor_desc *desc) {
  return desc->shape.dim[desc->shape.rank - 1];
}

static co_status run_concat(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                            void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t width = last(&desc->out[0]), rows = co_shape_count(&desc->out[0].shape) / width;
#pragma omp parallel for schedule(static) if (rows * width > CO_CPU_SERIAL)
  for (int64_t r = 0; r < rows; r++) {
    float *y = (float *)out[0] + r * width;
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
      if (!co_cpu_has_in(desc, k)) continue;
      const int64_t count = last(&desc->in[k]);
      memcpy(y, (const float *)in[k] + r * count, (size_t)count * sizeof *y);
      y += count;
    }
  }
  return CO_OK;
}

static co_status run_concat_backward(co_cpu *cpu, co_prepared *prepared, void *const *in,
                                     void *const *out, void *workspace) {
  (void)cpu;
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t width = last(&desc->in[0]), rows = co_shape_count(&desc->in[0].shape) / width;
#pragma omp parallel for schedule(static) if (rows * width > CO_CPU_SERIAL)
  for (int64_t r = 0; r < rows; r++) {
    const float *from = (const float *)in[0] + r * width;
    for (int k = 0; k < CO_OP_MAX_OPERANDS; from += desc->attr.parts[k++]) {
      if (!co_cpu_has_out(desc, k)) continue;
      const int64_t count = desc->attr.parts[k];
      float *part = (float *)out[k] + r * count;
      if (co_cpu_accumulates(desc, k))
        for (int64_t i = 0; i < count; i++)
          part[i] += from[i];
      else
        memcpy(part, from, (size_t)count * sizeof *part);
    }
  }
  return CO_OK;
}

// ---- dropout -----------------------------------------------------------------------------------

enum { BLOCKS = 16 }; // blocks of four words drawn together: a word of all of them is one vector

// clang-format off
// words[BLOCKS * i + l] = word i of Philox block first + l.
CO_CPU_KERNEL(draw_words,
              (uint64_t first, const co_step *step, uint32_t purpose, uint32_t *words),
              (first, step, purpose, words)) {
  uint32_t *c0 = words, *c1 = c0 + BLOCKS, *c2 = c1 + BLOCKS, *c3 = c2 + BLOCKS;
  uint32_t k0 = (uint32_t)step->seed, k1 = (uint32_t)(step->seed >> 32);
  for (int l = 0; l < BLOCKS; l++) {
    c0[l] = (uint32_t)(first + (uint64_t)l);
    c1[l] = (uint32_t)((first + (uint64_t)l) >> 32);
    c2[l] = step->step;
    c3[l] = purpose;
  }
  for (int round = 0; round < 10; round++) {
#pragma omp simd
    for (int l = 0; l < BLOCKS; l++) {
      const uint64_t p0 = (uint64_t)0xD2511F53u * c0[l], p1 = (uint64_t)0xCD9E8D57u * c2[l];
      c0[l] = (uint32_t)(p1 >> 32) ^ c1[l] ^ k0;
      c2[l] = (uint32_t)(p0 >> 32) ^ c3[l] ^ k1;
      c1[l] = (uint32_t)p1;
      c3[l] = (uint32_t)p0;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}
// clang-format on

typedef void draw_function(uint64_t first, const co_step *step, uint32_t purpose, uint32_t *words);

typedef struct dropout {
  draw_function *draw;
  const co_step *step;
  uint32_t purpose, limit; // 24-bit draws below the limit are dropped
  float scale;
  bool sum; // add to y
} dropout;

// clang-format off
// x and y start at the element whose index is 4 * first.
CO_CPU_KERNEL(drop_blocks,
              (const dropout *d, const float *x, float *y, uint64_t first, int64_t blocks),
              (d, x, y, first, blocks)) {
  const uint32_t limit = d->limit; // in registers: the compiler cannot know who aliases *d
  const float scale = d->scale;
  for (int64_t at = 0; at < blocks; at += BLOCKS, x += 4 * BLOCKS, y += 4 * BLOCKS) {
    const int64_t count = 4 * (blocks - at < BLOCKS ? blocks - at : BLOCKS);
    uint32_t words[4 * BLOCKS];
    float factor[4 * BLOCKS];
    d->draw(first + (uint64_t)at, d->step, d->purpose, words);
#pragma omp simd
    for (int l = 0; l < BLOCKS; l++) {
      factor[4 * l] = words[l] >> 8 >= limit ? scale : 0;
      factor[4 * l + 1] = words[BLOCKS + l] >> 8 >= limit ? scale : 0;
      factor[4 * l + 2] = words[2 * BLOCKS + l] >> 8 >= limit ? scale : 0;
      factor[4 * l + 3] = words[3 * BLOCKS + l] >> 8 >= limit ? scale : 0;
    }
    // A dropped element is zero even where x is not finite.
    if (d->sum) {
#pragma omp simd
      for (int64_t i = 0; i < count; i++)
        y[i] += factor[i] > 0 ? x[i] * factor[i] : 0;
    } else if (count == 4 * BLOCKS) {
#pragma omp simd
      for (int64_t i = 0; i < 4 * BLOCKS; i++)
        y[i] = factor[i] > 0 ? x[i] * factor[i] : 0;
    } else {
#pragma omp simd
      for (int64_t i = 0; i < count; i++)
        y[i] = factor[i] > 0 ? x[i] * factor[i] : 0;
    }
  }
}
// clang-format on

#if CO_CPU_X86
// A round of eight blocks, whose words lie in the lower halves of 64 bits; what is in the upper ones
// reaches no result.
#define PHILOX_ROUND(c0, c1, c2, c3)                                                               \
  do {                                                                                             \
    const __m512i p0 = _mm512_mul_epu32(c0, m0), p1 = _mm512_mul_epu32(c2, m1);                    \
    (c0) = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c1, k0, 0x96); /* xor of three */  \
    (c2) = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c3, k1, 0x96);                     \
    (c1) = p1;                                                                                     \
    (c3) = p0;                                                                                     \
  } while (0)

// drop_blocks by hand, of as many blocks as make whole vectors, which it returns: compilers take three
// times the instructions for the wide products, and cannot spread bits.
CO_CPU_TARGET_AVX512 static int64_t drop_wide(const dropout *d, const float *x, float *y,
                                              uint64_t first, int64_t blocks) {
  const __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57);
  const __m512i up = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i low = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i limit = _mm512_set1_epi32((int)d->limit);
  const __m512 scale = _mm512_set1_ps(d->scale);
  int64_t at = 0;
  for (; at + BLOCKS <= blocks; at += BLOCKS, x += 4 * BLOCKS, y += 4 * BLOCKS) {
    __m512i a[4], b[4]; // the words of blocks 0 to 7 and 8 to 15
    uint32_t key0 = (uint32_t)d->step->seed, key1 = (uint32_t)(d->step->seed >> 32);
    a[0] = _mm512_add_epi64(_mm512_set1_epi64((int64_t)first + at), up);
    b[0] = _mm512_add_epi64(a[0], _mm512_set1_epi64(8));
    a[1] = _mm512_srli_epi64(a[0], 32), b[1] = _mm512_srli_epi64(b[0], 32);
    a[2] = b[2] = _mm512_set1_epi64(d->step->step);
    a[3] = b[3] = _mm512_set1_epi64(d->purpose);
    for (int round = 0; round < 10; round++) {
      const __m512i k0 = _mm512_set1_epi32((int)key0), k1 = _mm512_set1_epi32((int)key1);
      PHILOX_ROUND(a[0], a[1], a[2], a[3]);
      PHILOX_ROUND(b[0], b[1], b[2], b[3]);
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    uint64_t kept = 0; // bit i: element i
    for (int k = 0; k < 4; k++) {
      const __m512i words = _mm512_permutex2var_epi32(a[k], low, b[k]);
      const __mmask16 above = _mm512_cmpge_epu32_mask(_mm512_srli_epi32(words, 8), limit);
      kept |= _pdep_u64(above, (uint64_t)0x1111111111111111 << k);
    }
    for (int i = 0; i < 4 * BLOCKS; i += 16, kept >>= 16) {
      const __m512 value = _mm512_maskz_mul_ps((__mmask16)kept, _mm512_loadu_ps(x + i), scale);
      _mm512_storeu_ps(y + i, d->sum ? _mm512_add_ps(_mm512_loadu_ps(y + i), value) : value);
    }
  }
  return at;
}
#endif

static void drop_some(const dropout *d, uint64_t index, const float *x, float *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits = co_random_bits(d->step->seed, index + (uint64_t)i, d->step->step, d->purpose);
    float value = bits >> 8 >= d->limit ? x[i] * d->scale : 0;
    y[i] = d->sum ? y[i] + value : value;
  }
}

// n elements, the first of them number `base`.
static void drop(const dropout *d, co_cpu *cpu, uint64_t base, const float *x, float *y,
                 int64_t n) {
  int64_t head = (int64_t)((4 - (base & 3)) & 3);
  if (head > n) head = n;
  const int64_t blocks = (n - head) / 4, tail = n - head - 4 * blocks;
  drop_some(d, base, x, y, head);
#pragma omp parallel if (n > 4096)
  {
    int64_t begin, end;
    co_cpu_share(blocks, BLOCKS, &begin, &end);
#if CO_CPU_X86
    if (cpu->isa == CO_ISA_AVX512)
      begin += drop_wide(d, x + head + 4 * begin, y + head + 4 * begin,
                         (base + (uint64_t)head) / 4 + (uint64_t)begin, end - begin);
#endif
    drop_blocks[cpu->isa](d, x + head + 4 * begin, y + head + 4 * begin,
                          (base + (uint64_t)head) / 4 + (uint64_t)begin, end - begin);
  }
  drop_some(d, base + (uint64_t)(n - tail), x + n - tail, y + n - tail, tail);
}

// A row whose elements take `draws` draws in turn, the first of them number `base`.
static void drop_in_turn(const dropout *d, uint64_t base, int64_t draws, const float *x, float *y,
                         int64_t row) {
  enum { PART = 256 };
  for (int64_t first = 0; first < draws; first += PART) {
    const int64_t drawn = draws - first < PART ? draws - first : PART;
    const int64_t step = draws == 1 ? PART : draws; // one draw fills the part
    float factor[PART];
    for (int64_t i = 0; i < (draws == 1 ? PART : drawn); i++) {
      const uint64_t index = base + (uint64_t)(draws == 1 ? 0 : first + i);
      factor[i] = i > 0 && draws == 1 ? factor[0]
                  : co_random_bits(d->step->seed, index, d->step->step, d->purpose) >> 8 >= d->limit
                      ? d->scale
                      : 0;
    }
    for (int64_t at = first; at < row; at += step) {
      const int64_t count = draws > 1 ? drawn : row - at < PART ? row - at : PART;
#pragma omp simd
      for (int64_t i = 0; i < count; i++) {
        const float value = factor[i] > 0 ? x[at + i] * factor[i] : 0;
        y[at + i] = d->sum ? y[at + i] + value : value;
      }
    }
  }
}

static co_status run_dropout(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace) {
  (void)workspace;
  const co_op_desc *desc = &prepared->desc;
  const int64_t n = co_shape_count(&desc->in[0].shape);
  if (n <= 0) return CO_OK;
  const float *x = in[0];
  float *y = out[0];
  const co_step *step = in[1];
  // uniform >= rate, with uniform = bits / 2^24, in integers: bits >= ceil(rate 2^24), exact
  // because a float times a power of two is.
  const float scaled = (float)desc->attr.rate * 16777216.0f;
  const dropout d = {.draw = draw_words[cpu->isa],
                     .step = step,
                     .purpose = desc->attr.purpose,
                     .limit = (uint32_t)scaled + (scaled > (float)(uint32_t)scaled ? 1u : 0u),
                     .scale = co_cpu_dropout_scale(desc),
                     .sum = co_cpu_accumulates(desc, 0)};
  const int64_t rows = desc->in[0].shape.dim[0], row = n / rows, draws = co_draws_of_row(desc);
  if (desc->attr.draws) {
#pragma omp parallel for schedule(static) if (n > CO_CPU_SERIAL)
    for (int64_t r = 0; r < rows; r++)
      drop_in_turn(&d, (uint64_t)((step->row_offset + r) * draws), draws, x + r * row, y + r * row,
                   row);
    return CO_OK;
  }
  if (draws == row) { // one stretch of elements
    drop(&d, cpu, (uint64_t)(step->row_offset * row), x, y, n);
    return CO_OK;
  }
  for (int64_t r = 0; r < rows; r++)
    drop(&d, cpu, (uint64_t)((step->row_offset + r) * draws), x + r * row, y + r * row, row);
  return CO_OK;
}

const co_cpu_impl co_cpu_elementwise[] = {
    {.op = CO_OP_RELU,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_activation,
     .f32_in = 1,
     .f32_out = 1,
     .same_in = 1,
     .same_out = 1},
    {.op = CO_OP_RELU_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_relu_backward,
     .f32_in = 3,
     .f32_out = 1,
     .same_in = 3,
     .same_out = 1,
     .accumulate = 1},
    {.op = CO_OP_SIGMOID, // of the padding of a blocked layout it would make something
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_activation,
     .f32_in = 1,
     .f32_out = 1},
    {.op = CO_OP_TANH,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_activation,
     .f32_in = 1,
     .f32_out = 1,
     .same_in = 1,
     .same_out = 1},
    {.op = CO_OP_SIGMOID_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_slope,
     .f32_in = 3,
     .f32_out = 1,
     .same_in = 3,
     .same_out = 1,
     .accumulate = 1},
    {.op = CO_OP_TANH_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_slope,
     .f32_in = 3,
     .f32_out = 1,
     .same_in = 3,
     .same_out = 1,
     .accumulate = 1},
    {.op = CO_OP_ACTIVATION, // 0 of 0, whichever function
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_curve,
     .f32_in = 1,
     .f32_out = 1,
     .same_in = 1,
     .same_out = 1},
    {.op = CO_OP_ACTIVATION_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_curve_backward,
     .f32_in = 3,
     .f32_out = 1,
     .same_in = 3,
     .same_out = 1,
     .accumulate = 1},
    {.op = CO_OP_MULTIPLY,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_multiply,
     .f32_in = 3,
     .f32_out = 1,
     .same_in = 3,
     .same_out = 1,
     .accumulate = 1},
    {.op = CO_OP_ADD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_add,
     .f32_in = 3,
     .f32_out = 1,
     .same_in = 3,
     .same_out = 1},
    {.op = CO_OP_RESHAPE, .name = "omp", .plan = co_cpu_plan_simple, .run = run_reshape},
    {.op = CO_OP_CONCAT,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_concat,
     .f32_in = 0xFFFF,
     .f32_out = 1},
    {.op = CO_OP_CONCAT_BACKWARD,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_concat_backward,
     .f32_in = 1,
     .f32_out = 0xFFFF,
     .accumulate = 0xFFFF},
    {.op = CO_OP_DROPOUT,
     .name = "omp",
     .plan = co_cpu_plan_simple,
     .run = run_dropout,
     .f32_in = 1,
     .f32_out = 1,
     .accumulate = 1},
    {.name = NULL},
};
