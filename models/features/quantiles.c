// SPDX-License-Identifier: Apache-2.0
#include "models/features/quantiles.h"

#include <math.h>
#include <stddef.h>

int co_by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double co_quantile(const double *sorted, int64_t count, double p) {
  double at = p * (double)(count - 1), below = floor(at);
  int64_t i = (int64_t)below;
  if (i + 1 >= count) return sorted[count - 1];
  return sorted[i] + (at - below) * (sorted[i + 1] - sorted[i]);
}

// scorer: ranks
// How many are less than x, or, with `equal`, at most x.
static int64_t count_below(const double *sorted, int64_t count, double x, int equal) {
  int64_t low = 0, high = count;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (sorted[middle] < x || (equal && sorted[middle] == x))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

double co_rank_among(const double *edges, int64_t count, double x) {
  int64_t less = count_below(edges, count, x, 0), most = count_below(edges, count, x, 1);
  double last = (double)(count - 1);
  if (most > less) return ((double)less + (double)(most - 1)) / 2 / last;
  if (less == 0) return 0;
  if (less == count) return 1;
  double share = (x - edges[less - 1]) / (edges[less] - edges[less - 1]);
  return ((double)(less - 1) + share) / last;
}

// scorer: end

// scorer: normal
static double polynomial(const double *c, int count, double x) {
  double sum = c[count - 1];
  for (int i = count - 2; i >= 0; i--)
    sum = sum * x + c[i];
  return sum;
}

double co_normal_quantile(double p) {
  static const double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2,
                             1.9715909503065514427e3, 1.3731693765509461125e4,
                             4.5921953931549871457e4, 6.7265770927008700853e4,
                             3.3430575583588128105e4, 2.5090809287301226727e3};
  static const double b[] = {1.0,
                             4.2313330701600911252e1,
                             6.8718700749205790830e2,
                             5.3941960214247511077e3,
                             2.1213794301586595867e4,
                             3.9307895800092710610e4,
                             2.8729085735721942674e4,
                             5.2264952788528545610e3};
  static const double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                             5.76949722146069140550e0,  3.64784832476320460504e0,
                             1.27045825245236838258e0,  2.41780725177450611770e-1,
                             2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static const double d[] = {1.0,
                             2.05319162663775882187e0,
                             1.67638483018380384940e0,
                             6.89767334985100004550e-1,
                             1.48103976427480074590e-1,
                             1.51986665636164571966e-2,
                             5.47593808499534494600e-4,
                             1.05075007164441684324e-9};
  static const double least = 1e-7; // beyond which AS 241 has a third branch
  if (p < least) p = least;
  if (p > 1 - least) p = 1 - least;
  double q = p - 0.5;
  if (fabs(q) <= 0.425) {
    double r = 0.180625 - q * q;
    return q * polynomial(a, 8, r) / polynomial(b, 8, r);
  }
  double r = sqrt(-log(q < 0 ? p : 1 - p)) - 1.6;
  return copysign(polynomial(c, 8, r) / polynomial(d, 8, r), q);
}
// scorer: end
