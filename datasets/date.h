// SPDX-License-Identifier: Apache-2.0
// Dates and times in text, as seconds since 1970-01-01 UTC. Depends on no locale and no time zone.
#ifndef COHORT_DATASETS_DATE_H
#define COHORT_DATASETS_DATE_H

#include "host/core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_date_kind {
  CO_DATE_NONE,       // the text has another form
  CO_DATE_IMPOSSIBLE, // such as 2011-02-30
  CO_DATE_GOOD
} co_date_kind;

// `format` NULL: ISO 8601, "2011-12-31", behind which "T" or a blank and "23:59", "23:59:59" or
// "23:59:59.5", then "Z", "+01:00" or "+0100" may stand; without a zone it is UTC. Else as of
// strptime: %Y %y (1970 to 2069) %m %d %b %B (English) %H %I %p %M %S %z %%, a blank for any number
// of blanks, anything else for itself; numbers may lack leading zeros.
co_date_kind co_date_read(const char *text, size_t length, const char *format, double *seconds);
// CO_ERR_USAGE unless each % of a format is known, and it has year, month and day.
co_status co_date_check_format(const char *format);
// "2011-12-31", with " 23:59:59" where it is not midnight; empty of NaN. `size` >= 32.
void co_date_print(double seconds, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
