// SPDX-License-Identifier: Apache-2.0
// Maximum likelihood of a model with a few positive parameters, with standard errors, and a report on
// whether the data determine them at all.
#ifndef COHORT_HOST_EVAL_LIKELIHOOD_H
#define COHORT_HOST_EVAL_LIKELIHOOD_H

#include "host/core/context.h"

enum { CO_MOST_PARAMETERS = 4 };

typedef struct co_likelihood {
  int count; // parameters
  const char *const *names;
  double start[CO_MOST_PARAMETERS], low[CO_MOST_PARAMETERS], high[CO_MOST_PARAMETERS]; // > 0
  double cases;                                         // that the mean is over
  double (*mean)(void *user, const double *parameters); // log-likelihood of a case, on average
  void *user;
} co_likelihood;

typedef enum co_fit_state {
  CO_FIT_CONVERGED,
  CO_FIT_AT_BOUND,     // a parameter goes to where there is no end
  CO_FIT_UNDETERMINED, // … has a standard error of more than twice itself
  CO_FIT_NOT_FOUND     // no maximum: the gradient is not 0
} co_fit_state;

typedef struct co_likelihood_fit {
  co_fit_state state;
  int of; // of which parameter, where it is one's
  double parameters[CO_MOST_PARAMETERS];
  double standard_errors[CO_MOST_PARAMETERS]; // by the curvature at the maximum; NaN = none there
  double log_likelihood;                      // of all cases
  double gradient; // largest part, of the mean by the parameters' logarithms
} co_likelihood_fit;

co_status co_likelihood_maximize(co_likelihood_fit *out, co_context *ctx,
                                 const co_likelihood *likelihood);

#endif
