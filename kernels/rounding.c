// SPDX-License-Identifier: Apache-2.0
#include "kernels/rounding.h"

#include <math.h>
#include <string.h>

#include "host/core/rng.h"
#include "kernels/norm.h"
#include "kernels/ref/ref.h"

// Of float: half the distance from 1 to the next number.
static const double unit_roundoff = 0x1p-24;
// Sums are made in blocks, in several at a time or in trees, whose roundings do not add up over more
// terms than this.
static const double longest_sum = 64;

typedef struct rounding {
  co_backend backend; // first, so that a pointer to it is one to this
  co_backend *inner;
  double amount; // amplitude times the unit roundoff
  uint32_t draw;
  uint64_t drawn; // signs so far
  co_philox_block bits;
  double *scratch; // for copies of inputs and for magnitudes of one operation
  size_t scratch_count;
} rounding;

struct co_prepared {
  co_op_desc desc;
};

static rounding *self(co_backend *backend) {
  return (rounding *)backend;
}

static double sign(rounding *r) {
  uint64_t bit = r->drawn++ & 127;
  if (!bit) r->bits = co_philox(1, r->drawn >> 7, r->draw, co_purpose("rounding", ""));
  return r->bits.word[bit >> 5] >> (bit & 31) & 1 ? r->amount : -r->amount;
}

static bool is_real(const co_tensor_desc *operand, uint32_t present, int i) {
  return (present >> i & 1) && operand[i].dtype == CO_F64;
}

static int64_t count_of(const co_tensor_desc *operand) {
  return co_shape_count(&operand->shape);
}

// By how much the roundings of a sum of n terms exceed one, together.
static double growth(double n) {
  return n < 1 ? 1 : sqrt(fmin(n, longest_sum));
}

// ---- operations --------------------------------------------------------------------------------

typedef enum kind {
  EXACT,  // moves and compares: nothing is rounded
  SUMS,   // sums of products, or of terms: what they cancel leaves their rounding behind
  GENERAL // each operand and each result is rounded
} kind;

static kind kind_of(const co_op_desc *desc) {
  switch (desc->op) {
  case CO_OP_RELU_BACKWARD:
    return desc->attr.rate > 0 ? GENERAL : EXACT;
  case CO_OP_RELU:
  case CO_OP_MAX_POOL2D:
  case CO_OP_CONCAT:
  case CO_OP_CONCAT_BACKWARD:
  case CO_OP_EMBEDDING:
  case CO_OP_RESHAPE:
  case CO_OP_UPSAMPLE2D:
  case CO_OP_PAD2D:
  case CO_OP_PAD2D_BACKWARD:
  case CO_OP_CATEGORICAL_HITS:
  case CO_OP_REORDER:
    return EXACT;
  case CO_OP_DENSE:
  case CO_OP_DENSE_BACKWARD_DATA:
  case CO_OP_DENSE_BACKWARD_WEIGHTS:
  case CO_OP_DENSE_RELU_BACKWARD:
  case CO_OP_CONV2D:
  case CO_OP_CONV2D_BACKWARD_DATA:
  case CO_OP_CONV2D_BACKWARD_WEIGHTS:
  case CO_OP_CONV2D_TRANSPOSE:
  case CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS:
  case CO_OP_RELU_BIAS_BACKWARD:
  case CO_OP_AVERAGE_POOL2D:
  case CO_OP_AVERAGE_POOL2D_BACKWARD:
  case CO_OP_GLOBAL_AVERAGE_POOL2D:
  case CO_OP_GLOBAL_AVERAGE_POOL2D_BACKWARD:
  case CO_OP_MAX_POOL2D_BACKWARD:
  case CO_OP_UPSAMPLE2D_BACKWARD:
  case CO_OP_EMBEDDING_BACKWARD:
  case CO_OP_PIECEWISE_DENSE:
  case CO_OP_PIECEWISE_DENSE_BACKWARD:
  case CO_OP_MEMBER_SCALE_BACKWARD:
  case CO_OP_MEMBER_DENSE:
  case CO_OP_MEMBER_DENSE_BACKWARD:
  case CO_OP_SCALE_CHANNELS_BACKWARD:
  case CO_OP_ADD:
    return SUMS;
  default:
    return GENERAL;
  }
}

