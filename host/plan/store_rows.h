// SPDX-License-Identifier: Apache-2.0
// Memory of tables with `rows`, which lie outside the store's blocks. Private to host/plan.
#ifndef COHORT_HOST_PLAN_STORE_ROWS_H
#define COHORT_HOST_PLAN_STORE_ROWS_H

#include "host/plan/store.h"

// Bytes of an entry's own block; 0 where it has none.
size_t co_store_row_block(const co_store *store, int64_t entry, co_block block, bool training,
                          int slots);
// The list of gradients as a whole table.
co_status co_store_read_row_gradient(co_store *store, int64_t entry, void *values);

#endif
