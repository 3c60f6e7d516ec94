// SPDX-License-Identifier: Apache-2.0
// TF32 is a float of which tensor cores read 10 bits after the first. Libraries may round to them or
// cut the rest off; the doubles cut, which moves a result the furthest.
#ifndef COHORT_CUDASIM_TF32_H
#define COHORT_CUDASIM_TF32_H

#include <stdint.h>
#include <string.h>

static inline float tf32_cut(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7FFFFFFFu) <= 0x7F800000u) bits &= ~0x1FFFu; // a NaN stays one
  memcpy(&value, &bits, sizeof bits);
  return value;
}

#endif
