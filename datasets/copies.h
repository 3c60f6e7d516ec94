// SPDX-License-Identifier: Apache-2.0
// Rows that are copies of an earlier one, cell by cell. Told apart by 128 bits of a hash of their cells:
// among 10^9 rows the chance that two others are taken for copies is below 10^-20. 16 to 64 bytes a
// row are held.
#ifndef COHORT_DATASETS_COPIES_H
#define COHORT_DATASETS_COPIES_H

#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_row_hash {
  uint64_t a, b;
} co_row_hash;

typedef struct co_copies {
  co_context *ctx;
  co_row_hash *slots; // both zero = free
  uint64_t mask;
  int64_t count;      // rows that differ
  co_row_hash *block; // of the part in work
  int64_t room;
} co_copies;

co_row_hash co_copies_hash_cell(const co_cell *cell); // of a row with that cell alone

void co_copies_init(co_copies *copies, co_context *ctx);
void co_copies_free(co_copies *copies);
// Forgets all rows.
void co_copies_clear(co_copies *copies);
// Hashes the rows of a part on all threads: the cells `map` says (NULL = all), `count` of them.
co_status co_copies_hash(co_copies *copies, const co_row_part *part, int64_t stride,
                         const int64_t *map, int64_t count);
// Whether row i of that part occurred before; it has now. In the order of the rows.
co_status co_copies_add(co_copies *copies, int64_t i, bool *occurred);

#ifdef __cplusplus
}
#endif
#endif
