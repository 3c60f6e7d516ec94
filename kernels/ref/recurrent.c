// SPDX-License-Identifier: Apache-2.0
// Gradients of the parameters are added up event by event in `real`, not in double at the end: there
// is nowhere to keep them.
#include "kernels/ref/real.h"

enum { MOST_GATES = 4, MOST_SAVED = 5 };

typedef struct sizes {
  int64_t N, T, I, U, width, saved; // width: G U, saved: S U
  co_rnn_cell cell;
  bool reverse;
  co_rnn_function gates, states;
} sizes;

static sizes sizes_of(const co_op_desc *desc) { // places are the same in the backward
  const int64_t *x = desc->in[CO_RECURRENT_x].shape.dim;
  const int64_t U = desc->in[CO_RECURRENT_recurrent].shape.dim[0];
  const co_rnn_cell cell = desc->attr.cell;
  return (sizes){.N = x[0],
                 .T = x[1],
                 .I = x[2],
                 .U = U,
                 .width = co_rnn_gates(cell) * U,
                 .saved = co_rnn_saved(cell) * U,
                 .cell = cell,
                 .reverse = desc->attr.reverse != 0,
                 .gates = desc->attr.gates,
                 .states = desc->attr.states};
}

static double bend(co_rnn_function function, double z, double own) {
  if (function == CO_RNN_OWN) return own;
  if (function == CO_RNN_RELU) return z > 0 ? z : 0;
  const double line = 0.2 * z + 0.5;
  return line < 0 ? 0 : line > 1 ? 1 : line;
}

// By the function's value.
static double slope(co_rnn_function function, double y, double own) {
  if (function == CO_RNN_OWN) return own;
  if (function == CO_RNN_RELU) return y > 0 ? 1 : 0;
  return y > 0 && y < 1 ? 0.2 : 0;
}

static double gate(const sizes *s, double z) {
  return bend(s->gates, z, 1 / (1 + exp(-z)));
}

static double gate_slope(const sizes *s, double y) {
  return slope(s->gates, y, y * (1 - y));
}

static double squash(const sizes *s, double z) {
  return bend(s->states, z, tanh(z));
}

static double squash_slope(const sizes *s, double y) {
  return slope(s->states, y, 1 - y * y);
}

static int64_t length_of(const sizes *s, const void *lengths, int64_t n) {
  return lengths != NULL ? co_clamp_length(((const int32_t *)lengths)[n], s->T) : s->T;
}

// z (G U) = bias, or 0.
static void begin_sum(const sizes *s, const real *bias, double *z) {
  for (int64_t j = 0; j < s->width; j++)
    z[j] = bias != NULL ? (double)bias[j] : 0;
}

// z += value times row `i` of a kernel.
static void add_row(const sizes *s, double value, const real *kernel, int64_t i, double *z) {
  for (int64_t j = 0; j < s->width; j++)
    z[j] += value * (double)kernel[i * s->width + j];
}

// One event: from the sums zx and zh (G U) to the values saved (S U) and the states h and c (U).
static void next_state(const sizes *s, const double *zx, const double *zh, double *h, double *c,
                       double *saved) {
  const int64_t U = s->U;
  for (int64_t u = 0; u < U; u++) {
    double *v[MOST_SAVED];
    for (int k = 0; k < s->saved / U; k++)
      v[k] = &saved[k * U + u];
    if (s->cell == CO_CELL_SIMPLE_RNN) {
      h[u] = *v[0] = squash(s, zx[u] + zh[u]);
    } else if (s->cell == CO_CELL_GRU) {
      const double z = gate(s, zx[u] + zh[u]), r = gate(s, zx[U + u] + zh[U + u]);
      const double a = zh[2 * U + u], n = squash(s, zx[2 * U + u] + r * a);
      h[u] = z * h[u] + (1 - z) * n;
      *v[0] = z, *v[1] = r, *v[2] = n, *v[3] = a, *v[4] = h[u];
    } else {
      const double i = gate(s, zx[u] + zh[u]), f = gate(s, zx[U + u] + zh[U + u]);
      const double g = squash(s, zx[2 * U + u] + zh[2 * U + u]);
      const double o = gate(s, zx[3 * U + u] + zh[3 * U + u]);
      c[u] = f * c[u] + i * g;
      h[u] = o * squash(s, c[u]);
      *v[0] = i, *v[1] = f, *v[2] = g, *v[3] = o, *v[4] = c[u];
    }
  }
}

static void put_all(real *to, const double *from, int64_t count) {
  for (int64_t i = 0; to != NULL && i < count; i++)
    to[i] = from != NULL ? (real)from[i] : 0;
}

static real *at(void *base, int64_t row, int64_t width) {
  return base != NULL ? (real *)base + row * width : NULL;
}

