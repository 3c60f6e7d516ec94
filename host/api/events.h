// SPDX-License-Identifier: Apache-2.0
// Event logs, shared by the verbs that take them.
#ifndef COHORT_HOST_API_EVENTS_H
#define COHORT_HOST_API_EVENTS_H

#include "datasets/import_events.h"
#include "host/api/table.h"

// A time that an option gives. CO_ERR_USAGE naming it.
co_status co_events_time(int64_t *out, const char *option, const char *text);

#endif
