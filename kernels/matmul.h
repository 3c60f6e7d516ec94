// SPDX-License-Identifier: Apache-2.0
// The one product that MATMUL and each of its gradients is, the same for all backends: of each of
// `count` rows y (rows, columns) = a (rows, inner) b (inner, columns), where a and b may lie turned.
// Shared with CUDA sources: common subset of C11 and C++17.
#ifndef COHORT_KERNELS_MATMUL_H
#define COHORT_KERNELS_MATMUL_H

#include "kernels/descriptor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_row_product {
  int a, b; // inputs of the operation; y is output 0
  int64_t count, rows, inner, columns;
  int64_t turned_a, turned_b;   // a lies as (inner, rows), b as (columns, inner)
  int64_t a_row, a_inner;       // steps from row to row of a, and along the sum
  int64_t b_inner, b_column;    // likewise of b
  int64_t a_size, b_size, size; // elements of a row's a, b and y
} co_row_product;

// Of a descriptor without symbolic extents.
static inline co_row_product co_row_product_of(const co_op_desc *desc) {
  const int64_t ta = desc->attr.transposed_a, tb = desc->attr.transposed_b;
  const int64_t *y = desc->out[0].shape.dim;
  co_row_product p;
  p.a = 0, p.b = 1;
  p.count = y[0], p.rows = y[1], p.columns = y[2];
  switch (desc->op) {
  case CO_OP_MATMUL_BACKWARD_A: // (dy, b): dy b', or b dy' of an a that lies turned
    if (ta) p.a = 1, p.b = 0;
    p.turned_a = ta ? tb : 0;
    p.turned_b = ta ? 1 : !tb;
    break;
  case CO_OP_MATMUL_BACKWARD_B: // (a, dy): a' dy, or dy' a of a b that lies turned
    if (tb) p.a = 1, p.b = 0;
    p.turned_a = tb ? 1 : !ta;
    p.turned_b = tb ? ta : 0;
    break;
  default:
    p.turned_a = ta;
    p.turned_b = tb;
    break;
  }
  p.inner = desc->in[p.a].shape.dim[p.turned_a ? 1 : 2];
  p.a_row = p.turned_a ? 1 : p.inner;
  p.a_inner = p.turned_a ? p.rows : 1;
  p.b_inner = p.turned_b ? 1 : p.columns;
  p.b_column = p.turned_b ? p.inner : 1;
  p.a_size = p.rows * p.inner;
  p.b_size = p.inner * p.columns;
  p.size = p.rows * p.columns;
  return p;
}

#ifdef __cplusplus
}
#endif
#endif
