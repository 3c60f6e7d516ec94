// SPDX-License-Identifier: Apache-2.0
// Every operation file of this folder is compiled twice: with CO_REF_DOUBLE=0 (real is float, and
// the shape inference is compiled, under CO_REF_ONCE) and with CO_REF_DOUBLE=1 (real is double).
// Sums run in double in both, so that the float version is off by little more than its rounding.
#ifndef COHORT_KERNELS_REF_REAL_H
#define COHORT_KERNELS_REF_REAL_H

#include <math.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/check.h"
#include "kernels/ref/ref.h"

#if CO_REF_DOUBLE
typedef double real;
#define CO_REF(name) co_ref_##name##_f64
#define CO_REF_ONCE 0
#else
typedef float real;
#define CO_REF(name) co_ref_##name##_f32
#define CO_REF_ONCE 1
#endif

// Inference of an operation that only backward rules use: the planner knows its shapes already.
#define CO_INFER_BACKWARD(name)                                                                    \
  co_status co_infer_##name(co_op_desc *desc) {                                                    \
    (void)desc;                                                                                    \
    return co_fail(CO_ERR_INTERNAL, #name " is not a forward operation");                          \
  }

static inline bool co_accumulates(const co_op_desc *desc, int output) {
  return (desc->accumulate >> output & 1) != 0;
}

// Writes an element of an output, or adds to it where the descriptor says so.
static inline void co_put(const co_op_desc *desc, int output, real *element, double value) {
  *element = (real)(co_accumulates(desc, output) ? (double)*element + value : value);
}

// Element i of a flat gradient, whose elements from `split` on lie in bf16 (all before it where there are
// none).
static inline double co_gradient(const real *g, const co_bf16 *narrow, int64_t split, int64_t i) {
  return narrow == NULL || i < split ? (double)g[i] : (double)co_bf16_widen(narrow[i - split]);
}

// An element's gradient as an update takes it: scaled by the norm's clipping, then limited.
static inline double co_clipped(const co_op_attr *attr, double factor, double g) {
  const double scaled = factor * g, limit = attr->clip_value;
  if (!(limit > 0)) return scaled;
  return scaled > limit ? limit : scaled < -limit ? -limit : scaled;
}

// An element of any type. For operations whose types come from the descriptor, not from `real`: f32
// to f64 and back is a cast like any other.
static inline double co_load(const void *x, co_dtype dtype, int64_t i) {
  switch (dtype) {
  case CO_U8:
    return (double)((const uint8_t *)x)[i];
  case CO_I32:
    return (double)((const int32_t *)x)[i];
  case CO_I64:
    return (double)((const int64_t *)x)[i];
  case CO_F32:
    return (double)((const float *)x)[i];
  case CO_BF16:
    return (double)co_bf16_widen(((const co_bf16 *)x)[i]);
  default:
    return ((const double *)x)[i];
  }
}

static inline double co_activate(co_activation activation, double value) {
  if (activation == CO_ACTIVATION_RELU) return value < 0 ? 0 : value; // NaN passes
  return value;
}

#endif
