// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(copy_events)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_COPY_EVENTS_score].shape.dim, N = dim[0], T = dim[1];
  const int64_t K = desc->in[CO_COPY_EVENTS_x].shape.dim[1];
  const double shift = log(desc->attr.factor);
  for (int64_t n = 0; n < N; n++) {
    const int64_t length = co_clamp_length(((const int32_t *)in[CO_COPY_EVENTS_lengths])[n], T);
    const int32_t *codes = (const int32_t *)in[CO_COPY_EVENTS_codes] + n * T;
    const real *score = (const real *)in[CO_COPY_EVENTS_score] + n * T;
    const real *x = (const real *)in[CO_COPY_EVENTS_x] + n * K;
    real *y = (real *)out[CO_COPY_EVENTS_y] + n * K;
    for (int64_t k = 0; k < K; k++) {
      double most = (double)x[k], sum = 0;
      for (int64_t t = 0; t < length; t++)
        if (co_class_of_code(codes[t], K) == k && (double)score[t] + shift > most)
          most = (double)score[t] + shift;
      for (int64_t t = 0; t < length; t++)
        if (co_class_of_code(codes[t], K) == k) sum += exp((double)score[t] + shift - most);
      y[k] = (real)(most + log(sum + exp((double)x[k] - most)));
    }
  }
}

void CO_REF(copy_events_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  const int64_t *dim = desc->in[CO_COPY_EVENTS_BACKWARD_score].shape.dim, N = dim[0], T = dim[1];
  const int64_t K = desc->in[CO_COPY_EVENTS_BACKWARD_x].shape.dim[1];
  const double shift = log(desc->attr.factor);
  const int32_t *lengths = in[CO_COPY_EVENTS_BACKWARD_lengths];
  const int32_t *codes = in[CO_COPY_EVENTS_BACKWARD_codes];
  const real *x = in[CO_COPY_EVENTS_BACKWARD_x], *score = in[CO_COPY_EVENTS_BACKWARD_score];
  const real *y = in[CO_COPY_EVENTS_BACKWARD_y], *dy = in[CO_COPY_EVENTS_BACKWARD_dy];
  real *dx = out[CO_COPY_EVENTS_BACKWARD_dx], *dscore = out[CO_COPY_EVENTS_BACKWARD_dscore];
  for (int64_t i = 0; dx != NULL && i < N * K; i++)
    co_put(desc, CO_COPY_EVENTS_BACKWARD_dx, &dx[i],
           (double)dy[i] * exp((double)x[i] - (double)y[i]));
  for (int64_t i = 0; dscore != NULL && i < N * T; i++) {
    const int64_t n = i / T, k = co_class_of_code(codes[i], K);
    const bool counts = k >= 0 && i % T < co_clamp_length(lengths[n], T);
    co_put(desc, CO_COPY_EVENTS_BACKWARD_dscore, &dscore[i],
           counts ? (double)dy[n * K + k] * exp((double)score[i] + shift - (double)y[n * K + k])
                  : 0);
  }
}

#if CO_REF_ONCE
co_status co_infer_copy_events(co_op_desc *desc) {
  const co_shape *x = &desc->in[CO_COPY_EVENTS_x].shape;
  const co_shape *score = &desc->in[CO_COPY_EVENTS_score].shape;
  if (!(desc->attr.factor > 0))
    return co_fail(CO_ERR_CONFIG, "copy_events: the factor must be positive");
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_COPY_EVENTS_x, 2, 2));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_COPY_EVENTS_score, 3, 3));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_COPY_EVENTS_score, CO_COPY_EVENTS_x));
  const co_shape rows = {1, {x->dim[0]}}, events = {3, {x->dim[0], score->dim[1], 1}};
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_COPY_EVENTS_score, &events));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_COPY_EVENTS_codes, CO_I32));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_COPY_EVENTS_codes, &events));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, CO_COPY_EVENTS_lengths, CO_I32));
  CO_RETURN_IF_FAILED(co_check_shape(desc, CO_COPY_EVENTS_lengths, &rows));
  co_set_out(desc, CO_COPY_EVENTS_y, desc->in[CO_COPY_EVENTS_x].dtype, x);
  return CO_OK;
}

CO_INFER_BACKWARD(copy_events_backward)
#endif