void CO_REF(recurrent)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(desc);
  const real *x = in[CO_RECURRENT_x], *bias = in[CO_RECURRENT_bias];
  const real *bias_h = s.cell == CO_CELL_GRU ? bias + s.width : NULL;
  for (int64_t n = 0; n < s.N; n++) {
    const int64_t length = length_of(&s, in[CO_RECURRENT_lengths], n);
    double h[CO_RECURRENT_UNITS] = {0}, c[CO_RECURRENT_UNITS] = {0};
    double zx[MOST_GATES * CO_RECURRENT_UNITS], zh[MOST_GATES * CO_RECURRENT_UNITS];
    double saved[MOST_SAVED * CO_RECURRENT_UNITS];
    for (int64_t k = 0; k < s.T; k++) {
      const bool event = k < length;
      const int64_t row = n * s.T + (event ? co_event_place(k, length, s.reverse) : k);
      if (event) {
        begin_sum(&s, bias, zx);
        begin_sum(&s, bias_h, zh);
        for (int64_t i = 0; i < s.I; i++)
          add_row(&s, (double)x[row * s.I + i], in[CO_RECURRENT_kernel], i, zx);
        for (int64_t u = 0; u < s.U; u++)
          add_row(&s, h[u], in[CO_RECURRENT_recurrent], u, zh);
        next_state(&s, zx, zh, h, c, saved);
      }
      put_all(at(out[CO_RECURRENT_y], row, s.U), event ? h : NULL, s.U);
      put_all(at(out[CO_RECURRENT_saved], row, s.saved), event ? saved : NULL, s.saved);
    }
    put_all(at(out[CO_RECURRENT_last], n, s.U), h, s.U);
  }
}

// ---- backward ----------------------------------------------------------------------------------

static double state_of(const sizes *s, const real *saved, int64_t u) {
  if (saved == NULL) return 0;
  const double last = (double)saved[s->saved - s->U + u];
  return s->cell == CO_CELL_LSTM ? (double)saved[3 * s->U + u] * squash(s, last) : last;
}

// The gradients of zx and zh (G U) at one event. dh and dc (U) are those of its states on the way in;
// on the way out dc is that of the cell before, dh what reaches the state before past the products.
static void gates_backward(const sizes *s, const real *saved, const real *before, double *dh,
                           double *dc, double *dzx, double *dzh) {
  const int64_t U = s->U;
  for (int64_t u = 0; u < U; u++) {
    double v[MOST_SAVED];
    for (int k = 0; k < s->saved / U; k++)
      v[k] = (double)saved[k * U + u];
    if (s->cell == CO_CELL_SIMPLE_RNN) {
      dzx[u] = dh[u] * squash_slope(s, v[0]);
      dh[u] = 0;
    } else if (s->cell == CO_CELL_GRU) {
      const double z = v[0], r = v[1], n = v[2], a = v[3], h = state_of(s, before, u);
      const double dn = dh[u] * (1 - z) * squash_slope(s, n);
      dzx[u] = dh[u] * (h - n) * gate_slope(s, z);
      dzx[U + u] = dn * a * gate_slope(s, r);
      dzx[2 * U + u] = dn;
      dzh[2 * U + u] = dn * r;
      dh[u] *= z;
    } else {
      const double i = v[0], f = v[1], g = v[2], o = v[3], bent = squash(s, v[4]);
      const double c = before != NULL ? (double)before[4 * U + u] : 0;
      const double d = dc[u] + dh[u] * o * squash_slope(s, bent);
      dzx[u] = d * g * gate_slope(s, i);
      dzx[U + u] = d * c * gate_slope(s, f);
      dzx[2 * U + u] = d * i * squash_slope(s, g);
      dzx[3 * U + u] = dh[u] * bent * gate_slope(s, o);
      dc[u] = d * f;
      dh[u] = 0;
    }
  }
  // The two sums are added, but for the last part of GRU's.
  const int64_t same = s->cell == CO_CELL_GRU ? 2 * U : s->width;
  memcpy(dzh, dzx, (size_t)same * sizeof *dzh);
}

// Row `i` of a kernel times dz.
static double row_product(const sizes *s, const real *kernel, int64_t i, const double *dz) {
  double sum = 0;
  for (int64_t j = 0; j < s->width; j++)
    sum += dz[j] * (double)kernel[i * s->width + j];
  return sum;
}

static void add_outer(const sizes *s, real *to, double value, const double *dz) {
  for (int64_t j = 0; j < s->width; j++)
    to[j] = (real)((double)to[j] + value * dz[j]);
}

static void clear(const co_op_desc *desc, int output, void *values) {
  if (values != NULL && !co_accumulates(desc, output))
    memset(values, 0, co_tensor_bytes(&desc->out[output]));
}

