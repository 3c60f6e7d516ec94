// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

enum { MOST_TABLES = CO_OP_MAX_OPERANDS / 2 }; // each has two operands, the first at 2 t

void CO_REF(embedding)(const co_op_desc *desc, void *const *in, void *const *out) {
  for (int t = 0; t < MOST_TABLES; t++) {
    if ((desc->has_out >> t & 1) == 0) continue;
    const co_tensor_desc *operands = &desc->in[2 * t];
    int64_t count = co_shape_count(&operands[0].shape);
    int64_t V = operands[1].shape.dim[0], D = operands[1].shape.dim[1];
    const int32_t *index = in[2 * t];  // (N, …)
    const real *table = in[2 * t + 1]; // (V, D)
    real *y = out[t];                  // (N, …, D)
    for (int64_t i = 0; i < count; i++)
      for (int64_t d = 0; d < D; d++)
        y[i * D + d] = index[i] >= 0 && index[i] < V ? table[index[i] * D + d] : (real)NAN;
  }
}

static void table_gradient(const co_op_desc *desc, int t, const int32_t *index, const real *dy,
                           real *dtable) {
  enum { AT_ONCE = 64 };                                  // columns
  int64_t count = co_shape_count(&desc->in[2 * t].shape); // index (N, …), dy (N, …, D)
  int64_t V = desc->out[t].shape.dim[0], D = desc->out[t].shape.dim[1];
  for (int64_t v = 0; v < V; v++)
    for (int64_t first = 0; first < D; first += AT_ONCE) {
      int64_t columns = D - first < AT_ONCE ? D - first : AT_ONCE;
      double sums[AT_ONCE] = {0};
      for (int64_t i = 0; i < count; i++)
        for (int64_t d = 0; index[i] == v && d < columns; d++)
          sums[d] += (double)dy[i * D + first + d];
      for (int64_t d = 0; d < columns; d++)
        co_put(desc, t, &dtable[v * D + first + d], sums[d]);
    }
}

void CO_REF(embedding_backward)(const co_op_desc *desc, void *const *in, void *const *out) {
  for (int t = 0; t < MOST_TABLES; t++)
    if (desc->has_out >> t & 1) table_gradient(desc, t, in[2 * t], in[2 * t + 1], out[t]);
}

#if CO_REF_ONCE
co_status co_infer_embedding(co_op_desc *desc) {
  for (int t = 0; t < MOST_TABLES; t++) {
    const int index = 2 * t, table = 2 * t + 1;
    if ((desc->has_in >> index & 3) == 0) continue;
    if ((desc->has_in >> index & 3) != 3)
      return co_fail(CO_ERR_INTERNAL,
                     "embedding: an index without a table, or a table without one");
    CO_RETURN_IF_FAILED(co_check_rank(desc, index, 1, CO_MAX_RANK - 1));
    CO_RETURN_IF_FAILED(co_check_dtype(desc, index, CO_I32));
    CO_RETURN_IF_FAILED(co_check_rank(desc, table, 2, 2));
    CO_RETURN_IF_FAILED(co_check_real(desc, table, 1));
    co_shape y = desc->in[index].shape;
    y.dim[y.rank++] = desc->in[table].shape.dim[1];
    co_set_out(desc, t, desc->in[table].dtype, &y);
    desc->has_out |= 1u << t;
  }
  return CO_OK;
}

CO_INFER_BACKWARD(embedding_backward)
#endif
