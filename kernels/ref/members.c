// SPDX-License-Identifier: Apache-2.0
// Operations of networks of several members: row n K + k is member k's of row n.
#include "kernels/ref/real.h"

void CO_REF(member_scale)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t K = desc->in[CO_MEMBER_SCALE_r].shape.dim[0];
  const int64_t I = desc->in[CO_MEMBER_SCALE_r].shape.dim[1];
  const int64_t N = desc->in[CO_MEMBER_SCALE_x].shape.dim[0];
  const real *x = in[CO_MEMBER_SCALE_x], *r = in[CO_MEMBER_SCALE_r];
  real *y = out[CO_MEMBER_SCALE_y];
  for (int64_t row = 0; row < N * K; row++)
    for (int64_t i = 0; i < I; i++)
      y[row * I + i] = (real)((double)x[row / K * I + i] * (double)r[row % K * I + i]);
}

void CO_REF(member_scale_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t K = desc->in[CO_MEMBER_SCALE_BACKWARD_r].shape.dim[0];
  const int64_t I = desc->in[CO_MEMBER_SCALE_BACKWARD_r].shape.dim[1];
  const int64_t N = desc->in[CO_MEMBER_SCALE_BACKWARD_x].shape.dim[0];
  const real *x = in[CO_MEMBER_SCALE_BACKWARD_x], *r = in[CO_MEMBER_SCALE_BACKWARD_r];
  const real *dy = in[CO_MEMBER_SCALE_BACKWARD_dy];
  real *dx = out[CO_MEMBER_SCALE_BACKWARD_dx], *dr = out[CO_MEMBER_SCALE_BACKWARD_dr];
  for (int64_t n = 0; dx != NULL && n < N; n++)
    for (int64_t i = 0; i < I; i++) {
      double sum = 0;
      for (int64_t k = 0; k < K; k++)
        sum += (double)dy[(n * K + k) * I + i] * (double)r[k * I + i];
      co_put(desc, CO_MEMBER_SCALE_BACKWARD_dx, &dx[n * I + i], sum);
    }
  for (int64_t c = 0; c < K * I; c++) {
    double sum = 0;
    for (int64_t n = 0; n < N; n++)
      sum += (double)dy[n * K * I + c] * (double)x[n * I + c % I];
    co_put(desc, CO_MEMBER_SCALE_BACKWARD_dr, &dr[c], sum);
  }
}

void CO_REF(member_dense)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_MEMBER_DENSE_w].shape.dim, K = dim[0], I = dim[1], O = dim[2];
  const int64_t rows = desc->in[CO_MEMBER_DENSE_x].shape.dim[0];
  const real *x = in[CO_MEMBER_DENSE_x], *w = in[CO_MEMBER_DENSE_w], *b = in[CO_MEMBER_DENSE_b];
  real *y = out[CO_MEMBER_DENSE_y];
  for (int64_t row = 0; row < rows; row++)
    for (int64_t o = 0; o < O; o++) {
      const int64_t k = row % K;
      double sum = (double)b[k * O + o];
      for (int64_t i = 0; i < I; i++)
        sum += (double)x[row * I + i] * (double)w[(k * I + i) * O + o];
      y[row * O + o] = (real)sum;
    }
}

