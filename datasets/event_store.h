// SPDX-License-Identifier: Apache-2.0
// Records of equal size, each with a group's number, put into the order of their groups in bounded
// memory: what does not fit lies in temporary files, which have no name any more.
#ifndef COHORT_DATASETS_EVENT_STORE_H
#define COHORT_DATASETS_EVENT_STORE_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_event_store co_event_store;
// `memory`: bytes that may be held; `beside`: a file in whose folder temporaries may lie.
co_status co_event_store_create(co_event_store **out, co_context *ctx, size_t record_bytes,
                                size_t memory, const char *beside);
void co_event_store_free(co_event_store *store); // NULL is legal
co_status co_event_store_add(co_event_store *store, const void *record);
size_t co_event_store_spilled(const co_event_store *store); // bytes in temporary files

// Changes a record once all are in, before it is placed: the group it belongs to.
typedef int64_t (*co_event_store_group)(void *user, void *record);
// Orders by group; `offsets` (groups + 1) says how many records lie before those of each.
co_status co_event_store_arrange(co_event_store *store, const int64_t *offsets, int64_t groups,
                                 co_event_store_group group, void *user);
// The records of groups [first, end), in no certain order; some at least unless it is the end (first
// = end). They stay until the next call. A group that does not fit into the memory is taken
// nevertheless.
co_status co_event_store_next(co_event_store *store, unsigned char **records, int64_t *first,
                              int64_t *end);
void co_event_store_rewind(co_event_store *store); // to the first

#ifdef __cplusplus
}
#endif
#endif
