// SPDX-License-Identifier: Apache-2.0
// XGBoost's C interface, as far as trees need it: opened on use, so that the program does without the
// library. The functions are those that 1.7 (Debian 12) and 3.0 (Debian 13) have alike; our own
// declarations of them, so that building needs no header.
#ifndef COHORT_HOST_EVAL_XGBOOST_H
#define COHORT_HOST_EVAL_XGBOOST_H

#include <stddef.h>
#include <stdint.h>

#include "host/core/status.h"

// Every function but the first two: 0, or -1 with get_last_error.
typedef struct co_xgboost {
  void (*version)(int *major, int *minor, int *patch);
  const char *(*get_last_error)(void);
  int (*matrix_create)(const char *array, const char *config, void **out);
  int (*matrix_set_float)(void *matrix, const char *field, const float *values, uint64_t count);
  int (*matrix_free)(void *matrix);
  int (*create)(void *const *matrices, uint64_t count, void **out);
  int (*free)(void *booster);
  int (*set_param)(void *booster, const char *name, const char *value);
  int (*update)(void *booster, int iteration, void *training);
  // "[0]\tNAME-METRIC:0.25"
  int (*evaluate)(void *booster, int iteration, void *const *matrices, const char *const *names,
                  uint64_t count, const char **out);
  int (*slice)(void *booster, int begin, int end, int step, void **out);
  int (*save)(void *booster, const char *config, uint64_t *length, const char **bytes);
  int (*load)(void *booster, const void *bytes, uint64_t length);
  int (*predict)(void *booster, const char *array, const char *config, void *proxy,
                 const uint64_t **shape, uint64_t *rank, const float **out);
  int (*predict_matrix)(void *booster, void *matrix, const char *config, const uint64_t **shape,
                        uint64_t *rank, const float **out);
} co_xgboost;

// CO_ERR_DEVICE, with the way out, where there is no library or one that lacks something. It stays
// loaded: what it keeps for threads outlives them.
co_status co_xgboost_open(co_xgboost *out);
// CO_ERR_INTERNAL with the library's words, where `code` is not 0.
co_status co_xgboost_check(const co_xgboost *library, int code, const char *doing);

#endif
