// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

typedef struct sizes {
  int64_t N, T, E, H, D, B; // B = 0: no bias
  bool causal;
  double scale;
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
                 1 / sqrt((double)(q[2] / H))};
}

static double dot(const real *a, const real *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += (double)a[i] * (double)b[i];
  return sum;
}

// Where the bias of events t and j stands; -1 without one.
static int64_t bias_at(const sizes *s, int64_t h, int64_t t, int64_t j) {
  int64_t apart = t < j ? j - t : t - j;
  return s->B ? h * s->B + (apart < s->B ? apart : s->B - 1) : -1;
}

static double score(const sizes *s, const real *q, const real *k, const real *bias, int64_t h,
                    int64_t t, int64_t j) {
  int64_t at = bias_at(s, h, t, j);
  return dot(q, k, s->D) * s->scale + (at < 0 ? 0 : (double)bias[at]);
}

// The events that t of a row sees.
static int64_t seen_of(const sizes *s, int64_t t, int64_t length) {
  return s->causal ? t + 1 : length;
}

// One event of one head: part `at` of q is at t, of k and v at `first` for the row's first event.
static double attend(const sizes *s, const real *q, const real *k, const real *v, const real *bias,
                     int64_t h, int64_t t, int64_t seen, real *y) {
  double most = -INFINITY, sum = 0;
  for (int64_t j = 0; j < seen; j++) {
    double value = score(s, q, k + j * s->E, bias, h, t, j);
    if (value > most || isnan(value)) most = value;
  }
  for (int64_t j = 0; j < seen; j++)
    sum += exp(score(s, q, k + j * s->E, bias, h, t, j) - most);
  for (int64_t d = 0; d < s->D; d++) {
    double mean = 0;
    for (int64_t j = 0; j < seen; j++)
      mean += exp(score(s, q, k + j * s->E, bias, h, t, j) - most) * (double)v[j * s->E + d];
    y[d] = (real)(mean / sum);
  }
  return most + log(sum);
}

void CO_REF(attention)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(desc);
  const real *q = in[CO_ATTENTION_q], *k = in[CO_ATTENTION_k], *v = in[CO_ATTENTION_v];
  real *y = out[CO_ATTENTION_y], *logsum = out[CO_ATTENTION_logsum];
  for (int64_t n = 0; n < s.N; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_ATTENTION_lengths])[n], s.T);
    for (int64_t h = 0; h < s.H; h++)
      for (int64_t t = 0; t < s.T; t++) {
        const int64_t first = n * s.T * s.E + h * s.D, at = first + t * s.E;
        double total = 0;
        if (t < length)
          total = attend(&s, q + at, k + first, v + first, in[CO_ATTENTION_bias], h, t,
                         seen_of(&s, t, length), y + at);
        for (int64_t d = 0; t >= length && d < s.D; d++)
          y[at + d] = 0;
        if (logsum) logsum[(n * s.H + h) * s.T + t] = (real)total;
      }
  }
}

static void clear(const co_op_desc *desc, int output, real *values, int64_t count) {
  if (values && !co_accumulates(desc, output)) memset(values, 0, (size_t)count * sizeof *values);
}

// Gradients are added up event by event in `real`: there is nowhere to keep sums in double.
void CO_REF(attention_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(desc);
  const real *q = in[CO_ATTENTION_BACKWARD_q], *k = in[CO_ATTENTION_BACKWARD_k];
  const real *v = in[CO_ATTENTION_BACKWARD_v], *y = in[CO_ATTENTION_BACKWARD_y];
  const real *dy = in[CO_ATTENTION_BACKWARD_dy], *bias = in[CO_ATTENTION_BACKWARD_bias];
  const real *logsum = in[CO_ATTENTION_BACKWARD_logsum];
  real *dq = out[CO_ATTENTION_BACKWARD_dq], *dk = out[CO_ATTENTION_BACKWARD_dk];
  real *dv = out[CO_ATTENTION_BACKWARD_dv], *dbias = out[CO_ATTENTION_BACKWARD_dbias];
  for (int i = 0; i < 3; i++)
    clear(desc, i, out[i], s.N * s.T * s.E);
  clear(desc, CO_ATTENTION_BACKWARD_dbias, dbias, s.H * s.B);
  for (int64_t n = 0; n < s.N; n++) {
    const int64_t length =
        co_clamp_length(((const int32_t *)in[CO_ATTENTION_BACKWARD_lengths])[n], s.T);
    for (int64_t h = 0; h < s.H; h++)
      for (int64_t t = 0; t < length; t++) {
        const int64_t first = n * s.T * s.E + h * s.D, at = first + t * s.E;
        const double total = (double)logsum[(n * s.H + h) * s.T + t];
        const double whole = dot(dy + at, y + at, s.D);
        for (int64_t j = 0; j < seen_of(&s, t, length); j++) {
          const int64_t from = first + j * s.E, b = bias_at(&s, h, t, j);
          const double p = exp(score(&s, q + at, k + from, bias, h, t, j) - total);
          const double ds = p * (dot(dy + at, v + from, s.D) - whole);
          for (int64_t d = 0; d < s.D; d++) {
            dq[at + d] += (real)(ds * s.scale * (double)k[from + d]);
            dk[from + d] += (real)(ds * s.scale * (double)q[at + d]);
            dv[from + d] += (real)(p * (double)dy[at + d]);
          }
          if (dbias) dbias[b] += (real)ds;
        }
      }
  }
}

#if CO_REF_ONCE
co_status co_infer_attention(co_op_desc *desc) {
  const co_shape *q = &desc->in[CO_ATTENTION_q].shape;
  const int64_t H = desc->attr.heads, E = q->dim[2];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_ATTENTION_q, 3, 3));
  for (int i = 0; i < 3; i++) {
    CO_RETURN_IF_FAILED(co_check_real(desc, i, 0));
    CO_RETURN_IF_FAILED(co_check_shape(desc, i, q));
  }
  if (H < 1 || E < 1 || E % H != 0)
    return co_fail(CO_ERR_CONFIG, "attention: %lld features cannot be divided by %lld heads",
                   (long long)E, (long long)H);
  const co_shape rows = {1, {q->dim[0]}};
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_ATTENTION_lengths, CO_I32));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_ATTENTION_lengths, &rows));
  if (desc->has_in >> CO_ATTENTION_bias & 1) {
    CO_RETURN_IF_FAILED(co_check_rank(desc, CO_ATTENTION_bias, 2, 2));
    const co_shape *bias = &desc->in[CO_ATTENTION_bias].shape;
    if (bias->dim[0] != H || bias->dim[1] < 1)
      return co_fail(CO_ERR_CONFIG, "attention: a bias is wanted for each of %lld heads",
                     (long long)H);
  }
  co_shape logsum = {3, {q->dim[0], H, q->dim[1]}};
  co_set_out(desc, CO_ATTENTION_y, desc->in[0].dtype, q);
  co_set_out(desc, CO_ATTENTION_logsum, desc->in[0].dtype, &logsum);
  return CO_OK;
}

CO_INFER_BACKWARD(attention_backward)
#endif
