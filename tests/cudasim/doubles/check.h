// SPDX-License-Identifier: Apache-2.0
// Checks and small helpers for the self tests of the doubles.
#ifndef COHORT_CUDASIM_CHECK_H
#define COHORT_CUDASIM_CHECK_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cuda_runtime_api.h>

#define CHECK(condition) check_condition(condition, #condition, __FILE__, __LINE__)
#define CHECK_OK(call) check_status((int)(call), 0, #call, __FILE__, __LINE__)
#define CHECK_STATUS(call, status)                                                                 \
  check_status((int)(call), (int)(status), #call, __FILE__, __LINE__)

static inline void check_condition(int holds, const char *text, const char *file, int line) {
  if (holds) return;
  printf("%s:%d: failed: %s\n", file, line, text);
  exit(1);
}

static inline void check_status(int got, int wanted, const char *text, const char *file, int line) {
  if (got == wanted) return;
  printf("%s:%d: %s returned %d, not %d\n", file, line, text, got, wanted);
  exit(1);
}

static inline void check_close(const float *got, const double *wanted, size_t count,
                               double tolerance, const char *what) {
  for (size_t i = 0; i < count; i++)
    if (!(fabs(got[i] - wanted[i]) <= tolerance * (1 + fabs(wanted[i])))) {
      printf("%s: element %zu is %g, not %g\n", what, i, (double)got[i], wanted[i]);
      exit(1);
    }
}

// Reproducible numbers in [-1, 1), exact in bfloat16.
static inline float next_number(void) {
  static uint32_t state = 12345;
  state = state * 1664525u + 1013904223u;
  return (float)((int)(state >> 24) - 128) / 128.0f;
}

static inline void fill_numbers(float *values, size_t count) {
  for (size_t i = 0; i < count; i++)
    values[i] = next_number();
}

static inline void *device_bytes(size_t bytes) {
  void *pointer;
  CHECK_OK(cudaMalloc(&pointer, bytes));
  return pointer;
}

static inline void *to_device(const void *host, size_t bytes) {
  void *pointer = device_bytes(bytes);
  CHECK_OK(cudaMemcpy(pointer, host, bytes, cudaMemcpyHostToDevice));
  return pointer;
}

static inline void from_device(void *host, const void *device, size_t bytes) {
  CHECK_OK(cudaDeviceSynchronize());
  CHECK_OK(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost));
}

static inline float *new_numbers(size_t count) {
  float *values = malloc(count * sizeof *values);
  CHECK(values != NULL);
  fill_numbers(values, count);
  return values;
}

#endif
