// SPDX-License-Identifier: Apache-2.0
// The reference: every operation in plain loops over canonical layouts, for f32 and f64. It is the
// specification and the oracle of the tests, and other CPU backends fall back to it per operation.
#ifndef COHORT_KERNELS_REF_REF_H
#define COHORT_KERNELS_REF_REF_H

#include "kernels/backend.h"
#include "kernels/descriptor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void co_ref_function(const co_op_desc *desc, void *const *in, void *const *out);

#define X(ENUM, name, ...)                                                                         \
  co_status co_infer_##name(co_op_desc *desc);                                                     \
  co_ref_function co_ref_##name##_f32, co_ref_##name##_f64;
CO_OPS(X)
#undef X

// POINTWISE_LOSS of one element, at place `i` of its row, and its slope.
double co_pointwise_loss(const co_op_attr *attr, int64_t i, double x, double t, double *slope);

// The logarithm of a sum of exponentials as largest + log(total); begins at -infinity and 0.
typedef struct co_exponentials {
  double largest, total;
} co_exponentials;
void co_add_exponential(co_exponentials *sum, double x);

// As query of a backend: always canonical layouts, implementation "ref", a workspace only for bf16
// (then "ref+bf16"). Refuses missing operands, types without a kernel, and accumulation into outputs
// that are not gradients or sums.
co_status co_ref_query(const co_op_desc *desc, co_op_choice *out);
// Computes f32 if any operand is f32, else f64 if any is f64 (operations without real operands
// do not care). Pointers are canonical host memory; absent operands are NULL.
co_status co_ref_run(const co_op_desc *desc, void *const *in, void *const *out);
// The same for all types, with the workspace that co_ref_query asks for.
co_status co_ref_run_in(const co_op_desc *desc, void *const *in, void *const *out, void *workspace);

#ifdef __cplusplus
}
#endif
#endif
