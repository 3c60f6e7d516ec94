// SPDX-License-Identifier: Apache-2.0
#include <float.h>

#include "kernels/ref/real.h"

enum {
  dx_at = CO_LINEAR_CROSS_ENTROPY_dx,
  dw_at = CO_LINEAR_CROSS_ENTROPY_dw,
  db_at = CO_LINEAR_CROSS_ENTROPY_db,
  dscore_at = CO_LINEAR_CROSS_ENTROPY_dscore
};

typedef struct linear {
  int64_t N, D, V, step_d, step_v; // of w
  const real *x, *w, *b;
  // Of the events whose classes are copied; NULL where there are none.
  const real *score;
  const int32_t *codes, *lengths;
  int64_t T;
  double shift; // logarithm of their factor
} linear;

static linear linear_of(const co_op_desc *desc, void *const *in) {
  const int64_t *x = desc->in[CO_LINEAR_CROSS_ENTROPY_x].shape.dim;
  const bool transposed = desc->attr.transposed != 0;
  const int64_t V = desc->in[CO_LINEAR_CROSS_ENTROPY_w].shape.dim[transposed ? 0 : 1];
  const bool copies = (desc->has_in >> CO_LINEAR_CROSS_ENTROPY_score & 1) != 0;
  return (linear){.score = in[CO_LINEAR_CROSS_ENTROPY_score],
                  .codes = in[CO_LINEAR_CROSS_ENTROPY_codes],
                  .lengths = in[CO_LINEAR_CROSS_ENTROPY_lengths],
                  .T = copies ? desc->in[CO_LINEAR_CROSS_ENTROPY_score].shape.dim[1] : 0,
                  .shift = copies ? log(desc->attr.factor) : 0,
                  .N = x[0],
                  .D = x[1],
                  .V = V,
                  .step_d = transposed ? 1 : V,
                  .step_v = transposed ? x[1] : 1,
                  .x = in[CO_LINEAR_CROSS_ENTROPY_x],
                  .w = in[CO_LINEAR_CROSS_ENTROPY_w],
                  .b = in[CO_LINEAR_CROSS_ENTROPY_b]};
}

static double product(const linear *l, int64_t n, int64_t v) {
  double sum = l->b ? (double)l->b[v] : 0;
  for (int64_t d = 0; d < l->D; d++)
    sum += (double)l->x[n * l->D + d] * (double)l->w[d * l->step_d + v * l->step_v];
  return sum;
}

static int64_t length_of(const linear *l, int64_t n) {
  return l->score ? co_clamp_length(l->lengths[n], l->T) : 0;
}

// What an event adds to the logarithm's argument is the exponential of this; -INFINITY where it is of
// another class.
static double event_of(const linear *l, int64_t n, int64_t t, int64_t v) {
  const int64_t at = n * l->T + t;
  return co_class_of_code(l->codes[at], l->V) == v ? (double)l->score[at] + l->shift : -INFINITY;
}

static double logit(const linear *l, int64_t n, int64_t v) {
  const double x = product(l, n, v);
  double most = x, sum = 0;
  bool copied = false;
  for (int64_t t = 0; t < length_of(l, n); t++) {
    const double event = event_of(l, n, t, v);
    copied = copied || event != -INFINITY;
    if (event > most) most = event;
  }
  if (!copied) return x;
  for (int64_t t = 0; t < length_of(l, n); t++)
    sum += exp(event_of(l, n, t, v) - most);
  return most + log(sum + exp(x - most));
}

// What a row is to its loss and its gradients.
typedef struct row {
  double largest, exponentials, sum; // of exp(logit - largest), and of the logits
  int64_t best;                      // the first of the largest
} row;

static row row_of(const linear *l, int64_t n) {
  row r = {.largest = -DBL_MAX}; // of two of -infinity the difference would be NaN
  for (int64_t v = 0; v < l->V; v++) {
    const double z = logit(l, n, v);
    if (z > r.largest) {
      r.exponentials *= exp(r.largest - z);
      r.largest = z;
      r.best = v;
    }
    r.exponentials += exp(z - r.largest);
    r.sum += z;
  }
  return r;
}

