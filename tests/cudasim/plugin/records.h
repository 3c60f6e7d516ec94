// SPDX-License-Identifier: Apache-2.0
// What the trainings on the emulated device left in their files.
#ifndef COHORT_TESTS_RECORDS_H
#define COHORT_TESTS_RECORDS_H

#include "tests/train/training.h"

enum { RECORDS = 64 };

// The numbers behind `key` in a file, in order.
static inline int numbers(const char *path, const char *key, double *out) {
  char *text = read_whole(path, NULL);
  int count = 0;
  assert_non_null(text);
  for (const char *at = text; count < RECORDS && (at = strstr(at, key)); count++) {
    at += strlen(key);
    out[count] = strtod(at, NULL);
  }
  free(text);
  return count;
}

// The values of `key` in the records of the run "cpu" and of "cuda".
static inline void compare(const char *key, double tolerance) {
  double cpu[RECORDS], cuda[RECORDS];
  int count = numbers("cpu/metrics.jsonl", key, cpu);
  assert_true(count > 2);
  assert_int_equal(numbers("cuda/metrics.jsonl", key, cuda), count);
  for (int i = 0; i < count; i++)
    if (fabs(cpu[i] - cuda[i]) > tolerance) fail_msg("%s %d: %g and %g", key, i, cpu[i], cuda[i]);
}

#endif
