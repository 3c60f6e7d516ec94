// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/pool.h"

// Statistics are over all elements of a channel; channels are the last dimension.
static int64_t channels(const co_shape *x) {
  return x->dim[x->rank - 1];
}

// y (N, P, Q, C) and argmax of channel c of x (N, H, W, C), normalised.
static void CO_REF(pool_channel)(const co_op_desc *desc, const real *x, real *y, int32_t *argmax,
                                 int64_t c, double center, double scale, double shift) {
  const co_pool s = co_pool_of(&desc->attr, &desc->in[0].shape, &desc->out[0].shape);
  const bool relu = desc->attr.activation == CO_ACTIVATION_RELU;
  for (int64_t i = 0; i < s.windows; i++) {
    double best = 0;
    int32_t winner = -1;
    for (int32_t k = 0; k < s.KH * s.KW; k++) {
      const int64_t pixel = co_pool_pixel(&s, i, k);
      if (pixel < 0) continue;
      const double value = ((double)x[pixel * s.C + c] - center) * scale + shift;
      if (winner >= 0 && !(value > best)) continue;
      best = value;
      winner = k;
    }
    y[i * s.C + c] = (real)co_activate(desc->attr.activation, best);
    argmax[i * s.C + c] = relu && !(best > 0) ? -1 : winner;
  }
}

void CO_REF(batch_norm)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t C = channels(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / C;
  const real *x = in[0], *gamma = in[1], *beta = in[2]; // (N, …, C), (C), (C)
  const real *running_mean = in[3], *running_variance = in[4];
  real *y = out[0], *mean = out[1], *variance = out[2], *new_mean = out[3], *new_variance = out[4];
  int32_t *argmax = out[CO_BATCH_NORM_argmax]; // or NULL
  const double momentum = desc->attr.momentum;
  for (int64_t c = 0; c < C; c++) {
    double sum = 0, squares = 0;
    for (int64_t r = 0; r < rows; r++)
      sum += (double)x[r * C + c];
    double center = sum / (double)rows;
    for (int64_t r = 0; r < rows; r++) {
      double distance = (double)x[r * C + c] - center;
      squares += distance * distance;
    }
    double spread = squares / (double)rows;
    double scale = (double)gamma[c] / sqrt(spread + desc->attr.epsilon);
    if (argmax != NULL) CO_REF(pool_channel)(desc, x, y, argmax, c, center, scale, (double)beta[c]);
    for (int64_t r = 0; argmax == NULL && r < rows; r++) {
      double value = ((double)x[r * C + c] - center) * scale + (double)beta[c];
      y[r * C + c] = (real)co_activate(desc->attr.activation, value);
    }
    mean[c] = (real)center;
    variance[c] = (real)spread;
    bool finite = isfinite(center) && isfinite(spread);
    double kept = finite ? momentum : 1; // a batch that is not finite leaves the state alone
    new_mean[c] = (real)(kept * (double)running_mean[c] + (finite ? (1 - kept) * center : 0));
    new_variance[c] =
        (real)(kept * (double)running_variance[c] + (finite ? (1 - kept) * spread : 0));
  }
}

// The gradient of element `at` of the normalised: below a pool or a relu, if there is one.
static double CO_REF(gradient_of)(const co_op_desc *desc, void *const *in, int64_t at) {
  const real *dy = in[CO_BATCH_NORM_BACKWARD_dy], *y = in[CO_BATCH_NORM_BACKWARD_y];
  const int32_t *argmax = in[CO_BATCH_NORM_BACKWARD_argmax];
  if (argmax != NULL) {
    const co_pool s = co_pool_of(&desc->attr, &desc->in[CO_BATCH_NORM_BACKWARD_x].shape,
                                 &desc->in[CO_BATCH_NORM_BACKWARD_dy].shape);
    return CO_REF(unpooled)(&s, dy, argmax, at);
  }
  return y == NULL || y[at] > 0 ? (double)dy[at] : 0;
}

