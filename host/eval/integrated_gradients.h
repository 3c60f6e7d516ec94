// SPDX-License-Identifier: Apache-2.0
// Integrated gradients of an output's head by values of the network (attribution.h): gradients come from
// a plan of the part of the graph behind those values, `rows` times `steps` points at once.
#ifndef COHORT_HOST_EVAL_INTEGRATED_GRADIENTS_H
#define COHORT_HOST_EVAL_INTEGRATED_GRADIENTS_H

#include "host/eval/encoding.h"

enum { CO_INTEGRATED_POINTS = 512 }; // of one run, more where `steps` are more

typedef struct co_integrated_request {
  const co_network_parts *network;
  const co_output_feature *output;
  const co_encoded_value *values; // one behind the other, `width` numbers of a row
  int64_t value_count, width;
  const float *reference; // (width), where the line begins; copied
  int64_t class_;         // -1 = of each row the likeliest
  int64_t steps;
  // Of a row whose shares miss their sum by more than this part of their sizes, they are those at
  // CO_INTEGRATED_POINTS; 0 = of none.
  double rest;
} co_integrated_request;

typedef struct co_integrated_gradients co_integrated_gradients;
// CO_ERR_CONFIG where what lies behind the values has no gradient, or reads other inputs, too.
co_status co_integrated_gradients_open(co_integrated_gradients **out,
                                       const co_integrated_request *request);
void co_integrated_gradients_close(co_integrated_gradients *gradients); // NULL is legal
// The most rows of one call.
int64_t co_integrated_gradients_most(const co_integrated_gradients *gradients);

// The head's value of each row, the reference's, and the class that they are of.
typedef struct co_head_values {
  double *value, *reference; // (rows)
  int32_t *class_;           // (rows)
} co_head_values;
// `points` (rows, width). `shares`: (rows, width), the attribution of each number; NULL = the values
// alone.
// Of points, the head's values of given classes, …
co_status co_head_values_of(co_integrated_gradients *gradients, const float *points, int64_t rows,
                            const int32_t *classes, double *out);
// … and their gradients there, (rows, width).
co_status co_head_gradients_at(co_integrated_gradients *gradients, const float *points,
                               int64_t rows, const int32_t *classes, double *out);
co_status co_integrated_gradients_run(co_integrated_gradients *gradients, const float *points,
                                      int64_t rows, double *shares, const co_head_values *out);

#endif
