// SPDX-License-Identifier: Apache-2.0
// When events are, and how long windows last.
#ifndef COHORT_DATASETS_MOMENT_H
#define COHORT_DATASETS_MOMENT_H

#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

// Of a trimmed cell, in whole seconds since 1970-01-01 UTC: a date as of co_date_read, 20111231, or
// such seconds themselves, of nine to twelve digits. False if it is none, or no day of the calendar.
bool co_moment_read(const co_cell *cell, int64_t *seconds);
// The same by a format as of co_date_read, "ms": milliseconds since then; NULL: as above.
bool co_moment_read_as(const co_cell *cell, const char *format, int64_t *seconds);
// "90d": a whole number of w, d, h, m (minutes) or s. False if it is none, or beyond 1,000 years.
bool co_duration_read(const char *text, int64_t *seconds);

#ifdef __cplusplus
}
#endif
#endif
