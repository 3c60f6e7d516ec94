// SPDX-License-Identifier: Apache-2.0
// Which values a trial gets: a pure function of the study's seed, the trial's number and the trials
// before it, never of clocks or of how many run at once.
#ifndef COHORT_HOST_TUNE_SAMPLER_H
#define COHORT_HOST_TUNE_SAMPLER_H

#include "host/tune/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

// A trial that a suggestion may know of.
typedef struct co_known_trial {
  const double *values; // per parameter, NaN where it does not count
  double loss, second;  // less is better; NaN: not known yet, or there is none; of two goals
  bool failed;          // … and there will be none
} co_known_trial;

typedef struct co_suggestion {
  const co_tune_settings *settings;
  co_context *ctx;
  uint64_t seed;
  int64_t number;              // of the trial, from 0
  const co_known_trial *known; // trials before it, in their order
  int64_t known_count;
} co_suggestion;

// Fills `values`, one a parameter. The first ones are of a Sobol sequence, until results tell more.
enum { CO_FIRST_TRIALS = 10 };
co_status co_suggest(const co_suggestion *suggestion, double *values);

// How many different trials a grid has; INT64_MAX of other samplers, and where there are too many.
int64_t co_sampler_trials(const co_tune_settings *settings);

// ---- samplers ----------------------------------------------------------------------------------
// A number in [0, 1) with 53 bits: of (seed, trial, which).
double co_sampler_uniform(uint64_t seed, int64_t number, int64_t which);
void co_sample_random(const co_suggestion *suggestion, double *values);
void co_sample_grid(const co_suggestion *suggestion, double *values);
void co_sample_sobol(const co_suggestion *suggestion, double *values);
// A Parzen estimator of the good trials over one of the others (tpe.c), and a Gaussian process (gp.c).
co_status co_sample_tpe(const co_suggestion *suggestion, double *values);
co_status co_sample_gp(const co_suggestion *suggestion, double *values);

// What samplers that look at results share. Whether something came of a trial; its loss, of a failed
// one the worst that is known.
bool co_known_counts(const co_known_trial *trial);
double co_known_worst(const co_suggestion *suggestion); // -inf without any
// A stream of numbers of one suggestion, in [0, 1), and of the standard normal distribution.
typedef struct co_draws {
  uint64_t seed;
  int64_t number, next;
} co_draws;
co_draws co_draws_begin(const co_suggestion *suggestion);
double co_draw_uniform(co_draws *draws);
double co_draw_normal(co_draws *draws);

// Dimension `d` (from 0) of point `i` of the Sobol sequence in Gray code order, as 32 bits after the
// point; d < CO_SOBOL_DIMENSIONS.
enum { CO_SOBOL_DIMENSIONS = 64 };
uint32_t co_sobol_bits(int64_t i, int d);
// The same, scrambled by a hash that keeps the stratification of the points.
double co_sobol_scrambled(uint64_t seed, int64_t i, int d);

#ifdef __cplusplus
}
#endif
#endif