// Terms of a sum that makes one element of an output.
static double terms_of(const co_op_desc *desc, int output) {
  double flops = (double)co_op_flops(desc) / 2 / (double)count_of(&desc->out[0]), read = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (is_real(desc->in, desc->has_in, i)) read = fmax(read, (double)count_of(&desc->in[i]));
  double reduced = read / (double)count_of(&desc->out[output]);
  return output == 0 ? fmax(flops, reduced) : reduced;
}

// The operation on magnitudes: sums of the magnitudes of its terms, in the scratch memory.
static void sum_magnitudes(rounding *r, const co_op_desc *desc, void *const *in,
                           double *magnitudes[CO_OP_MAX_OPERANDS]) {
  co_op_desc bare = *desc;
  void *from[CO_OP_MAX_OPERANDS], *to[CO_OP_MAX_OPERANDS] = {NULL};
  double *at = r->scratch;
  memcpy(from, in, sizeof from);
  bare.attr.activation = CO_ACTIVATION_NONE;
  bare.accumulate = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (!is_real(desc->in, desc->has_in, i)) continue;
    int64_t count = count_of(&desc->in[i]);
    for (int64_t k = 0; k < count; k++)
      at[k] = fabs(((const double *)in[i])[k]);
    from[i] = at;
    at += count;
  }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    magnitudes[i] = NULL;
    if (!is_real(desc->out, desc->has_out, i)) {
      bare.has_out &= ~(1u << i);
      continue;
    }
    to[i] = magnitudes[i] = at;
    at += count_of(&desc->out[i]);
  }
  (void)co_ref_run(&bare, from, to);
}

static co_status run_sums(rounding *r, const co_op_desc *desc, void *const *in, void *const *out) {
  double *magnitudes[CO_OP_MAX_OPERANDS];
  // Rounding comes before the activation, which may go the other way for it.
  co_op_desc bare = *desc;
  bool activated = desc->attr.activation == CO_ACTIVATION_RELU && !(desc->accumulate & 1);
  if (activated) bare.attr.activation = CO_ACTIVATION_NONE;
  sum_magnitudes(r, desc, in, magnitudes);
  CO_RETURN_IF_FAILED(co_ref_run(&bare, in, out));
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (!magnitudes[i]) continue;
    double *y = out[i], length = growth(terms_of(desc, i));
    for (int64_t k = 0; k < count_of(&desc->out[i]); k++) {
      y[k] += sign(r) * length * magnitudes[i][k];
      if (activated && i == 0 && y[k] < 0) y[k] = 0;
    }
  }
  if (activated && desc->op == CO_OP_DENSE && (desc->has_out >> 1 & 1))
    for (int64_t k = 0; k < count_of(&desc->out[0]); k++)
      ((uint8_t *)out[1])[k] = ((const double *)out[0])[k] > 0;
  return CO_OK;
}

// The batch's mean is a sum too, of which all of a channel is off.
static void round_batch_norm(rounding *r, const co_op_desc *desc, void *const *in,
                             void *const *out) {
  int64_t C = count_of(&desc->in[1]), rows = count_of(&desc->in[0]) / C;
  const double *x = in[0], *gamma = in[1];
  double *y = out[0], *mean = out[1], *variance = out[2], *new_mean = out[3];
  for (int64_t c = 0; c < C; c++) {
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
      sum += fabs(x[i * C + c]);
    double off = sign(r) * growth((double)rows) * sum / (double)rows;
    double shift = off * gamma[c] / sqrt(variance[c] + desc->attr.epsilon);
    for (int64_t i = 0; i < rows; i++)
      if (desc->attr.activation == CO_ACTIVATION_NONE || y[i * C + c] > 0)
        y[i * C + c] = y[i * C + c] - shift;
    mean[c] += off;
    new_mean[c] += (1 - desc->attr.momentum) * off;
  }
}

