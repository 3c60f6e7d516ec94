// SPDX-License-Identifier: Apache-2.0
// A study as one page of HTML: how the search went, on which parameters it depends, which values were
// good, the trials.
#ifndef COHORT_HOST_OUTPUT_STUDY_PAGE_H
#define COHORT_HOST_OUTPUT_STUDY_PAGE_H

#include <math.h>

#include "host/tune/forest.h"
#include "host/tune/goals.h"

typedef struct co_study_page {
  co_context *ctx;
  co_text page;
  const char *name, *metric, *version; // of the study, of its goal, of this program
  const char *second;                  // of its second goal; NULL = there is none
  bool maximize, maximize_second;
  const co_space *space;
  const co_trials *trials;  // with their values on the way
  const double *importance; // per parameter, by PED-ANOVA
  const double *explained;  // the same by fANOVA
  const co_forest *forest;  // NULL = there are too few trials
  int64_t best;             // -1 = none
  const co_front *front;    // of two goals
} co_study_page;

// Writes the whole page.
co_status co_study_page_render(co_study_page *page);

// ---- study_charts.c ----------------------------------------------------------------------------
// Cards of the page. Both goals of each trial, and the front:
co_status co_study_add_front(co_study_page *page);
// The mean over all others by the two parameters that explain most, with the trials:
co_status co_study_add_surface(co_study_page *page);
// When each trial ran:
co_status co_study_add_timeline(co_study_page *page);

static inline bool co_study_has_value(const co_trial *t) {
  return t->state == CO_TRIAL_COMPLETE && isfinite(t->value);
}

#endif