// A slope of one logit, brought to what it was made of.
static void spread(const linear *l, int64_t n, int64_t v, double slope, void *const *out) {
  real *dx = out[dx_at], *dw = out[dw_at], *db = out[db_at], *dscore = out[dscore_at];
  const double made = l->score ? logit(l, n, v) : 0;
  for (int64_t t = 0; dscore && t < length_of(l, n); t++) {
    const double event = event_of(l, n, t, v);
    if (event != -INFINITY) dscore[n * l->T + t] += (real)(slope * exp(event - made));
  }
  const double x = l->score ? product(l, n, v) : 0;
  if (x != made) slope *= exp(x - made); // not of two of -INFINITY
  for (int64_t d = 0; d < l->D; d++) {
    const int64_t at = d * l->step_d + v * l->step_v;
    if (dx) dx[n * l->D + d] += (real)(slope * (double)l->w[at]);
    if (dw) dw[at] += (real)(slope * (double)l->x[n * l->D + d]);
  }
  if (db) db[v] += (real)slope;
}

static void clear(const co_op_desc *desc, void *const *out, int i, int64_t count) {
  if (out[i] && !co_accumulates(desc, i)) memset(out[i], 0, (size_t)count * sizeof(real));
}

void CO_REF(linear_cross_entropy)(const co_op_desc *desc, void *const *in, void *const *out) {
  const linear l = linear_of(desc, in);
  const int32_t *target = in[CO_LINEAR_CROSS_ENTROPY_target];
  const real *weight = in[CO_LINEAR_CROSS_ENTROPY_weight];
  const co_step *step = in[CO_LINEAR_CROSS_ENTROPY_step];
  real *loss = out[CO_LINEAR_CROSS_ENTROPY_loss];
  double *sum = out[CO_LINEAR_CROSS_ENTROPY_sum], *hits = out[CO_LINEAR_CROSS_ENTROPY_hits];
  const double smoothing = desc->attr.label_smoothing, even = smoothing / (double)l.V;
  const bool wants = out[dx_at] || out[dw_at] || out[db_at] || out[dscore_at];
  double total = 0, found[2] = {0, 0};
  clear(desc, out, dx_at, l.N * l.D);
  clear(desc, out, dw_at, l.D * l.V);
  clear(desc, out, db_at, l.V);
  clear(desc, out, dscore_at, l.N * l.T);
  for (int64_t n = 0; n < l.N; n++) {
    const double factor = (double)weight[n] * step->inv_norm[desc->attr.output];
    loss[n] = 0;
    if (weight[n] == 0) continue;
    const row r = row_of(&l, n);
    const bool known = target[n] >= 0 && target[n] < l.V;
    const double spread_out = smoothing > 0 ? even * r.sum : 0;
    const double value = known ? log(r.exponentials) + r.largest -
                                     (1 - smoothing) * logit(&l, n, target[n]) - spread_out
                               : (double)NAN;
    loss[n] = (real)value;
    total += (double)weight[n] * value;
    if (r.best == target[n]) found[0] += (double)weight[n];
    found[1] += (double)weight[n];
    for (int64_t v = 0; wants && v < l.V; v++) {
      const double share = exp(logit(&l, n, v) - r.largest) / r.exponentials;
      spread(&l, n, v, factor * (share - (v == target[n] ? 1 - smoothing : 0) - even), out);
    }
  }
  *sum = (co_accumulates(desc, CO_LINEAR_CROSS_ENTROPY_sum) ? *sum : 0) + total;
  for (int i = 0; hits && i < 2; i++)
    hits[i] = (co_accumulates(desc, CO_LINEAR_CROSS_ENTROPY_hits) ? hits[i] : 0) + found[i];
}

#if CO_REF_ONCE
static co_status check_rows(const co_op_desc *desc) {
  const co_shape rows = co_shape_vector(desc->in[CO_LINEAR_CROSS_ENTROPY_x].shape.dim[0]);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_LINEAR_CROSS_ENTROPY_target, &rows));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_LINEAR_CROSS_ENTROPY_target, CO_I32));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_LINEAR_CROSS_ENTROPY_weight, &rows));
  CO_RETURN_IF_FAILED(
      co_check_real(desc, CO_LINEAR_CROSS_ENTROPY_weight, CO_LINEAR_CROSS_ENTROPY_x));
  return co_check_step(desc, CO_LINEAR_CROSS_ENTROPY_step);
}