void CO_REF(recurrent_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(desc);
  const int64_t U = s.U;
  const bool with_last = desc->has_in >> CO_RECURRENT_BACKWARD_dlast & 1;
  const bool with_y = desc->has_in >> CO_RECURRENT_BACKWARD_dy & 1;
  const real *dlast = in[CO_RECURRENT_BACKWARD_dlast], *dy = in[CO_RECURRENT_BACKWARD_dy];
  real *dkernel = out[CO_RECURRENT_BACKWARD_dkernel], *dbias = out[CO_RECURRENT_BACKWARD_dbias];
  real *drecurrent = out[CO_RECURRENT_BACKWARD_drecurrent];
  for (int k = 0; k < 4; k++)
    clear(desc, k, out[k]);
  for (int64_t n = 0; n < s.N; n++) {
    const int64_t length = length_of(&s, in[CO_RECURRENT_BACKWARD_lengths], n);
    double dh[CO_RECURRENT_UNITS] = {0}, dc[CO_RECURRENT_UNITS] = {0};
    double dzx[MOST_GATES * CO_RECURRENT_UNITS], dzh[MOST_GATES * CO_RECURRENT_UNITS];
    for (int64_t u = 0; with_last && u < U; u++)
      dh[u] = (double)dlast[n * U + u];
    for (int64_t k = length; k-- > 0;) {
      const int64_t row = n * s.T + co_event_place(k, length, s.reverse);
      const real *x = (const real *)in[CO_RECURRENT_BACKWARD_x] + row * s.I;
      const real *saved = at(in[CO_RECURRENT_BACKWARD_saved], row, s.saved);
      const real *before = k == 0 ? NULL : s.reverse ? saved + s.saved : saved - s.saved;
      for (int64_t u = 0; with_y && u < U; u++)
        dh[u] += (double)dy[row * U + u];
      gates_backward(&s, saved, before, dh, dc, dzx, dzh);
      for (int64_t i = 0; i < s.I; i++) {
        real *dx = at(out[CO_RECURRENT_BACKWARD_dx], row, s.I);
        if (dx != NULL)
          co_put(desc, CO_RECURRENT_BACKWARD_dx, dx + i,
                 row_product(&s, in[CO_RECURRENT_BACKWARD_kernel], i, dzx));
        add_outer(&s, dkernel + i * s.width, (double)x[i], dzx);
      }
      for (int64_t u = 0; u < U; u++) {
        dh[u] += row_product(&s, in[CO_RECURRENT_BACKWARD_recurrent], u, dzh);
        add_outer(&s, drecurrent + u * s.width, state_of(&s, before, u), dzh);
      }
      add_outer(&s, dbias, 1, dzx);
      if (s.cell == CO_CELL_GRU) add_outer(&s, dbias + s.width, 1, dzh);
    }
  }
}

#if CO_REF_ONCE
co_status co_infer_recurrent(co_op_desc *desc) {
  const co_shape *x = &desc->in[CO_RECURRENT_x].shape, rows = co_shape_vector(x->dim[0]);
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_RECURRENT_x, 3, 3));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_RECURRENT_recurrent, 2, 2));
  if (desc->has_in >> CO_RECURRENT_lengths & 1) {
    CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_RECURRENT_lengths, CO_I32));
    CO_RETURN_IF_FAILED(co_check_shape(desc, CO_RECURRENT_lengths, &rows));
  }
  for (int i = CO_RECURRENT_kernel; i <= CO_RECURRENT_bias; i++)
    CO_RETURN_IF_FAILED(co_check_real(desc, i, 0));
  const int64_t units = desc->in[CO_RECURRENT_recurrent].shape.dim[0];
  if (units < 1 || units > CO_RECURRENT_UNITS)
    return co_fail(CO_ERR_CONFIG, "recurrent: %lld units; 1 to %d are possible", (long long)units,
                   CO_RECURRENT_UNITS);
  const co_rnn_cell cell = desc->attr.cell;
  const int64_t width = co_rnn_gates(cell) * units;
  const co_shape kernel = {2, {x->dim[2], width}}, recurrent = {2, {units, width}};
  co_shape bias = co_shape_vector(width);
  if (cell == CO_CELL_GRU) bias = (co_shape){2, {2, width}};
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_RECURRENT_kernel, &kernel));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_RECURRENT_recurrent, &recurrent));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_RECURRENT_bias, &bias));
  const co_dtype dtype = desc->in[CO_RECURRENT_x].dtype;
  co_shape last = {2, {x->dim[0], units}}, y = {3, {x->dim[0], x->dim[1], units}}, saved = y;
  saved.dim[2] *= co_rnn_saved(cell);
  co_set_out(desc, CO_RECURRENT_last, dtype, &last);
  co_set_out(desc, CO_RECURRENT_y, dtype, &y);
  co_set_out(desc, CO_RECURRENT_saved, dtype, &saved);
  return CO_OK;
}

CO_INFER_BACKWARD(recurrent_backward)
#endif