// dx is a difference of dy and of two means over the rows, which may cancel.
static void round_batch_norm_backward(rounding *r, const co_op_desc *desc, void *const *in,
                                      void *const *out) {
  int64_t C = count_of(&desc->in[1]), rows = count_of(&desc->in[0]) / C;
  const double *x = in[0], *gamma = in[1], *mean = in[2], *variance = in[3], *dy = in[4];
  double *dx = out[0], *dgamma = out[1], *dbeta = out[2];
  double length = growth((double)rows);
  for (int64_t c = 0; c < C; c++) {
    double inverse = 1 / sqrt(variance[c] + desc->attr.epsilon), sum = 0, product = 0;
    for (int64_t i = c; i < rows * C; i += C) {
      sum += fabs(dy[i]);
      product += fabs(dy[i] * (x[i] - mean[c]) * inverse);
    }
    double of_sum = sign(r) * length * sum, of_product = sign(r) * length * product;
    for (int64_t i = c; i < rows * C; i += C)
      dx[i] += gamma[c] * inverse *
               (sign(r) * fabs(dy[i]) +
                (of_sum + (x[i] - mean[c]) * inverse * of_product) / (double)rows);
    dgamma[c] += of_product;
    dbeta[c] += of_sum;
  }
}

// The loss is a difference of logits, as large as they are, and dx at the target one of two numbers
// near 1.
static void round_softmax_cross_entropy(rounding *r, const co_op_desc *desc, void *const *in,
                                        void *const *out) {
  int64_t N = desc->in[0].shape.dim[0], K = desc->in[0].shape.dim[1];
  const double *x = in[0], *weight = in[2];
  const int32_t *target = in[1];
  const co_step *step = in[3];
  double *loss = out[0], *sum = out[1], *dx = out[2];
  for (int64_t n = 0; n < N; n++) {
    double largest = 1;
    if (weight[n] == 0 || target[n] < 0 || target[n] >= K) continue;
    for (int64_t k = 0; k < K; k++)
      largest = fmax(largest, fabs(x[n * K + k]));
    double off = sign(r) * largest;
    loss[n] += off;
    *sum += weight[n] * off;
    dx[n * K + target[n]] += sign(r) * weight[n] * step->inv_norm[desc->attr.output];
  }
}

// Likewise: both loss and dx are differences, of numbers as large as the logits and near 1.
static void round_binary_cross_entropy(rounding *r, const co_op_desc *desc, void *const *in,
                                       void *const *out) {
  int64_t N = desc->in[0].shape.dim[0], size = count_of(&desc->in[0]) / N;
  int64_t targets = count_of(&desc->in[1]) / N; // size or 1
  const double *x = in[0], *target = in[1], *weight = in[2];
  const double positive = desc->attr.positive_weight;
  const co_step *step = in[3];
  double *loss = out[0], *sum = out[1], *dx = out[2];
  for (int64_t n = 0; n < N; n++) {
    double largest = 1, scale = weight[n] * step->inv_norm[desc->attr.output] / (double)size;
    if (weight[n] == 0) continue;
    for (int64_t i = n * size; i < (n + 1) * size; i++) {
      largest = fmax(largest, fabs(x[i]));
      dx[i] += sign(r) * scale * positive * target[targets == size ? i : n];
    }
    double off = sign(r) * largest * fmax(1, positive);
    loss[n] += off;
    *sum += weight[n] * off;
  }
}

// GELU's 1 + erf and ELU's exp - 1 are differences of numbers near 1, in value and in slope.
static void round_activation(rounding *r, const co_op_desc *desc, void *const *in,
                             void *const *out) {
  const bool backward = desc->op == CO_OP_ACTIVATION_BACKWARD;
  const co_function function = desc->attr.function;
  const double *x = in[0], *dy = in[1];
  for (int64_t i = 0; i < count_of(&desc->in[0]); i++) {
    double size = function == CO_FUNCTION_GELU              ? (backward ? 1 : fabs(x[i]))
                  : function == CO_FUNCTION_ELU && x[i] < 0 ? desc->attr.alpha
                                                            : 0;
    ((double *)out[0])[i] += sign(r) * 4 * size * (backward ? fabs(dy[i]) : 1);
  }
}

