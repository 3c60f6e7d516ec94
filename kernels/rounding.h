// SPDX-License-Identifier: Apache-2.0
// The reference in double with the rounding of float put back in, at random: what two runs of it
// differ by tells how much of a difference between float and double is rounding, in any graph,
// however its operations amplify what comes in (random perturbation of the results of operations:
// Parker 1997, "Monte Carlo Arithmetic"; of sums of n terms by sqrt(n) roundings of the sum of their
// magnitudes: Higham & Mary 2019, "A New Approach to Probabilistic Rounding Error Analysis").
#ifndef COHORT_KERNELS_ROUNDING_H
#define COHORT_KERNELS_ROUNDING_H

#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

// A backend for plans in double. Each result of an operation is off by `amplitude` times what float
// may make of it, up or down.
co_status co_rounding_backend_open(co_backend **out, co_context *ctx, double amplitude);
// What is run next draws its signs anew; equal numbers give equal signs.
void co_rounding_draw(co_backend *backend, uint32_t number);

#ifdef __cplusplus
}
#endif
#endif
