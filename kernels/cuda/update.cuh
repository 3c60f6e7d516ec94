// SPDX-License-Identifier: Apache-2.0
// What an element's update is, of flat blocks (optimizer.cu) and of rows of tables (rows.cu) alike.
#ifndef COHORT_KERNELS_CUDA_UPDATE_CUH
#define COHORT_KERNELS_CUDA_UPDATE_CUH

#include "kernels/cuda/grid.cuh"

namespace co {

// An element's gradient: scaled by the norm's clipping, then limited.
__device__ __forceinline__ float clipped(float gate, float limit, float g) {
  float scaled = gate * g;
  return scaled > limit ? limit : scaled < -limit ? -limit : scaled;
}

inline float limit_of(const co_op_attr *attr) {
  return attr->clip_value > 0 ? static_cast<float>(attr->clip_value) : INFINITY;
}

struct AdamFactors {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, epsilon;
  bool decoupled;
};

inline AdamFactors adam_factors(const co_op_attr *attr) {
  return {static_cast<float>(attr->beta1),   static_cast<float>(1 - attr->beta1),
          static_cast<float>(attr->beta2),   static_cast<float>(1 - attr->beta2),
          static_cast<float>(attr->epsilon), attr->decoupled != 0};
}

struct AdamCorrection { // of the moments' bias
  float first, second;
};

// One element; `gradient` is clipped.
__device__ __forceinline__ void adam_element(const AdamFactors &f, AdamCorrection correction,
                                             float rate, float decay, float gradient, float *w,
                                             float *m, float *v) {
  float weight = *w;
  if (!f.decoupled) gradient += decay * weight;
  float first = f.beta1 * *m + f.one_minus_beta1 * gradient;
  float second = f.beta2 * *v + f.one_minus_beta2 * gradient * gradient;
  if (f.decoupled) weight -= rate * decay * weight;
  *w = weight - rate * (first * correction.first) / (sqrtf(second * correction.second) + f.epsilon);
  *m = first;
  *v = second;
}

} // namespace co

#endif
