// SPDX-License-Identifier: Apache-2.0
// Gradients of the parameters are added up event by event in `real`, not in double at the end: there
// is nowhere to keep them.
#include "kernels/ref/real.h"

enum { GATES = 4 }; // i f c o

typedef struct sizes {
  int64_t N, T, I, U;
} sizes;

static sizes sizes_of(const co_op_desc *desc) {
  const int64_t *x = desc->in[0].shape.dim;
  return (sizes){x[0], x[1], x[2], desc->in[3].shape.dim[0]};
}

static double sigmoid(double z) {
  return 1 / (1 + exp(-z));
}

// One event of one row: gates (4 U) of x (I) and h (U).
static void gates_of(const sizes *s, const real *x, const double *h, void *const *in,
                     double *gates) {
  const real *kernel = in[2], *recurrent = in[3], *bias = in[4];
  const int64_t width = GATES * s->U;
  for (int64_t j = 0; j < width; j++) {
    double z = (double)bias[j];
    for (int64_t i = 0; i < s->I; i++)
      z += (double)x[i] * (double)kernel[i * width + j];
    for (int64_t u = 0; u < s->U; u++)
      z += h[u] * (double)recurrent[u * width + j];
    gates[j] = j / s->U == 2 ? tanh(z) : sigmoid(z);
  }
}

static void put_all(real *to, const double *from, int64_t count) {
  for (int64_t i = 0; to != NULL && i < count; i++)
    to[i] = from != NULL ? (real)from[i] : 0;
}

static real *at(void *base, int64_t row, int64_t width) {
  return base != NULL ? (real *)base + row * width : NULL;
}

void CO_REF(lstm)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(desc);
  const int64_t U = s.U;
  for (int64_t n = 0; n < s.N; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_LSTM_lengths])[n], s.T);
    double h[CO_LSTM_UNITS] = {0}, c[CO_LSTM_UNITS] = {0}, gates[GATES * CO_LSTM_UNITS];
    for (int64_t t = 0; t < s.T; t++) {
      const int64_t row = n * s.T + t;
      const bool event = t < length;
      if (event) gates_of(&s, (const real *)in[0] + row * s.I, h, in, gates);
      for (int64_t u = 0; event && u < U; u++) {
        c[u] = gates[U + u] * c[u] + gates[u] * gates[2 * U + u];
        h[u] = gates[3 * U + u] * tanh(c[u]);
      }
      put_all(at(out[1], row, U), event ? h : NULL, U);
      put_all(at(out[2], row, GATES * U), event ? gates : NULL, GATES * U);
      put_all(at(out[3], row, U), event ? c : NULL, U);
    }
    put_all(at(out[0], n, U), h, U);
  }
}

// ---- backward ----------------------------------------------------------------------------------

// The gradient with respect to the gates' sums, dz (4 U), of one event; dh and dc (U) are those of
// its result and cell on the way in, dc that of the cell before on the way out.
static void gates_backward(const sizes *s, const real *gates, const real *c, const real *c_before,
                           const double *dh, double *dc, double *dz) {
  const int64_t U = s->U;
  for (int64_t u = 0; u < U; u++) {
    double i = (double)gates[u], f = (double)gates[U + u];
    double g = (double)gates[2 * U + u], o = (double)gates[3 * U + u];
    double before = c_before != NULL ? (double)c_before[u] : 0, bent = tanh((double)c[u]);
    double d = dc[u] + dh[u] * o * (1 - bent * bent);
    dz[u] = d * g * i * (1 - i);
    dz[U + u] = d * before * f * (1 - f);
    dz[2 * U + u] = d * i * (1 - g * g);
    dz[3 * U + u] = dh[u] * bent * o * (1 - o);
    dc[u] = d * f;
  }
}

// Row `i` of a kernel times dz.
static double product(const real *kernel, int64_t i, const double *dz, int64_t width) {
  double sum = 0;
  for (int64_t j = 0; j < width; j++)
    sum += dz[j] * (double)kernel[i * width + j];
  return sum;
}

