// SPDX-License-Identifier: Apache-2.0
// What a run tells of itself: its files of JSON and YAML as trees.
#ifndef COHORT_HOST_API_RUN_RECORD_H
#define COHORT_HOST_API_RUN_RECORD_H

#include "host/config/config.h"

// Of a text; CO_ERR_MODEL where it is no JSON. `name` is what errors call it.
co_status co_record_parse(co_node **out, co_arena *arena, const char *name, const char *text,
                          size_t length);
// Of a file of a run; CO_ERR_MODEL where there is no run, or it is damaged. `verb` is who asks.
co_status co_record_read(co_node **out, co_arena *arena, const char *run, const char *name,
                         const char *verb);

#endif