void CO_REF(member_dense_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_MEMBER_DENSE_BACKWARD_w].shape.dim;
  const int64_t K = dim[0], I = dim[1], O = dim[2];
  const int64_t rows = desc->in[CO_MEMBER_DENSE_BACKWARD_x].shape.dim[0];
  const real *x = in[CO_MEMBER_DENSE_BACKWARD_x], *w = in[CO_MEMBER_DENSE_BACKWARD_w];
  const real *dy = in[CO_MEMBER_DENSE_BACKWARD_dy];
  real *dx = out[CO_MEMBER_DENSE_BACKWARD_dx], *dw = out[CO_MEMBER_DENSE_BACKWARD_dw];
  real *db = out[CO_MEMBER_DENSE_BACKWARD_db];
  for (int64_t row = 0; dx != NULL && row < rows; row++)
    for (int64_t i = 0; i < I; i++) {
      double sum = 0;
      for (int64_t o = 0; o < O; o++)
        sum += (double)dy[row * O + o] * (double)w[(row % K * I + i) * O + o];
      co_put(desc, CO_MEMBER_DENSE_BACKWARD_dx, &dx[row * I + i], sum);
    }
  for (int64_t k = 0; k < K; k++)
    for (int64_t o = 0; o < O; o++) {
      double total = 0;
      for (int64_t row = k; row < rows; row += K)
        total += (double)dy[row * O + o];
      co_put(desc, CO_MEMBER_DENSE_BACKWARD_db, &db[k * O + o], total);
      for (int64_t i = 0; i < I; i++) {
        double sum = 0;
        for (int64_t row = k; row < rows; row += K)
          sum += (double)x[row * I + i] * (double)dy[row * O + o];
        co_put(desc, CO_MEMBER_DENSE_BACKWARD_dw, &dw[(k * I + i) * O + o], sum);
      }
    }
}

#if CO_REF_ONCE
void co_add_exponential(co_exponentials *sum, double x) {
  if (x > sum->largest) {
    sum->total = sum->total * exp(sum->largest - x) + 1;
    sum->largest = x;
  } else {
    sum->total += exp(x - sum->largest);
  }
}
#endif

// Logarithm of a row's probability: of a sigmoid, that of being so; `other`: of not. Of a softmax, of
// class o; `other` 0.
static double log_probability(co_link link, const real *x, int64_t O, int64_t o, double *other) {
  if (link == CO_LINK_SIGMOID) {
    const double value = (double)x[o], near = log1p(exp(-fabs(value)));
    *other = -((value >= 0 ? value : 0) + near);
    return -((value >= 0 ? 0 : -value) + near);
  }
  co_exponentials all = {-(double)INFINITY, 0};
  for (int64_t i = 0; i < O; i++)
    co_add_exponential(&all, (double)x[i]);
  *other = 0;
  return (double)x[o] - all.largest - log(all.total);
}

// Means of probabilities by their logarithms, so that none is 0.
void CO_REF(member_mean)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_shape *shape = &desc->in[CO_MEMBER_MEAN_x].shape;
  const int64_t K = desc->attr.members, O = shape->dim[1], N = shape->dim[0] / K;
  const co_link link = desc->attr.link;
  real *y = out[CO_MEMBER_MEAN_y];
  for (int64_t n = 0; n < N; n++)
    for (int64_t o = 0; o < O; o++) {
      co_exponentials so = {-(double)INFINITY, 0}, others = so;
      double sum = 0, other;
      for (int64_t k = 0; k < K; k++) {
        const real *row = (const real *)in[CO_MEMBER_MEAN_x] + (n * K + k) * O;
        sum += (double)row[o];
        if (link == CO_LINK_NONE) continue;
        co_add_exponential(&so, log_probability(link, row, O, o, &other));
        co_add_exponential(&others, other);
      }
      y[n * O + o] = (real)(link == CO_LINK_NONE
                                ? sum / (double)K
                                : so.largest - others.largest + log(so.total) - log(others.total));
    }
}

void CO_REF(repeat)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_tensor_desc *x = &desc->in[CO_REPEAT_x];
  const int64_t K = desc->attr.members, N = x->shape.dim[0], size = co_row_count(&x->shape);
  const size_t bytes = (size_t)size * co_dtype_size(x->dtype);
  for (int64_t row = 0; row < N * K; row++) {
    if (x->dtype == CO_F32 || x->dtype == CO_F64) {
      const real *from = (const real *)in[CO_REPEAT_x] + row / K * size;
      real *to = (real *)out[CO_REPEAT_y] + row * size;
      for (int64_t i = 0; i < size; i++)
        to[i] = (real)((double)from[i] * desc->attr.factor);
    } else if (bytes) {
      memcpy((char *)out[CO_REPEAT_y] + (size_t)row * bytes,
             (const char *)in[CO_REPEAT_x] + (size_t)(row / K) * bytes, bytes);
    }
  }
}