// Squares of sums less sums of squares; in slopes, sums less one of their terms.
static void round_factorization(rounding *r, const co_op_desc *desc, void *const *in,
                                void *const *out) {
  const bool backward = desc->op == CO_OP_FACTORIZATION_BACKWARD;
  const int64_t I = desc->in[1].shape.dim[0], D = desc->in[1].shape.dim[1];
  const int64_t N = desc->in[0].shape.dim[0];
  const double *x = in[0], *v = in[1];
  for (int64_t n = 0; n < N; n++) {
    double pairs = 0;
    for (int64_t d = 0; d < D; d++) {
      double sum = 0;
      for (int64_t i = 0; i < I; i++)
        sum += fabs(v[i * D + d] * x[n * I + i]);
      pairs += sum * sum;
      for (int64_t i = 0; backward && i < I; i++) {
        const double off = growth((double)I) * fabs(((const double *)in[3])[n]) * sum;
        if (out[0]) ((double *)out[0])[n * I + i] += sign(r) * off * fabs(v[i * D + d]);
        ((double *)out[1])[i * D + d] += sign(r) * off * fabs(x[n * I + i]);
      }
    }
    if (!backward) ((double *)out[0])[n] += sign(r) * growth((double)I) * pairs;
  }
}

// dx is a difference of dy and of its mean by y.
static void round_masked_softmax_backward(rounding *r, const co_op_desc *desc, void *const *in,
                                          void *const *out) {
  const co_shape *shape = &desc->in[0].shape;
  const int64_t T = shape->dim[shape->rank - 1], rows = co_shape_count(shape) / T;
  const double *y = in[CO_MASKED_SOFTMAX_BACKWARD_y], *dy = in[CO_MASKED_SOFTMAX_BACKWARD_dy];
  double *dx = out[CO_MASKED_SOFTMAX_BACKWARD_dx];
  for (int64_t n = 0; n < rows; n++, y += T, dy += T, dx += T) {
    double sum = 0;
    for (int64_t t = 0; t < T; t++)
      sum += fabs(y[t] * dy[t]);
    const double off = sign(r) * growth((double)T) * sum;
    for (int64_t t = 0; t < T; t++)
      dx[t] += y[t] * (sign(r) * fabs(dy[t]) + off);
  }
}

// Parts less their mean, as in round_batch_norm.
static void round_layer_norm(rounding *r, const co_op_desc *desc, void *const *in,
                             void *const *out) {
  const co_norm_parts parts = co_norm_parts_of(desc);
  const double *x = in[CO_LAYER_NORM_x], *gamma = in[CO_LAYER_NORM_gamma];
  if (desc->attr.rms) return; // nothing cancels
  double *y = out[CO_LAYER_NORM_y], *means = out[CO_LAYER_NORM_mean], count = (double)parts.size;
  for (int64_t p = 0; p < parts.count; p++) {
    double sum = 0, size = 0, squares = 0;
    for (int64_t i = 0; i < parts.size; i++) {
      sum += x[co_norm_place(&parts, p, i)];
      size += fabs(x[co_norm_place(&parts, p, i)]);
    }
    for (int64_t i = 0; i < parts.size; i++) {
      const double off = x[co_norm_place(&parts, p, i)] - sum / count;
      squares += off * off;
    }
    double off = sign(r) * growth(count) * size / count;
    double inverse = 1 / sqrt(squares / count + desc->attr.epsilon);
    for (int64_t i = 0; i < parts.size; i++)
      y[co_norm_place(&parts, p, i)] -= off * gamma[co_norm_channel(&parts, p, i)] * inverse;
    if (means != NULL) means[p] += off;
  }
}

