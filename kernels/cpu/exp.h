// SPDX-License-Identifier: Apache-2.0
// Functions that compilers vectorise within loops; the C library's are calls.
#ifndef COHORT_KERNELS_CPU_EXP_H
#define COHORT_KERNELS_CPU_EXP_H

#include <math.h>

#include "kernels/cpu/cpu.h"

// exp for arguments up to 0, in a form that compilers vectorise: 2^n times a polynomial on
// [-ln 2 / 2, ln 2 / 2] (coefficients of Cephes' expf), error below 2 ulp; results under 1.2e-38
// are that. NaN stays NaN.
CO_CPU_INLINE float exp_negative(float x) {
  const float shift = 12582912.0f; // 1.5 2^23: adding it rounds to an integer in the low bits
  const float bounded = x < -87.3f ? -87.3f : x;
  const float shifted = bounded * 1.44269504f + shift;
  const float n = shifted - shift;
  const float r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1;
  union {
    float f;
    uint32_t u;
  } bits = {.f = shifted}, power;
  power.u = (bits.u + 127u) << 23; // the shift's own bits leave at the top
  return p * power.f;
}

// By the exponential of -|x|, which cannot overflow.
CO_CPU_INLINE float sigmoid_of(float x) {
  const float e = exp_negative(-fabsf(x)), s = 1 / (1 + e);
  return x >= 0 ? s : e * s;
}

// Near 0, where 1 less the quotient would cancel, Cephes' polynomial for tanhf.
CO_CPU_INLINE float tanh_of(float x) {
  const float size = fabsf(x), e = exp_negative(-2 * size), z = x * x;
  const float far = 1 - 2 * e / (1 + e);
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  return size < 0.625f ? p * z * x + x : x < 0 ? -far : far;
}

// By the quotient of two polynomials (as XLA and Eigen), error below 8 ulp of 1; beyond 4 it is 1 to
// the bit.
CO_CPU_INLINE float erf_of(float x) {
  const float z = x * x;
  float p = -2.72614225801306e-10f, q = -1.45660718464996e-05f;
  p = p * z + 2.77068142495902e-08f;
  p = p * z - 2.10102402082508e-06f;
  p = p * z - 5.69250639462346e-05f;
  p = p * z - 7.34990630326855e-04f;
  p = p * z - 2.95459980854025e-03f;
  p = p * z - 1.60960333262415e-02f;
  q = q * z - 2.13374055278905e-04f;
  q = q * z - 1.68282697438203e-03f;
  q = q * z - 7.37332916720468e-03f;
  q = q * z - 1.42647390514189e-02f;
  return x > 4 ? 1 : x < -4 ? -1 : x * (p / q);
}

#endif
