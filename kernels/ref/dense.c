// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(dense)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[0].shape.dim[0];
  int64_t I = desc->in[1].shape.dim[0], O = desc->in[1].shape.dim[1];
  const real *x = in[0], *w = in[1], *b = in[2]; // (N, I), (I, O), (O) or NULL
  real *y = out[0];                              // (N, O)
  uint8_t *mask = out[1];                        // (N, O) or NULL
  for (int64_t n = 0; n < N; n++)
    for (int64_t o = 0; o < O; o++) {
      double sum = b != NULL ? (double)b[o] : 0;
      for (int64_t i = 0; i < I; i++)
        sum += (double)x[n * I + i] * (double)w[i * O + o];
      y[n * O + o] = (real)co_activate(desc->attr.activation, sum);
      if (mask != NULL) mask[n * O + o] = y[n * O + o] > 0;
    }
}

void CO_REF(dense_backward_data)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[0].shape.dim[0];
  int64_t I = desc->in[1].shape.dim[0], O = desc->in[1].shape.dim[1];
  const real *dy = in[0], *w = in[1]; // (N, O), (I, O)
  real *dx = out[0];                  // (N, I)
  for (int64_t n = 0; n < N; n++)
    for (int64_t i = 0; i < I; i++) {
      double sum = 0;
      for (int64_t o = 0; o < O; o++)
        sum += (double)dy[n * O + o] * (double)w[i * O + o];
      co_put(desc, 0, &dx[n * I + i], sum);
    }
}

void CO_REF(dense_relu_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[0].shape.dim[0];
  int64_t I = desc->in[1].shape.dim[0], O = desc->in[1].shape.dim[1];
  const real *dy = in[0], *w = in[1]; // (N, O), (I, O)
  const uint8_t *mask = in[2];        // (N, I)
  real *dx = out[0], *db = out[1];    // (N, I), (I) or NULL
  for (int64_t i = 0; i < I; i++) {
    double total = 0;
    for (int64_t n = 0; n < N; n++) {
      double sum = 0;
      for (int64_t o = 0; mask[n * I + i] && o < O; o++)
        sum += (double)dy[n * O + o] * (double)w[i * O + o];
      co_put(desc, 0, &dx[n * I + i], sum);
      total += sum;
    }
    if (db != NULL) co_put(desc, 1, &db[i], total);
  }
}

void CO_REF(dense_backward_weights)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t N = desc->in[1].shape.dim[0];
  int64_t I = desc->out[0].shape.dim[0], O = desc->out[0].shape.dim[1];
  const real *x = in[0], *dy = in[1]; // (N, I), (N, O)
  real *dw = out[0], *db = out[1];    // (I, O), (O) or NULL
  for (int64_t i = 0; i < I; i++)
    for (int64_t o = 0; o < O; o++) {
      double sum = 0;
      for (int64_t n = 0; n < N; n++)
        sum += (double)x[n * I + i] * (double)dy[n * O + o];
      co_put(desc, 0, &dw[i * O + o], sum);
    }
  if (db == NULL) return;
  for (int64_t o = 0; o < O; o++) {
    double sum = 0;
    for (int64_t n = 0; n < N; n++)
      sum += (double)dy[n * O + o];
    co_put(desc, 1, &db[o], sum);
  }
}

#if CO_REF_ONCE
co_status co_infer_dense(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, CO_MAX_RANK));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 0));
  int64_t features = co_row_count(&desc->in[0].shape);
  int64_t I = desc->in[1].shape.dim[0], O = desc->in[1].shape.dim[1];
  if (features != I || O < 1) {
    char x[128], w[128];
    co_shape_print(&desc->in[0].shape, x, sizeof x);
    co_shape_print(&desc->in[1].shape, w, sizeof w);
    return co_fail(CO_ERR_CONFIG, "dense: input %s does not fit a kernel of shape %s", x, w);
  }
  if (desc->has_in >> 2 & 1) {
    co_shape bias = co_shape_vector(O);
    CO_RETURN_IF_FAILED(co_check_shape(desc, 2, &bias));
    CO_RETURN_IF_FAILED(co_check_real(desc, 2, 0));
  }
  co_shape y = co_shape_make(2, desc->in[0].shape.dim[0], O);
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  co_set_out(desc, 1, CO_U8, &y);
  return CO_OK;
}

co_status co_infer_dense_backward_data(co_op_desc *desc) {
  const co_shape *w = &desc->in[CO_DENSE_BACKWARD_DATA_w].shape;
  const co_shape *dy = &desc->in[CO_DENSE_BACKWARD_DATA_dy].shape;
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_DENSE_BACKWARD_DATA_dy, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_DENSE_BACKWARD_DATA_w, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_DENSE_BACKWARD_DATA_w, CO_DENSE_BACKWARD_DATA_dy));
  const co_shape rows = co_shape_make(2, dy->dim[0], w->dim[1]);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_DENSE_BACKWARD_DATA_dy, &rows));
  const co_shape dx = co_shape_make(2, dy->dim[0], w->dim[0]);
  co_set_out(desc, CO_DENSE_BACKWARD_DATA_dx, desc->in[CO_DENSE_BACKWARD_DATA_dy].dtype, &dx);
  return CO_OK;
}

CO_INFER_BACKWARD(dense_relu_backward)
CO_INFER_BACKWARD(dense_backward_weights)
#endif