// dx is a difference of dy and of two means over the part, dgamma and dbeta are sums over rows.
static void round_layer_norm_backward(rounding *r, const co_op_desc *desc, void *const *in,
                                      void *const *out) {
  const co_norm_parts parts = co_norm_parts_of(desc);
  const int64_t C = parts.channels, rows = count_of(&desc->in[0]) / C;
  const double *x = in[CO_LAYER_NORM_BACKWARD_x], *gamma = in[CO_LAYER_NORM_BACKWARD_gamma];
  const double *means = in[CO_LAYER_NORM_BACKWARD_mean], *dy = in[CO_LAYER_NORM_BACKWARD_dy];
  const double *inverse = in[CO_LAYER_NORM_BACKWARD_inverse];
  double *dx = out[CO_LAYER_NORM_BACKWARD_dx], *dgamma = out[CO_LAYER_NORM_BACKWARD_dgamma];
  double *dbeta = out[CO_LAYER_NORM_BACKWARD_dbeta];
  for (int64_t p = 0; p < parts.count; p++) {
    const double mean = means ? means[p] : 0;
    double sum = 0, product = 0;
    for (int64_t i = 0; i < parts.size; i++) {
      const int64_t at = co_norm_place(&parts, p, i);
      const double g = gamma[co_norm_channel(&parts, p, i)] * dy[at];
      sum += desc->attr.rms ? 0 : fabs(g);
      product += fabs(g * (x[at] - mean) * inverse[p]);
    }
    double of_sum = sign(r) * growth((double)parts.size) * sum;
    double of_product = sign(r) * growth((double)parts.size) * product;
    for (int64_t i = 0; i < parts.size; i++) {
      const int64_t at = co_norm_place(&parts, p, i);
      const double normal = (x[at] - mean) * inverse[p];
      const double size = fabs(gamma[co_norm_channel(&parts, p, i)] * dy[at]);
      dx[at] += inverse[p] * (sign(r) * size + (of_sum + normal * of_product) / (double)parts.size);
    }
  }
  for (int64_t c = 0; c < C; c++) {
    double sum = 0, product = 0;
    for (int64_t at = c; at < rows * C; at += C) {
      const int64_t p = co_norm_part(&parts, at);
      sum += fabs(dy[at]);
      product += fabs(dy[at] * (x[at] - (means ? means[p] : 0)) * inverse[p]);
    }
    if (dgamma) dgamma[c] += sign(r) * growth((double)rows) * product;
    if (dbeta) dbeta[c] += sign(r) * growth((double)rows) * sum;
  }
}

static co_status run_general(rounding *r, const co_op_desc *desc, void *const *in,
                             void *const *out) {
  void *from[CO_OP_MAX_OPERANDS];
  double *at = r->scratch, read = 0;
  memcpy(from, in, sizeof from);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (!is_real(desc->in, desc->has_in, i)) continue;
    int64_t count = count_of(&desc->in[i]);
    for (int64_t k = 0; k < count; k++)
      at[k] = ((const double *)in[i])[k] * (1 + sign(r));
    from[i] = at;
    at += count;
    read = fmax(read, (double)count);
  }
  CO_RETURN_IF_FAILED(co_ref_run(desc, from, out));
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    const bool counted = // hits
        (desc->op == CO_OP_SOFTMAX_CROSS_ENTROPY && i == CO_SOFTMAX_CROSS_ENTROPY_hits) ||
        (desc->op == CO_OP_LINEAR_CROSS_ENTROPY && i == CO_LINEAR_CROSS_ENTROPY_hits);
    if (!is_real(desc->out, desc->has_out, i) || counted) continue;
    int64_t count = count_of(&desc->out[i]);
    double length = growth(read / (double)count);
    for (int64_t k = 0; k < count; k++)
      ((double *)out[i])[k] *= 1 + sign(r) * length;
  }
  if (desc->op == CO_OP_BATCH_NORM) round_batch_norm(r, desc, from, out);
  if (desc->op == CO_OP_BATCH_NORM_BACKWARD) round_batch_norm_backward(r, desc, from, out);
  if (desc->op == CO_OP_ACTIVATION || desc->op == CO_OP_ACTIVATION_BACKWARD)
    round_activation(r, desc, from, out);
  if (desc->op == CO_OP_FACTORIZATION || desc->op == CO_OP_FACTORIZATION_BACKWARD)
    round_factorization(r, desc, from, out);
  if (desc->op == CO_OP_LAYER_NORM) round_layer_norm(r, desc, from, out);
  if (desc->op == CO_OP_LAYER_NORM_BACKWARD) round_layer_norm_backward(r, desc, from, out);
  if (desc->op == CO_OP_MASKED_SOFTMAX_BACKWARD) round_masked_softmax_backward(r, desc, from, out);
  if (desc->op == CO_OP_SOFTMAX_CROSS_ENTROPY) round_softmax_cross_entropy(r, desc, from, out);
  if (desc->op == CO_OP_POINTWISE_LOSS && desc->attr.pointwise == CO_POINTWISE_BINARY)
    round_binary_cross_entropy(r, desc, from, out);
  return CO_OK;
}

// ---- backend -----------------------------------------------------------------------------------

static void free_backend(co_backend *backend) {
  rounding *r = self(backend);
  r->inner->api->free(r->inner);
  co_free(backend->ctx, r->scratch);
  co_free(backend->ctx, r);
}

