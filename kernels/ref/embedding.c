// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

void CO_REF(embedding)(const co_op_desc *desc, void *const *in, void *const *out) {
  int64_t count = co_shape_count(&desc->in[0].shape);
  int64_t V = desc->in[1].shape.dim[0], D = desc->in[1].shape.dim[1];
  const int32_t *index = in[0]; // (N, …)
  const real *table = in[1];    // (V, D)
  real *y = out[0];             // (N, …, D)
  for (int64_t i = 0; i < count; i++)
    for (int64_t d = 0; d < D; d++)
      y[i * D + d] = index[i] >= 0 && index[i] < V ? table[index[i] * D + d] : (real)NAN;
}

void CO_REF(embedding_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  enum { AT_ONCE = 64 }; // columns
  int64_t count = co_shape_count(&desc->in[0].shape);
  int64_t V = desc->out[0].shape.dim[0], D = desc->out[0].shape.dim[1];
  const int32_t *index = in[0]; // (N, …)
  const real *dy = in[1];       // (N, …, D)
  real *dtable = out[0];        // (V, D)
  for (int64_t v = 0; v < V; v++)
    for (int64_t first = 0; first < D; first += AT_ONCE) {
      int64_t columns = D - first < AT_ONCE ? D - first : AT_ONCE;
      double sums[AT_ONCE] = {0};
      for (int64_t i = 0; i < count; i++)
        for (int64_t d = 0; index[i] == v && d < columns; d++)
          sums[d] += (double)dy[i * D + first + d];
      for (int64_t d = 0; d < columns; d++)
        co_put(desc, 0, &dtable[v * D + first + d], sums[d]);
    }
}

#if CO_REF_ONCE
co_status co_infer_embedding(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, CO_MAX_RANK - 1));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 0, CO_I32));
  CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 2, 2));
  CO_RETURN_IF_FAILED(co_check_real(desc, 1, 1));
  co_shape y = desc->in[0].shape;
  y.dim[y.rank++] = desc->in[1].shape.dim[1];
  co_set_out(desc, 0, desc->in[1].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(embedding_backward)
#endif
