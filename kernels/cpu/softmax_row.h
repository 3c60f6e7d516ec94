// SPDX-License-Identifier: Apache-2.0
// Parts of a softmax and its cross entropy that losses share, for use within CO_CPU_KERNEL.
#ifndef COHORT_KERNELS_CPU_SOFTMAX_ROW_H
#define COHORT_KERNELS_CPU_SOFTMAX_ROW_H

#include "kernels/cpu/exp.h"

CO_CPU_INLINE float row_max(const float *x, int64_t n) {
  float largest = x[0];
#pragma omp simd reduction(max : largest)
  for (int64_t i = 1; i < n; i++)
    largest = x[i] > largest ? x[i] : largest;
  return largest;
}

// What is left of a row once the exponentials (of logits less the largest) are known: `rest` is
// their sum without the target's, so that neither a loss near 0 nor the gradient of a probability
// near 1 is a difference of equals. `own` is the target's logit; NULL, where the target is no class,
// gives NaN. Returns what the exponentials are to be multiplied by for the gradient.
CO_CPU_INLINE float finish_row(const float *own, float largest, float rest, float factor,
                               float *loss, float *target_gradient) {
  const float sum = rest + (own ? exp_negative(*own - largest) : 0);
  if (!own)
    *loss = NAN;
  else
    *loss = *own == largest ? log1pf(rest) : logf(sum) + (largest - *own);
  *target_gradient = -factor * (rest / sum);
  return factor / sum;
}

#endif