#if CO_REF_ONCE
// Rows times the members, rows divided by them; 0 where that cannot be.
static int64_t times(int64_t rows, int64_t members) {
  if (rows == CO_DIM_N) return CO_DIM_MEMBERS(members);
  return rows > 0 && rows <= INT64_MAX / members ? rows * members : 0;
}

static int64_t divided(int64_t rows, int64_t members) {
  if (rows < 0) return co_dim_members(rows) == members ? CO_DIM_N : 0;
  return rows % members == 0 ? rows / members : 0;
}

static co_status refuse_rows(const co_op_desc *desc, int64_t members) {
  char have[96];
  co_shape_print(&desc->in[0].shape, have, sizeof have);
  return co_fail(CO_ERR_CONFIG, "%s: %s is not what %lld members work on",
                 co_op_get_info(desc->op)->name, have, (long long)members);
}

co_status co_infer_member_scale(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_MEMBER_SCALE_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_MEMBER_SCALE_x, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_MEMBER_SCALE_r, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_MEMBER_SCALE_r, CO_MEMBER_SCALE_x));
  const int64_t K = desc->in[CO_MEMBER_SCALE_r].shape.dim[0];
  const co_shape r = co_shape_make(2, K, x->shape.dim[1]);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_MEMBER_SCALE_r, &r));
  const co_shape y = co_shape_make(2, K > 0 ? times(x->shape.dim[0], K) : 0, x->shape.dim[1]);
  if (y.dim[0] == 0) return refuse_rows(desc, K);
  co_set_out(desc, CO_MEMBER_SCALE_y, x->dtype, &y);
  return CO_OK;
}

co_status co_infer_member_dense(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_MEMBER_DENSE_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_MEMBER_DENSE_x, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_MEMBER_DENSE_w, 3, 3));
  const int64_t K = desc->in[CO_MEMBER_DENSE_w].shape.dim[0];
  const int64_t O = desc->in[CO_MEMBER_DENSE_w].shape.dim[2];
  const co_shape w = co_shape_make(3, K, x->shape.dim[1], O), b = co_shape_make(2, K, O);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_MEMBER_DENSE_w, &w));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_MEMBER_DENSE_b, &b));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_MEMBER_DENSE_w, CO_MEMBER_DENSE_x));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_MEMBER_DENSE_b, CO_MEMBER_DENSE_x));
  if (K < 1 || divided(x->shape.dim[0], K) == 0) return refuse_rows(desc, K);
  const co_shape y = co_shape_make(2, x->shape.dim[0], O);
  co_set_out(desc, CO_MEMBER_DENSE_y, x->dtype, &y);
  return CO_OK;
}

co_status co_infer_member_mean(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_MEMBER_MEAN_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_MEMBER_MEAN_x, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_MEMBER_MEAN_x, CO_MEMBER_MEAN_x));
  const int64_t K = desc->attr.members, N = K > 0 ? divided(x->shape.dim[0], K) : 0;
  if (N == 0) return refuse_rows(desc, K);
  const co_shape y = co_shape_make(2, N, x->shape.dim[1]);
  co_set_out(desc, CO_MEMBER_MEAN_y, x->dtype, &y);
  return CO_OK;
}

co_status co_infer_repeat(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_REPEAT_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_REPEAT_x, 1, CO_MAX_RANK));
  co_shape y = x->shape;
  y.dim[0] = desc->attr.members > 0 ? times(y.dim[0], desc->attr.members) : 0;
  if (y.dim[0] == 0) return refuse_rows(desc, desc->attr.members);
  co_set_out(desc, CO_REPEAT_y, x->dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(member_scale_backward)
CO_INFER_BACKWARD(member_dense_backward)
#endif
