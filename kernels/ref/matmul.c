// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "kernels/matmul.h"

static void CO_REF(row_products)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_row_product p = co_row_product_of(desc);
  const real *a = in[p.a], *b = in[p.b];
  real *y = out[0];
  for (int64_t n = 0; n < p.count; n++, a += p.a_size, b += p.b_size)
    for (int64_t i = 0; i < p.rows; i++)
      for (int64_t j = 0; j < p.columns; j++) {
        double sum = 0;
        for (int64_t k = 0; k < p.inner; k++)
          sum += (double)a[i * p.a_row + k * p.a_inner] * (double)b[k * p.b_inner + j * p.b_column];
        co_put(desc, 0, &y[n * p.size + i * p.columns + j], sum);
      }
}

void CO_REF(matmul)(const co_op_desc *desc, void *const *in, void *const *out) {
  CO_REF(row_products)(desc, in, out);
}

void CO_REF(matmul_backward_a)(const co_op_desc *desc, void *const *in, void *const *out) {
  CO_REF(row_products)(desc, in, out);
}

void CO_REF(matmul_backward_b)(const co_op_desc *desc, void *const *in, void *const *out) {
  CO_REF(row_products)(desc, in, out);
}

#if CO_REF_ONCE
co_status co_infer_matmul(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_MATMUL_a, 3, 3));
  CO_RETURN_IF_FAILED(co_check_rank(desc, CO_MATMUL_b, 3, 3));
  CO_RETURN_IF_FAILED(co_check_real(desc, CO_MATMUL_b, CO_MATMUL_a));
  const int64_t *a = desc->in[CO_MATMUL_a].shape.dim, *b = desc->in[CO_MATMUL_b].shape.dim;
  const bool turned_a = desc->attr.transposed_a, turned_b = desc->attr.transposed_b;
  const int64_t inner = a[turned_a ? 1 : 2], other = b[turned_b ? 2 : 1];
  if (a[0] != b[0]) return co_fail(CO_ERR_CONFIG, "matmul: numbers of rows differ");
  if (inner != other || inner == 0) { // events are some number below 0
    char left[128], right[128];
    co_shape_print(&desc->in[CO_MATMUL_a].shape, left, sizeof left);
    co_shape_print(&desc->in[CO_MATMUL_b].shape, right, sizeof right);
    return co_fail(CO_ERR_CONFIG, "matmul: %s and %s have no dimension of one size to sum over",
                   left, right);
  }
  const co_shape y = co_shape_make(3, a[0], a[turned_a ? 2 : 1], b[turned_b ? 1 : 2]);
  co_set_out(desc, CO_MATMUL_y, desc->in[CO_MATMUL_a].dtype, &y);
  return CO_OK;
}

CO_INFER_BACKWARD(matmul_backward_a)
CO_INFER_BACKWARD(matmul_backward_b)
#endif
