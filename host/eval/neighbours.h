// SPDX-License-Identifier: Apache-2.0
// Items that go together: for each item those that follow it, or stand beside it, most. Counted case
// by case (a customer, a purchase) without a table of all pairs: one item's counts at a time.
#ifndef COHORT_HOST_EVAL_NEIGHBOURS_H
#define COHORT_HOST_EVAL_NEIGHBOURS_H

#include "host/core/context.h"

enum { CO_MOST_NEIGHBOURS = 200 }; // of an item

// Rows of item numbers, of any lengths.
typedef struct co_item_lists {
  int64_t count, capacity;      // rows
  int64_t items, item_capacity; // in all rows, and in the one that is being added to
  int64_t *first;               // (count + 1)
  int32_t *item;
} co_item_lists;
co_status co_item_lists_create(co_item_lists *lists, co_context *ctx);
void co_item_lists_free(co_item_lists *lists, co_context *ctx); // legal on a zeroed struct
co_status co_item_lists_add(co_item_lists *lists, co_context *ctx, int32_t item);
co_status co_item_lists_end(co_item_lists *lists, co_context *ctx); // of the row that was added to

// What a count of `together` cases, of which the item is in `of` and the other in `with`, says.
typedef double co_affinity(double together, double of, double with);

typedef struct co_neighbours {
  int64_t classes, width; // width: of each item's row
  int32_t *item;          // (classes, width), by falling affinity, then number; -1 = no more
  float *affinity;        // (classes, width)
} co_neighbours;
// Case i has the items from[i], which point to to[i] (the same lists: an item does not point to
// itself). Both arrays of *out, (classes, width), are the caller's.
co_status co_neighbours_find(co_neighbours *out, co_context *ctx, const co_item_lists *from,
                             const co_item_lists *to, co_affinity *affinity);

#endif