void CO_REF(batch_norm_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t C = channels(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / C;
  const real *x = in[0], *gamma = in[1], *mean = in[2], *variance = in[3];
  real *dx = out[0], *dgamma = out[1], *dbeta = out[2];
  for (int64_t c = 0; c < C; c++) {
    double inverse = 1 / sqrt((double)variance[c] + desc->attr.epsilon);
    double sum = 0, product = 0; // of dy, and of dy times the normalised x
    for (int64_t r = 0; r < rows; r++) {
      double d = CO_REF(gradient_of)(desc, in, r * C + c);
      sum += d;
      product += d * ((double)x[r * C + c] - (double)mean[c]) * inverse;
    }
    for (int64_t r = 0; r < rows; r++) {
      double normalised = ((double)x[r * C + c] - (double)mean[c]) * inverse;
      double d = CO_REF(gradient_of)(desc, in, r * C + c);
      double through = d - (sum + normalised * product) / (double)rows;
      co_put(desc, 0, &dx[r * C + c], (double)gamma[c] * inverse * through);
    }
    co_put(desc, 1, &dgamma[c], product);
    co_put(desc, 2, &dbeta[c], sum);
  }
}

void CO_REF(batch_norm_inference)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t C = channels(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / C;
  const real *x = in[0], *gamma = in[1], *beta = in[2];
  const real *running_mean = in[3], *running_variance = in[4];
  real *y = out[0];
  for (int64_t c = 0; c < C; c++) {
    double scale = (double)gamma[c] / sqrt((double)running_variance[c] + desc->attr.epsilon);
    for (int64_t r = 0; r < rows; r++) {
      double value = ((double)x[r * C + c] - (double)running_mean[c]) * scale + (double)beta[c];
      y[r * C + c] = (real)co_activate(desc->attr.activation, value);
    }
  }
}

void CO_REF(batch_norm_inference_backward)(const co_op_desc *desc, void *const *in,
                                           void *const *out) {
  int64_t C = channels(&desc->in[0].shape), rows = co_shape_count(&desc->in[0].shape) / C;
  const real *dy = in[0], *gamma = in[1], *running_variance = in[2];
  real *dx = out[0];
  for (int64_t c = 0; c < C; c++) {
    double scale = (double)gamma[c] / sqrt((double)running_variance[c] + desc->attr.epsilon);
    for (int64_t r = 0; r < rows; r++)
      co_put(desc, 0, &dx[r * C + c], scale * (double)dy[r * C + c]);
  }
}

#if CO_REF_ONCE
static co_status check_inputs(const co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 2, CO_MAX_RANK));
  int64_t C = channels(&desc->in[0].shape);
  if (C < 1) return co_fail(CO_ERR_CONFIG, "batch_norm: the channels must be known");
  co_shape vector = co_shape_vector(C);
  for (int i = 1; i < 5; i++) {
    CO_RETURN_IF_FAILED(co_check_real(desc, i, 0));
    CO_RETURN_IF_FAILED(co_check_shape(desc, i, &vector));
  }
  if (!(desc->attr.epsilon > 0))
    return co_fail(CO_ERR_CONFIG, "batch_norm: epsilon must be positive");
  return CO_OK;
}

co_status co_infer_batch_norm(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(check_inputs(desc));
  if (!(desc->attr.momentum >= 0 && desc->attr.momentum <= 1))
    return co_fail(CO_ERR_CONFIG, "batch_norm: momentum must be within 0 and 1");
  co_shape y = desc->in[0].shape;
  if (desc->has_out >> CO_BATCH_NORM_argmax & 1) {
    CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
    CO_RETURN_IF_FAILED(co_check_pool(desc, &y.dim[1], &y.dim[2]));
    co_set_out(desc, CO_BATCH_NORM_argmax, CO_I32, &y);
  }
  co_set_out(desc, 0, desc->in[0].dtype, &y);
  for (int i = 1; i < 5; i++)
    co_set_out(desc, i, desc->in[0].dtype, &desc->in[1].shape);
  return CO_OK;
}

co_status co_infer_batch_norm_inference(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(check_inputs(desc));
  co_set_out(desc, 0, desc->in[0].dtype, &desc->in[0].shape);
  return CO_OK;
}

CO_INFER_BACKWARD(batch_norm_backward)
CO_INFER_BACKWARD(batch_norm_inference_backward)
#endif