static void add_outer(real *to, double value, const double *dz, int64_t width) {
  for (int64_t j = 0; j < width; j++)
    to[j] = (real)((double)to[j] + value * dz[j]);
}

static void clear(const co_op_desc *desc, int output, void *values) {
  if (values != NULL && !co_accumulates(desc, output))
    memset(values, 0, co_tensor_bytes(&desc->out[output]));
}

void CO_REF(lstm_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const sizes s = sizes_of(desc);
  const int64_t U = s.U, width = GATES * U;
  const real *dlast = (desc->has_in >> 6 & 1) ? in[6] : NULL;
  const real *dy = (desc->has_in >> 7 & 1) ? in[7] : NULL;
  for (int k = 0; k < 4; k++)
    clear(desc, k, out[k]);
  for (int64_t n = 0; n < s.N; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_LSTM_lengths])[n], s.T);
    double dh[CO_LSTM_UNITS] = {0}, dc[CO_LSTM_UNITS] = {0}, dz[GATES * CO_LSTM_UNITS];
    for (int64_t u = 0; dlast != NULL && u < U; u++)
      dh[u] = (double)dlast[n * U + u];
    for (int64_t t = length; t-- > 0;) {
      const int64_t row = n * s.T + t;
      const real *x = (const real *)in[0] + row * s.I, *gates = at(in[4], row, width);
      const real *c = at(in[5], row, U), *c_before = t > 0 ? c - U : NULL;
      for (int64_t u = 0; dy != NULL && u < U; u++)
        dh[u] += (double)dy[row * U + u];
      gates_backward(&s, gates, c, c_before, dh, dc, dz);
      for (int64_t i = 0; i < s.I; i++) {
        if (out[0] != NULL) {
          real *dx = (real *)out[0] + row * s.I + i;
          co_put(desc, 0, dx, product(in[2], i, dz, width));
        }
        add_outer((real *)out[1] + i * width, (double)x[i], dz, width);
      }
      for (int64_t u = 0; u < U; u++) {
        dh[u] = product(in[3], u, dz, width);
        if (t == 0) continue;
        double before = (double)gates[3 * U + u - width] * tanh((double)c_before[u]);
        add_outer((real *)out[2] + u * width, before, dz, width);
      }
      add_outer(out[3], 1, dz, width);
    }
  }
}

#if CO_REF_ONCE
static co_status check_lengths(const co_op_desc *desc) {
  co_shape rows = co_shape_vector(desc->in[0].shape.dim[0]);
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 1, CO_I32));
  return co_check_shape(desc, 1, &rows);
}

co_status co_infer_lstm(co_op_desc *desc) {
  const co_shape *x = &desc->in[0].shape;
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 3, 3));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 3, 2, 2));
  CO_RETURN_IF_FAILED(check_lengths(desc));
  for (int i = 2; i < 5; i++)
    CO_RETURN_IF_FAILED(co_check_real(desc, i, 0));
  const int64_t units = desc->in[3].shape.dim[0];
  if (units < 1 || units > CO_LSTM_UNITS)
    return co_fail(CO_ERR_CONFIG, "lstm: %lld units; 1 to %d are possible", (long long)units,
                   CO_LSTM_UNITS);
  const co_shape kernel = {2, {x->dim[2], GATES * units}}, recurrent = {2, {units, GATES * units}};
  const co_shape bias = co_shape_vector(GATES * units);
  CO_RETURN_IF_FAILED(co_check_shape(desc, 2, &kernel));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 3, &recurrent));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 4, &bias));
  co_shape last = {2, {x->dim[0], units}}, y = {3, {x->dim[0], x->dim[1], units}}, gates = y;
  gates.dim[2] = GATES * units;
  co_set_out(desc, 0, desc->in[0].dtype, &last);
  co_set_out(desc, 1, desc->in[0].dtype, &y);
  co_set_out(desc, 2, desc->in[0].dtype, &gates);
  co_set_out(desc, 3, desc->in[0].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(lstm_backward)
#endif
