// SPDX-License-Identifier: Apache-2.0
// How much of the machine other processes use.
#ifndef COHORT_CORE_LOAD_H
#define COHORT_CORE_LOAD_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_load {
  double time; // seconds on a clock that only goes forward
  double machine,
      own; // CPU seconds: of all processes (and stolen from a virtual machine), of this one
} co_load;

void co_load_look(co_load *out); // machine is negative where the system does not tell
// The share of the machine's cores that others used between two looks, 0 to 1; NAN where that is not known.
double co_load_of_others(const co_load *begin, const co_load *end);

#ifdef __cplusplus
}
#endif
#endif
