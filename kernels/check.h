// SPDX-License-Identifier: Apache-2.0
// Checks that shape inference of the operations shares. Messages name the operation and operand and
// are written for the user of a layer: CO_ERR_CONFIG.
#ifndef COHORT_KERNELS_CHECK_H
#define COHORT_KERNELS_CHECK_H

#include "kernels/descriptor.h"

// Rank of input i within [low, high].
co_status co_check_rank(const co_op_desc *desc, int i, int low, int high);
co_status co_check_shape(const co_op_desc *desc, int i, const co_shape *wanted);
co_status co_check_dtype(const co_op_desc *desc, int i, co_dtype wanted);
// Input i is f32 or f64, and of the same type as input `like`.
co_status co_check_real(const co_op_desc *desc, int i, int like);
// Input i is a u8 tensor holding one co_step.
co_status co_check_step(const co_op_desc *desc, int i);
// Input i is a u8 tensor holding whole co_segments.
co_status co_check_segments(const co_op_desc *desc, int i);
// Inputs g and, where it is there, `narrow` (bf16) are the gradient of input 0's elements, or of any
// number of them where g is input 0.
co_status co_check_gradient(const co_op_desc *desc, int g, int narrow);
// attr.label_smoothing is within [0, 1).
co_status co_check_smoothing(const co_op_attr *attr);
// Kernel, stride, dilation and padding along one axis of `size`; *out is the output's extent.
co_status co_check_window(const co_op_desc *desc, int axis, int64_t size, int64_t dilation,
                          int64_t *out);
// The same of both axes of x for a pool: its padding must be smaller than its window.
co_status co_check_pool(const co_op_desc *desc, int64_t *P, int64_t *Q);
// Elements of one row: product of all extents but the first; -1 if symbolic or too large.
int64_t co_row_count(const co_shape *shape);
void co_set_out(co_op_desc *desc, int i, co_dtype dtype, const co_shape *shape);
co_shape co_shape_vector(int64_t count);

#endif