static co_status query(co_backend *backend, const co_op_desc *desc, co_op_choice *out) {
  (void)backend;
  return co_ref_query(desc, out);
}

static co_status prepare(co_backend *backend, const co_op_desc *desc, co_prepared **out) {
  rounding *r = self(backend);
  size_t count = 0;
  *out = NULL;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (is_real(desc->in, desc->has_in, i)) count += (size_t)count_of(&desc->in[i]);
    if (is_real(desc->out, desc->has_out, i)) count += (size_t)count_of(&desc->out[i]);
  }
  if (count > r->scratch_count) {
    co_free(backend->ctx, r->scratch);
    r->scratch_count = 0;
    r->scratch = co_alloc_zero(backend->ctx, count, sizeof *r->scratch);
    if (!r->scratch) return CO_ERR_MEMORY;
    r->scratch_count = count;
  }
  co_prepared *prepared = co_alloc(backend->ctx, sizeof *prepared);
  if (!prepared) return CO_ERR_MEMORY;
  prepared->desc = *desc;
  *out = prepared;
  return CO_OK;
}

static void release(co_backend *backend, co_prepared *prepared) {
  co_free(backend->ctx, prepared);
}

static co_status run(co_backend *backend, co_prepared *prepared, void *const *in, void *const *out,
                     void *workspace) {
  const co_op_desc *desc = &prepared->desc;
  (void)workspace;
  switch (kind_of(desc)) {
  case EXACT:
    return co_ref_run(desc, in, out);
  case SUMS:
    return run_sums(self(backend), desc, in, out);
  default:
    return run_general(self(backend), desc, in, out);
  }
}

// The rest is the reference's.
static size_t layout_bytes(co_backend *backend, const co_tensor_desc *desc) {
  return self(backend)->inner->api->layout_bytes(self(backend)->inner, desc);
}

static const char *layout_name(co_backend *backend, co_layout layout) {
  return self(backend)->inner->api->layout_name(self(backend)->inner, layout);
}

static co_status buffer_create(co_backend *backend, size_t bytes, void **out) {
  return self(backend)->inner->api->buffer_create(self(backend)->inner, bytes, out);
}

static void buffer_free(co_backend *backend, void *buffer) {
  self(backend)->inner->api->buffer_free(self(backend)->inner, buffer);
}

static co_status upload(co_backend *backend, void *device, const void *host, size_t bytes) {
  return self(backend)->inner->api->upload(self(backend)->inner, device, host, bytes);
}

static co_status download(co_backend *backend, void *host, const void *device, size_t bytes) {
  return self(backend)->inner->api->download(self(backend)->inner, host, device, bytes);
}

static co_status fill_zero(co_backend *backend, void *device, size_t bytes) {
  return self(backend)->inner->api->fill_zero(self(backend)->inner, device, bytes);
}

static co_status synchronize(co_backend *backend) {
  return self(backend)->inner->api->synchronize(self(backend)->inner);
}

static const co_backend_api rounding_api = {
    .name = "rounding",
    .alignment = 64,
    .free = free_backend,
    .query = query,
    .prepare = prepare,
    .release = release,
    .run = run,
    .layout_bytes = layout_bytes,
    .layout_name = layout_name,
    .buffer_create = buffer_create,
    .buffer_free = buffer_free,
    .upload = upload,
    .download = download,
    .fill_zero = fill_zero,
    .synchronize = synchronize,
    .relu_masks = true,
    .host_memory = true,
};

co_status co_rounding_backend_open(co_backend **out, co_context *ctx, double amplitude) {
  *out = NULL;
  rounding *r = co_alloc_zero(ctx, 1, sizeof *r);
  if (!r) return CO_ERR_MEMORY;
  r->backend = (co_backend){.api = &rounding_api, .ctx = ctx};
  r->amount = amplitude * unit_roundoff;
  co_status status = co_ref_backend_open(&r->inner, ctx, NULL);
  if (status != CO_OK) {
    co_free(ctx, r);
    return status;
  }
  *out = &r->backend;
  return CO_OK;
}

void co_rounding_draw(co_backend *backend, uint32_t number) {
  self(backend)->draw = number;
  self(backend)->drawn = 0;
}
