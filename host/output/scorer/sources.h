// SPDX-License-Identifier: Apache-2.0
// The texts that exported programs are put together from: the files here, and those of Cohort's own
// sources that do the same in both. What is taken stands between the lines "// scorer: NAME" and
// "// scorer: end".
#ifndef COHORT_HOST_OUTPUT_SCORER_SOURCES_H
#define COHORT_HOST_OUTPUT_SCORER_SOURCES_H

extern const char *const co_scorer_sources[]; // NULL-terminated; made by the build

#endif
