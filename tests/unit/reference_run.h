// SPDX-License-Identifier: Apache-2.0
// Running an operation of the reference on values worked out by hand.
#ifndef COHORT_TESTS_UNIT_REFERENCE_RUN_H
#define COHORT_TESTS_UNIT_REFERENCE_RUN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "host/core/rng.h"
#include "kernels/ref/ref.h"

static inline void operand(co_op_desc *desc, bool input, int i, co_dtype dtype, co_shape shape) {
  co_tensor_desc *tensor = input ? &desc->in[i] : &desc->out[i];
  tensor->dtype = dtype;
  tensor->shape = shape;
  if (input) desc->has_in |= 1u << i;
}

static inline co_shape vector(int64_t n) {
  return co_shape_make(1, n);
}

static inline void run(co_op_desc *desc, void *const *in, void *const *out) {
  assert_int_equal(co_op_infer(desc), CO_OK);
  co_op_choice choice;
  assert_int_equal(co_ref_query(desc, &choice), CO_OK);
  assert_int_equal(co_ref_run(desc, in, out), CO_OK);
}

static inline void near_to(double got, double want) {
  if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want)))) fail_msg("%.17g, not %.17g", got, want);
}

#endif