static co_status check_events(const co_op_desc *desc) {
  const co_shape *score = &desc->in[CO_LINEAR_CROSS_ENTROPY_score].shape;
  const uint32_t all = 1u << CO_LINEAR_CROSS_ENTROPY_score | 1u << CO_LINEAR_CROSS_ENTROPY_codes |
                       1u << CO_LINEAR_CROSS_ENTROPY_lengths;
  if (!(desc->has_in & all)) return CO_OK;
  if ((desc->has_in & all) != all || !(desc->attr.factor > 0))
    return co_fail(
        CO_ERR_CONFIG,
        "linear_cross_entropy: events have scores, codes, lengths and a positive factor");
  const co_shape rows = co_shape_vector(desc->in[CO_LINEAR_CROSS_ENTROPY_x].shape.dim[0]);
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_LINEAR_CROSS_ENTROPY_score, 3, 3));
  const co_shape events = co_shape_make(3, rows.dim[0], score->dim[1], (int64_t)1);
  CO_RETURN_IF_FAILED(
      co_check_real(desc, CO_LINEAR_CROSS_ENTROPY_score, CO_LINEAR_CROSS_ENTROPY_x));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_LINEAR_CROSS_ENTROPY_score, &events));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_LINEAR_CROSS_ENTROPY_codes, CO_I32));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_LINEAR_CROSS_ENTROPY_codes, &events));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_LINEAR_CROSS_ENTROPY_lengths, CO_I32));
  return co_check_shape(desc, CO_LINEAR_CROSS_ENTROPY_lengths, &rows);
}

co_status co_infer_linear_cross_entropy(co_op_desc *desc) {
  const co_shape *x = &desc->in[CO_LINEAR_CROSS_ENTROPY_x].shape;
  const co_shape *w = &desc->in[CO_LINEAR_CROSS_ENTROPY_w].shape, one = co_shape_vector(1);
  const co_dtype real_type = desc->in[CO_LINEAR_CROSS_ENTROPY_x].dtype;
  CO_RETURN_IF_FAILED(co_check_smoothing(&desc->attr));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_LINEAR_CROSS_ENTROPY_x, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_LINEAR_CROSS_ENTROPY_w, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_LINEAR_CROSS_ENTROPY_w, CO_LINEAR_CROSS_ENTROPY_x));
  const int64_t V = w->dim[desc->attr.transposed ? 0 : 1];
  const co_shape table =
      desc->attr.transposed ? co_shape_make(2, V, x->dim[1]) : co_shape_make(2, x->dim[1], V);
  const co_shape classes = co_shape_vector(V), two = co_shape_vector(2);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_LINEAR_CROSS_ENTROPY_w, &table));
  if (V < 1) return co_fail(CO_ERR_CONFIG, "linear_cross_entropy: there must be a class");
  if (desc->has_in >> CO_LINEAR_CROSS_ENTROPY_b & 1) {
    CO_RETURN_IF_FAILED(co_check_shape(desc, CO_LINEAR_CROSS_ENTROPY_b, &classes));
    CO_RETURN_IF_FAILED(co_check_real(desc, CO_LINEAR_CROSS_ENTROPY_b, CO_LINEAR_CROSS_ENTROPY_x));
  }
  CO_RETURN_IF_FAILED(check_rows(desc));
  CO_RETURN_IF_FAILED(check_events(desc));
  if (desc->attr.output < 0 || desc->attr.output >= CO_MAX_LOSSES)
    return co_fail(CO_ERR_CONFIG, "a model has at most %d losses", CO_MAX_LOSSES);
  const co_shape rows = co_shape_vector(x->dim[0]);
  co_set_out(desc, CO_LINEAR_CROSS_ENTROPY_loss, real_type, &rows);
  co_set_out(desc, CO_LINEAR_CROSS_ENTROPY_sum, CO_F64, &one);
  co_set_out(desc, dx_at, real_type, x);
  co_set_out(desc, dw_at, real_type, w);
  co_set_out(desc, db_at, real_type, &classes);
  co_set_out(desc, CO_LINEAR_CROSS_ENTROPY_hits, CO_F64, &two);
  co_set_out(desc, dscore_at, real_type, &desc->in[CO_LINEAR_CROSS_ENTROPY_score].shape);
  return CO_OK;
}
#endif
