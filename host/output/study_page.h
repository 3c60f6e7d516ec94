// SPDX-License-Identifier: Apache-2.0
// A study as one page of HTML: how the search went, on which parameters it depends, which values were
// good, the trials.
#ifndef COHORT_HOST_OUTPUT_STUDY_PAGE_H
#define COHORT_HOST_OUTPUT_STUDY_PAGE_H

#include "host/tune/study.h"

typedef struct co_study_page {
  co_context *ctx;
  co_text page;
  const char *name, *metric, *version; // of the study, of its goal, of this program
  bool maximize;
  const co_space *space;
  const co_trials *trials;  // with their values on the way
  const double *importance; // per parameter
  int64_t best;             // -1 = none
} co_study_page;

// Writes the whole page.
co_status co_study_page_render(co_study_page *page);

#endif
