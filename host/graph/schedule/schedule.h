// SPDX-License-Identifier: Apache-2.0
// Learning-rate schedules: pure functions of the step, so that resuming needs no state; but for
// plateau, whose factor the training's state holds.
#ifndef COHORT_HOST_GRAPH_SCHEDULE_SCHEDULE_H
#define COHORT_HOST_GRAPH_SCHEDULE_SCHEDULE_H

#include <stdint.h>

#include "host/core/field.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_decay {
  CO_DECAY_NONE,
  CO_DECAY_LINEAR,
  CO_DECAY_COSINE,
  CO_DECAY_STEP,
  CO_DECAY_EXPONENTIAL,
  CO_DECAY_ONE_CYCLE,
  CO_DECAY_PLATEAU,
  CO_DECAY_POLYNOMIAL,
  CO_DECAY_COSINE_RESTARTS
} co_decay;

typedef struct co_schedule_options {
  int decay;               // co_decay
  double warmup_fraction;  // of all steps, linear from 0
  double minimum_fraction; // of the base rate, reached at the end; of plateau, the least
  double decay_rate;       // STEP, EXPONENTIAL: factor of decay_steps steps; PLATEAU: each time
  int64_t decay_steps;     // COSINE_RESTARTS: of the first cycle
  double restart_factor; // COSINE_RESTARTS: from each cycle's length to the next one's, at least 1
  double power;          // POLYNOMIAL, above 0
  int64_t patience;      // PLATEAU: epochs
} co_schedule_options;

extern const co_field co_schedule_fields[];

// Factor on the base learning rate at 0-based `step` of `total` steps (total <= 0: no decay, and
// warm-up is off because its length is unknown).
double co_schedule_factor(const co_schedule_options *options, int64_t step, int64_t total);

// Of a weight that rises linearly to 1 in the first `fraction` of each of `cycles` equal parts of all
// steps (Fu et al. 2019); with one cycle a warm-up. No cycles: 1.
double co_cyclic_warmup(double fraction, int64_t cycles, int64_t step, int64_t total);

#ifdef __cplusplus
}
#endif
#endif
