// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

// A row's column as its entry {begin in x, begin in target, size, kind} says.
typedef struct part {
  const real *x, *target;
  int64_t begin, size;
  co_part kind;
} part;

static part part_of(const co_op_desc *desc, void *const *in, int64_t n, int64_t f) {
  const int32_t *c = (const int32_t *)in[CO_COLUMN_LOSS_columns] + 4 * f;
  const int64_t W = desc->in[CO_COLUMN_LOSS_x].shape.dim[1];
  const int64_t V = desc->in[CO_COLUMN_LOSS_target].shape.dim[1];
  return (part){(const real *)in[CO_COLUMN_LOSS_x] + n * W + c[0],
                (const real *)in[CO_COLUMN_LOSS_target] + n * V + c[1], c[0], c[2], (co_part)c[3]};
}

// The sum of exponentials of logits less the largest.
static double exponentials(const part *p, double *largest) {
  double sum = 0;
  *largest = (double)p->x[0];
  for (int64_t k = 1; k < p->size; k++)
    *largest = fmax(*largest, (double)p->x[k]);
  for (int64_t k = 0; k < p->size; k++)
    sum += exp((double)p->x[k] - *largest);
  return sum;
}

static double loss_of(const part *p) {
  double sum = 0, largest;
  if (p->kind == CO_PART_CLASSES) {
    const double t = (double)p->target[0];
    if (!(t >= 0 && t < (double)p->size)) return (double)NAN;
    sum = exponentials(p, &largest);
    return log(sum) + (largest - (double)p->x[(int64_t)t]);
  }
  for (int64_t k = 0; k < p->size; k++) {
    const double x = (double)p->x[k], t = (double)p->target[k], error = x - t;
    sum +=
        p->kind == CO_PART_VALUES ? error * error : (x > 0 ? x : 0) - t * x + log1p(exp(-fabs(x)));
  }
  return sum / (double)p->size;
}

void CO_REF(column_loss)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_COLUMN_LOSS_x].shape.dim[0];
  const int64_t F = desc->in[CO_COLUMN_LOSS_columns].shape.dim[0];
  real *y = out[CO_COLUMN_LOSS_y];
  for (int64_t n = 0; n < N; n++)
    for (int64_t f = 0; f < F; f++) {
      const part p = part_of(desc, in, n, f);
      y[n * F + f] = (real)loss_of(&p);
    }
}

static double slope_of(const part *p, int64_t k, double largest, double sum) {
  const double x = (double)p->x[k];
  if (p->kind == CO_PART_VALUES) return 2 * (x - (double)p->target[k]) / (double)p->size;
  if (p->kind == CO_PART_LOGITS)
    return (1 / (1 + exp(-x)) - (double)p->target[k]) / (double)p->size;
  const double t = (double)p->target[0];
  if (!(t >= 0 && t < (double)p->size)) return (double)NAN;
  return exp(x - largest) / sum - (k == (int64_t)t ? 1 : 0);
}

void CO_REF(column_loss_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t N = desc->in[CO_COLUMN_LOSS_BACKWARD_x].shape.dim[0];
  const int64_t W = desc->in[CO_COLUMN_LOSS_BACKWARD_x].shape.dim[1];
  const int64_t F = desc->in[CO_COLUMN_LOSS_BACKWARD_columns].shape.dim[0];
  const real *dy = in[CO_COLUMN_LOSS_BACKWARD_dy];
  real *dx = out[CO_COLUMN_LOSS_BACKWARD_dx];
  for (int64_t n = 0; n < N; n++)
    for (int64_t f = 0; f < F; f++) {
      const part p = part_of(desc, in, n, f);
      double largest = 0, sum = 0;
      if (p.kind == CO_PART_CLASSES) sum = exponentials(&p, &largest);
      for (int64_t k = 0; k < p.size; k++)
        co_put(desc, CO_COLUMN_LOSS_BACKWARD_dx, &dx[n * W + p.begin + k],
               (double)dy[n * F + f] * slope_of(&p, k, largest, sum));
    }
}

#if CO_REF_ONCE
co_status co_infer_column_loss(co_op_desc *desc) {
  const co_tensor_desc *x = &desc->in[CO_COLUMN_LOSS_x];
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_COLUMN_LOSS_x, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_COLUMN_LOSS_target, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_COLUMN_LOSS_columns, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_COLUMN_LOSS_target, CO_COLUMN_LOSS_x));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_COLUMN_LOSS_columns, CO_I32));
  const co_shape *columns = &desc->in[CO_COLUMN_LOSS_columns].shape;
  const co_shape target = co_shape_make(2, x->shape.dim[0], desc->in[1].shape.dim[1]);
  const co_shape entries = co_shape_make(2, columns->dim[0], (int64_t)4);
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_COLUMN_LOSS_target, &target));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_COLUMN_LOSS_columns, &entries));
  const co_shape y = co_shape_make(2, x->shape.dim[0], columns->dim[0]);
  co_set_out(desc, CO_COLUMN_LOSS_y, x->dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(column_loss_backward)
#endif
