// SPDX-License-Identifier: Apache-2.0
#include "host/eval/interval.h"

#include <math.h>

// P(|T| <= √df tan θ) for whole df: Abramowitz and Stegun, "Handbook of Mathematical Functions",
// 26.7.3 and 26.7.4.
static double central(double theta, int64_t df) {
  const double pi = 3.14159265358979323846;
  double sine = sin(theta), square = cos(theta) * cos(theta);
  double term = df % 2 ? cos(theta) : 1, sum = 0;
  for (int64_t k = df % 2 ? 3 : 2; k <= df; k += 2) {
    sum += term;
    term *= square * (double)(k - 1) / (double)k;
  }
  return df % 2 ? 2 / pi * (theta + sine * sum) : sine * sum;
}

double co_student_t(double level, int64_t df) {
  double low = 0, high = 1.57079632679489661923;
  for (int i = 0; i < 100; i++) {
    double theta = (low + high) / 2;
    if (central(theta, df) < level)
      low = theta;
    else
      high = theta;
  }
  return sqrt((double)df) * tan((low + high) / 2);
}

co_mean co_mean_interval(const double *values, int64_t count, double level) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < count; i++)
    sum += values[i];
  co_mean out = {.mean = sum / (double)count, .low = NAN, .high = NAN, .deviation = NAN};
  if (count < 2) return out;
  for (int64_t i = 0; i < count; i++)
    squares += (values[i] - out.mean) * (values[i] - out.mean);
  double error = sqrt(squares / (double)(count - 1) / (double)count);
  out.deviation = sqrt(squares / (double)(count - 1));
  double half = co_student_t(level, count - 1) * error;
  out.low = out.mean - half;
  out.high = out.mean + half;
  return out;
}
